//! One message to one channel, from the outbox to its end: noted before it is sent and after, waited for where the channel asks so, and
//! never sent twice in silence. What each event makes of it is the table in `plan`.

use std::time::{Duration, Instant};

use step::{Failure, Permit, scrub};

use crate::channels::{Earlier, Payload, Said, Wire};
use crate::message::words::Words;
use crate::message::{Mark, Message};
use crate::outbox::{Entry, Outbox};
use crate::plan::{self, Event, Life, News, State};
use crate::receipt::Receipt;
use crate::settings::{FollowUp, Target};
use crate::told::{Fate, Told, later, unknown};

/// A message that has waited this long says so, in milliseconds.
const DELAYED: u64 = 60_000;

/// What all deliveries share.
pub struct Post<'a> {
    pub wire: &'a Wire<'a>,
    pub permit: &'a Permit,
    pub outbox: &'a Outbox,
}

/// One message on its way to one channel.
pub struct Errand<'a> {
    target: &'a Target,
    words: &'a Words,
    entry: Entry,
    /// What is done can be written down.
    noted: bool,
    /// The first part that goes now.
    from: usize,
}

/// What a request has led to, when it does not lead to the next one.
enum End {
    /// The part is there, or the message is complete without it.
    Part(Receipt),
    /// The message has ended so.
    Message(Fate, Failure),
}

impl Post<'_> {
    /// Brings a message that stands in the outbox to its end.
    ///
    /// # Errors
    /// When the note cannot be written, or the step has to stop: then it waits in the outbox.
    pub fn deliver(&self, mut errand: Errand) -> Result<Told, Failure> {
        let clock = Instant::now();
        let mut told = Told::new(errand.target);
        let ended = self.parts(&mut errand, &mut told);
        told.receipts.clone_from(&errand.entry.receipts);
        told.ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        ended.map(|()| told)
    }

    /// All parts that have not arrived yet, in order.
    fn parts(&self, errand: &mut Errand, told: &mut Told) -> Result<(), Failure> {
        loop {
            match self.part(errand, told)? {
                End::Message(fate, failure) => {
                    (told.fate, told.failure) = (fate, Some(failure));
                    return Ok(());
                }
                End::Part(receipt) => {
                    errand.entry.receipts.push(receipt);
                    if errand.entry.receipts.len() >= errand.payloads(self.outbox)?.len() {
                        (told.fate, told.failure) = (Fate::Sent, None);
                        self.close(errand);
                        return Ok(());
                    }
                    errand.entry.live(Life::NEW);
                }
            }
        }
    }

    /// The part that is next: what the channel asks to be sent later is sent later, if the time allows it, and what may have arrived is
    /// sent once more where silence would be worse.
    fn part(&self, errand: &mut Errand, told: &mut Told) -> Result<End, Failure> {
        for attempt in 1.. {
            self.begin(errand)?;
            let payloads = errand.payloads(self.outbox)?;
            let at = errand.entry.receipts.len();
            let Some(payload) = payloads.get(at) else { return Ok(End::Part(Receipt::default())) };
            told.repeated |= errand.marks(payload).contains(&Mark::Repeat);
            let said = match self.request(errand, payload) {
                Ok(said) => said,
                Err(stop) if stop.is_deadline() => return Ok(self.late(errand, payload, stop)),
                Err(stop) => return Err(stop),
            };
            told.attempts += 1;
            let (wait, failure) = match self.heard(errand, payload, attempt, said) {
                Next::End(End::Part(mut receipt)) => {
                    if at == 0 {
                        receipt.degraded.extend(errand.left_out());
                    }
                    return Ok(End::Part(receipt));
                }
                Next::End(end) => return Ok(end),
                Next::Again(wait, failure) => (wait, failure),
            };
            match self.wire.context.pause(wait) {
                Err(stop) if stop.is_deadline() => return Ok(self.late(errand, payload, failure)),
                paused => paused?,
            }
        }
        Err(Failure::bug("attempts do not end"))
    }

    /// Notes that a request comes now. Urgent news goes out without a note where there is no place for one.
    fn begin(&self, errand: &mut Errand) -> Result<(), Failure> {
        errand.goes(Event::Begin, false)?;
        if !errand.noted {
            return Ok(());
        }
        let Err(failure) = self.outbox.put(&errand.entry) else { return Ok(()) };
        if !errand.entry.is_urgent() {
            errand.goes(Event::NotSent, false)?;
            return Err(failure);
        }
        self.warn(errand, &format!("{}; the message is sent without a note", failure.message));
        // An older note would have it sent again as if it were new.
        let _ = self.outbox.forget(&errand.entry, None);
        errand.noted = false;
        Ok(())
    }

    /// Sends a payload once, unless the step has to stop before that.
    fn request(&self, errand: &mut Errand, payload: &Payload) -> Result<Said, Failure> {
        let asked = self.wire.context.checkpoint();
        let said = asked.and_then(|()| errand.target.channel.post(self.wire, self.permit, payload));
        said.inspect_err(|stop| self.note(errand, Event::NotSent, payload, None, &stop.message))
    }

    /// What an answer means for the part.
    fn heard(&self, errand: &mut Errand, payload: &Payload, attempt: u32, said: Said) -> Next {
        let left = self.wire.context.deadline.left();
        match said {
            Said::Sent(receipt) => {
                // Noted with the next part, or with the whole message.
                let _ = errand.goes(Event::Taken, false);
                Next::End(End::Part(receipt))
            }
            Said::Refused(failure) if payload.extra => Next::End(self.without(errand, &failure.message)),
            Said::Refused(failure) => {
                self.note(errand, Event::Refused, payload, None, &failure.message);
                Next::End(End::Message(Fate::Refused, failure))
            }
            Said::Later { wait, reason, why } => {
                self.note(errand, Event::Later, payload, wait, &why);
                let left = if wait.is_some() { left } else { left / 2 };
                self.again(errand, payload, plan::pause(attempt, wait, left), reason, &why)
            }
            Said::Unknown(why) if payload.extra => Next::End(self.without(errand, &why)),
            Said::Unknown(why) => {
                self.note(errand, Event::Lost, payload, None, &why);
                if errand.entry.state == State::Unknown {
                    return Next::End(End::Message(Fate::Unknown, unknown(&why)));
                }
                if errand.entry.life().is_doubtful() {
                    self.warn(errand, &format!("{}: sending it once more", unknown(&why).message));
                    return Next::Again(Duration::ZERO, unknown(&why));
                }
                // It will be known again: whether it has arrived does not matter for sending it.
                self.again(errand, payload, plan::pause(attempt, None, left / 2), "unreachable", &why)
            }
        }
    }

    fn again(
        &self,
        errand: &Errand,
        payload: &Payload,
        wait: Option<Duration>,
        reason: &str,
        why: &str,
    ) -> Next {
        match wait {
            Some(wait) => Next::Again(wait, later(reason, why)),
            None if payload.extra => Next::End(self.without(errand, why)),
            None if !errand.noted => {
                let message =
                    format!("{why}; the message could not be written down, and nobody sends it again");
                Next::End(End::Message(Fate::Waiting, Failure::temporary(reason, message)))
            }
            None => Next::End(End::Message(Fate::Waiting, later(reason, why))),
        }
    }

    /// The time is over.
    fn late(&self, errand: &Errand, payload: &Payload, failure: Failure) -> End {
        if payload.extra {
            self.without(errand, "the time is over")
        } else {
            End::Message(Fate::Waiting, failure)
        }
    }

    /// The message is there without its document, which nobody sends later.
    fn without(&self, errand: &Errand, why: &str) -> End {
        self.warn(errand, &format!("the message is there, its document is not: {why}"));
        End::Part(Receipt::without("document"))
    }

    /// Notes what became of a request. That it cannot be noted is a warning: the request was made, and what lies on disk says that
    /// it was begun.
    fn note(&self, errand: &mut Errand, event: Event, payload: &Payload, wait: Option<Duration>, why: &str) {
        let repeatable = errand.target.channel.repeatable(payload);
        if let Err(bug) = errand.goes(event, repeatable) {
            self.warn(errand, &bug.message);
        }
        errand.entry.wait_for(wait);
        errand.entry.why = Some(scrub(why));
        self.put(errand);
    }

    /// Notes that all of it has arrived.
    fn close(&self, errand: &mut Errand) {
        errand.entry.state = State::Sent;
        errand.entry.wait_for(None);
        (errand.entry.why, errand.entry.message) = (None, None);
        self.put(errand);
    }

    fn put(&self, errand: &Errand) {
        if !errand.noted {
            return;
        }
        if let Err(failure) = self.outbox.put(&errand.entry) {
            self.warn(errand, &format!("what became of the message could not be noted: {}", failure.message));
        }
    }

    fn warn(&self, errand: &Errand, why: &str) {
        self.wire.context.voice.warn(&format!("{}: {why}", errand.target.name));
    }
}

/// What comes after an answer.
enum Next {
    End(End),
    /// The same part again, after so long; what it is if that does not come about.
    Again(Duration, Failure),
}

impl<'a> Errand<'a> {
    /// Of a message that waits. `noted`: what is done can be written down.
    pub fn new(target: &'a Target, words: &'a Words, entry: Entry, noted: bool) -> Self {
        Errand { target, words, noted, from: entry.receipts.len(), entry }
    }

    fn goes(&mut self, event: Event, repeatable: bool) -> Result<(), Failure> {
        let news = News { urgent: self.entry.is_urgent(), repeatable, noted: self.noted };
        let life = self.entry.life();
        let next = life.after(event, news);
        self.entry.live(next.ok_or_else(|| Failure::bug(format!("{event:?} cannot happen to {life:?}")))?);
        Ok(())
    }

    /// Why the message says more than its own text.
    fn marks(&self, payload: &Payload) -> Vec<Mark> {
        let repeat = self.entry.life().is_doubtful() && !self.target.channel.repeatable(payload);
        self.reasons(repeat)
    }

    /// Only the doubtful part says that it is a repeat; the others are said once, with the first part that goes.
    fn reasons(&self, repeat: bool) -> Vec<Mark> {
        let first = self.entry.receipts.len() == self.from;
        let delayed = first && self.entry.age() > DELAYED;
        let instead = self.entry.instead.clone().filter(|_| self.entry.receipts.is_empty());
        [
            repeat.then_some(Mark::Repeat),
            (first && !self.noted).then_some(Mark::Unnoted),
            instead.map(Mark::Instead),
            (delayed && !repeat).then(|| Mark::Delayed(self.entry.age())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Everything that would be sent, with the marks in front of the part that is next.
    fn payloads(&self, outbox: &Outbox) -> Result<Vec<Payload>, Failure> {
        let Some(message) = &self.entry.message else {
            return Err(Failure::bug("a message in the outbox has no text"));
        };
        let earlier = earlier(outbox, self.target, &self.entry);
        let marked = |repeat| {
            self.target.channel.payloads(&message.marked(&self.reasons(repeat), self.words), &earlier)
        };
        let payloads = marked(self.entry.life().is_doubtful());
        // What will be known again is sent as it was.
        let next = payloads.get(self.entry.receipts.len());
        let known = next.is_some_and(|payload| self.target.channel.repeatable(payload));
        Ok(if known { marked(false) } else { payloads })
    }

    /// Buttons whose host no chat can reach, and whatever else the channel has no place for.
    fn left_out(&self) -> Vec<String> {
        let Some(message) = &self.entry.message else { return Vec::new() };
        let plain = message.plain_links.iter().map(|label| format!("button {label}"));
        plain.chain(self.target.channel.leaves_out(message)).collect()
    }
}

/// Whether a receiver would know the part that is next again.
pub fn is_repeatable(outbox: &Outbox, target: &Target, entry: &Entry) -> bool {
    let Some(message) = &entry.message else { return false };
    let payloads = target.channel.payloads(message, &earlier(outbox, target, entry));
    payloads.get(entry.receipts.len()).is_some_and(|payload| target.channel.repeatable(payload))
}

/// What the channel was told before about the same run, or the one that this message answers.
pub fn earlier(outbox: &Outbox, target: &Target, entry: &Entry) -> Earlier {
    let mut earlier = Earlier { key: entry.key(), parts: entry.receipts.len(), ..Earlier::default() };
    let Some(message) = &entry.message else { return earlier };
    let own = outbox.told(&target.name, &entry.run);
    let other = || message.answers.as_ref().and_then(|run| outbox.told(&target.name, run));
    match (target.follow_up, own) {
        (FollowUp::Edit, Some(own)) if is_good(message) => earlier.edit = Some(own),
        (_, own) => earlier.reply_to = own.or_else(other),
    }
    earlier
}

/// Good news makes no sound, and may change what was said before.
fn is_good(message: &Message) -> bool {
    message.silent
}

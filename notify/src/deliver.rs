//! One message to one channel, from the outbox to its end: noted before it is sent and after, waited for where the channel asks so, and
//! never sent twice in silence.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use step::{Acted, Failure, Permit};

use crate::args::{FollowUp, Target};
use crate::channels::{Earlier, Payload, Receipt, Said, Wire};
use crate::message::Mark;
use crate::outbox::{Entry, Outbox, State};
use crate::plan::{self, Fate};
use crate::words::Words;

/// A message that has waited this long says so, in milliseconds.
const DELAYED: u64 = 60_000;
/// A message that has waited longer is given up: 24 hours.
const OLD: u64 = 24 * 3600 * 1000;

/// How a message fared in one channel.
#[derive(Debug)]
pub struct Told {
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub fate: Fate,
    pub receipts: Vec<Receipt>,
    /// Requests that were made for it.
    pub attempts: u32,
    pub repeated: bool,
    pub failure: Option<Failure>,
    /// Why nothing was sent.
    pub why: Option<String>,
    pub ms: u64,
}

impl Told {
    /// Nothing was to be sent there.
    pub fn skipped(target: &Target, why: String) -> Self {
        Told { why: Some(why), ..Told::new(target, Fate::Skipped) }
    }

    /// The channel has asked us to wait longer.
    pub fn early(target: &Target, entry: &Entry) -> Self {
        let until = entry.not_before.as_deref().unwrap_or_default();
        let failure = later("rate", &format!("{} takes no more messages before {until}", target.name));
        Told { failure: Some(failure), ..Told::new(target, Fate::Waiting) }
    }

    fn new(target: &Target, fate: Fate) -> Self {
        Told {
            name: target.name.clone(),
            kind: target.kind.clone(),
            required: target.required,
            fate,
            receipts: Vec::new(),
            attempts: 0,
            repeated: false,
            failure: None,
            why: None,
            ms: 0,
        }
    }

    /// For the record's `output`.
    pub fn value(&self) -> Value {
        let mut value = json!({ "name": self.name, "kind": self.kind, "status": self.fate.word() });
        let ids: Vec<&String> = self.receipts.iter().filter_map(|r| r.id.as_ref()).collect();
        let degraded: Vec<&String> = self.receipts.iter().flat_map(|r| &r.degraded).collect();
        let mut put = |key: &str, there: bool, what: Value| {
            if there {
                value[key] = what;
            }
        };
        put("messages", !ids.is_empty(), json!(ids));
        put(
            "url",
            self.receipts.first().is_some_and(|r| r.url.is_some()),
            json!(self.receipts.first().and_then(|r| r.url.as_ref())),
        );
        put("attempts", self.attempts > 0, json!(self.attempts));
        put("repeated", self.repeated, json!(true));
        put("degraded", !degraded.is_empty(), json!(degraded));
        put("why", self.why.is_some(), json!(self.why));
        if let Some(failure) = &self.failure {
            put("reason", true, json!(failure.reason));
            put("why", true, json!(failure.message));
        }
        put("ms", self.ms > 0, json!(self.ms));
        value
    }
}

/// What all deliveries share.
pub struct Post<'a> {
    pub wire: &'a Wire<'a>,
    pub permit: &'a Permit,
    pub outbox: &'a Outbox,
}

impl Post<'_> {
    /// Brings a message that stands in the outbox to its end. `mark` is why it says more than its own text.
    ///
    /// # Errors
    /// When the note cannot be written, or the step has to stop: then it waits in the outbox.
    pub fn deliver(
        &self,
        target: &Target,
        words: &Words,
        mut entry: Entry,
        mark: Option<Mark>,
    ) -> Result<Told, Failure> {
        let clock = Instant::now();
        let mut told = Told::new(target, Fate::Waiting);
        let mark = mark.or_else(|| (entry.age() > DELAYED).then(|| Mark::Delayed(entry.age())));
        self.attempt(target, words, &mut entry, mark.as_ref(), &mut told)?;
        // Silence would be worse than a second message that says what it is.
        let urgent = entry.message.as_ref().is_some_and(|m| m.urgent);
        if told.fate == Fate::Unknown && urgent && !told.repeated {
            if let Some(failure) = &told.failure {
                self.wire
                    .context
                    .voice
                    .warn(&format!("{}: {}: sending it once more", target.name, failure.message));
            }
            self.attempt(target, words, &mut entry, Some(&Mark::Repeat), &mut told)?;
        }
        told.receipts.clone_from(&entry.receipts);
        self.close(&mut entry, &told)?;
        told.ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(told)
    }

    /// All parts that have not arrived yet, in order.
    fn attempt(
        &self,
        target: &Target,
        words: &Words,
        entry: &mut Entry,
        mark: Option<&Mark>,
        told: &mut Told,
    ) -> Result<(), Failure> {
        told.repeated |= mark == Some(&Mark::Repeat);
        let Some(message) = entry.message.as_ref().map(|m| m.marked(mark, words)) else {
            return Err(Failure::bug("a message in the outbox has no text"));
        };
        let plain: Vec<String> = message.plain_links.iter().map(|label| format!("button {label}")).collect();
        let payloads = target.channel.payloads(&message, &earlier(self.outbox, target, entry));
        for (i, payload) in payloads.iter().enumerate().skip(entry.receipts.len()) {
            match self.part(target, entry, payload, told)? {
                Ok(mut receipt) => {
                    if i == 0 {
                        receipt.degraded.extend(plain.iter().cloned());
                    }
                    entry.receipts.push(receipt);
                }
                // The message is there without it.
                Err((_, failure)) if payload.extra => {
                    self.wire
                        .context
                        .voice
                        .warn(&format!("{}: without its document: {}", target.name, failure.message));
                    entry
                        .receipts
                        .push(Receipt { degraded: vec!["document".to_owned()], ..Receipt::default() });
                }
                Err((fate, failure)) => {
                    (told.fate, told.failure) = (fate, Some(failure));
                    return Ok(());
                }
            }
        }
        (told.fate, told.failure) = (Fate::Sent, None);
        Ok(())
    }

    /// One part: what the channel asks to be sent later is sent later, if the time allows it.
    fn part(
        &self,
        target: &Target,
        entry: &mut Entry,
        payload: &Payload,
        told: &mut Told,
    ) -> Result<Result<Receipt, (Fate, Failure)>, Failure> {
        for attempt in 1.. {
            entry.state = State::Begun;
            entry.lost += 1;
            self.outbox.put(entry)?;
            let asked = self.wire.context.checkpoint();
            let said = match asked.and_then(|()| target.channel.post(self.wire, self.permit, payload)) {
                Ok(said) => said,
                Err(stop) => {
                    self.wait(entry, None, &stop.message)?;
                    return if stop.reason == "deadline" {
                        Ok(Err((Fate::Waiting, stop)))
                    } else {
                        Err(stop)
                    };
                }
            };
            told.attempts += 1;
            let left = self.wire.context.deadline.left();
            let (wait, fate, failure) = match said {
                Said::Sent(receipt) => {
                    entry.lost -= 1;
                    return Ok(Ok(receipt));
                }
                Said::Refused(failure) => return Ok(Err((Fate::Refused, failure))),
                // It will be known again: whether it has arrived does not matter for sending it.
                Said::Unknown(why) if target.channel.repeatable(payload) => {
                    self.wait(entry, None, &why)?;
                    (plan::pause(attempt, None, left / 2), Fate::Waiting, later("unreachable", &why))
                }
                Said::Unknown(why) => return Ok(Err((Fate::Unknown, unknown(&why)))),
                Said::Later { wait: asked, reason, why } => {
                    self.wait(entry, asked, &why)?;
                    let half = if asked.is_some() { left } else { left / 2 };
                    (plan::pause(attempt, asked, half), Fate::Waiting, later(reason, &why))
                }
            };
            let Some(wait) = wait else { return Ok(Err((fate, failure))) };
            match self.wire.context.pause(wait) {
                Err(stop) if stop.reason == "deadline" => return Ok(Err((fate, failure))),
                paused => paused?,
            }
        }
        Err(Failure::bug("attempts do not end"))
    }

    /// Notes that it was surely not sent this time; it may have been before.
    fn wait(&self, entry: &mut Entry, asked: Option<Duration>, why: &str) -> Result<(), Failure> {
        entry.lost -= 1;
        entry.state = if entry.lost == 0 { State::Waiting } else { State::Begun };
        let until = asked.and_then(|wait| jiff::Timestamp::now().checked_add(wait).ok());
        entry.not_before = until.map(|t| t.to_string());
        entry.why = Some(step::redact(why));
        self.outbox.put(entry)
    }

    /// Notes how it ended.
    fn close(&self, entry: &mut Entry, told: &Told) -> Result<(), Failure> {
        entry.why = told.failure.as_ref().map(|f| step::redact(&f.message));
        match told.fate {
            Fate::Waiting => return Ok(()),
            Fate::Refused => entry.state = State::Dead,
            Fate::Unknown => entry.state = State::Unknown,
            Fate::Sent | Fate::Skipped => (entry.state, entry.not_before) = (State::Sent, None),
        }
        if entry.state != State::Dead {
            entry.message = None;
        }
        self.outbox.put(entry)
    }

    /// What waits for a channel from before, oldest first. Ends with the first that still cannot be sent.
    ///
    /// # Errors
    /// When a note cannot be written, or the step has to stop.
    pub fn flush(&self, target: &Target, words: &Words, waiting: Vec<Entry>) -> Result<Vec<Told>, Failure> {
        let begun = self.wire.context.deadline.left();
        let mut all = Vec::new();
        for mut entry in waiting {
            // What is to be told now shall not wait for what should have been told before.
            if self.wire.context.deadline.left() < begun * 2 / 3 {
                break;
            }
            if entry.is_early() {
                continue;
            }
            let urgent = entry.message.as_ref().is_some_and(|m| m.urgent);
            if entry.age() > OLD {
                (entry.state, entry.why) =
                    (State::Dead, Some("it has waited for more than 24 hours".to_owned()));
                self.wire.context.voice.warn(&format!("{}: given up: {}", target.name, headline(&entry)));
                self.outbox.put(&entry)?;
                continue;
            }
            // One that was begun twice already, or need not be heard twice, is left as it is: not known.
            if entry.state == State::Begun && (!urgent || entry.lost > 1) {
                (entry.state, entry.message) = (State::Unknown, None);
                self.outbox.put(&entry)?;
                continue;
            }
            let mark = (entry.state == State::Begun).then_some(Mark::Repeat);
            let said = headline(&entry);
            let told = self.deliver(target, words, entry, mark)?;
            let word = told.fate.word();
            self.wire.context.voice.say(&format!("{}: from before, {word}: {said}", target.name));
            let stuck = told.fate == Fate::Waiting;
            all.push(told);
            if stuck {
                break;
            }
        }
        Ok(all)
    }
}

/// What the channel was told before about the same run, or the one that this message answers.
pub fn earlier(outbox: &Outbox, target: &Target, entry: &Entry) -> Earlier {
    let mut earlier = Earlier { key: entry.key(), parts: entry.receipts.len(), ..Earlier::default() };
    let Some(message) = &entry.message else { return earlier };
    let own = outbox.told(&target.name, &entry.run);
    let other = || message.answers.as_ref().and_then(|run| outbox.told(&target.name, run));
    match (target.follow_up, own) {
        (FollowUp::Edit, Some(own)) if message.silent => earlier.edit = Some(own),
        (_, own) => earlier.reply_to = own.or_else(other),
    }
    earlier
}

/// Its first line for people.
pub fn headline(entry: &Entry) -> String {
    entry.message.as_ref().map_or_else(|| entry.event.clone(), crate::message::Message::headline)
}

/// The failure that says that a message may be there, or not.
pub fn unknown(why: &str) -> Failure {
    let message = format!("whether the message has arrived is not known: {why}; look into the chat");
    Failure::temporary("delivery-unknown", message).acted(Acted::Unknown)
}

fn later(reason: &str, why: &str) -> Failure {
    let message = format!("{why}; the message waits in the outbox, and the next notify sends it");
    Failure::temporary(reason, message).next("notify flush")
}

//! The step: one message to every channel at once. In each channel urgent news goes first, then what waits from before; a channel that
//! fails or hangs does not delay another; the fallback gets what a required channel may not have got.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use step::{Context, Failure};

use crate::deliver::{Errand, Post, is_repeatable};
use crate::listing::{counted, named};
use crate::message::Message;
use crate::message::templates::Layout;
use crate::outbox::{Entry, Swept};
use crate::plan::{self, Event, Life, News, State, Todo};
use crate::settings::{Settings, Target};
use crate::time::now;
use crate::told::{Fate, Told};
use crate::wanted::wants;

/// So long a channel that another notify is at work on is waited for.
const BUSY: Duration = Duration::from_secs(10);
/// A message that has waited longer is given up: 24 hours, in milliseconds.
const OLD: u64 = 24 * 3600 * 1000;

/// Templates and words of each language that a channel speaks.
pub struct Languages(BTreeMap<String, Layout>);

impl Languages {
    /// For the channels; what is wrong with a team's own words is warned about once.
    pub fn new(settings: &Settings, context: &Context) -> Self {
        let mut all = BTreeMap::new();
        for target in settings.all() {
            all.entry(target.lang.clone()).or_insert_with_key(|lang| {
                Layout::new(lang, settings.templates.as_deref(), &mut |why| context.voice.warn(&why))
            });
        }
        Languages(all)
    }

    /// A channel's.
    pub fn of(&self, target: &Target) -> Result<&Layout, Failure> {
        self.0.get(&target.lang).ok_or_else(|| Failure::bug("a channel's language was not read"))
    }

    /// The message in each channel's language; `make` is called once for each language.
    pub fn messages(
        &self,
        make: impl Fn(&Layout) -> Result<Message, Failure>,
    ) -> Result<BTreeMap<String, Message>, Failure> {
        self.0.iter().map(|(lang, layout)| Ok((lang.clone(), make(layout)?))).collect()
    }
}

/// One message and everything that telling it needs.
pub struct Teller<'a> {
    pub post: &'a Post<'a>,
    pub settings: &'a Settings,
    pub languages: &'a Languages,
}

/// A message that is new to one channel.
struct Fresh {
    entry: Entry,
    /// It could be written down.
    noted: bool,
}

impl Teller<'_> {
    /// Tells every channel; how it went in each, in the order of the settings, the fallback last.
    pub fn all(&self, messages: &BTreeMap<String, Message>) -> Vec<Told> {
        warn_of(self.context(), &self.post.outbox.sweep());
        let is_target = |name: &str| self.settings.targets.iter().any(|t| t.name == name);
        let fallback = self.settings.fallback.as_ref().filter(|f| !is_target(&f.name));
        let fresh = |target| fresh(target, messages).map(|entry| self.noted(target, entry));
        let jobs: Vec<(&Target, Option<Result<Fresh, Failure>>)> = self
            .settings
            .targets
            .iter()
            .map(|target| (target, fresh(target)))
            .chain(fallback.map(|target| (target, None)))
            .collect();
        let results: Vec<Option<Told>> = std::thread::scope(|scope| {
            let run = |(target, fresh)| (target, scope.spawn(move || self.one(target, fresh)));
            let threads: Vec<_> = jobs.into_iter().map(run).collect();
            let panicked = |target| Some(Told::stopped(target, Failure::bug("a channel panicked")));
            threads.into_iter().map(|(target, t)| t.join().unwrap_or_else(|_| panicked(target))).collect()
        });
        let misset = self.settings.misset.iter().map(|(name, why)| Told::misset(name, why.clone()));
        let mut told: Vec<Told> = misset.chain(results.into_iter().flatten()).collect();
        let instead = self.instead(&told, messages);
        told.extend(instead);
        told
    }

    fn context(&self) -> &Context {
        self.post.wire.context
    }

    /// Written down before anything is sent, and before we wait for anybody: whatever ends us, the next one finds it.
    fn noted(&self, target: &Target, entry: Entry) -> Result<Fresh, Failure> {
        let outbox = self.post.outbox;
        let known = outbox.find(&entry);
        let noted = known.and_then(|known| if known.is_some() { Ok(()) } else { outbox.add(&entry) });
        match noted {
            Ok(()) => Ok(Fresh { entry, noted: true }),
            Err(why) if entry.is_urgent() => {
                let why = format!("{}: {}; the message is sent without a note", target.name, why.message);
                self.context().voice.warn(&why);
                Ok(Fresh { entry, noted: false })
            }
            Err(why) => Err(why),
        }
    }

    /// One channel: what is new, and what waits from before.
    fn one(&self, target: &Target, fresh: Option<Result<Fresh, Failure>>) -> Option<Told> {
        let is_new = fresh.is_some();
        let told = fresh.transpose().and_then(|fresh| self.locked(target, fresh));
        match told {
            Ok(told) => told,
            Err(why) => is_new.then(|| Told::stopped(target, why)),
        }
    }

    /// With the channel's lock, as far as there is a place for one.
    fn locked(&self, target: &Target, fresh: Option<Fresh>) -> Result<Option<Told>, Failure> {
        let (is_new, urgent) = (fresh.is_some(), fresh.as_ref().is_some_and(|f| f.entry.is_urgent()));
        // What has nothing new to say there does not wait, and nobody waits long: the one who holds it sends what we have noted.
        let within = if is_new { BUSY.min(self.context().deadline.left() / 2) } else { Duration::ZERO };
        let lock = match self.post.outbox.lock(&target.name, self.context(), within) {
            Err(why) if why.reason == "state" && urgent => None,
            lock => Some(lock?),
        };
        self.queue(target, fresh, lock.is_some())
    }

    /// Everything that one channel is to be told, in order, and what another notify leaves there in the meantime. Where nothing can be
    /// noted, what waits from before goes on waiting.
    fn queue(&self, target: &Target, fresh: Option<Fresh>, locked: bool) -> Result<Option<Told>, Failure> {
        let begun = self.context().deadline.left();
        let (mut new, mut told) = (fresh, None);
        let mut stuck = !locked || new.as_ref().is_some_and(|n| !n.noted);
        let mut tried = BTreeSet::new();
        loop {
            let mut queue = self.post.outbox.waiting_for(&target.name);
            queue.retain(|e| e.message.is_some());
            queue.retain(|e| {
                !tried.contains(&e.key()) && new.as_ref().is_none_or(|n| n.entry.key() != e.key())
            });
            queue.extend(new.as_ref().map(|n| n.entry.clone()));
            plan::order(&mut queue, |e| (e.is_urgent(), e.at.clone()));
            // What is to be told now does not wait long for what should have been told before.
            let least = if new.is_some() { begun * 2 / 3 } else { begun / 3 };
            let late = stuck || self.context().deadline.left() < least;
            let ours = new.as_ref().map(|n| n.entry.key());
            let next = if late {
                queue.into_iter().find(|e| Some(e.key()) == ours)
            } else {
                queue.into_iter().next()
            };
            let Some(next) = next else { return Ok(told) };
            tried.insert(next.key());
            if Some(next.key()) == ours {
                if let Some(fresh) = new.take() {
                    let outcome = self.tell(target, fresh.entry, fresh.noted)?;
                    stuck |= outcome.fate == Fate::Waiting;
                    told = Some(outcome);
                }
            } else {
                stuck |= self.waiting_one(target, next)?;
            }
        }
    }

    /// One that waits from before; whether those behind it have to go on waiting.
    fn waiting_one(&self, target: &Target, entry: Entry) -> Result<bool, Failure> {
        match self.old(target, entry) {
            Ok(old) => Ok(old.is_some_and(|old| old.fate == Fate::Waiting)),
            // What is new may be worth more than a note.
            Err(why) if why.reason == "state" => {
                self.context().voice.warn(&format!("{}: {}", target.name, why.message));
                Ok(true)
            }
            Err(stop) => Err(stop),
        }
    }

    /// What is new, unless it is known already.
    fn tell(&self, target: &Target, new: Entry, noted: bool) -> Result<Told, Failure> {
        let known = if noted { self.post.outbox.find(&new)? } else { None };
        let life = known.as_ref().map_or(Life::NEW, Entry::life);
        let news = self.news(target, known.as_ref().unwrap_or(&new), new.is_urgent());
        match plan::todo(life, known.as_ref().map_or("", |k| &k.at), news) {
            Todo::Send(life) => {
                let mut entry = resumed(new, known);
                entry.live(life);
                if entry.is_early() {
                    return Ok(Told::early(target, &entry));
                }
                self.send(target, entry, noted)
            }
            Todo::Skip(why) => {
                // Begun, and not to be heard twice: it stays unknown, among the dead letters.
                if let Some(known) = known.filter(|k| k.state == State::Begun) {
                    self.post.outbox.put(&Entry {
                        state: State::Unknown,
                        doubts: known.doubts + 1,
                        ..resumed(new, Some(known))
                    })?;
                }
                Ok(Told::skipped(target, why))
            }
        }
    }

    fn send(&self, target: &Target, entry: Entry, noted: bool) -> Result<Told, Failure> {
        let words = self.languages.of(target)?.words();
        self.post.deliver(Errand::new(target, words, entry, noted))
    }

    fn news(&self, target: &Target, entry: &Entry, urgent: bool) -> News {
        // Only a request whose end is not known depends on it.
        let repeatable = entry.state == State::Begun && is_repeatable(self.post.outbox, target, entry);
        News { urgent, repeatable, noted: true }
    }

    /// One that waits from before; `None` if nothing was sent.
    fn old(&self, target: &Target, mut entry: Entry) -> Result<Option<Told>, Failure> {
        if entry.is_early() {
            return Ok(None);
        }
        let news = self.news(target, &entry, entry.is_urgent());
        let found = entry.life().after(Event::Found, news).unwrap_or(entry.life());
        entry.live(found);
        if entry.state == State::Unknown {
            return self
                .give_up(target, &entry, "a request was begun and its end is not known")
                .map(|()| None);
        }
        if entry.age() > OLD {
            entry.live(found.after(Event::TooOld, news).unwrap_or(found));
            return self.give_up(target, &entry, "it has waited for more than 24 hours").map(|()| None);
        }
        let said = entry.headline();
        let told = self.send(target, entry, true)?;
        let word = told.fate.word();
        let line = format!("{}: from before, {word}: {said}", target.name);
        match &told.failure {
            None => self.context().voice.say(&line),
            Some(why) => self.context().voice.warn(&format!("{line}: {}", why.message)),
        }
        Ok(Some(told))
    }

    /// Who asks for it by hand need not wait, and may ask for what was given up, also for what would be given up now.
    fn by_hand(&self, target: &Target, entry: Entry, dead: bool) -> Entry {
        let news = self.news(target, &entry, entry.is_urgent());
        let found = entry.life().after(Event::Found, news).unwrap_or(entry.life());
        let given_up = matches!(found.state, State::Dead | State::Unknown) || entry.age() > OLD;
        let mut entry = Entry { not_before: None, ..entry };
        if dead && given_up {
            entry.live(found.after(Event::Revived, news).unwrap_or(found));
            entry.at = now();
        }
        entry
    }

    fn give_up(&self, target: &Target, entry: &Entry, why: &str) -> Result<(), Failure> {
        let said = entry.headline();
        let line = format!(
            "{}: given up: {said}: {why}; `notify outbox` lists it, `notify flush --dead` sends it",
            target.name
        );
        self.context().voice.warn(&line);
        self.post.outbox.put(&Entry { why: Some(why.to_owned()), ..entry.clone() })
    }

    /// The fallback, for required channels that may not have got it.
    fn instead(&self, told: &[Told], messages: &BTreeMap<String, Message>) -> Option<Told> {
        let lost: Vec<&str> =
            told.iter().filter(|t| t.required && !t.fate.is_good()).map(|t| t.name.as_str()).collect();
        let stopped = told.iter().any(|t| t.failure.as_ref().is_some_and(Failure::is_interrupted));
        let other = self.settings.fallback.as_ref().filter(|f| told.iter().all(|t| t.name != f.name));
        let target = other.filter(|_| !lost.is_empty() && !stopped)?;
        let entry = Entry { instead: Some(named(&lost)), ..fresh(target, messages)? };
        self.one(target, Some(self.noted(target, entry)))
    }

    /// What waits from before in these channels, and nothing new. `dead`: what was given up as well.
    ///
    /// # Errors
    /// `temporary`, `busy`; `config`, `state`.
    pub fn flush(&self, dead: bool) -> Result<Vec<Told>, Failure> {
        let mut told = Vec::new();
        for target in self.settings.all() {
            let within = self.context().deadline.left() / 2;
            let _lock = self.post.outbox.lock(&target.name, self.context(), within)?;
            let mut queue = self.post.outbox.waiting_for(&target.name);
            if dead {
                queue.extend(self.post.outbox.dead().into_iter().filter(|e| e.channel == target.name));
            }
            queue.retain(|e| e.message.is_some());
            plan::order(&mut queue, |e| (e.is_urgent(), e.at.clone()));
            for entry in queue {
                let Some(one) = self.old(target, self.by_hand(target, entry, dead))? else { continue };
                let stuck = one.fate == Fate::Waiting;
                told.push(one);
                if stuck {
                    break;
                }
            }
        }
        Ok(told)
    }
}

/// The message for a channel, if it wants it.
fn fresh(target: &Target, messages: &BTreeMap<String, Message>) -> Option<Entry> {
    let mut message = messages.get(&target.lang).filter(|m| wants(&target.on, &m.kind))?.clone();
    if !target.channel.carries_data() {
        message.data = Value::Null;
    }
    Some(Entry::new(&target.name, message))
}

/// Goes on with what was begun: the parts that have arrived are not sent again, and are parts of the text that they were.
fn resumed(new: Entry, known: Option<Entry>) -> Entry {
    let Some(known) = known else { return new };
    let message = if known.receipts.is_empty() { new.message } else { known.message.clone().or(new.message) };
    let at = if known.at.contains('T') { known.at.clone() } else { new.at };
    Entry { message, at, instead: known.instead.clone().or(new.instead), ..known }
}

/// Says what lay about in the state folder.
pub fn warn_of(context: &Context, swept: &Swept) {
    for broken in &swept.broken {
        context.voice.warn(&broken.said());
    }
    if swept.dropped > 0 {
        let notes = counted(swept.dropped, "dead letter was", "dead letters were");
        context.voice.warn(&format!("the oldest {notes} dropped: there were more than 100"));
    }
}

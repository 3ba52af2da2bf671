//! The step: one message to every channel at once. What waits from before goes first; a channel that fails or hangs does not
//! delay another; the fallback gets what a required channel may not have got.

use std::collections::BTreeMap;

use serde_json::Value;
use step::{Acted, Context, Failure, Outcome};

use crate::args::{Settings, Target};
use crate::deliver::{Post, Told};
use crate::message::{Mark, Message};
use crate::outbox::{Entry, State};
use crate::plan::{self, Fate, Todo};
use crate::templates::Layout;

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

/// A message on its way to one channel.
struct Job<'a> {
    target: &'a Target,
    entry: Option<Entry>,
    waiting: Vec<Entry>,
}

/// Tells every channel; how it went in each, in the order of the settings, the fallback last.
pub fn all(
    post: &Post,
    settings: &Settings,
    languages: &Languages,
    messages: &BTreeMap<String, Message>,
) -> Result<Vec<Told>, Failure> {
    let fresh = |target: &Target| messages.get(&target.lang).map(|m| entry(target, m));
    let wanted = |target: &Target| fresh(target).filter(|_| wants(target, messages));
    // Written down before anything is sent, and before we wait for anybody: whatever ends us, the next one finds it.
    for new in settings.targets.iter().filter_map(wanted) {
        if post.outbox.find(&new)?.is_none() {
            post.outbox.add(&new)?;
        }
    }
    let _lock = post.outbox.lock(post.wire.context)?;
    let ours: Vec<String> = settings.targets.iter().filter_map(wanted).map(|e| e.key()).collect();
    let mut old: Vec<Entry> = post.outbox.waiting();
    old.retain(|e| !ours.contains(&e.key()));
    let jobs: Vec<Job> = settings
        .all()
        .enumerate()
        .map(|(i, target)| Job {
            target,
            entry: if i < settings.targets.len() { wanted(target) } else { None },
            waiting: old.iter().filter(|e| e.channel == target.name).cloned().collect(),
        })
        .collect();
    let results: Vec<Result<Option<Told>, Failure>> = std::thread::scope(|scope| {
        let run = |job| scope.spawn(move || one(post, languages, job));
        let threads: Vec<_> = jobs.into_iter().map(run).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(|_| Err(Failure::bug("a channel panicked"))))
            .collect()
    });
    let mut told = Vec::new();
    for result in results {
        told.extend(result?);
    }
    let lost: Vec<&str> =
        told.iter().filter(|t| t.required && !t.fate.is_good()).map(|t| t.name.as_str()).collect();
    let other = settings.fallback.as_ref().filter(|f| settings.targets.iter().all(|t| t.name != f.name));
    if let (Some(fallback), false) = (other, lost.is_empty())
        && let Some(entry) = fresh(fallback).filter(|_| wants(fallback, messages))
    {
        told.push(instead(post, languages, fallback, entry, &lost.join(", "))?);
    }
    Ok(told)
}

fn wants(target: &Target, messages: &BTreeMap<String, Message>) -> bool {
    messages.get(&target.lang).is_some_and(|m| plan::wants(&target.on, &m.kind))
}

fn entry(target: &Target, message: &Message) -> Entry {
    let mut message = message.clone();
    if !target.channel.carries_data() {
        message.data = Value::Null;
    }
    Entry::new(&target.name, message)
}

/// One channel: what waits from before, then what is new.
fn one(post: &Post, languages: &Languages, job: Job) -> Result<Option<Told>, Failure> {
    let words = languages.of(job.target)?.words();
    post.flush(job.target, words, job.waiting)?;
    let Some(new) = job.entry else { return Ok(None) };
    let known = post.outbox.find(&new)?;
    let urgent = new.message.as_ref().is_some_and(|m| m.urgent);
    let todo = plan::todo(known.as_ref(), urgent);
    match todo {
        Todo::Send | Todo::Repeat => {
            let mark = (todo == Todo::Repeat).then_some(Mark::Repeat);
            let entry = resumed(new, known);
            if entry.is_early() {
                return Ok(Some(Told::early(job.target, &entry)));
            }
            post.deliver(job.target, words, entry, mark).map(Some)
        }
        Todo::Skip(why) => {
            if let Some(mut known) = known {
                // Begun, and not to be heard twice: it stays unknown.
                if known.state == State::Begun {
                    (known.state, known.message) = (State::Unknown, None);
                }
                post.outbox.put(&known)?;
            }
            Ok(Some(Told::skipped(job.target, why)))
        }
    }
}

/// Goes on with what was begun: the parts that have arrived are not sent again, and are parts of the text that they were.
fn resumed(new: Entry, known: Option<Entry>) -> Entry {
    let Some(known) = known.filter(|k| k.state != State::Unknown) else { return new };
    let message = if known.receipts.is_empty() { new.message } else { known.message.clone().or(new.message) };
    Entry { message, at: if known.at.contains('T') { known.at.clone() } else { new.at }, ..known }
}

fn instead(
    post: &Post,
    languages: &Languages,
    fallback: &Target,
    new: Entry,
    lost: &str,
) -> Result<Told, Failure> {
    let known = post.outbox.find(&new)?;
    if let Todo::Skip(why) = plan::todo(known.as_ref(), true) {
        return Ok(Told::skipped(fallback, why));
    }
    post.outbox.add(&new)?;
    post.deliver(fallback, languages.of(fallback)?.words(), new, Some(Mark::Instead(lost.to_owned())))
}

/// What waits from before, and nothing new.
pub fn flush(
    post: &Post,
    settings: &Settings,
    languages: &Languages,
    dead: bool,
) -> Result<Vec<Told>, Failure> {
    let _lock = post.outbox.lock(post.wire.context)?;
    let mut waiting = if dead { post.outbox.dead() } else { Vec::new() };
    waiting.extend(post.outbox.waiting());
    let mut told = Vec::new();
    for target in settings.all() {
        // Who asks for it by hand need not wait.
        let ours = waiting.iter().filter(|e| e.channel == target.name).cloned().map(|e| Entry {
            not_before: None,
            at: if e.state == State::Dead { crate::outbox::now() } else { e.at.clone() },
            state: if e.state == State::Dead { State::Waiting } else { e.state },
            ..e
        });
        told.extend(post.flush(target, languages.of(target)?.words(), ours.collect())?);
    }
    Ok(told)
}

/// The outcome of all: good when every required channel was told.
pub fn outcome(told: &[Told], context: &Context, best_effort: bool) -> Result<Outcome, Failure> {
    let list: Value = told.iter().map(Told::value).collect();
    for told in told.iter().filter(|t| !t.required && !t.fate.is_good()) {
        let why = told.failure.as_ref().map_or_else(String::new, |f| f.message.clone());
        context.voice.warn(&format!("{}: {why}", told.name));
    }
    let sent: Vec<String> = told.iter().filter(|t| t.fate == Fate::Sent).map(named).collect();
    let failed: Vec<&Told> = told.iter().filter(|t| t.required && !t.fate.is_good()).collect();
    let Some(failure) = failure(&failed, &sent) else {
        return Ok(if sent.is_empty() {
            let whys: Vec<&str> = told.iter().filter_map(|t| t.why.as_deref()).collect();
            let why = whys.first().map_or("no channel wants this message", |w| w);
            Outcome::skipped(format!("the team was not told again: {why}")).output("channels", list)
        } else {
            Outcome::changed(format!("told {}", sent.join(", "))).output("channels", list)
        });
    };
    if !best_effort {
        return Err(failure.output("channels", list));
    }
    context.voice.warn(&failure.message);
    let summary = format!("not all were told: {}", failure.message);
    let status = if sent.is_empty() { step::Status::Skipped } else { step::Status::Changed };
    Ok(Outcome::new(status, summary).output("channels", list))
}

fn named(told: &Told) -> String {
    if told.repeated { format!("{} (perhaps twice)", told.name) } else { told.name.clone() }
}

/// The first failure speaks; the others stand behind it.
fn failure(failed: &[&Told], sent: &[String]) -> Option<Failure> {
    let mut all = failed.iter().filter_map(|t| Some((t, t.failure.clone()?)));
    let (first, mut failure) = all.next()?;
    failure.message = format!("{}: {}", first.name, failure.message);
    for (told, other) in all {
        failure = failure.cause(format!("{}: {}", told.name, other.message));
        if other.acted == Acted::Unknown {
            failure.acted = Acted::Unknown;
        }
    }
    if !sent.is_empty() {
        failure.message = format!("{} (told: {})", failure.message, sent.join(", "));
        if failure.acted == Acted::No {
            failure.acted = Acted::Yes;
        }
    }
    Some(failure)
}

//! Closing a run that nobody goes on with.

use std::path::Path;

use jiff::Timestamp;
use step::{Answer, Context, Failure};

use crate::args::Settings;
use crate::hand::said;
use crate::keeper::folder::Places;
use crate::lock;
use crate::lock::entry::Lock;
use crate::names::{Name, Scope};
use crate::record::{Record, State};
use crate::remote::{Draft, Index, Pushed, Remote};

/// Closes a run that nobody goes on with.
pub fn abandon(context: &Context, settings: &Settings, run: &str, reason: &str) -> Result<Answer, Failure> {
    let remote = Remote::open(context, settings)?;
    let places = Places::open(&remote.own)?;
    let index = remote.look()?;
    let Known { name, mut record, theirs } = Known::find(&places, &index, run)?;
    if record.is_over() {
        return Ok(said(format!("{name} is closed already")));
    }
    let _hand = places
        .hand(&name)?
        .ok_or_else(|| Failure::temporary("at-work", format!("somebody is at work in {name}")))?;
    let scope = Scope::new(&record.product, &record.environment);
    let held = lock_of(&index, &scope, &name);
    if held.is_some() && !places.is_ours(&name) {
        let next = lock::unlock(&record.environment);
        return Err(
            Failure::refused("at-work", format!("{name} has the lock of {}", record.environment)).next(next)
        );
    }
    let Some(permit) = context.permit() else { return Ok(said(format!("would close {name}: {reason}"))) };
    record.close(State::Abandoned, Timestamp::now());
    record.last =
        Some(crate::record::Last { step: "abandon".into(), said: reason.to_owned(), ..Default::default() });
    let free = held.map(|(id, lock)| freed(id, lock, (&scope, &record.environment), reason));
    write(&remote, &places, &permit, (&record, theirs), free, "abandoned")?;
    Ok(said(closed(&record, reason)))
}

/// A run by its newest word.
pub struct Known {
    pub name: String,
    pub record: Record,
    /// Its entry on the remote.
    pub theirs: Option<String>,
}

impl Known {
    /// The run that somebody names, by its name or its folder.
    pub fn find(places: &Places, index: &Index, run: &str) -> Result<Self, Failure> {
        let name = Path::new(run).file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let theirs = index
            .records()
            .find(|(_, record)| record.run == name)
            .map(|(tip, record)| (tip.id.clone(), record));
        let ours = places.run(&name, false).record().filter(|record| record.run == name);
        let newest = match (&theirs, ours) {
            (Some((_, theirs)), Some(ours)) if !theirs.supersedes(&ours) => Some(ours),
            (Some((_, theirs)), _) => Some(theirs.clone()),
            (None, ours) => ours,
        };
        let missing = || Failure::usage("run", format!("there is no run {name}: rilis-status lists them"));
        let record = newest.ok_or_else(missing)?;
        Ok(Known { name, record, theirs: theirs.map(|(id, _)| id) })
    }
}

/// The lock on the remote, if this run has it.
fn lock_of(index: &Index, scope: &Scope, run: &str) -> Option<(String, Lock)> {
    let tip = index.tip(&Name::Lock(scope.clone()))?;
    let lock = Lock::parse(&tip.message).filter(|lock| lock.held && lock.run == run)?;
    Some((tip.id.clone(), lock))
}

/// The same, given back.
fn freed(id: String, lock: Lock, (scope, environment): (&Scope, &str), reason: &str) -> Draft {
    let lock = Lock { held: false, reason: Some(format!("its run is closed: {reason}")), ..lock };
    Draft {
        name: Name::Lock(scope.clone()),
        before: Some(id),
        message: lock.message(environment),
        files: Vec::new(),
    }
}

/// What is said of a run that is closed now.
fn closed(record: &Record, reason: &str) -> String {
    let sentence = format!("{} is closed: {reason}", record.run);
    if !record.is_paused() {
        return sentence;
    }
    let off = crate::next::maintenance_off(&record.environment);
    format!("{sentence}; it has stopped what customers write, and nobody but you allows it again: {off}")
}

/// Writes a run's record here and on the remote; its documents stay.
pub fn write(
    remote: &Remote,
    places: &Places,
    permit: &step::Permit,
    (record, before): (&Record, Option<String>),
    lock: Option<Draft>,
    what: &str,
) -> Result<(), Failure> {
    let scope = record.scope();
    let folder = places.run(&record.run, false);
    folder.make()?;
    folder.save(record)?;
    let files = match &before {
        Some(id) => remote.documents(id)?,
        None => Vec::new(),
    };
    let message = format!("run {}: {what}\n\n{}\n", record.run, step::redact(&record.line()));
    let draft = Draft { name: Name::Run(scope, record.run.clone()), before, message, files };
    let drafts: Vec<Draft> = lock.into_iter().chain([draft]).collect();
    match remote.put(permit, &drafts)? {
        (Pushed::Done, _) => Ok(()),
        (Pushed::Lost, _) => {
            Err(Failure::temporary("written-elsewhere", "the run was written from elsewhere; run it again"))
        }
    }
}

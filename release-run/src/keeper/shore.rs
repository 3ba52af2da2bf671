//! What a run has on the remote: its lock, its documents, the environment's hold; and what is to be pushed next. One push carries it
//! all, so that each of them is also a proof that the lock is still ours.

use jiff::Timestamp;
use step::{Failure, redact};

use super::folder::Folder;
use crate::lock::Lease;
use crate::lock::entry::{Hold, Lock, Who};
use crate::names::{Name, Scope};
use crate::record::{FILE_LIMIT, Record};
use crate::remote::Draft;

/// What this run has on the remote.
#[derive(Debug)]
pub struct Shore {
    pub scope: Scope,
    pub environment: String,
    pub who: Who,
    /// How long the lock lasts, in seconds.
    pub length: u64,
    pub job: Option<String>,
    pub lease: Lease,
    pub since: Timestamp,
    /// The entries as the remote has them.
    pub lock: Option<String>,
    pub run: Option<String>,
    pub hold: Option<String>,
    /// The hold that was on when the run began.
    pub held: Option<Hold>,
    /// A hold that is to be set or lifted with the next push.
    pub wish: Option<Hold>,
}

impl Shore {
    /// Everything that the next push carries. The lock comes first.
    pub fn drafts(&self, record: &Record, folder: &Folder, keep_lock: bool) -> Result<Vec<Draft>, Failure> {
        let lock = Lock {
            held: keep_lock,
            run: record.run.clone(),
            who: self.who.clone(),
            lease: self.lease.token.clone(),
            generation: self.lease.generation,
            expires: later(self.length),
            length: Some(self.length),
            job: self.job.clone(),
            since: Some(self.since),
            reason: None,
        };
        let mut drafts = vec![self.draft(
            Name::Lock(self.scope.clone()),
            self.lock.as_ref(),
            lock.message(&self.environment),
        )];
        let name = Name::Run(self.scope.clone(), record.run.clone());
        drafts.push(stored(record, folder, self.run.as_ref(), name)?);
        // A hold is lifted by a run that changes something, and not by one that is refused before.
        if let Some(wish) = self.wish.as_ref().filter(|wish| wish.on || record.must_go_on()) {
            let message = wish.message(&self.environment);
            drafts.push(self.draft(Name::Hold(self.scope.clone()), self.hold.as_ref(), message));
        }
        Ok(drafts)
    }

    fn draft(&self, name: Name, before: Option<&String>, message: String) -> Draft {
        Draft { name, before: before.cloned(), message, files: Vec::new() }
    }

    /// The remote has taken a push of so many entries.
    pub fn moved(&mut self, ids: &[String]) {
        let mut ids = ids.iter().cloned();
        self.lock = ids.next();
        self.run = ids.next();
        if let Some(hold) = ids.next() {
            self.hold = Some(hold);
            self.wish = None;
        }
    }
}

/// A run as it is stored on the remote.
pub fn stored(
    record: &Record,
    folder: &Folder,
    before: Option<&String>,
    name: Name,
) -> Result<Draft, Failure> {
    let message = format!("run {}: {:?}\n\n{}\n", record.run, record.state, redact(&record.line()));
    Ok(Draft { name, before: before.cloned(), message, files: files(folder)? })
}

/// A run's documents, without the secrets that are known here: what has been pushed stays.
fn files(folder: &Folder) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let read = |name: String| {
        let text = super::folder::read(&folder.path().join(&name), FILE_LIMIT)?;
        let clean = redact(&text);
        Some((name, clean.into_bytes()))
    };
    Ok(folder.documents().into_iter().filter_map(read).collect())
}

/// Whole seconds are enough for people.
fn later(seconds: u64) -> Timestamp {
    let at = Timestamp::now().as_second().saturating_add(i64::try_from(seconds).unwrap_or(0));
    Timestamp::from_second(at).unwrap_or_default()
}

//! The environment's lock on the remote: whether it may be had, and the push that takes it with the run's first entry.

use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use step::{Acted, Failure, Permit};

use super::begin::Begin;
use super::folder::Folder;
use super::shore::Shore;
use crate::lock::entry::{Hold, Lock};
use crate::lock::{self, Lease, Seen, Turn as LockTurn, lease};
use crate::names::{self, Name, Scope};
use crate::record::Record;
use crate::remote::{Index, Pushed};

/// How often a lock is looked at again after somebody else was faster.
const ATTEMPTS: usize = 3;

impl Begin<'_> {
    /// The environment's lock on the remote, with the run's first entry, in one push.
    pub(super) fn acquire(
        &self,
        record: &Record,
        folder: &Folder,
        index: &Index,
    ) -> Result<(Shore, u64), Failure> {
        let permit = self.context.permit().ok_or_else(|| Failure::bug("a plan takes no lock"))?;
        let file = self.places.lease(&record.run);
        let known = lease::read(&file)?.filter(|k| k.run == record.run);
        let mut newer = None;
        let mut attempts = 0;
        loop {
            let index = newer.as_ref().unwrap_or(index);
            let shore = self.turn(record, index, known.as_ref())?;
            if let Some(taken) = self.take(&permit, record, folder, shore, known.as_ref())? {
                return Ok(taken);
            }
            attempts += 1;
            if attempts == ATTEMPTS {
                let message = format!("{} changes hands too fast; run it again", self.environment);
                return Err(Failure::temporary("locked", message));
            }
            newer = Some(self.remote.look()?);
        }
    }

    /// The hold of the environment, if there is one.
    pub(super) fn held(&self, index: &Index) -> Option<Hold> {
        let hold = index.tip(&Name::Hold(self.scope()));
        let old = index.tip(&Name::OldHold(names::component(&self.environment)));
        hold.or(old).and_then(|tip| Hold::parse(&tip.message))
    }

    /// Whether the lock may be had, and what would be pushed.
    fn turn(&self, record: &Record, index: &Index, known: Option<&Lease>) -> Result<Shore, Failure> {
        let scope = self.scope();
        lock::place::readable(index, &scope, &self.environment)?;
        let hold = index.tip(&Name::Hold(scope.clone()));
        let held = self.held(index);
        if !self.order.despite_hold && self.order.lift_hold.is_none() {
            lock::hold(&self.environment, held.as_ref())?;
        }
        let old = Name::OldLock(names::component(&self.environment));
        if let Some(old) = index.tip(&old) {
            let lock = Lock::parse(&old.message).filter(|lock| lock.held);
            lock::take(
                &self.environment,
                &record.run,
                lock.as_ref(),
                None,
                self.seen(&old.id, lock.as_ref(), &scope),
            )?;
        }
        let tip = index.tip(&Name::Lock(scope.clone()));
        let current = tip.and_then(|tip| Lock::parse(&tip.message));
        let seen = tip.map(|tip| self.seen(&tip.id, current.as_ref(), &scope)).unwrap_or_default();
        let seen = Seen { harmless: taken_harmlessly(index, current.as_ref(), record), ..seen };
        let turn = lock::take(&self.environment, &record.run, current.as_ref(), known, seen)?;
        self.say_taken(&turn, seen);
        let run = index.tip(&Name::Run(scope.clone(), record.run.clone()));
        let lift = self.order.lift_hold.as_ref().filter(|_| held.as_ref().is_some_and(|h| h.on));
        let who = self.remote.who.clone();
        Ok(Shore {
            environment: self.environment.clone(),
            who: who.clone(),
            length: self.settings.lease.as_secs().max(1),
            job: job(),
            lease: self.leased(record, &turn, known),
            since: Timestamp::now(),
            lock: tip.map(|tip| tip.id.clone()),
            run: run.map(|tip| tip.id.clone()),
            hold: hold.map(|tip| tip.id.clone()),
            held: held.filter(|hold| hold.on),
            wish: lift.map(|reason| Hold::now(false, who, reason)),
            scope,
        })
    }

    /// Whose lock is taken over, if it is somebody's.
    fn say_taken(&self, turn: &LockTurn, seen: Seen) {
        let LockTurn::Take { over: Some(over), .. } = turn else { return };
        if seen.dead {
            self.voice.say(&format!("gave back the lock of runs/{over}, which died"));
        } else {
            self.voice.warn(&format!("the time of {over} was over: nobody has renewed its lock"));
        }
    }

    fn leased(&self, record: &Record, turn: &LockTurn, known: Option<&Lease>) -> Lease {
        match (turn, known) {
            (LockTurn::Renew, Some(known)) => known.clone(),
            (turn, _) => {
                let generation = if let LockTurn::Take { generation, .. } = turn { *generation } else { 1 };
                let token = format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()));
                Lease { environment: self.environment.clone(), run: record.run.clone(), token, generation }
            }
        }
    }

    fn seen(&self, entry: &str, current: Option<&Lock>, scope: &Scope) -> Seen {
        let length = self.settings.lease;
        let Some(lock) = current.filter(|lock| lock.held) else { return Seen { length, ..Seen::default() } };
        let noted = |run: &String| lease::read(&self.places.lease(run)).ok().flatten();
        let ours = |run: &String| noted(run).is_some_and(|l| l.token == lock.lease);
        let dead = self.places.leases().iter().any(|run| ours(run) && self.places.is_dead(run));
        let unchanged = self.places.unchanged(&format!("{}-{}", scope.product, scope.environment), entry);
        Seen { unchanged, dead, length, harmless: false }
    }

    /// The note of the lease is written before the lock: a run that is killed in between finds its own lock again.
    fn take(
        &self,
        permit: &Permit,
        record: &Record,
        folder: &Folder,
        mut shore: Shore,
        known: Option<&Lease>,
    ) -> Result<Option<(Shore, u64)>, Failure> {
        let file = self.places.lease(&record.run);
        lease::write(&file, &shore.lease, true)?;
        let wish = shore.wish.take();
        let drafts = shore.drafts(record, folder, true)?;
        let proof = step::keeper::now();
        let put = self.remote.put(permit, &drafts);
        match (&put, known) {
            (Ok((Pushed::Done, ids)), _) => {
                shore.moved(ids);
                shore.wish = wish;
                return Ok(Some((shore, proof)));
            }
            (Err(failure), _) if failure.acted == Acted::Unknown => {}
            // It was never ours: nothing may look as if it had been.
            (_, None) => lease::remove(&file)?,
            (_, Some(known)) => lease::write(&file, known, false)?,
        }
        put.map(|_| None)
    }
}

/// The address of the CI job that we are.
pub fn job() -> Option<String> {
    let of = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let github = || {
        let (server, repository, run) =
            (of("GITHUB_SERVER_URL")?, of("GITHUB_REPOSITORY")?, of("GITHUB_RUN_ID")?);
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    of("CI_JOB_URL").or_else(github).map(|text| step::plain_line(&text))
}

/// Whether the run that has or had the lock, and all that were at work since ours stopped, are known to have changed nothing.
fn taken_harmlessly(index: &Index, lock: Option<&Lock>, ours: &Record) -> bool {
    let Some(lock) = lock else { return false };
    let since: Vec<Record> = index
        .records()
        .map(|(_, run)| run)
        .filter(|run| run.scope() == ours.scope() && run.run != ours.run && run.updated > ours.updated)
        .collect();
    since.iter().any(|run| run.run == lock.run) && since.iter().all(Record::is_harmless)
}

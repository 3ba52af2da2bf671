//! The environment's lock and its hold: read, decide, swap, look again.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use step::{Acted, Failure, Permit};

use crate::args::Wish;
use crate::entry::{Hold, Lock};
use crate::lease;
use crate::plan::{self, Lease, Turn};
use crate::refs::{Moved, Refs};

/// How often a lock is looked at again after somebody else was faster.
const ATTEMPTS: usize = 3;

/// An environment's part of the ledger.
pub struct Place<'a> {
    pub refs: &'a Refs<'a>,
    pub environment: &'a str,
    /// How long a lock lasts.
    pub length: Duration,
}

/// An entry and where it is.
type Found<T> = Option<(String, T)>;

impl Place<'_> {
    /// The lock as it is now.
    pub fn lock(&self) -> Result<Found<Lock>, Failure> {
        self.read("lock", Lock::parse)
    }

    /// The hold as it is now.
    pub fn hold(&self) -> Result<Found<Hold>, Failure> {
        self.read("hold", Hold::parse)
    }

    fn read<T>(&self, kind: &str, parse: fn(&str) -> Option<T>) -> Result<Found<T>, Failure> {
        let name = self.name(kind);
        let Some(entry) = self.refs.tip(&name)? else { return Ok(None) };
        let message = self.refs.message(&entry, &name)?;
        let strange = || {
            let why =
                format!("refs/rilis/{name} on {} is no entry that this program can read", self.refs.remote());
            Failure::refused("entry", why).cause(&message)
        };
        parse(&message).map(|value| Some((entry.clone(), value))).ok_or_else(strange)
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}/{}", self.environment)
    }

    /// Takes the lock for a run, or renews it; a sentence.
    pub fn take(&self, permit: Option<&Permit>, wish: &Wish) -> Result<String, Failure> {
        let held = self.hold()?;
        if !wish.despite_hold && wish.lift_hold.is_none() {
            plan::hold(self.environment, held.as_ref().map(|(_, h)| h))?;
        }
        let known =
            lease::read(&wish.lease)?.filter(|k| k.environment == self.environment && k.run == wish.run);
        for _ in 0..ATTEMPTS {
            let current = self.lock()?;
            let lock = current.as_ref().map(|(_, lock)| lock);
            let turn = plan::lock(self.environment, &wish.run, lock, known.as_ref(), Timestamp::now())?;
            let Some(permit) = permit else {
                return Ok(format!("would lock {} for {}", self.environment, wish.run));
            };
            if self.carry_out(permit, wish, current.as_ref(), known.as_ref(), &turn)? == Moved::Done {
                self.lift_for(permit, wish, held)?;
                return Ok(self.said(&turn, &wish.run));
            }
        }
        let message = format!("{} changes hands too fast; run it again", self.environment);
        Err(Failure::temporary("locked", message))
    }

    /// The file is written before the lock: a run that is killed in between finds its own lock again.
    fn carry_out(
        &self,
        permit: &Permit,
        wish: &Wish,
        current: Option<&(String, Lock)>,
        known: Option<&Lease>,
        turn: &Turn,
    ) -> Result<Moved, Failure> {
        let (token, generation) = match (turn, known) {
            (Turn::Renew | Turn::Keep, Some(known)) => (known.token.clone(), known.generation),
            (Turn::Take { generation, .. }, _) => (token(), *generation),
            _ => return Err(Failure::bug("a lock is renewed that is not known")),
        };
        let ours =
            Lease { environment: self.environment.to_owned(), run: wish.run.clone(), token, generation };
        lease::write(&wish.lease, &ours, true)?;
        let moved = self.put_lock(permit, current.map(|(entry, _)| entry.as_str()), &ours);
        match (&moved, known) {
            (Ok(Moved::Done), _) => {}
            (Err(failure), _) if failure.acted == Acted::Unknown => {}
            // It was never ours: nothing may look as if it had been.
            (_, None) => lease::remove(&wish.lease)?,
            (_, Some(known)) => lease::write(&wish.lease, known, false)?,
        }
        moved
    }

    fn put_lock(&self, permit: &Permit, before: Option<&str>, lease: &Lease) -> Result<Moved, Failure> {
        let lock = Lock {
            held: true,
            run: lease.run.clone(),
            who: self.refs.who.clone(),
            lease: lease.token.clone(),
            generation: lease.generation,
            expires: seconds(Timestamp::now() + self.length),
            reason: None,
        };
        self.put(permit, "lock", before, &lock.message(self.environment))
    }

    fn put(
        &self,
        permit: &Permit,
        kind: &str,
        before: Option<&str>,
        message: &str,
    ) -> Result<Moved, Failure> {
        let tree = self.refs.empty()?;
        self.refs.put(permit, &self.name(kind), before, &tree, message)
    }

    fn lift_for(&self, permit: &Permit, wish: &Wish, held: Found<Hold>) -> Result<(), Failure> {
        match (&wish.lift_hold, held) {
            (Some(reason), Some((_, hold))) if hold.on => self.set_hold(permit, false, reason).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn said(&self, turn: &Turn, run: &str) -> String {
        let environment = self.environment;
        match turn {
            Turn::Take { generation, over: None } => {
                format!("{environment} is locked for {run} (generation {generation})")
            }
            Turn::Take { generation, over: Some(over) } => {
                format!(
                    "{environment} is locked for {run} (generation {generation}); the time of {over} was over"
                )
            }
            _ => format!("{environment} is still locked for {run}"),
        }
    }

    /// Proves that the lock is still the run's, and renews it when it is time.
    pub fn fence(&self, permit: Option<&Permit>, file: &Path) -> Result<String, Failure> {
        let ours = lease::needed(file)?;
        let current = self.lock()?;
        let turn = plan::fence(current.as_ref().map(|(_, l)| l), &ours, self.length, Timestamp::now())?;
        if let (Turn::Renew, Some(permit)) = (turn, permit) {
            let before = current.as_ref().map(|(entry, _)| entry.as_str());
            if self.put_lock(permit, before, &ours)? == Moved::Lost {
                let current = self.lock()?;
                plan::fence(current.as_ref().map(|(_, l)| l), &ours, self.length, Timestamp::now())?;
            }
        }
        Ok(format!("{} is locked for {}", self.environment, ours.run))
    }

    /// Gives the run's own lock back. One that is not its own any more is left alone.
    pub fn give_back(&self, permit: Option<&Permit>, file: &Path) -> Result<String, Failure> {
        let ours = lease::needed(file)?;
        let Some((entry, lock)) = self.lock()?.filter(|(_, l)| l.held && l.lease == ours.token) else {
            lease::write(file, &ours, false)?;
            return Ok(format!("{} was not locked for {} any more", self.environment, ours.run));
        };
        let sentence = self.open(permit, &entry, &Lock { held: false, ..lock })?;
        if permit.is_some() {
            lease::write(file, &ours, false)?;
        }
        Ok(sentence)
    }

    /// Opens somebody else's lock; who did it, and why, is kept.
    pub fn break_open(&self, permit: Option<&Permit>, reason: &str) -> Result<String, Failure> {
        let Some((entry, lock)) = self.lock()?.filter(|(_, l)| l.held) else {
            return Ok(format!("{} is not locked", self.environment));
        };
        let who = self.refs.who.clone();
        self.open(permit, &entry, &Lock { held: false, reason: Some(reason.to_owned()), who, ..lock })
    }

    fn open(&self, permit: Option<&Permit>, entry: &str, lock: &Lock) -> Result<String, Failure> {
        let (environment, run) = (self.environment, &lock.run);
        let Some(permit) = permit else { return Ok(format!("would open {environment}, locked for {run}")) };
        match self.put(permit, "lock", Some(entry), &lock.message(environment))? {
            Moved::Done => Ok(format!("{environment} is open again; it was locked for {run}")),
            Moved::Lost => {
                let message = format!("the lock of {environment} has changed in the meantime; look again");
                Err(Failure::temporary("locked", message))
            }
        }
    }

    /// Puts the environment on hold, or lifts it. On hold already stays as it was.
    pub fn set_hold(&self, permit: &Permit, on: bool, reason: &str) -> Result<String, Failure> {
        let environment = self.environment;
        let current = self.hold()?;
        let is_on = current.as_ref().is_some_and(|(_, h)| h.on);
        if is_on == on {
            return Ok(format!("{environment} is {} hold already", if on { "on" } else { "not on" }));
        }
        let who = self.refs.who.clone();
        let hold = Hold { on, who, since: seconds(Timestamp::now()), reason: reason.to_owned() };
        let before = current.as_ref().map(|(entry, _)| entry.as_str());
        match self.put(permit, "hold", before, &hold.message(environment))? {
            Moved::Done if on => Ok(format!("{environment} is on hold: {reason}")),
            Moved::Done => Ok(format!("the hold of {environment} is lifted: {reason}")),
            Moved::Lost => {
                let message = format!("the hold of {environment} has changed in the meantime; look again");
                Err(Failure::temporary("locked", message))
            }
        }
    }
}

/// Whole seconds are enough for people.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Something that nobody else has. The standard library seeds its hasher from the system's random source.
fn token() -> String {
    format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()))
}

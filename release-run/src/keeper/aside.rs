//! Runs that change nothing: plans, which are about the run that would be gone on with, and those that ended elsewhere and are only looked at.

use jiff::Timestamp;
use step::Failure;

use super::begin::{Begin, Begun, rolled_back, unfinished};
use super::folder::Folder;
use crate::lock;
use crate::lock::entry::Lock;
use crate::names::Name;
use crate::plan::Trust;
use crate::record::{FILE_LIMIT, Record};
use crate::remote::Index;
use crate::resume::{Turn, Wanted};

impl Begin<'_> {
    /// What a plan is about: the run that would be gone on with, or a new one; and what would be in the way.
    pub(super) fn planned(&self, turn: &Turn, wanted: &Wanted, now: Timestamp) -> (Record, Trust) {
        match turn {
            Turn::Resume(run) => {
                self.voice.say(&format!("without -n this goes on with runs/{}", run.run));
                return ((*run).clone(), self.trust(run));
            }
            Turn::EndedBefore(done) => {
                let run = &done.run;
                self.voice.say(&format!(
                    "runs/{run} is finished, so that there is nothing to do: this is what --again would do"
                ));
            }
            Turn::RolledBackSince { done, by } => self.refused_without_plan(&rolled_back(done, by)),
            Turn::Unfinished(run) => self.refused_without_plan(&unfinished(run)),
            Turn::New | Turn::Instead(_) => {}
        }
        (self.opened(wanted, now), Trust::Own)
    }

    pub(super) fn refused_without_plan(&self, failure: &Failure) {
        self.voice.warn(&format!("without -n this is refused: {}", failure.message));
    }

    /// A run that changes nothing, and of which nothing is kept but for people to read: a plan, or one that `ended` elsewhere.
    pub(super) fn aside(
        &self,
        record: Record,
        index: &Index,
        trust: Trust,
        ended: bool,
    ) -> Result<Begun, Failure> {
        let folder = self.places.run(&record.run, true);
        folder.clear();
        folder.make()?;
        if record.serial > 0 && !ended {
            self.copy(&record, &folder, index)?;
        }
        folder.save(&record)?;
        self.places.prune_plans();
        let (hand, shore, proof, all) = (None, None, 0, Vec::new());
        Ok(Begun { record, folder, hand, shore, proof, all, trust, ended })
    }

    /// The documents of a run that a plan would go on with.
    pub(super) fn copy(&self, record: &Record, to: &Folder, index: &Index) -> Result<(), Failure> {
        let ours = self.places.run(&record.run, false);
        if self.is_newest_here(record) {
            for name in ours.documents() {
                if let Some(text) = super::folder::read(&ours.path().join(&name), FILE_LIMIT) {
                    to.write(&name, text.as_bytes())?;
                }
            }
            return Ok(());
        }
        self.bring(record, to, index)
    }

    /// A plan takes no lock, and says what would be in the way of one.
    pub(super) fn forewarn(&self, index: &Index) {
        let scope = self.scope();
        for (run, reason) in self.places.owed() {
            let record = self.places.run(&run, false).record();
            if record.is_none_or(|r| r.scope() != scope) {
                continue;
            }
            self.voice.warn(&format!("runs/{run} is not on the remote: without -n this stores it"));
            if let Some(reason) = reason {
                let then = if self.order.despite_hold { "" } else { ", and is refused because of that" };
                self.voice
                    .warn(&format!("without -n this puts {} on hold{then}: {reason}", self.environment));
            }
        }
        if !self.order.despite_hold
            && self.order.lift_hold.is_none()
            && let Err(failure) = lock::hold(&self.environment, self.held(index).as_ref())
        {
            self.voice.warn(&format!("without -n this is refused: {}", failure.message));
        }
        let lock = index.tip(&Name::Lock(self.scope()));
        let lock = lock.and_then(|tip| Lock::parse(&tip.message)).filter(|lock| lock.held);
        // Of one that died here the next run takes the lock back.
        let is_dead = |lock: &Lock| self.places.is_ours(&lock.run) && self.places.is_dead(&lock.run);
        if let Some(lock) = lock.filter(|lock| !is_dead(lock)) {
            let (environment, run) = (&self.environment, &lock.run);
            self.voice.warn(&format!("{} is at work in {environment} now, with {run}", lock.who));
        }
    }
}

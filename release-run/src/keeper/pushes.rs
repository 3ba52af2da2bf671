//! What a run at work sends to the remote, and what comes back: each push carries everything there is, and is a proof of the lock.

use step::keeper::now;

use super::Loop;
use super::session::Session;
use crate::lock;
use crate::lock::entry::{Hold, Lock};
use crate::names::Name;
use crate::remote::{Pushed, Put, Tip};

/// A proof that is older than this is renewed before the first step that customers see.
const FRESH: u64 = 2_000_000_000;

impl Session<'_> {
    /// It is time to prove that the lock is ours.
    pub fn renew(&mut self, turn: &mut Loop) {
        if !turn.in_flight && self.lost.is_none() {
            self.push(turn);
        }
    }

    /// Before the first change that customers may see: that the run begins it is on its way to the remote, the lock is proven as of a moment
    /// ago, and a hold that this run sets or lifts is set or lifted.
    pub fn prove(&mut self, turn: &mut Loop) {
        let fresh = now().saturating_sub(self.proof) < FRESH;
        self.settle(turn);
        if self.lost.is_some() {
            return;
        }
        let holds = self.shore.as_ref().is_some_and(|shore| shore.wish.is_some());
        self.push(turn);
        if !fresh || holds {
            self.settle(turn);
        }
    }

    /// Everything there is goes to the remote, and comes back as a proof.
    pub fn push(&mut self, turn: &mut Loop) {
        self.tried = now();
        let Some(shore) = &self.shore else { return };
        match shore.drafts(&self.record, &self.folder, true) {
            Ok(drafts) => turn.push(drafts),
            Err(failure) => self.keeper.voice.warn(&failure.message),
        }
    }

    /// Waits for the push that is on its way; whether the remote has taken it.
    pub fn settle(&mut self, turn: &mut Loop) -> bool {
        turn.settled().is_some_and(|(sent, put)| self.put_came(sent, put))
    }

    /// A push has come to its end; whether the remote has taken it.
    pub fn put_came(&mut self, sent: u64, put: Put) -> bool {
        let done = matches!(put, Ok((Pushed::Done, _)));
        match put {
            Ok((Pushed::Done, ids)) => {
                self.proof = sent;
                self.doubt = false;
                if let Some(shore) = &mut self.shore {
                    shore.moved(&ids);
                }
            }
            Ok((Pushed::Lost, _)) => self.overtaken(),
            Err(failure) => {
                if !self.doubt {
                    let shown = self.folder.shown();
                    self.keeper.voice.warn(&format!(
                        "the documents of {shown} are only here, not on the remote: {}",
                        failure.message
                    ));
                }
                self.doubt = true;
            }
        }
        self.lend();
        done
    }

    /// The remote has something else: is it the lock?
    fn overtaken(&mut self) {
        let Some(shore) = &mut self.shore else { return };
        let Ok(index) = self.keeper.remote.index() else { return };
        let find = |name: Name| index.tip(&name);
        let lock = find(Name::Lock(shore.scope.clone()));
        let current = lock.and_then(|tip| Lock::parse(&tip.message));
        if let Err(failure) = lock::fence(current.as_ref(), &shore.lease) {
            self.lost = Some(failure.message.clone());
            return;
        }
        // Only the hold, or our own entry after an answer that was lost: the next push follows what is there.
        let hold = find(Name::Hold(shore.scope.clone()));
        let id = |tip: Option<&Tip>| tip.map(|tip| tip.id.clone());
        shore.lock = id(lock);
        shore.run = id(find(Name::Run(shore.scope.clone(), self.record.run.clone())));
        // The hold that this run may lift is the one that was there when somebody said so.
        let lifts = shore.wish.as_ref().is_some_and(|wish| !wish.on) && shore.hold != id(hold);
        shore.hold = id(hold);
        let held = hold.and_then(|tip| Hold::parse(&tip.message));
        if let (true, Err(failure)) = (lifts, lock::hold(&shore.environment, held.as_ref())) {
            shore.wish = None;
            self.held = Some(failure.message.clone());
        }
    }
}

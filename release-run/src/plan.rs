//! Whether a step runs (again), and with what. Pure; the whole policy of resuming is this table.

use clap::ValueEnum;

use crate::record::Changes;

/// When a step runs again in a run that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Once in a run: it changes something, or what it saw would look different afterwards.
    Once,
    /// In each attempt.
    Always,
    /// In each attempt, until a step that changes what customers see may have changed something.
    UntilChanged,
    /// The same, for a decision: that nobody writes meanwhile is not yet acting on it.
    UntilActed,
}

/// What there is of a step from an attempt before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// Its document.
    Done,
    /// A document with a failure.
    Failed,
}

/// How things stand when a step is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    pub before: Before,
    pub plan: bool,
    /// A step that changes what customers see may have changed something in this run.
    pub changed: bool,
    /// Whether the lock is needed, and proven.
    pub lock: Proof,
    pub changes: Changes,
    /// It is the first step of the run.
    pub first: bool,
    /// What was done lies here only by the remote's word, and nothing proves it but the outside: each step looks for itself.
    pub foreign: bool,
}

/// What is known of the environment's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is ours.
    Proven,
    /// A renewal failed, or its time is over.
    Unproven,
    /// Somebody else has it.
    Lost,
    /// The run goes without it, for a reason.
    Without,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was done before; its document is the last one now.
    Skip,
    /// It runs on the last document, or opens one.
    Run,
    /// It runs on its own document of the attempt before: the first step keeps the document's id.
    RunOnOwn,
    /// It changes something, and that the lock is ours is not proven.
    Stop,
    /// Somebody else has the lock: nothing more is done, and there is nothing to tell.
    Lost,
}

/// Decides.
pub fn step(when: When, stand: Stand) -> Decision {
    let done = stand.before == Before::Done;
    let again = match when {
        _ if stand.foreign => true,
        When::Once => false,
        When::Always => true,
        When::UntilChanged | When::UntilActed => !stand.changed,
    };
    if done && !again && !stand.plan {
        return Decision::Skip;
    }
    if stand.changes != Changes::No && !stand.plan {
        match stand.lock {
            Proof::Proven | Proof::Without => {}
            Proof::Unproven => return Decision::Stop,
            Proof::Lost => return Decision::Lost,
        }
    }
    if done && stand.first { Decision::RunOnOwn } else { Decision::Run }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHENS: [When; 4] = [When::Once, When::Always, When::UntilChanged, When::UntilActed];
    const BEFORE: [Before; 3] = [Before::Nothing, Before::Done, Before::Failed];
    const PROOFS: [Proof; 4] = [Proof::Proven, Proof::Unproven, Proof::Lost, Proof::Without];
    const CHANGES: [Changes; 4] = [Changes::No, Changes::Aside, Changes::Pause, Changes::Customers];

    /// Every combination there is: 4 x 3 x 2 x 2 x 4 x 4 x 2 x 2.
    fn all() -> Vec<(When, Stand)> {
        let mut all = Vec::new();
        let flags = [false, true];
        for when in WHENS {
            for before in BEFORE {
                for plan in flags {
                    for changed in flags {
                        for lock in PROOFS {
                            for changes in CHANGES {
                                for first in flags {
                                    for foreign in flags {
                                        let stand =
                                            Stand { before, plan, changed, lock, changes, first, foreign };
                                        all.push((when, stand));
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn nothing_is_changed_without_a_proven_lock() {
        for (when, stand) in all() {
            let decision = step(when, stand);
            let runs = matches!(decision, Decision::Run | Decision::RunOnOwn);
            if stand.changes != Changes::No
                && !stand.plan
                && matches!(stand.lock, Proof::Unproven | Proof::Lost)
            {
                assert!(!runs, "{when:?} {stand:?}");
            }
            if decision == Decision::Lost {
                assert_eq!(stand.lock, Proof::Lost, "{when:?} {stand:?}");
            }
        }
    }

    #[test]
    fn only_what_is_done_is_skipped_and_a_plan_says_everything() {
        for (when, stand) in all() {
            if step(when, stand) == Decision::Skip {
                assert!(
                    stand.before == Before::Done && !stand.plan && when != When::Always && !stand.foreign,
                    "{when:?} {stand:?}"
                );
            }
        }
    }

    #[test]
    fn what_failed_runs_again_on_the_last_document() {
        for (when, stand) in
            all().into_iter().filter(|(_, s)| s.before == Before::Failed && s.changes == Changes::No)
        {
            assert_eq!(step(when, stand), Decision::Run, "{when:?} {stand:?}");
        }
    }

    #[test]
    fn a_step_that_changes_something_runs_once_and_one_that_looks_until_it_is_too_late() {
        let stand = |changed| Stand {
            before: Before::Done,
            plan: false,
            changed,
            lock: Proof::Proven,
            changes: Changes::No,
            first: false,
            foreign: false,
        };
        for (when, before_change, after) in [
            (When::Once, Decision::Skip, Decision::Skip),
            (When::Always, Decision::Run, Decision::Run),
            (When::UntilChanged, Decision::Run, Decision::Skip),
            (When::UntilActed, Decision::Run, Decision::Skip),
        ] {
            assert_eq!(
                (step(when, stand(false)), step(when, stand(true))),
                (before_change, after),
                "{when:?}"
            );
        }
        // What another machine says it has done is done again.
        let foreign = Stand { foreign: true, changes: Changes::Customers, ..stand(true) };
        assert_eq!(step(When::Once, foreign), Decision::Run);
        assert_eq!(step(When::Always, Stand { first: true, ..stand(false) }), Decision::RunOnOwn);
    }
}

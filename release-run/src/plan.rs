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
    pub trust: Trust,
}

/// How far the documents of an attempt before are believed. What another machine has written down lies here by the remote's word, and
/// whoever may push there can write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They are ours, or signed.
    Own,
    /// The outside says the same of what was changed: what prepared it is not done again, what customers see is.
    Agreed,
    /// Each step holds its own document against the outside: a rollback.
    HeldAgainst,
    /// Not at all: every step runs again, and only the document's id is kept, by which steps find again what they have made.
    None,
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
        _ if matches!(stand.trust, Trust::HeldAgainst | Trust::None) => true,
        _ if stand.trust == Trust::Agreed && stand.changes >= Changes::Pause => true,
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

    const TRUSTS: [Trust; 4] = [Trust::Own, Trust::Agreed, Trust::HeldAgainst, Trust::None];

    /// Every combination there is: 4 x 3 x 2 x 2 x 4 x 4 x 2 x 4.
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
                                    for trust in TRUSTS {
                                        let stand =
                                            Stand { before, plan, changed, lock, changes, first, trust };
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
                    stand.before == Before::Done && !stand.plan && when != When::Always,
                    "{when:?} {stand:?}"
                );
                let believed = match stand.trust {
                    Trust::Own => true,
                    Trust::Agreed => stand.changes < Changes::Pause,
                    Trust::HeldAgainst | Trust::None => false,
                };
                assert!(believed, "{when:?} {stand:?}");
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
            trust: Trust::Own,
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
        let of = |trust, changes, first| step(When::Once, Stand { trust, changes, first, ..stand(true) });
        assert_eq!(of(Trust::HeldAgainst, Changes::Customers, false), Decision::Run);
        assert_eq!(of(Trust::HeldAgainst, Changes::No, true), Decision::RunOnOwn);
        assert_eq!(of(Trust::None, Changes::Aside, false), Decision::Run);
        assert_eq!(of(Trust::Agreed, Changes::Customers, false), Decision::Run);
        assert_eq!(
            of(Trust::Agreed, Changes::Aside, false),
            Decision::Skip,
            "what prepared it is not done twice"
        );
        assert_eq!(step(When::Always, Stand { first: true, ..stand(false) }), Decision::RunOnOwn);
    }
}

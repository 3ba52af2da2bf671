//! Whether a run may have the lock, keep it, or act at all. Pure.

use std::time::Duration;

#[cfg(test)]
use jiff::Timestamp;
use step::Failure;

pub mod entry;
pub mod lease;
pub mod place;

use entry::{Hold, Lock};

/// How long a lock of an earlier version lasts after each renewal.
const OLD_LENGTH: Duration = Duration::from_secs(3600);

/// What this run knows of its own lock, from the time it last had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub environment: String,
    pub run: String,
    pub token: String,
    pub generation: u64,
}

/// What to do about the lock.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Take it, with this generation. `over` names the run whose time was over.
    Take { generation: u64, over: Option<String> },
    /// It is this run's already: set its end anew.
    Renew,
}

/// What is known beside the entry itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How long its entry has been the same, as this machine has seen it, by no clock of anybody.
    pub unchanged: Duration,
    /// It is of a run that died on this machine.
    pub dead: bool,
    /// Whoever had it since is known to have changed nothing.
    pub harmless: bool,
    /// How long a lock lasts by our own settings.
    pub length: Duration,
}

/// Whether a run may take the lock. `known` is what it noted when it last had it.
pub fn take(
    environment: &str,
    run: &str,
    current: Option<&Lock>,
    known: Option<&Lease>,
    seen: Seen,
) -> Result<Turn, Failure> {
    let Some(lock) = current else { return Ok(Turn::Take { generation: 1, over: None }) };
    if lock.held && known.is_some_and(|k| k.token == lock.lease) {
        return Ok(Turn::Renew);
    }
    // Whoever had it in between may have changed what this run has seen.
    let between = known.is_some_and(|k| k.generation <= lock.generation) && !seen.harmless;
    if lock.run != run && between && !seen.dead {
        let message = format!(
            "{} has been at work in {environment} since this run stopped, so what it saw is stale; begin again with --again",
            lock.run
        );
        return Err(Failure::refused("stale", message));
    }
    let take = |over| Ok(Turn::Take { generation: lock.generation + 1, over });
    if !lock.held {
        return take(None);
    }
    let length = lock.length.map_or(OLD_LENGTH, Duration::from_secs).max(seen.length);
    if seen.dead || seen.unchanged >= length {
        return take(Some(lock.run.clone()));
    }
    Err(busy(environment, lock, length.saturating_sub(seen.unchanged)))
}

/// Somebody is at work: who, where, for what, since when, and how to open it.
fn busy(environment: &str, lock: &Lock, left: Duration) -> Failure {
    let since = lock.since.map(|s| format!(" since {s}")).unwrap_or_default();
    let job = lock.job.as_ref().map(|j| format!(" ({j})")).unwrap_or_default();
    let message = format!(
        "{environment} is locked by {}{job} for {}{since} until {}; wait (--lock-wait), or open it if nobody is at work there. \
         If it is not renewed, it can be taken over in {} s",
        lock.who,
        lock.run,
        lock.expires,
        left.as_secs() + 1
    );
    Failure::temporary("locked", message).next(unlock(environment))
}

/// The command that opens a lock.
pub fn unlock(environment: &str) -> String {
    let words = ["release-run", "unlock", "--env", environment, "--reason", step::REASON];
    step::shell::command(words)
}

/// Whether a run still has the lock.
pub fn fence(current: Option<&Lock>, lease: &Lease) -> Result<(), Failure> {
    let environment = &lease.environment;
    let lost = |who: String| {
        let message =
            format!("this run does not have the lock of {environment} any more ({who}): it changes nothing");
        Err(Failure::refused("superseded", message))
    };
    match current {
        Some(lock) if lock.held && lock.lease == lease.token => Ok(()),
        Some(lock) if lock.held => lost(format!("{} has it for {}", lock.who, lock.run)),
        Some(Lock { reason: Some(reason), who, .. }) => lost(format!("{who} opened it: {reason}")),
        _ => lost("it was given back".to_owned()),
    }
}

/// Whether a hold allows a release.
pub fn hold(environment: &str, hold: Option<&Hold>) -> Result<(), Failure> {
    let Some(hold) = hold.filter(|h| h.on) else { return Ok(()) };
    let message = format!(
        "{environment} is on hold since {} by {}: {}; a release needs --lift-hold REASON",
        hold.since, hold.who, hold.reason
    );
    Err(Failure::refused("on-hold", message))
}

#[cfg(test)]
mod tests {
    use super::entry::Who;
    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T09:00:00Z".parse().expect("a time")
    }

    fn held(run: &str, token: &str, generation: u64) -> Lock {
        Lock {
            held: true,
            run: run.into(),
            who: Who { holder: "Rina <r@x>".into(), host: "laptop".into() },
            lease: token.into(),
            generation,
            expires: now(),
            length: Some(300),
            job: None,
            since: None,
            reason: None,
        }
    }

    fn lease(run: &str, token: &str, generation: u64) -> Lease {
        Lease { environment: "production".into(), run: run.into(), token: token.into(), generation }
    }

    fn may(run: &str, current: Option<&Lock>, known: Option<&Lease>, seconds: u64) -> Result<Turn, String> {
        let seen = Seen {
            unchanged: Duration::from_secs(seconds),
            length: Duration::from_secs(300),
            ..Seen::default()
        };
        take("production", run, current, known, seen).map_err(|f| f.reason.clone())
    }

    #[test]
    fn a_free_lock_is_taken_and_the_number_grows() {
        assert_eq!(may("b", None, None, 0), Ok(Turn::Take { generation: 1, over: None }));
        let free = Lock { held: false, ..held("a", "t", 4) };
        assert_eq!(may("b", Some(&free), None, 0), Ok(Turn::Take { generation: 5, over: None }));
    }

    #[test]
    fn somebody_else_s_lock_is_respected_until_its_entry_was_the_same_for_a_lease() {
        for (seconds, length, expected) in [
            (0, Some(300), Err("locked".to_owned())),
            (299, Some(300), Err("locked".into())),
            (300, Some(300), Ok(Turn::Take { generation: 5, over: Some("a".into()) })),
            // Its own length counts where it is longer than ours, and ours where it is shorter.
            (300, Some(600), Err("locked".into())),
            (60, Some(10), Err("locked".into())),
            (3599, None, Err("locked".into())),
            (3600, None, Ok(Turn::Take { generation: 5, over: Some("a".into()) })),
        ] {
            let lock = Lock { length, ..held("a", "t", 4) };
            assert_eq!(may("b", Some(&lock), None, seconds), expected, "{seconds} {length:?}");
        }
    }

    #[test]
    fn a_dead_run_s_lock_is_taken_at_once() {
        let seen =
            Seen { unchanged: Duration::ZERO, dead: true, harmless: false, length: Duration::from_secs(300) };
        let turn = take("production", "b", Some(&held("a", "t", 4)), None, seen).expect("taken");
        assert_eq!(turn, Turn::Take { generation: 5, over: Some("a".into()) });
    }

    #[test]
    fn a_run_that_goes_on_has_its_own_lock_again() {
        assert_eq!(may("a", Some(&held("a", "t", 4)), Some(&lease("a", "t", 4)), 0), Ok(Turn::Renew));
        let free = Lock { held: false, ..held("a", "t", 4) };
        let again = Ok(Turn::Take { generation: 5, over: None });
        assert_eq!(may("a", Some(&free), Some(&lease("a", "t", 4)), 0), again);
        // The same run at work on another machine.
        assert_eq!(may("a", Some(&held("a", "t", 4)), None, 0), Err("locked".into()));
    }

    #[test]
    fn a_stale_run_never_goes_on() {
        let free = Lock { held: false, ..held("b", "u", 5) };
        for lock in [free, held("b", "u", 5), held("b", "u", 4)] {
            assert_eq!(
                may("a", Some(&lock), Some(&lease("a", "t", 4)), 9999),
                Err("stale".into()),
                "{lock:?}"
            );
        }
    }

    #[test]
    fn only_who_has_the_lock_passes_the_fence() {
        let pass = |lock: Option<&Lock>| fence(lock, &lease("a", "t", 4)).map_err(|f| f.reason.clone());
        assert_eq!(pass(Some(&held("a", "t", 4))), Ok(()));
        let free = Lock { held: false, ..held("a", "t", 4) };
        for lock in [None, Some(&free), Some(&held("b", "u", 5)), Some(&held("a", "u", 5))] {
            assert_eq!(pass(lock), Err("superseded".into()), "{lock:?}");
        }
    }

    #[test]
    fn a_hold_refuses_until_it_is_lifted() {
        let who = Who { holder: "Rina <r@x>".into(), host: "laptop".into() };
        let on = Hold { on: true, who, since: now(), reason: "rolled back".into() };
        let lifted = Hold { on: false, ..on.clone() };
        assert!(hold("production", None).is_ok() && hold("production", Some(&lifted)).is_ok());
        assert_eq!(hold("production", Some(&on)).expect_err("on").reason, "on-hold");
    }
}

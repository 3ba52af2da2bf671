//! Whether a run may have the lock, keep it, or act at all. Pure.

use std::time::Duration;

use jiff::Timestamp;
use step::Failure;

use crate::entry::{Hold, Lock};

/// Clocks of two machines differ a little.
const SLACK: Duration = Duration::from_secs(60);

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
    /// It is this run's, and has time enough.
    Keep,
}

/// Whether a run may take the lock. `known` is what it noted when it last had it.
pub fn lock(
    environment: &str,
    run: &str,
    current: Option<&Lock>,
    known: Option<&Lease>,
    now: Timestamp,
) -> Result<Turn, Failure> {
    let Some(lock) = current else { return Ok(Turn::Take { generation: 1, over: None }) };
    if lock.held && known.is_some_and(|k| k.token == lock.lease) {
        return Ok(Turn::Renew);
    }
    // Whoever had it in between may have changed what this run has seen.
    if lock.run != run && known.is_some_and(|k| k.generation <= lock.generation) {
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
    if now > lock.expires + SLACK {
        return take(Some(lock.run.clone()));
    }
    let message = format!(
        "{environment} is locked by {} for {} until {}; wait, or open it if nobody is at work there",
        lock.who, lock.run, lock.expires
    );
    let next = ["release-ledger", "unlock", "--env", environment, "--reason", "why nobody is at work there"];
    Err(Failure::temporary("locked", message).command(next))
}

/// Whether a run still has the lock: asked before every change.
pub fn fence(
    current: Option<&Lock>,
    lease: &Lease,
    length: Duration,
    now: Timestamp,
) -> Result<Turn, Failure> {
    let environment = &lease.environment;
    let lost = |who: String| {
        let message =
            format!("this run does not have the lock of {environment} any more ({who}): it changes nothing");
        Err(Failure::refused("superseded", message))
    };
    match current {
        Some(lock) if lock.held && lock.lease == lease.token => {
            let half = now + length / 2;
            Ok(if lock.expires < half { Turn::Renew } else { Turn::Keep })
        }
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
    use super::*;
    use crate::entry::Who;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn now() -> Timestamp {
        at("2026-11-25T09:00:00Z")
    }

    fn held(run: &str, token: &str, generation: u64, expires: &str) -> Lock {
        let who = Who { holder: "Rina <r@x>".into(), host: "laptop".into() };
        Lock {
            held: true,
            run: run.into(),
            who,
            lease: token.into(),
            generation,
            expires: at(expires),
            reason: None,
        }
    }

    fn lease(run: &str, token: &str, generation: u64) -> Lease {
        Lease { environment: "production".into(), run: run.into(), token: token.into(), generation }
    }

    fn may(run: &str, current: Option<&Lock>, known: Option<&Lease>) -> Result<Turn, String> {
        lock("production", run, current, known, now()).map_err(|f| f.reason.clone())
    }

    const LATER: &str = "2026-11-25T09:30:00Z";
    const LONG_AGO: &str = "2026-11-25T08:00:00Z";

    #[test]
    fn a_free_lock_is_taken_and_the_number_grows() {
        assert_eq!(may("b", None, None), Ok(Turn::Take { generation: 1, over: None }));
        let free = Lock { held: false, ..held("a", "t", 4, LATER) };
        assert_eq!(may("b", Some(&free), None), Ok(Turn::Take { generation: 5, over: None }));
    }

    #[test]
    fn somebody_else_s_lock_is_respected_until_its_time_is_over() {
        assert_eq!(may("b", Some(&held("a", "t", 4, LATER)), None), Err("locked".into()));
        let just_over = held("a", "t", 4, "2026-11-25T08:59:30Z");
        assert_eq!(may("b", Some(&just_over), None), Err("locked".into()), "clocks differ");
        let over = Ok(Turn::Take { generation: 5, over: Some("a".into()) });
        assert_eq!(may("b", Some(&held("a", "t", 4, LONG_AGO)), None), over);
    }

    #[test]
    fn a_run_that_goes_on_has_its_own_lock_again() {
        assert_eq!(may("a", Some(&held("a", "t", 4, LATER)), Some(&lease("a", "t", 4))), Ok(Turn::Renew));
        assert_eq!(may("a", Some(&held("a", "t", 4, LONG_AGO)), Some(&lease("a", "t", 4))), Ok(Turn::Renew));
        let free = Lock { held: false, ..held("a", "t", 4, LATER) };
        let again = Ok(Turn::Take { generation: 5, over: None });
        assert_eq!(may("a", Some(&free), Some(&lease("a", "t", 4))), again);
        // The same run at work on another machine.
        assert_eq!(may("a", Some(&held("a", "t", 4, LATER)), None), Err("locked".into()));
    }

    #[test]
    fn a_stale_run_never_goes_on() {
        let free = Lock { held: false, ..held("b", "u", 5, LATER) };
        for lock in [free, held("b", "u", 5, LATER), held("b", "u", 5, LONG_AGO), held("b", "u", 4, LATER)] {
            assert_eq!(may("a", Some(&lock), Some(&lease("a", "t", 4))), Err("stale".into()), "{lock:?}");
        }
    }

    #[test]
    fn only_who_has_the_lock_passes_the_fence() {
        let pass = |lock: Option<&Lock>| {
            fence(lock, &lease("a", "t", 4), Duration::from_secs(3600), now()).map_err(|f| f.reason.clone())
        };
        assert_eq!(pass(Some(&held("a", "t", 4, "2026-11-25T09:40:00Z"))), Ok(Turn::Keep));
        assert_eq!(pass(Some(&held("a", "t", 4, "2026-11-25T09:20:00Z"))), Ok(Turn::Renew));
        assert_eq!(pass(Some(&held("a", "t", 4, LONG_AGO))), Ok(Turn::Renew), "nobody has taken it");
        let free = Lock { held: false, ..held("a", "t", 4, LATER) };
        for lock in [None, Some(&free), Some(&held("b", "u", 5, LATER)), Some(&held("a", "u", 5, LATER))] {
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

//! Generated fleets: real Varnish, nginx and Squid behind a real HAProxy or a list of addresses; pages that vary, end, come and go;
//! purges that lie, and a crowd of customers that goes on asking. After `observed` nobody may get an old page; honest fleets must be observed, lying ones never.
//!
//! `FLEETS=1000` (`make sweep-cdn`) for as many; 40 otherwise.

#![allow(
    clippy::print_stderr,
    reason = "the figures of a sweep, and the fleets that were not as they should be"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::fleets::Ground;
use crate::fleets::fleet::{Fleet, Lie};

/// Fleets at the same time.
const THREADS: usize = 4;

/// What came of one.
struct Outcome {
    fleet: Fleet,
    observed: bool,
    old: usize,
    told: String,
}

#[test]
fn after_observed_nobody_gets_an_old_page() {
    let count: usize = std::env::var("FLEETS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let first: usize = std::env::var("FLEET").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let ground = Ground::start(first..first + count);
    let (next, outcomes) = (AtomicUsize::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= first + count {
                        break;
                    }
                    let outcome = tried(&ground, Fleet::generated(n));
                    outcomes.lock().expect("outcomes").push(outcome);
                }
            });
        }
    });
    judged(&outcomes.into_inner().expect("outcomes"));
}

fn tried(ground: &Arc<Ground>, fleet: Fleet) -> Outcome {
    ground.warm(&fleet);
    ground.release(&fleet);
    let (observed, told) = ground.purged(&fleet);
    let old = ground.crowd(&fleet);
    Outcome { fleet, observed, old, told }
}

impl Outcome {
    fn is_honest(&self) -> bool {
        self.fleet.lie == Lie::None
    }

    /// Whether `observed` is too much: somebody got an old page, or would have from another cache, or could have in a form of his own.
    fn is_wrong(&self) -> bool {
        // What ends by itself is no lie in the end; and a cache may have been left out that nobody is sent to.
        let lied = !self.is_honest() && !self.fleet.is_fixed() && !self.fleet.is_ended();
        self.observed && (self.old > 0 || lied || self.fleet.is_blind())
    }

    /// Whether less was said than can be known.
    fn is_shy(&self) -> bool {
        self.is_honest() && self.fleet.is_plain() && !self.observed
    }
}

fn judged(outcomes: &[Outcome]) {
    let count = |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| is(o)).count();
    for outcome in outcomes.iter().filter(|o| o.is_wrong() || o.is_shy()) {
        eprintln!(
            "{:?}: observed {}, {} old answers: {}",
            outcome.fleet, outcome.observed, outcome.old, outcome.told
        );
    }
    let plain = count(&|o| o.is_honest() && o.fleet.is_plain());
    let (lying, wrong) = (count(&|o| !o.is_honest()), count(&Outcome::is_wrong));
    let (seen, caught) = (plain - count(&Outcome::is_shy), count(&|o| !o.is_honest() && o.old > 0));
    eprintln!(
        "{} fleets: {seen} of {plain} honest ones observed, {wrong} observed wrongly; {caught} of {lying} lying ones served the crowd old pages",
        outcomes.len()
    );
    assert_eq!(wrong, 0, "observed, and the crowd got old pages (or the purge had lied)");
    assert!(seen * 100 >= plain * 95, "{seen} of {plain} honest fleets were observed");
    assert!(caught * 2 >= lying, "lies that nobody would notice test nothing: {caught} of {lying}");
}

//! Generated fleets: real Varnish and nginx behind a balancer or a list of addresses, pages that vary, purges that lie, and a crowd of
//! customers that goes on asking. After `observed` nobody may get an old page; honest fleets must be observed, lying ones never.
//!
//! `FLEETS=1000` (`make sweep-cdn`) for as many; 40 otherwise.

#![allow(
    clippy::print_stderr,
    reason = "the figures of a sweep, and the fleets that were not as they should be"
)]

mod fleets;
mod site;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fleets::{Fleet, Ground, Lie};

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
    let ground = Ground::start();
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

fn judged(outcomes: &[Outcome]) {
    let honest: Vec<&Outcome> = outcomes.iter().filter(|o| o.fleet.lie == Lie::None).collect();
    let seen = honest.iter().filter(|o| o.observed).count();
    let wrong: Vec<&Outcome> =
        outcomes.iter().filter(|o| o.observed && (o.old > 0 || o.fleet.lie != Lie::None)).collect();
    for outcome in honest.iter().filter(|o| !o.observed).chain(&wrong) {
        eprintln!(
            "{:?}: observed {}, {} old answers: {}",
            outcome.fleet, outcome.observed, outcome.old, outcome.told
        );
    }
    let lying = outcomes.len() - honest.len();
    let caught = outcomes.iter().filter(|o| o.fleet.lie != Lie::None && o.old > 0).count();
    eprintln!(
        "{} fleets: {seen} of {} honest ones observed, {} of {lying} lying ones; {caught} lying ones served the crowd old pages",
        outcomes.len(),
        honest.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "observed, and the crowd got old pages (or the purge had lied)");
    assert!(seen * 100 >= honest.len() * 95, "{seen} of {} honest fleets were observed", honest.len());
    assert!(caught * 2 >= lying, "lies that nobody would notice test nothing: {caught} of {lying}");
}

//! The choice, case by case and against 100,000 generated histories.

use proptest::prelude::*;
use serde_json::json;

use super::super::history::current_and_before;
use super::*;
use crate::api::Row;

fn build(tag: &str) -> Previous {
    Previous { image: Some(format!("registry/shop:{tag}")), ..Previous::default() }
}

fn told(procedure: &str, run: &str, brought: &str, before: Option<&str>) -> Told {
    let mut facts = Map::new();
    facts.insert("image".into(), json!(format!("registry/shop:{brought}")));
    if let Some(before) = before {
        facts.insert(
            "previous".into(),
            json!({ "image": format!("registry/shop:{before}"), "deployments": [] }),
        );
    }
    Told { run: run.into(), document: None, procedure: procedure.into(), state: "finished".into(), facts }
}

fn goes(now: &str, before: Option<&str>, runs: &[Told], named: Option<&str>) -> Result<String, String> {
    let (now, before) = (build(now), before.map(build));
    let outside = Outside {
        place: "shop",
        now: Some(&now),
        before: before.as_ref(),
        preceding: None,
        finished: Some(&now),
    };
    match choose(outside, runs, named) {
        Ok(Choice::Run(run, previous)) => Ok(format!("{run} to {}", previous.image.unwrap_or_default())),
        Ok(Choice::History) => Ok("history".into()),
        Err(failure) => Err(failure.reason.clone()),
    }
}

#[test]
fn it_goes_back_from_the_run_that_brought_what_runs() {
    let b = told("release", "r2", "B", Some("A"));
    let to_a = Ok("r2 to registry/shop:A".to_owned());
    assert_eq!(goes("B", Some("A"), std::slice::from_ref(&b), None), to_a);
    assert_eq!(goes("B", None, std::slice::from_ref(&b), None), to_a);
    // Nobody's run brought it.
    assert_eq!(goes("X", Some("B"), std::slice::from_ref(&b), None), Ok("history".into()));
    assert_eq!(goes("X", Some("B"), &[], None), Ok("history".into()));
    // After a rollback it goes further back, never forward.
    let back = told("rollback", "r3", "B", None);
    let c = told("release", "r2c", "C", Some("B"));
    assert_eq!(goes("B", Some("A"), &[back, c, b], None), Ok("history".into()));
}

#[test]
fn where_two_could_be_meant_a_person_is_asked() {
    let runs = [told("release", "r3", "C", Some("B")), told("release", "r2", "B", Some("A"))];
    // The attempt at C has begun to change something, and B runs.
    assert_eq!(goes("B", Some("A"), &runs, None), Err("which-run".into()));
    assert_eq!(goes("B", Some("A"), &runs, Some("r2")), Ok("r2 to registry/shop:A".into()));
    assert_eq!(goes("B", Some("A"), &runs, Some("other")), Err("which-run".into()));
    // Planted: it names another build than Coolify's history.
    let planted = [told("release", "r9", "B", Some("0.0.1"))];
    assert_eq!(goes("B", Some("A"), &planted, None), Err("which-run".into()));
}

#[test]
fn a_run_that_died_in_its_deployment_knows_what_was_tested() {
    let mut died = told("release", "r2", "B", Some("A"));
    died.facts.remove("image");
    let candidate =
        json!({ "environment": "staging", "version": "1.2.0-rc1", "since": "2026-11-24T12:00:00Z" });
    died.facts.insert("candidate".into(), candidate);
    assert_eq!(goes("v1.2.0-rc1", None, &[died], None), Ok("r2 to registry/shop:A".into()));
}

#[test]
fn without_a_word_of_what_runs_the_newest_run_counts_if_nothing_contradicts_it() {
    let runs = [told("release", "r2", "B", Some("A"))];
    let (a, b, x) = (build("A"), build("B"), build("X"));
    let outside = |finished, before| Outside { place: "shop", now: None, before, preceding: None, finished };
    for (finished, before, fine) in [
        (None, None, true),
        (Some(&a), None, true),
        (Some(&b), Some(&a), true),
        (Some(&b), Some(&x), false),
        (Some(&x), None, false),
    ] {
        assert_eq!(choose(outside(finished, before), &runs, None).is_ok(), fine, "{finished:?} {before:?}");
    }
}

/// What can happen to an environment.
#[derive(Clone, Debug)]
enum Happening {
    Release(u8),
    /// Stopped before anything was changed: no run for anybody.
    Refused,
    /// Its deployment fails; the previous build goes on.
    Failed(u8),
    /// It dies in its deployment, which Coolify finishes; its document has no image yet.
    Killed(u8),
    /// Somebody deploys by hand.
    Foreign(u8),
    /// The way back, which may die when Coolify has it.
    Rollback(bool),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        3 => (0..6u8).prop_map(Happening::Release),
        1 => Just(Happening::Refused),
        1 => (0..6u8).prop_map(Happening::Failed),
        1 => (0..6u8).prop_map(Happening::Killed),
        1 => (0..6u8).prop_map(Happening::Foreign),
        2 => any::<bool>().prop_map(Happening::Rollback),
    ];
    proptest::collection::vec(one, 1..14)
}

/// Who watches the outside: what runs, and what must be gone back to.
#[derive(Default)]
struct Watcher {
    rows: Vec<Row>,
    runs: Vec<Told>,
    now: Option<String>,
    /// All that came, without what was gone back from.
    past: Vec<String>,
    /// Whether somebody has deployed by hand: was that back, or forward?
    foreign: bool,
}

fn tag_of(row: &Row) -> String {
    row.revision.clone().unwrap_or_default()
}

impl Watcher {
    fn deployed(&mut self, tag: &str) {
        if self.past.last().map(String::as_str) != Some(tag) {
            self.past.push(tag.to_owned());
        }
        self.now = Some(tag.to_owned());
        self.rows.insert(0, Row::sample(&self.rows.len().to_string(), "finished", Some(tag)));
    }

    fn ran(&mut self, procedure: &str, brought: &str, dies: bool) {
        let before = self.now.as_deref().filter(|_| procedure == "release");
        let mut run = told(procedure, &format!("r{}", self.runs.len()), brought, before);
        if dies {
            run.state = "failed".into();
            run.facts.remove("image");
            let candidate =
                json!({ "environment": "staging", "version": brought, "since": "2026-11-24T12:00:00Z" });
            run.facts.insert("candidate".into(), candidate);
        }
        self.runs.insert(0, run);
    }

    fn choice(&self) -> Result<Choice<'_>, Failure> {
        let of = |row: &Row| build(&tag_of(row));
        let now = self.rows.iter().find(|row| row.is_finished()).map(of);
        let before = current_and_before(&self.rows).ok().map(|(_, before)| of(before));
        let preceding = super::super::history::preceding(&self.rows).map(of);
        let outside = Outside {
            place: "shop",
            now: now.as_ref(),
            before: before.as_ref(),
            preceding: preceding.as_ref(),
            finished: now.as_ref(),
        };
        choose(outside, &self.runs, None)
    }

    fn happens(&mut self, what: &Happening) {
        let tag = |n: u8| format!("1.{n}.0");
        self.foreign |= matches!(what, Happening::Foreign(_));
        match what {
            Happening::Refused => {}
            Happening::Release(n) => {
                self.ran("release", &tag(*n), false);
                self.deployed(&tag(*n));
            }
            Happening::Failed(n) => {
                self.ran("release", &tag(*n), false);
                self.runs[0].state = "failed".into();
                self.rows.insert(0, Row::sample(&self.rows.len().to_string(), "failed", Some(&tag(*n))));
            }
            Happening::Killed(n) => {
                self.ran("release", &tag(*n), true);
                self.deployed(&tag(*n));
            }
            Happening::Foreign(n) => self.deployed(&tag(*n)),
            Happening::Rollback(dies) => {
                let to = match self.choice() {
                    Ok(Choice::Run(_, previous)) => {
                        previous.image.and_then(|i| split(&i).map(|(_, tag)| tag))
                    }
                    Ok(Choice::History) => {
                        current_and_before(&self.rows).ok().map(|(_, before)| tag_of(before))
                    }
                    Err(_) => None,
                };
                if let Some(to) = to {
                    while self.past.pop().is_some() && self.past.last() != Some(&to) {}
                    self.ran("rollback", &to, *dies);
                    self.deployed(&to);
                }
            }
        }
    }

    /// Whether that is what ran before what runs.
    fn allows(&self, to: &Previous) -> bool {
        let before = self.past.len().checked_sub(2).map(|at| &self.past[at]);
        let is = |tag: Option<&String>| tag.is_some_and(|tag| is_same(to, &build(tag)));
        !is(self.now.as_ref()) && (self.foreign || is(before))
    }
}

fn cases() -> u32 {
    std::env::var("HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever has happened: it goes back to what ran before what runs, or asks where two could be meant.
    #[test]
    fn it_always_goes_back_to_what_ran_before(all in happenings()) {
        let mut watcher = Watcher::default();
        for what in &all {
            watcher.happens(what);
            let Some(now) = watcher.now.clone() else { continue };
            match watcher.choice() {
                Ok(Choice::Run(run, previous)) => {
                    prop_assert!(watcher.allows(&previous), "{run}: {previous:?}, below {now}");
                }
                // Then Coolify's history decides, which is what the watcher sees.
                Ok(Choice::History) => {}
                Err(failure) => {
                    // It never asks when nothing but releases and their rollbacks has happened.
                    let plain = |w: &Happening| matches!(w, Happening::Release(_) | Happening::Refused);
                    prop_assert!(!all.iter().all(plain), "{}", failure.message);
                }
            }
        }
    }
}

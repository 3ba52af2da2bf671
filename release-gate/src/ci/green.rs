//! Asks GitHub for the checks of a commit, waits for those that are under way, and says what GitHub itself requires besides.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;
use step::{Failure, backoff, human};

use super::Wanted;
use super::api::{Api, encoded};
use super::checks::{self, Check, Green, Kind, Run, Status};
use super::pages::{CheckRuns, Jobs, Statuses, Workflows};
use super::trouble::{Stop, Trouble};
use crate::gate::short_id;

/// The first wait for a check that is under way, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(30);

/// Where the checks are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Checks,
    /// The token may read no checks, and those of Actions are jobs too.
    Actions,
}

/// Asks whether a commit is green, until it is known or the wait is over.
pub fn look(api: &mut Api, wanted: &Wanted, commit: &str, source: &mut Source) -> Result<Green, Stop> {
    let begun = Instant::now();
    for attempt in 1.. {
        let mut green = checks::judge(&wanted.required, &read(api, commit, source)?);
        let nap = backoff(FIRST, attempt, MOST).min(wanted.wait.saturating_sub(begun.elapsed()));
        if !matches!(green.verdict, facts::Verdict::Unknown(_)) || nap.is_zero() {
            return Ok(green);
        }
        if nap >= api.left() {
            let waited = human(begun.elapsed());
            green.notes.push(format!("it was waited for {waited}: --timeout allows no more"));
            return Ok(green);
        }
        api.pause(nap)?;
    }
    Err(Trouble::passing("GitHub was not asked").into())
}

fn read(api: &mut Api, commit: &str, source: &mut Source) -> Result<Vec<Check>, Stop> {
    let mut checks = match source {
        Source::Checks => match runs(api, commit) {
            Err(Stop::Unknown(trouble)) if trouble.is_fine_grained => {
                *source = Source::Actions;
                jobs(api, commit)?
            }
            checks => checks?,
        },
        Source::Actions => jobs(api, commit)?,
    };
    let path = format!("/commits/{}/status", encoded(commit));
    let statuses = api.counted::<Statuses>(&path, commit)?;
    checks.extend(statuses.into_iter().map(Status::check));
    Ok(checks)
}

fn runs(api: &mut Api, commit: &str) -> Result<Vec<Check>, Stop> {
    let path = format!("/commits/{}/check-runs?filter=latest", encoded(commit));
    all_of(api.counted::<CheckRuns>(&path, commit)?, commit, Kind::Run)
}

/// The jobs of all runs of Actions: each is a check of the same name.
fn jobs(api: &mut Api, commit: &str) -> Result<Vec<Check>, Stop> {
    let path = format!("/actions/runs?head_sha={}", encoded(commit));
    let mut all = Vec::new();
    for run in api.counted::<Workflows>(&path, commit)? {
        if run.head_sha != commit {
            return Err(other(&run.head_sha).into());
        }
        let path = format!("/actions/runs/{}/jobs?filter=latest", run.id);
        all.extend(all_of(api.counted::<Jobs>(&path, commit)?, commit, Kind::Job)?);
    }
    Ok(all)
}

fn all_of(runs: Vec<Run>, commit: &str, kind: Kind) -> Result<Vec<Check>, Stop> {
    if let Some(run) = runs.iter().find(|run| run.head_sha != commit) {
        return Err(other(&run.head_sha).into());
    }
    Ok(runs.into_iter().map(|run| run.check(kind)).collect())
}

fn other(sha: &str) -> Trouble {
    Trouble::lasting(format!("GitHub has answered with checks of another commit ({})", short_id(sha)))
}

/// What GitHub requires on the branch and our settings do not name: worth knowing, and no verdict.
pub fn drift(api: &mut Api, wanted: &Wanted) -> Result<Vec<String>, Failure> {
    let branch = &wanted.branch;
    let rules = match api.glance::<Rule>(&format!("/rules/branches/{}", encoded(branch)))? {
        Ok(rules) => rules,
        Err(trouble) => return Ok(vec![format!("the rules of {branch} were not read: {}", trouble.why)]),
    };
    let is_ours = |name: &&str| wanted.required.contains(*name);
    let names: BTreeSet<&str> = rules.items.iter().flat_map(contexts).filter(|name| !is_ours(name)).collect();
    let note = |name: &str| format!("GitHub requires {name} on {branch}, and ci.required does not name it");
    let more = (!rules.is_last()).then(|| format!("{branch} has more rules than were read"));
    Ok(names.into_iter().map(note).chain(more).collect())
}

/// A rule of a branch, as far as it is about checks.
#[derive(Clone, Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    parameters: Option<Parameters>,
}

#[derive(Clone, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    required_status_checks: Vec<Required>,
}

#[derive(Clone, Deserialize)]
struct Required {
    context: String,
}

fn contexts(rule: &Rule) -> impl Iterator<Item = &str> {
    let is_checks = rule.kind == "required_status_checks";
    let list = rule.parameters.as_ref().filter(|_| is_checks).map(|all| &all.required_status_checks);
    list.into_iter().flatten().map(|check| check.context.as_str())
}

//! Asks GitHub for the checks of a commit, waits for those that are under way, and says what GitHub itself requires besides.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use step::{Failure, backoff, human};

use super::Wanted;
use super::api::{Api, encoded};
use super::checks::{self, Check, Green, Kind, Run, Status};
use super::trouble::{Stop, Trouble};

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
    let statuses: Vec<Status> = api.counted(&path, "statuses", |page| page["sha"] == commit)?;
    checks.extend(statuses.into_iter().map(Status::check));
    Ok(checks)
}

fn runs(api: &mut Api, commit: &str) -> Result<Vec<Check>, Stop> {
    let path = format!("/commits/{}/check-runs?filter=latest", encoded(commit));
    all_of(api.counted(&path, "check_runs", |_| true)?, commit, Kind::Run)
}

/// The jobs of all runs of Actions: each is a check of the same name.
fn jobs(api: &mut Api, commit: &str) -> Result<Vec<Check>, Stop> {
    let path = format!("/actions/runs?head_sha={}", encoded(commit));
    let runs: Vec<Workflow> = api.counted(&path, "workflow_runs", |_| true)?;
    let mut all = Vec::new();
    for run in runs {
        if run.head_sha != commit {
            return Err(other(&run.head_sha).into());
        }
        let path = format!("/actions/runs/{}/jobs?filter=latest", run.id);
        all.extend(all_of(api.counted(&path, "jobs", |_| true)?, commit, Kind::Job)?);
    }
    Ok(all)
}

/// A run of Actions.
#[derive(Deserialize)]
struct Workflow {
    id: u64,
    head_sha: String,
}

fn all_of(runs: Vec<Run>, commit: &str, kind: Kind) -> Result<Vec<Check>, Stop> {
    if let Some(run) = runs.iter().find(|run| run.head_sha != commit) {
        return Err(other(&run.head_sha).into());
    }
    Ok(runs.into_iter().map(|run| run.check(kind)).collect())
}

fn other(sha: &str) -> Trouble {
    let short: String = sha.chars().take(12).collect();
    Trouble::lasting(format!("GitHub has answered with checks of another commit ({short})"))
}

/// What GitHub requires on the branch and our settings do not name: worth knowing, and no verdict.
pub fn drift(api: &mut Api, wanted: &Wanted) -> Result<Vec<String>, Failure> {
    let branch = &wanted.branch;
    let rules = match api.glance::<Value>(&format!("/rules/branches/{}", encoded(branch)))? {
        Ok(rules) => rules,
        Err(trouble) => return Ok(vec![format!("the rules of {branch} were not read: {}", trouble.why)]),
    };
    let is_ours = |name: &&str| wanted.required.contains(*name);
    let names: BTreeSet<&str> = rules.items.iter().flat_map(contexts).filter(|name| !is_ours(name)).collect();
    let note = |name: &str| format!("GitHub requires {name} on {branch}, and ci.required does not name it");
    let more = (!rules.is_last()).then(|| format!("{branch} has more rules than were read"));
    Ok(names.into_iter().map(note).chain(more).collect())
}

fn contexts(rule: &Value) -> impl Iterator<Item = &str> {
    let is_checks = rule["type"] == "required_status_checks";
    let list = rule["parameters"]["required_status_checks"].as_array().filter(|_| is_checks);
    list.into_iter().flatten().filter_map(|check| check["context"].as_str())
}

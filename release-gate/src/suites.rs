//! Whether the tests that are required have run on this tree, and passed: the records for it against `[release-gate.tests.NAME]`.

use std::time::Duration;

use facts::{Seen, Verdict};
use jiff::Timestamp;
use step::{Failure, Procedure, Run, human};

use crate::asked::Desk;
use crate::evidence::entry::Entry;
use crate::evidence::store::{self, Found};
use crate::gate::{Finding, Subject};
use crate::policy::Policy;

/// What is asked of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suite {
    pub name: String,
    pub is_required: bool,
    pub record_only: bool,
    pub min_total: u64,
    pub max_flaky: u64,
    pub max_skipped: u64,
    pub max_warnings: Option<u64>,
    pub max_age: Option<Duration>,
    pub against: bool,
    pub command: Option<String>,
}

/// What one name's records say.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Right(String),
    Wrong(String),
    Unknown(String),
}

/// Asks the records that the remote has.
pub fn look(run: &Run, desk: &Desk, subject: &Subject) -> Result<Finding, Failure> {
    let suites = read(&desk.policy, &run.document.procedure())?;
    let from = format!("the records of {} for tree {}", desk.aside.remote(), &subject.tree[..12]);
    if suites.is_empty() {
        let why = format!(
            "no tests are named for a {} in [release-gate.tests.NAME]",
            run.document.procedure().word()
        );
        return Ok(Finding::new(Verdict::Unknown(why), from, "one name"));
    }
    let wanted = |name: &str| suites.iter().any(|suite| suite.name == name);
    let found = match store::read(&run.context, (&desk.aside, &desk.policy), subject, &wanted)? {
        Ok(found) => found,
        Err(why) => return Ok(Finding::new(Verdict::Unknown(why), from, "records that can be read")),
    };
    let unsigned = desk.policy.allows("unsigned_evidence")?;
    let least = suites.iter().map(|suite| suite.name.as_str()).collect::<Vec<_>>().join(", ");
    let now = Timestamp::now();
    let said: Vec<(&Suite, Said)> =
        suites.iter().map(|suite| (suite, of(suite, &found, unsigned, now))).collect();
    let mut finding = Finding::new(verdict(&said), from, least);
    finding.is_recorded =
        said.iter().all(|(suite, said)| suite.record_only || matches!(said, Said::Right(_)));
    if unsigned {
        finding = finding.detail("unsigned_evidence", true);
    }
    let only: Vec<&str> =
        suites.iter().filter(|suite| suite.record_only).map(|suite| suite.name.as_str()).collect();
    Ok(if only.is_empty() { finding } else { finding.detail("record_only", only) })
}

/// Whether every suite is only recorded.
pub fn is_recorded(policy: &Policy) -> Result<bool, Failure> {
    let one = |name: String| policy.allows(&format!("{}.record_only", key(&name)));
    Ok(policy
        .names("tests")
        .into_iter()
        .map(one)
        .collect::<Result<Vec<bool>, Failure>>()?
        .into_iter()
        .all(|only| only))
}

/// The suites that are asked for in this procedure, each by the stricter policy.
fn read(policy: &Policy, procedure: &Procedure) -> Result<Vec<Suite>, Failure> {
    let is_asked = |name: &str| {
        let all = policy.union(&format!("{}.for", key(name)))?;
        // By hand everything is asked.
        Ok::<_, Failure>(all.contains(procedure.word()) || !all_procedures(procedure))
    };
    let mut suites = Vec::new();
    for name in policy.names("tests") {
        if is_asked(&name)? {
            suites.push(suite(policy, &name)?);
        }
    }
    suites.retain(|suite| suite.is_required || suite.record_only);
    Ok(suites)
}

fn all_procedures(procedure: &Procedure) -> bool {
    ["candidate", "release"].contains(&procedure.word())
}

fn key(name: &str) -> String {
    format!("tests.{}", step::Settings::part(name))
}

fn suite(policy: &Policy, name: &str) -> Result<Suite, Failure> {
    let key = |what: &str| format!("{}.{what}", key(name));
    Ok(Suite {
        name: name.to_owned(),
        is_required: policy.demands(&key("required"))?,
        record_only: policy.allows(&key("record_only"))?,
        min_total: policy.least(&key("min_total"))?.unwrap_or(1),
        max_flaky: policy.most(&key("max_flaky"))?.unwrap_or(0),
        max_skipped: policy.most(&key("max_skipped"))?.unwrap_or(0),
        max_warnings: policy.most(&key("max_warnings"))?,
        max_age: policy.longest(&key("max_age"))?,
        against: policy.demands(&key("against"))?,
        command: policy.theirs().text(&key("command"))?,
    })
}

/// What the records of a name say: the newest one that may be believed. Several commits may have the same tree.
fn of(suite: &Suite, found: &[Found], unsigned: bool, now: Timestamp) -> Said {
    // What cannot be read may be anybody's.
    let all: Vec<&Found> = found.iter().filter(|one| one.name == suite.name || one.entry.is_err()).collect();
    let usable = |one: &&&Found| one.signer.is_some() || unsigned;
    let newest = all
        .iter()
        .filter(usable)
        .filter_map(|one| Some((one, one.entry.as_ref().ok()?)))
        .max_by_key(|(_, entry)| entry.ended);
    if let Some((one, entry)) = newest {
        return judge(suite, entry, one.signer.as_deref(), now);
    }
    let make = suite.command.as_deref().map_or_else(
        || {
            format!(
                "run your tests on this tree with release-gate record --as {} --report FILE -- COMMAND",
                suite.name
            )
        },
        |command| format!("run `{command}` on this tree"),
    );
    let why = match all.first() {
        None => "there is no record of it".to_owned(),
        Some(Found { entry: Err(why), .. }) => format!("its record cannot be used: {why}"),
        // Made once more with the same key it is the same.
        Some(Found { unsigned, .. }) => return Said::Unknown(format!("{}: {unsigned}", suite.name)),
    };
    Said::Unknown(format!("{}: {why}; {make}", suite.name))
}

/// Holds a record against what is asked. Pure.
fn judge(suite: &Suite, entry: &Entry, signer: Option<&str>, now: Timestamp) -> Said {
    let name = &suite.name;
    if let Some(why) = unusable(suite, entry, now) {
        return Said::Unknown(format!("{name}: {why}"));
    }
    let Some(report) = &entry.report else {
        return Said::Unknown(format!("{name}: it has no report, only the exit code {}", entry.exit_code));
    };
    if report.failed > 0 {
        let first = report.wrong.first().map(|wrong| format!(", such as {}", wrong.name)).unwrap_or_default();
        return Said::Wrong(format!("{name}: {} of {} failed{first}", report.failed, report.total));
    }
    if let Some(why) = report.trouble(entry.exit_code) {
        let said = format!("{name}: {why}");
        return if report.total == 0 && report.outside == 0 {
            Said::Unknown(said)
        } else {
            Said::Wrong(said)
        };
    }
    let limits = [
        ("flaky", report.flaky, Some(suite.max_flaky)),
        ("not run", report.skipped, Some(suite.max_skipped)),
        ("warnings", report.warnings, suite.max_warnings),
    ];
    for (what, count, most) in limits {
        if most.is_some_and(|most| count > most) {
            return Said::Wrong(format!("{name}: {count} {what}, at most {} allowed", most.unwrap_or(0)));
        }
    }
    if report.passed < suite.min_total {
        return Said::Unknown(format!(
            "{name}: {} passed, at least {} must have",
            report.passed, suite.min_total
        ));
    }
    let by = signer.map_or_else(|| "signed by nobody".to_owned(), |signer| format!("signed by {signer}"));
    Said::Right(format!("{name}: {} passed, {by}", report.passed))
}

/// Why a record says nothing, whatever it says.
fn unusable(suite: &Suite, entry: &Entry, now: Timestamp) -> Option<String> {
    if let Some(trouble) = &entry.trouble {
        return Some(trouble.clone());
    }
    if entry.ended > now + jiff::SignedDuration::from_mins(5) {
        return Some(format!("its record is of a time that has not come ({})", entry.ended));
    }
    let age = Duration::try_from(now.duration_since(entry.ended)).unwrap_or_default();
    if let Some(most) = suite.max_age.filter(|most| age > *most) {
        return Some(format!(
            "its record is {} old, at most {} is allowed: run it again",
            human(age),
            human(most)
        ));
    }
    let is_this_build = entry.against.as_ref().is_some_and(|against| against.is_this_build);
    (suite.against && !is_this_build).then(|| {
        "it was not proven that the page served this build before and after: record it with --against URL"
            .to_owned()
    })
}

/// All of them must be right, those that are only recorded too: whether that stops the run is another question.
fn verdict(said: &[(&Suite, Said)]) -> Verdict {
    let line = |suite: &Suite, what: &str| {
        let only = if suite.record_only { " (only recorded)" } else { "" };
        format!("{what}{only}")
    };
    let is_wrong = said.iter().any(|(_, said)| matches!(said, Said::Wrong(_)));
    let unknown: Vec<String> = said
        .iter()
        .filter_map(|(suite, said)| if let Said::Unknown(why) = said { Some(line(suite, why)) } else { None })
        .collect();
    if !unknown.is_empty() && !is_wrong {
        return Verdict::Unknown(unknown.join("\n"));
    }
    let seen = said.iter().map(|(suite, said)| match said {
        Said::Right(what) => Seen { is_right: true, what: line(suite, what) },
        Said::Wrong(what) | Said::Unknown(what) => Seen { is_right: false, what: line(suite, what) },
    });
    Verdict::of(said.len(), seen)
}

//! What the checks of a commit say together: pure. Whatever has not succeeded has not, whichever of GitHub's many words says so; and a name
//! that nobody has reported is not known.

use std::collections::BTreeSet;

use facts::{Evidence, Seen, Verdict};
use serde::Deserialize;

/// Where GitHub has it from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Run,
    Status,
    Job,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Run => "check run",
            Kind::Status => "status",
            Kind::Job => "job",
        }
    }
}

/// How a check stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Succeeded,
    /// It is over, and this is how: `failure`, `skipped`.
    Ended(String),
    /// It is not over, or does not say how it ended.
    Open(String),
}

/// A check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub kind: Kind,
    pub state: State,
}

/// A check run, or a job, as GitHub writes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    pub id: u64,
    pub name: String,
    pub head_sha: String,
    status: String,
    conclusion: Option<String>,
}

impl Run {
    /// As a check.
    pub fn check(self, kind: Kind) -> Check {
        let state = match (self.status.as_str(), self.conclusion) {
            ("completed", Some(word)) if word == "success" => State::Succeeded,
            ("completed", Some(word)) => State::Ended(shown(&word)),
            ("completed", None) => State::Open("over, and does not say how".to_owned()),
            (word, _) => State::Open(shown(word)),
        };
        Check { name: self.name, kind, state }
    }
}

/// A commit status, as GitHub writes it: what third parties report.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    pub id: u64,
    context: String,
    state: String,
}

impl Status {
    /// As a check.
    pub fn check(self) -> Check {
        let state = match self.state.as_str() {
            "success" => State::Succeeded,
            "failure" | "error" => State::Ended(self.state),
            word => State::Open(shown(word)),
        };
        Check { name: self.context, kind: Kind::Status, state }
    }
}

/// A word of GitHub's, before anything is done with it: whatever is a secret in it is known by how it came.
fn shown(word: &str) -> String {
    step::excerpt(&step::plain_line(word), 80)
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Green {
    pub verdict: Verdict,
    /// Something is under way: it may be another answer soon.
    pub may_change: bool,
    /// What stops nothing and people must know.
    pub notes: Vec<String>,
}

/// Judges the checks of a commit by the names that must have succeeded.
pub fn judge(required: &BTreeSet<String>, checks: &[Check]) -> Green {
    let mut seen = Vec::new();
    let mut open = Vec::new();
    for name in required {
        let members: Vec<&Check> = checks.iter().filter(|check| check.name == *name).collect();
        let wrong: Vec<Seen> = members.iter().filter_map(|check| wrong(check)).collect();
        match members.iter().find_map(|check| not_over(check)) {
            _ if !wrong.is_empty() => seen.extend(wrong),
            Some(why) => open.push(why),
            None if members.is_empty() => open.push(missing(name, checks)),
            None => {
                seen.push(Seen { is_right: true, what: format!("{name}: success ({})", counted(&members)) });
            }
        }
    }
    let verdict = match Verdict::of(required.len(), seen) {
        Verdict::No(evidence) => Verdict::No(evidence),
        _ if !open.is_empty() => Verdict::Unknown(open.join("; ")),
        verdict => verdict,
    };
    let is_open = checks.is_empty() || checks.iter().any(|check| matches!(check.state, State::Open(_)));
    let may_change = is_open && matches!(verdict, Verdict::Unknown(_));
    Green { verdict, may_change, notes: notes(required, checks) }
}

fn wrong(check: &Check) -> Option<Seen> {
    let State::Ended(word) = &check.state else { return None };
    Some(Seen { is_right: false, what: format!("{} {} ({})", check.name, ended(word), check.kind.word()) })
}

fn not_over(check: &Check) -> Option<String> {
    let State::Open(word) = &check.state else { return None };
    Some(format!("{} is {}", check.name, word.replace('_', " ")))
}

fn missing(name: &str, checks: &[Check]) -> String {
    if checks.is_empty() {
        format!("nothing has reported {name}, nor any other check, on this commit")
    } else {
        format!("nothing has reported {name} on this commit: is the name as GitHub shows it?")
    }
}

/// How a check ended that has not succeeded.
fn ended(word: &str) -> String {
    match word {
        "failure" | "error" => "has failed".to_owned(),
        "skipped" | "cancelled" => format!("was {word}"),
        "timed_out" => "has timed out".to_owned(),
        "startup_failure" => "could not be started".to_owned(),
        "action_required" => "waits for a person to act".to_owned(),
        word => format!("ended {}", word.replace('_', " ")),
    }
}

/// What succeeded under one name: `2 check runs, 1 status`.
fn counted(members: &[&Check]) -> String {
    let of = |kind: Kind| members.iter().filter(|check| check.kind == kind).count();
    let part = |kind: Kind| match (of(kind), kind.word()) {
        (0, _) => None,
        (1, word) => Some(word.to_owned()),
        (n, "status") => Some(format!("{n} statuses")),
        (n, word) => Some(format!("{n} {word}s")),
    };
    [Kind::Run, Kind::Status, Kind::Job].into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// What has failed and is not required. A check that was skipped on purpose is nothing to tell.
fn notes(required: &BTreeSet<String>, checks: &[Check]) -> Vec<String> {
    let is_told = |word: &str| !["skipped", "neutral"].contains(&word);
    let note = |check: &Check| match &check.state {
        State::Ended(word) if !required.contains(&check.name) && is_told(word) => {
            Some(format!("{} {}; it is not required", check.name, ended(word)))
        }
        _ => None,
    };
    checks.iter().filter_map(note).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Both questions together: one no is a no, and what is not known is no yes.
pub fn together(parts: Vec<Verdict>) -> Verdict {
    let (mut no, mut unknown, mut yes) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            Verdict::No(evidence) => no.extend(evidence.all().map(str::to_owned)),
            Verdict::Yes(evidence) => yes.extend(evidence.all().map(str::to_owned)),
            Verdict::Unknown(why) => unknown.push(why),
        }
    }
    let evidence = |all: Vec<String>| {
        let mut all = all.into_iter();
        all.next().map(|first| all.fold(Evidence::of(first), Evidence::and))
    };
    match (evidence(no), unknown.is_empty(), evidence(yes)) {
        (Some(no), ..) => Verdict::No(no),
        (None, true, Some(yes)) => Verdict::Yes(yes),
        (None, true, None) => Verdict::Unknown("nothing was looked at".to_owned()),
        (None, false, _) => Verdict::Unknown(unknown.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn required() -> BTreeSet<String> {
        ["lint", "unit"].map(str::to_owned).into()
    }

    #[expect(clippy::needless_pass_by_value, reason = "made by json!() at the call")]
    fn run(name: &str, status: &str, conclusion: Value) -> Check {
        let value =
            json!({ "id": 1, "name": name, "head_sha": "a", "status": status, "conclusion": conclusion });
        serde_json::from_value::<Run>(value).expect("a run").check(Kind::Run)
    }

    fn status(name: &str, state: &str) -> Check {
        serde_json::from_value::<Status>(json!({ "id": 1, "context": name, "state": state }))
            .expect("a status")
            .check()
    }

    #[test]
    fn only_success_is_success() {
        for (status, conclusion, expected) in [
            ("completed", json!("success"), "yes"),
            ("completed", json!("failure"), "no"),
            ("completed", json!("neutral"), "no"),
            ("completed", json!("cancelled"), "no"),
            ("completed", json!("skipped"), "no"),
            ("completed", json!("timed_out"), "no"),
            ("completed", json!("action_required"), "no"),
            ("completed", json!("stale"), "no"),
            ("completed", json!("startup_failure"), "no"),
            ("completed", json!("a word of tomorrow"), "no"),
            ("completed", Value::Null, "unknown"),
            ("in_progress", Value::Null, "unknown"),
            ("queued", json!("success"), "unknown"),
            ("waiting", Value::Null, "unknown"),
            ("requested", Value::Null, "unknown"),
            ("pending", Value::Null, "unknown"),
            ("", json!("success"), "unknown"),
        ] {
            let checks =
                [run("lint", "completed", json!("success")), run("unit", status, conclusion.clone())];
            let green = judge(&required(), &checks);
            assert_eq!(green.verdict.word(), expected, "{status} {conclusion}: {green:?}");
        }
    }

    #[test]
    fn a_secret_that_comes_back_as_a_word_is_not_shown() {
        let secret = step::Secret::new("ghp_wordThatIs_asSecret_asItGets");
        let word = secret.expose();
        for check in [
            run("unit", word, Value::Null),
            run("unit", "completed", json!(word)),
            status("unit", word),
            run("unit", "completed", json!(format!("is_{word}_so"))),
        ] {
            let green = judge(&required(), &[check]);
            let said = format!("{:?}", green.verdict);
            assert!(!said.contains("wordThatIs") && said.contains("[redacted]"), "{said}");
        }
    }

    #[test]
    fn every_member_of_a_name_counts() {
        let good =
            || vec![run("lint", "completed", json!("success")), run("unit", "completed", json!("success"))];
        for (more, expected) in [
            (status("unit", "success"), "yes"),
            (status("unit", "failure"), "no"),
            (status("unit", "error"), "no"),
            (status("unit", "pending"), "unknown"),
            (status("unit", "later"), "unknown"),
            (run("unit", "completed", json!("success")), "yes"),
            (run("unit", "completed", json!("failure")), "no"),
            (run("unit", "queued", Value::Null), "unknown"),
            (run("other", "completed", json!("failure")), "yes"),
            (run("other", "queued", Value::Null), "yes"),
        ] {
            let checks = [good(), vec![more.clone()]].concat();
            let green = judge(&required(), &checks);
            assert_eq!(green.verdict.word(), expected, "{more:?}: {green:?}");
        }
        let noted = judge(&required(), &[good(), vec![run("other", "completed", json!("failure"))]].concat());
        assert_eq!(noted.notes, ["other has failed; it is not required"]);
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        for (checks, may_change) in [
            (vec![], true),
            (vec![run("lint", "completed", json!("success"))], false),
            (vec![run("lint", "completed", json!("success")), run("Unit", "queued", Value::Null)], true),
            (vec![status("lint", "success")], false),
        ] {
            let green = judge(&required(), &checks);
            assert_eq!((green.verdict.word(), green.may_change), ("unknown", may_change), "{green:?}");
        }
        assert_eq!(
            judge(&BTreeSet::new(), &[run("lint", "completed", json!("success"))]).verdict.word(),
            "unknown"
        );
    }

    #[test]
    fn one_no_is_a_no_and_nothing_is_no_yes() {
        let yes = || Verdict::Yes(Evidence::of("unit: success"));
        let no = || Verdict::No(Evidence::of("#12"));
        let unknown = || Verdict::Unknown("HTTP 503".to_owned());
        for (parts, expected) in [
            (vec![], "unknown"),
            (vec![yes()], "yes"),
            (vec![yes(), yes()], "yes"),
            (vec![yes(), unknown()], "unknown"),
            (vec![unknown(), no()], "no"),
            (vec![no(), yes()], "no"),
        ] {
            assert_eq!(together(parts.clone()).word(), expected, "{parts:?}");
        }
    }
}

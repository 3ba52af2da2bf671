//! Whether a final is what its last candidate was: the proof that what QA saw is what goes to production. Pure.

use serde_json::{Value, json};
use step::Failure;

use crate::check::Check;

/// How a commit came from its candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is the candidate's commit.
    SameCommit,
    /// The branch went on from the candidate's commit.
    FastForward,
    /// The candidate was merged into the branch.
    Merge,
    /// The candidate is not in the branch's history; only what it holds is.
    Squash,
}

impl Mode {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Mode::SameCommit => "same-commit",
            Mode::FastForward => "fast-forward",
            Mode::Merge => "merge",
            Mode::Squash => "squash",
        }
    }
}

/// What is known about the candidate of a final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The version has no candidate.
    NoCandidate,
    /// The two were held against each other.
    Compared {
        /// The last candidate's tag.
        candidate: String,
        /// How the commit came from it.
        mode: Mode,
        /// Paths that differ and must not.
        differs: Vec<String>,
        /// Paths that differ and may.
        permitted: Vec<String>,
    },
    /// The history here is cut off.
    Shallow(String),
}

impl Proof {
    /// `v1.2.0-rc3 (merge)`, for the tag.
    pub fn trailer(&self) -> Option<String> {
        match self {
            Proof::Compared { candidate, mode, .. } => Some(format!("{candidate} ({})", mode.word())),
            _ => None,
        }
    }

    /// For the record's output.
    pub fn to_value(&self) -> Option<Value> {
        let Proof::Compared { candidate, mode, differs, permitted } = self else { return None };
        let mode = if differs.is_empty() { mode.word() } else { "differs" };
        Some(json!({ "candidate": candidate, "mode": mode, "differs": differs, "permitted": permitted }))
    }

    /// The check `candidate`. `without` says why there need not be one; `branch` and `remote` are for the advice.
    pub fn check(&self, version: &str, without: Option<&str>, branch: &str, remote: &str) -> Check {
        const NAME: &str = "candidate";
        match self {
            Proof::NoCandidate => match without {
                Some(reason) => Check::skip(NAME, format!("{version} has no candidate: {reason}")),
                None => Check::fail(NAME, no_candidate(version)),
            },
            Proof::Shallow(tag) => {
                let message =
                    format!("the history here is cut off, so {branch} cannot be held against {tag}");
                let failure = Failure::refused("shallow", message);
                Check::fail(NAME, failure.command(["git", "fetch", "--unshallow", remote]))
            }
            Proof::Compared { candidate, mode, differs, permitted } if differs.is_empty() => {
                let but = if permitted.is_empty() {
                    String::new()
                } else {
                    format!(", but for {}", permitted.join(", "))
                };
                Check::pass(NAME, format!("{branch} holds what {candidate} held ({}{but})", mode.word()))
            }
            Proof::Compared { candidate, differs, .. } => {
                Check::fail(NAME, differs_from(candidate, differs, branch))
            }
        }
    }
}

fn no_candidate(version: &str) -> Failure {
    let message = format!(
        "{version} has no candidate, so nobody can have tested it; where that is meant, say --no-candidate REASON"
    );
    Failure::refused("no-candidate", message).command(["tag-rc", "candidate", "--release", version])
}

fn differs_from(candidate: &str, paths: &[String], branch: &str) -> Failure {
    let (count, word) = (paths.len(), if paths.len() == 1 { "path differs" } else { "paths differ" });
    let message = format!(
        "{branch} is not what {candidate} was: {count} {word}; make a candidate of what is to be released"
    );
    let shown = paths.iter().take(10).fold(Failure::refused("not-the-candidate", message), Failure::cause);
    shown.command(["git", "diff", "--stat", candidate, "HEAD", "--"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Checks;

    fn compared(mode: Mode, differs: &[&str], permitted: &[&str]) -> Proof {
        let own = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect();
        Proof::Compared {
            candidate: "v1.2.0-rc3".into(),
            mode,
            differs: own(differs),
            permitted: own(permitted),
        }
    }

    fn reason(proof: &Proof, without: Option<&str>) -> Option<String> {
        let check = proof.check("1.2.0", without, "main", "origin");
        Checks(vec![check]).hold().err().map(|failure| failure.reason.clone())
    }

    #[test]
    fn only_what_the_candidate_held_is_released() {
        for mode in [Mode::SameCommit, Mode::FastForward, Mode::Merge, Mode::Squash] {
            assert_eq!(reason(&compared(mode, &[], &[]), None), None);
            assert_eq!(reason(&compared(mode, &[], &["CHANGELOG.md"]), None), None);
            let refused = reason(&compared(mode, &["a"], &["CHANGELOG.md"]), Some("it is small"));
            assert_eq!(
                refused.as_deref(),
                Some("not-the-candidate"),
                "a reason for none is no reason for another"
            );
        }
        assert_eq!(reason(&Proof::NoCandidate, None).as_deref(), Some("no-candidate"));
        assert_eq!(reason(&Proof::NoCandidate, Some("no staging yet")), None);
        assert_eq!(reason(&Proof::Shallow("v1.2.0-rc3".into()), None).as_deref(), Some("shallow"));
        assert_eq!(compared(Mode::Merge, &[], &[]).trailer().as_deref(), Some("v1.2.0-rc3 (merge)"));
    }
}

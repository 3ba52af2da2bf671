//! One record: what a command that tests a tree has said. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reports::Report;

/// The version of the form.
pub const SCHEMA: u64 = 1;

/// A record as it is stored and signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of the form: [`SCHEMA`].
    pub schema: u64,
    /// The name that settings ask for.
    pub name: String,
    /// The commit that was checked out, and its tree.
    pub commit: String,
    pub tree: String,
    /// When the command began and ended.
    pub started: Timestamp,
    pub ended: Timestamp,
    /// How the command ended; 128 and the signal where one has ended it.
    pub exit_code: i32,
    /// What its report said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// SHA-256 of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_sha256: Option<String>,
    /// Why this is no evidence, whatever else it says: a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The page that was tested, and the builds that it served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// Who recorded it, as git knows them: claimed, not proven.
    pub by: String,
}

/// The page that was tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// Its address, without anything that may be a secret.
    pub url: String,
    /// What it called itself before and after the command; absent where it did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether both are this commit's build.
    pub is_this_build: bool,
}

impl Entry {
    /// What it says, in a few words.
    pub fn said(&self) -> String {
        let Some(report) = &self.report else {
            return format!("exit code {}, and no report", self.exit_code);
        };
        let part = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let parts = [
            part(report.failed, "failed"),
            part(report.outside, "wrong outside of any test"),
            part(report.flaky, "flaky"),
            part(report.skipped, "not run"),
            part(report.warnings, if report.warnings == 1 { "warning" } else { "warnings" }),
        ];
        let rest: String = parts.into_iter().flatten().map(|part| format!(", {part}")).collect();
        format!("{} passed{rest}", report.passed)
    }

    /// As it is signed.
    ///
    /// # Errors
    /// Never in practice: all its parts have a form.
    pub fn bytes(&self) -> Result<Vec<u8>, step::Failure> {
        serde_json::to_vec_pretty(self).map_err(|e| step::Failure::bug(format!("a record: {e}")))
    }
}

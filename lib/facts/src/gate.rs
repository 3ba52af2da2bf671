//! What a gate before a release leaves in the document: one fact each, under the gate's own name.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The gates, in the order in which a release asks them: each is a subcommand of release-gate and the name of its fact.
pub const GATES: [&str; 6] = ["ci", "tests", "checklist", "approval", "window", "cluster"];

/// A gate's fact: what it said, of what, and on what it rests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// `yes`, `no` or `unknown`.
    pub verdict: String,
    /// When it was looked at, RFC 3339.
    pub at: String,
    /// Where it was looked at, for people.
    pub from: String,
    /// The least that was asked for, for people.
    pub least: String,
    /// What was seen, or why nothing is known: a line each.
    pub seen: Vec<String>,
    /// The commit that it is about, 40 or 64 hex digits; a window and a cluster are about an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The tree of that commit: what ships.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// It is recorded, and stops nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub record_only: bool,
    /// Who goes on without a yes, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waiver>,
    /// What this gate knows besides.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

impl Gate {
    /// Whether the release may go on because of it.
    pub fn lets_pass(&self) -> bool {
        self.verdict == "yes" || self.record_only || self.waived.is_some()
    }
}

/// Somebody's word that a gate's answer is put up with: it is owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Who, as git knows them.
    pub by: String,
    /// Why.
    pub reason: String,
}

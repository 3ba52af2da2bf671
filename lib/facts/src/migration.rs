//! What the migrations of a release did to a proven copy of the data, and what was then run on the live database.

use serde::{Deserialize, Serialize};

/// `migration`: what the files of this release that the database does not have yet did to a clone of the verified copy. Waiting under real
/// traffic is not measured there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The team's runner: `dbmate`, `supabase`, `sqlx` or `plain`.
    pub runner: String,
    /// The database's own table of what was applied.
    pub table: String,
    /// The commit whose files they are, 40 or 64 hex digits.
    pub commit: String,
    /// The worst class of the files: `none`, `expand`, `unknown` or `contract`.
    pub class: String,
    /// The files that were pending, in the order in which they are run.
    pub files: Vec<MigrationFile>,
    /// The snapshot whose copy was cloned, if they were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// When it was tried, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Whether the previous build works on the migrated data: `yes`, `no`, `unknown` or `not-asked`.
    pub compatible: String,
    /// Who says so, one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatible_note: Option<String>,
    /// What the server's log has grown meanwhile, in bytes; what others wrote is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<u64>,
    /// What the clone has grown, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grown: Option<i64>,
    /// What nobody can see on a copy, or why nothing was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmeasured: Vec<String>,
    /// Writing is stopped while it runs on the live database: the previous build does not work on what comes out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
}

/// One file of migrations, as it was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationFile {
    /// From the repository's root.
    pub path: String,
    /// As the runner's table calls it.
    pub version: String,
    /// Of its bytes in the commit, hex.
    pub sha256: String,
    /// Its class by syntax.
    pub class: String,
    /// What is more than an addition, with its line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// How long it took, in milliseconds, if it was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// The strongest lock on each relation that was there before, and how long it was held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Locked>,
    /// The tables that were written anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewritten: Vec<Rewritten>,
}

/// A lock that a migration held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// With its schema.
    pub relation: String,
    /// As PostgreSQL calls it, such as `AccessExclusiveLock`.
    pub mode: String,
    /// At least so long, in milliseconds: from when it was first seen.
    pub ms: u64,
    /// How many rows the table has, as far as the server knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// A table that a migration has written anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewritten {
    /// With its schema.
    pub relation: String,
    /// How large it is afterwards, in bytes.
    pub bytes: u64,
}

/// `migrated`: what was run on the live database, by its own table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The runner.
    pub runner: String,
    /// The table that says so.
    pub table: String,
    /// The commit whose files they are.
    pub commit: String,
    /// Those that this run has applied.
    pub files: Vec<AppliedFile>,
    /// When the table was seen to name them, RFC 3339.
    pub at: String,
}

/// One file that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedFile {
    /// From the repository's root.
    pub path: String,
    /// As the runner's table calls it.
    pub version: String,
    /// Of its bytes, hex.
    pub sha256: String,
}

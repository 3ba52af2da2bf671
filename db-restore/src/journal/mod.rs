//! What a database says of itself: one line of its comment, below whatever people have written there. It lies in the cluster,
//! goes along when the database is renamed, and is written in the same transaction: it is our only journal. People write comments too, and
//! then our line is gone: a database beside the live one says the same once more in a setting of its own, `db_restore.note`, which counts more.

mod keeper;
mod said;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::snapshot::origin::Origin;

pub use keeper::Keeper;
pub use said::{Beside, Journal, first, says_closed};

/// What a database is, as far as we made it so.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Note {
    /// A side database that is not finished.
    Filling { run: String },
    /// A copy of the live database, taken before a release.
    Snapshot(Sibling),
    /// A side database that holds a snapshot and was verified.
    Staged(Staged),
    /// The live database, since a restore has swapped it in.
    Live(Record),
    /// What was live before a restore, and by which restore: the live one's own line may have been written over.
    Kept {
        run: String,
        since: Timestamp,
        read_only: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<By>>,
    },
    /// The live database, since an undo has swapped it back.
    Back(Record),
    /// What was live before an undo.
    Undone { run: String, since: Timestamp },
}

/// A restore, as what it has put aside tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct By {
    /// The identity of the database that it has swapped in.
    pub live: u32,
    pub record: Record,
}

/// A database cloned before a release.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sibling {
    pub run: String,
    pub of: String,
    pub product: Option<String>,
    pub environment: String,
    pub taken_at: Timestamp,
    pub version: Option<String>,
    /// Where in the cluster's history it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What it held when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// A restored and verified copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Staged {
    pub run: String,
    pub snapshot: String,
    pub taken_at: Timestamp,
    pub staged_at: Timestamp,
    /// How long it took to restore and to verify.
    pub ms: u64,
    /// Extensions that it was restored without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// What it held when it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// What a swap has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The document in whose run it was swapped in.
    pub run: String,
    pub source: String,
    pub snapshot: String,
    /// The instant whose data it held then.
    pub taken_at: Timestamp,
    /// When the old database had lost its last session.
    pub frozen_at: Timestamp,
    /// The old database's name.
    pub kept_in: String,
    /// The first transaction after the swap.
    pub from_xid: u64,
    /// The rows that were lost, once they were counted.
    pub rows: Option<u64>,
}

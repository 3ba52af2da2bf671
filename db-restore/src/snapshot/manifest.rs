//! The manifest of a snapshot that we took: what it is, and how each of its files must look. A folder without a good one is
//! no snapshot of ours.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::snapshot::origin::Origin;

/// The manifest's name in the folder.
pub const FILE: &str = "manifest.json";

/// What a snapshot says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub schema: u32,
    pub id: String,
    pub product: Option<String>,
    pub environment: String,
    pub database: String,
    /// Of the cluster that it was taken from.
    pub system_identifier: String,
    pub server_version: String,
    /// The instant whose data it holds, by the server's clock.
    pub taken_at: Timestamp,
    pub finished_at: Timestamp,
    /// The document in whose run it was taken.
    pub document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How much the database held, for an estimate of the time.
    #[serde(default)]
    pub database_bytes: u64,
    /// How much of that lay in tablespaces of its tables' own, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tablespaces: BTreeMap<String, u64>,
    /// Rows of each table, counted in the dump's own snapshot.
    pub tables: BTreeMap<String, u64>,
    /// How many relations, constraints, functions and triggers there are, by kind.
    #[serde(default)]
    pub objects: BTreeMap<String, u64>,
    /// Where in the cluster's history it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Each file of the dump.
    pub files: BTreeMap<String, Fingerprint>,
}

/// How a file must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub bytes: u64,
    pub sha256: String,
}

/// Reads a manifest; the error is one sentence.
pub fn read(folder: &Path) -> Result<Manifest, String> {
    let text = std::fs::read_to_string(folder.join(FILE)).map_err(|e| format!("no manifest: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("its manifest is {}", step::json_trouble(&e)))
}

/// The fingerprints of all files of a folder.
pub fn fingerprints(folder: &Path) -> std::io::Result<BTreeMap<String, Fingerprint>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fingerprint(&entry.path())?);
    }
    Ok(files)
}

/// The fingerprint of a file.
pub fn fingerprint(path: &Path) -> std::io::Result<Fingerprint> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
    let sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(Fingerprint { bytes, sha256 })
}

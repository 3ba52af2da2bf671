//! What a snapshot says of itself: a file beside its dump. It ends with its own SHA-256, and where the settings have a key with a signature, so
//! that not one bit of it can be another; and what it says twice must agree.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use step::Secret;

use crate::copy::properties::Properties;
use crate::plan;
use crate::snapshot::origin::Origin;

/// The manifest's name in the folder.
pub const FILE: &str = "manifest.json";
/// The form that is written; 1 had no hash of its own.
pub const SCHEMA: u32 = 2;
/// Begin the last lines of the file. A text in JSON has no line breaks, so nothing before them can look like them.
const HASH: &str = ",\n  \"sha256\": \"";
const SIGNATURE: &str = ",\n  \"hmac_sha256\": \"";
const END: &str = "\"\n}";

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
    /// Rows of tables that belong to extensions: a dump holds only those that the extension has marked for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extension_tables: BTreeMap<String, u64>,
    /// How many relations, constraints, functions, triggers and large objects there are, by kind.
    #[serde(default)]
    pub objects: BTreeMap<String, u64>,
    /// What belongs to the database itself, and no dump holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Properties>,
    /// Where the server's log stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Where in the cluster's history it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Each file of the dump.
    pub files: BTreeMap<String, Fingerprint>,
}

/// Positions in the server's log, in bytes: when the sight was taken, and when the dump was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    pub from: u64,
    pub to: u64,
}

/// How a file must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub bytes: u64,
    pub sha256: String,
}

impl Manifest {
    /// What it says twice must agree. The error is one sentence.
    fn agrees(&self) -> Result<(), String> {
        let id = plan::id(&self.database, self.taken_at, &self.document);
        if self.schema >= 2 && self.id != id {
            return Err(format!("it calls itself {}, and its time and run say {id}", self.id));
        }
        if self.finished_at < self.taken_at {
            return Err("it was finished before it was begun".to_owned());
        }
        match self.log {
            Some(Log { from, to }) if from > to => {
                Err("the server's log went backwards while it was taken".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Its text as it is kept.
    pub fn sealed(&self, key: Option<&Secret>) -> serde_json::Result<String> {
        Ok(seal(&serde_json::to_string_pretty(self)?, key))
    }
}

/// A JSON object's text with its own SHA-256 at the end, and with a signature before it if there is a key.
fn seal(json: &str, key: Option<&Secret>) -> String {
    let mut text = json.trim_end().trim_end_matches('}').trim_end().to_owned();
    if let Some(key) = key {
        let signed = hmac::sign(&signing(key), text.as_bytes());
        text.push_str(&format!("{SIGNATURE}{}\"", hex(signed.as_ref())));
    }
    let hash = hash(&text);
    format!("{text}{HASH}{hash}{END}")
}

/// The SHA-256 of a manifest's text without the number of the cluster: after a `pg_upgrade`, or on a server that takes the place of a lost one, a
/// person may write the new one there. It only says where the snapshot was taken; a signature is over all of it.
fn hash(text: &str) -> String {
    const CLUSTER: &str = "\"system_identifier\": \"";
    let Some((before, after)) = text.split_once(CLUSTER) else { return hex(&Sha256::digest(text)) };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    hex(&Sha256::digest(format!("{before}{CLUSTER}{rest}")))
}

/// Whether a text is as it was sealed. The error is one sentence.
fn sealed(text: &str, key: Option<&Secret>) -> Result<(), String> {
    let parts = text.strip_suffix(END).and_then(|text| text.rsplit_once(HASH));
    let (text, hash) =
        parts.ok_or("its manifest has no SHA-256 of its own at its end: it is cut off or damaged")?;
    if hash != self::hash(text) {
        return Err("its manifest is not what was written (its own SHA-256 differs)".to_owned());
    }
    let Some(key) = key else { return Ok(()) };
    let signature = text.rsplit_once(SIGNATURE);
    let (text, signature) =
        signature.ok_or("its manifest is not signed, and the settings have a manifest_key")?;
    let signature = unhex(signature.trim_end_matches('"'));
    let holds = signature.is_some_and(|s| hmac::verify(&signing(key), text.as_bytes(), &s).is_ok());
    if holds {
        Ok(())
    } else {
        Err("its manifest is not signed with the manifest_key of the settings".to_owned())
    }
}

fn signing(key: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Reads a manifest, which must be as it was written; the error is one sentence.
pub fn read(folder: &Path, key: Option<&Secret>) -> Result<Manifest, String> {
    let text = std::fs::read_to_string(folder.join(FILE)).map_err(|e| format!("no manifest: {e}"))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|e| format!("its manifest is {}", step::json_trouble(&e)))?;
    match manifest.schema {
        // Those of 0.1 have no hash of their own; they cannot be signed.
        1 if key.is_none() => {}
        1 | SCHEMA => sealed(&text, key)?,
        newer => {
            return Err(format!("its manifest has the form {newer}, and this db-restore knows {SCHEMA}"));
        }
    }
    manifest.agrees()?;
    Ok(manifest)
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
    Ok(Fingerprint { bytes, sha256: hex(&hash.finalize()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "{\n  \"schema\": 2,\n  \"id\": \"shop-20261124T120000Z-7f3a\"\n}";

    #[test]
    fn no_bit_can_be_another() {
        let key = Secret::new("manifest-key-of-a-test");
        for key in [None, Some(&key)] {
            let text = seal(JSON, key);
            assert_eq!(sealed(&text, key), Ok(()), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    let Ok(flipped) = String::from_utf8(bytes) else { continue };
                    assert!(sealed(&flipped, key).is_err(), "{at} {bit}: {flipped}");
                }
            }
            for end in 0..text.len() {
                assert!(sealed(&text[..end], key).is_err());
            }
        }
    }

    #[test]
    fn the_number_of_the_cluster_may_be_another_where_nothing_is_signed() {
        let json = "{\n  \"system_identifier\": \"7713048264724844074\",\n  \"id\": \"x\"\n}";
        let key = Secret::new("manifest-key-of-a-test");
        let moved = |text: &str| text.replace("7713048264724844074", "7000000000000000001");
        assert_eq!(sealed(&moved(&seal(json, None)), None), Ok(()));
        assert!(sealed(&moved(&seal(json, Some(&key))), Some(&key)).is_err());
        assert!(sealed(&seal(json, None).replace("7713048264724844074", "77130x"), None).is_err());
        assert!(sealed(&moved(&seal(json, None)).replace("\"x\"", "\"y\""), None).is_err());
    }

    #[test]
    fn who_has_not_the_key_cannot_sign() {
        let (ours, theirs) = (Secret::new("key-number-one"), Secret::new("key-number-two"));
        for forged in [seal(JSON, None), seal(JSON, Some(&theirs))] {
            assert!(sealed(&forged, Some(&ours)).expect_err("forged").contains("manifest_key"));
        }
        assert_eq!(sealed(&seal(JSON, Some(&theirs)), None), Ok(()), "without a key only the hash counts");
    }
}

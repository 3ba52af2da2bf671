//! Snapshots as folders: `<snapshots>/<id>/` holds a dump in pg_dump's directory format and `manifest.json`, which says what
//! it is and how each file must look. A folder without a good manifest is no snapshot.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use step::{Context, Failure, Permit};

use crate::args::Settings;
use crate::plan::{self, Moment};

/// The manifest's name in the folder.
const MANIFEST: &str = "manifest.json";
/// The dump's name in the folder.
const DUMP: &str = "dump";

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
    /// Rows of each table, counted in the dump's own snapshot.
    pub tables: BTreeMap<String, u64>,
    /// Each file of the dump.
    pub files: BTreeMap<String, Fingerprint>,
}

/// How a file must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub bytes: u64,
    pub sha256: String,
}

/// A snapshot as it is listed.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub id: String,
    pub taken_at: Timestamp,
    pub bytes: u64,
    /// The document in whose run it was taken.
    pub document: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

impl Snapshot {
    /// A line for people.
    pub fn line(&self, now: Timestamp) -> String {
        let Some(problem) = &self.problem else {
            let age = plan::age(self, &Moment::Now, now);
            return format!(
                "{}  {}  {age}  {} KiB",
                self.id,
                plan::instant(self.taken_at),
                self.bytes.div_ceil(1024)
            );
        };
        format!("{}  not usable: {problem}", self.id)
    }

    /// As the document names it.
    pub fn fact(&self) -> step::Snapshot {
        fact(&self.id, self.taken_at)
    }

    /// For an answer.
    pub fn to_value(&self) -> Value {
        match &self.problem {
            Some(problem) => json!({ "id": self.id, "problem": problem }),
            None => json!({ "id": self.id, "taken_at": plan::instant(self.taken_at), "bytes": self.bytes }),
        }
    }
}

/// A snapshot as the document names it.
pub fn fact(id: &str, taken_at: Timestamp) -> step::Snapshot {
    step::Snapshot { source: "archive".to_owned(), id: id.to_owned(), taken_at: plan::instant(taken_at) }
}

/// The folder of a snapshot's dump.
pub fn dump(folder: &Path) -> PathBuf {
    folder.join(DUMP)
}

/// Every snapshot, usable or not, as far as it can be told without reading all of it.
pub fn list(
    settings: &Settings,
    context: &Context,
    system_identifier: &str,
) -> Result<Vec<Snapshot>, Failure> {
    let at = settings.snapshots.display();
    let entries = match std::fs::read_dir(&settings.snapshots) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::config("snapshots", format!("{at} cannot be read: {error}"))),
    };
    let folders =
        entries.flatten().filter(|e| e.path().is_dir() && !e.file_name().to_string_lossy().starts_with('.'));
    let mut list: Vec<Snapshot> =
        folders.map(|entry| one(&entry.path(), settings, context, system_identifier)).collect();
    list.sort_by_key(|s| s.taken_at);
    Ok(list)
}

fn one(folder: &Path, settings: &Settings, context: &Context, system_identifier: &str) -> Snapshot {
    let id = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let unusable = |problem: String| Snapshot {
        id: id.clone(),
        taken_at: Timestamp::UNIX_EPOCH,
        bytes: 0,
        document: None,
        problem: Some(problem),
    };
    let manifest = match manifest(folder) {
        Ok(manifest) => manifest,
        Err(problem) => return unusable(problem),
    };
    let problem = foreign(&manifest, &id, settings, context, system_identifier)
        .or_else(|| incomplete(folder, &manifest));
    let bytes = manifest.files.values().map(|f| f.bytes).sum();
    Snapshot { id, taken_at: manifest.taken_at, bytes, document: Some(manifest.document), problem }
}

/// Reads a manifest; the error is one sentence.
pub fn manifest(folder: &Path) -> Result<Manifest, String> {
    let text = std::fs::read_to_string(folder.join(MANIFEST)).map_err(|e| format!("no manifest: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("its manifest cannot be read: {e}"))
}

/// A snapshot of something else is never restored here.
fn foreign(
    manifest: &Manifest,
    id: &str,
    settings: &Settings,
    context: &Context,
    system_identifier: &str,
) -> Option<String> {
    let product = context.settings.product("name").ok().flatten();
    let environment = context.environment.clone().unwrap_or_default();
    let pairs = [
        ("snapshot", manifest.id.as_str(), id),
        ("product", manifest.product.as_deref().unwrap_or_default(), product.as_deref().unwrap_or_default()),
        ("environment", &manifest.environment, &environment),
        ("database", &manifest.database, &settings.database),
        ("cluster", &manifest.system_identifier, system_identifier),
    ];
    let (what, theirs, ours) = pairs.into_iter().find(|(_, theirs, ours)| theirs != ours)?;
    Some(format!("it is of the {what} {theirs}, and this is {ours}"))
}

fn incomplete(folder: &Path, manifest: &Manifest) -> Option<String> {
    if manifest.files.is_empty() {
        return Some("it holds no files".to_owned());
    }
    manifest.files.iter().find_map(|(name, expected)| match std::fs::metadata(dump(folder).join(name)) {
        Err(error) => Some(format!("{name}: {error}")),
        Ok(found) if found.len() != expected.bytes => {
            Some(format!("{name} has {} bytes instead of {}", found.len(), expected.bytes))
        }
        Ok(_) => None,
    })
}

/// Reads a snapshot to its end: every file must be what it was.
pub fn verify(settings: &Settings, snapshot: &Snapshot) -> Result<(), Failure> {
    let folder = settings.snapshots.join(&snapshot.id);
    let corrupt = |why: String| Failure::refused("corrupt", format!("{}: {why}", snapshot.id));
    let manifest = manifest(&folder).map_err(corrupt)?;
    for (name, expected) in &manifest.files {
        let found = fingerprint(&dump(&folder).join(name)).map_err(|e| corrupt(format!("{name}: {e}")))?;
        if found != *expected {
            return Err(corrupt(format!("{name} is not what was dumped (its SHA-256 differs)")));
        }
    }
    Ok(())
}

/// The fingerprints of all files of a dump.
pub fn fingerprints(dump: &Path) -> std::io::Result<BTreeMap<String, Fingerprint>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dump)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fingerprint(&entry.path())?);
    }
    Ok(files)
}

fn fingerprint(path: &Path) -> std::io::Result<Fingerprint> {
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

/// An empty folder for a dump that is not finished, which nobody but us may read; one that a killed attempt of the same run left
/// is thrown away.
pub fn temporary(snapshots: &Path, document: &str, _permit: &Permit) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let path = snapshots.join(format!(".tmp-{document}"));
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    Ok(path)
}

/// Makes a finished dump a snapshot: the manifest, everything on disk, then the name.
pub fn publish(
    temporary: &Path,
    folder: &Path,
    manifest: &Manifest,
    _permit: &Permit,
) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(manifest).map_err(std::io::Error::other)?;
    std::fs::write(temporary.join(MANIFEST), text)?;
    for entry in std::fs::read_dir(dump(temporary))? {
        File::open(entry?.path())?.sync_all()?;
    }
    for path in [&temporary.join(MANIFEST), &dump(temporary), temporary] {
        File::open(path)?.sync_all()?;
    }
    std::fs::rename(temporary, folder)?;
    folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

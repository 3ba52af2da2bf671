//! Where runs lie on this machine: `runs/NAME` beside the product's settings, for people; and in the clone's own folder, which nobody
//! can commit, what proves that a run is ours: its local lock, its lease, the process at work. No link is ever followed.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use step::Failure;

use crate::names::is_run;
use crate::record::{FILE_LIMIT, LIMIT, Record};
use crate::remote::is_document;

/// Where runbooks keep their runs.
pub const RUNS: &str = "runs";
/// Where plans are kept, and how many.
const PLANS: &str = "plan";
const KEPT_PLANS: usize = 5;

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// The whole of it.
#[derive(Debug)]
pub struct Places {
    runs: PathBuf,
    own: PathBuf,
}

/// A run's local lock; nobody inherits it, and it goes with us.
#[derive(Debug)]
pub struct Hand(#[expect(dead_code, reason = "it is held")] File);

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::config("runs", format!("{} cannot be used: {error}", path.display()))
}

/// A folder that is none behind a link.
fn folder(path: &Path) -> Result<(), Failure> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => Ok(()),
        Ok(_) => Err(Failure::config("runs", format!("{} is no folder: remove it", path.display()))),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(path).map_err(|e| unusable(path, &e))
        }
        Err(e) => Err(unusable(path, &e)),
    }
}

/// Reads a small file that is none behind a link.
pub fn read(path: &Path, limit: usize) -> Option<String> {
    let file = OpenOptions::new().read(true).custom_flags(no_link()).open(path).ok()?;
    let mut text = String::new();
    file.take(limit as u64 + 1).read_to_string(&mut text).ok()?;
    (text.len() <= limit).then_some(text)
}

fn no_link() -> i32 {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    flags.bits().cast_signed()
}

impl Places {
    /// Opens what is there, and makes what is not.
    pub fn open(own: &Path) -> Result<Self, Failure> {
        let runs = PathBuf::from(RUNS);
        folder(&runs)?;
        let ignore = OpenOptions::new().write(true).create_new(true).open(runs.join(".gitignore"));
        if let Ok(mut ignore) = ignore {
            ignore.write_all(b"*\n").map_err(|e| unusable(&runs, &e))?;
        }
        for part in ["begun", "ended", "locks", "leases", "work", "owed"] {
            folder(&own.join(part))?;
        }
        Ok(Places { runs, own: own.to_owned() })
    }

    /// The folder of a run.
    pub fn run(&self, name: &str, plan: bool) -> Folder {
        Folder(if plan { self.runs.join(PLANS).join(name) } else { self.runs.join(name) })
    }

    /// Where a run's lease is noted.
    pub fn lease(&self, run: &str) -> PathBuf {
        self.own.join("leases").join(run)
    }

    /// Notes that a run was begun from this clone, where nobody can who pushes.
    pub fn note_begun(&self, run: &str) -> Result<(), Failure> {
        let note = self.own.join("begun").join(run);
        std::fs::write(&note, b"").map_err(|e| unusable(&note, &e))
    }

    /// A run that was not begun after all.
    pub fn forget_begun(&self, run: &str) {
        // One that is left behind says nothing of any other.
        let _ = std::fs::remove_file(self.own.join("begun").join(run));
    }

    /// Notes that a run came to its end here, where nobody can who pushes.
    pub fn note_ended(&self, run: &str) {
        // Without the note it is looked at as another machine's is.
        let _ = std::fs::write(self.own.join("ended").join(run), b"");
    }

    /// Whether a run came to its end here.
    pub fn has_ended_here(&self, run: &str) -> bool {
        self.own.join("ended").join(run).is_file()
    }

    /// Notes that a run was not stored on the remote, and the hold that it wanted.
    pub fn owe(&self, run: &str, hold: Option<&str>) {
        // What cannot be noted was said.
        let _ = std::fs::write(self.own.join("owed").join(run), hold.unwrap_or_default());
    }

    /// The runs that were not stored, each with the hold that it wanted.
    pub fn owed(&self) -> Vec<(String, Option<String>)> {
        let folder = self.own.join("owed");
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| is_run(name));
        let hold = |name: &String| read(&folder.join(name), 4096).filter(|reason| !reason.is_empty());
        names.map(|name| (name.clone(), hold(&name))).collect()
    }

    /// A run that was owed is stored.
    pub fn settled(&self, run: &str) {
        let _ = std::fs::remove_file(self.own.join("owed").join(run));
    }

    /// Whether a run was begun from this clone.
    pub fn is_begun_here(&self, run: &str) -> bool {
        self.own.join("begun").join(run).is_file()
    }

    /// Notes that this clone itself writes a file of a run that was begun here: before it is there, so that no kill comes in between.
    pub fn vouch(&self, run: &str, name: &str, bytes: &[u8]) {
        let note = self.own.join("begun").join(run);
        // Of others nothing is vouched for; and what cannot be noted is looked at again.
        if let Ok(mut file) = OpenOptions::new().append(true).custom_flags(no_link()).open(note) {
            let _ = file.write_all(format!("{}\n", digest(name, bytes)).as_bytes());
        }
    }

    /// Whether everything that lies in the folder of a run was written by this clone: what others push can be merged into it.
    pub fn vouches_for(&self, run: &str, folder: &Folder) -> bool {
        let note = read(&self.own.join("begun").join(run), FILE_LIMIT).unwrap_or_default();
        let known: HashSet<&str> = note.lines().collect();
        let files = folder
            .documents()
            .into_iter()
            .filter(|name| name != "notify.json")
            .chain(["run.json".to_owned()]);
        let is_ours = |name: String| {
            read(&folder.path().join(&name), FILE_LIMIT)
                .is_some_and(|text| known.contains(digest(&name, text.as_bytes()).as_str()))
        };
        files.into_iter().all(is_ours)
    }

    /// Whether a run was begun, or gone on with, from this clone.
    pub fn is_ours(&self, run: &str) -> bool {
        self.lease(run).is_file() || self.is_begun_here(run)
    }

    /// The runs that have a lease here.
    pub fn leases(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.own.join("leases")).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| is_run(name) && !name.ends_with(".part")).collect();
        names.sort();
        names
    }

    /// The records of all runs that lie here.
    pub fn records(&self) -> Vec<Record> {
        let entries = std::fs::read_dir(&self.runs).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| is_run(name));
        names.filter_map(|name| self.run(&name, false).record().filter(|r| r.run == name)).collect()
    }

    /// Takes the local lock of a run; `None` when somebody has it.
    pub fn hand(&self, run: &str) -> Result<Option<Hand>, Failure> {
        let path = self.own.join("locks").join(run);
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).custom_flags(no_link()).open(&path);
        let file = file.map_err(|e| unusable(&path, &e))?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(Hand(file)))
    }

    /// Whether nobody has a run in hand, and no step of it is at work any more.
    pub fn is_dead(&self, run: &str) -> bool {
        self.hand(run).is_ok_and(|hand| hand.is_some()) && self.at_work(run).is_none()
    }

    /// The process that works for a run, if it does so although its keeper is gone.
    pub fn at_work(&self, run: &str) -> Option<u64> {
        let text = read(&self.own.join("work").join(run), 4096)?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let pid = value["pid"].as_u64()?;
        let same = value["boot"] == json!(boot()) && value["start"] == json!(started(pid)?);
        same.then_some(pid)
    }

    /// Notes which process works for a run now.
    pub fn works(&self, run: &str, pid: Option<u64>) {
        let path = self.own.join("work").join(run);
        // It is only about those who are killed: what cannot be written is no reason to stop.
        let _ = match pid {
            Some(pid) => {
                let note = json!({ "pid": pid, "start": started(pid), "boot": boot() });
                std::fs::write(path, note.to_string())
            }
            None => std::fs::remove_file(path),
        };
    }

    /// For how long an entry has been the same, as seen from here since the machine's start.
    pub fn unchanged(&self, scope: &str, entry: &str) -> std::time::Duration {
        let path = self.own.join(format!("observed-{scope}"));
        let now = step::keeper::now();
        let known: Value = read(&path, 4096).and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
        let same = known["entry"] == json!(entry) && known["boot"] == json!(boot());
        if let Some(since) = known["since"].as_u64().filter(|since| same && *since <= now) {
            return std::time::Duration::from_nanos(now - since);
        }
        // Not noted down it is only seen again later.
        let _ = std::fs::write(path, json!({ "entry": entry, "boot": boot(), "since": now }).to_string());
        std::time::Duration::ZERO
    }

    /// Plans are read once: of old ones a few are kept.
    pub fn prune_plans(&self) {
        let folder = self.runs.join(PLANS);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| is_run(name)).collect();
        names.sort();
        for old in names.iter().rev().skip(KEPT_PLANS) {
            let _ = std::fs::remove_dir_all(folder.join(old));
        }
    }
}

/// A file by its name and content.
fn digest(name: &str, bytes: &[u8]) -> String {
    Sha256::new()
        .chain_update(name)
        .chain_update([0])
        .chain_update(bytes)
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// This start of the machine.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// When a process was started, if it is there and no zombie: with its number that is a name for it.
fn started(pid: u64) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    (words.first() != Some(&"Z")).then(|| words.get(19).map(|s| (*s).to_owned())).flatten()
}

impl Folder {
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// As people call it: `runs/NAME`.
    pub fn shown(&self) -> String {
        self.0.display().to_string()
    }

    /// Makes it.
    pub fn make(&self) -> Result<(), Failure> {
        if let Some(above) = self.0.parent() {
            folder(above)?;
        }
        folder(&self.0)
    }

    /// Removes the files of a plan that was made before.
    pub fn clear(&self) {
        // What is left of it is written over, or is no document of this one.
        let _ = std::fs::remove_dir_all(&self.0);
    }

    /// Its record.
    pub fn record(&self) -> Option<Record> {
        Record::parse(&read(&self.0.join("run.json"), LIMIT)?)
    }

    /// Writes a file and renames it into place.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let part = self.0.join(format!("{name}.part"));
        let put = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).custom_flags(no_link()).open(&part)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            std::fs::rename(&part, self.0.join(name))
        };
        put().map_err(|e| unusable(&self.0.join(name), &e))
    }

    pub fn save(&self, record: &Record) -> Result<(), Failure> {
        self.write("run.json", record.line().as_bytes())
    }

    /// Its documents, by name.
    pub fn documents(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| is_document(name)).collect();
        names.sort();
        names
    }

    pub fn has(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.0.join(name)).is_ok_and(|m| m.is_file())
    }

    /// Whether a step of this name has a document without a failure.
    pub fn did(&self, step: &str) -> bool {
        self.documents().iter().any(|name| name.get(2..) == Some(&format!("-{step}.json")))
    }

    /// Removes a file that may not be there.
    pub fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.0.join(name));
    }

    pub fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        std::fs::rename(self.0.join(from), self.0.join(to)).map_err(|e| unusable(&self.0.join(to), &e))
    }

    /// Nothing may look as if a run had been here.
    pub fn forget(&self) {
        self.remove("run.json");
        let _ = std::fs::remove_dir(&self.0);
    }
}

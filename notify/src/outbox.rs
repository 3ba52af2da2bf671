//! What is to be told and what was told, on disk: few chats have a key by which they would know a message again, so we note before we
//! send and after. `outbox/` is what has still to arrive, `sent/` what has, or may have, `dead/` what was refused or became too old.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use step::{Context, Failure};

use crate::channels::Receipt;
use crate::message::Message;

/// So many messages that were sent are remembered, and so many dead ones kept.
const SENT: usize = 500;
const DEAD: usize = 100;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was surely not sent.
    Waiting,
    /// A request was begun, and how it ended is not known.
    Begun,
    Sent,
    /// It may be there, or not, and nobody will try again.
    Unknown,
    /// It was refused, or became too old.
    Dead,
}

impl State {
    fn folder(self) -> &'static str {
        match self {
            State::Waiting | State::Begun => "outbox",
            State::Sent | State::Unknown => "sent",
            State::Dead => "dead",
        }
    }
}

/// One message for one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub channel: String,
    pub run: String,
    pub event: String,
    /// When it was written down, RFC 3339.
    pub at: String,
    pub state: State,
    /// The parts that have arrived.
    pub receipts: Vec<Receipt>,
    /// How often a request was begun whose end is not known.
    pub lost: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// While it may have to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

impl Entry {
    /// A message that has still to be sent.
    pub fn new(channel: &str, message: Message) -> Self {
        Entry {
            channel: channel.to_owned(),
            run: message.run.clone(),
            event: message.event.clone(),
            at: now(),
            state: State::Waiting,
            receipts: Vec::new(),
            lost: 0,
            not_before: None,
            why: None,
            message: Some(message),
        }
    }

    /// By which receivers may know it again: of run, event and channel, 32 hex digits.
    pub fn key(&self) -> String {
        let text = format!("{}\n{}\n{}", self.run, self.event, self.channel);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Milliseconds since it was written down.
    pub fn age(&self) -> u64 {
        let at = self.at.parse::<Timestamp>().ok();
        let age = at.and_then(|at| u64::try_from(Timestamp::now().duration_since(at).as_millis()).ok());
        age.unwrap_or_default()
    }

    /// Whether its channel asked us to wait longer.
    pub fn is_early(&self) -> bool {
        let not_before = self.not_before.as_ref().and_then(|t| t.parse::<Timestamp>().ok());
        not_before.is_some_and(|t| t > Timestamp::now())
    }

    /// A readable name that no other entry has.
    fn file(&self) -> String {
        let name = safe(&format!("{}.{}.{}", self.channel, self.run, self.event));
        format!("{}-{}.json", name.chars().take(160).collect::<String>(), &self.key()[..8])
    }
}

fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' }).collect()
}

/// Now, RFC 3339 in UTC.
pub fn now() -> String {
    format!("{:.0}", Timestamp::now())
}

/// The folder of all that.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// In a folder, which is made when the first message is written.
    pub fn new(folder: PathBuf) -> Self {
        Outbox { folder }
    }

    /// One notify at a time: whoever comes second waits, but not past the deadline. Held until it is dropped.
    pub fn lock(&self, context: &Context) -> Result<File, Failure> {
        self.make("outbox")?;
        let path = self.folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|e| unusable(&path, &e))?;
        loop {
            match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    context.pause(std::time::Duration::from_millis(50)).map_err(busy)?;
                }
                Err(error) => return Err(unusable(&path, &error.into())),
            }
        }
    }

    /// What is noted about a message.
    pub fn find(&self, entry: &Entry) -> Result<Option<Entry>, Failure> {
        for folder in ["sent", "outbox", "dead"] {
            let path = self.folder.join(folder).join(entry.file());
            match std::fs::read_to_string(&path) {
                Ok(text) => return Ok(Some(read(&text).unwrap_or_else(|| begun(entry)))),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(&path, &error)),
            }
        }
        Ok(None)
    }

    /// Notes, and does not come back before what must not be forgotten is on disk.
    pub fn put(&self, entry: &Entry) -> Result<(), Failure> {
        let folder = entry.state.folder();
        self.make(folder)?;
        let path = self.folder.join(folder).join(entry.file());
        write(&path, entry, folder == "outbox").map_err(|e| unusable(&path, &e))?;
        for other in ["outbox", "sent", "dead"].into_iter().filter(|other| *other != folder) {
            let stale = self.folder.join(other).join(entry.file());
            match std::fs::remove_file(&stale) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(&stale, &error)),
                _ => {}
            }
        }
        match folder {
            "sent" => self.prune(folder, SENT),
            "dead" => self.prune(folder, DEAD),
            _ => {}
        }
        Ok(())
    }

    /// Notes a new one that has to be sent, unless another notify was quicker. A kill cannot lose it; should the machine lose it,
    /// then nothing has been sent, and there is nothing to remember: what must be on disk is put there before the first request.
    pub fn add(&self, entry: &Entry) -> Result<(), Failure> {
        self.make("outbox")?;
        let path = self.folder.join("outbox").join(entry.file());
        let temporary = temporary(&path);
        let added = save(&temporary, entry, false).and_then(|()| std::fs::hard_link(&temporary, &path));
        let _ = std::fs::remove_file(&temporary);
        match added {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(unusable(&path, &error)),
            _ => Ok(()),
        }
    }

    /// What still has to be sent, oldest first.
    pub fn waiting(&self) -> Vec<Entry> {
        let mut all = self.all("outbox", "");
        // Somebody who came second may have added what the first one has sent by now.
        all.retain(|e| !self.folder.join("sent").join(e.file()).exists());
        all
    }

    /// What was refused or became too old, oldest first.
    pub fn dead(&self) -> Vec<Entry> {
        self.all("dead", "")
    }

    /// The number of the first part of what a channel was told last about a run.
    pub fn told(&self, channel: &str, run: &str) -> Option<String> {
        let all = self.all("sent", &safe(&format!("{channel}.{run}.")));
        let ours = all.into_iter().filter(|e| e.run == run && e.channel == channel && e.state == State::Sent);
        ours.filter_map(|e| e.receipts.first()?.id.clone()).next_back()
    }

    fn all(&self, folder: &str, prefix: &str) -> Vec<Entry> {
        let Ok(files) = std::fs::read_dir(self.folder.join(folder)) else { return Vec::new() };
        let ours = files.flatten().filter(|f| {
            let name = f.file_name();
            name.to_string_lossy().starts_with(prefix) && name.to_string_lossy().ends_with(".json")
        });
        let mut entries: Vec<Entry> =
            ours.filter_map(|f| read(&std::fs::read_to_string(f.path()).ok()?)).collect();
        entries.sort_unstable_by(|a, b| a.at.cmp(&b.at).then_with(|| a.event.cmp(&b.event)));
        entries
    }

    /// Forgets the oldest. That it cannot is no reason to fail.
    fn prune(&self, folder: &str, keep: usize) {
        let Ok(files) = std::fs::read_dir(self.folder.join(folder)) else { return };
        let files: Vec<PathBuf> = files.flatten().map(|f| f.path()).collect();
        if files.len() <= keep + keep / 10 {
            return;
        }
        let age = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let mut files: Vec<_> = files.into_iter().map(|path| (age(&path), path)).collect();
        files.sort_unstable();
        for (_, path) in files.iter().rev().skip(keep) {
            let _ = std::fs::remove_file(path);
        }
    }

    fn make(&self, folder: &str) -> Result<(), Failure> {
        let path = self.folder.join(folder);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|e| unusable(&path, &e))
    }
}

/// Our message is in the outbox by now, and whoever comes next sends it.
fn busy(stop: Failure) -> Failure {
    if stop.reason != "deadline" {
        return stop;
    }
    Failure::temporary("busy", "another notify is at work; the message waits in the outbox")
        .next("notify flush")
}

fn read(text: &str) -> Option<Entry> {
    serde_json::from_str(text).ok()
}

/// A note that cannot be read says that something was begun.
fn begun(entry: &Entry) -> Entry {
    Entry { state: State::Begun, at: "some time".to_owned(), lost: 1, ..entry.clone() }
}

fn write(path: &Path, entry: &Entry, durable: bool) -> std::io::Result<()> {
    let temporary = temporary(path);
    save(&temporary, entry, durable)?;
    std::fs::rename(&temporary, path)?;
    if durable { sync(path) } else { Ok(()) }
}

/// Beside it, and no other process's.
fn temporary(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.tmp", std::process::id()))
}

fn save(path: &Path, entry: &Entry, durable: bool) -> std::io::Result<()> {
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(serde_json::to_string(entry).map_err(std::io::Error::other)?.as_bytes())?;
    if durable { file.sync_all() } else { Ok(()) }
}

/// A new name is on disk when its folder is.
fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{} cannot be used: {error}; set state in [notify]", path.display());
    Failure::config("state", message)
}

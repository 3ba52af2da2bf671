//! What is to be told and what was told, on disk: few chats have a key by which they would know a message again, so we note before we
//! send and after. `outbox/` is what has still to arrive, `sent/` what has, `dead/` what was refused, became too old, or may have arrived and
//! is not sent again by itself; `broken/` holds notes that cannot be read. `locks/` has a lock for each channel.

mod note;
mod sweep;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use step::{Context, Failure};

pub use note::Entry;
pub use sweep::{Broken, Swept};

use crate::plan::State;
use note::safe;

/// Where notes may lie. What is said first wins when a kill has left two.
const FOLDERS: [&str; 4] = ["sent", "outbox", "dead", "broken"];

fn folder(state: State) -> &'static str {
    match state {
        State::Waiting | State::Begun => "outbox",
        State::Sent => "sent",
        State::Unknown | State::Dead => "dead",
    }
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

    /// One notify at a time for each channel: whoever comes second waits, but not longer than `within`. Held until it is dropped.
    ///
    /// # Errors
    /// `temporary`, `busy` when another notify holds it; `config`, `state` when there is no place for it.
    pub fn lock(&self, channel: &str, context: &Context, within: Duration) -> Result<File, Failure> {
        self.make("locks")?;
        let path = self.folder.join("locks").join(safe(channel));
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|e| unusable(&path, &e))?;
        let end = Instant::now() + within;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() >= end => return Err(busy()),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let pause = context.pause(Duration::from_millis(50));
                    pause.map_err(|stop| if stop.is_deadline() { busy() } else { stop })?;
                }
                Err(error) => return Err(unusable(&path, &error.into())),
            }
        }
    }

    /// What is noted about a message. A note that cannot be read says that a request was begun.
    ///
    /// # Errors
    /// `config`, `state`.
    pub fn find(&self, entry: &Entry) -> Result<Option<Entry>, Failure> {
        for folder in FOLDERS {
            let path = self.folder.join(folder).join(entry.file());
            match std::fs::read(&path) {
                Ok(text) => return Ok(Some(read(&text).unwrap_or_else(|_| begun(entry)))),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound) => {}
                Err(error) => return Err(unusable(&path, &error)),
            }
        }
        Ok(None)
    }

    /// Notes, and does not come back before what must not be forgotten is on disk.
    ///
    /// # Errors
    /// `config`, `state`.
    pub fn put(&self, entry: &Entry) -> Result<(), Failure> {
        let folder = folder(entry.state);
        self.make(folder)?;
        let path = self.folder.join(folder).join(entry.file());
        write(&path, entry, folder != "sent").map_err(|e| unusable(&path, &e))?;
        self.forget(entry, Some(folder))
    }

    /// Takes a message out of every folder but this one. A full disk can still do that.
    ///
    /// # Errors
    /// `config`, `state`.
    pub fn forget(&self, entry: &Entry, but: Option<&str>) -> Result<(), Failure> {
        for other in FOLDERS.into_iter().filter(|other| Some(*other) != but) {
            let stale = self.folder.join(other).join(entry.file());
            match std::fs::remove_file(&stale) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(&stale, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes a new one that has to be sent, unless another notify was quicker. A kill cannot lose it. A machine that stops may lose it
    /// where it is not urgent: then nothing has been sent, because what must be on disk is put there before the first request.
    ///
    /// # Errors
    /// `config`, `state`.
    pub fn add(&self, entry: &Entry) -> Result<(), Failure> {
        self.make("outbox")?;
        let path = self.folder.join("outbox").join(entry.file());
        let temporary = temporary(&path);
        let added =
            save(&temporary, entry, entry.is_urgent()).and_then(|()| std::fs::hard_link(&temporary, &path));
        let _ = std::fs::remove_file(&temporary);
        match added {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(unusable(&path, &error)),
            _ if entry.is_urgent() => sync(&path).map_err(|e| unusable(&path, &e)),
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

    /// The same, for one channel.
    pub fn waiting_for(&self, channel: &str) -> Vec<Entry> {
        let mut all = self.waiting();
        all.retain(|e| e.channel == channel);
        all
    }

    /// What is not sent any more by itself, oldest first.
    pub fn dead(&self) -> Vec<Entry> {
        let mut all = self.all("dead", "");
        // A kill between two folders leaves both; what lies in the others says more.
        let elsewhere =
            |e: &Entry| ["sent", "outbox"].iter().any(|f| self.folder.join(f).join(e.file()).exists());
        all.retain(|e| !elsewhere(e));
        all
    }

    /// The number of the first part of what a channel was told last about a run.
    pub fn told(&self, channel: &str, run: &str) -> Option<String> {
        let all = self.all("sent", &safe(&format!("{channel}.{run}.")));
        let ours = all.into_iter().filter(|e| e.run == run && e.channel == channel && e.state == State::Sent);
        ours.filter_map(|e| e.receipts.first()?.id.clone()).next_back()
    }

    /// Whether what lies there can be read. A folder of somebody else is not an empty one.
    ///
    /// # Errors
    /// `config`, `state`.
    pub fn look(&self) -> Result<(), Failure> {
        for path in [&self.folder].into_iter().cloned().chain(FOLDERS.iter().map(|f| self.folder.join(f))) {
            match std::fs::read_dir(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(unusable(&path, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a note could be written there, as far as that can be told without writing one.
    ///
    /// # Errors
    /// `config`, `state`.
    pub fn writable(&self) -> Result<(), Failure> {
        self.look()?;
        let there = self.folder.ancestors().find(|path| !path.as_os_str().is_empty() && path.exists());
        let there = there.unwrap_or(Path::new("."));
        let failed = |errno: rustix::io::Errno| unusable(there, &errno.into());
        rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
            .map_err(failed)?;
        if rustix::fs::statvfs(there).is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail == 0) {
            return Err(failed(rustix::io::Errno::NOSPC));
        }
        Ok(())
    }

    fn all(&self, folder: &str, prefix: &str) -> Vec<Entry> {
        let ours = self.files(folder).into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(prefix) && name.ends_with(".json")
        });
        let mut entries: Vec<Entry> = ours.filter_map(|path| read(&std::fs::read(path).ok()?).ok()).collect();
        entries.sort_unstable_by(|a, b| a.at.cmp(&b.at).then_with(|| a.event.cmp(&b.event)));
        entries
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten();
        files.map(|file| file.path()).collect()
    }

    fn make(&self, folder: &str) -> Result<(), Failure> {
        let path = self.folder.join(folder);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|e| unusable(&path, &e))
    }
}

/// Our message is in the outbox by now, and whoever holds the lock sends it, or whoever comes next.
fn busy() -> Failure {
    let message = "another notify is at work on this channel; the message waits in the outbox";
    Failure::temporary("busy", message).next("notify flush")
}

fn read(text: &[u8]) -> Result<Entry, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    serde_json::from_slice(text).map_err(|e| format!("it is {}", step::json_trouble(&e)))
}

/// What a note that cannot be read says: something was begun.
fn begun(entry: &Entry) -> Entry {
    Entry { state: State::Begun, at: "some time".to_owned(), ..entry.clone() }
}

fn write(path: &Path, entry: &Entry, durable: bool) -> std::io::Result<()> {
    let temporary = temporary(path);
    let written = save(&temporary, entry, durable).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        // A full disk has room for nothing, least of all for half a note.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
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

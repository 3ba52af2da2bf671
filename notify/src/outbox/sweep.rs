//! What kills, power cuts and full disks leave behind: notes that cannot be read are moved aside and told, half-written files of
//! processes that are gone are removed, and the oldest of what is kept for memory's sake is forgotten.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Outbox, read};

/// So many messages that were sent are remembered, and so many dead letters kept.
const SENT: usize = 500;
const DEAD: usize = 100;
/// A half-written file whose process cannot be asked for is left alone for so long.
const HALF: Duration = Duration::from_secs(600);

/// A note that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where it lies now.
    pub path: PathBuf,
    pub why: String,
}

impl Broken {
    /// One sentence about it: its name says for which channel and about which run it was.
    pub fn said(&self) -> String {
        format!(
            "{} cannot be read ({}): the message may not have been sent; see who was told, and then remove it",
            self.path.display(),
            self.why
        )
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Notes that were moved aside just now.
    pub broken: Vec<Broken>,
    /// Dead letters that were dropped, because there were too many.
    pub dropped: usize,
}

impl Outbox {
    /// Cleans up. What cannot be cleaned up stays: that is no reason to fail.
    pub fn sweep(&self) -> Swept {
        let mut swept = Swept::default();
        for folder in ["outbox", "sent", "dead"] {
            for path in self.files(folder) {
                let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
                let note = kind == "json" && folder != "sent";
                if kind == "tmp" && is_left_behind(&path) || note && self.is_sent(&path) {
                    let _ = std::fs::remove_file(&path);
                } else if note {
                    swept.broken.extend(self.set_aside(&path));
                }
            }
        }
        self.prune("sent", SENT);
        swept.dropped = self.prune("dead", DEAD);
        swept
    }

    /// The notes that were moved aside and still lie there.
    pub fn broken(&self) -> Vec<Broken> {
        let broken = |path: PathBuf| Some(Broken { why: trouble(&path)?, path });
        let mut all: Vec<Broken> = self.files("broken").into_iter().filter_map(broken).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// A kill came between the note that it was sent and the end of the one before.
    fn is_sent(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.folder.join("sent").join(name).exists())
    }

    fn set_aside(&self, path: &Path) -> Option<Broken> {
        let why = trouble(path)?;
        let aside = self.folder.join("broken").join(path.file_name()?);
        let moved = self.make("broken").is_ok() && std::fs::rename(path, &aside).is_ok();
        Some(Broken { path: if moved { aside } else { path.to_owned() }, why })
    }

    /// Forgets the oldest; how many.
    fn prune(&self, folder: &str, keep: usize) -> usize {
        let files = self.files(folder);
        if files.len() <= keep + keep / 10 {
            return 0;
        }
        let age = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let mut files: Vec<_> = files.into_iter().map(|path| (age(&path), path)).collect();
        files.sort_unstable();
        let old = files.iter().rev().skip(keep);
        old.filter(|(_, path)| std::fs::remove_file(path).is_ok()).count()
    }
}

/// Why a note cannot be read; `None` if it can, or is gone by now.
fn trouble(path: &Path) -> Option<String> {
    match std::fs::read(path) {
        Ok(text) => read(&text).err(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(error.to_string()),
    }
}

/// `NAME.PID.tmp`: the process is gone, or the file is old.
fn is_left_behind(path: &Path) -> bool {
    let pid = path.file_stem().and_then(|stem| Path::new(stem).extension()?.to_str()?.parse::<i32>().ok());
    let gone = pid
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
    let age = || SystemTime::now().duration_since(std::fs::metadata(path).ok()?.modified().ok()?).ok();
    gone || age().is_some_and(|age| age > HALF)
}

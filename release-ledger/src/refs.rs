//! Refs below `refs/rilis/` on the remote: each names a commit whose parents are the entries before it. A ref is moved only
//! from the entry that was seen to the next one (compare and swap), and the remote is asked afterwards whether it was.

use std::path::{Path, PathBuf};

use git_program::{Git, Place};
use step::{Acted, Context, Failure, Permit};

use crate::entry::Who;

/// The place of everything that this program writes.
const ROOT: &str = "refs/rilis";

/// The ledger of one remote.
pub struct Refs<'a> {
    git: Git<'a>,
    place: Place,
    /// Who writes.
    pub who: Who,
}

/// How an attempt to move a ref ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// The remote has this entry.
    Done,
    /// Somebody else was faster.
    Lost,
}

impl<'a> Refs<'a> {
    /// Opens the ledger of a remote; looks who writes and where it is pushed to, and asks the remote nothing.
    pub fn open(context: &'a Context, remote: &str) -> Result<Self, Failure> {
        let git = Git::new(context);
        let place = git.place(remote)?;
        // An entry is read as it was written, whatever git would show or convert for a person.
        let git = git.at(&place).set("log.showSignature", "false");
        let git = git.set("i18n.commitEncoding", "UTF-8").set("i18n.logOutputEncoding", "UTF-8");
        let who = who(&git)?;
        // Whoever has not told git who they are (a CI job) still writes an entry.
        let (name, mail) = who.holder.split_once(" <").unwrap_or((&who.holder, "unknown>"));
        let mail = mail.trim_end_matches('>');
        let git = ["AUTHOR", "COMMITTER"].into_iter().fold(git, |git, role| {
            git.with(&format!("GIT_{role}_NAME"), name).with(&format!("GIT_{role}_EMAIL"), mail)
        });
        Ok(Refs { git, place, who })
    }

    /// The remote's name.
    pub fn remote(&self) -> &str {
        self.place.name()
    }

    /// The entries whose ref begins so, as object and the rest of the name.
    pub fn list(&self, kind: &str) -> Result<Vec<(String, String)>, Failure> {
        let prefix = format!("{ROOT}/{kind}/");
        let refs = self.git.remote_refs(&self.place, &[&format!("{prefix}*")])?;
        Ok(refs
            .into_iter()
            .filter_map(|(id, name)| Some((id, name.strip_prefix(&prefix)?.to_owned())))
            .collect())
    }

    /// The newest entry of a ref, if there is one.
    pub fn tip(&self, name: &str) -> Result<Option<String>, Failure> {
        let full = format!("{ROOT}/{name}");
        Ok(self
            .git
            .remote_refs(&self.place, &[&full])?
            .into_iter()
            .find(|(_, n)| *n == full)
            .map(|(id, _)| id))
    }

    /// An entry's message.
    pub fn message(&self, entry: &str, name: &str) -> Result<String, Failure> {
        self.bring(&[(entry, name)])?;
        Ok(self.git.ask(&["log", "-1", "--format=%B", entry, "--"], b"")?.text())
    }

    /// The files of an entry, as name and content.
    pub fn files(&self, entry: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let listing = self.git.ask(&["ls-tree", "-z", entry], b"")?;
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        let blob = |line: &str| {
            let (kind, name) = line.split_once('\t')?;
            let id = kind.strip_prefix("100644 blob ")?;
            Some((id.to_owned(), name.to_owned()))
        };
        let blobs: Vec<(String, String)> = listing.split('\0').filter_map(blob).collect();
        let read =
            |(id, name): (String, String)| Ok((name, self.git.ask(&["cat-file", "blob", &id], b"")?.stdout));
        blobs.into_iter().map(read).collect()
    }

    /// Has the objects of entries here; those that are here already are not asked for.
    pub fn bring(&self, entries: &[(&str, &str)]) -> Result<(), Failure> {
        let mut missing = Vec::new();
        for (id, name) in entries {
            if !self.git.run(&["cat-file", "-e", id], b"")?.status.success() {
                missing.push(format!("{ROOT}/{name}"));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let args = [
            "-c",
            "gc.auto=0",
            "-c",
            "maintenance.auto=false",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            self.place.source(),
        ];
        let args: Vec<&str> = args.into_iter().chain(missing.iter().map(String::as_str)).collect();
        let said = self.git.run(&args, b"")?;
        if said.status.success() {
            return Ok(());
        }
        let message = format!("the ledger on {} cannot be fetched", self.remote());
        Err(Failure::temporary("remote-unreachable", message).cause(said.stderr))
    }

    /// A tree of a folder's files, by their names; they are written by one process of git, however many they are, but for those that hold
    /// a secret that is known here: what has been pushed stays, so these are written with a mask.
    pub fn tree(&self, folder: &Path, names: &[String]) -> Result<String, Failure> {
        let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        let masked: Vec<Option<String>> = paths.iter().map(|path| masked(path)).collect::<Result<_, _>>()?;
        let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let whole = shown.iter().zip(&masked).filter(|(_, masked)| masked.is_none()).map(|(path, _)| path);
        let mut ids = self.write(&whole.map(String::as_str).collect::<Vec<_>>())?.into_iter();
        let mut listing = String::new();
        for (name, masked) in names.iter().zip(masked) {
            let id = match masked {
                Some(text) => {
                    self.git.ask(&["hash-object", "-w", "--no-filters", "--stdin"], text.as_bytes())?.text()
                }
                None => ids.next().unwrap_or_default(),
            };
            listing.push_str(&format!("100644 blob {id}\t{name}\n"));
        }
        Ok(self.git.ask(&["mktree"], listing.as_bytes())?.text())
    }

    /// Writes files into git's store as they are; their ids.
    fn write(&self, paths: &[&str]) -> Result<Vec<String>, Failure> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let args = [&["hash-object", "-w", "--no-filters", "--"], paths].concat();
        Ok(self.git.ask(&args, b"")?.text().lines().map(str::to_owned).collect())
    }

    /// A tree without files: an entry that is only its message.
    pub fn empty(&self) -> Result<String, Failure> {
        self.tree(Path::new("."), &[])
    }

    /// The tree of an entry.
    pub fn tree_of(&self, entry: &str) -> Result<String, Failure> {
        Ok(self.git.ask(&["rev-parse", "--verify", &format!("{entry}^{{tree}}")], b"")?.text())
    }

    /// Puts the next entry where `before` was seen, and nowhere else.
    pub fn put(
        &self,
        _: &Permit,
        name: &str,
        before: Option<&str>,
        tree: &str,
        message: &str,
    ) -> Result<Moved, Failure> {
        let parent: Vec<&str> = before.map_or(vec![], |id| vec!["-p", id]);
        let entry = self
            .git
            .ask(&[&["commit-tree", tree, "-F", "-"], parent.as_slice()].concat(), message.as_bytes())?;
        self.swap(name, before, &entry.text())
    }

    /// Removes a ref that is at an entry.
    pub fn remove(&self, _: &Permit, name: &str, entry: &str) -> Result<Moved, Failure> {
        self.swap(name, Some(entry), "")
    }

    /// Moves a ref from what was seen to an entry, or removes it; believes only what the remote says afterwards.
    fn swap(&self, name: &str, before: Option<&str>, entry: &str) -> Result<Moved, Failure> {
        let full = format!("{ROOT}/{name}");
        let lease = format!("--force-with-lease={full}:{}", before.unwrap_or_default());
        let spec = format!("{entry}:{full}");
        // Hooks here are about code that is pushed, and this is none.
        let args =
            ["push", "--porcelain", "--no-verify", "--no-follow-tags", &lease, "--", self.remote(), &spec];
        let said = self.git.run(&args, b"").map_err(|f| f.acted(Acted::Unknown))?;
        let unknown = |f: Failure| f.acted(Acted::Unknown);
        let now = self.tip(name).map_err(unknown)?;
        let wanted = Some(entry).filter(|e| !e.is_empty());
        if now.as_deref() == wanted {
            return Ok(Moved::Done);
        }
        if now.as_deref() != before {
            return Ok(Moved::Lost);
        }
        let words = said.words();
        if words.contains("stale info")
            || words.contains("failed to update ref")
            || words.contains("cannot lock ref")
        {
            return Ok(Moved::Lost);
        }
        let message =
            format!("{} does not take {full}: it must allow refs below {ROOT}/ to be pushed", self.remote());
        Err(Failure::failed("refs-refused", message).cause(words))
    }
}

/// A file's text with a mask for each secret that is known here; none when it has none.
fn masked(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|e| Failure::config("runs", format!("{} cannot be read: {e}", path.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    let clean = step::redact(&text);
    Ok((clean != text).then_some(clean))
}

/// Who works here, as git knows them; else the user and the machine.
fn who(git: &Git) -> Result<Who, Failure> {
    let host = std::process::Command::new("uname").arg("-n").output();
    let host = host.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    let host = if host.is_empty() { "an unnamed machine".to_owned() } else { host };
    let said = git.run(&["var", "GIT_COMMITTER_IDENT"], b"")?;
    // The line ends with the time.
    let known = said.text().rsplit_once("> ").map(|(name, _)| format!("{name}>"));
    let user = || std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let holder =
        known.filter(|_| said.status.success()).unwrap_or_else(|| format!("{0} <{0}@{host}>", user()));
    Ok(Who { holder, host })
}

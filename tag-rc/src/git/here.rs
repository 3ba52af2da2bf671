//! The repository around the working directory, as git itself sees it: settings, safe.directory, the format of its refs and of
//! its index, worktrees and sparse checkouts are git's affair. Nothing here writes, and nothing here talks to a remote.

use std::path::{Path, PathBuf};

use git_program::Said;
use step::{Context, Failure};

use super::objects::{Objects, TagObject};
use super::{Aside, status};

/// The repository around the working directory.
pub struct Repo<'a> {
    program: git_program::Git<'a>,
    /// Where HEAD and what is going on are.
    folder: PathBuf,
    /// Where what all its worktrees share is.
    common: PathBuf,
    bare: bool,
    top: Option<PathBuf>,
    shallow: bool,
    commit: Option<String>,
    /// Its objects.
    pub objects: Objects,
}

/// What is checked out.
#[derive(Clone, Debug)]
pub struct Head {
    /// The commit in hex.
    pub commit: String,
    /// The branch; `None` on a detached head.
    pub branch: Option<String>,
}

impl<'a> Repo<'a> {
    /// Looks upwards for it, as git does.
    pub fn open(context: &'a Context) -> Result<Self, Failure> {
        let program = git_program::Git::new(context);
        // What is missing ends the answer: nothing checked out, then no folder of files.
        let questions =
            ["--absolute-git-dir", "--git-common-dir", "--is-bare-repository", "--is-shallow-repository"];
        let args =
            [&["rev-parse"], &questions[..], &["--show-object-format", "HEAD^{commit}", "--show-toplevel"]]
                .concat();
        let said = program.run(&args, b"")?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or_else(|| unusable(&said));
        let (folder, common) = (absolute(line()?), absolute(line()?));
        let (bare, shallow) = (line()? == "true", line()? == "true");
        if line()? == "sha256" {
            let message = "the objects of this repository have SHA-256 names (extensions.objectformat=sha256), which tag-rc cannot \
                           read yet (libgit2 does not know them)";
            return Err(Failure::refused("repository-format", message));
        }
        let commit = line().ok().filter(|id| id.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned);
        let top = line().ok().map(PathBuf::from);
        let objects =
            Objects::open(&common.join("objects"), shallow.then(|| common.join("shallow")).as_deref())?;
        Ok(Repo { program, folder, common, bare, top, shallow, commit, objects })
    }

    /// Where its objects are.
    pub fn objects_folder(&self) -> PathBuf {
        self.common.join("objects")
    }

    /// Whether the history is cut off.
    pub fn is_shallow(&self) -> bool {
        self.shallow
    }

    /// From now on also reads what was fetched aside.
    pub fn see(&self, aside: &Aside) -> Result<(), Failure> {
        self.objects.add(aside.path())
    }

    /// Whether it is the repository at a path that git would take for a remote.
    pub fn is_at(&self, path: &Path) -> bool {
        let path = self.top.as_deref().unwrap_or(&self.common).join(path);
        let ours = [Some(self.common.as_path()), self.top.as_deref()];
        let ours: Vec<_> = ours.into_iter().flatten().filter_map(|path| path.canonicalize().ok()).collect();
        let theirs = [path.canonicalize(), path.join(".git").canonicalize()];
        theirs.into_iter().flatten().any(|path| ours.contains(&path))
    }

    /// What is checked out.
    pub fn head(&self) -> Result<Head, Failure> {
        let Some(commit) = self.commit.clone() else { return Err(self.no_commit()) };
        // Where refs are kept in tables, or HEAD is a link as long ago, git is asked.
        let file = self.folder.join("HEAD");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let plain = !file.is_symlink() && !text.contains("refs/heads/.invalid");
        let name = match text.strip_prefix("ref:").filter(|_| plain) {
            Some(name) => name.trim().to_owned(),
            None if plain && text.trim() == commit => String::new(),
            None => self.program.run(&["symbolic-ref", "--quiet", "HEAD"], b"")?.text(),
        };
        Ok(Head { commit, branch: name.strip_prefix("refs/heads/").map(str::to_owned) })
    }

    /// Why HEAD leads to no commit: none was made yet, or it is not here.
    fn no_commit(&self) -> Failure {
        let named = self.program.run(&["rev-parse", "--verify", "--quiet", "HEAD"], b"");
        let id = named.ok().filter(|said| said.status.success()).map(|said| said.text()).unwrap_or_default();
        if id.is_empty() {
            return Failure::refused("no-commit", "nothing is checked out: HEAD leads to no commit");
        }
        let message = format!(
            "the commit that is checked out ({}) is missing in this repository, or cannot be read: fetch it again, or clone anew",
            crate::name::short(&id)
        );
        Failure::refused("commit-missing", message).next("git fsck --connectivity-only")
    }

    /// Paths that differ from the commit, as git says so, untracked ones included, but those that match `ignore`.
    pub fn dirty(&self, ignore: &[String]) -> Result<Vec<String>, Failure> {
        if self.bare {
            return Ok(Vec::new());
        }
        // Inside of `.git` there are no files to ask about.
        let beside = self.folder.parent().filter(|_| self.top.is_none() && self.folder.ends_with(".git"));
        status::dirty(&self.program, beside, ignore)
    }

    /// A merge, rebase or the like that is going on.
    pub fn busy(&self) -> Result<Option<&'static str>, Failure> {
        let marks = [
            ("rebase-merge", "rebase"),
            ("rebase-apply", "rebase"),
            ("MERGE_HEAD", "merge"),
            ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"),
            ("sequencer/todo", "cherry-pick or revert"),
            ("BISECT_LOG", "bisect"),
        ];
        if let Some((_, busy)) = marks.into_iter().find(|(mark, _)| self.folder.join(mark).exists()) {
            return Ok(Some(busy));
        }
        // Where refs are kept in tables, so are these two.
        for (name, busy) in [("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert")] {
            let tables = self.common.join("reftable").exists();
            if tables && self.program.run(&["rev-parse", "--verify", "--quiet", name], b"")?.status.success()
            {
                return Ok(Some(busy));
            }
        }
        Ok(None)
    }

    /// What stands under a tag's name here.
    pub fn tag(&self, name: &str) -> Result<Option<TagObject>, Failure> {
        let said =
            self.program.run(&["show-ref", "--verify", "--hash", &format!("refs/tags/{name}")], b"")?;
        let id = said.text();
        if said.status.success() { self.objects.tag(&id).map(Some) } else { Ok(None) }
    }

    /// The folder that all its worktrees share.
    pub fn common(&self) -> &Path {
        &self.common
    }
}

fn absolute(path: &str) -> PathBuf {
    std::env::current_dir().unwrap_or_default().join(path)
}

/// Why git answers nothing about the repository.
fn unusable(said: &Said) -> Failure {
    let words = &said.stderr;
    if words.contains("not a git repository") {
        return Failure::refused("no-repository", "the working directory is in no git repository");
    }
    if words.contains("dubious ownership") {
        // Git has quoted the folder's name for a shell.
        let command = words.lines().map(str::trim).find(|line| line.starts_with("git config "));
        let next = command.unwrap_or("git config --global --add safe.directory \"$PWD\"");
        let message = "this repository belongs to another user, so git does not trust it";
        return Failure::refused("repository-owner", message).next(next);
    }
    let format =
        ["unknown repository extension", "Expected git repo version"].iter().any(|w| words.contains(w));
    let reason = if format { "repository-format" } else { "repository" };
    Failure::refused(reason, "git cannot read this repository").cause(words)
}

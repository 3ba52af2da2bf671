//! Commits, trees and tags, read with libgit2 from the object database alone: it sees no settings, no refs, no index and no
//! attributes of the repository, so that nothing there changes an answer. What a merge makes stays in memory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use git2::{
    DiffOptions, ErrorCode, ObjectType, Odb, Oid, Pathspec, PathspecFlags, Repository, Revwalk, Sort,
};
use step::Failure;
use tempfile::TempDir;

use crate::message::printable;
use crate::promotion::Mode;

/// More than any other backend has: what is written goes there.
const IN_MEMORY: i32 = 999;

/// An object database.
pub struct Objects {
    database: Repository,
    /// Where the end of a cut-off history is told to libgit2.
    _boundary: Option<TempDir>,
}

/// How the commit here relates to the branch on the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is the branch's tip.
    Tip,
    /// The remote has commits that are not here.
    Behind,
    /// There are commits here that the remote does not have.
    Ahead,
    /// Both.
    Diverged,
    /// The remote's tip is not known here.
    Unknown,
    /// The remote has no such branch.
    NoBranch,
}

/// A tag object, or a lightweight tag, as it is kept here.
#[derive(Clone, Debug)]
pub struct TagObject {
    /// The object under the name.
    pub object: String,
    /// The commit that it leads to.
    pub commit: String,
    /// Its message; `None` for a lightweight tag.
    pub message: Option<String>,
    /// `Rina Wijaya <rina@luxima.example>`.
    pub tagger: Option<String>,
    /// When, in seconds since 1970.
    pub seconds: Option<i64>,
}

/// A commit, as it is listed for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// In hex.
    pub id: String,
    /// The first line of its message, fit to be shown.
    pub subject: String,
    /// It has several parents.
    pub merge: bool,
}

impl Objects {
    /// Opens the folder of objects, with whatever that one borrows from others. `shallow` is the list of commits at which the
    /// history is cut off.
    pub fn open(folder: &Path, shallow: Option<&Path>) -> Result<Self, Failure> {
        // Without a temporary folder what lies behind the cut is not found, which is what is said of it anyway.
        if let Some((database, boundary)) = shallow.and_then(|shallow| bounded(folder, shallow)) {
            return Ok(Objects { database, _boundary: Some(boundary) });
        }
        let database = (|| {
            let odb = Odb::new()?;
            odb.add_new_mempack_backend(IN_MEMORY)?;
            Repository::from_odb(odb)
        })();
        let objects = Objects { database: database.map_err(unreadable)?, _boundary: None };
        objects.add(folder)?;
        Ok(objects)
    }

    /// From now on also reads another folder of objects.
    pub fn add(&self, folder: &Path) -> Result<(), Failure> {
        let not_text = || {
            Failure::refused(
                "repository",
                format!("{} is no path in UTF-8, which libgit2 needs", folder.display()),
            )
        };
        let path = folder.to_str().ok_or_else(not_text)?;
        self.database.odb().and_then(|odb| odb.add_disk_alternate(path)).map_err(unreadable)
    }

    /// Whether an object is here.
    pub fn has(&self, object: &str) -> bool {
        oid(object).is_ok_and(|id| self.database.find_object(id, None).is_ok())
    }

    /// How a commit here relates to the remote's branch tip.
    pub fn relation(&self, head: &str, tip: Option<&str>) -> Result<Relation, Failure> {
        let Some(tip) = tip else { return Ok(Relation::NoBranch) };
        if head == tip {
            return Ok(Relation::Tip);
        }
        if !self.has(tip) {
            return Ok(Relation::Unknown);
        }
        Ok(match self.ahead_behind(head, tip)? {
            (0, _) => Relation::Behind,
            (_, 0) => Relation::Ahead,
            _ => Relation::Diverged,
        })
    }

    /// How many commits the first has that the second has not, and the other way round.
    pub fn ahead_behind(&self, one: &str, other: &str) -> Result<(usize, usize), Failure> {
        self.database.graph_ahead_behind(oid(one)?, oid(other)?).map_err(unreadable)
    }

    /// Whether `commit` is in the history of `tip`, or is it.
    pub fn is_ancestor(&self, commit: &str, tip: &str) -> Result<bool, Failure> {
        let (commit, tip) = (oid(commit)?, oid(tip)?);
        Ok(commit == tip || self.database.graph_descendant_of(tip, commit).map_err(unreadable)?)
    }

    /// Whether merging `commit` into `tip` would change nothing: what a squash or a cherry-pick leaves.
    pub fn adds_nothing(&self, commit: &str, tip: &str) -> Result<bool, Failure> {
        let (commit, tip) = (self.commit(commit)?, self.commit(tip)?);
        let merged = match self.database.merge_commits(&tip, &commit, None) {
            Ok(index) if !index.has_conflicts() => index,
            Ok(_) => return Ok(false),
            Err(e) if e.code() == ErrorCode::NotFound => return Ok(false), // no common history
            Err(e) => return Err(unreadable(e)),
        };
        let tree = tip.tree().map_err(unreadable)?;
        let diff = self.database.diff_tree_to_index(Some(&tree), Some(&merged), None).map_err(unreadable)?;
        Ok(diff.deltas().len() == 0)
    }

    /// How `head` came from a candidate's commit.
    pub fn mode(&self, candidate: &str, head: &str) -> Result<Mode, Failure> {
        if candidate == head {
            return Ok(Mode::SameCommit);
        }
        if !self.is_ancestor(candidate, head)? {
            return Ok(Mode::Squash);
        }
        // Along the first parents: does the line itself pass the candidate, or was it merged into it?
        let mut walk = self.walk(&[head.to_owned()], &[candidate.to_owned()])?;
        walk.simplify_first_parent().map_err(unreadable)?;
        let last = walk.last().transpose().map_err(unreadable)?;
        let parent = match last {
            Some(last) => self.database.find_commit(last).and_then(|c| c.parent_id(0)).ok(),
            None => None,
        };
        Ok(if parent == Some(oid(candidate)?) { Mode::FastForward } else { Mode::Merge })
    }

    /// The paths in which two commits differ, but those that match `allowed`; and those that do match.
    pub fn differences(
        &self,
        one: &str,
        other: &str,
        allowed: &[String],
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        let (one, other) = (self.commit(one)?, self.commit(other)?);
        if one.tree_id() == other.tree_id() {
            return Ok((Vec::new(), Vec::new()));
        }
        let (one, other) = (one.tree().map_err(unreadable)?, other.tree().map_err(unreadable)?);
        let mut options = DiffOptions::new();
        options.ignore_submodules(false).include_typechange(true);
        let diff = self
            .database
            .diff_tree_to_tree(Some(&one), Some(&other), Some(&mut options))
            .map_err(unreadable)?;
        let path = |delta: git2::DiffDelta| {
            let file = delta.new_file().path_bytes().or(delta.old_file().path_bytes());
            String::from_utf8_lossy(file.unwrap_or_default()).into_owned()
        };
        let all: Vec<String> = diff.deltas().map(path).collect();
        let forbidden = without(all.clone(), allowed)?;
        let permitted = all.iter().filter(|p| !forbidden.contains(p));
        let shown = |path: &String| printable(path);
        Ok((forbidden.iter().map(shown).collect(), permitted.map(shown).collect()))
    }

    /// A tag object by its id.
    pub fn tag(&self, id: &str) -> Result<TagObject, Failure> {
        let object = self.database.find_object(oid(id)?, None).map_err(unreadable)?;
        let none =
            |_| Failure::refused("no-commit", format!("the tag leads to no commit but to {}", kind(&object)));
        let commit = object.peel(ObjectType::Commit).map_err(none)?.id().to_string();
        let tag = object.as_tag();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let tagger = tag.and_then(git2::Tag::tagger);
        Ok(TagObject {
            object: id.to_owned(),
            commit,
            message: tag.map(|t| t.message_bytes().map(text).unwrap_or_default()),
            tagger: tagger
                .as_ref()
                .map(|s| printable(&format!("{} <{}>", text(s.name_bytes()), text(s.email_bytes())))),
            seconds: tagger.map(|s| s.when().seconds()),
        })
    }

    /// Whether the folder of a commit's files has a file of this name.
    pub fn has_file(&self, commit: &str, name: &str) -> bool {
        let tree = self.commit(commit).ok().and_then(|commit| commit.tree().ok());
        tree.is_some_and(|tree| {
            tree.get_name(name).is_some_and(|entry| entry.kind() == Some(ObjectType::Blob))
        })
    }

    /// Whether two commits hold the same files.
    pub fn same_files(&self, one: &str, other: &str) -> bool {
        let tree = |id: &str| self.commit(id).ok().map(|commit| commit.tree_id());
        tree(one).is_some_and(|one| tree(other) == Some(one))
    }

    /// The commits that lead to one of `tips` and to none of `known`, newest first.
    pub fn between(&self, tips: &[String], known: &[String]) -> Result<Vec<Commit>, Failure> {
        let mut walk = self.walk(tips, known)?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(unreadable)?;
        let shown = |id: Result<Oid, git2::Error>| {
            let commit = id.and_then(|id| self.database.find_commit(id)).map_err(unreadable)?;
            let subject = commit.summary_bytes().map(String::from_utf8_lossy).unwrap_or_default();
            Ok(Commit {
                id: commit.id().to_string(),
                subject: printable(&subject),
                merge: commit.parent_count() > 1,
            })
        };
        walk.map(shown).collect()
    }

    /// The commits that were the tip of a branch since it has left `known`: along first parents, so without what was merged into it.
    pub fn line(&self, tip: &str, known: &[String]) -> Result<HashSet<String>, Failure> {
        let mut walk = self.walk(&[tip.to_owned()], known)?;
        walk.simplify_first_parent().map_err(unreadable)?;
        walk.map(|id| id.map(|id| id.to_string()).map_err(unreadable)).collect()
    }

    fn walk(&self, tips: &[String], known: &[String]) -> Result<Revwalk<'_>, Failure> {
        let mut walk = self.database.revwalk().map_err(unreadable)?;
        for tip in tips {
            walk.push(oid(tip)?).map_err(unreadable)?;
        }
        for commit in known {
            walk.hide(oid(commit)?).map_err(unreadable)?;
        }
        Ok(walk)
    }

    /// The objects themselves, for what else is read of them.
    pub(super) fn database(&self) -> &Repository {
        &self.database
    }

    pub(super) fn commit(&self, id: &str) -> Result<git2::Commit<'_>, Failure> {
        self.database.find_commit(oid(id)?).map_err(unreadable)
    }
}

/// A repository of our own that borrows all objects, so that libgit2 learns where the history ends.
fn bounded(objects: &Path, shallow: &Path) -> Option<(Repository, TempDir)> {
    let folder = tempfile::Builder::new().prefix("tag-rc-").tempdir().ok()?;
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::create_dir_all(at("objects/info")).ok()?;
    std::fs::create_dir(at("refs")).ok()?;
    std::fs::write(at("HEAD"), "ref: refs/heads/none\n").ok()?;
    std::fs::write(at("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n").ok()?;
    std::fs::write(at("objects/info/alternates"), format!("{}\n", objects.to_str()?)).ok()?;
    std::fs::copy(shallow, at("shallow")).ok()?;
    Some((Repository::open_bare(folder.path()).ok()?, folder))
}

/// Whether a name matches one of git's patterns, such as `hotfix/*`.
pub fn matches(patterns: &[String], name: &str) -> Result<bool, Failure> {
    Ok(without(vec![name.to_owned()], patterns)?.is_empty())
}

/// Those that match none of git's patterns.
fn without(mut names: Vec<String>, patterns: &[String]) -> Result<Vec<String>, Failure> {
    // No pattern at all would match everything.
    if !patterns.is_empty() {
        let spec = Pathspec::new(patterns).map_err(unreadable)?;
        names.retain(|name| !spec.matches_path(Path::new(name), PathspecFlags::DEFAULT));
    }
    Ok(names)
}

fn kind(object: &git2::Object) -> &'static str {
    match object.peel(ObjectType::Any).ok().and_then(|inner| inner.kind()).or(object.kind()) {
        Some(ObjectType::Blob) => "a file",
        Some(ObjectType::Tree) => "a folder",
        _ => "something else",
    }
}

pub(super) fn oid(hex: &str) -> Result<Oid, Failure> {
    Oid::from_str(hex).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(super) fn unreadable(error: git2::Error) -> Failure {
    Failure::refused("repository", format!("the git repository cannot be read: {}", error.message()))
}

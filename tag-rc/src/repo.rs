//! The working copy, read with libgit2. Nothing here writes, and nothing here talks to a remote.

use std::path::{Path, PathBuf};

use git2::{
    Commit, DiffOptions, ErrorCode, ObjectType, Oid, Pathspec, PathspecFlags, Repository, RepositoryState,
    StatusOptions,
};
use step::Failure;

use crate::git::Aside;
use crate::promotion::Mode;

/// The repository around the working directory.
pub struct Repo(Repository);

/// What is checked out.
#[derive(Clone, Debug)]
pub struct Head {
    /// The commit in hex.
    pub commit: String,
    /// The branch; `None` on a detached head.
    pub branch: Option<String>,
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

impl Repo {
    /// Opens it, looking upwards, as git itself does (`GIT_DIR` counts).
    pub fn open() -> Result<Self, Failure> {
        Repository::open_from_env().map(Repo).map_err(|e| match e.code() {
            ErrorCode::NotFound => {
                Failure::refused("no-repository", "the working directory is in no git repository")
            }
            ErrorCode::Owner => {
                let message = "this repository belongs to another user, so git does not trust it (of git's settings \
                               only safe.directory in a file helps, not in GIT_CONFIG_*)";
                Failure::refused("repository-owner", message)
                    .next("git config --global --add safe.directory \"$PWD\"")
            }
            _ => Failure::refused(
                "repository",
                format!("the git repository cannot be opened: {}", e.message()),
            ),
        })
    }

    /// Where its objects are.
    pub fn objects(&self) -> PathBuf {
        self.0.commondir().join("objects")
    }

    /// Whether the history is cut off. libgit2 does not see it in a linked worktree, so the file is looked for.
    pub fn is_shallow(&self) -> bool {
        self.0.commondir().join("shallow").metadata().is_ok_and(|m| m.len() > 0)
    }

    /// From now on also reads what was fetched aside.
    pub fn see(&self, aside: &Aside) -> Result<(), Failure> {
        let path = aside.path().to_string_lossy();
        self.0.odb().and_then(|odb| odb.add_disk_alternate(&path)).map_err(unreadable)
    }

    /// Whether a file of this name lies in the working copy's top folder.
    pub fn has_file(&self, name: &str) -> bool {
        self.0.workdir().is_some_and(|folder| folder.join(name).is_file())
    }

    /// What is checked out.
    pub fn head(&self) -> Result<Head, Failure> {
        let none = |e: git2::Error| {
            Failure::refused("no-commit", format!("nothing is checked out: {}", e.message()))
        };
        let head = self.0.head().map_err(none)?;
        let commit = head.peel_to_commit().map_err(none)?.id().to_string();
        let branch = head.is_branch().then(|| head.shorthand().map(str::to_owned).ok()).flatten();
        Ok(Head { commit, branch })
    }

    /// Paths that differ from the commit, untracked ones included, but those that match `ignore`.
    pub fn dirty(&self, ignore: &[String]) -> Result<Vec<String>, Failure> {
        if self.0.is_bare() {
            return Ok(Vec::new());
        }
        let mut options = StatusOptions::new();
        options.include_untracked(true).include_ignored(false).exclude_submodules(false);
        let statuses = self.0.statuses(Some(&mut options)).map_err(unreadable)?;
        let paths = statuses.iter().map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned());
        without(paths.collect(), ignore)
    }

    /// A merge, rebase or the like that is going on.
    pub fn busy(&self) -> Option<&'static str> {
        match self.0.state() {
            RepositoryState::Clean => None,
            RepositoryState::Merge => Some("merge"),
            RepositoryState::Revert | RepositoryState::RevertSequence => Some("revert"),
            RepositoryState::CherryPick | RepositoryState::CherryPickSequence => Some("cherry-pick"),
            RepositoryState::Bisect => Some("bisect"),
            _ => Some("rebase"),
        }
    }

    /// Whether an object is here.
    pub fn has(&self, object: &str) -> bool {
        oid(object).is_ok_and(|id| self.0.find_object(id, None).is_ok())
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
        self.0.graph_ahead_behind(oid(one)?, oid(other)?).map_err(unreadable)
    }

    /// Whether `commit` is in the history of `tip`, or is it.
    pub fn is_ancestor(&self, commit: &str, tip: &str) -> Result<bool, Failure> {
        let (commit, tip) = (oid(commit)?, oid(tip)?);
        Ok(commit == tip || self.0.graph_descendant_of(tip, commit).map_err(unreadable)?)
    }

    /// Whether merging `commit` into `tip` would change nothing: what a squash or a cherry-pick leaves.
    pub fn adds_nothing(&self, commit: &str, tip: &str) -> Result<bool, Failure> {
        let (commit, tip) = (self.commit(commit)?, self.commit(tip)?);
        let merged = match self.0.merge_commits(&tip, &commit, None) {
            Ok(index) if !index.has_conflicts() => index,
            Ok(_) => return Ok(false),
            Err(e) if e.code() == ErrorCode::NotFound => return Ok(false), // no common history
            Err(e) => return Err(unreadable(e)),
        };
        let tree = tip.tree().map_err(unreadable)?;
        let diff = self.0.diff_tree_to_index(Some(&tree), Some(&merged), None).map_err(unreadable)?;
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
        let mut walk = self.0.revwalk().map_err(unreadable)?;
        walk.simplify_first_parent().map_err(unreadable)?;
        walk.push(oid(head)?).map_err(unreadable)?;
        walk.hide(oid(candidate)?).map_err(unreadable)?;
        let last = walk.last().transpose().map_err(unreadable)?;
        let parent = match last {
            Some(last) => self.0.find_commit(last).and_then(|c| c.parent_id(0)).ok(),
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
        let diff =
            self.0.diff_tree_to_tree(Some(&one), Some(&other), Some(&mut options)).map_err(unreadable)?;
        let path = |delta: git2::DiffDelta| {
            let file = delta.new_file().path_bytes().or(delta.old_file().path_bytes());
            String::from_utf8_lossy(file.unwrap_or_default()).into_owned()
        };
        let all: Vec<String> = diff.deltas().map(path).collect();
        let forbidden = without(all.clone(), allowed)?;
        let permitted = all.into_iter().filter(|p| !forbidden.contains(p)).collect();
        Ok((forbidden, permitted))
    }

    /// What stands under a tag's name here.
    pub fn tag(&self, name: &str) -> Result<Option<TagObject>, Failure> {
        match self.0.find_reference(&format!("refs/tags/{name}")) {
            Ok(reference) => {
                let id = reference.resolve().ok().and_then(|r| r.target());
                id.map(|id| self.tag_object(&id.to_string())).transpose()
            }
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(unreadable(e)),
        }
    }

    /// A tag object by its id.
    pub fn tag_object(&self, id: &str) -> Result<TagObject, Failure> {
        let object = self.0.find_object(oid(id)?, None).map_err(unreadable)?;
        let commit = object.peel(ObjectType::Commit).map_err(unreadable)?.id().to_string();
        let tag = object.as_tag();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let tagger = tag.and_then(git2::Tag::tagger);
        Ok(TagObject {
            object: id.to_owned(),
            commit,
            message: tag.map(|t| t.message_bytes().map(text).unwrap_or_default()),
            tagger: tagger.as_ref().map(|s| format!("{} <{}>", text(s.name_bytes()), text(s.email_bytes()))),
            seconds: tagger.map(|s| s.when().seconds()),
        })
    }

    fn commit(&self, id: &str) -> Result<Commit<'_>, Failure> {
        self.0.find_commit(oid(id)?).map_err(unreadable)
    }
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

fn oid(hex: &str) -> Result<Oid, Failure> {
    Oid::from_str(hex).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(error: git2::Error) -> Failure {
    Failure::refused("repository", format!("the git repository cannot be read: {}", error.message()))
}

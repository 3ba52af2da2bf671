//! The working copy, read with libgit2. Nothing here writes, and nothing here talks to a remote.

use git2::{ErrorCode, ObjectType, Repository, RepositoryState, StatusOptions};
use step::Failure;

use crate::plan::{RUN, Relation, Tag};

/// The repository around the working directory.
pub struct Repo(Repository);

/// What is checked out.
pub struct Head {
    /// The commit in hex.
    pub commit: String,
    /// The branch; `None` on a detached head.
    pub branch: Option<String>,
}

impl Repo {
    /// Opens it, looking upwards.
    pub fn open() -> Result<Self, Failure> {
        Repository::discover(".").map(Repo).map_err(|e| match e.code() {
            ErrorCode::NotFound => {
                Failure::refused("no-repository", "the working directory is in no git repository")
            }
            ErrorCode::Owner => {
                let message = "this repository belongs to another user, so git does not trust it";
                Failure::refused("repository-owner", message)
                    .next("git config --global --add safe.directory \"$PWD\"")
            }
            _ => Failure::refused(
                "repository",
                format!("the git repository cannot be opened: {}", e.message()),
            ),
        })
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

    /// Paths that differ from the commit, untracked ones included.
    pub fn dirty(&self) -> Result<Vec<String>, Failure> {
        let mut options = StatusOptions::new();
        options.include_untracked(true).include_ignored(false).exclude_submodules(false);
        let statuses = self.0.statuses(Some(&mut options)).map_err(unreadable)?;
        Ok(statuses.iter().map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned()).collect())
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

    /// How a commit here relates to the remote's branch tip.
    pub fn relation(&self, head: &str, tip: Option<&str>) -> Result<Relation, Failure> {
        let Some(tip) = tip else { return Ok(Relation::NoBranch) };
        if head == tip {
            return Ok(Relation::Tip);
        }
        let (head, tip) = (oid(head)?, oid(tip)?);
        if self.0.find_commit(tip).is_err() {
            return Ok(Relation::Unknown);
        }
        match self.0.graph_ahead_behind(head, tip).map_err(unreadable)? {
            (0, _) => Ok(Relation::Behind),
            (_, 0) => Ok(Relation::Ahead),
            _ => Ok(Relation::Diverged),
        }
    }

    /// The tags of a version here.
    pub fn tags(&self, version: &str) -> Result<Vec<Tag>, Failure> {
        let names = self.0.tag_names(Some(&format!("v{version}*"))).map_err(unreadable)?;
        let tag = |name: &str| {
            let reference = self.0.find_reference(&format!("refs/tags/{name}")).ok()?;
            let commit = reference.peel_to_commit().ok()?.id().to_string();
            Some(Tag { name: name.to_owned(), commit })
        };
        Ok(names.iter().flatten().flatten().filter_map(tag).collect())
    }

    /// Those of them whose message names this run.
    pub fn tags_of_run(&self, version: &str, run: &str) -> Result<Vec<Tag>, Failure> {
        let trailer = format!("{RUN}{run}");
        let ours = |tag: &Tag| {
            let reference = self.0.find_reference(&format!("refs/tags/{}", tag.name)).ok();
            let object = reference.and_then(|r| r.peel(ObjectType::Tag).ok()).and_then(|o| o.into_tag().ok());
            let message =
                object.and_then(|t| t.message_bytes().map(|m| String::from_utf8_lossy(m).into_owned()));
            message.is_some_and(|m| m.lines().any(|line| line == trailer))
        };
        Ok(self.tags(version)?.into_iter().filter(ours).collect())
    }

    /// Who tags will be by.
    pub fn identity(&self) -> Result<String, Failure> {
        let none = |_| {
            let message = "git knows no name and e-mail address for the tag";
            Failure::config("identity", message)
                .next("git config user.name NAME; git config user.email ADDRESS")
        };
        let signature = self.0.signature().map_err(none)?;
        Ok(format!("{} <{}>", signature.name().unwrap_or("?"), signature.email().unwrap_or("?")))
    }
}

fn oid(hex: &str) -> Result<git2::Oid, Failure> {
    git2::Oid::from_str(hex).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(error: git2::Error) -> Failure {
    Failure::refused("repository", format!("the git repository cannot be read: {}", error.message()))
}

//! What a commit changes, so that a copy of it is known again: a cherry-pick, a squash, a rebase has another id and brings the same.

use std::collections::BTreeMap;

use git2::{Diff, DiffOptions, Oid};
use step::Failure;

use super::objects::{Objects, oid, unreadable};

/// What one commit does to the files, against its first parent.
pub struct Change {
    id: String,
    /// Path to the file as it is afterwards; not what is deleted or empty, which is alike everywhere.
    files: BTreeMap<Vec<u8>, Oid>,
    paths: Vec<Vec<u8>>,
    authored: i64,
    committed: i64,
    message: String,
}

impl Change {
    /// The paths that both touch.
    pub fn shared<'a>(&'a self, other: &'a Change) -> impl Iterator<Item = String> + 'a {
        let shared = self.paths.iter().filter(|path| other.paths.contains(path));
        shared.map(|path| crate::message::printable(&String::from_utf8_lossy(path)))
    }

    /// Whether a file is afterwards what the other one made of it.
    fn leaves_the_same(&self, other: &Change) -> bool {
        self.files.iter().any(|(path, file)| other.files.get(path) == Some(file))
    }

    /// Whether the other one is certainly a copy of this one: it says so, or this one was never copied and is older.
    fn is_original_of(&self, other: &Change) -> bool {
        let says = other.message.contains(&format!("cherry picked from commit {}", self.id));
        says || (self.authored == self.committed && other.committed > self.committed)
    }
}

impl Objects {
    /// What a commit changes.
    pub fn change(&self, id: &str) -> Result<Change, Failure> {
        let commit = self.commit(id)?;
        let diff = self.diff(&commit)?;
        let mut change = Change {
            id: id.to_owned(),
            files: BTreeMap::new(),
            paths: Vec::new(),
            authored: commit.author().when().seconds(),
            committed: commit.committer().when().seconds(),
            message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        };
        // The id of the empty file.
        let empty = oid("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")?;
        for delta in diff.deltas() {
            let file = delta.new_file();
            let Some(path) = file.path_bytes().or(delta.old_file().path_bytes()) else { continue };
            change.paths.push(path.to_owned());
            if !file.id().is_zero() && file.id() != empty {
                change.files.insert(path.to_owned(), file.id());
            }
        }
        Ok(change)
    }

    /// Whether a commit here brings what another one brought first: the same patch, or a file that is the same afterwards.
    pub fn is_copy(&self, here: &Change, theirs: &Change) -> bool {
        if here.is_original_of(theirs) {
            return false;
        }
        here.leaves_the_same(theirs) || (here.paths == theirs.paths && self.same_patch(&here.id, &theirs.id))
    }

    /// By git's patch id: without line numbers and white space. A patch whose files are not here (a partial clone) is like no other.
    fn same_patch(&self, one: &str, other: &str) -> bool {
        let id = |id: &str| {
            let commit = self.commit(id).ok()?;
            let diff = self.diff(&commit).ok()?;
            (diff.deltas().len() > 0).then(|| diff.patchid(None).ok()).flatten()
        };
        id(one).is_some_and(|one| id(other) == Some(one))
    }

    fn diff(&self, commit: &git2::Commit) -> Result<Diff<'_>, Failure> {
        let tree = commit.tree().map_err(unreadable)?;
        let parent = commit.parents().next().map(|parent| parent.tree()).transpose().map_err(unreadable)?;
        let mut options = DiffOptions::new();
        options.ignore_submodules(false).include_typechange(true);
        self.database()
            .diff_tree_to_tree(parent.as_ref(), Some(&tree), Some(&mut options))
            .map_err(unreadable)
    }
}

//! Which pull request has brought which commit: pure. A pull request that carries one long-lived branch into another (staging into main) is no
//! review of what it carries: each commit in it needs one of its own, or a direct push would hide behind it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;

use super::history::History;

/// A pull request, as GitHub lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct Pull {
    pub number: u64,
    pub user: Option<User>,
    merged_at: Option<Timestamp>,
    merge_commit_sha: Option<String>,
    pub updated_at: Option<String>,
    pub head: Side,
    pub base: Side,
}

/// Somebody at GitHub.
#[derive(Clone, Debug, Deserialize)]
pub struct User {
    pub login: String,
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// Where a pull request comes from, or goes to.
#[derive(Clone, Debug, Deserialize)]
pub struct Side {
    pub sha: String,
    #[serde(rename = "ref")]
    pub branch: String,
    /// It is gone where a fork was deleted.
    pub repo: Option<Place>,
}

/// A repository at GitHub.
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    pub full_name: String,
    #[serde(default)]
    pub private: bool,
    default_branch: Option<String>,
}

impl Pull {
    /// Whether it was merged.
    pub fn is_merged(&self) -> bool {
        self.merged_at.is_some()
    }

    /// Whether it carries a long-lived branch of the same repository.
    pub fn is_promotion(&self, long_lived: &BTreeSet<String>) -> bool {
        let (Some(head), Some(base)) = (&self.head.repo, &self.base.repo) else { return false };
        let is_default = base.default_branch.as_ref() == Some(&self.head.branch);
        head.full_name == base.full_name && (is_default || long_lived.contains(&self.head.branch))
    }

    /// As people read it: `#12`.
    pub fn name(&self) -> String {
        format!("#{}", self.number)
    }
}

/// A pull request that has brought a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    pub pull: u64,
    /// The commit was made when it was merged: nobody has seen it before.
    pub is_merge: bool,
}

/// Which commits of a history came with which pull requests.
#[derive(Debug, Default)]
pub struct Covers {
    pub pulls: BTreeMap<u64, Pull>,
    by: BTreeMap<String, Vec<Cover>>,
    /// Those that carry long-lived branches, with the commits that were found in them.
    carried: BTreeMap<String, u64>,
}

impl Covers {
    /// Takes a merged pull request for the commits that it has brought, by the commit that it was merged with.
    pub fn take(&mut self, history: &History, pull: &Pull, long_lived: &BTreeSet<String>) {
        let Some(merge) = pull.merge_commit_sha.as_ref().filter(|_| pull.is_merged()) else { return };
        let Some(commit) = history.commits.get(merge) else { return };
        let is_promotion = pull.is_promotion(long_lived);
        let is_head = *merge == pull.head.sha;
        match &commit.parents[..] {
            // Another commit than the one that was reviewed.
            [_, second] if *second != pull.head.sha && !is_head => {}
            [_, _] if !is_head && !is_promotion => {
                for id in history.brought(merge) {
                    self.add(id, pull, false);
                }
                self.add(merge, pull, true);
            }
            // What was only moved forward has no commit of its own.
            _ if is_promotion && is_head => {}
            // One that squashes, or the last one of a rebase: the earlier ones are asked for one by one.
            _ => self.add(merge, pull, !is_head),
        }
    }

    /// Takes what GitHub says of one commit.
    pub fn answer(&mut self, id: &str, pulls: Vec<Pull>, long_lived: &BTreeSet<String>) {
        for pull in pulls.into_iter().filter(Pull::is_merged) {
            if pull.is_promotion(long_lived) {
                self.carried.insert(id.to_owned(), pull.number);
            } else {
                let is_merge = pull.merge_commit_sha.as_deref() == Some(id) && pull.head.sha != id;
                self.add(id, &pull, is_merge);
            }
        }
    }

    fn add(&mut self, id: &str, pull: &Pull, is_merge: bool) {
        self.pulls.entry(pull.number).or_insert_with(|| pull.clone());
        let covers = self.by.entry(id.to_owned()).or_default();
        if !covers.iter().any(|cover| cover.pull == pull.number) {
            covers.push(Cover { pull: pull.number, is_merge });
        }
    }

    /// What has brought a commit.
    pub fn of(&self, id: &str) -> &[Cover] {
        self.by.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Which pull request has carried a commit that has none of its own.
    pub fn carried(&self, id: &str) -> Option<u64> {
        self.carried.get(id).copied()
    }

    /// The commits that no pull request has brought, as far as is known.
    pub fn left<'a>(&self, history: &'a History) -> Vec<&'a str> {
        history.commits.keys().map(String::as_str).filter(|id| self.of(id).is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ci::history::Commit;
    use serde_json::{Value, json};

    #[expect(clippy::needless_pass_by_value, reason = "made by json!() at the call")]
    fn pull(number: u64, (head, from): (&str, &str), merge: Value, into: &str) -> Pull {
        let repo = json!({ "full_name": "luxima/shop", "private": true, "default_branch": "main" });
        let merged_at = if merge.is_null() { Value::Null } else { json!("2026-11-25T12:00:00Z") };
        let value = json!({ "number": number, "user": { "login": "rina", "type": "User" }, "merged_at": merged_at,
            "merge_commit_sha": merge, "head": { "sha": head, "ref": from, "repo": repo }, "base": { "sha": "a", "ref": into, "repo": repo } });
        serde_json::from_value(value).expect("a pull request")
    }

    /// Staging: a - d (pushed) - m (merges f) - p; main: a - s (merges p).
    fn history() -> History {
        let mut history = History::default();
        for (id, parents) in
            [("d", &["a"][..]), ("f", &["d"]), ("m", &["d", "f"]), ("p", &["m"]), ("s", &["a", "p"])]
        {
            let parents = parents.iter().map(|p| (*p).to_owned()).collect();
            history.commits.insert(id.to_owned(), Commit { tree: String::new(), parents });
        }
        history
    }

    fn left(pulls: &[Pull]) -> String {
        let (history, long_lived) = (history(), ["staging".to_owned()].into());
        let mut covers = Covers::default();
        pulls.iter().for_each(|pull| covers.take(&history, pull, &long_lived));
        covers.left(&history).join(" ")
    }

    #[test]
    fn a_pull_request_brings_its_commits_and_no_others() {
        let feature = || pull(12, ("f", "feature/x"), json!("m"), "staging");
        for (pulls, expected) in [
            (vec![], "d f m p s"),
            (vec![feature()], "d p s"),
            // One that carries staging into main hides nothing.
            (vec![feature(), pull(50, ("p", "staging"), json!("s"), "main")], "d p"),
            // Squashed, or moved forward.
            (vec![pull(13, ("zz", "feature/y"), json!("p"), "staging")], "d f m s"),
            (vec![pull(50, ("p", "staging"), json!("p"), "main")], "d f m p s"),
            (vec![pull(14, ("p", "feature/z"), json!("p"), "main")], "d f m s"),
            // Another head than the one that was merged; not merged; elsewhere.
            (vec![pull(12, ("other", "feature/x"), json!("m"), "staging")], "d f m p s"),
            (vec![pull(12, ("f", "feature/x"), Value::Null, "staging")], "d f m p s"),
            (vec![pull(12, ("f", "feature/x"), json!("elsewhere"), "staging")], "d f m p s"),
        ] {
            assert_eq!(left(&pulls), expected, "{pulls:?}");
        }
    }

    #[test]
    fn the_branch_of_a_fork_is_no_long_lived_one() {
        let long_lived = ["staging".to_owned()].into();
        let mut one = pull(50, ("p", "staging"), json!("s"), "main");
        assert!(one.is_promotion(&long_lived));
        assert!(pull(50, ("p", "main"), json!("s"), "staging").is_promotion(&long_lived));
        one.head.repo = None;
        assert!(!one.is_promotion(&long_lived));
    }

    #[test]
    fn what_github_says_of_one_commit_is_taken_for_that_commit() {
        let (history, long_lived) = (history(), ["staging".to_owned()].into());
        let mut covers = Covers::default();
        covers.answer("d", vec![pull(50, ("p", "staging"), json!("s"), "main")], &long_lived);
        covers.answer("f", vec![pull(12, ("f", "feature/x"), json!("m"), "staging")], &long_lived);
        covers.answer("p", vec![pull(13, ("p", "feature/y"), Value::Null, "staging")], &long_lived);
        assert_eq!((covers.left(&history).join(" "), covers.carried("d")), ("d m p s".to_owned(), Some(50)));
    }
}

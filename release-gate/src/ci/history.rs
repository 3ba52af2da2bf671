//! What is new since the last final version: the commits, by git alone. GitHub is told nothing, and an id is an id wherever it lies.

use std::collections::{BTreeMap, BTreeSet};

use git_program::{Git, aside};
use step::{Context, Failure};

/// More commits than that are in no release.
const MOST: usize = 5000;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub tree: String,
    pub parents: Vec<String>,
}

/// The last final version below a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Its tag: `v1.1.4`.
    pub tag: String,
    /// What the tag's ref is at: a tag object, or the commit.
    pub id: String,
    commit: String,
    /// When it was made, unix seconds.
    pub at: i64,
}

/// The commits since then.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub base: Option<Base>,
    pub commits: BTreeMap<String, Commit>,
}

/// Why the commits are not known, and what helps.
pub struct Unseen {
    pub why: String,
    pub command: Vec<&'static str>,
}

impl History {
    /// The commits that are new in this one.
    pub fn read(context: &Context, commit: &str) -> Result<Result<Self, Unseen>, Failure> {
        // What somebody has written into the clone beside the commits themselves does not say what they are.
        let git =
            Git::new(context).looking().with("GIT_GRAFT_FILE", "/dev/null").set("core.commitGraph", "false");
        if git.ask(&["rev-parse", "--is-shallow-repository"], b"")?.text() != "false" {
            let why = "this clone has only a part of the history, so nobody knows what is new".to_owned();
            return Ok(Err(Unseen { why, command: vec!["git", "fetch", "--unshallow", "--tags"] }));
        }
        let base = base(&git, commit)?;
        let limit = format!("--max-count={}", MOST + 1);
        let without = base.as_ref().map(|base| format!("^{}", base.commit));
        let fixed = ["rev-list", "--format=%H %T %P", &limit, commit];
        let words: Vec<&str> = fixed.into_iter().chain(without.as_deref()).chain(["--"]).collect();
        let text = git.ask(&words, b"")?.text();
        let commits: BTreeMap<String, Commit> = text.lines().filter_map(line).collect();
        if commits.len() > MOST || !commits.contains_key(commit) {
            let since = base.map_or_else(
                || "there is no final tag".to_owned(),
                |base| format!("{} is the last final", base.tag),
            );
            let why = format!(
                "{since}, and there are more than {MOST} commits in front of it: are the tags fetched?"
            );
            return Ok(Err(Unseen { why, command: vec!["git", "fetch", "--tags"] }));
        }
        Ok(Ok(History { base, commits }))
    }

    /// What a merge has brought into its first parent: the commits that only its other parents have.
    pub fn brought(&self, merge: &str) -> BTreeSet<&str> {
        let Some(commit) = self.commits.get(merge) else { return BTreeSet::new() };
        let Some((first, others)) = commit.parents.split_first() else { return BTreeSet::new() };
        let known = self.reachable(std::slice::from_ref(first));
        self.reachable(others).difference(&known).copied().collect()
    }

    /// The new commits that these lead to. What is behind an old commit is old.
    fn reachable(&self, from: &[String]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&str> = from.iter().map(String::as_str).collect();
        while let Some(id) = next.pop() {
            let Some((id, commit)) = self.commits.get_key_value(id) else { continue };
            if found.insert(id.as_str()) {
                next.extend(commit.parents.iter().map(String::as_str));
            }
        }
        found
    }
}

/// A commit of `rev-list --format`, which names each in a line of its own before.
fn line(text: &str) -> Option<(String, Commit)> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let id = words.next().filter(|word| *word != "commit")?;
    let tree = words.next()?.to_owned();
    Some((id.to_owned(), Commit { tree, parents: words.map(str::to_owned).collect() }))
}

/// The newest final below a commit; a tag of the commit itself is the one that is being released.
fn base(git: &Git, commit: &str) -> Result<Option<Base>, Failure> {
    let merged = format!("--merged={commit}");
    let format = "--format=%(refname:strip=2) %(objectname) %(creatordate:unix) %(*objectname)";
    let text = git.ask(&["for-each-ref", &merged, format, "refs/tags/v*"], b"")?.text();
    let tags = text.lines().filter_map(tag).filter(|(_, base)| base.commit != commit);
    Ok(tags.max_by_key(|(version, _)| *version).map(|(_, base)| base))
}

fn tag(text: &str) -> Option<([u64; 3], Base)> {
    let mut words = text.split_whitespace();
    let (tag, id, at) = (words.next()?, words.next()?, words.next()?);
    // A tag that is no object of its own is at the commit itself.
    let commit = words.next().unwrap_or(id);
    let base =
        Base { tag: tag.to_owned(), id: id.to_owned(), commit: commit.to_owned(), at: at.parse().ok()? };
    Some((version(tag)?, base))
}

/// `v1.2.0` and nothing behind it.
fn version(tag: &str) -> Option<[u64; 3]> {
    let mut parts = tag.strip_prefix('v')?.split('.').map(|part| {
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| part.parse::<u64>().ok())?
    });
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

/// What a merge commit is, beside its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// It is what git makes of the two: it has brought nothing of its own.
    Nothing,
    Something,
    /// Git here cannot tell.
    Unknown,
}

/// Whether a merge has changes of its own: git merges the two sides anew, into a folder that is thrown away.
pub fn own(context: &Context, merge: &Commit) -> Result<Own, Failure> {
    let [one, two] = &merge.parents[..] else { return Ok(Own::Unknown) };
    let (folder, _) = aside::own_folder(&Git::new(context))?;
    let unusable =
        |e: std::io::Error| Failure::failed("temporary-folder", format!("nothing can be written: {e}"));
    let made = tempfile::Builder::new().prefix("rilis-merge-").tempdir().map_err(unusable)?;
    let git = Git::new(context)
        .looking()
        .with("GIT_GRAFT_FILE", "/dev/null")
        .with("GIT_OBJECT_DIRECTORY", made.path().display().to_string())
        .with("GIT_ALTERNATE_OBJECT_DIRECTORIES", folder.with_file_name("objects").display().to_string())
        .set("merge.renames", "true")
        .set("merge.directoryRenames", "conflict");
    let said = git.run(&["merge-tree", "--write-tree", "--no-messages", one, two], b"")?;
    let text = said.text();
    Ok(match (said.status.code(), text.lines().next()) {
        (Some(0), Some(tree)) if tree == merge.tree => Own::Nothing,
        (Some(0 | 1), Some(_)) => Own::Something,
        _ => Own::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_is_three_numbers_and_no_more() {
        assert_eq!(version("v1.2.10"), Some([1, 2, 10]));
        for tag in ["1.2.0", "v1.2", "v1.2.0-rc1", "v1.2.0.1", "v1.2.", "v+1.2.0", "v1.2.x", "v", ""] {
            assert_eq!(version(tag), None, "{tag}");
        }
    }

    /// a - b - m - c, where m has brought x - y, and y has been merged with b before.
    #[test]
    fn a_merge_has_brought_what_only_its_other_side_has() {
        let mut history = History::default();
        for (id, parents) in
            [("b", &["a"][..]), ("x", &["a"]), ("y", &["x", "b"]), ("m", &["b", "y"]), ("c", &["m"])]
        {
            let parents = parents.iter().map(|p| (*p).to_owned()).collect();
            history.commits.insert(id.to_owned(), Commit { tree: String::new(), parents });
        }
        assert_eq!(history.brought("m"), ["x", "y"].into());
        assert!(history.brought("c").is_empty() && history.brought("a").is_empty());
    }

    #[test]
    fn lines_of_git_are_read() {
        assert_eq!(line("commit abc"), None);
        let (id, commit) = line("abc def 1 2").expect("a commit");
        assert_eq!((id.as_str(), commit.tree.as_str(), commit.parents.len()), ("abc", "def", 2));
        assert!(line("abc def ").expect("a root").1.parents.is_empty());
        let annotated = tag("v1.2.0 aa 17 bb").expect("a tag").1;
        assert_eq!((annotated.id.as_str(), annotated.commit.as_str(), annotated.at), ("aa", "bb", 17));
        for light in ["v1.2.0 aa 17 ", "v1.2.0 aa 17"] {
            assert_eq!(tag(light).expect("a tag").1.commit, "aa");
        }
    }
}

//! Which tag it shall be, or why none may be made. Pure.

use semver::Version;
use step::Failure;

use crate::args::Settings;

/// What is to be tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The next release candidate.
    Candidate,
    /// The final release.
    Final,
}

impl Act {
    /// The subcommand's word.
    pub fn word(self) -> &'static str {
        match self {
            Act::Candidate => "candidate",
            Act::Final => "final",
        }
    }
}

/// A tag and the commit that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The commit, through an annotated tag.
    pub commit: String,
}

/// How the commit here relates to the branch on the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What was seen.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The commit here, 40 or 64 hex digits.
    pub head: String,
    /// The branch that is checked out; `None` on a detached head.
    pub branch: Option<String>,
    /// Paths that differ from the commit.
    pub dirty: Vec<String>,
    /// A merge, rebase or the like that is going on.
    pub busy: Option<&'static str>,
    /// The commit against the remote's branch.
    pub relation: Relation,
    /// Tags of this version in the working copy.
    pub local_tags: Vec<Tag>,
    /// Those of them that this very run has made.
    pub own_local_tags: Vec<Tag>,
    /// Tags of this version on the remote.
    pub remote_tags: Vec<Tag>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The remote has it already.
    Unchanged(String),
    /// Push it; `create` it first, unless a killed run of this document has left it here.
    Push {
        /// The tag's name.
        tag: String,
        /// Whether it has to be made.
        create: bool,
    },
}

impl Plan {
    /// The tag's name.
    pub fn tag(&self) -> &str {
        match self {
            Plan::Unchanged(tag) | Plan::Push { tag, .. } => tag,
        }
    }
}

/// Decides.
pub fn decide(act: Act, version: &str, settings: &Settings, seen: &Observed) -> Result<Plan, Failure> {
    let parsed = Version::parse(version).map_err(|e| {
        let message = format!("`{version}` is not a version for a tag ({e}); write it like 1.2.0");
        Failure::refused("version", message)
    })?;
    if !parsed.pre.is_empty() {
        let message = format!(
            "`{version}` carries a pre-release itself; give {}.{}.{}",
            parsed.major, parsed.minor, parsed.patch
        );
        return Err(Failure::refused("version", message));
    }
    let name = match act {
        Act::Candidate => candidate(version, seen)?,
        Act::Final => format!("v{version}"),
    };
    // What is on the remote already is a fact, whatever the working copy looks like by now.
    if let Some(tag) = seen.remote_tags.iter().find(|t| t.name == name) {
        return already_there(tag, seen);
    }
    if act == Act::Candidate {
        not_final_yet(version, seen)?;
    }
    fit_to_tag(settings, seen)?;
    let create = match seen.local_tags.iter().find(|t| t.name == name) {
        None => true,
        Some(tag) if seen.own_local_tags.contains(tag) && tag.commit == seen.head => false,
        Some(_) => {
            let message = format!(
                "the tag {name} is here but not on {}, and this run did not make it",
                settings.remote
            );
            return Err(Failure::refused("local-tag", message).next(format!("git tag -d {name}")));
        }
    };
    Ok(Plan::Push { tag: name, create })
}

/// The candidate that this commit carries, else the next number.
fn candidate(version: &str, seen: &Observed) -> Result<String, Failure> {
    let prefix = format!("v{version}-rc");
    let mut highest = 0;
    let mut here = None;
    for tag in &seen.remote_tags {
        let Some(number) = tag.name.strip_prefix(&prefix) else { continue };
        let number = number_of(&tag.name, number)?;
        if tag.commit == seen.head {
            here = here.max(Some(number));
        }
        highest = highest.max(number);
    }
    Ok(format!("{prefix}{}", here.unwrap_or(highest + 1)))
}

fn number_of(tag: &str, number: &str) -> Result<u64, Failure> {
    let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    number.parse().ok().filter(|_| plain).ok_or_else(|| {
        let message = format!(
            "the remote has {tag}, whose number is not written like -rc7; mixed styles cannot be counted"
        );
        Failure::refused("candidate-style", message)
    })
}

fn already_there(tag: &Tag, seen: &Observed) -> Result<Plan, Failure> {
    if tag.commit == seen.head {
        return Ok(Plan::Unchanged(tag.name.clone()));
    }
    let (there, here) = (&tag.commit[..12], &seen.head[..12]);
    let message = format!(
        "{} is on the remote already, at {there}, and here is {here}; a tag is never moved",
        tag.name
    );
    Err(Failure::refused("tag-exists", message))
}

fn not_final_yet(version: &str, seen: &Observed) -> Result<(), Failure> {
    let name = format!("v{version}");
    if seen.remote_tags.iter().any(|t| t.name == name) {
        let message =
            format!("{version} is released already ({name} is on the remote): a candidate comes before");
        return Err(Failure::refused("already-final", message));
    }
    Ok(())
}

/// Clean, on the branch, and at its tip on the remote. A detached head, as CI has it, is proven by the tip alone.
fn fit_to_tag(settings: &Settings, seen: &Observed) -> Result<(), Failure> {
    let branch = &settings.branch;
    let remote = &settings.remote;
    if let Some(busy) = seen.busy {
        return Err(Failure::refused("busy", format!("a {busy} is going on here; finish or abort it first")));
    }
    if !seen.dirty.is_empty() {
        let shown =
            seen.dirty.iter().take(10).fold(Failure::refused("dirty", dirty(&seen.dirty)), Failure::cause);
        return Err(shown.next("git status"));
    }
    if let Some(other) = seen.branch.as_ref().filter(|b| *b != branch) {
        let message = format!("on branch {other}, but this is tagged on {branch}");
        return Err(Failure::refused("branch", message).next(format!("git switch {branch}")));
    }
    let refused = |reason, message: String, next: String| Err(Failure::refused(reason, message).next(next));
    let pull = format!("git pull --ff-only {remote} {branch}");
    match seen.relation {
        Relation::Tip => Ok(()),
        Relation::Behind => refused("behind", format!("{branch} is behind {remote}/{branch}"), pull),
        Relation::Ahead => {
            let push = format!("git push {remote} HEAD:refs/heads/{branch}");
            refused("not-pushed", format!("{branch} has commits that {remote} does not have"), push)
        }
        Relation::Diverged => {
            refused("diverged", format!("{branch} and {remote}/{branch} have diverged"), pull)
        }
        Relation::Unknown => {
            let message = format!("{remote}/{branch} is at a commit that is not known here");
            refused("behind", message, format!("git fetch {remote} {branch}"))
        }
        Relation::NoBranch => {
            let push = format!("git push {remote} HEAD:refs/heads/{branch}");
            refused("branch-missing", format!("{remote} has no branch {branch}"), push)
        }
    }
}

fn dirty(paths: &[String]) -> String {
    let word = if paths.len() == 1 { "path differs" } else { "paths differ" };
    format!("{} {word} from the commit; commit or stash first", paths.len())
}

/// What other tools will get wrong about a tag.
pub fn warning(tag: &str) -> Option<String> {
    let number = tag.rsplit_once("-rc").and_then(|(_, n)| n.parse::<u64>().ok())?;
    let text = format!(
        "{tag}: tools that sort by SemVer put rc10 before rc2; they will not take this for the newest candidate"
    );
    (number >= 10).then_some(text)
}

/// The annotated tag's message: what it is, the notes, and the run that made it.
pub fn message(tag: &str, notes: Option<String>, run: &str) -> String {
    let notes = notes.filter(|n| !n.is_empty()).map(|n| format!("{n}\n\n")).unwrap_or_default();
    format!("{tag}\n\n{notes}{RUN}{run}\n")
}

/// The trailer that names the run.
pub const RUN: &str = "Rilis-Run: ";

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "1111111111111111111111111111111111111111";
    const OTHER: &str = "2222222222222222222222222222222222222222";

    fn tags(tags: &[(&str, &str)]) -> Vec<Tag> {
        tags.iter()
            .map(|(name, commit)| Tag { name: (*name).to_owned(), commit: (*commit).to_owned() })
            .collect()
    }

    fn seen(remote: &[(&str, &str)]) -> Observed {
        Observed {
            head: HEAD.into(),
            branch: Some("staging".into()),
            dirty: Vec::new(),
            busy: None,
            relation: Relation::Tip,
            local_tags: Vec::new(),
            own_local_tags: Vec::new(),
            remote_tags: tags(remote),
        }
    }

    fn settings() -> Settings {
        Settings { remote: "origin".into(), branch: "staging".into() }
    }

    fn decided(act: Act, seen: &Observed) -> Result<String, String> {
        match decide(act, "1.2.0", &settings(), seen) {
            Ok(Plan::Unchanged(tag)) => Ok(format!("has {tag}")),
            Ok(Plan::Push { tag, create: true }) => Ok(format!("make {tag}")),
            Ok(Plan::Push { tag, create: false }) => Ok(format!("push {tag}")),
            Err(failure) => Err(failure.reason),
        }
    }

    #[test]
    fn numbers_are_counted_as_numbers_from_the_remote() {
        let make = |tag: &str| Ok(format!("make {tag}"));
        assert_eq!(decided(Act::Candidate, &seen(&[])), make("v1.2.0-rc1"));
        let ten =
            [("v1.2.0-rc9", OTHER), ("v1.2.0-rc10", OTHER), ("v1.2.0-rc2", OTHER), ("v1.2.1-rc40", OTHER)];
        assert_eq!(decided(Act::Candidate, &seen(&ten)), make("v1.2.0-rc11"));
        assert_eq!(decided(Act::Final, &seen(&ten)), make("v1.2.0"));
    }

    #[test]
    fn a_commit_that_carries_the_tag_is_left_alone() {
        let has = |tag: &str| Ok(format!("has {tag}"));
        assert_eq!(
            decided(Act::Candidate, &seen(&[("v1.2.0-rc3", HEAD), ("v1.2.0-rc4", OTHER)])),
            has("v1.2.0-rc3")
        );
        let mut last = seen(&[("v1.2.0", HEAD)]);
        assert_eq!(decided(Act::Final, &last), has("v1.2.0"));
        last.dirty = vec!["a".into()];
        assert_eq!(
            decided(Act::Final, &last),
            has("v1.2.0"),
            "nothing is tagged, so nothing has to be clean"
        );
    }

    #[test]
    fn what_cannot_be_tagged_is_refused() {
        let refused = |change: fn(&mut Observed)| {
            let mut seen = seen(&[]);
            change(&mut seen);
            decided(Act::Candidate, &seen).expect_err("refused")
        };
        assert_eq!(refused(|s| s.dirty = vec!["a".into()]), "dirty");
        assert_eq!(refused(|s| s.busy = Some("merge")), "busy");
        assert_eq!(refused(|s| s.branch = Some("develop".into())), "branch");
        assert_eq!(refused(|s| s.relation = Relation::Behind), "behind");
        assert_eq!(refused(|s| s.relation = Relation::Ahead), "not-pushed");
        assert_eq!(refused(|s| s.relation = Relation::Diverged), "diverged");
        assert_eq!(refused(|s| s.relation = Relation::Unknown), "behind");
        assert_eq!(refused(|s| s.relation = Relation::NoBranch), "branch-missing");
        assert_eq!(refused(|s| s.remote_tags = tags(&[("v1.2.0", OTHER)])), "already-final");
        assert_eq!(refused(|s| s.remote_tags = tags(&[("v1.2.0-rc.1", OTHER)])), "candidate-style");
        assert_eq!(refused(|s| s.remote_tags = tags(&[("v1.2.0-rc01", OTHER)])), "candidate-style");
        assert_eq!(refused(|s| s.local_tags = tags(&[("v1.2.0-rc1", HEAD)])), "local-tag");
        assert_eq!(decided(Act::Final, &seen(&[("v1.2.0", OTHER)])), Err("tag-exists".into()));
    }

    #[test]
    fn a_tag_that_a_killed_run_left_here_is_pushed() {
        let mut seen = seen(&[]);
        seen.local_tags = tags(&[("v1.2.0-rc1", HEAD)]);
        seen.own_local_tags = seen.local_tags.clone();
        assert_eq!(decided(Act::Candidate, &seen), Ok("push v1.2.0-rc1".into()));
    }

    #[test]
    fn a_detached_head_is_proven_by_the_tip_of_the_branch() {
        let mut seen = seen(&[]);
        seen.branch = None;
        assert_eq!(decided(Act::Candidate, &seen), Ok("make v1.2.0-rc1".into()));
        seen.relation = Relation::Behind;
        assert_eq!(decided(Act::Candidate, &seen), Err("behind".into()));
    }

    #[test]
    fn only_a_plain_version_is_tagged() {
        for version in ["1.2", "1.2.0-rc1", "01.2.0", "next"] {
            let refused = decide(Act::Final, version, &settings(), &seen(&[])).expect_err(version);
            assert_eq!(refused.reason, "version");
        }
    }

    #[test]
    fn the_tenth_candidate_is_worth_a_word() {
        assert_eq!(warning("v1.2.0-rc9"), None);
        assert!(warning("v1.2.0-rc10").is_some());
        assert_eq!(warning("v1.2.0"), None);
    }
}

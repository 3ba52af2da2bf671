//! What a hotfix is built on: the final that runs, and nothing else that customers have not had. Pure.

use facts::Previous;
use semver::Version;
use serde_json::{Value, json};
use step::Failure;
use step::shell::command;

use crate::check::Check;
use crate::git::Commit;
use crate::message::Trailers;
use crate::name::Name;
use crate::name::short;
use crate::remote::{Remote, Tag};

/// How many commits a person is shown.
const SHOWN: usize = 10;

/// The final that a hotfix has to be built on.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its version.
    pub version: Version,
    /// Its tag.
    pub tag: Tag,
    /// How it is known that this one runs: one sentence.
    pub why: String,
    /// Production was asked what it runs.
    pub is_seen: bool,
    /// What production calls what it runs, where that is no final of the remote. The base is then a guess.
    pub no_final: Option<String>,
}

impl Base {
    /// That nobody has asked what runs, if it is so: after a rollback that is another one than the tags say.
    fn doubt(&self) -> &'static str {
        if self.is_seen {
            ""
        } else {
            ", and nobody has asked what runs: after a rollback rilis-hotfix -n does"
        }
    }
}

/// How a commit is built on its base.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The history here is cut off, or something of it is not here.
    pub unknown: bool,
    /// What it has and the base has not, newest first.
    pub commits: Vec<Commit>,
    /// Those of them that came along from a branch where work is not released, and which branch.
    pub strange: Vec<(Commit, String)>,
    /// What the base has and it has not.
    pub lost: Vec<Commit>,
    /// The paths that it changes and that unreleased work changes too.
    pub shared: Vec<String>,
}

/// What runs in production, by the word of the step that looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    version: Option<String>,
    commit: Option<String>,
}

impl Runs {
    /// From the facts `previous` (what ran before anything was changed) and `live`.
    pub fn of(previous: Option<Previous>, live: Option<String>) -> Option<Self> {
        let is_commit = |text: &String| text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let runs = match (previous, live) {
            (Some(previous), _) => Runs { version: previous.version, commit: previous.commit },
            (None, Some(commit)) if is_commit(&commit) => Runs { version: None, commit: Some(commit) },
            (None, version) => Runs { version, commit: None },
        };
        (runs.version.is_some() || runs.commit.is_some()).then_some(runs)
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        self.version.as_deref().or(self.commit.as_deref().map(short)).unwrap_or_default()
    }

    /// The final that this is: by its commit, else by its name. A candidate runs under its own name as the final that it became.
    pub fn find<'r>(&self, remote: &'r Remote) -> Option<(Version, &'r Tag)> {
        let is_there = |tag: &&Tag| self.commit.as_ref() == Some(&tag.commit);
        let named = remote.tags.values().filter(is_there).filter_map(|tag| Name::parse(&tag.name));
        let called = self.version.iter().filter_map(|version| Name::parse(version));
        let version = |name: Name| name.version().clone();
        named.chain(called).map(version).find_map(|v| remote.final_of(&v).map(|tag| (v, tag)))
    }
}

/// The final that runs, when nobody has looked: the highest one on the production branch, or a hotfix of it that has not arrived
/// there yet. Without any on that branch, the highest of all.
pub fn newest<'r>(
    finals: &[(Version, &'r Tag)],
    in_production: impl Fn(&Tag) -> bool,
    is_built_on: impl Fn(&Tag, &Tag) -> bool,
) -> Option<(Version, &'r Tag)> {
    let Some((version, tag)) = finals.iter().rfind(|(_, tag)| in_production(tag)) else {
        return finals.last().cloned();
    };
    let same_line =
        |other: &Version| (other.major, other.minor) == (version.major, version.minor) && other > version;
    let hotfix = finals.iter().rfind(|(v, t)| same_line(v) && is_built_on(t, tag));
    Some(hotfix.cloned().unwrap_or((version.clone(), tag)))
}

/// The version of a hotfix of this final: the next patch that is free.
pub fn next_patch(base: &Version, remote: &Remote) -> Version {
    let line = remote
        .finals()
        .into_iter()
        .map(|(v, _)| v)
        .filter(|v| (v.major, v.minor) == (base.major, base.minor));
    let last = line.map(|v| v.patch).chain([base.patch]).max().unwrap_or_default();
    Version::new(base.major, base.minor, last + 1)
}

/// A branch of its own on what runs.
fn switch(base: &Base, branch: &str) -> String {
    let name = format!("{branch}-on-{}", base.version);
    command(["git", "switch", "--create", &name, short(&base.tag.commit)])
}

/// The branch is what is released already.
fn nothing_to_fix(branch: &str, tag: &str, why: &str) -> Failure {
    let message = format!("{branch} has nothing besides {tag} ({why}): commit the fix first");
    Failure::refused("nothing-to-fix", message)
}

/// A final that this commit has already. It is handed out again only as what it was made as: the next hotfix of what runs, by this
/// branch or this very run. An old final would take a newer one back.
pub struct Again<'a> {
    /// The final.
    pub tag: &'a Tag,
    /// Its version.
    pub version: &'a Version,
    /// The branch.
    pub branch: &'a str,
    /// What its message says.
    pub claims: &'a Trailers,
    /// This run.
    pub run: &'a str,
}

impl Again<'_> {
    /// The check `base` of it. That it was built on its base alone was proven before it was made; the branches have taken it up since.
    pub fn check(&self, base: Option<&Base>, built: &Built, remote: &Remote) -> Check {
        const NAME: &str = "base";
        match self.refusal(base, built, remote) {
            Some(failure) => Check::fail(NAME, failure),
            None => {
                Check::pass(NAME, format!("{} was made here as the next hotfix of what runs", self.tag.name))
            }
        }
    }

    fn refusal(&self, base: Option<&Base>, built: &Built, remote: &Remote) -> Option<Failure> {
        let (tag, branch) = (&self.tag.name, self.branch);
        let Some(base) = base else {
            return Some(nothing_to_fix(branch, tag, "it is the only final on the remote"));
        };
        let same_run = self.claims.run.as_deref() == Some(self.run) && self.claims.base.is_some();
        if base.tag.commit == self.tag.commit {
            return (!same_run).then(|| nothing_to_fix(branch, tag, &base.why));
        }
        let ours = same_run || self.claims.branch.as_deref() == Some(branch);
        let same_base = self.claims.base.as_ref() == Some(&base.tag.name);
        let excused = self.claims.other_base.is_some() || (built.lost.is_empty() && base.no_final.is_none());
        let next = next_patch(&base.version, remote);
        let is_newest = (next.major, next.minor, next.patch)
            == (self.version.major, self.version.minor, self.version.patch + 1);
        if ours && same_base && excused && is_newest {
            return None;
        }
        if *self.version > base.version && built.lost.is_empty() {
            return Some(nothing_to_fix(branch, tag, "it is released already"));
        }
        let message = format!(
            "{branch} has no commit of its own: it is {tag}, an old final, and {}; build the fix on {}",
            base.why, base.tag.name
        );
        Some(Failure::refused("old-final", message).next(switch(base, branch)))
    }
}

/// There is nothing that a hotfix could fix.
pub fn no_final() -> Failure {
    Failure::refused(
        "no-final",
        "the remote has no final tag yet, so there is nothing that a hotfix could fix",
    )
}

impl Built {
    /// Whether anything speaks against this base.
    pub fn is_sound(&self, base: &Base) -> bool {
        base.no_final.is_none() && self.strange.is_empty() && self.lost.is_empty()
    }

    /// The check `base`. `reason` says why it may be built on something else all the same.
    pub fn check(&self, base: &Base, branch: &str, reason: Option<&str>, remote: &str) -> Check {
        const NAME: &str = "base";
        let tag = &base.tag.name;
        if self.unknown {
            let message =
                format!("the history here is cut off, so it cannot be told what {branch} has besides {tag}");
            let failure = Failure::refused("shallow", message);
            return Check::fail(NAME, failure.command(["git", "fetch", "--unshallow", remote]));
        }
        if self.commits.is_empty() && self.lost.is_empty() && base.no_final.is_none() {
            return Check::fail(NAME, nothing_to_fix(branch, tag, &base.why));
        }
        match (self.is_sound(base), reason) {
            (true, _) => Check::pass(
                NAME,
                format!("{branch} is {tag} and {}; {}", counted(self.commits.len()), base.why),
            ),
            (false, Some(reason)) => {
                Check::skip(NAME, format!("{}; all the same: {reason}", self.wrong(base, branch).message))
            }
            (false, None) => Check::fail(NAME, self.wrong(base, branch)),
        }
    }

    fn wrong(&self, base: &Base, branch: &str) -> Failure {
        const REASON: &str = "hotfix-base";
        let (tag, or) = (&base.tag.name, "or say --other-base REASON");
        if let Some(runs) = &base.no_final {
            let message = format!(
                "production runs {runs}, which is no final on the remote, so it is not known what a hotfix must be built on: release what runs, {or}"
            );
            return Failure::refused(REASON, message);
        }
        if !self.lost.is_empty() {
            let message = format!(
                "{branch} is not built on {tag}: it lacks {}, and a hotfix fixes what is in production ({}{}); build it on {tag}, {or}",
                counted(self.lost.len()),
                base.why,
                base.doubt()
            );
            let failure =
                listed(self.lost.iter()).into_iter().fold(Failure::refused(REASON, message), Failure::cause);
            return failure.command(["git", "log", "--oneline", &format!("HEAD..{tag}"), "--"]);
        }
        let mut branches: Vec<&str> = self.strange.iter().map(|(_, branch)| branch.as_str()).collect();
        branches.sort_unstable();
        branches.dedup();
        let message = format!(
            "{branch} brings {} along from {} that {tag} does not have and nobody has tested; {}: build it on {tag} alone, {or}",
            counted(self.strange.len()),
            branches.join(" and "),
            base.why
        );
        let commits = self.strange.iter().map(|(commit, _)| commit);
        let failure = listed(commits).into_iter().fold(Failure::refused(REASON, message), Failure::cause);
        failure.next(self.way_out(base, branch))
    }

    /// The fix alone, on what runs. A merge cannot be picked.
    fn way_out(&self, base: &Base, branch: &str) -> String {
        let own: Vec<&Commit> =
            self.commits.iter().filter(|c| !self.strange.iter().any(|(s, _)| s.id == c.id)).collect();
        let base_commit = short(&base.tag.commit);
        if own.is_empty() || own.len() > SHOWN || own.iter().any(|c| c.merge) {
            return command(["git", "log", "--oneline", &format!("{base_commit}..HEAD"), "--"]);
        }
        let picked: Vec<&str> = own.iter().rev().map(|c| short(&c.id)).collect();
        let pick = command([&["git", "cherry-pick"], &picked[..]].concat());
        format!("{} && {pick}", switch(base, branch))
    }

    /// What a person should read before it ships: every commit that the final does not have.
    pub fn told(&self, base: &Base) -> Vec<String> {
        let mut lines =
            vec![format!("{} that {} does not have:", counted(self.commits.len()), base.tag.name)];
        lines.extend(listed(self.commits.iter()).into_iter().map(|line| format!("  {line}")));
        lines
    }

    /// For the record's output.
    pub fn to_value(&self, base: &Base) -> Value {
        let from =
            |commit: &Commit| self.strange.iter().find(|(s, _)| s.id == commit.id).map(|(_, branch)| branch);
        let shown = |commit: &Commit| {
            let mut value = json!({ "commit": commit.id, "subject": commit.subject });
            if let Some(branch) = from(commit) {
                value["from"] = json!(branch);
            }
            value
        };
        let commits: Vec<Value> = self.commits.iter().take(100).map(shown).collect();
        json!({ "tag": base.tag.name, "commit": base.tag.commit, "why": base.why, "commits": commits, "count": self.commits.len(),
                "lost": self.lost.len() })
    }
}

fn counted(number: usize) -> String {
    if number == 1 { "1 commit".to_owned() } else { format!("{number} commits") }
}

/// The first few, and how many more there are.
fn listed<'a>(commits: impl ExactSizeIterator<Item = &'a Commit>) -> Vec<String> {
    let more = commits.len().saturating_sub(SHOWN);
    let line = |commit: &Commit| format!("{} {}", short(&commit.id), commit.subject);
    let mut lines: Vec<String> = commits.take(SHOWN).map(line).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests;

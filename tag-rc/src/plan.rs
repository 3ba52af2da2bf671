//! Which tag it shall be, and whether it may be made. Pure.

use semver::Version;
use serde_json::{Value, json};
use step::Failure;

use crate::args::{Act, Settings};
use crate::base::{Base, next_patch, no_final};
use crate::check::Checks;
use crate::gates::{checks, sorts_wrongly};
use crate::git::{Head, matches};
use crate::message::{Trailers, printable};
use crate::name;
use crate::promotion::Proof;
use crate::remote::{Remote, Tag};
use crate::seen::{Mine, Notes, Seen, Target, Warning};

/// Names the tag. `base` is what a hotfix is built on.
pub fn target(
    settings: &Settings,
    version: Option<Version>,
    head: &Head,
    remote: &Remote,
    mine: &Mine,
    base: Option<Base>,
) -> Result<Target, Failure> {
    let version = version.map_or_else(|| of_hotfix(head, remote, base.as_ref()), Ok)?;
    let candidates = remote.candidates(&version);
    let number = (settings.act == Act::Candidate).then(|| {
        let here = candidates.iter().rfind(|c| {
            let counts = !settings.again || mine.as_ref() == Some(&c.tag.name);
            c.tag.commit == head.commit && counts && c.tag.name == c.style.tag(&version, c.number)
        });
        let next = candidates.last().map_or(1, |c| c.number.saturating_add(1));
        match (settings.number, here) {
            (Some(number), _) => (number, settings.style),
            (None, Some(here)) => (here.number, here.style),
            (None, None) => (next, settings.style),
        }
    });
    let name = number.map_or_else(|| format!("v{version}"), |(number, style)| style.tag(&version, number));
    let last = match &base {
        Some(base) => Some((base.version.clone(), base.tag.clone())),
        None => remote.last_final(Some(&version)).map(|(v, t)| (v, t.clone())),
    };
    Ok(Target {
        there: remote.tags.get(&name).filter(|t| t.commit == head.commit).cloned(),
        branch: branch(settings, head, remote)?,
        candidate: candidates.last().map(|c| c.tag.clone()),
        last_final: last,
        version,
        name,
        number,
        base,
    })
}

/// The version of a hotfix that none was given for: the one that this commit has, else the next patch of what runs.
fn of_hotfix(head: &Head, remote: &Remote, base: Option<&Base>) -> Result<Version, Failure> {
    if let Some((here, _)) = remote.finals().into_iter().rfind(|(_, tag)| tag.commit == head.commit) {
        return Ok(here);
    }
    base.map(|base| next_patch(&base.version, remote)).ok_or_else(no_final)
}

/// The branch to hold the commit against. A hotfix is on the one that is checked out, or whose tip it is.
fn branch(settings: &Settings, head: &Head, remote: &Remote) -> Result<String, Failure> {
    if let Some(branch) = settings.branch.as_ref().or(head.branch.as_ref()) {
        return Ok(branch.clone());
    }
    let patterns = &settings.strategy.hotfixes;
    let mut tips = Vec::new();
    for (name, tip) in &remote.heads {
        if *tip == head.commit && matches(patterns, name)? {
            tips.push(name);
        }
    }
    let message =
        "the head is detached and not the tip of exactly one hotfix branch: give --branch hotfix/NAME";
    if let [one] = tips[..] { Ok(one.clone()) } else { Err(Failure::refused("branch", message)) }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The remote has it already.
    Nothing,
    /// Push the tag that a run before has made here; it carries this object.
    Push(String),
    /// Make it and push it.
    Make,
}

/// The decision, with everything that led to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tag.
    pub target: Target,
    /// What to do.
    pub deed: Deed,
    /// The message of the tag.
    pub message: String,
    /// The checks, all held.
    pub checks: Checks,
    /// What else a person should know.
    pub warnings: Vec<Warning>,
    /// The final's proof, for the record.
    pub proof: Option<Value>,
    /// What a hotfix is built on, for the record.
    pub base: Option<Value>,
    /// What comes on top of it, for people.
    pub listing: Vec<String>,
}

/// Decides.
pub fn decide(settings: &Settings, target: Target, seen: &Seen) -> Result<Plan, Failure> {
    let message = message(settings, &target, seen);
    let checks = checks(settings, &target, seen, &message);
    let proof = seen.proof.to_value();
    let hotfix = target.base.as_ref().filter(|_| target.there.is_none() && !seen.built.unknown);
    let base = hotfix.map(|base| seen.built.to_value(base));
    checks.hold().map_err(|failure| {
        let known = [("promotion", proof.clone()), ("base", base.clone())];
        let known = known.into_iter().filter_map(|(key, value)| Some((key, value?)));
        known.fold(failure, |failure, (key, value)| failure.output(key, value))
    })?;
    let deed = match (&target.there, &seen.local) {
        (Some(_), _) => Deed::Nothing,
        (None, Some(local)) => Deed::Push(local.object.clone()),
        (None, None) => Deed::Make,
    };
    let listing = hotfix.map(|base| seen.built.told(base)).unwrap_or_default();
    Ok(Plan {
        warnings: warnings(settings, &target, seen),
        listing,
        base,
        deed,
        message,
        checks,
        proof,
        target,
    })
}

fn message(settings: &Settings, target: &Target, seen: &Seen) -> String {
    let none = settings
        .no_candidate
        .as_ref()
        .filter(|_| seen.proof == Proof::NoCandidate && settings.act == Act::Final);
    let trailers = Trailers {
        run: Some(seen.run.clone()),
        branch: Some(target.branch.clone()),
        candidate: seen.proof.trailer(),
        no_candidate: none.cloned(),
        base: target.base.as_ref().map(|base| base.tag.name.clone()),
        other_base: settings.other_base.clone().filter(|_| needs_reason(target, seen)),
        waived: seen.gates.waived.clone(),
        approvals: seen.gates.approvals.clone(),
    };
    let notes = if let Notes::There(notes) = &seen.notes { Some(notes.as_str()) } else { None };
    // A tag that was pushed stays for ever, and notes are anybody's words.
    step::redact(&crate::message::compose(&target.name, notes, &trailers))
}

/// Whether a hotfix is built on something else than what runs.
fn needs_reason(target: &Target, seen: &Seen) -> bool {
    target.base.as_ref().is_some_and(|base| !seen.built.is_sound(base))
}

fn warnings(settings: &Settings, target: &Target, seen: &Seen) -> Vec<Warning> {
    let mut all = Vec::new();
    if let Some((number, style)) = target.number.filter(|(n, s)| !name::sorts_as_counted(*s, *n)) {
        all.push(("rc10-sorts-below-rc2", sorts_wrongly(&style.tag(&target.version, number))));
    }
    if let (Some(false), Some((_, last))) = (seen.has_last_final, &target.last_final) {
        let what =
            target.candidate.as_ref().filter(|_| target.number.is_none()).map_or(&target.branch, |c| &c.name);
        let text = format!("{what} does not have everything that {} has: is a hotfix missing?", last.name);
        all.push(("last-final-missing", text));
    }
    if needs_reason(target, seen) && target.there.is_none() {
        let text = format!(
            "{} is not {} and a fix alone, for the reason given",
            target.branch,
            target.last_final_name()
        );
        all.push(("other-base", text));
    }
    all.extend(shared(target, seen));
    all.extend(left_behind(target, seen));
    all.extend(spelling(target, seen));
    all.extend(lightweight(settings, target));
    all.extend(seen.surroundings.iter().cloned());
    all
}

/// What cannot be told of a hotfix: its commits touch what unreleased work touches too, and are no copies of it.
fn shared(target: &Target, seen: &Seen) -> Option<Warning> {
    const SHOWN: usize = 5;
    let paths = &seen.built.shared;
    if paths.is_empty() || target.there.is_some() || needs_reason(target, seen) {
        return None;
    }
    let more = if paths.len() > SHOWN { format!(" and {} more", paths.len() - SHOWN) } else { String::new() };
    let text = format!(
        "{} changes {}{more}, and so does work that is not released; whether some of that came along in another form cannot be told: look at \
         git diff {}",
        target.branch,
        paths[..paths.len().min(SHOWN)].join(", "),
        target.last_final_name()
    );
    Some(("shared-files", text))
}

/// This commit has a candidate, and a later commit has a later one.
fn left_behind(target: &Target, seen: &Seen) -> Option<Warning> {
    let last = target.candidate.as_ref().filter(|_| target.number.is_some() && target.there.is_some())?;
    (last.name != target.name && last.commit != seen.head.commit).then(|| {
        let text =
            format!("{} is an old candidate: the last one is {}, of another commit", target.name, last.name);
        ("old-candidate", text)
    })
}

/// Tags of the version that are written in another way.
fn spelling(target: &Target, seen: &Seen) -> Vec<Warning> {
    const CODE: &str = "other-spelling";
    let mut all = Vec::new();
    if let Some(otherwise) = listed(&seen.remote.written_otherwise(&target.version)) {
        let text = format!(
            "the remote has {otherwise} too, without a small v before it: it is counted, but {} is written as always",
            target.name
        );
        all.push((CODE, text));
    } else if let Some((version, tag)) = seen.remote.highest_otherwise().filter(|(v, _)| *v > target.version)
    {
        let text = format!(
            "the remote has {}, without a small v before it: is {version} released already?",
            printable(&tag.name)
        );
        all.push((CODE, text));
    }
    if let Some(like) = listed(&seen.remote.like(&target.version)) {
        let text = format!("the remote has {like}, which reads like {}: it is not counted", target.version);
        all.push((CODE, text));
    }
    all
}

/// The first few names, and how many more there are.
fn listed(tags: &[&Tag]) -> Option<String> {
    const SHOWN: usize = 10;
    let names: Vec<String> = tags.iter().take(SHOWN).map(|tag| printable(&tag.name)).collect();
    let more = tags.len().saturating_sub(SHOWN);
    let names = names.join(", ");
    (!tags.is_empty()).then(|| if more > 0 { format!("{names} and {more} more") } else { names })
}

/// Tags by hand that say nothing of who made them.
fn lightweight(settings: &Settings, target: &Target) -> Option<Warning> {
    let candidate = target.candidate.as_ref().filter(|_| settings.act != Act::Candidate);
    let tag = target.there.iter().chain(candidate).find(|tag| tag.is_lightweight())?;
    let text =
        format!("{} is a lightweight tag: it does not say who made it, when, or with which notes", tag.name);
    Some(("lightweight-tag", text))
}

impl Target {
    fn last_final_name(&self) -> &str {
        self.last_final.as_ref().map_or("what runs", |(_, tag)| &tag.name)
    }
}

impl Plan {
    /// What changes, in order; the same in a plan as in the run.
    pub fn effects(&self, remote: &str, commit: &str) -> Value {
        let name = &self.target.name;
        let make = json!({ "effect": "make-tag", "tag": name, "commit": commit });
        let push = json!({ "effect": "push", "remote": remote, "ref": format!("refs/tags/{name}") });
        match self.deed {
            Deed::Nothing => json!([]),
            Deed::Push(_) => json!([push]),
            Deed::Make => json!([make, push]),
        }
    }

    /// For the record's output.
    pub fn warnings(&self) -> Value {
        self.warnings.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect()
    }
}

#[cfg(test)]
mod tests;

//! The checks of a tag, one function each. Pure.

use step::Failure;

use crate::args::{Act, Settings};
use crate::base::{Again, next_patch, no_final};
use crate::check::{Check, Checks};
use crate::git::matches;
use crate::message::{Trailers, same_but_run};
use crate::name::short;
use crate::name::{self, Style};
use crate::seen::{Notes, Seen, Target};
use crate::tip::at_tip;

/// All checks in order. What is on the remote already is a fact, whatever the working copy looks like by now; only what the
/// tag itself must be is held against it once more. What hangs on a check that has failed is not looked at: it would be about
/// something else.
pub fn checks(settings: &Settings, target: &Target, seen: &Seen, message: &str) -> Checks {
    let mut all =
        vec![Check::pass("version", format!("{} is a version", target.version)), facts(target, seen)];
    // Before all that is about the tag: on a wrong base it is the wrong tag.
    all.extend(hotfix_branch(settings, target));
    all.extend(base(settings, target, seen));
    all.push(exists(target, seen));
    if settings.act == Act::Candidate {
        all.push(number(settings, target, seen));
        all.push(style(settings, target, seen));
        all.push(sorting(settings, target));
    }
    if target.there.is_none() {
        all.extend(fit_to_tag(settings, target, seen));
        all.push(notes(settings, seen));
    }
    // A final that is there already may be an old one by now.
    if target.there.is_none() || settings.act == Act::Final {
        all.push(goes_up(settings, target, seen));
    }
    all.extend(promotion(settings, target, seen));
    all.extend(tested(settings, target, seen));
    if target.there.is_none() {
        all.push(local(settings, target, seen, message));
        all.push(Check::of("identity", seen.identity.clone()));
    }
    all.push(signature(settings, target, seen));
    Checks(all)
}

/// The branch that is checked out instead of the one that is tagged.
fn elsewhere<'a>(settings: &Settings, target: &Target, seen: &'a Seen) -> Option<&'a str> {
    let out = seen.head.branch.as_deref().filter(|out| *out != target.branch);
    out.filter(|_| target.there.is_none() && !settings.branch_given)
}

/// A check of the branch, while another one is checked out.
fn not_looked_at(name: &'static str, out: &str) -> Check {
    Check::skip(name, format!("not looked at: {out} is checked out"))
}

/// Also of a final that is there already: who goes on with it puts it into production.
fn promotion(settings: &Settings, target: &Target, seen: &Seen) -> Option<Check> {
    let without = match settings.act {
        Act::Candidate => return None,
        Act::Final => settings.no_candidate.as_deref(),
        Act::Hotfix => Some("a hotfix may go without"),
    };
    if let (Some(out), true) = (elsewhere(settings, target, seen), target.candidate.is_some()) {
        return Some(not_looked_at("candidate", out));
    }
    Some(seen.proof.check(&target.version.to_string(), without, &target.branch, &settings.remote))
}

/// A hotfix is what runs, and the fix. Also of a final that is there already: an old one is never handed out.
fn base(settings: &Settings, target: &Target, seen: &Seen) -> Option<Check> {
    if settings.act != Act::Hotfix {
        return None;
    }
    if let Some(tag) = &target.there {
        let none = Trailers::default();
        let claims = seen.claims.as_ref().unwrap_or(&none);
        let again = Again { tag, version: &target.version, branch: &target.branch, claims, run: &seen.run };
        return Some(again.check(target.base.as_ref(), &seen.built, &seen.remote));
    }
    let reason = settings.other_base.as_deref();
    Some(match (elsewhere(settings, target, seen), &target.base) {
        (Some(out), _) => not_looked_at("base", out),
        (None, Some(base)) => seen.built.check(base, &target.branch, reason, &settings.remote),
        (None, None) => Check::fail("base", no_final()),
    })
}

/// A number that a person has chosen goes up too.
fn number(settings: &Settings, target: &Target, seen: &Seen) -> Check {
    const NAME: &str = "number";
    let candidates = seen.remote.candidates(&target.version);
    match (settings.number, candidates.last()) {
        (Some(number), Some(last)) if target.there.is_none() && number <= last.number => {
            let message = format!(
                "{} is on the remote, so --number must be higher than {}",
                last.tag.name, last.number
            );
            let (version, next) = (target.version.to_string(), last.number.saturating_add(1).to_string());
            let failure = Failure::refused("candidate-number", message);
            Check::fail(
                NAME,
                failure.command(["tag-rc", "candidate", "--release", &version, "--number", &next]),
            )
        }
        (Some(number), _) => Check::pass(NAME, format!("{number}, as --number says")),
        (None, Some(last)) => Check::pass(NAME, format!("the remote's last candidate is {}", last.tag.name)),
        (None, None) => Check::pass(NAME, "the remote has no candidate of this version yet"),
    }
}

/// What ran where candidates are tested must be what the final is held against.
fn tested(settings: &Settings, target: &Target, seen: &Seen) -> Option<Check> {
    const NAME: &str = "tested";
    let tested = seen.tested.as_ref().filter(|_| settings.act == Act::Final)?;
    let last = target.candidate.as_ref()?;
    // A commit says more than a name: an old page may answer below a new tag.
    let same = match (&tested.commit, &tested.version) {
        (Some(commit), _) => *commit == last.commit,
        (None, Some(version)) => version == last.name.trim_start_matches('v'),
        (None, None) => false,
    };
    if same {
        return Some(Check::pass(NAME, format!("{} has run in {}", last.name, tested.environment)));
    }
    let ran = tested.version.as_deref().or(tested.commit.as_deref()).unwrap_or("another build");
    let message = format!(
        "{} ran {ran}, but the last candidate is {}: bring it there and test it",
        tested.environment, last.name
    );
    Some(Check::fail(NAME, Failure::refused("not-tested", message)))
}

fn facts(target: &Target, seen: &Seen) -> Check {
    let conflict = |name: &str, old: &Option<String>, new: &str| match old {
        Some(old) if old != new => Err(Failure::refused(
            "fact-conflict",
            format!(
                "the document's `{name}` is {old} already, and this would make it {new}: begin a new document"
            ),
        )),
        _ => Ok(()),
    };
    let both = conflict("tag", &seen.facts.0, &target.name)
        .and_then(|()| conflict("commit", &seen.facts.1, &seen.head.commit));
    Check::of("facts", both.map(|()| "the document says nothing else".to_owned()))
}

/// A tag is never moved, and nothing comes after the final.
fn exists(target: &Target, seen: &Seen) -> Check {
    const NAME: &str = "tag-free";
    if target.there.is_some() {
        return Check::pass(NAME, format!("{} is on the remote already, at this commit", target.name));
    }
    if let Some(tag) = seen.remote.tags.get(&target.name) {
        let (there, here) = (short(&tag.commit), short(&seen.head.commit));
        let message = format!(
            "{} is on the remote already, at {there}, and here is {here}; a tag is never moved",
            tag.name
        );
        return Check::fail(NAME, Failure::refused("tag-exists", message));
    }
    if let Some(last) = seen.remote.final_of(&target.version) {
        let (released, tag) = (&target.version, &last.name);
        let message = if target.number.is_some() {
            format!("{released} is released already ({tag} is on the remote): a candidate comes before")
        } else {
            format!("{released} is released already: the remote has it as {tag}")
        };
        return Check::fail(NAME, Failure::refused("already-final", message));
    }
    Check::pass(NAME, format!("the remote has no {}", target.name))
}

/// One version has one style: `rc.1` sorts below every `rcN`, so what was counted in one cannot go on in the other.
fn style(settings: &Settings, target: &Target, seen: &Seen) -> Check {
    const NAME: &str = "style";
    let refused = |message| Check::fail(NAME, Failure::refused("candidate-style", message));
    if let Some(odd) = seen.remote.odd(&target.version).first() {
        return refused(format!(
            "the remote has {}, whose number cannot be counted: it is not written like -rc7 or -rc.7 (small letters, no zero before it)",
            odd.name
        ));
    }
    let candidates = seen.remote.candidates(&target.version);
    let mut plain = candidates.iter().filter(|c| c.style == Style::Plain);
    let mut dotted = candidates.iter().filter(|c| c.style == Style::Dotted);
    match (plain.next(), dotted.next()) {
        (Some(plain), Some(dotted)) => refused(format!(
            "the remote has both {} and {}; mixed styles cannot be counted",
            plain.tag.name, dotted.tag.name
        )),
        (Some(one), None) | (None, Some(one)) if target.there.is_none() && one.style != settings.style => {
            refused(format!(
                "{} has {} already, so its candidates are {}: change the style with the next version",
                target.version,
                one.tag.name,
                one.style.word()
            ))
        }
        (None, None) => Check::pass(NAME, format!("the first candidate, {}", settings.style.word())),
        _ => Check::pass(NAME, "all candidates of the version are written alike"),
    }
}

fn sorting(settings: &Settings, target: &Target) -> Check {
    const NAME: &str = "semver-order";
    match target.number {
        Some((number, style)) if !name::sorts_as_counted(style, number) => {
            let why = sorts_wrongly(&target.name);
            if settings.strict_semver && target.there.is_none() {
                let message = format!("{why}; change to --rc-style dotted with the next version");
                Check::fail(NAME, Failure::refused("rc10-sorts-below-rc2", message))
            } else {
                Check::skip(NAME, why)
            }
        }
        _ => Check::pass(NAME, "tools that sort by SemVer agree with the count"),
    }
}

/// What tools that sort by `SemVer` make of a candidate from the tenth on.
pub fn sorts_wrongly(tag: &str) -> String {
    format!(
        "{tag}: tools that sort by SemVer put rc10 before rc2; they will not take this for the newest candidate"
    )
}

/// Higher than every final; a hotfix exactly one patch.
fn goes_up(settings: &Settings, target: &Target, seen: &Seen) -> Check {
    const NAME: &str = "goes-up";
    let version = &target.version;
    let Some((last, tag)) = &target.last_final else {
        return if settings.act == Act::Hotfix {
            Check::fail(NAME, no_final())
        } else {
            Check::pass(NAME, "the remote has no final yet")
        };
    };
    let next = next_patch(last, &seen.remote);
    if settings.act == Act::Hotfix && *version != next {
        let message = format!("a hotfix of {last} is {next}, not {version}");
        return Check::fail(
            NAME,
            Failure::refused("hotfix-version", message).command([
                "tag-rc",
                "hotfix",
                "--release",
                &next.to_string(),
            ]),
        );
    }
    if version < last {
        let message = format!(
            "{version} is lower than {last}, which is released already ({} is on the remote)",
            tag.name
        );
        return Check::fail(NAME, Failure::refused("version-order", message));
    }
    Check::pass(NAME, format!("{version} comes after {last}"))
}

fn notes(settings: &Settings, seen: &Seen) -> Check {
    const NAME: &str = "notes";
    let missing = |why: &str| {
        let failure =
            Failure::refused("notes-missing", format!("{why}: let changelog-lint open the document"));
        Check::fail(NAME, failure.next("changelog-lint | tag-rc candidate"))
    };
    match seen.notes {
        Notes::There(_) => Check::pass(NAME, "the changelog describes the version"),
        Notes::Missing => missing("steps have run, but none has read the changelog"),
        Notes::ByHand if settings.require_notes => missing("require_notes is set and no changelog was read"),
        Notes::ByHand => Check::skip(NAME, "by hand: no changelog was read"),
    }
}

/// Nothing going on, clean, on the branch, and at its tip on the remote.
fn fit_to_tag(settings: &Settings, target: &Target, seen: &Seen) -> [Check; 4] {
    let tip = match elsewhere(settings, target, seen) {
        Some(out) => not_looked_at("tip", out),
        None => Check::of("tip", at_tip(settings, target, seen)),
    };
    [
        settled(seen.busy),
        clean(&seen.dirty),
        on_branch(settings, &target.branch, seen.head.branch.as_deref()),
        tip,
    ]
}

/// No merge or rebase is going on.
pub fn settled(busy: Option<&str>) -> Check {
    Check::of(
        "settled",
        match busy {
            Some(busy) => {
                Err(Failure::refused("busy", format!("a {busy} is going on here; finish or abort it first")))
            }
            None => Ok("no merge or rebase is going on".to_owned()),
        },
    )
}

/// What lies here is what the commit has.
pub fn clean(paths: &[String]) -> Check {
    if paths.is_empty() {
        return Check::pass("clean", "nothing differs from the commit");
    }
    let failure = paths.iter().take(10).fold(Failure::refused("dirty", dirty(paths)), Failure::cause);
    Check::fail("clean", failure.next("git status"))
}

fn dirty(paths: &[String]) -> String {
    let word = if paths.len() == 1 { "path differs" } else { "paths differ" };
    format!("{} {word} from the commit; commit or stash first", paths.len())
}

/// A hotfix is one by the name of its branch.
fn hotfix_branch(settings: &Settings, target: &Target) -> Option<Check> {
    const NAME: &str = "hotfix-branch";
    let (branch, patterns) = (&target.branch, &settings.strategy.hotfixes);
    if settings.act != Act::Hotfix {
        return None;
    }
    if let Ok(true) = matches(patterns, branch) {
        return Some(Check::pass(NAME, format!("{branch} is a hotfix branch")));
    }
    let message = format!("{branch} is no hotfix branch ({})", patterns.join(" or "));
    Some(Check::fail(NAME, Failure::refused("branch", message)))
}

/// A detached head, as CI has it, is proven by the tip alone; so is whatever `--branch` names.
pub fn on_branch(settings: &Settings, branch: &str, out: Option<&str>) -> Check {
    const NAME: &str = "branch";
    match out {
        Some(other) if other != branch && !settings.branch_given => {
            let message = format!("on branch {other}, but this is tagged on {branch}");
            Check::fail(NAME, Failure::refused("branch", message).command(["git", "switch", branch]))
        }
        Some(other) if other == branch => Check::pass(NAME, format!("{branch} is checked out")),
        Some(other) => Check::skip(NAME, format!("{other} is checked out; the tip of {branch} decides")),
        None => Check::skip(NAME, format!("no branch is checked out; the tip of {branch} decides")),
    }
}

/// A tag of this name that is only here: taken over if a run of ours made it with the same words, else left alone.
fn local(settings: &Settings, target: &Target, seen: &Seen, message: &str) -> Check {
    const NAME: &str = "local-tag";
    let name = &target.name;
    if seen.remote.tags.contains_key(name) {
        return Check::skip(NAME, format!("not looked at: the remote has {name}"));
    }
    let Some(local) = &seen.local else { return Check::pass(NAME, format!("there is no other {name} here")) };
    let same =
        |theirs: &String| crate::message::trailers(theirs).run.is_some() && same_but_run(theirs, message);
    if local.commit == seen.head.commit && local.message.as_ref().is_some_and(same) {
        return Check::pass(NAME, format!("an earlier run has made {name} here and could not push it"));
    }
    let message = format!(
        "the tag {name} is here but not on {}, and it is not what this run would make; look at it, and remove it if nobody needs it",
        settings.remote
    );
    Check::fail(
        NAME,
        Failure::refused("local-tag", message).command([
            "git",
            "show",
            "--no-patch",
            &format!("refs/tags/{name}"),
        ]),
    )
}

fn signature(settings: &Settings, target: &Target, seen: &Seen) -> Check {
    const NAME: &str = "signature";
    match (&seen.signature, settings.require_signed) {
        (Some(result), true) => Check::of(NAME, result.clone()),
        (None, true) => {
            Check::skip(NAME, format!("proven once {} is made, before it is pushed", target.name))
        }
        (_, false) => Check::skip(NAME, "not required; made as git is configured"),
    }
}

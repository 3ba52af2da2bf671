//! Making the tag and pushing it, and believing only what the remote says afterwards.

use std::time::Duration;

use semver::Version;
use serde_json::{Value, json};
use step::shell::command;
use step::{Acted, Failure, Outcome, Permit, Run};

use crate::args::{Act, Settings};
use crate::git::{Git, Pushed, Repo};
use crate::name;
use crate::name::short;
use crate::observe::proven;
use crate::plan::{Deed, Plan};
use crate::remote::Tag;
use crate::seen::Target;

/// How an attempt ended.
pub enum End {
    /// As planned.
    Done(Box<Outcome>),
    /// The remote has another tag of this name by now.
    Lost(Tag),
}

/// Carries out a plan, or says what it would do.
pub fn carry_out(
    run: &Run,
    git: &Git,
    repo: &Repo,
    settings: &Settings,
    plan: &Plan,
    commit: &str,
) -> Result<End, Failure> {
    let (at, name, remote) = (short(commit), &plan.target.name, &settings.remote);
    if plan.deed == Deed::Nothing {
        let outcome = Outcome::unchanged(format!("{name} is on {remote} already, at {at}"));
        let object = plan.target.there.as_ref().map(|t| t.object.clone());
        return Ok(done(with_record(outcome, settings, plan, commit), object, None));
    }
    let Some(permit) = run.permit() else {
        let outcome = Outcome::planned(format!("would tag {at} as {name} and push it to {remote}"));
        return Ok(done(with_record(outcome, settings, plan, commit), None, None));
    };
    let made = make(&permit, git, repo, settings, plan, commit)?;
    run.context.checkpoint()?;
    if let Some(other) = push(run, &permit, git, plan, &made)? {
        return Ok(End::Lost(other));
    }
    let outcome = Outcome::changed(format!("tagged {at} as {name}, and {remote} has it"));
    let outcome = with_record(outcome, settings, plan, commit);
    Ok(done(outcome, Some(made.object), made.signature))
}

fn done(mut outcome: Outcome, object: Option<String>, signature: Option<Value>) -> End {
    for (key, value) in [("object", object.map(Value::from)), ("signature", signature)] {
        if let Some(value) = value {
            outcome = outcome.output(key, value);
        }
    }
    End::Done(Box::new(outcome))
}

/// What a program may want to know about the tag, and what led to it.
fn with_record(outcome: Outcome, settings: &Settings, plan: &Plan, commit: &str) -> Outcome {
    let target = &plan.target;
    let mut outcome = outcome
        .output("branch", target.branch.clone())
        .output("is_prerelease", settings.act == Act::Candidate)
        .output("effects", plan.effects(&settings.remote, commit))
        .output("checks", plan.checks.to_value())
        .output("warnings", plan.warnings());
    if let Some((number, style)) = target.number {
        let agrees = name::sorts_as_counted(style, number);
        outcome = outcome.output("number", number).output("semver_precedence_agrees", agrees);
    }
    if let Some(proof) = &plan.proof {
        outcome = outcome.output("promotion", proof.clone());
    }
    if let Some(base) = &plan.base {
        outcome = outcome.output("base", base.clone());
    }
    if let Some((_, tag)) = &target.last_final {
        outcome = outcome.output("last_final", tag.name.clone());
    }
    outcome
}

/// The tag as it is here, before it is pushed.
struct Made {
    object: String,
    /// This attempt made it, so this attempt may remove it again.
    ours: bool,
    signature: Option<Value>,
}

/// Makes the tag, unless an earlier run did, and proves its signature. A tag that must be signed and is not is not kept.
fn make(
    permit: &Permit,
    git: &Git,
    repo: &Repo,
    settings: &Settings,
    plan: &Plan,
    commit: &str,
) -> Result<Made, Failure> {
    let name = &plan.target.name;
    let ours = plan.deed == Deed::Make;
    if ours {
        git.tag(permit, name, commit, &plan.message, settings.sign || settings.require_signed)?;
    }
    let gone = || Failure::failed("tag-failed", format!("git made the tag {name}, but it is not here"));
    let object = repo.tag(name)?.ok_or_else(gone)?.object;
    if matches!(&plan.deed, Deed::Push(expected) if *expected != object) {
        return Err(Failure::temporary("local-tag", format!("the tag {name} here has just been changed")));
    }
    let signature = match proven(git, repo, name, &object, None)? {
        Ok(said) => Some(json!({ "good": true, "said": said })),
        Err(failure) if settings.require_signed => {
            if ours {
                git.forget(permit, name, &object)?;
            }
            return Err(failure);
        }
        Err(failure) if failure.reason == "unsigned" => None,
        Err(failure) => Some(json!({ "good": false, "said": failure.causes.join(" ") })),
    };
    Ok(Made { object, ours, signature })
}

/// Pushes exactly this tag. Gives the other tag of this name, if the remote has one.
fn push(run: &Run, permit: &Permit, git: &Git, plan: &Plan, made: &Made) -> Result<Option<Tag>, Failure> {
    let name = &plan.target.name;
    let forget = || if made.ours { git.forget(permit, name, &made.object) } else { Ok(()) };
    let pushed = git.push(permit, name);
    let theirs = there(run, git, name, &pushed).map_err(|failure| {
        let failure = failure.acted(Acted::Unknown);
        match &pushed {
            Pushed::Done => failure,
            // One deadline ends both: once is enough.
            Pushed::Unclear(why) if *why == failure.message => failure,
            Pushed::Declined(why) | Pushed::Busy(why) | Pushed::Unclear(why) => failure.cause(why),
        }
    })?;
    if let (None, Pushed::Unclear(why)) = (&theirs, &pushed)
        && let Some(closed) = git.closed(why)
    {
        forget()?;
        return Err(closed);
    }
    match (theirs, pushed) {
        (Some(tag), _) if tag.object == made.object => Ok(None),
        (Some(other), Pushed::Done) => Err(moved(name, git.remote(), &other)),
        (Some(other), _) => {
            forget()?;
            Ok(Some(other))
        }
        (None, Pushed::Declined(why)) => {
            forget()?;
            Err(declined(&plan.target, git.remote(), &why))
        }
        (None, Pushed::Busy(why)) => {
            forget()?;
            let message = format!("somebody else is at {name} on {} at this moment", git.remote());
            Err(Failure::temporary("remote-busy", message).cause(why))
        }
        (None, Pushed::Unclear(why)) => {
            let message = format!(
                "{name} could not be pushed, or not yet; it is kept here and the next run pushes the same tag"
            );
            Err(Failure::temporary("push-failed", message).acted(Acted::Unknown).cause(why))
        }
        (None, Pushed::Done) => {
            let message = format!("git says that {name} was pushed, but {} does not have it", git.remote());
            Err(Failure::failed("tag-not-there", message).acted(Acted::Unknown))
        }
    }
}

/// It was pushed, and something there has put another object under the name since: nobody else was faster.
fn moved(name: &str, remote: &str, other: &Tag) -> Failure {
    let message = format!(
        "{name} was pushed, but {remote} has something else under this name now, at {}: a hook there or somebody has moved it",
        short(&other.commit)
    );
    Failure::failed("tag-moved", message).acted(Acted::Yes).command(["tag-rc", "verify", name])
}

/// A host may refuse a name for ever, as GitHub does where a release that cannot be changed was deleted. A name is not taken twice
/// then, so the way past it is said.
fn declined(target: &Target, remote: &str, why: &str) -> Failure {
    const FOR_EVER: [&str; 3] = ["creations being restricted", "immutable", "Cannot create ref"];
    let (name, version) = (&target.name, &target.version);
    let message = format!("{name} was declined by {remote}, or by a hook here");
    let (way, next) = match target.number {
        Some((number, _)) => {
            let other = number.saturating_add(1);
            let (version, other_number) = (version.to_string(), other.to_string());
            let next = command(["tag-rc", "candidate", "--release", &version, "--number", &other_number]);
            (format!("--number {other} takes the next number"), next)
        }
        None => {
            let other = Version::new(version.major, version.minor, version.patch + 1);
            (format!("release {other} instead"), command(["tag-rc", "list", &version.to_string()]))
        }
    };
    let message = format!(
        "{message}; if it never takes this name again, because a tag of this name was deleted there, {way}"
    );
    let failure = Failure::failed("push-declined", message).cause(why);
    if FOR_EVER.iter().any(|words| why.contains(words)) { failure.next(next) } else { failure }
}

/// What the remote has under the name now. Who has the ref locked is given a moment to let it be seen.
fn there(run: &Run, git: &Git, name: &str, pushed: &Pushed) -> Result<Option<Tag>, Failure> {
    for _ in 0..12 {
        let tag = git.remote_tag(name)?;
        if tag.is_some() || !matches!(pushed, Pushed::Busy(_)) {
            return Ok(tag);
        }
        run.context.pause(Duration::from_millis(250))?;
    }
    Ok(None)
}

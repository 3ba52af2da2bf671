//! Brings a build into every application of the environment: starts what has to be started, once; follows all at the same
//! time; proves that it runs; and, if that was asked for, goes back once.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use step::{Acted, Deadline, Deployment, Failure, Outcome, Permit, Previous, Run};

use crate::api::{Kind, Net};
use crate::follow::{Ended, follow_all};
use crate::history;
use crate::kept;
use crate::look::{Seen, Target, look};
use crate::plan::{Act, Wanted, Way};
use crate::prove::prove;
use crate::settings::Settings;
use crate::start::{Started, start_all};
use crate::world::{World, each};
use crate::{push, wanted};

/// How long going back by itself may take.
const WAY_BACK: Duration = Duration::from_secs(10 * 60);

/// Why a build is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is new; with the word to go back by itself.
    Deploy { auto_rollback: bool },
    /// It ran before.
    Rollback { keep_auto_deploy: bool },
    /// A push has brought it.
    Attach,
}

/// Brings a build everywhere.
pub fn bring(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    wanted: &Wanted,
    purpose: Purpose,
) -> Result<Outcome, Failure> {
    let seen = {
        let world = World::new(&run.context, settings, net);
        net.block(look(&world, wanted, false))?
    };
    carry_out(run, settings, net, wanted, purpose, &seen)
}

/// Brings a build, when it is known what is to be done.
pub fn carry_out(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    wanted: &Wanted,
    purpose: Purpose,
    seen: &Seen,
) -> Result<Outcome, Failure> {
    // From here on a failure's document says what was being brought.
    facts(run, settings, wanted, seen)?;
    let Some(permit) = run.permit() else { return planned(run, settings, net, wanted, purpose, seen) };
    let begun = {
        let world = World::new(&run.context, settings, net);
        net.block(begin(&world, &permit, purpose, seen))?
    };
    let deployments: Vec<Deployment> = begun.deployments(seen);
    if !deployments.is_empty() {
        run.set("deployments", &deployments)?;
    }
    let done = {
        let world = World::new(&run.context, settings, net);
        net.block(finish(&world, &permit, wanted, seen, begun))
    };
    let output = |outcome: Outcome| {
        outcome.output("applications", done.reports.clone()).output("coolify", seen.version.to_string())
    };
    match &done.result {
        Ok(proof) => {
            run.set("live", wanted.live())?;
            let many = among(seen);
            let name = wanted.name();
            let outcome = if seen.is_done() {
                Outcome::unchanged(format!("{name} runs already{many}: {proof}"))
            } else {
                Outcome::changed(format!("{name} runs{many}: {proof}"))
            };
            Ok(output(outcome))
        }
        Err(failure) => {
            let failure = failure.clone().output("applications", done.reports.clone());
            Err(after_failure(run, settings, net, &permit, purpose, &done.replaced, failure))
        }
    }
}

fn facts(run: &mut Run, settings: &Settings, wanted: &Wanted, seen: &Seen) -> Result<(), Failure> {
    let of_kind = |kind| seen.targets.iter().any(|t| t.app.kind() == kind);
    if let Some(image) = wanted.images.first().filter(|_| of_kind(Kind::Image)) {
        run.set("image", image)?;
    }
    if let Some(commit) = wanted.build.commit.as_ref().filter(|_| of_kind(Kind::Git)) {
        run.set("commit", commit)?;
    }
    let urls = if settings.public_urls.is_empty() { &seen.pages } else { &settings.public_urls };
    run.set("urls", urls)
}

fn among(seen: &Seen) -> String {
    if seen.targets.len() == 1 { String::new() } else { format!(" in {} applications", seen.targets.len()) }
}

/// What would be done; the registry is asked, because that is only looking.
fn planned(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    wanted: &Wanted,
    purpose: Purpose,
    seen: &Seen,
) -> Result<Outcome, Failure> {
    {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            if let Err(failure) = image_is_there(&world, seen, false).await {
                world.context.voice.warn(&failure.message);
            }
            if let Purpose::Rollback { keep_auto_deploy: false } = purpose {
                push::foretell(&world, seen);
            }
        });
    }
    run.set("live", wanted.live())?;
    let verb = if seen.is_done() { "runs already" } else { "would be deployed" };
    let acts: Vec<Value> = seen
        .targets
        .iter()
        .map(|t| json!({ "application": t.app.uuid, "name": t.app.name, "would": would(&t.act) }))
        .collect();
    Ok(Outcome::planned(format!("{} {verb}{}", wanted.name(), among(seen))).output("applications", acts))
}

fn would(act: &Act) -> String {
    match act {
        Act::Nothing(id) => format!("nothing: {id} has brought it"),
        Act::Follow(id) => format!("follow {id}, which is on its way"),
        Act::Start(Way::Tag { set: true }) => "write the tag and deploy".into(),
        Act::Start(Way::Tag { set: false }) => "deploy".into(),
        Act::Wait => "wait for a push".into(),
        Act::Start(Way::Exact) => "deploy the commit".into(),
        Act::Start(Way::Pin { .. }) => "pin the commit, deploy, and take the pin back".into(),
    }
}

/// What was started, application by application.
struct Begun(Vec<Result<Started, Failure>>);

impl Begun {
    fn deployments(&self, seen: &Seen) -> Vec<Deployment> {
        let each = seen.targets.iter().zip(&self.0);
        each.filter_map(|(target, started)| {
            let deployment = started.as_ref().ok()?.deployment.clone();
            Some(Deployment { application: target.app.uuid.clone(), deployment })
        })
        .collect()
    }
}

async fn begin(world: &World<'_>, permit: &Permit, purpose: Purpose, seen: &Seen) -> Result<Begun, Failure> {
    // A rollback's image was there before: nothing will bring it back.
    image_is_there(world, seen, !matches!(purpose, Purpose::Rollback { .. })).await?;
    if let Purpose::Rollback { keep_auto_deploy: false } = purpose {
        push::switch_off(world, permit, seen).await;
    }
    Ok(Begun(start_all(world, permit, &seen.targets).await))
}

/// The image is in the registry, or comes there in time.
async fn image_is_there(world: &World<'_>, seen: &Seen, patiently: bool) -> Result<(), Failure> {
    let Some(images) = world.images() else { return Ok(()) };
    let starts = |t: &&Target| matches!(t.act, Act::Start(Way::Tag { .. }));
    let names: HashSet<(&str, &str)> =
        seen.targets.iter().filter(starts).map(|t| (t.app.image.as_str(), t.revision.as_str())).collect();
    for (name, tag) in names {
        let mut known: Option<Failure> = None;
        loop {
            let missing = match images.digest(name, tag).await {
                Ok(Some(_)) => break,
                Ok(None) => {
                    Failure::temporary("image-missing", format!("the registry does not have {name}:{tag}"))
                }
                Err(failure)
                    if failure.kind == step::Kind::Temporary && failure.reason == "registry-unreachable" =>
                {
                    failure
                }
                Err(failure) => return Err(failure),
            };
            // An answer that had no time to come says less than the one before.
            let cut_short = missing.reason != "image-missing" && world.context.deadline.left().is_zero();
            let missing = if cut_short { known.take().unwrap_or(missing) } else { missing };
            known = Some(missing.clone());
            if !patiently {
                let gone = missing.reason == "image-missing";
                return Err(if gone { kept::gone(&missing.message) } else { missing });
            }
            world.context.voice.progress(&format!("{}: waiting for it", missing.message));
            let over =
                |failure: Failure| if failure.reason == "deadline" { missing.clone() } else { failure };
            world.pause(world.settings.interval).await.map_err(over)?;
        }
    }
    world.context.voice.progress_done();
    Ok(())
}

/// What came of it.
struct Done {
    reports: Vec<Value>,
    result: Result<String, Failure>,
    /// The applications in which the new build has really replaced the old one, if it is plainly sick.
    replaced: HashSet<String>,
}

async fn finish(world: &World<'_>, permit: &Permit, wanted: &Wanted, seen: &Seen, begun: Begun) -> Done {
    let on_their_way: Vec<(&Target, &Started)> =
        seen.targets.iter().zip(&begun.0).filter_map(|(t, s)| Some((t, s.as_ref().ok()?))).collect();
    let mut ends = follow_all(world, permit, &on_their_way).await.into_iter();
    let ended: Vec<Result<Ended, Failure>> = begun
        .0
        .iter()
        .map(|started| match started {
            Ok(_) => ends.next().unwrap_or_else(|| Err(Failure::bug("a deployment was not followed"))),
            Err(failure) => Err(failure.clone()),
        })
        .collect();
    let mut reports: Vec<Value> = seen.targets.iter().zip(&ended).map(|(t, e)| report(world, t, e)).collect();
    let finished: HashSet<String> = seen
        .targets
        .iter()
        .zip(&ended)
        .filter(|(t, e)| e.is_ok() && !matches!(t.act, Act::Nothing(_)))
        .map(|(t, _)| t.app.uuid.clone())
        .collect();
    if let Some(failure) = together(seen, &ended) {
        let failure = what_answers(world, seen, failure).await;
        // A deployment that plainly failed leaves the others on another build than this one.
        let plain = failure.kind == step::Kind::Failed && failure.acted == Acted::Yes;
        return Done {
            reports,
            result: Err(failure),
            replaced: if plain { finished } else { HashSet::new() },
        };
    }
    let proven = prove(world, wanted, seen).await;
    let result = match proven {
        Err(unproven) => {
            let replaced = if unproven.sick { finished } else { HashSet::new() };
            return Done { reports, result: Err(unproven.failure), replaced };
        }
        Ok(proof) => confirm(world, seen, &ended, &mut reports).await.map(|()| proof),
    };
    Done { reports, result, replaced: HashSet::new() }
}

fn report(world: &World<'_>, target: &Target, ended: &Result<Ended, Failure>) -> Value {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let mut value =
        json!({ "application": target.app.uuid, "name": target.app.name, "wanted": target.revision });
    match ended {
        Ok(ended) => {
            value["deployment"] = json!(ended.row.uuid);
            value["status"] = json!(ended.row.status);
            value["queued_ms"] = json!(ms(ended.queued));
            value["run_ms"] = json!(ms(ended.ran));
            if let Some(revision) = &ended.row.revision {
                value["deployed"] = json!(revision);
            }
            if let Some(path) = ended.row.page() {
                value["url"] = json!(world.api.page(path));
            }
            if !ended.servers.is_empty() {
                value["servers"] = ended
                    .servers
                    .iter()
                    .map(|r| json!({ "server": r.server_name, "deployment": r.uuid, "status": r.status }))
                    .collect();
            }
        }
        Err(failure) => {
            value["status"] = json!(failure.reason);
            value["message"] = json!(failure.message);
        }
    }
    value
}

/// One failure for all: of several applications each is named, with what became of it.
fn together(seen: &Seen, ended: &[Result<Ended, Failure>]) -> Option<Failure> {
    let failures: Vec<&Failure> = ended.iter().filter_map(|e| e.as_ref().err()).collect();
    let first = (*failures.first()?).clone();
    if ended.len() == 1 {
        return Some(first);
    }
    let (bad, all) = (failures.len(), ended.len());
    let touched = seen.targets.iter().zip(ended).any(|(t, e)| e.is_ok() && !matches!(t.act, Act::Nothing(_)));
    let acted = match failures.iter().map(|f| f.acted) {
        mut acted if acted.clone().any(|a| a == Acted::Unknown) => acted.find(|a| *a == Acted::Unknown),
        mut acted if touched || acted.clone().any(|a| a == Acted::Yes) => {
            acted.find(|a| *a == Acted::Yes).or(Some(Acted::Yes))
        }
        _ => Some(Acted::No),
    };
    let mut failure = first.clone();
    failure.message = format!("{bad} of {all} applications do not run the build: {}", first.message);
    let lines = seen.targets.iter().zip(ended).map(|(target, end)| match end {
        Ok(_) => format!("{}: runs {}", target.app.name, target.revision),
        Err(failure) => format!("{}: {}", target.app.name, failure.message),
    });
    Some(lines.fold(failure.acted(acted.unwrap_or(Acted::Unknown)), Failure::cause))
}

/// After a failed deployment the old build should still answer: whether it does is the first thing to know.
async fn what_answers(world: &World<'_>, seen: &Seen, failure: Failure) -> Failure {
    let nobody_asks = matches!(failure.reason.as_str(), "interrupted" | "deployment-timeout");
    if failure.acted == Acted::No || nobody_asks || seen.pages.is_empty() {
        return failure;
    }
    let pages = world.probe.all(&seen.pages, None).await;
    seen.pages
        .iter()
        .zip(pages)
        .fold(failure, |failure, (url, seen)| failure.cause(format!("now {url} {seen}")))
}

/// What Coolify says afterwards of one application.
struct After {
    /// Another build that has come meanwhile: its deployment and its revision.
    newer: Option<(String, String)>,
    post_failed: bool,
    drift: Option<bool>,
}

/// Asks Coolify once more: is it still our build, with the settings of then, and did what comes after it work?
async fn confirm(
    world: &World<'_>,
    seen: &Seen,
    ended: &[Result<Ended, Failure>],
    reports: &mut [Value],
) -> Result<(), Failure> {
    let pairs: Vec<(&Target, &Ended)> =
        seen.targets.iter().zip(ended).filter_map(|(t, e)| Some((t, e.as_ref().ok()?))).collect();
    let afterwards = each(&pairs, |(target, ended)| afterwards(world, target, ended)).await;
    for (((target, _), after), report) in
        pairs.iter().zip(afterwards.map_err(|f| f.acted(Acted::Yes))?).zip(reports)
    {
        let name = &target.app.name;
        if let Some((deployment, other)) = after.newer {
            let message =
                format!("{name} ran {}, but meanwhile {deployment} has deployed {other}", target.revision);
            return Err(Failure::failed("superseded", message).acted(Acted::Yes));
        }
        if after.post_failed {
            report["post_deployment"] = json!("failed");
            let message = format!(
                "{name}: its post-deployment command failed; Coolify calls the deployment finished all the same"
            );
            world.context.voice.warn(&message);
        }
        if let Some(drift) = after.drift {
            report["drift"] = json!(drift);
        }
        if after.drift == Some(true) {
            let message = format!(
                "{name}: {} runs again, but with other settings than then (variables, domains, limits): the code is back, they are not",
                target.revision
            );
            world.context.voice.warn(&message);
        }
    }
    Ok(())
}

async fn afterwards(world: &World<'_>, target: &Target, ended: &Ended) -> Result<After, Failure> {
    let rows = world.api.history(&target.app, 20).await?;
    let row = rows.iter().find(|r| r.uuid == ended.row.uuid).unwrap_or(&ended.row);
    let newer = history::superseded(&rows, row);
    // A pin is part of the settings that are compared.
    let comparable = !matches!(target.act, Act::Start(Way::Pin { .. }) | Act::Nothing(_));
    Ok(After {
        newer: newer
            .map(|r| (r.uuid.clone(), r.revision.clone().unwrap_or_else(|| "an unknown build".into()))),
        post_failed: row.says("Post-deployment command failed"),
        drift: history::drifted(&rows, row).filter(|_| comparable),
    })
}

/// Goes back, if that is wanted and right; else names the way back.
fn after_failure(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    permit: &Permit,
    purpose: Purpose,
    replaced: &HashSet<String>,
    failure: Failure,
) -> Failure {
    let wants = purpose == (Purpose::Deploy { auto_rollback: true });
    if !wants || replaced.is_empty() {
        return if failure.reason == "not-live" { with_way_back(run, failure) } else { failure };
    }
    let previous: Option<Previous> = run.fact("previous").unwrap_or_default();
    let Some(previous) = previous else {
        return with_way_back(
            run,
            failure.cause("not rolled back: the document does not say what ran before"),
        );
    };
    go_back(run, settings, net, permit, &previous, replaced, failure)
}

/// One way back, with a time of its own; it is never itself gone back from.
fn go_back(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    permit: &Permit,
    previous: &Previous,
    replaced: &HashSet<String>,
    failure: Failure,
) -> Failure {
    let before = wanted::of_previous(settings, previous);
    let name = before.name();
    run.context.voice.warn(&format!("{}; going back to {name}", failure.message));
    run.context.deadline = Deadline::after(WAY_BACK);
    let world = World::new(&run.context, settings, net);
    let back = net.block(async {
        let seen = look(&world, &before, false).await?.only(replaced);
        let begun = begin(&world, permit, Purpose::Rollback { keep_auto_deploy: true }, &seen).await?;
        let done = finish(&world, permit, &before, &seen, begun).await;
        done.result.map(|proof| (proof, done.reports))
    });
    match back {
        Ok((proof, reports)) => {
            let message = format!("{}; {name} runs again: {proof}", failure.message);
            with_way_back(run, renamed(failure, "rolled-back", message).output("rollback", reports))
        }
        Err(second) => {
            let message = format!("{}; and going back to {name} failed: {}", failure.message, second.message);
            let both = renamed(failure, "rollback-failed", message);
            with_way_back(run, second.causes.iter().fold(both, Failure::cause))
        }
    }
}

fn renamed(mut failure: Failure, reason: &str, message: String) -> Failure {
    reason.clone_into(&mut failure.reason);
    failure.message = message;
    failure.acted(Acted::Yes)
}

/// Names the way back, if there is one: in a run of a runbook that is the other runbook, because the data may have to go back too.
fn with_way_back(run: &Run, failure: Failure) -> Failure {
    let environment = run.context.environment.as_deref().unwrap_or("production");
    let facts = run.document.facts();
    let back = failure.reason == "rolled-back";
    match run.document.procedure() {
        // It decides itself what becomes of the data.
        "release" | "hotfix" if facts.contains_key("previous") => {
            failure.next(format!("rilis-rollback --env {environment}"))
        }
        "manual" if facts.contains_key("previous") && !back => {
            failure.next(format!("deploy-coolify rollback --env {environment}"))
        }
        _ => failure,
    }
}

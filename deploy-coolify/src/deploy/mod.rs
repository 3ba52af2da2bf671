//! Brings a build into every application of the environment: starts what has to be started, once; follows all at the same
//! time; proves that it runs; leaves configured what runs; and, if that was asked for, goes back once.

mod auto_deploy;
mod back;
mod begin;
mod board;
mod confirm;
mod ending;
mod finish;
mod follow;
mod restore;
mod servers;
mod start;

use facts::{Deployment, Previous};
use serde_json::{Value, json};
use step::{Failure, Outcome, Run};

use crate::api::{Kind, Net};
use crate::look::{Aim, Seen, look};
use crate::plan::{Act, Wanted, Way};
use crate::settings::Settings;
use crate::world::World;
use back::after_failure;
use begin::{begin, image_is_there, servers_are_there};
use finish::finish;
use start::Intent;

/// Why a build is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is new; with the word to go back by itself.
    Deploy { auto_rollback: bool },
    /// It ran before.
    Rollback { keep_auto_deploy: bool },
    /// A push has brought it, or an earlier run of ours (`ours`).
    Attach { ours: bool },
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
        let aim = if matches!(purpose, Purpose::Rollback { .. }) { Aim::Back } else { Aim::Start };
        net.block(look(&world, wanted, aim))?
    };
    carry_out(run, settings, net, purpose, &seen)
}

/// Brings a build, when it is known what is to be done.
pub fn carry_out(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    purpose: Purpose,
    seen: &Seen,
) -> Result<Outcome, Failure> {
    // From here on a failure's document says what was being brought.
    facts(run, settings, seen)?;
    let Some(permit) = run.permit() else { return planned(run, settings, net, purpose, seen) };
    let intent = intent(run, purpose);
    let begun = {
        let world = World::new(&run.context, settings, net);
        net.block(begin(&world, &permit, purpose, seen, &intent))?
    };
    let deployments: Vec<Deployment> = begun.deployments(seen);
    if !deployments.is_empty() {
        run.set("deployments", &deployments)?;
    }
    let done = {
        let world = World::new(&run.context, settings, net);
        net.block(finish(&world, &permit, seen, begun, &intent))
    };
    match &done.result {
        Ok(proof) => {
            run.set("live", seen.wanted.live())?;
            let outcome = brought(seen, proof, &done.reports);
            Ok(outcome.output("applications", done.reports).output("coolify", seen.version.to_string()))
        }
        Err(failure) => {
            let failure = failure.clone().output("applications", done.reports.clone());
            Err(after_failure(run, settings, net, &permit, purpose, &done.replaced, failure))
        }
    }
}

/// What the deployments are for.
fn intent(run: &Run, purpose: Purpose) -> Intent {
    // A fact of another shape is a matter of the step that needs it.
    let previous: Option<Previous> = run.fact("previous").unwrap_or_default();
    Intent {
        ran: previous.and_then(|previous| previous.image).into_iter().collect(),
        ours: !matches!(purpose, Purpose::Attach { ours: false }),
        back: matches!(purpose, Purpose::Rollback { .. }),
    }
}

fn brought(seen: &Seen, proof: &str, reports: &[Value]) -> Outcome {
    let (name, many) = (seen.wanted.name(), among(seen));
    let configured = reports.iter().any(|report| report.get("configured").is_some());
    match (seen.is_deployed(), configured) {
        (true, false) => Outcome::unchanged(format!("{name} runs already{many}: {proof}")),
        (true, true) => {
            Outcome::changed(format!("{name} runs already{many}, and is configured again: {proof}"))
        }
        (false, _) => Outcome::changed(format!("{name} runs{many}: {proof}")),
    }
}

fn facts(run: &mut Run, settings: &Settings, seen: &Seen) -> Result<(), Failure> {
    let of_kind = |kind| seen.targets.iter().any(|t| t.app.kind() == kind);
    if let Some(image) = seen.wanted.images.first().filter(|_| of_kind(Kind::Image)) {
        run.set("image", image)?;
    }
    if let Some(commit) = seen.wanted.build.commit.as_ref().filter(|_| of_kind(Kind::Git)) {
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
    purpose: Purpose,
    seen: &Seen,
) -> Result<Outcome, Failure> {
    servers_are_there(seen)?;
    {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            if let Err(failure) = image_is_there(&world, seen, false).await {
                world.context.voice.warn(&failure.message);
            }
            if let Purpose::Rollback { keep_auto_deploy: false } = purpose {
                auto_deploy::foretell(&world, seen);
            }
        });
    }
    run.set("live", seen.wanted.live())?;
    let verb = if seen.is_deployed() { "runs already" } else { "would be deployed" };
    let acts: Vec<Value> = seen
        .targets
        .iter()
        .map(|t| json!({ "application": t.app.uuid, "name": t.app.name, "would": would(&t.act) }))
        .collect();
    let name = seen.wanted.name();
    Ok(Outcome::planned(format!("{name} {verb}{}", among(seen))).output("applications", acts))
}

fn would(act: &Act) -> String {
    match act {
        Act::Nothing(id) => format!("nothing: {id} has brought it"),
        Act::Configure(id) => format!("write the tag and deploy nothing: {id} has brought it"),
        Act::Follow(id) => format!("follow {id}, which is on its way"),
        Act::Start(Way::Tag { set: true }) => "write the tag and deploy".into(),
        Act::Start(Way::Tag { set: false }) => "deploy".into(),
        Act::Wait => "wait for a push".into(),
        Act::Start(Way::Exact) => "deploy the commit".into(),
        Act::Start(Way::Pin { .. }) => "pin the commit, deploy, and take the pin back".into(),
    }
}

//! The beginning: is the image there, and would a push undo it; then every deployment is started.

use std::collections::HashSet;

use facts::Deployment;
use futures_util::future::join_all;
use step::{Acted, Failure, Kind, Permit};

use super::restore::taken_back;
use super::start::{Intent, Started, ran_before, start_all};
use super::{Purpose, auto_deploy};
use crate::look::{Seen, Target};
use crate::plan::{Act, Way, reachable};
use crate::previous::kept;
use crate::registry::Images;
use crate::wait::within;
use crate::world::World;

/// What was started, application by application.
pub(super) struct Begun(pub(super) Vec<Result<Started, Failure>>);

impl Begun {
    pub(super) fn deployments(&self, seen: &Seen) -> Vec<Deployment> {
        let each = seen.targets.iter().zip(&self.0);
        each.filter_map(|(target, started)| {
            let deployment = started.as_ref().ok()?.deployment.clone();
            Some(Deployment { application: target.app.uuid.clone(), deployment })
        })
        .collect()
    }
}

pub(super) async fn begin(
    world: &World<'_>,
    permit: &Permit,
    purpose: Purpose,
    seen: &Seen,
    intent: &Intent,
) -> Result<Begun, Failure> {
    if let Err(failure) = may_begin(world, seen, intent).await {
        return Err(left(world, permit, seen, intent, failure).await);
    }
    let started = start_all(world, permit, &seen.targets, intent).await;
    world.net.relax();
    if let Purpose::Rollback { keep_auto_deploy: false } = purpose {
        // Where nothing was started nothing is changed; and what is started does not wait for it.
        let begun = |started: &Result<Started, Failure>| match started {
            Ok(_) => true,
            Err(failure) => failure.acted == Acted::Unknown,
        };
        let each = seen.targets.iter().zip(&started);
        let targets: Vec<&Target> = each.filter(|(_, s)| begun(s)).map(|(target, _)| target).collect();
        auto_deploy::switch_off(world, permit, &targets).await;
    }
    Ok(Begun(started))
}

/// Whether there is something to deploy, and somewhere to deploy it to.
async fn may_begin(world: &World<'_>, seen: &Seen, intent: &Intent) -> Result<(), Failure> {
    servers_are_there(seen)?;
    // A rollback's image was there before: nothing will bring it back.
    image_is_there(world, seen, !intent.back).await
}

/// Whether Coolify reaches the servers of whatever is to be started.
pub(super) fn servers_are_there(seen: &Seen) -> Result<(), Failure> {
    let starts = |t: &&Target| matches!(t.act, Act::Start(_));
    seen.targets.iter().filter(starts).try_for_each(|target| reachable(&target.app))
}

/// Nothing was begun; but an earlier run may have written the tag and died.
async fn left(
    world: &World<'_>,
    permit: &Permit,
    seen: &Seen,
    intent: &Intent,
    mut failure: Failure,
) -> Failure {
    let written = |t: &&Target| matches!(t.act, Act::Start(Way::Tag { set: false })) && !intent.back;
    for target in seen.targets.iter().filter(written) {
        let old = ran_before(target, &intent.ran);
        failure = taken_back(world, permit, target, &old, failure).await;
    }
    failure
}

/// The image is in the registry, or comes there in time (`patiently`). On the way back a registry that cannot be asked stops nothing:
/// Coolify's server may reach it all the same.
pub(super) async fn image_is_there(world: &World<'_>, seen: &Seen, patiently: bool) -> Result<(), Failure> {
    let Some(images) = world.images() else { return Ok(()) };
    let starts = |t: &&Target| matches!(t.act, Act::Start(Way::Tag { .. }));
    let names: HashSet<(&str, &str)> =
        seen.targets.iter().filter(starts).map(|t| (t.app.image(), t.revision.as_str())).collect();
    if patiently {
        for (name, tag) in names {
            wait_for(world, &images, name, tag).await?;
        }
        world.context.voice.progress_done();
        return Ok(());
    }
    // On the way back nobody is asked twice.
    let names: Vec<_> =
        names.into_iter().filter(|(name, tag)| world.net.asks(&image::join(name, tag))).collect();
    let asked =
        join_all(names.iter().map(async |(name, tag)| {
            (*name, *tag, within(world.patience(), images.digest(name, tag)).await)
        }));
    for (name, tag, answer) in asked.await {
        match answer {
            Some(Ok(Some(_))) => {}
            Some(Ok(None)) => return Err(kept::gone(&missing(name, tag))),
            Some(Err(failure)) => world.context.voice.warn(&format!("{} (going on)", failure.message)),
            None => world
                .context
                .voice
                .warn(&format!("the registry has not said in time whether it has {name}:{tag} (going on)")),
        }
    }
    Ok(())
}

fn missing(name: &str, tag: &str) -> String {
    format!("the registry does not have {}", image::join(name, tag))
}

async fn wait_for(world: &World<'_>, images: &Images<'_>, name: &str, tag: &str) -> Result<(), Failure> {
    let mut known: Option<Failure> = None;
    loop {
        let failure = match images.digest(name, tag).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => Failure::temporary("image-missing", missing(name, tag)),
            Err(failure) if failure.kind == Kind::Temporary && failure.reason == "registry-unreachable" => {
                failure
            }
            Err(failure) => return Err(failure),
        };
        // An answer that had no time to come says less than the one before.
        let cut_short = failure.reason != "image-missing" && world.context.deadline.left().is_zero();
        let failure = if cut_short { known.take().unwrap_or(failure) } else { failure };
        known = Some(failure.clone());
        world.context.voice.progress(&format!("{}: waiting for it", failure.message));
        let over = |stopped: Failure| if stopped.is_deadline() { failure.clone() } else { stopped };
        let wait = images.wait().unwrap_or_default().max(world.settings.interval);
        world.pause(wait).await.map_err(over)?;
    }
}

//! The beginning: is the image there, and would a push undo it; then every deployment is started.

use std::collections::HashSet;

use futures_util::future::join_all;
use step::{Deployment, Failure, Kind, Permit};

use super::start::{Intent, Started, start_all};
use super::{Purpose, auto_deploy};
use crate::look::{Seen, Target};
use crate::plan::{Act, Way};
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
    // A rollback's image was there before: nothing will bring it back.
    image_is_there(world, seen, !intent.back).await?;
    if let Purpose::Rollback { keep_auto_deploy: false } = purpose {
        auto_deploy::switch_off(world, permit, seen).await;
    }
    Ok(Begun(start_all(world, permit, &seen.targets, intent).await))
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
    format!("the registry does not have {}", crate::image::join(name, tag))
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
        let over = |stopped: Failure| if stopped.reason == "deadline" { failure.clone() } else { stopped };
        let wait = images.wait().unwrap_or_default().max(world.settings.interval);
        world.pause(wait).await.map_err(over)?;
    }
}

//! Starts what has to be started, once, and believes an id only when it can be read back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use step::{Acted, Failure, Permit};

use crate::api::{Row, Sent, Trouble};
use crate::look::Target;
use crate::plan::{Act, Way};
use crate::world::World;

/// A deployment that is there.
#[derive(Clone, Debug)]
pub struct Started {
    pub deployment: String,
    /// Whether this run has started it.
    pub ours: bool,
    /// The pin that the application had before.
    pub restore: Option<String>,
}

/// Starts every application's deployment; each has its own answer.
pub async fn start_all(
    world: &World<'_>,
    permit: &Permit,
    targets: &[Target],
) -> Vec<Result<Started, Failure>> {
    join_all(targets.iter().map(|target| start(world, permit, target))).await
}

async fn start(world: &World<'_>, permit: &Permit, target: &Target) -> Result<Started, Failure> {
    let there = |deployment, ours, restore| Started { deployment, ours, restore };
    match &target.act {
        Act::Nothing(id) | Act::Follow(id) => Ok(there(id.clone(), false, None)),
        Act::Start(Way::Tag { set }) => {
            tagged(world, permit, target, *set).await.map(|id| there(id, true, None))
        }
        Act::Wait => Err(Failure::bug("nothing was to be started")),
        Act::Start(Way::Exact) => {
            let sent = world.api.deploy_commit(permit, &target.app.uuid, &target.revision).await?;
            settle(world, target, sent, Acted::No).await.map(|id| there(id, true, None))
        }
        Act::Start(Way::Pin { restore, force }) => {
            let id = pinned(world, permit, target, restore, *force).await?;
            Ok(there(id, true, Some(restore.clone())))
        }
    }
}

const TAG: &str = "docker_registry_image_tag";
const PIN: &str = "git_commit_sha";

/// Writes the tag and deploys it. A tag that was written and not deployed is taken back: the next person to press a button
/// would deploy it.
async fn tagged(world: &World<'_>, permit: &Permit, target: &Target, set: bool) -> Result<String, Failure> {
    if set {
        written(world, permit, target, TAG, &target.app.tag).await?;
    }
    let touched = if set { Acted::Yes } else { Acted::No };
    // Forced, because Coolify takes another tag of the same image for a duplicate.
    let sent = world.api.deploy(permit, &target.app.uuid, true).await;
    match sent {
        Ok(Sent::Refused(failure)) | Err(failure) if set => {
            Err(taken_back(world, permit, target, TAG, &target.app.tag, failure, false).await)
        }
        sent => settle(world, target, sent?, touched).await,
    }
}

/// Pins the application to the commit and deploys it. The pin is taken back when the deployment has ended, or at once when there is none.
async fn pinned(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    old: &str,
    force: bool,
) -> Result<String, Failure> {
    if *old == target.revision {
        let message = format!(
            "{} stays pinned to {}: every push deploys it again until git_commit_sha is HEAD in Coolify",
            target.app.name, target.revision
        );
        world.context.voice.warn(&message);
    } else {
        written(world, permit, target, PIN, old).await?;
    }
    let deployed = async {
        let sent = world.api.deploy(permit, &target.app.uuid, force).await?;
        settle(world, target, sent, Acted::Yes).await
    };
    match deployed.await {
        Ok(id) => Ok(id),
        Err(failure) => {
            let started = failure.acted == Acted::Unknown;
            Err(taken_back(world, permit, target, PIN, old, failure, started).await)
        }
    }
}

/// Writes the revision into the application and reads it back.
async fn written(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    key: &str,
    old: &str,
) -> Result<(), Failure> {
    if let Sent::Refused(failure) =
        world.api.set(permit, &target.app.uuid, key, target.revision.as_str()).await?
    {
        return Err(failure);
    }
    // Whatever was answered: the application itself says what it has.
    let failure = match world.api.application(&target.app.uuid).await {
        Err(failure) => failure,
        Ok(app) => {
            let has = if key == TAG { app.tag } else { app.pin };
            if has == target.revision {
                return Ok(());
            }
            let message =
                format!("{} has {key} {has}, although {} was written", target.app.name, target.revision);
            Failure::failed("not-written", message)
        }
    };
    Err(taken_back(world, permit, target, key, old, failure, false).await)
}

/// Puts an application's field back, and says in the failure whether that worked. `started` says that a deployment may be on its way.
async fn taken_back(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    key: &str,
    old: &str,
    failure: Failure,
    started: bool,
) -> Failure {
    let acted = |otherwise| if started { Acted::Unknown } else { otherwise };
    if old == target.revision {
        return failure.acted(acted(Acted::No));
    }
    let back = match old {
        // It cannot be made empty again through the API.
        "" => false,
        old => matches!(world.api.put_back(permit, &target.app.uuid, key, old).await, Sent::Done(_)),
    };
    if back {
        return failure.acted(acted(Acted::No));
    }
    let cause = format!("{}: {key} stays at {}; it was `{old}` before", target.app.name, target.revision);
    failure.acted(acted(Acted::Yes)).cause(cause)
}

/// Puts a pin back when its deployment has ended, however it has.
pub async fn unpin(world: &World<'_>, permit: &Permit, target: &Target, started: &Started) {
    let Some(old) = started.restore.as_ref().filter(|old| **old != target.revision) else { return };
    if !matches!(world.api.put_back(permit, &target.app.uuid, PIN, old).await, Sent::Done(_)) {
        let name = &target.app.name;
        world.context.voice.warn(&format!(
            "{name} stays pinned to {}: set git_commit_sha to {old} in Coolify",
            target.revision
        ));
    }
}

/// From the answer to a deployment that can be read.
async fn settle(world: &World<'_>, target: &Target, sent: Sent, touched: Acted) -> Result<String, Failure> {
    let name = &target.app.name;
    let promised = match sent {
        Sent::Refused(failure) => return Err(failure.acted(touched)),
        Sent::Unknown(why) => {
            let message =
                format!("the answer to the start of {name}'s deployment was lost ({why}); looking for it");
            world.context.voice.warn(&message);
            None
        }
        Sent::Done(body) => queued(&body).map_err(|said| {
            let message = format!("Coolify did not queue the deployment of {name}: {said}");
            Failure::failed("not-queued", message).acted(touched)
        })?,
    };
    find(world, target, promised.as_deref()).await
}

/// The id that Coolify promises, `None` when it calls the deployment a duplicate; an error is its refusal with status 200.
fn queued(body: &Value) -> Result<Option<String>, String> {
    let item = body.get("deployments").and_then(|d| d.get(0)).unwrap_or(body);
    let text = |key| item.get(key).and_then(Value::as_str);
    match (text("message"), text("deployment_uuid")) {
        (Some(said), Some(id)) if said.ends_with("deployment queued.") => Ok(Some(id.to_owned())),
        (Some(said), _) if said.contains("already queued") => Ok(None),
        (said, _) => Err(said.unwrap_or("no reason given").to_owned()),
    }
}

/// An id is believed only when it can be read back; else the deployment is looked for among those that are new, or on their way.
async fn find(world: &World<'_>, target: &Target, promised: Option<&str>) -> Result<String, Failure> {
    let mut end = Instant::now() + world.sight();
    let mut in_list = promised.is_none();
    let unknown = |failure: Failure| failure.acted(Acted::Unknown);
    loop {
        match seen(world, target, promised, in_list).await {
            Ok(Some(id)) => return Ok(id),
            Ok(None) => {}
            // While Coolify is away nothing can be seen: that is no sign that it was not started.
            Err(trouble) if trouble.passes() => end = Instant::now() + world.sight(),
            Err(trouble) => return Err(unknown(trouble.failure)),
        }
        if Instant::now() >= end {
            let message = format!(
                "it is not known whether the deployment of {} was started; Coolify does not show it",
                target.app.name
            );
            let environment = world.context.environment.as_deref().unwrap_or("production");
            let failure = Failure::temporary("deployment-lost", message);
            return Err(unknown(failure).next(format!("deploy-coolify status --env {environment}")));
        }
        // By its own name first, then among all; some versions know only one of the two.
        if in_list || promised.is_none() {
            world.pause(world.settings.interval.min(Duration::from_millis(500))).await.map_err(unknown)?;
        }
        in_list = promised.is_none() || !in_list;
    }
}

async fn seen(
    world: &World<'_>,
    target: &Target,
    promised: Option<&str>,
    in_list: bool,
) -> Result<Option<String>, Trouble> {
    match promised {
        Some(id) if !in_list => Ok(world.api.peek(&target.app, id, false).await?.map(|row| row.uuid)),
        _ => {
            let rows = world.api.peek_history(&target.app, 10).await?;
            let listed = promised.and_then(|id| rows.iter().find(|r| r.uuid == id));
            let row = listed.or_else(|| rows.iter().find(|row| may_be_ours(row, target)));
            Ok(row.map(|row| row.uuid.clone()))
        }
    }
}

/// New, on the first server, and of no other build; or the one on its way that ours was called a duplicate of.
fn may_be_ours(row: &Row, target: &Target) -> bool {
    let fits = row.revision.as_ref().is_none_or(|revision| *revision == target.revision);
    row.is_primary && fits && (!target.knows(&row.uuid) || (row.is_open() && row.revision.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_queued_deployment_is_one() {
        let body = |message: &str| json!({ "deployments": [{ "message": message, "deployment_uuid": "d" }] });
        assert_eq!(queued(&body("Application web deployment queued.")), Ok(Some("d".into())));
        assert_eq!(queued(&body("Deployment already queued for this commit.")), Ok(None));
        assert!(queued(&body("Unauthorized to deploy this application.")).is_err());
        assert!(queued(&body("Service x started. It could take a while, be patient.")).is_err());
        assert!(queued(&json!({})).is_err());
        let rollback = json!({ "message": "Rollback deployment queued.", "deployment_uuid": "d" });
        assert_eq!(queued(&rollback), Ok(Some("d".into())));
    }
}

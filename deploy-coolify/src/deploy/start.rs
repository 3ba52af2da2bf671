//! Starts what has to be started, once, and believes an id only when it can be read back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use step::{Acted, Failure, Permit};

use super::restore::{Before, put_back};
use crate::api::{Kind, Row, Sent, Trouble, is_id};
use crate::image::split;
use crate::look::Target;
use crate::next::Next;
use crate::plan::{Act, Way};
use crate::world::World;

/// A deployment that is there.
#[derive(Clone, Debug)]
pub struct Started {
    pub deployment: String,
    /// Whether this run has started it.
    pub ours: bool,
    /// What the application was configured with before, if it is another one now.
    pub before: Option<Before>,
}

/// What the deployments are for.
#[derive(Clone, Debug, Default)]
pub struct Intent {
    /// The images that ran before, as far as they are known from elsewhere than Coolify.
    pub ran: Vec<String>,
    /// Whether a deployment that is only followed is one of ours.
    pub ours: bool,
    /// Whether the build is one to go back to.
    pub back: bool,
}

/// Starts every application's deployment; each has its own answer.
pub async fn start_all(
    world: &World<'_>,
    permit: &Permit,
    targets: &[Target],
    intent: &Intent,
) -> Vec<Result<Started, Failure>> {
    join_all(targets.iter().map(|target| start(world, permit, target, intent))).await
}

async fn start(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    intent: &Intent,
) -> Result<Started, Failure> {
    let there = |deployment, ours, before| Started { deployment, ours, before };
    match &target.act {
        Act::Nothing(id) | Act::Configure(id) => Ok(there(id.clone(), false, None)),
        Act::Follow(id) => {
            Ok(there(id.clone(), false, ran_before(target, &intent.ran).filter(|_| intent.ours)))
        }
        Act::Start(Way::Tag { set }) => {
            let before = if *set { Some(Before::of(&target.app)) } else { ran_before(target, &intent.ran) };
            let id = tagged(world, permit, target, *set, before.as_ref(), intent.back).await?;
            Ok(there(id, true, before))
        }
        Act::Wait => Err(Failure::bug("nothing was to be started")),
        Act::Start(Way::Exact) => {
            let sent = world.api.deploy_commit(permit, &target.app.uuid, &target.revision).await?;
            settle(world, target, sent, Acted::No).await.map(|row| there(row.uuid, true, None))
        }
        Act::Start(Way::Pin { force, .. }) => pinned(world, permit, target, *force).await,
    }
}

/// What ran before a tag that somebody else has written: a run of ours that was killed, or a person.
fn ran_before(target: &Target, ran: &[String]) -> Option<Before> {
    if target.app.kind() != Kind::Image || target.app.tag() != target.revision {
        return None;
    }
    let known = target.running().map(str::to_owned);
    let told = || {
        let parts = ran.iter().filter_map(|image| split(image));
        parts.into_iter().find(|(name, _)| *name == target.app.image()).map(|(_, tag)| tag)
    };
    let running = known.or_else(told).filter(|tag| *tag != target.revision)?;
    Some(Before::ran(&target.app, &running))
}

/// Writes the tag and deploys it. A tag that was written and not deployed is taken back: the next person to press a button
/// would deploy it.
async fn tagged(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    set: bool,
    before: Option<&Before>,
    back: bool,
) -> Result<String, Failure> {
    if set {
        written(world, permit, target).await?;
    }
    let touched = if set { Acted::Yes } else { Acted::No };
    let deployed = async {
        // Forced, because Coolify takes another tag of the same image for a duplicate.
        let sent = world.api.deploy(permit, &target.app.uuid, true).await?;
        settle(world, target, sent, touched).await
    };
    match deployed.await {
        Ok(row) => Ok(row.uuid),
        // It may be on its way, and is one to go back to.
        Err(failure) if !set || (back && failure.acted == Acted::Unknown) => Err(failure),
        Err(failure) => Err(taken_back(world, permit, target, before, failure).await),
    }
}

/// Pins the application to the commit and deploys it. A deployment keeps the commit with which it was queued, so that the pin goes back
/// at once; but where there are more servers, or where that is not so, when it has ended.
async fn pinned(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    force: bool,
) -> Result<Started, Failure> {
    let before = Some(Before::of(&target.app)).filter(|_| target.app.pin != target.revision);
    if before.is_some() {
        written(world, permit, target).await?;
    } else {
        let message = format!(
            "{} stays pinned to {}: every push deploys it again until git_commit_sha is HEAD in Coolify",
            target.app.name, target.revision
        );
        world.context.voice.warn(&message);
    }
    let deployed = async {
        let sent = world.api.deploy(permit, &target.app.uuid, force).await?;
        settle(world, target, sent, Acted::Yes).await
    };
    let row = match deployed.await {
        Ok(row) => row,
        Err(failure) => return Err(taken_back(world, permit, target, before.as_ref(), failure).await),
    };
    let fixed = !force && target.app.extra_servers() == 0 && row.revision.as_ref() == Some(&target.revision);
    let before = match before {
        Some(before) if fixed => {
            let left = super::restore::take_back(world, permit, target, &before).await;
            // What could not be put back now is tried again at the end.
            left.map(|_| before)
        }
        before => before,
    };
    Ok(Started { deployment: row.uuid, ours: true, before })
}

/// Writes the revision into the application and reads it back.
pub async fn written(world: &World<'_>, permit: &Permit, target: &Target) -> Result<(), Failure> {
    let app = &target.app;
    let before = Before::of(app);
    if let Sent::Refused(failure) = world.api.set(permit, &app.uuid, app.fields_for(&target.revision)).await?
    {
        return Err(failure);
    }
    // Whatever was answered: the application itself says what it has.
    let failure = match world.api.application(&app.uuid).await {
        Err(failure) => failure,
        Ok(now) if now.configured() == target.revision && now.image() == app.image() => return Ok(()),
        Ok(now) => {
            let message = format!(
                "{} is configured with {}, although {} was written",
                app.name,
                now.configured(),
                target.revision
            );
            Failure::failed("not-written", message)
        }
    };
    Err(taken_back(world, permit, target, Some(&before), failure).await)
}

/// Puts an application's configuration back, and says in the failure whether that worked.
async fn taken_back(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    before: Option<&Before>,
    failure: Failure,
) -> Failure {
    let started = failure.acted == Acted::Unknown;
    let Some(before) = before else { return failure };
    let (back, failure) = put_back(world, permit, target, before, failure).await;
    failure.acted(match (started, back) {
        (true, _) => Acted::Unknown,
        (false, true) => Acted::No,
        (false, false) => Acted::Yes,
    })
}

/// From the answer to a deployment that can be read.
async fn settle(world: &World<'_>, target: &Target, sent: Sent, touched: Acted) -> Result<Row, Failure> {
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
        (Some(said), Some(id)) if said.ends_with("deployment queued.") && is_id(id) => {
            Ok(Some(id.to_owned()))
        }
        (Some(said), _) if said.contains("already queued") => Ok(None),
        (said, _) => Err(crate::api::sentence(said.unwrap_or("no reason given"))),
    }
}

/// An id is believed only when it can be read back; else the deployment is looked for among those that are new, or on their way.
async fn find(world: &World<'_>, target: &Target, promised: Option<&str>) -> Result<Row, Failure> {
    let mut end = Instant::now() + world.sight();
    let mut in_list = promised.is_none();
    let unknown = |failure: Failure| failure.acted(Acted::Unknown);
    let usual = world.settings.interval.min(Duration::from_millis(500));
    loop {
        let mut wait = usual;
        match seen(world, target, promised, in_list).await {
            Ok(Some(row)) => return Ok(row),
            Ok(None) => {}
            // While Coolify is away nothing can be seen: that is no sign that it was not started.
            Err(trouble) if trouble.passes() => {
                wait = trouble.wait().unwrap_or(usual);
                end = Instant::now() + wait + world.sight();
            }
            Err(trouble) => return Err(unknown(trouble.failure)),
        }
        if Instant::now() >= end {
            let message = format!(
                "it is not known whether the deployment of {} was started; Coolify does not show it",
                target.app.name
            );
            let failure = Failure::temporary("deployment-lost", message);
            return Err(unknown(failure).next(Next::status(world.context)));
        }
        // By its own name first, then among all; some versions know only one of the two.
        if in_list || promised.is_none() || wait > usual {
            world.pause(wait).await.map_err(unknown)?;
        }
        in_list = promised.is_none() || !in_list;
    }
}

async fn seen(
    world: &World<'_>,
    target: &Target,
    promised: Option<&str>,
    in_list: bool,
) -> Result<Option<Row>, Trouble> {
    match promised {
        Some(id) if !in_list => world.api.peek(&target.app, id, false).await,
        _ => {
            let rows = world.api.peek_history(&target.app, 10).await?;
            let listed = promised.and_then(|id| rows.iter().find(|r| r.uuid == id));
            let row = listed.or_else(|| rows.iter().find(|row| may_be_ours(row, target)));
            Ok(row.cloned())
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
        let rollback = |id| json!({ "message": "Rollback deployment queued.", "deployment_uuid": id });
        assert_eq!(queued(&rollback("d")), Ok(Some("d".into())));
        assert!(queued(&rollback("../applications/d")).is_err());
    }
}

//! Pushes: the deployment that one has started, and what the next one would bring.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use step::{Acted, Build, Failure, Outcome, Permit, Previous, Run};

use crate::api::{Application, Kind, Net, Row, Sent};
use crate::bring::{Purpose, carry_out};
use crate::look::{Seen, Target, look};
use crate::plan::{Act, Wanted, join};
use crate::settings::Settings;
use crate::wanted;
use crate::world::World;

/// Says which applications a push would bring the bad build back to.
pub fn foretell(world: &World<'_>, seen: &Seen) {
    for target in seen.targets.iter().filter(|t| t.app.auto_deploys() == Some(true)) {
        let app = &target.app;
        let message = format!(
            "auto-deploy of {} would be switched off: a push to {} would bring the bad build back",
            app.name, app.branch
        );
        world.context.voice.say(&message);
    }
}

/// Switches auto-deploy off where a push would bring the bad build back, and says so; where that does not work a person has to.
pub async fn switch_off(world: &World<'_>, permit: &Permit, seen: &Seen) {
    let voice = &world.context.voice;
    for Target { app, .. } in &seen.targets {
        let danger = format!("a push to {} would bring the bad build of {} back", app.branch, app.name);
        match app.auto_deploys() {
            Some(false) => {}
            // Before 4.2.0 Coolify does not tell, so that nothing could be proven.
            None => voice.warn(&format!("if auto-deploy is on in Coolify, {danger}: look there")),
            Some(true) => match off(world, permit, app).await {
                Ok(()) => voice.warn(&format!(
                    "auto-deploy is off now, because {danger}: switch it on again when it is mended"
                )),
                Err(why) => voice.warn(&format!(
                    "{danger}, and auto-deploy could not be switched off ({why}): do it in Coolify"
                )),
            },
        }
    }
}

async fn off(world: &World<'_>, permit: &Permit, app: &Application) -> Result<(), String> {
    let sent = world
        .api
        .set(permit, &app.uuid, "is_auto_deploy_enabled", false)
        .await
        .map_err(|f| f.message.clone())?;
    if let Sent::Refused(failure) = sent {
        return Err(failure.message.clone());
    }
    let now = world.api.application(&app.uuid).await.map_err(|f| f.message.clone())?;
    if now.auto_deploys() == Some(false) { Ok(()) } else { Err("it is still on".into()) }
}

/// How to wait for a push.
pub struct Attach<'a> {
    /// Exactly this deployment.
    pub deployment: Option<&'a str>,
    /// How long one may take to appear.
    pub window: Duration,
    /// Whether one may be started when none appears.
    pub or_start: bool,
}

/// Follows what a push has started, and proves it.
pub fn attach(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    wanted: Wanted,
    how: &Attach,
) -> Result<Outcome, Failure> {
    let (wanted, seen) = {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            let wanted = named(&world, wanted, how).await?;
            let mut seen = look(&world, &wanted, !how.or_start).await?;
            take(&world, &mut seen, how).await?;
            Ok::<_, Failure>((wanted, seen))
        })?
    };
    carry_out(run, settings, net, &wanted, Purpose::Attach, &seen)
}

/// A deployment that is named tells itself which build it brings, unless somebody has said it.
async fn named(world: &World<'_>, wanted: Wanted, how: &Attach<'_>) -> Result<Wanted, Failure> {
    let Some(id) = how.deployment else { return Ok(wanted) };
    for app in world.applications().await? {
        let rows = world.api.history(&app, 20).await?;
        let Some(row) = rows.iter().find(|r| r.uuid == id) else { continue };
        if wanted.revision(&app).is_ok() {
            return Ok(wanted);
        }
        let Some(revision) = row.revision.clone() else {
            let message = format!(
                "it is not known yet which build {id} of {} brings: name it with --image or --commit",
                app.name
            );
            return Err(Failure::refused("fact-missing", message));
        };
        return Ok(match app.kind() {
            Kind::Image => wanted::of_previous(
                world.settings,
                &Previous { image: Some(join(&app.image, &revision)), ..Previous::default() },
            ),
            _ => Wanted::new(Build { commit: Some(revision), ..wanted.build }, Vec::new()),
        });
    }
    let message = format!("no application of this environment has a deployment {id} among its newest");
    Err(Failure::refused("no-deployment", message))
}

/// Takes for each application the deployment that a push has started, waiting for it at most so long. Who has none by then keeps what
/// was decided, if one may be started, and is a failure if not.
async fn take(world: &World<'_>, seen: &mut Seen, how: &Attach<'_>) -> Result<(), Failure> {
    let end = Instant::now() + how.window;
    let found = join_all(seen.targets.iter().map(|target| appears(world, target, how.deployment, end))).await;
    world.context.voice.progress_done();
    for (target, found) in seen.targets.iter_mut().zip(found) {
        match found? {
            // What has finished and answers needs no following.
            Some(row) if matches!(&target.act, Act::Nothing(id) if *id == row.uuid) => {}
            Some(row) => target.act = Act::Follow(row.uuid.clone()),
            None if how.or_start => {
                world.context.voice.say(&format!("no push has deployed {}: starting it", target.app.name));
            }
            None => return Err(not_there(world, target, how.window)),
        }
    }
    Ok(())
}

async fn appears(
    world: &World<'_>,
    target: &Target,
    id: Option<&str>,
    end: Instant,
) -> Result<Option<Row>, Failure> {
    let mut rows = target.rows.clone();
    loop {
        let over = Instant::now() >= end;
        let asked = id.and_then(|id| rows.iter().find(|r| r.uuid == id));
        if let Some(row) = asked.or_else(|| of_push(&rows, &target.revision, over)) {
            return Ok(Some(row.clone()));
        }
        if over {
            return Ok(None);
        }
        world.context.voice.progress(&format!(
            "{}: waiting for a push's deployment of {}",
            target.app.name, target.revision
        ));
        world.pause(world.settings.interval).await?;
        rows = world.api.history(&target.app, 20).await?;
    }
}

/// The deployment of this revision: the newest on its way, else the last one that finished; one that failed only when no other comes.
fn of_push<'a>(rows: &'a [Row], revision: &str, over: bool) -> Option<&'a Row> {
    let ours = rows.iter().filter(|r| r.is_primary);
    let brings = |row: &&Row| row.revision.as_deref() == Some(revision);
    let open = ours.clone().filter(|r| r.is_open()).find(brings);
    let last = || ours.clone().find(|r| r.is_finished()).filter(brings);
    let newest = ours.clone().next().filter(brings).filter(|_| over);
    open.or_else(last).or(newest)
}

/// Why a push may not have started anything.
fn not_there(world: &World<'_>, target: &Target, window: Duration) -> Failure {
    let app = &target.app;
    let why = match app.auto_deploys() {
        Some(false) => "its auto-deploy is off, or it deploys images".to_owned(),
        _ if app.watches_paths() => format!(
            "the push was not to {}, touched none of its watched paths, or said [skip ci]",
            app.branch
        ),
        _ => format!("the push was not to {}, said [skip ci], or was of a tag", app.branch),
    };
    let message = format!(
        "no deployment of {} has appeared for {} in {:?}: perhaps {why}; --or-start starts one",
        target.revision, app.name, window
    );
    let environment = world.context.environment.as_deref().unwrap_or("production");
    Failure::refused("no-deployment", message)
        .acted(Acted::No)
        .next(format!("deploy-coolify deploy --env {environment}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployment_of_a_push_is_the_newest_of_its_commit() {
        let row = Row::sample;
        let found = |rows: &[Row], over| of_push(rows, "X", over).map(|r| r.uuid.clone());
        let (x1, x2, y) = (
            row("x1", "queued", Some("X")),
            row("x2", "in_progress", Some("X")),
            row("y", "finished", Some("Y")),
        );
        let (done, failed) = (row("done", "finished", Some("X")), row("bad", "failed", Some("X")));
        assert_eq!(found(&[y.clone(), row("h", "queued", None)], true), None);
        assert_eq!(
            found(&[x2.clone(), x1.clone(), y.clone()], false).as_deref(),
            Some("x2"),
            "two for one push: the newer"
        );
        assert_eq!(found(&[done.clone(), y.clone()], false).as_deref(), Some("done"));
        assert_eq!(found(&[y.clone(), done.clone()], true), None, "something else runs by now");
        assert_eq!(found(&[failed.clone(), y.clone()], false), None, "another may still come");
        assert_eq!(found(&[failed, y.clone()], true).as_deref(), Some("bad"));
        assert_eq!(found(&[x1, y, done], false).as_deref(), Some("x1"));
    }
}

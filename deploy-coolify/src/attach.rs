//! Follows the deployment that a push has started, or those that an earlier run has left behind.

use std::time::{Duration, Instant};

use facts::{Build, Previous};
use futures_util::future::join_all;
use step::{Acted, Failure, Outcome, Run};

use crate::api::{Application, Kind, Net, Row};
use crate::deploy::{Purpose, carry_out};
use crate::look::{Aim, Seen, Target, look};
use crate::next::Next;
use crate::plan::{Act, Wanted};
use crate::settings::Settings;
use crate::wait::each;
use crate::wanted;
use crate::world::World;
use image::join;

/// How to wait for a push.
pub struct Attach<'a> {
    /// Exactly these deployments.
    pub deployments: &'a [String],
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
    let seen = {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            let wanted = named(&world, wanted, how).await?;
            let mut seen = look(&world, &wanted, if how.or_start { Aim::Start } else { Aim::Follow }).await?;
            take(&world, &mut seen, how).await?;
            Ok::<_, Failure>(seen)
        })?
    };
    // Whoever names a deployment takes up what an earlier run has left, with what it has left written.
    carry_out(run, settings, net, Purpose::Attach { ours: !how.deployments.is_empty() }, &seen)
}

/// A deployment that is named tells itself which build it brings, unless somebody has said it.
async fn named(world: &World<'_>, wanted: Wanted, how: &Attach<'_>) -> Result<Wanted, Failure> {
    if how.deployments.is_empty() {
        return Ok(wanted);
    }
    let apps = world.applications().await?;
    let rows = each(&apps, |app| world.api.history(app, 20)).await?;
    let mut told = wanted;
    for id in how.deployments {
        let found = apps.iter().zip(&rows).find_map(|(app, rows)| {
            let row = rows.iter().find(|r| r.uuid == *id)?;
            Some((app, row))
        });
        let Some((app, row)) = found else {
            let message =
                format!("no application of this environment has a deployment {id} among its newest");
            return Err(Failure::refused("no-deployment", message).next(Next::status(world)));
        };
        if told.revision(app).is_err() {
            told = of_row(world, told, app, row)?;
        }
    }
    Ok(told)
}

/// The build of a deployment, where its log or its commit names it.
fn of_row(world: &World<'_>, wanted: Wanted, app: &Application, row: &Row) -> Result<Wanted, Failure> {
    // What cannot be deployed at all is told so.
    if app.kind() == Kind::Inline {
        return Err(crate::plan::without_revisions(app));
    }
    let Some(revision) = row.revision.clone() else {
        let message = format!(
            "it is not known which build {} of {} brings: name it with --image or --commit",
            row.uuid, app.name
        );
        return Err(Failure::refused("fact-missing", message));
    };
    if app.kind() == Kind::Image {
        let image = Some(join(app.image(), &revision));
        let named = wanted::of_previous(world.settings, &Previous { image, ..Previous::default() });
        let version = wanted.build.version.clone();
        let images = wanted.images.iter().cloned().chain(named.images).collect();
        return Ok(Wanted::new(Build { version, ..wanted.build }, images));
    }
    Ok(Wanted::new(Build { commit: Some(revision), ..wanted.build }, wanted.images))
}

/// Takes for each application the deployment that a push has started, waiting for it at most so long. Who has none by then keeps what
/// was decided, if one may be started, and is a failure if not.
async fn take(world: &World<'_>, seen: &mut Seen, how: &Attach<'_>) -> Result<(), Failure> {
    let end = Instant::now() + how.window;
    let interval = world.interval(seen.targets.len());
    let each = seen.targets.iter().map(|target| appears(world, target, how.deployments, end, interval));
    let found = join_all(each).await;
    world.context.voice.progress_done();
    for (target, found) in seen.targets.iter_mut().zip(found) {
        match found? {
            // What has finished and answers needs no following.
            Some(row) if matches!(&target.act, Act::Nothing(id) | Act::Configure(id) if *id == row.uuid) => {}
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
    ids: &[String],
    end: Instant,
    interval: Duration,
) -> Result<Option<Row>, Failure> {
    let mut rows = target.rows.clone();
    loop {
        let over = Instant::now() >= end;
        let asked = rows.iter().find(|r| ids.contains(&r.uuid));
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
        // Not past the end of the window: one look is made then.
        world.pause(interval.min(end.saturating_duration_since(Instant::now()))).await?;
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
    let mut next = Next::attach(world);
    next = match app.kind() {
        Kind::Image => next.with("--image", &join(app.image(), &target.revision)),
        _ => next.with("--commit", &target.revision),
    };
    // Some versions cannot deploy an exact commit: then only a push can.
    next = if target.act == Act::Wait { next.with("--window", "10m") } else { next.and("--or-start") };
    Failure::refused("no-deployment", message).acted(Acted::No).next(next.line())
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

//! A rollback that goes on: whatever of it a person has not said must still be so, and be what Coolify's history says.

use facts::{Previous, Replaces};
use step::{Failure, Outcome, Run};

use super::choose;
use super::name;
use super::rollback::{can_be_had, is_its_image, past_of, planned_for, what_runs};
use crate::api::{Application, Net};
use crate::settings::Settings;
use crate::wait::each;
use crate::world::World;

/// A rollback that was opened before and stopped: is what runs still what it was planned for, and the image still there?
/// Whatever of it a person has not said must be what Coolify's history says: its documents may have come from somebody who may push.
pub fn go_on(
    run: &Run,
    settings: &Settings,
    net: &Net,
    replaces: &Replaces,
    (named, incident_at): (bool, Option<&str>),
) -> Result<Outcome, Failure> {
    let target = Previous { commit: run.fact("commit")?, image: run.fact("image")?, ..Previous::default() };
    let world = World::new(&run.context, settings, net);
    net.block(async {
        planned_for(&world, &target, replaces).await?;
        if !named {
            agrees(&world, &target, replaces).await?;
        }
        can_be_had(&world, &target).await
    })?;
    let since: Option<String> = run.fact("incident_at")?;
    if since != replaces.deployed_at && since.as_deref() != incident_at {
        let message = format!(
            "this run says that the data is wrong since {}, which is not when its deployment began: say so again with --incident-at TIME",
            since.as_deref().unwrap_or("an unknown time")
        );
        return Err(Failure::refused("which-run", message));
    }
    Ok(Outcome::unchanged(format!("still back to {}", name(&target))))
}

/// Whether Coolify's history says the same of where this rollback goes, and since when. What cannot be asked now was agreed upon before.
async fn agrees(world: &World<'_>, target: &Previous, left: &Replaces) -> Result<(), Failure> {
    let apps = world.applications().await?;
    apps.iter().try_for_each(|app| is_its_image(app, target))?;
    let Ok(now) = what_runs(world).await else { return Ok(()) };
    if now.as_ref().is_some_and(|now| choose::is_same(now, target)) {
        return Ok(());
    }
    let one = async |app: &Application| {
        let past = past_of(world, app, now.as_ref()).await?;
        let came = past.came.filter(|came| left.deployed_at.as_ref().is_some_and(|at| at != came));
        let others = [&past.before, &past.preceding, &past.finished];
        let is_one =
            others.iter().any(|other| other.as_ref().is_some_and(|other| choose::is_same(other, target)));
        if past.before.is_some() && !is_one {
            return Err(disagrees(
                app,
                &format!("{} ran before", name(past.before.as_ref().unwrap_or(target))),
                target,
            ));
        }
        match came {
            Some(came) => Err(disagrees(app, &format!("what it leaves came at {came}"), target)),
            None => Ok(()),
        }
    };
    each(&apps, one).await.map(|_| ())
}

fn disagrees(app: &Application, says: &str, target: &Previous) -> Failure {
    let message = format!(
        "this rollback goes back to {}, and Coolify's history of {} says that {says}: name the run that it goes back from with --of RUN, or close \
         this one (rilis-abandon) and start over",
        name(target),
        app.name
    );
    Failure::refused("which-run", message)
}

//! A rollback that goes on: whatever of it a person has not said must still be so, and be what Coolify's history says.

use facts::{Previous, Replaces};
use step::{Failure, Outcome, Run};

use super::choose;
use super::name;
use super::rollback::{can_be_had, is_an_image_of, past_of, planned_for, what_runs};
use crate::api::{Application, Net};
use crate::settings::Settings;
use crate::wait::each;
use crate::world::World;

/// A rollback that was opened before and stopped: is what runs still what it was planned for, and the image still there? Of one that was
/// begun `elsewhere` the document may come from anybody who may push: it must say what Coolify's history says.
pub fn go_on(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    replaces: &Replaces,
    (elsewhere, incident_at): (bool, Option<&str>),
) -> Result<Outcome, Failure> {
    let target = Previous { commit: run.fact("commit")?, image: run.fact("image")?, ..Previous::default() };
    let since: Option<String> = run.fact("incident_at")?;
    {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            planned_for(&world, &target, replaces).await?;
            if elsewhere {
                agrees(&world, &target, replaces).await?;
            }
            can_be_had(&world, &target).await
        })?;
    }
    if !settings.public_urls.is_empty() {
        run.set("urls", &settings.public_urls)?;
    }
    let known = incident_at.or(replaces.deployed_at.as_deref());
    if let (None, Some(at)) = (&since, known) {
        // Without it any snapshot would do, also one that has the wrong data in it.
        run.set("incident_at", at)?;
    } else if elsewhere && since != replaces.deployed_at && since.as_deref() != incident_at {
        let message = format!(
            "this run says that the data is wrong since {}, which is not when its deployment began: say so again with --incident-at TIME",
            since.as_deref().unwrap_or("an unknown time")
        );
        return Err(Failure::refused("which-run", message));
    }
    Ok(Outcome::unchanged(format!("still back to {}", name(&target))))
}

/// Whether Coolify's history says the same of where this rollback goes, and of when the build that it leaves came.
async fn agrees(world: &World<'_>, target: &Previous, left: &Replaces) -> Result<(), Failure> {
    let apps = world.applications().await?;
    is_an_image_of(&apps, target)?;
    // Pages that contradict Coolify, or say nothing, leave the history to say it.
    let now = what_runs(world).await.ok().flatten();
    if now.as_ref().is_some_and(|now| choose::is_same(now, target)) {
        return Ok(());
    }
    let leaves = Previous { image: left.image.clone(), commit: left.commit.clone(), ..Previous::default() };
    let pasts = each(&apps, async |app: &Application| past_of(world, app, Some(&leaves)).await).await?;
    for (app, past) in apps.iter().zip(&pasts) {
        let known = [&past.before, &past.preceding, &past.finished];
        if known.into_iter().flatten().any(|build| choose::is_same(build, target)) {
            continue;
        }
        match &past.before {
            Some(before) => return Err(disagrees(target, &app.name, &format!("{} ran before", name(before)))),
            None => world.context.voice.warn(&format!(
                "Coolify's history of {} does not go back to {}: the word of the machine that began this counts",
                app.name,
                name(target)
            )),
        }
    }
    let came = pasts.into_iter().find_map(|past| past.came);
    if came == left.deployed_at {
        return Ok(());
    }
    let came = came.map_or("is not in it".to_owned(), |came| format!("came at {came}"));
    Err(disagrees(target, "what runs", &format!("what it leaves {came}")))
}

fn disagrees(target: &Previous, of: &str, says: &str) -> Failure {
    let message = format!(
        "this rollback goes back to {}, and Coolify's history of {of} says that {says}: close this run (rilis-abandon RUN REASON) and start over",
        name(target)
    );
    Failure::refused("which-run", message)
}

//! What the next push would bring: after a rollback, the bad build again.

use futures_util::future::join_all;
use step::Permit;

use crate::api::{Application, Sent};
use crate::look::{Seen, Target};
use crate::wait::within;
use crate::world::World;

/// Says which applications a push would bring the bad build back to.
pub(super) fn foretell(world: &World<'_>, seen: &Seen) {
    for target in seen.targets.iter().filter(|t| t.app.auto_deploys() == Some(true)) {
        let app = &target.app;
        let message = format!(
            "auto-deploy of {} would be switched off: a push to {} would bring the bad build back",
            app.name, app.branch
        );
        world.context.voice.say(&message);
    }
}

/// Switches auto-deploy off where a push would bring the bad build back, and says so; where that does not work, or not soon, a
/// person has to: the rollback is worth more.
pub(super) async fn switch_off(world: &World<'_>, permit: &Permit, targets: &[&Target]) {
    let on = targets.iter().filter(|t| t.app.auto_deploys() == Some(true));
    let switched = join_all(on.map(async |target: &&Target| {
        let off = within(world.patience(), off(world, permit, &target.app)).await;
        (&target.app, off.unwrap_or_else(|| Err("Coolify has not answered in time".into())))
    }));
    let voice = &world.context.voice;
    let danger = |app: &Application| {
        format!("a push to {} would bring the bad build of {} back", app.branch, app.name)
    };
    for (app, off) in switched.await {
        let danger = danger(app);
        match off {
            Ok(()) => voice.warn(&format!(
                "auto-deploy is off now, because {danger}: switch it on again when it is fixed"
            )),
            Err(why) => voice.warn(&format!(
                "{danger}, and auto-deploy could not be switched off ({why}): do it in Coolify"
            )),
        }
    }
    // Before 4.2.0 Coolify does not tell, so that nothing could be proven.
    for target in targets.iter().filter(|t| t.app.auto_deploys().is_none()) {
        voice.warn(&format!("if auto-deploy is on in Coolify, {}: look there", danger(&target.app)));
    }
}

async fn off(world: &World<'_>, permit: &Permit, app: &Application) -> Result<(), String> {
    let fields = serde_json::Map::from_iter([("is_auto_deploy_enabled".to_owned(), false.into())]);
    let sent = world.api.set_last(permit, &app.uuid, fields).await;
    if let Sent::Refused(failure) = sent {
        return Err(failure.message.clone());
    }
    let now = world.api.peek_application(&app.uuid).await.ok_or("Coolify did not say whether it is off")?;
    if now.auto_deploys() == Some(false) { Ok(()) } else { Err("it is still on".into()) }
}

//! What Coolify says when all is deployed: does it show the build, is it still there, with the settings of then, and is the application
//! configured with it.

use serde_json::{Value, json};
use step::{Acted, Failure, Permit};

use super::follow::{Ended, Unfinished};
use super::start::{Intent, written};
use crate::api::{Kind, Row};
use crate::look::{Seen, Target};
use crate::next::Next;
use crate::plan::{Act, Way};
use crate::previous::history;
use crate::proof::shown::{Deployed, Shown};
use crate::wait::{each, within};
use crate::world::World;

type Pair<'a> = (&'a Target, &'a Ended);

fn pairs<'a>(seen: &'a Seen, ended: &'a [Result<Ended, Unfinished>]) -> Vec<Pair<'a>> {
    seen.targets.iter().zip(ended).filter_map(|(t, e)| Some((t, e.as_ref().ok()?))).collect()
}

/// By what Coolify shows the build of the applications whose pages do not name it: a sentence each. What only was asked for is no proof.
pub(super) async fn shown(
    world: &World<'_>,
    seen: &Seen,
    ended: &[Result<Ended, Unfinished>],
) -> Result<Vec<String>, Failure> {
    let mut unnamed = pairs(seen, ended);
    unnamed.retain(|(target, _)| {
        !target.is_deployed() && !world.is_named(&target.app, seen.targets.len(), &seen.pages)
    });
    let many = seen.targets.len() > 1;
    let one = async |(target, ended): &Pair<'_>| {
        let rows = world.api.history(&target.app, 20).await?;
        // The list has logs where some versions hide them from whoever asks for one deployment.
        let row = rows.iter().find(|r| r.uuid == ended.row.uuid).unwrap_or(&ended.row);
        let changed = matches!(target.act, Act::Start(Way::Tag { set: true }));
        let deployed = Deployed { rows: &rows, changed, first: target.was_empty() };
        match deployed.shows(target.app.kind(), &target.revision, row) {
            Shown::Yes(how) if many => Ok(format!("of {} {how}", target.app.name)),
            Shown::Yes(how) => Ok(how.to_owned()),
            Shown::Other | Shown::Unknown => Err(unproven(world, target)),
        }
    };
    each(&unnamed, one).await.map_err(|failure| match failure.acted {
        Acted::No => failure.acted(Acted::Yes),
        _ => failure,
    })
}

fn unproven(world: &World<'_>, target: &Target) -> Failure {
    let (name, revision) = (&target.app.name, &target.revision);
    let (what, remedy) = match target.app.kind() {
        Kind::Image => (
            "names no image that it has deployed",
            "give the token read:sensitive, so that its log can be read, or set public_urls and marker of the environment",
        ),
        _ => (
            "does not show that it has read that commit from the repository",
            "look whether the application is built from a repository; give the token read:sensitive, or set public_urls and marker",
        ),
    };
    let message = format!(
        "{name} was deployed as {revision}, but Coolify only repeats what it was asked for, and {what}: {remedy}"
    );
    Failure::failed("unproven", message).acted(Acted::Yes).next(Next::status(world.context))
}

/// What Coolify says afterwards of one application.
#[derive(Default)]
struct After {
    /// Another build that has come meanwhile: its deployment and its revision.
    newer: Option<(String, String)>,
    post_failed: bool,
    drift: Option<bool>,
}

/// Asks Coolify once more: is it still our build, with the settings of then, and did what comes after it work? Where the pages have named
/// the build nothing hangs on it, and it is asked shortly.
pub(super) async fn confirm(
    world: &World<'_>,
    permit: &Permit,
    seen: &Seen,
    ended: &[Result<Ended, Unfinished>],
    intent: &Intent,
    reports: &mut [Value],
) -> Result<(), Failure> {
    let pairs = pairs(seen, ended);
    let one = async |(target, ended): &Pair<'_>| {
        if !world.is_named(&target.app, seen.targets.len(), &seen.pages) {
            return afterwards(world, target, ended).await.map(Some);
        }
        let asked = within(world.patience(), afterwards(world, target, ended)).await;
        Ok(asked.and_then(Result::ok))
    };
    let after = each(&pairs, one).await.map_err(|f| f.acted(Acted::Yes))?;
    for (((target, _), after), report) in pairs.iter().zip(after).zip(reports) {
        let Some(after) = after else {
            let name = &target.app.name;
            let message = format!(
                "the pages are right, but Coolify has not said in time whether somebody has deployed {name} meanwhile"
            );
            world.context.voice.warn(&message);
            continue;
        };
        judge(world, target, after, report)?;
        configured(world, permit, target, intent, report).await;
    }
    Ok(())
}

fn judge(world: &World<'_>, target: &Target, after: After, report: &mut Value) -> Result<(), Failure> {
    let name = &target.app.name;
    if let Some((deployment, other)) = after.newer {
        let message =
            format!("{name} ran {}, but meanwhile {deployment} has deployed {other}", target.revision);
        return Err(Failure::failed("superseded", message).acted(Acted::Yes));
    }
    if after.post_failed {
        report["post_deployment"] = json!("failed");
        world.context.voice.warn(&format!(
            "{name}: its post-deployment command failed; Coolify calls the deployment finished all the same"
        ));
    }
    if let Some(drift) = after.drift {
        report["drift"] = json!(drift);
    }
    if after.drift == Some(true) {
        let message = format!(
            "{name}: {} runs again, but with other settings than then (variables, domains, limits): the code is back, they are not",
            target.revision
        );
        world.context.voice.warn(&message);
    }
    Ok(())
}

async fn afterwards(world: &World<'_>, target: &Target, ended: &Ended) -> Result<After, Failure> {
    let rows = world.api.history(&target.app, 20).await?;
    let row = rows.iter().find(|r| r.uuid == ended.row.uuid).unwrap_or(&ended.row);
    let newer = match history::newer(&rows, row) {
        Some(newer) => another(world, target, newer).await?,
        None => None,
    };
    // A pin is part of the settings that are compared.
    let comparable = !matches!(target.act, Act::Start(Way::Pin { .. })) && !target.is_deployed();
    Ok(After {
        newer,
        post_failed: row.says("Post-deployment command failed"),
        drift: history::drifted(&rows, row).filter(|_| comparable),
    })
}

/// The build of a newer deployment, unless it is the same. Where its log cannot be read it is what is configured now.
async fn another(
    world: &World<'_>,
    target: &Target,
    newer: &Row,
) -> Result<Option<(String, String)>, Failure> {
    let revision = match &newer.revision {
        Some(revision) => Some(revision.clone()),
        None if target.app.kind() == Kind::Image => {
            Some(world.api.application(&target.app.uuid).await?.tag())
        }
        None => None,
    };
    let shown = revision.clone().unwrap_or_else(|| "an unknown build".into());
    Ok((revision.as_ref() != Some(&target.revision)).then(|| (newer.uuid.clone(), shown)))
}

/// An earlier run has put the tag back because it did not see the end, or somebody has written another one; now that the build is proven
/// it is configured again. That it runs is worth more than that.
async fn configured(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    intent: &Intent,
    report: &mut Value,
) {
    let app = &target.app;
    let other = matches!(target.act, Act::Follow(_) | Act::Configure(_)) && app.tag() != target.revision;
    if app.kind() != Kind::Image || !other {
        return;
    }
    let now = world.api.peek_application(&app.uuid).await.map(|app| app.tag());
    let trouble = match now {
        Some(now) if now == target.revision => return,
        Some(now) if now != app.tag() => format!("somebody has configured it with {now} meanwhile"),
        Some(_) if !intent.ours => "nothing is written while a push is followed".to_owned(),
        Some(_) => match written(world, permit, target).await {
            Ok(()) => {
                report["configured"] = json!(target.revision);
                return;
            }
            Err(failure) => failure.message.clone(),
        },
        None => "Coolify did not say what it is configured with".to_owned(),
    };
    let left = format!(
        "{} runs {}, but is not configured with it: a restart in Coolify would bring {} ({trouble})",
        app.name,
        target.revision,
        app.tag()
    );
    report["left"] = json!(left);
    world.context.voice.warn(&left);
}

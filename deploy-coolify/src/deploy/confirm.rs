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
    unnamed.retain(|(target, _)| !target.is_deployed() && !target.named);
    let many = seen.targets.len() > 1;
    let one = async |(target, ended): &Pair<'_>| {
        let rows = world.api.history(&target.app, 20).await?;
        // The list has logs where some versions hide them from whoever asks for one deployment.
        let row = rows.iter().find(|r| r.uuid == ended.row.uuid).unwrap_or(&ended.row);
        // What nobody can read was deployed with what was configured then, which somebody may have changed meanwhile.
        let blind = target.app.kind() == Kind::Image && row.revision.is_none();
        let now = if blind { Some(world.api.application(&target.app.uuid).await?) } else { None };
        let moved = now.filter(|now| now.tag() != target.revision || now.image() != target.app.image());
        let changed = matches!(target.act, Act::Start(Way::Tag { set: true }));
        let deployed = Deployed { rows: &rows, changed, first: target.was_empty() };
        match (deployed.shows(target.app.kind(), &target.revision, row), moved) {
            (Shown::Yes(how), None) if many => Ok(format!("of {} {how}", target.app.name)),
            (Shown::Yes(how), None) => Ok(how.to_owned()),
            (_, moved) => Err(unproven(world, target, moved.map(|app| app.tag()))),
        }
    };
    each(&unnamed, one).await.map_err(|failure| match failure.acted {
        Acted::No => failure.acted(Acted::Yes),
        _ => failure,
    })
}

/// `now` is what it is configured with, if that is something else.
fn unproven(world: &World<'_>, target: &Target, now: Option<String>) -> Failure {
    let (name, revision) = (&target.app.name, &target.revision);
    let (what, remedy) = match target.app.kind() {
        Kind::Image => (
            "names no image that it has deployed",
            "give the token read:sensitive, so that its log can be read, or set public_urls and marker of the environment; \
             the same command again would deploy it again, and prove no more",
        ),
        _ => (
            "does not show that it has read that commit from the repository",
            "look whether the application is built from a repository; give the token read:sensitive, or set public_urls and marker",
        ),
    };
    let message = format!(
        "{name} was deployed as {revision}, but Coolify only repeats what it was asked for, and {what}: {remedy}"
    );
    let mut failure = Failure::failed("unproven", message).acted(Acted::Yes).next(Next::status(world));
    if let Some(now) = now {
        let text = format!(
            "{name} is configured with {now} by now: a restart in Coolify would bring {now}, whatever runs; set the tag to {revision} in \
             Coolify if that runs"
        );
        failure.message = format!("{}; {text}", failure.message);
        failure = failure.cause(text);
    }
    failure
}

/// What Coolify says afterwards of one application.
#[derive(Default)]
struct After {
    /// Another build that has come meanwhile: its deployment and its revision.
    newer: Option<(String, String)>,
    /// A deployment that is on its way: its id, and the other build that it brings, if it is known to be one.
    coming: Option<(String, Option<String>)>,
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
        if !target.named {
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
    match after.coming {
        Some((deployment, Some(other))) => {
            let message = format!(
                "{name} runs {}, but {deployment} is on its way and brings {other}: look again when it has ended",
                target.revision
            );
            return Err(Failure::failed("superseded", message).acted(Acted::Yes).next(Next::status(world)));
        }
        Some((deployment, None)) => {
            let message = format!(
                "{name}: another deployment, {deployment}, is on its way, and nobody says what it brings: look again when it has ended"
            );
            report["coming"] = json!(deployment);
            world.context.voice.warn(&message);
        }
        None => {}
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
    let coming = match history::coming(&rows, row) {
        Some(coming) => Some((coming.uuid.clone(), other(world, target, coming).await?)),
        None => None,
    };
    // A pin is part of the settings that are compared.
    let comparable = !matches!(target.act, Act::Start(Way::Pin { .. })) && !target.is_deployed();
    Ok(After {
        newer,
        coming,
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
    let revision = revision(world, target, newer).await?;
    let shown = revision.clone().unwrap_or_else(|| "an unknown build".into());
    Ok((revision.as_ref() != Some(&target.revision)).then(|| (newer.uuid.clone(), shown)))
}

/// The other build that a deployment on its way is known to bring.
async fn other(world: &World<'_>, target: &Target, coming: &Row) -> Result<Option<String>, Failure> {
    Ok(revision(world, target, coming).await?.filter(|revision| *revision != target.revision))
}

async fn revision(world: &World<'_>, target: &Target, row: &Row) -> Result<Option<String>, Failure> {
    Ok(match &row.revision {
        Some(revision) => Some(revision.clone()),
        None if target.app.kind() == Kind::Image => {
            Some(world.api.application(&target.app.uuid).await?.tag())
        }
        None => None,
    })
}

/// What the next restart or push would bring, if that is not what runs. An earlier run has put the tag back because it did not see the
/// end, or somebody has written another one meanwhile; now that the build is proven it is configured again if it was we who put it back.
/// That it runs is worth more than that.
async fn configured(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    intent: &Intent,
    report: &mut Value,
) {
    let Some(left) = left_configured(world, permit, target, intent, report).await else { return };
    report["left"] = json!(left);
    // A pin was told when it was seen.
    if target.app.kind() == Kind::Image {
        world.context.voice.warn(&left);
    }
}

async fn left_configured(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    intent: &Intent,
    report: &mut Value,
) -> Option<String> {
    let (app, revision) = (&target.app, &target.revision);
    if app.kind() != Kind::Image {
        return (app.pin == *revision).then(|| {
            format!("{} stays pinned to {revision}: set git_commit_sha to HEAD in Coolify to have pushes deployed", app.name)
        });
    }
    let other = matches!(target.act, Act::Follow(_) | Act::Configure(_)) && app.tag() != *revision;
    if !other && matches!(target.act, Act::Nothing(_)) {
        return None;
    }
    let now = within(world.patience(), world.api.peek_application(&app.uuid)).await.flatten();
    let now = now.map(|app| app.tag());
    let trouble = match &now {
        Some(now) if now == revision => return None,
        None if !other => return None,
        Some(now) if !other || *now != app.tag() => "somebody has configured it so meanwhile".to_owned(),
        Some(_) if !intent.ours => "nothing is written while a push is followed".to_owned(),
        Some(_) => match written(world, permit, target).await {
            Ok(()) => {
                report["configured"] = json!(revision);
                return None;
            }
            Err(failure) => failure.message.clone(),
        },
        None => "Coolify did not say what it is configured with".to_owned(),
    };
    let brings = now.unwrap_or_else(|| app.tag());
    Some(format!(
        "{} runs {revision}, but is not configured with it: a restart in Coolify would bring {brings} ({trouble})",
        app.name
    ))
}

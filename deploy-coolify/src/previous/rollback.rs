//! Opens a rollback's document: what it goes back to, what it leaves, since when it went wrong.

use std::path::Path;

use facts::{Build, Deployment, Previous, Replaces};
use jiff::Timestamp;
use serde_json::{Map, Value};
use step::{Failure, Kind as FailureKind, Outcome, Run};

use super::choose::{Choice, Outside, Told, choose};
use super::history::{self, current_and_before};
use super::kept::{self, Kept};
use super::{again, bare, name, same_build, what_is_there};
use crate::api::{Application, Kind, Net, Pins, Row, is_commit};
use crate::args::Target;
use crate::settings::Settings;
use crate::wait::{each, within};
use crate::world::World;
use image::{join, split};

/// What a rollback goes back from: a run's document, or the one of the known runs that brought what runs, unless one is named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    pub of: Option<&'a Path>,
    pub history: Option<&'a Path>,
    pub named: Option<&'a str>,
    /// Another machine has begun it.
    pub elsewhere: bool,
}

/// Writes the facts of a rollback: what it goes back to, what it leaves, since when it went wrong.
pub fn open(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    from: Start,
    incident_at: Option<&str>,
    target: &Target,
) -> Result<Outcome, Failure> {
    if let Some(replaces) = run.fact::<Replaces>("replaces")? {
        return again::go_on(run, settings, net, &replaces, (from.elsewhere, incident_at));
    }
    let (previous, replaces) = {
        let world = World::new(&run.context, settings, net);
        let found = match (from.of, from.history) {
            _ if !target.image.is_empty() || target.commit.is_some() => by_hand(&world, target),
            (Some(file), _) => from_document(run, &world, file)?,
            (None, Some(file)) => net.block(from_runs(&world, file, from.named))?,
            (None, None) => net.block(from_history(&world))?,
        };
        net.block(can_be_had(&world, &found.0))?;
        found
    };
    if previous.image.is_none() && previous.commit.is_none() {
        let message = "it is not known which build ran before; name the run with --of, or the build with deploy-coolify rollback --image (or --commit)";
        return Err(Failure::refused("no-target", message));
    }
    for (fact, value) in
        [("version", &previous.version), ("commit", &previous.commit), ("image", &previous.image)]
    {
        if let Some(value) = value {
            run.set(fact, value)?;
        }
    }
    if !settings.public_urls.is_empty() {
        run.set("urls", &settings.public_urls)?;
    }
    if let Some(at) = incident_at.or(replaces.deployed_at.as_deref()) {
        run.set("incident_at", at)?;
    }
    let target = name(&previous);
    let left =
        Previous { image: replaces.image.clone(), commit: replaces.commit.clone(), ..Previous::default() };
    let left = Some(name(&left)).filter(|n| !n.is_empty()).unwrap_or_else(|| "what runs".to_owned());
    run.set("replaces", replaces)?;
    Ok(Outcome::unchanged(format!("from {left} back to {target}")))
}

/// Code that cannot come back is no reason to take the data back, so it is looked at first; but only a plain no stops the way back.
pub(super) async fn can_be_had(world: &World<'_>, target: &Previous) -> Result<(), Failure> {
    if target.image.is_none() && target.commit.is_none() {
        return Ok(());
    }
    // What an image needs is asked of its registry alone.
    let apps = if target.image.is_none() { world.applications().await? } else { Vec::new() };
    match kept::kept(world, &apps, target).await {
        // Without a registry there is never more to know.
        Kept::Yes(_) | Kept::Nobody(_) => {}
        Kept::No(why) => return Err(kept::gone(&why)),
        Kept::Unknown(why) => world.context.voice.warn(&why),
    }
    Ok(())
}

/// What runs is what the rollback leaves, or already what it goes back to. Whatever came in between was not planned for: the
/// migrations between the builds, and the writes that would be lost, are others.
pub(super) async fn planned_for(
    world: &World<'_>,
    target: &Previous,
    left: &Replaces,
) -> Result<(), Failure> {
    let apps = world.applications().await?;
    let git = apps.iter().any(|app| app.kind() == Kind::Git);
    let trusted = git && is_trusted(world).await;
    let one = async |app: &Application| {
        let Some(rows) = soon(world, app).await? else { return Ok(()) };
        let running = rows.iter().find(|r| r.is_primary && r.is_finished()).and_then(|r| r.revision.clone());
        let running = running.filter(|_| trusted || app.kind() == Kind::Image);
        running.map_or(Ok(()), |running| is_planned(app, &running, target, left))
    };
    each(&apps, one).await.map(|_| ())
}

/// Whether the name of a deployment of a commit is believed: not where the version is not known.
async fn is_trusted(world: &World<'_>) -> bool {
    let version = within(world.patience(), world.api.version()).await;
    version
        .is_some_and(|version| version.is_ok_and(|v| !matches!(v.pins(), Pins::Mislabelled | Pins::Unknown)))
}

/// The newest deployments, if Coolify shows them soon: whoever knows where to go back to can do without.
async fn soon(world: &World<'_>, app: &Application) -> Result<Option<Vec<Row>>, Failure> {
    match within(world.patience(), world.api.history(app, 20)).await {
        Some(Err(failure)) if failure.kind != FailureKind::Temporary => Err(failure),
        Some(Ok(rows)) => Ok(Some(rows)),
        _ => {
            world.context.checkpoint()?;
            let message = format!(
                "Coolify has not shown the deployments of {} in time: whether somebody has deployed in between is not known (going on)",
                app.name
            );
            world.context.voice.warn(&message);
            Ok(None)
        }
    }
}

fn is_planned(app: &Application, running: &str, target: &Previous, left: &Replaces) -> Result<(), Failure> {
    let revision = |image: &Option<String>, commit: &Option<String>| match app.kind() {
        Kind::Image => image.as_deref().and_then(split).map(|(_, tag)| tag),
        _ => commit.clone(),
    };
    let known = [revision(&target.image, &target.commit), revision(&left.image, &left.commit)];
    if known.iter().any(|k| k.as_deref() == Some(running)) || known.iter().all(Option::is_none) {
        return Ok(());
    }
    let [back, left] = known.map(|k| k.unwrap_or_else(|| "an unknown build".into()));
    let message = format!(
        "{} runs {running}, and this rollback goes from {left} back to {back}: somebody has deployed in between; \
         name what is to be left with --of RUN, or where to go with deploy-coolify rollback --image (or --commit)",
        app.name
    );
    Err(Failure::refused("plan-stale", message))
}

/// The person has said where to go; what is left is told if it is known soon.
fn by_hand(world: &World<'_>, target: &Target) -> (Previous, Replaces) {
    let previous = Previous {
        image: target.image.first().cloned(),
        commit: target.commit.clone(),
        ..Previous::default()
    };
    let left = world.net.block(async {
        let there = within(world.patience(), what_is_there(world)).await?.ok()?;
        there.build().ok()
    });
    let left = left.unwrap_or_default();
    let replaces =
        Replaces { version: left.version, commit: left.commit, image: left.image, ..Replaces::default() };
    (previous, replaces)
}

/// The document of the run that is rolled back knows what ran before it.
fn from_document(run: &Run, world: &World<'_>, file: &Path) -> Result<(Previous, Replaces), Failure> {
    let at = file.display();
    let wrong = |why: String| Failure::refused("wrong-document", format!("{at}: {why}"));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|e| wrong(format!("it is not a document: {e}")))?;
    let facts =
        document.get("facts").and_then(Value::as_object).ok_or_else(|| wrong("it has no facts".into()))?;
    for (fact, ours) in
        [("product", run.fact::<String>("product")?), ("environment", run.context.environment.clone())]
    {
        let theirs = facts.get(fact).and_then(Value::as_str);
        if let Some((theirs, ours)) = theirs.zip(ours).filter(|(theirs, ours)| theirs != ours) {
            return Err(wrong(format!("it is a run of the {fact} {theirs}, and this is {ours}")));
        }
    }
    let previous = facts.get("previous").cloned();
    let previous =
        previous.ok_or_else(|| wrong("it does not say what ran before (no fact `previous`)".into()))?;
    let previous: Previous =
        serde_json::from_value(previous).map_err(|e| wrong(format!("its fact `previous`: {e}")))?;
    let text = |key: &str| facts.get(key).and_then(Value::as_str).map(str::to_owned);
    let replaces = Replaces {
        run: document.get("id").and_then(Value::as_str).map(str::to_owned),
        version: text("version"),
        commit: text("commit"),
        image: text("image"),
        deployed_at: world.net.block(deployed_at(world, facts))?,
    };
    if is_same(&previous, &replaces) {
        // A run that was begun again found its own build: what ran before that only Coolify knows.
        world
            .context
            .voice
            .say("that run found its own build running already: Coolify's history says what ran before it");
        let (before, left) = world.net.block(from_history(world))?;
        return Ok((before, Replaces { run: replaces.run, version: replaces.version, ..left }));
    }
    world.net.block(planned_for(world, &previous, &replaces))?;
    Ok((previous, replaces))
}

/// The runs that their keeper lists, the newest first.
fn runs_of(file: &Path) -> Result<Vec<Told>, Failure> {
    let wrong = |why: String| Failure::refused("wrong-document", format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| wrong(format!("it is no list of runs: {e}")))
}

/// The run that brought what runs knows what ran before it, if Coolify's history does not say otherwise.
async fn from_runs(
    world: &World<'_>,
    file: &Path,
    named: Option<&str>,
) -> Result<(Previous, Replaces), Failure> {
    let runs = runs_of(file)?;
    let apps = world.applications().await?;
    let now = what_runs(world).await?;
    let pasts = each(&apps, async |app: &Application| past_of(world, app, now.as_ref()).await).await?;
    let one = |of: fn(&Past) -> Option<Previous>| {
        let all: Option<Vec<Previous>> = pasts.iter().map(of).collect();
        all.filter(|all| !all.is_empty()).map(same_build).transpose()
    };
    let finished = one(|past| past.finished.clone())?;
    let before = one(|past| past.before.clone())?;
    let preceding = one(|past| past.preceding.clone())?;
    let place = apps.first().map(|app| app.name.as_str()).unwrap_or_default();
    let outside = Outside {
        place,
        now: now.as_ref(),
        before: before.as_ref(),
        preceding: preceding.as_ref(),
        finished: finished.as_ref(),
    };
    let (run, previous) = match choose(outside, &runs, named)? {
        Choice::Run(run, previous) => (run.to_owned(), previous),
        Choice::History => return from_history(world).await,
    };
    is_an_image_of(&apps, &previous)?;
    if before.is_none() {
        let message =
            format!("Coolify's history does not go back to {}: the word of {run} counts", name(&previous));
        world.context.voice.warn(&message);
    }
    // A run that a person has named need not be the one that brought what runs.
    let told = runs.iter().find(|told| told.run == run);
    let own = told.filter(|told| !now.as_ref().is_some_and(|now| told.brought(now))).map(|told| &told.facts);
    let deployed_at = match own {
        Some(facts) => deployed_at(world, facts).await?,
        None => pasts.into_iter().find_map(|past| past.came),
    };
    let replaces = left(told, run, now.unwrap_or_default(), deployed_at);
    Ok((Previous { observed_at: None, ..previous }, replaces))
}

/// What is left: a version is what people released; which candidate's image that is says less.
fn left(told: Option<&Told>, run: String, runs: Previous, deployed_at: Option<String>) -> Replaces {
    let released = |fact: &str| told.and_then(|told| told.fact::<String>(fact));
    // One that a person has named need not have brought what runs; where nobody says what runs, it is all that is known.
    let is_known = runs.image.is_some() || runs.commit.is_some();
    let brought = !is_known || told.is_some_and(|told| told.brought(&runs));
    Replaces {
        version: told
            .filter(|told| told.is_a_release() && brought)
            .and(released("version"))
            .or(runs.version.clone()),
        commit: runs.commit.or_else(|| released("commit")),
        image: runs.image.or_else(|| released("image")),
        // What it made carries its documents' id: its snapshot, and its message to the team.
        run: told.and_then(|told| told.document.clone()).or(Some(run)),
        deployed_at,
    }
}

/// What runs, if anybody says. Pages that contradict Coolify are somebody's to look at; that nobody says anything is what a rollback is for.
pub(super) async fn what_runs(world: &World<'_>) -> Result<Option<Previous>, Failure> {
    match what_is_there(world).await {
        Ok(there) => there.build().map(Some),
        Err(failure) if failure.reason == "previous-unknown" => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What Coolify's history says of one application.
pub(super) struct Past {
    /// What the last deployment that finished has brought, and what ran before it.
    pub(super) finished: Option<Previous>,
    pub(super) before: Option<Previous>,
    pub(super) preceding: Option<Previous>,
    /// When what runs came.
    pub(super) came: Option<String>,
}

pub(super) async fn past_of(
    world: &World<'_>,
    app: &Application,
    now: Option<&Previous>,
) -> Result<Past, Failure> {
    let rows = world.api.history_until(app, |rows| history::stack(rows).len() > 1).await?;
    let mut builds = history::stack(&rows).into_iter().rev().map(|row| build_of(app, row));
    let (finished, before) = (builds.next(), builds.next());
    let preceding = history::preceding(&rows).map(|row| build_of(app, row));
    let revision = now.and_then(|now| revision_of(app, now));
    let came = revision.and_then(|revision| history::came_with(&rows, &revision).cloned());
    Ok(Past { finished, before, preceding, came: came.and_then(|row| instant(&row.created_at)) })
}

fn build_of(app: &Application, row: &Row) -> Previous {
    let revision = row.revision.clone().unwrap_or_default();
    match app.kind() {
        Kind::Image => Previous {
            version: Some(bare(&revision)),
            image: Some(join(app.image(), &revision)),
            ..Previous::default()
        },
        _ => Previous { commit: Some(revision), ..Previous::default() },
    }
}

fn revision_of(app: &Application, build: &Previous) -> Option<String> {
    match app.kind() {
        Kind::Image => build.image.as_deref().and_then(split).map(|(_, tag)| tag),
        _ => build.commit.clone(),
    }
}

/// An image of another registry with the same tag is another image. Of several applications one is enough: they share the tag.
pub(super) fn is_an_image_of(apps: &[Application], previous: &Previous) -> Result<(), Failure> {
    let Some((named, _)) = previous.image.as_deref().and_then(split) else { return Ok(()) };
    let mut made = apps.iter().filter(|app| app.kind() == Kind::Image);
    let Some(app) = made.clone().next().filter(|_| !made.any(|app| app.image() == named)) else {
        return Ok(());
    };
    let message = format!(
        "the run says that {named} ran before, and {} is made of {}: name the build with deploy-coolify rollback --image",
        app.name,
        app.image()
    );
    Err(Failure::refused("which-run", message))
}

/// Whether both are one build.
fn is_same(previous: &Previous, left: &Replaces) -> bool {
    match (&previous.image, &left.image) {
        (Some(before), Some(after)) => before == after,
        _ => previous.commit.is_some() && previous.commit == left.commit,
    }
}

/// When the deployment that is rolled back began: its own time, else that of the newest one with its build.
async fn deployed_at(world: &World<'_>, facts: &Map<String, Value>) -> Result<Option<String>, Failure> {
    let deployments: Vec<Deployment> =
        facts.get("deployments").and_then(|d| serde_json::from_value(d.clone()).ok()).unwrap_or_default();
    let text = |key: &str| facts.get(key).and_then(Value::as_str);
    let tag = text("image").and_then(split).map(|(_, tag)| tag);
    let apps = world.applications().await?;
    let one = async |app: &Application| {
        let rows = soon(world, app).await?.unwrap_or_default();
        let wanted = if app.kind() == Kind::Image { tag.as_deref() } else { text("commit") };
        let named = |row: &&Row| deployments.iter().any(|d| d.deployment == row.uuid);
        // Deployed twice, it is there since the first time.
        let came = wanted.and_then(|wanted| history::came_with(&rows, wanted));
        Ok(came.or_else(|| rows.iter().find(named)).and_then(|row| instant(&row.created_at)))
    };
    Ok(each(&apps, one).await?.into_iter().flatten().next())
}

/// Coolify's history, read as a stack.
async fn from_history(world: &World<'_>) -> Result<(Previous, Replaces), Failure> {
    let apps = world.applications().await?;
    let pages = world.pages(&apps);
    // The pages may be down: that is what a rollback is for. But if they speak, they must not contradict.
    let says = within(world.patience(), world.probe.build(&pages)).await.flatten();
    let one = async |app: &Application| {
        let rows = world.api.history_until(app, |rows| history::stack(rows).len() > 1).await?;
        let covered = world.is_covered(app, &apps, &pages);
        from_stack(app, &rows, says.as_deref().filter(|_| covered))
    };
    let found = each(&apps, one).await?;
    let replaces = found.first().map(|(_, replaces)| replaces.clone()).unwrap_or_default();
    let previous = same_build(found.into_iter().map(|(previous, _)| previous).collect())?;
    Ok((Previous { observed_at: None, ..previous }, replaces))
}

fn from_stack(app: &Application, rows: &[Row], says: Option<&str>) -> Result<(Previous, Replaces), Failure> {
    let remedy = "name the run that is rolled back with --of, or the build with deploy-coolify rollback --image (or --commit)";
    let refused = |why: String| Failure::refused("no-target", format!("{}: {why}; {remedy}", app.name));
    let (current, before) =
        current_and_before(rows).map_err(|missing| refused(missing.sentence().to_owned()))?;
    let build = |row: &Row| {
        let revision = row.revision.clone().unwrap_or_default();
        match app.kind() {
            Kind::Image => Build {
                version: Some(bare(&revision)),
                image: Some(join(app.image(), &revision)),
                ..Build::default()
            },
            _ => Build { commit: Some(revision), ..Build::default() },
        }
    };
    let (new, old) = (build(current), build(before));
    let comparable = |says: &&str| is_commit(says) == new.commit.is_some();
    if let Some(says) = says.filter(comparable).filter(|says| !new.is(says)) {
        let revision = current.revision.as_deref().unwrap_or_default();
        return Err(refused(format!(
            "Coolify deployed {revision} last, but the pages answer as {says}: what runs is not known"
        )));
    }
    let previous =
        Previous { version: old.version, commit: old.commit, image: old.image, ..Previous::default() };
    // Deployed twice, it is there since the first time.
    let came = current.revision.as_deref().and_then(|revision| history::came_with(rows, revision));
    let deployed_at = instant(&came.unwrap_or(current).created_at);
    let replaces =
        Replaces { version: new.version, commit: new.commit, image: new.image, deployed_at, run: None };
    Ok((previous, replaces))
}

/// Coolify's time as the document writes it.
fn instant(text: &str) -> Option<String> {
    let at: Timestamp = text.parse().ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

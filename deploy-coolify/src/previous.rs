//! What runs now, and where a rollback goes.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};
use step::{Build, Deployment, Failure, Outcome, Previous, Replaces, Run};

use crate::api::{Application, Kind, Net, Opinion, Pins, Row, is_commit};
use crate::args::Target;
use crate::history::{self, current_and_before};
use crate::kept::{self, Kept};
use crate::plan::{fill, join, split};
use crate::settings::{Proof, Settings};
use crate::world::{World, each};

/// Writes down what runs, before anything changes. Seen again later it would be the new build, so a document that has
/// it keeps it.
pub fn observe(run: &mut Run, settings: &Settings, net: &Net) -> Result<Outcome, Failure> {
    if let Some(known) = run.fact::<Previous>("previous")? {
        return Ok(Outcome::unchanged(format!("{} was written down before as what ran", name(&known))));
    }
    let (previous, pages) = {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            let (previous, pages) = what_runs(&world).await?;
            Ok::<_, Failure>((with_image(&world, previous).await, pages))
        })?
    };
    let name = name(&previous);
    run.set("urls", if settings.public_urls.is_empty() { &pages } else { &settings.public_urls })?;
    run.set("previous", previous)?;
    Ok(Outcome::unchanged(format!("{name} runs now; that is what a rollback goes back to")))
}

/// Adds whether its image can still be had. Here a registry that cannot be asked is no reason to stop: the certificate says so.
async fn with_image(world: &World<'_>, previous: Previous) -> Previous {
    let (kept, note) = match kept::kept(world, &previous).await {
        Ok(Kept::Yes(note)) => (Some(true), note),
        Ok(Kept::No(note)) => (Some(false), note),
        Ok(Kept::Unknown(note)) => (None, note),
        Err(failure) => (None, format!("whether its image is kept is not known: {}", failure.message)),
    };
    Previous { kept, kept_note: Some(note), ..previous }
}

/// What a build is called.
fn name(previous: &Previous) -> String {
    let commit = previous.commit.as_ref().map(|c| format!("commit {}", &c[..c.len().min(12)]));
    previous.image.clone().or(commit).or_else(|| previous.version.clone()).unwrap_or_default()
}

/// What runs now; several applications must run one build.
async fn what_runs(world: &World<'_>) -> Result<(Previous, Vec<String>), Failure> {
    let there = what_is_there(world).await?;
    let found = there.found.into_iter().map(|found| found.previous).collect();
    same_build(found).map(|previous| (previous, there.pages))
}

/// What one application runs.
pub struct Found {
    pub previous: Previous,
    /// The deployment that brought it.
    row: Option<Row>,
    /// Whether Coolify says that it is well.
    pub up: bool,
}

impl Found {
    /// When it had come. An older Coolify says only when the deployment was last heard of.
    pub fn finished(&self) -> Option<Timestamp> {
        let row = self.row.as_ref()?;
        row.finished_at.as_ref().unwrap_or(&row.updated_at).parse().ok()
    }
}

/// What every application runs, and what the pages say.
pub struct There {
    pub found: Vec<Found>,
    pub pages: Vec<String>,
    pub says: Option<String>,
}

/// Asks for the deployment that brought what runs now and for what the pages say; the two may not contradict each other.
pub async fn what_is_there(world: &World<'_>) -> Result<There, Failure> {
    let apps = world.applications().await?;
    let pages = world.pages(&apps);
    let says = world.probe.build(&pages).await;
    let one = async |app: &Application| {
        let rows =
            world.api.history_until(app, |rows| rows.iter().any(|r| r.is_primary && r.is_finished())).await?;
        // Of a worker without pages its log tells more than the shop's page.
        let covered =
            world.is_covered(app, apps.len(), &pages) || rows.first().is_none_or(|r| r.revision.is_none());
        let previous = running(world, app, &rows, says.as_deref().filter(|_| covered))?;
        let row = rows.into_iter().find(|r| r.is_primary && r.is_finished());
        Ok(Found { previous, row, up: app.opinion() == Opinion::Up })
    };
    let found = each(&apps, one).await?;
    Ok(There { found, pages, says })
}

/// Several applications run one build, or it is not known what to go back to.
pub fn same_build(found: Vec<Previous>) -> Result<Previous, Failure> {
    let mut all = Previous { observed_at: Some(now()), ..Previous::default() };
    let tag = |p: &Previous| p.image.as_deref().and_then(split).map(|(_, tag)| tag);
    for one in found {
        let differ = |a: Option<String>, b: Option<String>| a.zip(b).is_some_and(|(a, b)| a != b);
        if differ(tag(&all), tag(&one)) || differ(all.commit.clone(), one.commit.clone()) {
            let message = format!(
                "the applications run different builds, {} and {}: deploy one of them everywhere first (deploy --image or --commit)",
                name(&all),
                name(&one)
            );
            return Err(Failure::refused("mixed-builds", message));
        }
        all.version = all.version.or(one.version);
        all.commit = all.commit.or(one.commit);
        all.image = all.image.or(one.image);
        all.deployments.extend(one.deployments);
    }
    Ok(all)
}

fn running(
    world: &World<'_>,
    app: &Application,
    rows: &[Row],
    says: Option<&str>,
) -> Result<Previous, Failure> {
    let mut ours = rows.iter().filter(|r| r.is_primary);
    let last = ours.clone().find(|r| r.is_finished());
    // Where the old container is stopped first, a deployment that did not finish may have left anything.
    let doubt = !app.keeps_old() && ours.find(|r| !r.is_open()).is_some_and(|r| !r.is_finished());
    let deployment =
        last.map(|row| Deployment { application: app.uuid.clone(), deployment: row.uuid.clone() });
    let known = last.and_then(|r| r.revision.clone()).filter(|_| !doubt || says.is_some());
    let found = match app.kind() {
        Kind::Image => image_running(world, app, known, says)?,
        Kind::Git => commit_running(app, known, says)?,
        Kind::Inline => {
            let message = format!(
                "{} is built from a Dockerfile that stands in Coolify: it has no revisions to go back to",
                app.name
            );
            return Err(Failure::refused("build-pack", message));
        }
    };
    Ok(Previous { deployments: deployment.into_iter().collect(), ..found })
}

fn image_running(
    world: &World<'_>,
    app: &Application,
    known: Option<String>,
    says: Option<&str>,
) -> Result<Previous, Failure> {
    let named = says.filter(|text| !is_commit(text));
    let tag = match (known, named) {
        (Some(tag), _) => tag,
        // Without the log the pages' own word counts. The tag that is configured may be one that was never deployed.
        (None, Some(says)) => tag_of(world.settings, app, says),
        (None, None) => return Err(unknown(app)),
    };
    let image = join(&app.image, &tag);
    let build = Build { image: Some(image.clone()), ..Build::default() };
    if let Some(says) = named.filter(|says| build.name().is_some() && !build.is(says)) {
        let message = format!(
            "{} was deployed with {tag}, but its pages answer as {says}: what runs is not known",
            app.name
        );
        return Err(Failure::refused("previous-unclear", message));
    }
    let version = if tag.starts_with("sha256-") { named.map(str::to_owned) } else { Some(bare(&tag)) };
    let commit = says.filter(|text| is_commit(text)).map(str::to_owned);
    Ok(Previous { version, commit, image: Some(image), ..Previous::default() })
}

/// The tag of the image that calls itself so: the configured one, or what the settings would make of it.
fn tag_of(settings: &Settings, app: &Application, says: &str) -> String {
    if bare(&app.tag) == bare(says) {
        return app.tag.clone();
    }
    let build =
        Build { version: Some(bare(says)), tag: Some(format!("v{}", bare(says))), ..Build::default() };
    let filled = settings.images.iter().filter_map(|template| fill(template, &build).ok());
    let ours =
        filled.filter_map(|image| split(&image).filter(|(name, _)| *name == app.image).map(|(_, tag)| tag));
    ours.into_iter().next().unwrap_or_else(|| bare(says))
}

fn commit_running(app: &Application, known: Option<String>, says: Option<&str>) -> Result<Previous, Failure> {
    let says_commit = says.filter(|text| is_commit(text)).map(str::to_owned);
    match (&known, &says_commit) {
        (Some(known), Some(says)) if known != says => {
            let message = format!(
                "{} was deployed from {known}, but its pages answer as {says}: what runs is not known",
                app.name
            );
            return Err(Failure::refused("previous-unclear", message));
        }
        (None, None) => return Err(unknown(app)),
        _ => {}
    }
    let version = says.filter(|text| !text.bytes().all(|b| b.is_ascii_hexdigit())).map(bare);
    Ok(Previous { version, commit: known.or(says_commit), ..Previous::default() })
}

fn unknown(app: &Application) -> Failure {
    let message = format!(
        "it is not known what {} runs: its log cannot be read (the token lacks read:sensitive) or names no build, and its pages do not say",
        app.name
    );
    Failure::refused("previous-unknown", message)
}

fn bare(name: &str) -> String {
    name.strip_prefix('v').unwrap_or(name).to_owned()
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes the facts of a rollback: what it goes back to, what it leaves, since when it went wrong.
pub fn open_rollback(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    of: Option<&Path>,
    incident_at: Option<&str>,
    target: &Target,
) -> Result<Outcome, Failure> {
    if let Some(replaces) = run.fact::<Replaces>("replaces")? {
        return go_on(run, settings, net, &replaces);
    }
    let (previous, replaces) = {
        let world = World::new(&run.context, settings, net);
        let found = match of {
            _ if target.image.is_some() || target.commit.is_some() => by_hand(&world, target)?,
            Some(file) => from_document(run, &world, file)?,
            None => net.block(from_history(&world))?,
        };
        net.block(can_be_had(&world, &found.0))?;
        found
    };
    if previous.image.is_none() && previous.commit.is_none() {
        let message = "it is not known which build ran before; name the run with --of, or the build with --image or --commit";
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

/// A rollback that was opened before and stopped: is what runs still what it was planned for, and the image still there?
fn go_on(run: &Run, settings: &Settings, net: &Net, replaces: &Replaces) -> Result<Outcome, Failure> {
    let target = Previous { commit: run.fact("commit")?, image: run.fact("image")?, ..Previous::default() };
    let world = World::new(&run.context, settings, net);
    net.block(async {
        planned_for(&world, &target, replaces).await?;
        can_be_had(&world, &target).await
    })?;
    Ok(Outcome::unchanged(format!("still back to {}", name(&target))))
}

/// Code that cannot come back is no reason to take the data back, so it is looked at first.
async fn can_be_had(world: &World<'_>, target: &Previous) -> Result<(), Failure> {
    if target.image.is_none() && target.commit.is_none() {
        return Ok(());
    }
    match kept::kept(world, target).await? {
        Kept::Yes(_) => {}
        Kept::No(why) => return Err(kept::gone(&why)),
        // Without a registry there is never more to know; what would be built again is worth a word.
        Kept::Unknown(_) if target.image.is_some() => {}
        Kept::Unknown(why) => world.context.voice.warn(&why),
    }
    Ok(())
}

/// What runs is what the rollback leaves, or already what it goes back to. Whatever came in between was not planned for: the
/// migrations between the builds, and the writes that would be lost, are others.
async fn planned_for(world: &World<'_>, target: &Previous, left: &Replaces) -> Result<(), Failure> {
    let trusted = world.api.version().await?.pins() != Pins::Mislabelled;
    for app in world.applications().await? {
        let rows = world.api.history(&app, 20).await?;
        let running = rows.iter().find(|r| r.is_primary && r.is_finished()).and_then(|r| r.revision.clone());
        let Some(running) = running.filter(|_| trusted || app.kind() == Kind::Image) else { continue };
        let revision = |image: &Option<String>, commit: &Option<String>| match app.kind() {
            Kind::Image => image.as_deref().and_then(split).map(|(_, tag)| tag),
            _ => commit.clone(),
        };
        let known = [revision(&target.image, &target.commit), revision(&left.image, &left.commit)];
        if known.iter().any(|k| k.as_ref() == Some(&running)) || known.iter().all(Option::is_none) {
            continue;
        }
        let [back, left] = known.map(|k| k.unwrap_or_else(|| "an unknown build".into()));
        let message = format!(
            "{} runs {running}, and this rollback goes from {left} back to {back}: somebody has deployed in between; \
             name what is to be left with --of RUN, or where to go with deploy-coolify rollback --image (or --commit)",
            app.name
        );
        return Err(Failure::refused("plan-stale", message));
    }
    Ok(())
}

/// The person has said where to go; what is left is told if it is known.
fn by_hand(world: &World<'_>, target: &Target) -> Result<(Previous, Replaces), Failure> {
    let previous =
        Previous { image: target.image.clone(), commit: target.commit.clone(), ..Previous::default() };
    let (left, _) = world.net.block(what_runs(world)).unwrap_or_default();
    let replaces =
        Replaces { version: left.version, commit: left.commit, image: left.image, ..Replaces::default() };
    Ok((previous, replaces))
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
    for app in world.applications().await? {
        let rows = world.api.history(&app, 20).await?;
        let wanted = if app.kind() == Kind::Image { tag.as_deref() } else { text("commit") };
        let named = |row: &&Row| deployments.iter().any(|d| d.deployment == row.uuid);
        // Deployed twice, it is there since the first time.
        let came = wanted.and_then(|wanted| history::came_with(&rows, wanted));
        if let Some(row) = came.or_else(|| rows.iter().find(named)) {
            return Ok(instant(&row.created_at));
        }
    }
    Ok(None)
}

/// Coolify's history, read as a stack.
async fn from_history(world: &World<'_>) -> Result<(Previous, Replaces), Failure> {
    let apps = world.applications().await?;
    let pages = world.pages(&apps);
    // The pages may be down: that is what a rollback is for. But if they speak, they must not contradict.
    let says = if world.settings.proof == Proof::Pages { world.probe.build(&pages).await } else { None };
    let one = async |app: &Application| {
        let rows = world.api.history_until(app, |rows| history::stack(rows).len() > 1).await?;
        let covered = world.is_covered(app, apps.len(), &pages);
        from_stack(app, &rows, says.as_deref().filter(|_| covered))
    };
    let found = each(&apps, one).await?;
    let replaces = found.first().map(|(_, replaces)| replaces.clone()).unwrap_or_default();
    let previous = same_build(found.into_iter().map(|(previous, _)| previous).collect())?;
    Ok((Previous { observed_at: None, ..previous }, replaces))
}

fn from_stack(app: &Application, rows: &[Row], says: Option<&str>) -> Result<(Previous, Replaces), Failure> {
    let remedy = "name the run that is rolled back with --of, or the build with --image or --commit";
    let refused = |why: String| Failure::refused("no-target", format!("{}: {why}; {remedy}", app.name));
    let (current, before) =
        current_and_before(rows).map_err(|missing| refused(missing.sentence().to_owned()))?;
    let build = |row: &Row| {
        let revision = row.revision.clone().unwrap_or_default();
        match app.kind() {
            Kind::Image => Build {
                version: Some(bare(&revision)),
                image: Some(join(&app.image, &revision)),
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
    let deployed_at = instant(&current.created_at);
    let replaces =
        Replaces { version: new.version, commit: new.commit, image: new.image, deployed_at, run: None };
    Ok((previous, replaces))
}

/// Coolify's time as the document writes it.
fn instant(text: &str) -> Option<String> {
    let at: Timestamp = text.parse().ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

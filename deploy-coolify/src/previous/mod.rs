//! What runs now, by the deployment that brought it and by the pages' own word.

mod again;
pub mod choose;
pub mod claimed;
pub mod history;
pub mod kept;
pub mod rollback;

use facts::{Build, Deployment, Previous};
use jiff::Timestamp;
use step::{Failure, Outcome, Run};

use crate::api::{Application, Kind, Net, Opinion, Row, is_commit};
use crate::plan::without_revisions;
use crate::proof::shown::{Deployed, Shown};
use crate::settings::Settings;
use crate::wait::{each, within};
use crate::world::World;
use image::{fill, join, split};
use kept::Kept;

/// Writes down what runs, before anything changes. Seen again later it would be the new build, so a document that has
/// it keeps it.
pub fn observe(run: &mut Run, settings: &Settings, net: &Net) -> Result<Outcome, Failure> {
    if let Some(known) = run.fact::<Previous>("previous")? {
        return Ok(Outcome::unchanged(format!("{} was written down before as what ran", name(&known))));
    }
    let (previous, pages) = {
        let world = World::new(&run.context, settings, net);
        net.block(async {
            let there = what_is_there(&world).await?;
            let (apps, pages) = (there.apps(), there.pages.clone());
            let trouble = trouble(&world, &pages).await;
            let previous = with_image(&world, &apps, there.build()?).await;
            Ok::<_, Failure>((Previous { trouble, ..previous }, pages))
        })?
    };
    let name = name(&previous);
    run.set("urls", if settings.public_urls.is_empty() { &pages } else { &settings.public_urls })?;
    let but = previous.trouble.as_ref().map(|trouble| format!(", but {trouble}")).unwrap_or_default();
    run.set("previous", previous)?;
    Ok(Outcome::unchanged(format!("{name} runs now; that is what a rollback goes back to{but}")))
}

/// What a page answers, twice, that does not work, at whatever address; one that turns us away, or says nothing, tells nothing.
async fn trouble(world: &World<'_>, pages: &[String]) -> Option<String> {
    let broken = async || {
        let seen = within(world.patience(), world.probe.all(pages, None)).await?;
        pages.iter().zip(seen).find(|(_, seen)| seen.is_broken()).map(|(page, seen)| format!("{page} {seen}"))
    };
    broken().await?;
    world.pause(world.settings.interval).await.ok()?;
    broken().await
}

/// Adds whether its image can still be had. Here a registry that cannot be asked is no reason to stop: the certificate says so.
async fn with_image(world: &World<'_>, apps: &[Application], previous: Previous) -> Previous {
    let (kept, note) = match kept::kept(world, apps, &previous).await {
        Kept::Yes(note) => (Some(true), note),
        Kept::No(note) => (Some(false), note),
        Kept::Unknown(note) | Kept::Nobody(note) => (None, note),
    };
    Previous { kept, kept_note: Some(note), ..previous }
}

/// What a build is called.
fn name(previous: &Previous) -> String {
    let commit = previous.commit.as_ref().map(|c| format!("commit {}", &c[..c.len().min(12)]));
    previous.image.clone().or(commit).or_else(|| previous.version.clone()).unwrap_or_default()
}

/// What one application runs.
pub struct Found {
    app: Application,
    pub previous: Previous,
    /// The deployment that brought it.
    row: Option<Row>,
    /// Whether it was this one: where nobody can read what a deployment brought, a newer one may have brought it.
    is_its_own: bool,
    /// Whether somebody has seen it: its pages name it, or, where it has none, Coolify shows the build and says that it is well.
    pub runs: bool,
}

impl Found {
    /// When it had come. An older Coolify says only when the deployment was last heard of.
    pub fn finished(&self) -> Option<Timestamp> {
        let row = self.row.as_ref().filter(|_| self.is_its_own)?;
        row.finished_at.as_ref().unwrap_or(&row.updated_at).parse().ok()
    }
}

/// What every application runs, and what the pages say.
pub struct There {
    pub found: Vec<Found>,
    pub pages: Vec<String>,
    pub says: Option<String>,
}

impl There {
    fn apps(&self) -> Vec<Application> {
        self.found.iter().map(|found| found.app.clone()).collect()
    }

    /// The one build that all of them run.
    pub fn build(self) -> Result<Previous, Failure> {
        same_build(self.found.into_iter().map(|found| found.previous).collect())
    }
}

/// Asks for the deployment that brought what runs now and for what the pages say; the two may not contradict each other.
pub async fn what_is_there(world: &World<'_>) -> Result<There, Failure> {
    let apps = world.applications().await?;
    let pages = world.pages(&apps);
    // A page that hangs says nothing.
    let says = within(world.patience(), world.probe.build(&pages)).await.flatten();
    let one = async |app: &Application| {
        let rows =
            world.api.history_until(app, |rows| rows.iter().any(|r| r.is_primary && r.is_finished())).await?;
        // Of a worker without pages its log tells more than the shop's page.
        let covered =
            world.is_covered(app, &apps, &pages) || rows.first().is_none_or(|r| r.revision.is_none());
        let previous = running(world, app, &rows, says.as_deref().filter(|_| covered))?;
        let runs = if world.is_covered(app, &apps, &pages) {
            says.is_some()
        } else {
            app.opinion() == Opinion::Up && shows(app, &rows)
        };
        let newest = rows.iter().find(|r| r.is_primary).is_none_or(Row::is_finished);
        let row = rows.into_iter().find(|r| r.is_primary && r.is_finished());
        let is_its_own = newest || row.as_ref().is_some_and(|row| brought(app, row, &previous));
        Ok(Found { app: app.clone(), previous, row, is_its_own, runs })
    };
    let found = each(&apps, one).await?;
    Ok(There { found, pages, says })
}

/// Whether a deployment is known to have brought what runs.
fn brought(app: &Application, row: &Row, previous: &Previous) -> bool {
    let runs = match app.kind() {
        Kind::Image => previous.image.as_deref().and_then(split).map(|(_, tag)| tag),
        Kind::Git | Kind::Inline => previous.commit.clone(),
    };
    row.revision.is_some() && row.revision == runs
}

/// Whether Coolify shows the build that it has deployed last, and does not only repeat what it was asked for.
fn shows(app: &Application, rows: &[Row]) -> bool {
    let Some(row) = rows.iter().find(|r| r.is_primary && r.is_finished()) else { return false };
    let Some(revision) = &row.revision else { return false };
    let deployed = Deployed { rows, changed: false, first: false };
    matches!(deployed.shows(app.kind(), revision, row), Shown::Yes(_))
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
    let last = rows.iter().find(|r| r.is_primary && r.is_finished());
    let doubt = history::is_in_doubt(rows, app.keeps_old());
    let deployment =
        last.map(|row| Deployment { application: app.uuid.clone(), deployment: row.uuid.clone() });
    let known = last.and_then(|r| r.revision.clone()).filter(|_| !doubt || says.is_some());
    let found = match app.kind() {
        Kind::Image => image_running(world, app, known, says)?,
        Kind::Git => commit_running(app, known, says)?,
        Kind::Inline => return Err(without_revisions(app)),
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
    let image = join(app.image(), &tag);
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
    if bare(&app.tag()) == bare(says) {
        return app.tag();
    }
    let build =
        Build { version: Some(bare(says)), tag: Some(format!("v{}", bare(says))), ..Build::default() };
    let filled = settings.images.iter().filter_map(|template| fill(template, &build).ok());
    let ours =
        filled.filter_map(|image| split(&image).filter(|(name, _)| *name == app.image()).map(|(_, tag)| tag));
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

//! Looks at every application of the environment and decides what to do with each.

use std::collections::HashSet;

use futures_util::future::join;
use step::{Failure, Kind as FailureKind};

use crate::api::{Application, Kind, Opinion, Row, Version};
use crate::plan::{self, Act, Known, Wanted};
use crate::previous::history::is_in_doubt;
use crate::proof::shown;
use crate::settings::Proof;
use crate::wait::{each, within};
use crate::world::World;
use image::is_whole;

/// One application on its way.
#[derive(Debug)]
pub struct Target {
    pub app: Application,
    /// The tag or commit that it is to run.
    pub revision: String,
    pub act: Act,
    /// Its deployments before anything was done, newest first.
    pub rows: Vec<Row>,
    /// Whether these are all that there are.
    pub whole: bool,
    /// Whether the pages speak for it.
    pub covered: bool,
    /// Whether they say which build it runs.
    pub named: bool,
}

impl Target {
    /// Whether the wanted build runs there already.
    pub fn is_deployed(&self) -> bool {
        matches!(self.act, Act::Nothing(_) | Act::Configure(_))
    }

    /// Whether nothing ran before: Coolify says so, and has never deployed anything (it forgets what is older than 60 days).
    pub fn was_empty(&self) -> bool {
        self.whole
            && self.app.status.starts_with("exited")
            && !self.rows.iter().any(|r| r.is_primary && r.is_finished())
    }

    /// What ran before, as far as Coolify tells.
    pub fn running(&self) -> Option<&str> {
        let last = self.rows.iter().find(|r| r.is_primary && r.is_finished())?;
        last.revision.as_deref().filter(|revision| !is_whole(revision))
    }
}

/// What there is, and what is to be done.
#[derive(Debug)]
pub struct Seen {
    pub version: Version,
    /// The build, by the names that it has here.
    pub wanted: Wanted,
    pub targets: Vec<Target>,
    /// The pages that decide.
    pub pages: Vec<String>,
}

impl Seen {
    /// Whether nothing is to be deployed.
    pub fn is_deployed(&self) -> bool {
        self.targets.iter().all(Target::is_deployed)
    }

    /// Only some of the applications.
    pub fn only(mut self, uuids: &HashSet<String>) -> Self {
        self.targets.retain(|t| uuids.contains(&t.app.uuid));
        self
    }
}

/// Why it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// To start what does not run.
    Start,
    /// To follow what others start: that needs no way to start anything.
    Follow,
    /// To go back: what can be done without holds nothing up.
    Back,
}

/// Looks, and decides.
pub async fn look(world: &World<'_>, wanted: &Wanted, aim: Aim) -> Result<Seen, Failure> {
    let (version, apps) = join(version_soon(world), world.applications()).await;
    let (version, apps) = (version?, apps?);
    let pages = world.pages(&apps);
    provable(world, &pages)?;
    // What cannot be brought everywhere is begun nowhere.
    for app in &apps {
        wanted.revision(app)?;
    }
    let version = match version {
        Some(version) => version,
        None if aim == Aim::Back || apps.iter().all(|app| app.kind() == Kind::Image) => {
            world.context.voice.warn("Coolify has not said in time which version it is (going on)");
            Version::unknown()
        }
        None => world.api.version().await?,
    };
    let wanted = wanted.among(&apps);
    let histories = each(&apps, |app| history(world, app, aim));
    let (live, histories) = join(world.pages_are(&pages, &wanted), histories).await;
    let (live, histories) = (live?, histories?);
    let one = |(app, (rows, whole)): (&Application, (Vec<Row>, bool))| {
        let revision = wanted.revision(app)?;
        let fits = live || world.settings.proof == Proof::Coolify;
        // What no page names runs only if Coolify shows that it does.
        let named = world.is_named(app, &apps, &pages);
        let live = fits && (named || says_so(app, &rows, &revision));
        let known = Known { version: &version, live, named, back: aim == Aim::Back };
        let act = match plan::decide(app, &rows, &revision, known) {
            Err(_) if aim == Aim::Follow => Act::Wait,
            act => act?,
        };
        let rows = rows.into_iter().map(Row::without_log).collect();
        let covered = world.is_covered(app, &apps, &pages);
        Ok(Target { app: app.clone(), revision, act, rows, whole, covered, named })
    };
    let targets = apps.iter().zip(histories).map(one).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Seen { version, wanted, targets, pages })
}

/// Coolify's version, if it says so soon: only what is built from commits needs it.
async fn version_soon(world: &World<'_>) -> Result<Option<Version>, Failure> {
    match within(world.patience(), world.api.version()).await {
        Some(Err(failure)) if failure.kind != FailureKind::Temporary => Err(failure),
        Some(version) => Ok(version.ok()),
        None => Ok(None),
    }
}

/// The newest deployments, and whether there are no others. Whoever knows where to go back to can do without.
async fn history(world: &World<'_>, app: &Application, aim: Aim) -> Result<(Vec<Row>, bool), Failure> {
    let asked = world.api.whole_history(app, 10 + app.extra_servers());
    if aim != Aim::Back {
        return asked.await;
    }
    match within(world.patience(), asked).await {
        Some(Ok(known)) => Ok(known),
        Some(Err(failure)) if failure.kind != FailureKind::Temporary => Err(failure),
        _ => {
            world.context.checkpoint()?;
            let message = format!(
                "Coolify has not shown the deployments of {} in time (going back all the same)",
                app.name
            );
            world.context.voice.warn(&message);
            Ok((Vec::new(), false))
        }
    }
}

/// A build that nothing could prove is not deployed at all.
fn provable(world: &World<'_>, pages: &[String]) -> Result<(), Failure> {
    let settings = world.settings;
    if settings.proof == Proof::Coolify {
        return Ok(());
    }
    let told = settings.marker.is_some() || settings.body.is_some();
    if told && !pages.is_empty() {
        return Ok(());
    }
    let what = if told { "public_urls" } else { "marker (or body)" };
    let message = format!(
        "nothing could prove that the build runs: set {what} of the environment, or proof = \"coolify\" to take Coolify's word for it"
    );
    Err(Failure::config("no-proof", message))
}

/// Coolify's own word that a revision runs, if it shows that and does not only repeat what it was asked for.
fn says_so(app: &Application, rows: &[Row], revision: &str) -> bool {
    let last = rows.iter().find(|r| r.is_primary && r.is_finished());
    let deployed = shown::Deployed { rows, changed: false, first: false };
    app.opinion() == Opinion::Up
        && !is_in_doubt(rows, app.keeps_old())
        && last.is_some_and(|row| matches!(deployed.shows(app.kind(), revision, row), shown::Shown::Yes(_)))
}

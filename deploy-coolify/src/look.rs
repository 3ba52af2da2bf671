//! Looks at every application of the environment and decides what to do with each.

use std::collections::HashSet;

use step::Failure;

use crate::api::{Application, Opinion, Row, Version};
use crate::plan::{self, Act, Wanted};
use crate::proof::shown;
use crate::settings::Proof;
use crate::wait::each;
use crate::world::World;

/// One application on its way.
#[derive(Debug)]
pub struct Target {
    pub app: Application,
    /// The tag or commit that it is to run.
    pub revision: String,
    pub act: Act,
    /// Its deployments before anything was done, newest first.
    pub rows: Vec<Row>,
}

impl Target {
    /// Whether the wanted build runs there already.
    pub fn is_deployed(&self) -> bool {
        matches!(self.act, Act::Nothing(_) | Act::Configure(_))
    }

    /// Whether nothing ran before: Coolify says so, and has never deployed anything (it forgets what is older than 60 days).
    pub fn was_empty(&self) -> bool {
        self.app.status.starts_with("exited") && !self.rows.iter().any(|r| r.is_primary && r.is_finished())
    }

    /// What ran before, as far as Coolify tells.
    pub fn running(&self) -> Option<&str> {
        self.rows.iter().find(|r| r.is_primary && r.is_finished())?.revision.as_deref()
    }

    /// Whether a deployment was there before.
    pub fn knows(&self, uuid: &str) -> bool {
        self.rows.iter().any(|r| r.uuid == uuid)
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

/// Looks, and decides. Who only follows (`only_look`) needs no way to start anything.
pub async fn look(world: &World<'_>, wanted: &Wanted, only_look: bool) -> Result<Seen, Failure> {
    let version = world.api.version().await?;
    let apps = world.applications().await?;
    let pages = world.pages(&apps);
    provable(world, &pages)?;
    // What cannot be brought everywhere is begun nowhere.
    for app in &apps {
        wanted.revision(app)?;
    }
    let wanted = wanted.among(&apps);
    let live = world.pages_are(&pages, &wanted).await?;
    let one = async |app: &Application| {
        let revision = wanted.revision(app)?;
        let rows = world.api.history(app, 10 + app.extra_servers()).await?;
        let fits = live || world.settings.proof == Proof::Coolify;
        // What no page names runs only if Coolify shows that it does.
        let named = world.is_named(app, apps.len(), &pages);
        let live = fits && (named || says_so(app, &rows, &revision));
        let act = match plan::decide(app, &rows, &revision, live, &version) {
            Err(_) if only_look => Act::Wait,
            act => act?,
        };
        let rows = rows.into_iter().map(Row::without_log).collect();
        Ok(Target { app: app.clone(), revision, act, rows })
    };
    let targets = each(&apps, one).await?;
    Ok(Seen { version, wanted, targets, pages })
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
        && last.is_some_and(|row| matches!(deployed.shows(app.kind(), revision, row), shown::Shown::Yes(_)))
}

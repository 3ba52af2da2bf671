//! Looks at every application of the environment and decides what to do with each.

use std::collections::HashSet;

use step::Failure;

use crate::api::{Application, Kind, Opinion, Row, Version};
use crate::plan::{self, Act, Wanted};
use crate::settings::Proof;
use crate::world::{World, each};

/// One application on its way.
#[derive(Debug)]
pub struct Target {
    pub app: Application,
    /// The tag or commit that it shall run.
    pub revision: String,
    pub act: Act,
    /// Its deployments before anything was done, newest first.
    pub rows: Vec<Row>,
}

impl Target {
    /// Whether a deployment was there before.
    pub fn knows(&self, uuid: &str) -> bool {
        self.rows.iter().any(|r| r.uuid == uuid)
    }
}

/// What there is, and what is to be done.
#[derive(Debug)]
pub struct Seen {
    pub version: Version,
    pub targets: Vec<Target>,
    /// The pages that decide.
    pub pages: Vec<String>,
}

impl Seen {
    /// Whether there is nothing to do but to prove.
    pub fn is_done(&self) -> bool {
        self.targets.iter().all(|t| matches!(t.act, Act::Nothing(_)))
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
    let live = world.pages_are(&pages, wanted).await?;
    let one = async |app: &Application| {
        let revision = wanted.revision(app)?;
        let rows = world.api.history(app, 10 + app.extra_servers()).await?;
        let live = if world.settings.proof == Proof::Coolify { says_so(app, &rows, &revision) } else { live };
        let act = match plan::decide(app, &rows, &revision, live, &version) {
            Err(_) if only_look => Act::Wait,
            act => act?,
        };
        let rows = rows.into_iter().map(Row::without_log).collect();
        Ok(Target { app: app.clone(), revision, act, rows })
    };
    let targets = each(&apps, one).await?;
    Ok(Seen { version, targets, pages })
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

/// Coolify's own word that a revision runs.
fn says_so(app: &Application, rows: &[Row], revision: &str) -> bool {
    let last = rows.iter().find(|r| r.is_primary && r.is_finished());
    app.kind() != Kind::Inline
        && app.opinion() == Opinion::Up
        && last.is_some_and(|r| r.revision.as_deref() == Some(revision))
}

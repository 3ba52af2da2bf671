//! Everything outside that a step talks to, together.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use step::{Context, Failure};
use tokio::time::Instant;

use crate::api::{Api, Application, Net};
use crate::plan::Wanted;
use crate::probe::{Probe, Seen};
use crate::registry::Images;
use crate::settings::{Proof, Settings};

/// How many questions are on their way at the same time, before anything is waited for.
const AT_ONCE: usize = 8;

/// Coolify, the pages and the registry.
pub struct World<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub net: &'a Net,
    pub api: Api<'a>,
    pub probe: Probe<'a>,
}

impl<'a> World<'a> {
    /// For the environment.
    pub fn new(context: &'a Context, settings: &'a Settings, net: &'a Net) -> Self {
        if crate::settings::is_in_the_clear(&settings.url) {
            context.voice.warn(&format!("the token goes to {} in the clear: use https", settings.url));
        }
        World {
            context,
            settings,
            net,
            api: Api::new(context, settings, net),
            probe: Probe::new(context, settings, net),
        }
    }

    /// The registry, if one is set.
    pub fn images(&self) -> Option<Images<'a>> {
        self.settings.registry.as_ref().map(|registry| Images::new(self.context, registry, self.net))
    }

    /// The applications of the environment; no more of them, with their servers, than are meant.
    pub async fn applications(&self) -> Result<Vec<Application>, Failure> {
        let uuids = match &self.settings.coolify_tag {
            None => self.settings.applications.clone(),
            Some(tag) => self.api.tagged(tag).await?,
        };
        if uuids.is_empty() {
            let tag = self.settings.coolify_tag.as_deref().unwrap_or_default();
            let message =
                format!("no application in Coolify carries the tag {tag} (as far as this token sees)");
            return Err(Failure::config("application", message));
        }
        // A selector that matches a whole fleet is not even read.
        self.guard(uuids.len())?;
        let apps = each(&uuids, |uuid| self.api.application(uuid)).await?;
        self.guard(apps.iter().map(|app| 1 + app.extra_servers()).sum())?;
        Ok(apps)
    }

    fn guard(&self, targets: usize) -> Result<(), Failure> {
        let most = self.settings.max_targets;
        if targets <= most {
            return Ok(());
        }
        let message = format!(
            "this would touch {targets} applications and servers, and at most {most} are meant: nothing was done \
             (max_targets, or --max-targets {targets} if it is right)"
        );
        Err(Failure::refused("too-many-targets", message))
    }

    /// The pages that decide: those that are set, else the applications' own addresses.
    pub fn pages(&self, apps: &[Application]) -> Vec<String> {
        if self.settings.proof == Proof::Coolify {
            return Vec::new();
        }
        if !self.settings.probe_urls.is_empty() {
            return self.settings.probe_urls.clone();
        }
        apps.iter().flat_map(Application::urls).collect()
    }

    /// Whether the pages speak for an application: one application is what they show; of several, those whose address is among them.
    pub fn is_covered(&self, app: &Application, of: usize, pages: &[String]) -> bool {
        if self.settings.proof == Proof::Coolify {
            return false;
        }
        let host = |text: &String| url::Url::parse(text).ok().and_then(|u| u.host_str().map(str::to_owned));
        let hosts: Vec<String> = pages.iter().chain(&self.settings.public_urls).filter_map(host).collect();
        of == 1 || app.urls().iter().filter_map(host).any(|h| hosts.contains(&h))
    }

    /// The text that a page of this build must hold.
    pub fn text(&self, wanted: &Wanted) -> Result<Option<String>, Failure> {
        let Some(template) = &self.settings.body else { return Ok(None) };
        let wrong = |why| self.context.settings.wrong("body", &crate::wanted::sentence(template, &why));
        crate::plan::fill(template, &wanted.build).map(Some).map_err(wrong)
    }

    /// Whether every page answers as the wanted build right now, by its own word.
    pub async fn pages_are(&self, pages: &[String], wanted: &Wanted) -> Result<bool, Failure> {
        let text = self.text(wanted)?;
        let seen = self.probe.all(pages, text.as_deref()).await;
        Ok(!seen.is_empty() && seen.iter().all(|s| s.is(&wanted.build) || *s == Seen::Fits))
    }

    /// How long a deployment that was just queued may stay out of sight: some intervals, at most some ten seconds.
    pub fn sight(&self) -> Duration {
        (self.settings.interval * 4).clamp(Duration::from_secs(1), Duration::from_secs(12))
    }

    /// Waits without holding the thread, but not past a signal or the deadline.
    pub async fn pause(&self, wait: Duration) -> Result<(), Failure> {
        pause(self.context, wait).await
    }
}

/// Asks the same of many, some at a time; the first failure counts.
pub async fn each<'t, T: 't, R, F: Future<Output = Result<R, Failure>>>(
    items: impl IntoIterator<Item = &'t T>,
    ask: impl FnMut(&'t T) -> F,
) -> Result<Vec<R>, Failure> {
    stream::iter(items).map(ask).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}

/// How often whoever waits looks whether it still should.
const TICK: Duration = Duration::from_millis(100);

/// Waits without holding the thread, but not past a signal or the deadline.
pub async fn pause(context: &Context, wait: Duration) -> Result<(), Failure> {
    let end = Instant::now() + wait;
    loop {
        context.checkpoint()?;
        let now = Instant::now();
        if now >= end {
            return Ok(());
        }
        tokio::time::sleep_until(end.min(next_tick(now))).await;
    }
}

/// All who wait look at the same instants: the process wakes once for fifty of them.
fn next_tick(now: Instant) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| now);
    let ticks = (now - first).as_millis() / TICK.as_millis() + 1;
    first + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

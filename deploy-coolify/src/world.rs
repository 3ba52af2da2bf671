//! Everything outside that a step talks to, together.

use std::time::Duration;

use step::{Context, Failure};

use crate::api::{Api, Application, Net};
use crate::plan::Wanted;
use crate::proof::probe::{Probe, Seen, Text};
use crate::registry::Images;
use crate::settings::{Proof, Settings};
use crate::wait::{each, pause, within};

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
    pub fn is_covered(&self, app: &Application, all: &[Application], pages: &[String]) -> bool {
        if self.settings.proof == Proof::Coolify {
            return false;
        }
        if all.len() == 1 {
            return true;
        }
        // Pages behind the edge are asked instead of the public ones, one for one.
        let public = &self.settings.public_urls;
        let known = if pages.len() == public.len() { public.as_slice() } else { &[] };
        pages.iter().chain(known).filter_map(|page| owner(page, all)).any(|owner| owner.uuid == app.uuid)
    }

    /// Whether a page's own word tells one build from another: a text that every build has tells nothing.
    pub fn pages_name_builds(&self) -> bool {
        self.settings.marker.is_some() || self.settings.body.as_ref().is_some_and(|body| body.contains('{'))
    }

    /// Whether the pages themselves say which build of an application runs; else only Coolify can.
    pub fn is_named(&self, app: &Application, all: &[Application], pages: &[String]) -> bool {
        self.pages_name_builds() && self.is_covered(app, all, pages)
    }

    /// The text that a page of this build must hold.
    pub fn text(&self, wanted: &Wanted) -> Result<Option<Text>, Failure> {
        let Some(template) = &self.settings.body else { return Ok(None) };
        let wrong = |why| self.context.settings.wrong("body", &crate::settings::sentence(template, &why));
        let words = image::fill(template, &wanted.build).map_err(wrong)?;
        Ok(Some(Text { words, opens: template.starts_with('{'), closes: template.ends_with('}') }))
    }

    /// Whether every page answers as the wanted build right now, by its own word. A page that hangs does not.
    pub async fn pages_are(&self, pages: &[String], wanted: &Wanted) -> Result<bool, Failure> {
        let text = self.text(wanted)?;
        let seen = within(self.patience(), self.probe.all(pages, text.as_ref())).await.unwrap_or_default();
        Ok(!seen.is_empty() && seen.iter().all(|s| s.is(&wanted.build) || *s == Seen::Fits))
    }

    /// How long a question may take that nothing hangs on.
    pub fn patience(&self) -> Duration {
        let whole = self.settings.interval.saturating_mul(3);
        self.net.patience(whole.clamp(Duration::from_secs(1), Duration::from_secs(10)))
    }

    /// How often each of so many may be asked.
    pub fn interval(&self, many: usize) -> Duration {
        self.net.interval(self.settings.interval, many)
    }

    /// How long a deployment that was just queued may stay out of sight: some intervals, at most some ten seconds.
    pub fn sight(&self) -> Duration {
        self.settings.interval.saturating_mul(4).clamp(Duration::from_secs(1), Duration::from_secs(12))
    }

    /// Waits without holding the thread, but not past a signal or the deadline.
    pub async fn pause(&self, wait: Duration) -> Result<(), Failure> {
        pause(self.context, wait).await
    }
}

/// The application that a page is of: of those at its host the one whose path goes deepest into the page's own; where that does not tell
/// them apart the port may. A page that could be of two is of neither.
fn owner<'a>(page: &str, all: &'a [Application]) -> Option<&'a Application> {
    let page = url::Url::parse(page).ok()?;
    let depth = |url: &url::Url| {
        let below = |url: &url::Url| format!("{}/", url.path().trim_end_matches('/'));
        let fits = url.host() == page.host() && below(&page).starts_with(&below(url));
        fits.then(|| (below(url).len(), url.port().is_some() && url.port() == page.port()))
    };
    let best = |app: &Application| app.addresses().iter().filter_map(depth).max();
    let most = all.iter().filter_map(best).max()?;
    let mut owners = all.iter().filter(|app| best(app) == Some(most));
    owners.next().filter(|_| owners.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_speaks_for_the_application_that_it_is_of() {
        let app = |uuid: &str, fqdn: &str| -> Application {
            serde_json::from_value(json!({ "uuid": uuid, "fqdn": fqdn })).expect("an application")
        };
        let of = |page: &str, all: &[Application]| owner(page, all).map(|app| app.uuid.clone());
        let by_path = [app("web", "https://shop.example:3000"), app("api", "https://shop.example:4000/api")];
        for (page, expected) in [
            ("https://shop.example/", Some("web")),
            ("https://shop.example/x/api", Some("web")),
            ("https://shop.example/apis", Some("web")),
            ("https://shop.example/api", Some("api")),
            ("https://shop.example/api/health?x", Some("api")),
            ("https://other.example/api", None),
        ] {
            assert_eq!(of(page, &by_path).as_deref(), expected, "{page}");
        }
        // One host and one path: only the port tells them apart, if the page has one.
        let by_port = [app("web", "http://10.0.0.7:3000"), app("api", "http://10.0.0.7:4000")];
        assert_eq!(of("http://10.0.0.7:4000/x", &by_port).as_deref(), Some("api"));
        assert_eq!(of("http://10.0.0.7/", &by_port), None);
        let two = [app("web", "https://a.example,https://b.example"), app("api", "https://c.example")];
        assert_eq!(of("https://b.example/", &two).as_deref(), Some("web"));
        assert_eq!(of("https://b.example/", &[app("worker", "")]), None);
    }
}

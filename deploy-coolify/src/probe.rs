//! What a public page says of itself: its own word decides whether a build runs, not Coolify's.

use std::fmt;

use step::{Build, Context, Failure, Marker};

use crate::api::{cause, client};
use crate::args::Settings;

/// What a page said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// 200 and a marker.
    Says(String),
    /// 200, but no marker: nothing is known.
    Mute,
    /// Another status.
    Status(u16),
    /// No answer.
    Silent(String),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Says(build) => write!(f, "answers as {build}"),
            Seen::Mute => f.write_str("answers, but does not say which build it is"),
            Seen::Status(status) => write!(f, "answers with HTTP {status}"),
            Seen::Silent(why) => write!(f, "does not answer: {why}"),
        }
    }
}

impl Seen {
    /// Whether it is the wanted build; no evidence is no.
    pub fn is(&self, wanted: &Build) -> bool {
        matches!(self, Seen::Says(build) if wanted.is(build))
    }
}

/// Asks pages.
pub struct Probe<'a> {
    context: &'a Context,
    settings: &'a Settings,
    client: reqwest::Client,
}

impl<'a> Probe<'a> {
    /// For the environment's pages.
    pub fn new(context: &'a Context, settings: &'a Settings) -> Result<Self, Failure> {
        Ok(Probe { context, settings, client: client()? })
    }

    /// Asks one page, as anybody would: nothing in the request busts a cache.
    pub async fn ask(&self, url: &str) -> Seen {
        let Ok(timeout) = self.context.deadline.request() else { return Seen::Silent("no time left".into()) };
        let answer = match self.client.get(url).timeout(timeout).send().await {
            Ok(answer) => answer,
            Err(error) => return Seen::Silent(cause(&error)),
        };
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.text().await.unwrap_or_default();
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let seen = match (status, self.settings.marker.as_ref().and_then(|m: &Marker| m.read(header, &body)))
        {
            (200, Some(build)) => Seen::Says(build),
            (200, None) => Seen::Mute,
            (status, _) => Seen::Status(status),
        };
        self.context.voice.detail(&format!("{url} {seen}"));
        seen
    }

    /// Whether every page answers as the wanted build right now.
    pub async fn all_are(&self, wanted: &Build) -> bool {
        let asked = self.settings.probe_urls.iter().map(|url| self.ask(url));
        let seen = futures_util::future::join_all(asked).await;
        !seen.is_empty() && seen.iter().all(|s| s.is(wanted))
    }

    /// What the pages say; `None` when they do not agree or do not say.
    pub async fn build(&self) -> Option<String> {
        let asked = self.settings.probe_urls.iter().map(|url| self.ask(url));
        let mut builds = futures_util::future::join_all(asked).await.into_iter().map(|seen| match seen {
            Seen::Says(build) => Some(build),
            _ => None,
        });
        let first = builds.next()??;
        builds.all(|build| build.as_ref() == Some(&first)).then_some(first)
    }
}

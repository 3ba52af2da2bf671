//! What a public page says of itself: its own word decides whether a build runs, not Coolify's.

use std::fmt;
use std::time::Duration;

use facts::Build;
use futures_util::future::join_all;
use reqwest::Client;
use step::Context;
use web_page::Marker;

use super::verdict::Evidence;
use crate::api::{Net, cause, is_commit, sentence};
use crate::settings::Settings;
use crate::wait::stopping;

/// In which forms: plainly, and as browsers ask.
const FORMS: [Option<&str>; 2] = [None, Some(web_page::BROWSER)];
/// The most of a page that is read, in bytes.
const BODY: usize = 2 << 20;

/// What a page said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The wanted status and a marker.
    Says(String),
    /// The wanted status and the wanted text, and no marker is asked for.
    Fits,
    /// The wanted status, but no marker: nothing is known.
    Mute,
    /// The wanted status, but not the wanted text.
    Lacks(String),
    /// Another status.
    Status(u16),
    /// No answer.
    Silent(String),
    /// Not every address, or not every form, is the same.
    Differs(Vec<Seen>),
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Says(build) => write!(f, "answers as {build}"),
            Seen::Fits => f.write_str("answers as it should"),
            Seen::Mute => f.write_str("answers, but does not say which build it is"),
            Seen::Lacks(text) => write!(f, "answers without the text `{text}`"),
            Seen::Status(status) => write!(f, "answers with HTTP {status}"),
            Seen::Silent(why) => write!(f, "does not answer: {why}"),
            Seen::Differs(all) => {
                let all: Vec<String> = all.iter().map(Seen::to_string).collect();
                write!(f, "is not the same at every address and in every form: it {}", all.join(", and "))
            }
        }
    }
}

impl Seen {
    /// Whether it is the wanted build; no evidence is no.
    pub fn is(&self, wanted: &Build) -> bool {
        matches!(self, Seen::Says(build) if wanted.is(build) || is_commit_of(wanted, build))
    }

    /// What it is worth. Who is turned away, sent elsewhere or not heard has seen nothing of the build.
    pub fn evidence(&self, wanted: &Build) -> Evidence {
        match self {
            // As bad as the worst of them.
            Seen::Differs(all) => {
                all.iter().map(|seen| seen.evidence(wanted)).max().unwrap_or(Evidence::Unclear)
            }
            Seen::Fits => Evidence::Right,
            Seen::Says(_) if self.is(wanted) => Evidence::Right,
            // One that was deployed by its digest alone has no name that could be another one.
            Seen::Says(build) if !is_comparable(wanted, build) => Evidence::Unclear,
            Seen::Says(_) | Seen::Lacks(_) => Evidence::Wrong,
            Seen::Mute | Seen::Silent(_) | Seen::Status(300..=399 | 401 | 403 | 407 | 429) => {
                Evidence::Unclear
            }
            Seen::Status(_) => Evidence::Wrong,
        }
    }

    /// Whether it does not work, at whatever address.
    pub fn is_broken(&self) -> bool {
        match self {
            Seen::Status(status) => matches!(status, 404 | 410 | 500..),
            Seen::Differs(all) => all.iter().any(Seen::is_broken),
            _ => false,
        }
    }

    /// Whether another build answers, at whatever address.
    pub fn is_other(&self, wanted: &Build) -> bool {
        match self {
            Seen::Says(_) => self.evidence(wanted) == Evidence::Wrong,
            Seen::Differs(all) => all.iter().any(|seen| seen.is_other(wanted)),
            _ => false,
        }
    }
}

/// What all answers are together.
fn joined(all: Vec<Seen>) -> Seen {
    let mut kinds: Vec<Seen> = Vec::new();
    for seen in all {
        if !kinds.contains(&seen) {
            kinds.push(seen);
        }
    }
    match kinds.len() {
        0 => Seen::Silent("it has no address".into()),
        1 => kinds.remove(0),
        _ => Seen::Differs(kinds),
    }
}

/// What a page calls itself, as far as that may be shown to people.
fn told(build: &str) -> Seen {
    Seen::Says(sentence(build))
}

/// Whether the build has a name of the kind by which a page calls itself.
fn is_comparable(wanted: &Build, seen: &str) -> bool {
    let named = wanted.name().is_some() || wanted.also.iter().any(|name| !is_commit(name));
    named || (wanted.commit.is_some() && is_hash(seen.trim()))
}

fn is_hash(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A page may give its commit in the short form that git prints.
fn is_commit_of(wanted: &Build, seen: &str) -> bool {
    let seen = seen.trim();
    is_hash(seen) && wanted.commit.as_ref().is_some_and(|commit| commit.starts_with(seen))
}

/// A text that a page must hold. Where a name of the build begins or ends it, it has to begin or end there in the page too: 1.2.1 is not
/// 1.2.10, and 1.2.0 not 1.2.0-rc1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub words: String,
    /// Whether it begins with a name.
    pub opens: bool,
    /// Whether it ends with one.
    pub closes: bool,
}

impl Text {
    /// Whether a page holds it.
    pub fn is_in(&self, body: &str) -> bool {
        body.match_indices(&self.words).any(|(at, words)| {
            let (before, after) = (&body[..at], &body[at + words.len()..]);
            !(self.opens && goes_back(before) || self.closes && goes_on(after))
        })
    }
}

/// Whether what stands before a version is part of it: `4.` of `4.1.2.0`.
fn goes_back(before: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    before.ends_with(digit) || before.strip_suffix('.').is_some_and(|rest| rest.ends_with(digit))
}

/// Whether what stands after a version is part of it: `0` of `1.2.10`, `-rc1`, `.1`, `+dirty`. A full stop is not.
fn goes_on(after: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    after.starts_with(part)
        || after.strip_prefix(['.', '-', '+', '~']).is_some_and(|rest| rest.starts_with(part))
}

/// Asks pages.
pub struct Probe<'a> {
    context: &'a Context,
    settings: &'a Settings,
    net: &'a Net,
}

impl<'a> Probe<'a> {
    /// For the environment's pages.
    pub fn new(context: &'a Context, settings: &'a Settings, net: &'a Net) -> Self {
        Probe { context, settings, net }
    }

    /// Asks one page, as anybody would: nothing in the request busts a cache. Every address of its name is asked, as browsers ask and
    /// plainly: each may be another server, and each form another copy.
    pub async fn ask(&self, url: &str, text: Option<&Text>) -> Seen {
        let work = async {
            let places = self.net.places(url).await;
            let clients = places.clients.iter();
            joined(
                join_all(clients.flat_map(|client| FORMS.map(|form| self.fetch(client, form, url, text))))
                    .await,
            )
        };
        let seen = stopping(self.context, Duration::ZERO, work).await;
        let seen = seen.unwrap_or_else(|stopped| Seen::Silent(stopped.message.clone()));
        self.context.voice.detail(&format!("{url} {seen}"));
        seen
    }

    async fn fetch(&self, client: &Client, form: Option<&str>, url: &str, text: Option<&Text>) -> Seen {
        let Ok(timeout) = self.context.deadline.request() else { return Seen::Silent("no time left".into()) };
        // A balancer hands out whole connections: whoever asks twice over one asks one server twice.
        let request = client.get(url).timeout(timeout).header("Connection", "close");
        let request = form.into_iter().fold(request, |request, form| request.header("Accept-Encoding", form));
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Seen::Silent(cause(&error)),
        };
        let status = answer.status().as_u16();
        if status != self.settings.status {
            return Seen::Status(status);
        }
        let mut bytes = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if bytes.len() < BODY => bytes.extend_from_slice(&chunk),
                Ok(_) => break,
                Err(error) => return Seen::Silent(cause(&error)),
            }
        }
        let encoding =
            answer.headers().get("content-encoding").and_then(|v| v.to_str().ok()).unwrap_or_default();
        // What cannot be unpacked says nothing; a header may.
        let bytes = web_page::unpack(encoding, bytes, BODY).map(|(bytes, _)| bytes).unwrap_or_default();
        let body = String::from_utf8_lossy(&bytes);
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        match (text, &self.settings.marker) {
            (Some(text), _) if !text.is_in(&body) => Seen::Lacks(text.words.clone()),
            (_, Some(marker)) => Marker::read(marker, header, &body).map_or(Seen::Mute, |build| told(&build)),
            (Some(_), None) => Seen::Fits,
            (None, None) => Seen::Mute,
        }
    }

    /// Asks every page at the same time.
    pub async fn all(&self, urls: &[String], text: Option<&Text>) -> Vec<Seen> {
        join_all(urls.iter().map(|url| self.ask(url, text))).await
    }

    /// What the pages say; `None` when they do not agree or do not say.
    pub async fn build(&self, urls: &[String]) -> Option<String> {
        let mut builds = self.all(urls, None).await.into_iter().map(|seen| match seen {
            Seen::Says(build) => Some(build),
            _ => None,
        });
        let first = builds.next()??;
        builds.all(|build| build.as_ref() == Some(&first)).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_where_it_ends() {
        let text = |words: &str, opens, closes| Text { words: words.into(), opens, closes };
        let release = text("release 1.2.1", false, true);
        for (body, holds) in [
            ("<p>release 1.2.1</p>", true),
            ("release 1.2.1", true),
            ("This is release 1.2.1. Welcome", true),
            ("release 1.2.1, built today", true),
            ("release 1.2.10", false),
            ("release 1.2.1-rc1", false),
            ("release 1.2.1.1", false),
            ("release 1.2.1+dirty", false),
            ("release 1.2.1rc1", false),
            ("release 1.2.1_2", false),
            ("release 1.2.10, before it release 1.2.1!", true),
        ] {
            assert_eq!(release.is_in(body), holds, "{body}");
        }
        let bare = text("2.0", true, true);
        for (body, holds) in [
            ("v2.0", true),
            ("shop-2.0 ", true),
            ("12.0", false),
            ("1.2.0", false),
            ("2.0.1", false),
            (".2.0", true),
        ] {
            assert_eq!(bare.is_in(body), holds, "{body}");
        }
        // What stands between words of the template is bounded by them.
        assert!(text("app-1.2.0.js", false, false).is_in("/app-1.2.0.js?x"));
    }

    #[test]
    fn a_build_without_a_name_is_not_another_one() {
        let digest = |commit: Option<&str>| Build {
            image: Some("r/s@sha256:ab".into()),
            commit: commit.map(str::to_owned),
            ..Build::default()
        };
        let commit = "9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c";
        for (wanted, says, evidence) in [
            (digest(None), "1.2.0", Evidence::Unclear),
            (digest(None), "9f2c41d", Evidence::Unclear),
            (digest(Some(commit)), "1.2.0", Evidence::Unclear),
            (digest(Some(commit)), "9f2c41d", Evidence::Right),
            (digest(Some(commit)), "8f2c41d", Evidence::Wrong),
            (Build { version: Some("1.2.0".into()), ..digest(None) }, "1.1.4", Evidence::Wrong),
        ] {
            assert_eq!(Seen::Says(says.into()).evidence(&wanted), evidence, "{says} {wanted:?}");
        }
    }

    #[test]
    fn who_has_not_seen_the_build_says_nothing_of_it() {
        let wanted = Build {
            image: Some("r/s:1.2.0".into()),
            commit: Some("9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c".into()),
            ..Build::default()
        };
        for (seen, evidence) in [
            (Seen::Says("v1.2.0".into()), Evidence::Right),
            (Seen::Says("9f2c41d".into()), Evidence::Right),
            (Seen::Says("1.1.4".into()), Evidence::Wrong),
            (Seen::Fits, Evidence::Right),
            (Seen::Lacks("x".into()), Evidence::Wrong),
            (Seen::Status(500), Evidence::Wrong),
            (Seen::Status(404), Evidence::Wrong),
            (Seen::Status(301), Evidence::Unclear),
            (Seen::Status(403), Evidence::Unclear),
            (Seen::Mute, Evidence::Unclear),
            (Seen::Silent("refused".into()), Evidence::Unclear),
            (joined(vec![Seen::Says("1.2.0".into()), Seen::Says("1.2.0".into())]), Evidence::Right),
            (joined(vec![Seen::Says("1.2.0".into()), Seen::Says("1.1.4".into())]), Evidence::Wrong),
            (joined(vec![Seen::Says("1.2.0".into()), Seen::Mute]), Evidence::Unclear),
            (joined(Vec::new()), Evidence::Unclear),
        ] {
            assert_eq!(seen.evidence(&wanted), evidence, "{seen}");
        }
    }
}

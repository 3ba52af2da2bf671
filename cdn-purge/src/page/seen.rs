//! A page at one instant, what it proves, and what may be claimed of it. Pure.

use std::fmt;
use std::time::Duration;

use facts::Build;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::page::verdict::Cached;

/// `Age` is in whole seconds, and clocks differ a little.
const SLACK: Duration = Duration::from_secs(2);

/// A page at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// What it says its build is.
    pub build: Option<String>,
    /// Its body's hash: what a page is held against that says no build.
    pub digest: u64,
    /// Since when the edge has had this copy, if it says.
    pub cached_at: Option<Timestamp>,
    /// The edge's own word on where it came from (HIT, MISS), as it is.
    pub verdict: Option<String>,
    /// The same in our words.
    pub cached: Cached,
    /// The place of the edge that answered, if it says.
    pub pop: Option<String>,
    /// Whether this is React's wire format in place of a document.
    pub rsc: bool,
    /// Where it sends people.
    pub location: Option<String>,
    /// Which copy it was, if the edge names it.
    pub object: Option<String>,
    /// What its `Vary` names, in lower case.
    pub vary: Vec<String>,
    /// Whether the answer has orders for caches alone.
    pub apart: bool,
    /// There was more of it than is read: its hash is that of its beginning.
    pub cut: bool,
    /// It says no build where we can read, and the rest of it we cannot.
    pub unreadable: bool,
    /// Why no answer came, or why the answer says nothing.
    pub problem: Option<String>,
}

/// A page as the origin serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    pub status: u16,
    pub location: Option<String>,
    pub body: Body,
}

/// What of its body counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: its build speaks for it, or its status.
    Any,
    /// It must be this one, by its hash.
    Same(u64),
    /// It should be the same, but the origin's own is another one each time.
    Unsteady,
}

/// What a page has to be.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub build: &'a Build,
    /// The page at the origin, where that was asked.
    pub twin: Option<&'a Twin>,
    /// Copies must not be older than this.
    pub since: Option<Timestamp>,
}

/// What an answer is evidence of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    Right,
    Wrong,
    /// It may be either: what it serves cannot be read, and nothing else says it.
    None,
}

impl Seen {
    /// No answer.
    pub fn silent(why: String) -> Self {
        Seen { problem: Some(why), ..Seen::default() }
    }

    /// What it is evidence of. That a copy is young alone is no proof: a shield may have handed out an old one.
    pub fn evidence(&self, target: Target) -> Evidence {
        let twin = target.twin;
        let (status, location) = twin.map_or((200, None), |twin| (twin.status, twin.location.as_ref()));
        if self.status != Some(status) || self.rsc || self.is_older(target.since) {
            return Evidence::Wrong;
        }
        if self.build.as_ref().is_some_and(|build| !target.build.is(build)) {
            return Evidence::Wrong;
        }
        let moved = (300..400).contains(&status);
        if moved && self.location.as_ref() != location {
            return Evidence::Wrong;
        }
        match twin.map_or(Body::Any, |twin| twin.body) {
            _ if moved || status >= 400 => Evidence::Right,
            Body::Any if self.build.is_some() => Evidence::Right,
            _ if self.unreadable => Evidence::None,
            Body::Same(digest) if digest == self.digest => Evidence::Right,
            Body::Same(_) => Evidence::Wrong,
            Body::Unsteady => Evidence::None,
            Body::Any => Evidence::Wrong,
        }
    }

    /// Whether the copy is from before this instant, by what the edge says.
    pub fn is_older(&self, since: Option<Timestamp>) -> bool {
        let old = |(cached, since): (Timestamp, Timestamp)| cached + SLACK < since;
        self.cached_at.zip(since).is_some_and(old)
    }

    /// Why it says nothing.
    pub fn why(&self) -> &str {
        self.problem.as_deref().unwrap_or("no reason is known")
    }

    /// The stable word for what is wrong with a page that was purged and proves nothing.
    pub fn reason(&self) -> &'static str {
        match self.status {
            None => "edge-silent",
            Some(200) if self.rsc => "rsc-as-document",
            Some(200) => "edge-stale",
            Some(_) if self.cached == Cached::Hit => "cached-error",
            Some(_) => "edge-broken",
        }
    }

    /// For the record.
    pub fn to_value(&self) -> Value {
        let mut value = json!({});
        let age = self
            .cached_at
            .map(|at| Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default().as_secs());
        let fields = [
            ("status", json!(self.status)),
            ("build", json!(self.build)),
            ("age", json!(age)),
            ("verdict", json!(self.verdict)),
            ("pop", json!(self.pop)),
            ("problem", json!(self.problem)),
        ];
        for (key, field) in fields.into_iter().filter(|(_, v)| !v.is_null()) {
            value[key] = field;
        }
        value
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = || self.why();
        match (self.status, &self.build) {
            (None, _) => write!(f, "does not answer: {}", why()),
            (Some(200), _) if self.rsc => f.write_str(
                "serves text/x-component: React's wire format was cached in place of the document",
            ),
            (Some(200), Some(build)) => write!(f, "serves {build}"),
            (Some(200), None) if self.problem.is_some() => {
                write!(f, "does not say which build it is ({})", why())
            }
            (Some(200), None) => f.write_str("does not say which build it is"),
            (Some(status), _) if self.cached == Cached::Hit => write!(f, "has HTTP {status} in its cache"),
            (Some(status), _) => write!(f, "answers with HTTP {status}"),
        }
    }
}

/// What may be said of a page, and no more: one page, one place, one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Right, twice in a row, from the copy that the edge keeps now.
    Observed,
    /// Observed again and again for a while.
    Stable,
    /// Right, but the edge keeps no copy: there was nothing to purge.
    NotCached,
    /// Right, but nothing says whether it came from a cache.
    Unknown,
}

impl Claim {
    pub fn word(self) -> &'static str {
        match self {
            Claim::Observed => "observed",
            Claim::Stable => "stable",
            Claim::NotCached => "not-cached",
            Claim::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wanted_build_in_a_young_copy_is_proof() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let build = Build { version: Some("1.2.0".into()), ..Build::default() };
        let seen = |status, build: Option<&str>, cached: Option<&str>| Seen {
            status,
            build: build.map(str::to_owned),
            cached_at: cached.map(at),
            ..Seen::default()
        };
        let since = Target { build: &build, twin: None, since: Some(at("2026-11-24T12:00:00Z")) };
        let any = Target { since: None, ..since };
        let proves = |seen: &Seen, target| seen.evidence(target) == Evidence::Right;
        assert!(proves(&seen(Some(200), Some("1.2.0"), None), since));
        assert!(proves(&seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:59Z")), since));
        assert!(!proves(&seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:00Z")), since), "an old copy");
        assert!(proves(&seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:00Z")), any));
        assert!(!proves(&seen(Some(200), Some("1.1.4"), None), any));
        assert!(!proves(&seen(Some(200), None, None), any));
        assert!(!proves(&seen(Some(500), Some("1.2.0"), None), any));
        assert!(!proves(&Seen { rsc: true, ..seen(Some(200), Some("1.2.0"), None) }, any));
        assert!(!proves(&Seen::silent("refused".into()), any));
    }

    #[test]
    fn what_cannot_be_read_is_no_evidence_unless_it_is_old() {
        let build = Build { version: Some("1.2.0".into()), ..Build::default() };
        let since: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let target = Target { build: &build, twin: None, since: Some(since) };
        let packed = |cached_at| Seen { status: Some(200), unreadable: true, cached_at, ..Seen::default() };
        let (young, old) = (Some(since), Some(since - Duration::from_secs(9)));
        let table = [
            (packed(young), Evidence::None),
            (packed(None), Evidence::None),
            (packed(old), Evidence::Wrong),
            (Seen { build: Some("1.1.4".into()), ..packed(None) }, Evidence::Wrong),
            (Seen { build: Some("1.2.0".into()), ..packed(None) }, Evidence::Right),
            (Seen { status: Some(500), ..packed(None) }, Evidence::Wrong),
        ];
        for (seen, wanted) in table {
            assert_eq!(seen.evidence(target), wanted, "{seen:?}");
        }
    }

    #[test]
    fn a_page_is_held_against_its_twin_at_the_origin() {
        let build = Build { version: Some("1.2.0".into()), ..Build::default() };
        let seen = |status, build: Option<&str>, digest| Seen {
            status: Some(status),
            build: build.map(str::to_owned),
            digest,
            ..Seen::default()
        };
        let twin = |status, body| Twin { status, location: None, body };
        let (same, any, unsteady) = (Body::Same(7), Body::Any, Body::Unsteady);
        for (seen, twin, wanted) in [
            (seen(200, Some("1.2.0"), 7), twin(200, same), Evidence::Right),
            (seen(200, Some("1.2.0"), 8), twin(200, same), Evidence::Wrong),
            (seen(200, Some("1.1.4"), 7), twin(200, same), Evidence::Wrong),
            (seen(200, None, 7), twin(200, same), Evidence::Right),
            (seen(200, None, 8), twin(200, same), Evidence::Wrong),
            (seen(200, Some("1.2.0"), 8), twin(200, any), Evidence::Right),
            // What is never the same twice proves nothing.
            (seen(200, Some("1.2.0"), 8), twin(200, unsteady), Evidence::None),
            (seen(200, Some("1.1.4"), 8), twin(200, unsteady), Evidence::Wrong),
            // Gone, and moved.
            (seen(404, None, 1), twin(404, any), Evidence::Right),
            (seen(200, Some("1.2.0"), 1), twin(404, any), Evidence::Wrong),
            (seen(404, None, 1), twin(200, any), Evidence::Wrong),
            (Seen { location: Some("/b".into()), ..seen(307, None, 1) }, twin(307, any), Evidence::Wrong),
        ] {
            let target = Target { build: &build, twin: Some(&twin), since: None };
            assert_eq!(seen.evidence(target), wanted, "{seen:?} {twin:?}");
        }
    }

    #[test]
    fn what_is_wrong_has_a_word_of_its_own() {
        let seen = |status, cached, rsc| Seen { status, cached, rsc, ..Seen::default() };
        assert_eq!(seen(Some(200), Cached::Hit, false).reason(), "edge-stale");
        assert_eq!(seen(Some(200), Cached::Hit, true).reason(), "rsc-as-document");
        assert_eq!(seen(Some(404), Cached::Hit, false).reason(), "cached-error");
        assert_eq!(seen(Some(503), Cached::Miss, false).reason(), "edge-broken");
        assert_eq!(seen(None, Cached::Unsaid, false).reason(), "edge-silent");
    }
}

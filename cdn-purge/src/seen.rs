//! A page at one instant, what it proves, and what may be claimed of it. Pure.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use step::Build;

/// `Age` is in whole seconds, and clocks differ a little.
const SLACK: Duration = Duration::from_secs(2);

/// Where a copy came from, in the words of all edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cached {
    /// From a cache that holds it.
    Hit,
    /// The cache had to ask.
    Miss,
    /// An old copy, while the cache asks.
    Stale,
    /// Pages like this one are not kept (Cloudflare's DYNAMIC, a BYPASS, no-store).
    Never,
    /// Nothing says.
    #[default]
    Unsaid,
}

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
    /// Its validator, without what compression does to it.
    pub etag: Option<String>,
    /// It says no build where we can read, and the rest of it we cannot.
    pub unreadable: bool,
    /// Why no answer came, or why the answer says nothing.
    pub problem: Option<String>,
}

/// What a page has to be.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub build: &'a Build,
    /// The hash of the page at the origin, where it says no build either.
    pub twin: Option<u64>,
    /// The validator of the page's plain form, where that has just been right: what has the same is the same document.
    pub etag: Option<&'a str>,
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

    /// Whether it is what it has to be; no evidence is no.
    pub fn proves(&self, target: Target) -> bool {
        self.evidence(target) == Evidence::Right
    }

    /// What it is evidence of. That a copy is young alone is no proof: a shield may have handed out an old one.
    pub fn evidence(&self, target: Target) -> Evidence {
        if self.status != Some(200) || self.rsc || self.is_older(target.since) {
            return Evidence::Wrong;
        }
        let same = self.etag.is_some() && self.etag.as_deref() == target.etag;
        let right = match &self.build {
            Some(build) => target.build.is(build),
            None if self.unreadable && same => true,
            None if self.unreadable => return Evidence::None,
            None => target.twin == Some(self.digest),
        };
        if right { Evidence::Right } else { Evidence::Wrong }
    }

    /// Whether this is surely no copy from before an instant: without any word about its age a copy may be one.
    pub fn is_newer(&self, since: Option<Timestamp>) -> bool {
        let Some(since) = since else { return true };
        // Behind an edge that had to ask, a shield may have an old copy: its age counts wherever it is said.
        let asked = matches!(self.cached, Cached::Miss | Cached::Never);
        self.cached_at.map_or(asked, |at| at > since + SLACK)
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

/// The headers in which edges say where a copy came from. `x-nextjs-cache` is none of them: it is the origin's own cache, frozen
/// into the copy.
const VERDICTS: [&str; 5] = ["cf-cache-status", "cache-status", "x-cache", "x-cache-status", "cdn-cache"];

/// The edge's own word, and ours for it.
pub fn verdict<'a>(header: impl Fn(&str) -> Option<&'a str>) -> (Option<String>, Cached) {
    let word = VERDICTS.into_iter().find_map(|name| header(name).map(|text| (name, text)));
    let aged = header("age").and_then(|age| age.trim().parse::<u64>().ok()).is_some_and(|age| age > 0);
    let control = header("cache-control").unwrap_or_default();
    let private = ["no-store", "private"].iter().any(|word| control.contains(word));
    let said = match word {
        // Several hops are written from the origin outwards: the last one is the edge (RFC 9211; Fastly's X-Cache).
        Some(("cache-status", text)) => cache_status(text.rsplit(',').next().unwrap_or(text)),
        Some((_, text)) => plain(text.rsplit(',').next().unwrap_or(text)),
        None => Cached::Unsaid,
    };
    let cached = match said {
        Cached::Unsaid if aged => Cached::Hit,
        Cached::Unsaid | Cached::Miss if private => Cached::Never,
        said => said,
    };
    (word.map(|(_, text)| text.to_owned()), cached)
}

fn plain(word: &str) -> Cached {
    let word = word.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|w| word.contains(w));
    if has(&["STALE", "UPDATING"]) {
        Cached::Stale
    } else if has(&["MISS", "EXPIRED"]) {
        Cached::Miss
    } else if has(&["HIT", "REVALIDATED"]) {
        Cached::Hit
    } else if has(&["DYNAMIC", "BYPASS", "PASS", "NONE", "UNKNOWN"]) {
        Cached::Never
    } else {
        Cached::Unsaid
    }
}

/// RFC 9211: `name; hit; ttl=30`, or `name; fwd=stale; fwd-status=304`.
fn cache_status(hop: &str) -> Cached {
    let parameter = |wanted: &str| hop.split(';').skip(1).any(|p| p.trim() == wanted);
    match () {
        // Souin says both of an old copy that it serves.
        () if parameter("hit") && parameter("fwd=stale") => Cached::Stale,
        () if parameter("hit") => Cached::Hit,
        () if parameter("fwd=bypass") => Cached::Never,
        () if hop.contains("fwd=") => Cached::Miss,
        () => Cached::Unsaid,
    }
}

/// Where the edge that answered stands.
pub fn pop<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let last = |text: &'a str, at: char| text.rsplit_once(at).map(|(_, pop)| pop.trim());
    let pop = header("cf-ray").and_then(|ray| last(ray, '-'));
    let pop = pop.or_else(|| header("x-amz-cf-pop"));
    let pop = pop.or_else(|| header("x-served-by").and_then(|by| last(by, '-')));
    let bunny = || header("server").and_then(|s| s.strip_prefix("BunnyCDN-")?.split('-').next());
    pop.or_else(bunny).map(str::to_owned)
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

/// So many right answers in a row, none of them from a cache, mean that it keeps none.
const ENOUGH: u32 = 5;

/// What may be claimed after `row` right answers in a row, the last of which was this one; `None` asks for one more.
pub fn claim(row: u32, last: Cached) -> Option<Claim> {
    match last {
        _ if row < 2 => None,
        Cached::Hit => Some(Claim::Observed),
        Cached::Never => Some(Claim::NotCached),
        Cached::Miss | Cached::Stale if row >= ENOUGH => Some(Claim::NotCached),
        Cached::Unsaid if row >= ENOUGH => Some(Claim::Unknown),
        _ => None,
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
        let since = Target { build: &build, twin: None, etag: None, since: Some(at("2026-11-24T12:00:00Z")) };
        let any = Target { since: None, ..since };
        assert!(seen(Some(200), Some("1.2.0"), None).proves(since));
        assert!(seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:59Z")).proves(since));
        assert!(!seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:00Z")).proves(since), "an old copy");
        let hit = |cached_at| Seen { cached: Cached::Hit, ..seen(Some(200), Some("1.2.0"), cached_at) };
        assert!(hit(Some("2026-11-24T12:00:03Z")).is_newer(since.since));
        assert!(!hit(Some("2026-11-24T12:00:01Z")).is_newer(since.since), "it may be from a second before");
        assert!(!hit(None).is_newer(since.since), "nobody knows how old it is");
        let miss = |cached_at| Seen { cached: Cached::Miss, ..hit(cached_at) };
        assert!(hit(None).is_newer(None) && miss(None).is_newer(since.since));
        assert!(!miss(Some("2026-11-24T11:00:00Z")).is_newer(since.since), "a shield's copy");
        assert!(seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:00Z")).proves(any));
        assert!(!seen(Some(200), Some("1.1.4"), None).proves(any));
        assert!(!seen(Some(200), None, None).proves(any));
        assert!(seen(Some(200), None, None).proves(Target { twin: Some(0), ..any }), "as at the origin");
        assert!(
            !seen(Some(200), Some("1.1.4"), None).proves(Target { twin: Some(0), ..any }),
            "it says another"
        );
        assert!(!seen(Some(500), Some("1.2.0"), None).proves(any));
        assert!(!Seen { rsc: true, ..seen(Some(200), Some("1.2.0"), None) }.proves(any));
        assert!(!Seen::silent("refused".into()).proves(any));
    }

    #[test]
    fn what_cannot_be_read_is_no_evidence_unless_it_is_the_document_that_was() {
        let build = Build { version: Some("1.2.0".into()), ..Build::default() };
        let since: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let target = |etag| Target { build: &build, twin: None, etag, since: Some(since) };
        let packed = |etag: Option<&str>, cached_at| Seen {
            status: Some(200),
            unreadable: true,
            etag: etag.map(str::to_owned),
            cached_at,
            ..Seen::default()
        };
        let (young, old) = (Some(since), Some(since - Duration::from_secs(9)));
        let table = [
            (packed(Some("a"), young), Some("a"), Evidence::Right),
            (packed(Some("a"), young), Some("b"), Evidence::None),
            (packed(Some("a"), young), None, Evidence::None),
            (packed(None, young), None, Evidence::None),
            (packed(Some("a"), old), Some("a"), Evidence::Wrong),
            (packed(None, old), None, Evidence::Wrong),
            (Seen { build: Some("1.1.4".into()), ..packed(Some("a"), None) }, Some("a"), Evidence::Wrong),
            (Seen { status: Some(500), ..packed(Some("a"), None) }, Some("a"), Evidence::Wrong),
        ];
        for (seen, etag, wanted) in table {
            assert_eq!(seen.evidence(target(etag)), wanted, "{seen:?} {etag:?}");
        }
    }

    #[test]
    fn every_edges_word_is_understood() {
        let table = [
            ("cf-cache-status", "HIT", Cached::Hit),
            ("cf-cache-status", "REVALIDATED", Cached::Hit),
            ("cf-cache-status", "EXPIRED", Cached::Miss),
            ("cf-cache-status", "UPDATING", Cached::Stale),
            ("cf-cache-status", "DYNAMIC", Cached::Never),
            ("x-cache", "MISS, HIT", Cached::Hit),
            ("x-cache", "HIT, MISS", Cached::Miss),
            ("x-cache", "Hit from cloudfront", Cached::Hit),
            ("x-cache", "RefreshHit from cloudfront", Cached::Hit),
            ("x-cache", "Error from cloudfront", Cached::Unsaid),
            ("x-cache", "TCP_REFRESH_MISS", Cached::Miss),
            ("x-cache-status", "BYPASS", Cached::Never),
            ("x-cache-status", "STALE", Cached::Stale),
            ("cdn-cache", "HIT", Cached::Hit),
            ("cache-status", "Origin; fwd=miss, Souin; hit; ttl=30", Cached::Hit),
            ("cache-status", "Souin; fwd=stale; fwd-status=304", Cached::Miss),
            ("cache-status", "Souin; hit; ttl=4; key=GET-http-shop.example-/; detail=DEFAULT", Cached::Hit),
            (
                "cache-status",
                "Souin; hit; ttl=-1; key=GET-http-a-/; detail=DEFAULT; fwd=stale",
                Cached::Stale,
            ),
            ("cache-status", "Souin; fwd=uri-miss; stored; key=GET-http-shop.example-/", Cached::Miss),
            ("age", "7", Cached::Hit),
            ("age", "0", Cached::Unsaid),
            ("x-nextjs-cache", "HIT", Cached::Unsaid),
            ("cache-control", "private, no-store", Cached::Never),
        ];
        for (name, value, wanted) in table {
            assert_eq!(verdict(|n| (n == name).then_some(value)).1, wanted, "{name}: {value}");
        }
    }

    #[test]
    fn the_place_is_read_from_what_each_vendor_sends() {
        let table = [
            ("cf-ray", "8c1f2e3d4b5a6978-SIN", "SIN"),
            ("x-served-by", "cache-iad-1, cache-jfk8-JFK", "JFK"),
            ("x-amz-cf-pop", "CGK51-P1", "CGK51-P1"),
            ("server", "BunnyCDN-SG1-900", "SG1"),
        ];
        for (name, value, wanted) in table {
            assert_eq!(pop(|n| (n == name).then_some(value)).as_deref(), Some(wanted));
        }
        assert_eq!(pop(|n| (n == "server").then_some("nginx")), None);
    }

    #[test]
    fn no_more_is_claimed_than_was_seen() {
        assert_eq!(claim(1, Cached::Hit), None, "once may be the answer that filled the cache");
        assert_eq!(claim(2, Cached::Hit), Some(Claim::Observed));
        assert_eq!(claim(2, Cached::Miss), None);
        assert_eq!(claim(ENOUGH, Cached::Miss), Some(Claim::NotCached));
        assert_eq!(claim(2, Cached::Never), Some(Claim::NotCached));
        assert_eq!(claim(ENOUGH, Cached::Unsaid), Some(Claim::Unknown));
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

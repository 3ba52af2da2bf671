//! A cache in front of an origin, for the stand-ins of vendors: keyed by URL, with tags, soft purges, and if wanted a shield behind
//! the edge. A page that was not purged goes on being the old one, whatever an API has answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::http::{Reply, Request, Server};

/// What a purge names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// One URL.
    Url(String),
    /// All URLs that begin so, without the scheme.
    Prefix(String),
    /// One path with its query, on whatever host.
    Path(String),
    /// All paths that begin so, on whatever host.
    PathPrefix(String),
    /// All of a host.
    Host(String),
    /// All with this tag in `Cache-Tag` (or `Surrogate-Key`, `xkey`).
    Tag(String),
    /// All with this key in `Surrogate-Key`, as Souin reads it: with a comma and a space between keys, and nothing else.
    Group(String),
    /// All.
    Everything,
}

struct Kept {
    reply: Reply,
    since: Instant,
    max_age: u64,
    stale: bool,
    /// Somebody asks the origin for a new one.
    asked: bool,
}

impl Kept {
    fn is(&self, key: &str, what: &What) -> bool {
        let bare = key.split_once("://").map_or(key, |(_, rest)| rest);
        let tags = |names: &[&str]| {
            let values = self.reply.headers.iter().filter(|(n, _)| names.contains(&n.as_str()));
            values.flat_map(|(_, v)| v.split([',', ' ']).map(str::to_owned)).collect::<Vec<_>>()
        };
        match what {
            What::Url(url) => key == url,
            What::Prefix(prefix) => bare.starts_with(prefix.as_str()),
            What::Path(path) => bare.find('/').is_some_and(|at| bare[at..] == **path),
            What::PathPrefix(path) => bare.find('/').is_some_and(|at| bare[at..].starts_with(path.as_str())),
            What::Host(host) => bare.split('/').next() == Some(host),
            What::Tag(tag) => tags(&["cache-tag", "surrogate-key", "xkey"]).contains(tag),
            What::Group(key) => {
                let values = self.reply.headers.iter().filter(|(name, _)| name == "surrogate-key");
                values.flat_map(|(_, value)| value.split(", ")).any(|own| own.trim() == key)
            }
            What::Everything => true,
        }
    }
}

/// How an edge says where a copy came from.
pub type Verdict = fn(&str) -> (&'static str, String);

/// One tier.
#[derive(Clone)]
pub struct Cache {
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    verdict: Verdict,
}

impl Cache {
    /// An empty one, whose verdict goes into a header of the vendor's.
    pub fn new(verdict: Verdict) -> Self {
        Cache { kept: Arc::default(), verdict }
    }

    /// Answers for it in front of an origin (or of another tier).
    pub fn serve(&self, origin: &str) -> Server {
        let (ours, origin) = (self.clone(), origin.trim_end_matches('/').to_owned());
        Server::start(move |request| ours.answer(&origin, request))
    }

    /// Drops, or marks as stale; how many there were.
    pub fn purge(&self, what: &What, soft: bool) -> usize {
        let mut kept = self.kept.lock().expect("cache");
        let keys: Vec<String> = kept.iter().filter(|(k, v)| v.is(k, what)).map(|(k, _)| k.clone()).collect();
        for key in &keys {
            match kept.get_mut(key) {
                Some(copy) if soft => (copy.stale, copy.asked) = (true, false),
                _ => drop(kept.remove(key)),
            }
        }
        keys.len()
    }

    fn answer(&self, origin: &str, request: &Request) -> Reply {
        let key = format!("http://{}{}", request.header("host"), request.target);
        let said = |reply: Reply, word: &str| {
            let (name, value) = (self.verdict)(word);
            reply.with(name, value)
        };
        let copy = self.kept.lock().expect("cache").get_mut(&key).map(|k| {
            // Of many who come at once one asks the origin, as caches do that collapse requests.
            let first = k.stale && !std::mem::replace(&mut k.asked, true);
            (k.reply.clone(), k.since.elapsed().as_secs(), k.max_age, k.stale, first)
        });
        match copy {
            // The old copy once more, while the origin is asked.
            Some((old, age, _, true, first)) => {
                if first {
                    self.fetch(origin, &key, request);
                }
                said(old.with("Age", age), "STALE")
            }
            Some((old, age, max_age, false, _)) if age < max_age => said(old.with("Age", age), "HIT"),
            _ => {
                let (reply, cacheable) = self.fetch(origin, &key, request);
                said(reply, if cacheable { "MISS" } else { "DYNAMIC" })
            }
        }
    }

    fn fetch(&self, origin: &str, key: &str, request: &Request) -> (Reply, bool) {
        let config = ureq::config::Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build();
        let ask = ureq::Agent::new_with_config(config).get(format!("{origin}{}", request.target));
        let Ok(mut answer) = ask.header("Host", request.header("host")).call() else {
            return (Reply::text(522, "text/html", "connection timed out"), false);
        };
        let mut reply = Reply { status: answer.status().as_u16(), headers: Vec::new(), body: Vec::new() };
        let ours = ["content-length", "connection", "transfer-encoding", "age"];
        for (name, value) in answer.headers().iter().filter(|(name, _)| !ours.contains(&name.as_str())) {
            reply.headers.push((name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        }
        reply.body = answer.body_mut().read_to_vec().unwrap_or_default();
        let control =
            reply.headers.iter().find(|(n, _)| n == "cache-control").map_or("", |(_, v)| v.as_str());
        let max_age = control.split("s-maxage=").nth(1).and_then(|v| v.split(',').next());
        let Some(max_age) = max_age.and_then(|v| v.trim().parse().ok()) else { return (reply, false) };
        let copy = Kept { reply: reply.clone(), since: Instant::now(), max_age, stale: false, asked: false };
        self.kept.lock().expect("cache").insert(key.to_owned(), copy);
        (reply, true)
    }
}

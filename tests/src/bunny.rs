//! Bunny's purge API with a real cache behind it, with both its traps: a URL that ends in `/` is a prefix unless it says
//! `exactPath=true`, and a purge of the zone without a tag is the whole zone.

use serde_json::{Value, json};

use crate::cache::{Cache, What};
use crate::http::{Reply, Request, Server};

/// The stand-in: the API and the edge.
pub struct Bunny {
    api: Server,
    edge: Server,
}

impl Bunny {
    /// Starts the API for one pull zone and one account key, and an edge in front of an origin.
    pub fn start(zone: &str, key: &str, origin: &str) -> Self {
        let cache = Cache::new(|word| ("CDN-Cache", word.to_owned()));
        let edge = cache.serve(origin);
        let (zone, key) = (zone.to_owned(), key.to_owned());
        Bunny { api: Server::start(move |request| answer(&cache, &zone, &key, request)), edge }
    }

    /// The API: URL, log, faults.
    pub fn api(&self) -> &Server {
        &self.api
    }

    /// The edge.
    pub fn edge(&self) -> &Server {
        &self.edge
    }
}

fn answer(cache: &Cache, zone: &str, key: &str, request: &Request) -> Reply {
    if request.header("accesskey") != key {
        return Reply::json(401, json!({ "Message": "Authorization has been denied for this request." }));
    }
    let missing = json!({ "ErrorKey": "pullZone.not_found", "Field": "PullZone", "Message": "The requested Pull Zone was not found" });
    let query = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    match (request.method.as_str(), request.segments().as_slice()) {
        ("GET", ["pullzone", id]) if *id == zone => Reply::json(200, json!({ "Id": zone })),
        ("POST", ["pullzone", id, "purgeCache"]) if *id == zone => {
            let tag = request.json().and_then(|b| b["CacheTag"].as_str().map(str::to_owned));
            cache.purge(&tag.map_or(What::Everything, What::Tag), false);
            Reply { status: 204, headers: Vec::new(), body: Vec::new() }
        }
        (_, ["pullzone", ..]) => Reply::json(404, missing),
        ("POST", ["purge"]) if !query("url").is_empty() => {
            let (url, exact) = (query("url"), query("exactPath") == "true");
            let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
            let prefix = bare.strip_suffix('*').or(Some(bare).filter(|b| b.ends_with('/') && !exact));
            cache.purge(
                &prefix.map_or_else(|| What::Url(url.to_owned()), |p| What::Prefix(p.to_owned())),
                false,
            );
            Reply { status: 200, headers: Vec::new(), body: Vec::new() }
        }
        _ => Reply::json(
            400,
            json!({ "ErrorKey": "purge.url_invalid", "Field": "Url", "Message": Value::Null }),
        ),
    }
}

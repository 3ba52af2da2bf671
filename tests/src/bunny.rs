//! Bunny's purge API with a real cache behind it, with both its traps: a URL that ends in `/` is a prefix unless it says
//! `exactPath=true`, and a purge of the zone without a tag is the whole zone.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cache::{Cache, What};
use crate::http::{Reply, Request, Server};

/// The stand-in: the API and the edge.
pub struct Bunny {
    api: Server,
    edge: Server,
    hosts: Arc<Mutex<Vec<String>>>,
}

impl Bunny {
    /// Starts the API for one pull zone and one account key, and an edge in front of an origin.
    pub fn start(zone: &str, key: &str, origin: &str) -> Self {
        let cache = Cache::new(|word| ("CDN-Cache", word.to_owned()));
        let edge = cache.serve(origin);
        let (zone, key) = (zone.to_owned(), key.to_owned());
        let hosts = Arc::new(Mutex::new(vec!["127.0.0.1".to_owned()]));
        let ours = Arc::clone(&hosts);
        let api = Server::start(move |request| {
            let hosts = ours.lock().expect("hosts").clone();
            answer(&cache, &zone, &key, &hosts, request)
        });
        Bunny { api, edge, hosts }
    }

    /// From now on the pull zone has these hostnames beside its own.
    pub fn covers(&self, hosts: &[&str]) {
        *self.hosts.lock().expect("hosts") = hosts.iter().map(|host| (*host).to_owned()).collect();
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

/// The pull zone as its owner sees it; its own hostname is always there.
fn shown(zone: &str, hosts: &[String]) -> Value {
    let name = |value: &str, system: bool| json!({ "Id": 1, "Value": value, "ForceSSL": false, "IsSystemHostname": system, "HasCertificate": true });
    let own = name("shop.b-cdn.net", true);
    let names: Vec<Value> = [own].into_iter().chain(hosts.iter().map(|host| name(host, false))).collect();
    json!({ "Id": zone.parse::<u64>().ok(), "Name": "shop", "Enabled": true, "Hostnames": names })
}

fn answer(cache: &Cache, zone: &str, key: &str, hosts: &[String], request: &Request) -> Reply {
    if request.header("accesskey") != key {
        return Reply::json(401, json!({ "Message": "Authorization has been denied for this request." }));
    }
    let missing = json!({ "ErrorKey": "pullZone.not_found", "Field": "PullZone", "Message": "The requested Pull Zone was not found" });
    let query = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
    match (request.method.as_str(), request.segments().as_slice()) {
        ("GET", ["pullzone", id]) if *id == zone => Reply::json(200, shown(zone, hosts)),
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

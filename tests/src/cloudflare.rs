//! Cloudflare's purge API with a real cache behind it: an edge in front of an origin, keyed by URL. A page that was not
//! purged goes on being the old one, whatever the API has answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};

/// The most that one request may name.
const LIMIT: usize = 100;

struct Kept {
    reply: Reply,
    since: Instant,
    max_age: u64,
}

type Cache = Arc<Mutex<BTreeMap<String, Kept>>>;

/// The stand-in: the API and the edge.
pub struct Cloudflare {
    api: Server,
    edge: Server,
}

impl Cloudflare {
    /// Starts the API for one zone and one token, and an edge in front of an origin.
    pub fn start(zone: &str, token: &str, origin: &str) -> Self {
        let cache = Cache::default();
        let origin = origin.trim_end_matches('/').to_owned();
        let ours = Arc::clone(&cache);
        let edge = Server::start(move |request| serve(&ours, &origin, request));
        let (zone, token) = (zone.to_owned(), token.to_owned());
        let api = Server::start(move |request| answer(&cache, &zone, &token, request));
        Cloudflare { api, edge }
    }

    /// The API: URL, log, faults.
    pub fn api(&self) -> &Server {
        &self.api
    }

    /// The edge: URL, log, faults.
    pub fn edge(&self) -> &Server {
        &self.edge
    }
}

fn serve(cache: &Cache, origin: &str, request: &Request) -> Reply {
    let key = format!("http://{}{}", request.header("host"), request.path);
    if let Some(kept) = cache.lock().expect("cache").get(&key) {
        let age = kept.since.elapsed().as_secs();
        if age < kept.max_age {
            return kept.reply.clone().with("Age", age).with("CF-Cache-Status", "HIT");
        }
    }
    let config = ureq::config::Config::builder().http_status_as_error(false).proxy(None).build();
    let asked = ureq::Agent::new_with_config(config).get(format!("{origin}{}", request.path)).call();
    let Ok(mut answer) = asked else { return Reply::text(522, "text/html", "connection timed out") };
    let mut reply = Reply { status: answer.status().as_u16(), headers: Vec::new(), body: Vec::new() };
    for (name, value) in answer.headers() {
        if !["content-length", "connection", "transfer-encoding"].contains(&name.as_str()) {
            reply.headers.push((name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        }
    }
    reply.body = answer.body_mut().read_to_vec().unwrap_or_default();
    let control = reply.headers.iter().find(|(n, _)| n == "cache-control").map_or("", |(_, v)| v.as_str());
    let max_age = control
        .split("s-maxage=")
        .nth(1)
        .and_then(|v| v.split(',').next())
        .and_then(|v| v.trim().parse().ok());
    match max_age {
        Some(max_age) if reply.status == 200 => {
            cache
                .lock()
                .expect("cache")
                .insert(key, Kept { reply: reply.clone(), since: Instant::now(), max_age });
            reply.with("CF-Cache-Status", "MISS")
        }
        _ => reply.with("CF-Cache-Status", "DYNAMIC"),
    }
}

fn envelope(status: u16, errors: &[(u64, &str)], result: &Value) -> Reply {
    let errors: Vec<Value> =
        errors.iter().map(|(code, text)| json!({ "code": code, "message": text })).collect();
    let body = json!({ "success": errors.is_empty(), "errors": errors, "messages": [], "result": result });
    Reply::json(status, body).with("Ratelimit", "\"default\";r=50;t=30")
}

fn answer(cache: &Cache, zone: &str, token: &str, request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {token}") {
        return envelope(403, &[(10000, "Authentication error")], &Value::Null);
    }
    let segments = request.segments();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["client", "v4", "user", "tokens", "verify"]) => {
            envelope(200, &[], &json!({ "id": "t", "status": "active" }))
        }
        ("POST", ["client", "v4", "zones", z, "purge_cache" | "invalidate_cache"]) if *z == zone => {
            purge(cache, request)
        }
        ("POST", ["client", "v4", "zones", ..]) => envelope(
            404,
            &[(7003, "Could not route to the zone, perhaps your object identifier is invalid?")],
            &Value::Null,
        ),
        _ => envelope(404, &[(7000, "No route for that URI")], &Value::Null),
    }
}

fn purge(cache: &Cache, request: &Request) -> Reply {
    let Some(Value::Object(body)) = request.json() else {
        return envelope(
            400,
            &[(1012, "Request must contain one of \"purge_everything\", \"files\" ...")],
            &Value::Null,
        );
    };
    let done = || envelope(200, &[], &json!({ "id": "023e105f4ecef8ad9ca31a8372d0c353" }));
    if body.len() == 1 && body.get("purge_everything") == Some(&Value::Bool(true)) {
        cache.lock().expect("cache").clear();
        return done();
    }
    let (Some(Value::Array(files)), 1) = (body.get("files"), body.len()) else {
        let text = "\"files\", \"tags\", \"hosts\" or \"prefixes\" must be an array";
        return envelope(400, &[(1014, text)], &Value::Null);
    };
    if files.len() > LIMIT {
        return envelope(400, &[(1094, "You may only purge a maximum of 100 files at a time")], &Value::Null);
    }
    let mut cache = cache.lock().expect("cache");
    for file in files.iter().filter_map(Value::as_str) {
        cache.remove(file);
    }
    done()
}

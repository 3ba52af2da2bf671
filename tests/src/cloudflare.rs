//! Cloudflare's purge API with a real cache behind it. It enforces the token, the shapes, the limits, and if wanted the token
//! bucket of a plan.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cache::{Cache, What};
use crate::http::{Reply, Request, Server};

/// Requests that may come at once, and the time in which one more may.
struct Bucket {
    tokens: u32,
    every: Duration,
    at: Instant,
}

struct Zone {
    cache: Cache,
    zone: String,
    token: String,
    /// The most that one request may name.
    limit: Mutex<usize>,
    bucket: Mutex<Option<Bucket>>,
    /// The zone's name; `None` when this token may not read the zone.
    name: Mutex<Option<String>>,
    /// Names of others that lead here (Cloudflare for SaaS).
    custom: Mutex<Vec<String>>,
}

/// The stand-in: the API and the edge.
pub struct Cloudflare {
    api: Server,
    edge: Server,
    zone: Arc<Zone>,
}

impl Cloudflare {
    /// Starts the API for one zone and one token, and an edge in front of an origin.
    pub fn start(zone: &str, token: &str, origin: &str) -> Self {
        let cache = Cache::new(|word| ("CF-Cache-Status", word.to_owned()));
        let edge = cache.serve(origin);
        let zone = Arc::new(Zone {
            cache,
            zone: zone.to_owned(),
            token: token.to_owned(),
            limit: Mutex::new(100),
            bucket: Mutex::default(),
            name: Mutex::new(Some("127.0.0.1".to_owned())),
            custom: Mutex::default(),
        });
        let ours = Arc::clone(&zone);
        let api = Server::start(move |request| ours.answer(request));
        Cloudflare { api, edge, zone }
    }

    /// The API: URL, log, faults.
    pub fn api(&self) -> &Server {
        &self.api
    }

    /// The edge: URL, log, faults.
    pub fn edge(&self) -> &Server {
        &self.edge
    }

    /// From now on one request may name only so many.
    pub fn limit(&self, items: usize) {
        *self.zone.limit.lock().expect("limit") = items;
    }

    /// From now on the zone has this name, or is one that the token may only purge.
    pub fn named(&self, name: Option<&str>) {
        *self.zone.name.lock().expect("name") = name.map(str::to_owned);
    }

    /// From now on this name of somebody else leads here.
    pub fn custom_hostname(&self, name: &str) {
        self.zone.custom.lock().expect("names").push(name.to_owned());
    }

    /// From now on so many requests pass at once, and then one in each such time.
    pub fn bucket(&self, tokens: u32, every: Duration) {
        let bucket = Bucket { tokens, every, at: Instant::now() };
        *self.zone.bucket.lock().expect("bucket") = Some(bucket);
    }
}

fn envelope(status: u16, errors: &[(u64, &str)], result: &Value) -> Reply {
    let errors: Vec<Value> =
        errors.iter().map(|(code, text)| json!({ "code": code, "message": text })).collect();
    let body = json!({ "success": errors.is_empty(), "errors": errors, "messages": [], "result": result });
    Reply::json(status, body).with("Ratelimit", "\"default\";r=50;t=30")
}

impl Zone {
    fn answer(&self, request: &Request) -> Reply {
        if request.header("authorization") != format!("Bearer {}", self.token) {
            return envelope(403, &[(10000, "Authentication error")], &Value::Null);
        }
        match (request.method.as_str(), request.segments().as_slice()) {
            ("GET", ["client", "v4", "user", "tokens", "verify"]) => {
                envelope(200, &[], &json!({ "id": "t", "status": "active" }))
            }
            ("GET", ["client", "v4", "zones", z, rest @ ..]) if *z == self.zone => self.shown(rest, request),
            ("POST", ["client", "v4", "zones", z, verb @ ("purge_cache" | "invalidate_cache")])
                if *z == self.zone =>
            {
                if self.is_over_its_rate() {
                    let text = "Unable to purge, rate limit reached. Please wait and consider throttling your request speed";
                    return envelope(429, &[(1134, text)], &Value::Null).with("Retry-After", 1);
                }
                self.purge(request, *verb == "invalidate_cache")
            }
            (_, ["client", "v4", "zones", ..]) => {
                let text = "Could not route to the zone, perhaps your object identifier is invalid?";
                envelope(404, &[(7003, text)], &Value::Null)
            }
            _ => envelope(404, &[(7000, "No route for that URI")], &Value::Null),
        }
    }

    /// The zone, or its custom hostnames, for who may read them.
    fn shown(&self, rest: &[&str], request: &Request) -> Reply {
        let Some(name) = self.name.lock().expect("name").clone() else {
            return envelope(403, &[(9109, "Unauthorized to access requested resource")], &Value::Null);
        };
        match rest {
            [] => {
                let zone = json!({ "id": self.zone, "name": name, "status": "active", "paused": false, "type": "full" });
                envelope(200, &[], &zone)
            }
            ["custom_hostnames"] => {
                let wanted = request.query.get("hostname");
                let custom = self.custom.lock().expect("names").clone();
                let fit = custom.iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
                let fit = fit.map(|name| json!({ "id": "c", "hostname": name, "status": "active" }));
                envelope(200, &[], &fit.collect())
            }
            _ => envelope(404, &[(7000, "No route for that URI")], &Value::Null),
        }
    }

    fn is_over_its_rate(&self) -> bool {
        let mut bucket = self.bucket.lock().expect("bucket");
        let Some(bucket) = bucket.as_mut() else { return false };
        while bucket.at.elapsed() >= bucket.every {
            bucket.at += bucket.every;
            bucket.tokens += 1;
        }
        let over = bucket.tokens == 0;
        bucket.tokens = bucket.tokens.saturating_sub(1);
        over
    }

    fn purge(&self, request: &Request, soft: bool) -> Reply {
        let bad = |code, text: &str| envelope(400, &[(code, text)], &Value::Null);
        let Some(Value::Object(body)) = request.json() else {
            return bad(1012, "Request must contain one of \"purge_everything\", \"files\" ...");
        };
        let done = || envelope(200, &[], &json!({ "id": "023e105f4ecef8ad9ca31a8372d0c353" }));
        let Some((key, value)) = body.iter().next().filter(|_| body.len() == 1) else {
            return bad(
                1012,
                "Request must contain exactly one of \"files\", \"tags\", \"hosts\", \"prefixes\"",
            );
        };
        if key == "purge_everything" && *value == Value::Bool(true) {
            self.cache.purge(&What::Everything, soft);
            return done();
        }
        let (Some(items), true) =
            (value.as_array(), ["files", "tags", "hosts", "prefixes"].contains(&key.as_str()))
        else {
            return bad(1014, "\"files\", \"tags\", \"hosts\" or \"prefixes\" must be an array");
        };
        let limit = *self.limit.lock().expect("limit");
        if items.is_empty() || items.len() > limit {
            return bad(1094, &format!("You may only purge a maximum of {limit} {key} at a time"));
        }
        for item in items.iter().filter_map(Value::as_str).map(str::to_owned) {
            let what = match key.as_str() {
                "files" => What::Url(item),
                "tags" => What::Tag(item),
                "hosts" => What::Host(item),
                _ if item.contains("://") || item.contains('?') => {
                    return bad(1015, "a prefix has no scheme and no query");
                }
                _ => What::Prefix(item),
            };
            self.cache.purge(&what, soft);
        }
        done()
    }
}

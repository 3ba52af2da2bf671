//! Fastly's purge API with a real cache behind it, and a shield behind that: a soft purge may be answered by the shield's old copy,
//! which the edge then keeps as if it were new.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::cache::{Cache, What};
use crate::http::{Reply, Request, Server};

/// The most that one request may name.
const KEYS: usize = 256;

/// The stand-in: the API, the edge, and the shield between it and the origin.
pub struct Fastly {
    api: Server,
    edge: Server,
    _shield: Server,
    domains: Arc<Mutex<Domains>>,
}

/// The hosts of the service.
#[derive(Clone)]
struct Domains {
    /// Those of the active version; `None` when this token may not read them.
    of_version: Option<Vec<String>>,
    /// Those that belong to no version.
    versionless: Vec<String>,
}

impl Fastly {
    /// Starts the API for one service and one token, and two tiers in front of an origin.
    pub fn start(service: &str, token: &str, origin: &str) -> Self {
        let verdict = |word: &str| ("X-Cache", format!("MISS, {word}"));
        let (inner, outer) = (Cache::new(|_| ("X-Shield", "1".to_owned())), Cache::new(verdict));
        let shield = inner.serve(origin);
        let edge = outer.serve(&shield.url());
        let (service, token) = (service.to_owned(), token.to_owned());
        let domains = Domains { of_version: Some(vec!["127.0.0.1".to_owned()]), versionless: Vec::new() };
        let domains = Arc::new(Mutex::new(domains));
        let ours = Arc::clone(&domains);
        let api = Server::start(move |request| {
            let domains = ours.lock().expect("domains").clone();
            answer(&[&outer, &inner], &service, &token, &domains, request)
        });
        Fastly { api, edge, _shield: shield, domains }
    }

    /// From now on these are the domains of the active version (`None`: this token may not read them), and these of none.
    pub fn covers(&self, of_version: Option<&[&str]>, versionless: &[&str]) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let domains = Domains { of_version: of_version.map(owned), versionless: owned(versionless) };
        *self.domains.lock().expect("domains") = domains;
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

fn answer(tiers: &[&Cache], service: &str, token: &str, domains: &Domains, request: &Request) -> Reply {
    if request.header("fastly-key") != token {
        return Reply::json(401, json!({ "msg": "Provided credentials are missing or invalid" }));
    }
    let soft = !request.header("fastly-soft-purge").is_empty();
    let purge = |what: &What, soft: bool| tiers.iter().map(|tier| tier.purge(what, soft)).sum::<usize>();
    let ok = || {
        Reply::json(200, json!({ "status": "ok", "id": "108-1391560174-974124" }))
            .with("Fastly-RateLimit-Remaining", 99_000)
    };
    match (request.method.as_str(), request.segments().as_slice()) {
        ("GET", path) => shown(service, domains, path, request),
        ("POST", ["service", id, "purge_all"]) if *id == service => {
            purge(&What::Everything, false);
            Reply::json(200, json!({ "status": "ok" }))
        }
        ("POST", ["service", id, "purge"]) if *id == service => {
            let keys = keys(request);
            for key in &keys {
                purge(&What::Tag(key.clone()), soft);
            }
            keyed(&keys)
        }
        ("POST", ["purge", ..]) => {
            let target = &request.target;
            purge(&What::Url(format!("http://{}", target.trim_start_matches("/purge/"))), soft);
            ok()
        }
        _ => missing(),
    }
}

fn missing() -> Reply {
    Reply::json(404, json!({ "msg": "Record not found", "detail": "Cannot find service" }))
}

/// The service with its versions, the domains of the active one, and those of none.
fn shown(service: &str, domains: &Domains, path: &[&str], request: &Request) -> Reply {
    let asked = request.query.get("service_id").map(String::as_str);
    match path {
        ["service", id] if *id == service => {
            let versions = json!([{ "number": 1, "active": false }, { "number": 2, "active": true }]);
            Reply::json(200, json!({ "id": id, "name": "shop", "type": "vcl", "versions": versions }))
        }
        ["service", id, "version", "2", "domain"] if *id == service => match &domains.of_version {
            Some(names) => Reply::json(
                200,
                names.iter().map(|name| json!({ "name": name, "service_id": id, "version": 2 })).collect(),
            ),
            None => Reply::json(403, json!({ "msg": "You are not authorized to perform this action" })),
        },
        ["domain-management", "v1", "domains"] if asked == Some(service) => {
            let names = domains.versionless.iter();
            let data: Value = names.map(|name| json!({ "fqdn": name, "service_id": service })).collect();
            Reply::json(200, json!({ "data": data, "meta": { "limit": 100, "next_cursor": null } }))
        }
        _ => missing(),
    }
}

fn keys(request: &Request) -> Vec<String> {
    let body = request.json().unwrap_or_default();
    let keys = body["surrogate_keys"].as_array().into_iter().flatten();
    let keys: Vec<String> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
    if keys.len() > KEYS { Vec::new() } else { keys }
}

/// An id for each key; too many (or none) are refused as a whole.
fn keyed(keys: &[String]) -> Reply {
    if keys.is_empty() {
        let reason = "Batch surrogate key request only supports up to 256 surrogate keys";
        return Reply::json(400, json!({ "status": "fail", "reason": reason }));
    }
    let ids = keys.iter().map(|key| (key.clone(), json!("108-1")));
    Reply::json(200, ids.collect::<serde_json::Map<_, _>>().into())
}

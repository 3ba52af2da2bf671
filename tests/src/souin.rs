//! Souin's API with a real cache behind it, as Caddy has them: the cache serves pages, and the API answers beside Caddy's own on
//! the port for its administrator, for whom a foreign `Host` is refused. After Souin's documentation and source (v1.7), which
//! this is not: an exact key (`GET-http-host-/path`), keys of a group in `Surrogate-Key` with `, ` between them, all by `flush`;
//! and 204 to every purge, whether anything was there or not.

use crate::cache::{Cache, What};
use crate::http::{Reply, Request, Server};

/// The name under which Caddy lets its administrator in.
pub const ADMIN: &str = "localhost:2019";
/// Where the API lies.
const API: &str = "/souin-api/souin";

/// The stand-in: the API and the cache.
pub struct Souin {
    api: Server,
    edge: Server,
}

impl Souin {
    /// Starts in front of an origin.
    pub fn start(origin: &str) -> Self {
        let cache = Cache::new(verdict);
        let edge = cache.serve(origin);
        Souin { api: Server::start(move |request| answer(&cache, request)), edge }
    }

    /// The API: URL, log, faults.
    pub fn api(&self) -> &Server {
        &self.api
    }

    /// The cache.
    pub fn edge(&self) -> &Server {
        &self.edge
    }
}

/// RFC 9211, with Souin's own parameters.
fn verdict(word: &str) -> (&'static str, String) {
    let said = match word {
        "HIT" => "Souin; hit; ttl=3599; key=GET-http-shop.example-/; detail=DEFAULT",
        "STALE" => "Souin; hit; ttl=-1; key=GET-http-shop.example-/; detail=DEFAULT; fwd=stale",
        "MISS" => "Souin; fwd=uri-miss; stored; key=GET-http-shop.example-/",
        _ => "Souin; fwd=bypass; detail=NO-STORE-DIRECTIVE",
    };
    ("Cache-Status", said.to_owned())
}

fn answer(cache: &Cache, request: &Request) -> Reply {
    if request.header("host") != ADMIN {
        return Reply::text(403, "application/json", "{\"error\":\"host not allowed\"}");
    }
    let Some(below) = request.target.strip_prefix(API) else {
        return Reply::text(404, "text/plain", "no such API");
    };
    if request.method != "PURGE" {
        return Reply::text(200, "application/json", "[]");
    }
    match below.trim_start_matches('/') {
        "" => {
            for key in request.header("surrogate-key").split(", ").map(str::trim) {
                cache.purge(&What::Group(key.to_owned()), false);
            }
        }
        "flush" => drop(cache.purge(&What::Everything, false)),
        key => {
            let url = key.strip_prefix("GET-http-").and_then(|rest| rest.split_once("-/"));
            if let Some((host, path)) = url {
                cache.purge(&What::Url(format!("http://{host}/{path}")), false);
            }
        }
    }
    Reply { status: 204, headers: Vec::new(), body: Vec::new() }
}

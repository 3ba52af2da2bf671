//! The pages as the edge and the origin serve them: asked as anybody would ask, because a request that goes round the cache says
//! nothing about it.

use std::time::Duration;

use http_client::{Call, Client};
use jiff::Timestamp;
use step::{Failure, Marker};
use url::Url;

use crate::plan::{self, Seen};

/// Asks pages.
pub struct Edge<'a> {
    pub client: &'a Client<'a>,
    pub marker: &'a Marker,
}

impl Edge<'_> {
    /// A page through the edge.
    pub fn page(&self, page: &Url) -> Result<Seen, Failure> {
        self.ask(&Call::new("GET", page.as_str()))
    }

    /// A page past the edge, from the origin.
    pub fn origin(&self, origin: &Url, page: &Url) -> Result<Seen, Failure> {
        self.ask(&Call::new("GET", plan::at(origin, page).as_str()).header("Host", plan::host(page)))
    }

    fn ask(&self, call: &Call) -> Result<Seen, Failure> {
        let reply = match self.client.send(call)? {
            Ok(reply) => reply,
            Err(lost) => return Ok(Seen::silent(lost.why)),
        };
        let age = reply.header("age").and_then(|age| age.trim().parse().ok()).map(Duration::from_secs);
        let verdict = ["cf-cache-status", "cache-status", "x-cache", "x-cache-status", "cdn-cache"];
        Ok(Seen {
            status: Some(reply.status),
            build: self.marker.read(|name| reply.header(name).map(str::to_owned), &reply.body),
            cached_at: age.map(|age| Timestamp::now() - age),
            verdict: verdict.into_iter().find_map(|name| reply.header(name)).map(str::to_owned),
            problem: None,
        })
    }
}

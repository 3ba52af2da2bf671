//! The pages as the edge and the origin serve them: asked as anybody would ask, because a request that goes round the cache says
//! nothing about it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use http_client::{Call, Client, Reply};
use jiff::Timestamp;
use step::{Failure, Marker};
use url::Url;

use crate::seen::{self, Seen};
use crate::select;

/// Asks pages.
pub struct Edge<'a> {
    pub client: &'a Client<'a>,
    pub marker: &'a Marker,
}

impl Edge<'_> {
    /// A page through the edge.
    pub fn page(&self, page: &Url) -> Result<Seen, Failure> {
        Ok(self.document(page)?.0)
    }

    /// A page through the edge, and what it is made of.
    pub fn document(&self, page: &Url) -> Result<(Seen, String), Failure> {
        self.ask(&Call::new("GET", page.as_str()))
    }

    /// A page past the edge, from the origin.
    pub fn origin(&self, origin: &Url, page: &Url) -> Result<Seen, Failure> {
        let call = Call::new("GET", select::at(origin, page).as_str()).header("Host", select::host(page));
        Ok(self.ask(&call)?.0)
    }

    /// What a page needs to run: its status and media type.
    pub fn asset(&self, asset: &Url) -> Result<Result<(u16, String), String>, Failure> {
        let answer = self.client.send(&Call::new("GET", asset.as_str()))?;
        let kind = |reply: Reply| (reply.status, reply.header("content-type").unwrap_or_default().to_owned());
        Ok(answer.map(kind).map_err(|lost| lost.why))
    }

    fn ask(&self, call: &Call) -> Result<(Seen, String), Failure> {
        // Browsers ask for a document; an edge that ignores `Vary: rsc` may have React's wire format for it all the same.
        let call = call.clone().header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        match self.client.send(&call)? {
            Ok(reply) => Ok((self.seen(&reply), reply.body)),
            Err(lost) => Ok((Seen::silent(lost.why), String::new())),
        }
    }

    fn seen(&self, reply: &Reply) -> Seen {
        let age = reply.header("age").and_then(|age| age.trim().parse().ok()).map(Duration::from_secs);
        let (verdict, cached) = seen::verdict(|name| reply.header(name));
        let build = self.marker.read(|name| reply.header(name).map(str::to_owned), &reply.body);
        let constant = build.is_none() && reply.body.contains(Marker::CONSTANT);
        let kind = reply.header("content-type").unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        reply.body.hash(&mut hasher);
        Seen {
            status: Some(reply.status),
            build,
            digest: hasher.finish(),
            cached_at: age.map(|age| Timestamp::now() - age),
            verdict,
            cached,
            pop: seen::pop(|name| reply.header(name)),
            rsc: kind.starts_with("text/x-component"),
            problem: constant.then(|| {
                "Next.js gives every build the same id once deploymentId is set: use marker = \"next\""
                    .to_owned()
            }),
        }
    }
}

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
use crate::variant::{self, Variant};

/// The media type of React's wire format.
const WIRE: &str = "text/x-component";
/// Why a page that has a build id says nothing.
const CONSTANT: &str =
    "Next.js gives every build the same id once deploymentId is set: use marker = \"next\"";

/// Asks pages.
pub struct Edge<'a> {
    pub client: &'a Client<'a>,
    pub marker: &'a Marker,
}

impl Edge<'_> {
    /// A page through the edge, plain or in another form.
    pub fn page(&self, page: &Url, variant: Option<Variant>) -> Result<Seen, Failure> {
        let call = Call::new("GET", page.as_str());
        let Some(variant) = variant else {
            // Of the page itself, no evidence is no.
            return Ok(Seen { unreadable: false, ..self.ask(&call)?.0 });
        };
        let (name, value) = variant.header();
        if variant == Variant::Rsc {
            return self.rsc(page, &call.header(name, value));
        }
        Ok(self.ask(&call.header(name, value))?.0)
    }

    /// A page through the edge, and what it is made of.
    pub fn document(&self, page: &Url) -> Result<(Seen, String), Failure> {
        self.ask(&Call::new("GET", page.as_str()))
    }

    /// React's wire format. Next.js sends whoever asks for it without a hash of the request's headers to the address that has
    /// one (`?_rsc=`): that is the one that browsers use, and that the edge keeps.
    fn rsc(&self, page: &Url, call: &Call) -> Result<Seen, Failure> {
        let mut answer = self.client.send(call)?;
        let hashed = |reply: &Reply| {
            let moved = [307, 308].contains(&reply.status).then(|| reply.header("location")).flatten()?;
            let url = page.join(moved).ok()?;
            let ours = url.origin() == page.origin() && url.query_pairs().any(|(name, _)| name == "_rsc");
            ours.then_some(url)
        };
        if let Some(url) = answer.as_ref().ok().and_then(hashed) {
            let (name, value) = Variant::Rsc.header();
            answer = self.client.send(&Call::new("GET", url.as_str()).header(name, value))?;
        }
        Ok(answer.map_or_else(|lost| Seen::silent(lost.why), |reply| self.wire(&reply)))
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
        // What is compressed is not unpacked: then only headers speak.
        let encoding = reply.header("content-encoding").unwrap_or("identity").trim();
        let packed = !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity");
        let body = if packed { "" } else { reply.body.as_str() };
        let build = self.marker.read(|name| reply.header(name).map(str::to_owned), body);
        let constant = build.is_none() && body.contains(Marker::CONSTANT);
        let unreadable = build.is_none() && packed;
        let problem = if constant {
            Some(CONSTANT.to_owned())
        } else {
            unreadable.then(|| format!("it is compressed by {encoding}, and no header says it"))
        };
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
            rsc: kind.starts_with(WIRE),
            etag: reply.header("etag").and_then(variant::etag),
            unreadable,
            problem,
        }
    }

    /// React's wire format: it says its build in other places than a document.
    fn wire(&self, reply: &Reply) -> Seen {
        let mut seen = self.seen(reply);
        if !seen.rsc {
            // A document says what it is by itself; that it is one is all that is to be said.
            let said = "it is answered with a document, not with text/x-component".to_owned();
            seen.problem.get_or_insert(said);
            return seen;
        }
        seen.rsc = false;
        let deployed = || reply.header("x-nextjs-deployment-id").map(str::to_owned);
        let flight = || variant::flight(&reply.body).filter(|id| id != Marker::CONSTANT);
        let header = matches!(self.marker, Marker::Header(_));
        seen.build = seen.build.take().or_else(|| if header { None } else { deployed().or_else(flight) });
        seen.unreadable = seen.build.is_none();
        seen.problem = seen.unreadable.then(|| "React's wire format says no build here".to_owned());
        seen.etag = None; // it has a validator of its own
        seen
    }
}

//! The pages as the edge and the origin serve them: asked as anybody would ask, because a request that goes round the cache says
//! nothing about it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_client::{Call, Client, Page};
use jiff::Timestamp;
use step::Failure;
use url::Url;
use web_page::Marker;

use crate::page::form::{self, Form};
use crate::page::normal::normal;
use crate::page::seen::Seen;
use crate::page::verdict;
use crate::select;

/// The media type of React's wire format.
const WIRE: &str = "text/x-component";
/// Why a page that has a build id says nothing.
const CONSTANT: &str =
    "Next.js gives every build the same id once deploymentId is set: use marker = \"next\"";
/// The most of a page that is read, packed and unpacked, in bytes.
const LIMIT: usize = 8 << 20;
/// Requests at the same time.
const THREADS: usize = 8;

/// Asks pages.
pub struct Edge<'a> {
    pub client: &'a Client<'a>,
    pub marker: &'a Marker,
    pub normalise: &'a [String],
}

/// One look at a page.
#[derive(Clone, Debug)]
pub struct Look {
    pub url: Url,
    /// The page's own host, where the URL is the origin's.
    pub host: Option<String>,
    pub form: Form,
    pub node: Option<SocketAddr>,
    /// Whether the origin has orders for caches alone, as far as it was asked.
    pub apart: Option<bool>,
    /// The longest that it may take.
    pub within: Duration,
}

impl Look {
    fn call(&self, url: &Url) -> Call {
        // A balancer hands out whole connections: whoever asks twice over one asks one node twice.
        let call = Call::new("GET", url.as_str()).at(self.node).alone().within(self.within);
        let call = self.host.iter().fold(call, |call, host| call.header("Host", host));
        self.form.headers.iter().fold(call, |call, (name, value)| call.header(name, value))
    }
}

impl Edge<'_> {
    /// Looks at many pages at the same time; the answers in the same order.
    pub fn all(&self, looks: &[Look]) -> Result<Vec<Seen>, Failure> {
        let next = AtomicUsize::new(0);
        let empty: Vec<Option<Result<Seen, Failure>>> = looks.iter().map(|_| None).collect();
        let done = Mutex::new(empty);
        std::thread::scope(|scope| {
            for _ in 0..THREADS.min(looks.len()) {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let Some(look) = looks.get(n) else { break };
                        let seen = self.page(look);
                        done.lock().unwrap_or_else(PoisonError::into_inner)[n] = Some(seen);
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.into_iter().map(|seen| seen.unwrap_or_else(|| Err(Failure::bug("a look was lost")))).collect()
    }

    /// Looks at a page once.
    pub fn page(&self, look: &Look) -> Result<Seen, Failure> {
        if look.form.wire {
            return self.wire(look);
        }
        Ok(self.document(look)?.0)
    }

    /// A page, and what it is made of.
    pub fn document(&self, look: &Look) -> Result<(Seen, String), Failure> {
        // Browsers ask for a document; an edge that ignores `Vary: rsc` may have React's wire format for it all the same.
        let mut call = look.call(&look.url);
        if !look.form.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            call = call.header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        }
        match self.client.fetch(&call, LIMIT as u64)? {
            Ok(page) => Ok(self.seen(&page, look.apart)),
            Err(lost) => Ok((Seen::silent(lost.why), String::new())),
        }
    }

    /// React's wire format. Next.js sends whoever asks for it without a hash of the request's headers to the address that has
    /// one (`?_rsc=`): that is the one that browsers use, and that the edge keeps.
    fn wire(&self, look: &Look) -> Result<Seen, Failure> {
        let mut answer = self.client.fetch(&look.call(&look.url), LIMIT as u64)?;
        let hashed = |page: &Page| {
            let moved = [307, 308].contains(&page.status).then(|| page.header("location")).flatten()?;
            let url = look.url.join(moved).ok()?;
            let ours = url.origin() == look.url.origin() && url.query_pairs().any(|(name, _)| name == "_rsc");
            ours.then_some(url)
        };
        if let Some(url) = answer.as_ref().ok().and_then(hashed) {
            answer = self.client.fetch(&look.call(&url), LIMIT as u64)?;
        }
        Ok(answer.map_or_else(|lost| Seen::silent(lost.why), |page| self.flight(&page, look.apart)))
    }

    /// What a page needs to run: its status and media type.
    pub fn asset(
        &self,
        asset: &Url,
        node: Option<SocketAddr>,
    ) -> Result<Result<(u16, String), String>, Failure> {
        let answer = self.client.ask(&Call::new("GET", asset.as_str()).at(node))?;
        let kind = |reply: http_client::Reply| {
            (reply.status, reply.header("content-type").unwrap_or_default().to_owned())
        };
        Ok(answer.map(kind).map_err(|lost| lost.why))
    }

    fn seen(&self, page: &Page, apart: Option<bool>) -> (Seen, String) {
        let age = page.header("age").and_then(|age| age.trim().parse().ok()).map(Duration::from_secs);
        let (verdict, cached) = verdict::verdict(|name| page.header(name), apart);
        let encoding = page.header("content-encoding").unwrap_or_default().to_owned();
        let mut seen = Seen {
            status: Some(page.status),
            cached_at: age.and_then(|age| Timestamp::now().checked_sub(age).ok()),
            verdict,
            cached,
            pop: verdict::pop(|name| page.header(name)),
            object: verdict::object(|name| page.header(name)),
            rsc: page.header("content-type").unwrap_or_default().starts_with(WIRE),
            location: page.header("location").map(str::to_owned),
            vary: page.header("vary").map(form::vary).unwrap_or_default(),
            apart: verdict::is_told_apart(|name| page.header(name)),
            ..Seen::default()
        };
        let cut = page.cut;
        let header = |name: &str| page.header(name).map(str::to_owned);
        // Of what was cut, the rest is missing before it is unpacked.
        let body = if cut && !encoding.is_empty() {
            Err("it is longer than is read here".to_owned())
        } else {
            web_page::unpack(&encoding, page.body.clone(), LIMIT).map_err(|packed| packed.why)
        };
        let text =
            body.as_ref().map(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        seen.cut = cut || body.as_ref().is_ok_and(|(_, more)| *more);
        seen.build = self.marker.read(header, &text);
        let constant = seen.build.is_none() && text.contains(Marker::CONSTANT);
        seen.unreadable = body.is_err() || (seen.cut && seen.build.is_none());
        seen.problem = match body {
            Err(why) if seen.build.is_none() => Some(why),
            _ if constant => Some(CONSTANT.to_owned()),
            _ => None,
        };
        let mut hasher = DefaultHasher::new();
        normal(&text, self.normalise).hash(&mut hasher);
        seen.digest = hasher.finish();
        (seen, text)
    }

    /// React's wire format: it says its build in other places than a document.
    fn flight(&self, page: &Page, apart: Option<bool>) -> Seen {
        let deployed = page.header("x-nextjs-deployment-id").map(str::to_owned);
        let (mut seen, text) = self.seen(page, apart);
        if !seen.rsc {
            // A document says what it is by itself; that it is one is all that is to be said.
            let said = "it is answered with a document, not with text/x-component".to_owned();
            seen.problem.get_or_insert(said);
            return seen;
        }
        seen.rsc = false;
        let own = || form::flight(&text).filter(|id| id != Marker::CONSTANT);
        let header = matches!(self.marker, Marker::Header(_));
        seen.build = seen.build.take().or_else(|| if header { None } else { deployed.or_else(own) });
        seen.unreadable = seen.build.is_none();
        seen.problem = seen.unreadable.then(|| "React's wire format says no build here".to_owned());
        seen
    }
}

/// A look past the edge, at the origin.
pub fn at_origin(origin: &Url, node: Option<SocketAddr>, page: &Url, form: &Form, within: Duration) -> Look {
    let (url, host) = (select::at(origin, page), Some(select::host(page)));
    Look { url, host, form: form.clone(), node, apart: None, within }
}

//! Short HTTP calls of the steps that make a few of them: under the step's deadline, with the system's trust store or what is named in
//! its place, and repeated only when that cannot do anything twice.

mod call;
mod page;
mod pinned;
mod places;
mod tls;
mod trust;

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use call::Call;
use call::{Way, base};
pub use page::Page;
use page::{joined, seconds};
use pinned::Pin;
pub use trust::Trust;
pub use web_page::Places;

use serde_json::Value;
use step::{Again, Context, Failure, Permit, Secret, again, redact};
use ureq::config::Config;
use ureq::http::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Timeout};

/// The most of an answer's body that is read, in bytes.
const BODY: u64 = 4 << 20;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, as far as it is text.
    pub body: String,
    headers: HeaderMap,
}

impl Reply {
    /// A header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// `Retry-After` in seconds from now, whether it is a number or a date (RFC 9110, 10.2.3).
    pub fn retry_after(&self) -> Option<u64> {
        seconds(self.header("retry-after")?.trim())
    }
}

/// No answer came.
#[derive(Clone, Debug)]
pub struct Lost {
    /// Why, without any secret.
    pub why: String,
    /// Whether the request may have been carried out all the same.
    pub sent: bool,
    /// Whether it will be the same the next time: the other side's certificate is not trusted.
    pub distrusted: bool,
    /// The SHA-256 of the certificate that was met, where only another one is trusted.
    pub met: Option<String>,
}

/// Sends calls for one step.
#[derive(Debug)]
pub struct Client<'a> {
    config: Config,
    /// The same, without keeping connections.
    alone: Config,
    /// One for each way.
    agents: Mutex<HashMap<Way, Agent>>,
    /// The addresses of each host and port, looked up once.
    places: Mutex<HashMap<String, Result<Option<Places>, String>>>,
    /// The one certificate that is trusted.
    pin: Option<Pin>,
    /// What is said besides where a certificate is not trusted.
    remedy: &'static str,
    /// What stays of the step's time, whoever does not answer.
    reserve: Duration,
    context: &'a Context,
}

impl<'a> Client<'a> {
    /// For a step that calls itself `name/version`.
    ///
    /// Redirects are not followed: where a page sends us is for the caller to see.
    pub fn new(context: &'a Context, name: &str) -> Self {
        let remedy = " (SSL_CERT_FILE names a CA of your own)";
        Client { remedy, ..Client::with_roots(context, name, RootCerts::PlatformVerifier) }
    }

    /// The same, but what is trusted is this and nothing of the system's store.
    ///
    /// # Errors
    /// `bug` when TLS cannot be set up.
    pub fn trusting(context: &'a Context, name: &str, trust: &Trust) -> Result<Self, Failure> {
        match trust {
            Trust::Ca(all) => Ok(Client::with_roots(context, name, RootCerts::new_with_certs(all))),
            Trust::Certificate(print) => {
                let pin = Pin::new(*print).map_err(|e| Failure::bug(format!("TLS: {e}")))?;
                // Whatever went past the pin would trust nobody.
                Ok(Client {
                    pin: Some(pin),
                    ..Client::with_roots(context, name, RootCerts::new_with_certs(&[]))
                })
            }
        }
    }

    fn with_roots(context: &'a Context, name: &str, roots: RootCerts) -> Self {
        remember_proxy_passwords();
        // Somebody else may have installed it before us, which is as good.
        let _ = tls::provider().install_default();
        let tls = TlsConfig::builder().root_certs(roots).build();
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .allow_non_standard_methods(true)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(name)
                .timeout_connect(Some(CONNECT))
                .tls_config(tls.clone())
        };
        let alone = config().max_idle_connections(0).max_idle_connections_per_host(0).build();
        Client {
            config: config().build(),
            alone,
            agents: Mutex::default(),
            places: Mutex::default(),
            pin: None,
            remedy: "",
            reserve: Duration::ZERO,
            context,
        }
    }

    /// The same, but so much of the step's time stays for saying what was found: where none is left, no answer came.
    #[must_use]
    pub fn reserving(mut self, reserve: Duration) -> Self {
        self.reserve = reserve;
        self
    }

    fn left(&self) -> Duration {
        self.context.deadline.left().saturating_sub(self.reserve)
    }

    fn agent(&self, way: Way) -> Agent {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let config = if way.alone { &self.alone } else { &self.config }.clone();
            match way.address {
                Some(address) => self.connected(config, places::Pinned(address)),
                None => self.connected(config, DefaultResolver::default()),
            }
        };
        agents.entry(way).or_insert_with(made).clone()
    }

    fn connected(&self, config: Config, resolver: impl Resolver) -> Agent {
        match &self.pin {
            Some(pin) => Agent::with_parts(config, pin.connector(), resolver),
            None => Agent::with_parts(config, DefaultConnector::default(), resolver),
        }
    }

    /// The addresses of a URL's host. Behind a proxy, which looks it up by itself, nobody here knows them: `None`.
    ///
    /// # Errors
    /// Why the name has none.
    pub fn places(&self, url: &str) -> Result<Option<Places>, String> {
        let mut known = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let base = base(url);
        known.entry(base.to_owned()).or_insert_with(|| places::of(base, self.config.proxy())).clone()
    }

    /// Asks once.
    ///
    /// # Errors
    /// The inner one when no answer came; the outer one when the step has to stop before anything was sent: `bug` for a call that changes
    /// something.
    pub fn ask(&self, call: &Call) -> Result<Result<Reply, Lost>, Failure> {
        only_asks(call)?;
        self.whole(call)
    }

    /// Sends a call that changes something, once.
    ///
    /// # Errors
    /// The inner one when no answer came; the outer one when the step has to stop before anything was sent.
    pub fn change(&self, _: &Permit, call: &Call) -> Result<Result<Reply, Lost>, Failure> {
        self.whole(call)
    }

    fn whole(&self, call: &Call) -> Result<Result<Reply, Lost>, Failure> {
        let answer = self.answer(call)?.and_then(read);
        let said = match &answer {
            Ok(reply) => format!("HTTP {}", reply.status),
            Err(lost) => lost.why.clone(),
        };
        self.context.voice.detail(&format!("{} {}: {said}", call.method, redact(&call.url)));
        Ok(answer)
    }

    /// Asks once and hands out the status and the body as it comes, for what may be larger than memory should be.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn open(&self, call: &Call) -> Result<Result<(u16, impl Read + use<>), Lost>, Failure> {
        only_asks(call)?;
        let answer = self.answer(call)?;
        let said =
            answer.as_ref().map_or_else(|lost| lost.why.clone(), |a| format!("HTTP {}", a.status().as_u16()));
        self.context.voice.detail(&format!("{} {}: {said}", call.method, redact(&call.url)));
        Ok(answer.map(|answer| (answer.status().as_u16(), answer.into_body().into_reader())))
    }

    /// Asks once, and takes the page as it comes, at most `limit` bytes of it.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn fetch(&self, call: &Call, limit: u64) -> Result<Result<Page, Lost>, Failure> {
        only_asks(call)?;
        let answer = self.answer(call)?.and_then(|answer| page(answer, limit));
        let said =
            answer.as_ref().map_or_else(|lost| lost.why.clone(), |page| format!("HTTP {}", page.status));
        let place = call.way.address.map(|address| format!(" at {}", address.ip())).unwrap_or_default();
        self.context.voice.detail(&format!("{} {}{place}: {said}", call.method, redact(&call.url)));
        Ok(answer)
    }

    fn answer(&self, call: &Call) -> Result<Result<ureq::http::Response<ureq::Body>, Lost>, Failure> {
        self.context.checkpoint()?;
        let left = self.context.deadline.request()?.min(self.left());
        if left.is_zero() {
            let why = "no time is left to ask (--timeout)".to_owned();
            return Ok(Err(Lost { why, sent: false, distrusted: false, met: None }));
        }
        let timeout = call.timeout.map_or(left, |wanted| wanted.min(left));
        let request = match call.request() {
            Ok(request) => request,
            Err(why) => {
                return Ok(Err(Lost { why: redact(&why), sent: false, distrusted: false, met: None }));
            }
        };
        // A connection that does not come about ends before the whole does: only so it is known that nothing was sent.
        let connect = Some(CONNECT.min(timeout * 4 / 5));
        let agent = self.agent(call.way);
        let request = agent.configure_request(request).timeout_global(Some(timeout));
        let request = request.timeout_resolve(connect).timeout_connect(connect).build();
        let lost = |error| {
            let mut lost = lost(&error);
            if lost.distrusted {
                lost.why.push_str(self.remedy);
            }
            lost
        };
        Ok(agent.run(request).map_err(lost))
    }

    /// Asks, and again as long as that is right. The last answer counts.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn persist(&self, call: &Call) -> Result<Result<Reply, Lost>, Failure> {
        self.repeat(|| self.ask(call), |reply| (reply.status, reply.retry_after()))
    }

    /// The same for a page, of which at most `limit` bytes are taken.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn persist_page(&self, call: &Call, limit: u64) -> Result<Result<Page, Lost>, Failure> {
        self.repeat(|| self.fetch(call, limit), |page| (page.status, page.retry_after()))
    }

    fn repeat<A>(
        &self,
        ask: impl Fn() -> Result<Result<A, Lost>, Failure>,
        said: impl Fn(&A) -> (u16, Option<u64>),
    ) -> Result<Result<A, Lost>, Failure> {
        for attempt in 1.. {
            let answer = ask()?;
            let (status, wait) = match answer.as_ref().map(&said) {
                Ok((status, wait)) => (Some(status), wait),
                Err(lost) if lost.distrusted => return Ok(answer),
                Err(_) => (None, None),
            };
            match again(status, wait, attempt, true, self.left()) {
                Again::Stop => return Ok(answer),
                Again::After(wait) => self.context.pause(wait)?,
            }
        }
        Err(Failure::bug("attempts do not end"))
    }
}

/// What changes something needs a permit, which no step has in plan mode.
fn only_asks(call: &Call) -> Result<(), Failure> {
    if call.asks { Ok(()) } else { Err(Failure::bug(format!("{} was sent to ask", call.method))) }
}

/// A proxy's address may hold a password, and an error may hold the proxy's address.
fn remember_proxy_passwords() {
    let names = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"];
    for text in names.into_iter().filter_map(|name| std::env::var(name).ok()) {
        let user = text.rsplit_once('@').map(|(user, _)| user);
        if let Some((_, password)) = user.and_then(|user| user.rsplit_once(':')) {
            Secret::new(password);
        }
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Reply, Lost> {
    let status = answer.status().as_u16();
    let headers = std::mem::take(answer.headers_mut());
    // What came so far is no answer: the rest may have said no.
    let bytes = answer.body_mut().with_config().limit(BODY).read_to_vec().map_err(|e| lost(&e))?;
    Ok(Reply { status, body: String::from_utf8_lossy(&bytes).into_owned(), headers })
}

fn page(mut answer: ureq::http::Response<ureq::Body>, limit: u64) -> Result<Page, Lost> {
    let (status, headers) = (answer.status().as_u16(), std::mem::take(answer.headers_mut()));
    let mut body = Vec::new();
    let read = answer.into_body().into_reader().take(limit + 1).read_to_end(&mut body);
    // What came so far is no page.
    read.map_err(|e| lost(&ureq::Error::from(e)))?;
    let cut = body.len() as u64 > limit;
    body.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Page { status, body, cut, headers: joined(&headers) })
}

/// Nobody was there to be asked. The standard library has no kind of its own for a name that cannot be looked up.
fn is_unreached(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    [ConnectionRefused, HostUnreachable, NetworkUnreachable].contains(&error.kind())
        || error.to_string().starts_with("failed to lookup address information")
}

/// The connection ended before any request: the certificate belongs to its very beginning.
fn is_distrusted(error: &std::io::Error) -> bool {
    of_tls(error).is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)))
}

fn of_tls(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn lost(error: &ureq::Error) -> Lost {
    let distrusted = matches!(error, ureq::Error::Io(error) if is_distrusted(error));
    let sent = match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::BadUri(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        ureq::Error::ConnectProxyFailed(_) => false,
        ureq::Error::Io(error) => !distrusted && !is_unreached(error),
        _ => true,
    };
    Lost { why: redact(&said(error)), sent, distrusted, met: met(error) }
}

/// The certificate that was met in place of the one that is trusted.
fn met(error: &ureq::Error) -> Option<String> {
    let ureq::Error::Io(error) = error else { return None };
    of_tls(error).and_then(pinned::met)
}

/// The library's words are for programmers: `timeout: global`.
fn said(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(Timeout::Resolve) => "its name was not found in time".to_owned(),
        ureq::Error::Timeout(Timeout::Connect) => "no connection came about in time".to_owned(),
        ureq::Error::Timeout(_) => "no answer came in time".to_owned(),
        ureq::Error::HostNotFound => "its name was not found".to_owned(),
        ureq::Error::ConnectionFailed => "no connection came about".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_said_in_plain_words() {
        for (error, words) in [
            (ureq::Error::Timeout(Timeout::Global), "no answer came in time"),
            (ureq::Error::Timeout(Timeout::RecvResponse), "no answer came in time"),
            (ureq::Error::Timeout(Timeout::Connect), "no connection came about in time"),
            (ureq::Error::Timeout(Timeout::Resolve), "its name was not found in time"),
            (ureq::Error::Io(std::io::ErrorKind::ConnectionRefused.into()), "connection refused"),
        ] {
            assert_eq!(lost(&error).why, words);
        }
    }
}

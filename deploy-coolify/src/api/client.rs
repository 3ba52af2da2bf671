//! The HTTP underneath: one connection pool, no redirects, what is safe is asked again, what is not is sent once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use reqwest::{Method, Response, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use step::{Again, Context, Failure, Secret, again};

use super::answer::{
    bare, cause, is_no_route, is_throttle, message, number, parse, refusal, retry_after, text, unreachable,
};
use crate::settings::Settings;
use crate::wait::{pause, stopping};

/// How long a request on the way out may take.
pub(super) const LAST: Duration = Duration::from_secs(5);
/// How near the end of the step is the end: a timer does not fire to the microsecond.
const OVER: Duration = Duration::from_millis(20);
/// What is left of a patience that is used up: enough for an answer that is there.
const LEAST: Duration = Duration::from_millis(300);
/// Coolify's own limit, until an answer names another.
const REQUESTS_A_MINUTE: u32 = 200;

/// The event loop and the one connection pool of this process.
pub struct Net {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    /// By host and port.
    places: RefCell<HashMap<String, Rc<Places>>>,
    /// How many requests a minute the token's owner has, as Coolify said last.
    limit: Cell<u32>,
    /// Until when Coolify wants to be left alone: all requests of a minute are used up, by whoever has used them.
    closed: Cell<Option<Instant>>,
    /// How long what is not needed may take altogether, where somebody waits for the way back.
    hurry: Cell<Hurry>,
    /// The images of which a registry was asked already on the way back.
    asked: RefCell<HashSet<String>>,
}

/// The servers behind a page's name: each address may be another one. Behind a proxy, which looks the name up by itself, they are all the same.
pub struct Places {
    /// A client for each address that this machine can reach.
    pub clients: Vec<reqwest::Client>,
    /// How many it has no way to (IPv6, most often): nothing is known of them.
    unrouted: usize,
}

/// Whether somebody waits for the way back.
#[derive(Clone, Copy, Debug)]
enum Hurry {
    No,
    /// And nothing optional was asked yet.
    Yes,
    /// Until then.
    Until(Instant),
}

impl Net {
    /// One thread is enough to wait for many deployments.
    pub fn new() -> Result<Self, Failure> {
        // Somebody else may have installed it: it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let none = |e| {
            let message = format!(
                "there is no HTTPS: {}; are the system's certificates there (ca-certificates), or does SSL_CERT_FILE lead nowhere?",
                cause(&e)
            );
            Failure::config("tls", message)
        };
        let client = builder().build().map_err(none)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::temporary("runtime", format!("no event loop: {e}")))?;
        Ok(Net {
            runtime,
            client,
            places: RefCell::default(),
            limit: Cell::new(REQUESTS_A_MINUTE),
            closed: Cell::new(None),
            hurry: Cell::new(Hurry::No),
            asked: RefCell::default(),
        })
    }

    /// Waits for a piece of work.
    pub fn block<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The connection pool.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A client for each address of a page's host. A name that is not found now is looked up again: what is asked then says why.
    pub async fn places(&self, page: &str) -> Rc<Places> {
        let Some((host, port)) = host_of(page).filter(|_| !behind_a_proxy()) else {
            return Rc::new(self.anywhere());
        };
        let key = format!("{host}:{port}");
        let name = host.clone();
        if let Some(known) = self.places.borrow().get(&key) {
            return Rc::clone(known);
        }
        let found = tokio::task::spawn_blocking(move || web_page::places(&host, port)).await;
        let Ok(Ok(found)) = found else { return Rc::new(self.anywhere()) };
        let pinned = |address: &SocketAddr| builder().resolve(&name, *address).build();
        let clients = match found.reached.as_slice() {
            [] | [_] => Ok(vec![self.client.clone()]),
            several => several.iter().map(pinned).collect(),
        };
        // One that cannot be made is not left out in silence: then they are asked as anybody would, and counted as one.
        let Ok(clients) = clients else { return Rc::new(self.anywhere()) };
        let places = Rc::new(Places { clients, unrouted: found.unrouted.len() });
        self.places.borrow_mut().insert(key, Rc::clone(&places));
        places
    }

    /// Of all pages: how many addresses were asked, and how many this machine has no way to.
    pub fn addresses(&self, pages: &[String]) -> (usize, usize) {
        let keys: BTreeSet<String> = pages
            .iter()
            .filter_map(|page| host_of(page))
            .map(|(host, port)| format!("{host}:{port}"))
            .collect();
        let known = self.places.borrow();
        let places = keys.iter().filter_map(|key| known.get(key));
        places.fold((0, 0), |sum, places| (sum.0 + places.clients.len(), sum.1 + places.unrouted))
    }

    fn anywhere(&self) -> Places {
        Places { clients: vec![self.client.clone()], unrouted: 0 }
    }

    /// How often each of `many` may be asked, so that four fifths of the owner's requests are left at most.
    pub fn interval(&self, wished: Duration, many: usize) -> Duration {
        let many = u32::try_from(many).unwrap_or(u32::MAX);
        let least = Duration::from_secs(75).saturating_mul(many) / self.limit.get().max(1);
        wished.max(if many > 1 { least } else { Duration::ZERO })
    }
}

impl Net {
    /// From now on all that is not needed has one patience together: nothing may hold the way back.
    pub fn hurry(&self) {
        self.hurry.set(Hurry::Yes);
    }

    /// The way back has begun.
    pub fn relax(&self) {
        self.hurry.set(Hurry::No);
    }

    /// How much of this patience is left for a question that nothing hangs on.
    pub fn patience(&self, whole: Duration) -> Duration {
        let end = match self.hurry.get() {
            Hurry::No => return whole,
            Hurry::Yes => Instant::now() + whole,
            Hurry::Until(end) => end,
        };
        self.hurry.set(Hurry::Until(end));
        end.saturating_duration_since(Instant::now()).max(LEAST)
    }

    /// Remembers that a registry was asked for an image; whether it is the first time.
    pub fn asks(&self, image: &str) -> bool {
        self.asked.borrow_mut().insert(image.to_owned())
    }

    /// How much longer Coolify wants to be left alone.
    pub fn closed(&self) -> Option<Duration> {
        let left = self.closed.get()?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// Whether a proxy may look names up by itself: then nobody here knows how many addresses are asked.
fn behind_a_proxy() -> bool {
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// A page's host and port.
fn host_of(page: &str) -> Option<(String, u16)> {
    let page = url::Url::parse(page).ok()?;
    Some((page.host_str()?.to_owned(), page.port_or_known_default().unwrap_or(443)))
}

fn builder() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
    builder.user_agent(concat!("deploy-coolify/", env!("CARGO_PKG_VERSION")))
}

/// A read that did not succeed.
pub struct Trouble {
    pub failure: Failure,
    /// The HTTP status; `None` when no answer came.
    status: Option<u16>,
    /// `Retry-After` in seconds.
    retry_after: Option<u64>,
}

impl Trouble {
    /// No answer came, or none that can be read.
    fn lost(failure: Failure) -> Self {
        Trouble { failure, status: None, retry_after: None }
    }

    /// Whether this version of Coolify does not know the question.
    pub fn is_no_route(&self) -> bool {
        self.status == Some(404)
    }

    /// How long it wants to be waited for, if it says so.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_secs)
    }

    /// Whether it may go by itself: Coolify restarts, its proxy answers instead, or it wants to be asked less often.
    pub fn passes(&self) -> bool {
        !matches!(again(self.status, None, 1, true, Duration::MAX), Again::Stop)
    }
}

/// The client.
pub struct Api<'a> {
    pub(super) context: &'a Context,
    net: &'a Net,
    pub(super) base: String,
    token: &'a Secret,
}

impl<'a> Api<'a> {
    /// A client for the environment's Coolify.
    pub fn new(context: &'a Context, settings: &'a Settings, net: &'a Net) -> Self {
        Api { context, net, base: format!("{}/api/v1", settings.url), token: &settings.token }
    }

    /// The address that people open, for a path of Coolify's.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base.trim_end_matches("/api/v1"))
    }

    /// Reads JSON; `None` is Coolify's own 404.
    pub(super) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.get(path).await? else { return Ok(None) };
        parse(path, &text).map(Some)
    }

    /// Waits until Coolify may be asked again. What it has refused for all requests is not tried with another one.
    pub(super) async fn turn(&self) -> Result<(), Failure> {
        self.context.checkpoint()?;
        let Some(wait) = self.net.closed() else { return Ok(()) };
        let seconds = wait.as_secs() + 1;
        if wait >= self.context.deadline.left() {
            let message =
                format!("Coolify wants to be left alone for {seconds} s, which is longer than this step has");
            return Err(Failure::temporary("coolify-busy", message));
        }
        pause(self.context, wait).await
    }

    /// The same, asked once.
    pub(super) async fn peek_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Trouble> {
        self.turn().await.map_err(Trouble::lost)?;
        let timeout = self.context.deadline.request().map_err(Trouble::lost)?;
        let read = stopping(self.context, Duration::ZERO, self.read(path, timeout)).await;
        let Some(text) = read.map_err(Trouble::lost)?? else { return Ok(None) };
        parse(path, &text).map(Some).map_err(Trouble::lost)
    }

    /// The same on the way out: after a signal, or after the deadline.
    pub(super) async fn last_json<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let text = self.read(path, LAST).await.ok()??;
        parse(path, &text).ok()
    }

    /// Reads; what fails for the moment is asked again until the deadline. `None` is Coolify's own 404.
    pub(super) async fn get(&self, path: &str) -> Result<Option<String>, Failure> {
        let mut attempt = 1;
        loop {
            self.turn().await?;
            let timeout = self.context.deadline.request()?;
            let trouble = match stopping(self.context, Duration::ZERO, self.read(path, timeout)).await? {
                Ok(found) => return Ok(found),
                Err(trouble) => trouble,
            };
            match again(trouble.status, trouble.retry_after, attempt, true, self.context.deadline.left()) {
                Again::Stop => return Err(trouble.failure),
                Again::After(wait) => pause(self.context, wait).await?,
            }
            attempt += 1;
        }
    }

    async fn read(&self, path: &str, timeout: Duration) -> Result<Option<String>, Trouble> {
        let answer = self.request(Method::GET, path, None, timeout).await.map_err(Trouble::lost)?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
        let Some(body) = text(answer).await else {
            let why = format!("its answer to GET {} is cut short", bare(path));
            return Err(Trouble::lost(self.over().unwrap_or_else(|| unreachable(&self.base, &why))));
        };
        if status == 200 {
            return Ok(Some(body));
        }
        let message = message(&body);
        // A 404 without JSON is the proxy's: Coolify is down or restarting.
        let status = if status == 404 && message.is_none() { 503 } else { status };
        if status == 404 && !is_no_route(&body) {
            return Ok(None);
        }
        Err(Trouble {
            failure: refusal(&self.base, "GET", path, status, message),
            status: Some(status),
            retry_after,
        })
    }

    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<Response, Failure> {
        let mut request = self.net.client.request(method.clone(), format!("{}{path}", self.base));
        request =
            request.bearer_auth(self.token.expose()).header("Accept", "application/json").timeout(timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let shown = answer.as_ref().map_or_else(cause, |a| a.status().to_string());
        self.context.voice.detail(&format!("{method} {path}: {shown}"));
        let answer = answer.map_err(|e| {
            self.over().filter(|_| e.is_timeout()).unwrap_or_else(|| unreachable(&self.base, &cause(&e)))
        })?;
        self.heed(&method, &answer);
        Ok(answer)
    }

    /// Keeps what an answer says of how often Coolify may be asked. Only what wants into a full queue is about itself alone.
    fn heed(&self, method: &Method, answer: &Response) {
        let (headers, status) = (answer.headers(), answer.status().as_u16());
        if let Some(limit) = number(headers, "x-ratelimit-limit") {
            self.net.limit.set(u32::try_from(limit).unwrap_or(u32::MAX));
        }
        if is_throttle(status, headers) || status == 503 || (status == 429 && *method == Method::GET) {
            let Some(seconds) = retry_after(headers) else { return };
            if self.net.closed().is_none() {
                self.context
                    .voice
                    .say(&format!("Coolify wants to be asked less often: waiting for {seconds} s"));
            }
            self.net.closed.set(Instant::now().checked_add(Duration::from_secs(seconds)));
        }
    }

    /// The step's own end, if it has come: then it is not Coolify that could not be reached.
    fn over(&self) -> Option<Failure> {
        let deadline = &self.context.deadline;
        (deadline.left() <= OVER).then(|| deadline.over())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_asked_less_often_than_coolify_would_cut_off() {
        let net = Net::new().expect("a client");
        let three = Duration::from_secs(3);
        assert_eq!(net.interval(three, 1), three);
        assert_eq!(net.interval(three, 8), three);
        assert_eq!(net.interval(three, 50), Duration::from_millis(18_750));
        net.limit.set(10_000);
        assert_eq!(net.interval(three, 50), three);
    }
}

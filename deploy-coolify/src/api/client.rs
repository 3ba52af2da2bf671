//! The HTTP underneath: one connection pool, no redirects, what is safe is asked again, what is not is sent once.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;
use step::{Again, Context, Failure, Permit, Secret, again};

use crate::settings::Settings;

/// The most of an answer that is read, in bytes.
const BODY: usize = 32 << 20;
/// How long a request on the way out may take.
const LAST: Duration = Duration::from_secs(10);
/// Coolify's own limit, until an answer names another.
const REQUESTS_A_MINUTE: u32 = 200;

/// The event loop and the one connection pool of this process.
pub struct Net {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    /// How many requests a minute the token's owner has, as Coolify said last.
    limit: Cell<u32>,
}

impl Net {
    /// One thread is enough to wait for many deployments.
    pub fn new() -> Result<Self, Failure> {
        // Somebody else may have installed it: it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
        let builder = builder.user_agent(concat!("deploy-coolify/", env!("CARGO_PKG_VERSION")));
        let none = |e| {
            let message = format!(
                "there is no HTTPS: {}; are the system's certificates there (ca-certificates), or does SSL_CERT_FILE lead nowhere?",
                cause(&e)
            );
            Failure::config("tls", message)
        };
        let client = builder.build().map_err(none)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::temporary("runtime", format!("no event loop: {e}")))?;
        Ok(Net { runtime, client, limit: Cell::new(REQUESTS_A_MINUTE) })
    }

    /// Waits for a piece of work.
    pub fn block<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The connection pool.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// How often each of `many` may be asked, so that four fifths of the owner's requests are left at most.
    pub fn interval(&self, wished: Duration, many: usize) -> Duration {
        let many = u32::try_from(many).unwrap_or(u32::MAX);
        let least = Duration::from_secs(75).saturating_mul(many) / self.limit.get().max(1);
        wished.max(if many > 1 { least } else { Duration::ZERO })
    }
}

/// How a request that changes something has ended.
pub enum Sent {
    /// Accepted; the body.
    Done(Value),
    /// Refused; nothing was done.
    Refused(Failure),
    /// It is not known: the answer was lost, or was none.
    Unknown(String),
}

/// A read that did not succeed.
pub struct Trouble {
    pub failure: Failure,
    /// The HTTP status; `None` when no answer came.
    status: Option<u16>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
}

impl Trouble {
    /// No answer came, or none that can be read.
    fn lost(failure: Failure) -> Self {
        Trouble { failure, status: None, retry_after: None }
    }

    /// Whether it may go by itself: Coolify restarts, its proxy answers instead, or it wants to be asked less often.
    pub fn passes(&self) -> bool {
        !matches!(again(self.status, None, 1, true, Duration::MAX), Again::Stop)
    }
}

/// The client.
pub struct Api<'a> {
    context: &'a Context,
    net: &'a Net,
    base: String,
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

    /// The same, asked once.
    pub(super) async fn peek_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Trouble> {
        let timeout = self.context.deadline.request().map_err(Trouble::lost)?;
        let Some(text) = self.read(path, timeout).await? else { return Ok(None) };
        parse(path, &text).map(Some).map_err(Trouble::lost)
    }

    /// The same on the way out: after a signal, or after the deadline.
    pub(super) async fn last_json<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let text = self.read(path, LAST).await.ok()??;
        parse(path, &text).ok()
    }

    /// The status of a read alone.
    pub(super) async fn peek_status(&self, path: &str) -> Result<u16, Failure> {
        self.context.checkpoint()?;
        let timeout = self.context.deadline.request()?;
        Ok(self.request(Method::GET, path, None, timeout).await?.status().as_u16())
    }

    /// Reads; what fails for the moment is asked again until the deadline. `None` is Coolify's own 404.
    pub(super) async fn get(&self, path: &str) -> Result<Option<String>, Failure> {
        let mut attempt = 1;
        loop {
            self.context.checkpoint()?;
            let timeout = self.context.deadline.request()?;
            let trouble = match self.read(path, timeout).await {
                Ok(found) => return Ok(found),
                Err(trouble) => trouble,
            };
            match again(trouble.status, trouble.retry_after, attempt, true, self.context.deadline.left()) {
                Again::Stop => return Err(trouble.failure),
                Again::After(wait) => crate::world::pause(self.context, wait).await?,
            }
            attempt += 1;
        }
    }

    async fn read(&self, path: &str, timeout: Duration) -> Result<Option<String>, Trouble> {
        let answer = self.request(Method::GET, path, None, timeout).await.map_err(Trouble::lost)?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
        let Some(body) = text(answer).await else {
            return Err(Trouble::lost(unreachable(
                &self.base,
                &format!("its answer to GET {} is cut short", bare(path)),
            )));
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
            failure: self.refusal("GET", path, status, message),
            status: Some(status),
            retry_after,
        })
    }

    /// Sends what changes something, once. Only what was turned away for its rate or for a full queue is sent again.
    pub(super) async fn send(
        &self,
        _: &Permit,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Sent, Failure> {
        let mut attempt = 1;
        loop {
            self.context.checkpoint()?;
            let timeout = self.context.deadline.request()?;
            let Turned { wait, sent } = self.once(&method, path, body, timeout).await;
            let Some(wait) = wait else { return Ok(sent) };
            match again(Some(429), wait, attempt, false, self.context.deadline.left()) {
                Again::Stop => return Ok(sent),
                Again::After(wait) => {
                    self.context.voice.say(&format!("Coolify is busy; asking again in {} s", wait.as_secs()));
                    crate::world::pause(self.context, wait).await?;
                }
            }
            attempt += 1;
        }
    }

    /// Sends once more although a signal came or the time is over, to leave things as they were.
    pub(super) async fn send_last(&self, _: &Permit, method: Method, path: &str, body: &Value) -> Sent {
        self.once(&method, path, body, LAST).await.sent
    }

    async fn once(&self, method: &Method, path: &str, body: &Value, timeout: Duration) -> Turned {
        let answer = match self.request(method.clone(), path, Some(body), timeout).await {
            Err(failure) => return Turned::no(Sent::Unknown(failure.message.clone())),
            Ok(answer) => answer,
        };
        let (status, wait) = (answer.status().as_u16(), retry_after(answer.headers()));
        let Some(text) = text(answer).await else {
            return Turned::no(Sent::Unknown(format!("HTTP {status}, cut short")));
        };
        let refused = || Sent::Refused(self.refusal(method.as_str(), path, status, message(&text)));
        match status {
            200..=299 => Turned::no(Sent::Done(serde_json::from_str(&text).unwrap_or_default())),
            429 => Turned { wait: Some(wait), sent: refused() },
            // A rollback says that the queue is full with another status, and without a time.
            400 if text.contains("queue is full") => Turned { wait: Some(None), sent: refused() },
            500.. => Turned::no(Sent::Unknown(format!("HTTP {status}"))),
            // Coolify's proxy speaks while Coolify is away: nothing has reached it.
            _ => Turned::no(refused()),
        }
    }

    async fn request(
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
        if let Some(limit) = answer.as_ref().ok().and_then(|a| number(a.headers(), "x-ratelimit-limit")) {
            self.net.limit.set(u32::try_from(limit).unwrap_or(u32::MAX));
        }
        answer.map_err(|e| unreachable(&self.base, &cause(&e)))
    }

    /// What an answer means that is no success.
    fn refusal(&self, method: &str, path: &str, status: u16, message: Option<String>) -> Failure {
        let said = message.unwrap_or_else(|| format!("HTTP {status}"));
        let text = format!("Coolify refuses {method} {}: {said}", bare(path));
        match status {
            401 => Failure::config("token", format!("{text} (is the token right, and not expired?)")),
            403 => Failure::config("token-ability", format!("{text}{}", remedy(&said))),
            300..=399 | 405 => {
                Failure::config("url", format!("{text}; is {} the right URL, with https?", self.base))
            }
            404 => Failure::refused("not-found", text),
            429 => Failure::temporary("coolify-busy", text),
            400 if said.contains("queue is full") => Failure::temporary("coolify-busy", text),
            503.. => unreachable(&self.base, &text),
            500.. => Failure::temporary("coolify-unreachable", text),
            _ => Failure::refused("rejected", text),
        }
    }
}

/// An answer, and whether the request was turned away for the moment: then `wait` is what `Retry-After` said, if it did.
struct Turned {
    wait: Option<Option<u64>>,
    sent: Sent,
}

impl Turned {
    fn no(sent: Sent) -> Self {
        Turned { wait: None, sent }
    }
}

/// What a person has to do about a 403, of which Coolify knows several.
fn remedy(said: &str) -> String {
    let remedy = match said {
        _ if said.starts_with("Missing required permissions") => {
            let ability = said.rsplit(' ').next().unwrap_or_default();
            format!("make a token with the ability {ability} (Keys & Tokens > API tokens)")
        }
        "API is disabled." => "switch the API on (Settings > Advanced > API Access)".to_owned(),
        "You are not allowed to access the API." => {
            "this machine's address is not among the allowed ones (Settings > Advanced)".to_owned()
        }
        _ => return String::new(),
    };
    format!(" ({remedy})")
}

fn unreachable(base: &str, why: &str) -> Failure {
    Failure::temporary("coolify-unreachable", format!("Coolify at {base} cannot be reached: {why}"))
}

/// A route that this version of Coolify does not have.
fn is_no_route(body: &str) -> bool {
    body.contains("coolify.io") && body.contains("\"docs\"")
}

fn parse<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Failure> {
    let wrong = |e: serde_json::Error| {
        // The error's own words may quote the body, which holds secrets: only its place is told.
        let message = format!(
            "Coolify's answer to GET {} is not what it should be (line {}, column {})",
            bare(path),
            e.line(),
            e.column()
        );
        Failure::temporary("answer", message)
    };
    serde_json::from_str(text).map_err(wrong)
}

/// The body, as far as it is not absurdly large; `None` when it did not come whole.
async fn text(mut answer: Response) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BODY {
            return None;
        }
    }
    // A body that is text already is not copied.
    Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    number(headers, "retry-after")
}

fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// Coolify's own word, if the body is its JSON; a list of errors is named by its keys and sentences.
fn message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let mut message = value.get("message").and_then(Value::as_str)?.to_owned();
    for (key, why) in value.get("errors").and_then(Value::as_object).into_iter().flatten() {
        // A sentence or a list of them: both are there in the same version.
        let why = why.as_str().or_else(|| why.get(0).and_then(Value::as_str)).unwrap_or_default();
        message.push_str(&format!(" {key}: {why}"));
    }
    if let Some(error) = value.get("error").and_then(Value::as_str) {
        message.push_str(&format!(" {error}"));
    }
    Some(message)
}

/// The last cause of an error, which says most; the URL is left out.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_errors_are_read() {
        let body = r#"{"message":"Validation failed.","errors":{"a":["x"],"b":"y"}}"#;
        assert_eq!(message(body).as_deref(), Some("Validation failed. a: x b: y"));
        assert_eq!(message("404 page not found"), None);
    }

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

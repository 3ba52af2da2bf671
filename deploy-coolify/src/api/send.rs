//! What changes something: sent once, and its outcome is yes, no or unknown.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use step::{Again, Failure, Permit, again};

use super::answer::{message, refusal, remedy, retry_after, text};
use super::client::{Api, LAST};
use crate::wait::stopping;

/// Attempts after which the wait for a full queue or for the next minute grows no more.
const SETTLED: u32 = 6;
/// How long an answer that is on its way is waited for when a signal has come.
const GRACE: Duration = Duration::from_secs(2);

/// How a request that changes something has ended.
pub enum Sent {
    /// Accepted; the body.
    Done(Value),
    /// Refused; nothing was done.
    Refused(Failure),
    /// It is not known: the answer was lost, or was none.
    Unknown(String),
}

/// What a token may do.
pub enum Ability {
    Yes,
    /// And what a person has to do about it.
    No(String),
    Unknown,
}

impl Ability {
    /// For a value.
    pub fn known(&self) -> Option<bool> {
        match self {
            Ability::Yes => Some(true),
            Ability::No(_) => Some(false),
            Ability::Unknown => None,
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

impl Api<'_> {
    /// Sends what changes something, once. Only what was turned away for its rate or for a full queue is sent again, until the
    /// step's time is over: a queue may be full for minutes.
    pub(super) async fn send(
        &self,
        _: &Permit,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Sent, Failure> {
        let mut attempt = 1;
        loop {
            self.turn().await?;
            let timeout = self.context.deadline.request()?;
            let Turned { wait, sent } = self.unless_stopped(&method, path, body, timeout).await;
            let Some(wait) = wait else { return Ok(sent) };
            match again(Some(429), wait, attempt, false, self.context.deadline.left()) {
                Again::Stop => return Ok(sent),
                Again::After(wait) => {
                    let shown = wait.as_secs().max(1);
                    self.context.voice.say(&format!("Coolify is busy; asking again in {shown} s"));
                    crate::wait::pause(self.context, wait).await?;
                }
            }
            attempt = (attempt + 1).min(SETTLED);
        }
    }

    /// Sends once more although a signal came or the time is over, to leave things as they were.
    pub(super) async fn send_last(&self, _: &Permit, method: Method, path: &str, body: &Value) -> Sent {
        self.once(&method, path, body, LAST).await.sent
    }

    /// Sends once. Whoever wants us to stop does not wait until nobody answers; but an answer that is nearly there tells more than none.
    async fn unless_stopped(&self, method: &Method, path: &str, body: &Value, timeout: Duration) -> Turned {
        let sent = self.once(method, path, body, timeout);
        match stopping(self.context, GRACE, sent).await {
            Ok(turned) => turned,
            Err(stopped) => Turned::no(Sent::Unknown(format!("{}, before the answer came", stopped.message))),
        }
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
        let refused = || Sent::Refused(refusal(&self.base, method.as_str(), path, status, message(&text)));
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

    /// Whether the token may deploy, asked without deploying: the ability is looked at before the (missing) words are.
    pub async fn may_deploy(&self) -> Ability {
        let yes =
            [(400, "You must provide uuid or tag."), (405, "This endpoint has changed to a POST request.")];
        self.may(Method::GET, "/deploy", None, &yes).await
    }

    /// Whether the token may write into an application, asked without writing: a request with nothing in it is refused for that,
    /// but only after the ability was looked at.
    pub async fn may_write(&self, uuid: &str) -> Ability {
        self.may(
            Method::PATCH,
            &format!("/applications/{uuid}"),
            Some(&json!({})),
            &[(400, "Invalid request. Empty JSON.")],
        )
        .await
    }

    /// Asked once; what is neither one of these statuses with Coolify's own words nor a refusal tells nothing: something in front of
    /// Coolify knows them too.
    async fn may(&self, method: Method, path: &str, body: Option<&Value>, yes: &[(u16, &str)]) -> Ability {
        let Ok(timeout) = self.context.deadline.request() else { return Ability::Unknown };
        if self.turn().await.is_err() {
            return Ability::Unknown;
        }
        let asked = async {
            let answer = self.request(method.clone(), path, body, timeout).await.ok()?;
            Some((answer.status().as_u16(), text(answer).await.and_then(|text| message(&text))?))
        };
        match stopping(self.context, Duration::ZERO, asked).await {
            Ok(Some((403, said))) => remedy(&said).map_or(Ability::Unknown, Ability::No),
            Ok(Some((status, said))) if yes.contains(&(status, said.as_str())) => Ability::Yes,
            _ => Ability::Unknown,
        }
    }
}

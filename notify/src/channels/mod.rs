//! Where messages go, one file a kind. A channel says beforehand what it would send, and sends one of these payloads at a time.

mod apprise;
mod discord;
mod ntfy;
mod slack;
mod telegram;
mod webhook;

use std::time::Duration;

use http_client::{Call, Client, Reply};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::{Context, Failure, Permit, Secret, Settings};

use crate::message::Message;
use crate::{html, markup};

/// No request takes longer, so that there is time for another, and for the fallback.
const REQUEST: Duration = Duration::from_secs(8);

/// A place where people read.
pub trait Channel: Send + Sync {
    /// What would be sent, in this order.
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload>;
    /// Sends one of them, once.
    ///
    /// # Errors
    /// Only when the step has to stop before anything was sent.
    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure>;
    /// Whether messages can be sent; what the place calls itself.
    ///
    /// # Errors
    /// `config` or `temporary`.
    fn check(&self, wire: &Wire) -> Result<String, Failure>;
    /// Whether the receiver would know a payload again: then it may be sent twice.
    fn repeatable(&self, _payload: &Payload) -> bool {
        false
    }
    /// Whether it hands on the whole document.
    fn carries_data(&self) -> bool {
        false
    }
}

/// What a channel sends with one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payload {
    /// Which of the channel's calls.
    pub call: String,
    pub body: Value,
    /// The message is complete without it.
    #[serde(skip)]
    pub extra: bool,
}

impl Payload {
    fn new(call: impl Into<String>, body: Value) -> Self {
        Payload { call: call.into(), body, extra: false }
    }
}

/// What the channel was told before, by its number there.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// Answer this one.
    pub reply_to: Option<String>,
    /// Change this one.
    pub edit: Option<String>,
    /// By which a receiver may know the message again.
    pub key: String,
    /// How many parts it has already.
    pub parts: usize,
}

/// A part that has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its number; some channels only say that they have taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What was left out or changed to get it there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
}

impl Receipt {
    fn numbered(id: impl Into<String>) -> Self {
        Receipt { id: Some(id.into()), ..Receipt::default() }
    }
}

/// What a channel said to a payload.
#[derive(Debug)]
pub enum Said {
    Sent(Receipt),
    /// It was surely not sent; the channel may say how long to wait.
    Later {
        wait: Option<Duration>,
        reason: &'static str,
        why: String,
    },
    /// It may be there, or not.
    Unknown(String),
    Refused(Failure),
}

/// The way out.
pub struct Wire<'a> {
    pub client: &'a Client<'a>,
    pub context: &'a Context,
}

impl Wire<'_> {
    /// Sends a request once.
    fn ask(&self, call: Call) -> Result<Heard, Failure> {
        // A third of what is left: one more attempt and the fallback shall have their time too.
        let within = REQUEST.min(self.context.deadline.left() / 3).max(Duration::from_millis(100));
        Ok(match self.client.send(&call.within(within))? {
            Ok(reply) => Heard::Reply(reply),
            Err(lost) if lost.sent => Heard::Lost(lost.why),
            Err(lost) => Heard::NotSent(lost.why),
        })
    }

    /// Sends a request; an answer that is one goes to `read`.
    fn deliver(&self, who: &str, call: Call, read: impl FnOnce(&Reply) -> Said) -> Result<Said, Failure> {
        Ok(match self.ask(call)? {
            Heard::Reply(reply) => read(&reply),
            Heard::Lost(why) => Said::Unknown(why),
            Heard::NotSent(why) => Said::Later {
                wait: None,
                reason: "unreachable",
                why: format!("{who} cannot be reached: {why}"),
            },
        })
    }

    /// Asks a question; the answer's status is for the caller.
    fn question(&self, who: &str, call: Call) -> Result<Reply, Failure> {
        match self.ask(call)? {
            Heard::Reply(reply) => Ok(reply),
            Heard::Lost(why) | Heard::NotSent(why) => {
                Err(Failure::temporary("unreachable", format!("{who} cannot be reached: {why}")))
            }
        }
    }
}

/// What came back from a request.
enum Heard {
    Reply(Reply),
    NotSent(String),
    Lost(String),
}

/// What a status says that means the same everywhere; `what` is what the answer says of itself.
fn by_status(who: &str, key: &str, reply: &Reply, what: &str) -> Said {
    let status = reply.status;
    let what = markup::cut(&markup::clean(what), 1, 200);
    match status {
        429 => {
            let wait = reply.retry_after().map(Duration::from_secs);
            Said::Later { wait, reason: "rate", why: format!("{who} takes no more messages for now: {what}") }
        }
        401 | 403 | 404 | 410 => Said::Refused(Failure::config(
            "channel",
            format!("{who} does not let us write ({status} {what}): check {key}"),
        )),
        // Something on the way, or the service itself, broke after the request had come.
        408 | 500.. => Said::Unknown(format!("{who} answers HTTP {status}")),
        400.. => {
            Said::Refused(Failure::failed("refused", format!("{who} refuses the message: {status} {what}")))
        }
        _ => Said::Unknown(format!("{who} answers HTTP {status}, which says nothing about the message")),
    }
}

/// What a channel's settings are read with.
pub struct Reader<'a> {
    pub settings: &'a Settings,
    /// `luxima-alerts`.
    pub name: &'a str,
    /// Nothing will be sent: secrets may be missing.
    pub dry: bool,
}

impl Reader<'_> {
    /// The key within `[notify]`.
    pub fn key(&self, key: &str) -> String {
        format!("channels.{}.{key}", self.name)
    }

    fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        self.settings.text(&self.key(key))
    }

    fn need(&self, key: &str) -> Result<String, Failure> {
        self.settings.need(&self.key(key))
    }

    fn wrong(&self, key: &str, why: &str) -> Failure {
        self.settings.wrong(&self.key(key), why)
    }

    fn secret(&self, key: &str, variable: &str) -> Result<Option<Secret>, Failure> {
        self.settings.secret(&self.key(key), variable)
    }

    fn need_secret(&self, key: &str, variable: &str) -> Result<Secret, Failure> {
        match self.settings.need_secret(&self.key(key), variable) {
            Err(_) if self.dry => Ok(Secret::new("")),
            found => found,
        }
    }

    /// An address without a slash at its end. What goes there is secret: plain HTTP is for this machine, or where `allow_http` says so.
    fn address(&self, key: &str, given: Option<String>) -> Result<String, Failure> {
        let url = match given {
            Some(url) => url,
            None => self.need(key)?,
        };
        self.safe_address(key, &url)?;
        Ok(url.trim_end_matches('/').to_owned())
    }

    fn safe_address(&self, key: &str, url: &str) -> Result<(), Failure> {
        if url.starts_with("https://") {
            return Ok(());
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(self.wrong(key, "this is no address: it begins with https://"));
        };
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let here = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|h| host == *h || host.starts_with(&format!("{h}:")));
        if here || self.settings.flag(&self.key("allow_http"))?.unwrap_or_default() {
            return Ok(());
        }
        Err(self.wrong(
            key,
            "plain HTTP would show the secret to whoever listens: use https://, or set allow_http = true",
        ))
    }

    /// An address that is a secret itself.
    fn secret_address(&self, key: &str, variable: &str) -> Result<Secret, Failure> {
        let secret = self.need_secret(key, variable)?;
        if !secret.expose().is_empty() {
            self.safe_address(&format!("{key}_file"), secret.expose())?;
            // Its path alone, or the last of it, is as good as the whole.
            let (_, path) = secret.expose().split_once("://").unwrap_or_default();
            if let Some((_, path)) = path.split_once('/') {
                let _ = (Secret::new(path), Secret::new(path.rsplit('/').next().unwrap_or_default()));
            }
        }
        Ok(secret)
    }
}

/// The channel of a kind.
///
/// # Errors
/// `config` when a setting is missing or wrong.
pub fn open(reader: &Reader, kind: &str) -> Result<Box<dyn Channel>, Failure> {
    Ok(match kind {
        "telegram" => Box::new(telegram::Telegram::read(reader)?),
        "slack" => Box::new(slack::Slack::read(reader)?),
        "discord" => Box::new(discord::Discord::read(reader)?),
        "webhook" => Box::new(webhook::Webhook::read(reader)?),
        "ntfy" => Box::new(ntfy::Ntfy::read(reader)?),
        "apprise" => Box::new(apprise::Apprise::read(reader)?),
        _ => {
            let why =
                format!("`{kind}` is not known; apprise, discord, ntfy, slack, telegram and webhook are");
            return Err(reader.wrong("kind", &why));
        }
    })
}

/// Puts why a message says more before the first part that has not arrived: the parts themselves stay as they were.
fn mark(parts: &mut Vec<String>, message: &Message, earlier: &Earlier, write: impl Fn(&str) -> String) {
    let Some(mark) = &message.mark else { return };
    if parts.is_empty() {
        parts.push(write(mark));
    } else if let Some(part) = parts.get_mut(earlier.parts) {
        *part = format!("{}\n{part}", write(mark));
    }
}

/// Divides HTML so that each part, written by `write`, is at most `most` by `measure`.
fn fit(
    html: &str,
    most: usize,
    write: impl Fn(&str) -> String,
    measure: impl Fn(&str) -> usize,
) -> Vec<String> {
    let mut limit = most;
    loop {
        let parts: Vec<String> = html::split(html, limit).iter().map(|part| write(part)).collect();
        // Escapes make text longer; at some length each part fits.
        if limit < 64 || parts.iter().all(|part| measure(part) <= most) {
            return parts;
        }
        limit = limit * 3 / 4;
    }
}

/// What an answer says of itself, if it is short text.
fn words(reply: &Reply) -> String {
    let json = reply.json().unwrap_or_default();
    for key in ["error", "message", "description", "detail"] {
        if let Some(text) = json[key].as_str() {
            return text.to_owned();
        }
    }
    if reply.body.trim_start().starts_with('<') { String::new() } else { reply.body.clone() }
}

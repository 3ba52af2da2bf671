//! Where messages go, one file a kind. A channel says beforehand what it would send, and sends one of these payloads at a time.

mod apprise;
mod discord;
mod ntfy;
mod reader;
mod slack;
mod telegram;
mod webhook;
mod wire;

use std::time::Duration;

use http_client::Reply;
use serde::Serialize;
use serde_json::Value;
use step::{Failure, Permit, scrub};

use crate::message::{Message, html, markup};
use crate::receipt::Receipt;

pub use reader::Reader;
pub use wire::Wire;

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
    /// What of a message finds no place there, as words of `degraded`.
    fn leaves_out(&self, message: &Message) -> Vec<String> {
        message.document.iter().map(|_| "document".to_owned()).collect()
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

/// What a status says that means the same everywhere; `what` is what the answer says of itself.
fn by_status(who: &str, key: &str, reply: &Reply, what: &str) -> Said {
    let status = reply.status;
    let what = quoted(what);
    match status {
        429 => {
            let wait = reply.retry_after().map(Duration::from_secs);
            Said::Later { wait, reason: "rate", why: format!("{who} takes no more messages for now: {what}") }
        }
        300..=399 => Said::Refused(moved(who, key, reply)),
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

/// A redirect is not followed: a secret would go to wherever somebody points, and a message would become a question on the way.
fn moved(who: &str, key: &str, reply: &Reply) -> Failure {
    let status = reply.status;
    let message = match reply.header("location").map(quoted).filter(|to| !to.is_empty()) {
        Some(to) => format!("{who} sends us to {to} (HTTP {status}): check the address of {key}"),
        None => format!(
            "{who} sends us elsewhere and does not say where (HTTP {status}): check the address of {key}"
        ),
    };
    Failure::config("channel", message)
}

/// What somebody else's program says, for one of our sentences.
fn quoted(text: &str) -> String {
    markup::cut(&markup::clean(&scrub(text.trim())), 1, 200)
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

/// Adds the buttons behind the first `most` to what is left out.
fn without_buttons(message: &Message, most: usize, mut left_out: Vec<String>) -> Vec<String> {
    left_out.extend(message.links.iter().skip(most).map(|link| format!("button {}", link.label)));
    left_out
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

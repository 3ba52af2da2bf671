//! One message for one channel, as it lies on disk.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::plan::{Life, State};
use crate::receipt::Receipt;
use crate::time::now;

/// One message for one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub channel: String,
    pub run: String,
    pub event: String,
    /// When it was written down, RFC 3339.
    pub at: String,
    /// Of the part that is next.
    pub state: State,
    /// Requests for that part that may have arrived.
    #[serde(default)]
    pub doubts: u32,
    /// The parts that have arrived.
    pub receipts: Vec<Receipt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The channels that may not have got it, where this one stands in for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// While it may have to be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

impl Entry {
    /// A message that has still to be sent.
    pub fn new(channel: &str, message: Message) -> Self {
        Entry {
            channel: channel.to_owned(),
            run: message.run.clone(),
            event: message.event.clone(),
            at: now(),
            state: State::Waiting,
            doubts: 0,
            receipts: Vec::new(),
            not_before: None,
            why: None,
            instead: None,
            message: Some(message),
        }
    }

    /// The life of the part that is next.
    pub fn life(&self) -> Life {
        Life { state: self.state, doubts: self.doubts }
    }

    /// It goes on with this life.
    pub fn live(&mut self, life: Life) {
        (self.state, self.doubts) = (life.state, life.doubts);
    }

    /// Whether the team would rather hear it twice than not at all.
    pub fn is_urgent(&self) -> bool {
        self.message.as_ref().is_some_and(|m| m.urgent)
    }

    /// Its first line for people.
    pub fn headline(&self) -> String {
        self.message.as_ref().map_or_else(|| self.event.clone(), Message::headline)
    }

    /// By which receivers may know it again: of run, event and channel, 32 hex digits.
    pub fn key(&self) -> String {
        let text = format!("{}\n{}\n{}", self.run, self.event, self.channel);
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Milliseconds since it was written down.
    pub fn age(&self) -> u64 {
        let at = self.at.parse::<Timestamp>().ok();
        let age = at.and_then(|at| u64::try_from(Timestamp::now().duration_since(at).as_millis()).ok());
        age.unwrap_or_default()
    }

    /// Whether its channel asked us to wait longer.
    pub fn is_early(&self) -> bool {
        let not_before = self.not_before.as_ref().and_then(|t| t.parse::<Timestamp>().ok());
        not_before.is_some_and(|t| t > Timestamp::now())
    }

    /// Its channel has asked to wait so long; `None` asks for nothing.
    pub fn wait_for(&mut self, asked: Option<Duration>) {
        let until = asked.and_then(|wait| Timestamp::now().checked_add(wait).ok());
        self.not_before = until.map(|t| t.to_string());
    }

    /// A readable name that no other entry has.
    pub fn file(&self) -> String {
        let name = safe(&format!("{}.{}.{}", self.channel, self.run, self.event));
        format!("{}-{}.json", name.chars().take(160).collect::<String>(), &self.key()[..8])
    }
}

/// A text as part of a file's name.
pub fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' }).collect()
}

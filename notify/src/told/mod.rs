//! How a message fared in one channel, for the record.

mod outcome;

use serde_json::{Value, json};
use step::{Acted, Failure};

use crate::outbox::Entry;
use crate::receipt::Receipt;
use crate::settings::Target;

pub use outcome::outcome;

/// How a message fared in one channel, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent,
    /// There was nothing to send.
    Skipped,
    /// It waits in the outbox.
    Waiting,
    Unknown,
    Refused,
}

impl Fate {
    /// For the record.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Sent => "sent",
            Fate::Skipped => "skipped",
            Fate::Waiting => "not-sent",
            Fate::Unknown => "unknown",
            Fate::Refused => "refused",
        }
    }

    /// Whether nothing more is to be done about it.
    pub fn is_good(self) -> bool {
        matches!(self, Fate::Sent | Fate::Skipped)
    }
}

/// How a message fared in one channel.
#[derive(Debug)]
pub struct Told {
    pub name: String,
    pub kind: String,
    pub required: bool,
    pub fate: Fate,
    pub receipts: Vec<Receipt>,
    /// Requests that were made for it.
    pub attempts: u32,
    pub repeated: bool,
    pub failure: Option<Failure>,
    /// Why nothing was sent.
    pub why: Option<String>,
    pub ms: u64,
}

impl Told {
    /// Nothing is known yet.
    pub fn new(target: &Target) -> Self {
        Told {
            name: target.name.clone(),
            kind: target.kind.clone(),
            required: target.required,
            fate: Fate::Waiting,
            receipts: Vec::new(),
            attempts: 0,
            repeated: false,
            failure: None,
            why: None,
            ms: 0,
        }
    }

    /// Nothing was to be sent there.
    pub fn skipped(target: &Target, why: String) -> Self {
        Told { fate: Fate::Skipped, why: Some(why), ..Told::new(target) }
    }

    /// It was not sent, for this reason.
    pub fn stopped(target: &Target, failure: Failure) -> Self {
        Told { failure: Some(failure), ..Told::new(target) }
    }

    /// A channel whose settings are wrong.
    pub fn misset(name: &str, failure: Failure) -> Self {
        Told {
            name: name.to_owned(),
            kind: "unknown".to_owned(),
            required: true,
            fate: Fate::Refused,
            receipts: Vec::new(),
            attempts: 0,
            repeated: false,
            failure: Some(failure),
            why: None,
            ms: 0,
        }
    }

    /// The channel has asked us to wait longer.
    pub fn early(target: &Target, entry: &Entry) -> Self {
        let until = entry.not_before.as_deref().unwrap_or_default();
        let why = format!("{} takes no more messages before {until}", target.name);
        Told::stopped(target, later("rate", &why))
    }

    /// For the record's `output`.
    pub fn value(&self) -> Value {
        let mut value = json!({ "name": self.name, "kind": self.kind, "status": self.fate.word() });
        let ids: Vec<&String> = self.receipts.iter().filter_map(|r| r.id.as_ref()).collect();
        let degraded: Vec<&String> = self.receipts.iter().flat_map(|r| &r.degraded).collect();
        let mut put = |key: &str, there: bool, what: Value| {
            if there {
                value[key] = what;
            }
        };
        let url = self.receipts.iter().find_map(|r| r.url.as_ref());
        put("messages", !ids.is_empty(), json!(ids));
        put("url", url.is_some(), json!(url));
        put("attempts", self.attempts > 0, json!(self.attempts));
        put("repeated", self.repeated, json!(true));
        put("degraded", !degraded.is_empty(), json!(degraded));
        put("why", self.why.is_some(), json!(self.why));
        if let Some(failure) = &self.failure {
            put("reason", true, json!(failure.reason));
            put("why", true, json!(failure.message));
        }
        put("ms", self.ms > 0, json!(self.ms));
        value
    }
}

/// The failure that says that a message may be there, or not.
pub fn unknown(why: &str) -> Failure {
    let message = format!("whether the message has arrived is not known: {why}; look into the chat");
    Failure::temporary("delivery-unknown", message).acted(Acted::Unknown)
}

/// The failure that says that a message waits.
pub fn later(reason: &str, why: &str) -> Failure {
    let message = format!("{why}; the message waits in the outbox, and the next notify sends it");
    Failure::temporary(reason, message).next("notify flush")
}

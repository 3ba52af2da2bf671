//! Where messages go, one file a kind.

mod telegram;

use step::{Acted, Failure, Permit};

pub use telegram::Telegram;

/// A place where people read.
pub trait Channel {
    /// Sends a message once. A refusal is a failure; no answer is an answer of its own, because it may have arrived.
    fn send(&self, permit: &Permit, html: &str, silent: bool) -> Result<Delivery, Failure>;
    /// Whether messages can be sent; the place's own name.
    fn check(&self) -> Result<String, Failure>;
}

/// How a message fared that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is there, under this number.
    Sent(String),
    /// It may be there, or not.
    Unknown(String),
}

impl Delivery {
    /// The number; a failure if it is not known whether there is one.
    pub fn or_unknown(self) -> Result<String, Failure> {
        match self {
            Delivery::Sent(id) => Ok(id),
            Delivery::Unknown(why) => Err(unknown(&why)),
        }
    }
}

/// The failure that says so.
pub fn unknown(why: &str) -> Failure {
    let message = format!("whether the message has arrived is not known: {why}; look into the chat");
    Failure::temporary("delivery-unknown", message).acted(Acted::Unknown)
}

//! A log that goes beside a message.

use serde::{Deserialize, Serialize};

/// A text that goes beside the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub name: String,
    pub text: String,
}

//! What a channel gives for a part of a message that it has taken.

use serde::{Deserialize, Serialize};

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
    /// With the number that the channel gave it.
    pub fn numbered(id: impl Into<String>) -> Self {
        Receipt { id: Some(id.into()), ..Receipt::default() }
    }

    /// Of a part that did not go along: this was left out instead.
    pub fn without(what: &str) -> Self {
        Receipt { degraded: vec![what.to_owned()], ..Receipt::default() }
    }
}

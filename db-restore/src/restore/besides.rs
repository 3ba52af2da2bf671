//! What a restore changes besides rows: the settings and rights of the database itself, as the snapshot had them.

use serde_json::{Value, json};
use step::{Failure, Permit};

use crate::copy::properties::Properties;
use crate::server::Session;

/// What is changed, and what is not though it differs.
pub struct Besides {
    before: Properties,
    given: Properties,
    /// Whether the snapshot says what they were; else those of the live database stay.
    pub known: bool,
    /// What will be different, a sentence each.
    pub changes: Vec<String>,
    /// What roles have set for every database: it stays, whatever the snapshot says.
    pub stays: Vec<String>,
}

impl Besides {
    /// From what the live database has now, and what the snapshot says. Pure.
    pub fn new(before: Properties, then: Option<Properties>) -> Self {
        let known = then.is_some();
        let given = then.unwrap_or_else(|| before.clone());
        let (changes, stays) = (given.changes(&before), given.of_roles_since(&before));
        Besides { before, given, known, changes, stays }
    }

    /// Gives them to the copy; what the server refuses is said.
    pub fn give(&self, keeper: &mut Session, permit: &Permit, copy: &str) -> Result<Vec<String>, Failure> {
        self.given.give(keeper, permit, copy, &self.before)
    }

    /// For the record.
    pub fn to_value(&self, refused: &[String]) -> Value {
        let of = if self.known { "the snapshot" } else { "the live database" };
        json!({ "settings_and_rights_of": of, "changed": self.changes, "refused": refused, "roles_that_differ": self.stays,
                "not_compared": ["passwords of roles", "the database's comment and tablespace", "the server's configuration"] })
    }
}

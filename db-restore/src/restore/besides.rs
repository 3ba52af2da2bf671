//! What a restore changes besides rows: the settings and rights of the database itself, as the snapshot had them.

use serde_json::{Value, json};
use step::Failure;

use crate::copy::given::{self, Given};
use crate::copy::properties::{Properties, Setting};
use crate::server::{Row, Sql};

/// What there is now.
pub struct Seen {
    /// Of the live database.
    live: Properties,
    /// The copy's own settings, and what only a superuser may set.
    copy: (Vec<Setting>, Vec<String>),
}

impl Seen {
    /// The questions of which [`Seen::of_answers`] reads the answers.
    pub fn questions(live: &str, copy: &str) -> Vec<Sql> {
        [Properties::questions(live), given::questions(copy)].concat()
    }

    /// From the answers.
    pub fn of_answers(live: &str, answers: &[Vec<Row>]) -> Result<Self, Failure> {
        let (live_answers, copy) = answers.split_at(Properties::QUESTIONS.min(answers.len()));
        Ok(Seen { live: Properties::of_answers(live, live_answers)?, copy: given::answers(copy)? })
    }
}

/// What is changed, and what is not though it differs.
pub struct Besides {
    seen: Seen,
    given: Properties,
    /// Whether the snapshot says what they were; else those of the live database stay.
    pub known: bool,
    /// What will be different, a sentence each.
    pub changes: Vec<String>,
    /// What roles have set for every database: it stays, whatever the snapshot says.
    pub stays: Vec<String>,
}

impl Besides {
    /// From what there is now, and what the snapshot says. Pure.
    pub fn new(seen: Seen, then: Option<Properties>) -> Self {
        let known = then.is_some();
        let given = then.unwrap_or_else(|| seen.live.clone());
        let (changes, stays) = (given.changes(&seen.live), given.of_roles_since(&seen.live));
        Besides { seen, given, known, changes, stays }
    }

    /// What gives them to the copy.
    pub fn given(&self, copy: &str) -> Result<Given, Failure> {
        self.given.given(copy, &self.seen.live, &self.seen.copy)
    }

    /// For the record.
    pub fn to_value(&self, refused: &[String]) -> Value {
        let of = if self.known { "the snapshot" } else { "the live database" };
        json!({ "settings_and_rights_of": of, "changed": self.changes, "refused": refused, "roles_that_differ": self.stays,
                "not_compared": ["passwords of roles", "the database's comment and tablespace", "the server's configuration"] })
    }
}

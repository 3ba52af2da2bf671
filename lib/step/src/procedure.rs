//! What a run is: the procedure that its document is about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A document's `procedure`. One that a newer program has written passes through as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Procedure {
    /// A candidate for QA.
    Candidate,
    /// A release to production.
    Release,
    /// A fix straight to production.
    Hotfix,
    /// The way back.
    Rollback,
    /// The way back, tried in staging.
    Rehearsal,
    /// A step run by hand.
    #[default]
    Manual,
    /// What this program does not know.
    Other(String),
}

impl Procedure {
    /// Those that are known, in the order in which people come by them.
    pub const KNOWN: [Procedure; 6] = [
        Procedure::Candidate,
        Procedure::Release,
        Procedure::Hotfix,
        Procedure::Rollback,
        Procedure::Rehearsal,
        Procedure::Manual,
    ];

    /// Its word in a document.
    pub fn word(&self) -> &str {
        match self {
            Procedure::Candidate => "candidate",
            Procedure::Release => "release",
            Procedure::Hotfix => "hotfix",
            Procedure::Rollback => "rollback",
            Procedure::Rehearsal => "rehearsal",
            Procedure::Manual => "manual",
            Procedure::Other(word) => word,
        }
    }

    /// Whether it brings a build to customers that they did not have.
    pub fn is_release(&self) -> bool {
        matches!(self, Procedure::Release | Procedure::Hotfix)
    }
}

impl From<&str> for Procedure {
    fn from(word: &str) -> Self {
        let known = Procedure::KNOWN.into_iter().find(|known| known.word() == word);
        known.unwrap_or_else(|| Procedure::Other(word.to_owned()))
    }
}

impl From<String> for Procedure {
    fn from(word: String) -> Self {
        Procedure::from(word.as_str())
    }
}

impl From<Procedure> for String {
    fn from(procedure: Procedure) -> Self {
        procedure.word().to_owned()
    }
}

impl fmt::Display for Procedure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back_as_it_was() {
        for known in Procedure::KNOWN {
            assert_eq!(Procedure::from(known.word()), known);
        }
        let newer = Procedure::from("review");
        assert_eq!((newer.word(), newer.is_release()), ("review", false));
        assert_eq!(serde_json::to_string(&newer).expect("a string"), "\"review\"");
        assert_eq!(serde_json::from_str::<Procedure>("\"hotfix\"").expect("read"), Procedure::Hotfix);
    }
}

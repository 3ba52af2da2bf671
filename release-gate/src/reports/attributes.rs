//! What a tag of JUnit's XML says about itself. Tools write the same attribute in other cases and with prefixes: all that mean the same are read, and
//! the worse counts. What cannot be read makes the whole report unreadable: a number in it may have been the one that matters.

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use super::shortened::MOST;

/// Words for a test that ran and passed: those of GoogleTest, CTest, Catch2, Bazel, Ginkgo, Behave, Qt, Katalon and NUnit.
const GOOD: &[&str] = &[
    "passed",
    "pass",
    "success",
    "successful",
    "succeeded",
    "ok",
    "run",
    "ran",
    "executed",
    "completed",
    "complete",
    "finished",
];
/// Words for a test that did not run, or proved nothing.
const SKIPPED: &[&str] = &[
    "skipped",
    "skip",
    "notrun",
    "notexecuted",
    "disabled",
    "suppressed",
    "ignored",
    "pending",
    "untested",
    "todo",
    "xfail",
];
const NO: &[&str] = &["", "0", "false", "no", "none", "null"];
const YES: &[&str] = &["", "1", "true", "yes"];

/// What words say about a test or a suite.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    Good,
    Skipped,
    /// It failed, or the word is not known here.
    Bad(String),
}

/// The attributes of a tag: their names without a prefix and in lower case, and the beginnings of their values.
pub struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// Reads all of them, and not only those that are known here.
    pub fn new(tag: &BytesStart) -> Result<Self, String> {
        let mut all = Vec::new();
        for found in tag.attributes() {
            let found = found.map_err(|_| "XML with an attribute that cannot be read".to_owned())?;
            let name = found.key.local_name().as_ref().to_ascii_lowercase();
            let whole = found.normalized_value(XmlVersion::Implicit1_0);
            let mut value = String::new();
            append(&mut value, &whole.unwrap_or(found.value));
            all.push((name, value));
        }
        Ok(Attributes(all))
    }

    fn values<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = self.0.iter().filter(move |(name, _)| names.contains(&name.as_str()));
        named.map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// A text, or none.
    pub fn text(&self, name: &str) -> String {
        let found = self.0.iter().find(|(own, value)| own == name && !value.is_empty());
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The largest number of these; nothing is none, but what cannot be read is not.
    pub fn number(&self, names: &[&str]) -> Result<u64, String> {
        let mut most = 0;
        for (name, value) in self.values(names) {
            let number = match value {
                "" => 0,
                _ => value.parse().map_err(|_| format!("XML with a number that is none ({name})"))?,
            };
            most = number.max(most);
        }
        Ok(most)
    }

    /// Whether one of these says more than no.
    pub fn has(&self, names: &[&str]) -> bool {
        self.values(names).any(|(_, value)| !is_one_of(value, NO))
    }

    /// Whether one of these says no, or nothing that is known here.
    pub fn denies(&self, name: &str) -> bool {
        self.values(&[name]).any(|(_, value)| !is_one_of(value, YES) && !is_one_of(value, GOOD))
    }

    /// What the words for an end say: the worst of them.
    pub fn said(&self) -> Said {
        let mut said = Said::Nothing;
        for (_, value) in self.values(&["status", "result"]) {
            let word: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            said = match said {
                _ if value.is_empty() => said,
                Said::Bad(_) => said,
                _ if is_one_of(&word, SKIPPED) => Said::Skipped,
                _ if !is_one_of(&word, GOOD) => Said::Bad(value.to_owned()),
                Said::Skipped => said,
                _ => Said::Good,
            };
        }
        said
    }
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Adds a text, as far as it is kept.
pub fn append(kept: &mut String, text: &str) {
    let room = MOST.saturating_sub(kept.len());
    let end = if text.len() <= room {
        text.len()
    } else {
        (room..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
    };
    kept.push_str(&text[..end]);
}

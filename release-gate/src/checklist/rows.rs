//! The rows of QA's list, read strictly: what is not as the table has it is no answer. Pure.

use serde_json::{Map, Value, json};
use step::{excerpt, plain_line};

/// The columns that are asked for.
pub const COLUMNS: [&str; 9] =
    ["item", "title", "required", "status", "source", "candidate", "commit_sha", "checked_by", "note"];

/// A candidate has no more items than this: whatever answers so much is something else.
pub const MOST: usize = 5000;

/// What stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Pass,
    Fail,
    Blocked,
    Waived,
}

const WORDS: [(&str, Status); 5] = [
    ("pending", Status::Pending),
    ("pass", Status::Pass),
    ("fail", Status::Fail),
    ("blocked", Status::Blocked),
    ("waived", Status::Waived),
];

impl Status {
    /// As it is written in the table.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, status)| *status == self).map_or("", |(word, _)| word)
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub candidate: String,
    pub commit: String,
    pub item: String,
    pub title: String,
    pub required: bool,
    pub status: Status,
    pub source: String,
    pub by: Option<String>,
    pub note: Option<String>,
}

impl Row {
    /// Reads a row.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn read(value: &Value) -> Result<Self, String> {
        let item = text(value, "an item", "item")?;
        let of = shown(&item);
        let word = text(value, &of, "status")?;
        let status = WORDS.iter().find(|(known, _)| *known == word).map(|(_, status)| *status);
        let status = status.ok_or_else(|| {
            format!(
                "the status of {of} is `{}`: pending, pass, fail, blocked and waived are known",
                shown(&word)
            )
        })?;
        let required = value["required"].as_bool();
        let commit = text(value, &of, "commit_sha")?;
        if !is_id(&commit) {
            return Err(format!(
                "the commit_sha of {of} is `{}`, which is no whole commit id",
                shown(&commit)
            ));
        }
        Ok(Row {
            candidate: text(value, &of, "candidate")?,
            title: text(value, &of, "title")?,
            required: required.ok_or_else(|| format!("required of {of} is neither true nor false"))?,
            source: text(value, &of, "source")?,
            by: optional(value, &of, "checked_by")?,
            note: optional(value, &of, "note")?,
            commit,
            status,
            item,
        })
    }

    /// The item for people.
    pub fn name(&self) -> String {
        format!("{} ({})", shown(&self.item), shown(&self.title))
    }

    /// Who can answer it.
    pub fn whose(&self) -> String {
        if self.source == "manual" { "QA".to_owned() } else { format!("the {} suite", shown(&self.source)) }
    }

    /// Who has answered it, and what they have noted.
    pub fn said(&self) -> String {
        let by = self.by.as_deref().map(|by| format!(" by {}", shown(by))).unwrap_or_default();
        let note = self.note.as_deref().map(|note| format!(": {}", shown(note))).unwrap_or_default();
        format!("{by}{note}")
    }

    /// What is kept of it in the fact.
    pub fn kept(&self) -> Value {
        let mut kept = Map::new();
        let mut keep = |key: &str, text: Option<&str>| {
            text.map(|text| kept.insert(key.to_owned(), json!(shown(text))));
        };
        keep("item", Some(&self.item));
        keep("title", Some(&self.title));
        keep("status", Some(self.status.word()));
        keep("source", Some(&self.source));
        keep("by", self.by.as_deref());
        keep("note", self.note.as_deref());
        Value::Object(kept)
    }
}

/// A commit's whole id, of SHA-1 or SHA-256.
fn is_id(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Words of others, in a line of a sensible length.
pub fn shown(text: &str) -> String {
    excerpt(plain_line(text).trim(), 120)
}

/// So many of something.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn text(value: &Value, of: &str, column: &str) -> Result<String, String> {
    optional(value, of, column)?.ok_or_else(|| format!("{of} has no {column}"))
}

/// What is blank says nothing.
fn optional(value: &Value, of: &str, column: &str) -> Result<Option<String>, String> {
    match value.get(column) {
        None => Err(format!("{of} has no {column}")),
        Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !shown(text).is_empty())),
        Some(_) => Err(format!("{column} of {of} is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_the_table_has_it_or_it_is_none() {
        let row = json!({ "item": "checkout.card", "title": "Pay", "required": true, "status": "pass", "source": "manual",
            "candidate": "v1.2.0-rc1", "commit_sha": "9f2c".repeat(10), "checked_by": "Rina", "note": null });
        assert_eq!(Row::read(&row).map(|row| row.status), Ok(Status::Pass));
        for (column, value, why) in [
            ("item", json!(null), "an item has no item"),
            ("item", json!(7), "item of an item is no text"),
            ("title", json!(null), "checkout.card has no title"),
            ("title", json!(" \u{200b}"), "checkout.card has no title"),
            ("title", json!(["Pay"]), "title of checkout.card is no text"),
            ("required", json!(null), "required of checkout.card is neither true nor false"),
            ("required", json!("true"), "required of checkout.card is neither true nor false"),
            ("required", json!(1), "required of checkout.card is neither true nor false"),
            ("status", json!("PASS"), "the status of checkout.card is `PASS`: pending"),
            ("status", json!("passed"), "the status of checkout.card is `passed`: pending"),
            ("status", json!("pass "), "the status of checkout.card is `pass`: pending"),
            ("status", json!(true), "status of checkout.card is no text"),
            ("status", json!(null), "checkout.card has no status"),
            ("commit_sha", json!("9f2c"), "the commit_sha of checkout.card is `9f2c`"),
            ("commit_sha", json!("9F2C".repeat(10)), "which is no whole commit id"),
            ("candidate", json!(null), "checkout.card has no candidate"),
            ("source", json!(null), "checkout.card has no source"),
            ("note", json!({}), "note of checkout.card is no text"),
        ] {
            let mut odd = row.clone();
            odd[column] = value.clone();
            let said = Row::read(&odd).expect_err(column);
            assert!(said.contains(why), "{column} {value}: {said}");
        }
        for column in COLUMNS {
            let mut short = row.clone();
            short.as_object_mut().expect("an object").remove(column);
            assert!(Row::read(&short).is_err(), "without {column}");
        }
        for odd in [json!(null), json!([]), json!("pass"), json!(1)] {
            assert!(Row::read(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn words_of_others_steer_no_terminal() {
        let row = json!({ "item": "a\u{1b}[2Jb", "title": "x\ny", "required": true, "status": "waived", "source": "manual",
            "candidate": "v1.2.0-rc1", "commit_sha": "9f2c".repeat(16), "checked_by": "R\u{202e}", "note": "n\r" });
        let row = Row::read(&row).expect("a row");
        assert_eq!((row.name().as_str(), row.said().as_str()), ("ab (x y)", " by R: n"));
        assert_eq!(row.kept()["title"], "x y");
    }
}

//! The rows of QA's list, read strictly: what is not as the table has it is no answer. Pure.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use step::{excerpt, plain_line};

/// The columns that are asked for.
pub const COLUMNS: [&str; 9] =
    ["item", "title", "required", "status", "source", "candidate", "commit_sha", "checked_by", "note"];

/// A candidate has no more items than this: whatever answers so much is something else.
pub const MOST: usize = 5000;

/// All rows together have no more bytes than this.
pub const ALL: u64 = 64 << 20;

/// What stands in a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cell {
    /// The column is not there.
    #[default]
    Absent,
    Null,
    Text(String),
    Flag(bool),
    /// Something that no column of ours holds.
    Other,
}

impl Cell {
    /// What it takes, in bytes.
    pub fn size(&self) -> u64 {
        let text = if let Cell::Text(text) = self { text.len() } else { 0 };
        text as u64 + 16
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a cell; what lies in a list or an object is skipped.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Cell, E> {
        Ok(Cell::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Cell, E> {
        Ok(Cell::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Cell, E> {
        Ok(Cell::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Cell, E> {
        Ok(Cell::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Cell, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Cell, A::Error> {
        while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Other)
    }
}

/// A row as it came: the columns that are asked for, and no others. A column that is there twice is no row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Raw {
    pub item: Cell,
    pub title: Cell,
    pub required: Cell,
    pub status: Cell,
    pub source: Cell,
    pub candidate: Cell,
    pub commit_sha: Cell,
    pub checked_by: Cell,
    pub note: Cell,
}

impl Raw {
    /// A column by its name.
    pub fn column(&mut self, name: &str) -> Option<&mut Cell> {
        Some(match name {
            "item" => &mut self.item,
            "title" => &mut self.title,
            "required" => &mut self.required,
            "status" => &mut self.status,
            "source" => &mut self.source,
            "candidate" => &mut self.candidate,
            "commit_sha" => &mut self.commit_sha,
            "checked_by" => &mut self.checked_by,
            "note" => &mut self.note,
            _ => return None,
        })
    }
}

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
    pub fn read(raw: &Raw) -> Result<Self, String> {
        let item = text(&raw.item, "an item", "item")?;
        let of = shown(&item);
        let word = text(&raw.status, &of, "status")?;
        let status = WORDS.iter().find(|(known, _)| *known == word).map(|(_, status)| *status);
        let status = status.ok_or_else(|| {
            format!(
                "the status of {of} is `{}`: pending, pass, fail, blocked and waived are known",
                shown(&word)
            )
        })?;
        let Cell::Flag(required) = raw.required else {
            return Err(format!("required of {of} is neither true nor false"));
        };
        let commit = text(&raw.commit_sha, &of, "commit_sha")?;
        if !is_id(&commit) {
            return Err(format!(
                "the commit_sha of {of} is `{}`, which is no whole commit id",
                shown(&commit)
            ));
        }
        Ok(Row {
            candidate: text(&raw.candidate, &of, "candidate")?,
            title: text(&raw.title, &of, "title")?,
            required,
            source: text(&raw.source, &of, "source")?,
            by: optional(&raw.checked_by, &of, "checked_by")?.filter(|by| says(by)),
            note: optional(&raw.note, &of, "note")?.filter(|note| says(note)),
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

/// Whether a person has written something: what shows nothing names nobody and notes nothing.
fn says(text: &str) -> bool {
    step::reason(text).is_ok()
}

fn text(cell: &Cell, of: &str, column: &str) -> Result<String, String> {
    optional(cell, of, column)?.ok_or_else(|| format!("{of} has no {column}"))
}

/// What is blank says nothing.
fn optional(cell: &Cell, of: &str, column: &str) -> Result<Option<String>, String> {
    match cell {
        Cell::Absent => Err(format!("{of} has no {column}")),
        Cell::Null => Ok(None),
        Cell::Text(text) => Ok(Some(text.clone()).filter(|text| !shown(text).is_empty())),
        Cell::Flag(_) | Cell::Other => Err(format!("{column} of {of} is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        json!({ "item": "checkout.card", "title": "Pay", "required": true, "status": "pass", "source": "manual",
            "candidate": "v1.2.0-rc1", "commit_sha": "9f2c".repeat(10), "checked_by": "Rina", "note": null })
    }

    fn read(row: &Value) -> Result<Row, String> {
        let raw: Raw = serde_json::from_value(row.clone()).map_err(|e| e.to_string())?;
        Row::read(&raw)
    }

    #[test]
    fn what_shows_nothing_names_nobody_and_a_column_is_there_once() {
        let row = good();
        for blank in ["\u{3164}", "\u{2060}\u{ad}", "\u{200b} \u{feff}", ".", "\u{115f}\u{ffa0}", "\u{e0041}"]
        {
            let mut nobody = row.clone();
            nobody["checked_by"] = json!(blank);
            nobody["note"] = json!(blank);
            let row = read(&nobody).expect("a row");
            assert_eq!((row.by, row.note), (None, None), "{blank:?}");
        }
        let twice = row.to_string().replacen('{', r#"{"status":"fail","#, 1);
        assert!(
            serde_json::from_str::<Raw>(&twice).is_err_and(|e| e.is_data()),
            "a column that is there twice"
        );
    }

    #[test]
    fn a_row_is_as_the_table_has_it_or_it_is_none() {
        let row = good();
        assert_eq!(read(&row).map(|row| row.status), Ok(Status::Pass));
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
            let said = read(&odd).expect_err(column);
            assert!(said.contains(why), "{column} {value}: {said}");
        }
        for column in COLUMNS {
            let mut short = row.clone();
            short.as_object_mut().expect("an object").remove(column);
            assert!(read(&short).is_err(), "without {column}");
        }
        for odd in [json!(null), json!([]), json!("pass"), json!(1)] {
            assert!(read(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn words_of_others_steer_no_terminal() {
        let row = json!({ "item": "a\u{1b}[2Jb", "title": "x\ny", "required": true, "status": "waived", "source": "manual",
            "candidate": "v1.2.0-rc1", "commit_sha": "9f2c".repeat(16), "checked_by": "R\u{202e}", "note": "n\r" });
        let raw: Raw = serde_json::from_value(row).expect("a raw row");
        let row = Row::read(&raw).expect("a row");
        assert_eq!((row.name().as_str(), row.said().as_str()), ("ab (x y)", " by R: n"));
        assert_eq!(row.kept()["title"], "x y");
    }
}

//! The verdict about QA's list. Pure: rows in, a verdict out. A yes rests on items that somebody has passed; what is not answered, not
//! readable or not announced is never one.

use std::collections::BTreeSet;

use facts::{Evidence, Verdict};
use serde_json::{Map, Value, json};

use super::rows::{Raw, Row, Status, counted, shown};
use crate::gate::short_id;

/// So many items of a kind are kept in the fact.
const KEPT: usize = 50;

/// What is asked for.
pub struct Terms<'a> {
    /// The candidate's tag.
    pub tag: &'a str,
    /// The commit that it is at.
    pub commit: &'a str,
    /// The least items.
    pub least: usize,
    /// What an empty list means.
    pub empty: &'a str,
}

/// A verdict about the list, and what else is worth keeping.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// People have yet to answer.
    pub is_passing: bool,
    pub details: Map<String, Value>,
    /// A line for each item that is open.
    pub open: Vec<String>,
}

/// Judges all rows of a candidate.
pub fn judge(values: &[Raw], terms: &Terms) -> Judged {
    let (rows, odd) = read(values, terms);
    let sorted = Sorted::of(&rows, terms);
    let open: Vec<String> = sorted.open.iter().map(|row| open_line(row)).collect();
    let (verdict, is_passing) = verdict(values.len(), &sorted, &open, &odd, terms);
    Judged { verdict, is_passing, details: sorted.details(values.len()), open }
}

/// The rows that can be read, and what is odd about the list.
fn read(values: &[Raw], terms: &Terms) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut odd, mut items) = (Vec::new(), Vec::new(), BTreeSet::new());
    for value in values {
        match Row::read(value) {
            Ok(row) if row.candidate != terms.tag => {
                odd.push(format!("{} is of {}, not of {}", row.name(), shown(&row.candidate), terms.tag));
            }
            Ok(row) if !items.insert(row.item.clone()) => odd.push(format!("{} is there twice", row.name())),
            Ok(row) => rows.push(row),
            Err(why) => odd.push(why),
        }
    }
    (rows, odd)
}

/// The rows by what they mean.
#[derive(Default)]
struct Sorted<'r> {
    required: usize,
    passed: usize,
    /// Looked at, and not as it must be.
    wrong: Vec<String>,
    open: Vec<&'r Row>,
    waived: Vec<&'r Row>,
    /// What is not asked for, and was not passed either.
    beside: Vec<&'r Row>,
}

impl<'r> Sorted<'r> {
    fn of(rows: &'r [Row], terms: &Terms) -> Self {
        let mut sorted = Sorted::default();
        for row in rows {
            if row.commit != terms.commit {
                let (seen, tag) = (short_id(&row.commit), terms.tag);
                let is = terms.commit.get(..12).unwrap_or(terms.commit);
                sorted.wrong.push(format!("{} is about commit {seen}, and {tag} is {is}", row.name()));
            }
            if row.required {
                sorted.required(row);
            } else if row.status != Status::Pass {
                sorted.beside.push(row);
            }
        }
        sorted
    }

    fn required(&mut self, row: &'r Row) {
        self.required += 1;
        match row.status {
            Status::Fail => self.wrong.push(format!("{} failed{}", row.name(), row.said())),
            Status::Blocked => self.wrong.push(format!("{} is blocked{}", row.name(), row.said())),
            Status::Pass if row.by.is_some() => self.passed += 1,
            Status::Waived if row.by.is_some() && row.note.is_some() => self.waived.push(row),
            Status::Pass | Status::Waived | Status::Pending => self.open.push(row),
        }
    }

    fn details(&self, rows: usize) -> Map<String, Value> {
        let mut details = Map::new();
        details.insert("items".into(), json!(rows));
        details.insert("required".into(), json!(self.required));
        details.insert("passed".into(), json!(self.passed));
        for (key, rows) in [("open", &self.open), ("waived", &self.waived), ("optional", &self.beside)] {
            if !rows.is_empty() {
                details.insert(key.into(), rows.iter().take(KEPT).map(|row| row.kept()).collect());
            }
        }
        details
    }

    /// Nothing is wrong or open: what a yes rests on, if somebody has passed anything.
    fn evidence(&self, tag: &str) -> Option<Evidence> {
        let first = format!("{} of {} required items of {tag} are passed", self.passed, self.required);
        let waived = self.waived.iter().map(|row| format!("{} is waived{}", row.name(), row.said()));
        let beside =
            self.beside.iter().map(|row| format!("{} is optional, and {}", row.name(), row.status.word()));
        (self.passed > 0).then(|| waived.chain(beside).fold(Evidence::of(first), Evidence::and))
    }
}

/// Why an item is open, and who can close it.
fn open_line(row: &Row) -> String {
    let why = match row.status {
        Status::Waived if row.note.is_none() => "is waived without a note",
        Status::Pass | Status::Waived => "names nobody who has checked it",
        _ => "is not answered yet",
    };
    format!("{} {why}: {} can answer it", row.name(), row.whose())
}

fn verdict(count: usize, sorted: &Sorted, open: &[String], odd: &[String], terms: &Terms) -> (Verdict, bool) {
    let unknown = |why: String| (Verdict::Unknown(why), false);
    let mut wrong = sorted.wrong.iter().chain(open);
    if let (false, Some(first)) = (sorted.wrong.is_empty(), wrong.next()) {
        let evidence = wrong.fold(Evidence::of(first), Evidence::and);
        return (Verdict::No(evidence), false);
    }
    if count == 0 {
        return unknown(terms.empty.to_owned());
    }
    if let Some(first) = odd.first() {
        let rest = odd.len() - 1;
        let more = if rest > 0 { format!(" (and {} more)", counted(rest, "odd row")) } else { String::new() };
        return unknown(format!("the list cannot be read: {first}{more}"));
    }
    if count < terms.least {
        let Terms { tag, least, .. } = terms;
        return unknown(format!(
            "{tag} has {}, and checklist.min_items asks for {least}: the list is not whole",
            counted(count, "item")
        ));
    }
    if !open.is_empty() {
        let named = open.iter().take(super::NAMED).cloned().collect::<Vec<_>>().join("; ");
        let all = format!("{} of {} required items are open: {named}", open.len(), sorted.required);
        return (Verdict::Unknown(all), true);
    }
    match sorted.evidence(terms.tag) {
        Some(evidence) => (Verdict::Yes(evidence), false),
        None => unknown(format!(
            "of {} of {} none is required and passed: nothing was tested",
            counted(count, "item"),
            terms.tag
        )),
    }
}

#[cfg(test)]
mod tests;

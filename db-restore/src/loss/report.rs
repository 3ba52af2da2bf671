//! What a restore would lose, table by table and as a whole, and which words may be said of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::large::Large;
use super::shape::Shapes;
use crate::snapshot::origin::Origin;

/// How many tables a report lists.
const LISTED: usize = 50;

/// How a table was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// By all of its rows.
    Rows,
    /// By the rows that were written since the snapshot.
    Transactions,
}

impl By {
    fn word(self) -> &'static str {
        match self {
            By::Rows => "rows",
            By::Transactions => "transactions",
        }
    }
}

/// What a table would lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub table: String,
    /// `None` where it is not there.
    pub rows_old: Option<u64>,
    pub rows_new: Option<u64>,
    pub only_in_old: u64,
    pub only_in_new: u64,
    pub changed: u64,
    pub columns_lost: Vec<String>,
    /// The newest row on the old side, by its own time.
    pub newest_row_at: Option<String>,
    pub by: By,
}

impl Lost {
    fn is_nothing(&self) -> bool {
        self.only_in_old == 0
            && self.only_in_new == 0
            && self.changed == 0
            && self.columns_lost.is_empty()
            && self.rows_old.is_some() == self.rows_new.is_some()
    }

    fn to_value(&self) -> Value {
        let mut value = json!({ "table": self.table, "only_in_old": self.only_in_old, "only_in_new": self.only_in_new, "changed": self.changed, "by": self.by.word() });
        for (key, rows) in [("rows_old", self.rows_old), ("rows_new", self.rows_new)] {
            if let Some(rows) = rows {
                value[key] = json!(rows);
            }
        }
        if !self.columns_lost.is_empty() {
            value["columns_lost"] = json!(self.columns_lost);
        }
        if let Some(at) = &self.newest_row_at {
            value["newest_row_at"] = json!(at);
        }
        value
    }

    /// For people.
    pub fn line(&self) -> String {
        let mut text = format!(
            "{}: {} rows only in the present data, {} changed, {} come back",
            self.table, self.only_in_old, self.changed, self.only_in_new
        );
        if self.rows_new.is_none() {
            text.push_str("; the table goes");
        }
        if !self.columns_lost.is_empty() {
            text.push_str(&format!("; columns that go: {}", self.columns_lost.join(", ")));
        }
        if let Some(at) = &self.newest_row_at {
            text.push_str(&format!("; newest row {at}"));
        }
        text
    }
}

/// What the whole database would lose.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Only tables that differ.
    pub tables: Vec<Lost>,
    /// How each table was compared.
    pub(super) by: BTreeMap<String, By>,
    /// Tables in which the new side was written to before the last rows of the old side could be counted.
    pub(super) overtaken: BTreeSet<String>,
    /// Rows of every table on the new side, but those of extensions, which are by themselves.
    pub counts: BTreeMap<String, u64>,
    pub extensions: BTreeMap<String, u64>,
    /// What was left out: because it is no data of its own, and because we may not read it.
    pub(super) derived: Vec<String>,
    pub(super) unread: Vec<String>,
    pub(super) old: Shapes,
    pub(super) large: Large,
    pub(super) origin: Option<Origin>,
    /// What [`super::WRITTEN`] said of the old side before it was looked at.
    pub(super) written: Option<i64>,
}

impl Report {
    /// Rows that only the old side has.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.only_in_old).sum()
    }

    /// What was written just before the swap could not be counted.
    pub fn is_unfinished(&mut self) {
        self.unread.push("what was written between the report and the swap".to_owned());
    }

    /// Whether every row and every large object was compared.
    pub fn is_exact(&self) -> bool {
        self.overtaken.is_empty() && self.unread.is_empty()
    }

    /// Rows that come back.
    pub fn back(&self) -> u64 {
        self.tables.iter().map(|t| t.only_in_new).sum()
    }

    /// Rows that the old side has changed.
    pub fn changed(&self) -> u64 {
        self.tables.iter().map(|t| t.changed).sum()
    }

    /// For the record; the tables that lose most come first, and at most 50 of them.
    pub fn to_value(&self) -> Value {
        let mut tables: Vec<&Lost> = self.tables.iter().collect();
        tables.sort_by_key(|t| std::cmp::Reverse(t.only_in_old + t.changed));
        let listed: Vec<Value> = tables.iter().take(LISTED).map(|t| t.to_value()).collect();
        let (rows, changed) = (self.rows(), self.changed());
        let mut by = BTreeMap::new();
        self.by.values().for_each(|b| *by.entry(b.word()).or_insert(0) += 1);
        let others = self.tables.len().saturating_sub(LISTED);
        let mut not_compared = vec!["definitions, rights and comments".to_owned()];
        not_compared.extend(self.derived.iter().chain(&self.unread).cloned());
        not_compared
            .extend(self.overtaken.iter().map(|t| format!("{t}: what clients wrote to it after the swap")));
        json!({ "exact": self.is_exact(), "compared": "every value of every row, as PostgreSQL writes it, and every large object",
                "not_compared": not_compared, "tables_not_listed": others, "only_in_old": rows, "changed": changed, "by": by,
                "tables_that_differ": tables.len(), "tables": listed })
    }

    /// Takes in what was found of a table; the last word counts.
    pub(super) fn put(&mut self, lost: Lost) {
        self.by.insert(lost.table.clone(), lost.by);
        self.tables.retain(|t| t.table != lost.table);
        self.tables.extend((!lost.is_nothing()).then_some(lost));
    }
}

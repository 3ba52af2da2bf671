//! Where the list is: behind Supabase's API, or in PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};
use step::{Context, Failure, Permit};

use super::candidate::Candidate;
use super::database::Database;
use super::list::Item;
use super::rows::Raw;
use super::supabase::Supabase;

/// Why it is not known what the list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence with the remedy.
    pub why: String,
    /// Asking again may help.
    pub is_passing: bool,
}

impl Trouble {
    /// Somebody has to do something about it.
    pub fn lasting(why: impl Into<String>) -> Self {
        Trouble { why: why.into(), is_passing: false }
    }

    /// It may be over soon.
    pub fn passing(why: impl Into<String>) -> Self {
        Trouble { why: why.into(), is_passing: true }
    }
}

/// What is left of the step's time for saying what was found.
pub const RESERVE: Duration = Duration::from_millis(500);

/// What was asked for, or why it is not known; outside of both, why the step stops.
pub type Asked<T> = Result<Result<T, Trouble>, Failure>;

/// What became of rows that were to be made.
#[derive(Debug)]
pub enum Added {
    /// It says that it has done so.
    Said,
    /// No answer that tells.
    Unclear(Trouble),
    /// It has not.
    Refused(Trouble),
}

/// The table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub schema: String,
    pub name: String,
}

impl Table {
    fn of(settings: &step::Settings) -> Result<Self, Failure> {
        const KEY: &str = "checklist.table";
        let text: String = settings.value(KEY)?;
        let wrong = || {
            settings.wrong(KEY, "it must be the name of a table, or schema.table, of letters, digits and _")
        };
        Table::parse(&text).ok_or_else(wrong)
    }

    fn parse(text: &str) -> Option<Self> {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text));
        let is_word = |text: &str| {
            text.len() <= 63
                && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        (is_word(schema) && is_word(name)).then(|| Table { schema: schema.to_owned(), name: name.to_owned() })
    }

    /// In SQL: exactly this table, however its name is written.
    pub fn quoted(&self) -> String {
        format!("\"{}\".\"{}\"", self.schema, self.name)
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Where the list is.
#[derive(Debug)]
pub enum Source {
    Supabase(Supabase),
    Database(Database),
}

impl Source {
    /// As the settings say.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        let table = Table::of(settings)?;
        match settings.choice("checklist.source", &[("supabase", true), ("database", false)])? {
            Some(false) => Database::read(settings, table).map(Source::Database),
            _ => Supabase::read(settings, table).map(Source::Supabase),
        }
    }

    /// For people.
    pub fn place(&self) -> String {
        match self {
            Source::Supabase(supabase) => supabase.place(),
            Source::Database(database) => database.place(),
        }
    }

    /// What it may mean that there is no row.
    pub fn empty(&self, tag: &str) -> String {
        let (table, whom) = match self {
            Source::Supabase(supabase) => (&supabase.table, "this key (use the secret key)"),
            Source::Database(database) => (&database.table, "this role"),
        };
        format!(
            "{table} shows no row of {tag}: make them with release-gate checklist --seed FILE; if they are there, \
             row level security hides them from {whom}: a table without a policy looks just like an empty one"
        )
    }

    /// All rows of a candidate.
    pub fn ask(&self, context: &Context, tag: &str) -> Asked<Vec<Raw>> {
        match self {
            Source::Supabase(supabase) => supabase.ask(context, tag),
            Source::Database(database) => database.ask(context, tag),
        }
    }

    /// Makes rows that are not there; what is there is left as it is.
    pub fn add(
        &self,
        context: &Context,
        permit: &Permit,
        candidate: &Candidate,
        items: &[&Item],
    ) -> Result<Added, Failure> {
        match self {
            Source::Supabase(supabase) => supabase.add(context, permit, &made(candidate, items)),
            Source::Database(database) => database.add(context, permit, candidate, items),
        }
    }
}

/// New rows, all with the same keys: PostgREST takes no others together.
fn made(candidate: &Candidate, items: &[&Item]) -> Value {
    let row = |item: &&Item| {
        json!({ "release": candidate.release, "candidate": candidate.tag, "commit_sha": candidate.commit,
            "item": item.slug, "title": item.title, "required": item.required, "status": "pending", "source": "manual" })
    };
    items.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_s_name_is_a_word_and_nothing_that_a_url_or_sql_would_read() {
        for (text, quoted) in [
            ("qa_checks", Some("\"public\".\"qa_checks\"")),
            ("qa.Checks2", Some("\"qa\".\"Checks2\"")),
            ("", None),
            ("qa.checks.x", None),
            ("qa-checks", None),
            ("qa_checks?select=x", None),
            ("qa_checks/../x", None),
            ("a\"; drop table x", None),
            ("1a", None),
            ("rpc/f", None),
            (".x", None),
        ] {
            assert_eq!(Table::parse(text).map(|table| table.quoted()).as_deref(), quoted, "{text}");
        }
        assert!(Table::parse(&"a".repeat(64)).is_none(), "PostgreSQL would cut it");
    }
}

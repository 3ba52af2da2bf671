//! What a database says of itself: one line of its comment, below whatever people have written there. It lies in the cluster,
//! goes along when the database is renamed, and is written in the same transaction: it is our only journal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use step::Failure;

use crate::server::sql::{self, name, text};
use crate::server::{Row, Session, Sql};
use crate::snapshot::origin::Origin;

/// Begins our line.
const MARK: &str = "db-restore ";
/// Begins the line of a live database that is closed for a moment.
const CLOSED: &str = "db-restore-closed-by ";

/// What a database is, as far as we made it so.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Note {
    /// A side database that is not finished.
    Filling { run: String },
    /// A copy of the live database, taken before a release.
    Snapshot(Sibling),
    /// A side database that holds a snapshot and was verified.
    Staged(Staged),
    /// The live database, since a restore has swapped it in.
    Live(Record),
    /// What was live before a restore.
    Kept { run: String, since: Timestamp, read_only: Option<String> },
    /// The live database, since an undo has swapped it back.
    Back(Record),
    /// What was live before an undo.
    Undone { run: String, since: Timestamp },
}

/// A database cloned before a release.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sibling {
    pub run: String,
    pub of: String,
    pub product: Option<String>,
    pub environment: String,
    pub taken_at: Timestamp,
    pub version: Option<String>,
    /// Where in the cluster's history it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A restored and verified copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Staged {
    pub run: String,
    pub snapshot: String,
    pub taken_at: Timestamp,
    pub staged_at: Timestamp,
    /// How long it took to restore and to verify.
    pub ms: u64,
    /// Extensions that it was restored without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// What a swap has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The document in whose run it was swapped in.
    pub run: String,
    pub source: String,
    pub snapshot: String,
    /// The instant whose data it held then.
    pub taken_at: Timestamp,
    /// When the old database had lost its last session.
    pub frozen_at: Timestamp,
    /// The old database's name.
    pub kept_in: String,
    /// The first transaction after the swap.
    pub from_xid: u64,
    /// The rows that were lost, once they were counted.
    pub rows: Option<u64>,
}

/// A database beside the live one.
#[derive(Debug)]
pub struct Beside {
    pub name: String,
    pub oid: u32,
    pub open: bool,
    /// Whether it is open or closed only for a moment, and by us.
    pub noted: bool,
    pub bytes: u64,
    pub remark: Option<Note>,
}

fn comment(session: &mut Session, database: &str) -> Result<String, Failure> {
    let sql =
        "select coalesce(shobj_description(oid, 'pg_database'), '') from pg_database where datname = $1";
    Ok(session.one(sql, &[&database])?.unwrap_or_default())
}

fn parse(comment: &str) -> Option<Note> {
    let json = comment.lines().find_map(|line| line.strip_prefix(MARK))?;
    serde_json::from_str(json).ok()
}

/// What the database behind a name says of itself.
pub fn of(session: &mut Session, database: &str) -> Result<Option<Note>, Failure> {
    Ok(parse(&comment(session, database)?))
}

/// The statement that gives `database` the comment of `from`, with our line replaced.
pub fn replace(
    session: &mut Session,
    from: &str,
    database: &str,
    remark: Option<&Note>,
) -> Result<Sql, Failure> {
    let people = people(&comment(session, from)?);
    let ours = remark.map(serde_json::to_string).transpose().map_err(|e| Failure::bug(e.to_string()))?;
    let ours = ours.map(|json| format!("{MARK}{json}")).unwrap_or_default();
    Ok(set(database, &format!("{people}{ours}")))
}

/// The statement that gives our line to a database that has no comment yet.
pub fn first(database: &str, remark: &Note) -> Result<Sql, Failure> {
    let ours = serde_json::to_string(remark).map_err(|e| Failure::bug(e.to_string()))?;
    Ok(set(database, &format!("{MARK}{ours}")))
}

/// The statement that notes on a database that it is closed (a copy: open) for a moment, and by whom; or that this is over.
pub fn closed(session: &mut Session, database: &str, by: Option<&str>) -> Result<Sql, Failure> {
    let comment = comment(session, database)?;
    let rest: Vec<&str> = comment.lines().filter(|line| !line.starts_with(CLOSED)).collect();
    let ours = by.map(|run| format!("{CLOSED}{run}"));
    let lines: Vec<&str> = rest.into_iter().chain(ours.as_deref()).collect();
    Ok(set(database, &lines.join("\n")))
}

/// Whether a comment says that one of our runs has closed the database.
pub fn says_closed(comment: &str) -> bool {
    comment.lines().any(|line| line.starts_with(CLOSED))
}

fn people(comment: &str) -> String {
    let theirs = comment.lines().filter(|l| !l.starts_with(MARK) && !l.starts_with(CLOSED));
    theirs.map(|line| format!("{line}\n")).collect()
}

fn set(database: &str, comment: &str) -> Sql {
    sql::fill("comment on database {} is {}", &[name(database), text(comment.trim_end())])
}

/// The databases beside the live one that carry its name, by name.
pub fn beside(session: &mut Session, live: &str) -> Result<BTreeMap<String, Beside>, Failure> {
    let sql = "select datname, oid, datallowconn, coalesce(shobj_description(oid, 'pg_database'), ''), pg_database_size(oid)
               from pg_database where (starts_with(datname, $1 || '__') or starts_with(datname, $2 || '__')) and not datistemplate order by 1";
    let rows = session.ask(sql, &[&live, &crate::plan::head(live)])?;
    let one = |row: &Row| {
        let comment: String = crate::server::get(row, 3)?;
        let beside = Beside {
            noted: says_closed(&comment),
            name: crate::server::get(row, 0)?,
            oid: crate::server::get(row, 1)?,
            open: crate::server::get(row, 2)?,
            remark: parse(&comment),
            bytes: crate::server::get::<i64>(row, 4)?.unsigned_abs(),
        };
        Ok((beside.name.clone(), beside))
    };
    rows.iter().map(one).collect()
}

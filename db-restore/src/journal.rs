//! What a database says of itself: one line of its comment, below whatever people have written there. It lies in the cluster,
//! goes along when the database is renamed, and is written in the same transaction: it is our only journal. People write comments too, and
//! then our line is gone: a database beside the live one says the same once more in a setting of its own, `db_restore.note`, which counts more.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use step::Failure;

use crate::server::sql::{self, name, text};
use crate::server::{Row, Session, Sql};
use crate::snapshot::origin::Origin;

/// Begins our line.
const MARK: &str = "db-restore ";
/// What a row `d` of pg_database says: its setting, and then its comment.
const SAID: &str = "coalesce((select string_agg('db-restore ' || substr(c, strpos(c, '=') + 1) || chr(10), '') from pg_db_role_setting s, unnest(s.setconfig) c
                              where s.setdatabase = d.oid and s.setrole = 0 and c like 'db\\_restore.note=%'), '')
                    || coalesce(shobj_description(d.oid, 'pg_database'), '')";
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
    /// What was live before a restore, and by which restore: the live one's own line may have been written over.
    Kept {
        run: String,
        since: Timestamp,
        read_only: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Box<By>>,
    },
    /// The live database, since an undo has swapped it back.
    Back(Record),
    /// What was live before an undo.
    Undone { run: String, since: Timestamp },
}

/// A restore, as what it has put aside tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct By {
    /// The identity of the database that it has swapped in.
    pub live: u32,
    pub record: Record,
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
    /// What it held when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
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
    /// What it held when it was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
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
    /// Whether it has no comment at all: what has one was written to by a person.
    pub bare: bool,
}

/// A database's comment, and whether we are a superuser: PostgreSQL lets nobody else give a database a setting that it does not know.
fn comment(session: &mut Session, database: &str) -> Result<(String, bool), Failure> {
    let sql =
        "select coalesce(shobj_description(d.oid, 'pg_database'), ''), r.rolsuper from pg_database d, pg_roles r
         where d.datname = $1 and r.rolname = current_user";
    match session.ask(sql, &[&database])?.first() {
        Some(row) => Ok((crate::server::get(row, 0)?, crate::server::get(row, 1)?)),
        None => Ok((String::new(), false)),
    }
}

fn parse(said: &str) -> Option<Note> {
    let ours = said.lines().filter_map(|line| line.strip_prefix(MARK));
    ours.into_iter().find_map(|json| serde_json::from_str(json).ok())
}

/// What the database behind a name says of itself.
pub fn of(session: &mut Session, database: &str) -> Result<Option<Note>, Failure> {
    let sql = sql::fill("select {} from pg_database d where d.datname = $1", &[SAID.into()]);
    Ok(session.one::<String>(sql, &[&database])?.as_deref().and_then(parse))
}

/// The same of the live database. Where its own line is gone, what a restore has put aside tells of it.
pub fn of_live(session: &mut Session, live: &str, oid: u32) -> Result<Option<Note>, Failure> {
    if let Some(note) = of(session, live)? {
        return Ok(Some(note));
    }
    let kept = beside(session, live)?.into_values().filter_map(|beside| match beside.remark {
        Some(Note::Kept { by: Some(by), .. }) if by.live == oid => Some(by.record),
        _ => None,
    });
    Ok(kept.max_by_key(|record| record.frozen_at).map(Note::Live))
}

/// The statements that give `database` the comment of `from`, with our line replaced.
pub fn replace(
    session: &mut Session,
    from: &str,
    database: &str,
    remark: Option<&Note>,
) -> Result<Sql, Failure> {
    let (said, superuser) = comment(session, from)?;
    let people = people(&said);
    let ours = remark.map(serde_json::to_string).transpose().map_err(|e| Failure::bug(e.to_string()))?;
    let line = ours.as_ref().map(|json| format!("{MARK}{json}")).unwrap_or_default();
    let said = set(database, &format!("{people}{line}"));
    // The live database has no setting of ours: its users would see it. What is not finished needs none.
    Ok(match remark {
        _ if !superuser => said,
        Some(Note::Filling { .. }) => said,
        Some(Note::Live(_) | Note::Back(_)) | None => sql::join([said, reset(database)], ";\n"),
        Some(_) => sql::join([said, setting(database, &ours.unwrap_or_default())], ";\n"),
    })
}

/// The statement that gives our line to a database that has no comment yet.
pub fn first(database: &str, remark: &Note) -> Result<Sql, Failure> {
    let ours = serde_json::to_string(remark).map_err(|e| Failure::bug(e.to_string()))?;
    Ok(set(database, &format!("{MARK}{ours}")))
}

fn setting(database: &str, ours: &str) -> Sql {
    sql::fill("alter database {} set db_restore.note to {}", &[name(database), text(ours)])
}

fn reset(database: &str) -> Sql {
    sql::fill("alter database {} reset db_restore.note", &[name(database)])
}

/// The statement that notes on a database that it is closed (a copy: open) for a moment, and by whom; or that this is over.
pub fn closed(session: &mut Session, database: &str, by: Option<&str>) -> Result<Sql, Failure> {
    let (comment, _) = comment(session, database)?;
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
    let sql = sql::fill(
        "select d.datname, d.oid, d.datallowconn, coalesce(shobj_description(d.oid, 'pg_database'), ''), pg_database_size(d.oid), {}
         from pg_database d where (starts_with(d.datname, $1 || '__') or starts_with(d.datname, $2 || '__')) and not d.datistemplate order by 1",
        &[SAID.into()],
    );
    let rows = session.ask(sql, &[&live, &crate::plan::head(live)])?;
    let one = |row: &Row| {
        let comment: String = crate::server::get(row, 3)?;
        let beside = Beside {
            noted: says_closed(&comment),
            name: crate::server::get(row, 0)?,
            oid: crate::server::get(row, 1)?,
            open: crate::server::get(row, 2)?,
            remark: parse(&crate::server::get::<String>(row, 5)?),
            bare: comment.is_empty(),
            bytes: crate::server::get::<i64>(row, 4)?.unsigned_abs(),
        };
        Ok((beside.name.clone(), beside))
    };
    rows.iter().map(one).collect()
}

//! What the live database and those beside it say of themselves, read in one round trip, and the statements that change it.

use std::collections::BTreeMap;

use step::Failure;

use super::Note;
use crate::plan;
use crate::server::role;
use crate::server::sql::{self, name, text};
use crate::server::{Row, Session, Sql, get};

/// Begins our line.
const MARK: &str = "db-restore ";
/// Begins the line of a copy that is open for a moment (of a live database: closed).
const CLOSED: &str = "db-restore-closed-by ";
/// Of the live database and of each that carries its name: its comment, what it says (its setting, and then its comment), whether it is set
/// to be read only, and whether we are a superuser: PostgreSQL lets nobody else give a database a setting that it does not know.
const ALL: &str = "
    select d.datname::text, d.oid, d.datallowconn, c.comment, pg_database_size(d.oid),
           coalesce((select string_agg('db-restore ' || substr(c, strpos(c, '=') + 1) || chr(10), '') from pg_db_role_setting s, unnest(s.setconfig) c
                     where s.setdatabase = d.oid and s.setrole = 0 and c like 'db\\_restore.note=%'), '') || c.comment,
           (select split_part(c, '=', 2) from pg_db_role_setting s, unnest(s.setconfig) c
            where s.setdatabase = d.oid and s.setrole = 0 and c like 'default\\_transaction\\_read\\_only=%'),
           (select rolsuper from pg_roles where rolname = current_user)
    from pg_database d, lateral (select coalesce(shobj_description(d.oid, 'pg_database'), '') as comment) c
    where d.datname = {} or ((starts_with(d.datname, {} || '__') or starts_with(d.datname, {} || '__')) and not d.datistemplate)";

/// A database beside the live one, or the live one itself.
#[derive(Debug)]
pub struct Beside {
    pub name: String,
    pub oid: u32,
    pub open: bool,
    /// Whether it is open or closed only for a moment, and by us.
    pub noted: bool,
    pub bytes: u64,
    pub remark: Option<Note>,
    /// What default_transaction_read_only is set to for it.
    pub read_only: Option<String>,
    comment: String,
}

impl Beside {
    /// Whether it has no comment at all: what has one was written to by a person.
    pub fn is_bare(&self) -> bool {
        self.comment.is_empty()
    }
}

/// What all of them said at one instant.
#[derive(Debug)]
pub struct Journal {
    live: String,
    pub superuser: bool,
    all: BTreeMap<String, Beside>,
    /// Temporary roles that runs on this database have left.
    pub roles: Vec<String>,
}

impl Journal {
    /// The questions, of which [`Journal::of_answers`] reads the answers.
    pub fn questions(live: &str) -> Vec<Sql> {
        let of = |name: &str| sql::fill("{}::text", &[text(name)]);
        vec![
            sql::fill(ALL, &[of(live), of(live), of(plan::head(live).as_ref())]),
            role::left("db-restore", live),
        ]
    }

    /// How many questions these are.
    pub const QUESTIONS: usize = 2;

    /// Reads it now.
    pub fn read(session: &mut Session, live: &str) -> Result<Self, Failure> {
        Self::of_answers(live, &session.ask_these(&Self::questions(live))?)
    }

    /// From the answers.
    pub fn of_answers(live: &str, answers: &[Vec<Row>]) -> Result<Self, Failure> {
        let [rows, roles] = answers else { return Err(Failure::bug("two answers")) };
        let superuser = rows.first().map_or(Ok(Some(false)), |row| get::<Option<bool>>(row, 7))?;
        let all = rows.iter().map(|row| beside(row).map(|beside| (beside.name.clone(), beside)));
        let roles = roles.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        let (live, superuser) = (live.to_owned(), superuser == Some(true));
        Ok(Journal { live, superuser, all: all.collect::<Result<_, _>>()?, roles })
    }

    /// The databases beside the live one, by name.
    pub fn besides(&self) -> impl Iterator<Item = &Beside> {
        self.all.values().filter(|beside| beside.name != self.live)
    }

    /// One of them, or the live one.
    pub fn get(&self, database: &str) -> Option<&Beside> {
        self.all.get(database)
    }

    /// What one says of itself.
    pub fn of(&self, database: &str) -> Option<&Note> {
        self.get(database).and_then(|beside| beside.remark.as_ref())
    }

    /// What the live one says. Where its own line is gone, what a restore has put aside tells of it.
    pub fn of_live(&self, oid: u32) -> Option<Note> {
        if let Some(note) = self.of(&self.live) {
            return Some(note.clone());
        }
        let kept = self.besides().filter_map(|beside| match &beside.remark {
            Some(Note::Kept { by: Some(by), .. }) if by.live == oid => Some(by.record.clone()),
            _ => None,
        });
        kept.max_by_key(|record| record.frozen_at).map(Note::Live)
    }

    /// One is dropped.
    pub fn forget(&mut self, database: &str) {
        self.all.remove(database);
    }

    /// One that we have opened is closed.
    pub fn is_closed(&mut self, database: &str) {
        if let Some(beside) = self.all.get_mut(database) {
            (beside.open, beside.noted) = (false, false);
        }
    }

    /// The statements that give `database` the comment of `from`, with our line replaced.
    pub fn replace(&self, from: &str, database: &str, remark: Option<&Note>) -> Result<Vec<Sql>, Failure> {
        let people = people(self.comment(from));
        let ours = remark.map(serde_json::to_string).transpose().map_err(|e| Failure::bug(e.to_string()))?;
        let line = ours.as_ref().map(|json| format!("{MARK}{json}")).unwrap_or_default();
        let said = set(database, &format!("{people}{line}"));
        // The live database has no setting of ours: its users would see it. What is not finished needs none.
        Ok(match remark {
            _ if !self.superuser => vec![said],
            Some(Note::Filling { .. }) => vec![said],
            Some(Note::Live(_) | Note::Back(_)) | None => vec![said, reset(database)],
            Some(_) => vec![said, setting(database, &ours.unwrap_or_default())],
        })
    }

    /// The statement that notes on a copy that it is open for a moment, and by whom; or that this is over.
    pub fn closed(&self, database: &str, by: Option<&str>) -> Sql {
        let rest = self.comment(database).lines().filter(|line| !line.starts_with(CLOSED));
        let ours = by.map(|run| format!("{CLOSED}{run}"));
        let lines: Vec<&str> = rest.chain(ours.as_deref()).collect();
        set(database, &lines.join("\n"))
    }

    fn comment(&self, database: &str) -> &str {
        self.get(database).map_or("", |beside| &beside.comment)
    }
}

fn beside(row: &Row) -> Result<Beside, Failure> {
    let comment: String = get(row, 3)?;
    Ok(Beside {
        name: get(row, 0)?,
        oid: get(row, 1)?,
        open: get(row, 2)?,
        noted: says_closed(&comment),
        bytes: get::<i64>(row, 4)?.unsigned_abs(),
        remark: parse(&get::<String>(row, 5)?),
        read_only: get(row, 6)?,
        comment,
    })
}

fn parse(said: &str) -> Option<Note> {
    let ours = said.lines().filter_map(|line| line.strip_prefix(MARK));
    ours.into_iter().find_map(|json| serde_json::from_str(json).ok())
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

//! Whether a copy is still what it was when it was verified. Nobody can enter what is closed, but a person can open it, write to it and close it
//! again; and a crash empties tables that are not logged. So a copy gets a seal: a number over every table, every catalog, every sequence and
//! the large objects, which moves with each row that is written, and which anybody who wants to use the copy computes once more. And from there
//! on it is counted who was in.

use sha2::{Digest, Sha256};
use step::{Failure, Permit};

use crate::server::sql::{self, Sql};
use crate::server::{Row, Server, Session, get};

/// Everything that has rows: tables and materialized views of users and extensions, and the database's own catalogs. The statistics of the
/// planner are left out: they move by themselves.
const RELATIONS: &str = "
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where (c.relkind = 'r' or c.relkind = 'm' and c.relispopulated) and c.relpersistence <> 't' and not c.relisshared and n.nspname !~ '^pg_(toast|temp)'
      and not (n.nspname = 'pg_catalog' and c.relname in ('pg_statistic', 'pg_statistic_ext_data'))
      and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
    order by 1";
/// Their values are no rows that anybody writes anew.
const SEQUENCES: &str = "
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relpersistence <> 't' and has_schema_privilege(n.oid, 'usage')
      and case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select') else false end
    order by 1";

/// The questions for what has rows and values in a session's database.
pub const NAMES: [&str; 2] = [RELATIONS, SEQUENCES];

/// The answers to them.
pub struct Names {
    relations: Vec<String>,
    sequences: Vec<String>,
}

impl Names {
    /// From the answers to [`NAMES`].
    pub fn of_answers(answers: &[Vec<Row>]) -> Result<Self, Failure> {
        let texts = |n: usize| -> Result<Vec<String>, Failure> {
            answers.get(n).into_iter().flatten().map(|row| get(row, 0)).collect()
        };
        Ok(Names { relations: texts(0)?, sequences: texts(1)? })
    }

    /// What is asked of each. Every row has the number of the transaction that wrote it, which nothing but writing it anew changes; their sum,
    /// with how many there are, moves with every insert, update, delete and change of a definition.
    pub fn questions(&self) -> Vec<Sql> {
        let rows = |name: &String| {
            sql::fill(
                "select count(*)::text || ' ' || coalesce(sum(hash_record_extended(row(t.xmin), 0)), 0)::text from only {} t",
                &[sql::given(name)],
            )
        };
        let value = |name: &String| {
            sql::fill("select last_value::text || ' ' || is_called::text from {}", &[sql::given(name)])
        };
        self.relations.iter().map(rows).chain(self.sequences.iter().map(value)).collect()
    }

    /// The seal: SHA-256 in hexadecimal. Large objects are read by who may: `large` is their number.
    pub fn seal(&self, answers: &[Vec<Row>], large: &str) -> Result<String, Failure> {
        let mut hash = Sha256::new();
        for (name, answer) in self.relations.iter().chain(&self.sequences).zip(answers) {
            let said: String = answer.first().map(|row: &Row| get(row, 0)).transpose()?.unwrap_or_default();
            hash.update(format!("{name} {said}\n"));
        }
        hash.update(format!("large objects {large}\n"));
        Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}

/// The seal of a database, for whom may read its tables, and for ourselves.
pub fn of(readers: Server, own: Server, database: &str) -> Result<String, Failure> {
    let mut reader = readers.connect(database)?;
    by(&mut reader, || own.connect(database))
}

/// The same by a session that may read users' tables; large objects may need another one, if there are any.
pub fn by<'a>(
    reader: &mut Session,
    own: impl FnOnce() -> Result<Session<'a>, Failure>,
) -> Result<String, Failure> {
    let first = [NAMES[0], NAMES[1], LARGE].map(Sql::from);
    let answers = reader.ask_these(&first)?;
    let names = Names::of_answers(&answers)?;
    let there = answers.get(2).and_then(|rows| rows.first()).map_or(Ok(false), |row| get(row, 0))?;
    let rows = reader.ask_these(&names.questions())?;
    let large = if there { large(&mut own()?)? } else { String::new() };
    names.seal(&rows, &large)
}

/// The number of the large objects of a session's database, which moves like that of a table's rows; empty for whom may not read them.
pub fn large(own: &mut Session) -> Result<String, Failure> {
    if own.one::<bool>("select has_table_privilege('pg_largeobject', 'select')", &[])? != Some(true) {
        return Ok(String::new());
    }
    let rows = "select count(*)::text || ' ' || coalesce(sum(hash_record_extended(row(t.xmin), 0)), 0)::text from pg_largeobject t";
    Ok(own.one(rows, &[])?.unwrap_or_default())
}

/// Whether there are any.
const LARGE: &str = "select exists (select from pg_largeobject_metadata)";

/// How many sessions a database has ever had, if none is left in it.
const VISITORS: &str = "
    select s.sessions from pg_stat_database s where s.datid = {}
    and not exists (select from pg_stat_activity a where a.datid = {} and a.backend_type = 'client backend')";

/// The question for that.
pub fn visitors_of(oid: u32) -> Sql {
    sql::fill(VISITORS, &[sql::number(oid), sql::number(oid)])
}

/// Closes a copy, and counts how many sessions it has ever had, once none is left in it: whoever comes in afterwards is noticed. Nothing if some
/// stay.
pub fn visitors_after(
    keeper: &mut Session,
    permit: &Permit,
    closing: &Sql,
    oid: u32,
) -> Result<Option<i64>, Failure> {
    let rows = keeper.change_and_ask(permit, closing, (&visitors_of(oid), &[]))?;
    match rows.first() {
        Some(row) => get(row, 0).map(Some),
        None => visitors(keeper, oid),
    }
}

/// The same of one that is closed.
pub fn visitors(keeper: &mut Session, oid: u32) -> Result<Option<i64>, Failure> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        if let Some(sessions) = keeper.one::<i64>(visitors_of(oid), &[])? {
            return Ok(Some(sessions));
        }
        if std::time::Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
}

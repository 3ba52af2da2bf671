//! Whether a copy is still what it was when it was verified. Nobody can enter what is closed, but a person can open it, write to it and close it
//! again; and a crash empties tables that are not logged. So a copy gets a seal: a number over every table, every catalog, every sequence and
//! the large objects, which moves with each row that is written, and which anybody who wants to use the copy computes once more. And from there
//! on it is counted who was in.

use sha2::{Digest, Sha256};
use step::Failure;

use crate::server::sql::{self, Sql};
use crate::server::{Row, Session, Value, get};

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

/// The seal of a session's database: SHA-256 in hexadecimal. Every row has the number of the transaction that wrote it, which nothing but writing
/// it anew changes; their sum, with how many there are, moves with every insert, update, delete and change of a definition.
pub fn of(session: &mut Session) -> Result<String, Failure> {
    let names = session.ask_all(&[(RELATIONS.into(), &[]), (SEQUENCES.into(), &[])])?;
    let texts = |n: usize| -> Result<Vec<String>, Failure> {
        names.get(n).into_iter().flatten().map(|row| get(row, 0)).collect()
    };
    let (relations, sequences) = (texts(0)?, texts(1)?);
    let rows = |name: &String| {
        sql::fill(
            "select count(*)::text || ' ' || coalesce(sum(hash_record_extended(row(t.xmin), 0)), 0)::text from only {} t",
            &[sql::given(name)],
        )
    };
    let value = |name: &String| {
        sql::fill("select last_value::text || ' ' || is_called::text from {}", &[sql::given(name)])
    };
    let questions: Vec<Sql> = relations.iter().map(rows).chain(sequences.iter().map(value)).collect();
    let all: Vec<(Sql, &[&dyn Value])> = questions.into_iter().map(|sql| (sql, &[][..])).collect();
    let mut hash = Sha256::new();
    for (name, answer) in relations.iter().chain(&sequences).zip(session.ask_all(&all)?) {
        let said: String = answer.first().map(|row: &Row| get(row, 0)).transpose()?.unwrap_or_default();
        hash.update(format!("{name} {said}\n"));
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// How many sessions a database has ever had, once none is left in it: whoever comes in afterwards is noticed. Nothing if some stay.
pub fn visitors(keeper: &mut Session, oid: u32) -> Result<Option<i64>, Failure> {
    let sql = "select s.sessions from pg_stat_database s where s.datid = $1
               and not exists (select from pg_stat_activity a where a.datid = $1 and a.backend_type = 'client backend')";
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        if let Some(sessions) = keeper.one::<i64>(sql, &[&oid])? {
            return Ok(Some(sessions));
        }
        if std::time::Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(std::time::Duration::from_millis(4));
    }
}

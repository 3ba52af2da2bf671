//! What every part of the program asks of a session: the server's clock and log, how many rows there are, who is in a database and must go.

use jiff::Timestamp;
use step::{Failure, Permit};

use super::session::{Counts, Session, Value};
use super::sql::{self, Sql};
use super::{INSTANT_SQL, LOG_SQL, Row, TABLES, get, instant};

/// Tells the session `a` to end, if we may: a superuser ends all, others those of their own roles. To try it with another (a superuser's,
/// autovacuum's) would be an error, and nobody would be told.
const END: &str = "
    case when (select rolsuper from pg_roles where rolname = current_user)
           or (not exists (select from pg_roles r where r.oid = a.usesysid and r.rolsuper)
               and (pg_has_role(a.usesysid, 'MEMBER') or pg_has_role('pg_signal_backend', 'MEMBER')))
         then pg_terminate_backend(pid) end";

/// The statement that ends all sessions of a database but our own; a row for each.
pub fn end_of_sessions(database: &str) -> Sql {
    sql::fill(
        "select {} from pg_stat_activity a where datname = {}::text and pid <> pg_backend_pid()",
        &[END.into(), sql::text(database)],
    )
}

/// Ends all sessions of the database that this column of pg_stat_activity names as `$1`, but our own; a row for each.
fn end_of(column: &'static str) -> Sql {
    sql::fill(
        "select {} from pg_stat_activity a where {} = $1 and pid <> pg_backend_pid()",
        &[END.into(), column.into()],
    )
}

impl Session<'_> {
    /// The question for the server's clock.
    pub fn clock() -> Sql {
        sql::fill("select to_char(clock_timestamp() at time zone 'UTC', {})", &[INSTANT_SQL.into()])
    }

    /// The server's clock.
    pub fn now(&mut self) -> Result<Timestamp, Failure> {
        let rows = self.ask(Self::clock(), &[])?;
        rows.first().map_or_else(|| Err(Failure::bug("no row from the clock")), |row| instant(row, 0))
    }

    /// The server's clock, and where its log stands.
    pub fn now_and_log(&mut self) -> Result<(Timestamp, u64), Failure> {
        let log = sql::fill("select {}", &[LOG_SQL.into()]);
        let answers = self.ask_all(&[(Self::clock(), &[]), (log, &[])])?;
        let row = |n: usize| answers.get(n).and_then(|rows: &Vec<Row>| rows.first());
        let (Some(now), Some(log)) = (row(0), row(1)) else {
            return Err(Failure::bug("no row from the clock"));
        };
        Ok((instant(now, 0)?, get::<i64>(log, 0)?.unsigned_abs()))
    }

    /// The question for the names of tables: of users in some schemas (or all) with `$2` false, else of extensions, as far as we may read them.
    pub fn tables() -> Sql {
        TABLES.into()
    }

    /// How many rows each user's table holds: two round trips, however many tables there are. With `schemas`, only in these.
    pub fn counts(&mut self, schemas: &[String]) -> Result<Counts, Failure> {
        let tables = self.texts(TABLES, &[&schemas.to_vec(), &false])?;
        self.counts_of(tables)
    }

    /// How many rows tables hold, those of users and those of extensions by themselves: one round trip.
    pub fn both_counts(
        &mut self,
        tables: &[String],
        extensions: &[String],
    ) -> Result<(Counts, Counts), Failure> {
        let all = self.counts_of([tables, extensions].concat())?;
        Ok(all.into_iter().partition(|(table, _)| !extensions.contains(table)))
    }

    /// How many rows these tables hold: one round trip.
    pub fn counts_of(&mut self, tables: Vec<String>) -> Result<Counts, Failure> {
        let one = |table: &String| sql::fill("select count(*) from only {}", &[sql::given(table)]);
        let questions: Vec<(Sql, &[&dyn Value])> = tables.iter().map(|t| (one(t), &[][..])).collect();
        let answers = self.ask_all(&questions)?;
        let count = |rows: &Vec<Row>| rows.first().map_or(Ok(0), |row| get::<i64>(row, 0));
        let counts = answers.iter().map(|rows| Ok(count(rows)?.unsigned_abs()));
        tables.into_iter().zip(counts).map(|(table, rows)| Ok((table, rows?))).collect()
    }

    /// Tells all sessions of a database to end; gives how many there were.
    pub fn end_sessions(&mut self, _permit: &Permit, database: &str) -> Result<usize, Failure> {
        Ok(self.ask(end_of("datname"), &[&database])?.len())
    }

    /// The same by the database's own identity, which a new name does not change.
    pub fn end_sessions_of(&mut self, _permit: &Permit, database: u32) -> Result<usize, Failure> {
        Ok(self.ask(end_of("datid"), &[&database])?.len())
    }

    /// Who is in a database, for people.
    pub fn sessions_of(&mut self, database: u32) -> Result<Vec<String>, Failure> {
        let sql = "select format('%s %s of %s is in it (server process %s)', backend_type, coalesce(nullif(application_name, ''), 'without a name'), coalesce(usename, 'the server'), pid)
                   from pg_stat_activity where datid = $1 and pid <> pg_backend_pid() order by pid limit 10";
        self.texts(sql, &[&database])
    }
}

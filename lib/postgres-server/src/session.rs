//! One session with PostgreSQL. Whatever it waits for, a signal and the deadline end the wait: also where a network swallows packets and no
//! error ever comes. A question is one round trip: the types of its values are told with it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join_all, join3};
use jiff::Timestamp;
use step::{Context, Failure};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, RowStream};

use super::proof::{Proof, Proven};
use super::sql::{self, Sql};
use super::{INSTANT_SQL, LOG_SQL, Server, broken, get, instant};

/// How often a wait looks whether it has to end.
const TICK: Duration = Duration::from_millis(20);
/// What was begun and must be ended gets so long; then nobody answers any more.
pub const SEEN_THROUGH: Duration = Duration::from_secs(20);

/// Begins a transaction that can only read.
pub(super) const READING: &str = "begin read only";
/// The same, and its sight does not change; it lasts as long as the session.
pub(super) const STILL: &str = "begin isolation level repeatable read, read only";

/// A value of a question, with the type that is told to the server.
pub trait Value: ToSql + Sync {
    /// Its type.
    fn kind(&self) -> Type;
}

macro_rules! values {
    ($($rust:ty: $kind:ident),*) => { $(impl Value for $rust { fn kind(&self) -> Type { Type::$kind } })* };
}

values!(Vec<u8>: BYTEA, Vec<Vec<u8>>: BYTEA_ARRAY, String: TEXT, &str: TEXT, bool: BOOL, i32: INT4, i64: INT8, u32: OID, Vec<String>: TEXT_ARRAY, Vec<&str>: TEXT_ARRAY, Vec<i64>: INT8_ARRAY);
values!(&String: TEXT, &&str: TEXT, &Vec<String>: TEXT_ARRAY, &Vec<&str>: TEXT_ARRAY, &Vec<i64>: INT8_ARRAY);

/// A question with the types of its values.
pub(super) type Typed<'q> = (&'q Sql, Vec<(&'q (dyn ToSql + Sync), Type)>);
/// The rows of each of several answers.
pub(super) type Asked = Vec<Vec<Row>>;
/// How many rows each table holds.
pub type Counts = BTreeMap<String, u64>;
/// An answer or an error to each question.
pub(super) type Answers = Vec<Result<Vec<Row>, tokio_postgres::Error>>;

/// What a wait looks at.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub context: &'a Context,
    pub heeds: bool,
}

impl Watch<'_> {
    pub fn checkpoint(&self) -> Result<(), Failure> {
        if self.heeds { self.context.checkpoint() } else { Ok(()) }
    }

    /// Waits for something, but not past a signal or the deadline.
    pub fn wait<T>(
        &self,
        runtime: &Runtime,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        self.checkpoint()?;
        let end = Instant::now() + SEEN_THROUGH;
        runtime.block_on(async {
            let mut work = pin!(work);
            loop {
                if let Ok(done) = tokio::time::timeout(TICK, work.as_mut()).await {
                    return done.map_err(|e| broken(&e));
                }
                self.checkpoint()?;
                if !self.heeds && Instant::now() >= end {
                    let silent = format!("the server has not answered for {} s", SEEN_THROUGH.as_secs());
                    return Err(Failure::temporary("database-lost", silent));
                }
            }
        })
    }
}

/// A session on one database.
pub struct Session<'a> {
    // Dropped in this order: the client says goodbye, and the connection carries it.
    client: Option<Client>,
    connection: Option<JoinHandle<()>>,
    runtime: Runtime,
    watch: Watch<'a>,
    /// How it was opened; how others are.
    server: Server<'a>,
    /// What proves it, where that is asked for; and whether it has.
    pub(super) proof: Option<Proof>,
    pub(super) proven: Proven,
    /// Whether it is in a transaction that lasts as long as the session: what is asked belongs to it.
    pub(super) still: bool,
}

impl Drop for Session<'_> {
    /// Says goodbye, so that a lock is free at once; nobody waits for a server that does not listen.
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(connection) = self.connection.take() {
            let _ = self
                .runtime
                .block_on(async { tokio::time::timeout(Duration::from_millis(300), connection).await });
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        client: Client,
        connection: JoinHandle<()>,
        runtime: Runtime,
        (server, watch): (Server<'a>, Watch<'a>),
        proof: Option<Proof>,
    ) -> Self {
        let connection = Some(connection);
        let (client, proven, still) = (Some(client), Proven::No, false);
        Session { client, connection, runtime, watch, server, proof, proven, still }
    }

    /// The server, for another session.
    pub fn server(&self) -> Server<'a> {
        self.server
    }

    pub(super) fn parts(&self) -> Result<(&Client, &Runtime, Watch<'a>), Failure> {
        let client = self.client.as_ref().ok_or_else(|| Failure::bug("a session that was ended is asked"))?;
        Ok((client, &self.runtime, self.watch))
    }

    /// From here on neither a signal nor the deadline stops it: what is begun now must be ended.
    pub fn see_through(&mut self) {
        self.watch.heeds = false;
    }

    /// Heeds signals and the deadline again.
    pub fn heed(&mut self) {
        self.watch.heeds = true;
    }

    /// Asks. A question is a transaction of its own that can only read, whatever a view, a function or the database's settings say: PostgreSQL
    /// lets nothing in it change that.
    pub fn ask(&mut self, sql: impl Into<Sql>, values: &[&dyn Value]) -> Result<Vec<Row>, Failure> {
        self.ask_all(&[(sql.into(), values)]).map(|mut answers| answers.pop().unwrap_or_default())
    }

    /// A line for `-v`.
    pub fn tell(&self, sql: &Sql) {
        self.watch.context.voice.detail(&flat(sql.as_str()));
    }

    /// Asks, and rolls back what it has done all the same: some functions change what a transaction that only reads does not protect.
    pub fn ask_and_undo(&mut self, sql: &Sql) -> Result<Vec<Row>, Failure> {
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        let all = async {
            let (begin, undo) = (client.batch_execute(READING), client.batch_execute("rollback"));
            Ok(join3(begin, client.query_typed(sql.as_str(), &[]), undo).await)
        };
        let (begun, answer, undone) = watch.wait(runtime, all)?;
        begun.and(answer).and_then(|rows| undone.map(|()| rows)).map_err(|e| broken(&e))
    }

    /// Asks several questions at once: one round trip for all of them. The first error counts.
    pub fn ask_all(&mut self, questions: &[(Sql, &[&dyn Value])]) -> Result<Vec<Vec<Row>>, Failure> {
        self.ask_each(questions)?.into_iter().collect()
    }

    /// The same of questions that need no values.
    pub fn ask_these(&mut self, questions: &[Sql]) -> Result<Vec<Vec<Row>>, Failure> {
        let all: Vec<(Sql, &[&dyn Value])> = questions.iter().map(|sql| (sql.clone(), &[][..])).collect();
        self.ask_all(&all)
    }

    /// The same, with the answer or the error of each.
    pub fn ask_each(
        &mut self,
        questions: &[(Sql, &[&dyn Value])],
    ) -> Result<Vec<Result<Vec<Row>, Failure>>, Failure> {
        let typed: Vec<_> = questions.iter().map(|(sql, values)| (sql, typed(values))).collect();
        if self.is_unproven() {
            let answers = self.prove_and_ask(&typed)?;
            return Ok(answers.into_iter().map(|answer| answer.map_err(|e| broken(&e))).collect());
        }
        if self.still {
            return self.send(&typed, "", "");
        }
        let Some(at) = typed.iter().position(|(sql, _)| sql.as_str() == STILL) else {
            return self.send(&typed, READING, "commit");
        };
        let mut answers = if at > 0 { self.send(&typed[..at], READING, "commit")? } else { Vec::new() };
        answers.extend(self.send(&typed[at..], "", "")?);
        self.still = true;
        Ok(answers)
    }

    /// Sends questions between the beginning and the end of a transaction, if there are such; in one round trip.
    pub(super) fn send(
        &self,
        questions: &[Typed],
        begin: &str,
        end: &str,
    ) -> Result<Vec<Result<Vec<Row>, Failure>>, Failure> {
        let (client, runtime, watch) = self.parts()?;
        let all = questions.iter().map(|(sql, values)| client.query_typed(sql.as_str(), values));
        let all = async {
            let begun = client.batch_execute(begin);
            Ok(join3(begun, join_all(all), client.batch_execute(end)).await)
        };
        let (begun, answers, ended) = watch.wait(runtime, all)?;
        begun.map_err(|e| broken(&e))?;
        let answers: Vec<Result<Vec<Row>, Failure>> =
            answers.into_iter().map(|answer| answer.map_err(|e| broken(&e))).collect();
        if answers.iter().all(Result::is_ok) {
            ended.map_err(|e| broken(&e))?;
        }
        Ok(answers)
    }

    /// Asks for the one value of the one row, if there is a row.
    pub fn one<T: for<'r> tokio_postgres::types::FromSql<'r>>(
        &mut self,
        sql: impl Into<Sql>,
        values: &[&dyn Value],
    ) -> Result<Option<T>, Failure> {
        self.ask(sql, values)?.first().map(|row| get(row, 0)).transpose()
    }

    /// Asks for a column of texts.
    pub fn texts(&mut self, sql: impl Into<Sql>, values: &[&dyn Value]) -> Result<Vec<String>, Failure> {
        self.ask(sql, values)?.iter().map(|row| get(row, 0)).collect()
    }

    /// Asks for rows one after the other, so that a long answer is never held.
    pub fn rows(&mut self, sql: impl Into<Sql>, values: &[&dyn Value]) -> Result<Rows<'_>, Failure> {
        let sql = sql.into();
        if !self.still {
            return Err(Failure::bug("rows are asked for outside of a transaction that only reads"));
        }
        let (client, runtime, watch) = self.parts()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        let values: Vec<(&(dyn ToSql + Sync), Type)> = typed(values);
        let rows = watch.wait(runtime, client.query_typed_raw(sql.as_str(), values))?;
        Ok(Rows { rows: Box::pin(rows), runtime, watch, seen: 0 })
    }

    /// Asks first, then begins a transaction whose sight does not change, in which we may be silent for as long as others take, and asks in it;
    /// all of it in one round trip. Gives both answers.
    pub fn ask_and_still(
        &mut self,
        first: &[(Sql, &[&dyn Value])],
        then: &[(Sql, &[&dyn Value])],
    ) -> Result<(Asked, Asked), Failure> {
        let still: [(Sql, &[&dyn Value]); 1] = [(STILL.into(), &[])];
        let mut answers = self.ask_all(&[first, &still, then].concat())?;
        let then = answers.split_off(first.len() + 1);
        answers.pop();
        Ok((answers, then))
    }

    /// Begins such a transaction, for others to share, and asks the first questions in it.
    pub fn hold(&mut self, questions: &[(Sql, &[&dyn Value])]) -> Result<(Held, Vec<Vec<Row>>), Failure> {
        let sight = sql::fill(
            "select pg_export_snapshot(), to_char(statement_timestamp() at time zone 'UTC', {}), oid,
                    pg_snapshot_xmin(pg_current_snapshot())::text::bigint, {}
             from pg_database where datname = current_database()",
            &[INSTANT_SQL.into(), LOG_SQL.into()],
        );
        let first: [(Sql, &[&dyn Value]); 2] = [(STILL.into(), &[]), (sight, &[])];
        let mut answers = self.ask_all(&[&first, questions].concat())?;
        let rest = answers.split_off(2);
        let row = answers.pop().and_then(|mut rows| rows.pop());
        let row = row.ok_or_else(|| Failure::bug("no row from pg_export_snapshot"))?;
        let (xmin, log) = (get::<i64>(&row, 3)?.unsigned_abs(), get::<i64>(&row, 4)?.unsigned_abs());
        let held = Held { sight: get(&row, 0)?, at: instant(&row, 1)?, database: get(&row, 2)?, xmin, log };
        Ok((held, rest))
    }

    /// Begins a transaction with a sight that another session holds.
    pub fn share(&mut self, held: &Held) -> Result<(), Failure> {
        self.prove()?;
        let sight = sql::fill(
            "begin isolation level repeatable read, read only; set transaction snapshot {}",
            &[sql::text(&held.sight)],
        );
        let (client, runtime, watch) = self.parts()?;
        watch.wait(runtime, client.batch_execute(sight.as_str()))?;
        self.still = true;
        Ok(())
    }
}

pub(super) fn typed<'v>(values: &[&'v dyn Value]) -> Vec<(&'v (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value as &(dyn ToSql + Sync), value.kind())).collect()
}

/// A sight that others can share.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub sight: String,
    /// The server's clock then.
    pub at: Timestamp,
    /// The database's own identity.
    pub database: u32,
    /// Every transaction before this one was over.
    pub xmin: u64,
    /// Where the server's log stood, in bytes.
    pub log: u64,
}

/// An answer as it comes in.
pub struct Rows<'s> {
    rows: Pin<Box<RowStream>>,
    runtime: &'s Runtime,
    watch: Watch<'s>,
    seen: usize,
}

impl Rows<'_> {
    /// The next row. A signal or the deadline is heeded now and then.
    pub fn next_row(&mut self) -> Result<Option<Row>, Failure> {
        self.seen += 1;
        let (rows, watch) = (&mut self.rows, self.watch);
        watch.wait(self.runtime, async { rows.next().await.transpose() })
    }
}

pub(super) fn flat(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

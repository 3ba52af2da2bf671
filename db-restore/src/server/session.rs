//! One session with PostgreSQL. Whatever it waits for, a signal and the deadline end the wait: also where a network swallows packets and no
//! error ever comes. A question is one round trip: the types of its values are told with it.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join_all, join3};
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use step::{Context, Failure, Permit};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, RowStream, SimpleQueryMessage};

use super::proof::{Proof, Proven, WRITABLE};
use super::sql::{self, Sql};
use super::{INSTANT_SQL, LOG_SQL, Server, broken, get, instant};

/// How often a wait looks whether it has to end.
const TICK: Duration = Duration::from_millis(20);
/// What was begun and must be ended gets so long; then nobody answers any more.
pub const SEEN_THROUGH: Duration = Duration::from_secs(20);

/// Begins a transaction whose sight does not change.
pub(super) const STILL: &str = "begin isolation level repeatable read, read only";

/// How much of a COPY is sent at once.
const CHUNK: usize = 64 << 10;

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
type Asked = Vec<Vec<Row>>;
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
    fn checkpoint(&self) -> Result<(), Failure> {
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
    /// Whether a permit has opened it for changes.
    pub(super) changes: bool,
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
        let (client, proven, changes) = (Some(client), Proven::No, false);
        Session { client, connection, runtime, watch, server, proof, proven, changes }
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

    /// Asks.
    pub fn ask(&mut self, sql: impl Into<Sql>, values: &[&dyn Value]) -> Result<Vec<Row>, Failure> {
        let sql = sql.into();
        if self.is_unproven() {
            return self.ask_all(&[(sql, values)]).map(|mut answers| answers.pop().unwrap_or_default());
        }
        let (client, runtime, watch) = self.parts()?;
        watch.wait(runtime, client.query_typed(sql.as_str(), &typed(values)))
    }

    /// A line for `-v`.
    pub fn tell(&self, sql: &Sql) {
        self.watch.context.voice.detail(&flat(sql.as_str()));
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
        let (client, runtime, watch) = self.parts()?;
        let all = typed.iter().map(|(sql, values)| client.query_typed(sql.as_str(), values));
        let answers = watch.wait(runtime, async { Ok(join_all(all).await) })?;
        Ok(answers.into_iter().map(|answer| answer.map_err(|e| broken(&e))).collect())
    }

    /// Sends the lines of a COPY.
    pub fn copy_in(
        &mut self,
        permit: &Permit,
        sql: &Sql,
        lines: &mut dyn FnMut() -> Result<Option<Vec<u8>>, Failure>,
    ) -> Result<(), Failure> {
        self.open(permit)?;
        let (client, runtime, watch) = self.parts()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        let sink = watch.wait(runtime, client.copy_in::<_, Bytes>(sql.as_str()))?;
        let mut sink = pin!(sink);
        let mut more = true;
        while more {
            let mut chunk = Vec::with_capacity(CHUNK + 4096);
            while chunk.len() < CHUNK && more {
                match lines()? {
                    Some(line) => chunk.extend_from_slice(&line),
                    None => more = false,
                }
            }
            watch.wait(runtime, sink.as_mut().send(Bytes::from(chunk)))?;
        }
        watch.wait(runtime, sink.finish()).map(|_| ())
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
        self.prove("")?;
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

    /// Runs statements in one go, with transactions of their own; gives the first column of all rows.
    pub fn batch(&mut self, permit: &Permit, sql: impl Into<Sql>) -> Result<Vec<String>, Failure> {
        let sql = sql.into();
        self.open(permit)?;
        let (client, runtime, watch) = self.parts()?;
        let answer = watch.wait(runtime, client.simple_query(sql.as_str()))?;
        let one = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(answer.iter().filter_map(one).collect())
    }

    /// Changes something; several statements are one transaction.
    pub fn change(&mut self, permit: &Permit, sql: impl Into<Sql>) -> Result<(), Failure> {
        let sql = sql.into();
        self.open(permit)?;
        let (client, runtime, watch) = self.parts()?;
        watch.checkpoint()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        watch.wait(runtime, client.batch_execute(sql.as_str()))
    }

    /// Changes something by exactly one statement: two in one text are refused by PostgreSQL.
    pub fn change_one(&mut self, permit: &Permit, statement: &Sql) -> Result<(), Failure> {
        self.change_each(permit, std::slice::from_ref(statement))?
            .into_iter()
            .try_for_each(|one| one.map(|_| ()))
    }

    /// Changes several things, each by itself, in one round trip; gives what became of each. They are not said: values may be secret.
    pub fn change_each(
        &mut self,
        permit: &Permit,
        statements: &[Sql],
    ) -> Result<Vec<Result<Vec<Row>, Failure>>, Failure> {
        self.open(permit)?;
        let all: Vec<(Sql, &[&dyn Value])> = statements.iter().map(|sql| (sql.clone(), &[][..])).collect();
        self.ask_each(&all)
    }

    /// Asks in a transaction that begins with `first` and is always rolled back; one round trip. The first error counts.
    pub fn attempt(
        &mut self,
        permit: &Permit,
        first: &Sql,
        questions: &[Sql],
    ) -> Result<Vec<Vec<Row>>, Failure> {
        self.open(permit)?;
        let (client, runtime, watch) = self.parts()?;
        let begin = sql::fill("begin; {}", std::slice::from_ref(first));
        watch.context.voice.detail(&flat(begin.as_str()));
        let all = async {
            let begun = client.batch_execute(begin.as_str());
            let asked = questions.iter().map(|sql| client.query_typed(sql.as_str(), &[]));
            let undone = client.batch_execute("rollback");
            Ok(join3(begun, join_all(asked), undone).await)
        };
        let (begun, asked, undone) = watch.wait(runtime, all)?;
        begun.map_err(|e| broken(&e))?;
        let answers = asked.into_iter().map(|answer| answer.map_err(|e| broken(&e))).collect();
        undone.map_err(|e| broken(&e)).and(answers)
    }

    /// Changes several things, one after the other, in one round trip. The first error counts.
    pub fn change_all(&mut self, permit: &Permit, statements: &[Sql]) -> Result<Asked, Failure> {
        self.open(permit)?;
        statements.iter().for_each(|sql| self.tell(sql));
        self.ask_these(statements)
    }

    /// Changes something, several statements are one transaction, and asks, in one round trip.
    pub fn change_and_ask(
        &mut self,
        permit: &Permit,
        change: &Sql,
        question: (&Sql, &[&dyn Value]),
    ) -> Result<Vec<Row>, Failure> {
        self.open(permit)?;
        self.tell(change);
        let (client, runtime, watch) = self.parts()?;
        let (sql, values) = (question.0.as_str(), typed(question.1));
        let both =
            async { Ok(join(client.batch_execute(change.as_str()), client.query_typed(sql, &values)).await) };
        let (changed, answer) = watch.wait(runtime, both)?;
        changed.and(answer).map_err(|e| broken(&e))
    }

    /// Makes sure of the session, and lets it change something. A session that has proven itself is told so in front of the change, and nobody
    /// waits for the answer: where it is an error, PostgreSQL refuses the change.
    fn open(&mut self, _permit: &Permit) -> Result<(), Failure> {
        if self.changes && !self.is_unproven() {
            return Ok(());
        }
        if self.is_unproven() {
            self.prove(WRITABLE)?;
        } else {
            let (client, runtime, _) = self.parts()?;
            let mut sent = pin!(client.batch_execute(WRITABLE));
            runtime.block_on(poll_fn(|waker| {
                let _ = sent.as_mut().poll(waker);
                Poll::Ready(())
            }));
        }
        self.changes = true;
        Ok(())
    }
}

fn typed<'v>(values: &[&'v dyn Value]) -> Vec<(&'v (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value as &(dyn ToSql + Sync), value.kind())).collect()
}

/// A sight that others can share.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub sight: String,
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
    pub fn next(&mut self) -> Result<Option<Row>, Failure> {
        self.seen += 1;
        let (rows, watch) = (&mut self.rows, self.watch);
        watch.wait(self.runtime, async { rows.next().await.transpose() })
    }
}

fn flat(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

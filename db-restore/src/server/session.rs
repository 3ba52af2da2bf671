//! One session with PostgreSQL. Whatever it waits for, a signal and the deadline end the wait: also where a network swallows packets and no
//! error ever comes. A question is one round trip: the types of its values are told with it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join_all, join4};
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use step::{Context, Failure, Permit};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, RowStream, SimpleQueryMessage};

use super::sql::{self, Sql};
use super::{INSTANT_SQL, LOG_SQL, Server, broken, get, instant};

/// How often a wait looks whether it has to end.
const TICK: Duration = Duration::from_millis(20);
/// What was begun and must be ended gets so long; then nobody answers any more.
pub const SEEN_THROUGH: Duration = Duration::from_secs(20);

/// One transaction is one session also behind a pooler: in it names are looked up where nobody has made any.
const PATH: &str = "set local search_path to pg_catalog, pg_temp";
/// Begins a transaction whose sight does not change.
const STILL: &str = "begin isolation level repeatable read, read only";

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
type Typed<'q> = (&'q Sql, Vec<(&'q (dyn ToSql + Sync), Type)>);
/// How many rows each table holds.
pub type Counts = BTreeMap<String, u64>;
/// An answer or an error to each question.
type Answers = Vec<Result<Vec<Row>, tokio_postgres::Error>>;

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
    /// What is still to be proven of it.
    proof: Option<Proof>,
}

/// What proves that the settings of a session are in force: asked before anything is changed, and together with the first questions. A pooler
/// in front drops the settings, and hands another session to each transaction, so that neither a lock nor a search path would hold.
pub(super) struct Proof {
    /// A value that nobody else has set.
    pub mark: String,
    /// What is said when it is not there.
    pub refusal: Failure,
}

impl Proof {
    /// No view may take a table's place between two questions, and no transaction is ended for its age: what only some versions know is set
    /// where it is known.
    const QUESTION: &'static str = "
        select current_setting('db_restore.session', true), current_setting('search_path'),
               (select count(set_config(name, case name when 'transaction_timeout' then '0' else 'view, foreign-table' end, false))
                from pg_settings where name in ('transaction_timeout', 'restrict_nonsystem_relation_kind'))";
    fn holds(self, answer: Result<Vec<Row>, tokio_postgres::Error>) -> Result<(), Failure> {
        let rows = answer.map_err(|e| broken(&e))?;
        let row = rows.first().ok_or_else(|| Failure::bug("no row about the session"))?;
        let (theirs, path): (Option<String>, String) = (get(row, 0)?, get(row, 1)?);
        let ours = theirs.as_deref() == Some(self.mark.as_str());
        if ours && ["pg_catalog,pg_temp", "pg_catalog, pg_temp"].contains(&path.as_str()) {
            Ok(())
        } else {
            Err(self.refusal)
        }
    }
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
        Session { client: Some(client), connection: Some(connection), runtime, watch, server, proof }
    }

    /// The server, for another session.
    pub fn server(&self) -> Server<'a> {
        self.server
    }

    /// Proves the session now, if that is not done yet: before something is changed by it.
    pub(super) fn prove(&mut self) -> Result<(), Failure> {
        let Some(proof) = self.proof.take() else { return Ok(()) };
        let (client, runtime, watch) = self.parts()?;
        let answer = watch.wait(runtime, async { Ok(client.query_typed(Proof::QUESTION, &[]).await) })?;
        proof.holds(answer)
    }

    /// Proves it together with the first questions, which are a transaction of their own, if they do not begin one themselves.
    fn prove_and_ask(&mut self, proof: Proof, questions: &[Typed]) -> Result<Answers, Failure> {
        let (client, runtime, watch) = self.parts()?;
        // Questions that begin a transaction themselves begin it first.
        let held = questions.first().filter(|(sql, _)| sql.as_str() == STILL);
        let (begin, rest, end) = match held {
            Some((sql, _)) => (format!("{}; {PATH}", sql.as_str()), &questions[1..], ""),
            None => (format!("begin; {PATH}"), questions, "commit"),
        };
        let all = async {
            let begun = client.batch_execute(&begin);
            let proven = client.query_typed(Proof::QUESTION, &[]);
            let asked = rest.iter().map(|(sql, values)| client.query_typed(sql.as_str(), values));
            let over = client.batch_execute(end);
            // They are sent in this order, and nobody waits in between.
            Ok(join4(begun, proven, join_all(asked), over).await)
        };
        let (begun, proven, asked, over) = watch.wait(runtime, all)?;
        begun.map_err(|e| broken(&e))?;
        proof.holds(proven)?;
        // What a question broke, its own answer says.
        let first = held.map(|_| Ok(Vec::new()));
        let asked: Answers = first.into_iter().chain(asked).collect();
        if asked.iter().all(Result::is_ok) {
            over.map_err(|e| broken(&e))?;
        }
        Ok(asked)
    }

    fn parts(&self) -> Result<(&Client, &Runtime, Watch<'a>), Failure> {
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
        if self.proof.is_some() {
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

    /// The same, with the answer or the error of each.
    pub fn ask_each(
        &mut self,
        questions: &[(Sql, &[&dyn Value])],
    ) -> Result<Vec<Result<Vec<Row>, Failure>>, Failure> {
        let typed: Vec<_> = questions.iter().map(|(sql, values)| (sql, typed(values))).collect();
        if let Some(proof) = self.proof.take() {
            let answers = self.prove_and_ask(proof, &typed)?;
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
        sql: &Sql,
        lines: &mut dyn FnMut() -> Result<Option<Vec<u8>>, Failure>,
    ) -> Result<(), Failure> {
        self.prove()?;
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
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        let values: Vec<(&(dyn ToSql + Sync), Type)> = typed(values);
        let rows = watch.wait(runtime, client.query_typed_raw(sql.as_str(), values))?;
        Ok(Rows { rows: Box::pin(rows), runtime, watch, seen: 0 })
    }

    /// Begins a transaction whose sight does not change, in which we may be silent for as long as others take, and asks in it.
    pub fn still_and_ask(&mut self, questions: &[(Sql, &[&dyn Value])]) -> Result<Vec<Vec<Row>>, Failure> {
        let first: [(Sql, &[&dyn Value]); 1] = [(STILL.into(), &[])];
        self.ask_all(&[&first, questions].concat()).map(|mut answers| answers.split_off(1))
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
    pub fn batch(&mut self, _permit: &Permit, sql: impl Into<Sql>) -> Result<Vec<String>, Failure> {
        let sql = sql.into();
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        let answer = watch.wait(runtime, client.simple_query(sql.as_str()))?;
        let one = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(answer.iter().filter_map(one).collect())
    }

    /// Changes something; several statements are one transaction.
    pub fn change(&mut self, _permit: &Permit, sql: impl Into<Sql>) -> Result<(), Failure> {
        self.ask_only(&sql.into())
    }

    /// Changes several things, each by itself, in one round trip; gives what became of each. They are not said: values may be secret.
    pub fn change_each(
        &mut self,
        _permit: &Permit,
        statements: &[Sql],
    ) -> Result<Vec<Result<(), Failure>>, Failure> {
        self.prove()?;
        let all: Vec<(Sql, &[&dyn Value])> = statements.iter().map(|sql| (sql.clone(), &[][..])).collect();
        Ok(self.ask_each(&all)?.into_iter().map(|answer| answer.map(|_| ())).collect())
    }

    /// Tries something in a transaction that begins with `first` and is always rolled back.
    pub fn attempt<T>(
        &mut self,
        _permit: &Permit,
        first: &Sql,
        what: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done =
            self.ask_only(&sql::fill("begin; {}", std::slice::from_ref(first))).and_then(|()| what(self));
        self.ask_only(&Sql::from("rollback"))?;
        done
    }

    /// Changes several things, one after the other, in one round trip. The first error counts.
    pub fn change_all(&mut self, _permit: &Permit, statements: Vec<Sql>) -> Result<(), Failure> {
        self.prove()?;
        let all: Vec<(Sql, &[&dyn Value])> = statements.into_iter().map(|sql| (sql, &[][..])).collect();
        all.iter().for_each(|(sql, _)| self.tell(sql));
        self.ask_all(&all).map(|_| ())
    }

    fn ask_only(&mut self, sql: &Sql) -> Result<(), Failure> {
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        watch.checkpoint()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        watch.wait(runtime, client.batch_execute(sql.as_str()))
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

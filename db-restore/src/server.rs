//! The PostgreSQL server: sessions, what the server says of itself, and how its errors read. Names come back from it quoted
//! by itself; what is put into a statement here is quoted by it or by [`name`] and [`text`].

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::ToSql;
use postgres::{Client, Config, NoTls, Row, RowIter, SimpleQueryMessage};
use step::{Context, Failure, Permit};

use crate::args::{Settings, Tls};
use crate::tls;

/// A query's instant as RFC 3339 in UTC with whole milliseconds, never later than it was.
const INSTANT: &str = r#"'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"#;
/// The tables of users: not those of the system, of extensions, or of a session. Partitions count, their parents are empty.
const TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by 1";

/// The server of the settings.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    context: &'a Context,
    settings: &'a Settings,
}

/// What the server says of itself and of the database.
#[derive(Clone, Debug)]
pub struct Live {
    /// Of the cluster: two servers never have the same one, but copies of each other do.
    pub system_identifier: String,
    /// For people.
    pub version: String,
    /// 150020 for 15.20.
    pub number: u32,
    /// The server's clock.
    pub now: Timestamp,
    /// By how many seconds the server's clock is ahead of ours, and how wrong that may be.
    pub skew: f64,
    /// The database's own identity, which a new name does not change.
    pub oid: u32,
    /// Whether we may create databases and rename this one.
    pub may_restore: bool,
    /// Whether it only repeats what another server does.
    pub standby: bool,
    /// How much the database holds.
    pub bytes: u64,
}

impl Live {
    /// The major version.
    pub fn major(&self) -> u32 {
        self.number / 10_000
    }
}

impl<'a> Server<'a> {
    /// The server of the settings.
    pub fn new(context: &'a Context, settings: &'a Settings) -> Self {
        Server { context, settings }
    }

    /// The database from which others are renamed.
    pub fn maintenance(&self) -> String {
        self.settings.maintenance.clone()
    }

    /// A line for `-v`.
    pub fn detail(&self, sentence: &str) {
        self.context.voice.detail(sentence);
    }

    /// Opens a session.
    pub fn connect(&self, database: &str) -> Result<Session<'a>, Failure> {
        self.context.checkpoint()?;
        let budget = self.context.deadline.left();
        self.open(database, budget).map(|client| Session { client, context: self.context, heeds: true })
    }

    /// Opens a session that neither a signal nor the deadline stops: for what was begun and must be ended.
    pub fn connect_regardless(&self, database: &str) -> Result<Session<'a>, Failure> {
        let client = self.open(database, Duration::from_secs(30))?;
        Ok(Session { client, context: self.context, heeds: false })
    }

    /// A statement gets `budget`; it must not outlive the step.
    fn open(&self, database: &str, budget: Duration) -> Result<Client, Failure> {
        let mut config = Config::new();
        config.host(&self.settings.host).port(self.settings.port).user(&self.settings.user).dbname(database);
        config.application_name(&who()).connect_timeout(budget.min(Duration::from_secs(15)));
        // What is counted must be all of it, not what a policy lets us see. Compiling our queries costs more than it saves.
        config.options(&format!(
            "-c statement_timeout={} -c row_security=off -c timezone=UTC -c jit=off",
            budget.as_millis()
        ));
        if let Some(password) = &self.settings.password {
            config.password(password.expose());
        }
        self.context.voice.detail(&format!("connecting to {database} on {}", self.settings.host));
        let opened = match tls::connector(self.settings)? {
            Some(tls) => config.ssl_mode(SslMode::Require).connect(tls),
            None => config.ssl_mode(SslMode::Disable).connect(NoTls),
        };
        opened.map_err(|e| self.unreachable(database, &e))
    }

    /// Asks the server who it is.
    pub fn identity(&self, database: &str) -> Result<Live, Failure> {
        let sql = format!(
            "select (select system_identifier::text from pg_control_system()), current_setting('server_version'),
                    current_setting('server_version_num')::int, to_char(clock_timestamp() at time zone 'UTC', {INSTANT}),
                    d.oid, r.rolsuper or (r.rolcreatedb and d.datdba = r.oid), pg_is_in_recovery(), pg_database_size(d.oid)
             from pg_database d, pg_roles r where d.datname = $1 and r.rolname = current_user"
        );
        let mut session = self.connect(&self.settings.maintenance)?;
        let before = Timestamp::now();
        let rows = session.ask(&sql, &[&database])?;
        let after = Timestamp::now();
        let row = rows.first().ok_or_else(|| self.no_database(database))?;
        let now = instant(row, 3)?;
        // The server looked at its clock between our two looks: the middle is wrong by half of it at most.
        let middle = before + after.duration_since(before) / 2;
        Ok(Live {
            system_identifier: get(row, 0)?,
            version: get(row, 1)?,
            number: get::<i32>(row, 2)?.unsigned_abs(),
            now,
            skew: now.duration_since(middle).as_secs_f64(),
            oid: get(row, 4)?,
            may_restore: get(row, 5)?,
            standby: get(row, 6)?,
            bytes: get::<i64>(row, 7)?.unsigned_abs(),
        })
    }

    fn no_database(&self, database: &str) -> Failure {
        Failure::config("database", format!("{} has no database {database}", self.settings.host))
    }

    fn unreachable(&self, database: &str, error: &postgres::Error) -> Failure {
        let Settings { host, port, user, .. } = self.settings;
        match error.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => self.no_database(database),
            Some(code)
                if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION]
                    .contains(code) =>
            {
                let message =
                    format!("{host} does not let {user} in: set password_file, or DATABASE_PASSWORD");
                Failure::config("login", message).cause(said(error))
            }
            Some(_) => {
                let message = format!("{host} does not open a session on {database} now");
                Failure::temporary("database-unreachable", message).cause(said(error))
            }
            None if self.settings.tls != Tls::Disable && distrusted(error) => {
                let message =
                    format!("the TLS of {host} is not as tls = \"{}\" wants it", self.settings.tls.word());
                let failure = Failure::config("tls", message).cause(said(error));
                failure.cause("set tls_root to the authority's certificate, or tls to require or disable if the network between is yours")
            }
            None if error.to_string().contains("password missing") => {
                let message =
                    format!("{host} asks {user} for a password: set password_file, or DATABASE_PASSWORD");
                Failure::config("login", message)
            }
            None => {
                let message = format!("no PostgreSQL answers at {host}:{port}");
                Failure::temporary("database-unreachable", message).cause(said(error))
            }
        }
    }
}

/// Who we are, for whoever finds us at work: shown in pg_stat_activity.
fn who() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into());
    format!("db-restore {user}@{} {}", host.trim(), std::process::id()).chars().take(63).collect()
}

/// Whether it was TLS that kept us out.
fn distrusted(error: &postgres::Error) -> bool {
    let text = said(error);
    ["certificate", "TLS", "tls", "InvalidContentType"].iter().any(|word| text.contains(word))
}

/// A session on one database.
pub struct Session<'a> {
    client: Client,
    context: &'a Context,
    heeds: bool,
}

impl Session<'_> {
    /// From here on neither a signal nor the deadline stops it: what is begun now must be ended.
    pub fn see_through(&mut self) {
        self.heeds = false;
    }

    /// Heeds signals and the deadline again.
    pub fn heed(&mut self) {
        self.heeds = true;
    }

    fn checkpoint(&self) -> Result<(), Failure> {
        if self.heeds { self.context.checkpoint() } else { Ok(()) }
    }

    /// Asks.
    pub fn ask(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        self.checkpoint()?;
        self.client.query(sql, values).map_err(|e| broken(&e))
    }

    /// Asks for the one value of the one row, if there is a row.
    pub fn one<T: for<'r> postgres::types::FromSql<'r>>(
        &mut self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<T>, Failure> {
        self.ask(sql, values)?.first().map(|row| get(row, 0)).transpose()
    }

    /// Asks for a column of texts.
    pub fn texts(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<String>, Failure> {
        self.ask(sql, values)?.iter().map(|row| get(row, 0)).collect()
    }

    /// Asks for rows one after the other, so that a long answer is never held.
    pub fn rows(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Rows<'_>, Failure> {
        self.checkpoint()?;
        self.context.voice.detail(&flat(sql));
        let rows =
            self.client.query_raw(sql, values.iter().map(|v| *v as &dyn ToSql)).map_err(|e| broken(&e))?;
        Ok(Rows { rows, context: self.context, seen: 0 })
    }

    /// Begins a transaction whose sight does not change, and in which we may be silent for as long as others take.
    pub fn still(&mut self) -> Result<(), Failure> {
        let patient = "select set_config(name, '0', false) from pg_settings
                       where name in ('idle_in_transaction_session_timeout', 'transaction_timeout')";
        self.ask(patient, &[])?;
        self.ask_only("begin isolation level repeatable read, read only")
    }

    /// Begins such a transaction, for others to share.
    pub fn hold(&mut self) -> Result<Held, Failure> {
        self.still()?;
        let sql = format!(
            "select pg_export_snapshot(), to_char(statement_timestamp() at time zone 'UTC', {INSTANT}), oid,
                    pg_snapshot_xmin(pg_current_snapshot())::text::bigint
             from pg_database where datname = current_database()"
        );
        let rows = self.ask(&sql, &[])?;
        let row = rows.first().ok_or_else(|| Failure::bug("no row from pg_export_snapshot"))?;
        let xmin = get::<i64>(row, 3)?.unsigned_abs();
        Ok(Held { sight: get(row, 0)?, at: instant(row, 1)?, database: get(row, 2)?, xmin })
    }

    /// The server's clock.
    pub fn now(&mut self) -> Result<Timestamp, Failure> {
        let rows =
            self.ask(&format!("select to_char(clock_timestamp() at time zone 'UTC', {INSTANT})"), &[])?;
        rows.first().map_or_else(|| Err(Failure::bug("no row from the clock")), |row| instant(row, 0))
    }

    /// How many rows each user's table holds.
    pub fn counts(&mut self) -> Result<BTreeMap<String, u64>, Failure> {
        let mut counts = BTreeMap::new();
        for table in self.texts(TABLES, &[])? {
            let rows: i64 = self.one(&format!("select count(*) from only {table}"), &[])?.unwrap_or_default();
            counts.insert(table, rows.unsigned_abs());
        }
        Ok(counts)
    }

    /// Runs statements in one go, with transactions of their own; gives the first column of all rows.
    pub fn batch(&mut self, _permit: &Permit, sql: &str) -> Result<Vec<String>, Failure> {
        self.checkpoint()?;
        let answer = self.client.simple_query(sql).map_err(|e| broken(&e))?;
        let one = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(answer.iter().filter_map(one).collect())
    }

    /// Tells all sessions of a database to end; gives how many there were.
    pub fn end_sessions(&mut self, _permit: &Permit, database: &str) -> Result<usize, Failure> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()";
        Ok(self.ask(sql, &[&database])?.len())
    }

    /// Changes something; several statements are one transaction.
    pub fn change(&mut self, _permit: &Permit, sql: &str) -> Result<(), Failure> {
        self.ask_only(sql)
    }

    /// Tries something in a transaction that is always rolled back.
    pub fn attempt<T>(
        &mut self,
        _permit: &Permit,
        what: impl FnOnce(&mut postgres::Transaction) -> Result<T, postgres::Error>,
    ) -> Result<T, Failure> {
        self.checkpoint()?;
        let mut transaction = self.client.transaction().map_err(|e| broken(&e))?;
        let done = what(&mut transaction).map_err(|e| broken(&e));
        transaction.rollback().map_err(|e| broken(&e))?;
        done
    }

    fn ask_only(&mut self, sql: &str) -> Result<(), Failure> {
        self.checkpoint()?;
        self.context.voice.detail(&flat(sql));
        self.client.batch_execute(sql).map_err(|e| broken(&e))
    }
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
}

/// An answer as it comes in.
pub struct Rows<'a> {
    rows: RowIter<'a>,
    context: &'a Context,
    seen: usize,
}

impl Rows<'_> {
    /// The next row. A signal or the deadline is heeded now and then.
    pub fn next(&mut self) -> Result<Option<Row>, Failure> {
        self.seen += 1;
        if self.seen.is_multiple_of(4096) {
            self.context.checkpoint()?;
        }
        self.rows.next().map_err(|e| broken(&e))
    }
}

fn flat(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What went wrong with a statement.
pub fn broken(error: &postgres::Error) -> Failure {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            Failure::config("rights", "the database user may not do this").cause(said(error))
        }
        Some(code) if *code == SqlState::QUERY_CANCELED => {
            Failure::temporary("deadline", "the time is over, or somebody cancelled the query")
                .cause(said(error))
        }
        Some(_) => Failure::failed("query", "PostgreSQL refused a statement").cause(said(error)),
        None => {
            Failure::temporary("database-lost", "the session with PostgreSQL broke off").cause(said(error))
        }
    }
}

/// What the server said, or what happened on the way.
fn said(error: &postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// A column of a row.
pub fn get<T: for<'r> postgres::types::FromSql<'r>>(row: &Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|e| Failure::bug(format!("an answer of PostgreSQL: {e}")))
}

fn instant(row: &Row, column: usize) -> Result<Timestamp, Failure> {
    let text: String = get(row, column)?;
    text.parse().map_err(|e| Failure::bug(format!("PostgreSQL's clock says {text}: {e}")))
}

/// A name, quoted.
pub fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, quoted.
pub fn text(text: &str) -> String {
    // An escape string is read alike whatever standard_conforming_strings says.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

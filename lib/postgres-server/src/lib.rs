//! A PostgreSQL server: sessions, and how its errors read. Every session begins with settings of our own:
//! names are looked up in `pg_catalog` alone, whatever a database or a role has set, and no row is hidden or written differently.

mod changing;
mod copying;
mod error;
mod identity;
mod place;
mod proof;
mod questions;
pub mod role;
mod session;
pub mod settings;
pub mod sql;
pub mod tls;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use step::{Context, Failure, Secret};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use error::distrusted;
use proof::Proof;
use session::Watch;

pub use error::{broken, said};
pub use identity::lock_key;
pub use place::{Met, Place, Tls, bundle};
pub use questions::end_of_sessions;
pub use session::{Counts, Held, Rows, Session, Value};
pub use settings::Room;
pub use sql::Sql;
pub use tokio_postgres::Row;

/// A query's instant as RFC 3339 in UTC with whole milliseconds, never later than it was.
pub const INSTANT_SQL: &str = r#"'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"#;
/// A query's position in the server's log, in bytes.
pub const LOG_SQL: &str = "(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0'::pg_lsn)::bigint";
/// The tables of users in some schemas (`$1`; all if it is empty): not those of the system or of a session. Those of extensions are another
/// list (`$2`), of what we may read. Partitions count, their parents are empty.
const TABLES: &str = "
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
      and (cardinality($1) = 0 or n.nspname = any($1))
      and $2 = exists (select from pg_depend d
                       where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
      and (not $2 or has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
    order by 1";

/// What every session begins with. They are told when the session is opened, which counts more than what a database or a role has set.
/// - Names: nothing that a database's users have made is ever found by a name alone.
/// - What is counted must be all of it, not what a policy lets us see, and both sides of a comparison must write a value alike.
/// - A session that holds a lock idles for as long as others work; where its other end is gone, the server ends it within seconds.
/// - Compiling our queries costs more than it saves.
const BEGINNING: &str = "-c search_path=pg_catalog,pg_temp -c row_security=off -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres \
    -c bytea_output=hex -c extra_float_digits=1 -c client_encoding=UTF8 -c standard_conforming_strings=on \
    -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off \
    -c default_transaction_isolation=read\\ committed -c default_transaction_deferrable=off -c synchronous_commit=on \
    -c tcp_keepalives_idle=3 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=2 -c tcp_user_timeout=8000 -c jit=off";

/// What became of one question of several.
pub type Answer = Result<Vec<Row>, Failure>;

/// The server of the settings.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    context: &'a Context,
    place: &'a Place,
    /// Who logs in, if it is not who the settings say.
    login: Option<&'a Login>,
}

/// A role and its password.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Whether it may switch event and login triggers off, as a superuser does.
    pub is_quiet: bool,
}

impl<'a> Server<'a> {
    /// The server of the settings.
    pub fn new(context: &'a Context, place: &'a Place) -> Self {
        Server { context, place, login: None }
    }

    /// The same server for another role.
    pub fn of<'b>(self, login: &'b Login) -> Server<'b>
    where
        'a: 'b,
    {
        Server { context: self.context, place: self.place, login: Some(login) }
    }

    /// The server for whom may read users' tables. A superuser never does: to plan a question PostgreSQL evaluates what a table's indexes hold,
    /// which its owner has written, with the rights of who asks.
    pub fn readers(self) -> Result<Server<'a>, Failure> {
        match (self.place.met.get(), self.reader()) {
            (_, Some(reader)) => Ok(self.of(reader)),
            (Some(met), None) if !met.superuser => Ok(self),
            _ => Err(Failure::bug("a superuser was to read users' tables")),
        }
    }

    /// Whether any role may connect to the live database.
    pub fn is_public(self) -> bool {
        self.place.met.get().is_some_and(|met| met.is_public)
    }

    /// Whether this server's event and login triggers can be switched off for a session.
    pub fn has_quiet(self) -> bool {
        !self.place.quiet().is_empty()
    }

    /// Who we are, as our sessions are called.
    pub fn who(self) -> String {
        who(self.place.program)
    }

    /// What the first session has learnt decides how the others are opened; another may have been first: it has learnt the same.
    pub fn met(self, met: Met) {
        let _ = self.place.met.set(met);
    }

    /// Where it is.
    pub fn place(self) -> &'a Place {
        self.place
    }

    /// A line for people.
    pub fn warn(self, sentence: &str) {
        self.context.voice.warn(sentence);
    }

    /// How long the command may take.
    pub fn budget(self) -> Duration {
        self.context.deadline.left()
    }

    /// Whether we are a superuser, as the first session has learnt.
    pub fn is_superuser(self) -> bool {
        self.place.met.get().is_some_and(|met| met.superuser)
    }

    /// Who reads users' tables now, where that is not ourselves.
    pub fn reader(self) -> Option<&'static Login> {
        *self.place.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The database from which others are renamed.
    pub fn maintenance(&self) -> String {
        self.place.maintenance.clone()
    }

    /// A line for `-v`.
    pub fn detail(&self, sentence: &str) {
        self.context.voice.detail(sentence);
    }

    /// Opens a session.
    pub fn connect(&self, database: &str) -> Result<Session<'a>, Failure> {
        let budget = self.context.deadline.left();
        self.open(database, budget, Watch { context: self.context, heeds: true }, BEGINNING)
    }

    /// Opens a session for the team's own questions: names are found as the database says.
    pub fn connect_for_the_team(&self, database: &str) -> Result<Session<'a>, Failure> {
        let budget = self.context.deadline.left();
        self.open(
            database,
            budget,
            Watch { context: self.context, heeds: true },
            "-c timezone=UTC -c jit=off",
        )
    }

    /// Opens a session that neither a signal nor the deadline stops: for what was begun and must be ended.
    pub fn connect_regardless(&self, database: &str) -> Result<Session<'a>, Failure> {
        self.open(database, session::SEEN_THROUGH, Watch { context: self.context, heeds: false }, BEGINNING)
    }

    /// Opens a session that says of itself what `options` say (`-c key=value ...`), for the team's own statements: names are found as the database
    /// says, and whoever looks sees it by its own name.
    pub fn connect_as(&self, database: &str, options: &str) -> Result<Session<'a>, Failure> {
        let budget = self.context.deadline.left();
        self.open(database, budget, Watch { context: self.context, heeds: true }, options)
    }

    /// A statement gets `budget`; it must not outlive the step.
    fn open(
        &self,
        database: &str,
        budget: Duration,
        watch: Watch<'a>,
        beginning: &str,
    ) -> Result<Session<'a>, Failure> {
        let mark = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let config = self.config(database, budget, &mark, beginning);
        self.context.voice.detail(&format!("connecting to {database} on {}", self.place.host));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::bug(format!("no runtime for a session: {e}")))?;
        let tls = tls::connector(self.place)?;
        let connect = async {
            // A handshake that somebody swallows on the way ends too.
            let opened = tokio::time::timeout(budget.min(CONNECTING), dial(config, tls)).await;
            Ok(opened.unwrap_or(Err(None)))
        };
        let opened = watch.wait(&runtime, connect)?;
        let (client, connection) = opened.map_err(|error| match error {
            Some(error) => self.unreachable(database, &error),
            None => self.silent(),
        })?;
        let connection = runtime.spawn(connection);
        let refusal = || self.pooler("it does not keep the settings of a session");
        let proof = (beginning == BEGINNING).then(|| Proof { mark, refusal: refusal() });
        Ok(Session::new(client, connection, runtime, (*self, watch), proof))
    }

    fn config(&self, database: &str, budget: Duration, mark: &str, beginning: &str) -> Config {
        let mut config = Config::new();
        let user = self.login.map_or(&self.place.user, |login| &login.user);
        config.host(&self.place.host).port(self.place.port).user(user).dbname(database);
        config.application_name(self.who()).connect_timeout(budget.min(CONNECTING));
        config.keepalives_idle(Duration::from_secs(3)).keepalives_interval(Duration::from_secs(2));
        config.keepalives_retries(2).tcp_user_timeout(Duration::from_secs(8));
        let limit = budget.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
        // A login trigger that fails would keep us out, and no event trigger is to judge what we do in a copy.
        let quiet = if self.login.is_none_or(|login| login.is_quiet) { self.place.quiet() } else { "" };
        config.options(format!("{beginning}{quiet} -c statement_timeout={limit} -c rilis.session={mark}"));
        let password = self.login.map(|login| &login.password);
        if let Some(password) = password.or(self.place.password.as_ref()) {
            config.password(password.expose());
        }
        config.ssl_mode(if self.place.tls == Tls::Disable { SslMode::Disable } else { SslMode::Require });
        config
    }

    fn pooler(&self, why: &str) -> Failure {
        let Place { host, port, .. } = self.place;
        let message = format!(
            "a connection pooler answers at {host}:{port}, and {} needs the server itself",
            self.place.program
        );
        let remedy = "set host and port to PostgreSQL itself (5432 as a rule), not to PgBouncer or another pooler (Supabase: the direct connection or the session pooler, port 5432)";
        Failure::config("pooler", message).cause(why).cause(remedy)
    }

    fn silent(&self) -> Failure {
        let Place { host, port, .. } = self.place;
        Failure::temporary(
            "database-unreachable",
            format!("{host}:{port} takes connections and does not answer"),
        )
    }

    /// The failure that says that there is no such database.
    pub fn no_database(&self, database: &str) -> Failure {
        let message = format!(
            "{} has no database {database}: if it was dropped, create an empty one of that name, and run this again",
            self.place.host
        );
        let create = sql::fill("create database {}", &[sql::name(database)]);
        Failure::config("database", message).next(self.place.psql(&create))
    }

    fn unreachable(&self, database: &str, error: &tokio_postgres::Error) -> Failure {
        let Place { host, port, user, .. } = self.place;
        match error.code() {
            Some(code) if *code == SqlState::INVALID_CATALOG_NAME => self.no_database(database),
            Some(code)
                if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION]
                    .contains(code) =>
            {
                let remedy = match self.place.password {
                    Some(_) => "the password or the user is wrong (password_file or DATABASE_PASSWORD, user)",
                    None => "set password_file, or DATABASE_PASSWORD",
                };
                let message = format!("{host} does not let {user} in: {remedy}");
                Failure::config("login", message).cause(said(error))
            }
            Some(_) if said(error).contains("startup parameter") => self.pooler(&said(error)),
            Some(_) => {
                let message = format!("{host} does not open a session on {database} now");
                Failure::temporary("database-unreachable", message).cause(said(error))
            }
            None if self.place.tls != Tls::Disable && distrusted(error) => {
                let message =
                    format!("the TLS of {host} is not as tls = \"{}\" wants it", self.place.tls.word());
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
fn who(program: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".into());
    format!("{program} {user}@{} {}", host.trim(), std::process::id()).chars().take(63).collect()
}

/// How long a connection may take to be opened.
const CONNECTING: Duration = Duration::from_secs(10);

type Connection = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens a connection; whoever holds the second part drives it.
async fn dial(
    config: Config,
    tls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
) -> Result<(Client, Connection), Option<tokio_postgres::Error>> {
    // How a connection ends is seen by whoever asks through it.
    match tls {
        Some(tls) => {
            let (client, connection) = config.connect(tls).await.map_err(Some)?;
            Ok((client, Box::pin(async { drop(connection.await) })))
        }
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(Some)?;
            Ok((client, Box::pin(async { drop(connection.await) })))
        }
    }
}

/// A column of a row.
pub fn get<T: for<'r> tokio_postgres::types::FromSql<'r>>(row: &Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|e| Failure::bug(format!("an answer of PostgreSQL: {e}")))
}

/// An instant as [`Session::clock`] tells it.
pub fn instant(row: &Row, column: usize) -> Result<Timestamp, Failure> {
    let text: String = get(row, column)?;
    text.parse().map_err(|e| Failure::bug(format!("PostgreSQL's clock says {text}: {e}")))
}

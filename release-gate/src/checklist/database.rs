//! The list in PostgreSQL itself. It is asked in a transaction that can only read, and names are looked up in `pg_catalog` alone. The table is
//! somebody else's: a view, a policy or a trigger on it is code that runs with our rights, so a role that may do anything asks nothing here.
//! Whatever is waited for, a signal and the deadline end the wait.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use step::{Acted, Context, Failure, Permit, Secret, Settings};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::candidate::Candidate;
use super::list::Item;
use super::rows::{ALL, COLUMNS, Cell, MOST, Raw, shown};
use super::source::{Added, Asked, RESERVE, Table, Trouble};
use super::tls::{Tls, connector, wanted};

/// How often a wait looks whether it has to end.
const TICK: Duration = Duration::from_millis(20);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(300);

/// Whether we may do what nobody else's code must do in our name.
const POWERFUL: &str = "select bool_or(r.rolsuper
        or pg_has_role(r.oid, 'pg_execute_server_program', 'member')
        or pg_has_role(r.oid, 'pg_write_server_files', 'member')
        or pg_has_role(r.oid, 'pg_read_server_files', 'member'))
    from pg_roles r where r.rolname in (current_user, session_user)";

/// A database.
#[derive(Debug)]
pub struct Database {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: Option<Secret>,
    tls: Tls,
    rustls: Rustls,
    pub table: Table,
}

/// What makes encrypted connections, where they are to be.
struct Rustls(Option<MakeRustlsConnect>);

impl std::fmt::Debug for Rustls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TLS")
    }
}

/// Why a conversation came to nothing.
enum Broken {
    /// The server, or the way to it.
    Error(Error),
    /// Nothing was begun.
    Before(Trouble),
    /// No end came in time.
    Silent(Trouble),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Broken::Error(error)
    }
}

impl Database {
    /// As the settings say.
    pub fn read(settings: &Settings, table: Table) -> Result<Self, Failure> {
        let host: String = settings.value("checklist.host")?;
        let tls = wanted(settings, &host)?;
        Ok(Database {
            port: settings.value("checklist.port")?,
            database: settings.value("checklist.database")?,
            user: settings.value("checklist.user")?,
            password: settings.secret("checklist.password", "CHECKLIST_PASSWORD")?,
            rustls: Rustls(connector(tls, settings)?),
            host,
            tls,
            table,
        })
    }

    /// For people.
    pub fn place(&self) -> String {
        format!("{} of the database {} at {}", self.table, shown(&self.database), shown(&self.host))
    }

    /// All rows of a candidate.
    pub fn ask(&self, context: &Context, tag: &str) -> Asked<Vec<Raw>> {
        let columns = COLUMNS.map(|column| format!("\"{column}\"")).join(", ");
        let sql = format!(
            "select {columns} from {} where \"candidate\" = $1 order by \"item\" limit {}",
            self.table.quoted(),
            MOST + 1
        );
        // A row is taken as a whole or not at all: what it takes is asked for before.
        let weigh =
            format!("select coalesce(sum(octet_length(row({columns})::text)), 0)::int8 from ({sql}) t");
        let asked = self.talk(context, async |client, limits| {
            let begin = format!("begin isolation level repeatable read, read only; {limits}");
            self.begin(client, &begin).await?;
            let sum = client.query_typed(&weigh, &[(&tag, Type::TEXT)]).await?;
            let sum =
                sum.first().and_then(|row| row.try_get::<_, i64>(0).ok()).and_then(|n| n.try_into().ok());
            if sum.is_none_or(|sum: u64| sum > ALL) {
                return Err(self.too_large());
            }
            let rows = self.rows(client, &sql, tag).await?;
            client.batch_execute("rollback").await?;
            Ok(rows)
        })?;
        let asked = asked.and_then(|rows| match rows.len() {
            0..=MOST => Ok(rows),
            _ => Err(Broken::Before(Trouble::lasting(format!(
                "{} has more than {MOST} rows of {tag}",
                self.table
            )))),
        });
        Ok(asked.map_err(|broken| self.trouble(broken)))
    }

    /// The rows one by one, at most so much of them.
    async fn rows(&self, client: &Client, sql: &str, tag: &str) -> Result<Vec<Raw>, Broken> {
        let mut stream = pin!(client.query_typed_raw(sql, [(&tag, Type::TEXT)]).await?);
        let (mut rows, mut room) = (Vec::new(), ALL);
        while let Some(row) = stream.next().await {
            let (row, size) = raw(&row?);
            room = room.checked_sub(size).ok_or_else(|| self.too_large())?;
            rows.push(row);
            if rows.len() > MOST {
                break;
            }
        }
        Ok(rows)
    }

    fn too_large(&self) -> Broken {
        let why =
            format!("the rows of {} are larger than 64 MiB, or do not say how large they are", self.table);
        Broken::Before(Trouble::lasting(why))
    }

    /// Makes rows in one transaction. What is there already is left alone.
    pub fn add(
        &self,
        context: &Context,
        _: &Permit,
        candidate: &Candidate,
        items: &[&Item],
    ) -> Result<Added, Failure> {
        let sql = format!(
            "insert into {} (release, candidate, commit_sha, status, source, item, title, required)
             select $1, $2, $3, 'pending', 'manual', * from unnest($4, $5, $6)
             on conflict (candidate, item) do nothing",
            self.table.quoted()
        );
        let slugs: Vec<&str> = items.iter().map(|item| item.slug.as_str()).collect();
        let titles: Vec<&str> = items.iter().map(|item| item.title.as_str()).collect();
        let required: Vec<bool> = items.iter().map(|item| item.required).collect();
        let Candidate { tag, release, commit, .. } = candidate;
        let values: [(&(dyn ToSql + Sync), Type); 6] = [
            (release, Type::TEXT),
            (tag, Type::TEXT),
            (commit, Type::TEXT),
            (&slugs, Type::TEXT_ARRAY),
            (&titles, Type::TEXT_ARRAY),
            (&required, Type::BOOL_ARRAY),
        ];
        let added = self.talk(context, async |client, limits| {
            self.begin(client, &format!("begin; {limits}")).await?;
            client.query_typed(&sql, &values).await?;
            client.batch_execute("commit").await?;
            Ok(())
        });
        // A step that stops while something is under way does not know what became of it.
        let added = added.map_err(|failure| failure.acted(Acted::Unknown))?;
        Ok(match added {
            Ok(()) => Added::Said,
            Err(broken) if is_clear(&broken) => Added::Refused(self.trouble(broken)),
            Err(broken) => Added::Unclear(self.trouble(broken)),
        })
    }

    async fn begin(&self, client: &Client, begin: &str) -> Result<(), Broken> {
        client.batch_execute(begin).await?;
        let rows = client.query_typed(POWERFUL, &[]).await?;
        match rows.first().map(|row| row.try_get::<_, bool>(0)) {
            Some(Ok(false)) => Ok(()),
            Some(Ok(true)) => {
                let why = format!(
                    "the role {} may do anything on the server, and what others have made of the table would run in its name: \
                     set checklist.user to a role that can only read it",
                    shown(&self.user)
                );
                Err(Broken::Before(Trouble::lasting(why)))
            }
            _ => Err(Broken::Before(Trouble::lasting("the server does not say what our role may do"))),
        }
    }

    /// One connection and what is said over it, in the time of one request.
    fn talk<T>(
        &self,
        context: &Context,
        work: impl AsyncFnOnce(&Client, &str) -> Result<T, Broken>,
    ) -> Result<Result<T, Broken>, Failure> {
        let left = context.deadline.left().saturating_sub(RESERVE);
        let budget = context.deadline.request()?.min(left);
        if budget.is_zero() {
            let why = format!("no time is left to ask {} (--timeout)", self.place());
            return Ok(Err(Broken::Before(Trouble::passing(why))));
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::bug(format!("no runtime for a session: {e}")))?;
        context.voice.detail(&format!("asking {}", self.place()));
        let limits = format!(
            "set local search_path = pg_catalog, pg_temp; set local statement_timeout = {}",
            budget.as_millis().max(1)
        );
        let all = async {
            let connected = self.connect(&runtime, budget).await;
            let (client, connection) = connected.map_err(|error| Broken::Before(self.meant(&error)))?;
            let done = work(&client, &limits).await;
            drop(client);
            // Whether a goodbye comes through matters to nobody.
            let _ = tokio::time::timeout(GOODBYE, connection).await;
            done
        };
        let done = runtime.block_on(watched(context, budget, all));
        // The look-up of a name may hang in the system: nobody waits for it.
        runtime.shutdown_background();
        Ok(done?.unwrap_or_else(|| Err(Broken::Silent(self.silent(budget)))))
    }

    async fn connect(&self, runtime: &Runtime, budget: Duration) -> Result<(Client, JoinHandle<()>), Error> {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).user(&self.user).dbname(&self.database);
        config.application_name("release-gate").connect_timeout(CONNECT.min(budget * 4 / 5));
        config.tcp_user_timeout(CONNECT).keepalives_idle(Duration::from_secs(3));
        config.ssl_mode(if self.tls == Tls::Disable { SslMode::Disable } else { SslMode::Require });
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        // How a connection ends is seen by whoever asks through it.
        Ok(match &self.rustls.0 {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                (client, runtime.spawn(async { drop(connection.await) }))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                (client, runtime.spawn(async { drop(connection.await) }))
            }
        })
    }

    fn silent(&self, budget: Duration) -> Trouble {
        Trouble::passing(format!("{} has said nothing for {}", self.place(), step::human(budget)))
    }

    fn trouble(&self, broken: Broken) -> Trouble {
        match broken {
            Broken::Before(trouble) | Broken::Silent(trouble) => trouble,
            Broken::Error(error) => self.meant(&error),
        }
    }

    /// An error in a sentence with the remedy.
    fn meant(&self, error: &Error) -> Trouble {
        let (said, table, place) = (said(error), &self.table, self.place());
        let lasting = |why: String| Trouble::lasting(format!("{why} ({said})"));
        let passing = |why: String| Trouble::passing(format!("{why} ({said})"));
        let init = "`release-gate checklist --init` prints the SQL";
        let Some(code) = error.code() else { return self.lost(error, &said) };
        match code.code() {
            "28P01" | "28000" => lasting(format!(
                "{place} does not let {} in: look at checklist.user and checklist.password_file",
                shown(&self.user)
            )),
            "3D000" => lasting(format!("{place} is not there: set checklist.database")),
            "42P01" | "3F000" => {
                lasting(format!("there is no table {table}: make it ({init}), or set checklist.table"))
            }
            "42703" | "42P10" | "42883" => {
                lasting(format!("{table} is not as it must be: make it as {init}"))
            }
            "42501" => lasting(format!(
                "the role {} may not do that with {table}: grant it the right ({init})",
                shown(&self.user)
            )),
            code if code.starts_with("22") || code.starts_with("23") => {
                lasting(format!("{table} does not take these rows: make it as {init}"))
            }
            code if ["08", "40", "53", "55", "57"].iter().any(|class| code.starts_with(class)) => {
                passing(format!("{place} does not answer now"))
            }
            _ => lasting(format!("{place} refuses")),
        }
    }

    fn lost(&self, error: &Error, said: &str) -> Trouble {
        let place = self.place();
        let is_tls =
            ["certificate", "TLS", "tls", "InvalidContentType"].iter().any(|word| said.contains(word));
        if self.tls != Tls::Disable && is_tls {
            return Trouble::lasting(format!(
                "the TLS of {place} is not as checklist.tls wants it ({said}): set checklist.tls_root to the authority's certificate"
            ));
        }
        if error.to_string().contains("password missing") {
            let user = shown(&self.user);
            return Trouble::lasting(format!(
                "{place} asks {user} for a password: set checklist.password_file"
            ));
        }
        Trouble::passing(format!("{place} does not answer ({said})"))
    }
}

/// Whether nothing can have been done: it was not begun, or the server has refused a statement, which ends the transaction.
fn is_clear(broken: &Broken) -> bool {
    match broken {
        Broken::Before(_) => true,
        Broken::Silent(_) => false,
        // A server that is shut down may have committed before.
        Broken::Error(error) => error.code().is_some_and(|code| !code.code().starts_with("57P")),
    }
}

/// Waits for something, but not past a signal or the deadline; `None` when it takes longer than it may.
async fn watched<T>(
    context: &Context,
    budget: Duration,
    work: impl Future<Output = T>,
) -> Result<Option<T>, Failure> {
    let (end, mut work) = (Instant::now() + budget, pin!(work));
    loop {
        context.checkpoint()?;
        if let Ok(done) = tokio::time::timeout(TICK, work.as_mut()).await {
            return Ok(Some(done));
        }
        if Instant::now() >= end {
            // The deadline's own words, where it was that.
            return context.checkpoint().map(|()| None);
        }
    }
}

/// What the server said, or what happened on the way.
fn said(error: &Error) -> String {
    let text = match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} {}", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    };
    shown(&text)
}

/// A row as PostgREST would have it, and its size; what is neither text nor a flag is neither here.
fn raw(row: &Row) -> (Raw, u64) {
    let (mut raw, mut size) = (Raw::default(), 0);
    for (at, column) in row.columns().iter().enumerate() {
        let cell = if *column.type_() == Type::BOOL {
            row.try_get::<_, Option<bool>>(at).map(|flag| flag.map_or(Cell::Null, Cell::Flag))
        } else {
            row.try_get::<_, Option<String>>(at).map(|text| text.map_or(Cell::Null, Cell::Text))
        };
        let cell = cell.unwrap_or(Cell::Other);
        size += cell.size();
        if let Some(column) = raw.column(column.name()) {
            *column = cell;
        }
    }
    (raw, size)
}

//! What every act on the databases begins with: who the server is, the lock that keeps two operators apart, the marker that
//! keeps us off somebody else's data, and the confirmation.

use std::fs::File;
use std::time::{Duration, Instant};

use step::{Context, Failure, Permit, Run};

use crate::args::Settings;
use crate::plan;
use crate::server::{Live, Server, Session};

/// A session that has ended holds its lock a moment longer.
const LINGERING: Duration = Duration::from_secs(1);

/// One act.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
}

impl<'a> Work<'a> {
    /// On the server of the settings.
    pub fn new(context: &'a Context, settings: &'a Settings) -> Self {
        Work { context, settings, server: Server::new(context, settings) }
    }

    /// Who the server is. Clocks that are far apart prove no age.
    pub fn live(&self) -> Result<Live, Failure> {
        let live = self.server.identity(&self.settings.database)?;
        plan::clocks(live.skew)?;
        Ok(live)
    }

    /// One act on a database at a time, whoever starts it and from where; the lock goes with the session.
    pub fn lock(&self, live: &Live) -> Result<Session<'a>, Failure> {
        let mut keeper = self.server.connect(&self.settings.maintenance)?;
        let key = format!("db-restore:{}:{}", live.system_identifier, self.settings.database);
        let end = Instant::now() + LINGERING;
        loop {
            if keeper.one("select pg_try_advisory_lock(hashtextextended($1, 0))", &[&key])? == Some(true) {
                return Ok(keeper);
            }
            if Instant::now() >= end {
                return Err(self.locked(&mut keeper, &key));
            }
            self.context.pause(Duration::from_millis(20))?;
        }
    }

    /// Who is at work.
    fn locked(&self, keeper: &mut Session, key: &str) -> Failure {
        let sql = "select format('%s from %s since %s (server process %s)', a.application_name, coalesce(host(a.client_addr), 'the server itself'),
                                 to_char(a.backend_start, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), a.pid)
                   from pg_locks l join pg_stat_activity a using (pid), hashtextextended($1, 0) k
                   where l.locktype = 'advisory' and l.granted and l.objsubid = 1
                     and (l.classid::bigint << 32) | l.objid::bigint = k";
        let holders = keeper.texts(sql, &[&key]).unwrap_or_default();
        let message = format!("another db-restore is at work on {}: wait for it", self.settings.database);
        holders.iter().fold(Failure::temporary("locked", message), Failure::cause)
    }

    /// The data behind a name must say that it is of this product and environment, if the settings name a marker. A live database
    /// in which a bad release has left no marker may still be replaced; what replaces it must have one.
    pub fn marker(&self, database: &str) -> Result<(), Failure> {
        let Some(table) = &self.settings.marker else { return Ok(()) };
        let mut session = self.server.connect(database)?;
        let product = self.context.settings.product("name")?.unwrap_or_default();
        let environment = self.context.environment()?;
        let table: Option<String> =
            session.one("select to_regclass($1)::text where to_regclass($1) is not null", &[table])?;
        let Some(table) = table else {
            if database == self.settings.database {
                self.context.voice.warn(&format!("{database} has no marker any more"));
                return Ok(());
            }
            let message = format!(
                "{database} has no table {}, so nothing says whose data it is",
                self.settings.marker.as_deref().unwrap_or_default()
            );
            return Err(Failure::refused("no-marker", message));
        };
        let rows = session
            .texts(&format!("select distinct product::text || ' ' || environment::text from {table}"), &[])?;
        if rows == [format!("{product} {environment}")] {
            return Ok(());
        }
        let said = if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") };
        let message = format!("the marker in {database} says {said}, and this is {product} {environment}");
        Err(Failure::refused("foreign-marker", message))
    }

    /// Opens a live database that a killed act has left closed; one that a person has closed stays so.
    pub fn repair(&self, keeper: &mut Session, permit: &Permit) -> Result<(), Failure> {
        let database = &self.settings.database;
        if crate::remark::is_closed_by_us(keeper, database)? {
            self.context
                .voice
                .warn(&format!("{database} was left closed by a run that was killed; opening it"));
            crate::swap::open(keeper, permit, database)?;
        }
        Ok(())
    }

    /// Nobody can confirm: that is said before hours are spent.
    pub fn confirmable(&self, act: &Act, given: Option<&str>) -> Result<(), Failure> {
        let terminal = || File::options().read(true).write(true).open("/dev/tty").is_ok();
        if given.is_none() && terminal() { Ok(()) } else { self.confirm(act, given) }
    }

    /// Has a person confirm.
    pub fn confirm(&self, act: &Act, given: Option<&str>) -> Result<(), Failure> {
        self.context.confirm(&act.what, &act.phrase, given, &act.next)
    }
}

/// A dangerous act, as a person confirms it.
pub struct Act {
    pub what: String,
    pub phrase: String,
    pub next: String,
}

/// Who asked for it.
pub fn stamp(run: &Run) -> Result<crate::sources::Stamp, Failure> {
    Ok(crate::sources::Stamp {
        document: run.document.id().to_owned(),
        version: run.fact("version")?,
        commit: run.fact("commit")?,
    })
}

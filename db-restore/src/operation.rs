//! What every act on the databases begins with: who the server is, the lock that keeps two operators apart, the marker that
//! keeps us off somebody else's data, and the confirmation.

use std::fs::File;
use std::time::{Duration, Instant};

use step::{Context, Failure};

use crate::journal::{Journal, Keeper};
use crate::plan;
use crate::restore::swap;
use crate::server::{Answer, Live, Server, Session, Sql, Value, get, identity, lock_key, sql};
use crate::settings::Settings;

/// A session that has ended holds its lock a moment longer.
const LINGERING: Duration = Duration::from_secs(1);

/// What became of each question.
pub type Answers = Vec<Answer>;

/// A session that holds the lock.
struct Holder {
    pid: i32,
    who: String,
    /// Whether its role may do the work: a superuser, or a member of the database's owner.
    may: bool,
}

/// One act.
#[derive(Clone, Copy)]
pub struct Operation<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
}

impl<'a> Operation<'a> {
    /// On the server of the settings.
    pub fn new(context: &'a Context, settings: &'a Settings) -> Self {
        Operation { context, settings, server: Server::new(context, &settings.place) }
    }

    /// Who the server is, with a live database that can be entered, and the session that was asked. Clocks that are far apart prove no age. A live
    /// database that a killed run has left closed is opened first, whatever is to be done; one that a person has closed stays so.
    pub fn live(&self) -> Result<(Live, Session<'a>), Failure> {
        let (live, session, _) =
            identity(&self.server, self.settings.app_role.as_deref(), &self.settings.database, &[])?;
        plan::clocks(live.skew)?;
        if live.open {
            return Ok((live, session));
        }
        if !live.closed_by_us || self.context.permit().is_none() {
            return Err(self.closed(&live));
        }
        let mut keeper = Keeper::looking(self.lock_by(session)?, &self.settings.database)?;
        let live = self.open(live, &mut keeper)?;
        Ok((live, keeper.into_session()))
    }

    /// The same with the lock, and with answers to more questions, by one session and in one round trip.
    pub fn live_and_lock(&self, more: &[Sql]) -> Result<(Live, Keeper<'a>, Answers), Failure> {
        let (live, keeper, answers) = self.opened_and_locked(more)?;
        plan::clocks(live.skew)?;
        Ok((live, keeper, answers))
    }

    /// The same whatever the clocks say.
    pub fn opened_and_locked(&self, more: &[Sql]) -> Result<(Live, Keeper<'a>, Answers), Failure> {
        let database = &self.settings.database;
        // Not where the settings of a session are dropped on the way: a pooler would keep the lock.
        let try_it = sql::fill(
            "select case when current_setting('rilis.session', true) <> '' then pg_try_advisory_lock({}) end",
            &[self.key()],
        );
        let under_it = [Journal::questions(database), more.to_vec()].concat();
        let (live, mut session, mut answers) = identity(
            &self.server,
            self.settings.app_role.as_deref(),
            database,
            &[&[try_it][..], &under_it].concat(),
        )?;
        let mut rest = answers.split_off(1);
        let row = answers.pop().transpose()?.and_then(|mut rows| rows.pop());
        if row.map_or(Ok(None), |row| get::<Option<bool>>(&row, 0))? != Some(true) {
            // What was seen without the lock may be different by now.
            session = self.lock_by(session)?;
            let all: Vec<(Sql, &[&dyn Value])> = under_it.into_iter().map(|sql| (sql, &[][..])).collect();
            rest = session.ask_each(&all)?;
        }
        let more = rest.split_off(Journal::QUESTIONS);
        let journal = Journal::of_answers(database, &rest.into_iter().collect::<Result<Vec<_>, _>>()?)?;
        let mut keeper = Keeper::new(session, database, journal);
        let live = if live.open { live } else { self.open(live, &mut keeper)? };
        Ok((live, keeper, more))
    }

    /// Opens a live database that a killed run of ours has closed; the keeper has the lock.
    fn open(&self, live: Live, keeper: &mut Keeper) -> Result<Live, Failure> {
        let Some(permit) = self.context.permit().filter(|_| live.closed_by_us) else {
            return Err(self.closed(&live));
        };
        let database = &self.settings.database;
        self.context.voice.warn(&format!("{database} was left closed by a run that was killed; opening it"));
        swap::open(keeper, &permit, database)?;
        Ok(Live { open: true, closed_by_us: false, ..live })
    }

    /// Who the server is, for those who only look: a closed database is said, with the way to open it.
    pub fn look(&self) -> Result<Live, Failure> {
        let (live, ..) =
            identity(&self.server, self.settings.app_role.as_deref(), &self.settings.database, &[])?;
        plan::clocks(live.skew)?;
        if live.open { Ok(live) } else { Err(self.closed(&live)) }
    }

    /// That nobody can come in, who has done it, and the way out.
    fn closed(&self, live: &Live) -> Failure {
        let database = &self.settings.database;
        let (by, way) = if live.closed_by_us {
            (
                "by a run of db-restore that was killed",
                "any command that changes something opens it first, or open it by hand",
            )
        } else {
            ("by a person", "open it when that is what you want, and run this again")
        };
        let message = format!("{database} is closed: it takes no connections. It was closed {by}: {way}");
        Failure::config("closed", message).next(swap::opening(self.settings, database))
    }

    /// One act on a database at a time, whoever starts it and from where; the lock goes with the session.
    pub fn lock(&self) -> Result<Session<'a>, Failure> {
        self.lock_by(self.server.connect(&self.settings.place.maintenance)?)
    }

    fn key(&self) -> Sql {
        lock_key(&self.settings.database)
    }

    fn lock_by(&self, mut keeper: Session<'a>) -> Result<Session<'a>, Failure> {
        let end = Instant::now() + LINGERING;
        let try_it = sql::fill("select pg_try_advisory_lock({})", &[self.key()]);
        loop {
            if keeper.one(&try_it, &[])? == Some(true) {
                return Ok(keeper);
            }
            let holders = self.holders(&mut keeper)?;
            if let Some(squatter) = holders.iter().find(|holder| !holder.may) {
                self.evict(&mut keeper, squatter)?;
            } else if Instant::now() >= end {
                return Err(self.locked(&holders));
            }
            self.context.pause(Duration::from_millis(20))?;
        }
    }

    /// Who holds the lock.
    fn holders(&self, keeper: &mut Session) -> Result<Vec<Holder>, Failure> {
        let sql = sql::fill(
            "select a.pid, format('%s from %s since %s (role %s, server process %s)', a.application_name, coalesce(host(a.client_addr), 'the server itself'),
                    to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), a.usename, a.pid),
                    r.rolsuper or exists (select from pg_database d where d.datname = $1 and pg_has_role(r.oid, d.datdba, 'MEMBER'))
             from pg_locks l join pg_stat_activity a using (pid) join pg_roles r on r.oid = a.usesysid, lateral (select {} as k) k
             where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and (l.classid::bigint << 32) | l.objid::bigint = k.k",
            &[self.key()],
        );
        let rows = keeper.ask(sql, &[&self.settings.database])?;
        rows.iter()
            .map(|row| Ok(Holder { pid: get(row, 0)?, who: get(row, 1)?, may: get(row, 2)? }))
            .collect()
    }

    /// A role that may not do this work can take the lock all the same, as any login may: then it only stands in the way. Its session is
    /// ended, and that is said.
    fn evict(&self, keeper: &mut Session, squatter: &Holder) -> Result<(), Failure> {
        let way = sql::fill("select pg_terminate_backend({})", &[sql::number(squatter.pid)]);
        let message = "somebody who may not work on this database holds its lock: end that session";
        let refused = || {
            Failure::refused("squatted", message).cause(&squatter.who).next(swap::psql(self.settings, &way))
        };
        let permit = self.context.permit().ok_or_else(refused)?;
        self.context.voice.warn(&format!(
            "somebody who may not work on this database holds its lock, and is sent away: {}",
            squatter.who
        ));
        keeper.batch(&permit, &way).map(|_| ()).map_err(|_| refused())
    }

    /// Who is at work.
    fn locked(&self, holders: &[Holder]) -> Failure {
        let message = format!("another db-restore is at work on {}: wait for it", self.settings.database);
        holders
            .iter()
            .fold(Failure::temporary("locked", message), |failure, holder| failure.cause(&holder.who))
    }

    /// The data behind a name must say that it is of this product and environment, if the settings name a marker. A live database
    /// in which a bad release has left no marker may still be replaced; what replaces it must have one.
    pub fn marker(&self, database: &str) -> Result<(), Failure> {
        let Some(table) = &self.settings.marker else { return Ok(()) };
        let mut session = self.server.connect(database)?;
        let product = self.context.settings.product("name")?.unwrap_or_default();
        let environment = self.context.environment()?;
        let Some(rows) = session.marker(table)? else {
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
        if rows == [format!("{product} {environment}")] {
            return Ok(());
        }
        let said = if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") };
        let message = format!("the marker in {database} says {said}, and this is {product} {environment}");
        Err(Failure::refused("foreign-marker", message))
    }

    /// Nobody can confirm: that is said before hours are spent.
    pub fn confirmable(&self, act: &Confirmation, given: Option<&str>) -> Result<(), Failure> {
        let terminal = || File::options().read(true).write(true).open("/dev/tty").is_ok();
        if given.is_none() && terminal() { Ok(()) } else { self.confirm(act, given) }
    }

    /// Has a person confirm.
    pub fn confirm(&self, act: &Confirmation, given: Option<&str>) -> Result<(), Failure> {
        self.context.confirm(&act.what, &act.phrase, given, &act.next)
    }
}

/// A dangerous act, as a person confirms it.
pub struct Confirmation {
    pub what: String,
    pub phrase: String,
    pub next: String,
}

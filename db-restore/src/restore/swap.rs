//! The swap: one transaction renames both databases, sent in one message. The live database is never closed for it. PostgreSQL itself lets
//! nobody in while the renaming waits for the last session to end, and lets everybody in again when the transaction ends, however it
//! ends: whatever is killed or cut off, on whichever side, there is nothing to open again. OIDs do not change with the names: they say which
//! database is which.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use step::{Acted, Failure, Permit};

use crate::copy::given::Given;
use crate::journal::{Journal, Keeper};
use crate::loss::WRITTEN;
use crate::restore::seal;
use crate::server::sql::{self, Sql, name};
use crate::server::{Row, Server, Session, end_of_sessions, get, instant};

/// How long sessions get to end after they were told to.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at who is still there.
const PAUSE: Duration = Duration::from_millis(4);
/// Between two looks while PostgreSQL itself waits, which looks ten times a second.
const GLANCE: Duration = Duration::from_millis(20);

/// A swap about to happen.
pub struct Swap<'a> {
    pub server: Server<'a>,
    pub permit: &'a Permit,
    /// The command that does it once more, or reports that it is done.
    pub again: String,
    /// The public name.
    pub live: &'a str,
    /// What shall have it.
    pub side: &'a str,
    /// What the one that has it now will be called.
    pub kept: &'a str,
    pub old: u32,
    pub new: u32,
    /// How many sessions the one that shall have it had when it was looked at, if that is known.
    pub visitors: Option<i64>,
}

/// When and how it happened.
#[derive(Clone, Copy, Debug)]
pub struct Swapped {
    /// The old database has no session any more.
    pub frozen_at: Timestamp,
    /// The swap's own transaction: those of the new database come after it.
    pub from_xid: u64,
    /// How long nobody could come in, at most.
    pub outage: Duration,
    /// How many rows were ever written in the old database, by the server's statistics, once nobody was in it any more.
    pub written: Option<i64>,
}

/// What a swap has done, and the session that has done it, if it is of use: it has looked since.
pub type Done<'a> = (Swapped, Vec<String>, Option<Keeper<'a>>);

/// Opens a database, and takes our note that it is closed from its comment.
pub fn open(keeper: &mut Keeper, permit: &Permit, database: &str) -> Result<(), Failure> {
    let note = keeper.journal.closed(database, None);
    keeper.change(
        permit,
        sql::fill("begin; alter database {} allow_connections true; {}; commit", &[name(database), note]),
    )
}

/// Ends every session that is left in a copy, which is closed.
fn empty(keeper: &mut Session, permit: &Permit, database: &str) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = keeper.end_sessions(permit, database)?;
        if left == 0 {
            return Ok(());
        }
        if Instant::now() >= end {
            let oid = keeper.one("select oid from pg_database where datname = $1", &[&database])?;
            let there = oid.map(|oid| keeper.sessions_of(oid)).transpose()?.unwrap_or_default();
            return Err(there
                .iter()
                .fold(busy(database, &format!("{left} sessions do not end")), Failure::cause));
        }
        std::thread::sleep(PAUSE);
    }
}

fn busy(database: &str, why: &str) -> Failure {
    let message = format!("the sessions of {database} do not end, so nothing was done with it");
    Failure::temporary("busy", message).cause(why)
}

/// Does something that lets nobody into a database and waits for its sessions to end, while these are told to end. The statement itself
/// gives up after five seconds for each database, and is undone then.
pub fn without_sessions<T: Send>(
    server: &Server,
    permit: &Permit,
    (database, oid): (&str, u32),
    work: impl FnOnce() -> Result<T, Failure> + Send,
    mut look: impl FnMut(&mut Session) -> Result<(), Failure>,
) -> Result<T, Failure> {
    let mut usher = server.connect_regardless(&server.maintenance())?;
    usher.end_sessions(permit, database)?;
    let done = AtomicBool::new(false);
    let worked = std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let worked = work();
            done.store(true, Ordering::SeqCst);
            worked
        });
        std::thread::sleep(GLANCE);
        while !done.load(Ordering::SeqCst) {
            // Whoever came in before the statement had its lock; if they cannot be told, it gives up by itself.
            let told = usher.end_sessions_of(permit, oid).and_then(|_| look(&mut usher));
            if told.is_err() {
                break;
            }
            std::thread::sleep(GLANCE);
        }
        work.join().unwrap_or_else(|_| Err(Failure::bug("a thread has panicked")))
    });
    worked.map_err(|failure| {
        let in_use = failure.causes.iter().any(|cause| cause.contains("(55006)"));
        if in_use {
            let there = usher.sessions_of(oid).unwrap_or_default();
            let busy = there.iter().fold(busy(database, "it is in use"), Failure::cause);
            failure.causes.iter().fold(busy, Failure::cause)
        } else {
            failure
        }
    })
}

impl Swap<'_> {
    /// Gives the copy what belongs to it, swaps, and proves it by asking which database is behind the public name. `more` gives statements for the
    /// same transaction: they still see the old names.
    pub fn run<'a>(
        &self,
        mut keeper: Keeper<'a>,
        given: Option<&Given>,
        more: impl FnOnce(&Journal, &Swapped) -> Result<Vec<Sql>, Failure>,
    ) -> Result<Done<'a>, Failure> {
        let (pid, mut swapped, refused) = self.begin(&mut keeper, given)?;
        keeper.see_through();
        let exchange = self.exchange(more(&keeper.journal, &swapped)?);
        let began = Instant::now();
        let exchanged = without_sessions(
            &self.server,
            self.permit,
            (self.live, self.old),
            || keeper.change(self.permit, exchange),
            |_| Ok(()),
        );
        swapped.outage = began.elapsed();
        // A session that breaks off during the commit says nothing: the names do. Where it did not, it can say them itself.
        let here = exchanged.is_ok().then(|| self.settled(&mut keeper).ok()).flatten();
        keeper.heed();
        let (behind, now, keeper) = match here {
            Some((behind, now, written)) => {
                swapped.written = written;
                (behind, now, Some(keeper))
            }
            None => {
                drop(keeper);
                let (behind, now) = self.behind(pid)?;
                (behind, now, None)
            }
        };
        match exchanged {
            Ok(()) if behind == Some(self.new) => {
                Ok((Swapped { frozen_at: now, ..swapped }, refused, keeper))
            }
            Ok(()) => Err(self.unknown("it is not what was swapped in")),
            Err(failure) if behind == Some(self.new) => {
                Err(failure.acted(Acted::Yes).next(self.again.as_str()))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Gives the copy what belongs to it, closes it, ends who is in it, and begins the transaction, which gives it its number: one round trip,
    /// where nobody was in it. Nothing waits for the transaction yet. Our own sessions in the copy take a moment to end; the live
    /// database does not wait for them.
    fn begin(
        &self,
        keeper: &mut Keeper,
        given: Option<&Given>,
    ) -> Result<(i32, Swapped, Vec<String>), Failure> {
        let close = sql::fill("alter database {} allow_connections false", &[name(self.side)]);
        keeper.tell(&close);
        let own = given.map(Given::statements).unwrap_or_default();
        let first =
            [own.clone(), vec![close, end_of_sessions(self.side), seal::visitors_of(self.new)]].concat();
        let mut answers = keeper.change_each(self.permit, &[first.clone(), self.beginning()].concat())?;
        let begun = answers.split_off(first.len());
        let looked: Vec<Vec<Row>> = answers.split_off(own.len()).into_iter().collect::<Result<_, _>>()?;
        let refused = given.map(|given| given.refused(answers)).transpose()?.unwrap_or_default();
        let [_, ended, visitors] = looked.as_slice() else { return Err(Failure::bug("three answers")) };
        let visitors = visitors.first().map(|row| get::<i64>(row, 0)).transpose()?;
        if ended.is_empty() && (self.visitors.is_none() || self.visitors == visitors) {
            let begun: Vec<Vec<Row>> = begun.into_iter().collect::<Result<_, _>>()?;
            let (pid, swapped) = self.begun(keeper, &begun)?;
            return Ok((pid, swapped, refused));
        }
        keeper.change(self.permit, "rollback")?;
        empty(keeper, self.permit, self.side)?;
        self.unvisited(keeper)?;
        let begun = keeper.change_all(self.permit, &self.beginning())?;
        let (pid, swapped) = self.begun(keeper, &begun)?;
        Ok((pid, swapped, refused))
    }

    /// Nobody must have been in the copy since it was looked at: it is closed, but a person can open it.
    fn unvisited(&self, keeper: &mut Session) -> Result<(), Failure> {
        if self.visitors.is_none() || seal::visitors(keeper, self.new)? == self.visitors {
            return Ok(());
        }
        let message = format!(
            "somebody was in {} after it was verified, so nothing was swapped: the same command looks at it again",
            self.side
        );
        Err(Failure::failed("unproven", message).next(self.again.as_str()))
    }

    /// Begins the transaction, and looks at what the databases say now.
    fn beginning(&self) -> Vec<Sql> {
        let limits = "select pg_backend_pid(), pg_current_xact_id()::text::bigint, set_config('lock_timeout', '5s', true), set_config('statement_timeout', '12s', true),
                             set_config('idle_in_transaction_session_timeout', '15s', true)";
        let begin: [Sql; 3] = ["begin".into(), limits.into(), Session::clock()];
        [begin.to_vec(), Journal::questions(self.live)].concat()
    }

    /// What the answers to that say.
    fn begun(&self, keeper: &mut Keeper, answers: &[Vec<Row>]) -> Result<(i32, Swapped), Failure> {
        let [_, limits, clock, said @ ..] = answers else { return Err(Failure::bug("five answers")) };
        let none = || Failure::bug("no row about the transaction");
        let (limits, clock) = (limits.first().ok_or_else(none)?, clock.first().ok_or_else(none)?);
        keeper.journal = Journal::of_answers(self.live, said)?;
        let from_xid = get::<i64>(limits, 1)?.unsigned_abs();
        let frozen_at = instant(clock, 0)?;
        Ok((get(limits, 0)?, Swapped { frozen_at, from_xid, outage: Duration::ZERO, written: None }))
    }

    /// The renaming comes last: whoever connects while it is not committed waits, and is then told that the database has just been
    /// renamed and to come again.
    fn exchange(&self, more: Vec<Sql>) -> Sql {
        let (live, side, kept) = (name(self.live), name(self.side), name(self.kept));
        sql::fill(
            "{};
             alter database {} allow_connections true;
             alter database {} allow_connections true;
             alter database {} rename to {};
             alter database {} rename to {};
             commit",
            &[sql::join(more, ";\n"), live.clone(), side.clone(), live.clone(), kept, side, live],
        )
    }

    /// Which database is behind a name, the server's clock, and whether a session of ours is still at work.
    fn named(session: &mut Session, name: &str, pid: i32) -> Result<(Option<u32>, Timestamp, bool), Failure> {
        let sql = "select (select oid from pg_database where datname = $1),
                          exists (select from pg_stat_activity where pid = $2 and application_name like 'db-restore %' and state = 'active')";
        let answers = session.ask_all(&[(sql.into(), &[&name, &pid]), (Session::clock(), &[])])?;
        let row = |n: usize| {
            let rows = answers.get(n).and_then(|rows| rows.first());
            rows.ok_or_else(|| Failure::bug("no row about the database"))
        };
        Ok((get(row(0)?, 0)?, instant(row(1)?, 0)?, get(row(0)?, 1)?))
    }

    /// The same from the swap's own session, and how many rows were ever written in the old database: its last session has told.
    fn settled(&self, keeper: &mut Keeper) -> Result<(Option<u32>, Timestamp, Option<i64>), Failure> {
        let written = sql::fill(WRITTEN, &[sql::number(self.old)]);
        let answers = keeper.refresh(vec![Session::clock(), written])?;
        let row = |n: usize| answers.get(n).and_then(|rows| rows.first());
        let clock = row(0).ok_or_else(|| Failure::bug("no row from the clock"))?;
        let written = row(1).map(|row| get::<Option<i64>>(row, 0)).transpose()?.flatten();
        let behind = keeper.journal.get(self.live).map(|live| live.oid);
        Ok((behind, instant(clock, 0)?, written))
    }

    /// Which database is behind the public name, once the swap's own session is done, and the server's clock.
    fn behind(&self, pid: i32) -> Result<(Option<u32>, Timestamp), Failure> {
        let asked = self.server.connect_regardless(&self.server.maintenance()).and_then(|mut session| {
            let end = Instant::now() + PATIENCE * 2;
            loop {
                let (behind, now, active) = Self::named(&mut session, self.live, pid)?;
                if !active {
                    return Ok((behind, now));
                }
                if Instant::now() >= end {
                    return Err(Failure::temporary("busy", "the server is still at work on it"));
                }
                std::thread::sleep(PAUSE);
            }
        });
        asked.map_err(|failure| self.unknown(&failure.message))
    }

    fn unknown(&self, why: &str) -> Failure {
        let message = format!(
            "whether {} was swapped cannot be told ({why}); it is open either way, and running the same command again looks",
            self.live
        );
        Failure::temporary("swap-unknown", message).acted(Acted::Unknown).next(self.again.as_str())
    }
}

/// The command with which a person opens a database.
pub fn opening(settings: &crate::settings::Settings, database: &str) -> String {
    let sql = sql::fill("alter database {} allow_connections true", &[name(database)]);
    psql(settings, &sql)
}

/// A statement for a person to run from the maintenance database.
pub fn psql(settings: &crate::settings::Settings, sql: &Sql) -> String {
    settings.place.psql(sql)
}

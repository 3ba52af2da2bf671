//! The swap: the live database is closed, its sessions end, and one transaction renames both. Whatever happens on the way, the
//! public name ends up open. OIDs do not change with the names: they say which database is which.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use step::{Acted, Failure, Permit};

use crate::remark;
use crate::server::{Server, Session, name};

/// How long sessions get to end after they were told to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A swap about to happen.
pub struct Swap<'a> {
    pub server: Server<'a>,
    pub permit: &'a Permit,
    /// Who does it.
    pub run: &'a str,
    /// The public name.
    pub live: &'a str,
    /// What shall have it.
    pub side: &'a str,
    /// What the one that has it now will be called.
    pub kept: &'a str,
    pub old: u32,
    pub new: u32,
}

/// When and how it happened.
#[derive(Clone, Copy, Debug)]
pub struct Swapped {
    /// The old database had no session any more.
    pub frozen_at: Timestamp,
    /// The first transaction that can be of the new one.
    pub from_xid: u64,
    /// From the closing of the old database to the commit.
    pub outage: Duration,
}

/// Opens a database, and takes our note that it is closed from its comment.
pub fn open(keeper: &mut Session, permit: &Permit, database: &str) -> Result<(), Failure> {
    let note = remark::closed(keeper, database, None)?;
    let name = name(database);
    keeper.change(permit, &format!("begin; alter database {name} allow_connections true; {note}; commit"))
}

/// Closes a database, with a note that it was us, and ends its sessions. Gives the instant at which none was left.
pub fn close(keeper: &mut Session, permit: &Permit, database: &str, run: &str) -> Result<Timestamp, Failure> {
    // From here on a signal or the deadline would leave the public name closed.
    keeper.see_through();
    let note = remark::closed(keeper, database, Some(run))?;
    let quoted = name(database);
    keeper
        .change(permit, &format!("begin; alter database {quoted} allow_connections false; {note}; commit"))?;
    empty(keeper, permit, database)
}

/// Ends every session of a database that nobody can enter any more.
fn empty(keeper: &mut Session, permit: &Permit, database: &str) -> Result<Timestamp, Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = keeper.end_sessions(permit, database)?;
        if left == 0 {
            return keeper.now();
        }
        if Instant::now() >= end {
            let message = format!("{left} sessions of {database} do not end; nothing was swapped");
            return Err(Failure::temporary("busy", message));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

impl Swap<'_> {
    /// Swaps, and proves it by asking which database is behind the public name. `more` gives statements for the same transaction:
    /// they still see the old names.
    pub fn run(
        &self,
        mut keeper: Session,
        more: impl FnOnce(&mut Session, &Swapped) -> Result<Vec<String>, Failure>,
    ) -> Result<Swapped, Failure> {
        let side = name(self.side);
        // Our own sessions there take a moment to end; the live database does not wait for them.
        keeper.change(self.permit, &format!("alter database {side} allow_connections false"))?;
        empty(&mut keeper, self.permit, self.side)?;
        let began = Instant::now();
        let swapped = close(&mut keeper, self.permit, self.live, self.run).and_then(|frozen_at| {
            let sql = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
            let from_xid = keeper.one::<i64>(sql, &[])?.unwrap_or_default().unsigned_abs();
            let swapped = Swapped { frozen_at, from_xid, outage: Duration::ZERO };
            let more = more(&mut keeper, &swapped)?;
            self.exchange(&mut keeper, &more)?;
            Ok(Swapped { outage: began.elapsed(), ..swapped })
        });
        // A session that breaks off during the commit says nothing: the names do.
        let behind = self.behind(keeper)?;
        match swapped {
            Ok(swapped) if behind == Some(self.new) => Ok(swapped),
            Ok(_) => Err(self.unknown("it is not what was swapped in")),
            Err(failure) if behind == Some(self.new) => {
                Err(failure.acted(Acted::Yes).next("run it again: it reports what was done"))
            }
            Err(failure) => Err(failure),
        }
    }

    /// The renaming comes last: whoever connects while it is not committed waits, and is then told that the database has just been
    /// renamed and to come again.
    fn exchange(&self, keeper: &mut Session, more: &[String]) -> Result<(), Failure> {
        let (live, side, kept) = (name(self.live), name(self.side), name(self.kept));
        let sql = format!(
            "begin;
             {};
             alter database {live} allow_connections true;
             alter database {side} allow_connections true;
             alter database {live} rename to {kept};
             alter database {side} rename to {live};
             commit",
            more.join(";\n")
        );
        keeper.change(self.permit, &sql)
    }

    /// Which database is behind the public name; if it is still the old one it is opened again.
    fn behind(&self, keeper: Session) -> Result<Option<u32>, Failure> {
        drop(keeper);
        let asked = self.server.connect_regardless(&self.server.maintenance()).and_then(|mut session| {
            let oid = session.one("select oid from pg_database where datname = $1", &[&self.live])?;
            if oid == Some(self.old) {
                open(&mut session, self.permit, self.live)?;
            }
            Ok(oid)
        });
        asked.map_err(|failure| self.unknown(&failure.message))
    }

    fn unknown(&self, why: &str) -> Failure {
        let live = self.live;
        let message = format!("whether {live} was swapped, and whether it is open, cannot be told: {why}");
        let next = format!(
            "psql --list; while {live} is closed: psql -c 'alter database \"{live}\" allow_connections true' postgres"
        );
        Failure::temporary("swap-unknown", message).acted(Acted::Unknown).next(next)
    }
}

//! The swap: the live database is closed, its sessions end, and one transaction renames both. Whatever happens on the way, the
//! public name ends up open. What was done stands in the comment of the database that is live then, where a later run reads it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use step::{Acted, Context, Failure, Permit};

use crate::database::{Server, Session, name};
use crate::plan::Names;
use crate::side::comment;

/// How long sessions get to end after they were told to.
const PATIENCE: Duration = Duration::from_secs(10);
/// Begins our line of a database's comment.
const MARK: &str = "db-restore ";
/// The comment of a side database while the live one is closed for it.
const CLOSING: &str = "db-restore closing";

/// What a swapped-in database says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The document in whose run it was swapped in.
    pub run: String,
    pub snapshot: String,
    /// The instant whose data it held then.
    pub taken_at: Timestamp,
    /// When the old database had lost its last session.
    pub frozen_at: Timestamp,
    /// The old database's name.
    pub kept_in: String,
}

/// The record of the database behind a name, if it was swapped in.
pub fn record(session: &mut Session, database: &str) -> Result<Option<Record>, Failure> {
    let comment = remarks(session, database)?;
    let line = comment.lines().find_map(|line| line.strip_prefix(MARK));
    Ok(line.and_then(|json| serde_json::from_str(json).ok()))
}

fn remarks(session: &mut Session, database: &str) -> Result<String, Failure> {
    let sql =
        "select coalesce(shobj_description(oid, 'pg_database'), '') from pg_database where datname = $1";
    Ok(session.one(sql, &[&database])?.unwrap_or_default())
}

/// Opens a live database that a killed swap has left closed; one that a person has closed stays so.
pub fn repair(
    keeper: &mut Session,
    permit: &Permit,
    names: &Names,
    context: &Context,
) -> Result<(), Failure> {
    let sql = "select true from pg_database d where datname = $1 and not datallowconn and exists
                 (select from pg_database s where shobj_description(s.oid, 'pg_database') = $2 || ' ' || d.datname)";
    let closed: Option<bool> = keeper.one(sql, &[&names.live, &CLOSING])?;
    if closed.is_some() {
        context.voice.warn(&format!("{} was left closed by a run that was killed; opening it", names.live));
        keeper.change(permit, &open(&names.live))?;
    }
    Ok(())
}

fn open(database: &str) -> String {
    format!("alter database {} allow_connections true", name(database))
}

/// A swap about to happen: the oids say which database is which, whatever their names are.
pub struct Swap<'a> {
    pub server: Server<'a>,
    pub permit: &'a Permit,
    pub names: &'a Names,
    pub old: u32,
    pub new: u32,
}

impl Swap<'_> {
    /// Swaps, and proves it by asking which database is behind the public name.
    pub fn run(&self, mut keeper: Session, mut record: Record) -> Result<Record, Failure> {
        let Names { live, side, .. } = self.names;
        keeper.change(self.permit, &comment(side, &format!("{CLOSING} {live}")))?;
        // From here on a signal or the deadline would leave the public name closed.
        keeper.see_through();
        keeper.change(self.permit, &format!("alter database {} allow_connections false", name(live)))?;
        let swapped = self.empty(&mut keeper).and_then(|at| {
            record.frozen_at = at;
            self.exchange(&mut keeper, &record)
        });
        // A session that breaks off during the commit says nothing: the names do.
        let live_oid = self.behind(keeper)?;
        match swapped {
            _ if live_oid == Some(self.new) => Ok(record),
            Ok(()) => {
                Err(Failure::failed("swap", format!("{live} is not the restored database"))
                    .acted(Acted::Unknown))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Ends every session of the live database; gives the instant at which none was left.
    fn empty(&self, keeper: &mut Session) -> Result<Timestamp, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = keeper.end_sessions(self.permit, &self.names.live)?;
            if left == 0 {
                return keeper.now();
            }
            if Instant::now() >= end {
                let message =
                    format!("{left} sessions of {} do not end; nothing was swapped", self.names.live);
                return Err(Failure::temporary("busy", message));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn exchange(&self, keeper: &mut Session, record: &Record) -> Result<(), Failure> {
        let Names { live, side, old } = self.names;
        let json = serde_json::to_string(record).map_err(|e| Failure::bug(e.to_string()))?;
        // What people have written there goes along.
        let remarks = remarks(keeper, live)?;
        let kept = remarks.lines().filter(|line| !line.starts_with(MARK)).map(|line| format!("{line}\n"));
        let said = kept.collect::<String>() + MARK + &json;
        let (live_name, side_name, old_name) = (name(live), name(side), name(old));
        let sql = format!(
            "begin;
             alter database {live_name} rename to {old_name};
             alter database {side_name} rename to {live_name};
             {};
             alter database {old_name} set default_transaction_read_only to on;
             {};
             commit",
            comment(live, &said),
            open(old),
        );
        keeper.change(self.permit, &sql)
    }

    /// Which database is behind the public name; if it is still the old one it is opened again.
    fn behind(&self, keeper: Session) -> Result<Option<u32>, Failure> {
        drop(keeper);
        let asked = self.server.connect_regardless(&self.server.maintenance()).and_then(|mut session| {
            let oid = session.one("select oid from pg_database where datname = $1", &[&self.names.live])?;
            if oid == Some(self.old) {
                session.change(self.permit, &open(&self.names.live))?;
            }
            Ok(oid)
        });
        let live = &self.names.live;
        let next = format!(
            "psql --list; while {live} is closed: psql -c 'alter database \"{live}\" allow_connections true' postgres"
        );
        asked.map_err(|failure| {
            let message = format!(
                "whether {live} was swapped, and whether it is open, cannot be told: {}",
                failure.message
            );
            Failure::temporary("swap-unknown", message).acted(Acted::Unknown).next(next)
        })
    }
}

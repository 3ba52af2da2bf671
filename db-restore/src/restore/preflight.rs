//! What would make a restore fail in the end is said at the beginning, all of it in one answer, before anything is written.

use std::path::Path;

use step::Failure;

use crate::journal::{self, Note};
use crate::operation::Operation;
use crate::plan::Names;
use crate::restore::demands::Demands;
use crate::server::{Live, Session, sql};
use crate::settings::Room;

/// Extensions that live in one database of a cluster, or have workers of their own: they cannot be restored beside themselves.
const TIED: &[&str] = &["pg_cron", "timescaledb"];

/// What is in the way, by a stable word each.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, String)>);

impl Problems {
    fn add(&mut self, reason: &'static str, message: impl Into<String>) {
        self.0.push((reason, message.into()));
    }

    /// One problem is the reason itself; several are listed.
    pub fn verdict(mut self) -> Result<(), Failure> {
        match self.0.len() {
            0 => Ok(()),
            1 => {
                let (reason, message) = self.0.remove(0);
                Err(if reason == "rights" {
                    Failure::config(reason, message)
                } else {
                    Failure::refused(reason, message)
                })
            }
            n => {
                let failure =
                    Failure::refused("preflight", format!("{n} things are in the way; nothing was begun"));
                Err(self
                    .0
                    .iter()
                    .fold(failure, |f, (reason, message)| f.cause(format!("{reason}: {message}"))))
            }
        }
    }
}

/// What is in the way of renaming the live database.
pub fn swap(
    operation: &Operation,
    live: &Live,
    keeper: &mut Session,
    names: &Names,
) -> Result<Problems, Failure> {
    let database = &names.live;
    let mut problems = Problems::default();
    if live.standby {
        problems.add("standby", format!("{} is a standby: restore on the primary", operation.settings.host));
    }
    if !live.may_restore {
        let user = &operation.settings.user;
        problems.add(
            "rights",
            format!(
                "{user} may not create and rename databases; make it a superuser, or the owner with CREATEDB"
            ),
        );
    }
    let protected = "select datistemplate or datname in ('postgres', 'template0', 'template1') from pg_database where datname = $1";
    if keeper.one(protected, &[database])? == Some(true) || *database == operation.settings.maintenance {
        problems.add(
            "maintenance-database",
            format!("{database} is the cluster's own, or the one we work from: it cannot be renamed"),
        );
    }
    let prepared = keeper.texts("select gid from pg_prepared_xacts where database = $1", &[database])?;
    if !prepared.is_empty() {
        let list = prepared.join(", ");
        problems.add(
            "prepared-transactions",
            format!(
                "{database} has prepared transactions, which forbid its renaming: commit or roll back {list}"
            ),
        );
    }
    replication(operation, keeper, database, &mut problems)?;
    if keeper.one::<bool>("select true from pg_database where datname = $1", &[&names.old])?.is_some() {
        let old = &names.old;
        problems.add(
            "superseded",
            format!(
                "this run has restored {database} before, and somebody else has since: {old} is still there"
            ),
        );
    }
    Ok(problems)
}

/// What was staged for this run and is open was opened by somebody: it proves nothing, and is not ours to throw away.
pub fn name(keeper: &mut Session, names: &Names, problems: &mut Problems) -> Result<(), Failure> {
    let side = &names.side;
    let copies = journal::beside(keeper, &names.live)?;
    let opened = copies.get(side).filter(|copy| copy.open && !copy.noted);
    if opened.is_some_and(|copy| matches!(copy.remark, Some(Note::Staged(_)))) {
        let message = format!(
            "{side} holds a snapshot for this run, and somebody has opened it: drop it (drop database {side}), and it is made anew"
        );
        problems.add("opened-copy", message);
    }
    Ok(())
}

/// What hangs on the database by its identity would go with the old one.
fn replication(
    operation: &Operation,
    keeper: &mut Session,
    database: &String,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let slots =
        keeper.texts("select slot_name::text from pg_replication_slots where database = $1", &[database])?;
    if !slots.is_empty() {
        let list = slots.join(", ");
        problems.add("replication-slots", format!("logical replication slots belong to {database} and would go with the old one: drop {list} (pg_drop_replication_slot) and make them again afterwards"));
    }
    let subscriptions = "select subname::text from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = $1";
    match keeper.texts(subscriptions, &[database]) {
        Ok(list) if list.is_empty() => {}
        Ok(list) => problems.add("subscriptions", format!("{database} subscribes to another server and would go on doing so under its new name: drop {}", list.join(", "))),
        Err(failure) => operation.context.voice.warn(&format!("subscriptions cannot be seen: {}", failure.message)),
    }
    Ok(())
}

/// What a snapshot needs and the server lacks.
pub fn demands(
    operation: &Operation,
    live: &Live,
    keeper: &mut Session,
    demands: &Demands,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let list = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let lacking = |keeper: &mut Session, wanted: &Vec<String>, known: &'static str| {
        let sql =
            sql::fill("select w from unnest($1::text[]) w where w not in ({}) order by 1", &[known.into()]);
        keeper.texts(sql, &[wanted])
    };
    let roles = lacking(keeper, &list(&demands.roles), "select rolname::text from pg_roles")?;
    if !roles.is_empty() {
        problems.add("missing-roles", format!("create role {}", roles.join(", ")));
    }
    let extensions =
        lacking(keeper, &list(&demands.extensions), "select name::text from pg_available_extensions")?;
    if !extensions.is_empty() {
        problems.add("missing-extensions", format!("install on the server: {}", extensions.join(", ")));
    }
    let tablespaces =
        lacking(keeper, &list(&demands.tablespaces), "select spcname::text from pg_tablespace")?;
    if !tablespaces.is_empty() {
        problems.add("missing-tablespaces", format!("create tablespace {}", tablespaces.join(", ")));
    }
    let tied: Vec<&str> = TIED.iter().copied().filter(|t| demands.extensions.contains(*t)).collect();
    if !tied.is_empty() && demands.restored {
        let list = tied.join(", ");
        problems.add("tied-extensions", format!("{list} cannot be restored beside itself: dump without it, and create it again after the restore"));
    }
    if demands.restored {
        connections(operation, keeper, problems)?;
        room(operation, live, keeper, problems)?;
    }
    Ok(())
}

fn connections(operation: &Operation, keeper: &mut Session, problems: &mut Problems) -> Result<(), Failure> {
    let sql = "select current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
                    - (select count(*) from pg_stat_activity where backend_type = 'client backend')";
    let free: i64 = keeper.one(sql, &[])?.unwrap_or_default();
    let needed = i64::try_from(operation.settings.jobs).unwrap_or(i64::MAX).saturating_add(4);
    if free < needed {
        problems.add(
            "connections",
            format!(
                "{free} connections are free and {needed} are needed: raise max_connections, or lower jobs"
            ),
        );
    }
    Ok(())
}

/// A disk that runs full stops the whole server, the live database with it. A copy takes what the live one takes, and writes 1.6
/// times as much into the log, which stays there when it is archived or held by a slot (measured).
fn room(
    operation: &Operation,
    live: &Live,
    keeper: &mut Session,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let held = "select current_setting('archive_mode') <> 'off' or exists (select from pg_replication_slots)";
    let log = "select pg_size_bytes(current_setting('max_wal_size'))";
    let log = keeper.one::<i64>(log, &[])?.unwrap_or_default().unsigned_abs();
    let held = keeper.one(held, &[])?.unwrap_or(false);
    // The log grows no more than is written, and without an archive no more than max_wal_size allows.
    let log = if held { live.bytes * 8 / 5 } else { log.min(live.bytes * 8 / 5) };
    let needed = live.bytes + log;
    let free = match operation.settings.room {
        Room::Unchecked => return Ok(()),
        Room::Bytes(bytes) => bytes,
        Room::Measure => match measured(operation, keeper)? {
            Some(bytes) => bytes,
            None => {
                let host = &operation.settings.host;
                problems.add("disk-unknown", format!("nobody can see from here how much disk {host} has free, and a full one stops it: {} are needed; set disk_free to what there is (or to unchecked)", mib(needed)));
                return Ok(());
            }
        },
    };
    if free < needed {
        problems.add(
            "disk",
            format!(
                "{} are free and {} are needed (a second copy and its log): free some, or prune",
                mib(free),
                mib(needed)
            ),
        );
    }
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Only on the server's own machine can its disk be looked at.
fn measured(operation: &Operation, keeper: &mut Session) -> Result<Option<u64>, Failure> {
    if !operation.settings.is_local() {
        return Ok(None);
    }
    let folder: Option<String> = keeper.one("select current_setting('data_directory', true) where current_setting('data_directory', true) is not null", &[]).unwrap_or(None);
    let found = folder.and_then(|folder| rustix::fs::statvfs(Path::new(&folder)).ok());
    Ok(found.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)))
}

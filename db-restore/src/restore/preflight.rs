//! What would make a restore fail in the end is said at the beginning, all of it in one answer, before anything is written.

use std::collections::BTreeSet;

use step::Failure;

use crate::journal::{Journal, Note};
use crate::operation::{Answers, Operation};
use crate::plan::Names;
use crate::restore::demands::Demands;
use crate::restore::disk;
use crate::server::{Live, Row, Session, Sql, Value, get, sql};
use crate::settings::Settings;

/// What is in the way, by a stable word each.
#[derive(Debug, Default)]
pub struct Problems(Vec<(&'static str, String)>);

impl Problems {
    /// One more.
    pub fn add(&mut self, reason: &'static str, message: impl Into<String>) {
        self.0.push((reason, message.into()));
    }

    /// A sentence for each.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(reason, message)| format!("{reason}: {message}"))
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
                Err(self.sentences().fold(failure, Failure::cause))
            }
        }
    }
}

/// What is in the way of working on the live database at all.
pub fn work(operation: &Operation, live: &Live) -> Problems {
    let mut problems = Problems::default();
    if live.standby {
        problems.add(
            "standby",
            format!("{} is a standby: restore on the primary", operation.settings.place.host),
        );
    }
    if !live.may_restore {
        problems.add("rights", lacking_rights(&operation.settings.place.user));
    }
    if !live.has_app_role {
        problems.add("app-role", no_app_role(operation.settings));
    }
    problems
}

/// Found out after the swap, it would be a restore that failed.
pub fn no_app_role(settings: &Settings) -> String {
    let role = settings.app_role.as_deref().unwrap_or_default();
    format!("the server has no role {role}: set app_role to the one as which the application works")
}

/// What a user who may not restore is told.
pub fn lacking_rights(user: &str) -> String {
    format!(
        "{user} may not create and rename databases; make it a superuser, or the owner with CREATEDB (and with CREATE on the database's tablespace, if that is another than the server's default)"
    )
}

/// The questions for what forbids to rename the live database; [`renaming`] reads the answers.
pub fn questions(names: &Names) -> Vec<Sql> {
    let of = |question: &'static str, name: &str| sql::fill(question, &[sql::text(name)]);
    let live = |question: &'static str| of(question, &names.live);
    vec![
        live(
            "select datistemplate or datname in ('postgres', 'template0', 'template1') from pg_database where datname = {}::text",
        ),
        live("select gid from pg_prepared_xacts where database = {}::text"),
        live("select slot_name::text from pg_replication_slots where database = {}::text"),
        of("select datname::text from pg_database where datname = {}::text", &names.old),
        // The last one: where we may not see them, its answer is an error.
        live(
            "select subname::text from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = {}::text",
        ),
    ]
}

/// What is in the way of the renaming itself; a rehearsal renames nothing.
pub fn renaming(
    operation: &Operation,
    answers: Answers,
    names: &Names,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let database = &names.live;
    let Ok([protected, prepared, slots, kept, subscriptions]) = <[_; 5]>::try_from(answers) else {
        return Err(Failure::bug("five answers"));
    };
    let list = |rows: Vec<Row>| {
        rows.iter().map(|row| get::<String>(row, 0)).collect::<Result<Vec<_>, _>>().map(|l| l.join(", "))
    };
    let protected = protected?.first().map_or(Ok(false), |row| get(row, 0))?;
    if protected || *database == operation.settings.place.maintenance {
        problems.add(
            "maintenance-database",
            format!("{database} is the cluster's own, or the one we work from: it cannot be renamed"),
        );
    }
    let prepared = list(prepared?)?;
    if !prepared.is_empty() {
        problems.add(
            "prepared-transactions",
            format!("{database} has prepared transactions, which forbid its renaming: commit or roll back {prepared}"),
        );
    }
    let slots = list(slots?)?;
    if !slots.is_empty() {
        problems.add("replication-slots", format!("logical replication slots belong to {database} and would go with the old one: drop {slots} (pg_drop_replication_slot) and make them again afterwards"));
    }
    match subscriptions.and_then(list) {
        Ok(list) if list.is_empty() => {}
        Ok(list) => problems.add("subscriptions", format!("{database} subscribes to another server and would go on doing so under its new name: drop {list}")),
        Err(failure) => operation.context.voice.warn(&format!("subscriptions cannot be seen: {}", failure.message)),
    }
    superseded(database, &list(kept?)?, problems);
    Ok(())
}

fn superseded(database: &str, kept: &str, problems: &mut Problems) {
    if !kept.is_empty() {
        let message = format!(
            "this run has restored {database} before, and somebody else has since: {kept} is still there"
        );
        problems.add("superseded", message);
    }
}

/// What was staged for this run and is open was opened by somebody: it proves nothing, and is not ours to throw away.
pub fn name(journal: &Journal, names: &Names, problems: &mut Problems) {
    let side = &names.side;
    let opened = journal.get(side).filter(|copy| copy.open && !copy.noted);
    if opened.is_some_and(|copy| matches!(copy.remark, Some(Note::Staged(_)))) {
        let message = format!(
            "{side} holds a snapshot for this run, and somebody has opened it: drop it (drop database {side}), and it is made anew"
        );
        problems.add("opened-copy", message);
    }
}

/// What a snapshot needs and the server lacks, in one round trip.
pub fn demands(
    operation: &Operation,
    live: &Live,
    keeper: &mut Session,
    demands: &Demands,
    problems: &mut Problems,
) -> Result<(), Failure> {
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let (roles, extensions, tablespaces) =
        (list(&demands.roles), list(&demands.extensions), list(&demands.tablespaces));
    let lacking = |known: &'static str| {
        sql::fill("select w from unnest($1::text[]) w where w not in ({}) order by 1", &[known.into()])
    };
    let one: [&dyn Value; 1] = [&roles];
    let two: [&dyn Value; 1] = [&extensions];
    let three: [&dyn Value; 1] = [&tablespaces];
    let database: [&dyn Value; 1] = [&operation.settings.database];
    let answers = keeper.ask_all(&[
        (lacking("select rolname::text from pg_roles"), &one),
        (lacking("select name::text from pg_available_extensions"), &two),
        (lacking("select spcname::text from pg_tablespace"), &three),
        (CONNECTIONS.into(), &[]),
        (disk::LOG.into(), &[]),
        (disk::PLACES.into(), &database),
    ])?;
    let [roles, extensions, tablespaces, connections, log, places] = answers.as_slice() else {
        return Err(Failure::bug("six answers"));
    };
    let said = [
        ("missing-roles", "create role", roles),
        ("missing-extensions", "install on the server:", extensions),
        ("missing-tablespaces", "create tablespace", tablespaces),
    ];
    for (reason, remedy, rows) in said {
        let names: Vec<String> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        if !names.is_empty() {
            problems.add(reason, format!("{remedy} {}", names.join(", ")));
        }
    }
    if demands.restored {
        free_connections(operation, connections, problems)?;
        disk::room(operation, live, demands, (log, places), problems)?;
    }
    Ok(())
}

/// How many connections are free.
const CONNECTIONS: &str = "
    select current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
           - (select count(*) from pg_stat_activity where backend_type = 'client backend')";

fn free_connections(operation: &Operation, rows: &[Row], problems: &mut Problems) -> Result<(), Failure> {
    let free: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
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

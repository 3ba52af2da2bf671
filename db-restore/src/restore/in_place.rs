//! Setting a Supabase project back: what cannot be undone is dumped first, the request goes out once, and it is done only when the
//! database itself says so. "ACTIVE_HEALTHY" is what a project says before, during and after.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use facts::Loss;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use step::{Acted, Failure, Outcome, Permit, Run, shell};

use crate::args::RestoreArgs;
use crate::copy::readers::Readers;
use crate::operation::Operation;
use crate::plan::{self, Moment, Snapshot};
use crate::restore::verify;
use crate::restore::{self, Ended};
use crate::server::{Live, Session, sql};
use crate::sources::archive::Archive;
use crate::sources::supabase::{self, Posted, Project};
use crate::sources::{Source, Stamp};

/// A row in it is of the present: where it is gone, the data went back. It lies in a schema of its own, which no API shows, and nobody has a right
/// on it. Its owner can remove it all the same: alone it proves nothing.
const WITNESS: &str = "db_restore.witness";
/// Makes it.
const MAKE: &str = "
    create schema if not exists db_restore;
    revoke all on schema db_restore from public;
    create table if not exists db_restore.witness (run text primary key, at timestamptz not null default now());
    revoke all on table db_restore.witness from public;
    alter table db_restore.witness enable row level security";
/// Whether it is ours: what its owner writes into it is run by whoever writes a row.
const OURS: &str = "
    select bool_and(owner = (select oid from pg_roles where rolname = current_user)) from (
        select nspowner as owner from pg_namespace where nspname = 'db_restore'
        union all select relowner from pg_class where oid = 'db_restore.witness'::regclass) s";
/// Roles that have rights on it, by what others give to them by themselves.
const OTHERS: &str = "
    select distinct pg_get_userbyid(a.grantee)::text from pg_class c, aclexplode(c.relacl) a
    where c.oid = 'db_restore.witness'::regclass and a.grantee not in (0, c.relowner)";

/// What was asked for, kept on disk from just before the request: whoever finds it never asks again.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Journal {
    run: String,
    target: i64,
    /// Just before the request, by the server's clock.
    asked_at: Timestamp,
    /// The dump of what was there.
    kept_in: String,
    /// When the server had been started, and its timeline.
    started: String,
    timeline: i32,
    tables: BTreeMap<String, u64>,
}

/// What the database says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It does not answer yet.
    Silent(String),
    /// The row of the present is still there.
    Unchanged,
    /// The row is gone, but the server's timeline is the same: somebody removed it, nothing went back.
    SameTimeline,
    /// There is no table, or not one row.
    Empty,
    /// It went back.
    Back(BTreeMap<String, u64>),
}

/// The step, for `source = "supabase"`.
pub fn restore(
    run: &Run,
    operation: &Operation,
    moment: &Moment,
    wish: &RestoreArgs,
) -> Result<Ended, Failure> {
    let project = Project::new(operation)?;
    let step = Step { run, operation, project: &project };
    if let Some(journal) = step.journal()? {
        operation.context.voice.say("this run has asked for it before: looking whether it was done");
        return step.observe(&journal, false);
    }
    // Not before: while a project is being set back, there may be no database to ask.
    let (live, keeper, _) = &mut operation.live_and_lock(&[])?;
    let live = &*live;
    operation.marker(&operation.settings.database)?;
    let chosen = step.choose(live, moment, wish)?;
    step.preflight(keeper)?;
    let age = plan::age(&chosen, moment, live.now);
    let Some(permit) = run.permit() else {
        let message = format!(
            "would dump the present, and set the project back to {} ({age})",
            plan::instant(chosen.taken_at)
        );
        return Ok(Ended { snapshot: chosen.fact(), loss: None, outcome: Outcome::planned(message) });
    };
    let mut act = restore::confirming::act(run, operation, wish, &chosen, &age)?;
    act.what.push_str("; it is done in place, takes the database offline, and cannot be undone by Supabase");
    operation.confirmable(&act, wish.sure.confirm.as_deref())?;
    let kept = step.dump(&permit, live, keeper)?;
    operation.context.voice.say(&format!(
        "the present is kept in {}: {}",
        kept.id,
        kept.remark.as_deref().unwrap_or_default()
    ));
    operation.confirm(&act, wish.sure.confirm.as_deref())?;
    let journal = step.before(&permit, &chosen, &kept)?;
    step.ask(&permit, &journal)?;
    step.observe(&journal, true)
}

struct Step<'a> {
    run: &'a Run,
    operation: &'a Operation<'a>,
    project: &'a Project<'a>,
}

impl Step<'_> {
    fn choose(&self, live: &Live, moment: &Moment, wish: &RestoreArgs) -> Result<Snapshot, Failure> {
        if let Some(id) = &wish.snapshot {
            let odd = || {
                Failure::refused(
                    "no-snapshot",
                    format!("{id} is no recovery point; one looks like pitr-1764061200"),
                )
            };
            let named = supabase::point(supabase::seconds(id).ok_or_else(odd)?)?;
            return plan::named(&self.within(named)?, id, moment, live.now).cloned();
        }
        if *moment == Moment::Now {
            let message = "a project can be set back to any second, so say to which: --incident-at TIME, since when the data is wrong";
            return Err(Failure::refused("no-incident", message));
        }
        let list = self.project.list(live, moment)?;
        plan::newest(&list, moment, live.now).cloned()
    }

    fn within(&self, named: Snapshot) -> Result<Vec<Snapshot>, Failure> {
        let problem = match self.project.window()? {
            Err(problem) => Some(problem),
            Ok(window) if named.taken_at.as_second() < window.earliest => {
                Some("it is before the window of the project".into())
            }
            Ok(_) => None,
        };
        Ok(vec![Snapshot { problem, ..named }])
    }

    /// Supabase refuses these, and only after it was asked.
    fn preflight(&self, keeper: &mut Session) -> Result<(), Failure> {
        let status = self.project.status()?;
        if status != "ACTIVE_HEALTHY" {
            let message = format!("the project is {status}; only one that is ACTIVE_HEALTHY can be set back");
            return Err(Failure::temporary("project-busy", message));
        }
        // Realtime's own slot is exempt.
        let slots = keeper.texts(
            "select slot_name::text from pg_replication_slots where slot_name !~ '^supabase_realtime'",
            &[],
        )?;
        if !slots.is_empty() {
            let message = format!("all replication slots must be dropped before: {}", slots.join(", "));
            return Err(Failure::refused("replication-slots", message));
        }
        let subscriptions = keeper.one::<i64>("select count(*) from pg_stat_subscription", &[])?;
        if subscriptions.is_some_and(|n| n > 0) {
            return Err(Failure::refused("subscriptions", "all subscriptions must be dropped before"));
        }
        Ok(())
    }

    fn dump(&self, permit: &Permit, live: &Live, keeper: &mut Session) -> Result<Snapshot, Failure> {
        let Operation { context, settings, server } = *self.operation;
        let Stamp { document, version, commit } = Stamp::of(self.run)?;
        Archive { context, settings, server }.take(
            permit,
            (live, keeper),
            &Stamp { document, version, commit },
        )
    }

    fn path(&self) -> PathBuf {
        self.operation.settings.snapshots.join(format!(".supabase-{}.json", self.run.document.id()))
    }

    fn journal(&self) -> Result<Option<Journal>, Failure> {
        let path = self.path();
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::refused("journal", format!("{} cannot be read: {why}", path.display()))
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| wrong(&step::json_trouble(&e))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(&error)),
        }
    }

    fn write(&self, journal: &Journal) -> std::io::Result<()> {
        let path = self.path();
        let mut file = tempfile::NamedTempFile::new_in(&self.operation.settings.snapshots)?;
        file.write_all(&serde_json::to_vec(journal)?)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        std::fs::File::open(&self.operation.settings.snapshots)?.sync_all()
    }

    /// What is known just before the request: the evidence afterwards is held against it. A row in our table is of the present.
    fn before(&self, permit: &Permit, chosen: &Snapshot, kept: &Snapshot) -> Result<Journal, Failure> {
        let mut session = self.operation.server.connect(&self.operation.settings.database)?;
        let run = sql::text(self.run.document.id());
        session.change(permit, MAKE)?;
        if session.one::<bool>(OURS, &[])? != Some(true) {
            let message = "the schema db_restore or its table belongs to somebody else, who could put code of theirs into it: drop it (drop schema db_restore cascade), and run this again";
            return Err(Failure::refused("foreign-witness", message));
        }
        for role in session.texts(OTHERS, &[])? {
            session.change(
                permit,
                sql::fill("revoke all on table db_restore.witness from {}", &[sql::name(&role)]),
            )?;
        }
        let insert = "insert into db_restore.witness (run) values ({}) on conflict do nothing";
        session.change(permit, sql::fill(insert, &[run]))?;
        let (started, timeline) = age(&mut session)?;
        Ok(Journal {
            run: self.run.document.id().to_owned(),
            target: chosen.taken_at.as_second(),
            tables: self.counts(&mut session)?,
            asked_at: session.now()?,
            kept_in: kept.id.clone(),
            started,
            timeline,
        })
    }

    /// Sends the one request. What was certainly not carried out leaves nothing behind.
    fn ask(&self, permit: &Permit, journal: &Journal) -> Result<(), Failure> {
        let at = self.path();
        let unwritable = |e: std::io::Error| {
            Failure::config("snapshots", format!("{} cannot be written: {e}", at.display()))
        };
        let end = Instant::now() + self.project.settings().settle;
        loop {
            self.reachable(journal.target, end)?;
            self.write(journal).map_err(unwritable)?;
            match self.project.post(permit, journal.target) {
                Ok(Posted::Accepted) => return Ok(()),
                Ok(Posted::Unknown(why)) => {
                    let message = format!(
                        "whether the request was carried out is not known ({why}); it is not sent again"
                    );
                    self.operation.context.voice.warn(&message);
                    return Ok(());
                }
                Ok(Posted::OutOfRange(why)) => {
                    self.withdraw().map_err(unwritable)?;
                    self.operation.context.voice.say(&why);
                    self.operation.context.pause(self.project.settings().interval)?;
                }
                Ok(Posted::Refused(failure)) | Err(failure) => {
                    self.withdraw().map_err(unwritable)?;
                    // Our table does no harm if it stays.
                    let session = self.operation.server.connect(&self.operation.settings.database);
                    let _ = session.and_then(|mut s| {
                        s.change(permit, sql::fill("drop table {}", &[sql::given(WITNESS)]))
                    });
                    return Err(failure);
                }
            }
        }
    }

    fn withdraw(&self) -> std::io::Result<()> {
        std::fs::remove_file(self.path())
    }

    /// Supabase archives every two minutes; what is not archived yet cannot be gone back to.
    fn reachable(&self, target: i64, end: Instant) -> Result<(), Failure> {
        loop {
            let window = self.project.window()?.map_err(|problem| Failure::refused("no-window", problem))?;
            if target <= window.latest {
                return Ok(());
            }
            let latest = plan::instant(supabase::point(window.latest)?.taken_at);
            if Instant::now() >= end {
                let message =
                    format!("Supabase has archived up to {latest} only, and nothing newer for a while");
                return Err(Failure::temporary("not-archived", message));
            }
            self.operation.context.voice.progress(&format!("Supabase has archived up to {latest}; waiting"));
            self.operation.context.pause(self.project.settings().interval)?;
        }
    }

    /// Waits for evidence: the server is on another timeline, the row of the present is gone, and there is data.
    fn observe(&self, journal: &Journal, now: bool) -> Result<Ended, Failure> {
        let end = Instant::now() + self.project.settings().settle;
        let unknown =
            |failure: Failure| failure.acted(Acted::Unknown).output("kept_in", journal.kept_in.as_str());
        loop {
            let status = self.project.status().unwrap_or_else(|failure| failure.message.clone());
            if ["RESTORE_FAILED", "INIT_FAILED", "REMOVED"].contains(&status.as_str()) {
                let message = format!(
                    "the project is {status}: ask Supabase's support; the data from before is in {}",
                    journal.kept_in
                );
                return Err(Failure::failed("restore-failed", message)
                    .acted(Acted::Yes)
                    .output("kept_in", journal.kept_in.as_str()));
            }
            let seen =
                if status == "ACTIVE_HEALTHY" { self.look(journal) } else { Seen::Silent(status.clone()) };
            if let Seen::Back(tables) = &seen {
                return self.done(journal, tables, now);
            }
            if Instant::now() >= end {
                return Err(unknown(self.unproven(journal, &status, &seen)));
            }
            self.operation.context.voice.progress(&format!("the project is {status}"));
            self.operation.context.pause(self.project.settings().interval).map_err(unknown)?;
        }
    }

    fn look(&self, journal: &Journal) -> Seen {
        let looked =
            self.operation.server.connect(&self.operation.settings.database).and_then(|mut session| {
                let there = "select to_regclass($1) is not null";
                if session.one(there, &[&WITNESS])? == Some(true) {
                    let ours = sql::fill("select true from {} where run = $1", &[sql::given(WITNESS)]);
                    if session.one::<bool>(ours, &[&journal.run])?.is_some() {
                        return Ok(Seen::Unchanged);
                    }
                }
                let (_, timeline) = age(&mut session)?;
                if timeline == journal.timeline {
                    return Ok(Seen::SameTimeline);
                }
                let tables = self.counts(&mut session)?;
                let empty = tables.values().sum::<u64>() == 0 && journal.tables.values().sum::<u64>() > 1;
                Ok(if empty { Seen::Empty } else { Seen::Back(tables) })
            });
        looked.unwrap_or_else(|failure| Seen::Silent(failure.message.clone()))
    }

    /// How many rows each table has.
    fn counts(&self, session: &mut Session) -> Result<crate::server::Counts, Failure> {
        let (schemas, operation) = (&self.project.settings().schemas, &self.operation);
        let permit = operation.context.permit().ok_or_else(|| Failure::bug("rows are counted in a plan"))?;
        let readers = Readers::here((operation.server, operation.settings), &permit, session)?;
        let counts = readers.server()?.connect(&operation.settings.database)?.counts(schemas)?;
        readers.end(session)?;
        Ok(counts)
    }

    fn unproven(&self, journal: &Journal, status: &str, seen: &Seen) -> Failure {
        let what = match seen {
            Seen::Silent(why) => format!("the database does not answer ({why})"),
            Seen::Unchanged => "the data is what it was before".into(),
            Seen::SameTimeline => "the server is on the same timeline as before, so nothing went back".into(),
            Seen::Empty | Seen::Back(_) => "the database is empty".into(),
        };
        let message = format!(
            "Supabase says {status}, but {what}: whether the restore was done is not known; the data from before is in {}",
            journal.kept_in
        );
        let environment = self.operation.context.environment().unwrap_or_default();
        let next = shell::command(["db-restore", "restore", "--env", environment]);
        Failure::failed("unproven", message).next(next).cause(format!(
            "the same command looks again and asks for nothing; to ask once more remove {}",
            self.path().display()
        ))
    }

    fn done(&self, journal: &Journal, tables: &BTreeMap<String, u64>, now: bool) -> Result<Ended, Failure> {
        let proven = self.operation.marker(&self.operation.settings.database).and_then(|()| {
            verify::probe(
                self.operation,
                &self.operation.settings.database,
                self.operation.settings.app_role.as_deref(),
            )
        });
        proven.map_err(|failure| failure.acted(Acted::Yes).output("kept_in", journal.kept_in.as_str()))?;
        for ill in self.project.ailing().unwrap_or_default() {
            self.operation.context.voice.warn(&ill);
        }
        let snapshot = supabase::point(journal.target)?;
        let surplus = |(table, rows): (&String, &u64)| {
            rows.saturating_sub(tables.get(table).copied().unwrap_or_default())
        };
        let witness = u64::from(journal.tables.contains_key(WITNESS));
        let rows = journal.tables.iter().map(surplus).sum::<u64>().saturating_sub(witness);
        let loss = Loss {
            from: plan::instant(snapshot.taken_at),
            to: plan::instant(journal.asked_at),
            seconds: plan::seconds(snapshot.taken_at, journal.asked_at),
            rows: Some(rows),
            kept_in: Some(journal.kept_in.clone()),
        };
        let text = format!(
            "the project went back to {}: the server is on another timeline, the row of the present is gone; {rows} rows more than now are in {}",
            loss.from, journal.kept_in
        );
        let outcome = if now { Outcome::changed(text) } else { Outcome::unchanged(text) };
        Ok(Ended {
            snapshot: snapshot.fact(),
            loss: Some(loss),
            outcome: outcome.output("kept_in", journal.kept_in.as_str()),
        })
    }
}

/// When the server was started, and the timeline it writes: point-in-time recovery always begins another one, and nothing that a user may do.
fn age(session: &mut Session) -> Result<(String, i32), Failure> {
    let started = session.one("select pg_postmaster_start_time()::text", &[])?.unwrap_or_default();
    // A log file's name begins with it; what the control file says may be from before.
    let timeline = "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int4";
    Ok((started, session.one(timeline, &[])?.unwrap_or_default()))
}

//! A sibling database: the live one cloned before a release, file by file. Bringing it back is the swap alone. Cloning takes the live
//! database from its users for as long as the copy takes, because PostgreSQL copies only what nobody is connected to: their sessions end, and
//! new ones wait at the door until the copy is made.

use jiff::Timestamp;
use step::{Context, Failure, Permit};

use super::{Beside, Bringing, SideDatabase, Source, Stamp};
use crate::copy::properties::{self, Properties};
use crate::copy::readers::Readers;
use crate::copy::side;
use crate::journal::{Keeper, Note, Sibling};
use crate::plan::{self, Moment, Snapshot};
use crate::restore::demands::Demands;
use crate::restore::{seal, swap};
use crate::server::sql::{self, name};
use crate::server::{Live, Server, Session};
use crate::settings::Settings;
use crate::snapshot::origin::{self, Origin};

/// Clones beside the live database.
pub struct Siblings<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
}

impl Source for Siblings<'_> {
    fn word(&self) -> &'static str {
        "database"
    }

    fn list(&self, _live: &Live, _moment: &Moment) -> Result<Vec<Snapshot>, Failure> {
        let keeper = self.looking()?;
        let mut list = Vec::new();
        for beside in keeper.journal.besides() {
            let id = &beside.name;
            let sibling = match &beside.remark {
                Some(Note::Snapshot(sibling)) => sibling,
                None if plan::is_beside(id, &self.settings.database, "snap") => {
                    let problem = "it does not say any more what it is (its comment was written over, and its setting db_restore.note is gone); it is left alone";
                    list.push(Snapshot::unusable("database", id, "database", problem));
                    continue;
                }
                _ => continue,
            };
            let problem = self.of_another(sibling)?.or_else(|| {
                (beside.open && !beside.noted)
                    .then(|| "somebody has opened it, and may have written to it".to_owned())
            });
            let snapshot = Snapshot::new("database", id, "database", sibling.taken_at);
            let document = Some(sibling.run.clone());
            list.push(Snapshot { bytes: beside.bytes, document, problem, ..snapshot });
        }
        list.sort_by(|a, b| (a.taken_at, &a.id).cmp(&(b.taken_at, &b.id)));
        plan::mark_shrunken(&mut list, self.settings.shrink);
        Ok(list)
    }

    /// It is read to its end: it must hold what it held when it was made. To be read it must be opened, so whoever may change nothing can
    /// only say that it is closed.
    fn prove(&self, _live: &Live, snapshot: &Snapshot) -> Result<(), Failure> {
        let Some(permit) = self.context.permit() else { return Ok(()) };
        let mut keeper = self.looking()?;
        let Some(Note::Snapshot(sibling)) = keeper.journal.of(&snapshot.id).cloned() else { return Ok(()) };
        if self.seal(&mut keeper, &permit, &snapshot.id, &sibling.run)? == sibling.seal {
            return Ok(());
        }
        let message = format!(
            "{} is not what was cloned: somebody has written to it since, or a crash has emptied its unlogged tables",
            snapshot.id
        );
        Err(Failure::refused("corrupt", message))
    }

    fn take(
        &self,
        permit: &Permit,
        (live, _): (&Live, &mut Session),
        stamp: &Stamp,
    ) -> Result<Snapshot, Failure> {
        let operation = crate::operation::Operation::new(self.context, self.settings);
        let mut keeper = Keeper::looking(operation.lock()?, &self.settings.database)?;
        side::sweep(&mut keeper, permit, &self.settings.database)?;
        let id = plan::beside(&self.settings.database, "snap", &stamp.document)?;
        let taken_at = self.copy(&mut keeper, permit, &id, stamp)?;
        let snapshot = Snapshot::new("database", &id, "database", taken_at);
        Ok(Snapshot {
            bytes: live.bytes,
            document: Some(stamp.document.clone()),
            remark: Some("a clone".into()),
            ..snapshot
        })
    }

    fn beside(&self) -> Option<&dyn Beside> {
        Some(self)
    }
}

impl<'a> Siblings<'a> {
    fn looking(&self) -> Result<Keeper<'a>, Failure> {
        Keeper::looking(self.server.connect(&self.settings.place.maintenance)?, &self.settings.database)
    }

    /// What a clone holds; it is opened for that, and closed again.
    fn seal(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        id: &str,
        run: &str,
    ) -> Result<Option<String>, Failure> {
        side::open(keeper, permit, id, run)?;
        let readers = Readers::here((self.server, self.settings), permit, keeper);
        let seal = readers.and_then(|readers| {
            readers.admit(permit, id, keeper)?;
            let seal = seal::of(readers.server()?, self.server, id)?;
            readers.end(keeper)?;
            Ok(seal)
        });
        let closed = side::close(keeper, permit, id);
        seal.and_then(|seal| closed.map(|()| Some(seal)))
    }

    fn of_another(&self, sibling: &Sibling) -> Result<Option<String>, Failure> {
        let product = self.context.settings.product("name")?.unwrap_or_default();
        let environment = self.context.environment()?;
        let pairs = [
            ("product", sibling.product.as_deref().unwrap_or_default(), product.as_str()),
            ("environment", &sibling.environment, environment),
            ("database", &sibling.of, &self.settings.database),
        ];
        let differs = pairs.into_iter().find(|(_, theirs, ours)| theirs != ours);
        Ok(differs.map(|(what, theirs, ours)| format!("it is of the {what} {theirs}, and this is {ours}")))
    }

    /// Clones the live database. PostgreSQL lets nobody in while it copies, and lets everybody in again when the statement ends, however it
    /// ends; it is never closed.
    fn copy(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        id: &str,
        stamp: &Stamp,
    ) -> Result<Timestamp, Failure> {
        let database = &self.settings.database;
        side::discard(keeper, permit, id)?;
        self.context.voice.say(&format!("ending the sessions of {database} to clone it"));
        let gone = || Failure::failed("database", format!("{database} is not there any more"));
        let oid = keeper.journal.get(database).ok_or_else(gone)?.oid;
        let pid: i32 = keeper.one("select pg_backend_pid()", &[])?.unwrap_or_default();
        let xmin = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
        let xmin = keeper.one::<i64>(xmin, &[])?.unwrap_or_default().unsigned_abs();
        let create = sql::fill(
            "create database {} template {} strategy file_copy allow_connections false",
            &[name(id), name(database)],
        );
        let mut alone_at = None;
        let created = swap::without_sessions(
            &self.server,
            permit,
            (database, oid),
            || keeper.change(permit, create),
            |usher| alone(usher, oid, pid).map(|at| alone_at = alone_at.or(at)),
        );
        created?;
        // Nobody can come in between: if it was too quick to be seen, the end of it is as good.
        let taken_at = alone_at.map_or_else(|| keeper.now(), Ok)?;
        let then = properties::of(keeper, database)?;
        let mut sibling = Sibling {
            run: stamp.document.clone(),
            of: database.clone(),
            product: self.context.settings.product("name")?,
            environment: self.context.environment()?.to_owned(),
            taken_at,
            version: stamp.version.clone(),
            origin: Some(Origin {
                database: oid,
                xmin,
                seal: origin::seal(keeper, permit)?,
                tables: None,
                rows: None,
            }),
            seal: None,
        };
        // What belongs to the database itself is not cloned.
        let refused = then.give(keeper, permit, id, &then)?;
        refused.iter().for_each(|what| self.context.voice.warn(what));
        // Until it was read it is none: the next run drops what a killed one has left.
        noted(keeper, permit, id, &Note::Filling { run: stamp.document.clone() })?;
        sibling.seal = self.seal(keeper, permit, id, &stamp.document)?;
        noted(keeper, permit, id, &Note::Snapshot(sibling))?;
        Ok(taken_at)
    }
}

/// Looks at what the databases say now, and says what one of them is.
fn noted(keeper: &mut Keeper, permit: &Permit, id: &str, note: &Note) -> Result<(), Failure> {
    keeper.refresh(Vec::new())?;
    side::mark(keeper, permit, id, note)?;
    keeper.refresh(Vec::new()).map(|_| ())
}

/// The server's clock, if the copying session keeps everybody out and nobody is left.
fn alone(usher: &mut Session, database: u32, copier: i32) -> Result<Option<Timestamp>, Failure> {
    let sql = "select exists (select from pg_locks where locktype = 'object' and classid = 'pg_database'::regclass and objid = $1
                              and mode = 'ShareLock' and granted and pid = $2)
                      and not exists (select from pg_stat_activity where datid = $1)";
    if usher.one(sql, &[&database, &copier])? == Some(true) { usher.now().map(Some) } else { Ok(None) }
}

impl Beside for Siblings<'_> {
    fn demands(&self, _live: &Live, _snapshot: &Snapshot) -> Result<Demands, Failure> {
        Ok(Demands::default())
    }

    fn origin(&self, keeper: &mut Keeper, snapshot: &Snapshot) -> Result<Option<Origin>, Failure> {
        Ok(match keeper.journal.of(&snapshot.id) {
            Some(Note::Snapshot(sibling)) => sibling.origin.clone(),
            _ => None,
        })
    }

    /// A clone has them itself, but for those that an older db-restore has made.
    fn properties(&self, keeper: &mut Keeper, snapshot: &Snapshot) -> Result<Option<Properties>, Failure> {
        let whole = matches!(keeper.journal.of(&snapshot.id), Some(Note::Snapshot(sibling)) if sibling.seal.is_some());
        let mut then = properties::of(keeper, &snapshot.id)?;
        // What roles have everywhere is not kept in a clone.
        let now = properties::of(keeper, &self.settings.database)?;
        (then.of_roles, then.roles) = (now.of_roles, now.roles);
        Ok(whole.then_some(then))
    }

    fn bring(
        &self,
        work: &mut Bringing,
        snapshot: &Snapshot,
    ) -> Result<(SideDatabase, Option<Session<'_>>), Failure> {
        let name = snapshot.id.clone();
        let gone = || Failure::failed("database", format!("{name} is not there"));
        let clone = work.keeper.journal.get(&name).ok_or_else(gone)?;
        let seal = match &clone.remark {
            Some(Note::Snapshot(sibling)) => sibling.seal.clone(),
            _ => None,
        };
        let (oid, left_out) = (clone.oid, Vec::new());
        let copy = SideDatabase { name, oid, manifest: None, proven: true, seal, visitors: None, left_out };
        Ok((copy, None))
    }
}

//! A sibling database: the live one cloned before a release, file by file. Bringing it back is the swap alone. Cloning takes the live
//! database from its users for as long as the copy takes, because PostgreSQL copies only what nobody is connected to.

use step::{Context, Failure, Permit};

use super::{Beside, Bringing, Brought, Source, Stamp};
use crate::args::Settings;
use crate::demands::Demands;
use crate::origin::{self, Origin};
use crate::plan::{self, Moment, Snapshot};
use crate::remark::{self, Remark, Sibling};
use crate::server::{Live, Server, Session, name};
use crate::{side, swap};

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
        let mut keeper = self.server.connect(&self.settings.maintenance)?;
        let mut list = Vec::new();
        for (id, beside) in remark::beside(&mut keeper, &self.settings.database)? {
            let Some(Remark::Snapshot(sibling)) = beside.remark else { continue };
            let problem = self.of_another(&sibling)?.or_else(|| {
                (beside.open && !beside.noted)
                    .then(|| "somebody has opened it, and may have written to it".to_owned())
            });
            let snapshot = Snapshot::new("database", &id, "database", sibling.taken_at);
            list.push(Snapshot { bytes: beside.bytes, document: Some(sibling.run), problem, ..snapshot });
        }
        list.sort_by(|a, b| (a.taken_at, &a.id).cmp(&(b.taken_at, &b.id)));
        plan::mark_shrunken(&mut list, self.settings.shrink);
        Ok(list)
    }

    /// It is closed since it was made: nobody can have changed it, and the server reads its pages as it reads its own.
    fn prove(&self, _live: &Live, _snapshot: &Snapshot) -> Result<(), Failure> {
        Ok(())
    }

    fn take(&self, permit: &Permit, live: &Live, stamp: &Stamp) -> Result<Snapshot, Failure> {
        let work = crate::work::Work::new(self.context, self.settings);
        let mut keeper = work.lock(live)?;
        work.repair(&mut keeper, permit)?;
        side::sweep(&mut keeper, permit, &self.settings.database)?;
        let id = plan::beside(&self.settings.database, "snap", &stamp.document)?;
        let cloned = self.copy(&mut keeper, permit, &id, stamp);
        // Open it again whatever happened.
        let opened = self
            .server
            .connect_regardless(&self.settings.maintenance)
            .and_then(|mut s| work.repair(&mut s, permit));
        let taken_at = cloned.and_then(|at| opened.map(|()| at))?;
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

impl Siblings<'_> {
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

    fn copy(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        id: &str,
        stamp: &Stamp,
    ) -> Result<jiff::Timestamp, Failure> {
        let database = &self.settings.database;
        side::discard(keeper, permit, id)?;
        self.context.voice.say(&format!("closing {database} to clone it"));
        let taken_at = swap::close(keeper, permit, database, &stamp.document)?;
        // Nobody is in it any more: what its transactions did is done.
        let sql = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
        let xmin = keeper.one::<i64>(sql, &[])?.unwrap_or_default().unsigned_abs();
        let (quoted, template) = (name(id), name(database));
        keeper.change(
            permit,
            &format!(
                "create database {quoted} template {template} strategy file_copy allow_connections false"
            ),
        )?;
        let remark = Remark::Snapshot(Sibling {
            run: stamp.document.clone(),
            of: database.clone(),
            product: self.context.settings.product("name")?,
            environment: self.context.environment()?.to_owned(),
            taken_at,
            version: stamp.version.clone(),
            origin: Some(Origin {
                database: side::oid(keeper, database)?,
                xmin,
                seal: origin::seal(keeper, permit)?,
                tables: None,
                rows: None,
            }),
        });
        side::mark(keeper, permit, id, &remark)?;
        Ok(taken_at)
    }
}

impl Beside for Siblings<'_> {
    fn demands(&self, _live: &Live, _snapshot: &Snapshot) -> Result<Demands, Failure> {
        Ok(Demands::default())
    }

    fn origin(&self, keeper: &mut Session, snapshot: &Snapshot) -> Result<Option<Origin>, Failure> {
        Ok(match remark::of(keeper, &snapshot.id)? {
            Some(Remark::Snapshot(sibling)) => sibling.origin,
            _ => None,
        })
    }

    fn bring(&self, work: &mut Bringing, snapshot: &Snapshot) -> Result<Brought, Failure> {
        let oid = side::oid(work.keeper, &snapshot.id)?;
        Ok(Brought { name: snapshot.id.clone(), oid, manifest: None, proven: true })
    }
}

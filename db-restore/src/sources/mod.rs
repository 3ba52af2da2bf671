//! Where snapshots come from: one file each, behind one small trait. What can be put beside the live database is swapped in;
//! Supabase sets its project back in place, which is a procedure of its own.

pub mod archive;
pub mod database;
pub mod supabase;

use step::{Failure, Outcome, Permit, Run};

use crate::copy::properties::Properties;
use crate::journal::Keeper;
use crate::operation::Operation;
use crate::plan::{Moment, Names, Snapshot};
use crate::restore::demands::Demands;
use crate::server::{Live, Session};
use crate::settings::Kind;
use crate::snapshot::manifest::Manifest;
use crate::snapshot::origin::Origin;

/// Snapshots of one kind.
pub trait Source {
    /// Its word in the document.
    fn word(&self) -> &'static str;
    /// Every snapshot, usable or not, the oldest first, as far as it can be told without reading all of it. Where every instant is one,
    /// the newest that fits the moment.
    fn list(&self, live: &Live, moment: &Moment) -> Result<Vec<Snapshot>, Failure>;
    /// Reads a snapshot to its end.
    fn prove(&self, live: &Live, snapshot: &Snapshot) -> Result<(), Failure>;
    /// Takes one now, by a session in the maintenance database.
    fn take(&self, permit: &Permit, at: (&Live, &mut Session), stamp: &Stamp) -> Result<Snapshot, Failure>;
    /// The same as something to be swapped in, if it can be.
    fn beside(&self) -> Option<&dyn Beside>;
}

/// Snapshots that can be put beside the live database.
pub trait Beside {
    /// What the snapshot needs of the server.
    fn demands(&self, live: &Live, snapshot: &Snapshot) -> Result<Demands, Failure>;
    /// Where in the cluster's history it stands, if it says so.
    fn origin(&self, keeper: &mut Keeper, snapshot: &Snapshot) -> Result<Option<Origin>, Failure>;
    /// What belonged to the database itself then, if the snapshot says so; and in `keeper`'s cluster.
    fn properties(&self, keeper: &mut Keeper, snapshot: &Snapshot) -> Result<Option<Properties>, Failure>;
    /// Makes a database of it, called as `names.side` says, or already there under a name of its own. It is not verified yet: the session in it is
    /// for whoever does that.
    fn bring(
        &self,
        work: &mut Bringing,
        snapshot: &Snapshot,
    ) -> Result<(SideDatabase, Option<Session<'_>>), Failure>;
}

/// In whose name a snapshot is taken.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub document: String,
    pub version: Option<String>,
    pub commit: Option<String>,
}

impl Stamp {
    /// Who asks for it.
    pub fn of(run: &Run) -> Result<Self, Failure> {
        let document = run.document.id().to_owned();
        Ok(Stamp { document, version: run.fact("version")?, commit: run.fact("commit")? })
    }
}

/// What bringing a snapshot needs.
pub struct Bringing<'a, 's> {
    pub permit: &'a Permit,
    pub keeper: &'a mut Keeper<'s>,
    pub live: &'a Live,
    pub names: &'a Names,
    pub run: &'a str,
}

/// A database beside the live one.
#[derive(Debug)]
pub struct SideDatabase {
    pub name: String,
    pub oid: u32,
    /// What it must hold, if the snapshot says so.
    pub manifest: Option<Manifest>,
    /// Whether it was verified before, or is a copy of the files themselves.
    pub proven: bool,
    /// Extensions that it was restored without.
    pub left_out: Vec<String>,
    /// What it held when it was verified or made.
    pub seal: Option<String>,
    /// How many sessions it ever had when it was closed after the last look: one more, and it is not what was looked at.
    pub visitors: Option<i64>,
}

impl SideDatabase {
    /// Says in the record what it was restored without.
    pub fn told(&self, outcome: Outcome) -> Outcome {
        if self.left_out.is_empty() { outcome } else { outcome.output("left_out", self.left_out.clone()) }
    }
}

/// The source of the settings.
pub fn of<'a>(operation: &Operation<'a>) -> Result<Box<dyn Source + 'a>, Failure> {
    Ok(match operation.settings.source {
        Kind::Archive => Box::new(archive::Archive {
            context: operation.context,
            settings: operation.settings,
            server: operation.server,
        }),
        Kind::Database => Box::new(database::Siblings {
            context: operation.context,
            settings: operation.settings,
            server: operation.server,
        }),
        Kind::Supabase => Box::new(supabase::Project::new(operation)?),
    })
}

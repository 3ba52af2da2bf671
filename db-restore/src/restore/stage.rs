//! From a snapshot to a verified database beside the live one: what restore and rehearse have in common.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use step::{Failure, Permit};

use crate::copy::side;
use crate::journal::{self, Note, Staged};
use crate::loss::{self, Report, Sides};
use crate::operation::Operation;
use crate::plan::{Names, Snapshot};
use crate::restore::verify::{self, Proof};
use crate::restore::{preflight, seal};
use crate::server::{Live, Session};
use crate::snapshot::origin::Origin;
use crate::sources::{Bringing, SideDatabase, Source};

/// The reason of a copy that is not what was verified; nobody outside sees it.
const UNSEALED: &str = "unsealed";

/// How long each stage took, in milliseconds.
#[derive(Debug, Default)]
pub struct Clock(Map<String, Value>);

impl Clock {
    /// Times a stage.
    pub fn time<T>(
        &mut self,
        stage: &str,
        operation: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let done = operation();
        self.note(stage, began.elapsed());
        done
    }

    /// Notes a time that was taken elsewhere.
    pub fn note(&mut self, stage: &str, took: std::time::Duration) {
        self.0.insert(stage.to_owned(), json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
    }

    /// For the record.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// A restore or a rehearsal under way.
pub struct Staging<'a> {
    pub operation: Operation<'a>,
    pub source: &'a dyn Source,
    pub live: &'a Live,
    pub names: &'a Names,
    pub run: &'a str,
}

/// The copy that holds a snapshot already, if there is one.
pub fn staged(
    keeper: &mut Session,
    live: &str,
    snapshot: &str,
) -> Result<Option<(SideDatabase, Staged)>, Failure> {
    let copies = journal::beside(keeper, live)?;
    let found = copies.into_values().find_map(|beside| match beside.remark {
        Some(Note::Staged(staged)) if staged.snapshot == snapshot && (!beside.open || beside.noted) => {
            let (seal, left_out) = (staged.seal.clone(), staged.left_out.clone());
            let (name, oid) = (beside.name, beside.oid);
            let copy =
                SideDatabase { name, oid, manifest: None, proven: true, seal, visitors: None, left_out };
            Some((copy, staged))
        }
        _ => None,
    });
    Ok(found)
}

impl Staging<'_> {
    /// Everything that is in the way, in one answer. A copy that is staged needs no room. To rehearse is possible whatever forbids to rename:
    /// that is said.
    pub fn preflight(&self, keeper: &mut Session, chosen: &Snapshot, swaps: bool) -> Result<(), Failure> {
        let mut problems = preflight::work(&self.operation, self.live);
        if swaps {
            preflight::renaming(&self.operation, keeper, self.names, &mut problems)?;
        } else {
            let mut later = preflight::Problems::default();
            preflight::renaming(&self.operation, keeper, self.names, &mut later)?;
            for problem in later.sentences() {
                self.operation
                    .context
                    .voice
                    .warn(&format!("a restore will be refused as long as it is so: {problem}"));
            }
        }
        let beside = self
            .source
            .beside()
            .ok_or_else(|| Failure::bug("nothing can be put beside the live database"))?;
        if staged(keeper, &self.names.live, &chosen.id)?.is_none() {
            let demands = beside.demands(self.live, chosen)?;
            preflight::demands(&self.operation, self.live, keeper, &demands, &mut problems)?;
            preflight::name(keeper, self.names, &mut problems)?;
        }
        problems.verdict()
    }

    /// A copy that is not what was verified is thrown away, and made anew if there is what it needs; but not before the snapshot has proven itself:
    /// where that is damaged, even such a copy is better than nothing.
    fn not_as_verified(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        chosen: &Snapshot,
        copy: &str,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let kept = |f: Failure| f.cause(failure.message.as_str()).output("staged_in", copy);
        self.source.prove(self.live, chosen).map_err(kept)?;
        self.operation.context.voice.warn(&format!("{}; it is made anew", failure.message));
        side::discard(keeper, permit, copy)?;
        self.preflight(keeper, chosen, false)
    }

    /// The copy of a rehearsal, if it is still what was verified. One that is not is thrown away.
    pub fn still(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        chosen: &Snapshot,
    ) -> Result<Option<(SideDatabase, Staged)>, Failure> {
        let Some((copy, staged)) = staged(keeper, &self.names.live, &chosen.id)? else { return Ok(None) };
        side::look(keeper, permit, &copy.name, Some(self.run))?;
        let looked = self.sealed(&copy);
        keeper.see_through();
        let closed = side::look(keeper, permit, &copy.name, None);
        keeper.heed();
        closed?;
        match looked {
            Ok(()) => Ok(Some((copy, staged))),
            Err(failure) if failure.reason == UNSEALED => {
                self.not_as_verified(keeper, permit, chosen, &copy.name, &failure)?;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// An open copy must hold what it held when it was verified or made.
    fn sealed(&self, copy: &SideDatabase) -> Result<(), Failure> {
        let name = &copy.name;
        if copy.seal.is_none() && self.source.word() == "database" {
            self.operation.context.voice.warn(&format!(
                "{name} was made by an older db-restore: nothing proves that nobody has written to it since"
            ));
            return Ok(());
        }
        let Some(expected) = &copy.seal else {
            let why = "an older db-restore has made it, and nothing proves that it is what was verified";
            return Err(Failure::failed(UNSEALED, format!("{name}: {why}")));
        };
        if seal::of(&mut self.operation.server.connect(name)?)? == *expected {
            return Ok(());
        }
        let why = "it is not what was verified: somebody has written to it since, or a crash has emptied its unlogged tables";
        Err(Failure::failed(UNSEALED, format!("{name}: {why}")))
    }

    /// The snapshot as a database beside the live one: staged, cloned, or restored and verified now. With `lose`, also the report on
    /// what the swap would lose. A copy that does not hold what it should is thrown away.
    pub fn bring(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        chosen: &Snapshot,
        lose: bool,
        clock: &mut Clock,
    ) -> Result<(SideDatabase, Option<Report>, Option<Proof>), Failure> {
        // A clone is looked at below, once.
        let mut proven = self.source.word() == "database";
        if let Some((copy, staged)) = staged(keeper, &self.names.live, &chosen.id)? {
            let since = crate::plan::instant(staged.staged_at);
            self.operation
                .context
                .voice
                .say(&format!("{} holds {}, restored and verified at {since}", copy.name, chosen.id));
            let name = copy.name.clone();
            match self.look(keeper, permit, chosen, copy, lose, clock) {
                Err(failure) if failure.reason == UNSEALED => {
                    self.not_as_verified(keeper, permit, chosen, &name, &failure)?;
                    proven = true;
                }
                looked => return looked,
            }
        }
        let Some(beside) = self.source.beside() else {
            return Err(Failure::bug("nothing can be put beside the live database"));
        };
        if !proven {
            clock.time("prove", || self.source.prove(self.live, chosen))?;
        }
        // The same run may have staged another snapshot before.
        side::discard(keeper, permit, &self.names.side)?;
        let mut bringing = Bringing { permit, keeper, live: self.live, names: self.names, run: self.run };
        let brought = clock.time("restore", || beside.bring(&mut bringing, chosen));
        let mut brought = brought.map_err(|failure| self.thrown_away(keeper, permit, failure))?;
        if brought.proven {
            let looked = self.look(keeper, permit, chosen, brought, lose, clock);
            return looked.map_err(|mut failure| {
                if failure.reason == UNSEALED {
                    "unproven".clone_into(&mut failure.reason);
                }
                failure
            });
        }
        let voice = &self.operation.context.voice;
        let compare =
            if lose { format!(", and comparing it with {}", self.names.live) } else { String::new() };
        voice.progress(&format!("verifying {}{compare}", brought.name));
        let proven = self.prove(keeper, permit, chosen, &brought, lose, clock);
        voice.progress_done();
        let (report, proof) = proven.map_err(|failure| self.thrown_away(keeper, permit, failure))?;
        brought.visitors = seal::visitors(keeper, brought.oid)?;
        Ok((brought, report, Some(proof)))
    }

    /// A copy that was verified before must still be what it was, and is compared.
    fn look(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        chosen: &Snapshot,
        mut copy: SideDatabase,
        lose: bool,
        clock: &mut Clock,
    ) -> Result<(SideDatabase, Option<Report>, Option<Proof>), Failure> {
        let origin = self.origin(keeper, chosen)?;
        side::look(keeper, permit, &copy.name, Some(self.run))?;
        let voice = &self.operation.context.voice;
        if lose {
            voice.progress(&format!("comparing {} with {}", copy.name, self.names.live));
        }
        let looked = clock.time("loss", || {
            self.sealed(&copy)?;
            self.operation.marker(&copy.name)?;
            let probes = verify::probe(&self.operation, &copy.name, None)?;
            let report =
                lose.then(|| loss::report(self.sides(&copy.name, origin.as_ref()), || Ok(()))).transpose()?;
            let marker = self.operation.settings.marker.is_some();
            let proof = Proof { probes, marker, sealed: true, ..Proof::default() };
            Ok((report.map(|(report, ())| report), proof))
        });
        voice.progress_done();
        // Whatever was seen, nobody else shall enter it.
        keeper.see_through();
        let closed = side::look(keeper, permit, &copy.name, None);
        keeper.heed();
        let (report, proof) = looked.and_then(|looked| closed.map(|()| looked))?;
        copy.visitors = seal::visitors(keeper, copy.oid)?;
        Ok((copy, report, Some(proof)))
    }

    /// Verifies a database that was just restored, and says so in its comment: from here on a killed run goes on with it.
    fn prove(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        chosen: &Snapshot,
        brought: &SideDatabase,
        lose: bool,
        clock: &mut Clock,
    ) -> Result<(Option<Report>, Proof), Failure> {
        let began = Instant::now();
        let operation = &self.operation;
        let mut session = operation.server.connect(&brought.name)?;
        let (report, counts, extensions, amcheck) = if lose {
            let origin = self.origin(keeper, chosen)?;
            let check = || verify::amcheck(operation, permit, &brought.name, &mut session);
            let (report, amcheck) = loss::report(self.sides(&brought.name, origin.as_ref()), check)?;
            let (counts, extensions) = (report.counts.clone(), report.extensions.clone());
            (Some(report), counts, extensions, amcheck)
        } else {
            let (counts, extensions) = session.all_counts()?;
            let amcheck = verify::amcheck(operation, permit, &brought.name, &mut session)?;
            (None, counts, extensions, amcheck)
        };
        let what = (brought.name.as_str(), brought.manifest.as_ref());
        let proof = verify::verify(operation, permit, &mut session, what, (&counts, &extensions), amcheck)?;
        let seal = Some(seal::of(&mut session)?);
        drop(session);
        clock.note("verify", began.elapsed());
        let staged = Staged {
            run: self.run.to_owned(),
            snapshot: chosen.id.clone(),
            taken_at: chosen.taken_at,
            staged_at: Timestamp::now(),
            ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            left_out: brought.left_out.clone(),
            seal,
        };
        side::finish(keeper, permit, &brought.name, &Note::Staged(staged))?;
        Ok((report, proof))
    }

    fn origin(&self, keeper: &mut Session, chosen: &Snapshot) -> Result<Option<Origin>, Failure> {
        self.source.beside().map_or(Ok(None), |beside| beside.origin(keeper, chosen))
    }

    fn sides<'s>(&'s self, new: &'s str, origin: Option<&'s Origin>) -> Sides<'s> {
        Sides { server: self.operation.server, old: &self.names.live, new, origin }
    }

    /// The live database was not touched; the copy is of no use, and its failure is what counts.
    fn thrown_away(&self, keeper: &mut Session, permit: &Permit, failure: Failure) -> Failure {
        // A signal or the deadline must not leave it lying about.
        keeper.see_through();
        let side = &self.names.side;
        let discarded = side::discard(keeper, permit, side)
            .and_then(|()| crate::copy::role::sweep(keeper, permit, &self.names.live));
        match discarded {
            Ok(()) => failure.output("live_database", "not touched").output("side_database", "removed"),
            Err(_) => failure.output("live_database", "not touched").output("side_database", side.as_str()),
        }
    }
}

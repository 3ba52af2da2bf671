//! From a snapshot to a verified database beside the live one: what restore and rehearse have in common.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use step::{Failure, Permit};

use crate::copy::{readers, side};
use crate::journal::{Journal, Keeper, Note, Staged};
use crate::loss::{self, Report, Sides};
use crate::operation::{Answers, Operation};
use crate::plan::{Names, Snapshot};
use crate::restore::besides::Seen;
use crate::restore::verify::{self, Outline, Proof};
use crate::restore::{preflight, seal};
use crate::server::{Counts, Live, Session, Sql};
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

/// A copy that was brought beside the live database, and what is known of it.
pub struct Brought {
    pub copy: SideDatabase,
    /// What the swap would lose, and what it would change besides rows, if there is to be one.
    pub report: Option<Report>,
    pub seen: Option<Seen>,
    pub proof: Proof,
}

/// What a swap would lose; how many rows there are, in tables of users and of extensions; and how many relations amcheck has read.
type Counted = (Option<Report>, (Counts, Counts), Option<u64>);

/// The copy that holds a snapshot already, if there is one.
pub fn staged(journal: &Journal, snapshot: &str) -> Option<(SideDatabase, Staged)> {
    journal.besides().find_map(|beside| match &beside.remark {
        Some(Note::Staged(staged)) if staged.snapshot == snapshot && (!beside.open || beside.noted) => {
            let (seal, left_out) = (staged.seal.clone(), staged.left_out.clone());
            let (name, oid) = (beside.name.clone(), beside.oid);
            let copy =
                SideDatabase { name, oid, manifest: None, proven: true, seal, visitors: None, left_out };
            Some((copy, staged.clone()))
        }
        _ => None,
    })
}

impl Staging<'_> {
    /// Everything that is in the way, in one answer. A copy that is staged needs no room. To rehearse is possible whatever forbids to rename:
    /// that is said. `renaming` holds the answers to what forbids it.
    pub fn preflight(
        &self,
        keeper: &mut Keeper,
        renaming: Answers,
        chosen: &Snapshot,
        swaps: bool,
    ) -> Result<(), Failure> {
        let mut problems = preflight::work(&self.operation, self.live);
        if swaps {
            preflight::renaming(&self.operation, renaming, self.names, &mut problems)?;
        } else {
            let mut later = preflight::Problems::default();
            preflight::renaming(&self.operation, renaming, self.names, &mut later)?;
            for problem in later.sentences() {
                self.operation
                    .context
                    .voice
                    .warn(&format!("a restore will be refused as long as it is so: {problem}"));
            }
        }
        self.needs(keeper, chosen, &mut problems)?;
        problems.verdict()
    }

    /// What is in the way of a copy, if there is none yet.
    fn needs(
        &self,
        keeper: &mut Keeper,
        chosen: &Snapshot,
        problems: &mut preflight::Problems,
    ) -> Result<(), Failure> {
        let beside = self
            .source
            .beside()
            .ok_or_else(|| Failure::bug("nothing can be put beside the live database"))?;
        if staged(&keeper.journal, &chosen.id).is_none() {
            let demands = beside.demands(self.live, chosen)?;
            preflight::demands(&self.operation, self.live, keeper, &demands, problems)?;
            preflight::name(&keeper.journal, self.names, problems);
        }
        Ok(())
    }

    /// A copy that is not what was verified is thrown away, and made anew if there is what it needs; but not before the snapshot has proven itself:
    /// where that is damaged, even such a copy is better than nothing.
    fn not_as_verified(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        chosen: &Snapshot,
        copy: &str,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let kept = |f: Failure| f.cause(failure.message.as_str()).output("staged_in", copy);
        self.source.prove(self.live, chosen).map_err(kept)?;
        self.operation.context.voice.warn(&format!("{}; it is made anew", failure.message));
        side::discard(keeper, permit, copy)?;
        let mut problems = preflight::Problems::default();
        self.needs(keeper, chosen, &mut problems)?;
        problems.verdict()
    }

    /// The copy of a rehearsal, if it is still what was verified. One that is not is thrown away.
    pub fn still(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        chosen: &Snapshot,
    ) -> Result<Option<(SideDatabase, Staged)>, Failure> {
        let Some((copy, staged)) = staged(&keeper.journal, &chosen.id) else { return Ok(None) };
        side::open(keeper, permit, &copy.name, self.run)?;
        readers::let_in(self.operation.server, permit, &copy.name, keeper)?;
        let looked = self.sealed(&copy);
        side::close(keeper, permit, &copy.name)?;
        match looked {
            Ok(()) => Ok(Some((copy, staged))),
            Err(failure) if failure.reason == UNSEALED => {
                self.not_as_verified(keeper, permit, chosen, &copy.name, &failure)?;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// What an open copy must hold, if that is known.
    fn expected<'c>(&self, copy: &'c SideDatabase) -> Result<Option<&'c str>, Failure> {
        let name = &copy.name;
        match &copy.seal {
            Some(seal) => Ok(Some(seal)),
            None if self.source.word() == "database" => {
                self.operation.context.voice.warn(&format!(
                    "{name} was made by an older db-restore: nothing proves that nobody has written to it since"
                ));
                Ok(None)
            }
            None => {
                let why = "an older db-restore has made it, and nothing proves that it is what was verified";
                Err(Failure::failed(UNSEALED, format!("{name}: {why}")))
            }
        }
    }

    /// An open copy must hold what it held when it was verified or made.
    fn sealed(&self, copy: &SideDatabase) -> Result<(), Failure> {
        let Some(expected) = self.expected(copy)? else { return Ok(()) };
        let server = self.operation.server;
        let found = seal::of(server.readers()?, server, &copy.name)?;
        if found == expected { Ok(()) } else { Err(unsealed(&copy.name)) }
    }

    /// The snapshot as a database beside the live one: staged, cloned, or restored and verified now. With `swaps`, also the report on
    /// what the swap would lose. A copy that does not hold what it should is thrown away.
    pub fn bring(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        chosen: &Snapshot,
        swaps: bool,
        clock: &mut Clock,
    ) -> Result<Brought, Failure> {
        // A clone is looked at below, once.
        let mut proven = self.source.word() == "database";
        if let Some((copy, staged)) = staged(&keeper.journal, &chosen.id) {
            let since = crate::plan::instant(staged.staged_at);
            self.operation
                .context
                .voice
                .say(&format!("{} holds {}, restored and verified at {since}", copy.name, chosen.id));
            let name = copy.name.clone();
            match self.look(keeper, permit, chosen, copy, swaps, clock) {
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
        if keeper.journal.get(&self.names.side).is_some() {
            side::discard(keeper, permit, &self.names.side)?;
        }
        let mut bringing = Bringing { permit, keeper, live: self.live, names: self.names, run: self.run };
        let brought = clock.time("restore", || beside.bring(&mut bringing, chosen));
        let (copy, session) = brought.map_err(|failure| self.thrown_away(keeper, permit, failure))?;
        let Some(session) = session.filter(|_| !copy.proven) else {
            let looked = self.look(keeper, permit, chosen, copy, swaps, clock);
            return looked.map_err(|mut failure| {
                if failure.reason == UNSEALED {
                    "unproven".clone_into(&mut failure.reason);
                }
                failure
            });
        };
        let voice = &self.operation.context.voice;
        let compare =
            if swaps { format!(", and comparing it with {}", self.names.live) } else { String::new() };
        voice.progress(&format!("verifying {}{compare}", copy.name));
        let proven = self.prove(keeper, permit, chosen, (copy, session), swaps, clock);
        voice.progress_done();
        proven.map_err(|failure| self.thrown_away(keeper, permit, failure))
    }

    /// A copy that was verified before must still be what it was, and is compared.
    fn look(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        chosen: &Snapshot,
        mut copy: SideDatabase,
        swaps: bool,
        clock: &mut Clock,
    ) -> Result<Brought, Failure> {
        let origin = self.origin(keeper, chosen)?;
        side::open(keeper, permit, &copy.name, self.run)?;
        readers::let_in(self.operation.server, permit, &copy.name, keeper)?;
        let voice = &self.operation.context.voice;
        if swaps {
            voice.progress(&format!("comparing {} with {}", copy.name, self.names.live));
        }
        let looked = clock.time("loss", || self.compared(&copy, origin.as_ref(), swaps));
        voice.progress_done();
        // Whatever was seen, nobody else shall enter it.
        keeper.see_through();
        let closed = self.closed(keeper, permit, &mut copy, swaps);
        keeper.heed();
        let (report, proof) = looked?;
        Ok(Brought { seen: closed?, copy, report, proof })
    }

    /// What an open copy holds is what it held, and is held against the live database.
    fn compared(
        &self,
        copy: &SideDatabase,
        origin: Option<&Origin>,
        swaps: bool,
    ) -> Result<(Option<Report>, Proof), Failure> {
        let report = if swaps {
            let expected = self.expected(copy)?;
            let (report, (), seal) =
                loss::report(self.sides(&copy.name, origin), expected.is_some(), || Ok(()))?;
            if seal.as_deref() != expected {
                return Err(unsealed(&copy.name));
            }
            Some(report)
        } else {
            self.sealed(copy)?;
            None
        };
        self.operation.marker(&copy.name)?;
        let probes = verify::probe(&self.operation, &copy.name, None)?;
        let marker = self.operation.settings.marker.is_some();
        Ok((report, Proof { probes, marker, sealed: true, ..Proof::default() }))
    }

    /// Closes a copy that was open, with what people have written into its comment; what else there is to be known is asked with that.
    fn closed(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        copy: &mut SideDatabase,
        swaps: bool,
    ) -> Result<Option<Seen>, Failure> {
        let seen = self.seen(keeper, &copy.name, swaps);
        let closing = side::closing(&keeper.journal, &copy.name);
        copy.visitors = seal::visitors_after(keeper, permit, &closing, copy.oid)?;
        seen
    }

    /// Looks again at what the databases say, and at what a swap would change besides rows.
    fn seen(&self, keeper: &mut Keeper, copy: &str, swaps: bool) -> Result<Option<Seen>, Failure> {
        let live = &self.names.live;
        let questions = if swaps { Seen::questions(live, copy) } else { Vec::new() };
        let answers = keeper.refresh(questions)?;
        swaps.then(|| Seen::of_answers(live, &answers)).transpose()
    }

    /// Verifies a database that was just restored, and says so in its comment: from here on a killed run goes on with it.
    fn prove(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        chosen: &Snapshot,
        (mut copy, mut session): (SideDatabase, Session),
        swaps: bool,
        clock: &mut Clock,
    ) -> Result<Brought, Failure> {
        let began = Instant::now();
        let outline = Outline::ask(&mut session)?;
        let mut reader = self.operation.server.readers()?.connect(&copy.name)?;
        let (report, counts, amcheck) =
            self.counted(keeper, permit, chosen, (&copy, &mut session, &mut reader), &outline, swaps)?;
        let what = (copy.name.as_str(), copy.manifest.as_ref());
        let counts = (&counts.0, &counts.1);
        let (proof, analyze) = verify::verify(&self.operation, &mut session, what, counts, outline, amcheck)?;
        self.analyze(&mut session, &analyze)?;
        drop(session);
        let seal = Some(seal::by(&mut reader, || self.operation.server.connect(&copy.name))?);
        drop(reader);
        clock.note("verify", began.elapsed());
        let staged = Staged {
            run: self.run.to_owned(),
            snapshot: chosen.id.clone(),
            taken_at: chosen.taken_at,
            staged_at: Timestamp::now(),
            ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            left_out: copy.left_out.clone(),
            seal,
        };
        let seen = self.seen(keeper, &copy.name, swaps)?;
        let done = side::finishing(&keeper.journal, &copy.name, &Note::Staged(staged))?;
        copy.visitors = seal::visitors_after(keeper, permit, &done, copy.oid)?;
        Ok(Brought { copy, report, seen, proof })
    }

    /// Makes statistics. What indexes hold runs as their owner, in a transaction that only reads: what cannot be done so is left out, and said.
    fn analyze(&self, session: &mut Session, analyze: &Sql) -> Result<(), Failure> {
        session.tell(analyze);
        match session.ask(analyze, &[]) {
            Err(failure) if ["query", "rights"].contains(&failure.reason.as_str()) => {
                let why = failure.causes.join(" ");
                self.operation.context.voice.warn(&format!(
                    "no statistics were made, so the first queries are slow (analyze): {why}"
                ));
                Ok(())
            }
            made => made.map(|_| ()),
        }
    }

    /// How many rows there are, and what amcheck says; with `swaps` also what would be lost, at the same time.
    fn counted(
        &self,
        keeper: &mut Keeper,
        permit: &Permit,
        chosen: &Snapshot,
        (copy, session, reader): (&SideDatabase, &mut Session, &mut Session),
        outline: &Outline,
        swaps: bool,
    ) -> Result<Counted, Failure> {
        let what = (copy.name.as_str(), outline);
        if !swaps {
            let counts = reader.both_counts(&outline.tables, &outline.extension_tables)?;
            return Ok((None, counts, verify::amcheck(&self.operation, permit, what, session)?));
        }
        let origin = self.origin(keeper, chosen)?;
        let operation = &self.operation;
        let check = || verify::amcheck(operation, permit, what, session);
        let (report, amcheck, _) = loss::report(self.sides(&copy.name, origin.as_ref()), false, check)?;
        let counts = (report.counts.clone(), report.extensions.clone());
        Ok((Some(report), counts, amcheck))
    }

    fn origin(&self, keeper: &mut Keeper, chosen: &Snapshot) -> Result<Option<Origin>, Failure> {
        self.source.beside().map_or(Ok(None), |beside| beside.origin(keeper, chosen))
    }

    fn sides<'s>(&'s self, new: &'s str, origin: Option<&'s Origin>) -> Sides<'s> {
        Sides { server: self.operation.server, old: &self.names.live, new, origin }
    }

    /// The live database was not touched; the copy is of no use, and its failure is what counts.
    fn thrown_away(&self, keeper: &mut Keeper, permit: &Permit, failure: Failure) -> Failure {
        // A signal or the deadline must not leave it lying about.
        keeper.see_through();
        let side = &self.names.side;
        let discarded = side::discard(keeper, permit, side).and_then(|()| keeper.refresh(Vec::new()));
        match discarded {
            Ok(_) => {
                let roles = std::mem::take(&mut keeper.journal.roles);
                crate::server::role::sweep(keeper, permit, roles);
                failure.output("live_database", "not touched").output("side_database", "removed")
            }
            Err(_) => failure.output("live_database", "not touched").output("side_database", side.as_str()),
        }
    }
}

fn unsealed(copy: &str) -> Failure {
    let why = "it is not what was verified: somebody has written to it since, or a crash has emptied its unlogged tables";
    Failure::failed(UNSEALED, format!("{copy}: {why}"))
}

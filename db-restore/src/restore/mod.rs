//! Brings a snapshot back: into a database of its own beside the live one, verified there, then swapped in. The live data is
//! not touched by it; it is kept under another name, readable.

mod besides;
pub mod confirming;
pub mod demands;
mod disk;
pub mod in_place;
pub mod preflight;
pub mod rehearse;
pub mod seal;
pub mod stage;
pub mod swap;
pub mod undo;
pub mod verify;

use facts::{Loss, Replaces};
use step::{Acted, Failure, Outcome, Permit, Run, shell};

use crate::args::RestoreArgs;
use crate::copy::given::Given;
use crate::copy::readers::Readers;
use crate::copy::side;
use crate::journal::{By, Journal, Keeper, Note, Record};
use crate::loss::{self, Report, Sides};
use crate::operation::{Answers, Operation};
use crate::plan::{self, Moment, Names, Snapshot};
use crate::restore::besides::{Besides, Seen};
use crate::restore::confirming::act;
use crate::restore::stage::{Brought, Clock, Staging};
use crate::restore::swap::Swap;
use crate::server::sql::{self, name};
use crate::server::{Live, Sql};
use crate::settings::{Kind, Settings};
use crate::sources::{self, SideDatabase, Source};

/// How many tables are told one by one.
const TOLD: usize = 12;

/// What the document is told.
pub struct Ended {
    pub snapshot: facts::Snapshot,
    pub loss: Option<Loss>,
    pub outcome: Outcome,
}

/// The step.
pub fn run(run: &mut Run, settings: &Settings, wish: &RestoreArgs) -> Result<Outcome, Failure> {
    // In a plan the snapshot that a step before would take is not there to be looked at.
    if run.permit().is_none() && run.is_planned("snapshot") && wish.snapshot.is_none() {
        return Ok(Outcome::planned("would bring back the snapshot that would be taken"));
    }
    let moment = moment(run, wish)?;
    let operation = Operation::new(&run.context, settings);
    let source = sources::of(&operation)?;
    let ended = if source.beside().is_some() {
        let names = plan::names(&settings.database, run.document.id())?;
        let (live, keeper, renaming) = operation.live_and_lock(&preflight::questions(&names))?;
        Restore { run, operation, source: &*source, live: &live, names: &names, moment: &moment, wish }
            .go(keeper, renaming)?
    } else {
        in_place::restore(run, &operation, &moment, wish)?
    };
    drop(source);
    run.set("snapshot", ended.snapshot)?;
    if let Some(loss) = ended.loss {
        run.set("loss", loss)?;
    }
    Ok(ended.outcome)
}

/// Since when the data is wrong, if it is: the command line says so, or the document.
fn moment(run: &mut Run, wish: &RestoreArgs) -> Result<Moment, Failure> {
    let parse = |text: &str| {
        let malformed =
            |_| Failure::refused("fact-malformed", format!("`{text}` in the document is no time"));
        text.parse::<jiff::Timestamp>().map_err(malformed)
    };
    let fact: Option<String> = run.fact("incident_at")?;
    let known = fact.as_deref().map(parse).transpose()?;
    let Some(at) = wish.incident_at.or(known) else { return Ok(Moment::Now) };
    plan::has_been(at, jiff::Timestamp::now())?;
    if known != Some(at) {
        run.set("incident_at", plan::instant(at))?;
    }
    let replaces: Replaces = run.fact("replaces")?.unwrap_or_default();
    let deployed_at = replaces.deployed_at.as_deref().map(parse).transpose()?;
    Ok(Moment::Incident { at, run: replaces.run.filter(|_| deployed_at == Some(at)) })
}

/// What a swap has done, how many rows were ever written until then, what was refused, and the session.
type Exchanged<'k> = (Record, Option<i64>, Vec<String>, Option<Keeper<'k>>);

struct Restore<'a> {
    run: &'a Run,
    operation: Operation<'a>,
    source: &'a dyn Source,
    live: &'a Live,
    names: &'a Names,
    moment: &'a Moment,
    wish: &'a RestoreArgs,
}

impl Restore<'_> {
    fn go(&self, mut keeper: Keeper, renaming: Answers) -> Result<Ended, Failure> {
        let id = self.run.document.id();
        if let Some(Note::Live(record)) = keeper.journal.of_live(self.live.oid)
            && record.run == id
        {
            drop(keeper);
            return self.done_before(&record);
        }
        self.operation.marker(&self.names.live)?;
        let chosen = self.choose(&keeper.journal)?;
        let age = plan::age(&chosen, self.moment, self.live.now);
        let way = Staging {
            operation: self.operation,
            source: self.source,
            live: self.live,
            names: self.names,
            run: id,
        };
        way.preflight(&mut keeper, renaming, &chosen, true)?;
        let Some(permit) = self.run.permit() else {
            let text = format!("would bring back {} ({age}) and keep the present data beside it", chosen.id);
            return Ok(Ended { snapshot: chosen.fact(), loss: None, outcome: Outcome::planned(text) });
        };
        let act = act(self.run, &self.operation, self.wish, &chosen, &age)?;
        self.operation.confirmable(&act, self.wish.sure.confirm.as_deref())?;
        let readers = self.readers(&permit, &mut keeper)?;
        let mut clock = Clock::default();
        let Brought { copy, report, seen, proof } =
            way.bring(&mut keeper, &permit, &chosen, true, &mut clock)?;
        let mut report = report.unwrap_or_default();
        self.tell(&chosen, &report);
        let besides = self.besides(&mut keeper, &chosen, seen)?;
        let untouched =
            |f: Failure| f.output("live_database", "not touched").output("staged_in", copy.name.as_str());
        self.operation.confirm(&act, self.wish.sure.confirm.as_deref()).map_err(untouched)?;
        let given = besides.given(&copy.name)?;
        let (record, written, refused, keeper) =
            self.swap(&permit, keeper, &chosen, &copy, (&report, &given), &mut clock)?;
        refused.iter().for_each(|what| self.operation.context.voice.warn(what));
        let loss =
            clock.time("finish", || self.finish(&permit, (keeper, readers), record, written, &mut report))?;
        self.application(&loss)?;
        let ended = self.ended(&loss, true);
        let outcome = ended.outcome.output("lost", report.to_value()).output("ms", clock.into_value());
        let outcome = copy.told(outcome.output("besides", besides.to_value(&refused)));
        Ok(Ended { outcome: outcome.output("proof", proof.to_value()), ..ended })
    }

    /// What killed runs have left goes, and users' tables can be read.
    fn readers<'p>(&'p self, permit: &'p Permit, keeper: &mut Keeper) -> Result<Readers<'p>, Failure> {
        side::sweep(keeper, permit, &self.names.live)?;
        Readers::make((self.operation.server, self.operation.settings), permit, keeper)
    }

    fn choose(&self, journal: &Journal) -> Result<Snapshot, Failure> {
        let snapshots = self.source.list(self.live, self.moment)?;
        let chosen = match &self.wish.snapshot {
            Some(id) => plan::named(&snapshots, id, self.moment, self.live.now),
            None => plan::newest(&snapshots, self.moment, self.live.now),
        };
        let chosen = chosen.map_err(|failure| self.elsewhere(failure, journal))?;
        if let Some(problem) = &chosen.problem {
            self.operation.context.voice.warn(&format!("{} was named: {problem}", chosen.id));
        }
        Ok(chosen.clone())
    }

    /// Another machine may have the snapshot: where it is looked for here, and which one was verified beside the live database.
    fn elsewhere(&self, mut failure: Failure, journal: &Journal) -> Failure {
        let settings = self.operation.settings;
        if failure.reason != "no-snapshot" || settings.source != Kind::Archive {
            return failure;
        }
        failure.message = format!(
            "{} in {}: copy the one that was taken before the release there from the machine that has it, or restore on that machine",
            failure.message,
            settings.snapshots.display()
        );
        let copies = journal.besides().filter_map(|beside| match &beside.remark {
            Some(Note::Staged(staged)) => Some((&beside.name, &staged.snapshot)),
            _ => None,
        });
        copies.fold(failure, |failure, (copy, snapshot)| {
            failure.cause(format!("{copy} is beside the live database, verified from the snapshot {snapshot}: that is the one to look for"))
        })
    }

    /// What will be lost, before it is lost.
    fn tell(&self, chosen: &Snapshot, report: &Report) {
        let voice = &self.operation.context.voice;
        let from = plan::instant(chosen.taken_at);
        let (rows, changed, back, tables) =
            (report.rows(), report.changed(), report.back(), report.tables.len());
        voice.say(&format!(
            "since {from}: {rows} rows only in the present data, {changed} changed, {back} come back, in {tables} tables; all stay in {}",
            self.names.old
        ));
        let mut tables: Vec<_> = report.tables.iter().collect();
        tables.sort_by_key(|t| std::cmp::Reverse(t.only_in_old + t.changed));
        tables.iter().take(TOLD).for_each(|table| voice.say(&format!("  {}", table.line())));
        let rest = tables.get(TOLD..).unwrap_or_default();
        if !rest.is_empty() {
            let sum = |of: fn(&loss::Lost) -> u64| rest.iter().map(|t| of(t)).sum::<u64>();
            let (rows, changed, back) = (sum(|t| t.only_in_old), sum(|t| t.changed), sum(|t| t.only_in_new));
            voice.say(&format!(
                "  {} more tables: {rows} rows only in the present data, {changed} changed, {back} come back",
                rest.len()
            ));
        }
        if !report.is_exact() {
            voice.warn("not everything could be compared: see not_compared in the document");
        }
    }

    /// What the restore changes besides rows: settings and rights of the database itself. It is said before anybody confirms.
    fn besides(
        &self,
        keeper: &mut Keeper,
        chosen: &Snapshot,
        seen: Option<Seen>,
    ) -> Result<Besides, Failure> {
        let seen = seen.ok_or_else(|| Failure::bug("a swap about which nothing was asked"))?;
        let then = match self.source.beside() {
            Some(beside) => beside.properties(keeper, chosen)?,
            None => None,
        };
        let besides = Besides::new(seen, then);
        let (voice, live) = (&self.operation.context.voice, &self.names.live);
        if !besides.known {
            voice.warn(&format!("the snapshot does not hold the settings and rights of {live} itself: they stay as they are now"));
        }
        for change in &besides.changes {
            voice.warn(&format!("besides rows, {live} gets what the snapshot had: {change}"));
        }
        for role in &besides.stays {
            voice.warn(&format!("not brought back, because other databases use it too: {role}"));
        }
        Ok(besides)
    }

    fn swap<'k>(
        &self,
        permit: &Permit,
        keeper: Keeper<'k>,
        chosen: &Snapshot,
        brought: &SideDatabase,
        (report, given): (&Report, &Given),
        clock: &mut Clock,
    ) -> Result<Exchanged<'k>, Failure> {
        let Names { live, old, .. } = self.names;
        let swap = Swap {
            server: self.operation.server,
            permit,
            again: act(self.run, &self.operation, self.wish, chosen, "")?.next,
            live,
            side: &brought.name,
            kept: old,
            old: self.live.oid,
            new: brought.oid,
            visitors: brought.visitors,
        };
        let mut record = Record {
            run: self.run.document.id().to_owned(),
            source: self.source.word().to_owned(),
            snapshot: chosen.id.clone(),
            taken_at: chosen.taken_at,
            frozen_at: chosen.taken_at,
            kept_in: old.clone(),
            from_xid: 0,
            rows: Some(report.rows()),
        };
        let began = std::time::Instant::now();
        let (swapped, refused, keeper) = swap.run(keeper, Some(given), |journal, swapped| {
            (record.frozen_at, record.from_xid) = (swapped.frozen_at, swapped.from_xid);
            exchange(journal, &record, (live, swap.side), brought.oid)
        })?;
        clock.note("swap", began.elapsed());
        clock.note("outage", swapped.outage);
        Ok((Record { frozen_at: swapped.frozen_at, ..record }, swapped.written, refused, keeper))
    }

    /// The old database is quiet now: what was written between the report and the swap is counted too. That cannot fail a restore
    /// that is done.
    fn finish(
        &self,
        permit: &Permit,
        (mut keeper, readers): (Option<Keeper>, Readers),
        mut record: Record,
        written: Option<i64>,
        report: &mut Report,
    ) -> Result<Record, Failure> {
        let sides = Sides {
            server: self.operation.server,
            old: &record.kept_in,
            new: &self.names.live,
            origin: None,
        };
        let admitted =
            keeper.as_mut().map_or(Ok(()), |keeper| readers.admit(permit, &self.names.live, keeper));
        let counted =
            admitted.and_then(|()| loss::finish(sides, (record.from_xid, written), report)).and_then(|()| {
                record.rows = Some(report.rows());
                self.remember(permit, keeper, readers, &record)
            });
        if let Err(failure) = counted {
            report.is_unfinished();
            let message =
                format!("what was written just before the swap could not be counted: {}", failure.message);
            self.operation.context.voice.warn(&message);
        }
        Ok(record)
    }

    /// Written by the session that has swapped, if it is still there.
    fn remember(
        &self,
        permit: &Permit,
        keeper: Option<Keeper>,
        readers: Readers,
        record: &Record,
    ) -> Result<(), Failure> {
        let live = &self.names.live;
        let operation = &self.operation;
        let again =
            || Keeper::looking(operation.server.connect(&operation.settings.place.maintenance)?, live);
        let mut keeper = keeper.map_or_else(again, Ok)?;
        side::mark(&mut keeper, permit, live, &Note::Live(record.clone()))?;
        readers.end(&mut keeper)
    }

    /// Asked as the application asks, by the public name.
    fn application(&self, record: &Record) -> Result<(), Failure> {
        let role = self.operation.settings.app_role.as_deref();
        verify::probe(&self.operation, &self.names.live, role).map(|_| ()).map_err(|mut failure| {
            "application".clone_into(&mut failure.reason);
            failure.acted(Acted::Yes).next(self.way_back(record))
        })
    }

    /// The command that undoes a restore.
    fn way_back(&self, record: &Record) -> String {
        let environment = self.operation.context.environment().unwrap_or_default();
        let confirm = format!("{}@{}", self.names.live, record.kept_in);
        shell::command(["db-restore", "undo", "--fresh", "--env", environment, "--confirm", &confirm])
    }

    /// A restore that was done before is not another one that a person has confirmed since.
    fn is_what_was_confirmed(&self, record: &Record) -> Result<(), Failure> {
        let confirmed =
            self.wish.sure.confirm.as_deref().and_then(|text| text.split_once('@')).map(|(_, id)| id);
        let Some(other) = self.wish.snapshot.as_deref().or(confirmed).filter(|id| *id != record.snapshot)
        else {
            return Ok(());
        };
        let message = format!(
            "this run has brought back {} already, at {}, and {other} is to be brought back now: that is a restore of its own",
            record.snapshot,
            plan::instant(record.frozen_at)
        );
        let environment = self.operation.context.environment().unwrap_or_default();
        let words = ["db-restore", "restore", "--fresh", "--env", environment, "--snapshot", other];
        Err(Failure::refused("restored-before", message).command(words))
    }

    fn done_before(&self, record: &Record) -> Result<Ended, Failure> {
        self.is_what_was_confirmed(record)?;
        self.application(record)?;
        Ok(self.ended(record, false))
    }

    /// The report on a swap that this run has done now or before.
    fn ended(&self, record: &Record, now: bool) -> Ended {
        let loss = Loss {
            from: plan::instant(record.taken_at),
            to: plan::instant(record.frozen_at),
            seconds: plan::seconds(record.taken_at, record.frozen_at),
            rows: record.rows,
            kept_in: Some(record.kept_in.clone()),
        };
        let rows = loss
            .rows
            .map_or_else(|| "rows that are only there".into(), |n| format!("{n} rows that are only there"));
        let since = plan::instant(record.taken_at);
        let way_back = self.way_back(record);
        let text = format!(
            "{} holds the data of {since} (snapshot {}); the data before, with {rows}, is kept in {}; to undo it: {way_back}",
            self.names.live, record.snapshot, record.kept_in
        );
        let outcome = if now { Outcome::changed(text) } else { Outcome::unchanged(text) };
        let snapshot = facts::Snapshot {
            source: record.source.clone(),
            id: record.snapshot.clone(),
            taken_at: plan::instant(record.taken_at),
        };
        Ended {
            snapshot,
            loss: Some(loss),
            outcome: outcome.output("kept_in", record.kept_in.as_str()).output("undo", way_back),
        }
    }
}

/// The statements that go with the renaming: what people have written stays with the public name, and what is kept is not
/// written to by accident.
fn exchange(
    journal: &Journal,
    record: &Record,
    (live, side): (&str, &str),
    oid: u32,
) -> Result<Vec<Sql>, Failure> {
    let read_only = journal.get(live).and_then(|live| live.read_only.clone());
    let by = Some(Box::new(By { live: oid, record: record.clone() }));
    let kept = Note::Kept { run: record.run.clone(), since: record.frozen_at, read_only, by };
    let mut statements = journal.replace(live, side, Some(&Note::Live(record.clone())))?;
    statements.extend(journal.replace(live, live, Some(&kept))?);
    statements.push(sql::fill("alter database {} set default_transaction_read_only to on", &[name(live)]));
    Ok(statements)
}

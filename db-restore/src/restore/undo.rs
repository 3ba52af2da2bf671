//! Swaps back what the last restore has put aside. What was written since that restore is counted first; the database that is live
//! now is kept as well.

use facts::Loss;
use jiff::Timestamp;
use step::{Acted, Failure, Outcome, Permit, Run, shell};

use crate::args::ConfirmArgs;
use crate::copy::readers::Readers;
use crate::journal::{Journal, Keeper, Note, Record};
use crate::loss;
use crate::operation::{Answers, Confirmation, Operation};
use crate::plan::{self, Names};
use crate::restore::stage::Clock;
use crate::restore::swap::Swap;
use crate::restore::{preflight, verify};
use crate::server::sql::{self, name, text};
use crate::server::{Live, Session};
use crate::settings::Settings;

/// The step.
pub fn run(run: &mut Run, settings: &Settings, sure: &ConfirmArgs) -> Result<Outcome, Failure> {
    if run.fact::<Loss>("loss")?.is_some() {
        let message = "the document tells of a restore already: an undo is a document of its own (--fresh)";
        return Err(Failure::refused("fact-conflict", message).next("db-restore undo --fresh"));
    }
    let operation = Operation::new(&run.context, settings);
    let undone = plan::beside(&settings.database, "undone", run.document.id())?;
    let names = Names { live: settings.database.clone(), side: String::new(), old: undone };
    // No age is asked for: what the clocks say does not matter here.
    let (live, keeper, renaming) = operation.opened_and_locked(&preflight::questions(&names))?;
    let (outcome, loss) = Undo { run, operation, live: &live }.go(keeper, (names, renaming), sure)?;
    if let Some(loss) = loss {
        run.set("loss", loss)?;
    }
    Ok(outcome)
}

struct Undo<'a> {
    run: &'a Run,
    operation: Operation<'a>,
    live: &'a Live,
}

impl Undo<'_> {
    fn go(
        &self,
        keeper: Keeper,
        (names, renaming): (Names, Answers),
        sure: &ConfirmArgs,
    ) -> Result<(Outcome, Option<Loss>), Failure> {
        let database = &self.operation.settings.database;
        let record = match keeper.journal.of_live(self.live.oid) {
            Some(Note::Live(record)) => record,
            Some(Note::Back(record)) if record.run == self.run.document.id() => {
                return Ok(self.ended(&record, false));
            }
            Some(Note::Back(record)) => {
                let (at, kept) = (plan::instant(record.frozen_at), record.kept_in);
                let message =
                    format!("the last restore was undone at {at}; what it had brought is in {kept}");
                return Err(Failure::refused("nothing-to-undo", message));
            }
            _ => {
                let message = format!("{database} was not swapped in by a restore");
                return Err(Failure::refused("nothing-to-undo", message));
            }
        };
        let names = Names { side: record.kept_in.clone(), ..names };
        self.back(keeper, (&names, renaming), record, sure)
    }

    fn back(
        &self,
        mut keeper: Keeper,
        (names, renaming): (&Names, Answers),
        record: Record,
        sure: &ConfirmArgs,
    ) -> Result<(Outcome, Option<Loss>), Failure> {
        let database = &self.operation.settings.database;
        let undone = names.old.clone();
        let mut problems = preflight::work(&self.operation, self.live);
        preflight::renaming(&self.operation, renaming, names, &mut problems)?;
        problems.verdict()?;
        let old = kept(&keeper.journal, &record)?;
        let Some(permit) = self.run.permit() else { return Ok((self.planned(&record)?, None)) };
        let readers = Readers::make((self.operation.server, self.operation.settings), &permit, &mut keeper)?;
        let written = loss::written_since(self.operation.server, database, record.from_xid)?;
        let rows: u64 = written.values().sum();
        self.tell(&written, &record, &undone);
        let aside = self.written_aside(&mut keeper, &permit, &readers, &record)?;
        self.operation.confirm(&self.confirmation(&record.kept_in)?, sure.confirm.as_deref())?;
        let (run, taken_at) = (self.run.document.id().to_owned(), record.frozen_at);
        let mut back = Record { run, taken_at, kept_in: undone, rows: Some(rows), ..record };
        let mut clock = Clock::default();
        readers.end(&mut keeper)?;
        let outage = clock.time("swap", || self.swap(&permit, keeper, names, old, &mut back))?;
        clock.note("outage", outage);
        verify::probe(&self.operation, database, self.operation.settings.app_role.as_deref())
            .map_err(|failure| failure.acted(Acted::Yes))?;
        let (outcome, loss) = self.ended(&back, true);
        let outcome = outcome.output("ms", clock.into_value()).output("written", serde_json::json!(written));
        Ok((outcome.output("written_to_what_was_put_aside", aside), loss))
    }

    /// A plan makes no role to read with: where we are a superuser, nothing is counted.
    fn planned(&self, record: &Record) -> Result<Outcome, Failure> {
        let (server, kept) = (self.operation.server, &record.kept_in);
        if server.readers().is_err() {
            let message = format!(
                "would swap {kept} back; the rows that were written since the restore are counted when it is done"
            );
            return Ok(Outcome::planned(message));
        }
        let rows: u64 =
            loss::written_since(server, &self.operation.settings.database, record.from_xid)?.values().sum();
        Ok(Outcome::planned(format!("would swap {kept} back; {rows} rows were written since the restore")))
    }

    /// What was put aside is open to be read, and somebody may have written to it all the same: then it is not what it was.
    fn written_aside(
        &self,
        keeper: &mut Session,
        permit: &Permit,
        readers: &Readers,
        record: &Record,
    ) -> Result<u64, Failure> {
        // A swap that was killed has left it closed; whatever has, it will be open when it is live.
        let open = sql::fill("alter database {} allow_connections true", &[name(&record.kept_in)]);
        keeper.change(permit, open)?;
        readers.admit(permit, &record.kept_in, keeper)?;
        let rows: u64 =
            loss::written_since(self.operation.server, &record.kept_in, record.from_xid)?.values().sum();
        if rows > 0 {
            let kept = &record.kept_in;
            self.operation.context.voice.warn(&format!("{rows} rows were written to {kept} since the restore: they come back with it (rows deleted there cannot be seen)"));
        }
        Ok(rows)
    }

    fn tell(&self, written: &std::collections::BTreeMap<String, u64>, record: &Record, undone: &str) {
        let rows: u64 = written.values().sum();
        let since = plan::instant(record.frozen_at);
        let voice = &self.operation.context.voice;
        voice.say(&format!("{rows} rows were written since the restore at {since}; they stay in {undone}"));
        written.iter().take(12).for_each(|(table, rows)| voice.say(&format!("  {table}: {rows} rows")));
    }

    fn confirmation(&self, kept: &str) -> Result<Confirmation, Failure> {
        let database = &self.operation.settings.database;
        let phrase = format!("{database}@{kept}");
        let environment = self.run.context.environment()?;
        let next =
            shell::command(["db-restore", "undo", "--fresh", "--env", environment, "--confirm", &phrase]);
        Ok(Confirmation { what: format!("swapping {kept} back to {database}"), phrase, next })
    }

    fn swap(
        &self,
        permit: &Permit,
        keeper: Keeper,
        names: &Names,
        (old, read_only): (u32, Option<String>),
        back: &mut Record,
    ) -> Result<std::time::Duration, Failure> {
        let Names { live, side, old: undone } = names;
        let swap = Swap {
            server: self.operation.server,
            permit,
            again: self.confirmation(side)?.next,
            live,
            side,
            kept: undone,
            old: self.live.oid,
            new: old,
            // It was open all the time: what was written to it is counted instead.
            visitors: None,
        };
        let (swapped, ..) = swap.run(keeper, None, |journal, swapped| {
            back.frozen_at = swapped.frozen_at;
            let note = Note::Undone { run: back.run.clone(), since: back.frozen_at };
            let reset = match read_only {
                Some(value) => sql::fill(
                    "alter database {} set default_transaction_read_only to {}",
                    &[name(side), text(&value)],
                ),
                None => sql::fill("alter database {} reset default_transaction_read_only", &[name(side)]),
            };
            let mut statements = journal.replace(live, side, Some(&Note::Back(back.clone())))?;
            statements.extend(journal.replace(live, live, Some(&note))?);
            let read_only = "alter database {} set default_transaction_read_only to on";
            statements.extend([reset, sql::fill(read_only, &[name(live)])]);
            Ok(statements)
        })?;
        back.frozen_at = swapped.frozen_at;
        Ok(swapped.outage)
    }

    fn ended(&self, back: &Record, now: bool) -> (Outcome, Option<Loss>) {
        let rows = back.rows.unwrap_or_default();
        let text = format!(
            "{} is the database from before the restore again, with its own settings; {rows} rows written since are kept in {}",
            self.operation.settings.database, back.kept_in
        );
        let outcome = if now { Outcome::changed(text) } else { Outcome::unchanged(text) };
        let seconds = |from: Timestamp, to: Timestamp| plan::seconds(from, to);
        let loss = Loss {
            from: plan::instant(back.taken_at),
            to: plan::instant(back.frozen_at),
            seconds: seconds(back.taken_at, back.frozen_at),
            rows: back.rows,
            kept_in: Some(back.kept_in.clone()),
        };
        (outcome.output("kept_in", back.kept_in.as_str()), Some(loss))
    }
}

/// What the restore has put aside: its oid, and how it was set.
fn kept(journal: &Journal, record: &Record) -> Result<(u32, Option<String>), Failure> {
    let kept = &record.kept_in;
    let nothing = |why: &str| Failure::refused("nothing-to-undo", format!("{kept}{why}"));
    let there =
        journal.get(kept).ok_or_else(|| nothing(", which the restore had kept, is not there any more"))?;
    match &there.remark {
        Some(Note::Kept { run, read_only, .. }) if *run == record.run => Ok((there.oid, read_only.clone())),
        _ => Err(nothing(" does not say that this restore has kept it")),
    }
}

//! Brings a snapshot back: into a database of its own beside the live one, checked there, then swapped in. The live data is
//! not touched by it; it is kept under another name, readable.

use step::{Context, Failure, Loss, Outcome, Permit, Replaces, Run};

use crate::archive::{self, Manifest, Snapshot};
use crate::args::{Settings, Wish};
use crate::database::{Live, Server, Session};
use crate::plan::{self, Moment, Names};
use crate::side;
use crate::swap::{self, Record};

/// The step.
pub fn run(run: &mut Run, settings: &Settings, wish: &Wish) -> Result<Outcome, Failure> {
    let moment = moment(run, wish)?;
    let server = Server::new(&run.context, settings);
    let live = server.identity(&settings.database)?;
    let names = plan::names(&settings.database, run.document.id())?;
    let ended = Work { run, settings, server, live, names }.go(&moment, wish)?;
    run.set("snapshot", ended.snapshot)?;
    if let Some(loss) = ended.loss {
        run.set("loss", loss)?;
    }
    Ok(ended.outcome)
}

/// Since when the data is wrong, if it is: the command line says so, or the document.
fn moment(run: &mut Run, wish: &Wish) -> Result<Moment, Failure> {
    let parse = |text: &str| {
        let malformed =
            |_| Failure::refused("fact-malformed", format!("`{text}` in the document is no time"));
        text.parse::<jiff::Timestamp>().map_err(malformed)
    };
    let fact: Option<String> = run.fact("incident_at")?;
    let known = fact.as_deref().map(parse).transpose()?;
    let Some(at) = wish.incident_at.or(known) else { return Ok(Moment::Now) };
    if known != Some(at) {
        run.set("incident_at", plan::instant(at))?;
    }
    let replaces: Replaces = run.fact("replaces")?.unwrap_or_default();
    let deployed_at = replaces.deployed_at.as_deref().map(parse).transpose()?;
    Ok(Moment::Incident { at, run: replaces.run.filter(|_| deployed_at == Some(at)) })
}

/// What the document is told.
struct Ended {
    snapshot: step::Snapshot,
    loss: Option<Loss>,
    outcome: Outcome,
}

struct Work<'a> {
    run: &'a Run,
    settings: &'a Settings,
    server: Server<'a>,
    live: Live,
    names: Names,
}

impl Work<'_> {
    fn go(&self, moment: &Moment, wish: &Wish) -> Result<Ended, Failure> {
        let mut keeper = self.lock()?;
        if let Some(record) =
            swap::record(&mut keeper, &self.names.live)?.filter(|r| r.run == self.run.document.id())
        {
            return Ok(self.ended(&record, false));
        }
        self.preflight(&mut keeper)?;
        let chosen = self.choose(moment, wish)?;
        let age = plan::age(&chosen, moment, self.live.now);
        let Some(permit) = self.run.permit() else {
            let message =
                format!("would bring back {} ({age}) and keep the present data beside it", chosen.id);
            return Ok(Ended { snapshot: chosen.fact(), loss: None, outcome: Outcome::planned(message) });
        };
        self.confirm(&chosen, &age, wish)?;
        let record = self.bring_back(&permit, keeper, &chosen)?;
        Ok(self.ended(&record, true))
    }

    /// One restore of a database at a time, whoever starts it and from where; the lock goes with the session.
    fn lock(&self) -> Result<Session<'_>, Failure> {
        let mut keeper = self.server.connect(&self.settings.maintenance)?;
        let key = format!("db-restore:{}:{}", self.live.system_identifier, self.names.live);
        let got = keeper.one("select pg_try_advisory_lock(hashtextextended($1, 0))", &[&key])?;
        if got == Some(true) {
            return Ok(keeper);
        }
        let message = format!("another db-restore is at work on {}: wait for it", self.names.live);
        Err(Failure::temporary("locked", message))
    }

    /// What would make the swap fail in the end is said at the beginning.
    fn preflight(&self, keeper: &mut Session) -> Result<(), Failure> {
        let live = &self.names.live;
        if self.live.standby {
            let message = format!("{} is a standby: restore on the primary", self.settings.host);
            return Err(Failure::refused("standby", message));
        }
        if !self.live.may_restore {
            let message = format!(
                "{} may not create and rename databases; make it a superuser, or the owner with CREATEDB",
                self.settings.user
            );
            return Err(Failure::config("rights", message));
        }
        let prepared = keeper.texts("select gid from pg_prepared_xacts where database = $1", &[live])?;
        if !prepared.is_empty() {
            let message = format!(
                "{live} has prepared transactions, which forbid its renaming: commit or roll them back"
            );
            return Err(prepared
                .iter()
                .fold(Failure::refused("prepared-transactions", message), Failure::cause));
        }
        let taken: Option<bool> =
            keeper.one("select true from pg_database where datname = $1", &[&self.names.old])?;
        if taken.is_some() {
            let message = format!(
                "this run has restored {live} before, and somebody else has since: {} is still there",
                self.names.old
            );
            return Err(Failure::refused("superseded", message));
        }
        Ok(())
    }

    fn choose(&self, moment: &Moment, wish: &Wish) -> Result<Snapshot, Failure> {
        let snapshots = archive::list(self.settings, &self.run.context, &self.live.system_identifier)?;
        let chosen = match &wish.snapshot {
            Some(id) => plan::named(&snapshots, id, moment, self.live.now)?,
            None => plan::newest(&snapshots, moment, self.live.now)?,
        };
        self.run.context.voice.say(&format!("reading {} to its end", chosen.id));
        archive::verify(self.settings, chosen)?;
        Ok(chosen.clone())
    }

    fn confirm(&self, chosen: &Snapshot, age: &str, wish: &Wish) -> Result<(), Failure> {
        let context: &Context = &self.run.context;
        let phrase = format!("{}@{}", self.names.live, chosen.id);
        let act = format!("replacing {} by {} ({age})", self.names.live, chosen.id);
        let incident =
            wish.incident_at.map(|at| format!(" --incident-at {}", plan::instant(at))).unwrap_or_default();
        let environment = context.environment()?;
        let next = format!(
            "db-restore restore --env {environment} --snapshot {}{incident} --confirm {phrase}",
            chosen.id
        );
        context.confirm(&act, &phrase, wish.confirm.as_deref(), &next)
    }

    fn bring_back(&self, permit: &Permit, mut keeper: Session, chosen: &Snapshot) -> Result<Record, Failure> {
        let manifest = self.manifest(&chosen.id)?;
        let tool = crate::tools::find(self.settings, "pg_restore", self.live.major())?;
        swap::repair(&mut keeper, permit, &self.names, &self.run.context)?;
        let oid = side::make(&mut keeper, permit, &self.names)?;
        let dump = archive::dump(&self.settings.snapshots.join(&chosen.id));
        let filled = side::fill(&self.run.context, self.settings, &tool, &self.names.side, &dump)
            .and_then(|()| side::verify(self.server, permit, &self.names.side, &manifest));
        if let Err(failure) = filled {
            // The live database was not touched; the copy is of no use, and its failure is what counts.
            let _ = side::discard(&mut keeper, permit, &self.names);
            return Err(failure);
        }
        let record = Record {
            run: self.run.document.id().to_owned(),
            snapshot: chosen.id.clone(),
            taken_at: chosen.taken_at,
            frozen_at: chosen.taken_at,
            kept_in: self.names.old.clone(),
        };
        let swap =
            swap::Swap { server: self.server, permit, names: &self.names, old: self.live.oid, new: oid };
        swap.run(keeper, record)
    }

    fn manifest(&self, id: &str) -> Result<Manifest, Failure> {
        let wrong = |why: String| Failure::refused("corrupt", format!("{id}: {why}"));
        archive::manifest(&self.settings.snapshots.join(id)).map_err(wrong)
    }

    /// The report on a swap that this run has done now or before.
    fn ended(&self, record: &Record, now: bool) -> Ended {
        let loss = Loss {
            from: plan::instant(record.taken_at),
            to: plan::instant(record.frozen_at),
            seconds: plan::seconds(record.taken_at, record.frozen_at),
            rows: self.lost_rows(record),
            kept_in: Some(record.kept_in.clone()),
        };
        let rows = loss
            .rows
            .map_or_else(|| "rows written since then".into(), |n| format!("{n} rows written since then"));
        let since = plan::instant(record.taken_at);
        let text =
            format!("{} is as it was at {since}; {rows} are kept in {}", self.names.live, record.kept_in);
        let outcome = if now { Outcome::changed(text) } else { Outcome::unchanged(text) };
        let snapshot = archive::fact(&record.snapshot, record.taken_at);
        Ended { snapshot, loss: Some(loss), outcome: outcome.output("kept_in", record.kept_in.as_str()) }
    }

    /// The old database is quiet now: its tables have grown by this many rows since the snapshot. `None` if it cannot be told,
    /// which does not undo a restore that is done.
    fn lost_rows(&self, record: &Record) -> Option<u64> {
        let counted = self.manifest(&record.snapshot).and_then(|manifest| {
            let old = self.server.connect(&record.kept_in)?.counts()?;
            Ok(plan::surplus(&old, &manifest.tables))
        });
        let warn = |failure: &Failure| {
            let message = format!("the rows of {} cannot be counted: {}", record.kept_in, failure.message);
            self.run.context.voice.warn(&message);
        };
        counted.inspect_err(warn).ok()
    }
}

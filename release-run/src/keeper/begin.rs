//! How a run begins: look once, find the run that the command is about or open one, and have the locks, here and on the remote.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use step::{Context, Failure, Procedure, Voice};

use super::folder::{Folder, Hand, Places};
use super::lockup::job;
use super::shore::Shore;
use super::{Of, Order};
use crate::args::Settings;
use crate::names::{self, Scope};
use crate::plan::Trust;
use crate::record::{Changes, Holder, Record, State};
use crate::remote::{Index, Remote};
use crate::resume::{self, Turn, Wanted};
use crate::runs;

/// How often a lock that is waited for is looked at.
const AGAIN: Duration = Duration::from_secs(2);

/// A run with everything that it needs to be at work.
pub struct Begun {
    pub record: Record,
    pub folder: Folder,
    pub hand: Option<Hand>,
    /// Its place on the remote; `None` in a plan, and for a run that goes without.
    pub shore: Option<Shore>,
    /// When the lock was last proven: just before the request was sent.
    pub proof: u64,
    /// All runs that are known.
    pub all: Vec<Record>,
    /// How far what was done before is believed.
    pub trust: Trust,
    /// It was finished, by what another machine has written down: it is only looked at.
    pub ended: bool,
}

impl Begun {
    /// Whether it says that something was changed, and only the outside can tell.
    pub fn is_claimed(&self) -> bool {
        self.trust == Trust::None && (self.ended || self.record.changed_customers())
    }
}

/// What came of it.
pub enum Beginning {
    Run(Box<Begun>),
    /// There is nothing to do; a run that is done, which somebody may still have to be told of.
    Done(Folder),
}

/// What a beginning works with.
pub struct Begin<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub order: &'a Order,
    pub voice: &'a Voice,
    pub remote: &'a Remote<'a>,
    pub places: &'a Places,
    pub product: String,
    pub environment: String,
    /// Which run is gone on with was said.
    pub said: Cell<bool>,
}

impl Begin<'_> {
    /// Begins. While somebody else has the lock, and it is to be waited for, everything is looked at again: what they have done may be
    /// what this was about.
    pub fn begin(&self) -> Result<Beginning, Failure> {
        let end = Instant::now() + self.order.lock_wait;
        loop {
            match self.attempt() {
                Err(failure) if failure.reason == "locked" && Instant::now() < end => {
                    self.voice.progress(&failure.message);
                    self.context.pause(AGAIN.min(end.saturating_duration_since(Instant::now())))?;
                }
                begun => return begun,
            }
        }
    }

    fn attempt(&self) -> Result<Beginning, Failure> {
        let (mut index, seen) = self.look()?;
        if seen && !self.order.plan && self.settle_owed(&index)? {
            index = self.remote.look()?;
        }
        let all = self.known(&index)?;
        if let Some(Of::Run(named)) = &self.order.of {
            can_be_left(named, &all)?;
        }
        let wanted = self.wanted();
        let now = Timestamp::now();
        let turn = resume::turn(&wanted, &all);
        if self.order.plan {
            self.forewarn(&index);
            let (record, trust) = self.planned(&turn, &wanted, now);
            let begun = self.aside(record, &index, trust, false)?;
            return Ok(Beginning::Run(Box::new(Begun { all, ..begun })));
        }
        index.is_whole(&self.scope())?;
        let (record, left) = match turn {
            Turn::New => (self.opened(&wanted, now), None),
            Turn::Instead(old) => (self.opened(&wanted, now), Some(old.clone())),
            Turn::Resume(run) => (run.clone(), None),
            Turn::EndedBefore(done) if self.is_believed(done) => {
                return Ok(Beginning::Done(self.places.run(&done.run, false)));
            }
            Turn::EndedBefore(done) if done.procedure == Procedure::Rollback => {
                return Err(rolled_back_elsewhere(done));
            }
            Turn::EndedBefore(done) => {
                let begun = self.aside(done.clone(), &index, Trust::None, true)?;
                return Ok(Beginning::Run(Box::new(Begun { all, ..begun })));
            }
            Turn::RolledBackSince { done, by } => return Err(rolled_back(done, by)),
            Turn::Unfinished(run) => return Err(unfinished(run)),
        };
        let begun = self.open(record, &index, seen, all)?;
        left.map(|old| self.leave(&old)).transpose()?;
        Ok(Beginning::Run(Box::new(begun)))
    }

    /// What the run is about.
    pub(super) fn scope(&self) -> Scope {
        Scope::new(&self.product, &self.environment)
    }

    /// Whether what a run says of itself is ours to believe: it ended here, or it is signed.
    fn is_believed(&self, record: &Record) -> bool {
        self.settings.signing.is_some() || self.places.has_ended_here(&record.run)
    }

    /// Whether nobody has written more of a run than what lies here.
    pub(super) fn is_newest_here(&self, record: &Record) -> bool {
        self.places.run(&record.run, false).record().is_some_and(|ours| ours.serial >= record.serial)
    }

    /// Whether it was begun from this clone, which has written everything of it that lies here.
    fn is_own(&self, record: &Record) -> bool {
        let run = &record.run;
        self.places.is_begun_here(run) && self.places.vouches_for(run, &self.places.run(run, false))
    }

    /// How far the documents of a run that goes on are believed: of one that was begun elsewhere, and only gone on with here, they are
    /// still another machine's; and so are those that came since from elsewhere.
    pub(super) fn trust(&self, record: &Record) -> Trust {
        match record.procedure {
            _ if record.serial == 0 => Trust::Own,
            _ if self.is_newest_here(record) && self.is_own(record) => Trust::Own,
            Procedure::Rollback => Trust::HeldAgainst,
            _ if self.settings.signing.is_some() => Trust::Own,
            _ => Trust::None,
        }
    }

    /// What the remote has; whether that is its own word of now.
    fn look(&self) -> Result<(Index, bool), Failure> {
        match self.remote.look() {
            Ok(index) => {
                if let Some(names) = index.passed_over() {
                    self.voice.warn(&format!("passed over on {}: {names}", self.remote.name()));
                }
                Ok((index, true))
            }
            Err(failure) if self.order.plan || self.order.no_lock.is_some() => {
                let message = format!(
                    "the runs on the remote were not seen ({}); what is here counts",
                    failure.message
                );
                self.voice.warn(&message);
                Ok((self.remote.index()?, false))
            }
            Err(mut failure) if failure.reason == "remote-unreachable" => {
                failure.message.push_str("; if this cannot wait, --no-lock REASON goes on without it");
                Err(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// All runs that may be believed; of two copies the newer one. What lies here and was not begun here may have been committed.
    pub(super) fn known(&self, index: &Index) -> Result<Vec<Record>, Failure> {
        let scope = self.scope();
        let (theirs, refused) = self.remote.evidence(index, Some(&scope))?;
        if refused > 0 {
            self.voice.warn(&crate::remote::unsigned(refused, self.remote.name()));
        }
        let mut all = self.places.records();
        all.retain(|record| self.settings.signing.is_none() || self.places.is_ours(&record.run));
        runs::merge(&mut all, theirs.into_iter().map(|(_, record)| record));
        Ok(all)
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            product: self.product.clone(),
            environment: self.environment.clone(),
            procedure: self.order.procedure.clone(),
            version: self.order.version.clone(),
            commit: self.remote.head.clone(),
            of: self.order.of.as_ref().map(|of| of.name().to_owned()),
            again: self.order.again,
        }
    }

    pub(super) fn holder(&self) -> Holder {
        let who = &self.remote.who;
        Holder { name: who.holder.clone(), host: who.host.clone(), job: job() }
    }

    pub(super) fn opened(&self, wanted: &Wanted, now: Timestamp) -> Record {
        // Two machines may begin in the same second: four random digits tell their runs apart.
        let random = RandomState::new().hash_one(now.as_nanosecond()).to_le_bytes();
        let name = names::run(now, u16::from_le_bytes([random[0], random[1]]), &wanted.key());
        Record::open(&name, wanted, self.holder(), now)
    }

    /// Nothing goes on with this run any more.
    pub(super) fn leave(&self, old: &Record) -> Result<(), Failure> {
        let mut old = old.clone();
        old.close(State::Abandoned, Timestamp::now());
        let folder = self.places.run(&old.run, false);
        folder.make()?;
        folder.save(&old)?;
        let why = if old.must_go_on() {
            "it is about what is not there any more"
        } else {
            "nothing was changed by it"
        };
        self.voice.say(&format!("{} is left behind: {why}", folder.shown()));
        Ok(())
    }

    /// Has the locks of a run, and its documents.
    fn open(
        &self,
        mut record: Record,
        index: &Index,
        seen: bool,
        all: Vec<Record>,
    ) -> Result<Begun, Failure> {
        let folder = self.places.run(&record.run, false);
        let (is_new, trust, ended) = (record.serial == 0, self.trust(&record), false);
        folder.make()?;
        let hand = self.places.hand(&record.run)?;
        let shown = folder.shown();
        let wait = |why: String| Failure::temporary("at-work", format!("{why}: wait for it"));
        let Some(hand) = hand else { return Err(wait(format!("somebody else is at work in {shown}"))) };
        if let Some(pid) = self.places.at_work(&record.run) {
            return Err(wait(format!("a step of {shown} is still at work (process {pid})")));
        }
        if is_new {
            self.places.note_begun(&record.run)?;
        } else {
            if !self.said.replace(true) {
                self.voice.say(&format!("going on with {shown}"));
            }
            self.bring(&record, &folder, index)?;
        }
        self.take_over(&mut record, trust, &folder)?;
        if let Some(reason) = &self.order.no_lock {
            self.voice.warn(&format!("without the lock of {}: {reason}", self.environment));
            folder.write("no-lock", reason.as_bytes())?;
            self.places.owe(&record.run, None);
            return Ok(Begun { record, folder, hand: Some(hand), shore: None, proof: 0, all, trust, ended });
        }
        debug_assert!(seen, "without the remote's word there is no lock");
        match self.acquire(&record, &folder, index) {
            Ok((shore, proof)) => {
                Ok(Begun { record, folder, hand: Some(hand), shore: Some(shore), proof, all, trust, ended })
            }
            Err(failure) if failure.reason == "stale" && self.order.again && !is_new => {
                self.leave(&record)?;
                drop(hand);
                let record = self.opened(&self.wanted(), Timestamp::now());
                self.open(record, index, seen, all)
            }
            Err(failure) => {
                if is_new {
                    self.unopened(&record.run, &folder);
                }
                Err(failure)
            }
        }
    }

    /// It is ours to work on now.
    fn take_over(&self, record: &mut Record, trust: Trust, folder: &Folder) -> Result<(), Failure> {
        record.holder = self.holder();
        record.reason = self.order.reason.clone().or(record.reason.take());
        record.begin("", Changes::No, Timestamp::now());
        if record.state == State::Failed {
            record.state = if record.changed_customers() { State::Changed } else { State::Open };
        }
        if trust == Trust::None && !record.changed_customers() {
            record.facts.clear();
        }
        if trust == Trust::Own {
            self.places.vouch(&record.run, "run.json", record.line().as_bytes());
        }
        folder.save(record)
    }

    /// Nothing may look as if a run had been here.
    fn unopened(&self, run: &str, folder: &Folder) {
        folder.forget();
        self.places.forget_begun(run);
    }

    /// Another machine's documents; what is here is left as it is, unless the remote's run has come further.
    pub(super) fn bring(&self, record: &Record, folder: &Folder, index: &Index) -> Result<(), Failure> {
        let found = index.records().find(|(_, theirs)| theirs.run == record.run);
        let Some((tip, theirs)) = found else { return Ok(()) };
        if self.settings.signing.is_some() && !self.remote.accepted(&[&tip.id])?.contains(&tip.id) {
            return Ok(());
        }
        let newer = folder.record().is_none_or(|ours| ours.serial < theirs.serial);
        for (name, content) in self.remote.documents(&tip.id)? {
            if newer || !folder.has(&name) {
                folder.write(&name, &content)?;
            }
        }
        Ok(())
    }
}

/// Whether a rollback can go back from a run that a person has named: said before one is opened, and anybody is told.
fn can_be_left(named: &str, all: &[Record]) -> Result<(), Failure> {
    let wrong = |message: String| Err(Failure::refused("which-run", step::plain_line(&message)));
    let knows = |run: &&Record| run.changed_customers() && run.facts.contains_key("previous");
    let mut usable: Vec<&Record> = all.iter().filter(knows).collect();
    if usable.iter().any(|run| run.run == named) {
        return Ok(());
    }
    usable.sort_by(|a, b| runs::newest_first(a, b));
    let names: Vec<&str> = usable.iter().take(3).map(|run| run.run.as_str()).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    match all.iter().find(|run| run.run == named) {
        None => {
            wrong(format!("--of: there is no run {named} here; the last that can be gone back from: {names}"))
        }
        Some(run) if !run.changed_customers() => wrong(format!(
            "--of: {named} has changed nothing that customers see; the last that can be gone back from: {names}"
        )),
        Some(_) => wrong(format!(
            "--of: {named} does not say what ran before it, as a rollback does not; the last that can be gone back from: {names}"
        )),
    }
}

pub(super) fn rolled_back(done: &Record, by: &Record) -> Failure {
    let message = format!(
        "runs/{} is finished, and was rolled back by runs/{}: to do it once more say --again --lift-hold REASON",
        done.run, by.run
    );
    Failure::refused("rolled-back", message)
}

fn rolled_back_elsewhere(done: &Record) -> Failure {
    let (name, host) = (&done.holder.name, &done.holder.host);
    let to = done.fact("version").or(done.fact("image")).unwrap_or("an earlier build");
    let message = format!(
        "{} says that {name} on {host} has rolled back to {to}, and nothing here proves it: look at what is live (rilis-status). If the bad build still runs, or if what runs now is to go too, start another rollback with --again",
        done.run
    );
    Failure::refused("claimed", step::plain_line(&message)).command([
        "rilis-status",
        "--env",
        &done.environment,
    ])
}

pub(super) fn unfinished(run: &Record) -> Failure {
    let message = format!(
        "runs/{} has changed something and is not at its end: go on with it first (without --of, or with its own), or close it (rilis-abandon {} REASON)",
        run.run, run.run
    );
    Failure::refused("unfinished", message)
}

//! What people do by hand, and the bare pipe: the environment's lock and hold without a run, and closing a run that nobody goes on with.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;
use step::{Acted, Answer, Context, Failure};

use crate::args::{Settings, Wish};
use crate::keeper::folder::Places;
use crate::lock::entry::{Hold, Lock};
use crate::lock::{self, Lease, Seen, Turn, lease};
use crate::names::{Name, ROOT, Scope};
use crate::remote::{Draft, Index, Pushed, Remote};

/// An environment by hand.
pub struct Hand<'a> {
    context: &'a Context,
    settings: &'a Settings,
    remote: Remote<'a>,
    environment: String,
    scope: Scope,
}

/// What was done, in a sentence.
pub fn said(sentence: impl AsRef<str>) -> Answer {
    // A lock or a hold has the words of whoever wrote it.
    let sentence = step::plain_line(sentence.as_ref());
    let value = json!({ "said": sentence });
    Answer::new(sentence, value)
}

impl<'a> Hand<'a> {
    /// Opens the remote for an environment.
    pub fn open(context: &'a Context, settings: &'a Settings, environment: &str) -> Result<Self, Failure> {
        let product = settings.product.clone();
        let scope = Scope::new(&product, environment);
        let remote = Remote::open(context, settings)?;
        Ok(Hand { context, settings, remote, environment: environment.to_owned(), scope })
    }

    fn lock_of(&self, index: &Index) -> Option<(String, Lock)> {
        let tip = index.tip(&Name::Lock(self.scope.clone()))?;
        Some((tip.id.clone(), Lock::parse(&tip.message)?))
    }

    fn hold_of(&self, index: &Index) -> Option<(String, Hold)> {
        let tip = index.tip(&Name::Hold(self.scope.clone()))?;
        Some((tip.id.clone(), Hold::parse(&tip.message)?))
    }

    /// Moves one entry; `None` in plan mode.
    fn put(&self, name: Name, before: Option<String>, message: String) -> Result<Option<Pushed>, Failure> {
        let Some(permit) = self.context.permit() else { return Ok(None) };
        let draft = Draft { name, before, message, files: Vec::new() };
        self.remote.put(&permit, &[draft]).map(|(pushed, _)| Some(pushed))
    }

    fn changed(&self, what: &str) -> Failure {
        let message = format!("the {what} of {} has changed in the meantime; look again", self.environment);
        Failure::temporary("locked", message)
    }

    /// Takes the lock for work by hand.
    pub fn take(&self, wish: &Wish) -> Result<Answer, Failure> {
        let (environment, run) = (&self.environment, &wish.run);
        let index = self.remote.look()?;
        lock::place::readable(&index, &self.scope, environment)?;
        let hold = self.hold_of(&index);
        if !wish.despite_hold && wish.lift_hold.is_none() {
            lock::hold(environment, hold.as_ref().map(|(_, h)| h))?;
        }
        let known = lease::read(&wish.lease)?.filter(|k| k.environment == *environment && k.run == *run);
        let current = self.lock_of(&index);
        let places = Places::open(&self.remote.own)?;
        let place = format!("{}-{}", self.scope.product, self.scope.environment);
        let unchanged = current.as_ref().map(|(id, _)| places.unchanged(&place, id)).unwrap_or_default();
        let seen = Seen { unchanged, length: self.settings.lease, ..Seen::default() };
        let turn = lock::take(environment, run, current.as_ref().map(|(_, l)| l), known.as_ref(), seen)?;
        if self.context.permit().is_none() {
            return Ok(said(format!("would lock {environment} for {run}")));
        }
        let ours = self.leased(run, &turn, known.as_ref())?;
        // The file is written before the lock: who is killed in between finds the own lock again.
        lease::write(&wish.lease, &ours, true)?;
        let put = self.put(
            Name::Lock(self.scope.clone()),
            current.map(|(id, _)| id),
            self.locked(&ours).message(environment),
        );
        match (&put, known) {
            (Ok(Some(Pushed::Done)), _) => {}
            (Err(failure), _) if failure.acted == Acted::Unknown => {}
            (_, None) => lease::remove(&wish.lease)?,
            (_, Some(known)) => lease::write(&wish.lease, &known, false)?,
        }
        if put? != Some(Pushed::Done) {
            return Err(self.changed("lock"));
        }
        if let (Some(reason), Some((id, hold))) = (&wish.lift_hold, hold)
            && hold.on
        {
            self.set_hold(Some(id), false, reason)?;
        }
        Ok(said(taken(environment, run, &turn)))
    }

    fn leased(&self, run: &str, turn: &Turn, known: Option<&Lease>) -> Result<Lease, Failure> {
        match (turn, known) {
            (Turn::Renew, Some(known)) => Ok(known.clone()),
            (Turn::Take { generation, .. }, _) => {
                let token = format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()));
                let environment = self.environment.clone();
                Ok(Lease { environment, run: run.to_owned(), token, generation: *generation })
            }
            _ => Err(Failure::bug("a lock is renewed that is not known")),
        }
    }

    fn locked(&self, ours: &Lease) -> Lock {
        let length = self.settings.lease.as_secs();
        let now = Timestamp::now().as_second();
        let expires = Timestamp::from_second(now.saturating_add(i64::try_from(length).unwrap_or(0)));
        Lock {
            held: true,
            run: ours.run.clone(),
            who: self.remote.who.clone(),
            lease: ours.token.clone(),
            generation: ours.generation,
            expires: expires.unwrap_or_default(),
            length: Some(length),
            job: None,
            since: Timestamp::from_second(now).ok(),
            reason: None,
        }
    }

    /// Proves that the lock is still there, and renews it.
    pub fn fence(&self, ours: &Lease) -> Result<Answer, Failure> {
        let current = self.lock_of(&self.remote.look()?);
        lock::fence(current.as_ref().map(|(_, l)| l), ours)?;
        if let Some((id, lock)) = current {
            let renewed = Lock { since: lock.since, ..self.locked(ours) };
            if self.put(Name::Lock(self.scope.clone()), Some(id), renewed.message(&self.environment))?
                == Some(Pushed::Lost)
            {
                return Err(self.changed("lock"));
            }
        }
        Ok(said(format!("{} is locked for {}", self.environment, ours.run)))
    }

    /// Gives the own lock back. One that is not ours any more is left alone.
    pub fn give_back(&self, file: &Path, ours: &Lease) -> Result<Answer, Failure> {
        let current = self.lock_of(&self.remote.look()?).filter(|(_, l)| l.held && l.lease == ours.token);
        let Some((id, lock)) = current else {
            lease::write(file, ours, false)?;
            return Ok(said(format!("{} was not locked for {} any more", self.environment, ours.run)));
        };
        let answer = self.open_lock(id, &Lock { held: false, ..lock })?;
        if self.context.permit().is_some() {
            lease::write(file, ours, false)?;
        }
        Ok(answer)
    }

    /// Opens somebody else's lock; who did it, and why, is kept.
    pub fn break_open(&self, reason: &str) -> Result<Answer, Failure> {
        let index = self.remote.look()?;
        if let Some(answer) =
            self.clear(&index, &Name::Lock(self.scope.clone()), |m| Lock::parse(m).is_some())?
        {
            return Ok(answer);
        }
        let Some((id, lock)) = self.lock_of(&index).filter(|(_, l)| l.held) else {
            return Ok(said(format!("{} is not locked", self.environment)));
        };
        let who = self.remote.who.clone();
        self.open_lock(id, &Lock { held: false, reason: Some(reason.to_owned()), who, ..lock })
    }

    /// Removes what is in the place of a lock or hold and is none; `None` where nothing is.
    fn clear(
        &self,
        index: &Index,
        name: &Name,
        can_be_read: impl Fn(&str) -> bool,
    ) -> Result<Option<Answer>, Failure> {
        let mut refs: Vec<(String, String)> = index
            .in_the_way(name)
            .into_iter()
            .map(|skipped| (skipped.id.clone(), skipped.name.clone()))
            .collect();
        let unread = index.tip(name).filter(|tip| !can_be_read(&tip.message));
        refs.extend(unread.map(|tip| (tip.id.clone(), name.full())));
        if refs.is_empty() {
            return Ok(None);
        }
        let (place, count) = (name.full(), refs.len());
        let Some(permit) = self.context.permit() else {
            return Ok(Some(said(format!(
                "would remove {count} from {place}: what is there cannot be read"
            ))));
        };
        match self.remote.remove_all(&permit, &refs)? {
            Pushed::Done => {
                Ok(Some(said(format!("{place} is free again: what was there could not be read"))))
            }
            Pushed::Lost => Err(self.changed("entry")),
        }
    }

    fn open_lock(&self, id: String, lock: &Lock) -> Result<Answer, Failure> {
        let (environment, run) = (&self.environment, &lock.run);
        match self.put(Name::Lock(self.scope.clone()), Some(id), lock.message(environment))? {
            None => Ok(said(format!("would open {environment}, locked for {run}"))),
            Some(Pushed::Done) => Ok(said(format!("{environment} is open again; it was locked for {run}"))),
            Some(Pushed::Lost) => Err(self.changed("lock")),
        }
    }

    /// Puts the environment on hold, or lifts it. On hold already stays as it was.
    pub fn hold(&self, on: bool, reason: &str) -> Result<Answer, Failure> {
        let environment = &self.environment;
        if self.context.permit().is_none() {
            let verb = if on { "put on hold" } else { "lift the hold of" };
            return Ok(said(format!("would {verb} {environment}")));
        }
        let index = self.remote.look()?;
        let place = Name::Hold(self.scope.clone());
        if let Some(answer) = self.clear(&index, &place, |message| Hold::parse(message).is_some())?
            && !on
        {
            return Ok(answer);
        }
        let current = self.hold_of(&index);
        if current.as_ref().is_some_and(|(_, h)| h.on) == on {
            return Ok(said(format!("{environment} is {} hold already", if on { "on" } else { "not on" })));
        }
        self.set_hold(current.map(|(id, _)| id), on, reason)?;
        Ok(said(if on {
            format!("{environment} is on hold: {reason}")
        } else {
            format!("the hold of {environment} is lifted: {reason}")
        }))
    }

    fn set_hold(&self, before: Option<String>, on: bool, reason: &str) -> Result<(), Failure> {
        let hold = Hold::now(on, self.remote.who.clone(), reason);
        match self.put(Name::Hold(self.scope.clone()), before, hold.message(&self.environment))? {
            Some(Pushed::Lost) => Err(self.changed("hold")),
            _ => Ok(()),
        }
    }
}

fn taken(environment: &str, run: &str, turn: &Turn) -> String {
    match turn {
        Turn::Take { generation, over: None } => {
            format!("{environment} is locked for {run} (generation {generation})")
        }
        Turn::Take { generation, over: Some(over) } => {
            format!(
                "{environment} is locked for {run} (generation {generation}); the time of {over} was over"
            )
        }
        Turn::Renew => format!("{environment} is still locked for {run}"),
    }
}

/// Writes a ref that nobody reads, and removes it again.
pub fn probe(context: &Context, remote: &Remote) -> Result<Answer, Failure> {
    let name = remote.name();
    let Some(permit) = context.permit() else {
        return Ok(said(format!("would write {ROOT}/lock/probe on {name} and remove it again")));
    };
    let probe = Name::OldLock("probe".to_owned());
    let before = remote.look()?.tip(&probe).map(|tip| tip.id.clone());
    let busy =
        || Failure::temporary("written-elsewhere", "somebody else probes at the same time; run it again");
    let draft = Draft { name: probe.clone(), before, message: "probe\n".to_owned(), files: Vec::new() };
    let (pushed, ids) = remote.put(&permit, &[draft])?;
    let (Pushed::Done, Some(id)) = (pushed, ids.first()) else { return Err(busy()) };
    match remote.remove(&permit, &probe, id)? {
        Pushed::Done => Ok(said(format!("{name} takes refs below {ROOT}/"))),
        Pushed::Lost => Err(busy()),
    }
}

/// Brings the documents of runs to where runbooks keep them; their names.
pub fn fetch(remote: &Remote, like: &str) -> Result<Answer, Failure> {
    let index = remote.look()?;
    let places = Places::open(&remote.own)?;
    let mut names = Vec::new();
    let (runs, _) = remote.evidence(&index, None)?;
    for (tip, record) in runs.into_iter().filter(|(_, record)| record.run.contains(like)) {
        let folder = places.run(&record.run, false);
        folder.make()?;
        for (name, content) in remote.documents(&tip.id)? {
            if !folder.has(&name) {
                folder.write(&name, &content)?;
            }
        }
        if !places.is_ours(&record.run) && folder.record().is_none_or(|ours| ours.serial < record.serial) {
            folder.save(&record)?;
        }
        names.push(record.run);
    }
    Ok(Answer::new(names.join("\n"), json!(names)))
}

//! A run at work: what its steps ask, what they leave behind, and what is pushed when.

use std::collections::HashSet;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};
use signal_hook::consts::SIGKILL;
use step::Document;
use step::keeper::{Lent, now};

use super::begin::Begun;
use super::folder::{Folder, Hand};
use super::shore::Shore;
use super::{Keeper, Loop, signal_to};
use crate::lock::entry::Hold;
use crate::plan::{self, Before, Decision, Proof, Stand, Trust, When};
use crate::record::{Changes, FILE_LIMIT, Record};
use crate::runs;

/// The step that is at work.
pub(super) struct AtWork {
    pub(super) connection: u64,
    pub(super) name: String,
    pub(super) file: String,
    pub(super) changes: Changes,
    /// It looks whether what this run says of itself is so.
    pub(super) claim: bool,
    pub(super) pid: Option<u64>,
}

/// A run at work.
pub struct Session<'a> {
    pub(super) keeper: &'a Keeper<'a>,
    pub(super) record: Record,
    pub(super) folder: Folder,
    #[expect(dead_code, reason = "it is held")]
    hand: Option<Hand>,
    pub(super) shore: Option<Shore>,
    pub(super) lent: Lent,
    pub(super) proof: u64,
    /// Somebody else has the lock, or the last push is not known to have arrived.
    pub(super) lost: Option<String>,
    /// The environment was put on hold, anew, before this run changed anything.
    pub(super) held: Option<String>,
    pub(super) doubt: bool,
    pub(super) plan: bool,
    pub(super) complete: bool,
    /// It was finished elsewhere, and is only looked at.
    pub(super) ended: bool,
    pub(super) trust: Trust,
    /// What it says it has changed is in question.
    pub(super) claimed: bool,
    /// A run of this clone has stopped what customers write, and not allowed it again.
    stopped_here: bool,
    /// Lines for the team besides.
    pub(super) notes: Vec<String>,
    /// The steps that were done in this attempt.
    pub(super) done_now: HashSet<String>,
    /// The hold that a run wants which goes without the remote.
    pub(super) owed: Option<String>,
    /// The ids of other runs' documents, which are none of this one's.
    pub(super) others: HashSet<String>,
    pub(super) came: Option<i32>,
    number: usize,
    /// The last document without a failure, and the newest of either kind; in this attempt.
    pub(super) last: Option<String>,
    pub(super) newest: Option<String>,
    pub(super) at_work: Option<AtWork>,
    torn: bool,
    pub(super) stored_aside: bool,
    pub(super) tried: u64,
}

impl<'a> Session<'a> {
    pub fn new(keeper: &'a Keeper<'a>, begun: Begun, lent: Lent, plan: bool) -> Self {
        let claimed = begun.is_claimed();
        let Begun { record, folder, hand, shore, proof, all, trust, ended } = begun;
        let ours = |run: &Record| keeper.places.is_begun_here(&run.run) && run.scope() == record.scope();
        let mut newest: Vec<&Record> = all.iter().filter(|run| run.run != record.run && ours(run)).collect();
        newest.sort_by(|a, b| runs::newest_first(a, b));
        let stopped_here = runs::paused(newest).is_some();
        let others = all
            .into_iter()
            .filter(|other| other.run != record.run)
            .filter_map(|other| other.document)
            .collect();
        let torn = folder.has("torn");
        Session {
            keeper,
            record,
            folder,
            hand,
            shore,
            lent,
            proof,
            lost: None,
            held: None,
            doubt: false,
            plan: plan || ended,
            complete: false,
            ended,
            trust,
            claimed,
            stopped_here,
            notes: Vec::new(),
            done_now: HashSet::new(),
            owed: None,
            others,
            came: None,
            number: 0,
            last: None,
            newest: None,
            at_work: None,
            torn,
            stored_aside: false,
            tried: proof,
        }
    }

    /// Until when requests may be begun: a while before the lock can be taken over, counted from before it was last proven.
    pub fn lend(&self) {
        let until = match &self.shore {
            None => u64::MAX,
            Some(_) if self.lost.is_some() => 0,
            Some(shore) => {
                let length = shore.length * 1_000_000_000;
                self.proof + length - (length / 10).min(10_000_000_000)
            }
        };
        if self.lent.set_until(until).is_err() {
            self.keeper.voice.warn("the steps cannot be told until when the lock is proven");
        }
    }

    pub fn is_at_work(&self) -> bool {
        self.at_work.is_some()
    }

    /// When the lock is renewed next.
    pub fn until_renewal(&self) -> Duration {
        let Some(shore) = self.shore.as_ref().filter(|_| self.lost.is_none()) else {
            return Duration::from_secs(3600);
        };
        let due = self.tried + shore.length * 200_000_000;
        Duration::from_nanos(due.saturating_sub(now()))
    }

    /// A question of a step or of the runbook.
    pub fn asked(&mut self, turn: &mut Loop, id: u64, question: &Value) -> Value {
        let word = |key: &str| question.get(key).and_then(Value::as_str).unwrap_or_default();
        match word("ask") {
            "step" => self.step(turn, id, question),
            "started" => {
                let pid = question.get("pid").and_then(Value::as_u64);
                if let (Some(at_work), Some(pid)) = (&mut self.at_work, pid) {
                    at_work.pid = Some(pid);
                    self.keeper.places.works(&self.record.run, Some(pid));
                }
                json!({})
            }
            "ended" => {
                let code = question.get("code").and_then(Value::as_u64).and_then(|c| u8::try_from(c).ok());
                let code = self.ended(turn, code.unwrap_or(1));
                json!({ "code": code })
            }
            "did" => {
                json!({ "yes": if word("name") == "torn" { self.torn } else { self.did(word("name")) } })
            }
            "ended-before" => json!({ "yes": self.ended && self.complete }),
            "paused" => json!({ "yes": self.stopped_here }),
            "note" => {
                self.notes.push(step::plain_line(word("text")));
                json!({})
            }
            "begun-here" => json!({ "yes": self.trust == Trust::Own }),
            "fact" => json!({ "text": self.fact(word("path")) }),
            "path" if word("file") == "last" => {
                json!({ "text": self.last.as_ref().map(|name| self.shown(name)).unwrap_or_default() })
            }
            "path" => json!({ "text": self.shown(word("file")) }),
            "hold" => {
                self.hold(word("reason"));
                json!({})
            }
            other if self.told(other) => json!({}),
            _ => json!({ "do": "stop", "code": 2 }),
        }
    }

    /// What a runbook says and needs no answer to; whether it is such a thing.
    fn told(&mut self, what: &str) -> bool {
        match what {
            "skip" => self.number += 1,
            "torn" => {
                self.torn = true;
                // The next attempt knows it, if it can be written.
                let _ = self.folder.write("torn", b"");
            }
            "forget-last" => self.last = None,
            "doubt" => self.trust = Trust::HeldAgainst,
            "finish" => self.complete = self.came.is_none() && self.lost.is_none() && !self.ended,
            _ => return false,
        }
        true
    }

    pub(super) fn shown(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(super) fn document(&self, name: &str) -> Option<Document> {
        let text = super::folder::read(&self.folder.path().join(name), FILE_LIMIT)?;
        Document::parse_from(name, text.as_bytes()).ok()
    }

    fn fact(&self, path: &str) -> String {
        let document = self.last.as_ref().and_then(|name| self.document(name));
        document.map(|d| crate::fact::text(&d, path)).unwrap_or_default()
    }

    /// From now on releases to the environment are refused; it is pushed with the next change that somebody may see.
    fn hold(&mut self, reason: &str) {
        let Some(shore) = &mut self.shore else {
            let reason = step::plain_line(reason);
            // It is noted at once: a run that is killed has said nothing.
            self.keeper.places.owe(&self.record.run, Some(&reason));
            self.owed = Some(reason);
            return;
        };
        let hold = Hold::now(true, shore.who.clone(), reason);
        // On hold already it stays so since then, for the newest reason.
        let since = shore.held.as_ref().map_or(hold.since, |held| held.since);
        let hold = Hold { since, ..hold };
        if shore.held.as_ref().is_none_or(|held| held.reason != hold.reason) {
            shore.held = Some(hold.clone());
            shore.wish = Some(hold);
        }
    }

    fn step(&mut self, turn: &mut Loop, id: u64, question: &Value) -> Value {
        let word = |key: &str| question.get(key).and_then(Value::as_str).unwrap_or_default();
        let stop = |code: u8| json!({ "do": "stop", "code": code });
        let name = word("name").to_owned();
        let (Ok(when), Ok(changes)) =
            (When::from_str(word("when"), false), Changes::from_str(word("changes"), false))
        else {
            return stop(2);
        };
        if let Some(refusal) = self.refusal(&name) {
            return refusal;
        }
        if question.get("claim") == Some(&json!(true)) {
            return self.look_at_claim(id, name);
        }
        if self.ended {
            // This runbook asks nobody whether it is so.
            return json!({ "do": "stop", "code": 1, "say": self.unproven() });
        }
        self.number += 1;
        let file = format!("{:02}-{name}.json", self.number);
        let stand = self.stand(&file, changes);
        let input = match plan::step(when, stand) {
            Decision::Skip => {
                self.last = Some(file.clone());
                self.newest = Some(file.clone());
                return json!({ "do": "done", "say": format!("done before: {}", file.trim_end_matches(".json")) });
            }
            Decision::Stop => {
                return json!({ "do": "stop", "code": 75, "say": "the lock is not proven any more: nothing more is changed; run the same command again" });
            }
            Decision::Lost => return self.refuse(),
            Decision::Run => self.last.clone(),
            Decision::RunOnOwn => self.own(&file),
        };
        if changes != Changes::No && !self.plan && !self.begins(turn, &name, changes) {
            return self.refuse();
        }
        let output = format!("{file}.part");
        let reply = json!({
            "do": "run", "plan": self.plan,
            "input": input.map(|name| self.shown(&name)),
            "output": self.shown(&output),
        });
        self.at_work = Some(AtWork { connection: id, name, file, changes, claim: false, pid: None });
        reply
    }

    /// Why no step can begin now.
    fn refusal(&self, name: &str) -> Option<Value> {
        let code = match self.came {
            Some(signal) => end_code(signal),
            None if !crate::names::is_word(name) || self.at_work.is_some() => 2,
            None => return None,
        };
        Some(json!({ "do": "stop", "code": code }))
    }

    fn refuse(&self) -> Value {
        let why = self.lost.as_deref().or(self.held.as_deref()).unwrap_or("the lock is lost");
        json!({ "do": "stop", "code": 1, "say": why })
    }

    fn stand(&self, file: &str, changes: Changes) -> Stand {
        let failed = format!("{}.failed.json", file.trim_end_matches(".json"));
        let before = match (self.folder.has(file), self.folder.has(&failed)) {
            (true, _) => Before::Done,
            (false, true) => Before::Failed,
            _ => Before::Nothing,
        };
        let lock = match (&self.shore, &self.lost) {
            (None, _) => Proof::Without,
            (_, Some(_)) => Proof::Lost,
            _ if now() >= self.lent.until() => Proof::Unproven,
            _ => Proof::Proven,
        };
        let changed = self.record.changed_customers();
        Stand {
            before,
            plan: self.plan,
            changed,
            lock,
            changes,
            first: self.last.is_none() && self.number == 1,
            trust: self.trust,
        }
    }

    /// A step that changes something begins: it is written down first, and before the first one that customers may see the lock is
    /// proven anew. Whether it may begin.
    fn begins(&mut self, turn: &mut Loop, name: &str, changes: Changes) -> bool {
        let first = changes >= Changes::Pause && !self.record.must_go_on();
        self.record.begin(name, changes, Timestamp::now());
        self.save();
        if first {
            self.prove(turn);
        }
        if self.shore.is_some() && now() >= self.lent.until() {
            let why = "the lock is not proven any more: this run changes nothing";
            self.lost.get_or_insert_with(|| why.to_owned());
        }
        let refused = self.lost.is_some() || self.held.is_some();
        if refused {
            self.record.end(name, "no", Timestamp::now());
            self.save();
        }
        !refused
    }

    pub(super) fn save(&self) {
        if self.trust == Trust::Own {
            self.keeper.places.vouch(&self.record.run, "run.json", self.record.line().as_bytes());
        }
        if let Err(failure) = self.folder.save(&self.record) {
            self.keeper.voice.warn(&failure.message);
        }
    }

    /// The client of a step is gone, and has not said how the step ended: then nobody has a document of it.
    pub fn gone(&mut self, id: u64) {
        if self.at_work.as_ref().is_some_and(|w| w.connection == id) {
            self.kill();
            if let Some(AtWork { name, file, .. }) = self.at_work.take() {
                self.keeper.places.works(&self.record.run, None);
                self.folder.remove(&format!("{file}.part"));
                self.record.end(&name, "unknown", Timestamp::now());
                self.save();
            }
        }
    }

    /// A signal: no step begins any more, and the one at work is told.
    pub fn signal(&mut self, signal: i32) {
        self.came.get_or_insert(signal);
        self.signal_step(signal);
    }

    pub fn signal_step(&self, signal: i32) {
        if let Some(pid) = self.at_work.as_ref().and_then(|w| w.pid) {
            signal_to(pid, signal);
        }
    }

    /// The step at work has had its time.
    pub fn kill(&mut self) {
        self.signal_step(SIGKILL);
    }
}

/// The exit code after a signal.
pub fn end_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(143)
}

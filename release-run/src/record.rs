//! What a run is: `run.json`, which lies beside its documents and, in one line, in the message of its commit. Known here alone. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use step::Procedure;

use crate::names::Scope;

/// The format that this program reads and writes.
const SCHEMA: u32 = 1;
/// A record is not larger: it holds a few facts and no log.
pub const LIMIT: usize = 64 << 10;
/// No run is written more often.
const SERIALS: u64 = 1 << 32;
/// A document is not larger.
pub const FILE_LIMIT: usize = 4 << 20;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing was changed for customers yet.
    #[default]
    Open,
    /// A step that changes what customers see has begun and not ended.
    Changing,
    /// Such a step has ended.
    Changed,
    Finished,
    /// It stopped; the same command goes on with it.
    Failed,
    /// Somebody left it behind: nothing goes on with it.
    Abandoned,
}

/// What a step may change.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Changes {
    /// It only looks.
    #[default]
    No,
    /// Something beside what customers see: a snapshot, a tag.
    Aside,
    /// Whether customers may write; it must be lifted again.
    Pause,
    /// What customers see.
    Customers,
}

/// A step that changes something: when it began, and what it said at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub step: String,
    pub changes: Changes,
    pub at: Timestamp,
    /// `yes`, `no` or `unknown`: whether it changed anything. Absent while it is at work, or when it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted: Option<String>,
}

impl Change {
    /// Whether it may have changed anything.
    fn counts(&self) -> bool {
        self.acted.as_deref() != Some("no")
    }
}

/// Who has a run in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub name: String,
    pub host: String,
    /// The CI job's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    pub run: String,
    pub product: String,
    pub procedure: Procedure,
    pub environment: String,
    /// What the command was about: the same key is the same command.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The run that a rollback was told to go back from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Why it is done, where its procedure wants a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub opened: Timestamp,
    pub updated: Timestamp,
    /// Grows with each change: of two copies the one with the greater number is newer.
    pub serial: u64,
    pub holder: Holder,
    pub state: State,
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The id of its documents, which its steps stamp into what they make: a snapshot, a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// What its newest document says: version, commit, image, deployments, previous, replaces, snapshot.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// Its last step, and what that said.
    #[serde(default)]
    pub last: Option<Last>,
    /// What was owed after it and is not any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paid: Vec<Paid>,
}

/// Something that a run owed, such as `qa` or `ci`, and somebody has done since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    pub item: String,
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}

/// Where a run stands, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    pub step: String,
    pub said: String,
    /// Whether it failed, and whether it changed something before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What can be done about the failure, as the document has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// The steps of a runbook that stop what customers write, and allow it again.
const STOP: &str = "stop";
const ALLOW: &str = "allow";

/// The facts that a record keeps.
const FACTS: &[&str] = &[
    "version",
    "commit",
    "tag",
    "image",
    "deployments",
    "previous",
    "replaces",
    "snapshot",
    "live",
    "data_plan",
    "candidate",
    "maintenance",
    "maintenance_over",
    "debt",
];

impl Record {
    /// A run that begins now.
    pub fn open(run: &str, about: &crate::resume::Wanted, holder: Holder, now: Timestamp) -> Self {
        Record {
            schema: SCHEMA,
            run: run.to_owned(),
            product: about.product.clone(),
            procedure: about.procedure.clone(),
            environment: about.environment.clone(),
            key: about.key(),
            version: about.version.clone(),
            of: about.of.clone(),
            reason: None,
            opened: now,
            updated: now,
            serial: 0,
            holder,
            state: State::Open,
            changes: Vec::new(),
            document: None,
            facts: Map::new(),
            last: None,
            paid: Vec::new(),
        }
    }

    /// Reads one; what is too large, of another format or of a name that is none is no record.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LIMIT {
            return None;
        }
        let record: Record = serde_json::from_str(text).ok()?;
        let is_one =
            record.schema == SCHEMA && record.serial <= SERIALS && crate::names::is_word(&record.run);
        is_one.then_some(record)
    }

    /// As one line.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whose it is, and where.
    pub fn scope(&self) -> Scope {
        Scope::new(&self.product, &self.environment)
    }

    /// What it has done about what customers write.
    fn pause(&self, step: &str) -> Option<&Change> {
        self.changes.iter().find(|c| c.changes == Changes::Pause && c.step == step)
    }

    /// Whether it has allowed customers to write again.
    pub fn has_allowed(&self) -> bool {
        self.pause(ALLOW).is_some_and(|change| change.acted.as_deref() == Some("yes"))
    }

    /// Whether of two copies of a run this one counts: it was written later, or somebody has closed it since.
    pub fn supersedes(&self, known: &Record) -> bool {
        self.serial > known.serial || (self.state == State::Abandoned && !known.is_over())
    }

    /// Whether it has changed nothing, of any kind.
    pub fn is_harmless(&self) -> bool {
        !self.changes.iter().any(Change::counts)
    }

    /// Whether it is over, one way or another.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Abandoned)
    }

    /// Whether a step that changes what customers see has begun, and not said that it changed nothing.
    pub fn changed_customers(&self) -> bool {
        self.changes.iter().any(|c| c.changes == Changes::Customers && c.counts())
    }

    /// Whether it must be gone on with: customers see what it did, or cannot write because of it.
    pub fn must_go_on(&self) -> bool {
        self.changes.iter().any(|c| c.changes >= Changes::Pause && c.counts())
    }

    /// Whether it may have stopped what customers write, and has not allowed it again: nobody does that but a person or this run.
    pub fn is_paused(&self) -> bool {
        self.pause(STOP).is_some_and(Change::counts) && !self.has_allowed()
    }

    /// When it first may have changed what customers see.
    pub fn changed_at(&self) -> Option<Timestamp> {
        let customers = self.changes.iter().filter(|c| c.changes == Changes::Customers && c.counts());
        customers.map(|c| c.at).min()
    }

    /// A step that changes something begins. The same step once more is the same change.
    pub fn begin(&mut self, step: &str, changes: Changes, now: Timestamp) {
        self.touch(now);
        if changes == Changes::No {
            return;
        }
        if (step, changes) == (STOP, Changes::Pause) {
            // What was allowed before that is over.
            self.changes.retain(|c| (c.step.as_str(), c.changes) != (ALLOW, Changes::Pause));
        }
        match self.changes.iter_mut().find(|c| c.step == step) {
            // What it has once changed it has changed; of what died nothing is known.
            Some(known) if known.counts() => {
                known.acted.get_or_insert_with(|| "unknown".to_owned());
            }
            Some(known) => {
                known.at = now;
                known.acted = None;
            }
            None => self.changes.push(Change { step: step.to_owned(), changes, at: now, acted: None }),
        }
        if changes == Changes::Customers {
            self.state = State::Changing;
        } else if self.state == State::Failed {
            self.state = if self.changed_customers() { State::Changed } else { State::Open };
        }
    }

    /// A step has ended. `acted` is what is known of it.
    pub fn end(&mut self, step: &str, acted: &str, now: Timestamp) {
        self.touch(now);
        if let Some(change) = self.changes.iter_mut().find(|c| c.step == step)
            && (matches!(change.acted.as_deref(), None | Some("no")) || acted == "yes")
        {
            change.acted = Some(acted.to_owned());
        }
        if self.state == State::Changing {
            self.state = if self.changed_customers() { State::Changed } else { State::Open };
        }
    }

    /// The run has ended, or stopped.
    pub fn close(&mut self, state: State, now: Timestamp) {
        self.touch(now);
        self.state = state;
    }

    /// What its newest document says.
    pub fn learn(&mut self, document: &step::Document) {
        self.document = Some(document.id().to_owned());
        for (name, value) in document.facts().iter().filter(|(name, _)| FACTS.contains(&name.as_str())) {
            self.facts.insert(name.clone(), value.clone());
        }
        self.version = self.fact("version").map(str::to_owned).or(self.version.take());
        let record = document.steps().last();
        let of = |key: &str| {
            record.and_then(|r| r.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let failure = document.failure();
        let word = |key: &str| failure.and_then(|f| f.get(key)).and_then(Value::as_str);
        self.last = Some(match word("message") {
            Some(message) => Last {
                step: word("step").unwrap_or("?").to_owned(),
                said: step::excerpt(message, 400),
                failed: Some(word("acted").unwrap_or("unknown").to_owned()),
                kind: word("kind").map(str::to_owned),
            },
            None => Last { step: of("name"), said: step::excerpt(&of("summary"), 400), ..Last::default() },
        });
    }

    /// What it owes still: what a fix has skipped, and the gates that were waived.
    pub fn owes(&self) -> Vec<String> {
        let debt = self.facts.get("debt");
        let of =
            |key: &str| debt.and_then(|debt| debt.get(key)).and_then(Value::as_array).into_iter().flatten();
        let skipped = of("skipped").filter_map(Value::as_str);
        let waived = of("waived").filter_map(|waived| waived.get("gate")?.as_str());
        let is_open = |item: &&str| !self.paid.iter().any(|paid| paid.item == *item);
        skipped.chain(waived).filter(is_open).map(str::to_owned).collect()
    }

    /// Somebody has done what it owed.
    pub fn pay(&mut self, paid: Paid) {
        self.touch(paid.at);
        self.paid.push(paid);
    }

    /// A fact that is a text.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).and_then(Value::as_str)
    }

    fn touch(&mut self, now: Timestamp) {
        self.updated = now;
        self.serial += 1;
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn sample(procedure: &str, key: &str) -> Record {
        let wanted = crate::resume::Wanted {
            product: "shop".into(),
            environment: "production".into(),
            procedure: procedure.into(),
            version: Some("1.2.0".into()),
            commit: Some("aa7d85cd4cc4".into()),
            ..Default::default()
        };
        let record = Record::open(&format!("20261125T081130Z-7f3a-{key}"), &wanted, Holder::default(), at(0));
        Record { key: key.to_owned(), ..record }
    }

    pub fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    #[test]
    fn a_run_goes_from_open_to_changing_to_changed() {
        let mut run = sample("release", "k");
        run.begin("snapshot", Changes::Aside, at(1));
        run.end("snapshot", "yes", at(2));
        assert_eq!((run.state, run.must_go_on()), (State::Open, false));
        run.begin("deploy", Changes::Customers, at(3));
        assert_eq!((run.state, run.changed_at()), (State::Changing, Some(at(3))));
        // Killed here it may have changed anything.
        assert!(run.must_go_on());
        let mut refused = run.clone();
        refused.end("deploy", "no", at(4));
        assert_eq!((refused.state, refused.changed_customers()), (State::Open, false));
        run.end("deploy", "unknown", at(4));
        assert_eq!(run.state, State::Changed);
        // Once more, and this time it finds that it need not do anything: it was changed all the same.
        run.begin("deploy", Changes::Customers, at(5));
        run.end("deploy", "no", at(6));
        assert!(run.changed_customers());
    }

    #[test]
    fn writes_that_are_stopped_must_be_allowed_again() {
        let mut run = sample("rollback", "k");
        run.begin("stop", Changes::Pause, at(1));
        assert!(run.must_go_on() && !run.changed_customers() && run.is_paused());
        let mut undone = run.clone();
        undone.end("stop", "no", at(2));
        assert!(!undone.is_paused(), "no command is set");
        run.end("stop", "yes", at(2));
        run.begin("allow", Changes::Pause, at(3));
        run.end("allow", "unknown", at(4));
        assert!(run.is_paused(), "whether it is allowed is not known");
        run.end("allow", "yes", at(5));
        assert!(!run.is_paused());
        run.begin("stop", Changes::Pause, at(6));
        assert!(run.is_paused(), "stopped once more");
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mut run = sample("release", "k");
        run.begin("deploy", Changes::Customers, at(3));
        assert_eq!(Record::parse(&run.line()), Some(run.clone()));
        let planted = run.line().replace("20261125T081130Z-7f3a-k", "../../etc");
        for text in [
            "",
            "{}",
            "[]",
            &planted,
            &run.line().replace("\"schema\":1", "\"schema\":2"),
            &"x".repeat(LIMIT + 1),
            &run.line().replace("\"serial\":1", "\"serial\":18446744073709551615"),
        ] {
            assert_eq!(Record::parse(text), None, "{text:.80}");
        }
    }
}

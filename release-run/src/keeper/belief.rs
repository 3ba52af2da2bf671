//! How far a run's documents are believed: those of another machine are held against the outside, or do not count.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use step::Document;

use super::session::{AtWork, Session};
use crate::claim::{self, Verdict};
use crate::plan::Trust;
use crate::record::Changes;

/// The facts with which a rollback opens its document: its first step holds them against the outside.
const OBSERVED: &[&str] = &["version", "commit", "image", "incident_at", "replaces"];

impl Session<'_> {
    /// What another machine says it has changed: a step asks the outside, before anything goes on from it.
    pub(super) fn look_at_claim(&mut self, id: u64, name: String) -> Value {
        if !self.claimed {
            return json!({ "do": "done" });
        }
        let file = format!("00-{name}.json");
        let output = self.shown(&format!("{file}.part"));
        self.at_work =
            Some(AtWork { connection: id, name, file, changes: Changes::No, claim: true, pid: None });
        json!({ "do": "run", "plan": false, "input": null, "output": output })
    }

    /// What the outside says of it; the step's exit code.
    pub(super) fn heard_of_claim(&mut self, document: &Document) -> u8 {
        match claim::verdict(document) {
            Some(Verdict::Runs) if self.ended => self.complete = true,
            Some(_) if self.ended => return 1,
            Some(Verdict::Runs | Verdict::Deployed) => self.trust = Trust::Agreed,
            Some(Verdict::Nothing) => {
                let run = &self.record.run;
                self.keeper.voice.say(&format!("{run} says that it has changed something, and nothing of it is there now: its steps are done again"));
                // What was made for it then was of another time.
                self.others.extend(self.record.document.take());
                self.record.changes.clear();
                self.record.facts.clear();
                self.save();
            }
            None => return 65,
        }
        self.claimed = false;
        0
    }

    /// A document that nobody vouches for, without everything that it says but these facts; its name. By its id what was made for it is
    /// found again: one that is another run's, or older than this one, is none of ours.
    pub(super) fn bare(&self, file: &str, kept: &[&str]) -> Option<String> {
        let document = self.document(file)?;
        let is_older = document
            .opened()
            .parse::<Timestamp>()
            .is_ok_and(|at| at.as_second() < self.record.opened.as_second());
        if self.others.contains(document.id())
            || is_older
            || !crate::names::is_of(document.id(), self.record.opened)
        {
            return None;
        }
        let mut facts: Map<String, Value> = document
            .facts()
            .iter()
            .filter(|(name, _)| kept.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        facts.insert("product".into(), json!(self.record.product));
        facts.insert("environment".into(), json!(self.record.environment));
        let bare = json!({
            "schema": document.to_value()["schema"], "id": document.id(), "procedure": self.record.procedure,
            "opened": document.opened(), "mode": "apply", "steps": [], "facts": facts,
        });
        let name = "00-begun.json".to_owned();
        self.folder.write(&name, bare.to_string().as_bytes()).ok().map(|()| name)
    }

    /// The document of an attempt before, as far as it is believed.
    pub(super) fn own(&self, file: &str) -> Option<String> {
        match self.trust {
            Trust::Own | Trust::Agreed => Some(file.to_owned()),
            Trust::HeldAgainst => self.bare(file, OBSERVED),
            Trust::None => self.bare(file, &[]),
        }
    }

    /// Whether a step of this run is done. A document that nobody vouches for says nothing: then only what was done now counts.
    pub(super) fn did(&self, step: &str) -> bool {
        match self.trust {
            Trust::Own | Trust::Agreed => self.folder.did(step),
            Trust::HeldAgainst | Trust::None => self.done_now.contains(step),
        }
    }

    pub(super) fn unproven(&self) -> String {
        let holder = &self.record.holder;
        let said = format!(
            "{} on {} has finished this, by what {} says, and nothing here proves it: --again does it anew",
            holder.name, holder.host, self.record.run
        );
        step::plain_line(&said)
    }
}

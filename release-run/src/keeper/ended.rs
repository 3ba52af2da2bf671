//! The end of a step: what its command has left becomes the step's document, or that of its failure.

use jiff::Timestamp;
use serde_json::Value;
use step::{Document, Failure};

use super::Loop;
use super::session::{AtWork, Session};
use crate::plan::Trust;
use crate::record::{Changes, FILE_LIMIT};

impl Session<'_> {
    /// The command has ended: what it has left is its document, or it has left none.
    pub(super) fn ended(&mut self, turn: &mut Loop, code: u8) -> u8 {
        let Some(AtWork { name, file, changes, claim, .. }) = self.at_work.take() else { return code };
        self.keeper.places.works(&self.record.run, None);
        let part = format!("{file}.part");
        let document = self.document(&part);
        let failure = document.as_ref().and_then(Document::failure);
        let acted = match (&document, failure) {
            (_, Some(failure)) => {
                failure.get("acted").and_then(Value::as_str).unwrap_or("unknown").to_owned()
            }
            (Some(document), None) => acted(document).to_owned(),
            (None, None) => "unknown".to_owned(),
        };
        let code = match (&document, failure) {
            (Some(_), None) if code == 0 => 0,
            // A failure is one whatever the command says, and so is no document.
            (Some(_), Some(_)) if code == 0 => 1,
            (None, _) if code == 0 => 65,
            _ => code,
        };
        match &document {
            Some(document) => {
                let (last, newest) = (self.last.clone(), self.newest.clone());
                if let Err(failure) = self.keep(&part, &file, code == 0) {
                    self.keeper.voice.error(&failure.message);
                    return 74;
                }
                if claim && code == 0 {
                    (self.last, self.newest) = (last, newest);
                    return self.heard_of_claim(document);
                }
                self.record.learn(document);
            }
            None => self.folder.remove(&part),
        }
        self.record.end(&name, &acted, Timestamp::now());
        self.save();
        if code == 0 {
            self.done_now.insert(name);
        }
        if changes == Changes::Aside && !self.stored_aside && self.lost.is_none() && !turn.in_flight {
            self.stored_aside = true;
            self.push(turn);
        }
        code
    }

    /// A step's document gets its name: that of the step, or of its failure.
    pub(super) fn keep(&mut self, part: &str, file: &str, good: bool) -> Result<(), Failure> {
        let failed = format!("{}.failed.json", file.trim_end_matches(".json"));
        if let (Trust::Own, Some(text)) =
            (self.trust, super::folder::read(&self.folder.path().join(part), FILE_LIMIT))
        {
            let name = if good { file } else { failed.as_str() };
            self.keeper.places.vouch(&self.record.run, name, text.as_bytes());
        }
        if good {
            self.folder.rename(part, file)?;
            self.folder.remove(&failed);
            self.last = Some(file.to_owned());
            self.newest = Some(file.to_owned());
            return Ok(());
        }
        // Where the run stands now is said once.
        let old = self.folder.documents().into_iter().filter(|name| name.ends_with(".failed.json"));
        old.for_each(|name| self.folder.remove(&name));
        self.folder.rename(part, &failed)?;
        self.newest = Some(failed);
        Ok(())
    }
}

/// What the last record of a document says about the world.
fn acted(document: &Document) -> &'static str {
    let last = document.steps().last().and_then(|r| r.get("status")).and_then(Value::as_str);
    match last {
        Some("unchanged" | "skipped" | "planned") => "no",
        Some("changed") => "yes",
        _ => "unknown",
    }
}

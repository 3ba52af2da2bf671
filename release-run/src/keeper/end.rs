//! The end of a run, whatever happened to its runbook: its documents are stored and its lock is given back, then the team is told.
//! Telling needs no code host.

use std::fs::File;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use step::Document;
use step::keeper::VARIABLE;

use super::Loop;
use super::folder::{Folder, Places, read};
use super::session::{Session, end_code};
use crate::lock::lease;
use crate::record::{FILE_LIMIT, State};

/// What is known in the folder once the team was told.
const TOLD: &str = "told";

impl Session<'_> {
    /// Ends the run; its exit code.
    pub fn wind_up(&mut self, turn: &mut Loop, code: Option<u8>) -> u8 {
        let code = match (self.complete, self.came) {
            // The runbook has said that it is at its end: whatever became of it after that, what was done is done.
            (true, _) => 0,
            (false, Some(signal)) => end_code(signal),
            (false, None) => code.unwrap_or(1),
        };
        if self.plan {
            self.said(code);
            return code;
        }
        self.record.close(if self.complete { State::Finished } else { State::Failed }, Timestamp::now());
        self.save();
        if self.complete {
            self.keeper.places.note_ended(&self.record.run);
        }
        self.give_back(turn);
        self.owe();
        self.said(code);
        if self.lost.is_none() {
            let notes: Vec<String> =
                self.missing().map(|(note, _)| note).into_iter().chain(self.notes.clone()).collect();
            let note = (!notes.is_empty()).then(|| notes.join("; "));
            tell(&self.folder, self.newest.as_deref(), (!self.complete).then_some(code), note);
        }
        code
    }

    /// Stores the run and gives its lock back, in one push.
    fn give_back(&mut self, turn: &mut Loop) {
        self.settle(turn);
        if self.lost.is_some() {
            self.note_lease(false);
            return;
        }
        for _ in 0..2 {
            let Some(shore) = &self.shore else { return };
            match shore.drafts(&self.record, &self.folder, false) {
                Ok(drafts) => turn.push(drafts),
                Err(failure) => return self.keeper.voice.error(&failure.message),
            }
            if self.settle(turn) || self.lost.is_some() {
                return self.note_lease(false);
            }
        }
        if let Some(shore) = &self.shore {
            let environment = &shore.environment;
            self.keeper.voice.warn(&format!("the lock of {environment} is not given back"));
            self.keeper.voice.say(&format!("next: {}", crate::lock::unlock(environment)));
        }
    }

    /// What a run that went without the remote has not put there, and what a person can do about it: where it wanted a hold.
    fn missing(&self) -> Option<(String, String)> {
        let environment = &self.record.environment;
        let wanted = self.shore.is_none() && !self.record.changes.is_empty() && self.owed.is_some();
        let words = ["release-run", "hold", "--env", environment, "--reason", step::REASON];
        wanted.then(|| {
            (
                format!("{environment} is NOT on hold: nothing keeps others from releasing"),
                step::shell::command(words),
            )
        })
    }

    /// A run that went without the remote is brought there by the next one from this clone.
    fn owe(&self) {
        let run = &self.record.run;
        if self.shore.is_some() {
            return;
        }
        if self.record.changes.is_empty() {
            return self.keeper.places.settled(run);
        }
        self.keeper.places.owe(run, self.owed.as_deref());
        self.keeper
            .voice
            .warn(&format!("runs/{run} is not on the remote; the next run there from this clone stores it"));
        if let Some((missing, hold)) = self.missing() {
            self.keeper.voice.warn(&format!("{missing}, until that run sets the hold, or you do ({hold})"));
        }
    }

    fn note_lease(&self, held: bool) {
        let Some(shore) = &self.shore else { return };
        if let Err(failure) = lease::write(&self.keeper.places.lease(&self.record.run), &shore.lease, held) {
            self.keeper.voice.warn(&failure.message);
        }
    }

    fn said(&self, code: u8) {
        if self.record.is_paused() && !self.plan {
            let off = crate::next::maintenance_off(&self.record.environment);
            let who = if self.complete {
                "nobody but a person allows it again, where it is set"
            } else {
                "this run goes on and allows it again when the right build runs, or a person does"
            };
            self.keeper.voice.warn(&format!("customers cannot write: {who} ({off})"));
        }
        let shown = self.folder.shown();
        if self.ended {
            if self.complete {
                let (holder, run) = (&self.record.holder, &self.record.run);
                let whose = step::plain_line(&format!("{} on {}", holder.name, holder.host));
                let said = format!(
                    "{run} was finished by {whose}, and what runs says the same: nothing to do (--again starts another)"
                );
                self.keeper.voice.say(&said);
            }
            return;
        }
        if self.complete {
            self.keeper.voice.say(&format!("done: {shown}"));
        } else if self.plan {
            self.keeper
                .voice
                .say(&format!("the plan stopped with exit {code}; {shown} has what was looked at"));
        } else if let Some(why) = &self.lost {
            self.keeper.voice.say(&format!("stopped with exit {code}: {why}; {shown} has what was done, and rilis-status says who has it now"));
        } else {
            let next = "has what was done, and the same command goes on from there";
            self.keeper.voice.say(&format!("stopped with exit {code}; {shown} {next}"));
        }
    }
}

/// Tells the team once; what notify says never changes how the run ended. `stopped` is the exit code of a run that is not at its end.
fn tell(folder: &Folder, newest: Option<&str>, stopped: Option<u8>, note: Option<String>) {
    let Some(input) = newest.and_then(|name| File::open(folder.path().join(name)).ok()) else { return };
    let mut command = Command::new("notify");
    // A step that died has left no document of its failure: the one before must not be taken for the end.
    let text = newest.and_then(|name| read(&folder.path().join(name), FILE_LIMIT)).unwrap_or_default();
    let says_so =
        Document::parse_from("it", text.as_bytes()).is_ok_and(|document| document.failure().is_some());
    if let Some(code) = stopped.filter(|_| !says_so) {
        command.arg(format!("--stopped={code}"));
    }
    command.args(note.map(|note| format!("--note={note}")));
    let output = command
        .env_remove(VARIABLE)
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output);
    if let Ok(output) = output {
        if !output.stdout.is_empty() {
            // It was told, whether that can be noted down or not.
            let _ = folder.write("notify.json", &output.stdout);
        }
        let _ = folder.write(TOLD, b"");
    }
}

/// A run that ended here and was killed before anybody was told of it.
pub fn tell_belated(done: &Folder, places: &Places) {
    let name = done.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Where another machine has finished it, that one has told; what lies here is older.
    if !places.has_ended_here(&name) || done.has(TOLD) {
        return;
    }
    let newest = done.documents().into_iter().rfind(|name| name != "notify.json");
    tell(done, newest.as_deref(), None, None);
}

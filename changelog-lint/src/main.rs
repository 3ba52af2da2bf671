//! Checks the changelog and opens a release with the version's notes. It only looks: nothing is changed anywhere.

mod args;
mod changelog;
mod file;
mod plan;
mod version;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command};
use serde_json::json;
use step::{Answer, Common, Context, Failure, Outcome, Program, Run};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        changelog-lint                                   check the newest version of CHANGELOG.md
        changelog-lint --release 1.2.0 CHANGELOG.md      check that 1.2.0 can be released
        changelog-lint notes 1.2.0                       print the notes of 1.2.0
        changelog-lint | tag-rc candidate | notify       open a document and hand it on";
    const KEYS: &'static [&'static str] = &[];
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        self.command.as_ref().map(|Command::Notes { .. }| "notes")
    }

    fn is_question(&self) -> bool {
        self.command.is_some()
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let file = file::read(&self.file(&run.context)?)?;
        let changelog = changelog::parse(&file.text);
        let wanted: Option<String> = run.fact("version")?;
        let section = plan::choose(&changelog, wanted.as_deref()).map_err(|finding| {
            run.context.voice.block(&file.show(&finding, run.context.voice.colour()));
            file.failure(&finding)
        })?;
        for finding in plan::warnings(&changelog, section) {
            run.context.voice.block(&file.show(&finding, run.context.voice.colour()));
        }
        let notes = changelog.notes(section);
        run.set("version", &section.version)?;
        run.set("notes", &notes.text)?;
        if notes.cut {
            run.set("notes_cut", true)?;
            run.context.voice.warn("the notes are longer than 32 KiB and were cut at an entry");
        }
        let version = &section.version;
        let entries = changelog.entries(section).count();
        let word = if entries == 1 { "entry" } else { "entries" };
        let summary = format!("{} describes {version} in {entries} {word}", file.name);
        Ok(Outcome::unchanged(summary)
            .output("entries", entries)
            .output("line", file.line(section.heading.start)))
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        let Some(Command::Notes { version, .. }) = &self.command else {
            return Err(Failure::bug("the only question is `notes`"));
        };
        let file = file::read(&self.file(context)?)?;
        let changelog = changelog::parse(&file.text);
        let section = plan::find(&changelog, version).map_err(|finding| {
            context.voice.block(&file.show(&finding, context.voice.colour()));
            file.failure(&finding)
        })?;
        let notes = changelog.whole_notes(section);
        let value = json!({ "version": section.version, "date": section.date(&file.text), "notes": notes });
        Ok(Answer::new(notes, value))
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let path = self.file(context)?;
        let as_setting = |failure: Failure| Failure::config(&failure.reason, failure.message);
        let file = file::read(&path).map_err(as_setting)?;
        let versions = changelog::parse(&file.text).releases.len();
        let text = format!("{} can be read and has {versions} versions", file.name);
        Ok(Answer::new(text, json!({ "file": file.name, "versions": versions })))
    }
}

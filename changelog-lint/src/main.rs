//! Checks the changelog and opens a release with the version's notes.

mod args;
mod file;
mod git;
mod lint;
mod plan;
mod promote;
mod questions;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command};
use step::{Answer, Ask, Common, Context, Failure, Outcome, Program, Run, Setting};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        changelog-lint                                   check CHANGELOG.md
        changelog-lint --fix                             and repair what is certain
        changelog-lint --report sarif=lint.sarif         and write a report
        changelog-lint --base origin/main                in a pull request: new entries must be unreleased
        changelog-lint --release 1.2.0                   check that 1.2.0 can be released
        changelog-lint notes 1.2.0                       print the notes of 1.2.0
        changelog-lint promote 1.2.0                     Unreleased becomes 1.2.0, dated today
        changelog-lint rule CL201                        explain a rule
        changelog-lint | tag-rc candidate | notify       open a document and hand it on";
    const SETTINGS: &'static [Setting] = args::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        self.command.as_ref().map(|command| match command {
            Command::Notes { .. } => "notes",
            Command::Promote { .. } => "promote",
            Command::Rule { .. } => "rule",
        })
    }

    fn ask(&self) -> Ask {
        match self.command {
            Some(Command::Notes { .. } | Command::Rule { .. }) => Ask::Question,
            _ if self.lint.diff || self.stdout_report().is_some() => Ask::Report,
            _ => Ask::Step,
        }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        match &self.command {
            Some(Command::Promote { version, date, .. }) => {
                promote::run(self, run, version.as_deref(), *date)
            }
            _ => lint::run(self, run),
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        match &self.command {
            Some(Command::Notes { version, .. }) => questions::notes(self, context, version),
            Some(Command::Rule { id }) => questions::rule(id.as_deref()),
            _ if self.lint.diff => lint::diff(self, context),
            _ => lint::report(self, context),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        questions::check(self, context)
    }
}

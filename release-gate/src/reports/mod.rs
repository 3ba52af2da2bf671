//! What test runners and linters write, read into one form. The format is told by the content, not by the file's name.
//!
//! A report is read once, as a stream, and nothing of it is kept but counts, names, places and the beginnings of messages: `source` opens it,
//! `shortened` takes from its JSON what nobody reads, `fold` adds up lists without keeping them, and a `draft` becomes the report, with everything
//! redacted on the way. Each tool has a module that knows how its reports look green although nothing was proven.

mod attributes;
mod draft;
mod eslint;
mod fold;
mod hidden;
mod json;
mod junit;
mod newman;
mod playwright;
mod sensitive;
mod shortened;
mod source;
#[cfg(test)]
mod tests;
mod unfolded;
mod vitest;

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What made a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    Eslint,
    /// Vitest or Jest: they write the same.
    Vitest,
    Playwright,
    Newman,
    Junit,
}

/// One thing that is wrong, without anything that may be a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// The test's name, or the linter's rule.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// At most 300 characters, redacted.
    pub message: String,
}

/// A report in one form, whatever wrote it. Where its numbers disagree, the worse one is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub tool: Tool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Tests, assertions or linted files that the report speaks of: those that passed, failed, were flaky or were skipped.
    pub total: u64,
    /// Passed at once.
    pub passed: u64,
    pub failed: u64,
    /// Passed, but only when they were run again; not among those that passed.
    #[serde(default)]
    pub flaky: u64,
    /// Did not run, whether they were meant to or not.
    #[serde(default)]
    pub skipped: u64,
    #[serde(default)]
    pub warnings: u64,
    /// What went wrong outside of any test: a file that could not be loaded, a run that was cut short. At least one makes it no pass.
    #[serde(default)]
    pub outside: u64,
    /// The first of what is wrong: outside of any test, then what failed, then what was flaky.
    #[serde(default)]
    pub wrong: Vec<Wrong>,
}

/// Reads a file. What comes back otherwise is a sentence that says why it is no report.
pub fn read(path: &Path) -> Result<Report, String> {
    let report = source::open(path).and_then(|file| parse(file, &source::root()));
    report.map_err(|why| format!("the report is {why}"))
}

/// Reads what begins with JSON or XML. Files below `root` are named from there. What comes back otherwise goes on behind `it is`.
pub fn parse(reader: impl Read, root: &Path) -> Result<Report, String> {
    let (mut source, first) = source::begin(reader)?;
    let (tool, draft) = match first {
        b'[' | b'{' => json::parse(source, first)?,
        b'<' => (Tool::Junit, junit::parse(source)?),
        _ => return Err(source::unknown(&mut source)),
    };
    Ok(draft.report(tool, root))
}

impl Report {
    /// How many ran, however they ended.
    pub fn ran(&self) -> u64 {
        self.passed.saturating_add(self.failed).saturating_add(self.flaky)
    }

    /// Why it is no pass for a command that ended with this code, whatever a policy says about flaky and skipped tests; nothing if all that ran
    /// passed, and something ran.
    pub fn trouble(&self, exit_code: i32) -> Option<String> {
        let first = self.wrong.first().map(Wrong::sentence).unwrap_or_default();
        if self.outside > 0 {
            let errors = counted(self.outside, "error");
            let tests = if self.failed > 0 {
                format!(", and {} of {} failed", self.failed, self.things())
            } else {
                String::new()
            };
            return Some(format!("{errors} outside of any test{tests}{first}"));
        }
        if self.failed > 0 {
            return Some(format!("{} of {} failed{first}", self.failed, self.things()));
        }
        if exit_code != 0 {
            return Some(format!(
                "exit code {exit_code} although the report names no failure{}",
                self.hint()
            ));
        }
        match (self.ran(), self.skipped) {
            (0, 0) => Some("nothing ran: the report is empty".into()),
            (0, _) => Some(format!("nothing ran: everything was skipped ({})", self.things())),
            _ => None,
        }
    }

    /// What else may have made a command fail.
    fn hint(&self) -> String {
        match (self.flaky, self.warnings) {
            (0, 0) => String::new(),
            (0, warnings) => format!(", only {}", counted(warnings, "warning")),
            (flaky, _) => format!(", only {}", counted(flaky, "flaky test")),
        }
    }

    fn things(&self) -> String {
        counted(
            self.total,
            match self.tool {
                Tool::Eslint => "file",
                Tool::Newman => "assertion",
                _ => "test",
            },
        )
    }
}

impl Wrong {
    /// To go on behind what it is an example of.
    fn sentence(&self) -> String {
        match (self.name.is_empty(), self.message.is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!(": {}", self.name),
            (true, false) => format!(": {}", self.message),
            (false, false) => format!(": {}: {}", self.name, self.message),
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

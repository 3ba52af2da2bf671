//! ESLint: a list of linted files, or an object with it. A crash leaves no report at all, and a file that was ignored looks like a clean one with a
//! warning.

use serde::Deserialize;

use super::Wrong;
use super::draft::Draft;
use super::fold::{Folded, Part, Text};

/// What ESLint says of a file that it was told to lint and did not.
const IGNORED: &str = "File ignored";

/// One linted file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    file_path: Text,
    messages: Folded<Messages, Message>,
    error_count: u64,
    #[serde(default)]
    fatal_error_count: u64,
    #[serde(default)]
    warning_count: u64,
}

#[derive(Default)]
struct Messages {
    errors: Draft,
    warnings: u64,
    ignored: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default)]
    rule_id: Text,
    severity: u8,
    #[serde(default)]
    fatal: Option<bool>,
    #[serde(default)]
    message: Text,
    #[serde(default)]
    line: Option<u64>,
}

impl Part<Messages> for Message {
    fn add_to(self, sum: &mut Messages) {
        if self.severity > 1 || self.fatal == Some(true) {
            let name = if self.fatal == Some(true) { "no valid source".into() } else { self.rule_id.0 };
            sum.errors.failed(Wrong { name, file: None, line: self.line, message: self.message.0 });
        } else {
            sum.warnings = sum.warnings.saturating_add(1);
            sum.ignored |=
                self.rule_id.0.is_empty() && self.line.is_none() && self.message.0.starts_with(IGNORED);
        }
    }
}

impl Part<Draft> for File {
    fn add_to(self, sum: &mut Draft) {
        let Messages { mut errors, warnings, ignored } = self.messages.0;
        errors.within("", &self.file_path, None);
        let count = errors.counts.failed.max(self.error_count).max(self.fatal_error_count);
        // Not its errors are counted, but the file that has them.
        errors.counts.failed = 0;
        if count > 0 && errors.is_silent() {
            let message = format!("{count} errors that the report does not list");
            errors.also(Wrong { file: self.file_path.some(), message, ..Wrong::default() });
        }
        sum.add(errors);
        sum.warnings = sum.warnings.saturating_add(warnings.max(self.warning_count));
        let end = match (count, ignored) {
            (0, false) => &mut sum.counts.passed,
            (0, true) => &mut sum.counts.skipped,
            _ => &mut sum.counts.failed,
        };
        *end = end.saturating_add(1);
    }
}

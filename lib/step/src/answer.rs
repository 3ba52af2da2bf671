//! What a step comes back with when it did not stop: an outcome for the document's record, or, from a question
//! subcommand, an answer for stdout.

use serde_json::{Map, Value};

/// How a step ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The world is different now.
    Changed,
    /// It was already so.
    Unchanged,
    /// Plan mode: this is what would be done.
    Planned,
    /// There was nothing to do here, and the summary says why.
    Skipped,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Status::Changed => "changed",
            Status::Unchanged => "unchanged",
            Status::Planned => "planned",
            Status::Skipped => "skipped",
        }
    }
}

/// A step that ended well: its status, one sentence for people, and what else is worth keeping.
#[derive(Debug)]
pub struct Outcome {
    pub(crate) status: Status,
    pub(crate) summary: String,
    pub(crate) output: Map<String, Value>,
}

impl Outcome {
    /// An outcome with its one sentence for people.
    pub fn new(status: Status, summary: impl Into<String>) -> Self {
        Outcome { status, summary: summary.into(), output: Map::new() }
    }

    /// The world is different now.
    pub fn changed(summary: impl Into<String>) -> Self {
        Self::new(Status::Changed, summary)
    }

    /// It was already so.
    pub fn unchanged(summary: impl Into<String>) -> Self {
        Self::new(Status::Unchanged, summary)
    }

    /// Plan mode: what would be done.
    pub fn planned(summary: impl Into<String>) -> Self {
        Self::new(Status::Planned, summary)
    }

    /// Nothing to do here; the summary says why.
    pub fn skipped(summary: impl Into<String>) -> Self {
        Self::new(Status::Skipped, summary)
    }

    /// Another status with the same sentence.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Adds something to the record's `output`.
    #[must_use]
    pub fn output(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.output.insert(key.to_owned(), value.into());
        self
    }
}

/// What a question subcommand or `--check` says on stdout: text for people, and with `--json` a value for programs.
#[derive(Debug)]
pub struct Answer {
    pub(crate) text: String,
    pub(crate) value: Value,
    pub(crate) failure: Option<crate::Failure>,
    pub(crate) code: Option<u8>,
}

impl Answer {
    /// An answer in both forms; `text` needs no newline at its end.
    pub fn new(text: impl Into<String>, value: impl Into<Value>) -> Self {
        Answer { text: text.into(), value: value.into(), failure: None, code: None }
    }

    /// The answer is shown, and the program still exits as this failure says (a verdict of "no").
    #[must_use]
    pub fn but(mut self, failure: crate::Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// Nothing is shown, and the program ends as the one ended that it ran.
    pub fn ended(code: u8) -> Self {
        Answer { text: String::new(), value: Value::Null, failure: None, code: Some(code) }
    }
}

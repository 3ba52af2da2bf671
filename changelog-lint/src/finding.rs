//! What a rule finds: a sentence, its place, what to do, and an exact repair where one is certain.

use crate::changelog::Span;
use crate::rules::Rule;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not reported.
    Off,
    /// Worth a look.
    Warning,
    /// Wrong.
    Error,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// One replacement of a range of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// A repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Whether it cannot change what the file says.
    pub safe: bool,
    /// Its edits; none overlaps another.
    pub edits: Vec<Edit>,
}

/// Another place that belongs to a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// Why.
    pub label: String,
}

/// Something that a rule has found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How much it weighs, by profile and settings.
    pub level: Level,
    /// One sentence.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Another place.
    pub related: Option<Related>,
    /// What to do.
    pub help: Option<String>,
    /// A repair.
    pub fix: Option<Fix>,
    /// The section that it lies in or speaks of.
    pub section: Option<String>,
}

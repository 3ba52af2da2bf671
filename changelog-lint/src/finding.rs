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

/// A finding before its rule and its level are known.
#[derive(Clone, Debug)]
pub struct Hit {
    pub(crate) message: String,
    pub(crate) span: Span,
    pub(crate) related: Option<Related>,
    pub(crate) help: Option<String>,
    pub(crate) fix: Option<Fix>,
    pub(crate) section: Option<String>,
    /// At most this much, whatever the profile says.
    pub(crate) at_most: Level,
    /// At least this much, if the rule is on.
    pub(crate) at_least: Level,
}

impl Hit {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Hit {
            message,
            span,
            related: None,
            help: None,
            fix: None,
            section: None,
            at_most: Level::Error,
            at_least: Level::Off,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some(Related { span, label: label.into() });
        self
    }

    /// A repair that cannot change what the file says.
    pub(crate) fn safe(self, span: Span, text: impl Into<String>) -> Self {
        self.fix(true, vec![Edit { span, text: text.into() }])
    }

    /// A repair that a person should look at.
    pub(crate) fn unsafe_(self, span: Span, text: impl Into<String>) -> Self {
        self.fix(false, vec![Edit { span, text: text.into() }])
    }

    pub(crate) fn fix(mut self, safe: bool, edits: Vec<Edit>) -> Self {
        self.fix = Some(Fix { safe, edits });
        self
    }

    pub(crate) fn section(mut self, name: &str) -> Self {
        self.section = Some(name.to_owned());
        self
    }

    pub(crate) fn warning_if(mut self, light: bool) -> Self {
        if light {
            self.at_most = Level::Warning;
        }
        self
    }

    pub(crate) fn error_if(mut self, heavy: bool) -> Self {
        if heavy {
            self.at_least = Level::Error;
        }
        self
    }

    /// The finding; `told` when the level was set for this rule and not by its profile.
    pub(crate) fn of(self, rule: &'static Rule, level: Level, told: bool) -> Finding {
        let Hit { message, span, related, help, fix, section, at_most, at_least } = self;
        Finding {
            rule,
            level: if told { level } else { level.min(at_most).max(at_least) },
            message,
            span,
            related,
            help,
            fix,
            section,
        }
    }
}

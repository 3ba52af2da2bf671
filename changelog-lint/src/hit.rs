//! A finding before its rule and its level are known: what a rule returns.

use crate::changelog::Span;
use crate::finding::{Edit, Finding, Fix, Level, Related};
use crate::rules::Rule;

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

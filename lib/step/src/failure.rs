//! Why a step stopped, said so that a person and a script can both act on it: what kind, a stable word, whether
//! anything was changed, what to do next. The exit codes hang on the kind and are [`Exit`]'s.

use std::ops::{Deref, DerefMut};

use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::readable::readable;
use crate::scrub;

/// How many causes a failure carries at most.
const CAUSES: usize = 20;

/// What the caller can do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It looked and did nothing.
    Refused,
    /// It was tried and did not work.
    Failed,
    /// The command line is wrong.
    Usage,
    /// A setting or a secret is missing or wrong.
    Config,
    /// Running it again may work.
    Temporary,
    /// This program is wrong.
    Bug,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Refused => "refused",
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Config => "config",
            Kind::Temporary => "temporary",
            Kind::Bug => "bug",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Kind::Refused | Kind::Failed => Exit::Failed,
            Kind::Usage => Exit::Usage,
            Kind::Bug => Exit::Bug,
            Kind::Temporary => Exit::Temporary,
            Kind::Config => Exit::Config,
        }
    }
}

/// Whether the outside world was changed: the first thing to know at 3 am.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// Nothing was changed.
    No,
    /// Something was changed.
    Yes,
    /// A request went out and its outcome is not known.
    Unknown,
}

impl Acted {
    fn word(self) -> &'static str {
        match self {
            Acted::No => "no",
            Acted::Yes => "yes",
            Acted::Unknown => "unknown",
        }
    }
}

/// A step that stopped. Built by the constructor of its kind, then refined: `Failure::failed("push-rejected", "...").acted(Acted::No).next("...")`.
///
/// One word wide: it is handed up through every call that can fail, and is made once in the life of a process.
#[derive(Clone, Debug)]
pub struct Failure(Box<Told>);

/// What a failure tells.
#[derive(Clone, Debug)]
pub struct Told {
    /// What the caller can do.
    pub kind: Kind,
    /// The step's own stable word, listed in its README.
    pub reason: String,
    /// Whether anything was changed.
    pub acted: Acted,
    /// One sentence for people, naming the place and the remedy.
    pub message: String,
    /// What lies behind it, at most 20 lines.
    pub causes: Vec<String>,
    /// A command that can be pasted.
    pub next: Option<String>,
    /// What the step already knows, for its record.
    pub output: Map<String, Value>,
    /// Whether message and causes have been shown already, in a better form: nobody wants to read them twice.
    pub shown: bool,
    code: u8,
}

impl Deref for Failure {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

impl Failure {
    fn new(kind: Kind, reason: &str, message: &str) -> Self {
        Failure(Box::new(Told {
            kind,
            reason: reason.to_owned(),
            acted: Acted::No,
            message: readable(message),
            causes: Vec::new(),
            next: None,
            output: Map::new(),
            shown: false,
            code: kind.exit().code(),
        }))
    }

    /// It looked and did nothing: a person decides.
    pub fn refused(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, reason, &message.into())
    }

    /// It was tried and did not work; say with [`Failure::acted`] whether anything changed.
    pub fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, reason, &message.into())
    }

    /// The command line is wrong in a way that only the step can see.
    pub fn usage(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, reason, &message.into())
    }

    /// A setting or a secret is missing or wrong.
    pub fn config(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Config, reason, &message.into())
    }

    /// Running it again may work.
    pub fn temporary(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Kind::Temporary, reason, &message.into())
    }

    /// Something that cannot happen did.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(Kind::Bug, "bug", &message.into())
    }

    /// Whether the time was over, the step's own or that of one request.
    pub fn is_deadline(&self) -> bool {
        self.reason == "deadline"
    }

    /// Whether a signal came.
    pub fn is_interrupted(&self) -> bool {
        self.reason == "interrupted"
    }

    /// SIGHUP (129), SIGINT (130) or SIGTERM (143) came.
    pub(crate) fn interrupted(signal: i32) -> Self {
        let (name, code) = match signal {
            signal_hook::consts::SIGTERM => ("SIGTERM", 143),
            signal_hook::consts::SIGHUP => ("SIGHUP", 129),
            _ => ("SIGINT", 130),
        };
        let mut failure =
            Self::new(Kind::Temporary, "interrupted", &format!("interrupted by {name}; run it again"));
        failure.code = code;
        failure
    }

    /// Whether anything was changed.
    #[must_use]
    pub fn acted(mut self, acted: Acted) -> Self {
        self.acted = acted;
        self
    }

    /// A command that can be pasted, word by word: a name from outside stays one word, whatever is in it.
    #[must_use]
    pub fn command<W: AsRef<str>>(self, words: impl IntoIterator<Item = W>) -> Self {
        self.next(crate::shell::command(words))
    }

    /// A command that can be pasted as it is: fixed words, or what [`crate::shell`] made. With a name from outside in it, say
    /// [`Failure::command`].
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// Adds what lies behind it, one line each; only the last 20 lines are kept.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "an error is most easily given away")]
    pub fn cause(mut self, text: impl ToString) -> Self {
        self.causes
            .extend(readable(&text.to_string()).lines().filter(|l| !l.trim().is_empty()).map(str::to_owned));
        let surplus = self.causes.len().saturating_sub(CAUSES);
        self.causes.drain(..surplus);
        self
    }

    /// Message and causes have been shown already: on stderr only the rest is said.
    #[must_use]
    pub fn already_shown(mut self) -> Self {
        self.shown = true;
        self
    }

    /// Adds something to the record's `output`.
    #[must_use]
    pub fn output(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.output.insert(key.to_owned(), value.into());
        self
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.code
    }

    /// The document's `failure` object. Message and causes quote others, whose secrets are known by their shape only.
    pub(crate) fn to_value(&self, step: &str) -> Value {
        let mut value = json!({
            "step": step, "kind": self.kind.word(), "reason": self.reason, "code": self.code,
            "acted": self.acted.word(), "message": scrub(&self.message),
        });
        if !self.causes.is_empty() {
            value["causes"] = json!(scrub(&self.causes.join("\n")).lines().collect::<Vec<_>>());
        }
        if let Some(next) = &self.next {
            value["next"] = json!(next);
        }
        value
    }
}

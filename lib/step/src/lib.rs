//! What every step of a release shares: the document that the steps hand on, and the one `main` that reads it,
//! runs the step and writes it.
//!
//! A step is a type that parses the command line and implements [`Program`]; its `main` is one line,
//! `step::main::<Args>()`. Everything that touches stdin, stdout, stderr, signals and exit codes happens here, so that
//! all steps behave alike. The rules are in `docs/document.md`.

mod answer;
mod board;
mod cli;
mod context;
mod deadline;
mod document;
mod exit;
mod failure;
mod input;
mod interrupt;
pub mod keeper;
mod manual;
mod misuse;
mod output;
mod plain;
mod procedure;
mod process;
mod readable;
mod reason;
mod redact;
mod retry;
mod run;
mod secret;
mod settings;
pub mod shell;
mod voice;

pub use answer::{Answer, Outcome, Status};
pub use cli::Common;
pub use context::{Context, Permit};
pub use deadline::{Deadline, ago, human, parse_duration};
pub use document::Document;
pub use exit::Exit;
pub use failure::{Acted, Failure, Kind, Told};
pub use plain::{plain, plain_line};
pub use procedure::Procedure;
pub use process::{Ask, Program, main};
pub use readable::json_trouble;
pub use reason::{REASON, reason};
pub use redact::{Lines, excerpt, redact, redact_cut, scrub, scrub_value};
pub use retry::{Again, again, backoff};
pub use run::Run;
pub use secret::Secret;
pub use settings::{ADDRESS, Form, FromSetting, Kind as SettingKind, PAGE, Setting, Settings};
pub use voice::Voice;

//! The migrations between two builds, as git and the database have them, and what each means for the previous build.

mod directive;
mod lex;
mod names;
mod range;
mod sql;
mod statements;

pub use lex::Unreadable;
pub use names::{Named, Runner, Up};
pub use range::{Applied, File, Range, commit, paths, read};
pub use sql::{Class, Finding, Judge};
pub use statements::{Statement, statements};

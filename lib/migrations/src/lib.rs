//! The migrations between two builds, as git and the database have them, and what each means for the previous build.

mod range;
mod sql;

pub use range::{Applied, File, Range, commit, paths, read};
pub use sql::{Class, Finding, Judge};

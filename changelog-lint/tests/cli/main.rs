//! The real program, by subject; and the library below it (`rules`).

mod branches;
mod document;
mod reports;
mod rules;
mod support;
mod trials;
mod writing;

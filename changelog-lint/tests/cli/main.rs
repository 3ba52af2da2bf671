//! The real program, by subject.

mod branches;
mod document;
mod reports;
mod support;
mod trials;
mod writing;

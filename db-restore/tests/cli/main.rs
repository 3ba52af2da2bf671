//! The real binary against a real PostgreSQL, a module a subject.

mod applied;
mod claims;
mod common;
mod equals;
mod foreign;
mod guard;
mod hard;
mod loss;
mod manifest;
#[cfg(feature = "matrix")]
mod matrix;
mod odd;
mod properties;
mod sources;
mod supabase;
mod terminal;
mod unwritten;
mod whole;

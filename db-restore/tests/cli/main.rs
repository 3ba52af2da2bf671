//! The real binary against a real PostgreSQL, a module a subject.

mod applied;
mod claims;
#[path = "../common/mod.rs"]
mod common;
mod equals;
mod foreign;
mod hard;
mod loss;
mod manifest;
mod properties;
mod sources;
mod supabase;
mod terminal;
mod unwritten;
mod whole;

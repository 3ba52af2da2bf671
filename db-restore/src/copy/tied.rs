//! Extensions that are bound to one database, so that a copy beside it cannot have them.

/// What is made in one database of a server only, and nothing depends on it: a copy is restored without it.
pub const LEFT_OUT: &[&str] = &["pg_cron"];
/// What cannot be taken out of a dump: its tables would be no tables of its any more.
pub const NEVER: &[&str] = &["timescaledb", "citus"];

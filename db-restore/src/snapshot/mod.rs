//! Snapshots: how one is taken, what it says of itself, and when it is removed.

pub mod dump;
pub mod folder;
pub mod header;
pub mod manifest;
pub mod origin;
pub mod prune;

pub use dump::run;

//! Evidence: what was tested, on which tree, with what outcome; on the release remote, signed.

pub mod entry;
pub mod store;

//! What can be asked without tagging anything; nothing here changes a byte.

pub mod branches;
mod claims;
pub mod list;
pub mod verify;

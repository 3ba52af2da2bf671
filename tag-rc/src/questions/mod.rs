//! What can be asked without tagging anything; nothing here changes a byte.

pub mod branches;
pub mod list;
pub mod verify;

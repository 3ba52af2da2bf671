//! What a person asks for, a file each: a message of their own, a look at a message before it is sent, the outbox, the check, the
//! templates.

mod check;
mod outbox;
mod preview;
mod send;
mod templates;

pub use check::{check, ready};
pub use outbox::{flush, outbox};
pub use preview::preview;
pub use send::send;
pub use templates::templates;

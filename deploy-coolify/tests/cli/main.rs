//! The real program against the stand-in Coolify.

mod check;
mod deploy;
mod endings;
mod lies;
mod patience;
mod proof;
mod restore;
mod rollback;
mod sandbox;
mod several;
mod support;
mod tested;

//! The real program against the stand-in Coolify.

mod attach;
mod check;
mod deploy;
mod endings;
mod lies;
mod pages;
mod patience;
mod proof;
mod restore;
mod rollback;
mod sandbox;
mod several;
mod support;
mod tested;

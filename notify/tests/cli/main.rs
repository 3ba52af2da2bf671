//! The real binary against the stand-ins, a module a subject.

mod channels;
mod delivery;
mod golden;
mod lives;
mod place;
mod secrets;
mod settings;
mod support;
mod sweep;
mod told;
mod topics;

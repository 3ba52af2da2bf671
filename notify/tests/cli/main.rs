//! The real binary against the stand-ins, a module a subject.

mod channels;
mod delivery;
mod golden;
mod support;
mod told;

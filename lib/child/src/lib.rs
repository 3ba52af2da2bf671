//! Programs that a step starts: attended under its deadline, ended with whatever they have started, and what they say steers no terminal.

mod attend;
mod group;

pub use attend::{Limits, Said, attend, attend_while, attend_within};
pub use group::{alone, start};

//! All programs together: by hand in a pipe, and by the runbooks, on real parts and with stand-ins for what no machine can run.

mod ci;
mod claims;
mod contract;
mod conversations;
mod gates;
mod hostile;
mod incidents;
mod machines;
mod pipe;
mod promotion;
mod rehearsal;
mod runbooks;
mod scenarios;
mod secrets;
mod settings;
mod story;
mod ways_back;

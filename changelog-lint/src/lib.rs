//! The changelog of a project as data: a parser for every style that people write, rules that say what is wrong with it, exact
//! repairs, and the notes of a version. Pure: no file, no clock, no process; the program around it is `main.rs`.

pub mod changelog;
mod claim;
pub mod date;
mod disable;
pub mod finding;
pub mod findings;
pub mod fix;
mod hit;
pub mod host;
pub mod links;
pub mod lookalikes;
pub mod manner;
pub mod names;
pub mod notes;
pub mod promotion;
pub mod report;
pub mod rules;
mod sections;
pub mod show;
mod source;
pub mod text;
pub mod title;
pub mod version;
mod words;

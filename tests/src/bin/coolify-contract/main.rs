//! Holds the stand-in Coolify and our own requests against the real one: `coolify-contract OPENAPI PROGRAM [CAPTURES]`. OPENAPI is
//! Coolify's official schema, CAPTURES a folder of answers that a real Coolify has given. Where one of them is known to be another, the
//! difference is listed by name; one that no longer shows is an error too.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, outside of the shared main"
)]

mod captures;
mod schema;
mod stage;

use std::collections::BTreeSet;
use std::process::ExitCode;

/// What a check has found: the differences that are known, and why; those that showed; and those that nobody knew.
pub struct Found {
    list: &'static [(&'static str, &'static str)],
    known: BTreeSet<&'static str>,
    unknown: BTreeSet<String>,
}

impl Found {
    /// Says what was found; whether all is as it should be.
    fn is_good(&self) -> bool {
        for (name, why) in self.list.iter().filter(|(name, _)| self.known.contains(name)) {
            println!("coolify-contract: known difference: {name}: {why}");
        }
        for place in &self.unknown {
            eprintln!("coolify-contract: {place}");
        }
        let gone = self.list.iter().filter(|(name, _)| !self.known.contains(name));
        let mut good = self.unknown.is_empty();
        for (name, _) in gone {
            eprintln!("coolify-contract: {name}: the known difference no longer shows: take it off the list");
            good = false;
        }
        good
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (schema, program, captures) = match &words[..] {
        [schema, program] => (schema, program, None),
        [schema, program, captures] => (schema, program, Some(captures)),
        _ => {
            eprintln!("usage: coolify-contract OPENAPI PROGRAM [CAPTURES]");
            return ExitCode::from(2);
        }
    };
    let mut good = schema::check(schema, program).is_good();
    if let Some(folder) = captures {
        let (found, held) = captures::check(std::path::Path::new(folder));
        good &= found.is_good();
        println!("coolify-contract: the stand-in was held against {held} answers of a real Coolify");
        good &= held > 0;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

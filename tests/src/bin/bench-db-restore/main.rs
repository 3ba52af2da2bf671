//! Measures db-restore beside bare pg_dump, pg_restore and a copy of the files: on a database of about 1.5 GB, on one of 3,000 tables, and on a
//! small one that is 30 ms away. Prints Markdown; `scripts/bench-db-restore` writes it to docs/benchmarks-db-restore.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

mod far;
mod large;
mod measure;
mod tables;

/// Each thing is done so often unless the one argument says how often; the median counts.
const ROUNDS: usize = 3;

fn main() {
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |n| n.parse().expect("how many rounds"));
    large::run(rounds);
    tables::run(rounds);
    far::run(rounds);
}

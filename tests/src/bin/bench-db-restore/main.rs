//! Measures db-restore beside bare pg_dump, pg_restore and a copy of the files: on a database of about 1.5 GB, on one of 3,000 tables, and on a
//! small one that is 30 ms away. Prints Markdown; `scripts/bench-db-restore` writes it to docs/benchmarks-db-restore.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

mod far;
mod large;
mod measure;
mod tables;

/// Each thing is done so often unless the first argument says how often; the median counts. A second one names a part: large, tables, far.
const ROUNDS: usize = 3;

fn main() {
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |n| n.parse().expect("how many rounds"));
    match std::env::args().nth(2).as_deref() {
        Some("large") => large::run(rounds),
        Some("tables") => tables::run(rounds),
        Some("far") => far::run(rounds),
        _ => {
            large::run(rounds);
            tables::run(rounds);
            far::run(rounds);
        }
    }
}

//! Every trap that a report may be, on reports that the tools themselves have written: `tests/samples`.

mod hostile;
mod samples;
mod secrets;
mod size;
mod traps;

use std::path::{Path, PathBuf};

use super::{Report, parse};

/// The samples, by name.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

fn sample(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn all() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("samples");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(names.len() > 20, "only {names:?}");
    names
}

fn parsed(text: &str) -> Result<Report, String> {
    parse(text.as_bytes(), Path::new("/srv/shop"))
}

/// Passed, failed, flaky, skipped, warnings, and what went wrong outside of any test.
fn numbers(report: &Report) -> [u64; 6] {
    [report.passed, report.failed, report.flaky, report.skipped, report.warnings, report.outside]
}

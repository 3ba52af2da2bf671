//! A report of 50 MB. `cargo test --release -p release-gate large_report -- --ignored --nocapture` says what it costs; `scripts/bench-release-gate`
//! measures the program itself.

use std::io::{BufWriter, Write};
use std::time::Instant;

use super::super::{Tool, read};
use super::numbers;

fn large(bytes: u64) -> (tempfile::NamedTempFile, testkit::reports::Written) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut out = BufWriter::new(&file);
    let written = testkit::reports::playwright(&mut out, bytes).expect("written");
    out.flush().expect("written");
    drop(out);
    (file, written)
}

#[test]
fn a_generated_report_is_counted() {
    let (file, written) = large(1 << 20);
    let report = read(file.path()).expect("a report");
    assert_eq!(report.tool, Tool::Playwright);
    let [passed, failed, flaky, skipped] = written.tests;
    assert_eq!(numbers(&report), [passed, failed, flaky, skipped, 0, 0]);
    assert!(passed > 50 && failed > 0 && flaky > 0 && skipped > 0, "{written:?}");
    assert!(file.as_file().metadata().is_ok_and(|about| about.len() >= 1 << 20));
}

#[test]
#[ignore = "says what 50 MB cost, in a release build"]
fn a_large_report_is_read_at_once() {
    let (file, written) = large(50 << 20);
    let before = status("VmHWM");
    let begun = Instant::now();
    let report = read(file.path()).expect("a report");
    let took = begun.elapsed();
    assert_eq!(report.passed, written.tests[0]);
    println!("{took:?}, peak {before} KiB before and {} KiB behind", status("VmHWM"));
}

fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

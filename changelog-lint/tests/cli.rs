//! The real binary on real files.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

const GOOD: &str = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2025-10-14\n### Added\n- Pay with QRIS\n- あ\n\n## [1.1.0] - 2025-09-01\n- Old\n";

fn lint(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
    let output = command.current_dir(folder).args(args).arg("--fresh").output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn folder(changelog: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("CHANGELOG.md"), changelog).expect("written");
    std::fs::write(folder.path().join("release.toml"), "[product]\nname = 'shop'\n").expect("written");
    folder
}

fn document(stdout: &str) -> Value {
    serde_json::from_str(stdout).expect("one document")
}

#[test]
fn the_newest_version_opens_the_document() {
    let folder = folder(GOOD.as_bytes());
    let (code, stdout, stderr) = lint(folder.path(), &["--procedure", "candidate"]);
    assert_eq!(code, Some(0), "{stderr}");
    let document = document(&stdout);
    let facts = json!({ "product": "shop", "version": "1.2.0", "notes": "### Added\n- Pay with QRIS\n- あ" });
    assert_eq!(document["facts"], facts);
    assert_eq!(document["procedure"], "candidate");
    assert_eq!(document["steps"][0]["summary"], "CHANGELOG.md describes 1.2.0 in 2 entries");
    testkit::schema::validate(&document);
}

#[test]
fn a_fault_is_shown_with_file_line_column_and_the_line_itself() {
    let text = GOOD.replace("2025-10-14", "2025-02-30");
    let folder = folder(text.as_bytes());
    let (code, stdout, stderr) = lint(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("CHANGELOG.md:5:14: 1.2.0 is dated 2025-02-30"), "{stderr}");
    assert!(stderr.contains("## [1.2.0] - 2025-02-30") && stderr.contains("^^^^^^^^^^"), "{stderr}");
    let document = document(&stdout);
    assert_eq!(document["failure"]["reason"], "version-date");
    assert_eq!(document["failure"]["acted"], "no");
    assert_eq!(document["facts"], json!({ "product": "shop" }), "a refused version writes no notes");
    testkit::schema::validate(&document);
}

#[test]
fn a_version_that_is_not_there_is_never_replaced_by_another() {
    let folder = folder(GOOD.as_bytes());
    let (code, stdout, _) = lint(folder.path(), &["--release", "1.3.0"]);
    assert_eq!((code, document(&stdout)["failure"]["reason"].clone()), (Some(1), json!("version-missing")));
}

#[test]
fn a_byte_that_is_no_text_is_named_with_its_line() {
    let folder = folder(b"# Changelog\n\n## [1.2.0]\n- caf\xe9\n");
    let (code, _, stderr) = lint(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("CHANGELOG.md:4: the text is not UTF-8"), "{stderr}");
}

#[test]
fn notes_are_printed_as_plain_text() {
    let folder = folder(GOOD.as_bytes());
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
        command.current_dir(folder.path()).args(args).output().expect("it runs")
    };
    assert_eq!(run(&["notes", "v1.1.0"]).stdout, b"- Old\n");
    let answer: Value = serde_json::from_slice(&run(&["notes", "1.2.0", "--json"]).stdout).expect("JSON");
    assert_eq!(answer["date"], "2025-10-14");
    let missing = run(&["notes", "9.9.9"]);
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(1), 0));
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, _, stderr) = lint(folder.path(), &["none.md"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("none.md cannot be read") && stderr.contains("[product] changelog"), "{stderr}");
}

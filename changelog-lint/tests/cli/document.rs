//! The real binary on real files.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};
use step::Exit;

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
    assert!(stderr.contains("CHANGELOG.md:5:14\n"), "{stderr}");
    assert_eq!(stderr.matches("is dated 2025-02-30").count(), 1, "{stderr}");
    assert!(stderr.ends_with("changelog-lint: 1 error, 3 warnings in CHANGELOG.md\n"), "{stderr}");
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
fn the_heading_that_is_missing_is_not_called_a_candidate() {
    let folder = folder(b"# Changelog\n\n## 1.0.0 RC 2 - 2025-03-03\n- a\n");
    let (code, stdout, stderr) = lint(folder.path(), &["--release", "1.0.0"]);
    assert_eq!((code, document(&stdout)["failure"]["reason"].clone()), (Some(1), json!("version-missing")));
    assert!(stderr.contains("write `## 1.0.0 - YYYY-MM-DD`"), "{stderr}");
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

#[test]
fn the_newest_is_taken_although_something_else_is_only_a_warning() {
    let folder = folder(GOOD.as_bytes());
    let (code, stdout, stderr) = lint(folder.path(), &[]);
    assert_eq!(
        (code, &document(&stdout)["steps"][0]["output"]["warnings"]),
        (Some(0), &json!(3)),
        "{stderr}"
    );
    assert!(stderr.contains("warning[CL501 undefined-link]"), "{stderr}");
    let (code, _, stderr) = lint(folder.path(), &["--fail-on", "warning"]);
    assert_eq!(code, Some(1), "{stderr}");
    let (code, _, stderr) = lint(folder.path(), &["--off", "undefined-link", "--fail-on", "warning"]);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn what_is_wrong_in_an_old_version_stops_a_lint_and_not_a_release() {
    let text = GOOD.replace("2025-09-01", "2025-02-30");
    let folder = folder(text.as_bytes());
    let (code, stdout, _) = lint(folder.path(), &[]);
    assert_eq!((code, &document(&stdout)["failure"]["reason"]), (Some(1), &json!("version-date")));
    let (code, stdout, stderr) = lint(folder.path(), &["--release", "1.2.0"]);
    assert_eq!(code, Some(0), "{stderr}");
    let summary = "CHANGELOG.md describes 1.2.0 in 2 entries; 1 error elsewhere in the file";
    assert_eq!(document(&stdout)["steps"][0]["summary"], summary);
}

#[test]
fn a_file_without_a_version_yet_lints_clean_and_opens_no_release() {
    let folder = folder(b"# Changelog\n\n## Unreleased\n- a\n");
    let (code, stdout, stderr) = lint(folder.path(), &[]);
    assert_eq!((code, &document(&stdout)["facts"]), (Some(0), &json!({ "product": "shop" })), "{stderr}");
    let (code, stdout, _) = lint(folder.path(), &["--procedure", "candidate"]);
    assert_eq!((code, &document(&stdout)["failure"]["reason"]), (Some(1), &json!("version-missing")));
}

#[test]
fn a_candidates_notes_say_where_they_come_from() {
    let folder = folder(GOOD.as_bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
    let output =
        command.current_dir(folder.path()).args(["notes", "1.2.0-rc2", "--json"]).output().expect("it runs");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&answer["source"], &answer["section"]), (&json!("base-version"), &json!("1.2.0")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the notes of 1.2.0-rc2 are those of 1.2.0"));
    let (code, stdout, _) = lint(folder.path(), &["--release", "1.2.0-rc2"]);
    let document = document(&stdout);
    assert_eq!((code, &document["facts"]["version"]), (Some(0), &json!("1.2.0-rc2")));
    assert_eq!(document["steps"][0]["output"]["source"], "base-version");
}

#[test]
fn of_a_version_that_stands_twice_the_first_is_shown_and_the_exit_code_says_so() {
    let folder = folder(b"## 1.0.0\n- first\n## 1.0.0\n- second\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
    let output = command.current_dir(folder.path()).args(["notes", "1.0.0"]).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), b"- first\n".as_slice()));
    assert!(stderr.contains("CHANGELOG.md:3:4") && stderr.contains("CHANGELOG.md:1:4"), "{stderr}");
}

/// A question's exit code, answer and complaints.
fn asked(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
    let output = command.current_dir(folder).args(args).output().expect("it runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn rules_are_explained_and_a_wrong_name_gets_the_right_one() {
    let folder = folder(GOOD.as_bytes());
    let run = |args: &[&str]| asked(folder.path(), args);
    let (code, text, _) = run(&["rule", "CL201"]);
    assert!(code == Some(0) && text.starts_with("CL201 duplicate-version\n"), "{text}");
    let (code, text, _) = run(&["rule"]);
    assert!(code == Some(0) && text.lines().count() > 40, "{text}");
    let (code, _, stderr) = run(&["rule", "duplicate-versoin"]);
    assert!(code == Some(2) && stderr.contains("did you mean duplicate-version (CL201)?"), "{stderr}");
}

#[test]
fn settings_stand_in_release_toml_which_may_hold_nothing_else() {
    let folder = folder(GOOD.as_bytes());
    let with = |settings: &str, args: &[&str]| {
        std::fs::write(folder.path().join("release.toml"), settings).expect("written");
        lint(folder.path(), args)
    };
    assert_eq!(with("[changelog-lint]\nprofile = 'strict'\n", &[]).0, Some(0));
    assert_eq!(with("[changelog-lint]\nfail_on = 'warning'\noff = ['CL501']\n", &[]).0, Some(0));
    let (code, _, stderr) = with("[changelog-lint]\nerror = ['undefined-link']\n", &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(
        with("[changelog-lint]\nerror = ['undefined-link']\n", &["--off", "CL501"]).0,
        Some(0),
        "a flag is stronger"
    );
    for (settings, advice) in [
        ("[changelog-lint]\nprofle = 'strict'\n", "did you mean `profile`?"),
        (
            "[changelog-lint]\nprofile = 'strickt'\n",
            "release.toml:2: [changelog-lint] profile: `strickt` is not known; default, strict and common are",
        ),
        ("[changelog-lint]\noff = ['undefined-lnk']\n", "did you mean undefined-link (CL501)?"),
    ] {
        let (code, _, stderr) = with(settings, &[]);
        assert!(code == Some(Exit::Config as i32) && stderr.contains(advice), "{stderr}");
    }
}

/// What completions and manual pages are made of: every subcommand, and the values of each option.
#[test]
fn help_lists_subcommands_and_values() {
    let folder = folder(GOOD.as_bytes());
    let run = |args: &[&str]| asked(folder.path(), args);
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "notes",
        "promote",
        "rule",
        "default, strict, common",
        "error, warning, never",
        "json, sarif, github, gitlab",
    ] {
        assert!(help.contains(words), "{words}: {help}");
    }
    for (args, words) in [
        (&["--profile", "strickt"][..], "strict"),
        (&["--fail-on", "eror"], "error"),
        (&["--report", "saruf"], "a report is json, sarif, github or gitlab"),
        (&["--off", "undefined-lnk", "--fresh"], "did you mean undefined-link (CL501)?"),
    ] {
        let (code, _, stderr) = run(args);
        assert!(code == Some(2) && stderr.contains(words), "{args:?}: {stderr}");
    }
}

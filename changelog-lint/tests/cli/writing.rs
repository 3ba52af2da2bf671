//! `--fix`, `--diff` and `promote`: what is written, and that nothing else is.

use crate::support::{COMPARE, folder, lint, text};
use serde_json::json;

const DATED: &str = "# Changelog\n\n## 1.1.0 - 2025-01-02\n- a\n\n## 1.0.0 - 2024/12/31\n- b\n";

#[test]
fn a_repair_is_written_once_and_shown_before() {
    let folder = folder(DATED);
    let diff = lint(folder.path(), &["--diff"]);
    assert_eq!(diff.code(), 1);
    assert!(diff.stdout().contains("-## 1.0.0 - 2024/12/31\n+## 1.0.0 - 2024-12-31\n"), "{}", diff.stdout());
    let planned = lint(folder.path(), &["--fix", "--plan"]);
    assert!(planned.stderr().contains("+## 1.0.0 - 2024-12-31"), "{}", planned.stderr());
    assert_eq!(text(folder.path()), DATED, "neither has changed anything");
    let fixed = lint(folder.path(), &["--fix"]);
    assert_eq!(
        (fixed.code(), &fixed.json()["steps"][0]["status"]),
        (0, &json!("changed")),
        "{}",
        fixed.stderr()
    );
    assert_eq!(text(folder.path()), DATED.replace("2024/12/31", "2024-12-31"));
    let again = lint(folder.path(), &["--fix"]);
    assert_eq!((again.code(), &again.json()["steps"][0]["status"]), (0, &json!("unchanged")));
    let diff = lint(folder.path(), &["--diff"]);
    assert_eq!((diff.code(), diff.stdout().trim()), (0, ""));
}

#[test]
fn what_a_repair_leaves_is_still_an_error_and_says_that_something_was_changed() {
    let folder = folder(format!("{DATED}\n## 0.9.0 - 2024-02-30\n- c\n"));
    let run = lint(folder.path(), &["--fix"]);
    assert_eq!((run.code(), &run.json()["failure"]["acted"]), (1, &json!("yes")));
    assert_eq!(run.json()["failure"]["reason"], "version-date");
}

#[test]
fn a_file_that_is_not_utf8_is_not_written() {
    let bytes = b"## 1.0.0\r\n- caf\xe9\n";
    let folder = folder(bytes);
    let run = lint(folder.path(), &["--fix"]);
    assert_eq!((run.code(), &run.json()["failure"]["reason"]), (1, &json!("not-utf8")));
    assert_eq!(std::fs::read(folder.path().join("CHANGELOG.md")).expect("read"), bytes);
}

#[test]
fn links_and_permissions_of_the_file_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder(DATED);
    let (real, link) = (folder.path().join("CHANGELOG.md"), folder.path().join("LINK.md"));
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("set");
    symlink("CHANGELOG.md", &link).expect("linked");
    assert_eq!(lint(folder.path(), &["--fix", "LINK.md"]).code(), 0);
    assert!(link.is_symlink() && text(folder.path()).contains("2024-12-31"));
    assert_eq!(std::fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 2, "nothing is left beside it");
}

fn waiting() -> String {
    format!(
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- New\n\n## [1.1.0] - 2025-01-02\n\n- Old\n\n\
         [unreleased]: {COMPARE}/v1.1.0...HEAD\n[1.1.0]: https://github.com/a/b/releases/tag/v1.1.0\n"
    )
}

#[test]
fn unreleased_becomes_a_version_and_the_links_follow() {
    let folder = folder(waiting());
    let planned = lint(folder.path(), &["promote", "1.2.0", "--plan"]);
    assert_eq!((planned.code(), &planned.json()["steps"][0]["status"]), (0, &json!("planned")));
    assert_eq!(text(folder.path()), waiting(), "a plan writes nothing");
    let run = lint(folder.path(), &["promote", "v1.2.0", "--date", "2025-10-14"]);
    assert_eq!((run.code(), &run.json()["steps"][0]["status"]), (0, &json!("changed")), "{}", run.stderr());
    assert_eq!(run.json()["facts"], json!({ "version": "1.2.0", "notes": "### Added\n\n- New" }));
    testkit::schema::validate(&run.json());
    let expected = waiting()
        .replace("## [Unreleased]\n", "## [Unreleased]\n\n## [1.2.0] - 2025-10-14\n")
        .replace("v1.1.0...HEAD\n", &format!("v1.2.0...HEAD\n[1.2.0]: {COMPARE}/v1.1.0...v1.2.0\n"));
    assert_eq!(text(folder.path()), expected);
    assert_eq!(lint(folder.path(), &[]).code(), 0, "it lints clean");
    let again = lint(folder.path(), &["promote", "1.2.0"]);
    assert_eq!((again.code(), &again.json()["steps"][0]["status"]), (0, &json!("unchanged")));
    assert_eq!(text(folder.path()), expected);
}

#[test]
fn a_promotion_that_makes_no_sense_is_refused_and_writes_nothing() {
    let folder = folder(waiting());
    for (args, code, reason) in [
        (vec!["promote", "1.1.0"], 1, "version-exists"),
        (vec!["promote", "1.0.0"], 1, "version-order"),
        (vec!["promote", "next"], 2, "version"),
        (vec!["promote", "1.2.0", "--date", "2999-01-01"], 2, "date"),
        (vec!["promote"], 2, "no-version"),
        (vec!["promote", "1.2.0", "--release", "1.3.0"], 1, "fact-conflict"),
    ] {
        let run = lint(folder.path(), &args);
        assert_eq!((run.code(), &run.json()["failure"]["reason"]), (code, &json!(reason)), "{args:?}");
        assert_eq!(run.json()["failure"]["acted"], "no", "{args:?}");
        assert_eq!(text(folder.path()), waiting(), "{args:?}");
    }
    std::fs::write(folder.path().join("CHANGELOG.md"), "# Changelog\n\n## [Unreleased]\n").expect("written");
    let run = lint(folder.path(), &["promote", "1.0.0"]);
    assert_eq!((run.code(), &run.json()["failure"]["reason"]), (1, &json!("unreleased-empty")));
}

#[test]
fn promote_refuses_what_is_not_in_its_place_and_writes_nothing() {
    for (changelog, reason) in [
        ("# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- OLD\n\n## Unreleased\n\n- NEW\n", "unreleased-not-first"),
        ("# Changelog\n\n## Unreleased\n\n- NEW\n\n## Unreleased\n\n- NEW2\n", "unreleased-duplicate"),
        ("# Changelog\n\n## Unreleased 1.3.0\n\n- NEW\n", "unreleased-versioned"),
        ("# Changelog\n\n## Unreleased\n\n- NEW\n\n##1.2.0\n\n- OLD\n", "heading-not-understood"),
    ] {
        let folder = folder(changelog);
        let run = lint(folder.path(), &["promote", "1.3.0", "--fresh"]);
        assert_eq!((run.code(), &run.json()["failure"]["reason"]), (1, &json!(reason)), "{changelog}");
        assert_eq!(text(folder.path()), changelog);
    }
}

#[test]
fn promote_wants_words_a_sound_version_and_no_heading_in_between() {
    for (changelog, version, code, reason) in [
        (
            "# Changelog\n\n## Unreleased\n\n### Version1.3.0\n\n- n\n\n## 1.2.0 - 2025-01-01\n\n- o\n",
            "1.4.0",
            1,
            "heading-not-understood",
        ),
        (
            "# Changelog\n\n## Unreleased\n\n- \n\n## 1.2.0 - 2025-01-01\n\n- o\n",
            "1.3.0",
            1,
            "unreleased-empty",
        ),
        (
            "# Changelog\n\n## Unreleased\n\n- TBD\n\n## 1.2.0 - 2025-01-01\n\n- o\n",
            "1.3.0",
            1,
            "unreleased-empty",
        ),
        ("# Changelog\n\n## Unreleased\n\n- n\n\n## 1.2.0 - 2025-01-01\n\n- o\n", "01.3.0", 2, "version"),
        ("# Changelog\n\n## Unreleased\n\n- n\n\n## 1.2.0 - 2025-01-01\n\n- o\n", "1.3.0", 0, ""),
    ] {
        let folder = folder(changelog);
        let run = lint(folder.path(), &["promote", version, "--fresh"]);
        let document = run.json();
        assert_eq!(
            (run.code(), document["failure"]["reason"].as_str().unwrap_or_default()),
            (code, reason),
            "{}",
            run.stderr()
        );
        assert_eq!(text(folder.path()) == changelog, code != 0);
    }
}

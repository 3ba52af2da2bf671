//! `--base` and `--tags` on real git repositories.

use std::path::Path;
use std::process::Command;

use crate::support::{folder, lint, text};
use serde_json::json;

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.org",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "tag.gpgsign=false",
        ])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    // A merge with a conflict is one of the cases.
    let fine = output.status.success() || args.contains(&"merge");
    assert!(fine, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn commit(folder: &Path, changelog: &str) {
    std::fs::write(folder.join("CHANGELOG.md"), changelog).expect("written");
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", "change"]);
}

const BEFORE: &str = "# Changelog\n\n## Unreleased\n\n- one\n\n## 0.9.0 - 2025-01-01\n\n- old\n";
const CUT: &str =
    "# Changelog\n\n## Unreleased\n\n## 1.0.0 - 2025-02-01\n\n- one\n\n## 0.9.0 - 2025-01-01\n\n- old\n";

/// A branch from before the cut of 1.0.0, which then is merged with main by git's own union.
fn merged() -> tempfile::TempDir {
    let folder = folder(BEFORE);
    let path = folder.path();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(path.join(".gitattributes"), "CHANGELOG.md merge=union\n").expect("written");
    commit(path, BEFORE);
    git(path, &["checkout", "--quiet", "-b", "feature"]);
    commit(path, &BEFORE.replace("- one\n", "- one\n- mine\n"));
    git(path, &["checkout", "--quiet", "main"]);
    commit(path, CUT);
    git(path, &["checkout", "--quiet", "feature"]);
    git(path, &["merge", "--quiet", "--no-edit", "main"]);
    folder
}

#[test]
fn an_entry_that_a_merge_put_into_a_released_version_is_found() {
    let folder = merged();
    let after = text(folder.path());
    let line = after[..after.find("- mine").expect("merged")].matches('\n').count() + 1;
    assert!(after.find("## 1.0.0") < after.find("- mine"), "the merge did what merges do:\n{after}");
    assert_eq!(lint(folder.path(), &[]).code(), 0, "nothing is wrong to see");
    let run = lint(folder.path(), &["--base", "main"]);
    assert_eq!(
        (run.code(), &run.json()["failure"]["reason"]),
        (1, &json!("entry-in-released")),
        "{}",
        run.stderr()
    );
    assert!(run.stderr().contains(&format!("CHANGELOG.md:{line}:1")), "{}", run.stderr());
    // Also when a version is told that is not the one.
    assert_eq!(lint(folder.path(), &["--base", "main", "--release", "0.9.0"]).code(), 1);
    assert_eq!(
        lint(folder.path(), &["--base", "main", "--release", "1.0.0"]).code(),
        0,
        "unless it is the one that is released"
    );
}

#[test]
fn a_legitimate_correction_is_allowed_by_a_comment_and_new_entries_by_their_place() {
    let folder = merged();
    let path = folder.path();
    let allowed =
        text(path).replace("- mine", "<!-- changelog-lint-disable-next-line entry-in-released -->\n- mine");
    std::fs::write(path.join("CHANGELOG.md"), allowed).expect("written");
    assert_eq!(lint(path, &["--base", "main"]).code(), 0);
    let right = CUT.replace("## Unreleased\n", "## Unreleased\n\n- mine\n");
    std::fs::write(path.join("CHANGELOG.md"), right).expect("written");
    assert_eq!(lint(path, &["--base", "main"]).code(), 0);
    // A new version is cut in this branch.
    let cut = CUT.replace("## Unreleased\n", "## Unreleased\n\n## 1.1.0 - 2025-03-01\n\n- mine\n");
    std::fs::write(path.join("CHANGELOG.md"), cut).expect("written");
    assert_eq!(lint(path, &["--base", "main"]).code(), 0);
}

#[test]
fn a_release_that_is_lost_is_named() {
    let folder = merged();
    std::fs::write(folder.path().join("CHANGELOG.md"), CUT.replace("## 0.9.0 - 2025-01-01\n", ""))
        .expect("written");
    let run = lint(folder.path(), &["--base", "main"]);
    assert_eq!(run.code(), 1);
    assert!(
        run.stderr().contains("the heading of 0.9.0 has disappeared; it stood in line 9"),
        "{}",
        run.stderr()
    );
}

#[test]
fn where_git_knows_nothing_nothing_is_called_right() {
    let folder = folder(CUT);
    let run = lint(folder.path(), &["--base", "main"]);
    assert_eq!(
        (run.code(), &run.json()["failure"]["reason"]),
        (1, &json!("no-merge-base")),
        "{}",
        run.stderr()
    );
    let run = lint(folder.path(), &["--tags"]);
    assert_eq!((run.code(), &run.json()["failure"]["reason"]), (1, &json!("no-tags")));
    let run = lint(folder.path(), &["--base=--output=x"]);
    assert_eq!(run.code(), 2, "a reference is no option of git");
}

#[test]
fn releases_are_compared_with_tags() {
    let folder = merged();
    let path = folder.path();
    std::fs::write(path.join("CHANGELOG.md"), CUT).expect("written");
    git(path, &["tag", "v0.8.0"]);
    let run = lint(path, &["--tags"]);
    assert_eq!(
        (run.code(), &run.json()["failure"]["reason"]),
        (1, &json!("version-without-tag")),
        "{}",
        run.stderr()
    );
    assert!(!run.stderr().contains("1.0.0 has no git tag"), "the newest may still wait for its tag");
    git(path, &["tag", "v0.9.0"]);
    git(path, &["tag", "v0.9.1"]);
    let run = lint(path, &["--tags"]);
    assert_eq!(run.code(), 0);
    assert!(run.stderr().contains("tags without a section: v0.9.1"), "{}", run.stderr());
}

#[test]
fn a_reference_that_git_does_not_know_is_named() {
    let folder = merged();
    for (reference, next) in [("nosuch", "git fetch origin"), ("origin/nosuch", "git fetch origin nosuch")] {
        let run = lint(folder.path(), &["--base", reference]);
        let failure = &run.json()["failure"];
        assert_eq!(
            (run.code(), &failure["reason"], &failure["next"]),
            (1, &json!("unknown-reference"), &json!(next))
        );
        assert!(run.stderr().contains(&format!("git knows no `{reference}` here")), "{}", run.stderr());
    }
}

/// What the released section becomes, and whether anything was added to it.
#[test]
fn an_entry_in_another_dress_is_no_new_one() {
    let before = "- Pay with QRIS, see [the issue](https://x.example/1) (#12)\n- Show the total of the cart in rupiah everywhere\n\nWords about it.\n";
    let released = |body: &str| {
        format!(
            "# Changelog\n\n## Unreleased\n\n## 1.0.0 - 2025-02-01\n\n{body}\n## 0.9.0 - 2025-01-01\n\n- old\n"
        )
    };
    let folder = folder(released(before));
    let path = folder.path();
    git(path, &["init", "--quiet", "--initial-branch=main"]);
    commit(path, &released(before));
    git(path, &["checkout", "--quiet", "-b", "feature"]);
    for (after, added, why) in [
        (before.replace("- ", "* "), false, "other bullets"),
        (before.replace("\n- ", "\n\n- "), false, "empty lines between"),
        (before.replace("- ", "  - "), false, "indented"),
        (before.replace(", see", ",\n  see"), false, "broken in two lines"),
        (
            before.replace("\n- Show the total of the cart", "\n- Show the\n  total of the cart"),
            false,
            "wrapped",
        ),
        (before.replace("(#12)", "([#12](https://x.example/12))"), false, "a link where there was none"),
        (before.replace("QRIS", "**QRIS**"), false, "bold"),
        (before.replace("rupiah everywhere", "rupiah everywhere."), false, "a full stop"),
        (before.replace("everywhere", "evrywhere"), false, "a letter less: corrected"),
        (before.replace("everywhere", "everywhere. Thanks @bob!"), false, "somebody is thanked"),
        (format!("### Added\n\n{before}"), false, "a heading above what was there"),
        (before.replace("\n\nWords", "\n- mine\n\nWords"), true, "an entry of a branch"),
        (format!("{before}\n- mine\n"), true, "an entry at the end"),
        (
            before.replace("- Show", "- Show the total of the cart in rupiah everywhere\n- Show"),
            true,
            "an entry once more",
        ),
        (
            before.replace("Words about it.", "Words about it.\n\nAnd more that was not there."),
            true,
            "a paragraph",
        ),
    ] {
        std::fs::write(path.join("CHANGELOG.md"), released(&after)).expect("written");
        let run = lint(path, &["--base", "main"]);
        let found = run.stderr().contains("CL601");
        assert_eq!(found, added, "{why}:\n{}", run.stderr());
    }
}

//! What outsiders found when they tried the program, each with the right value.

use serde_json::json;

use crate::support::{folder, lint};

/// The step's answer to a changelog: exit code, reason of the failure, the version that it opens, stderr.
fn opened(changelog: &str, args: &[&str]) -> (i32, String, String, String) {
    let folder = folder(changelog);
    let run = lint(folder.path(), &[args, &["--fresh"]].concat());
    let document = run.json();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (run.code(), word(&document["failure"]["reason"]), word(&document["facts"]["version"]), run.stderr())
}

const OLD: &str = "\n\n- NEW\n\n## 1.2.0 - 2025-02-02\n\n- OLD\n";

#[test]
fn a_newest_heading_that_is_broken_is_an_error_at_its_line_and_never_passed_over() {
    for (changelog, line, version) in [
        (format!("# Changelog\n\n##1.3.0 - 2025-03-03{OLD}"), 3, "1.3.0"),
        (
            "# Changelog\n\n## [1.2.0] - 2025-10-14\n\n- KEEP\n\n  ## [1.1.0] - 2025-01-02\n\n- DROP\n"
                .to_owned(),
            7,
            "1.1.0",
        ),
        (format!("# Changelog\n\n## Unreleased\n\n## v.1.3.0 - 2025-03-03{OLD}"), 5, "1.3.0"),
        (format!("# Changelog\n\n**1.3.0**{OLD}"), 3, "1.3.0"),
        (format!("# Changelog\n\n## Unreleased\n\n##### 1.3.0{OLD}"), 5, "1.3.0"),
        (format!("# Changelog\n\n<h2>1.3.0</h2>{OLD}"), 3, "1.3.0"),
    ] {
        for args in
            [vec![], vec!["--profile", "common"], vec!["--profile", "strict"], vec!["--release", version]]
        {
            let (code, reason, opened, stderr) = opened(&changelog, &args);
            assert_eq!(
                (code, opened.as_str()),
                (1, if args.first() == Some(&"--release") { version } else { "" }),
                "{stderr}"
            );
            assert!(stderr.contains(&format!("CHANGELOG.md:{line}:")), "{args:?}: {stderr}");
            assert!(
                reason == "heading-not-understood" || args.contains(&"common"),
                "{args:?}: {reason}: {stderr}"
            );
        }
    }
}

#[test]
fn whatever_fail_on_says_no_older_version_is_opened_for_a_newer_one() {
    let changelog = format!("# Changelog\n\n##1.3.0 - 2025-03-03{OLD}");
    let (code, reason, version, _) = opened(&changelog, &["--fail-on", "never"]);
    assert_eq!((code, reason.as_str(), version.as_str()), (1, "heading-not-understood", ""));
    // No setting and no comment opens the older one; who names it goes on.
    let next = changelog.replace("##1.3.0", "<!-- changelog-lint-disable-next-line CL203 -->\n\n##1.3.0");
    let file = format!("<!-- changelog-lint-disable-file -->\n\n{changelog}");
    for (changelog, args) in [
        (&next, vec![]),
        (&file, vec![]),
        (&changelog, vec!["--off", "CL203"]),
        (&changelog, vec!["--warn", "CL203"]),
    ] {
        let (code, reason, version, stderr) = opened(changelog, &args);
        assert_eq!(
            (code, reason.as_str(), version.as_str()),
            (1, "heading-not-understood", ""),
            "{args:?}: {stderr}"
        );
        assert!(stderr.contains("--release 1.2.0"), "{stderr}");
    }
    assert_eq!(opened(&changelog, &["--release", "1.2.0"]).0, 0);
    let asked = |changelog: &str, wanted: &str| {
        let folder = folder(changelog);
        let run = lint(folder.path(), &["notes", wanted]);
        (run.code(), run.stdout(), run.stderr())
    };
    let (code, notes, stderr) = asked(&changelog, "newest");
    assert!(code == 1 && notes.is_empty() && stderr.contains("CHANGELOG.md:3:1"), "{stderr}");
    for changelog in [&next, &file] {
        let (code, notes, stderr) = asked(changelog, "newest");
        assert!(code == 1 && notes.is_empty() && stderr.contains("changelog-lint notes 1.2.0"), "{stderr}");
    }
    assert_eq!(asked(&changelog, "1.2.0").1, "- OLD\n");
    let within = "# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- KEEP\n\n  ## 1.1.0\n\n- DROP\n";
    let (code, _, stderr) = asked(within, "1.2.0");
    assert!(
        code == 0 && stderr.contains("in these notes is what looks like the heading of 1.1.0"),
        "{stderr}"
    );
    assert_eq!(opened(within, &["--release", "1.2.0"]).0, 1, "its notes hold another release");
}

#[test]
fn a_candidate_in_words_is_not_its_release() {
    let only = "# Changelog\n\n## 1.0.0 RC 2 - 2025-02-01\n\n- RC2\n\n## 0.9.0 - 2025-01-01\n\n- O\n";
    let (code, reason, ..) = opened(only, &["--release", "1.0.0"]);
    assert_eq!((code, reason.as_str()), (1, "version-missing"));
    assert_eq!(opened(only, &[]).2, "1.0.0-rc2");
    let beside = "# Changelog\n\n## 1.0.0 - 2025-03-01\n\n- FINAL\n\n## 1.0.0 RC 2 - 2025-02-01\n\n- RC2\n\n## 1.0.0 RC 1 - 2025-01-01\n\n- RC1\n";
    let (code, _, version, stderr) = opened(beside, &["--release", "1.0.0"]);
    assert_eq!((code, version.as_str()), (0, "1.0.0"), "{stderr}");
    assert!(!stderr.contains("CL201"), "{stderr}");
    let folder = folder(beside);
    assert_eq!(lint(folder.path(), &["notes", "1.0.0"]).stdout(), "- FINAL\n");
    assert_eq!(lint(folder.path(), &["notes", "1.0.0-rc.1"]).stdout(), "- RC1\n");
}

#[test]
fn what_says_that_it_is_not_released_is_not_released() {
    for (heading, reason) in [
        ("1.3.0 (unreleased)", "version-unreleased"),
        ("Unreleased 1.3.0", "version-unreleased"),
        ("1.3.0 - coming soon", "version-unreleased"),
        ("1.3.0 (belum dirilis)", "version-unreleased"),
        ("[1.3.0] - YYYY-MM-DD", "version-date"),
        ("1.3.0 - ????-??-??", "version-date"),
        ("1.3.0 - <date>", "version-date"),
        ("1.3.0", "version-date"),
    ] {
        let changelog = format!("# Changelog\n\n## {heading}{OLD}");
        let (code, found, _, stderr) = opened(&changelog, &["--release", "1.3.0", "--procedure", "release"]);
        assert_eq!((code, found.as_str()), (1, reason), "{heading}: {stderr}");
        assert!(stderr.contains("CHANGELOG.md:3:"), "{stderr}");
    }
    let undated = "# Changelog\n\n## 1.3.0\n\n- NEW\n\n## 1.2.0\n\n- OLD\n";
    assert_eq!(opened(undated, &["--release", "1.3.0"]).0, 0, "a file without dates");
    for procedure in ["candidate", "release", "hotfix"] {
        let (code, reason, ..) = opened(undated, &["--release", "1.3.0", "--procedure", procedure]);
        assert_eq!((code, reason.as_str()), (1, "version-date"), "the runbooks promise a date");
    }
    let (code, _, version, stderr) = opened(&format!("# Changelog\n\n## 1.3.0 (unreleased){OLD}"), &[]);
    assert_eq!((code, version.as_str()), (0, "1.2.0"));
    assert!(stderr.contains("1.3.0 says that it is not released: the newest release is 1.2.0"), "{stderr}");
    let candidate = format!("# Changelog\n\n## [1.3.0] - Unreleased{OLD}");
    assert_eq!(opened(&candidate, &["--release", "1.3.0-rc1"]).0, 0, "that is what a candidate is cut from");
}

#[test]
fn headings_above_families_of_releases_are_none() {
    let changelog = "# Version 0.16\n\n## Version 0.16.2 (Dec 16, 2022)\n\n- KEEP\n\n## Version 0.16.1 (Sep 25, 2022)\n\n- OLD\n\n\
        # Version 0.15\n\n## Version 0.15.1 (Jul 14, 2021)\n\n- OLDER\n";
    let (code, _, version, stderr) = opened(changelog, &[]);
    assert_eq!((code, version.as_str()), (0, "0.16.2"), "{stderr}");
    assert!(!stderr.contains("CL"), "{stderr}");
    let folder = folder(changelog);
    assert_eq!(lint(folder.path(), &["notes", "0.16.1"]).stdout(), "- OLD\n");
    assert_eq!(lint(folder.path(), &["notes", "0.16"]).code(), 1, "0.16 has no notes of its own");
}

#[test]
fn the_number_of_a_version_is_no_part_of_another() {
    let changelog = "# Changelog\n\n## parking_lot - 0.12.5 - 2025-09-30\n\n- x\n\n## lock_api - 0.4.14 - 2025-09-30\n\n- y\n\n\
        ## parking_lot - 0.12.4 - 2025-08-30\n\n- z\n";
    let folder = folder(changelog);
    let run = lint(folder.path(), &["notes", "0.4.1"]);
    assert_eq!((run.code(), run.stdout().as_str()), (1, ""));
    assert!(!run.stderr().contains("CHANGELOG.md:7"), "{}", run.stderr());
    assert_eq!(lint(folder.path(), &["notes", "0.4.14"]).stdout(), "- y\n");
    assert_eq!(lint(folder.path(), &["notes", "lock_api-0.4.14"]).stdout(), "- y\n");
}

#[test]
fn what_is_no_version_is_wrong_usage() {
    let folder = folder("# Changelog\n\n## 1.0.0 - 2025-01-01\n\n- KEEP\n");
    for wanted in ["1.0.0(", "1.0.0x", "1.0.0 2.0.0", ".*", "nosuch", "--", "1.0.0-", "v"] {
        let run = lint(folder.path(), &["notes", wanted]);
        assert_eq!((run.code(), run.stdout().as_str()), (2, ""), "{wanted}: {}", run.stderr());
    }
    for wanted in ["1.0.0(", "1.0.0x"] {
        let run = lint(folder.path(), &["--release", wanted, "--fresh"]);
        assert_eq!(run.code(), 2, "{wanted}: {}", run.stderr());
    }
    for wanted in ["1.0.0", "v1.0.0", "1.0.0-rc1", "newest"] {
        assert_eq!(lint(folder.path(), &["notes", wanted]).stdout(), "- KEEP\n", "{wanted}");
    }
}

#[test]
fn a_tag_of_another_form_is_left_alone() {
    let changelog = "# Changelog\n\n## [0.4.0] - 2025-02-02\n\n- a\n\n[0.4.0]: https://github.com/linebender/kurbo/releases/tag/v0.4.0-polycool\n";
    let folder = folder(changelog);
    let run = lint(folder.path(), &["--diff", "--unsafe"]);
    assert_eq!((run.code(), run.stdout().trim()), (0, ""), "{}", run.stderr());
    assert_eq!(lint(folder.path(), &[]).code(), 0);
    let candidate = changelog.replace("polycool", "rc1");
    std::fs::write(folder.path().join("CHANGELOG.md"), candidate).expect("written");
    assert_eq!(lint(folder.path(), &[]).code(), 1, "a candidate's tag is not that of the release");
}

#[test]
fn what_is_right_brings_no_finding() {
    for changelog in [
        "# Changelog\n\n## 0.30.4\n\nReleased 2023-06-05.\n\n- x\n\n## 0.31.1\n\nReleased 2023-05-09.\n\n- y\n",
        "# Changelog\n\n## [2.5.1](https://github.com/o/r/compare/v2.5.0...v2.5.1) - 2023-05-21\n\n- a\n\n\
         ## [2.5.1-dev.1](https://github.com/o/r/compare/v2.5.0...v2.5.1-dev.1) - 2023-05-20\n\n- b\n",
        "# Changelog\n\n## 1.1.0 - 14 Oktober 2025\n\n- a\n\n## 1.0.0 - 17 Agustus 2025\n\n- b\n",
        "# Changelog\n\n## 1.1.0 - 2025-10-14T09:00:00Z\n\n- a\n\n## 1.0.0 - 2025-08-17\n\n- b\n",
    ] {
        let folder = folder(changelog);
        let run = lint(folder.path(), &["--report", "json"]);
        assert_eq!(
            (run.code(), &run.json()["diagnostics"]),
            (0, &json!([])),
            "{changelog}\n{}",
            run.stderr()
        );
    }
    let (.., version, _) = opened(
        "# Changelog\n\n## 0.30.4\n\nReleased 2023-06-05.\n\n- x\n\n## 0.31.1\n\nReleased 2023-05-09.\n\n- y\n",
        &[],
    );
    assert_eq!(version, "0.30.4", "it stands first, and is the later one");
}

#[test]
fn a_second_title_is_one_finding() {
    let folder = folder(
        "# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- a\n\n# Changelog\n\n## 1.1.0 - 2025-01-05\n\n- b\n",
    );
    let report = lint(folder.path(), &["--report", "json"]).json();
    let found = report["diagnostics"].as_array().expect("findings");
    assert_eq!(found.iter().map(|f| &f["rule"]).collect::<Vec<_>>(), [&json!("CL103")]);
    assert_eq!(found[0]["help"], "remove it");
    assert_eq!(lint(folder.path(), &["notes", "1.2.0"]).stdout(), "- a\n");
}

#[test]
fn doing_what_the_help_says_leaves_no_finding() {
    let before =
        "# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- a\n\n## 1.1.0\n\n- b\n\n## 1.0.0 - 2024-01-01\n\n- c\n";
    let folder = folder(before);
    let run = lint(folder.path(), &["--fresh"]);
    assert!(
        run.stderr().contains("write `## 1.1.0 - YYYY-MM-DD`, with the day of the release"),
        "{}",
        run.stderr()
    );
    std::fs::write(
        folder.path().join("CHANGELOG.md"),
        before.replace("## 1.1.0\n", "## 1.1.0 - 2025-01-15\n"),
    )
    .expect("written");
    assert_eq!(lint(folder.path(), &["--report", "json"]).json()["diagnostics"], json!([]));
}

#[test]
fn a_footnote_comes_along_with_the_notes() {
    let folder = folder(
        "# Changelog\n\n## 1.2.0 - 2025-01-02\n\n- KEEP[^1]\n\n<!-- for us -->\n\n## 1.1.0 - 2024-01-02\n\n- OLD\n\n[^1]: A footnote text.\n",
    );
    assert_eq!(lint(folder.path(), &["notes", "1.2.0"]).stdout(), "- KEEP[^1]\n\n[^1]: A footnote text.\n");
    assert_eq!(lint(folder.path(), &["notes", "1.1.0"]).stdout(), "- OLD\n");
}

#[test]
fn one_entry_above_the_limit_is_cut_and_not_dropped() {
    let folder = folder(format!("# Changelog\n\n## 1.2.0 - 2025-01-02\n\n- {}\n", "word ".repeat(20_000)));
    let run = lint(folder.path(), &["--fresh"]);
    let document = run.json();
    let notes = document["facts"]["notes"].as_str().expect("notes");
    assert!(notes.len() > 30_000 && notes.len() <= 32 << 10, "{}", notes.len());
    assert_eq!(document["facts"]["notes_cut"], json!(true));
}

#[test]
fn what_never_ends_is_not_read_for_ever() {
    use std::process::{Command, Stdio};
    let folder = folder("# Changelog\n");
    for args in [
        &["--fresh", "/dev/zero"][..],
        &["notes", "1.0.0", "/dev/zero"],
        &["promote", "1.0.0", "/dev/zero", "--fresh"],
    ] {
        let run = lint(folder.path(), args);
        assert_eq!(run.code(), 1, "{}", run.stderr());
        assert!(run.stderr().contains("/dev/zero holds more than 64 MiB"), "{}", run.stderr());
    }
    let endless = || {
        let mut yes = Command::new("yes").arg("## 1.0.0").stdout(Stdio::piped()).spawn().expect("yes runs");
        let pipe = yes.stdout.take().expect("a pipe");
        (yes, pipe)
    };
    for (args, code, words) in [
        (&["notes", "1.0.0", "/dev/stdin"][..], 1, "/dev/stdin holds more than 64 MiB"),
        (&[], 65, "stdin holds more than 4 MiB"),
    ] {
        let (mut yes, pipe) = endless();
        let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
        let output = command.args(args).current_dir(folder.path()).stdin(pipe).output().expect("it runs");
        yes.kill().expect("it still wrote");
        yes.wait().expect("it ended");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn notes_hold_nothing_that_a_terminal_obeys() {
    let folder = folder(
        "# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- a \u{1b}[31mred\u{1b}]0;t\u{7} \u{202e}back\r\n- b\tc\n",
    );
    let run = lint(folder.path(), &["notes", "1.2.0"]);
    assert_eq!(run.code(), 0);
    let notes = run.stdout();
    assert!(
        !notes.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']) && notes.contains("back\n- b\tc"),
        "{notes:?}"
    );
}

#[test]
fn a_withdrawn_version_is_not_released_and_an_odd_word_is_named() {
    let file =
        |heading: &str| format!("# Changelog\n\n## {heading}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n");
    let (code, reason, ..) = opened(&file("1.3.0 - 2025-03-03 [YANKED]"), &["--release", "1.3.0"]);
    assert_eq!((code, reason.as_str()), (1, "version-withdrawn"));
    let (code, _, _, stderr) = opened(&file("1.3.0 - 2025-03-03 gamma"), &["--release", "1.3.0"]);
    assert!(code == 0 && stderr.contains("`gamma`"), "{stderr}");
    for words in ["RC II", "(not for production)", "pilot"] {
        let (code, reason, ..) =
            opened(&file(&format!("1.3.0 - 2025-03-03 {words}")), &["--release", "1.3.0"]);
        assert_eq!((code, reason.as_str()), (1, "version-missing"), "{words}");
    }
}

#[test]
fn what_is_wrong_on_the_command_line_is_said_in_words_of_ours() {
    let folder = folder("# Changelog\n\n## Unreleased\n\n- n\n");
    for (args, words) in [
        (vec!["promote", "1.3.0", "--date", "yyyy-01-01"], "write it as YYYY-MM-DD"),
        (vec!["promote", "1.3.0", "--date", "2025-02-30"], "there is no such day"),
        (vec!["--fresh", "--base", "-x"], "`-x` is no git reference"),
    ] {
        let run = lint(folder.path(), &args);
        let stderr = run.stderr();
        assert!(run.code() == 2 && stderr.contains(words), "{args:?}: {stderr}");
        for word in ["parse", "digit", "'-- -x'"] {
            assert!(!stderr.contains(word), "{stderr}");
        }
    }
}

#[test]
fn the_help_for_a_missing_day_can_be_copied() {
    for (heading, help) in [
        ("1.3.0~rc2", None),
        ("`1.3.0`", Some("`` ## `1.3.0` - YYYY-MM-DD ``")),
        ("1.3.0", Some("`## 1.3.0 - YYYY-MM-DD`")),
    ] {
        let changelog = format!("# Changelog\n\n## {heading}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n");
        let (_, _, _, stderr) = opened(&changelog, &[]);
        assert!(!stderr.contains("DD~rc2"), "{stderr}");
        if let Some(help) = help {
            assert!(stderr.contains(help), "{stderr}");
        }
    }
}

//! What a person is told to do: it works when it is pasted, whatever a name holds, and it is what was meant.

use std::path::Path;

use serde_json::{Value, json};
use testkit::exchange;

use crate::team::{ID, Team, changed, failed, no, opened, output, tagged};
use step::Exit;

fn next(document: &Value) -> String {
    document["failure"]["next"].as_str().unwrap_or_default().to_owned()
}

/// Pastes a command into a shell in our clone, whatever comes of it.
fn paste(team: &Team, command: &str) -> bool {
    let said = std::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(team.ours.path())
        .env("HOME", team.path(""))
        .output();
    said.expect("sh").status.success()
}

#[test]
fn a_name_runs_nothing_when_the_advice_is_pasted() {
    let team = Team::start();
    for name in [
        "st;touch${IFS}PWN",
        "st$(touch${IFS}PWN)",
        "st`touch${IFS}PWN`",
        "st&touch${IFS}PWN",
        "st|touch${IFS}PWN",
        "'x'",
        "\"y\"",
        "{a,b}",
        "st>PWN",
        "a'b;touch${IFS}PWN;'",
        "$HOME",
        "#x",
        "!x",
        "(touch${IFS}PWN)",
    ] {
        let named = exchange(&mut team.command(&["candidate", "--branch", name]), Some(&opened(ID)));
        let set = exchange(team.command(&["candidate"]).env("RILIS_TAG_RC_BRANCH", name), Some(&opened(ID)));
        {
            team.ours.git(&["switch", "--quiet", "--create", name]);
            let end = exchange(&mut team.command(&["candidate", "--branch", name]), Some(&opened(ID)));
            let command = next(&end.1);
            assert!(command.starts_with("git push origin "), "{command}");
            assert!(paste(&team, &command), "{name}: {command}");
            assert_eq!(
                team.remote.commit(&format!("refs/heads/{name}")),
                Some(team.ours.git(&["rev-parse", "HEAD"])),
                "{command}"
            );
            team.ours.git(&["switch", "--quiet", "staging"]);
            team.ours.git(&["push", "--quiet", "origin", &format!(":refs/heads/{name}")]);
        }
        for end in [named, set] {
            assert_eq!(end.0, 1, "{name}: {}", end.2);
            paste(&team, &next(&end.1));
            assert!(!team.ours.path().join("PWN").exists(), "{name}: {}", next(&end.1));
        }
        team.ours.git(&["switch", "--quiet", "staging"]);
    }
}

#[test]
fn a_branch_that_is_not_there_is_not_made_by_the_advice() {
    let team = Team::start();
    for (branch, meant) in [
        ("stagin", Some("staging")),
        ("origin/staging", Some("staging")),
        ("refs/heads/staging", Some("staging")),
        ("Staging", Some("staging")),
        ("stagign", Some("staging")),
        ("mian", Some("main")),
        ("quality", None),
    ] {
        let (code, document, stderr) = team.run(&["candidate", "--branch", branch]);
        assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("branch-missing")), "{stderr}");
        let message = document["failure"]["message"].as_str().expect("a message");
        match meant {
            Some(meant) => assert!(message.contains(&format!("did you mean {meant}?")), "{message}"),
            None => assert!(message.contains("it has develop, main, staging"), "{message}"),
        }
        let command = next(&document);
        assert!(!command.contains("push") && paste(&team, &command), "{branch}: {command}");
    }
    for branch in ["", " ", "-x", "a..b", "a b", "a\u{1b}[31m", "x/"] {
        let (code, document, stderr) = team.run(&["candidate", &format!("--branch={branch}")]);
        assert_eq!(
            (code, document["failure"]["reason"].as_str()),
            (Exit::Config as i32, Some("setting")),
            "{branch}: {stderr}"
        );
        assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    }
    for remote in ["", "  ", "-x"] {
        let (code, document, stderr) = team.run(&["candidate", &format!("--remote={remote}")]);
        assert_eq!(
            (code, document["failure"]["reason"].as_str()),
            (Exit::Config as i32, Some("setting")),
            "{remote}: {stderr}"
        );
        assert!(!next(&document).contains("set-url"), "{document}");
    }
}

#[test]
fn the_way_out_of_a_diverged_branch_works() {
    let team = Team::start();
    team.theirs.commit("theirs", &[("theirs", "x")]);
    team.theirs.git(&["push", "--quiet", "origin", "staging"]);
    team.ours.commit("ours", &[("ours", "x")]);
    team.ours.git(&["fetch", "--quiet"]);
    let (code, document, stderr) = team.run(&["candidate"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("diverged")), "{stderr}");
    assert!(paste(&team, &next(&document)), "{}", next(&document));
    let (_, document, _) = team.run(&["candidate"]);
    assert_eq!(document["failure"]["reason"], "not-pushed");
    assert!(paste(&team, &next(&document)), "{}", next(&document));
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    // What is checked out is another branch: it is not moved.
    team.on("develop");
    let before = team.ours.git(&["rev-parse", "develop"]);
    let (_, document, _) = team.run(&["candidate", "--branch", "staging", "--again"]);
    assert!(paste(&team, &next(&document)), "{}", next(&document));
    assert_eq!(team.ours.git(&["rev-parse", "develop"]), before);
    assert_eq!(tagged(team.run(&["candidate", "--branch", "staging"])).1, "v1.2.0-rc1");
}

#[test]
fn a_reason_says_something() {
    let team = Team::start();
    for reason in ["", " ", "   ", ".", "...", "-", "?", "\u{200b}", "\u{a0}"] {
        let given = team.run(&["final", "--plan", &format!("--no-candidate={reason}")]);
        assert_eq!(given.0, 2, "{reason:?}: {}", given.2);
        assert_eq!(team.run(&["hotfix", "--plan", &format!("--other-base={reason}")]).0, 2, "{reason:?}");
        if !reason.is_empty() {
            let set = exchange(
                team.command(&["final", "--plan"]).env("RILIS_TAG_RC_NO_CANDIDATE", reason),
                Some(&opened(ID)),
            );
            assert_eq!(
                failed(&set),
                (Exit::Config as i32, "setting".into(), "no".into()),
                "{reason:?}: {}",
                set.2
            );
        }
    }
    team.on("main");
    assert_eq!(team.tags(&["final", "--no-candidate", "  no\tstaging yet "]), changed("v1.2.0"));
    let message = team.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0"]);
    assert!(
        message.contains("Rilis-No-Candidate: no staging yet\n") || message.ends_with("no staging yet"),
        "{message}"
    );
}

#[test]
fn a_tag_by_hand_that_reads_like_the_version_is_said() {
    let hand = [
        "v1.2",
        "v1.2.0.0",
        "v01.2.0",
        "vv1.2.0",
        "v.1.2.0",
        "v1.2.0-final",
        "v1.2.0+build",
        "app/v1.2.0",
        "app/v1.2.0-rc1",
        "v1.2.0rc1",
        "1.2.0rc1",
        "v1.2.0_rc1",
        "v1.2.0-c1",
        "v1.2.0-candidate1",
        "v1.2.0-beta1",
        "v1.2.0-r\u{441}1",
        "release-1.2.0",
        "v1_2_0",
        "web@1.2.0",
    ];
    let team = Team::start();
    team.on("main");
    for tag in hand {
        team.remote.git(&["tag", tag, "develop"]);
        for args in
            [&["candidate", "--branch", "staging", "--plan"][..], &["final", "--no-candidate", "x", "--plan"]]
        {
            let (code, document, stderr) = team.run(args);
            assert_eq!(code, 0, "{tag}: {stderr}");
            let warnings = output(&document)["warnings"].to_string();
            assert!(
                warnings.contains("other-spelling")
                    && warnings.contains(&json!(tag).to_string().replace('"', "")),
                "{tag}: {warnings}"
            );
        }
        let (_, list) = team.ask(&["list", "1.2.0"]);
        assert!(list.as_array().is_some_and(Vec::is_empty), "{list}");
        team.remote.git(&["tag", "--delete", tag]);
    }
}

#[test]
fn nothing_steers_the_terminal_of_who_reads_the_tag() {
    let team = Team::start();
    let mut document = opened(ID);
    document["facts"]["notes"] = json!("### Added\n- \u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}abc\n\t- tab");
    let end = exchange(&mut team.command(&["candidate"]), Some(&document));
    assert_eq!(tagged(end), changed("v1.2.0-rc1"));
    let message = team.remote.git(&["cat-file", "tag", "v1.2.0-rc1"]);
    assert!(message.contains("- red abc\n    - tab"), "{message:?}");
    assert!(!message.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{message:?}");
}

#[test]
fn a_checked_out_commit_that_is_missing_is_not_called_nothing() {
    let team = Team::start();
    let commit = team.ours.commit("lost", &[("lost", "x")]);
    let (folder, file) = commit.split_at(2);
    let object = Path::new(".git/objects").join(folder).join(file);
    std::fs::remove_file(team.ours.path().join(object)).expect("removed");
    let (code, document, stderr) = team.run(&["candidate"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("commit-missing")), "{stderr}");
    assert!(stderr.contains(&commit[..12]), "{stderr}");
    let empty = team.path("empty");
    team.ours.git(&["init", "--quiet", &empty.display().to_string()]);
    let fresh = team.run_in(&empty, &["candidate", "--remote", &team.remote.path().display().to_string()]);
    assert_eq!(failed(&fresh), no("no-commit"), "{}", fresh.2);
}

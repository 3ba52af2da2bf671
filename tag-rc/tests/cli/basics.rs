//! Candidates: their numbers, what is refused, what a plan shows, and what a declined push or a kill leaves behind.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::exchange;

use crate::team::{ID, OTHER_ID, Team, changed, failed, fingerprint, no, opened, output, tagged, unchanged};

#[test]
fn a_candidate_is_numbered_by_the_remote_and_proven_there() {
    let team = Team::start();
    for n in [1, 2, 9] {
        team.theirs.git(&["tag", &format!("v1.2.0-rc{n}"), "HEAD"]);
    }
    team.theirs.git(&["push", "--quiet", "--tags"]);
    let head = team.go_on("more");
    let (code, done, stderr) = team.run(&["candidate"]);
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!((&done["facts"]["tag"], &done["facts"]["commit"]), (&json!("v1.2.0-rc10"), &json!(head)));
    assert_eq!(team.remote.commit("refs/tags/v1.2.0-rc10"), Some(head));
    let message = team.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0-rc10"]);
    assert!(
        message.contains("### Added\n- Pay with QRIS") && message.contains(&format!("Rilis-Run: {ID}")),
        "{message}"
    );
    // Tools that sort by SemVer are warned about.
    let out = output(&done);
    assert_eq!(out["semver_precedence_agrees"], false);
    assert_eq!(out["warnings"][0]["code"], "rc10-sorts-below-rc2");
    assert!(stderr.contains("rc10 before rc2"), "{stderr}");
    // The same commit has its candidate, whoever asks.
    let again = exchange(&mut team.command(&["candidate"]), Some(&opened(OTHER_ID)));
    assert_eq!(tagged(again), unchanged("v1.2.0-rc10"));
    assert_eq!(team.remote.tags().len(), 4);
}

#[test]
fn twelve_candidates_are_counted_right_in_either_style() {
    for (style, sep) in [("plain", ""), ("dotted", ".")] {
        let team = Team::start();
        for n in 1..=12 {
            let tag = format!("v1.2.0-rc{sep}{n}");
            let args = ["candidate", "--again", "--rc-style", style];
            let mut document = opened(ID);
            document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-{n:04}"));
            assert_eq!(tagged(exchange(&mut team.command(&args), Some(&document))), changed(&tag));
        }
        let (code, list) = team.ask(&["list", "1.2.0"]);
        let numbers: Vec<u64> = list[0]["candidates"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|c| c["number"].as_u64())
            .collect();
        assert_eq!((code, numbers), (0, (1..=12).collect()));
        assert_eq!(list[0]["semver_precedence_agrees"], sep == ".");
        // The other style does not mix in, and neither does a number with a zero before it.
        let other = if sep.is_empty() { "dotted" } else { "plain" };
        assert_eq!(team.refused(&["candidate", "--again", "--rc-style", other]), no("candidate-style"));
        team.remote.git(&["tag", "v1.2.0-rc013", "staging"]);
        assert_eq!(team.refused(&["candidate", "--again", "--rc-style", style]), no("candidate-style"));
    }
}

#[test]
fn the_tenth_in_the_plain_style_can_be_refused() {
    let team = Team::start();
    team.remote.git(&["tag", "v1.2.0-rc9", "staging"]);
    let args = ["candidate", "--again", "--strict-semver"];
    assert_eq!(team.refused(&args), no("rc10-sorts-below-rc2"));
    std::fs::write(team.ours.path().join("release.toml"), "[tag-rc]\nrc_style = \"roman\"\n")
        .expect("written");
    let (code, reason, _) = team.refused(&["candidate"]);
    assert_eq!((code, reason.as_str()), (78, "setting"));
}

#[test]
fn again_takes_the_next_number_but_never_for_the_same_run() {
    let team = Team::start();
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    assert_eq!(team.tags(&["candidate", "--again"]), unchanged("v1.2.0-rc1"), "this run has made it");
    // Not even from a clone that has never seen the tag.
    let fresh = team.remote.clone_to(&team.path("fresh"));
    fresh.git(&["switch", "--quiet", "staging"]);
    fresh.git(&["tag", "--delete", "v1.2.0-rc1"]);
    let before = fingerprint(&fresh.path().join(".git"));
    assert_eq!(
        tagged(team.run_in(fresh.path(), &["candidate", "--again", "--plan"])),
        unchanged("v1.2.0-rc1")
    );
    assert!(before == fingerprint(&fresh.path().join(".git")), "what was fetched for a look lies aside");
    let other = exchange(&mut team.command(&["candidate", "--again"]), Some(&opened(OTHER_ID)));
    assert_eq!(tagged(other), changed("v1.2.0-rc2"));
}

#[test]
fn what_is_not_what_the_remote_has_is_not_tagged() {
    let team = Team::start();
    std::fs::write(team.ours.path().join("CHANGELOG.md"), "changed").expect("written");
    assert_eq!(team.refused(&["candidate"]), no("dirty"));
    team.ours.git(&["checkout", "--quiet", "--", "CHANGELOG.md"]);
    std::fs::write(team.ours.path().join("build.log"), "untracked").expect("written");
    assert_eq!(team.refused(&["candidate"]), no("dirty"));
    let ignoring = exchange(
        team.command(&["candidate", "--plan"]).env("RILIS_TAG_RC_IGNORE", "*.log"),
        Some(&opened(ID)),
    );
    assert_eq!(ignoring.0, 0, "{}", ignoring.2);
    std::fs::remove_file(team.ours.path().join("build.log")).expect("removed");
    team.theirs.commit("theirs", &[("b", "b")]);
    team.theirs.git(&["push", "--quiet"]);
    assert_eq!(team.refused(&["candidate"]), no("behind"), "the remote's tip is not even known here");
    team.ours.git(&["fetch", "--quiet"]);
    assert_eq!(team.refused(&["candidate"]), no("behind"));
    team.ours.commit("ours", &[("c", "c")]);
    assert_eq!(team.refused(&["candidate"]), no("diverged"));
    team.ours.git(&["pull", "--quiet", "--rebase"]);
    assert_eq!(team.refused(&["candidate"]), no("not-pushed"));
    team.ours.git(&["push", "--quiet"]);
    team.ours.git(&["switch", "--quiet", "--create", "feature/x"]);
    assert_eq!(team.refused(&["candidate"]), no("branch"));
    assert_eq!(team.refused(&["candidate", "--branch", "no-such-branch"]), no("branch-missing"));
    assert!(team.remote.tags().is_empty() && team.ours.git(&["tag"]).is_empty());
    assert_eq!(team.tags(&["candidate", "--branch", "staging"]), changed("v1.2.0-rc1"), "it is its tip");
}

#[test]
fn a_merge_or_rebase_that_is_going_on_is_finished_first() {
    let team = Team::start();
    team.go_on("ours");
    team.ours.git(&["switch", "--quiet", "--create", "side", "HEAD~1"]);
    team.ours.commit("side", &[("ours", "another text")]);
    team.ours.git(&["switch", "--quiet", "staging"]);
    let merge = testkit::git::try_git(team.ours.path(), &["merge", "--quiet", "side"]);
    assert!(!merge.status.success(), "it conflicts");
    let (_, document, _) = team.run(&["candidate"]);
    assert_eq!(document["failure"]["reason"], "busy");
    assert!(document["failure"]["causes"].to_string().contains("also: 1 path differs"), "{document}");
}

/// The checks with their verdicts, in order.
fn checks(document: &Value) -> Vec<(String, String)> {
    let word = |c: &Value, key: &str| c[key].as_str().unwrap_or_default().to_owned();
    let all = output(document)["checks"].as_array().expect("checks");
    assert!(all.iter().all(|c| !word(c, "why").is_empty()), "{document}");
    all.iter().map(|c| (word(c, "name"), word(c, "status"))).collect()
}

#[test]
fn a_plan_shows_what_the_run_does_and_leaves_every_byte_alone() {
    let team = Team::start();
    let files = || (fingerprint(team.ours.path()), fingerprint(team.remote.path()));
    let before = files();
    let (code, planned, stderr) = team.run(&["candidate", "--plan"]);
    assert_eq!((code, planned["steps"][0]["status"].as_str()), (0, Some("planned")), "{stderr}");
    assert!(files() == before, "a plan changed something");
    // Whoever may only read sees the same plan, and a hook that declines is not asked.
    team.remote.decline_pushes();
    assert_eq!(team.run(&["candidate", "--plan"]).0, 0);
    std::fs::remove_file(team.remote.path().join("hooks/pre-receive")).expect("removed");
    let (_, done, _) = team.run(&["candidate"]);
    assert_eq!(output(&planned)["effects"], output(&done)["effects"]);
    assert_eq!(output(&done)["effects"].as_array().map(Vec::len), Some(2));
    assert_eq!(checks(&planned), checks(&done));
    assert_eq!(planned["facts"], done["facts"]);
    assert_eq!(planned["steps"][0]["planned_facts"], json!(["commit", "tag"]));
    // A refusal tells all checks too.
    std::fs::write(team.ours.path().join("x"), "x").expect("written");
    let (_, refused, _) = team.run(&["candidate", "--again", "--plan"]);
    let failed: Vec<_> = checks(&refused).into_iter().filter(|(_, status)| status == "fail").collect();
    assert_eq!(failed, [] as [(String, String); 0], "the same run has its tag");
    let (_, refused, _) =
        exchange(&mut team.command(&["candidate", "--again", "--plan"]), Some(&opened(OTHER_ID)));
    let failed: Vec<_> = checks(&refused).into_iter().filter(|(_, status)| status == "fail").collect();
    assert_eq!(failed, [("clean".to_owned(), "fail".to_owned())]);
}

#[test]
fn exactly_one_ref_is_pushed_by_its_full_name() {
    let team = Team::start();
    for stray in ["v0.1.0", "v0.2.0", "mine", "test", "nightly"] {
        team.ours.git(&["tag", "--annotate", "--message", stray, stray]);
    }
    team.ours.git(&["config", "push.followTags", "true"]);
    team.ours.git(&["branch", "v1.2.0-rc1"]);
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    assert_eq!(team.remote.tags(), ["v1.2.0-rc1"]);
    let branches = team.remote.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert!(!branches.contains("rc1"), "{branches}");
}

#[test]
fn a_declined_push_leaves_nothing_behind() {
    let hooks = [
        ("pre-receive", "echo 'not on a Friday' >&2; exit 1"),
        ("update", "case $1 in refs/tags/v*) echo \"$1: not on a Friday\" >&2; exit 1;; esac"),
    ];
    for (hook, text) in hooks {
        let team = Team::start();
        team.remote.hook(hook, text);
        let (code, document, stderr) = team.run(&["candidate"]);
        assert_eq!(
            failed(&(code, document.clone(), stderr.clone())),
            (1, "push-declined".into(), "no".into()),
            "{hook}: {stderr}"
        );
        assert!(document["failure"]["causes"].to_string().contains("not on a Friday"), "{hook}: {document}");
        assert!(team.remote.tags().is_empty() && team.ours.git(&["tag"]).is_empty(), "{hook}");
        std::fs::remove_file(team.remote.path().join("hooks").join(hook)).expect("removed");
        assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    }
}

#[test]
fn a_server_that_hangs_up_is_no_answer() {
    let team = Team::start();
    // receive-pack dies of this one, and says nothing about the ref.
    team.remote.hook("reference-transaction", "[ $1 != prepared ] || { echo 'disk full' >&2; exit 1; }");
    assert_eq!(team.refused(&["candidate"]), (75, "push-failed".into(), "unknown".into()));
    let object = team.ours.git(&["rev-parse", "v1.2.0-rc1"]);
    std::fs::remove_file(team.remote.path().join("hooks/reference-transaction")).expect("removed");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    assert_eq!(team.remote.git(&["rev-parse", "refs/tags/v1.2.0-rc1"]), object, "the same tag");
}

#[test]
fn our_own_hook_is_asked_and_may_decline_too() {
    let team = Team::start();
    team.ours.hook("pre-push", "echo 'tests are red' >&2; exit 1");
    let (code, document, _) = team.run(&["candidate"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("push-declined")), "{document}");
    assert!(document["failure"]["causes"].to_string().contains("tests are red"), "{document}");
    assert!(team.ours.git(&["tag"]).is_empty());
}

#[test]
fn a_hook_that_takes_the_tag_away_again_is_no_success() {
    let team = Team::start();
    team.remote.hook("post-receive", "git update-ref -d refs/tags/v1.2.0-rc1");
    assert_eq!(team.refused(&["candidate"]), (1, "tag-not-there".into(), "unknown".into()));
}

#[test]
fn killed_between_tag_and_push_it_pushes_the_same_tag_later() {
    let team = Team::start();
    // git's parent is tag-rc, and the hook's is git.
    team.ours.hook("pre-push", "kill -9 $(sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$PPID/stat); exit 1");
    let mut child =
        team.command(&["candidate"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(opened(ID).to_string().as_bytes()).expect("it reads");
    assert_eq!(child.wait().expect("it ended").code(), None, "killed");
    assert_eq!((team.ours.git(&["tag"]).as_str(), team.remote.tags().len()), ("v1.2.0-rc1", 0));
    std::fs::remove_file(team.ours.path().join(".git/hooks/pre-push")).expect("removed");
    let object = team.ours.git(&["rev-parse", "v1.2.0-rc1"]);
    // A run with other notes would make another tag, and does not take this one over.
    let mut other = opened(OTHER_ID);
    other["facts"]["notes"] = json!("### Added\n- Something else");
    assert_eq!(failed(&exchange(&mut team.command(&["candidate"]), Some(&other))), no("local-tag"));
    assert_eq!(team.ours.git(&["rev-parse", "v1.2.0-rc1"]), object, "and leaves it where it is");
    // Whoever says the same pushes it: by hand every run has an id of its own.
    let later = exchange(&mut team.command(&["candidate"]), Some(&opened(OTHER_ID)));
    assert_eq!(tagged(later), changed("v1.2.0-rc1"));
    assert_eq!(team.remote.git(&["rev-parse", "refs/tags/v1.2.0-rc1"]), object);
}

#[test]
fn killed_after_the_push_it_finds_the_same_tag() {
    let team = Team::start();
    for args in [&["candidate"][..], &["candidate", "--again"]] {
        // The remote's last hook runs when everything is done; its pusher's parent is tag-rc.
        team.remote.hook("post-receive", &format!("kill -9 $(cat {}/pid)", team.folder.path().display()));
        team.ours.hook(
            "pre-push",
            &format!(
                "sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$PPID/stat >{}/pid",
                team.folder.path().display()
            ),
        );
        let mut child =
            team.command(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        let mut document = opened(ID);
        document["id"] = json!(format!("{}{}", &ID[..ID.len() - 1], args.len()));
        child.stdin.take().expect("a pipe").write_all(document.to_string().as_bytes()).expect("it reads");
        assert_eq!(child.wait().expect("it ended").code(), None, "killed");
        std::fs::remove_file(team.remote.path().join("hooks/post-receive")).expect("removed");
        std::fs::remove_file(team.ours.path().join(".git/hooks/pre-push")).expect("removed");
        let tag = format!("v1.2.0-rc{}", args.len());
        assert_eq!(tagged(exchange(&mut team.command(args), Some(&document))), unchanged(&tag));
    }
    assert_eq!(team.remote.tags(), ["v1.2.0-rc1", "v1.2.0-rc2"]);
}

#[test]
fn notes_come_from_the_changelog_where_one_was_read() {
    let team = Team::start();
    let mut document = opened(ID);
    document["facts"].as_object_mut().expect("facts").remove("notes");
    let plan = ["candidate", "--plan"];
    assert_eq!(exchange(&mut team.command(&plan), Some(&document)).0, 0, "by hand it goes without");
    let required = exchange(team.command(&plan).env("RILIS_TAG_RC_REQUIRE_NOTES", "true"), Some(&document));
    assert_eq!(failed(&required), no("notes-missing"));
    document["steps"] = json!([{ "name": "x", "status": "changed", "started": "2026-11-24T12:00:00.000Z", "ms": 1, "summary": "x" }]);
    assert_eq!(exchange(&mut team.command(&plan), Some(&document)).1["failure"]["reason"], "notes-missing");
}

#[test]
fn what_is_missing_is_said() {
    let team = Team::start();
    let mut without = opened(ID);
    without["facts"].as_object_mut().expect("facts").remove("version");
    let (_, document, _) = exchange(&mut team.command(&["candidate"]), Some(&without));
    assert_eq!(document["failure"]["reason"], "fact-missing");
    for version in ["1.2", "1.2.0-rc1", "1.2.0+7"] {
        let args = ["candidate", "--release", version, "--fresh"];
        let (code, document, _) = exchange(&mut team.command(&args), None);
        assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("version")), "{version}");
    }
    let mut other = opened(ID);
    other["facts"]["tag"] = json!("v1.1.0");
    let conflict = exchange(&mut team.command(&["candidate"]), Some(&other));
    assert_eq!(failed(&conflict), no("fact-conflict"), "before anything is tagged");
    assert!(team.remote.tags().is_empty());
    team.ours.git(&["config", "--unset", "user.email"]);
    team.ours.git(&["config", "user.useConfigOnly", "true"]);
    let (code, reason, acted) = team.refused(&["candidate"]);
    assert_eq!((code, reason.as_str(), acted.as_str()), (78, "identity", "no"));
    // The environment alone is enough, as it is for git.
    let who = [("GIT_COMMITTER_NAME", "CI"), ("GIT_COMMITTER_EMAIL", "ci@luxima.example")];
    let by_ci = exchange(team.command(&["candidate"]).envs(who), Some(&opened(ID)));
    assert_eq!(tagged(by_ci), changed("v1.2.0-rc1"));
    assert_eq!(team.refused(&[]), (2, "arguments".into(), "no".into()));
}

#[test]
fn a_remote_that_cannot_be_read_is_said() {
    let team = Team::start();
    team.ours.git(&["remote", "set-url", "origin", "/nowhere/at/all.git"]);
    assert_eq!(team.refused(&["candidate"]), (75, "remote-unreachable".into(), "no".into()));
    let output = team.command(&["--check"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(75));
    for question in [&["list"][..], &["verify", "v1.2.0"], &["branches"]] {
        assert_eq!(team.command(question).output().expect("it runs").status.code(), Some(75), "{question:?}");
    }
    let mut elsewhere = team.command(&["candidate"]);
    assert_eq!(failed(&exchange(elsewhere.current_dir("/"), Some(&opened(ID)))), no("no-repository"));
}

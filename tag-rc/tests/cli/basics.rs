//! Candidates: their numbers, what is refused, what a plan shows, and what a declined push or a kill leaves behind.

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::Repo;

use crate::team::{ID, OTHER_ID, Team, changed, failed, fingerprint, no, opened, output, tagged, unchanged};
use step::Exit;

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
    assert_eq!((code, reason.as_str()), (Exit::Config as i32, "setting"));
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
    assert_eq!((code, reason.as_str(), acted.as_str()), (Exit::Config as i32, "identity", "no"));
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
    assert_eq!(team.refused(&["candidate"]), (Exit::Config as i32, "remote-missing".into(), "no".into()));
    let output = team.command(&["--check"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(Exit::Config as i32));
    for question in [&["list"][..], &["verify", "v1.2.0"], &["branches"]] {
        assert_eq!(
            team.command(question).output().expect("it runs").status.code(),
            Some(Exit::Config as i32),
            "{question:?}"
        );
    }
    let mut elsewhere = team.command(&["candidate"]);
    assert_eq!(failed(&exchange(elsewhere.current_dir("/"), Some(&opened(ID)))), no("no-repository"));
}

/// As GitHub says it of a tag whose immutable release was deleted: as if it were a rule.
const FOR_EVER: &str = "case $1 in refs/tags/v1.2.0-rc1|refs/tags/v1.2.0) \
    printf 'error: GH013: Repository rule violations found for %s.\\n\\n- Cannot create ref due to creations being restricted.\\n' $1 >&2; exit 1;; esac";

#[test]
fn a_number_that_the_host_never_takes_again_can_be_passed_over() {
    let team = Team::start();
    team.remote.hook("update", FOR_EVER);
    for _ in 0..2 {
        let (code, document, stderr) = team.run(&["candidate"]);
        let failure = &document["failure"];
        assert_eq!(
            (code, failure["reason"].as_str(), failure["acted"].as_str()),
            (1, Some("push-declined"), Some("no")),
            "{stderr}"
        );
        assert_eq!(failure["next"], "tag-rc candidate --release 1.2.0 --number 2", "{stderr}");
        assert!(
            stderr.contains("--number 2 takes the next number")
                && stderr.contains("creations being restricted"),
            "{stderr}"
        );
    }
    let next = |args: &[&str], id: &str| {
        exchange(&mut team.command(&[&["candidate"], args].concat()), Some(&opened(id)))
    };
    assert_eq!(tagged(next(&["--number", "2", "--plan"], ID)).1, "v1.2.0-rc2");
    assert_eq!(tagged(next(&["--number", "2"], ID)), changed("v1.2.0-rc2"));
    assert_eq!(tagged(next(&["--number", "2"], ID)), unchanged("v1.2.0-rc2"));
    assert_eq!(tagged(next(&[], OTHER_ID)), unchanged("v1.2.0-rc2"), "the commit has it");
    assert_eq!(tagged(next(&["--again"], OTHER_ID)), changed("v1.2.0-rc3"), "the count goes on from there");
    let lower = next(&["--number", "1"], OTHER_ID);
    assert_eq!(failed(&lower), no("candidate-number"), "{}", lower.2);
    assert!(lower.2.contains("--number 4"), "{}", lower.2);
    assert_eq!(next(&["--number", "5", "--retry"], ID).0, 2);
    assert_eq!(next(&["--number", "0"], ID).0, 2);
    // A final has no other number: the next version.
    team.ours.git(&["push", "--quiet", "origin", "staging:main"]);
    team.on("main");
    let (_, document, stderr) = team.run(&["final"]);
    assert_eq!(document["failure"]["reason"], "push-declined", "{stderr}");
    assert!(stderr.contains("release 1.2.1 instead"), "{stderr}");
    assert!(team.ours.git(&["tag", "--list", "v1.2.0"]).is_empty());
}

#[test]
fn what_others_have_made_by_hand_is_counted_or_said() {
    let team = Team::start();
    let warned = |tags: &[&str]| {
        let folder = Repo::clone(
            &team.remote.path().display().to_string(),
            &team.path(&tags.join("-").replace('/', "-")),
            &["--branch", "staging"],
        );
        folder.git(&["commit", "--quiet", "--allow-empty", "-m", "next"]);
        folder.git(&["push", "--quiet", "origin", "HEAD"]);
        tags.iter().for_each(|tag| drop(team.remote.git(&["tag", tag, "staging~1"])));
        let (code, document, stderr) =
            exchange(&mut team.command_in(folder.path(), &["candidate", "--plan"]), Some(&opened(ID)));
        tags.iter().for_each(|tag| drop(team.remote.git(&["tag", "--delete", tag])));
        let word = if code == 0 { &document["facts"]["tag"] } else { &document["failure"]["reason"] };
        (word.as_str().unwrap_or_default().to_owned(), stderr)
    };
    for (tags, word, said) in [
        (&["v1.2.0-rc0"][..], "v1.2.0-rc1", ""),
        (&["v1.2.0-rc.0"], "candidate-style", "v1.2.0-rc.0"),
        (&["1.2.0-rc4"], "v1.2.0-rc5", "1.2.0-rc4 too, without a small v"),
        (&["1.2.0"], "already-final", "1.2.0 is on the remote"),
        (&["V1.2.0"], "already-final", "V1.2.0 is on the remote"),
        (&["release-1.2.0"], "v1.2.0-rc1", "release-1.2.0, which reads like 1.2.0"),
        (&["shop/v1.2.0"], "v1.2.0-rc1", "shop/v1.2.0, which reads like 1.2.0"),
        (&["1.3.0"], "version-order", "1.3.0 is on the remote"),
        (&["1.3.0", "v1.1.0"], "v1.2.0-rc1", "is 1.3.0 released already?"),
        (&["2026.11.27", "other-1.2.1"], "v1.2.0-rc1", ""),
        (&["other-1.2.0"], "v1.2.0-rc1", "other-1.2.0, which reads like 1.2.0"),
        (&["v1.2.0-rc01"], "candidate-style", "no zero before it"),
    ] {
        let (found, stderr) = warned(tags);
        assert_eq!(found, word, "{tags:?}: {stderr}");
        assert!(
            stderr.contains(said) && (!said.is_empty() || !stderr.contains("warning")),
            "{tags:?}: {stderr}"
        );
    }
    // A lightweight tag counts, and is told from one that says who made it.
    team.remote.git(&["tag", "v1.2.0-rc7", "staging"]);
    team.ours.git(&["pull", "--quiet"]);
    let (code, document, stderr) = team.run(&["candidate"]);
    assert_eq!((code, document["facts"]["tag"].as_str()), (0, Some("v1.2.0-rc7")), "{stderr}");
    assert_eq!(output(&document)["warnings"][0]["code"], "lightweight-tag", "{stderr}");
}

#[test]
fn a_version_with_its_letter_is_the_version() {
    let team = Team::start();
    let (code, document, stderr) =
        exchange(&mut team.command(&["candidate", "--release", "v1.2.0", "--fresh", "--plan"]), None);
    assert_eq!((code, document["facts"]["tag"].as_str()), (0, Some("v1.2.0-rc1")), "{stderr}");
    let mut with = opened(ID);
    with["facts"]["version"] = json!("v1.2.0");
    let (_, _, stderr) = exchange(&mut team.command(&["candidate"]), Some(&with));
    assert!(stderr.contains("without the v it is one: 1.2.0"), "{stderr}");
}

#[test]
fn several_things_wrong_at_once_are_all_true() {
    // On staging, which is ahead of main: nothing is said of main, which nobody looked at.
    let team = Team::start();
    team.go_on("more");
    let also = |end: &(i32, Value, String)| -> Vec<String> {
        let causes = end.1["failure"]["causes"].as_array().cloned().unwrap_or_default();
        causes
            .iter()
            .filter_map(Value::as_str)
            .filter(|c| c.starts_with("also:"))
            .map(str::to_owned)
            .collect()
    };
    let end = team.run(&["final"]);
    assert_eq!(failed(&end), no("branch"));
    assert!(also(&end).iter().all(|line| line.contains("1.2.0 has no candidate")), "{:?}", also(&end));
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    assert_eq!(
        also(&team.run(&["final"])),
        [] as [&str; 0],
        "main is not held against the candidate from here"
    );
    // A tag that the remote has at another commit is not only here.
    team.ours.git(&["tag", "--annotate", "--message", "x", "v1.2.0", "origin/main"]);
    team.ours.git(&["push", "--quiet", "origin", "refs/tags/v1.2.0"]);
    team.ours.git(&["push", "--quiet", "origin", "staging:main"]);
    team.on("main");
    let end = team.run(&["final"]);
    assert_eq!((failed(&end), also(&end)), (no("tag-exists"), vec![]), "{}", end.2);
    // What is checked out is not the branch.
    team.ours.git(&["switch", "--quiet", "--detach"]);
    team.ours.commit("loose", &[("loose", "x")]);
    std::fs::write(team.ours.path().join("new"), "x").expect("written");
    let end = exchange(&mut team.command(&["final"]), Some(&crate::team::opened_for(Some("1.3.0"))));
    assert_eq!(failed(&end), no("dirty"), "{}", end.2);
    assert!(
        also(&end)[0].contains("what is checked out has commits that origin/main does not have"),
        "{}",
        end.2
    );
}

#[test]
fn notes_and_answers_may_be_longer_than_a_pipe() {
    let team = Team::start();
    let notes = format!("### Added\n{}", "- Pay with QRIS, and say so in many words\n".repeat(9_000));
    let mut document = opened(ID);
    document["facts"]["notes"] = json!(notes);
    assert_eq!(tagged(exchange(&mut team.command(&["candidate"]), Some(&document))), changed("v1.2.0-rc1"));
    let message = team.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0-rc1"]);
    assert_eq!(message.matches("- Pay with QRIS").count(), 9_000);
    // A hook that talks more than a pipe holds, on both sides, and leaves a program behind that keeps the pipe open.
    let talk = "seq 1 40000 >&2; sleep 300 >&2 & echo $! >>";
    team.ours.hook("pre-push", &format!("cat >/dev/null; {talk}{}", team.path("left").display()));
    let started = std::time::Instant::now();
    let again = exchange(&mut team.command(&["candidate", "--again"]), Some(&opened(OTHER_ID)));
    let left = std::fs::read_to_string(team.path("left")).expect("its id");
    let killed = std::process::Command::new("kill").arg(left.trim()).status().expect("kill");
    assert!(killed.success(), "it was still there");
    assert_eq!(tagged(again), changed("v1.2.0-rc2"));
    assert!(started.elapsed() < std::time::Duration::from_secs(200), "it was not waited for");
}

//! Finals and hotfixes: a final is what its last candidate was, however it came to main; a hotfix is the next patch.

use serde_json::json;
use testkit::exchange;
use testkit::git::Repo;

use crate::team::{ID, OTHER_ID, Team, changed, failed, no, opened_for, output, tagged, unchanged};

/// 1.1.0 is released from main; staging has gone on and carries v1.2.0-rc1.
fn candidate() -> Team {
    let team = Team::start();
    team.ours.git(&["tag", "v1.1.0", "origin/main"]);
    team.ours.git(&["push", "--quiet", "origin", "refs/tags/v1.1.0"]);
    team.go_on("qris");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    team
}

/// A colleague brings staging to main in some way, and we follow.
fn promote(team: &Team, commands: &[&[&str]]) {
    team.theirs.git(&["fetch", "--quiet", "--no-tags", "origin"]);
    team.theirs.git(&["switch", "--quiet", "main"]);
    for command in commands {
        team.theirs.git(command);
    }
    team.theirs.git(&["push", "--quiet", "origin", "main"]);
    team.on("main");
}

const MERGE: &[&str] = &["merge", "--quiet", "--no-ff", "-m", "Release", "origin/staging"];
const FAST_FORWARD: &[&str] = &["merge", "--quiet", "--ff-only", "origin/staging"];
const SQUASH: &[&str] = &["merge", "--quiet", "--squash", "origin/staging"];
const COMMIT: &[&str] = &["commit", "--quiet", "--allow-empty", "-m", "Release"];

#[test]
fn every_way_to_main_is_told_and_put_into_the_tag() {
    let ways: [(&str, &[&[&str]]); 5] = [
        ("same-commit", &[FAST_FORWARD]),
        ("fast-forward", &[FAST_FORWARD, COMMIT, COMMIT]),
        ("merge", &[MERGE]),
        ("squash", &[SQUASH, COMMIT]),
        (
            "squash",
            &[
                &["cherry-pick", "origin/staging", "--allow-empty", "--no-gpg-sign"],
                &["commit", "--quiet", "--amend", "-m", "picked"],
            ],
        ),
    ];
    for (mode, commands) in ways {
        let team = candidate();
        promote(&team, commands);
        let (code, planned, stderr) = team.run(&["final", "--plan"]);
        assert_eq!(code, 0, "{mode}: {stderr}");
        let (code, done, stderr) = team.run(&["final"]);
        assert_eq!((code, done["facts"]["tag"].as_str()), (0, Some("v1.2.0")), "{mode}: {stderr}");
        assert_eq!(output(&done)["promotion"]["mode"], mode);
        assert_eq!(output(&planned)["effects"], output(&done)["effects"]);
        let message = team.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0"]);
        assert!(message.contains(&format!("Rilis-Candidate: v1.2.0-rc1 ({mode})")), "{message}");
        let (code, verified) = team.ask(&["verify", "v1.2.0"]);
        assert_eq!((code, &verified["promotion"]["mode"]), (0, &json!(mode)), "{verified}");
        assert!(verified["branches"].to_string().starts_with("[\"main\""), "{verified}");
    }
}

#[test]
fn what_nobody_has_tested_is_refused() {
    let team = candidate();
    // A commit on main that no candidate had.
    promote(&team, &[MERGE]);
    team.go_on("hotfix-on-main");
    let (code, document, _) = team.run(&["final"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("not-the-candidate")), "{document}");
    assert!(document["failure"]["causes"].to_string().contains("hotfix-on-main"), "{document}");
    assert_eq!(output(&document)["promotion"]["mode"], "differs");
    assert_eq!(output(&document)["promotion"]["differs"], json!(["hotfix-on-main"]));
    // Where it is meant, it is said which paths may differ, and the document lists them.
    let mut command = team.command(&["final", "--plan"]);
    let (code, document, _) =
        exchange(command.env("RILIS_TAG_RC_MAY_DIFFER", "hotfix-*"), Some(&opened_for(Some("1.2.0"))));
    assert_eq!(
        (code, &output(&document)["promotion"]["permitted"]),
        (0, &json!(["hotfix-on-main"])),
        "{document}"
    );
    // A second candidate makes the first one worthless, even for the commit that it was made of.
    team.on("staging");
    team.go_on("second");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc2"));
    team.ours.git(&["switch", "--quiet", "--detach", "v1.2.0-rc1"]);
    team.ours.git(&["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]);
    assert_eq!(team.refused(&["final"]), no("not-the-candidate"));
}

#[test]
fn without_a_candidate_a_reason_is_needed_and_kept() {
    let team = Team::start();
    assert_eq!(team.refused(&["final"]), no("branch"));
    team.on("main");
    assert_eq!(team.refused(&["final"]), no("no-candidate"));
    assert_eq!(team.refused(&["final", "--no-candidate", ""]).0, 2);
    assert_eq!(team.tags(&["final", "--no-candidate", "no staging yet"]), changed("v1.2.0"));
    let (code, verified) = team.ask(&["verify", "v1.2.0"]);
    assert_eq!((code, &verified["no_candidate"]), (0, &json!("no staging yet")));
    assert_eq!(team.tags(&["final", "--no-candidate", "no staging yet"]), unchanged("v1.2.0"));
    team.go_on("more");
    assert_eq!(team.refused(&["final", "--no-candidate", "no staging yet"]), no("tag-exists"));
    team.on("staging");
    assert_eq!(team.refused(&["candidate"]), no("already-final"));
    let older = exchange(&mut team.command(&["candidate"]), Some(&opened_for(Some("1.1.9"))));
    assert_eq!(failed(&older), no("version-order"));
}

#[test]
fn a_candidate_that_is_not_here_is_looked_at_all_the_same() {
    let team = candidate();
    promote(&team, &[SQUASH, COMMIT]);
    // This clone has main and nothing else.
    let url = format!("file://{}", team.remote.path().display());
    let lean = Repo::clone(&url, &team.path("lean"), &["--single-branch", "--no-tags", "--branch", "main"]);
    let before = crate::team::fingerprint(&lean.path().join(".git"));
    let (code, planned, stderr) = team.run_in(lean.path(), &["final", "--plan"]);
    assert_eq!((code, &output(&planned)["promotion"]["mode"]), (0, &json!("squash")), "{stderr}");
    let after = crate::team::fingerprint(&lean.path().join(".git"));
    assert!(before == after, "looking changes nothing");
    assert_eq!(tagged(team.run_in(lean.path(), &["final"])), changed("v1.2.0"));
}

/// 1.2.0 is a candidate; meanwhile 1.1.0 gets a hotfix on a branch of its own.
fn hotfix() -> Team {
    let team = candidate();
    team.ours.git(&["switch", "--quiet", "--create", "hotfix/pay", "v1.1.0"]);
    team.go_on("pay");
    team
}

#[test]
fn a_hotfix_is_the_next_patch_from_its_own_branch() {
    let team = hotfix();
    let fix = |args: &[&str]| {
        let mut document = opened_for(None);
        document["procedure"] = json!("hotfix");
        exchange(&mut team.command(args), Some(&document))
    };
    assert_eq!(tagged(fix(&["hotfix", "--plan"])).1, "v1.1.1");
    let wrong = exchange(&mut team.command(&["hotfix"]), Some(&opened_for(Some("1.2.0"))));
    assert_eq!(failed(&wrong), no("hotfix-version"));
    let (_, done, _) = fix(&["hotfix"]);
    assert_eq!((&done["facts"]["version"], &done["facts"]["tag"]), (&json!("1.1.1"), &json!("v1.1.1")));
    assert_eq!(tagged(fix(&["hotfix"])), unchanged("v1.1.1"), "not yet another patch");
    // In CI no branch is checked out.
    team.go_on("pay2");
    team.ours.git(&["switch", "--quiet", "--detach"]);
    assert_eq!(tagged(fix(&["hotfix"])), changed("v1.1.2"));
    team.on("main");
    assert_eq!(failed(&fix(&["hotfix"])), no("branch"), "although its commit has a final");
    team.go_on("elsewhere");
    assert_eq!(failed(&fix(&["hotfix"])), no("branch"));
    team.ours.git(&["switch", "--quiet", "--create", "hotfix/other", "staging"]);
    team.go_on("other");
    assert_eq!(failed(&fix(&["hotfix"])), no("hotfix-base"), "1.1.2 is not in it");
}

#[test]
fn a_hotfix_that_the_candidate_does_not_have_is_worth_a_word() {
    let team = hotfix();
    let fixed = exchange(&mut team.command(&["hotfix"]), Some(&opened_for(None)));
    assert_eq!(tagged(fixed), changed("v1.1.1"));
    promote(&team, &[MERGE]);
    let (code, done, stderr) = team.run(&["final"]);
    assert_eq!((code, &output(&done)["warnings"][0]["code"]), (0, &json!("last-final-missing")), "{stderr}");
    assert!(stderr.contains("v1.2.0-rc1 does not have everything that v1.1.1 has"), "{stderr}");
    // The same is said of the next candidate, until the fix is picked.
    team.on("staging");
    team.ours.git(&["commit", "--quiet", "--allow-empty", "-m", "next"]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    team.ours.git(&["push", "--quiet", "origin", ":refs/tags/v1.2.0"]);
    team.ours.git(&["tag", "--delete", "v1.2.0"]);
    let codes = || output(&team.run(&["candidate", "--plan"]).1)["warnings"].clone();
    assert_eq!(codes()[0]["code"], "last-final-missing");
    team.ours.git(&["cherry-pick", "v1.1.1"]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    assert_eq!(codes(), json!([]));
}

#[test]
fn goreleaser_takes_the_candidate_when_both_are_on_one_commit() {
    let team = candidate();
    team.go_on(".goreleaser.yaml");
    let second = exchange(
        &mut team.command(&["candidate"]),
        Some(&{
            let mut document = opened_for(Some("1.2.0"));
            document["id"] = json!(OTHER_ID);
            document
        }),
    );
    assert_eq!(tagged(second), changed("v1.2.0-rc2"));
    promote(&team, &[FAST_FORWARD]);
    let (_, done, _) = team.run(&["final"]);
    assert_eq!(output(&done)["warnings"][0]["code"], "goreleaser-takes-candidate", "{done}");
    assert_eq!(done["id"], ID);
    // That is how it sorts what points at the commit.
    let order = team.ours.git(&["tag", "--points-at", "HEAD", "--sort=-version:refname"]);
    assert_eq!(order.lines().next(), Some("v1.2.0-rc2"), "{order}");
}

//! A final that is out already is handed out again only as what it was made as: an old one would take a newer one back.

use serde_json::{Value, json};
use testkit::exchange;

use crate::hotfixes::{branch, document, fix, push, released};
use crate::team::{OTHER_ID, Team, changed, failed, no, opened_for, tagged, unchanged};

/// v1.2.0 and v1.3.0 are out, from main.
pub fn two_finals() -> Team {
    let team = released();
    team.ours.git(&["switch", "--quiet", "staging"]);
    push(&team, &["staging:main"]);
    team.on("main");
    let last = exchange(&mut team.command(&["final"]), Some(&opened_for(Some("1.3.0"))));
    assert_eq!(tagged(last), changed("v1.3.0"));
    team
}

/// A branch somewhere, without a commit of its own.
fn bare_branch(team: &Team, name: &str, at: &str) {
    team.ours.git(&["switch", "--quiet", "--no-track", "--create", name, at]);
    push(team, &["HEAD"]);
}

fn by_another_run(team: &Team, previous: Option<Value>) -> (i32, Value, String) {
    let mut document = document(previous);
    document["id"] = json!(OTHER_ID);
    exchange(&mut team.command(&["hotfix"]), Some(&document))
}

#[test]
fn a_branch_without_a_fix_hands_out_no_old_final() {
    let team = two_finals();
    bare_branch(&team, "hotfix/a", "v1.2.0");
    let runs = json!({ "version": "1.3.0" });
    for previous in [None, Some(runs)] {
        for args in [&[][..], &["--release", "1.2.0"], &["--plan"], &["--other-base", "we know better"]] {
            let end = fix(&team, args, previous.clone());
            assert_eq!(failed(&end), no("old-final"), "{args:?} {previous:?}: {}", end.2);
            assert_eq!(end.1["facts"].get("tag"), None, "{}", end.1);
            let next = end.1["failure"]["next"].as_str().expect("a command");
            assert!(next.starts_with("git switch --create hotfix/a-on-1.3.0 "), "{next}");
        }
    }
    std::fs::write(team.ours.path().join("dirty"), "x").expect("written");
    assert_eq!(failed(&fix(&team, &["--release", "1.2.0"], None)), no("old-final"));
    // The newest one is no fix either.
    std::fs::remove_file(team.ours.path().join("dirty")).expect("removed");
    bare_branch(&team, "hotfix/b", "v1.3.0");
    for previous in [None, Some(json!({ "version": "1.3.0" })), Some(json!({ "version": "1.2.0" }))] {
        let end = fix(&team, &[], previous.clone());
        let reason = end.1["failure"]["reason"].as_str().unwrap_or_default().to_owned();
        assert!(
            end.0 == 1 && ["nothing-to-fix", "old-final"].contains(&reason.as_str()),
            "{previous:?}: {}",
            end.2
        );
    }
    // Nor is the candidate that became it.
    bare_branch(&team, "hotfix/c", "v1.3.0-rc1");
    assert_eq!(fix(&team, &[], None).0, 1);
}

#[test]
fn the_only_final_is_no_fix() {
    let team = released();
    bare_branch(&team, "hotfix/a", "v1.2.0");
    assert_eq!(failed(&fix(&team, &[], None)), no("nothing-to-fix"));
    assert_eq!(failed(&fix(&team, &[], Some(json!({ "version": "1.2.0" })))), no("nothing-to-fix"));
}

#[test]
fn a_hotfix_is_asked_for_twice_and_made_once() {
    let team = two_finals();
    branch(&team, "hotfix/a", "v1.3.0");
    assert_eq!(tagged(fix(&team, &[], None)), changed("v1.3.1"));
    assert_eq!(tagged(fix(&team, &[], None)), unchanged("v1.3.1"));
    // It runs by now: this run goes on, another one has nothing to fix.
    let runs = Some(json!({ "version": "1.3.1" }));
    assert_eq!(tagged(fix(&team, &[], runs.clone())), unchanged("v1.3.1"));
    assert_eq!(failed(&by_another_run(&team, runs)), no("nothing-to-fix"));
    // It does not run yet: another run of this branch goes on, another branch does not.
    assert_eq!(tagged(by_another_run(&team, None)), unchanged("v1.3.1"));
    bare_branch(&team, "hotfix/other", "v1.3.1");
    assert_eq!(failed(&by_another_run(&team, None)), no("nothing-to-fix"));
    // Main has taken it up, as it is.
    team.ours.git(&["switch", "--quiet", "hotfix/a"]);
    push(&team, &["HEAD:main"]);
    assert_eq!(tagged(by_another_run(&team, None)), unchanged("v1.3.1"));
    // And then another one is out.
    branch(&team, "hotfix/next", "v1.3.1");
    assert_eq!(tagged(fix(&team, &[], None)), changed("v1.3.2"));
    team.ours.git(&["switch", "--quiet", "hotfix/a"]);
    for previous in [None, Some(json!({ "version": "1.3.2" })), Some(json!({ "version": "1.3.0" }))] {
        let end = fix(&team, &[], previous.clone());
        assert_eq!(end.0, 1, "{previous:?}: {} {}", end.1, end.2);
    }
}

#[test]
fn an_old_final_is_not_handed_out_by_final_either_and_an_old_candidate_is_said() {
    let team = two_finals();
    team.ours.git(&["switch", "--quiet", "--detach", "v1.2.0"]);
    let end = exchange(&mut team.command(&["final"]), Some(&opened_for(Some("1.2.0"))));
    assert_eq!(failed(&end), no("version-order"), "{}", end.2);
    let team = Team::start();
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    assert_eq!(team.tags(&["candidate"]), unchanged("v1.2.0-rc1"));
    team.go_on("more");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc2"));
    team.ours.git(&["switch", "--quiet", "--detach", "v1.2.0-rc1"]);
    let (code, document, stderr) = team.run(&["candidate"]);
    assert_eq!((code, &document["facts"]["tag"]), (0, &json!("v1.2.0-rc1")), "{stderr}");
    assert!(stderr.contains("v1.2.0-rc1 is an old candidate: the last one is v1.2.0-rc2"), "{stderr}");
}

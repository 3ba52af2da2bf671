//! What a hotfix is built on: the final that runs and the fix, or a reason why not.

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::Repo;

use crate::old_finals::two_finals;
use crate::team::{Team, changed, failed, fingerprint, no, opened_for, output, tagged, unchanged};

/// v1.2.0 is released from main, develop has gone on with two features, staging with one that has a candidate of 1.3.0.
pub fn released() -> Team {
    let team = Team::start();
    team.go_on("qris");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    push(&team, &["staging:main", "staging:develop"]);
    team.on("main");
    assert_eq!(team.tags(&["final"]), changed("v1.2.0"));
    team.on("develop");
    team.go_on("feature-1");
    team.go_on("feature-2");
    team.on("staging");
    team.go_on("sale");
    team.ours.git(&["tag", "v1.3.0-rc1"]);
    push(&team, &["v1.3.0-rc1"]);
    team
}

pub fn push(team: &Team, refs: &[&str]) {
    team.ours.git(&[&["push", "--quiet", "origin"], refs].concat());
}

/// A branch from somewhere with one commit of its own, on the remote.
pub fn branch(team: &Team, name: &str, from: &str) {
    team.ours.git(&["switch", "--quiet", "--no-track", "--create", name, from]);
    team.go_on(&name.replace('/', "-"));
}

/// A document of the hotfix procedure, in which production runs something.
pub fn document(previous: Option<Value>) -> Value {
    let mut document = opened_for(None);
    document["procedure"] = json!("hotfix");
    if let Some(previous) = previous {
        document["facts"]["previous"] = previous;
    }
    document
}

pub fn fix(team: &Team, args: &[&str], previous: Option<Value>) -> (i32, Value, String) {
    exchange(&mut team.command(&[&["hotfix"], args].concat()), Some(&document(previous)))
}

/// The subjects of the commits that a record lists, and from which branch they came along.
fn listed(document: &Value) -> Vec<String> {
    let commits = output(document)["base"]["commits"].as_array().expect("commits");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |c: &Value| format!("{} {}", word(&c["subject"]), word(&c["from"])).trim().to_owned();
    commits.iter().map(line).collect()
}

#[test]
fn a_hotfix_from_the_final_that_runs_lists_what_ships() {
    let team = released();
    branch(&team, "hotfix/prices", "v1.2.0");
    team.go_on("prices-2");
    let (code, planned, stderr) = fix(&team, &["--plan"], None);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(listed(&planned), ["prices-2", "hotfix-prices"]);
    assert!(
        stderr.contains("2 commits that v1.2.0 does not have:") && stderr.contains("prices-2"),
        "{stderr}"
    );
    let (code, done, stderr) = fix(&team, &[], None);
    assert_eq!((code, &done["facts"]["tag"]), (0, &json!("v1.2.1")), "{stderr}");
    assert_eq!(output(&done)["base"], output(&planned)["base"]);
    assert_eq!(output(&done)["base"]["why"], "v1.2.0 is the newest final on main");
    let message = team.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.1"]);
    assert!(message.contains("Rilis-Base: v1.2.0") && !message.contains("Rilis-Other-Base"), "{message}");
    let (code, verified) = team.ask(&["verify", "v1.2.1"]);
    assert_eq!((code, &verified["base"]), (0, &json!("v1.2.0")), "{verified}");
    // Merged into the others afterwards, and asked once more: done is done.
    team.on("develop");
    team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "hotfix", "hotfix/prices"]);
    push(&team, &["develop"]);
    team.ours.git(&["switch", "--quiet", "hotfix/prices"]);
    assert_eq!(tagged(fix(&team, &[], None)), unchanged("v1.2.1"));
}

/// What the branch is, how it is made after [`released`], what has come along, or what the message says.
type Row = (&'static str, fn(&Team), Result<&'static [&'static str], &'static str>);

const ROWS: &[Row] = &[
    ("from develop", |team| branch(team, "hotfix/x", "origin/develop"), Err("2 commits along from develop")),
    (
        "from below the tip of develop",
        |team| branch(team, "hotfix/x", "origin/develop~1"),
        Err("1 commit along from develop"),
    ),
    ("from staging", |team| branch(team, "hotfix/x", "origin/staging"), Err("1 commit along from staging")),
    (
        "from another one's feature",
        |team| {
            branch(team, "feature/y", "v1.2.0");
            branch(team, "hotfix/x", "feature/y");
        },
        Err("1 commit along from feature/y"),
    ),
    (
        "from another hotfix that is not out",
        |team| {
            branch(team, "hotfix/y", "v1.2.0");
            branch(team, "hotfix/x", "hotfix/y");
        },
        Err("1 commit along from hotfix/y"),
    ),
    (
        "with develop merged into it",
        |team| {
            branch(team, "hotfix/x", "v1.2.0");
            team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "bring it up to date", "origin/develop"]);
            push(team, &["HEAD"]);
        },
        Err("2 commits along from develop"),
    ),
    (
        "from main, which has gone on",
        |team| {
            team.on("main");
            team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "Release 1.3.0", "origin/staging"]);
            push(team, &["main"]);
            branch(team, "hotfix/x", "origin/main");
        },
        Err("along from main"),
    ),
    ("from before the final", |team| branch(team, "hotfix/x", "v1.2.0~1"), Err("it lacks 1 commit")),
    ("from the final", |team| branch(team, "hotfix/x", "v1.2.0"), Ok(&["hotfix-x"])),
    (
        "merged into develop before it is tagged",
        |team| {
            branch(team, "hotfix/x", "v1.2.0");
            team.on("develop");
            team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "hotfix", "hotfix/x"]);
            push(team, &["develop"]);
            team.ours.git(&["switch", "--quiet", "hotfix/x"]);
        },
        Ok(&["hotfix-x"]),
    ),
    (
        "merged into main by a pull request before it is tagged",
        |team| {
            branch(team, "hotfix/x", "v1.2.0");
            team.on("main");
            team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "hotfix", "hotfix/x"]);
            push(team, &["main"]);
            team.ours.git(&["switch", "--quiet", "hotfix/x"]);
        },
        Ok(&["hotfix-x"]),
    ),
    (
        "from main, where the last hotfix was merged",
        |team| {
            branch(team, "hotfix/y", "v1.2.0");
            assert_eq!(tagged(fix(team, &[], None)), changed("v1.2.1"));
            team.on("main");
            team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "the last hotfix", "hotfix/y"]);
            push(team, &["main"]);
            branch(team, "hotfix/x", "origin/main");
        },
        Ok(&["hotfix-x"]),
    ),
    (
        "beside another hotfix",
        |team| {
            branch(team, "hotfix/y", "v1.2.0");
            branch(team, "hotfix/x", "v1.2.0");
        },
        Ok(&["hotfix-x"]),
    ),
    (
        "with a merge of its own",
        |team| {
            branch(team, "hotfix/x", "v1.2.0");
            team.ours.git(&["switch", "--quiet", "--create", "part", "v1.2.0"]);
            team.ours.commit("part", &[("part", "p")]);
            team.ours.git(&["switch", "--quiet", "hotfix/x"]);
            team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "both", "part"]);
            push(team, &["HEAD"]);
        },
        Ok(&["both", "part", "hotfix-x"]),
    ),
];

#[test]
fn what_nobody_has_tested_does_not_come_along() {
    let released = released();
    for (name, prepare, expected) in ROWS {
        let team = released.copy();
        prepare(&team);
        let end = fix(&team, &["--plan"], None);
        match expected {
            Ok(commits) => {
                assert_eq!(end.0, 0, "{name}: {}", end.2);
                let mut found = listed(&end.1);
                let mut commits = commits.to_vec();
                found.sort();
                commits.sort_unstable();
                assert_eq!(found, commits, "{name}");
            }
            Err(words) => {
                assert_eq!(failed(&end), no("hotfix-base"), "{name}: {}", end.2);
                let message = end.1["failure"]["message"].as_str().expect("a message");
                assert!(message.contains(words), "{name}: {message}");
                // The remedy that is printed helps, where it is one.
                let next = end.1["failure"]["next"].as_str().expect("a command");
                if next.contains("cherry-pick") {
                    let run = std::process::Command::new("sh")
                        .args(["-ec", next])
                        .current_dir(team.ours.path())
                        .output();
                    let run = run.expect("sh");
                    assert!(run.status.success(), "{name}: {next}: {}", String::from_utf8_lossy(&run.stderr));
                    push(&team, &["HEAD"]);
                    assert_eq!(tagged(fix(&team, &["--plan"], None)).1, "v1.2.1", "{name}");
                }
            }
        }
    }
}

#[test]
fn a_reason_overrides_and_the_tag_keeps_it() {
    let team = released();
    branch(&team, "hotfix/x", "origin/develop");
    let end = fix(&team, &[], None);
    assert_eq!(failed(&end), no("hotfix-base"));
    assert_eq!(
        end.1["failure"]["causes"].as_array().map(Vec::len),
        Some(2),
        "the commits are named: {}",
        end.1["failure"]
    );
    assert_eq!(fix(&team, &["--other-base", ""], None).0, 2);
    let (code, done, stderr) = fix(&team, &["--other-base", "QA has seen both features"], None);
    assert_eq!((code, &done["facts"]["tag"]), (0, &json!("v1.2.1")), "{stderr}");
    assert_eq!(listed(&done), ["hotfix-x", "feature-2 develop", "feature-1 develop"]);
    assert_eq!(output(&done)["warnings"][0]["code"], "other-base", "{done}");
    let (code, verified) = team.ask(&["verify", "v1.2.1"]);
    assert_eq!((code, &verified["other_base"]), (0, &json!("QA has seen both features")), "{verified}");
}

#[test]
fn what_runs_is_what_the_step_that_looked_has_seen() {
    // 1.3.0 was released and rolled back: production runs 1.2.0, built as its candidate.
    let team = two_finals();
    let commit = team.ours.git(&["rev-parse", "v1.2.0^{commit}"]);
    let previous = json!({ "version": "1.2.0-rc1", "commit": commit });
    branch(&team, "hotfix/old", "v1.2.0");
    branch(&team, "hotfix/new", "v1.3.0");
    let end = fix(&team, &["--plan"], Some(previous.clone()));
    assert_eq!(failed(&end), no("hotfix-base"), "what was taken back does not come again");
    assert!(end.2.contains("production runs 1.2.0-rc1"), "{}", end.2);
    assert_eq!(tagged(fix(&team, &["--plan"], None)).1, "v1.3.1", "nobody has looked: the newest on main");
    team.ours.git(&["switch", "--quiet", "hotfix/old"]);
    assert_eq!(failed(&fix(&team, &["--plan"], None)), no("hotfix-base"));
    for previous in [previous, json!({ "version": "1.2.0" }), json!({ "commit": commit })] {
        let (code, planned, stderr) = fix(&team, &["--plan"], Some(previous.clone()));
        assert_eq!((code, &planned["facts"]["tag"]), (0, &json!("v1.2.1")), "{previous}: {stderr}");
    }
    let end = exchange(
        &mut team.command(&["hotfix", "--release", "1.3.1"]),
        Some(&document(Some(json!({ "version": "1.2.0" })))),
    );
    assert_eq!(failed(&end), no("hotfix-version"), "{}", end.2);
    // What runs is no final: nobody knows what a fix of it would be built on.
    for name in ["1.4.0-rc1", "latest"] {
        let end = fix(&team, &["--plan"], Some(json!({ "version": name })));
        assert_eq!(failed(&end), no("hotfix-base"));
        assert!(end.2.contains(&format!("production runs {name}")), "{}", end.2);
    }
    team.ours.git(&["switch", "--quiet", "hotfix/new"]);
    assert_eq!(
        tagged(fix(&team, &["--plan"], Some(json!({ "deployments": [] })))).1,
        "v1.3.1",
        "it saw no name"
    );
}

#[test]
fn a_hotfix_that_main_does_not_have_yet_runs_all_the_same() {
    let team = released();
    branch(&team, "hotfix/first", "v1.2.0");
    assert_eq!(tagged(fix(&team, &[], None)), changed("v1.2.1"));
    branch(&team, "hotfix/second", "v1.2.0");
    let end = fix(&team, &[], None);
    assert_eq!(failed(&end), no("hotfix-base"), "it would take the first one back");
    assert!(end.2.contains("not built on v1.2.1: it lacks 1 commit"), "{}", end.2);
    team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "with the first", "v1.2.1"]);
    push(&team, &["HEAD"]);
    assert_eq!(tagged(fix(&team, &[], None)), changed("v1.2.2"));
}

/// Main has the candidate as a merge, or as a squash.
fn promoted(how: &[&[&str]]) -> Team {
    let team = Team::start();
    team.go_on("qris");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    team.on("main");
    team.ours.commit("unlike", &[("unlike", "x")]);
    team.ours.git(&["rm", "--quiet", "unlike"]);
    team.ours.git(&["commit", "--quiet", "-m", "alike again"]);
    for command in how {
        team.ours.git(command);
    }
    push(&team, &["main"]);
    assert_eq!(team.tags(&["final"]), changed("v1.2.0"));
    team
}

#[test]
fn the_candidate_that_became_the_final_is_as_good_a_base() {
    let ways: [&[&[&str]]; 2] = [
        &[&["merge", "--quiet", "--no-ff", "-m", "Release", "origin/staging"]],
        &[&["merge", "--quiet", "--squash", "origin/staging"], &["commit", "--quiet", "-m", "Release"]],
    ];
    for way in ways {
        let team = promoted(way);
        branch(&team, "hotfix/x", "v1.2.0-rc1");
        let (code, planned, stderr) = fix(&team, &["--plan"], None);
        assert_eq!((code, listed(&planned)), (0, vec!["hotfix-x".to_owned()]), "{way:?}: {stderr}");
    }
}

#[test]
fn what_is_not_here_is_looked_at_aside() {
    let team = released();
    branch(&team, "hotfix/x", "origin/develop");
    let url = format!("file://{}", team.remote.path().display());
    let lean =
        Repo::clone(&url, &team.path("lean"), &["--single-branch", "--no-tags", "--branch", "hotfix/x"]);
    let before = fingerprint(&lean.path().join(".git"));
    let end = exchange(&mut team.command_in(lean.path(), &["hotfix"]), Some(&document(None)));
    assert_eq!(failed(&end), no("hotfix-base"), "{}", end.2);
    assert!(end.2.contains("along from develop"), "{}", end.2);
    assert!(before == fingerprint(&lean.path().join(".git")), "looking changes nothing");
    // A hotfix that is only a tag there is not taken back by one that has never heard of it.
    let team = released();
    branch(&team, "hotfix/first", "v1.2.0");
    assert_eq!(tagged(fix(&team, &[], None)), changed("v1.2.1"));
    push(&team, &[":hotfix/first"]);
    branch(&team, "hotfix/second", "v1.2.0");
    let url = format!("file://{}", team.remote.path().display());
    let args = ["--single-branch", "--no-tags", "--branch", "hotfix/second"];
    let lean = Repo::clone(&url, &team.path("lean"), &args);
    let end = exchange(&mut team.command_in(lean.path(), &["hotfix"]), Some(&document(None)));
    assert_eq!(failed(&end), no("hotfix-base"), "{}", end.2);
    assert!(end.2.contains("not built on v1.2.1"), "{}", end.2);
}

#[test]
fn what_a_commit_says_does_not_steer_the_terminal() {
    let team = released();
    team.ours.git(&["switch", "--quiet", "--create", "hotfix/x", "v1.2.0"]);
    team.ours.git(&[
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "fix \u{1b}[2J\u{1b}]0;owned\u{7} \u{202e}prices",
    ]);
    push(&team, &["HEAD"]);
    let (code, document, stderr) = fix(&team, &["--plan"], None);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        !stderr.contains('\u{1b}') && !stderr.contains('\u{7}') && !stderr.contains('\u{202e}'),
        "{stderr:?}"
    );
    assert!(stderr.contains("owned") && !document.to_string().contains("\\u001b"), "{document}");
}

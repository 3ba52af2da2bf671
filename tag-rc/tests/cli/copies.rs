//! A hotfix that brings unreleased work along under another id: a cherry-pick, a squash, a rebase of it is the same work.

use crate::hotfixes::{branch, fix, push, released};
use crate::team::{Team, failed, no, output};

/// The commits are in the same second as a rule: this one is not.
fn at(team: &Team, seconds: i64, script: &str) {
    let when = format!("{} +0000", 4_000_000_000_i64 + seconds);
    let done = std::process::Command::new("sh")
        .args(["-ec", script])
        .current_dir(team.ours.path())
        .envs([("GIT_AUTHOR_DATE", &when), ("GIT_COMMITTER_DATE", &when)])
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .output()
        .expect("sh");
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What the branch is, the script that makes it after `released`, and the branch that it brings something along from.
const ROWS: &[(&str, &str, Option<&str>)] = &[
    ("a commit picked from develop", "git cherry-pick origin/develop", Some("develop")),
    ("picked with its source named", "git cherry-pick -x origin/develop", Some("develop")),
    ("picked from below the tip", "git cherry-pick origin/develop~1", Some("develop")),
    (
        "picked under other words",
        "git cherry-pick -n origin/develop; git commit -qm 'my own fix'",
        Some("develop"),
    ),
    ("picked from staging", "git cherry-pick origin/staging", Some("staging")),
    ("picked both", "git cherry-pick origin/develop~2..origin/develop", Some("develop")),
    (
        "all of develop, squashed",
        "git merge -q --squash origin/develop; git commit -qm 'a fix'",
        Some("develop"),
    ),
    (
        "half of develop, squashed",
        "git merge -q --squash origin/develop~1; git commit -qm 'a fix'",
        Some("develop"),
    ),
    (
        "squashed with a fix of its own",
        "git merge -q --squash origin/develop; echo y >own; git add own; git commit -qm 'a fix'",
        Some("develop"),
    ),
    (
        "a file copied from develop",
        "git checkout -q origin/develop -- feature-2; git commit -qm 'a fix'",
        Some("develop"),
    ),
    (
        "rebased from develop",
        "git switch -q -c tmp origin/develop; git rebase -q --onto v1.2.0 origin/develop~1; git switch -q hotfix/x; git merge -q --ff-only tmp || git cherry-pick tmp",
        Some("develop"),
    ),
    (
        "picked from a feature that is nowhere else",
        "git switch -q -c feature/z v1.2.0; echo z >z; git add z; git commit -qm z; git push -q origin feature/z; git switch -q hotfix/x; git cherry-pick feature/z",
        Some("feature/z"),
    ),
    ("a fix of its own", "echo z >z; git add z; git commit -qm z", None),
    ("an empty file as elsewhere", ": >empty; git add empty; git commit -qm e", None),
];

#[test]
fn a_copy_of_unreleased_work_is_that_work() {
    let released = released();
    for (name, script, from) in ROWS {
        let team = released.copy();
        branch(&team, "hotfix/x", "v1.2.0");
        at(&team, 0, &format!("git config user.name R; git config user.email r@luxima.example; {script}"));
        push(&team, &["HEAD"]);
        let end = fix(&team, &["--plan"], None);
        match from {
            Some(from) => {
                assert_eq!(failed(&end), no("hotfix-base"), "{name}: {}", end.2);
                let message = end.1["failure"]["message"].as_str().expect("a message");
                assert!(message.contains(&format!("along from {from}")), "{name}: {message}");
                let reason = ["--plan", "--other-base", "QA has seen it"];
                assert_eq!(fix(&team, &reason, None).0, 0, "{name}");
            }
            None => assert_eq!(end.0, 0, "{name}: {}", end.2),
        }
    }
}

#[test]
fn a_fix_that_others_have_taken_up_is_still_the_hotfixs_own() {
    for pick in [
        "git cherry-pick hotfix/x",
        "git cherry-pick -x hotfix/x",
        "git merge -q --squash hotfix/x; git commit -qm fix",
    ] {
        let team = released();
        team.ours.git(&["switch", "--quiet", "--no-track", "--create", "hotfix/x", "v1.2.0"]);
        at(&team, 0, "echo z >z; git add z; git commit -qm 'fix prices'; git push -q origin HEAD");
        team.on("develop");
        at(&team, 60, pick);
        push(&team, &["develop"]);
        team.ours.git(&["switch", "--quiet", "hotfix/x"]);
        let end = fix(&team, &["--plan"], None);
        assert_eq!(end.0, 0, "{pick}: {}", end.2);
    }
}

#[test]
fn what_cannot_be_told_is_said() {
    let team = released();
    team.on("develop");
    at(
        &team,
        0,
        "printf '1\\n2\\n3\\n4\\n5\\n' >CHANGELOG.md; git commit -qam more; git push -q origin develop",
    );
    team.ours.git(&["switch", "--quiet", "--no-track", "--create", "hotfix/x", "v1.2.0"]);
    at(&team, 60, "echo fix >>CHANGELOG.md; git commit -qam fix; git push -q origin HEAD");
    let (code, planned, stderr) = fix(&team, &["--plan"], None);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(output(&planned)["warnings"][0]["code"], "shared-files", "{planned}");
    assert!(stderr.contains("CHANGELOG.md") && stderr.contains("cannot be told"), "{stderr}");
}

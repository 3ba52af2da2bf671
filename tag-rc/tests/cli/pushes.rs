//! A push that is declined, cut off or killed.

use crate::team::{ID, OTHER_ID, Team, changed, failed, no, opened, tagged, unchanged};
use serde_json::json;
use std::io::Write;
use std::process::Stdio;
use step::Exit;
use testkit::exchange;

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
    assert_eq!(
        team.refused(&["candidate"]),
        (Exit::Temporary as i32, "push-failed".into(), "unknown".into())
    );
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

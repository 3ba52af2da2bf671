//! The real binary on real repositories: a bare remote, our clone, a colleague's clone.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

const ID: &str = "shop-1.2.0-20261124T120000Z-7f3a";

struct Team {
    remote: Remote,
    ours: Repo,
    theirs: Repo,
    folder: tempfile::TempDir,
}

impl Team {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let ours = remote.clone_to(&folder.path().join("ours"));
        ours.commit(
            "first",
            &[("CHANGELOG.md", "# Changelog\n"), ("release.toml", "[product]\nname = \"shop\"\n")],
        );
        ours.git(&["branch", "--move", "main"]);
        ours.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
        ours.git(&["switch", "--quiet", "--create", "staging"]);
        ours.git(&["push", "--quiet", "--set-upstream", "origin", "staging"]);
        let theirs = remote.clone_to(&folder.path().join("theirs"));
        theirs.git(&["switch", "--quiet", "staging"]);
        Team { remote, ours, theirs, folder }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tag-rc"));
        isolate(command.args(args).current_dir(self.ours.path()).env_clear());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path());
        command
    }

    fn run(&self, args: &[&str], document: &Value) -> (i32, Value, String) {
        exchange(&mut self.command(args), Some(document))
    }

    /// Exit code, reason and acted.
    fn refused(&self, args: &[&str]) -> (i32, String, String) {
        let (code, document, _) = self.run(args, &opened(ID));
        let word = |key: &str| document["failure"][key].as_str().unwrap_or_default().to_owned();
        (code, word("reason"), word("acted"))
    }

    fn hook(&self, repo: &Path, name: &str, text: &str) {
        let hook = repo.join(name);
        std::fs::write(&hook, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).expect("executable");
    }
}

fn opened(id: &str) -> Value {
    json!({ "schema": 1, "id": id, "procedure": "candidate", "mode": "apply", "opened": "2026-11-24T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "version": "1.2.0", "notes": "### Added\n- Pay with QRIS" } })
}

fn no(reason: &str) -> (i32, String, String) {
    (1, reason.to_owned(), "no".to_owned())
}

#[test]
fn a_candidate_is_numbered_by_the_remote_and_proven_there() {
    let team = Team::start();
    for n in [1, 2, 9] {
        team.theirs.git(&["tag", &format!("v1.2.0-rc{n}"), "HEAD"]);
    }
    team.theirs.git(&["push", "--quiet", "--tags"]);
    let head = team.ours.commit("more", &[("a", "a")]);
    team.ours.git(&["push", "--quiet"]);
    let (code, planned, stderr) = team.run(&["candidate", "--plan"], &opened(ID));
    assert_eq!((code, planned["facts"]["tag"].as_str()), (0, Some("v1.2.0-rc10")), "{stderr}");
    assert_eq!(
        (team.remote.tags().len(), team.ours.git(&["tag"]).as_str()),
        (3, ""),
        "a plan writes nothing, not even here"
    );

    let (code, done, stderr) = team.run(&["candidate"], &opened(ID));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!((&done["facts"]["tag"], &done["facts"]["commit"]), (&json!("v1.2.0-rc10"), &json!(head)));
    assert_eq!(team.remote.commit("refs/tags/v1.2.0-rc10"), Some(head));
    let message = team.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0-rc10"]);
    assert!(message.contains("- Pay with QRIS") && message.contains(ID), "{message}");
    // The same commit has its candidate, whoever asks.
    let (code, again, _) = team.run(&["candidate"], &opened("shop-1.2.0-20261124T130000Z-0001"));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")));
    assert_eq!(team.remote.tags().len(), 4);
}

#[test]
fn a_final_is_on_main_and_of_one_commit() {
    let team = Team::start();
    assert_eq!(team.refused(&["final"]), no("branch"));
    team.ours.git(&["switch", "--quiet", "main"]);
    let (code, done, stderr) = team.run(&["final"], &opened(ID));
    assert_eq!((code, done["facts"]["tag"].as_str()), (0, Some("v1.2.0")), "{stderr}");
    assert_eq!(team.run(&["final"], &opened(ID)).1["steps"][0]["status"], "unchanged");
    team.ours.commit("more", &[("a", "a")]);
    team.ours.git(&["push", "--quiet"]);
    assert_eq!(team.refused(&["final"]), no("tag-exists"));
    team.ours.git(&["switch", "--quiet", "staging"]);
    assert_eq!(team.refused(&["candidate"]), no("already-final"));
}

#[test]
fn what_is_not_what_the_remote_has_is_not_tagged() {
    let team = Team::start();
    std::fs::write(team.ours.path().join("CHANGELOG.md"), "changed").expect("written");
    assert_eq!(team.refused(&["candidate"]), no("dirty"));
    team.ours.git(&["checkout", "--quiet", "--", "CHANGELOG.md"]);
    team.theirs.commit("theirs", &[("b", "b")]);
    team.theirs.git(&["push", "--quiet"]);
    assert_eq!(team.refused(&["candidate"]), no("behind"));
    team.ours.commit("ours", &[("c", "c")]);
    assert!(["diverged", "behind"].contains(&team.refused(&["candidate"]).1.as_str()));
    team.ours.git(&["pull", "--quiet", "--rebase"]);
    assert_eq!(team.refused(&["candidate"]), no("not-pushed"));
    team.ours.git(&["push", "--quiet"]);
    team.ours.git(&["switch", "--quiet", "--create", "feature/x"]);
    assert_eq!(team.refused(&["candidate"]), no("branch"));
    assert!(team.remote.tags().is_empty() && team.ours.git(&["tag"]).is_empty());
    // A detached head, as in CI, is proven by the remote's tip.
    team.ours.git(&["switch", "--quiet", "--detach", "staging"]);
    assert_eq!(team.run(&["candidate"], &opened(ID)).0, 0);
}

#[test]
fn a_declined_push_leaves_nothing_behind() {
    let team = Team::start();
    team.remote.decline_pushes();
    let (code, document, _) = team.run(&["candidate"], &opened(ID));
    let failure = &document["failure"];
    assert_eq!(
        (code, failure["reason"].as_str(), failure["acted"].as_str()),
        (1, Some("push-declined"), Some("no"))
    );
    assert!(failure["causes"].to_string().contains("not on a Friday"), "{failure}");
    assert!(team.remote.tags().is_empty() && team.ours.git(&["tag"]).is_empty());
}

#[test]
fn a_race_is_lost_without_harm_and_the_next_number_is_ours() {
    let team = Team::start();
    let theirs = team.theirs.path().display();
    team.hook(&team.ours.path().join(".git/hooks"), "pre-push", &format!("unset GIT_DIR; git -C {theirs} tag v1.2.0-rc1 2>/dev/null && git -C {theirs} push -q origin v1.2.0-rc1; exit 0"));
    team.theirs.commit("theirs", &[("b", "b")]);
    assert_eq!(team.refused(&["candidate"]), (75, "tag-taken".into(), "no".into()));
    let theirs = team.remote.commit("refs/tags/v1.2.0-rc1");
    assert_eq!(theirs, Some(team.theirs.git(&["rev-parse", "HEAD"])), "it is still theirs");
    let (code, done, stderr) = team.run(&["candidate"], &opened(ID));
    assert_eq!((code, done["facts"]["tag"].as_str()), (0, Some("v1.2.0-rc2")), "{stderr}");
}

#[test]
fn killed_between_tag_and_push_it_pushes_the_same_tag_later() {
    let team = Team::start();
    // git's parent is tag-rc, and the hook's is git.
    let hooks = team.ours.path().join(".git/hooks");
    team.hook(&hooks, "pre-push", "kill -9 $(sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$PPID/stat); exit 1");
    let mut command = team.command(&["candidate"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), opened(ID).to_string().as_bytes())
        .expect("it reads");
    assert_eq!(child.wait().expect("it ended").code(), None, "killed");
    assert_eq!((team.ours.git(&["tag"]).as_str(), team.remote.tags().len()), ("v1.2.0-rc1", 0));
    std::fs::remove_file(hooks.join("pre-push")).expect("removed");
    // Another run does not take over what it did not make.
    let (_, other, _) = team.run(&["candidate"], &opened("shop-1.2.0-20261124T130000Z-0001"));
    assert_eq!(other["failure"]["reason"], "local-tag", "{other}");
    let (code, done, stderr) = team.run(&["candidate"], &opened(ID));
    assert_eq!((code, done["facts"]["tag"].as_str()), (0, Some("v1.2.0-rc1")), "{stderr}");
    assert_eq!(team.remote.tags(), ["v1.2.0-rc1"]);
}

#[test]
fn what_is_missing_is_said() {
    let team = Team::start();
    team.ours.git(&["remote", "set-url", "origin", "/nowhere/at/all.git"]);
    assert_eq!(team.refused(&["candidate"]), (75, "remote-unreachable".into(), "no".into()));
    assert_eq!(team.refused(&[]), (2, "arguments".into(), "no".into()));
    let mut without = opened(ID);
    without["facts"].as_object_mut().expect("facts").remove("version");
    assert_eq!(team.run(&["candidate"], &without).1["failure"]["reason"], "fact-missing");
    let output = team.command(&["--check"]).output().expect("it runs");
    assert!(!output.status.success());
    let mut elsewhere = team.command(&["candidate"]);
    assert_eq!(
        exchange(elsewhere.current_dir("/"), Some(&opened(ID))).1["failure"]["reason"],
        "no-repository"
    );
}

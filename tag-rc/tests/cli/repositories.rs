//! Repositories as people and CI have them: detached, shallow, in linked worktrees, bare, and in formats that libgit2 cannot read.

use std::process::Command;

use serde_json::json;
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

use crate::team::{ID, Team, changed, failed, no, opened, output, tagged, unchanged};

fn url(remote: &Remote) -> String {
    format!("file://{}", remote.path().display())
}

#[test]
fn a_detached_head_is_proven_by_the_remotes_tip() {
    let team = Team::start();
    team.ours.git(&["switch", "--quiet", "--detach", "staging"]);
    let (_, done, _) = team.run(&["candidate", "--plan"]);
    assert_eq!(output(&done)["branch"], "staging");
    // The remote has gone on; then we are on something that was never on staging.
    team.theirs.commit("theirs", &[("b", "b")]);
    team.theirs.git(&["push", "--quiet"]);
    assert_eq!(team.refused(&["candidate"]), no("behind"));
    team.ours.git(&["fetch", "--quiet"]);
    assert_eq!(team.refused(&["candidate"]), no("behind"));
    team.ours.git(&["switch", "--quiet", "--detach", "HEAD"]);
    let off = team.ours.commit("off", &[("off", "off")]);
    assert_eq!(team.refused(&["candidate", "--allow-behind"]), no("diverged"));
    team.ours.git(&["switch", "--quiet", "--detach", &format!("{off}~1")]);
    assert_eq!(team.tags(&["candidate", "--allow-behind"]), changed("v1.2.0-rc1"));
}

#[test]
fn a_shallow_clone_without_tags_counts_right() {
    let team = Team::start();
    for n in 1..=7 {
        team.remote.git(&["tag", &format!("v1.2.0-rc{n}"), "staging"]);
    }
    team.go_on("more");
    let depth = ["--depth", "1", "--no-tags", "--branch", "staging"];
    let shallow = Repo::clone(&url(&team.remote), &team.path("shallow"), &depth);
    assert_eq!(tagged(team.run_in(shallow.path(), &["candidate"])), changed("v1.2.0-rc8"));
    assert_eq!(shallow.git(&["rev-parse", "--is-shallow-repository"]), "true", "it stays as it was");
}

#[test]
fn a_shallow_clone_proves_what_it_can_and_refuses_the_rest() {
    let team = Team::start();
    team.ours.git(&["tag", "v1.1.0"]);
    team.ours.git(&["push", "--quiet", "origin", "refs/tags/v1.1.0"]);
    team.go_on("qris");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    team.ours.git(&["push", "--quiet", "origin", "staging:main"]);
    let clone = |name: &str, depth: &str, branch: &str| {
        Repo::clone(
            &url(&team.remote),
            &team.path(name),
            &["--depth", depth, "--no-tags", "--branch", branch],
        )
    };
    let same = clone("same", "1", "main");
    let (code, planned, stderr) = team.run_in(same.path(), &["final", "--plan"]);
    assert_eq!((code, &output(&planned)["promotion"]["mode"]), (0, &json!("same-commit")), "{stderr}");
    // A merge needs the history to be told.
    team.on("main");
    team.ours.git(&["switch", "--quiet", "--create", "side", "main~1"]);
    team.ours.git(&["merge", "--quiet", "--no-ff", "-m", "Release", "main"]);
    team.ours.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    let cut = clone("cut", "1", "main");
    let (code, document, _) = team.run_in(cut.path(), &["final"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("shallow")), "{document}");
    let next = document["failure"]["next"].as_str().expect("a command").to_owned();
    let deep = clone("deep", "2", "main");
    let (code, planned, stderr) = team.run_in(deep.path(), &["final", "--plan"]);
    assert_eq!((code, &output(&planned)["promotion"]["mode"]), (0, &json!("merge")), "{stderr}");
    // The same in a linked worktree of the shallow clone, where libgit2 takes the history for whole.
    cut.git(&["worktree", "add", "--quiet", "--detach", "../linked"]);
    let linked = Repo::at(&team.path("linked"));
    assert_eq!(failed(&team.run_in(linked.path(), &["final"])), no("shallow"));
    // The command that is offered helps.
    let mut git = Command::new("sh");
    assert!(isolate(git.args(["-c", &next]).current_dir(cut.path())).status().expect("sh").success());
    assert_eq!(tagged(team.run_in(linked.path(), &["final"])), changed("v1.2.0"));
    assert_eq!(tagged(team.run_in(cut.path(), &["final"])), unchanged("v1.2.0"));
}

#[test]
fn a_hotfix_in_a_shallow_clone_needs_the_history() {
    let team = Team::start();
    team.ours.git(&["tag", "v1.1.0"]);
    team.ours.git(&["push", "--quiet", "origin", "refs/tags/v1.1.0"]);
    team.ours.git(&["switch", "--quiet", "--create", "hotfix/pay"]);
    team.go_on("pay");
    let depth = ["--depth", "1", "--no-tags", "--branch", "hotfix/pay"];
    let shallow = Repo::clone(&url(&team.remote), &team.path("shallow"), &depth);
    let mut command = team.command_in(shallow.path(), &["hotfix"]);
    assert_eq!(failed(&exchange(&mut command, Some(&crate::team::opened_for(None)))), no("shallow"));
}

#[test]
fn a_linked_worktree_is_a_working_copy_like_any_other() {
    let team = Team::start();
    team.ours.git(&["switch", "--quiet", "main"]);
    team.ours.git(&["worktree", "add", "--quiet", "../linked", "staging"]);
    let linked = Repo::at(&team.path("linked"));
    std::fs::write(linked.path().join("x"), "x").expect("written");
    assert_eq!(failed(&team.run_in(linked.path(), &["candidate"])), no("dirty"));
    std::fs::remove_file(linked.path().join("x")).expect("removed");
    assert_eq!(tagged(team.run_in(linked.path(), &["candidate"])), changed("v1.2.0-rc1"));
    let below = linked.path().join("db/migrations");
    std::fs::create_dir_all(&below).expect("a folder");
    assert_eq!(
        tagged(team.run_in(&below, &["candidate"])),
        unchanged("v1.2.0-rc1"),
        "from a folder below too"
    );
}

#[test]
fn git_dir_counts_as_it_does_for_git() {
    let team = Team::start();
    let mut command = team.command_in(std::path::Path::new("/"), &["candidate"]);
    command.env("GIT_DIR", team.ours.path().join(".git")).env("GIT_WORK_TREE", team.ours.path());
    assert_eq!(tagged(exchange(&mut command, Some(&opened(ID)))), changed("v1.2.0-rc1"));
}

#[test]
fn a_format_that_cannot_be_read_is_named() {
    let team = Team::start();
    for (option, extension) in [
        ("--object-format=sha256", "extensions.objectformat=sha256"),
        ("--ref-format=reftable", "extensions.refstorage=reftable"),
    ] {
        let path = team.path(option);
        std::fs::create_dir_all(&path).expect("a folder");
        testkit::git::try_git(&path, &["init", "--quiet", option]);
        let (code, document, _) = team.run_in(&path, &["candidate"]);
        let failure = &document["failure"];
        assert_eq!((code, failure["reason"].as_str()), (1, Some("repository-format")), "{document}");
        assert!(failure["message"].as_str().is_some_and(|m| m.contains(extension)), "{failure}");
    }
}

#[test]
fn a_repository_of_another_user_is_said_with_the_remedy() {
    let team = Team::start();
    let owner = "65534"; // nobody
    let chown = Command::new("chown").args(["-R", owner]).arg(team.ours.path()).status().expect("chown");
    if !chown.success() {
        // Only root can give files away; for anybody else /proc/1's owner would be needed.
        return;
    }
    assert_eq!(team.refused(&["candidate"]), no("repository-owner"));
    let trust = format!("[safe]\ndirectory = {}\n", team.ours.path().display());
    std::fs::write(team.path(".gitconfig"), trust).expect("written");
    let trusted = exchange(team.command(&["candidate"]).env_remove("GIT_CONFIG_GLOBAL"), Some(&opened(ID)));
    assert_eq!(tagged(trusted), changed("v1.2.0-rc1"));
}

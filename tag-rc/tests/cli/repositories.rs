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
    let path = team.path("sha256");
    std::fs::create_dir_all(&path).expect("a folder");
    testkit::git::try_git(&path, &["init", "--quiet", "--object-format=sha256"]);
    let (code, document, _) = team.run_in(&path, &["candidate"]);
    let failure = &document["failure"];
    assert_eq!((code, failure["reason"].as_str()), (1, Some("repository-format")), "{document}");
    assert!(
        failure["message"].as_str().is_some_and(|m| m.contains("extensions.objectformat=sha256")),
        "{failure}"
    );
    // Of a later git than the one that is here.
    let later = team.remote.clone_to(&team.path("later"));
    later.git(&["config", "core.repositoryFormatVersion", "1"]);
    std::fs::write(
        later.path().join(".git/config"),
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tfuture = x\n",
    )
    .expect("written");
    let (code, document, _) = team.run_in(later.path(), &["candidate"]);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("repository-format")), "{document}");
    assert!(document["failure"]["causes"].to_string().contains("future"), "{document}");
}

#[test]
fn refs_are_where_git_keeps_them() {
    let team = Team::start();
    let url = team.remote.path().display().to_string();
    let tables = Repo::clone(&url, &team.path("tables"), &["--ref-format=reftable", "--branch", "staging"]);
    assert_eq!(tagged(team.run_in(tables.path(), &["candidate"])), changed("v1.2.0-rc1"));
    tables.git(&["tag", "--force", "--annotate", "--message", "mine", "v1.2.0-rc1"]);
    let output = team.command_in(tables.path(), &["verify", "v1.2.0-rc1"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "the tag here is seen");
    tables.git(&["switch", "--quiet", "--create", "side"]);
    tables.commit("side", &[("a", "1")]);
    tables.git(&["switch", "--quiet", "staging"]);
    tables.commit("ours", &[("a", "2")]);
    assert!(!testkit::git::try_git(tables.path(), &["cherry-pick", "side"]).status.success());
    let (_, document, _) = team.run_in(tables.path(), &["candidate", "--again"]);
    assert_eq!(
        document["failure"]["message"], "a cherry-pick is going on here; finish or abort it first",
        "{document}"
    );
    // Packed, as `git gc` leaves them.
    let packed = team.remote.clone_to(&team.path("packed"));
    packed.git(&["switch", "--quiet", "staging"]);
    packed.git(&["pack-refs", "--all"]);
    assert_eq!(tagged(team.run_in(packed.path(), &["candidate"])), unchanged("v1.2.0-rc1"));
}

#[test]
fn objects_may_be_borrowed() {
    let team = Team::start();
    team.go_on("qris");
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    team.ours.git(&["push", "--quiet", "origin", "staging:main"]);
    let url = team.remote.path().display().to_string();
    let shared = Repo::clone(&url, &team.path("shared"), &["--shared", "--branch", "main"]);
    assert_eq!(tagged(team.run_in(shared.path(), &["final", "--plan"])).1, "v1.2.0");
    let partial = Repo::clone(
        &format!("file://{url}"),
        &team.path("partial"),
        &["--filter=tree:0", "--branch", "main"],
    );
    assert_eq!(tagged(team.run_in(partial.path(), &["final", "--plan"])).1, "v1.2.0");
}

#[test]
fn what_is_going_on_is_named() {
    let team = Team::start();
    team.ours.commit("one", &[("a", "1\n")]);
    team.ours.commit("two", &[("a", "2\n")]);
    team.ours.commit("three", &[("b", "3\n")]);
    team.ours.git(&["push", "--quiet", "origin", "HEAD"]);
    let ways: [(&str, &[&str]); 5] = [
        ("rebase", &["rebase", "--quiet", "--exec", "false", "HEAD~1"]),
        ("cherry-pick", &["cherry-pick", "HEAD~2"]),
        ("revert", &["revert", "--no-edit", "HEAD~2"]),
        ("bisect", &["bisect", "start", "HEAD", "HEAD~2"]),
        ("merge", &["merge", "--quiet", "--no-ff", "--no-commit", "side"]),
    ];
    team.ours.git(&["branch", "side", "HEAD~3"]);
    let side =
        Repo::clone(&team.ours.path().display().to_string(), &team.path("side"), &["--branch", "side"]);
    side.commit("side", &[("s", "s")]);
    side.git(&["push", "--quiet", "origin", "HEAD"]);
    for (name, command) in ways {
        let clone =
            Repo::clone(&team.ours.path().display().to_string(), &team.path(name), &["--branch", "staging"]);
        clone.git(&["remote", "set-url", "origin", &team.remote.path().display().to_string()]);
        clone.git(&["fetch", "--quiet", &team.ours.path().display().to_string(), "side:side"]);
        testkit::git::try_git(clone.path(), command);
        let (_, document, stderr) = team.run_in(clone.path(), &["candidate"]);
        let message = document["failure"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!(document["failure"]["reason"], "busy", "{name}: {stderr}");
        assert!(message.starts_with(&format!("a {name}")), "{name}: {message}");
    }
}

#[test]
fn another_repositorys_variables_do_not_lead_astray() {
    let team = Team::start();
    let other = team.remote.clone_to(&team.path("other"));
    other.git(&["switch", "--quiet", "staging"]);
    other.git(&["remote", "set-url", "origin", "/nowhere/at/all.git"]);
    let run = |args: &[&str], env: &[(&str, &std::path::Path)]| {
        let mut command = team.command(args);
        exchange(command.envs(env.iter().copied()), Some(&opened(ID)))
    };
    let git_dir = other.path().join(".git");
    let index = git_dir.join("index");
    let left = [
        ("GIT_DIR", git_dir.as_path()),
        ("GIT_WORK_TREE", other.path()),
        ("GIT_INDEX_FILE", index.as_path()),
    ];
    let (code, document, stderr) = run(&["candidate"], &left);
    assert_eq!((code, document["facts"]["tag"].as_str()), (0, Some("v1.2.0-rc1")), "{stderr}");
    assert!(stderr.contains("GIT_DIR names another repository and does not count"), "{stderr}");
    // As a hook of this very repository leaves them there is nothing to say.
    let ours = team.ours.path().join(".git");
    let (code, _, stderr) =
        run(&["candidate", "--plan"], &[("GIT_DIR", &ours), ("GIT_INDEX_FILE", "/nowhere".as_ref())]);
    assert!(code == 0 && !stderr.contains("GIT_DIR"), "{stderr}");
    // The hook itself: whoever pushes here from one, tags the commit that was made.
    team.ours.hook(
        "post-commit",
        &format!(
            "git push -q origin HEAD; {} candidate --release 1.2.0 --again </dev/null >/dev/null 2>{}",
            env!("CARGO_BIN_EXE_tag-rc"),
            team.path("said").display()
        ),
    );
    let head = team.ours.commit("from a hook", &[("h", "h")]);
    let said = std::fs::read_to_string(team.path("said")).expect("it ran");
    assert_eq!(team.remote.commit("refs/tags/v1.2.0-rc2"), Some(head), "{said}");
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
    // As git has it, also by the environment alone.
    let trust =
        [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")];
    let trusted = exchange(team.command(&["candidate"]).envs(trust), Some(&opened(ID)));
    assert_eq!(tagged(trusted), unchanged("v1.2.0-rc1"));
}

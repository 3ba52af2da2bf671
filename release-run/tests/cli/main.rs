//! The real binary against real remotes: a bare repository and clones of it.

mod keeper;
mod race;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;
use testkit::git::{Remote, Repo, isolate};

/// A remote and as many clones as a test wants, each with a runs folder.
struct Team {
    folder: tempfile::TempDir,
    remote: Remote,
}

impl Team {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let first = remote.clone_to(&folder.path().join("first"));
        first.commit("Begin", &[("README.md", "shop\n")]);
        first.git(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
        Team { folder, remote }
    }

    fn member(&self, name: &str) -> Member {
        let repo = self.remote.clone_to(&self.folder.path().join(name));
        std::fs::write(repo.path().join("release.toml"), "[product]\nname = 'shop'\n").expect("written");
        Member { repo }
    }
}

struct Member {
    repo: Repo,
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Member {
    fn path(&self) -> &Path {
        self.repo.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-run"));
        isolate(&mut command).args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).output().expect("it runs");
        (output.status.code().expect("a code"), text(&output))
    }

    fn good(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }

    /// The run's folder.
    fn folder(&self, run: &str) -> PathBuf {
        let folder = self.path().join("runs").join(run);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn lease(&self, run: &str) -> String {
        self.folder(run).join("lease").display().to_string()
    }

    fn lock(&self, run: &str, more: &[&str]) -> (i32, String) {
        let lease = self.lease(run);
        let args = ["lock", "--env", "production", "--run", run, "--lease", &lease];
        self.run(&[&args, more].concat())
    }

    fn fence(&self, run: &str) -> (i32, String) {
        self.run(&["fence", "--lease", &self.lease(run)])
    }
}

#[test]
fn a_lock_is_taken_proven_and_given_back() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    let (code, said) = rina.lock("run-a", &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(rina.fence("run-a").0, 0);
    let (code, said) = budi.lock("run-b", &[]);
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("run-a") && said.contains("release-run unlock --env production"), "{said}");
    assert!(!Path::new(&budi.lease("run-b")).exists(), "nothing looks as if the lock had been his");
    // Staging is another lock.
    let lease = budi.lease("run-s");
    budi.good(&["lock", "--env", "staging", "--run", "run-s", "--lease", &lease]);
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    assert_eq!(rina.fence("run-a").0, 1);
    assert_eq!(budi.lock("run-b", &[]).0, 0);
    assert_eq!(budi.fence("run-b").0, 0);
}

#[test]
fn plan_changes_nothing() {
    let team = Team::new();
    let rina = team.member("rina");
    let before = (team.remote.git(&["for-each-ref"]), rina.repo.git(&["for-each-ref"]));
    assert!(rina.lock("run-a", &["-n"]).1.contains("would lock"));
    rina.good(&["hold", "--env", "production", "--reason", "x", "-n"]);
    rina.good(&["probe", "-n"]);
    assert_eq!(before, (team.remote.git(&["for-each-ref"]), rina.repo.git(&["for-each-ref"])));
    assert!(!Path::new(&rina.lease("run-a")).exists());
}

#[test]
fn of_many_at_once_exactly_one_has_the_lock() {
    let team = Team::new();
    let members: Vec<Member> = (0..8).map(|n| team.member(&format!("m{n}"))).collect();
    for round in 0..4 {
        let run = |n: usize| format!("run-{round}-{n}");
        let children: Vec<_> = members
            .iter()
            .enumerate()
            .map(|(n, m)| {
                let (run, lease) = (run(n), m.lease(&run(n)));
                let args = ["lock", "--env", "production", "--run", &run, "--lease", &lease];
                m.command(&args).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts")
            })
            .collect();
        let codes: Vec<i32> = children
            .into_iter()
            .map(|c| c.wait_with_output().expect("it ends"))
            .map(|o| {
                o.status.code().filter(|c| [0, 75].contains(c)).unwrap_or_else(|| panic!("{}", text(&o)))
            })
            .collect();
        let winners: Vec<usize> = (0..8).filter(|n| codes[*n] == 0).collect();
        assert_eq!(winners.len(), 1, "{codes:?}");
        for (n, member) in members.iter().enumerate().filter(|(n, m)| Path::new(&m.lease(&run(*n))).exists())
        {
            assert_eq!((n, member.fence(&run(n)).0), (winners[0], 0));
        }
        let winner = &members[winners[0]];
        winner.good(&["unlock", "--lease", &winner.lease(&run(winners[0]))]);
    }
}

/// Locks last this long.
fn short_leases(member: &Member, lease: &str) {
    let text = format!("[product]\nname = 'shop'\n[release-run]\nlease = '{lease}'\n");
    std::fs::write(member.path().join("release.toml"), text).expect("written");
}

#[test]
fn a_lock_that_nobody_renews_is_taken_over_and_the_older_run_changes_nothing_more() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    short_leases(&rina, "1s");
    short_leases(&budi, "1s");
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    // Nobody's clock counts: the entry must have been the same for a lease, as seen from there.
    assert_eq!(budi.lock("run-b", &[]).0, 75);
    assert_eq!(rina.fence("run-a").0, 0, "renewed");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(budi.lock("run-b", &[]).0, 75, "it was renewed since it was seen first");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == 0 && said.contains("the time of run-a was over"), "{said}");
    let (code, said) = rina.fence("run-a");
    assert!(code == 1 && said.contains("run-b"), "{said}");
    // Neither while the newer one is at work nor afterwards.
    let (code, said) = rina.lock("run-a", &[]);
    assert!(code == 1 && said.contains("stale"), "{said}");
    budi.good(&["unlock", "--lease", &budi.lease("run-b")]);
    let (code, said) = rina.lock("run-a", &[]);
    assert!(code == 1 && said.contains("--again"), "{said}");
    assert_eq!(rina.fence("run-a").0, 1);
}

#[test]
fn who_was_killed_finds_the_own_lock_again() {
    let team = Team::new();
    let rina = team.member("rina");
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    assert!(rina.lock("run-a", &[]).1.contains("still locked"));
    assert_eq!(rina.fence("run-a").0, 0);
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    assert!(rina.lock("run-a", &[]).1.contains("generation 2"));
    // Giving back twice is harmless.
    for _ in 0..2 {
        rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    }
}

#[test]
fn a_lock_opened_by_hand_is_recorded_and_its_run_stops_and_may_go_on() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    budi.good(&["unlock", "--env", "production", "--reason", "her laptop\n died"]);
    let (code, said) = rina.fence("run-a");
    assert!(code == 1 && said.contains("her laptop died"), "{said}");
    let log = team.remote.git(&["log", "--format=%B", "refs/rilis/v2/shop/production/lock"]);
    assert!(log.contains("Reason: her laptop died") && log.contains("State: held"), "{log}");
    assert_eq!(rina.lock("run-a", &[]).0, 0, "nobody else was at work in between");
}

#[test]
fn a_hold_refuses_releases_and_no_rollback() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    rina.good(&["hold", "--env", "production", "--reason", "1.3.0 was rolled back"]);
    assert!(rina.good(&["hold", "--env", "production", "--reason", "again"]).contains("already"));
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == 1 && said.contains("1.3.0 was rolled back") && said.contains("--lift-hold"), "{said}");
    assert_eq!(budi.lock("run-r", &["--despite-hold"]).0, 0);
    budi.good(&["unlock", "--lease", &budi.lease("run-r")]);
    assert_eq!(budi.lock("run-b", &["--lift-hold", "1.3.1 fixes it"]).0, 0);
    budi.good(&["unlock", "--lease", &budi.lease("run-b")]);
    assert_eq!(rina.lock("run-a", &[]).0, 0, "the hold is lifted");
    let log = team.remote.git(&["log", "--format=%B", "refs/rilis/v2/shop/production/hold"]);
    assert!(log.contains("Reason: 1.3.1 fixes it") && log.contains("Reason: 1.3.0 was rolled back"), "{log}");
    rina.good(&["hold", "--env", "production", "--reason", "freeze"]);
    rina.good(&["lift", "--env", "production", "--reason", "over"]);
}

#[test]
fn status_names_locks_and_holds_and_works_without_the_remote() {
    let team = Team::new();
    let rina = team.member("rina");
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    rina.good(&["hold", "--env", "production", "--reason", "freeze"]);
    let said = rina.good(&[]);
    assert!(
        said.contains("production: locked by")
            && said.contains("production: on hold")
            && said.contains("freeze"),
        "{said}"
    );
    rina.repo.git(&["remote", "set-url", "origin", "/nowhere/origin.git"]);
    let said = rina.good(&["status"]);
    assert!(said.contains("the remote was not seen") && said.contains("production: locked by"), "{said}");
    assert_eq!(rina.fence("run-a").0, 78, "without proof there is no change");
    assert_eq!(rina.run(&["--check"]).0, 78);
}

#[test]
fn status_says_of_a_lock_that_was_not_renewed_how_it_is_released() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    let (ran_out, unlock) =
        ("by its holder's clock that lock ran out", "next: release-run unlock --env production");
    let said = budi.good(&["status"]);
    assert!(!said.contains(ran_out) && !said.contains(unlock), "a fresh one is somebody's: {said}");
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    short_leases(&rina, "1s");
    assert_eq!(rina.lock("run-b", &[]).0, 0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let said = budi.good(&["status"]);
    assert!(said.contains(ran_out) && said.contains(unlock), "{said}");
}

#[test]
fn one_name_that_is_not_ours_blinds_nobody() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = rina.repo.git(&["commit-tree", &tree, "-m", "run"]);
    for name in [
        "refs/rilis/runs/20260101T000000Z-ffff-r\u{e9}lease",
        "refs/rilis/v2/shop/production/x",
        "refs/rilis/v9/a",
    ] {
        rina.repo.git(&["push", "--quiet", "origin", &format!("{commit}:{name}")]);
    }
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == 75 && said.contains("run-a"), "{said}");
    let said = budi.good(&["status"]);
    assert!(said.contains("production: locked by") && said.contains("passed over on the remote"), "{said}");
}

#[test]
fn what_no_fetch_ends_with_is_left_out_and_named() {
    let team = Team::new();
    let (rina, budi) = (team.member("rina"), team.member("budi"));
    assert_eq!(rina.lock("run-a", &[]).0, 0);
    let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
    let commit = rina.repo.git(&["commit-tree", &tree, "-m", "run"]);
    // A name that the remote can have and no clone: in one file there, and in none here.
    let long = format!("refs/rilis/v2/shop/production/{}", ["x"; 2000].join("/"));
    let packed = team.remote.path().join("packed-refs");
    let lost = rina.repo.git(&["commit-tree", &tree, "-m", "lost"]);
    rina.repo.git(&[
        "push",
        "--quiet",
        "origin",
        &format!("{lost}:refs/rilis/v2/shop/production/run/20260101T000000Z-ffff-x"),
    ]);
    rina.repo.git(&["push", "--quiet", "origin", &format!("{commit}:refs/heads/kept")]);
    team.remote.git(&["pack-refs", "--all"]);
    let listed = std::fs::read_to_string(&packed).expect("read");
    std::fs::write(&packed, format!("{listed}{commit} {long}\n")).expect("written");
    let said = budi.good(&["status"]);
    assert!(said.contains("production: locked by") && said.contains("passed over on the remote"), "{said}");
    assert!(said.len() < 2000, "{said}");
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == 75 && said.contains("run-a"), "{said}");
    // And an entry that does not come.
    let sharp = format!("{}/{}", &lost[..2], &lost[2..]);
    std::fs::remove_file(team.remote.path().join("objects").join(sharp)).expect("removed");
    let citra = team.member("citra");
    for _ in 0..2 {
        let said = citra.good(&["status"]);
        assert!(said.contains("production: locked by") && said.contains("it cannot be fetched"), "{said}");
    }
    std::fs::write(&packed, listed).expect("written");
    team.remote.git(&["update-ref", "-d", "refs/rilis/v2/shop/production/run/20260101T000000Z-ffff-x"]);
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    assert_eq!(
        citra.lock("run-c", &[]).0,
        0,
        "a look after one that was piece by piece shows what came since"
    );
    let said = citra.good(&["status"]);
    assert!(said.contains("production: locked by") && !said.contains("passed over"), "{said}");
    assert!(!citra.path().join(".git/rilis/held-back").exists());
}

#[test]
fn what_lies_in_the_place_of_a_lock_or_hold_is_named_and_can_be_removed() {
    for (verb, place) in [("unlock", "lock"), ("unlock", "lock/x"), ("lift", "hold"), ("lift", "hold/x/y")] {
        for kind in ["blob", "commit"] {
            let team = Team::new();
            let rina = team.member("rina");
            let tree = rina.repo.git(&["rev-parse", "HEAD^{tree}"]);
            let object = match kind {
                "blob" => rina.repo.git(&["rev-parse", "HEAD:README.md"]),
                _ => rina.repo.git(&["commit-tree", &tree, "-m", "no lock"]),
            };
            let name = format!("refs/rilis/v2/shop/production/{place}");
            rina.repo.git(&["push", "--quiet", "origin", &format!("{object}:{name}")]);
            let (code, said) = rina.lock("run-a", &["--despite-hold"]);
            let next = format!("release-run {verb} --env production --reason REASON");
            assert!(
                code == 1 && said.contains("cannot be read") && said.contains(&next),
                "{place} {kind}: {said}"
            );
            let (code, said) = rina.run(&[verb, "--env", "production", "--reason", "REASON"]);
            assert!(code == 2 && said.contains("your reason"), "{said}");
            rina.good(&[verb, "--env", "production", "--reason", "it cannot be read", "-n"]);
            let said = rina.good(&[verb, "--env", "production", "--reason", "it cannot be read"]);
            assert!(said.contains("is free again"), "{said}");
            let (code, said) = rina.lock("run-a", &[]);
            assert_eq!(code, 0, "{place} {kind}: {said}");
        }
    }
}

#[test]
fn a_remote_that_refuses_such_refs_is_named() {
    let team = Team::new();
    let rina = team.member("rina");
    assert!(rina.good(&["probe"]).contains("origin takes refs"));
    assert_eq!(team.remote.git(&["for-each-ref", "refs/rilis"]), "", "nothing is left");
    assert!(rina.good(&["--check"]).contains("release-run probe"));
    team.remote.decline_pushes();
    for (code, said) in [rina.run(&["probe"]), rina.lock("run-a", &[])] {
        assert!(code == 1 && said.contains("origin does not take refs/rilis/"), "{said}");
    }
    assert!(!Path::new(&rina.lease("run-a")).exists());
}

#[test]
fn wrong_words_are_said() {
    let team = Team::new();
    let rina = team.member("rina");
    for args in [
        vec!["lock", "--run", "a", "--lease", "x"],
        vec!["lock", "--env", "production", "--run", "../a", "--lease", "x"],
        vec!["unlock", "--env", "production"],
        vec!["hold", "--env", "production", "--reason", "  "],
        vec!["fence", "--lease", "nowhere"],
    ] {
        let (code, said) = rina.run(&args);
        assert_eq!(code, 2, "{args:?}: {said}");
    }
}

#[test]
fn the_ledger_is_where_the_remote_is_pushed_to() {
    let team = Team::new();
    let rina = team.member("rina");
    // Rina fetches from a mirror; everybody else is at the primary.
    let primary = Remote::create(&team.folder.path().join("primary.git"));
    rina.repo.git(&["push", "--quiet", &primary.path().display().to_string(), "HEAD:refs/heads/main"]);
    rina.repo.git(&["remote", "set-url", "--push", "origin", &primary.path().display().to_string()]);
    let budi = Member { repo: primary.clone_to(&team.folder.path().join("budi")) };
    std::fs::write(budi.path().join("release.toml"), "[product]\nname = 'shop'\n").expect("written");
    rina.good(&["lock", "--env", "production", "--run", "run-a", "--lease", &rina.lease("run-a")]);
    assert_eq!(rina.fence("run-a").0, 0);
    let (code, said) = budi.lock("run-b", &[]);
    assert!(code == 75 && said.contains("Rina Wijaya"), "{said}");
    rina.good(&["unlock", "--lease", &rina.lease("run-a")]);
    assert_eq!(budi.lock("run-b", &[]).0, 0);
    assert!(!team.remote.git(&["for-each-ref"]).contains("rilis"));
    // Two places cannot both hold the one lock.
    rina.repo.git(&[
        "remote",
        "set-url",
        "--add",
        "--push",
        "origin",
        &team.remote.path().display().to_string(),
    ]);
    let (code, said) = rina.lock("run-c", &[]);
    assert!(code == 78 && said.contains("pushes to 2 places"), "{said}");
    std::fs::write(
        rina.path().join("release.toml"),
        "[product]\nname = 'shop'\n[release-run]\nremote = 'orgin'\n",
    )
    .expect("written");
    let (code, said) = rina.lock("run-c", &[]);
    assert!(code == 78 && said.contains("did you mean origin?"), "{said}");
}

#[test]
fn what_a_hook_leaves_behind_and_how_git_shows_things_changes_no_entry() {
    let team = Team::new();
    let (rina, other) = (team.member("rina"), team.member("other"));
    other.repo.git(&["remote", "remove", "origin"]);
    rina.repo.git(&["config", "user.name", "Rína Wíjaya"]);
    for (key, value) in
        [("i18n.commitEncoding", "ISO-8859-1"), ("log.showSignature", "true"), ("color.ui", "always")]
    {
        rina.repo.git(&["config", key, value]);
    }
    let lease = rina.lease("run-a");
    let mut lock = rina.command(&["lock", "--env", "production", "--run", "run-a", "--lease", &lease]);
    lock.env("GIT_DIR", other.path().join(".git"))
        .env("GIT_INDEX_FILE", "/nowhere")
        .env("GIT_WORK_TREE", "/");
    let output = lock.output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("GIT_DIR names another repository and does not count"),
        "{}",
        text(&output)
    );
    let (code, said) = team.member("budi").lock("run-b", &[]);
    assert!(code == 75 && said.contains("Rína Wíjaya"), "{said}");
}

#[test]
fn what_a_hotfix_skips_is_owed() {
    let team = Team::new();
    let rina = team.member("rina");
    let document = json!({ "schema": 1, "id": "shop-1.2.1-20261125T120000Z-7f3a", "procedure": "hotfix", "mode": "apply",
        "opened": "2026-11-25T12:00:00Z", "steps": [], "facts": { "product": "shop" } });
    let args = ["debt", "--reason", "prices are  wrong", "--skipped", "candidate", "--skipped", "soak"];
    let (code, went, said) = testkit::exchange(&mut rina.command(&args), Some(&document));
    assert_eq!(code, 0, "{said}");
    testkit::schema::validate(&went);
    assert_eq!(
        went["facts"]["debt"],
        json!({ "reason": "prices are wrong", "skipped": ["candidate", "soak"] })
    );
    let (code, ..) = testkit::exchange(&mut rina.command(&["debt", "--skipped", "soak"]), Some(&document));
    assert_eq!(code, 2, "a reason is needed");
}

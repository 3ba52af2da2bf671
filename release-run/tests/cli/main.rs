//! The real binary against real remotes: a bare repository and clones of it.

mod keeper;
mod race;
mod remotes;
mod signed;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;
use step::Exit;
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
    assert_eq!(code, Exit::Temporary as i32, "{said}");
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

#[test]
fn what_was_waived_is_owed_too() {
    let team = Team::new();
    let rina = team.member("rina");
    let gate = json!({ "verdict": "unknown", "at": "2026-11-25T12:00:00Z", "from": "GitHub", "least": "unit", "seen": ["HTTP 503"],
        "waived": { "by": "Rina <rina@luxima.example>", "reason": "GitHub is down" } });
    let mut document = json!({ "schema": 1, "id": "shop-1.2.1-20261125T120000Z-7f3a", "procedure": "release", "mode": "apply",
        "opened": "2026-11-25T12:00:00Z", "steps": [], "facts": { "product": "shop", "ci": gate } });
    let (code, went, said) = testkit::exchange(&mut rina.command(&["debt"]), Some(&document));
    assert!(code == 0 && said.contains("owed after this: ci"), "{said}");
    let owed = json!({ "waived": [{ "gate": "ci", "verdict": "unknown", "by": "Rina <rina@luxima.example>", "reason": "GitHub is down" }] });
    assert_eq!(went["facts"]["debt"], owed);
    document["facts"]["ci"]["waived"] = json!(null);
    document["facts"].as_object_mut().expect("facts").remove("ci");
    let (code, went, said) = testkit::exchange(&mut rina.command(&["debt"]), Some(&document));
    assert!(code == 0 && said.contains("nothing is owed") && went["facts"].get("debt").is_none(), "{said}");
}

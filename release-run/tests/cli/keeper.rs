//! A run and its keeper, with runbooks of a few lines: however it ends, its documents are on the remote, its lock is free, and the team
//! was told.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Member, Team, text};
use step::Exit;

fn document(step: &str, note: &str) -> String {
    json!({ "schema": 1, "id": "shop-1.2.0-20261125T081130Z-7f3a", "procedure": "release", "mode": "apply",
        "opened": "2026-11-25T08:11:30Z", "facts": { "product": "shop", "version": "1.2.0", "environment": "production" },
        "steps": [{ "name": step, "status": "changed", "started": "2026-11-25T08:11:30.000Z", "ms": 1, "summary": note }] })
    .to_string()
}

/// A team of which each has the programs in PATH that a runbook calls: release-run itself and a `notify` that writes down what it is told.
pub struct Bench {
    pub team: Team,
    pub programs: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        let team = Team::new();
        let programs = team.folder.path().join("programs");
        std::fs::create_dir_all(&programs).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_release-run"), programs.join("release-run"))
            .expect("linked");
        let bench = Bench { team, programs };
        bench.program("notify", "echo \"$* $(cat)\" >>../told");
        bench.outside("runs");
        for step in ["look", "snapshot", "deploy", "purge"] {
            let file = bench.programs.join(format!("{step}.json"));
            std::fs::write(&file, document(step, "done")).expect("written");
            bench.program(step, &format!("echo {step} >>../did; cat >/dev/null; cat {}", file.display()));
        }
        bench
    }

    /// What the outside says of a run of another machine.
    fn outside(&self, claim: &str) {
        let mut said: Value = serde_json::from_str(&document("claimed", "looked")).expect("JSON");
        said["steps"][0]["output"] = json!({ "claim": claim });
        self.program("claimed", &format!("echo claimed >>../did; echo '{said}'"));
    }

    pub fn program(&self, name: &str, body: &str) {
        let path = self.programs.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("written");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("executable");
    }

    pub fn runbook(&self, body: &str) -> PathBuf {
        self.program("release", &format!("set -eu\nstep() {{ when=$1 changes=$2 name=$3; shift 3; release-run step \"$name\" --when \"$when\" --changes \"$changes\" -- \"$@\"; }}\n{body}"));
        self.programs.join("release")
    }

    pub fn exec(&self, member: &Member, words: &[&str], body: &str) -> Command {
        let runbook = self.runbook(body).display().to_string();
        let fixed = ["exec", "--procedure", "release", "--env", "production", "--release", "1.2.0"];
        let mut command = member.command(&[&fixed, words, &["--", &runbook]].concat());
        self.with_path(&mut command);
        command
    }

    pub fn with_path<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let usual = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{usual}", self.programs.display()))
    }

    pub fn run(&self, member: &Member, words: &[&str], body: &str) -> (Option<i32>, String) {
        let output: Output = self.exec(member, words, body).output().expect("it runs");
        (output.status.code(), text(&output))
    }

    fn start(&self, member: &Member, body: &str) -> Child {
        let mut command = self.exec(member, &[], body);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.team.folder.path().join("told")).unwrap_or_default()
    }

    pub fn did(&self) -> String {
        std::fs::read_to_string(self.team.folder.path().join("did")).unwrap_or_default().replace('\n', " ")
    }

    pub fn lock(&self) -> String {
        self.team.remote.git(&["log", "-1", "--format=%B", "refs/rilis/v2/shop/production/lock"])
    }

    pub fn is_free(&self) -> bool {
        self.lock().contains("State: free")
    }

    /// The one run on the remote.
    pub fn stored(&self) -> (Value, String) {
        let name = self.team.remote.git(&[
            "for-each-ref",
            "--format=%(refname)",
            "refs/rilis/v2/shop/production/run",
        ]);
        assert_eq!(name.lines().count(), 1, "{name}");
        let message = self.team.remote.git(&["log", "-1", "--format=%b", &name]);
        let files = self.team.remote.git(&["ls-tree", "--name-only", &name]);
        (serde_json::from_str(&message).expect("a record"), files.replace('\n', " "))
    }

    fn there(&self, name: &str) -> bool {
        self.team.folder.path().join(name).exists()
    }
}

pub const WHOLE: &str = "release-run step claimed --claim -- claimed; if release-run ended; then exit 0; fi\nstep always no look look\nstep once aside snapshot snapshot\nstep once customers deploy deploy\nrelease-run finish";

#[test]
fn a_run_is_stored_its_lock_is_free_and_the_team_is_told() {
    let bench = Bench::new();
    let (rina, budi) = (bench.team.member("rina"), bench.team.member("budi"));
    let (code, said) = bench.run(&rina, &[], WHOLE);
    assert!(code == Some(0) && said.contains("release: done: runs/"), "{said}");
    let (record, files) = bench.stored();
    assert_eq!(
        (record["state"].as_str(), files.as_str()),
        (Some("finished"), "01-look.json 02-snapshot.json 03-deploy.json")
    );
    assert!(bench.is_free() && bench.told().contains("\"name\":\"deploy\""), "{}", bench.told());
    assert_eq!(bench.did(), "look snapshot deploy ");
    // Once more, here and elsewhere: there is nothing to do, and nobody is told again.
    let (code, said) = bench.run(&rina, &[], WHOLE);
    assert!(code == Some(0) && said.contains("is finished; nothing to do"), "{said}");
    let (code, said) = bench.run(&budi, &[], WHOLE);
    assert!(code == Some(0) && said.contains("what runs says the same: nothing to do"), "{said}");
    assert_eq!((bench.did().as_str(), bench.told().lines().count()), ("look snapshot deploy claimed ", 1));
    // Where nothing says so, or nobody is asked, it is no yes.
    bench.outside("nothing");
    let without = WHOLE.split_once('\n').expect("lines").1;
    for body in [WHOLE, without] {
        let (code, said) = bench.run(&budi, &[], body);
        assert!(code.is_some_and(|c| c != 0) && !said.contains("nothing to do"), "{said}");
    }
    assert_eq!(
        (bench.did().as_str(), bench.told().lines().count()),
        ("look snapshot deploy claimed claimed ", 1)
    );
    let said = budi.good(&["status"]);
    assert!(
        said.contains("production: nobody is at work") && said.contains("shop 1.2.0: finished"),
        "{said}"
    );
    assert_eq!(budi.good(&["fetch", "--like", "release"]).trim(), record["run"].as_str().expect("a name"));
}

#[test]
fn another_machine_goes_on_where_it_stopped() {
    let bench = Bench::new();
    let (rina, budi) = (bench.team.member("rina"), bench.team.member("budi"));
    bench.program("deploy", "cat; exit 3");
    let (code, said) = bench.run(&rina, &[], WHOLE);
    assert!(code == Some(3) && said.contains("stopped with exit 3"), "{said}");
    assert!(bench.is_free() && bench.told().starts_with("--stopped=3"), "{}", bench.told());
    let file = bench.programs.join("deploy.json").display().to_string();
    bench.program("deploy", &format!("cat >/dev/null; cat {file}"));
    // What prepared it is done once, where the outside says that it has begun to change something; else each step looks for itself.
    bench.outside("deployed");
    let (code, said) = bench.run(&budi, &[], WHOLE);
    assert!(
        code == Some(0) && said.contains("going on with runs/") && said.contains("done before: 02-snapshot"),
        "{said}"
    );
    assert_eq!(bench.did(), "look snapshot claimed look ");
}

#[test]
fn of_what_the_outside_does_not_know_everything_is_done_again() {
    let bench = Bench::new();
    let (rina, budi) = (bench.team.member("rina"), bench.team.member("budi"));
    bench.program("deploy", "cat; exit 3");
    bench.run(&rina, &[], WHOLE);
    bench.outside("nothing");
    let file = bench.programs.join("deploy.json").display().to_string();
    bench.program("deploy", &format!("cat >/dev/null; cat {file}"));
    let (code, said) = bench.run(&budi, &[], WHOLE);
    assert!(
        code == Some(0) && said.contains("its steps are done again") && !said.contains("done before"),
        "{said}"
    );
    assert_eq!(bench.did(), "look snapshot claimed look snapshot ");
}

#[test]
fn however_it_is_ended_the_lock_is_free_and_the_team_is_told() {
    // The runbook alone, its keeper, both as a closed terminal does it; the step is told to end and has its time.
    for (signal, whom, code) in [
        ("TERM", "keeper", 143),
        ("INT", "keeper", 130),
        ("HUP", "keeper", 129),
        ("KILL", "shell", 137),
        ("HUP", "both", 129),
    ] {
        let bench = Bench::new();
        let rina = bench.team.member("rina");
        bench.program("deploy", "trap 'exit 9' TERM INT HUP; : >../reached; while :; do sleep 0.05; done");
        let mut child = bench.start(&rina, WHOLE);
        testkit::wait_for("the deployment", 60, || bench.there("reached"));
        let keeper = child.id().to_string();
        let shell = children(&keeper);
        let whom = match whom {
            "keeper" => vec![keeper],
            "shell" => vec![shell],
            _ => vec![keeper, shell],
        };
        for pid in whom {
            Command::new("kill").args(["-s", signal, &pid]).status().expect("kill");
        }
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{signal}");
        assert!(bench.is_free(), "{signal}: {}", bench.lock());
        assert!(bench.told().contains(&format!("--stopped={code}")), "{signal}: {}", bench.told());
        assert_eq!(bench.stored().0["changes"][1]["acted"], json!("unknown"), "{signal}");
    }
}

/// Who lifts a hold has read its reason: another one that came in the meantime is not lifted with it.
#[test]
fn a_hold_that_came_meanwhile_is_not_lifted() {
    let bench = Bench::new();
    let (rina, budi) = (bench.team.member("rina"), bench.team.member("budi"));
    budi.good(&["hold", "--env", "production", "--reason", "rolled back"]);
    let body = "step always no look look\n: >../reached; until [ -e ../go ]; do sleep 0.05; done\n\
                step once customers deploy deploy\nrelease-run finish";
    let mut command = bench.exec(&rina, &["--lift-hold", "1.2.1 fixes it"], body);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    testkit::wait_for("the runbook", 60, || bench.there("reached"));
    budi.good(&["lift", "--env", "production", "--reason", "over"]);
    budi.good(&["hold", "--env", "production", "--reason", "the database is being moved"]);
    std::fs::write(bench.team.folder.path().join("go"), "").expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output);
    assert!(output.status.code() == Some(1) && said.contains("the database is being moved"), "{said}");
    assert_eq!(bench.did(), "look ");
    assert!(bench.is_free(), "{}", bench.lock());
    let hold = bench.team.remote.git(&["log", "-1", "--format=%B", "refs/rilis/v2/shop/production/hold"]);
    assert!(hold.contains("State: on") && hold.contains("the database is being moved"), "{hold}");
    // With nobody in between it is lifted, with the first change.
    let (code, said) = bench.run(&rina, &["--lift-hold", "it was moved"], body);
    let hold = bench.team.remote.git(&["log", "-1", "--format=%B", "refs/rilis/v2/shop/production/hold"]);
    assert!(code == Some(0) && hold.contains("State: lifted"), "{said} {hold}");
}

#[test]
fn what_becomes_of_the_runbook_after_its_end_takes_nothing_back() {
    for tail in ["kill -9 $$", "exit 9", "kill -TERM $PPID; sleep 1; exit 3"] {
        let bench = Bench::new();
        let rina = bench.team.member("rina");
        let (code, said) = bench.run(&rina, &[], &format!("{WHOLE}\n{tail}"));
        assert!(code == Some(0) && said.contains("release: done: runs/"), "{tail}: {code:?} {said}");
        assert!(bench.is_free() && !bench.told().contains("--stopped"), "{tail}: {}", bench.told());
        assert_eq!(bench.stored().0["state"], "finished", "{tail}");
    }
}

/// The folder of a keeper that was killed goes; that of one that listens stays, whatever its number says here.
#[test]
fn what_a_killed_keeper_has_left_is_removed_and_a_living_one_is_not() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    let folder = bench.team.folder.path().join("t");
    let socket = |name: &str| {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
        UnixListener::bind(folder.join(name).join("socket")).expect("a socket")
    };
    // No process has such a number.
    drop(socket("rilis-4194999-1"));
    let living = socket("rilis-4194998-1");
    let output = bench.exec(&rina, &[], WHOLE).env("TMPDIR", &folder).output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    assert!(!folder.join("rilis-4194999-1").exists() && folder.join("rilis-4194998-1").exists());
    drop(living);
}

/// The runbook below a keeper.
fn children(pid: &str) -> String {
    let said = Command::new("ps").args(["-o", "pid=,args=", "--ppid", pid]).output().expect("ps");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = said.lines().find(|line| line.contains("/release")).expect("the runbook");
    line.split_whitespace().next().expect("a number").to_owned()
}

#[test]
fn who_was_overtaken_changes_nothing_more_and_has_nothing_to_tell() {
    let bench = Bench::new();
    let (rina, budi) = (bench.team.member("rina"), bench.team.member("budi"));
    let wait = "step always no look look\n: >../reached; until [ -e ../go ]; do sleep 0.05; done; sleep 2\nstep once customers deploy deploy\nrelease-run finish";
    let child = bench.start(&rina, wait);
    testkit::wait_for("the runbook", 60, || bench.there("reached"));
    let (code, said) = bench.run(&budi, &[], wait);
    assert!(
        code == Some(Exit::Temporary as i32) && said.contains("release-run unlock --env production"),
        "{said}"
    );
    budi.good(&["unlock", "--env", "production", "--reason", "it hangs"]);
    assert_eq!(budi.lock("run-b", &[]).0, 0);
    std::fs::write(bench.team.folder.path().join("go"), "").expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = text(&output);
    assert!(output.status.code() == Some(1) && said.contains("it changes nothing"), "{said}");
    assert_eq!((bench.did().as_str(), bench.told().as_str()), ("look ", ""));
    assert!(bench.lock().contains("run-b"), "{}", bench.lock());
}

#[test]
fn the_lock_is_renewed_while_a_step_works_and_nobody_else_gets_it() {
    let bench = Bench::new();
    let (rina, budi) = (bench.team.member("rina"), bench.team.member("budi"));
    for member in [&rina, &budi] {
        crate::short_leases(member, "5s");
    }
    let file = bench.programs.join("deploy.json").display().to_string();
    bench.program("deploy", &format!("cat >/dev/null; : >../reached; sleep 9; cat {file}"));
    let child = bench.start(&rina, WHOLE);
    testkit::wait_for("the deployment", 60, || bench.there("reached"));
    let end = std::time::Instant::now() + Duration::from_secs(8);
    while std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(budi.lock("run-b", &[]).0, 75);
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && bench.is_free(), "{}", text(&output));
}

#[test]
fn a_step_knows_until_when_it_may_begin_a_request() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    crate::short_leases(&rina, "2s");
    // The keeper stands still, longer than its lease: a step that asks before its next request hears that the time is over.
    let body = "step always no look look\nkill -STOP $PPID; sleep 2.5\nrelease-run --env production --check >../check 2>&1 || :\n\
                kill -CONT $PPID; step once customers deploy deploy; release-run finish";
    let (code, said) = bench.run(&rina, &[], body);
    // It goes on, and proves its lock first.
    assert!(code == Some(0) || said.contains("not proven any more"), "{code:?} {said}");
}

#[test]
fn a_keeper_that_is_gone_means_no_next_step() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    let body = "step always no look look\nkill -9 $PPID; sleep 0.2\nstep once customers deploy deploy 2>../said; release-run finish";
    let (code, _) = bench.run(&rina, &[], body);
    assert_eq!(code, None);
    testkit::wait_for("the runbook's end", 30, || bench.there("said"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(bench.did(), "look ");
    let said = std::fs::read_to_string(bench.team.folder.path().join("said")).expect("said");
    assert!(said.contains("the keeper of this run is gone"), "{said}");
    // The same command goes on at once: on this machine it is known that it died.
    let (code, said) = bench.run(&rina, &[], WHOLE);
    assert!(code == Some(0) && said.contains("going on with runs/"), "{said}");
}

#[test]
fn a_failure_is_one_whatever_the_step_says_and_so_is_no_document() {
    for (body, code) in [
        ("cat >/dev/null; sed 's/}$/,\"failure\":\"x\"}/' LOOK", 1),
        ("cat >/dev/null; echo nonsense", 65),
        ("cat >/dev/null", 65),
        ("kill -9 $$", 137),
    ] {
        let bench = Bench::new();
        let rina = bench.team.member("rina");
        let file = bench.programs.join("look.json").display().to_string();
        bench.program("deploy", &body.replace("LOOK", &file));
        let (got, said) = bench.run(&rina, &[], WHOLE);
        assert_eq!(got, Some(code), "{body}: {said}");
        assert!(!said.contains("release: done") && bench.is_free(), "{body}: {said}");
    }
}

#[test]
fn a_plan_changes_nothing_and_says_everything_each_time() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    for _ in 0..2 {
        let (code, said) = bench.run(&rina, &["--plan"], "step always no look echo\nrelease-run finish");
        assert!(code == Some(Exit::NoDocument as i32) && !said.contains("done before"), "{said}");
    }
    let refs = bench.team.remote.git(&["for-each-ref", "refs/rilis"]);
    assert_eq!((refs.as_str(), bench.told().as_str()), ("", ""));
    assert_eq!(rina.repo.git(&["status", "--porcelain", "--", "runs"]), "");
}

#[test]
fn a_secret_in_a_document_is_masked_before_it_is_pushed() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    let file = bench.programs.join("look.json");
    std::fs::write(&file, document("look", "was c2stbGl2ZS05ZjJjNDFkMDdhYjM=, then")).expect("written");
    let mut command = bench.exec(&rina, &[], WHOLE);
    let output = command.env("SHOP_API_TOKEN", "sk-live-9f2c41d07ab3").output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    let name =
        bench.team.remote.git(&["for-each-ref", "--format=%(refname)", "refs/rilis/v2/shop/production/run"]);
    let there = bench.team.remote.git(&["show", &format!("{name}:01-look.json")]);
    assert!(there.contains("was [redacted], then"), "{there}");
}

#[test]
fn a_run_that_nobody_goes_on_with_is_closed() {
    let bench = Bench::new();
    let rina = bench.team.member("rina");
    bench.program("snapshot", "cat >/dev/null; exit 1");
    assert_eq!(bench.run(&rina, &[], WHOLE).0, Some(1));
    let run = bench.stored().0["run"].as_str().expect("a name").to_owned();
    assert!(rina.good(&["abandon", &format!("runs/{run}"), "1.2.1 comes instead"]).contains("is closed"));
    let said = rina.good(&["status"]);
    assert!(said.contains("abandoned") && !said.contains("next:"), "{said}");
    assert_eq!(rina.run(&["abandon", "nothing", "x"]).0, 2);
}

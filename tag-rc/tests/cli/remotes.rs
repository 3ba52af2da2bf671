//! Every way to a remote: a path, git's daemon, its HTTP backend, sshd. Hooks that decline, doors that are shut, and a wire
//! that is cut between a push and its answer.

use testkit::cut::Wire;
use testkit::exchange;
use testkit::git::Repo;
use testkit::git_servers::{Daemon, HTTP_USER, HttpGit, Sshd, ssh_key};
use testkit::http::{Fault, Reply};

use crate::team::{ID, OTHER_ID, Team, changed, failed, opened, tagged, unchanged};
use step::Exit;

/// Whatever gives our clone its remote; kept alive for the test.
enum Way {
    Path,
    Daemon(Daemon),
    Http(HttpGit),
    Ssh(Sshd),
}

impl Way {
    fn all(team: &Team) -> [Way; 4] {
        let root = team.folder.path();
        let (daemon, http) = (Daemon::start(root), HttpGit::start(root));
        [Way::Path, Way::Daemon(daemon), Way::Http(http), Way::Ssh(Sshd::start(&team.path("sshd")))]
    }

    fn name(&self) -> &'static str {
        match self {
            Way::Path => "path",
            Way::Daemon(_) => "git",
            Way::Http(_) => "http",
            Way::Ssh(_) => "ssh",
        }
    }

    /// A clone that goes this way, with the credentials that git itself would use.
    fn clone(&self, team: &Team) -> Repo {
        let url = match self {
            Way::Path => team.remote.path().display().to_string(),
            Way::Daemon(daemon) => daemon.url("origin.git"),
            Way::Http(http) => http.url("origin.git"),
            Way::Ssh(sshd) => sshd.url(team.remote.path()),
        };
        let clone = Repo::clone(
            &team.remote.path().display().to_string(),
            &team.path(self.name()),
            &["--branch", "staging"],
        );
        clone.git(&["remote", "set-url", "origin", &url]);
        match self {
            Way::Http(_) => drop(clone.git(&["config", "credential.helper", &HttpGit::helper()])),
            Way::Ssh(sshd) => drop(clone.git(&["config", "core.sshCommand", &sshd.command()])),
            _ => {}
        }
        clone
    }
}

#[test]
fn every_way_tags_and_tells_a_declined_push() {
    let team = Team::start();
    for (n, way) in Way::all(&team).iter().enumerate() {
        let name = way.name();
        let clone = way.clone(&team);
        let run = |args: &[&str]| {
            let mut document = opened(ID);
            document["id"] = serde_json::json!(format!("shop-1.2.0-20261124T120000Z-{n:04}"));
            exchange(&mut team.command_in(clone.path(), args), Some(&document))
        };
        for (hook, text) in [
            ("pre-receive", "echo 'not on a Friday' >&2; exit 1"),
            ("update", "case $1 in refs/tags/v*) echo 'not on a Friday' >&2; exit 1;; esac"),
        ] {
            team.remote.hook(hook, text);
            let declined = run(&["candidate", "--again"]);
            assert_eq!(
                failed(&declined),
                (1, "push-declined".into(), "no".into()),
                "{name} {hook}: {}",
                declined.2
            );
            assert!(declined.2.contains("not on a Friday"), "{name} {hook}: {}", declined.2);
            assert_eq!(
                (team.remote.tags().len(), clone.git(&["tag", "--list", "v1.2.0*"]).lines().count()),
                (n, n),
                "{name} {hook}"
            );
            std::fs::remove_file(team.remote.path().join("hooks").join(hook)).expect("removed");
        }
        let tag = format!("v1.2.0-rc{}", n + 1);
        assert_eq!(tagged(run(&["candidate", "--again", "--plan"])).1, tag, "{name}");
        assert_eq!(tagged(run(&["candidate", "--again"])), changed(&tag), "{name}");
        assert_eq!(tagged(run(&["candidate", "--again"])), unchanged(&tag), "{name}");
        assert!(
            team.command_in(clone.path(), &["--check"]).output().expect("it runs").status.success(),
            "{name}"
        );
        let verify = team.command_in(clone.path(), &["verify", &tag]).output().expect("it runs");
        assert!(verify.status.success(), "{name}: {}", String::from_utf8_lossy(&verify.stderr));
        clone.git(&["tag", "--delete", &tag]);
    }
}

#[test]
fn a_door_that_is_shut_is_no_way_in_and_nobody_is_asked_for_a_password() {
    let team = Team::start();
    let [_, _, http, ssh] = Way::all(&team);
    let shut = |clone: &Repo| {
        let (code, document, stderr) = team.run_in(clone.path(), &["candidate"]);
        assert_eq!(
            (code, document["failure"]["reason"].as_str()),
            (Exit::Config as i32, Some("remote-denied")),
            "{stderr}"
        );
        assert!(!stderr.contains(HTTP_USER.1), "{stderr}");
        stderr
    };
    let clone = http.clone(&team);
    clone.git(&["config", "credential.helper", "!f() { echo username=rina; echo password=wrong; }; f"]);
    assert!(shut(&clone).contains("Authentication failed"));
    clone.git(&["config", "--unset", "credential.helper"]);
    assert!(shut(&clone).contains("could not read Username"));
    let clone = ssh.clone(&team);
    ssh_key(&team.path("stranger"));
    let command = clone.git(&["config", "core.sshCommand"]).replace("sshd/user ", "stranger ");
    clone.git(&["config", "core.sshCommand", &command]);
    assert!(shut(&clone).contains("Permission denied"));
}

#[test]
fn a_url_will_do_for_a_remote_but_not_with_a_password_in_it() {
    let team = Team::start();
    let url = team.remote.path().display().to_string();
    assert_eq!(team.tags(&["candidate", "--remote", &url]), changed("v1.2.0-rc1"));
    for secret in [
        "https://rina:canary-8Hq2@git.example/shop.git",
        "https://ghp_canary8Hq2@git.example/shop.git",
        "rina:canary-8Hq2@git.example/shop.git",
        "https:/rina:canary-8Hq2@git.example/shop.git",
        "https:rina:canary-8Hq2@git.example/shop.git",
        "https:///rina:canary-8Hq2@git.example/shop.git",
        "//rina:canary-8Hq2@git.example/shop.git",
        "htps://rina:canary-8Hq2@git.example/shop.git",
        "https://rina:canary/8Hq2@git.example/shop.git",
    ] {
        let (code, document, stderr) = team.run(&["candidate", "--remote", secret]);
        assert_eq!(
            (code, document["failure"]["reason"].as_str()),
            (Exit::Config as i32, Some("setting")),
            "{stderr}"
        );
        assert!(!stderr.contains("canary") && !document.to_string().contains("canary"), "{stderr}");
    }
}

#[test]
fn who_may_only_read_sees_the_plan_and_is_told_at_the_push() {
    let team = Team::start();
    let http = HttpGit::start(team.folder.path());
    let clone = Way::Http(http);
    let repo = clone.clone(&team);
    let Way::Http(http) = &clone else { unreachable!("made so") };
    assert_eq!(team.run_in(repo.path(), &["candidate", "--plan"]).0, 0);
    http.server().fault(
        "POST",
        "/origin.git/git-receive-pack",
        1,
        Fault::Answer(Reply::text(403, "text/plain", "no")),
    );
    let (code, document, _) = team.run_in(repo.path(), &["candidate"]);
    assert!(code != 0 && document["failure"]["causes"].to_string().contains("403"), "{document}");
    assert!(team.remote.tags().is_empty());
    assert_eq!(tagged(team.run_in(repo.path(), &["candidate"])), changed("v1.2.0-rc1"));
}

#[test]
fn a_push_whose_answer_is_lost_is_looked_for() {
    let team = Team::start();
    let daemon = Daemon::start(team.folder.path());
    let wire = Wire::start(daemon.port());
    team.ours.git(&["remote", "set-url", "origin", &format!("git://127.0.0.1:{}/origin.git", wire.port())]);
    // The remote can be asked again: it has the tag, and that is the truth.
    wire.cut(false);
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"));
    // It cannot: nobody knows, and the next run finds the same tag.
    wire.cut(true);
    let run = || exchange(&mut team.command(&["candidate", "--again"]), Some(&opened(OTHER_ID)));
    assert_eq!(failed(&run()), (Exit::Temporary as i32, "remote-unreachable".into(), "unknown".into()));
    assert_eq!(team.remote.tags(), ["v1.2.0-rc1", "v1.2.0-rc2"]);
    wire.mend();
    assert_eq!(tagged(run()), unchanged("v1.2.0-rc2"));
    assert_eq!(team.remote.tags().len(), 2);
}

#[test]
fn an_answer_that_is_lost_over_http_is_looked_for_too() {
    let team = Team::start();
    let way = Way::Http(HttpGit::start(team.folder.path()));
    let clone = way.clone(&team);
    let Way::Http(http) = &way else { unreachable!("made so") };
    let push = "/origin.git/git-receive-pack";
    http.server().fault("POST", push, 1, Fault::DropAfter);
    assert_eq!(tagged(team.run_in(clone.path(), &["candidate"])), changed("v1.2.0-rc1"));
    // Lost on the way there: the remote does not have it, and nobody can be sure that it will not.
    let again = |document: &serde_json::Value| {
        exchange(&mut team.command_in(clone.path(), &["candidate", "--again"]), Some(document))
    };
    http.server().fault("POST", push, 1, Fault::DropBefore);
    assert_eq!(
        failed(&again(&opened(OTHER_ID))),
        (Exit::Temporary as i32, "push-failed".into(), "unknown".into())
    );
    let object = clone.git(&["rev-parse", "v1.2.0-rc2"]);
    assert_eq!(tagged(again(&opened(OTHER_ID))), changed("v1.2.0-rc2"));
    assert_eq!(team.remote.git(&["rev-parse", "v1.2.0-rc2"]), object, "the same tag");
}

#[test]
fn a_server_that_does_not_answer_does_not_hold_us_for_ever() {
    let team = Team::start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    team.ours.git(&["remote", "set-url", "origin", &format!("git://127.0.0.1:{port}/origin.git")]);
    let started = std::time::Instant::now();
    assert_eq!(
        team.refused(&["candidate", "--timeout", "700ms"]),
        (Exit::Temporary as i32, "deadline".into(), "no".into())
    );
    assert!(started.elapsed() < std::time::Duration::from_secs(60));
}

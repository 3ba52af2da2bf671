//! How a run ends that is stopped: with everything that it has started, and with a true word of what was done.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::git::Repo;

use crate::team::{ID, Team, failed, opened};
use step::Exit;

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(opened(ID).to_string().as_bytes()).expect("it reads");
    child
}

fn end(child: Child) -> (i32, Value, String) {
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
    (output.status.code().expect("a code"), document, stderr)
}

fn wait_for(what: &str, there: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process whose number stands in a file lives; a zombie does not.
fn lives(team: &Team, file: &str) -> bool {
    let pid = std::fs::read_to_string(team.path(file)).expect("a number");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// A remote over an ssh that never answers and writes down its number.
fn stuck(team: &Team) {
    let pid = team.path("pid").display().to_string();
    team.ours.git(&["remote", "set-url", "origin", "git@host.invalid:shop.git"]);
    team.ours.git(&["config", "core.sshCommand", &format!("sh -c 'echo $$ >{pid}; exec sleep 300' #")]);
    team.ours.git(&["config", "ssh.variant", "simple"]);
}

#[test]
fn at_the_deadline_nobody_is_left() {
    let team = Team::start();
    stuck(&team);
    let ended = end(start(&mut team.command(&["candidate", "--timeout", "2s"])));
    assert_eq!(failed(&ended), (Exit::Temporary as i32, "deadline".into(), "no".into()), "{}", ended.2);
    wait_for("ssh ends", || !lives(&team, "pid"));
    // A hook is cut too, and the message is said once.
    let team = Team::start();
    let (pid, late) = (team.path("pid").display().to_string(), team.path("late"));
    hook(&team.ours, &format!("echo $$ >{pid}; sleep 6; echo x >{}", late.display()));
    let ended = end(start(&mut team.command(&["candidate", "--timeout", "3s"])));
    assert_eq!(
        (ended.0, ended.1["failure"]["reason"].as_str()),
        (Exit::Temporary as i32, Some("deadline")),
        "{}",
        ended.2
    );
    assert_eq!(ended.2.matches("the time of 3s").count(), 1, "{}", ended.2);
    wait_for("the hook ends", || !lives(&team, "pid"));
    std::thread::sleep(Duration::from_secs(4));
    assert!(!late.exists() && team.remote.tags().is_empty());
}

fn hook(repo: &Repo, text: &str) {
    repo.hook("pre-push", text);
}

#[test]
fn a_signal_while_it_looks_ends_it_at_once_and_nothing_was_done() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        for whole_group in [true, false] {
            let team = Team::start();
            stuck(&team);
            let mut command = team.command(&["candidate"]);
            // As CI starts a job: in a group of its own.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let child = start(&mut command);
            wait_for("ssh starts", || {
                std::fs::read_to_string(team.path("pid")).is_ok_and(|pid| pid.ends_with('\n'))
            });
            let minus = if whole_group { "-" } else { "" };
            let to = format!("{minus}{}", child.id());
            let sent = Command::new("kill").args([&format!("-{signal}"), "--", &to]).status().expect("kill");
            assert!(sent.success());
            let asked = Instant::now();
            let ended = end(child);
            assert_eq!(failed(&ended), (code, "interrupted".into(), "no".into()), "{}", ended.2);
            assert!(asked.elapsed() < Duration::from_secs(30));
            wait_for("ssh ends", || !lives(&team, "pid"));
        }
    }
}

#[test]
fn a_tag_that_is_moved_after_the_push_was_pushed() {
    let team = Team::start();
    let first = team.ours.git(&["rev-parse", "HEAD"]);
    team.go_on("more");
    team.remote.hook("post-receive", "git tag -f v1.2.0-rc1 main~0 >/dev/null");
    let ended = end(start(&mut team.command(&["candidate"])));
    assert_eq!(failed(&ended), (1, "tag-moved".into(), "yes".into()), "{}", ended.2);
    assert_eq!(team.remote.commit("refs/tags/v1.2.0-rc1"), Some(first));
}

//! Ten machines want the same at the same time: one acts, the others hear who it is, and no document is ever torn.
//!
//! `RACES=50` (`make sweep-run`) for as many rounds; 2 otherwise.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::keeper::Bench;
use crate::{Member, text};
use step::Exit;

const MACHINES: usize = 10;

const BODY: &str = "step once aside snapshot snapshot\nstep once customers deploy deploy\nrelease-run finish";

/// All begin at once, in order of nobody's choice.
fn all_at_once(bench: &Bench, members: &[Member], runbook: &Path, procedure: &[&str]) -> Vec<(i32, String)> {
    let start = |member: &Member| -> Child {
        let runbook = runbook.display().to_string();
        let fixed = ["exec", "--env", "production", "--despite-hold"];
        let mut command = member.command(&[&fixed, procedure, &["--", &runbook]].concat());
        bench.with_path(&mut command).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let children: Vec<Child> = members.iter().map(start).collect();
    let ended = |child: Child| {
        let output = child.wait_with_output().expect("it ends");
        (output.status.code().unwrap_or(-1), text(&output))
    };
    children.into_iter().map(ended).collect()
}

/// Every document of every run on the remote is whole.
fn nothing_is_torn(bench: &Bench) {
    let remote = &bench.team.remote;
    let names = remote.git(&["for-each-ref", "--format=%(refname)", "refs/rilis/v2/shop/production/run"]);
    for name in names.lines() {
        let record = remote.git(&["log", "-1", "--format=%b", name]);
        assert_eq!(serde_json::from_str::<Value>(&record).expect("a record")["state"], "finished", "{name}");
        for file in remote.git(&["ls-tree", "--name-only", name]).lines() {
            let text = remote.git(&["show", &format!("{name}:{file}")]);
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{name} {file}: {text}");
        }
    }
}

#[test]
fn of_ten_machines_one_acts_and_the_others_hear_who() {
    let rounds: usize = std::env::var("RACES").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let bench = Bench::new();
    let members: Vec<Member> = (0..MACHINES).map(|n| bench.team.member(&format!("machine-{n}"))).collect();
    let runbook = bench.runbook(BODY);
    for round in 0..rounds {
        let version = format!("1.{round}.0");
        for procedure in
            [&["--procedure", "release", "--release", &version][..], &["--procedure", "rollback", "--again"]]
        {
            let before = bench.did().matches("deploy").count();
            let all = all_at_once(&bench, &members, &runbook, procedure);
            let acted = all.iter().filter(|(_, said)| said.contains("release: done: runs/")).count();
            let others = all.iter().filter(|(code, said)| {
                let locked = *code == Exit::Temporary as i32
                    && (said.contains("is locked by") || said.contains("changes hands"));
                locked || (*code == 0 && said.contains("is finished; nothing to do"))
            });
            let others = others.count();
            // With --again each that comes after another's end begins one more, one after the other.
            let again = procedure.contains(&"--again");
            assert!(acted == 1 || (again && acted > 1), "{procedure:?}: {all:#?}");
            assert_eq!(acted + others, MACHINES, "{procedure:?}: {all:#?}");
            assert_eq!(bench.did().matches("deploy").count() - before, acted, "{procedure:?}");
            assert!(bench.is_free(), "{}", bench.lock());
        }
    }
    nothing_is_torn(&bench);
}

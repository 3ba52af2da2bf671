//! The real binary with commands of a team and a page.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use step::Exit;
use testkit::exchange;
use testkit::git::isolate;
use testkit::http::{Reply, Server};

/// A product whose page answers what a file says, which the team's commands write.
struct Team {
    folder: tempfile::TempDir,
    page: Server,
    status: Arc<AtomicU16>,
}

impl Team {
    fn new(on: &str, off: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let status = Arc::new(AtomicU16::new(200));
        let (file, fixed) = (folder.path().join("status"), Arc::clone(&status));
        let page = Server::start(move |_| {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let status = text.trim().parse().unwrap_or(fixed.load(Ordering::SeqCst));
            Reply::text(status, "text/html", "shop")
        });
        let team = Team { folder, page, status };
        team.settings(&format!(
            "on = ['sh', '-c', {on:?}]\noff = ['sh', '-c', {off:?}]\npage = '{}/orders'\n",
            team.page.url()
        ));
        team
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn settings(&self, table: &str) {
        let text = format!("[product]\nname = 'shop'\n[environment.production]\n[maintenance]\n{table}");
        std::fs::write(self.path().join("release.toml"), text).expect("written");
    }

    fn run(&self, args: &[&str]) -> (i32, Value, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maintenance"));
        isolate(&mut command).args(args).current_dir(self.path()).env("CANARY_TOKEN", "canary-of-ours");
        let document = json!({ "schema": 1, "id": "shop-1.1.4-20261125T120000Z-7f3a", "procedure": "rollback", "mode": "apply",
            "opened": "2026-11-25T12:00:00Z", "steps": [], "facts": { "product": "shop", "environment": "production" } });
        exchange(&mut command, Some(&document))
    }

    /// A question: no document goes in, and its answer comes out.
    fn ask(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maintenance"));
        let output = isolate(&mut command).args(args).current_dir(self.path()).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("a code"), String::from_utf8_lossy(&said).into_owned())
    }
}

fn reason(document: &Value) -> (String, String) {
    let word = |key: &str| document["failure"][key].as_str().unwrap_or_default().to_owned();
    (word("reason"), word("acted"))
}

#[test]
fn it_is_on_when_the_page_says_so_and_off_when_it_is_there_again() {
    let team = Team::new("echo 503 >status; env >environment", "echo 200 >status");
    let (code, done, said) = team.run(&["on"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("nobody writes") && said.contains("answers HTTP 503, 2 times in a row"), "{said}");
    assert!(said.contains("maintenance off --env production"), "{said}");
    assert!(done["facts"]["maintenance"].is_string() && done["steps"][0]["status"] == "changed", "{done}");
    let seen = std::fs::read_to_string(team.path().join("environment")).expect("noted");
    assert!(!seen.contains("canary-of-ours"), "{seen}");
    let (code, done, said) = team.run(&["off"]);
    assert!(code == 0 && said.contains("customers can write again"), "{said}");
    assert!(done["facts"]["maintenance_over"].is_string(), "{done}");
}

#[test]
fn a_command_that_ends_well_is_no_proof() {
    let team = Team::new("true", "echo 500 >status");
    let (code, document, said) = team.run(&["on"]);
    assert_eq!((code, reason(&document)), (1, ("not-proven".into(), "yes".into())), "{said}");
    // A broken page is no page on which customers write.
    let (code, document, said) = team.run(&["off"]);
    assert_eq!((code, reason(&document)), (1, ("not-proven".into(), "yes".into())), "{said}");
}

#[test]
fn what_did_not_work_is_unknown_and_its_words_are_told() {
    let team = Team::new("echo the switch is stuck >&2; exit 3", "true");
    let (code, document, said) = team.run(&["on"]);
    assert_eq!((code, reason(&document)), (1, ("command-failed".into(), "unknown".into())), "{said}");
    assert!(said.contains("the switch is stuck"), "{said}");
    assert!(document["facts"]["maintenance"].is_null());
}

#[test]
fn without_commands_it_is_skipped_and_says_what_that_means() {
    let team = Team::new("true", "true");
    team.settings("");
    let (code, done, said) = team.run(&["on"]);
    assert!(code == 0 && said.contains("customers can write meanwhile"), "{said}");
    assert_eq!(done["steps"][0]["status"], "skipped");
    team.settings("on = ['true']\n");
    let (code, _, said) = team.run(&["on"]);
    assert!(code == Exit::Config as i32 && said.contains("belong together"), "{said}");
}

#[test]
fn a_plan_runs_nothing_and_a_question_says_how_it_is() {
    let team = Team::new("echo 503 >status", "echo 200 >status");
    let (code, done, said) = team.run(&["on", "--plan"]);
    assert!(code == 0 && said.contains("would run sh -c"), "{said}");
    assert_eq!(done["steps"][0]["status"], "planned");
    assert!(!team.path().join("status").exists());
    team.status.store(418, Ordering::SeqCst);
    let (_, said) = team.ask(&[]);
    assert!(said.contains("on: sh -c") && said.contains("answers HTTP 418"), "{said}");
}

#[test]
fn a_script_hears_whether_it_is_on_by_two_answers_and_not_by_one() {
    let team = Team::new("true", "true");
    let is_on = || team.ask(&["is-on", "--env", "production"]).0;
    for (status, expected) in [("503", 0), ("200", 1), ("500", 75)] {
        std::fs::write(team.path().join("status"), status).expect("written");
        assert_eq!(is_on(), expected, "{status}");
    }
    // One node of two has heard of it.
    let turn = AtomicU16::new(0);
    let torn = Server::start(move |_| {
        let status = if turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { 200 } else { 503 };
        Reply::text(status, "text/html", "shop")
    });
    team.settings(&format!("page = '{}/orders'\n", torn.url()));
    assert_eq!(is_on(), 75);
    team.settings("page = 'https://rina:geheim@shop.example/orders?full=1'\n");
    let (code, said) = team.ask(&["is-on", "--env", "production"]);
    assert!(code == Exit::Config as i32 && said.contains("page") && !said.contains("geheim"), "{said}");
}

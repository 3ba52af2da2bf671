//! Every gate against everything that is no answer: none of it is ever a yes. A gate that is not in this table makes the test fail; what each
//! gate's own answers may lack is in its own module.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::exchange;
use testkit::http::{Fault, Reply, Server};

use crate::team::{Team, document};

/// Whom a gate asks.
enum Outside {
    /// A server, by these settings; `URL` stands for its address.
    Server(&'static str),
    /// The release remote alone.
    Remote(&'static str),
    /// Nobody: the clock of this machine, and the calendar in the settings.
    Clock,
}

/// A new gate has its row here.
fn outside(gate: &str) -> Outside {
    match gate {
        "ci" => Outside::Server(
            "[release-gate.ci]\nurl = 'URL'\nrepository = 'luxima/shop'\nrequired = ['unit']\nreviews = 0\n",
        ),
        "checklist" => Outside::Server("[release-gate.checklist]\nurl = 'URL'\n"),
        "cluster" => Outside::Server("[release-gate.cluster]\nurl = 'URL'\nnodes = ['pve1']\n"),
        "tests" => Outside::Remote("[release-gate.tests.unit]\n"),
        "approval" => Outside::Remote("[release-gate.approvals]\nqa = 1\n"),
        "window" => Outside::Clock,
        other => panic!("{other} has no row in this table"),
    }
}

/// What is no answer to any question.
fn no_answers() -> Vec<(&'static str, Fault)> {
    let json = |text: &str| Fault::Answer(Reply::text(200, "application/json", text));
    let status = |code: u16| Fault::Answer(Reply::text(code, "application/json", "{\"message\":\"no\"}"));
    let mut all = vec![
        ("nothing", json("")),
        ("an empty object", json("{}")),
        ("an empty list", json("[]")),
        ("null", json("null")),
        ("NaN", json("NaN")),
        ("a text", json("\"ok\"")),
        ("true", json("true")),
        (
            "half of it",
            json("{\"total_count\":1,\"check_runs\":[{\"name\":\"unit\",\"conclusion\":\"success\""),
        ),
        (
            "what the others say",
            json(
                "{\"status\":\"success\",\"state\":\"success\",\"success\":true,\"data\":[],\"total_count\":0,\"check_runs\":[]}",
            ),
        ),
        ("a page", Fault::Answer(Reply::text(200, "text/html", "<html><body>Log in</body></html>"))),
        (
            "a redirect",
            Fault::Answer(Reply::text(302, "text/html", "").with("Location", "https://elsewhere.example/")),
        ),
        ("cut off", Fault::Cut),
        ("no answer", Fault::DropBefore),
        ("silence", Fault::Hang(Duration::from_secs(20))),
    ];
    all.extend(
        [204, 400, 401, 403, 404, 406, 409, 422, 429, 500, 502, 503, 504, 521, 540]
            .map(|code| ("a status", status(code))),
    );
    all
}

/// The gate once: its code, its fact, what it said.
fn ask(team: &Team, gate: &str) -> (i32, Value, String) {
    let mut command = team.command("rina", &[gate, "--timeout", "3s"]);
    command.env("GITHUB_TOKEN", "canary-4f7a9c2e81").env("SUPABASE_KEY", "sb_secret_canary-4f7a9c2e81");
    command.env("PROXMOX_TOKEN", "release@pve!pipeline=4f7a9c2e-0000-4000-8000-canary000000");
    let (code, went, said) = exchange(&mut command, Some(&document()));
    assert!(!format!("{went}{said}").contains("canary"), "{gate}: {went} {said}");
    (code, went["facts"][gate].clone(), said)
}

#[test]
fn what_is_no_answer_is_never_a_yes_of_any_gate() {
    for gate in facts::GATES {
        match outside(gate) {
            Outside::Server(settings) => server(gate, settings),
            Outside::Remote(settings) => remote(gate, settings),
            Outside::Clock => clock(gate),
        }
    }
}

fn server(gate: &'static str, settings: &str) {
    let all = no_answers();
    // Most of the time is waiting: each has a server of its own.
    std::thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(6)) {
            scope.spawn(move || {
                let server = Server::start(|_| Reply::json(200, json!({})));
                let team = Team::new(&settings.replace("URL", &server.url()));
                for (name, fault) in part {
                    server.fault("GET", "/", 99, fault.clone());
                    let (code, fact, said) = ask(&team, gate);
                    assert!(code != 0 && fact["verdict"] != "yes", "{gate}, {name} {fault:?}: {fact} {said}");
                    assert!(
                        server.changes() == 0,
                        "{gate}, {name}: it has sent something that is no question"
                    );
                    server.clear_faults();
                }
            });
        }
    });
}

fn remote(gate: &str, settings: &str) {
    let team = Team::new(settings);
    let (code, fact, said) = ask(&team, gate);
    assert!(code != 0 && fact["verdict"] == "unknown", "{gate}, nothing there: {fact} {said}");
    let (there, away) = (team.remote.path().to_owned(), team.folder.path().join("away"));
    std::fs::rename(&there, &away).expect("moved");
    let (code, fact, said) = ask(&team, gate);
    assert!(code != 0 && fact["verdict"] != "yes", "{gate}, no remote: {fact} {said}");
    // What was once seen is not what is there now.
    std::fs::create_dir(&there).expect("a folder");
    let (code, fact, said) = ask(&team, gate);
    assert!(code != 0 && fact["verdict"] != "yes", "{gate}, no repository: {fact} {said}");
}

fn clock(gate: &str) {
    for settings in [
        "freeze = []\n",
        "freeze = ['2026-12-24..2027-01-02']\n",
        "timezone = 'Asia/Jakarta'\n",
        "freeze = ['soon']\ntimezone = 'UTC'\n",
    ] {
        let team = Team::new(&format!("[release-gate.window]\n{settings}"));
        let (code, fact, said) = ask(&team, gate);
        assert!(code != 0 && fact["verdict"] != "yes", "{settings}: {fact} {said}");
    }
}

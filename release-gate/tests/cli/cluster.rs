//! The cluster's gate, against a stand-in of Proxmox: every way in which nothing is proven, and what a release needs.

mod tls;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::git::{Remote, Repo, isolate};
use testkit::http::{Fault, Reply};
use testkit::proxmox::{Cluster, State, TOKEN, nothing};
use testkit::{Proxmox, exchange};

const STATUS: &str = "/api2/json/cluster/status";
const HA: &str = "/api2/json/cluster/ha/status/current";
const LIST: &str = "/api2/json/cluster/resources";
const GUEST: &str = "/api2/json/nodes/pve1/qemu/110/status/current";
/// What makes a token a secret, whole and in part.
const CANARIES: [&str; 2] = [TOKEN, "c0ffee00-1111-4222-8333-canary444444"];

const ALL: &str = "nodes = ['pve1', 'pve2']\nstorages = ['pve1/local-zfs', 'pve2/local-zfs']\nguests = [110, 120]\nmin_free = '20GB'\n";

struct Shop {
    folder: tempfile::TempDir,
    repo: Repo,
}

impl Shop {
    fn with(here: &str, there: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let repo = remote.clone_to(&folder.path().join("shop"));
        let settings = |gate: &str| format!("[product]\nname = 'shop'\n{gate}");
        if let Some(there) = there {
            repo.commit("there", &[("release.toml", &settings(there))]);
            repo.git(&["push", "--quiet", "origin", "HEAD:main"]);
        }
        repo.commit("here", &[("release.toml", &settings(here))]);
        Shop { folder, repo }
    }

    fn asking(url: &str, gate: &str) -> Self {
        Shop::with(&table(url, gate), None)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-gate"));
        isolate(&mut command).arg("cluster").current_dir(self.repo.path()).env("PROXMOX_TOKEN", TOKEN);
        command
    }

    /// Code, document and stderr: the token is in none of them.
    fn ask(&self) -> (i32, Value, String) {
        asked(&mut self.command())
    }
}

fn asked(command: &mut Command) -> (i32, Value, String) {
    let (code, went, said) = exchange(command, None);
    for canary in CANARIES {
        assert!(!said.contains(canary) && !went.to_string().contains(canary), "{said}\n{went:#}");
    }
    (code, went, said)
}

fn table(url: &str, gate: &str) -> String {
    format!("[release-gate.cluster]\nurl = '{url}'\n{gate}")
}

/// A cluster in some state, asked for everything.
fn judged(change: impl FnOnce(&mut State), gate: &str) -> (i32, Value, String) {
    let proxmox = Proxmox::start();
    change(&mut proxmox.state());
    let answer = Shop::asking(&proxmox.server().url(), gate).ask();
    assert_eq!(proxmox.server().changes(), 0, "a gate changes nothing");
    answer
}

#[test]
fn a_healthy_cluster_is_a_yes_with_what_was_seen_in_few_requests() {
    let (code, went, said) = judged(|_| {}, ALL);
    let fact = &went["facts"]["cluster"];
    assert_eq!(
        (code, &fact["verdict"], &fact["details"]["requests"]),
        (0, &json!("yes"), &json!(5)),
        "{said}"
    );
    let seen = fact["seen"].to_string();
    for words in [
        "the cluster kluster of 3 nodes has a quorum",
        "pve1 is online",
        "pve2/local-zfs has 40 % in use and 600.0 GB free",
        "guest 110 (app) runs on pve1",
        "guest 120 (app) runs on pve2",
        "none of 1 HA services is in error",
    ] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
    assert!(
        fact["least"].as_str().is_some_and(|least| least.contains("running and not locked: 110, 120")),
        "{fact}"
    );
    // Nodes alone need no list.
    let (code, went, said) = judged(|_| {}, "nodes = ['pve1']\n");
    assert_eq!((code, &went["facts"]["cluster"]["details"]["requests"]), (0, &json!(2)), "{said}");
}

#[test]
fn a_cluster_that_is_not_healthy_is_no_yes() {
    type Change = fn(&mut State);
    let cases: [(Change, &str, i32, &str); 18] = [
        (|s| s.is_quorate = false, "no", 1, "no quorum"),
        (|s| s.lose("pve2"), "no", 1, "pve2 is offline"),
        (|s| s.nodes.retain(|(name, _)| name != "pve2"), "no", 1, "the node pve2 is not in the cluster"),
        (|s| s.is_standalone = true, "unknown", 1, "rows of a cluster"),
        (
            |s| {
                s.is_standalone = true;
                s.nodes.truncate(1);
            },
            "no",
            1,
            "set cluster.standalone = true",
        ),
        (|s| s.storage("pve1").status = "unknown".into(), "unknown", 1, "its status is unknown"),
        (|s| s.storage("pve1").used = 950 << 30, "no", 1, "at most 90 % may be in use"),
        (
            |s| {
                s.storage("pve2").whole = 100 << 30;
                s.storage("pve2").used = 85 << 30;
            },
            "no",
            1,
            "20.0 GB must be free",
        ),
        (|s| (s.storage("pve1").used, s.storage("pve1").whole) = (0, 0), "unknown", 1, "was not measured"),
        (|s| s.storages.clear(), "unknown", 1, "no storage is listed"),
        (|s| s.guests.clear(), "unknown", 1, "no guest is listed"),
        (|s| s.guest(120).status = "stopped".into(), "no", 1, "guest 120 (app) on pve2 is stopped"),
        (|s| s.guest(110).lock = Some("backup".into()), "no", 1, "is locked: backup"),
        (|s| s.guest(110).monitor = "paused".into(), "no", 1, "is paused"),
        (|s| s.services[0].1 = "error".into(), "no", 1, "vm:110 is in state error"),
        (|s| s.services.push(("ct:999".into(), "fence".into())), "no", 1, "ct:999 is in state fence"),
        (|s| s.has_rights = false, "unknown", 1, "PVEAuditor"),
        (|s| s.guest(110).number = 111, "unknown", 1, "guest 110 is not listed"),
    ];
    for (change, verdict, code, words) in cases {
        let (got, went, said) = judged(change, ALL);
        let fact = &went["facts"]["cluster"];
        assert_eq!((got, &fact["verdict"]), (code, &json!(verdict)), "{words}: {said}");
        assert!(fact["seen"].to_string().contains(words), "{words}: {fact:#}");
    }
}

/// Answers that say two things at once.
fn contradictions() -> [(&'static str, Fault, bool); 4] {
    let json = |text: &str| Reply::text(200, "application/json", text);
    [
        ("data twice", Fault::Answer(json("{\"data\":[],\"data\":[]}")), false),
        (
            "errors beside data",
            Fault::Answer(json("{\"data\":[{\"type\":\"node\"}],\"errors\":{\"a\":\"b\"}}")),
            false,
        ),
        (
            "a message beside data",
            Fault::Answer(json("{\"data\":[{\"type\":\"node\"}],\"message\":\"no\"}")),
            false,
        ),
        (
            "data without success",
            Fault::Answer(json("{\"data\":[{\"type\":\"node\"}],\"success\":0}")),
            false,
        ),
    ]
}

/// Whatever else comes than Proxmox's answer, to each of the questions.
#[test]
fn what_is_no_answer_is_never_a_yes() {
    let html = || Reply::text(200, "text/html", "<html><title>Login</title>");
    let json = |body: &str| Reply::text(200, "application/json", body);
    let status = |code: u16| Fault::Answer(nothing(code, "no"));
    let cases: Vec<(&str, Fault, bool)> = vec![
        ("401", status(401), false),
        ("403", status(403), false),
        ("404", status(404), false),
        ("501", status(501), false),
        (
            "301",
            Fault::Answer(Reply::text(301, "text/html", "").with("Location", "https://evil.example/")),
            false,
        ),
        ("429", Fault::Answer(nothing(429, "slow down").with("Retry-After", 600)), true),
        ("503", Fault::Answer(nothing(503, "no").with("Retry-After", 600)), true),
        ("595", status(595), true),
        ("596", status(596), true),
        ("HTML", Fault::Answer(html()), false),
        ("empty", Fault::Answer(json("")), false),
        ("half", Fault::Answer(json("{\"data\":[{\"type\":\"clu")), false),
        ("null", Fault::Answer(json("{\"data\":null}")), false),
        ("nothing", Fault::Answer(json("{}")), false),
        ("text", Fault::Answer(json("{\"data\":\"OK\"}")), false),
        ("number", Fault::Answer(json("{\"data\":1}")), false),
        ("NaN", Fault::Answer(json("{\"data\":NaN}")), false),
        ("list of texts", Fault::Answer(json("{\"data\":[\"quorate\"]}")), false),
        ("empty list", Fault::Answer(json("{\"data\":[]}")), false),
        ("empty object", Fault::Answer(json("{\"data\":{}}")), false),
        ("204", Fault::Answer(Reply::text(204, "text/plain", "")), false),
    ];
    let proxmox = Proxmox::start();
    let shop = Shop::asking(&proxmox.server().url(), ALL);
    for path in [STATUS, HA, LIST, GUEST] {
        for (name, fault, is_passing) in cases.iter().chain(&contradictions()) {
            proxmox.server().fault("GET", path, 99, fault.clone());
            let (code, went, said) = shop.ask();
            let verdict = &went["facts"]["cluster"]["verdict"];
            assert_eq!(verdict, "unknown", "{path} {name}: {said}");
            assert_eq!(code, if *is_passing { 75 } else { 1 }, "{path} {name}: {said}");
            assert!(!said.contains("evil"), "{said}");
            proxmox.server().clear_faults();
        }
    }
    assert_eq!(shop.ask().0, 0, "and without a fault it is a yes");
    assert_eq!(proxmox.server().changes(), 0);
}

#[test]
fn an_answer_that_does_not_come_whole_or_in_time_is_no_yes() {
    let proxmox = Proxmox::start();
    let shop = Shop::asking(&proxmox.server().url(), ALL);
    for path in [STATUS, HA, LIST, GUEST] {
        for fault in [Fault::Cut, Fault::DropAfter, Fault::Hang(Duration::from_secs(20))] {
            proxmox.server().fault("GET", path, 99, fault.clone());
            let (code, went, said) = asked(shop.command().args(["--timeout", "1s"]));
            assert!(
                code == 75 && went["facts"]["cluster"]["verdict"] == "unknown",
                "{path} {fault:?}: {code} {said}"
            );
            proxmox.server().clear_faults();
        }
    }
    // Nobody is there at all.
    let gone = Proxmox::start().server().url();
    let (code, went, said) = asked(Shop::asking(&gone, ALL).command().args(["--timeout", "1s"]));
    assert_eq!((code, &went["facts"]["cluster"]["verdict"]), (75, &json!("unknown")), "{said}");
    // What goes by is waited for.
    proxmox.server().fault("GET", STATUS, 1, Fault::Answer(nothing(503, "no")));
    proxmox.server().fault("GET", HA, 1, Fault::Cut);
    assert_eq!(shop.ask().0, 0);
}

#[test]
fn a_guest_that_has_moved_since_it_was_listed_is_asked_where_it_is() {
    let (code, went, said) = judged(|state| state.guest(110).node = "pve3".into(), ALL);
    let fact = &went["facts"]["cluster"];
    assert_eq!((code, &fact["details"]["requests"]), (0, &json!(7)), "{said}");
    assert!(fact["seen"].to_string().contains("guest 110 (app) runs on pve3"), "{fact}");
    // Its node is gone: HA will start it elsewhere, and until then nobody knows.
    let (code, went, said) = judged(|state| state.lose("pve1"), "guests = [110]\n");
    assert_eq!((code, &went["facts"]["cluster"]["verdict"]), (75, &json!("unknown")), "{said}");
    assert!(said.contains("HTTP 595"), "{said}");
}

#[test]
fn a_name_that_comes_from_outside_stays_one_segment_and_steers_no_terminal() {
    let name = "pve1/../../access\u{1b}[2J?x=1";
    let proxmox = Proxmox::start();
    {
        let mut state = proxmox.state();
        state.guest(110).node = name.into();
        state.guest(110).listed = name.into();
        state.services.push(("vm:\u{1b}[31m666".into(), "error".into()));
    }
    let (code, went, said) = Shop::asking(&proxmox.server().url(), "guests = [110]\n").ask();
    assert_eq!((code, &went["facts"]["cluster"]["verdict"]), (1, &json!("no")), "{said}");
    assert!(!said.contains('\u{1b}') && !went.to_string().contains("\\u001b"), "{said}");
    let asked: Vec<String> = proxmox.server().log().into_iter().map(|request| request.target).collect();
    let ours = asked.iter().find(|target| target.contains("/qemu/110/")).expect("it was asked for");
    assert_eq!(ours, "/api2/json/nodes/pve1%2F..%2F..%2Faccess%1B%5B2J%3Fx%3D1/qemu/110/status/current");
}

#[test]
fn one_machine_is_enough_only_where_both_policies_allow_it() {
    let proxmox = Proxmox::start();
    {
        let mut state = proxmox.state();
        state.is_standalone = true;
        state.nodes.truncate(1);
    }
    let url = proxmox.server().url();
    let (alone, plain) =
        (table(&url, "nodes = ['pve1']\nstandalone = true\n"), table(&url, "nodes = ['pve1']\n"));
    for (here, there, code) in
        [(&alone, None, 0), (&alone, Some(&alone), 0), (&alone, Some(&plain), 1), (&plain, Some(&alone), 1)]
    {
        let (got, _, said) = Shop::with(here, there.map(String::as_str)).ask();
        assert_eq!(got, code, "{said}");
    }
}

#[test]
fn of_both_policies_the_stricter_one_counts() {
    let proxmox = Proxmox::start();
    proxmox.state().storage("pve1").used = 700 << 30;
    proxmox.state().lose("pve3");
    let url = proxmox.server().url();
    let base = "storages = ['pve1/local-zfs']\n";
    for (here, there, words) in [
        ("", "max_used = 0.6\n", "at most 60 %"),
        ("max_used = 0.6\n", "max_used = 0.95\n", "at most 60 %"),
        ("min_free = '1GB'\n", "min_free = '400GB'\n", "400.0 GB must be free"),
        ("", "nodes = ['pve3']\n", "pve3 is offline"),
        ("", "guests = 999\n", "guest 999 is not listed"),
    ] {
        let settings = |more: &str| table(&url, &format!("{base}{more}"));
        let (code, went, said) = Shop::with(&settings(here), Some(&settings(there))).ask();
        assert!(code == 1 && went["facts"]["cluster"]["seen"].to_string().contains(words), "{words}: {said}");
    }
}

#[test]
fn a_setting_that_is_wrong_is_said_before_anybody_is_asked() {
    let proxmox = Proxmox::start();
    let url = proxmox.server().url();
    let print = "AB".repeat(32);
    for (url, gate, words) in [
        (url.as_str(), String::new(), "name what must be healthy"),
        (&url, "nodes = []\n".into(), "name what must be healthy"),
        (&url, "guests = ['web']\n".into(), "a guest is named by its number"),
        (&url, "guests = [-110]\n".into(), "a guest is named by its number"),
        (&url, "guests = [1]\n".into(), "a guest is named by its number"),
        (&url, "storages = ['a/b/c']\n".into(), "name or node/name"),
        (&url, "storages = ['/zfs']\n".into(), "name or node/name"),
        (&url, "nodes = 'pve1'\nmax_used = 90\n".into(), "a number from 0 to 1"),
        (&url, "nodes = 'pve1'\nmax_used = nan\n".into(), "a number from 0 to 1"),
        (&url, "nodes = 'pve1'\nmin_free = '20'\n".into(), "a size, such as 20GB"),
        (&url, "nodes = 'pve1'\nmin_free = 'lots'\n".into(), "a size, such as 20GB"),
        ("http://pve1.example:8006", "nodes = 'pve1'\n".into(), "over plain HTTP everybody"),
        (&url, format!("nodes = 'pve1'\nfingerprint = '{print}'\n"), "over plain HTTP no certificate"),
        (
            "https://localhost:1",
            "nodes = 'pve1'\nfingerprint = 'AB:CD'\n".into(),
            "the SHA-256 of a certificate",
        ),
        ("https://localhost:1", "nodes = 'pve1'\nca_file = 'gone.pem'\n".into(), "gone.pem"),
        (
            "https://localhost:1",
            "nodes = 'pve1'\nca_file = 'release.toml'\n".into(),
            "it holds no certificate",
        ),
        (
            "https://localhost:1",
            format!("nodes = 'pve1'\nca_file = 'release.toml'\nfingerprint = '{print}'\n"),
            "keep one of them",
        ),
    ] {
        let (code, went, said) = Shop::asking(url, &gate).ask();
        assert!(
            code == 78 && said.contains(words) && went["facts"]["cluster"].is_null(),
            "{words}: {code} {said}"
        );
    }
    assert_eq!(proxmox.server().log().len(), 0);
}

#[test]
fn a_token_of_another_form_is_said_before_anybody_is_asked() {
    let proxmox = Proxmox::start();
    let shop = Shop::asking(&proxmox.server().url(), "nodes = 'pve1'\n");
    for (token, words) in [
        ("", "no cluster.token"),
        ("release@pve!pipeline", "user@realm!name=uuid"),
        ("c0ffee00-1111-4222-8333-canary444444", "user@realm!name=uuid"),
        ("release@pve!pipeline=c0ffee00-1111-4222\n-8333", "user@realm!name=uuid"),
    ] {
        let (code, _, said) = asked(shop.command().env("PROXMOX_TOKEN", token));
        assert!(code == 78 && said.contains(words), "{words}: {code} {said}");
        assert!(!said.contains("c0ffee00"), "{said}");
    }
    assert_eq!(proxmox.server().log().len(), 0);
    // One that is wrong is known by the answer alone.
    let (code, _, said) =
        asked(shop.command().env("PROXMOX_TOKEN", "release@pve!old=00000000-0000-0000-0000-000000000000"));
    assert!(code == 1 && said.contains("HTTP 401: the token is not taken"), "{said}");
    let (code, _, said) = asked(shop.command().env("PROXMOX_TOKEN", format!("PVEAPIToken={TOKEN}")));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn what_the_server_repeats_of_the_token_is_shown_nowhere() {
    let proxmox = Proxmox::start();
    let shop = Shop::asking(&proxmox.server().url(), ALL);
    for text in CANARIES {
        let echo =
            Reply::json(401, json!({ "data": null, "message": format!("what is {text} here?\u{1b}[2J") }));
        proxmox.server().fault("GET", STATUS, 1, Fault::Answer(echo));
        let (code, went, said) = asked(shop.command().arg("--verbose"));
        assert!(
            code == 1 && went["facts"]["cluster"]["verdict"] == "unknown" && !said.contains('\u{1b}'),
            "{said}"
        );
    }
}

//! QA's list by both of its ways, against a real PostgreSQL: one list is a yes, and everything else that looks like one is not.

mod bench;
mod database;
mod seeding;

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::http::{Fault, Reply};
use testkit::listener::Listener;
use testkit::postgrest;

use bench::{Answer, Bench, TAG};

#[test]
fn a_list_that_is_done_is_a_yes_by_each_kind_of_key() {
    let bench = Bench::start();
    for (key, bearer) in
        [(postgrest::SECRET, String::new()), (postgrest::SERVICE, format!("Bearer {}", postgrest::SERVICE))]
    {
        let mut command = bench.command(&["checklist", "--verbose"]);
        let Answer { code, verdict, document, said } =
            bench.exchange(command.env("SUPABASE_KEY", key), &bench.document());
        assert_eq!((code, verdict.as_str()), (0, "yes"), "{said}");
        let fact = &document["facts"]["checklist"];
        assert_eq!(fact["seen"][0], format!("3 of 3 required items of {TAG} are passed"));
        assert_eq!((&fact["details"]["candidate"], &fact["commit"]), (&json!(TAG), &json!(bench.merged)));
        let asked = bench.api.server().log().pop().expect("a question");
        assert_eq!((asked.header("apikey"), asked.header("authorization")), (key, bearer.as_str()));
        assert!(asked.header("user-agent").starts_with("release-gate/"), "{asked:?}");
        assert_eq!((asked.method.as_str(), asked.header("prefer")), ("GET", "count=exact"));
    }
    // By hand, without a document of a release.
    let output = bench
        .command(&["checklist", "--fresh", "--release", "v1.2.0-rc1", "--commit", TAG])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // What is waived and what is optional is said.
    bench.execute("update public.qa_checks set status = 'waived', note = E'the printer\\x1b[2J is broken' where item = 'login';
                   update public.qa_checks set status = 'fail', required = false where item = 'checkout.qris'");
    let Answer { code, document, said, .. } = bench.ask();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("login (Try login) is waived by Rina: the printer is broken"), "{said}");
    assert!(said.contains("checkout.qris (Try checkout.qris) is optional, and fail"), "{said}");
    assert_eq!(document["facts"]["checklist"]["details"]["waived"][0]["by"], "Rina");
}

/// What is to come of it: the exit code, the verdict, and a part of the words.
type Expected = (i32, &'static str, &'static str);

/// What the table holds, with the SQL that makes it so.
const ROWS: &[(&str, &str, Expected)] = &[
    ("no row", "delete from public.qa_checks", (1, "unknown", "shows no row of v1.2.0-rc1")),
    (
        "only another candidate's",
        "update public.qa_checks set candidate = 'v1.2.0-rc2'",
        (1, "unknown", "shows no row of v1.2.0-rc1"),
    ),
    (
        "rows that a policy hides",
        "alter role service_role nobypassrls",
        (1, "unknown", "row level security hides them"),
    ),
    (
        "another commit",
        "update public.qa_checks set commit_sha = repeat('8f2c', 10) where item = 'login'",
        (1, "no", "login (Try login) is about commit 8f2c8f2c8f2c"),
    ),
    (
        "another commit, optional",
        "update public.qa_checks set required = false, commit_sha = repeat('8f2c', 16) where item = 'login'",
        (1, "no", "is about commit 8f2c8f2c8f2c"),
    ),
    (
        "pending",
        "update public.qa_checks set status = 'pending' where item = 'login'",
        (75, "unknown", "login (Try login) is not answered yet: QA can answer it"),
    ),
    (
        "fail",
        "update public.qa_checks set status = 'fail' where item = 'login'",
        (1, "no", "login (Try login) failed by Rina"),
    ),
    (
        "blocked",
        "update public.qa_checks set status = 'blocked' where item = 'login'",
        (1, "no", "login (Try login) is blocked"),
    ),
    (
        "waived without a note",
        "alter table public.qa_checks drop constraint qa_checks_waived; update public.qa_checks set status = 'waived', note = null where item = 'login'",
        (75, "unknown", "is waived without a note"),
    ),
    ("all waived", "update public.qa_checks set status = 'waived'", (1, "unknown", "nothing was tested")),
    (
        "none required",
        "update public.qa_checks set required = false",
        (1, "unknown", "none is required and passed"),
    ),
    (
        "an unknown status",
        "alter table public.qa_checks drop constraint qa_checks_status_check; update public.qa_checks set status = 'passed' where item = 'login'",
        (1, "unknown", "the status of login is `passed`"),
    ),
    (
        "no title",
        "alter table public.qa_checks alter title drop not null; update public.qa_checks set title = null where item = 'login'",
        (1, "unknown", "login has no title"),
    ),
    (
        "an item twice",
        "alter table public.qa_checks drop constraint qa_checks_pkey; update public.qa_checks set item = 'login'",
        (1, "unknown", "is there twice (and 1 odd row more)"),
    ),
    (
        "a number for a flag",
        "alter table public.qa_checks alter required drop default, alter required type int using 1",
        (1, "unknown", "neither true nor false"),
    ),
    (
        "no right",
        "revoke select on public.qa_checks from service_role",
        (1, "unknown", "GRANT SELECT ON public.qa_checks TO service_role"),
    ),
    (
        "no table",
        "drop table public.qa_checks",
        (1, "unknown", "the API knows no table public.qa_checks: make it (`release-gate checklist --init`"),
    ),
    (
        "a table of another shape",
        "alter table public.qa_checks rename note to notes",
        (1, "unknown", "lacks a column"),
    ),
];

/// A key, what it may do, and what comes of it.
const KEYS: &[(&str, &str, Expected)] = &[
    (
        postgrest::PUBLISHABLE,
        "grant select on public.qa_checks to anon",
        (1, "unknown", "row level security hides them"),
    ),
    (postgrest::ANON, "", (1, "unknown", "grant it the right")),
    (postgrest::EXPIRED, "", (1, "unknown", "the key has expired")),
    ("sb_secret_of_another_project", "", (1, "unknown", "the key is refused")),
];

/// Settings, and what comes of them.
const SETTINGS: &[(&str, Expected)] = &[
    ("min_items = 4", (1, "unknown", "has 3 items, and checklist.min_items asks for 4")),
    ("table = 'qa.qa_checks'", (1, "unknown", "does not show the schema qa")),
];

/// What the API answers whenever it is asked.
fn answers() -> Vec<(&'static str, Fault, Expected)> {
    let answered = |what, reply, expected| (what, Fault::Answer(reply), expected);
    let row = json!([{ "item": "login", "title": "Log in", "required": true, "status": "pass", "source": "manual", "candidate": TAG,
        "commit_sha": "9f2c".repeat(10), "checked_by": "Rina", "note": null }]);
    let ranged = |range: &str| Reply::json(200, row.clone()).with("Content-Range", range);
    let html = |status: u16| Reply::text(status, "text/html", "<!doctype html><title>paused</title>");
    vec![
        answered(
            "fewer rows than announced",
            ranged("0-2/3"),
            (75, "unknown", "announces 3 rows, and from row 0 on 1 came"),
        ),
        answered(
            "the first page again",
            ranged("0-0/2"),
            (75, "unknown", "announces 2 rows, and from row 1 on 1 came"),
        ),
        answered(
            "two counts",
            ranged("0-0/1").with("Content-Range", "0-0/2"),
            (1, "unknown", "does not say how many rows"),
        ),
        answered(
            "a column that is there twice",
            Reply::text(200, "application/json", "[{\"status\":\"fail\",\"status\":\"pass\"}]")
                .with("Content-Range", "0-0/1"),
            (1, "unknown", "no list of rows"),
        ),
        answered(
            "a page without an end",
            Reply::text(200, "application/json", format!("[{{\"x\":[{}0]}}]", "0,".repeat(5 << 20)))
                .with("Content-Range", "0-0/1"),
            (1, "unknown", "longer than 8 MiB"),
        ),
        answered("no count", ranged("0-0/*"), (1, "unknown", "does not say how many rows")),
        answered(
            "no Content-Range",
            Reply::json(200, row.clone()),
            (1, "unknown", "does not say how many rows"),
        ),
        answered(
            "JSON of another shape",
            Reply::json(200, json!({ "rows": [] })),
            (1, "unknown", "no list of rows"),
        ),
        answered(
            "no JSON",
            Reply::text(200, "application/json", "[{"),
            (75, "unknown", "the answer is cut off"),
        ),
        answered("a page", html(200), (1, "unknown", "no API answers but a page")),
        answered("paused", html(540), (1, "unknown", "if the project is paused, resume it")),
        answered("unreachable", html(522), (75, "unknown", "HTTP 522")),
        answered("down", html(521), (75, "unknown", "resume it")),
        answered(
            "too often",
            Reply::json(429, json!({ "message": "slow down" })),
            (75, "unknown", "too often: HTTP 429 (slow down)"),
        ),
        answered("broken", Reply::text(500, "text/plain", "oops"), (75, "unknown", "HTTP 500")),
        answered(
            "no database",
            Reply::json(503, json!({ "code": "PGRST002", "message": "no cache" })),
            (75, "unknown", "HTTP 503, PGRST002 (no cache)"),
        ),
        answered(
            "elsewhere",
            Reply::text(302, "text/plain", "").with("Location", "https://other.example/"),
            (1, "unknown", "leads elsewhere"),
        ),
        answered(
            "another address",
            Reply::json(404, json!({ "error": "requested path is invalid" })),
            (1, "unknown", "there is no API of Supabase"),
        ),
        answered(
            "no content",
            Reply::text(204, "text/plain", ""),
            (1, "unknown", "the API refuses: HTTP 204"),
        ),
        answered(
            "a hostile refusal",
            Reply::json(400, json!({ "code": "\u{1b}[2J", "message": "\u{1b}]0;x\u{7}\n\nyes: all passed" })),
            (1, "unknown", "the API refuses: HTTP 400"),
        ),
        ("cut", Fault::Cut, (75, "unknown", "does not answer")),
        ("dropped", Fault::DropBefore, (75, "unknown", "does not answer")),
        (
            "late",
            Fault::Hang(Duration::from_secs(20)),
            (75, "unknown", "does not answer: no answer came in time"),
        ),
    ]
}

#[test]
fn whatever_else_a_list_is_it_is_no_yes() {
    let bench = Bench::start();
    let tried = |what: &str, key: &str, (code, verdict, part): &Expected| {
        let mut command = bench.command(&["checklist", "--verbose", "--timeout", "2s"]);
        let answer = bench.exchange(command.env("SUPABASE_KEY", key), &bench.document());
        assert_eq!((answer.code, answer.verdict.as_str()), (*code, *verdict), "{what}: {}", answer.said);
        assert!(answer.said.contains(part), "{what}: {}", answer.said);
    };
    for (what, sql, expected) in ROWS {
        bench.anew();
        bench.execute(sql);
        tried(what, postgrest::SECRET, expected);
    }
    for (key, sql, expected) in KEYS {
        bench.anew();
        bench.execute(sql);
        tried(key, key, expected);
    }
    bench.anew();
    for (lines, expected) in SETTINGS {
        bench.settings(lines);
        tried(lines, postgrest::SECRET, expected);
    }
    bench.settings("");
    for (what, fault, expected) in answers() {
        bench.api.server().clear_faults();
        bench.api.server().fault("GET", "/rest/v1/", 99, fault);
        tried(what, postgrest::SECRET, &expected);
    }
    assert_eq!(bench.api.server().changes(), 0, "a gate changes nothing");
}

#[test]
fn a_list_of_many_pages_is_read_to_its_end_or_not_at_all() {
    let bench = Bench::start();
    bench.execute(&format!(
        "insert into public.qa_checks (release, candidate, commit_sha, item, title, status, checked_by, checked_at)
         select '1.2.0', '{TAG}', '{}', 'many.' || n, 'Try ' || n, 'pass', 'Rina', now() from generate_series(1, 1500) n",
        bench.candidate
    ));
    for cap in [1000, 400, 5000] {
        bench.api.cap_at(cap);
        let Answer { code, document, said, .. } = bench.ask();
        assert_eq!(
            (code, &document["facts"]["checklist"]["details"]["items"]),
            (0, &json!(1503)),
            "{cap}: {said}"
        );
    }
    bench.api.cap_at(1000);
    let second = |reply: Reply| bench.api.server().fault_after("GET", "/rest/v1/", 1, Fault::Answer(reply));
    for (reply, part) in [
        (
            Reply::json(200, json!([])).with("Content-Range", "*/1503"),
            "announces 1503 rows, and from row 1000 on 0 came",
        ),
        (Reply::json(200, json!([])).with("Content-Range", "*/1000"), "has changed while it was read"),
        (
            Reply::json(416, json!({ "code": "PGRST103", "message": "Requested range not satisfiable" })),
            "changed while it was read",
        ),
        (Reply::json(401, json!({ "message": "Invalid API key" })), "the key is refused"),
    ] {
        second(reply);
        let Answer { verdict, said, .. } = bench.ask();
        assert!(verdict == "unknown" && said.contains(part), "{part}: {said}");
    }
    // One item that is open, on the second page.
    bench
        .execute("update public.qa_checks set status = 'pending', checked_by = null where item = 'many.999'");
    let Answer { code, said, .. } = bench.ask();
    assert!(code == 75 && said.contains("1 of 1503 required items are open: many.999"), "{said}");
}

#[test]
fn what_ships_is_what_qa_has_seen() {
    let bench = Bench::start();
    let asked = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut document = bench.document();
        change(&mut document["facts"]);
        bench.exchange(&mut bench.command(&["checklist"]), &document)
    };
    let other = bench.repo.commit("one more", &[("src/x", "2")]);
    let before = bench.api.server().log().len();
    let Answer { code, verdict, said, .. } = asked(&|facts| facts["commit"] = json!(other));
    assert_eq!((code, verdict.as_str()), (1, "no"), "{said}");
    assert!(said.contains("whose files are not those of"), "{said}");
    for (version, part) in [
        ("1.2.0-rc7", "git has no tag v1.2.0-rc7 here"),
        ("1.2.0", "v1.2.0 is no candidate"),
        ("1.2.0-rc1&select=x", "is no candidate"),
        ("1.2.0-rc1^{/merge}", "is no candidate"),
    ] {
        let Answer { code, verdict, said, .. } =
            asked(&|facts| facts["candidate"]["version"] = json!(version));
        assert!(code == 1 && verdict == "unknown" && said.contains(part), "{version}: {said}");
    }
    assert_eq!(bench.api.server().log().len(), before, "nobody is asked about another build");
    // The tag was moved after QA had answered.
    bench.repo.git(&["tag", "--force", "--annotate", "--message", TAG, TAG, &bench.merged]);
    let Answer { code, verdict, said, .. } = bench.ask();
    assert!(code == 1 && verdict == "no" && said.contains("login (Try login) is about commit"), "{said}");
}

#[test]
fn settings_that_are_wrong_are_said() {
    let bench = Bench::start();
    let asked = |lines: &str, key: Option<&str>| {
        bench.settings(lines);
        let mut command = bench.command(&["checklist"]);
        command.env_remove("SUPABASE_KEY").envs(key.map(|key| ("SUPABASE_KEY", key)));
        let Answer { code, said, verdict, .. } = bench.exchange(&mut command, &bench.document());
        assert_eq!(verdict, "");
        (code, said)
    };
    let key = Some(postgrest::SECRET);
    for (lines, key, part) in [
        ("", None, "no checklist.key: set checklist.key_file in"),
        ("table = 'qa_checks?select=item'", key, "it must be the name of a table"),
        ("source = 'excel'", key, "supabase and database"),
        ("source = 'database'", key, "no `checklist.host`"),
        ("min_items = 0", key, "a whole number from 1 on"),
        ("", Some("sb_secret_a b"), "has a blank or a line end in it"),
    ] {
        let (code, said) = asked(lines, key);
        assert!(code == 78 && said.contains(part), "{lines}: {code} {said}");
    }
    let text = "[product]\nname = 'shop'\n[release-gate.checklist]\nurl = 'http://supabase.example'\n";
    std::fs::write(bench.repo.path().join("release.toml"), text).expect("written");
    let Answer { code, said, .. } = bench.ask();
    assert!(code == 78 && said.contains("over plain HTTP everybody on the way reads the secret"), "{said}");
}

#[test]
fn who_says_nothing_is_waited_for_until_the_deadline_or_a_signal() {
    let bench = Bench::start();
    let (hold, held) = std::sync::mpsc::channel();
    let hold = std::sync::Mutex::new(hold);
    let silent =
        Listener::start(move |stream| hold.lock().expect("nobody panicked").send(stream).expect("kept"));
    for (source, part) in [("supabase", "no answer came in time"), ("database", "has said nothing for 1s")] {
        match source {
            "supabase" => {
                bench.api.server().fault("GET", "/rest/v1/", 9, Fault::Hang(Duration::from_secs(60)));
            }
            _ => bench.database(&format!("port = {}\n", silent.port())),
        }
        let began = Instant::now();
        let mut command = bench.command(&["checklist", "--timeout", "2s"]);
        let Answer { code, said, verdict, .. } = bench.exchange(&mut command, &bench.document());
        assert!(code == 75 && verdict == "unknown" && said.contains(part), "{source}: {said}");
        assert!(began.elapsed() < Duration::from_secs(6), "{source}: {:?}", began.elapsed());
    }
    let mut command = bench.command(&["checklist", "--fresh", "--release", TAG, "--commit", TAG]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    while held.try_iter().count() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

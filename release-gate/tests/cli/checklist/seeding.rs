//! The rows of a candidate are made from the team's list, and answers stay what they are.

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};
use testkit::postgrest;

use super::bench::{Answer, Bench, TAG};

const LIST: &str = "# QA\n\n## Checkout\n\n- [ ] `checkout.card` Pay with a card\n- [ ] `checkout.qris` Pay with QRIS\n  - [ ] on a phone\n\n\
    ## Orders\n\n- [ ] An order is mailed (optional)\n- [x] It's \"printed\"; \\*really\\*\n";
const MADE: [&str; 5] = [
    "checkout.card pending",
    "checkout.qris pending",
    "checkout.qris.on-a-phone pending",
    "orders.an-order-is-mailed pending",
    "orders.it-s-printed-really pending",
];

fn empty() -> Bench {
    let bench = Bench::start();
    bench.execute("delete from public.qa_checks; delete from public.qa_check_events");
    std::fs::write(bench.folder.path().join("QA.md"), LIST).expect("written");
    bench
}

impl Bench {
    fn seed(&self, more: &[&str], document: &Value) -> Answer {
        let args = [&["checklist", "--seed", "../QA.md", "--verbose"], more].concat();
        self.exchange(&mut self.command(&args), document)
    }
}

fn step(answer: &Answer) -> (i32, &str, &str) {
    let record = answer.document["steps"].as_array().and_then(|steps| steps.last()).expect("a record");
    (
        answer.code,
        record["status"].as_str().unwrap_or_default(),
        record["summary"].as_str().unwrap_or_default(),
    )
}

#[test]
fn rows_are_made_once_and_answers_are_never_touched() {
    let bench = empty();
    for source in ["supabase", "database"] {
        bench.execute("delete from public.qa_checks; delete from public.qa_check_events");
        if source == "database" {
            bench.database("");
        }
        let planned = bench.seed(&["--plan"], &bench.tagged());
        assert!(
            matches!(step(&planned), (0, "planned", summary) if summary.starts_with("would make 5 rows for v1.2.0-rc1")),
            "{planned:?}"
        );
        assert!(bench.rows().is_empty(), "{source}");
        let made = bench.seed(&[], &bench.tagged());
        assert!(
            matches!(step(&made), (0, "changed", summary) if summary.starts_with("made 5 rows for v1.2.0-rc1")),
            "{made:?}"
        );
        assert_eq!(bench.rows(), MADE, "{source}");
        let row = "select release, candidate, commit_sha, title, required, source from public.qa_checks where item like 'orders%' order by item";
        let rows = bench.cluster.query("shop", row);
        assert_eq!(rows[0], ["1.2.0", TAG, &bench.candidate, "An order is mailed", "f", "manual"]);
        assert_eq!(rows[1][3..], ["It's \"printed\"; *really*", "t", "manual"]);
        let again = bench.seed(&[], &bench.tagged());
        assert!(
            matches!(step(&again), (0, "unchanged", summary) if summary.starts_with("all 5 items of v1.2.0-rc1 are in")),
            "{again:?}"
        );
        assert_eq!(bench.events(), "5", "{source}");
        // QA has answered one, and the list has one more.
        bench.execute("update public.qa_checks set status = 'fail', checked_by = 'Rina', checked_at = now(), title = 'Changed' where item = 'checkout.card';
                       delete from public.qa_checks where item = 'checkout.qris'");
        let more = bench.seed(&[], &bench.tagged());
        assert!(
            matches!(step(&more), (0, "changed", summary) if summary.starts_with("made 1 row ") && summary.ends_with("4 were there; QA answers Pay with QRIS")),
            "{more:?}"
        );
        assert_eq!((bench.rows()[0].as_str(), bench.rows().len()), ("checkout.card fail", 5), "{source}");
        assert_eq!(bench.events(), "7", "{source}: the history has what happened and nothing else");
        // What was made is a list that is not done.
        let Answer { code, verdict, said, .. } = bench.ask();
        assert_eq!((code, verdict.as_str()), (1, "no"), "{said}");
    }
}

/// Two pipelines at once: who comes second finds rows that were not there when it looked, and one of them is answered by now.
#[test]
fn what_others_make_meanwhile_is_left_alone_and_leaves_no_trace_of_us() {
    let bench = empty();
    // The first look sees nothing, as it was a moment ago.
    let nothing = Reply::json(200, json!([])).with("Content-Range", "*/0");
    bench.row("checkout.card", "pass");
    bench.row("checkout.qris", "pending");
    bench.api.server().fault("GET", "/rest/v1/", 1, Fault::Answer(nothing));
    let made = bench.seed(&[], &bench.tagged());
    assert!(matches!(step(&made), (0, "changed", _)), "{made:?}");
    assert_eq!((bench.rows()[0].as_str(), bench.rows().len()), ("checkout.card pass", 5));
    assert_eq!(bench.events(), "5", "rows that were there have no second event");
    let post = bench.api.server().log().into_iter().find(|request| request.method == "POST").expect("a POST");
    assert_eq!(post.target, "/rest/v1/qa_checks?on_conflict=candidate,item");
    assert_eq!(post.header("prefer"), "resolution=ignore-duplicates,return=representation");
}

#[test]
fn an_answer_that_was_lost_is_looked_for_and_never_asked_for_twice() {
    let bench = empty();
    let faulty = |fault: Fault| {
        bench.execute("delete from public.qa_checks");
        bench.api.server().clear_faults();
        bench.api.server().fault("POST", "/rest/v1/", 9, fault);
        let before = bench.api.server().changes();
        let answer = bench.seed(&["--timeout", "5s"], &bench.tagged());
        assert_eq!(bench.api.server().changes() - before, 1, "{answer:?}");
        answer
    };
    let page = || Reply::text(502, "text/html", "<html>");
    for fault in [Fault::DropAfter, Fault::Cut] {
        let answer = faulty(fault);
        assert!(matches!(step(&answer), (0, "changed", _)), "{answer:?}");
        assert_eq!(bench.rows(), MADE);
    }
    for (fault, code, reason, acted) in [
        (Fault::DropBefore, 75, "not-seeded", "unknown"),
        (Fault::Answer(page()), 75, "not-seeded", "unknown"),
        (Fault::Answer(Reply::json(201, json!([]))), 1, "not-seeded", "unknown"),
        (Fault::Answer(Reply::json(429, json!({}))), 75, "checklist-unknown", "no"),
        (
            Fault::Answer(Reply::json(
                400,
                json!({ "code": "PGRST102", "message": "All object keys must match" }),
            )),
            1,
            "checklist-unknown",
            "no",
        ),
    ] {
        let answer = faulty(fault);
        let failure = &answer.document["failure"];
        assert_eq!(
            (answer.code, &failure["reason"], &failure["acted"]),
            (code, &json!(reason), &json!(acted)),
            "{answer:?}"
        );
        assert!(bench.rows().is_empty());
    }
}

#[test]
fn what_cannot_be_seeded_is_not() {
    let bench = empty();
    let refused = |code: i32, reason: &str, part: &str, answer: Answer| {
        assert_eq!(
            (answer.code, &answer.document["failure"]["reason"]),
            (code, &json!(reason)),
            "{answer:?}"
        );
        assert!(answer.said.contains(part), "{part}: {}", answer.said);
        assert!(bench.rows().is_empty(), "{part}");
    };
    let with = |key: &str, value: &str| {
        let mut document = bench.tagged();
        document["facts"][key] = json!(value);
        document
    };
    refused(1, "no-candidate", "v1.2.0 is no candidate", bench.seed(&[], &with("tag", "v1.2.0")));
    refused(1, "no-candidate", "git has no tag v1.2.0-rc9 here", bench.seed(&[], &with("tag", "v1.2.0-rc9")));
    refused(1, "other-commit", "v1.2.0-rc1 is at", bench.seed(&[], &with("commit", &bench.merged)));
    refused(1, "other-commit", "v1.2.0-rc1 is at", bench.seed(&["--commit", "main"], &bench.tagged()));
    bench.execute("revoke insert on public.qa_checks from service_role");
    refused(1, "checklist-unknown", "grant it the right", bench.seed(&[], &bench.tagged()));
    bench.execute("grant insert on public.qa_checks to service_role; alter role service_role nobypassrls");
    refused(1, "checklist-unknown", "row-level security policy", bench.seed(&[], &bench.tagged()));
    bench.execute("alter role service_role bypassrls");
    for (text, part) in
        [("words", "there is no list in it"), ("- a\n- A", "QA.md: line 2: `a` is there already, in line 1")]
    {
        std::fs::write(bench.folder.path().join("QA.md"), text).expect("written");
        refused(2, "list", part, bench.seed(&[], &bench.tagged()));
    }
    std::fs::remove_file(bench.folder.path().join("QA.md")).expect("it was there");
    refused(2, "list", "QA.md: ", bench.seed(&[], &bench.tagged()));
    assert_eq!(bench.api.server().count("POST", "/"), 2);
}

#[test]
fn the_settings_name_the_list_or_nothing_is_made() {
    let bench = empty();
    let seed = |bench: &Bench| bench.exchange(&mut bench.command(&["checklist", "--seed"]), &bench.tagged());
    let none = seed(&bench);
    assert!(
        matches!(step(&none), (0, "skipped", summary) if summary.contains("checklist.list names no list")),
        "{none:?}"
    );
    bench.settings("list = '../QA.md'\n");
    let made = seed(&bench);
    assert!(matches!(step(&made), (0, "changed", summary) if summary.starts_with("made 5 rows")), "{made:?}");
}

#[test]
fn by_hand_the_command_line_names_the_candidate() {
    let bench = empty();
    let seed = |more: &[&str]| {
        let args = [&["checklist", "--seed", "../QA.md", "--fresh"], more].concat();
        let output = bench.command(&args).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = seed(&[]);
    assert!(code == Some(2) && said.contains("which candidate?"), "{said}");
    let (code, said) = seed(&["--release", "1.2.0-rc1", "--commit", "develop"]);
    assert!(code == Some(0) && bench.rows() == MADE, "{said}");
    // A candidate's rows are about one commit: the tag was moved.
    bench.repo.git(&["tag", "--force", "--annotate", "--message", TAG, TAG, &bench.merged]);
    let (code, said) = seed(&["--release", "v1.2.0-rc1"]);
    assert!(code == Some(1) && said.contains("make another candidate"), "{said}");
}

const ANSWER: &str = "set status = 'pass', checked_by = 'Rina', checked_at = now()";

/// Who does what with the shipped tables, and what the database says to it.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "authenticated",
        "update public.qa_checks set status = 'pass', checked_by = 'Rina', checked_at = now() where item = 'e2e'",
        "row-level security",
    ),
    ("authenticated", "update public.qa_checks set required = false", "permission denied"),
    ("authenticated", "update public.qa_checks set commit_sha = commit_sha", "permission denied"),
    (
        "authenticated",
        "update public.qa_checks set status = 'pass', checked_by = ' ', checked_at = now() where item = 'login'",
        "qa_checks_answered",
    ),
    (
        "authenticated",
        "update public.qa_checks set status = 'waived', checked_by = 'R', checked_at = now(), note = '' where item = 'login'",
        "qa_checks_waived",
    ),
    ("authenticated", "insert into public.qa_checks default values", "permission denied"),
    ("authenticated", "delete from public.qa_checks", "permission denied"),
    ("authenticated", "select from public.qa_check_events", "permission denied"),
    ("service_role", "delete from public.qa_check_events", "permission denied"),
    ("service_role", "delete from public.qa_checks", "permission denied"),
    ("anon", "select from public.qa_checks", "permission denied"),
    ("release_gate", "update public.qa_checks set status = 'pass'", "permission denied"),
    (
        "release_gate",
        "insert into public.qa_checks (release, candidate, commit_sha, item, title, status, checked_by, checked_at) values ('1.2.0', 'v1.2.0-rc1', repeat('a', 40), 'x', 'x', 'pass', 'x', now())",
        "row-level security",
    ),
];

/// The shipped SQL: who may do what, and what the history has of it.
#[test]
fn people_answer_what_is_theirs_and_change_nothing_else() {
    let bench = empty();
    bench.row("login", "pending");
    bench.execute(
        "insert into public.qa_checks (release, candidate, commit_sha, item, title, source)
         select release, candidate, commit_sha, 'e2e', 'The suite', 'playwright' from public.qa_checks",
    );
    let as_role = |role: &str, sql: &str| {
        let mut session = bench.cluster.session("shop");
        session.batch_execute(&format!("set role {role}")).expect("a role");
        let said = |e: &dyn std::error::Error| e.source().map_or_else(|| e.to_string(), ToString::to_string);
        session.batch_execute(sql).map_err(|e| said(&e))
    };
    for (role, sql, part) in REFUSED {
        let said = as_role(role, sql).expect_err(sql);
        assert!(said.contains(part), "{role}: {sql}: {said}");
    }
    as_role("authenticated", &format!("update public.qa_checks {ANSWER} where item = 'login'"))
        .expect("theirs");
    as_role("service_role", &format!("update public.qa_checks {ANSWER} where item = 'e2e'"))
        .expect("a suite's");
    assert_eq!(bench.rows(), ["e2e pass", "login pass"]);
    assert_eq!(bench.events(), "4");
    let touched = "select count(*) from public.qa_checks where updated_at = checked_at";
    assert_eq!(bench.cluster.value("shop", touched), "2");
}

/// The shipped SQL may be run again, and where there is none of Supabase's roles.
#[test]
fn the_tables_are_made_anywhere_and_again() {
    let bench = empty();
    let output = bench.command(&["checklist", "--init"]).output().expect("it runs");
    let sql = String::from_utf8(output.stdout).expect("text");
    bench.row("login", "pass");
    bench.execute(&sql);
    assert_eq!(bench.rows(), ["login pass"]);
    let plain = testkit::postgres::Cluster::start();
    plain.execute("postgres", &sql);
    assert_eq!(plain.value("postgres", "select count(*) from public.qa_checks"), "0");
}

/// Names of both styles, and ids of both lengths.
#[test]
fn the_table_takes_every_candidate_that_tag_rc_makes() {
    let bench = empty();
    for (tag, id, is_taken) in [
        ("v1.2.0-rc1", 40, true),
        ("v1.2.0-rc.1", 40, true),
        ("v1.2.0-rc12", 64, true),
        ("v1.2.0", 40, false),
        ("v1.2.0-rc1", 41, false),
        ("v1.2.0-beta1", 40, false),
    ] {
        let sql = format!(
            "insert into public.qa_checks (release, candidate, commit_sha, item, title) values ('1.2.0', '{tag}', repeat('a', {id}), 'x{id}', 'x')"
        );
        assert_eq!(bench.cluster.session("shop").batch_execute(&sql).is_ok(), is_taken, "{sql}");
    }
    // The dotted one, from its seed to its verdict.
    bench.execute("delete from public.qa_checks");
    bench.repo.git(&["tag", "--annotate", "--message", "x", "v1.2.0-rc.2", &bench.candidate]);
    let mut document = bench.tagged();
    document["facts"]["tag"] = json!("v1.2.0-rc.2");
    assert_eq!(bench.seed(&[], &document).code, 0);
    let mut release = bench.document();
    release["facts"]["candidate"]["version"] = json!("1.2.0-rc.2");
    let open = bench.exchange(&mut bench.command(&["checklist"]), &release);
    assert_eq!((open.code, open.verdict.as_str()), (75, "unknown"), "{open:?}");
    for item in MADE {
        let line = format!("release-gate: {} (", item.trim_end_matches(" pending"));
        let is_optional = item.contains("mailed");
        assert_eq!(
            open.said.contains(&line),
            !is_optional,
            "each item that is open has a line: {item}: {}",
            open.said
        );
    }
    bench.execute("update public.qa_checks set status = 'pass', checked_by = 'Rina', checked_at = now()");
    let mut document = bench.document();
    document["facts"]["candidate"]["version"] = json!("1.2.0-rc.2");
    let answer =
        bench.exchange(bench.command(&["checklist"]).env("SUPABASE_KEY", postgrest::SECRET), &document);
    assert_eq!((answer.code, answer.verdict.as_str()), (0, "yes"), "{answer:?}");
}

//! Whether a commit is green.

use serde_json::{Value, json};
use testkit::Github;
use testkit::github::{FINE_GRAINED, TOKEN, WEAK};
use testkit::http::{Fault, Reply};

use super::{Shop, at_once, below, json_of, refusal, seconds};

type Case = (&'static str, &'static str, i32, &'static str, fn(&Github, &str));

/// Both are there and have succeeded.
fn good(github: &Github, sha: &str) {
    github.check(sha, "lint", "success");
    github.check(sha, "unit", "success");
}

/// Lint has succeeded, and unit has ended like this.
fn unit(github: &Github, sha: &str, word: &str) {
    github.check(sha, "lint", "success");
    github.check(sha, "unit", word);
}

/// From now on each such question is answered like this.
fn always(github: &Github, path: &str, fault: Fault) {
    github.server().fault("GET", &below(path), 1000, fault);
}

fn answers(github: &Github, reply: Reply) {
    always(github, "/commits/", Fault::Answer(reply));
}

/// Each of a table, against a GitHub of its own.
fn hold(cases: &[Case]) {
    let shop = Shop::new(0);
    let sha = shop.green();
    // The policy is fetched once, not by all of them at once for the first time.
    assert_eq!(shop.ask(&[]).verdict(), "yes");
    at_once(cases, |case| hold_one(&shop, &sha, case));
}

fn hold_one(shop: &Shop, sha: &str, (name, verdict, code, part, prepare): &Case) {
    let github = Github::start();
    prepare(&github, sha);
    let said = shop.ask_of(&github, TOKEN, &["--timeout", "8s"]);
    let all = format!("{name}: exit {}, {} {}", said.code, said.gate, said.stderr);
    assert_eq!((said.verdict(), said.code), (*verdict, *code), "{all}");
    assert!(said.seen().contains(part), "{all}");
}

/// What GitHub reports, and what that is.
const REPORTED: &[Case] = &[
    ("all is well", "yes", 0, "unit: success", good),
    ("no run at all", "unknown", 75, "nor any other check", |github, sha| github.push(sha)),
    ("failed", "no", 1, "unit has failed (check run)", |github, sha| unit(github, sha, "failure")),
    ("skipped", "no", 1, "unit was skipped", |github, sha| unit(github, sha, "skipped")),
    ("neutral", "no", 1, "unit ended neutral", |github, sha| unit(github, sha, "neutral")),
    ("cancelled", "no", 1, "unit was cancelled", |github, sha| unit(github, sha, "cancelled")),
    ("stale", "no", 1, "unit ended stale", |github, sha| unit(github, sha, "stale")),
    ("timed out", "no", 1, "unit has timed out", |github, sha| unit(github, sha, "timed_out")),
    ("not started", "no", 1, "could not be started", |github, sha| unit(github, sha, "startup_failure")),
    ("waits for a person", "no", 1, "waits for a person", |github, sha| {
        unit(github, sha, "action_required");
    }),
    ("a word of tomorrow", "no", 1, "ended splendid", |github, sha| unit(github, sha, "splendid")),
    ("under way", "unknown", 75, "unit is in progress", |github, sha| {
        github.check(sha, "lint", "success");
        github.check_in(1, sha, "unit", "in_progress", None);
    }),
    ("queued", "unknown", 75, "unit is queued", |github, sha| {
        github.check(sha, "lint", "success");
        github.check_in(1, sha, "unit", "queued", None);
    }),
    ("over without a word", "unknown", 75, "does not say how", |github, sha| {
        github.check(sha, "lint", "success");
        github.check_in(1, sha, "unit", "completed", None);
    }),
    ("another name", "unknown", 1, "nothing has reported unit", |github, sha| {
        github.check(sha, "lint", "success");
        github.check(sha, "Unit", "success");
    }),
    ("not there yet", "unknown", 75, "nothing has reported unit", |github, sha| {
        github.check(sha, "lint", "success");
        github.check_in(1, sha, "build", "in_progress", None);
    }),
    ("twice, one failed", "no", 1, "unit has failed", |github, sha| {
        good(github, sha);
        github.check_in(2, sha, "unit", "completed", Some("failure"));
    }),
    ("run again", "yes", 0, "unit: success", |github, sha| {
        unit(github, sha, "failure");
        github.check(sha, "unit", "success");
    }),
    ("a status too, that failed", "no", 1, "unit has failed (status)", |github, sha| {
        good(github, sha);
        github.status(sha, "unit", "failure");
    }),
    ("a status too, under way", "unknown", 75, "unit is pending", |github, sha| {
        good(github, sha);
        github.status(sha, "unit", "pending");
    }),
    ("statuses alone", "yes", 0, "unit: success (status)", |github, sha| {
        github.status(sha, "lint", "success");
        github.status(sha, "unit", "success");
    }),
    ("another one failed", "yes", 0, "unit: success", |github, sha| {
        good(github, sha);
        github.check(sha, "e2e", "failure");
    }),
    ("checks of another commit", "unknown", 1, "another commit", |github, sha| {
        good(github, sha);
        github.twist("/check-runs", |page| page["check_runs"][0]["head_sha"] = json!("a".repeat(40)));
    }),
    ("statuses of another commit", "unknown", 1, "another commit", |github, sha| {
        good(github, sha);
        github.twist("/status", |page| page["sha"] = json!("a".repeat(40)));
    }),
];

#[test]
fn only_what_has_succeeded_by_its_name_is_green() {
    hold(REPORTED);
}

/// Answers that are none, although they say 200.
const BROKEN: &[Case] = &[
    ("an empty object", "unknown", 75, "not the shape", |github, _| {
        answers(github, json_of(200, json!({})));
    }),
    ("an empty list", "unknown", 75, "not the shape", |github, _| {
        answers(github, json_of(200, json!([])));
    }),
    ("null", "unknown", 75, "not the shape", |github, _| answers(github, json_of(200, Value::Null))),
    ("no body", "unknown", 75, "no JSON", |github, _| {
        answers(github, Reply::text(200, "application/json", ""));
    }),
    ("half of a body", "unknown", 75, "no JSON", |github, _| {
        answers(github, Reply::text(200, "application/json", "{\"total_count\": 0, \"check_runs\": ["));
    }),
    ("HTML", "unknown", 75, "no JSON", |github, _| {
        answers(github, Reply::text(200, "text/html", "<html>Unicorn!</html>"));
    }),
    ("no count", "unknown", 75, "not the shape", |github, sha| {
        good(github, sha);
        github.twist("/check-runs", |page| page["total_count"] = json!("2"));
    }),
    ("runs without words", "unknown", 75, "not the shape", |github, sha| {
        good(github, sha);
        github.twist("/check-runs", |page| page["check_runs"][0]["status"] = Value::Null);
    }),
    ("more announced than came", "unknown", 75, "announced 3 entries, and 2 came", |github, sha| {
        good(github, sha);
        github.twist("/check-runs", |page| page["total_count"] = json!(3));
    }),
    ("more statuses announced than came", "unknown", 75, "announced 1 entries, and 0 came", |github, sha| {
        good(github, sha);
        github.twist("/status", |page| page["total_count"] = json!(1));
    }),
    ("fewer announced than came", "unknown", 75, "announced 1 entries, and 2 came", |github, sha| {
        good(github, sha);
        github.twist("/check-runs", |page| page["total_count"] = json!(1));
    }),
    (
        "all that is announced came, and there is another page",
        "unknown",
        75,
        "there is another page",
        |github, sha| {
            many(github, sha, 148);
            github.twist("/check-runs", |page| page["total_count"] = json!(100));
        },
    ),
    ("a field that is there twice", "unknown", 75, "not the shape", |github, _| {
        let page = "{\"total_count\": 0, \"check_runs\": [], \"check_runs\": []}";
        answers(github, Reply::text(200, "application/json", page));
    }),
    ("an answer without an end", "unknown", 1, "longer than 8 MiB", |github, _| {
        let page = format!("{{\"total_count\": 0, \"check_runs\": [], \"x\": [{}0]}}", "0,".repeat(5 << 20));
        answers(github, Reply::text(200, "application/json", page));
    }),
    ("a page is missing", "unknown", 1, "HTTP 404", |github, sha| {
        many(github, sha, 148);
        github.server().fault_after("GET", &below("/commits/"), 1, Fault::Answer(refusal(404, "Not Found")));
    }),
    ("a page is empty", "unknown", 75, "announced 150 entries, and 100 came", |github, sha| {
        many(github, sha, 148);
        let empty = json_of(200, json!({ "total_count": 150, "check_runs": [] }));
        github.server().fault_after("GET", &below("/commits/"), 1, Fault::Answer(empty));
    }),
    ("the same page twice", "unknown", 75, "announced 150 entries, and 100 came", |github, sha| {
        many(github, sha, 148);
        github.twist("/check-runs", |page| {
            let ids = page["check_runs"].as_array_mut().expect("a list");
            (0..).zip(ids).for_each(|(n, run)| run["id"] = json!(n));
        });
    }),
    ("not asked for and unchanged", "unknown", 75, "not the shape", |github, _| {
        answers(github, Reply::text(304, "application/json", ""));
    }),
];

#[test]
fn an_answer_that_is_none_is_never_green() {
    hold(BROKEN);
}

/// Refusals, and no answers.
const REFUSED: &[Case] = &[
    ("a right is missing", "unknown", 1, "give it checks=read", |github, _| {
        let reply = refusal(403, "Resource not accessible by integration");
        answers(github, reply.with("X-Accepted-GitHub-Permissions", "checks=read"));
    }),
    ("forbidden", "unknown", 1, "HTTP 403: no", |github, _| answers(github, refusal(403, "no"))),
    ("bad credentials", "unknown", 1, "set ci.token_file", |github, _| {
        answers(github, refusal(401, "Bad credentials"));
    }),
    ("not shown", "unknown", 1, "does not show this repository", |github, _| {
        answers(github, refusal(404, "Not Found"));
    }),
    ("not pushed", "unknown", 1, "push it", |_, _| {}),
    ("renamed", "unknown", 1, "set ci.repository", |github, _| {
        answers(github, refusal(301, "Moved Permanently").with("Location", "https://evil.example/steal"));
    }),
    ("too often", "unknown", 75, "no more questions", |github, _| {
        answers(github, refusal(429, "slow down").with("Retry-After", 900));
    }),
    ("the quota is used up", "unknown", 75, "no more questions", |github, sha| {
        good(github, sha);
        github.quota(0, u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970") + 900);
    }),
    ("a moment too often", "yes", 0, "unit: success", |github, sha| {
        good(github, sha);
        let reply = refusal(403, "You have exceeded a secondary rate limit").with("Retry-After", 1);
        github.server().fault("GET", &below("/commits/"), 1, Fault::Answer(reply));
    }),
    ("not well", "unknown", 75, "not well (HTTP 502", |github, _| {
        answers(github, refusal(502, "Server Error"));
    }),
    ("not well for a moment", "yes", 0, "unit: success", |github, sha| {
        good(github, sha);
        github.server().fault("GET", &below("/commits/"), 1, Fault::Answer(refusal(502, "Server Error")));
    }),
    ("statuses not well", "unknown", 75, "not well (HTTP 500", |github, sha| {
        good(github, sha);
        always(github, &format!("/commits/{sha}/status"), Fault::Answer(refusal(500, "Server Error")));
    }),
    ("cut", "unknown", 75, "does not answer", |github, sha| {
        good(github, sha);
        always(github, "/commits/", Fault::Cut);
    }),
    ("dropped", "unknown", 75, "does not answer", |github, sha| {
        good(github, sha);
        always(github, "/commits/", Fault::DropBefore);
    }),
    ("no answer in time", "unknown", 75, "does not answer", |github, sha| {
        good(github, sha);
        always(github, "/commits/", Fault::Hang(seconds(20)));
    }),
];

#[test]
fn a_refusal_is_never_green_and_says_what_to_do() {
    hold(REFUSED);
}

/// So many other checks that are well, and the two that must be.
fn many(github: &Github, sha: &str, more: u32) {
    good(github, sha);
    (0..more).for_each(|n| github.check(sha, &format!("matrix ({n})"), "success"));
}

#[test]
fn three_hundred_checks_cost_at_most_five_requests() {
    let shop = Shop::new(0);
    many(&shop.github, &shop.head(), 298);
    let said = shop.ask(&[]);
    assert_eq!((said.verdict(), said.code), ("yes", 0), "{} {}", said.gate, said.stderr);
    let log = shop.github.server().log();
    assert!(log.len() <= 5, "{log:#?}");
    assert_eq!(said.gate["details"]["requests"], log.len());
    for request in &log {
        assert_eq!((request.method.as_str(), request.header("x-github-api-version")), ("GET", "2022-11-28"));
        assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"));
        assert_eq!(request.header("accept"), "application/vnd.github+json");
        assert!(request.header("user-agent").starts_with("release-gate/"), "{request:?}");
    }
    // The last member of the last page counts as the first of the first.
    shop.github.check_in(2, &shop.head(), "unit", "completed", Some("failure"));
    (0..250).for_each(|n| {
        shop.github.check_in(3, &shop.head(), &format!("more ({n})"), "completed", Some("success"));
    });
    let said = shop.ask(&[]);
    assert_eq!((said.verdict(), said.code), ("no", 1), "{}", said.gate);
}

#[test]
fn a_token_that_may_read_no_checks_reads_the_jobs_of_actions() {
    let shop = Shop::new(0);
    let sha = shop.green();
    let said = shop.ask_of(&shop.github, FINE_GRAINED, &[]);
    assert_eq!((said.verdict(), said.code), ("yes", 0), "{} {}", said.gate, said.stderr);
    assert_eq!(said.gate["from"], "Actions runs of GitHub, since the token may not read checks");
    assert!(said.seen().contains("unit: success (job)"), "{}", said.gate);
    // Another workflow has a job of the same name.
    shop.github.check_in(2, &sha, "unit", "completed", Some("skipped"));
    assert_eq!(shop.ask_of(&shop.github, FINE_GRAINED, &[]).verdict(), "no");
    shop.github.check_in(2, &sha, "unit", "in_progress", None);
    assert_eq!(shop.ask_of(&shop.github, FINE_GRAINED, &[]).verdict(), "unknown");
    shop.github.check_in(2, &sha, "unit", "completed", Some("success"));
    assert_eq!(shop.ask_of(&shop.github, FINE_GRAINED, &[]).verdict(), "yes");
    for (end, key) in [("/actions/runs", "workflow_runs"), ("/jobs", "jobs")] {
        let github = Github::start();
        good(&github, &sha);
        github.twist(end, move |page| page[key][0]["head_sha"] = json!("a".repeat(40)));
        let said = shop.ask_of(&github, FINE_GRAINED, &[]);
        assert_eq!(said.verdict(), "unknown", "{end}: {}", said.gate);
        let github = Github::start();
        good(&github, &sha);
        github.twist(end, |page| page["total_count"] = json!(9));
        let said = shop.ask_of(&github, FINE_GRAINED, &[]);
        assert_eq!(said.verdict(), "unknown", "{end}: {}", said.gate);
    }
    let empty = Github::start();
    empty.push(&sha);
    assert_eq!(shop.ask_of(&empty, FINE_GRAINED, &[]).verdict(), "unknown");
    // A token that lacks a right which exists is told which.
    let said = shop.ask_of(&shop.github, WEAK, &[]);
    assert!(said.verdict() == "unknown" && said.seen().contains("checks=read"), "{}", said.gate);
}

#[test]
fn what_is_under_way_is_waited_for_and_costs_nothing() {
    let shop = Shop::new(0);
    let sha = shop.head();
    shop.github.check(&sha, "lint", "success");
    shop.github.check_in(1, &sha, "unit", "in_progress", None);
    let said = shop.ask(&["--timeout", "9s", "--wait", "3s"]);
    assert_eq!((said.verdict(), said.code), ("unknown", 75), "{} {}", said.gate, said.stderr);
    let asked = shop.github.server().log().len();
    assert!(asked >= 6, "it was asked again: {asked}");
    assert_eq!(
        5000 - shop.github.left(),
        3,
        "what has not changed costs nothing: {:#?}",
        shop.github.server().log()
    );
    // Not longer than the step's own time, and then it is said.
    let said = shop.ask(&["--timeout", "2s", "--wait", "10m"]);
    assert!(
        said.verdict() == "unknown" && said.notes().contains("--timeout allows no more"),
        "{}",
        said.gate
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(500));
            shop.github.check(&sha, "unit", "success");
        });
        let said = shop.ask(&["--wait", "20s"]);
        assert_eq!((said.verdict(), said.code), ("yes", 0), "{} {}", said.gate, said.stderr);
    });
}

#[test]
fn what_github_requires_besides_is_a_note() {
    let shop = Shop::new(0);
    let sha = shop.green();
    shop.github.check(&sha, "e2e", "failure");
    shop.github.check(&sha, "\u{1b}[2J<!channel>", "failure");
    shop.github.require("main", &["unit", "e2e", "security"]);
    let said = shop.ask(&[]);
    assert_eq!((said.verdict(), said.code), ("yes", 0), "{} {}", said.gate, said.stderr);
    let notes = said.notes();
    for part in [
        "e2e has failed; it is not required",
        "GitHub requires e2e on main, and ci.required does not name it",
        "GitHub requires security on main",
    ] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    assert!(!notes.contains("GitHub requires unit") && !notes.contains("u001b"), "{notes}");
    always(&shop.github, "/rules/", Fault::Answer(refusal(503, "")));
    let asked = shop.github.server().log().len();
    let said = shop.ask(&["--env", "staging"]);
    assert!(
        said.verdict() == "yes" && said.notes().contains("the rules of staging were not read"),
        "{}",
        said.gate
    );
    assert_eq!(shop.github.server().log().len() - asked, 3, "what decides nothing is asked for once");
}

#[test]
fn somebody_may_go_on_while_github_hangs() {
    let shop = Shop::new(0);
    shop.green();
    always(&shop.github, "/commits/", Fault::Hang(seconds(20)));
    let said = shop.ask(&["--timeout", "2s", "--waive", "GitHub is down, QA has seen it"]);
    assert_eq!((said.verdict(), said.code), ("unknown", 0), "{} {}", said.gate, said.stderr);
    assert_eq!(said.gate["waived"]["reason"], "GitHub is down, QA has seen it");
}

#[test]
fn wrong_settings_are_told_with_their_place_and_what_helps() {
    for (change, part) in [
        (("required = ['lint', 'unit']", "required = []"), "name the checks that must have succeeded"),
        (("required = ['lint', 'unit']", "required = [' ']"), "name the checks that must have succeeded"),
        (
            ("required = ['lint', 'unit']", "required = [\"lint\", \"un\\u0007it\"]"),
            "name the checks that must have succeeded",
        ),
        (("required = ['lint', 'unit']", ""), "name the checks that must have succeeded"),
        (("repository = 'luxima/aceh-commerce'", "repository = 'aceh-commerce'"), "it must be owner/name"),
        (("repository = 'luxima/aceh-commerce'", "repository = '../x/y'"), "it must be owner/name"),
        (("repository = 'luxima/aceh-commerce'", ""), "git's remote is no repository at 127.0.0.1"),
    ] {
        let shop = Shop::new(0);
        let path = shop.repo.path().join("release.toml");
        let text = std::fs::read_to_string(&path).expect("settings");
        assert!(text.contains(change.0), "{text}");
        std::fs::write(&path, text.replace(change.0, change.1)).expect("written");
        shop.repo.git(&["commit", "--quiet", "--all", "--message", "settings"]);
        shop.repo.git(&["push", "--quiet", "origin", "HEAD:main"]);
        let said = shop.ask(&[]);
        assert_eq!(said.code, 78, "{change:?}: {} {}", said.gate, said.stderr);
        assert!(said.stderr.contains(part), "{change:?}: {}", said.stderr);
        assert!(shop.github.server().log().is_empty());
    }
}

#[test]
fn what_must_be_green_is_not_taken_from_the_releaser_s_tree_alone() {
    let shop = Shop::new(0);
    let path = shop.repo.path().join("release.toml");
    let text = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(&path, text.replace("['lint', 'unit']", "['lint']")).expect("written");
    let sha = shop.head();
    shop.github.check(&sha, "lint", "success");
    let said = shop.ask(&[]);
    assert!(said.verdict() == "unknown" && said.seen().contains("unit"), "{} {}", said.gate, said.stderr);
}

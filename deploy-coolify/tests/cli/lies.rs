//! What Coolify, what stands in front of it and whoever works beside us make others believe: never a yes, and never somebody else's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};

use crate::support::{A, B, C, COMMIT, D, DEPLOY, IMAGE, Rig, at_once, signal, told, until};
use step::Exit;

const BLIND: &[&str] = &["read", "deploy", "write"];
const LONG: Duration = Duration::from_secs(60);

/// An application of an image that is proven by Coolify's word.
fn by_coolify(abilities: &[&str]) -> Rig {
    let rig = Rig::image();
    rig.settings("proof = \"coolify\"");
    rig.token(abilities);
    rig
}

fn ends(child: std::process::Child) -> (Option<i32>, Value) {
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("a document"))
}

fn configured(rig: &Rig) -> String {
    rig.coolify.configured(&rig.apps[0]).expect("a tag")
}

#[test]
fn another_tag_that_is_written_before_the_worker_begins_is_no_proof_of_ours() {
    let rig = by_coolify(BLIND);
    rig.coolify.pickup(Duration::from_millis(500));
    let child = rig.spawn(DEPLOY);
    until("a deployment", || rig.coolify.deployments(&rig.apps[0]) == 1);
    rig.coolify.configure(&rig.apps[0], "9.9.9");
    let (_, document) = ends(child);
    assert_eq!(document["failure"]["reason"], "unproven", "{document:#}");
    assert!(told(&document).0.contains("configured with 9.9.9 by now"), "{document:#}");
}

#[test]
fn a_deployment_of_somebody_else_is_not_ours_when_our_request_is_lost() {
    at_once(&[&[][..], &["--cancel"]], |more| {
        let rig = Rig::image();
        rig.token(BLIND);
        rig.coolify.pace(Duration::ZERO, LONG);
        rig.coolify.server().fault("POST", "/api/v1/deploy", 1, Fault::DropBefore);
        let child = rig.spawn(&[DEPLOY, more].concat());
        until("the tag", || rig.coolify.server().count("PATCH", "/api/v1/applications") == 1);
        rig.coolify.press_deploy(&rig.apps[0]);
        let (code, document) = ends(child);
        assert_eq!(
            (code, &document["failure"]["reason"]),
            (Some(Exit::Temporary as i32), &json!("deployment-lost")),
            "{document:#}"
        );
        assert_eq!(rig.coolify.server().count("POST", "/api/v1/deployments"), 0, "nothing is cancelled");
        assert_eq!(configured(&rig), "1.1.4");
    });
}

#[test]
fn the_same_tag_of_another_repository_is_another_build() {
    let rig = by_coolify(&["root"]);
    rig.coolify.say_in_logs(&format!("{IMAGE}:1.2.0"), "registry.luxima.id/other:1.2.0");
    let (document, _) = rig.fails(DEPLOY, None, 1, "wrong-build");
    assert!(told(&document).0.contains("registry.luxima.id/other:1.2.0"), "{document:#}");
    // What does not run does not stay configured.
    assert_eq!(configured(&rig), "1.1.4");
}

#[test]
fn a_log_that_says_another_commit_goes_before_the_deployments_name() {
    let rig = Rig::git();
    rig.settings("proof = \"coolify\"");
    rig.coolify.say_in_logs(&format!("(commit sha {C})"), &format!("(commit sha {D})"));
    let (document, _) = rig.fails(COMMIT, None, 1, "wrong-build");
    assert!(told(&document).0.contains(D), "{document:#}");
}

#[test]
fn another_build_that_is_on_its_way_is_waited_for_or_told() {
    // It runs now, and would not in a moment: it is deployed after the other one.
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
    rig.coolify.configure(&rig.apps[0], "1.3.0");
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(600));
    rig.coolify.press_deploy(&rig.apps[0]);
    until("its beginning", || rig.coolify.states(&rig.apps[0]).pop().expect("one").1 == "in_progress");
    rig.works(DEPLOY, None);
    assert_eq!(rig.state(), (Some("1.2.0".into()), Some("1.2.0".into()), 2));
    // Somebody queues another one after ours.
    let rig = Rig::image();
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(800));
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 2);
    rig.coolify.stall_next_deployment();
    rig.coolify.configure(&rig.apps[0], "9.9.9");
    rig.coolify.press_deploy(&rig.apps[0]);
    let (code, document) = ends(child);
    assert_eq!((code, &document["failure"]["reason"]), (Some(1), &json!("superseded")), "{document:#}");
    assert!(told(&document).0.contains("is on its way and brings 9.9.9"), "{document:#}");
}

#[test]
fn where_the_old_container_was_stopped_first_a_failed_deployment_leaves_no_proof() {
    let rig = by_coolify(&["root"]);
    rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
    rig.coolify.set(&rig.apps[0], "ports_mappings", json!("80:80"));
    rig.coolify.configure(&rig.apps[0], "1.3.0");
    rig.coolify.fail_next_deployment();
    rig.coolify.press_deploy(&rig.apps[0]);
    until("its end", || rig.coolify.states(&rig.apps[0]).pop().expect("one").1 == "failed");
    rig.coolify.say_status(&rig.apps[0], "running:healthy");
    rig.works(DEPLOY, None);
    assert_eq!(rig.starts(), 1, "it is deployed, not believed");
}

#[test]
fn previews_do_not_hide_what_runs() {
    let rig = Rig::image();
    rig.works(DEPLOY, None);
    rig.coolify.previews(&rig.apps[0], 25);
    let (document, _) = rig.works(DEPLOY, None);
    assert_eq!((document["steps"][0]["status"].as_str(), rig.starts()), (Some("unchanged"), 1));
}

#[test]
fn how_long_a_candidate_has_run_is_not_told_by_the_deployment_of_another_one() {
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &["v1.2.0-rc1"]);
    rig.settings("soak = \"0s\"");
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "v1.2.0-rc2"));
    rig.coolify.fail_next_deployment();
    rig.coolify.press_deploy(&rig.apps[0]);
    until("its end", || rig.coolify.states(&rig.apps[0]).pop().expect("one").1 == "failed");
    rig.token(&["read"]);
    let tested = ["tested", "--env", "production", "--release", "1.2.0"];
    let (document, _) = rig.fails(&tested, None, 1, "untested");
    assert!(told(&document).0.contains("does not say when"), "{document:#}");
}

#[test]
fn what_a_proxy_answers_is_no_ability() {
    for (method, path, status, ability) in
        [("PATCH", "/api/v1/applications", 400, "write"), ("GET", "/api/v1/deploy", 405, "deploy")]
    {
        for body in ["<html>no</html>", "{\"message\":\"no\"}"] {
            let rig = Rig::image();
            let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
            // `/deploy` is the beginning of `/deployments` too: that is answered after the first one.
            rig.coolify.server().fault(method, path, 1, Fault::Answer(Reply::text(status, kind, body)));
            let (_, value, stderr) = rig.asks(&["--check", "--env", "staging"]);
            assert_eq!(value["abilities"].get(ability), None, "{body} {value} {stderr}");
        }
    }
}

#[test]
fn a_tag_that_a_killed_run_has_left_goes_back_whatever_stops_the_next_one() {
    type Scene = fn(&Rig);
    let not_queued = json!({ "deployments": [{ "message": "Unauthorized to deploy this application." }] });
    let cases: &[(Scene, &str)] = &[
        (|_| (), "not-queued"),
        (|r| r.coolify.set(&r.apps[0], "server_status", json!(false)), "server-unreachable"),
        (|r| r.token(&["read", "read:sensitive", "write"]), "token-ability"),
    ];
    for (scene, reason) in cases {
        let rig = Rig::image();
        rig.coolify.configure(&rig.apps[0], "1.2.0");
        scene(&rig);
        if *reason == "not-queued" {
            let said = Fault::Answer(Reply::json(200, not_queued.clone()));
            rig.coolify.server().fault("POST", "/api/v1/deploy", 1, said);
        }
        let (_, document, stderr) = rig.run(DEPLOY, None);
        assert_eq!(document["failure"]["reason"], *reason, "{stderr}");
        assert_eq!(configured(&rig), "1.1.4", "{document:#}");
        assert!(told(&document).1.contains("configured with 1.1.4 again"), "{document:#}");
    }
    // Nobody says what ran before: it stays, and that is said.
    let rig = Rig::image();
    rig.token(BLIND);
    rig.coolify.configure(&rig.apps[0], "1.2.0");
    rig.coolify.fail_next_deployment();
    let (document, _) = rig.fails(DEPLOY, None, 1, "deployment-failed");
    let (message, causes) = told(&document);
    for text in [message, causes] {
        assert!(
            text.contains("stays configured with 1.2.0, and what ran before is not known"),
            "{document:#}"
        );
    }
}

#[test]
fn a_pin_that_was_there_before_us_is_told() {
    let rig = Rig::git();
    rig.coolify.set(&rig.apps[0], "git_commit_sha", json!(C));
    for _ in 0..2 {
        let (document, stderr) = rig.works(COMMIT, None);
        assert!(stderr.contains(&format!("stays pinned to {C}")), "{stderr}");
        let left = &document["steps"][0]["output"]["applications"][0]["left"];
        assert!(left.as_str().is_some_and(|left| left.contains("git_commit_sha")), "{document:#}");
    }
}

#[test]
fn a_signal_does_not_wait_for_an_answer_that_does_not_come() {
    let cases =
        [("GET", "/api/v1/deployments/dep"), ("PATCH", "/api/v1/applications"), ("POST", "/api/v1/deploy")];
    at_once(&cases, |&(method, path)| {
        let rig = Rig::image();
        rig.coolify.stall_next_deployment();
        rig.coolify.server().fault(method, path, 1, Fault::Hang(LONG));
        let child = rig.spawn(DEPLOY);
        until("the request", || rig.coolify.server().count(method, path) == 1);
        std::thread::sleep(Duration::from_millis(200));
        let begun = Instant::now();
        signal(&child, "HUP");
        let (code, document) = ends(child);
        assert!(begun.elapsed() < Duration::from_secs(12), "{method} took {:?}", begun.elapsed());
        assert_eq!(
            (code, &document["failure"]["reason"]),
            (Some(129), &json!("interrupted")),
            "{document:#}"
        );
        assert_eq!(configured(&rig), "1.1.4", "{method} {document:#}");
    });
}

#[test]
fn an_id_that_is_promised_and_cannot_be_read_back_is_cancelled_and_told() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let away = Fault::Answer(Reply::json(503, json!({ "message": "Service Unavailable" })));
    let child = rig.spawn(&[DEPLOY, &["--cancel"]].concat());
    until("the tag", || rig.coolify.server().count("PATCH", "/api/v1/applications") == 1);
    rig.coolify.server().fault("GET", "/api/v1/deployments/", 99, away);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 0);
    signal(&child, "TERM");
    until("the signal", || rig.coolify.server().count("POST", "/api/v1/deployments/dep") > 0);
    let (_, document) = ends(child);
    let (id, state) = rig.coolify.states(&rig.apps[0]).pop().expect("one");
    assert_eq!(state, "cancelled-by-user", "{document:#}");
    assert_eq!(document["facts"]["deployments"][0]["deployment"], id, "{document:#}");
    // Who may not read it back knows its id all the same.
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let refused = Fault::Answer(Reply::json(422, json!({ "message": "no" })));
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 99, refused);
    let (_, document, _) = rig.run(DEPLOY, None);
    let id = rig.coolify.states(&rig.apps[0]).pop().expect("one").0;
    assert!(document["failure"]["next"].as_str().is_some_and(|next| next.contains(&id)), "{document:#}");
}

#[test]
fn a_rollback_that_is_refused_leaves_auto_deploy_on() {
    let rig = Rig::git();
    rig.token(&["read", "read:sensitive", "write"]);
    rig.fails(&["rollback", "--env", "production"], None, 78, "token-ability");
    assert!(rig.coolify.auto_deploys(&rig.apps[0]));
}

#[test]
fn a_time_to_wait_that_is_absurd_breaks_nothing() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let absurd = Reply::json(503, json!({ "message": "x" })).with("Retry-After", u64::MAX);
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 99, Fault::Answer(absurd));
    let (document, _) = rig.fails(&[DEPLOY, &["--timeout", "3s"]].concat(), None, 75, "deployment-timeout");
    assert_eq!(document["failure"]["acted"], "unknown", "{document:#}");
    // No time at all is no leave to ask without a pause.
    let rig = Rig::image();
    let full = Reply::json(429, json!({ "message": "Deployment queue is full." }))
        .with("Retry-After", 0)
        .with("X-RateLimit-Remaining", 199);
    rig.coolify.server().fault("POST", "/api/v1/deploy", 999, Fault::Answer(full));
    rig.fails(&[DEPLOY, &["--timeout", "4s"]].concat(), None, 75, "coolify-busy");
    assert!(rig.starts() < 8, "{}", rig.starts());
}

#[test]
fn a_change_that_was_made_and_called_refused_is_taken_back() {
    for reply in [
        Reply::text(408, "text/plain", "Request Timeout"),
        Reply::text(404, "text/plain", "404 page not found"),
        Reply::json(422, json!({ "message": "Validation failed." })),
    ] {
        let rig = Rig::image();
        rig.coolify.answer_next_change_with(reply);
        let (_, document, _) = rig.run(DEPLOY, None);
        assert_eq!((configured(&rig), rig.starts()), ("1.1.4".into(), 0), "{document:#}");
    }
    // So is what Coolify has made something else of.
    let rig = Rig::image();
    rig.coolify.store_next_tag_as("1.2");
    let (document, _) = rig.fails(DEPLOY, None, 1, "not-written");
    assert_eq!(configured(&rig), "1.1.4", "{document:#}");
    assert!(!told(&document).1.contains("somebody has changed it"), "{document:#}");
}

#[test]
fn a_throttled_minute_at_the_end_is_waited_for() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(&[DEPLOY, &["--timeout", "3s"]].concat());
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    let busy = Reply::json(429, json!({ "message": "Too Many Attempts." })).with("Retry-After", 4);
    let busy = Fault::Answer(busy.with("X-RateLimit-Remaining", 0));
    rig.coolify.server().fault("GET", "/api/v1/", 5, busy.clone());
    rig.coolify.server().fault("PATCH", "/api/v1/", 1, busy);
    let (_, document) = ends(child);
    assert_eq!(document["failure"]["reason"], "deployment-timeout", "{document:#}");
    assert_eq!(configured(&rig), "1.1.4", "{document:#}");
}

#[test]
fn whoever_is_proving_leaves_coolify_alone_too() {
    let rig = by_coolify(&["root"]);
    rig.coolify.say_status(&rig.apps[0], "starting:unknown");
    rig.settings("proof = \"coolify\"\nhealth_timeout = \"20s\"");
    let child = rig.spawn(DEPLOY);
    until("its end", || rig.coolify.running(&rig.apps[0]).as_deref() == Some("1.2.0"));
    std::thread::sleep(Duration::from_millis(500));
    let away = Reply::json(503, json!({ "message": "Service Unavailable" })).with("Retry-After", 3);
    rig.coolify.server().fault("GET", "/api/v1/applications/app", 1, Fault::Answer(away));
    let asked = || rig.coolify.server().count("GET", "/api/v1/applications/app");
    let before = asked();
    until("the refusal", || asked() > before);
    std::thread::sleep(Duration::from_millis(200));
    let before = asked();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(asked(), before);
    rig.coolify.say_status(&rig.apps[0], "running:healthy");
    assert_eq!(ends(child).0, Some(0));
}

#[test]
fn what_can_be_done_without_does_not_hold_the_way_back() {
    let image = format!("{IMAGE}:1.1.4");
    let by_hand = ["rollback", "--env", "production", "--image", &image];
    at_once(&["/api/v1/version", "/api/v1/deployments/applications"], |path| {
        let rig = Rig::image();
        rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
        rig.coolify.server().fault("GET", path, 99, Fault::Hang(LONG));
        let begun = Instant::now();
        rig.works(&by_hand, None);
        assert!(begun.elapsed() < Duration::from_secs(12), "{path} took {:?}", begun.elapsed());
        assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("1.1.4"));
    });
    // The registry is asked once.
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
    let registry = crate::support::registry::registry(None);
    registry.put("1.1.4", "sha256:aa");
    rig.settings(&format!("registry = \"{}\"", registry.server.url()));
    rig.works(&["rollback", "--env", "production"], None);
    assert_eq!(registry.server.count("HEAD", "/v2/shop/manifests/1.1.4"), 1);
}

#[test]
fn what_runs_by_the_pages_word_is_not_deployed_again() {
    let rig = Rig::image();
    rig.token(BLIND);
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(900));
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 2);
    signal(&child, "TERM");
    let (_, document) = ends(child);
    assert_eq!(configured(&rig), "1.1.4", "{document:#}");
    let next = document["failure"]["next"].as_str().expect("a command");
    assert!(next.contains(" --fresh"), "it waits for nothing on stdin: {next}");
    until("its end", || rig.coolify.running(&rig.apps[0]).as_deref() == Some("1.2.0"));
    rig.works(DEPLOY, None);
    assert_eq!(rig.state(), (Some("1.2.0".into()), Some("1.2.0".into()), 1));
}

#[test]
fn the_next_command_has_the_settings_of_this_one() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let more = ["--stall", "200ms", "--max-targets", "20", "--config", "./release.toml"];
    let (document, _) = rig.fails(&[DEPLOY, &more].concat(), None, 75, "deployment-stalled");
    let next = document["failure"]["next"].as_str().expect("a command");
    assert!(next.contains("--config ./release.toml") && next.contains("--max-targets 20"), "{next}");
}

#[test]
fn a_version_that_is_no_version_is_not_the_newest() {
    for word in ["OK", "null", "maintenance"] {
        let says = || Fault::Answer(Reply::text(200, "text/html", word));
        let rig = Rig::git();
        rig.coolify.server().fault("GET", "/api/v1/version", 9, says());
        rig.fails(COMMIT, None, 1, "version");
        assert_eq!(rig.coolify.server().changes(), 0);
        let rig = Rig::image();
        rig.coolify.server().fault("GET", "/api/v1/version", 9, says());
        rig.works(DEPLOY, None);
    }
}

#[test]
fn a_cancellation_that_coolify_contradicts_is_told() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let said = json!({ "message": "Deployment cancelled successfully.", "status": "cancelled-by-user" });
    rig.coolify.server().fault("POST", "/api/v1/deployments/dep", 1, Fault::Answer(Reply::json(200, said)));
    let args = [DEPLOY, &["--stall", "200ms", "--cancel"]].concat();
    let (document, _) = rig.fails(&args, None, 75, "deployment-stalled");
    assert!(told(&document).1.contains("shows it as in_progress all the same"), "{document:#}");
}

#[test]
fn a_build_that_nobody_names_is_not_skipped_on_the_way_back() {
    let rig = Rig::git();
    rig.coolify.history(&rig.apps[0], &[A, "HEAD", B]);
    let (document, _) = rig.fails(&["rollback", "--env", "production"], None, 1, "no-target");
    assert!(told(&document).0.contains("does not say what it brought"), "{document:#}");
    assert_eq!(rig.coolify.server().changes(), 0);
}

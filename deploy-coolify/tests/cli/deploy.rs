//! Deployments against the stand-in: an id that is a lie, a build that is another, waits, health.

use std::time::Duration;

use crate::support::{A, B, C, COMMIT, D, DEPLOY, IMAGE, Rig, at_once, busy, signal, until, with};
use serde_json::json;
use step::Exit;
use testkit::http::{Fault, Reply};

#[test]
fn every_way_to_deploy_a_commit_deploys_that_commit_and_leaves_no_pin() {
    for (version, extra, changes) in [
        ("4.3.11", 0, vec!["POST rollback"]),
        ("4.3.11", 1, vec!["PATCH", "POST deploy", "PATCH"]),
        ("4.2.0", 0, vec!["PATCH", "POST deploy", "PATCH"]),
        ("4.0.0-beta.460", 0, vec!["PATCH", "POST deploy", "PATCH"]),
    ] {
        let rig = Rig::git();
        rig.coolify.version(version);
        rig.coolify.extra_servers(&rig.apps[0], extra);
        let (document, stderr) = rig.works(COMMIT, None);
        assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some(C), "{version} {stderr}");
        assert_eq!(document["facts"]["commit"], C);
        assert_eq!(rig.coolify.pin(&rig.apps[0]), "HEAD", "{version}");
        let short = |(method, path, _): (String, String, _)| match method.as_str() {
            "POST" => format!("POST {}", path.rsplit('/').next().unwrap_or_default()),
            other => other.to_owned(),
        };
        assert_eq!(rig.changes().into_iter().map(short).collect::<Vec<_>>(), changes, "{version}");
        // The same again: nothing is to be done.
        let (again, _) = rig.works(COMMIT, None);
        assert_eq!((again["steps"][0]["status"].as_str(), rig.starts()), (Some("unchanged"), 1));
    }
}

#[test]
fn a_version_that_ignores_commits_is_refused_before_anything() {
    for version in ["4.1.2", "4.0.0", "4.0.0-beta.470"] {
        let rig = Rig::git();
        rig.coolify.version(version);
        rig.fails(COMMIT, None, 1, "version");
        assert_eq!(rig.coolify.server().changes(), 0);
    }
}

#[test]
fn a_version_that_does_not_find_its_deployments_lists_them() {
    let rig = Rig::image();
    rig.coolify.version("4.0.0-beta.466");
    rig.works(DEPLOY, None);
    assert_eq!(rig.starts(), 1);
}

#[test]
fn what_coolify_calls_a_duplicate_is_followed_under_its_real_id() {
    let rig = Rig::git();
    rig.coolify.version("4.2.0");
    rig.coolify.pace(Duration::from_millis(200), Duration::from_millis(100));
    // Somebody deploys the same commit between our look and our request.
    rig.coolify.set(&rig.apps[0], "name", json!("shop"));
    rig.coolify.push_when_pinned(&rig.apps[0], C);
    let (document, stderr) = rig.works(COMMIT, None);
    let id = document["facts"]["deployments"][0]["deployment"].as_str().expect("an id").to_owned();
    let states = rig.coolify.states(&rig.apps[0]);
    assert!(states.iter().any(|(known, _)| *known == id), "{id} is a real one: {states:?} {stderr}");
}

#[test]
fn another_tag_in_flight_does_not_keep_ours_from_running() {
    let rig = Rig::image();
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(150));
    rig.coolify.press_deploy(&rig.apps[0]);
    rig.works(DEPLOY, None);
    assert_eq!((rig.coolify.running(&rig.apps[0]).as_deref(), rig.starts()), (Some("1.2.0"), 1));
}

#[test]
fn another_build_than_the_one_asked_for_is_a_failure_of_its_own() {
    let rig = Rig::git();
    rig.coolify.build_instead(D);
    let (document, _) = rig.fails(COMMIT, None, 1, "wrong-build");
    assert_eq!(document["failure"]["acted"], "yes");
    let rig = Rig::image();
    rig.coolify.build_instead("9.9.9");
    rig.fails(DEPLOY, None, 1, "wrong-build");
}

#[test]
fn an_image_can_be_named_by_its_digest() {
    let rig = Rig::image();
    let digest = "ab".repeat(32);
    rig.page(|revision| {
        Reply::text(200, "text/html", "x")
            .with("X-Release", if revision.starts_with("sha256-") { "1.2.0" } else { revision })
    });
    let image = format!("{IMAGE}@sha256:{digest}");
    let (document, _) = rig.works(&with(DEPLOY, &["--image", &image]), None);
    assert_eq!(rig.coolify.configured(&rig.apps[0]), Some(format!("sha256-{digest}")));
    assert_eq!(document["facts"]["image"], image);
}

#[test]
fn silence_is_a_stall_and_noise_is_not() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let (document, _) = rig.fails(&with(DEPLOY, &["--stall", "300ms"]), None, 75, "deployment-stalled");
    assert_eq!(document["failure"]["acted"], "unknown");
    assert_eq!(rig.coolify.server().count("POST", "/api/v1/deployments"), 0, "nothing is cancelled unasked");

    let rig = Rig::image();
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(1500));
    rig.coolify.chatter(Duration::from_millis(50));
    rig.works(&with(DEPLOY, &["--stall", "1s"]), None);
    // Who waits in the queue is not silent.
    let rig = Rig::image();
    rig.coolify.pace(Duration::from_millis(900), Duration::ZERO);
    let (document, _) = rig.works(&with(DEPLOY, &["--stall", "400ms"]), None);
    let queued = document["steps"][0]["output"]["applications"][0]["queued_ms"].as_u64().expect("a time");
    assert!(queued >= 600, "{queued}");
}

#[test]
fn what_was_started_here_is_cancelled_if_that_is_wanted_whatever_coolify_answers() {
    for version in ["4.3.11", "4.3.5"] {
        let rig = Rig::image();
        rig.coolify.version(version);
        rig.coolify.stall_next_deployment();
        let (document, _) =
            rig.fails(&with(DEPLOY, &["--stall", "200ms", "--cancel"]), None, 75, "deployment-stalled");
        assert!(document["failure"]["causes"].to_string().contains("was cancelled"), "{document:#}");
        assert_eq!(rig.coolify.server().count("POST", "/api/v1/deployments"), 1);
        assert_eq!(rig.coolify.states(&rig.apps[0]).pop().expect("a row").1, "cancelled-by-user");
    }
}

#[test]
fn an_unknown_word_is_never_a_success() {
    let rig = Rig::image();
    rig.coolify.end_next_deployment_as("succeeded");
    let (_, stderr) = rig.fails(&with(DEPLOY, &["--timeout", "1s"]), None, 75, "deployment-timeout");
    assert_eq!(stderr.matches("`succeeded`, a state that is not known").count(), 1, "{stderr}");
}

#[test]
fn a_cancelled_deployment_is_told_as_one() {
    let rig = Rig::image();
    rig.coolify.end_next_deployment_as("cancelled-by-user");
    rig.fails(DEPLOY, None, 1, "deployment-cancelled");
}

#[test]
fn coolify_may_go_away_while_it_deploys() {
    let rig = Rig::image();
    rig.coolify.pace(Duration::from_millis(100), Duration::from_millis(100));
    let gone = Reply::text(404, "text/plain", "404 page not found");
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 30, Fault::Answer(gone));
    let (_, stderr) = rig.works(DEPLOY, None);
    assert_eq!(stderr.matches("cannot be reached").count(), 1, "{stderr}");
    // It comes back, and has given everything up that was on its way.
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(DEPLOY);
    until("a deployment", || rig.coolify.deployments(&rig.apps[0]) == 1);
    until("a look at it", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 2);
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 3, Fault::DropBefore);
    until("silence", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 6);
    rig.coolify.restart();
    let output = child.wait_with_output().expect("it ends");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["failure"]["reason"], "interrupted-by-coolify", "{document:#}");
    assert_eq!(output.status.code(), Some(Exit::Temporary as i32));
}

#[test]
fn a_queue_that_is_full_is_waited_for_in_both_of_its_forms() {
    let rig = Rig::image();
    rig.coolify.server().fault(
        "POST",
        "/api/v1/deploy",
        1,
        Fault::Answer(busy("Deployment queue is full. Please wait.")),
    );
    rig.works(DEPLOY, None);
    assert_eq!((rig.starts(), rig.coolify.deployments(&rig.apps[0])), (2, 1));
    let rig = Rig::git();
    let full = Reply::json(
        400,
        json!({ "message": "Deployment queue is full. Please wait for existing deployments to complete." }),
    );
    rig.coolify.server().fault("POST", "/api/v1/applications", 1, Fault::Answer(full));
    rig.works(COMMIT, None);
    assert_eq!((rig.starts(), rig.coolify.deployments(&rig.apps[0])), (2, 1));
}

#[test]
fn whatever_is_lost_nothing_is_started_twice() {
    let bad_gateway = Fault::Answer(Reply::text(502, "text/html", "<h1>Bad Gateway</h1>"));
    let faults = [Fault::DropAfter, Fault::DropBefore, bad_gateway, Fault::Hang(Duration::from_millis(300))];
    let cases: Vec<(bool, &Fault)> =
        [false, true].iter().flat_map(|git| faults.iter().map(|f| (*git, f))).collect();
    at_once(&cases, |&(git, fault)| {
        let rig = if git { Rig::git() } else { Rig::image() };
        let path = if git { "/api/v1/applications" } else { "/api/v1/deploy" };
        let acts = matches!(fault, Fault::DropAfter | Fault::Hang(_));
        rig.coolify.server().fault("POST", path, 1, fault.clone());
        let (code, document, stderr) = rig.run(if git { COMMIT } else { DEPLOY }, None);
        assert_eq!(rig.starts(), 1, "{fault:?} {stderr}");
        if acts {
            assert_eq!((code, rig.coolify.deployments(&rig.apps[0])), (0, 1), "{fault:?} {stderr}");
        } else {
            let failure = &document["failure"];
            assert_eq!(
                (failure["reason"].as_str(), failure["acted"].as_str()),
                (Some("deployment-lost"), Some("unknown"))
            );
        }
    });
}

#[test]
fn a_refusal_takes_the_tag_back() {
    let rig = Rig::image();
    rig.coolify.token(crate::support::TOKEN, &["read", "read:sensitive", "write"]);
    let (document, stderr) = rig.fails(DEPLOY, None, 78, "token-ability");
    assert!(stderr.contains("make a token with the ability deploy"), "{stderr}");
    assert_eq!(document["failure"]["acted"], "no");
    assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some("1.1.4"));
    // What Coolify says with status 200.
    let said = json!({ "deployments": [{ "message": "Unauthorized to deploy this application.", "resource_uuid": "x" }] });
    let rig = Rig::image();
    rig.coolify.server().fault("POST", "/api/v1/deploy", 1, Fault::Answer(Reply::json(200, said)));
    rig.fails(DEPLOY, None, 1, "not-queued");
}

#[test]
fn a_pin_is_taken_back_on_every_way_out() {
    let rig = Rig::git();
    rig.coolify.version("4.2.0");
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(COMMIT);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    // With one server a deployment keeps the commit with which it was queued: nothing is left to a kill.
    assert_eq!(rig.coolify.pin(&rig.apps[0]), "HEAD");
    signal(&child, "KILL");
    child.wait_with_output().expect("it ends");
    for (version, extra) in [("4.3.11", 1), ("4.0.0-beta.460", 0)] {
        let rig = Rig::git();
        rig.coolify.version(version);
        rig.coolify.extra_servers(&rig.apps[0], extra);
        rig.coolify.stall_next_deployment();
        let child = rig.spawn(COMMIT);
        until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
        assert_eq!(rig.coolify.pin(&rig.apps[0]), C, "{version}");
        signal(&child, "TERM");
        assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(143));
        assert_eq!(rig.coolify.pin(&rig.apps[0]), "HEAD", "{version}");
    }
    let rig = Rig::git();
    rig.coolify.version("4.2.0");
    rig.coolify.fail_next_deployment();
    rig.fails(COMMIT, None, 1, "deployment-failed");
    assert_eq!(rig.coolify.pin(&rig.apps[0]), "HEAD");
}

#[test]
fn killed_between_tag_and_deployment_the_old_build_is_still_what_is_gone_back_to() {
    for abilities in [vec!["read", "read:sensitive", "write", "deploy"], vec!["read", "write", "deploy"]] {
        let rig = Rig::image();
        rig.coolify.token(crate::support::TOKEN, &abilities);
        // The tag is written; then nobody hears the answer, and the process dies.
        rig.coolify.server().fault("PATCH", "/api/v1/applications", 1, Fault::Hang(Duration::from_secs(3)));
        let child = rig.spawn(DEPLOY);
        until("the tag", || rig.coolify.configured(&rig.apps[0]).as_deref() == Some("1.2.0"));
        signal(&child, "KILL");
        child.wait_with_output().expect("it died");
        let document = rig.observed(&["--release", "1.2.0"]);
        assert_eq!(document["facts"]["previous"]["image"], format!("{IMAGE}:1.1.4"), "{abilities:?}");
        rig.works(&["deploy"], Some(&document));
        assert_eq!((rig.starts(), rig.coolify.running(&rig.apps[0]).as_deref()), (1, Some("1.2.0")));
    }
}

#[test]
fn while_waiting_each_interval_has_one_question_and_a_signal_ends_them() {
    let rig = Rig::image();
    rig.settings("interval = \"200ms\"");
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    let before = rig.coolify.server().log().len();
    std::thread::sleep(Duration::from_millis(1000));
    let asked = rig.coolify.server().log().len() - before;
    assert!((1..=6).contains(&asked), "{asked} questions in a second");
    let before = rig.coolify.server().log().len();
    signal(&child, "TERM");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(143));
    // How the deployment stands, what is configured, that it is put back, and whether it is.
    let asked: Vec<String> = rig.coolify.server().log()[before..].iter().map(|r| r.method.clone()).collect();
    assert!(asked.len() <= 5 && asked.ends_with(&["GET", "PATCH", "GET"].map(str::to_owned)), "{asked:?}");
    let after = rig.coolify.server().log().len();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(rig.coolify.server().log().len(), after);
    assert_eq!(rig.coolify.server().count("POST", "/api/v1/deployments"), 0);
}

#[test]
fn the_log_is_shown_in_its_order_without_what_is_hidden_or_secret() {
    let rig = Rig::image();
    for (line, hidden) in [
        ("second", false),
        ("first", false),
        ("[CMD]: docker build --secret", true),
        ("clone https://oauth2:glpat-canary@git.example/a.git", false),
        ("token canary-coolify-Zk3vN8pQ", false),
        ("\u{1b}[31mred\n::add-mask::x", false),
    ] {
        rig.coolify.log_line(line, hidden);
    }
    let (_, stderr) = rig.works(DEPLOY, None);
    let at = |text: &str| stderr.find(text).unwrap_or_else(|| panic!("{text} in {stderr}"));
    assert!(
        at("shop | Starting deployment") < at("shop | second") && at("shop | second") < at("shop | first")
    );
    assert!(!stderr.contains("[CMD]") && !stderr.contains("glpat") && !stderr.contains('\u{1b}'), "{stderr}");
    assert!(stderr.lines().all(|line| line.starts_with("deploy-coolify: ")), "{stderr}");
    // Another one with hidden entries; and one with a token that may not read logs.
    let (_, stderr) = rig.works(&["deploy", "--env", "staging", "--release", "1.3.0", "--hidden-log"], None);
    assert!(stderr.contains("[CMD]"), "{stderr}");
    rig.coolify.token(crate::support::TOKEN, &["read", "write", "deploy"]);
    let (_, stderr) = rig.works(&["deploy", "--env", "staging", "--release", "1.4.0"], None);
    assert_eq!(stderr.matches("may not read logs (read:sensitive)").count(), 1, "{stderr}");
}

#[test]
fn a_build_that_somebody_has_replaced_meanwhile_is_no_success() {
    let rig = Rig::git();
    let (coolify, app) = (std::sync::Arc::clone(&rig.coolify), rig.apps[0].clone());
    let done = std::sync::atomic::AtomicBool::new(false);
    rig.page(move |_| {
        if !done.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return Reply::text(200, "text/plain", "x").with("X-Release", B);
        }
        // It answers as ours, and by the time that it has a newer one is deployed.
        if coolify.deployments(&app) == 1 {
            coolify.push(&app, D);
        }
        Reply::text(200, "text/plain", "x").with("X-Release", C)
    });
    let (document, _) = rig.fails(COMMIT, None, 1, "superseded");
    assert!(document["failure"]["message"].as_str().expect("one").contains(D));
}

#[test]
fn a_plan_says_what_would_be_done() {
    let rig = Rig::git();
    rig.coolify.version("4.2.0");
    let (document, _) = rig.works(&with(COMMIT, &["--plan"]), None);
    assert_eq!(rig.coolify.server().changes(), 0);
    assert_eq!(
        document["steps"][0]["output"]["applications"][0]["would"],
        "pin the commit, deploy, and take the pin back"
    );
    rig.fails(&["deploy", "--env", "staging"], None, 1, "fact-missing");
    let (code, _, _) =
        rig.run(&["deploy", "--env", "staging", "--commit", &A[..12]], Some(&rig.observed(&[])));
    assert_eq!(code, 2, "a short commit would not find its image");
}

#[test]
fn production_is_not_touched_without_a_way_back() {
    let rig = Rig::image();
    let args = ["deploy", "--env", "production", "--release", "1.2.0"];
    rig.fails(&args, None, 1, "no-previous");
    assert_eq!(rig.coolify.server().changes(), 0);
    let (document, _) = rig.works(&with(&args, &["--no-previous", "first deployment"]), None);
    assert_eq!(document["steps"][0]["output"]["no_previous"], "first deployment");
}

#[test]
fn a_failed_deployment_is_told_with_its_last_lines() {
    let rig = Rig::image();
    rig.coolify.fail_next_deployment();
    let (document, _) = rig.fails(DEPLOY, None, 1, "deployment-failed");
    let failure = &document["failure"];
    assert_eq!(failure["acted"], "yes");
    assert!(failure["causes"].to_string().contains("exit code 1"), "{failure}");
    assert!(!failure["causes"].to_string().contains("docker pull"), "hidden lines stay hidden");
    assert_eq!(document["facts"].get("live"), None);
    assert_eq!(document["facts"]["deployments"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_signal_hands_the_document_on() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a document");
    let failure = &document["failure"];
    assert_eq!((output.status.code(), failure["reason"].as_str()), (Some(130), Some("interrupted")));
    assert_eq!(failure["acted"], "unknown");
    assert!(failure["next"].as_str().expect("a command").contains("attach"), "{failure}");
}

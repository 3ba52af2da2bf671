//! How an end is told: with its cause, in words that are true, and with a command that works.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};

use crate::support::{C, DEPLOY, IMAGE, Rig, at_once, told, until};

fn causes(document: &Value) -> Vec<String> {
    let causes = document["failure"]["causes"].as_array().cloned().unwrap_or_default();
    causes.iter().filter_map(|c| c.as_str().map(str::to_owned)).collect()
}

#[test]
fn the_cause_is_told_and_not_the_rules_around_it() {
    let long =
        "at Object.<anonymous> (/app/server.js:1:1)\n".repeat(100) + "Error: Cannot find module 'next'";
    type Scene<'a> = Box<dyn Fn(&Rig) + Sync + 'a>;
    let scenes: Vec<(Scene, &str)> = vec![
        (Box::new(|r| r.coolify.cannot_pull(&r.apps[0], "1.2.0")), "manifest unknown"),
        (Box::new(|r| r.coolify.next_deployment_is_unhealthy("started")), "curl: (7) refused"),
        (Box::new(|r| r.coolify.next_deployment_is_unhealthy(&long)), "Cannot find module 'next'"),
        (Box::new(|r| r.coolify.next_deployment_is_unhealthy(&long)), "curl: (7) refused"),
        (Box::new(|r| r.coolify.server_away(&r.apps[0])), "Server is not functional"),
        (
            Box::new(|r| {
                r.coolify
                    .fail_next_deployment_with(&format!("{}no space left on device", "layer\n".repeat(400)));
            }),
            "no space left on device",
        ),
    ];
    at_once(&scenes, |(scene, cause)| {
        let rig = Rig::image();
        rig.coolify.health_check(&rig.apps[0]);
        scene(&rig);
        let (document, _) = rig.fails(DEPLOY, None, 1, "deployment-failed");
        let causes = causes(&document);
        assert!(causes.iter().any(|line| line.contains(*cause)), "{cause}: {causes:#?}");
        assert!(!causes.iter().any(|line| line.contains("-----") || line.contains("=====")), "{causes:#?}");
        assert!(causes.len() <= 20 && causes.iter().all(|line| line.len() < 1000), "{causes:#?}");
    });
}

#[test]
fn a_version_that_does_not_find_its_deployments_lists_them_also_at_the_end() {
    at_once(&[&["--stall", "300ms", "--cancel"][..], &["--timeout", "1500ms", "--cancel"]], |more| {
        let rig = Rig::image();
        rig.coolify.version("4.0.0-beta.466");
        rig.token(&["read", "deploy", "write"]);
        rig.coolify.stall_next_deployment();
        let (_, document, _) = rig.run(&[DEPLOY, more].concat(), None);
        assert!(told(&document).0.contains("was cancelled"), "{document:#}");
        assert_eq!(rig.coolify.states(&rig.apps[0]).pop().expect("one").1, "cancelled-by-user");
        assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some("1.1.4"));
    });
}

#[test]
fn a_cancellation_that_coolify_confirms_is_believed_when_nothing_else_can_be_seen() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    rig.coolify.server().fault("POST", "/api/v1/deployments", 1, Fault::Hang(Duration::from_millis(500)));
    let child = rig.spawn(&[DEPLOY, &["--stall", "300ms", "--cancel"]].concat());
    until("a cancellation", || rig.coolify.server().count("POST", "/api/v1/deployments") > 0);
    rig.coolify.server().fault("GET", "/api/v1/deployments", 99, Fault::DropBefore);
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert!(told(&document).0.contains("was cancelled"), "{document:#}");
    assert!(document["failure"]["next"].as_str().is_some_and(|next| next.contains("status")), "{document:#}");
    // What only says 500 is not.
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let error = Fault::Answer(Reply::json(500, json!({ "message": "Failed to cancel deployment" })));
    rig.coolify.server().fault("POST", "/api/v1/deployments", 1, error);
    let (document, _) =
        rig.fails(&[DEPLOY, &["--stall", "300ms", "--cancel"]].concat(), None, 75, "deployment-stalled");
    assert!(told(&document).1.contains("could not be cancelled: it is in_progress"), "{document:#}");
}

#[test]
fn what_an_earlier_run_has_left_is_taken_up_as_printed() {
    let digest = format!("{IMAGE}@sha256:{}", "ab".repeat(32));
    let abilities = [&["read", "deploy", "write"][..], &["read", "deploy", "write", "read:sensitive"]];
    let images =
        ["--release 1.2.0".to_owned(), format!("--release 1.2.0 --image {digest}"), format!("--commit {C}")];
    let cases: Vec<_> = abilities.iter().flat_map(|a| images.iter().map(move |image| (*a, image))).collect();
    at_once(&cases, |(abilities, build)| {
        let rig = if build.starts_with("--commit") { Rig::git() } else { Rig::image() };
        rig.token(abilities);
        rig.page(|revision| {
            let name = if revision.starts_with("sha256-") { "1.2.0" } else { revision };
            Reply::text(200, "text/plain", "x").with("X-Release", name)
        });
        rig.coolify.pace(Duration::ZERO, Duration::from_millis(5000));
        let words: Vec<&str> = build.split(' ').collect();
        let args = [&["deploy", "--env", "staging", "--timeout", "2500ms"], &words[..]].concat();
        let (document, _) = rig.fails(&args, None, 75, "deployment-timeout");
        let (code, done, stderr) = rig.pastes(&document);
        assert_eq!((code, rig.starts()), (0, 1), "{abilities:?} {build} {stderr}\n{done:#}");
        let live = if build.starts_with("--commit") { C } else { "1.2.0" };
        assert_eq!(done["facts"]["live"], live, "{done:#}");
    });
}

#[test]
fn several_that_were_left_are_taken_up_together() {
    let rig = Rig::with(|coolify| {
        vec![
            coolify.application("shop", IMAGE, "1.1.4"),
            coolify.application("worker", "registry.luxima.id/worker", "1.1.4"),
        ]
    });
    rig.settings("image = [\"registry.luxima.id/shop:{version}\", \"registry.luxima.id/worker:{version}\"]");
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(4500));
    let (document, _) = rig.fails(&[DEPLOY, &["--timeout", "2s"]].concat(), None, 75, "deployment-timeout");
    let next = document["failure"]["next"].as_str().expect("a command");
    assert_eq!(next.matches("--deployment").count(), 2, "{next}");
    assert_eq!(next.matches("--image").count(), 2, "{next}");
    let (code, done, stderr) = rig.pastes(&document);
    assert_eq!((code, rig.starts()), (0, 2), "{stderr}\n{done:#}");
    for app in &rig.apps {
        assert_eq!(rig.coolify.configured(app).as_deref(), Some("1.2.0"));
    }
}

#[test]
fn who_waits_for_a_push_in_vain_is_told_how_to_start_it() {
    let rig = Rig::git();
    let attach = ["attach", "--env", "staging", "--commit", C];
    let (document, _) = rig.fails(&attach, None, 1, "no-deployment");
    let (code, _, stderr) = rig.pastes(&document);
    assert_eq!((code, rig.coolify.running(&rig.apps[0]).as_deref()), (0, Some(C)), "{stderr}");
    // Where only a push can, nothing else is said.
    let rig = Rig::git();
    rig.coolify.version("4.1.2");
    let (document, _) = rig.fails(&attach, None, 1, "no-deployment");
    let next = document["failure"]["next"].as_str().expect("a command");
    assert!(!next.contains("--or-start") && next.contains("--window"), "{next}");
}

#[test]
fn the_way_back_is_named_with_its_build() {
    // Without the log nobody could read in Coolify what ran before.
    let rig = Rig::image();
    rig.token(&["read", "deploy", "write"]);
    rig.breaks_with("1.2.0");
    let before = rig.observed(&["--release", "1.2.0"]);
    let (document, _) = rig.fails(&["deploy"], Some(&before), 1, "not-live");
    let (code, _, stderr) = rig.pastes(&document);
    assert_eq!((code, rig.coolify.running(&rig.apps[0]).as_deref()), (0, Some("1.1.4")), "{stderr}");
}

#[test]
fn a_newer_build_of_somebody_else_is_seen_without_the_log_too() {
    let rig = Rig::image();
    rig.token(&["read", "deploy", "write"]);
    let (coolify, app) = (std::sync::Arc::clone(&rig.coolify), rig.apps[0].clone());
    rig.page(move |revision| {
        // It answers as ours, and by then a newer one is deployed.
        if revision == "1.2.0" && coolify.deployments(&app) == 1 {
            coolify.configure(&app, "1.3.0");
            coolify.press_deploy(&app);
        }
        let says = if revision == "1.3.0" { "1.2.0" } else { revision };
        Reply::text(200, "text/plain", "x").with("X-Release", says)
    });
    let (document, _) = rig.fails(DEPLOY, None, 1, "superseded");
    assert!(told(&document).0.contains("1.3.0"), "{document:#}");
}

#[test]
fn what_coolify_tells_writes_nowhere_else() {
    let rig = Rig::image();
    rig.coolify.set(&rig.apps[0], "name", json!("shop\u{1b}[2J\u{202e}\n\u{7}x"));
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0"));
    rig.coolify.fail_next_deployment();
    let (_, stderr) = rig.fails(DEPLOY, None, 1, "deployment-failed");
    assert!(!stderr.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{stderr:?}");
    assert!(stderr.lines().all(|line| line.starts_with("deploy-coolify: ")), "{stderr}");
    // An id that is a path, or a command, is none.
    let rig = Rig::git();
    let odd =
        json!({ "message": "Rollback deployment queued.", "deployment_uuid": "../applications/x;reboot" });
    rig.coolify.server().fault("POST", "/api/v1/applications", 1, Fault::Answer(Reply::json(200, odd)));
    let (document, _) = rig.fails(&["deploy", "--env", "staging", "--commit", C], None, 1, "not-queued");
    assert!(!document.to_string().contains("reboot"), "{document:#}");
    assert!(!rig.coolify.server().log().iter().any(|r| r.path.contains("..")));
}

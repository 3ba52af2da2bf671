//! A build that failed does not stay written in its application: a restart in Coolify would bring it live.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};

use crate::support::{C, DEPLOY, IMAGE, Rig, at_once, signal, told, until, with};

const OLD: &str = "1.1.4";

/// Somebody restarts the application in Coolify: of an image that is a deployment of what is configured.
fn restarted(rig: &Rig) -> Option<String> {
    rig.coolify.press_deploy(&rig.apps[0]);
    until("a restart", || {
        rig.coolify.states(&rig.apps[0]).iter().all(|(_, s)| s != "in_progress" && s != "queued")
    });
    rig.coolify.running(&rig.apps[0])
}

/// The tag is what it was, the failure says so, and a restart brings the old build.
fn is_back(rig: &Rig, document: &Value, case: &str) {
    assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some(OLD), "{case}");
    let causes = told(document).1;
    assert!(causes.contains("shop is configured with 1.1.4 again"), "{case}: {document:#}");
    assert_eq!(restarted(rig).as_deref(), Some(OLD), "{case}");
}

#[test]
fn however_a_deployment_fails_the_old_tag_is_back() {
    type Scene = fn(&Rig);
    let scenes: &[(&str, Scene, &str)] = &[
        ("pull", |r| r.coolify.cannot_pull(&r.apps[0], "1.2.0"), "deployment-failed"),
        ("unhealthy", |r| r.coolify.next_deployment_is_unhealthy("oh no"), "deployment-failed"),
        ("cancelled", |r| r.coolify.end_next_deployment_as("cancelled-by-user"), "deployment-cancelled"),
        (
            "old containers not kept",
            |r| {
                r.coolify.set(&r.apps[0], "ports_mappings", json!("3000:3000"));
                r.coolify.fail_next_deployment();
            },
            "deployment-failed",
        ),
    ];
    for abilities in [&["read", "deploy", "write"][..], &["root"]] {
        at_once(scenes, |(case, scene, reason)| {
            let rig = Rig::image();
            rig.token(abilities);
            scene(&rig);
            let (document, _) = rig.fails(DEPLOY, None, 1, reason);
            is_back(&rig, &document, case);
        });
    }
    // A server that is away: the deployment never gets a time, and its reason comes late.
    let rig = Rig::image();
    rig.coolify.server_away(&rig.apps[0]);
    let (document, _) = rig.fails(DEPLOY, None, 1, "deployment-failed");
    assert!(told(&document).1.contains("Server is not functional"), "{document:#}");
    assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some(OLD));
}

#[test]
fn what_is_given_up_or_stopped_leaves_the_old_tag_too() {
    let cases = [
        (&["--stall", "300ms"][..], "deployment-stalled"),
        (&["--stall", "300ms", "--cancel"], "deployment-stalled"),
        (&["--timeout", "2500ms"], "deployment-timeout"),
        (&["--timeout", "2500ms", "--cancel"], "deployment-timeout"),
    ];
    at_once(&cases, |&(more, reason)| {
        let rig = Rig::image();
        rig.coolify.stall_next_deployment();
        let (document, _) = rig.fails(&with(DEPLOY, more), None, 75, reason);
        assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some(OLD), "{more:?}");
        let (message, causes) = told(&document);
        assert!(causes.contains("configured with 1.1.4 again"), "{document:#}");
        let cancelled = more.contains(&"--cancel");
        assert_eq!(rig.coolify.states(&rig.apps[0]).pop().expect("one").1 == "cancelled-by-user", cancelled);
        // What was cancelled does not go on, and there is nothing to attach to.
        assert_eq!(message.contains("was cancelled"), cancelled, "{message}");
        assert!(!(cancelled && message.contains("goes on")), "{message}");
        let next = document["failure"]["next"].as_str().expect("a command");
        assert_eq!(next.contains("attach"), !cancelled, "{next}");
    });
}

#[test]
fn a_signal_leaves_the_old_tag_too() {
    let cases = ["TERM", "INT", "HUP"].map(|name| [(&[][..], false, name), (&["--cancel"], true, name)]);
    at_once(cases.as_flattened(), |&(more, cancelled, name)| {
        let rig = Rig::image();
        rig.coolify.stall_next_deployment();
        let child = rig.spawn(&with(DEPLOY, more));
        until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 2);
        signal(&child, name);
        let output = child.wait_with_output().expect("it ends");
        let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(document["failure"]["reason"], "interrupted");
        assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some(OLD), "{name} {document:#}");
        let state = rig.coolify.states(&rig.apps[0]).pop().expect("one").1;
        assert_eq!(state == "cancelled-by-user", cancelled);
        assert_eq!(told(&document).0.contains("was cancelled"), cancelled, "{document:#}");
    });
}

#[test]
fn a_deployment_that_has_not_begun_keeps_its_tag_and_that_is_said() {
    at_once(&[false, true], |fails| {
        let rig = Rig::image();
        rig.coolify.pickup(Duration::from_millis(4500));
        if *fails {
            rig.coolify.fail_next_deployment();
        }
        let (document, _) = rig.fails(&with(DEPLOY, &["--timeout", "2s"]), None, 75, "deployment-timeout");
        let (message, causes) = told(&document);
        for text in [&message, &causes] {
            assert!(text.contains("shop stays configured with 1.2.0 (it was 1.1.4)"), "{document:#}");
        }
        // The command that was printed takes it up, and finds nothing left to write; or it fails after all, and then whoever has taken it
        // up puts the tag back.
        let (code, done, stderr) = rig.pastes(&document);
        if *fails {
            assert_eq!(done["failure"]["reason"], "deployment-failed", "{done:#}");
            is_back(&rig, &done, "attach");
        } else {
            assert_eq!(code, 0, "{stderr}\n{done:#}");
            assert_eq!(rig.state(), (Some("1.2.0".into()), Some("1.2.0".into()), 1));
        }
    });
}

#[test]
fn a_deployment_that_goes_on_and_ends_well_is_configured_again() {
    // Taken up as printed; or the same command again, when the build runs by then and nothing is deployed a second time.
    let cases = [(&["read", "deploy", "write"][..], false), (&["root"], false), (&["root"], true)];
    at_once(&cases, |&(abilities, again)| {
        let rig = Rig::image();
        rig.token(abilities);
        rig.coolify.pace(Duration::ZERO, Duration::from_millis(4500));
        let (document, _) = rig.fails(&with(DEPLOY, &["--timeout", "2s"]), None, 75, "deployment-timeout");
        assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some(OLD));
        if again {
            until("its end", || rig.coolify.running(&rig.apps[0]).as_deref() == Some("1.2.0"));
            let (document, _) = rig.works(DEPLOY, None);
            assert_eq!(document["steps"][0]["status"], "changed", "{document:#}");
        } else {
            let (code, done, stderr) = rig.pastes(&document);
            assert_eq!(code, 0, "{abilities:?} {stderr}\n{done:#}");
            assert_eq!(done["facts"]["image"], format!("{IMAGE}:1.2.0"));
        }
        assert_eq!(rig.state(), (Some("1.2.0".into()), Some("1.2.0".into()), 1), "{abilities:?}");
    });
}

#[test]
fn what_cannot_be_put_back_is_said_in_the_message_and_in_the_causes() {
    let says = |document: &Value, case: &str| {
        let (message, causes) = told(document);
        for text in [&message, &causes] {
            assert!(text.contains("shop stays configured with 1.2.0 (it was 1.1.4)"), "{case}: {document:#}");
            assert!(text.contains("a restart in Coolify would bring it live"), "{case}: {document:#}");
        }
    };
    // The token loses its ability, Coolify takes it and does not write it, or its answer is lost and it was not written.
    let nothing = Fault::Answer(Reply::json(200, json!({ "uuid": "x" })));
    let error = Reply::json(500, json!({ "message": "Server Error" }));
    let cases = [
        ("not allowed", None),
        ("not written", Some(nothing)),
        ("lost", Some(Fault::DropBefore)),
        ("an error", Some(Fault::Answer(error))),
    ];
    at_once(&cases, |(case, fault)| {
        let rig = Rig::image();
        rig.coolify.pace(Duration::ZERO, Duration::from_millis(600));
        rig.coolify.fail_next_deployment();
        let child = rig.spawn(DEPLOY);
        until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
        match fault {
            None => rig.token(&["read", "deploy", "read:sensitive"]),
            Some(fault) => rig.coolify.server().fault("PATCH", "/api/v1/applications", 9, fault.clone()),
        }
        let output = child.wait_with_output().expect("it ends");
        let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        assert_eq!(document["failure"]["reason"], "deployment-failed", "{case} {document:#}");
        says(&document, case);
    });
    // An answer that was lost is no proof of anything: it was written.
    let rig = Rig::image();
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(600));
    rig.coolify.fail_next_deployment();
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    rig.coolify.server().fault("PATCH", "/api/v1/applications", 1, Fault::DropAfter);
    let output = child.wait_with_output().expect("it ends");
    is_back(&rig, &serde_json::from_slice(&output.stdout).expect("a document"), "lost and written");
}

#[test]
fn what_somebody_else_has_configured_meanwhile_is_left_alone() {
    let rig = Rig::image();
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(500));
    rig.coolify.fail_next_deployment();
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    rig.coolify.configure(&rig.apps[0], "1.1.5");
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert!(told(&document).1.contains("configured with 1.1.5 by now"), "{document:#}");
    assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some("1.1.5"));
}

#[test]
fn a_tag_that_a_killed_run_has_left_goes_back_too() {
    // It died when the tag was written, or when the deployment was started; what ran is known from the log, or from the document.
    let cases =
        [false, true].map(|started| [&["read", "deploy", "write"][..], &["root"]].map(|a| (started, a)));
    at_once(cases.as_flattened(), |&(started, abilities)| {
        let rig = Rig::image();
        rig.token(abilities);
        let before = rig.observed(&["--release", "1.2.0"]);
        rig.coolify.configure(&rig.apps[0], "1.2.0");
        rig.coolify.fail_next_deployment();
        if started {
            rig.coolify.pace(Duration::ZERO, Duration::from_millis(300));
            rig.coolify.press_deploy(&rig.apps[0]);
        }
        let (document, _) = rig.fails(&["deploy"], Some(&before), 1, "deployment-failed");
        is_back(&rig, &document, "killed");
        assert_eq!(rig.starts(), usize::from(!started), "what was started is followed");
    });
}

#[test]
fn what_had_no_tag_has_none_again_and_a_digest_is_a_digest_again() {
    let rig = Rig::with(|coolify| vec![coolify.new_application("shop", IMAGE)]);
    rig.coolify.cannot_pull(&rig.apps[0], "1.2.0");
    let (document, _) = rig.fails(DEPLOY, None, 1, "deployment-failed");
    assert_eq!(rig.coolify.configured(&rig.apps[0]), None, "{document:#}");
    assert!(told(&document).1.contains("configured with nothing again"), "{document:#}");

    let (old, new) = ("a".repeat(64), "b".repeat(64));
    let rig = Rig::with(|coolify| vec![coolify.digest_application("shop", IMAGE, &old)]);
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0"));
    let previous = rig.observed(&[])["facts"]["previous"].clone();
    assert_eq!(previous["image"], format!("{IMAGE}@sha256:{old}"));
    for (image, revision) in [
        (format!("{IMAGE}@sha256:{new}"), format!("sha256-{new}")),
        (format!("{IMAGE}:1.2.0"), "1.2.0".into()),
    ] {
        rig.coolify.cannot_pull(&rig.apps[0], if image.contains('@') { &new } else { &revision });
        let (document, _) = rig.fails(&with(DEPLOY, &["--image", &image]), None, 1, "deployment-failed");
        assert!(told(&document).1.contains(&format!("configured with sha256-{old} again")), "{document:#}");
        assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some(old.as_str()));
        assert_eq!(rig.coolify.repository(&rig.apps[0]), format!("{IMAGE}@sha256"));
    }
    // And it can be brought to both.
    let rig = Rig::with(|coolify| vec![coolify.digest_application("shop", IMAGE, &old)]);
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0"));
    let image = format!("{IMAGE}@sha256:{new}");
    rig.works(&with(DEPLOY, &["--image", &image]), None);
    assert_eq!(rig.state().1.as_deref(), Some(new.as_str()));
    rig.works(DEPLOY, None);
    assert_eq!(
        (rig.state().1.as_deref(), rig.coolify.repository(&rig.apps[0])),
        (Some("1.2.0"), IMAGE.to_owned())
    );
}

#[test]
fn a_rollback_that_fails_leaves_the_build_to_go_back_to() {
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &[OLD, "1.2.0"]);
    rig.coolify.fail_next_deployment();
    let (document, _) = rig.fails(&["rollback", "--env", "production"], None, 1, "deployment-failed");
    let (message, causes) = told(&document);
    for text in [&message, &causes] {
        assert!(text.contains("shop stays configured with 1.1.4 (it was 1.2.0)"), "{document:#}");
    }
    assert_eq!(restarted(&rig).as_deref(), Some(OLD), "a restart goes back too");
}

#[test]
fn a_pin_that_cannot_be_taken_back_is_said() {
    for fails in [false, true] {
        let rig = Rig::git();
        rig.coolify.version("4.2.0");
        rig.coolify.extra_servers(&rig.apps[0], 1);
        rig.coolify.pace(Duration::ZERO, Duration::from_millis(400));
        if fails {
            rig.coolify.fail_next_deployment();
        }
        let child = rig.spawn(&["deploy", "--env", "staging", "--commit", C]);
        until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
        rig.token(&["read", "deploy"]);
        let output = child.wait_with_output().expect("it ends");
        let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        let stays = format!("shop stays pinned to {C} (it was HEAD)");
        if fails {
            let (message, causes) = told(&document);
            assert!(message.contains(&stays) && causes.contains(&stays), "{document:#}");
        } else {
            let left = &document["steps"][0]["output"]["applications"][0]["left"];
            assert!(left.as_str().is_some_and(|left| left.contains(&stays)), "{document:#}");
            assert!(String::from_utf8_lossy(&output.stderr).contains(&stays));
        }
    }
}

#[test]
fn coolify_that_was_restarted_leaves_the_old_tag() {
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(DEPLOY);
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 2);
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 3, Fault::DropBefore);
    let asked = rig.coolify.server().count("GET", "/api/v1/deployments/dep");
    until("silence", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > asked + 4);
    rig.coolify.restart();
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["failure"]["reason"], "interrupted-by-coolify", "{document:#}");
    is_back(&rig, &document, "restarted");
}

#[test]
fn a_start_that_nobody_has_seen_leaves_the_old_tag() {
    let rig = Rig::image();
    rig.coolify.server().fault("POST", "/api/v1/deploy", 1, Fault::DropBefore);
    let (document, _) = rig.fails(DEPLOY, None, 75, "deployment-lost");
    assert_eq!(document["failure"]["acted"], "unknown");
    is_back(&rig, &document, "lost");
}

//! The way back: by the document, by a file, by history; by itself; and what stands in its way.

use crate::support::{A, B, C, D, IMAGE, Rig};
use serde_json::{Value, json};
use testkit::http::Reply;

const ROLLBACK: &[&str] = &["rollback", "--env", "production"];

#[test]
fn history_is_a_stack_for_commits_and_images() {
    for version in ["4.3.11", "4.2.0", "4.0.0-beta.460"] {
        let rig = Rig::git();
        let app = &rig.apps[0];
        rig.coolify.history(app, &[A, B, C]);
        rig.coolify.version(version);
        if version.contains("beta") {
            // Its history calls a rollback by the branch's head: nothing but a document knows better.
            rig.coolify.push(app, C);
        }
        let (document, stderr) = rig.works(ROLLBACK, None);
        assert_eq!(
            (document["procedure"].as_str(), document["facts"]["commit"].as_str()),
            (Some("rollback"), Some(B))
        );
        assert_eq!(rig.coolify.running(app).as_deref(), Some(B), "{version} {stderr}");
        assert_eq!(rig.coolify.pin(app), "HEAD");
        if !version.contains("beta") {
            rig.works(ROLLBACK, None);
            assert_eq!(
                rig.coolify.running(app).as_deref(),
                Some(A),
                "{version}: further back, not forward to C"
            );
            rig.fails(ROLLBACK, None, 1, "no-target");
        }
    }
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &["1.0.0", "1.1.0", "1.2.0"]);
    for expected in ["1.1.0", "1.0.0"] {
        rig.works(ROLLBACK, None);
        assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some(expected));
    }
    // Coolify's own endpoint would have done nothing for an image.
    assert_eq!(rig.coolify.server().count("POST", "/api/v1/applications"), 0);
}

#[test]
fn where_to_go_is_never_guessed() {
    let rig = Rig::image();
    let app = rig.apps[0].clone();
    rig.coolify.history(&app, &["1.0.0", "1.1.0"]);
    rig.coolify.token(crate::support::TOKEN, &["read", "write", "deploy"]);
    let (document, _) = rig.fails(ROLLBACK, None, 1, "no-target");
    let said = document["failure"]["message"].as_str().expect("one");
    assert!(said.contains("read:sensitive") && said.contains("--of"), "{said}");
    rig.coolify.token(crate::support::TOKEN, &["root"]);
    rig.coolify.forget(&app);
    let (document, _) = rig.fails(ROLLBACK, None, 1, "no-target");
    assert!(document["failure"]["message"].as_str().expect("one").contains("60 days"));
    assert_eq!(rig.coolify.server().changes(), 0);
    // A person knows.
    let image = format!("{IMAGE}:1.0.0");
    rig.works(&[ROLLBACK, &["--image", &image]].concat(), None);
    assert_eq!(rig.coolify.running(&app).as_deref(), Some("1.0.0"));
    // What the pages say contradicts.
    let rig = Rig::git();
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", D));
    rig.fails(ROLLBACK, None, 1, "no-target");
    rig.fails(&["observe", "--env", "production"], None, 1, "previous-unclear");
    // A Dockerfile that stands in Coolify has no revisions.
    let rig = Rig::git();
    rig.coolify.set(&rig.apps[0], "build_pack", json!("dockerfile"));
    rig.coolify.set(&rig.apps[0], "dockerfile", json!("FROM scratch"));
    rig.fails(&["observe", "--env", "production"], None, 1, "build-pack");
    rig.fails(&[ROLLBACK, &["--commit", A]].concat(), None, 1, "build-pack");
    assert_eq!(rig.coolify.server().changes(), 0);
}

#[test]
fn a_file_says_where_to_go_by_hand_too() {
    let rig = Rig::git();
    let observed = rig.observed(&[]);
    assert_eq!(observed["facts"]["previous"]["commit"], B);
    let (done, _) = rig.works(&["deploy", "--commit", C], Some(&observed));
    let file = rig.write("done.json", &done.to_string()).display().to_string();
    // Even when Coolify has forgotten everything.
    rig.coolify.forget(&rig.apps[0]);
    let (back, _) = rig.works(&[ROLLBACK, &["--of", &file]].concat(), None);
    assert_eq!(
        (back["facts"]["live"].as_str(), back["facts"]["replaces"]["commit"].as_str()),
        (Some(B), Some(C))
    );
    let wrong = rig.write("wrong.json", "{}").display().to_string();
    rig.fails(&[ROLLBACK, &["--of", &wrong]].concat(), None, 1, "wrong-document");
}

#[test]
fn a_push_would_bring_the_bad_build_back_so_auto_deploy_goes_off() {
    let rig = Rig::git();
    let (_, stderr) = rig.works(&[ROLLBACK, &["--plan"]].concat(), None);
    assert!(stderr.contains("would be switched off"), "{stderr}");
    assert!(rig.coolify.auto_deploys(&rig.apps[0]));
    let (_, stderr) = rig.works(ROLLBACK, None);
    assert!(stderr.contains("auto-deploy is off now"), "{stderr}");
    assert!(!rig.coolify.auto_deploys(&rig.apps[0]));

    let rig = Rig::git();
    rig.works(&[ROLLBACK, &["--keep-auto-deploy"]].concat(), None);
    assert!(rig.coolify.auto_deploys(&rig.apps[0]));
    // A token that may not write cannot; the rollback is worth more.
    let rig = Rig::git();
    rig.coolify.token(crate::support::TOKEN, &["read", "deploy"]);
    let (_, stderr) = rig.works(ROLLBACK, None);
    assert!(stderr.contains("could not be switched off"), "{stderr}");
    assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some(A));
    // An old version does not say whether it is on.
    let rig = Rig::git();
    rig.coolify.version("4.0.0-beta.460");
    let (_, stderr) = rig.works(ROLLBACK, None);
    assert!(stderr.contains("if auto-deploy is on"), "{stderr}");
}

#[test]
fn code_that_is_back_with_other_settings_is_told() {
    for changed in [false, true] {
        let rig = Rig::git();
        if changed {
            rig.coolify.change_settings(&rig.apps[0]);
        }
        let (document, stderr) = rig.works(ROLLBACK, None);
        assert_eq!(
            document["steps"][0]["output"]["applications"][0]["drift"],
            json!(changed),
            "{document:#}"
        );
        assert_eq!(stderr.contains("with other settings than then"), changed, "{stderr}");
    }
}

/// A document in which 1.1.4 was seen and 1.2.0 is to come.
fn observed(rig: &Rig) -> Value {
    rig.observed(&["--release", "1.2.0"])
}

const AUTO: &[&str] = &["deploy", "--auto-rollback"];

#[test]
fn a_sick_build_is_gone_back_from_once_if_that_is_wanted() {
    let rig = Rig::image();
    rig.breaks_with("1.2.0");
    rig.fails(&["deploy"], Some(&observed(&rig)), 1, "not-live");
    assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("1.2.0"), "off unless asked for");

    let rig = Rig::image();
    rig.breaks_with("1.2.0");
    let (document, _) = rig.fails(AUTO, Some(&observed(&rig)), 1, "rolled-back");
    assert_eq!((rig.coolify.running(&rig.apps[0]).as_deref(), rig.starts()), (Some("1.1.4"), 2));
    assert_eq!(document["failure"]["acted"], "yes");
    assert!(document["failure"]["message"].as_str().expect("one").contains("1.1.4 runs again"));

    // The way back is as sick: said so, and not tried again.
    let rig = Rig::image();
    let document = observed(&rig);
    let page = |revision: &str| Reply::text(if revision == "start" { 200 } else { 500 }, "text/plain", "x");
    rig.page(page);
    rig.fails(AUTO, Some(&document), 1, "rollback-failed");
    assert_eq!(rig.starts(), 2);
}

#[test]
fn what_is_not_plainly_sick_or_has_not_replaced_the_old_is_left_alone() {
    // The deployment failed: the old build was kept.
    let rig = Rig::image();
    let document = observed(&rig);
    rig.coolify.fail_next_deployment();
    let (document, _) = rig.fails(AUTO, Some(&document), 1, "deployment-failed");
    assert!(document["failure"]["causes"].to_string().contains("answers as 1.1.4"), "{document:#}");
    assert_eq!(rig.starts(), 1);
    // Nobody knows how it is.
    let rig = Rig::image();
    let document = observed(&rig);
    rig.page(|_| Reply::text(403, "text/plain", "no"));
    rig.fails(AUTO, Some(&document), 75, "health-unknown");
    assert_eq!(rig.starts(), 1);
    // The old build still answers.
    let rig = Rig::image();
    let document = observed(&rig);
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.1.4"));
    rig.fails(AUTO, Some(&document), 1, "not-live");
    assert_eq!(rig.starts(), 1);
    // It stalls.
    let rig = Rig::image();
    let document = observed(&rig);
    rig.coolify.stall_next_deployment();
    rig.fails(&[AUTO, &["--stall", "100ms"]].concat(), Some(&document), 75, "deployment-stalled");
    assert_eq!(rig.starts(), 1);
}

#[test]
fn where_nothing_is_kept_running_a_failed_deployment_leaves_doubt() {
    let rig = Rig::image();
    rig.coolify.set(&rig.apps[0], "ports_mappings", json!("3000:3000"));
    rig.coolify.fail_next_deployment();
    let (document, _) =
        rig.fails(&["deploy", "--env", "staging", "--release", "1.2.0"], None, 1, "deployment-failed");
    assert!(document["failure"]["causes"].to_string().contains("stopped first"), "{document:#}");
    rig.fails(&["observe", "--env", "production"], None, 1, "previous-unknown");
}

//! Several applications and servers; what is asked before; the registry; and the word for every failure.

use std::time::Duration;

use crate::support::registry::registry;
use crate::support::{C, DEPLOY, Rig, until};
use serde_json::json;
use step::Exit;
use testkit::http::{Fault, Reply, Server};

#[test]
fn several_are_deployed_together_and_reported_one_by_one() {
    let rig = Rig::several(&["shop", "worker", "admin"]);
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(300));
    let (document, _) = rig.works(DEPLOY, None);
    let applications = document["steps"][0]["output"]["applications"].as_array().expect("a list");
    assert_eq!(applications.len(), 3);
    assert!(
        applications.iter().all(|a| a["status"] == "finished" && a["deployed"] == "1.2.0"),
        "{document:#}"
    );
    assert_eq!(document["facts"]["deployments"].as_array().map(Vec::len), Some(3));
    assert_eq!(rig.starts(), 3, "one for each");
    // One of three fails: two run it, and that is no success.
    let rig = Rig::several(&["shop", "worker", "admin"]);
    rig.coolify.finish_next_deployment();
    rig.coolify.fail_next_deployment();
    let (document, _) = rig.fails(DEPLOY, None, 1, "deployment-failed");
    let failure = &document["failure"];
    assert!(
        failure["message"].as_str().expect("one").starts_with("1 of 3 applications do not run the build"),
        "{failure}"
    );
    assert_eq!(failure["acted"], "yes");
    let states = document["steps"][0]["output"]["applications"].as_array().expect("a list");
    assert_eq!(states.iter().filter(|a| a["status"] == "finished").count(), 2);
    rig.fails(&["observe", "--env", "production"], None, 1, "mixed-builds");
}

#[test]
fn an_application_without_pages_is_as_healthy_as_coolify_says() {
    let rig = Rig::several(&["shop", "worker"]);
    rig.coolify.set(&rig.apps[0], "fqdn", json!(format!("{}", rig.page.url())));
    rig.coolify.say_status(&rig.apps[1], "restarting:unknown");
    let (document, _) = rig.fails(DEPLOY, None, 1, "not-live");
    assert!(
        document["failure"]["causes"].to_string().contains("worker is restarting:unknown"),
        "{document:#}"
    );
}

#[test]
fn a_tag_selects_and_a_limit_guards() {
    let rig = Rig::several(&["shop", "worker", "other"]);
    for app in &rig.apps[..2] {
        rig.coolify.tag(app, "shop");
    }
    rig.settings("!applications\ncoolify_tag = \"shop\"");
    rig.works(DEPLOY, None);
    assert_eq!(rig.coolify.configured(&rig.apps[2]).as_deref(), Some("1.1.4"));
    rig.settings("!applications\ncoolify_tag = \"nobody\"");
    rig.fails(DEPLOY, None, 78, "application");
    rig.settings("!applications\ncoolify_tag = \"shop\"");
    let changes = rig.coolify.server().changes();
    rig.fails(&[DEPLOY, &["--max-targets", "1"]].concat(), None, 1, "too-many-targets");
    // Servers count.
    rig.coolify.extra_servers(&rig.apps[0], 9);
    let (document, _) = rig.fails(DEPLOY, None, 1, "too-many-targets");
    assert!(document["failure"]["message"].as_str().expect("one").contains("11 applications and servers"));
    assert_eq!(rig.coolify.server().changes(), changes);
}

#[test]
fn every_server_of_an_application_is_waited_for() {
    let rig = Rig::image();
    rig.coolify.extra_servers(&rig.apps[0], 2);
    rig.coolify.pace(Duration::from_millis(50), Duration::from_millis(50));
    let (document, _) = rig.works(DEPLOY, None);
    let servers = &document["steps"][0]["output"]["applications"][0]["servers"];
    assert_eq!(servers.as_array().map(Vec::len), Some(2), "{document:#}");
    assert_eq!((rig.starts(), rig.coolify.deployments(&rig.apps[0])), (1, 3));
    let rig = Rig::image();
    rig.coolify.extra_servers(&rig.apps[0], 2);
    for _ in 0..2 {
        rig.coolify.finish_next_deployment();
    }
    rig.coolify.fail_next_deployment();
    let (document, _) = rig.fails(DEPLOY, None, 1, "server-failed");
    assert!(document["failure"]["message"].as_str().expect("one").contains("server-"), "{document:#}");
}

#[test]
fn many_keep_coolifys_limit_of_requests() {
    let names: Vec<String> = (0..6).map(|n| format!("app{n}")).collect();
    let rig = Rig::several(&names.iter().map(String::as_str).collect::<Vec<_>>());
    rig.coolify.rate_limit(200);
    let (_, stderr) = rig.works(DEPLOY, None);
    assert!(stderr.contains("so that Coolify's limit of requests is kept"), "{stderr}");
}

#[test]
fn status_tells_where_a_rollback_would_go() {
    let rig = Rig::git();
    let (code, value, _) = rig.asks(&["--env", "production"]);
    assert_eq!((code, value["applications"][0]["rollback_to"].as_str()), (0, Some(crate::support::A)));
    let text = rig.command(&["--env", "production"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("a push to main deploys it") && text.contains("a rollback would go to aaaa"),
        "{text}"
    );
    assert!(!text.contains(testkit::coolify::CANARY));
}

#[test]
fn an_image_that_is_not_there_yet_is_waited_for() {
    let rig = Rig::image();
    let registry = registry(None);
    rig.settings(&format!("registry = \"{}\"", registry.server.url()));
    rig.fails(&[DEPLOY, &["--timeout", "500ms"]].concat(), None, 75, "image-missing");
    assert_eq!(rig.coolify.server().changes(), 0);
    let child = rig.spawn(DEPLOY);
    let before = registry.server.log().len();
    until("questions", || registry.server.log().len() > before + 2);
    registry.put("1.2.0", "sha256:aa");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(0));
    // What is gone does not come back: a rollback does not wait.
    rig.fails(&["rollback", "--env", "production"], None, 1, "image-gone");
}

#[test]
fn a_candidate_and_its_final_are_one_image() {
    let rig = Rig::image();
    let registry = registry(Some("rilis"));
    registry.put("1.2.0", "sha256:aa");
    registry.put("v1.2.0-rc1", "sha256:aa");
    registry.put("1.1.9", "sha256:bb");
    let password = rig.write("password", "canary-registry-password\n");
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("private");
    rig.settings(&format!(
        "registry = \"{}\"\nregistry_user = \"rilis\"\nregistry_password_file = \"password\"",
        registry.server.url()
    ));
    // The image calls itself by its candidate's name.
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0-rc1"));
    let (_, stderr) = rig.works(DEPLOY, None);
    assert!(!stderr.contains("canary-registry"), "{stderr}");
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.1.9"));
    rig.fails(&["deploy", "--env", "staging", "--release", "1.2.0"], None, 1, "not-live");
}

#[test]
fn a_registry_that_does_not_let_us_look_is_a_setting_to_mend() {
    let rig = Rig::image();
    let registry = registry(Some("rilis"));
    rig.settings(&format!("registry = \"{}\"", registry.server.url()));
    rig.fails(DEPLOY, None, 78, "registry-access");
    assert_eq!(rig.coolify.server().changes(), 0);
    // One that is not there is no reason not to plan, and none to deploy.
    let closed = Server::start(|_| Reply::text(200, "text/plain", "")).url();
    rig.settings(&format!("registry = \"{closed}\""));
    let (_, stderr) = rig.works(&[DEPLOY, &["--plan"]].concat(), None);
    assert!(stderr.contains("cannot be asked"), "{stderr}");
    rig.fails(&[DEPLOY, &["--timeout", "500ms"]].concat(), None, 75, "registry-unreachable");
    assert_eq!(rig.coolify.server().changes(), 0);
}

#[test]
fn each_answer_of_coolifys_has_its_word_and_its_code() {
    for (status, body, code, reason, remedy) in [
        (401, json!({ "message": "Unauthenticated." }), 78, "token", "expired"),
        (403, json!({ "success": true, "message": "API is disabled." }), 78, "token-ability", "API Access"),
        (
            403,
            json!({ "success": true, "message": "You are not allowed to access the API." }),
            78,
            "token-ability",
            "allowed ones",
        ),
        (
            403,
            json!({ "message": "Missing required permissions: read" }),
            78,
            "token-ability",
            "ability read",
        ),
        (
            404,
            json!({ "message": "Not found.", "docs": "https://coolify.io/docs" }),
            1,
            "not-found",
            "Not found",
        ),
        (404, json!({ "message": "Application not found." }), 78, "application", "no application"),
        (
            422,
            json!({ "message": "Validation failed.", "errors": { "take": "no" } }),
            1,
            "rejected",
            "take: no",
        ),
        (301, json!({}), 78, "url", "https"),
    ] {
        let rig = Rig::image();
        rig.coolify.server().fault(
            "GET",
            "/api/v1/applications",
            9,
            Fault::Answer(Reply::json(status, body)),
        );
        let (_, stderr) = rig.fails(DEPLOY, None, code, reason);
        assert!(stderr.contains(remedy), "{status}: {stderr}");
        assert_eq!(rig.coolify.server().changes(), 0);
    }
}

#[test]
fn what_is_no_answer_is_none() {
    // A redirect of what changes something is never followed.
    let rig = Rig::image();
    let moved = Reply::text(301, "text/html", "").with("Location", "https://elsewhere.example/");
    rig.coolify.server().fault("PATCH", "/api/v1/applications", 1, Fault::Answer(moved));
    rig.fails(DEPLOY, None, 78, "url");
    assert_eq!(
        rig.coolify.server().count("GET", "/api/v1/deploy")
            - rig.coolify.server().count("GET", "/api/v1/deployments"),
        0
    );
    // Neither HTML nor half a body is an answer.
    for fault in [Fault::Answer(Reply::text(200, "text/html", "<html>")), Fault::DropBefore] {
        let rig = Rig::image();
        rig.coolify.server().fault("GET", "/api/v1/applications", 99, fault);
        let (code, document, _) = rig.run(&[DEPLOY, &["--timeout", "1s"]].concat(), None);
        let reason = document["failure"]["reason"].as_str().expect("a reason").to_owned();
        assert!(
            code == 75 && matches!(reason.as_str(), "answer" | "coolify-unreachable" | "deadline"),
            "{reason}"
        );
    }
}

#[test]
fn two_builds_for_two_images_of_one_release() {
    let rig = Rig::image();
    let worker = rig.coolify.application("worker", "registry.luxima.id/worker", "1.1.4");
    rig.settings(&format!(
        "applications = [\"{}\", \"{worker}\"]\nimage = [\"registry.luxima.id/shop:{{version}}\", \"registry.luxima.id/worker:{{version}}\"]",
        rig.apps[0]
    ));
    let observed = rig.observed(&["--release", "1.2.0"]);
    let (document, _) = rig.works(&["deploy"], Some(&observed));
    assert_eq!(rig.coolify.running(&worker).as_deref(), Some("1.2.0"));
    assert_eq!(document["facts"]["image"], "registry.luxima.id/shop:1.2.0");
    rig.works(&["rollback", "--env", "production"], None);
    assert_eq!(rig.coolify.running(&worker).as_deref(), Some("1.1.4"));
    // An application of another image than any of these is none of ours.
    let rig = Rig::several(&["shop"]);
    rig.settings("image = \"registry.luxima.id/other:{version}\"");
    rig.fails(DEPLOY, None, 1, "image-name");
    rig.settings("image = \"registry.luxima.id/shop:{commit}\"");
    rig.fails(DEPLOY, None, 1, "fact-missing");
    rig.works(&[DEPLOY, &["--image", "registry.luxima.id/shop:1.2.0"]].concat(), None);
    let (document, _) = rig.works(&["deploy", "--env", "staging", "--commit", C], None);
    assert_eq!(document["facts"]["image"], format!("registry.luxima.id/shop:{C}"));
}

#[test]
fn what_coolify_took_and_did_not_write_is_not_deployed() {
    let rig = Rig::image();
    let taken = Reply::json(200, json!({ "uuid": rig.apps[0] }));
    rig.coolify.server().fault("PATCH", "/api/v1/applications", 1, Fault::Answer(taken));
    let (document, _) = rig.fails(DEPLOY, None, 1, "not-written");
    let message = document["failure"]["message"].as_str().expect("one");
    assert!(message.contains("1.1.4, although 1.2.0 was written"), "{message}");
    assert_eq!(rig.starts(), 0, "another build would have been deployed");
}

#[test]
fn what_is_no_registry_is_a_setting_to_mend() {
    let rig = Rig::image();
    let page = Server::start(|_| Reply::text(418, "text/html", "a teapot"));
    rig.settings(&format!("registry = \"{}\"", page.url()));
    let (document, _) = rig.fails(DEPLOY, None, 78, "registry");
    assert!(document["failure"]["message"].to_string().contains("is it a registry?"), "{document:#}");
    assert_eq!(rig.coolify.server().changes(), 0);
}

#[test]
fn a_machine_without_certificates_is_told_so() {
    let rig = Rig::image();
    let mut command = rig.command(DEPLOY);
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/nowhere");
    let (code, document, stderr) = testkit::exchange(&mut command, None);
    assert_eq!(
        (code, document["failure"]["reason"].as_str()),
        (Exit::Config as i32, Some("tls")),
        "{stderr}"
    );
    assert!(stderr.contains("ca-certificates"), "{stderr}");
}

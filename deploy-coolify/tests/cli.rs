//! The real binary against the stand-in Coolify, a real shop, its database and its edge.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Sandbox;
use testkit::http::{Fault, Reply};

/// A sandbox in which 1.2.0 is tagged, so that its image exists.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    sandbox.remote.git(&["tag", "v1.2.0", "staging"]);
    sandbox
}

fn run(sandbox: &Sandbox, args: &[&str], stdin: Option<&Value>) -> (i32, Value, String) {
    testkit::exchange(sandbox.command(env!("CARGO_BIN_EXE_deploy-coolify")).args(args), stdin)
}

const DEPLOY: &[&str] = &["deploy", "--env", "production", "--release", "1.2.0"];

/// What `observe` has written: the document before anything changes.
fn observed(sandbox: &Sandbox) -> Value {
    let (code, document, stderr) =
        run(sandbox, &["observe", "--env", "production", "--release", "1.2.0"], None);
    assert_eq!(code, 0, "{stderr}");
    document
}

#[test]
fn what_runs_is_observed_deployed_over_and_gone_back_to() {
    let sandbox = sandbox();
    let app = sandbox.production.application.clone();
    let before = observed(&sandbox);
    assert_eq!(before["facts"]["previous"]["image"], "registry.luxima.id/aceh-commerce:1.1.4");
    assert_eq!(sandbox.coolify.server().changes(), 0, "observing changes nothing");

    let (code, after, stderr) = run(&sandbox, DEPLOY, Some(&before));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(after["facts"]["live"], "1.2.0");
    assert_eq!(after["steps"][1]["status"], "changed");
    assert_eq!(
        (sandbox.coolify.running(&app).as_deref(), sandbox.coolify.deployments(&app)),
        (Some("1.2.0"), 1)
    );

    // The same document again, as after a kill: its own effect is found.
    let (code, again, _) = run(&sandbox, DEPLOY, Some(&before));
    assert_eq!((code, again["steps"][1]["status"].as_str()), (0, Some("unchanged")));
    assert_eq!(again["facts"], after["facts"]);
    assert_eq!(sandbox.coolify.deployments(&app), 1);

    let file = sandbox.root().join("release.json");
    std::fs::write(&file, after.to_string()).expect("written");
    let of = file.display().to_string();
    let (code, back, stderr) =
        run(&sandbox, &["observe", "--rollback", "--of", &of, "--env", "production"], None);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(back["procedure"], "rollback");
    assert_eq!(back["facts"]["version"], "1.1.4");
    assert_eq!(back["facts"]["replaces"]["version"], "1.2.0");
    assert_eq!(back["facts"]["replaces"]["run"], after["id"]);
    assert_eq!(back["facts"]["incident_at"], back["facts"]["replaces"]["deployed_at"]);
    let (code, done, stderr) = run(&sandbox, &["rollback"], Some(&back));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        (done["facts"]["live"].as_str(), sandbox.coolify.running(&app).as_deref()),
        (Some("1.1.4"), Some("1.1.4"))
    );
}

#[test]
fn by_hand_a_rollback_takes_the_build_before_from_the_history() {
    let sandbox = sandbox();
    run(&sandbox, DEPLOY, Some(&observed(&sandbox)));
    let (code, document, stderr) = run(&sandbox, &["rollback", "--env", "production"], None);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(document["facts"]["replaces"]["version"], "1.2.0");
    assert_eq!(sandbox.coolify.running(&sandbox.production.application).as_deref(), Some("1.1.4"));
    // Now 1.1.4 is at the bottom of the stack: there is nothing before it.
    let (code, document, _) = run(&sandbox, &["rollback", "--env", "production"], None);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("no-target")));
}

#[test]
fn production_is_not_touched_without_a_way_back() {
    let sandbox = sandbox();
    let (code, document, _) = run(&sandbox, DEPLOY, None);
    assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("no-previous")));
    assert_eq!(sandbox.coolify.server().changes(), 0);
    let (code, document, stderr) =
        run(&sandbox, &[DEPLOY, &["--no-previous", "first deployment"]].concat(), None);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(document["steps"][0]["output"]["no_previous"], "first deployment");
}

#[test]
fn a_plan_changes_nothing_and_says_what_would_be() {
    let sandbox = sandbox();
    let (code, document, stderr) = run(&sandbox, &[DEPLOY, &["--plan"]].concat(), Some(&observed(&sandbox)));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sandbox.coolify.server().changes(), 0);
    assert_eq!(document["steps"][1]["status"], "planned");
    assert_eq!(document["steps"][1]["planned_facts"], json!(["image", "live"]));
}

#[test]
fn a_lost_answer_is_looked_for_and_never_asked_again() {
    for fault in [Fault::DropAfter, Fault::Answer(Reply::text(502, "text/html", "<h1>Bad Gateway</h1>"))] {
        let sandbox = sandbox();
        let acts = matches!(fault, Fault::DropAfter);
        sandbox.coolify.server().fault("POST", "/api/v1/deploy", 1, fault);
        let (code, document, stderr) = run(&sandbox, DEPLOY, Some(&observed(&sandbox)));
        assert_eq!(sandbox.coolify.server().count("POST", "/api/v1/deploy"), 1, "{stderr}");
        if acts {
            assert_eq!(code, 0, "{stderr}");
        } else {
            assert_eq!((code, document["failure"]["acted"].as_str()), (75, Some("unknown")), "{stderr}");
        }
    }
}

#[test]
fn a_failed_deployment_is_told_with_its_last_lines() {
    let sandbox = sandbox();
    sandbox.coolify.fail_next_deployment();
    let (code, document, _) = run(&sandbox, DEPLOY, Some(&observed(&sandbox)));
    let failure = &document["failure"];
    assert_eq!(
        (code, failure["reason"].as_str(), failure["acted"].as_str()),
        (1, Some("deployment-failed"), Some("yes"))
    );
    assert!(failure["causes"].to_string().contains("exit code 1"), "{failure}");
    assert!(!failure["causes"].to_string().contains("docker pull"), "hidden lines stay hidden");
    assert_eq!(document["facts"].get("live"), None);
}

#[test]
fn a_deployment_that_never_ends_is_left_and_then_adopted() {
    let sandbox = sandbox();
    sandbox.coolify.stall_next_deployment();
    let before = observed(&sandbox);
    let (code, document, _) = run(&sandbox, &[DEPLOY, &["--timeout", "1s"]].concat(), Some(&before));
    let failure = &document["failure"];
    assert_eq!(
        (code, failure["reason"].as_str(), failure["acted"].as_str()),
        (75, Some("deployment-timeout"), Some("unknown"))
    );
    let next = failure["next"].as_str().expect("a command");
    assert!(next.starts_with("deploy-coolify attach --env production --deployment dep"), "{next}");
    run(&sandbox, &[DEPLOY, &["--timeout", "1s"]].concat(), Some(&before));
    assert_eq!(
        sandbox.coolify.deployments(&sandbox.production.application),
        1,
        "the second run follows the first one's"
    );
}

#[test]
fn a_build_that_does_not_answer_is_not_live_whatever_coolify_says() {
    let sandbox = sandbox();
    sandbox.prepare_bad_release("1.3.0");
    sandbox.remote.git(&["tag", "v1.3.0", "main"]);
    let args = ["deploy", "--env", "production", "--release", "1.3.0", "--no-previous", "test"];
    let (code, document, _) = run(&sandbox, &args, None);
    let failure = &document["failure"];
    assert_eq!(
        (code, failure["reason"].as_str(), failure["acted"].as_str()),
        (1, Some("not-live"), Some("yes"))
    );
    assert!(failure["causes"].to_string().contains("HTTP 500"), "{failure}");
    assert_eq!(document["facts"].get("live"), None);
    assert_eq!(document["facts"]["deployments"].as_array().map(Vec::len), Some(1));
}

#[test]
fn refusals_of_coolify_are_settings_to_mend() {
    let sandbox = sandbox();
    sandbox.coolify.token("17|canary-coolify-Zk3vN8pQ", &["read"]);
    let (code, document, stderr) = run(&sandbox, DEPLOY, Some(&observed(&sandbox)));
    assert_eq!((code, document["failure"]["reason"].as_str()), (78, Some("token-ability")));
    assert!(stderr.contains("Missing required permissions: write"), "{stderr}");
    sandbox.coolify.server().fault(
        "GET",
        "/api/v1/",
        9,
        Fault::Answer(Reply::json(401, json!({ "message": "Unauthenticated." }))),
    );
    let (code, document, _) = run(&sandbox, &["observe", "--env", "production"], None);
    assert_eq!((code, document["failure"]["reason"].as_str()), (78, Some("token")));
}

#[test]
fn what_fails_for_a_moment_is_asked_again() {
    let sandbox = sandbox();
    let gone = Reply::text(404, "text/plain", "404 page not found");
    sandbox.coolify.server().fault("GET", "/api/v1/applications", 2, Fault::Answer(gone));
    let full = Reply::json(429, json!({ "message": "Deployment queue is full." })).with("Retry-After", 1);
    sandbox.coolify.server().fault("POST", "/api/v1/deploy", 1, Fault::Answer(full));
    let (code, _, stderr) = run(&sandbox, DEPLOY, Some(&observed(&sandbox)));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sandbox.coolify.deployments(&sandbox.production.application), 1);
}

#[test]
fn a_signal_while_waiting_hands_the_document_on() {
    let sandbox = sandbox();
    sandbox.coolify.stall_next_deployment();
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_deploy-coolify"));
    command.args(DEPLOY).args(["--no-previous", "test"]).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while sandbox.coolify.deployments(&sandbox.production.application) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let failure = &document["failure"];
    assert_eq!((output.status.code(), failure["reason"].as_str()), (Some(143), Some("interrupted")));
    assert_eq!(failure["acted"], "unknown");
}

#[test]
fn status_and_check_say_where_things_stand() {
    let sandbox = sandbox();
    let ask = |args: &[&str]| {
        let output =
            sandbox.command(env!("CARGO_BIN_EXE_deploy-coolify")).args(args).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let status = ask(&["--env", "production"]);
    assert!(
        status.contains("configured registry.luxima.id/aceh-commerce:1.1.4")
            && status.contains("answers as 1.1.4"),
        "{status}"
    );
    assert!(ask(&["--check", "--env", "production"]).contains("Coolify 4.3.11"));
    let json: Value = serde_json::from_str(&ask(&["status", "--env", "production", "--json"])).expect("JSON");
    assert_eq!(json["applications"][0]["tag"], "1.1.4");
}

//! The real binary against the stand-in Coolify, a real shop, its database and its edge.

use serde_json::Value;
use testkit::Sandbox;

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
fn a_build_that_does_not_answer_is_not_live_whatever_coolify_says() {
    let sandbox = sandbox();
    sandbox.prepare_bad_release("1.3.0");
    sandbox.remote.git(&["tag", "v1.3.0", "main"]);
    assert_eq!(observed(&sandbox)["facts"]["previous"].get("trouble"), None, "what runs works");
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
    // Whoever releases over it is told what a rollback would lead to.
    let previous = observed(&sandbox)["facts"]["previous"].clone();
    assert!(previous["trouble"].to_string().contains("HTTP 500"), "{previous}");
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

#[test]
fn a_rollback_that_somebody_else_has_begun_must_say_what_coolify_says() {
    let sandbox = sandbox();
    let (code, after, stderr) = run(&sandbox, DEPLOY, Some(&observed(&sandbox)));
    assert_eq!(code, 0, "{stderr}");
    let file = sandbox.root().join("release.json");
    std::fs::write(&file, after.to_string()).expect("written");
    let args = ["observe", "--rollback", "--env", "production"];
    let of = file.display().to_string();
    let (code, back, stderr) = run(&sandbox, &[&args[..], &["--of", &of]].concat(), None);
    assert_eq!(code, 0, "{stderr}");
    let gone_on = |change: &dyn Fn(&mut Value), more: &[&str]| {
        let mut planted = back.clone();
        change(&mut planted["facts"]);
        let (code, said, stderr) =
            run(&sandbox, &[&args[..], &["--elsewhere"], more].concat(), Some(&planted));
        (code, said["failure"]["reason"].as_str().unwrap_or_default().to_owned(), stderr)
    };
    let (code, _, stderr) = gone_on(&|_| {}, &[]);
    assert!(code == 0 && stderr.contains("still back to"), "{stderr}");
    let earlier = "2026-01-01T00:00:00Z";
    let refused: [&dyn Fn(&mut Value); 4] = [
        // Another build than what ran before, another repository's, another beginning, another time since which the data is wrong.
        &|facts| facts["image"] = "registry.luxima.id/aceh-commerce:1.0.0".into(),
        &|facts| facts["image"] = "evil.example/aceh-commerce:1.1.4".into(),
        &|facts| {
            facts["replaces"]["deployed_at"] = earlier.into();
            facts["incident_at"] = earlier.into();
        },
        &|facts| facts["incident_at"] = earlier.into(),
    ];
    for (n, change) in refused.into_iter().enumerate() {
        let (code, word, stderr) = gone_on(change, &[]);
        assert_eq!((code, word.as_str()), (1, "which-run"), "{n}: {stderr}");
    }
    // Nobody else has touched what was begun here.
    let own = run(
        &sandbox,
        &args,
        Some(&{
            let mut own = back.clone();
            own["facts"]["incident_at"] = earlier.into();
            own
        }),
    );
    assert_eq!(own.0, 0, "{}", own.2);
    // A person may say so.
    let (code, _, stderr) = gone_on(refused[3], &["--incident-at", earlier]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sandbox.coolify.deployments(&sandbox.production.application), 1, "nothing but the release");
}

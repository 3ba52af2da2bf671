//! What was tested is what ships, through the runbooks; and nobody writes while data goes back.

use std::process::Command;

use crate::story::{Ended, Still, pull, ready, run, sells};
use step::Exit;
use testkit::Sandbox;

fn release(sandbox: &Sandbox, args: &[&str]) -> Ended {
    run(sandbox.runbook("release").args(args).arg("1.2.0"))
}

#[test]
fn crowdstrike_2024_nothing_ships_that_has_not_run_in_staging() {
    let sandbox = ready();
    let (staging, still) = (&sandbox.staging.application, Still::now(&sandbox));
    // QA has gone back to the previous build, or on to the next version.
    sandbox.coolify.history(staging, &["v1.2.0-rc1", "1.1.4"]);
    let (code, said) = release(&sandbox, &[]);
    assert!(code == Some(1) && said.contains("staging runs 1.1.4, which is no candidate of 1.2.0"), "{said}");
    still.holds();
    // It is there, but has not run for long enough.
    sandbox.coolify.history(staging, &["1.1.4", "v1.2.0-rc1"]);
    let (code, said) = run(sandbox.runbook("release").arg("1.2.0").env("RILIS_DEPLOY_COOLIFY_SOAK", "48h"));
    assert!(code == Some(Exit::Temporary as i32) && said.contains("have to run 2d: try again in"), "{said}");
    still.holds();
    let (code, said) = release(&sandbox, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the same image is released"), "{said}");
    sells(&sandbox, "1.2.0");
}

#[test]
fn what_was_tested_must_be_the_last_candidate() {
    let sandbox = ready();
    sandbox.remote.git(&["tag", "v1.2.0-rc2", "refs/heads/main"]);
    let still = Still::now(&sandbox);
    let (code, said) = release(&sandbox, &[]);
    assert!(
        code == Some(1) && said.contains("staging ran 1.2.0-rc1, but the last candidate is v1.2.0-rc2"),
        "{said}"
    );
    still.holds();
}

#[test]
fn another_build_ships_only_with_a_reason() {
    let sandbox = ready();
    let (code, said) = release(&sandbox, &["--rebuilt", "the base image had a hole"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("released all the same: the base image had a hole"), "{said}");
    assert_eq!(sandbox.page("production", "/api/health").1, "1.2.0");
    let (code, said) = release(&sandbox, &["--rebuilt", ""]);
    assert!(code == Some(2) && said.contains("needs a reason"), "{said}");
}

/// The settings say how writes are stopped: by a command that notes what was said to it.
fn with_writes(sandbox: &Sandbox, stop: &str) {
    let file = sandbox.product_dir().join("release.toml");
    let mut text = std::fs::read_to_string(&file).expect("settings");
    text.push_str(&format!(
        "\n[environment.production.maintenance]\non = [\"sh\", \"-c\", \"{stop}\"]\n\
         off = [\"sh\", \"-c\", \"echo allow >>../writes\"]\n"
    ));
    std::fs::write(&file, text).expect("written");
}

#[test]
fn nobody_writes_from_before_the_restore_until_the_previous_build_runs() {
    let sandbox = ready();
    let (code, said) = release(&sandbox, &[]);
    assert_eq!(code, Some(0), "{said}");
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    let hurry = |command: &mut Command| run(command.env("RILIS_DEPLOY_COOLIFY_HEALTH_TIMEOUT", "50ms"));
    hurry(sandbox.runbook("release").arg("1.3.0"));
    let phrase = sandbox.confirmation();
    let deployments = || sandbox.coolify.deployments(&sandbox.production.application);
    let (before, noted) = (deployments(), sandbox.root().join("writes"));
    // What cannot be stopped is not restored over.
    with_writes(&sandbox, "echo the switch is stuck >&2; exit 3");
    let (code, said) = run(sandbox.runbook("rollback").args(["--confirm", &phrase]));
    assert!(
        code == Some(1) && said.contains("[maintenance] on") && said.contains("the switch is stuck"),
        "{said}"
    );
    assert_eq!((deployments(), sandbox.page("production", "/api/health").0), (before, 500));
    let settings = std::fs::read_to_string(sandbox.product_dir().join("release.toml")).expect("settings");
    let mended = settings
        .replace("echo the switch is stuck >&2; exit 3", "echo stop >>../writes; env >../environment");
    std::fs::write(sandbox.product_dir().join("release.toml"), mended).expect("written");
    let (code, said) = run(sandbox.runbook("rollback").env("COOLIFY_TOKEN", "canary-of-ours"));
    // Nobody has said yes to the loss yet: the decision is open, and writes are stopped.
    assert!(code == Some(1) && said.contains("--confirm"), "{said}");
    assert_eq!(std::fs::read_to_string(&noted).expect("noted"), "stop\n");
    let (code, said) = run(sandbox.runbook("rollback").args(["--confirm", &phrase]));
    assert_eq!(code, Some(0), "{said}");
    // Somebody may have allowed it in between: until the data is back, each attempt stops it.
    assert_eq!(std::fs::read_to_string(noted).expect("noted"), "stop\nstop\nallow\n");
    let seen = std::fs::read_to_string(sandbox.root().join("environment")).expect("noted");
    assert!(!seen.contains("canary-of-ours"), "{seen}");
    assert_eq!(sandbox.page("production", "/api/health").1, "1.2.0-rc1");
}

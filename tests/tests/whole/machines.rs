//! Several people and machines at one incident, some of which die: what each is told is so, and nothing is done twice or lost.

use std::process::Stdio;

use crate::claims::{on, stored};
use crate::story::*;

/// The whole text of the newest message.
fn newest_message(sandbox: &testkit::Sandbox) -> String {
    sandbox.telegram.messages().last().map(|m| m.text.clone()).unwrap_or_default()
}

fn unlocked(sandbox: &testkit::Sandbox, folder: &std::path::Path) {
    let unlock = ["unlock", "--env", "production", "--reason", "the laptop is in the lagoon"];
    succeeds(sandbox.command(testkit::bin("release-run")).args(unlock).current_dir(folder));
}

#[test]
fn a_restore_whose_machine_died_is_told_by_the_one_that_goes_on() {
    let sandbox = broken();
    killed_after(&sandbox, &mut rollback(&sandbox), "db-restore", "restore");
    let budi = machine(&sandbox, "budi");
    unlocked(&sandbox, &budi);
    let said = succeeds(&mut on(&sandbox, &budi, "rollback", &[]));
    assert!(said.contains("holds the data of") && !said.contains("the data stays as it is"), "{said}");
    let message = newest_message(&sandbox);
    assert!(message.contains("kept in shop__old_") && !message.contains("untouched"), "{message}");
    sells(&sandbox, "1.2.0");
    // The first machine comes back: it has nothing to tell, and what it knew is old.
    let messages = told(&sandbox).len();
    let (_, said) = run(&mut sandbox.runbook("rollback"));
    assert_eq!(told(&sandbox).len(), messages, "{said}");
}

#[test]
fn who_waited_for_the_lock_looks_again_at_what_is_to_be_done() {
    let sandbox = broken();
    let budi = machine(&sandbox, "budi");
    let phrase = sandbox.confirmation();
    let start = |folder: &std::path::Path| {
        let mut command = on(&sandbox, folder, "rollback", &["--confirm", &phrase, "--lock-wait", "60s"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let both = [start(&sandbox.product_dir()), start(&budi)];
    let ends: Vec<(Option<i32>, String)> = both
        .into_iter()
        .map(|child| child.wait_with_output().expect("it ends"))
        .map(|o| (o.status.code(), String::from_utf8_lossy(&o.stderr).into_owned()))
        .collect();
    let done = ends.iter().filter(|(_, said)| said.contains("rollback: done: ")).count();
    let refused =
        ends.iter().filter(|(code, said)| *code == Some(1) && said.contains("has rolled back to")).count();
    assert_eq!((done, refused), (1, 1), "{ends:?}");
    let (record, tree) = stored(&sandbox, "production", "rollback");
    assert_eq!(record["state"], "finished");
    assert!(
        sandbox.remote.git(&["ls-tree", "--name-only", &tree]).contains("-restore.json"),
        "nothing was written over"
    );
    assert!(newest_message(&sandbox).contains("rolled back"), "{}", newest_message(&sandbox));
    sells(&sandbox, "1.2.0");
}

#[test]
fn a_rollback_without_the_remote_is_owed_to_it() {
    let sandbox = broken();
    let phrase = sandbox.confirmation();
    let url = sandbox.product.git(&["remote", "get-url", "origin"]);
    sandbox.product.git(&["remote", "set-url", "origin", "/nowhere/origin.git"]);
    let said = succeeds(sandbox.runbook("rollback").args([
        "--confirm",
        &phrase,
        "--no-lock",
        "the code host is down",
    ]));
    assert!(
        said.contains("production is NOT on hold") && said.contains("release-run hold --env production"),
        "{said}"
    );
    assert!(newest_message(&sandbox).contains("production is NOT on hold"), "{}", newest_message(&sandbox));
    sandbox.product.git(&["remote", "set-url", "origin", &url]);
    let said = succeeds(&mut sandbox.runbook("rollback"));
    assert!(said.contains("is stored, and production is on hold"), "{said}");
    let budi = machine(&sandbox, "budi");
    fails(&mut on(&sandbox, &budi, "release", &["1.3.0"]), 1, &["is on hold"]);
    assert_eq!(stored(&sandbox, "production", "rollback").0["state"], "finished");
    sells(&sandbox, "1.2.0");
}

#[test]
fn a_rollback_that_kept_the_data_can_still_bring_it_back() {
    let sandbox = broken();
    let phrase = sandbox.confirmation();
    let (code, said) = run(sandbox.runbook("rollback").args(["--database", "keep", "--although", "a try"]));
    assert!(code.is_some_and(|c| c != 0), "1.2.0 needs the prices: {said}");
    succeeds(sandbox.runbook("rollback").args(["--database", "restore", "--confirm", &phrase]));
    sells(&sandbox, "1.2.0");
    assert!(newest_message(&sandbox).contains("kept in shop__old_"), "{}", newest_message(&sandbox));
}

#[test]
fn a_hold_is_lifted_by_a_release_that_changes_something_and_by_no_other() {
    let sandbox = released();
    let hold = ["hold", "--env", "production", "--reason", "the payment provider is down"];
    succeeds(sandbox.command(testkit::bin("release-run")).args(hold).current_dir(sandbox.product_dir()));
    fails(release(&sandbox, "1.3.9").args(["--lift-hold", "1.3.9 fixes it"]), 1, &[]);
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("on hold") && said.contains("payment provider"), "{said}");
}

#[test]
fn a_plan_is_about_the_run_that_would_be_gone_on_with() {
    let sandbox = broken();
    killed_after(&sandbox, &mut rollback(&sandbox), "deploy-coolify", "rollback");
    let said = succeeds(sandbox.runbook("rollback").arg("-n"));
    assert!(said.contains("without -n this goes on with runs/") && !said.contains("back to 1.1.4"), "{said}");
    assert!(said.contains("still back to"), "{said}");
    succeeds(&mut rollback(&sandbox));
    let said = succeeds(sandbox.runbook("rollback").arg("-n"));
    assert!(
        said.contains("is finished, so that there is nothing to do: this is what --again would do"),
        "{said}"
    );
}

#[test]
fn a_run_that_somebody_has_closed_is_closed_for_the_machine_that_died() {
    let sandbox = broken();
    killed_after(&sandbox, &mut rollback(&sandbox), "release-gate", "data");
    let (record, _) = stored(&sandbox, "production", "rollback");
    let name = record["run"].as_str().expect("a name").to_owned();
    let budi = machine(&sandbox, "budi");
    unlocked(&sandbox, &budi);
    succeeds(&mut on(&sandbox, &budi, "abandon", &[&name, "another way was found"]));
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("abandoned") && !said.contains("stopped after"), "{said}");
    let said = succeeds(&mut rollback(&sandbox));
    assert!(!said.contains("going on with"), "{said}");
    sells(&sandbox, "1.2.0");
}

/// A run that is closed by the machine that it died on gives its lock back.
#[test]
fn a_closed_run_has_no_lock() {
    let sandbox = broken();
    killed_after(&sandbox, &mut rollback(&sandbox), "release-gate", "data");
    let (record, _) = stored(&sandbox, "production", "rollback");
    let name = record["run"].as_str().expect("a name").to_owned();
    succeeds(sandbox.runbook("abandon").args([&name, "another way was found"]));
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("production: nobody is at work"), "{said}");
}

/// Whatever came in between, nobody writes while the data goes back; and customers can again when the right build runs.
#[test]
fn writes_are_stopped_again_by_a_rollback_that_goes_on() {
    let sandbox = broken();
    let file = sandbox.product_dir().join("release.toml");
    let settings = std::fs::read_to_string(&file).expect("settings");
    let switch = "[environment.production.maintenance]\non = ['sh', '-c', 'echo on >>../switch']\noff = ['sh', '-c', 'echo off >>../switch']\n";
    std::fs::write(&file, format!("{settings}\n{switch}")).expect("written");
    // Nobody has said yes to the loss: it stops, and customers cannot write.
    let (code, said) = run(&mut sandbox.runbook("rollback"));
    assert!(code == Some(1) && said.contains("customers cannot write"), "{said}");
    assert!(
        newest_message(&sandbox).contains("Customers cannot write since"),
        "{}",
        newest_message(&sandbox)
    );
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("customers cannot write") && said.contains("next: rilis-rollback"), "{said}");
    assert!(!said.contains("next: maintenance off"), "the run allows it again: {said}");
    // Somebody allows it by hand.
    let off = ["off", "--fresh", "--env", "production"];
    succeeds(sandbox.command(testkit::bin("maintenance")).args(off).current_dir(sandbox.product_dir()));
    succeeds(&mut rollback(&sandbox));
    assert_eq!(std::fs::read_to_string(sandbox.root().join("switch")).expect("noted"), "on\noff\non\noff\n");
    assert!(!newest_message(&sandbox).contains("cannot write"), "{}", newest_message(&sandbox));
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(!said.contains("cannot write"), "{said}");
}

/// The code went back alone, which did not help, and somebody closed the run: what the bad release has done to the data is still there.
#[test]
fn a_rollback_from_what_a_kept_database_cannot_run_goes_no_further_back() {
    let sandbox = broken();
    run(sandbox.runbook("rollback").args(["--database", "keep", "--although", "a try"]));
    let (record, _) = stored(&sandbox, "production", "rollback");
    let name = record["run"].as_str().expect("a name").to_owned();
    succeeds(sandbox.runbook("abandon").args([&name, "it did not help"]));
    let deployments = World::of(&sandbox).deployments;
    let said = fails(&mut rollback(&sandbox), 1, &["which neither of the two builds has"]);
    assert!(!said.contains("the previous build runs on this data"), "{said}");
    assert_eq!(World::of(&sandbox).deployments, deployments, "{said}");
}

//! The gates in the runbooks: a candidate that is red, waived by nobody, then green and approved; and what happens between the yes and the
//! first change.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::conversations::{Far, counts};
use crate::story::{World, document, fails, first_in_path, pull, release, succeeds};
use testkit::Sandbox;

/// Two who may sign: rina releases, budi is QA.
const PEOPLE: [&str; 2] = ["rina", "budi"];
const SETTINGS: &str = "
[release-gate.tests.unit]
command = 'make unit'

[release-gate.roles]
qa = ['budi@luxima.example']

[release-gate.approval]
author = true

[environment.production.release-gate]
approvals = { qa = 1 }
";

fn key(sandbox: &Sandbox, who: &str) -> PathBuf {
    sandbox.root().join("secrets").join(who)
}

/// 1.2.0 waits on staging, and release.toml asks for tests and an approval.
fn asked(more: &str) -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    let mut signers = String::new();
    for who in PEOPLE {
        let path = key(&sandbox, who);
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"];
        assert!(Command::new("ssh-keygen").args(words).arg(&path).status().expect("ssh-keygen").success());
        let public = std::fs::read_to_string(path.with_extension("pub")).expect("a key");
        let public: Vec<&str> = public.split(' ').take(2).collect();
        signers.push_str(&format!("{who}@luxima.example {}\n", public.join(" ")));
    }
    let product = &sandbox.product;
    // Who may sign is on the production branch before anything is released.
    product.git(&["switch", "--quiet", "main"]);
    product.commit(
        "Who may sign",
        &[(".rilis/allowed_signers", &signers), (".rilis/evidence_signers", &signers)],
    );
    product.git(&["push", "--quiet", "origin", "main"]);
    product.git(&["switch", "--quiet", "staging"]);
    product.git(&["merge", "--quiet", "--no-edit", "main"]);
    product.git(&["push", "--quiet", "origin", "staging"]);
    add(&sandbox.product_dir(), &format!("{SETTINGS}{more}"));
    sandbox
}

fn add(product: &Path, text: &str) {
    let path = product.join("release.toml");
    let before = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(path, before + text).expect("written");
}

/// A command with somebody's key.
fn by<'c>(sandbox: &Sandbox, who: &str, command: &'c mut Command) -> &'c mut Command {
    command.env("RILIS_RELEASE_GATE_SIGNING_KEY", key(sandbox, who))
}

/// Tests ran, and so many failed.
fn tested(sandbox: &Sandbox, failed: usize) {
    let status = if failed == 0 { "passed" } else { "failed" };
    let report = format!(
        r#"{{"numTotalTestSuites":1,"numPassedTestSuites":1,"numFailedTestSuites":0,"numPendingTestSuites":0,"numTotalTests":1,"numPassedTests":{},"numFailedTests":{failed},"numPendingTests":0,"numTodoTests":0,"startTime":1,"success":{},"testResults":[{{"assertionResults":[{{"ancestorTitles":[],"fullName":"prices are rounded","status":"{status}","title":"prices are rounded","duration":1,"failureMessages":[],"meta":{{}}}}],"startTime":1,"endTime":2,"status":"{status}","message":"","name":"price.test.js"}}]}}"#,
        1 - failed,
        failed == 0
    );
    let made = sandbox.root().join("made.json");
    std::fs::write(&made, report).expect("written");
    let report = sandbox.root().join("unit.json").display().to_string();
    let script = format!("cp '{}' '{report}'; exit {failed}", made.display());
    let mut command = sandbox.command(testkit::bin("release-gate"));
    command.args(["record", "--as", "unit", "--report", &report, "--", "sh", "-c", &script]);
    let output = by(sandbox, "rina", &mut command).output().expect("it runs");
    assert_eq!(
        output.status.code(),
        i32::try_from(failed).ok(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// QA's candidate is made, and is on main.
fn candidate(sandbox: &Sandbox) {
    succeeds(sandbox.runbook("candidate").arg("1.2.0"));
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    pull(sandbox);
}

fn approve(sandbox: &Sandbox) {
    let mut command = sandbox.runbook("approve");
    command.args(["--confirm", "v1.2.0-rc1", "v1.2.0-rc1"]);
    let said = succeeds(by(sandbox, "budi", &mut command));
    assert!(said.contains("budi@luxima.example approves v1.2.0-rc1 as qa"), "{said}");
}

#[test]
fn what_is_red_is_no_candidate_and_what_nobody_has_approved_is_not_released() {
    let sandbox = asked("");
    let before = World::of(&sandbox);
    let mut command = sandbox.runbook("candidate");
    fails(
        command.arg("1.2.0"),
        1,
        &["tests: unknown: unit: there is no record of it; run `make unit` on this tree"],
    );
    tested(&sandbox, 1);
    fails(
        sandbox.runbook("candidate").arg("1.2.0"),
        1,
        &["tests: no: unit: 1 of 1 failed, such as prices are rounded"],
    );
    assert_eq!(World::of(&sandbox), before);
    tested(&sandbox, 0);
    candidate(&sandbox);
    let mut command = release(&sandbox, "1.2.0");
    let said = fails(
        by(&sandbox, "rina", &mut command),
        1,
        &[
            "gates: on tests, approval; off ci, checklist, window, cluster",
            "v1.2.0-rc1 is approved by too few: 1 of qa missing",
            "rilis-approve v1.2.0-rc1",
        ],
    );
    assert!(!said.contains("db-restore"), "nothing was begun: {said}");
    approve(&sandbox);
    let mut command = release(&sandbox, "1.2.0");
    let said = succeeds(by(&sandbox, "rina", &mut command));
    assert!(said.contains("asked once more: approval yes"), "{said}");
    assert_eq!(World::of(&sandbox).edge, (200, "1.2.0-rc1".to_owned()));
    let facts = &document(&sandbox, "-release-")["facts"];
    assert_eq!((&facts["tests"]["verdict"], &facts["approval"]["verdict"]), (&"yes".into(), &"yes".into()));
    let head = facts["approval"]["details"]["head"].as_str().expect("a head");
    let tag = sandbox.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0"]);
    assert!(tag.contains(&format!("Rilis-Approvals: {head}")) && !tag.contains("Rilis-Waived"), "{tag}");
}

#[test]
fn what_is_waived_is_told_and_owed_until_it_is_paid() {
    let sandbox = asked("");
    tested(&sandbox, 0);
    candidate(&sandbox);
    let mut command = sandbox.runbook("release");
    fails(
        command.args(["--waive", "qa=QA is ill", "1.2.0"]),
        2,
        &["there is no gate qa; the gates are ci, tests"],
    );
    let mut command = release(&sandbox, "1.2.0");
    let said = succeeds(by(&sandbox, "rina", command.args(["--waive", "approval=QA is ill, & 'we' agreed"])));
    assert!(
        said.contains("Rina Wijaya <rina@luxima.example> goes on all the same: QA is ill, & 'we' agreed"),
        "{said}"
    );
    let tag = sandbox.remote.git(&["tag", "--list", "--format=%(contents)", "v1.2.0"]);
    assert!(
        tag.contains("Rilis-Waived: approval (unknown), Rina Wijaya <rina@luxima.example>: QA is ill"),
        "{tag}"
    );
    let told = sandbox.telegram.messages();
    let told = &told.last().expect("a message").text;
    assert!(
        told.contains("approval did not say yes (unknown); Rina Wijaya went on all the same: QA is ill"),
        "{told}"
    );
    let status = succeeds(&mut sandbox.runbook("status"));
    assert!(status.contains(" owes approval"), "{status}");
    let run = status
        .split_whitespace()
        .find(|word| word.contains("-release-production-1.2.0"))
        .expect("a run")
        .trim_end_matches(':')
        .to_owned();
    let paid = |item: &str| {
        let mut command = sandbox.command(testkit::bin("release-run"));
        command.args(["paid", &run, item, "budi has looked at it on Monday"]);
        command
    };
    fails(&mut paid("soak"), 2, &["does not owe soak; it owes approval"]);
    assert!(succeeds(&mut paid("approval")).contains("nothing is owed any more"));
    fails(&mut paid("approval"), 2, &["it owes nothing"]);
    assert!(!succeeds(&mut sandbox.runbook("status")).contains(" owes "));
}

#[test]
fn a_window_that_closes_meanwhile_stops_the_first_change() {
    let sandbox =
        asked("\n[release-gate.window]\nfreeze = ['2031-12-24..2031-12-26']\ntimezone = 'Asia/Jakarta'\n");
    tested(&sandbox, 0);
    candidate(&sandbox);
    approve(&sandbox);
    let before = World::of(&sandbox);
    let mut command = release(&sandbox, "1.2.0");
    by(&sandbox, "rina", &mut command);
    // Behind the tag the calendar says otherwise.
    let closes = "[ \"${1-}\" != final ] || sed -i \"s/2031-12-24..2031/2001-12-24..2031/\" release.toml\nexec \"$real\" \"$@\"";
    first_in_path(&sandbox, &mut command, "tag-rc", closes);
    fails(&mut command, 1, &["window: no", "2001-12-24..2031"]);
    let after = World::of(&sandbox);
    assert_eq!((after.edge, after.deployments), (before.edge, before.deployments));
    // A fix is never stopped by it, nor is a rollback; when it opens, the same run goes on.
    let path = sandbox.product_dir().join("release.toml");
    let text = std::fs::read_to_string(&path).expect("settings").replace("2001-12-24", "2031-12-24");
    std::fs::write(&path, text).expect("written");
    let mut command = release(&sandbox, "1.2.0");
    succeeds(by(&sandbox, "rina", &mut command));
    assert_eq!(World::of(&sandbox).edge, (200, "1.2.0-rc1".to_owned()));
}

#[test]
fn a_plan_asks_the_gates_and_changes_nothing() {
    let sandbox = asked("");
    tested(&sandbox, 0);
    candidate(&sandbox);
    let refs = sandbox.remote.git(&["for-each-ref"]);
    let mut command = sandbox.runbook("release");
    by(&sandbox, "rina", command.args(["-n", "1.2.0"]));
    fails(&mut command, 1, &["v1.2.0-rc1 is approved by too few"]);
    approve(&sandbox);
    let mut command = sandbox.runbook("release");
    succeeds(by(&sandbox, "rina", command.args(["-n", "1.2.0"])));
    assert_ne!(sandbox.remote.git(&["for-each-ref"]), refs, "the approval");
    let refs = sandbox.remote.git(&["for-each-ref"]);
    let mut command = sandbox.runbook("release");
    succeeds(by(&sandbox, "rina", command.args(["-n", "1.2.0"])));
    assert_eq!(sandbox.remote.git(&["for-each-ref"]), refs);
}

#[test]
fn gates_ask_the_code_host_once_and_once_more_before_the_first_change() {
    let sandbox = asked("");
    tested(&sandbox, 0);
    let far = Far::away(&sandbox);
    counts(&far, "candidate", 9, sandbox.runbook("candidate").arg("1.2.0"));
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    pull(&sandbox);
    approve(&sandbox);
    let mut command = release(&sandbox, "1.2.0");
    counts(&far, "release", 10, by(&sandbox, "rina", &mut command));
}

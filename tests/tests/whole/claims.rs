//! What another machine has written down on the remote, or whoever may push there: believed as far as the outside says the same.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::Sandbox;

use crate::story::*;

const RUNS: &str = "refs/rilis/v2/aceh-commerce";

/// The newest run of a procedure on the remote: its record, and the tree with its documents.
pub fn stored(sandbox: &Sandbox, environment: &str, procedure: &str) -> (Value, String) {
    let pattern = format!("{RUNS}/{environment}/run");
    let names = sandbox.remote.git(&["for-each-ref", "--format=%(refname)", &pattern]);
    let name = names.lines().rfind(|name| name.contains(&format!("-{procedure}-"))).expect("a run");
    let message = sandbox.remote.git(&["log", "-1", "--format=%B", name]);
    let record = message.lines().find_map(|line| serde_json::from_str(line).ok()).expect("a record");
    (record, sandbox.remote.git(&["rev-parse", &format!("{name}^{{tree}}")]))
}

/// Somebody who may push writes a run, as if a machine had opened it just now.
pub fn plant(sandbox: &Sandbox, (record, tree): (Value, String), edit: impl Fn(&mut Value)) {
    let opened = minutes_ago(0);
    let mut record = record;
    let key = record["key"].as_str().expect("a key").to_owned();
    edit(&mut record);
    let key = record["key"].as_str().map_or(key, str::to_owned);
    let run =
        format!("{}-fff{}-{key}", opened.strftime("%Y%m%dT%H%M%SZ"), u8::from(record["state"] == "open"));
    record["run"] = json!(run);
    record["opened"] = json!(opened.to_string());
    record["holder"] = json!({ "name": "Rina Wijaya <rina@luxima.example>", "host": "laptop" });
    write(sandbox, &record, &tree);
}

/// Somebody who may push puts a record and documents where a run of this name lies.
pub fn write(sandbox: &Sandbox, record: &Value, tree: &str) {
    let message = format!("run\n\n{record}\n");
    sandbox.remote.git(&["config", "user.name", "Rina Wijaya"]);
    sandbox.remote.git(&["config", "user.email", "rina@luxima.example"]);
    let commit = sandbox.remote.git(&["commit-tree", tree, "-m", &message]);
    let word = |key: &str| record[key].as_str().expect("a word").to_owned();
    sandbox.remote.git(&[
        "update-ref",
        &format!("{RUNS}/{}/run/{}", word("environment"), word("run")),
        &commit,
    ]);
}

/// A folder of documents in which one is another, or one more is.
fn with_file(sandbox: &Sandbox, tree: &str, name: &str, blob: &str) -> String {
    let lines = sandbox.remote.git(&["ls-tree", tree]);
    let other = |line: &str| match line.split_once('\t') {
        Some((_, this)) if this == name => format!("100644 blob {blob}\t{name}\n"),
        _ => format!("{line}\n"),
    };
    let mut input: String = lines.lines().map(other).collect();
    if !input.contains(&format!("\t{name}\n")) {
        input.push_str(&format!("100644 blob {blob}\t{name}\n"));
    }
    let mut command = Command::new("git");
    command.arg("-C").arg(sandbox.remote.path()).arg("mktree").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("git runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn on(sandbox: &Sandbox, folder: &Path, name: &str, words: &[&str]) -> Command {
    let mut command = sandbox.runbook(name);
    command.args(words).current_dir(folder);
    command
}

pub fn snapshots(sandbox: &Sandbox) -> usize {
    let folder = sandbox.root().join("snapshots/production");
    std::fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .filter(|e| e.path().join("manifest.json").is_file())
        .count()
}

#[test]
fn what_another_machine_has_finished_is_looked_at() {
    let sandbox = released();
    let budi = machine(&sandbox, "budi");
    let before = World::of(&sandbox);
    let said = succeeds(&mut on(&sandbox, &budi, "release", &["1.2.0"]));
    assert!(said.contains("was finished by") && said.contains("nothing to do"), "{said}");
    assert_eq!((World::of(&sandbox), told(&sandbox).len()), (before, 1));
    succeeds(&mut rollback(&sandbox));
    let said = fails(
        &mut on(&sandbox, &budi, "rollback", &[]),
        1,
        &["has rolled back to", "rilis-status", "--again"],
    );
    assert!(!said.contains("nothing to do"), "{said}");
    sells(&sandbox, "1.1.4");
}

#[test]
fn a_planted_run_that_is_finished_is_no_release_and_no_candidate() {
    let sandbox = released();
    let real = stored(&sandbox, "production", "release");
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    let head = sandbox.product.git(&["rev-parse", "HEAD"])[..12].to_owned();
    let before = World::of(&sandbox);
    for (procedure, environment, version) in
        [("release", "production", "1.3.0"), ("candidate", "staging", "1.3.1")]
    {
        plant(&sandbox, real.clone(), |record| {
            record["procedure"] = json!(procedure);
            record["environment"] = json!(environment);
            record["key"] = json!(format!("{procedure}-{environment}-{version}-{head}"));
            record["version"] = json!(version);
        });
        let said =
            fails(sandbox.runbook(procedure).arg(version), 1, &["says that", "is finished", "--again"]);
        assert!(!said.contains("nothing to do ("), "{said}");
    }
    assert_eq!(World::of(&sandbox), before);
}

#[test]
fn a_planted_rollback_that_is_finished_stops_nobody() {
    let sandbox = released();
    succeeds(&mut rollback(&sandbox));
    let real = stored(&sandbox, "production", "rollback");
    succeeds(release(&sandbox, "1.2.0").args(["--again", "--lift-hold", "it was the network"]));
    plant(&sandbox, real, |record| {
        let now = minutes_ago(0).to_string();
        record["updated"] = json!(now);
    });
    let said = fails(&mut sandbox.runbook("rollback"), 1, &["has rolled back to", "--again"]);
    assert!(!said.contains("nothing to do"), "{said}");
    let mut again = rollback(&sandbox);
    succeeds(again.arg("--again"));
    sells(&sandbox, "1.1.4");
}

/// Every document of it says that its step is done, and it says that customers see it.
#[test]
fn a_planted_run_does_not_make_a_release_skip_anything() {
    let sandbox = released();
    succeeds(&mut rollback(&sandbox));
    let real = stored(&sandbox, "production", "release");
    let had = snapshots(&sandbox);
    for state in ["changed", "open"] {
        plant(&sandbox, real.clone(), |record| {
            record["state"] = json!(state);
            if state == "open" {
                record["changes"] = json!([]);
            }
        });
    }
    let said = succeeds(release(&sandbox, "1.2.0").args(["--lift-hold", "it was the network"]));
    assert!(said.contains("going on with runs/") && !said.contains("done before: "), "{said}");
    // Nor is it told by another run's id: its snapshot is another one's, and the team would hear nothing.
    assert_eq!(snapshots(&sandbox), had + 1, "{said}");
    assert!(!said.contains("was not told again"), "{said}");
    sells(&sandbox, "1.2.0");
}

#[test]
fn a_release_that_died_behind_its_deployment_goes_on_from_another_machine() {
    let sandbox = ready();
    killed_after(&sandbox, &mut release(&sandbox, "1.2.0"), "deploy-coolify", "deploy");
    let had = snapshots(&sandbox);
    let budi = machine(&sandbox, "budi");
    let unlock = ["unlock", "--env", "production", "--reason", "the laptop is in the lagoon"];
    succeeds(sandbox.command(testkit::bin("release-run")).args(unlock).current_dir(&budi));
    let said = succeeds(&mut on(&sandbox, &budi, "release", &["1.2.0"]));
    assert!(said.contains("runs in production, as ") && said.contains("done before: 11-snapshot"), "{said}");
    assert_eq!((snapshots(&sandbox), World::of(&sandbox).deployments), (had, 1), "{said}");
    sells(&sandbox, "1.2.0");
}

/// The clone that began a run believes what it has written itself, and nothing that was put in its place.
#[test]
fn a_run_that_was_overwritten_is_not_the_one_that_was_begun_here() {
    let sandbox = released();
    let (record, tree) = stored(&sandbox, "production", "release");
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    killed_after(&sandbox, &mut release(&sandbox, "1.3.0"), "db-restore", "rehearse");
    let (begun, _) = stored(&sandbox, "production", "release");
    let before = World::of(&sandbox);
    for (state, serial) in [("finished", 1000), ("changed", 2000)] {
        let mut forged = record.clone();
        for key in ["run", "key", "version", "opened", "document"] {
            forged[key] = begun[key].clone();
        }
        (forged["state"], forged["serial"]) = (json!(state), json!(serial));
        write(&sandbox, &forged, &tree);
        let said = fails(&mut release(&sandbox, "1.3.0"), 1, &[]);
        assert!(!said.contains("nothing to do (") && !said.contains("done before: "), "{state}: {said}");
        if state == "finished" {
            assert_eq!(World::of(&sandbox), before, "{said}");
        }
    }
}

#[test]
fn no_number_that_somebody_pushes_stops_everybody() {
    let sandbox = released();
    let (mut record, tree) = stored(&sandbox, "production", "release");
    record["serial"] = json!(u64::MAX);
    write(&sandbox, &record, &tree);
    let lock = sandbox.remote.git(&["log", "-1", "--format=%B", &format!("{RUNS}/production/lock")]);
    let lock: Vec<String> = lock
        .lines()
        .map(|line| {
            if line.starts_with("Generation: ") {
                format!("Generation: {}", u64::MAX)
            } else {
                line.to_owned()
            }
        })
        .collect();
    let tree = sandbox.remote.git(&["rev-parse", &format!("{RUNS}/production/lock^{{tree}}")]);
    let forged = sandbox.remote.git(&["commit-tree", &tree, "-m", &lock.join("\n")]);
    sandbox.remote.git(&["update-ref", &format!("{RUNS}/production/lock"), &forged]);
    let budi = machine(&sandbox, "budi");
    fails(
        &mut on(&sandbox, &budi, "rollback", &[]),
        1,
        &["cannot be read", "release-run unlock --env production"],
    );
    let unlock = ["unlock", "--env", "production", "--reason", "it cannot be read"];
    succeeds(sandbox.command(testkit::bin("release-run")).args(unlock).current_dir(&budi));
    succeeds(&mut on(&sandbox, &budi, "rollback", &[]));
    sells(&sandbox, "1.1.4");
}

/// By its id a rollback finds what it has restored, and whom it has told: another one's id would make it skip both.
#[test]
fn a_planted_rollback_with_the_id_of_an_older_one_skips_nothing() {
    let sandbox = broken();
    succeeds(&mut rollback(&sandbox));
    let real = stored(&sandbox, "production", "rollback");
    fails(
        release(&sandbox, "1.3.0").args(["--again", "--lift-hold", "it was the network"]),
        1,
        &["do not answer as they should"],
    );
    let messages = told(&sandbox).len();
    plant(&sandbox, real, |record| {
        record["state"] = json!("open");
        record["changes"] = json!([]);
    });
    let budi = machine(&sandbox, "budi");
    let said = succeeds(&mut on(&sandbox, &budi, "rollback", &["--confirm", &sandbox.confirmation()]));
    assert!(said.contains("1.3.0-rc1 back to") && said.contains("rows only in the present data"), "{said}");
    assert_eq!(told(&sandbox).len(), messages + 1, "{said}");
    sells(&sandbox, "1.2.0");
}

/// Documents that say that the restore is done, and nothing that proves it.
#[test]
fn a_planted_restore_decides_nothing_and_a_planted_stop_allows_nothing() {
    let sandbox = released();
    succeeds(&mut rollback(&sandbox));
    let (record, mut tree) = stored(&sandbox, "production", "rollback");
    let blob = sandbox.remote.git(&["rev-parse", &format!("{tree}:03-data.json")]);
    for name in ["04-stop.json", "05-restore.json"] {
        tree = with_file(&sandbox, &tree, name, &blob);
    }
    let real = (record, tree);
    succeeds(release(&sandbox, "1.2.0").args(["--again", "--lift-hold", "it was the network"]));
    let file = sandbox.product_dir().join("release.toml");
    let settings = std::fs::read_to_string(&file).expect("settings");
    let switch = "[environment.production.maintenance]\non = ['sh', '-c', 'echo on >>../switch']\noff = ['sh', '-c', 'echo off >>../switch']\n";
    std::fs::write(&file, format!("{settings}\n{switch}")).expect("written");
    plant(&sandbox, real, |record| {
        record["state"] = json!("changing");
        record["updated"] = json!(minutes_ago(0).to_string());
        let change = |step: &str, changes: &str| json!({ "step": step, "changes": changes, "at": minutes_ago(0).to_string(), "acted": "yes" });
        record["changes"] = json!([change("stop", "pause"), change("restore", "customers")]);
    });
    let orders = sandbox.cluster.value("shop", "select count(*) from orders");
    let budi = machine(&sandbox, "budi");
    let said = succeeds(&mut on(&sandbox, &budi, "rollback", &[]));
    assert!(!said.contains("would bring back") && !said.contains("replacing shop by"), "{said}");
    assert!(!sandbox.root().join("switch").exists(), "{said}");
    assert_eq!(sandbox.cluster.value("shop", "select count(*) from orders"), orders);
}

/// Without the time of the incident any snapshot would do, also one with the wrong data in it.
#[test]
fn a_planted_rollback_without_the_time_of_the_incident_takes_no_later_snapshot() {
    let sandbox = broken();
    let phrase = sandbox.confirmation();
    // It stops before it has changed anything: nobody says yes.
    run(&mut sandbox.runbook("rollback"));
    let (mut record, tree) = stored(&sandbox, "production", "rollback");
    let later = ["snapshot", "--fresh", "--env", "production"];
    succeeds(sandbox.command(testkit::bin("db-restore")).args(later).current_dir(sandbox.product_dir()));
    // The same documents, the first without it.
    let files = sandbox.remote.git(&["ls-tree", "--name-only", &tree]);
    let first = files.lines().find(|name| name.ends_with("-observe.json")).expect("a document").to_owned();
    let text = sandbox.remote.git(&["show", &format!("{tree}:{first}")]);
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    document["facts"].as_object_mut().expect("facts").remove("incident_at").expect("it was there");
    let path = sandbox.root().join("planted.json");
    std::fs::write(&path, document.to_string()).expect("written");
    let blob = sandbox.remote.git(&["hash-object", "-w", &path.display().to_string()]);
    let listed = with_file(&sandbox, &tree, &first, &blob);
    record["serial"] = json!(record["serial"].as_u64().expect("a number") + 100);
    write(&sandbox, &record, &listed);
    let budi = machine(&sandbox, "budi");
    let said = succeeds(&mut on(&sandbox, &budi, "rollback", &["--confirm", &phrase]));
    assert!(said.contains("rollback: done"), "{said}");
    sells(&sandbox, "1.2.0");
}

/// What others push can be merged into the folder of a run that was begun here.
#[test]
fn a_document_that_this_clone_has_not_written_is_not_its_own() {
    let sandbox = ready();
    killed_after(&sandbox, &mut release(&sandbox, "1.2.0"), "db-restore", "snapshot");
    let (record, _) = stored(&sandbox, "production", "release");
    let folder = sandbox.product_dir().join("runs").join(record["run"].as_str().expect("a name"));
    let observed = std::fs::read_to_string(folder.join("10-observe.json")).expect("read");
    for name in
        ["11-snapshot.json", "12-rehearse.json", "15-certificate.json", "16-tag.json", "18-deploy.json"]
    {
        std::fs::write(folder.join(name), &observed).expect("written");
    }
    let said = succeeds(&mut release(&sandbox, "1.2.0"));
    assert!(said.contains("going on with runs/") && !said.contains("done before: "), "{said}");
    assert_eq!((snapshots(&sandbox), World::of(&sandbox).deployments), (1, 1), "{said}");
    sells(&sandbox, "1.2.0");
}

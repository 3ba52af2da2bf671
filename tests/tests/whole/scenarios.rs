//! What can come between the runbooks and their end: other machines, dead ones, holds, migrations. However it goes, nothing is
//! changed twice, and nothing is called rolled back that is not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::story::{broken, document, killed_after, machine, pull, ready, release, run, succeeds};
use step::Exit;
use testkit::Sandbox;
use testkit::http::{Fault, Reply};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn runbook(sandbox: &Sandbox, name: &str, args: &[&str], folder: &Path) -> Command {
    let mut command = sandbox.runbook(name);
    command.args(args).current_dir(folder);
    command
}

fn live(sandbox: &Sandbox) -> (u16, String) {
    let (status, release, _) = sandbox.page("production", "/api/health");
    (status, release)
}

fn deployments(sandbox: &Sandbox) -> usize {
    sandbox.coolify.deployments(&sandbox.production.application)
}

fn as_released(version: &str) -> (u16, String) {
    (200, version.to_owned())
}

#[test]
fn the_migrations_bring_the_data_back_without_being_told() {
    let sandbox = broken();
    let phrase = sandbox.confirmation();
    // Without a person and without the phrase it says what would be lost, and restores nothing.
    let (code, said) = run(&mut sandbox.runbook("rollback"));
    let next = format!("next: rilis-rollback --env production --database restore --confirm {phrase}");
    assert!(code == Some(1) && said.contains(&next), "{said}");
    assert_eq!(live(&sandbox).0, 500);
    let (code, said) = run(sandbox.runbook("rollback").args(["--database", "keep"]));
    assert!(code == Some(1) && said.contains("takes away what the previous build may use"), "{said}");
    let said = succeeds(sandbox.runbook("rollback").args(["--confirm", &phrase]));
    assert!(said.contains("the data goes back with it"), "{said}");
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
    // It knows by its documents' id which run it takes back: its snapshot was the one, and its message is answered.
    let messages = sandbox.telegram.messages();
    let failed = messages.iter().find(|m| m.text.contains("1.3.0 → production FAILED")).expect("told");
    let first = messages.iter().find(|m| m.text.contains("ROLLBACK FAILED at db-restore")).expect("told");
    assert_eq!(first.reply_to, i64::try_from(failed.id).ok(), "{}", first.text);
    assert_eq!(sandbox.cluster.value("shop", "select sum(price) from products"), "1365000");
}

#[test]
fn an_image_goes_back_alone_over_a_migration_that_only_adds() {
    let sandbox = ready();
    succeeds(&mut release(&sandbox, "1.2.0"));
    sandbox.cluster.value("shop", "insert into orders (product_id, quantity) values (1, 1) returning id");
    let orders = sandbox.cluster.value("shop", "select count(*) from orders");
    let said = succeeds(&mut sandbox.runbook("rollback"));
    assert!(said.contains("the data stays as it is") && !said.contains("db-restore:"), "{said}");
    assert_eq!(live(&sandbox), as_released("1.1.4"));
    assert_eq!(sandbox.cluster.value("shop", "select count(*) from orders"), orders, "no order is lost");
    let column = "select count(*) from information_schema.columns where table_name = 'orders' and column_name = 'paid_with'";
    assert_eq!(sandbox.cluster.value("shop", column), "1", "the new column stays");
}

#[test]
fn what_was_rolled_back_stays_so_until_somebody_says_why_not() {
    let sandbox = broken();
    // Customers see the failure: what is next is the way back, not the same again.
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("next: rilis-rollback\n") && !said.contains("next: rilis-release"), "{said}");
    succeeds(sandbox.runbook("rollback").args(["--confirm", &sandbox.confirmation()]));
    let planned = succeeds(sandbox.runbook("release").args(["-n", "1.3.0"]));
    assert!(planned.contains("without -n this is refused: production is on hold"), "{planned}");
    let before = (deployments(&sandbox), sandbox.remote.tags());
    for args in [vec!["1.3.0"], vec!["1.3.0", "--again"]] {
        let (code, said) = run(sandbox.runbook("release").args(&args));
        assert!(
            code == Some(1) && said.contains("on hold") && said.contains("rolled back"),
            "{args:?}: {said}"
        );
    }
    assert_eq!((deployments(&sandbox), sandbox.remote.tags()), before);
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("production: on hold") && !said.contains("next: "), "{said}");
    // The way back of the last change, and what is live by the word of Coolify and the pages.
    let (way, live_now) = said.split_once("live in production:").expect("what is live");
    assert!(!way.contains("the way back of"), "it was gone: {said}");
    assert!(live_now.contains("1.2.0-rc1") && !live_now.contains("unknown"), "{said}");
    // 1.2.0 once more, with a reason: a run of its own, although this version was released before.
    sandbox.product.git(&["switch", "--quiet", "--detach", "v1.2.0"]);
    assert!(succeeds(&mut release(&sandbox, "1.2.0")).contains("is finished"), "nothing to do needs no lock");
}

/// How many snapshots of production there are.
fn snapshots(sandbox: &Sandbox) -> usize {
    let folder = sandbox.root().join("snapshots/production");
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.filter(|e| e.path().join("manifest.json").is_file()).count()
}

#[test]
fn a_run_that_another_machine_began_is_gone_on_with_there() {
    let sandbox = ready();
    killed_after(&sandbox, &mut release(&sandbox, "1.2.0"), "tag-rc", "final");
    let budi = machine(&sandbox, "budi");
    // The first machine may still be at work, as far as anybody knows.
    let (code, said) = run(&mut runbook(&sandbox, "release", &["1.2.0"], &budi));
    assert!(
        code == Some(Exit::Temporary as i32) && said.contains("release-run unlock --env production"),
        "{said}"
    );
    assert_eq!(deployments(&sandbox), 0);
    let unlock = ["unlock", "--env", "production", "--reason", "the laptop is in the lagoon"];
    succeeds(sandbox.command(testkit::bin("release-run")).args(unlock).current_dir(&budi));
    let said = succeeds(&mut runbook(&sandbox, "release", &["1.2.0"], &budi));
    // Its documents are the remote's word alone: each step looks for itself, and finds by the run's id what was made for it.
    assert!(said.contains("going on with runs/") && !said.contains("done before: "), "{said}");
    assert_eq!(snapshots(&sandbox), 1, "{said}");
    assert_eq!((live(&sandbox), deployments(&sandbox)), (as_released("1.2.0-rc1"), 1));
    assert_eq!(sandbox.remote.tags(), ["v1.1.4", "v1.2.0", "v1.2.0-rc1"]);
    // The first machine comes back and finds it done.
    assert!(succeeds(&mut release(&sandbox, "1.2.0")).contains("what runs says the same: nothing to do"));
    assert_eq!(sandbox.telegram.messages().len(), 1);
}

#[test]
fn a_rollback_works_from_a_machine_that_has_seen_nothing() {
    let sandbox = broken();
    let budi = machine(&sandbox, "budi");
    let phrase = sandbox.confirmation();
    let said = succeeds(&mut runbook(&sandbox, "rollback", &["--confirm", &phrase], &budi));
    assert!(said.contains("1.3.0-rc1 back to") && said.contains("rollback: done"), "{said}");
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
    assert_eq!(sandbox.cluster.value("shop", "select sum(price) from products"), "1365000");
}

#[test]
fn of_eight_machines_at_once_exactly_one_releases() {
    let sandbox = ready();
    let machines: Vec<PathBuf> = (0..8).map(|n| machine(&sandbox, &format!("machine-{n}"))).collect();
    let start = |folder: &PathBuf| {
        let mut command = runbook(&sandbox, "release", &["1.2.0"], folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let children: Vec<_> = machines.iter().map(start).collect();
    let outputs: Vec<Output> = children.into_iter().map(|c| c.wait_with_output().expect("it ends")).collect();
    let done = outputs.iter().filter(|o| text(o).contains("release: done:")).count();
    for output in &outputs {
        // The others were refused, or came when it was done.
        assert!([Some(0), Some(Exit::Temporary as i32)].contains(&output.status.code()), "{}", text(output));
    }
    assert_eq!(done, 1);
    assert_eq!((live(&sandbox), deployments(&sandbox)), (as_released("1.2.0-rc1"), 1));
    assert_eq!((sandbox.remote.tags().len(), sandbox.telegram.messages().len()), (3, 1));
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("production: nobody is at work"), "{said}");
}

#[test]
fn a_dead_run_s_lock_is_given_back_on_its_own_machine() {
    let sandbox = ready();
    succeeds(&mut release(&sandbox, "1.2.0"));
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    killed_after(&sandbox, &mut release(&sandbox, "1.3.0"), "deploy-coolify", "observe");
    // It was killed while it observed: nothing was deployed. Once more, so that it dies behind the deployment.
    let said = succeeds(&mut sandbox.runbook("status"));
    assert!(said.contains("production: locked by"), "{said}");
    let (code, said) = run(&mut release(&sandbox, "1.3.0"));
    assert_eq!(code, Some(1), "{said}");
    killed_after(&sandbox, &mut release(&sandbox, "1.3.0"), "deploy-coolify", "deploy");
    let said = succeeds(sandbox.runbook("rollback").args(["--confirm", &sandbox.confirmation()]));
    assert!(said.contains("gave back the lock of runs/"), "{said}");
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
}

/// The remote has no run any more, as if it had not been reachable when they were stored.
fn forget_runs(sandbox: &Sandbox) {
    for name in sandbox
        .remote
        .git(&["for-each-ref", "--format=%(refname)", "refs/rilis/v2/aceh-commerce/production/run"])
        .lines()
    {
        sandbox.remote.git(&["update-ref", "-d", name]);
    }
}

#[test]
fn a_stale_run_asks_nobody_for_anything() {
    let sandbox = ready();
    killed_after(&sandbox, &mut release(&sandbox, "1.2.0"), "db-restore", "snapshot");
    // Another machine releases the same commit meanwhile, as a run of its own.
    let budi = machine(&sandbox, "budi");
    let unlock = ["unlock", "--env", "production", "--reason", "his now"];
    succeeds(sandbox.command(testkit::bin("release-run")).args(unlock).current_dir(&budi));
    forget_runs(&sandbox);
    succeeds(&mut runbook(&sandbox, "release", &["1.2.0"], &budi));
    let before = (sandbox.coolify.server().log().len(), sandbox.telegram.server().log().len());
    forget_runs(&sandbox);
    let (code, said) = run(&mut release(&sandbox, "1.2.0"));
    assert!(code == Some(1) && said.contains("stale") && said.contains("--again"), "{said}");
    assert_eq!((sandbox.coolify.server().log().len(), sandbox.telegram.server().log().len()), before);
    // Begun again it finds everything as it should be.
    succeeds(release(&sandbox, "1.2.0").arg("--again"));
    assert_eq!((live(&sandbox), deployments(&sandbox)), (as_released("1.2.0-rc1"), 1));
}

#[test]
fn without_the_remote_a_rollback_still_works_with_a_reason() {
    let sandbox = broken();
    let phrase = sandbox.confirmation();
    sandbox.product.git(&["remote", "set-url", "origin", "/nowhere/origin.git"]);
    let (code, said) = run(sandbox.runbook("rollback").args(["--confirm", &phrase]));
    assert_eq!(code, Some(Exit::Config as i32), "{said}");
    assert_eq!(live(&sandbox).0, 500, "{said}");
    let said = succeeds(sandbox.runbook("rollback").args([
        "--confirm",
        &phrase,
        "--no-lock",
        "the code host is down",
    ]));
    assert!(said.contains("without the lock of production: the code host is down"), "{said}");
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
}

#[test]
fn a_hotfix_goes_straight_to_production_and_owes_what_it_skipped() {
    let sandbox = ready();
    succeeds(&mut release(&sandbox, "1.2.0"));
    let product = &sandbox.product;
    product.git(&["switch", "--quiet", "--create", "hotfix/prices", "v1.2.0"]);
    let log = std::fs::read_to_string(sandbox.product_dir().join("CHANGELOG.md")).expect("the changelog");
    let section = "## [1.2.1] - 2026-11-25\n### Fixed\n- Prices are shown with tax\n\n## [1.2.0]";
    product.commit("Show prices with tax", &[("CHANGELOG.md", &log.replacen("## [1.2.0]", section, 1))]);
    product.git(&["push", "--quiet", "--set-upstream", "origin", "hotfix/prices"]);
    let (code, said) = run(sandbox.runbook("hotfix").arg("1.2.1"));
    assert!(code == Some(2) && said.contains("--reason"), "{said}");
    succeeds(sandbox.runbook("hotfix").args(["1.2.1", "--reason", "prices are wrong"]));
    assert_eq!(live(&sandbox), as_released("1.2.1"));
    assert!(sandbox.remote.tags().contains(&"v1.2.1".to_owned()));
    let last = document(&sandbox, "-hotfix-");
    let expected =
        serde_json::json!({ "reason": "prices are wrong", "skipped": ["candidate", "soak", "qa", "merge"] });
    assert_eq!(last["facts"]["debt"], expected);
    assert_eq!(last["procedure"], "hotfix");
    // It was held against what was seen to run.
    let steps = last["steps"].as_array().expect("steps");
    let tag = steps.iter().find(|step| step["name"] == "tag-rc").expect("it was tagged");
    assert_eq!(tag["output"]["base"]["why"], "production runs 1.2.0-rc1", "{tag}");
    assert_eq!(tag["output"]["base"]["tag"], "v1.2.0", "{tag}");
    // It is rolled back like any release.
    succeeds(&mut sandbox.runbook("rollback"));
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
}

/// What would be refused at the tag is refused before minutes of dump and rehearsal.
#[test]
fn a_file_that_was_not_committed_stops_a_release_before_the_dump() {
    let sandbox = ready();
    let forgotten = sandbox.product_dir().join("forgotten.txt");
    std::fs::write(&forgotten, "x").expect("written");
    let (code, said) = run(&mut release(&sandbox, "1.2.0"));
    assert!(
        code == Some(1) && said.contains("forgotten.txt") && !said.contains("dumping"),
        "{code:?} {said}"
    );
    assert_eq!(deployments(&sandbox), 0);
    assert!(!sandbox.remote.tags().contains(&"v1.2.0".to_owned()));
    std::fs::remove_file(forgotten).expect("removed");
    succeeds(&mut release(&sandbox, "1.2.0"));
    assert_eq!(live(&sandbox), as_released("1.2.0-rc1"));
}

#[test]
fn without_a_proven_way_back_nothing_is_released() {
    let sandbox = ready();
    let unauthorised = serde_json::json!({ "ok": false, "error_code": 401, "description": "Unauthorized" });
    for method in ["GET", "POST"] {
        let refused = Fault::Answer(Reply::json(401, unauthorised.clone()));
        sandbox.telegram.server().fault(method, "/bot", 4, refused);
    }
    let (code, said) = run(&mut release(&sandbox, "1.2.0"));
    assert!(code == Some(1) && said.contains("no proven way back") && said.contains("team:"), "{said}");
    assert_eq!(deployments(&sandbox), 0);
    assert!(!sandbox.remote.tags().contains(&"v1.2.0".to_owned()));
}

#[test]
fn a_certificate_is_looked_at_again_and_a_snapshot_of_61_minutes_is_too_old() {
    let sandbox = ready();
    // An hour passes, which is eight seconds here.
    let mut first = release(&sandbox, "1.2.0");
    killed_after(&sandbox, first.env("RILIS_DB_RESTORE_RPO", "8s"), "tag-rc", "final");
    let runs = std::fs::read_dir(sandbox.product_dir().join("runs")).expect("runs").flatten();
    let run_folder = runs.map(|e| e.path()).find(|p| p.join("12-rehearse.json").is_file()).expect("the run");
    let text = std::fs::read(run_folder.join("12-rehearse.json")).expect("read");
    let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let until: jiff::Timestamp =
        document["facts"]["rehearsal"]["until"].as_str().expect("a time").parse().expect("a time");
    let left = until.duration_since(jiff::Timestamp::now());
    std::thread::sleep(
        std::time::Duration::try_from(left).unwrap_or_default() + std::time::Duration::from_millis(50),
    );
    let (code, said) = run(&mut release(&sandbox, "1.2.0"));
    assert!(code == Some(1) && said.contains("older than the RPO") && said.contains("--again"), "{said}");
    assert_eq!(deployments(&sandbox), 0);
}

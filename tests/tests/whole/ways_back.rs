//! Ways back with something in the way, and releases that may not be; each to its end.

use std::process::Stdio;

use crate::story::*;
use step::Exit;

/// A snapshot from just before an incident of two hours ago: allowed, and the loss is said.
#[test]
fn an_incident_of_two_hours_ago_with_a_snapshot_just_before_it() {
    let sandbox = broken();
    without_the_copy(&sandbox);
    taken_at(&newest_snapshot(&sandbox), minutes_ago(121));
    let incident = minutes_ago(120).to_string();
    let said = succeeds(rollback(&sandbox).args(["--incident-at", &incident]));
    assert!(said.contains("rows only in the present data"), "{said}");
    let loss = &document(&sandbox, "-rollback-")["facts"]["loss"];
    assert!(loss["seconds"].as_u64().is_some_and(|s| s >= 2 * 3600), "{loss}");
    sells(&sandbox, "1.2.0");
}

/// What was taken after the incident has the wrong data in it.
#[test]
fn a_snapshot_from_after_the_incident_is_none() {
    let sandbox = broken();
    let still = Still::now(&sandbox);
    let incident = minutes_ago(30).to_string();
    let said =
        fails(rollback(&sandbox).args(["--incident-at", &incident]), 1, &["the wrong data is in it already"]);
    nothing_is_called_rolled_back(&sandbox, &said);
    still.holds();
}

/// The edge is down when it should be purged: the code and the data are back, and it is not called so.
#[test]
fn an_edge_that_is_down_in_the_middle() {
    let sandbox = broken();
    let mut command = rollback(&sandbox);
    let (code, said) = run(command.env("RILIS_CDN_PURGE_ENDPOINT", "http://127.0.0.1:9"));
    assert!(code.is_some_and(|c| c != 0) && said.contains("rollback: stopped"), "{said}");
    nothing_is_called_rolled_back(&sandbox, &said);
    let deployments = World::of(&sandbox).deployments;
    succeeds(&mut rollback(&sandbox));
    sells(&sandbox, "1.2.0");
    assert_eq!(World::of(&sandbox).deployments, deployments, "nothing is deployed twice");
}

/// Coolify is away when the data is back already.
#[test]
fn coolify_that_is_down_in_the_middle() {
    let sandbox = broken();
    let mut first = rollback(&sandbox);
    killed_after(&sandbox, &mut first, "db-restore", "restore");
    let mut command = rollback(&sandbox);
    let (code, said) = run(command.env("RILIS_DEPLOY_COOLIFY_URL", "http://127.0.0.1:9"));
    assert!(code == Some(Exit::Temporary as i32) && said.contains("rollback: stopped"), "{code:?} {said}");
    nothing_is_called_rolled_back(&sandbox, &said);
    succeeds(&mut rollback(&sandbox));
    sells(&sandbox, "1.2.0");
}

/// Something came to main that was in no candidate.
#[test]
fn a_tree_that_is_not_the_candidate_s() {
    let sandbox = ready();
    sandbox.product.commit("One more thing", &[("shop/extra.txt", "not tested")]);
    sandbox.product.git(&["push", "--quiet", "origin", "main"]);
    let still = Still::now(&sandbox);
    fails(&mut release(&sandbox, "1.2.0"), 1, &["shop/extra.txt"]);
    assert_eq!(failure(&sandbox, "-release-"), ("not-the-candidate".into(), "no".into()));
    still.holds();
}

/// A second candidate, its release, the way back, and the same version again.
#[test]
fn two_candidates_a_rollback_and_the_same_version_again() {
    let sandbox = testkit::Sandbox::start();
    sandbox.at_once();
    sandbox.product.git(&["switch", "--quiet", "staging"]);
    succeeds(sandbox.runbook("candidate").arg("1.2.0"));
    sandbox.product.commit("What QA has found", &[("shop/fix.txt", "fixed")]);
    sandbox.product.git(&["push", "--quiet", "origin", "staging"]);
    succeeds(sandbox.runbook("candidate").arg("1.2.0"));
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    pull(&sandbox);
    succeeds(&mut release(&sandbox, "1.2.0"));
    assert_eq!(sandbox.page("production", "/sale").1, "1.2.0-rc2");
    assert_eq!(sandbox.remote.tags(), ["v1.1.4", "v1.2.0", "v1.2.0-rc1", "v1.2.0-rc2"]);
    succeeds(&mut sandbox.runbook("rollback"));
    assert_eq!(sandbox.page("production", "/sale").1, "1.1.4");
    let still = Still::now(&sandbox);
    fails(release(&sandbox, "1.2.0").arg("--again"), 1, &["is on hold"]);
    still.holds();
    succeeds(release(&sandbox, "1.2.0").args(["--again", "--lift-hold", "it was the network"]));
    assert_eq!(sandbox.page("production", "/sale").1, "1.2.0-rc2");
    assert_eq!(
        sandbox.remote.tags(),
        ["v1.1.4", "v1.2.0", "v1.2.0-rc1", "v1.2.0-rc2"],
        "nothing is tagged twice"
    );
}

/// Eight machines want the same lock, again and again: one has it each time.
#[test]
fn of_eight_machines_one_has_the_lock_in_every_round() {
    let sandbox = ready();
    let machines: Vec<_> = (0..8).map(|n| machine(&sandbox, &format!("machine-{n}"))).collect();
    for round in 0..12 {
        let one = |(n, folder): (usize, &std::path::PathBuf)| {
            let mut command = sandbox.command(testkit::bin("release-run"));
            command.args([
                "lock",
                "--env",
                "production",
                "--run",
                &format!("run-{round}-{n}"),
                "--lease",
                "lease",
            ]);
            command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("it starts")
        };
        // All are started before the first is waited for.
        let children: Vec<_> = machines.iter().enumerate().map(one).collect();
        let ends: Vec<_> = children.into_iter().map(|c| c.wait_with_output().expect("it ends")).collect();
        let winners: Vec<usize> = (0..8).filter(|n| ends[*n].status.success()).collect();
        assert_eq!(winners.len(), 1, "round {round}: {ends:?}");
        let lease = machines[winners[0]].join("lease");
        let mut unlock = sandbox.command(testkit::bin("release-run"));
        succeeds(unlock.arg("unlock").arg("--lease").arg(lease).current_dir(&machines[winners[0]]));
    }
}

//! The rollback that is rehearsed in staging.

use crate::story::{run, succeeds};
use serde_json::Value;
use testkit::Sandbox;

/// A candidate of 1.2.0 runs in staging, and QA has put an order there.
fn ready() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    sandbox.product.git(&["switch", "--quiet", "staging"]);
    succeeds(sandbox.runbook("candidate").arg("1.2.0"));
    sandbox
        .cluster
        .value("shop_staging", "insert into orders (product_id, quantity) values (1, 7) returning id");
    sandbox
}

/// What runs in staging, what its edge serves, how many orders it has.
fn staging(sandbox: &Sandbox) -> (Option<String>, String, String) {
    let orders = sandbox.cluster.value("shop_staging", "select count(*) from orders");
    (sandbox.coolify.running(&sandbox.staging.application), sandbox.page("staging", "/").1, orders)
}

fn newest(sandbox: &Sandbox, end: &str) -> Value {
    let runs = std::fs::read_dir(sandbox.product_dir().join("runs")).expect("runs").flatten();
    let mut files: Vec<_> = runs
        .filter(|run| run.file_name().to_string_lossy().contains("-rehearsal-"))
        .filter_map(|run| std::fs::read_dir(run.path()).ok())
        .flatten()
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    let file = files.last().unwrap_or_else(|| panic!("a file {end}"));
    serde_json::from_slice(&std::fs::read(file).expect("read")).expect("JSON")
}

#[test]
fn everything_goes_back_through_a_death_and_is_put_back() {
    let sandbox = ready();
    let before = staging(&sandbox);
    let production = sandbox.coolify.deployments(&sandbox.production.application);
    // What was done before it could be killed was not killed, and is not told so.
    for (kill, after, killed) in [
        ("restore", "0.05", Some("restore")),
        ("deploy", "0.02", Some("deploy")),
        ("restore", "30", None),
        ("none", "1", None),
    ] {
        let (code, said) = run(sandbox.runbook("rehearse").args(["--kill", kill, "--after", after]));
        assert_eq!(code, Some(0), "{kill} {after}: {said}");
        assert_eq!(staging(&sandbox), before, "{kill} {after}: {said}");
        let shown = &newest(&sandbox, "-rehearsed.json")["facts"]["rehearsed"];
        assert_eq!(
            (shown["from"].as_str(), shown["to"].as_str()),
            (Some("1.2.0-rc1"), Some("1.1.4")),
            "{shown}"
        );
        assert_eq!(shown["killed"].as_str(), killed, "{shown}");
        for part in ["data", "code", "edge"] {
            assert!(shown["parts"][part].is_u64(), "{shown}");
        }
        let back = newest(&sandbox, "-purge.json");
        assert_eq!(
            (back["facts"]["live"].as_str(), &back["procedure"]),
            (Some("1.1.4"), &"rehearsal".into())
        );
    }
    assert_eq!(sandbox.coolify.deployments(&sandbox.production.application), production);
    let told = sandbox.telegram.messages();
    let last = format!("{:?}", told.last().expect("a message"));
    assert!(last.contains("a rollback was rehearsed") && last.contains("went back to 1.1.4 in"), "{last}");
}

#[test]
fn a_rehearsal_that_stops_goes_on_and_never_touches_production() {
    let sandbox = ready();
    let before = staging(&sandbox);
    sandbox.coolify.fail_next_deployment();
    let (code, said) = run(sandbox.runbook("rehearse").args(["--kill", "none"]));
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(sandbox.runbook("rehearse").args(["--kill", "none"]));
    assert!(code == Some(0) && said.contains("going on with"), "{said}");
    assert_eq!(staging(&sandbox), before);
    let (code, said) = run(sandbox.runbook("rehearse").args(["--env", "production"]));
    assert!(code == Some(2) && said.contains("nothing is rehearsed in production"), "{said}");
    let (code, said) = run(sandbox.runbook("rehearse").args(["--kill", "everything"]));
    assert_eq!(code, Some(2), "{said}");
    let changes = sandbox.coolify.server().changes();
    let (code, said) = run(sandbox.runbook("rehearse").arg("--plan"));
    assert_eq!((code, sandbox.coolify.server().changes()), (Some(0), changes), "{said}");
}

//! A deployment that somebody else has started, or an earlier run.

use crate::support::{C, DEPLOY, Rig, until, with};
use std::time::Duration;

#[test]
fn attach_waits_for_the_deployment_of_a_push() {
    let rig = Rig::git();
    rig.settings("attach_window = \"10s\"");
    let child = rig.spawn(&["attach", "--env", "staging", "--commit", C]);
    until("questions", || rig.coolify.server().count("GET", "/api/v1/deployments/applications") > 3);
    rig.coolify.push(&rig.apps[0], C);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rig.coolify.server().changes(), 0, "it only follows");

    let rig = Rig::git();
    let (document, _) = rig.fails(&["attach", "--env", "staging", "--commit", C], None, 1, "no-deployment");
    assert_eq!((document["failure"]["acted"].as_str(), rig.coolify.server().changes()), (Some("no"), 0));
    rig.works(&["attach", "--env", "staging", "--commit", C, "--or-start"], None);
    assert_eq!((rig.starts(), rig.coolify.running(&rig.apps[0]).as_deref()), (1, Some(C)));
    // It is there already; an old version can be attached to as well.
    rig.coolify.version("4.1.2");
    rig.works(&["attach", "--env", "staging", "--commit", C], None);
    assert_eq!(rig.starts(), 1);
}

#[test]
fn attach_takes_up_what_an_earlier_run_has_left() {
    let rig = Rig::image();
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(4500));
    let (document, _) = rig.fails(&with(DEPLOY, &["--timeout", "2s"]), None, 75, "deployment-timeout");
    let next = document["failure"]["next"].as_str().expect("a command").to_owned();
    let words: Vec<&str> = next.split(' ').skip(1).collect();
    let (document, _) = rig.works(&words, None);
    assert_eq!(
        (rig.starts(), document["facts"]["image"].as_str()),
        (1, Some("registry.luxima.id/shop:1.2.0"))
    );
    rig.fails(&["attach", "--env", "staging", "--deployment", "nothing"], None, 1, "no-deployment");
}

//! `--check`: what is there, what is missing, and that nothing is changed by asking.

use serde_json::{Value, json};

use crate::support::{Rig, TOKEN};
use step::Exit;

const CHECK: &[&str] = &["--check", "--env", "staging"];

/// The code, the abilities, how many things are missing, and what is said.
fn checked(rig: &Rig) -> (i32, Value, usize, String) {
    let (code, value, stderr) = rig.asks(CHECK);
    (code, value["abilities"].clone(), value["lacks"].as_array().map_or(0, Vec::len), stderr)
}

/// The only request that is no read had nothing in it, and no deployment came of any.
fn has_changed_nothing(rig: &Rig) {
    assert!(rig.changes().iter().all(|(method, _, body)| method == "PATCH" && *body == json!({})));
    assert_eq!(rig.coolify.deployments(&rig.apps[0]), 0);
}

#[test]
fn each_ability_is_proven() {
    let all = |sensitive, deploy, write| json!({ "read": true, "read:sensitive": sensitive, "deploy": deploy, "write": write });
    for version in ["4.3.11", "4.1.2"] {
        let rig = Rig::image();
        rig.coolify.version(version);
        for (given, expected, lacks) in [
            (&["read", "read:sensitive", "write", "deploy"][..], all(true, true, true), 0),
            (&["root"], all(true, true, true), 0),
            (&["read", "write", "deploy"], all(false, true, true), 0),
            (&["read", "deploy"], all(false, true, false), 1),
            (&["read", "write"], all(false, false, true), 1),
            (&["read"], all(false, false, false), 2),
        ] {
            rig.token(given);
            let (code, shown, missing, stderr) = checked(&rig);
            assert_eq!((shown, missing), (expected, lacks), "{version} {given:?} {stderr}");
            assert_eq!(code, if lacks == 0 { 0 } else { 78 });
            if lacks == 1 {
                let ability = if given.contains(&"deploy") { "write" } else { "deploy" };
                assert!(stderr.contains(&format!("make a token with the ability {ability}")), "{stderr}");
            }
        }
        has_changed_nothing(&rig);
    }
}

#[test]
fn what_a_commit_does_not_need_is_not_missing() {
    let rig = Rig::git();
    rig.token(&["read", "deploy"]);
    let (code, shown, _, stderr) = checked(&rig);
    assert_eq!((code, &shown["write"]), (0, &json!(false)), "{stderr}");
    rig.coolify.version("4.2.0");
    assert_eq!(checked(&rig).0, 78, "there it is pinned");
    rig.coolify.version("4.1.2");
    rig.token(&["root"]);
    let (code, _, _, stderr) = checked(&rig);
    assert!(code == Exit::Config as i32 && stderr.contains("update to 4.2.0"), "{stderr}");
    has_changed_nothing(&rig);
}

#[test]
fn whoever_may_not_at_all_is_told_what_to_do() {
    let rig = Rig::image();
    rig.token(&["deploy"]);
    let (code, _, _, stderr) = checked(&rig);
    assert!(code == Exit::Config as i32 && stderr.contains("make a token with the ability read"), "{stderr}");
    // Its owner is a plain member of the team.
    rig.coolify.member_token(TOKEN, &["read", "deploy", "write"]);
    let (code, _, _, stderr) = checked(&rig);
    assert!(code == Exit::Config as i32 && stderr.contains("an admin or the owner of the team"), "{stderr}");
    rig.coolify.member_token(TOKEN, &["read"]);
    assert_eq!(checked(&rig).2, 2);
    rig.token(&["root"]);
    rig.coolify.set(&rig.apps[0], "server_status", json!(false));
    let (code, _, _, stderr) = checked(&rig);
    assert!(code == Exit::Config as i32 && stderr.contains("cannot reach the server of shop"), "{stderr}");
    rig.fails(&["deploy", "--env", "staging", "--release", "1.2.0"], None, 75, "server-unreachable");
    has_changed_nothing(&rig);
}

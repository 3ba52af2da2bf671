//! What was tested is what ships: the evidence, and what is deployed by it.

use crate::support::registry::registry;
use crate::support::{B, IMAGE, Rig};
use serde_json::{Value, json};
use testkit::http::{Fault, Reply};

const TESTED: &[&str] = &["tested", "--env", "production", "--release", "1.2.0"];
const DEPLOY: &[&str] = &["deploy", "--env", "production", "--no-previous", "test"];

/// rc1 runs where candidates are tested (which is the same application here).
fn candidate(soak: &str, more: &str) -> Rig {
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &["1.1.4", "v1.2.0-rc1"]);
    rig.settings(&format!("soak = \"{soak}\"\n{more}"));
    rig
}

#[test]
fn the_image_that_was_tested_is_the_one_that_is_deployed() {
    let rig = candidate("0s", "");
    let (document, stderr) = rig.works(TESTED, None);
    assert!(stderr.contains("1.2.0-rc1 has run in staging for"), "{stderr}");
    let tested = &document["facts"]["candidate"];
    assert_eq!(tested["images"], json!([format!("{IMAGE}:v1.2.0-rc1")]));
    assert_eq!((&tested["environment"], &tested["version"]), (&json!("staging"), &json!("1.2.0-rc1")));
    assert_eq!(rig.coolify.server().changes(), 0, "it only looks");
    let (done, _) = rig.works(DEPLOY, Some(&document));
    assert_eq!(done["facts"]["image"], format!("{IMAGE}:v1.2.0-rc1"));
    assert_eq!(done["facts"]["live"], "1.2.0");
    // Another build than that only with a reason, which is kept.
    let (document, _) = rig.works(&[TESTED, &["--rebuilt", "the base image had a hole"]].concat(), None);
    assert_eq!(document["facts"]["candidate"]["rebuilt"], "the base image had a hole");
    let (done, _) = rig.works(DEPLOY, Some(&document));
    assert_eq!(done["facts"]["image"], format!("{IMAGE}:1.2.0"));
}

#[test]
fn a_registry_makes_it_exact() {
    let registry = registry(None);
    let rig = candidate("0s", &format!("registry = \"{}\"", registry.server.url()));
    rig.fails(TESTED, None, 75, "image-missing");
    registry.put("v1.2.0-rc1", "sha256:aa");
    // Somebody has built the version anew: that is not what was tested.
    registry.put("1.2.0", "sha256:bb");
    let (document, _) = rig.works(TESTED, None);
    let exact = format!("{IMAGE}@sha256:aa");
    assert_eq!(document["facts"]["candidate"]["images"], json!([exact]));
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0-rc1"));
    let (done, _) = rig.works(DEPLOY, Some(&document));
    assert_eq!(done["facts"]["image"], exact);
    assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("sha256-aa"));
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0-rc2"));
    rig.fails(DEPLOY, Some(&document), 1, "not-live");
}

#[test]
fn what_nobody_has_seen_run_was_not_tested() {
    candidate("48h", "").fails(TESTED, None, 75, "soak");
    // The pages are silent, or Coolify is; or another version is being tested.
    let rig = candidate("0s", "");
    rig.page(|_| Reply::text(200, "text/plain", "x"));
    rig.fails(TESTED, None, 1, "untested");
    rig.page(|_| Reply::text(502, "text/plain", "x"));
    rig.fails(TESTED, None, 1, "untested");
    let rig = candidate("0s", "");
    rig.fails(&["tested", "--env", "production", "--release", "1.3.0"], None, 1, "untested");
    rig.fails(&["tested", "--env", "production"], None, 1, "fact-missing");
    rig.coolify.server().fault("GET", "/api", 99, Fault::Answer(Reply::json(500, Value::Null)));
    rig.fails(&[TESTED, &["--timeout", "500ms"]].concat(), None, 75, "coolify-unreachable");
    let rig = candidate("0s", "tested_in = \"qa\"");
    rig.fails(TESTED, None, 78, "unknown-environment");
}

#[test]
fn where_coolify_builds_the_commit_was_tested() {
    let rig = Rig::git();
    rig.settings("soak = \"0s\"");
    let (document, stderr) = rig.works(TESTED, None);
    assert!(stderr.contains("Coolify builds what is released anew"), "{stderr}");
    assert_eq!(document["facts"]["candidate"]["commit"], B);
    assert_eq!(document["facts"]["candidate"].get("images"), None);
}

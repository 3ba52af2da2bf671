//! What proves that a build runs: never only what we have asked for ourselves. With a token of each ability.

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};

use crate::support::{A, B, C, DEPLOY, IMAGE, Rig, at_once, told};
use step::Exit;

/// A commit that exists nowhere.
const NOWHERE: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a token may have besides `read`, from the least to the most.
const ABILITIES: &[&[&str]] = &[
    &["read"],
    &["read", "deploy"],
    &["read", "deploy", "write"],
    &["read", "deploy", "write", "read:sensitive"],
];

fn inline() -> Rig {
    Rig::with(|coolify| vec![coolify.inline_application("own")])
}

#[test]
fn a_dockerfile_that_is_kept_in_coolify_has_no_revisions_whatever_the_token_sees() {
    for abilities in ABILITIES {
        for proof in ["", "proof = \"coolify\""] {
            let rig = inline();
            rig.settings(proof);
            rig.token(abilities);
            for args in [
                &["deploy", "--env", "staging", "--commit", NOWHERE][..],
                &["attach", "--env", "staging", "--commit", NOWHERE],
                &["attach", "--env", "staging", "--commit", NOWHERE, "--or-start"],
                &["rollback", "--env", "production", "--commit", NOWHERE],
                &["observe", "--env", "production"],
                &["tested", "--env", "production", "--release", "1.2.0"],
            ] {
                rig.fails(args, None, 1, "build-pack");
            }
            assert_eq!(rig.coolify.server().changes(), 0, "{abilities:?}");
            let (code, value, _) = rig.asks(&["--check", "--env", "staging"]);
            assert!(
                code == Exit::Config as i32 && value["lacks"].to_string().contains("no revisions"),
                "{value}"
            );
        }
    }
}

#[test]
fn a_commit_that_coolify_only_repeats_is_no_proof() {
    // It was built from a repository once, and says so still; since then somebody has typed a Dockerfile into it, which this token does
    // not see. Coolify calls its deployments by any commit.
    for (name, repository) in [("renamed", "luxima/aceh-commerce"), ("elsewhere", "git@git.example:a/b.git")]
    {
        let rig = Rig::with(|coolify| vec![coolify.inline_application(name)]);
        rig.coolify.set(&rig.apps[0], "git_repository", json!(repository));
        rig.settings("proof = \"coolify\"");
        rig.token(&["read", "deploy", "write"]);
        let args = ["deploy", "--env", "staging", "--commit", NOWHERE];
        let (document, _) = rig.fails(&args, None, 1, "unproven");
        let failure = &document["failure"];
        assert_eq!((failure["acted"].as_str(), failure["kind"].as_str()), (Some("yes"), Some("failed")));
        assert!(told(&document).0.contains("only repeats what it was asked for"), "{failure}");
        assert_eq!(document["facts"].get("live"), None);
        // The same again does not find that it runs already.
        rig.fails(&args, None, 1, "unproven");
        // Nor does anybody else believe it.
        rig.fails(&["tested", "--env", "production", "--release", "1.2.0"], None, 1, "untested");
        // By a pin it is the same.
        let rig = Rig::with(|coolify| vec![coolify.inline_application(name)]);
        rig.coolify.set(&rig.apps[0], "git_repository", json!(repository));
        rig.coolify.version("4.2.0");
        rig.settings("proof = \"coolify\"");
        rig.token(&["read", "deploy", "write"]);
        rig.fails(&args, None, 1, "unproven");
        assert_eq!(rig.coolify.pin(&rig.apps[0]), "HEAD");
    }
}

#[test]
fn a_commit_is_proven_by_coolify_with_a_token_of_each_ability() {
    let cases: Vec<_> =
        ABILITIES.iter().flat_map(|a| ["dockerfile", "nixpacks"].map(|pack| (*a, pack))).collect();
    at_once(&cases, |&(abilities, pack)| {
        let rig = Rig::git();
        rig.coolify.build_pack(&rig.apps[0], pack);
        rig.settings("proof = \"coolify\"\nsoak = \"0s\"");
        rig.token(abilities);
        let deploy = ["deploy", "--env", "staging", "--commit", C];
        if abilities == ["read"] {
            rig.fails(&deploy, None, 78, "token-ability");
            assert_eq!(rig.coolify.deployments(&rig.apps[0]), 0);
            return;
        }
        let (document, stderr) = rig.works(&deploy, None);
        let summary = document["steps"][0]["summary"].as_str().expect("one");
        assert!(
            summary.contains("Coolify's word alone: it was built from that commit"),
            "{summary} {stderr}"
        );
        let (again, _) = rig.works(&deploy, None);
        assert_eq!((again["steps"][0]["status"].as_str(), rig.starts()), (Some("unchanged"), 1));
        rig.works(&["tested", "--env", "production", "--release", "1.2.0"], None);
        // Back to one whose image is still there: nothing is read from the repository again.
        let (document, _) = rig.works(&["rollback", "--env", "production"], None);
        assert_eq!(document["facts"]["commit"], B, "{pack} {abilities:?}");
        // One that exists nowhere cannot be built.
        let (document, _) =
            rig.fails(&["deploy", "--env", "staging", "--commit", NOWHERE], None, 1, "deployment-failed");
        let sensitive = abilities.contains(&"read:sensitive");
        assert_eq!(told(&document).1.contains("not our ref"), sensitive, "{document:#}");
    });
}

#[test]
fn an_image_is_proven_by_coolify_with_a_token_of_each_ability() {
    for abilities in ABILITIES {
        let rig = Rig::image();
        rig.settings("proof = \"coolify\"");
        rig.token(abilities);
        if !abilities.contains(&"write") {
            rig.fails(DEPLOY, None, 78, "token-ability");
            assert_eq!(rig.state(), (Some("1.1.4".into()), Some("1.1.4".into()), 0));
            continue;
        }
        let sensitive = abilities.contains(&"read:sensitive");
        let (document, _) = rig.works(DEPLOY, None);
        let summary = document["steps"][0]["summary"].as_str().expect("one");
        let how = if sensitive { "its log names the image" } else { "other settings than before" };
        assert!(summary.contains(how), "{summary}");
        // The same tag again: without the log nothing shows what was deployed.
        if sensitive {
            let (again, _) = rig.works(DEPLOY, None);
            assert_eq!((again["steps"][0]["status"].as_str(), rig.starts()), (Some("unchanged"), 1));
        } else {
            let (document, _) = rig.fails(DEPLOY, None, 1, "unproven");
            assert!(told(&document).0.contains("read:sensitive"), "{document:#}");
        }
    }
}

#[test]
fn a_tag_that_was_written_and_changed_back_meanwhile_is_not_proven() {
    let rig = Rig::image();
    rig.settings("proof = \"coolify\"");
    rig.token(&["read", "deploy", "write"]);
    // Somebody writes another tag before a worker has begun: what is deployed is what ran before.
    rig.coolify.pickup(std::time::Duration::from_millis(400));
    let child = rig.spawn(DEPLOY);
    crate::support::until("a deployment", || rig.coolify.deployments(&rig.apps[0]) == 1);
    rig.coolify.configure(&rig.apps[0], "1.1.4");
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["failure"]["reason"], "unproven", "{document:#}");
    assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("1.1.4"));
}

#[test]
fn the_first_deployment_of_all_is_proven_and_has_not_drifted() {
    for proof in ["", "proof = \"coolify\""] {
        for abilities in &ABILITIES[2..] {
            let rig = Rig::with(|coolify| vec![coolify.new_application("shop", IMAGE)]);
            rig.settings(proof);
            rig.token(abilities);
            let (document, stderr) = rig.works(DEPLOY, None);
            let report = &document["steps"][0]["output"]["applications"][0];
            assert_eq!(report.get("drift"), None, "{report} {stderr}");
            assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("1.2.0"));
        }
    }
}

#[test]
fn a_second_deployment_of_builds_that_nobody_names_has_not_drifted() {
    let rig = Rig::image();
    rig.token(&["read", "deploy", "write"]);
    let (document, _) = rig.works(DEPLOY, None);
    let report = &document["steps"][0]["output"]["applications"][0];
    assert_eq!(report.get("drift"), None, "{report}");
}

/// A page whose text is that of every build.
fn constant(rig: &Rig, more: &str) {
    rig.settings(&format!("body = \"shop\"\n{more}"));
    let path = rig.write("x", "").with_file_name("release.toml");
    let text = std::fs::read_to_string(&path).expect("settings").replace("marker = \"X-Release\"\n", "");
    std::fs::write(path, text).expect("written");
}

#[test]
fn a_text_that_every_build_has_proves_no_build() {
    // The tag was written by a run that was killed, and never deployed; the page is content with any build.
    for abilities in &ABILITIES[2..] {
        let rig = Rig::image();
        constant(&rig, "");
        rig.coolify.configure(&rig.apps[0], "1.2.0");
        rig.token(abilities);
        let (code, document, stderr) = rig.run(DEPLOY, None);
        assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("1.2.0"), "it was deployed: {stderr}");
        if abilities.contains(&"read:sensitive") {
            assert_eq!(code, 0, "{stderr}");
        } else {
            assert_eq!((code, document["failure"]["reason"].as_str()), (1, Some("unproven")));
        }
    }
    // And no commit.
    let rig = Rig::with(|coolify| vec![coolify.inline_application("own")]);
    rig.coolify.set(&rig.apps[0], "git_repository", json!("luxima/aceh-commerce"));
    constant(&rig, "");
    rig.token(&["read", "deploy"]);
    rig.fails(&["deploy", "--env", "staging", "--commit", NOWHERE], None, 1, "unproven");
}

#[test]
fn a_worker_without_pages_is_proven_for_itself() {
    let rig = Rig::several(&["shop", "worker"]);
    rig.coolify.set(&rig.apps[0], "fqdn", json!(rig.page.url()));
    rig.token(&["read", "deploy", "write"]);
    // The worker's tag was written and never deployed; the shop runs it, and its page says so.
    rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
    rig.coolify.configure(&rig.apps[1], "1.2.0");
    let (_, document, stderr) = rig.run(DEPLOY, None);
    assert_eq!(rig.coolify.running(&rig.apps[1]).as_deref(), Some("1.2.0"), "{stderr}");
    assert_eq!(document["failure"]["reason"], "unproven", "nothing shows which build the worker runs");
    rig.token(&["root"]);
    let (document, _) = rig.works(DEPLOY, None);
    assert_eq!(document["steps"][0]["status"], "unchanged", "{document:#}");
}

#[test]
fn a_registry_that_does_not_answer_does_not_make_a_build_sick() {
    let rig = Rig::image();
    let registry = crate::support::registry::registry(None);
    registry.put("1.2.0", "sha256:aa");
    registry.put("1.2.0-rc1", "sha256:aa");
    rig.settings(&format!("registry = \"{}\"", registry.server.url()));
    let before = rig.observed(&["--release", "1.2.0"]);
    // The image calls itself by its candidate's name, and the registry is away when that is to be looked up.
    rig.page(|_| Reply::text(200, "text/plain", "x").with("X-Release", "1.2.0-rc1"));
    let busy = Fault::Answer(Reply::text(503, "text/plain", "busy"));
    registry.server.fault_after("HEAD", "/v2/shop", 1, busy.clone());
    registry.server.fault("HEAD", "/v2/shop/manifests/1.2.0-rc1", 1000, busy.clone());
    let (document, _) = rig.fails(&["deploy", "--auto-rollback"], Some(&before), 75, "health-unknown");
    assert_eq!(rig.starts(), 1, "nothing was rolled back: {document:#}");
    // One look that fails is made again.
    registry.server.clear_faults();
    registry.server.fault("HEAD", "/v2/shop/manifests/1.2.0-rc1", 2, busy);
    rig.works(DEPLOY, None);
}

#[test]
fn a_git_application_is_not_called_by_an_image() {
    let rig = Rig::git();
    // The settings have a template for images, and the version is known.
    let args = ["deploy", "--env", "staging", "--release", "1.2.0", "--commit", C];
    for (args, words) in [(&args[..], "runs"), (&[&args[..], &["--plan"]].concat(), "runs already")] {
        let (document, stderr) = rig.works(args, None);
        let summary = document["steps"][0]["summary"].as_str().expect("one");
        assert!(summary.contains("commit ccccccccc") && summary.contains(words), "{summary}");
        assert!(!document.to_string().contains(IMAGE) && !stderr.contains(IMAGE), "{document} {stderr}");
    }
    rig.breaks_with(A);
    let (document, _) =
        rig.fails(&["deploy", "--env", "staging", "--release", "1.2.0", "--commit", A], None, 1, "not-live");
    assert!(!document.to_string().contains(IMAGE), "{document}");
}

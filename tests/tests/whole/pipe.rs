//! The candidate's chain in one pipe of dash, which knows no pipefail: whichever step fails, nothing after it acts, the
//! pipe's exit code is that step's, and notify tells it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use step::Exit;
use testkit::Sandbox;
use testkit::http::{Fault, Reply};

const CHAIN: [&str; 5] = [
    "changelog-lint CHANGELOG.md",
    "tag-rc candidate",
    "deploy-coolify deploy --env staging",
    "cdn-purge",
    "notify",
];

fn staging() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    sandbox.product.git(&["switch", "--quiet", "staging"]);
    sandbox
}

fn dash(sandbox: &Sandbox, pipe: &str) -> Command {
    let mut command = sandbox.command("dash");
    command.args(["-c", pipe]).stdin(Stdio::null());
    command
}

/// Exit code and stderr; stdout is the last document.
fn run(mut command: Command) -> (i32, String) {
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.stdout.is_empty() {
        testkit::schema::validate(&serde_json::from_slice(&output.stdout).expect("one document"));
    }
    (output.status.code().expect("an exit code"), said)
}

/// What each step after the first has done outside: tags, deployments, purges, messages.
fn effects(sandbox: &Sandbox) -> [usize; 4] {
    let tags = sandbox.remote.tags().iter().filter(|tag| tag.contains("-rc")).count();
    // A purged page is fetched again from the shop.
    let purged = usize::from(sandbox.page("staging", "/sale").1 != "1.1.4");
    [
        tags,
        sandbox.coolify.deployments(&sandbox.staging.application),
        purged,
        sandbox.telegram.messages().len(),
    ]
}

fn first_lines(sandbox: &Sandbox) -> Vec<String> {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    sandbox.telegram.messages().iter().map(|m| first(&m.text)).collect()
}

#[test]
fn undisturbed_and_once_more() {
    let sandbox = staging();
    assert_eq!(sandbox.page("staging", "/sale").1, "1.1.4", "the edge has a copy");
    let (code, said) = run(dash(&sandbox, &CHAIN.join(" | ")));
    assert_eq!(code, 0, "{said}");
    assert_eq!(effects(&sandbox), [1, 1, 1, 1]);
    assert_eq!(first_lines(&sandbox), ["✅ aceh-commerce v1.2.0-rc1, staging: done by hand"]);
    // The second document is another run: it finds everything as it should be.
    let (code, said) = run(dash(&sandbox, &CHAIN.join(" | ")));
    assert_eq!(code, 0, "{said}");
    assert_eq!(effects(&sandbox), [1, 1, 1, 2]);
}

/// The chain with something broken at `step` (counted from 0) ends there.
fn breaks(step: usize, expected: i32, disturb: impl Fn(&Sandbox, &mut Command)) {
    let sandbox = staging();
    assert_eq!(sandbox.page("staging", "/sale").1, "1.1.4", "the edge has a copy");
    let mut command = dash(&sandbox, &CHAIN.join(" | "));
    disturb(&sandbox, &mut command);
    let (code, said) = run(command);
    assert_eq!(code, expected, "{}: {said}", CHAIN[step]);
    let effects = effects(&sandbox);
    assert!(effects[step..3].iter().all(|n| *n == 0), "{}: {effects:?} {said}", CHAIN[step]);
    let lines = first_lines(&sandbox);
    let program = CHAIN[step].split(' ').next().expect("a name");
    assert!(lines.len() == 1 && lines[0].contains(&format!("FAILED at {program}")), "{lines:?} {said}");
}

#[test]
fn whichever_step_fails_ends_it() {
    breaks(0, 1, |sandbox, _| {
        let log = sandbox.product_dir().join("CHANGELOG.md");
        std::fs::write(log, "# Changelog\n\n## [1.2.0] - 2026-02-30\n### Added\n- A day\n").expect("written");
    });
    breaks(1, 1, |sandbox, _| sandbox.remote.decline_pushes());
    breaks(2, 78, |_, command| {
        command.env("RILIS_DEPLOY_COOLIFY_URL", "coolify.example");
    });
    breaks(3, 1, |sandbox, command| {
        // Coolify is no cache: it answers a purge with 404.
        command.env("RILIS_CDN_PURGE_ENDPOINT", sandbox.coolify.server().url());
    });
}

#[test]
fn a_deployment_that_fails_is_not_purged_for() {
    let sandbox = staging();
    assert_eq!(sandbox.page("staging", "/sale").1, "1.1.4", "the edge has a copy");
    sandbox.coolify.fail_next_deployment();
    let (code, said) = run(dash(&sandbox, &CHAIN.join(" | ")));
    assert_eq!(code, 1, "{said}");
    assert_eq!(effects(&sandbox), [1, 1, 0, 1]);
    assert!(first_lines(&sandbox)[0].contains("FAILED at deploy-coolify deploy"), "{said}");
}

#[test]
fn a_message_that_cannot_be_sent_is_told_by_the_exit_code_alone() {
    let sandbox = staging();
    let refused =
        serde_json::json!({ "ok": false, "error_code": 403, "description": "Forbidden: bot was kicked" });
    sandbox.telegram.server().fault("POST", "/bot", 20, Fault::Answer(Reply::json(403, refused)));
    let (code, said) = run(dash(&sandbox, &CHAIN.join(" | ")));
    assert!(code != 0 && said.contains("bot was kicked"), "{code} {said}");
    assert_eq!(effects(&sandbox)[..2], [1, 1], "{said}");
}

/// A folder with a program that dies at once, without a word.
fn dying(sandbox: &Sandbox, program: &str) -> PathBuf {
    let folder = sandbox.root().join(format!("dying-{program}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(program);
    std::fs::write(&path, "#!/bin/sh\nkill -9 $$\n").expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    folder
}

fn path_with(sandbox: &Sandbox, first: &Path) -> String {
    let environment = sandbox.environment();
    let (_, path) = environment.iter().find(|(name, _)| name == "PATH").expect("a PATH");
    format!("{}:{path}", first.display())
}

#[test]
fn a_step_that_dies_without_a_document_is_65_and_no_fresh_start() {
    for program in ["changelog-lint", "tag-rc", "deploy-coolify", "cdn-purge"] {
        let sandbox = staging();
        let mut command = dash(&sandbox, &CHAIN.join(" | "));
        command.env("PATH", path_with(&sandbox, &dying(&sandbox, program)));
        let (code, said) = run(command);
        assert_eq!(code, Exit::NoDocument as i32, "{program}: {said}");
        assert_eq!(sandbox.telegram.server().log().len(), 0, "{program}: {said}");
        let deployed = usize::from(program == "cdn-purge");
        assert_eq!(sandbox.coolify.deployments(&sandbox.staging.application), deployed, "{program}");
    }
}

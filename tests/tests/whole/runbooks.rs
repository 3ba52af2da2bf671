//! The runbooks in the sandbox: undisturbed, with each step failing, and killed after each step's effect. However it goes on the
//! way, they end where an undisturbed run ends.

use std::path::PathBuf;
use std::process::Command;

use crate::story::{self, ready, run, succeeds, told};
use step::Exit;
use testkit::Sandbox;
use testkit::http::{Fault, Reply};

/// Everything that a release or a rollback is about, seen from outside.
#[derive(Debug, PartialEq, Eq)]
struct End {
    page: (u16, String),
    past_the_edge: String,
    image: Option<String>,
    deployments: usize,
    tags: Vec<String>,
    prices: String,
    /// Databases that are closed or half-made.
    leftovers: usize,
    /// First lines.
    messages: Vec<String>,
}

fn end(sandbox: &Sandbox) -> End {
    let production = &sandbox.production;
    let (status, release, _) = sandbox.page("production", "/sale");
    End {
        page: (status, release),
        past_the_edge: sandbox.page("production", "/api/health").1,
        image: sandbox.coolify.running(&production.application),
        deployments: sandbox.coolify.deployments(&production.application),
        tags: sandbox.remote.tags(),
        prices: sandbox.cluster.value("shop", "select sum(price) from products"),
        leftovers: story::leftovers(sandbox).parse().expect("a number"),
        messages: told(sandbox),
    }
}

/// 1.2.0 was released, and 1.3.0 has destroyed the prices. Gives the phrase that confirms the way back.
fn broken() -> (Sandbox, String) {
    let sandbox = story::broken();
    let phrase = sandbox.confirmation();
    (sandbox, phrase)
}

fn rollback(sandbox: &Sandbox, phrase: &str) -> Command {
    let mut command = sandbox.runbook("rollback");
    command.args(["--database", "restore", "--confirm", phrase]);
    command
}

const RELEASED: &str = "✅ aceh-commerce 1.2.0 → production";
const BROKEN: &str = "❌ aceh-commerce 1.3.0 → production FAILED at deploy-coolify deploy";
const BACK: &str = "↩️ aceh-commerce 1.3.0 → 1.2.0-rc1 rolled back, production";

fn released(messages: &[&str]) -> End {
    End {
        // What was tested is what ships: its page and its image still say so.
        page: (200, "1.2.0-rc1".into()),
        past_the_edge: "1.2.0-rc1".into(),
        image: Some("v1.2.0-rc1".into()),
        deployments: 1,
        tags: vec!["v1.1.4".into(), "v1.2.0".into(), "v1.2.0-rc1".into()],
        prices: "1365000".into(),
        leftovers: 0,
        messages: messages.iter().map(|m| (*m).to_owned()).collect(),
    }
}

fn back(messages: &[&str]) -> End {
    let mut released = released(messages);
    released.tags.extend(["v1.3.0".into(), "v1.3.0-rc1".into()]);
    End { deployments: 3, ..released }
}

/// A folder of programs that run the real ones; `program action` is killed together with its runbook when its work is done and
/// nothing of it has been written. It happens once.
fn killer(sandbox: &Sandbox, program: &str, action: &str) -> PathBuf {
    let folder = sandbox.root().join(format!("killer-{program}-{action}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let real = testkit::bin(program);
    let action = match action.strip_prefix('!') {
        Some(other) => format!("[ \"${{1-}}\" != {other} ] && "),
        None if action.is_empty() => String::new(),
        None => format!("[ \"${{1-}}\" = {action} ] && "),
    };
    let script = format!(
        "#!/bin/sh\nout=$(mktemp)\n{real} \"$@\" >\"$out\"; code=$?\n\
         if {action}mkdir {folder}/once 2>/dev/null; then {cut}; fi\n\
         cat \"$out\"; rm -f \"$out\"; exit $code\n",
        real = real.display(),
        folder = folder.display(),
        cut = story::POWER_CUT,
    );
    let path = folder.join(program);
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    folder
}

fn with_path(mut command: Command, first: &std::path::Path) -> Command {
    let path =
        command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, v)| v).expect("a PATH").to_owned();
    command.env("PATH", format!("{}:{}", first.display(), path.display()));
    command
}

#[test]
fn a_release_and_a_rollback_undisturbed_and_once_more() {
    let (sandbox, phrase) = broken();
    assert_eq!(sandbox.page("production", "/api/health").0, 500);
    let plan = succeeds(rollback(&sandbox, &phrase).arg("--plan"));
    assert!(plan.contains("would bring back"), "{plan}");
    assert_eq!(sandbox.page("production", "/api/health").0, 500);
    succeeds(&mut rollback(&sandbox, &phrase));
    assert_eq!(end(&sandbox), back(&[RELEASED, BROKEN, BACK]));

    // Both are finished: nothing happens a second time.
    let requests = (sandbox.coolify.server().changes(), sandbox.telegram.server().changes());
    assert!(succeeds(&mut rollback(&sandbox, &phrase)).contains("is finished; nothing to do"));
    sandbox.product.git(&["switch", "--quiet", "--detach", "v1.2.0"]);
    assert!(succeeds(sandbox.runbook("release").arg("1.2.0")).contains("is finished; nothing to do"));
    assert_eq!(requests, (sandbox.coolify.server().changes(), sandbox.telegram.server().changes()));
    assert_eq!(end(&sandbox), back(&[RELEASED, BROKEN, BACK]));
}

#[test]
fn a_release_killed_after_any_step_ends_like_any_other() {
    let steps = [
        ("changelog-lint", ""),
        ("release-gate", "gates"),
        ("deploy-coolify", "tested"),
        ("deploy-coolify", "observe"),
        ("db-restore", "snapshot"),
        ("db-restore", "rehearse"),
        ("notify", "--ready"),
        ("release-gate", "certificate"),
        ("tag-rc", "final"),
        ("deploy-coolify", "deploy"),
        ("cdn-purge", "!--ready"),
        ("notify", "!--ready"),
    ];
    for (program, action) in steps {
        let sandbox = ready();
        let folder = killer(&sandbox, program, action);
        let mut command = with_path(sandbox.runbook("release"), &folder);
        let (code, said) = run(command.arg("1.2.0"));
        assert!(code.is_none() && folder.join("once").is_dir(), "{program} {action}: {code:?} {said}");
        succeeds(sandbox.runbook("release").arg("1.2.0"));
        assert_eq!(end(&sandbox), released(&[RELEASED]), "{program} {action}");
        let snapshots =
            std::fs::read_dir(sandbox.root().join("snapshots/production")).expect("there").count();
        assert_eq!(snapshots, 1, "{program} {action}");
    }
}

#[test]
fn a_rollback_killed_after_any_step_ends_like_any_other() {
    let steps = [
        ("deploy-coolify", "observe"),
        ("db-restore", "restore"),
        ("deploy-coolify", "rollback"),
        ("cdn-purge", ""),
        ("notify", ""),
    ];
    for (program, action) in steps {
        let (sandbox, phrase) = broken();
        let folder = killer(&sandbox, program, action);
        let (code, said) = run(&mut with_path(rollback(&sandbox, &phrase), &folder));
        assert!(code.is_none() && folder.join("once").is_dir(), "{program} {action}: {code:?} {said}");
        succeeds(&mut rollback(&sandbox, &phrase));
        assert_eq!(end(&sandbox), back(&[RELEASED, BROKEN, BACK]), "{program} {action}");
    }
}

/// A release with something broken that stops at `step`, and goes on to its end after the remedy.
fn breaks(step: &str, expected: i32, disturb: impl Fn(&Sandbox, &mut Command), remedy: impl Fn(&Sandbox)) {
    let sandbox = ready();
    let mut command = sandbox.runbook("release");
    disturb(&sandbox, &mut command);
    let (code, said) = run(command.arg("1.2.0"));
    assert_eq!(code, Some(expected), "{step}: {said}");
    let failed = format!("❌ aceh-commerce 1.2.0 → production FAILED at {step}");
    assert_eq!(end(&sandbox).messages, [failed.as_str()], "{step}");
    let done = |name: &str| find(&sandbox, name).is_some();
    assert!(!done("-purge.json"), "{step}");
    let run = find(&sandbox, "/run.json").expect("a run");
    assert_eq!(story::state(run.parent().expect("a folder")), "failed", "{step}");
    remedy(&sandbox);
    succeeds(sandbox.runbook("release").arg("1.2.0"));
    let deployments = if step == "deploy-coolify deploy" { 2 } else { 1 };
    assert_eq!(end(&sandbox), End { deployments, ..released(&[&failed, RELEASED]) }, "{step}");
}

/// The remote takes everything but tags.
fn decline_tags(sandbox: &Sandbox) {
    let hook = sandbox.remote.path().join("hooks/update");
    std::fs::write(
        &hook,
        "#!/bin/sh\ncase $1 in refs/tags/*) echo 'no tags on a Friday' >&2; exit 1 ;; esac\n",
    )
    .expect("written");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
}

fn secret(sandbox: &Sandbox, name: &str, text: &str) {
    testkit::write_private(&sandbox.root().join("secrets").join(name), text);
}

#[test]
fn a_release_whose_step_fails_stops_there_says_so_and_goes_on_later() {
    breaks(
        "deploy-coolify tested",
        78,
        |s, _| secret(s, "coolify-token", "17|some-other-token"),
        |s| secret(s, "coolify-token", testkit::sandbox::COOLIFY_TOKEN),
    );
    breaks(
        "db-restore snapshot",
        78,
        |s, _| secret(s, "database-password", "some-other-password"),
        |s| secret(s, "database-password", testkit::postgres::PASSWORD),
    );
    let declining = |s: &Sandbox| s.remote.path().join("hooks/update");
    breaks(
        "tag-rc final",
        1,
        |s, _| decline_tags(s),
        |s| std::fs::remove_file(declining(s)).expect("removed"),
    );
    breaks("deploy-coolify deploy", 1, |s, _| s.coolify.fail_next_deployment(), |_| {});
    // Coolify is no cache: it answers a purge with 404.
    let not_a_cache = |s: &Sandbox, c: &mut Command| {
        c.env("RILIS_CDN_PURGE_ENDPOINT", s.coolify.server().url());
    };
    breaks("cdn-purge", 1, not_a_cache, |_| {});
}

#[test]
fn a_step_that_dies_without_a_word_is_no_success() {
    let sandbox = ready();
    let folder = sandbox.root().join("dying");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("tag-rc");
    std::fs::write(&path, "#!/bin/sh\n[ \"$1\" != ready ] || exit 0\nkill -9 $$\n").expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let (code, said) = run(with_path(sandbox.runbook("release"), &folder).arg("1.2.0"));
    assert_eq!(code, Some(137), "{said}");
    let died = "❌ aceh-commerce 1.2.0 → production FAILED at the step after release-gate certificate";
    assert_eq!(end(&sandbox).messages, [died]);
    succeeds(sandbox.runbook("release").arg("1.2.0"));
    assert_eq!(end(&sandbox), released(&[died, RELEASED]));
}

/// A file of the one run whose name ends so.
fn find(sandbox: &Sandbox, end: &str) -> Option<PathBuf> {
    let runs = std::fs::read_dir(sandbox.product_dir().join("runs")).ok()?.flatten();
    let files = runs.filter_map(|run| std::fs::read_dir(run.path()).ok()).flatten().flatten();
    files.map(|file| file.path()).find(|path| path.to_string_lossy().ends_with(end))
}

#[test]
fn a_plan_changes_nothing_anywhere() {
    let sandbox = ready();
    let databases = || {
        sandbox.cluster.query("postgres", "select datname, datallowconn::text from pg_database order by 1")
    };
    let state = || {
        (
            end(&sandbox),
            databases(),
            sandbox.product.git(&["for-each-ref"]),
            sandbox.product.git(&["status", "--porcelain"]),
        )
    };
    let before = state();
    // Whether the chat can be reached may be asked.
    let sent = || sandbox.telegram.server().log().iter().filter(|r| !r.path.contains("/get")).count();
    let changes = || sandbox.coolify.server().changes() + sent();
    let (changed, purges) = (changes(), sandbox.production.shop.server().log().len());
    let said = succeeds(sandbox.runbook("release").args(["--plan", "1.2.0"]));
    for would in ["would take a snapshot", "would tag", "would be deployed", "would purge"] {
        assert!(said.contains(would), "{would}: {said}");
    }
    succeeds(
        sandbox
            .runbook("rollback")
            .args(["--plan", "--database", "keep", "--although", "1.2.0 has no tag yet"])
            .env("RILIS_DEPLOY_COOLIFY_HEALTH_TIMEOUT", "50ms")
            .arg("--of")
            .arg(planned_document(&sandbox)),
    );
    // The same by one pipe: the first step's word is enough.
    let pipe = "changelog-lint CHANGELOG.md --plan --env production --release 1.2.0 | deploy-coolify observe | db-restore snapshot | tag-rc final | deploy-coolify deploy | cdn-purge | notify";
    succeeds(sandbox.command("dash").args(["-c", pipe]).stdin(std::process::Stdio::null()));
    assert_eq!(changes(), changed);
    assert_eq!(state(), before);
    assert!(!sandbox.root().join("snapshots").exists() && !sandbox.root().join("state").exists());
    // Health and page were asked for; a purged page would have been fetched again.
    assert!(sandbox.production.shop.server().log()[purges..].iter().all(|r| r.method == "GET"));
}

/// A document of a release that might have happened: 1.1.4 was brought over 1.1.4.
fn planned_document(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.root().join("released.json");
    let image = "registry.luxima.id/aceh-commerce:1.1.4";
    let document = serde_json::json!({ "schema": 1, "id": "aceh-commerce-1.1.4-20261124T120000Z-7f3a", "procedure": "release", "mode": "apply",
        "opened": "2026-11-24T12:00:00Z", "steps": [], "facts": { "product": "aceh-commerce", "environment": "production", "version": "1.2.0",
        "image": "registry.luxima.id/aceh-commerce:1.2.0", "previous": { "version": "1.1.4", "image": image, "deployments": [] } } });
    std::fs::write(&path, document.to_string()).expect("written");
    path
}

/// However busy the machine is: until the run stands at Coolify's door.
fn coolify_is_asked(sandbox: &Sandbox) {
    let started = std::time::Instant::now();
    while sandbox.coolify.server().count("GET", "/api/v1/") == 0 {
        assert!(started.elapsed().as_secs() < 60, "Coolify was never asked");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn only_one_hand_is_on_a_run() {
    let sandbox = ready();
    // The first one waits at Coolify for a while.
    sandbox.coolify.server().fault("GET", "/api/v1/", 1, Fault::Hang(std::time::Duration::from_millis(1500)));
    let mut first = sandbox.runbook("release");
    let first = first
        .arg("1.2.0")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    coolify_is_asked(&sandbox);
    let (code, said) = run(sandbox.runbook("release").arg("1.2.0"));
    assert_eq!(code, Some(Exit::Temporary as i32), "{said}");
    assert!(said.contains("somebody else is at work"), "{said}");
    let mut first = first;
    assert!(first.wait().expect("it ends").success());
    assert_eq!(end(&sandbox), released(&[RELEASED]));
}

#[test]
fn an_interrupted_release_says_so_and_goes_on() {
    let sandbox = ready();
    sandbox.coolify.server().fault("GET", "/api/v1/", 1, Fault::Hang(std::time::Duration::from_millis(1000)));
    let child = sandbox
        .runbook("release")
        .arg("1.2.0")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    coolify_is_asked(&sandbox);
    // As a terminal does, all of them; a push to the remote may have ended in between.
    let everybody = "children=$(ps -o pid= --ppid $0); kill -TERM $0 || exit 1\n\
                     for child in $children; do kill -TERM $child || :; done";
    let status = Command::new("sh").args(["-c", everybody, &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    succeeds(sandbox.runbook("release").arg("1.2.0"));
    let after = end(&sandbox);
    assert_eq!(after.messages.len(), 2, "{after:?}");
    assert_eq!(End { messages: Vec::new(), ..after }, released(&[]));
}

#[test]
fn what_a_runbook_is_told_wrong_is_said_before_anything() {
    let sandbox = ready();
    for (name, args) in [
        ("release", vec![]),
        ("release", vec!["--nonsense"]),
        ("rollback", vec!["--database", "maybe"]),
        ("rollback", vec!["--database"]),
        ("release", vec!["--no-lock", "", "1.2.0"]),
        ("candidate", vec!["1.2.0", "1.3.0"]),
        ("release", vec!["-C", "/nowhere", "1.2.0"]),
    ] {
        let (code, said) = run(sandbox.runbook(name).args(&args));
        assert_eq!(code, Some(2), "{name} {args:?}: {said}");
    }
    let (code, said) = run(sandbox.runbook("release").arg("9.9.9"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("9.9.9"), "{said}");
    assert_eq!(sandbox.coolify.server().changes(), 0);
    let reply = Reply::text(503, "text/html", "starting");
    sandbox.coolify.server().fault("GET", "/api/v1/", 20, Fault::Answer(reply));
    let (code, said) =
        run(sandbox.runbook("release").arg("1.2.0").env("RILIS_DEPLOY_COOLIFY_INTERVAL", "5ms"));
    assert_eq!(code, Some(Exit::Temporary as i32), "{said}");
}

//! No secret is seen anywhere: not in what the programs print, not in a file that they leave, not in the arguments or the
//! environment of any process that they start, not in a help text.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::Sandbox;
use testkit::http::{Fault, Reply};
use testkit::sandbox::{COOLIFY_TOKEN, TELEGRAM_TOKEN};

/// The first canary in a text, if there is one.
fn found<'a>(canaries: &[&'a str], bytes: &[u8]) -> Option<&'a str> {
    let has = |canary: &&&str| bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
    canaries.iter().find(has).copied()
}

/// Arguments and environment of every process that works in a folder; the places where a canary was seen.
fn watch(folder: &Path, canaries: &[&str], seen: &mut Vec<String>) -> usize {
    let mut processes = 0;
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let path = entry.path();
        // Processes come and go, and some are not ours to look into.
        if !std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)) {
            continue;
        }
        processes += 1;
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(path.join(file)).unwrap_or_default();
            if let Some(canary) = found(canaries, &bytes) {
                seen.push(format!("{canary} in {file} of {}", String::from_utf8_lossy(&bytes)));
            }
        }
    }
    processes
}

/// Runs a command while its processes are watched; what it printed.
fn watched(sandbox: &Sandbox, command: &mut Command) -> Vec<u8> {
    let canaries = sandbox.canaries();
    let over = AtomicBool::new(false);
    let (output, seen, processes) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut seen, mut processes) = (Vec::new(), 0);
            while !over.load(Ordering::Relaxed) {
                processes += watch(sandbox.root(), &canaries, &mut seen);
                std::thread::sleep(Duration::from_millis(2));
            }
            (seen, processes)
        });
        let output = command.stdin(Stdio::null()).output().expect("it runs");
        over.store(true, Ordering::Relaxed);
        let (seen, processes) = watcher.join().expect("watched");
        (output, seen, processes)
    });
    assert!(seen.is_empty(), "{seen:?}");
    assert!(processes > 0, "nothing was watched");
    [output.stdout, output.stderr].concat()
}

/// Every file below a folder but the secrets themselves.
fn files(folder: &Path, check: &mut dyn FnMut(&Path, &[u8])) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("secrets") && !entry.file_type().is_ok_and(|t| t.is_symlink()) {
            count += files(&path, check);
        } else if path.is_file() {
            check(&path, &std::fs::read(&path).unwrap_or_default());
            count += 1;
        }
    }
    count
}

#[test]
fn a_release_and_a_rollback_show_no_secret() {
    let sandbox = Arc::new(Sandbox::start());
    let canaries = sandbox.canaries();
    // Outside systems that say back what they were told.
    let echo = |token: &str| Fault::Answer(Reply::text(400, "text/html", format!("bad token {token}")));
    let mut printed = Vec::new();
    sandbox.product.git(&["switch", "--quiet", "staging"]);
    let verbose = "changelog-lint -v | tag-rc candidate -v | deploy-coolify deploy -v --env staging | cdn-purge -v | notify -v";
    sandbox.coolify.server().fault("GET", "/api/v1/deployments", 1, echo(COOLIFY_TOKEN));
    sandbox.telegram.server().fault("POST", "/bot", 1, echo(TELEGRAM_TOKEN));
    printed.extend(watched(&sandbox, sandbox.command("dash").args(["-c", verbose])));
    // The deployment went on in Coolify while we were told nonsense.
    sandbox.coolify.history(&sandbox.staging.application, &["1.1.4", "v1.2.0-rc1"]);
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    sandbox.product.git(&["pull", "--quiet", "--ff-only"]);
    printed.extend(watched(&sandbox, sandbox.runbook("release").arg("1.2.0")));
    // A rollback of what was released, with the database.
    let phrase = sandbox.confirmation();
    let back = ["--database", "restore", "--confirm", phrase.as_str()];
    printed.extend(watched(&sandbox, sandbox.runbook("rollback").args(back)));
    let text = String::from_utf8_lossy(&printed);
    assert!(text.contains("release: done") && text.contains("rollback: done"), "{text}");
    assert!(text.contains("[redacted]"), "what was said back was shown without the secret: {text}");
    assert_eq!(found(&canaries, &printed), None, "{text}");
    let count = files(sandbox.root(), &mut |path, bytes| {
        assert_eq!(found(&canaries, bytes), None, "{}", path.display());
    });
    assert!(count > 20, "{count}");
}

#[test]
fn help_and_check_show_no_secret() {
    let sandbox = Sandbox::start();
    let canaries = sandbox.canaries();
    let variables = [
        ("COOLIFY_TOKEN", canaries[0]),
        ("TELEGRAM_BOT_TOKEN", canaries[1]),
        ("DATABASE_PASSWORD", canaries[2]),
        ("CLOUDFLARE_API_TOKEN", canaries[0]),
    ];
    for program in testkit::programs() {
        for flag in ["--help", "--man", "--bogus", "--check"] {
            let words: &[&str] =
                if flag == "--check" { &[flag, "-v", "--env", "production"] } else { &[flag] };
            let mut command = sandbox.command(testkit::bin(program));
            let output = command.args(words).envs(variables).stdin(Stdio::null()).output().expect("it runs");
            let printed = [output.stdout, output.stderr].concat();
            assert_eq!(found(&canaries, &printed), None, "{program} {flag}");
            assert!(!printed.is_empty(), "{program} {flag}");
        }
    }
}

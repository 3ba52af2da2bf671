//! Starts a sandbox, runs a command in its product's folder, and stops everything again: `sandbox [--dir DIR] -- COMMAND...`.
#![allow(clippy::print_stderr, reason = "a program of its own, outside of the shared main")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::Sandbox;
use testkit::http::{Reply, Request, Server};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let mut dir = None;
    if words.peek().is_some_and(|w| w == "--dir") {
        words.next();
        dir = words.next().map(PathBuf::from);
    }
    if words.peek().is_some_and(|w| w == "--") {
        words.next();
    }
    let command: Vec<String> = words.collect();
    let Some((program, arguments)) = command.split_first() else {
        eprintln!("usage: sandbox [--dir DIR] -- COMMAND...");
        return ExitCode::from(2);
    };
    let sandbox = Arc::new(dir.map_or_else(Sandbox::start, |dir| Sandbox::start_in(&dir)));
    let ours = Arc::clone(&sandbox);
    let control = Server::start(move |request| act(&ours, request));
    let mut child = sandbox.command(program);
    child.args(arguments).envs(described(&sandbox, &control));
    let code = run(child);
    drop(control);
    ExitCode::from(code)
}

/// What the command has to know.
fn described(sandbox: &Sandbox, control: &Server) -> Vec<(&'static str, String)> {
    vec![
        ("SANDBOX_DIR", sandbox.root().display().to_string()),
        ("SANDBOX_PRODUCTION", sandbox.production.edge.clone()),
        ("SANDBOX_STAGING", sandbox.staging.edge.clone()),
        ("SANDBOX_TELEGRAM", sandbox.telegram.server().url()),
        ("SANDBOX_COOLIFY", sandbox.coolify.server().url()),
        ("SANDBOX_CONTROL", control.url()),
        ("PGHOST", sandbox.cluster.host().to_owned()),
        ("PGPORT", sandbox.cluster.port().to_string()),
        ("PGUSER", "postgres".to_owned()),
        ("PGPASSFILE", passfile(sandbox)),
    ]
}

fn passfile(sandbox: &Sandbox) -> String {
    let path = sandbox.root().join("secrets/passfile");
    testkit::write_private(&path, &format!("*:*:*:*:{}\n", testkit::postgres::PASSWORD));
    path.display().to_string()
}

/// What the outside does in a story.
fn act(sandbox: &Sandbox, request: &Request) -> Reply {
    match request.path.as_str() {
        "/merge" => sandbox.merge_staging_to_main(),
        "/bad-release" => {
            let version = request.query.get("version").map_or("1.3.0", String::as_str);
            if sandbox.remote.tags().contains(&format!("v{version}-rc1")) {
                return Reply::text(409, "text/plain", "that version was prepared before");
            }
            sandbox.prepare_bad_release(version);
        }
        "/at-once" => sandbox.at_once(),
        _ => return Reply::text(404, "text/plain", "no such act"),
    }
    Reply::text(200, "text/plain", "done")
}

/// Runs the command to its end. A signal goes on to it, and everything is stopped in order afterwards.
fn run(mut command: Command) -> u8 {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).expect("a handler");
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("sandbox: {}: {error}", command.get_program().display());
            return 127;
        }
    };
    loop {
        if let Some(status) = child.try_wait().expect("asked") {
            return status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
        }
        if stop.swap(false, Ordering::Relaxed) {
            // If it has ended by now there is nobody to tell.
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

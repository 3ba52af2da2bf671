//! Every binary is held to the rules of docs/document.md: what it does with stdin, stdout, exit codes and documents,
//! whatever its step is.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use step::Exit;
use testkit::{bin, schema};

/// A program with the words that make it a step.
type Step = (&'static str, &'static [&'static str]);

/// The program that is held to the rules in the place of all others: one that `scripts/new-step` has just made.
const ONE: &str = "CONTRACT_OF";

/// Each program of the workspace.
const ALL: &[Step] = &[
    ("changelog-lint", &[]),
    ("tag-rc", &["candidate"]),
    ("deploy-coolify", &["deploy"]),
    ("db-restore", &["snapshot"]),
    ("cdn-purge", &[]),
    ("notify", &[]),
    ("release-gate", &["data"]),
    ("maintenance", &["on"]),
    ("release-run", &["debt", "--reason", "prices are wrong", "--skipped", "qa"]),
];

static STEPS: LazyLock<Vec<Step>> = LazyLock::new(|| match std::env::var(ONE) {
    Ok(name) => vec![(name.leak(), &[])],
    Err(_) => ALL.to_vec(),
});

/// A new step has the rooms of all others, and keeps the rules before a line of it is written.
#[test]
fn what_new_step_makes_is_held_to_the_rules() {
    if std::env::var_os(ONE).is_some() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let programs = testkit::programs().map(str::to_owned);
    let parts = ["Cargo.toml", "Cargo.lock", "README.md", "scripts", "lib", "tests"].map(str::to_owned);
    for part in parts.into_iter().chain(programs) {
        let copied = Command::new("cp").arg("-R").arg(root.join(&part)).arg(folder.path()).status();
        assert!(copied.expect("cp runs").success(), "{part}");
    }
    let name = "release-example";
    let made = Command::new(folder.path().join("scripts/new-step"))
        .args([name, "Says that a new step has the rooms of all others."])
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // What is built here already is used: the same versions in the same place.
    let target = testkit::bin_dir().parent().expect("target").to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--offline", "--package", name])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let held = Command::new(std::env::current_exe().expect("our own executable"))
        .args(["contract::", "--test-threads=2"])
        .env(ONE, name)
        .output()
        .expect("it runs");
    assert!(held.status.success(), "{}", String::from_utf8_lossy(&held.stdout));
    // It is none of those that are installed.
    let _ = std::fs::remove_file(testkit::bin_dir().join(name));
}

#[test]
fn every_program_is_held_to_the_rules() {
    if std::env::var_os(ONE).is_some() {
        return;
    }
    let held: Vec<&str> = STEPS.iter().map(|(program, _)| *program).collect();
    assert_eq!(testkit::programs().collect::<Vec<_>>(), held);
}

/// An empty product's folder.
struct Product(tempfile::TempDir);

impl Product {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("release.toml"), settings).expect("written");
        Product(folder)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(bin(program));
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.0.path()).env("XDG_STATE_HOME", self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, program: &str, args: &[&str], stdin: &[u8]) -> Output {
        let mut child = self.command(program, args).stdin(Stdio::piped()).spawn().expect("it starts");
        // A program that does not read its stdin closes it, and that is what some tests are about.
        let _ = child.stdin.take().expect("a pipe").write_all(stdin);
        child.wait_with_output().expect("it ends")
    }
}

fn plain() -> Product {
    Product::new("[product]\nname = 'shop'\n[environment.staging]\n[environment.production]\n")
}

fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

/// The one document on stdout, checked against the schema.
fn document(output: &Output) -> Value {
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {:?}, stderr: {}", output.stdout, stderr(output)));
    schema::validate(&document);
    document
}

fn good() -> Value {
    json!({
        "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": "release", "mode": "apply",
        "opened": "2026-11-24T12:00:00Z", "zz_newer": { "b": 1.5, "a": [true] },
        "facts": { "product": "shop", "version": "1.2.0", "newer_fact": { "z": 1, "a": "kept" } },
        "steps": [{ "name": "newer-step", "status": "changed", "started": "2026-11-24T12:00:00.000Z", "ms": 1, "summary": "done", "extra": 1 }],
    })
}

fn failed(code: u8) -> Vec<u8> {
    let mut document = good();
    document["failure"] = json!({
        "step": "newer-step", "kind": "temporary", "reason": "odd", "code": code, "acted": "unknown", "message": "it broke", "hint": 1,
    });
    // Not as we would write it: it must come out as it came in.
    let mut text = serde_json::to_string_pretty(&document).expect("JSON");
    text.push_str("\n\n");
    text.into_bytes()
}

#[test]
fn help_and_version_read_no_stdin_and_tell_what_there_is_to_know() {
    for (program, _) in STEPS.iter() {
        for flag in ["--help", "--version", "--man"] {
            // The pipe stays open: whoever reads it never ends.
            let started = Instant::now();
            let mut child =
                plain().command(program, &[flag]).stdin(Stdio::piped()).spawn().expect("it starts");
            let open = child.stdin.take();
            while child.try_wait().expect("asked").is_none() && started.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(2));
            }
            assert!(child.try_wait().expect("asked").is_some(), "{program} {flag} waits for stdin");
            drop(open);
            let output = child.wait_with_output().expect("it ended");
            assert_eq!(code(&output), 0, "{program} {flag}");
            let text = String::from_utf8(output.stdout).expect("UTF-8");
            match flag {
                "--help" => {
                    let (examples, usage) =
                        (text.find("Examples:").expect(program), text.find("Usage:").expect(program));
                    assert!(
                        examples < usage && text.trim_end().ends_with("129, 130, 143  interrupted"),
                        "{text}"
                    );
                }
                "--version" => assert_eq!(text, format!("{program} {}\n", env!("CARGO_PKG_VERSION"))),
                _ => assert!(text.contains(".SH NAME"), "{text}"),
            }
        }
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    for (program, _) in STEPS.iter() {
        for shell in ["bash", "zsh", "fish"] {
            let output = plain().run(program, &["--completions", shell], b"");
            assert!(code(&output) == 0 && output.stdout.len() > 200, "{program} {shell}");
        }
    }
}

#[test]
fn what_is_no_document_ends_with_65_and_one_line() {
    let other_schema = good().to_string().replace("\"schema\":1", "\"schema\":2");
    let truncated = &good().to_string()[..100];
    for (program, words) in STEPS.iter() {
        for stdin in ["", "\n", "{", "[]", "ok", truncated, &other_schema, &format!("{0}{0}", good())] {
            let output = plain().run(program, words, stdin.as_bytes());
            assert_eq!(code(&output), Exit::NoDocument as i32, "{program} {stdin}: {}", stderr(&output));
            assert!(output.stdout.is_empty(), "{program} {stdin}");
            let said = stderr(&output);
            assert!(said.lines().count() == 1 && said.contains("--fresh"), "{program} {stdin}: {said}");
            assert!(said.starts_with(&format!("{program}: ")), "{said}");
        }
    }
}

#[test]
fn a_failed_document_is_handed_on_byte_for_byte_with_its_code() {
    for (program, words) in STEPS.iter().filter(|(program, _)| *program != "notify") {
        for recorded in [1, 65, 75, 130] {
            let bytes = failed(recorded);
            let output = plain().run(program, words, &bytes);
            assert_eq!(code(&output), i32::from(recorded), "{program}");
            assert!(output.stdout == bytes, "{program} changed what it must not touch");
            assert!(
                stderr(&output).contains("newer-step failed: it broke"),
                "{program}: {}",
                stderr(&output)
            );
        }
    }
}

#[test]
fn notify_keeps_the_failure_as_it_is_even_when_it_cannot_tell_anybody() {
    let output = plain().run("notify", &[], &failed(75));
    assert_eq!(code(&output), Exit::Temporary as i32, "{}", stderr(&output));
    let came: Value = serde_json::from_slice(&failed(75)).expect("JSON");
    let went = document(&output);
    assert_eq!(went["failure"], came["failure"]);
    assert_eq!(went["steps"].as_array().map(Vec::len), Some(2), "{went}");
    assert_eq!(went["steps"][1]["status"], "failed");
    // A good document keeps its good name too.
    let output = plain().run("notify", &[], good().to_string().as_bytes());
    assert_eq!(code(&output), Exit::Config as i32, "{}", stderr(&output));
    assert_eq!(document(&output).get("failure"), None);
}

#[test]
fn wrong_words_still_hand_the_document_on() {
    for (program, words) in STEPS.iter() {
        let output = plain().run(program, &with(words, &["--no-such-flag"]), good().to_string().as_bytes());
        assert_eq!(code(&output), 2, "{program}");
        let went = document(&output);
        assert_eq!(went["failure"]["kind"], "usage", "{program}");
        assert_eq!(went["failure"]["acted"], "no", "{program}");
        assert_eq!(went["facts"], good()["facts"], "{program}");
        // With nothing on stdin there is nothing to hand on.
        let output = plain().command(program, &with(words, &["--no-such-flag"])).output().expect("it runs");
        assert_eq!((code(&output), output.stdout.len()), (2, 0), "{program}");
    }
}

#[test]
fn what_is_wrong_with_a_command_line_is_said_once_under_the_programs_name() {
    for program in testkit::programs() {
        let output = plain().command(program, &["--no-such-flag"]).output().expect("it runs");
        let said = stderr(&output);
        assert!(said.lines().all(|line| line.starts_with(&format!("{program}: "))), "{said}");
        assert_eq!(said.matches("--no-such-flag' found").count(), 1, "{said}");
    }
}

#[test]
fn a_version_behind_version_is_no_success() {
    for program in testkit::programs() {
        for words in [&["--version", "1.3.0"][..], &["--version=1.3.0"], &["-V", "1.3.0"]] {
            let output = plain().run(program, words, good().to_string().as_bytes());
            let said = stderr(&output);
            assert_eq!(code(&output), 2, "{program} {words:?}: {said}");
            assert!(said.contains("--release 1.3.0") || said.contains("--release=1.3.0"), "{said}");
            assert_eq!(document(&output)["failure"]["kind"], "usage", "{program}");
        }
    }
}

#[test]
fn a_misspelt_variable_is_an_error_and_names_the_right_one() {
    for (program, words) in STEPS.iter() {
        let own = format!("RILIS_{}_NO_SUCH_KEY", program.to_uppercase().replace('-', "_"));
        let output = plain().command(program, words).env(&own, "x").output().expect("it runs");
        assert_eq!(code(&output), Exit::Config as i32, "{program}: {}", stderr(&output));
        assert!(stderr(&output).contains(&own), "{}", stderr(&output));
        let output =
            plain().command(program, words).env("RILIS_CDN_PRUGE_ENDPOINT", "x").output().expect("it runs");
        assert!(stderr(&output).contains("did you mean RILIS_CDN_PURGE_ENDPOINT?"), "{}", stderr(&output));
        // Another program's is that program's affair, and so is what only begins like ours.
        let others = if *program == "notify" { "RILIS_CDN_PURGE_X" } else { "RILIS_NOTIFY_X" };
        let product = plain();
        let output = product
            .command(program, words)
            .env(others, "x")
            .env("RILIS_ARCHIVE", "y")
            .output()
            .expect("it runs");
        assert!(!stderr(&output).contains("knows the variable"), "{}", stderr(&output));
    }
}

#[test]
fn whatever_a_newer_program_wrote_is_kept_in_its_order() {
    for (program, words) in STEPS.iter() {
        let went = document(&plain().run(program, words, good().to_string().as_bytes()));
        let came = good();
        assert_eq!(went["zz_newer"].to_string(), came["zz_newer"].to_string(), "{program}");
        assert_eq!(
            went["facts"]["newer_fact"].to_string(),
            came["facts"]["newer_fact"].to_string(),
            "{program}"
        );
        assert_eq!(went["steps"][0].to_string(), came["steps"][0].to_string(), "{program}");
        let keys = |v: &Value| v.as_object().expect("an object").keys().take(7).cloned().collect::<Vec<_>>();
        assert_eq!(keys(&went), keys(&came), "{program}");
    }
}

#[test]
fn one_record_is_appended_whatever_happens() {
    for (program, words) in STEPS.iter() {
        let went = document(&plain().run(program, words, good().to_string().as_bytes()));
        let steps = went["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), 2, "{program}: {went}");
        assert_eq!(steps[1]["name"], *program);
    }
}

#[test]
fn an_unknown_setting_is_named_with_its_line_and_the_right_one() {
    for (program, words) in STEPS.iter() {
        let product = Product::new("[product]\nname = 'shop'\nchangelgo = 'x'\n");
        let output = product.run(program, words, good().to_string().as_bytes());
        assert_eq!(code(&output), Exit::Config as i32, "{program}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("release.toml:3: unknown key `changelgo`"), "{program}: {said}");
        assert!(said.contains("did you mean `changelog`?"), "{program}: {said}");
        let went = document(&output);
        // notify alone never says that the release has failed.
        if *program != "notify" {
            assert_eq!(went["failure"]["kind"], "config", "{program}");
        }
    }
}

#[test]
fn a_document_of_another_product_or_environment_is_refused() {
    for (program, words) in STEPS.iter().filter(|(program, _)| *program != "notify") {
        let mut came = good();
        came["facts"]["environment"] = json!("production");
        let output = plain().run(program, &with(words, &["--env", "staging"]), came.to_string().as_bytes());
        assert_eq!(document(&output)["failure"]["reason"], "fact-conflict", "{program}: {}", stderr(&output));
        came["facts"]["product"] = json!("another");
        let output = plain().run(program, words, came.to_string().as_bytes());
        assert_eq!(document(&output)["failure"]["reason"], "fact-conflict", "{program}: {}", stderr(&output));
    }
}

#[test]
fn plan_is_a_ratchet() {
    for (program, words) in STEPS.iter() {
        let lowered =
            document(&plain().run(program, &with(words, &["--plan"]), good().to_string().as_bytes()));
        assert_eq!(lowered["mode"], "plan", "{program}");
        let mut planned = good();
        planned["mode"] = json!("plan");
        let kept = document(&plain().run(program, words, planned.to_string().as_bytes()));
        assert_eq!(kept["mode"], "plan", "{program}");
    }
}

#[test]
fn a_document_that_cannot_be_written_is_74() {
    for (program, words) in STEPS.iter() {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = plain().command(program, words).stdout(full).output().expect("it runs");
        assert_eq!(code(&output), Exit::NotWritten as i32, "{program}: {}", stderr(&output));
    }
}

#[test]
fn a_closed_stdin_opens_a_document() {
    for (program, words) in STEPS.iter() {
        let output = plain().command(program, words).output().expect("it runs");
        let opened = document(&output);
        assert_eq!(opened["facts"]["product"], "shop", "{program}");
        assert_eq!(opened["procedure"], "manual", "{program}");
        assert!(opened["id"].as_str().is_some_and(|id| id.starts_with("shop-")), "{program}");
        // The same without any settings: there is still a document to write the failure into.
        let nowhere = tempfile::tempdir().expect("a folder");
        let output = plain().command(program, words).current_dir(nowhere.path()).output().expect("it runs");
        document(&output);
    }
}

fn waiting(program: &str, words: &[&str]) -> Child {
    plain().command(program, words).stdin(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn a_silent_pipe_is_said_once_and_waited_for() {
    let mut children: Vec<_> =
        STEPS.iter().map(|(program, words)| (program, waiting(program, words))).collect();
    std::thread::sleep(Duration::from_millis(5_600));
    for (program, mut child) in children.drain(..) {
        assert!(child.try_wait().expect("asked").is_none(), "{program} goes on waiting");
        child.stdin.take().expect("a pipe").write_all(good().to_string().as_bytes()).expect("it still reads");
        let output = child.wait_with_output().expect("it ends");
        let said = stderr(&output);
        assert!(
            said.lines().next().is_some_and(|l| l.contains("waiting") && l.contains("--fresh")),
            "{program}: {said}"
        );
        document(&output);
    }
}

#[test]
fn a_signal_while_waiting_ends_with_its_code() {
    let mut children: Vec<_> =
        STEPS.iter().map(|(program, words)| (program, waiting(program, words))).collect();
    std::thread::sleep(Duration::from_millis(300));
    for (_, child) in &children {
        let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }
    // The step before still has a moment to hand its document on; here it does.
    for (program, child) in &mut children {
        let bytes = failed(143);
        child.stdin.take().expect("a pipe").write_all(&bytes).expect("it still reads");
        let mut out = Vec::new();
        child.stdout.take().expect("a pipe").read_to_end(&mut out).expect("read");
        assert_eq!(child.wait().expect("it ends").code(), Some(143), "{program}");
        if **program != "notify" {
            assert!(out == bytes, "{program}");
        }
    }
}

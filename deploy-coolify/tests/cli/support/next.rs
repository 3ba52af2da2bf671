//! Every command that a failure prints is one: its program takes its words.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use step::Exit;

/// Where nothing answers.
const SETTINGS: &str = "[product]\nname = 'shop'\n[environment.staging]\n[environment.production]\n[deploy-coolify]\n\
     url = 'http://127.0.0.1:9'\napplications = ['a']\n";

/// The words of the command, as a shell reads them.
pub fn words(document: &Value) -> Vec<String> {
    let next = document["failure"]["next"].as_str().expect("a command");
    shlex::split(next).unwrap_or_else(|| panic!("not a command: {next}"))
}

/// Holds the command to the program that it calls, if there is one: the words are understood, whatever comes of it.
pub fn is_a_command(document: &Value) {
    if document["failure"].get("next").is_none() {
        return;
    }
    let words = words(document);
    let (program, rest) = words.split_first().expect("a program");
    if let Some(script) = program.strip_prefix("rilis-") {
        return is_a_runbook(script, rest);
    }
    assert_eq!(program, "deploy-coolify", "{words:?}");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("release.toml"), SETTINGS).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-coolify"));
    command.args(rest).args(["--timeout", "50ms"]).current_dir(folder.path()).env_clear();
    let output = command.env("COOLIFY_TOKEN", "17|x").stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(Exit::Temporary as i32), "{words:?}: {said}");
}

/// A runbook reads its words before it goes into the product's folder.
fn is_a_runbook(script: &str, words: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(script);
    let output = Command::new("sh").arg(path).args(["-C", "/nowhere"]).args(words).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("there is no folder /nowhere"), "{script} {words:?}: {said}");
}

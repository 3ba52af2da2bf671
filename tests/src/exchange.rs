//! One document in, one document out.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs a step with a document on stdin, or with none: its exit code, the document that came out (held against the schema),
/// and its stderr.
pub fn exchange(command: &mut Command, document: Option<&Value>) -> (i32, Value, String) {
    command.stdin(if document.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    if let (Some(mut pipe), Some(document)) = (child.stdin.take(), document) {
        pipe.write_all(document.to_string().as_bytes()).expect("it reads");
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    let document = serde_json::from_slice(&stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
    crate::schema::validate(&document);
    let code = status.code().expect("a code");
    assert!(step::Exit::of(code).is_some(), "no program ends with {code}: {stderr}");
    (code, document, stderr)
}

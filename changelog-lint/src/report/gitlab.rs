//! Code Quality of GitLab: an array, one object for each finding, with a fingerprint of its own.

use serde_json::{Value, json};

use super::Subject;
use crate::finding::Level;

pub(super) fn write(subject: &Subject) -> String {
    let fingerprints = subject.fingerprints();
    let items = subject.findings.iter().zip(&fingerprints).map(|(finding, fingerprint)| {
        json!({
            "description": finding.message,
            "check_name": finding.rule.name,
            "fingerprint": fingerprint,
            "severity": if finding.level == Level::Error { "major" } else { "minor" },
            "location": { "path": subject.path, "lines": { "begin": subject.start(finding).line, "end": subject.end(finding).line } },
        })
    });
    format!("{:#}\n", Value::Array(items.collect()))
}

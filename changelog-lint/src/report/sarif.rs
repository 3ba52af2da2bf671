//! SARIF 2.1.0, as GitHub's code scanning and editors read it.

use serde_json::{Value, json};

use super::Subject;
use crate::changelog::Span;
use crate::finding::{Finding, Level};
use crate::rules::{RULES, Rule};

pub(super) fn write(subject: &Subject) -> String {
    let fingerprints = subject.fingerprints();
    let results: Vec<Value> =
        subject.findings.iter().zip(&fingerprints).map(|(f, print)| result(subject, f, print)).collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "changelog-lint", "version": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{report:#}\n")
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.code, "name": rule.name,
        "shortDescription": { "text": rule.summary }, "fullDescription": { "text": rule.explanation },
        "help": { "text": format!("changelog-lint rule {}", rule.code) },
        "defaultConfiguration": { "level": level(rule.levels[0]) },
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Off => "none",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

fn result(subject: &Subject, finding: &Finding, fingerprint: &str) -> Value {
    let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let mut result = json!({
        "ruleId": finding.rule.code,
        "ruleIndex": RULES.iter().position(|rule| rule.code == finding.rule.code).unwrap_or_default(),
        "level": level(finding.level),
        "message": { "text": format!("{}{help}", finding.message) },
        "locations": [{ "physicalLocation": location(subject, &finding.span) }],
        "partialFingerprints": { "changelogLint/v1": fingerprint },
    });
    if let Some(related) = &finding.related {
        let place = json!({ "id": 1, "message": { "text": related.label }, "physicalLocation": location(subject, &related.span) });
        result["relatedLocations"] = json!([place]);
    }
    if let Some(fix) = finding.fix.as_ref().filter(|fix| fix.safe) {
        let edit = |edit: &crate::finding::Edit| {
            json!({
                "deletedRegion": region(subject, &edit.span), "insertedContent": { "text": edit.text },
            })
        };
        let change = json!({
            "artifactLocation": { "uri": subject.uri() }, "replacements": fix.edits.iter().map(edit).collect::<Vec<_>>(),
        });
        result["fixes"] = json!([{ "artifactChanges": [change] }]);
    }
    result
}

fn location(subject: &Subject, span: &Span) -> Value {
    json!({ "artifactLocation": { "uri": subject.uri() }, "region": region(subject, span) })
}

fn region(subject: &Subject, span: &Span) -> Value {
    let (start, end) = (subject.lines.position(span.start), subject.lines.position(span.end));
    json!({ "startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column })
}

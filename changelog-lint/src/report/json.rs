//! Our own format; `schema/report.schema.json` describes it.

use serde_json::{Map, Value, json};

use super::Subject;
use crate::finding::{Finding, Level};
use crate::text::Position;

pub(super) fn write(subject: &Subject) -> String {
    let count = |level| subject.findings.iter().filter(|f| f.level == level).count();
    let mut report = json!({
        "schema_version": 1,
        "tool": { "name": "changelog-lint", "version": env!("CARGO_PKG_VERSION") },
        "path": subject.path,
        "newest": subject.newest,
        "column_unit": "unicode-scalar",
        "errors": count(Level::Error),
        "warnings": count(Level::Warning),
        "diagnostics": subject.findings.iter().map(|f| diagnostic(subject, f)).collect::<Vec<_>>(),
    });
    if subject.newest.is_none()
        && let Some(report) = report.as_object_mut()
    {
        report.shift_remove("newest");
    }
    format!("{report:#}\n")
}

fn place(at: Position) -> Value {
    json!({ "line": at.line, "column": at.column, "offset": at.offset })
}

fn diagnostic(subject: &Subject, finding: &Finding) -> Value {
    let mut item = Map::new();
    item.insert("rule".into(), json!(finding.rule.code));
    item.insert("name".into(), json!(finding.rule.name));
    item.insert("severity".into(), json!(finding.level.word()));
    item.insert("message".into(), json!(finding.message));
    if let Some(help) = &finding.help {
        item.insert("help".into(), json!(help));
    }
    item.insert("start".into(), place(subject.start(finding)));
    item.insert("end".into(), place(subject.end(finding)));
    if let Some(section) = &finding.section {
        item.insert("version".into(), json!(section));
    }
    if let Some(related) = &finding.related {
        let at = |offset| place(subject.lines.position(offset));
        let related =
            json!({ "message": related.label, "start": at(related.span.start), "end": at(related.span.end) });
        item.insert("related".into(), json!([related]));
    }
    if let Some(fix) = &finding.fix {
        let edit = |e: &crate::finding::Edit| json!({ "offset": e.span.start, "length": e.span.len(), "text": e.text });
        let edits: Vec<Value> = fix.edits.iter().map(edit).collect();
        item.insert(
            "fix".into(),
            json!({ "applicability": if fix.safe { "safe" } else { "unsafe" }, "edits": edits }),
        );
    }
    Value::Object(item)
}

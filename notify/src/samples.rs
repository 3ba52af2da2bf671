//! Sample documents on which templates are proven: full ones, and ones that hold as little as a document may.

use serde_json::{Value, json};
use step::Document;

/// Every event, full and minimal, with the exit code of a run that ended without a document.
pub fn samples() -> Vec<(Document, Option<u8>)> {
    let mut all = Vec::new();
    for procedure in ["candidate", "release", "hotfix", "rollback", "rehearsal", "manual"] {
        for failed in [false, true] {
            all.push((sample(procedure, &facts(procedure), &steps(failed), failed.then(failure)), None));
            all.push((
                sample(procedure, &json!({}), &json!([]), failed.then(|| json!({ "step": "tag-rc" }))),
                None,
            ));
        }
        all.push((sample(procedure, &json!({}), &json!([]), None), Some(137)));
    }
    all.into_iter()
        .filter_map(|(value, stopped)| Some((Document::parse(value.to_string().as_bytes()).ok()?, stopped)))
        .collect()
}

fn sample(procedure: &str, facts: &Value, steps: &Value, failure: Option<Value>) -> Value {
    let mut value = json!({
        "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": procedure, "mode": "apply",
        "opened": "2026-11-24T12:00:00Z", "facts": facts, "steps": steps,
    });
    if let Some(failure) = failure {
        value["failure"] = failure;
    }
    value
}

fn facts(procedure: &str) -> Value {
    let mut facts = json!({
        "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0", "tag": "v1.2.0",
        "notes": "### Added\n- Pay with <QRIS> & @rina\n- A\n- B\n- C\n- D\n- E\n", "urls": ["https://shop.example/"],
        "previous": { "version": "1.1.4" },
        "snapshot": { "source": "archive", "id": "shop-20261124T120000Z-7f3a", "taken_at": "2026-11-24T12:00:01.000Z" },
    });
    match procedure {
        "candidate" => facts["tag"] = json!("v1.2.0-rc1"),
        "rollback" => {
            facts["replaces"] = json!({ "version": "1.3.0", "run": "shop-1.3.0-20261124T110000Z-7f3a" });
            facts["loss"] = json!({
                "from": "2026-11-24T11:58:00.000Z", "to": "2026-11-24T12:00:03.500Z", "seconds": 123, "rows": 5, "kept_in": "shop__old_1",
            });
        }
        _ => {}
    }
    facts
}

fn steps(failed: bool) -> Value {
    let status = if failed { "failed" } else { "changed" };
    json!([
        { "name": "changelog-lint", "status": "unchanged", "started": "2026-11-24T12:00:00.000Z", "ms": 12, "summary": "CHANGELOG.md describes 1.2.0" },
        { "name": "deploy-coolify", "action": "deploy", "status": status, "started": "2026-11-24T12:00:01.000Z", "ms": 101_500, "summary": "1.2.0 answers <x>" },
    ])
}

fn failure() -> Value {
    json!({
        "step": "deploy-coolify", "kind": "failed", "reason": "not-live", "code": 1, "acted": "yes", "message": "the pages answer with HTTP 500",
        "causes": ["relation \"x\" does not exist"], "next": "rollback --database restore",
    })
}

//! Sample documents on which templates are proven: full ones, and ones that hold as little as a document may.

use serde_json::{Map, Value, json};
use step::Document;

/// What a full document holds.
const FULL: &str = include_str!("samples.json");

/// Every event, full and minimal, with the exit code of a run that ended without a document.
pub fn samples() -> Vec<(Document, Option<u8>)> {
    let full: Value = serde_json::from_str(FULL).unwrap_or_default();
    let mut all = Vec::new();
    for procedure in ["candidate", "release", "hotfix", "rollback", "rehearsal", "manual"] {
        for failed in [false, true] {
            all.push((whole(&full, procedure, failed), None));
            let failure = failed.then(|| json!({ "step": "tag-rc" }));
            all.push((sample(&full, procedure, Map::new(), json!([]), failure), None));
        }
        all.push((sample(&full, procedure, Map::new(), json!([]), None), Some(137)));
    }
    all.into_iter()
        .filter_map(|(value, stopped)| Some((Document::parse(value.to_string().as_bytes()).ok()?, stopped)))
        .collect()
}

fn whole(full: &Value, procedure: &str, failed: bool) -> Value {
    let mut facts = full["facts"].as_object().cloned().unwrap_or_default();
    facts.extend(full["own_facts"][procedure].as_object().cloned().unwrap_or_default());
    let mut steps = full["steps"].clone();
    if failed {
        steps[1]["status"] = json!("failed");
    }
    sample(full, procedure, facts, steps, failed.then(|| full["failure"].clone()))
}

fn sample(
    full: &Value,
    procedure: &str,
    facts: Map<String, Value>,
    steps: Value,
    failure: Option<Value>,
) -> Value {
    let mut value = full["envelope"].clone();
    value["procedure"] = json!(procedure);
    value["facts"] = Value::Object(facts);
    value["steps"] = steps;
    if let Some(failure) = failure {
        value["failure"] = failure;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_document() {
        assert_eq!(samples().len(), 6 * 5);
        assert!(samples().iter().any(|(document, _)| document.facts().contains_key("loss")));
    }
}

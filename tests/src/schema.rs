//! The document's JSON Schema, to hold every document against that any test sees.

use std::sync::LazyLock;

use serde_json::Value;

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../lib/step/schema/document.schema.json");
    let text = std::fs::read_to_string(path).expect("lib/step/schema/document.schema.json");
    let schema = serde_json::from_str(&text).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
});

/// Panics with every fault if this is no valid document.
pub fn validate(document: &Value) {
    let faults: Vec<String> =
        VALIDATOR.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{}\nin {document:#}", faults.join("\n"));
}

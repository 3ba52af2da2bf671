//! Holds the stand-in of Proxmox against the official description of the API, whose path is the one argument: `make extra` calls it.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use serde_json::{Value, json};
use testkit::Proxmox;
use testkit::proxmox::TOKEN;

/// What release-gate asks, and where the description has it.
const CALLS: [(&str, &str); 5] = [
    ("/cluster/status", "/cluster/status"),
    ("/cluster/ha/status/current", "/cluster/ha/status/current"),
    ("/cluster/resources", "/cluster/resources"),
    ("/nodes/pve1/qemu/110/status/current", "/nodes/{node}/qemu/{vmid}/status/current"),
    ("/nodes/pve2/lxc/120/status/current", "/nodes/{node}/lxc/{vmid}/status/current"),
];

fn main() {
    let path = std::env::args().nth(1).expect("the path of the description");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let api: Value = serde_json::from_str(&text).expect("JSON");
    let proxmox = Proxmox::start();
    proxmox.state().guest(110).lock = Some("backup".into());
    for (call, described) in CALLS {
        let url = format!("{}/api2/json{call}", proxmox.server().url());
        let request = ureq::get(url).header("Authorization", format!("PVEAPIToken={TOKEN}"));
        let mut answer = request.call().expect("an answer");
        let body: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().expect("a body")).expect("JSON");
        let returns = &api[described]["GET"]["returns"];
        assert!(returns.is_object(), "{described}: the description has no such answer");
        let validator = jsonschema::validator_for(&schema(returns)).expect("a schema");
        let faults: Vec<String> =
            validator.iter_errors(&body["data"]).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{call}: {}\nin {body:#}", faults.join("\n"));
    }
    let kinds = &api["/cluster/resources"]["GET"]["parameters"]["properties"]["type"]["enum"];
    for kind in ["vm", "storage"] {
        assert!(kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind))), "{kind}: {kinds}");
    }
    println!("check-proxmox: {} answers fit {path}", CALLS.len());
}

/// JSON Schema of what Proxmox describes in a dialect of its own: what is not optional is required, and Perl writes flags as 0 and 1 and
/// numbers as texts. What is not described is refused, so that the stand-in tells nothing that the real one does not.
fn schema(described: &Value) -> Value {
    let digits = json!({ "type": "string", "pattern": "^[0-9.]+$" });
    match described["type"].as_str() {
        Some("boolean") => json!({ "enum": [0, 1, "0", "1", true, false] }),
        Some(kind @ ("integer" | "number")) => json!({ "anyOf": [{ "type": kind }, digits] }),
        Some("array") => json!({ "type": "array", "items": schema(&described["items"]) }),
        Some("object") if described["properties"].is_object() => object(&described["properties"]),
        Some(kind @ ("string" | "object")) => one_of(json!({ "type": kind }), described),
        _ => one_of(json!({}), described),
    }
}

fn one_of(mut schema: Value, described: &Value) -> Value {
    if described["enum"].is_array() {
        schema["enum"] = described["enum"].clone();
    }
    schema
}

fn object(properties: &Value) -> Value {
    let all = properties.as_object().expect("properties");
    let required: Vec<&String> =
        all.iter().filter(|(_, one)| one["optional"] != 1).map(|(name, _)| name).collect();
    let properties: serde_json::Map<String, Value> =
        all.iter().map(|(name, one)| (name.clone(), schema(one))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

//! Holds the stand-in of Supabase against the official description of the API, whose path is the one argument: `make extra` calls it.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use serde_json::{Value, json};
use testkit::Supabase;
use testkit::supabase::{PROJECT, TOKEN};

fn main() {
    let path = std::env::args().nth(1).expect("the path of supabase-openapi.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let api: Value = serde_json::from_str(&text).expect("JSON");
    let supabase = Supabase::start(1_000, 2_000, |_| {});
    let calls = [("", "get", "200"), ("/database/backups", "get", "200"), ("/health", "get", "200")];
    for (path, method, status) in calls {
        let query = if path == "/health" { "?services=db" } else { "" };
        let url = format!("{}/v1/projects/{PROJECT}{path}{query}", supabase.server().url());
        let mut answer =
            ureq::get(url).header("Authorization", format!("Bearer {TOKEN}")).call().expect("an answer");
        let body: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().expect("a body")).expect("JSON");
        let operation = &api["paths"][format!("/v1/projects/{{ref}}{path}")][method];
        fits(&api, &operation["responses"][status]["content"]["application/json"]["schema"], &body, path);
    }
    // What db-restore sends.
    let post = &api["paths"]["/v1/projects/{ref}/database/backups/restore-pitr"]["post"];
    let schema = &post["requestBody"]["content"]["application/json"]["schema"];
    fits(&api, schema, &json!({ "recovery_time_target_unix": 1_500 }), "restore-pitr");
    println!("check-supabase: {} answers and 1 request fit {path}", calls.len());
}

fn fits(api: &Value, schema: &Value, value: &Value, what: &str) {
    assert!(schema.is_object(), "{what}: the description has no such schema");
    let whole = json!({ "components": api["components"], "allOf": [schema] });
    let validator = jsonschema::validator_for(&whole).expect("a schema");
    let faults: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {}\nin {value:#}", faults.join("\n"));
}

//! Holds the stand-in of GitHub against the official description of the API, whose path is the one argument: `make extra` calls it.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use serde_json::{Value, json};
use testkit::Github;
use testkit::github::{NAME, OWNER, Pull, TOKEN};

const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

/// What is asked for, by its place in the description and as it is asked for.
const CALLS: [(&str, &str); 6] = [
    ("/commits/{ref}/check-runs", "/commits/SHA/check-runs?filter=latest"),
    ("/commits/{ref}/status", "/commits/SHA/status?per_page=100"),
    ("/commits/{commit_sha}/pulls", "/commits/SHA/pulls"),
    ("/pulls/{pull_number}/reviews", "/pulls/12/reviews"),
    ("/rules/branches/{branch}", "/rules/branches/main"),
    ("/commits/{ref}/check-runs", "/commits/SHA/check-runs?page=2"),
];

fn main() {
    let path = std::env::args().nth(1).expect("the path of github-slice.openapi.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut api: Value = serde_json::from_str(&text).expect("JSON");
    nullable(&mut api);
    let github = filled();
    for (place, asked) in CALLS {
        let url = format!("{}/repos/{OWNER}/{NAME}{}", github.server().url(), asked.replace("SHA", SHA));
        let call =
            ureq::get(url).header("Authorization", format!("Bearer {TOKEN}")).header("User-Agent", "check");
        let body = call.call().expect("an answer").body_mut().read_to_string().expect("a body");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let operation = &api["paths"][format!("/repos/{{owner}}/{{repo}}{place}")]["get"];
        let has_it = body.as_array().is_none_or(|items| !items.is_empty());
        assert!(has_it, "{asked}: nothing was held against the description");
        fits(&api, &operation["responses"]["200"]["content"]["application/json"]["schema"], &body, asked);
    }
    println!("check-github: {} answers fit {path}", CALLS.len());
}

/// A repository with one of everything.
fn filled() -> Github {
    let github = Github::start();
    github.check(SHA, "unit", "success");
    github.check_in(2, SHA, "e2e", "in_progress", None);
    github.status(SHA, "ci/jenkins", "success");
    github.require("main", &["unit"]);
    let pull = Pull {
        number: 12,
        author: "rina".to_owned(),
        head: SHA.to_owned(),
        from: "feature/x".to_owned(),
        into: "main".to_owned(),
        merge: Some("a".repeat(40)),
        commits: vec![SHA.to_owned()],
        at: "2026-11-25T12:00:00Z".to_owned(),
    };
    github.pull(pull);
    github.review(12, "budi", "APPROVED", SHA);
    github.review(12, "", "COMMENTED", SHA);
    github
}

/// OpenAPI's word for what JSON Schema writes as a type.
fn nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true)) {
                if let Some(Value::String(kind)) = map.get("type").cloned() {
                    map.insert("type".into(), json!([kind, "null"]));
                }
                if let Some(Value::Array(words)) = map.get_mut("enum") {
                    words.push(Value::Null);
                }
            }
            map.values_mut().for_each(nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}

fn fits(api: &Value, schema: &Value, value: &Value, what: &str) {
    assert!(schema.is_object(), "{what}: the description has no such schema");
    let whole = json!({ "components": api["components"], "allOf": [schema] });
    let validator = jsonschema::validator_for(&whole).expect("a schema");
    let faults: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {}\nin {value:#}", faults.join("\n"));
}

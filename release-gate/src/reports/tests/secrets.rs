//! A report may hold whatever the tests have seen: nothing of that may be in what is kept of it.

use serde_json::Value;

use super::super::{Report, Tool};
use super::{all, parsed, sample};

/// What has the shape of a secret.
const SHAPED: &[&str] = &[
    "ghp_CANARY0123456789abcdefghijklmnopqrstuv",
    "Authorization: Bearer CANARY0123456789abcdef",
    "password=CANARYhunter2hunter2",
    "postgres://shop:CANARYpass9@db/shop",
    "{\"api_key\":\"CANARY0123456789abcdef\"}",
];
/// What has none, and is a value of the environment.
const SHAPELESS: &str = "CANARY horse battery";

fn without_canaries(report: &Report, what: &str) {
    let written = serde_json::to_string(report).expect("JSON");
    assert!(!written.contains("CANARY"), "{what}: {written}");
    for exit_code in [0, 1] {
        let said = report.trouble(exit_code).unwrap_or_default();
        assert!(!said.contains("CANARY"), "{what}: {said}");
    }
}

/// What may be read of a text, and so may be long here.
const READ: &[&str] = &[
    "assertion",
    "errors",
    "failureMessages",
    "file",
    "filePath",
    "fullName",
    "message",
    "name",
    "projectName",
    "rootDir",
    "ruleId",
    "title",
    "value",
    "version",
];

/// Adds a text to each string but for those by which a report is told.
fn poisoned(value: &mut Value, key: &str, with: &str) {
    match value {
        Value::String(_) if matches!(key, "status" | "expectedStatus" | "at") => {}
        Value::String(text) => {
            let with = if READ.contains(&key) { with } else { SHAPED[0] };
            *text = format!("{text} {with}");
        }
        Value::Array(items) => items.iter_mut().for_each(|item| poisoned(item, key, with)),
        Value::Object(entries) => entries.iter_mut().for_each(|(key, item)| poisoned(item, key, with)),
        _ => {}
    }
}

#[test]
fn no_canary_in_a_sample_comes_out() {
    for name in all() {
        for secret in SHAPED {
            // So that the canary is at the beginning, where a message is cut, and where a text is.
            for before in [0, 292, 4060] {
                let with = format!("{} {secret} {} {secret}", "x".repeat(before), "y ".repeat(150));
                let text = if name.ends_with(".json") {
                    let mut value: Value = serde_json::from_str(&sample(&name)).expect("JSON");
                    poisoned(&mut value, "", &with);
                    value.to_string()
                } else {
                    let with = with.replace('"', "&quot;");
                    let text = sample(&name).replace("message=\"", &format!("message=\"{with} "));
                    text.replace("<![CDATA[", &format!("<![CDATA[{with} "))
                        .replace(" name=\"", &format!(" name=\"{with} "))
                };
                let report = parsed(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
                without_canaries(&report, &format!("{name} with {secret} behind {before}"));
            }
        }
    }
}

/// What Newman writes into its report about the environment is in no message, whatever it looks like.
#[test]
fn what_newman_knows_of_the_environment_is_masked() {
    let values = serde_json::json!([{ "key": "user", "value": SHAPELESS }, { "key": "n", "value": 5 }, { "key": "x", "value": null }]);
    for place in ["environment", "globals", "collection"] {
        let mut value: Value = serde_json::from_str(&sample("newman.json")).expect("JSON");
        let list = if place == "collection" { "variable" } else { "values" };
        value[place][list] = values.clone();
        for failure in value["run"]["failures"].as_array_mut().expect("a list") {
            failure["error"]["message"] = format!("expected '{SHAPELESS}' to be empty").into();
            failure["source"]["name"] = format!("login {SHAPELESS}").into();
        }
        for execution in value["run"]["executions"].as_array_mut().expect("a list") {
            execution["response"] = serde_json::json!({ "code": 200, "body": SHAPELESS });
            if let Some(assertions) = execution["assertions"].as_array_mut() {
                assertions[0]["assertion"] = format!("is {SHAPELESS}").into();
                assertions[0]["error"] = serde_json::json!({ "message": format!("got {SHAPELESS}") });
            }
        }
        let report = parsed(&value.to_string()).expect("a report");
        assert_eq!(report.tool, Tool::Newman);
        assert!(report.wrong.iter().any(|wrong| wrong.message.contains("[redacted]")), "{place}: {report:?}");
        without_canaries(&report, place);
    }
}

/// Where there are more values than are looked for, no message is kept at all.
#[test]
fn too_many_values_leave_no_message() {
    let mut value: Value = serde_json::from_str(&sample("newman.json")).expect("JSON");
    let values = (0..600).map(|i| serde_json::json!({ "key": "k", "value": format!("value number {i}") }));
    value["environment"]["values"] = values.collect();
    for failure in value["run"]["failures"].as_array_mut().expect("a list") {
        failure["error"]["message"] = "value number 599".into();
    }
    let report = parsed(&value.to_string()).expect("a report");
    assert!(report.wrong.iter().all(|wrong| wrong.message.is_empty()), "{:?}", report.wrong);
}

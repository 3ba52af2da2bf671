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

/// Where Newman's report may hold what authorises a request, and a value of each form.
const PLACES: &[(&str, &str)] = &[
    (
        "/collection/auth",
        r#"{"type": "bearer", "bearer": [{"key": "token", "value": "S", "type": "string"}]}"#,
    ),
    ("/collection/auth", r#"{"type": "basic", "basic": {"username": "x", "password": "S"}}"#),
    ("/collection/item/0/auth", r#"{"type": "apikey", "apikey": [{"value": "S", "key": "value"}]}"#),
    ("/collection/item/0/request/auth", r#"{"bearer": [{"key": "token", "value": "S"}]}"#),
    ("/collection/item/0/request/header", r#"[{"key": "X-Api-Key", "value": "S"}]"#),
    ("/collection/item/0/request/header", r#"[{"value": "session=x; id=S", "key": "Cookie"}]"#),
    ("/collection/item/0/request/header", r#""Accept: */*\nAuthorization: Bearer S""#),
    ("/collection/item/0/request/url/variable", r#"[{"key": "x", "value": "S"}]"#),
    ("/collection/item/0/variable", r#"[{"key": "x", "value": "S"}]"#),
    (
        "/collection/item/0/item",
        r#"[{"item": [{"request": {"header": [{"key": "apikey", "value": "S"}]}}]}]"#,
    ),
    ("/collection/variable", r#"[{"key": "x", "value": ["S"]}]"#),
    ("/environment/values", r#"[{"key": "x", "value": {"token": "S"}}]"#),
    ("/globals/values", r#"[{"key": "x", "value": {"id": {"name": ["S"]}}}]"#),
    ("/run/executions/0/request/header", r#"[{"key": "authorization", "value": "Bearer S"}]"#),
    ("/run/executions/0/request/header", r#"[{"key": "Proxy-Authorization", "value": "S", "system": true}]"#),
    ("/run/executions/0/request/url/variable", r#"[{"type": "any", "value": "S", "key": "x"}]"#),
    ("/run/executions/0/request/auth", r#"{"type": "bearer", "bearer": [{"type": "any", "value": "S"}]}"#),
];

#[test]
fn what_authorises_a_request_is_masked_wherever_it_stands() {
    const SECRET: &str = "CANARYtokenwithoutshape";
    for (place, holds) in PLACES {
        let mut value: Value = serde_json::from_str(&sample("newman-green.json")).expect("JSON");
        let (parent, key) = place.rsplit_once('/').expect("a place");
        let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        parent[key] =
            serde_json::from_str(&holds.replace('S', SECRET)).unwrap_or_else(|e| panic!("{holds}: {e}"));
        let assertion = &mut value["run"]["executions"][0]["assertions"][0];
        assertion["error"] = serde_json::json!({ "message": format!("got {SECRET}, string") });
        let report = parsed(&value.to_string()).unwrap_or_else(|e| panic!("{place}: {e}"));
        without_canaries(&report, place);
        assert_eq!(report.wrong[0].message, "got [redacted], string", "{place}");
    }
}

/// Where there are too many, names may hold one as well; what is counted stays.
#[test]
fn too_many_values_leave_no_name() {
    let mut value: Value = serde_json::from_str(&sample("newman.json")).expect("JSON");
    let values = (0..501).map(|i| serde_json::json!({ "key": "k", "value": format!("value number {i}") }));
    value["environment"]["values"] = values.collect();
    let report = parsed(&value.to_string()).expect("a report");
    assert!(report.failed > 0 && !report.wrong.is_empty(), "{report:?}");
    assert!(report.wrong.iter().all(|wrong| *wrong == Default::default()), "{:?}", report.wrong);
}

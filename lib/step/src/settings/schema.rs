//! The JSON Schema of `release.toml` (draft 2020-12), for editors: made of the declared settings. A program knows its own table and the shared
//! ones; of the other programs' tables it says that they are tables. `scripts/settings` puts the programs' schemas together.

use serde_json::{Map, Value, json};

use super::setting::{ENVIRONMENT, Kind, PRODUCT, Setting};
use super::variables;

/// [`crate::parse_duration`] as a regular expression.
const TIME: &str = "^(?=[0-9])(?:[0-9]{1,4}d(?: ?(?=[0-9])|$))?(?:[0-9]{1,6}h(?: ?(?=[0-9])|$))?(?:[0-9]{1,7}m(?: ?(?=[0-9])|$))?(?:[0-9]{1,9}s(?: ?(?=[0-9])|$))?(?:[0-9]{1,9}ms)?$";

/// The schema as this program knows it.
pub(super) fn of(step: &'static str, settings: &[Setting]) -> Value {
    let program = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
    let own = (!variables::programs().any(|name| name == step)).then_some(step);
    let programs: Vec<&str> = variables::programs().chain(own).collect();
    let tables: Map<String, Value> =
        programs.iter().map(|name| ((*name).to_owned(), program(name))).collect();
    let mut environment = table(ENVIRONMENT);
    environment["properties"].as_object_mut().into_iter().for_each(|all| all.extend(tables.clone()));
    let mut top = Map::new();
    top.insert("product".into(), table(PRODUCT));
    top.insert("environment".into(), json!({ "type": "object", "additionalProperties": environment }));
    top.extend(tables);
    let defs: Map<String, Value> = programs
        .iter()
        .map(|name| {
            ((*name).to_owned(), if *name == step { table(settings) } else { json!({ "type": "object" }) })
        })
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "release.toml",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
        "$defs": defs,
    })
}

fn table(settings: &[Setting]) -> Value {
    let mut root = empty();
    for setting in settings {
        let written = setting.written();
        let mut at = &mut root;
        for part in written.split('.') {
            at = match part {
                "*" => &mut at["additionalProperties"],
                name => &mut at["properties"][name],
            };
            if !at.is_object() {
                *at = empty();
            }
        }
        *at = one(setting);
    }
    root
}

fn empty() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

fn one(setting: &Setting) -> Value {
    let mut schema = of_kind(&setting.kind);
    schema["description"] = json!(setting.about);
    if let Some(text) = setting.default {
        schema["default"] = value(&setting.kind, text);
    }
    if let Some(text) = setting.example {
        schema["examples"] = json!([value(&setting.kind, text)]);
    }
    if setting.is_required {
        schema["x-required"] = json!(true);
    }
    schema["x-value"] = json!(words(&setting.kind));
    if let Some(words) = setting.otherwise {
        schema["x-otherwise"] = json!(words);
    }
    if let Kind::Secret(variable) = setting.kind {
        schema["x-secret"] = json!(variable);
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Id => json!({ "type": ["string", "integer"] }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Form(form) => json!({ "type": "string", "pattern": form.pattern }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(least, i64::MAX) => json!({ "type": "integer", "minimum": least }),
        Kind::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::Part => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Time => json!({ "type": "string", "pattern": TIME }),
        Kind::Path | Kind::Secret(_) => json!({ "type": "string", "minLength": 1 }),
        Kind::List(item) => {
            let item = of_kind(item);
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
    }
}

/// The same in words, for the tables of the pages.
fn words(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Id => "text or number".into(),
        Kind::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Form(form) => form.name.into(),
        Kind::Flag => "`true`, `false`".into(),
        Kind::Whole(least, i64::MAX) => format!("from {least} on"),
        Kind::Whole(least, most) => format!("{least} to {most}"),
        Kind::Positive => "a number above 0".into(),
        Kind::Part => "a number from 0 to 1".into(),
        Kind::Time => "a time".into(),
        Kind::Path => "a path".into(),
        Kind::Secret(_) => "a file".into(),
        Kind::List(item) => format!("one, or a list: {}", words(item)),
    }
}

/// A declared value as it would be written in the file.
fn value(kind: &Kind, text: &str) -> Value {
    written(&kind.read(text)).unwrap_or_else(|| json!(text))
}

fn written(value: &super::file::Value) -> Option<Value> {
    use super::file::Value as Toml;
    match value {
        Toml::Whole(n) => Some(json!(n)),
        Toml::Number(n) => Some(json!(n)),
        Toml::Flag(flag) => Some(json!(flag)),
        Toml::Text(text) => Some(json!(text)),
        Toml::List(items) => {
            items.iter().map(|item| written(&item.value)).collect::<Option<Vec<_>>>().map(Value::from)
        }
        Toml::Table(_) | Toml::Other => None,
    }
}

//! The document: one JSON object that carries a whole release from step to step. It is kept as the map that was read, so
//! whatever a newer program wrote is handed on. `docs/document.md` is its normative text.

use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Failure, Procedure, json_trouble};

/// The schema that this program reads and writes.
const SCHEMA: u64 = 1;
/// A larger document is refused.
pub(crate) const LIMIT: u64 = 4 << 20;

/// One release, rollback or candidate, as far as it has come.
#[derive(Clone, Debug)]
pub struct Document {
    map: Map<String, Value>,
    /// The failure in the shape that it should have; what was read is handed on as it was.
    failure: Option<Map<String, Value>>,
}

impl Document {
    /// Opens a new document.
    pub(crate) fn open(
        product: Option<&str>,
        version: Option<&str>,
        procedure: &Procedure,
        plan: bool,
    ) -> Self {
        let now = Timestamp::now();
        let mut facts = Map::new();
        if let Some(product) = product {
            facts.insert("product".into(), json!(product));
        }
        let document = json!({
            "schema": SCHEMA,
            "id": new_id(product.unwrap_or("unnamed"), version, now),
            "procedure": procedure.word(),
            "mode": if plan { "plan" } else { "apply" },
            "opened": format!("{now:.0}"),
            "facts": facts,
            "steps": [],
        });
        match document {
            Value::Object(map) => Self::of(map),
            _ => Self::of(Map::new()),
        }
    }

    fn of(map: Map<String, Value>) -> Self {
        let failure = map.get("failure").map(whole_failure);
        Document { map, failure }
    }

    /// Reads a document from stdin; the error is one sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err("stdin is empty: the step before wrote no document".into());
        }
        Self::parse_from("stdin", bytes)
    }

    /// Reads a document from somewhere else, which the error names.
    pub fn parse_from(source: &str, bytes: &[u8]) -> Result<Self, String> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(format!("{source} is empty"));
        }
        let value: Value =
            serde_json::from_slice(bytes).map_err(|e| format!("{source} is {}", json_trouble(&e)))?;
        let Value::Object(map) = value else {
            return Err(format!("{source} is not a document: no JSON object"));
        };
        match map.get("schema") {
            Some(schema) if schema.as_u64() == Some(SCHEMA) => {}
            Some(schema) => {
                return Err(format!("the document has schema {schema}; this program reads {SCHEMA}"));
            }
            None => return Err(format!("{source} is not a document: it has no `schema`")),
        }
        let mode = map.get("mode").and_then(Value::as_str);
        let whole = map.get("id").is_some_and(Value::is_string)
            && map.get("facts").is_some_and(Value::is_object)
            && map.get("steps").is_some_and(Value::is_array)
            && matches!(mode, Some("apply" | "plan"));
        if whole {
            Ok(Self::of(map))
        } else {
            Err("the document lacks a usable id, mode, facts or steps".into())
        }
    }

    /// The document's id: what steps stamp into the things they make.
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// What the run is.
    pub fn procedure(&self) -> Procedure {
        self.text("procedure").into()
    }

    /// When it was opened, RFC 3339.
    pub fn opened(&self) -> &str {
        self.text("opened")
    }

    /// Whether it is in plan mode.
    pub fn is_plan(&self) -> bool {
        self.text("mode") == "plan"
    }

    /// Lowers the mode to plan; nothing raises it again.
    pub(crate) fn lower_to_plan(&mut self) {
        self.map.insert("mode".into(), json!("plan"));
    }

    /// The records of the steps so far.
    pub fn steps(&self) -> &[Value] {
        self.map.get("steps").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The facts.
    pub fn facts(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.map.get("facts").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// The failure, if a step before has failed.
    pub fn failure(&self) -> Option<&Map<String, Value>> {
        self.failure.as_ref()
    }

    /// The whole document.
    pub fn to_value(&self) -> Value {
        Value::Object(self.map.clone())
    }

    /// The exit code of the recorded failure.
    pub(crate) fn failure_code(&self) -> Option<u8> {
        let code = self.failure()?.get("code").and_then(Value::as_u64);
        Some(code.and_then(|c| u8::try_from(c).ok()).filter(|c| *c != 0).unwrap_or(1))
    }

    /// Whether a step in plan mode wrote this fact.
    pub fn is_planned(&self, fact: &str) -> bool {
        let lists = self.steps().iter().filter_map(|s| s.get("planned_facts").and_then(Value::as_array));
        lists.flatten().any(|name| name == fact)
    }

    /// Writes a fact once: the same value again is fine, another is refused.
    pub(crate) fn set(&mut self, fact: &str, value: Value) -> Result<(), Failure> {
        match self.facts().get(fact) {
            Some(known) if *known == value => return Ok(()),
            Some(known) => {
                let message = format!("the document's {fact} is {}, not {}", shown(known), shown(&value));
                return Err(Failure::refused("fact-conflict", message));
            }
            None => {}
        }
        if let Some(facts) = self.map.get_mut("facts").and_then(Value::as_object_mut) {
            facts.insert(fact.to_owned(), value);
        }
        Ok(())
    }

    pub(crate) fn push_record(&mut self, record: Value) {
        if let Some(steps) = self.map.get_mut("steps").and_then(Value::as_array_mut) {
            steps.push(record);
        }
    }

    pub(crate) fn set_failure(&mut self, failure: Value) {
        self.failure = Some(whole_failure(&failure));
        self.map.insert("failure".into(), failure);
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.map)
    }

    fn text(&self, key: &str) -> &str {
        self.map.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A failure as steps write it: whatever stands there stops the chain, and what it lacks is unknown and never good news.
fn whole_failure(failure: &Value) -> Map<String, Value> {
    let mut whole = failure.as_object().cloned().unwrap_or_default();
    let odd = format!("the document has a failure that this program cannot read: {}", shown(failure));
    let usual = [
        ("step", "an unknown step"),
        ("kind", "failed"),
        ("reason", "unreadable"),
        ("acted", "unknown"),
        ("message", &odd),
    ];
    for (key, value) in usual {
        if !whole.get(key).is_some_and(Value::is_string) {
            whole.insert(key.to_owned(), json!(value));
        }
    }
    whole
}

/// A value for a message, cut short.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), |s| format!("`{s}`"));
    crate::excerpt(&text, 79)
}

/// Product, version, opening time and four random hex digits.
fn new_id(product: &str, version: Option<&str>, now: Timestamp) -> String {
    // The standard library seeds its hasher from the system's random source: enough for four digits, and no crate.
    let random = RandomState::new().hash_one(now.as_nanosecond()) & 0xffff;
    let version = version.map(|v| format!("{v}-")).unwrap_or_default();
    let opened = format!("{now:.0}").replace(['-', ':'], "");
    format!("{product}-{version}{opened}-{random:04x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        Document::open(Some("shop"), Some("1.2.0"), &Procedure::Release, false)
    }

    #[test]
    fn what_was_opened_can_be_read_again() {
        let bytes = serde_json::to_vec(&document().into_value()).expect("written");
        let read = Document::parse(&bytes).expect("read");
        assert_eq!((read.procedure(), read.is_plan()), (Procedure::Release, false));
        assert!(read.id().starts_with("shop-1.2.0-20"), "{}", read.id());
    }

    #[test]
    fn what_is_no_document_is_refused_in_one_sentence() {
        for bytes in ["", " \n", "{", "[]", "{}", r#"{"schema":2}"#, r#"{"schema":1,"id":"x"}"#, "{}{}"] {
            let said = Document::parse(bytes.as_bytes()).expect_err(bytes);
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn a_fact_is_written_once() {
        let mut document = document();
        document.set("version", json!("1.2.0")).expect("new");
        document.set("version", json!("1.2.0")).expect("the same again");
        let refused = document.set("version", json!("1.3.0")).expect_err("another");
        assert_eq!(refused.reason, "fact-conflict");
        assert_eq!(document.facts()["version"], json!("1.2.0"));
    }

    #[test]
    fn a_failure_of_another_shape_is_a_failure() {
        for failure in [json!("x"), json!([]), json!(true), json!({ "code": 1 }), Value::Null] {
            let mut value = document().into_value();
            value["failure"] = failure.clone();
            let read = Document::parse(value.to_string().as_bytes()).expect("a document");
            let found = read.failure().expect("a failure");
            assert!(["step", "message", "acted"].iter().all(|key| found[*key].is_string()), "{failure}");
            assert_eq!((read.failure_code(), &read.to_value()["failure"]), (Some(1), &failure));
        }
    }

    #[test]
    fn an_unusable_code_never_becomes_success() {
        for code in [json!(0), json!(256), json!("1"), Value::Null] {
            let mut document = document();
            document.set_failure(json!({ "code": code }));
            assert_eq!(document.failure_code(), Some(1));
        }
    }
}

//! Proxmox's answers, with what is looked at of them and nothing else: rows of plain values. Whatever lies deeper or beside is skipped while
//! it is read, and a name that is there twice is no answer, since nobody can say which of its values counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The parts of an answer.
const PARTS: [&str; 4] = ["data", "errors", "message", "success"];
/// What is looked at in a row.
const FIELDS: [&str; 20] = [
    "type",
    "id",
    "name",
    "nodes",
    "quorate",
    "online",
    "node",
    "storage",
    "status",
    "disk",
    "maxdisk",
    "vmid",
    "qmpstatus",
    "lock",
    "sid",
    "state",
    "crm_state",
    "request_state",
    "armed-state",
    "plugintype",
];
/// No cluster has more rows.
const ROWS: usize = 20_000;

/// Reads an answer.
pub fn answer(text: &str) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Level::Answer.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// How deep it is.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Answer,
    /// A list of rows, or one row.
    Data,
    Row,
    Field,
}

impl Level {
    fn below(self) -> Self {
        match self {
            Level::Answer => Level::Data,
            Level::Data | Level::Row | Level::Field => Level::Field,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an answer of Proxmox")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut rows = Vec::new();
        if self != Level::Data {
            while all.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(rows.into());
        }
        while let Some(row) = all.next_element_seed(Level::Row)? {
            if rows.len() == ROWS {
                return Err(A::Error::custom("too many rows"));
            }
            rows.push(row);
        }
        Ok(rows.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let known: &[&str] = match self {
            Level::Answer => &PARTS,
            Level::Data | Level::Row => &FIELDS,
            Level::Field => &[],
        };
        let mut map = Map::new();
        while let Some(key) = all.next_key::<String>()? {
            if !known.contains(&key.as_str()) {
                all.next_value::<IgnoredAny>()?;
            } else if map.contains_key(&key) {
                return Err(A::Error::custom("a name is there twice"));
            } else {
                map.insert(key, all.next_value_seed(self.below())?);
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_looked_at_is_kept() {
        let text = r#"{"x":[[0]],"data":[{"type":"node","x":{"a":1,"a":2},"id":[1,{}],"name":{"a":1}},7,null,[1]],"success":1}"#;
        let kept = json!({ "data": [{ "type": "node", "id": [], "name": {} }, 7, null, []], "success": 1 });
        assert_eq!(answer(text).map(Value::Object), Some(kept));
        let guest = r#"{"data":{"vmid":"110","lock":"","ha":{"managed":0},"disk":1.5}}"#;
        let kept = json!({ "data": { "vmid": "110", "lock": "", "disk": 1.5 } });
        assert_eq!(answer(guest).map(Value::Object), Some(kept));
    }

    #[test]
    fn what_is_cut_is_there_twice_or_has_no_end_is_no_answer() {
        let many = format!(r#"{{"data":[{}0]}}"#, "0,".repeat(ROWS));
        for text in [
            "",
            "[]",
            "null",
            r#"{"data":[]"#,
            r#"{"data":[]} x"#,
            r#"{"data":[],"data":[]}"#,
            r#"{"data":[{"online":0,"online":1}]}"#,
            r#"{"data":{"status":"stopped","status":"running"}}"#,
            &many,
        ] {
            assert!(answer(text).is_none_or(|map| map.is_empty()), "{}", step::excerpt(text, 80));
        }
    }
}

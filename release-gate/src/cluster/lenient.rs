//! Values as Proxmox writes them: flags as 0 and 1, numbers as text. What cannot be read is `None`, which is never right.

use serde_json::Value;

/// Names of others are quoted so far.
const NAME: usize = 60;

/// A flag: 0 or 1, as a number, a text or JSON's own.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.as_str() {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// A number from 0 on, as a number or a text.
pub fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(exact)),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// A whole number that was written with a point or an exponent.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it has no fraction, no sign, and fits"
)]
fn exact(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
}

/// A text that says something.
pub fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty())
}

/// A value of others for people, whatever it is.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => step::excerpt(&step::plain_line(text), NAME),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        plain => step::excerpt(&plain.to_string(), NAME),
    }
}

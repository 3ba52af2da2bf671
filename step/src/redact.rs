//! No secret leaves the process: every loaded secret is known here, and everything that is written is searched for it.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// Shorter ones would be found inside ordinary words.
const SHORTEST: usize = 8;
const MASK: &str = "[redacted]";

static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Remembers a secret, so that it is replaced wherever it would be written.
pub(crate) fn remember(secret: &str) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // Coolify's tokens are `id|secret`, Telegram's `id:secret`: the second part alone is as good as the whole.
    let parts = [Some(secret), secret.split_once('|').map(|p| p.1), secret.split_once(':').map(|p| p.1)];
    for part in parts.into_iter().flatten().filter(|p| p.len() >= SHORTEST) {
        if !known.iter().any(|k| k == part) {
            // The longest first: a whole secret, and only then what is a part of it.
            let at = known.partition_point(|k| k.len() >= part.len());
            known.insert(at, part.to_owned());
        }
    }
}

/// The text with every loaded secret replaced by `[redacted]`.
pub fn redact(text: &str) -> String {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(text.to_owned(), |text, secret| {
        if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
    })
}

/// Replaces secrets in every string of a value; says whether there were any.
pub(crate) fn redact_value(value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            let clean = redact(text);
            let found = clean != *text;
            *text = clean;
            found
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| redact_value(item) | found),
        Value::Object(map) => map.iter_mut().fold(false, |found, (_, item)| redact_value(item) | found),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_their_second_parts_are_replaced_everywhere() {
        remember("17|canary-abcdefgh");
        remember("short");
        assert_eq!(redact("Bearer 17|canary-abcdefgh"), "Bearer [redacted]");
        let mut value = serde_json::json!({ "a": ["x canary-abcdefgh y", 1], "b": "short" });
        assert!(redact_value(&mut value));
        assert_eq!(value, serde_json::json!({ "a": ["x [redacted] y", 1], "b": "short" }));
    }
}

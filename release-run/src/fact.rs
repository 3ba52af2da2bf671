//! A fact of a document as plain text, for a script.

use serde_json::Value;
use step::Document;

/// A fact by its name, below it with dots; absent.
pub fn value(document: &Document, path: &str) -> Value {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| document.facts().get(name));
    let found = names.try_fold(first, |value, name| value.map(|v| v.get(name)));
    found.flatten().cloned().unwrap_or_default()
}

/// The same as text; nothing if it is not there.
pub fn text(document: &Document, path: &str) -> String {
    match value(document, path) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

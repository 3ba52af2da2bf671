//! Words of an answer, as far as they can be believed: what Coolify tells goes to terminals, into documents and into commands
//! that people paste.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The most of a sentence that is told, in characters.
const LONG: usize = 400;

/// Without what would write anywhere on a terminal, or turn the direction of what stands after it.
pub(super) fn plain(text: &str) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().filter(|c| !c.is_control() && !hidden(*c)).collect()
}

/// The same of a sentence, which need not be a book. What is cut is never a secret: those are taken out first.
pub fn sentence(text: &str) -> String {
    step::excerpt(&plain(text), LONG)
}

/// Null is as good as nothing.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(loose_text(from)?.unwrap_or_default())
}

/// Ids are strings here and numbers there.
pub(super) fn loose_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(plain(&text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// Booleans are 0 and 1 on some databases.
pub(super) fn loose_bool<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(yes) => Some(yes),
        Value::Number(number) => number.as_i64().map(|n| n != 0),
        _ => None,
    })
}

pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(loose_bool(from)?.unwrap_or_default())
}

pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    Ok(loose_text(from)?.and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Whether a text may be an id of Coolify's: it becomes part of a path, and of commands.
pub fn is_id(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(good)
}

/// An id; another text is no answer of Coolify's.
pub(super) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = word(from)?;
    if is_id(&text) { Ok(text) } else { Err(serde::de::Error::custom("not an id")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_writes_nowhere_else() {
        assert_eq!(plain("shop\u{1b}[2J\u{7}\u{202e}evil\n"), "shop[2Jevil");
        assert_eq!(sentence(&"x".repeat(1000)).chars().count(), LONG + 1);
    }

    #[test]
    fn an_id_is_no_path_and_no_command() {
        for (text, good) in [
            ("b4ajedn4ar4zlyojoraoniqx", true),
            ("app-image-uuid-000000001", true),
            ("", false),
            ("../applications/x", false),
            ("x y", false),
            ("x;reboot", false),
            ("$(reboot)", false),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(is_id(text), good, "{text}");
        }
    }
}

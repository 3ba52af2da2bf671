//! A name here and its value there: `{"name": "DB_PASSWORD", "value": "..."}` of an API, `- name:` and `value:` of YAML, elements of XML.

use std::ops::Range;

use super::is_placeholder;
use super::named::{is_secret_name, value};

/// So far before a value its name may stand.
const NEAR: usize = 200;

/// The values of names that stand before them.
pub(super) fn values(text: &str, found: &mut Vec<Range<usize>>) {
    for word in ["value", "Value"] {
        for (at, _) in text.match_indices(word) {
            found.extend(value_at(text, at, at + word.len()));
        }
    }
    elements(text, found);
}

fn value_at(text: &str, at: usize, end: usize) -> Option<Range<usize>> {
    let free = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
    let rest = text[end..].trim_start_matches(['\\', '"', '\'', ' ']);
    if !free || !rest.starts_with([':', '=']) {
        return None;
    }
    let line_end = text[end..].find('\n').map_or(text.len(), |i| end + i);
    let from = text.len() - rest.len() + 1;
    let (range, _) = value(&text[..line_end], from.min(line_end), false)?;
    let mut start = at.saturating_sub(NEAR);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let name = name_before(&text[start..at])?;
    (is_secret_name(name) && !is_placeholder(&text[range.clone()]) && !range.is_empty()).then_some(range)
}

/// The last name of a pair before its value, in the same object.
fn name_before(text: &str) -> Option<&str> {
    let text = &text[text.rfind(['{', '}']).map_or(0, |i| i + 1)..];
    let keys = ["name", "key", "Name", "Key"];
    let last = keys.iter().filter_map(|key| {
        let places = text.match_indices(key).filter(|(at, key)| {
            let free = text[..*at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
            free && text[at + key.len()..].trim_start_matches(['\\', '"', '\'', ' ']).starts_with([':', '='])
        });
        places.map(|(at, key)| at + key.len()).last()
    });
    let rest = &text[last.max()?..];
    if rest.matches('\n').count() > 2 {
        return None;
    }
    let rest = rest.trim_start_matches(['\\', '"', '\'', ' ', ':', '=']);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))?;
    Some(&rest[..end])
}

/// `<password>...</password>`.
fn elements(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices("</") {
        let name = text[at + 2..].split('>').next().unwrap_or_default();
        if name.is_empty() || name.len() > 60 || !is_secret_name(name) {
            continue;
        }
        let open = format!("<{name}>");
        let Some(start) = text[..at].rfind(&open).map(|i| i + open.len()) else { continue };
        let value = &text[start..at];
        if !value.contains('<') && !is_placeholder(value) {
            found.push(start..at);
        }
    }
}

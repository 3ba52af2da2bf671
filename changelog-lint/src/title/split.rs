//! A heading's text taken apart into words.

use std::ops::Range;

pub(super) const SEPARATORS: &str = "[](){}-–—:,;/|·~*_`\"'";

/// What separates the words of a heading; `_` and a hyphen within a word do not.
pub(super) fn is_edge(c: char) -> bool {
    c.is_whitespace() || SEPARATORS.contains(c) || !c.is_ascii() && !c.is_alphanumeric()
}

/// Without blanks and separators at both ends.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let start = range.end - text[range.clone()].trim_start_matches(is_edge).len();
    let length = text[start..range.end].trim_end_matches(is_edge).len();
    start..start + length
}

pub(super) fn said(words: &str, list: &[&str]) -> bool {
    list.iter().any(|name| words.eq_ignore_ascii_case(name))
}

/// The place of the first of these words.
pub(super) fn word(text: &str, list: &[&str]) -> Option<Range<usize>> {
    let mut words = split(text);
    words.find(|(_, w)| list.iter().any(|l| w.eq_ignore_ascii_case(l))).map(|(at, w)| at..at + w.len())
}

/// The phrase that a text begins with.
pub(super) fn leading(text: &str, list: &[&str]) -> Option<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    list.iter().find(|phrase| lower.starts_with(**phrase)).map(|phrase| 0..phrase.len())
}

/// The words of a text. `lock_api` and `api-gateway` are one each.
pub(super) fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|c| !is_edge(c))?;
        let inner = text[start..].char_indices().find(|(i, c)| is_edge(*c) && !joins(text, start + i, *c));
        at = inner.map_or(text.len(), |(end, _)| start + end);
        Some((start, &text[start..at]))
    })
}

/// Whether a separator stands within a word.
fn joins(text: &str, at: usize, c: char) -> bool {
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    matches!(c, '-' | '_' | '\'')
        && inside(text[..at].chars().next_back())
        && inside(text[at + 1..].chars().next())
}

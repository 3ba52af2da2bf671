//! What people say about a version in words: that it is a candidate (`RC 2`, `public beta`), that it is not released (`TBD`,
//! `YYYY-MM-DD`, `belum dirilis`), that it was withdrawn. English and Indonesian. A word counts where it says this of the version:
//! alone between separators, or in a phrase that can mean nothing else; in `Preview deployments` it is part of a title.

mod candidate;
mod unreleased;

use std::ops::Range;

pub use candidate::Candidate;
pub(crate) use candidate::{candidate, is_beside, says_candidate};
pub(crate) use unreleased::{not_released, placeholder, says_not_released};

/// Whether a text says `Unreleased`, and not that a date is still to be written.
pub(crate) fn is_unreleased(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["unreleased", "not released", "not yet released", "belum dirilis", "belum rilis", "next", "upcoming"]
        .contains(&lower.as_str())
}

/// A word in lower case, and its place.
type Word = (Range<usize>, String);

const WITHDRAWN: &[&str] = &["yanked", "withdrawn", "retracted", "ditarik"];

/// The word that says that a version was withdrawn.
pub(crate) fn withdrawn(text: &str) -> Option<Range<usize>> {
    let words = plain(text);
    words.into_iter().find(|(_, word)| WITHDRAWN.contains(&word.as_str())).map(|(at, _)| at)
}

/// The words of a whole text, also those within hyphenated ones.
fn plain(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(char::is_alphanumeric).map(|start| at + start) {
        let end = text[start..].find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |end| start + end);
        found.push((start..end, text[start..end].to_lowercase()));
        at = end;
    }
    found
}

/// The parts of a text between brackets, colons, dashes and the like.
fn segments(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if is_separator(text, at, c) {
            found.push(start..at);
            start = at + c.len_utf8();
        }
    }
    found.push(start..text.len());
    found
}

/// A hyphen within a word is none.
fn is_separator(text: &str, at: usize, c: char) -> bool {
    let blank = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "()[],".contains(c));
    match c {
        '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | ':' | ';' | ',' | '/' | '|' | '~' | '–' | '—'
        | '\n' | '"' => true,
        '-' => blank(text[..at].chars().next_back()) || blank(text[at + 1..].chars().next()),
        '.' => blank(text[at + 1..].chars().next()),
        _ => false,
    }
}

/// The words of a segment. A hyphenated one is several if each of them says something here (`release-candidate-2`), else one.
fn words(text: &str, segment: Range<usize>) -> Vec<Word> {
    let mut found = Vec::new();
    let mut at = segment.start;
    while let Some(start) = text[at..segment.end].find(|c: char| !c.is_whitespace()).map(|start| at + start) {
        let end = text[start..segment.end].find(char::is_whitespace).map_or(segment.end, |end| start + end);
        let whole = trimmed(text, start..end);
        let parts: Vec<Word> = plain(&text[whole.clone()])
            .into_iter()
            .map(|(at, word)| (whole.start + at.start..whole.start + at.end, word))
            .collect();
        if parts.len() > 1 && parts.iter().all(|(_, word)| is_vocabulary(word)) {
            found.extend(parts);
        } else if !whole.is_empty() {
            let word = text[whole.clone()].to_lowercase();
            found.push((whole, word));
        }
        at = end;
    }
    found
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let edge = |c: char| !c.is_alphanumeric();
    let start = range.end - text[range.clone()].trim_start_matches(edge).len();
    start..start + text[start..range.end].trim_end_matches(edge).len()
}

pub(crate) fn is_vocabulary(word: &str) -> bool {
    candidate::is_vocabulary(word) || unreleased::is_vocabulary(word)
}

//! No secret leaves the process: every loaded secret is known here, and everything that is written is searched for it, in whatever
//! form an encoder, a shell or another program has given it.
//!
//! `forms` says what to look for, `fold` makes escaped text plain, `lines` serves text that comes in pieces, `shapes` knows what the secrets
//! of others look like.

mod fold;
mod forms;
mod lines;
mod patterns;
mod shapes;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

pub use lines::Lines;
pub use shapes::{scrub, scrub_value};

use patterns::Patterns;

pub(crate) const MASK: &str = "[redacted]";
/// So much of a secret's beginning tells something; less is found at the end of any text.
const TELLING: usize = 4;
/// A secret that is shorter than this without its quotes and escapes is found as it is, and in no other form.
const FOLDED: usize = 5;

/// What is known, and what finds it: made anew by the first search after a new secret.
struct Known {
    secrets: Vec<String>,
    finder: Option<Arc<Finder>>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known { secrets: Vec::new(), finder: None });

/// Remembers a secret, so that it is replaced wherever it would be written.
pub(crate) fn remember(secret: &str) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.secrets.iter().any(|k| k == secret) {
        known.secrets.push(secret.to_owned());
        known.finder = None;
    }
}

/// What the environment holds is masked whether this program uses it or not: what a child or a server says back may have it.
pub(crate) fn remember_environment() {
    const SECRET: &[&str] =
        &["TOKEN", "SECRET", "PASSWORD", "PASSPHRASE", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY"];
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let has_password = value.split_once("://").is_some_and(|(_, rest)| {
            rest.split('/').next().is_some_and(|authority| authority.contains(':') && authority.contains('@'))
        });
        if SECRET.iter().any(|word| name.ends_with(word)) || has_password {
            remember(value);
        }
    }
}

fn finder() -> Option<Arc<Finder>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.finder.is_none() && !known.secrets.is_empty() {
        known.finder = Finder::new(&known.secrets).map(Arc::new);
    }
    known.finder.clone()
}

/// The text with every loaded secret replaced by `[redacted]`; its lines stay as many as they are.
pub fn redact(text: &str) -> String {
    let found = found(text);
    if found.is_empty() { text.to_owned() } else { masked(text, &found) }
}

/// A text that was cut off somewhere, redacted: a secret that the cut went through is masked too.
pub fn redact_cut(text: &str) -> String {
    let begun = finder().map_or(text.len(), |finder| finder.begun(text, TELLING));
    let (whole, part) = text.split_at(begun);
    if part.is_empty() { redact(whole) } else { format!("{}{MASK}", redact(whole)) }
}

/// The beginning of a text for a message, without secrets and what has the shape of one: what is cut is never a part of it.
pub fn excerpt(text: &str, most: usize) -> String {
    let text = scrub(text);
    match text.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// Where secrets stand, in order, none touching the next.
fn found(text: &str) -> Vec<Range<usize>> {
    finder().map_or(Vec::new(), |finder| finder.find(text))
}

/// The text with a mask for each range; a range over several lines leaves a mask on each.
fn masked(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges {
        out.push_str(&text[at..range.start]);
        for (i, line) in text[range.clone()].split('\n').enumerate() {
            out.push_str(if i == 0 { "" } else { "\n" });
            out.push_str(if line.is_empty() { "" } else { MASK });
        }
        at = range.end;
    }
    out + &text[at..]
}

/// Finds every known secret in every form.
struct Finder {
    /// The secrets and their parts, as they are.
    plain: Patterns,
    /// The parts in every form, folded.
    folded: Patterns,
    /// The patterns of `folded` from here on are base64 or hex.
    encoded: usize,
}

impl Finder {
    fn new(secrets: &[String]) -> Option<Self> {
        let parts: Vec<String> = secrets.iter().flat_map(|secret| forms::parts(secret)).collect();
        let atoms: Vec<String> = secrets.iter().flat_map(|secret| forms::atoms(secret)).collect();
        let encoded = atoms.iter().flat_map(|atom| forms::encoded(atom.as_bytes()));
        let folded = |form: &String| fold::folded(form.as_bytes());
        // What folds to next to nothing would be found everywhere; the search for the plain text remains.
        let mut patterns: Vec<Vec<u8>> =
            atoms.iter().map(folded).filter(|pattern| pattern.len() >= FOLDED).collect();
        let count = patterns.len();
        patterns.extend(encoded.map(|form| folded(&form)).filter(|pattern| pattern.len() >= FOLDED));
        Some(Finder {
            plain: Patterns::new(parts.into_iter().map(String::into_bytes).collect())?,
            folded: Patterns::new(patterns)?,
            encoded: count,
        })
    }

    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let bytes = text.as_bytes();
        let mut ranges: Vec<Range<usize>> =
            self.plain.find(bytes).into_iter().map(|(_, range)| range).collect();
        for (depth, fold) in fold::folds(bytes).iter().enumerate() {
            let hits = self.folded.find(fold);
            if hits.is_empty() {
                continue;
            }
            let map = fold::Map::new(bytes, depth);
            ranges.extend(hits.into_iter().map(|(pattern, range)| {
                let range = map.start(range.start)..map.end(range.end);
                if pattern < self.encoded { range } else { widened(bytes, range) }
            }));
        }
        merged(text, ranges)
    }

    /// Where a form of a secret begins that goes on behind the end of the text, `least` bytes of which are here; the text's length
    /// if there is none.
    fn begun(&self, text: &str, least: usize) -> usize {
        // The end may go through an escape.
        let window = floor(text, text.len().saturating_sub(fold::ESCAPE));
        let escape = text[window..].rfind(['%', '\\', '&']).map(|at| window + at);
        let ends = [Some(text.len()), escape];
        let begun = |end: usize| {
            let text = &text.as_bytes()[..end];
            let deeper = fold::folds(text).into_iter().enumerate().filter_map(|(depth, fold)| {
                let longest = self.folded.overlap(&fold, least)?;
                Some(fold::Map::new(text, depth).start(fold.len() - longest))
            });
            let plain = self.plain.overlap(text, least);
            deeper.chain(plain.map(|length| end - length)).min()
        };
        floor(text, ends.into_iter().flatten().filter_map(begun).min().unwrap_or(text.len()))
    }
}

/// A base64 form is known without the letters at its ends that depend on what stands around it; they are masked with it.
fn widened(text: &[u8], range: Range<usize>) -> Range<usize> {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(b);
    let before = text[..range.start].iter().rev().take(2).take_while(|b| letter(b)).count();
    let after = text[range.end..].iter().take(4).take_while(|b| letter(b)).count();
    range.start - before..range.end + after
}

/// In order, on the borders of characters, and none touching the next.
fn merged(text: &str, mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let range = floor(text, range.start)..ceil(text, range.end);
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Replaces secrets in every string, name and number of a value; says whether there were any.
pub(crate) fn redact_value(value: &mut Value) -> bool {
    match value {
        Value::String(text) => replaced(text, redact),
        // A log or a list of causes: a secret may go over several lines of it.
        Value::Array(items) if items.len() > 1 && items.iter().all(Value::is_string) => {
            let lines: Vec<String> =
                items.iter().map(|i| i.as_str().unwrap_or_default().to_owned()).collect();
            let clean: Vec<Value> = lines::redacted(&lines).into_iter().map(Value::String).collect();
            let found = clean != *items;
            *items = clean;
            found
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| redact_value(item) | found),
        Value::Object(map) => {
            redact_names(map) | map.values_mut().fold(false, |found, item| redact_value(item) | found)
        }
        Value::Number(number) => {
            let secret = !found(&number.to_string()).is_empty();
            if secret {
                *value = Value::String(MASK.to_owned());
            }
            secret
        }
        _ => false,
    }
}

fn redact_names(map: &mut Map<String, Value>) -> bool {
    let secret = map.keys().any(|name| !found(name).is_empty());
    if secret {
        *map = std::mem::take(map).into_iter().map(|(name, value)| (redact(&name), value)).collect();
    }
    secret
}

fn replaced(text: &mut String, by: impl Fn(&str) -> String) -> bool {
    let clean = by(text);
    let found = clean != *text;
    *text = clean;
    found
}

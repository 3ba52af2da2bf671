//! What a line is beside the file's own headings of releases: whether it names its version in the same manner, however it is dressed.

use std::collections::BTreeSet;

use super::dress::{Dress, bare, is_operator, leads_away, undressed};
use super::numbers::{self, Numbers};
use super::plain::visible;
use crate::changelog::Section;
use crate::{date, title, version};

/// How the releases of a file are named.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// What stands before the version, letters and digits in lower case, longest first.
    names: Vec<String>,
    /// How many numbers a version has.
    parts: BTreeSet<usize>,
}

impl Ways {
    pub(crate) fn of(sections: &[Section]) -> Self {
        let versions = || sections.iter().filter_map(Section::version);
        let names: BTreeSet<String> =
            versions().filter_map(|version| version.package.as_deref()).map(folded).collect();
        let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Ways { names, parts: versions().map(|version| parts(&version.text)).collect() }
    }

    /// Whether versions of so many numbers are usual in the file.
    pub(crate) fn has(&self, parts: usize) -> bool {
        self.parts.contains(&parts)
    }
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a package is the one of that name.
pub(crate) fn is_named(package: Option<&str>, name: &str) -> bool {
    package.is_some_and(|package| folded(package) == name)
}

/// How many numbers a version begins with.
pub(crate) fn parts(version: &str) -> usize {
    let numbers = version.split(['.', '-', '+', '_']);
    numbers.take_while(|part| part.starts_with(|c: char| c.is_ascii_digit())).count()
}

/// A line that names its version as the file's headings do.
#[derive(Debug)]
pub(crate) struct Like {
    pub version: String,
    /// The name before it, letters and digits in lower case, if it is one of the file's.
    pub name: Option<String>,
    pub dress: Dress,
    pub dated: bool,
    /// Whether behind the version stands no more than behind that of a heading: a day, a title, a remark.
    pub headed: bool,
    /// Whether nothing but a day stands there.
    pub bare: bool,
    pub leads_away: bool,
}

/// Reads a line; `None` if it does not begin as a heading of this file does.
pub(crate) fn of(line: &str, ways: &Ways) -> Option<Like> {
    let line = visible(line);
    let (dress, words) = undressed(line.trim());
    if is_operator(words) {
        return None;
    }
    let leads_away = leads_away(&line);
    let words = bare(words);
    let lead = lead(&words, ways);
    let numbers = version_at(lead.rest, &lead, &dress, ways)?;
    let rest = &lead.rest[numbers.at.end..];
    let dated = lead.dated || date::find(rest).is_some();
    let (headed, bare) = (is_headed(rest, dated), without_day(rest).is_empty());
    let name = lead.name.map(str::to_owned);
    Some(Like { version: numbers.version, name, dress, dated, headed, bare, leads_away })
}

/// What stands before the version.
struct Lead<'t> {
    rest: &'t str,
    /// Whether the file's own name, `Version` or a `v` stands there.
    named: bool,
    name: Option<&'t str>,
    dated: bool,
}

fn lead<'t>(text: &'t str, ways: &'t Ways) -> Lead<'t> {
    let mut lead = Lead { rest: text, named: false, name: None, dated: false };
    for _ in 0..6 {
        lead.rest = lead.rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let day = date::find(lead.rest).filter(|day| day.start == 0);
        if let Some(day) = day {
            lead.rest = &lead.rest[day.end..];
            lead.dated = true;
        } else if let Some(rest) = without_words(lead.rest) {
            lead.rest = rest;
            lead.named = true;
        } else if let Some((name, rest)) = without_name(lead.rest, ways) {
            lead.rest = rest;
            lead.named = true;
            lead.name = Some(name);
        } else {
            break;
        }
    }
    let glued = ["version", "release", "ver", "rel", "vv", "v", "r"].iter().find_map(|mark| {
        let rest = strip(lead.rest, mark)?.trim_start_matches(['.', '_', ':', '=', ' ', '-']);
        rest.starts_with(|c: char| c.is_ascii_digit() || "lIO".contains(c)).then_some(rest)
    });
    if let Some(rest) = glued {
        lead.rest = rest;
        lead.named = true;
    }
    lead
}

fn strip<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word)).map(|_| &text[word.len()..])
}

/// Behind `Version`, `Release notes for` and the like.
fn without_words(text: &str) -> Option<&str> {
    let found = title::VERSION_WORDS.iter().filter_map(|words| strip(text, words));
    let whole = found.filter(|rest| !rest.starts_with(char::is_alphanumeric));
    whole.min_by_key(|rest| rest.len())
}

/// Behind the name that the file's releases have.
fn without_name<'t>(text: &'t str, ways: &'t Ways) -> Option<(&'t str, &'t str)> {
    ways.names.iter().find_map(|name| {
        let mut left = name.as_str();
        let mut end = 0;
        for (at, c) in text.char_indices() {
            if left.is_empty() {
                break;
            }
            if c.is_alphanumeric() {
                let lower: String = c.to_lowercase().collect();
                left = left.strip_prefix(lower.as_str())?;
            }
            end = at + c.len_utf8();
        }
        let rest = &text[end..];
        let whole = !rest.starts_with(char::is_alphabetic) || rest.starts_with(['v', 'V']);
        (left.is_empty() && whole).then_some((name.as_str(), rest))
    })
}

/// The version that a text begins with: whole, with a slip, or as short as the file's own are.
fn version_at(text: &str, lead: &Lead, dress: &Dress, ways: &Ways) -> Option<Numbers> {
    let exact = version::find(text, 0).filter(|found| found.at.start == 0).map(|found| Numbers {
        version: text[found.at.clone()].to_owned(),
        parts: found.parts,
        at: found.at,
    });
    let found = exact.filter(|found| found.parts > 1).or_else(|| numbers::at_start(text));
    let found = found.or_else(|| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = !text[digits..].starts_with(|c: char| c.is_alphanumeric() || "./".contains(c));
        let one = (1..=5).contains(&digits) && whole && lead.named;
        one.then(|| Numbers { at: 0..digits, version: text[..digits].to_owned(), parts: 1 })
    })?;
    let usual = match found.parts {
        1 => ways.has(1),
        2 => ways.has(2) || lead.named || lead.dated || dress.hash && date::find(text).is_some(),
        5.. => ways.has(found.parts),
        4 => ways.has(4) || !numbers::is_address(&found.version),
        _ => true,
    };
    (usual && !numbers::is_no_version(&found.version)).then_some(found)
}

/// What stands behind a version without the day and the signs.
fn without_day(rest: &str) -> String {
    let left = match date::find(rest) {
        Some(day) => format!("{} {}", &rest[..day.start], &rest[day.end..]),
        None => rest.to_owned(),
    };
    left.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()
}

/// Whether no more stands behind the version than behind that of a heading.
fn is_headed(rest: &str, dated: bool) -> bool {
    let left = without_day(rest);
    let count = left.split_whitespace().count();
    if version::find(&left, 0).is_some_and(|other| other.parts > 1) {
        return false;
    }
    if dated || count == 0 {
        return count <= 8;
    }
    let behind = rest.trim_start_matches(['*', '_', '`', ']', ')']);
    let ends = rest.trim_end().ends_with(['.', ',', ';', '?']);
    let apart = behind
        .trim_start()
        .starts_with([':', '-', '–', '—', '(', '[', '"', '“', '\'', '|', '/', '«', '!', '+', ','])
        || behind.starts_with(|c: char| !c.is_whitespace());
    let capital = |word: &str| word.starts_with(|c: char| !c.is_lowercase());
    !ends && (apart && count <= 6 || count <= 3 && left.split_whitespace().all(capital))
}

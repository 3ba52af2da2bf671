//! What a heading says: `[1.2.0] - 2025-10-14`, `v1.2.0 (24 May 2026)`, `Version 1.2.0`, `` `crate` - 1.2.0 ``,
//! `2026-07-12 - 5.9.0`, `3.0.2 / 2018-07-19`, `Unreleased`. Pure text, no Markdown.

use std::ops::Range;

use crate::{date, version};

/// A heading that names a version, or what is not released yet. All places are byte ranges of the heading's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Title {
    /// What stands before the version and is not `Version` or `Release`: the name of a package.
    pub package: Option<Range<usize>>,
    /// The version without `v`; none for a plain `Unreleased`.
    pub version: Option<Range<usize>>,
    /// Whether the version has a `v`.
    pub prefixed: bool,
    /// More versions in the same heading: `v0.6.2 - v0.6.4`, `rayon 1.11.0 / rayon-core 1.13.0`.
    pub also: Vec<Range<usize>>,
    /// What stands where a day belongs.
    pub date: Option<Range<usize>>,
    /// The word that says that it was withdrawn.
    pub yanked: Option<Range<usize>>,
    /// The word that says that it is not released.
    pub unreleased: Option<Range<usize>>,
    /// How certain it is.
    pub certainty: Certainty,
}

/// How certain it is that a heading is one of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Only among headings of the same level that are certain: it has a package's name, or more words.
    #[default]
    Loose,
    /// A day and nothing else.
    DayOnly,
    /// A word such as `Next`, which can mean something else.
    Word,
    /// A version of one or two numbers, with or without a day.
    Short,
    /// A whole version, or `Unreleased`.
    Full,
}

/// Whole headings that mean `Unreleased`, besides that word itself.
const NOT_YET: &[&str] = &[
    "next",
    "next release",
    "next version",
    "upcoming",
    "upcoming release",
    "tbd",
    "tba",
    "head",
    "master",
    "main",
    "develop",
    "trunk",
    "in progress",
    "not released",
    "not yet released",
    "wip",
    "coming soon",
    "in development",
];
/// Words before a version that are no package's name.
const VERSION_WORDS: &[&str] = &[
    "version",
    "release",
    "ver",
    "rel",
    "changes with",
    "changes in",
    "changes in version",
    "new in",
    "released",
];
/// A heading that talks about a version instead of being its heading.
const TALK: &[&str] = &[
    "from",
    "to",
    "for",
    "since",
    "before",
    "until",
    "than",
    "fix",
    "fixes",
    "upgrade",
    "upgrading",
    "update",
    "updated",
    "migrate",
    "migrating",
    "migration",
    "guide",
    "bump",
    "bumped",
    "changelog",
    "through",
    "requires",
    "require",
    "msrv",
    "minimum",
    "support",
    "supports",
    "compatibility",
    "history",
    "older",
    "earlier",
    "notes",
    "api",
    "with",
    "and",
    "deprecated",
];
const WITHDRAWN: &[&str] = &["yanked", "withdrawn", "retracted"];
/// Words behind a version that are no other statement about it.
const STATUS: &[&str] = &[
    "lts",
    "stable",
    "latest",
    "current",
    "skipped",
    "unpublished",
    "security",
    "hotfix",
    "beta",
    "alpha",
    "deprecated",
    "initial",
    "release",
    "final",
    "first",
];
const SEPARATORS: &str = "[](){}-–—:,;/|·~*_`\"'";

/// Understands a heading's text; `None` if it is no heading of a release.
pub fn read(text: &str) -> Option<Title> {
    let whole = trimmed(text, 0..text.len());
    // Nobody writes a release's heading that long, and a whole paragraph can be a setext heading.
    if whole.is_empty() || whole.len() > 300 || text[whole.clone()].contains('\n') {
        return None;
    }
    match found(text, whole.clone()) {
        Some(found) => with_version(text, whole, &found),
        None => without_version(text, whole),
    }
}

fn found(text: &str, whole: Range<usize>) -> Option<version::Found> {
    version::find(&text[..whole.end], whole.start)
}

/// Without blanks and separators at both ends.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let edge = |c: char| c.is_whitespace() || SEPARATORS.contains(c);
    let start = range.end - text[range.clone()].trim_start_matches(edge).len();
    let length = text[start..range.end].trim_end_matches(edge).len();
    start..start + length
}

fn without_version(text: &str, whole: Range<usize>) -> Option<Title> {
    let words = &text[whole.clone()];
    if let Some(at) = word(words, &["unreleased"]) {
        let unreleased = Some(whole.start + at.start..whole.start + at.end);
        let certainty = if words.split_whitespace().count() <= 4 { Certainty::Full } else { return None };
        return Some(Title { unreleased, certainty, ..Title::default() });
    }
    if NOT_YET.iter().any(|name| words.eq_ignore_ascii_case(name)) {
        return Some(Title { unreleased: Some(whole), certainty: Certainty::Word, ..Title::default() });
    }
    let day = date::shape(words).filter(|length| *length == words.len() && words.as_bytes()[4] == b'-')?;
    let day = whole.start..whole.start + day;
    Some(Title {
        version: Some(day.clone()),
        date: Some(day),
        certainty: Certainty::DayOnly,
        ..Title::default()
    })
}

fn with_version(text: &str, whole: Range<usize>, found: &version::Found) -> Option<Title> {
    let mut title = Title { version: Some(found.at.clone()), prefixed: found.prefixed, ..Title::default() };
    before(text, whole.start..found.at.start - usize::from(found.prefixed), &mut title)?;
    let bracketed = text[..found.at.start - usize::from(found.prefixed)].ends_with('[')
        && text[found.at.end..].starts_with(']');
    let extra = after(text, found.at.end..whole.end, &mut title)?;
    if title.package.is_some() && extra && title.date.is_none() {
        return None;
    }
    let sure = title.package.is_none() && !extra;
    title.certainty = match found.parts {
        3.. if sure => Certainty::Full,
        3.. => Certainty::Loose,
        // A number alone is a version if it says so.
        1 if !sure
            || !(found.prefixed || bracketed || title.date.is_some() || found.at.start > whole.start) =>
        {
            return None;
        }
        _ if sure => Certainty::Short,
        _ if title.package.is_none() || title.date.is_some() || !extra => Certainty::Loose,
        _ => return None,
    };
    Some(title)
}

/// What stands before the version: nothing, a day, `Version`, `TBD`, or a package's name.
fn before(text: &str, range: Range<usize>, title: &mut Title) -> Option<()> {
    let mut rest = trimmed(text, range);
    if let Some(day) = date::find(&text[rest.clone()]) {
        title.date = Some(rest.start + day.start..rest.start + day.end);
        rest = trimmed(text, rest.start + day.end..rest.end);
    }
    let words = &text[rest.clone()];
    let is_one_of = |list: &[&str]| list.iter().any(|name| words.eq_ignore_ascii_case(name));
    if words.is_empty() || is_one_of(VERSION_WORDS) {
        return Some(());
    }
    if is_one_of(NOT_YET) || is_one_of(&["unreleased"]) {
        title.unreleased = Some(rest);
        return Some(());
    }
    // `Release rayon 1.12.0`: the package is what is left.
    let lead = VERSION_WORDS.iter().find(|w| starts_with_word(words, w)).map_or(0, |w| w.len());
    let package = trimmed(text, rest.start + lead..rest.end);
    let name = &text[package.clone()];
    if name.split_whitespace().count() > 3 || word(name, TALK).is_some() {
        return None;
    }
    title.package = Some(package);
    Some(())
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word))
        && text[word.len()..].starts_with(' ')
}

/// What stands behind the version; whether there is more than a day and a status. `None` if it is talk.
fn after(text: &str, range: Range<usize>, title: &mut Title) -> Option<bool> {
    let mut rest = past_label(text, range);
    while let Some(at) = another(text, rest.clone()) {
        rest = at.end..rest.end;
        title.also.push(at);
    }
    let words = &text[rest.clone()];
    let shift = |at: Range<usize>| rest.start + at.start..rest.start + at.end;
    if title.date.is_none() {
        title.date = date::find(words).or_else(|| numeric(words)).map(shift);
    }
    title.yanked = word(words, WITHDRAWN).map(shift);
    let not_yet = word(words, &["unreleased", "tbd", "tba"])
        .or_else(|| phrase(words, &["not yet released", "not released", "in development"]));
    title.unreleased = title.unreleased.take().or_else(|| not_yet.map(shift));
    let clear = |at: &Option<Range<usize>>| at.clone().map(|at| at.start - rest.start..at.end - rest.start);
    let known = [
        clear(&title.date.clone().filter(|d| d.start >= rest.start)),
        clear(&title.yanked),
        clear(&title.unreleased.clone().filter(|u| u.start >= rest.start)),
    ];
    let is_left = |(at, w): (usize, &str)| {
        !known.iter().flatten().any(|k| k.start <= at && at < k.end) && !is_status(w)
    };
    let left: Vec<&str> = split(words).filter(|(at, w)| is_left((*at, w))).map(|(_, w)| w).collect();
    // What is said about a withdrawal in the same brackets is no other statement.
    let extra = !left.is_empty() && title.yanked.is_none() && title.unreleased.is_none();
    if extra && title.date.is_none() && left.iter().any(|w| TALK.iter().any(|t| w.eq_ignore_ascii_case(t))) {
        return None;
    }
    Some(extra)
}

fn is_status(word: &str) -> bool {
    STATUS.iter().chain(&["ReleaseDate", "date"]).any(|s| word.eq_ignore_ascii_case(s))
}

/// Behind `[1.2.0][label]`.
fn past_label(text: &str, range: Range<usize>) -> Range<usize> {
    let rest = &text[range.clone()];
    let label = rest.strip_prefix("][").and_then(|r| r.find(']'));
    label.map_or(range.clone(), |at| range.start + 2 + at + 1..range.end)
}

/// The place of another version after ` / `, ` - ` or ` and `.
fn another(text: &str, rest: Range<usize>) -> Option<Range<usize>> {
    let words = text[rest.clone()].trim_start_matches([']', ')', '`', '*']);
    let after =
        ["/", "-", "–", "—", "and ", "&", ","].iter().find_map(|s| words.trim_start().strip_prefix(s))?;
    if date::find(after).is_some_and(|day| day.start <= 2) {
        return None;
    }
    let found = version::find(after, 0)?;
    let name = after[..found.at.start - usize::from(found.prefixed)]
        .trim_matches(|c: char| c.is_whitespace() || SEPARATORS.contains(c));
    let close = found.parts >= 2 && name.split_whitespace().count() <= 1 && !name.contains(['(', '#']);
    let base = rest.end - after.len();
    close.then(|| base + found.at.start..base + found.at.end)
}

/// A text with a digit behind ` - `, where a day belongs but none is recognised.
fn numeric(text: &str) -> Option<Range<usize>> {
    let words = text.trim_start_matches([']', ')', ' ']).strip_prefix(['-', '–', '—'])?.trim();
    let at = text.rfind(words)?;
    let day = !words.is_empty()
        && words.bytes().filter(u8::is_ascii_digit).count() >= 3
        && words.bytes().all(|b| b.is_ascii_digit() || b"-/. ".contains(&b));
    day.then(|| at..at + words.len())
}

/// The place of the first of these words.
fn word(text: &str, list: &[&str]) -> Option<Range<usize>> {
    let mut words = split(text);
    words.find(|(_, w)| list.iter().any(|l| w.eq_ignore_ascii_case(l))).map(|(at, w)| at..at + w.len())
}

fn phrase(text: &str, list: &[&str]) -> Option<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    list.iter().find_map(|p| lower.find(p).map(|at| at..at + p.len()))
}

fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let edge = |c: char| c.is_whitespace() || SEPARATORS.contains(c);
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|c| !edge(c))?;
        at = text[start..].find(edge).map_or(text.len(), |end| start + end);
        Some((start, &text[start..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Package, version, date, certainty.
    type Said<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>, Certainty);

    fn said(text: &str) -> Option<Said<'_>> {
        let part = |at: Option<Range<usize>>| at.map(|at| &text[at]);
        read(text).map(|t| (part(t.package), part(t.version), part(t.date), t.certainty))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one line for each style")]
    fn headings_of_every_usual_style_are_understood() {
        use Certainty::{DayOnly, Full, Loose, Short, Word};
        for (text, package, version, date, certainty) in [
            ("[1.2.0] - 2025-10-14", None, Some("1.2.0"), Some("2025-10-14"), Full),
            ("1.2.0 - 2025-10-14 [YANKED]", None, Some("1.2.0"), Some("2025-10-14"), Full),
            ("v1.2.0", None, Some("1.2.0"), None, Full),
            ("v4", None, Some("4"), None, Short),
            ("v21 (2026-07-25)", None, Some("21"), Some("2026-07-25"), Short),
            ("Version 0.29", None, Some("0.29"), None, Short),
            ("Version 3", None, Some("3"), None, Short),
            ("1.4 (2026-01-17)", None, Some("1.4"), Some("2026-01-17"), Short),
            ("3.0.2 / 2018-07-19", None, Some("3.0.2"), Some("2018-07-19"), Full),
            ("3.3.0 2022-06-24", None, Some("3.3.0"), Some("2022-06-24"), Full),
            ("[0.35.0] (24 May 2026)", None, Some("0.35.0"), Some("24 May 2026"), Full),
            ("Release rayon 1.12.0 (2026-04-13)", Some("rayon"), Some("1.12.0"), Some("2026-04-13"), Loose),
            (
                "Release rayon 1.11.0 / rayon-core 1.13.0 (2025-08-12)",
                Some("rayon"),
                Some("1.11.0"),
                Some("2025-08-12"),
                Loose,
            ),
            ("Release 0.1.47 (2026-08-11)", None, Some("0.1.47"), Some("2026-08-11"), Full),
            ("signal-hook-mio-0.3.0", Some("signal-hook-mio"), Some("0.3.0"), None, Loose),
            (
                "parking_lot - 0.12.5 (2025-01-01)",
                Some("parking_lot"),
                Some("0.12.5"),
                Some("2025-01-01"),
                Loose,
            ),
            ("CHANGES WITH 6.0.0:", None, Some("6.0.0"), None, Full),
            ("~~[v0.15.0] - 2024-10-01~~", None, Some("0.15.0"), Some("2024-10-01"), Full),
            ("1.0.2 - 2021-02-26", None, Some("1.0.2"), Some("2021-02-26"), Full),
            ("TBD - 5.10.0", None, Some("5.10.0"), None, Full),
            ("2026-07-12 - 5.9.0", None, Some("5.9.0"), Some("2026-07-12"), Full),
            ("[6.0-alpha.6] – 2026-05-14", None, Some("6.0-alpha.6"), Some("2026-05-14"), Short),
            ("[1.2.0][v1.2.0] - 2025-10-14", None, Some("1.2.0"), Some("2025-10-14"), Full),
            ("22.7.1 (20226-03-26)", None, Some("22.7.1"), Some("20226-03-26"), Full),
            ("[6.7.1] - 2025-12-1", None, Some("6.7.1"), Some("2025-12-1"), Full),
            ("0.5.12 - 2022-04-13 (Yanked; use 0.5.13)", None, Some("0.5.12"), Some("2022-04-13"), Full),
            ("0.9.0 (Skipped)", None, Some("0.9.0"), None, Full),
            ("2025-10-14", None, Some("2025-10-14"), Some("2025-10-14"), DayOnly),
            ("[Unreleased]", None, None, None, Full),
            ("[Unreleased] - ReleaseDate", None, None, None, Full),
            ("master (unreleased)", None, None, None, Full),
            ("Next", None, None, None, Word),
            ("TBD", None, None, None, Word),
            ("[7.2.3] - unreleased", None, Some("7.2.3"), None, Full),
            ("1.2.0 Robustness", None, Some("1.2.0"), None, Loose),
        ] {
            assert_eq!(said(text), Some((package, version, date, certainty)), "{text}");
        }
        for text in [
            "Changelog",
            "Added",
            "Upgrading from 0.8",
            "Bot API 6.5 - #97",
            "v0 CHANGELOG",
            "3.x",
            "Update rustls-webpki to fix RUSTSEC-2026-0049",
            "Reduced support for 32-bit Apple targets",
            "2 fixes",
            "",
            "0.2.2 through 0.2.8, 0.3.0 through 0.3.1",
            "Migration to 2.0.0",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn more_versions_of_one_heading_are_kept() {
        let also = |text: &'static str| {
            read(text).map(|t| t.also.iter().map(|a| text[a.clone()].to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(also("v0.6.2 - v0.6.4"), Some(vec!["0.6.4".to_owned()]));
        assert_eq!(also("rayon 1.11.0 / rayon-core 1.13.0 (2025-08-12)"), Some(vec!["1.13.0".to_owned()]));
        assert_eq!(also("1.2.0 - 2025-10-14"), Some(vec![]));
        assert_eq!(also("0.5.12 - 2022-04-13 (Yanked; use 0.5.13)"), Some(vec![]));
    }
}

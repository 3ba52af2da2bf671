//! What a heading says: `[1.2.0] - 2025-10-14`, `v1.2.0 (24 May 2026)`, `Version 1.2.0`, `` `crate` - 1.2.0 ``,
//! `2026-07-12 - 5.9.0`, `3.0.2 / 2018-07-19`, `Unreleased`. Pure text, no Markdown.

mod beside;
mod lists;
mod split;

use std::ops::Range;

use self::beside::{after, before};
use self::lists::NOT_YET;
pub(crate) use self::lists::VERSION_WORDS;
use self::split::{leading, said, trimmed, word};
use crate::words::{self, Candidate};
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
    /// The candidate that words name: `1.0.0 RC 2`.
    pub candidate: Option<Candidate>,
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

/// Whether a version can stand behind this word in a heading, or a day that stands before it.
pub(crate) fn may_lead(word: &str) -> bool {
    let lower = word.to_lowercase();
    let is_part = |phrase: &&str| phrase.split(' ').any(|part| part == lower);
    VERSION_WORDS.iter().any(&is_part)
        || NOT_YET.iter().any(is_part)
        || words::is_vocabulary(&lower)
        || words::is_beside(&lower)
        || date::is_month(&lower)
}

/// The words of a heading that are neither version, day, name nor a known remark, and stand in no quotation marks.
pub(crate) fn unsaid(text: &str) -> Vec<&str> {
    let Some(title) = read(text) else { return Vec::new() };
    let known = [&title.package, &title.version, &title.date, &title.yanked, &title.unreleased];
    let mut known: Vec<Range<usize>> =
        known.into_iter().flatten().cloned().chain(title.also.clone()).collect();
    known.extend(title.candidate.map(|candidate| candidate.at));
    // What is said about a withdrawal in the same brackets belongs to it.
    known.extend(title.yanked.map(|at| at.start..text.len()));
    known.extend(quotations(text));
    let outside = |at: usize| !known.iter().any(|range| range.contains(&at));
    let said = |word: &str| beside::is_status(word) || may_lead(word) || beside::is_remark(word);
    let words = split::split(text)
        .filter(|(at, word)| outside(*at) && word.contains(char::is_alphanumeric) && !said(word));
    words.map(|(_, word)| word).collect()
}

/// What stands in quotation marks.
fn quotations(text: &str) -> Vec<Range<usize>> {
    let pairs = [('"', '"'), ('“', '”'), ('«', '»'), ('„', '“'), ('‘', '’'), ('`', '`')];
    let mut found = Vec::new();
    for (open, close) in pairs {
        let mut from = 0;
        while let Some(start) = text[from..].find(open).map(|at| from + at) {
            let inner = start + open.len_utf8();
            let Some(end) = text[inner..].find(close).map(|at| inner + at + close.len_utf8()) else { break };
            found.push(start..end);
            from = end;
        }
    }
    found
}

impl Title {
    /// How the version is called, with the candidate that words name: `1.0.0-rc2`.
    pub fn name(&self, text: &str) -> Option<String> {
        let version = &text[self.version.clone()?];
        let Some(candidate) = &self.candidate else { return Some(version.to_owned()) };
        let (numbers, build) = version.split_at(version.find('+').unwrap_or(version.len()));
        let dash = if version::base(version).is_some() { "" } else { "-" };
        Some(format!("{numbers}{dash}{}{build}", candidate.name))
    }
}

/// The version; the number of a candidate that is named before it is none, nor is a part of a day, nor a day with dots before a version.
fn found(text: &str, whole: Range<usize>) -> Option<version::Found> {
    let next = |from: usize| version::find(&text[..whole.end], from);
    let mut first = next(whole.start)?;
    if let Some(place) =
        words::placeholder(text).filter(|place| place.start <= first.at.start && first.at.end <= place.end)
    {
        first = next(place.end)?;
    }
    if first.parts == 1
        && let Some(day) = date::find(&text[whole.clone()])
        && (whole.start + day.start..whole.start + day.end).contains(&first.at.start)
    {
        return next(whole.start + day.end);
    }
    if first.parts == 3 && date::is_day(&text[first.at.clone()]) {
        let is_named = |found: &version::Found| {
            let between = &text[first.at.end..found.at.start - usize::from(found.prefixed)];
            let words = &between[trimmed(between, 0..between.len())];
            said(words, VERSION_WORDS) || words.is_empty() && found.parts > 1
        };
        return Some(next(first.at.end).filter(is_named).unwrap_or(first));
    }
    let of_candidate =
        first.parts == 1 && !first.prefixed && words::candidate(&text[whole.start..first.at.end]).is_some();
    let other = of_candidate.then(|| next(first.at.end)).flatten();
    Some(other.unwrap_or(first))
}

fn without_version(text: &str, whole: Range<usize>) -> Option<Title> {
    let words = &text[whole.clone()];
    let of_word = |at: Range<usize>, certainty| {
        let unreleased = Some(whole.start + at.start..whole.start + at.end);
        Some(Title { unreleased, certainty, ..Title::default() })
    };
    if let Some(at) =
        word(words, &["unreleased"]).or_else(|| leading(words, &["belum dirilis", "belum rilis"]))
    {
        let short = words.split_whitespace().count() <= 4;
        return if short || at.start == 0 { of_word(at, Certainty::Full) } else { None };
    }
    if NOT_YET.iter().any(|name| words.eq_ignore_ascii_case(name)) {
        return of_word(0..words.len(), Certainty::Word);
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
    // `1.2.0...1.3.0` is the way between two.
    if text[found.at.end..].starts_with("..") {
        return None;
    }
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
            ("Unreleased: 1.3.0", None, Some("1.3.0"), None, Full),
            ("RC 2 of 1.0.0", None, Some("1.0.0"), None, Full),
            ("2013.08.21, Version 0.11.6 (Stable)", None, Some("0.11.6"), Some("2013.08.21"), Full),
            ("Release 5.34 (release date: 2025-01-30)", None, Some("5.34"), Some("2025-01-30"), Short),
            ("2025.10.14 - 2025-10-14", None, Some("2025.10.14"), Some("2025-10-14"), Full),
            ("Release notes for 1.3.0", None, Some("1.3.0"), None, Full),
            ("🚀 1.3.0", None, Some("1.3.0"), None, Full),
            ("lock_api 0.4.9 (2022-09-20)", Some("lock_api"), Some("0.4.9"), Some("2022-09-20"), Loose),
            ("api-gateway 1.2.0", Some("api-gateway"), Some("1.2.0"), None, Loose),
            ("1.3.0 - 14 Oktober 2025", None, Some("1.3.0"), Some("14 Oktober 2025"), Full),
            ("1.3.0 - 2025-10-14T09:00:00Z", None, Some("1.3.0"), Some("2025-10-14T09:00:00Z"), Full),
            ("1.3.0 - YYYY-MM-DD", None, Some("1.3.0"), None, Full),
            ("Belum dirilis", None, None, None, Full),
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
    fn a_candidate_in_words_is_part_of_the_versions_name_wherever_it_stands() {
        for (text, name) in [
            ("1.0.0 RC 2 - 2025-02-01", "1.0.0-rc2"),
            ("[1.0.0] - 2025-02-01 - Release Candidate 1", "1.0.0-rc1"),
            ("1.0.0 - 2025-02-01 (beta 2)", "1.0.0-beta2"),
            ("[1.0.0 RC2]", "1.0.0-rc2"),
            ("Beta 2: 1.0.0", "1.0.0-beta2"),
            ("RC 2 of 1.0.0", "1.0.0-rc2"),
            ("Release Candidate 1 for 1.0.0", "1.0.0-rc1"),
            ("Pre-release 1.0.0", "1.0.0-pre"),
            ("(alpha) 1.0.0", "1.0.0-alpha"),
            ("1.0 nightly", "1.0-nightly"),
            ("1.0.0-rc 2", "1.0.0-rc2"),
            ("1.0.0-beta 2 - 2025-02-01", "1.0.0-beta2"),
            ("1.0.0-rc1 (pre-release)", "1.0.0-rc1"),
            ("1.0.0+b5 RC 2", "1.0.0-rc2+b5"),
            ("1.0.0 - 2025-02-01", "1.0.0"),
            ("1.0.0 - Preview deployments", "1.0.0"),
            ("1.0.0 (promoted from RC 2)", "1.0.0"),
            ("dev-tools 1.0.0", "1.0.0"),
            ("Release 3", "3"),
        ] {
            assert_eq!(read(text).and_then(|title| title.name(text)).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn what_is_not_released_says_so_before_and_behind_the_version() {
        for text in [
            "1.3.0 (unreleased)",
            "Unreleased 1.3.0",
            "[Unreleased] - 1.3.0",
            "TBD - 1.3.0",
            "YYYY-MM-DD - 1.3.0",
            "Upcoming: 1.3.0",
            "Draft 1.3.0",
            "Next (1.3.0)",
            "1.3.0 - 2025-03-03 (not yet released)",
            "1.3.0 - XX",
            "1.3.0 - belum dirilis",
            "WIP: 1.3.0",
        ] {
            assert!(
                read(text).is_some_and(|title| title.unreleased.is_some() && title.version.is_some()),
                "{text}"
            );
        }
        for text in ["1.3.0 - 2025-03-03", "1.3.0 - Next generation", "next-auth 1.3.0", "1.3.0 (Skipped)"] {
            assert!(read(text).is_some_and(|title| title.unreleased.is_none()), "{text}");
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

//! What stands before and behind the version of a heading.

use std::ops::Range;

use super::Title;
use super::lists::{NOT_YET, STATUS, TALK, VERSION_WORDS};
use super::split::{SEPARATORS, is_edge, said, split, trimmed, word};
use crate::words::{self, Candidate};
use crate::{date, version};

/// What stands before the version: nothing, a day, `Version`, `TBD`, `RC 2 of`, or a package's name.
pub(super) fn before(text: &str, range: Range<usize>, title: &mut Title) -> Option<()> {
    let mut rest = trimmed(text, range);
    let dotted = || {
        version::find(&text[rest.clone()], 0)
            .map(|found| found.at)
            .filter(|at| date::is_day(&text[rest.clone()][at.clone()]))
    };
    if let Some(day) = date::find(&text[rest.clone()]).or_else(dotted) {
        let first = trimmed(text, rest.start..rest.start + day.start);
        title.date = Some(rest.start + day.start..rest.start + day.end);
        rest = trimmed(text, rest.start + day.end..rest.end);
        // `unreleased 2025-03-03 1.3.0`
        if let Some(at) = words::not_released(&text[first.clone()], true) {
            title.unreleased = Some(first.start + at.start..first.start + at.end);
        }
    }
    if said(&text[rest.clone()], VERSION_WORDS) {
        return Some(());
    }
    let is_kind = words::candidate(&text[rest.clone()]).is_some();
    let not_yet = (said(&text[rest.clone()], NOT_YET) && !is_kind).then(|| 0..rest.len());
    if let Some(at) = not_yet.or_else(|| words::not_released(&text[rest.clone()], title.date.is_some())) {
        title.unreleased = Some(rest.start + at.start..rest.start + at.end);
        rest = without(text, rest.clone(), at);
    }
    if let Some(candidate) = words::candidate(&text[rest.clone()]) {
        let at = rest.start + candidate.at.start..rest.start + candidate.at.end;
        rest = without(text, rest.clone(), candidate.at);
        title.candidate = Some(Candidate { at, name: candidate.name });
    }
    let words = &text[rest.clone()];
    let nothing = words.is_empty()
        || said(words, VERSION_WORDS)
        || split(words).all(|(_, word)| words::is_beside(word));
    if nothing {
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

/// What is left of a range when a part of it is taken out: what stands behind it, else before.
fn without(text: &str, range: Range<usize>, part: Range<usize>) -> Range<usize> {
    let behind = trimmed(text, range.start + part.end..range.end);
    if behind.is_empty() { trimmed(text, range.start..range.start + part.start) } else { behind }
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word))
        && text[word.len()..].starts_with(' ')
}

/// What stands behind the version; whether there is more than a day and a status. `None` if it is talk.
pub(super) fn after(text: &str, range: Range<usize>, title: &mut Title) -> Option<bool> {
    let range_start = range.start;
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
    let words = &masked(words, title.date.as_ref(), rest.start);
    title.yanked = words::withdrawn(words).map(shift);
    let struck = title.date.as_ref().filter(|day| {
        text[..day.start].ends_with("~~") && text[..range_start].matches("~~").count().is_multiple_of(2)
    });
    title.unreleased = title.unreleased.take().or_else(|| struck.cloned());
    title.unreleased =
        title.unreleased.take().or_else(|| words::not_released(words, title.date.is_some()).map(shift));
    candidate(text, words, rest.start, title);
    let about = title.yanked.is_some() || title.unreleased.is_some() || title.candidate.is_some();
    let left: Vec<&str> = split(words).map(|(_, word)| word).filter(|word| !is_status(word)).collect();
    // What is said about a withdrawal in the same brackets is no other statement.
    let extra = !left.is_empty() && !about;
    if extra && title.date.is_none() && word(&outside_brackets(words), TALK).is_some() {
        return None;
    }
    Some(extra)
}

/// What stands in brackets behind a version is a remark about it (`(promoted from RC 2)`).
fn outside_brackets(words: &str) -> String {
    let mut depth = 0;
    let keep = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth > 0 { MASK } else { c }
    };
    words.chars().map(keep).collect()
}

/// A separator that stands for what was read already.
const MASK: char = ';';

/// A text without the day in it, of the same length.
fn masked(words: &str, day: Option<&Range<usize>>, start: usize) -> String {
    let Some(day) = day.filter(|day| day.start >= start) else { return words.to_owned() };
    let (from, to) = (day.start - start, day.end - start);
    format!("{}{}{}", &words[..from], MASK.to_string().repeat(to - from), &words[to..])
}

/// `1.0.0 (RC 2)`, and the number in `1.0.0-rc 2`.
fn candidate(text: &str, words: &str, start: usize, title: &mut Title) {
    let Some(version) = title.version.clone().filter(|_| title.candidate.is_none()) else { return };
    let place = |at: Range<usize>| start + at.start..start + at.end;
    if version::base(&text[version.clone()]).is_none() {
        let found = words::candidate(words);
        title.candidate = found.map(|found| Candidate { at: place(found.at), name: found.name });
        return;
    }
    let numbered = text[version].ends_with(|c: char| c.is_ascii_digit());
    let behind =
        words.split(is_edge).nth(1).filter(|word| !numbered && words.starts_with(' ') && is_number(word));
    title.candidate = behind.map(|word| Candidate { at: place(1..1 + word.len()), name: word.to_owned() });
}

fn is_number(word: &str) -> bool {
    (1..=4).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())
}

/// A word that says when or by whom, and nothing of the kind of the release.
pub(super) fn is_remark(word: &str) -> bool {
    const REMARKS: &[&str] = &[
        "on",
        "by",
        "at",
        "pada",
        "oleh",
        "codename",
        "codenamed",
        "code",
        "name",
        "named",
        "security",
        "patch",
        "bugfix",
        "fix",
        "major",
        "minor",
        "breaking",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        "sat",
        "sun",
        "senin",
        "selasa",
        "rabu",
        "kamis",
        "jumat",
        "sabtu",
        "minggu",
        "utc",
        "wib",
    ];
    REMARKS.iter().any(|known| word.eq_ignore_ascii_case(known)) || word.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn is_status(word: &str) -> bool {
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

//! Versions as people write them: where one stands in a text, and which of two is newer. Numbers are compared as numbers, a
//! release comes after its candidates, and `rc10` after `rc9`, which SemVer would sort as text.

use std::cmp::Ordering;
use std::ops::Range;

/// A version found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The version without a leading `v`.
    pub at: Range<usize>,
    /// Whether a `v` stands before it.
    pub prefixed: bool,
    /// How many numbers it has before a pre-release: 3 in `1.2.0-rc1`.
    pub parts: usize,
}

/// Words that may follow the numbers without a dash, as Python and others write them, and say that the release is still to come.
const GLUED_BEFORE: &[&str] = &[
    "alpha",
    "beta",
    "dev",
    "devel",
    "pre",
    "prerelease",
    "preview",
    "rc",
    "snapshot",
    "canary",
    "nightly",
    "milestone",
    "ea",
    "a",
    "b",
    "c",
    "m",
];
/// Words that may follow in the same way, and name the release itself.
const GLUED_AFTER: &[&str] = &["post", "final", "release", "ga"];

/// The first version in a text at or after `from`, at the edge of a word; what looks like a day is none.
pub fn find(text: &str, from: usize) -> Option<Found> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let digits = at;
        let prefixed = digits > from && matches!(bytes[digits - 1], b'v' | b'V');
        let start = digits - usize::from(prefixed);
        let edge = start == from
            || !(bytes[start - 1].is_ascii_alphanumeric() || b"._+".contains(&bytes[start - 1]));
        match token(&text[digits..]) {
            Some((length, parts)) if edge => {
                return Some(Found { at: digits..digits + length, prefixed, parts });
            }
            _ => at = digits + run(&bytes[digits..], |b| b.is_ascii_digit() || b"-/.".contains(&b)),
        }
    }
    None
}

/// The length and the number of parts of the version that a text starts with.
fn token(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    if crate::date::shape(text).is_some() {
        return None;
    }
    let mut end = run(bytes, |b| b.is_ascii_digit());
    let mut parts = 1;
    while bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end += 1 + run(&bytes[end + 1..], |b| b.is_ascii_digit());
        parts += 1;
    }
    end += suffix(&text[end..])?;
    Some((end, parts))
}

/// The length of what belongs to a version behind its numbers; `None` if the whole is no version (`3.x`, `32nd`).
fn suffix(text: &str) -> Option<usize> {
    let part = |b: u8| b.is_ascii_alphanumeric() || b".-+".contains(&b);
    let bytes = text.as_bytes();
    let length = match bytes.first() {
        Some(b'-') if bytes.get(1).is_some_and(u8::is_ascii_alphanumeric) => {
            if crate::date::shape(&text[1..]).is_some() {
                return Some(0);
            }
            run(bytes, part)
        }
        Some(b'+') => run(bytes, part),
        Some(b'.' | b'_') if !bytes.get(1).is_some_and(u8::is_ascii_alphanumeric) => 0,
        Some(b'.' | b'_') => glued(&text[1..]).then(|| 1 + run(&bytes[1..], part))?,
        Some(b) if b.is_ascii_alphanumeric() => glued(text).then(|| run(bytes, part))?,
        _ => 0,
    };
    Some(text[..length].trim_end_matches(['.', '-', '+']).len())
}

fn glued(text: &str) -> bool {
    is_one_of(GLUED_BEFORE, text) || is_one_of(GLUED_AFTER, text)
}

/// Whether the letters that a text starts with are one of these words. One letter needs a number behind it.
fn is_one_of(words: &[&str], text: &str) -> bool {
    let letters = run(text.as_bytes(), |b| b.is_ascii_alphabetic());
    let digit = text.as_bytes().get(letters).is_some_and(u8::is_ascii_digit);
    (letters > 1 || digit || "ab".contains(&text[..letters].to_ascii_lowercase()))
        && words.iter().any(|word| text[..letters].eq_ignore_ascii_case(word))
}

/// Whether a text is a version and nothing else, with or without `v`.
pub fn is_version(text: &str) -> bool {
    find(text, 0)
        .is_some_and(|found| found.at.end == text.len() && found.at.start == usize::from(found.prefixed))
}

/// Whether a tag's version is this one in another form (`0.4.0-polycool` of 0.4.0): with a word behind it that names no candidate.
pub fn is_form_of(tagged: &str, version: &str) -> bool {
    let Some(rest) = tagged.strip_prefix(version) else { return false };
    let word = rest.trim_start_matches(['-', '.', '_', '+']);
    word.len() < rest.len()
        && !word.is_empty()
        && !is_one_of(GLUED_BEFORE, word)
        && !word.starts_with(|c: char| c.is_ascii_digit())
}

fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|b| !is_part(*b)).unwrap_or(bytes.len())
}

/// The version at the end of a git tag: `1.2.0` of `v1.2.0`, `shop-v1.2.0`, `shop@1.2.0`, `crates/shop/1.2.0`.
pub fn of_tag(tag: &str) -> Option<&str> {
    // A commit is no tag, although some begin like one.
    if tag.len() >= 7 && tag.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut from = 0;
    while let Some(found) = find(tag, from) {
        if found.at.end == tag.len() && (found.parts > 1 || found.prefixed) {
            return Some(&tag[found.at]);
        }
        from = found.at.end;
    }
    None
}

/// Whether a word stands behind the numbers that names no candidate (`0.4.0-polycool`).
pub fn has_word(version: &str) -> bool {
    let numbers = run(version.as_bytes(), |b| b.is_ascii_digit() || b == b'.');
    is_form_of(version, version[..numbers].trim_end_matches('.'))
}

/// The version that is meant by `01.3.0`; `None` where no number begins with 0. Years and months (`2025.03`) may have it.
pub fn without_zeros(version: &str) -> Option<String> {
    let numbers = run(version.as_bytes(), |b| b.is_ascii_digit() || b == b'.');
    let (core, rest) = version.split_at(numbers);
    let parts: Vec<&str> = core.split('.').collect();
    let zero = |part: &&str| part.len() > 1 && part.starts_with('0');
    let calendar = parts.first().is_some_and(|year| year.len() == 4);
    let right = |part: &&str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        number => number.to_owned(),
    };
    (!calendar && parts.iter().any(zero))
        .then(|| format!("{}{rest}", parts.iter().map(right).collect::<Vec<_>>().join(".")))
}

/// Whether SemVer 2.0 would accept it.
pub fn is_semver(version: &str) -> bool {
    semver::Version::parse(version).is_ok()
}

/// Whether two texts name the same version (`1.2` and `1.2.0`, with or without `v`).
pub fn same(one: &str, other: &str) -> bool {
    let bare = |text| str::strip_prefix(text, ['v', 'V']).unwrap_or(text);
    let (one, other) = (bare(one), bare(other));
    one == other
        || (Order::of(one).is_some() && Order::of(one) == Order::of(other) && build(one) == build(other))
}

fn build(version: &str) -> Option<&str> {
    version.split_once('+').map(|(_, build)| build)
}

/// A run of letters or of digits in a pre-release; letters in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Word(String),
}

/// Before, at, or after the release itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Before,
    Release,
    After,
}

/// What versions are compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    core: Vec<u64>,
    stage: Stage,
    candidate: Vec<Piece>,
}

impl Order {
    /// The order of `1.2.0`, `1.2`, `1.2.0-rc10`, `1.2.0rc1`, `2025.10.1`; `None` for what is no such version.
    pub fn of(version: &str) -> Option<Self> {
        let version = version.split_once('+').map_or(version, |(before, _)| before);
        let numbers = run(version.as_bytes(), |b| b.is_ascii_digit() || b == b'.');
        let (core, candidate) = version.split_at(numbers);
        if !version.ends_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let core = core.trim_end_matches('.');
        let dashed = candidate.starts_with('-');
        let candidate = candidate.trim_start_matches(['-', '.', '_']);
        let mut core: Vec<u64> = core.split('.').map(|n| n.parse().ok()).collect::<Option<_>>()?;
        while core.len() > 1 && core.last() == Some(&0) {
            core.pop();
        }
        let stage = match candidate {
            "" => Stage::Release,
            _ if is_one_of(GLUED_AFTER, candidate) => Stage::After,
            _ if dashed || is_one_of(GLUED_BEFORE, candidate) => Stage::Before,
            _ => return None,
        };
        Some(Order { core, stage, candidate: pieces(candidate) })
    }

    /// Whether it is a candidate, an alpha, a development version.
    pub fn is_before_release(&self) -> bool {
        self.stage == Stage::Before
    }

    /// Whether it names a series that the other one belongs to, as 1.2 does with 1.2.3.
    pub fn is_series_of(&self, other: &Self) -> bool {
        self.stage == Stage::Release
            && self.core.len() < other.core.len()
            && other.core.starts_with(&self.core)
    }

    /// Whether both have the same numbers, as 1.2.0-rc1 and 1.2.0 do.
    pub fn same_numbers(&self, other: &Self) -> bool {
        self.core == other.core
    }

    /// Whether both belong to one line of patches: all numbers but the third and later are equal.
    pub fn same_line(&self, other: &Self) -> bool {
        let line = |order: &Self| {
            [order.core.first().copied(), order.core.get(1).copied()].map(Option::unwrap_or_default)
        };
        line(self) == line(other)
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = |c: char| (c.is_ascii_digit(), ".-".contains(c));
        let end = rest.find(|c| kind(c) != kind(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        match piece.parse() {
            Ok(number) => pieces.push(Piece::Number(number)),
            Err(_) if ".-".contains(first) => {}
            Err(_) => pieces.push(Piece::Word(piece.to_ascii_lowercase())),
        }
    }
    pieces
}

/// The version without its candidate: `1.2.0` of `1.2.0-rc2`; `None` if it has none.
pub fn base(version: &str) -> Option<&str> {
    let before = version.split_once('+').map_or(version, |(before, _)| before);
    let numbers = run(before.as_bytes(), |b| b.is_ascii_digit() || b == b'.');
    Order::of(version).filter(Order::is_before_release).map(|_| before[..numbers].trim_end_matches('.'))
}

/// Compares two versions as people mean it; `None` when one is no such version.
pub fn compare(one: &str, other: &str) -> Option<Ordering> {
    Some(Order::of(one)?.cmp(&Order::of(other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_ascend_as_people_mean_it() {
        let ascending = [
            "0.9",
            "1.0.0-alpha.2",
            "1.0.0-beta",
            "1.0.0-rc1",
            "1.0.0rc2",
            "1.0.0-rc.9",
            "1.0.0-rc10",
            "1.0.0",
            "1.0.0.post1",
            "1.0.1",
            "1.2",
            "1.10.0",
            "2025.10.1",
        ];
        for pair in ascending.windows(2) {
            assert!(Order::of(pair[0]) < Order::of(pair[1]), "{pair:?}");
        }
        assert!(same("1.2", "v1.2.0") && !same("1.2.0", "1.2.0+b") && !same("next", "x"));
        assert!(same("1.0.0-RC.1", "1.0.0-rc1"));
        assert_eq!(Order::of("next"), None);
    }

    #[test]
    fn a_version_is_found_where_one_stands_and_nowhere_else() {
        for (text, version, parts) in [
            ("v1.2.0", "1.2.0", 3),
            ("Version 1.2.0-rc1 (2025-10-14)", "1.2.0-rc1", 3),
            ("2025-10-14 - 5.9.0", "5.9.0", 3),
            ("1.0.2 - 2021-02-26", "1.0.2", 3),
            ("1.0.2-2021-02-26", "1.0.2", 3),
            ("signal-hook-mio-0.3.0", "0.3.0", 3),
            ("accesskit-v0.25.2", "0.25.2", 3),
            ("1.2.0+build.5 x", "1.2.0+build.5", 3),
            ("CHANGES WITH 6.0.0:", "6.0.0", 3),
            ("1.0.0rc1.", "1.0.0rc1", 3),
            ("3.2.0.dev1", "3.2.0.dev1", 3),
            ("v4", "4", 1),
            ("0.25_beta", "0.25_beta", 2),
            ("1.0c3", "1.0c3", 2),
            ("1.0.0.M1", "1.0.0.M1", 3),
        ] {
            let found = find(text, 0).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((&text[found.at], found.parts), (version, parts), "{text}");
        }
        for text in ["3.x", "x86_64", "2025-10-14", "the 17th", "a1.2.0", "14.10.2025", "1.0.0x", "1.2m"] {
            assert_eq!(find(text, 0), None, "{text}");
        }
        assert_eq!(of_tag("release-plz-v0.3.159"), Some("0.3.159"));
        assert_eq!((of_tag("HEAD"), of_tag("8806a55727b6c1767cca5d494599623fbb5dd1dd")), (None, None));
        assert_eq!(base("1.2.0-rc2"), Some("1.2.0"));
        assert_eq!(base("1.2.0"), None);
    }

    #[test]
    fn any_suffix_is_no_candidate_and_no_other_form() {
        assert_eq!((base("1.2.0x"), base("1.2.0(")), (None, None));
        for (text, whole) in [
            ("1.0.0", true),
            ("v1.0.0-rc1", true),
            ("1.0.0(", false),
            (".*", false),
            ("1.0.0 2.0.0", false),
            ("", false),
        ] {
            assert_eq!(is_version(text), whole, "{text}");
        }
        for (tagged, form) in [
            ("0.4.0-polycool", true),
            ("0.4.0-rc1", false),
            ("0.4.0", false),
            ("0.4.0-2", false),
            ("0.4.01", false),
        ] {
            assert_eq!(is_form_of(tagged, "0.4.0"), form, "{tagged}");
        }
    }
}

//! What a reader takes one line for: the heading of which release, however it is written. `##1.3.0`, `**1.3.0** (2025-03-03)`,
//! `\## 1.3.0`, `＃＃ １.３.０`, `<h2>1.3.0</h2>`, `== 1.3.0 ==`, `| 1.3.0 |`. Pure text: a person reads a line, not a tree.

mod dress;
mod like;
mod numbers;
mod plain;

use self::dress::{Dress, bare, is_operator, leads_away, undressed};
pub(crate) use self::like::{Like, Ways, is_named, of as like, parts};
pub(crate) use self::numbers::is_address;
pub(crate) use self::plain::plain;
use crate::date::Reading;
use crate::title::{self, Certainty};
use crate::version;

/// The release that a line seems to be the heading of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Its version as it is meant.
    pub version: String,
    /// How many numbers that has.
    pub parts: usize,
    /// What the line is dressed in.
    pub dress: Dress,
    /// Whether it says a version, a day and what belongs to them, and nothing else.
    pub clean: bool,
    /// Whether the version comes first, but for `Version` and the like.
    pub leads: bool,
    /// Whether it says that it is a version: by `v`, by the word.
    pub named: bool,
    /// Whether the version stands in brackets.
    pub bracketed: bool,
    /// Whether it leads to a place in this or another file, as a line of a table of contents does.
    pub leads_away: bool,
    /// Whether a day stands there.
    pub dated: bool,
    /// Whether it says that it is not released.
    pub unreleased: bool,
    /// Whether it names more than one.
    pub several: bool,
    /// Whether it ends as a sentence does.
    pub sentence: bool,
}

/// Whether it is worth to look closer: what looks like a version is in the line, and its first word can stand before one. Most lines
/// of a changelog are entries, and this is asked of all.
pub(crate) fn may_claim(line: &str) -> bool {
    let numbers = |window: &[u8]| {
        window[0].is_ascii_digit() && matches!(window[1], b'.' | b',' | b'\\')
            || matches!(window[0], b'v' | b'V') && window[1].is_ascii_digit()
    };
    let other_digits = || !line.is_ascii() && line.chars().any(|c| !c.is_ascii() && c.is_numeric());
    if !line.as_bytes().windows(2).any(numbers) && !other_digits() {
        return false;
    }
    let mut rest = line.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '<');
    while let Some(end) = rest.strip_prefix('<').and_then(|tag| tag.find('>')) {
        rest = rest[end + 2..].trim_start_matches(|c: char| !c.is_alphanumeric() && c != '<');
    }
    let rest = rest.trim_start_matches('<');
    let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (word, behind) = rest.split_at(length);
    let numbered = word.is_empty()
        || matches!(word, "v" | "V" | "h" | "H") && behind.starts_with(|c: char| c.is_numeric() || c == '.');
    numbered || title::may_lead(word)
}

/// What a line claims; `None` for everything that is no heading of a release to anybody.
pub(crate) fn of(line: &str) -> Option<Claim> {
    let line = plain(line);
    let (dress, words) = undressed(line.trim());
    if is_operator(words) {
        return None;
    }
    let text = bare(words);
    let sentence = text.trim_end().ends_with(['.', ',', ';', '?', '!']);
    let claim = match title::read(&text) {
        Some(title) => {
            let at = title.version.clone()?;
            let start = at.start - usize::from(title.prefixed);
            Claim {
                version: title.name(&text)?,
                parts: text[at.clone()]
                    .split(|c: char| !c.is_ascii_digit())
                    .take_while(|part| !part.is_empty())
                    .count(),
                dress,
                clean: title.package.is_none()
                    && matches!(title.certainty, Certainty::Full | Certainty::Short),
                leads: title.package.is_none(),
                named: title.prefixed || text[..start].contains(char::is_alphabetic),
                bracketed: text[..start].ends_with('['),
                leads_away: leads_away(&line) || leads_elsewhere(&line, &text[at.clone()]),
                dated: title.date.is_some(),
                unreleased: title.unreleased.is_some(),
                several: !title.also.is_empty(),
                sentence,
            }
        }
        None => talk(&text, dress, sentence)?,
    };
    (!numbers::is_no_version(&claim.version)).then_some(claim)
}

/// Whether a heading is read as another version than a person reads in it: behind the version that is read a slip goes on (`1.3,0`,
/// `1.3..0`, a digit of another script, a sign that cannot be seen).
pub(crate) fn is_misread(heading: &str, title: &title::Title) -> bool {
    let text = plain(heading);
    let behind = title.version.as_ref().map_or("", |at| &heading[at.end..]);
    // `6 . 0`
    let goes_on = behind
        .trim_start()
        .strip_prefix('.')
        .is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    goes_on
        || title.version.is_some()
            && matches!(text, std::borrow::Cow::Owned(_))
            && title::read(&text).is_none_or(|seen| seen.name(&text) != title.name(heading))
}

/// Words of a heading that is about the way between versions, or about many of them.
const ABOUT: &[&str] = &[
    "upgrade",
    "upgrades",
    "upgrading",
    "migrate",
    "migrating",
    "migration",
    "updating",
    "to",
    "from",
    "since",
    "before",
    "until",
    "older",
    "earlier",
    "prior",
    "previous",
    "compatibility",
    "supported",
    "supports",
    "requires",
    "minimum",
    "msrv",
    "between",
];

/// Whether the first link is one to a page of something else: its address does not name the version.
fn leads_elsewhere(line: &str, version: &str) -> bool {
    let Some((_, target)) = line.split_once("](") else { return false };
    let target = target.split(')').next().unwrap_or_default();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    target.contains("://") && !target.contains(version) && !digits(target).contains(&digits(version))
}

/// Whether a heading that is not understood names a release all the same: a version stands in it, what looks like one, or a day.
pub(crate) fn names_a_release(heading: &str) -> bool {
    let text = plain(heading);
    let versions = versions(heading).len();
    let numbers = || numbers::anywhere(&text).is_some_and(|found| !is_series(&text[found.at]));
    let named = versions > 0 || crate::date::find(&text).is_some() || numbers();
    // A heading of many versions is about all of them.
    named && versions < 3 && !is_about(heading)
}

/// `1.3.x`
fn is_series(numbers: &str) -> bool {
    numbers.ends_with(['x', 'X', '*'])
}

/// The version that a heading among the releases seems to be about, with whatever slip in it; `None` if it is about the way between
/// versions, or about many.
pub(crate) fn may_be_release(heading: &str) -> Option<String> {
    // `1.2.0...1.3.0`: the way to the second one.
    let way =
        heading.split_once("...").filter(|(from, to)| !versions(from).is_empty() && !versions(to).is_empty());
    if let Some((_, to)) = way {
        return may_be_release(to);
    }
    let text = plain(heading);
    let mut named = versions(heading);
    if named.len() > 2 || is_about(heading) {
        return None;
    }
    let whole = |version: &String| parts(version) > 2;
    let exact = if named.is_empty() { None } else { Some(named.remove(0)) };
    exact.clone().filter(whole).or_else(|| numbers::anywhere(&text).map(|found| found.version)).or(exact)
}

/// Whether a heading is about the way between versions (`Upgrading to 1.3.0`), and does not begin with one.
fn is_about(heading: &str) -> bool {
    let leads = of(heading).is_some_and(|claim| {
        claim.leads
            && !claim.clean
            && heading.trim_start().starts_with(|c: char| c.is_ascii_digit() || "[v`*".contains(c))
    });
    let words = heading.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    !leads && words.into_iter().any(|word| ABOUT.contains(&word.as_str()))
}

/// The day that a line names, as YYYY-MM-DD.
pub(crate) fn day(line: &str) -> Option<String> {
    let text = plain(line);
    match crate::date::read(&text[crate::date::find(&text)?]) {
        Reading::Iso(day) | Reading::Timestamp(day) | Reading::Other(Some(day)) => Some(day.to_string()),
        _ => None,
    }
}

/// The versions that a line names, as they are meant; of one number only behind `Version`.
pub(crate) fn versions(line: &str) -> Vec<String> {
    let text = plain(line);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(next) = version::find(&text, from) {
        let before = text[..next.at.start].trim_end().to_lowercase();
        if next.parts > 1 || before.ends_with("version") || before.ends_with("release") {
            found.push(text[next.at.clone()].to_owned());
        }
        from = next.at.end;
    }
    found
}

/// `1.3.0 fixes a bug`: the version comes first, and more is said about it than a heading does.
fn talk(text: &str, dress: Dress, sentence: bool) -> Option<Claim> {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let found = version::find(text, 0).filter(|found| found.at.start == usize::from(found.prefixed))?;
    Some(Claim {
        version: text[found.at].to_owned(),
        parts: found.parts,
        dress,
        clean: false,
        leads: true,
        named: found.prefixed,
        bracketed: false,
        leads_away: false,
        dated: false,
        unreleased: false,
        several: false,
        sentence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty and more ways to write a heading that Markdown does not take for one, or not for that of a release.
    #[test]
    fn however_it_is_dressed_a_release_is_recognised() {
        for line in [
            "##1.3.0 - 2025-03-03",
            "##v1.3.0",
            "  ## [1.3.0] - 2025-03-03",
            "**1.3.0**",
            "**1.3.0** - 2025-03-03",
            "__[1.3.0]__ (2025-03-03)",
            "##### 1.3.0",
            "<h2>1.3.0</h2>",
            "<h2 id=\"x\">v1.3.0 (2025-03-03)</h2>",
            "<summary><b>1.3.0</b></summary>",
            "\\## 1.3.0",
            "\\#\\# [1.3.0] - 2025-03-03",
            "＃＃ 1.3.0",
            "##\u{a0}1.3.0",
            "##\u{200b}1.3.0",
            "## １.３.０",
            "## ١.٣.٠",
            "## 1,3,0",
            "## 1..3.0",
            "## v.1.3.0",
            "== 1.3.0 ==",
            "=== Version 1.3.0 (2025-03-03) ===",
            "h2. 1.3.0",
            "&#35;# 1.3.0",
            "> ## 1.3.0",
            "- ## 1.3.0",
            "1. 1.3.0 - 2025-03-03",
            "| 1.3.0 | 2025-03-03 | NEW |",
            "1.3.0",
            "[1.3.0]",
            "[1.3.0](https://x.example/compare/v1.2.0...v1.3.0) - 2025-03-03",
            "[v1.3.0][label]",
            "Version 1.3.0:",
            "--- 1.3.0 ---",
            "## [1.3.0",
            "🚀 **1.3.0** 🚀",
            "##1.3.0 brings what you asked for",
        ] {
            let claim = of(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((claim.version.as_str(), claim.leads), ("1.3.0", true), "{line}: {claim:?}");
        }
    }

    #[test]
    fn a_heading_with_a_slip_in_its_version_names_a_release_and_one_about_versions_does_not() {
        for text in [
            "v.1.3.0 - 2025-03-03",
            "1,3,0",
            "1.3.O",
            "l.3.0",
            "1..3.0",
            "1-3-0",
            "1_3_0",
            "１.３.０",
            "The Big One - 2025-03-03",
            "Release-1.3.0!",
            "New: 1.3.0!",
            "1.3.0 fixes a bug from 1.2.0",
            "Version 3 at last",
        ] {
            assert!(names_a_release(text), "{text}");
        }
        for text in [
            "Conventions",
            "Contents",
            "3.x",
            "v18.x",
            "Upgrading from 0.8",
            "Upgrading to 1.3.0",
            "Migration from 1.2.0 to 1.3.0",
            "Release 0.2 and earlier",
            "v0 CHANGELOG",
            "Older than 1.0.0: older releases",
            "2 fixes",
            "0.2.2 through 0.2.8, 0.3.0 through 0.3.1",
            "Step 1. Begin",
        ] {
            assert!(!names_a_release(text), "{text}");
        }
    }

    #[test]
    fn what_is_said_of_a_version_is_no_heading_of_it() {
        for line in [
            "Upgrading to 1.3.0",
            "In 1.3.0 a bug was fixed",
            "See the notes of 1.3.0.",
            "The shop runs on Node 1.3.0",
            "![badge](https://x.example/1.3.0)",
            "[![npm](https://x.example/1.3.0.svg)](https://x.example)",
            "from 1.2.0 to 1.3.0",
            "Released on 2025-03-03",
            "https://x.example/1.3.0",
        ] {
            let claim = of(line);
            assert!(claim.as_ref().is_none_or(|claim| !claim.clean && !claim.leads), "{line}: {claim:?}");
        }
        for line in ["1.3.0 fixes a bug", "1.3.0 and 1.2.9 are the same", "1.3.0 is the last one for Node 18"]
        {
            assert!(of(line).is_none_or(|claim| !claim.clean || claim.several), "{line}: {:?}", of(line));
        }
    }
}

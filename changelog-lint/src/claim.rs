//! What a reader takes one line for: the heading of which release, however it is written. `##1.3.0`, `**1.3.0** (2025-03-03)`,
//! `\## 1.3.0`, `＃＃ １.３.０`, `<h2>1.3.0</h2>`, `== 1.3.0 ==`, `| 1.3.0 |`. Pure text: a person reads a line, not a tree.

use std::borrow::Cow;

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

/// What stands around the words of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dress {
    /// `#`, `=`, or a tag of HTML that makes a heading.
    pub hash: bool,
    /// Bold, emphasised, or between lines of its own.
    pub bold: bool,
    /// A bullet or a number.
    pub item: bool,
    /// `>`.
    pub quoted: bool,
    /// `|`.
    pub row: bool,
    /// A code span.
    pub code: bool,
}

/// What a line claims; `None` for everything that is no heading of a release to anybody.
pub(crate) fn of(line: &str) -> Option<Claim> {
    let line = plain(line);
    let (dress, words) = undressed(line.trim());
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
                leads_away: leads_away(&line),
                dated: title.date.is_some(),
                unreleased: title.unreleased.is_some(),
                several: !title.also.is_empty(),
                sentence,
            }
        }
        None => talk(&text, dress, sentence)?,
    };
    Some(claim)
}

/// Words of a heading that is about the way between versions, or about many of them.
const ABOUT: &[&str] = &[
    "upgrade",
    "upgrades",
    "upgrading",
    "migrate",
    "migrating",
    "migration",
    "update",
    "updating",
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

/// Whether a heading that is not understood names a release all the same: a version stands in it, what looks like one, or a day.
pub(crate) fn names_a_release(heading: &str) -> bool {
    let text = plain(heading);
    let named = !versions(heading).is_empty() || has_numbers(&text) || crate::date::find(&text).is_some();
    named && !is_about(heading)
}

/// `1.3.O`, `l.3.0`, `1-3-0`: numbers in a row, with a slip in them. A series (`3.x`) is none.
fn has_numbers(text: &str) -> bool {
    let words = text.split(|c: char| c.is_whitespace() || "()[]`*".contains(c));
    words.into_iter().any(|word| {
        let parts: Vec<&str> = word.split(['.', ',', '·', '_', '-']).collect();
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let series = parts.last().is_some_and(|last| last.eq_ignore_ascii_case("x") || *last == "*");
        let numbers = parts.iter().filter(|part| number(part)).count();
        let short = parts.iter().all(|part| (1..=5).contains(&part.len()));
        !series && short && numbers >= 2 && (word.contains(['.', ',', '·']) || numbers >= 3)
    })
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

/// The same line in ASCII: digits of other scripts and full-width signs as what they look like, no invisible characters, and the
/// usual slips of the keyboard in a version put right (`v.1.3.0`, `1,3,0`, `1..3.0`).
fn plain(line: &str) -> Cow<'_, str> {
    let ascii: Cow<'_, str> = if line.is_ascii() {
        Cow::Borrowed(line)
    } else {
        Cow::Owned(line.chars().filter_map(look).collect())
    };
    let slips = ascii.contains(['\\', ',', '&'])
        || ascii.contains("..")
        || ascii.contains("v.")
        || ascii.contains("V.");
    if slips { Cow::Owned(corrected(&unescaped(&ascii))) } else { ascii }
}

/// What a character looks like; `None` for what cannot be seen.
fn look(c: char) -> Option<char> {
    let digit = |zero: u32| char::from_digit(c as u32 - zero, 10);
    match c {
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{fe0f}' => None,
        '\u{ff10}'..='\u{ff19}' => digit(0xff10),
        '\u{660}'..='\u{669}' => digit(0x660),
        '\u{6f0}'..='\u{6f9}' => digit(0x6f0),
        '\u{966}'..='\u{96f}' => digit(0x966),
        '\u{1d7ce}'..='\u{1d7ff}' => char::from_digit((c as u32 - 0x1d7ce) % 10, 10),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        '\u{3002}' | '\u{2024}' | '\u{ff61}' => Some('.'),
        '\u{fe5f}' | '\u{266f}' => Some('#'),
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

/// Without backslashes before signs, and with the entities that stand for blanks and `#`.
fn unescaped(text: &str) -> String {
    let text = text.replace("&nbsp;", " ").replace("&#35;", "#").replace("&num;", "#").replace("&#160;", " ");
    let mut signs = text.chars().peekable();
    let mut result = String::with_capacity(text.len());
    while let Some(c) = signs.next() {
        if c != '\\' || !signs.peek().is_some_and(char::is_ascii_punctuation) {
            result.push(c);
        }
    }
    result
}

fn corrected(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| signs.get(at)).is_some_and(char::is_ascii_digit);
    let mut result = String::with_capacity(text.len());
    for (at, c) in signs.iter().copied().enumerate() {
        let (before, after) = (digit(at.checked_sub(1)), digit(Some(at + 1)));
        let doubled = c == '.' && signs.get(at + 1) == Some(&'.') && before && digit(Some(at + 2));
        let behind_v = c == '.'
            && after
            && at > 0
            && matches!(signs[at - 1], 'v' | 'V')
            && (at == 1 || !signs[at - 2].is_alphanumeric());
        match c {
            '.' if doubled || behind_v => {}
            ',' if before && after => result.push('.'),
            c => result.push(c),
        }
    }
    result
}

/// Takes off what stands around the words, again and again: quotes, bullets, cells, hashes, tags, bold.
fn undressed(line: &str) -> (Dress, &str) {
    let mut dress = Dress::default();
    let mut rest = line;
    while let Some(inner) = quote(rest, &mut dress)
        .or_else(|| cell(rest, &mut dress))
        .or_else(|| hashes(rest, &mut dress))
        .or_else(|| bullet(rest, &mut dress))
        .or_else(|| tag(rest, &mut dress))
    {
        rest = inner.trim();
    }
    let bold = ["**", "__", "*", "_"].iter().any(|mark| {
        rest.strip_prefix(mark)
            .is_some_and(|inner| inner.contains(mark) && !inner.starts_with(char::is_whitespace))
    });
    dress.bold |= bold || is_framed(rest);
    dress.code = rest.trim_start_matches(['*', '_']).starts_with('`');
    (dress, rest)
}

fn quote<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.strip_prefix('>')?;
    dress.quoted = true;
    Some(inner)
}

fn cell<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.strip_prefix('|')?;
    dress.row = true;
    Some(inner.split('|').next().unwrap_or(inner))
}

/// `## 1.3.0 ##`, `##1.3.0`, `== 1.3.0 ==`, `h2. 1.3.0`.
fn hashes<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.trim_start_matches('#');
    if inner.len() < text.len() {
        dress.hash = true;
        return Some(inner.trim_end_matches('#'));
    }
    let inner = text.trim_start_matches('=');
    if inner.len() < text.len() && inner.trim_end().ends_with('=') {
        dress.hash = true;
        return Some(inner.trim_end_matches('='));
    }
    let textile = text
        .strip_prefix(['h', 'H'])?
        .strip_prefix(|c: char| ('1'..='6').contains(&c))?
        .strip_prefix(". ")?;
    dress.hash = true;
    Some(textile)
}

/// `- `, `1. `, `1) `.
fn bullet<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let after = if digits > 0 && digits < 4 {
        text[digits..].strip_prefix(['.', ')'])
    } else {
        text.strip_prefix(['-', '*', '+', '•', '◦', '–', '—'])
    };
    let inner = after.filter(|rest| rest.starts_with(' ') && !rest.trim().is_empty())?;
    // `--- 1.3.0 ---` and `- 1.3.0 -` are framed.
    dress.item = true;
    Some(inner)
}

/// `<h2>1.3.0</h2>`, `<b>1.3.0</b>`, `<summary>1.3.0</summary>`.
fn tag<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>')?;
    let name: String =
        inner[..end].chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    dress.hash |= matches!(name.as_str(), "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
    dress.bold |= matches!(name.as_str(), "b" | "strong" | "summary" | "dt" | "big" | "u" | "em" | "i");
    Some(&inner[end + 1..])
}

/// `--- 1.3.0 ---`, `*** 1.3.0 ***`, `~~ 1.3.0 ~~`.
fn is_framed(text: &str) -> bool {
    let Some(sign) = text.chars().next().filter(|c| "-*~_+".contains(*c)) else { return false };
    let inner = text.trim_matches(sign);
    let ends = text.len() - text.trim_start_matches(sign).len() >= 2
        && text.len() - text.trim_end_matches(sign).len() >= 2;
    ends && inner.starts_with(' ') && inner.ends_with(' ')
}

/// The words without the Markdown and the HTML in them: no images, of links what is seen of them.
fn bare(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '!' if rest.starts_with("![") => link_end(&rest[1..]).map(|(_, end)| end + 1),
            '<' => tag_end(rest),
            '*' | '`' => Some(1),
            '_' | '~' if rest[1..].starts_with(c) => Some(2),
            _ => None,
        };
        let link = if c == '[' { link_end(rest) } else { None };
        rest = match (skipped, link) {
            (Some(length), _) => &rest[length..],
            (None, Some((inside, end))) => {
                result.push('[');
                result.push_str(&bare(&rest[1..inside]));
                result.push(']');
                &rest[end..]
            }
            (None, None) => {
                result.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    result
}

/// The length of a tag that begins here.
fn tag_end(text: &str) -> Option<usize> {
    let end = text.find('>')?;
    text[1..end].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/').then_some(end + 1)
}

/// Whether the first link is one to a heading or to another file: `(#130)`, `(docs/1.3.0.md)`, `href="x.md#1.3.0"`.
fn leads_away(text: &str) -> bool {
    let inline = text.find("](").map(|at| &text[at + 2..]);
    let target =
        inline.or_else(|| text.find("href=").map(|at| text[at + 5..].trim_start_matches(['"', '\''])));
    target.is_some_and(|target| {
        let end = target.find([')', '"', '\'', ' ', '>']).unwrap_or(target.len());
        !target[..end].contains("://") || target[..end].contains('#')
    })
}

/// Where the text of a link that begins here ends, and the whole of it with its address or its label.
fn link_end(text: &str) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let close = text.char_indices().find_map(|(at, c)| {
        depth += usize::from(c == '[');
        if c == ']' {
            depth = depth.saturating_sub(1);
        }
        (depth == 0).then_some(at)
    })?;
    let after = &text[close + 1..];
    let behind = match after.chars().next() {
        Some('(') => after.find(')').map_or(0, |end| end + 1),
        Some('[') => after.find(']').map_or(0, |end| end + 1),
        _ => 0,
    };
    Some((close, close + 1 + behind))
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

//! No changelog is opened with a version whose heading is not the first line that a reader would take for that of a release. The
//! reader is one of its own, who knows nothing of the parser: he sees lines, skips code and comments, and forgives every slip.

use changelog_lint::changelog::parse;
use changelog_lint::finding::Level;
use changelog_lint::findings;
use changelog_lint::notes;
use changelog_lint::rules::Options;
use changelog_lint::text::Lines;
use proptest::prelude::*;

use crate::rules::headings::{BROKEN, SLIPS};

/// The first line, 1-based, that looks like the heading of a release.
fn first_release(text: &str) -> Option<usize> {
    let (mut fence, mut comment) = (None, false);
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) if !comment => {
                fence = Some(mark);
                continue;
            }
            (Some(open), found) => {
                if found == Some(open) {
                    fence = None;
                }
                continue;
            }
            _ => {}
        }
        if comment || bare.starts_with("<!--") {
            comment = !bare.contains("-->");
            continue;
        }
        if looks_like_a_release(bare) {
            return Some(index + 1);
        }
    }
    None
}

/// A version comes first but for signs, tags and `Version`, and nothing but signs, a day and an address behind it.
fn looks_like_a_release(line: &str) -> bool {
    let mut rest = line.to_owned();
    for (from, to) in [("&#35;", "#"), ("<!-- a comment -->", "")] {
        rest = rest.replace(from, to);
    }
    while let (Some(open), Some(close)) = (rest.find('<'), rest.find('>')) {
        if open > close {
            break;
        }
        rest.replace_range(open..=close, " ");
    }
    let is_sign = |c: char| !c.is_alphanumeric();
    let mut rest = rest.trim_start_matches(is_sign);
    for number in ["1. ", "2. "] {
        rest = rest.strip_prefix(number).unwrap_or(rest).trim_start_matches(is_sign);
    }
    for word in ["h2. ", "Version ", "Release ", "Versi ", "Changes in ", "v"] {
        rest = rest.strip_prefix(word).unwrap_or(rest).trim_start_matches(is_sign);
    }
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    let version = rest[..end].trim_end_matches('.');
    if version.split('.').filter(|number| !number.is_empty()).count() != 3 {
        return false;
    }
    let mut behind = rest[end..].to_owned();
    if let (Some(open), Some(close)) = (behind.find("](http"), behind.rfind(')')) {
        behind.replace_range(open..=close.max(open + 1), "");
    }
    let words: Vec<&str> = behind
        .split(is_sign)
        .filter(|word| !word.is_empty() && !word.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    words.iter().all(|word| ["March", "Maret", "NEW"].contains(word))
}

/// Good headings, `@` for the version.
const GOOD: &[&str] = &[
    "## @ - 2025-03-03",
    "## [@] - 2025-03-03",
    "## v@",
    "# @ (2025-03-03)",
    "### @",
    "## Version @",
    "@ - 2025-03-03\n------------------",
    "## @ ##",
    "## **@**",
    "## [@](https://github.com/a/b/compare/v1.2.0...v2.0.0) (2025-03-03)",
];
/// What is no heading of a release to anybody.
const OTHER: &[&str] = &[
    "Words about 1.3.0 and more.",
    "1.3.0 fixes a bug in the cart.",
    "- an entry",
    "### Added",
    "```\n## 99.0.0 - 2030-01-01\n```",
    "<!--\n## 99.0.0\n-->",
    "~~~\n**99.0.0**\n~~~",
    "> a quote of somebody",
    "Upgrading to 99.0.0",
    "- Bump payment from 1.2.9 to 1.3.0",
    "| a | b |\n|---|---|\n| c | d |",
    "---",
    "## Unreleased",
    "## 99.0.0 (unreleased)",
    "## [99.0.0] - YYYY-MM-DD",
    "#1234",
    "[x]: https://x.example",
];

/// A file of such pieces. Versions descend, as the file's reader expects.
fn changelog() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(GOOD),
        3 => prop::sample::select(BROKEN),
        1 => prop::sample::select(SLIPS),
        4 => prop::sample::select(OTHER),
    ];
    let blank = prop::bool::weighted(0.8);
    prop::collection::vec((piece, blank), 1..10).prop_map(|pieces| {
        let mut text = "# Changelog\n\n".to_owned();
        for (index, (piece, blank)) in pieces.iter().enumerate() {
            let version = format!("{}.0.0", 20 - index);
            text.push_str(&piece.replace('@', &version).replace("9.9.9", &version));
            text.push_str(if *blank { "\n\n" } else { "\n" });
            if piece.contains('@') {
                text.push_str("- NEW of it\n\n");
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1500),
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_128),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_changelog_is_opened_with_another_version_than_a_reader_sees_first(text in changelog()) {
        let log = parse(&text);
        let options = Options::on(jiff::civil::date(2026, 11, 25));
        let refused = findings::of(&log, &options).iter().any(|f| f.level == Level::Error && f.rule.code == "CL203");
        let Some(newest) = notes::newest(&log).filter(|_| !refused) else { return Ok(()) };
        // Files of which the reader cannot tell what comes first are none of this.
        let opened = Lines::of(&text).line(log.at(newest).start);
        prop_assert_eq!(Some(opened), first_release(&text), "opened {}:\n{}", newest.name(), text);
    }
}

/// The reader himself: he is of no use if he is blind.
#[test]
fn the_reader_sees_what_is_to_be_seen() {
    for (text, line) in [
        ("# Changelog\n\n##1.3.0\n\n## 1.2.0\n", Some(3)),
        ("**Version 1.3.0** (2025-03-03)\n", Some(1)),
        ("```\n## 1.3.0\n```\n## 1.2.0\n", Some(4)),
        ("<!--\n## 1.3.0\n-->\n## 1.2.0\n", Some(4)),
        ("1.3.0 fixes a bug\n", None),
        ("## 1.3.0 (unreleased)\n", None),
    ] {
        assert_eq!(first_release(text), line, "{text}");
    }
    let seen = BROKEN.iter().filter(|broken| first_release(&broken.replace('@', "9.9.9")).is_some()).count();
    assert!(seen * 10 >= BROKEN.len() * 9, "{seen} of {}", BROKEN.len());
    for good in GOOD {
        assert_eq!(first_release(&good.replace('@', "9.9.9")), Some(1), "{good}");
    }
}

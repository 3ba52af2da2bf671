//! Advice brings no new finding: what the help's words say is done by somebody who can only read and write, and the file is linted
//! again. The finding is gone, and there is none that was not there before.

use changelog_lint::changelog::{Span, parse};
use changelog_lint::finding::Finding;
use changelog_lint::findings;
use changelog_lint::rules::{Options, Profile};
use changelog_lint::text::Lines;

use proptest::prelude::*;

use crate::rules::headings::{BROKEN, SLIPS, with};
use crate::rules::table::cases;

/// Helps that ask for knowledge that only a person has: which change, which day, what a commit brought.
const FOR_A_PERSON: &[&str] = &[
    "convert the file",
    "resolve it",
    "write one kind",
    "close it",
    "or allow it",
    "say what changed",
    "keep one of the two sections",
    "look at the dates of the tags",
    "tag it, or remove",
    "write what they brought",
    "bring the heading back",
    "move its entries to the first one",
    "move the entries to the first one",
    "move it to the top",
    "name https://keepachangelog.com",
    "write its changes when they are released",
    "write the day of the release",
    "end it with a change",
    "write what the change does",
    "write one line for each change",
    "put it first",
    "release a newer version",
    "put a code name into quotation marks",
    "write its version into it",
    "put changes into groups",
    "put it below one of",
    "write each change as an item",
    "the order is",
    "the latest version comes first",
    "give all releases the same level",
    "write it in brackets and define the link below",
    "define it: `",
    "call it CHANGELOG.md",
    "Common Changelog has only the title there",
    "it must begin at the version before",
    "or bring the version's section back",
    "did you mean `",
    "use one of them, or allow it",
    "write the date as YYYY-MM-DD",
    "only the tag has it",
    "write three numbers",
    "`changelog-lint rule` lists them",
    "write disable-next-line",
    "remove one",
    "and the changes below it",
    "above the newest version",
    "write `## 1.2.0 - 2025-10-14` or `",
    "write `## [1.2.0] - 2025-10-14`",
    "write `[YANKED]` behind the date",
    "put it one level deeper",
    "begin it with",
    "call it `# Changelog`",
];

/// What can be seen of a release once its heading is read: the same version again, its order, what other links say of it.
const REVEALED: &[&str] = &["CL113", "CL201", "CL202", "CL301", "CL302", "CL305", "CL505", "CL507"];

/// What stands in the first backticks of a help.
fn quoted(help: &str) -> Option<&str> {
    help.split('`').nth(1)
}

/// The text after somebody has done what the help says; `None` where that takes a person.
fn obeyed(text: &str, finding: &Finding) -> Option<String> {
    let help = finding.help.as_deref()?;
    if FOR_A_PERSON.iter().any(|words| help.contains(words)) && !help.contains("with the day of the release")
    {
        return None;
    }
    let lines = Lines::of(text);
    let whole = |span: &Span| {
        let line = lines.around(&(span.start..span.start + 1), 1);
        let heading = parse(text)
            .headings
            .iter()
            .find(|h| h.span.start <= span.start && span.start < h.span.end)
            .map(|h| h.span.clone());
        heading.map_or(line.clone(), |heading| heading.start.min(line.start)..heading.end.max(line.end))
    };
    let replaced = |span: Span, with: &str| format!("{}{with}{}", &text[..span.start], &text[span.end..]);
    if help == "remove it" {
        if lines.around(&finding.span, 9).len() > finding.span.len() {
            return Some(replaced(finding.span.clone(), ""));
        }
        let end = text[finding.span.end..].find('\n').map_or(text.len(), |at| finding.span.end + at + 1);
        return Some(replaced(finding.span.start..end.max(finding.span.end), ""));
    }
    let words = quoted(help).or_else(|| help.rsplit("write ").next())?;
    if help.contains("with the day of the release") {
        return Some(replaced(
            whole(&finding.span),
            &format!("{}\n", words.replace("YYYY-MM-DD", "2025-01-15")),
        ));
    }
    if help.contains("at the beginning of a line") {
        return Some(replaced(
            lines.around(&finding.span, 1),
            &format!("\n{}\n", words.replace("YYYY-MM-DD", "2025-01-15")),
        ));
    }
    if help.contains("deeper level") {
        return Some(replaced(
            whole(&finding.span),
            &format!("{}\n", words.replace("YYYY-MM-DD", "2025-01-15")),
        ));
    }
    let words = help.split_once("write `").map_or(words, |(_, rest)| rest.split('`').next().unwrap_or(rest));
    Some(replaced(finding.span.clone(), words))
}

/// A finding as it can be known again: its rule, its words, and the words of its line, of which one may change.
type Kind = (&'static str, String, String);

fn kind(text: &str, finding: &Finding) -> Kind {
    let line = Lines::of(text).around(&finding.span, 1);
    (finding.rule.code, finding.message.clone(), text[line].trim().to_owned())
}

fn kinds(text: &str, found: &[Finding]) -> Vec<Kind> {
    found.iter().map(|finding| kind(text, finding)).collect()
}

fn same(one: &Kind, other: &Kind) -> bool {
    one.0 == other.0 && (one.1 == other.1 || one.2 == other.2)
}

/// Does what each help says, one finding at a time; how many could be done.
fn obey(text: &str, options: &Options) -> usize {
    let before = findings::of(&parse(text), options);
    let mut done = 0;
    for finding in &before {
        let Some(after) = obeyed(text, finding) else { continue };
        done += 1;
        let left = findings::of(&parse(&after), options);
        let (was, is) = (kinds(text, &before), kinds(&after, &left));
        let new: Vec<_> = is.iter().filter(|now| !was.iter().any(|before| same(before, now))).collect();
        let story = format!(
            "{} {}: {:?}\n{text}\n--- becomes\n{after}\n---\n{new:?}",
            finding.rule.code, finding.message, finding.help
        );
        // A version that is read now stands where it stands: its order and its link are further truths.
        let written = |line: &str| finding.help.as_deref().is_some_and(|help| help.contains(line));
        let revealed = |code: &str, line: &str| match finding.rule.code {
            "CL203" => REVEALED.contains(&code) || code != "CL203" && !written(line),
            // The day is made up here, and a file may have had as many days in the one form as in the other.
            "CL301" => ["CL113", "CL202", "CL302", "CL305", "CL507"].contains(&code),
            // What stood below the second title belongs to the release above it now.
            "CL103" => code.starts_with("CL4") || code == "CL301",
            _ => false,
        };
        let new: Vec<_> = new.into_iter().filter(|(code, _, line)| !revealed(code, line)).collect();
        // The other profiles have rules that contradict some files as a whole: one step cannot please them all.
        assert!(new.is_empty() || options.profile != Profile::Default, "a new finding: {story}");
        let count = |kinds: &[Kind]| kinds.iter().filter(|other| same(other, &kind(text, finding))).count();
        assert!(count(&is) < count(&was), "the finding is still there: {story}");
    }
    done
}

#[test]
fn each_rules_advice_can_be_followed() {
    let mut done = 0;
    for (_, marked, options) in cases() {
        done += obey(&marked.replacen('@', "", 1), &options);
    }
    assert!(done >= 12, "{done}");
}

#[test]
fn advice_about_a_broken_heading_makes_it_one() {
    for broken in BROKEN.iter().chain(SLIPS) {
        for place in 0..4 {
            let (text, _) = with(broken, place);
            let options = Options::on(jiff::civil::date(2026, 11, 25));
            let found = findings::of(&parse(&text), &options);
            let told = found.iter().find(|f| f.rule.code == "CL203").unwrap_or_else(|| panic!("{text}"));
            let Some(after) = obeyed(&text, told) else {
                assert!(
                    told.help.as_deref().is_some_and(|help| help.starts_with("write its version into it")),
                    "{:?}",
                    told.help
                );
                continue;
            };
            let left = findings::of(&parse(&after), &options);
            // Where the place is wrong for this version its order is, and for that there is a rule.
            let others: Vec<_> = left
                .iter()
                .filter(|f| !["CL202", "CL113", "CL305", "CL201", "CL301"].contains(&f.rule.code))
                .map(|f| &f.message)
                .collect();
            assert!(
                others.len() < found.len(),
                "{broken:?} {place}: {:?}\n{text}\n---\n{after}\n{others:?}",
                told.help
            );
            let now = parse(&after);
            let named = now.sections.iter().any(|section| section.name().starts_with("9.9."));
            assert!(
                named
                    || !broken.contains('@')
                        && told.help.as_deref().is_some_and(|help| help.contains("deeper")),
                "{broken:?}: {after}"
            );
        }
    }
}

#[test]
fn a_missing_date_is_written_as_the_others_are() {
    for (other, undated, help) in [
        ("## 1.2.0 - 2025-02-02", "## 1.1.0", "## 1.1.0 - YYYY-MM-DD"),
        ("## [1.2.0] - 2025-02-02", "## [1.1.0]", "## [1.1.0] - YYYY-MM-DD"),
        ("## v1.2.0 (2025-02-02)", "## v1.1.0", "## v1.1.0 (YYYY-MM-DD)"),
        ("## 2025-02-02 - 1.2.0", "## 1.1.0", "## YYYY-MM-DD - 1.1.0"),
        ("## **1.2.0** / 2025-02-02", "## **1.1.0**", "## **1.1.0** / YYYY-MM-DD"),
        ("## 1.2.0 - 2025-02-02", "## 1.1.0 [YANKED]", "## 1.1.0 - YYYY-MM-DD [YANKED]"),
        (
            "## [1.2.0](https://github.com/a/b/compare/v1.1.0...v1.2.0) (2025-02-02)",
            "## [1.1.0](https://github.com/a/b/compare/v1.0.0...v1.1.0)",
            "## [1.1.0](https://github.com/a/b/compare/v1.0.0...v1.1.0) (YYYY-MM-DD)",
        ),
    ] {
        let text =
            format!("# Changelog\n\n{other}\n\n- a\n\n{undated}\n\n- b\n\n## 1.0.0 - 2024-01-01\n\n- c\n");
        let options = Options::on(jiff::civil::date(2026, 11, 25));
        let found = findings::of(&parse(&text), &options);
        let told = found.iter().find(|f| f.rule.code == "CL301").unwrap_or_else(|| panic!("{text}"));
        assert_eq!(
            told.help.as_deref(),
            Some(format!("write `{help}`, with the day of the release").as_str())
        );
        obey(&text, &options);
    }
}

/// In the other profiles too what was advised against is gone.
#[test]
fn in_stricter_profiles_advice_helps_as_well() {
    let mut done = 0;
    for profile in [Profile::Strict, Profile::Common] {
        for (_, marked, options) in cases() {
            done += obey(&marked.replacen('@', "", 1), &Options { profile, ..options });
        }
    }
    assert!(done >= 100, "{done}");
}

/// Parts of changelogs, some right, some wrong, in any order.
const PARTS: &[&str] = &[
    "# Changelog",
    "# Changelog",
    "## [Unreleased]",
    "## Unreleased",
    "## [1.2.0] - 2025-10-14",
    "## 1.2.0",
    "## [1.1.0] - 2025/10/13",
    "## 1.1.0 (14 Oktober 2025)",
    "## v1.0.0 (24 May 2025) [YANKED]",
    "## 1.0.0 - 2025-01-01 - yanked",
    "## 1.0.0-rc10",
    "## 1.0.0 RC 2",
    "## 0.9.0 (unreleased)",
    "##0.8.0 - 2024-01-01",
    "**0.7.0**",
    "## v.0.5.0",
    "## Something else",
    "### Added",
    "### fixes:",
    "- entry with [link]",
    "* another\n  continued",
    "- entry\n\n  ## 0.4.0",
    "```\n## 9.9.9\n```",
    "Words.",
    "Released 2024-05-05.",
    "[link]: https://x.example",
    "[1.2.0]: https://github.com/a/b/compare/v1.1.0...v1.2.0",
    "[unreleased]: https://github.com/a/b/compare/v1.0.0...HEAD",
];

fn changelog() -> impl Strategy<Value = String> {
    prop::sample::subsequence(PARTS, 0..16).prop_shuffle().prop_map(|parts| {
        format!("# Changelog\n\nKept as https://keepachangelog.com says.\n\n{}\n\n## 0.1.0 - 2020-01-01\n\n- the first\n", parts.join("\n\n"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200),
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_129),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn advice_brings_no_new_finding_in_any_file(text in changelog()) {
        obey(&text, &Options::on(jiff::civil::date(2026, 11, 25)));
    }
}

//! What words in a heading say of its version, in every place of the heading.

use changelog_lint::changelog::{Section, parse};
use changelog_lint::findings;
use changelog_lint::notes::{self, Miss};
use changelog_lint::rules::Options;
use changelog_lint::version;

/// Twenty and more ways to say that a version is a candidate.
const CANDIDATES: &[&str] = &[
    "RC 2",
    "rc2",
    "Rc-2",
    "RC #2",
    "Release Candidate 1",
    "RELEASE CANDIDATE",
    "release-candidate 3",
    "beta 2",
    "Beta",
    "beta-2",
    "public beta",
    "second beta",
    "pre-release",
    "Prerelease",
    "pre release 2",
    "alpha",
    "ALPHA 3",
    "preview",
    "Technical Preview 1",
    "developer preview",
    "nightly",
    "dev",
    "development version",
    "snapshot",
    "SNAPSHOT 4",
    "canary",
    "milestone 1",
    "M2",
    "early access",
    "experimental",
    "test build",
    "kandidat rilis 1",
    "versi beta",
    "pra-rilis",
    "uji coba",
    "RC two",
    "RC II",
    "R.C. 2",
    "ＲＣ2",
    "cand 2",
    "EAP",
    "beta-test",
    "Betas",
    "Release Candidates 1-3",
    "pilot",
    "development",
    "staging",
    "edge",
    "unstable",
    "percobaan",
    "not final",
    "not stable",
    "not for production",
    "internal",
];
/// Twenty and more ways to say that a version is not released.
const NOT_RELEASED: &[&str] = &[
    "unreleased",
    "Unreleased",
    "UNRELEASED",
    "TBD",
    "tba",
    "YYYY-MM-DD",
    "yyyy-mm-dd",
    "????-??-??",
    "XX",
    "XXXX-XX-XX",
    "2025-XX-XX",
    "2025-03-??",
    "DD.MM.YYYY",
    "{{date}}",
    "ReleaseDate",
    "not released",
    "not yet released",
    "not-yet-released",
    "upcoming",
    "WIP",
    "work in progress",
    "draft",
    "coming soon",
    "soon",
    "planned",
    "pending",
    "in development",
    "release date TBD",
    "to be released",
    "to be announced",
    "belum dirilis",
    "Belum Rilis",
    "akan datang",
    "segera",
    "tanggal menyusul",
    "draf",
    "ETA",
    "expected",
    "due",
    "target",
    "est.",
    "tentative",
    "not before",
    "unpublished",
    "un-released",
    "scheduled",
    "Unrelesed",
    "not shipped",
    "not tagged",
    "frozen",
    "in QA",
    "awaiting release",
    "cancelled",
];

/// The words behind the version, before and behind the day, in brackets of every kind, and before the version.
fn behind(version: &str, words: &str) -> Vec<String> {
    let day = "2025-02-01";
    vec![
        format!("{version} {words}"),
        format!("{version} - {words}"),
        format!("{version} ({words})"),
        format!("[{version}] [{words}]"),
        format!("{version} {words} - {day}"),
        format!("{version} - {day} - {words}"),
        format!("{version} - {day} ({words})"),
        format!("{version}: {words}"),
        format!("v{version} — {words}"),
        format!("**{version}** *{words}*"),
        format!("Version {version} ({words}), {day}"),
    ]
}

fn before(version: &str, words: &str) -> Vec<String> {
    vec![
        format!("{words}: {version}"),
        format!("{words} - {version}"),
        format!("({words}) {version}"),
        format!("[{words}] {version} - 2025-02-01"),
    ]
}

#[test]
fn a_candidate_in_words_is_never_taken_for_the_release() {
    assert!(CANDIDATES.len() >= 30);
    for words in CANDIDATES {
        for heading in behind("1.0.0", words).into_iter().chain(before("1.0.0", words)) {
            let text = format!("# Changelog\n\n## {heading}\n\n- C\n\n## 0.9.0 - 2025-01-01\n\n- O\n");
            let log = parse(&text);
            assert!(matches!(notes::find(&log, "1.0.0"), Err(Miss::Missing)), "{heading} is read as 1.0.0");
            let newest = notes::newest(&log).map(|section| section.name().to_owned()).unwrap_or_default();
            assert!(
                newest.starts_with("1.0.0-") && version::base(&newest) == Some("1.0.0"),
                "{heading} is {newest}"
            );
        }
    }
}

#[test]
fn what_says_that_it_is_not_released_is_no_release_wherever_it_says_so() {
    assert!(NOT_RELEASED.len() >= 30);
    for words in NOT_RELEASED {
        for heading in behind("1.3.0", words).into_iter().chain(before("1.3.0", words)) {
            let text = format!("# Changelog\n\n## {heading}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n");
            let log = parse(&text);
            let section = notes::find(&log, "1.3.0")
                .map(|(section, _)| section)
                .unwrap_or_else(|_| panic!("no 1.3.0 in {heading}"));
            assert!(!section.is_released() && section.unreleased.is_some(), "{heading} is read as released");
            assert_eq!(notes::newest(&log).map(Section::name), Some("1.2.0"), "{heading}");
        }
    }
}

/// Words of a title that say neither.
#[test]
fn the_title_of_a_release_says_nothing_of_its_kind() {
    for words in [
        "The Big One",
        "Preview deployments",
        "Next generation",
        "Draft mode for products",
        "Snapshot tests",
        "Alphabetical",
        "Progress",
        "Beta features for all",
        "Candidates for president",
        "Planned orders",
        "Future-proof",
        "Soon enough",
        "Developer experience",
        "LTS",
        "stable",
        "final",
        "Hotfix",
        "Pending orders",
        "Testing library",
        "Date picker",
        "Development of the shop",
        "Preparations",
        "devotion",
    ] {
        let text = format!(
            "# Changelog\n\n## 1.3.0 - 2025-02-01 - {words}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n"
        );
        let log = parse(&text);
        assert_eq!(notes::newest(&log).map(Section::name), Some("1.3.0"), "{words}");
    }
}

/// The line below the heading says it too, in a quote, in bold, in HTML.
#[test]
fn the_line_below_the_heading_says_what_kind_of_release_it_is() {
    let section = |line: &str| {
        format!("# Changelog\n\n## 1.3.0 - 2025-03-03\n\n{line}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n")
    };
    for line in [
        "This version has not been released yet.",
        "Released: not yet",
        "Versi ini belum dirilis.",
        "Tanggal: belum",
        "> **Unreleased**",
        "> [!WARNING]\n> Not yet released",
        "<p>Unreleased</p>",
        "Will be released soon.",
        "_Not released_",
    ] {
        let text = section(line);
        assert_eq!(notes::newest(&parse(&text)).map(Section::name), Some("1.2.0"), "{line}");
    }
    for line in ["RC 2", "Release candidate 2", "**Beta**", "*Pre-release*", "> RC 1", "Kandidat rilis 2."] {
        let text = section(line);
        let log = parse(&text);
        assert!(matches!(notes::find(&log, "1.3.0"), Err(Miss::Missing)), "{line} is read as 1.3.0");
    }
    for line in ["The RC 2 was fine.", "Stable.", "Words about the beta of payment.", "Released 2025-03-03."]
    {
        let text = section(line);
        assert_eq!(notes::newest(&parse(&text)).map(Section::name), Some("1.3.0"), "{line}");
    }
}

#[test]
fn words_before_and_behind_the_day_count_as_well() {
    for heading in [
        "1.3.0 - ETA 2025-03-03",
        "1.3.0 - expected 2025-03-03",
        "1.3.0 - target: 2025-03-03",
        "1.3.0 - not before 2025-03-03",
        "1.3.0 - ~~2025-03-03~~",
        "1.3.0 - 2025-03-03 planned 2025-03-03",
        "1.3.0 - 2025-03-03 unpublished",
        "unreleased 2025-03-03 1.3.0",
    ] {
        let text = format!("# Changelog\n\n## {heading}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n");
        assert_eq!(notes::newest(&parse(&text)).map(Section::name), Some("1.2.0"), "{heading}");
    }
}

/// What is not understood beside the version that is released is named; what is harmless is not.
#[test]
fn a_word_that_is_not_understood_is_named_when_its_version_is_released() {
    let told = |heading: &str, other: &str| {
        let text = format!(
            "# Changelog\n\n## {heading}\n\n- N\n\n## {other}\n\n- O\n\n## 1.1.0 - 2024-01-01\n\n- P\n"
        );
        let options =
            Options { release: Some("1.3.0".to_owned()), ..Options::on(jiff::civil::date(2026, 11, 25)) };
        let found = findings::of(&parse(&text), &options);
        found.iter().find(|f| f.rule.code == "CL210").map(|f| f.message.clone())
    };
    for words in ["gamma", "for the brave", "Qwerty", "half done"] {
        for heading in [
            format!("1.3.0 - 2025-02-01 {words}"),
            format!("1.3.0 - {words} - 2025-02-01"),
            format!("1.3.0 ({words}) - 2025-02-01"),
        ] {
            assert!(
                told(&heading, "1.2.0 - 2025-01-01")
                    .is_some_and(|message| message.contains(words.split(' ').next_back().unwrap_or(words))),
                "{heading}"
            );
        }
    }
    for words in ["", "LTS", "\"Durian\"", "stable", "final", "hotfix", "(security)", "GA", "“Big Durian”"]
    {
        assert_eq!(told(&format!("1.3.0 - 2025-02-01 {words}"), "1.2.0 - 2025-01-01"), None, "{words}");
    }
    assert_eq!(
        told("1.3.0 - Durian", "1.2.0 - Mango"),
        Some("the heading of 1.3.0 also says `Durian`, which is not understood".to_owned())
    );
}

#[test]
fn a_day_that_cannot_be_that_of_a_release_is_an_error() {
    for heading in ["1.3.0 - 2025-03-03 2025-03-04", "1.3.0 - 0001-01-01", "1.3.0 - 1900-01-01"] {
        let text = format!("# Changelog\n\n## {heading}\n\n- N\n\n## 1.2.0 - 2025-01-01\n\n- O\n");
        let found = findings::of(&parse(&text), &Options::on(jiff::civil::date(2026, 11, 25)));
        assert!(found.iter().any(|f| f.rule.code == "CL303"), "{heading}");
    }
}

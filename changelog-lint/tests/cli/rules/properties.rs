//! What holds for every text: generated from pieces of real changelogs in any order, and from any characters.

use changelog_lint::changelog::{Changelog, parse};
use changelog_lint::finding::Level;
use changelog_lint::rules::{Options, Profile};
use changelog_lint::{findings, fix, notes, promotion};
use proptest::prelude::*;

const PIECES: &[&str] = &[
    "# Changelog\n",
    "## [Unreleased]\n",
    "## [1.2.0] - 2025-10-14\n",
    "## [1.1.0] - 2025/10/13\n",
    "## v1.0.0 (24 May 2025) [YANKED]\n",
    "## 1.0.0-rc10\n",
    "### 1.0.1\n",
    "## Something else\n",
    "Release 0.9\n-----------\n",
    "### Added\n",
    "### fixes:\n",
    "### Added ⭐\n",
    "- entry あ with [link] and [text][label]\n",
    "* another\n  continued\n",
    "1. numbered\n",
    "```\n## 9.9.9\n```\n",
    "<!--\n## 8.8.8\n-->\n",
    "<!-- changelog-lint-disable-next-line CL201 -->\n",
    "> quote\n",
    "---\n",
    "Words.\n",
    "\n",
    "\r\n",
    "    indented\n",
    "[link]: https://x.example\n",
    "[link]: https://x.example\r\n",
    "[1.2.0]: https://github.com/a/b/compare/v1.1.0...v1.2.0\n",
    "[unreleased]: https://github.com/a/b/compare/v1.0.0...HEAD\n",
    "[1.1.0]: https://gitlab.com/a/b/-/compare/v1.2.0...v1.1.0\n",
    "<<<<<<< HEAD\n",
    "[",
    "]",
    "\u{feff}",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![4 => pieces(), 1 => "[#\\[\\]\\-.0-9v\\n\\r <>`あ]{0,60}"]
}

fn options(profile: Profile) -> Options {
    Options { profile, ..Options::on(jiff::civil::date(2026, 11, 25)) }
}

fn profile() -> impl Strategy<Value = Profile> {
    prop::sample::select(vec![Profile::Default, Profile::Strict, Profile::Common])
}

/// Errors, and all findings.
fn weight(text: &str, options: &Options) -> (usize, usize) {
    let findings = findings::of(&parse(text), options);
    (findings.iter().filter(|f| f.level == Level::Error).count(), findings.len())
}

fn spans_lie_inside(log: &Changelog) {
    let inside = |span: &std::ops::Range<usize>| log.text.get(span.clone()).is_some();
    for section in &log.sections {
        assert!(inside(&section.body) && inside(&log.heading(section).span), "{section:?}");
        assert!(section.date.iter().chain(&section.yanked).all(inside), "{section:?}");
        for group in &section.groups {
            assert!(
                section.body.start <= group.body.start && group.body.end <= section.body.end,
                "{section:?}"
            );
        }
    }
    for pair in log.sections.windows(2) {
        assert!(pair[0].body.end <= log.heading(&pair[1]).span.start, "sections do not overlap");
    }
    assert!(log.definitions.iter().all(|d| inside(&d.span) && inside(&d.url_at) && inside(&d.label_at)));
}

proptest! {
    // The same texts in every run: a test that fails now and then is none. PROPTEST_CASES=100000 looks further.
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(600),
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_125),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn spans_of_sections_and_findings_lie_inside_the_file(text in any_text(), profile in profile()) {
        let log = parse(&text);
        spans_lie_inside(&log);
        for finding in findings::of(&log, &options(profile)) {
            prop_assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
            prop_assert!(finding.related.iter().all(|r| text.get(r.span.clone()).is_some()));
            let edits = finding.fix.iter().flat_map(|fix| &fix.edits);
            prop_assert!(edits.into_iter().all(|e| text.get(e.span.clone()).is_some()), "{:?}", finding.fix);
        }
    }

    #[test]
    fn a_second_repair_changes_nothing_and_the_first_makes_nothing_worse(text in any_text(), profile in profile(), all: bool) {
        let options = options(profile);
        let once = fix::fix(&text, &options, all);
        let twice = fix::fix(&once.text, &options, all);
        prop_assert_eq!(&twice.text, &once.text);
        let (before, after) = (weight(&text, &options), weight(&once.text, &options));
        prop_assert!(after.0 <= before.0, "{:?} became {:?}:\n{}\n---\n{}", before, after, text, once.text);
    }

    #[test]
    fn the_notes_of_all_sections_together_have_every_line_of_theirs(text in pieces()) {
        let log = parse(&text);
        let all: Vec<String> = log.sections.iter().map(|section| notes::whole(&log, section)).collect();
        for section in &log.sections {
            for entry in log.entries(section).filter(|e| text[e.span.clone()].starts_with(['-', '*'])) {
                let first = text[entry.span.clone()].lines().next().unwrap_or_default().trim_end();
                prop_assert!(all.iter().any(|notes| notes.contains(first)), "{first} is in no notes");
            }
        }
    }

    #[test]
    fn notes_are_whole_in_themselves(text in pieces()) {
        let log = parse(&text);
        for section in &log.sections {
            let notes = notes::whole(&log, section);
            let again = parse(&notes);
            let used: Vec<&str> = log.uses.iter().filter(|u| section.body.contains(&u.span.start)).map(|u| u.label.as_str()).collect();
            for broken in &again.broken {
                let label = changelog_lint::changelog::folded(&broken.label);
                prop_assert!(!used.contains(&label.as_str()), "[{}] lost its definition in\n{notes}", broken.label);
            }
        }
    }

    #[test]
    fn a_promotion_gives_the_version_what_was_unreleased(text in pieces()) {
        let log = parse(&text);
        let Some(before) = log.sections.iter().find(|s| s.version().is_none()) else { return Ok(()) };
        let Ok(promotion::Promotion::Edits(edits, _)) = promotion::promote(&log, "9.0.0", "2026-11-25", None) else { return Ok(()) };
        let after = fix::apply(&text, &edits);
        let promoted = parse(&after);
        let (section, _) = notes::find(&promoted, "9.0.0").map_err(|_| TestCaseError::fail(format!("no 9.0.0 in\n{after}")))?;
        for entry in log.entries(before) {
            let first = text[entry.span.clone()].lines().next().unwrap_or_default();
            prop_assert!(after[section.body.clone()].contains(first), "{first} is lost in\n{after}");
        }
    }
}

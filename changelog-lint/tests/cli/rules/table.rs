//! Each rule on a text that breaks it, with the line, and on the repaired text where there is a repair.

use std::collections::BTreeSet;

use changelog_lint::changelog::parse;
use changelog_lint::finding::Level;
use changelog_lint::findings;
use changelog_lint::fix::fix;
use changelog_lint::rules::{Options, Profile, RULES, named};
use changelog_lint::text::Lines;

fn options() -> Options {
    Options::on(jiff::civil::date(2026, 11, 25))
}

pub(crate) fn strict() -> Options {
    Options { profile: Profile::Strict, ..options() }
}

fn common() -> Options {
    Options { profile: Profile::Common, ..options() }
}

/// What is found: code, line, whether it is an error.
fn found(text: &str, options: &Options) -> Vec<(&'static str, usize, bool)> {
    let lines = Lines::of(text);
    let finding = |f: &changelog_lint::finding::Finding| {
        (f.rule.code, lines.line(f.span.start), f.level == Level::Error)
    };
    findings::of(&parse(text), options).iter().map(finding).collect()
}

const COMPARE: &str = "https://github.com/a/b/compare";

/// A file that is right in every profile but the common one.
fn good() -> String {
    format!(
        "# Changelog\n\nThe format is based on [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n\n## [Unreleased]\n\n\
         ## [1.1.0] - 2025-10-14\n\nA summary.\n\n### Added\n\n- Something new\n\n### Fixed\n\n- Something old\n\n\
         ## [1.0.0] - 2025-01-02 [YANKED]\n\n### Added\n\n- Everything\n\n\
         [Unreleased]: {COMPARE}/v1.1.0...HEAD\n[1.1.0]: {COMPARE}/v1.0.0...v1.1.0\n[1.0.0]: https://github.com/a/b/releases/tag/v1.0.0\n"
    )
}

#[test]
fn a_good_file_is_clean_in_the_default_and_the_strict_profile() {
    for text in [good(), good().replace('\n', "\r\n")] {
        assert_eq!(found(&text, &options()), []);
        assert_eq!(found(&text, &strict()), []);
    }
    assert_eq!(found(&format!("\u{feff}{}", good()), &options()), [], "a byte order mark is fine by default");
    let common_file = "# Changelog\n\n## [1.1.0] - 2025-10-14\n\n_A notice._\n\n### Changed\n\n- **Breaking:** bump it ([#1](https://x.example/1))\n\n\
        ### Added\n\n- Add it ([#2](https://x.example/2)) (Alice)\n\n[1.1.0]: https://github.com/a/b/releases/tag/v1.1.0\n";
    assert_eq!(found(common_file, &common()), []);
}

/// Code, the text (`@` marks the line of the finding), and the options.
#[expect(clippy::too_many_lines, reason = "one line for each rule")]
pub(crate) fn cases() -> Vec<(&'static str, String, Options)> {
    let mut cases = Vec::new();
    let mut case = |code, text: &str, options| cases.push((code, text.to_owned(), options));
    let not_utf8 = Options { not_utf8: Some(2), ..options() };
    case("CL001", "## 1.0.0\n@- caf\u{fffd}\n", not_utf8);
    case("CL002", "## 1.0.0\n@<<<<<<< HEAD\n- a\n", options());
    case("CL003", "## 1.0.0\n@- a\r\n- b\n", options());
    case("CL004", "@\u{feff}## 1.0.0\n- a\n", strict());
    case("CL005", "## 1.0.0\n- a\n\n@<!-- a comment\n\n## 0.9.0\n- b\n", options());
    case("CL005", "## 1.0.0\n- a\n\n@```\n## 0.9.0\n- b\n", options());
    case("CL006", "@<!-- changelog-lint-disable CL303 -->\n\n## 1.0.0\n- a\n", options());
    case("CL006", "@<!-- changelog-lint-disable CL999 -->\n\n## 1.0.0\n- a\n", options());
    case("CL007", "@Only words.\n", options());
    case("CL101", "@## [1.0.0] - 2025-01-01\n- a\n", strict());
    case("CL102", "@# Changes\n\n## [1.0.0] - 2025-01-01\n- a\n", strict());
    case("CL103", "# Changelog\n\n@# Changelog\n\n## 1.0.0\n- a\n", options());
    case("CL104", "# Changelog\n\n@## [1.0.0] - 2025-01-01\n- a\n", strict());
    case("CL104", "# Changelog\n\n@Words.\n\n## 1.0.0 - 2025-01-01\n", common());
    case("CL105", "@# Changelog\n", Options { file_name: "HISTORY.md".to_owned(), ..common() });
    case("CL111", "# Changelog\n\n@## [1.0.0] - 2025-01-01\n- a\n", strict());
    case("CL112", "## Unreleased\n- a\n@## [unreleased]\n- b\n", options());
    case("CL113", "## 1.0.0\n- a\n@## Unreleased\n- b\n", options());
    case("CL114", "# Changelog\n\n@## Unreleased\n", common());
    case("CL201", "## 1.0.0\n- a\n@## 1.0.0\n- b\n", options());
    case("CL202", "## 1.0.0-rc9\n- a\n@## 1.0.0-rc10\n- b\n", options());
    case("CL203", "@## 1..1.0\n- a\n## 1.0.0\n- b\n", options());
    case("CL203", "## 1.0.0\n- b\n@## Contributors of it\n- a\n", options());
    case("CL204", "# Changelog\n\n@## [1.0.0] - 2025-01-01\n", strict());
    case("CL205", "# Changelog\n\n@## [1.0] - 2025-01-01\n- a\n", strict());
    case("CL206", "# Changelog\n\n@## [v1.0.0] - 2025-01-01\n- a\n", strict());
    case("CL207", "# Changelog\n\n@## 1.0.0 - 2025-01-01\n- a\n", strict());
    case("CL208", "# Changelog\n\n## 1.1.0 - 2025-01-01\n- a\n@### 1.0.0 - 2025-01-01\n- a\n", strict());
    case(
        "CL209",
        "## 1.0.0 - 2025-01-01\n### Added\n- a\n@## 0.9.0 - 2024-01-01 - yanked\n### Added\n- a\n",
        options(),
    );
    let asked = || Options { release: Some("1.1.0".to_owned()), ..options() };
    case("CL210", "@## 1.1.0 - 2025-01-01 - Durian\n- a\n## 1.0.0 - 2024-01-01\n- b\n", asked());
    case("CL211", "@## [1.1.0] - 2025-01-01 [YANKED]\n- a\n## [1.0.0] - 2024-01-01\n- b\n", asked());
    case("CL301", "## 1.1.0 - 2025-01-01\n- a\n@## 1.0.0\n- a\n", options());
    case("CL302", "## 1.1.0 - 2025-01-01\n- a\n@## 1.0.0 - 2024/12/31\n- a\n", options());
    case("CL303", "@## 1.0.0 - 2025-02-29\n- a\n", options());
    case("CL304", "@## 1.0.0 - 2026-11-27\n- a\n", options());
    case("CL305", "@## 1.0.1 - 2025-01-01\n- a\n## 1.0.0 - 2025-01-02\n- a\n", options());
    case("CL401", "## 1.0.0\n@### Fixes\n- a\n### Added\n- b\n## 0.9.0\n### Added\n- c\n", options());
    case("CL402", "## 1.0.0\n### Added\n- a\n@### Added\n- b\n", options());
    case("CL403", "# Changelog\n\n## [1.0.0] - 2025-01-01\n### Fixed\n- a\n@### Added\n- b\n", strict());
    case("CL404", "## 1.0.0\n@### Added\n\n### Fixed\n- b\n", options());
    case("CL405", "# Changelog\n\n## [1.0.0] - 2025-01-01\n@### Fixed\nWords.\n", strict());
    case("CL406", "# Changelog\n\n## [1.0.0] - 2025-01-01\n@- a\n", strict());
    case("CL407", "## 1.0.0\n@## Added\n- a\n", options());
    case(
        "CL408",
        "# Changelog\n\n## [1.0.0] - 2025-01-01\n### Added\n- the same entry\n@- the same entry\n",
        strict(),
    );
    case(
        "CL501",
        &format!("@## [1.1.0]\n- a\n## [1.0.0]\n- b\n\n[1.0.0]: {COMPARE}/v0.9.0...v1.0.0\n"),
        options(),
    );
    case("CL502", "## [1.0.0]\n- b\n\n[1.0.0]: https://x.example\n@[1.0.0]: https://y.example\n", options());
    case("CL503", "## 1.0.0\n- b\n\n@[0.9.0]: https://x.example\n", options());
    case("CL504", "# Changelog\n\n## 1.0.0\n- b\n\n@[somebody]: https://x.example\n", strict());
    case(
        "CL505",
        &format!("## [1.2.0]\n- a\n## 1.1.0\n- b\n## 1.0.0\n- c\n\n@[1.2.0]: {COMPARE}/v1.0.0...v1.2.0\n"),
        options(),
    );
    case("CL506", &format!("@## [1.0.0]({COMPARE}/v0.9.0...v1.0.1)\n- a\n"), options());
    case(
        "CL507",
        &format!("## [Unreleased]\n## 1.1.0\n- b\n## 1.0.0\n- c\n\n@[unreleased]: {COMPARE}/v1.0.0...HEAD\n"),
        options(),
    );
    case("CL508", "# Changelog\n\n@## 1.0.0 - 2025-01-01\n- a\n", strict());
    case("CL509", "## 1.0.0\n@- see [this][there]\n", options());
    let base = |text: &str| Options { base: Some(text.to_owned()), ..options() };
    case("CL601", "## Unreleased\n## 1.0.0\n- old\n@- new\n", base("## Unreleased\n## 1.0.0\n- old\n"));
    case("CL602", "## Unreleased\n@## 1.0.0\n- old\n", base("## 1.1.0\n- lost\n## 1.0.0\n- old\n"));
    let tags =
        |tags: &[&str]| Options { tags: Some(tags.iter().map(|t| (*t).to_owned()).collect()), ..options() };
    case("CL603", "## 1.1.0\n- a\n@## 1.0.0\n- b\n", tags(&["v0.9.0"]));
    case("CL604", "@## 1.1.0\n- a\n## 0.9.0\n- b\n", tags(&["v0.9.0", "v1.0.0", "v1.0.0-rc1", "v1.1.0"]));
    case("CL701", "# Changelog\n\n## 1.0.0 - 2025-01-01\n### Added\n@- Add it\n", common());
    case(
        "CL702",
        "# Changelog\n\n## 1.0.0 - 2025-01-01\n### Added\n@- Added it ([#1](https://x.example))\n",
        common(),
    );
    case(
        "CL703",
        "# Changelog\n\n## 1.0.0 - 2025-01-01\n### Added\n@- Add it ([#1](https://x.example))\n  - and more\n",
        common(),
    );
    case(
        "CL704",
        "# Changelog\n\n## 1.0.0 - 2025-01-01\n### Added\n- Add it ([#1](https://x.example))\n@- **Breaking:** add ([#1](https://x.example))\n",
        common(),
    );
    case(
        "CL705",
        "# Changelog\n\n## 1.0.0 - 2025-01-01\n\nOne.\n\n@Two.\n\n### Added\n- Add it ([#1](https://x.example))\n",
        common(),
    );
    cases
}

#[test]
fn each_rule_finds_its_fault_on_its_line() {
    for (code, marked, options) in cases() {
        let at = marked.find('@').expect("a mark");
        let line = marked[..at].matches('\n').count() + 1;
        let text = marked.replacen('@', "", 1);
        let found = found(&text, &options);
        assert!(
            found.iter().any(|(c, l, _)| (*c, *l) == (code, line)),
            "{code} in line {line} of\n{text}\nfound {found:?}"
        );
    }
}

#[test]
fn every_rule_has_a_case_and_a_name_of_its_own() {
    let tried: BTreeSet<&str> = cases().iter().map(|(code, ..)| *code).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(tried, all);
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    for rule in RULES {
        assert_eq!(named(rule.name).map(|r| r.code), Some(rule.code));
        assert!(
            rule.summary.starts_with(|c: char| !c.is_ascii_uppercase() || c == 'L')
                && rule.explanation.ends_with('.'),
            "{}",
            rule.code
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one text for each way")]
fn good_ways_of_writing_are_left_alone() {
    for (text, why) in [
        ("## 1.0.0\n\n=======\n\n- a\n".to_owned(), "a line below words"),
        (
            "## 2.0.0 - 2025-03-01\n- a\n## 1.9.1 - 2025-04-01\n- backport\n## 1.9.0 - 2025-02-01\n- a\n"
                .to_owned(),
            "a backport is dated after a higher version",
        ),
        (
            format!(
                "## [2.0.0]({COMPARE}/v1.9.0...v2.0.0) - 2025-03-01\n- a\n## [1.9.1]({COMPARE}/v1.9.0...v1.9.1) - 2025-04-01\n- b\n## 1.9.0 - 2025-02-01\n- a\n"
            ),
            "a backport was not there to begin at",
        ),
        (
            format!("## [1.0.0]({COMPARE}/v0.9.0...v1.0.0)\n- a\n## 1.0.0-rc1\n- b\n## 0.9.0\n- c\n"),
            "a release is compared with the release before its candidates",
        ),
        (
            format!("## [1.1.0]({COMPARE}/v1.0.1...v1.1.0)\n- a\n## 1.0.0\n- c\n"),
            "a version between that the file does not have",
        ),
        (
            format!("## [1.1.0]({COMPARE}/9f2c41d07ab3...v1.1.0)\n- a\n## 1.0.0\n- c\n"),
            "a commit is no version",
        ),
        ("## v21 (2026-07-25)\n- a\n## v20 (2026-03-24)\n- b\n".to_owned(), "a version of one number"),
        ("## shop 1.0.0\n- a\n## till 2.0.0\n- b\n".to_owned(), "two packages"),
        ("## 2025.10.1 - 2025-10-14\n- a\n## 2025.01.02 - 2025-01-02\n- b\n".to_owned(), "calendar versions"),
        (
            "## 1.0.0 (July 13, 2026)\n- a\n## 0.9.0 (July 12, 2026)\n- b\n".to_owned(),
            "a style of dates that is kept throughout",
        ),
        ("# 1.1.0\n## Features\n- a\n# 1.0.0\n## Bug Fixes\n- b\n".to_owned(), "another convention"),
        ("## 1.0.0 - 2026-11-26\n- a\n".to_owned(), "where it is tomorrow already"),
        (
            "## Unreleased\n### Added\n\n### Fixed\n\n## 1.0.0\n- a\n".to_owned(),
            "a template that waits for entries",
        ),
        ("## 1.0.0\n- see [x] and [ ] and `[a][b]`\n".to_owned(), "brackets that are no links"),
        (
            "# 1.0.0\n\n# What's Changed\n\n- a\n\n# 0.9.0\n\n# What's Changed\n- b\n".to_owned(),
            "a heading that each release repeats",
        ),
    ] {
        let bad: Vec<_> =
            found(&text, &options()).into_iter().filter(|(code, ..)| *code != "CL407").collect();
        assert_eq!(bad, [], "{why}:\n{text}");
    }
}

#[test]
fn a_forgotten_definition_is_an_error_and_bare_brackets_are_a_style() {
    let bare = "## [1.1.0]\n- a\n## [1.0.0]\n- b\n";
    assert_eq!(found(bare, &options()), [("CL501", 1, false), ("CL501", 3, false)]);
    let some = format!("{bare}\n[1.0.0]: {COMPARE}/v0.9.0...v1.0.0\n");
    assert_eq!(found(&some, &options()), [("CL501", 1, true)]);
}

#[test]
fn links_are_right_for_their_host() {
    for (right, wrong) in [
        (
            "https://gitlab.com/a/b/-/compare/v1.0.0...v1.1.0",
            "https://gitlab.com/a/b/-/compare/v0.9.0...v1.1.0",
        ),
        (
            "https://bitbucket.org/a/b/branches/compare/v1.1.0..v1.0.0",
            "https://bitbucket.org/a/b/branches/compare/v1.1.0..v0.9.0",
        ),
        (
            "https://dev.azure.com/o/p/_git/b/branchCompare?baseVersion=GTv1.0.0&targetVersion=GTv1.1.0",
            "https://dev.azure.com/o/p/_git/b/branchCompare?baseVersion=GTv0.9.0&targetVersion=GTv1.1.0",
        ),
        (
            "https://codeberg.org/a/b/compare/v1.0.0...v1.1.0",
            "https://codeberg.org/a/b/compare/v0.9.0...v1.1.0",
        ),
    ] {
        let text = |link: &str| format!("## [1.1.0]\n- a\n## 1.0.0\n- b\n## 0.9.0\n- c\n\n[1.1.0]: {link}\n");
        assert_eq!(found(&text(right), &options()), []);
        assert_eq!(found(&text(wrong), &options()), [("CL505", 8, true)]);
        assert_eq!(fix(&text(wrong), &options(), false).text, text(right));
    }
}

#[test]
fn a_repair_touches_nothing_but_its_place() {
    for (before, after, all) in [
        (
            "## 1.1.0 - 2025-01-01\n- a  \n## 1.0.0 - 2024/12/31\n- b",
            "## 1.1.0 - 2025-01-01\n- a  \n## 1.0.0 - 2024-12-31\n- b",
            false,
        ),
        ("## 1.0.0\n### added:\n- a\n### Fixed\n- b\n", "## 1.0.0\n### Added\n- a\n### Fixed\n- b\n", false),
        (
            "## 1.0.0\n### Fixes\n- a\n### Added\n- b\n### Removed\n- c\n",
            "## 1.0.0\n### Fixed\n- a\n### Added\n- b\n### Removed\n- c\n",
            true,
        ),
        (
            "## 1.0.0\n### Added\n- a\n\n### Fixed\n- b\n\n### Added\n- c\n\n## 0.9.0\n### Added\n- d\n",
            "## 1.0.0\n### Added\n- a\n- c\n\n### Fixed\n- b\n\n## 0.9.0\n### Added\n- d\n",
            true,
        ),
        ("## 1.0.0\r\n- a\r\n- b\n", "## 1.0.0\r\n- a\r\n- b\r\n", false),
        (
            "## 1.0.0 - 2025-01-01\n### Added\n- a\n## 0.9.0 - 2024-01-01 - yanked\n### Added\n- b\n",
            "## 1.0.0 - 2025-01-01\n### Added\n- a\n## 0.9.0 - 2024-01-01 [YANKED]\n### Added\n- b\n",
            false,
        ),
    ] {
        let fixed = fix(before, &options(), all);
        assert_eq!(fixed.text, after);
        assert_eq!(fix(&fixed.text, &options(), all).text, fixed.text, "twice is once");
        if all {
            assert_eq!(fix(before, &options(), false).text, before, "this one needs --unsafe");
        }
    }
    let ambiguous = "## 1.1.0 - 2025-01-01\n- a\n## 1.0.0 - 05/06/2024\n- b\n";
    assert_eq!(fix(ambiguous, &options(), true).text, ambiguous, "nobody knows which day it is");
    let bad = Options { not_utf8: Some(1), ..options() };
    assert_eq!(fix("## 1.0.0\r\n- \u{fffd}\n", &bad, true).count, 0, "what cannot be read is not written");
}

#[test]
fn missing_definitions_are_written_where_they_belong() {
    let text = format!(
        "## [Unreleased]\n\n## [1.2.0] - 2025-03-01\n- a\n\n## [1.1.0] - 2025-02-01\n- b\n\n## [1.0.0] - 2025-01-01\n- c\n\n[1.1.0]: {COMPARE}/v1.0.0...v1.1.0\n"
    );
    let fixed = fix(&text, &options(), false).text;
    let expected = format!(
        "[Unreleased]: {COMPARE}/v1.2.0...HEAD\n[1.2.0]: {COMPARE}/v1.1.0...v1.2.0\n[1.1.0]: {COMPARE}/v1.0.0...v1.1.0\n[1.0.0]: https://github.com/a/b/releases/tag/v1.0.0\n"
    );
    assert!(fixed.ends_with(&expected), "{fixed}");
    assert_eq!(found(&fixed, &options()), []);
}

#[test]
fn known_defects_are_found_on_their_lines() {
    // As in the changelog of as-slice: one label for two versions, the other one never defined.
    let text = format!(
        "## [v0.2.1] - 2021-03-25\n- a\n## [v0.1.5] - 2021-03-02\n- b\n## [v0.2.0] - 2019-08-29 - YANKED\n- c\n\n\
         [v0.2.0]: {COMPARE}/v0.1.5...v0.2.1\n[v0.1.5]: {COMPARE}/v0.1.4...v0.1.5\n[v0.2.0]: {COMPARE}/v0.1.1...v0.2.0\n"
    );
    let errors: Vec<_> = found(&text, &options()).into_iter().filter(|(_, _, error)| *error).collect();
    assert_eq!(errors, [("CL501", 1, true), ("CL506", 8, true), ("CL502", 10, true)]);
}

#[test]
fn comments_in_the_file_switch_rules_off() {
    let bad = "## 1.0.0 - 2025-02-29\n- a\n";
    let with = |comment: &str| format!("<!-- changelog-lint-{comment} -->\n{bad}");
    for comment in [
        "disable-next-line",
        "disable-next-line CL303",
        "disable-next-line date-impossible, CL201",
        "disable CL303",
        "disable-file CL303",
        "disable",
    ] {
        let left: Vec<_> =
            found(&with(comment), &options()).into_iter().filter(|(code, ..)| *code != "CL006").collect();
        assert_eq!(left, [], "{comment}");
    }
    assert_eq!(
        found(&with("disable-next-line CL201"), &options()),
        [("CL006", 1, false), ("CL303", 2, true)]
    );
    assert_eq!(found(&with("disable-naxt-line"), &options()), [("CL006", 1, false), ("CL303", 2, true)]);
    let ended = format!(
        "<!-- changelog-lint-disable CL303 -->\n\n## 1.1.0 - 2025-02-30\n- b\n\n<!-- changelog-lint-enable -->\n\n{bad}"
    );
    assert_eq!(found(&ended, &options()), [("CL303", 8, true)]);
    let code = format!("```\n<!-- changelog-lint-disable-file -->\n```\n\n{bad}");
    assert_eq!(found(&code, &options()), [("CL303", 5, true)], "an example is no instruction");
}

#[test]
fn levels_can_be_set_for_each_rule() {
    let mut options = options();
    options.levels.insert("CL303", Level::Warning);
    assert_eq!(found("## 1.0.0 - 2025-02-29\n- a\n", &options), [("CL303", 1, false)]);
    options.levels.insert("CL303", Level::Off);
    assert_eq!(found("## 1.0.0 - 2025-02-29\n- a\n", &options), []);
    options.sections = vec!["Bug Fixes".to_owned()];
    assert_eq!(
        found("## 1.0.0\n### Bug Fixes\n- a\n### Added\n- b\n## 0.9.0\n### Added\n- c\n", &options),
        []
    );
}

/// Tags with a word behind the version: what such a tag of another version is called is known only where all are called so.
#[test]
fn links_follow_the_form_of_the_tags() {
    let all = format!(
        "## [Unreleased]\n\n## [1.2.0] - 2025-03-01\n- a\n\n## [1.1.0] - 2025-02-01\n- b\n\n## [1.0.0] - 2025-01-01\n- c\n\n\
         [1.1.0]: {COMPARE}/v1.0.0-final...v1.1.0-final\n[1.0.0]: https://github.com/a/b/releases/tag/v1.0.0-final\n"
    );
    let fixed = fix(&all, &options(), false).text;
    assert!(fixed.contains(&format!("[1.2.0]: {COMPARE}/v1.1.0-final...v1.2.0-final\n")), "{fixed}");
    assert!(fixed.contains(&format!("[Unreleased]: {COMPARE}/v1.2.0-final...HEAD\n")), "{fixed}");
    assert_eq!(found(&fixed, &options()), []);
    // One of another form: a new link begins at it as it is called, and how the new tag is called is not certain.
    let one = all
        .replace("v1.0.0-final...v1.1.0-final", "v1.0.0...v1.1.0-polycool")
        .replace("tag/v1.0.0-final", "tag/v1.0.0");
    assert_eq!(fix(&one, &options(), false).text, one, "not without a person");
    let fixed = fix(&one, &options(), true).text;
    assert!(fixed.contains(&format!("[1.2.0]: {COMPARE}/v1.1.0-polycool...v1.2.0\n")), "{fixed}");
    let stale = format!(
        "## [Unreleased]\n\n## [0.4.0]\n- a\n\n## [0.3.0]\n- b\n\n[unreleased]: {COMPARE}/v0.3.0...HEAD\n\
         [0.4.0]: {COMPARE}/v0.3.0...v0.4.0-polycool\n[0.3.0]: https://github.com/a/b/releases/tag/v0.3.0\n"
    );
    assert_eq!(fix(&stale, &options(), false).text, stale.replace("v0.3.0...HEAD", "v0.4.0-polycool...HEAD"));
}

//! Lines that a reader takes for the heading of a release, in every way in which they are broken and wherever they stand; and lines
//! that nobody takes for one.

use changelog_lint::changelog::{Section, parse};
use changelog_lint::finding::Level;
use changelog_lint::findings;
use changelog_lint::notes;
use changelog_lint::rules::{Options, Profile};
use changelog_lint::text::Lines;

const PROFILES: [Profile; 3] = [Profile::Default, Profile::Strict, Profile::Common];

/// The lines of the errors and of the warnings of CL203.
fn told(text: &str, profile: Profile) -> (Vec<usize>, Vec<usize>) {
    let options = Options { profile, ..Options::on(jiff::civil::date(2026, 11, 25)) };
    let lines = Lines::of(text);
    let found = findings::of(&parse(text), &options);
    let of = |level| {
        let of_level = found.iter().filter(|f| f.rule.code == "CL203" && f.level == level);
        of_level.map(|f| lines.line(f.span.start)).collect()
    };
    (of(Level::Error), of(Level::Warning))
}

/// Ways to break the heading of 9.9.9 (`@` stands for it), each a whole line or a few of which the marked one counts.
pub(crate) const BROKEN: &[&str] = &[
    "##@",
    "##@ - 2025-03-03",
    "##v@",
    "##[@]",
    "###@ (2025-03-03)",
    "#@",
    "##\u{a0}@ - 2025-03-03",
    "##\u{3000}@",
    "##\u{200b}@",
    "＃＃ @",
    "＃＃@ - 2025-03-03",
    "\\## @",
    "\\#\\# @ - 2025-03-03",
    "&#35;# @",
    "##### @",
    "###### [@] - 2025-03-03",
    "#### v@ (3 March 2025)",
    "####### @",
    "**@**",
    "**@** - 2025-03-03",
    "**[@] - 2025-03-03**",
    "__v@__",
    "**Version @**",
    "**Release @ (2025-03-03)**",
    "<h2>@</h2>",
    "<h2 id=\"r\">[@] - 2025-03-03</h2>",
    "<h3>Version @</h3>",
    "<b>@</b>",
    "<strong>v@ (2025-03-03)</strong>",
    "<details><summary>@</summary>\n\n</details>",
    "<div>\n## @ - 2025-03-03\n</div>",
    "== @ ==",
    "=== @ - 2025-03-03 ===",
    "= @ =",
    "h2. @",
    "--- @ ---",
    "*** @ ***",
    "@ - 2025-03-03",
    "[@] - 2025-03-03",
    "v@ (2025-03-03)",
    "@ / 2025-03-03",
    "@",
    "[@]",
    "v@",
    "[@](https://github.com/a/b/compare/v1.2.0...v9.9.9)",
    "[@](https://github.com/a/b/releases/tag/v9.9.9) - 2025-03-03",
    "Version @",
    "Version @:",
    "Release @ (2025-03-03):",
    "Versi @",
    "Changes in @:",
    "@ - 3 Maret 2025",
    "> ## @",
    "> ## [@] - 2025-03-03",
    "> **@** (2025-03-03)",
    "- ## @",
    "* ## [@] - 2025-03-03",
    "1. ## @",
    "1. @ - 2025-03-03",
    "- **@** - 2025-03-03",
    "- @ - 2025-03-03\n  - NEW",
    "| ## @ |",
    "| Version | Date | Changes |\n|---|---|---|\n| @ | 2025-03-03 | NEW |",
    "| **@** | NEW |",
    "Words of prose\n@\n---",
    "@\n~~~~",
    "@\n- - - -",
    "@\n_____",
    "@ - 2025-03-03\n^^^^^^^",
    "- NEW\n@ - 2025-03-03\n- more",
    "- NEW\n@\n- more",
    "##@ the big one",
    "##@ - The Big One",
    "##@ fixes what was broken",
    "##@ 🎉",
    "🚀 **@**",
    "##`@`",
    "##@RC2",
    "<details>\n## @\n\n</details>",
    "<center><h2>@</h2></center>",
    "<p align=\"center\"><b>@</b></p>",
];

/// Headings on the level of releases whose version has a slip in it.
pub(crate) const SLIPS: &[&str] = &[
    "## v.9.9.9 - 2025-03-03",
    "## 9,9,9",
    "## 9..9.9",
    "## 9.9.O - 2025-03-03",
    "## ９.９.９ - 2025-03-03",
    "## ٩.٩.٩",
    "## 9-9-9",
    "## 9_9_9",
    "## New: 9.9.9!",
    "## 9.9.9 and more for everybody with love",
    "## The Big One - 2025-03-03",
];

/// A file with these lines in one place, and the line of the one that is marked.
pub(crate) fn with(broken: &str, place: usize) -> (String, usize) {
    let parts = [
        "# Changelog",
        "## Unreleased\n\n- SOON",
        "## 1.2.0 - 2025-02-02\n\n- OLD",
        "## 1.1.0 - 2025-01-01\n\n- OLDER",
    ];
    let mut text = String::new();
    let mut line = 0;
    for (index, part) in parts.iter().enumerate() {
        text.push_str(part);
        text.push_str("\n\n");
        if index == place {
            let marked = broken.lines().position(|line| line.contains('@')).unwrap_or_default();
            line = text.matches('\n').count() + 1 + marked;
            text.push_str(broken);
            text.push_str("\n\n- NEW\n\n");
        }
    }
    (text.replace('@', "9.9.9"), line)
}

#[test]
fn every_way_to_break_a_heading_is_an_error_at_its_line_in_every_place_and_profile() {
    assert!(BROKEN.len() >= 60 && SLIPS.len() >= 10);
    for broken in BROKEN.iter().chain(SLIPS) {
        for place in 0..4 {
            let (text, line) = with(broken, place);
            // The headings that are no release's for another reason are those that are read as one after all.
            for profile in PROFILES {
                let (errors, _) = told(&text, profile);
                assert!(
                    errors.contains(&line),
                    "{broken:?} in place {place}, {profile:?}: no error in line {line}, but {errors:?}\n{text}"
                );
            }
        }
    }
}

/// Also without any other release, and where the file ends.
#[test]
fn a_broken_heading_is_told_also_where_it_is_the_only_one() {
    for broken in BROKEN.iter() {
        let text = format!("# Changelog\n\n{}\n\n- NEW\n", broken.replace('@', "9.9.9"));
        let line = 3 + broken.lines().position(|line| line.contains('@')).unwrap_or_default();
        let log = parse(&text);
        let read = notes::newest(&log).is_some_and(|section| section.name().starts_with("9.9.9"));
        assert!(read || told(&text, Profile::Default).0.contains(&line), "{broken:?}\n{text}");
    }
}

#[test]
fn neither_marks_nor_line_ends_hide_a_broken_heading() {
    for text in [
        "\u{feff}##1.3.0\n\n- n\n\n## 1.2.0\n- o\n",
        "##1.3.0\r\n\r\n- n\r\n\r\n## 1.2.0\r\n- o\r\n",
        "---\ntitle: x\n---\n**1.3.0**\n\n- n\n\n## 1.2.0\n- o\n",
        "## 1.3.O\n- n\n\n## 1.3.O\n- n\n\n## 1.2.0\n- o\n",
        &format!("##[1.3.0](https://x.example/{})\n\n- n\n\n## 1.2.0\n- o\n", "x".repeat(500)),
        "## 1.2.0\n- o\n\n##1.1.0",
    ] {
        assert!(!told(text, Profile::Default).0.is_empty(), "{text}");
    }
}

/// Text in which a version, or what looks like one, is no heading of a release: silent in the preamble, under Unreleased, in the
/// newest and in an old section.
const SILENT: &[&str] = &[
    "1.3.0 fixes a bug in the cart.",
    "1.3.0 is the last release that supports Node 18",
    "Upgrading to 1.3.0",
    "### Upgrading to 1.3.0",
    "### Migrating from 1.2.0 to 1.3.0",
    "**Upgrading to 1.3.0**",
    "**Note:** 1.3.0 needs a new key.",
    "**1.3.0** is the first one with QRIS.",
    "**1.3.0**: the first one with QRIS, and with what was asked for in the meeting.",
    "See the notes of 1.3.0.",
    "This will be fixed in\n1.3.0.",
    "The shop was built on a version of Next.js that was newer than the one of\n1.3.0 and had to be changed again",
    "Supported versions:\n\n- 1.3.0\n- 1.2.9\n- 1.2.8",
    "Supported versions:\n\n- 1.3.0 (2025-03-03)\n- 1.2.9 (2025-02-20)",
    "Supported versions: 1.3.0, 1.2.9, 1.2.8",
    "1.3.0, 1.2.9, 1.2.8",
    "1.3.0\n1.2.9\n1.2.8",
    "- [1.3.0](#130---2025-03-03)\n- [1.2.9](#129)",
    "[1.3.0](docs/1.3.0.md)",
    "- [Changelog of 1.x](CHANGELOG-1.x.md)",
    "The current version:\n\n1.3.0",
    "2025-03-03",
    "**2025-03-03**",
    "Released on 2025-03-03.",
    "- 1.3.0 of the payment library is used now",
    "- **1.3.0** of the payment library",
    "- Bump payment from 1.2.9 to 1.3.0",
    "- payment 1.3.0 (2025-03-03)",
    "1. Install 1.3.0\n2. Restart",
    "1. First\n2. Second",
    "| Package | Version |\n|---|---|\n| payment | 1.3.0 |",
    "| Version | Node |\n|---|---|\n| 1.3.0 | 20 |",
    "| Version | Supported until |\n|---|---|\n| 1.0.0 | 2025-03-03 |",
    "![version](https://img.shields.io/badge/1.3.0)",
    "[![npm 1.3.0](https://x.example/1.3.0.svg)](https://x.example)",
    "https://x.example/releases/1.3.0",
    "<https://x.example/1.3.0>",
    "#1234",
    "#1.5 million orders",
    "```\n## 1.3.0 - 2025-03-03\n```",
    "~~~\n**1.3.0**\n~~~",
    "- run\n\n  ```\n  ##1.3.0\n  ```",
    "<!--\n## 1.3.0 - 2025-03-03\n-->",
    "<!-- **1.3.0** -->",
    "<pre>\n## 1.3.0\n</pre>",
    "Use `1.3.0`.",
    "<a name=\"1.3.0\"></a>",
    "<img src=\"1.3.0.png\">",
    "#### 3.x",
    "The address is 10.0.0.1",
    "**10.5 %**",
    "v1",
    "**v2 of the API**",
    "- Bump payment\n  1.3.0\n- next",
    "`payment`\n1.3.0\nand more",
    "1.2.0 -> 1.3.0",
    "1.2.0 → 1.3.0",
    "[1.2.9...1.3.0](https://github.com/a/b/compare/v1.2.9...v1.3.0)",
    "[1.2.9..1.3.0](https://github.com/a/b/compare/v1.2.9..v1.3.0)",
    "**Full Changelog**: https://github.com/a/b/compare/v1.2.9...v1.3.0",
    "<table><tr><td>1.3.0</td><td>1.2.9</td></tr></table>",
    "<b><a href=\"docs/1.x.md#1.3.0\">1.3.0</a></b><br/>",
    "<details>\n<pre>\n## 1.3.0\n</pre>\n</details>",
    "<details>\n<summary>How</summary>\n```\n## 1.3.0\n```\n</details>",
    "Version | Date\n---|---\n1.1.5 | 2025-01-10\n1.1.4 | 2025-01-09",
    "> ```\n> ## 1.3.0\n> ```",
    "[^1]: 1.3.0 - 2025-03-03",
    "Version 2.0 of the API",
    "Node 20.11.1 or newer",
    "[//]: # (1.3.0)",
    "Dependencies:\n\n**1.3.0**",
    "12.5",
];

/// Silent as a part of something: where nothing stands above but the title, a reader takes it for the newest release.
const PARTS: &[&str] = &["### payment 1.3.0", "#### Node 20.11.1", "### What is new since 1.2.9"];
/// Silent within a release: above the newest one a reader takes it for a newer one.
const WITHIN: &[&str] =
    &["`1.3.0`", "<p>1.3.0</p>", "> 1.3.0", "• 1.3.0", "1.3.0: Durian", "payment 1.3.0", "2025.12", "v43"];

#[test]
fn what_nobody_takes_for_a_heading_stays_silent() {
    assert!(SILENT.len() >= 50);
    let from = |lines: &'static [&str], place: usize| lines.iter().map(move |line| (line, place));
    for (silent, first) in from(SILENT, 0).chain(from(PARTS, 1)).chain(from(WITHIN, 2)) {
        for place in first..4 {
            let (text, _) = with(silent, place);
            let text = text.replace("9.9.9", "@");
            for profile in PROFILES {
                let (errors, warnings) = told(&text, profile);
                assert!(
                    errors.is_empty() && warnings.is_empty(),
                    "{silent:?} in place {place}, {profile:?}: {errors:?} {warnings:?}\n{text}"
                );
            }
            let newest = parse(&text);
            assert_eq!(
                notes::newest(&newest).map(|section| section.name().to_owned()).as_deref(),
                Some("1.2.0"),
                "{silent:?}\n{text}"
            );
        }
    }
}

/// Parts of a section that name its version again, a candidate of it, or a patch in it.
#[test]
fn a_section_may_name_its_own_version_again() {
    for (heading, part) in [
        ("1.2.0 - 2025-02-02", "**1.2.0**"),
        ("1.2.0 - 2025-02-02", "**1.2.0-rc1**"),
        ("1.2.0 - 2025-02-02", "#### 1.2.0"),
        ("1.2.0 - 2025-02-02", "**1.2.0-beta.1** (2025-01-20)"),
        ("1.2 - 2025-02-02", "**1.2.1**"),
        ("1.2.0 - 2025-02-02", "#### 1.1.0"),
        ("1.2.0 - 2025-02-02", "**1.1.0**"),
    ] {
        let text =
            format!("# Changelog\n\n## {heading}\n\n- a\n\n{part}\n\n- b\n\n## 1.1.0 - 2025-01-01\n\n- c\n");
        assert_eq!(told(&text, Profile::Default), (vec![], vec![]), "{text}");
    }
    let newer = "# Changelog\n\n## 1.2 - 2025-02-02\n\n**1.2.1** (2025-02-20)\n\n- b\n";
    assert_eq!(told(newer, Profile::Default).0, [5], "with a day of its own it is a release");
}

#[test]
fn a_slip_of_the_indentation_above_all_releases_is_a_warning() {
    let text = "# Changelog\n\n    ## 1.3.0 - 2025-03-03\n\n- NEW\n\n## 1.2.0 - 2025-02-02\n\n- OLD\n";
    assert_eq!(told(text, Profile::Default), (vec![], vec![3]));
    let example = "# Changelog\n\n## 1.2.0 - 2025-02-02\n\nWrite\n\n    ## 1.3.0 - 2025-03-03\n";
    assert_eq!(told(example, Profile::Default), (vec![], vec![]), "an example in a section is code");
}

/// Headings that head families of releases, or stand among them without naming one.
#[test]
fn headings_above_releases_are_no_releases() {
    for (text, newest, warned) in [
        (
            "# Version 0.16\n\n## Version 0.16.2\n- a\n\n## Version 0.16.1\n- b\n\n# Version 0.15\n\n## Version 0.15.1\n- c\n",
            "0.16.2",
            0,
        ),
        ("# 1.x\n\n## 1.3.0\n- a\n\n## 1.2.0\n- b\n\n# 0.x\n\n## 0.9.0\n- c\n", "1.3.0", 0),
        ("# v2\n\nWords about it.\n\n## 2.1.0\n- a\n\n# v1\n\n## 1.4.0\n- b\n", "2.1.0", 0),
        ("# Changelog\n\n## 1.3.0\n- a\n\n# Older releases\n\n## 0.9.0\n- c\n", "1.3.0", 0),
        ("# 2025\n\n## 1.3.0\n- a\n\n# 2024\n\n## 0.9.0\n- c\n", "1.3.0", 0),
        ("# Changelog\n\n## Conventions\n\n- words\n\n## 1.3.0\n- a\n\n## 0.9.0\n- c\n", "1.3.0", 1),
        ("# 1.0\n- a release of its own\n\n## 0.9.1\n- b\n", "1.0", 0),
    ] {
        let log = parse(text);
        let (errors, warnings) = told(text, Profile::Default);
        assert_eq!(
            (notes::newest(&log).map(Section::name), errors, warnings.len()),
            (Some(newest), vec![], warned),
            "{text}"
        );
    }
}

//! What an outsider broke: headings with a product's name, a code name, short and calendar versions, releases on the first level, HTML,
//! blocks that are left open. Nothing of it is opened with the older version.

use changelog_lint::changelog::{Changelog, Section, parse};
use changelog_lint::finding::Level;
use changelog_lint::findings;
use changelog_lint::notes;
use changelog_lint::rules::Options;
use changelog_lint::text::Lines;

fn options() -> Options {
    Options::on(jiff::civil::date(2026, 11, 25))
}

fn newest<'c>(log: &'c Changelog) -> Option<&'c str> {
    notes::newest(log).map(Section::name)
}

/// The lines of what hides a newer release, and the version that would be opened.
fn hidden(text: &str) -> (Vec<usize>, Option<String>) {
    let log = parse(text);
    let lines = Lines::of(text);
    let found = findings::hiding_a_newer(&log, &options());
    (found.iter().map(|f| lines.line(f.span.start)).collect(), newest(&log).map(str::to_owned))
}

/// Files in which `@` is the place of the newest release's heading: nothing above, `Unreleased` above.
fn places(title: &str, old: &str) -> [String; 2] {
    [
        format!(
            "{title}@\n\n- n\n\n{old}\n\n- o\n\n{}\n\n- p\n",
            old.replace("2.0", "1.9").replace("11", "10").replace("42", "41")
        ),
        format!(
            "{title}{} Unreleased\n\n- u\n\n@\n\n- n\n\n{old}\n\n- o\n",
            old.split(' ').next().unwrap_or("##")
        ),
    ]
}

/// Each of these lines is told at its line above a release that is headed `old`.
fn all_told(title: &str, old: &str, lines: &[&str]) {
    let mut faults = Vec::new();
    for line in lines {
        for file in places(title, old) {
            let text = file.replacen('@', line, 1);
            let first = text[..text.find(line).expect("there")].matches('\n').count() + 1;
            let last = first + line.matches('\n').count();
            let (told, opened) = hidden(&text);
            if !told.iter().any(|told| (first..=last).contains(told)) {
                faults.push(format!("{line:?} over {old:?}: told {told:?}, opens {opened:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {}\n{}", faults.len(), lines.len() * 2, faults.join("\n"));
}

const TITLE: &str = "# Changelog\n\n";

#[test]
fn a_name_before_the_version_hides_no_break() {
    let lines: Vec<String> = NAMED.iter().map(|line| line.replace('%', "MyApp")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    all_told(TITLE, "## MyApp 1.2.0", &lines);
    all_told(TITLE, "## MyApp 1.2.0 - 2025-01-01", &lines);
    all_told(TITLE, "## MyApp v1.2.0 (2025-01-01)", &lines);
    all_told(
        TITLE,
        "## pkg@1.2.0",
        &["##pkg@1.3.0", "### pkg@1.3.0", "**pkg@1.3.0**", "pkg@1.3.0", "pkg@1.3.0 - 2025-03-03"],
    );
    all_told(
        "",
        "# Release rayon 1.2.0 (2025-01-01)",
        &[
            "#Release rayon 1.12.0 (2026-04-13)",
            "## Release rayon 1.12.0 (2026-04-13)",
            "### Release rayon 1.12.0 (2026-04-13)",
            "**Release rayon 1.12.0 (2026-04-13)**",
            "Release rayon 1.12.0 (2026-04-13)",
            "> # Release rayon 1.12.0 (2026-04-13)",
            "- # Release rayon 1.12.0 (2026-04-13)",
            "<h1>Release rayon 1.12.0 (2026-04-13)</h1>",
            "<h2>rayon 1.12.0</h2>",
        ],
    );
}

const NAMED: &[&str] = &[
    "### % 1.3.0",
    "#### % 1.3.0",
    "**% 1.3.0**",
    "% 1.3.0",
    "% 1.3.0 - 2025-03-03",
    "<h2>% 1.3.0</h2>",
    "> ## % 1.3.0",
    "- ## % 1.3.0",
    "##% 1.3.0",
    "## %1.3.0",
    "## % 1.3.x",
    "## % 1,3,0",
    "### % v1.3.0 \"Durian\"",
    "__% 1.3.0__ (2025-03-03)",
    "`% 1.3.0`",
    "<h2>\n  % 1.3.0\n</h2>",
];

#[test]
fn a_code_name_behind_the_version_hides_no_break() {
    for old in ["## 1.2.0 - 2025-01-01", "## [1.2.0] \"Mango\" - 2025-01-01", "## 1.2.0"] {
        all_told(
            TITLE,
            old,
            &[
                "### 1.3.0 \"Durian\"",
                "### 1.3.0 - Durian",
                "### 1.3.0 - 2025-03-03 - Durian",
                "### 1.3.0 (Durian) - 2025-03-03",
                "**1.3.0 - Durian**",
                "1.3.0: Durian",
                "1.3.0 – Durian",
                "Release 1.3.0 \"Durian\"",
                "1.3.0 (Durian)",
                "#### v1.3.0 Big Durian",
                "**v1.3.0** Durian",
                "<h3>1.3.0 – Durian</h3>",
            ],
        );
    }
}

#[test]
fn short_and_calendar_versions_hide_no_break() {
    all_told(
        TITLE,
        "## 2025.11",
        &["### 2025.12", "2025.12", "**2025.12**", "<h2>2025.12</h2>", "##2025.12"],
    );
    all_told(
        TITLE,
        "## v42",
        &["### v43", "**v43**", "v43", "<h2>v43</h2>", "##v43", "**v43 (2026-07-25)**"],
    );
    all_told(TITLE, "## 1.2", &["### 1.3", "1.3", "**1.3**", "##1.3"]);
}

/// Headings of releases with a slip in the version, without the hashes.
const SLIPS: &[&str] = &[
    "Version1.3.0",
    "1.3.x",
    "1. 3. 0",
    "1 .3.0",
    "1 3 0",
    "1/3/0",
    "1:3:0",
    "1;3;0",
    ".1.3.0",
    "v1_3_0",
    "v1.3.0v",
    "1‚3‚0",
    "Release1.3.0",
    "Update 1.3.0",
    "l.3.0",
    "1.3.O",
    "I.3.0",
    "1-3-0",
    "1_3_0",
    "1·3·0",
    "r1.3.0",
    "ver.1.3.0",
    "vv1.3.0",
    "v_1.3.0",
    "pkg_1.3.0",
    "1,3,0",
    "1,3,0 - 2025-03-03",
    "1.3,0 - 2025-03-03",
    "1.3..0",
    "1.3.０",
    "1.3\u{200b}.0",
    "1.3.0x",
    "1․3․0",
    "1．3．0",
    "v.1.3.0",
];

/// Advice does not silence it: with one hash more it is told as well, unless it names something else.
#[test]
fn a_slip_in_the_version_is_an_error_on_every_level_and_no_advice_silences_it() {
    let mut lines: Vec<String> = SLIPS.iter().map(|slip| format!("## {slip}")).collect();
    let own = |slip: &&&str| !slip.starts_with("pkg") && !slip.starts_with("Update") && !slip.contains(";");
    lines.extend(SLIPS.iter().filter(own).map(|slip| format!("### {slip}")));
    let all: Vec<&str> = lines.iter().map(String::as_str).collect();
    all_told(TITLE, "## 1.2.0 - 2025-01-01", &all);
    for slip in SLIPS {
        let text = format!("{TITLE}## {slip}\n\n- n\n\n## 1.2.0 - 2025-01-01\n\n- o\n");
        for found in findings::of(&parse(&text), &options()).iter().filter(|f| f.rule.code == "CL203") {
            let help = found.help.as_deref().unwrap_or_default();
            assert!(found.level == Level::Error && !help.contains("deeper"), "{slip}: {help}");
        }
    }
}

/// Releases on level 1, the newest on level 2, and nothing above it: `X` is opened itself, or told.
#[test]
fn a_heading_above_all_others_is_told_on_any_level() {
    let mut faults = Vec::new();
    let more = [
        "v 1.3.0",
        "1.3.0!",
        "1.3.0+",
        "v:1.3.0",
        "Version=1.3.0",
        "版本 1.3.0",
        "Versión 1.3.0",
        "my-app@1.3.0",
        "Hotfix 1.3.0",
        "3 March 2025: 1.3.0",
        "The 1.3.0",
        "Stable: 1.3.0",
        "1.3.0",
        "(1.3.0)",
        "1.3.0 - Durian",
        "Rilis 1.3.0",
        "1.3.0 fixes it all",
    ];
    for old in ["# v1.2.0 (2025-01-01)", "# 1.2.0"] {
        for heading in SLIPS.iter().chain(&more) {
            for hashes in ["##", "###"] {
                let text = format!("{hashes} {heading}\n\n- n\n\n{old}\n\n- o\n");
                let (told, opened) = hidden(&text);
                if !told.contains(&1) && opened.as_deref() != Some("1.3.0") {
                    faults.push(format!("{hashes} {heading}: told {told:?}, opens {opened:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn html_and_signs_hide_no_break() {
    all_told(
        TITLE,
        "## 1.2.0 - 2025-01-01",
        &[
            "<h2>\n  1.3.0\n</h2>",
            "<p>1.3.0</p>",
            "<center>1.3.0</center>",
            "<ul><li>1.3.0</li></ul>",
            "<li>1.3.0</li>",
            "<header>1.3.0</header>",
            "<table><tr><th>1.3.0</th></tr></table>",
            "<table><tr><th>1.3.0</th><td>2025-03-03</td></tr></table>",
            "<h2 class=\"v\">v<span>1.3.0</span></h2>",
            "<!-- v --> ## 1.3.0",
            "##&nbsp;1.3.0",
            "\u{202e}## 1.3.0",
            "\0## 1.3.0",
            "\u{1b}[1m## 1.3.0",
            "\u{1b}## 1.3.0",
            "`1.3.0`",
            "**`1.3.0`**",
            "**[1.3.0](x)** 2025-03-03",
            "> 1.3.0\n> -----",
            ">1.3.0",
            "• 1.3.0 (2025-03-03)",
            "– 1.3.0",
            "- [ ] ## 1.3.0",
            "=== 1.3.0",
            "= 1.3.0",
            "1.3.0 ##",
            "+-------+\n| 1.3.0 |\n+-------+",
            "*********\n* 1.3.0 *\n*********",
            "┌───────┐\n│ 1.3.0 │\n└───────┘",
            "- fixed. ## 1.3.0 - 2025-03-03",
            "1.3.0 released on 2025-03-03",
            "Released 1.3.0 on 2025-03-03",
            "3 March 2025 - Version 1.3.0",
            "<dt>1.3.0</dt>",
            "<div align=\"center\">v1.3.0 (2025-03-03)</div>",
        ],
    );
    let text = "# Changelog\r\r##1.3.0\r\r- n\r\r## 1.2.0 - 2025-01-01\r\r- o\r";
    assert_eq!(hidden(text).0, [3], "line ends of old");
}

#[test]
fn a_block_that_is_left_open_swallows_no_heading_in_silence() {
    let old = "\n\n## 1.2.0 - 2025-01-01\n\n- o\n";
    for (text, line) in [
        (format!("{TITLE}<!-- note\n\n## 1.3.0 - 2025-03-03\n\n- n\n\n<!-- x -->{old}"), 3),
        (
            format!(
                "{TITLE}## Unreleased\n\n```sh\nrun\n\n## 1.3.0 - 2025-03-03\n\n- n\n\n```sh\nrun\n```{old}"
            ),
            5,
        ),
        (
            format!(
                "{TITLE}## Unreleased\n\n```sh\nrun\n\n## 1.3.0 - 2025-03-03\n\n- n\n\n```\nrun\n```{old}"
            ),
            5,
        ),
        (format!("{TITLE}## Unreleased\n\n~~~\nrun\n\n## [1.3.0]\n\n- n\n\n~~~yaml\nrun\n~~~{old}"), 5),
        (format!("{TITLE}<pre>\n\n## 1.3.0 - 2025-03-03\n\n- n\n\n</pre>{old}"), 3),
        (format!("{TITLE}<pre>\n## 1.3.0 - 2025-03-03\n</pre>{old}"), 3),
        (format!("{TITLE}- a\n\n  ```\n  run\n\n  ## 1.3.0\n\n  ```sh\n  run\n  ```{old}"), 5),
    ] {
        assert_eq!(hidden(&text).0.first(), Some(&line), "{text}");
    }
    for text in [
        format!("{TITLE}<!-- ## 1.3.0 - 2025-03-03 -->{old}"),
        format!("{TITLE}<!-- a -->\n\n<!-- b -->{old}"),
        format!("{TITLE}```md\n## [1.3.0] - 2025-03-03\n### Added\n```{old}"),
        format!("{TITLE}````md\n## 1.3.0\n```sh\nrun\n```\n````{old}"),
        format!("{TITLE}<pre>\nrun 1.3.0\n</pre>{old}"),
    ] {
        assert_eq!(hidden(&text).0, [] as [usize; 0], "{text}");
    }
}

#[test]
fn no_other_version_is_read_than_the_one_that_is_written() {
    for (heading, version) in [
        ("2025.03.03 1.3.0", "1.3.0"),
        ("2025.03.03 - 1.3.0", "1.3.0"),
        ("March 3rd, 2025 - 1.3.0", "1.3.0"),
        ("3 Maret 2025 - 1.3.0", "1.3.0"),
        ("3 March 2025: 1.3.0", "1.3.0"),
        ("2025.03.03", "2025.03.03"),
        ("1.3.0 - 3 Maret 2025", "1.3.0"),
    ] {
        for old in ["## 1.2.0", "## 1.2.0 - 2025-01-01"] {
            let text = format!("{TITLE}## {heading}\n\n- n\n\n{old}\n\n- o\n");
            assert_eq!(hidden(&text), (vec![], Some(version.to_owned())), "{text}");
        }
    }
    all_told(TITLE, "## 1.2.0", &["## 3 Maret 2025", "## March 3rd, 2025", "## 1.3,0 - 2025-03-03"]);
}

/// Silent, within the section of a release.
#[test]
fn prose_and_numbers_within_a_release_are_no_headings() {
    for part in [
        "Requires Rust\n1.70.0",
        "- Update to\n  v1.3.0 (2025-03-03)",
        "127.0.0.1",
        "**10.0.0.1**",
        "1.000.000",
        "### 127.0.0.1",
        "- **1.3.0**\n- **1.2.9**",
        "- a\n- **1.3.0**\n- b",
        "Term\n: 1.3.0",
        "~1.3.0",
        "^1.3.0",
        "[1.3.0](https://x/y)",
        "`1.3.0`",
        "<p>1.3.0</p>",
        "> 1.3.0",
        "MyApp 1.3.0",
        "1.3.0: the one with Durian",
    ] {
        let text =
            format!("{TITLE}## 1.2.0 - 2025-02-02\n\n- a\n\n{part}\n\n- b\n\n## 1.1.0 - 2025-01-01\n\n- c\n");
        let found: Vec<String> = findings::of(&parse(&text), &options())
            .iter()
            .filter(|f| f.level == Level::Error)
            .map(|f| format!("{} {}", f.rule.code, f.message))
            .collect();
        assert!(found.is_empty(), "{part:?}: {found:?}");
    }
}

/// Files in the manners that people have; `@` is the version, in three releases.
const MANNERS: &[&str] = &[
    "## @",
    "## [@] - 2025-0%-01",
    "## v@ (2025-0%-01)",
    "# Version @",
    "# Release shop @ (2025-0%-01)",
    "## MyApp @",
    "## shop-v@",
    "### @ - 2025-0%-01",
    "## @ \"Durian\"",
    "## [@](https://github.com/a/b/compare/v1.0.0...v@) (2025-0%-01)",
    "## @ - Durian - 2025-0%-01",
    "## 2025-0%-01 - @",
];

/// Each manner, with short and long versions, broken in every way: nothing is opened with the older version.
#[test]
fn a_generated_changelog_that_is_broken_in_any_way_is_never_opened_with_an_older_version() {
    use crate::rules::breaking::{WAYS, broken, opens_older};
    let (mut done, mut faults) = (0, Vec::new());
    for manner in MANNERS {
        for versions in
            [["1.3.0", "1.2.0", "1.1.0"], ["1.3", "1.2", "1.1"], ["2025.12", "2025.11", "2025.10"]]
        {
            for above in ["# Changelog\n\n", "", "# Changelog\n\n## Unreleased\n\n- u\n\n"] {
                let mut text = if manner.starts_with("# ") { String::new() } else { above.to_owned() };
                for (index, version) in versions.iter().enumerate() {
                    let heading = manner.replace('@', version).replace('%', &(9 - index).to_string());
                    text.push_str(&format!("{heading}\n\n- change {index}\n\n"));
                }
                done += WAYS.iter().filter(|way| broken(&text, way).is_some()).count();
                faults.extend(WAYS.iter().filter_map(|way| opens_older(&text, way)).map(|(_, story)| story));
            }
        }
    }
    assert!(done > 1000, "{done}");
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}

/// `--base`: a short entry in better words is no new one.
#[test]
fn a_correction_of_a_short_entry_is_no_new_entry() {
    let file = |entry: &str| format!("{TITLE}## 1.2.0 - 2025-02-02\n\n- {entry}\n- Old one\n");
    for (before, after, new) in [
        ("Add pay", "Add payment", false),
        ("Add pay", "Add pay. Thanks @bob!", false),
        ("Add pay", "Add pay with QRIS", false),
        ("Add pay", "Remove the cart and its tests", true),
        ("Add pay", "Add pay\n- Add refunds of paid orders", true),
    ] {
        let options = Options { base: Some(file(before)), ..options() };
        let found = findings::of(&parse(&file(after)), &options);
        assert_eq!(found.iter().any(|f| f.rule.code == "CL601"), new, "{before} becomes {after}");
    }
}

/// The help names the version that is meant, and none that is there already.
#[test]
fn the_way_between_two_versions_is_told_with_the_second_one() {
    let text = format!("{TITLE}## 1.2.0...1.3.0\n\n- n\n\n## 1.2.0 - 2025-01-01\n\n- o\n");
    let found = findings::hiding_a_newer(&parse(&text), &options());
    let help = found.first().and_then(|f| f.help.as_deref()).unwrap_or_default();
    assert!(help.starts_with("write `## 1.3.0"), "{help}");
}

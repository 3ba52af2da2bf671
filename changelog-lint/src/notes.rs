//! The notes of one version, whole in themselves: with the definitions of links that they use, without those of other
//! versions, and without what stands below the last release.

use std::collections::BTreeSet;

use crate::changelog::{Block, BlockKind, Changelog, Section, Span, Use};
use crate::version;

/// Longer notes are cut in the document, bytes.
const LIMIT: usize = 32 << 10;

/// The notes of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes {
    /// Markdown, with LF line ends.
    pub text: String,
    /// Whether they were cut at an entry.
    pub cut: bool,
}

/// Where the notes of a version were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In its own section.
    Own,
    /// A candidate's, in the section of its release.
    Base,
    /// A candidate's, in `Unreleased`.
    Unreleased,
}

impl Source {
    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Source::Own => "version",
            Source::Base => "base-version",
            Source::Unreleased => "unreleased",
        }
    }
}

/// Why there is no one section for a version.
#[derive(Debug)]
pub enum Miss<'c> {
    /// None.
    Missing,
    /// Two.
    Doubled(&'c Section, &'c Section),
    /// What was asked for is no version.
    NoVersion,
}

/// The section of a version: its own, also by the words `newest` and `unreleased`; for a candidate also the one of its release, else `Unreleased`.
///
/// # Errors
/// When there is none, or more than one, or what is wanted is no version.
pub fn find<'c>(log: &'c Changelog, wanted: &str) -> Result<(&'c Section, Source), Miss<'c>> {
    if ["newest", "latest"].contains(&wanted) {
        return newest(log).map(|section| (section, Source::Own)).ok_or(Miss::Missing);
    }
    match named(log, wanted) {
        Err(Miss::Missing) if is_name(wanted) => {}
        Err(Miss::Missing) => return Err(Miss::NoVersion),
        found => return found.map(|section| (section, Source::Own)),
    }
    let Some(base) = version::base(bare(wanted)) else { return Err(Miss::Missing) };
    match named(log, base) {
        Err(Miss::Missing) => {}
        found => return found.map(|section| (section, Source::Base)),
    }
    let unreleased = log.sections.iter().find(|section| section.version().is_none());
    unreleased.map(|section| (section, Source::Unreleased)).ok_or(Miss::Missing)
}

/// Whether it can be asked for: a version, with the name of a package before it if there are several, or `unreleased`.
fn is_name(wanted: &str) -> bool {
    let packaged = || {
        let split = wanted.rfind(['@', '/', ' ']).or_else(|| wanted.find('-'))?;
        let (package, rest) = wanted.split_at(split);
        Some(
            package.starts_with(|c: char| c.is_alphabetic() || c == '@')
                && version::of_tag(&rest[1..]).is_some(),
        )
    };
    wanted.eq_ignore_ascii_case("unreleased") || version::is_version(wanted) || packaged() == Some(true)
}

fn bare(wanted: &str) -> &str {
    wanted.strip_prefix(['v', 'V']).unwrap_or(wanted)
}

/// The one section of exactly this version.
fn named<'c>(log: &'c Changelog, wanted: &str) -> Result<&'c Section, Miss<'c>> {
    let wanted = bare(wanted);
    let any: [&dyn Fn(&Section) -> bool; 5] = [
        &|s| {
            s.version().map_or(wanted.eq_ignore_ascii_case("unreleased"), |v| {
                v.package.is_none() && v.text == wanted
            })
        },
        &|s| s.version().is_some_and(|v| v.package.is_none() && version::same(&v.text, wanted)),
        &|s| {
            s.version().is_some_and(|v| {
                v.package.as_ref().is_some_and(|package| is_packaged(package, &v.text, wanted))
            })
        },
        &|s| s.version().is_some_and(|v| v.package.is_some() && v.text == wanted),
        &|s| s.version().is_some_and(|v| v.also.iter().any(|also| also == wanted)),
    ];
    for matches in any {
        let mut found = log.sections.iter().filter(|section| matches(section));
        match (found.next(), found.next()) {
            (Some(one), None) => return Ok(one),
            (Some(one), Some(other)) => return Err(Miss::Doubled(one, other)),
            _ => {}
        }
    }
    Err(Miss::Missing)
}

/// `shop-1.2.0`, `shop-v1.2.0`, `shop@1.2.0`, `shop/1.2.0`, `shop 1.2.0`.
fn is_packaged(package: &str, version: &str, wanted: &str) -> bool {
    let rest = wanted.strip_prefix(package).and_then(|rest| rest.strip_prefix(['-', '@', '/', ' ']));
    rest.is_some_and(|rest| bare(rest) == version)
}

/// The newest release: the first in the file, or the last one where the oldest comes first.
pub fn newest<'c>(log: &'c Changelog) -> Option<&'c Section> {
    let releases: Vec<&Section> = log.releases().collect();
    let rises = |pair: &&[&Section]| {
        version::compare(pair[0].name(), pair[1].name()).is_some_and(std::cmp::Ordering::is_lt)
    };
    let rising = releases.windows(2).filter(rises).count();
    let oldest_first = rising > 0 && rising * 4 > (releases.len() - 1) * 3;
    if oldest_first { releases.last().copied() } else { releases.first().copied() }
}

/// The notes for the document: at most 32 KiB, cut at an entry; within the first one if that alone is longer.
pub fn limited(log: &Changelog, section: &Section) -> Notes {
    let whole = whole(log, section);
    if whole.len() <= LIMIT {
        return Notes { text: whole, cut: false };
    }
    let start = section.body.start;
    let cut =
        |end: usize| Some(log_text(log, start..end)).filter(|text| text.len() <= LIMIT && !text.is_empty());
    let entries: Vec<usize> = log.entries(section).map(|entry| entry.span.start).collect();
    let near = entries.partition_point(|entry| entry - start <= LIMIT);
    let text = entries[..near].iter().rev().find_map(|end| cut(*end)).unwrap_or_else(|| within(log, section));
    Notes { text, cut: true }
}

/// As much as fits of an entry that is too long: to the end of a line, else of a word, else of a character. Code is closed again.
fn within(log: &Changelog, section: &Section) -> String {
    let start = section.body.start;
    let mut end = section.body.end.min(start + LIMIT);
    while end > start {
        end = floor(log.text, end);
        let part = &log.text[start..end];
        // A break far above would lose more than it saves.
        let breaks = part
            .trim_end()
            .rfind('\n')
            .or_else(|| part.trim_end().rfind(' '))
            .filter(|at| *at > part.len() / 2);
        let at = start + breaks.unwrap_or(part.len());
        // A comment, a definition that was cut in two would be text.
        let whole = log
            .comments
            .iter()
            .find(|comment| comment.start < at && at < comment.end)
            .map_or(at, |comment| comment.start);
        let fence = log
            .code
            .iter()
            .find(|code| code.start < whole && whole < code.end)
            .and_then(|code| fence(log.text, code));
        let text = log_text(log, start..whole);
        let text = fence.map_or(text.clone(), |fence| format!("{text}\n{fence}"));
        if text.len() <= LIMIT {
            return text;
        }
        end = start + (whole - start).saturating_sub((text.len() - LIMIT).max(1));
    }
    String::new()
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What a code block was opened with.
fn fence<'t>(text: &'t str, code: &Span) -> Option<&'t str> {
    let source = &text[code.clone()];
    let sign = source.chars().next().filter(|c| "`~".contains(*c))?;
    Some(&source[..source.len() - source.trim_start_matches(sign).len()])
}

/// The notes of a section.
pub fn whole(log: &Changelog, section: &Section) -> String {
    log_text(log, section.body.start..end(log, section))
}

/// Where the notes end: before a line across with nothing but words below it, and before comments and lines at the end.
fn end(log: &Changelog, section: &Section) -> usize {
    let mut blocks = log.blocks_in(&section.body);
    if section.body.end == log.text.len() {
        blocks = without_footer(log, blocks);
    }
    while let Some((last, rest)) = blocks.split_last() {
        let comment =
            last.kind == BlockKind::Html && log.text[last.span.clone()].trim_start().starts_with("<!--");
        if !(comment || last.kind == BlockKind::Rule) {
            break;
        }
        blocks = rest;
    }
    let all = log.blocks_in(&section.body);
    all.get(blocks.len()).map_or(section.body.end, |block| block.span.start)
}

fn without_footer<'b>(log: &Changelog, blocks: &'b [Block]) -> &'b [Block] {
    let Some(rule) = blocks.iter().rposition(|block| block.kind == BlockKind::Rule) else { return blocks };
    let is_word = |block: &Block| matches!(block.kind, BlockKind::Paragraph | BlockKind::Html);
    let others =
        log.releases().count() > 1 || blocks[..rule].iter().any(|b| matches!(b.kind, BlockKind::Item(_)));
    if others && blocks[rule + 1..].iter().all(is_word) { &blocks[..rule] } else { blocks }
}

/// A part of the file with the definitions of links and footnotes that it uses below it, and no others; without comments, which are
/// for those who write the file.
fn log_text(log: &Changelog, part: Span) -> String {
    let mut parts = vec![part.clone()];
    let notes = footnotes(log, &mut parts);
    let is_here = |used: &&Use| {
        let inside = |part: &Span| part.contains(&used.span.start);
        inside(&part) && !in_footnote(log, used) || parts[1..].iter().any(inside)
    };
    let uses = log.uses.iter().filter(is_here);
    let used: BTreeSet<&str> = uses.map(|used| used.label.as_str()).collect();
    let mut text = without(log, &part);
    let counts = log.definitions.iter().filter(|d| !d.void && used.contains(d.label.as_str()));
    let links: Vec<String> = counts.map(|d| unix(&log.text[d.span.clone()])).collect();
    let notes: Vec<String> = notes.into_iter().map(|note| without_comments(log, &note)).collect();
    for own in [notes, links].iter().filter(|own| !own.is_empty()) {
        text.push_str("\n\n");
        text.push_str(&own.join("\n"));
    }
    text
}

/// The definitions of the footnotes that some parts of the file call for, and those that these call for; each becomes a part.
fn footnotes(log: &Changelog, parts: &mut Vec<Span>) -> Vec<Span> {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut at = 0;
    while at < parts.len() {
        let part = parts[at].clone();
        let from = log.footnote_uses.partition_point(|used| used.span.start < part.start);
        let uses = log.footnote_uses[from..].iter().take_while(|used| used.span.start < part.end);
        // A footnote's own calls count once it is called for.
        let own =
            |used: &&Use| at > 0 || !log.footnotes.iter().any(|note| note.span.contains(&used.span.start));
        for used in uses.filter(own) {
            let index = log.footnotes.iter().position(|note| note.label == used.label);
            if let Some(index) = index.filter(|index| taken.insert(*index)) {
                parts.push(log.footnotes[index].span.clone());
            }
        }
        at += 1;
    }
    taken.into_iter().map(|index| log.footnotes[index].span.clone()).collect()
}

/// Whether something is used within the definition of a footnote.
fn in_footnote(log: &Changelog, used: &Use) -> bool {
    let after = log.footnotes.partition_point(|note| note.span.start <= used.span.start);
    after.checked_sub(1).is_some_and(|at| used.span.start < log.footnotes[at].span.end)
}

fn unix(text: &str) -> String {
    text.trim().replace("\r\n", "\n")
}

/// A part of the file without definitions and comments.
fn without(log: &Changelog, part: &Span) -> String {
    let definitions = log.definitions.iter().map(|definition| &definition.span);
    let notes = log.footnotes.iter().map(|note| &note.span);
    let mut gone: Vec<&Span> =
        definitions.chain(notes).chain(&log.comments).filter(|span| part.contains(&span.start)).collect();
    gone.sort_by_key(|span| span.start);
    cut_out(log.text, part, &gone)
}

fn without_comments(log: &Changelog, part: &Span) -> String {
    let gone: Vec<&Span> = log.comments.iter().filter(|span| part.contains(&span.start)).collect();
    cut_out(log.text, part, &gone)
}

/// A part of the text without some spans of it, and without the lines that had nothing else.
fn cut_out(text: &str, part: &Span, gone: &[&Span]) -> String {
    let mut result = String::new();
    let mut from = part.start;
    for span in gone {
        if span.start < from {
            continue;
        }
        result.push_str(&text[from..span.start]);
        from = span.end.min(part.end);
        let line = result.len() - result.rfind('\n').map_or(0, |at| at + 1);
        let alone = result[result.len() - line..].trim().is_empty();
        let rest = text[from..part.end].find('\n').map_or(part.end, |at| from + at + 1);
        if alone && text[from..rest].trim().is_empty() {
            result.truncate(result.len() - line);
            from = rest;
        }
    }
    result.push_str(&text[from..part.end]);
    unix(&result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changelog::parse;

    const FILE: &str = "\
# Changelog

## [Unreleased]
- soon

## [1.2.0] - 2025-10-14
### Added
- Pay with [QRIS], see [#412]

[1.2.0]: https://git.example/compare/v1.1.4...v1.2.0

## shop-1.1.4
Only words.

---

The footer.

[QRIS]: https://qris.example
[#412]: https://git.example/412
[1.1.4]: https://git.example/compare/v1.1.3...v1.1.4
";

    #[test]
    fn notes_carry_the_definitions_that_they_use_and_no_others() {
        let log = parse(FILE);
        let notes = whole(&log, &log.sections[1]);
        assert_eq!(
            notes,
            "### Added\n- Pay with [QRIS], see [#412]\n\n[QRIS]: https://qris.example\n[#412]: https://git.example/412"
        );
        assert_eq!(whole(&log, &log.sections[2]), "Only words.");
    }

    #[test]
    fn a_candidate_finds_its_own_section_then_its_releases_then_unreleased() {
        let own = parse("## Unreleased\n## 1.2.0-rc2\n- c\n## 1.2.0\n- r\n");
        let base = parse("## Unreleased\n- u\n## 1.2.0\n- r\n");
        let none = parse("## Unreleased\n- u\n## 1.1.0\n- r\n");
        for (log, wanted, source) in [
            (&own, "1.2.0-rc2", Some(Source::Own)),
            (&own, "v1.2.0-rc.2", Some(Source::Own)),
            (&own, "1.2.0-rc1", Some(Source::Base)),
            (&base, "1.2.0-rc2", Some(Source::Base)),
            (&none, "1.2.0-rc2", Some(Source::Unreleased)),
            (&none, "1.2.0", None),
            (&none, "unreleased", Some(Source::Own)),
            (&none, "1.1", Some(Source::Own)),
        ] {
            assert_eq!(find(log, wanted).ok().map(|(_, source)| source), source, "{wanted}");
        }
        let log = parse(FILE);
        assert!(find(&log, "shop@1.1.4").is_ok() && find(&log, "1.1.4").is_ok());
    }

    #[test]
    fn what_is_no_version_is_not_looked_for() {
        let log = parse("## Unreleased\n- u\n## 1.0.0\n- r\n");
        for wanted in
            ["1.0.0(", "1.0.0x", ".*", "1.0.0 2.0.0", "", "x", "1.0.0.", "latest version", "1.0.0\n"]
        {
            let missed = find(&log, wanted).map(|(section, _)| section.name());
            assert!(matches!(missed, Err(Miss::NoVersion)), "{wanted}: {missed:?}");
        }
        for wanted in ["9.9.9", "v9.9.9", "shop-9.9.9", "shop@9.9.9", "@luxima/shop@9.9.9"] {
            assert!(matches!(find(&log, wanted), Err(Miss::Missing)), "{wanted}");
        }
    }

    #[test]
    fn a_footnote_comes_along_and_a_comment_stays() {
        let text = "## 1.2.0\n- KEEP[^1] <!-- for us -->\n\n<!-- changelog-lint-disable-next-line CL408 -->\n- more\n\n## 1.1.0\n- OLD\n\n\
            [^1]: A footnote, see [x][x] and[^2].\n[^2]: Another.\n[^3]: Nobody's.\n\n[x]: https://x.example\n";
        let log = parse(text);
        let notes = whole(&log, &log.sections[0]);
        assert_eq!(
            notes,
            "- KEEP[^1] \n\n- more\n\n[^1]: A footnote, see [x][x] and[^2].\n[^2]: Another.\n\n[x]: https://x.example"
        );
        assert_eq!(whole(&log, &log.sections[1]), "- OLD", "footnotes of others are none of its words");
    }

    #[test]
    fn one_entry_above_the_limit_is_cut_within_and_never_to_nothing() {
        for entry in [
            "word ".repeat(20_000),
            "x".repeat(100_000),
            "あ".repeat(40_000),
            format!("code\n\n  ```\n  {}\n  ```", "line\n  ".repeat(20_000)),
        ] {
            let text = format!("## 1.0.0\n- {entry}\n");
            let log = parse(&text);
            let notes = limited(&log, &log.sections[0]);
            assert!(
                notes.cut && notes.text.len() <= LIMIT && notes.text.len() > LIMIT - 100,
                "{}",
                notes.text.len()
            );
            assert!(notes.text.matches("```").count() % 2 == 0, "code is closed");
        }
    }

    #[test]
    fn long_notes_are_cut_at_an_entry_and_keep_their_definitions() {
        let entry = "- [x] ".to_owned() + &"word ".repeat(200) + "\n";
        let text = format!("## 1.0.0\n{}\n[x]: https://x.example\n", entry.repeat(60));
        let log = parse(&text);
        let notes = limited(&log, &log.sections[0]);
        assert!(
            notes.cut && notes.text.len() <= LIMIT && notes.text.contains("\n- [x] word"),
            "{}",
            notes.text.len()
        );
    }

    #[test]
    fn the_newest_is_the_last_where_the_oldest_comes_first() {
        let name = |text: &str| newest(&parse(text)).map(|s| s.name().to_owned());
        assert_eq!(name("## 1.0\n- a\n## 1.1\n- b\n## 1.2\n- c\n").as_deref(), Some("1.2"));
        assert_eq!(name("## 1.2\n- a\n## [1.1] - unreleased\n").as_deref(), Some("1.2"));
        assert_eq!(name("# Changelog\n"), None);
    }
}

//! The notes of one version, whole in themselves: with the definitions of links that they use, without those of other
//! versions, and without what stands below the last release.

mod limit;
mod part;

pub use self::limit::limited;
use self::part::log_text;
use crate::changelog::{Block, BlockKind, Changelog, Section};
use crate::date::{self, Reading};
use crate::version;

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
    let day = |section: &Section| match date::read(&log.text[section.day()?.clone()]) {
        Reading::Iso(day) | Reading::Timestamp(day) | Reading::Other(Some(day)) => Some(day),
        _ => None,
    };
    // A lower version that came out later stands above a higher one for that reason.
    let later = |pair: &[&Section]| day(pair[0]).zip(day(pair[1])).is_some_and(|(one, other)| one > other);
    let rises = |pair: &&[&Section]| {
        version::compare(pair[0].name(), pair[1].name()).is_some_and(std::cmp::Ordering::is_lt)
            && !later(pair)
    };
    let rising = releases.windows(2).filter(rises).count();
    let oldest_first = rising > 0 && rising * 4 > (releases.len() - 1) * 3;
    if oldest_first { releases.last().copied() } else { releases.first().copied() }
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
        let source = log.text[last.span.clone()].trim();
        let comment = last.kind == BlockKind::Html && source.starts_with("<!--");
        if !(comment || log.is_anchor(last) || last.kind == BlockKind::Rule) {
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
    fn the_newest_is_the_last_where_the_oldest_comes_first() {
        let name = |text: &str| newest(&parse(text)).map(|s| s.name().to_owned());
        assert_eq!(name("## 1.0\n- a\n## 1.1\n- b\n## 1.2\n- c\n").as_deref(), Some("1.2"));
        assert_eq!(name("## 1.2\n- a\n## [1.1] - unreleased\n").as_deref(), Some("1.2"));
        assert_eq!(name("# Changelog\n"), None);
    }
}

//! The changelog as data: which releases stand where, and what is in them. Pure, linear, on pulldown-cmark, so that a
//! heading in a code block or a comment is no heading. Everything is a byte range of the text, so that a complaint can point at
//! its place and a repair can touch nothing else.

use std::collections::HashMap;
use std::ops::Range;

use crate::lookalikes::{self, Lookalike};
use crate::{claim, sections, source, version};

/// A byte range of the text.
pub type Span = Range<usize>;

/// A changelog.
#[derive(Debug)]
pub struct Changelog<'t> {
    /// The whole text, a byte order mark included.
    pub text: &'t str,
    /// All headings outside of lists and quotes, in the order of the file.
    pub headings: Vec<Heading>,
    /// Releases and `Unreleased`, in the order of the file.
    pub sections: Vec<Section>,
    /// Headings on the level of releases that are not understood, as indices of `headings`.
    pub strangers: Vec<usize>,
    /// Headings above releases that belong together (`# Version 0.16`, `# Older releases`), as indices of `headings`.
    pub families: Vec<usize>,
    /// Blocks outside of lists and quotes, and the items of such lists, in the order of the file.
    pub blocks: Vec<Block>,
    /// Definitions of links, also those that an earlier one of the same label makes void.
    pub definitions: Vec<Definition>,
    /// The definition that counts for each folded label, as an index of `definitions`.
    pub labels: HashMap<String, usize>,
    /// Where labels are used.
    pub uses: Vec<Use>,
    /// `[text][label]` and `[label]` without a definition.
    pub broken: Vec<Broken>,
    /// HTML comments, each by itself.
    pub comments: Vec<Span>,
    /// Definitions of footnotes.
    pub footnotes: Vec<Footnote>,
    /// Where footnotes are called for.
    pub footnote_uses: Vec<Use>,
    /// Code blocks, also within lists and quotes.
    pub code: Vec<Span>,
    /// Lines that a reader takes for the heading of a release and that are read as something else.
    pub lookalikes: Vec<Lookalike>,
}

/// A heading outside of lists and quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The whole heading.
    pub span: Span,
    /// 1 to 6.
    pub level: u8,
    /// Its text without Markdown.
    pub text: String,
    /// Where each piece of the text stands in the file: offset in the text, place.
    pub pieces: Vec<(usize, Span)>,
    /// The first link in it.
    pub link: Option<HeadingLink>,
}

/// A link in a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadingLink {
    /// `[1.2.0](url)`; the place of the link, and the address.
    Inline(Span, String),
    /// `[1.2.0]`, `[1.2.0][]` or `[1.2.0][label]`, defined; the place of the link, and the label.
    Label(Span, String),
}

/// What a section is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is not released yet, without a version.
    Unreleased,
    /// A version.
    Version(Version),
}

/// A version in a heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As it is written, without a leading `v`; a candidate that is named in words has its name behind it (`1.0.0-rc2`).
    pub text: String,
    /// The place of its numbers.
    pub at: Span,
    /// Whether words of the heading name the candidate.
    pub spelled: bool,
    /// Whether a `v` stands before it.
    pub prefixed: bool,
    /// The package that the heading names before it.
    pub package: Option<String>,
    /// More versions of the same heading.
    pub also: Vec<String>,
    /// Whether the heading says that it is not released yet.
    pub unreleased: bool,
}

/// The section of a version, or of what is not released yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub kind: Kind,
    /// Its heading, as an index of [`Changelog::headings`].
    pub heading: usize,
    /// What stands where a day belongs.
    pub date: Option<Span>,
    /// The day in the line below the heading: `Released 2025-10-14.`
    pub released: Option<Span>,
    /// The word that says that it was withdrawn.
    pub yanked: Option<Span>,
    /// The word that says that it is not released.
    pub unreleased: Option<Span>,
    /// From behind the heading to the next section.
    pub body: Span,
    /// `### Added` and the like.
    pub groups: Vec<Group>,
}

/// `### Added` with what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its heading, as an index of [`Changelog::headings`].
    pub heading: usize,
    /// From behind the heading to the next one of this level.
    pub body: Span,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A heading.
    Heading,
    /// A paragraph.
    Paragraph,
    /// An item of a list; `true` in a numbered one.
    Item(bool),
    /// A code block; `true` if it is fenced.
    Code(bool),
    /// HTML.
    Html,
    /// A line across.
    Rule,
    /// A quote, a table.
    Other,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// Its place.
    pub span: Span,
}

/// `[label]: address "title"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The label, folded for comparison.
    pub label: String,
    /// The label's place, without brackets.
    pub label_at: Span,
    /// The address's place.
    pub url_at: Span,
    /// The whole definition.
    pub span: Span,
    /// Whether an earlier definition has the same label, so that this one is void.
    pub void: bool,
}

/// `[^1]: text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footnote {
    /// The label, folded for comparison.
    pub label: String,
    /// The whole definition.
    pub span: Span,
}

/// A use of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The label, folded for comparison.
    pub label: String,
    /// The place of the whole link.
    pub span: Span,
}

/// A reference without a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The label as it is written.
    pub label: String,
    /// The place of the whole reference.
    pub span: Span,
    /// Whether it is `[text][label]`, which can mean nothing but a link.
    pub full: bool,
}

/// Reads a changelog.
pub fn parse(text: &str) -> Changelog<'_> {
    let read = source::read(text);
    let counts = read.definitions.iter().enumerate().filter(|(_, definition)| !definition.void);
    let labels = counts.map(|(index, definition)| (definition.label.clone(), index)).collect();
    let found = sections::find(text, &read.headings, &read.blocks);
    let lookalikes = lookalikes::find(text, &read, &found);
    Changelog {
        text,
        headings: read.headings,
        sections: found.sections,
        strangers: found.strangers,
        families: found.families,
        blocks: read.blocks,
        definitions: read.definitions,
        labels,
        uses: read.uses,
        broken: read.broken,
        comments: read.comments,
        footnotes: read.footnotes,
        footnote_uses: read.footnote_uses,
        code: read.code,
        lookalikes,
    }
}

/// A label folded for comparison: case and blanks do not count.
pub fn folded(label: &str) -> String {
    let words: Vec<&str> = label.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

impl Heading {
    /// The place in the file of a range of the heading's text.
    pub fn place(&self, range: &Span) -> Span {
        let at = |offset: usize, end: bool| {
            let before = |piece: &&(usize, Span)| if end { piece.0 < offset } else { piece.0 <= offset };
            let piece = self.pieces.iter().rev().find(before);
            piece.map_or(self.span.start, |(start, span)| (span.start + offset - start).min(span.end))
        };
        let start = at(range.start, false);
        start..at(range.end, true).max(start)
    }
}

impl Section {
    /// The version, if it is not plain `Unreleased`.
    pub fn version(&self) -> Option<&Version> {
        if let Kind::Version(version) = &self.kind { Some(version) } else { None }
    }

    /// Whether it is released: a version whose heading does not say otherwise.
    pub fn is_released(&self) -> bool {
        self.version().is_some_and(|version| !version.unreleased)
    }

    /// The day of the release, in the heading or below it.
    pub fn day(&self) -> Option<&Span> {
        self.date.as_ref().or(self.released.as_ref())
    }

    /// How it is called in messages.
    pub fn name(&self) -> &str {
        self.version().map_or("Unreleased", |version| &version.text)
    }
}

impl<'t> Changelog<'t> {
    /// The released versions, in the order of the file.
    pub fn releases(&self) -> impl DoubleEndedIterator<Item = &Section> {
        self.sections.iter().filter(|section| section.is_released())
    }

    /// The heading of a section.
    pub fn heading(&self, section: &Section) -> &Heading {
        &self.headings[section.heading]
    }

    /// Where to point when the section as a whole is meant: its version, else its heading's first line.
    pub fn at(&self, section: &Section) -> Span {
        section
            .version()
            .map_or_else(|| self.line_of(&self.heading(section).span), |version| version.at.clone())
    }

    /// The line that names a version and is not read as its heading.
    pub fn mistaken(&self, version: &str) -> Option<Span> {
        let is_it = |named: &String| version::same(named, version);
        let strangers = self.strangers.iter().map(|index| &self.headings[*index]);
        let stranger = strangers.filter(|heading| claim::versions(&heading.text).iter().any(is_it));
        let lookalike =
            self.lookalikes.iter().find(|other| is_it(&other.version)).map(|other| other.span.clone());
        stranger.map(|heading| self.line_of(&heading.span)).chain(lookalike).min_by_key(|span| span.start)
    }

    /// A span without the line ends behind it.
    pub fn line_of(&self, span: &Span) -> Span {
        span.start..span.start + self.text[span.clone()].trim_end().len()
    }

    /// The blocks that begin in a range.
    pub fn blocks_in(&self, range: &Span) -> &[Block] {
        let from = self.blocks.partition_point(|block| block.span.start < range.start);
        let to = self.blocks.partition_point(|block| block.span.start < range.end);
        &self.blocks[from..to.max(from)]
    }

    /// The entries of a section: its list items and its paragraphs.
    pub fn entries(&self, section: &Section) -> impl Iterator<Item = &Block> {
        let is_entry = |block: &&Block| match block.kind {
            BlockKind::Item(_) => true,
            BlockKind::Paragraph => !self.is_anchor(block),
            _ => false,
        };
        self.blocks_in(&section.body).iter().filter(is_entry)
    }

    /// Whether a section says anything.
    pub fn is_empty(&self, section: &Section) -> bool {
        let says = |b: &Block| match b.kind {
            BlockKind::Item(_) | BlockKind::Code(_) | BlockKind::Other => true,
            BlockKind::Paragraph => !self.is_anchor(b),
            BlockKind::Html => !self.text[b.span.clone()].trim_start().starts_with("<!--"),
            BlockKind::Heading | BlockKind::Rule => false,
        };
        !self.blocks_in(&section.body).iter().any(says)
    }

    /// Whether it is nothing but `<a name="1.1.0"></a>`, which belongs to the heading below it.
    pub fn is_anchor(&self, block: &Block) -> bool {
        let source = self.text[block.span.clone()].trim();
        matches!(block.kind, BlockKind::Html | BlockKind::Paragraph)
            && source.starts_with("<a ")
            && source.ends_with("></a>")
            && source.matches('<').count() == 2
    }

    /// The definition that counts for a folded label.
    pub fn definition(&self, label: &str) -> Option<&Definition> {
        self.labels.get(label).map(|index| &self.definitions[*index])
    }

    /// The definition that a section's heading links by.
    pub fn defined(&self, section: &Section) -> Option<&Definition> {
        match &self.heading(section).link {
            Some(HeadingLink::Label(_, label)) => self.definition(label),
            _ => None,
        }
    }

    /// The address of a definition.
    pub fn url(&self, definition: &Definition) -> &'t str {
        &self.text[definition.url_at.clone()]
    }

    /// The section that a place lies in, its heading included.
    pub fn section_at(&self, offset: usize) -> Option<&Section> {
        let after = self.sections.partition_point(|section| self.heading(section).span.start <= offset);
        self.sections[..after].last().filter(|section| offset < section.body.end)
    }

    /// What stands above the first section.
    pub fn preamble(&self) -> Span {
        0..self.sections.first().map_or(self.text.len(), |section| self.heading(section).span.start)
    }

    /// Whether the preamble says that the file keeps to Keep a Changelog.
    pub fn declares_keep_a_changelog(&self) -> bool {
        let preamble = &self.text[self.preamble()];
        preamble.contains("keepachangelog") || preamble.contains("Keep a Changelog")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# Changelog

## [Unreleased]

## [1.2.0] - 2025-10-14
### Added
- Pay with [QRIS], see [#412]
- More

```md
## [9.9.9] - 2099-01-01
```

## v1.1.4 (2025-09-01) [YANKED]
Only words.

[QRIS]: https://qris.example
[#412]: https://git.example/412
[1.2.0]: https://git.example/compare/v1.1.4...v1.2.0
[qris]: https://void.example
";

    #[test]
    fn releases_are_found_with_their_places() {
        let log = parse(FILE);
        let found: Vec<_> = log.releases().map(|r| (r.name(), r.date.clone().map(|d| &FILE[d]))).collect();
        assert_eq!(found, [("1.2.0", Some("2025-10-14")), ("1.1.4", Some("2025-09-01"))]);
        assert_eq!(&FILE[log.at(&log.sections[1])], "1.2.0");
        assert_eq!(log.sections[0].kind, Kind::Unreleased);
        assert_eq!(log.entries(&log.sections[1]).count(), 2);
        assert_eq!(log.entries(&log.sections[2]).count(), 1);
        assert_eq!(log.sections[2].yanked.clone().map(|y| &FILE[y]), Some("YANKED"));
        assert!(log.strangers.is_empty() && log.is_empty(&log.sections[0]));
    }

    #[test]
    fn definitions_are_found_with_those_that_are_void() {
        let log = parse(FILE);
        let found: Vec<_> = log.definitions.iter().map(|d| (d.label.as_str(), log.url(d), d.void)).collect();
        assert_eq!(
            found,
            [
                ("qris", "https://qris.example", false),
                ("#412", "https://git.example/412", false),
                ("1.2.0", "https://git.example/compare/v1.1.4...v1.2.0", false),
                ("qris", "https://void.example", true),
            ]
        );
        assert_eq!(&FILE[log.definitions[3].label_at.clone()], "qris");
    }

    #[test]
    fn what_lies_between_a_mark_and_an_escape_is_still_placed() {
        let text = "\u{feff}## \\[1.2.0\\] - 2025-10-14\n- a\n";
        let log = parse(text);
        assert_eq!(&text[log.at(&log.sections[0])], "1.2.0");
        assert_eq!(log.sections[0].date.clone().map(|d| &text[d]), Some("2025-10-14"));
    }
}

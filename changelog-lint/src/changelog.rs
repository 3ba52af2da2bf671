//! The changelog as data: which releases stand where. Pure, on pulldown-cmark, so that a heading in a code block or a
//! comment is no heading; everything is a byte range of the text, so that a complaint can point at its place.

use std::collections::BTreeSet;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

/// Longer notes are cut in the document.
const NOTES_LIMIT: usize = 32 << 10;

/// A version's section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The version as it is written, without a leading `v`.
    pub version: String,
    /// The whole heading.
    pub heading: Range<usize>,
    /// The version in the heading.
    pub at: Range<usize>,
    /// What stands where a date belongs.
    pub date: Option<Range<usize>>,
    /// From behind the heading to the next release.
    pub body: Range<usize>,
    level: u8,
}

impl Release {
    /// The date as it is written.
    pub fn date<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.date.clone().map(|range| &text[range])
    }
}

/// A heading on the level of releases that is no version and not `Unreleased`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The whole heading.
    pub heading: Range<usize>,
}

/// The notes of one version.
pub struct Notes {
    /// Markdown.
    pub text: String,
    /// Whether they were cut at an entry.
    pub cut: bool,
}

/// A changelog.
#[derive(Debug)]
pub struct Changelog<'t> {
    text: &'t str,
    /// In the order of the file.
    pub releases: Vec<Release>,
    /// Headings among the releases that are not understood.
    pub strangers: Vec<Stranger>,
    entries: Vec<Range<usize>>,
    /// Definitions of links: label, place.
    definitions: Vec<(String, Range<usize>)>,
    /// Where labels are used: label, place.
    uses: Vec<(String, Range<usize>)>,
}

/// A heading before it is known what it means.
struct Heading {
    range: Range<usize>,
    level: u8,
    text: String,
}

/// Reads a changelog.
pub fn parse(text: &str) -> Changelog<'_> {
    // A byte order mark would hide a heading on the first line; one blank more does not move anything.
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let options = Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_TASKLISTS;
    let mut parser = Parser::new_ext(&text[start..], options).into_offset_iter();
    let mut reader = Reader::default();
    for (event, range) in parser.by_ref() {
        reader.read(&event, range.start + start..range.end + start);
    }
    let definitions = parser.reference_definitions().iter();
    let mut definitions: Vec<_> = definitions
        .map(|(label, def)| (label.to_lowercase(), def.span.start + start..def.span.end + start))
        .collect();
    definitions.sort_by_key(|(_, span)| span.start);
    let (releases, strangers) = sections(text, &reader.headings);
    Changelog { text, releases, strangers, entries: reader.entries, definitions, uses: reader.uses }
}

/// Collects what matters from the events of the parser.
#[derive(Default)]
struct Reader {
    headings: Vec<Heading>,
    entries: Vec<Range<usize>>,
    uses: Vec<(String, Range<usize>)>,
    in_heading: bool,
    /// Inside lists, quotes and other containers, where a heading opens no release.
    depth: usize,
}

impl Reader {
    fn read(&mut self, event: &Event, range: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) if self.depth == 0 => {
                self.in_heading = true;
                self.headings.push(Heading { range, level: *level as u8, text: String::new() });
            }
            Event::End(TagEnd::Heading(_)) => self.in_heading = false,
            Event::Start(Tag::List(_) | Tag::BlockQuote(_)) => self.depth += 1,
            Event::End(TagEnd::List(_) | TagEnd::BlockQuote(_)) => self.depth -= 1,
            Event::Start(Tag::Item) if self.depth == 1 => self.entries.push(range),
            Event::Start(Tag::Paragraph) if self.depth == 0 => self.entries.push(range),
            Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. }) => {
                let by_label =
                    matches!(link_type, LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut);
                if by_label && !self.in_heading {
                    self.uses.push((id.to_lowercase(), range));
                }
            }
            Event::Text(text) | Event::Code(text) if self.in_heading => {
                if let Some(heading) = self.headings.last_mut() {
                    heading.text.push_str(text);
                }
            }
            _ => {}
        }
    }
}

/// Tells releases from other headings, and where each ends.
fn sections(text: &str, headings: &[Heading]) -> (Vec<Release>, Vec<Stranger>) {
    let mut releases: Vec<Release> = Vec::new();
    let mut strangers = Vec::new();
    let titles: Vec<Option<Title>> = headings.iter().map(|h| title(&h.text)).collect();
    let level = headings.iter().zip(&titles).filter(|(_, t)| t.is_some()).map(|(h, _)| h.level).max();
    for (index, (heading, title)) in headings.iter().zip(&titles).enumerate() {
        let later = || headings.iter().zip(&titles).skip(index + 1);
        let ends = later().find(|(h, t)| t.is_some() || h.level <= heading.level);
        let end = ends.map_or(text.len(), |(h, _)| h.range.start);
        let at = |part: &str| {
            let found = text[heading.range.clone()].find(part).map(|at| heading.range.start + at);
            found.map_or(heading.range.clone(), |start| start..start + part.len())
        };
        match title {
            Some(Title::Version { version, date }) => releases.push(Release {
                version: version.clone(),
                heading: heading.range.clone(),
                at: at(version),
                date: date.as_deref().map(at),
                body: heading.range.end..end,
                level: heading.level,
            }),
            Some(Title::Unreleased) => {}
            // The title of the file stands above the releases and is none of them.
            None if Some(heading.level) <= level && !releases.is_empty() => {
                strangers.push(Stranger { heading: heading.range.clone() });
            }
            None => {}
        }
    }
    let deepest = releases.iter().map(|r| r.level).max();
    strangers.retain(|_| deepest.is_some());
    (releases, strangers)
}

/// What a heading says.
#[derive(Debug, PartialEq, Eq)]
enum Title {
    Unreleased,
    Version { version: String, date: Option<String> },
}

/// Understands `[1.2.0] - 2025-10-14`, `v1.2.0 (2025-10-14)`, `Version 1.2.0`, `1.2.0 – 14 Oct 2025 [YANKED]`, `[Unreleased]`.
fn title(text: &str) -> Option<Title> {
    let bare = text.trim().trim_matches(['[', ']']).to_ascii_lowercase();
    if bare == "unreleased" || bare.starts_with("unreleased]") || bare.starts_with("unreleased -") {
        return Some(Title::Unreleased);
    }
    let rest = ["version ", "release "]
        .iter()
        .find_map(|word| {
            text.get(..word.len()).filter(|t| t.eq_ignore_ascii_case(word)).map(|t| &text[t.len()..])
        })
        .unwrap_or(text);
    let rest = rest.trim_start_matches(['[', ' ']);
    let rest = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
    let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
    let (version, rest) = rest.split_at(end);
    let version = version.trim_end_matches('-');
    if !version.starts_with(|c: char| c.is_ascii_digit()) || !version.contains('.') {
        return None;
    }
    let date = rest.trim_matches(|c: char| c.is_whitespace() || "[]()-–—:,".contains(c));
    let date = date.strip_suffix("YANKED").unwrap_or(date);
    let date = date.trim_matches(|c: char| c.is_whitespace() || "[]()-–—:,".contains(c));
    Some(Title::Version { version: version.to_owned(), date: (!date.is_empty()).then(|| date.to_owned()) })
}

impl Changelog<'_> {
    /// The text.
    pub fn text(&self) -> &str {
        self.text
    }

    /// The entries of a release: its list items, or its paragraphs.
    pub fn entries(&self, release: &Release) -> impl Iterator<Item = &Range<usize>> {
        let body = release.body.clone();
        self.entries.iter().filter(move |e| body.contains(&e.start))
    }

    /// The notes for the document: at most 32 KiB, cut at an entry.
    pub fn notes(&self, release: &Release) -> Notes {
        let whole = self.whole_notes(release);
        if whole.len() <= NOTES_LIMIT {
            return Notes { text: whole, cut: false };
        }
        let starts = self.entries(release).map(|e| e.start);
        let fits = starts.take_while(|start| start - release.body.start <= NOTES_LIMIT).last();
        let end = fits.unwrap_or(release.body.start);
        Notes { text: self.text[release.body.start..end].trim().to_owned(), cut: true }
    }

    /// The notes of a release, with the definitions that they use and without those of others.
    pub fn whole_notes(&self, release: &Release) -> String {
        let body = &release.body;
        let used: BTreeSet<&str> = self
            .uses
            .iter()
            .filter(|(_, at)| body.contains(&at.start))
            .map(|(label, _)| label.as_str())
            .collect();
        let mut notes = String::new();
        let mut from = body.start;
        for (_, span) in self.definitions.iter().filter(|(_, span)| body.contains(&span.start)) {
            notes.push_str(&self.text[from..span.start]);
            from = span.end.min(body.end);
        }
        notes.push_str(&self.text[from..body.end]);
        let mut notes = notes.trim().replace("\r\n", "\n");
        let own: Vec<&str> = self
            .definitions
            .iter()
            .filter(|(label, _)| used.contains(label.as_str()))
            .map(|(_, span)| self.text[span.clone()].trim())
            .collect();
        if !own.is_empty() {
            notes.push_str("\n\n");
            notes.push_str(&own.join("\n"));
        }
        notes
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
";

    #[test]
    fn releases_are_found_with_their_places() {
        let log = parse(FILE);
        let found: Vec<_> = log.releases.iter().map(|r| (r.version.as_str(), r.date(FILE))).collect();
        assert_eq!(found, [("1.2.0", Some("2025-10-14")), ("1.1.4", Some("2025-09-01"))]);
        assert_eq!(&FILE[log.releases[0].at.clone()], "1.2.0");
        assert_eq!(log.entries(&log.releases[0]).count(), 2);
        assert_eq!(log.entries(&log.releases[1]).count(), 1);
        assert_eq!(log.strangers, []);
    }

    #[test]
    fn notes_carry_the_definitions_that_they_use_and_no_others() {
        let log = parse(FILE);
        let notes = log.whole_notes(&log.releases[0]);
        assert!(notes.starts_with("### Added\n- Pay with [QRIS]"), "{notes}");
        assert!(notes.ends_with("[QRIS]: https://qris.example\n[#412]: https://git.example/412"), "{notes}");
        assert_eq!(log.whole_notes(&log.releases[1]), "Only words.");
    }

    #[test]
    fn headings_are_understood_as_people_write_them() {
        let version = |v: &str, d: Option<&str>| {
            Some(Title::Version { version: v.to_owned(), date: d.map(str::to_owned) })
        };
        for (text, expected) in [
            ("[1.2.0] - 2025-10-14", version("1.2.0", Some("2025-10-14"))),
            ("1.2.0", version("1.2.0", None)),
            ("v1.2.0 (2025-10-14)", version("1.2.0", Some("2025-10-14"))),
            ("Version 1.2.0-rc1", version("1.2.0-rc1", None)),
            ("1.2.0 — 14 Oct 2025 [YANKED]", version("1.2.0", Some("14 Oct 2025"))),
            ("[Unreleased]", Some(Title::Unreleased)),
            ("UNRELEASED", Some(Title::Unreleased)),
            ("Changelog", None),
            ("2025", None),
        ] {
            assert_eq!(title(text), expected, "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_windows_lines_hide_nothing() {
        let text = "\u{feff}## [1.2.0] - 2025-10-14\r\n- One\r\n\r\n## [1.1.0]\r\n- Two\r\n";
        let log = parse(text);
        assert_eq!(log.releases.len(), 2);
        assert_eq!(&text[log.releases[0].at.clone()], "1.2.0");
        assert_eq!(log.whole_notes(&log.releases[0]), "- One");
    }

    #[test]
    fn long_notes_are_cut_at_an_entry() {
        let entry = format!("- {}\n", "x".repeat(1000));
        let text = format!("## [1.2.0] - 2025-10-14\n{}", entry.repeat(40));
        let log = parse(&text);
        let notes = log.notes(&log.releases[0]);
        assert!(notes.cut && notes.text.len() <= NOTES_LIMIT && notes.text.len() > NOTES_LIMIT - 2000);
        assert!(notes.text.ends_with('x'));
    }

    #[test]
    fn a_heading_among_the_releases_that_is_not_understood_is_kept() {
        let log = parse("# Changelog\n## [1.2.0]\n- a\n## Next big thing\n- b\n## [1.1.0]\n- c\n");
        assert_eq!(log.strangers.len(), 1);
        assert_eq!(log.whole_notes(&log.releases[0]), "- a");
    }
}

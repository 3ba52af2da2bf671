//! From Markdown to headings, blocks, definitions and labels: the only place that knows pulldown-cmark.

use std::cell::RefCell;
use std::collections::HashSet;

use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::changelog::{
    Block, BlockKind, Broken, Definition, Footnote, Heading, HeadingLink, Span, Use, folded,
};

/// What was read.
#[derive(Default)]
pub(crate) struct Read {
    pub headings: Vec<Heading>,
    pub blocks: Vec<Block>,
    pub definitions: Vec<Definition>,
    pub uses: Vec<Use>,
    pub broken: Vec<Broken>,
    pub comments: Vec<Span>,
    pub footnotes: Vec<Footnote>,
    pub footnote_uses: Vec<Use>,
    /// Code blocks, also within lists and quotes.
    pub code: Vec<Span>,
    /// Blocks of HTML, also within lists and quotes.
    pub html: Vec<Span>,
    /// Where the Markdown begins.
    pub start: usize,
}

/// Reads a text.
pub(crate) fn read(text: &str) -> Read {
    let start = content_start(text);
    let broken = RefCell::new(Vec::new());
    let note = |link: BrokenLink<'_>| {
        let full = matches!(link.link_type, LinkType::Reference | LinkType::ReferenceUnknown);
        let span = link.span.start + start..link.span.end + start;
        broken.borrow_mut().push(Broken { label: link.reference.to_string(), span, full });
        None
    };
    let options = Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let mut events =
        Parser::new_with_broken_link_callback(&text[start..], options, Some(note)).into_offset_iter();
    let mut reader = Reader { text, ..Reader::default() };
    for (event, range) in events.by_ref() {
        reader.event(&event, range.start + start..range.end + start);
    }
    let mut known: Vec<Span> = events
        .reference_definitions()
        .iter()
        .map(|(_, def)| def.span.start + start..def.span.end + start)
        .collect();
    known.sort_by_key(|span| span.start);
    drop(events);
    let mut read = reader.read;
    read.start = start;
    read.broken = broken.into_inner();
    read.definitions = definitions(text, start, &known, &reader.covered);
    read
}

/// Behind a byte order mark and front matter: neither is Markdown.
fn content_start(text: &str) -> usize {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let rest = &text[mark..];
    let mut lines = rest.split_inclusive('\n');
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return mark;
    }
    let mut at = mark + rest.find('\n').map_or(rest.len(), |end| end + 1);
    for (index, line) in lines.enumerate() {
        at += line.len();
        match line.trim_end() {
            "---" | "..." if index > 0 => return at,
            // Front matter begins with a key at once; a line across is followed by Markdown.
            first if index == 0 && !first.split_once(':').is_some_and(|(key, _)| is_key(key)) => return mark,
            _ => {}
        }
    }
    mark
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Collects what matters from the events of the parser.
#[derive(Default)]
struct Reader<'t> {
    text: &'t str,
    read: Read,
    /// Spans of outermost blocks: what lies between them is blank or a definition.
    covered: Vec<Span>,
    in_heading: bool,
    /// Inside lists, quotes and other containers, where a heading opens no release.
    depth: usize,
    numbered: bool,
}

impl Reader<'_> {
    fn event(&mut self, event: &Event, span: Span) {
        match event {
            Event::Start(tag) => self.start(tag, span),
            Event::End(TagEnd::Heading(_)) => self.in_heading = false,
            Event::End(
                TagEnd::List(_) | TagEnd::BlockQuote(_) | TagEnd::Table | TagEnd::FootnoteDefinition,
            ) => {
                self.depth -= 1;
            }
            Event::FootnoteReference(label) => {
                self.read.footnote_uses.push(Use { label: folded(label), span });
            }
            Event::Text(text) | Event::Code(text) if self.in_heading => {
                let inner =
                    if matches!(event, Event::Code(_)) { self.inside_code(&span, text) } else { span };
                self.piece(text, inner);
            }
            Event::SoftBreak | Event::HardBreak if self.in_heading => {
                if let Some(heading) = self.read.headings.last_mut() {
                    heading.text.push('\n');
                }
            }
            Event::Rule => self.block(BlockKind::Rule, span),
            Event::InlineHtml(html) if html.starts_with("<!--") => self.read.comments.push(span),
            // `1.3.0 - <date>`: what is still to be written.
            Event::InlineHtml(html) if self.in_heading && html.to_ascii_lowercase().contains("date") => {
                self.piece(html, span);
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag, span: Span) {
        match tag {
            Tag::Heading { level, .. } => self.heading(*level as u8, span),
            Tag::List(first) => {
                self.depth += 1;
                if self.depth == 1 {
                    self.numbered = first.is_some();
                }
            }
            Tag::BlockQuote(_) | Tag::Table(_) => {
                self.block(BlockKind::Other, span);
                self.depth += 1;
            }
            Tag::Item if self.depth == 1 => {
                // Not the list: the parser has it reach over definitions behind it.
                self.covered.push(span.clone());
                self.read.blocks.push(Block { kind: BlockKind::Item(self.numbered), span });
            }
            Tag::Paragraph => self.block(BlockKind::Paragraph, span),
            Tag::FootnoteDefinition(label) => {
                self.cover(&span);
                self.read.footnotes.push(Footnote { label: folded(label), span });
                self.depth += 1;
            }
            Tag::CodeBlock(kind) => {
                self.read.code.push(span.clone());
                self.block(BlockKind::Code(matches!(kind, CodeBlockKind::Fenced(_))), span);
            }
            Tag::HtmlBlock => self.html(span),
            Tag::Link { link_type, id, dest_url, .. } | Tag::Image { link_type, id, dest_url, .. } => {
                self.link(*link_type, id, dest_url, span);
            }
            _ => {}
        }
    }

    fn heading(&mut self, level: u8, span: Span) {
        if self.depth > 0 {
            return;
        }
        self.block(BlockKind::Heading, span.clone());
        self.in_heading = true;
        let heading = Heading { span, level, text: String::new(), pieces: Vec::new(), link: None };
        self.read.headings.push(heading);
    }

    /// A piece of a heading's text, and its place.
    fn piece(&mut self, text: &str, place: Span) {
        if let Some(heading) = self.read.headings.last_mut() {
            heading.pieces.push((heading.text.len(), place));
            heading.text.push_str(text);
        }
    }

    fn html(&mut self, span: Span) {
        self.read.comments.extend(comments(self.text, &span));
        self.read.html.push(span.clone());
        self.block(BlockKind::Html, span);
    }

    fn block(&mut self, kind: BlockKind, span: Span) {
        self.cover(&span);
        if self.depth == 0 {
            self.read.blocks.push(Block { kind, span });
        }
    }

    fn cover(&mut self, span: &Span) {
        if self.depth == 0 {
            self.covered.push(span.clone());
        }
    }

    fn link(&mut self, kind: LinkType, id: &str, url: &str, span: Span) {
        let by_label = matches!(kind, LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut);
        if by_label {
            self.read.uses.push(Use { label: folded(id), span: span.clone() });
        }
        let heading = self.read.headings.last_mut().filter(|h| self.in_heading && h.link.is_none());
        if let Some(heading) = heading {
            heading.link = match kind {
                LinkType::Inline => Some(HeadingLink::Inline(span, url.to_owned())),
                _ if by_label => Some(HeadingLink::Label(span, folded(id))),
                _ => None,
            };
        }
    }

    /// The place of a code span's text, without its backticks.
    fn inside_code(&self, span: &Span, text: &str) -> Span {
        let start = span.start + self.text[span.clone()].find(text).unwrap_or_default();
        start..(start + text.len()).min(span.end)
    }
}

/// The comments in a block of HTML; one that is never closed reaches to its end.
fn comments(text: &str, block: &Span) -> Vec<Span> {
    let mut found = Vec::new();
    let mut from = block.start;
    while let Some(open) = text[from..block.end].find("<!--").map(|at| from + at) {
        let end = text[open..block.end].find("-->").map_or(block.end, |length| open + length + 3);
        found.push(open..end);
        from = end;
    }
    found
}

/// All definitions. The parser names those that count; what else stands in the gaps between blocks is void.
fn definitions(text: &str, start: usize, known: &[Span], covered: &[Span]) -> Vec<Definition> {
    let mut found: Vec<Definition> =
        known.iter().filter_map(|span| definition(text, span.clone(), false)).collect();
    let labels: HashSet<String> = found.iter().map(|d| d.label.clone()).collect();
    let mut from = start;
    let gaps = covered.iter().cloned().chain(std::iter::once(text.len()..text.len()));
    let mut known = known.iter().peekable();
    for block in gaps {
        while from < block.start {
            while known.next_if(|span| span.end <= from).is_some() {}
            let line =
                from..from + text[from..block.start].find('\n').map_or(block.start - from, |at| at + 1);
            match known.peek() {
                Some(span) if span.start < line.end => from = span.end.max(line.end),
                _ => {
                    let void = definition(text, line.clone(), true).filter(|d| labels.contains(&d.label));
                    found.extend(void);
                    from = line.end;
                }
            }
        }
        from = from.max(block.end);
    }
    found.sort_by_key(|definition| definition.span.start);
    found
}

/// Takes a definition apart: `[label]: <address> "title"`.
fn definition(text: &str, span: Span, void: bool) -> Option<Definition> {
    let source = &text[span.clone()];
    let open = source.len() - source.trim_start().len();
    let inner = source[open..].strip_prefix('[')?;
    let close = label_end(inner)?;
    let after = inner[close..].strip_prefix("]:")?;
    let at = span.end - after.len();
    let url = after.trim_start();
    let url_start = at + after.len() - url.len();
    let (skip, length) = match url.strip_prefix('<') {
        Some(rest) => (1, rest.find('>')?),
        None => (0, url.find(char::is_whitespace).unwrap_or(url.len())),
    };
    let label_at = span.start + open + 1..span.start + open + 1 + close;
    let label = folded(&text[label_at.clone()]);
    let url_at = url_start + skip..url_start + skip + length;
    let end = span.start + source.trim_end().len();
    (!label.is_empty() && !url_at.is_empty()).then_some(Definition {
        label,
        label_at,
        url_at,
        span: span.start + open..end,
        void,
    })
}

/// Where a label ends: at the first bracket that is not escaped.
fn label_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() && at < 1000 {
        match bytes[at] {
            b'\\' => at += 2,
            b']' => return Some(at),
            b'[' => return None,
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_none_of_the_text_and_a_line_across_is() {
        for (text, start) in [
            ("---\ntitle: x\n---\n## 1.0.0\n", 17),
            ("---\n\n## 1.0.0\n---\n", 0),
            ("---\n## 1.0.0\n---\n", 0),
            ("\u{feff}# x", 3),
            ("---\ntitle: never closed\n", 0),
        ] {
            assert_eq!(content_start(text), start, "{text}");
        }
    }

    #[test]
    fn definitions_of_every_form_are_taken_apart() {
        let text = "[a]:\n  https://a.example\n  \"title\"\n[b]: <https://b.example>\n\n- x\n\n[A]: https://void.example\nwords [c]: d\n";
        let read = read(text);
        let found: Vec<_> = read.definitions.iter().map(|d| (&text[d.url_at.clone()], d.void)).collect();
        assert_eq!(
            found,
            [("https://a.example", false), ("https://b.example", false), ("https://void.example", true)]
        );
    }
}

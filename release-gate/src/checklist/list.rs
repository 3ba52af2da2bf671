//! QA's list as the team writes it, in Markdown: each item of a list is a check. Its name in the table stays while its text and its heading do;
//! one that must outlive both is written before the text as code: `` `checkout.card` Pay with a card``. Pure.

use std::collections::BTreeMap;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use step::plain_line;

/// The most items, and the longest name and text.
const ITEMS: usize = 1000;
const SLUG: usize = 200;
const TITLE: usize = 400;
/// What makes an item optional, at its end.
const OPTIONAL: &str = "(optional)";

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in the table.
    pub slug: String,
    /// What people read.
    pub title: String,
    pub required: bool,
}

/// Reads a list.
///
/// # Errors
/// A sentence with the line.
pub fn read(text: &str) -> Result<Vec<Item>, String> {
    let options =
        Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reader = Reader::new(text);
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        reader.event(&event, range.start)?;
    }
    if reader.items.is_empty() {
        return Err(
            "there is no list in it: each check is an item, such as `- [ ] Pay with a card`".to_owned()
        );
    }
    Ok(reader.items)
}

/// An item whose end has not come yet.
#[derive(Default)]
struct Open {
    line: usize,
    /// The code that it begins with.
    id: Option<String>,
    text: String,
    /// Its text is over: what comes now is more about it, or below it.
    is_read: bool,
    slug: String,
}

struct Reader<'t> {
    text: &'t str,
    /// Up to where lines were counted, and how many.
    counted: (usize, usize),
    heading: Option<String>,
    /// The heading that is being read.
    rising: Option<String>,
    open: Vec<Open>,
    items: Vec<Item>,
    /// Where each name was first.
    lines: BTreeMap<String, usize>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Reader {
            text,
            counted: (0, 1),
            heading: None,
            rising: None,
            open: Vec::new(),
            items: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    fn event(&mut self, event: &Event, at: usize) -> Result<(), String> {
        match event {
            Event::Start(Tag::Item) => {
                let line = self.line(at);
                self.open.push(Open { line, ..Open::default() });
            }
            Event::End(TagEnd::Item) => {
                self.close()?;
                self.open.pop();
            }
            Event::Start(Tag::Heading { .. }) if self.open.is_empty() => self.rising = Some(String::new()),
            Event::End(TagEnd::Heading(_)) if self.rising.is_some() => {
                self.heading = self.rising.take().map(|text| slugged(&text));
            }
            Event::End(TagEnd::Paragraph)
            | Event::Start(Tag::List(_) | Tag::CodeBlock(_) | Tag::BlockQuote(_)) => {
                self.close()?;
            }
            Event::Text(text) => self.take(text),
            Event::Code(code) => self.code(code),
            Event::SoftBreak | Event::HardBreak => self.take(" "),
            _ => {}
        }
        Ok(())
    }

    /// The line of a place; places come in their order.
    fn line(&mut self, at: usize) -> usize {
        let (from, line) = self.counted;
        let more = self.text.get(from..at).map_or(0, |text| text.matches('\n').count());
        self.counted = (at.max(from), line + more);
        self.counted.1
    }

    fn take(&mut self, text: &str) {
        match (&mut self.rising, self.open.last_mut()) {
            (Some(heading), _) => heading.push_str(text),
            (None, Some(open)) if !open.is_read => open.text.push_str(text),
            _ => {}
        }
    }

    fn code(&mut self, code: &str) {
        match self.open.last_mut() {
            Some(open)
                if self.rising.is_none()
                    && open.id.is_none()
                    && open.text.trim().is_empty()
                    && !open.is_read =>
            {
                open.id = Some(code.to_owned());
            }
            _ => self.take(code),
        }
    }

    /// The text of the innermost item is over.
    fn close(&mut self) -> Result<(), String> {
        let Some(open) = self.open.last() else { return Ok(()) };
        if open.is_read {
            return Ok(());
        }
        let line = open.line;
        let item = self.item(open).map_err(|why| format!("line {line}: {why}"))?;
        if let Some(first) = self.lines.insert(item.slug.clone(), line) {
            return Err(format!(
                "line {line}: `{}` is there already, in line {first}: give one of them a name of its own, as in \
                 - `checkout.card` Pay with a card",
                item.slug
            ));
        }
        if self.items.len() == ITEMS {
            return Err(format!("line {line}: there are more than {ITEMS} items"));
        }
        if let Some(open) = self.open.last_mut() {
            open.is_read = true;
            open.slug.clone_from(&item.slug);
        }
        self.items.push(item);
        Ok(())
    }

    fn item(&self, open: &Open) -> Result<Item, String> {
        let text = plain_line(&open.text).split_whitespace().collect::<Vec<_>>().join(" ");
        let (title, required) = required(&text);
        let title = if title.is_empty() { open.id.as_deref().unwrap_or_default() } else { title };
        let slug = match &open.id {
            Some(id) if is_name(id) => id.clone(),
            Some(id) => {
                let id = step::excerpt(&plain_line(id), 60);
                return Err(format!(
                    "`{id}` is no name of an item: it is made of small letters, digits, dots and dashes"
                ));
            }
            None => self.below(&slugged(title)),
        };
        match () {
            () if title.is_empty() => Err("the item has no text".to_owned()),
            () if slug.is_empty() || slug.ends_with('.') => {
                Err("the item has no letters: give it a name, as in - `checkout.card` ...".to_owned())
            }
            () if slug.len() > SLUG || title.len() > TITLE => {
                Err("the item is too long: shorten it, or give it a name, as in - `checkout.card` ..."
                    .to_owned())
            }
            () => Ok(Item { slug, title: title.to_owned(), required }),
        }
    }

    /// A name below the item around it, else below the heading.
    fn below(&self, name: &str) -> String {
        let around = self.open.iter().rev().nth(1).map(|open| open.slug.as_str());
        let above = around.or(self.heading.as_deref()).filter(|above| !above.is_empty());
        above.map_or_else(|| name.to_owned(), |above| format!("{above}.{name}"))
    }
}

/// The text without its end, and whether it is required.
fn required(text: &str) -> (&str, bool) {
    let cut = text.len().checked_sub(OPTIONAL.len()).filter(|at| text.is_char_boundary(*at));
    match cut.map(|at| text.split_at(at)) {
        Some((title, end)) if end.eq_ignore_ascii_case(OPTIONAL) => (title.trim_end(), false),
        _ => (text, true),
    }
}

fn is_name(id: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
    is_end(id.chars().next()) && is_end(id.chars().last()) && id.chars().all(usable)
}

/// Letters and digits as they are, small; all else between them is one dash.
fn slugged(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests;

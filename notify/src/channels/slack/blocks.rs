//! A message as Slack's rich text. In its own markup, mrkdwn, `*`, `_`, `~` and the backtick cannot be escaped: `*args*` in a changelog
//! would be bold and lose its signs. In rich text nothing that a person wrote is markup, a mention or a link.

use serde_json::{Map, Value, json};

use crate::message::Link;
use crate::message::html::{self, Token, attribute, tokens};

/// What people see where blocks are not shown: notifications, screen readers, and servers that only look like Slack. Those know no
/// `mrkdwn: false`, so a word joiner on both sides keeps each sign from being markup.
pub(super) fn fallback(part: &str, links: &[Link]) -> String {
    let links = links.iter().map(|link| format!("\n{}: {}", link.label, link.url));
    let mut out = String::new();
    for c in format!("{}{}", html::plain(part), links.collect::<String>()).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '*' | '_' | '~' | '`' => out.extend(['\u{2060}', c, '\u{2060}']),
            c => out.push(c),
        }
    }
    out
}

/// The one block that a part is.
pub(super) fn rich_text(part: &str, links: &[Link]) -> Value {
    let mut writer = Writer::default();
    for token in tokens(part) {
        match token {
            Token::Open(name, raw) => writer.open(&name, raw),
            Token::Close(name, _) => writer.close(&name),
            Token::Char(c, _) => writer.push(c),
        }
    }
    for (i, link) in links.iter().enumerate() {
        writer.separate(i == 0);
        writer.link(&link.url, &link.label);
    }
    json!({ "type": "rich_text", "elements": writer.finish() })
}

/// What the text is inside of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Section,
    Quote,
    Preformatted,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Place::Section => "rich_text_section",
            Place::Quote => "rich_text_quote",
            Place::Preformatted => "rich_text_preformatted",
        }
    }
}

#[derive(Default)]
struct Writer {
    done: Vec<Value>,
    place: Place,
    /// The elements of the place so far.
    elements: Vec<Value>,
    text: String,
    style: Map<String, Value>,
    /// An element whose text is being gathered: a link's address, or an instant's seconds.
    held: Option<Held>,
}

enum Held {
    Link(String),
    Instant(i64),
}

/// Slack's word for a style.
fn style(name: &str) -> Option<&'static str> {
    match name {
        "b" | "strong" => Some("bold"),
        "i" | "em" => Some("italic"),
        "s" | "strike" | "del" => Some("strike"),
        "u" | "ins" => Some("underline"),
        "code" => Some("code"),
        _ => None,
    }
}

impl Writer {
    fn open(&mut self, name: &str, raw: &str) {
        match name {
            "blockquote" if self.place == Place::Section => self.go(Place::Quote),
            "pre" => self.go(Place::Preformatted),
            "a" => self.hold(attribute(raw, "href").map(|href| Held::Link(html::plain(href)))),
            "tg-time" => {
                self.hold(attribute(raw, "unix").and_then(|unix| unix.parse().ok()).map(Held::Instant));
            }
            _ => self.restyle(name, true),
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "blockquote" | "pre" => self.go(Place::Section),
            "a" | "tg-time" => self.release(),
            _ => self.restyle(name, false),
        }
    }

    fn push(&mut self, c: char) {
        // The line end behind a quotation or a block is its own end.
        let fresh = self.elements.is_empty() && self.text.is_empty();
        if c == '\n' && fresh && self.place == Place::Section && !self.done.is_empty() {
            return;
        }
        // Two signs of mrkdwn in one run would be a pair to whoever turns blocks back into it, as exports and other servers do.
        if "*_~`".contains(c) && self.text.contains(['*', '_', '~', '`']) {
            self.run();
        }
        self.text.push(c);
    }

    fn restyle(&mut self, name: &str, on: bool) {
        let Some(style) = style(name).filter(|_| self.place != Place::Preformatted) else { return };
        self.run();
        if on {
            self.style.insert(style.to_owned(), json!(true));
        } else {
            self.style.remove(style);
        }
    }

    fn hold(&mut self, held: Option<Held>) {
        self.run();
        self.held = held;
    }

    fn release(&mut self) {
        let text = std::mem::take(&mut self.text);
        match self.held.take() {
            Some(Held::Link(url)) => self.link(&url, &text),
            Some(Held::Instant(unix)) => self.element(json!({
                "type": "date", "timestamp": unix, "format": "{date_short_pretty} {time}", "fallback": text
            })),
            None => {
                self.text = text;
                self.run();
            }
        }
    }

    fn link(&mut self, url: &str, text: &str) {
        self.element(json!({ "type": "link", "url": url, "text": text }));
    }

    /// In front of a link below the text.
    fn separate(&mut self, first: bool) {
        let line_end = if self.elements.is_empty() && self.text.is_empty() { "" } else { "\n" };
        self.text.push_str(if first { line_end } else { " · " });
        self.run();
    }

    /// The text so far is an element.
    fn run(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            self.element(json!({ "type": "text", "text": text }));
        }
    }

    fn element(&mut self, mut element: Value) {
        if !self.style.is_empty() {
            element["style"] = json!(self.style);
        }
        self.elements.push(element);
    }

    /// What comes now is inside of something else.
    fn go(&mut self, place: Place) {
        if place != Place::Section && self.text.ends_with('\n') {
            self.text.pop();
        }
        self.run();
        let elements = std::mem::take(&mut self.elements);
        if !elements.is_empty() {
            self.done.push(json!({ "type": self.place.word(), "elements": elements }));
        }
        self.place = place;
    }

    fn finish(mut self) -> Vec<Value> {
        self.go(Place::Section);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_rich_text() {
        let html = "<b>a &amp; b</b> <tg-time unix=\"7\" format=\"r\">then</tg-time>\n<blockquote expandable>• x\n• <code>y`z</code></blockquote>\n<pre>p <q></pre>\n<a href=\"https://a.example/?b&amp;c\">d</a> &lt;!channel&gt;";
        let text = |text: &str| json!({ "type": "text", "text": text });
        let styled =
            |text: &str, style: &str| json!({ "type": "text", "text": text, "style": { style: true } });
        let expected = json!({ "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [
                styled("a & b", "bold"), text(" "),
                { "type": "date", "timestamp": 7, "format": "{date_short_pretty} {time}", "fallback": "then" },
            ] },
            { "type": "rich_text_quote", "elements": [text("• x\n• "), styled("y`z", "code")] },
            { "type": "rich_text_preformatted", "elements": [text("p <q>")] },
            { "type": "rich_text_section", "elements": [
                { "type": "link", "url": "https://a.example/?b&c", "text": "d" }, text(" <!channel>\n"),
                { "type": "link", "url": "https://l.example/", "text": "Logs" }, text(" · "),
                { "type": "link", "url": "https://m.example/", "text": "M" },
            ] },
        ] });
        let link = |label: &str, url: &str| Link { label: label.into(), url: url.into() };
        let links = [link("Logs", "https://l.example/"), link("M", "https://m.example/")];
        assert_eq!(rich_text(html, &links), expected);
    }

    #[test]
    fn what_a_person_wrote_is_no_markup() {
        let wrote =
            "*args* _private_ ~old~ `x` <!channel> <@U1> @here #general https://a.example/_x_ :tada: &amp;";
        let html = crate::message::markup::text(wrote);
        let block = rich_text(&html, &[]);
        let elements = block["elements"][0]["elements"].as_array().expect("elements");
        let texts = elements.iter().map(|e| e["text"].as_str().expect("only text"));
        assert_eq!(texts.clone().collect::<String>().replace('\u{2060}', ""), wrote);
        assert!(elements.iter().all(|e| e["type"] == "text" && e.get("style").is_none()), "{block}");
        for run in texts {
            assert!(run.matches(['*', '_', '~', '`']).count() <= 1, "{run}");
        }
        let plain = fallback(&html, &[]);
        assert!(
            !plain.contains(['<', '>']) && plain.contains("\u{2060}*\u{2060}args\u{2060}*\u{2060}"),
            "{plain}"
        );
    }

    #[test]
    fn an_empty_part_has_no_empty_element() {
        assert_eq!(rich_text("", &[]), json!({ "type": "rich_text", "elements": [] }));
        assert_eq!(
            rich_text("<b></b>\n<blockquote></blockquote>x", &[])["elements"].as_array().map(Vec::len),
            Some(1)
        );
    }
}

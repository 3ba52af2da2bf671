//! Telegram's HTML, read by its own rules: what it would refuse, what a reader sees, and how long messages are divided so that
//! no part is cut inside a tag.

/// The elements that Telegram knows.
const TAGS: &[&str] = &[
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "tg-spoiler",
    "span",
    "a",
    "tg-emoji",
    "tg-time",
    "code",
    "pre",
    "blockquote",
];

/// A piece of HTML, with the text that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A start tag: its name, and the whole of it.
    Open(String, &'a str),
    /// An end tag.
    Close(String, &'a str),
    /// One character, perhaps written as a reference.
    Char(char, &'a str),
}

impl<'a> Token<'a> {
    fn raw(&self) -> &'a str {
        match self {
            Token::Open(_, raw) | Token::Close(_, raw) | Token::Char(_, raw) => raw,
        }
    }
}

/// Reads HTML. What is no tag that Telegram knows is text.
pub fn tokens(html: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = html;
    while let Some(first) = rest.chars().next() {
        let token = match first {
            '<' => tag(rest),
            '&' => Some(reference(rest)),
            _ => None,
        };
        let token = token.unwrap_or_else(|| Token::Char(first, &rest[..first.len_utf8()]));
        rest = &rest[token.raw().len()..];
        out.push(token);
    }
    out
}

fn tag(rest: &str) -> Option<Token<'_>> {
    let raw = &rest[..=rest.find('>')?];
    let inner = &raw[1..raw.len() - 1];
    let closing = inner.strip_prefix('/');
    let name =
        closing.unwrap_or(inner).split([' ', '\n', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    if !TAGS.contains(&name.as_str()) {
        return None;
    }
    Some(if closing.is_some() { Token::Close(name, raw) } else { Token::Open(name, raw) })
}

/// Telegram decodes four names and all numbers; any other `&` is a character like any other.
fn reference(rest: &str) -> Token<'_> {
    for (name, c) in [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')] {
        if rest.starts_with(name) {
            return Token::Char(c, &rest[..name.len()]);
        }
    }
    let number = rest.strip_prefix("&#").and_then(|r| r.split_once(';')).and_then(|(digits, _)| {
        let code = match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        Some(Token::Char(char::from_u32(code.ok()?)?, &rest[..digits.len() + 3]))
    });
    number.unwrap_or(Token::Char('&', &rest[..1]))
}

/// What Telegram would refuse: where (a byte offset) and why.
pub fn broken(html: &str) -> Option<(usize, String)> {
    let mut open: Vec<String> = Vec::new();
    let mut at = 0;
    for token in tokens(html) {
        let complaint = match &token {
            Token::Char('<', "<") => Some(format!("`{}` is no tag that Telegram knows", head(&html[at..]))),
            Token::Open(name, raw) => refused(name, raw, &open),
            Token::Close(name, _) => match open.pop() {
                Some(expected) if expected == *name => None,
                Some(expected) => Some(format!("</{name}> is where </{expected}> should be")),
                None => Some(format!("</{name}> ends nothing")),
            },
            Token::Char(..) => None,
        };
        if let Some(complaint) = complaint {
            return Some((at, complaint));
        }
        if let Token::Open(name, _) = &token {
            open.push(name.clone());
        }
        at += token.raw().len();
    }
    open.pop().map(|name| (html.len(), format!("<{name}> has no end")))
}

fn head(text: &str) -> String {
    text.chars().take(24).take_while(|c| *c != '\n').collect()
}

fn refused(name: &str, raw: &str, open: &[String]) -> Option<String> {
    match name {
        "blockquote" if open.iter().any(|o| o == name) => Some("blockquotes cannot be nested".to_owned()),
        "span" if attribute(raw, "class") != Some("tg-spoiler") => {
            Some("a span must have class=\"tg-spoiler\"".to_owned())
        }
        "tg-time" if attribute(raw, "unix").is_none_or(|t| t.parse::<i64>().is_err()) => {
            Some("a tg-time must have unix=\"seconds\"".to_owned())
        }
        _ => None,
    }
}

/// The value of an attribute of a start tag.
pub fn attribute<'a>(raw: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = raw.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// What a reader sees.
pub fn plain(html: &str) -> String {
    let see = |t: Token| if let Token::Char(c, _) = t { Some(c) } else { None };
    tokens(html).into_iter().filter_map(see).collect()
}

/// The length that Telegram's limit of 4096 is about, on the safe side: UTF-16 units of what a reader sees.
pub fn length(html: &str) -> usize {
    plain(html).chars().map(char::len_utf16).sum()
}

/// Divides HTML into parts of at most `limit` units: at the end of a line if there is one far enough, else between words, else
/// between characters. Elements are ended at the cut and begun again, with their attributes, in the next part.
pub fn split(html: &str, limit: usize) -> Vec<String> {
    let tokens = tokens(html);
    let mut parts = Vec::new();
    let mut open: Vec<(String, &str)> = Vec::new();
    let mut start = 0;
    loop {
        let (end, next) = reach(&tokens, start, limit);
        let mut part: String = open.iter().map(|(_, raw)| *raw).collect();
        for token in &tokens[start..end] {
            part.push_str(token.raw());
            match token {
                Token::Open(name, raw) => open.push((name.clone(), raw)),
                Token::Close(..) => drop(open.pop()),
                Token::Char(..) => {}
            }
        }
        part.extend(open.iter().rev().map(|(name, _)| format!("</{name}>")));
        parts.push(part);
        if next == tokens.len() {
            return parts;
        }
        start = next;
    }
}

/// Where the part that begins at `start` ends, and where the next one begins.
fn reach(tokens: &[Token], start: usize, limit: usize) -> (usize, usize) {
    let (mut length, mut line, mut word) = (0, None, None);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let Token::Char(c, _) = token else { continue };
        length += c.len_utf16();
        if length > limit {
            let cut = line.or(word).unwrap_or(at);
            let mut end = cut;
            while end > start && matches!(tokens[end - 1], Token::Char('\n', _)) {
                end -= 1;
            }
            return (end, begin(tokens, cut));
        }
        // A short line at the beginning is no place to cut: the part would be a stump.
        match c {
            '\n' if length > limit / 10 => line = Some(at),
            ' ' if length > limit / 10 => word = Some(at + 1),
            _ => {}
        }
    }
    (tokens.len(), tokens.len())
}

/// Line ends at the seam are not seen; what has no more text in it is no part.
fn begin(tokens: &[Token], end: usize) -> usize {
    let mut next = end;
    while let Some(Token::Char('\n', _)) = tokens.get(next) {
        next += 1;
    }
    let more = tokens[next..].iter().any(|t| matches!(t, Token::Char(c, _) if !c.is_whitespace()));
    if more { next } else { tokens.len() }
}

/// Another kind of chat's way to write the same.
pub struct Dialect {
    /// What stands around an element's text.
    pub around: fn(&str) -> &'static str,
    /// What stands before each line of a quotation.
    pub quote: &'static str,
    /// A character, and whether it stands in code.
    pub escape: fn(char, bool) -> String,
    /// A link.
    pub link: fn(&str, &str) -> String,
    /// An instant: Unix seconds, Telegram's format, its text.
    pub time: fn(&str, &str, &str) -> String,
}

/// HTML in that dialect.
pub fn translate(html: &str, dialect: &Dialect) -> String {
    let mut out = String::new();
    // What a link or an instant encloses is gathered until its end.
    let mut held: Option<(&str, usize)> = None;
    let (mut quoted, mut code) = (false, 0_usize);
    for token in tokens(html) {
        match token {
            Token::Open(name, raw) => match name.as_str() {
                "a" | "tg-time" => held = Some((raw, out.len())),
                "blockquote" => quoted = true,
                name => {
                    code += usize::from(matches!(name, "code" | "pre"));
                    out.push_str((dialect.around)(name));
                }
            },
            Token::Close(name, _) => match name.as_str() {
                "a" | "tg-time" => {
                    if let Some((raw, from)) = held.take() {
                        let inner = out.split_off(from.min(out.len()));
                        out.push_str(&enclosed(raw, &inner, dialect));
                    }
                }
                "blockquote" => quoted = false,
                name => {
                    out.push_str((dialect.around)(name));
                    code = code.saturating_sub(usize::from(matches!(name, "code" | "pre")));
                }
            },
            Token::Char(c, _) => {
                if quoted && code == 0 && (out.is_empty() || out.ends_with('\n')) {
                    out.push_str(dialect.quote);
                }
                out.push_str(&(dialect.escape)(c, code > 0));
            }
        }
    }
    out
}

fn enclosed(raw: &str, inner: &str, dialect: &Dialect) -> String {
    match (attribute(raw, "href"), attribute(raw, "unix")) {
        (Some(href), _) => (dialect.link)(&plain(href), inner),
        (_, Some(unix)) => (dialect.time)(unix, attribute(raw, "format").unwrap_or_default(), inner),
        _ => inner.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_text() {
        let html = "<b>a &lt; b</b> <tg-time unix=\"1\" format=\"r\">now</tg-time> &amp;lt; &#x27;&#65; &nbsp; 1 < 2";
        assert_eq!(plain(html), "a < b now &lt; 'A &nbsp; 1 < 2");
        assert_eq!(length("<b>✅ 🚨</b>"), 4);
    }

    #[test]
    fn what_telegram_would_refuse_is_found() {
        assert_eq!(
            broken(
                "<b>x</b> <a href=\"https://a.example\">y</a> &amp; > <blockquote expandable>z</blockquote>"
            ),
            None
        );
        for (html, at, why) in [
            ("ab <p>x</p>", 3, "`<p>x</p>` is no tag"),
            ("<b><i>x</b></i>", 7, "</b> is where </i> should be"),
            ("x</b>", 1, "ends nothing"),
            ("<b>x", 4, "<b> has no end"),
            ("a < b", 2, "is no tag"),
            ("<blockquote><blockquote>x</blockquote></blockquote>", 12, "cannot be nested"),
            ("<span>x</span>", 0, "tg-spoiler"),
            ("<tg-time>x</tg-time>", 0, "unix"),
        ] {
            let found = broken(html).expect(html);
            assert!(found.0 == at && found.1.contains(why), "{html}: {found:?}");
        }
    }

    /// Whatever is divided is valid in every part and complete.
    fn divided(html: &str, limit: usize) -> Vec<String> {
        let parts = split(html, limit);
        for part in &parts {
            assert_eq!(broken(part), None, "{part}");
            assert!(length(part) <= limit);
        }
        let seen = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(parts.iter().map(|p| seen(&plain(p))).collect::<String>(), seen(&plain(html)));
        parts
    }

    #[test]
    fn long_messages_are_divided_between_lines() {
        let body: String = (1..=400).map(|n| format!("<b>line</b> {n} of many\n")).collect();
        assert_eq!(length(&body) / 4096, 1);
        let parts = divided(&body, 4096);
        assert_eq!(parts.len(), 2);
        assert!(parts[1].starts_with("<b>line</b> "), "{}", &parts[1][..40]);
        assert_eq!(divided(&format!("<pre>{}</pre>", "x".repeat(9000)), 4096).len(), 3);
        let nested = format!("<blockquote expandable><b>{}</b></blockquote>", "🚨 né ".repeat(1200));
        assert_eq!(divided(&nested, 4096).len(), 2);
        assert!(divided(&nested, 4096)[1].starts_with("<blockquote expandable><b>"));
        assert_eq!(divided("a\n\n\nb", 3), ["a", "b"]);
        assert_eq!(divided("<b>abcd</b>\n", 4), ["<b>abcd</b>"]);
        assert_eq!(divided("&lt;&lt;&lt;", 2), ["&lt;&lt;", "&lt;"]);
        assert_eq!(divided("", 9), [""]);
    }
}

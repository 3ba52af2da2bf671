//! What stands around the words of a line: hashes, bullets, bold, tags, and the Markdown within.

/// What stands around the words of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dress {
    /// `#`, `=`, or a tag of HTML that makes a heading.
    pub hash: bool,
    /// Bold, emphasised, or between lines of its own.
    pub bold: bool,
    /// A bullet or a number.
    pub item: bool,
    /// `>`.
    pub quoted: bool,
    /// `|`.
    pub row: bool,
    /// A bullet that is none to Markdown: `•`, a dash.
    pub dot: bool,
    /// A code span.
    pub code: bool,
}

/// Takes off what stands around the words, again and again: quotes, bullets, cells, hashes, tags, bold.
pub(super) fn undressed(line: &str) -> (Dress, &str) {
    let mut dress = Dress::default();
    let mut rest = line;
    while let Some(inner) = quote(rest, &mut dress)
        .or_else(|| cell(rest, &mut dress))
        .or_else(|| hashes(rest, &mut dress))
        .or_else(|| bullet(rest, &mut dress))
        .or_else(|| tag(rest, &mut dress))
    {
        rest = inner.trim();
    }
    let bold = ["**", "__", "*", "_"].iter().any(|mark| {
        rest.strip_prefix(mark)
            .is_some_and(|inner| inner.contains(mark) && !inner.starts_with(char::is_whitespace))
    });
    dress.bold |= bold || is_framed(rest);
    // A table needs no sign at its edge.
    dress.row |= !dress.hash && rest.contains('|');
    dress.code = rest.trim_start_matches(['*', '_']).starts_with('`');
    (dress, rest)
}

fn quote<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.strip_prefix('>')?;
    dress.quoted = true;
    Some(inner)
}

fn cell<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.strip_prefix('|')?;
    dress.row = true;
    Some(inner.split('|').next().unwrap_or(inner))
}

/// `## 1.3.0 ##`, `##1.3.0`, `== 1.3.0 ==`, `h2. 1.3.0`.
fn hashes<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.trim_start_matches('#');
    if inner.len() < text.len() {
        dress.hash = true;
        return Some(inner.trim_end_matches('#'));
    }
    let inner = text.trim_start_matches('=');
    // AsciiDoc writes them in front only.
    if inner.len() < text.len() && (inner.trim_end().ends_with('=') || inner.starts_with(' ')) {
        dress.hash = true;
        return Some(inner.trim_end_matches('='));
    }
    let inner = text.trim_end_matches('#');
    if inner.len() < text.len() && inner.ends_with(' ') {
        dress.hash = true;
        return Some(inner);
    }
    let textile = text
        .strip_prefix(['h', 'H'])?
        .strip_prefix(|c: char| ('1'..='6').contains(&c))?
        .strip_prefix(". ")?;
    dress.hash = true;
    Some(textile)
}

/// `- `, `1. `, `1) `.
fn bullet<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let after = if digits > 0 && digits < 4 && !dress.hash {
        text[digits..].strip_prefix(['.', ')'])
    } else {
        text.strip_prefix(['-', '*', '+', '•', '◦', '–', '—'])
    };
    let inner = after.filter(|rest| rest.starts_with(' ') && !rest.trim().is_empty())?;
    // `--- 1.3.0 ---` and `- 1.3.0 -` are framed. Other bullets make a list to nobody but the reader.
    let dot = text.starts_with(['•', '◦', '–', '—']);
    dress.dot |= dot;
    dress.item |= !dot;
    Some(
        ["[ ] ", "[x] ", "[X] "]
            .iter()
            .find_map(|mark| inner.trim_start().strip_prefix(mark))
            .unwrap_or(inner),
    )
}

/// `<h2>1.3.0</h2>`, `<b>1.3.0</b>`, `<summary>1.3.0</summary>`.
fn tag<'t>(text: &'t str, dress: &mut Dress) -> Option<&'t str> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>')?;
    let name: String =
        inner[..end].chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    dress.hash |= matches!(name.as_str(), "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
    dress.bold |= matches!(name.as_str(), "b" | "strong" | "summary" | "dt" | "big" | "u" | "em" | "i");
    Some(&inner[end + 1..])
}

/// `--- 1.3.0 ---`, `*** 1.3.0 ***`, `~~ 1.3.0 ~~`.
fn is_framed(text: &str) -> bool {
    let Some(sign) = text.chars().next().filter(|c| "-*~_+".contains(*c)) else { return false };
    let inner = text.trim_matches(sign);
    let ends = text.len() - text.trim_start_matches(sign).len() >= 2
        && text.len() - text.trim_end_matches(sign).len() >= 2;
    ends && inner.starts_with(' ') && inner.ends_with(' ')
}

/// Whether words begin as a requirement does (`~1.3.0`, `^1.3.0`, `>=1.3.0`), or as a term's definition (`: 1.3.0`).
pub(super) fn is_operator(words: &str) -> bool {
    let glued = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit() || c == 'v');
    words.starts_with(": ")
        || ["~", "^", "=", ">=", "<=", "~>", "<"]
            .iter()
            .any(|sign| words.strip_prefix(sign).is_some_and(glued))
}

/// The words without the Markdown and the HTML in them: no images, of links what is seen of them.
pub(super) fn bare(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '!' if rest.starts_with("![") => link_end(&rest[1..]).map(|(_, end)| end + 1),
            '<' => tag_end(rest),
            '*' | '`' => Some(1),
            '_' | '~' if rest[1..].starts_with(c) => Some(2),
            _ => None,
        };
        let link = if c == '[' { link_end(rest) } else { None };
        rest = match (skipped, link) {
            (Some(length), _) => &rest[length..],
            (None, Some((inside, end))) => {
                result.push('[');
                result.push_str(&bare(&rest[1..inside]));
                result.push(']');
                &rest[end..]
            }
            (None, None) => {
                result.push(c);
                &rest[c.len_utf8()..]
            }
        };
    }
    result
}

/// The length of a tag that begins here.
fn tag_end(text: &str) -> Option<usize> {
    let end = text.find('>')?;
    text[1..end].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/').then_some(end + 1)
}

/// Whether the first link is one to a heading or to another file: `(#130)`, `(docs/1.3.0.md)`, `href="x.md#1.3.0"`.
pub(super) fn leads_away(text: &str) -> bool {
    let inline = text.find("](").map(|at| &text[at + 2..]);
    let target =
        inline.or_else(|| text.find("href=").map(|at| text[at + 5..].trim_start_matches(['"', '\''])));
    target.is_some_and(|target| {
        let end = target.find([')', '"', '\'', ' ', '>']).unwrap_or(target.len());
        !target[..end].contains("://") || target[..end].contains('#')
    })
}

/// Where the text of a link that begins here ends, and the whole of it with its address or its label.
fn link_end(text: &str) -> Option<(usize, usize)> {
    let mut depth = 0_usize;
    let close = text.char_indices().find_map(|(at, c)| {
        depth += usize::from(c == '[');
        if c == ']' {
            depth = depth.saturating_sub(1);
        }
        (depth == 0).then_some(at)
    })?;
    let after = &text[close + 1..];
    let behind = match after.chars().next() {
        Some('(') => after.find(')').map_or(0, |end| end + 1),
        Some('[') => after.find(']').map_or(0, |end| end + 1),
        _ => 0,
    };
    Some((close, close + 1 + behind))
}

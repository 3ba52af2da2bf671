//! Telegram's HTML mode, as strict as the real parser: what it refuses is refused here, with the byte offset.

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

/// The text that readers see, or Telegram's complaint.
pub fn plain(html: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut open: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(first) = html[at..].chars().next() {
        match first {
            '<' if html[at..].starts_with("</") => at = end_tag(html, at, &mut open)?,
            '<' => at = start_tag(html, at, &mut open)?,
            '&' => {
                let (decoded, next) = entity(html, at);
                text.push_str(&decoded);
                at = next;
            }
            _ => {
                text.push(first);
                at += first.len_utf8();
            }
        }
    }
    match open.pop() {
        Some(tag) => complain(&format!("Can't find end tag corresponding to start tag \"{tag}\"")),
        None => Ok(text),
    }
}

fn complain<T>(what: &str) -> Result<T, String> {
    Err(format!("can't parse entities: {what}"))
}

fn end_tag(html: &str, at: usize, open: &mut Vec<String>) -> Result<usize, String> {
    let Some(length) = html[at..].find('>') else {
        return complain(&format!("Unclosed end tag at byte offset {at}"));
    };
    let name = html[at + 2..at + length].trim().to_ascii_lowercase();
    match open.pop() {
        Some(expected) if expected == name => Ok(at + length + 1),
        Some(expected) => complain(&format!(
            "Unmatched end tag at byte offset {at}, expected \"</{expected}>\", found \"</{name}>\""
        )),
        None => complain(&format!("Unexpected end tag at byte offset {at}")),
    }
}

/// A name, then attributes: `name="value"`, `name='value'`, `name=value`, or a name alone.
fn start_tag(html: &str, at: usize, open: &mut Vec<String>) -> Result<usize, String> {
    let rest = &html[at + 1..];
    let Some(length) = rest.find(|c: char| c == '>' || c.is_ascii_whitespace()) else {
        return complain(&format!("Unclosed start tag at byte offset {at}"));
    };
    let name = rest[..length].to_ascii_lowercase();
    if !TAGS.contains(&name.as_str()) {
        return complain(&format!("Unsupported start tag \"{name}\" at byte offset {at}"));
    }
    let (attributes, next) = attributes(html, at + 1 + length, &name, at)?;
    let value = |wanted: &str| attributes.iter().find(|(n, _)| n == wanted).map(|(_, v)| v.as_str());
    if name == "span" && value("class") != Some("tg-spoiler") {
        return complain(&format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}"));
    }
    if name == "tg-time" && value("unix").is_none_or(|v| v.parse::<i64>().is_err()) {
        return complain(&format!(
            "Tag \"tg-time\" must have a valid attribute \"unix\" at byte offset {at}"
        ));
    }
    if name == "blockquote" && open.contains(&name) {
        return complain(&format!("Blockquote entities can't be nested at byte offset {at}"));
    }
    open.push(name);
    Ok(next)
}

/// The attributes from `at` on, and where the tag ends.
fn attributes(
    html: &str,
    mut at: usize,
    tag: &str,
    start: usize,
) -> Result<(Vec<(String, String)>, usize), String> {
    let unclosed = || format!("can't parse entities: Unclosed start tag \"{tag}\" at byte offset {start}");
    let mut found = Vec::new();
    loop {
        at += html[at..].find(|c: char| !c.is_ascii_whitespace()).ok_or_else(unclosed)?;
        if html[at..].starts_with('>') {
            return Ok((found, at + 1));
        }
        let length = html[at..]
            .find(|c: char| c == '=' || c == '>' || c.is_ascii_whitespace())
            .ok_or_else(unclosed)?;
        if length == 0 {
            return complain(&format!("Empty attribute name in the tag \"{tag}\" at byte offset {start}"));
        }
        let name = html[at..at + length].to_ascii_lowercase();
        at += length;
        let Some(rest) = html[at..].strip_prefix('=') else {
            found.push((name, String::new()));
            continue;
        };
        at += 1;
        let (value, length) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let end = rest[1..].find(quote).ok_or_else(unclosed)?;
                (&rest[1..=end], end + 2)
            }
            _ => {
                let end = rest.find(|c: char| c == '>' || c.is_ascii_whitespace()).ok_or_else(unclosed)?;
                (&rest[..end], end)
            }
        };
        found.push((name, value.to_owned()));
        at += length;
    }
}

/// Only these four names and numbers are decoded; a bare `&` stays.
fn entity(html: &str, at: usize) -> (String, usize) {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("&quot;", "\"")];
    if let Some((name, text)) = known.iter().find(|(name, _)| html[at..].starts_with(name)) {
        return ((*text).to_owned(), at + name.len());
    }
    let number = html[at..].strip_prefix("&#").and_then(|rest| rest.split_once(';'));
    let decoded = number.and_then(|(digits, _)| {
        let code = match digits.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        };
        Some((char::from_u32(code?)?.to_string(), at + 2 + digits.len() + 1))
    });
    decoded.unwrap_or(("&".to_owned(), at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telegram_refuses_is_refused() {
        assert_eq!(plain("<b>a &lt; b &amp; c</b>&nbsp;&#39;"), Ok("a < b & c&nbsp;'".into()));
        let good = "<blockquote expandable>a <tg-time unix=\"7\" format='r'>b</tg-time></blockquote> <a href=\"https://x.example/?a>b\">c</a>";
        assert_eq!(plain(good), Ok("a b c".into()));
        for (html, complaint) in [
            ("Vec<String>", "Unsupported start tag \"string\" at byte offset 3"),
            ("a <b", "Unclosed start tag at byte offset 2"),
            ("a < b", "Unsupported start tag \"\" at byte offset 2"),
            ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
            ("<b><i>x</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("<p>x</p>", "Unsupported start tag \"p\" at byte offset 0"),
            ("<br>", "Unsupported start tag \"br\" at byte offset 0"),
            ("<!-- x -->", "Unsupported start tag \"!--\" at byte offset 0"),
            ("<span>x</span>", "tg-spoiler"),
            ("<a href=\"x>y</a>", "Unclosed start tag \"a\" at byte offset 0"),
            ("<b =x>y</b>", "Empty attribute name"),
            ("<tg-time unix=\"soon\">x</tg-time>", "unix"),
            ("<blockquote><blockquote>x</blockquote></blockquote>", "can't be nested"),
        ] {
            let said = plain(html).expect_err(html);
            assert!(said.starts_with("can't parse entities: ") && said.contains(complaint), "{html}: {said}");
        }
    }
}

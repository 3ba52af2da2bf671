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
pub(crate) fn plain(html: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut open: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(first) = html[at..].chars().next() {
        match first {
            '<' => {
                let (tag, next) = tag(html, at)?;
                element(&tag, at, &mut open)?;
                at = next;
            }
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
        Some(tag) => {
            Err(format!("can't parse entities: Can't find end tag corresponding to start tag \"{tag}\""))
        }
        None => Ok(text),
    }
}

fn tag(html: &str, at: usize) -> Result<(String, usize), String> {
    let end = html[at..]
        .find('>')
        .ok_or(format!("can't parse entities: Unclosed start tag at byte offset {at}"))?;
    Ok((html[at + 1..at + end].to_ascii_lowercase(), at + end + 1))
}

fn element(tag: &str, at: usize, open: &mut Vec<String>) -> Result<(), String> {
    if let Some(name) = tag.strip_prefix('/') {
        return match open.pop() {
            Some(expected) if expected == name.trim() => Ok(()),
            Some(expected) => Err(format!(
                "can't parse entities: Unmatched end tag at byte offset {at}, expected \"</{expected}>\", found \"</{name}>\""
            )),
            None => Err(format!("can't parse entities: Unexpected end tag at byte offset {at}")),
        };
    }
    let name = tag.split([' ', '\n', '\t']).next().unwrap_or_default();
    if !TAGS.contains(&name) || (name == "span" && !tag.contains("class=\"tg-spoiler\"")) {
        return Err(format!("can't parse entities: Unsupported start tag \"{name}\" at byte offset {at}"));
    }
    if name == "blockquote" && open.iter().any(|o| o == "blockquote") {
        return Err(format!("can't parse entities: blockquote entities can't be nested at byte offset {at}"));
    }
    open.push(name.to_owned());
    Ok(())
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
        for html in ["Vec<String>", "a < b", "<b>x", "<b><i>x</b></i>", "x</b>", "<p>x</p>", "<br>"] {
            assert!(plain(html).is_err(), "{html}");
        }
    }
}

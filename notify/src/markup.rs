//! Telegram's HTML: the few tags that a message needs, and text made harmless for it.

/// Text between tags: nothing in it is a tag, a mention or a control character.
pub fn text(text: &str) -> String {
    // A word joiner after the @ keeps people whose name is in a changelog from being called.
    code(text).replace('@', "@\u{2060}")
}

/// Text inside `<code>` and `<pre>`, where nothing is a mention.
pub fn code(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    };
    bare(text).chars().map(escape).collect()
}

/// Without terminal colours and other control characters.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                // `ESC [` parameters, up to a letter.
                if chars.clone().next() == Some('[') {
                    chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
                }
            }
            '\t' => out.push(' '),
            c if c.is_control() && c != '\n' => {}
            c => out.push(c),
        }
    }
    out
}

/// A word that Telegram finds as a hashtag.
pub fn hashtag(word: &str) -> String {
    let word: String = word.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("#{word}")
}

/// What a reader sees of our HTML.
pub fn plain(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// The length that Telegram's limit of 4096 is about, on the safe side: UTF-16 units of what a reader sees.
pub fn length(html: &str) -> usize {
    plain(html).encode_utf16().count()
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
        assert_eq!(code("\u{1b}[31mred\u{1b}[0m\tand\r\nplain\u{7}"), "red and\nplain");
        assert_eq!(hashtag("aceh-commerce"), "#aceh_commerce");
    }

    #[test]
    fn a_reader_sees_the_text() {
        assert_eq!(
            plain("<b>a &lt; b</b> <tg-time unix=\"1\" format=\"r\">now</tg-time> &amp;lt;"),
            "a < b now &lt;"
        );
        assert_eq!(length("<b>✅ 🚨</b>"), 4);
    }
}

//! Tags and attributes as the HTML standard finds them: any case, any quotes or none, entities read; nothing inside comments, scripts
//! or other attributes is one.

use html5gum::{Token, Tokenizer};

type StartTag = html5gum::StartTag<()>;

/// The value of the first attribute of this name (in whatever tag).
#[must_use]
pub fn attribute(html: &str, name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    tags(html).find_map(|tag| value(&tag, &name))
}

/// The addresses of all scripts, style sheets and preloads that the page's tags name, as they are written, each once.
#[must_use]
pub fn links(html: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let named = tags(html).filter_map(|tag| match tag.name.as_slice() {
        b"script" => value(&tag, "src"),
        b"link" => value(&tag, "href"),
        _ => None,
    });
    for link in named.filter(|link| !link.is_empty()) {
        if !found.contains(&link) {
            found.push(link);
        }
    }
    found
}

/// The text of all scripts in the page, one after the other.
#[must_use]
pub fn scripts(html: &str) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for token in tokens(html) {
        match token {
            Token::StartTag(tag) => inside = tag.name.as_slice() == b"script",
            Token::EndTag(_) => {
                inside = false;
                text.push('\n');
            }
            // One script may come in several parts.
            Token::String(part) if inside => text.push_str(&String::from_utf8_lossy(&part)),
            _ => {}
        }
    }
    text
}

fn tokens(html: &str) -> impl Iterator<Item = Token> + '_ {
    let mut emitter = html5gum::DefaultEmitter::default();
    // Else what looks like a tag inside of a script would be one.
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).map_while(Result::ok)
}

fn tags(html: &str) -> impl Iterator<Item = StartTag> + '_ {
    tokens(html).filter_map(|token| match token {
        Token::StartTag(tag) => Some(tag),
        _ => None,
    })
}

fn value(tag: &StartTag, name: &str) -> Option<String> {
    let value = tag.attributes.iter().find(|(known, _)| known.as_slice() == name.as_bytes())?.1;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_as_html_allows_it() {
        for page in [
            r#"<html data-build="1.2.0">"#,
            "<html data-build='1.2.0'>",
            "<html data-build=1.2.0>",
            "<HTML\n DATA-BUILD = \"1.2.0\" >",
            r#"<!-- <html data-build="old"> --><html lang="id" data-build="1&#46;2.0">"#,
            r#"<script>var a = '<p data-build="old">'</script><body data-build="1.2.0">"#,
            r#"<p title=' data-build="old"'></p><p data-build="1.2.0"><p data-build="later">"#,
            r#"<textarea><p data-build="old"></textarea><p x-data-build="old" data-build="1.2.0">"#,
        ] {
            assert_eq!(attribute(page, "data-build").as_deref(), Some("1.2.0"), "{page}");
        }
        assert_eq!(attribute("<!-- <p data-build=1> -->", "data-build"), None);
        assert_eq!(attribute("", "data-build"), None);
    }

    #[test]
    fn files_are_those_that_tags_name() {
        let page = r#"<link rel=preload href="/a.css"><script src='/shop/_next/static/x.js?v=1&amp;b=2'></script>
            <script>"/_next/static/none.js"</script><!-- <script src="/no.js"></script> --><script src="/a.css"></script>"#;
        assert_eq!(links(page), ["/a.css", "/shop/_next/static/x.js?v=1&b=2"]);
        assert_eq!(scripts(page).trim(), r#""/_next/static/none.js""#);
    }
}

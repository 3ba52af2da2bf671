//! What of a page is another one each time although nothing has changed: nonces, times. The setting `normalise` has patterns in which
//! `*` is any text up to what follows it. Pure.

/// A body without what the patterns match: the text between their fixed parts is dropped.
pub fn normal(body: &str, patterns: &[String]) -> String {
    patterns.iter().fold(body.to_owned(), |body, pattern| without(&body, pattern))
}

fn without(body: &str, pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split('*').collect();
    let (mut text, mut rest) = (String::with_capacity(body.len()), body);
    while let Some((start, length)) = find(rest, &parts) {
        text.push_str(&rest[..start]);
        text.push('*');
        rest = &rest[start + length..];
    }
    text + rest
}

/// The first place of a pattern, and how long it is there.
fn find(text: &str, parts: &[&str]) -> Option<(usize, usize)> {
    let first = parts.first().filter(|first| !first.is_empty())?;
    let start = text.find(first)?;
    let mut end = start + first.len();
    for part in &parts[1..] {
        end += text[end..].find(part)? + part.len();
    }
    Some((start, end - start))
}

/// Why a pattern is none.
pub fn wrong(pattern: &str) -> Option<&'static str> {
    match () {
        () if pattern.starts_with('*') => Some("it must begin with a text, not with `*`"),
        () if pattern.ends_with('*') => Some("it must end with a text, not with `*`"),
        () if pattern.is_empty() => Some("it is empty"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_by_itself_is_dropped_and_nothing_else() {
        let patterns = ["nonce=\"*\"".to_owned(), "<!-- made at * -->".to_owned()];
        let page = |nonce: &str, time: &str, price: &str| {
            format!(
                "<script nonce=\"{nonce}\">1</script><!-- made at {time} --><b>{price}</b><i nonce=\"{nonce}\">"
            )
        };
        let (a, b) = (page("x", "12:00", "10"), page("yy", "13:00", "10"));
        assert_eq!(normal(&a, &patterns), normal(&b, &patterns));
        assert_ne!(normal(&a, &patterns), normal(&page("x", "12:00", "20"), &patterns));
        assert_eq!(normal("nonce=\"open", &patterns), "nonce=\"open");
        assert!(wrong("*").is_some() && wrong("a*").is_some() && wrong("a*b").is_none());
    }
}

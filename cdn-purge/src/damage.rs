//! What a right page may still lack: the chunks that its HTML names. Old HTML beside new files (or the other way round) is a
//! page that opens and then breaks. Pure.

/// Every hashed file of Next.js that a document names, each once, as it is written there.
pub fn chunks(html: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let ends = |c: char| c.is_whitespace() || "\"'\\<>()`,;".contains(c);
    for (at, _) in html.match_indices("/_next/static/") {
        let rest = &html[at..];
        let chunk = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if !found.contains(&chunk) {
            found.push(chunk);
        }
    }
    found
}

/// What is wrong with a chunk that was answered like this.
pub fn broken(status: u16, kind: &str) -> Option<String> {
    match status {
        200 if kind.starts_with("text/html") => Some("is answered with a page".to_owned()),
        200 => None,
        _ => Some(format!("is answered with HTTP {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_found_in_tags_and_in_the_flight_payload() {
        let html = include_str!("../tests/fixtures/home-dpl1.html");
        let found = chunks(html);
        assert_eq!(found.len(), 8, "{found:?}");
        assert!(found.contains(&"/_next/static/chunks/3qfy96eoyh-ek.js?dpl=dpl-aaa"));
        assert!(found.iter().all(|chunk| chunk.ends_with(".js?dpl=dpl-aaa")), "{found:?}");
    }

    #[test]
    fn a_page_in_place_of_a_script_is_broken() {
        assert_eq!(broken(200, "application/javascript; charset=UTF-8"), None);
        assert!(broken(200, "text/html; charset=utf-8").is_some());
        assert!(broken(404, "text/plain").is_some());
    }
}

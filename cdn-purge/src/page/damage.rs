//! What a right page may still lack: the chunks that its tags name. Old HTML beside new files (or the other way round) is a page that
//! opens and then breaks. Pure.

use url::Url;

/// Every hashed file of Next.js that a page's tags name, each once, wherever `basePath` or `assetPrefix` have put it.
pub fn chunks(html: &str, page: &Url) -> Vec<Url> {
    let hashed = |link: &String| link.contains("/_next/static/");
    let whole = |link: String| page.join(&link).ok().filter(|url| url.scheme().starts_with("http"));
    web_page::links(html).into_iter().filter(hashed).filter_map(whole).collect()
}

/// What a chunk is that was answered like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    There,
    /// It is a page, or says so: a browser may run it all the same.
    Odd,
    /// Why it is not there.
    Missing(String),
}

/// Judges an answer by its status and media type.
pub fn chunk(status: u16, kind: &str) -> Chunk {
    match status {
        200 if kind.starts_with("text/html") => Chunk::Odd,
        200 => Chunk::There,
        _ => Chunk::Missing(format!("is answered with HTTP {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_those_that_tags_name() {
        let html = include_str!("../../tests/fixtures/home-dpl1.html");
        let page = Url::parse("https://shop.example/sale").expect("a page");
        let found = chunks(html, &page);
        assert!(found.len() >= 5, "{found:?}");
        let known = "https://shop.example/_next/static/chunks/3qfy96eoyh-ek.js?dpl=dpl-aaa";
        assert!(found.iter().any(|chunk| chunk.as_str() == known), "{found:?}");
        assert!(found.iter().all(|chunk| chunk.as_str().ends_with(".js?dpl=dpl-aaa")), "{found:?}");
    }

    #[test]
    fn a_base_path_and_a_prefix_on_another_host_are_the_pages_own_words() {
        let page = Url::parse("https://shop.example/shop/sale").expect("a page");
        let html = r#"<script src="/shop/_next/static/x.js"></script><script src="https://cdn.example/a/_next/static/y.js"></script>
            <script>"/_next/static/only-said.js"</script>"#;
        let found: Vec<String> = chunks(html, &page).into_iter().map(String::from).collect();
        assert_eq!(
            found,
            ["https://shop.example/shop/_next/static/x.js", "https://cdn.example/a/_next/static/y.js"]
        );
    }

    #[test]
    fn a_page_in_place_of_a_script_is_odd() {
        assert_eq!(chunk(200, "application/javascript; charset=UTF-8"), Chunk::There);
        assert_eq!(chunk(200, "text/html; charset=utf-8"), Chunk::Odd);
        assert!(matches!(chunk(404, "text/plain"), Chunk::Missing(_)));
    }
}

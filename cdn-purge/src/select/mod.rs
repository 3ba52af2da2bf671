//! What can be purged, and how people write it: pages, prefixes, hosts, tags. Pure. Everything but a tag lies on a host of the
//! environment: an edge says yes to a purge of a host that it does not have, and does nothing.

pub mod gather;
pub mod list;
pub mod remaining;
pub mod source;

use step::Failure;
use url::Url;

/// The kinds of selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Url,
    Prefix,
    Host,
    Tag,
    Everything,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Url, Kind::Prefix, Kind::Host, Kind::Tag, Kind::Everything];

    /// The word for it, in settings, files and messages.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Url => "page",
            Kind::Prefix => "prefix",
            Kind::Host => "host",
            Kind::Tag => "tag",
            Kind::Everything => "everything",
        }
    }

    /// So many of them, for people.
    pub fn counted(self, n: u64) -> String {
        let plural = match self {
            Kind::Prefix => "prefixes".to_owned(),
            kind => format!("{}s", kind.word()),
        };
        match (self, n) {
            (Kind::Everything, _) => "everything".to_owned(),
            (_, 1) => format!("1 {}", self.word()),
            _ => format!("{n} {plural}"),
        }
    }
}

/// Reads one selector, in the form in which it is purged.
///
/// # Errors
/// `usage` (`url`, `prefix`, `host`, `tag`), or `refused`, `host-mismatch`.
pub fn read(kind: Kind, text: &str, hosts: &[String]) -> Result<String, Failure> {
    match kind {
        Kind::Url => url(text, hosts).map(String::from),
        Kind::Prefix => prefix(text, hosts),
        Kind::Host => named_host(text, hosts),
        Kind::Tag => tag(text),
        Kind::Everything => Ok("everything".to_owned()),
    }
}

/// One line of a file: a page's address, or the kind's word and what it is.
pub fn line(text: &str) -> (Kind, &str) {
    let word = text.split_once(' ').map(|(word, rest)| (word, rest.trim()));
    let named = word.and_then(|(word, rest)| {
        [Kind::Prefix, Kind::Host, Kind::Tag].into_iter().find(|k| k.word() == word).map(|k| (k, rest))
    });
    named.unwrap_or((Kind::Url, text))
}

/// A page, on a host of ours, as a browser asks for it.
pub fn url(text: &str, hosts: &[String]) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::usage("url", format!("`{}` is no page: {why}", short(text)));
    let mut url = Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err(wrong("a page begins with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::usage("url", "a page's address must not hold a user or password"));
    }
    if text.contains('*') || text.to_ascii_lowercase().contains("%2a") {
        let why = "vendors read `*` as many pages; use --prefix (or `prefix URL` in a file) for all below an address";
        return Err(wrong(why));
    }
    // It never reaches a server.
    url.set_fragment(None);
    let own = host(&url);
    if hosts.contains(&own) { Ok(url) } else { Err(foreign(text, hosts)) }
}

fn prefix(text: &str, hosts: &[String]) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::usage("prefix", format!("`{}` is no prefix: {why}", short(text)));
    if text.contains('*') {
        return Err(wrong("write it without the `*`"));
    }
    let url = url(text, hosts)?;
    if url.query().is_some() {
        return Err(wrong("it must not have a query"));
    }
    Ok(url.into())
}

fn named_host(text: &str, hosts: &[String]) -> Result<String, Failure> {
    let lower = text.to_ascii_lowercase();
    if hosts.contains(&lower) { Ok(lower) } else { Err(foreign(text, hosts)) }
}

/// A surrogate key: what every vendor takes is visible ASCII without a comma, at most 256 bytes.
fn tag(text: &str) -> Result<String, Failure> {
    if !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
        return Ok(text.to_owned());
    }
    let message =
        format!("`{}` is no tag: 1 to 256 visible ASCII characters, no comma, no space", short(text));
    Err(Failure::usage("tag", message))
}

fn foreign(text: &str, hosts: &[String]) -> Failure {
    let message = format!(
        "{} is not on a host of this environment's public_urls ({}): is it another environment's?",
        short(text),
        hosts.join(", ")
    );
    Failure::refused("host-mismatch", message)
}

fn short(text: &str) -> String {
    if text.chars().count() <= 200 {
        text.to_owned()
    } else {
        text.chars().take(199).chain(['…']).collect()
    }
}

/// The hosts of the environment's pages, each once.
pub fn hosts(public: &[String]) -> Vec<String> {
    let mut hosts: Vec<String> =
        public.iter().filter_map(|url| Url::parse(url).ok()).map(|url| host(&url)).collect();
    hosts.dedup();
    hosts
}

/// A page's host with its port, as a browser sends it.
pub fn host(page: &Url) -> String {
    let name = page.host_str().unwrap_or_default();
    page.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// A page's path with its query.
pub fn path(page: &Url) -> &str {
    let text = &page[url::Position::BeforePath..url::Position::AfterQuery];
    if text.is_empty() { "/" } else { text }
}

/// The same page at another address.
pub fn at(base: &Url, page: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), page.path()));
    url.set_query(page.query());
    url
}

/// Whether a purge of this selector takes a page with it, as far as that can be told from the outside.
pub fn covers(kind: Kind, item: &str, page: &Url) -> bool {
    match kind {
        Kind::Url => page.as_str() == item,
        Kind::Prefix => page.as_str().starts_with(item),
        Kind::Host => host(page) == item,
        Kind::Tag | Kind::Everything => true,
    }
}

/// The hosts of pages, for people.
pub fn hosts_of(pages: &[Url]) -> String {
    let mut hosts: Vec<String> = pages.iter().map(host).collect();
    hosts.dedup();
    match hosts.len() {
        0..=5 => hosts.join(", "),
        many => format!("{} and {} more hosts", hosts[..3].join(", "), many - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<String> {
        hosts(&["https://shop.example/".into(), "https://shop.example/sale".into()])
    }

    #[test]
    fn what_people_write_is_read_as_it_is_purged() {
        let read = |kind, text: &str| read(kind, text, &ours()).map_err(|f| f.reason.clone());
        let table = [
            (Kind::Url, "https://SHOP.example", Ok("https://shop.example/")),
            (Kind::Url, "https://shop.example/a b?c=ä#top", Ok("https://shop.example/a%20b?c=%C3%A4")),
            (Kind::Url, "https://shop.example:8443/", Err("host-mismatch")),
            (Kind::Url, "https://other.example/", Err("host-mismatch")),
            (Kind::Url, "/sale", Err("url")),
            (Kind::Url, "https://shop.example/*", Err("url")),
            (Kind::Url, "https://shop.example/a*b?c", Err("url")),
            (Kind::Url, "https://shop.example/%2A", Err("url")),
            (Kind::Url, "ftp://shop.example/", Err("url")),
            (Kind::Url, "https://u:p@shop.example/", Err("url")),
            (Kind::Prefix, "https://shop.example/blog/", Ok("https://shop.example/blog/")),
            (Kind::Prefix, "https://shop.example/blog/*", Err("prefix")),
            (Kind::Prefix, "https://shop.example/?a=b", Err("prefix")),
            (Kind::Host, "Shop.Example", Ok("shop.example")),
            (Kind::Host, "other.example", Err("host-mismatch")),
            (Kind::Tag, "sku-2", Ok("sku-2")),
            (Kind::Tag, "a,b", Err("tag")),
            (Kind::Tag, "", Err("tag")),
        ];
        for (kind, text, wanted) in table {
            let wanted = wanted.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(read(kind, text), wanted, "{kind:?} {text}");
        }
    }

    #[test]
    fn a_line_is_a_page_or_says_what_it_is() {
        assert_eq!(line("https://shop.example/a b"), (Kind::Url, "https://shop.example/a b"));
        assert_eq!(line("tag sku-2"), (Kind::Tag, "sku-2"));
        assert_eq!(line("prefix https://shop.example/b/"), (Kind::Prefix, "https://shop.example/b/"));
        assert_eq!(line("everything"), (Kind::Url, "everything"), "a file never means everything");
    }

    #[test]
    fn a_page_is_asked_for_at_another_address() {
        let page = Url::parse("https://shop.example/sale?size=L").expect("a URL");
        let base = Url::parse("http://10.0.0.5:3000/").expect("a URL");
        assert_eq!(at(&base, &page).as_str(), "http://10.0.0.5:3000/sale?size=L");
        assert_eq!((host(&page), path(&page)), ("shop.example".into(), "/sale?size=L"));
    }

    #[test]
    fn a_prefix_covers_what_lies_below_it() {
        let page = Url::parse("https://shop.example/blog/a").expect("a URL");
        assert!(covers(Kind::Prefix, "https://shop.example/blog/", &page));
        assert!(!covers(Kind::Prefix, "https://shop.example/product/", &page));
        assert!(covers(Kind::Host, "shop.example", &page) && !covers(Kind::Host, "b.example", &page));
    }
}

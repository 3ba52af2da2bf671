//! Which pages, whether they have to be purged, and what they prove. Pure.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Build, Failure};
use url::Url;

/// `Age` is in whole seconds, and clocks differ a little.
const SLACK: Duration = Duration::from_secs(2);

/// A page at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// What it says its build is.
    pub build: Option<String>,
    /// Since when the edge has had this copy, if it says.
    pub cached_at: Option<Timestamp>,
    /// The edge's own word on where it came from (HIT, MISS), as it is.
    pub verdict: Option<String>,
    /// Why no answer came.
    pub problem: Option<String>,
}

impl Seen {
    /// No answer.
    pub fn silent(why: String) -> Self {
        Seen { problem: Some(why), ..Seen::default() }
    }

    /// Whether it is the wanted build in a copy that is not older than `since`; no evidence is no.
    pub fn proves(&self, wanted: &Build, since: Option<Timestamp>) -> bool {
        let old = |(cached, since): (Timestamp, Timestamp)| cached + SLACK < since;
        let too_old = self.cached_at.zip(since).is_some_and(old);
        self.status == Some(200) && self.build.as_deref().is_some_and(|b| wanted.is(b)) && !too_old
    }

    /// For the record.
    pub fn to_value(&self) -> Value {
        let mut value = json!({});
        let age = self
            .cached_at
            .map(|at| Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default().as_secs());
        let fields = [
            ("status", json!(self.status)),
            ("build", json!(self.build)),
            ("age", json!(age)),
            ("verdict", json!(self.verdict)),
            ("problem", json!(self.problem)),
        ];
        for (key, field) in fields.into_iter().filter(|(_, v)| !v.is_null()) {
            value[key] = field;
        }
        value
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.build) {
            (None, _) => {
                write!(f, "does not answer: {}", self.problem.as_deref().unwrap_or("no reason is known"))
            }
            (Some(200), Some(build)) => write!(f, "serves {build}"),
            (Some(200), None) => f.write_str("does not say which build it is"),
            (Some(status), _) => write!(f, "answers with HTTP {status}"),
        }
    }
}

/// Why a page that was purged is not what it should be.
pub fn unproven(seen: &Seen) -> &'static str {
    match seen.status {
        None => "edge-silent",
        Some(200) => "edge-stale",
        Some(_) => "edge-broken",
    }
}

/// The pages, parsed: of the command line, else of the document, else of the environment. Each lies on a public host: an edge says
/// yes to a purge of a host that it does not have, and does nothing.
pub fn pages(given: &[String], fact: Option<Vec<String>>, public: &[String]) -> Result<Vec<Url>, Failure> {
    let chosen = match (given.is_empty(), fact) {
        (false, _) => given.to_vec(),
        (true, Some(fact)) if !fact.is_empty() => fact,
        _ => public.to_vec(),
    };
    if chosen.is_empty() {
        let message = "no page to purge: name one, or set public_urls in [environment.X]";
        return Err(Failure::config("missing-setting", message));
    }
    let hosts: Vec<String> =
        public.iter().filter_map(|url| Url::parse(url).ok()).map(|url| host(&url)).collect();
    let mut pages: Vec<Url> = Vec::new();
    for text in &chosen {
        let page = page(text)?;
        if !hosts.contains(&host(&page)) {
            let message = format!(
                "{text} is not on a host of this environment's public_urls ({}): is it another environment's?",
                hosts.join(", ")
            );
            return Err(Failure::refused("host-mismatch", message));
        }
        if !pages.contains(&page) {
            pages.push(page);
        }
    }
    Ok(pages)
}

fn page(text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::usage("url", format!("`{text}` is no page: {why}"));
    let mut url = Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Err(wrong("a page begins with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::usage("url", "a page's address must not hold a user or password"));
    }
    // It never reaches a server.
    url.set_fragment(None);
    Ok(url)
}

/// A page's host with its port, as a browser sends it.
pub fn host(page: &Url) -> String {
    let name = page.host_str().unwrap_or_default();
    page.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// A page's path with its query.
pub fn path(page: &Url) -> String {
    page.query().map_or_else(|| page.path().to_owned(), |query| format!("{}?{query}", page.path()))
}

/// The same page at another address.
pub fn at(base: &Url, page: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{}", base.path().trim_end_matches('/'), page.path()));
    url.set_query(page.query());
    url
}

/// A text as a regular expression that matches nothing else.
pub fn escaped(text: &str) -> String {
    let special = |c: char| r"\^$.|?*+()[]{}".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn pages_come_from_the_nearest_place_and_lie_on_our_hosts() {
        let public =
            strings(&["https://shop.example/", "https://shop.example/sale", "https://shop.example/#top"]);
        let chosen = |given: &[&str], fact: Option<Vec<String>>| {
            pages(&strings(given), fact, &public)
                .map(|pages| pages.iter().map(Url::to_string).collect::<Vec<_>>())
                .map_err(|f| f.reason)
        };
        assert_eq!(chosen(&[], None), Ok(strings(&["https://shop.example/", "https://shop.example/sale"])));
        assert_eq!(
            chosen(&[], Some(strings(&["https://shop.example/a?b=c"]))),
            Ok(strings(&["https://shop.example/a?b=c"]))
        );
        assert_eq!(
            chosen(&["https://SHOP.example"], Some(strings(&["https://shop.example/x"]))),
            Ok(strings(&["https://shop.example/"]))
        );
        assert_eq!(chosen(&["https://other.example/"], None), Err("host-mismatch".into()));
        assert_eq!(chosen(&["https://shop.example:8443/"], None), Err("host-mismatch".into()));
        for wrong in ["/sale", "ftp://shop.example/", "shop.example/sale", "https://u:p@shop.example/"] {
            assert_eq!(chosen(&[wrong], None), Err("url".into()), "{wrong}");
        }
        assert_eq!(pages(&[], None, &[]).expect_err("none").reason, "missing-setting");
    }

    #[test]
    fn a_page_is_asked_for_at_another_address() {
        let page = Url::parse("https://shop.example/sale?size=L").expect("a URL");
        let base = Url::parse("http://10.0.0.5:3000/").expect("a URL");
        assert_eq!(at(&base, &page).as_str(), "http://10.0.0.5:3000/sale?size=L");
        assert_eq!((host(&page), path(&page)), ("shop.example".into(), "/sale?size=L".into()));
        assert_eq!(escaped("/sale?size=L."), r"/sale\?size=L\.");
    }

    #[test]
    fn only_the_wanted_build_in_a_young_copy_is_proof() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let wanted = Build { version: Some("1.2.0".into()), ..Build::default() };
        let seen = |status, build: Option<&str>, cached: Option<&str>| Seen {
            status,
            build: build.map(str::to_owned),
            cached_at: cached.map(at),
            ..Seen::default()
        };
        let since = Some(at("2026-11-24T12:00:00Z"));
        assert!(seen(Some(200), Some("1.2.0"), None).proves(&wanted, since));
        assert!(seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:59Z")).proves(&wanted, since));
        assert!(
            !seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:00Z")).proves(&wanted, since),
            "an old copy"
        );
        assert!(seen(Some(200), Some("1.2.0"), Some("2026-11-24T11:59:00Z")).proves(&wanted, None));
        assert!(!seen(Some(200), Some("1.1.4"), None).proves(&wanted, None));
        assert!(!seen(Some(200), None, None).proves(&wanted, None));
        assert!(!seen(Some(500), Some("1.2.0"), None).proves(&wanted, None));
        assert!(!Seen::silent("refused".into()).proves(&wanted, None));
        assert_eq!(unproven(&seen(Some(500), None, None)), "edge-broken");
    }
}

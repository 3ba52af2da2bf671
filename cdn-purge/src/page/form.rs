//! The forms of one address that an edge may keep apart: what browsers accept, languages, React's wire format. Two are always asked
//! for; the others because the answer's `Vary` names their header, or the settings do. Pure.

use std::collections::BTreeMap;

use step::{Failure, Settings};

/// What browsers of today accept, and older ones, and those that are told nothing by TLS.
const BROWSERS: [&str; 5] = [web_page::BROWSER, "gzip, deflate, br", "gzip, deflate", "gzip", "br"];
/// The state of a router that has nothing yet, in the form in which Next.js sends it.
const EMPTY_TREE: &str = "%5B%22%22%2C%7B%7D%2Cnull%2Cnull%2Ctrue%5D";

/// A form of a page: what its request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// For records and messages.
    pub name: String,
    pub headers: Vec<(String, String)>,
    /// Whether it is answered in React's wire format.
    pub wire: bool,
    /// Whether its content is that of the plain page, only packed in another way.
    pub same: bool,
    /// Whether a page may have no such form.
    pub optional: bool,
}

impl Form {
    fn of(name: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Form { name: name.to_owned(), headers, wire: false, same: false, optional: false }
    }

    fn packed(encoding: &str) -> Self {
        let name = if encoding == web_page::BROWSER { "browser" } else { encoding };
        Form { same: true, ..Form::of(name, &[("Accept-Encoding", encoding)]) }
    }

    fn wire(name: &str, headers: &[(&str, &str)]) -> Self {
        let rsc = [&[("RSC", "1")], headers].concat();
        Form { wire: true, optional: !headers.is_empty(), ..Form::of(name, &rsc) }
    }

    /// The page without any wish: what tools and old proxies ask for.
    pub fn plain() -> Self {
        Form { same: true, ..Form::of("plain", &[]) }
    }

    /// As a person's browser asks.
    pub fn browser() -> Self {
        Form::packed(web_page::BROWSER)
    }

    /// With a value that nobody else sends, so that an edge that keeps copies apart by this header makes one for us alone.
    pub fn own(header: &str, unique: &str) -> Self {
        let value = match header {
            "accept-encoding" => format!("{}, x-{unique};q=0.1", web_page::BROWSER),
            _ => unique.to_owned(),
        };
        let browser = ("Accept-Encoding", web_page::BROWSER);
        match header {
            "accept-encoding" => Form::of("own", &[(header, &value)]),
            _ => Form::of("own", &[browser, (header, &value)]),
        }
    }

    pub fn is_plain(&self) -> bool {
        self.headers.is_empty()
    }
}

/// Which forms are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The setting `variants`.
    always: Vec<Form>,
    /// The table `vary`: a header's name in lower case, and the values that matter.
    values: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    /// The settings `variants` and `vary.*`.
    ///
    /// # Errors
    /// `config`, `setting`: an unknown word.
    pub fn read(settings: &Settings) -> Result<Self, Failure> {
        let mut wanted = Wanted::default();
        for word in settings.list::<String>("variants")? {
            let form = match word.as_str() {
                "gzip" | "br" | "zstd" | "deflate" => Form::packed(&word),
                "rsc" => Form::wire("rsc", &[]),
                _ => {
                    let known = "gzip, deflate, br, zstd and rsc are";
                    return Err(settings.wrong("variants", &format!("`{word}` is not known; {known}")));
                }
            };
            wanted.always.push(form);
        }
        for name in settings.names("vary") {
            let values = settings.list(&format!("vary.{}", Settings::part(&name)))?;
            wanted.values.insert(name.to_ascii_lowercase(), values);
        }
        Ok(wanted)
    }

    /// The forms of a page whose answers have named these headers in `Vary`; the plain one first, each once.
    pub fn forms(&self, vary: &[String]) -> Vec<Form> {
        let mut forms = vec![Form::plain(), Form::browser()];
        let named = self.values.keys().filter(|name| !vary.contains(name));
        let more = self.always.iter().cloned();
        let more = more.chain(vary.iter().chain(named).filter_map(|name| self.values_of(name)).flatten());
        for form in more {
            if !forms.iter().any(|known| known.headers == form.headers) {
                forms.push(form);
            }
        }
        forms
    }

    /// The forms that a header makes; `None` when nobody knows which of its values matter.
    pub fn values_of(&self, header: &str) -> Option<Vec<Form>> {
        if let Some(values) = self.values.get(header) {
            let form = |value: &String| {
                let headers = [("Accept-Encoding", web_page::BROWSER), (header, value.as_str())];
                Form::of(&format!("{header}: {value}"), &headers)
            };
            return Some(values.iter().map(form).collect());
        }
        let prefetch = ("Next-Router-Prefetch", "1");
        let segment = ("Next-Router-Segment-Prefetch", "/_tree");
        match header {
            "accept-encoding" => Some(BROWSERS.map(Form::packed).into()),
            "rsc" => Some(vec![Form::wire("rsc", &[])]),
            "next-router-prefetch" => Some(vec![Form::wire("rsc-prefetch", &[prefetch])]),
            "next-router-segment-prefetch" => Some(vec![Form::wire("rsc-segment", &[prefetch, segment])]),
            "next-router-state-tree" => {
                Some(vec![Form::wire("rsc-tree", &[("Next-Router-State-Tree", EMPTY_TREE)])])
            }
            _ => None,
        }
    }
}

/// What an answer's `Vary` names, in lower case, each once.
pub fn vary(header: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in header.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The build id in React's wire format: `"b"` in the row of the answer itself, which begins with `0:` (Next 15 and 16).
pub fn flight(body: &str) -> Option<String> {
    let row = body.lines().find(|line| line.starts_with("0:{"))?;
    let (_, rest) = row.split_once("\"b\":\"")?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &Wanted, header: &str) -> Vec<String> {
        wanted.forms(&vary(header)).into_iter().map(|form| form.name).collect()
    }

    #[test]
    fn what_vary_names_is_asked_for_in_the_values_that_matter() {
        let mut wanted = Wanted::default();
        assert_eq!(names(&wanted, ""), ["plain", "browser"]);
        let encodings = ["plain", "browser", "gzip, deflate, br", "gzip, deflate", "gzip", "br"];
        assert_eq!(names(&wanted, "Accept-Encoding, accept-encoding"), encodings);
        let next = "rsc, next-router-state-tree, next-router-prefetch, next-router-segment-prefetch";
        assert_eq!(
            names(&wanted, next),
            ["plain", "browser", "rsc", "rsc-tree", "rsc-prefetch", "rsc-segment"]
        );
        assert_eq!(names(&wanted, "Cookie"), ["plain", "browser"]);
        assert_eq!(wanted.values_of("cookie"), None);
        wanted.values.insert("x-country".into(), vec!["ID".into(), "SG".into()]);
        assert_eq!(names(&wanted, ""), ["plain", "browser", "x-country: ID", "x-country: SG"]);
        assert_eq!(names(&wanted, "X-Country").len(), 4);
    }

    #[test]
    fn the_build_of_an_answer_is_in_its_own_row() {
        let rows = "1:\"$Sreact.fragment\"\n0:{\"P\":null,\"b\":\"AlNX\",\"f\":[]}\n";
        assert_eq!(flight(rows), Some("AlNX".into()));
        assert_eq!(flight("2:{\"b\":\"of a component\"}\n0:{\"f\":[]}\n"), None, "somebody else's b");
        assert_eq!(flight("<html>"), None);
    }
}

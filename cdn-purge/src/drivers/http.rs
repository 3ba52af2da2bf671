//! A cache of one's own, told by one request a page (Varnish, nginx, Souin, Fastly's edge): method, target, headers and the
//! expected statuses are settings, for each kind of selector. The page's host goes along: a purge for another host is answered
//! 200 and does nothing.

use std::time::Duration;

use address::BaseUrl;
use http_client::{Call, Client, Reply};
use step::{Failure, Secret, Settings};
use url::Url;

use super::{Driver, Limits, Mode, Order, Receipt, Verdict, asked, is_busy, words};
use crate::coverage::{Checked, Covers};
use crate::select::{self, Kind};
use crate::send::batch::Size;
use crate::settings::url;

/// The words that a template may hold between braces.
const PLACES: [&str; 6] = ["url", "host", "path", "path_regex", "tag", "tag_regex"];
/// A header stays well below what servers take.
const HEADER: usize = 4000;

/// How one kind of selector is purged.
struct Way {
    method: String,
    /// Where, below the endpoint or as a whole address; else the page itself.
    target: Option<String>,
    headers: Vec<(String, String)>,
    soft_headers: Vec<(String, String)>,
    /// What stands between several tags in one header; without it each goes alone.
    join: Option<String>,
}

pub struct Http {
    /// Where purges go, in this order: a shield before the edge. Else to the page's own address.
    endpoints: Vec<Url>,
    ways: Vec<(Kind, Way)>,
    expect: Vec<u16>,
    /// The header in which the cache says how many objects went.
    count: Option<String>,
    token: Option<(String, Secret)>,
    /// The environment's first host, for what has none.
    host: String,
    page: String,
}

/// Where purges go; with a token only where nobody reads it on the way.
fn endpoint(settings: &Settings, text: &str, with_token: bool) -> Result<Url, Failure> {
    let base = match with_token {
        true => BaseUrl::with_secret(settings, "endpoint", text)?,
        false => BaseUrl::of(settings, "endpoint", text)?,
    };
    url(settings, "endpoint", &base)
}

impl Http {
    pub fn read(settings: &Settings, host: &str) -> Result<Self, Failure> {
        let expect: Vec<u16> = settings.list("expect")?;
        let endpoints: Vec<String> = settings.list("endpoint")?;
        if settings.is_set("url") {
            let why = "it is the API of a vendor; the http driver sends its purges to `endpoint`";
            return Err(settings.wrong("url", why));
        }
        let token = match settings.text("token_header")? {
            Some(header) => Some((header, settings.need_secret("token", "CDN_PURGE_TOKEN")?)),
            None => None,
        };
        let ways = Kind::ALL.map(|kind| Ok(Way::read(settings, kind)?.map(|way| (kind, way))));
        let ways: Vec<Option<(Kind, Way)>> = ways.into_iter().collect::<Result<_, Failure>>()?;
        Ok(Http {
            endpoints: endpoints
                .iter()
                .map(|text| endpoint(settings, text, token.is_some()))
                .collect::<Result<_, _>>()?,
            ways: ways.into_iter().flatten().collect(),
            expect: if expect.is_empty() { vec![200, 204] } else { expect },
            count: settings.text("count_header")?,
            token,
            host: host.to_owned(),
            page: settings.shared_list("public_urls")?.into_iter().next().unwrap_or_default(),
        })
    }

    fn way(&self, kind: Kind) -> Option<&Way> {
        self.ways.iter().find(|(known, _)| *known == kind).map(|(_, way)| way)
    }

    /// One request for these selectors (one, or several tags) to one endpoint.
    fn call(&self, way: &Way, order: &Order, items: &[String], endpoint: Option<&Url>) -> Option<Call> {
        let joined = items.join(way.join.as_deref().unwrap_or_default());
        let filled = Filled::of(order.kind, &joined, &self.host);
        let page = Url::parse(&filled.url).ok();
        let target = match (&way.target, endpoint) {
            (Some(target), Some(endpoint)) if target.starts_with('/') => {
                format!("{}{}", endpoint.as_str().trim_end_matches('/'), filled.fill(target))
            }
            (Some(target), _) => filled.fill(target),
            (None, Some(endpoint)) => select::at(endpoint, &page?).into(),
            (None, None) => filled.url.clone(),
        };
        let mut call = Call::new(&way.method, target);
        if !has(&way.headers, "host") {
            call = call.header("Host", &filled.host);
        }
        if let Some((name, token)) = &self.token {
            call = call.header(name, token.expose());
        }
        let soft = if order.mode == Mode::Soft { way.soft_headers.as_slice() } else { &[] };
        let headers = way.headers.iter().chain(soft);
        Some(headers.fold(call, |call, (name, value)| call.header(name, filled.fill(value))))
    }
}

impl Way {
    /// The page's way stands in the table itself, the others in tables of their own, over the same headers.
    fn read(settings: &Settings, kind: Kind) -> Result<Option<Self>, Failure> {
        let key =
            |name: &str| if kind == Kind::Url { name.to_owned() } else { format!("{}.{name}", kind.word()) };
        let named = |name: &str| -> Result<Vec<(String, String)>, Failure> {
            let table = key(name);
            let header = |name: String| {
                template(settings, &format!("{table}.{}", Settings::part(&name))).map(|value| (name, value))
            };
            settings.names(&table).into_iter().map(header).collect()
        };
        let (method, mut headers) = (settings.text(&key("method"))?, named("headers")?);
        let target =
            settings.text(&key("target"))?.map(|_| template(settings, &key("target"))).transpose()?;
        if kind != Kind::Url && method.is_none() && target.is_none() && headers.is_empty() {
            return Ok(None);
        }
        if kind == Kind::Url && settings.text("ban_header")?.is_some() {
            headers.push((settings.value("ban_header")?, "^{path_regex}$".to_owned()));
        } else if kind != Kind::Url {
            let shared = settings.names("headers").into_iter().filter(|name| !has(&headers, name));
            let shared: Vec<(String, String)> = shared
                .map(|name| {
                    template(settings, &format!("headers.{}", Settings::part(&name)))
                        .map(|value| (name, value))
                })
                .collect::<Result<_, _>>()?;
            headers.extend(shared);
        }
        // A ban goes to the cache as a whole.
        let root = (kind != Kind::Url || settings.text("ban_header")?.is_some()).then(|| "/".to_owned());
        Ok(Some(Way {
            method: method.unwrap_or_else(|| "PURGE".to_owned()),
            target: target.or(root),
            headers,
            soft_headers: named("soft_headers")?,
            join: if kind == Kind::Tag { settings.text("tag.join")? } else { None },
        }))
    }
}

fn has(headers: &[(String, String)], name: &str) -> bool {
    headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// A template whose places are known.
fn template(settings: &Settings, key: &str) -> Result<String, Failure> {
    let text: String = settings.value(key)?;
    let places = text.split('{').skip(1).map(|rest| rest.split_once('}').map_or(rest, |(place, _)| place));
    match places.into_iter().find(|place| !PLACES.contains(place)) {
        Some(place) => {
            let known = PLACES.map(|p| format!("{{{p}}}")).join(", ");
            Err(settings.wrong(key, &format!("`{{{place}}}` is not known; {known} are")))
        }
        None => Ok(text),
    }
}

/// What goes into the places of a template.
struct Filled {
    url: String,
    host: String,
    path: String,
    tag: String,
}

impl Filled {
    fn of(kind: Kind, item: &str, host: &str) -> Self {
        let url = match kind {
            Kind::Url | Kind::Prefix => item.to_owned(),
            Kind::Host => format!("http://{item}/"),
            Kind::Tag | Kind::Everything => format!("http://{host}/"),
        };
        let page = Url::parse(&url).ok();
        let part = |f: &dyn Fn(&Url) -> String| page.as_ref().map(f).unwrap_or_default();
        Filled {
            host: part(&select::host),
            path: part(&|page| select::path(page).to_owned()),
            tag: if kind == Kind::Tag { item.to_owned() } else { String::new() },
            url,
        }
    }

    fn fill(&self, template: &str) -> String {
        let places = [
            ("{url}", self.url.clone()),
            ("{host}", self.host.clone()),
            ("{path}", self.path.clone()),
            ("{path_regex}", escaped(&self.path)),
            ("{tag}", self.tag.clone()),
            ("{tag_regex}", escaped(&self.tag)),
        ];
        // From left to right, so that what was filled in is never taken for a place.
        let (mut text, mut rest) = (String::new(), template);
        while let Some(at) = rest.find('{') {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            let place = places.iter().find(|(place, _)| rest.starts_with(place));
            let (taken, value) = place.map_or(("{", "{"), |(place, value)| (*place, value.as_str()));
            text.push_str(value);
            rest = &rest[taken.len()..];
        }
        text + rest
    }
}

/// A text as a regular expression that matches nothing else.
fn escaped(text: &str) -> String {
    let special = |c: char| r"\^$.|?*+()[]{}".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn in_header(item: &str) -> usize {
    item.len() + 2
}

impl Driver for Http {
    fn whose(&self) -> &'static str {
        "the cache"
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn limits(&self, kind: Kind) -> Option<Limits> {
        let way = self.way(kind)?;
        let many = Size { items: 200, bytes: HEADER, weigh: in_header };
        let size = if way.join.is_some() { many } else { Size::ONE };
        Some(Limits::unlimited(size, 4, Duration::from_millis(1)))
    }

    fn soft(&self, kind: Kind) -> bool {
        self.way(kind).is_some_and(|way| !way.soft_headers.is_empty())
    }

    fn calls(&self, order: &Order) -> Vec<Call> {
        let Some(way) = self.way(order.kind) else { return Vec::new() };
        let to = |endpoint| self.call(way, order, order.items, endpoint);
        if self.endpoints.is_empty() {
            return to(None).into_iter().collect();
        }
        self.endpoints.iter().filter_map(|endpoint| to(Some(endpoint))).collect()
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        if self.expect.contains(&reply.status) {
            let number = |text: &str| text.trim().parse().ok();
            let objects = self.count.as_ref().and_then(|name| reply.header(name)).and_then(number);
            return Verdict::Accepted(Receipt { objects, ..Receipt::default() });
        }
        if is_busy(reply.status) {
            return Verdict::Busy(words(reply));
        }
        let expected = self.expect.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        let message = format!("the purge was answered with HTTP {} instead of {expected}", reply.status);
        let failure = Failure::failed("purge-refused", message).cause(words(reply));
        Verdict::Refused(failure.next(
            "see that the cache allows this from this machine, and that driver, method and endpoint fit it",
        ))
    }

    fn check(&self, client: &Client, _hosts: &[String]) -> Result<Checked, Failure> {
        let reply = asked(client, &Call::new("GET", &self.page), "the edge")?;
        let method = self.way(Kind::Url).map_or("PURGE", |way| way.method.as_str());
        // Looking is no purge: only that somebody is there.
        for endpoint in &self.endpoints {
            let call = Call::new("GET", endpoint.as_str()).header("Host", &self.host);
            asked(client, &call, &format!("the endpoint {endpoint}"))?;
        }
        let and = match self.endpoints.len() {
            0 => String::new(),
            1 => " and so does the endpoint".to_owned(),
            n => format!(" and so do {n} endpoints"),
        };
        let said = format!(
            "{} answers with HTTP {}{and}; whether it takes {method} is not known",
            self.page, reply.status
        );
        Ok(Checked { said, zone: String::new(), covers: Covers::NoZone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let filled = Filled::of(Kind::Url, "https://shop.example/sale?size=L.", "x");
        assert_eq!(
            filled.fill("{host} ^{path_regex}$ {path}"),
            r"shop.example ^/sale\?size=L\.$ /sale?size=L."
        );
        let tag = Filled::of(Kind::Tag, "a{url}", "shop.example");
        assert_eq!(tag.fill("(^|,){tag}(,|$) {host}"), "(^|,)a{url}(,|$) shop.example");
    }
}

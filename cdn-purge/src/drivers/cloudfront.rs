//! CloudFront: `POST /2020-05-31/distribution/{id}/invalidation` with paths, `/prefix*` and `#tag`, and then asking until it is
//! `Completed`. The caller reference is made of the run and the paths, so that the same request again is the same invalidation.
//! One at a time, because only so many paths may be in progress. (API model 2020-05-31.)

use std::path::PathBuf;
use std::time::Duration;

use http_client::{Call, Client, Reply};
use jiff::Timestamp;
use quick_xml::escape::escape;
use step::{Failure, Secret, Settings};
use url::Url;

use super::sigv4::{self, Credentials, Request, sha256};
use super::{Driver, Limits, Order, Receipt, Verdict, api, asked, bad_token, busy, is_busy};
use crate::coverage::{Checked, Covers};
use crate::select::{self, Kind};
use crate::send::batch::Size;
use crate::settings::url;

const NAME: &str = "CloudFront";
const XMLNS: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

pub struct CloudFront {
    api: Url,
    distribution: String,
    keys: Credentials,
}

impl CloudFront {
    pub fn read(settings: &Settings) -> Result<Self, Failure> {
        Ok(CloudFront {
            api: url(settings, "url", &api(settings, "https://cloudfront.amazonaws.com")?)?,
            distribution: settings.value("distribution")?,
            keys: credentials(settings)?,
        })
    }

    /// A signed request below the distribution.
    fn call(&self, method: &str, below: &str, body: String, now: Timestamp) -> Call {
        let path = format!("/2020-05-31/distribution/{}{below}", self.distribution);
        let host = select::host(&self.api);
        let request = Request { method, host: &host, path: &path, body: body.as_bytes() };
        let headers = sigv4::headers(&self.keys, &request, now);
        let mut target = self.api.clone();
        target.set_path(&path);
        let call = Call::new(method, target.as_str()).header("Host", host.clone());
        let call = if body.is_empty() { call } else { call.body("application/xml", body) };
        headers.into_iter().fold(call, |call, (name, value)| call.header(name, value))
    }

    fn failure(&self, reply: &Reply) -> Failure {
        let code = element(&reply.body, "Code").unwrap_or_default();
        let message = element(&reply.body, "Message").unwrap_or_default();
        let failure = match (reply.status, code.as_str()) {
            (404, _) => Failure::config(
                "zone",
                format!("CloudFront has no distribution {} for these keys", self.distribution),
            ),
            (401 | 403, _) => {
                bad_token(NAME, "it needs cloudfront:CreateInvalidation and cloudfront:GetInvalidation")
            }
            (status, code) => Failure::failed(
                "purge-refused",
                format!("CloudFront refuses the invalidation (HTTP {status} {code})"),
            ),
        };
        failure.cause(format!("{code} {message}"))
    }
}

/// The environment's keys, else the profile's in the shared file.
fn credentials(settings: &Settings) -> Result<Credentials, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let Some(access_key) = settings.text("access_key")?.or_else(|| variable("AWS_ACCESS_KEY_ID")) {
        let secret_key = settings.need_secret("secret_key", "AWS_SECRET_ACCESS_KEY")?;
        let session_token = settings.secret("session_token", "AWS_SESSION_TOKEN")?;
        return Ok(Credentials { access_key, secret_key, session_token });
    }
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    let file = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home);
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
    let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    shared(&text, &profile).ok_or_else(|| {
        let message = format!("no AWS keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile `{profile}` with keys in ~/.aws/credentials; single sign-on and instance roles are not asked");
        Failure::config("missing-secret", message).next("eval \"$(aws configure export-credentials --format env)\"")
    })
}

/// A profile of the shared credentials file.
fn shared(text: &str, profile: &str) -> Option<Credentials> {
    let header = format!("[{profile}]");
    let section: Vec<(&str, &str)> = text
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let value = |key: &str| section.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    Some(Credentials {
        access_key: value("aws_access_key_id")?.to_owned(),
        secret_key: Secret::new(value("aws_secret_access_key")?),
        session_token: value("aws_session_token").map(Secret::new),
    })
}

/// The text of the first element of this name; the answers are flat and have no other.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim().to_owned())
}

/// `<Path>` and `</Path>`, and what XML escapes.
fn in_xml(item: &str) -> usize {
    escape(item).len() + "<Path></Path>".len()
}

fn path(kind: Kind, item: &str) -> String {
    let of =
        |item: &str| Url::parse(item).map_or_else(|_| "/".to_owned(), |url| select::path(&url).to_owned());
    match kind {
        Kind::Url => of(item),
        Kind::Prefix => format!("{}*", of(item)),
        Kind::Tag => format!("#{item}"),
        Kind::Host | Kind::Everything => "/*".to_owned(),
    }
}

impl Driver for CloudFront {
    fn whose(&self) -> &'static str {
        NAME
    }

    fn limits(&self, kind: Kind) -> Option<Limits> {
        let items = match kind {
            Kind::Url | Kind::Tag => 3000,
            Kind::Prefix => 15,
            Kind::Everything => 1,
            // A distribution has one cache: a host's copies cannot be told from another's.
            Kind::Host => return None,
        };
        let size = Size { items, bytes: 1 << 20, weigh: in_xml };
        Some(Limits::unlimited(size, 1, Duration::from_secs(60)))
    }

    fn soft(&self, _kind: Kind) -> bool {
        false
    }

    fn calls(&self, order: &Order) -> Vec<Call> {
        let paths: Vec<String> = order.items.iter().map(|item| path(order.kind, item)).collect();
        let hash = sha256(format!("{}\n{}", order.reference, paths.join("\n")).as_bytes());
        let items: String = paths.iter().map(|path| format!("<Path>{}</Path>", escape(path))).collect();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InvalidationBatch xmlns=\"{XMLNS}\"><Paths><Quantity>{}</Quantity><Items>{items}</Items></Paths><CallerReference>{}-{}</CallerReference></InvalidationBatch>",
            paths.len(),
            escape(order.reference),
            &hash[..32],
        );
        vec![self.call("POST", "/invalidation", body, order.now)]
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let code = element(&reply.body, "Code").unwrap_or_default();
        let busy = ["TooManyInvalidationsInProgress", "Throttling", "ServiceUnavailable"];
        match reply.status {
            200 | 201 => Verdict::Accepted(Receipt {
                id: element(&reply.body, "Id"),
                completed: self.is_completed(reply),
                objects: None,
            }),
            413 => Verdict::TooLarge(self.failure(reply)),
            status if is_busy(status) || busy.contains(&code.as_str()) => Verdict::Busy(code),
            _ => Verdict::Refused(self.failure(reply)),
        }
    }

    fn progress(&self, id: &str, now: Timestamp) -> Option<Call> {
        Some(self.call("GET", &format!("/invalidation/{id}"), String::new(), now))
    }

    fn is_completed(&self, reply: &Reply) -> bool {
        reply.status < 300 && element(&reply.body, "Status").as_deref() == Some("Completed")
    }

    fn check(&self, client: &Client, _hosts: &[String]) -> Result<Checked, Failure> {
        let ask = |below| asked(client, &self.call("GET", below, String::new(), Timestamp::now()), NAME);
        let listed = ask("/invalidation")?;
        match listed.status {
            200 => {}
            status if is_busy(status) => return Err(busy(NAME, status)),
            _ => return Err(self.failure(&listed)),
        }
        let distribution = ask("")?;
        let covers = match distribution.status {
            200 => covers(&distribution.body),
            404 => return Err(self.failure(&distribution)),
            status => Covers::Untold(format!(
                "the keys may not read it (HTTP {status}; that needs cloudfront:GetDistribution)"
            )),
        };
        Ok(Checked {
            said: format!("CloudFront lists the invalidations of {} for these keys", self.distribution),
            zone: format!("distribution {}", self.distribution),
            covers,
        })
    }
}

/// The hosts of a `Distribution`: its own first `DomainName` (its origins have such elements too, further down), and its `Aliases`.
fn covers(xml: &str) -> Covers {
    // Then it has no hosts of its own, and its tenants' are in other documents.
    if element(xml, "ConnectionMode").as_deref() == Some("tenant-only") {
        return Covers::Untold("its hosts are those of its tenants".to_owned());
    }
    let Some(own) = element(xml, "DomainName") else {
        return Covers::Untold("the answer has no DomainName".to_owned());
    };
    let aliases = element(xml, "Aliases").unwrap_or_default();
    let aliases = aliases.split("<CNAME>").skip(1).filter_map(|rest| rest.split_once("</CNAME>"));
    Covers::Names([own].into_iter().chain(aliases.map(|(name, _)| name.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_what_viewers_ask_for() {
        assert_eq!(path(Kind::Url, "https://shop.example/a?b=c&d"), "/a?b=c&d");
        assert_eq!(path(Kind::Prefix, "https://shop.example/blog/"), "/blog/*");
        assert_eq!(path(Kind::Tag, "sku-2"), "#sku-2");
        assert_eq!(in_xml("a&b"), "<Path>a&amp;b</Path>".len());
    }

    #[test]
    fn a_profile_of_the_shared_file() {
        let text = "[other]\naws_access_key_id = no\n[default]\naws_access_key_id=AKID\naws_secret_access_key = canary-aws-secret\n[x]\naws_session_token=no\n";
        let keys = shared(text, "default").expect("there");
        assert_eq!((keys.access_key.as_str(), keys.secret_key.expose()), ("AKID", "canary-aws-secret"));
        assert!(
            keys.session_token.is_none()
                && shared(text, "third").is_none()
                && shared(text, "other").is_none()
        );
    }

    #[test]
    fn the_hosts_of_a_distribution_are_its_own_and_its_aliases_but_never_an_origins() {
        let xml = |config: &str| {
            format!(
                "<Distribution xmlns=\"{XMLNS}\"><Id>E1</Id><DomainName>d1.cloudfront.net</DomainName><DistributionConfig>{config}<Origins><Items><Origin><DomainName>origin.example</DomainName></Origin></Items></Origins></DistributionConfig></Distribution>"
            )
        };
        let aliases = "<Aliases><Quantity>2</Quantity><Items><CNAME>shop.example</CNAME><CNAME>*.shop.example</CNAME></Items></Aliases>";
        let Covers::Names(names) = covers(&xml(aliases)) else { panic!("told") };
        assert_eq!(names, ["d1.cloudfront.net", "shop.example", "*.shop.example"]);
        let Covers::Names(names) = covers(&xml("<Aliases><Quantity>0</Quantity></Aliases>")) else {
            panic!("told")
        };
        assert_eq!(names, ["d1.cloudfront.net"]);
        assert!(matches!(covers(&xml("<ConnectionMode>tenant-only</ConnectionMode>")), Covers::Untold(_)));
        assert!(matches!(covers("<Distribution/>"), Covers::Untold(_)));
    }

    #[test]
    fn elements_are_read() {
        let xml = "<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>";
        assert_eq!(element(xml, "Id").as_deref(), Some("I1"));
        assert_eq!(element(xml, "Code"), None);
    }
}

//! Bunny: `POST /purge?url=` for a page or a prefix, `POST /pullzone/{id}/purgeCache` for a tag or the whole zone. A URL that ends
//! in `/` is a prefix there unless `exactPath=true`, and a null tag is the whole zone: both are traps. `async=false` waits until
//! it is done. (Its OpenAPI description; limits as observed: exact 120 and then 5 a second, the others 20 and 0.5.)

use std::time::Duration;

use address::BaseUrl;
use http_client::{Call, Client, Reply};
use serde_json::{Value, json};
use step::{Failure, Secret, Settings};
use url::Url;

use super::{
    Driver, Limits, Order, Receipt, Verdict, api, asked, bad_token, busy, is_busy, names, refused, words,
};
use crate::coverage::{Checked, Covers};
use crate::select::Kind;
use crate::send::batch::Size;

const NAME: &str = "Bunny";

pub struct Bunny {
    api: BaseUrl,
    zone: String,
    token: Secret,
}

impl Bunny {
    pub fn read(settings: &Settings) -> Result<Self, Failure> {
        Ok(Bunny {
            api: api(settings, "https://api.bunny.net")?,
            zone: settings.value("pull_zone")?,
            token: settings.need_secret("token", "BUNNY_API_KEY")?,
        })
    }

    fn call(&self, method: &str, path: &str) -> Call {
        Call::new(method, format!("{}{path}", self.api)).header("AccessKey", self.token.expose())
    }

    fn purge(&self, url: &str, exact: bool) -> Call {
        let exact = if exact { "true" } else { "false" };
        let query = [("url", url), ("async", "false"), ("exactPath", exact)];
        // Only the query is taken from it: any address would do.
        let encoded = Url::parse_with_params("http://query/", query);
        self.call(
            "POST",
            &format!("/purge?{}", encoded.as_ref().ok().and_then(Url::query).unwrap_or_default()),
        )
    }

    fn zone(&self) -> Call {
        self.call("POST", &format!("/pullzone/{}/purgeCache", self.zone))
    }

    fn failure(&self, reply: &Reply) -> Failure {
        match reply.status {
            401 | 403 => bad_token(NAME, "it must be the account's key, not a storage zone's"),
            404 => {
                Failure::config("zone", format!("Bunny has no pull zone {}", self.zone)).cause(words(reply))
            }
            _ => refused(NAME, reply),
        }
    }
}

impl Driver for Bunny {
    fn whose(&self) -> &'static str {
        NAME
    }

    fn limits(&self, kind: Kind) -> Option<Limits> {
        let (burst, rate, workers) = if kind == Kind::Url { (120.0, 5.0, 2) } else { (20.0, 0.5, 1) };
        let takes = Duration::from_millis(200);
        Some(Limits { size: Size::ONE, per_item: false, burst, rate, workers, takes })
    }

    fn soft(&self, _kind: Kind) -> bool {
        false
    }

    fn calls(&self, order: &Order) -> Vec<Call> {
        let one = |item: &String| match order.kind {
            Kind::Url => self.purge(item, true),
            Kind::Prefix => self.purge(&format!("{item}*"), false),
            Kind::Host => self.purge(&format!("https://{item}/*"), false),
            Kind::Tag => self.zone().json(&json!({ "CacheTag": item })),
            Kind::Everything => self.zone(),
        };
        order.items.iter().map(one).collect()
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        match reply.status {
            200 | 204 => Verdict::Accepted(Receipt { completed: true, ..Receipt::default() }),
            status if is_busy(status) => Verdict::Busy(words(reply)),
            _ => Verdict::Refused(self.failure(reply)),
        }
    }

    fn check(&self, client: &Client, _hosts: &[String]) -> Result<Checked, Failure> {
        let reply = asked(client, &self.call("GET", &format!("/pullzone/{}", self.zone)), NAME)?;
        match reply.status {
            200 => {}
            status if is_busy(status) => return Err(busy(NAME, status)),
            _ => return Err(self.failure(&reply)),
        }
        // Its `Hostnames`, `x.b-cdn.net` among them, each with a `Value`.
        let listed = reply.json().map(|zone| zone["Hostnames"].clone()).filter(Value::is_array);
        let untold = || Covers::Untold("the answer has no Hostnames".to_owned());
        Ok(Checked {
            said: format!("Bunny shows pull zone {} to this key", self.zone),
            zone: format!("pull zone {}", self.zone),
            covers: listed.map_or_else(untold, |list| Covers::Names(names(&list, "Value"))),
        })
    }
}

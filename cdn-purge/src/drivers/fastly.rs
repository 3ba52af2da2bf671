//! Fastly: `POST /purge/{host/path}` for a page, `POST /service/{id}/purge` for up to 256 surrogate keys, `purge_all`. Soft with
//! `Fastly-Soft-Purge: 1`, but not for everything. It has neither prefixes nor hosts: that is what surrogate keys are for.
//! (Its purging API and the crate fastly-api 15; 100,000 pages and as many keys an hour.)

use std::time::Duration;

use address::BaseUrl;
use http_client::{Call, Client, Reply};
use serde_json::json;
use step::{Failure, Secret, Settings};

use super::{
    Driver, Limits, Mode, Order, Receipt, Verdict, api, asked, bad_token, busy, is_busy, refused, words,
};
use crate::coverage::{self, Checked, Covers};
use crate::select::Kind;
use crate::send::batch::Size;

const NAME: &str = "Fastly";
const AN_HOUR: f64 = 100_000.0;

pub struct Fastly {
    api: BaseUrl,
    service: String,
    token: Secret,
}

impl Fastly {
    pub fn read(settings: &Settings) -> Result<Self, Failure> {
        Ok(Fastly {
            api: api(settings, "https://api.fastly.com")?,
            service: settings.value("service")?,
            token: settings.need_secret("token", "FASTLY_API_TOKEN")?,
        })
    }

    fn call(&self, method: &str, path: &str) -> Call {
        Call::new(method, format!("{}/{path}", self.api))
            .header("Fastly-Key", self.token.expose())
            .header("Accept", "application/json")
    }

    fn failure(&self, reply: &Reply) -> Failure {
        match reply.status {
            401 | 403 => bad_token(NAME, "it needs the scope purge_select (purge_all for --everything)"),
            404 => {
                let message =
                    format!("Fastly has no service {} for this token, or none for the page", self.service);
                Failure::config("zone", message).cause(words(reply))
            }
            _ => refused(NAME, reply),
        }
    }

    /// The domains of the service's active version, and those that belong to no version (since 2025, under `domain-management`),
    /// which are only asked for when the others do not do.
    fn covers(&self, client: &Client, service: &Reply, hosts: &[String]) -> Result<Covers, Failure> {
        let service = service.json().unwrap_or_default();
        let mut versions = service["versions"].as_array().into_iter().flatten();
        let active = versions.find(|version| version["active"] == true).map(|v| v["number"].clone());
        let Some(active) = active.and_then(|number| number.as_u64()) else {
            return Ok(Covers::Untold("the service shows no active version".to_owned()));
        };
        let path = format!("service/{}/version/{active}/domain", self.service);
        let reply = asked(client, &self.call("GET", &path), NAME)?;
        let Some(list) = reply.json().filter(|list| reply.status == 200 && list.is_array()) else {
            return Ok(Covers::Untold(format!(
                "the token may not read its domains (HTTP {}; it needs global:read)",
                reply.status
            )));
        };
        let mut names = super::names(&list, "name");
        let bare = |names: &[String]| hosts.iter().any(|host| !coverage::covered(names, host));
        if bare(&names) {
            let path = format!("domain-management/v1/domains?service_id={}&limit=100", self.service);
            let more = asked(client, &self.call("GET", &path), NAME)?;
            let page = more.json().filter(|_| more.status == 200).unwrap_or_default();
            names.extend(super::names(&page["data"], "fqdn"));
            if bare(&names) && (!page["data"].is_array() || page["meta"]["next_cursor"].is_string()) {
                return Ok(Covers::Untold("not all of its domains are shown to this token".to_owned()));
            }
        }
        Ok(Covers::Names(names))
    }
}

impl Driver for Fastly {
    fn whose(&self) -> &'static str {
        NAME
    }

    fn limits(&self, kind: Kind) -> Option<Limits> {
        let takes = Duration::from_millis(100);
        let limits = |size, per_item, workers| Limits {
            size,
            per_item,
            burst: AN_HOUR,
            rate: AN_HOUR / 3600.0,
            workers,
            takes,
        };
        match kind {
            Kind::Url => Some(limits(Size::ONE, true, 16)),
            Kind::Tag => Some(limits(Size::json(256), true, 4)),
            Kind::Everything => Some(limits(Size::ONE, false, 1)),
            Kind::Prefix | Kind::Host => None,
        }
    }

    fn soft(&self, kind: Kind) -> bool {
        kind != Kind::Everything
    }

    fn calls(&self, order: &Order) -> Vec<Call> {
        let service = format!("service/{}", self.service);
        let call = match (order.kind, order.items) {
            // host/path?query as it is: the official clients do not encode it either.
            (Kind::Url, [page]) => {
                self.call("POST", &format!("purge/{}", page.split_once("://").map_or("", |(_, rest)| rest)))
            }
            (Kind::Everything, _) => self.call("POST", &format!("{service}/purge_all")),
            (_, keys) => {
                self.call("POST", &format!("{service}/purge")).json(&json!({ "surrogate_keys": keys }))
            }
        };
        vec![if order.mode == Mode::Soft { call.header("Fastly-Soft-Purge", "1") } else { call }]
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let answer = reply.json().unwrap_or_default();
        let ok = answer["status"] == "ok" || (answer.is_object() && answer["status"].is_null());
        match reply.status {
            // Several keys are answered with an id each, one page with a status and an id.
            200 if ok => Verdict::Accepted(Receipt {
                id: answer["id"].as_str().map(str::to_owned),
                ..Receipt::default()
            }),
            status if is_busy(status) => Verdict::Busy(words(reply)),
            400 if reply.body.contains("only supports up to") => Verdict::TooLarge(self.failure(reply)),
            _ => Verdict::Refused(self.failure(reply)),
        }
    }

    fn check(&self, client: &Client, hosts: &[String]) -> Result<Checked, Failure> {
        let reply = asked(client, &self.call("GET", &format!("service/{}", self.service)), NAME)?;
        match reply.status {
            200 => {}
            status if is_busy(status) => return Err(busy(NAME, status)),
            _ => return Err(self.failure(&reply)),
        }
        let zone = format!("service {}", self.service);
        let said = format!("Fastly shows {zone} to this token; whether it may purge shows only when it does");
        Ok(Checked { said, zone, covers: self.covers(client, &reply, hosts)? })
    }
}

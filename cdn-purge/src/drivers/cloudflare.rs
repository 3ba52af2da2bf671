//! Cloudflare: `POST /zones/{zone}/purge_cache`, or the soft `invalidate_cache` (since 2026-09-28, same bodies, same limits).
//! `success` counts and not the status alone, and even that confirms nothing. Limits by plan: Cloudflare's "Purge cache" page.

use std::time::Duration;

use address::BaseUrl;
use http_client::{Call, Client, Reply};
use serde_json::{Value, json};
use step::{Failure, Secret, Settings};

use super::{Driver, Limits, Mode, Order, Receipt, Verdict, api, asked, bad_token, busy, is_busy};
use crate::coverage::{self, Checked, Covers};
use crate::select::Kind;
use crate::send::batch::Size;

const NAME: &str = "Cloudflare";

/// What a plan allows: pages a request, pages a second, and the bucket of other purges with its rate.
#[derive(Clone, Copy)]
struct Plan {
    files: usize,
    files_a_second: f64,
    burst: f64,
    rate: f64,
}

pub struct Cloudflare {
    api: BaseUrl,
    zone: String,
    token: Secret,
    plan: Plan,
}

impl Cloudflare {
    pub fn read(settings: &Settings) -> Result<Self, Failure> {
        let plan = |files, files_a_second, burst, rate| Plan { files, files_a_second, burst, rate };
        let free = plan(100, 800.0, 25.0, 5.0 / 60.0);
        let plans = [
            ("free", free),
            ("pro", plan(100, 1500.0, 25.0, 5.0)),
            ("business", plan(100, 1500.0, 50.0, 10.0)),
            ("enterprise", plan(500, 3000.0, 500.0, 50.0)),
        ];
        let plan = settings.choice("plan", &plans)?.unwrap_or(free);
        Ok(Cloudflare {
            api: api(settings, "https://api.cloudflare.com")?,
            zone: settings.value("zone")?,
            token: settings.need_secret("token", "CLOUDFLARE_API_TOKEN")?,
            plan,
        })
    }

    fn call(&self, method: &str, path: &str) -> Call {
        Call::new(method, format!("{}/client/v4/{path}", self.api))
            .header("Authorization", format!("Bearer {}", self.token.expose()))
    }

    fn failure(&self, reply: &Reply) -> Failure {
        let failure = match reply.status {
            401 | 403 => bad_token(NAME, "it needs the permission Zone, Cache Purge, Purge for this zone"),
            404 => Failure::config("zone", format!("Cloudflare has no zone {} for this token", self.zone)),
            status => {
                Failure::failed("purge-refused", format!("Cloudflare refuses the purge (HTTP {status})"))
            }
        };
        errors(reply).into_iter().fold(failure, Failure::cause)
    }

    /// The zone's name and all below it (`GET /zones/{zone}`, for which a token that may only purge has no right), and of its
    /// custom hostnames (Cloudflare for SaaS) those that the pages need.
    fn covers(&self, client: &Client, hosts: &[String]) -> Result<Covers, Failure> {
        let path = format!("zones/{}", self.zone);
        let reply = asked(client, &self.call("GET", &path), NAME)?;
        let name = reply.json().and_then(|answer| answer["result"]["name"].as_str().map(str::to_owned));
        let name = match (reply.status, name) {
            (200, Some(name)) => name,
            (404, _) => return Err(self.failure(&reply)),
            (status, _) => {
                let why = format!("the token may not read it (HTTP {status}; it needs Zone, Zone, Read)");
                return Ok(Covers::Untold(why));
            }
        };
        let mut names = vec![name.clone(), format!("*.{name}")];
        for host in hosts {
            if !coverage::covered(&names, host) {
                let call = self.call("GET", &format!("{path}/custom_hostnames?hostname={host}"));
                let answer = asked(client, &call, NAME)?.json().unwrap_or_default();
                names.extend(super::names(&answer["result"], "hostname"));
            }
        }
        Ok(Covers::Names(names))
    }
}

/// Prefixes have neither scheme nor query there.
fn bare(prefix: &str) -> &str {
    prefix.split_once("://").map_or(prefix, |(_, rest)| rest)
}

fn errors(reply: &Reply) -> Vec<String> {
    let answer = reply.json().unwrap_or_default();
    let said = |e: &Value| format!("{} {}", e["code"], e["message"].as_str().unwrap_or_default());
    answer["errors"].as_array().map(|errors| errors.iter().map(said).collect()).unwrap_or_default()
}

impl Driver for Cloudflare {
    fn whose(&self) -> &'static str {
        NAME
    }

    fn limits(&self, kind: Kind) -> Option<Limits> {
        let takes = Duration::from_millis(100);
        let (items, per_item, burst, rate, workers) = match kind {
            Kind::Url => (self.plan.files, true, self.plan.files_a_second, self.plan.files_a_second, 4),
            _ => (100, false, self.plan.burst, self.plan.rate, 1),
        };
        Some(Limits { size: Size::json(items), per_item, burst, rate, workers, takes })
    }

    fn soft(&self, _kind: Kind) -> bool {
        true
    }

    fn calls(&self, order: &Order) -> Vec<Call> {
        let body = match order.kind {
            Kind::Url => json!({ "files": order.items }),
            Kind::Prefix => json!({ "prefixes": order.items.iter().map(|p| bare(p)).collect::<Vec<_>>() }),
            Kind::Host => json!({ "hosts": order.items }),
            Kind::Tag => json!({ "tags": order.items }),
            Kind::Everything => json!({ "purge_everything": true }),
        };
        let verb = if order.mode == Mode::Soft { "invalidate_cache" } else { "purge_cache" };
        vec![self.call("POST", &format!("zones/{}/{verb}", self.zone)).json(&body)]
    }

    fn verdict(&self, reply: &Reply) -> Verdict {
        let answer = reply.json().unwrap_or_default();
        if reply.status == 200 && answer["success"] == true {
            let id = answer["result"]["id"].as_str().map(str::to_owned);
            return Verdict::Accepted(Receipt { id, ..Receipt::default() });
        }
        if is_busy(reply.status) {
            return Verdict::Busy(errors(reply).join("; "));
        }
        // The limit has changed twice, and differs between plans.
        let sized = reply.status == 413 || (reply.status == 400 && reply.body.contains("maximum of"));
        if sized { Verdict::TooLarge(self.failure(reply)) } else { Verdict::Refused(self.failure(reply)) }
    }

    fn check(&self, client: &Client, hosts: &[String]) -> Result<Checked, Failure> {
        let reply = asked(client, &self.call("GET", "user/tokens/verify"), NAME)?;
        match self.verdict(&reply) {
            Verdict::Accepted(_) => {}
            Verdict::Busy(said) => return Err(busy(NAME, reply.status).cause(said)),
            Verdict::TooLarge(failure) | Verdict::Refused(failure) => return Err(failure),
        }
        let zone = format!("zone {}", self.zone);
        let said =
            format!("Cloudflare knows this token; whether it may purge {zone} shows only when it does");
        Ok(Checked { said, zone, covers: self.covers(client, hosts)? })
    }
}

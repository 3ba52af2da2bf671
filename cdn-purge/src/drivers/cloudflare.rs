//! Cloudflare: up to 100 pages a request; `success` counts and not the status alone (reference: the API's
//! `POST /zones/{zone_id}/purge_cache`).

use http_client::{Call, Client, Reply};
use serde_json::{Value, json};
use step::{Failure, Permit};
use url::Url;

use super::{Purge, unanswered};
use crate::args::{self, Settings};

/// Pages a request; Enterprise may have more, and some plans had fewer.
const BATCH: usize = 100;

pub struct Cloudflare<'a> {
    pub settings: &'a args::Cloudflare,
    pub client: &'a Client<'a>,
}

impl Purge for Cloudflare<'_> {
    fn purge(&self, _permit: &Permit, pages: &[Url]) -> Result<(), Failure> {
        pages.chunks(BATCH).try_for_each(|batch| self.batch(batch))
    }

    fn check(&self, _settings: &Settings) -> Result<String, Failure> {
        let reply = self.send("GET", "user/tokens/verify", None)?;
        self.verdict(&reply)?;
        Ok(format!(
            "Cloudflare knows this token; whether it may purge zone {} shows only when it does",
            self.settings.zone
        ))
    }
}

impl Cloudflare<'_> {
    fn batch(&self, pages: &[Url]) -> Result<(), Failure> {
        let files: Vec<&str> = pages.iter().map(Url::as_str).collect();
        let path = format!("zones/{}/purge_cache", self.settings.zone);
        let reply = self.send("POST", &path, Some(&json!({ "files": files })))?;
        // The limit has changed twice, and differs between plans: a refusal of the size is answered with halves.
        if reply.status == 400 && reply.body.contains("maximum of") && pages.len() > 1 {
            let (first, second) = pages.split_at(pages.len() / 2);
            return self.batch(first).and_then(|()| self.batch(second));
        }
        self.verdict(&reply)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply, Failure> {
        let call = Call::new(method, format!("{}/client/v4/{path}", self.settings.api));
        let call = call.header("Authorization", format!("Bearer {}", self.settings.token.expose()));
        let call = body.map_or_else(|| call.clone(), |body| call.clone().json(body));
        unanswered(self.client.persist(&call, true)?, "Cloudflare")
    }

    fn verdict(&self, reply: &Reply) -> Result<(), Failure> {
        let answer = reply.json().unwrap_or_default();
        if reply.status == 200 && answer["success"] == true {
            return Ok(());
        }
        let failure = match reply.status {
            401 | 403 => {
                let message = "Cloudflare does not take the token: it needs the permission Zone, Cache Purge, Purge for this zone";
                Failure::config("token", message)
            }
            404 => Failure::config(
                "zone",
                format!("Cloudflare has no zone {} for this token", self.settings.zone),
            ),
            429 | 500.. => {
                Failure::temporary("purge-refused", format!("Cloudflare answers with HTTP {}", reply.status))
            }
            status => {
                Failure::failed("purge-refused", format!("Cloudflare refuses the purge (HTTP {status})"))
            }
        };
        let errors = answer["errors"].as_array().cloned().unwrap_or_default();
        let said = |e: &Value| format!("{} {}", e["code"], e["message"].as_str().unwrap_or_default());
        Err(errors.iter().map(said).fold(failure, Failure::cause))
    }
}

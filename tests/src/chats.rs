//! The other places where people read, each with what it keeps and what it refuses: Slack (Web API and incoming webhook), Discord, a
//! webhook of one's own, ntfy and the API server of Apprise.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};
use crate::slack;

/// A stand-in that keeps the bodies that it has taken.
pub struct Chat {
    server: Server,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Chat {
    /// Starts with what decides about a request: `Ok` keeps the body.
    fn start(decide: impl Fn(&Request, &Value, usize) -> (bool, Reply) + Send + Sync + 'static) -> Self {
        let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
        let ours = Arc::clone(&taken);
        let server = Server::start(move |request| {
            let body = request.json().unwrap_or_default();
            let mut taken = ours.lock().expect("what was taken");
            let (keeps, reply) = decide(request, &body, taken.len());
            if keeps {
                taken.push(body);
            }
            reply
        });
        Chat { server, taken }
    }

    /// The HTTP side: URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What it has taken, in order.
    pub fn taken(&self) -> Vec<Value> {
        self.taken.lock().expect("what was taken").clone()
    }

    /// Slack's Web API with one channel, which says no with HTTP 200.
    pub fn slack_api(token: &str, channel: &str) -> Self {
        let (bearer, channel) = (format!("Bearer {token}"), channel.to_owned());
        Self::start(move |request, body, count| {
            let error = |word: &str| (false, Reply::json(200, json!({ "ok": false, "error": word })));
            if request.header("authorization") != bearer {
                return error("invalid_auth");
            }
            match request.path.as_str() {
                "/auth.test" => return (false, Reply::json(200, json!({ "ok": true, "team": "Luxima" }))),
                "/conversations.info" => {
                    return (false, Reply::json(200, json!({ "ok": true, "channel": { "name": "alerts" } })));
                }
                "/chat.postMessage" | "/chat.update" => {}
                _ => return error("unknown_method"),
            }
            if body["channel"] != channel.as_str() {
                return error("channel_not_found");
            }
            match slack::shown(body) {
                Err(word) => error(word),
                Ok(_) => {
                    let ts = format!("1700000000.{count:06}");
                    (true, Reply::json(200, json!({ "ok": true, "channel": channel, "ts": ts })))
                }
            }
        })
    }

    /// Slack's incoming webhook at `/services/T/B/secret`, which answers in text.
    pub fn slack_webhook(path: &str) -> Self {
        let path = path.to_owned();
        Self::start(move |request, body, _| {
            let said = |keeps, status, text: &str| (keeps, Reply::text(status, "text/plain", text));
            match slack::shown(body) {
                _ if request.path != path => said(false, 404, "no_service"),
                Err(word) => said(false, 400, word),
                Ok(_) => said(true, 200, "ok"),
            }
        })
    }

    /// A webhook of Discord.
    pub fn discord(path: &str) -> Self {
        let path = path.to_owned();
        Self::start(move |request, body, count| {
            let no = |status, code: u32, message: &str| {
                (false, Reply::json(status, json!({ "message": message, "code": code })))
            };
            if request.path != path {
                return no(404, 10015, "Unknown Webhook");
            }
            if request.method == "GET" {
                return (false, Reply::json(200, json!({ "id": "1", "name": "luxima" })));
            }
            let length = |v: &Value| v.as_str().unwrap_or_default().chars().count();
            let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
            let long =
                length(&body["content"]) > 2000 || embeds.iter().any(|e| length(&e["description"]) > 4096);
            if long || (length(&body["content"]) == 0 && embeds.is_empty()) {
                return no(400, 50035, "Invalid Form Body");
            }
            // Whoever may be called by what stands in a commit has not been asked.
            if body["allowed_mentions"]["parse"] != json!([]) {
                return no(400, 50035, "the team wants allowed_mentions");
            }
            if request.query.get("wait").is_none_or(|w| w != "true") {
                return (true, Reply::text(204, "text/plain", ""));
            }
            (true, Reply::json(200, json!({ "id": format!("{}", 9000 + count) })))
        })
    }

    /// A webhook that takes whatever is signed; what it holds signatures against is for the test.
    pub fn webhook() -> Self {
        Self::start(|request, _, _| {
            let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"]
                .iter()
                .all(|h| !request.header(h).is_empty());
            if signed {
                (true, Reply::text(202, "text/plain", ""))
            } else {
                (false, Reply::text(401, "text/plain", "unsigned"))
            }
        })
    }

    /// ntfy with one topic.
    pub fn ntfy(token: &str, topic: &str) -> Self {
        let (bearer, topic) = (format!("Bearer {token}"), topic.to_owned());
        Self::start(move |request, body, count| {
            let no = |status: u16, code: u32, error: &str| {
                (false, Reply::json(status, json!({ "code": code, "http": status, "error": error })))
            };
            if request.header("authorization") != bearer {
                return no(401, 40101, "unauthorized");
            }
            if request.path == format!("/{topic}/auth") {
                return (false, Reply::json(200, json!({ "success": true })));
            }
            let message = body["message"].as_str().unwrap_or_default();
            let actions = body["actions"].as_array().map_or(0, Vec::len);
            match (body["topic"].as_str(), message.len()) {
                (Some(named), 1..=4096) if named == topic && actions <= 3 => (
                    true,
                    Reply::json(
                        200,
                        json!({ "id": format!("n{count}"), "event": "message", "topic": topic }),
                    ),
                ),
                (Some(named), _) if named != topic => no(403, 40301, "forbidden"),
                _ => no(400, 40024, "invalid request: message"),
            }
        })
    }

    /// The API server of Apprise with one configuration.
    pub fn apprise(key: &str) -> Self {
        let key = key.to_owned();
        Self::start(move |request, body, _| {
            if !request.path.ends_with(&format!("/{key}")) {
                return (false, Reply::text(204, "text/plain", ""));
            }
            if request.method == "GET" {
                return (false, Reply::json(200, json!({ "tags": [], "urls": [] })));
            }
            if body["body"].as_str().is_none_or(str::is_empty) {
                return (false, Reply::json(400, json!({ "error": "Payload lacks minimum requirements" })));
            }
            (true, Reply::json(200, json!({ "error": null })))
        })
    }
}

//! Slack, by `chat.postMessage` with a bot's token (a message has a number, and can be answered and changed), or by an incoming
//! webhook (it says `ok`, and that is all the proof there is).

mod blocks;

use http_client::{Call, Reply};
use serde_json::{Value, json};
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Said, Wire, by_status, fit, mark, quoted, words};
use crate::message::{Link, Message, html};
use crate::receipt::Receipt;

/// Slack advises 4,000 characters and cuts at 40,000.
const PART: usize = 4000;
/// Errors of the Web API that mean that a setting is wrong.
const CONFIG: &[&str] = &[
    "not_in_channel",
    "channel_not_found",
    "is_archived",
    "invalid_auth",
    "not_authed",
    "token_revoked",
    "token_expired",
    "account_inactive",
    "missing_scope",
    "no_permission",
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_non_threadable_channel",
    "user_is_restricted",
    "user_not_found",
    "org_login_required",
    "ekm_access_denied",
];

pub struct Slack {
    way: Way,
    name: String,
}

enum Way {
    Api { url: String, token: Secret, channel: String },
    Webhook(Secret),
}

impl Slack {
    /// Reads its settings: with a `channel` it speaks the Web API, else to a webhook.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let way = match reader.text("channel")? {
            Some(channel) => {
                let url = reader.text("url")?.unwrap_or_else(|| "https://slack.com/api".to_owned());
                let token = reader.need_secret("token", "SLACK_BOT_TOKEN")?;
                Way::Api { url: reader.address("url", Some(url))?, token, channel }
            }
            None => Way::Webhook(reader.secret_address("webhook", "SLACK_WEBHOOK_URL")?),
        };
        Ok(Slack { way, name: reader.name.to_owned() })
    }

    fn call(&self, url: &str, token: &Secret, payload: &Payload) -> Call {
        let call = Call::new("POST", format!("{url}/{}", payload.call)).json(&payload.body);
        call.header("Authorization", format!("Bearer {}", token.expose()))
    }

    /// Sends a payload once, as it is.
    fn send(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        match &self.way {
            Way::Api { url, token, .. } => {
                wire.deliver(permit, "Slack", self.call(url, token, payload), |reply| self.heard(reply))
            }
            Way::Webhook(url) => {
                let place = format!("webhook_file in [notify.channels.{}]", self.name);
                wire.deliver(permit, "Slack", Call::new("POST", url.expose()).json(&payload.body), |reply| {
                    match (reply.status, reply.body.trim()) {
                        (200, "ok") => Said::Sent(Receipt::default()),
                        (200, _) => Said::Unknown("Slack's webhook answers, but not with `ok`".to_owned()),
                        _ => by_status("Slack", &place, reply, &words(reply)),
                    }
                })
            }
        }
    }

    fn payload(&self, part: &str, links: &[Link]) -> Payload {
        let mut body = json!({
            "text": blocks::fallback(part, links), "mrkdwn": false, "blocks": [blocks::rich_text(part, links)],
            "unfurl_links": false, "unfurl_media": false,
        });
        match &self.way {
            Way::Webhook(_) => Payload::new("webhook", body),
            Way::Api { channel, .. } => {
                body["channel"] = json!(channel);
                Payload::new("chat.postMessage", body)
            }
        }
    }

    /// The Web API says no with HTTP 200.
    fn heard(&self, reply: &Reply) -> Said {
        let answer = reply.json().unwrap_or_default();
        let place = format!("[notify.channels.{}]", self.name);
        if reply.status != 200 {
            return by_status("Slack", &place, reply, &words(reply));
        }
        match (answer["ok"].as_bool(), answer["ts"].as_str(), answer["error"].as_str()) {
            (Some(true), Some(ts), _) => Said::Sent(Receipt::numbered(ts)),
            (Some(false), _, Some(error)) => refused(error, &place),
            _ => Said::Unknown("Slack says ok, but gives the message no number".to_owned()),
        }
    }
}

/// Changes the request so that the refusal does not come again; what was given up, or `None` if there is no way.
fn way_round(payload: &mut Payload, why: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let fields = payload.body.as_object_mut()?;
    if says(&["invalid_blocks", "msg_blocks_too_long", "block_mismatch"]) {
        return fields.remove("blocks").map(|_| "layout");
    }
    if says(&["message_not_found", "cant_update_message", "edit_window_closed"])
        && payload.call == "chat.update"
    {
        fields.remove("ts");
        "chat.postMessage".clone_into(&mut payload.call);
        return Some("edit");
    }
    if says(&[
        "thread_not_found",
        "invalid_thread_ts",
        "cannot_reply_to_message",
        "thread_locked",
        "message_not_found",
    ]) {
        fields.remove("reply_broadcast");
        return fields.remove("thread_ts").map(|_| "reply");
    }
    None
}

fn refused(error: &str, place: &str) -> Said {
    match error {
        "ratelimited" | "rate_limited" => {
            Said::Later { wait: None, reason: "rate", why: "Slack takes no more messages for now".to_owned() }
        }
        // "Some aspect of the operation may have succeeded."
        "fatal_error" | "internal_error" | "request_timeout" | "service_unavailable" => {
            Said::Unknown(format!("Slack says {error}: some of it may have been done"))
        }
        error if CONFIG.contains(&error) => Said::Refused(Failure::config(
            "channel",
            format!("Slack does not let us write: {error}; check channel and token in {place}"),
        )),
        error => {
            Said::Refused(Failure::failed("refused", format!("Slack refuses the message: {}", quoted(error))))
        }
    }
}

impl Channel for Slack {
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload> {
        let mut parts = fit(&message.html, PART, str::to_owned, |part| html::plain(part).chars().count());
        mark(&mut parts, message, earlier, str::to_owned);
        let last = parts.len().saturating_sub(1);
        let part = |(i, part): (usize, &String)| {
            let links = if i == last { message.links.as_slice() } else { &[] };
            self.payload(part, links)
        };
        let mut payloads: Vec<Payload> = parts.iter().enumerate().map(part).collect();
        if let (Some(first), Way::Api { .. }) = (payloads.first_mut(), &self.way) {
            if let Some(ts) = earlier.edit.as_ref().filter(|_| parts.len() == 1) {
                "chat.update".clone_into(&mut first.call);
                first.body["ts"] = json!(ts);
            } else if let Some(ts) = &earlier.reply_to {
                first.body["thread_ts"] = json!(ts);
                first.body["reply_broadcast"] = json!(true);
            }
        }
        payloads
    }

    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let mut payload = payload.clone();
        let mut degraded = Vec::new();
        // Each refusal that can be got round is got round once.
        for _ in 0..4 {
            match self.send(wire, permit, &payload)? {
                Said::Sent(receipt) => return Ok(Said::Sent(Receipt { degraded, ..receipt })),
                Said::Refused(failure) => {
                    let Some(given_up) = way_round(&mut payload, &failure.message) else {
                        return Ok(Said::Refused(failure));
                    };
                    let why = &failure.message;
                    wire.context
                        .voice
                        .warn(&format!("{}: {why}; the message goes without its {given_up}", self.name));
                    degraded.push(given_up.to_owned());
                }
                said => return Ok(said),
            }
        }
        Ok(Said::Refused(Failure::failed("refused", "Slack refuses the message in every form")))
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let Way::Api { url, token, channel } = &self.way else {
            return Ok("a webhook of Slack; it can only be proven by a message".to_owned());
        };
        let place = format!("[notify.channels.{}]", self.name);
        let ask = |method: &str, body: Value| -> Result<Value, Failure> {
            let reply =
                wire.question("Slack", self.call(url, token, &Payload::new(method, body)).asking())?;
            let answer = reply.json().unwrap_or_default();
            if let (300..=399, Said::Refused(failure)) =
                (reply.status, by_status("Slack", &place, &reply, &words(&reply)))
            {
                return Err(failure);
            }
            match answer["error"].as_str() {
                Some("missing_scope") if method == "conversations.info" => Ok(Value::Null),
                Some(error) => match refused(error, &place) {
                    Said::Refused(failure) => Err(failure),
                    _ => Err(Failure::temporary("unreachable", format!("Slack says {error}"))),
                },
                None if answer["ok"] == true => Ok(answer),
                None => {
                    Err(Failure::temporary("unreachable", format!("Slack answers HTTP {}", reply.status)))
                }
            }
        };
        let team = ask("auth.test", json!({}))?;
        let info = ask("conversations.info", json!({ "channel": channel }))?;
        let team = team["team"].as_str().unwrap_or("Slack").to_owned();
        Ok(match info["channel"]["name"].as_str() {
            Some(name) => format!("#{name} of {team}"),
            None => format!(
                "{team}; the token may not look at the channel {channel} (channels:read), so that is not proven"
            ),
        })
    }

    fn repeatable(&self, payload: &Payload) -> bool {
        payload.call == "chat.update"
    }
}

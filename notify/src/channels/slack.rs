//! Slack, by `chat.postMessage` with a bot's token (a message has a number, and can be answered and changed), or by an incoming
//! webhook (it says `ok`, and that is all the proof there is).

use http_client::{Call, Reply};
use serde_json::{Value, json};
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Receipt, Said, Wire, by_status, fit, mark, words};
use crate::html::{Dialect, translate};
use crate::message::Message;

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
        error => Said::Refused(Failure::failed("refused", format!("Slack refuses the message: {error}"))),
    }
}

impl Channel for Slack {
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload> {
        let mut parts =
            fit(&message.html, PART, |part| translate(part, &MRKDWN), |text| text.chars().count());
        mark(&mut parts, message, earlier, |text| translate(text, &MRKDWN));
        let links: Vec<String> = message.links.iter().map(|l| link(&l.url, &escape(&l.label))).collect();
        if let (Some(last), false) = (parts.last_mut(), links.is_empty()) {
            last.push_str(&format!("\n{}", links.join(" · ")));
        }
        let payload = |text: &String| match &self.way {
            Way::Webhook(_) => {
                Payload::new("webhook", json!({ "text": text, "unfurl_links": false, "unfurl_media": false }))
            }
            Way::Api { channel, .. } => Payload::new(
                "chat.postMessage",
                json!({ "channel": channel, "text": text, "unfurl_links": false, "unfurl_media": false }),
            ),
        };
        let mut payloads: Vec<Payload> = parts.iter().map(payload).collect();
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

    fn post(&self, wire: &Wire, _permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        match &self.way {
            Way::Api { url, token, .. } => {
                wire.deliver("Slack", self.call(url, token, payload), |reply| self.heard(reply))
            }
            Way::Webhook(url) => {
                let place = format!("webhook_file in [notify.channels.{}]", self.name);
                wire.deliver("Slack", Call::new("POST", url.expose()).json(&payload.body), |reply| {
                    match (reply.status, reply.body.trim()) {
                        (200, "ok") => Said::Sent(Receipt::default()),
                        (200, _) => Said::Unknown("Slack's webhook answers, but not with `ok`".to_owned()),
                        _ => by_status("Slack", &place, reply, &words(reply)),
                    }
                })
            }
        }
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let Way::Api { url, token, channel } = &self.way else {
            return Ok("a webhook of Slack; it can only be proven by a message".to_owned());
        };
        let place = format!("[notify.channels.{}]", self.name);
        let ask = |method: &str, body: Value| -> Result<Value, Failure> {
            let reply = wire.question("Slack", self.call(url, token, &Payload::new(method, body)))?;
            let answer = reply.json().unwrap_or_default();
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

/// Slack's own markup. Only `&`, `<` and `>` can be escaped.
const MRKDWN: Dialect = Dialect {
    around: |name| match name {
        "b" | "strong" => "*",
        "i" | "em" => "_",
        "s" | "strike" | "del" => "~",
        "code" => "`",
        "pre" => "```",
        _ => "",
    },
    quote: "> ",
    escape: |c, in_code| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        // It would end the code; this one looks like it.
        '`' if in_code => "ˋ".to_owned(),
        c => c.to_string(),
    },
    link,
    time: |unix, _, text| format!("<!date^{unix}^{{date_short_pretty}} {{time}}|{text}>"),
};

fn escape(text: &str) -> String {
    text.chars().map(|c| (MRKDWN.escape)(c, false)).collect()
}

fn link(url: &str, text: &str) -> String {
    let url = url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C");
    format!("<{url}|{text}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_mrkdwn() {
        let html = "<b>a &amp; b</b> <tg-time unix=\"7\" format=\"r\">then</tg-time>\n<blockquote expandable>• x\n• <code>y`z</code></blockquote>\n<a href=\"https://a.example/?b&amp;c\">d</a> &lt;!channel&gt;";
        let expected = "*a &amp; b* <!date^7^{date_short_pretty} {time}|then>\n> • x\n> • `yˋz`\n<https://a.example/?b&amp;c|d> &lt;!channel&gt;";
        assert_eq!(translate(html, &MRKDWN), expected);
    }
}

//! ntfy, which a team can run itself: another failure domain than the chat, and so a good fallback.

use http_client::Call;
use serde_json::{Value, json};
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Said, Wire, by_status, fit, mark, without_buttons, words};
use crate::message::Message;
use crate::message::html;
use crate::message::markup::cut;
use crate::receipt::Receipt;

/// 4,096 bytes, or it becomes an attachment; a mark has to fit too.
const MESSAGE: usize = 3900;
/// Buttons below a message; it refuses a fourth.
const BUTTONS: usize = 3;
/// Characters of a title: a phone shows fewer.
const TITLE: usize = 240;

pub struct Ntfy {
    url: String,
    topic: String,
    /// A topic may be open to all.
    token: Option<Secret>,
    place: String,
}

impl Ntfy {
    /// Reads its settings.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let topic = reader.need("topic")?;
        let usable = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if topic.is_empty() || topic.len() > 64 || !topic.bytes().all(usable) {
            return Err(
                reader.wrong("topic", &format!("`{topic}` is no topic: up to 64 letters, digits, - and _"))
            );
        }
        let url = reader.text("url")?.unwrap_or_else(|| "https://ntfy.sh".to_owned());
        let place = format!("[notify.channels.{}]", reader.name);
        let token = reader.secret("token", "NTFY_TOKEN")?;
        Ok(Ntfy { url: reader.address("url", Some(url))?, topic, token, place })
    }

    fn authorised(&self, call: Call) -> Call {
        match &self.token {
            Some(token) => call.header("Authorization", format!("Bearer {}", token.expose())),
            None => call,
        }
    }
}

impl Channel for Ntfy {
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload> {
        let (headline, rest) = message.headed();
        let plain = |part: &str| html::plain(part).trim().to_owned();
        let mut parts = fit(rest, MESSAGE, plain, str::len);
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() {
            parts = fit(&message.html, MESSAGE, plain, str::len);
        }
        mark(&mut parts, message, earlier, html::plain);
        let actions: Vec<Value> = message
            .links
            .iter()
            .take(BUTTONS)
            .map(|l| json!({ "action": "view", "label": cut(&l.label, 1, 60), "url": l.url }))
            .collect();
        let (priority, tag) = match (message.failed, message.silent) {
            (true, _) => (5, "rotating_light"),
            (false, true) => (2, "white_check_mark"),
            (false, false) => (3, "loudspeaker"),
        };
        let count = parts.len();
        let payload = |(i, part): (usize, &String)| {
            let number = if count > 1 { format!("({}/{count}) ", i + 1) } else { String::new() };
            let mut body = json!({
                "topic": self.topic, "title": format!("{number}{}", cut(&headline, 1, TITLE)), "message": part,
                "priority": priority, "tags": [tag],
            });
            if !actions.is_empty() {
                body["actions"] = json!(actions);
            }
            Payload::new("publish", body)
        };
        parts.iter().enumerate().map(payload).collect()
    }

    fn leaves_out(&self, message: &Message) -> Vec<String> {
        let mut left_out: Vec<String> = message.document.iter().map(|_| "document".to_owned()).collect();
        if message.headed().0.chars().count() > TITLE {
            left_out.push("title".to_owned());
        }
        without_buttons(message, BUTTONS, left_out)
    }

    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let call = self.authorised(Call::new("POST", format!("{}/", self.url)).json(&payload.body));
        wire.deliver(permit, "ntfy", call, |reply| {
            let answer = reply.json().unwrap_or_default();
            match (reply.status, answer["id"].as_str()) {
                (200, Some(id)) => Said::Sent(Receipt::numbered(id)),
                (200, None) => Said::Unknown("ntfy says ok, but gives the message no number".to_owned()),
                _ => by_status("ntfy", &self.place, reply, &words(reply)),
            }
        })
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let url = format!("{}/{}/auth", self.url, self.topic);
        let reply = wire.question("ntfy", self.authorised(Call::new("GET", url)))?;
        let place = format!("the topic {} at {}", self.topic, self.url);
        match by_status("ntfy", &self.place, &reply, &words(&reply)) {
            _ if reply.status == 200 => Ok(place),
            // ntfy gives reading and writing apart, and can only be asked about reading.
            _ if reply.status == 403 => Ok(format!(
                "{place}, which the token may not read; whether it may write is proven by a message"
            )),
            Said::Refused(failure) => Err(failure),
            _ => Err(Failure::temporary("unreachable", format!("ntfy answers HTTP {}", reply.status))),
        }
    }
}

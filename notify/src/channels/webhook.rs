//! A webhook of one's own, signed as <https://www.standardwebhooks.com> says. The receiver knows a message again by `webhook-id`, so
//! it may be sent twice.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_client::Call;
use ring::hmac;
use serde_json::json;
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Said, Wire, by_status, words};
use crate::message::Message;
use crate::receipt::Receipt;
use crate::time::now;

pub struct Webhook {
    url: String,
    /// Several while one takes the place of another.
    keys: Vec<hmac::Key>,
    place: String,
}

impl Webhook {
    /// Reads its settings.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let url = reader.address("url", None)?;
        let secret = reader.need_secret("secret", "NOTIFY_WEBHOOK_SECRET")?;
        let mut keys = Vec::new();
        for word in secret.expose().split_whitespace() {
            // Each one alone is as secret as all.
            let one = Secret::new(word);
            let bytes = one.expose().strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
            let wrong = || {
                Failure::config(
                    "secret",
                    format!("[notify.channels.{}]: a secret is whsec_ and base64 behind it", reader.name),
                )
            };
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes.filter(|b| !b.is_empty()).ok_or_else(wrong)?));
        }
        Ok(Webhook { url, keys, place: format!("[notify.channels.{}]", reader.name) })
    }

    /// `v1,` and the signature, for each key.
    fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let sign =
            |key: &hmac::Key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes()).as_ref()));
        self.keys.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

impl Channel for Webhook {
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload> {
        let kind = message.kind.replace('_', ".");
        let at = message.at.clone().unwrap_or_else(now);
        vec![Payload::new(
            format!("msg_{}", earlier.key),
            json!({ "type": kind, "timestamp": at, "data": message.data }),
        )]
    }

    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let body = payload.body.to_string();
        let timestamp = jiff::Timestamp::now().as_second();
        let call = Call::new("POST", &self.url)
            .header("webhook-id", &payload.call)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", self.signature(&payload.call, timestamp, &body))
            .body("application/json", body);
        wire.deliver(permit, "the webhook", call, |reply| match reply.status {
            200..=299 => Said::Sent(Receipt::numbered(&payload.call)),
            503 => Said::Later {
                wait: reply.retry_after().map(std::time::Duration::from_secs),
                reason: "unreachable",
                why: "the webhook is not available (503)".to_owned(),
            },
            _ => by_status("the webhook", &self.place, reply, &words(reply)),
        })
    }

    fn check(&self, _wire: &Wire) -> Result<String, Failure> {
        Ok(format!("a signed webhook ({}); it can only be proven by a message", self.url))
    }

    fn repeatable(&self, _payload: &Payload) -> bool {
        true
    }

    fn carries_data(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_specifications_own_example() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let webhook = Webhook {
            url: String::new(),
            keys: vec![hmac::Key::new(hmac::HMAC_SHA256, &key)],
            place: String::new(),
        };
        let signature =
            webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}

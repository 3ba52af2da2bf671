//! The API server of Apprise (caronc/apprise-api), for everything that has no file of its own here. It says that it has handed the
//! message on, and no more.

use http_client::Call;
use serde_json::json;
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Said, Wire, by_status, words};
use crate::message::markup::cut;
use crate::message::{Message, html};
use crate::receipt::Receipt;

/// What Apprise hands on of a title and a text (title_maxlen and body_maxlen of its plugins' base class); a service may take less,
/// and Apprise does not say so.
const TITLE: usize = 250;
const BODY: usize = 32_000;

pub struct Apprise {
    url: String,
    /// The configuration's name: whoever knows it can send.
    key: Secret,
    tag: Option<String>,
    place: String,
}

impl Apprise {
    /// Reads its settings.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let place = format!("[notify.channels.{}]", reader.name);
        Ok(Apprise {
            url: reader.address("url", None)?,
            key: reader.need_secret("key", "APPRISE_KEY")?,
            tag: reader.text("tag")?,
            place,
        })
    }
}

impl Channel for Apprise {
    fn payloads(&self, message: &Message, _earlier: &Earlier) -> Vec<Payload> {
        let (headline, body) = written(message);
        let kind = match (message.kind.as_str(), message.failed) {
            (_, true) => "failure",
            ("text", _) => "info",
            _ => "success",
        };
        let mut body = json!({ "title": cut(&headline, 1, TITLE), "body": cut(&body, usize::MAX, BODY), "type": kind, "format": "text" });
        if let Some(tag) = &self.tag {
            body["tag"] = json!(tag);
        }
        vec![Payload::new("notify", body)]
    }

    fn leaves_out(&self, message: &Message) -> Vec<String> {
        let (headline, body) = written(message);
        let long =
            |text: &str, most: usize, word: &str| (text.chars().count() > most).then(|| word.to_owned());
        let document = message.document.iter().map(|_| "document".to_owned());
        document.chain(long(&headline, TITLE, "title")).chain(long(&body, BODY, "text")).collect()
    }

    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let call =
            Call::new("POST", format!("{}/notify/{}", self.url, self.key.expose())).json(&payload.body);
        wire.deliver(permit, "Apprise", call, |reply| match reply.status {
            200 => Said::Sent(Receipt::default()),
            204 => Said::Refused(Failure::config(
                "channel",
                format!("Apprise has no configuration of this key: check key_file in {}", self.place),
            )),
            424 => Said::Unknown("Apprise could not notify all of its services (424)".to_owned()),
            _ => by_status("Apprise", &self.place, reply, &words(reply)),
        })
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let reply = wire.question(
            "Apprise",
            Call::new("GET", format!("{}/json/urls/{}?privacy=1", self.url, self.key.expose())),
        )?;
        match reply.status {
            200 => Ok(format!("a configuration of Apprise at {}", self.url)),
            204 => Err(Failure::config(
                "channel",
                format!("Apprise has no configuration of this key: check key_file in {}", self.place),
            )),
            status => match by_status("Apprise", &self.place, &reply, &words(&reply)) {
                Said::Refused(failure) => Err(failure),
                _ => Err(Failure::temporary("unreachable", format!("Apprise answers HTTP {status}"))),
            },
        }
    }
}

/// Title and text, with the mark in front and the links below.
fn written(message: &Message) -> (String, String) {
    let (headline, rest) = message.headed();
    let mut body = html::plain(rest).trim().to_owned();
    if body.is_empty() {
        body = html::plain(&message.html);
    }
    if let Some(mark) = &message.mark {
        body = format!("{}\n{body}", html::plain(mark));
    }
    for link in &message.links {
        body.push_str(&format!("\n{}: {}", link.label, link.url));
    }
    (headline, body)
}

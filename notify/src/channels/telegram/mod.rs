//! Telegram's Bot API. It has no idempotency key: a request whose answer is lost is not repeated here, unless it edits.

mod answers;
mod chat;
mod upload;

use http_client::Call;
use serde_json::{Value, json};
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Said, Wire, mark};
use crate::message::html;
use crate::message::markup::cut;
use crate::message::{Link, Message};
use crate::receipt::Receipt;

use answers::{Answer, read, refused, way_round};
use chat::{Chat, is_token};
use upload::multipart;

/// Telegram takes 4096; a mark and the numbers of the parts have to fit too.
const PART: usize = 3920;
/// Telegram's limit for what stands below a document.
const CAPTION: usize = 1000;

pub struct Telegram {
    chat: Chat,
    token: Secret,
    /// The Bot API's address.
    url: String,
    /// Where all of it is set, for messages.
    table: String,
    /// A topic that takes no messages may be left out.
    main_chat: bool,
}

impl Telegram {
    /// Reads its settings.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let mut chat = Chat::parse(&reader.need("chat_id")?).map_err(|why| reader.wrong("chat_id", &why))?;
        let key = reader.key("topic");
        chat.topic = reader.settings.optional(&key)?.or(chat.topic);
        if chat.topic == Some(1) {
            return Err(
                reader.wrong("topic", "1 is the general topic, which Telegram wants left out: remove it")
            );
        }
        let token = reader.need_secret("token", "TELEGRAM_BOT_TOKEN")?;
        if !reader.dry && !is_token(token.expose()) {
            let why = "the Telegram token does not look like one: 123456789:AbC... as @BotFather gives it";
            return Err(Failure::config("token", format!("[notify.channels.{}]: {why}", reader.name)));
        }
        let url = reader.text("url")?.unwrap_or_else(|| "https://api.telegram.org".to_owned());
        let table = format!("[notify.channels.{}]", reader.name);
        let main_chat = reader.settings.value(&reader.key("main_chat"))?;
        Ok(Telegram { chat, token, url: reader.address("url", Some(url))?, table, main_chat })
    }

    fn call(&self, payload: &Payload) -> Call {
        let url = format!("{}/bot{}/{}", self.url, self.token.expose(), payload.call);
        match payload.body.get("document") {
            Some(document) => multipart(Call::new("POST", url), &payload.body, document),
            None => Call::new("POST", url).json(&payload.body),
        }
    }

    fn send(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Answer, Failure> {
        let mut answer = None;
        let other =
            wire.deliver(permit, "Telegram", self.call(payload), |reply| match read(reply, &self.table) {
                Answer::Other(said) => said,
                heard => {
                    answer = Some(heard);
                    Said::Unknown(String::new())
                }
            })?;
        Ok(answer.unwrap_or(Answer::Other(other)))
    }

    fn refused(&self, code: u64, description: &str) -> Failure {
        refused(code, description, &self.chat.id, &format!("chat_id in {}", self.table))
    }

    fn body(&self, text: &str, message: &Message) -> Value {
        let mut body = json!({
            "chat_id": self.chat.value(), "text": text, "parse_mode": "HTML", "disable_notification": message.silent,
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(topic) = self.chat.topic {
            body["message_thread_id"] = json!(topic);
        }
        body
    }

    /// The document, with the message's first line below it; `parts` go before it, `earlier.parts` of which have arrived.
    fn document(&self, message: &Message, earlier: &Earlier, parts: usize) -> Option<Payload> {
        let document = message.document.as_ref()?;
        let mark = message.mark.as_ref().filter(|_| earlier.parts >= parts);
        let mark = mark.map(|mark| format!("{}\n", html::plain(mark))).unwrap_or_default();
        let caption = cut(&format!("{mark}{}", message.headline()), 9, CAPTION);
        let mut body = json!({
            "chat_id": self.chat.value(), "caption": caption, "disable_notification": true,
            "document": { "name": document.name, "text": document.text },
        });
        if let Some(topic) = self.chat.topic {
            body["message_thread_id"] = json!(topic);
        }
        Some(Payload { call: "sendDocument".to_owned(), body, extra: true })
    }
}

impl Channel for Telegram {
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload> {
        let mut parts = html::split(&message.html, PART);
        mark(&mut parts, message, earlier, str::to_owned);
        let parts = numbered(parts);
        let single = parts.len() == 1;
        let mut payloads: Vec<Payload> =
            parts.iter().map(|part| Payload::new("sendMessage", self.body(part, message))).collect();
        if let (Some(keyboard), Some(last)) = (keyboard(message), payloads.last_mut()) {
            last.body["reply_markup"] = keyboard;
        }
        let number = |id: &Option<String>| id.as_ref().and_then(|id| id.parse::<i64>().ok());
        if let Some(first) = payloads.first_mut() {
            if let Some(id) = number(&earlier.edit).filter(|_| single) {
                "editMessageText".clone_into(&mut first.call);
                first.body["message_id"] = json!(id);
            } else if let Some(id) = number(&earlier.reply_to) {
                first.body["reply_parameters"] =
                    json!({ "message_id": id, "allow_sending_without_reply": true });
            }
        }
        payloads.extend(self.document(message, earlier, parts.len()));
        payloads
    }

    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let mut payload = payload.clone();
        let mut degraded = Vec::new();
        // Each refusal that can be got round is got round once.
        for _ in 0..6 {
            match self.send(wire, permit, &payload)? {
                Answer::Other(said) => return Ok(said),
                Answer::Yes(result) => {
                    // Only a number is a proof. An edited message keeps the one it has.
                    let id = result["message_id"].as_i64().or_else(|| payload.body["message_id"].as_i64());
                    let Some(id) = id.map(|id| id.to_string()) else {
                        return Ok(Said::Unknown(
                            "Telegram says ok, but gives the message no number".to_owned(),
                        ));
                    };
                    let url = self.chat.link(&result["chat"], &id);
                    return Ok(Said::Sent(Receipt { id: Some(id), url, degraded }));
                }
                Answer::No { code, description, migrate_to } => {
                    let Some(way) = way_round(&mut payload, &description, migrate_to, self.main_chat) else {
                        return Ok(Said::Refused(self.refused(code, &description)));
                    };
                    wire.context.voice.warn(&format!("{} ({})", way.sentence, self.table));
                    degraded.push(way.given_up.to_owned());
                }
            }
        }
        Ok(Said::Refused(Failure::failed("refused", "Telegram refuses the message in every form")))
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let mut title = None;
        for (method, body) in [("getMe", json!({})), ("getChat", json!({ "chat_id": self.chat.value() }))] {
            let call = self.call(&Payload::new(method, body)).asking();
            match read(&wire.question("Telegram", call)?, &self.table) {
                Answer::Yes(result) => title = result["title"].as_str().map(str::to_owned),
                Answer::No { code, description, .. } => return Err(self.refused(code, &description)),
                Answer::Other(Said::Later { why, .. } | Said::Unknown(why)) => {
                    return Err(Failure::temporary("unreachable", why));
                }
                Answer::Other(Said::Refused(failure)) => return Err(failure),
                Answer::Other(Said::Sent(_)) => {}
            }
        }
        Ok(format!("the chat {}", title.as_deref().unwrap_or(&self.chat.id)))
    }

    fn repeatable(&self, payload: &Payload) -> bool {
        payload.call == "editMessageText"
    }

    fn leaves_out(&self, _message: &Message) -> Vec<String> {
        Vec::new()
    }
}

/// Parts say which of how many they are.
fn numbered(parts: Vec<String>) -> Vec<String> {
    let count = parts.len();
    if count == 1 {
        return parts;
    }
    parts.into_iter().enumerate().map(|(i, part)| format!("({}/{count})\n{part}", i + 1)).collect()
}

fn keyboard(message: &Message) -> Option<Value> {
    let button = |link: &Link| json!({ "text": cut(&link.label, 1, 60), "url": link.url });
    let buttons: Vec<Value> = message.links.iter().map(button).collect();
    let rows: Vec<&[Value]> = buttons.chunks(3).collect();
    (!rows.is_empty()).then(|| json!({ "inline_keyboard": rows }))
}

#[cfg(test)]
mod tests;

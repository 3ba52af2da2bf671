//! Telegram's Bot API. It has no idempotency key: a request whose answer is lost is not repeated here.

use http_client::{Call, Client, Reply};
use serde_json::{Value, json};
use step::{Context, Failure, Permit};

use super::{Channel, Delivery};
use crate::args;
use crate::markup;

pub struct Telegram<'a> {
    pub settings: &'a args::Telegram,
    pub client: &'a Client<'a>,
    pub context: &'a Context,
}

/// What Telegram said to a request.
enum Said {
    Yes(Value),
    No { code: u64, description: String, migrate_to: Option<i64> },
    Nothing(String),
}

impl Channel for Telegram<'_> {
    fn send(&self, permit: &Permit, html: &str, silent: bool) -> Result<Delivery, Failure> {
        let mut body = json!({
            "chat_id": self.chat(), "text": html, "parse_mode": "HTML", "disable_notification": silent,
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(topic) = self.settings.topic {
            body["message_thread_id"] = json!(topic);
        }
        // Each refusal that can be got round is got round once.
        for _ in 0..4 {
            match self.ask("sendMessage", &body)? {
                Said::Yes(result) => return Ok(Delivery::Sent(result["message_id"].to_string())),
                Said::Nothing(why) => return Ok(Delivery::Unknown(why)),
                Said::No { code, description, migrate_to } => {
                    if !self.get_round(permit, &mut body, &description, migrate_to) {
                        return Err(self.refused(code, &description));
                    }
                }
            }
        }
        Err(Failure::failed("refused", "Telegram refuses the message in every form"))
    }

    fn check(&self) -> Result<String, Failure> {
        for (method, body) in [("getMe", json!({})), ("getChat", json!({ "chat_id": self.chat() }))] {
            match self.ask(method, &body)? {
                Said::Yes(result) if method == "getChat" => {
                    return Ok(result["title"].as_str().unwrap_or("without a title").to_owned());
                }
                Said::Yes(_) => {}
                Said::No { code, description, .. } => return Err(self.refused(code, &description)),
                Said::Nothing(why) => {
                    return Err(Failure::temporary(
                        "unreachable",
                        format!("Telegram does not answer: {why}"),
                    ));
                }
            }
        }
        Err(Failure::bug("getChat was not asked"))
    }
}

impl Telegram<'_> {
    fn chat(&self) -> Value {
        self.settings.chat.parse::<i64>().map_or_else(|_| json!(self.settings.chat), |id| json!(id))
    }

    fn ask(&self, method: &str, body: &Value) -> Result<Said, Failure> {
        let url = format!("{}/bot{}/{method}", self.settings.url, self.settings.token.expose());
        // Only what was surely not carried out is sent again.
        let answer = self.client.persist(&Call::new("POST", url).json(body), false)?;
        let reply = match answer {
            Ok(reply) => reply,
            Err(lost) if lost.sent => return Ok(Said::Nothing(lost.why)),
            Err(lost) => {
                return Err(Failure::temporary(
                    "unreachable",
                    format!("Telegram cannot be reached: {}", lost.why),
                ));
            }
        };
        Ok(read(&reply))
    }

    /// Changes the request so that the refusal does not come again; false if there is no way.
    fn get_round(
        &self,
        _permit: &Permit,
        body: &mut Value,
        description: &str,
        migrate_to: Option<i64>,
    ) -> bool {
        let voice = &self.context.voice;
        if let Some(chat) = migrate_to.filter(|chat| body["chat_id"] != json!(chat)) {
            voice.warn(&format!("the group has become a supergroup: set chat_id = {chat}"));
            body["chat_id"] = json!(chat);
            return true;
        }
        let Some(fields) = body.as_object_mut() else { return false };
        if description.contains("message thread not found") && fields.remove("message_thread_id").is_some() {
            voice.warn("the chat has no such topic any more: set another one, or none; the message goes to the chat itself");
            return true;
        }
        if description.contains("can't parse entities") && fields.remove("parse_mode").is_some() {
            voice.warn(&format!(
                "Telegram does not take the layout ({description}); the message goes as plain text"
            ));
            let html = fields["text"].as_str().unwrap_or_default().to_owned();
            fields.insert("text".to_owned(), json!(markup::plain(&html)));
            return true;
        }
        false
    }

    fn refused(&self, code: u64, description: &str) -> Failure {
        let chat = &self.settings.chat;
        match code {
            401 | 404 => Failure::config(
                "token",
                format!("Telegram does not know the bot's token ({code} {description})"),
            ),
            403 => Failure::config("chat", format!("the bot may not write to {chat}: {description}")),
            400 if ["chat not found", "administrator rights", "not enough rights"]
                .iter()
                .any(|w| description.contains(w)) =>
            {
                Failure::config("chat", format!("the bot may not write to {chat} (chat_id): {description}"))
            }
            429 => {
                Failure::temporary("rate", format!("Telegram takes no more messages for now: {description}"))
            }
            _ => Failure::failed("refused", format!("Telegram refuses the message: {code} {description}")),
        }
    }
}

fn read(reply: &Reply) -> Said {
    let answer = reply.json().unwrap_or_default();
    if reply.status == 200 && answer["ok"] == true {
        return Said::Yes(answer["result"].clone());
    }
    // Something on the way, or Telegram itself, broke after the request had come.
    if reply.status >= 500 || !answer.is_object() {
        return Said::Nothing(format!("HTTP {}", reply.status));
    }
    Said::No {
        code: answer["error_code"].as_u64().unwrap_or(u64::from(reply.status)),
        description: answer["description"].as_str().unwrap_or_default().to_owned(),
        migrate_to: answer["parameters"]["migrate_to_chat_id"].as_i64(),
    }
}

//! Telegram's Bot API. It has no idempotency key: a request whose answer is lost is not repeated here, unless it edits.

use std::time::Duration;

use http_client::{Call, Reply};
use serde_json::{Value, json};
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Receipt, Said, Wire, mark};
use crate::html;
use crate::markup::cut;
use crate::message::Message;

/// Telegram takes 4096; a mark and the numbers of the parts have to fit too.
const PART: usize = 3920;
/// Telegram's limit for what stands below a document.
const CAPTION: usize = 1000;

pub struct Telegram {
    chat: Chat,
    token: Secret,
    /// The Bot API's address.
    url: String,
    /// Where the chat is set, for messages.
    place: String,
}

/// A chat, and perhaps a topic in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chat {
    /// A number, or `@name` of a public channel.
    id: String,
    topic: Option<i64>,
}

impl Chat {
    /// Reads `-1001234567890`, `-1001234567890:42`, `@name` and `https://t.me/c/1234567890/42`.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let link = text.strip_prefix("https://t.me/c/").or_else(|| text.strip_prefix("t.me/c/"));
        let (id, topic) = match link {
            Some(link) => {
                let mut words = link.split('/');
                (format!("-100{}", words.next().unwrap_or_default()), words.next().map(str::to_owned))
            }
            None => match text.split_once(':') {
                Some((id, topic)) => (id.to_owned(), Some(topic.to_owned())),
                None => (text.to_owned(), None),
            },
        };
        if text.starts_with('#') {
            return Err(format!(
                "`{text}` is what people call the chat; set its number (-100...), which Telegram knows it by"
            ));
        }
        let name = |n: &str| {
            (5..=32).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if id.parse::<i64>().is_err() && !id.strip_prefix('@').is_some_and(name) {
            return Err(format!(
                "`{text}` is no chat: a number like -1001234567890, or @name of a public channel or group (letters, digits and _)"
            ));
        }
        let topic =
            topic.map(|t| t.parse().map_err(|_| format!("`{t}` is no topic: a number is"))).transpose()?;
        Ok(Chat { id, topic })
    }

    fn value(&self) -> Value {
        self.id.parse::<i64>().map_or_else(|_| json!(self.id), |id| json!(id))
    }

    /// Where people find a message.
    fn link(&self, chat: &Value, message: &str) -> Option<String> {
        if let Some(name) = chat["username"].as_str() {
            return Some(format!("https://t.me/{name}/{message}"));
        }
        let id = chat["id"].as_i64().map_or_else(|| self.id.clone(), |id| id.to_string());
        let topic = self.topic.map(|t| format!("{t}/")).unwrap_or_default();
        Some(format!("https://t.me/c/{}/{topic}{message}", id.strip_prefix("-100")?))
    }
}

/// What Telegram said to a request.
enum Answer {
    Yes(Value),
    No { code: u64, description: String, migrate_to: Option<i64> },
    Other(Said),
}

impl Telegram {
    /// Reads its settings.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let mut chat = Chat::parse(&reader.need("chat_id")?).map_err(|why| reader.wrong("chat_id", &why))?;
        let key = reader.key("topic");
        chat.topic = reader.settings.number(&key)?.or(chat.topic);
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
        let place = format!("chat_id in [notify.channels.{}]", reader.name);
        Ok(Telegram { chat, token, url: reader.address("url", Some(url))?, place })
    }

    fn ask(&self, wire: &Wire, payload: &Payload) -> Result<Answer, Failure> {
        let url = format!("{}/bot{}/{}", self.url, self.token.expose(), payload.call);
        let call = match payload.body.get("document") {
            Some(document) => multipart(Call::new("POST", url), &payload.body, document),
            None => Call::new("POST", url).json(&payload.body),
        };
        let mut answer = None;
        let other = wire.deliver("Telegram", call, |reply| match read(reply) {
            Answer::Other(said) => said,
            heard => {
                answer = Some(heard);
                Said::Unknown(String::new())
            }
        })?;
        Ok(answer.unwrap_or(Answer::Other(other)))
    }

    /// Changes the request so that the refusal does not come again, and says what was given up; `None` if there is no way.
    fn get_round(
        &self,
        wire: &Wire,
        payload: &mut Payload,
        description: &str,
        migrate_to: Option<i64>,
    ) -> Option<&'static str> {
        let voice = &wire.context.voice;
        let place = &self.place;
        if let Some(chat) = migrate_to.filter(|chat| payload.body["chat_id"] != json!(chat)) {
            voice.warn(&format!("the group has become a supergroup: set chat_id = {chat} ({place})"));
            payload.body["chat_id"] = json!(chat);
            return Some("chat migrated");
        }
        let says = |words: &[&str]| words.iter().any(|w| description.contains(w));
        let fields = payload.body.as_object_mut()?;
        let (field, given_up, sentence) = if says(&["message thread not found"]) {
            (
                "message_thread_id",
                "topic",
                "the chat has no such topic any more: set another one, or none; the message goes to the chat itself",
            )
        } else if says(&["inline keyboard button", "BUTTON_", "reply markup is too long"]) {
            ("reply_markup", "buttons", "Telegram does not take the buttons; the message goes without them")
        } else if says(&["message to be replied not found"]) {
            ("reply_parameters", "reply", "the message to reply to is gone; this one stands alone")
        } else if says(&["message to edit not found", "message can't be edited"]) {
            "sendMessage".clone_into(&mut payload.call);
            ("message_id", "edit", "the message to edit is gone; a new one is sent")
        } else if says(&["can't parse entities", "ENTITIES_TOO_LONG"]) {
            let text = html::plain(fields.get("text").and_then(Value::as_str)?);
            fields.insert("text".to_owned(), json!(text));
            ("parse_mode", "layout", "Telegram does not take the layout; the message goes as plain text")
        } else {
            return None;
        };
        fields.remove(field)?;
        voice.warn(&format!("{sentence} ({description})"));
        Some(given_up)
    }

    fn refused(&self, code: u64, description: &str) -> Failure {
        let (chat, place) = (&self.chat.id, &self.place);
        let config = [
            "chat not found",
            "administrator rights",
            "not enough rights",
            "chat_id is empty",
            "PEER_ID_INVALID",
        ];
        match code {
            401 | 404 | 421 => Failure::config(
                "token",
                format!("Telegram does not know the bot's token ({code} {description})"),
            ),
            403 => {
                Failure::config("chat", format!("the bot may not write to {chat} ({place}): {description}"))
            }
            400 if config.iter().any(|w| description.contains(w)) => {
                Failure::config("chat", format!("the bot may not write to {chat} ({place}): {description}"))
            }
            _ => Failure::failed("refused", format!("Telegram refuses the message: {code} {description}")),
        }
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

    fn document(&self, message: &Message) -> Option<Payload> {
        let document = message.document.as_ref()?;
        let caption = cut(&message.headline(), 1, CAPTION);
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
        payloads.extend(self.document(message));
        payloads
    }

    fn post(&self, wire: &Wire, _permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let mut payload = payload.clone();
        let mut degraded = Vec::new();
        // Each refusal that can be got round is got round once.
        for _ in 0..6 {
            match self.ask(wire, &payload)? {
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
                    match self.get_round(wire, &mut payload, &description, migrate_to) {
                        Some(given_up) => degraded.push(given_up.to_owned()),
                        None => return Ok(Said::Refused(self.refused(code, &description))),
                    }
                }
            }
        }
        Ok(Said::Refused(Failure::failed("refused", "Telegram refuses the message in every form")))
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let mut title = None;
        for (method, body) in [("getMe", json!({})), ("getChat", json!({ "chat_id": self.chat.value() }))] {
            match self.ask(wire, &Payload::new(method, body))? {
                Answer::Yes(result) => title = result["title"].as_str().map(str::to_owned),
                Answer::No { code, description, .. } => return Err(self.refused(code, &description)),
                Answer::Other(Said::Later { why, .. } | Said::Unknown(why)) => {
                    return Err(Failure::temporary(
                        "unreachable",
                        format!("Telegram does not answer: {why}"),
                    ));
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
}

/// `^[1-9]\d*:[A-Za-z0-9_-]{30,}$`, at most 80 bytes (the Bot API server's own rule).
fn is_token(text: &str) -> bool {
    let Some((id, key)) = text.split_once(':') else { return false };
    let key_like = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let id_like = !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
    id_like && key.len() >= 30 && key.bytes().all(key_like) && text.len() <= 80
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
    let button = |link: &crate::message::Link| json!({ "text": cut(&link.label, 1, 60), "url": link.url });
    let buttons: Vec<Value> = message.links.iter().map(button).collect();
    let rows: Vec<&[Value]> = buttons.chunks(3).collect();
    (!rows.is_empty()).then(|| json!({ "inline_keyboard": rows }))
}

/// `multipart/form-data`, as uploads need it.
fn multipart(call: Call, body: &Value, document: &Value) -> Call {
    let text = document["text"].as_str().unwrap_or_default();
    let mut boundary = "rilis-notify-part".to_owned();
    while text.contains(&boundary) {
        boundary.push('x');
    }
    let mut out = String::new();
    for (name, value) in body.as_object().into_iter().flatten().filter(|(name, _)| *name != "document") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    let name = document["name"].as_str().unwrap_or("log.txt");
    out.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"document\"; filename=\"{name}\"\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--{boundary}--\r\n"
    ));
    call.body(&format!("multipart/form-data; boundary={boundary}"), out)
}

fn read(reply: &Reply) -> Answer {
    let answer = reply.json().unwrap_or_default();
    if reply.status == 200 && answer["ok"] == true {
        return Answer::Yes(answer["result"].clone());
    }
    let description = answer["description"].as_str().unwrap_or_default().to_owned();
    let code = answer["error_code"].as_u64().unwrap_or(u64::from(reply.status));
    if code == 429 {
        let wait = answer["parameters"]["retry_after"].as_u64().or_else(|| reply.retry_after());
        let why = format!("Telegram takes no more messages for now: {description}");
        return Answer::Other(Said::Later { wait: wait.map(Duration::from_secs), reason: "rate", why });
    }
    // Telegram's own 500 comes before anything is done; anything on the way may have handed the message on.
    if answer["ok"] == false && code == 500 {
        return Answer::Other(Said::Later {
            wait: None,
            reason: "unreachable",
            why: format!("Telegram: {description}"),
        });
    }
    if reply.status == 413 {
        return Answer::No { code: 413, description: "the upload is too large".to_owned(), migrate_to: None };
    }
    if reply.status >= 500 || answer["ok"] != false {
        return Answer::Other(Said::Unknown(format!("Telegram answers HTTP {}", reply.status)));
    }
    if description.contains("message is not modified") {
        return Answer::Yes(json!({}));
    }
    Answer::No { code, description, migrate_to: answer["parameters"]["migrate_to_chat_id"].as_i64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_written_in_several_ways() {
        let chat = |id: &str, topic| Ok(Chat { id: id.to_owned(), topic });
        assert_eq!(Chat::parse("-1001234567890"), chat("-1001234567890", None));
        assert_eq!(Chat::parse("-1001234567890:42"), chat("-1001234567890", Some(42)));
        assert_eq!(Chat::parse("https://t.me/c/1234567890/42"), chat("-1001234567890", Some(42)));
        assert_eq!(Chat::parse("@luxima_alerts"), chat("@luxima_alerts", None));
        for (wrong, why) in [
            ("#luxima-alerts", "what people call"),
            ("@luxima-alerts", "letters"),
            ("luxima", "no chat"),
            ("-100:x", "topic"),
            ("", "no chat"),
        ] {
            assert!(Chat::parse(wrong).expect_err(wrong).contains(why), "{wrong}");
        }
    }

    #[test]
    fn tokens_have_a_shape() {
        assert!(is_token("123456789:AAH7dT2mXw9rB4_AAH7dT2mXw9rB4-"));
        for wrong in [
            "",
            "123456789",
            "0123:AAH7dT2mXw9rB4_AAH7dT2mXw9rB4-",
            "12:short",
            "123456789:AAH7dT2mXw9rB4_AAH7dT2mXw9rB4/",
        ] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_message_has_an_address() {
        let chat = Chat { id: "-1001234567890".into(), topic: Some(42) };
        assert_eq!(
            chat.link(&json!({ "id": -1_001_234_567_890_i64 }), "7").as_deref(),
            Some("https://t.me/c/1234567890/42/7")
        );
        assert_eq!(
            chat.link(&json!({ "username": "luxima" }), "7").as_deref(),
            Some("https://t.me/luxima/7")
        );
        assert_eq!(Chat { id: "-77".into(), topic: None }.link(&json!({}), "7"), None);
    }

    fn telegram() -> Telegram {
        let chat = Chat { id: "-1001234567890".into(), topic: None };
        Telegram { chat, token: Secret::new(""), url: String::new(), place: String::new() }
    }

    /// What the chat would show; the stand-in's parser is another one than ours, and as strict as the real one.
    fn shown(message: &Message) -> String {
        let payloads = telegram().payloads(message, &Earlier::default());
        let count = payloads.iter().filter(|p| p.call == "sendMessage").count();
        let part = |(i, payload): (usize, &Payload)| {
            let raw = payload.body["text"].as_str().expect("a text");
            let text = testkit::telegram_html::plain(raw).unwrap_or_else(|e| panic!("{e}: {raw}"));
            assert!((1..=4096).contains(&text.encode_utf16().count()) && raw.len() <= 32768, "{}", raw.len());
            if count == 1 {
                text
            } else {
                text.strip_prefix(&format!("({}/{count})\n", i + 1)).expect("a number").to_owned()
            }
        };
        let parts = payloads.iter().filter(|p| p.call == "sendMessage").enumerate().map(part);
        parts.collect::<Vec<_>>().join("")
    }

    /// Without what is not seen: the word joiners that keep people from being called, and line ends at seams.
    fn seen(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace() && *c != '\u{2060}').collect()
    }

    fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let piece = prop_oneof![
            any::<String>(),
            proptest::collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect()),
            proptest::sample::select(vec![
                "<Vec<T>>",
                "a_b",
                "*x*",
                "`",
                "```",
                "&lt;",
                "&amp;amp;",
                "&#60;",
                "<b>",
                "</b>",
                "<a href=\"x",
                "\u{1b}[31mred\u{1b}[0m",
                "\u{1b}]0;title\u{7}",
                "\u{202e}gnp.exe",
                "\u{200f}",
                "🚨",
                "👩‍👩‍👧",
                "\r\n",
                "\n\n\n",
                "\t",
                "\0",
                "@channel",
                "@rina",
                "#tag",
                "null",
                "{{ x }}",
                "{% for %}",
                "https://a.example/?b=1&c=2",
                "\u{2028}",
                " ",
                "'\"",
                "ä",
                "漢字",
                "]]>",
                "<!--",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 64, failure_persistence: None, ..Default::default() })]

        #[test]
        fn whatever_somebody_writes_arrives(text in hostile(), times in 1..16_usize) {
            let text = text.repeat(times);
            let cleaned = crate::markup::clean(&step::scrub(&text));
            match Message::written(&text, false, &[], "r".into()) {
                Ok(message) => assert_eq!(seen(&shown(&message)), seen(&cleaned)),
                Err(failure) => assert!(failure.reason == "text" && seen(&cleaned).is_empty(), "{failure:?}: {text:?}"),
            }
        }

        #[test]
        fn whatever_stands_in_a_document_is_taken(text in hostile(), which in 0..6_usize, failed: bool, lang in proptest::sample::select(vec!["en", "id"])) {
            let procedure = ["candidate", "release", "hotfix", "rollback", "manual", text.as_str()][which];
            let mut value = serde_json::json!({ "schema": 1, "id": "x", "procedure": procedure, "mode": "apply", "opened": "2026-11-24T12:00:00Z",
                "facts": { "product": text, "version": text, "tag": text, "environment": text, "notes": format!("- {text}"), "live": text,
                    "previous": { "version": text }, "replaces": { "version": text, "run": text }, "urls": [text],
                    "snapshot": { "source": "x", "id": text, "taken_at": text },
                    "loss": { "from": text, "to": text, "seconds": 7, "rows": 2, "kept_in": text } },
                "steps": [{ "name": text, "action": text, "status": text, "started": text, "ms": 1, "summary": text }] });
            if failed {
                value["failure"] = serde_json::json!({ "step": text, "reason": text, "acted": text, "message": text, "causes": [text, text], "next": text });
            }
            let document = step::Document::parse(value.to_string().as_bytes()).expect("a document");
            let quiet = &mut |why: String| panic!("{why}");
            let layout = crate::templates::Layout::new(lang, None, quiet);
            let message = Message::about(&document, None, &[], &layout, quiet);
            let shown = shown(&message);
            if failed {
                let line = crate::markup::clean(&step::scrub(&text));
                let line = cut(line.lines().next().unwrap_or_default(), 1, 100);
                assert!(seen(&shown).contains(&seen(line.trim_end_matches('…'))), "{text:?}: {shown}");
            }
        }
    }
}

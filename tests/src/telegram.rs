//! Telegram's Bot API with one chat: it keeps what the chat has received, and refuses what the real one would refuse.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};
use crate::telegram_html;

/// A message as the chat has received it.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// The text that was sent.
    pub raw: String,
    /// The text that people read.
    pub text: String,
    /// The topic.
    pub thread: Option<i64>,
    /// Without a sound.
    pub silent: bool,
    /// The message that it answers.
    pub reply_to: Option<i64>,
    /// Label and address of each button.
    pub buttons: Vec<(String, String)>,
    /// Name and content of a document.
    pub document: Option<(String, String)>,
    /// How often it was changed.
    pub edits: usize,
}

#[derive(Default)]
struct State {
    token: String,
    chat: i64,
    moved_to: Option<i64>,
    threads: Vec<i64>,
    messages: Vec<Message>,
}

/// The stand-in.
pub struct Telegram {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Telegram {
    /// Starts with one bot and one chat.
    pub fn start(token: &str, chat: i64) -> Self {
        let state = Arc::new(Mutex::new(State { token: token.into(), chat, ..State::default() }));
        let ours = Arc::clone(&state);
        Telegram { server: Server::start(move |request| answer(&ours, request)), state }
    }

    /// The HTTP side: URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What the chat has received.
    pub fn messages(&self) -> Vec<Message> {
        self.state.lock().expect("Telegram's state").messages.clone()
    }

    /// The chat becomes a supergroup with another id.
    pub fn migrate(&self, to: i64) {
        self.state.lock().expect("Telegram's state").moved_to = Some(to);
    }

    /// The chat has this topic.
    pub fn topic(&self, thread: i64) {
        self.state.lock().expect("Telegram's state").threads.push(thread);
    }

    /// Somebody deletes a message; the others keep their numbers.
    pub fn delete(&self, id: u64) {
        self.state.lock().expect("Telegram's state").messages.retain(|m| m.id != id);
    }
}

/// The answer to a request that is refused.
pub fn refusal(code: u16, description: &str) -> Reply {
    Reply::json(code, json!({ "ok": false, "error_code": code, "description": description }))
}

/// The answer to too many requests.
pub fn too_many(seconds: u64) -> Reply {
    let description = format!("Too Many Requests: retry after {seconds}");
    let parameters = json!({ "retry_after": seconds });
    let body =
        json!({ "ok": false, "error_code": 429, "description": description, "parameters": parameters });
    Reply::json(429, body).with("Retry-After", seconds)
}

fn answer(state: &Mutex<State>, request: &Request) -> Reply {
    let mut state = state.lock().expect("Telegram's state");
    if request.path == "/sandbox/messages" {
        return Reply::text(200, "text/plain; charset=utf-8", state.shown());
    }
    let segments = request.segments();
    let [bot, method] = segments[..] else { return refusal(404, "Not Found") };
    let token = bot.strip_prefix("bot").unwrap_or_default();
    if !token.contains(':') {
        return refusal(404, "Not Found");
    }
    if token != state.token {
        return refusal(401, "Unauthorized");
    }
    let body = request.json().or_else(|| form(request)).unwrap_or_default();
    let done = match method.to_ascii_lowercase().as_str() {
        "getme" => {
            return ok(&json!({ "id": 1, "is_bot": true, "first_name": "rilis", "username": "rilis_bot" }));
        }
        "getchat" => state
            .right_chat(&body)
            .map(|()| json!({ "id": state.chat, "type": "supergroup", "title": "luxima alerts" })),
        "sendmessage" => state.send(&body),
        "senddocument" => state.send_document(&body),
        "editmessagetext" => state.edit(&body),
        _ => return refusal(404, "Not Found: method not found"),
    };
    done.map_or_else(|refused| refused, |result| ok(&result))
}

fn ok(result: &Value) -> Reply {
    Reply::json(200, json!({ "ok": true, "result": result }))
}

/// `multipart/form-data`: numbers and words as they are, files as `{name, text}`.
fn form(request: &Request) -> Option<Value> {
    let (_, boundary) = request.header("content-type").split_once("boundary=")?;
    let body = String::from_utf8(request.body.clone()).ok()?;
    let mut fields = serde_json::Map::new();
    for part in body.split(&format!("--{boundary}")).filter(|p| p.starts_with("\r\n")) {
        let (head, content) = part.trim_start_matches("\r\n").split_once("\r\n\r\n")?;
        let quoted =
            |key: &str| Some(head.split_once(&format!(" {key}=\""))?.1.split_once('"')?.0.to_owned());
        let content = content.strip_suffix("\r\n")?;
        let value = match quoted("filename") {
            Some(name) => json!({ "name": name, "text": content }),
            None => serde_json::from_str(content).unwrap_or_else(|_| json!(content)),
        };
        fields.insert(quoted("name")?, value);
    }
    Some(Value::Object(fields))
}

type Done = Result<Value, Reply>;

fn no<T>(description: &str) -> Result<T, Reply> {
    Err(refusal(400, &format!("Bad Request: {description}")))
}

impl State {
    fn right_chat(&self, body: &Value) -> Result<(), Reply> {
        let chat = body.get("chat_id");
        let chat = chat
            .and_then(Value::as_i64)
            .or_else(|| chat.and_then(Value::as_str).and_then(|c| c.parse().ok()));
        match (chat, self.moved_to) {
            (Some(chat), Some(to)) if chat == to => Ok(()),
            (Some(chat), Some(to)) if chat == self.chat => {
                let description = "Bad Request: group chat was upgraded to a supergroup chat";
                let parameters = json!({ "migrate_to_chat_id": to });
                let body = json!({ "ok": false, "error_code": 400, "description": description, "parameters": parameters });
                Err(Reply::json(400, body))
            }
            (Some(chat), None) if chat == self.chat => Ok(()),
            (None, _) => no("chat_id is empty"),
            _ => no("chat not found"),
        }
    }

    /// Chat and topic; the topic.
    fn place(&self, body: &Value) -> Result<Option<i64>, Reply> {
        self.right_chat(body)?;
        let thread = body.get("message_thread_id").and_then(Value::as_i64);
        if thread.is_some_and(|t| !self.threads.contains(&t)) {
            return no("message thread not found");
        }
        Ok(thread)
    }

    fn reply_to(&self, body: &Value) -> Result<Option<i64>, Reply> {
        let Some(reply) = body.get("reply_parameters") else { return Ok(None) };
        let id = reply["message_id"].as_i64();
        let there = id.is_some_and(|id| self.messages.iter().any(|m| i64::try_from(m.id) == Ok(id)));
        match (there, reply["allow_sending_without_reply"] == true) {
            (true, _) => Ok(id),
            (false, true) => Ok(None),
            (false, false) => no("message to be replied not found"),
        }
    }

    fn send(&mut self, body: &Value) -> Done {
        let thread = self.place(body)?;
        let (raw, text) = text(body)?;
        let buttons = buttons(body)?;
        let reply_to = self.reply_to(body)?;
        self.keep(body, Message { raw, text, thread, buttons, reply_to, ..Message::default() })
    }

    fn send_document(&mut self, body: &Value) -> Done {
        let thread = self.place(body)?;
        let name = body["document"]["name"].as_str().unwrap_or_default().to_owned();
        let content = body["document"]["text"].as_str().unwrap_or_default().to_owned();
        if content.is_empty() {
            return no("file must be non-empty");
        }
        let caption = body["caption"].as_str().unwrap_or_default().to_owned();
        if caption.encode_utf16().count() > 1024 {
            return no("message caption is too long");
        }
        let reply_to = self.reply_to(body)?;
        let document = Some((name, content));
        self.keep(
            body,
            Message { raw: caption.clone(), text: caption, thread, document, reply_to, ..Message::default() },
        )
    }

    fn keep(&mut self, body: &Value, message: Message) -> Done {
        let id = 100 + self.messages.len() as u64;
        let silent = body.get("disable_notification").and_then(Value::as_bool).unwrap_or_default();
        self.messages.push(Message { id, silent, ..message });
        Ok(self.described(id))
    }

    fn described(&self, id: u64) -> Value {
        let chat = json!({ "id": self.moved_to.unwrap_or(self.chat), "type": "supergroup", "title": "luxima alerts" });
        json!({ "message_id": id, "date": jiff::Timestamp::now().as_second(), "chat": chat })
    }

    fn edit(&mut self, body: &Value) -> Done {
        self.right_chat(body)?;
        let id = body["message_id"].as_u64().unwrap_or_default();
        let (raw, text) = text(body)?;
        let buttons = buttons(body)?;
        let Some(message) = self.messages.iter_mut().find(|m| m.id == id) else {
            return no("message to edit not found");
        };
        if (&message.raw, &message.buttons) == (&raw, &buttons) {
            return no(
                "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
            );
        }
        (message.raw, message.text, message.buttons) = (raw, text, buttons);
        message.edits += 1;
        Ok(self.described(id))
    }

    /// The chat as people see it.
    fn shown(&self) -> String {
        let shown = |m: &Message| {
            let buttons: String =
                m.buttons.iter().map(|(label, url)| format!("\n[ {label} ] {url}")).collect();
            let document = m.document.as_ref().map(|(name, _)| format!("📎 {name}\n")).unwrap_or_default();
            format!("{document}{}{buttons}", m.text)
        };
        format!("{}\n", self.messages.iter().map(shown).collect::<Vec<_>>().join("\n\n----\n\n"))
    }
}

/// The text as it was sent and as it is read, if it is one that Telegram takes.
fn text(body: &Value) -> Result<(String, String), Reply> {
    let raw = body.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    if raw.len() > 32768 {
        return no("text is too long");
    }
    let text = match body.get("parse_mode").and_then(Value::as_str) {
        Some("HTML") => telegram_html::plain(&raw).or_else(|complaint| no(&complaint))?,
        Some(_) => return no("unsupported parse_mode"),
        None => raw.clone(),
    };
    // Control characters become spaces, and what turns the direction of writing around is removed.
    let clean = |c: char| match c {
        '\r' | '\u{2028}'..='\u{202e}' => None,
        c if c < ' ' && c != '\n' => Some(' '),
        c => Some(c),
    };
    let text: String = text.chars().filter_map(clean).collect::<String>().trim().to_owned();
    match text.encode_utf16().count() {
        0 if raw.is_empty() => no("message text is empty"),
        0 => no("text must be non-empty"),
        1..=4096 => Ok((raw, text)),
        _ => no("message is too long"),
    }
}

/// A button's host must have a dot, or the whole message is refused.
fn buttons(body: &Value) -> Result<Vec<(String, String)>, Reply> {
    let rows = body["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for button in rows.iter().filter_map(Value::as_array).flatten() {
        let (label, url) =
            (button["text"].as_str().unwrap_or_default(), button["url"].as_str().unwrap_or_default());
        let host = url
            .split_once("://")
            .map_or("", |(_, rest)| rest.split(['/', ':', '?']).next().unwrap_or_default());
        if label.is_empty() {
            return no("text buttons are unallowed in the inline keyboard");
        }
        if !host.contains('.') {
            return no(&format!("inline keyboard button URL '{url}' is invalid: Wrong HTTP URL"));
        }
        found.push((label.to_owned(), url.to_owned()));
    }
    Ok(found)
}

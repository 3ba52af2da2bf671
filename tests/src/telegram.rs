//! Telegram's Bot API with one chat: it keeps what the chat has received, and refuses what the real one would refuse.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};
use crate::telegram_html;

/// A message as the chat has received it.
#[derive(Clone, Debug)]
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
        let texts: Vec<String> = state.messages.iter().map(|m| m.text.clone()).collect();
        return Reply::text(200, "text/plain; charset=utf-8", format!("{}\n", texts.join("\n\n----\n\n")));
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
    let body = request.json().unwrap_or_default();
    match method.to_ascii_lowercase().as_str() {
        "getme" => ok(&json!({ "id": 1, "is_bot": true, "first_name": "rilis", "username": "rilis_bot" })),
        "getchat" => match state.refuse_chat(&body) {
            Some(refused) => refused,
            None => ok(&json!({ "id": state.chat, "type": "supergroup", "title": "luxima alerts" })),
        },
        "sendmessage" => state.send(&body),
        _ => refusal(404, "Not Found: method not found"),
    }
}

fn ok(result: &Value) -> Reply {
    Reply::json(200, json!({ "ok": true, "result": result }))
}

impl State {
    fn refuse_chat(&self, body: &Value) -> Option<Reply> {
        let chat = body.get("chat_id");
        let chat = chat
            .and_then(Value::as_i64)
            .or_else(|| chat.and_then(Value::as_str).and_then(|c| c.parse().ok()));
        match (chat, self.moved_to) {
            (Some(chat), Some(to)) if chat == to => None,
            (Some(chat), Some(to)) if chat == self.chat => {
                let description = "Bad Request: group chat was upgraded to a supergroup chat";
                let parameters = json!({ "migrate_to_chat_id": to });
                let body = json!({ "ok": false, "error_code": 400, "description": description, "parameters": parameters });
                Some(Reply::json(400, body))
            }
            (Some(chat), None) if chat == self.chat => None,
            _ => Some(refusal(400, "Bad Request: chat not found")),
        }
    }

    fn send(&mut self, body: &Value) -> Reply {
        if let Some(refused) = self.refuse_chat(body) {
            return refused;
        }
        let thread = body.get("message_thread_id").and_then(Value::as_i64);
        if thread.is_some_and(|t| !self.threads.contains(&t)) {
            return refusal(400, "Bad Request: message thread not found");
        }
        let raw = body.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        let text = match body.get("parse_mode").and_then(Value::as_str) {
            Some("HTML") => match telegram_html::plain(&raw) {
                Ok(text) => text,
                Err(complaint) => return refusal(400, &format!("Bad Request: {complaint}")),
            },
            Some(_) => return refusal(400, "Bad Request: unsupported parse_mode"),
            None => raw.clone(),
        };
        match text.encode_utf16().count() {
            0 => return refusal(400, "Bad Request: message text is empty"),
            1..=4096 => {}
            _ => return refusal(400, "Bad Request: message is too long"),
        }
        let id = 100 + self.messages.len() as u64;
        let silent = body.get("disable_notification").and_then(Value::as_bool).unwrap_or_default();
        self.messages.push(Message { id, raw, text, thread, silent });
        let chat = json!({ "id": self.moved_to.unwrap_or(self.chat), "type": "supergroup", "title": "luxima alerts" });
        ok(&json!({ "message_id": id, "date": jiff::Timestamp::now().as_second(), "chat": chat }))
    }
}

//! What Telegram's answers mean. The descriptions are those of its own servers (tdlib/telegram-bot-api, and the errors of MTProto that it
//! hands on, such as `TOPIC_CLOSED`); most have no other code than 400.

use std::time::Duration;

use http_client::Reply;
use serde_json::{Value, json};
use step::Failure;

use crate::channels::{Payload, Said, moved, quoted};
use crate::message::html;

/// What Telegram said to a request.
pub(super) enum Answer {
    Yes(Value),
    No { code: u64, description: String, migrate_to: Option<i64> },
    Other(Said),
}

/// Reads an answer. `place` is where the address is set.
pub(super) fn read(reply: &Reply, place: &str) -> Answer {
    let answer = reply.json().unwrap_or_default();
    if reply.status == 200 && answer["ok"] == true {
        return Answer::Yes(answer["result"].clone());
    }
    if (300..400).contains(&reply.status) {
        return Answer::Other(Said::Refused(moved("Telegram", place, reply)));
    }
    let description = quoted(answer["description"].as_str().unwrap_or_default());
    let code = answer["error_code"].as_u64().unwrap_or(u64::from(reply.status));
    if code == 429 {
        let wait = answer["parameters"]["retry_after"].as_u64().or_else(|| reply.retry_after());
        let why = format!("Telegram takes no more messages for now: {description}");
        return Answer::Other(Said::Later { wait: wait.map(Duration::from_secs), reason: "rate", why });
    }
    // Telegram's own 500 comes before anything is done; anything on the way may have handed the message on.
    if answer["ok"] == false && code == 500 {
        let why = format!("Telegram: {description}");
        return Answer::Other(Said::Later { wait: None, reason: "unreachable", why });
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

/// A topic that takes no messages; the chat itself may.
const TOPIC: &[&str] = &[
    "message thread not found",
    "message thread is closed",
    "TOPIC_CLOSED",
    "TOPIC_DELETED",
    "TOPIC_ID_INVALID",
    "TOPIC_NOT_FOUND",
    "MESSAGE_THREAD_INVALID",
    "topic was closed",
    "topic was deleted",
    "topic is closed",
    "topic not found",
];
/// Rights that the bot lacks; where a topic is set, the chat itself may give them.
const RIGHTS: &[&str] = &[
    "CHAT_WRITE_FORBIDDEN",
    "CHAT_SEND_PLAIN_FORBIDDEN",
    "CHAT_SEND_TEXT_FORBIDDEN",
    "CHAT_RESTRICTED",
    "CHAT_GUEST_SEND_FORBIDDEN",
    "not enough rights",
    "have no rights to send a message",
    "need administrator rights",
];
/// A chat that cannot be written to; nothing in the request would change that.
const CHAT: &[&str] = &[
    "chat not found",
    "chat_id is empty",
    "group chat was upgraded",
    "group chat was deactivated",
    "group is deactivated",
    "the group chat was deleted",
    "bot was kicked",
    "bot was blocked",
    "bot is not a member",
    "bot can't initiate conversation",
    "bot can't send messages to",
    "user is deactivated",
    "user not found",
    "PEER_ID_INVALID",
    "CHAT_ID_INVALID",
    "CHAT_ADMIN_REQUIRED",
    "CHANNEL_INVALID",
    "CHANNEL_PRIVATE",
    "CHAT_FORBIDDEN",
    "INPUT_USER_DEACTIVATED",
    "USER_BANNED_IN_CHANNEL",
    "USER_DEACTIVATED",
    "USER_IS_BLOCKED",
    "USER_IS_BOT",
    "TOPIC_CLOSED",
    "TOPIC_DELETED",
];

fn says(description: &str, words: &[&str]) -> bool {
    words.iter().any(|word| description.contains(word))
}

/// What was given up to get a message there, and the sentence about it.
pub(super) struct Way {
    pub(super) given_up: &'static str,
    pub(super) sentence: String,
}

/// Changes the request so that the refusal does not come again; `None` if there is no way. `main_chat`: a topic that takes no
/// messages may be left out.
pub(super) fn way_round(
    payload: &mut Payload,
    description: &str,
    migrate_to: Option<i64>,
    main_chat: bool,
) -> Option<Way> {
    let way =
        |given_up, sentence: &str| Some(Way { given_up, sentence: format!("{sentence} ({description})") });
    if let Some(chat) = migrate_to.filter(|chat| payload.body["chat_id"] != json!(chat)) {
        payload.body["chat_id"] = json!(chat);
        let sentence = format!("the group has become a supergroup: set chat_id = {chat}");
        return Some(Way { given_up: "chat migrated", sentence });
    }
    let fields = payload.body.as_object_mut()?;
    if says(description, TOPIC) || says(description, RIGHTS) {
        fields.get("message_thread_id").filter(|_| main_chat)?;
        fields.remove("message_thread_id");
        return way(
            "topic",
            "the topic takes no messages: set another one, or none; the message goes to the chat itself",
        );
    }
    if says(description, &["inline keyboard button", "BUTTON_", "reply markup is too long"]) {
        fields.remove("reply_markup")?;
        return way("buttons", "Telegram does not take the buttons; the message goes without them");
    }
    if says(
        description,
        &["message to be replied not found", "message to reply not found", "REPLY_MESSAGE_ID_INVALID"],
    ) {
        fields.remove("reply_parameters")?;
        return way("reply", "the message to reply to is gone; this one is sent by itself");
    }
    if says(description, &["message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"]) {
        fields.remove("message_id")?;
        "sendMessage".clone_into(&mut payload.call);
        return way("edit", "the message to edit is gone; a new one is sent");
    }
    if says(description, &["can't parse entities", "ENTITIES_TOO_LONG"]) {
        fields.remove("parse_mode")?;
        let text = html::plain(fields.get("text").and_then(Value::as_str)?);
        fields.insert("text".to_owned(), json!(text));
        return way("layout", "Telegram does not take the layout; the message goes as plain text");
    }
    None
}

/// The failure that a refusal is. `chat` is as it is set, in `place`.
pub(super) fn refused(code: u64, description: &str, chat: &str, place: &str) -> Failure {
    let setting =
        || Failure::config("chat", format!("the bot may not write to {chat} ({place}): {description}"));
    match code {
        401 | 404 | 421 => {
            let message = format!("Telegram does not know the bot's token ({code} {description})");
            Failure::config("token", message)
        }
        403 => setting(),
        400 if [TOPIC, RIGHTS, CHAT].iter().any(|words| says(description, words)) => setting(),
        _ => Failure::failed("refused", format!("Telegram refuses the message: {code} {description}")),
    }
}

//! What a message goes to, and by what: chats, topics, tokens.

use serde_json::{Value, json};

/// A chat, and perhaps a topic in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chat {
    /// A number, or `@name` of a public channel.
    pub(super) id: String,
    pub(super) topic: Option<i64>,
}

impl Chat {
    /// Reads `-1001234567890`, `-1001234567890:42`, `@name` and `https://t.me/c/1234567890/42`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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

    pub(super) fn value(&self) -> Value {
        self.id.parse::<i64>().map_or_else(|_| json!(self.id), |id| json!(id))
    }

    /// Where people find a message.
    pub(super) fn link(&self, chat: &Value, message: &str) -> Option<String> {
        if let Some(name) = chat["username"].as_str() {
            return Some(format!("https://t.me/{name}/{message}"));
        }
        let id = chat["id"].as_i64().map_or_else(|| self.id.clone(), |id| id.to_string());
        let topic = self.topic.map(|t| format!("{t}/")).unwrap_or_default();
        Some(format!("https://t.me/c/{}/{topic}{message}", id.strip_prefix("-100")?))
    }
}

/// `^[1-9]\d*:[A-Za-z0-9_-]{30,}$`, at most 80 bytes (the Bot API server's own rule).
pub(super) fn is_token(text: &str) -> bool {
    let Some((id, key)) = text.split_once(':') else { return false };
    let key_like = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let id_like = !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
    id_like && key.len() >= 30 && key.bytes().all(key_like) && text.len() <= 80
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
}

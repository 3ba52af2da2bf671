//! A webhook of Discord, with `wait=true`: without it Discord says nothing about a message that it does not keep.

use std::time::Duration;

use http_client::{Call, Reply};
use serde_json::json;
use step::{Failure, Permit, Secret};

use super::{Channel, Earlier, Payload, Reader, Said, Wire, by_status, fit, mark, words};
use crate::message::Message;
use crate::message::html::{Dialect, translate};
use crate::message::markup::cut;
use crate::receipt::Receipt;

/// The limits of a message's content and of an embed's description, in characters.
const CONTENT: usize = 2000;
const DESCRIPTION: usize = 4096;
const RED: u32 = 0x00ed_4245;
const GREEN: u32 = 0x0057_f287;

/// What Discord says of a thread that takes no messages: unknown, archived, locked.
const THREAD: &[u64] = &[10003, 50083, 160_005];

pub struct Discord {
    webhook: Secret,
    thread: Option<String>,
    place: String,
    /// A thread that takes no messages may be left out.
    main_chat: bool,
}

impl Discord {
    /// Reads its settings.
    pub fn read(reader: &Reader) -> Result<Self, Failure> {
        let webhook = reader.secret_address("webhook", "DISCORD_WEBHOOK_URL")?;
        let thread = reader.text("topic")?;
        if thread.as_ref().is_some_and(|t| !t.bytes().all(|b| b.is_ascii_digit())) {
            return Err(reader.wrong("topic", "a thread of Discord is a number"));
        }
        let main_chat = reader.settings.value(&reader.key("main_chat"))?;
        let place = format!("webhook_file in [notify.channels.{}]", reader.name);
        Ok(Discord { webhook, thread, place, main_chat })
    }

    fn url(&self, thread: Option<&String>) -> String {
        let thread = thread.map(|t| format!("&thread_id={t}")).unwrap_or_default();
        format!("{}?wait=true{thread}", self.webhook.expose())
    }

    /// Sends a payload once; whether the thread takes no messages.
    fn ask(
        &self,
        (wire, permit): (&Wire, &Permit),
        payload: &Payload,
        thread: Option<&String>,
    ) -> Result<(Said, bool), Failure> {
        let mut gone = false;
        let call = Call::new("POST", self.url(thread)).json(&payload.body);
        let said = wire.deliver(permit, "Discord", call, |reply| {
            let code = reply.json().and_then(|answer| answer["code"].as_u64());
            gone = code.is_some_and(|code| THREAD.contains(&code));
            self.heard(reply)
        })?;
        Ok((said, gone))
    }

    fn heard(&self, reply: &Reply) -> Said {
        let answer = reply.json().unwrap_or_default();
        match (reply.status, answer["id"].as_str()) {
            (200..=299, Some(id)) => Said::Sent(Receipt::numbered(id)),
            (200..=299, None) => Said::Unknown("Discord says ok, but gives the message no number".to_owned()),
            (429, _) => {
                let wait = answer["retry_after"]
                    .as_f64()
                    .filter(|s| *s >= 0.0 && *s < 1e6)
                    .map(Duration::from_secs_f64);
                let wait = wait.or(reply.retry_after().map(Duration::from_secs));
                Said::Later { wait, reason: "rate", why: "Discord takes no more messages for now".to_owned() }
            }
            _ => by_status("Discord", &self.place, reply, &words(reply)),
        }
    }
}

impl Channel for Discord {
    fn payloads(&self, message: &Message, earlier: &Earlier) -> Vec<Payload> {
        let (headline, rest) = message.headed();
        let headline = escape(&headline);
        let links: Vec<String> = message.links.iter().map(|l| link(&l.url, &escape(&l.label))).collect();
        // Nobody is called by what stands in a commit.
        let nobody = json!({ "parse": [] });
        let mut parts =
            fit(rest, DESCRIPTION - 300, |part| translate(part, &MARKDOWN), |text| text.chars().count());
        parts.retain(|part| !part.trim().is_empty());
        mark(&mut parts, message, earlier, |text| translate(text, &MARKDOWN));
        if let (Some(last), false) = (parts.last_mut(), links.is_empty()) {
            last.push_str(&format!("\n{}", links.join(" · ")));
        }
        let colour = if message.failed { RED } else { GREEN };
        let embed = |(i, part): (usize, &String)| {
            let mut body = json!({
                "embeds": [{ "description": cut(part, usize::MAX, DESCRIPTION), "color": colour }], "allowed_mentions": nobody,
            });
            if i == 0 {
                body["content"] = json!(cut(&headline, 1, CONTENT));
            }
            if message.silent {
                // SUPPRESS_NOTIFICATIONS
                body["flags"] = json!(4096);
            }
            Payload::new("execute", body)
        };
        if parts.is_empty() {
            return vec![Payload::new("execute", json!({ "content": headline, "allowed_mentions": nobody }))];
        }
        parts.iter().enumerate().map(embed).collect()
    }

    fn post(&self, wire: &Wire, permit: &Permit, payload: &Payload) -> Result<Said, Failure> {
        let (said, gone) = self.ask((wire, permit), payload, self.thread.as_ref())?;
        if !(gone && self.thread.is_some() && self.main_chat) {
            return Ok(said);
        }
        let why =
            "the thread takes no messages: set another one, or none; the message goes to the channel itself";
        wire.context.voice.warn(&format!("{why} ({})", self.place));
        Ok(match self.ask((wire, permit), payload, None)?.0 {
            Said::Sent(receipt) => Said::Sent(Receipt { degraded: vec!["topic".to_owned()], ..receipt }),
            said => said,
        })
    }

    fn check(&self, wire: &Wire) -> Result<String, Failure> {
        let reply = wire.question("Discord", Call::new("GET", self.webhook.expose()))?;
        if reply.status == 200 {
            let name = reply.json().and_then(|a| a["name"].as_str().map(str::to_owned));
            return Ok(format!("the webhook {} of Discord", name.as_deref().unwrap_or("without a name")));
        }
        match by_status("Discord", &self.place, &reply, &words(&reply)) {
            Said::Refused(failure) => Err(failure),
            _ => Err(Failure::temporary("unreachable", format!("Discord answers HTTP {}", reply.status))),
        }
    }
}

/// Discord's Markdown. A backslash takes the meaning from every sign.
const MARKDOWN: Dialect = Dialect {
    around: |name| match name {
        "b" | "strong" => "**",
        "i" | "em" => "*",
        "u" | "ins" => "__",
        "s" | "strike" | "del" => "~~",
        "code" => "`",
        "pre" => "```",
        _ => "",
    },
    quote: "> ",
    escape: |c, in_code| match c {
        '`' if in_code => "ˋ".to_owned(),
        c if in_code => c.to_string(),
        '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '<' | '#' | '[' | ']' | '@' | ':' => format!("\\{c}"),
        c => c.to_string(),
    },
    link,
    time: |unix, format, _| format!("<t:{unix}:{}>", if format == "r" { "R" } else { "f" }),
};

fn escape(text: &str) -> String {
    text.chars().map(|c| (MARKDOWN.escape)(c, false)).collect()
}

fn link(url: &str, text: &str) -> String {
    format!("[{text}]({})", url.replace('(', "%28").replace(')', "%29"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_markdown() {
        let html = "<b>a_b</b> <tg-time unix=\"7\" format=\"r\">then</tg-time>\n<blockquote>• @x\n• <code>y_z</code></blockquote>\n<a href=\"https://a.example/(b)\">d</a>";
        let expected = "**a\\_b** <t:7:R>\n> • \\@x\n> • `y_z`\n[d](https://a.example/%28b%29)";
        assert_eq!(translate(html, &MARKDOWN), expected);
    }
}

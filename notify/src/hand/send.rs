//! `notify send`: a message that somebody wrote.

use std::path::Path;

use http_client::Client;
use serde_json::{Value, json};
use step::{Answer, Context, Failure, scrub};

use crate::NAME;
use crate::args::Args;
use crate::channels::Wire;
use crate::deliver::Post;
use crate::listing::named;
use crate::message::{Attachment, Message, markup};
use crate::outbox::Outbox;
use crate::settings::{Care, Settings};
use crate::tell::{Languages, Teller};
use crate::time::now;
use crate::told::{Fate, Told, outcome};

/// A document that goes with a message is cut to its last bytes: Telegram takes 50 MB.
const LOG: usize = 10 << 20;

/// `notify send`.
pub fn send(
    context: &Context,
    args: &Args,
    text: &str,
    as_html: bool,
    file: Option<&Path>,
) -> Result<Answer, Failure> {
    let settings = Settings::read(context, args, Care::Strict)?;
    let languages = Languages::new(&settings, context);
    let attachment = file.map(attached).transpose()?;
    let said = match (&attachment, text) {
        (Some(attachment), "") => attachment.name.clone(),
        _ => text.to_owned(),
    };
    // Said twice by hand is meant twice: every message has a name of its own.
    let run = format!("text-{}-{}", now().replace([':', '-'], ""), std::process::id());
    let message = Message { document: attachment, ..Message::written(&said, as_html, &settings.links, run)? };
    let messages = languages.messages(|_| Ok(message.clone()))?;
    let names: Vec<&str> = settings.targets.iter().map(|t| t.name.as_str()).collect();
    let Some(permit) = context.permit() else {
        let text = format!("would send to {}: {}", named(&names), message.headline());
        return Ok(Answer::new(text, json!({ "sent": false })));
    };
    let client = Client::new(context, NAME);
    let wire = Wire { client: &client, context };
    let outbox = Outbox::new(settings.state.clone());
    let post = Post { wire: &wire, permit: &permit, outbox: &outbox };
    let told = Teller { post: &post, settings: &settings, languages: &languages }.all(&messages);
    answer(&told, &settings, context)
}

/// A file's end, as text.
fn attached(path: &Path) -> Result<Attachment, Failure> {
    let at = path.display();
    let bytes =
        std::fs::read(path).map_err(|e| Failure::usage("file", format!("{at} cannot be read: {e}")))?;
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG)..]).into_owned();
    if text.trim().is_empty() {
        return Err(Failure::usage("file", format!("{at} is empty")));
    }
    let usable = |c: char| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let name = path
        .file_name()
        .map_or_else(|| "log.txt".to_owned(), |n| scrub(&n.to_string_lossy()).chars().map(usable).collect());
    Ok(Attachment { name, text: scrub(&markup::clean(&text)) })
}

/// How it went, channel by channel.
pub fn answer(told: &[Told], settings: &Settings, context: &Context) -> Result<Answer, Failure> {
    let sent: Vec<&str> = told.iter().filter(|t| t.fate == Fate::Sent).map(|t| t.name.as_str()).collect();
    let value: Value = told.iter().map(Told::value).collect();
    let value = json!({ "sent": !sent.is_empty(), "channels": value });
    let text =
        if sent.is_empty() { "nothing was sent".to_owned() } else { format!("sent to {}", named(&sent)) };
    match outcome(told, settings, context) {
        Err(failure) => Ok(Answer::new(text, value).but(failure)),
        Ok(_) => Ok(Answer::new(text, value)),
    }
}

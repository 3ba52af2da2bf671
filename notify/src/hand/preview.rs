//! `notify preview`: a look at a message before it is sent.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};
use step::{Answer, Context, Document, Failure};

use crate::args::Args;
use crate::deliver::earlier;
use crate::message::templates::Layout;
use crate::message::{Message, html};
use crate::outbox::{Entry, Outbox};
use crate::settings::{self, Care, Settings, Target};
use crate::tell::Languages;

/// `notify preview`: what would be sent, byte for byte.
pub fn preview(context: &Context, args: &Args, of: &Path) -> Result<Answer, Failure> {
    let document = document(of)?;
    let mut warn = |why: String| context.voice.warn(&why);
    let settings = match Settings::read(context, args, Care::Dry) {
        Ok(settings) => settings,
        Err(failure) => {
            // A message can be looked at before there is any channel for it.
            warn(format!("no payload is shown: {}", failure.message));
            let lang = args.lang.clone().unwrap_or_else(|| "en".to_owned());
            let layout = Layout::new(&lang, settings::templates(&context.settings)?.as_deref(), &mut warn);
            let message = Message::about(
                &document,
                &args.beside(),
                &settings::links(&context.settings)?,
                &layout,
                &mut warn,
            );
            return Ok(Answer::new(
                html::plain(&message.html),
                json!({ "html": message.html, "silent": message.silent, "channels": [] }),
            ));
        }
    };
    let languages = Languages::new(&settings, context);
    let outbox = Outbox::new(settings.state.clone());
    let mut text = String::new();
    let mut shown: Vec<Value> = Vec::new();
    for target in &settings.targets {
        let message =
            Message::about(&document, &args.beside(), &settings.links, languages.of(target)?, &mut warn);
        let payloads = payloads(target, &message, &outbox);
        if settings.targets.len() > 1 {
            let _ = writeln!(text, "== {} ({})", target.name, target.kind);
        }
        let _ = writeln!(text, "{}", html::plain(&message.html));
        for link in &message.links {
            let _ = writeln!(text, "[ {} ] {}", link.label, link.url);
        }
        shown.push(json!({ "name": target.name, "kind": target.kind, "silent": message.silent, "payloads": payloads }));
    }
    Ok(Answer::new(text, json!({ "channels": shown })))
}

fn document(path: &Path) -> Result<Document, Failure> {
    let at = path.display();
    let bytes =
        std::fs::read(path).map_err(|e| Failure::usage("file", format!("{at} cannot be read: {e}")))?;
    Document::parse_from(&at.to_string(), &bytes).map_err(|why| Failure::usage("file", why))
}

fn payloads(target: &Target, message: &Message, outbox: &Outbox) -> Value {
    let entry = Entry::new(&target.name, message.clone());
    let earlier = earlier(outbox, target, &entry);
    json!(target.channel.payloads(message, &earlier))
}

//! `notify outbox` and `notify flush`: what waits, what was given up, what cannot be read; and sending it now.

use std::fmt::Write;

use http_client::Client;
use serde_json::{Value, json};
use step::{Answer, Context, Failure};

use super::send::answer;
use crate::NAME;
use crate::args::Args;
use crate::channels::Wire;
use crate::deliver::Post;
use crate::listing::counted;
use crate::outbox::{Broken, Entry, Outbox};
use crate::settings::{self, Care, Settings};
use crate::tell::{Languages, Teller, warn_of};

/// `notify outbox`.
pub fn outbox(context: &Context) -> Result<Answer, Failure> {
    let outbox = Outbox::new(settings::state(&context.settings)?);
    outbox.look()?;
    warn_of(context, &outbox.sweep());
    let mut text = String::new();
    let mut list = |word: &str, entries: &[Entry]| -> Value {
        let line = |e: &Entry| {
            let why = e.why.as_deref().unwrap_or("its end is not known");
            let perhaps = if e.doubts > 0 { "; it may have arrived" } else { "" };
            let _ =
                writeln!(text, "{word} since {} for {}: {} ({why}{perhaps})", e.at, e.channel, e.headline());
            json!({ "channel": e.channel, "run": e.run, "event": e.event, "at": e.at, "why": e.why, "not_before": e.not_before,
                    "may_have_arrived": e.doubts > 0 })
        };
        entries.iter().map(line).collect()
    };
    let waiting = list("waits", &outbox.waiting());
    let dead = list("given up", &outbox.dead());
    let broken = outbox.broken();
    for note in &broken {
        let _ = writeln!(text, "{}", note.said());
    }
    if text.is_empty() {
        text.push_str("nothing waits, and nothing was given up");
    }
    let broken: Value = broken.iter().map(shown).collect();
    Ok(Answer::new(text, json!({ "waiting": waiting, "dead": dead, "broken": broken })))
}

fn shown(broken: &Broken) -> Value {
    json!({ "path": broken.path.display().to_string(), "why": broken.why })
}

/// `notify flush`.
pub fn flush(context: &Context, args: &Args, dead: bool) -> Result<Answer, Failure> {
    let outbox = Outbox::new(settings::state(&context.settings)?);
    outbox.look()?;
    let queue = || -> Vec<Entry> {
        let given_up = if dead { outbox.dead() } else { Vec::new() };
        outbox.waiting().into_iter().chain(given_up).collect()
    };
    let settings = channels_with_notes(context, args, &queue())?;
    let Some(permit) = context.permit() else {
        let count = queue().len();
        let text = format!("would send {}", counted(count, "message", "messages"));
        return Ok(Answer::new(text, json!({ "would_send": count })));
    };
    let swept = outbox.sweep();
    warn_of(context, &swept);
    let languages = Languages::new(&settings, context);
    let client = Client::new(context, NAME);
    let wire = Wire { client: &client, context };
    let post = Post { wire: &wire, permit: &permit, outbox: &outbox };
    let told = Teller { post: &post, settings: &settings, languages: &languages }.flush(dead)?;
    let left = outbox.waiting().len();
    let broken = (!swept.broken.is_empty()).then(|| unreadable(&swept.broken));
    let shown = if told.is_empty() {
        let text = format!("nothing was sent; {}", counted(left, "message waits", "messages wait"));
        Answer::new(text, json!({ "channels": [], "waiting": left }))
    } else {
        answer(&told, &settings, context)?
    };
    Ok(match broken {
        Some(failure) if told.iter().all(|t| t.fate.is_good()) => shown.but(failure),
        _ => shown,
    })
}

/// The channels of the settings, and those of which notes lie about; a note for a channel that there is not any more is told.
fn channels_with_notes(context: &Context, args: &Args, notes: &[Entry]) -> Result<Settings, Failure> {
    if !args.to.is_empty() {
        return Settings::read(context, args, Care::Strict);
    }
    let mut names: Vec<String> = context.settings.list("channel")?;
    let known = context.settings.names("channels");
    for entry in notes {
        if !known.contains(&entry.channel) {
            let (channel, said) = (&entry.channel, entry.headline());
            context
                .voice
                .warn(&format!("there is no [notify.channels.{channel}] for what waits there: {said}"));
        } else if !names.contains(&entry.channel) {
            names.push(entry.channel.clone());
        }
    }
    if names.is_empty() {
        return Err(context.settings.missing("channel"));
    }
    Settings::of(context, args, &names, Care::Strict)
}

fn unreadable(broken: &[Broken]) -> Failure {
    let notes = counted(broken.len(), "note cannot", "notes cannot");
    let message = format!("{notes} be read, and the message may not have been sent: see `notify outbox`");
    Failure::failed("note", message)
}

//! What a person asks for: a message of their own, a look at a message before it is sent, the outbox, the templates, the check.

use std::fmt::Write;
use std::path::Path;

use http_client::Client;
use serde_json::{Value, json};
use step::{Answer, Context, Document, Failure, Outcome, Run, scrub};

use crate::args::{self, Args, Settings, Target};
use crate::channels::Wire;
use crate::deliver::{Post, Told, earlier, headline};
use crate::message::{Attachment, Message};
use crate::outbox::{Entry, Outbox, now};
use crate::plan::Fate;
use crate::samples::samples;
use crate::story::Story;
use crate::tell::{self, Languages};
use crate::templates::{BUILT_IN, Layout};
use crate::words::LANGUAGES;
use crate::{NAME, html, markup};

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
    let settings = Settings::read(context, args, false)?;
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
        let text = format!("would send to {}: {}", names.join(", "), message.headline());
        return Ok(Answer::new(text, json!({ "sent": false })));
    };
    let client = Client::new(context, NAME);
    let wire = Wire { client: &client, context };
    let outbox = Outbox::new(settings.state.clone());
    let post = Post { wire: &wire, permit: &permit, outbox: &outbox };
    let told = tell::all(&post, &settings, &languages, &messages)?;
    answer(&told, "sent to", context, settings.best_effort)
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
        .map_or_else(|| "log.txt".to_owned(), |n| n.to_string_lossy().chars().map(usable).collect());
    Ok(Attachment { name, text: scrub(&markup::clean(&text)) })
}

/// How it went, channel by channel.
fn answer(told: &[Told], done: &str, context: &Context, best_effort: bool) -> Result<Answer, Failure> {
    let sent: Vec<&str> = told.iter().filter(|t| t.fate == Fate::Sent).map(|t| t.name.as_str()).collect();
    let value: Value = told.iter().map(Told::value).collect();
    let value = json!({ "sent": !sent.is_empty(), "channels": value });
    let text =
        if sent.is_empty() { "nothing was sent".to_owned() } else { format!("{done} {}", sent.join(", ")) };
    match tell::outcome(told, context, best_effort) {
        Err(failure) => Ok(Answer::new(text, value).but(failure)),
        Ok(_) => Ok(Answer::new(text, value)),
    }
}

/// `notify preview`: what would be sent, byte for byte.
pub fn preview(context: &Context, args: &Args, of: &Path) -> Result<Answer, Failure> {
    let document = document(of)?;
    let mut warn = |why: String| context.voice.warn(&why);
    let settings = match Settings::read(context, args, true) {
        Ok(settings) => settings,
        Err(failure) => {
            // A message can be looked at before there is any channel for it.
            warn(format!("no payload is shown: {}", failure.message));
            let lang = args.lang.clone().unwrap_or_else(|| "en".to_owned());
            let layout = Layout::new(&lang, args::templates(&context.settings)?.as_deref(), &mut warn);
            let message =
                Message::about(&document, args.stopped, &args::links(&context.settings)?, &layout, &mut warn);
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
            Message::about(&document, args.stopped, &settings.links, languages.of(target)?, &mut warn);
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
    Document::parse(&bytes).map_err(|why| Failure::usage("file", format!("{at}: {why}")))
}

fn payloads(target: &Target, message: &Message, outbox: &Outbox) -> Value {
    let entry = Entry::new(&target.name, message.clone());
    let earlier = earlier(outbox, target, &entry);
    json!(target.channel.payloads(message, &earlier))
}

/// `notify outbox`.
pub fn outbox(context: &Context) -> Result<Answer, Failure> {
    let outbox = Outbox::new(args::state(&context.settings)?);
    let mut text = String::new();
    let mut list = |word: &str, entries: &[Entry]| -> Value {
        let line = |e: &Entry| {
            let why = e.why.as_deref().unwrap_or("its end is not known");
            let _ = writeln!(text, "{word} since {} for {}: {} ({why})", e.at, e.channel, headline(e));
            json!({ "channel": e.channel, "run": e.run, "event": e.event, "at": e.at, "why": e.why, "not_before": e.not_before })
        };
        entries.iter().map(line).collect()
    };
    let waiting = list("waits", &outbox.waiting());
    let dead = list("given up", &outbox.dead());
    if text.is_empty() {
        text.push_str("nothing waits, and nothing was given up");
    }
    Ok(Answer::new(text, json!({ "waiting": waiting, "dead": dead })))
}

/// `notify flush`.
pub fn flush(context: &Context, args: &Args, dead: bool) -> Result<Answer, Failure> {
    let settings = Settings::read(context, args, false)?;
    let languages = Languages::new(&settings, context);
    let outbox = Outbox::new(settings.state.clone());
    let Some(permit) = context.permit() else {
        let count = outbox.waiting().len() + if dead { outbox.dead().len() } else { 0 };
        return Ok(Answer::new(format!("would send {count}"), json!({ "would_send": count })));
    };
    let client = Client::new(context, NAME);
    let wire = Wire { client: &client, context };
    let told =
        tell::flush(&Post { wire: &wire, permit: &permit, outbox: &outbox }, &settings, &languages, dead)?;
    let left = outbox.waiting().len();
    let shown = answer(&told, "sent to", context, settings.best_effort)?;
    if told.is_empty() {
        return Ok(Answer::new(
            format!("nothing was sent; {left} wait"),
            json!({ "channels": [], "waiting": left }),
        ));
    }
    Ok(shown)
}

/// `notify --check`: every channel is asked.
pub fn check(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let settings = Settings::read(context, args, false)?;
    let client = Client::new(context, NAME);
    let wire = Wire { client: &client, context };
    let (mut text, mut shown, mut failed) = (String::new(), Vec::new(), None);
    for target in settings.all() {
        let found = target.channel.check(&wire);
        let said = match &found {
            Ok(place) => format!("{} is {place}", target.name),
            Err(failure) => format!("{} does not work: {}", target.name, failure.message),
        };
        let _ = writeln!(text, "{said}");
        shown.push(json!({ "channel": target.name, "kind": target.kind, "ok": found.is_ok(), "says": said }));
        failed = failed.or(found.err());
    }
    let answer = Answer::new(text, json!({ "channels": shown }));
    Ok(match failed {
        Some(failure) => answer.but(failure),
        None => answer,
    })
}

/// `notify --ready`: which channels can be reached. That none can is for the certificate to judge: notify never fails a release.
pub fn ready(run: &mut Run, args: &Args) -> Result<Outcome, Failure> {
    let settings = Settings::read(&run.context, args, false)?;
    let client = Client::new(&run.context, NAME);
    let wire = Wire { client: &client, context: &run.context };
    let (mut reached, mut lost) = (Vec::new(), Vec::new());
    for target in settings.all() {
        match target.channel.check(&wire) {
            Ok(_) => reached.push(target.name.clone()),
            Err(failure) => lost.push(format!("{}: {}", target.name, failure.message)),
        }
    }
    lost.iter().for_each(|why| run.context.voice.warn(why));
    if reached.is_empty() {
        return Ok(Outcome::skipped(format!("nobody can be told: {}", lost.join("; "))));
    }
    let sentence = format!("{} can be told", reached.join(", "));
    run.set("channels", reached)?;
    Ok(Outcome::unchanged(sentence))
}

/// `notify templates`: every template in both languages on sample documents, or the built-in ones as files.
pub fn templates(context: &Context, write: Option<&Path>) -> Result<Answer, Failure> {
    if let Some(folder) = write {
        return written(folder);
    }
    let own = args::templates(&context.settings)?;
    let mut broken: Vec<String> = Vec::new();
    let mut proven = 0;
    for lang in LANGUAGES {
        let layout = Layout::new(lang, own.as_deref(), &mut |why| broken.push(why));
        for (document, stopped) in samples() {
            let story = Story::of(&document, stopped);
            match layout.attempt(layout.theirs().unwrap_or(layout.ours()), &story) {
                Ok(_) => proven += 1,
                Err(why) => broken.push(format!("{why} ({lang}, {})", story.event)),
            }
        }
    }
    broken.dedup();
    let whose =
        own.map_or_else(|| "the built-in templates".to_owned(), |folder| folder.display().to_string());
    let value = json!({ "proven": proven, "broken": broken });
    if broken.is_empty() {
        return Ok(Answer::new(format!("{proven} messages proven with {whose}"), value));
    }
    let failure = Failure::config(
        "template",
        format!("{whose}: {} messages would go out with the built-in template", broken.len()),
    );
    Ok(Answer::new(broken.join("\n"), value).but(failure))
}

fn written(folder: &Path) -> Result<Answer, Failure> {
    let failed = |path: &Path, e: &std::io::Error| Failure::usage("file", format!("{}: {e}", path.display()));
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
    let words = crate::words::BUILT_IN.iter().map(|(lang, text)| (format!("{lang}.toml"), *text));
    let files: Vec<(String, &str)> =
        BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), *text)).chain(words).collect();
    for (name, text) in &files {
        let path = folder.join(name);
        // Somebody's own work is not written over.
        let file = std::fs::File::options().write(true).create_new(true).open(&path);
        file.and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes()))
            .map_err(|e| failed(&path, &e))?;
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Answer::new(
        format!("{} files written to {}", names.len(), folder.display()),
        json!({ "files": names }),
    ))
}

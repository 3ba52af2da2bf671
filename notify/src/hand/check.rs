//! `notify --check` and `notify --ready`: which channels can be told.

use std::fmt::Write;

use http_client::Client;
use serde_json::json;
use step::{Answer, Context, Failure, Outcome, Run};

use crate::NAME;
use crate::args::Args;
use crate::channels::Wire;
use crate::listing::named;
use crate::outbox::Outbox;
use crate::settings::{Care, Settings};

/// `notify --check`: every channel is asked.
pub fn check(context: &Context, args: &Args) -> Result<Answer, Failure> {
    let settings = Settings::read(context, args, Care::Lenient)?;
    let client = Client::new(context, NAME);
    let wire = Wire { client: &client, context };
    let (mut text, mut shown, mut failed) = (String::new(), Vec::new(), None);
    let place = Outbox::new(settings.state.clone()).writable().err();
    for why in settings.complaints.iter().chain(&place) {
        let _ = writeln!(text, "{}", why.message);
        failed = failed.or(Some(why.clone()));
    }
    for (name, why) in &settings.misset {
        let said = format!("{name} does not work: {}", why.message);
        let _ = writeln!(text, "{said}");
        shown.push(json!({ "channel": name, "ok": false, "says": said }));
        failed = failed.or(Some(why.clone()));
    }
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
    let settings = Settings::read(&run.context, args, Care::Strict)?;
    let client = Client::new(&run.context, NAME);
    let wire = Wire { client: &client, context: &run.context };
    let (mut reached, mut lost) = (Vec::new(), Vec::new());
    for target in settings.all() {
        match target.channel.check(&wire) {
            Ok(_) => reached.push(target.name.clone()),
            Err(failure) => lost.push(format!("{}: {}", target.name, failure.message)),
        }
    }
    if let Err(why) = Outbox::new(settings.state.clone()).writable() {
        run.context.voice.warn(&why.message);
    }
    lost.iter().for_each(|why| run.context.voice.warn(why));
    if reached.is_empty() {
        return Ok(Outcome::skipped(format!("nobody can be told: {}", lost.join("; "))));
    }
    let sentence = format!("{} can be told", named(&reached));
    run.set("channels", reached)?;
    Ok(Outcome::unchanged(sentence))
}

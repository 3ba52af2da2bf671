//! How the whole ended: good when every required channel was told.

use serde_json::Value;
use step::{Acted, Context, Failure, Outcome};

use crate::listing::named;
use crate::settings::Settings;
use crate::told::{Fate, Told};

/// The step's outcome.
///
/// # Errors
/// The failure of the first required channel that was not told, with the others as its causes; else what is wrong with the settings,
/// although urgent news went out all the same.
pub fn outcome(told: &[Told], settings: &Settings, context: &Context) -> Result<Outcome, Failure> {
    let list: Value = told.iter().map(Told::value).collect();
    for told in told.iter().filter(|t| !t.required && !t.fate.is_good()) {
        let why = told.failure.as_ref().map_or_else(String::new, |f| f.message.clone());
        context.voice.warn(&format!("{}: {why}", told.name));
    }
    let sent: Vec<String> = told.iter().filter(|t| t.fate == Fate::Sent).map(perhaps_twice).collect();
    let failed: Vec<&Told> = told.iter().filter(|t| t.required && !t.fate.is_good()).collect();
    let complaint = || settings.complaints.first().map(|why| behind(why.clone(), &sent));
    let Some(failure) = failure(&failed, &sent).or_else(complaint) else {
        return Ok(good(told, &sent).output("channels", list));
    };
    if !settings.best_effort {
        return Err(failure.output("channels", list));
    }
    context.voice.warn(&failure.message);
    let summary = format!("not all were told: {}", failure.message);
    let status = if sent.is_empty() { step::Status::Skipped } else { step::Status::Changed };
    Ok(Outcome::new(status, summary).output("channels", list))
}

fn good(told: &[Told], sent: &[String]) -> Outcome {
    if !sent.is_empty() {
        return Outcome::changed(format!("told {}", named(sent)));
    }
    let why = told.iter().find_map(|t| t.why.as_deref());
    Outcome::skipped(match why {
        Some(why) => format!("the team was not told again: {why}"),
        None => "nobody was told: no channel wants this message".to_owned(),
    })
}

fn perhaps_twice(told: &Told) -> String {
    if told.repeated { format!("{} (perhaps twice)", told.name) } else { told.name.clone() }
}

/// The first failure speaks, unless a signal came; the others are its causes.
fn failure(failed: &[&Told], sent: &[String]) -> Option<Failure> {
    let mut all: Vec<(&Told, Failure)> =
        failed.iter().filter_map(|t| Some((*t, t.failure.clone()?))).collect();
    all.sort_by_key(|(_, failure)| !failure.is_interrupted());
    let mut all = all.into_iter();
    let (first, mut failure) = all.next()?;
    failure.message = format!("{}: {}", first.name, failure.message);
    for (told, other) in all {
        failure = failure.cause(format!("{}: {}", told.name, other.message));
        if other.acted == Acted::Unknown {
            failure.acted = Acted::Unknown;
        }
    }
    Some(behind(failure, sent))
}

/// With who was told all the same.
fn behind(mut failure: Failure, sent: &[String]) -> Failure {
    if !sent.is_empty() {
        failure.message = format!("{} (told: {})", failure.message, named(sent));
        if failure.acted == Acted::No {
            failure.acted = Acted::Yes;
        }
    }
    failure
}

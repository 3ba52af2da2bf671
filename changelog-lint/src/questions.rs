//! `notes`, `rule` and `--check`: questions, which open no document.

use changelog_lint::changelog::{Changelog, Section, parse};
use changelog_lint::findings;
use changelog_lint::lookalikes::Lookalike;
use changelog_lint::notes::{self, Miss, Source};
use changelog_lint::rules::{RULES, Rule};
use changelog_lint::text::Lines;
use serde_json::{Map, Value, json};
use step::{Answer, Context, Failure};

use crate::args::{Args, rule as rule_named};
use crate::file::{self, File};
use crate::lint::today;
use crate::plan;

/// The notes of a version.
pub fn notes(args: &Args, context: &Context, wanted: &str) -> Result<Answer, Failure> {
    let file = file::read(&args.file(context)?)?;
    let log = parse(&file.text);
    let lines = Lines::of(&file.text);
    if let Some(line) = file.not_utf8 {
        let message =
            format!("{}:{line}: the text is not UTF-8; what is unreadable is shown as \u{fffd}", file.name);
        context.voice.warn(&message);
    }
    let (section, source, failure) = match plan::find(&log, wanted) {
        Ok((section, source)) => (section, source, None),
        // Of two sections the first one is shown, and the exit code says that nobody knows which one counts.
        Err(refusal) => match notes::find(&log, wanted) {
            Err(Miss::Doubled(first, _)) => (first, Source::Own, Some(file.refuse(&lines, &refusal))),
            _ => return Err(file.refuse(&lines, &refusal)),
        },
    };
    if ["newest", "latest"].contains(&wanted) {
        newest(args, context, &file, &log, section)?;
    }
    warn(context, &file, &log, section, source, wanted);
    let text = notes::whole(&log, section);
    let answer = Answer::new(text.clone(), as_object(&file, &lines, &log, section, source, wanted, text));
    Ok(match failure {
        Some(failure) => answer.but(failure),
        None => answer,
    })
}

/// The newest release is not asked for in vain: what looks like a newer one is said instead.
fn newest(
    args: &Args,
    context: &Context,
    file: &File,
    log: &Changelog,
    section: &Section,
) -> Result<(), Failure> {
    let mut options = args.options(context, &file.path, today())?;
    options.not_utf8 = file.not_utf8;
    match findings::hiding_a_newer(log, &options).first() {
        Some(newer) => Err(file.failure(&Lines::of(&file.text), plan::reason(newer), newer).cause(format!(
            "if it is {0} that you mean, ask for it: changelog-lint notes {0}",
            section.name()
        ))),
        None => Ok(()),
    }
}

/// What a person should know about these notes.
fn warn(context: &Context, file: &File, log: &Changelog, section: &Section, source: Source, wanted: &str) {
    if source != Source::Own {
        context.voice.say(&format!("the notes of {wanted} are those of {}", section.name()));
    }
    let strangers = log.strangers.iter().map(|index| &log.headings[*index]);
    if let Some(stranger) = strangers.into_iter().find(|heading| heading.span.start == section.body.end) {
        let place = file.place(&Lines::of(&file.text), stranger.span.start);
        let message =
            format!("{place}: the notes end at `{}`, which is no heading of a version", stranger.text.trim());
        context.voice.warn(&message);
    }
    let inside = |other: &&Lookalike| section.body.contains(&other.span.start);
    if let Some(other) = log.lookalikes.iter().find(inside) {
        let place = file.place(&Lines::of(&file.text), other.span.start);
        let message = format!("{place}: in these notes is what looks like the heading of {}", other.version);
        context.voice.warn(&message);
    }
}

fn as_object(
    file: &File,
    lines: &Lines,
    log: &Changelog,
    section: &Section,
    source: Source,
    wanted: &str,
    text: String,
) -> Value {
    let mut value = Map::new();
    let name = if source == Source::Own { section.name() } else { wanted.trim_start_matches('v') };
    value.insert("version".into(), json!(name));
    if let Some(date) = section.day() {
        value.insert("date".into(), json!(&file.text[date.clone()]));
    }
    value.insert("notes".into(), Value::String(text));
    value.insert("source".into(), json!(source.word()));
    value.insert("section".into(), json!(section.name()));
    value.insert("line".into(), json!(lines.line(log.heading(section).span.start)));
    Value::Object(value)
}

/// One rule explained, or all listed.
pub fn rule(id: Option<&str>) -> Result<Answer, Failure> {
    let Some(id) = id else {
        let lines: Vec<String> = RULES
            .iter()
            .map(|r| format!("{} {:24} {:8} {}", r.code, r.name, r.levels[0].word(), r.summary))
            .collect();
        return Ok(Answer::new(lines.join("\n"), RULES.iter().map(as_value).collect::<Vec<_>>()));
    };
    let rule = rule_named(id).map_err(|why| Failure::usage("rule", why))?;
    let [default, strict, common] = rule.levels.map(changelog_lint::finding::Level::word);
    let text = format!(
        "{} {}\n\n{}\n\n{}\n\ndefault: {default}, strict: {strict}, common: {common}\n\
         In the file: <!-- changelog-lint-disable-next-line {} -->",
        rule.code,
        rule.name,
        capital(rule.summary),
        rule.explanation,
        rule.name
    );
    Ok(Answer::new(text, as_value(rule)))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn as_value(rule: &Rule) -> Value {
    let [default, strict, common] = rule.levels.map(changelog_lint::finding::Level::word);
    json!({
        "code": rule.code, "name": rule.name, "summary": rule.summary, "explanation": rule.explanation,
        "levels": { "default": default, "strict": strict, "common": common },
    })
}

/// Whether settings and file can be used.
pub fn check(args: &Args, context: &Context) -> Result<Answer, Failure> {
    let path = args.file(context)?;
    let as_setting = |failure: Failure| Failure::config(&failure.reason, failure.message.as_str());
    args.options(context, &path, today())?;
    args.fail_on(context)?;
    let file = file::read(&path).map_err(as_setting)?;
    if let Some(failure) = file.not_utf8() {
        return Err(as_setting(failure));
    }
    let versions = parse(&file.text).releases().count();
    let text = format!("{} can be read and has {versions} versions", file.name);
    Ok(Answer::new(text, json!({ "file": file.name, "versions": versions })))
}

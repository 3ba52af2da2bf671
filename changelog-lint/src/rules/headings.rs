//! Rules about the headings of releases: understood, of one shape, on one level.

use super::groups::content;
use super::{Ask, Profile};
use crate::changelog::{Heading, Section};
use crate::claim::{self, Ways};
use crate::date::{self, Reading};
use crate::hit::Hit;
use crate::lookalikes::{Lookalike, ReadAs};
use crate::manner::Style;
use crate::text::quoted;

pub(super) fn not_understood(ask: &Ask) -> Vec<Hit> {
    let within = |heading: &Heading| {
        ask.log
            .lookalikes
            .iter()
            .any(|other| heading.span.start <= other.span.start && other.span.end <= heading.span.end)
    };
    // The line of a heading of several lines that looks like one of a release says it better.
    let strangers = ask.log.strangers.iter().filter(|index| !within(&ask.log.headings[**index]));
    if strangers.clone().next().is_none() && ask.log.lookalikes.is_empty() {
        return Vec::new();
    }
    let (style, ways) = (Style::of(ask.log), Ways::of(&ask.log.sections));
    let hits = strangers.map(|index| stranger(ask, &style, &ways, *index));
    hits.chain(ask.log.lookalikes.iter().map(|other| lookalike(ask, &style, other))).collect()
}

/// A heading on the level of releases. One that names a release is meant to be one, and no advice takes it out of sight.
fn stranger(ask: &Ask, style: &Style, ways: &Ways, index: usize) -> Hit {
    let heading = &ask.log.headings[index];
    let text = heading.text.trim();
    // `3.x` heads a series, and `0.2 and earlier` many.
    let series =
        claim::may_be_release(text).is_none() && [".x", ".X", ".*"].iter().any(|end| text.ends_with(end));
    let like = || claim::like(text, ways).filter(|like| like.headed && !series).map(|like| like.version);
    let meant = claim::may_be_release(text).or_else(like);
    let names = meant.is_some() || claim::names_a_release(text);
    let message = format!("`{text}` is a heading among the releases and is read as none");
    let hit = Hit::new(ask.log.line_of(&heading.span), message);
    let deeper = "#".repeat(usize::from(heading.level.max(style.level()) + 1).min(6));
    let help = match meant {
        Some(version) => {
            format!("write `{}`; what is below it belongs to no version", right(ask, style, &version, text))
        }
        None if names => {
            let day = claim::day(text).unwrap_or_else(|| "YYYY-MM-DD".to_owned());
            let form = style.heading("1.2.0", Some(&day));
            format!(
                "write its version into it, as in `{form}`, or make it a line of words that are no heading"
            )
        }
        None if is_bare(ask, index) => "remove it".to_owned(),
        None => format!("put it on a deeper level: `{deeper} {text}`"),
    };
    hit.help(help).warning_if(!names)
}

/// Whether nothing stands below a heading.
fn is_bare(ask: &Ask, index: usize) -> bool {
    let end = ask.log.headings.get(index + 1).map_or(ask.log.text.len(), |next| next.span.start);
    content(ask, &(ask.log.headings[index].span.end..end)).next().is_none()
}

/// The heading as it should be, with the day that stands there; where a date is asked for, with a place for it.
fn right(ask: &Ask, style: &Style, version: &str, line: &str) -> String {
    let day = claim::day(line).or_else(|| ask.strict().then(|| "YYYY-MM-DD".to_owned()));
    style.heading(version, day.as_deref())
}

fn lookalike(ask: &Ask, style: &Style, other: &Lookalike) -> Hit {
    let line = ask.text(&other.span);
    let read_as = match other.read_as {
        ReadAs::Text => "words".to_owned(),
        ReadAs::Heading(level) if level == style.level() => "a heading without a version".to_owned(),
        ReadAs::Heading(level) => {
            format!("a heading of level {level}, and releases are on level {}", style.level())
        }
        ReadAs::Item => "a part of a list".to_owned(),
        ReadAs::Quote => "a quote".to_owned(),
        ReadAs::Row => "a row of a table".to_owned(),
        ReadAs::Html => "HTML".to_owned(),
        ReadAs::Code => "code, because of its indentation".to_owned(),
    };
    let message = format!("this looks like the heading of {}, but it is read as {read_as}", other.version);
    let right = right(ask, style, &other.version, line);
    Hit::new(other.span.clone(), message)
        .help(format!("write {} at the beginning of a line, with an empty line above it", quoted(&right)))
        .warning_if(other.read_as == ReadAs::Code)
}

/// `[1.2.0] - 2025-10-14`, with a link of any kind, and `[YANKED]` behind it.
pub(super) fn shape(ask: &Ask) -> Vec<Hit> {
    let wrong = ask.releases.iter().filter(|section| !is_shaped(ask, section));
    let hit = |section: &&Section| {
        let span = ask.log.line_of(&ask.log.heading(section).span);
        let brackets = if ask.options.profile == Profile::Common { "1.2.0 - 2025-10-14` or `" } else { "" };
        Hit::new(span, format!("the heading of {} has another form", section.name()))
            .help(format!("write `## {brackets}[1.2.0] - 2025-10-14`"))
    };
    wrong.map(hit).collect()
}

fn is_shaped(ask: &Ask, section: &Section) -> bool {
    let (Some(version), Some(day)) = (section.version(), &section.date) else { return true };
    if day.start < version.at.end {
        return false;
    }
    let heading = ask.log.heading(section);
    let start = ask.text(&(heading.span.start..version.at.start)).trim_start();
    let bracket = start.trim_start_matches('#').trim_start();
    let plain = ask.options.profile == Profile::Common;
    let opens = matches!(bracket, "[" | "[v") || plain && matches!(bracket, "" | "v");
    let between = ask.text(&(version.at.end..day.start));
    let end = ask.text(&(day.end..heading.span.end)).trim();
    let iso = matches!(date::read(ask.text(day)), Reading::Iso(_) | Reading::Impossible);
    opens
        && iso
        && between.ends_with(" - ")
        && (between.starts_with(']') || plain)
        && matches!(end, "" | "[YANKED]")
}

pub(super) fn level(ask: &Ask) -> Vec<Hit> {
    let Some(first) = ask.releases.first() else { return Vec::new() };
    let level = ask.log.heading(first).level;
    let others = ask.releases.iter().filter(|section| ask.log.heading(section).level != level);
    let hit = |section: &&Section| {
        let hit = Hit::new(
            ask.log.line_of(&ask.log.heading(section).span),
            format!(
                "{} stands on level {}, {} on level {level}",
                section.name(),
                ask.log.heading(section).level,
                first.name()
            ),
        );
        hit.related(ask.log.at(first), "the first one").help("give all releases the same level")
    };
    others.map(hit).collect()
}

pub(super) fn yanked(ask: &Ask) -> Vec<Hit> {
    if !ask.keeps {
        return Vec::new();
    }
    let marked = ask.releases.iter().filter_map(|section| section.yanked.as_ref().map(|at| (section, at)));
    let wrong = marked.filter(|(section, at)| {
        let end = ask.log.line_of(&ask.log.heading(section).span).end;
        let source = &ask.log.text[..end];
        !source.ends_with(" [YANKED]") || source.len() - "YANKED]".len() != at.start
    });
    let hit = |(section, at): (&&Section, &crate::changelog::Span)| {
        let hit = Hit::new(at.clone(), format!("{} is marked as withdrawn in another form", section.name()))
            .help("write `[YANKED]` behind the date");
        let end = ask.log.line_of(&ask.log.heading(section).span).end;
        let before = &ask.log.text[ask.log.heading(section).span.start..at.start];
        let start = at.start - (before.len() - before.trim_end_matches([' ', '-', '–', '—', '(', '[']).len());
        let rest = ask.text(&(at.end..end)).trim_matches([')', ']']);
        if rest.is_empty() { hit.safe(start..end, " [YANKED]") } else { hit }
    };
    wrong.map(hit).collect()
}

//! Rules about the dates of releases.

use jiff::ToSpan;

use super::{Ask, Profile};
use crate::changelog::{Section, Span};
use crate::date::{self, Reading};
use crate::hit::Hit;
use crate::manner::Style;
use crate::text::quoted;
use crate::version::Order;

/// Each release with its date and what that says.
fn dated<'a>(ask: &'a Ask) -> impl Iterator<Item = (&'a Section, Span, Reading)> {
    let read =
        |section: &&'a Section| section.day().map(|at| (*section, at.clone(), date::read(ask.text(at))));
    ask.releases.iter().filter_map(read)
}

pub(super) fn missing(ask: &Ask) -> Vec<Hit> {
    let (with, all) = (dated(ask).count(), ask.releases.len());
    // Where most releases of the file have no date, that is its style; but the one that is released now is promised one.
    let undated_style = !ask.strict() && with * 2 < all;
    let is_released = |section: &Section| {
        let last = Order::of(section.name()).is_none_or(|order| !order.is_before_release());
        (with > 0 || ask.options.promised) && last && ask.options.release.as_deref() == Some(section.name())
    };
    let undated = ask.releases.iter().filter(|section| section.day().is_none());
    let style = Style::of(ask.log);
    let hit = |section: &&Section| {
        let now = is_released(section);
        let heading = style.with_day(ask.log, section, "YYYY-MM-DD");
        let hit = Hit::new(ask.log.at(section), format!("{} has no date", section.name()));
        (now || !undated_style).then(|| {
            hit.help(format!("write {}, with the day of the release", quoted(&heading))).error_if(now)
        })
    };
    undated.filter_map(hit).collect()
}

pub(super) fn format(ask: &Ask) -> Vec<Hit> {
    let iso = dated(ask).filter(|(_, _, read)| !matches!(read, Reading::Other(_))).count();
    // A file that keeps another form throughout is left alone, but not the version that is being released.
    let asked = ask.options.profile != Profile::Default
        || ask.log.declares_keep_a_changelog()
        || iso * 2 >= dated(ask).count();
    let looked_at = |section: &Section| asked || ask.options.release.as_deref() == Some(section.name());
    let wrong = dated(ask).filter_map(|(section, at, read)| match read {
        Reading::Other(day) if looked_at(section) => Some((section, at, day)),
        // The time of day is more than is asked for, and clear to everybody.
        Reading::Timestamp(day) if ask.strict() => Some((section, at, Some(day))),
        _ => None,
    });
    let hit = |(section, at, day): (&Section, Span, Option<jiff::civil::Date>)| {
        let timed = matches!(date::read(ask.text(&at)), Reading::Timestamp(_));
        let message = format!(
            "{} is dated `{}`, which is no {}",
            section.name(),
            ask.text(&at),
            if timed { "day alone" } else { "ISO date" }
        );
        let hit = Hit::new(at.clone(), message);
        match day {
            Some(day) => hit.help(format!("write {day}")).safe(at, day.to_string()),
            None => hit.help("write the date as YYYY-MM-DD"),
        }
    };
    wrong.map(hit).collect()
}

pub(super) fn impossible(ask: &Ask) -> Vec<Hit> {
    let wrong = dated(ask).filter(|(_, _, read)| *read == Reading::Impossible);
    let hit = |(section, at, _): (&Section, Span, Reading)| {
        let message = format!("{} is dated {}, a day that does not exist", section.name(), ask.text(&at));
        Hit::new(at, message).help("write the day of the release as YYYY-MM-DD")
    };
    wrong.map(hit).chain(two_days(ask)).collect()
}

/// Nobody knows which of two days counts.
fn two_days(ask: &Ask) -> Vec<Hit> {
    let hit = |section: &&Section| {
        let day = section.date.clone()?;
        let heading = ask.log.line_of(&ask.log.heading(section).span);
        let behind = &ask.log.text[day.end.min(heading.end)..heading.end];
        let other = date::find(behind)
            .filter(|at| behind[..at.start].trim_matches([' ', '-', '/', ',', '–']).is_empty())?;
        let version = section.version()?;
        if behind[other.clone()] == *ask.text(&day) || version.at.start >= day.start {
            return None;
        }
        let hit = Hit::new(day.start..day.end + other.end, format!("{} has two days", section.name()));
        Some(hit.help("write the day of the release as YYYY-MM-DD"))
    };
    ask.releases.iter().filter_map(hit).collect()
}

pub(super) fn future(ask: &Ask) -> Vec<Hit> {
    // Where the sun rises first it is tomorrow already.
    let tomorrow = ask.options.today.saturating_add(1.day());
    let later = dated(ask).filter_map(|(section, at, read)| match read {
        Reading::Iso(day) | Reading::Timestamp(day) | Reading::Other(Some(day)) if day > tomorrow => {
            Some((section, at, day))
        }
        _ => None,
    });
    let hit = |(section, at, day): (&Section, Span, jiff::civil::Date)| {
        Hit::new(at, format!("{} is dated {day}, which has not come yet", section.name()))
            .help("write the day of the release, or move it to `Unreleased`")
    };
    later.map(hit).collect()
}

/// Only within one line of patches: a lower version that came later in another line is a backport.
pub(super) fn order(ask: &Ask) -> Vec<Hit> {
    let days = dated(ask).filter_map(|(section, at, read)| match read {
        Reading::Iso(day) | Reading::Timestamp(day) | Reading::Other(Some(day)) => Some((section, at, day)),
        _ => None,
    });
    let days: Vec<_> = days.collect();
    let mut hits = Vec::new();
    for pair in days.windows(2) {
        let [(newer, at, day), (older, other, before)] = pair else { continue };
        let (Some(upper), Some(lower)) = (Order::of(newer.name()), Order::of(older.name())) else { continue };
        let one = |section: &Section| section.version().and_then(|v| v.package.clone());
        if upper.same_line(&lower) && upper > lower && day < before && one(newer) == one(older) {
            let message = format!("{} is dated before {}, which it follows", newer.name(), older.name());
            hits.push(
                Hit::new(at.clone(), message)
                    .related(other.clone(), "later")
                    .help("look at the dates of the tags"),
            );
        }
    }
    hits
}

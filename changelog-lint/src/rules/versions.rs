//! Rules about versions: once each, descending, of a known scheme, with something to say.

use std::collections::HashMap;

use jiff::civil::Date;

use super::Ask;
use crate::changelog::{HeadingLink, Section};
use crate::date::{self, Reading};
use crate::finding::Edit;
use crate::hit::Hit;
use crate::version::{self, Order};

fn package(section: &Section) -> Option<&str> {
    section.version().and_then(|version| version.package.as_deref())
}

pub(super) fn duplicate(ask: &Ask) -> Vec<Hit> {
    let mut seen: HashMap<(Option<&str>, &str), &Section> = HashMap::new();
    let mut hits = Vec::new();
    for section in ask.log.sections.iter().filter(|section| section.version().is_some()) {
        match seen.get(&(package(section), section.name())) {
            Some(first) => hits.push(
                Hit::new(ask.log.at(section), format!("{} has two sections", section.name()))
                    .related(ask.log.at(first), "the first one")
                    .help("keep one of the two sections and move the entries of the other into it"),
            ),
            None => {
                seen.insert((package(section), section.name()), section);
            }
        }
    }
    hits
}

/// Each release against the one above it of the same package.
pub(super) fn order(ask: &Ask) -> Vec<Hit> {
    let newest = crate::notes::newest(ask.log).map(|section| section.heading);
    let oldest_first = ask.releases.len() > 2 && newest == ask.releases.last().map(|section| section.heading);
    let mut above: HashMap<Option<&str>, &Section> = HashMap::new();
    let mut hits = Vec::new();
    for &section in &ask.releases {
        let Some(order) = Order::of(section.name()) else { continue };
        if let Some(upper) = above.insert(package(section), section) {
            let Some(other) = Order::of(upper.name()) else { continue };
            let wrong = if oldest_first { order < other } else { order > other };
            // By day they are in order: an older line was cared for after the newer one was out.
            let days = || day(ask, upper).zip(day(ask, section));
            let by_day =
                wrong && !order.same_line(&other) && days().is_some_and(|(upper, lower)| upper >= lower);
            if wrong && (ask.strict() || !by_day) {
                let (newer, older) = if oldest_first { (upper, section) } else { (section, upper) };
                let message = format!(
                    "{} is newer than {} and stands {} it",
                    newer.name(),
                    older.name(),
                    if oldest_first { "above" } else { "below" }
                );
                let hit = Hit::new(ask.log.at(section), message).related(ask.log.at(upper), "this one");
                hits.push(hit.help("the latest version comes first").warning_if(by_day));
            }
        }
    }
    hits
}

/// The day of a release, if it is right.
pub(super) fn day(ask: &Ask, section: &Section) -> Option<Date> {
    match date::read(ask.text(section.day()?)) {
        Reading::Iso(day) | Reading::Timestamp(day) | Reading::Other(Some(day)) => Some(day),
        _ => None,
    }
}

pub(super) fn empty(ask: &Ask) -> Vec<Hit> {
    let empty = ask.releases.iter().filter(|section| ask.log.is_empty(section));
    let hit = |section: &&Section| {
        Hit::new(ask.log.at(section), format!("the section of {} is empty", section.name()))
            .help("say what changed, at least one entry")
    };
    empty.map(hit).collect()
}

pub(super) fn semver(ask: &Ask) -> Vec<Hit> {
    let wrong = ask
        .log
        .sections
        .iter()
        .filter(|section| section.version().is_some_and(|v| v.spelled || !version::is_semver(&v.text)));
    let hit = |section: &Section| {
        let spelled = section.version().is_some_and(|v| v.spelled);
        let message = if spelled {
            format!("the candidate {} is named in words", section.name())
        } else {
            format!("{} is no version of Semantic Versioning", section.name())
        };
        let right = if spelled { section.name() } else { "three numbers, such as 1.2.0" };
        Hit::new(ask.log.at(section), message).help(format!("write {right}"))
    };
    wrong.map(hit).collect()
}

pub(super) fn prefix(ask: &Ask) -> Vec<Hit> {
    let prefixed = ask
        .log
        .sections
        .iter()
        .filter(|section| section.version().is_some_and(|v| v.prefixed && v.package.is_none()));
    let hit = |section: &Section| {
        let at = ask.log.at(section);
        let v = at.start - 1..at.start;
        let mut edits = vec![Edit { span: v.clone(), text: String::new() }];
        // The definition is called like the heading: both lose it, or the link is lost.
        if let Some(HeadingLink::Label(_, label)) = &ask.log.heading(section).link {
            let named = ask.log.definition(label);
            let label = named
                .filter(|d| ask.text(&d.label_at).len() == section.name().len() + 1)
                .map(|d| d.label_at.start);
            edits.extend(label.map(|start| Edit { span: start..start + 1, text: String::new() }));
        }
        Hit::new(v.start..at.end, format!("{} is written with a `v`", section.name()))
            .help("only the tag has it")
            .fix(false, edits)
    };
    prefixed.map(hit).collect()
}

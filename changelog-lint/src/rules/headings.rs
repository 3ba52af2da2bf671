//! Rules about the headings of releases: understood, of one shape, on one level.

use super::{Ask, Profile};
use crate::changelog::Section;
use crate::date::{self, Reading};
use crate::finding::Hit;
use crate::version;

pub(super) fn not_understood(ask: &Ask) -> Vec<Hit> {
    let first = ask.log.sections.first().map_or(usize::MAX, |section| section.heading);
    let hit = |index: &usize| {
        let heading = &ask.log.headings[*index];
        // Above the first release it may be the newest one; below it a whole version is meant to be one.
        let light = *index > first && version::find(&heading.text, 0).is_none_or(|found| found.parts < 3);
        let message = format!("`{}` stands among the versions and is none", heading.text.trim());
        let help = "write `## [1.2.0] - YYYY-MM-DD`, or put it on a deeper level; what stands below it belongs to no version";
        Hit::new(ask.log.line_of(&heading.span), message).help(help).warning_if(light)
    };
    ask.log.strangers.iter().map(hit).collect()
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

//! Rules about what a branch has changed: new entries belong under `Unreleased`, and no release gets lost.

use std::collections::HashMap;

use super::Ask;
use crate::changelog::{Changelog, Section, Span, parse};
use crate::hit::Hit;
use crate::text::lines;

fn same(one: &Section, other: &Section) -> bool {
    let key = |section: &Section| section.version().map(|v| (v.text.clone(), v.package.clone()));
    one.is_released() && other.is_released() && key(one) == key(other)
}

pub(super) fn entry(ask: &Ask) -> Vec<Hit> {
    let Some(base) = &ask.options.base else { return Vec::new() };
    let old = parse(base);
    let old_by_name: HashMap<&str, &Section> =
        old.releases().map(|section| (section.name(), section)).collect();
    let mut hits = Vec::new();
    for section in &ask.releases {
        let before = old_by_name.get(section.name()).filter(|before| same(before, section));
        if let Some(before) = before.filter(|_| ask.options.release.as_deref() != Some(section.name())) {
            hits.extend(added(ask, &old, before, section));
        }
    }
    hits
}

/// The lines that the section did not have, those that follow each other together.
fn added(ask: &Ask, old: &Changelog, before: &Section, section: &Section) -> Vec<Hit> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (_, line) in lines(&old.text[before.body.clone()]) {
        *known.entry(line.trim()).or_default() += 1;
    }
    let mut runs: Vec<Span> = Vec::new();
    let mut open = false;
    for (span, line) in lines(ask.text(&section.body)) {
        let span = section.body.start + span.start..section.body.start + span.end;
        let line = line.trim();
        let told = known.get_mut(line).filter(|left| **left > 0).map(|left| *left -= 1).is_some();
        let counts =
            !told && !line.is_empty() && !line.starts_with("<!--") && !is_definition(ask, span.start);
        match runs.last_mut().filter(|_| open && counts) {
            Some(run) => run.end = span.end,
            None if counts => runs.push(span),
            None => {}
        }
        open = counts;
    }
    let name = section.name();
    let hit = |span: Span| {
        let hit = Hit::new(span, format!("this was added to {name}, which is already released"));
        hit.help("move it to `Unreleased`, or allow it: `<!-- changelog-lint-disable-next-line entry-in-released -->`")
    };
    runs.into_iter().map(hit).collect()
}

fn is_definition(ask: &Ask, at: usize) -> bool {
    let before = ask.log.definitions.partition_point(|d| d.span.start <= at);
    ask.log.definitions[..before].last().is_some_and(|d| at < d.span.end)
}

pub(super) fn lost(ask: &Ask) -> Vec<Hit> {
    let Some(base) = &ask.options.base else { return Vec::new() };
    let old = parse(base);
    let names: HashMap<&str, &Section> =
        ask.releases.iter().map(|section| (section.name(), *section)).collect();
    let gone =
        old.releases().filter(|section| !names.get(section.name()).is_some_and(|now| same(now, section)));
    let hit = |section: &Section| {
        let line = base[..old.heading(section).span.start].matches('\n').count() + 1;
        // Point at the release that now stands where it was.
        let older = old.releases().filter(|other| other.heading > section.heading);
        let at =
            older.into_iter().find_map(|other| names.get(other.name())).map_or(0..0, |now| ask.log.at(now));
        let hit = Hit::new(
            at,
            format!(
                "the heading of {} has disappeared; it stood in line {line} where the branch began",
                section.name()
            ),
        );
        hit.section(section.name()).help("bring the heading back above this")
    };
    gone.map(hit).collect()
}

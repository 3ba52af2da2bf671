//! The definitions of links: each once, each used, none missing.

use std::collections::{HashMap, HashSet};

use super::before::Before;
use crate::changelog::{Broken, Definition, HeadingLink, Section, folded};
use crate::finding::Edit;
use crate::hit::Hit;
use crate::links::{Neighbours, Scheme, definition_edit};
use crate::rules::Ask;
use crate::version;

/// The bracketed name of a section that is no link: the reference without a definition.
fn unlinked<'a>(ask: &'a Ask, section: &Section) -> Option<&'a Broken> {
    let heading = ask.log.heading(section);
    let from = ask.log.broken.partition_point(|broken| broken.span.start < heading.span.start);
    let inside = ask.log.broken[from..].iter().take_while(|broken| broken.span.start < heading.span.end);
    let name = section.name();
    inside.into_iter().find(|broken| {
        let label = broken.label.trim_start_matches(['v', 'V']);
        label.eq_ignore_ascii_case(name)
            || version::of_tag(&broken.label).is_some_and(|v| v == name)
            || broken.full && ask.text(&broken.span).contains(name)
    })
}

pub(in crate::rules) fn undefined(ask: &Ask) -> Vec<Hit> {
    let unlinked: Vec<(usize, &Broken)> = ask
        .log
        .sections
        .iter()
        .enumerate()
        .filter_map(|(index, section)| Some((index, unlinked(ask, section)?)))
        .collect();
    if unlinked.is_empty() {
        return Vec::new();
    }
    let light = !ask
        .releases
        .iter()
        .any(|section| matches!(ask.log.heading(section).link, Some(HeadingLink::Label(..))));
    let repair = Repair::of(ask);
    let hit = |(index, broken): (usize, &Broken)| {
        let hit = Hit::new(
            broken.span.clone(),
            format!("`[{}]` is not linked: the label is not defined", broken.label),
        );
        let hit = hit.help(format!("define it: `[{}]: address`", broken.label)).warning_if(light);
        match repair.as_ref().and_then(|repair| repair.edit(ask, index, &broken.label)) {
            Some((proven, edit)) => hit.fix(proven, vec![edit]),
            None => hit,
        }
    };
    unlinked.into_iter().map(hit).collect()
}

/// What it takes to write a definition that is missing.
struct Repair<'a> {
    scheme: Scheme,
    neighbours: Neighbours<'a>,
    before: Before<'a>,
    /// For each section by its heading its index among the releases.
    releases: HashMap<usize, usize>,
}

impl<'a> Repair<'a> {
    fn of(ask: &'a Ask<'a>) -> Option<Self> {
        let scheme = Scheme::of(ask.log, ask.options.repository.as_deref(), ask.options.tags.as_deref())?;
        let releases =
            ask.releases.iter().enumerate().map(|(index, section)| (section.heading, index)).collect();
        Some(Repair { scheme, neighbours: Neighbours::of(ask.log), before: Before::of(ask), releases })
    }

    /// Whether the file itself shows how, and the edit.
    fn edit(&self, ask: &Ask, index: usize, label: &str) -> Option<(bool, Edit)> {
        let release = self.releases.get(&ask.log.sections[index].heading);
        let before = release.and_then(|index| self.before.expected(*index));
        let edit = definition_edit(ask.log, &self.scheme, &self.neighbours, index, label, before)?;
        let spelled = ask.log.sections[index].version().is_some_and(|version| version.spelled);
        Some((self.scheme.proven && !spelled, edit))
    }
}

pub(in crate::rules) fn duplicate(ask: &Ask) -> Vec<Hit> {
    let hit = |void: &Definition| {
        let first = ask.log.definition(&void.label)?;
        let hit = Hit::new(
            void.span.clone(),
            format!("`[{}]` is defined twice; only the first one counts", ask.text(&void.label_at)),
        );
        let hit = hit.related(first.span.clone(), "the first one").help("remove one of them");
        // Saying the same twice misleads nobody.
        let same = ask.log.url(first) == ask.log.url(void);
        Some(if same { hit.warning_if(true).fix(true, vec![removal(ask, void)]) } else { hit })
    };
    ask.log.definitions.iter().filter(|d| d.void).filter_map(hit).collect()
}

/// A definition taken away with its line.
fn removal(ask: &Ask, definition: &Definition) -> Edit {
    let eol = ask.log.text[definition.span.end..].find('\n').map_or(0, |at| at + 1);
    Edit { span: definition.span.start..definition.span.end + eol, text: String::new() }
}

/// The definitions whose label nobody uses; void ones are reported as doubled.
fn idle<'a>(ask: &'a Ask) -> impl Iterator<Item = &'a Definition> {
    let used: HashSet<&str> = ask.log.uses.iter().map(|used| used.label.as_str()).collect();
    // `[//]: # (words)` is how some people write comments.
    let is_comment = |d: &Definition| ask.log.url(d).starts_with('#');
    ask.log.definitions.iter().filter(move |d| !d.void && !used.contains(d.label.as_str()) && !is_comment(d))
}

/// The version that a label is, whole.
fn version_of<'a>(ask: &'a Ask, definition: &Definition) -> Option<&'a str> {
    let label = &ask.log.text[definition.label_at.clone()];
    let found = version::find(label, 0).filter(|found| found.parts >= 2)?;
    (found.at.end == label.len() && found.at.start == usize::from(found.prefixed)).then(|| &label[found.at])
}

pub(in crate::rules) fn stray(ask: &Ask) -> Vec<Hit> {
    let known: HashSet<String> = ask
        .log
        .sections
        .iter()
        .filter_map(Section::version)
        .flat_map(|v| std::iter::once(&v.text).chain(&v.also))
        .map(|name| folded(name))
        .collect();
    let strays = idle(ask).filter_map(|d| version_of(ask, d).map(|version| (d, version)));
    let unknown = strays.filter(|(_, version)| !known.contains(&folded(version)));
    let hit = |(definition, version): (&Definition, &str)| {
        let hit = Hit::new(
            definition.span.clone(),
            format!("a link is defined for {version}, which is not in the file"),
        );
        hit.help("remove it, or bring the version's section back")
    };
    unknown.map(hit).collect()
}

pub(in crate::rules) fn unused(ask: &Ask) -> Vec<Hit> {
    let others = idle(ask).filter(|d| version_of(ask, d).is_none());
    let hit = |definition: &Definition| {
        let hit = Hit::new(
            definition.span.clone(),
            format!("`[{}]` is never used", ask.text(&definition.label_at)),
        );
        hit.help("remove it").fix(true, vec![removal(ask, definition)])
    };
    others.map(hit).collect()
}

pub(in crate::rules) fn not_linked(ask: &Ask) -> Vec<Hit> {
    let bare = ask
        .releases
        .iter()
        .filter(|section| ask.log.heading(section).link.is_none() && unlinked(ask, section).is_none());
    let hit = |section: &&Section| {
        Hit::new(ask.log.at(section), format!("{} is not linked", section.name()))
            .help("write it in brackets and define the link below")
    };
    bare.map(hit).collect()
}

pub(in crate::rules) fn broken(ask: &Ask) -> Vec<Hit> {
    let headings: HashSet<usize> =
        ask.log.sections.iter().filter_map(|section| unlinked(ask, section)).map(|b| b.span.start).collect();
    let full = ask.log.broken.iter().filter(|b| b.full && !headings.contains(&b.span.start));
    let hit = |broken: &Broken| {
        Hit::new(broken.span.clone(), format!("the label `{}` is not defined", broken.label))
            .help(format!("define it: `[{}]: address`", broken.label))
    };
    full.map(hit).collect()
}

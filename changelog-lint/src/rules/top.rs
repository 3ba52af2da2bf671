//! Rules about what stands above the releases: the title, the preamble, `Unreleased`.

use super::{Ask, Profile};
use crate::changelog::{BlockKind, Heading, Section};
use crate::hit::Hit;

pub(super) fn no_release(ask: &Ask) -> Vec<Hit> {
    if !ask.log.sections.is_empty() {
        return Vec::new();
    }
    let hit = Hit::new(0..0, "no version: there is no heading of one");
    vec![hit.help("write `## [1.0.0] - YYYY-MM-DD` and the changes below it")]
}

/// The title: the first heading of the first level that is no release, and names no family of them.
fn title<'a>(ask: &'a Ask) -> Option<&'a Heading> {
    let opens = ask.log.sections.first().is_some_and(|section| section.heading == 0);
    let other = opens || ask.log.families.first() == Some(&0);
    ask.log.headings.first().filter(|heading| heading.level == 1 && !other)
}

pub(super) fn title_missing(ask: &Ask) -> Vec<Hit> {
    if title(ask).is_some() || ask.log.sections.is_empty() {
        return Vec::new();
    }
    vec![Hit::new(0..0, "the file has no title").help("begin it with `# Changelog`")]
}

pub(super) fn title_text(ask: &Ask) -> Vec<Hit> {
    let Some(heading) = title(ask).filter(|heading| heading.text.trim() != "Changelog") else {
        return Vec::new();
    };
    let message = format!("the title is `{}`", heading.text.trim());
    vec![Hit::new(ask.log.line_of(&heading.span), message).help("call it `# Changelog`")]
}

pub(super) fn multiple_titles(ask: &Ask) -> Vec<Hit> {
    let Some(first) = title(ask) else { return Vec::new() };
    if ask.log.sections.iter().any(|section| ask.log.heading(section).level == 1) {
        return Vec::new();
    }
    // What stands among the releases and is none of them has a finding of its own.
    let told = |index: &usize| ask.log.strangers.contains(index) || ask.log.families.contains(index);
    let others =
        (1..ask.log.headings.len()).filter(|index| ask.log.headings[*index].level == 1 && !told(index));
    let hit = |index: usize| {
        let heading = &ask.log.headings[index];
        let hit =
            Hit::new(ask.log.line_of(&heading.span), format!("a second title: `{}`", heading.text.trim()));
        let again = heading.text.trim() == first.text.trim();
        hit.related(ask.log.line_of(&first.span), "the title").help(if again {
            "remove it".to_owned()
        } else {
            format!("put it on a deeper level: `### {}`", heading.text.trim())
        })
    };
    others.map(hit).collect()
}

pub(super) fn preamble(ask: &Ask) -> Vec<Hit> {
    let range = ask.log.preamble();
    let is_text = |b: &&crate::changelog::Block| !matches!(b.kind, BlockKind::Heading | BlockKind::Html);
    let first = ask.log.blocks_in(&range).iter().find(is_text);
    let start = ask.log.sections.first().map_or(0, |section| ask.log.heading(section).span.start);
    match (ask.options.profile, first) {
        (Profile::Common, Some(block)) => {
            let hit = Hit::new(ask.log.line_of(&block.span), "there is text above the releases");
            vec![hit.help("Common Changelog has only the title there")]
        }
        (Profile::Common, None) => Vec::new(),
        _ if !ask.log.declares_keep_a_changelog() => {
            let hit = Hit::new(
                start..start,
                "the text above the releases does not say which format the file keeps to",
            );
            vec![hit.help("name https://keepachangelog.com and the versioning scheme")]
        }
        _ => Vec::new(),
    }
}

pub(super) fn file_name(ask: &Ask) -> Vec<Hit> {
    if ask.options.file_name == "CHANGELOG.md" {
        return Vec::new();
    }
    vec![Hit::new(0..0, format!("the file is called {}", ask.options.file_name)).help("call it CHANGELOG.md")]
}

fn unreleased<'a>(ask: &'a Ask) -> impl Iterator<Item = &'a Section> {
    ask.log.sections.iter().filter(|section| section.version().is_none())
}

pub(super) fn unreleased_missing(ask: &Ask) -> Vec<Hit> {
    let first = ask.log.sections.first();
    match first.filter(|_| unreleased(ask).next().is_none()) {
        Some(first) => {
            let at = ask.log.heading(first).span.start;
            vec![
                Hit::new(at..at, "there is no `Unreleased` section")
                    .help("write `## [Unreleased]` above the newest version"),
            ]
        }
        None => Vec::new(),
    }
}

pub(super) fn unreleased_duplicate(ask: &Ask) -> Vec<Hit> {
    let mut all = unreleased(ask);
    let Some(first) = all.next() else { return Vec::new() };
    let hit = |other: &Section| {
        let hit =
            Hit::new(ask.log.at(other), "a second `Unreleased`").related(ask.log.at(first), "the first one");
        hit.help("move its entries to the first one")
    };
    all.map(hit).collect()
}

pub(super) fn unreleased_not_first(ask: &Ask) -> Vec<Hit> {
    let (Some(section), Some(release)) = (unreleased(ask).next(), ask.releases.first()) else {
        return Vec::new();
    };
    if section.heading < release.heading || oldest_first(ask) {
        return Vec::new();
    }
    let hit = Hit::new(ask.log.at(section), format!("`Unreleased` stands below {}", release.name()));
    vec![hit.related(ask.log.at(release), "released").help("move it to the top")]
}

/// Whether the newest stands at the bottom, where `Unreleased` belongs to then.
fn oldest_first(ask: &Ask) -> bool {
    let newest = crate::notes::newest(ask.log);
    ask.releases.len() > 1 && newest.map(|n| n.heading) == ask.releases.last().map(|r| r.heading)
}

pub(super) fn unreleased_forbidden(ask: &Ask) -> Vec<Hit> {
    let hit = |section: &Section| {
        Hit::new(ask.log.at(section), "Common Changelog has no `Unreleased`")
            .help("write its changes when they are released")
    };
    unreleased(ask).map(hit).collect()
}

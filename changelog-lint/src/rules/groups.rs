//! Rules about the sections within a release, and about its entries.

use std::collections::HashMap;

use super::{Ask, Profile};
use crate::changelog::{Block, BlockKind, Group, Section, Span};
use crate::finding::Edit;
use crate::hit::Hit;
use crate::names;

fn all<'a>(ask: &'a Ask) -> impl Iterator<Item = (&'a Section, &'a Group)> {
    ask.log.sections.iter().flat_map(|section| section.groups.iter().map(move |group| (section, group)))
}

fn name<'a>(ask: &'a Ask, group: &Group) -> &'a str {
    ask.log.headings[group.heading].text.trim()
}

/// The place of a group's name.
fn name_at(ask: &Ask, group: &Group) -> Span {
    let heading = &ask.log.headings[group.heading];
    let start = heading.text.len() - heading.text.trim_start().len();
    heading.place(&(start..start + heading.text.trim().len()))
}

/// The group's heading without its line end.
fn heading_at(ask: &Ask, group: &Group) -> Span {
    ask.log.line_of(&ask.log.headings[group.heading].span)
}

/// The names that are right in this profile.
fn right(ask: &Ask) -> &'static [&'static str] {
    if ask.options.profile == Profile::Common { &names::COMMON_CHANGELOG } else { &names::KEEP_A_CHANGELOG }
}

pub(super) fn unknown(ask: &Ask) -> Vec<Hit> {
    if !ask.strict() && !ask.keeps {
        return Vec::new();
    }
    all(ask).filter_map(|(section, group)| unknown_name(ask, section, group)).collect()
}

fn unknown_name(ask: &Ask, section: &Section, group: &Group) -> Option<Hit> {
    let name = name(ask, group);
    if right(ask).contains(&name) || ask.options.sections.iter().any(|known| known == name) {
        return None;
    }
    let taken = |meant: &&str| section.groups.iter().any(|other| self::name(ask, other) == *meant);
    let meant = names::suggestion(name).filter(|meant| right(ask).contains(meant));
    let decorated = names::decorated(name);
    if !ask.strict() && (meant.is_none() || decorated.is_some() && !name.is_ascii()) {
        return None;
    }
    let at = name_at(ask, group);
    let hit = Hit::new(at.clone(), format!("`{name}` is none of {}", right(ask).join(", ")));
    Some(match meant {
        Some(meant) if decorated.is_some() && name.is_ascii() => {
            hit.help(format!("write `{meant}`")).safe(at, meant)
        }
        // Where the right one is there already, a new name alone would only make it a second one.
        Some(meant) if taken(&meant) => hit.help(format!("did you mean `{meant}`? The release has one")),
        Some(meant) => hit.help(format!("did you mean `{meant}`?")).unsafe_(at, meant),
        None => hit.help("use one of them, or allow it with `sections` in [changelog-lint] of release.toml"),
    })
}

pub(super) fn duplicate(ask: &Ask) -> Vec<Hit> {
    if !ask.strict() && !ask.keeps {
        return Vec::new();
    }
    ask.log.sections.iter().flat_map(|section| duplicates(ask, section)).collect()
}

fn duplicates(ask: &Ask, section: &Section) -> Vec<Hit> {
    let mut seen: HashMap<String, &Group> = HashMap::new();
    let mut hits = Vec::new();
    for group in &section.groups {
        let key = names::decorated(name(ask, group))
            .map_or_else(|| name(ask, group).to_lowercase(), str::to_lowercase);
        match seen.get(&key) {
            Some(first) => {
                let hit = Hit::new(
                    heading_at(ask, group),
                    format!("{} has `{}` twice", section.name(), name(ask, group)),
                );
                let hit = hit
                    .related(heading_at(ask, first), "the first one")
                    .help("move the entries to the first one");
                hits.push(hit.fix(false, merged(ask, first, group)));
            }
            None => {
                seen.insert(key, group);
            }
        }
    }
    hits
}

/// The content of the second group behind the content of the first.
fn merged(ask: &Ask, first: &Group, second: &Group) -> Vec<Edit> {
    let end = |span: &Span| span.start + ask.text(span).trim_end().len();
    let content = ask.text(&second.body).trim_matches(['\r', '\n']).trim_end();
    let heading = &ask.log.headings[second.heading].span;
    let at = end(&(ask.log.headings[first.heading].span.start..first.body.end));
    let eol = crate::text::line_end(ask.log.text);
    // Directly behind the first one there is nothing to take away in between.
    let text = if content.is_empty() { String::new() } else { format!("{eol}{content}") };
    vec![Edit { span: at..at, text }, Edit { span: heading.start..second.body.end, text: String::new() }]
}

pub(super) fn order(ask: &Ask) -> Vec<Hit> {
    let rank = |group: &Group| {
        names::decorated(name(ask, group)).and_then(|n| right(ask).iter().position(|known| *known == n))
    };
    let mut hits = Vec::new();
    for section in &ask.log.sections {
        let known: Vec<(&Group, usize)> =
            section.groups.iter().filter_map(|g| rank(g).map(|r| (g, r))).collect();
        let wrong = known.windows(2).find(|pair| pair[0].1 > pair[1].1);
        if let Some([(before, _), (group, _)]) = wrong {
            let message = format!("`{}` stands below `{}`", name(ask, group), name(ask, before));
            let hit = Hit::new(heading_at(ask, group), message).related(heading_at(ask, before), "this one");
            hits.push(hit.help(format!("the order is {}", right(ask).join(", "))));
        }
    }
    hits
}

/// What a place says: no comments, no lines across.
pub(super) fn content<'a>(ask: &'a Ask, span: &Span) -> impl Iterator<Item = &'a Block> {
    let log = ask.log;
    let comment =
        |b: &Block| b.kind == BlockKind::Html && log.text[b.span.clone()].trim_start().starts_with("<!--");
    log.blocks_in(span).iter().filter(move |b| !comment(b) && b.kind != BlockKind::Rule)
}

pub(super) fn empty(ask: &Ask) -> Vec<Hit> {
    let empty = all(ask)
        .filter(|(section, group)| section.is_released() && content(ask, &group.body).next().is_none());
    let hit = |(section, group): (&Section, &Group)| {
        let start = ask.log.headings[group.heading].span.start;
        let bare = ask.text(&group.body).trim().is_empty();
        let hit = Hit::new(
            heading_at(ask, group),
            format!("`{}` of {} is empty", name(ask, group), section.name()),
        )
        .help("remove it");
        if bare { hit.unsafe_(start..group.body.end, "") } else { hit }
    };
    empty.map(hit).collect()
}

pub(super) fn no_list(ask: &Ask) -> Vec<Hit> {
    let is_item = |b: &Block| matches!(b.kind, BlockKind::Item(numbered) if !numbered || ask.options.profile != Profile::Common);
    let bare = all(ask).filter(|(_, group)| {
        let mut blocks = content(ask, &group.body).peekable();
        blocks.peek().is_some() && !blocks.any(is_item)
    });
    let hit = |(section, group): (&Section, &Group)| {
        Hit::new(heading_at(ask, group), format!("`{}` of {} has no list", name(ask, group), section.name()))
            .help("write each change as an item: `- ...`")
    };
    bare.map(hit).collect()
}

/// What stands in a section above its first group.
pub(super) fn above(ask: &Ask, section: &Section) -> Span {
    let end =
        section.groups.first().map_or(section.body.end, |group| ask.log.headings[group.heading].span.start);
    section.body.start..end
}

pub(super) fn outside(ask: &Ask) -> Vec<Hit> {
    let first = |section: &Section| {
        let above = above(ask, section);
        content(ask, &above)
            .find(|b| matches!(b.kind, BlockKind::Item(_)))
            .map(|b| (section.name().to_owned(), b))
    };
    let hit = |(name, block): (String, &Block)| {
        let end =
            block.span.start + ask.text(&block.span).lines().next().map_or(0, |line| line.trim_end().len());
        Hit::new(block.span.start..end, format!("an entry of {name} stands outside of its sections"))
            .help(format!("put it below one of {}", right(ask).join(", ")))
    };
    ask.log.sections.iter().filter_map(first).map(hit).collect()
}

pub(super) fn level(ask: &Ask) -> Vec<Hit> {
    let high = all(ask).filter(|(section, group)| {
        let level = ask.log.headings[group.heading].level;
        // Where releases themselves stand on several levels, the deeper ones share theirs with their sections.
        level <= ask.log.heading(section).level
            && ask.releases.iter().all(|r| ask.log.heading(r).level >= level)
    });
    let hit = |(section, group): (&Section, &Group)| {
        let hit = Hit::new(
            heading_at(ask, group),
            format!("`{}` stands on the level of {}", name(ask, group), section.name()),
        );
        hit.related(ask.log.at(section), "the release").help("put it one level deeper")
    };
    high.map(hit).collect()
}

pub(super) fn repeated(ask: &Ask) -> Vec<Hit> {
    let groups = all(ask).map(|(_, group)| group.body.clone());
    let parts = groups.chain(ask.log.sections.iter().map(|section| above(ask, section)));
    parts.flat_map(|part| repeated_in(ask, &part)).collect()
}

fn repeated_in(ask: &Ask, part: &Span) -> Vec<Hit> {
    let mut seen = HashMap::new();
    let mut hits = Vec::new();
    let blocks = ask.log.blocks_in(part);
    for block in blocks {
        match block.kind {
            // Below a deeper heading the same words can be said of something else.
            BlockKind::Heading => seen.clear(),
            BlockKind::Item(_) => {
                let item = ask.log.line_of(&block.span);
                let text = ask.text(&item);
                if text.len() < 12 {
                    continue;
                }
                if let Some(first) = seen.insert(text, item.clone()) {
                    let hit = Hit::new(item.clone(), "the same entry stands here twice")
                        .related(first, "the first one");
                    let eol = ask.log.text[item.end..].find('\n').map_or(0, |at| at + 1);
                    hits.push(hit.help("remove one").safe(item.start..item.end + eol, ""));
                }
            }
            _ => {}
        }
    }
    hits
}

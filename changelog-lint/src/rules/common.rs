//! Rules of Common Changelog alone.

use super::Ask;
use super::groups::above;
use crate::changelog::{Block, BlockKind, Section, Span};
use crate::hit::Hit;

fn items<'a>(ask: &'a Ask) -> impl Iterator<Item = &'a Block> {
    let in_release = |block: &&Block| ask.log.section_at(block.span.start).is_some();
    ask.log.blocks.iter().filter(|block| matches!(block.kind, BlockKind::Item(_))).filter(in_release)
}

/// An entry's text without its bullet, and its first line's place.
fn entry<'a>(ask: &'a Ask, block: &Block) -> (&'a str, Span) {
    let item = ask.log.line_of(&block.span);
    let text = &ask.log.text[item.clone()];
    let first = item.start..item.start + text.lines().next().map_or(0, |line| line.trim_end().len());
    let bullet = text.find([' ', '\t']).unwrap_or_default();
    (text[bullet..].trim_start(), first)
}

pub(super) fn reference(ask: &Ask) -> Vec<Hit> {
    let bare = items(ask).filter(|block| {
        let (text, _) = entry(ask, block);
        let linked = text.contains("](") || text.contains("][") || text.contains("://");
        let labelled = ask.log.uses.partition_point(|used| used.span.start < block.span.start);
        !linked && ask.log.uses.get(labelled).is_none_or(|used| used.span.start >= block.span.end)
    });
    let hit = |block: &Block| {
        Hit::new(entry(ask, block).1, "the entry has no reference")
            .help("end it with a change, an issue or a commit, such as ([#194](address))")
    };
    bare.map(hit).collect()
}

const VERBS: &[&str] = &[
    "adds",
    "allows",
    "changes",
    "deprecates",
    "drops",
    "enables",
    "fixes",
    "improves",
    "introduces",
    "makes",
    "moves",
    "refactors",
    "removes",
    "renames",
    "replaces",
    "supports",
    "updates",
    "uses",
];

pub(super) fn mood(ask: &Ask) -> Vec<Hit> {
    let hit = |block: &Block| {
        let (text, at) = entry(ask, block);
        let text = if text.starts_with("**") { text.splitn(3, "**").nth(2)?.trim_start() } else { text };
        let word = text.split_whitespace().next()?;
        let lower = word.to_lowercase();
        let other = lower.len() > 4 && (lower.ends_with("ed") || lower.ends_with("ing"))
            || VERBS.contains(&lower.as_str());
        let usual =
            ["need", "seed", "feed", "embed", "speed", "string", "bring", "ping"].contains(&lower.as_str());
        (other && !usual).then(|| {
            Hit::new(at, format!("the entry begins with `{word}`"))
                .help("write what the change does: `Add`, not `Added` or `Adds`")
        })
    };
    items(ask).filter_map(hit).collect()
}

pub(super) fn lines(ask: &Ask) -> Vec<Hit> {
    let long = items(ask).filter(|block| entry(ask, block).0.contains('\n'));
    let hit = |block: &Block| {
        Hit::new(entry(ask, block).1, "the entry has more than one line")
            .help("write one line for each change")
    };
    long.map(hit).collect()
}

pub(super) fn breaking(ask: &Ask) -> Vec<Hit> {
    let groups = ask.log.sections.iter().flat_map(|section| &section.groups);
    let mut hits = Vec::new();
    for group in groups {
        let mut others = false;
        for block in ask.log.blocks_in(&group.body).iter().filter(|b| matches!(b.kind, BlockKind::Item(_))) {
            let (text, at) = entry(ask, block);
            let breaking = text.starts_with("**Breaking");
            if breaking && others {
                hits.push(Hit::new(at, "a breaking change stands below others").help("put it first"));
            }
            others |= !breaking;
        }
    }
    hits
}

pub(super) fn notice(ask: &Ask) -> Vec<Hit> {
    let second = |section: &Section| {
        let blocks = ask.log.blocks_in(&above(ask, section));
        let words = |b: &&Block| !matches!(b.kind, BlockKind::Heading | BlockKind::Html);
        let first = blocks.iter().find(words)?;
        if first.kind == BlockKind::Paragraph {
            blocks.iter().filter(words).nth(1).map(|b| b.span.clone())
        } else {
            Some(first.span.clone())
        }
    };
    let hit = |span: Span| {
        Hit::new(ask.log.line_of(&span), "there is more than a notice of one sentence")
            .help("put changes into groups")
    };
    ask.log.sections.iter().filter_map(second).map(hit).collect()
}

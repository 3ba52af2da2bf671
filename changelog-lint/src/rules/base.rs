//! Rules about what a branch has changed: new entries belong under `Unreleased`, and no release gets lost. An entry is what it says:
//! another bullet, another indentation, other line breaks, a link where there was none make it no new one.

use std::collections::HashMap;

use super::Ask;
use crate::changelog::{BlockKind, Changelog, Section, Span, parse};
use crate::hit::Hit;
use crate::text::lines;

/// An entry of which so many hundredths of the words are those of one that is gone was corrected, not added.
const CORRECTED: usize = 60;
/// Entries that are shorter are also compared by their letters, bytes.
const SHORT: usize = 200;
/// So many entries that are gone are compared, and no more.
const COMPARED: usize = 200;

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

/// What a section says in one place.
struct Said {
    at: Span,
    words: Vec<String>,
}

fn said(log: &Changelog, section: &Section) -> Vec<Said> {
    let mut found = Vec::new();
    for block in log
        .blocks_in(&section.body)
        .iter()
        .filter(|block| !matches!(block.kind, BlockKind::Rule | BlockKind::Heading))
    {
        let at = log.line_of(&(block.span.start..block.span.end.min(section.body.end)));
        let text = without_definitions(log, &at);
        match block.kind {
            BlockKind::Item(_) => found.extend(items(&text, at.start)),
            _ => found.push(Said { words: words(&text), at }),
        }
    }
    found.retain(|said| !said.words.is_empty());
    found
}

/// The text of a place with blanks where definitions and comments stand. (The parser has a list reach over what is defined behind it.)
fn without_definitions(log: &Changelog, at: &Span) -> String {
    let mut text = log.text[at.clone()].to_owned();
    let from = log.definitions.partition_point(|definition| definition.span.start < at.start);
    let definitions = log.definitions[from..]
        .iter()
        .map(|definition| &definition.span)
        .take_while(|span| span.start < at.end);
    let from = log.comments.partition_point(|comment| comment.start < at.start);
    let comments = log.comments[from..].iter().take_while(|span| span.start < at.end);
    for span in definitions.chain(comments).filter(|span| span.end <= at.end) {
        text.replace_range(span.start - at.start..span.end - at.start, &" ".repeat(span.len()));
    }
    text
}

/// An item, and each item within it by itself.
fn items(text: &str, start: usize) -> Vec<Said> {
    let mut found: Vec<Said> = Vec::new();
    for (span, line) in lines(text).filter(|(_, line)| !line.trim().is_empty()) {
        let bare = line.trim_start();
        let bullet = ["- ", "* ", "+ "].iter().any(|mark| bare.starts_with(mark));
        let at = start + span.start + (line.len() - bare.len())..start + span.start + line.trim_end().len();
        match found.last_mut().filter(|_| !bullet) {
            Some(last) => {
                last.words.extend(words(line));
                last.at.end = at.end;
            }
            None => found.push(Said { words: words(line), at }),
        }
    }
    found
}

/// The words that a reader sees, in lower case: no addresses, no signs.
fn words(text: &str) -> Vec<String> {
    let mut seen = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("](") {
        seen.push_str(&rest[..open]);
        seen.push(' ');
        rest = rest[open + 2..].split_once(')').map_or("", |(_, after)| after);
    }
    seen.push_str(rest);
    let visible = seen.split_whitespace().filter(|word| !word.contains("://"));
    let words = visible.flat_map(|word| word.split(|c: char| !c.is_alphanumeric()));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// What the section did not say before; what follows each other together.
fn added(ask: &Ask, old: &Changelog, before: &Section, section: &Section) -> Vec<Hit> {
    if old.text[before.body.clone()] == *ask.text(&section.body) {
        return Vec::new();
    }
    let (before, now) = (said(old, before), said(ask.log, section));
    let mut left: HashMap<String, usize> = HashMap::new();
    for said in &before {
        *left.entry(said.words.join(" ")).or_default() += 1;
    }
    let mut new: Vec<usize> = (0..now.len()).filter(|index| !take(&mut left, &now[*index])).collect();
    let mut gone: Vec<&Said> = before.iter().filter(|said| take(&mut left, said)).collect();
    // What is gone may have been split, joined or corrected.
    let all: Vec<&str> = before.iter().flat_map(|said| &said.words).map(String::as_str).collect();
    let all = format!(" {} ", all.join(" "));
    new.retain(|index| {
        let part = !gone.is_empty() && all.contains(&format!(" {} ", now[*index].words.join(" ")));
        !part && !is_corrected(&now[*index], &mut gone)
    });
    runs(&now, &new).into_iter().map(|span| hit(section, span)).collect()
}

/// Takes one of these words away; whether there was one.
fn take(left: &mut HashMap<String, usize>, said: &Said) -> bool {
    left.get_mut(&said.words.join(" ")).filter(|left| **left > 0).map(|left| *left -= 1).is_some()
}

/// Whether an entry says what another one said: most of its words, nearly the same letters, or all of it and a little more.
fn is_like(said: &[String], other: &[String]) -> bool {
    let common = said.iter().filter(|word| other.contains(word)).count();
    if common * 100 >= said.len().max(other.len()) * CORRECTED {
        return true;
    }
    let mut left = said.iter();
    let whole = other.len() > 1
        && said.len() <= 2 * other.len() + 2
        && other.iter().all(|word| left.any(|one| one == word));
    let (one, two) = (said.join(" "), other.join(" "));
    whole || one.len().max(two.len()) < SHORT && strsim::normalized_levenshtein(&one, &two) * 100.0 >= 60.0
}

/// Whether an entry is one that is gone, in better words; that one is used up.
fn is_corrected(said: &Said, gone: &mut Vec<&Said>) -> bool {
    let found = gone.iter().take(COMPARED).position(|other| is_like(&said.words, &other.words));
    found.map(|index| gone.remove(index)).is_some()
}

/// The places of what is new, those that follow each other as one.
fn runs(now: &[Said], new: &[usize]) -> Vec<Span> {
    let mut runs: Vec<(usize, Span)> = Vec::new();
    for index in new {
        let at = &now[*index].at;
        match runs.last_mut().filter(|(last, _)| last + 1 == *index) {
            Some((last, run)) => {
                *last = *index;
                run.end = at.end;
            }
            None => runs.push((*index, at.clone())),
        }
    }
    runs.into_iter().map(|(_, run)| run).collect()
}

fn hit(section: &Section, span: Span) -> Hit {
    let hit = Hit::new(span, format!("this was added to {}, which is already released", section.name()));
    hit.help(
        "move it to `Unreleased`, or allow it: `<!-- changelog-lint-disable-next-line entry-in-released -->`",
    )
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

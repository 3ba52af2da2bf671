//! A part of the file as text that stands for itself.

use std::collections::BTreeSet;

use crate::changelog::{Changelog, Span, Use};

/// A part of the file with the definitions of links and footnotes that it uses below it, and no others; without comments, which are
/// for those who write the file.
pub(super) fn log_text(log: &Changelog, part: Span) -> String {
    let mut parts = vec![part.clone()];
    let notes = footnotes(log, &mut parts);
    let is_here = |used: &&Use| {
        let inside = |part: &Span| part.contains(&used.span.start);
        inside(&part) && !in_footnote(log, used) || parts[1..].iter().any(inside)
    };
    let uses = log.uses.iter().filter(is_here);
    let used: BTreeSet<&str> = uses.map(|used| used.label.as_str()).collect();
    let mut text = without(log, &part);
    let counts = log.definitions.iter().filter(|d| !d.void && used.contains(d.label.as_str()));
    let links: Vec<String> = counts.map(|d| unix(&log.text[d.span.clone()])).collect();
    let notes: Vec<String> = notes.into_iter().map(|note| without_comments(log, &note)).collect();
    for own in [notes, links].iter().filter(|own| !own.is_empty()) {
        text.push_str("\n\n");
        text.push_str(&own.join("\n"));
    }
    text
}

/// The definitions of the footnotes that some parts of the file call for, and those that these call for; each becomes a part.
fn footnotes(log: &Changelog, parts: &mut Vec<Span>) -> Vec<Span> {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut at = 0;
    while at < parts.len() {
        let part = parts[at].clone();
        let from = log.footnote_uses.partition_point(|used| used.span.start < part.start);
        let uses = log.footnote_uses[from..].iter().take_while(|used| used.span.start < part.end);
        // A footnote's own calls count once it is called for.
        let own =
            |used: &&Use| at > 0 || !log.footnotes.iter().any(|note| note.span.contains(&used.span.start));
        for used in uses.filter(own) {
            let index = log.footnotes.iter().position(|note| note.label == used.label);
            if let Some(index) = index.filter(|index| taken.insert(*index)) {
                parts.push(log.footnotes[index].span.clone());
            }
        }
        at += 1;
    }
    taken.into_iter().map(|index| log.footnotes[index].span.clone()).collect()
}

/// Whether something is used within the definition of a footnote.
fn in_footnote(log: &Changelog, used: &Use) -> bool {
    let after = log.footnotes.partition_point(|note| note.span.start <= used.span.start);
    after.checked_sub(1).is_some_and(|at| used.span.start < log.footnotes[at].span.end)
}

/// With LF line ends, and without what a terminal obeys: notes are printed, and become tags and messages.
fn unix(text: &str) -> String {
    let text = text.trim().replace("\r\n", "\n").replace('\r', "\n");
    // Each is replaced and none taken out: what stands behind it must not come to the beginning of its line.
    if text.contains(is_obeyed) { text.replace(is_obeyed, "\u{fffd}") } else { text }
}

/// Control characters, and marks of the direction of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A part of the file without definitions and comments.
fn without(log: &Changelog, part: &Span) -> String {
    let definitions = log.definitions.iter().map(|definition| &definition.span);
    let notes = log.footnotes.iter().map(|note| &note.span);
    let mut gone: Vec<&Span> =
        definitions.chain(notes).chain(&log.comments).filter(|span| part.contains(&span.start)).collect();
    gone.sort_by_key(|span| span.start);
    cut_out(log.text, part, &gone)
}

fn without_comments(log: &Changelog, part: &Span) -> String {
    let gone: Vec<&Span> = log.comments.iter().filter(|span| part.contains(&span.start)).collect();
    cut_out(log.text, part, &gone)
}

/// A part of the text without some spans of it, and without the lines that had nothing else.
fn cut_out(text: &str, part: &Span, gone: &[&Span]) -> String {
    let mut result = String::new();
    let mut from = part.start;
    for span in gone {
        if span.start < from {
            continue;
        }
        result.push_str(&text[from..span.start]);
        from = span.end.min(part.end);
        let line = result.len() - result.rfind('\n').map_or(0, |at| at + 1);
        let alone = result[result.len() - line..].trim().is_empty();
        let rest = text[from..part.end].find('\n').map_or(part.end, |at| from + at + 1);
        if alone && text[from..rest].trim().is_empty() {
            result.truncate(result.len() - line);
            from = rest;
        }
    }
    result.push_str(&text[from..part.end]);
    unix(&result)
}

//! Rules about the file as bytes: encoding, line ends, what a merge left behind, what was never closed.

use super::Ask;
use crate::changelog::{BlockKind, Span};
use crate::finding::Edit;
use crate::hit::Hit;
use crate::text::lines;
use crate::title;

pub(super) fn none(_: &Ask) -> Vec<Hit> {
    Vec::new()
}

pub(super) fn not_utf8(ask: &Ask) -> Vec<Hit> {
    if ask.options.not_utf8.is_none() {
        return Vec::new();
    }
    let at = ask.log.text.find('\u{fffd}').unwrap_or_default();
    let hit = Hit::new(at..at + '\u{fffd}'.len_utf8(), "the text is not UTF-8");
    vec![hit.help("convert the file, for example with iconv")]
}

pub(super) fn conflict_marker(ask: &Ask) -> Vec<Hit> {
    // `=======` is also the line below a heading: it counts only between the other two.
    let text = ask.log.text;
    let marker = |line: &str, mark: &str| {
        line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if !text.contains("<<<<<<<") && !text.contains(">>>>>>>") {
        return Vec::new();
    }
    let (mut hits, mut open) = (Vec::new(), false);
    for (span, line) in lines(text) {
        let outer = marker(line, "<<<<<<<") || marker(line, ">>>>>>>") || marker(line, "|||||||");
        if outer || open && line == "=======" {
            hits.push(
                Hit::new(span, "a merge left its conflict here").help("resolve it, and remove the markers"),
            );
        }
        open = open && !marker(line, ">>>>>>>") || marker(line, "<<<<<<<");
    }
    hits
}

pub(super) fn mixed_line_ends(ask: &Ask) -> Vec<Hit> {
    let text = ask.log.text;
    let crlf = text.matches("\r\n").count();
    if crlf == 0 {
        return Vec::new();
    }
    let lf = text.matches('\n').count() - crlf;
    if lf == 0 {
        return Vec::new();
    }
    let (wrong_is_crlf, right) = if crlf > lf { (false, "\r\n") } else { (true, "\n") };
    let ends = text.match_indices('\n').map(|(at, _)| at);
    let is_crlf = |at: usize| at > 0 && text.as_bytes()[at - 1] == b'\r';
    let wrong: Vec<Span> = ends
        .filter(|at| is_crlf(*at) == wrong_is_crlf)
        .map(|at| at - usize::from(wrong_is_crlf)..at + 1)
        .collect();
    let message = format!("{crlf} lines end with CRLF and {lf} with LF");
    let edits = wrong.iter().map(|span| Edit { span: span.clone(), text: right.to_owned() }).collect();
    let first = wrong.first().cloned().unwrap_or_default();
    vec![Hit::new(first.start..first.start, message).help("write one kind").fix(true, edits)]
}

pub(super) fn byte_order_mark(ask: &Ask) -> Vec<Hit> {
    if !ask.log.text.starts_with('\u{feff}') {
        return Vec::new();
    }
    vec![Hit::new(0..3, "the file begins with a byte order mark").help("remove it").safe(0..3, "")]
}

/// A comment or a fence that reaches to the end of the file, with headings of versions in it.
pub(super) fn unclosed(ask: &Ask) -> Vec<Hit> {
    let text = ask.log.text;
    let Some(last) = ask.log.blocks.last().filter(|block| text[block.span.end..].trim().is_empty()) else {
        return Vec::new();
    };
    let source = text[last.span.clone()].trim_end();
    let what = match last.kind {
        BlockKind::Html if source.trim_start().starts_with("<!--") && !source.contains("-->") => "comment",
        BlockKind::Code(true) if !fence_closed(source) => "code block",
        _ => return Vec::new(),
    };
    let is_release =
        |line: &str| line.starts_with('#') && title::read(line.trim_start_matches('#')).is_some();
    if !source.lines().skip(1).any(is_release) {
        return Vec::new();
    }
    let first = last.span.start..last.span.start + source.find('\n').unwrap_or(source.len());
    let message = format!("this {what} is never closed: the versions below it are no headings");
    vec![Hit::new(first, message).help(if what == "comment" {
        "close it with `-->`"
    } else {
        "close it with its fence"
    })]
}

fn fence_closed(source: &str) -> bool {
    let fence = source.trim_start();
    let mark = fence.chars().next().unwrap_or('`');
    let width = fence.chars().take_while(|c| *c == mark).count();
    let last = source.lines().next_back().unwrap_or_default().trim();
    source.lines().count() > 1 && last.len() >= width && last.chars().all(|c| c == mark)
}

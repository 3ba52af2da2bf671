//! Rules about the file as bytes: encoding, line ends, what a merge left behind, what was never closed.

use super::Ask;
use crate::changelog::{BlockKind, Section, Span};
use crate::finding::Edit;
use crate::hit::Hit;
use crate::text::lines;
use crate::{title, version};

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

/// What is left open and swallows the headings of releases: up to the end of the file, or up to where a later block is closed.
pub(super) fn unclosed(ask: &Ask) -> Vec<Hit> {
    let text = ask.log.text;
    let (last, open_fence) = to_the_end(ask);
    let comments = ask.log.comments.iter().filter(|span| swallows(ask, &comment_up_to_the_next(text, span)));
    let comments = comments.map(|span| open(ask, span, "comment", "-->"));
    let fenced = ask.log.code.iter().filter(|span| fence(&text[(*span).clone()]).is_some());
    let code = fenced.filter(|span| swallows(ask, &fence_up_to_the_next(text, span, open_fence)));
    let code = code.map(|span| open(ask, span, "code block", "its fence"));
    let raw = ask.log.blocks.iter().filter(|block| block.kind == BlockKind::Html);
    let raw = raw.filter_map(|block| Some((block, raw_end(&text[block.span.clone()])?)));
    let raw = raw.filter(|(block, _)| swallows(ask, &block.span) && is_above(ask, &block.span));
    let raw = raw.map(|(block, end)| open(ask, &block.span, "block of HTML", end));
    let mut hits: Vec<Hit> = comments.chain(code).chain(raw).collect();
    hits.extend(last.filter(|last| hits.iter().all(|hit| hit.span.start != last.span.start)));
    hits
}

fn open(ask: &Ask, span: &Span, what: &str, end: &str) -> Hit {
    let first = &ask.log.text[span.clone()];
    let line = span.start..span.start + first.find(['\n', '\r']).unwrap_or(first.len());
    let end = if end == "its fence" { end.to_owned() } else { format!("`{end}`") };
    let message = format!("this {what} is not closed before the heading of a version, which is none in it");
    Hit::new(line, message).help(format!("close it with {end} above that heading"))
}

/// What reaches to the end of the file with headings of releases in it; and whether a fence does so at all.
fn to_the_end(ask: &Ask) -> (Option<Hit>, bool) {
    let text = ask.log.text;
    let Some(last) = ask.log.blocks.last().filter(|block| text[block.span.end..].trim().is_empty()) else {
        return (None, false);
    };
    let source = text[last.span.clone()].trim_end();
    let open_fence = last.kind == BlockKind::Code(true) && !fence_closed(source);
    let what = match last.kind {
        BlockKind::Html if source.trim_start().starts_with("<!--") && !source.contains("-->") => "comment",
        BlockKind::Html if raw_end(source).is_some_and(|end| !source.to_ascii_lowercase().contains(end)) => {
            "block of HTML"
        }
        BlockKind::Code(true) if open_fence => "code block",
        _ => return (None, false),
    };
    let is_release =
        |line: &str| line.starts_with('#') && title::read(line.trim_start_matches('#')).is_some();
    if !source.lines().skip(1).any(is_release) {
        return (None, open_fence);
    }
    let first = last.span.start..last.span.start + source.find('\n').unwrap_or(source.len());
    let message = format!("this {what} is never closed: the versions below it are no headings");
    let help = match what {
        "comment" => "close it with `-->`".to_owned(),
        "code block" => "close it with its fence".to_owned(),
        _ => format!("close it with `{}`", raw_end(source).unwrap_or(">")),
    };
    (Some(Hit::new(first, message).help(help)), open_fence)
}

/// What ends HTML that is shown as it is, and that no empty line ends.
fn raw_end(source: &str) -> Option<&'static str> {
    let start: String = source.trim_start().chars().take(10).collect::<String>().to_ascii_lowercase();
    let ends = [
        ("<pre", "</pre>"),
        ("<script", "</script>"),
        ("<style", "</style>"),
        ("<textarea", "</textarea>"),
        ("<?", "?>"),
        ("<![cdata[", "]]>"),
    ];
    ends.into_iter().find(|(mark, _)| start.starts_with(mark)).map(|(_, end)| end)
}

/// A comment up to where another one begins in it: it was left open, and that one's end closes it.
fn comment_up_to_the_next(text: &str, span: &Span) -> Span {
    let inner = text.get(span.start + 4..span.end).unwrap_or_default();
    let next = inner.find("<!--");
    next.map_or(span.start..span.start, |at| span.start..span.start + 4 + at)
}

/// A code block up to where another one begins in it (a fence with the name of a language closes nothing); all of it where the number
/// of fences is odd.
fn fence_up_to_the_next(text: &str, span: &Span, odd: bool) -> Span {
    let source = &text[span.clone()];
    if odd {
        return span.clone();
    }
    let Some((mark, width)) = fence(source) else { return span.start..span.start };
    let opens = |line: &str| {
        fence(line).is_some_and(|(other, length)| other == mark && length >= width)
            && line.trim().trim_start_matches(mark).starts_with(|c: char| c.is_alphanumeric() || c == ' ')
    };
    let next = lines(source).skip(1).find(|(_, line)| opens(line)).map(|(at, _)| at.start);
    next.map_or(span.start..span.start, |at| span.start..span.start + at)
}

/// The sign of a fence and its length.
fn fence(line: &str) -> Option<(char, usize)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| "`~".contains(*c))?;
    let width = line.chars().take_while(|c| *c == mark).count();
    (width >= 3).then_some((mark, width))
}

/// Whether it begins above the newest release.
fn is_above(ask: &Ask, span: &Span) -> bool {
    let newest = crate::notes::newest(ask.log).map(|section| ask.log.heading(section).span.start);
    newest.is_none_or(|newest| span.start < newest)
}

/// Whether the heading of a version that is none of the file's stands in it.
fn swallows(ask: &Ask, span: &Span) -> bool {
    let known = |version: &str| {
        let mut versions = ask.log.sections.iter().filter_map(Section::version);
        versions.any(|other| version::same(&other.text, version))
    };
    let is_release = |line: &str| {
        let line = line.trim_start();
        let title = title::read(line.trim_start_matches('#')).filter(|_| line.starts_with('#'));
        title
            .and_then(|title| title.name(line.trim_start_matches('#')))
            .is_some_and(|version| !known(&version))
    };
    !span.is_empty() && lines(&ask.log.text[span.clone()]).any(|(_, line)| is_release(line))
}

fn fence_closed(source: &str) -> bool {
    let fence = source.trim_start();
    let mark = fence.chars().next().unwrap_or('`');
    let width = fence.chars().take_while(|c| *c == mark).count();
    let last = source.lines().next_back().unwrap_or_default().trim();
    source.lines().count() > 1 && last.len() >= width && last.chars().all(|c| c == mark)
}

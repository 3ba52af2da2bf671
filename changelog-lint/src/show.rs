//! A finding as people read it: rustc's look, with the line and a caret.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use crate::changelog::Span;
use crate::finding::{self, Finding};
use crate::text::Lines;

/// A longer line is not shown: nobody would see the caret.
const LINE_LIMIT: usize = 1000;
/// How many lines of a long place are shown.
const LINES: usize = 4;

/// The finding with its lines. `name` is the file's.
pub fn show(finding: &Finding, name: &str, text: &str, lines: &Lines, colour: bool) -> String {
    let level = if finding.level == finding::Level::Error { Level::ERROR } else { Level::WARNING };
    let id = format!("{} {}", finding.rule.code, finding.rule.name);
    let mut group = level
        .primary_title(&finding.message)
        .id(&id)
        .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    let near =
        finding.related.as_ref().filter(|r| lines.line(r.span.start) == lines.line(finding.span.start));
    let together = near.map(|r| (&r.span, r.label.as_str()));
    group = place(group, name, text, lines, (&finding.span, AnnotationKind::Primary, ""), together);
    if let Some(related) = finding.related.as_ref().filter(|_| near.is_none()) {
        group =
            place(group, name, text, lines, (&related.span, AnnotationKind::Context, &related.label), None);
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help));
    }
    if let Some(fix) = &finding.fix {
        group = group.element(Level::NOTE.message(if fix.safe {
            "--fix does this"
        } else {
            "--fix --unsafe does this"
        }));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// The finding in one line: `file:line:column: error[CL201]: message`.
pub fn short(finding: &Finding, name: &str, lines: &Lines) -> String {
    let at = lines.position(finding.span.start);
    format!(
        "{name}:{}:{}: {}[{}]: {}",
        at.line,
        at.column,
        finding.level.word(),
        finding.rule.code,
        finding.message
    )
}

fn place<'a>(
    group: annotate_snippets::Group<'a>,
    name: &'a str,
    text: &'a str,
    lines: &Lines,
    (span, kind, label): (&Span, AnnotationKind, &'a str),
    also: Option<(&Span, &'a str)>,
) -> annotate_snippets::Group<'a> {
    let around = lines.around(span, LINES);
    let at = lines.position(span.start);
    if around.len() > LINE_LIMIT {
        return group.element(Origin::path(name).line(at.line).char_column(at.column));
    }
    // A byte order mark is no column.
    let start = around.start + if text[around.clone()].starts_with('\u{feff}') { 3 } else { 0 };
    let within = |span: &Span| {
        let from = span.start.clamp(start, around.end.max(start));
        from - start..span.end.clamp(from, around.end.max(from)) - start
    };
    let mut mark = kind.span(within(span));
    if !label.is_empty() {
        mark = mark.label(label);
    }
    let source = &text[start..around.end.max(start)];
    let mut snippet = Snippet::source(source).path(name).line_start(at.line).annotation(mark);
    if let Some((span, label)) = also {
        snippet = snippet.annotation(AnnotationKind::Context.span(within(span)).label(label));
    }
    group.element(snippet)
}

//! From `Unreleased` to a version: the heading, a fresh `Unreleased` above it, and the links. As edits, so that nothing else is
//! touched.

use crate::changelog::{Changelog, Group, HeadingLink, Section, Span};
use crate::finding::Edit;
use crate::host::{self, Shown};
use crate::links::Scheme;
use crate::manner::Manner;
use crate::notes;
use crate::text::line_end;
use crate::version::{self, Order};
use crate::{claim, words};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// It was done before.
    Done,
    /// These edits, sorted; whether the version is linked like the others.
    Edits(Vec<Edit>, bool),
}

/// Why it cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// Where.
    pub at: Span,
    /// What to do.
    pub help: &'static str,
}

fn refused<T>(reason: &'static str, at: Span, message: String, help: &'static str) -> Result<T, Refusal> {
    Err(Refusal { reason, message, at, help })
}

/// Turns `Unreleased` into a version, dated `day` (YYYY-MM-DD).
///
/// # Errors
/// When there is nothing to promote, or the version is there already.
pub fn promote(
    log: &Changelog,
    wanted: &str,
    day: &str,
    scheme: Option<&Scheme>,
) -> Result<Promotion, Refusal> {
    let unreleased = log.sections.iter().find(|section| section.version().is_none());
    let waiting = unreleased.filter(|section| says_something(log, section));
    let own = log
        .sections
        .iter()
        .find(|s| s.version().is_some_and(|v| v.package.is_none() && version::same(&v.text, wanted)));
    match (own, waiting) {
        (Some(own), None) if own.is_released() => return Ok(Promotion::Done),
        (Some(own), _) if !own.is_released() => {
            sound(log, own, wanted)?;
            return dated(log, own, day);
        }
        (Some(own), _) => {
            let message = format!("{wanted} is released already, and `Unreleased` has entries");
            let help = "they belong to the version after it";
            return refused("version-exists", log.at(own), message, help);
        }
        (None, _) => {}
    }
    let Some(section) = unreleased else {
        let help = "write `## [Unreleased]` at the top, and what changed below it";
        let message = "there is no `Unreleased` section to promote".to_owned();
        return refused("unreleased-missing", 0..0, message, help);
    };
    sound(log, section, wanted)?;
    if waiting.is_none() {
        let help = "say what changed, at least one entry";
        return refused("unreleased-empty", log.at(section), "`Unreleased` is empty".to_owned(), help);
    }
    let newest = notes::newest(log);
    if let Some(newest) =
        newest.filter(|newest| Order::of(newest.name()).is_some_and(|order| Order::of(wanted) < Some(order)))
    {
        let message = format!("{wanted} is older than {}, which is released", newest.name());
        return refused("version-order", log.at(newest), message, "promote a version that is newer");
    }
    let (mut edits, linked) = links(log, section, newest, wanted, scheme);
    let eol = line_end(log.text);
    let heading = log.line_of(&log.heading(section).span).end;
    let text = format!("{eol}{eol}{}", heading_text(log, section, newest, wanted, day, scheme));
    edits.push(Edit { span: heading..heading, text });
    edits.extend(empty_groups(log, section));
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    Ok(Promotion::Edits(edits, linked))
}

/// Whether a section has an entry with words of its own: `- ` and `- TBD` are places for one.
fn says_something(log: &Changelog, section: &Section) -> bool {
    let written = |at: &Span| {
        let text = log.text[at.clone()].trim();
        text.contains(char::is_alphanumeric) && words::says_not_released(text).is_none()
    };
    let mut entries = log.entries(section).peekable();
    let only_entries = entries.peek().is_some();
    let any = entries.any(|entry| written(&(entry.span.start..entry.span.end)));
    any || !only_entries && !log.is_empty(section)
}

/// Whether what is to be promoted is in its place: once, above every release, with no heading in it or above it that is not
/// understood. Afterwards it could not be told from what was released long ago.
fn sound(log: &Changelog, section: &Section, wanted: &str) -> Result<(), Refusal> {
    let mut others = log.sections.iter().filter(|other| other.version().is_none());
    if let (Some(_), Some(second)) = (others.next(), others.next()) {
        let help = "move the entries of one into the other";
        return refused(
            "unreleased-duplicate",
            log.at(second),
            "there are two `Unreleased` sections".to_owned(),
            help,
        );
    }
    if let Some(release) = log.releases().find(|release| release.heading < section.heading) {
        let message = format!("`{}` stands below {}, which is released", section.name(), release.name());
        return refused("unreleased-not-first", log.at(section), message, "move it to the top");
    }
    let stranger = log.strangers.iter().map(|index| &log.headings[*index]);
    let named = stranger
        .filter(|heading| {
            claim::names_a_release(&heading.text) || claim::may_be_release(&heading.text).is_some()
        })
        .map(|heading| log.line_of(&heading.span));
    let lines = named.chain(log.lookalikes.iter().map(|other| other.span.clone()));
    let before = |at: &Span| at.start < section.body.end;
    let own = log.mistaken(wanted);
    if let Some(at) = lines.filter(before).chain(own).min_by_key(|at| at.start) {
        let message = "this line looks like the heading of a release and is not read as one".to_owned();
        let help = "write it as the other headings are written, or say in words what it means";
        return refused("heading-not-understood", at, message, help);
    }
    Ok(())
}

/// `[1.2.0] - unreleased` gets its date.
fn dated(log: &Changelog, section: &Section, day: &str) -> Result<Promotion, Refusal> {
    let (Some(word), Some(version)) = (section.unreleased.clone(), section.version()) else {
        return Ok(Promotion::Done);
    };
    let linked = log.heading(section).link.is_some();
    let said = &log.text[word.clone()];
    // `## Unreleased 1.2.0`: nobody knows whether it is the one or the other.
    if word.start < version.at.start && words::is_unreleased(said) {
        let message = format!("the heading says both `{said}` and {}", version.text);
        let help = "write `## [Unreleased]`, or the version with `- unreleased` behind it";
        return refused("unreleased-versioned", log.line_of(&log.heading(section).span), message, help);
    }
    // `TBD - 1.2.0` and `1.2.0 (unreleased)` alike: the word is where the date belongs.
    let Some(date) = &section.date else {
        return Ok(Promotion::Edits(vec![Edit { span: word, text: day.to_owned() }], linked));
    };
    let mut edits = vec![
        Edit { span: date.clone(), text: day.to_owned() },
        Edit { span: with_brackets(log, &word), text: String::new() },
    ];
    edits.sort_by_key(|edit| edit.span.start);
    Ok(Promotion::Edits(edits, linked))
}

/// A word with the brackets around it and what separates it from the words before.
fn with_brackets(log: &Changelog, word: &Span) -> Span {
    let before = log.text[..word.start].trim_end_matches(['(', '[', ' ', '-', '–', '—', ',', ':']);
    let after = log.text[word.end..].trim_start_matches([')', ']']);
    before.len()..log.text.len() - after.len()
}

/// Sections of the template that nobody filled.
fn empty_groups(log: &Changelog, section: &Section) -> Vec<Edit> {
    let level = log.heading(section).level;
    // One on the level of releases may be told from them only by being repeated: it stays.
    let groups = section.groups.iter().filter(|group| log.headings[group.heading].level > level);
    let bare = groups.filter(|group| log.text[group.body.clone()].trim().is_empty());
    let edit = |group: &Group| {
        let start = log.headings[group.heading].span.start;
        // What stands above and below must not become one paragraph.
        let apart = log.text[..start].trim_end_matches(' ').ends_with("\n\n")
            || log.text[..start].ends_with("\r\n\r\n");
        let text = if apart { String::new() } else { line_end(log.text).to_owned() };
        Edit { span: start..group.body.end, text }
    };
    bare.map(edit).collect()
}

/// The heading in the manner of the newest release.
fn heading_text(
    log: &Changelog,
    unreleased: &Section,
    newest: Option<&Section>,
    wanted: &str,
    day: &str,
    scheme: Option<&Scheme>,
) -> String {
    let source = &log.text[log.heading(unreleased).span.clone()];
    let hashes: String = source.trim_start().chars().take_while(|c| *c == '#').collect();
    let manner = newest.map_or_else(|| Manner::plain(source.contains('[')), |newest| Manner::of(log, newest));
    let url = scheme.map(|scheme| scheme.link(log, newest, wanted));
    let line = manner.write(wanted, day, url.as_deref());
    if hashes.is_empty() {
        let rule = if source.trim_end().ends_with('=') { "=" } else { "-" };
        return format!("{line}{}{}", line_end(log.text), rule.repeat(line.chars().count().max(3)));
    }
    format!("{hashes} {line}")
}

/// The link of `Unreleased` begins at the version, and the version has one like the others. Whether it has.
fn links(
    log: &Changelog,
    unreleased: &Section,
    newest: Option<&Section>,
    wanted: &str,
    scheme: Option<&Scheme>,
) -> (Vec<Edit>, bool) {
    let link = log.heading(unreleased).link.as_ref();
    let newest_link = newest.and_then(|newest| log.heading(newest).link.as_ref());
    let style = link.is_some() || newest_link.is_some();
    let Some(scheme) = scheme else { return (Vec::new(), !style) };
    let mut edits = Vec::new();
    let label = if let Some(HeadingLink::Label(_, label)) = link { label.as_str() } else { "unreleased" };
    let definition = log.definition(label);
    let url_at = match link {
        Some(HeadingLink::Inline(span, url)) => {
            log.text[span.clone()].rfind(url.as_str()).map(|at| span.start + at..span.start + at + url.len())
        }
        _ => definition.map(|definition| definition.url_at.clone()),
    };
    if let Some((url_at, Shown::Range { base, .. })) =
        url_at.and_then(|at| host::read(&log.text[at.clone()]).map(|shown| (at, shown)))
    {
        edits.push(Edit {
            span: url_at.start + base.start..url_at.start + base.end,
            text: scheme.tag(wanted),
        });
    }
    if matches!(newest_link, Some(HeadingLink::Inline(..))) {
        return (edits, true);
    }
    // The version gets a definition where the others have one, or `Unreleased` has.
    let newest_definition = newest.and_then(|newest| log.defined(newest));
    let v = if newest.and_then(Section::version).is_some_and(|v| v.prefixed) { "v" } else { "" };
    let line = format!("[{v}{wanted}]: {}", scheme.link(log, newest, wanted));
    let eol = line_end(log.text);
    match (definition, newest_definition) {
        (Some(above), _) if newest.is_none() || newest_definition.is_some() => {
            edits.push(Edit { span: above.span.end..above.span.end, text: format!("{eol}{line}") });
            (edits, true)
        }
        (None, Some(below)) => {
            edits.push(Edit { span: below.span.start..below.span.start, text: format!("{line}{eol}") });
            (edits, true)
        }
        _ => (edits, !style),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changelog::parse;
    use crate::fix::apply;

    fn promoted(text: &str, wanted: &str) -> String {
        let log = parse(text);
        let scheme = Scheme::of(&log, None, None);
        match promote(&log, wanted, "2026-11-25", scheme.as_ref()) {
            Ok(Promotion::Edits(edits, _)) => apply(text, &edits),
            other => panic!("{other:?} for {text}"),
        }
    }

    /// The text of Keep a Changelog 2.0.0 about a release: rename `Unreleased` in heading and link, add a fresh one that points at HEAD.
    #[test]
    fn heading_and_link_are_renamed_and_a_fresh_unreleased_is_added() {
        let before = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- New\n\n### Fixed\n\n## [1.1.0] - 2025-01-02\n\n- Old\n\n\
            [unreleased]: https://github.com/a/b/compare/v1.1.0...HEAD\n[1.1.0]: https://github.com/a/b/releases/tag/v1.1.0\n";
        let after = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-25\n\n### Added\n\n- New\n\n## [1.1.0] - 2025-01-02\n\n- Old\n\n\
            [unreleased]: https://github.com/a/b/compare/v1.2.0...HEAD\n[1.2.0]: https://github.com/a/b/compare/v1.1.0...v1.2.0\n\
            [1.1.0]: https://github.com/a/b/releases/tag/v1.1.0\n";
        assert_eq!(promoted(before, "1.2.0"), after);
        assert_eq!(
            promoted(&before.replace('\n', "\r\n"), "1.2.0"),
            after.replace('\n', "\r\n"),
            "line ends stay what they are"
        );
    }

    #[test]
    fn the_new_heading_follows_the_newest_one() {
        for (newest, expected) in [
            ("## [1.1.0] - 2025-01-02", "## [1.2.0] - 2026-11-25"),
            ("## [v1.1.0] - 2025-01-02 [YANKED]", "## [v1.2.0] - 2026-11-25"),
            ("## 1.1.0 (2025-01-02)", "## 1.2.0 (2026-11-25)"),
            ("## v1.1.0", "## v1.2.0"),
            ("## 1.1.0 — 2 Jan 2025", "## 1.2.0 — 2026-11-25"),
            ("## Version 1.1.0 (2025-01-02)", "## Version 1.2.0 (2026-11-25)"),
            ("## 2025-01-02 - 1.1.0", "## 2026-11-25 - 1.2.0"),
            ("## **1.1.0** / 2025-01-02", "## **1.2.0** / 2026-11-25"),
            ("## `1.1.0`", "## `1.2.0`"),
            (
                "## [1.1.0](https://github.com/a/b/compare/v1.0.0...v1.1.0) (2025-01-02)",
                "## [1.2.0](https://github.com/a/b/compare/v1.1.0...v1.2.0) (2026-11-25)",
            ),
            (
                "## [1.1.0](https://gitlab.com/a/b/-/compare/1.0.0...1.1.0) - 2025-01-02",
                "## [1.2.0](https://gitlab.com/a/b/-/compare/1.1.0...1.2.0) - 2026-11-25",
            ),
        ] {
            let text = format!("## Unreleased\n- New\n\n{newest}\n- Old\n");
            let expected = format!("## Unreleased\n\n{expected}\n- New\n\n{newest}\n- Old\n");
            assert_eq!(promoted(&text, "1.2.0"), expected);
        }
        assert_eq!(
            promoted("# [Unreleased]\n- New\n", "1.0.0"),
            "# [Unreleased]\n\n# [1.0.0] - 2026-11-25\n- New\n"
        );
        let waiting = "## [1.2.0] - unreleased\n- New\n\n## [1.1.0] - 2025-01-02\n- Old\n";
        assert_eq!(promoted(waiting, "1.2.0"), waiting.replace("unreleased", "2026-11-25"));
        for (waiting, promoted_to) in [
            ("## [1.2.0] - YYYY-MM-DD", "## [1.2.0] - 2026-11-25"),
            ("## 1.2.0 - 2026-11-20 (not yet released)", "## 1.2.0 - 2026-11-25"),
            ("## 1.2.0 (unreleased)", "## 1.2.0 (2026-11-25)"),
            ("## 1.2.0 - belum dirilis", "## 1.2.0 - 2026-11-25"),
        ] {
            assert_eq!(promoted(&format!("{waiting}\n- New\n"), "1.2.0"), format!("{promoted_to}\n- New\n"));
        }
        let setext = "Unreleased\n==========\n- New\n\n1.1.0\n=====\n- Old\n";
        assert_eq!(
            promoted(setext, "1.2.0"),
            "Unreleased\n==========\n\n1.2.0\n=====\n- New\n\n1.1.0\n=====\n- Old\n"
        );
    }

    #[test]
    fn what_cannot_be_promoted_is_refused_with_its_reason() {
        for (text, wanted, reason) in [
            ("## [1.1.0]\n- a\n", "1.2.0", "unreleased-missing"),
            ("## [Unreleased]\n\n### Added\n\n## [1.1.0]\n- a\n", "1.2.0", "unreleased-empty"),
            ("## [Unreleased]\n- n\n## [1.1.0]\n- a\n", "1.1.0", "version-exists"),
            ("## [Unreleased]\n- n\n## [1.1.0]\n- a\n", "1.0.0", "version-order"),
        ] {
            assert_eq!(promote(&parse(text), wanted, "2026-11-25", None).expect_err(text).reason, reason);
        }
        for (text, wanted, reason) in [
            ("## 1.2.0\n- a\n## Unreleased\n- n\n", "1.3.0", "unreleased-not-first"),
            ("## Unreleased\n- n\n## Unreleased\n- m\n", "1.3.0", "unreleased-duplicate"),
            ("## Unreleased\n- n\n## 1.2.0\n- a\n## [unreleased]\n- m\n", "1.3.0", "unreleased-duplicate"),
            ("## Unreleased 1.3.0\n- n\n## 1.2.0\n- a\n", "1.3.0", "unreleased-versioned"),
            ("## [Unreleased] - 1.3.0\n- n\n## 1.2.0\n- a\n", "1.3.0", "unreleased-versioned"),
            ("## Unreleased (1.3.0)\n- n\n## 1.2.0\n- a\n", "1.3.0", "unreleased-versioned"),
            ("## Unreleased (1.3.0)\n- n\n## 1.2.0\n- a\n", "1.4.0", "unreleased-missing"),
            ("## Unreleased\n- n\n\n##1.2.5\n- b\n## 1.2.0\n- a\n", "1.3.0", "heading-not-understood"),
            ("## Unreleased\n- n\n## v.1.2.5\n- b\n## 1.2.0\n- a\n", "1.2.5", "heading-not-understood"),
            ("**1.2.5**\n\n- b\n\n## Unreleased\n- n\n## 1.2.0\n- a\n", "1.3.0", "heading-not-understood"),
            ("## 1.2.0\n- a\n## [1.3.0] - unreleased\n- n\n", "1.3.0", "unreleased-not-first"),
        ] {
            assert_eq!(
                promote(&parse(text), wanted, "2026-11-25", None).map_err(|refusal| refusal.reason),
                Err(reason),
                "{text}"
            );
        }
        let done = "## [Unreleased]\n\n## [1.1.0]\n- a\n";
        assert_eq!(promote(&parse(done), "v1.1.0", "2026-11-25", None), Ok(Promotion::Done));
    }
}

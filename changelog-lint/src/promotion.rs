//! From `Unreleased` to a version: the heading, a fresh `Unreleased` above it, and the links. As edits, so that nothing else is
//! touched.

use crate::changelog::{Changelog, HeadingLink, Section, Span};
use crate::finding::Edit;
use crate::host::{self, Shown};
use crate::links::Scheme;
use crate::manner::Manner;
use crate::notes;
use crate::text::line_end;
use crate::version::{self, Order};

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
}

fn refused<T>(reason: &'static str, at: Span, message: String) -> Result<T, Refusal> {
    Err(Refusal { reason, message, at })
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
    let waiting = unreleased.filter(|section| !log.is_empty(section));
    let own = log
        .sections
        .iter()
        .find(|s| s.version().is_some_and(|v| v.package.is_none() && version::same(&v.text, wanted)));
    match (own, waiting) {
        (Some(own), None) if own.is_released() => return Ok(Promotion::Done),
        (Some(own), _) if !own.is_released() => return Ok(dated(log, own, day)),
        (Some(own), _) => {
            let message = format!(
                "{wanted} is released already, and `Unreleased` has entries: they belong to the version after it"
            );
            return refused("version-exists", log.at(own), message);
        }
        (None, _) => {}
    }
    let Some(section) = unreleased else {
        return refused("unreleased-missing", 0..0, "there is no `Unreleased` section to promote".to_owned());
    };
    if waiting.is_none() {
        return refused(
            "unreleased-empty",
            log.at(section),
            "`Unreleased` is empty: say what changed, at least one entry".to_owned(),
        );
    }
    let newest = notes::newest(log);
    if let Some(newest) =
        newest.filter(|newest| Order::of(newest.name()).is_some_and(|order| Order::of(wanted) < Some(order)))
    {
        let message = format!("{wanted} is older than {}, which is released", newest.name());
        return refused("version-order", log.at(newest), message);
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

/// `[1.2.0] - unreleased` gets its date.
fn dated(log: &Changelog, section: &Section, day: &str) -> Promotion {
    let Some(word) = section.unreleased.clone() else { return Promotion::Done };
    // `TBD - 1.2.0` and `1.2.0 (unreleased)` alike: the word is where the date belongs.
    Promotion::Edits(vec![Edit { span: word, text: day.to_owned() }], log.heading(section).link.is_some())
}

/// Sections of the template that nobody filled.
fn empty_groups(log: &Changelog, section: &Section) -> Vec<Edit> {
    let level = log.heading(section).level;
    // One on the level of releases may be told from them only by being repeated: it stays.
    let groups = section.groups.iter().filter(|group| log.headings[group.heading].level > level);
    let bare = groups.filter(|group| log.text[group.body.clone()].trim().is_empty());
    bare.map(|group| Edit {
        span: log.headings[group.heading].span.start..group.body.end,
        text: String::new(),
    })
    .collect()
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
    let url = scheme.map(|scheme| scheme.link(newest.map(Section::name), wanted));
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
    let line = format!("[{v}{wanted}]: {}", scheme.link(newest.map(Section::name), wanted));
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
        let done = "## [Unreleased]\n\n## [1.1.0]\n- a\n";
        assert_eq!(promote(&parse(done), "v1.1.0", "2026-11-25", None), Ok(Promotion::Done));
    }
}

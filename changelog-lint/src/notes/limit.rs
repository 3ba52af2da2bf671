//! Notes for the document, which has no room for all.

use super::part::log_text;
use super::{Notes, whole};
use crate::changelog::{Changelog, Section, Span};

/// Longer notes are cut in the document, bytes.
const LIMIT: usize = 32 << 10;

/// The notes for the document: at most 32 KiB, cut at an entry; within the first one if that alone is longer.
pub fn limited(log: &Changelog, section: &Section) -> Notes {
    let whole = whole(log, section);
    if whole.len() <= LIMIT {
        return Notes { text: whole, cut: false };
    }
    let start = section.body.start;
    let cut =
        |end: usize| Some(log_text(log, start..end)).filter(|text| text.len() <= LIMIT && !text.is_empty());
    let entries: Vec<usize> = log.entries(section).map(|entry| entry.span.start).collect();
    let near = entries.partition_point(|entry| entry - start <= LIMIT);
    let text = entries[..near].iter().rev().find_map(|end| cut(*end)).unwrap_or_else(|| within(log, section));
    Notes { text, cut: true }
}

/// As much as fits of an entry that is too long: to the end of a line, else of a word, else of a character. Code is closed again.
fn within(log: &Changelog, section: &Section) -> String {
    let start = section.body.start;
    let mut end = section.body.end.min(start + LIMIT);
    while end > start {
        end = floor(log.text, end);
        let part = &log.text[start..end];
        // A break far above would lose more than it saves.
        let breaks = part
            .trim_end()
            .rfind('\n')
            .or_else(|| part.trim_end().rfind(' '))
            .filter(|at| *at > part.len() / 2);
        let at = start + breaks.unwrap_or(part.len());
        // A comment, a definition that was cut in two would be text.
        let whole = log
            .comments
            .iter()
            .find(|comment| comment.start < at && at < comment.end)
            .map_or(at, |comment| comment.start);
        let fence = log
            .code
            .iter()
            .find(|code| code.start < whole && whole < code.end)
            .and_then(|code| fence(log.text, code));
        let text = log_text(log, start..whole);
        let text = fence.map_or(text.clone(), |fence| format!("{text}\n{fence}"));
        if text.len() <= LIMIT {
            return text;
        }
        end = start + (whole - start).saturating_sub((text.len() - LIMIT).max(1));
    }
    String::new()
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What a code block was opened with.
fn fence<'t>(text: &'t str, code: &Span) -> Option<&'t str> {
    let source = &text[code.clone()];
    let sign = source.chars().next().filter(|c| "`~".contains(*c))?;
    Some(&source[..source.len() - source.trim_start_matches(sign).len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changelog::parse;

    #[test]
    fn one_entry_above_the_limit_is_cut_within_and_never_to_nothing() {
        for entry in [
            "word ".repeat(20_000),
            "x".repeat(100_000),
            "あ".repeat(40_000),
            format!("code\n\n  ```\n  {}\n  ```", "line\n  ".repeat(20_000)),
        ] {
            let text = format!("## 1.0.0\n- {entry}\n");
            let log = parse(&text);
            let notes = limited(&log, &log.sections[0]);
            assert!(
                notes.cut && notes.text.len() <= LIMIT && notes.text.len() > LIMIT - 100,
                "{}",
                notes.text.len()
            );
            assert!(notes.text.matches("```").count().is_multiple_of(2), "code is closed");
        }
    }

    #[test]
    fn long_notes_are_cut_at_an_entry_and_keep_their_definitions() {
        let entry = "- [x] ".to_owned() + &"word ".repeat(200) + "\n";
        let text = format!("## 1.0.0\n{}\n[x]: https://x.example\n", entry.repeat(60));
        let log = parse(&text);
        let notes = limited(&log, &log.sections[0]);
        assert!(
            notes.cut && notes.text.len() <= LIMIT && notes.text.contains("\n- [x] word"),
            "{}",
            notes.text.len()
        );
    }
}

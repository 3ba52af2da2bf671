//! Which messages a channel wants: patterns such as `release_failed` and `rollback_*`. One that can match nothing is an error, because a
//! channel that is never told is not missed before the night when it is needed.

use step::Procedure;

/// How they end.
const ENDS: &[&str] = &["ok", "failed"];
/// What a person sends by hand goes where they say.
const BY_HAND: &str = "text";

/// Every kind of message.
pub fn kinds() -> Vec<String> {
    Procedure::KNOWN
        .iter()
        .flat_map(|procedure| ENDS.iter().map(move |end| format!("{procedure}_{end}")))
        .collect()
}

/// Whether a channel wants this kind of message; patterns may begin or end in `*`. None wants all.
pub fn wants(patterns: &[String], kind: &str) -> bool {
    patterns.is_empty() || kind == BY_HAND || patterns.iter().any(|pattern| fits(pattern, kind))
}

fn fits(pattern: &str, kind: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => kind.ends_with(end),
        (_, Some(beginning)) => kind.starts_with(beginning),
        _ => pattern == kind,
    }
}

/// Why a pattern can match nothing, with what may be meant.
pub fn trouble(pattern: &str) -> Option<String> {
    let kinds = kinds();
    let stars = pattern.matches('*').count();
    let inner = pattern.trim_start_matches('*').trim_end_matches('*').contains('*');
    if stars > 1 || inner {
        let meant: Vec<String> = kinds.iter().filter(|kind| globs(pattern, kind)).cloned().collect();
        let advice = if meant.is_empty() || meant.len() > 4 {
            suggestion(pattern, &kinds)
        } else {
            format!("write {}", meant.join(", "))
        };
        return Some(format!("`{pattern}`: one * may be at the beginning or at the end; {advice}"));
    }
    if kinds.iter().any(|kind| fits(pattern, kind)) {
        return None;
    }
    Some(format!("`{pattern}` matches no message; {}", suggestion(pattern, &kinds)))
}

/// As people mean it: any number of stars anywhere.
fn globs(pattern: &str, kind: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == kind,
        Some((head, rest)) => kind.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices().map(|(i, _)| i).chain([tail.len()]).any(|i| globs(rest, &tail[i..]))
        }),
    }
}

fn suggestion(pattern: &str, kinds: &[String]) -> String {
    let plain = pattern.to_ascii_lowercase().replace(['-', '.', ' '], "_");
    let words = kinds.iter().map(String::clone);
    let patterns =
        Procedure::KNOWN.iter().map(|p| format!("{p}_*")).chain(ENDS.iter().map(|e| format!("*_{e}")));
    let scored = words.chain(patterns).map(|word| (strsim::jaro_winkler(&plain, &word), word));
    let best = scored.filter(|(score, _)| *score >= 0.75).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((_, word)) => format!("did you mean `{word}`?"),
        None => format!(
            "write a procedure ({}) and how it ended, such as release_failed, or a pattern such as rollback_* or *_failed",
            Procedure::KNOWN.map(String::from).join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn a_channel_says_what_it_wants() {
        assert!(wants(&[], "release_ok"));
        assert!(wants(&patterns(&["release_failed", "rollback_*"]), "rollback_ok"));
        assert!(!wants(&patterns(&["release_failed", "rollback_*"]), "release_ok"));
        assert!(
            wants(&patterns(&["*_failed"]), "hotfix_failed") && !wants(&patterns(&["*_failed"]), "hotfix_ok")
        );
        assert!(wants(&patterns(&["rollback_*"]), "text"), "what a person sends goes where they say");
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_found() {
        for good in ["release_failed", "rollback_*", "*_failed", "*", "*failed", "hot*", "manual_ok", "*ok"] {
            assert_eq!(trouble(good), None, "{good}");
        }
        for (wrong, says) in [
            ("relase_failed", "did you mean `release_failed`?"),
            ("release-failed", "did you mean `release_failed`?"),
            ("Rollback_*", "did you mean `rollback_*`?"),
            ("release_fail", "did you mean `release_failed`?"),
            ("*_failure", "did you mean `*_failed`?"),
            ("rolback_*", "did you mean `rollback_*`?"),
            ("hotfix_okay", "did you mean `hotfix_ok`?"),
            ("*rollback*", "write rollback_ok, rollback_failed"),
            ("**", "one * may be at the beginning or at the end; write a procedure "),
            ("re*_failed", "write release_failed, rehearsal_failed"),
            ("*relase*", "one * may be"),
            ("", "write a procedure (candidate, "),
            ("xyz", "write a procedure (candidate, "),
            ("production", "write a procedure (candidate, "),
        ] {
            let said = trouble(wrong).unwrap_or_else(|| panic!("{wrong} matches something"));
            assert!(said.contains(says), "{wrong}: {said}");
        }
    }

    #[test]
    fn every_kind_that_is_told_is_known() {
        for (document, stopped) in crate::message::samples::samples() {
            let story = crate::message::story::Story::of(&document, stopped);
            assert!(kinds().contains(&story.event), "{}", story.event);
        }
    }
}

//! What could not be fetched: noted in the clone, left alone for a while, and asked for again. One look that failed says little: it may have
//! been the network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use step::Failure;

use super::Remote;

/// What did not come is tried again after so long, and twice as long each time: it may have been the network.
const AGAIN: Duration = Duration::from_secs(60);
const SELDOM: Duration = Duration::from_secs(86_400);

/// When an object last did not come, in seconds since 1970, and how often in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    at: i64,
    times: u32,
}

impl Failed {
    /// As a line of the note has it, behind the object's id.
    fn parse(words: &str) -> Option<Self> {
        let (at, times) = words.split_once(' ')?;
        Some(Failed { at: at.parse().ok()?, times: times.parse().ok()? })
    }

    /// Whether it is left alone for now.
    fn is_held_back(self, now: i64) -> bool {
        let wait = step::backoff(AGAIN, self.times, SELDOM).as_secs();
        (self.at..self.at.saturating_add_unsigned(wait)).contains(&now)
    }
}

impl Remote<'_> {
    fn note_of_held_back(&self) -> PathBuf {
        self.own.join("held-back")
    }

    /// The objects that could not be fetched, which the remote still had at the last look.
    fn failed(&self) -> BTreeMap<String, Failed> {
        let text = std::fs::read_to_string(self.note_of_held_back()).unwrap_or_default();
        let pair = |line: &str| {
            let (id, rest) = line.split_once(' ')?;
            Some((id.to_owned(), Failed::parse(rest)?))
        };
        text.lines().filter_map(pair).collect()
    }

    /// Those of them that are not asked for now.
    pub(super) fn held_back(&self) -> BTreeSet<String> {
        let now = Timestamp::now().as_second();
        let held = self.failed().into_iter().filter(|(_, failed)| failed.is_held_back(now));
        held.map(|(id, _)| id).collect()
    }

    /// What the remote still has of what did not come now, or was not asked for.
    pub(super) fn still_failed(
        &self,
        refs: &[(String, String)],
        bad: &BTreeSet<&str>,
        held_back: &BTreeSet<String>,
    ) -> BTreeMap<String, Failed> {
        let (known, now) = (self.failed(), Timestamp::now().as_second());
        let again = |id: &String| {
            let before = known.get(id).copied();
            if bad.contains(id.as_str()) {
                let times = before.map_or(0, |failed| failed.times).saturating_add(1);
                return Some((id.clone(), Failed { at: now, times }));
            }
            before.filter(|_| held_back.contains(id)).map(|failed| (id.clone(), failed))
        };
        refs.iter().filter_map(|(id, _)| again(id)).collect()
    }

    pub(super) fn note_failed(&self, failed: &BTreeMap<String, Failed>) -> Result<(), Failure> {
        let note = self.note_of_held_back();
        let lines: String =
            failed.iter().map(|(id, failed)| format!("{id} {} {}\n", failed.at, failed.times)).collect();
        let done = if lines.is_empty() { std::fs::remove_file(&note) } else { std::fs::write(&note, lines) };
        match done {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::config("git-folder", format!("{}: {e}", note.display())))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_is_tried_again() {
        for (times, after, held) in [
            (1, 0, true),
            (1, 59, true),
            (1, 60, false),
            (3, 239, true),
            (3, 240, false),
            (40, 86_400, false),
        ] {
            assert_eq!(Failed { at: 1000, times }.is_held_back(1000 + after), held, "{times} {after}");
        }
        assert!(!Failed { at: 1000, times: 9 }.is_held_back(999), "a clock that was put back");
        assert_eq!(Failed::parse("1000 3"), Some(Failed { at: 1000, times: 3 }));
        assert_eq!(Failed::parse(""), None);
    }
}

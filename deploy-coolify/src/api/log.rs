//! The log of a deployment: JSON in a string, in the order of its array. It may shrink while it is written, and it may hold
//! what nobody should see.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use step::{Lines, plain, redact_cut, scrub};

use super::words::flag;

/// The longest line that is looked through, in bytes: a command may have a whole file in it.
const LONG: usize = 64 << 10;
/// How much of a longer one is kept.
const HEAD: usize = 2000;

/// An entry; it may be several lines, or part of one.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    #[serde(default, deserialize_with = "text")]
    pub(super) output: String,
    #[serde(default, deserialize_with = "text")]
    timestamp: String,
    #[serde(default, deserialize_with = "flag")]
    pub(super) hidden: bool,
}

/// Null is as good as nothing; line breaks stay.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default())
}

impl Line {
    /// Its lines without colours and cursor movements, which would let a log write anywhere on the terminal.
    fn texts(&self) -> Vec<String> {
        let lines: Vec<Cow<'_, str>> = self.output.lines().map(short).collect();
        plain(&lines.join("\n")).lines().map(str::to_owned).collect()
    }
}

/// A line of megabytes is no line for people, and to look through it takes its time: what is left of it is its beginning.
fn short(line: &str) -> Cow<'_, str> {
    if line.len() <= LONG {
        return line.into();
    }
    let cut = (0..=HEAD).rev().find(|at| line.is_char_boundary(*at)).unwrap_or_default();
    format!("{} ... ({} bytes)", redact_cut(&line[..cut]), line.len()).into()
}

/// The lines of entries as people may see them: no secrets of ours nor of others, also where one goes over several entries.
pub(super) fn clean(entries: &[Line]) -> Vec<String> {
    without_secrets(&entries.iter().flat_map(Line::texts).collect::<Vec<_>>())
}

fn without_secrets(lines: &[String]) -> Vec<String> {
    let clean = scrub(&lines.join("\n"));
    clean.lines().filter(|text| !text.trim().is_empty()).map(str::to_owned).collect()
}

/// The entries; none when there is no log, or when it cannot be read.
pub(super) fn lines(logs: Option<&str>) -> Vec<Line> {
    logs.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The first thing that an entry gives: a log is long, and is asked for again and again.
pub(super) fn first<T>(logs: Option<&str>, pick: impl Fn(&Line) -> Option<T>) -> Option<T> {
    let mut found = None;
    Walk {
        skip: 0,
        take: |line| {
            found = pick(&line);
            found.is_none()
        },
    }
    .through(logs);
    found
}

/// A way through the entries that keeps none of them: the first `skip` are only counted, the others are given to `take`
/// until it has enough.
struct Walk<F> {
    skip: usize,
    take: F,
}

impl<F: FnMut(Line) -> bool> Walk<F> {
    /// How many entries were passed; none when there is no log, or when it cannot be read.
    fn through(self, logs: Option<&str>) -> usize {
        let read = |text: &str| self.deserialize(&mut serde_json::Deserializer::from_str(text)).ok();
        logs.and_then(read).unwrap_or_default()
    }
}

impl<'de, F: FnMut(Line) -> bool> DeserializeSeed<'de> for Walk<F> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Line) -> bool> Visitor<'de> for Walk<F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a log")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<usize, A::Error> {
        let mut passed = 0;
        while passed < self.skip && entries.next_element::<IgnoredAny>()?.is_some() {
            passed += 1;
        }
        if passed < self.skip {
            return Ok(passed);
        }
        while let Some(line) = entries.next_element()? {
            passed += 1;
            if !(self.take)(line) {
                break;
            }
        }
        Ok(passed)
    }
}

/// How many entries there are, and those after the first `read`; none of them when the log cannot be read.
fn after(logs: Option<&str>, read: usize) -> (usize, Vec<Line>) {
    let mut new = Vec::new();
    let all = |line| {
        new.push(line);
        true
    };
    let count = Walk { skip: read, take: all }.through(logs);
    if count == 0 { (0, Vec::new()) } else { (count, new) }
}

/// Where a reader of a growing log is.
#[derive(Debug, Default)]
pub struct Cursor {
    at: usize,
    size: usize,
    told: HashSet<(String, String)>,
    lines: Lines,
}

impl Cursor {
    /// What is new; hidden entries only if they are wanted. A log that has lost entries is read again, and nothing is told twice. A line
    /// whose end may be the beginning of a secret waits for the next one.
    pub fn fresh(&mut self, logs: Option<&str>, hidden: bool) -> Vec<String> {
        let size = logs.map_or(0, str::len);
        if size == self.size {
            return Vec::new();
        }
        self.size = size;
        let (mut count, mut new) = after(logs, self.at);
        if count < self.at {
            (count, new) = after(logs, 0);
        }
        self.at = count;
        let visible = new.iter().filter(|line| hidden || !line.hidden);
        let untold = visible.filter(|line| self.told.insert((line.timestamp.clone(), line.output.clone())));
        let texts: Vec<String> = untold.flat_map(Line::texts).collect();
        without_secrets(&self.lines.push(texts))
    }

    /// What has waited, now that nothing comes after it.
    pub fn rest(&mut self) -> Vec<String> {
        without_secrets(&self.lines.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn log(entries: &[(&str, bool)]) -> String {
        let entry = |(i, (output, hidden)): (usize, &(&str, bool))| json!({ "output": output, "hidden": hidden, "timestamp": i.to_string() });
        Value::Array(entries.iter().enumerate().map(entry).collect()).to_string()
    }

    #[test]
    fn a_growing_log_is_told_once_in_its_own_order() {
        let mut cursor = Cursor::default();
        let first = log(&[("b", false), ("secret command", true), ("a\nc", false)]);
        assert_eq!(cursor.fresh(Some(&first), false), ["b", "a", "c"]);
        assert!(cursor.fresh(Some(&first), false).is_empty());
        // Two writers: an entry is lost, and later it is there again with another one.
        assert!(cursor.fresh(Some(&log(&[("b", false)])), false).is_empty());
        let last = log(&[("b", false), ("secret command", true), ("a\nc", false), ("d", false)]);
        assert_eq!(cursor.fresh(Some(&last), false), ["d"]);
        assert!(cursor.fresh(None, false).is_empty() && cursor.fresh(Some("no JSON"), false).is_empty());
    }

    #[test]
    fn a_line_of_megabytes_is_told_by_its_beginning() {
        let told =
            Cursor::default().fresh(Some(&log(&[(&"x".repeat(5_000_000), false), ("y", false)])), false);
        assert!(
            told[0].len() < 2100 && told[0].ends_with("(5000000 bytes)") && told[1] == "y",
            "{}",
            told[0]
        );
    }

    #[test]
    fn hidden_entries_are_told_only_if_they_are_wanted() {
        assert_eq!(Cursor::default().fresh(Some(&log(&[("x", true)])), true), ["x"]);
    }

    #[test]
    fn what_nobody_should_see_is_taken_out() {
        for (text, clean) in [
            ("plain text", "plain text"),
            ("\u{1b}[31mred\u{1b}[0m \u{7}bell", "red bell"),
            (
                "git clone https://oauth2:tok-en@git.example/a/b.git x",
                "git clone https://oauth2:[redacted]@git.example/a/b.git x",
            ),
            ("see https://shop.example/a@b", "see https://shop.example/a@b"),
            ("Authorization: Bearer abc123", "Authorization: Bearer [redacted]"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "[redacted]"),
            ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz", "[redacted]"),
            ("KEY=b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz", "KEY=[redacted]"),
            (
                "sha256:9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c9f2c41d07ab39f2c41d07ab3",
                "sha256:9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c9f2c41d07ab39f2c41d07ab3",
            ),
        ] {
            assert_eq!(Cursor::default().fresh(Some(&log(&[(text, false)])), false), [clean]);
        }
    }
}

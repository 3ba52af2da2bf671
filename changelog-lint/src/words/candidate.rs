//! A candidate that is named in words beside the version: `RC 2`, `Release Candidate 1`, `public beta`, `(pra-rilis)`.

use std::ops::Range;

use super::{Word, segments, words};

/// A candidate that is named in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where the words stand.
    pub at: Range<usize>,
    /// Its name as a version has it: `rc2`, `beta`.
    pub name: String,
}

/// Kinds of candidates: words in a row, and how a version names them.
const KINDS: &[(&[&str], &str)] = &[
    (&["release", "candidate"], "rc"),
    (&["kandidat", "rilis"], "rc"),
    (&["candidate"], "rc"),
    (&["kandidat"], "rc"),
    (&["rc"], "rc"),
    (&["pre", "release"], "pre"),
    (&["pra", "rilis"], "pre"),
    (&["prerelease"], "pre"),
    (&["prarilis"], "pre"),
    (&["pre"], "pre"),
    (&["beta", "test"], "beta"),
    (&["alpha", "test"], "alpha"),
    (&["alpha"], "alpha"),
    (&["alfa"], "alpha"),
    (&["α"], "alpha"),
    (&["beta"], "beta"),
    (&["β"], "beta"),
    (&["early", "access"], "ea"),
    (&["ea"], "ea"),
    (&["technical", "preview"], "preview"),
    (&["tech", "preview"], "preview"),
    (&["developer", "preview"], "preview"),
    (&["preview"], "preview"),
    (&["pratinjau"], "preview"),
    (&["nightly"], "nightly"),
    (&["development", "version"], "dev"),
    (&["development", "release"], "dev"),
    (&["development", "build"], "dev"),
    (&["development", "snapshot"], "dev"),
    (&["devel"], "dev"),
    (&["dev"], "dev"),
    (&["snapshot"], "snapshot"),
    (&["canary"], "canary"),
    (&["milestone"], "milestone"),
    (&["test", "release"], "test"),
    (&["test", "version"], "test"),
    (&["test", "build"], "test"),
    (&["testing"], "test"),
    (&["uji", "coba"], "test"),
    (&["experimental"], "experimental"),
    (&["eksperimental"], "experimental"),
    (&["release", "candidates"], "rc"),
    (&["candidates"], "rc"),
    (&["cand"], "rc"),
    (&["r", "c"], "rc"),
    (&["r.c"], "rc"),
    (&["rcs"], "rc"),
    (&["betas"], "beta"),
    (&["alphas"], "alpha"),
    (&["eap"], "ea"),
    (&["pilot"], "test"),
    (&["trial"], "test"),
    (&["staging"], "staging"),
    (&["edge"], "edge"),
    (&["unstable"], "unstable"),
    (&["development"], "dev"),
    (&["percobaan"], "test"),
    (&["not", "final"], "pre"),
    (&["not", "stable"], "pre"),
    (&["not", "for", "production"], "pre"),
    (&["not", "production", "ready"], "pre"),
    (&["non-production"], "pre"),
    (&["internal"], "internal"),
    (&["next.1"], "next1"),
    (&["insider"], "insider"),
    (&["insiders"], "insider"),
];
/// One letter and a number, as Python and Java write them.
const LETTERS: &[(&str, &str)] = &[("a", "alpha"), ("b", "beta"), ("c", "rc"), ("m", "milestone")];
/// Which of them it is, in words.
const ORDINALS: &[(&str, &str)] = &[
    ("first", "1"),
    ("1st", "1"),
    ("pertama", "1"),
    ("second", "2"),
    ("2nd", "2"),
    ("kedua", "2"),
    ("third", "3"),
    ("3rd", "3"),
    ("ketiga", "3"),
    ("fourth", "4"),
    ("4th", "4"),
    ("fifth", "5"),
    ("5th", "5"),
];
/// Words beside a kind that say nothing else.
const BESIDE: &[&str] = &[
    "a",
    "an",
    "the",
    "this",
    "is",
    "of",
    "for",
    "our",
    "version",
    "versi",
    "release",
    "rilis",
    "build",
    "public",
    "private",
    "closed",
    "open",
    "internal",
    "final",
    "initial",
    "early",
    "only",
    "tag",
    "latest",
    "number",
    "no",
    "now",
    "available",
    "yang",
    "untuk",
    "ke",
    "internally",
    "publicly",
];
/// Roman numbers and numbers in words, behind a kind.
const COUNTED: &[(&str, &str)] = &[
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("satu", "1"),
    ("dua", "2"),
    ("tiga", "3"),
    ("i", "1"),
    ("ii", "2"),
    ("iii", "3"),
    ("iv", "4"),
    ("v", "5"),
];
/// Beside these a candidate is one that was.
const WAS: &[&str] = &[
    "from",
    "based",
    "after",
    "since",
    "as",
    "was",
    "formerly",
    "replaces",
    "promoted",
    "like",
    "than",
    "not",
    "without",
    "supersedes",
    "dari",
    "setelah",
];
/// Whether a word says nothing of its own beside the name of a candidate.
pub(crate) fn is_beside(word: &str) -> bool {
    BESIDE.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a word can be part of a candidate's name.
pub(super) fn is_vocabulary(word: &str) -> bool {
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
    stem.is_empty() && is_number(word) || KINDS.iter().any(|(row, _)| row.contains(&stem))
}

/// The candidate that is named in a text beside a version.
pub(crate) fn candidate(text: &str) -> Option<Candidate> {
    // Full-width letters say the same; the place is that of all words then.
    let wide = text.chars().any(|c| ('\u{ff01}'..='\u{ff5e}').contains(&c));
    if wide {
        let narrow = |c: char| {
            if ('\u{ff01}'..='\u{ff5e}').contains(&c) {
                char::from_u32(c as u32 - 0xfee0).unwrap_or(c)
            } else {
                c
            }
        };
        let joined: String = text.chars().map(narrow).collect();
        return candidate(&joined).map(|found| Candidate { at: whole(text), name: found.name });
    }
    if !text.bytes().any(|b| b.is_ascii_alphabetic() || !b.is_ascii()) {
        return None;
    }
    let segments: Vec<Vec<Word>> = segments(text).into_iter().map(|at| words(text, at)).collect();
    segments.iter().find_map(|words| alone(words)).or_else(|| segments.iter().find_map(|words| within(words)))
}

/// The candidate of a line that names one and says nothing else: `Release candidate 2.`, `**Beta**`.
pub(crate) fn says_candidate(line: &str) -> Option<Candidate> {
    let found = candidate(line)?;
    let outside = |word: &Word| word.0.end <= found.at.start || word.0.start >= found.at.end;
    let words = segments(line).into_iter().flat_map(|segment| words(line, segment));
    let others = words.into_iter().filter(outside).any(|(_, word)| !is_beside(&word));
    (!others).then_some(found)
}

/// The place of all words of a text.
fn whole(text: &str) -> Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..text.trim_end().len().max(start)
}

/// A segment that says this and nothing else.
fn alone(words: &[Word]) -> Option<Candidate> {
    let (from, kind) = first_kind(words)?;
    let is_beside = |(_, word): &Word| {
        BESIDE.contains(&word.as_str())
            || ordinal(word).is_some()
            || word.bytes().all(|b| b.is_ascii_digit())
            || kind_at(&[(0..0, word.clone())]).is_some()
    };
    let others = words[..from].iter().chain(&words[from + kind.length..]);
    others.clone().all(is_beside).then(|| kind.named(words, from))
}

/// A segment with other words, in which this can mean nothing else.
fn within(words: &[Word]) -> Option<Candidate> {
    if words.iter().any(|(_, word)| WAS.contains(&word.as_str())) {
        return None;
    }
    (0..words.len()).find_map(|from| {
        let kind = kind_at(&words[from..])?;
        let sure = kind.number.is_some() || kind.words > 1 || words[from].1 == "prerelease";
        (sure && ["rc", "pre"].contains(&kind.name)).then(|| kind.named(words, from))
    })
}

/// A kind of candidate at the start of some words.
struct Kind {
    name: &'static str,
    /// Of how many words its name is.
    words: usize,
    /// With the number behind it.
    length: usize,
    number: Option<String>,
}

impl Kind {
    fn named(&self, words: &[Word], from: usize) -> Candidate {
        let place = words[from].0.start..words[from + self.length - 1].0.end;
        let before = from.checked_sub(1).and_then(|index| ordinal(&words[index].1)).map(str::to_owned);
        let number = self.number.clone().or(before).unwrap_or_default();
        Candidate { at: place, name: format!("{}{number}", self.name) }
    }
}

fn first_kind(words: &[Word]) -> Option<(usize, Kind)> {
    (0..words.len()).find_map(|from| Some((from, kind_at(&words[from..])?)))
}

fn kind_at(words: &[Word]) -> Option<Kind> {
    let (name, count, glued) = KINDS
        .iter()
        .find_map(|(row, name)| {
            let last = row.len() - 1;
            let glued = words.get(last).and_then(|(_, word)| word.strip_prefix(row[last]))?;
            let digits = glued.bytes().all(|b| b.is_ascii_digit()) && glued.len() < 9;
            let before = row[..last].iter().zip(words).all(|(one, (_, other))| one == other);
            (digits && before).then(|| (*name, row.len(), glued.to_owned()))
        })
        .or_else(|| letter(&words.first()?.1))?;
    let behind = words.get(count).filter(|_| glued.is_empty()).and_then(|(_, word)| counted(word));
    let number = behind.clone().or((!glued.is_empty()).then_some(glued));
    Some(Kind { name, words: count, length: count + usize::from(behind.is_some()), number })
}

/// A number behind a kind, the first of a range (`1-3`).
fn counted(word: &str) -> Option<String> {
    let first = word.split('-').next().unwrap_or(word);
    if is_number(first) && word.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return Some(first.to_owned());
    }
    COUNTED.iter().find(|(name, _)| *name == word).map(|(_, number)| (*number).to_owned())
}

fn letter(word: &str) -> Option<(&'static str, usize, String)> {
    let (letter, name) = LETTERS.iter().find(|(letter, _)| word.starts_with(letter))?;
    let digits = &word[letter.len()..];
    is_number(digits).then(|| (*name, 1, digits.to_owned()))
}

fn ordinal(word: &str) -> Option<&'static str> {
    ORDINALS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.len() <= 4 && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands beside `1.0.0` in a heading, and the candidate that it names.
    #[test]
    fn a_candidate_in_words_is_one() {
        for (text, name) in [
            (" RC 2 - 2025-02-01", "rc2"),
            (" rc2", "rc2"),
            (" (RC2)", "rc2"),
            (" [rc 2]", "rc2"),
            (" Release Candidate 1", "rc1"),
            (" - RELEASE CANDIDATE 1", "rc1"),
            (" release-candidate-1", "rc1"),
            (" (release candidate)", "rc"),
            (" beta 2", "beta2"),
            (" Beta2 (2025-02-01)", "beta2"),
            (" - 2025-02-01 - Beta", "beta"),
            (" 2025-02-01 (beta)", "beta"),
            (" (public beta 3)", "beta3"),
            (" - second beta", "beta2"),
            (" beta #2", "beta2"),
            (": first release candidate", "rc1"),
            (" — our first release candidate for the new shop", "rc1"),
            (" pre-release", "pre"),
            (" (Pre-Release 4)", "pre4"),
            (" prerelease", "pre"),
            (" pre release", "pre"),
            (" ALPHA", "alpha"),
            (" alpha.3", "alpha3"),
            (" preview 2", "preview2"),
            (" technical preview", "preview"),
            (" developer-preview", "preview"),
            (" nightly", "nightly"),
            (" dev", "dev"),
            (" - Development version", "dev"),
            (" snapshot", "snapshot"),
            ("~rc2", "rc2"),
            (" M2", "milestone2"),
            (" early access", "ea"),
            (" canary", "canary"),
            (" test build", "test"),
            (" b2", "beta2"),
            (" β2", "beta2"),
            (" kandidat rilis 1", "rc1"),
            (" versi beta", "beta"),
            (" (pra-rilis)", "pre"),
        ] {
            assert_eq!(candidate(text).map(|found| found.name).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn a_word_in_a_title_or_about_an_earlier_one_is_no_candidate() {
        for text in [
            "",
            " - 2025-02-01",
            " - Preview deployments",
            " Beta features for everybody",
            " - Developer experience",
            " (promoted from RC 2)",
            " same as rc3",
            " based on release candidate 1",
            " dev-tools",
            " - Alphabetical order",
            " - Snapshot tests",
            " final",
            " LTS",
            " (stable)",
            " - The nightly job",
            " abc1",
            " - Testing library",
            " Precise",
            " was rc4",
        ] {
            assert_eq!(candidate(text), None, "{text}");
        }
    }
}

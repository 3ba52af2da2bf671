//! Whose newest release is right: ours and parse-changelog's, for each file of a folder of real changelogs, in one run:
//! `newest DIR PARSE-CHANGELOG HAND.tsv [LINT]`. Judged by a reader of its own, who goes by raw lines and knows neither parser; where he is
//! in doubt by hand (HAND.tsv: file, version, or `-` for none). Right is: this version, with its first line in the notes, and without
//! the first line of the release below.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers, with no document")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use changelog_lint::changelog::parse;
use changelog_lint::notes;
use changelog_lint::text::decode;
use serde_json::Value;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, peer, hand] = words.as_slice() else {
        eprintln!("usage: newest DIR PARSE-CHANGELOG HAND.tsv");
        return ExitCode::from(2);
    };
    let by_hand = std::fs::read_to_string(hand).unwrap_or_default();
    let by_hand: BTreeMap<&str, &str> = by_hand.lines().filter_map(|line| line.split_once('\t')).collect();
    let judged: Vec<Option<Judged>> = files(Path::new(folder))
        .iter()
        .map(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let told = by_hand.get(name.as_str()).copied();
            Judged::of(name, file, peer, told)
        })
        .collect();
    let none = judged.iter().filter(|file| file.is_none()).count();
    let judged: Vec<Judged> = judged.into_iter().flatten().collect();
    for file in judged.iter().filter(|file| !file.ours.1 || !file.theirs.1) {
        file.show();
    }
    let (all, ours) = (judged.len(), judged.iter().filter(|file| file.ours.1).count());
    let theirs = judged.iter().filter(|file| file.theirs.1).count();
    println!(
        "newest: {all} files with a release ({none} without): ours right in {ours}, parse-changelog in {theirs}"
    );
    if all > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A file with a release: the version that is expected; the version that each found, and whether all of it is right.
struct Judged {
    name: String,
    expected: String,
    ours: (String, bool),
    theirs: (String, bool),
}

impl Judged {
    /// None for a file without a release. What was told by hand is held against the version alone.
    fn of(name: String, file: &Path, peer: &str, told: Option<&str>) -> Option<Self> {
        let text = decode(std::fs::read(file).unwrap_or_default()).0;
        let (read, first, below) = reader(&text);
        let expected = told.map_or(read, |hand| (hand != "-").then(|| hand.to_owned()))?;
        let judge = |answer: Option<(String, String)>| {
            let Some((version, notes)) = answer else { return ("-".to_owned(), false) };
            let has = |line: &Option<String>| line.as_ref().map(|line| notes.contains(line.as_str()));
            let parts =
                told.is_some() || has(&first) != Some(false) && (first == below || has(&below) != Some(true));
            let right = version == expected && parts;
            (version, right)
        };
        let (ours, theirs) = (judge(own(&text)), judge(peers(peer, file)));
        Some(Judged { name, expected, ours, theirs })
    }

    fn show(&self) {
        let word = |right| if right { "right" } else { "WRONG" };
        let (ours, theirs) = (&self.ours, &self.theirs);
        println!(
            "{}\t{}\tours {} {}\tparse-changelog {} {}",
            self.name,
            self.expected,
            word(ours.1),
            ours.0,
            word(theirs.1),
            theirs.0
        );
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "md") && path.file_name().is_some_and(|n| n != "README.md")
    };
    let mut files: Vec<PathBuf> = entries.filter(is_one).collect();
    files.sort();
    files
}

fn own(text: &str) -> Option<(String, String)> {
    let log = parse(text);
    let newest = notes::newest(&log)?;
    Some((newest.name().to_owned(), notes::whole(&log, newest)))
}

/// The first release of `parse-changelog --json`.
fn peers(program: &str, file: &Path) -> Option<(String, String)> {
    let output = Command::new(program).arg("--json").arg(file).stderr(Stdio::null()).output().ok()?;
    let all: Value = serde_json::from_slice(&output.stdout).ok()?;
    let is_release = |name: &&String| !name.eq_ignore_ascii_case("unreleased");
    let (name, release) = all.as_object()?.iter().find(|(name, _)| is_release(name))?;
    let notes = release["notes"].as_str().unwrap_or_default().to_owned();
    Some((name.trim_start_matches('v').to_owned(), notes))
}

/// The version of the first heading that a person takes for one of a release, its first line of text, and that of the one below it.
fn reader(text: &str) -> (Option<String>, Option<String>, Option<String>) {
    let lines: Vec<&str> = visible(text);
    let mut found: Vec<(usize, String)> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let underlined = lines.get(index + 1).is_some_and(|next| {
            next.len() >= 3 && (next.bytes().all(|b| b == b'=') || next.bytes().all(|b| b == b'-'))
        });
        let heading = line
            .strip_prefix('#')
            .map(|rest| rest.trim_start_matches('#'))
            .filter(|rest| rest.starts_with([' ', '\t']));
        let heading = heading.or(Some(*line).filter(|line| underlined && !line.trim().is_empty()));
        if let Some(version) = heading.and_then(version) {
            found.push((index, version));
        }
    }
    let first_line = |at: usize| {
        let from = found.get(at)?.0 + 1;
        let to = found.get(at + 1).map_or(lines.len(), |(index, _)| *index);
        let says = |line: &&&str| {
            let line = line.trim();
            line.len() > 12 && !line.starts_with(['#', '=', '<', '[', '`', '|']) && !line.starts_with("---")
        };
        lines[from..to].iter().find(says).map(|line| line.trim().to_owned())
    };
    (found.first().map(|(_, version)| version.clone()), first_line(0), first_line(1))
}

/// The lines outside of fences and comments; others are empty.
fn visible(text: &str) -> Vec<&str> {
    let (mut fence, mut comment) = (None, false);
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(|line| {
            let bare = line.trim_start();
            let mark = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
            match (fence, mark) {
                (None, Some(mark)) => fence = Some(mark),
                (Some(open), Some(mark)) if open == mark => fence = None,
                _ => {}
            }
            let hidden = fence.is_some() || mark.is_some() || comment || bare.starts_with("<!--");
            comment = (comment || bare.starts_with("<!--")) && !line.contains("-->");
            if hidden { "" } else { line }
        })
        .collect()
}

/// The version that a heading is about: the first run of numbers with dots (or behind `v`), unless it says that it is not released.
fn version(heading: &str) -> Option<String> {
    let lower = heading.to_lowercase();
    if [
        "unreleased",
        "tbd",
        "to be released",
        "not released",
        "upgrad",
        "migrat",
        "from ",
        "since ",
        "older",
        "earlier",
        "through",
    ]
    .iter()
    .any(|word| lower.contains(word))
    {
        return None;
    }
    let shown = heading.split("](").next().unwrap_or(heading);
    let words = shown.split(|c: char| c.is_whitespace() || "[]()`*,:/~|".contains(c));
    words.into_iter().find_map(|word| {
        let start = word
            .char_indices()
            .find(|(at, c)| c.is_ascii_digit() && (*at == 0 || word[..*at].ends_with(['v', 'V', '-', '@'])))?
            .0;
        let version = word[start..].trim_end_matches(['.', '-']);
        let numbers: Vec<&str> = version.split(['-', '+']).next()?.split('.').collect();
        let plain = numbers
            .iter()
            .take(2)
            .all(|number| number.bytes().take(1).all(|b| b.is_ascii_digit()) && !number.is_empty());
        (numbers.len() >= 2 && plain && !version.contains(".x")).then(|| version.to_owned())
    })
}

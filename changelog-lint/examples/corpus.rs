//! Holds the parser, the rules and the repairs against a folder of real changelogs: `corpus DIR SNAPSHOT [--write]`.
//! Nothing may panic; every heading of a release is found or reported; repairs are stable and make no file worse; the traps
//! are answered as expected; and what the rules find is what a person has looked at (the snapshot: counts and a hash for each
//! file and rule, not the files).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers, with no document")]

#[path = "../tests/cli/rules/breaking.rs"]
mod breaking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use changelog_lint::changelog::{Changelog, parse};
use changelog_lint::finding::{Finding, Level};
use changelog_lint::rules::{Options, Profile};
use changelog_lint::text::{Lines, decode};
use changelog_lint::{findings, fix, notes, version};
use serde_json::Value;

/// No file may take longer, even in a build without optimisation on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (Some(folder), Some(snapshot)) = (words.first(), words.get(1)) else {
        eprintln!("usage: corpus DIR SNAPSHOT [--write]");
        return ExitCode::from(2);
    };
    let mut check = Check::default();
    let files = markdown(Path::new(folder));
    for file in &files {
        check.file(file);
    }
    check.traps(&Path::new(folder).join("traps"));
    if words.iter().any(|word| word == "--write") {
        check.write(Path::new(snapshot));
    } else {
        check.compare(Path::new(snapshot));
    }
    for fault in &check.faults {
        eprintln!("corpus: {fault}");
    }
    println!(
        "corpus: {} files, {} release headings, {} newest ones broken, {} traps, {} faults",
        files.len(),
        check.headings,
        check.broken,
        check.traps,
        check.faults.len()
    );
    if files.is_empty() || !check.faults.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "md") && path.file_name().is_some_and(|n| n != "README.md")
    };
    let mut files: Vec<PathBuf> = entries.filter(is_one).collect();
    files.sort();
    files
}

fn options() -> Options {
    // A fixed day: what lies in the future must not depend on when this runs.
    Options::on(jiff::civil::date(2026, 11, 25))
}

#[derive(Default)]
struct Check {
    faults: Vec<String>,
    headings: usize,
    traps: usize,
    /// Newest headings that were broken, each in one way.
    broken: usize,
    /// For each file: for each rule and level its count, and a hash of lines and messages.
    found: BTreeMap<String, BTreeMap<String, (usize, u64)>>,
}

impl Check {
    fn file(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(bytes) = std::fs::read(path) else {
            return self.faults.push(format!("{name} cannot be read"));
        };
        let started = Instant::now();
        let (text, not_utf8) = decode(bytes);
        let log = parse(&text);
        let mut options = options();
        options.not_utf8 = not_utf8;
        let findings = findings::of(&log, &options);
        self.recall(&name, &text, &log, &findings);
        self.notes(&name, &log);
        self.repairs(&name, &text, &options);
        self.broken(&name, &text);
        if started.elapsed() > LIMIT {
            self.faults.push(format!("{name} took {:?}", started.elapsed()));
        }
        self.found.insert(name, counted(&findings, &text));
    }

    /// However the newest heading is broken, no older version is opened. What is read as a version that nobody wrote before (`1.2.0-rc1x`)
    /// is no older one.
    fn broken(&mut self, name: &str, text: &str) {
        let log = parse(text);
        let known: Vec<&str> = log.sections.iter().map(changelog_lint::changelog::Section::name).collect();
        // The head of the file is enough: what is broken stands there.
        let second = log.releases().nth(1).map_or(text.len(), |older| log.heading(older).span.start);
        let end = text[second..].match_indices('\n').nth(200).map_or(text.len(), |(at, _)| second + at + 1);
        for way in breaking::WAYS {
            self.broken += usize::from(breaking::broken(&text[..end], way).is_some());
            let older = breaking::opens_older(&text[..end], way);
            if let Some((version, story)) = older.filter(|(version, _)| known.contains(&version.as_str())) {
                self.faults.push(format!("{name}: {version} is opened: {story}"));
            }
        }
    }

    /// A scanner of its own, line by line and simple-minded: each heading that it finds is a section or a finding.
    fn recall(&mut self, name: &str, text: &str, log: &Changelog, findings: &[Finding]) {
        let lines = Lines::of(text);
        let sections: BTreeMap<usize, &str> =
            log.sections.iter().map(|s| (lines.line(log.heading(s).span.start), s.name())).collect();
        for (line, version) in plain_headings(text) {
            self.headings += 1;
            let found = sections.get(&line).is_some_and(|name| *name == version);
            let told = findings
                .iter()
                .any(|f| f.rule.name == "heading-not-understood" && lines.line(f.span.start) == line);
            if !found && !told {
                self.faults.push(format!("{name}:{line}: {version} is no section, and nothing says so"));
            }
        }
    }

    /// The notes of all sections together have every entry, once.
    fn notes(&mut self, name: &str, log: &Changelog) {
        for section in &log.sections {
            let notes = notes::whole(log, section);
            if let Some(entry) = log.entries(section).next() {
                let first = log.text[entry.span.clone()].trim().replace("\r\n", "\n");
                let line = first.lines().next().unwrap_or_default();
                if !notes.contains(line)
                    && log.definitions.iter().all(|d| !entry.span.contains(&d.span.start))
                {
                    self.faults.push(format!("{name}: the notes of {} lack `{line}`", section.name()));
                }
            }
        }
    }

    /// Repairs are stable, and never make it worse.
    fn repairs(&mut self, name: &str, text: &str, options: &Options) {
        for (profile, all) in [
            (Profile::Default, false),
            (Profile::Default, true),
            (Profile::Strict, true),
            (Profile::Common, false),
        ] {
            let options = Options { profile, ..options.clone() };
            let weigh = |text: &str| {
                let findings = findings::of(&parse(text), &options);
                let errors = findings.iter().filter(|f| f.level == Level::Error).count();
                (errors, findings.len())
            };
            let once = fix::fix(text, &options, all);
            let twice = fix::fix(&once.text, &options, all);
            if twice.text != once.text {
                self.faults
                    .push(format!("{name}: {profile:?}, all {all}: a second repair changes the file again"));
            }
            if once.count > 0 && weigh(&once.text) >= weigh(text) {
                self.faults.push(format!(
                    "{name}: {profile:?}, all {all}: {:?} becomes {:?}",
                    weigh(text),
                    weigh(&once.text)
                ));
            }
        }
    }

    fn traps(&mut self, folder: &Path) {
        let Ok(text) = std::fs::read_to_string(folder.join("expected.json")) else { return };
        let expected: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        for (name, expected) in &expected {
            self.traps += 1;
            let Ok(bytes) = std::fs::read(folder.join(format!("{name}.md"))) else { continue };
            let (text, _) = decode(bytes);
            let log = parse(&text);
            let newest = notes::newest(&log).map(changelog_lint::changelog::Section::name);
            let query = expected["query"].as_str().unwrap_or_default();
            let notes =
                notes::find(&log, query).map(|(section, _)| notes::whole(&log, section)).unwrap_or_default();
            let words = |key: &str| {
                expected[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
            };
            let right = newest == expected["newest"].as_str()
                && words("must_contain").iter().all(|word| notes.contains(word))
                && !words("must_not_contain").iter().any(|word| notes.contains(word));
            if !right {
                self.faults.push(format!("trap {name}: newest {newest:?}, notes of {query}:\n{notes}"));
            }
        }
    }

    fn write(&self, path: &Path) {
        let mut text = "# What the rules find in each file, looked at by a person: file, rule and level, count, hash of lines and messages.\n".to_owned();
        for (file, rules) in &self.found {
            if rules.is_empty() {
                text.push_str(&format!("{file}\tclean\t0\t0\n"));
            }
            for (rule, (count, hash)) in rules {
                text.push_str(&format!("{file}\t{rule}\t{count}\t{hash:016x}\n"));
            }
        }
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("corpus: {}: {error}", path.display());
        }
    }

    fn compare(&mut self, path: &Path) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut known: BTreeMap<&str, BTreeMap<String, (usize, u64)>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Ok([file, rule, count, hash]) = <[&str; 4]>::try_from(line.split('\t').collect::<Vec<_>>())
            else {
                continue;
            };
            let rules = known.entry(file).or_default();
            if rule != "clean" {
                rules.insert(
                    rule.to_owned(),
                    (count.parse().unwrap_or_default(), u64::from_str_radix(hash, 16).unwrap_or_default()),
                );
            }
        }
        let mut new = 0;
        for (file, rules) in &self.found {
            let Some(before) = known.get(file.as_str()) else {
                new += 1;
                continue;
            };
            let names: std::collections::BTreeSet<&String> = rules.keys().chain(before.keys()).collect();
            for name in names {
                let (was, is) = (before.get(name), rules.get(name));
                if was != is {
                    let count = |found: Option<&(usize, u64)>| found.map_or(0, |(count, _)| *count);
                    self.faults.push(format!(
                        "{file}: {name}: {} findings, {} in the snapshot",
                        count(is),
                        count(was)
                    ));
                }
            }
        }
        if new > 0 {
            println!("corpus: {new} files are not in the snapshot: only what must always hold was checked");
        }
    }
}

fn counted(findings: &[Finding], text: &str) -> BTreeMap<String, (usize, u64)> {
    let lines = Lines::of(text);
    let mut counted = BTreeMap::new();
    for finding in findings {
        let key = format!("{} {} {}", finding.rule.code, finding.rule.name, finding.level.word());
        let (count, hash) = counted.entry(key).or_insert((0, 0xcbf2_9ce4_8422_2325_u64));
        *count += 1;
        let words = format!("{}:{}\n", lines.line(finding.span.start), finding.message);
        *hash =
            words.bytes().fold(*hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }
    counted
}

/// `## 1.2.0`, `## [v1.2.0] ...`, `# Version 1.2.0`, outside of fences and comments: line and version.
fn plain_headings(text: &str) -> Vec<(usize, String)> {
    let (mut fence, mut comment, mut found) = (None, false, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim_start_matches('\u{feff}').trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        comment = (comment || bare.starts_with("<!--")) && !line.contains("-->");
        let hashes = bare.bytes().take_while(|b| *b == b'#').count();
        if fence.is_some()
            || mark.is_some()
            || comment
            || !(1..=3).contains(&hashes)
            || line.len() - bare.len() > 3
        {
            continue;
        }
        let words = bare[hashes..].trim_start();
        let words =
            ["Version ", "Release "].iter().find_map(|word| words.strip_prefix(word)).unwrap_or(words);
        let words = words.trim_start_matches(['[', '`', '*', '~', 'v']);
        let end =
            words.find(|c: char| !(c.is_ascii_alphanumeric() || ".-+".contains(c))).unwrap_or(words.len());
        if version::is_semver(&words[..end]) && bare[hashes..].starts_with([' ', '\t']) {
            found.push((index + 1, words[..end].to_owned()));
        }
    }
    found
}

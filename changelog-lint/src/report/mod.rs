//! Findings for programs: one file for each format. Every report is a valid document of its format, also without findings.

mod github;
mod gitlab;
mod json;
mod sarif;

use std::collections::HashMap;

use crate::finding::Finding;
use crate::text::{Lines, Position};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own: everything that is known, with exact places and edits.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// Workflow commands of GitHub Actions.
    Github,
    /// Code Quality of GitLab.
    Gitlab,
}

impl Format {
    /// All of them by their names.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("json", Format::Json),
        ("sarif", Format::Sarif),
        ("github", Format::Github),
        ("gitlab", Format::Gitlab),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }
}

/// What a report is about.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The file as it was named.
    pub path: &'a str,
    /// Its newest release.
    pub newest: Option<&'a str>,
    /// Its text.
    pub text: &'a str,
    /// Its lines.
    pub lines: &'a Lines<'a>,
    /// What was found.
    pub findings: &'a [Finding],
}

/// The report as text.
pub fn write(format: Format, subject: &Subject) -> String {
    match format {
        Format::Json => json::write(subject),
        Format::Sarif => sarif::write(subject),
        Format::Github => github::write(subject),
        Format::Gitlab => gitlab::write(subject),
    }
}

/// Whether a text is a report of this format that this program has written, or nothing at all: only that may be replaced by one.
pub fn is_one(format: Format, text: &str) -> bool {
    let text = text.trim();
    let value = || serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    text.is_empty()
        || match format {
            Format::Json => value()["tool"]["name"] == "changelog-lint",
            Format::Sarif => value()["runs"][0]["tool"]["driver"]["name"] == "changelog-lint",
            Format::Github => text.lines().all(|line| {
                ["::error file=", "::warning file=", "changelog-lint: "]
                    .iter()
                    .any(|mark| line.starts_with(mark))
            }),
            Format::Gitlab => value().as_array().is_some_and(|items| {
                items.iter().all(|item| {
                    item["check_name"].as_str().is_some_and(|name| crate::rules::named(name).is_some())
                })
            }),
        }
}

/// The sums in one sentence.
pub fn summary(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let (errors, warnings) = (count(crate::finding::Level::Error), count(crate::finding::Level::Warning));
    let many = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}", many(errors, "error"), many(warnings, "warning"))
}

impl Subject<'_> {
    fn start(&self, finding: &Finding) -> Position {
        self.lines.position(finding.span.start)
    }

    fn end(&self, finding: &Finding) -> Position {
        self.lines.position(finding.span.end)
    }

    /// The path as a URI reference: relative, with slashes, what is special in it escaped; a path from the root of the file system
    /// as a URI of its own.
    fn uri(&self) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        let path = self.path.strip_prefix("./").unwrap_or(self.path);
        let path: String = path
            .bytes()
            .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect();
        if path.starts_with('/') { format!("file://{path}") } else { path }
    }

    /// For each finding a name that stays when lines move: its rule, its section, its text, and a count where all are equal.
    fn fingerprints(&self) -> Vec<String> {
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let one = |finding: &Finding| {
            let line = &self.text[self.lines.around(&finding.span, 1)];
            let parts = [
                finding.rule.code,
                finding.section.as_deref().unwrap_or_default(),
                line.trim(),
                finding.message.as_str(),
            ];
            let key = hash(&parts.join("\0"));
            let count = seen.entry(key).or_insert(0);
            *count += 1;
            format!("{:016x}", hash(&format!("{key:016x}{count}")))
        };
        self.findings.iter().map(one).collect()
    }
}

/// FNV-1a, 64 bits: the same everywhere and always, which the standard hasher does not promise.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

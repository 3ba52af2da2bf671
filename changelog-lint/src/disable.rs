//! Comments in the file that switch rules off: `<!-- changelog-lint-disable-next-line CL201 -->`, `-disable` with `-enable`,
//! `-disable-file`. Without a rule they mean all. One that has no effect is a finding itself.

use crate::changelog::{Changelog, Span};
use crate::finding::{Finding, Level};
use crate::hit::Hit;
use crate::rules::{self, Options, Rule};

/// One switch for one rule, or for all.
struct Switch {
    rule: Option<&'static Rule>,
    /// Where it is in force.
    over: Span,
    /// Where it is written.
    at: Span,
    used: bool,
}

/// Takes away what is switched off, and adds what is wrong with the switches.
pub(crate) fn apply(log: &Changelog, options: &Options, findings: &mut Vec<Finding>) {
    if !log.text.contains("changelog-lint-") {
        return;
    }
    let mut hits = Vec::new();
    let mut switches = switches(log, &mut hits);
    findings.retain(|finding| {
        let mut over = false;
        for switch in &mut switches {
            let named = switch.rule.is_none_or(|rule| rule.code == finding.rule.code);
            if named && overlaps(&switch.over, &finding.span) {
                switch.used = true;
                over = true;
            }
        }
        !over
    });
    for switch in switches.iter().filter(|switch| !switch.used) {
        // A rule that is not asked now may be asked elsewhere: with --base, or in another profile.
        let asleep =
            switch.rule.is_some_and(|rule| options.level(rule) == Level::Off || rule.code.starts_with("CL6"));
        if !asleep {
            let what = switch.rule.map_or("anything", |rule| rule.name);
            let hit = Hit::new(
                switch.at.clone(),
                format!("nothing is found here that this comment disables ({what})"),
            );
            hits.push(hit.help("remove it"));
        }
    }
    let Some(rule) = rules::named("unused-disable") else { return };
    let level = options.level(rule);
    if level > Level::Off {
        findings.extend(hits.into_iter().map(|hit| hit.of(rule, level, true)));
    }
}

/// A finding at one point lies on the line that it begins.
fn overlaps(over: &Span, span: &Span) -> bool {
    over.start <= span.start && span.start < over.end || span.start <= over.start && over.start < span.end
}

fn switches(log: &Changelog, hits: &mut Vec<Hit>) -> Vec<Switch> {
    let mut found = Vec::new();
    for comment in &log.comments {
        if let Some(words) = directive(log.text, comment) {
            read(log, comment, words, &mut found, hits);
        }
    }
    found
}

/// The words of a comment of ours.
fn directive<'t>(text: &'t str, comment: &Span) -> Option<&'t str> {
    let inner = text[comment.clone()].strip_prefix("<!--")?.strip_suffix("-->")?;
    inner.trim().strip_prefix("changelog-lint-")
}

fn read(log: &Changelog, at: &Span, words: &str, found: &mut Vec<Switch>, hits: &mut Vec<Hit>) {
    let mut words = words.split([' ', ',', '\n', '\t', '\r']).filter(|word| !word.is_empty());
    let verb = words.next().unwrap_or_default();
    let mut rules = Vec::new();
    for word in words {
        match rules::named(word) {
            Some(rule) => rules.push(Some(rule)),
            None => hits.push(
                Hit::new(at.clone(), format!("there is no rule `{word}`"))
                    .help("`changelog-lint rule` lists them"),
            ),
        }
    }
    let unnamed = rules.is_empty() && hits.last().is_none_or(|hit| hit.span != *at);
    if unnamed {
        rules.push(None);
    }
    let over = match verb {
        "disable-file" => 0..log.text.len() + 1,
        "disable" => at.end..log.text.len() + 1,
        "disable-next-line" => next_line(log.text, at.end),
        "enable" => return enable(&rules, at.start, found),
        _ => {
            let hit = Hit::new(at.clone(), format!("`changelog-lint-{verb}` is no instruction"));
            return hits.push(hit.help("write disable-next-line, disable, enable or disable-file"));
        }
    };
    found.extend(rules.into_iter().map(|rule| Switch {
        rule,
        over: over.clone(),
        at: at.clone(),
        used: false,
    }));
}

/// The next line with something on it.
fn next_line(text: &str, from: usize) -> Span {
    let after = from + text[from..].find('\n').map_or(text.len() - from, |at| at + 1);
    let start = after + (text[after..].len() - text[after..].trim_start().len());
    start..start + text[start..].find('\n').unwrap_or(text.len() - start) + 1
}

/// Ends the switches that are still in force.
fn enable(rules: &[Option<&'static Rule>], at: usize, found: &mut [Switch]) {
    for switch in found
        .iter_mut()
        .filter(|switch| switch.over.end > at && switch.over.start < at && switch.over.start > 0)
    {
        let meant =
            rules.iter().any(|rule| rule.is_none() || rule.map(|r| r.code) == switch.rule.map(|r| r.code));
        if meant {
            switch.over.end = at;
        }
    }
}

//! Everything that the rules find in a changelog, at the levels that were asked for, without what comments in the file disable.

use crate::changelog::Changelog;
use crate::disable;
use crate::finding::{Finding, Level};
use crate::notes;
use crate::rules::{Ask, Options, RULES, Rule};

/// What keeps a release from being told: a heading that is not understood, a block that swallows one.
const HIDING: [&str; 2] = ["CL203", "CL005"];

/// What looks like a newer release above the newest one and is not read as one, whatever the settings and the comments in the file
/// say of its rule: another version would be opened in its place.
pub fn hiding_a_newer(log: &Changelog, options: &Options) -> Vec<Finding> {
    let newest = notes::newest(log).map_or(log.text.len(), |section| log.heading(section).span.start);
    let ask = Ask::of(log, options);
    let rules = RULES.iter().filter(|rule| HIDING.contains(&rule.code));
    let hits =
        rules.flat_map(|rule| (rule.check)(&ask).into_iter().map(|hit| hit.of(rule, Level::Error, false)));
    let mut found: Vec<Finding> = hits.filter(|f| f.level == Level::Error && f.span.start < newest).collect();
    found.sort_by_key(|f| f.span.start);
    found
}

/// The findings, in the order of the file.
pub fn of(log: &Changelog, options: &Options) -> Vec<Finding> {
    let ask = Ask::of(log, options);
    let mut findings = Vec::new();
    // Who sets a level means it for every case of the rule.
    let told = |rule: &Rule| options.levels.contains_key(rule.code);
    for rule in RULES {
        let level = options.level(rule);
        if level > Level::Off {
            findings.extend((rule.check)(&ask).into_iter().map(|hit| hit.of(rule, level, told(rule))));
        }
    }
    for finding in findings.iter_mut().filter(|f| f.section.is_none()) {
        finding.section = log.section_at(finding.span.start).map(|section| section.name().to_owned());
    }
    disable::apply(log, options, &mut findings);
    findings.sort_by_key(|f| (f.span.start, f.rule.code));
    findings
}

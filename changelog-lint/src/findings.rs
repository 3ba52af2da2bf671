//! Everything that the rules find in a changelog, at the levels that were asked for, without what comments in the file disable.

use crate::changelog::Changelog;
use crate::disable;
use crate::finding::{Finding, Level};
use crate::rules::{Ask, Options, RULES, Rule};

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

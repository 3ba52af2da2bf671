//! Repairs: the edits of findings applied to the text, nothing else touched, again and again until nothing is left to
//! repair, so that a second run changes nothing.

use std::collections::BTreeSet;

use crate::changelog::parse;
use crate::finding::{Edit, Finding, Level};
use crate::findings;
use crate::rules::Options;

/// One repair can make room for another one; more than this would be a circle.
const ROUNDS: usize = 50;

/// A text after repairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The text.
    pub text: String,
    /// How many findings were repaired.
    pub count: usize,
}

/// Repairs what can be repaired; `all` also takes repairs that a person should look at.
pub fn fix(text: &str, options: &Options, all: bool) -> Fixed {
    let mut fixed = Fixed { text: text.to_owned(), count: 0 };
    if options.not_utf8.is_some() {
        return fixed;
    }
    let mut findings = findings::of(&parse(text), options);
    for _ in 0..ROUNDS {
        let (edits, count) = chosen(&findings, all);
        if count == 0 {
            break;
        }
        let next = apply(&fixed.text, &edits);
        let left = findings::of(&parse(&next), options);
        // What is no better is not kept: a repair that changes nothing would be made again and again.
        if weight(&left) >= weight(&findings) {
            break;
        }
        findings = left;
        fixed = Fixed { text: next, count: fixed.count + count };
    }
    fixed
}

/// Errors first, then all findings.
fn weight(findings: &[Finding]) -> (usize, usize) {
    (findings.iter().filter(|finding| finding.level == Level::Error).count(), findings.len())
}

/// The edits of all findings that do not touch each other, in the order of the file.
fn chosen(findings: &[Finding], all: bool) -> (Vec<Edit>, usize) {
    let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut edits: Vec<Edit> = Vec::new();
    let mut count = 0;
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| all || fix.safe) {
        if fix.edits.iter().all(|edit| is_free(&taken, edit)) {
            taken.extend(fix.edits.iter().map(|edit| (edit.span.start, edit.span.end)));
            edits.extend(fix.edits.iter().cloned());
            count += 1;
        }
    }
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    (edits, count)
}

/// Whether an edit touches none that is taken. Insertions at one place follow each other.
fn is_free(taken: &BTreeSet<(usize, usize)>, edit: &Edit) -> bool {
    let own = (edit.span.start, edit.span.end);
    let apart = |first: (usize, usize), second: (usize, usize)| {
        let empty = |span: (usize, usize)| span.0 == span.1;
        first.1 < second.0 || first.1 == second.0 && empty(first) == empty(second)
    };
    let before = taken.range(..own).next_back().is_none_or(|before| apart(*before, own));
    before && taken.range(own..).next().is_none_or(|after| apart(own, *after))
}

/// Applies edits that are sorted and do not overlap.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        result.push_str(&text[from..edit.span.start]);
        result.push_str(&edit.text);
        from = edit.span.end;
    }
    result.push_str(&text[from..]);
    result
}

/// What was changed, as a unified diff.
pub fn diff(name: &str, before: &str, after: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(1).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}

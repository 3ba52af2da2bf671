//! Many patterns, one search: by how they begin, because a search for a few short beginnings is the fastest there is.

use std::ops::Range;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{Input, MatchKind};

/// So many bytes of a pattern are searched for; the rest is compared.
const BEGINNING: usize = 8;

/// Patterns, and a search for their beginnings.
pub(super) struct Patterns {
    patterns: Vec<Vec<u8>>,
    /// The smallest of the library's automata: with so few beginnings its prefilter does nearly all of the work.
    search: NFA,
}

impl Patterns {
    /// `None` when there are more than a search can hold.
    pub(super) fn new(patterns: Vec<Vec<u8>>) -> Option<Self> {
        let mut beginnings: Vec<&[u8]> =
            patterns.iter().map(|pattern| &pattern[..pattern.len().min(BEGINNING)]).collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        let search = NFA::builder().match_kind(MatchKind::LeftmostFirst).build(beginnings).ok()?;
        Some(Patterns { patterns, search })
    }

    /// Which pattern stands where, also where one stands inside another.
    pub(super) fn find(&self, text: &[u8]) -> Vec<(usize, Range<usize>)> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Ok(Some(hit)) = self.search.try_find(&Input::new(text).range(from..)) {
            from = hit.start() + 1;
            let rest = &text[hit.start()..];
            let here = self.patterns.iter().enumerate().filter(|(_, pattern)| rest.starts_with(pattern));
            found.extend(here.map(|(i, pattern)| (i, hit.start()..hit.start() + pattern.len())));
        }
        found
    }

    /// How many bytes at the end of the text a pattern begins with, `least` or more, unless all of it is there.
    pub(super) fn overlap(&self, text: &[u8], least: usize) -> Option<usize> {
        let overlap = |pattern: &Vec<u8>| {
            (least..pattern.len().min(text.len() + 1))
                .rev()
                .find(|length| text.ends_with(&pattern[..*length]))
        };
        self.patterns.iter().filter_map(overlap).max()
    }
}

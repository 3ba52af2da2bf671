//! The order of versions as people mean it: numbers as numbers, a release after its candidates, and `rc10` after `rc9`,
//! which SemVer would sort as text.

use std::cmp::Ordering;

/// A run of letters or of digits in a pre-release.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Number(u64),
    Word(&'a str),
}

/// What versions are compared by.
#[derive(Debug, PartialEq, Eq)]
pub struct Order<'a> {
    core: Vec<u64>,
    candidate: Vec<Piece<'a>>,
}

impl<'a> Order<'a> {
    /// The order of `1.2.0`, `1.2`, `1.2.0-rc10`, `2025.10.1`; `None` for what is no such version.
    pub fn of(version: &'a str) -> Option<Self> {
        let version = version.split_once('+').map_or(version, |(before, _)| before);
        let (core, candidate) = version.split_once('-').unwrap_or((version, ""));
        let mut core: Vec<u64> = core.split('.').map(|n| n.parse().ok()).collect::<Option<_>>()?;
        while core.last() == Some(&0) {
            core.pop();
        }
        Some(Order { core, candidate: pieces(candidate) })
    }
}

impl PartialOrd for Order<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let is_release = |order: &Self| order.candidate.is_empty();
        let by_core = self.core.cmp(&other.core);
        by_core.then(is_release(self).cmp(&is_release(other))).then(self.candidate.cmp(&other.candidate))
    }
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut rest = text;
    let mut pieces = Vec::new();
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        match piece.parse() {
            Ok(number) => pieces.push(Piece::Number(number)),
            Err(_) => pieces.push(Piece::Word(piece)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_ascend_as_people_mean_it() {
        let ascending = [
            "0.9",
            "1.0.0-alpha.2",
            "1.0.0-rc1",
            "1.0.0-rc2",
            "1.0.0-rc10",
            "1.0.0",
            "1.0.1",
            "1.2",
            "1.10.0",
            "2025.10.1",
        ];
        for pair in ascending.windows(2) {
            assert!(Order::of(pair[0]) < Order::of(pair[1]), "{pair:?}");
        }
        assert_eq!(Order::of("1.2").map(|o| o.core), Order::of("1.2.0+build").map(|o| o.core));
        assert_eq!(Order::of("next"), None);
    }
}

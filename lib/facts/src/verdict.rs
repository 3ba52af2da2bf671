//! What was measured: yes, no or unknown. A yes of nothing cannot be made: it holds what was looked at, and at least one thing was.

/// What was looked at, each with what it said: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    first: String,
    more: Vec<String>,
}

impl Evidence {
    /// One thing that was seen.
    pub fn of(seen: impl Into<String>) -> Self {
        Evidence { first: seen.into(), more: Vec::new() }
    }

    /// And another one.
    #[must_use]
    pub fn and(mut self, seen: impl Into<String>) -> Self {
        self.more.push(seen.into());
        self
    }

    /// All of it, in the order in which it was seen.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first.as_str()).chain(self.more.iter().map(String::as_str))
    }
}

/// An observation: whether it is as it must be, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// As it must be.
    pub is_right: bool,
    /// In words.
    pub what: String,
}

/// The outcome of a gate or a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many things were looked at as were asked for, and each was right.
    Yes(Evidence),
    /// Something was looked at and is wrong.
    No(Evidence),
    /// It was not measured, or not often enough: a sentence.
    Unknown(String),
}

impl Verdict {
    /// Judges what was seen. One thing that is wrong is a no; fewer than `least` are nothing that is known, and 0 is taken for 1.
    pub fn of(least: usize, seen: impl IntoIterator<Item = Seen>) -> Self {
        let (right, wrong): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| seen.is_right);
        let evidence = |all: Vec<Seen>| {
            let mut words = all.into_iter().map(|seen| seen.what);
            words.next().map(|first| words.fold(Evidence::of(first), Evidence::and))
        };
        let (count, least) = (right.len(), least.max(1));
        match (evidence(wrong), evidence(right)) {
            (Some(wrong), _) => Verdict::No(wrong),
            (None, Some(right)) if count >= least => Verdict::Yes(right),
            (None, _) => Verdict::Unknown(format!("{count} of the {least} that are needed were seen")),
        }
    }

    /// Its word: `yes`, `no` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Yes(_) => "yes",
            Verdict::No(_) => "no",
            Verdict::Unknown(_) => "unknown",
        }
    }

    /// Whether it is a yes: unknown is none.
    pub fn is_yes(&self) -> bool {
        matches!(self, Verdict::Yes(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(right: &[bool]) -> Vec<Seen> {
        let one = |(n, is_right): (usize, &bool)| Seen { is_right: *is_right, what: format!("page {n}") };
        right.iter().enumerate().map(one).collect()
    }

    #[test]
    fn a_yes_needs_as_much_as_was_asked_for_and_never_nothing() {
        for (least, right, expected) in [
            (2, &[][..], "unknown"),
            (0, &[], "unknown"),
            (2, &[true], "unknown"),
            (2, &[true, true], "yes"),
            (0, &[true], "yes"),
            (2, &[true, true, false], "no"),
            (1, &[false], "no"),
        ] {
            let verdict = Verdict::of(least, seen(right));
            assert_eq!(verdict.word(), expected, "{least} {right:?}");
            assert_eq!(verdict.is_yes(), expected == "yes");
        }
    }

    #[test]
    fn a_verdict_holds_what_it_rests_on() {
        let Verdict::Yes(evidence) = Verdict::of(2, seen(&[true, true])) else { panic!("a yes") };
        assert_eq!(evidence.all().collect::<Vec<_>>(), ["page 0", "page 1"]);
        let Verdict::No(evidence) = Verdict::of(2, seen(&[true, false, true])) else { panic!("a no") };
        assert_eq!(evidence.all().collect::<Vec<_>>(), ["page 1"], "what is wrong, and nothing else");
    }
}

//! Whether a build is healthy: yes, no, or not known. Pure. Without evidence it is never yes, and never no.

use crate::api::Opinion;

/// What one look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// It is as it should be.
    Right,
    /// Nothing can be said.
    Unclear,
    /// It is plainly not as it should be.
    Wrong,
}

/// One round: every page, and what Coolify says of applications that no page speaks for.
pub fn round(
    pages: impl IntoIterator<Item = Evidence>,
    others: impl IntoIterator<Item = Opinion>,
) -> Evidence {
    let others = others.into_iter().map(|opinion| match opinion {
        Opinion::Up => Evidence::Right,
        Opinion::Unclear => Evidence::Unclear,
        Opinion::Down => Evidence::Wrong,
    });
    // Nothing looked at is nothing known.
    pages.into_iter().chain(others).max().unwrap_or(Evidence::Unclear)
}

/// How a wait for health stands.
#[derive(Clone, Debug)]
pub struct Watch {
    successes: u32,
    right: u32,
    last_not_right: Option<Evidence>,
}

impl Watch {
    /// So many rounds in a row must be right.
    pub fn new(successes: u32) -> Self {
        Watch { successes, right: 0, last_not_right: None }
    }

    /// Takes a round in; true when it begins a row of right ones.
    pub fn take(&mut self, round: Evidence) -> bool {
        if round == Evidence::Right {
            self.right += 1;
        } else {
            self.right = 0;
            self.last_not_right = Some(round);
        }
        self.right == 1
    }

    /// Whether the last rounds were all right.
    pub fn is_right(&self) -> bool {
        self.right > 0
    }

    /// Whether enough of them were.
    pub fn is_enough(&self) -> bool {
        self.right >= self.successes
    }

    /// What to say when the time is over: a page that was wrong last is unhealthy; one that only was silent is not known.
    pub fn at_the_end(&self) -> Evidence {
        self.last_not_right.unwrap_or(Evidence::Unclear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Evidence::{Right, Unclear, Wrong};

    #[test]
    fn a_round_is_as_bad_as_its_worst_witness() {
        for (pages, others, expected) in [
            (vec![], vec![], Unclear),
            (vec![Right], vec![], Right),
            (vec![Right, Unclear], vec![], Unclear),
            (vec![Right, Wrong, Unclear], vec![], Wrong),
            (vec![Right], vec![Opinion::Down], Wrong),
            (vec![Right], vec![Opinion::Unclear], Unclear),
            (vec![], vec![Opinion::Up], Right),
        ] {
            assert_eq!(round(pages.clone(), others.clone()), expected, "{pages:?} {others:?}");
        }
    }

    #[test]
    fn only_a_row_of_right_answers_is_health() {
        let watch = |rounds: &[Evidence]| {
            let mut watch = Watch::new(2);
            for round in rounds {
                watch.take(*round);
            }
            (watch.is_enough(), watch.at_the_end())
        };
        assert_eq!(watch(&[Right, Right]), (true, Unclear));
        assert_eq!(watch(&[Right, Wrong, Right]), (false, Wrong));
        assert_eq!(watch(&[Wrong, Unclear]), (false, Unclear));
        assert_eq!(watch(&[Unclear, Wrong]), (false, Wrong));
        assert_eq!(watch(&[]), (false, Unclear));
    }
}

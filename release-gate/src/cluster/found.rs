//! What was found of one thing, and what all of it means.

use facts::{Evidence, Seen, Verdict};

/// What was found of one thing, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Right(String),
    Wrong(String),
    /// It was not measured.
    Unknown(String),
    /// It was not measured, and asking again may help.
    Passing(String),
}

/// The verdict, and whether asking again may help. One thing that is wrong is a no, whatever else is not known; one that is not known
/// is no yes.
pub fn verdict(least: usize, all: Vec<Found>) -> (Verdict, bool) {
    let (mut right, mut wrong, mut unknown, mut is_passing) = (Vec::new(), Vec::new(), Vec::new(), true);
    for found in all {
        match found {
            Found::Right(what) => right.push(Seen { is_right: true, what }),
            Found::Wrong(what) => wrong.push(what),
            Found::Passing(why) => unknown.push(why),
            Found::Unknown(why) => {
                is_passing = false;
                unknown.push(why);
            }
        }
    }
    let mut wrong = wrong.into_iter();
    match wrong.next() {
        Some(first) => {
            let unknown = unknown.into_iter().map(|why| format!("besides, not known: {why}"));
            (Verdict::No(wrong.chain(unknown).fold(Evidence::of(first), Evidence::and)), false)
        }
        None if unknown.is_empty() => (Verdict::of(least, right), false),
        None => (Verdict::Unknown(unknown.join("; ")), is_passing),
    }
}

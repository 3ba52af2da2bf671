//! What lies in the place of a lock or a hold must be one: else nobody knows whether somebody is at work, or why nobody may be.

use step::Failure;

use super::entry::{Hold, Lock};
use crate::names::{Name, Scope};
use crate::remote::Index;

/// Whether the lock and the hold of an environment can be read, where there are any.
///
/// # Errors
/// `refused`, `entry`, with the command that removes what is there.
pub fn readable(index: &Index, scope: &Scope, environment: &str) -> Result<(), Failure> {
    let lock = Name::Lock(scope.clone());
    if is_strange(index, &lock, |message| Lock::parse(message).is_some()) {
        return Err(unreadable(&lock, "unlock", environment));
    }
    let hold = Name::Hold(scope.clone());
    if is_strange(index, &hold, |message| Hold::parse(message).is_some()) {
        return Err(unreadable(&hold, "lift", environment));
    }
    Ok(())
}

fn is_strange(index: &Index, name: &Name, can_be_read: impl Fn(&str) -> bool) -> bool {
    !index.in_the_way(name).is_empty() || index.tip(name).is_some_and(|tip| !can_be_read(&tip.message))
}

fn unreadable(name: &Name, verb: &str, environment: &str) -> Failure {
    let message =
        format!("what is at {} cannot be read: ask who has put it there, then remove it", name.full());
    let words = ["release-run", verb, "--env", environment, "--reason", step::REASON];
    Failure::refused("entry", message).command(words)
}

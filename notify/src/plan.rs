//! Whether to send, when it is known what was sent before. Pure.

use crate::ledger::Entry;

/// What to do about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    Send,
    /// Send it again, saying so: silence would be worse.
    Repeat,
    /// Do not, for this reason.
    Skip(String),
}

/// Decides. `urgent` says that the team must not miss it.
pub fn todo(entry: Option<&Entry>, urgent: bool) -> Todo {
    match entry {
        None => Todo::Send,
        Some(entry) if entry.sent => Todo::Skip(format!("the team was told at {}", entry.at)),
        Some(_) if urgent => Todo::Repeat,
        Some(entry) => Todo::Skip(format!(
            "a message was begun at {}, and whether it has arrived is not known; it is not sent twice",
            entry.at
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_twice_without_saying_so() {
        let entry = |sent| Entry { sent, at: "12:00".into(), message: None };
        assert_eq!(todo(None, false), Todo::Send);
        assert_eq!(todo(None, true), Todo::Send);
        assert!(matches!(todo(Some(&entry(true)), true), Todo::Skip(_)));
        assert!(matches!(todo(Some(&entry(true)), false), Todo::Skip(_)));
        assert_eq!(todo(Some(&entry(false)), true), Todo::Repeat);
        assert!(matches!(todo(Some(&entry(false)), false), Todo::Skip(_)));
    }
}

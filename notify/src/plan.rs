//! What to do, when it is known what was done before; and how the whole ended. Pure.

use std::time::Duration;

use crate::outbox::{Entry, State};

/// How often a request that was surely not carried out is sent again.
const ATTEMPTS: u32 = 5;

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
    let Some(entry) = entry else { return Todo::Send };
    match entry.state {
        State::Sent => Todo::Skip(format!("told at {}", entry.at)),
        State::Waiting | State::Dead => Todo::Send,
        State::Begun | State::Unknown if urgent => Todo::Repeat,
        State::Begun | State::Unknown => Todo::Skip(format!(
            "a message was begun at {}, and whether it has arrived is not known; it is not sent twice",
            entry.at
        )),
    }
}

/// Whether a channel wants this kind of message; patterns may begin or end in `*`. None wants all.
pub fn wants(patterns: &[String], kind: &str) -> bool {
    let fits = |pattern: &String| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => kind.ends_with(end),
        (_, Some(beginning)) => kind.starts_with(beginning),
        _ => pattern == kind,
    };
    patterns.is_empty() || kind == "text" || patterns.iter().any(fits)
}

/// How long to wait before a request that was surely not carried out is sent again; `None` if it shall wait in the outbox.
/// `asked` is what the channel said; `left` is the time that this message has.
pub fn pause(attempt: u32, asked: Option<Duration>, left: Duration) -> Option<Duration> {
    let backoff = Duration::from_millis(500 << attempt.clamp(1, 5).saturating_sub(1));
    let wait = asked.unwrap_or(backoff);
    (attempt < ATTEMPTS && wait + Duration::from_millis(200) < left).then_some(wait)
}

/// How a message fared in one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Sent,
    /// There was nothing to send.
    Skipped,
    /// It waits in the outbox.
    Waiting,
    Unknown,
    Refused,
}

impl Fate {
    /// For the record.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Sent => "sent",
            Fate::Skipped => "skipped",
            Fate::Waiting => "not-sent",
            Fate::Unknown => "unknown",
            Fate::Refused => "refused",
        }
    }

    /// Whether nothing more is to be done about it.
    pub fn is_good(self) -> bool {
        matches!(self, Fate::Sent | Fate::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: State) -> Entry {
        let text =
            r#"{"channel":"a","run":"r","event":"e","at":"12:00","state":"sent","receipts":[],"lost":0}"#;
        Entry { state, ..serde_json::from_str(text).expect("an entry") }
    }

    #[test]
    fn nothing_is_sent_twice_without_saying_so() {
        for urgent in [true, false] {
            assert_eq!(todo(None, urgent), Todo::Send);
            assert_eq!(todo(Some(&entry(State::Waiting)), urgent), Todo::Send);
            assert_eq!(todo(Some(&entry(State::Dead)), urgent), Todo::Send);
            assert!(matches!(todo(Some(&entry(State::Sent)), urgent), Todo::Skip(_)));
        }
        for state in [State::Begun, State::Unknown] {
            assert_eq!(todo(Some(&entry(state)), true), Todo::Repeat);
            assert!(matches!(todo(Some(&entry(state)), false), Todo::Skip(_)));
        }
    }

    #[test]
    fn a_channel_says_what_it_wants() {
        let patterns = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert!(wants(&[], "release_ok"));
        assert!(wants(&patterns(&["release_failed", "rollback_*"]), "rollback_ok"));
        assert!(!wants(&patterns(&["release_failed", "rollback_*"]), "release_ok"));
        assert!(
            wants(&patterns(&["*_failed"]), "hotfix_failed") && !wants(&patterns(&["*_failed"]), "hotfix_ok")
        );
        assert!(wants(&patterns(&["rollback_*"]), "text"), "what a person sends goes where they say");
    }

    #[test]
    fn waits_fit_the_time_or_are_not_waited() {
        let s = Duration::from_secs;
        assert_eq!(pause(1, Some(s(3)), s(20)), Some(s(3)));
        assert_eq!(pause(1, Some(s(300)), s(20)), None);
        assert_eq!(pause(3, None, s(20)), Some(s(2)));
        assert_eq!(pause(5, None, s(20)), None);
        assert_eq!(pause(1, None, Duration::from_millis(600)), None);
    }
}

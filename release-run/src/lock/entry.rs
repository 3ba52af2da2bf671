//! What stands in the ledger: one commit an entry, its message a line for people and then `Key: value` lines. Pure.

use jiff::Timestamp;

/// No lock is taken more often, and none lasts longer, in seconds: whoever may push can write any number.
const GENERATIONS: u64 = 1 << 32;
pub const LONGEST: u64 = 7 * 86_400;

/// Who made an entry, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// `Name <address>`, as git knows it.
    pub holder: String,
    /// The machine.
    pub host: String,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.holder, self.host)
    }
}

/// An environment's lock: who has it, for which run, until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Whether somebody has it; else it was given back.
    pub held: bool,
    pub run: String,
    pub who: Who,
    /// The token that only the holder knows where to find.
    pub lease: String,
    /// Grows by one with each taking: the fencing number.
    pub generation: u64,
    /// By the holder's clock, for people: nobody takes a lock over because of a clock.
    pub expires: Timestamp,
    /// How long it lasts after each renewal, in seconds; earlier versions do not say.
    pub length: Option<u64>,
    /// The CI job that has it.
    pub job: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why it was opened by hand, if it was.
    pub reason: Option<String>,
}

/// A hold: releases to the environment are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Whether it is on; else it was lifted.
    pub on: bool,
    pub who: Who,
    pub since: Timestamp,
    pub reason: String,
}

impl Lock {
    /// Reads an entry's message.
    pub fn parse(message: &str) -> Option<Self> {
        let value = |key: &str| value(message, key);
        Some(Lock {
            held: value("State")? == "held",
            run: value("Run")?.to_owned(),
            who: Who { holder: value("Holder")?.to_owned(), host: value("Host")?.to_owned() },
            lease: value("Lease")?.to_owned(),
            generation: value("Generation")?.parse().ok().filter(|number| *number <= GENERATIONS)?,
            expires: value("Expires")?.parse().ok()?,
            length: value("Length").and_then(|text| text.parse().ok()).map(|length: u64| length.min(LONGEST)),
            job: value("Job").map(str::to_owned),
            since: value("Since").and_then(|text| text.parse().ok()),
            reason: value("Reason").map(str::to_owned),
        })
    }

    /// Whether its holder has not renewed it in time, by two clocks that may differ: a word for people, who know whether that process is gone.
    pub fn has_run_out(&self, now: Timestamp) -> bool {
        self.held && self.expires < now
    }

    /// An entry's message.
    pub fn message(&self, environment: &str) -> String {
        let state = if self.held { "held" } else { "free" };
        let line =
            |key: &str, value: Option<String>| value.map(|v| format!("{key}: {v}\n")).unwrap_or_default();
        let more = [
            line("Length", self.length.map(|l| l.to_string())),
            line("Since", self.since.map(|s| s.to_string())),
            line("Job", self.job.clone()),
            line("Reason", self.reason.clone()),
        ]
        .concat();
        format!(
            "lock {environment}: {state}, {}\n\nState: {state}\nRun: {}\nHolder: {}\nHost: {}\nLease: {}\nGeneration: {}\nExpires: {}\n{more}",
            self.run, self.run, self.who.holder, self.who.host, self.lease, self.generation, self.expires,
        )
    }
}

impl Hold {
    /// One of now; whole seconds are enough for people.
    pub fn now(on: bool, who: Who, reason: &str) -> Self {
        let since = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        Hold { on, who, since, reason: step::plain_line(reason) }
    }

    /// Reads an entry's message.
    pub fn parse(message: &str) -> Option<Self> {
        let value = |key: &str| value(message, key);
        Some(Hold {
            on: value("State")? == "on",
            who: Who { holder: value("Holder")?.to_owned(), host: value("Host")?.to_owned() },
            since: value("Since")?.parse().ok()?,
            reason: value("Reason")?.to_owned(),
        })
    }

    /// An entry's message.
    pub fn message(&self, environment: &str) -> String {
        let state = if self.on { "on" } else { "lifted" };
        format!(
            "hold {environment}: {state}\n\nState: {state}\nHolder: {}\nHost: {}\nSince: {}\nReason: {}\n",
            self.who.holder, self.who.host, self.since, self.reason,
        )
    }
}

fn value<'a>(message: &'a str, key: &str) -> Option<&'a str> {
    let pair = |line: &'a str| line.split_once(": ").filter(|(name, _)| *name == key);
    message.lines().skip(1).find_map(pair).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let who = Who { holder: "Rina Wijaya <rina@luxima.example>".into(), host: "laptop: of Rina".into() };
        let at: Timestamp = "2026-11-25T09:00:00Z".parse().expect("a time");
        let lock = Lock {
            held: true,
            run: "r-1".into(),
            who: who.clone(),
            lease: "9f2c".into(),
            generation: 7,
            expires: at,
            length: Some(300),
            job: Some("https://ci.example/1".into()),
            since: Some(at),
            reason: Some("State: free".into()),
        };
        let later = at + std::time::Duration::from_secs(1);
        assert!(lock.has_run_out(later) && !lock.has_run_out(at));
        assert!(!Lock { held: false, ..lock.clone() }.has_run_out(later), "it was given back");
        assert_eq!(Lock::parse(&lock.message("production")), Some(lock));
        let hold = Hold { on: true, who, since: at, reason: "1.3.0 destroys prices: wait".into() };
        assert_eq!(Hold::parse(&hold.message("production")), Some(hold));
    }

    #[test]
    fn what_cannot_be_read_is_no_entry() {
        let sample = "lock\n\nState: held\nRun: x\nHolder: a\nHost: b\nLease: c\nGeneration: 7\nLength: 300\nExpires: 2026-11-25T09:00:00Z\n";
        assert!(Lock::parse(sample).is_some());
        let length = Lock::parse(&sample.replace("300", "18446744073709551615")).and_then(|lock| lock.length);
        assert_eq!(length, Some(LONGEST));
        for message in [
            "",
            "lock production",
            "lock\n\nState: held\nRun: x",
            &sample.replace("Generation: 7", "Generation: 18446744073709551615"),
        ] {
            assert_eq!(Lock::parse(message), None);
            assert_eq!(Hold::parse(message), None);
        }
    }
}

//! One budget for the whole step: every request gets what is left of it, at most 30 seconds.

use std::time::{Duration, Instant};

use crate::Failure;

/// No single request may take longer than this, however much time is left.
const REQUEST: Duration = Duration::from_secs(30);

/// The instant at which the step gives up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    end: Instant,
    budget: Duration,
}

impl Deadline {
    /// A deadline that lies `budget` ahead.
    pub fn after(budget: Duration) -> Self {
        Deadline { end: Instant::now() + budget, budget }
    }

    /// The one of two that comes first.
    #[must_use]
    pub fn sooner(self, other: Deadline) -> Self {
        if other.end < self.end { other } else { self }
    }

    /// What is left; zero when it is over.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// The time that one request may take now: what is left, at most 30 s.
    ///
    /// # Errors
    /// `temporary`, `deadline` when nothing is left.
    pub fn request(&self) -> Result<Duration, Failure> {
        let left = self.left();
        if left.is_zero() { Err(self.over()) } else { Ok(left.min(REQUEST)) }
    }

    /// The failure that says that the budget is used up.
    pub fn over(&self) -> Failure {
        let message = format!("the time of {} for the whole step is over (--timeout)", human(self.budget));
        Failure::temporary("deadline", message)
    }
}

/// Reads a length of time as people write it: `90s`, `1h 30m`, `50ms`.
///
/// # Errors
/// A sentence that names what was given, for `--timeout` and for settings.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    // Each unit at most once, the greater first, so that a slip of the keyboard is none of them.
    const UNITS: [(&str, u64, usize); 5] =
        [("d", 86_400_000, 4), ("h", 3_600_000, 6), ("m", 60_000, 7), ("s", 1000, 9), ("ms", 1, 9)];
    let wrong = || {
        format!("`{}` is not a length of time; write for example 90s, 10m or 1h", crate::excerpt(text, 40))
    };
    let (mut rest, mut millis, mut next) = (text, 0_u64, 0);
    while !rest.is_empty() || next == 0 {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        let at =
            UNITS.iter().position(|(name, ..)| *name == unit).filter(|at| *at >= next).ok_or_else(wrong)?;
        // Some hundred years in all: an instant can still be that far away.
        let number: u64 = number.parse().ok().filter(|_| digits <= UNITS[at].2).ok_or_else(wrong)?;
        millis += number * UNITS[at].1;
        next = at + 1;
        rest = after.strip_prefix(' ').filter(|more| !more.is_empty()).unwrap_or(after);
    }
    Ok(Duration::from_millis(millis))
}

/// A length of time for people, in at most two units: `3d 4h`, `1h 30m`, `2m 5s`, `350ms`.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |a: u64, unit: &str, b: u64, smaller: &str| match b {
        0 => format!("{a}{unit}"),
        _ => format!("{a}{unit} {b}{smaller}"),
    };
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..=59 => format!("{seconds}s"),
        60..=3599 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..=172_799 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// How long ago, for people; what is yet to come is now.
pub fn ago(at: jiff::Timestamp, now: jiff::Timestamp) -> String {
    let gap = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    format!("{} ago", human(Duration::from_secs(gap.as_secs())).replace("0ms", "0s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        for (ms, expected) in [
            (0, "0ms"),
            (350, "350ms"),
            (45_999, "45s"),
            (60_000, "1m"),
            (125_000, "2m 5s"),
            (5_400_000, "1h 30m"),
            (172_799_000, "47h 59m"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(human(Duration::from_millis(ms)), expected);
        }
        let at = |second| jiff::Timestamp::from_second(second).expect("a time");
        assert_eq!(ago(at(0), at(0)), "0s ago");
        assert_eq!((ago(at(0), at(90)), ago(at(90), at(0))), ("1m 30s ago".into(), "0s ago".into()));
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("90s", 90_000),
            ("1h", 3_600_000),
            ("50ms", 50),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            " ",
            "soon",
            "-1h",
            "5",
            "1h ",
            " 1h",
            "30m 1h",
            "1h 1h",
            "1 h",
            "1h  2m",
            "1.5h",
            "1234567890s",
            "12345d",
            "s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_gets_what_is_left_but_never_more_than_thirty_seconds() {
        assert!(
            Deadline::after(Duration::from_secs(5)).request().expect("time left") <= Duration::from_secs(5)
        );
        assert_eq!(Deadline::after(Duration::from_secs(900)).request().expect("time left"), REQUEST);
        assert_eq!(Deadline::after(Duration::ZERO).request().expect_err("over").reason, "deadline");
    }
}

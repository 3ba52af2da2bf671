//! Whether a request may be sent again, and when: a pure decision from what came back.

use std::time::Duration;

/// What to do after a request that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Wait this long, then send it again.
    After(Duration),
    /// Do not send it again.
    Stop,
}

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(8);

/// How long to wait after so many attempts (from 1) where nobody has said how long: twice as long each time, up to `most`.
pub fn backoff(first: Duration, attempt: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << attempt.clamp(1, 16).saturating_sub(1)).min(most)
}

/// Decides about one more attempt.
///
/// `status` is the HTTP status, `None` when no answer came. `retry_after` is the header in seconds, if there was one.
/// `safe` says that the request changes nothing: only then may it be repeated when it is not known whether it was carried out.
/// A request that was turned away for its rate (429) was not carried out and may always be repeated.
/// `attempt` counts from 1; `left` is the time until the deadline.
pub fn again(
    status: Option<u16>,
    retry_after: Option<u64>,
    attempt: u32,
    safe: bool,
    left: Duration,
) -> Again {
    let worth_it = match status {
        Some(429) => true,
        Some(500 | 502 | 503 | 504 | 520..=530) | None => safe,
        Some(_) => false,
    };
    let wait = retry_after.map_or_else(|| backoff(FIRST, attempt, MOST), Duration::from_secs);
    if worth_it && attempt < 8 && wait < left { Again::After(wait) } else { Again::Stop }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_may_have_been_carried_out_is_never_repeated_blindly() {
        for status in [None, Some(500), Some(502), Some(503), Some(504), Some(522)] {
            assert_eq!(again(status, None, 1, false, LONG), Again::Stop, "{status:?}");
            assert_eq!(
                again(status, None, 1, true, LONG),
                Again::After(Duration::from_millis(250)),
                "{status:?}"
            );
        }
    }

    #[test]
    fn a_rate_limit_is_waited_for_if_it_fits() {
        assert_eq!(again(Some(429), Some(7), 1, false, LONG), Again::After(Duration::from_secs(7)));
        assert_eq!(again(Some(429), Some(70), 1, false, LONG), Again::Stop);
    }

    #[test]
    fn a_clear_no_is_final() {
        for status in [400, 401, 403, 404, 405, 409, 422] {
            assert_eq!(again(Some(status), None, 1, true, LONG), Again::Stop, "{status}");
        }
    }

    #[test]
    fn waits_grow_and_end() {
        assert_eq!(again(None, None, 3, true, LONG), Again::After(Duration::from_secs(1)));
        assert_eq!(again(None, None, 8, true, LONG), Again::Stop);
    }
}

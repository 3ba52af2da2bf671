//! How fast a vendor may be asked: a token bucket that all threads share, and what the vendor's headers say. Pure but for the
//! clock that is handed in.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tokens that come back at a steady rate.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    rate: f64,
    at: Instant,
    closed_until: Instant,
}

impl Bucket {
    /// A full one: `burst` at once, then `rate` a second.
    pub fn new(burst: f64, rate: f64, now: Instant) -> Self {
        Bucket { tokens: burst, burst, rate, at: now, closed_until: now }
    }

    /// Takes `cost` tokens, and says how long to wait before they are good.
    pub fn take(&mut self, cost: f64, now: Instant) -> Duration {
        let closed = self.closed_until.saturating_duration_since(now);
        if !self.rate.is_finite() {
            return closed;
        }
        let came_back = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + came_back).min(self.burst) - cost;
        self.at = now;
        let short = if self.tokens < 0.0 { -self.tokens / self.rate } else { 0.0 };
        closed.max(Duration::try_from_secs_f64(short).unwrap_or(Duration::MAX))
    }

    /// Nothing goes out for so long: the vendor said so, and it knows better.
    pub fn close(&mut self, wait: Duration, now: Instant) {
        self.closed_until = self.closed_until.max(now + wait);
        self.tokens = self.tokens.min(0.0);
        self.at = self.at.max(now);
    }
}

/// What the headers of an answer say about the next one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How long to wait.
    pub wait: Option<Duration>,
    /// Nothing is left until then.
    pub empty: bool,
}

/// Reads `Retry-After` (given in seconds, whichever way it was written), `Ratelimit: "default";r=50;t=30` (Cloudflare) and
/// `Fastly-RateLimit-Remaining` with `Fastly-RateLimit-Reset` (seconds since 1970).
pub fn told<'a>(retry_after: Option<u64>, header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> Told {
    let ratelimit = header("ratelimit").unwrap_or_default();
    let field = |name: &str| {
        ratelimit
            .split([';', ','])
            .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok())
    };
    let number = |name: &str| header(name).and_then(|v| v.trim().parse::<i64>().ok());
    let reset = number("fastly-ratelimit-reset").map(|at| (at - now.as_second()).max(1).unsigned_abs());
    let wait = retry_after.or_else(|| field("t")).or(reset);
    let empty = field("r") == Some(0) || number("fastly-ratelimit-remaining") == Some(0);
    Told { wait: wait.map(Duration::from_secs), empty }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(25.0, 5.0, start);
        assert!((0..25).all(|_| bucket.take(1.0, start).is_zero()));
        let waits: Vec<u128> = (0..3).map(|_| bucket.take(1.0, start).as_millis()).collect();
        assert_eq!(waits, [200, 400, 600]);
        let later = start + Duration::from_secs(2);
        assert!(bucket.take(1.0, later).is_zero(), "ten came back, three were owed");
        assert!(Bucket::new(1.0, f64::INFINITY, start).take(100.0, start).is_zero());
    }

    #[test]
    fn what_the_vendor_says_counts() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000.0, 1000.0, start);
        bucket.close(Duration::from_secs(7), start);
        assert_eq!(bucket.take(1.0, start), Duration::from_secs(7));
        assert_eq!(bucket.take(1.0, start + Duration::from_secs(3)), Duration::from_secs(4));
    }

    #[test]
    fn headers_are_read() {
        let now: Timestamp = "2026-11-25T09:00:00Z".parse().expect("a time");
        let read = |retry, headers: &[(&str, &'static str)]| {
            let headers = headers.to_vec();
            let told = told(retry, |name| headers.iter().find(|h| h.0 == name).map(|h| h.1), now);
            (told.wait.map(|w| w.as_secs()), told.empty)
        };
        assert_eq!(read(Some(3), &[("ratelimit", "\"default\";r=0;t=30")]), (Some(3), true));
        assert_eq!(read(None, &[("ratelimit", "\"default\";r=50;t=30")]), (Some(30), false));
        let fastly = [("fastly-ratelimit-remaining", "0"), ("fastly-ratelimit-reset", "1795597260")];
        assert_eq!(read(None, &fastly), (Some(60), true));
        assert_eq!(read(None, &[]), (None, false));
    }
}

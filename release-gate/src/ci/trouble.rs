//! What it means when GitHub does not answer a question: why, and whether asking again may help. Pure.

use std::time::Duration;

use http_client::Lost;
use jiff::Timestamp;
use serde::Deserialize;
use step::{Failure, excerpt, plain_line};

/// GitHub asks for at least so long a pause where it names none.
const PAUSE: Duration = Duration::from_secs(60);
/// GitHub counts by the hour: who is to wait longer does not get an answer by waiting.
const WINDOW: Duration = Duration::from_secs(2 * 3600);
/// What a token is told that no right to read checks can be given to.
const FINE_GRAINED: &str = "Resource not accessible by personal access token";

/// Whether the same question may be answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The answer will be the same.
    Never,
    /// It may be another one soon.
    Soon,
    /// Not before this has passed.
    After(Duration),
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence for people.
    pub why: String,
    pub retry: Retry,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The token is one that may never read checks.
    pub is_fine_grained: bool,
}

/// What ends a look early: something is not known, or the step must stop.
#[derive(Debug)]
pub enum Stop {
    Unknown(Trouble),
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failure(failure)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Stop::Unknown(trouble)
    }
}

impl Trouble {
    /// Something that asking again does not help against.
    pub fn lasting(why: impl Into<String>) -> Self {
        Trouble { why: why.into(), retry: Retry::Never, status: None, is_fine_grained: false }
    }

    /// Something that may pass.
    pub fn passing(why: impl Into<String>) -> Self {
        Trouble { why: why.into(), retry: Retry::Soon, status: None, is_fine_grained: false }
    }

    /// Whether it may pass.
    pub fn is_passing(&self) -> bool {
        self.retry != Retry::Never
    }

    /// No answer came.
    pub fn lost(lost: &Lost) -> Self {
        let why = format!("GitHub does not answer: {}", lost.why);
        if lost.distrusted { Trouble::lasting(why) } else { Trouble::passing(why) }
    }

    /// What a status other than success means.
    pub fn of(status: u16, header: impl Fn(&str) -> Option<String>, body: &[u8], now: Timestamp) -> Self {
        let said = message(body);
        if let Some(pause) = limited(status, &header, &said, now) {
            let until = now.saturating_add(pause).map_or_else(|_| "later".to_owned(), |at| shown(at, now));
            let why = format!("GitHub takes no more questions of this token until {until} (HTTP {status})");
            let retry = if pause > WINDOW { Retry::Never } else { Retry::After(pause) };
            return Trouble { why, retry, status: Some(status), is_fine_grained: false };
        }
        let is_fine_grained = status == 403 && said.contains(FINE_GRAINED);
        let why = match status {
            301 | 302 | 307 | 308 => {
                "GitHub sends elsewhere, and no token is sent along: was the repository renamed? set ci.repository".to_owned()
            }
            401 => "GitHub does not know this token: set ci.token_file, or GITHUB_TOKEN".to_owned(),
            403 => forbidden(header("x-accepted-github-permissions"), &said),
            404 => "GitHub does not show this repository or commit to this token (HTTP 404)".to_owned(),
            422 => format!("GitHub does not have this commit: push it (HTTP 422{})", quoted(&said)),
            500.. => format!("GitHub is not well (HTTP {status}{})", quoted(&said)),
            _ => format!("GitHub answers HTTP {status}{}", quoted(&said)),
        };
        let retry = if status >= 500 { Retry::Soon } else { Retry::Never };
        Trouble { why, retry, status: Some(status), is_fine_grained }
    }
}

/// How long nothing may be asked, if that is what the answer says.
fn limited(
    status: u16,
    header: &impl Fn(&str) -> Option<String>,
    said: &str,
    now: Timestamp,
) -> Option<Duration> {
    let number = |name: &str| header(name)?.trim().parse::<u64>().ok();
    let is_used_up = number("x-ratelimit-remaining") == Some(0);
    let named = number("retry-after").map(Duration::from_secs);
    let is_limit = is_used_up || named.is_some() || said.contains("secondary rate limit");
    if status != 429 && !(status == 403 && is_limit) {
        return None;
    }
    let reset = number("x-ratelimit-reset").filter(|_| is_used_up).map(|at| {
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        Duration::from_secs(at.saturating_sub(now).saturating_add(1))
    });
    Some(named.or(reset).unwrap_or(PAUSE))
}

fn forbidden(right: Option<String>, said: &str) -> String {
    match right.filter(|right| !right.is_empty()) {
        Some(right) => {
            format!("the token may not do this: give it {} (HTTP 403)", excerpt(&plain_line(&right), 80))
        }
        None => format!("the token may not do this (HTTP 403{})", quoted(said)),
    }
}

fn shown(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let form = if day(at) == day(now) { "%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%SZ" };
    at.strftime(form).to_string()
}

/// GitHub's own words, if it says some.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    serde_json::from_slice::<Said>(body).map(|said| said.message).unwrap_or_default()
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {}", excerpt(&plain_line(said), 120)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(status: u16, headers: &[(&str, &str)], said: &str) -> Trouble {
        let header =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        let body = serde_json::json!({ "message": said }).to_string();
        Trouble::of(status, header, body.as_bytes(), Timestamp::from_second(1_000).expect("an instant"))
    }

    #[test]
    fn each_status_is_told_from_the_others() {
        for (status, headers, said, part, retry) in [
            (401, &[][..], "Bad credentials", "does not know this token", Retry::Never),
            (
                403,
                &[("x-accepted-github-permissions", "checks=read")],
                "no",
                "give it checks=read",
                Retry::Never,
            ),
            (403, &[], "no", "may not do this (HTTP 403: no)", Retry::Never),
            (404, &[], "Not Found", "does not show this repository", Retry::Never),
            (422, &[], "No commit found for SHA: x", "push it", Retry::Never),
            (301, &[], "Moved Permanently", "set ci.repository", Retry::Never),
            (502, &[], "", "not well (HTTP 502)", Retry::Soon),
            (429, &[("retry-after", "7")], "", "no more questions", Retry::After(Duration::from_secs(7))),
            (429, &[], "", "no more questions", Retry::After(PAUSE)),
            (403, &[("retry-after", "7")], "", "no more questions", Retry::After(Duration::from_secs(7))),
            (403, &[], "You have exceeded a secondary rate limit", "no more", Retry::After(PAUSE)),
            (
                403,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1010")],
                "",
                "no more questions",
                Retry::After(Duration::from_secs(11)),
            ),
        ] {
            let trouble = trouble(status, headers, said);
            assert!(trouble.why.contains(part), "{status}: {trouble:?}");
            assert_eq!(trouble.retry, retry, "{status}: {trouble:?}");
        }
        assert!(trouble(403, &[], FINE_GRAINED).is_fine_grained);
        assert!(!trouble(403, &[], "Resource not accessible by integration").is_fine_grained);
    }

    #[test]
    fn a_limit_that_ends_far_away_is_told_with_its_day_and_waited_for_by_nobody() {
        let reset = |at| [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", at)];
        for (status, headers, part) in [
            (403, &reset("4102444800")[..], "until 2100-01-01 00:00:01Z"),
            (403, &reset("18446744073709551615"), "no more questions"),
            (429, &[("retry-after", "999999")], "until 1970-01-12"),
        ] {
            let trouble = trouble(status, headers, "");
            assert!(trouble.why.contains(part) && !trouble.is_passing(), "{headers:?}: {trouble:?}");
        }
    }
}

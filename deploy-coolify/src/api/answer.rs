//! What an answer means: Coolify's own words, what a person has to do about them, and how long it wants to be left alone.

use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use step::Failure;

use super::words::sentence;

/// The longest that Coolify can want to be left alone, in seconds: whoever says more is mistaken, or means harm.
const LONGEST: u64 = 60 * 60;
/// The most of an answer that is read, in bytes.
const BODY: usize = 32 << 20;

/// What an answer means that is no success.
pub(super) fn refusal(base: &str, method: &str, path: &str, status: u16, message: Option<String>) -> Failure {
    let said = message.unwrap_or_else(|| format!("HTTP {status}"));
    let text = format!("Coolify refuses {method} {}: {said}", bare(path));
    match status {
        401 => Failure::config("token", format!("{text} (is the token right, and not expired?)")),
        403 => {
            let remedy = remedy(&said).map(|remedy| format!(" ({remedy})")).unwrap_or_default();
            Failure::config("token-ability", format!("{text}{remedy}"))
        }
        300..=399 | 405 => Failure::config("url", format!("{text}; is {base} the right URL, with https?")),
        404 => Failure::refused("not-found", text),
        429 => Failure::temporary("coolify-busy", text),
        400 if said.contains("queue is full") => Failure::temporary("coolify-busy", text),
        503.. => unreachable(base, &text),
        500.. => Failure::temporary("coolify-unreachable", text),
        _ => Failure::refused("rejected", text),
    }
}

/// What a person has to do about a 403, of which Coolify knows several.
pub(super) fn remedy(said: &str) -> Option<String> {
    Some(match said {
        _ if said.starts_with("Missing required permissions") => {
            let ability = said.rsplit(' ').next().unwrap_or_default();
            format!("make a token with the ability {ability} (Keys & Tokens > API tokens)")
        }
        _ if said.starts_with("Missing required team role") || said.contains("exceed your current role") => {
            "the token's owner must be an admin or the owner of the team (Team > Members): change the role there, or use \
             a token of somebody who is"
                .to_owned()
        }
        "API is disabled." => "switch the API on (Settings > Advanced > API Access)".to_owned(),
        "You are not allowed to access the API." => {
            "this machine's address is not among the allowed ones (Settings > Advanced)".to_owned()
        }
        _ => return None,
    })
}

pub(super) fn unreachable(base: &str, why: &str) -> Failure {
    Failure::temporary("coolify-unreachable", format!("Coolify at {base} cannot be reached: {why}"))
}

/// A route that this version of Coolify does not have.
pub(super) fn is_no_route(body: &str) -> bool {
    body.contains("coolify.io") && body.contains("\"docs\"")
}

pub(super) fn parse<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Failure> {
    let wrong = |e: serde_json::Error| {
        // The error's own words may quote the body, which holds secrets: only its place is told.
        let message = format!(
            "Coolify's answer to GET {} is not what it should be (line {}, column {})",
            bare(path),
            e.line(),
            e.column()
        );
        Failure::temporary("answer", message)
    };
    serde_json::from_str(text).map_err(wrong)
}

/// The body, as far as it is not absurdly large; `None` when it did not come whole.
pub async fn text(mut answer: Response) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BODY {
            return None;
        }
    }
    // A body that is text already is not copied.
    Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// `Retry-After` in seconds; a proxy may say it as an instant. No time at all is as good as nothing: it must not take the pause away that
/// we make by ourselves.
pub fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let seconds = text.parse().ok().or_else(|| seconds_until(text, Timestamp::now()))?;
    (seconds > 0).then_some(seconds.min(LONGEST))
}

fn seconds_until(text: &str, now: Timestamp) -> Option<u64> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(at.as_second() - now.as_second()).ok()
}

/// Whether an answer says that all requests of this minute are used up. A full queue has the same status, and is about one
/// request only.
pub(super) fn is_throttle(status: u16, headers: &HeaderMap) -> bool {
    status == 429 && number(headers, "x-ratelimit-remaining").is_none_or(|left| left == 0)
}

pub(super) fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

/// Coolify's own word, if the body is its JSON; a list of errors is named by its keys and sentences.
pub(super) fn message(body: &str) -> Option<String> {
    let value: Value = serde_json::from_str(body).ok()?;
    let mut message = value.get("message").and_then(Value::as_str)?.to_owned();
    for (key, why) in value.get("errors").and_then(Value::as_object).into_iter().flatten() {
        // A sentence or a list of them: both are there in the same version.
        let why = why.as_str().or_else(|| why.get(0).and_then(Value::as_str)).unwrap_or_default();
        message.push_str(&format!(" {key}: {why}"));
    }
    if let Some(error) = value.get("error").and_then(Value::as_str) {
        message.push_str(&format!(" {error}"));
    }
    Some(sentence(&message))
}

/// The last cause of an error, which says most; the URL is left out.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_errors_are_read() {
        let body = r#"{"message":"Validation failed.","errors":{"a":["x"],"b":"y"}}"#;
        assert_eq!(message(body).as_deref(), Some("Validation failed. a: x b: y"));
        assert_eq!(message("404 page not found"), None);
    }

    #[test]
    fn each_403_has_its_remedy() {
        for (said, remedy) in [
            ("Missing required permissions: write", "ability write"),
            ("Missing required team role.", "admin or the owner of the team"),
            (
                "This API token has permissions (write) that exceed your current role as a team member.",
                "admin or the owner",
            ),
            ("API is disabled.", "API Access"),
            ("You are not allowed to access the API.", "allowed ones"),
        ] {
            let failure = refusal("https://c.example", "GET", "/version", 403, Some(said.into()));
            assert!(failure.message.contains(remedy) && failure.exit_code() == 78, "{}", failure.message);
        }
    }

    #[test]
    fn a_time_to_wait_is_read_in_both_of_its_forms() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().expect("a header"));
            retry_after(&headers)
        };
        assert_eq!((of("47"), of(" 60 "), of("soon"), of("-1")), (Some(47), Some(60), None, None));
        assert_eq!((of("0"), of("18446744073709551615")), (None, Some(LONGEST)));
        let now = "2026-11-27T20:00:00Z".parse().expect("a time");
        assert_eq!(seconds_until("Fri, 27 Nov 2026 20:00:30 GMT", now), Some(30));
        assert_eq!(seconds_until("Fri, 27 Nov 2026 19:59:30 GMT", now), None);
    }

    #[test]
    fn a_full_queue_is_no_throttle() {
        let of = |left: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-ratelimit-remaining", left.parse().expect("a header"));
            is_throttle(429, &headers)
        };
        assert!(of("0") && !of("199") && is_throttle(429, &HeaderMap::new()));
        assert!(!is_throttle(503, &HeaderMap::new()));
    }
}

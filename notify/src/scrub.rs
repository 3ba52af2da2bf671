//! Secrets that somebody else has written into a log: what has the shape of a password in a URL or of a well-known kind of token
//! is masked in every message. Secrets that notify itself has loaded are masked by `step` wherever they stand.

use serde_json::Value;

const MASK: &str = "[redacted]";
/// What tokens of well-known services begin with.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "sk_live_",
    "rk_live_",
    "whsec_",
    "AKIA",
    "sbp_",
];

/// The text without what looks like a secret.
pub fn scrub(text: &str) -> String {
    let text = step::redact(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(boundary).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(&masked(word));
        let width = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..width]);
        rest = &after[width..];
    }
    out
}

/// A value without what looks like a secret in any of its strings.
pub fn scrub_value(value: &mut Value) {
    match value {
        Value::String(text) => *text = scrub(text),
        Value::Array(items) => items.iter_mut().for_each(scrub_value),
        Value::Object(map) => map.iter_mut().for_each(|(_, item)| scrub_value(item)),
        _ => {}
    }
}

fn boundary(c: char) -> bool {
    c.is_whitespace() || "\"'`<>(){}[],;".contains(c)
}

fn masked(word: &str) -> String {
    if let Some(url) = without_password(word) {
        return url;
    }
    // `token=ghp_...`: what stands before the equal sign is worth reading.
    let (name, value) = word.split_once('=').unwrap_or(("", word));
    let known = PREFIXES.iter().any(|p| value.starts_with(p) && value.len() >= p.len() + 8);
    if known || is_jwt(value) || is_bot_token(value) {
        return if name.is_empty() { MASK.to_owned() } else { format!("{name}={MASK}") };
    }
    word.to_owned()
}

/// `postgres://user:password@host` without the password.
fn without_password(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, host) = authority.rsplit_once('@')?;
    let (user, _) = user.split_once(':')?;
    Some(format!("{scheme}://{user}:{MASK}@{host}{}", &rest[authority.len()..]))
}

fn is_jwt(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    word.starts_with("eyJ") && parts.len() == 3 && parts.iter().all(|p| p.len() >= 8)
}

/// Telegram's, also inside `/bot123:abc/`.
fn is_bot_token(word: &str) -> bool {
    word.split(['/', '=']).any(|part| {
        let part = part.strip_prefix("bot").unwrap_or(part);
        part.split_once(':').is_some_and(|(id, key)| {
            id.len() >= 6
                && id.bytes().all(|b| b.is_ascii_digit())
                && key.len() >= 30
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, expected) in [
            (
                "at postgres://shop:hunter2@db:5432/shop?x=1, then",
                "at postgres://shop:[redacted]@db:5432/shop?x=1, then",
            ),
            ("token=ghp_0123456789abcdef", "token=[redacted]"),
            ("(eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2)", "([redacted])"),
            (
                "https://api.telegram.org/bot123456789:AAH7dT2mXw9rB4AAH7dT2mXw9rB4xxx/sendMessage",
                "[redacted]",
            ),
            (
                "https://shop.example/a@b:c and 12:30, v1.2.0 ghp_ <b>x</b>",
                "https://shop.example/a@b:c and 12:30, v1.2.0 ghp_ <b>x</b>",
            ),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }
}

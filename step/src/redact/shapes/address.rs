//! Passwords and tokens inside of addresses.

use std::ops::Range;

/// `scheme://user:password@host`: the password; and a user that is a token.
pub(super) fn passwords(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let address = until_gap(&text[start..]);
        let scheme = &text[..at];
        let web = scheme.ends_with("http") || scheme.ends_with("https");
        let Some(end) = userinfo(address, web) else { continue };
        let user = &address[..end];
        match user.split_once(':') {
            Some((name, password)) if is_token(name) && !password.is_empty() => {
                found.push(start..start + end);
            }
            Some((name, password)) if !password.is_empty() => found.push(start + name.len() + 1..start + end),
            _ if web && is_token(user.trim_end_matches(':')) => found.push(start..start + end),
            _ => {}
        }
    }
}

/// Where the @ stands that ends `user:password`. A password may hold anything, also what ends an address or an @ of its own.
fn userinfo(address: &str, web: bool) -> Option<usize> {
    let authority = address.find(['/', '?', '#']).unwrap_or(address.len());
    if let Some(at) = address[..authority].rfind('@') {
        return Some(at);
    }
    // No @ before the path: either there is no user (and the path has an @), or the password has a slash.
    let (name, rest) = address[..authority].split_once(':')?;
    let is_port = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let is_host = name.contains('.') || name.starts_with('[') || name == "localhost";
    if is_port && (web || is_host) { None } else { address.rfind('@') }
}

/// A user name is short and made of letters; what is longer and mixed is a token.
fn is_token(user: &str) -> bool {
    user.len() >= 12 && user.bytes().any(|b| b.is_ascii_digit()) && !user.contains('@')
}

/// Addresses whose path is the key: what follows these words.
const WEBHOOKS: &[&str] = &[
    "hooks.slack.com/services/",
    "hooks.slack.com/workflows/",
    "hooks.slack.com/triggers/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "webhook.office.com/webhookb2/",
    "chat.googleapis.com/v1/spaces/",
    "outlook.office.com/webhook/",
];

/// The key of a chat's webhook.
pub(super) fn webhooks(text: &str, found: &mut Vec<Range<usize>>) {
    for known in WEBHOOKS {
        for (at, _) in text.match_indices(known) {
            let start = at + known.len();
            let key = until_gap(&text[start..]);
            if !key.is_empty() {
                found.push(start..start + key.len());
            }
        }
    }
}

/// Up to white space, a quote or a bracket that cannot be part of an address.
pub(super) fn until_gap(text: &str) -> &str {
    let end = text.find(|c: char| c.is_whitespace() || c.is_control() || "\"'`<>\\".contains(c));
    &text[..end.unwrap_or(text.len())]
}

//! Passwords and tokens inside of addresses.

use std::ops::Range;

/// Schemes whose addresses hold a password as it is, also with spaces: those of databases, queues, mail and files.
const STORES: &[&str] = &[
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mssql",
    "sqlserver",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "valkey",
    "amqp",
    "amqps",
    "clickhouse",
    "cockroachdb",
    "smtp",
    "smtps",
    "imap",
    "imaps",
    "ldap",
    "ldaps",
    "ftp",
    "ftps",
    "sftp",
];

/// `scheme://user:password@host`: the password; and a user that is a token.
pub(super) fn passwords(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let scheme = scheme(&text[..at]);
        let web = matches!(scheme, "http" | "https");
        let segment = segment(&text[start..]);
        let address = until_gap(segment);
        let end = userinfo(address, web).or_else(|| odd(segment, address, STORES.contains(&scheme)));
        let Some(end) = end else { continue };
        let user = &segment[..end];
        match user.split_once(':') {
            Some((name, password)) if is_token(name) && !password.is_empty() => {
                found.push(start..start + end);
            }
            Some((name, password)) if !password.is_empty() => found.push(start + name.len() + 1..start + end),
            _ if web && is_token(user.trim_end_matches(':')) => found.push(start..start + end),
            _ => {}
        }
    }
    oracle(text, found);
}

fn scheme(before: &str) -> &str {
    let start = before.bytes().rposition(|b| !(b.is_ascii_alphanumeric() || b"+-.".contains(&b)));
    let scheme = &before[start.map_or(0, |i| i + 1)..];
    scheme.rsplit_once("jdbc:").map_or(scheme, |(_, scheme)| scheme)
}

/// Up to the end of the line, or to where the next address begins.
fn segment(rest: &str) -> &str {
    let line = rest.split('\n').next().unwrap_or_default();
    match line.find("://") {
        Some(next) => &line[..next - scheme(&line[..next]).len()],
        None => line,
    }
}

/// Where the @ stands that ends a password with quotes, brackets or (in a store's address) spaces: what goes on behind it is a host.
fn odd(segment: &str, address: &str, store: bool) -> Option<usize> {
    const LONGEST: usize = 100;
    let (name, begin) = address.split_once(':')?;
    let port = !begin.is_empty() && begin.bytes().all(|b| b.is_ascii_digit()) || begin.contains('/');
    if name.is_empty() && !store || name.contains(['/', '?', '#']) || port {
        return None;
    }
    let ends = segment.match_indices('@').map(|(at, _)| at).filter(|at| is_host(&segment[at + 1..]));
    let end = ends.min()?;
    let spaces = segment[..end].contains(char::is_whitespace);
    (end <= LONGEST && (store || !spaces)).then_some(end)
}

/// A host's name, and what may stand behind one.
fn is_host(text: &str) -> bool {
    let name = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"-._[]".contains(b)).count();
    name > 0 && text[name..].chars().next().is_none_or(|c| ":/?#\"'`,;)>".contains(c) || c.is_whitespace())
}

/// `jdbc:oracle:thin:user/password@...`.
fn oracle(text: &str, found: &mut Vec<Range<usize>>) {
    for (at, known) in text.match_indices("jdbc:oracle:") {
        let start = at + known.len();
        let address = until_gap(&text[start..]);
        let Some((user, _)) = address.split_once('@') else { continue };
        if let Some(slash) = user.find('/').filter(|slash| slash + 1 < user.len()) {
            found.push(start + slash + 1..start + user.len());
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

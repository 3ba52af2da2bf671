//! Values that a name gives away: `PASSWORD=...`, `"clientSecret": "..."`, `Authorization: ...`, `--token ...`.

use std::ops::Range;

use super::{is_placeholder, is_random};

/// How the name of a secret ends, without signs and in small letters.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "servicekey",
    "rolekey",
    "anonkey",
    "authkey",
    "masterkey",
    "accountkey",
    "fastlykey",
    "credentials",
    "webhookurl",
    "signature",
    "authcookie",
    "secretkeybase",
    "keydata",
];
/// Words of a query that are secret only there.
const QUERY: &[&str] = &["sig", "code", "hmac", "auth", "key"];
/// `pwd`, `_pass`.
const SHORTEST_NAME: usize = 3;
/// Headers whose whole value is secret.
const HEADERS: &[&str] = &["authorization", "proxyauthorization", "cookie", "setcookie"];

/// The values of names that say that they are secret.
pub(super) fn values(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        in_line(line, at, found);
        at += line.len();
    }
}

fn in_line(line: &str, offset: usize, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(i) = line[from..].find(['=', ':', ' ']).map(|i| from + i) {
        let value = match line.as_bytes()[i] {
            b' ' => behind_word(line, i),
            _ => behind_sign(line, i),
        };
        from = i + 1;
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            from = value.end.max(from);
            found.push(offset + value.start..offset + value.end);
        }
    }
}

/// The value behind the `=` or `:` at `i`, if the name before it gives it away.
fn behind_sign(line: &str, i: usize) -> Option<Range<usize>> {
    let before = line[..i].trim_end_matches(' ');
    let bare = before.trim_end_matches(['"', '\'', '\\']);
    let start =
        bare.bytes().rposition(|b| !(b.is_ascii_alphanumeric() || b"_-.".contains(&b))).map_or(0, |p| p + 1);
    let name = &bare[start..];
    if name.len() < SHORTEST_NAME {
        return None;
    }
    let plain = simple(name);
    let equals = line.as_bytes()[i] == b'=';
    if HEADERS.contains(&plain.as_str()) && !equals && !line[i + 1..].starts_with(':') {
        return header(line, i + 1);
    }
    // `==` compares, `::` is a path of a programming language.
    let other = line[i + 1..].starts_with(['=', ':']) || before.ends_with(':');
    // In an address the name is a user's.
    if other || line[..start].ends_with("://") {
        return None;
    }
    let query = line[..start].ends_with(['?', '&']);
    let (value, quoted) = value(line, i + 1, query)?;
    let word = &line[value.clone()];
    if !is_secret(name, &plain, word) {
        let sure = query && QUERY.contains(&plain.as_str()) && word.len() >= 8 && is_random(word);
        let encoded = matches!(name, "auth" | "_auth") && is_base64(word);
        return (sure || encoded).then_some(value);
    }
    let close = equals && before.len() == i && value.start == i + 1;
    let loud = !name.bytes().any(|b| b.is_ascii_lowercase()) || name.contains('-');
    let sure = quoted || bare.len() < before.len() || close || loud;
    let code = word.contains(['(', '<']) || word.contains("::");
    (!is_placeholder(word) && (sure || is_random(word) && !code)).then_some(value)
}

fn simple(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a name says that its value is secret; `PWD` is a folder, unless a connection string has it.
fn is_secret(name: &str, plain: &str, value: &str) -> bool {
    let folder =
        matches!(plain, "pwd" | "oldpwd") && (name == "PWD" || value.starts_with(['/', '~', '.', '\\']));
    is_secret_name(name) && !folder && plain != "oldpwd"
}

/// Whether a name says that its value is secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let plain = simple(name);
    let plain = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let short =
        ["_PASS", "_pass", "-pass", "Pass"].iter().any(|end| name.ends_with(end) && name.len() > end.len());
    NAMES.iter().any(|end| plain.ends_with(end)) || short
}

/// `user:password` as Docker and npm keep it.
fn is_base64(word: &str) -> bool {
    let letters = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    letters && word.len() >= 8 && word.len().is_multiple_of(4) && (word.ends_with('=') || is_random(word))
}

/// Where a value goes to: to its closing quote; to the next `&` in a query; else to white space, or to the `;` in front of another name.
pub(super) fn value(line: &str, from: usize, query: bool) -> Option<(Range<usize>, bool)> {
    let start = from + line[from..].len() - line[from..].trim_start_matches(' ').len();
    let rest = &line[start..];
    let escapes = rest.bytes().take_while(|b| *b == b'\\').count();
    if let Some(quote @ ('"' | '\'')) = rest[escapes..].chars().next() {
        let inner = start + escapes + 1;
        let end = if escapes == 0 {
            closing(&line[inner..], quote)
        } else {
            nested(&line[inner..], quote, escapes)
        };
        return Some((inner..inner + end, true));
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || "\"'`".contains(c) || (query && c == '&'))
        .unwrap_or(rest.len());
    let end = rest[..end]
        .match_indices(';')
        .find(|(p, _)| *p + 1 == end || is_assignment(&rest[p + 1..end]))
        .map_or(end, |(p, _)| p);
    let trimmed = rest[..end].trim_end_matches([',', ')', '}', ']']).len();
    Some((start..start + trimmed, false))
}

/// Where the quote is closed, over escaped ones; a backslash in front of it belongs to it.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            c if c == quote && !escaped => return i,
            // JSON inside of JSON closes with \".
            c if c == quote && text[i + 1..].starts_with([',', '}', ']', ' ', ':']) => return i - 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.trim_end().len()
}

/// Where a quote with that many backslashes before it closes: with as many.
fn nested(text: &str, quote: char, escapes: usize) -> usize {
    let run = |at: usize| text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
    let closes = text.match_indices(quote).map(|(at, _)| at).find(|at| run(*at) <= escapes);
    closes.map_or(text.trim_end().len(), |at| at - run(at))
}

fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// The value of a header: what stands behind the scheme, to the end of the line or the closing quote. In a sentence about headers no
/// value stands there.
fn header(line: &str, from: usize) -> Option<Range<usize>> {
    let rest = &line[from..];
    let start = from + rest.len() - rest.trim_start_matches([' ', '"', '\\']).len();
    let rest = &line[start..];
    let end = start + rest.find(['"', '\'', '`', '\r', '\n']).unwrap_or(rest.len());
    let scheme = ["bearer ", "basic ", "token ", "digest ", "apikey "]
        .iter()
        .find(|scheme| line.get(start..start + scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)));
    let value = start + scheme.map_or(0, |scheme| scheme.len())..end;
    let text = line[value.clone()].trim_end();
    let first = text.split([' ', ';', ',']).next().unwrap_or_default();
    let meant = is_random(first) || first.contains('=') || (text == first && !text.is_empty());
    (meant && !is_placeholder(text)).then_some(value)
}

/// The value behind the space at `i`: of `Bearer`, of an option, of SQL's `password '...'`.
fn behind_word(line: &str, i: usize) -> Option<Range<usize>> {
    let start = line.as_bytes()[..i].iter().rposition(|b| b" \t\"'`(,;:=".contains(b)).map_or(0, |p| p + 1);
    let word = &line[start..i];
    if !word.starts_with('-') && !WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)) {
        return None;
    }
    let (value, quoted) = value(line, i, false)?;
    let text = &line[value.clone()];
    if is_placeholder(text) {
        return None;
    }
    let plain = simple(word);
    let secret = match plain.as_str() {
        "bearer" => is_random(text),
        "basic" => text.len() >= 8 && text.contains(|c: char| c.is_ascii_digit() || c == '='),
        "password" if quoted => true,
        "by" => quoted && line[..start].to_ascii_lowercase().trim_end().ends_with("identified"),
        "password" if !word.starts_with('-') => line[..start].contains("login "),
        "u" | "user" => return user(text, value.start),
        _ => {
            is_secret(word, &plain, text)
                && word.starts_with("--")
                && (is_random(text) || text.len() >= 12 || quoted)
                && !text.starts_with('-')
        }
    };
    secret.then_some(value)
}

/// Words behind which a secret may stand.
const WORDS: &[&str] = &["bearer", "basic", "password", "by"];

/// curl's `-u name:password`.
fn user(text: &str, at: usize) -> Option<Range<usize>> {
    let (name, password) = text.split_once(':')?;
    (!password.is_empty()).then(|| at + name.len() + 1..at + text.len())
}

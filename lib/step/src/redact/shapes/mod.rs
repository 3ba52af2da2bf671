//! Secrets of others, known by their shape: what a log, an answer or an error of somebody else's program may hold although this process has
//! never loaded it. Where text leaves for people, it goes through here.
//!
//! A rule says which part of a text to mask, and leaves what helps to understand it: the name, the user, the host. What is
//! only perhaps a secret (a word behind `token:` in a sentence) must look like one.

mod address;
mod command;
mod named;
mod pairs;
#[cfg(test)]
mod probes;
mod token;

use std::ops::Range;

use serde_json::Value;

use super::{masked, merged, redact};

/// A rule adds the places of what it takes for secrets.
type Rule = fn(&str, &mut Vec<Range<usize>>);

const RULES: [Rule; 8] = [
    address::passwords,
    address::webhooks,
    token::tokens,
    token::keys,
    token::hashes,
    named::values,
    pairs::values,
    command::lines,
];

/// The text without loaded secrets, and without what has the shape of a secret: passwords in addresses, tokens of well-known services,
/// private keys, values of `PASSWORD=` and of headers such as `Authorization`. Its lines stay as many as they are.
pub fn scrub(text: &str) -> String {
    let text = redact(text);
    let mut found = Vec::new();
    for rule in RULES {
        rule(&text, &mut found);
    }
    if found.is_empty() { text } else { masked(&text, &merged(&text, found)) }
}

/// Applies [`scrub`] to every string of a value.
pub fn scrub_value(value: &mut Value) {
    match value {
        Value::String(text) => *text = scrub(text),
        Value::Array(items) => items.iter_mut().for_each(scrub_value),
        Value::Object(map) => map.values_mut().for_each(scrub_value),
        _ => {}
    }
}

/// Whether letters and digits (or signs) are mixed as in a key, and not as in a word.
fn is_random(word: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| word.bytes().any(|b| kind(&b));
    let letters = has(u8::is_ascii_alphabetic);
    word.len() >= 6 && letters && has(u8::is_ascii_digit)
        || word.len() >= 16 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
        || word.len() >= 24
}

/// What stands for a value instead of it: a variable, a mask, a word that says that there is none.
fn is_placeholder(value: &str) -> bool {
    const NONE: &[&str] = &[
        "true",
        "false",
        "null",
        "none",
        "nil",
        "undefined",
        "yes",
        "no",
        "empty",
        "unset",
        "missing",
        "redacted",
        "hidden",
    ];
    let bare = value.trim_matches(|c: char| !c.is_alphanumeric());
    const VARIABLES: &[&str] = &["process.env", "os.environ", "env.", "ENV[", "secrets.", "vars."];
    value.starts_with(['$', '<', '{', '*', '[', '%', '('])
        || VARIABLES.iter().any(|source| value.starts_with(source))
        || value.len() < 4
        || NONE.contains(&bare.to_ascii_lowercase().as_str())
        || bare.is_empty()
        || (value.len() < 6 && value.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as it came, and as it is shown.
    const MASKED: &[(&str, &str)] = &[
        (
            "at postgres://shop:hunter2@db:5432/shop?x=1, then",
            "at postgres://shop:[redacted]@db:5432/shop?x=1, then",
        ),
        ("postgres://shop:hun,ter@db/x", "postgres://shop:[redacted]@db/x"),
        ("postgres://shop:p;(x@db/x", "postgres://shop:[redacted]@db/x"),
        ("'postgres://shop:p@ss:w@db/x'", "'postgres://shop:[redacted]@db/x'"),
        ("postgres://shop:pa/ss?w#d@db/x", "postgres://shop:[redacted]@db/x"),
        ("redis://:hunter2@cache:6379", "redis://:[redacted]@cache:6379"),
        ("git clone https://ghp_0123456789abcdef@github.com/x", "git clone https://[redacted]@github.com/x"),
        ("https://ghp_0123456789abcdef:x-oauth-basic@github.com/x", "https://[redacted]@github.com/x"),
        ("https://oauth2:tok-en@git.example/a/b.git x", "https://oauth2:[redacted]@git.example/a/b.git x"),
        ("token=ghp_0123456789abcdef", "token=[redacted]"),
        ("(eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2)", "([redacted])"),
        (
            "https://api.telegram.org/bot123456789:AAH7dT2mXw9rB4AAH7dT2mXw9rB4xxx/sendMessage",
            "https://api.telegram.org/bot[redacted]/sendMessage",
        ),
        (
            "POST https://hooks.slack.com/services/T0/B0/abcdefabcdef 404",
            "POST https://hooks.slack.com/services/[redacted] 404",
        ),
        (
            "https://discord.com/api/webhooks/123/abc-def_ghi?wait=true",
            "https://discord.com/api/webhooks/[redacted]",
        ),
        ("key AKIAIOSFODNN7EXAMPLE is", "key [redacted] is"),
        ("7|abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH said", "[redacted] said"),
        ("Authorization: Bearer abc123", "Authorization: Bearer [redacted]"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [redacted]"),
        ("> Bearer abcdef.ghi123", "> Bearer [redacted]"),
        ("X-Api-Key: abcdefgh", "X-Api-Key: [redacted]"),
        ("Cookie: session=abc; theme=dark", "Cookie: [redacted]"),
        ("DB_PASSWORD=correct", "DB_PASSWORD=[redacted]"),
        ("export PGPASSWORD='two words' x", "export PGPASSWORD='[redacted]' x"),
        ("DB_PASSWORD: correcthorse", "DB_PASSWORD: [redacted]"),
        ("password: hunter2x", "password: [redacted]"),
        (r#"{"clientSecret":"abcd","a":1}"#, r#"{"clientSecret":"[redacted]","a":1}"#),
        (r#"{\"password\": \"abcd\", \"a\": 1}"#, r#"{\"password\": \"[redacted]\", \"a\": 1}"#),
        ("Server=db;User=sa;Password=p,wd;Database=x", "Server=db;User=sa;Password=[redacted];Database=x"),
        ("GET /x?access_token=abcd1234&page=2", "GET /x?access_token=[redacted]&page=2"),
        ("alter role shop password 'hunter2'", "alter role shop password '[redacted]'"),
        ("deploy --token abc123def --env x", "deploy --token [redacted] --env x"),
        ("curl -u admin:hunter2 https://x", "curl -u admin:[redacted] https://x"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\nafter",
            "[redacted]\n[redacted]\n[redacted]\nafter",
        ),
        ("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz", "[redacted]"),
        ("KEY=b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz", "KEY=[redacted]"),
        ("//registry.example/:_authToken=abcdef", "//registry.example/:_authToken=[redacted]"),
    ];

    const ORDINARY: &[&str] = &[
        "see https://shop.example/a@b and https://shop.example:8080/a@b:c",
        "git@github.com:acme/shop.git, ssh://git@host/x, mailto:a@b.example",
        "12:30, v1.2.0 ghp_ <b>x</b>",
        "invalid token: unexpected end of input",
        "error: token = getToken(); if (token == null) return",
        "password authentication failed for user \"shop\"",
        "max_tokens=100 token_count: 3 tokens=5 pass=12 fail=0",
        "PWD=/home/shop/app OLDPWD=/tmp",
        "use --token or --token-file, --password-file FILE",
        "DB_PASSWORD=$DB_PASSWORD TOKEN=${{ secrets.TOKEN }} SECRET=*** PASSWORD_FILE=/run/x",
        "bearer authentication is required; Basic Authentication",
        "sha256:9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c9f2c41d07ab39f2c41d07ab3",
        "commit 9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c",
        "\"integrity\": \"sha512-2JAn3z8AR6rjK8Sm8orRC0h/bcl/DqL7tRPdGZ4I1CjdF+EaMLmYxBHyXuKL849eucPFhvBoxMsflfOb8kxaeQ==\"",
        "SHA256:uNiVztksCsDhcc0u9e8BrZgDmq3xqPjBTQ8KCQ7cxvQ ops@host (ED25519)",
        "./node_modules/.pnpm/next@15.1.0_react-dom@19.0.0_react@19.0.0__react@19.0.0/node_modules/next/dist/server/lib",
        "static/chunks/4bd1b696-b9a4c1a4ae8a0f66.js 53.2 kB",
        "CancellationToken::run_until_cancelled, Cookie::build(\"foo\"), const SERVER: Token = Token(0); x: init::InitToken = init();",
        "password: process.env.DB_PASS, 'API-Key': process.env.DATA_API_KEY",
        "the secret: keep it simple",
        "secrets: 4 masked",
    ];

    #[test]
    fn what_has_the_shape_of_a_secret_is_masked_and_nothing_else() {
        for (text, shown) in MASKED {
            assert_eq!(scrub(text), *shown, "{text}");
        }
    }

    #[test]
    fn ordinary_text_stays() {
        for text in ORDINARY {
            assert_eq!(scrub(text), *text);
        }
    }
}

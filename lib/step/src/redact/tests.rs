//! Every form of a secret against the finder, and what the redactor leaves alone.

use super::*;
use base64::prelude::*;
use proptest::prelude::*;

/// A finder of its own: the process-wide one is shared by all tests.
fn clean(secrets: &[&str], text: &str) -> String {
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    let finder = Finder::new(&secrets).expect("built");
    masked(text, &finder.find(text))
}

fn json(text: &str) -> String {
    Value::from(text).to_string()
}

fn percent(text: &str, keep: &str) -> String {
    let byte = |b: u8| {
        if keep.contains(char::from(b)) || b.is_ascii_alphanumeric() {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// printf %q, and ${x@Q} of what has a control character.
fn shell_by_signs(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") }).collect()
}

/// Every encoding of the list, by its number.
fn encoded(text: &str, way: usize) -> String {
    match way {
        0 => text.to_owned(),
        1 => percent(text, "-_.~"),
        2 => percent(text, "-_.!~*'()").to_lowercase().replace("%20", "+"),
        3 => text.bytes().map(|b| format!("%{b:02x}")).collect(),
        4 => json(text),
        5 => json(&json(text)),
        6 => text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        7 => html(text),
        8 => text.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect(),
        9 => shell(text),
        10 => shell_by_signs(text),
        11 => text.bytes().map(|b| format!("\\x{b:02x}")).collect(),
        12 => text.bytes().map(|b| format!("\\{b:03o}")).collect(),
        13 => html(&json(&percent(text, "-_.~"))),
        14 => percent(&percent(text, ""), ""),
        15 => text.chars().flat_map(|c| [c.to_string(), "\n".into()]).collect(),
        16 => text.chars().map(|c| format!("\u{1b}[01;31m{c}\u{1b}[m")).collect(),
        17 => text.replace('\'', "\"'\"'\""),
        _ => unreachable!("there are {WAYS} ways"),
    }
}
const WAYS: usize = 18;

/// The second way writes letters in small, which is right only for what has none in capitals; a line end inside of what looks like an
/// escape in the secret itself is the one thing that is not found.
fn fits(secret: &str, way: usize) -> bool {
    match way {
        2 => secret.to_lowercase() == secret,
        15 | 16 => !secret.contains(['%', '&', '\\']),
        _ => true,
    }
}

#[test]
fn every_form_of_a_secret_is_masked() {
    for secret in [
        "17^Kq3_z/x+9%41&\"'\\n<>",
        "s3cret pass word",
        "Grüße-aus-Banda!",
        "aaaaaaaa",
        "%2541%25&amp;\\u0041-x",
    ] {
        for way in (0..WAYS).filter(|way| fits(secret, *way)) {
            let text = format!("it said {} and ended", encoded(secret, way));
            let shown = clean(&[secret], &text);
            let plain = shown.replace(MASK, "").replace(['\n', '\'', '"', '\\'], "");
            let rest = plain.strip_prefix("it said ").and_then(|t| t.strip_suffix(" and ended"));
            // Colours around the word and a pair of entities for quotes may stay; nothing of the secret may.
            let rest =
                rest.map(|r| r.replace("\u{1b}[01;31m", "").replace("\u{1b}[m", "").replace("&quot;", ""));
            assert_eq!(rest.as_deref(), Some(""), "{secret} in way {way}: {text} is shown as {shown}");
        }
    }
}

#[test]
fn base64_and_hex_are_masked_at_each_offset() {
    let secret = "17^Kq3_z/x+9%41&\"~~??>>";
    for before in ["", "a", "ab", "abc", "user:", "\u{ff}"] {
        for after in ["", "z", "zz", "zzz"] {
            let whole = format!("{before}{secret}{after}");
            for text in [
                BASE64_STANDARD.encode(&whole),
                BASE64_STANDARD_NO_PAD.encode(&whole),
                BASE64_URL_SAFE.encode(&whole),
                BASE64_URL_SAFE_NO_PAD.encode(&whole),
                percent(&BASE64_STANDARD.encode(&whole), ""),
                json(&format!("{}\n", BASE64_STANDARD.encode(&whole))),
            ] {
                let shown = clean(&[secret], &format!("Authorization: Basic {text} x"));
                let left = shown.replace(MASK, "").replace("Authorization: Basic ", "");
                assert!(
                    shown.contains(MASK) && left.len() < 10 + before.len() * 2 + after.len() * 2,
                    "{whole}: {text} is shown as {shown}"
                );
            }
            for between in ["", ":", " "] {
                let hex: Vec<String> = whole.bytes().map(|b| format!("{b:02x}")).collect();
                let hex = hex.join(between);
                let shown = clean(&[secret], &hex);
                assert!(
                    shown.contains(MASK) && !shown.contains(&hex[hex.len() / 3..hex.len() / 2]),
                    "{hex}: {shown}"
                );
                assert!(clean(&[secret], &hex.to_uppercase()).contains(MASK), "{hex}");
            }
        }
    }
}

#[test]
fn secrets_that_overlap_are_masked_as_a_whole() {
    assert_eq!(clean(&["abcdefghijkl", "ijklmnopqrst"], "x abcdefghijklmnopqrst y"), "x [redacted] y");
}

#[test]
fn the_rest_of_a_text_is_not_touched() {
    let text = "100% of \"it's\" a\\b &amp; c+d %41 \u{1b}[1mbold\u{1b}[0m\n";
    assert_eq!(
        clean(&["canary-abcdefgh"], &format!("{text}canary%2dabcdefgh{text}")),
        format!("{text}[redacted]{text}")
    );
}

#[test]
fn values_are_clean_in_strings_names_numbers_and_over_lines() {
    remember("17|canary-abcdefgh");
    remember("9182736455");
    remember("short");
    assert_eq!(redact("Bearer 17|canary-abcdefgh"), "Bearer [redacted]");
    let mut value = serde_json::json!({
        "a": ["x canary-abcdefgh y", 1], "b": "short", "canary-abcdefgh": 9_182_736_455_u64, "c": ["begins canary-ab", "cdefgh ends", "z"]
    });
    assert!(redact_value(&mut value));
    let clean = serde_json::json!({
        "a": ["x [redacted] y", 1], "b": "short", "[redacted]": "[redacted]", "c": ["begins [redacted]", "[redacted] ends", "z"]
    });
    assert_eq!(value, clean);
}

#[test]
fn a_secret_that_is_cut_off_is_masked() {
    remember("cut-canary-abcdefgh");
    for (text, shown) in [
        ("x cut-canary-abcd", "x [redacted]"),
        ("x cut%2Dcanary%2", "x [redacted]"),
        ("x cut", "x cut"),
        ("x cut-canary-abcdefgh", "x [redacted]"),
    ] {
        assert_eq!(redact_cut(text), shown);
    }
}

#[test]
fn lines_that_come_one_by_one_are_held_back_while_they_may_begin_a_secret() {
    remember("line-canary-abcdefgh");
    let mut lines = Lines::default();
    let mut push = |text: &str| lines.push([text.to_owned()]);
    assert_eq!(push("plain"), ["plain"]);
    assert!(push("it is line-can").is_empty());
    assert_eq!(push("ary-abcdefgh, you see."), ["it is [redacted]", "[redacted], you see."]);
    assert!(push("another li").is_empty());
    assert_eq!(push("ghthouse."), ["another li", "ghthouse."]);
    assert!(push("the last li").is_empty());
    assert_eq!(lines.finish(), ["the last li"]);
}

proptest! {
    /// Whatever a secret consists of, nothing of it is left in any form, and what stands around it is.
    #[test]
    fn no_form_of_any_secret_is_left(secret in "[ -~äß]{8,40}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}", way in 0..WAYS) {
        prop_assume!(fits(&secret, way) && fold::folded(secret.as_bytes()).len() >= forms::SHORTEST && secret.trim() == secret);
        let text = format!("{before}@{}@{after}", encoded(&secret, way));
        let shown = clean(&[&secret], &text);
        prop_assert!(shown.contains(MASK), "{text} is shown as {shown}");
        prop_assert!(shown.starts_with(&before) && shown.ends_with(&after), "{text} is shown as {shown}");
    }

    /// No text at all makes a search stumble.
    #[test]
    fn no_text_is_too_odd(text in "([%&\\\\+'\"a1;#x\u{1b}\\[\n]|canary-abcdefgh|ä){0,60}") {
        let shown = clean(&["canary-abcdefgh"], &text);
        prop_assert!(!shown.contains("canary-abcdefgh"));
        scrub(&text);
        redact_cut(&text);
    }
}

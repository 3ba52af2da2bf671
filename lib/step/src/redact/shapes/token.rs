//! Tokens of well-known services, private keys, and long keys of any kind.

use std::ops::Range;

/// How a service's tokens begin, and how many letters follow at least. From the services' own documentation on their formats.
const PREFIXES: &[(&str, usize)] = &[
    ("ghp_", 10), // GitHub
    ("gho_", 10),
    ("ghu_", 10),
    ("ghs_", 10),
    ("ghr_", 10),
    ("github_pat_", 10),
    ("glpat-", 10), // GitLab
    ("gldt-", 10),
    ("glrt-", 10),
    ("glcbt-", 10),
    ("glptt-", 10),
    ("gloas-", 10),
    ("glsoat-", 10),
    ("glft-", 10),
    ("xoxb-", 8), // Slack
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xoxe-", 8),
    ("xoxe.", 8),
    ("xapp-", 8),
    ("sk_live_", 8), // Stripe and kin
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8),
    ("sbp_", 10), // Supabase
    ("sb_secret_", 8),
    ("npm_", 20),
    ("pypi-", 20),
    ("dckr_pat_", 8),
    ("dckr_oat_", 8),
    ("hf_", 20),
    ("sk-ant-", 10),
    ("sk-proj-", 10),
    ("AIza", 30), // Google
    ("ya29.", 10),
    ("GOCSPX-", 10),
    ("SG.", 30), // SendGrid
    ("shpat_", 10),
    ("dop_v1_", 10),
    ("lin_api_", 10),
    ("plane_api_", 8),
    ("PMAK-", 10),
    ("figd_", 10),
    ("glsa_", 10), // Grafana
    ("glc_", 20),
    ("hvs.", 10), // Vault
    ("hvb.", 10),
    ("dp.st.", 10),
    ("dp.pt.", 10),
    ("sntrys_", 10),
    ("pscale_pw_", 10),
    ("pscale_tkn_", 10),
    ("fm2_", 20),
    ("tk_", 29), // ntfy
    ("AGE-SECRET-KEY-1", 10),
];

/// The shortest token.
const SHORTEST: usize = 12;

/// Tokens that are known by how they begin, or by how they are built.
pub(super) fn tokens(text: &str, found: &mut Vec<Range<usize>>) {
    for range in words(text, |b| b.is_ascii_alphanumeric() || b"_-.~+/=:|".contains(&b)) {
        let word = &text[range.clone()];
        if word.len() < SHORTEST {
            continue;
        }
        for (start, part) in starts(word) {
            if let Some(length) = token(part) {
                found.push(range.start + start..range.start + start + length);
                break;
            }
        }
    }
}

/// The word, and what begins behind a sign in it or behind Telegram's `bot`.
fn starts(word: &str) -> impl Iterator<Item = (usize, &str)> {
    let behind = word.bytes().enumerate().filter(|(_, b)| b"/=:|+".contains(b)).map(|(i, _)| i + 1);
    let bots = word
        .match_indices("bot")
        .map(|(i, _)| i + 3)
        .filter(|i| word[*i..].starts_with(|c: char| c.is_ascii_digit()));
    std::iter::once(0).chain(behind).chain(bots).map(|i| (i, &word[i..]))
}

/// The length of the token that this begins with.
fn token(part: &str) -> Option<usize> {
    let first = *part.as_bytes().first()?;
    let known =
        PREFIXES.iter().filter(|(prefix, _)| prefix.as_bytes()[0] == first).find_map(|(prefix, least)| {
            let text = part.strip_prefix(prefix)?;
            let rest = length(text, b"_-.=");
            // A name of several words begins like a token now and then; a token has a digit or capitals.
            let mixed = text[..rest].bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
            (rest >= *least && mixed).then_some(prefix.len() + rest)
        });
    let built = [aws, jwt, discord, numbered, twilio, proxmox];
    known.or_else(|| built.iter().find_map(|rule| rule(part)))
}

/// `SK` and 32 hex digits.
fn twilio(part: &str) -> Option<usize> {
    let digits = part.strip_prefix("SK")?;
    let hex = digits.bytes().take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)).count();
    (hex == 32 && length(digits, b"_-") == 32).then_some(34)
}

/// A ticket of Proxmox: `PVE:user@realm:time::signature`; words end at the @, so this is what is behind it.
fn proxmox(part: &str) -> Option<usize> {
    let (time, signature) = part.split_once("::")?;
    let time = time.rsplit(':').next()?;
    let hex = time.len() == 8 && time.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase());
    (hex && length(signature, b"+/=") >= 40).then_some(part.len())
}

/// Hashes of passwords, which can be guessed at leisure: bcrypt, crypt, Argon2, PostgreSQL's SCRAM.
const HASHES: &[&str] = &[
    "$2a$",
    "$2b$",
    "$2y$",
    "$1$",
    "$5$",
    "$6$",
    "$y$",
    "$apr1$",
    "$argon2i$",
    "$argon2id$",
    "SCRAM-SHA-256$",
];

/// Hashes of passwords.
pub(super) fn hashes(text: &str, found: &mut Vec<Range<usize>>) {
    for known in HASHES {
        for (at, _) in text.match_indices(known) {
            let signs: &[u8] = if known.starts_with("SCRAM") { b"$./+=:-" } else { b"$./+=,_-" };
            let whole = length(&text[at..], signs);
            if whole >= known.len() + 20 {
                found.push(at..at + whole);
            }
        }
    }
}

/// How many letters, digits and signs of these there are.
fn length(text: &str, signs: &[u8]) -> usize {
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || signs.contains(b)).count()
}

fn aws(part: &str) -> Option<usize> {
    let known = ["AKIA", "ASIA", "ABIA", "ACCA"].iter().any(|prefix| part.starts_with(prefix));
    (known && length(part, b"") == 20 && !part[..20].bytes().any(|b| b.is_ascii_lowercase())).then_some(20)
}

/// Three parts of base64url, the first of which is a JSON object.
fn jwt(part: &str) -> Option<usize> {
    let whole = part.starts_with("eyJ").then(|| length(part, b"_-.="))?;
    let parts: Vec<&str> = part[..whole].trim_end_matches('.').split('.').collect();
    (parts.len() >= 3 && parts.iter().all(|p| p.len() >= 8)).then_some(whole)
}

/// A Discord bot's: its id in base64, a time, a signature.
fn discord(part: &str) -> Option<usize> {
    let whole = part.starts_with(['M', 'N', 'O']).then(|| length(part, b"_-."))?;
    let lengths: Vec<usize> = part[..whole].split('.').map(str::len).collect();
    matches!(lengths[..], [id, 6, signature] if (23..=28).contains(&id) && signature >= 27).then_some(whole)
}

/// `id:key` as Telegram has it, `id|key` as Coolify has it.
fn numbered(part: &str) -> Option<usize> {
    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
    let sign = part.as_bytes().get(digits)?;
    let key = length(&part[digits + 1..], b"_-");
    let fits = match sign {
        b':' => digits >= 6 && key >= 30,
        b'|' => digits >= 1 && key >= 40,
        _ => false,
    };
    fits.then_some(digits + 1 + key)
}

/// Private keys, from their first line to their last (or to the end), and long runs of base64.
pub(super) fn keys(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(begin) = text[at..].find("-----BEGIN ").map(|i| at + i) {
        let title = text[begin..].split('\n').next().unwrap_or_default();
        at = begin + "-----BEGIN ".len();
        if title.contains("PRIVATE KEY") {
            let last = text[at..].find("-----END ").map(|i| at + i);
            let end =
                last.and_then(|i| text[i + 5..].find("-----").map(|j| i + 5 + j + 5)).unwrap_or(text.len());
            found.push(begin..end);
            at = end;
        }
    }
    let public = public(text);
    for range in words(text, |b| b.is_ascii_alphanumeric() || b"+/=_-:.@".contains(&b)) {
        let word = &text[range.clone()];
        if word.len() < KEY || public.iter().any(|p| p.contains(&range.start)) {
            continue;
        }
        let from = word.trim_end_matches('=').rfind(['=', ':']).map_or(0, |i| i + 1);
        // In an address the slash ends a word; in base64 it is a letter.
        let end = if word.contains("//") {
            word[from..].find('/').map_or(word.len(), |i| from + i)
        } else {
            word.len()
        };
        if is_key(&word[from..end]) && !is_digest(&word[..from]) {
            found.push(range.start + from..range.start + end);
        }
    }
}

/// Certificates and public keys, which are for everybody.
fn public(text: &str) -> Vec<Range<usize>> {
    let begins = text.match_indices("-----BEGIN ").map(|(at, _)| at).filter(|at| {
        let title = text[*at..].split('\n').next().unwrap_or_default();
        ["CERTIFICATE", "PUBLIC KEY", "SIGNATURE"].iter().any(|word| title.contains(word))
    });
    begins.map(|at| at..text[at + 11..].find("-----END ").map_or(text.len(), |end| at + 11 + end)).collect()
}

/// The shortest long key.
const KEY: usize = 40;

/// A long run of base64 with both cases and digits. Digests are hex and stay; paths and names have other signs, or few digits.
fn is_key(word: &str) -> bool {
    let count = |kind: fn(&u8) -> bool| word.bytes().filter(kind).count();
    word.len() >= KEY
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b))
        && count(u8::is_ascii_uppercase) >= 5
        && count(u8::is_ascii_lowercase) >= 5
        && count(u8::is_ascii_digit) >= 3
        && word.matches(['/', '-', '_']).count() * 10 <= word.len()
        && !is_digest(word)
}

/// `sha512-...` of a lock file, `SHA256:...` of a public key.
fn is_digest(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["sha1-", "sha256-", "sha384-", "sha512-", "sha256:", "sha512:", "md5:"]
        .iter()
        .any(|d| word.starts_with(d) || word.ends_with(d))
}

/// The longest runs of these bytes.
fn words(text: &str, belongs: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (i, b) in text.bytes().chain([b' ']).enumerate() {
        match (belongs(b), start) {
            (true, None) => start = Some(i),
            (false, Some(from)) => {
                words.push(from..i);
                start = None;
            }
            _ => {}
        }
    }
    words
}

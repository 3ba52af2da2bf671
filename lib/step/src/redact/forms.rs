//! What to look for once a secret is known: itself, the parts of it that are as good as the whole, and the shapes that an encoder
//! gives it. Escapes need no forms of their own: see `fold`.

/// Shorter ones would be found inside ordinary words.
pub(super) const SHORTEST: usize = 8;
/// A path or a query of an address, and a line of a key, is a secret of its own from this length on.
const LONG: usize = 16;

/// The secret, and what a program that prints only a part of it would betray: the second half of `id|secret`, the password inside an
/// address or a connection string, the path of a webhook, each line of a key. The longest first.
pub(super) fn parts(secret: &str) -> Vec<String> {
    let mut parts = atoms(secret);
    parts.extend([secret.to_owned(), secret.trim().to_owned()]);
    ordered(parts)
}

/// The parts without which the secret is worth nothing. Whoever encodes the whole encodes these too, so that only they are
/// looked for in every form.
pub(super) fn atoms(secret: &str) -> Vec<String> {
    let trimmed = secret.trim();
    let mut atoms = Vec::new();
    // Tokens such as `id|secret` and `id:secret`.
    if let Some((scheme, rest)) = trimmed.split_once("://") {
        atoms.extend(of_address(scheme, rest));
    } else if trimmed.contains('\n') {
        let key =
            trimmed.lines().map(str::trim).filter(|line| line.len() >= LONG && !line.starts_with("-----"));
        atoms.extend(key.map(str::to_owned));
    } else if let Some(password) = of_connection_string(trimmed) {
        atoms.push(password);
    } else if let Some((id, rest)) = trimmed.split_once(['|', ':']) {
        // The first half is a number or a name; a long one may be a key's name, which is worth hiding too.
        atoms.extend(
            [id, rest].into_iter().filter(|half| half.len() >= LONG || *half == rest).map(str::to_owned),
        );
    }
    let decoded: Vec<String> = atoms.iter().filter_map(|atom| percent_decoded(atom)).collect();
    atoms.extend(decoded);
    let atoms = ordered(atoms);
    if atoms.is_empty() { ordered(vec![trimmed.to_owned()]) } else { atoms }
}

fn ordered(mut parts: Vec<String>) -> Vec<String> {
    parts.retain(|part| part.len() >= SHORTEST);
    parts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    parts.dedup();
    parts
}

/// `user:password@host/path?query` of an address.
fn of_address(scheme: &str, rest: &str) -> Vec<String> {
    let mut atoms = Vec::new();
    let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    // A password that is the user's name hides nothing, and the name stands everywhere.
    if let Some((_, password)) = user.split_once(':').filter(|(name, password)| name != password) {
        atoms.extend([user.to_owned(), password.to_owned()]);
    }
    // A webhook's path is its key; a database's is its name.
    if let Some(slash) = place.find('/').filter(|_| scheme.starts_with("http")) {
        let path = &place[slash..];
        let keys: Vec<&str> = path.split(['/', '?', '&', '=', '#']).filter(|word| is_key(word)).collect();
        let whole = (keys.is_empty() && path.len() >= LONG).then_some(path);
        atoms.extend(keys.into_iter().chain(whole).map(str::to_owned));
    }
    atoms
}

/// Whether a part of a path is a key and no name, such as the product's, that stands elsewhere too.
fn is_key(word: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| word.bytes().any(|b| kind(&b));
    let mixed = has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    word.len() >= LONG && (mixed || word.len() >= 24 && !word.contains(['-', '_']))
}

/// `host=db password=secret`, quoted or not.
fn of_connection_string(secret: &str) -> Option<String> {
    let (_, value) = secret.split_once("password=")?;
    let value = match value.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next(),
        None => value.split_whitespace().next(),
    };
    value.map(str::to_owned)
}

fn percent_decoded(part: &str) -> Option<String> {
    if !part.contains('%') {
        return None;
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|_| *first == b'%').and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// Base64 and hex of these bytes, wherever they begin in what was encoded: without the letters that depend on what stands around.
pub(super) fn encoded(bytes: &[u8]) -> Vec<String> {
    let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    // As printf, openssl and od write it.
    let mut forms: Vec<String> = ["", ":", " "].iter().map(|between| hex.join(between)).collect();
    forms.extend(forms.clone().iter().map(|form| form.to_uppercase()));
    for before in 0..3 {
        let core = base64_core(bytes, before);
        forms.push(core.replace('+', "-").replace('/', "_"));
        forms.push(core);
    }
    forms.sort();
    forms.dedup();
    forms
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The letters that only these bytes decide, when `before` bytes stand in front of them in their group of three.
fn base64_core(bytes: &[u8], before: usize) -> String {
    let bit = |at: usize| at.checked_sub(before * 8).map(|at| (bytes[at / 8] >> (7 - at % 8)) & 1);
    let end = (before + bytes.len()) * 8;
    let first = (before * 8).div_ceil(6);
    let letter = |group: usize| {
        let value = (group * 6..group * 6 + 6).fold(0, |sum, at| (sum << 1) | bit(at).unwrap_or_default());
        char::from(BASE64[usize::from(value)])
    };
    (first..end / 6).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_as_good_as_the_whole_are_known() {
        let long = "abcdefghij0123456789";
        for (secret, part) in [
            ("17|canary-abcdefgh", "canary-abcdefgh"),
            ("1234567:canary-abcdefgh", "canary-abcdefgh"),
            ("postgres://shop:s%3Ccr%2Ft-pass@db:5432/shop", "s%3Ccr%2Ft-pass"),
            ("postgres://shop:s%3Ccr%2Ft-pass@db:5432/shop", "s<cr/t-pass"),
            ("host=db user=shop password=hunter2hunter2 dbname=shop", "hunter2hunter2"),
            ("host=db password='hunter2 hunter2' dbname=shop", "hunter2 hunter2"),
            ("https://hooks.example/services/T0/B0/abcdefghij0123456789", long),
            ("https://hooks.example/services/T0/B0/abcdefgh", "/services/T0/B0/abcdefgh"),
            ("https://hooks.example/in?key=abcdefghij0123456789", long),
            ("-----BEGIN KEY-----\nabcdefghij0123456789\nshort\n-----END KEY-----\n", long),
        ] {
            assert!(parts(secret).iter().any(|p| p == part), "{secret}: {:?}", parts(secret));
        }
    }

    #[test]
    fn ordinary_words_are_no_parts() {
        for (secret, word) in [
            ("postgres://postgres:hunter2hunter2@database.example/production", "postgres"),
            ("postgres://postgres:hunter2hunter2@database.example/production", "/production"),
            ("https://hooks.example/services/T0/B0/abcdefghij0123456789", "services"),
            ("17|canary-abcdefgh", "17"),
            ("postgres://postgres:postgres@localhost/shop", "postgres"),
            (
                "https://ntfy.example/aceh-commerce-production/abcdefghij0123456789",
                "aceh-commerce-production",
            ),
        ] {
            assert!(!parts(secret).iter().any(|p| p == word), "{secret}: {:?}", parts(secret));
        }
    }

    #[test]
    fn base64_is_known_at_each_offset() {
        // What is common to the encodings of foobar behind zeros, and behind and before ones.
        assert_eq!(base64_core(b"foobar", 0), "Zm9vYmFy"); // Zm9vYmFy, Zm9vYmFy/w==
        assert_eq!(base64_core(b"foobar", 1), "Zvb2Jhc"); // AGZvb2Jhcg==, /2Zvb2Jhcv8=
        assert_eq!(base64_core(b"foobar", 2), "mb29iYX"); // AABmb29iYXI=, //9mb29iYXL/
    }
}

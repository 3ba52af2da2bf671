//! A text without what does not tell it from another: escapes are decoded, and blanks, quotes and what nobody sees are left out, in lower case. Each
//! byte knows where it came from. It only serves to find something, and is never shown.

use std::ops::Range;

/// So many times one escape may stand inside another.
const DEPTH: usize = 3;

#[derive(Clone, Debug)]
pub struct Unfolded {
    pub bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Unfolded {
    /// The text without blanks, and as often decoded as that changes anything.
    pub fn all(text: &str) -> Vec<Self> {
        let places = (0..text.len()).map(|at| at..at + 1).collect();
        let mut last = Unfolded { bytes: text.as_bytes().to_vec(), places };
        let mut all = vec![last.again(false)];
        for _ in 0..DEPTH {
            let next = last.again(true);
            if next.bytes == last.bytes {
                break;
            }
            all.push(next.again(false));
            last = next;
        }
        all
    }

    /// Where this part of it stands in the text.
    pub fn range(&self, part: Range<usize>) -> Range<usize> {
        self.places[part.start].start..self.places[part.end - 1].end
    }

    /// Decodes escapes, or leaves out what does not tell.
    fn again(&self, decodes: bool) -> Self {
        let mut next = Unfolded { bytes: Vec::new(), places: Vec::new() };
        let mut at = 0;
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let escape = if decodes { escape(rest) } else { unseen(rest).map(|length| (Vec::new(), length)) };
            let (bytes, length) = escape
                .unwrap_or_else(|| (vec![if decodes { rest[0] } else { rest[0].to_ascii_lowercase() }], 1));
            let place = self.places[at].start..self.places[at + length - 1].end;
            next.places.extend(bytes.iter().map(|_| place.clone()));
            next.bytes.extend(bytes);
            at += length;
        }
        next
    }
}

/// What an escape at the beginning stands for, and how long it is.
fn escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    match text {
        [b'%', a, b, ..] => Some((vec![u8::try_from(digits(&[*a, *b], 16)?).ok()?], 3)),
        [b'\\', b'u', rest @ ..] => Some((character(digits(rest.get(..4)?, 16)?)?, 6)),
        [b'\\', b'x', rest @ ..] => Some((character(digits(rest.get(..2)?, 16)?)?, 4)),
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => Some((Vec::new(), 2)),
        [b'&', rest @ ..] => {
            let end = rest.iter().take(10).position(|byte| *byte == b';')?;
            Some((entity(&rest[..end])?, end + 2))
        }
        _ => None,
    }
}

fn entity(name: &[u8]) -> Option<Vec<u8>> {
    match name {
        b"amp" => Some(b"&".to_vec()),
        b"lt" => Some(b"<".to_vec()),
        b"gt" => Some(b">".to_vec()),
        b"quot" | b"apos" | b"nbsp" => Some(Vec::new()),
        [b'#', b'x' | b'X', rest @ ..] => character(digits(rest, 16)?),
        [b'#', rest @ ..] => character(digits(rest, 10)?),
        _ => None,
    }
}

fn digits(text: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let all = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    all.then(|| u32::from_str_radix(text, radix).ok()).flatten()
}

fn character(code: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(code)?.to_string().into_bytes())
}

/// How long a character is that does not tell: a blank, a control character, a quote, a backslash, the plus of a form, or one without any width.
fn unseen(text: &[u8]) -> Option<usize> {
    let length = match text.first()? {
        0..0x80 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    let c = std::str::from_utf8(text.get(..length)?).ok()?.chars().next()?;
    let is_unseen = c.is_whitespace()
        || c.is_control()
        || matches!(c, '"' | '\'' | '\\' | '+')
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}');
    is_unseen.then_some(length)
}

/// What a value is looked for by.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    pub bytes: Vec<u8>,
    /// It is base64 without the letters at its ends that depend on what stands around it.
    pub has_ends: bool,
}

/// Each form of a value, unfolded: itself, in base64 wherever it begins in what was encoded, and in hex.
pub fn forms(value: &str) -> Vec<Form> {
    let bytes = value.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = (0..3).flat_map(|before| [base64(bytes, before, b"+/"), base64(bytes, before, b"-_")]);
    let encoded = base64.map(|form| Form { bytes: simple(&form), has_ends: true });
    let plain = Unfolded::all(value).into_iter().map(|unfolded| unfolded.bytes).chain([simple(&hex)]);
    plain.map(|bytes| Form { bytes, has_ends: false }).chain(encoded).collect()
}

fn simple(text: &str) -> Vec<u8> {
    Unfolded::all(text).into_iter().next().map(|unfolded| unfolded.bytes).unwrap_or_default()
}

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The letters that only these bytes decide, when so many bytes stand before them in their group of three.
fn base64(bytes: &[u8], before: usize, signs: &[u8; 2]) -> String {
    let bit = |at: usize| at.checked_sub(before * 8).map_or(0, |at| (bytes[at / 8] >> (7 - at % 8)) & 1);
    let end = (before + bytes.len()) * 8;
    let letter = |group: usize| {
        let value = usize::from((group * 6..group * 6 + 6).fold(0, |sum, at| (sum << 1) | bit(at)));
        char::from(LETTERS.get(value).copied().unwrap_or_else(|| signs[value - LETTERS.len()]))
    };
    ((before * 8).div_ceil(6)..end / 6).map(letter).collect()
}

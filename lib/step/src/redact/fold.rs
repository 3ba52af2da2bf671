//! One plain form for a text that somebody has escaped: percent signs, entities and backslashes are decoded, quotes, line ends and
//! colours are left out. A secret that was quoted for a URL, for HTML, for JSON or for a shell folds to the same bytes as the secret itself,
//! in whichever order that was done, so that one search finds all of them.
//!
//! Folding only serves to find something: nothing folded is ever shown.

use std::borrow::Cow;

/// So many times one escape may stand inside another.
const DEPTH: usize = 4;

/// The longest escape.
pub(super) const ESCAPE: usize = 12;

/// From here on, until the next jump, a folded text and the text run side by side.
struct Jump {
    folded: usize,
    text: usize,
    /// How many bytes of the text the first folded byte stands for.
    length: usize,
}

/// A folded text, as deep as it was escaped: the first fold, and the fold of the fold while that may change anything.
pub(super) fn folds(text: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let (first, mut again) = fold(Cow::Borrowed(text), None);
    let mut folds = vec![first];
    while again && folds.len() < DEPTH {
        let last = &folds[folds.len() - 1];
        let next;
        (next, again) = fold(Cow::Borrowed(last.as_ref()), None);
        if *next == **last {
            break;
        }
        let next = Cow::Owned(next.into_owned());
        folds.push(next);
    }
    folds
}

/// The deepest fold: what a secret is compared by.
pub(super) fn folded(text: &[u8]) -> Vec<u8> {
    folds(text).pop().unwrap_or_default().into_owned()
}

/// Where each byte of a fold came from: the jumps of each fold on the way to it.
pub(super) struct Map(Vec<Vec<Jump>>);

impl Map {
    /// For the fold of `text` that is as deep as `depth` says; 0 is the first.
    pub(super) fn new(text: &[u8], depth: usize) -> Self {
        let mut maps = Vec::new();
        let mut text = Cow::Borrowed(text);
        for _ in 0..=depth {
            let mut jumps = vec![Jump { folded: 0, text: 0, length: 1 }];
            text = Cow::Owned(fold(text, Some(&mut jumps)).0.into_owned());
            maps.push(jumps);
        }
        Map(maps)
    }

    /// Where the byte at this place of the fold begins in the text.
    pub(super) fn start(&self, at: usize) -> usize {
        self.0.iter().rev().fold(at, |at, jumps| {
            let jump = last_jump(jumps, at);
            jump.text + (at - jump.folded)
        })
    }

    /// Where the bytes in front of this place of the fold, which is not its beginning, end in the text.
    pub(super) fn end(&self, at: usize) -> usize {
        self.0.iter().rev().fold(at, |at, jumps| {
            let jump = last_jump(jumps, at - 1);
            let beside = at - 1 - jump.folded;
            jump.text + if beside == 0 { jump.length } else { beside + 1 }
        })
    }
}

fn last_jump(jumps: &[Jump], at: usize) -> &Jump {
    &jumps[jumps.partition_point(|jump| jump.folded <= at).saturating_sub(1)]
}

/// What is not simply copied.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let bytes = b"%+\\&'\"\n\r\x1b";
    let mut i = 0;
    while i < bytes.len() {
        special[bytes[i] as usize] = true;
        i += 1;
    }
    special
};

/// Folds once, and says whether another fold may find more. A text without anything to fold is not copied.
fn fold<'a>(text: Cow<'a, [u8]>, mut jumps: Option<&mut Vec<Jump>>) -> (Cow<'a, [u8]>, bool) {
    let plain = |from: usize| {
        text[from..].iter().position(|b| SPECIAL[usize::from(*b)]).map_or(text.len(), |i| from + i)
    };
    let first = plain(0);
    if first == text.len() {
        return (text, false);
    }
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    let mut again = false;
    // Up to here, what is left out may make an escape of what stood around it.
    let mut open = 0;
    let mut at = first;
    while at < text.len() {
        let piece = piece(&text[at..]);
        let before = out.len();
        if let Some(char) = piece.char {
            push(&mut out, char);
        }
        at += piece.length;
        let changed = out.len() - before != piece.length;
        again |= changed && (before < open || out[before..].iter().any(|b| SPECIAL[usize::from(*b)]));
        if !changed && matches!(out[before], b'%' | b'&') {
            open = out.len() + ESCAPE;
        }
        // One byte for one byte needs no jump.
        if let (Some(jumps), true) = (jumps.as_deref_mut(), changed) {
            let (end, escape) = (out.len(), at - piece.length);
            jumps.extend((before..end).map(|folded| Jump { folded, text: escape, length: piece.length }));
            jumps.push(Jump { folded: end, text: at, length: 1 });
        }
        let next = plain(at);
        out.extend_from_slice(&text[at..next]);
        at = next;
    }
    (Cow::Owned(out), again)
}

/// What one escape stands for.
#[derive(Clone, Copy)]
enum Char {
    Byte(u8),
    Unicode(char),
}

struct Piece {
    char: Option<Char>,
    length: usize,
}

impl Piece {
    fn none(length: usize) -> Self {
        Piece { char: None, length }
    }

    fn byte(byte: u8, length: usize) -> Self {
        Piece { char: Some(Char::Byte(byte)), length }
    }

    fn unicode(code: u32, length: usize) -> Option<Self> {
        char::from_u32(code).map(|c| Piece { char: Some(Char::Unicode(c)), length })
    }
}

fn push(out: &mut Vec<u8>, char: Char) {
    match char {
        Char::Byte(byte) => out.push(byte),
        Char::Unicode(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The escape that `text` begins with; its first byte is special, and at least that is eaten.
fn piece(text: &[u8]) -> Piece {
    match text[0] {
        b'%' => hex(text.get(1..3)).map_or(Piece::byte(b'%', 1), |byte| Piece::byte(low(byte), 3)),
        b'+' => Piece::byte(b' ', 1), // a form's space
        b'\\' => backslash(text),
        b'&' => entity(text).unwrap_or(Piece::byte(b'&', 1)),
        0x1b => colour(text),
        b'\n' => Piece::none(1 + indentation(&text[1..])),
        _ => Piece::none(1), // quotes and line ends
    }
}

/// Blanks that set a line in, as lists and YAML do with what they have broken; a single one may be a word's.
fn indentation(line: &[u8]) -> usize {
    let blanks = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    if blanks > 1 { blanks } else { 0 }
}

/// A run of backslashes counts as one: JSON in JSON doubles them.
fn backslash(text: &[u8]) -> Piece {
    let run = text.iter().take_while(|b| **b == b'\\').count();
    let rest = &text[run..];
    let decoded = match rest.first() {
        Some(b'n' | b'r') => Some(Piece::none(run + 1)),
        Some(b't') => Some(Piece::byte(b'\t', run + 1)),
        Some(b'x') => hex(rest.get(1..3)).map(|byte| Piece::byte(low(byte), run + 3)),
        Some(b'u') => unicode(rest, run),
        Some(b'0'..=b'3') => octal(rest).map(|byte| Piece::byte(byte, run + 3)),
        _ => None,
    };
    decoded.unwrap_or(Piece::none(run))
}

/// `u0041`, a pair of surrogates, or `u{41}`, behind a run of backslashes.
fn unicode(rest: &[u8], run: usize) -> Option<Piece> {
    if rest.get(1) == Some(&b'{') {
        let digits = rest[2..].iter().take(6).take_while(|b| b.is_ascii_hexdigit()).count();
        (rest.get(2 + digits) == Some(&b'}')).then_some(())?;
        return Piece::unicode(hex(rest.get(2..2 + digits))?, run + digits + 3);
    }
    let high = hex(rest.get(1..5))?;
    if !(0xd800..0xdc00).contains(&high) {
        return Piece::unicode(high, run + 5);
    }
    let second = rest.get(5..)?;
    let again = second.iter().take_while(|b| **b == b'\\').count();
    (again > 0 && second.get(again) == Some(&b'u')).then_some(())?;
    let low = hex(second.get(again + 1..again + 5))?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Piece::unicode(0x1_0000 + ((high - 0xd800) << 10) + low, run + 5 + again + 5)
}

fn octal(rest: &[u8]) -> Option<u8> {
    let digits = rest.get(..3)?;
    let usable = digits.iter().all(|b| (b'0'..=b'7').contains(b));
    usable.then(|| digits.iter().fold(0, |sum, b| (sum << 3) | (b - b'0')))
}

/// `&amp;`, `&#38;` or `&#x26;`.
fn entity(text: &[u8]) -> Option<Piece> {
    let end = text.iter().take(12).position(|b| *b == b';')?;
    let name = std::str::from_utf8(&text[1..end]).ok()?;
    let code = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        },
        None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| u32::from(*c))?,
    };
    Piece::unicode(code, end + 1)
}

/// HTML's names of what may stand in a password (the ASCII part of the HTML standard's table of named character references).
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
];

/// `ESC [ 31 m`: a colour, which a program like grep puts inside of a word.
fn colour(text: &[u8]) -> Piece {
    if text.get(1) != Some(&b'[') {
        return Piece::none(1);
    }
    let inside = text[2..].iter().take(32).take_while(|b| matches!(b, b'0'..=b'?')).count();
    Piece::none((2 + inside + 1).min(text.len()))
}

fn hex(digits: Option<&[u8]>) -> Option<u32> {
    let digits = digits.filter(|d| !d.is_empty() && d.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The value of two hex digits.
fn low(byte: u32) -> u8 {
    u8::try_from(byte).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_folds_to_what_it_was() {
        for escaped in [
            "p%C3%A4ss+w%22ord%2f%26",
            r#"pä\"ss w\"ord\/&"#,
            r"p\u00e4ss w\u0022ord\u002F\u0026",
            "p&auml;ss w&quot;ord&#47;&amp;",
            "p&#xE4;ss w&#34;ord/&amp;",
            r#"'pä'\''ss w"ord/&'"#,
            r"p\303\244ss\x20w\x22ord/\x26",
            "pä\u{1b}[01;31mss w\u{1b}[0m\"ord/\n&",
            "pä\r\n    ss w\n \tord\n\t\t/&",
            "päss\n word/&",
            r"p%25C3%25A4ss%2520w%2522ord%252F%2526",
            r#"{\"a\":\"pä\\\"ss w"#,
            r"p\\u00e4ss w\\\\u0022ord/&",
        ] {
            let folded = folded(escaped.as_bytes());
            let text = String::from_utf8_lossy(&folded);
            let wanted = match escaped {
                e if e.contains("auml") => "p&auml;ss word/&",
                e if e.starts_with('{') => "{a:päss w",
                _ => "päss word/&",
            };
            assert_eq!(text, wanted, "{escaped}");
        }
    }

    #[test]
    fn a_place_in_the_fold_leads_back_to_its_escape() {
        let text = "ab%2541'c\\u00e9%20d";
        let deepest = folds(text.as_bytes()).len() - 1;
        let folded = folded(text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&folded), "abAcé d");
        let map = Map::new(text.as_bytes(), deepest);
        let place = |c: &str| String::from_utf8_lossy(&folded).find(c).expect("it is there");
        for (c, start, end) in
            [("b", 1, 2), ("A", 2, 7), ("c", 8, 9), ("é", 9, 15), (" ", 15, 18), ("d", 18, 19)]
        {
            assert_eq!(map.start(place(c)), start, "{c}");
            assert_eq!(map.end(place(c) + c.len()), end, "{c}");
        }
    }

    #[test]
    fn broken_escapes_stay_what_they_are() {
        for text in ["100%", "%zz", "a & b; c", "&nosuch;", "&#xZZ;", "&#99999999;", "~"] {
            assert_eq!(folded(text.as_bytes()), text.as_bytes(), "{text}");
        }
        for text in ["\\", "\\u12", "\\x", "\\9", "\u{1b}", "\u{1b}[", "\\ud800", "\\ud800\\u0041"] {
            folded(text.as_bytes()); // no panic
        }
    }
}

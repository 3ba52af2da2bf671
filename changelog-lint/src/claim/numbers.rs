//! Numbers in a row that a reader takes for a version, with whatever slip in them: `l.3.0`, `1 .3.0`, `1-3-0`, `1;3;0`, `1.3.x`.

use std::ops::Range;

use crate::date;

/// Numbers that are meant as a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Where they stand.
    pub at: Range<usize>,
    /// What is meant.
    pub version: String,
    /// How many there are.
    pub parts: usize,
}

/// What can stand between the numbers.
const SIGNS: &str = ".,_-/:;'";

/// Numbers that a text begins with.
pub(crate) fn at_start(text: &str) -> Option<Numbers> {
    if date::shape(text).is_some() {
        return None;
    }
    let (groups, sign, end) = groups(text);
    let pure = groups.iter().filter(is_number).count();
    let fits = match (sign, groups.len()) {
        (Some('.' | '_'), 2) => pure == 2,
        (Some('.' | ',' | '_'), 3 | 4) => pure >= 2,
        (Some(_), 3) => pure >= 2 && groups.iter().all(|group| group.len() <= 3),
        _ => false,
    };
    if !fits || is_quantity(&groups) {
        return None;
    }
    let meant: Vec<String> = groups.iter().map(|group| meant(group)).collect();
    Some(Numbers { at: 0..end, version: meant.join("."), parts: groups.len() })
}

/// The first three or four numbers in a row in a text, also behind letters (`pkg_1.3.0`), and none of a day.
pub(crate) fn anywhere(text: &str) -> Option<Numbers> {
    let day = date::find(text).unwrap_or_default();
    let bytes = text.as_bytes();
    let first = bytes.iter().position(u8::is_ascii_alphanumeric)?;
    let opens = |at: &usize| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        let after_number = before == Some(b'.') && *at > 1 && bytes[at - 2].is_ascii_digit();
        let begins = before.is_none_or(|b| !b.is_ascii_digit() && !after_number);
        bytes[*at].is_ascii_digit() && begins
            || b"lIO".contains(&bytes[*at]) && before.is_none_or(|b| !b.is_ascii_alphanumeric())
    };
    let outside = |at: &usize| !day.contains(at);
    (first..bytes.len()).filter(opens).filter(outside).find_map(|at| {
        let found = at_start(&text[at..]).filter(|found| found.parts > 2)?;
        // With other signs than dots it is a version only where one belongs.
        let leads = at == first || at == first + 1 && matches!(bytes[first], b'v' | b'V');
        let range = at + found.at.start..at + found.at.end;
        let sure = text[range.clone()].contains(['.', ',', '_']) || leads;
        sure.then_some(Numbers { at: range, ..found })
    })
}

/// The numbers, the sign between them, and where they end.
fn groups(text: &str) -> (Vec<&str>, Option<char>, usize) {
    let (mut groups, mut sign, mut end) = (Vec::new(), None, 0);
    let mut at = 0;
    while let Some(length) = group(&text[at..]) {
        groups.push(&text[at..at + length]);
        end = at + length;
        let next = separator(&text[end..]).filter(|(_, c)| sign.is_none_or(|sign| sign == *c));
        let Some((length, c)) = next.filter(|(length, _)| group(&text[end + length..]).is_some()) else {
            break;
        };
        sign = Some(c);
        at = end + length;
    }
    (groups, sign, end)
}

/// The length of a number, or of what was meant as one.
fn group(text: &str) -> Option<usize> {
    let run = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let word = &text[..run];
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let like = word.bytes().all(|b| b.is_ascii_digit() || b"oOlI".contains(&b)) && (digits > 0 || run == 1);
    match () {
        () if (1..=5).contains(&run) && (like || matches!(word, "x" | "X")) => Some(run),
        () if text.starts_with('*') => Some(1),
        () => Some(digits).filter(|digits| (1..=5).contains(digits)),
    }
}

/// The length of what separates two numbers, and its sign: a blank alone is one; beside a dot there may be one.
fn separator(text: &str) -> Option<(usize, char)> {
    let blank = usize::from(text.starts_with(' '));
    let rest = &text[blank..];
    let Some(sign) = rest.chars().next().filter(|c| SIGNS.contains(*c)) else {
        return (blank == 1).then_some((1, ' '));
    };
    let signs = rest.len() - rest.trim_start_matches(sign).len();
    let after = usize::from(rest[signs..].starts_with(' '));
    let close = blank + after == 0 || sign == '.';
    (close && signs <= 2).then_some((blank + signs + after, sign))
}

fn is_number(group: &&&str) -> bool {
    group.bytes().all(|b| b.is_ascii_digit())
}

/// `1.000.000`: thousands, and no version.
fn is_quantity(groups: &[&str]) -> bool {
    groups.len() > 2 && groups[0].len() <= 3 && groups[1..].iter().all(|group| group.len() == 3)
}

/// Whether numbers in dots are an amount or an address of a machine, and no version.
pub(crate) fn is_no_version(version: &str) -> bool {
    let groups: Vec<&str> = version.split('.').collect();
    is_quantity(&groups)
}

/// `127.0.0.1`
pub(crate) fn is_address(version: &str) -> bool {
    let groups: Vec<&str> = version.split('.').collect();
    groups.len() == 4 && groups.iter().all(|group| group.parse::<u8>().is_ok())
}

fn meant(group: &str) -> String {
    let digit = |c: char| match c {
        'o' | 'O' | 'x' | 'X' | '*' => '0',
        'l' | 'I' => '1',
        c => c,
    };
    group.chars().map(digit).collect()
}

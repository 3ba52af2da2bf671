//! A line as it looks to a person, in ASCII.

use std::borrow::Cow;

/// The same line in ASCII: digits of other scripts and full-width signs as what they look like, no invisible characters, and the
/// usual slips of the keyboard in a version put right (`v.1.3.0`, `1,3,0`, `1..3.0`).
pub(crate) fn plain(line: &str) -> Cow<'_, str> {
    let ascii: Cow<'_, str> = if line.is_ascii() && !line.contains(|c: char| c.is_ascii_control()) {
        Cow::Borrowed(line)
    } else {
        Cow::Owned(without_sequences(line).chars().filter_map(look).collect())
    };
    let slips = ascii.contains(['\\', ',', '&'])
        || ascii.contains("..")
        || ascii.contains("v.")
        || ascii.contains("V.");
    if slips { Cow::Owned(corrected(&unescaped(&ascii))) } else { ascii }
}

/// The same with the cells and the paragraphs of HTML apart from each other.
pub(super) fn visible(line: &str) -> String {
    let mut text = plain(line).into_owned();
    if text.contains('<') {
        for tag in ["</td", "</th", "</li", "</p", "<br", "<td", "<th", "<li"] {
            text = text.replace(tag, &format!(" {tag}"));
        }
    }
    text
}

/// Without what a terminal takes for colours.
fn without_sequences(text: &str) -> Cow<'_, str> {
    if !text.contains("\u{1b}[") {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("\u{1b}[");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').get(1..).unwrap_or_default(),
        );
    }
    Cow::Owned(result)
}

/// What a character looks like; `None` for what cannot be seen.
fn look(c: char) -> Option<char> {
    let digit = |zero: u32| char::from_digit(c as u32 - zero, 10);
    match c {
        '\t' => Some(' '),
        c if c.is_control() => None,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{ad}'
        | '\u{fe0f}' => None,
        '\u{ff10}'..='\u{ff19}' => digit(0xff10),
        '\u{660}'..='\u{669}' => digit(0x660),
        '\u{6f0}'..='\u{6f9}' => digit(0x6f0),
        '\u{966}'..='\u{96f}' => digit(0x966),
        '\u{1d7ce}'..='\u{1d7ff}' => char::from_digit((c as u32 - 0x1d7ce) % 10, 10),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        '\u{3002}' | '\u{2024}' | '\u{ff61}' | '\u{b7}' | '\u{2027}' | '\u{22c5}' => Some('.'),
        '\u{201a}' => Some(','),
        '\u{fe5f}' | '\u{266f}' => Some('#'),
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

/// Without backslashes before signs, and with the entities that stand for blanks and `#`.
fn unescaped(text: &str) -> String {
    let text = text.replace("&nbsp;", " ").replace("&#35;", "#").replace("&num;", "#").replace("&#160;", " ");
    let mut signs = text.chars().peekable();
    let mut result = String::with_capacity(text.len());
    while let Some(c) = signs.next() {
        if c != '\\' || !signs.peek().is_some_and(char::is_ascii_punctuation) {
            result.push(c);
        }
    }
    result
}

fn corrected(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| signs.get(at)).is_some_and(char::is_ascii_digit);
    let mut result = String::with_capacity(text.len());
    for (at, c) in signs.iter().copied().enumerate() {
        let (before, after) = (digit(at.checked_sub(1)), digit(Some(at + 1)));
        let doubled = c == '.' && signs.get(at + 1) == Some(&'.') && before && digit(Some(at + 2));
        let behind_v = c == '.'
            && after
            && at > 0
            && matches!(signs[at - 1], 'v' | 'V')
            && (at == 1 || !signs[at - 2].is_alphanumeric());
        match c {
            '.' if doubled || behind_v => {}
            ',' if before && after => result.push('.'),
            c => result.push(c),
        }
    }
    result
}

//! Text of others as a terminal may show it: without what moves the cursor, changes colours, titles or the direction of writing.

use std::borrow::Cow;

/// The text without control characters, escape sequences and marks of direction; line ends stay, a tab is a space.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            // What 8-bit terminals take for ESC [.
            '\u{9b}' => skip_parameters(&mut rest),
            '\t' => plain.push(' '),
            '\n' => plain.push(c),
            c if is_odd(c) => {}
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// One line of text of others: as [`plain`], and a line end is a space.
pub fn plain_line(text: &str) -> String {
    plain(text).trim_end_matches('\n').replace('\n', " ")
}

fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows ESC: `[` with parameters and a letter, or a text up to BEL or ESC \ (a title, a link), or one character.
fn skip_sequence(rest: &mut Rest) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_parameters(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // A line end ends it too: what begins a title and never ends it must not hide the lines below.
            while rest.peek().is_some_and(|c| !matches!(c, '\n' | '\u{7}' | '\u{1b}' | '\u{9c}')) {
                rest.next();
            }
            if rest.peek() == Some(&'\u{1b}') {
                rest.next();
                rest.next_if_eq(&'\\');
            }
        }
        Some(c) if !c.is_alphanumeric() || c.is_ascii() => {
            rest.next_if(|c| *c != '\n');
        }
        _ => {}
    }
}

/// Up to the first letter (any character from @ to ~).
fn skip_parameters(rest: &mut Rest) {
    while rest.peek().is_some_and(|c| matches!(c, ' '..='?')) {
        rest.next();
    }
    rest.next_if(|c| ('@'..='~').contains(c));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, shown) in [
            ("plain \u{e4} \u{1f600}", "plain \u{e4} \u{1f600}"),
            ("\u{1b}[31mred\u{1b}[0m \u{7}bell", "red bell"),
            ("\u{1b}[2J\u{1b}[1;1Hgone", "gone"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            ("a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\b", "alinkb"),
            ("a\u{1b}]0;never ended\nb", "a\nb"),
            ("a\u{9b}31mb", "ab"),
            ("over\rwritten\u{8}\u{7f}", "overwritten"),
            ("a\tb\nc", "a b\nc"),
            ("abc\u{202e}txt.exe\u{2066}", "abctxt.exe"),
            ("\u{1b}", ""),
            ("\u{1b}c\u{1b}(B", "B"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
        assert_eq!(plain_line("a\nb\u{1b}[1m\n"), "a b");
    }
}

//! The words of SQL by PostgreSQL's own rules. The parser's tokenizer serves many dialects: it takes the lines after a `COPY ... FROM STDIN`
//! for data and does not know `U&"..."`, so what it sees is not always what the server sees. Whoever looks for what a file may do must see
//! what the server sees. Pure.

use std::iter::Peekable;
use std::str::Chars;

/// What cannot be read as SQL, and from where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// From 1: where what has no end begins.
    pub line: u64,
    /// A clause for people, such as `has a string without an end`.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name, folded to lower case.
    Word,
    /// A name in quotes, without them.
    Name,
    /// A string, without quotes and escapes.
    Text,
    /// What stands between two `$tag$`.
    Body,
    /// A number or `$1`.
    Number,
    /// One character.
    Symbol,
    Comment,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub value: String,
    pub at: usize,
    pub end: usize,
    pub line: u64,
}

impl Token {
    /// Whether it is this keyword or symbol, which never stands in quotes.
    pub fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Symbol) && self.value == word
    }

    /// Whether it may name something.
    pub fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Name)
    }

    pub fn is_string(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Body)
    }
}

/// The tokens without comments.
pub(crate) fn tokens(sql: &str) -> Result<Vec<Token>, Unreadable> {
    Ok(all(sql)?.into_iter().filter(|t| t.kind != Kind::Comment).collect())
}

/// The tokens with comments.
pub(crate) fn all(sql: &str) -> Result<Vec<Token>, Unreadable> {
    let mut lexer = Lexer { sql, at: 0, line: 1 };
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'t> {
    sql: &'t str,
    at: usize,
    line: u64,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn goes_on(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl<'t> Lexer<'t> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.sql.as_bytes().get(at).copied()
    }

    /// The first place from `at` on whose byte is not of a kind.
    fn past(&self, at: usize, of: impl Fn(u8) -> bool) -> usize {
        self.sql.as_bytes()[at..].iter().position(|b| !of(*b)).map_or(self.sql.len(), |n| at + n)
    }

    fn token(&mut self, kind: Kind, end: usize, value: String) -> Token {
        let token = Token { kind, value, at: self.at, end, line: self.line };
        self.go(end);
        token
    }

    fn go(&mut self, end: usize) {
        let lines = self.sql.as_bytes()[self.at..end].iter().filter(|b| **b == b'\n').count();
        self.line += u64::try_from(lines).unwrap_or(0);
        self.at = end;
    }

    fn endless<T>(&self, what: &str) -> Result<T, Unreadable> {
        Err(Unreadable { line: self.line, why: format!("has {what} without an end") })
    }

    fn next(&mut self) -> Result<Option<Token>, Unreadable> {
        let start = self.past(self.at, is_space);
        self.go(start);
        let Some(first) = self.byte(start) else { return Ok(None) };
        let (second, third) = (self.byte(start + 1), self.byte(start + 2));
        let token = match (first.to_ascii_lowercase(), second, third) {
            (b'-', Some(b'-'), _) => {
                let end = self.past(start, |b| b != b'\n' && b != b'\r');
                self.token(Kind::Comment, end, self.sql[start..end].to_owned())
            }
            (b'/', Some(b'*'), _) => self.comment()?,
            (b'\'', ..) => self.text(start, false)?,
            (b'e', Some(b'\''), _) => self.text(start + 1, true)?,
            (b'b' | b'x' | b'n', Some(b'\''), _) => self.text(start + 1, false)?,
            (b'u', Some(b'&'), Some(quote @ (b'\'' | b'"'))) => self.unicode(quote)?,
            (b'"', ..) => {
                let (value, end) = self.quoted(start, b'"', false, "a name in quotes")?;
                self.token(Kind::Name, end, value)
            }
            (b'$', ..) => self.dollar()?,
            (b'0'..=b'9', ..) | (b'.', Some(b'0'..=b'9'), _) => self.number(),
            (byte, ..) if starts_name(byte) => {
                let end = self.past(start, goes_on);
                self.token(Kind::Word, end, self.sql[start..end].to_ascii_lowercase())
            }
            _ => self.token(Kind::Symbol, start + 1, self.sql[start..=start].to_owned()),
        };
        Ok(Some(token))
    }

    /// PostgreSQL's comments nest.
    fn comment(&mut self) -> Result<Token, Unreadable> {
        let (mut at, mut depth) = (self.at, 0_u32);
        loop {
            match (self.byte(at), self.byte(at + 1)) {
                (Some(b'/'), Some(b'*')) => (at, depth) = (at + 2, depth + 1),
                (Some(b'*'), Some(b'/')) => (at, depth) = (at + 2, depth - 1),
                (Some(_), _) => at += 1,
                (None, _) => return self.endless("a comment"),
            }
            if depth == 0 {
                return Ok(self.token(Kind::Comment, at, self.sql[self.at..at].to_owned()));
            }
        }
    }

    fn text(&mut self, quote: usize, escapes: bool) -> Result<Token, Unreadable> {
        let (mut value, mut end) = self.quoted(quote, b'\'', escapes, "a string")?;
        while let Some(next) = self.continued(end) {
            let (more, past) = self.quoted(next, b'\'', escapes, "a string")?;
            value.push_str(&more);
            end = past;
        }
        Ok(self.token(Kind::Text, end, value))
    }

    /// Two strings with a new line between them are one: where the second one begins.
    fn continued(&self, end: usize) -> Option<usize> {
        let mut at = end;
        loop {
            at = self.past(at, is_space);
            if (self.byte(at), self.byte(at + 1)) != (Some(b'-'), Some(b'-')) {
                break;
            }
            at = self.past(at, |b| b != b'\n' && b != b'\r');
        }
        let has_line = self.sql[end..at].contains(['\n', '\r']);
        (has_line && self.byte(at) == Some(b'\'')).then_some(at)
    }

    /// What stands in quotes that are doubled inside, from the opening one on, and the place after the closing one.
    fn quoted(
        &self,
        open: usize,
        quote: u8,
        escapes: bool,
        what: &str,
    ) -> Result<(String, usize), Unreadable> {
        let mut at = open + 1;
        loop {
            at = self.past(at, |b| b != quote && !(escapes && b == b'\\'));
            match (self.byte(at), self.byte(at + 1)) {
                (None, _) | (Some(b'\\'), None) => return self.endless(what),
                (Some(b'\\'), _) if escapes => {
                    at += 1 + self.sql[at + 1..].chars().next().map_or(1, char::len_utf8);
                }
                (Some(_), Some(next)) if next == quote => at += 2,
                _ => break,
            }
        }
        let raw = &self.sql[open + 1..at];
        let raw = if escapes { unescaped(raw) } else { raw.to_owned() };
        let one = char::from(quote).to_string();
        Ok((if escapes { raw } else { raw.replace(&one.repeat(2), &one) }, at + 1))
    }

    /// `U&"..."` and `U&'...'`, with the escape that a `UESCAPE` behind it names.
    fn unicode(&mut self, quote: u8) -> Result<Token, Unreadable> {
        let mut token = match quote {
            b'"' => {
                let (value, end) = self.quoted(self.at + 2, quote, false, "a name in quotes")?;
                self.token(Kind::Name, end, value)
            }
            _ => self.text(self.at + 2, false)?,
        };
        let mut ahead = Lexer { sql: self.sql, at: self.at, line: self.line };
        let mut escape = '\\';
        if ahead.word()?.is_some_and(|t| t.is("uescape"))
            && let Some(said) = ahead.word()?.filter(|t| t.kind == Kind::Text)
            && let Some(own) = said.value.chars().next()
        {
            escape = own;
            self.go(ahead.at);
            token.end = ahead.at;
        }
        token.value = decoded(&token.value, escape);
        Ok(token)
    }

    /// The next token that is no comment.
    fn word(&mut self) -> Result<Option<Token>, Unreadable> {
        loop {
            match self.next()? {
                Some(token) if token.kind == Kind::Comment => {}
                other => return Ok(other),
            }
        }
    }

    fn dollar(&mut self) -> Result<Token, Unreadable> {
        let start = self.at;
        let past = self.past(start + 1, |b| goes_on(b) && b != b'$');
        let has_tag =
            self.byte(past) == Some(b'$') && !self.byte(start + 1).is_some_and(|b| b.is_ascii_digit());
        if !has_tag {
            let end = self.past(start + 1, |b| b.is_ascii_digit());
            let kind = if end > start + 1 { Kind::Number } else { Kind::Symbol };
            return Ok(self.token(kind, end, self.sql[start..end].to_owned()));
        }
        let tag = &self.sql[start..=past];
        match self.sql[past + 1..].find(tag) {
            Some(length) => {
                let close = past + 1 + length;
                Ok(self.token(Kind::Body, close + tag.len(), self.sql[past + 1..close].to_owned()))
            }
            None => self.endless("a dollar-quoted string"),
        }
    }

    /// Ends where a letter begins, as old servers do: `1union` is two words.
    fn number(&mut self) -> Token {
        let digits = |at| self.past(at, |b| b.is_ascii_digit());
        let mut end = digits(self.at);
        if self.byte(end) == Some(b'.') && self.byte(end + 1) != Some(b'.') {
            end = digits(end + 1);
        }
        if self.byte(end).is_some_and(|b| b.eq_ignore_ascii_case(&b'e')) {
            let sign = usize::from(matches!(self.byte(end + 1), Some(b'+' | b'-')));
            let past = digits((end + 1 + sign).min(self.sql.len()));
            end = if past > end + 1 + sign { past } else { end };
        }
        self.token(Kind::Number, end, self.sql[self.at..end].to_owned())
    }
}

/// The inside of an `E'...'`.
fn unescaped(raw: &str) -> String {
    let mut value = String::new();
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = match c {
            '\\' => chars.next(),
            // The second of a pair.
            '\'' => {
                chars.next();
                value.push('\'');
                continue;
            }
            c => {
                value.push(c);
                continue;
            }
        };
        let Some(escaped) = escaped else { break };
        value.push(match escaped {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'x' => number(&mut chars, 16, 2, None).unwrap_or('x'),
            'u' => number(&mut chars, 16, 4, None).unwrap_or('u'),
            'U' => number(&mut chars, 16, 8, None).unwrap_or('U'),
            '0'..='7' => number(&mut chars, 8, 2, escaped.to_digit(8)).unwrap_or('\u{fffd}'),
            other => other,
        });
    }
    value
}

/// The character whose number comes next, in at most so many digits; `None` where there is no digit.
fn number(chars: &mut Peekable<Chars>, radix: u32, most: u32, first: Option<u32>) -> Option<char> {
    let mut found = first;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
        found = Some(found.unwrap_or(0).wrapping_mul(radix).wrapping_add(digit));
        chars.next();
    }
    found.map(|n| char::from_u32(n).unwrap_or('\u{fffd}'))
}

/// The inside of a `U&'...'`: `\0061`, `\+000061` and the doubled escape.
fn decoded(raw: &str, escape: char) -> String {
    let mut value = String::new();
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        if c != escape {
            value.push(c);
        } else if chars.next_if_eq(&escape).is_some() {
            value.push(escape);
        } else {
            let most = if chars.next_if_eq(&'+').is_some() { 6 } else { 4 };
            value.push(number(&mut chars, 16, most, None).unwrap_or('\u{fffd}'));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(sql: &str) -> Vec<String> {
        let found = tokens(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        found.into_iter().map(|t| format!("{:?} {}", t.kind, t.value)).collect()
    }

    #[test]
    fn words_are_those_of_the_server() {
        for (sql, expected) in [
            ("ALTER/* a /* b */ c */System", &["Word alter", "Word system"][..]),
            (r#"U&"p\0067_read" ("a""b")"#, &["Name pg_read", "Symbol (", "Name a\"b", "Symbol )"]),
            (r#"u&"p!0067" uescape '!'"#, &["Name pg"]),
            (r"e'\x61\142\u0063\'d''e\\'", &["Text abc'd'e\\"]),
            ("'a'\n -- so\n 'b' 'c'", &["Text ab", "Text c"]),
            ("$a$ x $b$ ; $a$ $1", &["Body  x $b$ ; ", "Number $1"]),
            ("a$$b$$", &["Word a$$b$$"]),
            (
                "1union 1.5e3 1..2",
                &["Number 1", "Word union", "Number 1.5e3", "Number 1", "Symbol .", "Number .2"],
            ),
            ("a<--b\nc", &["Word a", "Symbol <", "Word c"]),
            ("é\\", &["Word é", "Symbol \\"]),
        ] {
            assert_eq!(values(sql), expected, "{sql}");
        }
        assert_eq!(values(r"'a\' x"), ["Text a\\", "Word x"]);
    }

    #[test]
    fn what_has_no_end_is_said_with_its_line() {
        for (sql, line) in [
            ("select 1;\n 'a", 2),
            ("\n\n/* /* */", 3),
            ("$a$ $b$", 1),
            ("\"a", 1),
            ("e'\\'", 1),
            ("U&\"a", 1),
            ("e'\\", 1),
        ] {
            assert_eq!(tokens(sql).map_err(|e| e.line), Err(line), "{sql}");
        }
    }

    #[test]
    fn lines_are_counted() {
        let lines: Vec<u64> =
            tokens("a\nb '\n' c\n$$\n\n$$ d").expect("read").iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 2, 2, 3, 4, 6]);
    }
}

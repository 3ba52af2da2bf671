//! Reads SQL scripts as pg_dump and pg_restore write them, statement by statement, and never by psql: psql has a language of its own, with
//! which a dump can run commands on this machine and reach other databases (CVE-2025-8714). Here a backslash outside of a quoted text is an
//! error, and the data of a COPY is nothing but data.

#[cfg(test)]
mod tests;

use std::io::BufRead;

use super::words::{self, Word};

/// Begins every plain dump.
const BEGIN: &str = "-- PostgreSQL database dump";
/// Ends every plain dump that is whole.
pub const END: &str = "-- PostgreSQL database dump complete";

/// A part of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// One statement, without its semicolon and without comments.
    Statement(Statement),
    /// A `COPY ... FROM stdin`; its lines follow by [`Script::data`].
    Copy(Statement),
}

/// A statement, and its words in small letters outside of quotes and parentheses, as far as they tell what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    pub words: Vec<String>,
    /// Where the dump is in another encoding than UTF-8 and the text is not ASCII: its bytes, and the encoding's name. A server knows what
    /// they say; `text` holds as much of it as can be shown.
    pub encoded: Option<(Vec<u8>, String)>,
}

impl Statement {
    /// Whether it begins with these words.
    pub fn begins(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && self.words.iter().zip(words).all(|(a, b)| a == b)
    }

    /// Whether two words follow each other somewhere.
    pub fn has(&self, first: &str, second: &str) -> bool {
        self.words.windows(2).any(|pair| pair[0] == first && pair[1] == second)
    }
}

/// Encodings in whose characters there may be bytes that mean something in SQL. No database has one of them, but a dump may.
const AMBIGUOUS: &[&str] = &["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"];

/// A script being read.
pub struct Script<R> {
    input: R,
    line: Vec<u8>,
    at: usize,
    /// The number of the line, from 1.
    pub number: u64,
    /// Whether the last thing that was read is the comment that ends a whole dump.
    pub whole: bool,
    /// The encoding that the script says to be in, if it is not UTF-8.
    pub encoding: Option<String>,
    /// Whether a backslash means something in a text that does not begin with E.
    escapes: bool,
    /// Whether a dump has begun: where another one begins, it must have ended.
    begun: bool,
}

/// Where in a statement we are.
enum State {
    Plain,
    Quoted { escapes: bool },
    Name,
    Dollar(Vec<u8>),
    Comment { depth: u32 },
}

/// What has been read of a statement.
struct Reading {
    state: State,
    text: Vec<u8>,
    words: Vec<String>,
    word: Vec<u8>,
    parentheses: u32,
    blocks: u32,
    escapes: bool,
}

impl<R: BufRead> Script<R> {
    /// Reads from the beginning.
    pub fn new(input: R) -> Self {
        Script {
            input,
            line: Vec::new(),
            at: 0,
            number: 0,
            whole: false,
            encoding: None,
            escapes: false,
            begun: false,
        }
    }

    /// The next part; nothing at the end. The error is one sentence.
    pub fn next(&mut self) -> Result<Option<Piece>, String> {
        let mut reading = Reading {
            state: State::Plain,
            text: Vec::new(),
            words: Vec::new(),
            word: Vec::new(),
            parentheses: 0,
            blocks: 0,
            escapes: self.escapes,
        };
        loop {
            if self.at == self.line.len() && !self.line()? {
                reading.word_ends();
                let nothing = matches!(reading.state, State::Plain) && reading.text.trim_ascii().is_empty();
                let cut =
                    format!("line {}: it ends in the middle of a statement: it is cut off", self.number);
                return if nothing { Ok(None) } else { Err(cut) };
            }
            if self.at == 0 && reading.is_at_its_beginning() && self.skipped()? {
                continue;
            }
            if let Some(statement) = self.step(&mut reading)? {
                self.whole = false;
                self.heed(&statement)?;
                return self.piece(statement).map(Some);
            }
        }
    }

    /// The next line of a COPY's data, with its end; nothing when there is no more.
    pub fn data(&mut self) -> Result<Option<&[u8]>, String> {
        if !self.line()? {
            return Err(format!(
                "line {}: it ends in the middle of a table's rows: it is cut off",
                self.number
            ));
        }
        self.at = self.line.len();
        Ok(if self.line.trim_ascii_end() == b"\\." { None } else { Some(&self.line) })
    }

    fn line(&mut self) -> Result<bool, String> {
        self.line.clear();
        self.at = 0;
        self.number += 1;
        let read = self.input.read_until(b'\n', &mut self.line);
        read.map(|n| n > 0).map_err(|e| format!("line {}: {e}", self.number))
    }

    /// Whole lines between statements that say nothing to the server.
    fn skipped(&mut self) -> Result<bool, String> {
        let line = self.line.trim_ascii_end();
        let key =
            |head: &[u8]| line.strip_prefix(head).is_some_and(|k| k.iter().all(u8::is_ascii_alphanumeric));
        let mark = line == b"--" || line.is_empty() || key(b"\\unrestrict ");
        let skipped = mark || line.starts_with(b"--") || key(b"\\restrict ");
        if line == BEGIN.as_bytes() && std::mem::replace(&mut self.begun, true) && !self.whole {
            return Err(format!(
                "line {}: another dump begins, and the one before it is cut off",
                self.number
            ));
        }
        // Whatever comes after the end but the end's own marks begins something that must end too.
        self.whole = line == END.as_bytes() || (self.whole && mark);
        if skipped {
            self.at = self.line.len();
        } else if line.starts_with(b"\\") {
            return Err(self.order());
        }
        Ok(skipped)
    }

    fn order(&self) -> String {
        let line = String::from_utf8_lossy(&self.line);
        format!(
            "line {}: it gives psql the order `{}`, which would lead out of the database it is restored into; dump it without --create",
            self.number,
            step::excerpt(line.trim_end(), 60)
        )
    }

    /// Takes one character, or what belongs together; gives the statement if that was its end.
    fn step(&mut self, reading: &mut Reading) -> Result<Option<Statement>, String> {
        let rest = &self.line[self.at..];
        if !matches!(reading.state, State::Plain) {
            self.at += reading.inside(rest);
            return Ok(None);
        }
        if rest[0] == b'\\' {
            return Err(self.order());
        }
        if rest.starts_with(b"--") {
            reading.take(b" ");
            self.at = self.line.len();
            return Ok(None);
        }
        if rest[0] == b';' && reading.parentheses == 0 {
            self.at += 1;
            reading.word_ends();
            if reading.blocks == 0 {
                return reading.statement(self.encoding.as_deref(), self.number).map(Some);
            }
            reading.take(b";");
            return Ok(None);
        }
        self.at += reading.plain(rest);
        Ok(None)
    }

    /// What a script says of how it is written itself.
    fn heed(&mut self, statement: &Statement) -> Result<(), String> {
        if statement.begins(&["set", "standard_conforming_strings"]) {
            self.escapes = statement.words.last().is_some_and(|word| word == "off");
        }
        if !statement.begins(&["set", "client_encoding"]) {
            return Ok(());
        }
        let said = match words::of(&statement.text).pop() {
            Some(Word::Text(name)) => name.to_ascii_uppercase(),
            _ => String::new(),
        };
        if AMBIGUOUS.contains(&said.as_str()) {
            return Err(format!(
                "line {}: it is written in {said}: dump it with --encoding=UTF8",
                self.number
            ));
        }
        self.encoding = (!["UTF8", "UTF-8", "UNICODE"].contains(&said.as_str())).then_some(said);
        Ok(())
    }

    fn piece(&self, statement: Statement) -> Result<Piece, String> {
        if statement.words.first().is_none_or(|word| word != "copy") {
            return Ok(Piece::Statement(statement));
        }
        let follows = self.line[self.at..].trim_ascii().is_empty();
        if follows && is_copy(&statement.words) {
            return Ok(Piece::Copy(statement));
        }
        Err(format!("line {}: it has a COPY that pg_dump does not write", self.number))
    }
}

/// `COPY`, a table's name with or without its schema's, and `FROM stdin`. A quoted name is a quotation mark, and one more for each in it.
fn is_copy(words: &[String]) -> bool {
    let [copy, name @ .., from, stdin] = words else { return false };
    let plain: Vec<&str> = name.iter().map(String::as_str).filter(|word| *word != "\"").collect();
    let odd = plain.iter().any(|word| ["from", "to", "program"].contains(word));
    copy == "copy" && from == "from" && stdin == "stdin" && !name.is_empty() && plain.len() <= 2 && !odd
}

impl Reading {
    fn is_at_its_beginning(&self) -> bool {
        matches!(self.state, State::Plain) && self.text.trim_ascii().is_empty()
    }

    fn statement(&mut self, encoding: Option<&str>, line: u64) -> Result<Statement, String> {
        let (bytes, words) = (std::mem::take(&mut self.text), std::mem::take(&mut self.words));
        let bytes = bytes.trim_ascii();
        let shown = || String::from_utf8_lossy(bytes).into_owned();
        match encoding.filter(|_| !bytes.is_ascii()) {
            None => {
                let text = std::str::from_utf8(bytes);
                let odd = |_| {
                    format!("line {line}: it has a statement that is no UTF-8: dump it with --encoding=UTF8")
                };
                Ok(Statement { text: text.map_err(odd)?.to_owned(), words, encoded: None })
            }
            // Any bytes: those that are UTF-8 are taken for it, as the server itself does.
            Some("SQL_ASCII") => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Statement { text: text.to_owned(), words, encoded: None }),
                Err(_) => Err(format!(
                    "line {line}: it is in SQL_ASCII, and a statement has bytes that are no UTF-8: `{}`",
                    step::excerpt(&shown(), 60)
                )),
            },
            Some(name) => {
                Ok(Statement { text: shown(), words, encoded: Some((bytes.to_vec(), name.to_owned())) })
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.word_ends();
        self.text.extend_from_slice(bytes);
    }

    /// Takes one character of a quoted text or a comment, or what belongs together; gives how many bytes that was.
    fn inside(&mut self, rest: &[u8]) -> usize {
        let (length, ends) = match &mut self.state {
            State::Plain => (0, true),
            State::Quoted { escapes } if *escapes && rest[0] == b'\\' && rest.len() > 1 => (2, false),
            State::Quoted { .. } => (1, rest[0] == b'\''),
            State::Name => (1, rest[0] == b'"'),
            State::Dollar(tag) if rest.starts_with(tag) => (tag.len(), true),
            State::Dollar(_) => (1, false),
            State::Comment { depth } => {
                let (length, deeper) = match rest {
                    [b'/', b'*', ..] => (2, *depth + 1),
                    [b'*', b'/', ..] => (2, *depth - 1),
                    _ => (1, *depth),
                };
                *depth = deeper;
                if deeper == 0 {
                    self.state = State::Plain;
                }
                return length;
            }
        };
        self.take(&rest[..length]);
        if ends {
            self.state = State::Plain;
        }
        length
    }

    /// A word outside of parentheses is remembered; those of a function's body tell where the body ends.
    fn word_ends(&mut self) {
        if self.word.is_empty() || self.parentheses > 0 {
            return self.word.clear();
        }
        let word = String::from_utf8_lossy(&std::mem::take(&mut self.word)).to_ascii_lowercase();
        let routine =
            |at: usize| matches!(self.words.get(at).map(String::as_str), Some("function" | "procedure"));
        let create = self.words.first().is_some_and(|first| first == "create");
        if create && (routine(1) || routine(3)) {
            match word.as_str() {
                "begin" => self.blocks += 1,
                "case" if self.blocks > 0 => self.blocks += 1,
                "end" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        if self.blocks == 0 {
            self.words.push(word);
        }
    }

    /// Takes one character outside of any quotes, or the beginning of a quoted text; gives how many bytes that was.
    fn plain(&mut self, rest: &[u8]) -> usize {
        let inside = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80;
        match rest[0] {
            b'/' if rest.starts_with(b"/*") => {
                self.take(b" ");
                self.state = State::Comment { depth: 1 };
                return 2;
            }
            b'\'' => {
                let escapes = self.escapes || self.word.eq_ignore_ascii_case(b"e");
                self.state = State::Quoted { escapes };
                self.word.clear();
                self.take(b"'");
            }
            b'"' => {
                self.state = State::Name;
                self.take(b"\"");
                // A quoted name stands for one word that is no word of ours.
                self.word.extend_from_slice(b"\"");
            }
            b'$' if self.word.is_empty() => {
                if let Some(tag) = tag(rest) {
                    let length = tag.len();
                    self.take(tag);
                    self.state = State::Dollar(tag.to_vec());
                    return length;
                }
                self.take(b"$");
            }
            b'(' => {
                self.take(b"(");
                self.parentheses += 1;
            }
            b')' => {
                self.take(b")");
                self.parentheses = self.parentheses.saturating_sub(1);
            }
            c if inside(c) => {
                self.text.push(c);
                self.word.push(c);
            }
            c => self.take(&[c]),
        }
        1
    }
}

/// The tag that begins a dollar-quoted text.
fn tag(rest: &[u8]) -> Option<&[u8]> {
    let end = 1 + rest[1..].iter().position(|c| *c == b'$')?;
    let name = &rest[1..end];
    let fits = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_' || *c >= 0x80;
    (name.iter().all(fits) && !name.first().is_some_and(u8::is_ascii_digit)).then_some(&rest[..=end])
}

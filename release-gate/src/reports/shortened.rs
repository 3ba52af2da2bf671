//! JSON without what nobody reads: the ends of long texts and the indentation go before the parser sees them. So neither a screenshot in a report
//! nor a line of 100 MB needs memory, and what is left is read in half the time. What was wrong JSON stays wrong.

use std::io::{self, BufRead, Read};

use memchr::memchr2;

/// So many bytes of a text are kept; the cut comes at the next character that can be cut before.
pub const MOST: usize = 4 << 10;
/// Nothing but escapes is cut here, wherever that is.
const HARD: usize = 4 * MOST;
/// No report has more inside of each other, and a parser needs memory for each.
const DEPTH: usize = 500;

/// Reads JSON, and hands it on shortened.
pub struct Shortened<R> {
    inner: R,
    scan: Scan,
    out: Vec<u8>,
    at: usize,
}

struct Scan {
    place: Place,
    depth: usize,
    gap: bool,
}

/// Where the last byte was.
#[derive(Clone, Copy)]
enum Place {
    Between,
    /// In a text, so many bytes of which were kept.
    Text(usize),
    /// Behind its backslash.
    Sign(usize),
    /// Before so many digits of its `\u`.
    Digits(u8, usize),
    /// In what is cut off.
    Rest,
    RestSign,
}

impl<R: BufRead> Shortened<R> {
    pub fn new(inner: R) -> Self {
        let scan = Scan { place: Place::Between, depth: 0, gap: false };
        Shortened { inner, scan, out: Vec::new(), at: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.at = 0;
        while self.out.is_empty() {
            let chunk = self.inner.fill_buf()?;
            let length = chunk.len();
            if length == 0 {
                break;
            }
            self.scan.all(chunk, &mut self.out)?;
            self.inner.consume(length);
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Shortened<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.out.len() {
            self.refill()?;
        }
        let length = into.len().min(self.out.len() - self.at);
        into[..length].copy_from_slice(&self.out[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Scan {
    fn all(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while let Some(first) = chunk.first() {
            let taken = match self.place {
                Place::Between => self.between(chunk, out)?,
                Place::Text(kept) => self.text(chunk, kept, out),
                Place::Sign(kept) => {
                    out.push(*first);
                    self.place =
                        if *first == b'u' { Place::Digits(4, kept + 1) } else { Place::Text(kept + 1) };
                    1
                }
                Place::Digits(left, kept) => {
                    out.push(*first);
                    self.place =
                        if left > 1 { Place::Digits(left - 1, kept + 1) } else { Place::Text(kept + 1) };
                    1
                }
                Place::Rest => self.rest(chunk, out),
                Place::RestSign => {
                    self.place = Place::Rest;
                    1
                }
            };
            chunk = &chunk[taken..];
        }
        Ok(())
    }

    /// Up to the next text; a gap stays one, so that two numbers never become one.
    fn between(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> io::Result<usize> {
        for (at, byte) in chunk.iter().enumerate() {
            if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                if !self.gap {
                    out.push(b' ');
                }
                self.gap = true;
                continue;
            }
            self.gap = false;
            out.push(*byte);
            match byte {
                b'"' => {
                    self.place = Place::Text(0);
                    return Ok(at + 1);
                }
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > DEPTH {
                return Err(io::Error::other("JSON that is nested too deeply for a report"));
            }
        }
        Ok(chunk.len())
    }

    fn text(&mut self, chunk: &[u8], kept: usize, out: &mut Vec<u8>) -> usize {
        let end = memchr2(b'"', b'\\', chunk).unwrap_or(chunk.len());
        let room = MOST.saturating_sub(kept).min(end);
        // Never within a character of several bytes.
        if let Some(more) = chunk[room..end].iter().position(|byte| byte & 0xc0 != 0x80) {
            out.extend_from_slice(&chunk[..room + more]);
            self.place = Place::Rest;
            return room + more;
        }
        out.extend_from_slice(&chunk[..end]);
        let kept = kept + end;
        match chunk.get(end) {
            None => self.place = Place::Text(kept),
            Some(b'"') => {
                out.push(b'"');
                self.place = Place::Between;
                return end + 1;
            }
            Some(_) if kept > HARD => self.place = Place::Rest,
            Some(sign) => {
                out.push(*sign);
                self.place = Place::Sign(kept + 1);
                return end + 1;
            }
        }
        end
    }

    fn rest(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> usize {
        let Some(end) = memchr2(b'"', b'\\', chunk) else { return chunk.len() };
        if chunk[end] == b'"' {
            out.push(b'"');
            self.place = Place::Between;
        } else {
            self.place = Place::RestSign;
        }
        end + 1
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use serde_json::Value;

    use super::*;

    fn shortened(text: &[u8], chunk: usize) -> String {
        let mut out = Vec::new();
        Shortened::new(BufReader::with_capacity(chunk, text)).read_to_end(&mut out).expect("readable");
        String::from_utf8(out).expect("still UTF-8")
    }

    #[test]
    fn short_texts_stay_and_gaps_shrink_wherever_the_chunks_end() {
        let text = "{ \"a\\\"\\\\ b\" :\n\t [1  2, \"\\u00e4 \u{e4}\u{1f600}  \\ud83d\\ude00\"],\"\": null}";
        let plain = "{ \"a\\\"\\\\ b\" : [1 2, \"\\u00e4 \u{e4}\u{1f600}  \\ud83d\\ude00\"],\"\": null}";
        for chunk in 1..40 {
            assert_eq!(shortened(text.as_bytes(), chunk), plain, "in chunks of {chunk}");
        }
    }

    #[test]
    fn long_texts_are_cut_where_they_can_be_and_stay_json() {
        for part in ["x", "\u{e4}", "\u{1f600}", "\\n", "\\\"x", "\\u00e4b", "\\ud83d\\ude00 ", "a\\\\"] {
            for shift in ["", "a", "ab", "abc"] {
                let text = format!("[\"{shift}{}\", 7]", part.repeat(3 * MOST));
                for chunk in [1, 7, 64, 5000] {
                    let short = shortened(text.as_bytes(), chunk);
                    let value: Value =
                        serde_json::from_str(&short).unwrap_or_else(|e| panic!("{part:?}: {e}"));
                    assert_eq!(value[1], 7, "{part:?}");
                    assert!(short.len() < HARD + 40, "{part:?} left {} bytes", short.len());
                    let whole: Value = serde_json::from_str(&text).expect("JSON");
                    let kept = value[0].as_str().unwrap_or_default();
                    assert!(whole[0].as_str().unwrap_or_default().starts_with(kept), "{part:?}");
                    assert!(kept.len() >= MOST / 6, "{part:?} kept {}", kept.len());
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_does_not_become_some() {
        for text in
            ["1 2", "[1 2]", "tr ue", "[\"a\nb\"]", "[\"\\x\"]", "{\"a\" 1}", "[1,]", "\"abc", "[\"a\"] x"]
        {
            assert!(serde_json::from_str::<Value>(&shortened(text.as_bytes(), 3)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bomb_of_brackets_is_refused() {
        let mut bomb = Shortened::new(BufReader::new(io::repeat(b'[').take(100 << 20)));
        let error = io::copy(&mut bomb, &mut io::sink()).expect_err("too deep");
        assert!(error.to_string().contains("nested"), "{error}");
    }
}

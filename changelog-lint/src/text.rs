//! Lines and columns of a text: both 1-based, columns in characters, a byte order mark not counted.

use crate::changelog::Span;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in Unicode scalar values.
    pub column: usize,
    /// The byte.
    pub offset: usize,
}

/// The lines of a text.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Finds them.
    pub fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(ends(text)).collect();
        Lines { text, starts }
    }

    /// The line of a byte.
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The place of a byte.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.line(offset);
        let before = &self.text[self.starts[line - 1]..offset];
        let column = before.trim_start_matches('\u{feff}').chars().count() + 1;
        Position { line, column, offset }
    }

    /// The lines that a span lies on, without the last line end; at most `most` of them.
    pub fn around(&self, span: &Span, most: usize) -> Span {
        let first = self.line(span.start);
        let last = self.line(span.end.max(span.start + 1) - 1).max(first).min(first + most - 1);
        let end = self.starts.get(last).copied().unwrap_or(self.text.len());
        let start = self.starts[first - 1];
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }
}

/// Bytes as text: what is no UTF-8 becomes U+FFFD, and the line of the first such byte is named.
pub fn decode(bytes: Vec<u8>) -> (String, Option<usize>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(line))
        }
    }
}

/// Where each line ends, behind its end: LF, CRLF, and CR alone, as Markdown has it.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let alone = move |at: usize| bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n');
    // Most files have no CR at all, and one character is found faster than two.
    let (cr, lf) = if text.contains('\r') {
        (Some(text.match_indices(['\n', '\r'])), None)
    } else {
        (None, Some(text.match_indices('\n')))
    };
    let cr = cr.into_iter().flatten().map(|(at, _)| at);
    let lf = lf.into_iter().flatten().map(|(at, _)| at);
    cr.chain(lf).filter(move |at| alone(*at)).map(|at| at + 1)
}

/// The lines without their ends, with their places.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (Span, &str)> {
    let mut at = 0;
    let last = (!text.ends_with(['\n', '\r'])).then_some(text.len());
    ends(text).chain(last).filter(|end| *end > 0).map(move |end| {
        let (start, line) = (at, &text[at..end]);
        at = end;
        let bare = line.trim_end_matches(['\n', '\r']);
        (start..start + bare.len(), bare)
    })
}

/// A line of the file in a sentence, in backticks that it does not have itself.
pub(crate) fn quoted(line: &str) -> String {
    if line.contains('`') { format!("`` {line} ``") } else { format!("`{line}`") }
}

/// The kind of line end that the first line has.
pub fn line_end(text: &str) -> &'static str {
    let crlf = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
    if crlf { "\r\n" } else { "\n" }
}

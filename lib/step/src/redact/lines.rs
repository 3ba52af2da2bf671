//! Text that comes in pieces: a log that is read while it grows, the lines of a program at work. A secret may begin in one piece and end
//! in the next.

use super::{finder, found, masked};

/// A redactor for lines that come one after another. A line whose end may be the beginning of a secret is held back until the next one, or
/// the end.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<String>,
}

impl Lines {
    /// Takes what has come, and gives what can be shown.
    pub fn push(&mut self, lines: impl IntoIterator<Item = String>) -> Vec<String> {
        self.held.extend(lines);
        let joined = self.held.join("\n");
        let begun = finder().map_or(joined.len(), |finder| finder.begun(&joined, 1));
        let whole = joined[..begun].matches('\n').count();
        let ready = if begun == joined.len() { self.held.len() } else { whole };
        let mut clean = redacted(&self.held);
        clean.truncate(ready);
        self.held.drain(..ready);
        clean
    }

    /// Gives what was held back, now that nothing comes after it.
    pub fn finish(&mut self) -> Vec<String> {
        redacted(&std::mem::take(&mut self.held))
    }
}

/// The lines with every secret masked, also where it goes over several of them.
pub(super) fn redacted(lines: &[String]) -> Vec<String> {
    let joined = lines.join("\n");
    let found = found(&joined);
    if found.is_empty() {
        return lines.to_vec();
    }
    let clean = masked(&joined, &found);
    // A line may hold line ends of its own: they count on both sides.
    let mut rest = clean.split('\n');
    let rejoined =
        |line: &String| rest.by_ref().take(line.matches('\n').count() + 1).collect::<Vec<_>>().join("\n");
    lines.iter().map(rejoined).collect()
}

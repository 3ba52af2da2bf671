//! The lines at the foot of a terminal that say what is waited for: painted in place, below whatever else is said.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The sign in front turns, so that a long wait is not taken for a dead program.
const TURN: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const TICK: Duration = Duration::from_millis(120);
/// Of a terminal that does not say how wide it is.
const COLUMNS: usize = 80;

/// The lines, shared with the thread that turns the sign.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// How many of them stand on the screen.
    painted: usize,
    turn: usize,
    turning: bool,
}

impl Board {
    /// Shows these lines instead of those that were there.
    pub(crate) fn show(&self, lines: Vec<String>) {
        let mut state = self.state();
        state.lines = lines;
        paint(&state.next(""));
        if !state.turning {
            state.turning = true;
            let board = self.clone();
            std::thread::spawn(move || board.turn());
        }
    }

    /// Takes the lines away.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.lines.clear();
        paint(&state.next(""));
    }

    /// Says something above the lines; `text` ends with a line end.
    pub(crate) fn say(&self, text: &str) {
        paint(&self.state().next(text));
    }

    fn turn(&self) {
        loop {
            std::thread::sleep(TICK);
            let mut state = self.state();
            if state.lines.is_empty() {
                state.turning = false;
                return;
            }
            state.turn += 1;
            paint(&state.next(""));
        }
    }

    fn state(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// What has to be written so that `text` stands above the lines.
    fn next(&mut self, text: &str) -> String {
        let mut out = String::new();
        match std::mem::replace(&mut self.painted, self.lines.len()) {
            0 => {}
            1 => out.push_str("\r\x1b[J"),
            painted => write!(out, "\x1b[{}A\r\x1b[J", painted - 1).unwrap_or_default(),
        }
        out.push_str(text);
        if self.lines.is_empty() {
            return out;
        }
        let width = columns().saturating_sub(1);
        let line = |(number, line): (usize, &String)| {
            let sign = if number == 0 { TURN[self.turn % TURN.len()] } else { ' ' };
            // A line that wraps, or has a line end in it, would be taken for one line when it is painted over.
            format!("{sign} {line}").replace('\n', " ").chars().take(width).collect::<String>()
        };
        out.push_str(&self.lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\n"));
        out
    }
}

fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(COLUMNS, |(width, _)| usize::from(width.0))
}

/// Nobody can be told when stderr is gone, and the step's work matters more.
fn paint(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_painted_over_and_words_stand_above_them() {
        let mut state = Lines { lines: vec!["a: waiting".into(), "b".into()], ..Lines::default() };
        assert_eq!(state.next(""), "⠋ a: waiting\n  b");
        state.turn = 1;
        assert_eq!(state.next("a: said\n"), "\x1b[1A\r\x1b[Ja: said\n⠙ a: waiting\n  b");
        state.lines = vec!["x\n".repeat(100)];
        let wide = state.next("");
        let wide = wide.trim_start_matches("\x1b[1A\r\x1b[J");
        assert_eq!((wide.chars().count(), wide.lines().count()), (columns() - 1, 1));
        state.lines.clear();
        assert_eq!(state.next(""), "\r\x1b[J");
        assert_eq!(state.next("a: said\n"), "a: said\n");
    }
}

//! What people read: lines on stderr, each `name: sentence`, one progress line on a terminal, and a question to whoever
//! sits at the terminal. stdout and stdin belong to the document.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};

use crate::board::Board;
use crate::{plain, redact};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Volume {
    Quiet,
    Normal,
    Verbose,
}

/// The voice of one program.
#[derive(Debug)]
pub struct Voice {
    name: &'static str,
    volume: Volume,
    colour: bool,
    /// What is waited for, on a terminal; elsewhere what was said of it last.
    board: Board,
    last: Mutex<Vec<String>>,
}

impl Voice {
    pub(crate) fn new(name: &'static str, quiet: bool, verbose: bool, color: clap::ColorChoice) -> Self {
        let volume = match (quiet, verbose) {
            (true, _) => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Normal,
        };
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colour = match color {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => !plain && std::io::stderr().is_terminal(),
        };
        Voice { name, volume, colour, board: Board::default(), last: Mutex::default() }
    }

    /// The same voice under the name of what a person has started.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Self {
        let name = Box::leak(name.to_owned().into_boxed_str());
        Voice {
            name,
            volume: self.volume,
            colour: self.colour,
            board: Board::default(),
            last: Mutex::default(),
        }
    }

    /// Whether colour may be used on stderr.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Whether only errors are said.
    pub fn is_quiet(&self) -> bool {
        self.volume == Volume::Quiet
    }

    /// A line that says what happened.
    pub fn say(&self, sentence: &str) {
        if self.volume > Volume::Quiet {
            self.line("", sentence);
        }
    }

    /// A line that says what a person should look at.
    pub fn warn(&self, sentence: &str) {
        if self.volume > Volume::Quiet {
            self.line("\x1b[33m", &format!("warning: {sentence}"));
        }
    }

    /// A line that is said even when quiet.
    pub fn error(&self, sentence: &str) {
        self.line("\x1b[31m", sentence);
    }

    /// A line for `-v`: a request and what came back.
    pub fn detail(&self, sentence: &str) {
        if self.volume == Volume::Verbose {
            self.line("\x1b[2m", sentence);
        }
    }

    /// Text as it is, for diagnostics with source; only quietness holds it back.
    pub fn block(&self, text: &str) {
        if self.volume > Volume::Quiet {
            self.board.say(&format!("{}\n", redact(text.trim_end())));
        }
    }

    /// The state of a wait: one line updated in place on a terminal, else one line for each change.
    pub fn progress(&self, state: &str) {
        self.board(&[(state.to_owned(), String::new())]);
    }

    /// The states of several things that are waited for, each with a clock: as many lines, updated in place on a terminal; else one
    /// line for each state that is new, without the clock.
    pub fn board(&self, rows: &[(String, String)]) {
        if self.volume == Volume::Quiet {
            return;
        }
        if self.is_terminal() {
            return self.draw(rows);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.resize(rows.len(), String::new());
        let new: Vec<&String> = rows
            .iter()
            .zip(last.iter())
            .filter(|((state, _), old)| state != *old)
            .map(|((s, _), _)| s)
            .collect();
        new.iter().for_each(|state| self.line("", state));
        *last = rows.iter().map(|(state, _)| state.clone()).collect();
    }

    /// Whether stderr is a terminal, on which lines can be updated in place.
    pub fn is_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    fn draw(&self, rows: &[(String, String)]) {
        let line = |(state, clock): &(String, String)| {
            format!("{}: {} {clock}", self.name, clean(state)).trim_end().to_owned()
        };
        self.board.show(rows.iter().map(line).collect());
    }

    /// Ends the progress line.
    pub fn progress_done(&self) {
        self.board.clear();
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks whoever sits at the terminal to type something; `None` when nobody does. stdin is not touched. What is typed comes as it
    /// comes: a read from a terminal is not ended by a signal, so whoever waits for it must look for signals by itself.
    pub(crate) fn ask(&self, question: &str) -> Option<Receiver<String>> {
        self.board.clear(); // or its sign would turn into the question
        let mut terminal = std::fs::File::options().read(true).write(true).open("/dev/tty").ok()?;
        write!(terminal, "{}: {}", self.name, clean(question)).ok()?;
        let (typed, answer) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            if BufReader::new(terminal).read_line(&mut line).is_ok() {
                // Nobody listens any more when a signal came first.
                let _ = typed.send(line.trim().to_owned());
            }
        });
        Some(answer)
    }

    fn line(&self, colour: &str, sentence: &str) {
        let sentence = clean(sentence);
        let name = self.name;
        if self.colour && !colour.is_empty() {
            self.board.say(&format!("{name}: {colour}{sentence}\x1b[0m\n"));
        } else {
            self.board.say(&format!("{name}: {sentence}\n"));
        }
    }
}

/// What is said holds words of others: without secrets, and without what a terminal would obey.
fn clean(sentence: &str) -> String {
    redact(&plain(sentence))
}

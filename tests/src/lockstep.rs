//! A program held by the lines it says: its stderr is a pipe with room for one line, so it never gets further than a line ahead of us.
//! That is how it can be killed at any place that it speaks of.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// A program and its lines.
pub struct Lockstep {
    /// The program.
    pub child: Child,
    lines: File,
}

impl Lockstep {
    /// Starts it.
    pub fn spawn(command: &mut Command) -> Self {
        // Each write is a packet of its own, and the smallest pipe has room for one.
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT).expect("a pipe");
        fcntl_setpipe_size(&write, 4096).expect("a small pipe");
        let child = command.stderr(Stdio::from(write)).spawn().expect("it starts");
        // The command would keep the pipe open.
        command.stderr(Stdio::null());
        Lockstep { child, lines: File::from(read) }
    }

    /// The next line; `None` when it has said its last.
    pub fn line(&mut self) -> Option<String> {
        let mut buffer = [0; 4096];
        match self.lines.read(&mut buffer).expect("read") {
            0 => None,
            n => Some(String::from_utf8_lossy(&buffer[..n]).into_owned()),
        }
    }

    /// Lets it go on until it says something with these words; whether it did.
    pub fn until(&mut self, words: &str) -> bool {
        while let Some(line) = self.line() {
            if line.contains(words) {
                return true;
            }
        }
        false
    }

    /// Kills it where it is.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

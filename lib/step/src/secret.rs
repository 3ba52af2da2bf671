//! A secret that cannot be printed, serialised or compared by accident.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::interrupt::Interrupt;
use crate::{Deadline, Failure, redact};

/// A secret is a line; a file that never ends is none.
pub(crate) const LIMIT: usize = 1 << 20;

/// Until when a secret is waited for, and what ends the wait.
static LIMITS: OnceLock<(Deadline, Interrupt)> = OnceLock::new();

/// The process's budget and its signals; said once, before settings are read.
pub(crate) fn limits(budget: Duration, interrupt: &Interrupt) {
    let _ = LIMITS.set((Deadline::after(budget), interrupt.clone()));
}

/// A token or password. It has no `Display` and no `Serialize`; whoever needs the text says [`Secret::expose`].
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret from anywhere, and sees to it that it is never written.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        redact::remember(&text);
        Secret(text)
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Reads a secret from a file, without the newline at its end.
    ///
    /// # Errors
    /// `config` when the file cannot be read, is empty, or can be read by everyone on the machine.
    pub(crate) fn from_file(path: &Path, place: &str) -> Result<Self, Failure> {
        let at = path.display().to_string();
        let wrong = |why: String| Failure::config("secret", format!("{place}: {at}: {why}"));
        let text = patiently(path)?.map_err(|e| wrong(e.to_string()))?;
        let mode = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.permissions().mode();
        if mode & 0o004 != 0 {
            return Err(wrong("everyone on this machine can read this secret".into()).command([
                "chmod",
                "600",
                at.as_str(),
            ]));
        }
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(wrong("the file is empty".into())),
            secret => Ok(Secret::new(secret)),
        }
    }
}

/// Reads a file that may be a pipe (a password manager's): whoever is to write to it may never do so.
pub(crate) fn patiently(path: &Path) -> Result<std::io::Result<String>, Failure> {
    let (sender, receiver) = channel();
    let owned = path.to_owned();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read =
            std::fs::File::open(owned).and_then(|file| file.take(LIMIT as u64).read_to_string(&mut text));
        // Nobody listens any more when the time is over.
        let _ = sender.send(read.map(|_| text));
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(read) => return Ok(read),
            Err(RecvTimeoutError::Disconnected) => return Ok(Err(std::io::ErrorKind::Other.into())),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let Some((deadline, interrupt)) = LIMITS.get() else { continue };
        if let Some(failure) = interrupt.came() {
            return Err(failure);
        }
        if deadline.left().is_zero() {
            let message =
                format!("{} says nothing: the program that writes to it has not done so", path.display());
            return Err(deadline.over().cause(message));
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

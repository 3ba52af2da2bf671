//! A secret that cannot be printed, serialised or compared by accident.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::{Failure, redact};

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
        let at = path.display();
        let wrong = |why: String| Failure::config("secret", format!("{place}: {at}: {why}"));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let mode = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.permissions().mode();
        if mode & 0o004 != 0 {
            return Err(wrong("everyone on this machine can read this secret".into()).command([
                "chmod",
                "600",
                &at.to_string(),
            ]));
        }
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(wrong("the file is empty".into())),
            secret => Ok(Secret::new(secret)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

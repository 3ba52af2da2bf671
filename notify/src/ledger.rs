//! What was told, on disk: a message has no key by which Telegram would know it again, so we note before we send and after.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use step::Failure;

/// One message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Whether it has surely arrived; else it was begun.
    pub sent: bool,
    /// When, RFC 3339.
    pub at: String,
    /// Its number in the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The entry of one event in one run.
#[derive(Debug)]
pub struct Ledger {
    file: PathBuf,
}

impl Ledger {
    /// For an event; its key becomes a file's name.
    pub fn of(folder: &Path, channel: &str, key: &str) -> Self {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
        let name: String = format!("{channel}.{key}.json").chars().map(safe).collect();
        Ledger { file: folder.join(name) }
    }

    /// What is noted.
    pub fn read(&self) -> Result<Option<Entry>, Failure> {
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(&error)),
        };
        // A note that cannot be read says that something was begun.
        let begun = Entry { sent: false, at: "some time".to_owned(), message: None };
        Ok(Some(serde_json::from_str(&text).unwrap_or(begun)))
    }

    /// Notes, and does not come back before it is on disk.
    pub fn write(&self, sent: bool, message: Option<String>) -> Result<(), Failure> {
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.put(&Entry { sent, at, message }).map_err(|e| self.unusable(&e))
    }

    fn put(&self, entry: &Entry) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let temporary = self.file.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(serde_json::to_string(entry).map_err(std::io::Error::other)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.file)?;
        File::open(folder)?.sync_all()
    }

    /// Forgets what was surely not sent.
    pub fn forget(&self) -> Result<(), Failure> {
        std::fs::remove_file(&self.file).map_err(|e| self.unusable(&e))
    }

    fn unusable(&self, error: &std::io::Error) -> Failure {
        let message = format!("{} cannot be used: {error}; set state in [notify]", self.file.display());
        Failure::config("state", message)
    }
}

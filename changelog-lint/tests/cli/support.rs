//! The real binary in a folder of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub const COMPARE: &str = "https://github.com/a/b/compare";

/// A folder with CHANGELOG.md.
pub fn folder(changelog: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("CHANGELOG.md"), changelog).expect("written");
    folder
}

/// The changelog as it is now.
pub fn text(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("CHANGELOG.md")).expect("read")
}

/// Runs it with nothing on stdin.
pub fn lint(folder: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
    Run(command.current_dir(folder).args(args).stdin(Stdio::null()).output().expect("it runs"))
}

pub struct Run(pub Output);

impl Run {
    pub fn code(&self) -> i32 {
        self.0.status.code().expect("an exit code")
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).expect("UTF-8")
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).expect("UTF-8")
    }

    /// The one JSON value on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout(), self.stderr()))
    }
}

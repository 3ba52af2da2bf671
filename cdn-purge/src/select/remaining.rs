//! What a stopped run leaves to be purged: a file that `--urls-from` reads back. It is written aside and renamed, so that the
//! list that was just read may be the one that is replaced.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use step::Failure;
use tempfile::NamedTempFile;

use crate::select::Kind;
use crate::select::list::List;

/// The file, while it is being written; without one, what remains is only counted.
pub struct Remaining {
    path: Option<PathBuf>,
    file: Option<BufWriter<NamedTempFile>>,
    pub count: u64,
}

impl Remaining {
    /// # Errors
    /// `usage`, `remaining` when the file cannot be made: before anything is purged.
    pub fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Remaining { path: None, file: None, count: 0 }) };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(|e| unwritten(path, &e))?;
        Ok(Remaining { path: Some(path.to_owned()), file: Some(BufWriter::new(file)), count: 0 })
    }

    /// One that was not purged.
    pub fn keep(&mut self, kind: Kind, item: &str) -> Result<(), Failure> {
        self.count += 1;
        let (Some(file), Some(path)) = (&mut self.file, &self.path) else { return Ok(()) };
        let written = match kind {
            Kind::Url => writeln!(file, "{item}"),
            // A file never means everything: that has to be said each time.
            Kind::Everything => writeln!(file, "# everything: run it again with --everything"),
            kind => writeln!(file, "{} {item}", kind.word()),
        };
        written.map_err(|e| unwritten(path, &e))
    }

    /// A whole list that was not begun.
    pub fn keep_all(&mut self, list: &mut List) -> Result<(), Failure> {
        let kind = list.kind;
        list.read()?.try_for_each(|item| self.keep(kind, &item?))
    }

    /// Puts the file in its place.
    pub fn done(self) -> Result<(), Failure> {
        let (Some(path), Some(file)) = (self.path, self.file) else { return Ok(()) };
        let file = file.into_inner().map_err(|e| unwritten(&path, e.error()))?;
        file.persist(&path).map(drop).map_err(|e| unwritten(&path, &e.error))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage("remaining", format!("{}: what remains cannot be written: {error}", path.display()))
}

//! The file itself: read, and replaced as a whole.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use changelog_lint::finding::Finding;
use changelog_lint::report::{self, Format};
use changelog_lint::text::{Lines, decode};
use step::{Acted, Failure, Permit};

use crate::plan::Refusal;

/// A changelog that was read.
#[derive(Debug)]
pub struct File {
    /// The path as it was given.
    pub path: PathBuf,
    /// The same as text.
    pub name: String,
    /// The same from the root of the git repository that it lies in, for reports.
    pub in_repository: String,
    /// Its text; what is no UTF-8 is U+FFFD.
    pub text: String,
    /// The line of the first byte that is no UTF-8.
    pub not_utf8: Option<usize>,
}

/// A larger file is no changelog, bytes. What never ends (/dev/zero, a pipe) is not read for ever.
pub const LIMIT: u64 = 64 << 20;

/// Reads a file.
pub fn read(path: &Path) -> Result<File, Failure> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| {
        let message =
            format!("{name} cannot be read: {e}; name the file, or set [product] changelog in release.toml");
        Failure::refused("unreadable", message)
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(too_large(&name));
    }
    let (text, not_utf8) = decode(bytes);
    Ok(File { in_repository: in_repository(path), path: path.to_owned(), name, text, not_utf8 })
}

/// The failure that a file is too large.
pub fn too_large(name: &str) -> Failure {
    let message = format!("{name} holds more than {} MiB: name the changelog, which is smaller", LIMIT >> 20);
    Failure::refused("too-large", message)
}

/// The path from the root of the repository, whatever folder the program was started in and however the file was named: so do the
/// readers of reports look for it. Outside of a repository the path as it was given.
fn in_repository(path: &Path) -> String {
    let given = || path.display().to_string();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(folder), Some(name)) = (fs::canonicalize(folder), path.file_name()) else { return given() };
    let root = folder.ancestors().find(|folder| folder.join(".git").exists());
    let within = root.and_then(|root| folder.strip_prefix(root).ok());
    within.map_or_else(given, |within| within.join(name).display().to_string())
}

impl File {
    /// The failure that a byte which is no text is.
    pub fn not_utf8(&self) -> Option<Failure> {
        let line = self.not_utf8?;
        let message =
            format!("{}:{line}: the text is not UTF-8; convert the file, for example with iconv", self.name);
        Some(Failure::refused("not-utf8", message))
    }

    /// Replaces the text: written beside it, then renamed over it, so that nobody ever sees half of it.
    pub fn write(&mut self, text: &str, _: &Permit) -> Result<(), Failure> {
        let failed = |e: std::io::Error| {
            Failure::failed("unwritable", format!("{} cannot be written: {e}", self.name)).acted(Acted::No)
        };
        // A link stays a link.
        let target = fs::canonicalize(&self.path).map_err(failed)?;
        if fs::read(&target).map_err(failed)? != self.text.as_bytes() {
            let message = format!("{} was changed by somebody else in the meantime; run it again", self.name);
            return Err(Failure::temporary("changed-meanwhile", message));
        }
        let folder = target.parent().unwrap_or(Path::new("."));
        let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        beside.write_all(text.as_bytes()).map_err(failed)?;
        let mode = fs::metadata(&target).map_err(failed)?.permissions();
        beside.as_file().set_permissions(mode).map_err(failed)?;
        beside.as_file().sync_all().map_err(failed)?;
        beside.persist(&target).map_err(|e| failed(e.error))?;
        // An API's "ok" is no proof: what is there now is read back.
        if fs::read(&target).map_err(failed)? != text.as_bytes() {
            let message = format!("{} does not hold what was written", self.name);
            return Err(Failure::failed("unwritable", message).acted(Acted::Yes));
        }
        text.clone_into(&mut self.text);
        Ok(())
    }

    /// `file:line:column`, the column in characters.
    pub fn place(&self, lines: &Lines, offset: usize) -> String {
        let at = lines.position(offset);
        format!("{}:{}:{}", self.name, at.line, at.column)
    }

    /// The failure that there is no section to release.
    pub fn refuse(&self, lines: &Lines, refusal: &Refusal) -> Failure {
        if refusal.usage {
            return Failure::usage(refusal.reason, refusal.message.as_str()).cause(&refusal.help);
        }
        let message = format!("{}: {}", self.place(lines, refusal.at.start), refusal.message);
        let mut failure = Failure::refused(refusal.reason, message);
        if let Some((at, what)) = &refusal.also {
            failure = failure.cause(format!("{}: {what}", self.place(lines, at.start)));
        }
        failure.cause(&refusal.help)
    }

    /// The failure that a finding is.
    pub fn failure(&self, lines: &Lines, reason: &str, finding: &Finding) -> Failure {
        let message = format!("{}: {}", self.place(lines, finding.span.start), finding.message);
        let mut failure = Failure::refused(reason, message);
        if let Some(related) = &finding.related {
            failure = failure.cause(format!("{}: {}", self.place(lines, related.span.start), related.label));
        }
        match &finding.help {
            Some(help) => failure.cause(help),
            None => failure,
        }
    }
}

/// What is there already is replaced by a report only if it is an earlier one of the same form: a changelog, settings, a link to
/// them by a slip of the keyboard are not.
pub fn may_be_replaced(path: &Path, format: Format) -> Result<(), Failure> {
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
    let earlier = read.is_ok() && report::is_one(format, &String::from_utf8_lossy(&bytes));
    let (shown, name) = (path.display(), format.name());
    let message = format!("{shown} is there already and is no {name} report: it stays as it is");
    let help = format!("name another file for the report, or remove {shown} yourself");
    if earlier { Ok(()) } else { Err(Failure::refused("report-unwritable", message).cause(help)) }
}

/// Writes a report beside its place and renames it. No secret is in it that is known here, in whatever form.
pub fn write_report(path: &Path, format: Format, text: &str, _: &Permit) -> Result<(), Failure> {
    let failed = |e: std::io::Error| {
        Failure::failed("report-unwritable", format!("{} cannot be written: {e}", path.display()))
    };
    may_be_replaced(path, format)?;
    let text = step::redact(text);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A device or a pipe is written to, not replaced.
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return fs::write(path, text).map_err(failed);
    }
    let mut beside = tempfile::Builder::new().permissions(open_mode()).tempfile_in(folder).map_err(failed)?;
    beside.write_all(text.as_bytes()).map_err(failed)?;
    beside.persist(path).map(|_| ()).map_err(|e| failed(e.error))
}

/// A report is for others to read; the umask takes away what the user does not want.
fn open_mode() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

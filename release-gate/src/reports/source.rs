//! Where a report comes from: a plain file of a bounded size, told by its first bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// No report is larger: what is, was written by something that has gone wild.
const LARGEST: u64 = 200 << 20;
/// So much is read at once.
pub const CHUNK: usize = 64 << 10;

/// What a report is read from.
pub type Source<R> = BufReader<Limited<R>>;

/// Opens a regular file, and neither a link nor anything that would wait for a writer.
pub fn open(path: &Path) -> Result<File, String> {
    let about = fs::symlink_metadata(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "not there: the command has written none".into(),
        _ => unreadable(&e),
    })?;
    if about.is_symlink() {
        return Err("a symbolic link; name the file itself".into());
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| unreadable(&e))?;
    let about = file.metadata().map_err(|e| unreadable(&e))?;
    match about.len() {
        _ if about.is_dir() => Err("a folder; name the file in it".into()),
        _ if !about.is_file() => Err("no regular file".into()),
        0 => Err(EMPTY.into()),
        size if size > LARGEST => Err(too_large()),
        _ => Ok(file),
    }
}

/// The folder that files are named from: the repository's, else the current one.
pub fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&here).to_path_buf()
}

/// Reads up to the first byte that tells something, and leaves it there.
pub fn begin<R: Read>(reader: R) -> Result<(Source<R>, u8), String> {
    let mut source = BufReader::with_capacity(CHUNK, Limited { inner: reader, left: LARGEST });
    if source.fill_buf().map_err(|e| unreadable(&e))?.starts_with(b"\xef\xbb\xbf") {
        source.consume(3);
    }
    loop {
        let head = source.fill_buf().map_err(|e| unreadable(&e))?;
        let length = head.len();
        match head.iter().position(|b| !b.is_ascii_whitespace()) {
            Some(at) => {
                let first = head[at];
                source.consume(at);
                return Ok((source, first));
            }
            None if length == 0 => return Err(EMPTY.into()),
            None => source.consume(length),
        }
    }
}

/// What begins with neither JSON nor XML.
pub fn unknown(source: &mut impl BufRead) -> String {
    let head = source.fill_buf().unwrap_or_default();
    let text = match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "UTF-16; have the tool write the file itself, without a shell's `>`"
        }
        [0x1f, 0x8b, ..] => "compressed; unpack it first",
        [b'P', b'K', ..] => {
            "a zip archive; if it is a blob of Playwright, make a report of all: npx playwright merge-reports --reporter json"
        }
        _ => {
            "neither JSON nor XML; have the tool write the file itself, so that no other output gets into it"
        }
    };
    text.into()
}

pub const EMPTY: &str = "empty: the tool ended before it wrote one";

pub fn unreadable(error: &io::Error) -> String {
    // What was made here is a sentence already.
    match error.get_ref() {
        Some(own) => own.to_string(),
        None => format!("unreadable: {}", error.kind()),
    }
}

fn too_large() -> String {
    format!("larger than {} MiB", LARGEST >> 20)
}

/// Ends with an error behind so many bytes, so that a file that grows is not read for ever.
pub struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| io::Error::other(too_large()))?;
        Ok(read)
    }
}

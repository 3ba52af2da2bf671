//! What comes from outside, bounded while it is read: a list of no more entries than were asked for, a file that is one and is small.

use std::fs::File;
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// No file that is named in the settings is larger.
const FILE: u64 = 1 << 20;

/// A list of at most so many entries: a longer one is not read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded<T, const MOST: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List(PhantomData))
    }
}

struct List<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
    type Value = Bounded<T, MOST>;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "a list of at most {MOST} entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = all.next_element()? {
            if items.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            items.push(item);
        }
        Ok(Bounded(items))
    }
}

/// Reads a file of at most 1 MiB. Nobody waits for a pipe that nobody writes to, and a device has no end.
pub fn small_file(path: &Path) -> Result<Vec<u8>, String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let unreadable = |e: std::io::Error| e.to_string();
    let file = File::from(open(path, flags, Mode::empty()).map_err(|e| unreadable(e.into()))?);
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE { Err("it is larger than 1 MiB".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_it_must() {
        let read = |text: &str| serde_json::from_str::<Bounded<u8, 2>>(text);
        assert_eq!(read("[1,2]").expect("two").0, [1, 2]);
        for text in ["[1,2,3]", "[1,2,3", "{}", "1", "null"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_regular_file_that_is_small_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("small"), "text").expect("a file");
        let size = usize::try_from(FILE).expect("a size");
        std::fs::write(at("most"), vec![0; size]).expect("a file");
        std::fs::write(at("large"), vec![0; size + 1]).expect("a file");
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo");
        assert!(made.success());
        assert_eq!(small_file(&at("small")).as_deref(), Ok(&b"text"[..]));
        assert!(small_file(&at("most")).is_ok());
        for (path, why) in [
            (at("large"), "larger than 1 MiB"),
            (at("pipe"), "no regular file"),
            (folder.path().to_owned(), "no regular file"),
            (Path::new("/dev/zero").to_owned(), "no regular file"),
            (at("absent"), "No such file"),
        ] {
            let said = small_file(&path).expect_err("no file");
            assert!(said.contains(why), "{path:?}: {said}");
        }
    }
}

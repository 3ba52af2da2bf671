//! The selectors of one kind, as many as there are: they lie in a file without a name (in memory while they are few), so that a
//! million pages take no more memory than a hundred, and can be counted before the first one is purged.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Seek, Write};

use step::Failure;
use tempfile::SpooledTempFile;
use url::Url;

use crate::select::{self, Kind};

/// Up to this many bytes stay in memory.
const IN_MEMORY: usize = 64 << 10;
/// Doubles are found among this many at a time: all of them in a list that is shorter, and purging twice is harmless.
const WINDOW: usize = 100_000;
/// So many are kept to be shown, and so many pages to be asked afterwards.
pub const SHOWN: usize = 20;

/// Selectors of one kind.
pub struct List {
    pub kind: Kind,
    pub count: u64,
    /// The first ones, in order.
    pub first: Vec<String>,
    /// The longest one: what no batch may be too small for.
    pub longest: String,
    /// What all of them begin with, cut at a `/`.
    pub common: String,
    /// Those with the smallest hashes: a sample that is spread evenly, and the same one each time.
    sample: BTreeMap<u64, String>,
    file: SpooledTempFile,
    seen: HashSet<u128>,
    hashers: [RandomState; 2],
}

impl List {
    pub fn new(kind: Kind) -> Self {
        List {
            kind,
            count: 0,
            first: Vec::new(),
            longest: String::new(),
            common: String::new(),
            sample: BTreeMap::new(),
            file: SpooledTempFile::new(IN_MEMORY),
            seen: HashSet::new(),
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Adds one, unless it is there already.
    pub fn push(&mut self, item: &str) -> Result<(), Failure> {
        let [high, low] = self.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(item)));
        if self.seen.len() >= WINDOW {
            self.seen.clear();
        }
        if !self.seen.insert(high << 64 | low) {
            return Ok(());
        }
        self.file
            .write_all(item.as_bytes())
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|e| lost(&e))?;
        self.shrink_common(item);
        if item.len() > self.longest.len() {
            item.clone_into(&mut self.longest);
        }
        if self.first.len() < SHOWN {
            self.first.push(item.to_owned());
        }
        self.add_sample(item);
        self.count += 1;
        Ok(())
    }

    /// Pages to ask afterwards: all of them when they are few, else an even sample.
    pub fn probes(&self) -> Vec<String> {
        if self.count <= SHOWN as u64 { self.first.clone() } else { self.sample.values().cloned().collect() }
    }

    /// Everything is read: doubles need not be known any more.
    pub fn seal(&mut self) {
        self.seen = HashSet::new();
    }

    /// Reads them from the beginning.
    pub fn read(&mut self) -> Result<impl Iterator<Item = Result<String, Failure>> + Send + '_, Failure> {
        self.file.rewind().map_err(|e| lost(&e))?;
        Ok(BufReader::new(&mut self.file).lines().map(|line| line.map_err(|e| lost(&e))))
    }

    fn shrink_common(&mut self, item: &str) {
        if self.count == 0 {
            item.clone_into(&mut self.common);
        }
        let same = self.common.bytes().zip(item.bytes()).take_while(|(a, b)| a == b).count();
        let slash = self.common.as_bytes()[..same].iter().rposition(|byte| *byte == b'/');
        let cut = slash.map_or(0, |at| at + 1);
        self.common.truncate(cut);
    }

    fn add_sample(&mut self, item: &str) {
        let hash = fnv(item);
        let full = self.sample.len() >= SHOWN;
        if full && self.sample.last_key_value().is_some_and(|(largest, _)| hash >= *largest) {
            return;
        }
        self.sample.insert(hash, item.to_owned());
        if self.sample.len() > SHOWN {
            self.sample.pop_last();
        }
    }
}

/// FNV-1a with a last stir, so that the smallest hashes are no neighbours: the same in every run, unlike the standard library's.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn lost(error: &std::io::Error) -> Failure {
    let message = format!("the list of pages cannot be kept in a temporary file: {error}");
    Failure::temporary("list", message).next("see that TMPDIR has room")
}

/// All selectors of a run, by kind.
pub struct Lists(Vec<List>);

impl Lists {
    pub fn new() -> Self {
        Lists(Kind::ALL.map(List::new).into())
    }

    pub fn push(&mut self, kind: Kind, item: &str) -> Result<(), Failure> {
        self.0.iter_mut().filter(|list| list.kind == kind).try_for_each(|list| list.push(item))
    }

    /// Those that hold something.
    pub fn full(&self) -> impl Iterator<Item = &List> {
        self.0.iter().filter(|list| list.count > 0)
    }

    pub fn full_mut(&mut self) -> impl Iterator<Item = &mut List> {
        self.0.iter_mut().filter(|list| list.count > 0)
    }

    pub fn pages(&self) -> Option<&List> {
        self.full().find(|list| list.kind == Kind::Url)
    }

    /// Whether a page goes for certain when all of them are purged.
    pub fn cover(&self, page: &Url) -> bool {
        let one = |list: &List| match list.kind {
            // Many pages are asked by a sample of themselves.
            Kind::Url if list.count > SHOWN as u64 => true,
            Kind::Everything => true,
            Kind::Tag => false,
            kind => list.first.iter().any(|item| select::covers(kind, item, page)),
        };
        self.full().any(one)
    }

    /// `3 pages and 1 tag`.
    pub fn counted(&self) -> String {
        self.full().map(|list| list.kind.counted(list.count)).collect::<Vec<_>>().join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: impl IntoIterator<Item = String>) -> List {
        let mut list = List::new(Kind::Url);
        items.into_iter().try_for_each(|item| list.push(&item)).expect("kept");
        list.seal();
        list
    }

    #[test]
    fn a_list_is_read_back_in_order_without_doubles_as_often_as_needed() {
        let page = |n: usize| format!("https://shop.example/p/{n}");
        let mut list = list((0..5000).chain(0..5000).map(page));
        assert_eq!((list.count, list.first.len(), list.probes().len()), (5000, SHOWN, SHOWN));
        for _ in 0..2 {
            let back: Vec<String> = list.read().expect("read").map(|i| i.expect("a line")).collect();
            assert!(back.into_iter().eq((0..5000).map(page)));
        }
        assert_eq!(list.common, "https://shop.example/p/");
    }

    #[test]
    fn a_few_are_all_asked_and_many_by_an_even_sample() {
        let page = |n: usize| format!("https://shop.example/p/{n}");
        assert_eq!(list((0..3).map(page)).probes(), (0..3).map(page).collect::<Vec<_>>());
        let sample = list((0..10_000).map(page)).probes();
        let number = |page: &String| page.rsplit('/').next().and_then(|n| n.parse::<usize>().ok());
        let upper = sample.iter().filter_map(number).filter(|n| *n >= 5000).count();
        assert!((4..=16).contains(&upper), "{sample:?}");
    }
}

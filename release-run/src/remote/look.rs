//! A look at the remote: one conversation that brings whatever is new of this product. Whoever may push can push what no fetch ends with,
//! or what no file here can be called: then the names are asked for first, and what does not come is left out, and named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use git_program::Git;
use step::Failure;

use super::read::{Index, Skipped};
use super::{LOOK, Remote};
use crate::names::{Name, ROOT};

/// A part of what is new may take so long, where all of it did not come.
const PART: Duration = Duration::from_secs(5);
/// And all parts together.
const PARTS: Duration = Duration::from_secs(60);
/// What git leaves behind when it is killed is not written to for so long before it is removed.
const LEFT: Duration = Duration::from_secs(120);

/// Why something is passed over.
const UNFETCHED: &str = "it cannot be fetched";

/// A ref of the remote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    id: String,
    name: String,
}

/// What the remote lists: what may be fetched, and what is passed over.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listing {
    good: Vec<Listed>,
    skipped: Vec<Skipped>,
}

impl Remote<'_> {
    /// Looks: one conversation that brings whatever is new.
    pub fn look(&self) -> Result<Index, Failure> {
        self.look_by(&self.git)
    }

    /// The same although a signal came.
    pub(super) fn look_regardless(&self) -> Result<Index, Failure> {
        self.look_by(&self.git.clone().regardless())
    }

    fn look_by(&self, git: &Git) -> Result<Index, Failure> {
        self.sweep();
        if self.held_back().is_empty() {
            match self.fetch_all(git) {
                Ok(()) => {
                    self.note_failed(&BTreeMap::new())?;
                    return self.index_by(git, Vec::new());
                }
                Err((failure, false)) => return Err(failure),
                Err((_, true)) => {}
            }
        }
        self.context.voice.progress("something on the remote does not come: looking for it piece by piece");
        let skipped = self.piece_by_piece(git)?;
        self.index_by(git, skipped)
    }

    /// Below which names everything of this product lies; those of earlier versions had none.
    pub(super) fn below(&self) -> [String; 4] {
        let product = &self.product;
        [
            format!("{ROOT}/v2/{product}/"),
            format!("{ROOT}/lock/"),
            format!("{ROOT}/hold/"),
            format!("{ROOT}/runs/"),
        ]
    }

    fn fetch(
        &self,
        git: &Git,
        more: &[&str],
        input: &[u8],
        within: Duration,
    ) -> Result<git_program::Said, Failure> {
        let fixed = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-filter",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ];
        git.clone().within(within).run(&[&fixed, more].concat(), input)
    }

    /// All of it at once; where that fails, whether it is for what the remote has, and not because it cannot be reached.
    fn fetch_all(&self, git: &Git) -> Result<(), (Failure, bool)> {
        let began = SystemTime::now();
        let specs = self.below().map(|below| format!("+{below}*:{below}*"));
        let words: Vec<&str> = ["--prune", "--", self.place.source()]
            .into_iter()
            .chain(specs.iter().map(String::as_str))
            .collect();
        match self.fetch(git, &words, b"", LOOK) {
            Ok(said) if said.status.success() => Ok(()),
            Ok(said) => {
                let failure = self.place.unreadable(&self.git, &said);
                let passing = failure.reason == "remote-unreachable";
                Err((failure, passing))
            }
            Err(failure) => {
                let came = failure.is_deadline() && self.parts().any(|(_, written)| written >= began);
                Err((self.silent(&failure), came))
            }
        }
    }

    fn silent(&self, failure: &Failure) -> Failure {
        let message = format!("the remote {} has not answered in {} s", self.name(), LOOK.as_secs());
        Failure::temporary("remote-unreachable", message).cause(&failure.message)
    }

    /// What the remote has, by its list; what does not come is found by halves. What was passed over.
    fn piece_by_piece(&self, git: &Git) -> Result<Vec<Skipped>, Failure> {
        let quick = git.clone().within(LOOK);
        let refs = quick
            .remote_refs(&self.place, &[&format!("{ROOT}/*")])
            .map_err(|f| if f.is_deadline() { self.silent(&f) } else { f })?;
        let held_back = self.held_back();
        let Listing { good, mut skipped } = listing(&refs, &self.below(), &held_back);
        let end = Instant::now() + PARTS;
        let known = self.here(git, &good)?;
        let (here, new): (Vec<Listed>, Vec<Listed>) =
            good.into_iter().partition(|listed| known.contains(&listed.id));
        let mut bad = Vec::new();
        self.fetch_parts(git, &new, end, &mut bad)?;
        let bad_ids: BTreeSet<&str> = bad.iter().map(|listed| listed.id.as_str()).collect();
        let came: Vec<&Listed> =
            here.iter().chain(new.iter().filter(|listed| !bad_ids.contains(listed.id.as_str()))).collect();
        self.settle(git, &came)?;
        self.note_failed(&self.still_failed(&refs, &bad_ids, &held_back))?;
        skipped.extend(bad.iter().map(|listed| Skipped::new(&listed.id, &listed.name, UNFETCHED)));
        Ok(skipped)
    }

    /// Fetches some; what fails alone is bad. What there was no time for is, too.
    fn fetch_parts(
        &self,
        git: &Git,
        some: &[Listed],
        end: Instant,
        bad: &mut Vec<Listed>,
    ) -> Result<(), Failure> {
        if some.is_empty() {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now()).min(PART);
        let specs: String = some.iter().map(|listed| format!("+{0}:{0}\n", listed.name)).collect();
        let words = ["--stdin", "--", self.place.source()];
        let came = !left.is_zero()
            && match self.fetch(git, &words, specs.as_bytes(), left) {
                Ok(said) => said.status.success(),
                Err(failure) if failure.is_deadline() => false,
                Err(failure) => return Err(failure),
            };
        if came {
            return Ok(());
        }
        if some.len() == 1 || left.is_zero() {
            bad.extend(some.iter().cloned());
            return Ok(());
        }
        let (one, other) = some.split_at(some.len() / 2);
        self.fetch_parts(git, one, end, bad)?;
        self.fetch_parts(git, other, end, bad)
    }

    /// Which of them are here already.
    fn here(&self, git: &Git, listed: &[Listed]) -> Result<BTreeSet<String>, Failure> {
        let ids: String = listed.iter().map(|listed| format!("{}\n", listed.id)).collect();
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let said = git.ask(&["cat-file", "--batch-check=%(objectname) %(objecttype)"], ids.as_bytes())?;
        let there = |line: &str| {
            line.split_once(' ').filter(|(_, kind)| *kind != "missing").map(|(id, _)| id.to_owned())
        };
        Ok(said.text().lines().filter_map(there).collect())
    }

    /// The tags of a version and its candidates, each with the commit that it leads to.
    ///
    /// # Errors
    /// As [`Git::remote_refs`].
    pub fn tags_of(&self, version: &str) -> Result<BTreeMap<String, String>, Failure> {
        let patterns = [format!("refs/tags/v{version}"), format!("refs/tags/v{version}*")];
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let refs = self.git.clone().within(LOOK).remote_refs(&self.place, &patterns)?;
        let mut tags = BTreeMap::new();
        // An annotated tag comes twice: itself, then the commit that it leads to.
        for (id, name) in refs {
            let Some(name) = name.strip_prefix("refs/tags/") else { continue };
            tags.insert(name.strip_suffix("^{}").unwrap_or(name).to_owned(), id);
        }
        Ok(tags)
    }

    /// The refs here become those that the remote has, as far as they came.
    fn settle(&self, git: &Git, came: &[&Listed]) -> Result<(), Failure> {
        let said = git.ask(&["for-each-ref", "--format=%(refname)", ROOT], b"")?;
        let names: BTreeSet<&str> = came.iter().map(|listed| listed.name.as_str()).collect();
        let text = said.text();
        let gone = text.lines().filter(|name| !names.contains(name)).map(|name| format!("delete {name}\n"));
        let set = came.iter().map(|listed| format!("update {} {}\n", listed.name, listed.id));
        for orders in [gone.collect::<String>(), set.collect()] {
            if !orders.is_empty() {
                git.ask(&["update-ref", "--stdin"], orders.as_bytes())?;
            }
        }
        Ok(())
    }

    /// What git has begun to write here and not finished, and when it last did.
    fn parts(&self) -> impl Iterator<Item = (PathBuf, SystemTime)> {
        let entries =
            std::fs::read_dir(self.own.join("seen.git/objects/pack")).into_iter().flatten().flatten();
        let parts = entries.filter(|e| e.file_name().to_string_lossy().starts_with("tmp_"));
        parts.filter_map(|e| Some((e.path(), e.metadata().ok()?.modified().ok()?)))
    }

    /// Removes what a git that was killed has left behind.
    fn sweep(&self) {
        let old = |written: SystemTime| written.elapsed().is_ok_and(|age| age > LEFT);
        for (part, _) in self.parts().filter(|(_, written)| old(*written)) {
            // It is only about the room that it takes.
            let _ = std::fs::remove_file(part);
        }
    }
}

/// What of a remote's list may be fetched. Pure.
fn listing(refs: &[(String, String)], below: &[String], held_back: &BTreeSet<String>) -> Listing {
    let mut listing = Listing::default();
    let ours = |name: &str| below.iter().any(|below| name.starts_with(below.as_str()));
    for (id, name) in refs.iter().filter(|(_, name)| ours(name)) {
        if Name::parse(name).is_none() {
            listing.skipped.push(Skipped::new(id, name, super::read::NO_NAME));
        } else if held_back.contains(id) {
            listing.skipped.push(Skipped::new(id, name, UNFETCHED));
        } else {
            listing.good.push(Listed { id: id.clone(), name: name.clone() });
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_called_so_here_or_did_not_come_is_passed_over() {
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        let refs = [
            pair("aa", "refs/rilis/v2/shop/production/lock"),
            pair("bb", &format!("refs/rilis/v2/shop/{}", "x/".repeat(2000))),
            pair("cc", "refs/rilis/v2/shop/production/hold"),
            pair("dd", "refs/rilis/v2/blog/production/hold"),
        ];
        let below = ["refs/rilis/v2/shop/".to_owned()];
        let found = listing(&refs, &below, &BTreeSet::from(["cc".to_owned()]));
        assert_eq!(found.good, [Listed { id: "aa".into(), name: refs[0].1.clone() }]);
        assert_eq!(found.skipped.len(), 2, "{found:?}");
        assert!(found.skipped.iter().all(|name| name.to_string().len() < 300), "{found:?}");
    }
}

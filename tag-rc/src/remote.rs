//! What the remote has, as `git ls-remote` tells it: the one truth about numbers and existence. Pure.

use std::collections::BTreeMap;

use semver::Version;

use crate::name::{Name, Style};

/// A tag of the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The object that stands under the name: the tag object of an annotated tag, else the commit.
    pub object: String,
    /// The commit that it leads to.
    pub commit: String,
}

/// A candidate among the tags.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its number.
    pub number: u64,
    /// How the number is written.
    pub style: Style,
    /// The tag.
    pub tag: &'a Tag,
}

/// All branches and tags of a remote.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    /// Branch to tip.
    pub heads: BTreeMap<String, String>,
    /// Tag by name.
    pub tags: BTreeMap<String, Tag>,
}

impl Remote {
    /// Reads lines of `ID<tab>NAME`; the peeled line of an annotated tag comes right after its own.
    pub fn parse(lines: &str) -> Self {
        let mut remote = Remote::default();
        for (id, name) in lines.lines().filter_map(|l| l.split_once('\t')) {
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                remote.heads.insert(branch.to_owned(), id.to_owned());
            } else if let Some(tag) = name.strip_prefix("refs/tags/") {
                remote.tag_line(id, tag);
            }
        }
        remote
    }

    fn tag_line(&mut self, id: &str, tag: &str) {
        if let Some(tag) = tag.strip_suffix("^{}") {
            if let Some(tag) = self.tags.get_mut(tag) {
                id.clone_into(&mut tag.commit);
            }
            return;
        }
        let new = Tag { name: tag.to_owned(), object: id.to_owned(), commit: id.to_owned() };
        self.tags.insert(tag.to_owned(), new);
    }

    /// The finals, lowest first.
    pub fn finals(&self) -> Vec<(Version, &Tag)> {
        let of = |t: &Tag| if let Some(Name::Final(v)) = Name::parse(&t.name) { Some(v) } else { None };
        let mut finals: Vec<_> = self.tags.values().filter_map(|t| Some((of(t)?, t))).collect();
        finals.sort_by(|a, b| a.0.cmp(&b.0));
        finals
    }

    /// The highest final, other than of this version.
    pub fn last_final(&self, but: Option<&Version>) -> Option<(Version, &Tag)> {
        self.finals().into_iter().rfind(|(v, _)| Some(v) != but)
    }

    /// The candidates of a version, lowest number first.
    pub fn candidates(&self, version: &Version) -> Vec<Candidate<'_>> {
        let candidates = self.of(version).filter_map(|tag| match Name::parse(&tag.name) {
            Some(Name::Candidate(v, style, number)) if v == *version => {
                Some(Candidate { number, style, tag })
            }
            _ => None,
        });
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort_by_key(|c| c.number);
        candidates
    }

    /// Tags that were meant as candidates of a version but cannot be counted.
    pub fn odd(&self, version: &Version) -> Vec<&Tag> {
        self.of(version).filter(|t| matches!(Name::parse(&t.name), Some(Name::Odd(_)))).collect()
    }

    /// Every version that has a final or a candidate, highest first.
    pub fn versions(&self) -> Vec<Version> {
        let mut all: Vec<Version> =
            self.tags.keys().filter_map(|t| Name::parse(t)).map(|n| n.version().clone()).collect();
        all.sort_by(|a, b| b.cmp(a));
        all.dedup();
        all
    }

    /// The tags whose names begin like this version's.
    fn of(&self, version: &Version) -> impl Iterator<Item = &Tag> {
        let start = format!("v{version}");
        self.tags.range(start.clone()..).map(|(_, t)| t).take_while(move |t| t.name.starts_with(&start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotated_tags_lead_to_their_commits_and_numbers_are_numbers() {
        let remote = Remote::parse(
            "aa\trefs/heads/main\nbb\trefs/heads/feature/x\n11\trefs/tags/v1.2.0-rc10\nc1\trefs/tags/v1.2.0-rc10^{}\n\
             12\trefs/tags/v1.2.0-rc9\n13\trefs/tags/v1.1.0\n14\trefs/tags/v1.10.0\n15\trefs/tags/v1.2.0-rc.x\nzz\trefs/pull/1/head\n",
        );
        assert_eq!(remote.heads.len(), 2);
        let version = Version::new(1, 2, 0);
        let numbers: Vec<u64> = remote.candidates(&version).iter().map(|c| c.number).collect();
        assert_eq!(numbers, [9, 10]);
        assert_eq!(remote.tags["v1.2.0-rc10"].commit, "c1");
        assert_eq!(remote.tags["v1.2.0-rc9"].commit, "12");
        assert_eq!(remote.last_final(None).map(|f| f.0), Some(Version::new(1, 10, 0)));
        assert_eq!(
            remote.last_final(Some(&Version::new(1, 10, 0))).map(|f| f.0),
            Some(Version::new(1, 1, 0))
        );
        assert_eq!(remote.odd(&version).len(), 1);
        assert_eq!(remote.versions().len(), 3);
    }
}

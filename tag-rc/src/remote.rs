//! What the remote has, as `git ls-remote` tells it: the one truth about numbers and existence. Pure.

use std::collections::BTreeMap;

use semver::Version;

use crate::name::{self, Name, Style};

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

impl Tag {
    /// It is a name for a commit and nothing else: it does not say who made it, when or from which run.
    pub fn is_lightweight(&self) -> bool {
        self.object == self.commit
    }
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

    /// The finals, lowest first. Those without the `v` count where there are no others: beside them they are somebody else's.
    pub fn finals(&self) -> Vec<(Version, &Tag)> {
        let (ours, others): (Vec<_>, Vec<_>) = self.all_finals().partition(|(_, t)| t.name.starts_with('v'));
        let mut finals = if ours.is_empty() { others } else { ours };
        finals.sort_by(|a, b| a.0.cmp(&b.0));
        finals
    }

    /// The highest final that is written without the `v`.
    pub fn highest_otherwise(&self) -> Option<(Version, &Tag)> {
        self.all_finals().filter(|(_, t)| !t.name.starts_with('v')).max_by(|a, b| a.0.cmp(&b.0))
    }

    /// However they are written, but without days that look like versions, such as `2026.11.27`.
    fn all_finals(&self) -> impl Iterator<Item = (Version, &Tag)> {
        let of = |t: &Tag| if let Some(Name::Final(v)) = Name::parse(&t.name) { Some(v) } else { None };
        let is_day = |v: &Version, t: &Tag| v.major >= 1900 && !t.name.starts_with('v');
        self.tags.values().filter_map(move |t| Some((of(t)?, t))).filter(move |(v, t)| !is_day(v, t))
    }

    /// The highest final, other than of this version.
    pub fn last_final(&self, but: Option<&Version>) -> Option<(Version, &Tag)> {
        self.finals().into_iter().rfind(|(v, _)| Some(v) != but)
    }

    /// The final of a version, however its name is written; with the `v` if there are both.
    pub fn final_of(&self, version: &Version) -> Option<&Tag> {
        self.of(version).find(|t| Name::parse(&t.name) == Some(Name::Final(version.clone())))
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
        self.of(version).filter(|t| Name::parse(&t.name) == Some(Name::Odd(version.clone()))).collect()
    }

    /// Every version that has a final or a candidate, highest first.
    pub fn versions(&self) -> Vec<Version> {
        let mut all: Vec<Version> =
            self.tags.keys().filter_map(|t| Name::parse(t)).map(|n| n.version().clone()).collect();
        all.sort_by(|a, b| b.cmp(a));
        all.dedup();
        all
    }

    /// Tags of a version that others write without the `v`, or with a large one.
    pub fn written_otherwise(&self, version: &Version) -> Vec<&Tag> {
        self.of(version).filter(|t| !t.name.starts_with('v') && is_of(t, version)).collect()
    }

    /// Tags that read like this version but are not counted.
    pub fn like(&self, version: &Version) -> Vec<&Tag> {
        self.tags.values().filter(|t| name::resembles(&t.name, version)).collect()
    }

    /// The tags whose names begin like this version's.
    fn of(&self, version: &Version) -> impl Iterator<Item = &Tag> {
        ["v", "", "V"].into_iter().flat_map(move |letter| {
            let start = format!("{letter}{version}");
            self.tags.range(start.clone()..).map(|(_, t)| t).take_while(move |t| t.name.starts_with(&start))
        })
    }
}

fn is_of(tag: &Tag, version: &Version) -> bool {
    Name::parse(&tag.name).is_some_and(|name| name.version() == version)
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

    #[test]
    fn what_others_write_without_the_letter_counts_too() {
        let remote = Remote::parse(
            "11\trefs/tags/1.2.0-rc0\n12\trefs/tags/1.2.0-rc3\n13\trefs/tags/V1.1.0\n14\trefs/tags/v1.2.0-rc2\n15\trefs/tags/1.20.0\n\
             16\trefs/tags/1.2.0\n17\trefs/tags/v1.2.0\n18\trefs/tags/release-1.2.0\n19\trefs/tags/1.2.0-beta\n",
        );
        let version = Version::new(1, 2, 0);
        let names = |tags: Vec<&Tag>| tags.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
        let numbers: Vec<u64> = remote.candidates(&version).iter().map(|c| c.number).collect();
        assert_eq!(numbers, [0, 2, 3]);
        assert_eq!(remote.final_of(&version).map(|t| t.name.as_str()), Some("v1.2.0"));
        assert_eq!(remote.final_of(&Version::new(1, 1, 0)).map(|t| t.name.as_str()), Some("V1.1.0"));
        assert_eq!(names(remote.written_otherwise(&version)), ["1.2.0", "1.2.0-rc0", "1.2.0-rc3"]);
        assert_eq!(names(remote.like(&version)), ["1.2.0-beta", "release-1.2.0"]);
        assert_eq!(
            remote.last_final(None).map(|f| f.0),
            Some(version),
            "beside those with the letter it is no order"
        );
        assert_eq!(remote.highest_otherwise().map(|f| f.0), Some(Version::new(1, 20, 0)));
        let without = Remote::parse("11\trefs/tags/1.2.0\n12\trefs/tags/1.10.0\n13\trefs/tags/2026.11.27\n");
        assert_eq!(
            without.last_final(None).map(|f| f.0),
            Some(Version::new(1, 10, 0)),
            "a day is no version"
        );
    }
}

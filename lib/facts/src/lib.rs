//! The vocabulary that several steps share: the facts that have a shape of their own, and the build that all of them are about. Steps
//! read and write facts by these types; whatever else an object holds is kept in the document and ignored here.

mod gate;
mod migration;
mod verdict;

use serde::{Deserialize, Serialize};

use step::{Failure, Run};

pub use gate::{GATES, Gate, Waiver};
pub use migration::{Applied, AppliedFile, Locked, Migration, MigrationFile, Rewritten};
pub use verdict::{Evidence, Seen, Verdict};

/// One deployment of one application, as Coolify names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The application's uuid.
    pub application: String,
    /// The deployment's uuid.
    pub deployment: String,
}

/// `previous`: what ran before anything was changed, so that there is a way back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its version, if it could be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its commit, 40 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its image with the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The deployments that brought it.
    #[serde(default)]
    pub deployments: Vec<Deployment>,
    /// When it was seen, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<String>,
    /// Whether its image can still be had; nothing when nobody could tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<bool>,
    /// Who says so, or why it is not known: one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_note: Option<String>,
    /// What its pages answered that a build that works does not, one sentence: whoever goes back to it goes back to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// `replaces`: what a rollback leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaces {
    /// The id of the run that had brought it, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When its deployment started, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<String>,
}

/// `candidate`: the build that was tested, by the evidence of the environment in which it ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it ran.
    pub environment: String,
    /// Its version with the candidate's number, such as `1.2.0-rc2`, if its image or its pages tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its commit, if Coolify or its pages tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its images, by digest where a registry tells; none where Coolify builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Since when it ran there, RFC 3339.
    pub since: String,
    /// Why another image than this one is released, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
}

impl Candidate {
    /// What its pages may call themselves.
    pub fn names(&self) -> Vec<String> {
        self.version.iter().chain(&self.commit).cloned().collect()
    }
}

/// `snapshot`: the recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What kind of snapshot it is: `archive`, `database`, `supabase`.
    pub source: String,
    /// Its name at that source.
    pub id: String,
    /// The instant whose data it holds, RFC 3339.
    pub taken_at: String,
}

/// `rehearsal`: the snapshot was restored beside the live database and verified, before it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The snapshot's id.
    pub snapshot: String,
    /// Until when it is younger than the RPO, RFC 3339.
    pub until: String,
    /// How long the restore and its verification took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Why it could not be rehearsed, where the kind of snapshot does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
}

/// `edge`: the edge was asked. Only a purge proves that it takes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Whose edge it is.
    pub driver: String,
    /// What was seen, one sentence.
    pub seen: String,
}

/// `loss`: the writes that a restored database does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// From here on writes are missing (the snapshot's instant), RFC 3339.
    pub from: String,
    /// Up to here (the last instant at which the old database was written), RFC 3339.
    pub to: String,
    /// The time between the two in seconds.
    pub seconds: u64,
    /// Rows that only the old database has, if they could be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Where the old database is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<String>,
}

/// The build that shall be live afterwards, by every name it has; what a page says of itself is held against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// `1.2.0`.
    pub version: Option<String>,
    /// `v1.2.0-rc1`.
    pub tag: Option<String>,
    /// 40 hex digits.
    pub commit: Option<String>,
    /// `registry.example/shop:1.2.0`.
    pub image: Option<String>,
    /// What its image calls itself besides, because it was built as a candidate.
    pub also: Vec<String>,
}

impl Build {
    /// The build that the document's facts name.
    ///
    /// # Errors
    /// `refused` when one of the facts is not a string.
    pub fn of(run: &Run) -> Result<Self, Failure> {
        let image: Option<String> = run.fact("image")?;
        let candidate: Option<Candidate> = run.fact("candidate")?;
        let same = candidate.filter(|c| image.as_ref().is_some_and(|image| c.images.contains(image)));
        Ok(Build {
            version: run.fact("version")?,
            tag: run.fact("tag")?,
            commit: run.fact("commit")?,
            also: same.map(|c| c.names()).unwrap_or_default(),
            image,
        })
    }

    /// Whether a page that calls itself `seen` is this build. A commit (at least 12 hex digits) is held against the
    /// commit; anything else against the image's tag, else the git tag, else the version, each without a leading `v`.
    pub fn is(&self, seen: &str) -> bool {
        let seen = seen.trim();
        let hex = seen.len() >= 12 && seen.bytes().all(|b| b.is_ascii_hexdigit());
        if self.also.iter().any(|name| bare(name) == bare(seen) || (hex && name.starts_with(seen))) {
            return true;
        }
        if let (true, Some(commit)) = (hex, &self.commit) {
            return commit.starts_with(seen);
        }
        self.name().is_some_and(|name| bare(name) == bare(seen))
    }

    /// The most exact name that is not a commit.
    pub fn name(&self) -> Option<&str> {
        // A digest is exact, but no page calls itself so.
        let by_tag = self.image.as_deref().filter(|image| !image.contains('@'));
        let image_tag = by_tag.and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag);
        image_tag.or(self.tag.as_deref()).or(self.version.as_deref())
    }
}

fn bare(name: &str) -> &str {
    name.strip_prefix('v').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_held_against_the_most_exact_name() {
        let build = |version: &str, tag: &str, image: &str| Build {
            version: Some(version.into()),
            tag: Some(tag.into()),
            commit: Some("9f2c41d07ab3".repeat(4)[..40].into()),
            image: Some(image.into()),
            also: Vec::new(),
        };
        let candidate = build("1.2.0", "v1.2.0-rc1", "r.example/shop:v1.2.0-rc1");
        assert!(candidate.is("1.2.0-rc1"));
        assert!(!candidate.is("1.2.0"), "the final is not its candidate");
        let last = build("1.2.0", "v1.2.0", "r.example:5000/shop:1.2.0");
        assert!(last.is("v1.2.0") && last.is(" 1.2.0 ") && !last.is("1.2.0-rc1") && !last.is(""));
        assert!(last.is("9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c"));
        assert!(!last.is("8f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c"));
        assert!(!Build::default().is(""), "no evidence is never yes");
        let promoted = Build {
            also: vec!["1.2.0-rc1".into(), "51aa".repeat(10)],
            ..build("1.2.0", "v1.2.0", "r.example/shop@sha256:ab")
        };
        assert!(promoted.is("v1.2.0-rc1") && promoted.is(&"51aa".repeat(3)) && promoted.is("1.2.0"));
        assert!(!promoted.is("1.2.0-rc2") && !promoted.is("51aa") && !promoted.is(""));
    }
}

//! What a decision is made from: the tag that is wanted, and what was seen of the clone and of the remote.

use facts::{Candidate, GATES, Gate};
use semver::Version;
use step::{Failure, Run};

use crate::base::{Base, Built};
use crate::git::{Head, Relation, TagObject};
use crate::message::Trailers;
use crate::name::Style;
use crate::promotion::Proof;
use crate::remote::{Remote, Tag};

/// The tag that is wanted, before it is known whether it may be made.
#[derive(Clone, Debug)]
pub struct Target {
    /// The version.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// A candidate's number and style.
    pub number: Option<(u64, Style)>,
    /// The branch whose tip is tagged.
    pub branch: String,
    /// The remote has it, on this commit.
    pub there: Option<Tag>,
    /// The last candidate of the version: what a final is held against.
    pub candidate: Option<Tag>,
    /// The highest other final; of a hotfix, the one that it is built on.
    pub last_final: Option<(Version, Tag)>,
    /// What a hotfix is built on.
    pub base: Option<Base>,
}

/// What this run may count as its own: a tag that an earlier attempt of it has pushed.
pub type Mine = Option<String>;

/// Where the notes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notes {
    /// The changelog was read in this run.
    There(String),
    /// Steps ran before, and none of them wrote any.
    Missing,
    /// This step opens the document: nobody has read a changelog.
    ByHand,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What is checked out.
    pub head: Head,
    /// Paths that differ from the commit.
    pub dirty: Vec<String>,
    /// A merge, rebase or the like that is going on.
    pub busy: Option<&'static str>,
    /// The commit against the remote's branch.
    pub relation: Relation,
    /// The tags and branches of the remote.
    pub remote: Remote,
    /// The final against its candidate.
    pub proof: Proof,
    /// Whether the commit has everything that the last final has; `None` if it cannot be told.
    pub has_last_final: Option<bool>,
    /// A hotfix against its base.
    pub built: Built,
    /// What the tag says that a hotfix's commit has already.
    pub claims: Option<Trailers>,
    /// What stands under the tag's name here.
    pub local: Option<TagObject>,
    /// The notes.
    pub notes: Notes,
    /// Who the tag would be by.
    pub identity: Result<String, Failure>,
    /// Whether the tag that is there already is signed, where that is needed.
    pub signature: Option<Result<String, Failure>>,
    /// The facts `tag` and `commit`, if an earlier step wrote them.
    pub facts: (Option<String>, Option<String>),
    /// The fact `candidate`: what was tested.
    pub tested: Option<Candidate>,
    /// Things around us that make others misread a tag.
    pub surroundings: Vec<Warning>,
    /// The document's id.
    pub run: String,
    /// What the gates before it have said that the tag keeps.
    pub gates: Gates,
}

/// What the gates of this run have said that a tag keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Those that did not say yes, and who went on all the same.
    pub waived: Vec<String>,
    /// The head of the approvals.
    pub approvals: Option<String>,
}

impl Gates {
    /// By the document.
    pub fn of(run: &Run) -> Result<Self, Failure> {
        let mut all = Gates::default();
        for name in GATES {
            let Some(gate) = run.fact::<Gate>(name)? else { continue };
            if let Some(waiver) = gate.waived {
                all.waived.push(format!("{name} ({}), {}: {}", gate.verdict, waiver.by, waiver.reason));
            }
            let head =
                gate.details.get("head").and_then(|head| head.as_str()).filter(|head| !head.is_empty());
            all.approvals = all.approvals.or_else(|| head.map(str::to_owned));
        }
        Ok(all)
    }
}

/// Something that a person should know, with a stable word.
pub type Warning = (&'static str, String);

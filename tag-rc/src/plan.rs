//! Which tag it shall be, and whether it may be made. Pure.

use semver::Version;
use serde_json::{Value, json};
use step::{Candidate, Failure};

use crate::args::{Act, Settings};
use crate::check::Checks;
use crate::gates::{checks, sorts_wrongly};
use crate::message::Trailers;
use crate::name::{self, Style};
use crate::promotion::Proof;
use crate::remote::{Remote, Tag};
use crate::repo::{Head, Relation, TagObject};

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
    /// The highest other final.
    pub last_final: Option<(Version, Tag)>,
}

/// What this run may count as its own: a tag that an earlier attempt of it has pushed.
pub type Mine = Option<String>;

/// Names the tag.
pub fn target(
    settings: &Settings,
    version: Option<Version>,
    head: &Head,
    remote: &Remote,
    mine: &Mine,
) -> Result<Target, Failure> {
    let version = version.map_or_else(|| next_patch(head, remote), Ok)?;
    let candidates = remote.candidates(&version);
    let (name, number) = if settings.act == Act::Candidate {
        let here = candidates.iter().rfind(|c| {
            c.tag.commit == head.commit && (!settings.again || mine.as_ref() == Some(&c.tag.name))
        });
        let next = candidates.last().map_or(1, |c| c.number.saturating_add(1));
        let (number, style) = here.map_or((next, settings.style), |c| (c.number, c.style));
        (style.tag(&version, number), Some((number, style)))
    } else {
        (format!("v{version}"), None)
    };
    let last = remote.last_final(Some(&version)).map(|(v, t)| (v, t.clone()));
    Ok(Target {
        there: remote.tags.get(&name).filter(|t| t.commit == head.commit).cloned(),
        branch: branch(settings, head, remote)?,
        candidate: candidates.last().map(|c| c.tag.clone()),
        last_final: last,
        version,
        name,
        number,
    })
}

/// The version of a hotfix that none was given for: the one that this commit has, else the next patch of the last final.
fn next_patch(head: &Head, remote: &Remote) -> Result<Version, Failure> {
    let finals = remote.finals();
    if let Some((here, _)) = finals.iter().rfind(|(_, tag)| tag.commit == head.commit) {
        return Ok(here.clone());
    }
    let (last, _) = finals.last().ok_or_else(no_final)?;
    Ok(Version::new(last.major, last.minor, last.patch + 1))
}

/// There is nothing that a hotfix could fix.
pub fn no_final() -> Failure {
    Failure::refused(
        "no-final",
        "the remote has no final tag yet, so there is nothing that a hotfix could fix",
    )
}

/// The branch to hold the commit against. A hotfix is on the one that is checked out, or whose tip it is.
fn branch(settings: &Settings, head: &Head, remote: &Remote) -> Result<String, Failure> {
    if let Some(branch) = settings.branch.as_ref().or(head.branch.as_ref()) {
        return Ok(branch.clone());
    }
    let patterns = &settings.strategy.hotfixes;
    let mut tips = Vec::new();
    for (name, tip) in &remote.heads {
        if *tip == head.commit && crate::repo::matches(patterns, name)? {
            tips.push(name);
        }
    }
    let message =
        "the head is detached and not the tip of exactly one hotfix branch: give --branch hotfix/NAME";
    if let [one] = tips[..] { Ok(one.clone()) } else { Err(Failure::refused("branch", message)) }
}

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
}

/// Something that a person should know, with a stable word.
pub type Warning = (&'static str, String);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The remote has it already.
    Nothing,
    /// Push the tag that a run before has made here; it carries this object.
    Push(String),
    /// Make it and push it.
    Make,
}

/// The decision, with everything that led to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tag.
    pub target: Target,
    /// What to do.
    pub deed: Deed,
    /// The message of the tag.
    pub message: String,
    /// The checks, all held.
    pub checks: Checks,
    /// What else a person should know.
    pub warnings: Vec<Warning>,
    /// The final's proof, for the record.
    pub proof: Option<Value>,
}

/// Decides.
pub fn decide(settings: &Settings, target: Target, seen: &Seen) -> Result<Plan, Failure> {
    let message = message(settings, &target, seen);
    let checks = checks(settings, &target, seen, &message);
    let proof = seen.proof.to_value();
    checks.hold().map_err(|failure| match &proof {
        Some(proof) => failure.output("promotion", proof.clone()),
        None => failure,
    })?;
    let deed = match (&target.there, &seen.local) {
        (Some(_), _) => Deed::Nothing,
        (None, Some(local)) => Deed::Push(local.object.clone()),
        (None, None) => Deed::Make,
    };
    Ok(Plan { warnings: warnings(&target, seen), deed, message, checks, proof, target })
}

fn message(settings: &Settings, target: &Target, seen: &Seen) -> String {
    let none = settings
        .no_candidate
        .as_ref()
        .filter(|_| seen.proof == Proof::NoCandidate && settings.act == Act::Final);
    let trailers = Trailers {
        run: Some(seen.run.clone()),
        branch: Some(target.branch.clone()),
        candidate: seen.proof.trailer(),
        no_candidate: none.cloned(),
    };
    let notes = if let Notes::There(notes) = &seen.notes { Some(notes.as_str()) } else { None };
    crate::message::compose(&target.name, notes, &trailers)
}

fn warnings(target: &Target, seen: &Seen) -> Vec<Warning> {
    let mut all = Vec::new();
    if let Some((number, style)) = target.number.filter(|(n, s)| !name::sorts_as_counted(*s, *n)) {
        all.push(("rc10-sorts-below-rc2", sorts_wrongly(&style.tag(&target.version, number))));
    }
    if let (Some(false), Some((last, _))) = (seen.has_last_final, &target.last_final) {
        let what =
            target.candidate.as_ref().filter(|_| target.number.is_none()).map_or(&target.branch, |c| &c.name);
        let text = format!("{what} does not have everything that v{last} has: is a hotfix missing?");
        all.push(("last-final-missing", text));
    }
    all.extend(seen.surroundings.iter().cloned());
    all
}

impl Plan {
    /// What changes, in order; the same in a plan as in the run.
    pub fn effects(&self, remote: &str, commit: &str) -> Value {
        let name = &self.target.name;
        let make = json!({ "effect": "make-tag", "tag": name, "commit": commit });
        let push = json!({ "effect": "push", "remote": remote, "ref": format!("refs/tags/{name}") });
        match self.deed {
            Deed::Nothing => json!([]),
            Deed::Push(_) => json!([push]),
            Deed::Make => json!([make, push]),
        }
    }

    /// For the record's output.
    pub fn warnings(&self) -> Value {
        self.warnings.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect()
    }
}

/// The first twelve digits of an id.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Strategy;
    use crate::promotion::Mode;

    const HEAD: &str = "1111111111111111111111111111111111111111";
    const OTHER: &str = "2222222222222222222222222222222222222222";

    fn settings(act: Act) -> Settings {
        let branch = match act {
            Act::Candidate => Some("staging".to_owned()),
            Act::Final => Some("main".to_owned()),
            Act::Hotfix => None,
        };
        Settings {
            act,
            remote: "origin".into(),
            branch,
            branch_given: false,
            allow_behind: false,
            again: false,
            retry: false,
            style: Style::Plain,
            strict_semver: false,
            ignore: Vec::new(),
            may_differ: Vec::new(),
            no_candidate: None,
            require_notes: false,
            sign: false,
            require_signed: false,
            strategy: Strategy {
                main: "main".into(),
                staging: "staging".into(),
                develop: "develop".into(),
                features: vec!["feature/*".into()],
                hotfixes: vec!["hotfix/*".into()],
            },
        }
    }

    fn remote(tags: &[(&str, &str)]) -> Remote {
        let lines: String =
            tags.iter().map(|(name, commit)| format!("{commit}\trefs/tags/{name}\n")).collect();
        Remote::parse(&format!("{HEAD}\trefs/heads/staging\n{HEAD}\trefs/heads/hotfix/pay\n{lines}"))
    }

    fn seen(act: Act, tags: &[(&str, &str)]) -> Seen {
        let branch = settings(act).branch.unwrap_or_else(|| "hotfix/pay".into());
        Seen {
            head: Head { commit: HEAD.into(), branch: Some(branch) },
            dirty: Vec::new(),
            busy: None,
            relation: Relation::Tip,
            remote: remote(tags),
            proof: Proof::NoCandidate,
            has_last_final: Some(true),
            local: None,
            notes: Notes::ByHand,
            identity: Ok("Rina <rina@luxima.example>".into()),
            signature: None,
            facts: (None, None),
            tested: None,
            surroundings: Vec::new(),
            run: "shop-1".into(),
        }
    }

    fn planned(settings: &Settings, version: Option<&str>, seen: &Seen) -> Result<Plan, Failure> {
        let target = target(settings, version.map(|v| v.parse().expect(v)), &seen.head, &seen.remote, &None)?;
        decide(settings, target, seen)
    }

    /// In a few words: what would happen, or the reason why not.
    fn decided(settings: &Settings, seen: &Seen) -> Result<String, String> {
        match planned(settings, Some("1.2.0"), seen) {
            Ok(plan) => Ok(match plan.deed {
                Deed::Nothing => format!("has {}", plan.target.name),
                Deed::Push(_) => format!("push {}", plan.target.name),
                Deed::Make => format!("make {}", plan.target.name),
            }),
            Err(failure) => Err(failure.reason.clone()),
        }
    }

    fn candidate(tags: &[(&str, &str)]) -> Result<String, String> {
        decided(&settings(Act::Candidate), &seen(Act::Candidate, tags))
    }

    #[test]
    fn numbers_are_counted_as_numbers_from_the_remote() {
        let make = |tag: &str| Ok(format!("make {tag}"));
        assert_eq!(candidate(&[]), make("v1.2.0-rc1"));
        let ten =
            [("v1.2.0-rc9", OTHER), ("v1.2.0-rc10", OTHER), ("v1.2.0-rc2", OTHER), ("v1.2.1-rc40", OTHER)];
        assert_eq!(candidate(&ten), make("v1.2.0-rc11"));
        assert_eq!(candidate(&[("v1.2.0-rc.9", OTHER)]), Err("candidate-style".into()));
        let dotted = Settings { style: Style::Dotted, ..settings(Act::Candidate) };
        assert_eq!(decided(&dotted, &seen(Act::Candidate, &[("v1.2.0-rc.9", OTHER)])), make("v1.2.0-rc.10"));
        let mixed = [("v1.2.0-rc.9", OTHER), ("v1.2.0-rc1", OTHER)];
        assert_eq!(decided(&dotted, &seen(Act::Candidate, &mixed)), Err("candidate-style".into()));
        assert_eq!(candidate(&[("v1.2.0-rc01", OTHER)]), Err("candidate-style".into()));
        assert_eq!(candidate(&[("v1.2.0-RC1", OTHER)]), Err("candidate-style".into()));
    }

    #[test]
    fn a_commit_that_carries_the_tag_is_left_alone_unless_again() {
        let tags = [("v1.2.0-rc3", HEAD), ("v1.2.0-rc4", OTHER)];
        assert_eq!(candidate(&tags), Ok("has v1.2.0-rc3".into()));
        let mut messy = seen(Act::Candidate, &tags);
        messy.dirty = vec!["a".into()];
        messy.relation = Relation::Behind;
        assert_eq!(
            decided(&settings(Act::Candidate), &messy),
            Ok("has v1.2.0-rc3".into()),
            "nothing is tagged"
        );
        let again = Settings { again: true, ..settings(Act::Candidate) };
        assert_eq!(decided(&again, &seen(Act::Candidate, &tags)), Ok("make v1.2.0-rc5".into()));
        // What this very run has pushed before it was killed counts as done.
        let seen = seen(Act::Candidate, &tags);
        let mine = Some("v1.2.0-rc3".to_owned());
        let target =
            target(&again, Some(Version::new(1, 2, 0)), &seen.head, &seen.remote, &mine).expect("a target");
        assert_eq!(target.there.map(|t| t.name), mine);
    }

    #[test]
    fn what_cannot_be_tagged_is_refused() {
        let refused = |change: fn(&mut Seen)| {
            let mut seen = seen(Act::Candidate, &[]);
            change(&mut seen);
            decided(&settings(Act::Candidate), &seen).expect_err("refused")
        };
        assert_eq!(refused(|s| s.dirty = vec!["a".into()]), "dirty");
        assert_eq!(refused(|s| s.busy = Some("merge")), "busy");
        assert_eq!(refused(|s| s.head.branch = Some("develop".into())), "branch");
        assert_eq!(refused(|s| s.relation = Relation::Behind), "behind");
        assert_eq!(refused(|s| s.relation = Relation::Ahead), "not-pushed");
        assert_eq!(refused(|s| s.relation = Relation::Diverged), "diverged");
        assert_eq!(refused(|s| s.relation = Relation::Unknown), "behind");
        assert_eq!(refused(|s| s.relation = Relation::NoBranch), "branch-missing");
        assert_eq!(refused(|s| s.remote = remote(&[("v1.2.0", OTHER)])), "already-final");
        assert_eq!(refused(|s| s.remote = remote(&[("v1.3.0", OTHER)])), "version-order");
        assert_eq!(refused(|s| s.notes = Notes::Missing), "notes-missing");
        assert_eq!(refused(|s| s.facts.0 = Some("v1.2.0".into())), "fact-conflict");
        assert_eq!(refused(|s| s.facts.1 = Some(OTHER.into())), "fact-conflict");
        assert_eq!(refused(|s| s.identity = Err(Failure::config("identity", "none"))), "identity");
    }

    #[test]
    fn a_final_is_what_was_tested_or_none() {
        let ran = |version: Option<&str>, commit: Option<&str>| {
            let mut seen = seen(Act::Final, &[("v1.2.0-rc1", OTHER), ("v1.2.0-rc2", HEAD)]);
            seen.proof = Proof::Compared {
                candidate: "v1.2.0-rc2".into(),
                mode: Mode::SameCommit,
                differs: Vec::new(),
                permitted: Vec::new(),
            };
            seen.remote.heads.insert("main".into(), HEAD.into());
            seen.tested = Some(Candidate {
                version: version.map(str::to_owned),
                commit: commit.map(str::to_owned),
                ..Candidate::default()
            });
            decided(&settings(Act::Final), &seen)
        };
        let (made, refused) = (Ok("make v1.2.0".to_owned()), Err("not-tested".to_owned()));
        assert_eq!(ran(Some("1.2.0-rc2"), None), made);
        assert_eq!(ran(None, Some(HEAD)), made);
        assert_eq!(ran(Some("1.2.0"), Some(HEAD)), made);
        assert_eq!(ran(Some("1.2.0-rc1"), None), refused);
        assert_eq!(ran(None, Some(OTHER)), refused);
        assert_eq!(ran(Some("1.2.0-rc2"), Some(OTHER)), refused, "an old page below the new tag");
        assert_eq!(ran(None, None), refused);
    }

    #[test]
    fn all_checks_are_told_whatever_failed_first() {
        let mut seen = seen(Act::Candidate, &[]);
        seen.dirty = vec!["a".into()];
        seen.relation = Relation::Behind;
        let failure = planned(&settings(Act::Candidate), Some("1.2.0"), &seen).expect_err("refused");
        let checks = failure.output["checks"].as_array().expect("checks").clone();
        seen.dirty.clear();
        seen.relation = Relation::Tip;
        let good = planned(&settings(Act::Candidate), Some("1.2.0"), &seen).expect("good");
        let names = |all: &[Value]| all.iter().map(|c| c["name"].to_string()).collect::<Vec<_>>();
        assert_eq!(names(&checks), names(good.checks.to_value().as_array().expect("checks")));
        assert!(failure.causes.iter().any(|c| c.contains("also: staging is behind")), "{:?}", failure.causes);
    }

    #[test]
    fn a_detached_head_and_a_named_branch_are_proven_by_the_tip() {
        let mut seen = seen(Act::Candidate, &[]);
        seen.head.branch = None;
        assert_eq!(decided(&settings(Act::Candidate), &seen), Ok("make v1.2.0-rc1".into()));
        seen.head.branch = Some("work".into());
        let given = Settings { branch_given: true, ..settings(Act::Candidate) };
        assert_eq!(decided(&given, &seen), Ok("make v1.2.0-rc1".into()));
        seen.relation = Relation::Behind;
        assert_eq!(decided(&given, &seen), Err("behind".into()));
        assert!(decided(&Settings { allow_behind: true, ..given }, &seen).is_ok());
    }

    #[test]
    fn a_tag_that_another_run_left_here_is_pushed_if_it_says_the_same() {
        let mut seen = seen(Act::Candidate, &[]);
        let settings = settings(Act::Candidate);
        let made = planned(&settings, Some("1.2.0"), &seen).expect("a plan").message;
        let local = |commit: &str, message: Option<&str>| {
            Some(TagObject {
                object: OTHER.into(),
                commit: commit.into(),
                message: message.map(str::to_owned),
                tagger: None,
                seconds: None,
            })
        };
        seen.local = local(HEAD, Some(&made.replace("shop-1", "shop-9")));
        assert_eq!(decided(&settings, &seen), Ok("push v1.2.0-rc1".into()));
        for other in [local(OTHER, Some(&made)), local(HEAD, None), local(HEAD, Some("by hand\n"))] {
            seen.local = other;
            assert_eq!(decided(&settings, &seen), Err("local-tag".into()));
        }
    }

    #[test]
    fn a_final_is_what_its_last_candidate_was() {
        let settings = settings(Act::Final);
        let mut seen = seen(Act::Final, &[("v1.2.0-rc1", OTHER)]);
        let compared = |differs: &[&str]| Proof::Compared {
            candidate: "v1.2.0-rc1".into(),
            mode: Mode::Merge,
            differs: differs.iter().map(|d| (*d).to_owned()).collect(),
            permitted: Vec::new(),
        };
        seen.proof = compared(&[]);
        let plan = planned(&settings, Some("1.2.0"), &seen).expect("a plan");
        assert!(plan.message.contains("Rilis-Candidate: v1.2.0-rc1 (merge)"), "{}", plan.message);
        seen.proof = compared(&["a"]);
        assert_eq!(decided(&settings, &seen), Err("not-the-candidate".into()));
        seen.proof = Proof::NoCandidate;
        assert_eq!(decided(&settings, &seen), Err("no-candidate".into()));
        let without = Settings { no_candidate: Some("no staging yet".into()), ..settings.clone() };
        let plan = planned(&without, Some("1.2.0"), &seen).expect("a plan");
        assert!(plan.message.contains("Rilis-No-Candidate: no staging yet"), "{}", plan.message);
        seen.remote = remote(&[("v1.2.0", OTHER)]);
        assert_eq!(decided(&without, &seen), Err("tag-exists".into()));
    }

    #[test]
    fn a_hotfix_is_the_next_patch_of_the_last_final() {
        let settings = settings(Act::Hotfix);
        let of = |version: Option<&str>, seen: &Seen| {
            planned(&settings, version, seen).map(|p| p.target.name).map_err(|f| f.reason.clone())
        };
        let mut seen = seen(Act::Hotfix, &[("v1.9.0", OTHER), ("v1.10.3", OTHER)]);
        assert_eq!(of(None, &seen), Ok("v1.10.4".into()));
        assert_eq!(of(Some("1.10.5"), &seen), Err("hotfix-version".into()));
        seen.has_last_final = Some(false);
        assert_eq!(of(None, &seen), Err("hotfix-base".into()));
        seen.has_last_final = None;
        assert_eq!(of(None, &seen), Err("shallow".into()));
        seen.has_last_final = Some(true);
        seen.head.branch = Some("main".into());
        assert_eq!(of(None, &seen), Err("branch".into()));
        seen.head.branch = None;
        assert_eq!(of(None, &seen), Ok("v1.10.4".into()), "the one hotfix branch whose tip it is");
        seen.remote = remote(&[("v1.10.4", HEAD), ("v1.10.3", OTHER)]);
        assert_eq!(of(None, &seen), Ok("v1.10.4".into()), "a second run does not take the next patch");
        seen.remote = remote(&[]);
        assert_eq!(of(None, &seen), Err("no-final".into()));
    }

    #[test]
    fn the_tenth_candidate_is_worth_a_word_or_a_refusal() {
        let nine = [("v1.2.0-rc9", OTHER)];
        let plan = |strict| {
            let settings = Settings { strict_semver: strict, ..settings(Act::Candidate) };
            planned(&settings, Some("1.2.0"), &seen(Act::Candidate, &nine))
        };
        let warned: Vec<&str> = plan(false).expect("a plan").warnings.iter().map(|w| w.0).collect();
        assert_eq!(warned, ["rc10-sorts-below-rc2"]);
        assert_eq!(plan(true).expect_err("strict").reason, "rc10-sorts-below-rc2");
    }
}

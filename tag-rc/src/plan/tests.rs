//! What is decided from what was seen.

use super::*;
use crate::args::Strategy;
use crate::base::Built;
use crate::git::{Commit, Relation, TagObject};
use crate::name::Style;
use crate::promotion::Mode;
use facts::Candidate;

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
        number: None,
        style: Style::Plain,
        strict_semver: false,
        ignore: Vec::new(),
        may_differ: Vec::new(),
        no_candidate: None,
        other_base: None,
        require_notes: false,
        sign: false,
        require_signed: false,
        production: "main".into(),
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
    let lines: String = tags.iter().map(|(name, commit)| format!("{commit}\trefs/tags/{name}\n")).collect();
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
        built: Built { commits: vec![fix()], ..Built::default() },
        claims: None,
        local: None,
        notes: Notes::ByHand,
        identity: Ok("Rina <rina@luxima.example>".into()),
        signature: None,
        facts: (None, None),
        tested: None,
        surroundings: Vec::new(),
        run: "shop-1".into(),
        gates: crate::seen::Gates::default(),
    }
}

fn fix() -> Commit {
    Commit { id: HEAD.into(), subject: "fix prices".into(), merge: false }
}

fn planned(settings: &Settings, version: Option<&str>, seen: &Seen) -> Result<Plan, Failure> {
    let version = version.map(|v| v.parse().expect(v));
    let target = target(settings, version, &seen.head, &seen.remote, &None, base(settings, seen))?;
    decide(settings, target, seen)
}

/// The highest final that is not on this commit.
fn base(settings: &Settings, seen: &Seen) -> Option<Base> {
    let (version, tag) = seen.remote.finals().into_iter().rfind(|(_, tag)| tag.commit != seen.head.commit)?;
    let why = "it is the newest final on main".to_owned();
    (settings.act == Act::Hotfix).then(|| Base {
        version,
        tag: tag.clone(),
        why,
        is_seen: true,
        no_final: None,
    })
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
    let ten = [("v1.2.0-rc9", OTHER), ("v1.2.0-rc10", OTHER), ("v1.2.0-rc2", OTHER), ("v1.2.1-rc40", OTHER)];
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
    assert_eq!(decided(&settings(Act::Candidate), &messy), Ok("has v1.2.0-rc3".into()), "nothing is tagged");
    let again = Settings { again: true, ..settings(Act::Candidate) };
    assert_eq!(decided(&again, &seen(Act::Candidate, &tags)), Ok("make v1.2.0-rc5".into()));
    // What this very run has pushed before it was killed counts as done.
    let seen = seen(Act::Candidate, &tags);
    let mine = Some("v1.2.0-rc3".to_owned());
    let target =
        target(&again, Some(Version::new(1, 2, 0)), &seen.head, &seen.remote, &mine, None).expect("a target");
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
    let commit = Commit { id: OTHER.into(), subject: "qris".into(), merge: false };
    seen.built.lost = vec![commit.clone()];
    assert_eq!(of(None, &seen), Err("hotfix-base".into()));
    seen.built.commits = Vec::new();
    assert_eq!(of(None, &seen), Err("hotfix-base".into()));
    seen.built = Built {
        strange: vec![(commit.clone(), "develop".into())],
        commits: vec![commit],
        ..Built::default()
    };
    assert_eq!(of(None, &seen), Err("hotfix-base".into()));
    let reason = Settings { other_base: Some("tested by hand".into()), ..settings.clone() };
    let plan = planned(&reason, None, &seen).expect("a reason was given");
    assert!(
        plan.message.contains("Rilis-Base: v1.10.3\nRilis-Other-Base: tested by hand\n"),
        "{}",
        plan.message
    );
    seen.built = Built { unknown: true, ..Built::default() };
    assert_eq!(of(None, &seen), Err("shallow".into()));
    seen.built = Built::default();
    assert_eq!(of(None, &seen), Err("nothing-to-fix".into()));
    seen.built = Built { commits: vec![fix()], ..Built::default() };
    let plan = planned(&reason, None, &seen).expect("a plan");
    assert!(!plan.message.contains("tested by hand"), "a reason that nobody needed is not kept");
}

#[test]
fn a_hotfix_is_on_its_own_branch_and_made_once() {
    let settings = settings(Act::Hotfix);
    let of = |version: Option<&str>, seen: &Seen| {
        planned(&settings, version, seen).map(|p| p.target.name).map_err(|f| f.reason.clone())
    };
    let mut seen = seen(Act::Hotfix, &[("v1.9.0", OTHER), ("v1.10.3", OTHER)]);
    seen.head.branch = Some("main".into());
    assert_eq!(of(None, &seen), Err("branch".into()));
    seen.head.branch = None;
    assert_eq!(of(None, &seen), Ok("v1.10.4".into()), "the one hotfix branch whose tip it is");
    seen.remote = remote(&[("v1.10.4", HEAD), ("v1.10.3", OTHER)]);
    assert_eq!(of(None, &seen), Err("nothing-to-fix".into()), "nobody says that this branch has made it");
    seen.claims =
        Some(Trailers { run: Some("shop-1".into()), base: Some("v1.10.3".into()), ..Trailers::default() });
    assert_eq!(of(None, &seen), Ok("v1.10.4".into()), "a second run does not take the next patch");
    seen.remote = remote(&[("v1.10.4", HEAD), ("v1.10.3", OTHER), ("v1.11.0", OTHER)]);
    assert_eq!(of(None, &seen), Err("old-final".into()), "a newer one is out");
    seen.claims = None;
    seen.remote = remote(&[]);
    assert_eq!(of(None, &seen), Err("no-final".into()));
}

#[test]
fn a_number_can_be_chosen_but_only_upwards() {
    let chosen = |number: u64, tags: &[(&str, &str)]| {
        let settings = Settings { number: Some(number), ..settings(Act::Candidate) };
        decided(&settings, &seen(Act::Candidate, tags))
    };
    assert_eq!(chosen(2, &[]), Ok("make v1.2.0-rc2".into()));
    assert_eq!(chosen(7, &[("v1.2.0-rc3", OTHER)]), Ok("make v1.2.0-rc7".into()));
    assert_eq!(
        chosen(7, &[("v1.2.0-rc3", HEAD)]),
        Ok("make v1.2.0-rc7".into()),
        "the commit may have another"
    );
    assert_eq!(chosen(3, &[("v1.2.0-rc3", HEAD)]), Ok("has v1.2.0-rc3".into()));
    assert_eq!(chosen(3, &[("v1.2.0-rc3", OTHER)]), Err("tag-exists".into()));
    assert_eq!(chosen(2, &[("v1.2.0-rc3", OTHER)]), Err("candidate-number".into()));
}

#[test]
fn what_others_have_made_is_counted_or_said() {
    let codes = |tags: &[(&str, &str)]| {
        let plan =
            planned(&settings(Act::Candidate), Some("1.2.0"), &seen(Act::Candidate, tags)).expect("a plan");
        (plan.target.name, plan.warnings.iter().map(|w| w.0).collect::<Vec<_>>())
    };
    let make = |name: &str, warnings: &[&'static str]| (name.to_owned(), warnings.to_vec());
    assert_eq!(codes(&[("v1.2.0-rc0", OTHER)]), make("v1.2.0-rc1", &[]), "as others begin to count");
    assert_eq!(codes(&[("1.2.0-rc3", OTHER)]), make("v1.2.0-rc4", &["other-spelling"]));
    assert_eq!(codes(&[("1.2.0-rc3", HEAD)]), make("v1.2.0-rc4", &["other-spelling"]));
    assert_eq!(codes(&[("release-1.2.0", OTHER)]), make("v1.2.0-rc1", &["other-spelling"]));
    assert_eq!(codes(&[("v1.1.0", OTHER), ("1.3.0", OTHER)]), make("v1.2.0-rc1", &["other-spelling"]));
    assert_eq!(codes(&[("2026.11.27", OTHER), ("web-1.2.1", OTHER)]), make("v1.2.0-rc1", &[]));
    assert_eq!(codes(&[("web-1.2.0", OTHER)]), make("v1.2.0-rc1", &["other-spelling"]));
    assert_eq!(
        codes(&[("1.2.0-rc3", OTHER), ("v1.2", OTHER)]),
        make("v1.2.0-rc4", &["other-spelling", "other-spelling"])
    );
    assert_eq!(
        codes(&[("v1.2.0-rc2", HEAD), ("v1.2.0-rc3", OTHER)]),
        make("v1.2.0-rc2", &["old-candidate", "lightweight-tag"])
    );
    assert_eq!(codes(&[("v1.2.0-rc2", HEAD)]), make("v1.2.0-rc2", &["lightweight-tag"]));
    assert_eq!(candidate(&[("1.2.0", OTHER)]), Err("already-final".into()));
    assert_eq!(candidate(&[("V1.2.0", HEAD)]), Err("already-final".into()));
    assert_eq!(candidate(&[("1.3.0", OTHER)]), Err("version-order".into()), "there are no others");
    let last = decided(&settings(Act::Final), &seen(Act::Final, &[("1.2.0", OTHER)]));
    assert_eq!(last, Err("already-final".into()));
}

#[test]
fn what_hangs_on_a_failed_check_is_not_claimed() {
    let tags = [("v1.2.0-rc1", OTHER)];
    let mut seen = seen(Act::Final, &tags);
    seen.head.branch = Some("staging".into());
    seen.relation = Relation::Ahead;
    seen.proof = Proof::Compared {
        candidate: "v1.2.0-rc1".into(),
        mode: Mode::Merge,
        differs: vec!["a".into()],
        permitted: Vec::new(),
    };
    let failure = planned(&settings(Act::Final), Some("1.2.0"), &seen).expect_err("another branch");
    assert_eq!((failure.reason.as_str(), &failure.causes[..]), ("branch", &[] as &[String]));
    // The branch itself, with the same tag at another commit there and here.
    seen.head.branch = Some("main".into());
    seen.remote = remote(&[("v1.2.0-rc1", OTHER), ("v1.2.0", OTHER)]);
    seen.local = Some(TagObject {
        object: OTHER.into(),
        commit: OTHER.into(),
        message: None,
        tagger: None,
        seconds: None,
    });
    let failure = planned(&settings(Act::Final), Some("1.2.0"), &seen).expect_err("it is there");
    assert_eq!(failure.reason, "tag-exists");
    assert!(!failure.causes.iter().any(|c| c.contains("is here but not on")), "{:?}", failure.causes);
    // Nothing is said of a branch that is only known by its name.
    seen.head.branch = None;
    let failure = planned(&settings(Act::Final), Some("1.2.0"), &seen).expect_err("it is there");
    assert!(
        failure.causes.iter().any(|c| c.contains("what is checked out has commits")),
        "{:?}",
        failure.causes
    );
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

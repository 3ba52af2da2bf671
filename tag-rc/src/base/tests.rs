//! How a commit is built on its base: tables.

use super::*;
use crate::check::Checks;

fn remote() -> Remote {
    let tags = [
        ("v1.1.0", "a1"),
        ("v1.2.0-rc1", "c2"),
        ("v1.2.0", "a2"),
        ("v1.2.1", "a3"),
        ("v1.3.0", "a4"),
        ("v2.0.0-rc1", "a5"),
    ];
    let lines: String = tags.iter().map(|(name, id)| format!("{id}\trefs/tags/{name}\n")).collect();
    Remote::parse(&lines)
}

fn runs(version: Option<&str>, commit: Option<&str>) -> Option<Runs> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Runs::of(Some(Previous { version: own(version), commit: own(commit), ..Previous::default() }), None)
}

#[test]
fn what_runs_is_found_among_the_finals() {
    let remote = remote();
    let found = |version, commit| {
        runs(version, commit).and_then(|runs| runs.find(&remote).map(|(version, _)| version.to_string()))
    };
    for (version, commit, expected) in [
        (Some("1.2.0"), None, Some("1.2.0")),
        (Some("v1.2.0"), None, Some("1.2.0")),
        (Some("1.2.0-rc1"), None, Some("1.2.0")),
        (Some("1.3.0"), None, Some("1.3.0")),
        (None, Some("a2"), Some("1.2.0")),
        (None, Some("c2"), Some("1.2.0")),
        (Some("1.3.0"), Some("a2"), Some("1.2.0")),
        (Some("1.2.0"), Some("ff"), Some("1.2.0")),
        (Some("2.0.0-rc1"), None, None),
        (None, Some("a5"), None),
        (Some("latest"), None, None),
        (None, None, None),
    ] {
        assert_eq!(found(version, commit).as_deref(), expected, "{version:?} {commit:?}");
    }
    let live = |text: &str| Runs::of(None, Some(text.to_owned())).expect("it runs");
    assert_eq!(live("1.2.0").find(&remote).map(|f| f.1.commit.as_str()), Some("a2"));
    assert_eq!(live(&"ab".repeat(20)).commit, Some("ab".repeat(20)));
    assert_eq!(Runs::of(None, None), None);
}

#[test]
fn without_a_look_the_production_branch_says_what_runs() {
    let remote = remote();
    let finals = remote.finals();
    let newest = |in_main: &[&str], built: bool| {
        let found = newest(&finals, |t| in_main.contains(&t.name.as_str()), |_, _| built);
        found.map(|(v, _)| v.to_string()).unwrap_or_default()
    };
    assert_eq!(newest(&["v1.1.0", "v1.2.0", "v1.3.0"], false), "1.3.0");
    assert_eq!(
        newest(&["v1.1.0", "v1.2.0"], true),
        "1.2.1",
        "a hotfix that is not merged yet runs all the same"
    );
    assert_eq!(newest(&["v1.1.0", "v1.2.0"], false), "1.2.0");
    assert_eq!(newest(&["v1.1.0"], true), "1.1.0");
    assert_eq!(newest(&[], false), "1.3.0");
    assert_eq!(next_patch(&Version::new(1, 2, 0), &remote), Version::new(1, 2, 2));
    assert_eq!(next_patch(&Version::new(1, 3, 0), &remote), Version::new(1, 3, 1));
}

fn commit(id: &str, subject: &str) -> Commit {
    Commit { id: id.repeat(20), subject: subject.to_owned(), merge: false }
}

fn base(no_final: Option<&str>) -> Base {
    let tag = Tag { name: "v1.2.0".into(), object: "a2".repeat(20), commit: "a2".repeat(20) };
    Base {
        version: Version::new(1, 2, 0),
        tag,
        why: "production runs 1.2.0".into(),
        is_seen: true,
        no_final: no_final.map(str::to_owned),
    }
}

fn refusal(built: &Built, base: &Base, reason: Option<&str>) -> Option<Failure> {
    Checks(vec![built.check(base, "hotfix/pay", reason, "origin")]).hold().err()
}

#[test]
fn only_the_fix_may_come_on_top_of_what_runs() {
    let fix = commit("f1", "fix prices");
    let feature = commit("e1", "feature 1");
    let sound = Built { commits: vec![fix.clone()], ..Built::default() };
    assert!(refusal(&sound, &base(None), None).is_none());
    let strange = Built {
        commits: vec![fix.clone(), feature.clone()],
        strange: vec![(feature, "develop".into())],
        ..Built::default()
    };
    let failure = refusal(&strange, &base(None), None).expect("refused");
    assert_eq!(failure.reason, "hotfix-base");
    assert!(
        failure.message.contains("1 commit along from develop")
            && failure.message.contains("production runs 1.2.0")
    );
    assert_eq!(failure.causes, ["e1e1e1e1e1e1 feature 1"]);
    assert_eq!(
        failure.next.as_deref(),
        Some("git switch --create hotfix/pay-on-1.2.0 a2a2a2a2a2a2 && git cherry-pick f1f1f1f1f1f1")
    );
    let lacking = Built { commits: vec![fix], lost: vec![commit("d1", "qris")], ..Built::default() };
    let failure = refusal(&lacking, &base(None), None).expect("refused");
    assert_eq!((failure.reason.as_str(), failure.causes.len()), ("hotfix-base", 1));
    assert!(refusal(&sound, &base(Some("1.3.0-rc2")), None).expect("refused").message.contains("1.3.0-rc2"));
    for built in [&strange, &lacking, &sound] {
        assert!(refusal(built, &base(Some("x")), Some("the last three were tested by hand")).is_none());
    }
    let unknown = Built { unknown: true, ..Built::default() };
    let failure =
        refusal(&unknown, &base(None), Some("a reason does not lengthen a history")).expect("refused");
    assert_eq!(failure.reason, "shallow");
}

#[test]
fn what_ships_is_listed_and_not_without_end() {
    let many =
        Built { commits: (0..25).map(|n| commit(&format!("{n:02}"), "fix")).collect(), ..Built::default() };
    let told = many.told(&base(None));
    assert_eq!(told.first().map(String::as_str), Some("25 commits that v1.2.0 does not have:"));
    assert_eq!((told.len(), told.last().map(String::as_str)), (12, Some("  and 15 more")));
    assert_eq!(many.to_value(&base(None))["count"], 25);
}

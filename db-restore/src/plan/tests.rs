//! Which snapshot is chosen, and why none is.

use super::*;

const NOW: &str = "2026-11-24T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn snapshot(id: &str, taken_at: &str) -> Snapshot {
    let snapshot = Snapshot::new("archive", id, "directory", at(taken_at));
    Snapshot { bytes: 1000, document: Some(format!("run-{id}")), ..snapshot }
}

fn incident(text: &str) -> Moment {
    Moment::Incident { at: at(text), run: None }
}

fn chosen(snapshots: &[Snapshot], moment: &Moment) -> Result<String, String> {
    let hour = Duration::from_secs(3600);
    recovery_point(snapshots, moment, at(NOW), hour).map(|s| s.id.clone()).map_err(|f| f.reason.clone())
}

#[test]
fn before_a_release_the_newest_must_be_younger_than_the_rpo() {
    let young = snapshot("young", "2026-11-24T11:01:00Z");
    let old = snapshot("old", "2026-11-24T10:59:00Z");
    assert_eq!(chosen(&[old.clone(), young], &Moment::Now), Ok("young".into()));
    assert_eq!(chosen(&[old], &Moment::Now), Err("too-old".into()));
    assert_eq!(chosen(&[], &Moment::Now), Err("no-snapshot".into()));
}

#[test]
fn in_a_rollback_only_what_came_before_the_incident_counts() {
    let snapshots = [snapshot("a", "2026-11-24T09:30:00Z"), snapshot("b", "2026-11-24T10:10:00Z")];
    assert_eq!(chosen(&snapshots, &incident("2026-11-24T10:00:00Z")), Ok("a".into()));
    assert_eq!(chosen(&snapshots, &incident("2026-11-24T11:00:00Z")), Ok("b".into()));
    assert_eq!(chosen(&snapshots, &incident("2026-11-24T09:00:00Z")), Err("after-incident".into()));
    assert_eq!(chosen(&snapshots, &incident("2026-11-24T11:30:00Z")), Err("too-old".into()));
    let newest =
        newest(&snapshots, &incident("2026-11-24T11:30:00Z"), at(NOW)).expect("restored all the same");
    assert_eq!(newest.id, "b", "an old snapshot is a reported loss and no reason to refuse");
}

#[test]
fn the_snapshot_of_the_run_itself_came_before_its_deployment() {
    let snapshots = [snapshot("a", "2026-11-24T10:00:00.700Z")];
    let moment =
        |run: Option<&str>| Moment::Incident { at: at("2026-11-24T10:00:00Z"), run: run.map(str::to_owned) };
    assert_eq!(chosen(&snapshots, &moment(None)), Err("after-incident".into()));
    assert_eq!(chosen(&snapshots, &moment(Some("run-b"))), Err("after-incident".into()));
    assert_eq!(chosen(&snapshots, &moment(Some("run-a"))), Ok("a".into()));
    // No clock is an hour ahead of another one: that snapshot was not taken on the way to this deployment.
    let later = [snapshot("a", "2026-11-24T11:00:00Z")];
    assert_eq!(chosen(&later, &moment(Some("run-a"))), Err("after-incident".into()));
}

#[test]
fn what_has_a_problem_or_comes_from_the_future_is_never_chosen() {
    let broken = Snapshot { problem: Some("truncated".into()), ..snapshot("broken", "2026-11-24T11:59:00Z") };
    let future = snapshot("future", "2026-11-24T12:05:00Z");
    let good = snapshot("good", "2026-11-24T11:30:00Z");
    assert_eq!(chosen(&[broken.clone(), future.clone(), good], &Moment::Now), Ok("good".into()));
    assert_eq!(chosen(&[broken.clone(), future.clone()], &Moment::Now), Err("no-snapshot".into()));
    let by_name = |id| {
        named(&[broken.clone(), future.clone()], id, &Moment::Now, at(NOW))
            .expect_err("refused")
            .reason
            .clone()
    };
    let elsewhere = Snapshot { by_name: true, ..broken.clone() };
    assert_eq!(chosen(std::slice::from_ref(&elsewhere), &Moment::Now), Err("no-snapshot".into()));
    let found = named(std::slice::from_ref(&elsewhere), "broken", &Moment::Now, at(NOW));
    assert_eq!(found.map(|s| s.id.as_str()).ok(), Some("broken"));
    assert_eq!(
        (by_name("broken"), by_name("future"), by_name("none")),
        ("unusable".into(), "no-snapshot".into(), "no-snapshot".into())
    );
}

#[test]
fn names_say_which_run_they_belong_to() {
    let names = names("shop", "aceh-commerce-1.2.0-20261124T120000Z-7f3a").expect("short enough");
    assert_eq!(names.side, "shop__dbr_20261124t120000z_7f3a");
    assert_eq!(names.old, "shop__old_20261124t120000z_7f3a");
    for long in ["x".repeat(34), "x".repeat(63), "\u{fc}".repeat(31), format!("{}y", "x".repeat(62))] {
        let names = super::names(&long, "p-20261124T120000Z-7f3a").expect("short enough");
        let undone = beside(&long, "undone", "p-20261124T120000Z-7f3a").expect("short enough");
        assert!(undone.len() <= 63 && names.old.starts_with(&head(&long)), "{undone}");
        assert!(is_beside(&names.side, &long, "dbr") && !is_beside(&names.side, &"x".repeat(33), "dbr"));
    }
    assert_ne!(head(&"x".repeat(34)), head(&"x".repeat(35)));
    assert!(
        super::names("shop", "an-id-of-another-form-that-is-quite-long").is_err() || head("shop") == "shop"
    );
    assert!(is_beside(&names.side, "shop", "dbr") && !is_beside(&names.side, "shop", "old"));
    for other in ["shop__dbr_x", "shop__dbr_20261124t120000z_7f3", "shop2__dbr_20261124t120000z_7f3a", "shop"]
    {
        assert!(!is_beside(other, "shop", "dbr"), "{other}");
    }
}

#[test]
fn what_is_much_smaller_than_the_one_before_is_incomplete() {
    let of = |id: &str, bytes, form| Snapshot { bytes, form, ..snapshot(id, "2026-11-24T11:30:00Z") };
    let mut list = [
        of("a", 1000, "directory"),
        of("plain", 100, "plain"),
        of("b", 499, "directory"),
        of("c", 600, "directory"),
        of("d", 301, "directory"),
    ];
    mark_shrunken(&mut list, 0.5);
    let marked: Vec<_> = list.iter().filter(|s| s.problem.is_some()).map(|s| s.id.as_str()).collect();
    assert_eq!(marked, ["b"], "one that is marked is no measure for the next");
    mark_shrunken(&mut list, 0.0);
    assert!(clocks(59.0).is_ok() && clocks(-61.0).is_err());
}

#[test]
fn what_is_not_certain_counts_against_the_snapshot() {
    let unsure = |taken_at| Snapshot { uncertainty: Duration::from_secs(30), ..snapshot("a", taken_at) };
    assert_eq!(chosen(&[unsure("2026-11-24T11:00:20Z")], &Moment::Now), Err("too-old".into()));
    assert_eq!(chosen(&[unsure("2026-11-24T11:00:40Z")], &Moment::Now), Ok("a".into()));
    let before = incident("2026-11-24T11:30:00Z");
    assert_eq!(chosen(&[unsure("2026-11-24T11:29:40Z")], &before), Err("after-incident".into()));
    assert_eq!(chosen(&[unsure("2026-11-24T11:29:20Z")], &before), Ok("a".into()));
}

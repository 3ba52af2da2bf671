//! How often db-restore waits for the server, beyond pg_dump and pg_restore, and that it does not wait more often for more tables.

use std::time::Duration;

use crate::common::{BEFORE, Bench, ID, opened};
use testkit::distance::Distance;

/// How often each command may wait, in the order of [`counted`]: as often as it does,
/// and twice more, because an answer may come between two packets of one question.
const MOST: [usize; 5] = [24, 41, 36, 31, 62];

/// What each command waits, by its word.
fn counted(bench: &Bench, wire: &Distance, id: &mut String) -> Vec<(&'static str, usize)> {
    let mut counts = Vec::new();
    let mut one = |what: &'static str, args: &[&str], run: &str| {
        wire.counted();
        let (code, document, stderr) = bench.run(args, &opened(run));
        assert_eq!(code, 0, "{what}: {stderr}");
        counts.push((what, wire.counted().0));
        document
    };
    let snapshot = one("snapshot", &["snapshot"], BEFORE);
    snapshot["facts"]["snapshot"]["id"].as_str().expect("an id").clone_into(id);
    one("rehearse", &["rehearse"], BEFORE);
    let confirm = format!("shop@{id}");
    let done = one("staged restore", &["restore", "--snapshot", id, "--confirm", &confirm], ID);
    let kept = done["facts"]["loss"]["kept_in"].as_str().expect("a name").to_owned();
    one("undo", &["undo", "--confirm", &format!("shop@{kept}")], "shop-1.3.0-20261124T140000Z-0009");
    one("restore", &["restore", "--snapshot", id, "--confirm", &confirm], "shop-1.3.0-20261124T150000Z-000a");
    counts
}

#[test]
fn no_command_waits_more_often_for_more_tables() {
    let few = Bench::start();
    let wire = Distance::start(few.cluster.port());
    few.settings(wire.port());
    let mut id = String::new();
    let small = counted(&few, &wire, &mut id);
    let many = Bench::start();
    many.cluster.execute("shop", "do $$ begin for n in 1..60 loop execute format('create table t%s (id int primary key, a text); insert into t%s values (1, ''x'')', n, n); end loop; end $$");
    let wire = Distance::start(many.cluster.port());
    many.settings(wire.port());
    let large = counted(&many, &wire, &mut id);
    let said = format!("{small:?} and with 60 tables more {large:?}");
    for (((what, few), (_, many)), most) in small.iter().zip(&large).zip(MOST) {
        // What comes in several packets, and who is still there at the third look, make a few.
        assert!(*many <= few + 8, "{what}: {said}");
        assert!(*few.min(many) <= most, "{what} must not wait more than {most} times: {said}");
    }
    if std::env::var_os("SHOW").is_some() {
        panic!("{said}");
    }
}

#[test]
fn from_far_away_production_is_out_of_reach_for_a_few_round_trips() {
    let bench = Bench::start();
    let wire = Distance::start(bench.cluster.port());
    bench.settings(wire.port());
    let (id, _) = bench.snapshot(BEFORE);
    wire.delay(Duration::from_millis(30));
    let done = bench.restored(&id, ID);
    let outage = done["steps"][0]["output"]["ms"]["outage"].as_u64().expect("a number");
    assert!(outage < 2000, "{outage} ms for one message, on a machine with other work");
}

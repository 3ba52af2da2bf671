//! What tells that transactions are no evidence: a table laid out anew, another past, a manifest that does not know.

use std::process::Command;

use crate::common::{BEFORE, some};
use serde_json::{Value, json};
use testkit::snapshots::edit;

use super::loss::*;

/// Those of them after which every row still says the same.
const SAME: &[&str] = &["nothing", "a label added", "another key", "made anew", "rewritten", "wider"];

/// Things that change what a row says, or whose it is, and leave the row itself as it was.
const UNWRITTEN: &[(&str, &str)] = &[
    ("nothing", "select 1"),
    (
        "two tables exchanged",
        "create table other (like orders including all); alter table orders rename to o; alter table other rename to orders",
    ),
    (
        "two columns exchanged",
        "alter table pairs rename a to x; alter table pairs rename b to a; alter table pairs rename x to b",
    ),
    (
        "key and value exchanged",
        "alter table pairs rename id to x; alter table pairs rename a to id; alter table pairs rename x to a",
    ),
    (
        "notes exchanged",
        "alter table orders add memo text default 'm'; alter table orders rename note to n; alter table orders rename memo to note; alter table orders drop n",
    ),
    (
        "a column dropped and added again",
        "alter table orders drop note; alter table orders add note text default 'fresh'",
    ),
    ("a label renamed", "alter type mood rename value 'sad' to 'blue'"),
    (
        "labels exchanged",
        "alter type mood rename value 'sad' to 'x'; alter type mood rename value 'ok' to 'sad'; alter type mood rename value 'x' to 'ok'",
    ),
    ("a label added", "alter type mood add value 'fine' before 'ok'"),
    (
        "another key",
        "alter table orders drop constraint orders_pkey; alter table orders add primary key (id, customer)",
    ),
    (
        "no key",
        "alter table lines drop constraint lines_pkey; insert into lines values (1, 1, 'twice', 1), (900, 1, 'new', 1)",
    ),
    (
        "emptied and filled",
        "create table t as select * from orders; truncate orders; insert into orders select * from t where id % 7 > 0; drop table t",
    ),
    ("emptied", "truncate journal, codes"),
    ("made anew", "create table t as table codes; drop table codes; alter table t rename to codes"),
    (
        "gone, and a new one",
        "drop table tokens; create table more (id int primary key); insert into more values (1)",
    ),
    ("wider", "alter table lines alter sku type varchar(40); alter table orders alter customer type bigint"),
    (
        "rewritten",
        "alter table orders alter customer type text; alter table orders alter customer type int using customer::int",
    ),
    ("unlogged", "alter table codes set unlogged; delete from codes where code = 'c7'"),
    (
        "moved to another schema",
        "create schema s; alter table codes set schema s; create table codes (like s.codes including all)",
    ),
    ("inherited", "create table child () inherits (orders); insert into child (id, customer) values (1, 1)"),
    (
        "frozen by a surgeon",
        "create extension pg_surgery; insert into orders (id, customer) values (8000, 1); delete from orders where id = 3;
        select heap_force_freeze('orders', array(select ctid from orders where id = 8000))",
    ),
];

#[test]
fn what_changes_without_being_written_is_seen() {
    let two = Two::start(&[]);
    two.bench.set("amcheck = false");
    two.bench.cluster.execute("postgres", "create database fresh template shop");
    for (what, sql) in some(UNWRITTEN, 5) {
        two.bench.cluster.execute("postgres", "drop database shop with (force)");
        two.bench.cluster.execute("postgres", "create database shop template fresh");
        let id = two.snapshot();
        two.execute(sql);
        let (since, _) = two.both(&id, what);
        let nothing = since["tables_that_differ"] == 0;
        assert_eq!(nothing, SAME.contains(what), "{what}: {since}");
        if *what == "nothing" {
            assert_eq!(since["by"], json!({ "rows": 1, "transactions": 11 }));
        }
    }
}

#[test]
fn a_clone_is_compared_the_same_way_and_another_past_is_noticed() {
    let two = Two::start(&[]);
    let archive = |two: &Two| two.bench.reset("source = \"database\"", "source = \"archive\"");
    let database = |two: &Two| two.bench.reset("source = \"archive\"", "source = \"database\"");
    two.bench.set("source = \"database\"");
    let clone = two.snapshot();
    two.execute("update orders set note = 'after the clone' where id <= 20; delete from lines where order_id = 3; insert into journal values (1, 'x')");
    archive(&two);
    let dump = two.snapshot();
    two.execute("insert into orders (id, customer) values (5000, 1)");
    let (of_the_dump, _) = two.both(&dump, "before the clone is swapped in");
    assert_eq!((&of_the_dump["only_in_old"], &of_the_dump["changed"]), (&json!(1), &json!(0)));

    database(&two);
    let done = two.bench.restored(&clone, &two.run());
    let lost = &done["steps"][0]["output"]["lost"];
    assert_eq!((&lost["only_in_old"], &lost["changed"]), (&json!(2), &json!(20)), "{lost}");
    assert!(lost["by"]["transactions"].as_u64() >= Some(9), "{lost}");

    // The clone has the live database's name and its transactions, and not what was written between clone and dump.
    archive(&two);
    let (since, by) = two.both(&dump, "from the clone to the dump");
    assert!(by.is_empty() && since["by"].get("transactions").is_none(), "{since}");
    assert_eq!((&since["only_in_old"], &since["changed"]), (&json!(3), &json!(20)), "{since}");
}

#[test]
fn a_cluster_that_went_back_in_time_is_noticed() {
    let two = Two::start(&[]);
    let saved = two.bench.folder.path().join("saved");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp").success());
    };
    two.bench.cluster.while_stopped(|data| copy(data, &saved));
    let burn = |two: &Two, n: u32| {
        let mut session = two.bench.cluster.session("shop");
        (0..n).for_each(|_| session.batch_execute("select pg_current_xact_id()").expect("counted"));
    };
    burn(&two, 300);
    let id = two.snapshot();
    two.execute("insert into orders (id, customer) values (6000, 1)");
    let lost = two.lost(&id);
    assert!(lost["by"]["transactions"].as_u64() >= Some(8), "{lost}");

    // As when a machine is set back to a snapshot of its own: the same cluster and the same numbers, for other transactions.
    two.bench.cluster.while_stopped(|data| {
        std::fs::remove_dir_all(data).expect("removed");
        copy(&saved, data);
    });
    two.execute("insert into orders (id, customer) values (6001, 1); update lines set sku = 'other' where order_id = 7");
    burn(&two, 1000);
    let (since, by) = two.both(&id, "another history");
    assert!(by.is_empty() && since["by"].get("transactions").is_none(), "{since}");
    assert_eq!((&since["only_in_old"], &since["changed"]), (&json!(1), &json!(3)), "{since}");
}

#[test]
fn a_manifest_that_does_not_know_is_no_evidence() {
    let two = Two::start(&[]);
    let run = BEFORE;
    let (id, folder) = two.bench.snapshot(run);
    two.execute("insert into orders (id, customer) values (6000, 1)");
    let by_rows = |two: &Two, change: &dyn Fn(&mut Value)| {
        let path = folder.join("manifest.json");
        let good = std::fs::read(&path).expect("there");
        edit(&folder, change);
        let lost = two.lost(&id);
        std::fs::write(path, good).expect("written");
        assert_eq!(lost["only_in_old"], 1);
        lost["by"].get("transactions").is_none()
    };
    assert!(!by_rows(&two, &|_| ()), "as it is, it knows");
    assert!(by_rows(&two, &|m| m["origin"]["seal"] = json!("")));
    assert!(by_rows(&two, &|m| {
        let seal = m["origin"]["seal"].as_str().expect("a seal").to_owned();
        let turned = if let Some(rest) = seal.strip_suffix('+') {
            format!("{rest}-")
        } else {
            format!("{}+", &seal[..seal.len() - 1])
        };
        m["origin"]["seal"] = json!(turned);
    }));
    assert!(by_rows(&two, &|m| m["origin"]["database"] = json!(1)));
    assert!(by_rows(&two, &|m| m["origin"]["xmin"] = json!(4_000_000_000_u64)), "of the future");
    assert!(by_rows(&two, &|m| m["origin"]["tables"] = json!({})));
}

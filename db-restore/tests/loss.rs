//! The loss is told in two ways: by what was written since the snapshot, and by every row of both sides. Whatever was done to the
//! database, both must say the same; and where the first would not, it must not be used.

mod common;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{BEFORE, Bench, is_sweep, opened, some};
use serde_json::{Value, json};
use testkit::postgres::{Cluster, program};
use testkit::snapshots::edit;

/// Tables of every kind that matters to a comparison.
const TABLES: &str = "
    create type mood as enum ('sad', 'ok', 'happy');
    create table orders (id bigint primary key, customer int not null, note text, created_at timestamptz not null default now());
    create table lines (order_id bigint, line int, sku varchar(12), amount numeric(10, 2), primary key (order_id, line));
    create table codes (code bpchar(8) primary key, at timestamp, share float8);
    create table tokens (id uuid primary key, payload jsonb, tags text[]);
    create table journal (at int, line text);
    create table feelings (id int primary key, mood mood, history mood[]);
    create table documents (id int primary key, body json);
    create table sums (id int primary key, a int, b int generated always as (a * 2) stored);
    create table pairs (id int primary key, a int unique, b int);
    insert into pairs select n, 100 + n, 200 + n from generate_series(1, 30) n;
    insert into orders select n, n % 17, 'order ' || n, '2026-01-01'::timestamptz + n * interval '1 min' from generate_series(1, 600) n;
    insert into lines select n, l, 'sku-' || l, n * 1.10 from generate_series(1, 200) n, generate_series(1, 3) l;
    insert into codes select 'c' || n, '2026-02-01'::timestamp + n * interval '1 s', n / 7.0 from generate_series(1, 200) n;
    insert into tokens select md5(n::text)::uuid, jsonb_build_object('n', n), array['a', n::text] from generate_series(1, 200) n;
    insert into journal select n % 50, md5((n % 70)::text) from generate_series(1, 300) n;
    insert into feelings select n, (array['sad', 'ok', 'happy'])[1 + n % 3]::mood, array['ok']::mood[] from generate_series(1, 90) n;
    insert into documents select n, json_build_object('n', n) from generate_series(1, 60) n;
    insert into sums select n, n from generate_series(1, 60) n";

struct Two {
    bench: Bench,
    turn: std::cell::Cell<u32>,
}

impl Two {
    fn start(more: &[&str]) -> Self {
        let bin = program("postgres").parent().expect("a folder").to_owned();
        let bench = Bench::on(Cluster::of(&bin, more));
        bench.cluster.execute("shop", TABLES);
        Two { bench, turn: std::cell::Cell::new(0) }
    }

    fn execute(&self, sql: &str) {
        self.bench.cluster.execute("shop", sql);
    }

    fn run(&self) -> String {
        self.turn.set(self.turn.get() + 1);
        format!("shop-1.3.0-20261124T150000Z-{:04x}", self.turn.get())
    }

    fn snapshot(&self) -> String {
        let run = self.run();
        self.bench.snapshot(&run).0
    }

    /// What a restore says is lost; then it is undone.
    fn lost(&self, id: &str) -> Value {
        let done = self.bench.restored(id, &self.run());
        let kept = done["facts"]["loss"]["kept_in"].as_str().expect("a name").to_owned();
        let rows = &done["steps"][0]["output"]["lost"]["only_in_old"];
        assert_eq!(*rows, done["facts"]["loss"]["rows"]);
        let run = self.run();
        let (code, _, stderr) =
            self.bench.run(&["undo", "--confirm", &format!("shop@{kept}")], &opened(&run));
        assert_eq!(code, 0, "{stderr}");
        let beside = "select datname from pg_database where datname ~ '^shop__(undone|dbr)'";
        for name in self.bench.cluster.query("postgres", beside).concat() {
            self.bench.cluster.execute("postgres", &format!("drop database {name}"));
        }
        done["steps"][0]["output"]["lost"].clone()
    }

    /// What both ways say, which must be the same; the tables that were compared by what was written since.
    fn both(&self, id: &str, what: &str) -> (Value, Vec<String>) {
        let folder = self.bench.folder.path().join("snapshots").join(id);
        let since = self.lost(id);
        let origin = std::cell::RefCell::new(Value::Null);
        edit(&folder, |m| {
            *origin.borrow_mut() = m.as_object_mut().expect("an object").remove("origin").expect("an origin");
        });
        let whole = self.lost(id);
        edit(&folder, |m| m["origin"] = origin.borrow().clone());
        assert!(whole["by"].get("transactions").is_none(), "{whole}");
        let tables = since["tables"].as_array().expect("tables").iter();
        let by = tables
            .filter(|t| t["by"] == "transactions")
            .map(|t| t["table"].as_str().expect("a name").to_owned());
        let by = by.collect();
        assert_eq!(same(&since), same(&whole), "{what}: {since}");
        (since, by)
    }
}

/// A report without the way it was made.
fn same(lost: &Value) -> Value {
    let mut lost = lost.clone();
    lost["by"] = Value::Null;
    let tables = lost["tables"].as_array_mut().expect("tables");
    tables.iter_mut().for_each(|t| t["by"] = Value::Null);
    tables.sort_by_key(|t| t["table"].to_string());
    lost
}

/// Numbers by chance, the same ones each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A write of some kind somewhere.
fn write(chance: &mut Chance) -> String {
    let (a, b, few) = (chance.below(700), chance.below(700), 1 + chance.below(9));
    match chance.below(25) {
        0 => format!(
            "insert into orders (id, customer) select 10000 + {a} * 10 + n, 1 from generate_series(1, {few}) n on conflict do nothing"
        ),
        1 => format!("update orders set note = 'changed {b}' where id between {a} and {a} + {few}"),
        2 => format!("update orders set note = note where id between {a} and {a} + {few}"),
        3 => format!("delete from orders where id between {a} and {a} + {few}"),
        4 => format!("update orders set id = id + 100000 where id = {a}"),
        5 => format!(
            "with gone as (delete from orders where id = {a} returning *) insert into orders select * from gone"
        ),
        6 => format!(
            "insert into lines values ({a}, {few}, 'new', 1) on conflict (order_id, line) do update set sku = 'upsert'"
        ),
        7 => format!("insert into lines values ({a}, {few}, 'new', 1) on conflict do nothing"),
        8 => format!("delete from lines where order_id = {a}"),
        9 => format!("begin; select 1 from orders where id = {a} for update; commit"),
        10 => format!("begin; update orders set note = 'never' where id < {a}; rollback"),
        11 => format!(
            "begin; savepoint s; delete from codes where code = 'c{a}'; rollback to s; insert into codes values ('n{b}', now(), 1) on conflict do nothing; release s; commit"
        ),
        12 => format!(
            "begin; savepoint s; update tokens set payload = '{{\"n\": {b}}}' where id = md5('{a}')::uuid; release s; commit"
        ),
        13 => format!("insert into journal values ({few}, 'again')"),
        14 => format!("delete from journal where at = {few}"),
        15 => format!("update codes set share = share * 1.5 where code = 'c{a}'"),
        16 => format!("update feelings set mood = 'happy' where id = {few}"),
        17 => format!("update documents set body = '{{\"n\":  {few}}}' where id = {few}"),
        18 => format!("update sums set a = {b} where id = {few}"),
        19 => "vacuum full orders".to_owned(),
        20 => "vacuum (freeze) lines".to_owned(),
        21 => "cluster codes using codes_pkey".to_owned(),
        22 => format!("update codes set code = 'm{b}' where code = 'c{a}'"),
        23 => "update lines set amount = amount".to_owned(),
        _ => format!("insert into tokens values (md5('new {a}')::uuid, '{{}}', null) on conflict do nothing"),
    }
}

#[test]
fn whatever_is_written_both_ways_say_the_same() {
    let two = Two::start(&[]);
    let mut chance = Chance(20_261_125);
    let mut by = std::collections::BTreeSet::new();
    for round in 0..if is_sweep() { 12 } else { 4 } {
        let id = two.snapshot();
        let writes: Vec<String> = (0..chance.below(30)).map(|_| write(&mut chance)).collect();
        // Each by itself: some may not be in a transaction.
        let mut session = two.bench.cluster.session("shop");
        writes.iter().for_each(|sql| session.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}")));
        drop(session);
        let (since, tables) = two.both(&id, &format!("round {round}: {}", writes.join("; ")));
        assert!(since["by"]["transactions"].as_u64() >= Some(5), "{since}");
        by.extend(tables);
    }
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    for table in [
        "public.orders",
        "public.lines",
        "public.codes",
        "public.tokens",
        "public.journal",
        "public.feelings",
        "public.documents",
    ] {
        // The journal has no key: it is compared so only in a round that left it alone.
        assert!(
            by.contains(&table) || (table == "public.journal" && !is_sweep()),
            "{table} was never compared by what was written since: {by:?}"
        );
    }
    assert!(!by.contains(&"public.sums"), "a generated column can change by itself");
}

#[test]
fn transactions_that_were_under_way_are_of_the_present() {
    let two = Two::start(&["-c", "max_prepared_transactions=5"]);
    let mut early = two.bench.cluster.session("shop");
    early.batch_execute("begin; insert into orders (id, customer) values (7001, 1); savepoint s; delete from orders where id = 5").expect("begun");
    let mut sub = two.bench.cluster.session("shop");
    sub.batch_execute("begin; savepoint s; update lines set sku = 'under way' where order_id = 9")
        .expect("begun");
    two.execute("begin; insert into journal values (1, 'prepared'); update orders set note = 'prepared' where id = 11; prepare transaction 'p'");
    // Younger than those, and over before the snapshot: in it, and yet not to be told from what came after.
    two.execute(
        "insert into orders (id, customer) values (7002, 1); update orders set note = 'over' where id = 12",
    );
    let id = two.snapshot();
    early
        .batch_execute("release s; insert into orders (id, customer) values (7003, 1); commit")
        .expect("committed");
    sub.batch_execute("release s; update lines set sku = 'later' where order_id = 10; commit")
        .expect("committed");
    two.execute("commit prepared 'p'");
    drop((early, sub));
    let (since, by) = two.both(&id, "under way");
    let orders = since["tables"]
        .as_array()
        .expect("tables")
        .iter()
        .find(|t| t["table"] == "public.orders")
        .expect("orders");
    assert_eq!(
        (&orders["only_in_old"], &orders["only_in_new"], &orders["changed"]),
        (&json!(2), &json!(1), &json!(1)),
        "{since}"
    );
    assert!(by.contains(&"public.orders".to_owned()), "{since}");
}

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
            assert_eq!(since["by"], json!({ "rows": 1, "transactions": 10 }));
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
fn a_staged_copy_is_compared_the_same_way() {
    let two = Two::start(&[]);
    let id = two.snapshot();
    two.bench.cluster.execute(
        "postgres",
        "alter database shop set datestyle to 'German, DMY'; alter database shop set search_path to nowhere",
    );
    let run = two.run();
    let (code, _, stderr) = two.bench.run(&["rehearse"], &opened(&run));
    assert_eq!(code, 0, "{stderr}");
    two.execute("update public.codes set share = 9, at = '3.4.2026' where code in ('c2', 'c7'); delete from public.orders where id = 4");
    let lost = two.lost(&id);
    assert_eq!((&lost["changed"], &lost["tables_that_differ"]), (&json!(2), &json!(2)), "{lost}");
    assert!(lost["by"]["transactions"].as_u64() >= Some(8), "{lost}");
    let (again, _) = two.both(&id, "restored anew");
    assert_eq!(same(&lost), same(&again));
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

#[test]
fn what_clients_write_before_and_after_the_swap_is_kept_apart() {
    let two = Two::start(&[]);
    let id = two.snapshot();
    let stop = AtomicBool::new(false);
    // The numbers of new orders begin again where the snapshot ends: the same ones are given twice.
    let sql = "insert into orders (id, customer) select max(id) + 1, 1 from orders";
    let config = two.bench.cluster.config("shop");
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = config.connect(postgres::NoTls).and_then(|mut c| c.batch_execute(sql));
            }
        });
        let done = two.bench.restored(&id, &two.run());
        stop.store(true, Ordering::Relaxed);
        done
    });
    let kept = done["facts"]["loss"]["kept_in"].as_str().expect("a name");
    let lost = two.bench.cluster.value(kept, "select count(*) from orders where id > 600");
    let again = two.bench.cluster.value("shop", "select count(*) from orders where id > 600");
    assert!(lost != "0" && again != "0", "{lost} {again}");
    let said = &done["steps"][0]["output"]["lost"];
    let expected =
        json!({ "exact": true, "only_in_old": lost.parse::<u64>().expect("a number"), "changed": 0 });
    let found =
        json!({ "exact": said["exact"], "only_in_old": said["only_in_old"], "changed": said["changed"] });
    assert_eq!(found, expected, "{said}");
    assert_eq!(done["facts"]["loss"]["rows"], said["only_in_old"]);
}

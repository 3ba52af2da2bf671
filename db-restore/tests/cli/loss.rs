//! The loss is told in two ways: by what was written since the snapshot, and by every row of both sides. Whatever was done to the
//! database, both must say the same; and where the first would not, it must not be used.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Bench, is_sweep, opened};
use serde_json::{Value, json};
use testkit::postgres::{Cluster, program};
use testkit::snapshots::edit;

/// Tables of every kind that matters to a comparison.
pub const TABLES: &str = "
    create type mood as enum ('sad', 'ok', 'happy');
    create table orders (id bigint primary key, customer int not null, note text, created_at timestamptz not null default now());
    create table lines (order_id bigint, line int, sku varchar(12), amount numeric(10, 2), primary key (order_id, line));
    create table codes (code bpchar(8) primary key, at timestamp, share float8);
    create table tokens (id uuid primary key, payload jsonb, tags text[]);
    create table collated (code text collate \"C\" primary key, n int); insert into collated select 'c' || n, n from generate_series(1, 50) n;
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

pub struct Two {
    pub bench: Bench,
    pub turn: std::cell::Cell<u32>,
}

impl Two {
    pub fn start(more: &[&str]) -> Self {
        let bin = program("postgres").parent().expect("a folder").to_owned();
        let bench = Bench::on(Cluster::of(&bin, more));
        bench.cluster.execute("shop", TABLES);
        Two { bench, turn: std::cell::Cell::new(0) }
    }

    pub fn execute(&self, sql: &str) {
        self.bench.cluster.execute("shop", sql);
    }

    pub fn run(&self) -> String {
        self.turn.set(self.turn.get() + 1);
        format!("shop-1.3.0-20261124T150000Z-{:04x}", self.turn.get())
    }

    pub fn snapshot(&self) -> String {
        let run = self.run();
        self.bench.snapshot(&run).0
    }

    /// What a restore says is lost; then it is undone.
    pub fn lost(&self, id: &str) -> Value {
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
    pub fn both(&self, id: &str, what: &str) -> (Value, Vec<String>) {
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
pub fn same(lost: &Value) -> Value {
    let mut lost = lost.clone();
    lost["by"] = Value::Null;
    let tables = lost["tables"].as_array_mut().expect("tables");
    tables.iter_mut().for_each(|t| t["by"] = Value::Null);
    tables.sort_by_key(|t| t["table"].to_string());
    lost
}

/// Numbers by chance, the same ones each time.
pub struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A write of some kind somewhere.
pub fn write(chance: &mut Chance) -> String {
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
        17 => format!(
            "update documents set body = '{{\"n\":  {few}}}' where id = {few}; update collated set n = {b} where code = 'c{few}'; insert into collated values ('k{b}', 1) on conflict do nothing"
        ),
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

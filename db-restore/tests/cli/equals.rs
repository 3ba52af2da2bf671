//! The loss where no row shows it: values that PostgreSQL calls equal, large objects, tables of extensions.

use crate::common::{BEFORE, Bench, ID, opened};
use serde_json::{Value, json};
use testkit::snapshots::edit;

use super::claims::run;

/// A table, its type, a value, and another one that PostgreSQL calls equal (but for the last two kinds of types, whose text is told).
const EQUAL: &[(&str, &str, &str, &str)] = &[
    ("number", "numeric", "'1.0'", "'1.00'"),
    ("span", "interval", "'1 day'", "'24:00'"),
    ("month", "interval", "'1 mon'", "'30 days'"),
    ("zero", "float8", "'0'", "'-0'"),
    ("small_zero", "float4", "'0'", "'-0'"),
    ("json", "jsonb", "'{\"a\": 1.0}'", "'{\"a\": 1.00}'"),
    ("list", "numeric[]", "'{1.0}'", "'{1.00}'"),
    ("spans", "interval[]", "'{1 day}'", "'{24:00}'"),
    ("blanks", "bpchar", "'x'", "'x  '"),
    ("letters", "text collate nocase", "'a'", "'A'"),
    ("words", "text[] collate nocase", "'{a}'", "'{A}'"),
    ("amount", "price", "'1.0'", "'1.00'"),
    ("pairs", "pair", "'(1.0,a)'", "'(1.00,a)'"),
    ("range", "numrange", "'[1.0,2)'", "'[1.00,2)'"),
];

/// The table's own numbers in a report: only in the old data, changed, only in the new.
fn of(lost: &Value, table: &str) -> [u64; 3] {
    let found = lost["tables"].as_array().expect("tables").iter().find(|t| t["table"] == table);
    let found = found.unwrap_or_else(|| panic!("no {table} in {lost}"));
    ["only_in_old", "changed", "only_in_new"].map(|key| found[key].as_u64().expect("a number"))
}

/// A shop with all of these, and a snapshot of it from before the others took their place.
fn with_equals() -> (Bench, String, std::path::PathBuf) {
    let bench = Bench::start();
    let execute = |sql: &str| bench.cluster.execute("shop", sql);
    execute(
        "create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create domain price as numeric; create type pair as (n numeric, t text);
         create table keyed (id numeric primary key); insert into keyed values (1.0), (2);
         create table picture (id int primary key, o oid); insert into picture select n, lo_from_bytea(0, 'abc') from generate_series(1, 4) n",
    );
    for (table, kind, value, _) in EQUAL {
        execute(&format!(
            "create table {table} (id int primary key, v {kind}); insert into {table} select g, {value} from generate_series(1, 9) g"
        ));
    }
    let (id, folder) = bench.snapshot(BEFORE);
    for (table, _, _, other) in EQUAL {
        execute(&format!("update {table} set v = {other} where id in (2, 3)"));
    }
    execute(
        "update keyed set id = 1.00 where id = 1; select lo_put(o, 0, 'ZZZ') from picture where id <= 2;
         select lo_unlink(o) from picture where id = 4; select lo_from_bytea(0, 'new') from generate_series(1, 7)",
    );
    (bench, id, folder)
}

#[test]
fn the_loss_sees_what_postgresql_calls_equal_and_what_is_in_no_table() {
    let (bench, id, folder) = with_equals();
    for n in 0..2 {
        let done = bench.restored(&id, &run(n));
        let lost = &done["steps"][0]["output"]["lost"];
        assert_eq!(lost["exact"], true, "{lost}");
        assert_eq!(lost["by"].get("transactions").is_some(), n == 0, "{lost}");
        for (table, ..) in EQUAL {
            assert_eq!(of(lost, &format!("public.{table}")), [0, 2, 0], "{table}");
        }
        assert_eq!(of(lost, "public.keyed"), [0, 1, 0]);
        assert_eq!(of(lost, "large objects"), [7, 2, 1]);
        let tables = lost["tables"].as_array().expect("tables");
        let sum = |key: &str| tables.iter().map(|t| t[key].as_u64().expect("a number")).sum::<u64>();
        assert_eq!((sum("only_in_old"), sum("changed")), (7, 3 + 2 * EQUAL.len() as u64), "{lost}");
        assert_eq!(
            (&lost["only_in_old"], &lost["changed"]),
            (&json!(sum("only_in_old")), &json!(sum("changed")))
        );
        let kept = done["facts"]["loss"]["kept_in"].as_str().expect("a name").to_owned();
        bench
            .cluster
            .execute("shop", "select lo_from_bytea(0, 'since'); update keyed set id = 3 where id = 2");
        let undo = bench.run(&["undo", "--confirm", &format!("shop@{kept}")], &opened(&run(50 + n)));
        let written = json!({ "large objects": 1, "public.keyed": 1 });
        assert_eq!((undo.0, &undo.1["steps"][0]["output"]["written"]), (0, &written), "{}", undo.2);
        edit(&folder, |m| drop(m.as_object_mut().expect("an object").remove("origin")));
    }
}

#[test]
fn rows_of_an_extensions_table_are_counted_and_said_to_be_missing() {
    let bench = Bench::start();
    bench.cluster.execute("shop", "create extension lo; create table memo (id int, note text); insert into memo values (1, 'a'), (2, 'b'); alter extension lo add table memo");
    let (id, _) = bench.snapshot(BEFORE);
    let (code, done, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(
        code == 0 && stderr.contains("public.memo: no table instead of 2 rows: it belongs to an extension"),
        "{stderr}"
    );
    let output = &done["steps"][0]["output"];
    assert_eq!(
        (&output["lost"]["only_in_old"], &done["facts"]["loss"]["rows"]),
        (&json!(2), &json!(2)),
        "{output}"
    );
    assert_eq!(output["proof"]["missing"], json!(["public.memo: no table instead of 2 rows"]));
}

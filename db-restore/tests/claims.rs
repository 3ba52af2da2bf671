//! Words such as "exact", "verified" and "kept" are held to what was looked at: copies that were written to, losses that no row shows, settings
//! that no dump holds, manifests with another bit, and what people do to the comments of databases.

mod common;

use common::{BEFORE, Bench, ID, OLD, opened, reason, some};
use serde_json::{Value, json};
use testkit::snapshots::{edit, taken_at};

fn run(n: usize) -> String {
    format!("shop-1.3.0-20261124T18{:02}{:02}Z-{n:04x}", n / 60, n % 60)
}

/// Everything that a copy may hold, and that may be changed in it.
const CONTENT: &str = "
    create unlogged table cart (id int primary key, n int); insert into cart select n, n from generate_series(1, 50) n;
    create table picture (id int primary key, o oid); insert into picture select n, lo_from_bytea(0, 'abc') from generate_series(1, 3) n;
    create sequence numbers; select setval('numbers', 70);
    create index by_name on products (name);
    create function touch() returns trigger language plpgsql as 'begin return new; end';
    create trigger touched before update on products for each row execute function touch();
    create materialized view cheap as select * from products where price < 100000";

/// What somebody does to a copy.
const WRITTEN: &[&str] = &[
    "delete from cart where id > 25; update cart set n = 0",
    "delete from products where id = 1; insert into products values (1, 'Kopi Gayo', 85000)",
    "update products set price = price + 1",
    "truncate \"Lager 1\".\"Bestand, alt\"",
    "select setval('numbers', 5)",
    "drop index by_name",
    "alter table products disable trigger touched",
    "alter table products rename name to title",
    "grant select on products to public",
    "select lo_put(o, 0, 'ZZZ') from picture where id = 1",
    "refresh materialized view cheap",
    "begin; lock table products; update products set price = 0; commit; vacuum (full, freeze) products",
];

/// Opens a closed copy, does something in it, and closes it again.
fn visit(bench: &Bench, copy: &str, sql: &str) {
    bench.cluster.execute("postgres", &format!("alter database \"{copy}\" allow_connections true"));
    let mut session = bench.cluster.session(copy);
    sql.split("; ").for_each(|sql| session.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}")));
    drop(session);
    bench.cluster.execute("postgres", &format!("alter database \"{copy}\" allow_connections false"));
}

fn staged(bench: &Bench, run: &str) -> String {
    let (code, done, stderr) = bench.run(&["rehearse"], &opened(run));
    assert_eq!(code, 0, "{stderr}");
    done["steps"][0]["output"]["staged_in"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_staged_copy_that_was_written_to_is_made_anew() {
    let bench = Bench::start();
    bench.cluster.execute("shop", CONTENT);
    let (id, _) = bench.snapshot(BEFORE);
    let before = bench.content();
    for (n, sql) in some(WRITTEN, 2).enumerate() {
        let copy = staged(&bench, &run(n));
        visit(&bench, &copy, sql);
        // A rehearsal does not call it proven either.
        if n % 2 == 0 {
            let (code, done, stderr) = bench.run(&["rehearse"], &opened(&run(100 + n)));
            assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{sql}: {stderr}");
            assert!(stderr.contains("it is made anew"), "{sql}: {stderr}");
            visit(&bench, done["steps"][0]["output"]["staged_in"].as_str().expect("a name"), sql);
        }
        let (code, _, stderr) =
            bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(&run(200 + n)));
        assert!(code == 0 && stderr.contains("it is made anew"), "{sql}: {stderr}");
        assert_eq!(bench.content(), before, "{sql}");
    }
}

#[test]
fn a_copy_is_what_was_verified_also_after_a_crash_and_after_mere_looking() {
    let bench = Bench::start();
    bench.cluster.execute("shop", CONTENT);
    let (id, _) = bench.snapshot(BEFORE);
    let before = bench.content();
    let copy = staged(&bench, &run(1));
    // What changes nothing makes nothing anew.
    visit(
        &bench,
        &copy,
        "select count(*) from products; vacuum (freeze, analyze); begin; update products set price = 0; rollback",
    );
    let (code, again, stderr) = bench.run(&["rehearse"], &opened(&run(2)));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")), "{stderr}");
    bench.cluster.execute("postgres", "checkpoint");
    bench.cluster.crash();
    assert_eq!(bench.cluster.value("shop", "select count(*) from cart"), "0", "that is what unlogged means");
    let (code, done, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(code == 0 && stderr.contains("it is made anew"), "{stderr}");
    assert_eq!(bench.content(), before);
    let lost = &done["steps"][0]["output"]["lost"];
    let cart = lost["tables"].as_array().expect("tables").iter().find(|t| t["table"] == "public.cart");
    assert_eq!(cart.map(|t| t["only_in_new"].clone()), Some(json!(50)), "{lost}");
}

#[test]
fn a_copy_that_was_written_to_is_kept_where_the_snapshot_is_damaged() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let copy = staged(&bench, &run(1));
    visit(&bench, &copy, "update products set price = price + 1");
    std::fs::write(
        folder.join("dump/toc.dat"),
        vec![0; folder.join("dump/toc.dat").metadata().expect("there").len() as usize],
    )
    .expect("written");
    for args in [&["restore", "--confirm", &format!("shop@{id}")][..], &["rehearse"]] {
        let (code, refused, stderr) = bench.run(args, &opened(&run(2)));
        let (word, said) = reason(&refused);
        assert!(
            code == 1 && word == "corrupt" && said.contains("it is not what was verified"),
            "{said} {stderr}"
        );
        assert!(bench.databases().contains(&format!("{copy} (closed)")), "{:?}", bench.databases());
    }
}

#[test]
fn nobody_may_have_been_in_a_copy_between_the_look_and_the_swap() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 0");
    let input = bench.folder.path().join("document.json");
    std::fs::write(&input, opened(ID).to_string()).expect("written");
    let mut command = bench.command(&["restore", "-v", "--confirm", &format!("shop@{id}")]);
    let mut held =
        testkit::lockstep::Lockstep::spawn(command.stdin(std::fs::File::open(input).expect("there")));
    assert!(held.until("rows only in the present data"));
    let side = common::SIDE;
    visit(&bench, side, "update products set price = 1");
    while held.line().is_some() {}
    let output = held.child.wait_with_output().expect("ended");
    let failed: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert!(reason(&failed).0 == "unproven" && reason(&failed).1.contains("somebody was in"), "{failed}");
    assert_eq!(bench.prices()[0][1], "0", "nothing was swapped");
    let done = common::retried(&bench, &["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((done.0, bench.prices()[0][1].as_str()), (0, "85000"), "{}", done.2);
}

#[test]
fn a_clone_that_was_written_to_or_lost_rows_is_refused() {
    let bench = Bench::start();
    bench.cluster.execute("shop", CONTENT);
    bench.set("source = \"database\"");
    for (n, sql) in
        [Some("update products set price = 1"), Some("drop index by_name"), None].into_iter().enumerate()
    {
        let (code, document, stderr) = bench.run(&["snapshot"], &opened(&run(n)));
        assert_eq!(code, 0, "{stderr}");
        let id = document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
        match sql {
            Some(sql) => visit(&bench, &id, sql),
            None => {
                bench.cluster.execute("shop", "insert into cart values (1000, 1)");
                bench.cluster.crash();
            }
        }
        let args = ["restore", "--snapshot", &id, "--confirm", &format!("shop@{id}")];
        let (code, refused, stderr) = bench.run(&args, &opened(&run(50 + n)));
        assert_eq!((code, reason(&refused).0), (1, "unproven"), "{sql:?} {stderr}");
        assert!(bench.databases().contains(&"shop".to_owned()));
        bench.cluster.execute("postgres", &format!("drop database \"{id}\""));
    }
}

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

/// What a bad release does to the database itself, and what of it must be said.
const SETTINGS: &[(&str, &str)] = &[
    ("alter database shop set search_path = wrong", "search_path is app, public (was wrong)"),
    ("alter database shop reset work_mem", "work_mem is 8MB (was not set)"),
    ("alter database shop set jit = off", "jit is not set any more"),
    ("alter database shop set \"app.token\" = 'top-secret-of-the-release'", "app.token again"),
    (
        "alter role shop_app in database shop set statement_timeout = '1ms'",
        "statement_timeout of the role shop_app is 5s (was 1ms)",
    ),
    ("revoke connect on database shop from shop_app", "CONNECT of shop_app is given again"),
    ("grant create on database shop to eve", "CREATE of eve is taken away"),
    ("alter database shop connection limit 3", "connection limit is 42 (was 3)"),
    ("alter database shop owner to eve", "its owner is shop_owner (was eve)"),
];
const PROPERTIES: &str = "
    select pg_get_userbyid(datdba), datconnlimit, (select array_agg(a order by a) from unnest(datacl::text[]) a)::text,
           (select array_agg(s.setrole::regrole || ' ' || c order by s.setrole::regrole || ' ' || c)::text from pg_db_role_setting s, unnest(setconfig) c where s.setdatabase = d.oid)
    from pg_database d where datname = 'shop'";

#[test]
fn settings_and_rights_of_the_database_are_those_of_the_snapshot() {
    for source in ["archive", "database"] {
        let bench = Bench::start();
        for sql in [
            "create role shop_app login; create role eve; create role shop_owner",
            "alter database shop owner to shop_owner; alter database shop connection limit 42",
            "alter database shop set search_path = app, public",
            "alter database shop set work_mem = '8MB'",
            "alter database shop set \"app.token\" = 'top-secret-of-before'",
            "alter role shop_app in database shop set statement_timeout = '5s'",
            "alter role shop_app set lock_timeout = '7s'",
            "revoke all on database shop from public; grant connect on database shop to shop_app",
        ] {
            bench.cluster.execute("postgres", sql);
        }
        let properties = || bench.cluster.query("postgres", PROPERTIES);
        let good = properties();
        bench.set(&format!("source = \"{source}\""));
        let (id, _) = bench.snapshot(BEFORE);
        assert_eq!(bench.run(&["rehearse"], &opened(BEFORE)).0, 0);
        SETTINGS.iter().for_each(|(sql, _)| bench.cluster.execute("postgres", sql));
        bench
            .cluster
            .execute("postgres", "alter role shop_app set lock_timeout = '1ms'; alter role shop_app nologin");
        let bad = properties();
        let (code, done, stderr) =
            bench.run(&["restore", "-v", "--confirm", &format!("shop@{id}")], &opened(ID));
        assert_eq!(code, 0, "{source}: {stderr}");
        assert_eq!(properties(), good, "{source}");
        let said = format!("{stderr}{done}");
        for (_, words) in SETTINGS {
            assert!(stderr.contains(words), "{source}: {words}: {stderr}");
        }
        assert!(!said.contains("top-secret"), "{source}: {stderr}");
        if source == "archive" {
            assert!(stderr.contains("lock_timeout of the role shop_app is 1ms (was 7s)"), "{stderr}");
            assert!(stderr.contains("the role shop_app has no login (it had: login)"), "{stderr}");
        }
        let besides = &done["steps"][0]["output"]["besides"];
        assert!(besides["changed"].as_array().map(Vec::len) >= Some(SETTINGS.len()), "{besides}");
        let undo = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened(&run(1)));
        assert_eq!((undo.0, properties()), (0, bad), "{source}: {}", undo.2);
    }
}

#[test]
fn a_manifest_gives_nothing_that_only_a_superuser_can() {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "alter database shop set log_statement = 'ddl'");
    let (id, folder) = bench.snapshot(BEFORE);
    edit(&folder, |m| {
        let settings = m["properties"]["settings"].as_array_mut().expect("a list");
        for (name, value) in [
            ("session_preload_libraries", "/tmp/evil"),
            ("plperl.on_plperl_init", "evil()"),
            ("work_mem", "9MB"),
        ] {
            settings.push(json!({ "name": name, "value": value }));
        }
    });
    let (code, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(
        code == 0
            && stderr
                .contains("the setting session_preload_libraries is /tmp/evil: only a superuser can set it"),
        "{stderr}"
    );
    let settings = "select setconfig::text from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = 'shop'";
    assert_eq!(bench.cluster.value("postgres", settings), "{log_statement=ddl,work_mem=9MB}");
}

/// Why the only snapshot cannot be used.
fn problem(bench: &Bench) -> Option<String> {
    let (_, text, stderr) = bench.ask(&["--env", "production", "--json"]);
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{stderr}"));
    list["snapshots"][0]["problem"].as_str().map(str::to_owned)
}

#[test]
fn no_bit_of_a_manifest_can_be_another_and_what_it_says_must_agree() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let path = folder.join("manifest.json");
    let good = std::fs::read(&path).expect("there");
    assert_eq!(problem(&bench), None);
    let places: Vec<usize> = (0..good.len()).collect();
    for &at in some(&places, 8) {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).expect("written");
        assert!(problem(&bench).is_some(), "bit {} of byte {at}", at % 8);
    }
    std::fs::write(&path, &good).expect("written");
    for (key, value, said) in [
        ("taken_at", json!("2026-01-01T00:00:00.000Z"), "its time and run say"),
        ("document", json!("shop-1.3.0-20261124T110000Z-0002"), "its time and run say"),
        ("finished_at", json!("2020-01-01T00:00:00Z"), "finished before it was begun"),
        ("log", json!({ "from": 9, "to": 3 }), "log went backwards"),
        ("schema", json!(3), "has the form 3"),
    ] {
        edit(&folder, |m| m[key] = value.clone());
        assert!(problem(&bench).expect(key).contains(said), "{key}: {:?}", problem(&bench));
        std::fs::write(&path, &good).expect("written");
    }
    std::fs::write(folder.join("dump/more.dat"), "x").expect("written");
    let (code, refused, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "corrupt"), "a file too many: {refused}");
}

#[test]
fn a_manifest_of_the_first_form_has_no_hash_and_says_so() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let path = folder.join("manifest.json");
    let mut old: Value = serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    let fields = old.as_object_mut().expect("an object");
    ["sha256", "properties", "log", "extension_tables"].iter().for_each(|key| drop(fields.remove(*key)));
    fields.insert("schema".to_owned(), json!(1));
    std::fs::write(&path, old.to_string()).expect("written");
    let (_, text, _) = bench.ask(&["--env", "production"]);
    assert!(problem(&bench).is_none() && text.contains("made by db-restore 0.1"), "{text}");
    let (code, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(code == 0 && stderr.contains("does not hold the settings and rights"), "{stderr}");
}

#[test]
fn with_a_key_nobody_else_can_write_a_manifest() {
    let bench = Bench::start();
    let (_, folder) = bench.snapshot(BEFORE);
    testkit::write_private(&bench.folder.path().join("key"), "manifest-key-canary-0123456789");
    bench.set("manifest_key_file = \"key\"");
    assert!(problem(&bench).expect("unsigned").contains("not signed"));
    std::fs::remove_dir_all(&folder).expect("removed");
    let (_, folder) = bench.snapshot(&run(1));
    assert_eq!(problem(&bench), None);
    let (code, _, stderr) = bench.run(&["rehearse"], &opened(&run(2)));
    assert_eq!(code, 0, "{stderr}");
    edit(&folder, |m| m["environment"] = json!("production"));
    assert!(problem(&bench).expect("forged").contains("not signed"), "its hash is right");
    bench.reset("manifest_key_file = \"key\"", "");
    assert_eq!(problem(&bench), None, "without the key only the hash counts");
}

#[test]
fn a_prune_counts_only_what_has_just_proven_itself() {
    let bench = Bench::start();
    bench.set("keep = \"24h\"");
    let ago = |hours: u64| jiff::Timestamp::now() - std::time::Duration::from_secs(hours * 3600);
    let older = |n: usize, hours: u64| taken_at(&bench.snapshot(&run(n)).1, ago(hours));
    let (oldest, old) = (older(1, 96), older(2, 72));
    let (_, damaged) = bench.snapshot(&run(3));
    let data = std::fs::read_dir(damaged.join("dump")).expect("there").flatten().map(|e| e.path());
    let data = data.into_iter().find(|p| p.to_string_lossy().ends_with(".gz")).expect("data");
    let mut bytes = std::fs::read(&data).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&data, bytes).expect("written");
    let future =
        taken_at(&bench.snapshot(&run(4)).1, jiff::Timestamp::now() + std::time::Duration::from_secs(7200));
    let unfinished = bench.folder.path().join("snapshots/.tmp-shop-1-20261127T000000Z-aaaa");
    std::fs::create_dir_all(unfinished.join("dump")).expect("made");
    let (code, done, stderr) = bench.run(&["prune", "--confirm", "shop@prune"], &opened(&run(5)));
    assert!(code == 0 && stderr.contains("it proves nothing"), "{done} {stderr}");
    let there = [&oldest, &old, &damaged, &future, &unfinished].map(|p| p.exists());
    assert_eq!(there, [false, true, true, true, true], "{done}");
}

#[test]
fn what_people_write_into_comments_makes_nothing_disappear() {
    for comment in
        some(&["'before release 1.2, keep until Friday'", "''", "null", "'db-restore nonsense'"], 2)
    {
        let bench = Bench::start();
        let write = |database: &str| {
            bench.cluster.execute("postgres", &format!("comment on database \"{database}\" is {comment}"));
        };
        bench.set("source = \"database\"");
        let (id, _) = bench.snapshot(BEFORE);
        write(&id);
        bench.cluster.execute("shop", "update products set price = 0");
        let (other, _) = bench.snapshot(&run(1));
        assert!(bench.databases().contains(&format!("{id} (closed)")), "{comment}: {:?}", bench.databases());
        let (_, text, _) = bench.ask(&["--env", "production"]);
        assert!(
            text.contains(&id) && text.contains(&other) && !text.contains("not usable"),
            "{comment}: {text}"
        );
        let args = ["restore", "--snapshot", &id, "--confirm", &format!("shop@{id}")];
        assert_eq!(bench.run(&args, &opened(ID)).0, 0, "{comment}");
        assert_eq!(bench.prices()[0][1], "85000");
        // What was put aside, and what is live now, lose their lines too.
        write(OLD);
        write("shop");
        let (code, again, _) = bench.run(&args, &opened(ID));
        assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")), "{comment}");
        let (code, _, stderr) = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened(&run(2)));
        assert_eq!((code, bench.prices()[0][1].as_str()), (0, "0"), "{comment}: {stderr}");
        let notes = "select count(*) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = 'shop'";
        assert_eq!(bench.cluster.value("postgres", notes), "0", "the live database shows nothing of it");
    }
}

#[test]
fn an_owner_who_is_no_superuser_has_notes_in_comments_only() {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "create role shop_owner login createdb password 'canary-database-5vQ2m8Rk'; alter database shop owner to shop_owner");
    bench.cluster.execute("shop", "alter table products owner to shop_owner; alter schema \"Lager 1\" owner to shop_owner; alter table \"Lager 1\".\"Bestand, alt\" owner to shop_owner");
    bench.reset("user = \"postgres\"", "user = \"shop_owner\"");
    bench.set("source = \"database\"");
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 0");
    bench.restored(&id, ID);
    assert_eq!(bench.prices()[0][1], "85000");
    let (code, _, stderr) = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened(&run(1)));
    assert_eq!((code, bench.prices()[0][1].as_str()), (0, "0"), "{stderr}");
    let (other, _) = bench.snapshot(&run(2));
    bench.cluster.execute("postgres", &format!("comment on database \"{other}\" is null"));
    bench.snapshot(&run(3));
    assert!(bench.databases().contains(&format!("{other} (closed)")), "{:?}", bench.databases());
}

#[test]
fn a_clone_whose_notes_are_all_gone_is_left_alone() {
    let bench = Bench::start();
    bench.set("source = \"database\"");
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute(
        "postgres",
        &format!("comment on database \"{id}\" is 'mine'; alter database \"{id}\" reset all"),
    );
    bench.snapshot(&run(1));
    let (_, text, _) = bench.ask(&["--env", "production"]);
    assert!(text.contains(&id) && text.contains("does not say any more what it is"), "{text}");
    assert!(bench.databases().contains(&format!("{id} (closed)")));
}

/// What an archive of others may leave out, and how it is made.
const LESS: &[(&str, &[&str])] = &[
    ("less.dump", &["--format=custom", "--no-acl", "--no-owner"]),
    ("less.tar", &["--format=tar", "--no-acl"]),
    (".sql", &["--no-acl", "--no-owner"]),
];

const RIGHTS: &str = "
    create schema app authorization na_app; grant usage on schema app to public; set role na_app;
    create function app.wipe() returns text language sql security definer as 'select 1::text'; revoke all on function app.wipe() from public;
    create procedure app.go(n int) language sql as 'select 1'; grant execute on procedure app.go(int) to na_other with grant option;
    create type app.mood as enum ('good'); revoke usage on type app.mood from public; create domain app.d as int;
    create table app.t (id int primary key, s text, m app.mood); grant select (id) on app.t to na_other; grant insert on app.t to na_other with grant option;
    create view app.v as select id from app.t; create materialized view app.mv as select id from app.t; create sequence app.seq; grant usage on sequence app.seq to na_other;
    create statistics app.st on id, s from app.t; create aggregate app.total(int) (sfunc = int4pl, stype = int);
    select lo_from_bytea(4711, 'x'); grant select on large object 4711 to na_other;
    reset role; alter default privileges for role na_app in schema app grant select on tables to na_other; alter default privileges for role na_app revoke execute on functions from public";

#[test]
fn an_archive_without_owners_or_rights_gets_those_of_the_live_database() {
    let bench = Bench::start();
    bench.cluster.execute(
        "postgres",
        "create role na_app; create role na_other; grant create on database shop to na_app",
    );
    bench.cluster.execute("shop", RIGHTS);
    let before = bench.content();
    for (n, (name, args)) in LESS.iter().enumerate() {
        let name = if *name == ".sql" {
            format!("less-{}.sql", jiff::Timestamp::now().as_second())
        } else {
            (*name).to_owned()
        };
        bench.foreign(&name, args, &[]);
        let (code, _, stderr) = bench
            .run(&["restore", "--snapshot", &name, "--confirm", &format!("shop@{name}")], &opened(&run(n)));
        assert!(code == 0 && stderr.contains("the archive holds no rights"), "{name}: {stderr}");
        // pg_dump leaves owners out of plain dumps alone.
        assert_eq!(
            stderr.contains("the archive names no owners"),
            name.ends_with(".sql"),
            "{name}: {stderr}"
        );
        assert!(stderr.contains("does not hold the settings and rights"), "{name}: {stderr}");
        assert_eq!(sorted(&bench.content()), sorted(&before), "{name}");
    }
}

/// The order in which rights were given is kept, and means nothing.
fn sorted(content: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = content.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_is_asked_for_by_a_slip_of_the_keyboard_is_refused() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let confirm = format!("shop@{id}");
    let (code, refused, _) =
        bench.run(&["restore", "--incident-at", "2099-01-01T00:00:00Z", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "incident-ahead"), "{refused}");
    let (code, text, stderr) =
        bench.ask(&["recovery-point", "--env", "production", "--incident-at", "2099-01-01T00:00:00Z"]);
    assert!(code == 1 && format!("{text}{stderr}").contains("ahead"), "{text}{stderr}");
    let (code, refused, _) = bench.run(&["restore", "--timeout", "600h", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "timeout"), "{refused}");
    let group = bench.folder.path().join("password");
    std::fs::set_permissions(&group, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("set");
    let (code, _, stderr) = bench.ask(&["--env", "production"]);
    assert!(code == 0 && stderr.contains("a whole group may read this secret"), "{stderr}");
    assert_eq!(bench.databases(), ["shop"]);
}

#[test]
fn a_whole_dump_followed_by_one_that_is_cut_off_is_refused() {
    let bench = Bench::start();
    bench.set("shrink = 0");
    let path = bench.foreign(&format!("two-{}.sql", jiff::Timestamp::now().as_second()), &[], &[]);
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let one = std::fs::read_to_string(&path).expect("there");
    let cut = |words: &str| &one[..one.find(words).expect("there") + words.len()];
    for (what, text) in [
        ("cut in the rows", format!("{one}{}", cut("COPY public.products (id, name, price) FROM stdin;\n1"))),
        ("cut after a statement", format!("{one}{}", cut("SET row_security = off;\n"))),
        ("cut in its first lines", format!("{one}{}", cut("-- PostgreSQL database dump\n"))),
        ("cut after its first comment", format!("{one}{}", cut("-- Dumped by"))),
        ("cut before a whole one", format!("{}{one}", cut("SET row_security = off;\n"))),
    ] {
        std::fs::write(&path, text).expect("written");
        let (code, refused, _) =
            bench.run(&["restore", "--snapshot", &name, "--confirm", &format!("shop@{name}")], &opened(ID));
        assert_eq!((code, reason(&refused).0), (1, "corrupt"), "{what}: {refused}");
    }
    assert_eq!(bench.databases(), ["shop"]);
}

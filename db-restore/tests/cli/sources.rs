//! Where snapshots come from: archives of others in every form, clones, staged copies; what each can prove, and what an undo and a
//! prune make of it.

use std::time::Duration;

use crate::common::{BEFORE, Bench, ID, OLD, opened, reason};
use serde_json::{Value, json};
use testkit::snapshots::{edit, taken_at};

pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

pub fn list(bench: &Bench) -> Value {
    let (_, text, stderr) = bench.ask(&["--env", "production", "--json"]);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{stderr}"))
}

pub fn listed(bench: &Bench, id: &str) -> Value {
    let list = list(bench);
    let found = list["snapshots"].as_array().expect("a list").iter().find(|s| s["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {list}")).clone()
}

#[test]
fn the_loss_is_exact_for_tables_with_and_without_a_key() {
    let bench = Bench::start();
    bench.cluster.execute(
        "shop",
        "create table event (id bigint primary key, body jsonb, created_at timestamptz not null);
         insert into event select n, jsonb_build_object('n', n), '2026-11-01' from generate_series(1, 60000) n;
         create table log (at int, line text); insert into log select n % 100, md5((n / 2)::text) from generate_series(1, 40000) n;
         create table gone (id int primary key); insert into gone select generate_series(1, 12)",
    );
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute(
        "shop",
        "insert into event select n, '{}', '2026-11-24 10:00:00+00' from generate_series(60001, 61234) n;
         update event set body = '{\"bad\": true}' where id between 1000 and 1499;
         delete from log where ctid in (select ctid from log limit 7);
         drop table gone; create table fresh (id int); insert into fresh select generate_series(1, 3);
         alter table products add column paid_with text default 'x'",
    );
    let done = bench.restored(&id, ID);
    let lost = &done["steps"][0]["output"]["lost"];
    let table = |name: &str| {
        let found = lost["tables"].as_array().expect("tables").iter().find(|t| t["table"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {lost}")).clone()
    };
    let event = table("public.event");
    assert_eq!(
        (&event["only_in_old"], &event["changed"], &event["only_in_new"]),
        (&json!(1234), &json!(500), &json!(0))
    );
    assert_eq!((&event["rows_old"], &event["rows_new"]), (&json!(61234), &json!(60000)));
    assert_eq!(event["newest_row_at"], "2026-11-24T10:00:00.000Z");
    let log = table("public.log");
    assert_eq!(
        (&log["only_in_old"], &log["changed"], &log["only_in_new"]),
        (&json!(0), &json!(0), &json!(7))
    );
    assert_eq!(table("public.fresh")["only_in_old"], 3);
    assert_eq!(table("public.gone")["only_in_new"], 12);
    assert_eq!(table("public.products")["columns_lost"], json!(["paid_with"]));
    assert_eq!(
        (&lost["only_in_old"], &lost["changed"], &lost["exact"]),
        (&json!(1237), &json!(500), &json!(true))
    );
    assert_eq!(done["facts"]["loss"]["rows"], 1237);
}

#[test]
fn what_is_written_while_the_report_is_made_is_counted_after_the_swap() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let input = bench.folder.path().join("document.json");
    std::fs::write(&input, opened(ID).to_string()).expect("written");
    let mut command = bench.command(&["restore", "-v", "--confirm", &format!("shop@{id}")]);
    let mut held =
        testkit::lockstep::Lockstep::spawn(command.stdin(std::fs::File::open(input).expect("there")));
    assert!(held.until("0 rows only in the present data"));
    bench.cluster.execute("shop", "insert into products values (7, 'late', 1), (8, 'later', 2); update products set price = 9 where id = 1");
    while held.line().is_some() {}
    let output = held.child.wait_with_output().expect("ended");
    let done: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(done["facts"]["loss"]["rows"], 2, "{done}");
    assert_eq!(done["steps"][0]["output"]["lost"]["changed"], 1, "{done}");
}

#[test]
fn the_teams_own_questions_decide_before_and_after() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    bench.set("probes = [\"select count(*) > 100 from products\"]");
    let (code, failed, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    let (word, said) = reason(&failed);
    assert!(code == 1 && word == "probe" && said.contains("it says false"), "{said}");
    assert_eq!(
        (failed["failure"]["acted"].as_str(), bench.databases()),
        (Some("no"), vec!["shop".to_owned()])
    );
    // The application's role has no right to look: that is seen only through the public name, and the way back is named.
    bench.cluster.execute("postgres", "create role shop_app");
    bench.reset("> 100", "= 2");
    bench.set("app_role = \"shop_app\"");
    let (code, failed, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!(
        (code, reason(&failed).0, failed["failure"]["acted"].as_str()),
        (1, "application", Some("yes"))
    );
    assert_eq!(
        failed["failure"]["next"],
        format!("db-restore undo --fresh --env production --confirm shop@{OLD}")
    );
}

#[test]
fn a_question_of_the_team_that_writes_is_refused_and_nothing_is_written() {
    let bench = Bench::start();
    bench.cluster.execute(
        "shop",
        "create function counted() returns boolean language sql as $$ insert into products values (9, 'counted', 1) returning true $$",
    );
    let (id, _) = bench.snapshot(BEFORE);
    bench.set("probes = [\"select counted()\"]");
    let before = bench.content();
    let (code, failed, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((code, reason(&failed).0), (1, "probe"), "{stderr}");
    assert!(stderr.contains("cannot execute INSERT in a read-only transaction"), "{stderr}");
    assert_eq!(bench.content(), before);
    // Nor does one question open the way for the next, nor is a large object unlinked, which 15 allows to whoever only reads.
    bench.reset(
        "select counted()",
        "select set_config('default_transaction_read_only', 'off', false) = 'off'\", \"select counted()",
    );
    let (code, failed, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((code, reason(&failed).0), (1, "probe"), "{stderr}");
    assert_eq!(bench.content(), before);
    bench.cluster.execute("shop", "create table pictures as select lo_from_bytea(0, 'x') as picture");
    let objects = "select count(*) from pg_largeobject_metadata";
    bench.reset("select counted()", "select count(lo_unlink(picture)) = 1 from pictures");
    let (_, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!(bench.cluster.value("shop", objects), "1", "{stderr}");
}

#[test]
fn a_rehearsal_is_kept_and_a_restore_is_then_a_rename() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let before = bench.content();
    let (code, planned, _) = bench.run(&["rehearse", "--plan"], &opened(BEFORE));
    assert_eq!((code, planned["steps"][0]["status"].as_str()), (0, Some("planned")));
    let (code, staged, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    assert_eq!((code, staged["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    let output = &staged["steps"][0]["output"];
    assert!(output["proof"]["amcheck"].as_u64().is_some_and(|n| n >= 3), "{output}");
    assert!(output["ms"]["restore"].is_u64() && output["ms"]["verify"].is_u64(), "{output}");
    let copy = output["staged_in"].as_str().expect("a name").to_owned();
    assert_eq!(bench.databases(), ["shop".to_owned(), format!("{copy} (closed)")], "nobody can write to it");
    let (code, again, _) = bench.run(&["rehearse"], &opened("shop-1.3.0-20261124T113000Z-0001"));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")));

    // The archive is not needed any more: whatever became of it, the copy is there.
    std::fs::write(
        folder.join("dump/toc.dat"),
        std::fs::read(folder.join("dump/toc.dat")).expect("there").iter().rev().copied().collect::<Vec<_>>(),
    )
    .expect("written");
    bench.cluster.execute("shop", "delete from products");
    let done = bench.restored(&id, ID);
    assert_eq!(bench.content(), before);
    assert_eq!(done["steps"][0]["output"]["ms"].get("restore"), None, "nothing was restored");
    assert_eq!(bench.databases(), ["shop", OLD]);
}

#[test]
fn a_newer_rehearsal_replaces_the_older_one_and_a_failed_one_replaces_nothing() {
    let bench = Bench::start();
    bench.snapshot(BEFORE);
    assert_eq!(bench.run(&["rehearse"], &opened(BEFORE)).0, 0);
    let second = "shop-1.3.0-20261124T113000Z-0002";
    let (_, folder) = bench.snapshot(second);
    edit(&folder, |m| m["tables"]["public.products"] = json!(3));
    let (code, failed, _) = bench.run(&["rehearse"], &opened(second));
    let (word, said) = reason(&failed);
    assert!(
        code == 1 && word == "unproven" && said.contains("public.products: 2 rows instead of 3 rows"),
        "{said}"
    );
    assert_eq!(bench.databases(), ["shop", "shop__dbr_20261124t110000z_0001 (closed)"]);
    edit(&folder, |m| m["tables"]["public.products"] = json!(2));
    assert_eq!(bench.run(&["rehearse"], &opened(second)).0, 0);
    assert_eq!(bench.databases(), ["shop", "shop__dbr_20261124t113000z_0002 (closed)"]);
}

#[test]
fn a_clone_is_swapped_in_and_the_swap_undone() {
    let bench = Bench::start();
    bench.set("source = \"database\"");
    let idle = bench.cluster.session("shop");
    let (code, document, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, 0, "{stderr}");
    drop(idle);
    let snapshot = &document["facts"]["snapshot"];
    let id = snapshot["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        (snapshot["source"].as_str(), id.as_str()),
        (Some("database"), "shop__snap_20261124t110000z_0001")
    );
    assert_eq!(bench.databases(), ["shop".to_owned(), format!("{id} (closed)")]);
    assert_eq!(bench.run(&["snapshot"], &opened(BEFORE)).1["steps"][0]["status"], "unchanged");
    assert_eq!(bench.run(&["rehearse"], &opened(BEFORE)).1["steps"][0]["status"], "skipped");
    assert_eq!(list(&bench)["recovery_point"], json!(id));

    let good = bench.content();
    bench
        .cluster
        .execute("shop", "alter table products drop column price; insert into products values (3, 'Dodol')");
    let bad = bench.content();
    let done = bench.restored(&id, ID);
    assert_eq!((bench.content(), &done["facts"]["loss"]["rows"]), (good.clone(), &json!(1)));
    assert_eq!(bench.databases(), ["shop", OLD]);
    undone(&bench, &bad);
}

/// Undoes a restore after which somebody has written.
pub fn undone(bench: &Bench, bad: &str) {
    let undo = "shop-1.3.0-20261124T140000Z-0009";
    bench.cluster.execute("shop", "insert into products values (4, 'Kopi', 5); update products set price = 1 where id = 1; delete from products where id = 2");
    let (code, refused, _) = bench.run(&["undo"], &opened(undo));
    assert_eq!((code, reason(&refused).0), (1, "unconfirmed"));
    let next = refused["failure"]["next"].as_str().expect("a command");
    assert!(next.ends_with(&format!("--confirm shop@{OLD}")), "{next}");
    let (code, undone, stderr) = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened(undo));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bench.content(), bad, "as it was before the restore");
    let step = &undone["steps"][0];
    assert_eq!(
        (&step["output"]["written"], &undone["facts"]["loss"]["rows"]),
        (&json!({ "public.products": 2 }), &json!(2))
    );
    let kept = undone["facts"]["loss"]["kept_in"].as_str().expect("a name").to_owned();
    assert_eq!(bench.cluster.value(&kept, "select count(*) from products"), "2");
    bench.cluster.execute("shop", "insert into products values (6, 'it can be written to again')");
    assert_eq!(
        bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened(undo)).1["steps"][0]["status"],
        "unchanged"
    );
    let (code, refused, _) = bench
        .run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened("shop-1.3.0-20261124T150000Z-0009"));
    assert_eq!((code, reason(&refused).0), (1, "nothing-to-undo"), "twice is once too often");
}

#[test]
fn a_document_that_tells_of_a_restore_is_not_undone_in_the_same_breath() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let restored = bench.restored(&id, ID);
    let (code, refused, _) = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &restored);
    assert_eq!((code, reason(&refused).0), (1, "fact-conflict"));
    assert_eq!(bench.databases(), ["shop", OLD]);
}

#[test]
fn what_is_too_old_is_removed_but_never_the_last_good_snapshot() {
    let bench = Bench::start();
    bench.set("keep = \"24h\"\nkeep_databases = \"0s\"");
    let (first, folder) = bench.snapshot(BEFORE);
    bench.restored(&first, ID);
    let folder = taken_at(&folder, jiff::Timestamp::now() - Duration::from_secs(72 * 3600));
    assert_eq!(bench.run(&["rehearse"], &opened(BEFORE)).0, 0);
    bench.foreign("theirs.dump", &["--format=custom"], &[]);
    std::fs::rename(
        bench.folder.path().join("snapshots/theirs.dump"),
        bench.folder.path().join("theirs.dump"),
    )
    .expect("moved");
    bench.cluster.create_database("shop__reports");
    let prune = "shop-1.3.0-20261124T160000Z-0001";
    let (code, planned, _) = bench.run(&["prune", "--plan"], &opened(prune));
    assert_eq!((code, planned["steps"][0]["status"].as_str()), (0, Some("planned")));
    let (code, refused, _) = bench.run(&["prune"], &opened(prune));
    assert_eq!((code, reason(&refused).0), (1, "unconfirmed"));
    let (code, done, stderr) = bench.run(&["prune", "--confirm", "shop@prune"], &opened(prune));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bench.databases(), ["shop", "shop__reports"], "{done}");
    assert!(folder.exists(), "it is old, and the only one");
    let (_, second) = bench.snapshot("shop-1.3.0-20261124T170000Z-0002");
    let (code, _, stderr) = bench.run(&["prune", "--confirm", "shop@prune"], &opened(prune));
    assert_eq!((code, folder.exists(), second.exists()), (0, false, true), "{stderr}");
    let (code, again, _) = bench.run(&["prune", "--confirm", "shop@prune"], &opened(prune));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")));
}

/// A runbook asks nobody: it removes what a setting speaks of, and nothing else.
#[test]
fn by_its_settings_a_prune_removes_only_what_they_speak_of() {
    let bench = Bench::start();
    let (first, folder) = bench.snapshot(BEFORE);
    bench.restored(&first, ID);
    let old = taken_at(&folder, jiff::Timestamp::now() - Duration::from_secs(30 * 86_400));
    bench.snapshot("shop-1.3.0-20261124T170000Z-0002");
    let kept = bench.databases();
    let prune = |bench: &Bench| {
        let (code, done, stderr) =
            bench.run(&["prune", "--by-settings"], &opened("shop-1.3.0-20261124T160000Z-0001"));
        assert_eq!(code, 0, "{stderr}");
        done["steps"][0]["status"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((prune(&bench).as_str(), old.exists(), bench.databases()), ("unchanged", true, kept));
    bench.set("keep_databases = \"0s\"");
    assert_eq!(prune(&bench), "changed");
    assert_eq!((old.exists(), bench.databases()), (true, vec!["shop".to_owned()]));
    bench.reset("keep_databases = \"0s\"", "keep = \"24h\"");
    assert_eq!((prune(&bench).as_str(), old.exists()), ("changed", false));
    let both =
        bench.command(&["prune", "--by-settings", "--confirm", "shop@prune"]).output().expect("it runs");
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn a_snapshot_much_smaller_than_the_one_before_is_no_recovery_point() {
    let bench = Bench::start();
    bench.cluster.execute(
        "shop",
        "create table big (t text); insert into big select md5(n::text) from generate_series(1, 20000) n",
    );
    let (first, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "truncate big");
    let (code, refused, _) = bench.run(&["snapshot"], &opened("shop-1.3.0-20261124T113000Z-0002"));
    let (word, said) = reason(&refused);
    assert!(
        code == 1 && word == "unusable" && said.contains("incomplete?"),
        "before a release is when to know: {said}"
    );
    let folder = std::fs::read_dir(bench.folder.path().join("snapshots")).expect("there").flatten();
    let second = folder.map(|e| e.file_name().to_string_lossy().into_owned()).find(|n| n.ends_with("0002"));
    let second = second.expect("it is kept");
    assert!(listed(&bench, &second)["problem"].as_str().expect("a problem").contains("incomplete?"));
    assert_eq!(list(&bench)["recovery_point"], json!(first));
    bench.set("shrink = 0");
    assert_eq!(list(&bench)["recovery_point"], json!(second));
}

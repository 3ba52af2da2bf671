//! Where snapshots come from: archives of others in every form, clones, staged copies; what each can prove, and what an undo and a
//! prune make of it.

mod common;

use std::time::Duration;

use common::{BEFORE, Bench, ID, OLD, opened, reason};
use serde_json::{Value, json};
use testkit::snapshots::{edit, taken_at};

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn list(bench: &Bench) -> Value {
    let (_, text, stderr) = bench.ask(&["--env", "production", "--json"]);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{stderr}"))
}

fn listed(bench: &Bench, id: &str) -> Value {
    let list = list(bench);
    let found = list["snapshots"].as_array().expect("a list").iter().find(|s| s["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {list}")).clone()
}

#[test]
fn archives_of_every_form_are_restored_and_the_content_is_the_same() {
    let bench = Bench::start();
    bench.cluster.execute(
        "shop",
        "create type mood as enum ('good', 'bad'); create table moods (id int primary key, m mood, j json, tags text[]);
         insert into moods select n, 'good', '{\"a\": 1}', array['x', n::text] from generate_series(1, 300) n;
         create index on moods using gin (tags); create view cheap as select * from products where price < 100000",
    );
    let before = bench.content();
    let seconds = now();
    let forms = [
        ("custom", "shop.dump".to_owned(), "--format=custom"),
        ("tar", "shop.tar".to_owned(), "--format=tar"),
        ("directory", "shop.dir".to_owned(), "--format=directory"),
        ("plain", format!("shop-{seconds}.sql"), "--format=plain"),
    ];
    for (form, name, flag) in &forms {
        bench.foreign(name, &[flag], &[]);
        let seen = listed(&bench, name);
        assert_eq!((&seen["form"], seen.get("problem")), (&json!(form), None), "{seen}");
    }
    for (n, (form, name, _)) in forms.iter().enumerate() {
        bench.cluster.execute("shop", "delete from moods where id > 290; update moods set m = 'bad' where id <= 4; insert into moods values (1000, 'bad')");
        let run = format!("shop-1.3.0-20261124T12000{n}Z-7f3a");
        let (code, done, stderr) =
            bench.run(&["restore", "--snapshot", name, "--confirm", &format!("shop@{name}")], &opened(&run));
        assert_eq!(code, 0, "{form}: {stderr}");
        let lost = &done["steps"][0]["output"]["lost"]["tables"][0];
        let numbers = [&lost["only_in_old"], &lost["changed"], &lost["only_in_new"]].map(Value::as_u64);
        assert_eq!(numbers, [Some(1), Some(4), Some(10)], "{form}: {lost}");
        assert_eq!(bench.content(), before, "{form}");
    }
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
fn the_time_of_an_archive_is_its_hosts_whatever_ours_is() {
    let bench = Bench::start();
    let began = now();
    bench.foreign("shop.dump", &["--format=custom"], &[("TZ", "America/New_York")]);
    // Read as UTC it is hours old, and nothing contradicts that.
    assert_eq!(list(&bench)["reason"], "too-old");
    bench.set("dump_timezone = \"America/New_York\"");
    let taken = listed(&bench, "shop.dump")["taken_at"]
        .as_str()
        .expect("an instant")
        .parse::<jiff::Timestamp>()
        .expect("an instant");
    assert!((taken.as_second() - began).abs() <= 5, "{taken}");
    for zone in ["UTC", "Asia/Tokyo", "America/Los_Angeles"] {
        let output =
            bench.command(&["--env", "production", "--json"]).env("TZ", zone).output().expect("it runs");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            answer["snapshots"][0]["taken_at"].as_str(),
            Some(taken.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string().as_str()),
            "{zone}"
        );
        assert_eq!(answer["proof"]["pass"], true);
    }
    // The zone of a host further west makes it younger than the file itself; one that contradicts the name is found too.
    bench.reset("America/New_York", "America/Los_Angeles");
    assert!(listed(&bench, "shop.dump")["problem"].as_str().expect("a problem").contains("dump_timezone"));
    let name = format!("pg-dump-shop-{began}.dmp");
    std::fs::rename(
        bench.folder.path().join("snapshots/shop.dump"),
        bench.folder.path().join("snapshots").join(&name),
    )
    .expect("renamed");
    bench.reset("America/Los_Angeles", "UTC");
    assert!(
        listed(&bench, &name)["problem"].as_str().expect("a problem").contains("its name"),
        "5 hours apart"
    );
    bench.reset("\"UTC\"", "\"Mars/Olympus\"");
    let (code, _, said) = bench.ask(&["--env", "production"]);
    assert!(code == 78 && said.contains("Mars/Olympus"), "{said}");
}

/// Why an archive is not restored.
fn refused(bench: &Bench, name: &str) -> (String, String) {
    let args = ["restore", "--snapshot", name, "--confirm", &format!("shop@{name}")];
    let (code, refused, _) = bench.run(&args, &opened(ID));
    let (word, said) = reason(&refused);
    assert_eq!(code, 1, "{said}");
    (word.to_owned(), said)
}

#[test]
fn a_damaged_archive_of_others_is_found_before_anything_happens() {
    let bench = Bench::start();
    bench
        .cluster
        .execute("shop", "insert into \"Lager 1\".\"Bestand, alt\" select generate_series(1, 50000)");
    let before = bench.content();
    let path = bench.foreign("shop.dump", &["--format=custom", "--compress=0"], &[]);
    let good = std::fs::read(&path).expect("there");
    std::fs::write(&path, &good[..good.len() - 1000]).expect("written");
    assert_eq!(refused(&bench, "shop.dump").0, "corrupt", "cut off, though its list of contents is whole");
    // One bit in data that is not compressed: only a checksum from elsewhere can find it.
    let mut flipped = good.clone();
    let at = flipped.windows(6).rposition(|w| w == b"40000\n").expect("a row");
    flipped[at + 1] ^= 1;
    std::fs::write(&path, &flipped).expect("written");
    let sum = std::process::Command::new("sha256sum")
        .arg("-")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut sum = sum.expect("sha256sum");
    std::io::Write::write_all(&mut sum.stdin.take().expect("a pipe"), &good).expect("written");
    let sum = sum.wait_with_output().expect("ended").stdout;
    std::fs::write(bench.folder.path().join("snapshots/shop.dump.sha256"), sum).expect("written");
    let (word, said) = refused(&bench, "shop.dump");
    assert!(word == "corrupt" && said.contains(".sha256"), "{said}");
    std::fs::write(&path, &good).expect("written");
    assert_eq!(listed(&bench, "shop.dump")["remark"], "made by others");
    assert_eq!((bench.content(), bench.databases()), (before, vec!["shop".to_owned()]));
}

#[test]
fn what_is_no_dump_or_somebody_elses_is_never_restored() {
    let bench = Bench::start();
    std::fs::create_dir(bench.folder.path().join("snapshots")).expect("a folder");
    // What is no dump at all.
    for (name, bytes) in
        [("tiny.dump", &b"12345678901234567890"[..]), ("empty.dump", b""), ("shop.sql.gz", b"\x1f\x8b\x08\0")]
    {
        std::fs::write(bench.folder.path().join("snapshots").join(name), bytes).expect("written");
        assert!(listed(&bench, name)["problem"].is_string(), "{name}");
        assert_eq!(refused(&bench, name).0, "unusable");
    }
    let plain = bench.foreign(&format!("shop-{}.sql", now()), &[], &[]);
    let name = plain.file_name().expect("a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&plain).expect("there");
    std::fs::write(&plain, &text[..text.len() / 2]).expect("written");
    assert!(refused(&bench, &name).1.contains("cut off"));
    std::fs::write(&plain, format!("{text}\\connect postgres\n")).expect("written");
    assert!(refused(&bench, &name).1.contains("connect postgres"));
    bench.cluster.create_database("other");
    let output = bench
        .cluster
        .program("pg_dump")
        .args(["--format=custom", "--dbname=other", "--file"])
        .arg(bench.folder.path().join("snapshots/other.dump"))
        .output();
    assert!(output.expect("pg_dump").status.success());
    assert!(listed(&bench, "other.dump")["problem"].as_str().expect("a problem").contains("database other"));
    assert_eq!(bench.databases(), ["shop"]);
}

#[test]
fn an_archive_without_rights_gets_those_of_the_live_database() {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "create role anon");
    bench.cluster.execute("shop", "grant select on products to anon; grant usage on schema \"Lager 1\" to anon; grant select on \"Lager 1\".\"Bestand, alt\" to anon with grant option");
    bench.set("app_role = \"anon\"\nprobes = [\"select count(*) = 2 from products\"]");
    let before = bench.content();
    bench.foreign("coolify.dmp", &["--format=custom", "--no-acl", "--no-owner"], &[]);
    let (code, _, stderr) = bench.run(&["restore", "--confirm", "shop@coolify.dmp"], &opened(ID));
    assert!(code == 0 && stderr.contains("objects were taken from shop"), "{stderr}");
    assert_eq!(bench.content(), before);
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
fn undone(bench: &Bench, bad: &str) {
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

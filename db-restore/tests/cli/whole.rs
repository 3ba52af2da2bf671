//! The real binary against a real PostgreSQL: snapshots, recovery points, restores.

use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::snapshots::{edit, taken_at};

use crate::common::{BEFORE, Bench, ID, OLD, SIDE, minutes_ago, opened, retried};
use step::Exit;

/// What 1.3.0 does: a column is gone, and eight rows are new.
fn destroy(bench: &Bench) {
    bench.cluster.execute(
        "shop",
        "alter table products drop column price; insert into products values (3, 'Dodol');
         create table orders (id int); insert into orders select generate_series(1, 7);",
    );
}

#[test]
fn what_a_release_destroys_comes_back_and_what_it_made_is_kept() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    destroy(&bench);
    let confirm = format!("shop@{id}");
    let (code, restored, stderr) = bench.run(&["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, restored["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(bench.prices(), [["1", "85000"], ["2", "1250000"]]);
    assert_eq!(bench.databases(), ["shop", OLD]);
    let loss = &restored["facts"]["loss"];
    assert_eq!((&loss["rows"], &loss["kept_in"]), (&json!(8), &json!(OLD)), "one product, seven orders");
    assert_eq!(loss["from"], restored["facts"]["snapshot"]["taken_at"]);
    assert_eq!(bench.cluster.value(OLD, "select count(*) from orders"), "7", "what was lost can be read");
    let write = bench.cluster.session(OLD).batch_execute("insert into orders values (8)");
    assert!(write.is_err(), "but the old database is not written to by accident");

    // A second time nothing happens, and the document says the same.
    bench.cluster.execute("shop", "insert into products values (9, 'new', 1)");
    let (code, again, _) = bench.run(&["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")));
    assert_eq!(again["facts"]["loss"], *loss);
    assert_eq!(bench.prices().len(), 3);
    // Another snapshot is another restore, which this run has not made: nothing is said to be done.
    for wish in [&["--confirm", "shop@other"][..], &["--snapshot", "other", "--confirm", "shop@other"]] {
        let (code, refused, _) = bench.run(&[&["restore"], wish].concat(), &opened(ID));
        assert_eq!((code, refused["failure"]["reason"].as_str()), (1, Some("restored-before")), "{wish:?}");
        let next = "db-restore restore --fresh --env production --snapshot other";
        assert_eq!(refused["failure"]["next"], json!(next));
    }
    assert_eq!(bench.prices().len(), 3);

    // Another run restores again, beside what the first one kept.
    let other = "shop-1.3.0-20261124T130000Z-0002";
    let (code, _, stderr) = bench.run(&["restore", "--confirm", &confirm], &opened(other));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bench.prices().len(), 2);
    let (code, superseded, _) = bench.run(&["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, superseded["failure"]["reason"].as_str()), (1, Some("superseded")));
}

#[test]
fn nothing_is_replaced_that_nobody_confirmed() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    destroy(&bench);
    let (code, refused, stderr) = bench.run(&["restore"], &opened(ID));
    assert_eq!((code, refused["failure"]["reason"].as_str()), (1, Some("unconfirmed")), "{stderr}");
    let next = format!("db-restore restore --env production --snapshot {id} --confirm shop@{id}");
    assert_eq!(refused["failure"]["next"], json!(next));
    let (code, refused, _) = bench.run(&["restore", "--confirm", "shop@other"], &opened(ID));
    assert_eq!((code, refused["failure"]["reason"].as_str()), (1, Some("unconfirmed")));
    let (code, planned, stderr) = bench.run(&["restore", "--plan"], &opened(ID));
    assert_eq!((code, planned["steps"][0]["status"].as_str()), (0, Some("planned")), "{stderr}");
    assert_eq!(planned["facts"]["snapshot"]["id"], json!(id));
    assert_eq!(bench.databases(), ["shop"]);
}

#[test]
fn what_belongs_to_the_database_itself_comes_along() {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "create role shop_app");
    for statement in [
        "alter database shop set search_path to \"$user\", public, extensions",
        "alter database shop set app.mode to 'shop, open'",
        "alter role shop_app in database shop set work_mem to '8MB'",
        "alter database shop connection limit 42",
        "revoke connect on database shop from public",
        "grant connect on database shop to shop_app with grant option",
        "comment on database shop is 'Ask Rina before you touch it'",
    ] {
        bench.cluster.execute("postgres", statement);
    }
    let sql = "select d.datconnlimit, d.datacl::text, array_agg(s.setrole || s.setconfig::text order by s.setrole)::text
               from pg_database d join pg_db_role_setting s on s.setdatabase = d.oid
               where datname = 'shop' group by d.oid";
    let before = bench.cluster.query("postgres", sql);
    let (id, _) = bench.snapshot(BEFORE);
    let (code, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(bench.cluster.query("postgres", sql), before);
    let sql = "select shobj_description(oid, 'pg_database') from pg_database where datname = 'shop'";
    let remarks = bench.cluster.value("postgres", sql);
    assert!(remarks.starts_with("Ask Rina before you touch it\ndb-restore {"), "{remarks}");
}

#[test]
fn a_run_has_one_snapshot_that_nobody_else_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::start();
    let run = BEFORE;
    let left = bench.folder.path().join(format!("snapshots/.tmp-{run}"));
    std::fs::create_dir_all(&left).expect("as if killed");
    let (id, folder) = bench.snapshot(run);
    assert!(!left.exists());
    assert_eq!(folder.metadata().expect("there").permissions().mode() & 0o777, 0o700);
    let (code, again, _) = bench.run(&["snapshot"], &opened(run));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("unchanged")));
    assert_eq!(again["facts"]["snapshot"]["id"], json!(id));
    assert_eq!(again["facts"]["snapshot"]["source"], "archive");
}

#[test]
fn sessions_that_hold_on_and_come_back_are_moved_over() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 0");
    let idle: Vec<_> = (0..10).map(|_| bench.cluster.session("shop")).collect();
    let stop = AtomicBool::new(false);
    let (seen, refusals) = std::thread::scope(|scope| {
        let hammer = scope.spawn(|| {
            let (mut seen, mut refusals) = (Vec::new(), Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let asked = bench
                    .cluster
                    .config("shop")
                    .connect(postgres::NoTls)
                    .and_then(|mut c| c.query("select price from products where id = 1", &[]));
                match asked {
                    Ok(rows) => seen.push(rows[0].get::<_, i32>(0)),
                    Err(error) => {
                        refusals.push(
                            error
                                .as_db_error()
                                .map(|e| format!("{} {}", e.message(), e.detail().unwrap_or_default()))
                                .unwrap_or_default(),
                        );
                    }
                }
            }
            (seen, refusals)
        });
        let (code, _, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(code, 0, "{stderr}");
        hammer.join().expect("it ended")
    });
    let turn = seen.iter().position(|price| *price == 85000).expect("the restored price was seen");
    assert!(
        seen[..turn].iter().all(|p| *p == 0) && seen[turn..].iter().all(|p| *p == 85000),
        "never back again"
    );
    // Whoever is caught in the very commit is told so by PostgreSQL itself.
    let gone = |r: &&String| r.contains("does not exist") && !r.contains("just been dropped or renamed");
    assert_eq!(refusals.iter().find(gone), None, "{refusals:?}");
    drop(idle);
}

#[test]
fn a_run_that_is_killed_anywhere_is_brought_to_its_end_by_the_next() {
    let bench = Bench::start();
    bench
        .cluster
        .execute("shop", "insert into \"Lager 1\".\"Bestand, alt\" select generate_series(1, 200000)");
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 0");
    let confirm = format!("shop@{id}");
    let mut killed = 0;
    for round in 1..=6_u64 {
        let document = opened(&format!("shop-1.3.0-20261124T12000{round}Z-7f3a"));
        let mut child = bench
            .command(&["restore", "--confirm", &confirm])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("a pipe").write_all(document.to_string().as_bytes()).expect("it reads");
        let end = Instant::now() + Duration::from_millis(round * round * 25);
        while Instant::now() < end && child.try_wait().expect("asked").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        killed += usize::from(child.try_wait().expect("asked").is_none());
        child.kill().expect("killed");
        child.wait().expect("ended");
        let (code, done, stderr) = retried(&bench, &["restore", "--confirm", &confirm], &document);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(bench.prices()[0][1], "85000", "{done}");
        let side = bench.databases().iter().filter(|d| d.contains("__dbr_") || d.contains("closed")).count();
        assert_eq!(side, 0, "{:?}", bench.databases());
        bench.cluster.execute("shop", "update products set price = 0");
    }
    assert!(killed > 0, "every run was over before it could be killed");
}

#[test]
fn a_database_left_closed_by_a_killed_swap_is_opened_first() {
    let bench = Bench::start();
    let (_, folder) = bench.snapshot(BEFORE);
    let id = folder.file_name().expect("a name").to_string_lossy().into_owned();
    bench.cluster.execute("postgres", &format!("create database {SIDE}"));
    bench.cluster.execute("postgres", "comment on database shop is 'db-restore-closed-by some-run'");
    bench.cluster.execute("postgres", "alter database shop allow_connections false");
    // A dump that is damaged from now on, so that the restore fails after the repair.
    let data = std::fs::read_dir(folder.join("dump"))
        .expect("there")
        .flatten()
        .map(|e| e.path())
        .find(|p| p.to_string_lossy().ends_with(".gz"))
        .expect("data");
    std::fs::write(&data, b"damaged").expect("written");
    edit(&folder, |m| {
        let name = data.file_name().expect("a name").to_string_lossy().into_owned();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(b"damaged");
        let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        m["files"][name] = json!({ "bytes": 7, "sha256": hex });
    });
    let (code, failed, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((code, failed["failure"]["reason"].as_str()), (1, Some("tool-failed")), "{stderr}");
    assert_eq!(failed["failure"]["acted"], "no");
    assert!(!failed["failure"]["causes"].as_array().expect("pg_restore's words").is_empty());
    assert_eq!(bench.databases(), ["shop"], "open again, and nothing left beside it");
    assert_eq!(bench.prices().len(), 2);
}

#[test]
fn a_snapshot_that_lies_on_another_machine_is_named() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let done = bench.run(&["rehearse"], &opened(BEFORE));
    assert_eq!(done.0, 0, "{}", done.2);
    std::fs::remove_dir_all(&folder).expect("removed");
    let refused = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert!(refused.0 == 1 && refused.2.contains("from the machine that has it"), "{}", refused.2);
    assert!(refused.2.contains(&format!("verified from the snapshot {id}")), "{}", refused.2);
}

#[test]
fn the_recovery_point_is_proven_or_refused() {
    let bench = Bench::start();
    let none = bench.ask(&["--env", "production"]);
    assert_eq!(none.0, 1, "{none:?}");
    assert!(none.1.contains("no recovery point: there is no snapshot"), "{none:?}");
    let (id, folder) = bench.snapshot(BEFORE);
    let (code, text, stderr) = bench.ask(&["recovery-point", "--env", "production"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(text.contains(&format!("recovery point: {id}")), "{text}");
    let (code, text, _) =
        bench.ask(&["recovery-point", "--env", "production", "--incident-at", &minutes_ago(5)]);
    assert!(code == 1 && text.contains("the wrong data is in it already"), "{text}");

    let at = |minutes: i64| minutes_ago(minutes).parse().expect("an instant");
    let folder = taken_at(&folder, at(61));
    let (code, text, _) = bench.ask(&["recovery-point", "--env", "production"]);
    assert!(code == 1 && text.contains("the recovery point may be 1h old"), "{text}");
    let (code, answer, _) = bench.ask(&["recovery-point", "--env", "production", "--json"]);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((code, &answer["recovery_point"]), (1, &json!(false)));
    let folder = taken_at(&folder, at(59));
    let id = folder.file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(bench.ask(&["recovery-point", "--env", "production"]).0, 0);

    // In a rollback an old one is better than none, and one from after the incident is none.
    let mut rollback = opened(ID);
    rollback["facts"]["incident_at"] = json!(minutes_ago(30));
    let (newer, _) = bench.snapshot("shop-1.3.0-20261124T110000Z-0002");
    let (code, planned, stderr) = bench.run(&["restore", "--plan"], &rollback);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(planned["facts"]["snapshot"]["id"], json!(id));
    let (code, refused, _) = bench.run(&["restore", "--plan", "--snapshot", &newer], &rollback);
    assert_eq!((code, refused["failure"]["reason"].as_str()), (1, Some("after-incident")));
}

#[test]
fn a_snapshot_of_another_cluster_is_taken_by_name_only() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let rollback = opened(ID);
    edit(&folder, |m| m["system_identifier"] = json!("7000000000000000000"));
    let (code, refused, _) = bench.run(&["restore", "--plan"], &rollback);
    assert_eq!(
        (code, refused["failure"]["reason"].as_str()),
        (1, Some("no-snapshot")),
        "a foreign one is no snapshot"
    );
    assert!(
        refused["failure"]["causes"][0].as_str().expect("a cause").contains("it is of the cluster"),
        "{refused}"
    );
    // After a pg_upgrade, or on a new server, a person names it.
    let (code, planned, stderr) = bench.run(&["restore", "--plan", "--snapshot", &id], &rollback);
    assert!(code == 0 && stderr.contains("after pg_upgrade"), "{planned} {stderr}");
    edit(&folder, |m| m["environment"] = json!("staging"));
    let (code, refused, _) = bench.run(&["restore", "--plan", "--snapshot", &id], &rollback);
    assert_eq!(
        (code, refused["failure"]["reason"].as_str()),
        (1, Some("unusable")),
        "another environment's never"
    );
}

#[test]
fn a_snapshot_of_a_lost_server_is_brought_back_on_another_by_its_name() {
    let lost = Bench::start();
    let (id, folder) = lost.snapshot(BEFORE);
    let bin = crate::common::bin();
    let new = Bench::on(testkit::postgres::Cluster::stranger(&bin));
    let identifier = "select system_identifier from pg_control_system()";
    assert_ne!(lost.cluster.value("postgres", identifier), new.cluster.value("postgres", identifier));
    let snapshots = new.folder.path().join("snapshots");
    std::fs::create_dir_all(&snapshots).expect("a folder");
    let copied = std::process::Command::new("cp").arg("-Rp").args([&folder, &snapshots.join(&id)]).status();
    assert!(copied.expect("cp").success());
    new.cluster.execute("shop", "update products set price = 0");
    let confirm = format!("shop@{id}");
    let (code, refused, _) = new.run(&["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, crate::common::reason(&refused).0), (1, "no-snapshot"), "{refused}");
    let (code, done, stderr) = new.run(&["restore", "--snapshot", &id, "--confirm", &confirm], &opened(ID));
    assert_eq!((code, new.prices()[0][1].as_str()), (0, "85000"), "{stderr}");
    assert!(stderr.contains("after pg_upgrade"), "{stderr}");
    // Another history: no transaction of it is evidence.
    assert!(done["steps"][0]["output"]["lost"]["by"]["transactions"].is_null(), "{done}");
}

#[test]
fn a_damaged_snapshot_is_found_before_anything_happens() {
    let bench = Bench::start();
    let (id, folder) = bench.snapshot(BEFORE);
    let toc = folder.join("dump/toc.dat");
    let good = std::fs::read(&toc).expect("there");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&toc, flipped).expect("written");
    let (code, refused, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    assert_eq!((code, refused["failure"]["reason"].as_str()), (1, Some("corrupt")), "{refused}");
    std::fs::write(&toc, &good[..good.len() - 1]).expect("written");
    let (code, text, _) = bench.ask(&["--env", "production"]);
    assert!(code == 1 && text.contains("not usable: toc.dat has"), "{text}");
    std::fs::remove_file(folder.join("manifest.json")).expect("removed");
    let (code, text, _) = bench.ask(&["--env", "production"]);
    assert!(code == 1 && text.contains("no manifest"), "{text}");
    assert_eq!(bench.databases(), ["shop"]);
}

#[test]
fn what_is_wrong_outside_is_said_with_its_remedy() {
    let bench = Bench::start();
    let (code, planned, _) = bench.run(&["snapshot", "--plan"], &opened(ID));
    assert_eq!((code, planned["steps"][0]["planned_facts"][0].as_str()), (0, Some("snapshot")));
    assert!(!bench.folder.path().join("snapshots").exists());
    let (code, text, stderr) = bench.ask(&["--check", "--env", "production"]);
    assert!(code == 0 && text.contains("PostgreSQL"), "{text}{stderr}");

    testkit::write_private(&bench.folder.path().join("password"), "not the password");
    let (code, failed, _) = bench.run(&["snapshot"], &opened(ID));
    assert_eq!(
        (code, failed["failure"]["reason"].as_str()),
        (Exit::Config as i32, Some("login")),
        "{failed}"
    );
    bench.settings(1);
    let (code, failed, _) = bench.run(&["snapshot"], &opened(ID));
    assert_eq!(
        (code, failed["failure"]["reason"].as_str()),
        (Exit::Temporary as i32, Some("database-unreachable")),
        "{failed}"
    );
}

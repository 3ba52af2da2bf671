//! What goes wrong at 3 am: killed anywhere, a full disk, a crashed server, two operators, somebody else's data, things in the way.
//! Whatever happens, there is one good database afterwards, and nothing is lost.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{BEFORE, Bench, ID, OLD, SIDE, opened, reason, retried, some};
use serde_json::{Value, json};
use step::Exit;
use testkit::lockstep::Lockstep;
use testkit::postgres::{Cluster, program};

/// A restore that is held by the lines it says.
fn held(bench: &Bench, args: &[&str], document: &Value) -> Lockstep {
    let input = bench.folder.path().join("document.json");
    std::fs::write(&input, document.to_string()).expect("written");
    let mut command = bench.command(args);
    command.stdin(std::fs::File::open(input).expect("there")).stdout(Stdio::null());
    Lockstep::spawn(&mut command)
}

/// The ends of the stages, by what is said just before each.
const PLACES: &[&str] = &[
    // By transactions, the first time: afterwards it is another database that is live, and every row is compared.
    "array[convert_to(t.id::text, getdatabaseencoding()::name)] from only public.products",
    "connecting to postgres",
    "reading shop-",
    "create database \"shop__dbr_",
    "comment on database \"shop__dbr_",
    "pg_restore --section=pre-data",
    "pg_restore --list",
    "pg_restore --exit-on-error --verbose",
    "select k & ",
    "analyze",
    "\"stage\":\"staged\"",
    "rows only in the present data",
    "owner to",
    "alter database \"shop__dbr_20261124t120000z_7f3a\" allow_connections false",
    "rename to",
    "\"stage\":\"live\"",
];

#[test]
fn killed_at_any_stage_and_run_again_it_ends_like_any_other() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let good = bench.content();
    let confirm = format!("shop@{id}");
    for place in some(PLACES, 4) {
        bench
            .cluster
            .execute("shop", "update products set price = 0; insert into products values (99, 'new', 0)");
        let mut held = held(&bench, &["restore", "-v", "--confirm", &confirm], &opened(ID));
        assert!(held.until(place), "{place} is never said");
        // It is at work on what it said, or waits for us to listen.
        std::thread::sleep(Duration::from_millis(30));
        held.kill();
        let (code, done, stderr) = retried(&bench, &["restore", "--confirm", &confirm], &opened(ID));
        assert_eq!(code, 0, "{place}: {stderr}");
        assert_eq!(done["facts"]["loss"]["rows"], 1, "{place}: {done}");
        assert_eq!(bench.content(), good, "{place}");
        assert_eq!(bench.databases(), ["shop", OLD], "{place}: one live database, one kept, both open");
        assert_eq!(bench.cluster.value(OLD, "select count(*) from products where price = 0"), "3", "{place}");
        bench.cluster.execute("postgres", &format!("drop database {OLD} with (force)"));
        bench.cluster.execute("postgres", "comment on database shop is null");
    }
}

/// A restore killed when its copy is staged and has not been swapped in yet.
fn staged(bench: &Bench, id: &str) {
    let confirm = format!("shop@{id}");
    let mut held = held(bench, &["restore", "-v", "--snapshot", id, "--confirm", &confirm], &opened(ID));
    assert!(held.until("rows only in the present data"));
    held.kill();
    assert!(bench.databases().contains(&format!("{SIDE} (closed)")), "{:?}", bench.databases());
}

#[test]
fn a_staged_copy_that_somebody_has_opened_is_left_to_them() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let confirm = format!("shop@{id}");
    staged(&bench, &id);
    bench.cluster.execute("postgres", &format!("alter database {SIDE} allow_connections true"));
    bench.cluster.execute(SIDE, "create table public.mine ()");
    let (code, refused, stderr) = retried(&bench, &["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "opened-copy"), "{stderr}");
    assert_eq!(bench.cluster.value(SIDE, "select to_regclass('public.mine')::text"), "mine");
    bench.cluster.execute("postgres", &format!("drop database {SIDE}"));
    bench.restored(&id, ID);
}

#[test]
fn the_same_run_may_bring_back_another_snapshot_than_it_has_staged() {
    let bench = Bench::start();
    let (first, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 7");
    let (second, _) = bench.snapshot("shop-1.2.0-20261124T110001Z-7f3a");
    let good = bench.content();
    staged(&bench, &first);
    let args = ["restore", "--snapshot", &second, "--confirm", &format!("shop@{second}")];
    let (code, done, stderr) = retried(&bench, &args, &opened(ID));
    assert_eq!((code, done["facts"]["snapshot"]["id"].as_str()), (0, Some(second.as_str())), "{stderr}");
    assert_eq!(bench.content(), good);
}

#[test]
fn an_undo_that_is_killed_at_any_stage_is_undone_by_the_next() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 7");
    let before = bench.content();
    let phrase = format!("shop@{OLD}");
    let places = ["rows were written since", "allow_connections false", "rename to"];
    for (n, place) in places.iter().enumerate() {
        bench.restored(&id, ID);
        let run = format!("shop-1.3.0-20261124T140000Z-000{n}");
        let mut held = held(&bench, &["undo", "-v", "--confirm", &phrase], &opened(&run));
        assert!(held.until(place), "{place} is never said");
        std::thread::sleep(Duration::from_millis(30));
        held.kill();
        let (code, _, stderr) = retried(&bench, &["undo", "--confirm", &phrase], &opened(&run));
        assert_eq!(code, 0, "{place}: {stderr}");
        assert_eq!(bench.content(), before, "{place}");
        let undone = format!("shop__undone_20261124t140000z_000{n}");
        assert_eq!(bench.databases(), ["shop", &undone], "{place}");
        bench.cluster.execute("postgres", &format!("drop database {undone} with (force)"));
    }
}

#[test]
fn a_server_that_crashes_in_the_middle_of_the_swap_has_one_good_database() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", "update products set price = 0");
    let confirm = format!("shop@{id}");
    for place in ["allow_connections false", "rename to"] {
        let mut held = held(&bench, &["restore", "-v", "--confirm", &confirm], &opened(ID));
        assert!(held.until(place), "{place} is never said");
        bench.cluster.crash();
        // It goes to its end, whatever that is.
        while held.line().is_some() {}
        held.child.wait().expect("ended");
        let (code, _, stderr) = retried(&bench, &["restore", "--confirm", &confirm], &opened(ID));
        assert_eq!(code, 0, "{place}: {stderr}");
        assert_eq!(bench.prices()[0][1], "85000", "{place}");
        assert_eq!(bench.databases(), ["shop", OLD], "{place}");
        bench.cluster.execute("postgres", &format!("drop database {OLD} with (force)"));
        bench.cluster.execute("postgres", "comment on database shop is null");
        bench.cluster.execute("shop", "update products set price = 0");
    }
}

#[test]
fn a_full_disk_costs_the_copy_and_nothing_else() {
    let bench = Bench::start();
    bench.cluster.execute("shop", "create table big (t text); insert into big select repeat(md5(n::text), 30) from generate_series(1, 25000) n");
    let (id, _) = bench.snapshot(BEFORE);
    // A page that is only read must not be written any more.
    bench.cluster.execute("shop", "vacuum (freeze) big");
    let before = bench.content();
    bench.set("disk_free = \"4MB\"");
    let (code, refused, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    let (word, said) = reason(&refused);
    assert!(code == 1 && word == "disk" && said.contains("4 MiB are free"), "{said}");
    bench.reset("disk_free = \"4MB\"", "disk_free = \"unchecked\"");
    bench.cluster.limit_files(20 << 20);
    let (code, failed, stderr) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    let (word, said) = reason(&failed);
    assert!(code == 1 && word == "tool-failed" && said.contains("could not"), "{said}{stderr}");
    assert_eq!(
        failed["steps"][0]["output"],
        json!({ "live_database": "not touched", "side_database": "removed" })
    );
    assert_eq!(failed["failure"]["acted"], "no");
    assert_eq!((bench.content(), bench.databases()), (before, vec!["shop".to_owned()]));
}

#[test]
fn two_operators_do_not_meet_in_one_database() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let confirm = format!("shop@{id}");
    let mut first = held(&bench, &["restore", "-v", "--confirm", &confirm], &opened(ID));
    assert!(first.until("create database \"shop__dbr_"));
    // The other one comes by the socket, and means the same server.
    let socket = bench.cluster.socket_folder().display().to_string();
    bench.reset("host = \"127.0.0.1\"", &format!("host = \"{socket}\""));
    let other = "shop-1.3.0-20261124T130000Z-0002";
    for act in [&["restore", "--confirm", &confirm][..], &["rehearse"], &["undo"], &["prune"]] {
        let (code, refused, stderr) = bench.run(act, &opened(other));
        let (word, said) = reason(&refused);
        assert_eq!((code, word), (Exit::Temporary as i32, "locked"), "{act:?} {stderr}");
        assert!(said.contains("db-restore ") && said.contains("from 127.0.0.1 since 20"), "{said}");
    }
    first.kill();
    let (code, _, stderr) = retried(&bench, &["restore", "--confirm", &confirm], &opened(other));
    assert_eq!(code, 0, "the lock went with its holder: {stderr}");
    assert_eq!(bench.databases().len(), 2, "{:?}", bench.databases());
}

#[test]
fn the_data_of_another_environment_is_neither_replaced_nor_brought_back() {
    let bench = Bench::start();
    bench.set("marker_table = \"public.whose\"");
    bench.cluster.execute(
        "shop",
        "create table whose (product text, environment text); insert into whose values ('shop', 'staging')",
    );
    let (code, refused, _) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!((code, reason(&refused).0), (1, "foreign-marker"), "not even a snapshot of it is taken");
    bench.cluster.execute("shop", "update whose set environment = 'production'");
    let (id, folder) = bench.snapshot(BEFORE);
    bench.restored(&id, ID);
    bench.cluster.execute("shop", "update whose set environment = 'staging'");
    let other = opened("shop-1.3.0-20261124T130000Z-0002");
    let (code, refused, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &other);
    let (word, said) = reason(&refused);
    assert!(code == 1 && word == "foreign-marker" && said.contains("shop staging"), "{said}");
    // A snapshot with somebody else's marker in it, whatever its manifest says.
    bench.cluster.execute("shop", "update whose set environment = 'production'");
    bench.foreign("theirs.dump", &["--format=custom"], &[]);
    std::fs::remove_dir_all(folder).expect("removed");
    bench.cluster.execute("shop", "delete from whose");
    bench.foreign("none.dump", &["--format=custom"], &[]);
    bench.cluster.execute("shop", "insert into whose values ('shop', 'production')");
    let (code, refused, _) =
        bench.run(&["restore", "--snapshot", "none.dump", "--confirm", "shop@none.dump"], &other);
    assert_eq!((code, reason(&refused).0), (1, "foreign-marker"));
    // A bad release may have dropped it: that is no reason to leave the data as it is.
    bench.cluster.execute("shop", "drop table whose");
    let (code, _, stderr) =
        bench.run(&["restore", "--snapshot", "theirs.dump", "--confirm", "shop@theirs.dump"], &other);
    assert!(code == 0 && stderr.contains("has no marker any more"), "{stderr}");
}

#[test]
fn everything_in_the_way_is_said_in_one_answer_before_anything_is_done() {
    let bin = program("postgres").parent().expect("a folder").to_owned();
    let bench =
        Bench::on(Cluster::of(&bin, &["-c", "wal_level=logical", "-c", "max_prepared_transactions=2"]));
    let path = bench.foreign(&format!("shop-{}.sql", jiff::Timestamp::now().as_second()), &[], &[]);
    let text = std::fs::read_to_string(&path).expect("there");
    let more = "CREATE EXTENSION IF NOT EXISTS ghost_extension WITH SCHEMA public;\nALTER TABLE public.products OWNER TO ghost_role;\n";
    std::fs::write(&path, text.replacen("\nSET ", &format!("\n{more}SET "), 1)).expect("written");
    bench.cluster.execute("shop", "select pg_create_logical_replication_slot('somebodys_slot', 'pgoutput')");
    bench
        .cluster
        .execute("shop", "begin; insert into products values (5, 'x', 1); prepare transaction 'forgotten'");
    bench.set("disk_free = \"1MB\"");
    let id = path.file_name().expect("a name").to_string_lossy().into_owned();
    for flags in [&["restore", "--plan"][..], &["restore", "--confirm", &format!("shop@{id}")]] {
        let (code, refused, stderr) = bench.run(flags, &opened(ID));
        let (word, said) = reason(&refused);
        assert_eq!((code, word), (1, "preflight"), "{stderr}");
        for each in ["forgotten", "somebodys_slot", "ghost_role", "ghost_extension", "disk: 1 MiB"] {
            assert!(said.contains(each), "{each}: {said}");
        }
    }
    assert_eq!(bench.databases(), ["shop"]);
}

#[test]
fn a_program_that_is_missing_is_named_with_its_package() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let empty = bench.folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    bench.set("pg_bin = \"empty\"");
    let (code, failed, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
    let (word, said) = reason(&failed);
    assert!(
        code == Exit::Config as i32 && word == "tool-missing" && said.contains("postgresql-client-"),
        "{said}"
    );
    let (code, failed, _) = bench.run(&["snapshot"], &opened("shop-1.3.0-20261124T130000Z-0002"));
    assert_eq!((code, reason(&failed).0), (Exit::Config as i32, "tool-missing"));
    assert_eq!(bench.databases(), ["shop"]);
}

#[test]
fn clocks_that_are_apart_prove_no_age() {
    let bench = Bench::start();
    bench.snapshot(BEFORE);
    let ahead = |by: &str| {
        let mut command = Command::new("faketime");
        command.args(["-f", by, env!("CARGO_BIN_EXE_db-restore"), "--env", "production"]);
        let output =
            command.current_dir(bench.folder.path()).stdin(Stdio::null()).output().expect("faketime");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = ahead("+75s");
    assert!(code == Some(1) && said.contains("clock is -75 s away"), "{said}");
    assert_eq!(ahead("+0s").0, Some(0));
}

#[test]
fn a_signal_in_the_middle_leaves_the_live_database_and_says_what_is_where() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let before = bench.content();
    let input = bench.folder.path().join("document.json");
    std::fs::write(&input, opened(ID).to_string()).expect("written");
    let mut command = bench.command(&["restore", "-v", "--confirm", &format!("shop@{id}")]);
    let mut held = Lockstep::spawn(command.stdin(std::fs::File::open(input).expect("there")));
    assert!(held.until("--section=pre-data"));
    let status = Command::new("kill").args(["-TERM", &held.child.id().to_string()]).status();
    assert!(status.expect("kill").success());
    while held.line().is_some() {}
    let output = held.child.wait_with_output().expect("ended");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(output.status.code(), Some(143), "{document}");
    assert_eq!(
        document["steps"][0]["output"],
        json!({ "live_database": "not touched", "side_database": "removed" })
    );
    assert_eq!((bench.content(), bench.databases()), (before, vec!["shop".to_owned()]));
}

#[test]
fn a_snapshot_of_another_run_whose_name_is_the_same_is_not_replaced() {
    let bench = Bench::start();
    // Ids end with four random digits, and a second is what their names have of the time.
    let now = jiff::Timestamp::now();
    let folder = bench.folder.path().join("snapshots");
    for second in 0..60 {
        let at = now + jiff::SignedDuration::from_secs(second);
        let name = format!("shop-{}-0001", at.strftime("%Y%m%dT%H%M%SZ"));
        std::fs::create_dir_all(folder.join(name).join("dump")).expect("made");
    }
    let (code, failed, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, Exit::Temporary as i32, "{stderr}");
    assert!(stderr.contains("in this very second; run it again"), "{stderr}");
    assert_eq!(failed["failure"]["acted"], "no");
    assert!(!folder.join(format!(".tmp-{BEFORE}")).exists(), "what was dumped in vain is removed");
}

#[test]
fn a_server_without_room_for_so_many_locks_is_said_with_the_setting() {
    let bin = program("postgres").parent().expect("a folder").to_owned();
    let few = ["-c", "max_locks_per_transaction=10", "-c", "max_connections=20"];
    let bench = Bench::on(Cluster::of(&bin, &few));
    for n in 0..15 {
        let some = format!(
            "do $$ begin for m in 1..100 loop execute format('create table t%s_%s (id int)', {n}, m); end loop; end $$"
        );
        bench.cluster.execute("shop", &some);
    }
    let (code, failed, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert!(code != 0 && stderr.contains("max_locks_per_transaction"), "{failed} {stderr}");
    assert_eq!(failed["failure"]["acted"], "no");
}

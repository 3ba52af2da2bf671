//! Words such as "exact", "verified" and "kept" are held to what was looked at: copies that were written to, losses that no row shows, settings
//! that no dump holds, manifests with another bit, and what people do to the comments of databases.

use crate::common::{BEFORE, Bench, ID, OLD, opened, reason, some};
use serde_json::{Value, json};
use testkit::snapshots::taken_at;

pub fn run(n: usize) -> String {
    format!("shop-1.3.0-20261124T18{:02}{:02}Z-{n:04x}", n / 60, n % 60)
}

/// Everything that a copy may hold, and that may be changed in it.
pub const CONTENT: &str = "
    create unlogged table cart (id int primary key, n int); insert into cart select n, n from generate_series(1, 50) n;
    create table picture (id int primary key, o oid); insert into picture select n, lo_from_bytea(0, 'abc') from generate_series(1, 3) n;
    create sequence numbers; select setval('numbers', 70);
    create index by_name on products (name);
    create function touch() returns trigger language plpgsql as 'begin return new; end';
    create trigger touched before update on products for each row execute function touch();
    create materialized view cheap as select * from products where price < 100000";

/// What somebody does to a copy.
pub const WRITTEN: &[&str] = &[
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
pub fn visit(bench: &Bench, copy: &str, sql: &str) {
    bench.cluster.execute("postgres", &format!("alter database \"{copy}\" allow_connections true"));
    let mut session = bench.cluster.session(copy);
    sql.split("; ").for_each(|sql| session.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}")));
    drop(session);
    bench.cluster.execute("postgres", &format!("alter database \"{copy}\" allow_connections false"));
}

pub fn staged(bench: &Bench, run: &str) -> String {
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
    let side = crate::common::SIDE;
    visit(&bench, side, "update products set price = 1");
    while held.line().is_some() {}
    let output = held.child.wait_with_output().expect("ended");
    let failed: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert!(reason(&failed).0 == "unproven" && reason(&failed).1.contains("somebody was in"), "{failed}");
    assert_eq!(bench.prices()[0][1], "0", "nothing was swapped");
    let done = crate::common::retried(&bench, &["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
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

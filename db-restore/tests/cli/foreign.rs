//! Archives that others have made, in every form: what they lack, what they prove, and when they are refused.

use crate::common::{Bench, ID, opened, reason};
use serde_json::{Value, json};

use super::claims::run;
use super::sources::{list, listed, now};
use step::Exit;

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
    assert!(code == Exit::Config as i32 && said.contains("Mars/Olympus"), "{said}");
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

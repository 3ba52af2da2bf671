//! The databases, and what is done with them. A bounded slice is part of the tests; `make sweep-db` runs all of it.

use std::os::unix::fs::{MetadataExt, chown};

use testkit::postgres::Cluster;

use super::pieces::{BYTES, LATIN1, PIECES, Piece, SUBSCRIPTION};
use super::same::{difference, session, state};
use crate::common::{BEFORE, Bench, ID, OLD, left_out, opened, reason};

/// Whether all of it is asked for.
fn all() -> bool {
    std::env::var("SWEEP").is_ok_and(|word| word == "all")
}

/// A bench whose database has an encoding and an owner.
fn bench(encoding: &str, owner: Option<&str>) -> Bench {
    let bench = Bench::start();
    if let Some(owner) = owner {
        bench.cluster.execute(
            "postgres",
            &format!("create role {owner} login createdb password 'canary-database-5vQ2m8Rk'"),
        );
        bench.reset("user = \"postgres\"", &format!("user = \"{owner}\"\ndisk_free = \"unchecked\""));
    }
    let owner = owner.unwrap_or("postgres");
    bench.cluster.execute("postgres", "drop database shop");
    bench.cluster.execute(
        "postgres",
        &format!("create database shop owner {owner} template template0 encoding '{encoding}' locale 'C'"),
    );
    make_as(
        &bench,
        owner,
        "create table products (id int primary key, price int not null); insert into products values (1, 10), (2, 20); create table later (n int);",
    );
    bench
}

fn make_as(bench: &Bench, user: &str, sql: &str) {
    let options = "-c statement_timeout=0 -c search_path=public";
    let mut session =
        bench.cluster.config("shop").user(user).options(options).connect(postgres::NoTls).expect("a session");
    for (n, part) in sql.split('\n').fold(Vec::<String>::new(), joined).into_iter().enumerate() {
        let (alone, fails) = (part.strip_prefix('!'), part.strip_prefix('?'));
        let text = alone.or(fails).unwrap_or(&part);
        let done = session.batch_execute(text);
        assert_eq!(done.is_err(), fails.is_some(), "part {n}: {text}: {done:?}");
    }
}

/// Lines that belong together: those that begin with a sign stand alone.
fn joined(mut parts: Vec<String>, line: &str) -> Vec<String> {
    let signed = |text: &str| text.starts_with(['!', '?']);
    match parts.last_mut().filter(|last| !signed(last) && !signed(line)) {
        Some(last) => last.extend(["\n", line]),
        None => parts.push(line.to_owned()),
    }
    parts
}

/// Why this server cannot have a piece.
fn lacking(bench: &Bench, piece: &Piece) -> Option<String> {
    let version: u32 = bench.cluster.value("postgres", "show server_version_num").parse().expect("a number");
    let is = |sql: &str| bench.cluster.value("postgres", &format!("select {sql}")) == "t";
    let known =
        |name: &&str| is(&format!("exists (select from pg_available_extensions where name = '{name}')"));
    let extension = piece.extensions().find(|name| !known(name));
    if version / 10_000 < piece.from {
        return Some(format!("it is of PostgreSQL {}", piece.from));
    }
    extension
        .map(|name| format!("the extension {name} is not to be had"))
        .or_else(|| (!is(piece.where_it_is)).then(|| format!("it is not so that {}", piece.where_it_is)))
}

/// Puts a piece into the database. One that this server cannot have is left out, and that is said.
fn make(bench: &Bench, user: &str, piece: &Piece) {
    if let Some(why) = lacking(bench, piece) {
        left_out(&format!("{} ({why})", piece.name));
        return;
    }
    match piece.cluster {
        "" => {}
        "TABLESPACE" => tablespace(bench),
        sql => bench.cluster.execute("postgres", sql),
    }
    make_as(bench, user, piece.sql);
}

fn tablespace(bench: &Bench) {
    let data = bench.cluster.socket_folder().join("data");
    let (owner, folder) =
        (std::fs::metadata(&data).expect("there"), bench.cluster.socket_folder().join("fast"));
    std::fs::create_dir(&folder).expect("a folder");
    chown(&folder, Some(owner.uid()), Some(owner.gid())).expect("its owner");
    bench.cluster.execute("postgres", &format!("create tablespace fast location '{}'", folder.display()));
}

/// Something goes wrong with the data.
fn incident(bench: &Bench) {
    session(bench)
        .batch_execute("update products set price = 0; insert into later values (1)")
        .expect("the incident");
}

/// Snapshot, rehearsal, staged restore, undo, and a restore without a rehearsal: each time everything is as it was.
fn comes_back(bench: &Bench, what: &str) {
    let before = state(bench);
    let (code, document, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, 0, "{what}: {document} {stderr}");
    let id = document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
    let (code, failed, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    assert_eq!(code, 0, "{what}: {failed} {stderr}");
    assert_eq!(difference(&before, &state(bench)), "", "{what}: a rehearsal changes nothing");
    incident(bench);
    let bad = state(bench);
    assert_ne!(before, bad);
    let confirm = format!("shop@{id}");
    let restore = ["restore", "--snapshot", id.as_str(), "--confirm", confirm.as_str()];
    for run in [ID, "shop-1.3.0-20261124T150000Z-000a"] {
        let (code, failed, stderr) = bench.run(&restore, &opened(run));
        assert_eq!(code, 0, "{what}: {failed} {stderr}");
        assert_eq!(difference(&before, &state(bench)), "", "{what}: restored by {run}");
        let (kept, undo) = match run {
            ID => (OLD, "shop-1.3.0-20261124T140000Z-0009"),
            _ => ("shop__old_20261124t150000z_000a", "shop-1.3.0-20261124T160000Z-000b"),
        };
        let (code, failed, stderr) =
            bench.run(&["undo", "--confirm", &format!("shop@{kept}")], &opened(undo));
        assert_eq!(code, 0, "{what}: {failed} {stderr}");
        assert_eq!(difference(&bad, &state(bench)), "", "{what}: undone");
    }
}

/// The same from archives that others have made of it.
fn comes_back_from_others(bench: &Bench, what: &str, forms: &[&[&str]]) {
    // One and the same content is of very different sizes as COPY and as INSERT.
    bench.set("shrink = 0");
    let before = state(bench);
    for (n, form) in forms.iter().enumerate() {
        let name = format!("shop{n}-{}.dump", jiff::Timestamp::now().as_second());
        bench.foreign(&name, form, &[("PGOPTIONS", "-c statement_timeout=0")]);
        let run = format!("shop-1.3.0-20261124T17000{n}Z-000c");
        let confirm = format!("shop@{name}");
        let (code, failed, stderr) =
            bench.run(&["restore", "--snapshot", &name, "--confirm", &confirm], &opened(&run));
        assert_eq!(code, 0, "{what}, {form:?}: {failed} {stderr}");
        assert_eq!(difference(&before, &state(bench)), "", "{what}: {form:?}");
    }
}

#[test]
fn a_database_of_every_odd_thing_comes_back() {
    let bench = bench("UTF8", None);
    PIECES.iter().for_each(|piece| make(&bench, "postgres", piece));
    comes_back(&bench, "all pieces");
    comes_back_from_others(&bench, "all pieces", &[&["--inserts", "--rows-per-insert=2"]]);
}

#[test]
fn what_an_owner_makes_an_owner_brings_back() {
    let bench = bench("UTF8", Some("shopkeeper"));
    PIECES.iter().filter(|piece| piece.owner).for_each(|piece| make(&bench, "shopkeeper", piece));
    comes_back(&bench, "all pieces of an owner");
}

#[test]
fn databases_of_other_encodings_come_back() {
    let latin = bench("LATIN1", None);
    LATIN1.iter().for_each(|piece| make(&latin, "postgres", piece));
    comes_back(&latin, "LATIN1");
    comes_back_from_others(&latin, "LATIN1", &[&[], &["--format=custom"]]);
    let bytes = bench("SQL_ASCII", None);
    BYTES.iter().for_each(|piece| make(&bytes, "postgres", piece));
    comes_back(&bytes, "SQL_ASCII");
    // What cannot be said to the server is refused when it is taken, and not when it is needed.
    make_as(
        &bytes,
        "postgres",
        "do $$ begin execute 'comment on table z is ' || quote_literal(E'\\344'); end $$",
    );
    let (code, refused, stderr) = bytes.run(&["snapshot"], &opened("shop-1.3.0-20261124T180000Z-000d"));
    assert_eq!((code, reason(&refused).0), (1, "encoding"), "{stderr}");
}

#[test]
fn what_forbids_to_rename_does_not_forbid_to_rehearse() {
    let bench = Bench::on(Cluster::of(
        &crate::common::bin(),
        &["-c", "wal_level=logical", "-c", "max_prepared_transactions=2"],
    ));
    make(&bench, "postgres", &SUBSCRIPTION);
    bench.cluster.execute("shop", "select pg_create_logical_replication_slot('cdc', 'pgoutput')");
    bench
        .cluster
        .execute("shop", "begin; insert into products values (5, 'x', 1); prepare transaction 'forgotten'");
    // The second one throws the first one's copy away, with the subscription in it.
    for run in [BEFORE, "shop-1.3.0-20261124T110500Z-0002"] {
        let (id, _) = bench.snapshot(run);
        let (code, failed, stderr) = bench.run(&["rehearse"], &opened(run));
        assert_eq!(code, 0, "{failed} {stderr}");
        for word in ["forgotten", "cdc", "subscribes"] {
            assert!(stderr.contains(word), "{word}: {stderr}");
        }
        let (code, refused, _) = bench.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(ID));
        assert_eq!((code, reason(&refused).0), (1, "preflight"));
        assert_eq!(bench.databases().len(), 2, "{:?}", bench.databases());
    }
}

#[test]
fn each_odd_thing_comes_back_by_itself_and_from_every_form() {
    let forms: &[&[&str]] = &[
        &["--format=custom"],
        &["--format=tar"],
        &[],
        &["--inserts"],
        &["--column-inserts", "--format=custom"],
        &["--use-set-session-authorization"],
    ];
    let (some, forms) = if all() { (PIECES, forms) } else { (&PIECES[..2], &forms[2..3]) };
    for piece in some {
        let bench = bench("UTF8", None);
        make(&bench, "postgres", piece);
        comes_back(&bench, piece.name);
        comes_back_from_others(&bench, piece.name, forms);
    }
}

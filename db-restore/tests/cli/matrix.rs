//! Versions: servers of 15, 16 and 18, and archives of one restored into another. The programs of 16 and 18 come from a Python wheel;
//! `make matrix` fetches it, says where they are, and asks for the feature `matrix`, without which this is not built.

use std::path::{Path, PathBuf};

use crate::common::{BEFORE, Bench, ID, OLD, opened, reason};
use step::Exit;
use testkit::postgres::Cluster;

/// The folder with PostgreSQL's programs of a version.
fn bin(major: u32) -> PathBuf {
    let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    if debian.join("postgres").is_file() {
        return debian;
    }
    let folder = std::env::var("MATRIX_POSTGRES").expect("MATRIX_POSTGRES: run `make matrix`");
    let found = std::fs::read_dir(folder).expect("the wheel").flatten().map(|e| e.path().join("bin"));
    let of = |bin: &PathBuf| {
        let said = std::process::Command::new(bin.join("postgres")).arg("--version").output();
        said.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(&format!(") {major}.")))
    };
    found
        .filter(|bin| bin.join("postgres").is_file())
        .find(of)
        .unwrap_or_else(|| panic!("no PostgreSQL {major}"))
}

/// A shop on a server of this version, whose programs are looked for in these folders.
fn shop(major: u32, tools: &[&Path]) -> Bench {
    let bench = Bench::on(Cluster::of(&bin(major), &[]));
    let list: Vec<String> = tools.iter().map(|p| format!("\"{}\"", p.display())).collect();
    bench.set(&format!("pg_bin = [{}]", list.join(", ")));
    bench
}

#[test]
fn each_version_takes_rehearses_restores_and_undoes() {
    for major in [15, 16, 18] {
        let bench = shop(major, &[&bin(major)]);
        if major == 18 {
            // What a virtual column says changes with its expression, and no row is written.
            bench.cluster.execute("shop", "create table v (id int primary key, b int generated always as (id) virtual); insert into v values (1)");
        }
        let (id, _) = bench.snapshot(BEFORE);
        let good = bench.content();
        let (code, _, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
        assert_eq!(code, 0, "{major}: {stderr}");
        bench
            .cluster
            .execute("shop", "update products set price = 0; insert into products values (3, 'x', 1)");
        if major == 18 {
            bench.cluster.execute("shop", "alter table v alter b set expression as (id + 1)");
        }
        let bad = bench.content();
        let done = bench.restored(&id, ID);
        assert_eq!(
            (bench.content(), &done["facts"]["loss"]["rows"]),
            (good, &serde_json::json!(1)),
            "{major}"
        );
        let lost = &done["steps"][0]["output"]["lost"];
        let (changed, by) = if major == 18 {
            (3, serde_json::json!({ "rows": 1, "transactions": 2 }))
        } else {
            (2, serde_json::json!({ "transactions": 2 }))
        };
        assert_eq!((&lost["changed"], &lost["by"]), (&serde_json::json!(changed), &by), "{major}: {lost}");
        let undo = opened("shop-1.3.0-20261124T140000Z-0009");
        let (code, _, stderr) = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &undo);
        assert_eq!((code, bench.content()), (0, bad), "{major}: {stderr}");
    }
}

/// An archive made by a server of one version, laid into the snapshots of another.
fn carried(from: u32, to: &Bench, name: &str) -> String {
    let source = Bench::on(Cluster::of(&bin(from), &[]));
    source.cluster.execute("shop", "insert into products values (77, 'of another version', 1)");
    let path = source.foreign(name, &["--format=custom"], &[]);
    let folder = to.folder.path().join("snapshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(path, folder.join(name)).expect("copied");
    format!("shop@{name}")
}

#[test]
fn archives_of_one_version_are_restored_into_another_or_refused_with_the_program_that_is_missing() {
    let (fifteen, sixteen, eighteen) = (bin(15), bin(16), bin(18));
    // Upwards.
    let new = shop(18, &[&eighteen]);
    let confirm = carried(15, &new, "old.dump");
    let (code, _, stderr) = new.run(&["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, new.prices().len()), (0, 3), "{stderr}");
    // Downwards: pg_restore 18 says `transaction_timeout`, which 15 does not know; that one complaint is none.
    let old = shop(15, &[&fifteen, &sixteen, &eighteen]);
    let confirm = carried(18, &old, "new.dump");
    let (code, _, stderr) = old.run(&["restore", "--confirm", &confirm], &opened(ID));
    assert_eq!((code, old.prices().len()), (0, 3), "{stderr}");
    // A real error beside the harmless one is an error.
    let strict = shop(15, &[&eighteen]);
    let confirm = carried(18, &strict, "new.dump");
    let dump = strict.folder.path().join("snapshots/new.dump");
    let made = Bench::on(Cluster::of(&eighteen, &[]));
    made.cluster.execute(
        "shop",
        "create table newer (id int generated always as identity, v int generated always as (1) virtual)",
    );
    std::fs::copy(made.foreign("newer.dump", &["--format=custom"], &[]), dump).expect("copied");
    let (code, failed, _) = strict.run(&["restore", "--confirm", &confirm], &opened(ID));
    let (word, said) = reason(&failed);
    assert!(code == 1 && word == "restore-failed" && said.contains("syntax error"), "{word} {said}");
    assert_eq!(strict.databases(), ["shop"]);
    // Nobody here can read it.
    for (from, needed) in [(16, "16"), (18, "17")] {
        let poor = shop(15, &[&fifteen]);
        let confirm = carried(from, &poor, "newer.dump");
        let (code, refused, _) = poor.run(&["restore", "--confirm", &confirm], &opened(ID));
        let (word, said) = reason(&refused);
        assert!(
            code == Exit::Config as i32
                && word == "tool-too-old"
                && said.contains(&format!("postgresql-client-{needed}")),
            "{said}"
        );
    }
}

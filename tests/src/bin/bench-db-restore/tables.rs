//! 3,000 tables with a few rows each: what is done for each table shows.

use crate::measure::{Shop, id, kept, stage};

const TABLES: usize = 3000;

pub fn run(rounds: usize) {
    let mut shop = Shop::open();
    for n in 0..TABLES {
        shop.cluster.execute(
            "shop",
            &format!(
                "create table t{n} (id int primary key, name text not null, at timestamptz default now()); create index on t{n} (name);
                 insert into t{n} select g, 'row ' || g from generate_series(1, 20) g"
            ),
        );
    }
    shop.cluster.execute("shop", "vacuum analyze");
    // Most of the time goes into making files, and what comes after a database of 15,000 files was dropped waits for the file system: each goes
    // first as often as the other.
    let rounds = rounds.next_multiple_of(2);
    for n in 0..rounds {
        round(&mut shop, n % 2 == 0);
    }
    println!(
        "## {TABLES} tables\n\n20 rows, a key and an index each; {rounds} rounds, in every other one db-restore goes before pg_restore; before each \
         of them all is written to the disk (`checkpoint`, `sync`). Otherwise as above.\n"
    );
    shop.times.table();
    shop.times.compare_restore();
    println!(
        "- `snapshot` beside `pg_dump -Fd -j2 -Z1`: {:.2} times\n",
        shop.times.ratio("`db-restore snapshot`", "`pg_dump -Fd -j2 -Z1`")
    );
}

fn round(shop: &mut Shop, theirs_first: bool) {
    let port = shop.cluster.port();
    let dump = shop.folder.path().join("bare");
    let _ = std::fs::remove_dir_all(&dump);
    let to = crate::measure::path(&dump).to_owned();
    shop.bare("`pg_dump -Fd -j2 -Z1`", port, &["pg_dump", "-Fd", "-j2", "-Z1", "-f", &to, "shop"]);
    let id = id(&shop.ours("`db-restore snapshot`", &["snapshot"]));
    if theirs_first {
        theirs(shop, &id);
    }
    let confirm = format!("shop@{id}");
    settled(shop);
    let done = shop.ours("`db-restore restore`: all of it", &["restore", "--confirm", &confirm]);
    shop.times.add("`db-restore restore`: the restore stage", stage(&done, "restore"));
    shop.times.add("`db-restore restore`: verification and loss report", stage(&done, "verify"));
    shop.ours("`db-restore undo`", &["undo", "--confirm", &kept(&done)]);
    shop.drop_beside();
    if !theirs_first {
        theirs(shop, &id);
    }
    settled(shop);
    shop.ours("`db-restore rehearse`", &["rehearse"]);
    shop.ours("`db-restore restore` from a staged copy", &["restore", "--confirm", &confirm]);
    shop.drop_beside();
}

fn theirs(shop: &mut Shop, id: &str) {
    let (port, dump) = (shop.cluster.port(), shop.dump(id));
    settled(shop);
    shop.with_bare(|shop| {
        shop.bare("`pg_restore -Fd -j2`", port, &["pg_restore", "-Fd", "-j2", "-d", "bare", &dump]);
    });
}

/// What came before is on the disk.
fn settled(shop: &Shop) {
    shop.cluster.execute("postgres", "checkpoint");
    assert!(std::process::Command::new("sync").status().expect("sync").success());
}

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
    for _ in 0..rounds {
        round(&mut shop);
    }
    println!(
        "## {TABLES} tables\n\n20 rows, a key and an index each; {rounds} rounds, otherwise as above.\n"
    );
    shop.times.table();
    println!(
        "- the restore stage beside `pg_restore -Fd -j2`: {:.2} times, all of the restore: {:.2} times",
        shop.times.ratio("`db-restore restore`: the restore stage", "`pg_restore -Fd -j2`"),
        shop.times.ratio("`db-restore restore`: all of it", "`pg_restore -Fd -j2`")
    );
    println!(
        "- `snapshot` beside `pg_dump -Fd -j2 -Z1`: {:.2} times\n",
        shop.times.ratio("`db-restore snapshot`", "`pg_dump -Fd -j2 -Z1`")
    );
}

fn round(shop: &mut Shop) {
    let port = shop.cluster.port();
    let dump = shop.folder.path().join("bare");
    let _ = std::fs::remove_dir_all(&dump);
    let to = crate::measure::path(&dump).to_owned();
    shop.bare("`pg_dump -Fd -j2 -Z1`", port, &["pg_dump", "-Fd", "-j2", "-Z1", "-f", &to, "shop"]);
    let id = id(&shop.ours("`db-restore snapshot`", &["snapshot"]));
    let theirs = shop.dump(&id);
    shop.with_bare(|shop| {
        shop.bare("`pg_restore -Fd -j2`", port, &["pg_restore", "-Fd", "-j2", "-d", "bare", &theirs]);
    });
    let confirm = format!("shop@{id}");
    let done = shop.ours("`db-restore restore`: all of it", &["restore", "--confirm", &confirm]);
    shop.times.add("`db-restore restore`: the restore stage", stage(&done, "restore"));
    shop.times.add("`db-restore restore`: verification and loss report", stage(&done, "verify"));
    shop.ours("`db-restore undo`", &["undo", "--confirm", &kept(&done)]);
    shop.drop_beside();
    shop.ours("`db-restore rehearse`", &["rehearse"]);
    shop.ours("`db-restore restore` from a staged copy", &["restore", "--confirm", &confirm]);
    shop.drop_beside();
}

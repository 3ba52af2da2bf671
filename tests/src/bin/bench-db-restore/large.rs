//! A database of about 1.5 GB, swapped under a hundred sessions.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::NoTls;
use serde_json::Value;

use crate::measure::{Shop, id, kept, mib, path, stage};

const DATA: &str = "
    create table users (id int primary key, name text not null);
    insert into users select n, 'user ' || n from generate_series(1, 100000) n;
    create table event (id bigint primary key, user_id int not null references users, created_at timestamptz not null, body jsonb not null, note text);
    insert into event select n, 1 + n % 100000, '2026-01-01'::timestamptz + n * interval '20 s',
        jsonb_build_object('n', n, 'page', '/p/' || n % 977, 'tags', jsonb_build_array(n % 13, n % 31)), md5(n::text) || md5((n * 7)::text)
        from generate_series(1, 1000000) n;
    create index on event (user_id, created_at);
    create index on event (md5(body::text));
    create index on event using gin (body jsonb_path_ops);
    create table log (at int, line text);
    insert into log select n, md5(n::text) from generate_series(1, 200000) n;";
const SINCE: &str = "
    insert into event select n, 1, now(), '{}', 'since' from generate_series(2000001, 2001234) n;
    update event set note = 'changed' where id between 1000 and 1499;
    delete from log where at <= 7";

pub fn run(rounds: usize) {
    let mut shop = Shop::open();
    fill(&shop);
    for _ in 0..rounds {
        round(&mut shop);
    }
    tell(&shop, rounds);
}

fn fill(shop: &Shop) {
    let mut pgbench = shop.cluster.program("pgbench");
    let filled = pgbench.args(["--quiet", "--initialize", "--scale=60", "shop"]).output().expect("pgbench");
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    shop.cluster.execute("shop", DATA);
    shop.cluster.execute("shop", "vacuum analyze");
}

fn round(shop: &mut Shop) {
    let port = shop.cluster.port();
    let dump = shop.folder.path().join("bare");
    for (what, compress) in [("`pg_dump -Fd -j2`", "-Z6"), ("`pg_dump -Fd -j2 -Z1`", "-Z1")] {
        let _ = std::fs::remove_dir_all(&dump);
        shop.bare(what, port, &["pg_dump", "-Fd", "-j2", compress, "-f", path(&dump), "shop"]);
    }
    let snapshot = id(&shop.ours("`db-restore snapshot`", &["snapshot"]));
    let theirs = shop.dump(&snapshot);
    shop.with_bare(|shop| {
        shop.bare("`pg_restore -Fd -j2`", port, &["pg_restore", "-Fd", "-j2", "-d", "bare", &theirs]);
        copy(shop);
    });
    shop.cluster.execute("shop", SINCE);
    let confirm = format!("shop@{snapshot}");
    let done = shop.ours("`db-restore restore`: all of it", &["restore", "--confirm", &confirm]);
    shop.times.add("`db-restore restore`: the restore stage", stage(&done, "restore"));
    shop.times.add("`db-restore restore`: verification and loss report", stage(&done, "verify"));
    undo(shop, &done);
    shop.ours("`db-restore rehearse`", &["rehearse"]);
    let done = swapped(shop, "from a staged copy", &confirm);
    let undone = undo(shop, &done);
    shop.times.add("`db-restore undo`: the swap", stage(&undone, "swap"));
    shop.times.add("`db-restore undo`: outage", stage(&undone, "outage"));
    std::fs::remove_dir_all(shop.folder.path().join("snapshots")).expect("removed");
    shop.settings(port, "database");
    let clone = shop.ours("`db-restore snapshot`, source = database", &["snapshot"]);
    shop.cluster.execute("shop", "update event set note = 'since' where id < 100");
    swapped(shop, "from a clone", &format!("shop@{}", id(&clone)));
    shop.drop_beside();
    shop.settings(port, "archive");
    shop.cluster.execute("shop", "delete from event where id > 2000000");
    shop.cluster.execute("shop", "vacuum");
}

/// A swap with a hundred sessions that hold on and four that come back in a loop.
fn swapped(shop: &mut Shop, from: &str, confirm: &str) -> Value {
    let sessions: Vec<_> = (0..100).map(|_| shop.cluster.session("shop")).collect();
    let stop = AtomicBool::new(false);
    let config = shop.cluster.config("shop");
    let (done, longest) = std::thread::scope(|scope| {
        let hammers: Vec<_> = (0..4).map(|_| scope.spawn(|| hammer(&config, &stop))).collect();
        let done = shop.ours(&format!("{from}: all of it"), &["restore", "--confirm", confirm]);
        std::thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        (done, hammers.into_iter().map(|h| h.join().expect("it ended")).max().unwrap_or_default())
    });
    drop(sessions);
    let all = crate::measure::seconds(done["steps"][0]["ms"].as_u64().expect("a number"));
    let without = all - stage(&done, "loss") - stage(&done, "finish");
    shop.times.add(&format!("{from}: without the loss report"), without);
    shop.times.add(&format!("{from}: outage, by us"), stage(&done, "outage"));
    let longest = longest.as_secs_f64();
    shop.times.add(&format!("{from}: longest time without an answer, by four clients"), longest);
    done
}

fn undo(shop: &mut Shop, done: &Value) -> Value {
    let undone = shop.ours("`db-restore undo`: all of it", &["undo", "--confirm", &kept(done)]);
    shop.drop_beside();
    undone
}

/// The files of a database, copied and on disk.
fn copy(shop: &mut Shop) {
    shop.cluster.execute("postgres", "checkpoint");
    let oid = shop.cluster.value("postgres", "select oid from pg_database where datname = 'bare'");
    let data = shop.cluster.value("postgres", "show data_directory");
    let to = shop.folder.path().join("copy");
    shop.times.time("`cp -a` of its files and `sync`", || {
        let from = format!("{data}/base/{oid}");
        assert!(Command::new("cp").arg("-a").arg(from).arg(&to).status().expect("cp").success());
        assert!(Command::new("sync").arg("-f").arg(&to).status().expect("sync").success());
    });
    std::fs::remove_dir_all(to).expect("removed");
}

fn tell(shop: &Shop, rounds: usize) {
    let size = shop.cluster.value("postgres", "select pg_size_pretty(pg_database_size('shop'))");
    let version = shop.cluster.value("postgres", "show server_version");
    println!(
        "## A large database\n\n{size} (pgbench at scale 60, a million events with four indexes, one of them GIN), PostgreSQL {version}, fsync on,"
    );
    println!(
        "shared_buffers 128 MB; {rounds} rounds, one after the other. Swaps happen under 100 sessions that hold on and 4 clients that come back in a loop.\n"
    );
    shop.times.table();
    shop.times.compare_restore();
    println!(
        "- `snapshot` beside `pg_dump -Fd -j2`: {:.2} times, beside the same with our `-Z1`: {:.2} times",
        shop.times.ratio("`db-restore snapshot`", "`pg_dump -Fd -j2`"),
        shop.times.ratio("`db-restore snapshot`", "`pg_dump -Fd -j2 -Z1`")
    );
    println!(
        "- greatest peak memory of db-restore itself in {} runs: {:.1} MiB\n",
        shop.runs,
        mib(shop.peak)
    );
}

/// The longest time from an answer to the next one.
fn hammer(config: &postgres::Config, stop: &AtomicBool) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        if config.connect(NoTls).and_then(|mut c| c.query("select 1 from users where id = 1", &[])).is_ok() {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    longest
}

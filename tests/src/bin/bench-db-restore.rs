//! Measures db-restore on a database of about 1.5 GB beside bare pg_dump, pg_restore and a copy of the files, and prints Markdown.
//! `scripts/bench-db-restore` writes it to docs/benchmarks-db-restore.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::NoTls;
use serde_json::Value;
use testkit::postgres::{Cluster, PASSWORD, program};

/// Each thing is done so often unless the one argument says how often; the median counts.
const ROUNDS: usize = 3;
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

/// One thing that was measured, in seconds.
#[derive(Default)]
struct Times(Vec<(&'static str, Vec<f64>)>);

impl Times {
    fn add(&mut self, what: &'static str, seconds: f64) {
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, times)) => times.push(seconds),
            None => self.0.push((what, vec![seconds])),
        }
    }

    fn time<T>(&mut self, what: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.add(what, began.elapsed().as_secs_f64());
        done
    }

    fn median(&self, what: &str) -> f64 {
        let (_, times) = self.0.iter().find(|(name, _)| *name == what).expect("measured");
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

struct Bench {
    cluster: Cluster,
    folder: tempfile::TempDir,
    times: Times,
    peak: u64,
    runs: usize,
}

fn main() {
    let bin = program("postgres").parent().expect("a folder").to_owned();
    let real = [
        "-c",
        "fsync=on",
        "-c",
        "full_page_writes=on",
        "-c",
        "shared_buffers=128MB",
        "-c",
        "max_connections=200",
    ];
    let cluster = Cluster::of(&bin, &real);
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Bench { cluster, folder, times: Times::default(), peak: 0, runs: 0 };
    bench.fill();
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |n| n.parse().expect("how many rounds"));
    for _ in 0..rounds {
        bench.round();
    }
    bench.tell(rounds);
}

impl Bench {
    fn fill(&self) {
        self.cluster.create_database("shop");
        let filled =
            self.cluster.program("pgbench").args(["--quiet", "--initialize", "--scale=60", "shop"]).output();
        let filled = filled.expect("pgbench");
        assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
        self.cluster.execute("shop", DATA);
        self.cluster.execute("shop", "vacuum analyze");
        testkit::write_private(&self.folder.path().join("password"), PASSWORD);
        self.settings("archive");
    }

    fn settings(&self, source: &str) {
        let text = format!(
            "[product]\nname = \"shop\"\n[db-restore]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\npassword_file = \"password\"\nsnapshots = \"snapshots\"\njobs = 2\nsource = \"{source}\"\n",
            self.cluster.port()
        );
        std::fs::write(self.folder.path().join("release.toml"), text).expect("written");
    }

    fn round(&mut self) {
        let dump = self.folder.path().join("bare");
        for (what, compress) in [("`pg_dump -Fd -j2`", "6"), ("`pg_dump -Fd -j2 -Z1`", "1")] {
            let _ = std::fs::remove_dir_all(&dump);
            self.bare(what, "pg_dump", &["-Fd", "-j2", "-Z", compress, "-f", path(&dump), "shop"]);
        }
        let snapshot = self.ours("`db-restore snapshot`", &["snapshot"]);
        let id = snapshot["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
        self.cluster.execute("postgres", "create database bare template template0");
        let theirs = self.folder.path().join("snapshots").join(&id).join("dump");
        self.bare("`pg_restore -Fd -j2`", "pg_restore", &["-Fd", "-j2", "-d", "bare", path(&theirs)]);
        self.copy();
        self.cluster.execute("postgres", "drop database bare");
        self.cluster.execute("shop", SINCE);
        let confirm = format!("shop@{id}");
        let done = self.ours("`db-restore restore`: all of it", &["restore", "--confirm", &confirm]);
        self.stages(
            &done,
            &[
                ("`db-restore restore`: the restore stage", "restore"),
                ("`db-restore restore`: verification and loss report", "verify"),
            ],
        );
        self.undo(&done, &[]);
        self.ours("`db-restore rehearse`", &["rehearse"]);
        self.swapped("a staged copy", &["restore", "--confirm", &confirm]);
        std::fs::remove_dir_all(self.folder.path().join("snapshots")).expect("removed");
        self.settings("database");
        let clone = self.ours("`db-restore snapshot`, source = database", &["snapshot"]);
        self.cluster.execute("shop", "update event set note = 'since' where id < 100");
        let confirm = format!("shop@{}", clone["facts"]["snapshot"]["id"].as_str().expect("an id"));
        self.swapped("a clone", &["restore", "--confirm", &confirm]);
        self.settings("archive");
        self.cluster.execute("shop", "delete from event where id > 2000000");
        self.cluster.execute("shop", "vacuum");
    }

    /// A swap with a hundred sessions that hold on and four that come back in a loop, then its undo.
    fn swapped(&mut self, from: &'static str, args: &[&str]) {
        let sessions: Vec<_> = (0..100).map(|_| self.cluster.session("shop")).collect();
        let stop = AtomicBool::new(false);
        let config = self.cluster.config("shop");
        let (done, longest) = std::thread::scope(|scope| {
            let hammers: Vec<_> = (0..4).map(|_| scope.spawn(|| hammer(&config, &stop))).collect();
            let done = self.ours(
                if from == "a clone" { "from a clone: all of it" } else { "from a staged copy: all of it" },
                args,
            );
            std::thread::sleep(Duration::from_millis(200));
            stop.store(true, Ordering::Relaxed);
            (done, hammers.into_iter().map(|h| h.join().expect("it ended")).max().unwrap_or_default())
        });
        drop(sessions);
        let ms = &done["steps"][0]["output"]["ms"];
        let all = done["steps"][0]["ms"].as_u64().expect("a number")
            - ms["loss"].as_u64().expect("a number")
            - ms["finish"].as_u64().expect("a number");
        let clone = from == "a clone";
        self.times.add(
            if clone {
                "from a clone: without the loss report"
            } else {
                "from a staged copy: without the loss report"
            },
            seconds(all),
        );
        self.times.add(
            if clone { "from a clone: outage, by us" } else { "from a staged copy: outage, by us" },
            seconds(ms["outage"].as_u64().expect("a number")),
        );
        self.times.add(
            if clone {
                "from a clone: longest time without an answer, by four clients"
            } else {
                "from a staged copy: longest time without an answer, by four clients"
            },
            longest.as_secs_f64(),
        );
        if !clone {
            self.undo(&done, &["counted"]);
        } else {
            self.drop_beside();
        }
    }

    fn undo(&mut self, done: &Value, counted: &[&str]) {
        let kept = done["facts"]["loss"]["kept_in"].as_str().expect("a name");
        let undone =
            self.ours("`db-restore undo`: all of it", &["undo", "--confirm", &format!("shop@{kept}")]);
        if !counted.is_empty() {
            self.stages(
                &undone,
                &[("`db-restore undo`: the swap", "swap"), ("`db-restore undo`: outage", "outage")],
            );
        }
        self.drop_beside();
    }

    fn drop_beside(&self) {
        for name in self
            .cluster
            .query("postgres", "select datname from pg_database where datname like 'shop\\_\\_%'")
            .concat()
        {
            self.cluster.execute("postgres", &format!("drop database {name} with (force)"));
        }
    }

    fn stages(&mut self, document: &Value, stages: &[(&'static str, &str)]) {
        for (what, stage) in stages {
            self.times
                .add(what, seconds(document["steps"][0]["output"]["ms"][*stage].as_u64().expect("a number")));
        }
    }

    fn bare(&mut self, what: &'static str, program: &str, args: &[&str]) {
        let mut command = self.cluster.program(program);
        let output = self.times.time(what, || command.args(args).output().expect("it runs"));
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The files of a database, copied and on disk.
    fn copy(&mut self) {
        self.cluster.execute("postgres", "checkpoint");
        let oid = self.cluster.value("postgres", "select oid from pg_database where datname = 'bare'");
        let data = self.cluster.value("postgres", "show data_directory");
        let to = self.folder.path().join("copy");
        self.times.time("`cp -a` of its files and `sync`", || {
            let from = format!("{data}/base/{oid}");
            assert!(Command::new("cp").arg("-a").arg(from).arg(&to).status().expect("cp").success());
            assert!(Command::new("sync").arg("-f").arg(&to).status().expect("sync").success());
        });
        std::fs::remove_dir_all(to).expect("removed");
    }

    /// Runs db-restore in a document of its own; its peak memory is looked at while it runs.
    fn ours(&mut self, what: &'static str, args: &[&str]) -> Value {
        self.runs += 1;
        let mut command = Command::new(testkit::bin("db-restore"));
        command.args(args).args(["--fresh", "--env", "production"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().expect("it starts");
        let status = format!("/proc/{}/status", child.id());
        while child.try_wait().expect("asked").is_none() {
            self.peak = self.peak.max(peak(&status));
            std::thread::sleep(Duration::from_millis(2));
        }
        self.times.add(what, began.elapsed().as_secs_f64());
        let output = child.wait_with_output().expect("it ended");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a document")
    }

    fn tell(&self, rounds: usize) {
        let size = self.cluster.value("postgres", "select pg_size_pretty(pg_database_size('shop'))");
        let version = self.cluster.value("postgres", "show server_version");
        println!(
            "A database of {size} (pgbench at scale 60, a million events with four indexes, one of them GIN), PostgreSQL {version}, fsync on,"
        );
        println!(
            "shared_buffers 128 MB; {rounds} rounds, one after the other. Swaps happen under 100 sessions that hold on and 4 clients that come back in a loop.\n"
        );
        println!("| | median | all |\n|---|---:|---|");
        for (what, times) in &self.times.0 {
            let all: Vec<String> = times.iter().map(|t| format!("{t:.2}")).collect();
            println!("| {what} | {:.2} s | {} |", self.times.median(what), all.join(" "));
        }
        let ratio = |a: &str, b: &str| self.times.median(a) / self.times.median(b);
        println!(
            "\n- the restore stage beside `pg_restore -Fd -j2`: {:.2} times",
            ratio("`db-restore restore`: the restore stage", "`pg_restore -Fd -j2`")
        );
        println!(
            "- all of the restore beside `pg_restore -Fd -j2`: {:.2} times",
            ratio("`db-restore restore`: all of it", "`pg_restore -Fd -j2`")
        );
        println!(
            "- `snapshot` beside `pg_dump -Fd -j2`: {:.2} times, beside the same with our `-Z1`: {:.2} times",
            ratio("`db-restore snapshot`", "`pg_dump -Fd -j2`"),
            ratio("`db-restore snapshot`", "`pg_dump -Fd -j2 -Z1`")
        );
        println!(
            "- greatest peak memory of db-restore itself in {} runs: {:.1} MiB",
            self.runs,
            mib(self.peak)
        );
    }
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

/// `VmHWM` in KiB.
fn peak(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

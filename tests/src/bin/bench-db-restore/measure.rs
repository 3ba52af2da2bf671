//! A shop with a database, what was measured on it, and how a program of ours or of PostgreSQL is timed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use testkit::postgres::{Cluster, PASSWORD, program};

/// What was measured, in seconds, in the order in which it was first.
#[derive(Default)]
pub struct Times(Vec<(String, Vec<f64>)>);

impl Times {
    pub fn add(&mut self, what: &str, seconds: f64) {
        match self.0.iter_mut().find(|(name, _)| name == what) {
            Some((_, times)) => times.push(seconds),
            None => self.0.push((what.to_owned(), vec![seconds])),
        }
    }

    pub fn time<T>(&mut self, what: &str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.add(what, began.elapsed().as_secs_f64());
        done
    }

    pub fn median(&self, what: &str) -> f64 {
        let (_, times) = self.0.iter().find(|(name, _)| name == what).expect("measured");
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    pub fn ratio(&self, what: &str, to: &str) -> f64 {
        self.median(what) / self.median(to)
    }

    /// How the restore compares with PostgreSQL's own program.
    pub fn compare_restore(&self) {
        let to = |what: &str| self.ratio(what, "`pg_restore -Fd -j2`");
        println!(
            "- the restore stage beside `pg_restore -Fd -j2`: {:.2} times, all of the restore: {:.2} times",
            to("`db-restore restore`: the restore stage"),
            to("`db-restore restore`: all of it")
        );
    }

    pub fn table(&self) {
        println!("| | median | all |\n|---|---:|---|");
        for (what, times) in &self.0 {
            let all: Vec<String> = times.iter().map(|t| format!("{t:.2}")).collect();
            println!("| {what} | {:.2} s | {} |", self.median(what), all.join(" "));
        }
        println!();
    }
}

/// A cluster that writes as a real one does, the folder of a product, and the times.
pub struct Shop {
    pub cluster: Cluster,
    pub folder: tempfile::TempDir,
    pub times: Times,
    /// The greatest peak memory of db-restore itself, in KiB.
    pub peak: u64,
    pub runs: usize,
}

impl Shop {
    pub fn open() -> Self {
        let bin = program("postgres").parent().expect("a folder").to_owned();
        let real = ["fsync=on", "full_page_writes=on", "shared_buffers=128MB", "max_connections=200"];
        let cluster = Cluster::of(&bin, &real.map(|setting| ["-c", setting]).concat());
        cluster.create_database("shop");
        let folder = tempfile::tempdir().expect("a folder");
        testkit::write_private(&folder.path().join("password"), PASSWORD);
        let shop = Shop { cluster, folder, times: Times::default(), peak: 0, runs: 0 };
        shop.settings(shop.cluster.port(), "archive");
        shop
    }

    pub fn settings(&self, port: u16, source: &str) {
        let text = format!(
            "[product]\nname = \"shop\"\n[db-restore]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"shop\"\npassword_file = \"password\"\nsnapshots = \"snapshots\"\njobs = 2\nsource = \"{source}\"\n"
        );
        std::fs::write(self.folder.path().join("release.toml"), text).expect("written");
    }

    /// Runs db-restore in a document of its own; its peak memory is looked at while it runs.
    pub fn ours(&mut self, what: &str, args: &[&str]) -> Value {
        self.runs += 1;
        let mut command = Command::new(testkit::bin("db-restore"));
        command.args(args).args(["--fresh", "--env", "production"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().expect("it starts");
        let status = format!("/proc/{}/status", child.id());
        while child.try_wait().expect("asked").is_none() {
            self.peak = self.peak.max(peak(&status));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        self.times.add(what, began.elapsed().as_secs_f64());
        let output = child.wait_with_output().expect("it ended");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("a document")
    }

    /// Runs a program of PostgreSQL against a port.
    pub fn bare(&mut self, what: &str, port: u16, words: &[&str]) {
        let (name, args) = words.split_first().expect("a program");
        let mut command = self.cluster.program(name);
        command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).args(args);
        let output = self.times.time(what, || command.output().expect("it runs"));
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes and drops the database `bare` around something.
    pub fn with_bare(&mut self, work: impl FnOnce(&mut Self)) {
        self.cluster.execute("postgres", "create database bare template template0");
        work(self);
        self.cluster.execute("postgres", "drop database bare");
    }

    /// The dump in a snapshot.
    pub fn dump(&self, id: &str) -> String {
        path(&self.folder.path().join("snapshots").join(id).join("dump")).to_owned()
    }

    /// The copies and the replaced databases.
    pub fn drop_beside(&self) {
        let beside = "select datname from pg_database where datname like 'shop\\_\\_%'";
        for name in self.cluster.query("postgres", beside).concat() {
            self.cluster.execute("postgres", &format!("drop database {name} with (force)"));
        }
    }
}

/// A snapshot's name in a document.
pub fn id(document: &Value) -> String {
    document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned()
}

/// What undoes a restore: `shop@NAME`.
pub fn kept(document: &Value) -> String {
    format!("shop@{}", document["facts"]["loss"]["kept_in"].as_str().expect("a name"))
}

/// What the one step of a document says of its time, in seconds.
pub fn stage(document: &Value, stage: &str) -> f64 {
    seconds(document["steps"][0]["output"]["ms"][stage].as_u64().expect("a number"))
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
pub fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// `VmHWM` in KiB.
fn peak(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

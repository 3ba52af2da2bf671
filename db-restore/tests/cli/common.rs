//! A bench for the real binary: a private PostgreSQL with the shop's database, and a folder with its settings.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::postgres::{Cluster, PASSWORD};

pub const ID: &str = "shop-1.3.0-20261124T120000Z-7f3a";
pub const OLD: &str = "shop__old_20261124t120000z_7f3a";
pub const SIDE: &str = "shop__dbr_20261124t120000z_7f3a";
/// The run that took the snapshot.
pub const BEFORE: &str = "shop-1.3.0-20261124T110000Z-0001";

pub struct Bench {
    pub cluster: Cluster,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub fn start() -> Self {
        match postgres_bin() {
            Some(bin) => Self::on(Cluster::of(&bin, &[])),
            None => Self::on(Cluster::start()),
        }
    }

    pub fn on(cluster: Cluster) -> Self {
        let bench = Bench { cluster, folder: tempfile::tempdir().expect("a folder") };
        bench.cluster.create_database("shop");
        bench.cluster.execute(
            "shop",
            "create table products (id int primary key, name text not null, price int not null);
             insert into products values (1, 'Kopi Gayo', 85000), (2, 'Kain songket', 1250000);
             create schema \"Lager 1\"; create table \"Lager 1\".\"Bestand, alt\" (n int);
             insert into \"Lager 1\".\"Bestand, alt\" select generate_series(1, 500);",
        );
        bench.settings(bench.cluster.port());
        bench
    }

    pub fn settings(&self, port: u16) {
        testkit::write_private(&self.folder.path().join("password"), PASSWORD);
        let text = format!(
            "[product]\nname = \"shop\"\n[db-restore]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"shop\"\nuser = \"postgres\"\n\
             password_file = \"password\"\nsnapshots = \"snapshots\"\n{}",
            postgres_bin().map(|bin| format!("pg_bin = [\"{}\"]\n", bin.display())).unwrap_or_default()
        );
        std::fs::write(self.folder.path().join("release.toml"), text).expect("written");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_db-restore"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str], document: &Value) -> (i32, Value, String) {
        let (code, document, stderr) = testkit::exchange(&mut self.command(args), Some(document));
        assert!(!format!("{document}{stderr}").contains(PASSWORD));
        (code, document, stderr)
    }

    pub fn ask(&self, args: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(args).output().expect("it runs");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (status.code().expect("a code"), text(&stdout), text(&stderr))
    }

    /// Takes a snapshot in a run of its own; gives its id and its folder.
    pub fn snapshot(&self, run: &str) -> (String, PathBuf) {
        let (code, document, stderr) = self.run(&["snapshot"], &opened(run));
        assert_eq!(code, 0, "{stderr}");
        let id = document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
        let folder = self.folder.path().join("snapshots").join(&id);
        (id, folder)
    }

    pub fn databases(&self) -> Vec<String> {
        let sql = "select datname || case when datallowconn then '' else ' (closed)' end from pg_database
                   where datname like 'shop%' order by 1";
        self.cluster.query("postgres", sql).concat()
    }

    pub fn prices(&self) -> Vec<Vec<String>> {
        self.cluster.query("shop", "select id, price from products order by id")
    }
}

/// The folder of PostgreSQL's programs.
pub fn bin() -> PathBuf {
    postgres_bin()
        .unwrap_or_else(|| testkit::postgres::program("postgres").parent().expect("a folder").to_owned())
}

/// The programs of another PostgreSQL than the system's: `scripts/matrix` says where they are.
fn postgres_bin() -> Option<PathBuf> {
    std::env::var_os("POSTGRES_BIN").map(PathBuf::from)
}

pub fn opened(id: &str) -> Value {
    json!({ "schema": 1, "id": id, "procedure": "rollback", "mode": "apply", "opened": "2026-11-24T12:00:00Z",
            "facts": { "product": "shop", "environment": "production" }, "steps": [] })
}

/// Some of many, evenly from the first on, or all of them with `SWEEP=all` (`make sweep-db`).
pub fn some<T>(all: &[T], how_many: usize) -> impl Iterator<Item = &T> {
    let step = if is_sweep() { 1 } else { all.len().div_ceil(how_many).max(1) };
    all.iter().step_by(step)
}

/// Says on stderr, also where tests succeed, what is not tried here.
pub fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "left out: {what}");
}

/// Whether everything is to be tried, however long it takes.
pub fn is_sweep() -> bool {
    std::env::var_os("SWEEP").is_some()
}

pub fn minutes_ago(minutes: i64) -> String {
    (jiff::Timestamp::now() - Duration::from_secs(minutes.unsigned_abs() * 60))
        .strftime("%Y-%m-%dT%H:%M:%S.000Z")
        .to_string()
}

/// As a runbook would: a temporary failure (the killed one's session still has the lock) is tried again.
pub fn retried(bench: &Bench, args: &[&str], document: &Value) -> (i32, Value, String) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let done = bench.run(args, document);
        if done.0 != 75 || Instant::now() > end {
            return done;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Bench {
    /// Adds lines to the settings of the step.
    pub fn set(&self, lines: &str) {
        let path = self.folder.path().join("release.toml");
        let text = std::fs::read_to_string(&path).expect("there");
        std::fs::write(path, format!("{text}{lines}\n")).expect("written");
    }

    /// Puts another value in the place of one.
    pub fn reset(&self, from: &str, to: &str) {
        let path = self.folder.path().join("release.toml");
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).expect("written");
    }

    /// Restores, and gives the document.
    pub fn restored(&self, id: &str, run: &str) -> Value {
        let (code, document, stderr) =
            self.run(&["restore", "--confirm", &format!("shop@{id}")], &opened(run));
        assert_eq!(code, 0, "{stderr}");
        document
    }

    /// Everything in the live database, as pg_dump writes it.
    pub fn content(&self) -> String {
        let output = self.cluster.program("pg_dump").args(["--dbname=shop"]).output().expect("pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // The key is made anew each time.
        text.lines().filter(|l| !l.contains("restrict ")).map(|l| format!("{l}\n")).collect()
    }

    /// An archive that somebody else has made.
    pub fn foreign(&self, name: &str, args: &[&str], variables: &[(&str, &str)]) -> PathBuf {
        let folder = self.folder.path().join("snapshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        let mut command = self.cluster.program("pg_dump");
        let output = command
            .args(args)
            .args(["--dbname=shop", "--file"])
            .arg(&path)
            .envs(variables.iter().copied())
            .output();
        let output = output.expect("pg_dump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }
}

/// The reason of a refusal, and all that it says.
pub fn reason(document: &Value) -> (&str, String) {
    let failure = &document["failure"];
    (failure["reason"].as_str().unwrap_or_default(), format!("{} {}", failure["message"], failure["causes"]))
}

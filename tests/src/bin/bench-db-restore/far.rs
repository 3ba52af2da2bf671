//! A server 30 ms away, by a proxy that adds a delay to each direction and counts how often somebody waits for an answer.

use std::time::Duration;

use serde_json::Value;
use testkit::distance::Distance;

use crate::measure::{Shop, id, kept};

const TABLES: usize = 42;
/// Each direction: a round trip takes twice as long.
const DELAY: Duration = Duration::from_millis(15);

struct Far<'a> {
    shop: Shop,
    wire: &'a Distance,
    /// `here` or `far`.
    place: &'static str,
    /// What was done, and how often db-restore and its children waited.
    waits: Vec<(&'static str, usize, usize)>,
}

pub fn run(rounds: usize) {
    let shop = Shop::open();
    for n in 0..TABLES {
        shop.cluster.execute("shop", &format!("create table t{n} (id int primary key, name text); insert into t{n} select g, 'row ' || g from generate_series(1, 50) g"));
    }
    let wire = Distance::start(shop.cluster.port());
    shop.settings(wire.port(), "archive");
    let mut far = Far { shop, wire: &wire, place: "here", waits: Vec::new() };
    for (place, delay) in [("here", Duration::ZERO), ("far", DELAY)] {
        wire.delay(delay);
        far.place = place;
        for _ in 0..rounds {
            far.waits.clear();
            far.round();
        }
    }
    far.tell(rounds);
}

impl Far<'_> {
    fn round(&mut self) {
        let dump = self.shop.folder.path().join("bare");
        let _ = std::fs::remove_dir_all(&dump);
        let to = crate::measure::path(&dump).to_owned();
        self.bare("`pg_dump -Fd -j2 -Z1`", &["pg_dump", "-Fd", "-j2", "-Z1", "-f", &to, "shop"]);
        let snapshot = self.ours("`db-restore snapshot`", &["snapshot"]);
        let confirm = format!("shop@{}", id(&snapshot));
        let theirs = self.shop.dump(&id(&snapshot));
        self.shop.cluster.execute("postgres", "create database bare template template0");
        self.bare("`pg_restore -Fd -j2`", &["pg_restore", "-Fd", "-j2", "-d", "bare", &theirs]);
        self.shop.cluster.execute("postgres", "drop database bare with (force)");
        self.ours("`db-restore rehearse`", &["rehearse"]);
        let done = self.ours("`db-restore restore` from a staged copy", &["restore", "--confirm", &confirm]);
        self.ours("`db-restore undo`", &["undo", "--confirm", &kept(&done)]);
        self.shop.drop_beside();
        self.ours("`db-restore restore`", &["restore", "--confirm", &confirm]);
        self.shop.drop_beside();
    }

    fn ours(&mut self, what: &'static str, args: &[&str]) -> Value {
        self.wire.counted();
        let document = self.shop.ours(&format!("{what}, {}", self.place), args);
        self.count(what);
        document
    }

    fn bare(&mut self, what: &'static str, words: &[&str]) {
        self.wire.counted();
        self.shop.bare(&format!("{what}, {}", self.place), self.wire.port(), words);
        self.count(what);
    }

    fn count(&mut self, what: &'static str) {
        let (own, children, _) = self.wire.counted();
        self.waits.push((what, own, children));
    }

    fn tell(&self, rounds: usize) {
        println!("## {TABLES} small tables on a server that is far away\n");
        println!(
            "Through a proxy without a delay, and with one that makes a round trip take {} ms; {rounds} rounds, median. A wait is a time that somebody waits for an answer.\n",
            2 * DELAY.as_millis()
        );
        println!(
            "| | here | far away | waits of its own | waits of pg_dump and pg_restore |\n|---|---:|---:|---:|---:|"
        );
        for (what, own, children) in &self.waits {
            let median = |place| self.shop.times.median(&format!("{what}, {place}"));
            // PostgreSQL's own programs are nobody's children here.
            let (own, children) = if what.contains("pg_") {
                ("-".to_owned(), own + children)
            } else {
                (own.to_string(), *children)
            };
            println!("| {what} | {:.2} s | {:.2} s | {own} | {children} |", median("here"), median("far"));
        }
    }
}

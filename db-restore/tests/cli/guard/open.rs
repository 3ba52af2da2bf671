//! Production stays open, and what somebody else has closed, dropped or locked is said with the way out.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{BEFORE, Bench, ID, OLD, opened, reason, retried, some};
use step::Exit;
use testkit::distance::{Distance, Fault};
use testkit::lockstep::Lockstep;

fn is_open(bench: &Bench) -> bool {
    let mut config = bench.cluster.config("shop");
    config.connect_timeout(Duration::from_secs(2));
    bench.cluster.value("postgres", "select datallowconn from pg_database where datname = 'shop'") == "t"
        && config.connect(postgres::NoTls).is_ok()
}

/// A run that is held by the lines it says.
fn held(bench: &Bench, args: &[&str], run: &str) -> Lockstep {
    let input = bench.folder.path().join("document.json");
    std::fs::write(&input, opened(run).to_string()).expect("written");
    let mut command = bench.command(args);
    Lockstep::spawn(command.stdin(std::fs::File::open(input).expect("there")).stdout(Stdio::null()))
}

/// The bench with its database as it was before anything was done.
struct Again {
    bench: Bench,
    n: u32,
}

impl Again {
    fn run(&mut self) -> String {
        self.n += 1;
        format!("shop-1.3.0-20261124T150000Z-{:04x}", self.n)
    }

    /// Kills a command before each line that it says (or some of them): production is open at once, and another command works.
    fn killed_everywhere(&mut self, what: &str, prepare: impl Fn(&mut Self) -> Vec<String>) {
        let args = prepare(self);
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = self.run();
        let mut whole = held(&self.bench, &words, &run);
        let mut lines = 0;
        while whole.line().is_some() {
            lines += 1;
        }
        assert_eq!(whole.child.wait().expect("ended").code(), Some(0), "{what}");
        assert!(lines > 5, "{what}: {lines} lines");
        let stops: Vec<usize> = (1..lines).collect();
        for &stop in some(&stops, 2) {
            let args = prepare(self);
            let words: Vec<&str> = args.iter().map(String::as_str).collect();
            let run = self.run();
            let mut process = held(&self.bench, &words, &run);
            let said = (0..stop).map_while(|_| process.line()).last().unwrap_or_default();
            std::thread::sleep(Duration::from_millis(5));
            process.kill();
            testkit::wait_for(&format!("an open shop after {what} was killed at `{said}`"), 10, || {
                is_open(&self.bench)
            });
            let (code, _, stderr) = retried(&self.bench, &words, &opened(&run));
            assert_eq!(code, 0, "{what} killed at `{said}`: {stderr}");
        }
        let left = "select count(*) from pg_roles where rolname like 'db\\_restore%'";
        assert_eq!(self.bench.cluster.value("postgres", left), "0", "{what}: roles are left");
    }
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn killed_at_any_line_of_any_command_production_is_open() {
    for marker in [false, true] {
        let bench = Bench::start();
        if marker {
            bench.cluster.execute("shop", "create table whose (product text, environment text); insert into whose values ('shop', 'production')");
            bench.set("marker_table = \"public.whose\"");
        }
        let (id, _) = bench.snapshot(BEFORE);
        let confirm = format!("shop@{id}");
        let mut again = Again { bench, n: 0 };
        let restore = texts(&["restore", "-v", "--snapshot", &id, "--confirm", &confirm]);
        again.killed_everywhere("restore", |_| restore.clone());
        again.killed_everywhere("undo", |again| {
            let run = again.run();
            let done = again.bench.restored(&id, &run);
            let kept = done["facts"]["loss"]["kept_in"].as_str().expect("a name");
            texts(&["undo", "-v", "--confirm", &format!("shop@{kept}")])
        });
        if marker {
            continue;
        }
        again.bench.set("keep_databases = \"0s\"");
        again.killed_everywhere("prune", |again| {
            let run = again.run();
            again.bench.restored(&id, &run);
            texts(&["prune", "-v", "--confirm", "shop@prune"])
        });
        again.bench.set("source = \"database\"");
        again.killed_everywhere("snapshot of a clone", |_| texts(&["snapshot", "-v"]));
    }
}

#[test]
fn what_an_older_version_has_left_closed_is_opened_by_any_command_and_said_by_any_question() {
    let bench = Bench::start();
    bench.cluster.execute("shop", "create table whose (product text, environment text); insert into whose values ('shop', 'production')");
    bench.set("marker_table = \"public.whose\"");
    let (id, _) = bench.snapshot(BEFORE);
    bench.restored(&id, ID);
    let close = || {
        let sql = "select shobj_description(oid, 'pg_database') from pg_database where datname = 'shop'";
        let comment = bench.cluster.value("postgres", sql);
        let comment =
            comment.lines().find(|l| l.starts_with("db-restore {")).unwrap_or_default().replace('\'', "''");
        let mut session = bench.cluster.session("postgres");
        session.batch_execute(&format!("comment on database shop is '{comment}\ndb-restore-closed-by some-run'; alter database shop allow_connections false")).expect("closed");
    };
    for (n, args) in [
        &["undo", "--confirm", &format!("shop@{OLD}")][..],
        &["snapshot"],
        &["rehearse"],
        &["restore", "--snapshot", &id, "--confirm", &format!("shop@{id}")],
        &["prune"],
    ]
    .into_iter()
    .enumerate()
    {
        close();
        for question in [
            &["--check", "--env", "production"][..],
            &["recovery-point", "--env", "production"],
            &["--env", "production"],
        ] {
            let (code, out, err) = bench.ask(question);
            assert_eq!(code, Exit::Config as i32, "{question:?} {out}{err}");
            assert!(err.contains("shop is closed") && err.contains("allow_connections true"), "{out}{err}");
            assert!(!is_open(&bench), "{question:?} changes nothing");
        }
        let (code, done, stderr) = bench.run(args, &opened(&format!("shop-1.3.0-20261124T16000{n}Z-100{n}")));
        assert!(code == 0 && stderr.contains("opening it"), "{args:?}: {done} {stderr}");
        assert!(is_open(&bench), "{args:?}");
    }
}

#[test]
fn what_a_person_has_closed_or_dropped_is_named_with_the_way_out() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("postgres", "alter database shop allow_connections false");
    let restore = ["restore", "--confirm", &format!("shop@{id}")];
    let (code, refused, _) = bench.run(&restore, &opened(ID));
    let (word, said) = reason(&refused);
    assert!(code == Exit::Config as i32 && word == "closed" && said.contains("by a person"), "{said}");
    assert!(!is_open(&bench), "it is left to them");
    let next = refused["failure"]["next"].as_str().expect("a command").to_owned();
    paste(&bench, &next);
    assert!(is_open(&bench), "{next}");
    bench.cluster.execute("postgres", "drop database shop");
    let (code, refused, _) = bench.run(&restore, &opened(ID));
    let (word, said) = reason(&refused);
    assert!(
        code == Exit::Config as i32 && word == "database" && said.contains("create an empty one"),
        "{said}"
    );
    paste(&bench, refused["failure"]["next"].as_str().expect("a command"));
    let (code, _, stderr) = bench.run(&restore, &opened(ID));
    assert_eq!((code, bench.prices().len()), (0, 2), "{stderr}");
}

/// Runs a command as somebody would who pastes it.
fn paste(bench: &Bench, command: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("PGPASSWORD", testkit::postgres::PASSWORD).stdin(Stdio::null());
    shell.current_dir(bench.folder.path());
    let output = shell.output().expect("sh");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_network_that_swallows_or_breaks_leaves_production_open_and_ends_the_run() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    let wire = Distance::start(bench.cluster.port());
    let confirm = format!("shop@{id}");
    let word = "rename to".to_owned();
    let faults = [
        Fault::Swallow(word.clone()),
        Fault::SwallowAnswer(word.clone()),
        Fault::Cut(word.clone()),
        Fault::CutAnswer(word),
    ];
    for (n, fault) in some(&faults, 2).enumerate() {
        bench.settings(wire.port());
        wire.fault(fault.clone());
        let run = format!("shop-1.3.0-20261124T17000{n}Z-0001");
        let began = Instant::now();
        let (code, done) = std::thread::scope(|scope| {
            let run = scope
                .spawn(|| bench.run(&["restore", "--snapshot", &id, "--confirm", &confirm], &opened(&run)));
            testkit::wait_for("the fault", 60, || wire.has_happened() || run.is_finished());
            let end = Instant::now() + Duration::from_secs(3);
            std::thread::sleep(Duration::from_millis(500));
            while Instant::now() < end {
                testkit::wait_for("an open shop", 10, || is_open(&bench));
                std::thread::sleep(Duration::from_millis(100));
            }
            let (code, done, _) = run.join().expect("it ended");
            (code, done)
        });
        assert!(began.elapsed() < Duration::from_secs(80), "{fault:?} took {:?}", began.elapsed());
        assert!([0, 75].contains(&code), "{fault:?}: {done}");
        // The next one goes on, by the same way, once the network works again.
        wire.heal();
        let (code, _, stderr) =
            retried(&bench, &["restore", "--snapshot", &id, "--confirm", &confirm], &opened(&run));
        assert_eq!(code, 0, "{fault:?}: {stderr}");
        let old = format!("shop__old_20261124t17000{n}z_0001");
        assert!(bench.databases().contains(&old), "{fault:?}: {:?}", bench.databases());
    }
}

#[test]
fn a_lock_held_by_somebody_without_rights_is_taken_away() {
    let bench = Bench::start();
    bench.snapshot(BEFORE);
    bench.cluster.execute("postgres", "create role eve login password 'e'");
    let squat = "select pg_advisory_lock(hashtextextended(format('db-restore:%s:%s', (select system_identifier from pg_control_system()), 'shop'), 0))";
    let mut eve =
        bench.cluster.config("postgres").user("eve").password("e").connect(postgres::NoTls).expect("eve");
    eve.batch_execute(squat).expect("she can");
    let (code, planned, _) = bench.run(&["rehearse", "--plan"], &opened(BEFORE));
    let (word, said) = reason(&planned);
    assert!(code == 1 && word == "squatted" && said.contains("role eve"), "{planned}");
    let (code, _, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    assert!(code == 0 && stderr.contains("role eve"), "{stderr}");
    assert!(eve.batch_execute("select 1").is_err(), "she was sent away");
}

#[test]
fn a_pooler_in_front_is_noticed() {
    let bench = Bench::start();
    let wire = Distance::start(bench.cluster.port());
    wire.drops_settings();
    bench.settings(wire.port());
    for args in [&["snapshot"][..], &["rehearse"], &["restore", "--confirm", "x"], &["prune"]] {
        let (code, refused, _) = bench.run(args, &opened(ID));
        let (word, said) = reason(&refused);
        assert!(
            code == Exit::Config as i32 && word == "pooler" && said.contains("PgBouncer"),
            "{args:?}: {said}"
        );
    }
}

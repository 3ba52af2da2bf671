//! A Supabase project that is set back in place: a stand-in of its API in front of a real PostgreSQL. Whatever the API says, only the
//! database itself is believed. And TLS, which a database far away needs.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Bench, ID, opened, reason};
use serde_json::{Value, json};
use step::Exit;
use testkit::Supabase;
use testkit::http::{Fault, Reply};
use testkit::lockstep::Lockstep;
use testkit::postgres::{Cluster, program};
use testkit::supabase::{PROJECT, TOKEN};

/// The instant of the incident, and the second before it.
const INCIDENT: &str = "2026-11-24T10:00:00Z";
const TARGET: i64 = 1_795_514_399;

/// Whether there is a database.
const IS_THERE: &str = "select exists (select from pg_database where datname = 'shop')::text";

struct Project {
    bench: Arc<Bench>,
    supabase: Supabase,
    good: String,
}

impl Project {
    /// The data of before the incident is kept in a database of its own: what a restore brings back.
    fn start(effect: impl Fn(&Bench) + Send + Sync + 'static) -> Self {
        let bench = Arc::new(Bench::start());
        let good = bench.content();
        bench.cluster.execute("postgres", "create database shop_then template shop");
        bench.cluster.execute(
            "shop",
            "update products set price = 0; insert into products values (3, 'bad', 1), (4, 'bad', 2)",
        );
        let ours = Arc::clone(&bench);
        let supabase = Supabase::start(TARGET - 86_400, TARGET + 600, move |_| effect(&ours));
        testkit::write_private(&bench.folder.path().join("token"), TOKEN);
        let url = supabase.server().url();
        bench.set(&format!(
            "source = \"supabase\"\nproject_ref = \"{PROJECT}\"\napi = \"{url}\"\ntoken_file = \"token\"\ninterval = \"30ms\"\nsettle = \"6s\""
        ));
        Project { bench, supabase, good }
    }

    fn restore(&self, more: &[&str]) -> (i32, Value, String) {
        let confirm = format!("shop@pitr-{TARGET}");
        let args = [&["restore", "--incident-at", INCIDENT, "--confirm", &confirm][..], more].concat();
        let (code, document, stderr) = self.bench.run(&args, &opened(ID));
        assert!(!format!("{document}{stderr}").contains(TOKEN), "the token is nobody's business");
        (code, document, stderr)
    }

    /// A run that is held between any two lines that it says.
    fn held(&self) -> Lockstep {
        let input = self.bench.folder.path().join("document.json");
        std::fs::write(&input, opened(ID).to_string()).expect("written");
        let confirm = format!("shop@pitr-{TARGET}");
        let mut command =
            self.bench.command(&["restore", "-v", "--incident-at", INCIDENT, "--confirm", &confirm]);
        command.stdin(std::fs::File::open(input).expect("there")).stdout(Stdio::null());
        Lockstep::spawn(&mut command)
    }

    /// Nothing will happen, so nothing is waited for.
    fn impatient(self) -> Self {
        self.bench.reset("settle = \"6s\"", "settle = \"1s\"");
        self
    }

    fn posts(&self) -> usize {
        self.supabase.server().count("POST", "/v1/projects/")
    }

    /// The dump of what was there before the project was set back.
    fn kept(&self) -> usize {
        let folder = self.bench.folder.path().join("snapshots");
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| e.path().join("manifest.json").exists())
            .count()
    }
}

/// What Supabase does: the database goes back, and the server is started anew.
fn goes_back(bench: &Bench) {
    bench.cluster.execute("postgres", "drop database shop with (force)");
    bench.cluster.execute("postgres", "create database shop template shop_then");
    another_timeline(bench);
}

/// What every point-in-time recovery does: the server comes up on a timeline of its own.
fn another_timeline(bench: &Bench) {
    bench.cluster.while_stopped(|data| {
        std::fs::write(data.join("recovery.signal"), "").expect("written");
        let auto = data.join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&auto).expect("there");
        std::fs::write(auto, format!("{text}restore_command = 'false'\n")).expect("written");
    });
    testkit::wait_for("the end of recovery", 20, || {
        bench.cluster.value("postgres", "select pg_is_in_recovery()") == "f"
    });
}

#[test]
fn a_witness_of_somebody_else_is_not_written_to() {
    let project = Project::start(goes_back);
    let sql = "create role eve; create schema db_restore authorization eve; set role eve;
        create table db_restore.witness (run text primary key, at timestamptz not null default now());
        create function db_restore.f(text) returns text immutable language plpgsql as $$ begin execute 'create table public.pwned ()'; return $1; end $$;
        create index on db_restore.witness (db_restore.f(run)); grant usage on schema db_restore to postgres";
    project.bench.cluster.execute("shop", sql);
    let (code, failed, stderr) = project.restore(&[]);
    assert_eq!((code, &failed["failure"]["reason"]), (1, &json!("foreign-witness")), "{stderr}");
    assert_eq!(
        (project.posts(), project.bench.cluster.value("shop", "select to_regclass('public.pwned') is null")),
        (0, "t".into())
    );
}

#[test]
fn a_project_goes_back_once_and_is_believed_by_its_data() {
    let project = Project::start(goes_back);
    let (code, text, _) =
        project.bench.ask(&["recovery-point", "--env", "production", "--incident-at", INCIDENT]);
    assert!(code == 0 && text.contains(&format!("recovery point: pitr-{TARGET}")), "{text}");
    let (code, planned, _) = project.restore(&["--plan"]);
    assert_eq!((code, planned["steps"][0]["status"].as_str(), project.kept()), (0, Some("planned"), 0));
    assert_eq!(project.supabase.server().changes(), 0);
    let (code, done, stderr) = project.restore(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!((project.bench.content(), project.supabase.accepted()), (project.good.clone(), vec![TARGET]));
    let loss = &done["facts"]["loss"];
    assert_eq!((&loss["rows"], &loss["from"]), (&json!(2), &json!("2026-11-24T09:59:59.000Z")), "{loss}");
    assert_eq!((done["facts"]["snapshot"]["source"].as_str(), project.kept()), (Some("supabase"), 1));
    // The integer is one: as a string, which Supabase's own example sends, it is refused.
    let posts =
        project.supabase.server().log().into_iter().filter(|r| r.method == "POST").collect::<Vec<_>>();
    assert_eq!(posts[0].json(), Some(json!({ "recovery_time_target_unix": TARGET })));
    let (code, again, _) = project.restore(&[]);
    assert_eq!((code, again["steps"][0]["status"].as_str(), project.posts()), (0, Some("unchanged"), 1));
    assert_eq!(again["facts"]["loss"], *loss);
}

#[test]
fn a_project_that_says_all_is_well_while_nothing_has_changed_is_not_believed() {
    let project = Project::start(|_| {}).impatient();
    let (code, failed, stderr) = project.restore(&[]);
    let (word, said) = reason(&failed);
    assert_eq!(
        (code, word, failed["failure"]["acted"].as_str()),
        (1, "unproven", Some("unknown")),
        "{stderr}"
    );
    assert!(said.contains("ACTIVE_HEALTHY") && said.contains("the data is what it was before"), "{said}");
    // Asked again it looks again, and does not ask again.
    assert_eq!((project.restore(&[]).0, project.posts(), project.kept()), (1, 1, 1));
}

#[test]
fn a_project_that_is_empty_or_was_only_tidied_up_is_not_believed() {
    let empty = Project::start(|bench| {
        bench.cluster.execute("postgres", "drop database shop with (force)");
        bench.cluster.execute("postgres", "create database shop");
        another_timeline(bench);
    });
    let (code, failed, _) = empty.restore(&[]);
    assert!(code == 1 && reason(&failed).1.contains("the database is empty"), "{failed}");
    // Whoever owns the witness can remove it, and a server is started anew for many reasons: neither of them sets data back.
    let tidied = Project::start(|bench| {
        bench.cluster.execute("shop", "delete from db_restore.witness");
        bench.cluster.restart();
    })
    .impatient();
    let (code, failed, _) = tidied.restore(&[]);
    assert!(code == 1 && reason(&failed).1.contains("on the same timeline"), "{failed}");
    let broken = Project::start(|_| {});
    broken.supabase.end_as("RESTORE_FAILED");
    let (code, failed, _) = broken.restore(&[]);
    assert_eq!(
        (code, reason(&failed).0, failed["failure"]["acted"].as_str()),
        (1, "restore-failed", Some("yes"))
    );
}

#[test]
fn no_visitor_can_touch_the_witness() {
    let project = Project::start(|_| {}).impatient();
    let execute = |sql: &str| project.bench.cluster.execute("shop", sql);
    // As Supabase sets it up: what is made is given to the API's roles by itself.
    execute("create role anon login password 'a'; create role service_role login password 's'");
    execute(
        "alter default privileges grant all on tables to anon, service_role; alter default privileges grant all on schemas to anon",
    );
    assert_eq!(project.restore(&[]).0, 1);
    for (user, password) in [("anon", "a"), ("service_role", "s")] {
        let mut config = project.bench.cluster.config("shop");
        let mut visitor = config.user(user).password(password).connect(postgres::NoTls).expect("in");
        for sql in [
            "delete from db_restore.witness",
            "select * from db_restore.witness",
            "truncate db_restore.witness",
        ] {
            assert!(visitor.batch_execute(sql).is_err(), "{user}: {sql}");
        }
    }
    let there = "select count(*) || ' ' || bool_and(relrowsecurity) from db_restore.witness, pg_class where relname = 'witness'";
    assert_eq!(project.bench.cluster.value("shop", there), "1 true");
}

#[test]
fn only_the_schemas_of_the_settings_are_dumped_and_counted() {
    let project = Project::start(goes_back);
    project.bench.set("dump_schemas = [\"public\"]");
    project.bench.cluster.execute(
        "shop",
        "create schema hooks; create table hooks.secret (id int); insert into hooks.secret values (1)",
    );
    project.bench.cluster.execute("postgres", "create role shop_owner login createdb password 'canary-database-5vQ2m8Rk'; alter database shop owner to shop_owner; grant shop_owner to postgres");
    for database in ["shop", "shop_then"] {
        project.bench.cluster.execute(database, "alter table products owner to shop_owner");
    }
    project.bench.reset("user = \"postgres\"", "user = \"shop_owner\"");
    let (code, done, stderr) = project.restore(&[]);
    assert_eq!(code, 0, "{done} {stderr}");
    let folder = std::fs::read_dir(project.bench.folder.path().join("snapshots")).expect("there").flatten();
    let manifest = folder.map(|e| e.path().join("manifest.json")).find(|p| p.is_file()).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).expect("there")).expect("JSON");
    assert_eq!(manifest["tables"], json!({ "public.products": 4 }));
    assert_eq!(done["facts"]["loss"]["rows"], 2);
}

#[test]
fn a_request_whose_answer_is_lost_is_not_sent_again() {
    let project = Project::start(goes_back);
    project.supabase.server().fault("POST", "/v1/projects/", 1, Fault::DropAfter);
    let (code, _, stderr) = project.restore(&[]);
    assert!(code == 0 && stderr.contains("it is not sent again"), "{stderr}");
    assert_eq!((project.posts(), project.bench.content()), (1, project.good.clone()));
    // Here it was lost before anything was done: nobody knows, so nobody asks a second time.
    let project = Project::start(goes_back).impatient();
    project.supabase.server().fault("POST", "/v1/projects/", 1, Fault::DropBefore);
    let (code, failed, _) = project.restore(&[]);
    assert_eq!((code, reason(&failed).0, project.restore(&[]).0, project.posts()), (1, "unproven", 1, 1));
}

#[test]
fn a_run_killed_after_the_request_goes_on_with_looking() {
    let project = Project::start(goes_back);
    let mut held = project.held();
    assert!(held.until("restore-pitr: HTTP 201"));
    held.kill();
    let (code, done, stderr) = project.restore(&[]);
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("unchanged")), "{stderr}");
    assert_eq!((project.posts(), project.bench.content()), (1, project.good.clone()));
}

#[test]
fn a_run_that_goes_on_while_there_is_no_database_waits_for_it() {
    let project = Project::start(|bench| {
        bench.cluster.execute("postgres", "drop database shop with (force)");
        std::thread::sleep(Duration::from_secs(1));
        bench.cluster.execute("postgres", "create database shop template shop_then");
        another_timeline(bench);
    });
    let mut held = project.held();
    assert!(held.until("restore-pitr: HTTP 201"));
    held.kill();
    testkit::wait_for("the database to be away", 5, || {
        project.bench.cluster.value("postgres", IS_THERE) == "false"
    });
    let (code, done, stderr) = project.restore(&[]);
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("unchanged")), "{stderr}");
    assert_eq!((project.posts(), project.bench.content()), (1, project.good.clone()));
}

#[test]
fn what_supabase_refuses_leaves_nothing_behind() {
    let project = Project::start(goes_back);
    // Not archived yet, then archived: waited for.
    project.supabase.archive_up_to(TARGET - 60);
    let waiting = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(600));
            project.supabase.archive_up_to(TARGET + 5);
        });
        project.supabase.server().fault(
            "POST",
            "/v1/projects/",
            1,
            Fault::Answer(
                Reply::json(429, json!({ "message": "Too Many Requests" })).with("x-ratelimit-reset", 1),
            ),
        );
        project.bench.reset("settle = \"6s\"", "settle = \"20s\"");
        project.restore(&[])
    });
    assert_eq!(waiting.0, 0, "{}", waiting.2);
    assert_eq!((project.supabase.accepted(), project.bench.content()), (vec![TARGET], project.good.clone()));

    let early = Project::start(goes_back);
    let (code, refused, _) =
        early.bench.run(&["restore", "--incident-at", "2026-11-01T00:00:00Z", "--confirm", "x"], &opened(ID));
    assert!(code == 1 && reason(&refused).1.contains("the window begins at"), "{refused}");
    let (code, refused, _) = early.bench.run(&["restore", "--confirm", "x"], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "no-incident"), "a project never goes back to `now`");
    early.supabase.without_pitr();
    let (code, refused, _) = early.restore(&[]);
    assert!(code == 1 && reason(&refused).1.contains("point-in-time recovery is not enabled"), "{refused}");
    testkit::write_private(
        &early.bench.folder.path().join("token"),
        "sbp_0000000000000000000000000000000000000000",
    );
    let (code, refused, _) = early.restore(&[]);
    assert_eq!((code, reason(&refused).0), (Exit::Config as i32, "token"));
    assert_eq!((early.posts(), early.kept(), early.bench.prices().len()), (0, 0, 4));
}

#[test]
fn tls_is_what_the_settings_say() {
    let bin = program("postgres").parent().expect("a folder").to_owned();
    let cluster = Cluster::of(
        &bin,
        &["-c", "ssl=on", "-c", "ssl_cert_file=../server.crt", "-c", "ssl_key_file=../server.key"],
    );
    let root = cluster.certificate().display().to_string();
    let bench = Bench::on(cluster);
    bench.set("tls = \"verify-full\"");
    let ask = || bench.ask(&["--check", "--env", "production"]);
    let (code, _, said) = ask();
    assert!(
        code == Exit::Config as i32 && said.contains("is not as tls = \"verify-full\" wants it"),
        "nobody knows who signed it: {said}"
    );
    bench.set(&format!("tls_root = \"{root}\""));
    let (code, _, said) = ask();
    assert!(
        code == Exit::Config as i32 && said.contains("verify-full"),
        "it is not made out to 127.0.0.1: {said}"
    );
    bench.reset("host = \"127.0.0.1\"", "host = \"localhost\"");
    let (code, _, said) = ask();
    assert_eq!(code, 0, "{said}");
    // pg_dump and pg_restore go the same way.
    let (id, _) = bench.snapshot(crate::common::BEFORE);
    bench.restored(&id, ID);
    bench.reset("tls = \"verify-full\"", "tls = \"require\"");
    bench.reset("host = \"localhost\"", "host = \"127.0.0.1\"");
    assert_eq!(ask().0, 0, "encrypted, whoever it is");
    bench.reset("tls = \"require\"", "tls = \"sometimes\"");
    let (code, _, said) = ask();
    assert!(code == Exit::Config as i32 && said.contains("`sometimes` is not known"), "{said}");
    let plain = Bench::start();
    plain.set("tls = \"require\"");
    let (code, _, said) = plain.ask(&["--check", "--env", "production"]);
    assert!(
        code == Exit::Config as i32 && said.contains("tls"),
        "a server without TLS is not talked to: {said}"
    );
    plain.reset("tls = \"require\"", "");
    plain.reset("host = \"127.0.0.1\"", "host = \"db.example\"");
    let (code, _, said) = plain.ask(&["--check", "--env", "production"]);
    assert!(
        code == Exit::Temporary as i32 && said.contains("no PostgreSQL answers at db.example"),
        "elsewhere it is verify-full from the start: {said}"
    );
}

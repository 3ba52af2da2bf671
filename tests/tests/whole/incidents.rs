//! What has gone wrong elsewhere, once each, named after where and when it did: the same is done to our runbooks and programs,
//! and what must not follow does not follow.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::story::registry::Registry;
use crate::story::*;
use step::Exit;
use testkit::Sandbox;
use testkit::http::{Fault, Reply, Server};
use testkit::postgres::program;

/// A folder in which pg_dump or pg_restore is another one; `$real` is the right one.
fn tools(sandbox: &Sandbox, name: &str, body: &str) -> String {
    let real = program(name);
    let folder = instead(sandbox, name, &real, body);
    for other in ["pg_dump", "pg_restore", "psql"] {
        if other != name {
            std::os::unix::fs::symlink(program(other), folder.join(other)).expect("linked");
        }
    }
    folder.display().to_string()
}

const PG_BIN: &str = "RILIS_DB_RESTORE_PG_BIN";

/// The backups had been empty for a long time: pg_dump was older than the server, and nobody was told.
#[test]
fn gitlab_2017_empty_backup() {
    let sandbox = ready();
    let still = Still::now(&sandbox);
    let older =
        "case $* in *--version*) echo 'pg_dump (PostgreSQL) 9.2.18'; exit;; esac; exec \"$real\" \"$@\"";
    // The very order of that day, a dump that was cut off, and one that is whole but for the data.
    let schema_only =
        "case $* in *--version*) exec \"$real\" \"$@\";; esac; exec \"$real\" --schema-only \"$@\"";
    let cut_off = "case $* in *--version*) exec \"$real\" \"$@\";; esac; \"$real\" \"$@\"; code=$?\n\
                   for word; do case $word in --file=*) : >\"${word#--file=}/toc.dat\";; esac; done; exit $code";
    for (body, reason) in [(older, "tool-too-old"), (cut_off, "tool-failed"), (schema_only, "unproven")] {
        let mut command = release(&sandbox, "1.2.0");
        command.arg("--again").env(PG_BIN, tools(&sandbox, "pg_dump", body));
        let (code, said) = run(&mut command);
        let failed = failure(&sandbox, "-release-");
        assert!(code.is_some_and(|c| c != 0) && failed.0 == reason, "{reason}: {failed:?} {said}");
        assert!(["no", "yes"].contains(&failed.1.as_str()), "{reason}: {failed:?}");
        std::fs::remove_dir_all(sandbox.product_dir().join("runs")).expect("removed");
    }
    // A backup that is not there at all is an error too, and no silence.
    let _ = std::fs::remove_dir_all(sandbox.root().join("snapshots"));
    let mut look = sandbox.command(testkit::bin("db-restore"));
    fails(look.args(["recovery-point", "--env", "production"]), 1, &["no recovery point"]);
    still.holds();
    // The team was told each time, and with the right pg_dump it goes on.
    let failed = told(&sandbox).iter().filter(|line| line.contains("FAILED at db-restore")).count();
    assert_eq!(failed, 3, "{:?}", told(&sandbox));
    succeeds(release(&sandbox, "1.2.0").arg("--again"));
    sells(&sandbox, "1.2.0");
}

/// The operator believed to be on the other machine.
#[test]
fn gitlab_2017_the_other_database() {
    let sandbox = broken();
    mark(&sandbox, "shop", "aceh-commerce", "production");
    mark(&sandbox, "shop_staging", "aceh-commerce", "staging");
    // What is called production is staging's database.
    let path = sandbox.product_dir().join("release.toml");
    let settings = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(&path, settings.replace("database = \"shop\"", "database = \"shop_staging\""))
        .expect("written");
    let confirm = sandbox.confirmation().replacen("shop@", "shop_staging@", 1);
    let content = |database: &str| sandbox.cluster.query(database, "select * from products order by id");
    let (still, staging) = (Still::now(&sandbox), content("shop_staging"));
    let said = fails(sandbox.runbook("rollback").args(["--confirm", &confirm]), 1, &["staging"]);
    assert_eq!(failure(&sandbox, "-rollback-"), ("foreign-marker".into(), "no".into()), "{said}");
    nothing_is_called_rolled_back(&sandbox, &said);
    still.holds();
    assert_eq!(content("shop_staging"), staging);
}

/// Seven of eight servers were updated, and the script called it a success.
#[test]
fn knight_2012_one_server_left() {
    let sandbox = ready();
    let application = &sandbox.production.application;
    sandbox.coolify.extra_servers(application, 1);
    sandbox.coolify.finish_next_deployment();
    sandbox.coolify.fail_next_deployment();
    let said = fails(&mut release(&sandbox, "1.2.0"), 1, &["server-2"]);
    assert!(!said.contains("release: done"), "{said}");
    assert_eq!(failure(&sandbox, "-release-"), ("server-failed".into(), "yes".into()), "{said}");
    assert!(told(&sandbox).concat().contains("FAILED at deploy-coolify deploy"), "{:?}", told(&sandbox));
    // The same command brings it to both.
    succeeds(&mut release(&sandbox, "1.2.0"));
    sells(&sandbox, "1.2.0");
    let states = sandbox.coolify.states(application);
    let last: Vec<&str> = states.iter().rev().take(2).map(|(_, state)| state.as_str()).collect();
    assert_eq!(last, ["finished", "finished"], "{states:?}");
}

/// The new code was taken off the good servers: what had been planned no longer met what was there.
#[test]
fn knight_2012_a_plan_for_another_state() {
    let sandbox = broken();
    let phrase = sandbox.confirmation();
    let mut first = sandbox.runbook("rollback");
    killed_after(&sandbox, first.args(["--confirm", &phrase]), "release-gate", "data");
    // Meanwhile somebody brings another build by hand, in Coolify.
    sandbox.remote.git(&["tag", "v1.3.1", "v1.3.0"]);
    let by_hand =
        ["deploy", "--env", "production", "--fresh", "--image", "registry.luxima.id/aceh-commerce:1.3.1"];
    let mut deploy = sandbox.command(testkit::bin("deploy-coolify"));
    deploy.args(by_hand).args(["--no-previous", "by hand", "--timeout", "5s"]);
    deploy.env("RILIS_DEPLOY_COOLIFY_HEALTH_TIMEOUT", "100ms");
    run(&mut deploy);
    assert_eq!(World::of(&sandbox).image.as_deref(), Some("1.3.1"));
    let still = Still::now(&sandbox);
    for args in [&["--confirm", &phrase][..], &["--confirm", &phrase, "--again"]] {
        let said = fails(sandbox.runbook("rollback").args(args), 1, &["1.3.1"]);
        assert_eq!(failure(&sandbox, "-rollback-"), ("plan-stale".into(), "no".into()), "{said}");
        let status = succeeds(&mut sandbox.runbook("status"));
        assert!(status.contains("failed at deploy-coolify: shop runs 1.3.1"), "{status}");
        nothing_is_called_rolled_back(&sandbox, &said);
    }
    still.holds();
}

/// An id of one kind was taken for an id of another, and for hundreds of them.
#[test]
fn atlassian_2022_the_ids_of_something_else() {
    let sandbox = ready();
    let still = Still::now(&sandbox);
    // A database's uuid, where an application's is meant: no such application.
    let database = "pg000000000000000000001a";
    let mut command = release(&sandbox, "1.2.0");
    fails(command.env("RILIS_DEPLOY_COOLIFY_APPLICATIONS", database), 78, &[database]);
    assert_eq!(failure(&sandbox, "-release-"), ("application".into(), "no".into()));
    still.holds();
    // A tag that matches more than is meant.
    let path = sandbox.product_dir().join("release.toml");
    let settings = std::fs::read_to_string(&path).expect("settings");
    let one = format!("applications = [\"{}\"]", sandbox.production.application);
    let by_tag = settings.replace(&one, "coolify_tag = \"shop\"\nmax_targets = 1");
    assert_ne!(by_tag, settings);
    std::fs::write(&path, by_tag).expect("written");
    sandbox.coolify.tag(&sandbox.production.application, "shop");
    sandbox.coolify.tag(&sandbox.staging.application, "shop");
    fails(release(&sandbox, "1.2.0").arg("--again"), 1, &["2 applications", "at most 1"]);
    assert_eq!(failure(&sandbox, "-release-"), ("too-many-targets".into(), "no".into()));
    still.holds();
    // Who is told does not depend on what was to be changed.
    assert_eq!(told(&sandbox).iter().filter(|line| line.contains("FAILED")).count(), 2);
}

/// The code was back, but not what it had been configured with.
#[test]
fn cloudflare_2025_the_configuration_of_today() {
    let sandbox = broken();
    sandbox.coolify.change_settings(&sandbox.production.application);
    let said = succeeds(&mut rollback(&sandbox));
    assert!(said.contains("with other settings than then"), "{said}");
    let document = document(&sandbox, "-rollback-");
    let steps = document["steps"].as_array().expect("steps");
    let step = steps.iter().find(|s| s["name"] == "deploy-coolify" && s["action"] != "observe").expect("one");
    let drift = steps.iter().any(|s| s["output"]["applications"][0]["drift"] == true);
    assert!(drift, "{step:#}");
    sells(&sandbox, "1.2.0");
}

/// A delayed worker carried out an older plan over a newer one.
#[test]
fn aws_dynamodb_2025_stale_plan() {
    let sandbox = ready();
    // The first run stands still before its first change, with its lock and its certificate.
    let gate = sandbox.root().join("gate");
    let mut first = release(&sandbox, "1.2.0");
    let wait = format!(
        "\"$real\" \"$@\"; code=$?\n[ \"${{1-}}\" = certificate ] || exit $code\n: >'{0}.reached'\n\
         until [ -e '{0}' ]; do sleep 0.02; done; exit $code",
        gate.display()
    );
    first_in_path(&sandbox, &mut first, "release-gate", &wait);
    let child = first.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("it starts");
    testkit::wait_for("the first run at its certificate", 120, || gate.with_extension("reached").exists());
    // It is taken for dead; another machine takes over and goes on to the end, and to the next release.
    let budi = machine(&sandbox, "budi");
    let mut unlock = sandbox.command(testkit::bin("release-run"));
    unlock.args(["unlock", "--env", "production", "--reason", "it hangs"]).current_dir(&budi);
    succeeds(&mut unlock);
    succeeds(release(&sandbox, "1.2.0").current_dir(&budi));
    sells(&sandbox, "1.2.0");
    let still = Still::now(&sandbox);
    let messages = told(&sandbox);
    // Nobody takes a run for dead that has proven its lock within the last two seconds; it would not ask again either.
    std::thread::sleep(Duration::from_secs(2));
    std::fs::write(&gate, "").expect("opened");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it changes nothing"), "{said}");
    still.holds();
    assert_eq!(told(&sandbox), messages, "who was overtaken has nothing to tell");
}

/// An empty name of a backup led to somebody else's data.
#[test]
fn turso_2023_foreign_backup() {
    let sandbox = broken();
    mark(&sandbox, "shop", "aceh-commerce", "production");
    without_the_copy(&sandbox);
    let snapshots = sandbox.root().join("snapshots/production");
    let ours: Vec<_> = std::fs::read_dir(&snapshots).expect("there").flatten().map(|e| e.path()).collect();
    // Another product's backup lies in our folder, just from before the incident; ours are gone.
    sandbox.cluster.create_database("other");
    sandbox.cluster.execute(
        "other",
        "create table products (id int primary key, name text, price int); create table orders (id int)",
    );
    sandbox.cluster.execute("other", "create table whose (product text, environment text); insert into whose values ('other-shop', 'production')");
    let theirs = snapshots.join("theirs.dump");
    let mut dump = sandbox.cluster.program("pg_dump");
    succeeds(dump.args(["--format=custom", "--dbname=other", "--file"]).arg(&theirs));
    for own in &ours {
        std::fs::rename(own, sandbox.root().join(own.file_name().expect("a name"))).expect("moved");
    }
    let incident = (jiff::Timestamp::now() + Duration::from_secs(1)).to_string();
    std::thread::sleep(Duration::from_millis(1100));
    let still = Still::now(&sandbox);
    let args = ["--incident-at", &incident, "--confirm", "shop@theirs.dump"];
    let said =
        fails(sandbox.runbook("rollback").args(args), 1, &["it is of the database other, and this is shop"]);
    assert_eq!(failure(&sandbox, "-rollback-").1, "no", "{said}");
    nothing_is_called_rolled_back(&sandbox, &said);
    still.holds();
    // No name, or one that leads elsewhere, is no snapshot.
    for name in ["", "/", "..", "../production/theirs.dump", "theirs.dump//"] {
        let mut command = sandbox.command(testkit::bin("db-restore"));
        command.args(["restore", "--env", "production", "--fresh", "--snapshot", name, "--confirm"]);
        let (code, said) = run(command.arg(format!("shop@{name}")));
        assert!(matches!(code, Some(1 | 2)), "{name}: {said}");
    }
    let mut empty = sandbox.command(testkit::bin("db-restore"));
    empty.args(["--env", "production"]).env("RILIS_DB_RESTORE_SOURCE", "supabase");
    let (code, said) = run(empty.env("RILIS_DB_RESTORE_PROJECT_REF", "").env("SUPABASE_ACCESS_TOKEN", "x"));
    assert!(code == Some(Exit::Config as i32) && said.contains("project_ref"), "{said}");
    still.holds();
}

/// Every image of the previous build had been cleaned away when it was needed.
#[test]
fn travis_2016_pruned_image() {
    let registry = Registry::start(&["1.1.4", "v1.2.0-rc1", "v1.3.0-rc1"]);
    let sandbox = broken();
    sandbox
        .set("environment.production.deploy-coolify", &format!("registry = \"{}\"", registry.server.url()));
    registry.prune("v1.2.0-rc1");
    let still = Still::now(&sandbox);
    // Before the data is touched: code that cannot come back is no reason to take writes away.
    let said = fails(&mut rollback(&sandbox), 1, &["aceh-commerce:v1.2.0-rc1", "--image"]);
    assert_eq!(failure(&sandbox, "-rollback-"), ("image-gone".into(), "no".into()), "{said}");
    nothing_is_called_rolled_back(&sandbox, &said);
    still.holds();
    // Somebody pushes it again: the same command goes on. That the registry lets nobody look by then is no reason to stop: it is not
    // known whether it has the image, and Coolify's server may be let in.
    registry.put("v1.2.0-rc1");
    registry.server.fault("HEAD", "/v2/", 99, Fault::Answer(Reply::text(403, "text/plain", "no")));
    let said = succeeds(&mut rollback(&sandbox));
    assert!(said.contains("does not let us look"), "{said}");
    sells(&sandbox, "1.2.0");
}

/// The same, known before anything is released: then nothing is.
#[test]
fn travis_2016_nothing_is_released_over_the_last_image() {
    let registry = Registry::start(&["v1.2.0-rc1"]);
    let sandbox = ready();
    sandbox
        .set("environment.production.deploy-coolify", &format!("registry = \"{}\"", registry.server.url()));
    let still = Still::now(&sandbox);
    let said = fails(&mut release(&sandbox, "1.2.0"), 1, &["no proven way back", "aceh-commerce:1.1.4"]);
    assert_eq!(failure(&sandbox, "-release-"), ("no-way-back".into(), "no".into()), "{said}");
    still.holds();
    registry.put("1.1.4");
    succeeds(release(&sandbox, "1.2.0").arg("--again"));
    sells(&sandbox, "1.2.0");
}

/// A small fix went out, and with it the old code met a database that it did not know.
#[test]
fn etsy_2012_image_only_rollback_across_migration() {
    let sandbox = broken();
    let still = Still::now(&sandbox);
    let said = fails(
        sandbox.runbook("rollback").args(["--database", "keep"]),
        1,
        &["the previous build cannot run on this data", "20261124090000_1.3.0.sql", "--database restore"],
    );
    assert_eq!(failure(&sandbox, "-rollback-"), ("data-needed".into(), "no".into()), "{said}");
    nothing_is_called_rolled_back(&sandbox, &said);
    still.holds();
    succeeds(&mut rollback(&sandbox));
    sells(&sandbox, "1.2.0");
}

/// A time that ran out was taken for a sick build, and the old one was put under a schema on which it could not start.
#[test]
fn home_ops_2026_no_rollback_for_a_timeout() {
    let sandbox = released();
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    sandbox.coolify.stall_next_deployment();
    let mut command = release(&sandbox, "1.3.0");
    command.env("RILIS_DEPLOY_COOLIFY_STALL", "200ms").env("RILIS_DEPLOY_COOLIFY_AUTO_ROLLBACK", "true");
    let said = fails(&mut command, 75, &["deploy-coolify attach"]);
    assert_eq!(failure(&sandbox, "-release-").0, "deployment-stalled", "{said}");
    // One deployment for each release, and none back.
    assert_eq!(World::of(&sandbox).deployments, 2);
    nothing_is_called_rolled_back(&sandbox, &said);
    sells(&sandbox, "1.2.0");
}

/// The restore was called completed, and the database was empty.
#[test]
fn supabase_2026_restore_left_it_empty() {
    let sandbox = broken();
    without_the_copy(&sandbox);
    let still = Still::now(&sandbox);
    // It says that all is well, and has brought the tables without their rows.
    let empty = "case $* in *--section=data*) exit 0;; esac; exec \"$real\" \"$@\"";
    let mut command = rollback(&sandbox);
    let (code, said) = run(command.env(PG_BIN, tools(&sandbox, "pg_restore", empty)));
    assert_eq!(code, Some(1), "{said}");
    let (reason, acted) = failure(&sandbox, "-rollback-");
    assert!(
        ["unproven", "tool-failed"].contains(&reason.as_str()) && acted == "no",
        "{reason} {acted} {said}"
    );
    nothing_is_called_rolled_back(&sandbox, &said);
    still.holds();
    succeeds(&mut rollback(&sandbox));
    sells(&sandbox, "1.2.0");
}

/// The last backup was of the night before.
#[test]
fn keepthescore_2020_daily_backup() {
    let sandbox = released();
    taken_at(&newest_snapshot(&sandbox), minutes_ago(7 * 60));
    let mut look = sandbox.command(testkit::bin("db-restore"));
    fails(look.args(["recovery-point", "--env", "production"]), 1, &["no recovery point"]);
}

/// What the team talks with was down together with what it had to mend.
#[test]
fn facebook_2021_chat_and_tracker_down() {
    let sandbox = broken();
    let before = told(&sandbox).len();
    let path = sandbox.product_dir().join("release.toml");
    let settings = std::fs::read_to_string(&path).expect("settings");
    let away = settings.replace(&sandbox.telegram.server().url(), "http://127.0.0.1:9");
    assert_ne!(away, settings);
    std::fs::write(&path, away).expect("written");
    let said = succeeds(&mut rollback(&sandbox));
    assert!(said.contains("rollback: done"), "{said}");
    sells(&sandbox, "1.2.0");
    assert_eq!(told(&sandbox).len(), before);
    // It waits, and goes out once when the chat is back.
    let mut outbox = sandbox.command(testkit::bin("notify"));
    assert!(succeeds(outbox.arg("outbox")).contains("luxima-alerts"));
    std::fs::write(&path, settings).expect("written");
    for _ in 0..2 {
        succeeds(sandbox.command(testkit::bin("notify")).arg("flush"));
    }
    let told = told(&sandbox);
    assert_eq!(told.len(), before + 1, "{told:?}");
    assert!(told[before].contains("rolled back"), "{told:?}");
}

/// A word too many removed far more than was meant.
#[test]
fn aws_s3_2017_purge_everything() {
    let sandbox = released();
    let edge = Server::start(|_| Reply::text(200, "text/plain", "purged"));
    let purge = |args: &[&str]| {
        let mut command: Command = sandbox.command(testkit::bin("cdn-purge"));
        command.args(["--env", "production", "--fresh", "--release", "1.2.0-rc1"]).args(args);
        command.env("RILIS_CDN_PURGE_ENDPOINT", edge.url());
        run(&mut command)
    };
    let nothing = sandbox.root().join("nothing.txt");
    std::fs::write(&nothing, "").expect("written");
    let nothing = nothing.display().to_string();
    for args in [
        &["--tag", "*"][..],
        &["--tag", ""],
        &["--prefix", "*"],
        &["--host", "*"],
        &["--urls-from", &nothing],
    ] {
        let (code, said) = purge(args);
        assert!(matches!(code, Some(1 | 2 | 78)), "{args:?}: {code:?} {said}");
    }
    assert!(edge.log().is_empty(), "{:?}", edge.log());
    sells(&sandbox, "1.2.0");
}

/// The check failed, the job was red, and the bad build stayed for eight hours.
#[test]
fn physlibsearch_2026_failed_verification() {
    let sandbox = broken();
    // It ends with a loud word that has the way back in it, ready to be pasted.
    let document = document(&sandbox, "-release-");
    assert_eq!(document["failure"]["next"], "rilis-rollback --env production");
    let messages = sandbox.telegram.messages();
    let last = messages.last().expect("a message");
    assert!(last.text.contains("FAILED") && last.text.contains("rilis-rollback"), "{}", last.text);
    assert!(!last.silent);
    // The way back is verified as well: while it cannot be proven it is not called done.
    sandbox.coolify.fail_next_deployment();
    let said = fails(&mut rollback(&sandbox), 1, &["rollback: stopped"]);
    nothing_is_called_rolled_back(&sandbox, &said);
    assert_eq!(failure(&sandbox, "-rollback-").0, "deployment-failed");
    assert!(told(&sandbox).last().expect("one").contains("FAILED"), "{:?}", told(&sandbox));
    succeeds(&mut rollback(&sandbox));
    sells(&sandbox, "1.2.0");
    assert!(told(&sandbox).last().expect("one").contains("rolled back"), "{:?}", told(&sandbox));
}

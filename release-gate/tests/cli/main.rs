//! The real binary in real repositories.

mod approvals;
mod checklist;
mod ci;
mod cluster;
mod evidence;
mod matrix;
mod reviewed_by;
mod team;
mod window;

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use step::Exit;
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

const DESTRUCTIVE: &str = "alter table products drop column price;\n";
const ADDITIVE: &str = "alter table orders add column note text;\n";

struct Product {
    folder: tempfile::TempDir,
    repo: Repo,
}

impl Product {
    /// 1.1.4, tagged, with one migration.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let repo = remote.clone_to(&folder.path().join("shop"));
        let product = Product { folder, repo };
        product.release(
            "1.1.4",
            &[
                ("db/migrations/1_orders.sql", "create table orders (id int)"),
                ("release.toml", "[product]\nname = 'shop'\n"),
            ],
        );
        product
    }

    fn release(&self, version: &str, files: &[(&str, &str)]) -> String {
        let commit = self.repo.commit(version, files);
        self.repo.git(&["tag", "--annotate", "--message", version, &format!("v{version}")]);
        commit
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-gate"));
        isolate(&mut command).args(args).current_dir(self.repo.path());
        command
    }

    fn ask(&self, args: &[&str]) -> (i32, String) {
        let output = self.command(args).stdin(Stdio::null()).output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("a code"), String::from_utf8_lossy(&text).into_owned())
    }

    /// The data step on a rollback's document from `left` to 1.1.4.
    fn data(&self, left: &str, incident: jiff::Timestamp, args: &[&str]) -> (i32, Value, String) {
        exchange(&mut self.command(&[&["data"], args].concat()), Some(&Self::document(left, incident)))
    }

    fn document(left: &str, incident: jiff::Timestamp) -> Value {
        json!({ "schema": 1, "id": "shop-1.1.4-20261125T120000Z-7f3a", "procedure": "rollback", "mode": "apply",
            "opened": "2026-11-25T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "environment": "production", "version": "1.1.4", "replaces": { "version": left }, "incident_at": incident } })
    }

    fn now(&self, left: &str, args: &[&str]) -> (i32, Value, String) {
        self.data(left, jiff::Timestamp::now(), args)
    }
}

#[test]
fn what_lies_between_two_builds_is_shown_file_by_file() {
    let product = Product::new();
    product.release("1.2.0", &[("db/migrations/2_note.sql", ADDITIVE), ("src/x.sql", DESTRUCTIVE)]);
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    let (code, said) = product.ask(&["migrations", "v1.1.4", "v1.2.0"]);
    assert!(
        code == 0 && said.starts_with("expand    db/migrations/2_note.sql\nexpand: 1 migration"),
        "{said}"
    );
    let (code, said) = product.ask(&["migrations", "v1.1.4"]);
    assert!(code == 0 && said.contains("3_price.sql\n    line 1 takes away"), "{said}");
    assert!(
        said.contains("contract: 2 migrations, and the previous build cannot run on this data"),
        "{said}"
    );
    let (_, json) = product.ask(&["migrations", "v1.1.4", "--json"]);
    let value: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&value["class"], value["files"].as_array().map(Vec::len)), (&json!("contract"), Some(2)));
    assert!(product.ask(&["migrations", "v1.2.0", "v1.2.0"]).1.contains("no migration"));
    let (code, said) = product.ask(&["migrations", "v9.9.9"]);
    assert!(code == 2 && said.contains("v9.9.9"), "{said}");
}

#[test]
fn the_migrations_decide_about_the_data() {
    let product = Product::new();
    product.release("1.2.0", &[("db/migrations/2_note.sql", ADDITIVE)]);
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    let plan = |left: &str, args: &[&str]| {
        let (code, went, stderr) = product.now(left, args);
        testkit::schema::validate(&went);
        (code, went["facts"]["data_plan"].clone(), went["failure"]["reason"].clone(), stderr)
    };
    let (code, choice, _, said) = plan("1.2.0", &[]);
    assert_eq!((code, choice), (0, json!("keep")), "{said}");
    let (code, choice, _, said) = plan("1.3.0", &[]);
    assert_eq!((code, choice), (0, json!("restore")), "{said}");
    let (code, choice, reason, said) = plan("1.3.0", &["--database", "keep"]);
    assert_eq!((code, choice, reason), (1, Value::Null, json!("data-needed")));
    assert!(said.contains("3_price.sql line 1 takes away"), "{said}");
    let (code, choice, ..) = plan("1.3.0", &["--database", "keep", "--although", "nobody reads it"]);
    assert_eq!((code, choice), (0, json!("keep")));
    let (code, choice, ..) = plan("1.2.0", &["--database", "restore"]);
    assert_eq!((code, choice), (0, json!("restore")));
    let (code, .., said) = plan("1.2.0", &["--although", "x"]);
    assert!(code == 2 && said.contains("--although goes with"), "{said}");
}

/// The database is asked which migrations it has; it is believed about the others only where it names all that ran before.
#[test]
fn what_the_database_does_not_name_did_not_run_only_if_it_names_the_rest() {
    let product = Product::new();
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    for (names, plan) in [
        (&["1_orders.sql"][..], "keep"),
        (&["1_orders.sql", "3_price.sql"], "restore"),
        // An empty table, the last number alone, names of another kind: nothing is known.
        (&[], "restore"),
        (&["0003"], "restore"),
        (&["20261125_orders"], "restore"),
    ] {
        let mut document = Product::document("1.3.0", jiff::Timestamp::now());
        document["facts"]["applied"] = json!({ "table": "public.schema_migrations", "names": names });
        let (code, went, said) = exchange(&mut product.command(&["data"]), Some(&document));
        assert_eq!((code, &went["facts"]["data_plan"]), (0, &json!(plan)), "{names:?}: {said}");
        let git_alone = said.contains("git alone decides");
        assert_eq!(git_alone, !names.contains(&"1_orders.sql"), "{names:?}: {said}");
    }
}

/// 1.3.0 was left with the code alone, and now 1.2.0 is left too: what 1.3.0 has done to the data is still there.
#[test]
fn what_the_database_has_and_neither_build_is_not_passed_over() {
    let product = Product::new();
    product.release("1.2.0", &[("db/migrations/20261124090000_note.sql", ADDITIVE)]);
    let data = |names: &[&str]| {
        let mut document = Product::document("1.2.0", jiff::Timestamp::now());
        document["facts"]["applied"] = json!({ "table": "public.schema_migrations", "names": names });
        let (code, went, said) = exchange(&mut product.command(&["data"]), Some(&document));
        (code, went["failure"]["reason"].clone(), said)
    };
    let both = ["1_orders.sql", "20261124090000"];
    assert_eq!(data(&both).0, 0);
    let (code, reason, said) = data(&["1_orders.sql", "20261124090000", "20261125090000"]);
    assert_eq!((code, reason), (1, json!("data-unclear")), "{said}");
    assert!(said.contains("20261125090000 was applied, which neither of the two builds has"), "{said}");
    // Also where the table does not name all of the previous build's: it calls them as git does.
    let (code, reason, said) = data(&["20261124090000", "20261125090000"]);
    assert_eq!((code, reason), (1, json!("data-unclear")), "{said}");
    // By their paths too.
    let paths = ["db/migrations/1_orders.sql", "db/migrations/20261124090000_note.sql"];
    assert_eq!(data(&paths).0, 0);
    let (code, reason, said) = data(&[paths[0], paths[1], "db/migrations/20261125090000_x.sql"]);
    assert_eq!((code, reason), (1, json!("data-unclear")), "{said}");
    // Numbers and descriptions of other columns are no migrations.
    assert_eq!(data(&["1_orders.sql", "20261124090000", "17", "a description", "3_x"]).0, 0);
}

/// Data goes back with a build, whoever decides that it must.
#[test]
fn where_the_build_runs_already_the_data_does_not_go_back_alone() {
    let product = Product::new();
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    let mut document = Product::document("1.3.0", jiff::Timestamp::now());
    document["facts"]["image"] = json!("r.example/shop:1.1.4");
    document["facts"]["replaces"] = json!({ "version": "1.3.0", "image": "r.example/shop:1.1.4" });
    for args in [&["data"][..], &["data", "--database", "restore"]] {
        let (code, went, said) = exchange(&mut product.command(args), Some(&document));
        assert_eq!((code, &went["failure"]["reason"]), (1, &json!("no-build")), "{said}");
        assert!(said.contains("db-restore recovery-point --env production"), "{said}");
    }
    let keep = ["data", "--database", "keep", "--although", "it is right"];
    assert_eq!(exchange(&mut product.command(&keep), Some(&document)).0, 0);
}

#[test]
fn yesterday_s_writes_are_not_taken_out_without_being_asked_for() {
    let product = Product::new();
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    let days_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(50);
    let (code, went, said) = product.data("1.3.0", days_ago, &[]);
    assert_eq!((code, &went["failure"]["reason"]), (1, &json!("loss-too-great")), "{said}");
    assert!(said.contains("2d 2h"), "{said}");
    assert_eq!(product.data("1.3.0", days_ago, &["--database", "restore"]).0, 0);
}

#[test]
fn what_is_not_known_is_no_yes() {
    let product = Product::new();
    let (code, went, said) = product.now("9.9.9", &[]);
    assert_eq!((code, &went["failure"]["reason"]), (1, &json!("data-unclear")), "{said}");
    assert!(said.contains("fetch the tags"), "{said}");
    // A migration that was changed after it ran.
    product.release("1.2.0", &[("db/migrations/1_orders.sql", "create table orders (id bigint)")]);
    let (code, went, said) = product.now("1.2.0", &[]);
    assert_eq!((code, &went["failure"]["reason"]), (1, &json!("data-unclear")), "{said}");
    assert!(said.contains("was changed after it was written"), "{said}");
    // No repository at all.
    let nowhere = tempfile::tempdir_in(product.folder.path()).expect("a folder");
    let mut command = product.command(&["--check"]);
    let output = command.current_dir(nowhere.path()).stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(Exit::Config as i32));
}

#[test]
fn asked_again_it_says_the_same() {
    let product = Product::new();
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    let (_, once, _) = product.now("1.3.0", &[]);
    let (code, twice, said) = exchange(&mut product.command(&["data"]), Some(&once));
    assert_eq!((code, &twice["facts"]), (0, &once["facts"]), "{said}");
    assert_eq!(twice["facts"]["migrations"]["files"][0]["class"], "contract");
}

fn release(facts: &Value) -> Value {
    json!({ "schema": 1, "id": "shop-1.2.0-20261125T120000Z-7f3a", "procedure": "release", "mode": "apply",
        "opened": "2026-11-25T12:00:00Z", "steps": [], "facts": facts })
}

#[test]
fn a_release_is_certified_or_everything_that_is_missing_is_said() {
    let product = Product::new();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    let whole = json!({ "product": "shop", "environment": "production", "version": "1.2.0",
        "previous": { "version": "1.1.4", "image": "shop:1.1.4", "deployments": [] },
        "snapshot": { "source": "archive", "id": "s-1", "taken_at": "2026-11-25T12:00:00Z" },
        "rehearsal": { "snapshot": "s-1", "until": until, "ms": 1500 },
        "edge": { "driver": "http", "seen": "answers" }, "channels": ["luxima-alerts"] });
    let certify = |facts: &Value| exchange(&mut product.command(&["certificate"]), Some(&release(facts)));
    let (code, went, said) = certify(&whole);
    assert_eq!(code, 0, "{said}");
    testkit::schema::validate(&went);
    assert_eq!(went["facts"]["certificate"]["team"], "luxima-alerts can be told");
    // Looked at again it is the same one.
    let (code, again, said) = exchange(&mut product.command(&["certificate"]), Some(&went));
    assert_eq!((code, &again["facts"]), (0, &went["facts"]), "{said}");
    let (code, went, said) = certify(&json!({ "product": "shop" }));
    assert_eq!((code, &went["failure"]["reason"]), (1, &json!("no-way-back")), "{said}");
    assert_eq!(went["failure"]["causes"].as_array().map(Vec::len), Some(4), "{said}");
    let late = json!({ "snapshot": "s-1", "until": "2026-11-25T00:00:00Z" });
    let mut old = whole;
    old["rehearsal"] = late;
    let (code, _, said) = certify(&old);
    assert!(code == 1 && said.contains("older than the RPO"), "{said}");
}

#[test]
fn who_says_that_there_is_no_database_is_not_believed_over_its_migrations() {
    let product = Product::new();
    let certify = |runs: &str| {
        let facts = json!({ "product": "shop", "environment": "production", "version": "1.3.0",
            "previous": { "version": runs, "image": format!("shop:{runs}"), "deployments": [] },
            "edge": { "driver": "http", "seen": "answers" }, "channels": ["luxima-alerts"] });
        exchange(&mut product.command(&["certificate", "--without", "data"]), Some(&release(&facts)))
    };
    product.release("1.2.0", &[("db/migrations/2_note.sql", ADDITIVE)]);
    assert_eq!(certify("1.1.4").0, 0);
    product.release("1.3.0", &[("db/migrations/3_price.sql", DESTRUCTIVE)]);
    for runs in ["1.2.0", "0.9.9"] {
        let (code, went, said) = certify(runs);
        assert_eq!((code, &went["failure"]["reason"]), (1, &json!("no-way-back")), "{said}");
        assert!(said.contains("not --no-snapshot"), "{runs}: {said}");
    }
    // A product without migrations is believed, whatever is known of what runs.
    product.repo.git(&["rm", "--quiet", "-r", "db"]);
    product.repo.git(&["commit", "--quiet", "--message", "no database"]);
    assert_eq!(certify("0.9.9").0, 0);
}

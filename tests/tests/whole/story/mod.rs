//! What the stories of the runbooks share: a sandbox at the point where each of them begins, runs with what they said and did, and
//! the world afterwards, seen from outside.

pub mod registry;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use testkit::Sandbox;

/// How a command ended: its code, and everything it said.
pub type Ended = (Option<i32>, String);

pub fn run(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

pub fn succeeds(command: &mut Command) -> String {
    let (code, said) = run(command);
    assert_eq!(code, Some(0), "{said}");
    said
}

/// Fails with this code and says each of these.
pub fn fails(command: &mut Command, code: i32, says: &[&str]) -> String {
    let (got, said) = run(command);
    assert_eq!(got, Some(code), "{said}");
    for word in says {
        assert!(said.contains(word), "`{word}` is not said: {said}");
    }
    said
}

/// 1.2.0 is on main and ready to be released; the edge is full of 1.1.4.
pub fn ready() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    pull(&sandbox);
    for page in ["/", "/sale"] {
        assert_eq!(sandbox.page("production", page).1, "1.1.4");
    }
    sandbox
}

pub fn pull(sandbox: &Sandbox) {
    sandbox.product.git(&["pull", "--quiet", "--ff-only"]);
}

pub fn release(sandbox: &Sandbox, version: &str) -> Command {
    let mut command = sandbox.runbook("release");
    command.arg(version);
    // What will never be healthy is not waited for long.
    command.env("RILIS_DEPLOY_COOLIFY_HEALTH_TIMEOUT", "100ms");
    command
}

/// The rollback, confirmed: the snapshot that it takes is the newest one.
pub fn rollback(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.runbook("rollback");
    command.args(["--confirm", &sandbox.confirmation()]);
    command
}

/// 1.2.0 was released.
pub fn released() -> Sandbox {
    let sandbox = ready();
    succeeds(&mut release(&sandbox, "1.2.0"));
    sandbox
}

/// 1.2.0 was released, and then 1.3.0, which has destroyed the prices.
pub fn broken() -> Sandbox {
    let sandbox = released();
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    fails(&mut release(&sandbox, "1.3.0"), 1, &["do not answer as they should"]);
    assert_eq!(World::of(&sandbox).health, 500);
    sandbox
}

/// Production from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// What the edge serves.
    pub edge: (u16, String),
    /// What answers behind it.
    pub health: u16,
    /// Coolify's word.
    pub image: Option<String>,
    pub deployments: usize,
    /// The sum; empty when the column is gone.
    pub prices: String,
    pub orders: String,
    /// Databases beside the live one that are neither the copy for a rollback nor what a restore has kept.
    pub leftovers: String,
    pub tags: Vec<String>,
}

impl World {
    pub fn of(sandbox: &Sandbox) -> Self {
        let production = &sandbox.production;
        let (status, release, _) = sandbox.page("production", "/sale");
        let has_prices = "select count(*) from information_schema.columns where table_name = 'products' and column_name = 'price'";
        let prices = match sandbox.cluster.value("shop", has_prices).as_str() {
            "1" => sandbox.cluster.value("shop", "select sum(price) from products"),
            _ => String::new(),
        };
        World {
            edge: (status, release),
            health: sandbox.page("production", "/api/health").0,
            image: sandbox.coolify.running(&production.application),
            deployments: sandbox.coolify.deployments(&production.application),
            prices,
            orders: sandbox.cluster.value("shop", "select count(*) from orders"),
            leftovers: leftovers(sandbox),
            tags: sandbox.remote.tags(),
        }
    }
}

/// Databases that are closed or half-made; a staged copy is what a rollback would swap in.
pub fn leftovers(sandbox: &Sandbox) -> String {
    let sql = "select count(*) from pg_database where (datname like '%\\_\\_dbr\\_%' or (not datallowconn and datname <> 'template0')) \
               and coalesce(shobj_description(oid, 'pg_database'), '') not like '%\"stage\":\"staged\"%'";
    sandbox.cluster.value("postgres", sql)
}

/// The shop sells this version, from the edge and behind it, with its prices.
pub fn sells(sandbox: &Sandbox, version: &str) {
    let world = World::of(sandbox);
    // What was released is the candidate's image; 1.1.4 was there before any of us.
    let (page, image) = match version {
        "1.1.4" => (version.to_owned(), version.to_owned()),
        _ => (format!("{version}-rc1"), format!("v{version}-rc1")),
    };
    assert_eq!((world.edge, world.health), ((200, page), 200));
    assert_eq!((world.image.as_deref(), world.prices.as_str()), (Some(image.as_str()), "1365000"));
    assert_eq!(world.leftovers, "0");
}

/// Nothing was changed: the world is as it was, and Coolify was asked for nothing but to tell.
pub struct Still<'a> {
    sandbox: &'a Sandbox,
    world: World,
    asked: usize,
}

impl<'a> Still<'a> {
    pub fn now(sandbox: &'a Sandbox) -> Self {
        Still { sandbox, world: World::of(sandbox), asked: sandbox.coolify.server().changes() }
    }

    pub fn holds(&self) {
        assert_eq!(World::of(self.sandbox), self.world);
        assert_eq!(self.sandbox.coolify.server().changes(), self.asked, "a request that changes something");
    }
}

/// First lines of what the chat was told.
pub fn told(sandbox: &Sandbox) -> Vec<String> {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    sandbox.telegram.messages().iter().map(|m| first(&m.text)).collect()
}

/// Nobody was told that anything was rolled back.
pub fn nothing_is_called_rolled_back(sandbox: &Sandbox, said: &str) {
    assert!(!said.contains("rollback: done:"), "{said}");
    let told = told(sandbox);
    assert!(!told.iter().any(|line| line.contains("rolled back")), "{told:?}");
}

/// The newest document of the newest run whose name has this in it, with a failure or without.
pub fn document(sandbox: &Sandbox, part: &str) -> Value {
    let sorted = |folder: &Path| {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path()).collect();
        paths.sort();
        paths
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let runs = sorted(&sandbox.product_dir().join("runs"));
    let counts = |r: &&PathBuf| name(r).contains(part) && state(r) != "abandoned";
    let run = runs.iter().rfind(counts).expect("a run");
    let is_document =
        |path: &&PathBuf| name(path).as_bytes()[0].is_ascii_digit() && name(path).ends_with(".json");
    let files = sorted(run);
    // A failure is where a run stands.
    let file = files.iter().filter(is_document).max_by_key(|path| name(path).ends_with(".failed.json"));
    let file = file.expect("a document");
    serde_json::from_slice(&std::fs::read(file).expect("read")).expect("JSON")
}

/// How far a run has come, by its folder.
pub fn state(run: &Path) -> String {
    let text = std::fs::read(run.join("run.json")).unwrap_or_default();
    let record: Value = serde_json::from_slice(&text).unwrap_or_default();
    record["state"].as_str().unwrap_or_default().to_owned()
}

/// What a run failed with: reason, and whether anything was done.
pub fn failure(sandbox: &Sandbox, part: &str) -> (String, String) {
    let failure = &document(sandbox, part)["failure"];
    let word = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
    (word("reason"), word("acted"))
}

/// A program that stands before the real one of its name; `body` is sh, and `$real` is the real one.
pub fn instead(sandbox: &Sandbox, program: &str, real: &Path, body: &str) -> PathBuf {
    let mut folder = sandbox.root().join(format!("instead-{program}"));
    while folder.exists() {
        folder.as_mut_os_string().push("-more");
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(program);
    std::fs::write(&path, format!("#!/bin/sh\nreal='{}'\n{body}\n", real.display())).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("executable");
    folder
}

/// The same for a program of the workspace, first in the command's PATH.
pub fn first_in_path(sandbox: &Sandbox, command: &mut Command, program: &str, body: &str) {
    let folder = instead(sandbox, program, &testkit::bin(program), body);
    let environment = sandbox.environment();
    let (_, usual) = environment.iter().find(|(name, _)| name == "PATH").expect("a PATH");
    command.env("PATH", format!("{}:{usual}", folder.display()));
}

/// In sh: as when the power fails, everything of the run dies at once: the keeper, the runbook, the step.
pub const POWER_CUT: &str = "all=$$ p=$PPID\n\
    while [ \"$p\" -gt 1 ]; do\n\
    case $(tr '\\0' ' ' </proc/$p/cmdline) in *'release-run exec '*) kill -9 $p $all;; esac\n\
    all=\"$p $all\" p=$(sed 's/.*) [A-Z] \\([0-9]*\\) .*/\\1/' /proc/$p/stat)\n\
    done";

/// Runs it to where `program action` has done its work and dies, together with its runbook and its keeper, before a word of it is written.
pub fn killed_after(sandbox: &Sandbox, command: &mut Command, program: &str, action: &str) {
    let body = format!(
        "[ \"${{1-}}\" = '{action}' ] || exec \"$real\" \"$@\"\n\"$real\" \"$@\" >/dev/null\n{POWER_CUT}"
    );
    first_in_path(sandbox, command, program, &body);
    let (code, said) = run(command);
    assert_eq!(code, None, "{said}");
}

/// Another machine: a clone of its own, with the team's settings.
pub fn machine(sandbox: &Sandbox, name: &str) -> PathBuf {
    let repo = sandbox.remote.clone_to(&sandbox.root().join(name));
    std::fs::copy(sandbox.product_dir().join("release.toml"), repo.path().join("release.toml"))
        .expect("copied");
    repo.git(&["switch", "--quiet", "main"]);
    repo.path().to_owned()
}

/// The folder of production's newest snapshot.
pub fn newest_snapshot(sandbox: &Sandbox) -> PathBuf {
    let confirmation = sandbox.confirmation();
    let (_, id) = confirmation.split_once('@').expect("database@id");
    sandbox.root().join("snapshots/production").join(id)
}

/// The snapshot was taken at another time, by its own word.
pub fn taken_at(folder: &Path, at: Timestamp) {
    testkit::snapshots::taken_at(folder, at);
}

pub fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// The copy that a rehearsal has left is gone: a restore has to begin at the snapshot.
pub fn without_the_copy(sandbox: &Sandbox) {
    let copies = sandbox
        .cluster
        .query("postgres", "select datname from pg_database where datname like 'shop\\_\\_dbr\\_%'");
    for copy in copies.concat() {
        sandbox.cluster.execute("postgres", &format!("drop database \"{copy}\" with (force)"));
    }
}

/// Every database says whose it is, and the settings want to see it.
pub fn mark(sandbox: &Sandbox, database: &str, product: &str, environment: &str) {
    let sql = format!(
        "create table if not exists whose (product text, environment text); delete from whose; \
         insert into whose values ('{product}', '{environment}')"
    );
    sandbox.cluster.execute(database, &sql);
    let settings = std::fs::read_to_string(sandbox.product_dir().join("release.toml")).expect("settings");
    if !settings.contains("marker_table") {
        for environment in ["staging", "production"] {
            sandbox.set(&format!("environment.{environment}.db-restore"), "marker_table = \"public.whose\"");
        }
    }
}

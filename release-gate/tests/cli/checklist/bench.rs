//! A product with a candidate, and QA's list for it in a real PostgreSQL, behind a stand-in of Supabase's API that answers from it.

use std::process::Command;

use serde_json::{Value, json};
use testkit::git::{Remote, Repo, isolate};
use testkit::postgres::{Cluster, program};
use testkit::postgrest::{self, Postgrest};

pub const TAG: &str = "v1.2.0-rc1";
/// The role that asks PostgreSQL itself.
pub const PASSWORD: &str = "canary-gate-4Vn8Xz2Lq7";
/// Everything that must be seen nowhere.
pub const SECRETS: [&str; 6] = [
    postgrest::SECRET,
    postgrest::PUBLISHABLE,
    postgrest::SERVICE,
    postgrest::ANON,
    postgrest::EXPIRED,
    PASSWORD,
];

pub struct Bench {
    pub cluster: Cluster,
    pub api: Postgrest,
    pub folder: tempfile::TempDir,
    pub repo: Repo,
    /// The candidate's commit, and that of its merge, which has the same tree.
    pub candidate: String,
    pub merged: String,
    sql: String,
}

impl Bench {
    pub fn start() -> Self {
        let bin = program("postgres").parent().expect("a folder").to_owned();
        let tls = ["-c", "ssl=on", "-c", "ssl_cert_file=../server.crt", "-c", "ssl_key_file=../server.key"];
        let cluster = Cluster::of(&bin, &tls);
        cluster.create_database("shop");
        cluster.execute("shop", postgrest::ROLES);
        let api = Postgrest::start(&cluster, "shop");
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let repo = remote.clone_to(&folder.path().join("shop"));
        repo.commit("base", &[("release.toml", "[product]\nname = 'shop'\n")]);
        repo.git(&["push", "--quiet", "origin", "HEAD:main"]);
        repo.git(&["switch", "--quiet", "--create", "develop"]);
        let candidate = repo.commit("work", &[("src/x", "1")]);
        repo.git(&["tag", "--annotate", "--message", TAG, TAG]);
        repo.git(&["switch", "--quiet", "main"]);
        repo.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "develop"]);
        let merged = repo.git(&["rev-parse", "HEAD"]);
        let mut bench = Bench { cluster, api, folder, repo, candidate, merged, sql: String::new() };
        bench.settings("");
        let output = bench.command(&["checklist", "--init"]).output().expect("it runs");
        bench.sql = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && bench.sql.contains("create table"), "{}", bench.sql);
        bench.anew();
        bench
    }

    /// Settings of the list behind the API, with more lines.
    pub fn settings(&self, more: &str) {
        self.write(&format!("url = '{}'\n{more}", self.api.server().url()));
    }

    /// Settings of the list in the database, with more lines.
    pub fn database(&self, more: &str) {
        testkit::write_private(&self.folder.path().join("password"), PASSWORD);
        let all = [
            ("source", "source = 'database'".to_owned()),
            ("host", "host = '127.0.0.1'".to_owned()),
            ("port", format!("port = {}", self.cluster.port())),
            ("database", "database = 'shop'".to_owned()),
            ("user", "user = 'release_gate'".to_owned()),
            ("password_file", format!("password_file = '{}'", self.folder.path().join("password").display())),
        ];
        let is_said = |key: &str| more.lines().any(|line| line.starts_with(&format!("{key} ")));
        let lines = all.into_iter().filter(|(key, _)| !is_said(key)).map(|(_, line)| line + "\n");
        self.write(&(lines.collect::<String>() + more));
    }

    fn write(&self, lines: &str) {
        let text = format!("[product]\nname = 'shop'\n[release-gate.checklist]\n{lines}\n");
        std::fs::write(self.repo.path().join("release.toml"), text).expect("written");
    }

    /// The tables as they are shipped, for Supabase's roles and for a role that asks PostgreSQL, as the SQL's own words say; and three items,
    /// all passed.
    pub fn anew(&self) {
        let role = self.sql.lines().filter_map(|line| line.strip_prefix("--   "));
        let role = role.collect::<Vec<_>>().join("\n").replace("'...'", &format!("'{PASSWORD}'"));
        assert!(
            role.contains("create role release_gate") && role.contains("create policy qa_seed"),
            "{role}"
        );
        self.execute("drop schema public cascade; create schema public; grant usage on schema public to public; drop role if exists release_gate;
                      alter role service_role bypassrls;");
        self.execute(&self.sql);
        self.execute(&role);
        for item in ["login", "checkout.card", "checkout.qris"] {
            self.row(item, "pass");
        }
    }

    pub fn row(&self, item: &str, status: &str) {
        let (by, at) = if status == "pending" { ("null", "null") } else { ("'Rina'", "now()") };
        let commit = &self.candidate;
        self.execute(&format!(
            "insert into public.qa_checks (release, candidate, commit_sha, item, title, status, checked_by, checked_at, note)
             values ('1.2.0', '{TAG}', '{commit}', '{item}', 'Try {item}', '{status}', {by}, {at}, 'n')"
        ));
    }

    pub fn execute(&self, sql: &str) {
        self.cluster.execute("shop", sql);
    }

    /// Item and status, in order.
    pub fn rows(&self) -> Vec<String> {
        let sql = "select item || ' ' || status from public.qa_checks order by item collate \"C\"";
        self.cluster.query("shop", sql).concat()
    }

    pub fn events(&self) -> String {
        self.cluster.value("shop", "select count(*) from public.qa_check_events")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-gate"));
        isolate(&mut command).args(args).current_dir(self.repo.path()).env("SUPABASE_KEY", postgrest::SECRET);
        command
    }

    /// A release of what was merged, whose candidate was tested.
    pub fn document(&self) -> Value {
        json!({ "schema": 1, "id": "shop-1.2.0-20261125T120000Z-7f3a", "procedure": "release", "mode": "apply",
            "opened": "2026-11-25T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "environment": "production", "version": "1.2.0", "tag": "v1.2.0", "commit": self.merged,
                "candidate": { "environment": "staging", "version": "1.2.0-rc1", "since": "2026-11-24T12:00:00Z" } } })
    }

    /// The document of a candidate that was just tagged.
    pub fn tagged(&self) -> Value {
        json!({ "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": "candidate", "mode": "apply",
            "opened": "2026-11-24T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "environment": "staging", "version": "1.2.0", "tag": TAG, "commit": self.candidate } })
    }

    /// Asks; neither the document nor what is said has a secret in it.
    pub fn exchange(&self, command: &mut Command, document: &Value) -> Answer {
        let (code, document, said) = testkit::exchange(command, Some(document));
        let all = format!("{document}{said}");
        for secret in SECRETS {
            assert!(!all.contains(secret), "a secret: {all}");
        }
        assert!(!all.contains('\u{1b}'), "{all:?}");
        let verdict = document["facts"]["checklist"]["verdict"].as_str().unwrap_or_default().to_owned();
        Answer { code, verdict, document, said }
    }

    pub fn ask(&self) -> Answer {
        self.exchange(&mut self.command(&["checklist", "--verbose"]), &self.document())
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    /// Of the gate's fact; empty where there is none.
    pub verdict: String,
    pub document: Value,
    pub said: String,
}

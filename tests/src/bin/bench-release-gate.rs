//! Measures and prints Markdown: what release-gate costs where a team has much of everything. `scripts/bench-release-gate` writes it to
//! docs/benchmarks-release-gate.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use std::fs::File;
use std::io::BufWriter;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::Github;
use testkit::git::{Remote, Repo, isolate};
use testkit::github::{NAME, OWNER, TOKEN};
use wait4::Wait4;

const ROUNDS: usize = 7;
const RECORDS: usize = 200;
const CANDIDATES: usize = 100;
const APPROVALS_EACH: usize = 5;
const CHECKS: usize = 300;
const REPORT: u64 = 50 << 20;

struct Team {
    folder: tempfile::TempDir,
    shop: Repo,
}

fn main() {
    println!("| | wall | CPU | peak memory | besides |\n|---|---:|---:|---:|---|");
    let team = Team::new();
    team.report();
    team.records();
    team.approvals();
    team.checks();
}

impl Team {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let shop = remote.clone_to(&folder.path().join("shop"));
        let keygen = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.path().join("key"))
            .status();
        assert!(keygen.expect("ssh-keygen").success());
        let public = std::fs::read_to_string(folder.path().join("key.pub")).expect("a key");
        let signers = format!("budi@luxima.example {public}");
        let suites: String = (0..RECORDS).map(|n| format!("[release-gate.tests.suite{n}]\n")).collect();
        let settings = format!(
            "[product]\nname = 'shop'\n[environment.production]\nbranch = 'main'\n{suites}\
             [release-gate.roles]\nqa = ['budi@luxima.example']\n[release-gate.approvals]\nqa = 1\n\
             [release-gate.approval]\nreleaser = true\nauthor = true\n"
        );
        shop.commit(
            "1",
            &[
                ("release.toml", &settings),
                (".rilis/allowed_signers", &signers),
                (".rilis/evidence_signers", &signers),
                (".gitignore", "reports/\n"),
            ],
        );
        shop.git(&["push", "--quiet", "origin", "main"]);
        Team { folder, shop }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(testkit::bin("release-gate"));
        isolate(&mut command).args(args).current_dir(self.shop.path());
        command.env("RILIS_RELEASE_GATE_SIGNING_KEY", self.folder.path().join("key"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Once, whatever it costs.
    fn did(&self, args: &[&str]) {
        let status = self.command(args).status().expect("it starts");
        assert!(status.success(), "{args:?}");
    }

    /// One row: the medians of so many rounds.
    fn row(&self, name: &str, besides: &str, command: &dyn Fn() -> Command) {
        let (mut wall, mut cpu, mut memory) = (Vec::new(), Vec::new(), 0);
        for _ in 0..ROUNDS {
            let clock = Instant::now();
            let used = command().spawn().expect("it starts").wait4().expect("it ends");
            assert!(used.status.success(), "{name}");
            wall.push(clock.elapsed());
            cpu.push(used.rusage.utime + used.rusage.stime);
            memory = memory.max(used.rusage.maxrss >> 10);
        }
        wall.sort();
        cpu.sort();
        let shown = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
        println!(
            "| {name} | {} | {} | {:.1} MiB | {besides} |",
            shown(wall[ROUNDS / 2]),
            shown(cpu[ROUNDS / 2]),
            f64::from(u32::try_from(memory).unwrap_or(u32::MAX)) / 1024.0
        );
    }

    fn report(&self) {
        let path = self.shop.path().join("reports/large.json");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        let kept = self.folder.path().join("large.json");
        testkit::reports::playwright(&mut BufWriter::new(File::create(&kept).expect("a file")), REPORT)
            .expect("written");
        let kept = kept.display().to_string();
        let link = format!("cp {kept} reports/large.json");
        self.row(
            "`record` of a Playwright report of 50 MB",
            "with `cp` of the report, ssh-keygen, fetch and push",
            &|| {
                self.command(&[
                    "record",
                    "--as",
                    "large",
                    "--report",
                    "reports/large.json",
                    "--",
                    "sh",
                    "-c",
                    &link,
                ])
            },
        );
        self.row("the same without a report", "", &|| {
            self.command(&["record", "--as", "none", "--", "true"])
        });
        std::fs::remove_file(path).expect("removed");
    }

    fn records(&self) {
        let report = "<testsuite name='a' tests='1'><testcase name='b'/></testsuite>";
        let script = format!("mkdir -p reports; echo \"{report}\" >reports/a.xml");
        for n in 0..RECORDS {
            let name = format!("suite{n}");
            self.did(&["record", "--as", &name, "--report", "reports/a.xml", "--", "sh", "-c", &script]);
        }
        let name = format!("`tests` on {RECORDS} records, all asked for and signed");
        self.row(&name, "two runs of ssh-keygen for each", &|| self.command(&["tests", "--fresh"]));
    }

    fn approvals(&self) {
        for n in 0..CANDIDATES {
            self.shop.commit(&format!("candidate {n}"), &[("n", &n.to_string())]);
            let tag = format!("v1.{n}.0-rc1");
            self.shop.git(&["tag", "--annotate", "--message", "x", &tag]);
            self.shop.git(&["push", "--quiet", "origin", "main", &tag]);
            let version = format!("1.{n}.0");
            let fixed =
                ["approve", "--fresh", "--env", "production", "--release", &version, &tag, "--confirm", &tag];
            (0..APPROVALS_EACH).for_each(|_| self.did(&fixed));
        }
        let document = self.folder.path().join("document.json");
        let candidate = json!({ "environment": "staging", "version": format!("1.{}.0-rc1", CANDIDATES - 1), "since": "2026-11-28T08:00:00Z" });
        let text = json!({ "schema": 1, "id": "shop-1-20261128T090000Z-7f3a", "procedure": "release", "mode": "apply", "opened": "2026-11-28T09:00:00Z",
            "steps": [], "facts": { "product": "shop", "environment": "production", "version": format!("1.{}.0", CANDIDATES - 1), "candidate": candidate } });
        std::fs::write(&document, text.to_string()).expect("written");
        let name = format!(
            "`approval` with {} approvals, {APPROVALS_EACH} of this candidate",
            CANDIDATES * APPROVALS_EACH
        );
        self.row(&name, "one fetch", &|| {
            let mut command = self.command(&["approval"]);
            command.stdin(File::open(&document).expect("a document"));
            command
        });
    }

    fn checks(&self) {
        let github = Github::start();
        let sha = self.shop.git(&["rev-parse", "HEAD"]);
        (0..CHECKS).for_each(|n| github.check(&sha, &format!("check {n}"), "success"));
        let path = self.shop.path().join("release.toml");
        let settings = std::fs::read_to_string(&path).expect("settings");
        let table = format!(
            "[release-gate.ci]\nurl = '{}'\nrepository = '{OWNER}/{NAME}'\nrequired = ['check 1', 'check 299']\nreviews = 0\n",
            github.server().url()
        );
        std::fs::write(&path, settings + &table).expect("written");
        let before = github.server().count("GET", "/");
        let name = format!("`ci` with {CHECKS} check runs");
        let ask = || {
            let mut command = self.command(&["ci", "--fresh"]);
            command.env("GITHUB_TOKEN", TOKEN);
            command
        };
        assert!(ask().status().expect("it starts").success());
        let requests = github.server().count("GET", "/") - before;
        self.row(&name, &format!("{requests} requests"), &ask);
    }
}

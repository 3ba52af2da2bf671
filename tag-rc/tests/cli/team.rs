//! The team that the tests are about: a bare remote with main, staging and develop, our clone, a colleague's clone.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

pub const ID: &str = "shop-1.2.0-20261124T120000Z-7f3a";
pub const OTHER_ID: &str = "shop-1.2.0-20261124T130000Z-0001";

pub struct Team {
    pub remote: Remote,
    pub ours: Repo,
    pub theirs: Repo,
    pub folder: tempfile::TempDir,
}

impl Team {
    /// Everybody is on staging, which is where main and develop are too.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let ours = remote.clone_to(&folder.path().join("ours"));
        ours.commit(
            "first",
            &[("CHANGELOG.md", "# Changelog\n"), ("release.toml", "[product]\nname = \"shop\"\n")],
        );
        ours.git(&["branch", "--move", "main"]);
        for branch in ["staging", "develop"] {
            ours.git(&["branch", branch]);
        }
        ours.git(&["push", "--quiet", "--set-upstream", "origin", "main", "staging", "develop"]);
        ours.git(&["switch", "--quiet", "staging"]);
        let theirs = remote.clone_to(&folder.path().join("theirs"));
        theirs.git(&["switch", "--quiet", "staging"]);
        Team { remote, ours, theirs, folder }
    }

    /// The same team once more: what takes many commits to tell is told once.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let copied = Command::new("cp").arg("-a").arg(self.path(".")).arg(folder.path()).status();
        assert!(copied.expect("cp").success());
        let at = |name: &str| folder.path().join(name);
        let (ours, theirs) = (Repo::at(&at("ours")), Repo::at(&at("theirs")));
        for clone in [&ours, &theirs] {
            clone.git(&["remote", "set-url", "origin", &at("origin.git").display().to_string()]);
        }
        Team { remote: Remote::at(&at("origin.git")), ours, theirs, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program in our clone.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_in(self.ours.path(), args)
    }

    /// The program anywhere.
    pub fn command_in(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tag-rc"));
        isolate(command.args(args).current_dir(folder).env_clear());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path());
        command
    }

    /// Exit code, document and stderr.
    pub fn run(&self, args: &[&str]) -> (i32, Value, String) {
        exchange(&mut self.command(args), Some(&opened(ID)))
    }

    pub fn run_in(&self, folder: &Path, args: &[&str]) -> (i32, Value, String) {
        exchange(&mut self.command_in(folder, args), Some(&opened(ID)))
    }

    /// It must work; gives status and tag.
    pub fn tags(&self, args: &[&str]) -> (String, String) {
        tagged(self.run(args))
    }

    /// Exit code, reason and acted.
    pub fn refused(&self, args: &[&str]) -> (i32, String, String) {
        failed(&self.run(args))
    }

    /// Asks a question with --json: exit code and answer.
    pub fn ask(&self, args: &[&str]) -> (i32, Value) {
        let output = self.command(args).arg("--json").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        (output.status.code().expect("a code"), answer)
    }

    /// Commits something on our branch and pushes it.
    pub fn go_on(&self, name: &str) -> String {
        let commit = self.ours.commit(name, &[(name, name)]);
        self.ours.git(&["push", "--quiet", "origin", "HEAD"]);
        commit
    }

    /// Our clone is on this branch, as the remote has it.
    pub fn on(&self, branch: &str) {
        self.ours.git(&["fetch", "--quiet", "origin"]);
        self.ours.git(&["switch", "--quiet", branch]);
        self.ours.git(&["merge", "--quiet", "--ff-only", &format!("origin/{branch}")]);
    }
}

pub fn opened(id: &str) -> Value {
    json!({ "schema": 1, "id": id, "procedure": "candidate", "mode": "apply", "opened": "2026-11-24T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "version": "1.2.0", "notes": "### Added\n- Pay with QRIS" } })
}

/// As [`opened`], for another version.
pub fn opened_for(version: Option<&str>) -> Value {
    let mut document = opened(ID);
    let facts = document["facts"].as_object_mut().expect("facts");
    facts.remove("version");
    if let Some(version) = version {
        facts.insert("version".into(), json!(version));
    }
    document
}

pub fn tagged((code, document, stderr): (i32, Value, String)) -> (String, String) {
    assert_eq!(code, 0, "{stderr}");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&document["steps"][0]["status"]), word(&document["facts"]["tag"]))
}

pub fn changed(tag: &str) -> (String, String) {
    ("changed".into(), tag.into())
}

pub fn unchanged(tag: &str) -> (String, String) {
    ("unchanged".into(), tag.into())
}

pub fn failed((code, document, _): &(i32, Value, String)) -> (i32, String, String) {
    let word = |key: &str| document["failure"][key].as_str().unwrap_or_default().to_owned();
    (*code, word("reason"), word("acted"))
}

pub fn no(reason: &str) -> (i32, String, String) {
    (1, reason.to_owned(), "no".to_owned())
}

/// The record's output.
pub fn output(document: &Value) -> &Value {
    &document["steps"][0]["output"]
}

/// Every file below a folder with its bytes and its time.
pub fn fingerprint(folder: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable").flatten() {
            let kind = entry.file_type().expect("a type");
            if kind.is_dir() {
                folders.push(entry.path());
            }
            let bytes =
                if kind.is_file() { std::fs::read(entry.path()).expect("readable") } else { Vec::new() };
            let time = entry.metadata().and_then(|m| m.modified()).expect("a time");
            all.push((entry.path(), bytes, time));
        }
    }
    all.sort();
    all
}

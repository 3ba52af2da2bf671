//! A team with keys: a product on a remote, people who sign, and what they ask release-gate.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git::{Remote, Repo, isolate};

/// The people, by the names in the files of signers.
pub const PEOPLE: [&str; 4] = ["rina", "budi", "sari", "joko"];

/// The team.
pub struct Team {
    pub folder: tempfile::TempDir,
    pub remote: Remote,
    pub shop: Repo,
}

impl Team {
    /// A product with these settings besides its name; all but joko may sign. `v1.2.0-rc1` is on main, as is what it was made of.
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let shop = remote.clone_to(&folder.path().join("shop"));
        let team = Team { folder, remote, shop };
        PEOPLE.iter().for_each(|name| team.make_key(name));
        let signers: String = PEOPLE[..3].iter().map(|name| team.signer(name)).collect();
        let settings =
            format!("[product]\nname = 'shop'\n\n[environment.production]\nbranch = 'main'\n\n{settings}");
        team.shop.commit(
            "1.2.0",
            &[
                ("release.toml", &settings),
                (".rilis/allowed_signers", &signers),
                (".rilis/evidence_signers", &signers),
                (".gitignore", "/reports/\n"),
            ],
        );
        team.shop.git(&["tag", "--annotate", "--message", "candidate", "v1.2.0-rc1"]);
        team.shop.git(&["push", "--quiet", "origin", "main", "v1.2.0-rc1"]);
        team
    }

    fn make_key(&self, name: &str) {
        let path = self.key(name);
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(path)
            .status()
            .expect("ssh-keygen");
        assert!(status.success());
    }

    /// Somebody's private key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Somebody's line in a file of signers.
    pub fn signer(&self, name: &str) -> String {
        self.signer_with(name, "")
    }

    /// The same with options, such as `valid-before="20260101"`.
    pub fn signer_with(&self, name: &str, options: &str) -> String {
        let public = std::fs::read_to_string(self.key(name).with_extension("pub")).expect("a key");
        let key: Vec<&str> = public.split(' ').take(2).collect();
        format!("{name}@luxima.example {options} {}\n", key.join(" "))
    }

    /// release-gate in the product's folder, with somebody's key.
    pub fn command(&self, who: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-gate"));
        isolate(&mut command).args(args).current_dir(self.shop.path());
        command.env("RILIS_RELEASE_GATE_SIGNING_KEY", self.key(who)).stdin(Stdio::null());
        command
    }

    /// A step, on a release's document of 1.2.0 whose candidate was tested.
    pub fn gate(&self, who: &str, args: &[&str]) -> (i32, Value, String) {
        exchange(&mut self.command(who, args), Some(&document()))
    }

    /// Its fact: the verdict, and what was seen.
    pub fn verdict(&self, who: &str, name: &str) -> (String, String) {
        let (_, document, said) = self.gate(who, &[name]);
        let fact = &document["facts"][name];
        let word = fact["verdict"].as_str().unwrap_or_else(|| panic!("no verdict: {document}\n{said}"));
        (word.to_owned(), fact["seen"].to_string())
    }

    /// A question; its code and all that it says.
    pub fn ask(&self, who: &str, args: &[&str]) -> (i32, String) {
        let output = self.command(who, args).output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().expect("a code"), String::from_utf8_lossy(&text).into_owned())
    }

    /// Somebody approves the candidate.
    pub fn approve(&self, who: &str, more: &[&str]) -> (i32, Value, String) {
        let fixed = ["approve", "v1.2.0-rc1", "--confirm", "v1.2.0-rc1"];
        self.gate(who, &[&fixed, more].concat())
    }

    /// Brings files to the remote's production branch, from another clone.
    pub fn on_main(&self, files: &[(&str, &str)]) {
        let path = self.folder.path().join("colleague");
        let colleague = if path.is_dir() { Repo::at(&path) } else { self.remote.clone_to(&path) };
        colleague.git(&["pull", "--quiet"]);
        colleague.commit("main", files);
        colleague.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }
}

/// A release's document after its candidate was tested.
pub fn document() -> Value {
    json!({ "schema": 1, "id": "shop-1.2.0-20261128T090000Z-7f3a", "procedure": "release", "mode": "apply", "opened": "2026-11-28T09:00:00Z",
        "steps": [], "facts": { "product": "shop", "environment": "production", "version": "1.2.0",
            "candidate": { "environment": "staging", "version": "1.2.0-rc1", "since": "2026-11-28T08:00:00Z" } } })
}

//! `release-gate ci` against a stand-in of GitHub: what looks like success and is none, and what is green and reviewed.

mod green;
mod reviewed;

use std::time::Duration;

use serde_json::{Value, json};
use testkit::git::{Remote, Repo, isolate};
use testkit::github::{NAME, OWNER, Pull, TOKEN};
use testkit::{Github, exchange};

/// A product whose commits GitHub knows.
struct Shop {
    _folder: tempfile::TempDir,
    repo: Repo,
    github: Github,
}

/// What the gate has said.
struct Said {
    code: i32,
    gate: Value,
    stderr: String,
}

impl Said {
    fn verdict(&self) -> &str {
        self.gate["verdict"].as_str().unwrap_or("none")
    }

    /// All that it has seen, in one text.
    fn seen(&self) -> String {
        self.gate["seen"].to_string()
    }

    fn notes(&self) -> String {
        self.gate["details"]["notes"].to_string()
    }
}

impl Shop {
    /// With v1.1.4 released; asks for lint and unit, and for so many reviews.
    fn new(reviews: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let remote = Remote::create(&folder.path().join("origin.git"));
        let repo = remote.clone_to(&folder.path().join("shop"));
        let shop = Shop { _folder: folder, repo, github: Github::start() };
        shop.commit(
            "the first",
            &[("release.toml", &settings(&shop.github, reviews, "")), ("app", "1\n2\n3\n4\n5\n")],
        );
        shop.repo.git(&["tag", "--annotate", "--message", "1.1.4", "v1.1.4"]);
        shop.repo.git(&["push", "--quiet", "origin", "main", "v1.1.4"]);
        shop.github.tag("v1.1.4", &shop.repo.git(&["rev-parse", "v1.1.4"]));
        shop.repo.git(&["switch", "--quiet", "--create", "staging"]);
        shop
    }

    /// The same settings with more, here and on the production branch.
    fn settle(&self, reviews: u32, more: &str) {
        self.repo.git(&["switch", "--quiet", "main"]);
        self.commit("settings", &[("release.toml", &settings(&self.github, reviews, more))]);
        self.repo.git(&["push", "--quiet", "origin", "main"]);
        self.repo.git(&["tag", "v1.1.5"]);
        self.github.tag("v1.1.5", &self.repo.git(&["rev-parse", "v1.1.5"]));
        self.repo.git(&["switch", "--quiet", "--force-create", "staging"]);
    }

    fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        let id = self.repo.commit(message, files);
        self.github.push(&id);
        id
    }

    fn head(&self) -> String {
        self.repo.git(&["rev-parse", "HEAD"])
    }

    /// What is checked out is green.
    fn green(&self) -> String {
        let head = self.head();
        self.github.check(&head, "lint", "success");
        self.github.check(&head, "unit", "success");
        head
    }

    /// Asks about what is checked out.
    fn ask(&self, args: &[&str]) -> Said {
        self.ask_of(&self.github, TOKEN, args)
    }

    fn ask_of(&self, github: &Github, token: &str, args: &[&str]) -> Said {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_release-gate"));
        isolate(&mut command).arg("ci").args(args).current_dir(self.repo.path());
        command.env("GITHUB_TOKEN", token).env("RILIS_RELEASE_GATE_CI_URL", github.server().url());
        let (code, went, stderr) = exchange(&mut command, None);
        let all = format!("{went}{stderr}");
        assert!(!all.contains("canary"), "the token is shown: {all}");
        assert_eq!(github.server().changes(), 0, "a gate changes nothing: {:?}", github.server().log());
        Said { code, gate: went["facts"]["ci"].clone(), stderr }
    }

    /// A pull request of one commit, merged into the branch that is checked out; its commit and the merge.
    fn feature(&self, number: u64) -> (String, String) {
        self.merged(number, &format!("feature/{number}"), |id| {
            self.commit(id, &[(&format!("file-{number}"), "x")]);
        })
    }

    fn merged(&self, number: u64, from: &str, work: impl Fn(&str)) -> (String, String) {
        let into = self.repo.git(&["branch", "--show-current"]);
        self.repo.git(&["switch", "--quiet", "--create", from]);
        work(&format!("work of #{number}"));
        let head = self.head();
        self.repo.git(&["switch", "--quiet", &into]);
        let merge = self.merge(from);
        let range = format!("{merge}^1..{head}");
        let commits = self.repo.git(&["rev-list", &range]).lines().map(str::to_owned).collect();
        self.pull(number, &head, from, &into, Some(&merge), commits);
        (head, merge)
    }

    fn merge(&self, from: &str) -> String {
        self.repo.git(&["merge", "--quiet", "--no-ff", "--message", &format!("Merge {from}"), from]);
        let merge = self.head();
        self.github.push(&merge);
        merge
    }

    fn pull(
        &self,
        number: u64,
        head: &str,
        from: &str,
        into: &str,
        merge: Option<&str>,
        commits: Vec<String>,
    ) {
        let at = format!("{}", jiff::Timestamp::now());
        let (author, merge) = ("rina".to_owned(), merge.map(str::to_owned));
        let (head, from, into) = (head.to_owned(), from.to_owned(), into.to_owned());
        self.github.pull(Pull { number, author, head, from, into, merge, commits, at });
    }

    /// Carries staging into main, by a pull request if it has a number.
    fn promote(&self, number: Option<u64>) -> String {
        let head = self.head();
        self.repo.git(&["switch", "--quiet", "main"]);
        let merge = self.merge("staging");
        if let Some(number) = number {
            let commits = self.repo.git(&["rev-list", &format!("{merge}^1..{head}")]);
            self.pull(
                number,
                &head,
                "staging",
                "main",
                Some(&merge),
                commits.lines().map(str::to_owned).collect(),
            );
        }
        merge
    }
}

fn settings(github: &Github, reviews: u32, more: &str) -> String {
    let url = github.server().url();
    format!(
        "[product]\nname = 'shop'\n[environment.production]\nbranch = 'main'\n[environment.staging]\nbranch = 'staging'\n\
         [release-gate.ci]\nurl = '{url}'\nrepository = '{OWNER}/{NAME}'\nrequired = ['lint', 'unit']\nreviews = {reviews}\n{more}"
    )
}

/// Each case of a table at once: most of the time is waiting.
fn at_once<T: Sync>(cases: &[T], hold: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        let each = cases.iter().map(|case| scope.spawn(|| hold(case)));
        for one in each.collect::<Vec<_>>() {
            if let Err(panic) = one.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Where GitHub answers about the repository.
fn below(path: &str) -> String {
    format!("/repos/{OWNER}/{NAME}{path}")
}

fn json_of(status: u16, body: Value) -> testkit::http::Reply {
    testkit::http::Reply::json(status, body)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a refusal looks like.
fn refusal(status: u16, message: &str) -> testkit::http::Reply {
    json_of(status, json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }))
}

//! Measures tag-rc on made repositories, beside git and, where they are installed, the peers: `bench_tag_rc [PEERS]`, where
//! PEERS is a folder with `node_modules/.bin`. `scripts/bench-tag-rc` writes it to docs/benchmarks-tag-rc.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::git::{Repo, isolate, try_git};
use testkit::git_servers::Daemon;
use wait4::Wait4;

const ROUNDS: usize = 40;
/// Starting an interpreter takes long enough to need fewer.
const ROUNDS_OF_PEERS: usize = 7;

fn main() {
    let folder = std::env::args().nth(1).and_then(|folder| Path::new(&folder).canonicalize().ok());
    let peers = folder.map(|folder| folder.join("node_modules/.bin"));
    println!("| | 10,000 commits, 500 tags | 100,000 commits, 5,000 tags |\n|---|---:|---:|");
    let folder = tempfile::tempdir().expect("a folder");
    let small = rows(&folder.path().join("small"), 10_000, 500, peers.as_deref());
    let large = rows(&folder.path().join("large"), 100_000, 5_000, peers.as_deref());
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        println!("| {name} | {small} | {large} |");
    }
    println!("\nGit says what differs from the commit, so the number of files counts too:\n");
    println!("| | 200 files | 10,000 files |\n|---|---:|---:|");
    let few = of_files(&folder.path().join("few"), 200);
    let many = of_files(&folder.path().join("many"), 10_000);
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        println!("| {name} | {few} | {many} |");
    }
}

/// The same with a working copy of so many files.
fn of_files(root: &Path, files: usize) -> Vec<(&'static str, String)> {
    std::fs::create_dir_all(root).expect("a folder");
    make_files(&root.join("origin.git"), files);
    let daemon = Daemon::start(root);
    let clone = Repo::clone(&daemon.url("origin.git"), &root.join("clone"), &["--branch", "staging"]);
    let mut plan = Command::new(testkit::bin("tag-rc"));
    plan.args(["candidate", "--plan", "--fresh", "--release", "1.0.0", "--quiet"]);
    let status = ["status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=normal"];
    let time = |command: Command| milliseconds(cpu(command, &clone, ROUNDS));
    vec![("`tag-rc candidate --plan`, all in all", time(plan)), ("`git status` alone", time(git(&status)))]
}

/// One commit with so many files in folders of a hundred.
fn make_files(path: &Path, files: usize) {
    let mut history = History::default();
    let _ = writeln!(history.0, "commit refs/heads/staging"); // a String takes everything
    history.by("committer", 1);
    history.data("feat: all of it");
    for n in 0..files {
        let _ = writeln!(history.0, "M 100644 inline src/{}/f{n}.txt", n / 100);
        history.data(&n.to_string());
    }
    import(path, &history);
}

/// What is measured, and its figure.
fn rows(root: &Path, commits: usize, tags: usize, peers: Option<&Path>) -> Vec<(String, String)> {
    std::fs::create_dir_all(root).expect("a folder");
    let version = make(&root.join("origin.git"), commits, tags);
    // The daemon's CPU is the server's, not ours.
    let daemon = Daemon::start(root);
    let clone = Repo::clone(&daemon.url("origin.git"), &root.join("clone"), &["--branch", "staging"]);
    let main = Repo::clone(&daemon.url("origin.git"), &root.join("main"), &["--branch", "main"]);
    let tag_rc = testkit::bin("tag-rc");
    let ours = |args: &[&str]| {
        let mut command = Command::new(&tag_rc);
        command.args(args).arg("--quiet");
        command
    };
    let ls_remote = cpu(git(&["ls-remote", "--heads", "--tags", "--", "origin"]), &clone, ROUNDS);
    let mut rows = Vec::new();
    let mut row = |name: &str, time: Duration| rows.push((name.to_owned(), milliseconds(time)));
    let plan = ["--plan", "--fresh", "--release", &version];
    for (act, at) in [("candidate", &clone), ("final", &main)] {
        let time = cpu(ours(&[&[act], &plan[..]].concat()), at, ROUNDS);
        row(&format!("`tag-rc {act} --plan`, all in all"), time);
        row(&format!("`tag-rc {act} --plan`, without `git ls-remote`"), time.saturating_sub(ls_remote));
    }
    row("`tag-rc list`", cpu(ours(&["list"]), &clone, ROUNDS));
    row("`git ls-remote --heads --tags`", ls_remote);
    row("`git describe --tags`", cpu(git(&["describe", "--tags"]), &clone, ROUNDS));
    for (name, command) in peers.into_iter().flat_map(peers_in) {
        row(name, cpu(command, &clone, ROUNDS_OF_PEERS));
    }
    rows
}

/// The peers, asked for what comes next; none of them asks the remote for its tags.
fn peers_in(bin: &Path) -> Vec<(&'static str, Command)> {
    let dry = ["patch", "--ci", "--dry-run", "--no-npm", "--no-git.requireUpstream", "--preRelease=rc"];
    let all: [(&str, &str, &[&str]); 2] = [
        ("git-cliff --unreleased", "git-cliff", &["--unreleased"]),
        ("release-it --dry-run --preRelease=rc", "release-it", &dry),
    ];
    let command = |(name, program, args): (&'static str, &str, &[&str])| {
        let path = bin.join(program);
        let mut command = Command::new(&path);
        command.args(args);
        path.exists().then_some((name, command))
    };
    all.into_iter().filter_map(command).collect()
}

fn git(args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(args);
    command
}

/// The median of user and system time, with everything that the program starts and waits for.
fn cpu(mut command: Command, at: &Repo, rounds: usize) -> Duration {
    isolate(command.current_dir(at.path())).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut times = Vec::new();
    let started = Instant::now();
    for _ in 0..rounds {
        let used = command.spawn().expect("it starts").wait4().expect("it ends");
        assert!(used.status.success(), "{command:?}: {:?}", used.status);
        times.push(used.rusage.utime + used.rusage.stime);
        if started.elapsed() > Duration::from_secs(20) {
            break;
        }
    }
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A history as `git fast-import` reads it.
#[derive(Default)]
struct History(String);

impl History {
    fn data(&mut self, text: &str) {
        let _ = write!(self.0, "data {}\n{text}\n", text.len()); // a String takes everything
    }

    fn by(&mut self, role: &str, n: usize) {
        let _ = writeln!(self.0, "{role} Rina Wijaya <rina@luxima.example> {} +0000", 1_600_000_000 + n * 60);
    }

    /// The n-th commit changes one file of two hundred; a merge has a second parent.
    fn commit(&mut self, branch: &str, n: usize, parents: Option<[usize; 2]>) {
        let _ = writeln!(self.0, "commit refs/heads/{branch}\nmark :{n}");
        self.by("committer", n);
        self.data(&format!("feat: change {n}"));
        if let Some([first, second]) = parents {
            let _ = writeln!(self.0, "from :{first}\nmerge :{second}");
        }
        let change = parents.map_or(n, |[_, merged]| merged);
        let _ = writeln!(self.0, "M 100644 inline src/f{}.txt", change % 200);
        self.data(&change.to_string());
    }

    fn tag(&mut self, name: &str, n: usize) {
        let _ = writeln!(self.0, "tag {name}\nfrom :{n}");
        self.by("tagger", n);
        self.data(name);
    }
}

/// A bare repository: every so often four candidates and a final; the newest version is a candidate that was merged to main,
/// and staging has gone on. Gives that version.
fn make(path: &Path, commits: usize, tags: usize) -> String {
    let mut history = History::default();
    for n in 1..=commits {
        history.commit("staging", n, None);
        if n % (commits / tags) == 0 {
            let at = n / (commits / tags) - 1;
            let (version, within) = (at / 5 + 1, at % 5);
            let candidate = if within == 4 { String::new() } else { format!("-rc{}", within + 1) };
            history.tag(&format!("v1.{version}.0{candidate}"), n);
        }
    }
    let next = format!("1.{}.0", tags / 5 + 1);
    history.commit("staging", commits + 1, None);
    history.tag(&format!("v{next}-rc1"), commits + 1);
    history.commit("main", commits + 2, Some([commits, commits + 1]));
    history.commit("staging", commits + 3, None);
    import(path, &history);
    next
}

/// A bare repository with a history.
fn import(path: &Path, history: &History) {
    std::fs::create_dir_all(path).expect("a folder");
    assert!(try_git(path, &["init", "--quiet", "--bare", "--initial-branch=main"]).status.success());
    let mut import = git(&["fast-import", "--quiet"]);
    let mut child = isolate(&mut import).current_dir(path).stdin(Stdio::piped()).spawn().expect("git");
    child.stdin.take().expect("a pipe").write_all(history.0.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
}

//! A Coolify, and a page that answers as whatever runs there: enough for everything but the shop itself.
pub mod next;
pub mod registry;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Coolify;
use testkit::http::{Reply, Server};

pub const TOKEN: &str = "17|canary-coolify-Zk3vN8pQ";
pub const IMAGE: &str = "registry.luxima.id/shop";
pub const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1";
pub const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2";
pub const C: &str = "ccccccccccccccccccccccccccccccccccccccc3";
/// An image, by its version.
pub const DEPLOY: &[&str] = &["deploy", "--env", "staging", "--release", "1.2.0"];
/// A commit.
pub const COMMIT: &[&str] = &["deploy", "--env", "staging", "--commit", C];
pub const D: &str = "ddddddddddddddddddddddddddddddddddddddd4";

type Page = dyn Fn(&str) -> Reply + Send + Sync;

/// Coolify, a page, and the product's folder.
pub struct Rig {
    pub coolify: Arc<Coolify>,
    pub page: Server,
    pub apps: Vec<String>,
    how: Arc<Mutex<Arc<Page>>>,
    folder: tempfile::TempDir,
}

/// A page that says what runs.
fn honest(revision: &str) -> Reply {
    Reply::text(200, "text/html", format!("<html data-release=\"{revision}\">shop {revision}</html>"))
        .with("X-Release", revision)
}

impl Rig {
    /// One application of an image, which runs 1.1.4.
    pub fn image() -> Self {
        Self::with(|coolify| vec![coolify.application("shop", IMAGE, "1.1.4")])
    }

    /// One application that is built from main and has run A and B.
    pub fn git() -> Self {
        let rig = Self::with(|coolify| vec![coolify.git_application("shop", "main", B)]);
        rig.coolify.history(&rig.apps[0], &[A, B]);
        // Pushed, and not deployed yet.
        rig.coolify.commits(&rig.apps[0], &[C, D]);
        rig
    }

    /// Several of one image.
    pub fn several(names: &[&str]) -> Self {
        Self::with(|coolify| names.iter().map(|name| coolify.application(name, IMAGE, "1.1.4")).collect())
    }

    /// With other applications.
    pub fn with(applications: impl FnOnce(&Coolify) -> Vec<String>) -> Self {
        let coolify = Arc::new(Coolify::start());
        coolify.pace(Duration::ZERO, Duration::ZERO);
        coolify.token(TOKEN, &["read", "read:sensitive", "write", "deploy"]);
        let apps = applications(&coolify);
        let how: Arc<Mutex<Arc<Page>>> = Arc::new(Mutex::new(Arc::new(honest)));
        let (ours, theirs, first) = (Arc::clone(&how), Arc::clone(&coolify), apps[0].clone());
        let page = Server::start(move |_| {
            let how = Arc::clone(&ours.lock().expect("the page"));
            theirs
                .running(&first)
                .map_or_else(|| Reply::text(503, "text/plain", "nothing runs"), |revision| how(&revision))
        });
        let rig = Rig { coolify, page, apps, how, folder: tempfile::tempdir().expect("a folder") };
        testkit::write_private(&rig.folder.path().join("token"), &format!("{TOKEN}\n"));
        rig.settings("");
        rig
    }

    /// How the page answers from now on, by what runs.
    pub fn page(&self, how: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        *self.how.lock().expect("the page") = Arc::new(how);
    }

    /// The page breaks with this revision.
    pub fn breaks_with(&self, bad: &'static str) {
        self.page(
            move |revision| {
                if revision == bad { Reply::text(500, "text/plain", "oh no") } else { honest(revision) }
            },
        );
    }

    /// Writes release.toml; `more` is for [deploy-coolify], and a key in it replaces the usual one.
    pub fn settings(&self, more: &str) {
        let apps = self.apps.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(", ");
        let usual = [
            ("url", format!("\"{}\"", self.coolify.server().url())),
            ("token_file", "\"token\"".to_owned()),
            ("applications", format!("[{apps}]")),
            ("image", format!("\"{IMAGE}:{{version}}\"")),
            ("interval", "\"20ms\"".to_owned()),
            ("health_timeout", "\"300ms\"".to_owned()),
            ("bake", "\"0s\"".to_owned()),
            ("attach_window", "\"300ms\"".to_owned()),
        ];
        let given = |key: &str| {
            more.lines().any(|line| line.starts_with(key) || line.starts_with(&format!("!{key}")))
        };
        let lines: String =
            usual.iter().filter(|(k, _)| !given(k)).map(|(k, v)| format!("{k} = {v}\n")).collect();
        let more: String = more.lines().filter(|l| !l.starts_with('!')).map(|l| format!("{l}\n")).collect();
        let text = format!(
            "[product]\nname = \"shop\"\n\n[environment.production]\npublic_urls = [\"{page}/\"]\nmarker = \"X-Release\"\n\n\
             [environment.staging]\npublic_urls = [\"{page}/\"]\nmarker = \"X-Release\"\n\n[deploy-coolify]\n{lines}{more}",
            page = self.page.url()
        );
        self.write("release.toml", &text);
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deploy-coolify"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        command
    }

    /// Runs it with a document, or with none. Nothing that it writes holds a secret, and the command that it prints can be pasted.
    pub fn run(&self, args: &[&str], stdin: Option<&Value>) -> (i32, Value, String) {
        let (code, document, stderr) = testkit::exchange(&mut self.command(args), stdin);
        next::is_a_command(&document);
        for canary in ["canary-coolify", testkit::coolify::CANARY] {
            assert!(
                !document.to_string().contains(canary) && !stderr.contains(canary),
                "{document} {stderr}"
            );
        }
        (code, document, stderr)
    }

    /// Runs it and expects this reason.
    pub fn fails(&self, args: &[&str], stdin: Option<&Value>, code: i32, reason: &str) -> (Value, String) {
        let (got, document, stderr) = self.run(args, stdin);
        assert_eq!(
            (got, document["failure"]["reason"].as_str()),
            (code, Some(reason)),
            "{stderr}\n{document:#}"
        );
        (document, stderr)
    }

    /// Runs it and expects success.
    pub fn works(&self, args: &[&str], stdin: Option<&Value>) -> (Value, String) {
        let (code, document, stderr) = self.run(args, stdin);
        assert_eq!(code, 0, "{stderr}\n{document:#}");
        (document, stderr)
    }

    /// The answer to a question, as JSON.
    pub fn asks(&self, args: &[&str]) -> (i32, Value, String) {
        let output = self.command(args).arg("--json").stdin(Stdio::null()).output().expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().expect("a code"), value, stderr)
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    }

    /// What `observe` writes.
    pub fn observed(&self, more: &[&str]) -> Value {
        let args: Vec<&str> = [&["observe", "--env", "production"], more].concat();
        self.works(&args, None).0
    }

    /// How many requests have started a deployment.
    pub fn starts(&self) -> usize {
        let log = self.coolify.server().log();
        log.iter()
            .filter(|r| r.method == "POST" && (r.path.ends_with("/deploy") || r.path.ends_with("/rollback")))
            .count()
    }

    /// Gives the token these abilities.
    pub fn token(&self, abilities: &[&str]) {
        self.coolify.token(TOKEN, abilities);
    }

    /// Runs the command that a failure has printed, as a shell would.
    pub fn pastes(&self, document: &Value) -> (i32, Value, String) {
        let words = next::words(document);
        self.run(&words.iter().skip(1).map(String::as_str).collect::<Vec<_>>(), None)
    }

    /// What is configured, what runs, and how many deployments there were.
    pub fn state(&self) -> (Option<String>, Option<String>, usize) {
        let (app, coolify) = (&self.apps[0], &self.coolify);
        (coolify.configured(app), coolify.running(app), coolify.deployments(app))
    }

    /// The requests that change something, in order, with their bodies.
    pub fn changes(&self) -> Vec<(String, String, Value)> {
        let log = self.coolify.server().log();
        let changing = log.into_iter().filter(|r| r.method != "GET");
        changing.map(|r| (r.method.clone(), r.path.clone(), r.json().unwrap_or_default())).collect()
    }
}

pub fn busy(message: &str) -> Reply {
    Reply::json(429, json!({ "message": message })).with("Retry-After", 1)
}

pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

/// Words of a command line, and more of them.
pub fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [words, more].concat()
}

/// The message and the causes of a failure.
pub fn told(document: &Value) -> (String, String) {
    let failure = &document["failure"];
    (failure["message"].as_str().unwrap_or_default().to_owned(), failure["causes"].to_string())
}

/// Plays every case at the same time: most of what they do is to wait.
pub fn at_once<T: Sync>(cases: &[T], play: impl Fn(&T) + Sync) {
    let play = &play;
    std::thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(move || play(case)))));
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

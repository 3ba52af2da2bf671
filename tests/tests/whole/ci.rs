//! The CI examples of docs/ci, run as they stand there: a shallow clone, no identity, secrets as files, nobody to ask. Only what
//! installs the programs is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use saphyr::{LoadableYamlNode, Yaml};
use testkit::Sandbox;
use testkit::sandbox::{COOLIFY_TOKEN, TELEGRAM_TOKEN};

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a runner checks out: one commit, and settings that name no secret.
fn checkout(sandbox: &Sandbox, branch: &str, detached: bool) -> PathBuf {
    let folder = sandbox.root().join(format!("ci-{branch}"));
    let url = format!("file://{}", sandbox.remote.path().display());
    let mut git = sandbox.command("git");
    git.args(["clone", "--quiet", "--depth", "1", "--branch", branch, &url]).arg(&folder);
    assert!(git.status().expect("git").success());
    if detached {
        let status =
            sandbox.command("git").args(["checkout", "--quiet", "--detach"]).current_dir(&folder).status();
        assert!(status.expect("git").success());
    }
    let settings = std::fs::read_to_string(sandbox.product_dir().join("release.toml")).expect("settings");
    let kept: String =
        settings.lines().filter(|l| !l.contains("_file = ")).map(|l| format!("{l}\n")).collect();
    std::fs::write(folder.join("release.toml"), kept).expect("written");
    folder
}

fn secrets() -> [(&'static str, &'static str); 3] {
    [
        ("COOLIFY_TOKEN", COOLIFY_TOKEN),
        ("TELEGRAM_BOT_TOKEN", TELEGRAM_TOKEN),
        ("DATABASE_PASSWORD", testkit::postgres::PASSWORD),
    ]
}

/// A folder with the runbooks under the names that `make install` gives them.
fn installed(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.root().join("installed");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in ["candidate", "release"] {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name);
        let script = script.canonicalize().expect("a runbook");
        std::os::unix::fs::symlink(script, folder.join(format!("rilis-{name}"))).expect("linked");
    }
    folder
}

/// A shell as a runner starts it.
fn shell(sandbox: &Sandbox, script: &str, folder: &Path, environment: &BTreeMap<String, String>) -> Output {
    let mut command = sandbox.command("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(folder).stdin(Stdio::null());
    let usual = sandbox.environment();
    let (_, path) = usual.iter().find(|(name, _)| name == "PATH").expect("a PATH");
    command.env("PATH", format!("{}:{path}", sandbox.root().join("installed").display()));
    command.envs(environment);
    run(command)
}

fn run(mut command: Command) -> Output {
    command.output().expect("it runs")
}

/// `${{ ... }}` as GitHub fills it in.
fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, more) = after.split_once("}}").expect("a closed expression");
        out.push_str(before);
        let name = name.trim();
        out.push_str(values.get(name).unwrap_or_else(|| panic!("nothing is known of {name}")));
        rest = more;
    }
    out + rest
}

/// What the host fills in.
fn host_values(procedure: &str) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> =
        secrets().iter().map(|(name, secret)| (format!("secrets.{name}"), (*secret).to_owned())).collect();
    values.insert("inputs.procedure".into(), procedure.into());
    values.insert("inputs.version".into(), "1.2.0".into());
    values.insert("vars.RILIS_ARCHIVE".into(), "https://archive.example/rilis.tar.gz".into());
    values.insert("vars.RILIS_SHA256".into(), "0".repeat(64));
    values
}

/// A runner of GitHub: what a job of an example sees, and what it leaves behind.
struct Runner<'a> {
    sandbox: &'a Sandbox,
    folder: &'a Path,
    values: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    file: PathBuf,
}

impl<'a> Runner<'a> {
    fn new(sandbox: &'a Sandbox, folder: &'a Path, name: &str, values: BTreeMap<String, String>) -> Self {
        let temp = sandbox.root().join(format!("runner-{name}"));
        std::fs::create_dir_all(&temp).expect("a folder");
        let file = temp.join("environment");
        std::fs::write(&file, "").expect("written");
        let environment = BTreeMap::from([
            ("RUNNER_TEMP".to_owned(), temp.display().to_string()),
            ("GITHUB_ENV".to_owned(), file.display().to_string()),
            ("GITHUB_ACTOR".to_owned(), "rina".to_owned()),
        ]);
        Runner { sandbox, folder, values, environment, file }
    }

    /// Whether a step runs: what a cancelled job needs is a story of its own.
    fn is_asked(&self, step: &Yaml) -> bool {
        let Some(condition) = step.as_mapping_get("if").and_then(Yaml::as_str) else { return true };
        let event =
            self.values.get("github.event_name").map(|event| format!("github.event_name == '{event}'"));
        event.as_deref() == Some(condition)
    }

    /// Runs the steps of a job that are scripts; what they said, and how many they were.
    fn run(&mut self, job: &Yaml) -> (String, usize) {
        let (mut said, mut ran) = (String::new(), 0);
        for step in job["steps"].as_vec().expect("steps") {
            let name = step.as_mapping_get("name").and_then(Yaml::as_str).unwrap_or_default();
            let script = step.as_mapping_get("run").and_then(Yaml::as_str).filter(|_| name != "Programs");
            let Some(script) = script.filter(|_| self.is_asked(step)) else { continue };
            let mut own = self.environment.clone();
            if let Some(variables) = step.as_mapping_get("env").and_then(Yaml::as_mapping) {
                for (key, value) in variables {
                    let value = filled(value.as_str().expect("a text"), &self.values);
                    own.insert(key.as_str().expect("a name").to_owned(), value);
                }
            }
            assert!(!script.contains("${{"), "{name}: an input in a script is a script of whoever writes it");
            let output = shell(self.sandbox, script, self.folder, &own);
            assert!(output.status.success(), "{name}: {}", text(&output));
            said.push_str(&text(&output));
            ran += 1;
            for line in std::fs::read_to_string(&self.file).expect("the environment's file").lines() {
                let (key, value) = line.split_once('=').expect("a variable");
                self.environment.insert(key.to_owned(), value.to_owned());
            }
        }
        (said, ran)
    }
}

/// Runs the steps of the GitHub job that are scripts.
fn github(sandbox: &Sandbox, folder: &Path, procedure: &str) -> String {
    let workflow = Yaml::load_from_str(&example("github-actions.yml")).expect("YAML").remove(0);
    let (said, ran) =
        Runner::new(sandbox, folder, procedure, host_values(procedure)).run(&workflow["jobs"]["run"]);
    assert_eq!(ran, 3, "secrets, identity, run");
    said
}

/// What npm's programs would write, by the report that they are told to write.
const NPX: &str = r#"#!/bin/sh
for word; do case $word in *.json) file=${word#*=} ;; esac; done
file=${file-$PLAYWRIGHT_JSON_OUTPUT_NAME}
mkdir -p "$(dirname "$file")"
case $1 in
    eslint) echo '[{"filePath":"/src/page.js","messages":[],"suppressedMessages":[],"errorCount":0,"fatalErrorCount":0,"warningCount":0,"fixableErrorCount":0,"fixableWarningCount":0,"usedDeprecatedRules":[]}]' >"$file" ;;
    vitest) echo '{"numTotalTestSuites":1,"numPassedTestSuites":1,"numFailedTestSuites":0,"numPendingTestSuites":0,"numTotalTests":1,"numPassedTests":1,"numFailedTests":0,"numPendingTests":0,"numTodoTests":0,"startTime":1,"success":true,"testResults":[{"assertionResults":[{"ancestorTitles":[],"fullName":"a","status":"passed","title":"a","duration":1,"failureMessages":[],"meta":{}}],"startTime":1,"endTime":2,"status":"passed","message":"","name":"a.test.js"}]}' >"$file" ;;
    playwright) echo '{"config":{"version":"1.65.1","rootDir":"/tests"},"suites":[{"title":"a.spec.ts","file":"a.spec.ts","specs":[{"title":"a","ok":true,"tags":[],"id":"1","file":"a.spec.ts","line":1,"tests":[{"projectName":"","expectedStatus":"passed","status":"expected","annotations":[],"results":[{"retry":0,"status":"passed","duration":1,"errors":[],"attachments":[]}]}]}]}],"errors":[],"stats":{"startTime":"2026-11-28T10:00:00Z","duration":1,"expected":1,"skipped":0,"unexpected":0,"flaky":0}}' >"$file" ;;
    newman) echo '{"collection":{},"environment":{},"globals":{},"run":{"stats":{"iterations":{"total":1,"pending":0,"failed":0},"items":{"total":1,"pending":0,"failed":0},"scripts":{"total":1,"pending":0,"failed":0},"prerequests":{"total":0,"pending":0,"failed":0},"requests":{"total":1,"pending":0,"failed":0},"tests":{"total":1,"pending":0,"failed":0},"assertions":{"total":1,"pending":0,"failed":0},"testScripts":{"total":1,"pending":0,"failed":0},"prerequestScripts":{"total":0,"pending":0,"failed":0}},"executions":[{"item":{"name":"a"},"request":{},"response":{"code":200},"assertions":[{"assertion":"a","skipped":false}]}],"failures":[],"error":null}}' >"$file" ;;
esac
"#;

/// The team's product with a key that records tests: the settings ask for four of them.
struct Recorded {
    sandbox: Sandbox,
    folder: PathBuf,
    secret: String,
    job: Yaml<'static>,
}

impl Recorded {
    fn new() -> Self {
        let sandbox = Sandbox::start();
        sandbox.at_once();
        installed(&sandbox);
        for (name, body) in [("npx", NPX), ("npm", "#!/bin/sh\n")] {
            let path = sandbox.root().join("installed").join(name);
            std::fs::write(&path, body).expect("written");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("executable");
        }
        let key = sandbox.root().join("evidence");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.expect("ssh-keygen").success());
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("a key");
        signers(&sandbox, &format!("ci@luxima.example {public}"));
        asks(&sandbox);
        let workflow = Yaml::load_from_str(&example("github-tests.yml")).expect("YAML").remove(0);
        let proposed = &workflow["jobs"]["proposed"];
        let has_key = format!("{proposed:?}").contains("EVIDENCE_KEY");
        assert!(!has_key && proposed.as_mapping_get("permissions").is_none());
        let folder = checkout(&sandbox, "staging", false);
        let secret = std::fs::read_to_string(&key).expect("a key");
        Recorded { folder, secret, job: workflow["jobs"]["recorded"].clone(), sandbox }
    }

    /// The job after an event; what it said.
    fn after(&self, event: &str) -> String {
        let mut values = host_values("candidate");
        values.insert("secrets.EVIDENCE_KEY".into(), self.secret.trim_end().into());
        values.insert("vars.STAGING_URL".into(), format!("{}/", self.sandbox.staging.edge));
        values.insert("github.event_name".into(), event.into());
        let (said, ran) = Runner::new(&self.sandbox, &self.folder, event, values).run(&self.job);
        assert_eq!(ran, 4, "dependencies, key, and two records: {said}");
        for line in self.secret.lines().filter(|line| !line.starts_with('-')) {
            assert!(!said.contains(line), "the key is shown: {said}");
        }
        said
    }
}

/// Who may sign evidence is on the production branch.
fn signers(sandbox: &Sandbox, line: &str) {
    let product = &sandbox.product;
    product.git(&["switch", "--quiet", "main"]);
    product.commit(
        "Evidence",
        &[(".rilis/evidence_signers", line), (".gitignore", "release.toml\nreports/\nruns/\n")],
    );
    product.git(&["push", "--quiet", "origin", "main"]);
    product.git(&["switch", "--quiet", "staging"]);
    product.git(&["merge", "--quiet", "--no-edit", "main"]);
    product.git(&["push", "--quiet", "origin", "staging"]);
}

fn asks(sandbox: &Sandbox) {
    let mut settings = "\n[release-gate]\n".to_owned();
    for name in ["lint", "unit", "e2e", "api"] {
        let against = if name == "e2e" || name == "api" { "against = true\nfor = ['release']\n" } else { "" };
        settings.push_str(&format!("[release-gate.tests.{name}]\n{against}"));
    }
    let path = sandbox.product_dir().join("release.toml");
    let before = std::fs::read_to_string(&path).expect("settings");
    std::fs::write(&path, before + &settings).expect("written");
}

/// The team's own tests, recorded by the example: on a push, and against staging after a candidate.
#[test]
fn github_actions_records_tests_that_the_gate_believes() {
    let recorded = Recorded::new();
    let sandbox = &recorded.sandbox;
    let said = recorded.after("push");
    assert!(said.contains("stored as lint") && said.contains("stored as unit"), "{said}");
    let mut candidate = sandbox.runbook("candidate");
    candidate.arg("1.2.0");
    let output = run(candidate);
    assert!(output.status.success() && text(&output).contains("tests: yes"), "{}", text(&output));
    let fetched =
        sandbox.command("git").args(["fetch", "--quiet", "--tags"]).current_dir(&recorded.folder).status();
    assert!(fetched.expect("git").success());
    let said = recorded.after("workflow_dispatch");
    assert!(said.contains("stored as e2e") && said.contains("stored as api"), "{said}");
    let mut gate = sandbox.command(testkit::bin("release-gate"));
    gate.args(["tests", "--fresh", "--procedure", "release"]);
    let output = run(gate);
    assert!(
        output.status.success() && text(&output).contains("signed by ci@luxima.example"),
        "{}",
        text(&output)
    );
}

#[test]
fn github_actions_makes_a_candidate_and_a_release() {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    installed(&sandbox);
    let said = github(&sandbox, &checkout(&sandbox, "staging", false), "candidate");
    assert!(said.contains("rilis-candidate: done"), "{said}");
    sandbox.merge_staging_to_main();
    let said = github(&sandbox, &checkout(&sandbox, "main", false), "release");
    assert!(said.contains("rilis-release: done"), "{said}");
    assert_eq!(sandbox.page("production", "/sale").1, "1.2.0-rc1");
    assert_eq!(sandbox.remote.tags(), ["v1.1.4", "v1.2.0", "v1.2.0-rc1"]);
    assert!(sandbox.remote.git(&["for-each-ref", "refs/rilis/v2/*/*/run/*"]).lines().count() == 2);
    for canary in sandbox.canaries() {
        assert!(!said.contains(canary), "{said}");
    }
}

/// A runner ends a job with SIGINT to the shell, then SIGTERM, then SIGKILL to everything.
#[test]
fn a_cancelled_job_leaves_no_lock_behind() {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    installed(&sandbox);
    let folder = checkout(&sandbox, "staging", false);
    for (key, value) in [("user.name", "Rina Wijaya"), ("user.email", "rina@luxima.example")] {
        let mut git = sandbox.command("git");
        assert!(git.args(["config", key, value]).current_dir(&folder).status().expect("git").success());
    }
    sandbox.coolify.server().fault(
        "GET",
        "/api/v1/",
        1,
        testkit::http::Fault::Hang(std::time::Duration::from_secs(3)),
    );
    let mut command = sandbox.command("bash");
    let usual = sandbox.environment();
    let (_, path) = usual.iter().find(|(name, _)| name == "PATH").expect("a PATH");
    command.env("PATH", format!("{}:{path}", sandbox.root().join("installed").display()));
    command.args(["-e", "-c", "exec rilis-candidate 1.2.0"]).current_dir(&folder).envs(secrets());
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    testkit::wait_for("Coolify to be asked", 60, || sandbox.coolify.server().count("GET", "/api/v1/") > 0);
    for signal in ["INT", "TERM"] {
        Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill");
    }
    let output = child.wait_with_output().expect("it ends");
    // Of two signals at once either may be heard first.
    assert!(matches!(output.status.code(), Some(130 | 143)), "{}", text(&output));
    let lock = sandbox.remote.git(&["log", "-1", "--format=%B", "refs/rilis/v2/aceh-commerce/staging/lock"]);
    assert!(lock.contains("State: free"), "{lock}");
    // The same run goes on from a fresh clone.
    let fresh = sandbox.root().join("fresh");
    assert!(sandbox.command("cp").arg("-r").arg(&folder).arg(&fresh).status().expect("cp").success());
    std::fs::remove_dir_all(fresh.join("runs")).expect("removed");
    std::fs::remove_dir_all(fresh.join(".git/rilis")).expect("removed");
    let environment = secrets().iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let output = shell(&sandbox, "rilis-candidate 1.2.0", &fresh, &environment);
    assert!(output.status.success() && text(&output).contains("going on with runs/"), "{}", text(&output));
}

#[test]
fn gitlab_ci_makes_a_candidate_and_a_release() {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    installed(&sandbox);
    let jobs = Yaml::load_from_str(&example("gitlab-ci.yml")).expect("YAML").remove(0);
    let lines = jobs[".rilis"]["script"].as_vec().expect("a script").iter();
    let script: Vec<&str> = lines.map(|l| l.as_str().expect("a line")).collect();
    let mut environment = BTreeMap::from([
        ("VERSION".to_owned(), "1.2.0".to_owned()),
        ("GITLAB_USER_NAME".to_owned(), "Rina Wijaya".to_owned()),
        ("GITLAB_USER_EMAIL".to_owned(), "rina@luxima.example".to_owned()),
        ("RILIS_PUSH_URL".to_owned(), format!("file://{}", sandbox.remote.path().display())),
    ]);
    for (name, secret) in secrets() {
        let file = sandbox.root().join(format!("file-{name}"));
        testkit::write_private(&file, secret);
        environment.insert(format!("{name}_FILE"), file.display().to_string());
    }
    for (job, branch) in [("candidate", "staging"), ("release", "main")] {
        let procedure = jobs[job]["variables"]["PROCEDURE"].as_str().expect("a procedure");
        environment.insert("PROCEDURE".to_owned(), procedure.to_owned());
        let folder = checkout(&sandbox, branch, true);
        let output = shell(&sandbox, &script.join("\n"), &folder, &environment);
        assert!(output.status.success(), "{job}: {}", text(&output));
        sandbox.merge_staging_to_main();
    }
    assert_eq!(sandbox.page("production", "/sale").1, "1.2.0-rc1");
}

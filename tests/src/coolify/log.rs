//! The log of a deployment, line by line as Coolify's worker writes it: what everybody may see, and between it the commands with
//! their output, which are hidden.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A line of dashes between two parts.
const RULE: &str = "----------------------------------------";
const DOUBLE_RULE: &str = "========================================";
const HELPER: &str = "docker.io/coollabsio/coolify-helper:1.0.15";

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    kind: &'static str,
    pub(super) hidden: bool,
    command: Option<String>,
}

/// What everybody may see.
pub(super) fn said(text: impl Into<String>) -> Line {
    Line { text: text.into(), kind: "stdout", hidden: false, command: None }
}

/// What a test has put there; Coolify marks some of its lines so.
pub(super) fn info(text: &str, hidden: bool) -> Line {
    Line { kind: "info", hidden, ..said(text) }
}

fn bad(text: impl Into<String>) -> Line {
    Line { kind: "stderr", ..said(text) }
}

fn hidden(line: Line) -> Line {
    Line { hidden: true, ..line }
}

/// A command and what it has printed.
fn ran(command: impl Into<String>, text: impl Into<String>) -> Line {
    Line { command: Some(command.into()), ..hidden(said(text)) }
}

fn ran_badly(command: impl Into<String>, text: impl Into<String>) -> Line {
    Line { kind: "stderr", ..ran(command, text) }
}

/// What the lines speak of.
pub(super) struct Story<'a> {
    pub(super) uuid: &'a str,
    pub(super) application: &'a str,
    pub(super) server: String,
    /// The container that is started.
    pub(super) container: String,
    /// `registry/shop:1.2.0`, `luxima/aceh-commerce:main`, or the application's name.
    pub(super) what: String,
    pub(super) source: Source,
    pub(super) health_check: bool,
    /// Why the old container is stopped first, where it is.
    pub(super) stops_first: bool,
}

/// Where a build comes from.
pub(super) enum Source {
    /// A registry.
    Image,
    /// A repository: the commit, its message unless nothing was cloned, whether the image was there, and whether it is a Dockerfile's.
    Git { commit: String, message: Option<String>, kept: bool, head: String, dockerfile: bool },
    /// A Dockerfile that stands in Coolify.
    Inline,
}

/// How it begins.
pub(super) fn beginning(story: &Story) -> Vec<Line> {
    let Story { uuid, server, what, .. } = story;
    let mut lines = vec![
        said(format!("Docker 27.3.1 with BuildKit and Buildx detected on deployment server ({server}).")),
        said(format!("Starting deployment of {what} to {server}.")),
        said(format!("Preparing container with helper image: {HELPER}")),
        ran(format!("docker run -d --network 'coolify' --name {uuid}  --rm {HELPER}"), "0123456789abcdef"),
    ];
    match &story.source {
        Source::Image => lines.push(env_file()),
        Source::Inline => lines.extend([env_file(), ran("docker build", "#1 building")]),
        Source::Git { .. } => lines.extend(built(story)),
    }
    lines
}

fn env_file() -> Line {
    hidden(said("Creating .env file with runtime variables for container."))
}

/// How a commit becomes an image.
fn built(story: &Story) -> Vec<Line> {
    let Source::Git { commit, message, kept, head, dockerfile } = &story.source else { return Vec::new() };
    let Story { uuid, what, application, .. } = story;
    let image = format!("{application}:{commit}");
    let found = ran(format!("docker images -q {image} 2>/dev/null"), if *kept { "sha256:abc" } else { "" });
    let verdict = if *kept {
        format!(
            "No build configuration changed & image found ({image}) with the same Git Commit SHA. Build step skipped."
        )
    } else {
        format!("Image not found ({image}). Building new image.")
    };
    let looked = [found, said(verdict)];
    let mut cloned = vec![
        said(RULE),
        said(format!("Importing {what} (commit sha {commit}) to /artifacts/{uuid}.")),
        ran_badly("git clone", format!("Cloning into '/artifacts/{uuid}'...")),
    ];
    if let Some(message) = message {
        cloned.push(ran_badly("git clone", format!(" * branch            {commit} -> FETCH_HEAD")));
        cloned.push(ran(format!("git log -1 '{commit}' --pretty=%B"), message.clone()));
    }
    let mut lines = vec![ran("git ls-remote refs/heads/main", format!("{head}\trefs/heads/main"))];
    // A Dockerfile is read from the repository, so that it is cloned in any case.
    match (dockerfile, kept, message) {
        (true, _, Some(_)) => {
            lines.extend(cloned);
            lines.extend(looked);
            lines.push(ran("cat Dockerfile", "FROM nginx:alpine"));
        }
        (true, _, None) => lines.extend(cloned),
        (false, true, _) => lines.extend(looked),
        (false, false, _) => {
            lines.extend(looked);
            lines.extend(cloned);
        }
    }
    if message.is_some() || *kept {
        lines.push(env_file());
    }
    lines
}

/// How the old container gives way to the new one.
pub(super) fn rollout(story: &Story) -> Vec<Line> {
    let mut lines = vec![said(RULE)];
    if story.stops_first {
        lines.push(said("Application has ports mapped to the host system, rolling update is not supported."));
        lines.push(said("Removing old containers."));
    } else {
        lines.push(said("Rolling update started."));
    }
    if matches!(story.source, Source::Image) {
        lines.push(said("Pulling latest images from the registry."));
    }
    lines
}

/// How it ends well; what comes before the status changes, and what comes after.
pub(super) fn finished(story: &Story) -> (Vec<Line>, Vec<(Duration, Line)>) {
    let mut lines = vec![started(story)];
    lines.push(said("New container started."));
    if story.health_check && !story.stops_first {
        lines.extend(health(story, "healthy", "ok", 0));
        lines.push(said("New container is healthy."));
    }
    if !story.stops_first {
        lines.push(said("Removing old containers."));
        lines.push(removed("the one before"));
        lines.push(said("Rolling update completed."));
    }
    (lines, vec![(Duration::from_millis(900), shut(story))])
}

fn started(story: &Story) -> Line {
    ran_badly("docker compose up --build -d", format!("Container {}  Started", story.container))
}

fn health(story: &Story, state: &str, output: &str, code: u8) -> Vec<Line> {
    let log = json!([{ "ExitCode": code, "Output": output }]).to_string();
    vec![
        said("Waiting for healthcheck to pass on the new container."),
        said("Healthcheck URL (inside the container): GET: http://localhost:80/"),
        said("Waiting for the start period (1 seconds) before starting healthcheck."),
        ran(
            format!("docker inspect --format='{{{{json .State.Health.Status}}}}' {}", story.container),
            format!("\"{state}\""),
        ),
        ran(format!("docker inspect --format='{{{{json .State.Health.Log}}}}' {}", story.container), log),
        said(format!("Attempt 1 of 3 | Healthcheck status: \"{state}\"")),
        said(format!("Healthcheck logs: {output} | Return code: {code}")),
    ]
}

fn removed(container: &str) -> Line {
    ran(format!("docker rm -f '{container}'"), "")
}

fn shut(story: &Story) -> Line {
    said(format!("Gracefully shutting down build container: {}", story.uuid))
}

/// The new container does not become healthy: Coolify removes it, and still says that the update is completed.
pub(super) fn unhealthy(story: &Story, container_log: &str) -> (Vec<Line>, Vec<(Duration, Line)>) {
    let mut lines = vec![started(story), said("New container started.")];
    lines.extend(health(story, "unhealthy", "curl: (7) refused", 1));
    let logs = format!("docker logs -n 100 {}", story.container);
    lines.extend([
        bad("New container is unhealthy."),
        said(RULE),
        said("Container logs:"),
        Line { command: Some(logs), ..bad(container_log) },
        said(RULE),
        said("Removing old containers."),
        said(RULE),
        said(
            "WARNING: Dockerfile or Docker Image based deployment detected. The healthcheck needs a curl or wget command to check \
             the health of the application. Please make sure that it is available in the image or turn off healthcheck on Coolify's UI.",
        ),
        said(RULE),
        said("New container is not healthy, rolling back to the old container."),
    ]);
    let after =
        vec![(40, removed(&story.container)), (60, said("Rolling update completed.")), (770, shut(story))];
    (lines, timed(after))
}

/// Something went wrong, and the worker says what; the status has changed by then.
pub(super) fn failed(story: &Story, command: &str, why: &str) -> (Vec<Line>, Vec<(Duration, Line)>) {
    let failure = match story.source {
        Source::Image => format!(
            "Rolling update failed (App\\Exceptions\\DeploymentException): Failed to start container: Command execution failed (exit code 1): {command}\nError: {why}"
        ),
        _ => format!("Command execution failed (exit code 1): {command}\nError: {why}"),
    };
    let mut after = vec![(30, bad(DOUBLE_RULE)), (40, bad(format!("Deployment failed: {failure}")))];
    after.extend(trace(&failure).into_iter().map(|line| (45, line)));
    after.extend([
        (130, bad(DOUBLE_RULE)),
        (140, bad("Deployment failed. Removing the new version of your application.")),
        (560, removed(&story.container)),
        (2000, shut(story)),
    ]);
    (vec![ran_badly(command, why)], timed(after))
}

/// What the worker's programmers want to know.
fn trace(failure: &str) -> Vec<Line> {
    let words = [
        "Error type: App\\Exceptions\\DeploymentException".to_owned(),
        "Error code: 0".to_owned(),
        "Location: /coolify/app/app/Jobs/ApplicationDeploymentJob.php:1981".to_owned(),
        "Caused by:".to_owned(),
        format!("App\\Exceptions\\DeploymentException: {failure}"),
        "at /coolify/app/app/Jobs/ApplicationDeploymentJob.php:4093".to_owned(),
        "Stack trace (first 5 lines):".to_owned(),
    ];
    let frames = (0..5).map(|n| format!("#{n} /coolify/app/app/Jobs/ApplicationDeploymentJob.php(508)"));
    words.into_iter().chain(frames).map(|text| hidden(bad(text))).collect()
}

/// The server was not there when the worker began; such a deployment never gets a time at which it finished.
pub(super) fn not_functional(story: &Story) -> (Vec<Line>, Vec<(Duration, Line)>) {
    let text = "Server is not functional.";
    let mut after = vec![(30, bad(DOUBLE_RULE)), (40, bad(format!("Deployment failed: {text}")))];
    let frames = (0..5).map(|n| format!("#{n} /coolify/app/app/Jobs/ApplicationDeploymentJob.php(315)"));
    let words = [
        "Error type: Illuminate\\Queue\\ManuallyFailedException",
        "Error code: 0",
        "Location: /coolify/app/vendor/laravel/framework/src/Illuminate/Queue/InteractsWithQueue.php:56",
        "Stack trace (first 5 lines):",
    ];
    after.extend(words.iter().map(|w| (*w).to_owned()).chain(frames).map(|text| (45, hidden(bad(text)))));
    after.extend([
        (90, bad(DOUBLE_RULE)),
        (95, bad("Deployment failed. Removing the new version of your application.")),
        (400, removed(&story.container)),
    ]);
    (vec![said(text)], timed(after))
}

/// Somebody has cancelled it while it was at work.
pub(super) fn cancelled(uuid: &str) -> Vec<(Duration, Line)> {
    timed(vec![
        (0, bad("Deployment cancelled by user via API.")),
        (75, said("Deployment container not yet started. Will be cancelled when job checks status.")),
        (260, said("Deployment cancelled by user, stopping execution.")),
        (280, bad("Warning: Failed to write deployment configurations: Deployment cancelled by user")),
        (285, said(format!("Gracefully shutting down build container: {uuid}"))),
        (300, bad(format!("Error stopping container {uuid}: Deployment cancelled by user"))),
    ])
}

/// Somebody has cancelled it before it began.
pub(super) fn cancelled_before() -> Vec<(Duration, Line)> {
    timed(vec![(0, bad("Deployment cancelled by user via API."))])
}

fn timed(lines: Vec<(u64, Line)>) -> Vec<(Duration, Line)> {
    lines.into_iter().map(|(at, line)| (Duration::from_millis(at), line)).collect()
}

/// The text in which Coolify stores a log: JSON, an entry a line; null while there is none.
pub(super) fn stored(lines: &[(Timestamp, Line)]) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let entry = |(at, (time, line)): (usize, &(Timestamp, Line))| {
        let batch = if line.command.is_some() { 2 } else { 1 };
        let mut entry = json!({
            "command": line.command, "output": line.text, "type": line.kind, "timestamp": instant(*time, at), "hidden": line.hidden,
            "batch": batch,
        });
        // The first entry has no order.
        if at > 0 {
            entry["order"] = json!(at + 1);
        }
        entry
    };
    let entries: Vec<Value> = lines.iter().enumerate().map(entry).collect();
    Some(slashed(&Value::Array(entries).to_string()))
}

/// JSON as PHP writes it: a slash gets a backslash.
pub(super) fn slashed(json: &str) -> String {
    json.replace('/', "\\/")
}

/// No two lines have the same time.
fn instant(time: Timestamp, at: usize) -> String {
    let later = time + SignedDuration::from_micros(i64::try_from(at).expect("small"));
    later.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

//! A Coolify 4.3.11 with state, as far as its API is used: applications of the docker-image kind, tokens with abilities, and
//! deployments that move from queued to finished with time. It has the traps of the real one: the duplicate that is
//! answered with an id that nobody ever stored, 404 for unknown routes, abilities that are missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};

/// The version that it says it is.
pub const VERSION: &str = "4.3.11";

/// How long a deployment takes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before it starts.
    pub queued: Duration,
    /// Until it ends.
    pub running: Duration,
}

/// How a deployment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Failed,
    Never,
}

struct Application {
    name: String,
    build_pack: String,
    image: String,
    tag: Option<String>,
    running: Option<String>,
}

struct Row {
    uuid: String,
    application: String,
    image: String,
    tag: String,
    created: Timestamp,
    since: Instant,
    pace: Pace,
    end: End,
    status: &'static str,
    rollback: bool,
}

type Hook = dyn Fn(&str, &str) + Send + Sync;

struct State {
    applications: BTreeMap<String, Application>,
    tokens: BTreeMap<String, Vec<String>>,
    rows: Vec<Row>,
    made: usize,
    pace: Pace,
    next_end: End,
    hook: Option<Arc<Hook>>,
}

/// The stand-in.
pub struct Coolify {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Coolify {
    /// Starts with no application and no token.
    pub fn start() -> Self {
        let pace = Pace { queued: Duration::from_millis(20), running: Duration::from_millis(60) };
        let state = State {
            applications: BTreeMap::new(),
            tokens: BTreeMap::new(),
            rows: Vec::new(),
            made: 0,
            pace,
            next_end: End::Finished,
            hook: None,
        };
        let state = Arc::new(Mutex::new(state));
        let ours = Arc::clone(&state);
        Coolify { server: Server::start(move |request| answer(&ours, request)), state }
    }

    /// The HTTP side: URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Adds an application that runs `tag`; returns its uuid.
    pub fn application(&self, name: &str, image: &str, tag: &str) -> String {
        let mut state = self.lock();
        state.made += 1;
        let uuid = format!("app{:021}", state.made);
        let application = Application {
            name: name.into(),
            build_pack: "dockerimage".into(),
            image: image.into(),
            tag: Some(tag.into()),
            running: Some(tag.into()),
        };
        state.applications.insert(uuid.clone(), application);
        let row = Row::finished(&mut state, &uuid, image, tag);
        state.rows.push(row);
        uuid
    }

    /// Adds a token with these abilities.
    pub fn token(&self, token: &str, abilities: &[&str]) {
        self.lock().tokens.insert(token.into(), abilities.iter().map(|a| (*a).to_owned()).collect());
    }

    /// How long deployments take from now on.
    pub fn pace(&self, queued: Duration, running: Duration) {
        self.lock().pace = Pace { queued, running };
    }

    /// What is called with application and tag when a deployment has finished, before the new build answers.
    pub fn on_finished(&self, hook: impl Fn(&str, &str) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// The next deployment fails.
    pub fn fail_next_deployment(&self) {
        self.lock().next_end = End::Failed;
    }

    /// The next deployment never ends.
    pub fn stall_next_deployment(&self) {
        self.lock().next_end = End::Never;
    }

    /// The tag that runs.
    pub fn running(&self, application: &str) -> Option<String> {
        advance(&self.state);
        self.lock().applications.get(application).and_then(|a| a.running.clone())
    }

    /// The tag that the next deployment would bring.
    pub fn configured(&self, application: &str) -> Option<String> {
        self.lock().applications.get(application).and_then(|a| a.tag.clone())
    }

    /// How many deployments of an application were ever started here.
    pub fn deployments(&self, application: &str) -> usize {
        // The first row is the one that the application came with.
        self.lock().rows.iter().filter(|r| r.application == application).count() - 1
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("Coolify's state")
    }
}

impl Row {
    fn finished(state: &mut State, application: &str, image: &str, tag: &str) -> Self {
        state.made += 1;
        let pace = Pace { queued: Duration::ZERO, running: Duration::ZERO };
        Row {
            uuid: format!("dep{:021}", state.made),
            application: application.into(),
            image: image.into(),
            tag: tag.into(),
            created: Timestamp::now() - jiff::SignedDuration::from_hours(24),
            since: Instant::now(),
            pace,
            end: End::Finished,
            status: "finished",
            rollback: false,
        }
    }

    fn value(&self, with_logs: bool) -> Value {
        let time = self.created.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
        let mut value = json!({
            "id": 1, "application_id": "7", "application_name": self.application, "commit": "HEAD",
            "deployment_uuid": self.uuid, "docker_registry_image_tag": null, "force_rebuild": true, "is_api": true,
            "is_webhook": false, "only_this_server": false, "pull_request_id": 0, "restart_only": false,
            "rollback": self.rollback, "server_id": 0, "status": self.status, "created_at": time, "updated_at": time,
        });
        if with_logs {
            let line = |text: String, hidden| json!({ "command": null, "output": text, "type": "stdout", "timestamp": time, "hidden": hidden, "batch": 1 });
            let mut lines = vec![line(
                format!("Starting deployment of {}:{} to localhost.", self.image, self.tag),
                false,
            )];
            if self.status == "failed" {
                lines.push(line("docker pull --quiet".into(), true));
                lines.push(line("Deployment failed: Command execution failed (exit code 1).".into(), false));
            }
            // It is a string that holds JSON.
            value["logs"] = json!(Value::Array(lines).to_string());
        }
        value
    }
}

/// Moves every deployment on as far as its time has come. The hook runs without the lock: it asks other systems.
fn advance(state: &Arc<Mutex<State>>) {
    loop {
        let due = {
            let mut guard = state.lock().expect("Coolify's state");
            let hook = guard.hook.clone();
            for row in guard.rows.iter_mut().filter(|r| r.status == "queued") {
                if row.since.elapsed() >= row.pace.queued {
                    row.status = "in_progress";
                }
            }
            let over = |row: &Row| row.since.elapsed() >= row.pace.queued + row.pace.running;
            let ends = |row: &Row| row.status == "in_progress" && row.end != End::Never && over(row);
            let row = guard.rows.iter_mut().find(|row| ends(row));
            row.map(|row| {
                // Nobody else ends this row while its container starts.
                let ending = std::mem::replace(&mut row.end, End::Never);
                (row.uuid.clone(), row.application.clone(), row.tag.clone(), ending, hook)
            })
        };
        let Some((uuid, application, tag, ending, hook)) = due else { return };
        if let (End::Finished, Some(hook)) = (ending, hook) {
            hook(&application, &tag);
        }
        let mut guard = state.lock().expect("Coolify's state");
        if let (End::Finished, Some(app)) = (ending, guard.applications.get_mut(&application)) {
            app.running = Some(tag);
        }
        if let Some(row) = guard.rows.iter_mut().find(|r| r.uuid == uuid) {
            row.status = if ending == End::Finished { "finished" } else { "failed" };
        }
    }
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({ "message": text }))
}

fn answer(state: &Arc<Mutex<State>>, request: &Request) -> Reply {
    advance(state);
    let mut state = state.lock().expect("Coolify's state");
    let segments = request.segments();
    let Some(path) = segments.strip_prefix(&["api", "v1"]) else {
        return Reply::text(302, "text/html", "").with("Location", "/login");
    };
    if path == ["health"] {
        return Reply::text(200, "text/html", "OK");
    }
    let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let Some(abilities) = state.tokens.get(token).cloned() else { return message(401, "Unauthenticated.") };
    let able = |ability: &str| abilities.iter().any(|a| a == ability || a == "root");
    let need = |ability: &str| {
        (!able(ability)).then(|| message(403, &format!("Missing required permissions: {ability}")))
    };
    let with_logs = able("read:sensitive");
    let needed = match (request.method.as_str(), path) {
        ("PATCH", _) => "write",
        ("POST", _) | ("GET", ["deploy"]) => "deploy",
        _ => "read",
    };
    if let Some(refused) = need(needed) {
        return refused;
    }
    match (request.method.as_str(), path) {
        ("GET", ["version"]) => Reply::text(200, "text/html", VERSION),
        ("GET", ["applications", uuid]) => state.show(uuid),
        ("PATCH", ["applications", uuid]) => state.patch(uuid, request),
        ("GET", ["deploy"]) => {
            message(405, "This endpoint has changed to a POST request.").with("Allow", "POST")
        }
        ("POST", ["deploy"]) => state.deploy(request),
        ("POST", ["applications", uuid, "rollback"]) => state.rollback(uuid, request),
        ("GET", ["deployments", "applications", uuid]) => state.history(uuid, request, with_logs),
        ("GET", ["deployments"]) => {
            let open = state.rows.iter().filter(|r| matches!(r.status, "queued" | "in_progress"));
            Reply::json(200, open.map(|r| r.value(with_logs)).collect())
        }
        ("GET", ["deployments", uuid]) => match state.rows.iter().find(|r| r.uuid == *uuid) {
            Some(row) => Reply::json(200, row.value(with_logs)),
            None => message(404, "Deployment not found."),
        },
        ("POST", ["deployments", uuid, "cancel"]) => state.cancel(uuid),
        _ => Reply::json(404, json!({ "message": "Not found.", "docs": "https://coolify.io/docs" })),
    }
}

impl State {
    fn show(&self, uuid: &str) -> Reply {
        let Some(app) = self.applications.get(uuid) else { return message(404, "Application not found.") };
        let status = if app.running.is_some() { "running:healthy" } else { "exited:unhealthy" };
        Reply::json(
            200,
            json!({
                "uuid": uuid, "name": app.name, "status": status, "server_status": true, "build_pack": app.build_pack,
                "git_commit_sha": "HEAD", "docker_registry_image_name": app.image,
                "docker_registry_image_tag": app.tag, "fqdn": null, "additional_servers_count": 0,
            }),
        )
    }

    fn patch(&mut self, uuid: &str, request: &Request) -> Reply {
        if !request.header("content-type").starts_with("application/json") {
            let error = "Content-Type must be application/json.";
            return Reply::json(400, json!({ "message": "Invalid request.", "error": error }));
        }
        let Some(Value::Object(body)) = request.json() else {
            return Reply::json(400, json!({ "message": "Invalid request.", "error": "Invalid JSON." }));
        };
        let invalid = |key: &str, text: &str| {
            Reply::json(422, json!({ "message": "Validation failed.", "errors": { key: [text] } }))
        };
        let Some(app) = self.applications.get_mut(uuid) else { return message(404, "Application not found") };
        for (key, value) in &body {
            let text = value.as_str().unwrap_or_default();
            match key.as_str() {
                "docker_registry_image_tag" => {
                    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                    if text.is_empty() || text.len() > 128 || !text.chars().all(good) {
                        return invalid(key, "The docker registry image tag format is invalid.");
                    }
                    app.tag = Some(text.to_owned());
                }
                "docker_registry_image_name" => app.image = text.to_owned(),
                _ => return invalid(key, "This field is not allowed."),
            }
        }
        Reply::json(200, json!({ "uuid": uuid }))
    }

    fn deploy(&mut self, request: &Request) -> Reply {
        let body = request.json().unwrap_or_default();
        let word = |key: &str| {
            let given = body.get(key).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
            given.or_else(|| request.query.get(key).cloned())
        };
        let Some(uuids) = word("uuid") else { return message(400, "You must provide uuid or tag.") };
        let force = matches!(word("force").as_deref(), Some("true" | "1"));
        let known: Vec<&str> = uuids.split(',').filter(|u| self.applications.contains_key(*u)).collect();
        if known.is_empty() {
            return message(404, "No resources found.");
        }
        let answers = known.iter().map(|uuid| self.queue(uuid, force)).collect::<Vec<_>>();
        Reply::json(200, json!({ "deployments": answers }))
    }

    /// The duplicate is answered with an id that nobody ever stored.
    fn queue(&mut self, uuid: &str, force: bool) -> Value {
        self.made += 1;
        let id = format!("dep{:021}", self.made);
        let in_flight = |r: &Row| r.application == uuid && matches!(r.status, "queued" | "in_progress");
        let mut text = "Deployment already queued for this commit.".to_owned();
        if force || !self.rows.iter().any(in_flight) {
            let app = &self.applications[uuid];
            text = format!("Application {} deployment queued.", app.name);
            let (image, tag) = (app.image.clone(), app.tag.clone().unwrap_or_else(|| "latest".into()));
            self.start(&id, uuid, image, tag, false);
        }
        json!({ "message": text, "resource_uuid": uuid, "deployment_uuid": id })
    }

    fn start(&mut self, id: &str, application: &str, image: String, tag: String, rollback: bool) {
        let end = std::mem::replace(&mut self.next_end, End::Finished);
        self.rows.push(Row {
            uuid: id.into(),
            application: application.into(),
            image,
            tag,
            created: Timestamp::now(),
            since: Instant::now(),
            pace: self.pace,
            end,
            status: "queued",
            rollback,
        });
    }

    /// As up to 4.3.11: a docker-image application is deployed with its configured tag, whatever was asked.
    fn rollback(&mut self, uuid: &str, request: &Request) -> Reply {
        let asked = request.json().and_then(|b| b.get("commit").and_then(Value::as_str).map(str::to_owned));
        let Some(_) = asked else {
            return Reply::json(
                422,
                json!({ "message": "Validation failed.", "errors": { "commit": ["required"] } }),
            );
        };
        let Some(app) = self.applications.get(uuid) else { return message(404, "Application not found.") };
        let (image, tag) = (app.image.clone(), app.tag.clone().unwrap_or_else(|| "latest".into()));
        self.made += 1;
        let id = format!("dep{:021}", self.made);
        self.start(&id, uuid, image, tag, true);
        Reply::json(200, json!({ "message": "Rollback deployment queued.", "deployment_uuid": id }))
    }

    fn history(&self, uuid: &str, request: &Request, with_logs: bool) -> Reply {
        if !self.applications.contains_key(uuid) {
            return message(404, "Application not found");
        }
        let number =
            |key: &str, usual: usize| request.query.get(key).and_then(|n| n.parse().ok()).unwrap_or(usual);
        let rows: Vec<&Row> = self.rows.iter().rev().filter(|r| r.application == uuid).collect();
        let page = rows.iter().skip(number("skip", 0)).take(number("take", 10));
        let page: Vec<Value> = page.map(|r| r.value(with_logs)).collect();
        Reply::json(200, json!({ "count": rows.len(), "deployments": page }))
    }

    fn cancel(&mut self, uuid: &str) -> Reply {
        let Some(row) = self.rows.iter_mut().find(|r| r.uuid == uuid) else {
            return message(404, "Deployment not found.");
        };
        if !matches!(row.status, "queued" | "in_progress") {
            return message(400, &format!("Deployment cannot be cancelled. Current status: {}", row.status));
        }
        row.status = "cancelled-by-user";
        let text = "Deployment cancelled successfully.";
        Reply::json(200, json!({ "message": text, "deployment_uuid": uuid, "status": row.status }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(coolify: &Coolify, path: &str) -> Value {
        let url = format!("{}/api/v1{path}", coolify.server().url());
        let request = ureq::post(url).header("Authorization", "Bearer t");
        request.send_json(json!({})).expect("answered").body_mut().read_json().expect("JSON")
    }

    #[test]
    fn a_duplicate_is_answered_with_an_id_that_does_not_exist() {
        let coolify = Coolify::start();
        coolify.pace(Duration::from_secs(60), Duration::ZERO);
        coolify.token("t", &["root"]);
        let app = coolify.application("shop", "r.example/shop", "1.0.0");
        let first = post(&coolify, &format!("/deploy?uuid={app}"));
        let second = post(&coolify, &format!("/deploy?uuid={app}"));
        assert_eq!(coolify.deployments(&app), 1);
        let id = |v: &Value| v["deployments"][0]["deployment_uuid"].as_str().expect("an id").to_owned();
        let status = |id: &str| {
            let url = format!("{}/api/v1/deployments/{id}", coolify.server().url());
            let answer =
                ureq::get(url).header("Authorization", "Bearer t").config().http_status_as_error(false);
            answer.build().call().expect("answered").status().as_u16()
        };
        assert_eq!((status(&id(&first)), status(&id(&second))), (200, 404));
    }
}

//! Applications: what they are, how well Coolify says that they are, and what may be changed of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::State;
use super::answer::message;
use super::describe::{self, Within};
use super::row;
use crate::http::{Reply, Request};

/// What Coolify calls the repository of an application that has none.
const PLACEHOLDER: &str = "coollabsio/coolify";

pub(super) struct Application {
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) build_pack: &'static str,
    pub(super) image: String,
    pub(super) tag: Option<String>,
    pub(super) branch: String,
    /// The newest commit of the branch.
    pub(super) head: String,
    /// The commits that its repository has.
    pub(super) commits: BTreeSet<String>,
    pub(super) pin: String,
    /// A Dockerfile that somebody has typed into Coolify.
    pub(super) dockerfile: Option<String>,
    pub(super) running: Option<String>,
    pub(super) auto_deploy: bool,
    /// Its first server; the others have the numbers after it.
    pub(super) server: usize,
    pub(super) extra_servers: usize,
    /// What each of the other servers runs.
    pub(super) elsewhere: Vec<Option<String>>,
    pub(super) tags: Vec<String>,
    pub(super) settings_version: usize,
    /// Coolify's hash of the settings with which it was deployed last.
    pub(super) deployed_hash: Option<String>,
    pub(super) health_check: bool,
    /// What Coolify says of it whatever is true.
    pub(super) said: Option<String>,
    /// Until when its health is told wrongly, and how.
    pub(super) alarm: Option<(Instant, &'static str)>,
    /// Images that are on its server no more.
    pub(super) pruned: Vec<String>,
    /// Images that its registry does not have.
    pub(super) unpullable: Vec<String>,
    /// Its server cannot be reached.
    pub(super) server_away: bool,
    /// How long an ssh connection to its server takes before it is given up.
    pub(super) slow_ssh: Option<Duration>,
    pub(super) updated: Timestamp,
    pub(super) online: Timestamp,
    /// Fields that a test has set; `settings.KEY` is one of its settings.
    pub(super) more: Map<String, Value>,
}

impl Default for Application {
    fn default() -> Self {
        let now = Timestamp::now();
        Application {
            id: 0,
            name: String::new(),
            build_pack: "dockerimage",
            image: String::new(),
            tag: None,
            branch: "main".into(),
            head: String::new(),
            commits: BTreeSet::new(),
            pin: "HEAD".into(),
            dockerfile: None,
            running: None,
            auto_deploy: true,
            server: 0,
            extra_servers: 0,
            elsewhere: Vec::new(),
            tags: Vec::new(),
            settings_version: 0,
            deployed_hash: None,
            health_check: false,
            said: None,
            alarm: None,
            pruned: Vec::new(),
            unpullable: Vec::new(),
            server_away: false,
            slow_ssh: None,
            updated: now,
            online: now,
            more: Map::new(),
        }
    }
}

impl Application {
    pub(super) fn of_image(name: &str, image: &str, tag: &str) -> Self {
        let tag = Some(tag.to_owned());
        Application {
            name: name.into(),
            image: image.into(),
            running: tag.clone(),
            tag,
            ..Application::default()
        }
    }

    pub(super) fn of_git(name: &str, branch: &str, commit: &str) -> Self {
        Application {
            name: name.into(),
            build_pack: "nixpacks",
            branch: branch.into(),
            head: commit.into(),
            commits: BTreeSet::from([commit.to_owned()]),
            running: Some(commit.into()),
            ..Application::default()
        }
    }

    /// One whose Dockerfile somebody has typed into Coolify.
    pub(super) fn inline(name: &str) -> Self {
        Application {
            name: name.into(),
            build_pack: "dockerfile",
            dockerfile: Some("FROM nginx:alpine".into()),
            running: Some("latest".into()),
            ..Application::default()
        }
    }

    pub(super) fn is_image(&self) -> bool {
        self.build_pack == "dockerimage"
    }

    /// It is built from a commit of a repository.
    pub(super) fn is_git(&self) -> bool {
        !self.is_image() && self.dockerfile.is_none()
    }

    pub(super) fn repository(&self) -> &'static str {
        if self.is_git() { "luxima/aceh-commerce" } else { PLACEHOLDER }
    }

    /// The image of a revision, as docker is asked for it.
    pub(super) fn image_of(&self, revision: &str) -> String {
        match revision.strip_prefix("sha256-") {
            Some(digest) => format!("{}@sha256:{digest}", self.image),
            None => format!("{}:{revision}", self.image),
        }
    }

    /// Whether a deployment that fails leaves the old containers running.
    pub(super) fn keeps_old(&self) -> bool {
        let is = |key: &str| self.more.get(key).is_some_and(|v| !v.is_null() && *v != json!(false));
        !(is("ports_mappings")
            || is("settings.is_consistent_container_name_enabled")
            || is("settings.custom_internal_name"))
    }

    /// What Coolify compares to see whether settings have changed: 64 hex digits.
    pub(super) fn hash(&self, tag: Option<&str>) -> String {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let digits = |part: u8| {
            let mut hasher = DefaultHasher::new();
            (part, self.settings_version, tag, &self.pin, &self.name).hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        };
        (0..4).map(digits).collect()
    }

    /// What Coolify says of its containers: it may be seconds behind, and one server that lacks it makes all of it degraded.
    pub(super) fn status(&self) -> String {
        let lacking = self.elsewhere.iter().any(Option::is_none);
        let word = match (&self.running, self.alarm) {
            (None, _) => "exited:unhealthy",
            (_, Some((until, word))) if Instant::now() < until => word,
            _ if lacking => "degraded:unhealthy",
            _ => "running:healthy",
        };
        self.said.clone().unwrap_or_else(|| word.to_owned())
    }

    /// The same of one of its other servers.
    pub(super) fn status_on(&self, n: usize) -> &'static str {
        match self.elsewhere.get(n) {
            Some(Some(_)) => "running:healthy",
            _ => "exited:unhealthy",
        }
    }
}

impl State {
    pub(super) fn push(&mut self, application: &str, commit: &str) {
        let mut deploys = false;
        self.change(application, |app| {
            app.head = commit.into();
            app.commits.insert(commit.into());
            deploys = app.auto_deploy && app.is_git();
        });
        if deploys {
            let commit = Some(commit.to_owned());
            self.start(application, row::Order { commit, webhook: true, ..row::Order::default() });
        }
    }

    pub(super) fn change(&mut self, application: &str, change: impl FnOnce(&mut Application)) {
        change(self.applications.get_mut(application).expect("an application"));
    }

    pub(super) fn show(&self, uuid: &str, sensitive: bool) -> Reply {
        let told = |app| describe::application(app, uuid, &self.profile, sensitive, Within::Itself);
        match self.applications.get(uuid) {
            Some(app) => Reply::json(200, told(app)),
            None => message(404, "Application not found."),
        }
    }

    /// What has been deployed lies on the server, unless it was pruned; of a server that is away the list is empty.
    pub(super) fn kept_images(&self, uuid: &str) -> Reply {
        let Some(app) = self.applications.get(uuid) else {
            return message(404, "Application not found.");
        };
        if app.server_away || app.slow_ssh.is_some() {
            return Reply::json(200, json!({ "current": null, "images": [] }));
        }
        let mut tags: Vec<&str> =
            self.brought(uuid).into_iter().filter(|tag| !app.pruned.iter().any(|p| p == tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        if app.is_git() {
            tags.push("latest");
        }
        let image = |tag: &&str| json!({ "tag": tag, "created_at": "2026-11-01 15:00:00 +0000 UTC", "is_current": false });
        let images: Vec<Value> = tags.iter().map(image).collect();
        Reply::json(200, json!({ "current": null, "images": images }))
    }

    pub(super) fn list(&self, request: &Request) -> Reply {
        let tag = request.query.get("tag");
        let all = self.applications.iter().filter(|(_, app)| tag.is_none_or(|tag| app.tags.contains(tag)));
        let told = |(uuid, app): (&String, &Application)| {
            describe::application(app, uuid, &self.profile, false, Within::List)
        };
        Reply::json(200, all.map(told).collect())
    }

    pub(super) fn patch(&mut self, uuid: &str, request: &Request) -> Reply {
        let body = match fields(request) {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        let checks_tags = self.profile.checks_tags();
        let Some(app) = self.applications.get_mut(uuid) else {
            return message(404, "Application not found");
        };
        let mut errors = Map::new();
        for (key, value) in &body {
            if let Some(why) = wrong(key, value, checks_tags) {
                errors.insert(key.clone(), json!([why]));
            }
        }
        if !errors.is_empty() {
            return Reply::json(422, json!({ "message": "Validation failed.", "errors": errors }));
        }
        for (key, value) in &body {
            let text = value.as_str().unwrap_or_default();
            match key.as_str() {
                // What is empty is stored as nothing, and deployed as `latest`.
                "docker_registry_image_tag" => {
                    let text = self.stores.take().unwrap_or_else(|| text.to_owned());
                    app.tag = Some(text).filter(|t| !t.is_empty());
                }
                "docker_registry_image_name" => app.image = text.to_owned(),
                "git_commit_sha" => app.pin = text.to_owned(),
                _ => app.auto_deploy = value == &json!(true),
            }
        }
        app.updated = Timestamp::now();
        let pin = app.pin.clone();
        if let Some((_, commit)) = self.race.take_if(|(app, commit)| app == uuid && *commit == pin) {
            self.push(uuid, &commit);
        }
        self.mask.take().unwrap_or_else(|| Reply::json(200, json!({ "uuid": uuid })))
    }
}

/// Why a field may not be set so.
fn wrong(key: &str, value: &Value, checks_tags: bool) -> Option<&'static str> {
    let text = value.as_str().unwrap_or_default();
    let good = match key {
        "docker_registry_image_tag" => value.is_null() || text.is_empty() || !checks_tags || is_tag(text),
        "docker_registry_image_name" => value.is_null() || is_repository(text),
        "git_commit_sha" => is_ref(text),
        "is_auto_deploy_enabled" => value.is_boolean(),
        _ => return Some("This field is not allowed."),
    };
    let why = match key {
        "docker_registry_image_tag" => "The docker registry image tag field format is invalid.",
        "docker_registry_image_name" => "The docker registry image name field format is invalid.",
        "git_commit_sha" => "The git commit sha field format is invalid.",
        _ => "The is auto deploy enabled field must be true or false.",
    };
    (!good).then_some(why)
}

/// The fields of a request that changes something, or what is wrong with it.
pub(super) fn fields(request: &Request) -> Result<Map<String, Value>, Reply> {
    let wrong = |error: &str| Reply::json(400, json!({ "message": "Invalid request.", "error": error }));
    if !request.header("content-type").starts_with("application/json") {
        return Err(wrong("Content-Type must be application/json."));
    }
    let Some(Value::Object(mut body)) = request.json() else { return Err(wrong("Invalid JSON.")) };
    if body.is_empty() {
        return Err(wrong("Empty JSON."));
    }
    // Words of the query count like those of the body.
    body.extend(request.query.iter().map(|(key, value)| (key.clone(), json!(value))));
    Ok(body)
}

pub(super) fn invalid(key: &str, error: &str) -> Reply {
    Reply::json(422, json!({ "message": "Validation failed.", "errors": { key: [error] } }))
}

fn is_tag(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.len() <= 128 && text.chars().all(good) && !text.starts_with(['.', '-'])
}

fn is_repository(text: &str) -> bool {
    let bare = text.strip_suffix("@sha256").unwrap_or(text);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
    bare.len() <= 255 && bare.chars().all(good) && !bare.starts_with(['.', '-', '/'])
}

/// `HEAD`, or what may name a commit.
pub(super) fn is_ref(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(good)
}

//! Applications: what is shown of them, and what may be changed.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::{CANARY, State};
use crate::http::{Reply, Request};

#[derive(Default)]
pub(super) struct Application {
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) build_pack: &'static str,
    pub(super) image: String,
    pub(super) tag: Option<String>,
    pub(super) branch: String,
    /// The newest commit of the branch.
    pub(super) head: String,
    pub(super) pin: String,
    pub(super) running: Option<String>,
    pub(super) auto_deploy: bool,
    pub(super) extra_servers: usize,
    pub(super) tags: Vec<String>,
    pub(super) settings_version: usize,
    /// What Coolify says of it whatever is true.
    pub(super) said: Option<String>,
    pub(super) alarm_until: Option<Instant>,
    /// Images that are on its server no more.
    pub(super) pruned: Vec<String>,
    /// Its server cannot be reached.
    pub(super) server_away: bool,
    /// Fields that a test has set.
    pub(super) more: Map<String, Value>,
}

impl Application {
    pub(super) fn of_image(name: &str, image: &str, tag: &str) -> Self {
        let tag = Some(tag.to_owned());
        Application {
            name: name.into(),
            build_pack: "dockerimage",
            image: image.into(),
            running: tag.clone(),
            tag,
            pin: "HEAD".into(),
            ..Application::default()
        }
    }

    pub(super) fn of_git(name: &str, branch: &str, commit: &str) -> Self {
        Application {
            name: name.into(),
            build_pack: "nixpacks",
            branch: branch.into(),
            head: commit.into(),
            pin: "HEAD".into(),
            running: Some(commit.into()),
            auto_deploy: true,
            ..Application::default()
        }
    }

    pub(super) fn is_image(&self) -> bool {
        self.build_pack == "dockerimage"
    }

    /// Whether a deployment that fails leaves the old containers running.
    pub(super) fn keeps_old(&self) -> bool {
        !self.more.contains_key("ports_mappings")
    }

    /// What Coolify compares to see whether settings have changed.
    pub(super) fn hash(&self) -> String {
        format!("hash-{}-{}-{}", self.settings_version, self.tag.as_deref().unwrap_or_default(), self.pin)
    }

    fn status(&self) -> String {
        let running = match (&self.running, self.alarm_until) {
            (None, _) => "exited:unhealthy",
            (_, Some(until)) if Instant::now() < until => "running:unhealthy",
            _ => "running:healthy",
        };
        self.said.clone().unwrap_or_else(|| running.to_owned())
    }

    /// The whole description, with what is nobody's business.
    pub(super) fn value(&self, uuid: &str, with_settings: bool) -> Value {
        let server =
            json!({ "name": "localhost", "settings": { "sentinel_token": CANARY, "force_disabled": false } });
        let mut value = json!({
            "uuid": uuid, "name": self.name, "description": null,
            "additional_servers": [], "additional_servers_count": self.extra_servers, "build_pack": self.build_pack,
            "config_hash": self.hash(), "destination": { "name": "coolify", "network": "coolify", "server": server },
            "destination_id": 3, "docker_compose_domains": null, "docker_registry_image_name": null,
            "docker_registry_image_tag": self.tag, "fqdn": null, "git_branch": self.branch, "git_commit_sha": self.pin,
            "git_repository": if self.is_image() { "coollabsio/coolify" } else { "luxima/aceh-commerce" },
            "last_restart_type": null, "manual_webhook_secret_github": CANARY, "ports_mappings": null, "restart_count": 0,
            "server_status": true, "status": self.status(), "watch_paths": null,
            "created_at": "2026-01-01T00:00:00.000000Z", "updated_at": "2026-11-01T00:00:00.000000Z",
        });
        if self.is_image() {
            value["docker_registry_image_name"] = json!(self.image);
        }
        if with_settings {
            value["settings"] = json!({
                "is_auto_deploy_enabled": self.auto_deploy, "is_consistent_container_name_enabled": false,
                "custom_internal_name": null, "docker_images_to_keep": 2,
            });
        }
        for (key, more) in &self.more {
            value[key] = more.clone();
        }
        value
    }
}

impl State {
    pub(super) fn show(&self, uuid: &str) -> Reply {
        match self.applications.get(uuid) {
            Some(app) => Reply::json(200, app.value(uuid, self.profile.is_strict())),
            None => super::answer::message(404, "Application not found."),
        }
    }

    /// What has been deployed lies on the server, unless it was pruned; of a server that is away the list is empty.
    pub(super) fn kept_images(&self, uuid: &str) -> Reply {
        let Some(app) = self.applications.get(uuid) else {
            return super::answer::message(404, "Application not found.");
        };
        let mut tags: Vec<&str> =
            self.brought(uuid).into_iter().filter(|tag| !app.pruned.iter().any(|p| p == tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        let image = |tag: &&str| json!({ "tag": tag, "created_at": "2026-11-01 15:00:00 +0000 UTC", "is_current": false });
        let images: Vec<Value> = if app.server_away { Vec::new() } else { tags.iter().map(image).collect() };
        Reply::json(200, json!({ "current": null, "images": images }))
    }

    pub(super) fn list(&self, request: &Request) -> Reply {
        let tag = request.query.get("tag");
        let all = self.applications.iter().filter(|(_, app)| tag.is_none_or(|tag| app.tags.contains(tag)));
        Reply::json(200, all.map(|(uuid, app)| app.value(uuid, self.profile.is_strict())).collect())
    }

    pub(super) fn patch(&mut self, uuid: &str, request: &Request) -> Reply {
        let body = match fields(request) {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        let checks_tags = self.profile.checks_tags();
        let Some(app) = self.applications.get_mut(uuid) else {
            return super::answer::message(404, "Application not found");
        };
        for (key, value) in &body {
            let text = value.as_str().unwrap_or_default();
            match key.as_str() {
                "docker_registry_image_tag" if checks_tags && !is_tag(text) => {
                    return invalid(key, &json!(["The docker registry image tag format is invalid."]));
                }
                "docker_registry_image_tag" => app.tag = Some(text.to_owned()),
                "docker_registry_image_name" => app.image = text.to_owned(),
                // A sentence here, a list there: so it is in the real one.
                "git_commit_sha" if !is_ref(text) => {
                    return invalid(key, &json!("The git commit sha format is invalid."));
                }
                "git_commit_sha" => app.pin = text.to_owned(),
                "is_auto_deploy_enabled" if value.is_boolean() => app.auto_deploy = value == &json!(true),
                _ => return invalid(key, &json!(["This field is not allowed."])),
            }
        }
        Reply::json(200, json!({ "uuid": uuid }))
    }
}

fn fields(request: &Request) -> Result<Map<String, Value>, Reply> {
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

pub(super) fn invalid(key: &str, errors: &Value) -> Reply {
    Reply::json(422, json!({ "message": "Validation failed.", "errors": { key: errors } }))
}

fn is_tag(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !text.is_empty() && text.len() <= 128 && text.chars().all(good) && !text.starts_with(['.', '-'])
}

/// `HEAD`, or what may name a commit.
pub(super) fn is_ref(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(good)
}

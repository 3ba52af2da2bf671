//! What starts and stops deployments.

use serde_json::{Value, json};

use super::State;
use super::answer::message;
use super::application::{fields, invalid, is_ref};
use super::row::Order;
use crate::http::{Reply, Request};

const FULL: &str = "Deployment queue is full. Please wait for existing deployments to complete.";
const BAD_REF: &str = "Invalid rollback commit: contains disallowed characters. Only alphanumeric characters, dots, hyphens, \
     underscores, and slashes are allowed.";

impl State {
    /// The queue is the server's: whatever waits there counts, of all applications; what is at work does not.
    fn is_full(&self, uuid: &str) -> bool {
        let server = self.applications[uuid].server;
        let waiting = self.rows.iter().filter(|r| r.status == "queued" && r.server == server).count();
        self.profile.has_queue_limit() && waiting >= self.queue
    }

    pub(super) fn deploy(&mut self, request: &Request) -> Reply {
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
        let mut answers = Vec::new();
        for uuid in known {
            // Looked at before the duplicate; whatever was queued before it is in no answer.
            if self.is_full(uuid) {
                return message(429, FULL).with("Retry-After", self.queue_wait);
            }
            answers.push(self.queue(uuid, force));
        }
        Reply::json(200, json!({ "deployments": answers }))
    }

    /// The duplicate is answered with an id that nobody ever stored.
    fn queue(&mut self, uuid: &str, force: bool) -> Value {
        let order = Order { api: true, force, ..Order::default() };
        let commit = self.named_commit(uuid, &order);
        let same = |r: &super::row::Row| r.application == uuid && r.is_open() && r.commit == commit;
        if !force && self.profile.finds_duplicates() && self.rows.iter().any(same) {
            self.made += 1;
            let id = format!("dep{:021}", self.made);
            let text = "Deployment already queued for this commit.";
            return json!({ "message": text, "resource_uuid": uuid, "deployment_uuid": id });
        }
        let text = format!("Application {} deployment queued.", self.applications[uuid].name);
        let id = self.start(uuid, order);
        json!({ "message": text, "resource_uuid": uuid, "deployment_uuid": id })
    }

    /// As up to 4.3.11: an application of an image is deployed with its configured tag, whatever was asked; and nobody looks
    /// whether there is such a commit.
    pub(super) fn rollback(&mut self, uuid: &str, request: &Request) -> Reply {
        let body = match fields(request) {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        if let Some(key) = body.keys().find(|key| *key != "commit") {
            return invalid(key, "This field is not allowed.");
        }
        let Some(commit) = body.get("commit").and_then(Value::as_str) else {
            return invalid("commit", "The commit field must be a string.");
        };
        if !is_ref(commit) {
            return invalid("commit", BAD_REF);
        }
        if !self.applications.contains_key(uuid) {
            return message(404, "Application not found.");
        }
        if self.is_full(uuid) {
            // Not 429 here, and no word of when.
            return message(400, FULL);
        }
        let commit = Some(commit.to_owned());
        let id = self.start(uuid, Order { commit, rollback: true, api: true, ..Order::default() });
        Reply::json(200, json!({ "message": "Rollback deployment queued.", "deployment_uuid": id }))
    }

    pub(super) fn cancel(&mut self, uuid: &str) -> Reply {
        let broken = self.profile.cancels_with_500();
        let Some(row) = self.rows.iter_mut().find(|r| r.uuid == uuid) else {
            return message(404, "Deployment not found.");
        };
        if !row.is_open() {
            return message(400, &format!("Deployment cannot be cancelled. Current status: {}", row.status));
        }
        row.cancel();
        if broken {
            return message(500, "Failed to cancel deployment: Undefined variable $application");
        }
        let text = "Deployment cancelled successfully.";
        Reply::json(200, json!({ "message": text, "deployment_uuid": uuid, "status": "cancelled-by-user" }))
    }
}

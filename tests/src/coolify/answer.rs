//! Who may ask what, and where each question goes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::State;
use crate::http::{Reply, Request};

pub(super) fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({ "message": text }))
}

fn no_route() -> Reply {
    Reply::json(404, json!({ "message": "Not found.", "docs": "https://coolify.io/docs" }))
}

pub(super) fn answer(state: &Arc<Mutex<State>>, request: &Request) -> Reply {
    super::row::advance(state);
    let mut state = state.lock().expect("Coolify's state");
    // A double slash is no route of the API.
    if request.path.contains("//") {
        return Reply::text(302, "text/html", "").with("Location", "/login");
    }
    let segments = request.segments();
    let Some(path) = segments.strip_prefix(&["api", "v1"]) else {
        return Reply::text(302, "text/html", "").with("Location", "/login");
    };
    if path == ["health"] {
        return Reply::text(200, "text/html", "OK");
    }
    let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let Some(abilities) = state.tokens.get(token).cloned() else { return message(401, "Unauthenticated.") };
    let (limit, left) = state.spend();
    let reply = match left {
        None => message(429, "Too Many Attempts.").with("Retry-After", 1),
        Some(_) => state.route(request, path, &abilities),
    };
    reply.with("X-RateLimit-Limit", limit).with("X-RateLimit-Remaining", left.unwrap_or_default())
}

impl State {
    /// One request of those that a minute has: the limit, and what is left, `None` when it was used up.
    fn spend(&mut self) -> (u32, Option<u32>) {
        let (limit, since, spent) = &mut self.rate;
        if since.elapsed() >= Duration::from_secs(60) {
            (*since, *spent) = (Instant::now(), 0);
        }
        *spent += 1;
        (*limit, limit.checked_sub(*spent))
    }

    fn route(&mut self, request: &Request, path: &[&str], abilities: &[String]) -> Reply {
        let able = |ability: &str| abilities.iter().any(|a| a == ability || a == "root");
        let needed = match (request.method.as_str(), path) {
            ("PATCH", _) => "write",
            ("POST", _) | ("GET", ["deploy"]) => "deploy",
            _ => "read",
        };
        if !able(needed) {
            return message(403, &format!("Missing required permissions: {needed}"));
        }
        let with_logs = able("read:sensitive");
        match (request.method.as_str(), path) {
            ("GET", ["version"]) => {
                Reply::text(200, "text/html; charset=UTF-8", self.profile.version.clone())
            }
            ("GET", ["applications"]) => self.list(request),
            ("GET", ["applications", uuid, "rollback-images"]) if self.profile.has_rollback() => {
                self.kept_images(uuid)
            }
            ("GET", ["applications", uuid]) => self.show(uuid),
            ("PATCH", ["applications", uuid]) => self.patch(uuid, request),
            ("GET", ["deploy"]) if self.profile.is_strict() => {
                message(405, "This endpoint has changed to a POST request.").with("Allow", "POST")
            }
            ("GET" | "POST", ["deploy"]) => self.deploy(request),
            ("POST", ["applications", uuid, "rollback"]) if self.profile.has_rollback() => {
                self.rollback(uuid, request)
            }
            ("GET", ["deployments", "applications", uuid]) => {
                // Before 4.2.0 the list shows logs to everybody who may read.
                self.history(uuid, request, with_logs || !self.profile.is_strict())
            }
            ("GET", ["deployments"]) => {
                let open = self.rows.iter().filter(|r| r.is_open());
                Reply::json(200, open.map(|r| self.row_value(r, with_logs, false)).collect())
            }
            ("GET", ["deployments", uuid]) => self.deployment(uuid, with_logs),
            ("POST", ["deployments", uuid, "cancel"]) if self.profile.has_cancel() => self.cancel(uuid),
            _ => no_route(),
        }
    }

    fn deployment(&self, uuid: &str, with_logs: bool) -> Reply {
        match self.rows.iter().find(|r| r.uuid == uuid) {
            Some(row) if !self.profile.is_blind() => Reply::json(200, self.row_value(row, with_logs, true)),
            _ => message(404, "Deployment not found."),
        }
    }

    fn history(&self, uuid: &str, request: &Request, with_logs: bool) -> Reply {
        if !self.applications.contains_key(uuid) {
            return message(404, "Application not found");
        }
        let number =
            |key: &str, usual: usize| request.query.get(key).map_or(Some(usual), |n| n.parse::<usize>().ok());
        let (Some(skip), Some(take @ 1..)) = (number("skip", 0), number("take", 10)) else {
            if !request.header("accept").starts_with("application/json") {
                return Reply::text(302, "text/html", "").with("Location", "/");
            }
            let errors = json!({ "take": ["The take field must be at least 1."] });
            return Reply::json(
                422,
                json!({ "message": "The take field must be at least 1.", "errors": errors }),
            );
        };
        let mut rows: Vec<_> = self.rows.iter().filter(|r| r.application == uuid).collect();
        // Times have no fractions; what is of the same second comes in the order of its making before 4.3.0.
        rows.sort_by_key(|r| std::cmp::Reverse(r.created.as_second()));
        if self.profile.orders_by_id() {
            rows.sort_by_key(|r| std::cmp::Reverse((r.created.as_second(), r.id)));
        }
        let page: Vec<Value> =
            rows.iter().skip(skip).take(take).map(|r| self.row_value(r, with_logs, false)).collect();
        Reply::json(200, json!({ "count": rows.len(), "deployments": page }))
    }
}

//! Who may ask what, and where each question goes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::State;
use super::log::slashed;
use crate::http::{Reply, Request};

pub(super) fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({ "message": text }))
}

fn no_route() -> Reply {
    Reply::json(404, json!({ "message": "Not found.", "docs": "https://coolify.io/docs" }))
}

/// As the framework itself writes it, over several lines.
fn pretty(status: u16, text: &str) -> Reply {
    Reply::text(status, "application/json", format!("{{\n    \"message\": \"{text}\"\n}}"))
}

/// A token: what it may do, and whose it is.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) abilities: Vec<String>,
    /// Its owner is a plain member of the team.
    pub(super) of_member: bool,
}

impl Token {
    fn able(&self, ability: &str) -> bool {
        self.abilities.iter().any(|a| a == ability || a == "root")
    }
}

/// Who is let in at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// Whoever has a token.
    #[default]
    Open,
    /// The API is switched off.
    Disabled,
    /// This address is not among the allowed ones.
    OtherAddresses,
    /// Coolify is being updated.
    Maintenance,
}

/// The requests of a minute: how many there may be, how long a minute is, since when they are counted, and how many have come.
pub(super) struct Rate {
    pub(super) limit: u32,
    pub(super) minute: Duration,
    pub(super) since: Instant,
    pub(super) spent: u32,
}

impl Rate {
    pub(super) fn of(limit: u32, minute: Duration) -> Self {
        Rate { limit, minute, since: Instant::now(), spent: 0 }
    }

    /// Spends one: what is left, `None` when they are used up.
    fn spend(&mut self) -> Option<u32> {
        if self.since.elapsed() >= self.minute {
            (self.since, self.spent) = (Instant::now(), 0);
        }
        self.spent = self.spent.saturating_add(1);
        self.limit.checked_sub(self.spent)
    }

    /// Whole seconds until the next minute begins.
    fn wait(&self) -> u64 {
        let left = self.minute.saturating_sub(self.since.elapsed());
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

pub(super) fn answer(state: &Arc<Mutex<State>>, request: &Request) -> Reply {
    super::worker::advance(state);
    let (reply, wait) = {
        let mut state = state.lock().expect("Coolify's state");
        (state.answer(request), state.ssh(request))
    };
    // Coolify's worker waits for its ssh; others are answered meanwhile.
    if let Some(wait) = wait {
        std::thread::sleep(wait);
    }
    reply
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
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
        let mut reply = self.checked(request, path).with("Cache-Control", "no-cache, private");
        if reply.headers.iter().any(|(_, value)| value == "application/json") {
            reply.body = slashed(&String::from_utf8_lossy(&reply.body)).into_bytes();
        }
        reply
    }

    fn checked(&mut self, request: &Request, path: &[&str]) -> Reply {
        if self.door == Door::Maintenance {
            return pretty(503, "Service Unavailable");
        }
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let Some(token) = self.tokens.get(token).cloned() else { return message(401, "Unauthenticated.") };
        let left = self.rate.spend();
        let reply = match (left, self.door) {
            (None, _) => {
                let wait = self.rate.wait();
                let reset = Timestamp::now().as_second().saturating_add_unsigned(wait);
                pretty(429, "Too Many Attempts.").with("Retry-After", wait).with("X-RateLimit-Reset", reset)
            }
            (_, Door::Disabled) => refused("API is disabled."),
            (_, Door::OtherAddresses) => refused("You are not allowed to access the API."),
            _ => self.route(request, path, &token),
        };
        reply
            .with("X-RateLimit-Limit", self.rate.limit)
            .with("X-RateLimit-Remaining", left.unwrap_or_default())
    }

    /// How long Coolify waits for a server before it answers.
    fn ssh(&self, request: &Request) -> Option<Duration> {
        match request.segments()[..] {
            ["api", "v1", "applications", uuid, "rollback-images"] => {
                self.applications.get(uuid).and_then(|app| app.slow_ssh)
            }
            _ => None,
        }
    }

    fn route(&mut self, request: &Request, path: &[&str], token: &Token) -> Reply {
        // A plain member's token may read and nothing else; one that could do more is turned away altogether.
        if token.of_member && token.abilities.iter().any(|ability| ability != "read") {
            return message(403, "Missing required team role.");
        }
        let needed = match (request.method.as_str(), path) {
            ("PATCH", _) => "write",
            ("POST", _) | ("GET", ["deploy"]) => "deploy",
            _ => "read",
        };
        if !token.able(needed) {
            return message(403, &format!("Missing required permissions: {needed}"));
        }
        let sensitive = token.able("read:sensitive");
        match (request.method.as_str(), path) {
            ("GET", ["version"]) => {
                Reply::text(200, "text/html; charset=UTF-8", self.profile.version.clone())
            }
            ("GET", ["applications"]) => self.list(request),
            ("GET", ["applications", uuid, "rollback-images"]) if self.profile.has_rollback() => {
                self.kept_images(uuid)
            }
            ("GET", ["applications", uuid]) => self.show(uuid, sensitive),
            ("PATCH", ["applications", uuid]) => self.patch(uuid, request),
            ("GET", ["deploy"]) if self.profile.is_strict() => {
                message(405, "This endpoint has changed to a POST request.").with("Allow", "POST")
            }
            ("GET" | "POST", ["deploy"]) => self.deploy(request),
            ("POST", ["applications", uuid, "rollback"]) if self.profile.has_rollback() => {
                self.rollback(uuid, request)
            }
            ("GET", ["deployments", "applications", uuid]) => {
                self.history(uuid, request, sensitive || self.profile.lists_logs())
            }
            ("GET", ["deployments"]) => {
                let open = self.rows.iter().filter(|r| r.is_open());
                Reply::json(200, open.map(|r| self.row_value(r, sensitive)).collect())
            }
            ("GET", ["deployments", uuid]) => self.deployment(uuid, sensitive),
            ("POST", ["deployments", uuid, "cancel"]) if self.profile.has_cancel() => self.cancel(uuid),
            _ => no_route(),
        }
    }

    fn deployment(&self, uuid: &str, with_logs: bool) -> Reply {
        match self.rows.iter().find(|r| r.uuid == uuid) {
            Some(row) if !self.profile.is_blind() => Reply::json(200, self.whole_row(row, with_logs)),
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
            let why = "The take field must be at least 1.";
            return Reply::json(422, json!({ "message": why, "errors": { "take": [why] } }));
        };
        let mut rows: Vec<_> = self.rows.iter().filter(|r| r.application == uuid).collect();
        // Times have no fractions; what is of the same second comes in the order of its making before 4.3.0.
        rows.sort_by_key(|r| std::cmp::Reverse(r.created.as_second()));
        if self.profile.orders_by_id() {
            rows.sort_by_key(|r| std::cmp::Reverse((r.created.as_second(), r.id)));
        }
        let page: Vec<Value> =
            rows.iter().skip(skip).take(take).map(|r| self.row_value(r, with_logs)).collect();
        Reply::json(200, json!({ "count": rows.len(), "deployments": page }))
    }
}

/// A refusal that calls itself a success.
fn refused(text: &str) -> Reply {
    Reply::json(403, json!({ "success": true, "message": text }))
}

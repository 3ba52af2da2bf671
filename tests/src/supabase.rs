//! Supabase's management API, as far as a project is set back by it: window, refusals, and a status that says `ACTIVE_HEALTHY` before,
//! during and after. What happens to the database is for the test to say; the API itself knows nothing of it.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};

/// The project.
pub const PROJECT: &str = "abcdefghijklmnopqrst";
/// Its token.
pub const TOKEN: &str = "sbp_canary0123456789abcdef0123456789abcdef01";

struct State {
    status: String,
    /// What the status is when a restore is over.
    ends: String,
    pitr: bool,
    earliest: i64,
    latest: i64,
    /// The instants that were asked for and accepted.
    accepted: Vec<i64>,
    /// Where restores are carried out, one after the other.
    work: Sender<i64>,
}

/// The stand-in.
pub struct Supabase {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Supabase {
    /// A healthy project with point-in-time recovery between two instants, unix seconds.
    pub fn start(earliest: i64, latest: i64, effect: impl Fn(i64) + Send + Sync + 'static) -> Self {
        let healthy = || "ACTIVE_HEALTHY".to_owned();
        let (work, orders) = channel();
        let state = State {
            status: healthy(),
            ends: healthy(),
            pitr: true,
            earliest,
            latest,
            accepted: Vec::new(),
            work,
        };
        let state = Arc::new(Mutex::new(state));
        let ours = Arc::downgrade(&state);
        // One thread for all of them, as long as we live: a server that it starts anew would end with it.
        std::thread::spawn(move || {
            for target in orders {
                effect(target);
                let Some(state) = ours.upgrade() else { break };
                let mut state = state.lock().expect("state");
                state.status = state.ends.clone();
            }
        });
        let ours = Arc::clone(&state);
        Supabase { server: Server::start(move |request| answer(&ours, request)), state }
    }

    /// URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The instants that were asked for and accepted.
    pub fn accepted(&self) -> Vec<i64> {
        self.state.lock().expect("state").accepted.clone()
    }

    /// The next restores end like this.
    pub fn end_as(&self, status: &str) {
        self.state.lock().expect("state").ends = status.into();
    }

    /// Point-in-time recovery is off.
    pub fn without_pitr(&self) {
        self.state.lock().expect("state").pitr = false;
    }

    /// Supabase has archived up to here.
    pub fn archive_up_to(&self, latest: i64) {
        self.state.lock().expect("state").latest = latest;
    }
}

fn refuse(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({ "message": message }))
}

fn answer(state: &Arc<Mutex<State>>, request: &Request) -> Reply {
    let limits = |reply: Reply| {
        reply.with("x-ratelimit-limit", 120).with("x-ratelimit-remaining", 119).with("x-ratelimit-reset", 1)
    };
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        return refuse(401, "Unauthorized");
    }
    let segments = request.segments();
    let reply = match (request.method.as_str(), segments.as_slice()) {
        (_, ["v1", "projects", project, ..]) if *project != PROJECT => refuse(404, "Project not found"),
        ("GET", ["v1", "projects", _]) => Reply::json(200, project(&state.lock().expect("state").status)),
        ("GET", ["v1", "projects", _, "health"]) if request.query.contains_key("services") => {
            Reply::json(200, json!([{ "name": "db", "healthy": true, "status": "ACTIVE_HEALTHY" }]))
        }
        ("GET", ["v1", "projects", _, "health"]) => refuse(400, "services: Required"),
        ("GET", ["v1", "projects", _, "database", "backups"]) => {
            Reply::json(200, backups(&state.lock().expect("state")))
        }
        ("POST", ["v1", "projects", _, "database", "backups", "restore-pitr"]) => restore(state, request),
        ("POST", ["v1", "projects", _, "database", "backups", ..]) => {
            refuse(400, "This endpoint is unavailable at the moment")
        }
        _ => refuse(404, "Cannot find this"),
    };
    limits(reply)
}

fn project(status: &str) -> Value {
    json!({
        "id": PROJECT, "ref": PROJECT, "organization_id": "org", "organization_slug": "org", "name": "shop", "region": "ap-southeast-1",
        "created_at": "2026-01-01T00:00:00Z", "status": status,
        "database": { "host": format!("db.{PROJECT}.supabase.co"), "version": "15.8.1.100", "postgres_engine": "15", "release_channel": "ga" },
    })
}

fn backups(state: &State) -> Value {
    let physical = if state.pitr {
        json!({ "earliest_physical_backup_date_unix": state.earliest, "latest_physical_backup_date_unix": state.latest })
    } else {
        json!({})
    };
    json!({ "region": "ap-southeast-1", "walg_enabled": true, "pitr_enabled": state.pitr, "backups": [], "physical_backup_data": physical })
}

fn restore(shared: &Arc<Mutex<State>>, request: &Request) -> Reply {
    let mut state = shared.lock().expect("state");
    let target = request.json().and_then(|body| body["recovery_time_target_unix"].as_i64());
    let Some(target) = target else {
        return refuse(400, "recovery_time_target_unix: Invalid input: expected number");
    };
    if !state.pitr {
        return refuse(400, "PITR is not enabled for this project.");
    }
    if target < state.earliest || target > state.latest {
        let message =
            format!("Recovery time target must be within range: {} <= t <= {}", state.earliest, state.latest);
        return refuse(400, &message);
    }
    state.accepted.push(target);
    state.status = "RESTORING".into();
    state.work.send(target).expect("somebody to carry it out");
    Reply::json(201, json!({}))
}

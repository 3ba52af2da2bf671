//! Deployments, and how time moves them on.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::State;
use super::application::Application;

/// How long a deployment takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Before it starts.
    pub(super) queued: Duration,
    /// Until it ends.
    pub(super) running: Duration,
    /// How often it writes a line.
    pub(super) chatter: Option<Duration>,
}

/// How a deployment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Failed,
    Never,
    As(String),
}

/// What is asked of a deployment.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// A commit that was named; else the pin, else the branch's head.
    pub(super) commit: Option<String>,
    pub(super) rollback: bool,
    pub(super) webhook: bool,
    pub(super) api: bool,
    pub(super) force: bool,
    /// 0 is the first server.
    pub(super) server: usize,
}

pub(super) struct Row {
    pub(super) id: usize,
    pub(super) uuid: String,
    pub(super) application: String,
    pub(super) created: Timestamp,
    pub(super) status: String,
    /// The column `commit`.
    pub(super) commit: String,
    /// What it brings: a tag or a commit; known from its start on.
    revision: Option<String>,
    pub(super) order: Order,
    /// It was there before the test.
    pub(super) is_old: bool,
    hash: Option<String>,
    since: Instant,
    started: Option<Instant>,
    finished: Option<Timestamp>,
    pace: Pace,
    end: End,
    lines: Vec<(String, bool)>,
}

impl Row {
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "finished" | "failed" | "cancelled-by-user")
    }

    /// The lines that its chatter has written by now.
    fn chatter(&self) -> usize {
        let (Some(started), Some(every)) = (self.started, self.pace.chatter) else { return 0 };
        if self.is_open() { (started.elapsed().as_millis() / every.as_millis().max(1)) as usize } else { 0 }
    }

    fn updated(&self) -> Timestamp {
        let chatter = i64::try_from(self.chatter()).expect("small");
        self.created + SignedDuration::from_secs(i64::try_from(self.lines.len()).expect("small") + chatter)
    }

    fn log(&self) -> Option<String> {
        if self.lines.is_empty() {
            return None;
        }
        let chatter = (0..self.chatter()).map(|n| (format!("layer {n} is there"), false));
        let entry = |(i, (text, hidden)): (usize, (String, bool))| {
            let time = self.created + SignedDuration::from_millis(i64::try_from(i).expect("small"));
            let mut entry = json!({ "command": null, "output": text, "type": "stdout", "hidden": hidden,
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(), "batch": 1 });
            // The first entry has no order.
            if i > 0 {
                entry["order"] = json!(i);
            }
            entry
        };
        let entries = self.lines.iter().cloned().chain(chatter).enumerate().map(entry).collect();
        Some(Value::Array(entries).to_string())
    }
}

impl State {
    /// A deployment that was there before.
    pub(super) fn remember(&mut self, application: &str, revision: &str) {
        let minutes = i64::try_from(self.rows.len()).expect("small");
        let created = Timestamp::now() - SignedDuration::from_hours(24) + SignedDuration::from_mins(minutes);
        self.start(application, Order::default());
        self.next_ends.clear();
        let app = &self.applications[application];
        let commit = if app.is_image() { "HEAD".to_owned() } else { revision.to_owned() };
        let first = first_line(app, revision, 0);
        let hash =
            format!("hash-{}-{}-HEAD", app.settings_version, if app.is_image() { revision } else { "" });
        let hash = self.profile.hashes_settings().then_some(hash);
        let row = self.rows.last_mut().expect("the new one");
        *row = Row {
            id: row.id,
            uuid: row.uuid.clone(),
            application: application.into(),
            created,
            status: "finished".into(),
            commit,
            revision: Some(revision.into()),
            order: Order::default(),
            is_old: true,
            hash,
            since: row.since,
            started: Some(row.since),
            finished: Some(created),
            pace: row.pace,
            end: End::Finished,
            lines: vec![(first, false)],
        };
    }

    /// The revisions that an application's finished deployments have brought.
    pub(super) fn brought(&self, application: &str) -> Vec<&str> {
        let rows = self.rows.iter().filter(|r| r.application == application && r.status == "finished");
        rows.filter_map(|r| r.revision.as_deref()).collect()
    }

    /// Queues a deployment; returns its uuid.
    pub(super) fn start(&mut self, application: &str, order: Order) -> String {
        self.made += 1;
        let uuid = format!("dep{:021}", self.made);
        let end = if self.next_ends.is_empty() { End::Finished } else { self.next_ends.remove(0) };
        let commit = self.named_commit(application, &order);
        self.rows.push(Row {
            id: self.made,
            uuid: uuid.clone(),
            application: application.into(),
            created: Timestamp::now(),
            status: "queued".into(),
            commit,
            revision: None,
            order,
            is_old: false,
            hash: None,
            since: Instant::now(),
            started: None,
            finished: None,
            pace: self.pace,
            end,
            lines: Vec::new(),
        });
        uuid
    }

    /// What a deployment is called before it has begun.
    pub(super) fn named_commit(&self, application: &str, order: &Order) -> String {
        let pin = &self.applications[application].pin;
        let pinned = Some(pin.clone()).filter(|_| self.profile.starts_with_pin());
        order.commit.clone().or(pinned).unwrap_or_else(|| "HEAD".into())
    }

    /// What is called with which revision has ended; the hook runs without the lock, because it asks other systems.
    fn begin_due(&mut self) {
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            let busy = |r: &&Row| {
                r.application == row.application
                    && r.order.server == row.order.server
                    && r.status == "in_progress"
            };
            if row.status == "queued"
                && row.since.elapsed() >= row.pace.queued
                && !self.rows.iter().any(|r| busy(&r))
            {
                self.begin(at);
            }
        }
    }

    fn begin(&mut self, at: usize) {
        let order = self.rows[at].order.clone();
        let app = &self.applications[&self.rows[at].application];
        let (mut revision, mut called) = if app.is_image() {
            (app.tag.clone().unwrap_or_else(|| "latest".into()), self.rows[at].commit.clone())
        } else {
            self.checked_out(app, &order)
        };
        if let Some(wrong) = self.wrong_build.clone() {
            if !app.is_image() {
                called.clone_from(&wrong);
            }
            revision = wrong;
        }
        let first = first_line(app, &revision, order.server);
        let hash = self.profile.hashes_settings().then(|| app.hash());
        let lines = self.lines.clone();
        let row = &mut self.rows[at];
        row.status = "in_progress".into();
        row.started = Some(Instant::now());
        row.commit = called;
        row.revision = Some(revision);
        row.hash = hash;
        row.lines = std::iter::once((first, false)).chain(lines).collect();
    }

    /// What is checked out, and what the deployment is called by.
    fn checked_out(&self, app: &Application, order: &Order) -> (String, String) {
        let pin = Some(app.pin.clone()).filter(|pin| pin != "HEAD" && self.profile.honours_pins());
        let brought =
            order.commit.clone().or(pin).filter(|c| c != "HEAD").unwrap_or_else(|| app.head.clone());
        let called = if self.profile.calls_head() && order.commit.is_none() {
            app.head.clone()
        } else {
            brought.clone()
        };
        (brought, called)
    }

    /// Ends a deployment, and queues those on the other servers.
    fn end(&mut self, uuid: &str, end: &End) {
        let Some(row) = self.rows.iter_mut().find(|r| r.uuid == uuid && r.is_open()) else { return };
        row.status = match end {
            End::Failed => "failed".into(),
            End::As(word) => word.clone(),
            End::Finished | End::Never => "finished".into(),
        };
        row.finished = Some(Timestamp::now());
        if *end == End::Failed {
            row.lines.push(("docker pull --quiet".into(), true));
            row.lines.push(("Deployment failed: Command execution failed (exit code 1).".into(), false));
        }
        let (application, revision, primary) =
            (row.application.clone(), row.revision.clone(), row.order.server == 0);
        let alarm = Instant::now() + self.false_alarm;
        let Some(app) = self.applications.get_mut(&application).filter(|_| primary) else { return };
        if *end != End::Finished {
            if !app.keeps_old() {
                app.running = None;
            }
            return;
        }
        app.running = revision;
        app.alarm_until = Some(alarm);
        for server in 1..=app.extra_servers {
            self.start(&application, Order { server, ..Order::default() });
        }
    }

    /// A deployment as it is told; on its own it has its application with all that hangs on it.
    pub(super) fn row_value(&self, row: &Row, with_logs: bool, whole: bool) -> Value {
        let app = &self.applications[&row.application];
        let time = |t: Timestamp| t.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
        let finished = row.finished.map(|t| {
            if self.profile.writes_iso_times() {
                time(t)
            } else {
                t.strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
        });
        let server = if row.order.server == 0 {
            "localhost".to_owned()
        } else {
            format!("server-{}", row.order.server)
        };
        let mut value = json!({
            "id": row.id, "application_id": app.id.to_string(), "application_name": app.name, "build_server_id": null,
            "commit": row.commit, "commit_message": null, "configuration_hash": row.hash, "current_process_id": "4711",
            "deployment_url": format!("/project/p/environment/e/application/{}/deployment/{}", row.application, row.uuid),
            "deployment_uuid": row.uuid, "destination_id": (3 + row.order.server).to_string(), "docker_registry_image_tag": null,
            "finished_at": finished, "force_rebuild": row.order.force, "git_type": null, "horizon_job_id": "1", "horizon_job_worker": "w",
            "is_api": row.order.api, "is_webhook": row.order.webhook, "only_this_server": false, "pull_request_id": 0,
            "restart_only": false, "rollback": row.order.rollback, "server_id": row.order.server, "server_name": server,
            "status": row.status, "created_at": time(row.created), "updated_at": time(row.updated()),
        });
        if with_logs {
            value["logs"] = json!(row.log());
        }
        if whole {
            value["application"] = app.value(&row.application, true);
        }
        value
    }
}

fn first_line(app: &Application, revision: &str, server: usize) -> String {
    let server = if server == 0 { "localhost".to_owned() } else { format!("server-{server}") };
    let image = match revision.strip_prefix("sha256-") {
        _ if !app.is_image() => format!("luxima/aceh-commerce:{}", app.branch),
        Some(digest) => format!("{}@sha256:{digest}", app.image),
        None => format!("{}:{revision}", app.image),
    };
    format!("Starting deployment of {image} to {server}.")
}

/// Moves every deployment on as far as its time has come. The hook runs without the lock: it asks other systems.
pub(super) fn advance(state: &Arc<Mutex<State>>) {
    loop {
        let due = {
            let mut guard = state.lock().expect("Coolify's state");
            guard.begin_due();
            let hook = guard.hook.clone();
            let over = |row: &Row| row.started.is_some_and(|at| at.elapsed() >= row.pace.running);
            let ends = |row: &Row| row.status == "in_progress" && row.end != End::Never && over(row);
            let row = guard.rows.iter_mut().find(|row| ends(row));
            row.map(|row| {
                // Nobody else ends this row while its container starts.
                let end = std::mem::replace(&mut row.end, End::Never);
                (row.uuid.clone(), row.application.clone(), row.revision.clone(), row.order.server, end, hook)
            })
        };
        let Some((uuid, application, revision, server, end, hook)) = due else { return };
        if let (End::Finished, 0, Some(hook), Some(revision)) = (&end, server, hook, revision) {
            hook(&application, &revision);
        }
        state.lock().expect("Coolify's state").end(&uuid, &end);
    }
}

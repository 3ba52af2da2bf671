//! Deployments: what is asked of one, what its log holds by now, and how it is told.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::State;
use super::describe::{self, Within, server_name};
use super::log::{self, Line};

/// So long after its status a deployment gets the time at which it finished: measured, 200 to 270 ms.
pub(super) const FINISHED_AFTER: Duration = Duration::from_millis(240);
/// How many deployments a server carries out at the same time, unless it is told otherwise.
pub(super) const BUILDS: usize = 2;

/// How long a deployment takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Others have the server's places for so long.
    pub(super) queued: Duration,
    /// It is called in progress, and no worker has begun.
    pub(super) pickup: Duration,
    /// A worker has begun, and has written nothing yet.
    pub(super) silent: Duration,
    /// Until it ends.
    pub(super) running: Duration,
    /// How often it writes a line.
    pub(super) chatter: Option<Duration>,
}

/// How a deployment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    /// The image cannot be pulled, or the build fails; so says the log.
    Failed(Option<String>),
    /// The new container does not become healthy; so says its log.
    Unhealthy(String),
    /// The server is not there.
    NotFunctional,
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
    /// Of a pull request.
    pub(super) preview: bool,
    /// On which of its servers; `None` is the first.
    pub(super) server: Option<usize>,
}

pub(super) struct Row {
    pub(super) id: usize,
    pub(super) uuid: String,
    pub(super) application: String,
    pub(super) server: usize,
    pub(super) created: Timestamp,
    pub(super) status: String,
    /// The column `commit`.
    pub(super) commit: String,
    /// The commit's message, once it was read from the repository.
    pub(super) message: Option<String>,
    /// What it brings: a tag or a commit; known from its start on.
    pub(super) revision: Option<String>,
    /// The image of its commit was on the server, and is taken as it is.
    pub(super) kept: bool,
    pub(super) order: Order,
    /// It was there before the test.
    pub(super) is_old: bool,
    pub(super) hash: Option<String>,
    pub(super) queued: Instant,
    /// Since when it is in progress.
    pub(super) taken: Option<Instant>,
    /// Since when a worker is at it.
    pub(super) began: Option<Instant>,
    pub(super) ended: Option<(Instant, Timestamp)>,
    /// How long after its end it says when that was; `None` is never.
    pub(super) finishes_after: Option<Duration>,
    pub(super) pace: Pace,
    pub(super) end: End,
    pub(super) lines: Vec<(Timestamp, Line)>,
    /// Lines that come after its end.
    pub(super) closing: Vec<(Duration, Line)>,
}

impl Row {
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.status.as_str(), "finished" | "failed" | "cancelled-by-user")
    }

    /// The lines that its chatter has written by now.
    fn chatter(&self) -> usize {
        let (Some(began), Some(every)) = (self.began, self.pace.chatter) else { return 0 };
        let until = self.ended.map_or_else(Instant::now, |(at, _)| at);
        ((until - began).as_millis() / every.as_millis().max(1)) as usize
    }

    /// Whether its worker has written anything yet.
    fn speaks(&self) -> bool {
        self.is_old || self.began.is_some_and(|at| at.elapsed() >= self.pace.silent)
    }

    /// What the log holds by now.
    fn written(&self) -> Vec<(Timestamp, Line)> {
        let mut lines = if self.speaks() { self.lines.clone() } else { Vec::new() };
        let chatter = (0..self.chatter()).map(|n| {
            let after = self.pace.chatter.unwrap_or_default() * u32::try_from(n).expect("small");
            let since = self.began.map(|at| at.elapsed()).unwrap_or_default();
            (ago(since.saturating_sub(after)), log::said(format!("layer {n} is there")))
        });
        lines.extend(chatter);
        if let Some((ended, at)) = self.ended {
            let there = self.closing.iter().filter(|(after, _)| ended.elapsed() >= *after);
            lines.extend(there.map(|(after, line)| (later(at, *after), line.clone())));
        }
        lines
    }

    /// Every line moves it, in whole seconds.
    fn updated(&self) -> Timestamp {
        let line = self.written().last().map(|(at, _)| *at);
        let ended = self.ended.map(|(_, at)| at);
        self.created.max(line.unwrap_or(self.created)).max(ended.unwrap_or(self.created))
    }

    fn finished_at(&self) -> Option<Timestamp> {
        let ((ended, at), after) = self.ended.zip(self.finishes_after)?;
        (ended.elapsed() >= after).then(|| later(at, after))
    }

    pub(super) fn ends(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        self.ended = Some((Instant::now(), Timestamp::now()));
    }

    /// Somebody cancels it. One that has not begun never says when it finished.
    pub(super) fn cancel(&mut self) {
        let began = self.began.is_some();
        self.closing = if began { log::cancelled(&self.uuid) } else { log::cancelled_before() };
        self.finishes_after = began.then_some(FINISHED_AFTER);
        self.ends("cancelled-by-user");
    }

    /// Coolify was restarted: it is marked, and nothing else is written.
    pub(super) fn sweep(&mut self) {
        (self.closing, self.finishes_after) = (Vec::new(), None);
        self.ends("failed");
    }
}

fn later(at: Timestamp, after: Duration) -> Timestamp {
    at + SignedDuration::try_from(after).expect("short")
}

fn ago(time: Duration) -> Timestamp {
    Timestamp::now() - SignedDuration::try_from(time).expect("short")
}

/// As Coolify writes instants.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
}

impl State {
    /// A deployment as the list tells it.
    pub(super) fn row_value(&self, row: &Row, with_logs: bool) -> Value {
        let app = &self.applications[&row.application];
        let finished = row.finished_at().map(|t| {
            if self.profile.writes_iso_times() {
                time(t)
            } else {
                t.strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
        });
        let begun = row.began.is_some() || row.is_old;
        let mut value = json!({
            "id": row.id, "application_id": app.id.to_string(), "application_name": app.name, "build_server_id": null,
            "commit": row.commit, "commit_message": row.message, "current_process_id": row.speaks().then_some("4711"),
            "deployment_url": format!("/project/p/environment/e/application/{}/deployment/{}", row.application, row.uuid),
            "deployment_uuid": row.uuid, "destination_id": row.server.to_string(),
            "finished_at": finished, "force_rebuild": row.order.force, "git_type": null,
            "horizon_job_id": begun.then_some("82fb81d3-e584-46ed-b420-ba400a06276c"), "horizon_job_worker": begun.then_some("vm"),
            "is_api": row.order.api, "is_webhook": row.order.webhook, "only_this_server": false, "pull_request_id": u8::from(row.order.preview) * 5,
            "restart_only": false, "rollback": row.order.rollback, "server_id": row.server, "server_name": server_name(row.server),
            "status": row.status, "created_at": time(row.created), "updated_at": time(row.updated()),
        });
        if self.profile.hashes_settings() {
            value["configuration_hash"] = json!(row.hash);
        }
        if self.profile.has_preview_tags() {
            value["docker_registry_image_tag"] = Value::Null;
        }
        if with_logs {
            let mut lines = row.written();
            if let Some((from, to)) = &self.said_instead {
                lines.iter_mut().for_each(|(_, line)| line.text = line.text.replace(from.as_str(), to));
            }
            value["logs"] = json!(log::stored(&lines));
        }
        value
    }

    /// The same on its own: with its application and all that hangs on it.
    pub(super) fn whole_row(&self, row: &Row, with_logs: bool) -> Value {
        let mut value = self.row_value(row, with_logs);
        let app = &self.applications[&row.application];
        value["application"] =
            describe::application(app, &row.application, &self.profile, false, Within::Deployment);
        value
    }
}

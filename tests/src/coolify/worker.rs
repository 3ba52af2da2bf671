//! Coolify's workers: how time moves deployments on, from the queue to their end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::State;
use super::application::Application;
use super::describe::server_name;
use super::log::{self, Line, Source, Story};
use super::row::{End, FINISHED_AFTER, Order, Row};

impl State {
    /// A deployment that was there before.
    pub(super) fn remember(&mut self, application: &str, revision: &str) {
        let minutes = i64::try_from(self.rows.len()).expect("small");
        let created = Timestamp::now() - SignedDuration::from_hours(24) + SignedDuration::from_mins(minutes);
        let planned = std::mem::take(&mut self.next_ends);
        self.start(application, Order::default());
        self.next_ends = planned;
        let Some(app) = self.applications.get_mut(application) else { return };
        let git = app.is_git();
        if git {
            app.commits.insert(revision.to_owned());
        }
        let hash = app.hash(app.is_image().then_some(revision));
        app.deployed_hash = Some(hash.clone());
        let hash = self.profile.hashes_settings().then_some(hash);
        let mut row = self.rows.pop().expect("the new one");
        row.created = created;
        row.status = "finished".into();
        row.commit = if git { revision.to_owned() } else { "HEAD".into() };
        row.message = git.then(|| format!("release of {revision}"));
        row.revision = Some(revision.into());
        (row.is_old, row.hash, row.end) = (true, hash, End::Finished);
        row.lines = self.story_lines(&row).into_iter().map(|line| (created, line)).collect();
        (row.taken, row.began) = (Some(row.queued), None);
        row.finishes_after = Some(Duration::ZERO);
        row.ended = Some((row.queued, created));
        self.rows.push(row);
    }

    fn story_lines(&self, row: &Row) -> Vec<Line> {
        log::beginning(&self.story(row))
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
        let server = order.server.unwrap_or(self.applications[application].server);
        self.rows.push(Row {
            id: self.made,
            uuid: uuid.clone(),
            application: application.into(),
            server,
            created: Timestamp::now(),
            status: "queued".into(),
            commit,
            message: None,
            revision: None,
            kept: false,
            order,
            is_old: false,
            hash: None,
            queued: Instant::now(),
            taken: None,
            began: None,
            ended: None,
            finishes_after: Some(FINISHED_AFTER),
            pace: self.pace,
            end,
            lines: Vec::new(),
            closing: Vec::new(),
        });
        uuid
    }

    /// What a deployment is called before it has begun.
    pub(super) fn named_commit(&self, application: &str, order: &Order) -> String {
        let app = &self.applications[application];
        let pinned = Some(app.pin.clone()).filter(|_| self.profile.starts_with_pin());
        order.commit.clone().or(pinned).unwrap_or_else(|| "HEAD".into())
    }

    /// A deployment is in progress once its server has a place for it, and no other of its application is at work there. Only later
    /// a worker begins.
    fn take_due(&mut self) {
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            let at_work = |r: &&Row| r.server == row.server && r.status == "in_progress";
            let others = self.rows.iter().filter(at_work);
            let free = others.clone().count() < self.builds;
            let waits = others.clone().any(|r| r.application == row.application);
            if row.status == "queued" && row.queued.elapsed() >= row.pace.queued && free && !waits {
                let row = &mut self.rows[at];
                row.status = "in_progress".into();
                row.taken = Some(Instant::now());
            }
            let row = &self.rows[at];
            let due = row.taken.is_some_and(|taken| taken.elapsed() >= row.pace.pickup);
            if row.status == "in_progress" && row.began.is_none() && due {
                self.begin(at);
            }
        }
    }

    /// A worker begins: only now an image's tag is read.
    fn begin(&mut self, at: usize) {
        let row = &self.rows[at];
        let app = &self.applications[&row.application];
        let (mut revision, mut called) = if app.is_image() {
            (app.tag.clone().unwrap_or_else(|| "latest".into()), row.commit.clone())
        } else if app.is_git() {
            self.checked_out(app, row)
        } else {
            ("latest".to_owned(), row.commit.clone())
        };
        if let Some(wrong) = self.wrong_build.clone() {
            if app.is_git() {
                called.clone_from(&wrong);
            }
            revision = wrong;
        }
        let end = refusal(app, &revision, self.wrong_build.is_some());
        let kept = self.is_kept(row, app, &revision);
        let cloned = app.is_git() && end.is_none() && !(kept && app.build_pack != "dockerfile");
        // What breaks before the containers are touched has no rollout.
        let (stand_still, unbuilt) = (app.server_away, app.is_git() && end.is_some());
        let own = self.lines.clone();
        let row = &mut self.rows[at];
        row.began = Some(Instant::now());
        row.message = cloned.then(|| format!("release of {revision}"));
        (row.commit, row.revision, row.kept) = (called, Some(revision), kept);
        if let Some(end) = end {
            row.end = end;
        }
        if stand_still {
            return;
        }
        let story = self.story(&self.rows[at]);
        let mut lines = log::beginning(&story);
        lines.extend(own.into_iter().map(|(text, hidden)| log::info(&text, hidden)));
        if !unbuilt {
            lines.extend(log::rollout(&story));
        }
        let now = Timestamp::now();
        self.rows[at].lines = lines.into_iter().map(|line| (now, line)).collect();
    }

    /// Whether the image of a commit lies on the server and would be taken as it is.
    fn is_kept(&self, row: &Row, app: &Application, revision: &str) -> bool {
        let there = self.brought(&row.application).contains(&revision);
        let same = app.deployed_hash.as_ref() == Some(&app.hash(None));
        app.is_git() && there && same && !row.order.force && !app.pruned.iter().any(|p| p == revision)
    }

    /// What is checked out, and what the deployment is called by.
    fn checked_out(&self, app: &Application, row: &Row) -> (String, String) {
        if let Some(commit) = &row.order.commit {
            return (commit.clone(), commit.clone());
        }
        // Since 4.1.0 the commit is the deployment's own from the moment on in which it was queued.
        let pin = if self.profile.starts_with_pin() { &row.commit } else { &app.pin };
        let pin = Some(pin.clone()).filter(|pin| pin != "HEAD" && self.profile.honours_pins());
        let brought = pin.unwrap_or_else(|| app.head.clone());
        let called = if self.profile.calls_head() { app.head.clone() } else { brought.clone() };
        (brought, called)
    }

    fn story<'a>(&self, row: &'a Row) -> Story<'a> {
        let app = &self.applications[&row.application];
        let revision = row.revision.clone().unwrap_or_default();
        let (what, source) = if app.is_image() {
            (app.image_of(&revision), Source::Image)
        } else if app.is_git() {
            let source = Source::Git {
                commit: revision,
                message: row.message.clone(),
                kept: row.kept,
                head: app.head.clone(),
                dockerfile: app.build_pack == "dockerfile",
            };
            (format!("{}:{}", app.repository(), app.branch), source)
        } else {
            (app.name.clone(), Source::Inline)
        };
        Story {
            uuid: &row.uuid,
            application: &row.application,
            server: server_name(row.server),
            container: format!("{}-205546714400", row.application),
            what,
            source,
            health_check: app.health_check,
            stops_first: !app.keeps_old(),
        }
    }

    /// Ends a deployment, and queues those on the other servers.
    fn end(&mut self, uuid: &str, end: &End) {
        let Some(at) = self.rows.iter().position(|r| r.uuid == uuid && r.is_open()) else { return };
        self.write_end(at, end);
        let row = &self.rows[at];
        let (application, revision, server) = (row.application.clone(), row.revision.clone(), row.server);
        let settle = self.settle;
        let Some(app) = self.applications.get_mut(&application) else { return };
        let first = server == app.server;
        if *end != End::Finished {
            if first && !app.keeps_old() {
                app.running = None;
            }
            return;
        }
        let tag = if app.is_image() { revision.clone() } else { None };
        let hash = app.hash(tag.as_deref());
        self.rows[at].hash = self.profile.hashes_settings().then(|| hash.clone());
        if !first {
            if let Some(there) = app.elsewhere.get_mut(server - app.server - 1) {
                *there = revision;
            }
            return;
        }
        let word = if app.running.is_none() { "exited:unhealthy" } else { "running:unhealthy" };
        app.alarm = Some((Instant::now() + settle, word));
        app.running = revision;
        (app.updated, app.online) = (Timestamp::now(), Timestamp::now());
        app.deployed_hash = Some(hash);
        let servers = self.applications[&application].extra_servers;
        for server in server + 1..=server + servers {
            self.start(&application, Order { server: Some(server), ..Order::default() });
        }
    }

    /// Its status, and the lines before and after it.
    fn write_end(&mut self, at: usize, end: &End) {
        let story = self.story(&self.rows[at]);
        let (id, application) = (story.uuid, story.application);
        let compose =
            format!("docker compose --project-name {application} --project-directory /artifacts/{id}");
        let pull = format!("docker exec {id} bash -c '{compose} pull'");
        let missing = format!(
            "Error response from daemon: manifest for {} not found: manifest unknown: manifest unknown",
            story.what
        );
        let word = match end {
            End::Failed(_) | End::Unhealthy(_) | End::NotFunctional => "failed",
            End::As(word) => word,
            End::Finished | End::Never => "finished",
        };
        let (before, after) = match end {
            End::Finished => log::finished(&story),
            End::Failed(why) if matches!(story.source, Source::Image) => {
                log::failed(&story, &pull, why.as_deref().unwrap_or(&missing))
            }
            End::Failed(why) => {
                let why = why.as_deref().unwrap_or("ERROR: failed to build: exit code 1");
                log::failed(&story, "docker exec bash /artifacts/build.sh", why)
            }
            End::Unhealthy(text) => log::unhealthy(&story, text),
            End::NotFunctional => log::not_functional(&story),
            End::As(word) if word == "cancelled-by-user" => (Vec::new(), log::cancelled(story.uuid)),
            End::Never | End::As(_) => (Vec::new(), Vec::new()),
        };
        let now = Timestamp::now();
        let row = &mut self.rows[at];
        row.lines.extend(before.into_iter().map(|line| (now, line)));
        row.closing = after;
        if *end == End::NotFunctional {
            row.finishes_after = None;
        }
        row.ends(word);
    }
}

/// What the world outside of Coolify has against a build: no such commit, no such image, no server.
fn refusal(app: &Application, revision: &str, wrong: bool) -> Option<End> {
    if app.server_away {
        return Some(End::NotFunctional);
    }
    if app.is_git() && !wrong && !app.commits.contains(revision) {
        return Some(End::Failed(Some(format!("fatal: remote error: upload-pack: not our ref {revision}"))));
    }
    let missing = app.is_image() && app.unpullable.iter().any(|tag| tag == revision);
    missing.then_some(End::Failed(None))
}

/// Moves every deployment on as far as its time has come. The hook runs without the lock: it asks other systems.
pub(super) fn advance(state: &Arc<Mutex<State>>) {
    loop {
        let due = {
            let mut guard = state.lock().expect("Coolify's state");
            guard.take_due();
            let hook = guard.hook.clone();
            let over = |row: &Row| row.began.is_some_and(|at| at.elapsed() >= row.pace.running);
            let ends = |row: &Row| row.status == "in_progress" && row.end != End::Never && over(row);
            let first = |row: &Row, apps: &super::Applications| row.server == apps[&row.application].server;
            let at = guard.rows.iter().position(ends);
            at.map(|at| {
                let on_first = first(&guard.rows[at], &guard.applications);
                let row = &mut guard.rows[at];
                // Nobody else ends this row while its container starts.
                let end = std::mem::replace(&mut row.end, End::Never);
                (row.uuid.clone(), row.application.clone(), row.revision.clone(), on_first, end, hook)
            })
        };
        let Some((uuid, application, revision, on_first, end, hook)) = due else { return };
        if let (End::Finished, true, Some(hook), Some(revision)) = (&end, on_first, hook, revision) {
            hook(&application, &revision);
        }
        state.lock().expect("Coolify's state").end(&uuid, &end);
    }
}

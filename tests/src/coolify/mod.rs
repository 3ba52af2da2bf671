//! A Coolify with state, as far as its API is used: applications of images and of git, tokens with abilities, and deployments that
//! move from queued to finished with time. It has the traps of the real one: the duplicate that is answered with an id that nobody
//! ever stored, 404 for unknown routes, commits that are ignored by some versions, cancellations that are answered with 500.

mod answer;
mod application;
mod deploy;
mod profile;
mod row;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::http::Server;
use application::Application;
use profile::Profile;
use row::{End, Pace, Row};

/// The version that it says it is, unless it is told another.
pub const VERSION: &str = "4.3.11";
/// What stands in every application's answer and must never be seen: its server's key and its webhook's secret.
pub const CANARY: &str = "canary-server-Qm7LwK2xR9";

type Hook = dyn Fn(&str, &str) + Send + Sync;

struct State {
    profile: Profile,
    applications: BTreeMap<String, Application>,
    tokens: BTreeMap<String, Vec<String>>,
    rows: Vec<Row>,
    made: usize,
    pace: Pace,
    next_ends: Vec<End>,
    /// Lines that every deployment's log has from now on, with whether they are hidden.
    lines: Vec<(String, bool)>,
    /// How long an application is called unhealthy after it was deployed.
    false_alarm: Duration,
    /// How many deployments may be open.
    queue: usize,
    /// Requests a minute.
    rate: (u32, Instant, u32),
    /// What a build is said to be made from, whatever it is made from.
    wrong_build: Option<String>,
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
        let state = State {
            profile: Profile::of(VERSION),
            applications: BTreeMap::new(),
            tokens: BTreeMap::new(),
            rows: Vec::new(),
            made: 0,
            pace: Pace {
                queued: Duration::from_millis(20),
                running: Duration::from_millis(60),
                chatter: None,
            },
            next_ends: Vec::new(),
            lines: Vec::new(),
            false_alarm: Duration::ZERO,
            queue: 25,
            rate: (1_000_000, Instant::now(), 0),
            wrong_build: None,
            hook: None,
        };
        let state = Arc::new(Mutex::new(state));
        let ours = Arc::clone(&state);
        Coolify { server: Server::start(move |request| answer::answer(&ours, request)), state }
    }

    /// The HTTP side: URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// From now on it is this version.
    pub fn version(&self, version: &str) {
        self.lock().profile = Profile::of(version);
    }

    /// Adds an application that runs the image with this tag; returns its uuid.
    pub fn application(&self, name: &str, image: &str, tag: &str) -> String {
        self.add(Application::of_image(name, image, tag), tag)
    }

    /// Adds an application that is built from a branch and runs this commit; returns its uuid.
    pub fn git_application(&self, name: &str, branch: &str, commit: &str) -> String {
        self.add(Application::of_git(name, branch, commit), commit)
    }

    fn add(&self, application: Application, revision: &str) -> String {
        let mut state = self.lock();
        state.made += 1;
        let uuid = format!("app{:021}", state.made);
        let id = state.made;
        state.applications.insert(uuid.clone(), Application { id, ..application });
        state.remember(&uuid, revision);
        uuid
    }

    /// Adds older builds to an application's history, oldest first; the last is what runs.
    pub fn history(&self, application: &str, revisions: &[&str]) {
        let mut state = self.lock();
        state.rows.retain(|r| r.application != application);
        for revision in revisions {
            state.remember(application, revision);
        }
        let last = revisions.last().copied().map(str::to_owned);
        state.change(application, |app| {
            if app.is_image() {
                app.tag.clone_from(&last);
            } else {
                app.head = last.clone().unwrap_or_default();
            }
            app.running = last;
        });
    }

    /// The server's cleaner has removed an image of the application.
    pub fn prune(&self, application: &str, revision: &str) {
        self.lock().change(application, |app| app.pruned.push(revision.into()));
    }

    /// The application's server cannot be reached; nothing says so but empty lists.
    pub fn server_away(&self, application: &str) {
        self.lock().change(application, |app| app.server_away = true);
    }

    /// Coolify has forgotten an application's deployments, as it does after 60 days.
    pub fn forget(&self, application: &str) {
        self.lock().rows.retain(|r| r.application != application);
    }

    /// Adds a token with these abilities.
    pub fn token(&self, token: &str, abilities: &[&str]) {
        self.lock().tokens.insert(token.into(), abilities.iter().map(|a| (*a).to_owned()).collect());
    }

    /// How long deployments take from now on.
    pub fn pace(&self, queued: Duration, running: Duration) {
        self.lock().pace = Pace { queued, running, chatter: None };
    }

    /// Deployments write a line so often from now on.
    pub fn chatter(&self, every: Duration) {
        self.lock().pace.chatter = Some(every);
    }

    /// Every deployment's log has this line from now on.
    pub fn log_line(&self, text: &str, hidden: bool) {
        self.lock().lines.push((text.into(), hidden));
    }

    /// What is called with application and revision when a deployment has finished, before the new build answers.
    pub fn on_finished(&self, hook: impl Fn(&str, &str) + Send + Sync + 'static) {
        self.lock().hook = Some(Arc::new(hook));
    }

    /// The next deployment fails.
    pub fn fail_next_deployment(&self) {
        self.lock().next_ends.push(End::Failed);
    }

    /// The next deployment never ends.
    pub fn stall_next_deployment(&self) {
        self.lock().next_ends.push(End::Never);
    }

    /// The next deployment ends with this word, which need not be one that there is.
    pub fn end_next_deployment_as(&self, status: &str) {
        self.lock().next_ends.push(End::As(status.into()));
    }

    /// The next deployment ends well.
    pub fn finish_next_deployment(&self) {
        self.lock().next_ends.push(End::Finished);
    }

    /// Coolify was restarted: whatever was on its way is marked as failed, without a word.
    pub fn restart(&self) {
        for row in self.lock().rows.iter_mut().filter(|r| r.is_open()) {
            row.status = "failed".into();
        }
    }

    /// Whatever is deployed from now on is made from this instead.
    pub fn build_instead(&self, revision: &str) {
        self.lock().wrong_build = Some(revision.into());
    }

    /// For so long after a deployment an application is called unhealthy although it is not.
    pub fn false_alarm(&self, time: Duration) {
        self.lock().false_alarm = time;
    }

    /// So many deployments may be open.
    pub fn queue_limit(&self, open: usize) {
        self.lock().queue = open;
    }

    /// So many requests a minute are answered.
    pub fn rate_limit(&self, requests: u32) {
        self.lock().rate = (requests, Instant::now(), 0);
    }

    /// What Coolify says of an application, whatever is true.
    pub fn say_status(&self, application: &str, status: &str) {
        self.lock().change(application, |app| app.said = Some(status.into()));
    }

    /// Sets a field of an application as its form in the browser would.
    pub fn set(&self, application: &str, key: &str, value: serde_json::Value) {
        self.lock().change(application, |app| {
            app.more.insert(key.into(), value);
        });
    }

    /// The application runs on so many servers besides its first.
    pub fn extra_servers(&self, application: &str, servers: usize) {
        self.lock().change(application, |app| app.extra_servers = servers);
    }

    /// Gives the application a tag in Coolify.
    pub fn tag(&self, application: &str, tag: &str) {
        self.lock().change(application, |app| app.tags.push(tag.into()));
    }

    /// Somebody changes the application's variables.
    pub fn change_settings(&self, application: &str) {
        self.lock().change(application, |app| app.settings_version += 1);
    }

    /// Somebody pushes a commit to the application's branch; where auto-deploy is on, it is deployed.
    pub fn push(&self, application: &str, commit: &str) {
        let mut state = self.lock();
        let mut deploys = false;
        state.change(application, |app| {
            app.head = commit.into();
            deploys = app.auto_deploy;
        });
        if deploys {
            state.start(
                application,
                row::Order { commit: Some(commit.into()), webhook: true, ..row::Order::default() },
            );
        }
    }

    /// Somebody presses Deploy in the browser.
    pub fn press_deploy(&self, application: &str) {
        self.lock().start(application, row::Order::default());
    }

    /// What runs: a tag, or a commit.
    pub fn running(&self, application: &str) -> Option<String> {
        row::advance(&self.state);
        self.lock().applications.get(application).and_then(|a| a.running.clone())
    }

    /// The tag that the next deployment would bring.
    pub fn configured(&self, application: &str) -> Option<String> {
        self.lock().applications.get(application).and_then(|a| a.tag.clone())
    }

    /// The commit that an application is pinned to.
    pub fn pin(&self, application: &str) -> String {
        self.lock().applications.get(application).map(|a| a.pin.clone()).unwrap_or_default()
    }

    /// Whether a push deploys.
    pub fn auto_deploys(&self, application: &str) -> bool {
        self.lock().applications.get(application).is_some_and(|a| a.auto_deploy)
    }

    /// How many deployments of an application were ever started here.
    pub fn deployments(&self, application: &str) -> usize {
        self.lock().rows.iter().filter(|r| r.application == application && !r.is_old).count()
    }

    /// The ids and states of an application's deployments, oldest first.
    pub fn states(&self, application: &str) -> Vec<(String, String)> {
        row::advance(&self.state);
        let state = self.lock();
        let rows = state.rows.iter().filter(|r| r.application == application);
        rows.map(|r| (r.uuid.clone(), r.status.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("Coolify's state")
    }
}

impl State {
    fn change(&mut self, application: &str, change: impl FnOnce(&mut Application)) {
        change(self.applications.get_mut(application).expect("an application"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn coolify(version: &str) -> Coolify {
        let coolify = Coolify::start();
        coolify.version(version);
        coolify.token("t", &["root"]);
        coolify
    }

    fn ask(coolify: &Coolify, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1{path}", coolify.server().url());
        let agent =
            ureq::Agent::new_with_config(ureq::config::Config::builder().http_status_as_error(false).build());
        let request =
            ureq::http::Request::builder().method(method).uri(url).header("Authorization", "Bearer t");
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        let mut answer = agent.run(request.expect("a request")).expect("answered");
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap_or_default())
    }

    fn post(coolify: &Coolify, path: &str, body: &Value) -> (u16, Value) {
        ask(coolify, "POST", path, body)
    }

    const X: &str = "1111111111111111111111111111111111111111";
    const Y: &str = "2222222222222222222222222222222222222222";

    #[test]
    fn a_duplicate_is_answered_with_an_id_that_does_not_exist() {
        let coolify = coolify(VERSION);
        coolify.pace(Duration::from_secs(60), Duration::ZERO);
        let app = coolify.application("shop", "r.example/shop", "1.0.0");
        let deploy = || post(&coolify, "/deploy", &json!({ "uuid": app })).1;
        let (first, second) = (deploy(), deploy());
        assert_eq!(coolify.deployments(&app), 1);
        let id = |v: &Value| v["deployments"][0]["deployment_uuid"].as_str().expect("an id").to_owned();
        let status = |id: &str| ask(&coolify, "GET", &format!("/deployments/{id}"), &Value::Null).0;
        assert_eq!((status(&id(&first)), status(&id(&second))), (200, 404));
    }

    #[test]
    fn each_version_has_its_own_idea_of_a_pin() {
        for (version, brought, called) in [("4.3.11", X, X), ("4.1.2", Y, Y), ("4.0.0-beta.460", X, Y)] {
            let coolify = coolify(version);
            coolify.pace(Duration::ZERO, Duration::ZERO);
            let app = coolify.git_application("shop", "main", Y);
            ask(&coolify, "PATCH", &format!("/applications/{app}"), &json!({ "git_commit_sha": X }));
            post(&coolify, "/deploy", &json!({ "uuid": app }));
            assert_eq!(coolify.running(&app).as_deref(), Some(brought), "{version}");
            let rows = ask(&coolify, "GET", &format!("/deployments/applications/{app}"), &Value::Null).1;
            assert_eq!(rows["deployments"][0]["commit"], called, "{version}");
        }
    }

    #[test]
    fn what_a_version_does_not_have_is_no_route() {
        for (version, status) in [("4.3.0", 200), ("4.2.0", 404)] {
            let coolify = coolify(version);
            let app = coolify.git_application("shop", "main", Y);
            let (got, body) =
                post(&coolify, &format!("/applications/{app}/rollback"), &json!({ "commit": X }));
            assert_eq!(got, status, "{version}");
            assert_eq!(body.get("docs").is_some(), status == 404, "{version}");
        }
        assert_eq!(ask(&coolify("4.2.0"), "GET", "/deploy", &Value::Null).0, 405);
        assert_eq!(ask(&coolify("4.1.2"), "GET", "/deploy", &Value::Null).0, 400);
    }

    #[test]
    fn a_cancellation_may_work_and_be_called_an_error() {
        for (version, status) in [("4.3.11", 200), ("4.3.6", 500)] {
            let coolify = coolify(version);
            coolify.stall_next_deployment();
            let app = coolify.application("shop", "r.example/shop", "1");
            let answer = post(&coolify, "/deploy", &json!({ "uuid": app })).1;
            let id = answer["deployments"][0]["deployment_uuid"].as_str().expect("an id");
            assert_eq!(
                post(&coolify, &format!("/deployments/{id}/cancel"), &json!({})).0,
                status,
                "{version}"
            );
            assert_eq!(coolify.states(&app).pop().expect("a row").1, "cancelled-by-user");
        }
    }
}

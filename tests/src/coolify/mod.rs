//! A Coolify with state, as far as its API is used: applications of images and of git, tokens with abilities, and deployments that
//! move from queued to finished with time. It is built from answers of the real one (`coolify-contract` holds it against them) and has
//! its traps: the duplicate that is answered with an id that nobody ever stored, keys that a token may not see, commits that are
//! ignored by some versions, cancellations that are answered with 500, a status that comes before the reason.

mod answer;
mod application;
mod deploy;
mod describe;
mod lies;
mod log;
mod profile;
mod row;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::http::Server;
pub use answer::Door;
use answer::{Rate, Token};
use application::Application;
use profile::Profile;
use row::{End, Pace, Row};

/// The version that it says it is, unless it is told another.
pub const VERSION: &str = "4.3.11";
/// What stands in an application's answer and must never be seen: its server's key and its webhook's secret.
pub const CANARY: &str = "canary-server-Qm7LwK2xR9";
/// A minute, in which so many requests may come.
const MINUTE: Duration = Duration::from_secs(60);

type Hook = dyn Fn(&str, &str) + Send + Sync;
type Applications = BTreeMap<String, Application>;

struct State {
    profile: Profile,
    applications: Applications,
    tokens: BTreeMap<String, Token>,
    rows: Vec<Row>,
    made: usize,
    pace: Pace,
    next_ends: Vec<End>,
    /// Lines that every deployment's log has from now on, with whether they are hidden.
    lines: Vec<(String, bool)>,
    /// How long an application's health is told wrongly after it was deployed.
    settle: Duration,
    /// How many deployments may wait for one server.
    queue: usize,
    /// What a full queue tells whoever comes to wait for, in seconds.
    queue_wait: u64,
    /// How many deployments a server carries out at the same time.
    builds: usize,
    rate: Rate,
    door: Door,
    /// What a build is said to be made from, whatever it is made from.
    wrong_build: Option<String>,
    hook: Option<Arc<Hook>>,
    /// An application whose commit somebody pushes in the moment in which it is pinned to it.
    race: Option<(String, String)>,
    /// What the next change of an application is answered with by something in front of Coolify, although it was made.
    mask: Option<crate::http::Reply>,
    /// What is stored of the next tag that is written.
    stores: Option<String>,
    /// What a log says instead of something.
    said_instead: Option<(String, String)>,
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
                pickup: Duration::ZERO,
                silent: Duration::ZERO,
                running: Duration::from_millis(60),
                chatter: None,
            },
            next_ends: Vec::new(),
            lines: Vec::new(),
            settle: Duration::from_millis(60),
            queue: 25,
            queue_wait: 60,
            builds: row::BUILDS,
            rate: Rate::of(1_000_000, MINUTE),
            door: Door::Open,
            wrong_build: None,
            hook: None,
            race: None,
            mask: None,
            stores: None,
            said_instead: None,
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
        self.add(Application::of_image(name, image, tag), Some(tag))
    }

    /// Adds an application of an image that was never deployed; returns its uuid.
    pub fn new_application(&self, name: &str, image: &str) -> String {
        let never = Application { running: None, tag: None, ..Application::of_image(name, image, "") };
        self.add(never, None)
    }

    /// Adds an application that was made from an image by its digest, 64 hex digits; returns its uuid.
    pub fn digest_application(&self, name: &str, image: &str, digest: &str) -> String {
        self.add(Application::of_image(name, &format!("{image}@sha256"), digest), Some(digest))
    }

    /// Adds an application that is built from a branch and runs this commit; returns its uuid.
    pub fn git_application(&self, name: &str, branch: &str, commit: &str) -> String {
        self.add(Application::of_git(name, branch, commit), Some(commit))
    }

    /// Adds an application that is built from a Dockerfile that somebody has typed into Coolify; returns its uuid.
    pub fn inline_application(&self, name: &str) -> String {
        self.add(Application::inline(name), Some("latest"))
    }

    fn add(&self, application: Application, revision: Option<&str>) -> String {
        let mut state = self.lock();
        state.made += 1;
        let uuid = format!("app{:021}", state.made);
        let id = state.made;
        state.applications.insert(uuid.clone(), Application { id, ..application });
        if let Some(revision) = revision {
            state.remember(&uuid, revision);
        }
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

    /// The application's repository has these commits too.
    pub fn commits(&self, application: &str, commits: &[&str]) {
        self.lock().change(application, |app| app.commits.extend(commits.iter().map(|c| (*c).to_owned())));
    }

    /// How the application is built: nixpacks, dockerfile ...
    pub fn build_pack(&self, application: &str, pack: &'static str) {
        self.lock().change(application, |app| app.build_pack = pack);
    }

    /// Coolify looks whether a new container is healthy.
    pub fn health_check(&self, application: &str) {
        self.lock().change(application, |app| app.health_check = true);
    }

    /// The server's cleaner has removed an image of the application.
    pub fn prune(&self, application: &str, revision: &str) {
        self.lock().change(application, |app| app.pruned.push(revision.into()));
    }

    /// The registry does not have this image of the application: what deploys it fails.
    pub fn cannot_pull(&self, application: &str, tag: &str) {
        self.lock().change(application, |app| app.unpullable.push(tag.into()));
    }

    /// The application's server cannot be reached: what is deployed there fails, and lists of what lies there are empty.
    pub fn server_away(&self, application: &str) {
        self.lock().change(application, |app| app.server_away = true);
    }

    /// An ssh connection to the application's server is given up after so long; the real one takes 73 s.
    pub fn slow_ssh(&self, application: &str, time: Duration) {
        self.lock().change(application, |app| app.slow_ssh = Some(time));
    }

    /// The application lives on this server; 0 is the first.
    pub fn on_server(&self, application: &str, server: usize) {
        self.lock().change(application, |app| app.server = server);
    }

    /// Coolify has forgotten an application's deployments, as it does after 60 days.
    pub fn forget(&self, application: &str) {
        self.lock().rows.retain(|r| r.application != application);
    }

    /// Adds a token with these abilities; its owner is an admin of the team.
    pub fn token(&self, token: &str, abilities: &[&str]) {
        self.add_token(token, abilities, false);
    }

    /// Adds a token whose owner is a plain member of the team.
    pub fn member_token(&self, token: &str, abilities: &[&str]) {
        self.add_token(token, abilities, true);
    }

    fn add_token(&self, token: &str, abilities: &[&str], of_member: bool) {
        let abilities = abilities.iter().map(|a| (*a).to_owned()).collect();
        self.lock().tokens.insert(token.into(), Token { abilities, of_member });
    }

    /// Who is let in from now on.
    pub fn door(&self, door: Door) {
        self.lock().door = door;
    }

    /// How long deployments take from now on.
    pub fn pace(&self, queued: Duration, running: Duration) {
        let mut state = self.lock();
        state.pace = Pace { queued, running, chatter: None, ..state.pace };
    }

    /// So long after a deployment is in progress a worker begins with it.
    pub fn pickup(&self, time: Duration) {
        self.lock().pace.pickup = time;
    }

    /// So long after a worker has begun it writes its first line.
    pub fn silent(&self, time: Duration) {
        self.lock().pace.silent = time;
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

    /// The next deployment fails: its image cannot be pulled, or its build breaks.
    pub fn fail_next_deployment(&self) {
        self.lock().next_ends.push(End::Failed(None));
    }

    /// The next deployment fails with these words in its log.
    pub fn fail_next_deployment_with(&self, why: &str) {
        self.lock().next_ends.push(End::Failed(Some(why.into())));
    }

    /// The new container of the next deployment does not become healthy; this is what it writes.
    pub fn next_deployment_is_unhealthy(&self, container_log: &str) {
        self.lock().next_ends.push(End::Unhealthy(container_log.into()));
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
        self.lock().rows.iter_mut().filter(|r| r.is_open()).for_each(Row::sweep);
    }

    /// Whatever is deployed from now on is made from this instead.
    pub fn build_instead(&self, revision: &str) {
        self.lock().wrong_build = Some(revision.into());
    }

    /// For so long after a deployment an application is called unhealthy although it is not.
    pub fn false_alarm(&self, time: Duration) {
        self.lock().settle = time;
    }

    /// So many deployments may wait for one server.
    pub fn queue_limit(&self, waiting: usize) {
        self.lock().queue = waiting;
    }

    /// Whoever finds the queue full is told to wait for so many seconds; the real one says 60.
    pub fn queue_wait(&self, seconds: u64) {
        self.lock().queue_wait = seconds;
    }

    /// A server carries out so many deployments at the same time.
    pub fn concurrent_builds(&self, builds: usize) {
        self.lock().builds = builds;
    }

    /// So many requests a minute are answered; who comes too often is told to wait until the minute is over.
    pub fn rate_limit(&self, requests: u32) {
        self.lock().rate = Rate::of(requests, MINUTE);
    }

    /// The same, with a shorter minute.
    pub fn rate_limit_within(&self, requests: u32, minute: Duration) {
        self.lock().rate = Rate::of(requests, minute);
    }

    /// What Coolify says of an application, whatever is true.
    pub fn say_status(&self, application: &str, status: &str) {
        self.lock().change(application, |app| app.said = Some(status.into()));
    }

    /// Sets a field of an application as its form in the browser would; `settings.KEY` is one of its settings.
    pub fn set(&self, application: &str, key: &str, value: serde_json::Value) {
        self.lock().change(application, |app| {
            app.more.insert(key.into(), value);
        });
    }

    /// The application runs on so many servers besides its first.
    pub fn extra_servers(&self, application: &str, servers: usize) {
        self.lock().change(application, |app| {
            app.extra_servers = servers;
            app.elsewhere = vec![app.running.clone(); servers];
        });
    }

    /// The application gets one more server, on which nothing runs yet.
    pub fn add_server(&self, application: &str) {
        self.lock().change(application, |app| {
            app.extra_servers += 1;
            app.elsewhere.push(None);
        });
    }

    /// Gives the application a tag in Coolify.
    pub fn tag(&self, application: &str, tag: &str) {
        self.lock().change(application, |app| app.tags.push(tag.into()));
    }

    /// Somebody changes the application's variables.
    pub fn change_settings(&self, application: &str) {
        self.lock().change(application, |app| app.settings_version += 1);
    }

    /// Somebody writes a tag into the application in the browser.
    pub fn configure(&self, application: &str, tag: &str) {
        self.lock().change(application, |app| app.tag = Some(tag.into()));
    }

    /// Somebody pushes a commit to the application's branch; where auto-deploy is on, it is deployed.
    pub fn push(&self, application: &str, commit: &str) {
        self.lock().push(application, commit);
    }

    /// Somebody pushes this commit as soon as the application is pinned to it.
    pub fn push_when_pinned(&self, application: &str, commit: &str) {
        self.lock().race = Some((application.to_owned(), commit.to_owned()));
    }

    /// Somebody presses Deploy, or restarts an image's application, in the browser.
    pub fn press_deploy(&self, application: &str) {
        self.lock().start(application, row::Order::default());
    }

    /// What runs: a tag, or a commit.
    pub fn running(&self, application: &str) -> Option<String> {
        worker::advance(&self.state);
        self.lock().applications.get(application).and_then(|a| a.running.clone())
    }

    /// The tag that the next deployment would bring.
    pub fn configured(&self, application: &str) -> Option<String> {
        self.lock().applications.get(application).and_then(|a| a.tag.clone())
    }

    /// The image's repository, as the application has it.
    pub fn repository(&self, application: &str) -> String {
        self.lock().applications.get(application).map(|a| a.image.clone()).unwrap_or_default()
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
        worker::advance(&self.state);
        let state = self.lock();
        let rows = state.rows.iter().filter(|r| r.application == application);
        rows.map(|r| (r.uuid.clone(), r.status.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("Coolify's state")
    }
}

#[cfg(test)]
mod tests;

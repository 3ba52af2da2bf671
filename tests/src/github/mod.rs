//! GitHub's REST API, as far as it says what is green and reviewed: tokens and what they may read, pages, ETags, the quota, and the answers
//! that look like success and are none. It only answers; nothing here can be changed over HTTP.

mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::http::{Reply, Request, Server};

/// Who owns the repository.
pub const OWNER: &str = "luxima";
/// Its name.
pub const NAME: &str = "aceh-commerce";
/// A token that may read everything.
pub const TOKEN: &str = "ghp_canary0123456789abcdefghijklmnopqrst";
/// A fine-grained one: no right to read checks exists for it.
pub const FINE_GRAINED: &str = "github_pat_canary0123456789abcdefghijklmnop";
/// One that may read neither checks nor statuses, but could.
pub const WEAK: &str = "ghs_canary0123456789abcdefghijklmnopqrstuv";

/// A check of a commit; a job of Actions too.
#[derive(Clone, Debug)]
pub struct Check {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) suite: u64,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
}

/// A status of a commit.
#[derive(Clone, Debug)]
pub struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
}

/// A pull request.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Who has opened it.
    pub author: String,
    /// The commit that is to be merged.
    pub head: String,
    /// Its branch.
    pub from: String,
    /// The branch that it goes to.
    pub into: String,
    /// The commit that it was merged with.
    pub merge: Option<String>,
    /// The commits in it.
    pub commits: Vec<String>,
    /// When it was last touched.
    pub at: String,
}

/// A review of a pull request.
#[derive(Clone, Debug)]
pub struct Review {
    pub(crate) user: String,
    pub(crate) state: String,
    pub(crate) commit: String,
}

type Twist = Box<dyn Fn(&mut Value) + Send>;

struct State {
    commits: BTreeSet<String>,
    checks: Vec<Check>,
    statuses: Vec<Status>,
    pulls: Vec<Pull>,
    reviews: BTreeMap<u64, Vec<Review>>,
    rules: BTreeMap<String, Vec<String>>,
    tags: BTreeMap<String, String>,
    private: bool,
    next: u64,
    /// What is left of the quota, and when it is full again, unix seconds.
    quota: u64,
    reset: u64,
    twists: Vec<(String, Twist)>,
}

/// The stand-in.
pub struct Github {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Github {
    /// An empty repository.
    pub fn start() -> Self {
        let state = State {
            commits: BTreeSet::new(),
            checks: Vec::new(),
            statuses: Vec::new(),
            pulls: Vec::new(),
            reviews: BTreeMap::new(),
            rules: BTreeMap::new(),
            tags: BTreeMap::new(),
            private: true,
            next: 0,
            quota: 5000,
            reset: 0,
            twists: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let ours = Arc::clone(&state);
        Github { server: Server::start(move |request| answer(&mut locked(&ours), request)), state }
    }

    /// URL, log, faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// A commit was pushed.
    pub fn push(&self, sha: &str) {
        self.state().commits.insert(sha.to_owned());
    }

    /// A check of a commit, in a suite (1, 2, ...): in the same one a later check of the same name takes the place of an earlier one. It ended
    /// with a word, or `status` says how it stands.
    pub fn check_in(&self, suite: u64, sha: &str, name: &str, status: &str, conclusion: Option<&str>) {
        let mut state = self.state();
        state.commits.insert(sha.to_owned());
        state.next += 1;
        let (id, conclusion) = (state.next, conclusion.map(str::to_owned));
        state.checks.push(Check {
            id,
            sha: sha.to_owned(),
            suite,
            name: name.to_owned(),
            status: status.to_owned(),
            conclusion,
        });
    }

    /// A check that has ended.
    pub fn check(&self, sha: &str, name: &str, conclusion: &str) {
        self.check_in(1, sha, name, "completed", Some(conclusion));
    }

    /// A status, which takes the place of an earlier one.
    pub fn status(&self, sha: &str, context: &str, word: &str) {
        let mut state = self.state();
        state.commits.insert(sha.to_owned());
        state.next += 1;
        let id = state.next;
        state.statuses.retain(|known| known.sha != sha || known.context != context);
        state.statuses.push(Status {
            id,
            sha: sha.to_owned(),
            context: context.to_owned(),
            state: word.to_owned(),
        });
    }

    /// A pull request.
    pub fn pull(&self, pull: Pull) {
        let mut state = self.state();
        let commits: Vec<String> =
            pull.commits.iter().chain([&pull.head]).chain(&pull.merge).cloned().collect();
        state.commits.extend(commits);
        state.pulls.push(pull);
    }

    /// A review of a commit of a pull request; the user `""` is one whose account is gone.
    pub fn review(&self, number: u64, user: &str, word: &str, commit: &str) {
        let review = Review { user: user.to_owned(), state: word.to_owned(), commit: commit.to_owned() };
        self.state().reviews.entry(number).or_default().push(review);
    }

    /// A tag, and what its ref is at.
    pub fn tag(&self, name: &str, object: &str) {
        self.state().tags.insert(name.to_owned(), object.to_owned());
    }

    /// What the rules of a branch require.
    pub fn require(&self, branch: &str, contexts: &[&str]) {
        self.state().rules.insert(branch.to_owned(), contexts.iter().map(|c| (*c).to_owned()).collect());
    }

    /// Everybody may see the repository.
    pub fn public(&self) {
        self.state().private = false;
    }

    /// So many requests are answered until `reset`, unix seconds.
    pub fn quota(&self, left: u64, reset: u64) {
        let mut state = self.state();
        (state.quota, state.reset) = (left, reset);
    }

    /// What is left of the quota.
    pub fn left(&self) -> u64 {
        self.state().quota
    }

    /// From now on answers whose path ends so are changed before they are sent.
    pub fn twist(&self, end: &str, twist: impl Fn(&mut Value) + Send + 'static) {
        self.state().twists.push((end.to_owned(), Box::new(twist)));
    }
}

fn locked(state: &Arc<Mutex<State>>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(status: u16, message: &str) -> Reply {
    Reply::json(
        status,
        json!({ "message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() }),
    )
}

fn answer(state: &mut State, request: &Request) -> Reply {
    if request.header("user-agent").is_empty() {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Reply::text(403, "text/html", text);
    }
    if !["", "2022-11-28"].contains(&request.header("x-github-api-version")) {
        return refuse(400, "The API version is not supported");
    }
    let token = request.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if ![TOKEN, FINE_GRAINED, WEAK].contains(&token) {
        return refuse(401, "Bad credentials");
    }
    let now = u64::try_from(jiff::Timestamp::now().as_second()).expect("after 1970");
    if state.quota == 0 && state.reset > 0 && state.reset <= now {
        (state.quota, state.reset) = (5000, 0);
    }
    let reply = limited(state, token, request);
    let reset = if state.reset == 0 { now + 3600 } else { state.reset };
    reply
        .with("X-RateLimit-Limit", 5000)
        .with("X-RateLimit-Remaining", state.quota)
        .with("X-RateLimit-Reset", reset)
}

/// An answer that costs one of the quota, unless it is what whoever asks has already.
fn limited(state: &mut State, token: &str, request: &Request) -> Reply {
    if state.quota == 0 {
        return refuse(403, "API rate limit exceeded for user ID 1.");
    }
    let reply = routed(state, token, request);
    if reply.status == 200 {
        let mut hash = DefaultHasher::new();
        reply.body.hash(&mut hash);
        let etag = format!("W/\"{:016x}\"", hash.finish());
        if request.header("if-none-match") == etag {
            return Reply::text(304, "application/json", "").with("ETag", etag);
        }
        state.quota -= 1;
        return reply.with("ETag", etag);
    }
    state.quota -= 1;
    reply
}

fn routed(state: &State, token: &str, request: &Request) -> Reply {
    let segments = request.segments();
    let rest = match segments.as_slice() {
        ["repos", owner, name, rest @ ..] if *owner == OWNER && *name == NAME => rest,
        _ => return refuse(404, "Not Found"),
    };
    if request.method != "GET" {
        return refuse(404, "Not Found");
    }
    if let Some(refusal) = forbidden(token, rest) {
        return refusal;
    }
    let is_unknown = matches!(rest, ["commits", sha, ..] if !state.commits.contains(*sha));
    if is_unknown {
        return refuse(422, &format!("No commit found for SHA: {}", rest[1]));
    }
    match rest {
        ["commits", sha, what] => of_commit(state, request, sha, what),
        ["actions", "runs", rest @ ..] => of_actions(state, request, rest),
        ["pulls", rest @ ..] => of_pulls(state, request, rest),
        ["rules", "branches", branch] => {
            let rules =
                state.rules.get(*branch).map(|contexts| vec![shape::rule(contexts)]).unwrap_or_default();
            listed(state, request, rules)
        }
        ["git", "ref", "tags", name] => match state.tags.get(*name) {
            Some(sha) => {
                let object = json!({ "type": "tag", "sha": sha });
                Reply::json(200, json!({ "ref": format!("refs/tags/{name}"), "object": object }))
            }
            None => refuse(404, "Not Found"),
        },
        _ => refuse(404, "Not Found"),
    }
}

fn of_commit(state: &State, request: &Request, sha: &str, what: &str) -> Reply {
    match what {
        "check-runs" => {
            let all = latest(state, |check| check.sha == sha, request.query.get("filter"));
            counted(state, request, "check_runs", all.into_iter().map(shape::check_run).collect())
        }
        "status" => {
            let all: Vec<Value> = state.statuses.iter().filter(|s| s.sha == sha).map(shape::status).collect();
            let (total, (page, link)) = (all.len(), cut(request, all));
            sent(state, request, shape::combined(sha, total, &page), link)
        }
        "pulls" => {
            let has = |pull: &&Pull| pull.commits.iter().chain(&pull.merge).any(|id| id == sha);
            let all = state.pulls.iter().filter(has).map(|pull| shape::pull(pull, state.private));
            listed(state, request, all.collect())
        }
        _ => refuse(404, "Not Found"),
    }
}

fn of_actions(state: &State, request: &Request, rest: &[&str]) -> Reply {
    match rest {
        [] => {
            let sha = request.query.get("head_sha").cloned().unwrap_or_default();
            counted(state, request, "workflow_runs", runs(state, &sha))
        }
        [id, "jobs"] => {
            let all = latest(state, |check| check.suite.to_string() == *id, request.query.get("filter"));
            counted(state, request, "jobs", all.into_iter().map(shape::job).collect())
        }
        _ => refuse(404, "Not Found"),
    }
}

fn of_pulls(state: &State, request: &Request, rest: &[&str]) -> Reply {
    let known = |number: &&str| number.parse().ok().filter(|n| state.pulls.iter().any(|p| p.number == *n));
    match rest {
        [] => listed(state, request, pulls(state, request)),
        [number, "reviews"] => match known(number) {
            Some(number) => {
                let all = state.reviews.get(&number).map(Vec::as_slice).unwrap_or_default();
                let all = all.iter().enumerate().map(|(n, one)| shape::review(number, n, one));
                listed(state, request, all.collect())
            }
            None => refuse(404, "Not Found"),
        },
        _ => refuse(404, "Not Found"),
    }
}

/// What a token may not read.
fn forbidden(token: &str, rest: &[&str]) -> Option<Reply> {
    let is_checks = matches!(rest, ["commits", _, "check-runs"]);
    let is_status = matches!(rest, ["commits", _, "status"]);
    match token {
        FINE_GRAINED if is_checks => Some(refuse(403, "Resource not accessible by personal access token")),
        WEAK if is_checks || is_status => {
            let right = if is_checks { "checks=read" } else { "statuses=read" };
            Some(
                refuse(403, "Resource not accessible by integration")
                    .with("X-Accepted-GitHub-Permissions", right),
            )
        }
        _ => None,
    }
}

/// The newest of each name and suite, unless all are asked for; the newest first.
fn latest<'a>(state: &'a State, is_of: impl Fn(&Check) -> bool, filter: Option<&String>) -> Vec<&'a Check> {
    let mut seen = BTreeSet::new();
    let all = filter.is_some_and(|word| word == "all");
    let newest = state.checks.iter().rev().filter(|check| is_of(check));
    newest.filter(|check| seen.insert((check.suite, &check.name)) || all).collect()
}

fn runs(state: &State, sha: &str) -> Vec<Value> {
    let suites: BTreeSet<u64> =
        state.checks.iter().filter(|check| check.sha == sha).map(|check| check.suite).collect();
    let of = |suite: u64| latest(state, |check| check.suite == suite && check.sha == sha, None);
    suites.into_iter().map(|suite| shape::workflow_run(suite, &of(suite))).collect()
}

/// Pull requests, the one that was touched last first.
fn pulls(state: &State, request: &Request) -> Vec<Value> {
    let wanted = request.query.get("state").map_or("open", String::as_str);
    let is_wanted = |pull: &&Pull| match wanted {
        "closed" => pull.merge.is_some(),
        "all" => true,
        _ => pull.merge.is_none(),
    };
    let mut all: Vec<&Pull> = state.pulls.iter().filter(is_wanted).collect();
    all.sort_by(|a, b| (&b.at, b.number).cmp(&(&a.at, a.number)));
    all.into_iter().map(|pull| shape::pull(pull, state.private)).collect()
}

/// One page, and the header that says which others there are.
fn cut(request: &Request, all: Vec<Value>) -> (Vec<Value>, Option<String>) {
    let number = |key: &str, otherwise: usize| {
        request.query.get(key).and_then(|n| n.parse().ok()).unwrap_or(otherwise)
    };
    let (size, page) = (number("per_page", 30).clamp(1, 100), number("page", 1).max(1));
    let link = (all.len() > size * page)
        .then(|| format!("<https://evil.example/steal?page={}>; rel=\"next\"", page + 1));
    (all.into_iter().skip(size * (page - 1)).take(size).collect(), link)
}

fn counted(state: &State, request: &Request, key: &str, all: Vec<Value>) -> Reply {
    let (total, (page, link)) = (all.len(), cut(request, all));
    sent(state, request, json!({ "total_count": total, key: page }), link)
}

fn listed(state: &State, request: &Request, all: Vec<Value>) -> Reply {
    let (page, link) = cut(request, all);
    sent(state, request, json!(page), link)
}

fn sent(state: &State, request: &Request, mut value: Value, link: Option<String>) -> Reply {
    for (end, twist) in &state.twists {
        if request.path.ends_with(end) {
            twist(&mut value);
        }
    }
    let reply = Reply::json(200, value);
    match link {
        Some(link) => reply.with("Link", link),
        None => reply,
    }
}

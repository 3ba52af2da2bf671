//! Answers in the shape in which GitHub describes them, with everything that it says is always there.

use serde_json::{Map, Value, json};

use super::{Check, NAME, OWNER, Pull, Review, Status};

const API: &str = "https://api.github.com";
const WHEN: &str = "2026-11-25T12:00:00Z";

fn api(path: &str) -> String {
    format!("{API}/repos/{OWNER}/{NAME}{path}")
}

/// Somebody, or nobody any more.
pub fn user(login: &str) -> Value {
    if login.is_empty() {
        return Value::Null;
    }
    let url = |end: &str| format!("{API}/users/{login}{end}");
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    json!({ "login": login, "id": login.len(), "node_id": "U_1", "avatar_url": "https://github.com/images/error/octocat_happy.gif",
        "gravatar_id": "", "url": url(""), "html_url": format!("https://github.com/{login}"), "followers_url": url("/followers"),
        "following_url": url("/following{/other_user}"), "gists_url": url("/gists{/gist_id}"), "starred_url": url("/starred{/owner}{/repo}"),
        "subscriptions_url": url("/subscriptions"), "organizations_url": url("/orgs"), "repos_url": url("/repos"),
        "events_url": url("/events{/privacy}"), "received_events_url": url("/received_events"), "type": kind, "site_admin": false })
}

/// What a repository has a URL for, each with `_url` behind it.
const URLS: &str = "archive assignees blobs branches collaborators comments commits compare contents contributors deployments downloads \
    events forks git_commits git_refs git_tags hooks issue_comment issue_events issues keys labels languages merges milestones \
    notifications pulls releases stargazers statuses subscribers subscription tags teams trees";
/// What it counts.
const COUNTS: &str =
    "forks forks_count open_issues open_issues_count size stargazers_count watchers watchers_count";
/// What it may be or have.
const FLAGS: &str = "fork has_downloads has_issues has_projects has_wiki has_pages archived disabled";
/// What nobody has said of it.
const NOTHING: &str = "description homepage language mirror_url license";

/// The repository.
pub fn repository(private: bool) -> Value {
    let mut all = Map::new();
    all.extend(URLS.split_whitespace().map(|word| (format!("{word}_url"), json!(api(&format!("/{word}"))))));
    for (words, value) in [(COUNTS, json!(1)), (FLAGS, json!(false)), (NOTHING, Value::Null)] {
        all.extend(words.split_whitespace().map(|word| (word.to_owned(), value.clone())));
    }
    let web = format!("https://github.com/{OWNER}/{NAME}");
    let rest = json!({ "id": 1, "node_id": "R_1", "name": NAME, "full_name": format!("{OWNER}/{NAME}"), "owner": user(OWNER),
        "private": private, "html_url": web, "url": api(""), "default_branch": "main", "clone_url": format!("{web}.git"),
        "git_url": format!("git:github.com/{OWNER}/{NAME}.git"), "ssh_url": format!("git@github.com:{OWNER}/{NAME}.git"), "svn_url": web,
        "pushed_at": WHEN, "created_at": WHEN, "updated_at": WHEN });
    all.extend(rest.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// A check run.
pub fn check_run(check: &Check) -> Value {
    let url = api(&format!("/check-runs/{}", check.id));
    let over = if check.status == "completed" { json!(WHEN) } else { Value::Null };
    let app = json!({ "id": 15368, "slug": "github-actions", "node_id": "A_1", "owner": user("github"), "name": "GitHub Actions",
        "description": "", "external_url": "https://help.github.com/en/actions", "html_url": "https://github.com/apps/github-actions",
        "created_at": WHEN, "updated_at": WHEN, "permissions": {}, "events": [] });
    json!({ "id": check.id, "node_id": "CR_1", "head_sha": check.sha, "name": check.name, "url": url, "html_url": "https://github.com/x",
        "details_url": "https://github.com/x", "status": check.status, "conclusion": check.conclusion, "started_at": WHEN,
        "completed_at": over, "external_id": "", "check_suite": { "id": check.suite }, "app": app, "pull_requests": [],
        "output": { "title": null, "summary": null, "text": null, "annotations_count": 0, "annotations_url": format!("{url}/annotations") } })
}

/// A job of Actions.
pub fn job(check: &Check) -> Value {
    json!({ "id": check.id, "run_id": check.suite, "head_sha": check.sha, "name": check.name, "status": check.status,
        "conclusion": check.conclusion, "run_attempt": 1, "started_at": WHEN })
}

/// A run of Actions, of all that was checked in one suite.
pub fn workflow_run(suite: u64, checks: &[&Check]) -> Value {
    let is_over = checks.iter().all(|check| check.status == "completed");
    json!({ "id": suite, "name": "ci", "path": ".github/workflows/ci.yml", "event": "push", "head_sha": checks.first().map(|c| &c.sha),
        "status": if is_over { "completed" } else { "in_progress" }, "run_attempt": 1,
        "conclusion": if is_over { json!("success") } else { Value::Null } })
}

/// A commit status.
pub fn status(status: &Status) -> Value {
    json!({ "url": api(&format!("/statuses/{}", status.sha)), "avatar_url": null, "id": status.id, "node_id": "S_1", "state": status.state,
        "description": null, "target_url": null, "context": status.context, "created_at": WHEN, "updated_at": WHEN })
}

/// All statuses of a commit.
pub fn combined(sha: &str, total: usize, statuses: &[Value]) -> Value {
    // With no status at all it is pending, for ever.
    let all_good = total > 0 && statuses.iter().all(|status| status["state"] == "success");
    json!({ "state": if all_good { "success" } else { "pending" }, "statuses": statuses, "sha": sha, "total_count": total,
        "repository": repository(true), "commit_url": api(&format!("/commits/{sha}")), "url": api(&format!("/commits/{sha}/status")) })
}

/// A pull request in a list.
pub fn pull(pull: &Pull, private: bool) -> Value {
    let merged = if pull.merge.is_some() { json!(pull.at) } else { Value::Null };
    let side = |sha: &str, name: &str| json!({ "label": format!("{OWNER}:{name}"), "ref": name, "repo": repository(private), "sha": sha, "user": user(OWNER) });
    let mut all = addresses(pull.number);
    let rest = json!({ "id": pull.number, "node_id": "PR_1", "number": pull.number, "title": "A change", "body": null, "locked": false,
        "state": if pull.merge.is_some() { "closed" } else { "open" }, "user": user(&pull.author), "author_association": "MEMBER",
        "created_at": WHEN, "updated_at": pull.at, "closed_at": merged, "merged_at": merged, "merge_commit_sha": pull.merge,
        "head": side(&pull.head, &pull.from), "base": side(&pull.head, &pull.into), "auto_merge": null });
    let nobody = json!({ "labels": [], "milestone": null, "assignee": null, "assignees": [], "requested_reviewers": [],
        "requested_teams": [] });
    for more in [rest, nobody] {
        all.extend(more.as_object().cloned().unwrap_or_default());
    }
    Value::Object(all)
}

/// The addresses of a pull request.
fn addresses(number: u64) -> Map<String, Value> {
    let (url, issue) = (api(&format!("/pulls/{number}")), api(&format!("/issues/{number}")));
    let link = |href: &str| json!({ "href": href });
    let links = json!({ "comments": link(&issue), "commits": link(&url), "statuses": link(&url), "html": link(&url), "issue": link(&issue),
        "review_comments": link(&url), "review_comment": link(&url), "self": link(&url) });
    let all = json!({ "url": url, "html_url": "https://github.com/x", "diff_url": "https://github.com/x.diff", "_links": links,
        "patch_url": "https://github.com/x.patch", "issue_url": issue, "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"), "review_comment_url": format!("{url}/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"), "statuses_url": api("/statuses/x") });
    all.as_object().cloned().unwrap_or_default()
}

/// A review.
pub fn review(number: u64, id: usize, review: &Review) -> Value {
    let link = json!({ "href": api(&format!("/pulls/{number}")) });
    json!({ "id": id, "node_id": "PRR_1", "user": user(&review.user), "body": "", "state": review.state, "html_url": "https://github.com/x",
        "pull_request_url": api(&format!("/pulls/{number}")), "_links": { "html": link, "pull_request": link }, "commit_id": review.commit,
        "submitted_at": format!("2026-11-25T{:02}:{:02}:00Z", 12 + id / 60, id % 60), "author_association": "COLLABORATOR" })
}

/// A rule of a branch.
pub fn rule(contexts: &[String]) -> Value {
    let checks: Vec<Value> = contexts.iter().map(|context| json!({ "context": context })).collect();
    json!({ "type": "required_status_checks", "ruleset_source_type": "Repository", "ruleset_source": format!("{OWNER}/{NAME}"),
        "ruleset_id": 42, "parameters": { "required_status_checks": checks, "strict_required_status_checks_policy": false } })
}

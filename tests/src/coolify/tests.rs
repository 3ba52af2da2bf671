//! What the stand-in promises about itself.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;

fn coolify(version: &str) -> Coolify {
    let coolify = Coolify::start();
    coolify.version(version);
    coolify.token("t", &["root"]);
    coolify
}

/// Status, the header `Retry-After`, and the body.
fn ask_as(
    coolify: &Coolify,
    token: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> (u16, Option<u64>, Value) {
    let url = format!("{}/api/v1{path}", coolify.server().url());
    let config = ureq::config::Config::builder().http_status_as_error(false).allow_non_standard_methods(true);
    let request = ureq::http::Request::builder().method(method).uri(url);
    let request = request.header("Authorization", format!("Bearer {token}"));
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    let mut answer =
        ureq::Agent::new_with_config(config.build()).run(request.expect("a request")).expect("answered");
    let wait = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
    (answer.status().as_u16(), wait, answer.body_mut().read_json().unwrap_or_default())
}

fn ask(coolify: &Coolify, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, _, body) = ask_as(coolify, "t", method, path, body);
    (status, body)
}

fn get(coolify: &Coolify, path: &str) -> Value {
    ask(coolify, "GET", path, &Value::Null).1
}

fn post(coolify: &Coolify, path: &str, body: &Value) -> (u16, Value) {
    ask(coolify, "POST", path, body)
}

fn deployed(coolify: &Coolify, app: &str) -> String {
    let answer = post(coolify, "/deploy", &json!({ "uuid": app, "force": true })).1;
    answer["deployments"][0]["deployment_uuid"].as_str().expect("an id").to_owned()
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
        coolify.commits(&app, &[X]);
        ask(&coolify, "PATCH", &format!("/applications/{app}"), &json!({ "git_commit_sha": X }));
        post(&coolify, "/deploy", &json!({ "uuid": app }));
        assert_eq!(coolify.running(&app).as_deref(), Some(brought), "{version}");
        let rows = get(&coolify, &format!("/deployments/applications/{app}"));
        assert_eq!(rows["deployments"][0]["commit"], called, "{version}");
    }
}

#[test]
fn a_commit_is_fixed_in_the_queue_and_a_tag_when_a_worker_begins() {
    let coolify = coolify("4.2.0");
    coolify.pace(Duration::from_millis(100), Duration::ZERO);
    let (git, image) =
        (coolify.git_application("web", "main", Y), coolify.application("shop", "r.example/shop", "1"));
    coolify.commits(&git, &[X]);
    let set = |app: &str, body: Value| ask(&coolify, "PATCH", &format!("/applications/{app}"), &body);
    set(&git, json!({ "git_commit_sha": X }));
    set(&image, json!({ "docker_registry_image_tag": "2" }));
    deployed(&coolify, &git);
    deployed(&coolify, &image);
    set(&git, json!({ "git_commit_sha": "HEAD" }));
    set(&image, json!({ "docker_registry_image_tag": "1" }));
    std::thread::sleep(Duration::from_millis(120));
    assert_eq!((coolify.running(&git).as_deref(), coolify.running(&image).as_deref()), (Some(X), Some("1")));
}

#[test]
fn what_a_version_does_not_have_is_no_route() {
    for (version, status) in [("4.3.0", 200), ("4.2.0", 404)] {
        let coolify = coolify(version);
        let app = coolify.git_application("shop", "main", Y);
        let (got, body) = post(&coolify, &format!("/applications/{app}/rollback"), &json!({ "commit": X }));
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
        let id = deployed(&coolify, &app);
        let cancelled = post(&coolify, &format!("/deployments/{id}/cancel"), &json!({}));
        assert_eq!(cancelled.0, status, "{version}");
        assert_eq!(coolify.states(&app).pop().expect("a row").1, "cancelled-by-user");
    }
}

#[test]
fn a_commit_that_exists_nowhere_fails_where_there_is_git_and_only_there() {
    let coolify = coolify(VERSION);
    coolify.pace(Duration::ZERO, Duration::ZERO);
    let (git, inline) = (coolify.git_application("web", "main", Y), coolify.inline_application("own"));
    for (app, ended) in [(&git, "failed"), (&inline, "finished")] {
        post(&coolify, &format!("/applications/{app}/rollback"), &json!({ "commit": X }));
        let row = get(&coolify, &format!("/deployments/applications/{app}"))["deployments"][0].clone();
        assert_eq!(
            (row["status"].as_str(), row["commit"].as_str(), &row["commit_message"]),
            (Some(ended), Some(X), &Value::Null)
        );
    }
}

#[test]
fn the_status_comes_before_the_reason_and_the_reason_before_the_time() {
    let coolify = coolify(VERSION);
    coolify.pace(Duration::ZERO, Duration::ZERO);
    let app = coolify.application("shop", "r.example/shop", "1");
    coolify.cannot_pull(&app, "2");
    coolify.configure(&app, "2");
    let id = deployed(&coolify, &app);
    let row = || get(&coolify, &format!("/deployments/{id}"));
    let (begun, first) = (Instant::now(), row());
    assert_eq!(first["status"], "failed");
    let said = |row: &Value| row["logs"].as_str().is_some_and(|log| log.contains("Deployment failed: "));
    // On a machine that is busy the first look may come late.
    assert!(begun.elapsed() > Duration::from_millis(20) || !said(&first), "{first}");
    std::thread::sleep(Duration::from_millis(80));
    assert!(said(&row()));
    std::thread::sleep(Duration::from_millis(300));
    assert!(row()["finished_at"].is_string());
    // One whose server is away never gets a time.
    coolify.server_away(&app);
    let id = deployed(&coolify, &app);
    get(&coolify, &format!("/deployments/{id}"));
    std::thread::sleep(Duration::from_millis(300));
    let row = get(&coolify, &format!("/deployments/{id}"));
    assert_eq!((&row["status"], &row["finished_at"]), (&json!("failed"), &Value::Null));
}

#[test]
fn what_a_token_may_not_see_is_not_there() {
    let coolify = coolify(VERSION);
    let app = coolify.inline_application("own");
    coolify.token("r", &["read"]);
    for (token, shown) in [("t", true), ("r", false)] {
        let seen = |path: String| ask_as(&coolify, token, "GET", &path, &Value::Null).2.as_object().cloned();
        let told = seen(format!("/applications/{app}")).expect("an application");
        for key in ["dockerfile", "docker_compose", "custom_labels", "private_key_id"] {
            assert_eq!(told.contains_key(key), shown, "{key}");
        }
        assert_eq!(told["git_repository"], "coollabsio/coolify");
        assert_eq!(Value::Object(told).to_string().contains(CANARY), shown);
        let rows = seen(format!("/deployments/applications/{app}")).expect("a list");
        assert_eq!(rows["deployments"][0].get("logs").is_some(), shown);
    }
    // Before 4.2.0 everybody who may read was shown a server's secrets, and the list's logs.
    coolify.version("4.1.2");
    let told = ask_as(&coolify, "r", "GET", &format!("/applications/{app}"), &Value::Null).2;
    assert!(told.to_string().contains(CANARY) && told.get("settings").is_none());
    let rows = ask_as(&coolify, "r", "GET", &format!("/deployments/applications/{app}"), &Value::Null).2;
    assert!(rows["deployments"][0].get("logs").is_some());
}

#[test]
fn whoever_may_not_is_told_before_anything_is_looked_at() {
    let coolify = coolify(VERSION);
    let app = format!("/applications/{}", coolify.application("shop", "r.example/shop", "1"));
    coolify.token("rd", &["read", "deploy"]);
    coolify.member_token("m", &["read", "deploy", "write"]);
    let asked = |token, method, path: &str, body: Value| {
        let (status, _, body) = ask_as(&coolify, token, method, path, &body);
        (status, body["message"].as_str().unwrap_or_default().to_owned())
    };
    let empty = (400, "Invalid request.".to_owned());
    assert_eq!(asked("t", "PATCH", &app, json!({})), empty);
    assert_eq!(asked("rd", "PATCH", &app, json!({})), (403, "Missing required permissions: write".into()));
    assert_eq!(asked("m", "GET", "/version", Value::Null), (403, "Missing required team role.".into()));
    assert_eq!(coolify.configured(app.trim_start_matches("/applications/")).as_deref(), Some("1"));
    for tag in [Value::Null, json!("")] {
        assert_eq!(asked("t", "PATCH", &app, json!({ "docker_registry_image_tag": tag })).0, 200);
        assert_eq!(coolify.configured(app.trim_start_matches("/applications/")), None);
    }
}

#[test]
fn each_server_has_a_queue_and_each_minute_an_end() {
    let coolify = coolify(VERSION);
    coolify.pace(Duration::from_secs(60), Duration::ZERO);
    coolify.queue_limit(1);
    let shop = |name| coolify.application(name, "r.example/shop", "1");
    let (one, other, elsewhere) = (shop("one"), shop("other"), shop("elsewhere"));
    coolify.on_server(&elsewhere, 7);
    let deploy = |app: &str| ask_as(&coolify, "t", "POST", "/deploy", &json!({ "uuid": app, "force": true }));
    assert_eq!(deploy(&one).0, 200);
    // What waits for another application counts, what waits for another server does not.
    assert_eq!((deploy(&other).0, deploy(&other).1), (429, Some(60)));
    assert_eq!(deploy(&elsewhere).0, 200);
    coolify.rate_limit(1);
    let (first, second) = (
        ask_as(&coolify, "t", "GET", "/version", &Value::Null),
        ask_as(&coolify, "t", "GET", "/version", &Value::Null),
    );
    assert_eq!((first.0, second.0), (200, 429));
    assert!(second.1.is_some_and(|wait| (50..=60).contains(&wait)), "{second:?}");
    coolify.rate_limit_within(1, Duration::from_millis(200));
    let asked = || ask_as(&coolify, "t", "GET", "/version", &Value::Null);
    assert_eq!((asked().0, asked().1), (200, Some(1)));
    std::thread::sleep(Duration::from_millis(220));
    assert_eq!(asked().0, 200);
}

#[test]
fn health_is_told_late() {
    let coolify = coolify(VERSION);
    coolify.pace(Duration::ZERO, Duration::ZERO);
    coolify.false_alarm(Duration::from_millis(150));
    let (old, new) =
        (coolify.application("old", "r.example/shop", "1"), coolify.new_application("new", "r.example/shop"));
    let status = |app: &str| get(&coolify, &format!("/applications/{app}"))["status"].clone();
    assert_eq!((status(&old), status(&new)), (json!("running:healthy"), json!("exited:unhealthy")));
    for app in [&old, &new] {
        let id = deployed(&coolify, app);
        get(&coolify, &format!("/deployments/{id}"));
    }
    assert_eq!((status(&old), status(&new)), (json!("running:unhealthy"), json!("exited:unhealthy")));
    std::thread::sleep(Duration::from_millis(170));
    coolify.add_server(&old);
    assert_eq!((status(&old), status(&new)), (json!("degraded:unhealthy"), json!("running:healthy")));
}

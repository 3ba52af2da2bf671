//! What nothing hangs on is asked shortly, and never stands in the way back; what Coolify wants to be waited for is waited for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::{Fault, Reply, Server};

use crate::support::registry::registry;
use crate::support::{A, B, C, DEPLOY, IMAGE, Rig, at_once, told, until};

const ROLLBACK: &[&str] = &["rollback", "--env", "production"];
const OPEN: &[&str] = &["observe", "--rollback", "--env", "production"];

/// Longer than anybody waits for what nothing hangs on.
const LONG: Duration = Duration::from_secs(60);

fn soon(begun: Instant, what: &str) {
    assert!(begun.elapsed() < Duration::from_secs(12), "{what} took {:?}", begun.elapsed());
}

#[test]
fn a_server_whose_ssh_is_slow_does_not_hold_the_way_back() {
    let rig = Rig::with(|coolify| {
        ["one", "two", "three"]
            .iter()
            .map(|name| {
                let app = coolify.git_application(name, "main", B);
                coolify.history(&app, &[A, B]);
                coolify.slow_ssh(&app, LONG);
                app
            })
            .collect()
    });
    let begun = Instant::now();
    let (opened, stderr) = rig.works(OPEN, None);
    soon(begun, "opening");
    // Once each, at the same time, and said.
    let asked = rig.coolify.server().log().iter().filter(|r| r.path.ends_with("rollback-images")).count();
    assert_eq!(asked, 3, "{stderr}");
    assert!(stderr.contains("whether its image is kept is not known"), "{stderr}");
    assert!(!stderr.contains("cannot be reached"), "{stderr}");
    let (done, _) = rig.works(&["rollback"], Some(&opened));
    soon(begun, "going back");
    assert_eq!(done["facts"]["commit"], A);
    // What runs is observed as well.
    let begun = Instant::now();
    let previous = rig.observed(&[])["facts"]["previous"].clone();
    soon(begun, "observing");
    assert_eq!(previous.get("kept"), None);
    assert!(previous["kept_note"].as_str().is_some_and(|note| note.contains("not known")), "{previous}");
}

#[test]
fn a_registry_that_cannot_be_asked_does_not_stop_the_way_back() {
    let closed = Server::start(|_| Reply::text(200, "text/plain", "")).url();
    let hangs = Server::start(|_| {
        std::thread::sleep(LONG);
        Reply::text(200, "text/plain", "")
    });
    let teapot = Server::start(|_| Reply::text(418, "text/html", "a teapot"));
    let locked = registry(Some("rilis"));
    let busy = Server::start(|_| Reply::text(503, "text/plain", "busy"));
    let urls = [closed, hangs.url(), teapot.url(), locked.server.url(), busy.url()];
    at_once(&urls, |url| {
        let rig = Rig::image();
        rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
        rig.settings(&format!("registry = \"{url}\""));
        let begun = Instant::now();
        rig.works(OPEN, None);
        let (document, stderr) = rig.works(ROLLBACK, None);
        soon(begun, url);
        assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some("1.1.4"), "{document:#}");
        assert!(stderr.contains("not known"), "{stderr}");
    });
}

#[test]
fn what_is_plainly_gone_still_stops_it() {
    let rig = Rig::image();
    rig.coolify.history(&rig.apps[0], &["1.1.4", "1.2.0"]);
    let registry = registry(None);
    rig.settings(&format!("registry = \"{}\"", registry.server.url()));
    rig.fails(OPEN, None, 1, "image-gone");
    rig.fails(ROLLBACK, None, 1, "image-gone");
    assert_eq!(rig.coolify.server().changes(), 0);
}

/// Switching auto-deploy off hangs.
fn auto_deploy_hangs() {
    let rig = Rig::git();
    rig.coolify.server().fault("PATCH", "/api/v1/applications", 1, Fault::Hang(LONG));
    let begun = Instant::now();
    let (_, stderr) = rig.works(ROLLBACK, None);
    soon(begun, "auto-deploy");
    assert!(stderr.contains("could not be switched off"), "{stderr}");
    assert_eq!(rig.coolify.running(&rig.apps[0]).as_deref(), Some(A));
}

/// The page hangs until the build is back.
fn the_page_hangs() {
    let rig = Rig::git();
    rig.page(|revision| {
        if revision == B {
            std::thread::sleep(LONG);
        }
        Reply::text(200, "text/plain", "x").with("X-Release", revision)
    });
    let begun = Instant::now();
    rig.works(ROLLBACK, None);
    soon(begun, "a page that hangs");
}

/// The build is back and its page says so; what Coolify still had to say is not waited for.
fn coolify_hangs_at_the_end() {
    let rig = Rig::git();
    let (coolify, asked) = (std::sync::Arc::clone(&rig.coolify), std::sync::atomic::AtomicBool::new(false));
    rig.page(move |revision| {
        if revision == A && !asked.swap(true, std::sync::atomic::Ordering::SeqCst) {
            coolify.server().fault("GET", "/api/v1/", 99, Fault::Hang(LONG));
        }
        Reply::text(200, "text/plain", "x").with("X-Release", revision)
    });
    let begun = Instant::now();
    let (_, stderr) = rig.works(ROLLBACK, None);
    soon(begun, "the last questions");
    assert!(stderr.contains("has not said in time whether somebody has deployed"), "{stderr}");
}

#[test]
fn neither_auto_deploy_nor_pages_nor_a_last_question_hold_the_way_back() {
    at_once(&[auto_deploy_hangs, the_page_hangs, coolify_hangs_at_the_end], |case| case());
}

#[test]
fn what_is_left_is_told_only_if_it_is_known_soon() {
    let rig = Rig::image();
    rig.page(|_| {
        std::thread::sleep(LONG);
        Reply::text(200, "text/plain", "x")
    });
    let begun = Instant::now();
    let image = format!("{IMAGE}:1.0.0");
    let (document, _) = rig.works(&[OPEN, &["--image", &image]].concat(), None);
    soon(begun, "by hand");
    assert_eq!(document["facts"]["image"], image);
}

/// All requests of this minute are used up.
fn throttled() -> Fault {
    let reply = Reply::json(429, json!({ "message": "Too Many Attempts." })).with("Retry-After", 3);
    Fault::Answer(reply.with("X-RateLimit-Remaining", 0).with("X-RateLimit-Reset", 1_795_815_347))
}

/// How many requests came after the first one that was turned away.
fn asked_while_closed(rig: &Rig, since: Instant, closed: Duration) -> usize {
    let before = rig.coolify.server().log().len();
    std::thread::sleep(closed.saturating_sub(since.elapsed()));
    rig.coolify.server().log().len() - before
}

#[test]
fn coolify_that_wants_to_be_left_alone_is_left_alone_whatever_is_asked() {
    // Before anything, while an id is read back, while a deployment is followed, and where something is changed.
    let cases = [
        ("GET", "/api/v1/deployments/dep"),
        ("GET", "/api/v1/version"),
        ("GET", "/api/v1/applications/app"),
        ("GET", "/api/v1/deployments/applications"),
        ("PATCH", "/api/v1/applications"),
        ("POST", "/api/v1/deploy"),
    ];
    at_once(&cases, |&(method, path)| {
        let rig = Rig::image();
        rig.coolify.pace(Duration::ZERO, Duration::from_millis(50));
        rig.coolify.server().fault(method, path, 1, throttled());
        let child = rig.spawn(DEPLOY);
        until("the refusal", || rig.coolify.server().count(method, path) > 0);
        let since = Instant::now();
        std::thread::sleep(Duration::from_millis(100));
        let asked = asked_while_closed(&rig, since, Duration::from_millis(1800));
        assert_eq!(asked, 0, "{method} {path}");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{method} {path}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(rig.starts() - usize::from(method == "POST"), 1);
    });
}

#[test]
fn several_at_once_wait_together() {
    let rig = Rig::several(&["one", "two", "three", "four"]);
    rig.coolify.pace(Duration::ZERO, Duration::from_millis(400));
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 1, throttled());
    let child = rig.spawn(DEPLOY);
    until("the refusal", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 0);
    std::thread::sleep(Duration::from_millis(300));
    let before = rig.coolify.server().log().len();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(rig.coolify.server().log().len() - before, 0);
    assert!(child.wait_with_output().expect("it ends").status.success());
}

#[test]
fn a_real_minute_that_is_used_up_is_waited_for_to_its_end() {
    let rig = Rig::image();
    rig.coolify.rate_limit_within(5, Duration::from_secs(2));
    let (_, stderr) = rig.works(DEPLOY, None);
    assert!(stderr.contains("wants to be asked less often"), "{stderr}");
    // Longer than the step has: said at once, and nothing was done.
    let rig = Rig::image();
    rig.coolify.rate_limit(1);
    let begun = Instant::now();
    rig.fails(&[DEPLOY, &["--timeout", "20s"]].concat(), None, 75, "coolify-busy");
    soon(begun, "saying so");
    assert_eq!(rig.coolify.server().changes(), 0);
}

#[test]
fn a_full_queue_holds_only_what_wants_into_it() {
    let rig = Rig::image();
    rig.coolify.queue_wait(1);
    rig.coolify.queue_limit(0);
    let child = rig.spawn(DEPLOY);
    until("two tries", || rig.coolify.server().count("POST", "/api/v1/deploy") > 1);
    assert_eq!(rig.coolify.configured(&rig.apps[0]).as_deref(), Some("1.2.0"));
    rig.coolify.queue_limit(25);
    assert!(child.wait_with_output().expect("it ends").status.success());
    // It stays full until the time is over: the tag goes back.
    let rig = Rig::image();
    rig.coolify.queue_limit(0);
    let (document, _) = rig.fails(&[DEPLOY, &["--timeout", "10s"]].concat(), None, 75, "coolify-busy");
    assert_eq!(rig.state(), (Some("1.1.4".into()), Some("1.1.4".into()), 0));
    assert!(told(&document).1.contains("configured with 1.1.4 again"), "{document:#}");
    assert_eq!(document["failure"]["acted"], "no");
}

#[test]
fn the_end_of_our_own_time_is_not_called_an_unreachable_coolify() {
    let paths = ["/api/v1/version", "/api/v1/applications", "/api/v1/deployments/applications"];
    at_once(&paths, |path| {
        let rig = Rig::image();
        rig.coolify.server().fault("GET", path, 9, Fault::Hang(LONG));
        let (document, _) = rig.fails(&[DEPLOY, &["--timeout", "1s"]].concat(), None, 75, "deadline");
        assert!(!told(&document).0.contains("cannot be reached"), "{document:#}");
    });
    // One that drips its answer neither.
    let rig = Rig::image();
    rig.coolify.stall_next_deployment();
    let child = rig.spawn(&[DEPLOY, &["--timeout", "2s"]].concat());
    until("a look", || rig.coolify.server().count("GET", "/api/v1/deployments/dep") > 1);
    rig.coolify.server().fault("GET", "/api/v1/deployments/dep", 1, Fault::Hang(LONG));
    let output = child.wait_with_output().expect("it ends");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["failure"]["reason"], "deployment-timeout", "{document:#}");
}

#[test]
fn a_page_in_front_of_coolify_is_no_coolify() {
    let rig = Rig::image();
    let login = Reply::text(200, "text/html", "<!doctype html><title>Sign in</title>");
    rig.coolify.server().fault("GET", "/api/v1/version", 9, Fault::Answer(login));
    let (document, _) = rig.fails(DEPLOY, None, 78, "url");
    assert!(!document.to_string().contains("doctype"), "{document:#}");
    let git = Rig::git();
    git.coolify.server().fault("GET", "/api/v1/version", 9, Fault::Answer(Reply::text(200, "text/html", "")));
    git.fails(&["deploy", "--env", "staging", "--commit", C], None, 78, "url");
}

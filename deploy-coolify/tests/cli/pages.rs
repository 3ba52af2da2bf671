//! What the pages say decides.

use crate::support::{DEPLOY, Rig};
use std::time::Duration;
use testkit::http::Reply;

#[test]
fn health_is_what_the_pages_say_and_coolify_is_a_second_opinion() {
    // A false alarm of Coolify's is waited out by nobody who has better evidence.
    let rig = Rig::image();
    rig.coolify.false_alarm(Duration::from_secs(60));
    let (_, stderr) = rig.works(DEPLOY, None);
    assert!(stderr.contains("Coolify says that shop is running:unhealthy"), "{stderr}");
    // Coolify is content, and the page is broken.
    let rig = Rig::image();
    rig.breaks_with("1.2.0");
    let (document, _) = rig.fails(DEPLOY, None, 1, "not-live");
    assert!(document["failure"]["causes"].to_string().contains("HTTP 500"));
    // Who is turned away, or not heard at all, has seen nothing: it is not known.
    for seen in [403, 302] {
        let rig = Rig::image();
        rig.page(move |_| Reply::text(seen, "text/plain", "no"));
        let (document, _) = rig.fails(DEPLOY, None, 75, "health-unknown");
        assert_eq!(document["failure"]["acted"], "yes");
    }
    // Nobody is heard, and Coolify says that nothing runs.
    let rig = Rig::image();
    rig.coolify.say_status(&rig.apps[0], "exited:unhealthy");
    rig.page(|_| Reply::text(403, "text/plain", "no"));
    rig.fails(DEPLOY, None, 1, "not-live");
}

#[test]
fn a_page_that_flaps_is_not_healthy_and_one_that_needs_time_gets_it() {
    let rig = Rig::image();
    rig.settings("successes = 3");
    let times = std::sync::atomic::AtomicUsize::new(0);
    rig.page(move |revision| {
        let n = times.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if n.is_multiple_of(2) {
            Reply::text(502, "text/plain", "x")
        } else {
            Reply::text(200, "text/plain", "x").with("X-Release", revision)
        }
    });
    rig.fails(DEPLOY, None, 1, "not-live");

    let rig = Rig::image();
    rig.settings("bake = \"700ms\"");
    let begun = std::time::Instant::now();
    rig.works(DEPLOY, None);
    assert!(begun.elapsed() >= Duration::from_millis(700));
}

#[test]
fn a_text_can_prove_a_page_too_and_without_any_proof_nothing_is_begun() {
    let rig = Rig::image();
    let plain = |marker: &str, more: &str| {
        rig.settings(more);
        let path = rig.write("x", "").with_file_name("release.toml");
        let text =
            std::fs::read_to_string(&path).expect("settings").replace("marker = \"X-Release\"\n", marker);
        std::fs::write(path, text).expect("written");
    };
    plain("", "");
    rig.fails(DEPLOY, None, 78, "no-proof");
    assert_eq!(rig.coolify.server().changes(), 0);
    plain("", "body = \"shop {version}\"");
    rig.works(DEPLOY, None);
    plain("", "body = \"shop {versoin}\"");
    rig.fails(&["deploy", "--env", "staging", "--release", "1.3.0"], None, 78, "setting");
    plain("", "proof = \"coolify\"");
    let (document, _) = rig.works(&["deploy", "--env", "staging", "--release", "1.4.0"], None);
    assert!(document["steps"][0]["summary"].as_str().expect("one").contains("Coolify's word alone"));
    rig.coolify.say_status(&rig.apps[0], "exited:unhealthy");
    rig.fails(&["deploy", "--env", "staging", "--release", "1.5.0"], None, 1, "not-live");
}

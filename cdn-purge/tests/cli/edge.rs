//! The real binary against a real Varnish, and against the stand-in Cloudflare.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::exchange;
use testkit::http::{Fault, Reply, Server};

use crate::site::{Site, opened, reason, served};
use step::Exit;

#[test]
fn what_the_edge_kept_of_the_old_build_is_gone() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    assert_eq!(served(&format!("{edge}/sale")), "1.1.4");
    site.release("1.2.0");
    assert_eq!(served(&format!("{edge}/sale")), "1.1.4", "the edge keeps it");

    let (code, planned, stderr) = site.run(&["--plan"], &opened("1.2.0"));
    assert_eq!((code, planned["steps"][0]["status"].as_str()), (0, Some("planned")), "{stderr}");
    assert_eq!(served(&format!("{edge}/sale")), "1.1.4");

    let (code, done, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(served(&format!("{edge}/sale")), "1.2.0");
    let sale = &done["steps"][0]["output"]["urls"][2];
    assert_eq!(
        (&sale["before"]["build"], &sale["after"]["build"], &sale["claim"]),
        (&json!("1.1.4"), &json!("1.2.0"), &json!("observed"))
    );
    assert_eq!(sale["after"]["verdict"], "HIT", "the copy is new, not only the answer that filled it");

    // That it looks right says nothing of other copies: every run purges, as long as it is a release.
    let (code, again, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!((code, again["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(again["steps"][0]["output"]["purges"][0]["accepted"], 2);
    let output = &again["steps"][0]["output"];
    assert_eq!((&output["claim"], &output["addresses"]), (&json!("observed"), &json!(1)), "{output:#}");
    assert!(output["answers"].as_u64() >= Some(8), "two pages, two forms, twice: {output:#}");

    let (code, named, _) = site.run(&[&format!("{edge}/sale")], &opened("1.2.0"));
    assert_eq!((code, named["steps"][0]["status"].as_str()), (0, Some("changed")));
}

#[test]
fn a_restored_database_makes_older_copies_of_the_same_build_wrong() {
    let site = Site::start();
    let varnish = site.varnish();
    served(&varnish.production());
    std::thread::sleep(Duration::from_secs(3));
    let mut document = opened("1.1.4");
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    document["facts"]["loss"] = json!({ "from": now, "to": now, "seconds": 0 });
    let (code, done, stderr) = site.run(&[], &document);
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
}

#[test]
fn nothing_is_purged_before_the_origin_is_ready() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    served(&edge);
    let before = site.origin.log().len();
    let refused = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&refused), (Exit::Temporary as i32, "origin-not-ready", "no"), "{}", refused.2);
    assert!(site.origin.log().len() > before);
    let (_, _, body) = testkit::sandbox::fetch(&edge);
    assert!(body.contains("1.1.4"));
    // It comes up in time.
    let release = Arc::clone(&site.release);
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        "1.2.0".clone_into(&mut release.lock().expect("a release"));
    });
    let (code, _, stderr) = site.run(&[], &opened("1.2.0"));
    late.join().expect("it ended");
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_ban_and_a_page_by_hand() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    let ban = format!(
        "driver = \"http\"\nendpoint = \"{edge}\"\nmethod = \"BAN\"\nban_header = \"X-Ban-Url\"\norigin = \"{}\"",
        site.origin.url()
    );
    site.settings(&edge, &ban);
    served(&format!("{edge}/sale"));
    site.release("1.2.0");
    // Nobody says which build: it is the origin's.
    let page = format!("{edge}/sale");
    let (code, done, stderr) = exchange(&mut site.command(&["--env", "production", &page, "--fresh"]), None);
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(served(&page), "1.2.0");
}

#[test]
fn an_edge_that_says_yes_and_does_nothing_is_found_out() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    served(&format!("{edge}/sale"));
    site.release("1.2.0");
    let deaf = Server::start(|_| Reply::text(200, "text/plain", "Purged"));
    site.settings(&edge, &format!("driver = \"http\"\nendpoint = \"{}\"", deaf.url()));
    let stale = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    assert!(
        stale.1["failure"]["message"]
            .as_str()
            .expect("a message")
            .contains("/sale serves 1.1.4 instead of 1.2.0")
    );
    assert_eq!(deaf.count("PURGE", "/"), 2);
    assert!(stale.1["failure"]["causes"].as_array().is_some_and(|causes| !causes.is_empty()), "{}", stale.2);

    let forbidden = Server::start(|_| Reply::text(405, "text/plain", "Not allowed"));
    site.settings(&edge, &format!("driver = \"http\"\nendpoint = \"{}\"", forbidden.url()));
    assert_eq!(reason(&site.fails(&[], &opened("1.2.0"))), (1, "purge-refused", "no"));
    site.settings(&edge, "driver = \"http\"\nendpoint = \"http://127.0.0.1:1\"");
    assert_eq!(reason(&site.fails(&["--timeout", "1s"], &opened("1.2.0"))).0, 75);
}

#[test]
fn cloudflare_is_asked_and_checked() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let edge = cloudflare.edge().url();
    served(&format!("{edge}/"));
    served(&format!("{edge}/sale"));
    site.release("1.2.0");
    // Turned away for its rate once, and once the answer is lost: purging twice is harmless.
    let limited = Reply::json(
        429,
        json!({ "success": false, "errors": [{ "code": 1134, "message": "Unable to purge, rate limit reached." }] }),
    );
    cloudflare.api().fault("POST", "/client/v4/zones", 1, Fault::Answer(limited.with("Retry-After", 1)));
    cloudflare.api().fault("POST", "/client/v4/zones", 1, Fault::DropAfter);
    let (code, done, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(cloudflare.api().count("POST", "/client/v4/zones"), 3);
    assert_eq!(
        (served(&format!("{edge}/")), served(&format!("{edge}/sale"))),
        ("1.2.0".into(), "1.2.0".into())
    );
    let out = site.command(&["--check", "--env", "production"]).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn what_cloudflare_refuses_is_said() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    served(&cloudflare.edge().url());
    site.release("1.2.0");
    let no = Reply::json(
        200,
        json!({ "success": false, "errors": [{ "code": 1107, "message": "only enterprise zones may" }], "result": null }),
    );
    cloudflare.api().fault("POST", "/client/v4/zones", 1, Fault::Answer(no));
    let refused = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&refused), (1, "purge-refused", "no"), "a 200 is no yes");
    assert_eq!(refused.1["failure"]["causes"][0], "1107 only enterprise zones may");
    let wrong =
        exchange(site.command(&[]).env("CLOUDFLARE_API_TOKEN", "some-other-token"), Some(&opened("1.2.0")));
    assert_eq!(reason(&wrong), (Exit::Config as i32, "token", "no"));
    let none = exchange(site.command(&[]).env_remove("CLOUDFLARE_API_TOKEN"), Some(&opened("1.2.0")));
    assert_eq!(reason(&none), (Exit::Config as i32, "missing-secret", "no"));
    let edge = cloudflare.edge().url();
    site.settings(
        &edge,
        &format!("driver = \"cloudflare\"\nzone = \"other\"\nurl = \"{}\"", cloudflare.api().url()),
    );
    assert_eq!(reason(&site.fails(&[], &opened("1.2.0"))), (Exit::Config as i32, "zone", "no"));
}

#[test]
fn more_pages_than_one_request_may_name() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let edge = cloudflare.edge().url();
    cloudflare.limit(60);
    let mut document = opened("1.1.4");
    document["facts"]["urls"] = (0..150).map(|n| format!("{edge}/p/{n}")).collect::<Vec<_>>().into();
    served(&format!("{edge}/p/7"));
    site.release("1.2.0");
    document["facts"]["version"] = json!("1.2.0");
    let (code, _, stderr) = site.run(&["--hard"], &document);
    assert_eq!(code, 0, "{stderr}");
    let log = cloudflare.api().log();
    let sizes = log.iter().filter_map(|r| r.json()?["files"].as_array().map(Vec::len));
    let sizes: Vec<usize> = sizes.collect();
    assert_eq!(sizes.iter().filter(|n| **n <= 60).sum::<usize>(), 150, "{sizes:?}");
    assert_eq!(served(&format!("{edge}/p/7")), "1.2.0");
}

#[test]
fn what_cannot_be_proven_is_not_begun() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let foreign = site.run(&["https://other.example/"], &opened("1.2.0"));
    assert_eq!(reason(&foreign), (1, "host-mismatch", "no"));
    let mut unknown = opened("1.2.0");
    unknown["facts"].as_object_mut().expect("facts").remove("version");
    assert_eq!(reason(&site.fails(&[], &unknown)), (1, "fact-missing", "no"));
    let file = site.folder.path().join("release.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    std::fs::write(&file, text.replace("marker = \"X-Release\"\n", "")).expect("written");
    assert_eq!(reason(&site.fails(&[], &opened("1.2.0"))), (Exit::Config as i32, "missing-setting", "no"));
    std::fs::write(&file, text.replace("cloudflare\"\n", "akamai\"\n")).expect("written");
    assert_eq!(reason(&site.fails(&[], &opened("1.2.0"))), (Exit::Config as i32, "setting", "no"));
    assert_eq!(cloudflare.api().changes(), 0);
}

//! The real binary against caches of one's own: Varnish with its surrogate keys and bans, nginx with its purge module, two tiers,
//! and edges that lie.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::http::{Reply, Server};
use testkit::varnish::Varnish;
use testkit::{Nginx, exchange};

use crate::site::{Site, opened, reason, served};

/// Varnish, and every way that it has.
fn ways(site: &Site, edge: &str) -> String {
    format!(
        "driver = \"http\"\nendpoint = \"{edge}\"\norigin = \"{}\"\ncount_header = \"X-Purged\"\nsoft_headers.X-Soft = \"1\"\n\
         prefix.method = \"BAN\"\nprefix.headers.X-Ban-Prefix = \"{{path_regex}}\"\n\
         tag.headers.xkey = \"{{tag}}\"\ntag.soft_headers.X-Soft = \"1\"\ntag.join = \" \"",
        site.origin.url()
    )
}

#[test]
fn varnish_by_tag_by_prefix_hard_and_soft() {
    let site = Site::start();
    let varnish = Varnish::start(site.origin.port(), site.origin.port());
    let edge = varnish.production();
    site.settings(&edge, &ways(&site, &edge));
    let pages = ["/p/1", "/p/2", "/sale"].map(|path| format!("{edge}{path}"));
    let state = || pages.each_ref().map(|page| served(page));
    assert_eq!(state(), ["1.1.4"; 3]);
    site.release("1.2.0");

    // By tag: the two products go, and nothing else.
    let (code, done, stderr) = site.run(&["--tag", "products", "--probe", &pages[0]], &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    let purge = &done["steps"][0]["output"]["purges"][0];
    assert_eq!(
        (&purge["objects"], &purge["claim"], &purge["mode"]),
        (&json!(2), &json!("accepted"), &json!("hard"))
    );
    assert_eq!(state(), ["1.2.0", "1.2.0", "1.1.4"]);

    // Softly: the old copy once more, then the new one.
    site.release("1.3.0");
    let (code, done, stderr) = site.run(&["--tag", "p-1", "--soft", "--probe", &pages[0]], &opened("1.3.0"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(done["steps"][0]["output"]["purges"][0]["mode"], "soft", "{done}");
    assert_eq!(
        done["steps"][0]["output"]["purges"].as_array().map(Vec::len),
        Some(1),
        "soft was enough: {stderr}"
    );
    assert_eq!(state(), ["1.3.0", "1.2.0", "1.1.4"]);

    // By prefix.
    let prefix = format!("{edge}/p/");
    let (code, _, stderr) = site.run(&["--prefix", &prefix, "--probe", &pages[1]], &opened("1.3.0"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(state(), ["1.3.0", "1.3.0", "1.1.4"]);
    // Nothing is known below it that could prove anything.
    let refused = site.fails(&["--prefix", &format!("{edge}/blog/")], &opened("1.3.0"));
    assert_eq!(reason(&refused), (1, "no-proof", "no"));
    // A key that nobody carries: the cache is the only one that says so.
    let (_, _, stderr) = site.run(&["--tag", "nobody", "--probe", &pages[0]], &opened("1.3.0"));
    assert!(stderr.contains("the cache held nothing for 1 tag"), "{stderr}");
    // What has no way is said, and nothing else is tried.
    let cannot = site.fails(&["--host", edge.trim_start_matches("http://")], &opened("1.3.0"));
    assert_eq!(reason(&cannot), (1, "cannot-select", "no"));
}

#[test]
fn a_release_is_soft_and_a_rollback_hard() {
    let site = Site::start();
    let varnish = Varnish::start(site.origin.port(), site.origin.port());
    let edge = varnish.production();
    site.settings(&edge, &ways(&site, &edge));
    served(&format!("{edge}/sale"));
    site.release("1.2.0");
    let (_, done, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!(done["steps"][0]["output"]["purges"][0]["mode"], "soft", "{stderr}");
    assert_eq!(
        done["steps"][0]["output"]["urls"][2]["claim"], "observed",
        "an old answer is expected once: {stderr}"
    );
    site.release("1.1.4");
    let mut rollback = opened("1.1.4");
    rollback["procedure"] = json!("rollback");
    let (_, done, stderr) = site.run(&[], &rollback);
    assert_eq!(done["steps"][0]["output"]["purges"][0]["mode"], "hard", "{stderr}");
    assert_eq!(done["steps"][0]["output"]["vantage_points"], 1);
    assert_eq!(served(&format!("{edge}/sale")), "1.1.4");
}

#[test]
fn nginx_by_a_location_of_its_own() {
    let site = Site::start();
    let nginx = Nginx::start(site.origin.port());
    let edge = nginx.url();
    let driver = format!(
        "driver = \"http\"\nendpoint = \"{edge}\"\nmethod = \"GET\"\ntarget = \"/purge{{path}}\"\nexpect = [200, 404]\norigin = \"{}\"",
        site.origin.url()
    );
    site.settings(&edge, &driver);
    for page in ["/sale", "/p/1?size=L"] {
        assert_eq!(served(&format!("{edge}{page}")), "1.1.4");
    }
    site.release("1.2.0");
    let (code, done, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(done["steps"][0]["output"]["urls"][2]["claim"], "observed", "{done}");
    assert_eq!(served(&format!("{edge}/p/1?size=L")), "1.1.4", "another key");
    let (code, _, stderr) = site.run(&[&format!("{edge}/p/1?size=L")], &opened("1.2.0"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(served(&format!("{edge}/p/1?size=L")), "1.2.0");
}

/// Edge before shield before origin: softly, the shield hands out its old copy once more, and the edge keeps it as if it were new.
#[test]
fn a_soft_purge_that_a_shield_undoes_is_seen_and_made_hard() {
    let site = Site::start();
    let shield = Varnish::start(site.origin.port(), site.origin.port());
    let port = shield.production().rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
    let outer = Varnish::start(port, port);
    let (edge, inner) = (outer.production(), shield.production());
    let page = format!("{edge}/sale");
    let driver = format!(
        "driver = \"http\"\nendpoint = [\"{inner}\", \"{edge}\"]\norigin = \"{}\"\nsoft_headers.X-Soft = \"1\"\nshield = true\ngap = \"300ms\"",
        site.origin.url()
    );
    site.settings(&edge, &driver);
    assert_eq!(served(&page), "1.1.4");
    site.release("1.2.0");
    // As long as the soft purge does not help; the hard one has as long again.
    let mut command = site.command(&["--soft", &page]);
    let (code, done, stderr) = exchange(command.env("RILIS_CDN_PURGE_SETTLE", "4s"), Some(&opened("1.2.0")));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    let purges = done["steps"][0]["output"]["purges"].as_array().expect("purges").clone();
    let modes: Vec<&str> = purges.iter().filter_map(|purge| purge["mode"].as_str()).collect();
    assert_eq!(modes, ["soft", "soft", "hard", "hard"], "{stderr}");
    assert!(stderr.contains("the soft purge did not help"), "{stderr}");
    assert_eq!(served(&page), "1.2.0");
}

#[test]
fn behind_a_shield_all_is_purged_twice_with_a_gap() {
    let site = Site::start();
    let times = Arc::new(Mutex::new(Vec::new()));
    let ours = Arc::clone(&times);
    let cache = Server::start(move |_| {
        ours.lock().expect("times").push(Instant::now());
        Reply::text(200, "text/plain", "Purged")
    });
    let edge = site.origin.url();
    site.settings(
        &edge,
        &format!("driver = \"http\"\nendpoint = \"{}\"\nshield = true\ngap = \"700ms\"", cache.url()),
    );
    site.release("1.2.0");
    let (code, _, stderr) = site.run(&[&format!("{edge}/sale")], &opened("1.2.0"));
    assert_eq!(code, 0, "{stderr}");
    let times = times.lock().expect("times").clone();
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= Duration::from_millis(700), "{:?}", times[1] - times[0]);
}

#[test]
fn a_purge_of_the_wrong_host_is_accepted_and_found_out() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    served(&format!("{edge}/sale"));
    site.release("1.2.0");
    let wrong = format!(
        "driver = \"http\"\nendpoint = \"{edge}\"\nheaders.Host = \"other.example\"\norigin = \"{}\"",
        site.origin.url()
    );
    site.settings(&edge, &wrong);
    let stale = site.fails(&[&format!("{edge}/sale")], &opened("1.2.0"));
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    let claim = &stale.1["steps"][0]["output"]["urls"][0];
    assert_eq!((&claim["claim"], &claim["after"]["build"]), (&json!("unknown"), &json!("1.1.4")));
}

/// An edge that is new for whoever asks with a query, and old for everybody else.
#[test]
fn only_the_canonical_address_counts() {
    let site = Site::start();
    let edge = Server::start(|request| {
        let release = if request.query.is_empty() { "1.1.4" } else { "1.2.0" };
        Reply::text(200, "text/html", "page").with("X-Release", release).with("X-Cache", "HIT")
    });
    let cache = Server::start(|_| Reply::text(200, "text/plain", "Purged"));
    site.release("1.2.0");
    site.settings(&edge.url(), &format!("driver = \"http\"\nendpoint = \"{}\"", cache.url()));
    assert_eq!(reason(&site.fails(&[], &opened("1.2.0"))), (1, "edge-stale", "yes"));
    assert!(
        edge.log()
            .iter()
            .all(|request| request.query.is_empty() || request.query.contains_key("cdn-purge-counts"))
    );
}

#[test]
fn damaged_pages_have_a_word_of_their_own() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    site.release("1.2.0");
    // The origin's gate would see these too: here nobody knows the origin.
    let driver = format!("driver = \"http\"\nendpoint = \"{edge}\"");
    site.settings(&edge, &driver);
    let of = |path: &str| site.fails(&[&format!("{edge}{path}")], &opened("1.2.0"));
    assert_eq!(reason(&of("/rsc")), (1, "rsc-as-document", "yes"));
    let chunk = of("/broken");
    assert_eq!(reason(&chunk), (1, "chunk-missing", "yes"), "{}", chunk.2);
    assert!(
        chunk.1["failure"]["message"].as_str().is_some_and(|m| m.contains("/_next/static/chunks/1.2.0.js"))
    );
    assert_eq!(reason(&of("/gone")), (1, "edge-broken", "yes"));
    let caching = Server::start(|request| {
        let status = if request.method == "PURGE" { 200 } else { 404 };
        Reply::text(status, "text/html", "no").with("X-Release", "1.2.0").with("X-Cache", "HIT")
    });
    site.settings(&caching.url(), "driver = \"http\"");
    assert_eq!(reason(&site.fails(&[], &opened("1.2.0"))), (1, "cached-error", "yes"));
}

#[test]
fn no_more_is_claimed_than_was_seen() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    let dynamic = format!("{edge}/dynamic");
    site.release("1.2.0");
    let mut document = opened("1.2.0");
    document["facts"]["urls"] = json!([dynamic]);
    let (code, done, stderr) = site.run(&[], &document);
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{stderr}");
    assert_eq!(done["steps"][0]["output"]["urls"][0]["claim"], "not-cached", "{done}");
    let (_, done, stderr) = site.run(&[&dynamic], &opened("1.2.0"));
    assert_eq!(done["steps"][0]["output"]["urls"][0]["claim"], "not-cached", "{stderr}");
    assert!(stderr.contains("keeps no copy"), "{stderr}");
    // A page that says no build is held against the origin's.
    let plain = format!("{edge}/plain/1");
    let (code, _, stderr) = exchange(&mut site.command(&["--env", "production", &plain, "--fresh"]), None);
    assert_eq!(code, 0, "{stderr}");
    // And watched for a while.
    let (_, done, stderr) = exchange(
        site.command(&[&format!("{edge}/sale")]).env("RILIS_CDN_PURGE_STABLE", "1s"),
        Some(&opened("1.2.0")),
    );
    let sale = &done["steps"][0]["output"]["urls"][0];
    assert_eq!(
        (&sale["claim"], &done["steps"][0]["output"]["stable_seconds"]),
        (&json!("stable"), &json!(1)),
        "{stderr}"
    );
    assert!(sale["after"]["count"].as_u64() >= Some(3), "{sale}");
}

#[test]
fn next_pages_say_their_build_by_themselves() {
    let site = Site::start();
    let html = Arc::new(Mutex::new(include_str!("../fixtures/home-default.html").to_owned()));
    let ours = Arc::clone(&html);
    let edge = Server::start(move |request| {
        let body = ours.lock().expect("a page").clone();
        let kind = if request.path.starts_with("/_next/") { "application/javascript" } else { "text/html" };
        Reply::text(200, kind, body).with("X-Cache", "HIT")
    });
    let run = |version: &str| {
        site.settings(&edge.url(), "driver = \"http\"");
        let file = site.folder.path().join("release.toml");
        let text = std::fs::read_to_string(&file).expect("there").replace("\"X-Release\"", "\"next\"");
        std::fs::write(file, text).expect("written");
        let mut document = opened(version);
        document["facts"]["tag"] = json!(version);
        site.run(&[], &document)
    };
    assert_eq!(run("AlNXpbjJRusiPU29wQ82V").0, 0);
    *html.lock().expect("a page") = include_str!("../fixtures/home-dpl1.html").to_owned();
    assert_eq!(run("dpl-aaa").0, 0);
    let constant = include_str!("../fixtures/home-default.html")
        .replace("AlNXpbjJRusiPU29wQ82V", "build-TfctsWXpff2fKS");
    *html.lock().expect("a page") = constant;
    let refused = run("build-TfctsWXpff2fKS");
    assert_eq!(reason(&refused), (1, "edge-stale", "yes"), "the same in every build: {}", refused.2);
    assert!(refused.2.contains("gives every build the same id"), "{}", refused.2);
}

//! Several servers behind one name: each is purged and asked, and one that a balancer hides is not forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::http::{Fault, Reply, Request, Server};

use crate::site::{Site, opened, reason};
use step::Exit;

/// A page from a cache.
fn copy(build: &str) -> Reply {
    Reply::text(200, "text/html", "page").with("X-Release", build).with("X-Cache", "HIT")
}

/// A node that serves one build.
fn node(build: &'static str) -> Server {
    Server::start(move |_| copy(build))
}

fn port(server: &Server) -> String {
    format!("\"127.0.0.1:{}\"", server.port())
}

fn settings(site: &Site, nodes: &[&Server], more: &str) {
    let nodes: Vec<String> = nodes.iter().map(|node| port(node)).collect();
    let driver = format!("driver = \"http\"\nassets = false\nnodes = [{}]\n{more}", nodes.join(", "));
    site.settings("http://shop.test", &driver);
}

#[test]
fn every_address_is_purged_and_asked_under_the_pages_own_name() {
    let site = Site::start();
    let (one, two) = (node("1.2.0"), node("1.2.0"));
    settings(&site, &[&one, &two], "");
    let (code, done, stderr) = site.run(&[], &opened("1.2.0"));
    let output = &done["steps"][0]["output"];
    assert_eq!((code, output["claim"].as_str()), (0, Some("observed")), "{stderr}");
    assert_eq!(output["addresses"], 2);
    assert!(stderr.contains("from 2 addresses"), "{stderr}");
    for node in [&one, &two] {
        assert_eq!(node.count("PURGE", "/sale"), 1);
        assert!(node.count("GET", "/sale") >= 4, "two forms, twice");
        assert!(node.log().iter().all(|request| request.header("host") == "shop.test"));
    }
    let rows = output["urls"][1]["nodes"].as_array().expect("both nodes").len();
    assert_eq!(rows, 2, "{output:#}");

    let old = node("1.1.4");
    settings(&site, &[&one, &old], "");
    let stale = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    let said = format!("at 127.0.0.1:{} serves 1.1.4 instead of 1.2.0", old.port());
    assert!(stale.2.contains(&said), "{}", stale.2);
}

/// Two servers behind one address: old now and then.
fn flapping(each: usize) -> Server {
    let asked = Arc::new(AtomicUsize::new(0));
    Server::start(move |request| {
        let n = if request.method == "GET" { asked.fetch_add(1, Ordering::Relaxed) } else { 0 };
        copy(if n % each == each - 1 { "1.1.4" } else { "1.2.0" })
    })
}

#[test]
fn an_old_answer_is_never_erased_by_two_right_ones() {
    for each in [2, 3, 9] {
        let site = Site::start();
        let edge = flapping(each);
        settings(&site, &[&edge], "");
        let stale = site.fails(&[], &opened("1.2.0"));
        assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{each}: {}", stale.2);
    }
    // Once old, and then quiet for long enough: it took its time.
    let site = Site::start();
    let asked = Arc::new(AtomicUsize::new(0));
    let edge = Server::start(move |request| {
        let n = if request.method == "GET" { asked.fetch_add(1, Ordering::Relaxed) } else { 0 };
        copy(if n < 12 { "1.1.4" } else { "1.2.0" })
    });
    settings(&site, &[&edge], "");
    let started = Instant::now();
    let (code, done, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["output"]["claim"].as_str()), (0, Some("observed")), "{stderr}");
    assert!(started.elapsed() >= Duration::from_millis(300), "quiet_time");
}

#[test]
fn a_node_that_keeps_copies_apart_by_server_is_counted() {
    // Two servers behind one address, each with a cache of its own, chosen in turn; what they have not, they fetch.
    let site = Site::start();
    let turn = AtomicUsize::new(0);
    let kept = std::sync::Mutex::new(std::collections::HashSet::new());
    let edge = Server::start(move |request: &Request| {
        if request.method != "GET" {
            return Reply::text(200, "text/plain", "Purged");
        }
        let server = turn.fetch_add(1, Ordering::Relaxed) % 2;
        let new = kept.lock().expect("caches").insert((server, request.target.clone()));
        let word = if new { "MISS" } else { "HIT" };
        Reply::text(200, "text/html", "page").with("X-Release", "1.2.0").with("X-Cache", word)
    });
    settings(&site, &[&edge], "");
    let (code, done, stderr) = site.run(&[], &opened("1.2.0"));
    let output = &done["steps"][0]["output"];
    assert_eq!((code, output["claim"].as_str()), (0, Some("observed")), "{stderr}");
    assert!(output["urls"][0]["after"]["count"].as_u64() >= Some(16), "two are not enough: {output:#}");
}

/// One address that hands `/blog/` to two servers and all else to one. Of the two, the second is old, and answers late.
fn routed() -> Server {
    let kept = std::sync::Mutex::new(std::collections::HashSet::new());
    let asked = AtomicUsize::new(0);
    Server::start(move |request: &Request| {
        if request.method != "GET" {
            return Reply::text(200, "text/plain", "Purged");
        }
        let blog = request.path.starts_with("/blog/");
        let n = if blog { asked.fetch_add(1, Ordering::Relaxed) } else { 0 };
        if request.query.is_empty() {
            return copy(if n > 4 && n % 2 == 0 { "1.1.4" } else { "1.2.0" });
        }
        let new = kept.lock().expect("caches").insert((n % 2, request.target.clone()));
        let word = if new { "MISS" } else { "HIT" };
        Reply::text(200, "text/html", "page").with("X-Release", "1.2.0").with("X-Cache", word)
    })
}

#[test]
fn servers_are_counted_for_each_part_of_the_site() {
    let site = Site::start();
    let edge = routed();
    settings(&site, &[&edge], "");
    let pages = ["http://shop.test/sale", "http://shop.test/", "http://shop.test/blog/a"];
    let stale = site.fails(&pages, &opened("1.2.0"));
    assert_eq!(
        reason(&stale),
        (1, "edge-stale", "yes"),
        "that /sale has one server says nothing of /blog/: {}",
        stale.2
    );
    let (code, done, stderr) = site.run(&pages[..2], &opened("1.2.0"));
    let servers = &done["steps"][0]["output"]["servers"];
    let address = format!("127.0.0.1:{}", edge.port());
    let wanted = json!([{ "host": "shop.test", "part": "/", "address": address, "counted_by": pages[0], "servers": 1 }]);
    assert_eq!((code, servers), (0, &wanted), "{stderr}");
}

#[test]
fn an_endpoint_that_fails_is_named_and_the_next_run_purges_all_again() {
    let site = Site::start();
    let (edge, good) = (node("1.2.0"), node("1.2.0"));
    let bad = Server::start(|_| Reply::text(405, "text/plain", "Not allowed"));
    let endpoints = |second: &Server| format!("endpoint = [\"{}\", \"{}\"]", good.url(), second.url());
    settings(&site, &[&edge], &endpoints(&bad));
    let refused = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&refused), (1, "purge-refused", "yes"), "{}", refused.2);
    assert!(refused.2.contains(&format!("the purge went to {}", bad.url())), "{}", refused.2);
    let before = good.count("PURGE", "/");
    let fine = node("1.2.0");
    settings(&site, &[&edge], &endpoints(&fine));
    let (code, _, stderr) = site.run(&[], &opened("1.2.0"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        (good.count("PURGE", "/") - before, fine.count("PURGE", "/")),
        (2, 2),
        "both pages, both caches"
    );
}

#[test]
fn a_purge_without_an_answer_may_have_been_carried_out() {
    let site = Site::start();
    let (edge, cache) = (node("1.2.0"), node("1.2.0"));
    cache.fault("PURGE", "/", 9, Fault::Hang(Duration::from_secs(20)));
    settings(&site, &[&edge], &format!("endpoint = \"{}\"", cache.url()));
    let unheard = site.fails(&["--timeout", "3s"], &opened("1.2.0"));
    assert_eq!(reason(&unheard), (Exit::Temporary as i32, "purge-unanswered", "unknown"), "{}", unheard.2);
    assert!(unheard.2.contains(&cache.url()), "{}", unheard.2);
}

#[test]
fn settle_bounds_the_proof_and_pages_are_asked_at_the_same_time() {
    let site = Site::start();
    let edge = node("1.2.0");
    edge.fault("GET", "/", 999, Fault::Hang(Duration::from_secs(30)));
    settings(&site, &[&edge], "");
    let started = Instant::now();
    let silent = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&silent), (1, "edge-silent", "yes"), "{}", silent.2);
    // One look before the purge and one after it, a second each at least; all pages and forms at once.
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

/// Content without a new build, pages that are gone, and pages that have moved: as the origin serves them.
#[test]
fn a_page_by_hand_is_what_the_origin_serves() {
    let origin = |status: u16, body: &'static str, nonce: bool| {
        let turn = AtomicUsize::new(0);
        Server::start(move |_| {
            let n = if nonce { turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
            let reply = Reply::text(status, "text/html", format!("<i nonce=\"{n}\">{body}"));
            let reply = reply.with("X-Release", "1.2.0");
            if status == 307 { reply.with("Location", "/other") } else { reply }
        })
    };
    let edge = |status: u16, body: &'static str| {
        Server::start(move |request| {
            if request.method == "PURGE" {
                return Reply::text(200, "text/plain", "Purged");
            }
            let reply =
                Reply::text(status, "text/html", format!("<i nonce=\"0\">{body}")).with("X-Cache", "HIT");
            let reply = reply.with("X-Release", "1.2.0");
            if status == 307 { reply.with("Location", "/other") } else { reply }
        })
    };
    for (there, here, more, code, wanted) in [
        (origin(200, "10", false), edge(200, "10"), "", 0, "observed"),
        (origin(200, "20", false), edge(200, "10"), "", 1, "edge-stale"),
        (origin(200, "20", true), edge(200, "10"), "", 0, "unknown"),
        (origin(200, "10", true), edge(200, "10"), "normalise = \"nonce=\\\"*\\\"\"", 0, "observed"),
        (origin(200, "20", true), edge(200, "10"), "normalise = \"nonce=\\\"*\\\"\"", 1, "edge-stale"),
        (origin(404, "gone", false), edge(404, "gone"), "", 0, "observed"),
        (origin(410, "gone", false), edge(200, "10"), "", 1, "edge-stale"),
        (origin(307, "", false), edge(307, ""), "", 0, "observed"),
        (origin(307, "", false), edge(200, "10"), "", 1, "edge-stale"),
        (origin(200, "10", false), edge(404, "gone"), "", 1, "cached-error"),
    ] {
        let site = Site::start();
        settings(&site, &[&here], &format!("origin = \"{}\"\n{more}", there.url()));
        let mut document = opened("1.2.0");
        document["facts"].as_object_mut().expect("facts").remove("version");
        let done = site.fails(&["http://shop.test/sale"], &document);
        let claim = done.1["steps"][0]["output"]["claim"].as_str().unwrap_or_default().to_owned();
        let said = if code == 0 { claim.as_str() } else { reason(&done).1 };
        assert_eq!((done.0, said), (code, wanted), "{} {}", done.2, json!(done.1["failure"]));
    }
}

#[test]
fn an_origin_that_is_not_the_same_each_time_is_waited_for() {
    let site = Site::start();
    let edge = node("1.2.0");
    let origin = flapping(8);
    settings(&site, &[&edge], &format!("origin = \"{}\"", origin.url()));
    let rolling = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&rolling), (Exit::Temporary as i32, "origin-not-ready", "no"), "{}", rolling.2);
    assert_eq!(edge.log().len(), 0, "nobody has been asked, and nothing was purged");
    // One of two origins, by name.
    let (new, old) = (node("1.2.0"), node("1.1.4"));
    settings(&site, &[&edge], &format!("origin = [\"{}\", \"{}\"]", new.url(), old.url()));
    let half = site.fails(&[], &opened("1.2.0"));
    assert_eq!(reason(&half), (Exit::Temporary as i32, "origin-not-ready", "no"), "{}", half.2);
    assert!(half.2.contains(&format!("the origin {}/ serves 1.1.4", old.url())), "{}", half.2);
}

//! The real binary against caches of one's own: Varnish with its surrogate keys and bans, nginx with its purge module, two tiers,
//! and edges that lie.

mod site;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use site::{Site, opened, reason, served};
use testkit::http::{Reply, Request, Server};
use testkit::souin::{ADMIN, Souin};
use testkit::varnish::{Forms, Varnish};
use testkit::{Nginx, exchange};

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
    let refused = site.run(&["--prefix", &format!("{edge}/blog/")], &opened("1.3.0"));
    assert_eq!(reason(&refused), (1, "no-proof", "no"));
    // A key that nobody carries: the cache is the only one that says so.
    let (_, _, stderr) = site.run(&["--tag", "nobody", "--probe", &pages[0]], &opened("1.3.0"));
    assert!(stderr.contains("the cache held nothing for 1 tag"), "{stderr}");
    // What has no way is said, and nothing else is tried.
    let cannot = site.run(&["--host", edge.trim_start_matches("http://")], &opened("1.3.0"));
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
        done["steps"][0]["output"]["urls"][1]["claim"], "observed",
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
    assert_eq!(done["steps"][0]["output"]["urls"][1]["claim"], "observed", "{done}");
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
    let (code, done, stderr) = site.run(&["--soft", &page], &opened("1.2.0"));
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
    let stale = site.run(&[&format!("{edge}/sale")], &opened("1.2.0"));
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
    assert_eq!(reason(&site.run(&[], &opened("1.2.0"))), (1, "edge-stale", "yes"));
    assert!(edge.log().iter().all(|request| request.query.is_empty() && request.method == "GET"));
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
    let of = |path: &str| site.run(&[&format!("{edge}{path}")], &opened("1.2.0"));
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
    assert_eq!(reason(&site.run(&[], &opened("1.2.0"))), (1, "cached-error", "yes"));
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
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("skipped")), "{stderr}");
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
    let html = Arc::new(Mutex::new(include_str!("fixtures/home-default.html").to_owned()));
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
    *html.lock().expect("a page") = include_str!("fixtures/home-dpl1.html").to_owned();
    assert_eq!(run("dpl-aaa").0, 0);
    let constant =
        include_str!("fixtures/home-default.html").replace("AlNXpbjJRusiPU29wQ82V", "build-TfctsWXpff2fKS");
    *html.lock().expect("a page") = constant;
    let refused = run("build-TfctsWXpff2fKS");
    assert_eq!(reason(&refused), (1, "edge-stale", "yes"), "the same in every build: {}", refused.2);
    assert!(refused.2.contains("gives every build the same id"), "{}", refused.2);
}

/// What `gzip` makes of it.
fn packed(text: &str) -> Vec<u8> {
    let child = Command::new("gzip").args(["-nc"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("gzip starts");
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends").stdout
}

/// A page of Next.js in all its forms; `etag` is whether it has a validator, `header` whether a header says its build.
fn forms(release: &str, request: &Request, (header, etag): (bool, bool)) -> Reply {
    let html = format!("<html data-dpl-id=\"{release}\">{}</html>", request.path);
    let rsc = request.header("rsc") == "1";
    let reply = if rsc && request.query.is_empty() {
        Reply::text(307, "text/plain", "").with("Location", format!("{}?_rsc=1x", request.path))
    } else if rsc {
        let row = format!("1:\"$Sreact.fragment\"\n0:{{\"P\":null,\"b\":\"{release}\",\"f\":[]}}\n");
        Reply::text(200, "text/x-component", row)
    } else if request.header("accept-encoding") == "gzip" {
        Reply::text(200, "text/html; charset=utf-8", packed(&html)).with("Content-Encoding", "gzip")
    } else {
        Reply::text(200, "text/html; charset=utf-8", html)
    };
    let reply = reply.with("Cache-Control", "s-maxage=3600").with("Vary", "rsc, Accept-Encoding");
    let reply = if header { reply.with("X-Release", release) } else { reply };
    let own = if rsc { "rsc" } else { "html" };
    if etag { reply.with("ETag", format!("W/\"{own}-{release}\"")) } else { reply }
}

/// An origin with such pages behind a Varnish, and the settings for it.
struct Formed {
    site: Site,
    origin: Server,
    varnish: Varnish,
}

impl Formed {
    fn start(kept: Forms, said: (bool, bool)) -> Self {
        let site = Site::start();
        let release = Arc::clone(&site.release);
        let origin = Server::start(move |request| forms(&release.lock().expect("a release"), request, said));
        let varnish = Varnish::start_with(origin.port(), origin.port(), kept);
        let formed = Formed { site, origin, varnish };
        formed.proves("variants = [\"gzip\", \"rsc\"]", said.0);
        formed
    }

    /// Writes the settings.
    fn proves(&self, variants: &str, header: bool) {
        let (edge, origin) = (self.varnish.production(), self.origin.url());
        let driver = format!(
            "driver = \"http\"\nendpoint = \"{edge}\"\norigin = \"{origin}\"\nassets = false\n{variants}"
        );
        self.site.settings(&edge, &driver);
        let file = self.site.folder.path().join("release.toml");
        let text = std::fs::read_to_string(&file).expect("there");
        let marker = if header { "\"X-Release\"" } else { "\"next\"" };
        std::fs::write(&file, text.replace("\"X-Release\"", marker)).expect("written");
    }

    /// Somebody has asked for every form of a page.
    fn warm(&self, path: &str) {
        let page = format!("{}{path}", self.varnish.production());
        for header in ["X-Nothing: 1", "Accept-Encoding: gzip", "RSC: 1"] {
            let got = Command::new("curl").args(["-sSLo", "/dev/null", "-H", header, &page]).status();
            assert!(got.expect("curl starts").success());
        }
    }

    fn run(&self, path: &str, version: &str) -> (i32, serde_json::Value, String) {
        self.site.run(&[&format!("{}{path}", self.varnish.production())], &opened(version))
    }
}

/// `variant: claim` of each row.
fn claims(document: &serde_json::Value) -> Vec<String> {
    let rows = document["steps"][0]["output"]["urls"].as_array().expect("rows");
    let word = |row: &serde_json::Value| {
        format!(
            "{}: {}",
            row["variant"].as_str().unwrap_or("plain"),
            row["claim"].as_str().unwrap_or_default()
        )
    };
    rows.iter().map(word).collect()
}

#[test]
fn every_form_of_a_page_is_proven_like_the_page() {
    for said in [(true, true), (false, true)] {
        let formed = Formed::start(Forms::Varied, said);
        formed.warm("/sale");
        formed.site.release("1.2.0");
        let (code, done, stderr) = formed.run("/sale", "1.2.0");
        // The address with `?_rsc=` is another key: a purge of the page leaves its copy, and that is found out.
        assert_eq!(reason(&(code, done.clone(), stderr.clone())), (1, "edge-stale", "yes"), "{stderr}");
        assert!(stderr.contains("/sale (rsc) serves 1.1.4 instead of 1.2.0"), "{stderr}");
        assert!(stderr.contains("purge by tag or prefix"), "{stderr}");
        assert_eq!(claims(&done)[..2], ["plain: observed", "gzip: observed"], "{said:?} {done:#}");
        let both = [formed.varnish.production() + "/sale", formed.varnish.production() + "/sale?_rsc=1x"];
        let args = [both[0].as_str(), both[1].as_str(), "--probe", &both[0]];
        let (code, done, stderr) = formed.site.run(&args, &opened("1.2.0"));
        assert_eq!(
            (code, claims(&done)),
            (0, ["plain", "gzip", "rsc"].map(|f| format!("{f}: observed")).into()),
            "{stderr}"
        );
    }
}

/// The cache keeps every encoding below a key of its own, and a purge names one of them.
#[test]
fn a_purge_that_takes_the_plain_form_alone_is_found_out() {
    let formed = Formed::start(Forms::Keyed, (true, false));
    formed.warm("/sale");
    formed.site.release("1.2.0");
    formed.proves("", true);
    let (code, done, stderr) = formed.run("/sale", "1.2.0");
    assert_eq!(
        (code, claims(&done)),
        (0, vec!["plain: observed".to_owned()]),
        "nobody asked for more: {stderr}"
    );
    formed.proves("variants = \"gzip\"", true);
    let stale = formed.run("/sale", "1.2.0");
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    assert!(stale.2.contains("/sale (gzip) serves 1.1.4 instead of 1.2.0"), "{}", stale.2);
    assert_eq!(claims(&stale.1), ["plain: observed", "gzip: unknown"]);
    // And a run of the release itself does not take the plain form's word for all.
    let again = formed.site.run(&[], &opened("1.2.0"));
    assert_eq!(reason(&again).1, "edge-stale", "{}", again.2);
}

#[test]
fn of_a_form_that_cannot_be_read_no_more_is_claimed_than_is_known() {
    // No header says the build and there is no validator: a young copy may be the old build all the same.
    let formed = Formed::start(Forms::Varied, (false, false));
    formed.proves("variants = \"gzip\"", false);
    formed.warm("/sale");
    formed.site.release("1.2.0");
    let (code, done, stderr) = formed.run("/sale", "1.2.0");
    assert_eq!(
        (code, claims(&done)),
        (0, vec!["plain: observed".into(), "gzip: unknown".into()]),
        "{stderr}"
    );
    assert!(stderr.contains("1 of the 2 forms of pages asked do not say what they are"), "{stderr}");
    let row = &done["steps"][0]["output"]["urls"][1]["after"];
    assert!(row["problem"].as_str().is_some_and(|why| why.contains("compressed by gzip")), "{row}");
    // A copy from before the purge needs no reading.
    let keyed = Formed::start(Forms::Keyed, (false, true));
    keyed.proves("variants = \"gzip\"", false);
    keyed.warm("/sale");
    keyed.site.release("1.2.0");
    std::thread::sleep(Duration::from_secs(3));
    let stale = keyed.run("/sale", "1.2.0");
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    assert!(stale.2.contains("/sale (gzip) serves a copy that is older than the purge"), "{}", stale.2);
}

#[test]
fn forms_are_asked_for_only_when_they_are_wanted() {
    let formed = Formed::start(Forms::Varied, (true, true));
    formed.site.release("1.2.0");
    let edge = Server::start(|_| {
        Reply::text(200, "text/html", "page").with("X-Release", "1.2.0").with("X-Cache", "HIT")
    });
    let asked = |variants: &str| {
        formed.site.settings(&edge.url(), &format!("driver = \"http\"\nassets = false\n{variants}"));
        let before = edge.log().len();
        let (code, done, stderr) = formed.site.run(&[&format!("{}/sale", edge.url())], &opened("1.2.0"));
        assert_eq!(code, 0, "{stderr}");
        (edge.log().len() - before, claims(&done))
    };
    // One look before, the purge, two looks after.
    assert_eq!(asked(""), (4, vec!["plain: observed".to_owned()]));
    let headers = |log: Vec<Request>| {
        log.iter().map(|r| format!("{}{}", r.header("accept-encoding"), r.header("rsc"))).collect::<String>()
    };
    assert_eq!(headers(edge.log()), "", "a plain page is asked for without any of it");
    let (requests, claims) = asked("variants = [\"gzip\", \"br\", \"rsc\", \"br\"]");
    assert_eq!((requests, claims.len()), (13, 4));
    assert_eq!(headers(edge.log()), "gzipbr1gzipgzipbrbr11");
    formed.site.settings(&edge.url(), "driver = \"http\"\nvariants = \"deflate\"");
    let wrong = formed.site.run(&[], &opened("1.2.0"));
    assert_eq!(reason(&wrong), (78, "setting", "no"), "{}", wrong.2);
}

/// Each form is served old once more, and then new.
#[test]
fn a_soft_purge_is_waited_for_in_every_form() {
    for said in [(true, true), (false, true)] {
        let formed = Formed::start(Forms::Varied, said);
        formed.proves("variants = \"gzip\"\nsoft_headers.X-Soft = \"1\"", said.0);
        formed.warm("/sale");
        formed.site.release("1.2.0");
        let page = format!("{}/sale", formed.varnish.production());
        let (code, done, stderr) = formed.site.run(&["--soft", &page], &opened("1.2.0"));
        assert_eq!(
            (code, claims(&done)),
            (0, vec!["plain: observed".into(), "gzip: observed".into()]),
            "{stderr}"
        );
        let purges = done["steps"][0]["output"]["purges"].as_array().expect("purges");
        assert_eq!(purges.iter().map(|purge| &purge["mode"]).collect::<Vec<_>>(), ["soft"], "{stderr}");
    }
}

/// What was proven once and says nothing any more is not called stable.
#[test]
fn a_form_that_falls_silent_while_it_is_watched_is_unknown() {
    let site = Site::start();
    let asked = Arc::new(Mutex::new(0));
    let edge = Server::start(move |request| {
        let gzip = request.header("accept-encoding") == "gzip";
        let mut asked = asked.lock().expect("a number");
        *asked += u32::from(gzip);
        // One look before the purge, two after it; then another document.
        let etag = if gzip && *asked > 3 { "\"b\"" } else { "\"a\"" };
        let page = "<html data-dpl-id=\"1.2.0\">";
        let reply = if gzip {
            Reply::text(200, "text/html", packed(page)).with("Content-Encoding", "gzip")
        } else {
            Reply::text(200, "text/html", page)
        };
        reply.with("ETag", etag).with("X-Cache", "HIT")
    });
    site.settings(&edge.url(), "driver = \"http\"\nassets = false\nvariants = \"gzip\"\nstable = \"1s\"");
    let file = site.folder.path().join("release.toml");
    let text = std::fs::read_to_string(&file).expect("there").replace("\"X-Release\"", "\"next\"");
    std::fs::write(&file, text).expect("written");
    let (code, done, stderr) = site.run(&[&format!("{}/sale", edge.url())], &opened("1.2.0"));
    assert_eq!((code, claims(&done)), (0, vec!["plain: stable".into(), "gzip: unknown".into()]), "{stderr}");
}

/// Whoever serves nothing but compressed pages that say no build is held against the origin, byte by byte.
#[test]
fn a_page_that_is_always_compressed_must_be_the_origins() {
    let site = Site::start();
    let release = Arc::clone(&site.release);
    let origin = Server::start(move |_| {
        let page = packed(&release.lock().expect("a release"));
        let reply = Reply::text(200, "text/html", page).with("Content-Encoding", "gzip");
        reply.with("Cache-Control", "s-maxage=3600")
    });
    let varnish = Varnish::start_with(origin.port(), origin.port(), Forms::Varied);
    let edge = varnish.production();
    let page = format!("{edge}/sale");
    let run = |endpoint: &str| {
        let driver = format!("driver = \"http\"\nendpoint = \"{endpoint}\"\norigin = \"{}\"", origin.url());
        site.settings(&edge, &driver);
        exchange(&mut site.command(&["--env", "production", &page, "--fresh"]), None)
    };
    served(&page);
    site.release("1.2.0");
    let deaf = Server::start(|_| Reply::text(200, "text/plain", "Purged"));
    assert_eq!(reason(&run(&deaf.url())), (1, "edge-stale", "yes"));
    let done = run(&edge);
    assert_eq!((done.0, claims(&done.1)), (0, vec!["plain: observed".to_owned()]), "{}", done.2);
}

/// An origin whose keys are written as Souin reads them, and a Souin before it.
fn souin(site: &Site) -> (Server, Souin) {
    let release = Arc::clone(&site.release);
    let origin = Server::start(move |request| {
        let release = release.lock().expect("a release").clone();
        let own = request.path.strip_prefix("/p/").map(|n| format!(", products, p-{n}")).unwrap_or_default();
        let page = format!("<html data-dpl-id=\"{release}\">{}</html>", request.path);
        let reply = Reply::text(200, "text/html; charset=utf-8", page).with("X-Release", &release);
        reply.with("Cache-Control", "s-maxage=3600").with("Surrogate-Key", format!("all{own}"))
    });
    let souin = Souin::start(&origin.url());
    (origin, souin)
}

/// What the README says of it.
fn souins_settings(souin: &Souin, origin: &Server) -> String {
    format!(
        "driver = \"http\"\nendpoint = \"{}\"\norigin = \"{}\"\nheaders.Host = \"{ADMIN}\"\n\
         target = \"/souin-api/souin/GET-http-{{host}}-{{path}}\"\n\
         tag.target = \"/souin-api/souin\"\ntag.headers.Surrogate-Key = \"{{tag}}\"\ntag.join = \", \"\n\
         everything.target = \"/souin-api/souin/flush\"",
        souin.api().url(),
        origin.url()
    )
}

#[test]
fn souin_by_page_by_key_and_all() {
    let site = Site::start();
    let (origin, souin) = souin(&site);
    let edge = souin.edge().url();
    site.settings(&edge, &souins_settings(&souin, &origin));
    let pages = ["/p/1", "/p/2?size=L", "/sale"].map(|path| format!("{edge}{path}"));
    let state = || pages.each_ref().map(|page| served(page));
    let done = |args: &[&str], version: &str| {
        site.release(version);
        let (code, done, stderr) = site.run(args, &opened(version));
        assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{args:?}: {stderr}");
        done["steps"][0]["output"]["urls"][0].clone()
    };
    assert_eq!(state(), ["1.1.4"; 3]);
    let row = done(&[&pages[1]], "1.2.0");
    assert_eq!((&row["claim"], &row["before"]["build"]), (&json!("observed"), &json!("1.1.4")), "{row}");
    assert!(row["after"]["verdict"].as_str().is_some_and(|said| said.starts_with("Souin; hit; ")), "{row}");
    assert_eq!(state(), ["1.1.4", "1.2.0", "1.1.4"]);
    done(&["--tag", "p-1", "--tag", "nobody", "--probe", &pages[0]], "1.3.0");
    assert_eq!(state(), ["1.3.0", "1.2.0", "1.1.4"]);
    assert_eq!(souin.api().count("PURGE", "/souin-api/souin"), 2, "several keys are one request");
    done(&["--everything", "--probe", &pages[2]], "1.4.0");
    assert_eq!(state(), ["1.4.0"; 3]);
}

#[test]
fn souins_204_for_nothing_is_found_out() {
    let site = Site::start();
    let (origin, souin) = souin(&site);
    let edge = souin.edge().url();
    let sale = format!("{edge}/sale");
    let right = souins_settings(&souin, &origin);
    served(&sale);
    site.release("1.2.0");
    // The page's path is no key of its, and neither is another scheme's.
    for key in ["/souin-api/souin{path}", "/souin-api/souin/GET-https-{host}-{path}"] {
        let wrong = right.replace("/souin-api/souin/GET-http-{host}-{path}", key);
        site.settings(&edge, &wrong);
        let stale = site.run(&[&sale], &opened("1.2.0"));
        assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{key}: {}", stale.2);
        let output = &stale.1["steps"][0]["output"];
        assert_eq!(output["purges"][0]["accepted"], 1, "it said yes to {key}");
    }
    site.settings(&edge, &right);
    let stale = site.run(&["--tag", "nobody", "--probe", &sale], &opened("1.2.0"));
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    assert!(souin.api().log().iter().all(|request| request.method == "PURGE"));
    // Caddy lets nobody in under the page's name.
    site.settings(&edge, &right.replace(&format!("headers.Host = \"{ADMIN}\"\n"), ""));
    let refused = site.run(&[&sale], &opened("1.2.0"));
    assert_eq!(reason(&refused), (1, "purge-refused", "no"), "{}", refused.2);
    assert_eq!(served(&sale), "1.1.4");
}

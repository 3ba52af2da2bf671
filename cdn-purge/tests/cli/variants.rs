//! The forms of a page that an edge keeps apart, compressed ones and React's wire format, in front of a real Varnish: a purge that
//! takes one with it and leaves another is found out, and of what cannot be read no more is claimed than is known.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use testkit::http::{Reply, Request, Server};
use testkit::varnish::{Forms, Varnish};
use testkit::{Nginx, Squid, exchange};

use crate::site::{Site, opened, reason, served};
use step::Exit;

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
        formed.proves("", said.0);
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

    /// The same, and what is not right by now is not waited for.
    fn fails(&self, path: &str, version: &str) -> (i32, serde_json::Value, String) {
        self.site.fails(&[&format!("{}{path}", self.varnish.production())], &opened(version))
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

fn all_observed(document: &serde_json::Value) -> bool {
    claims(document).iter().all(|claim| claim.ends_with(": observed"))
}

#[test]
fn every_form_of_a_page_is_proven_like_the_page() {
    for said in [(true, true), (false, true)] {
        let formed = Formed::start(Forms::Varied, said);
        formed.warm("/sale");
        formed.site.release("1.2.0");
        let (code, done, stderr) = formed.fails("/sale", "1.2.0");
        // The address with `?_rsc=` is another key: a purge of the page leaves its copy, and that is found out.
        assert_eq!(reason(&(code, done.clone(), stderr.clone())), (1, "edge-stale", "yes"), "{stderr}");
        assert!(stderr.contains("/sale (rsc) serves 1.1.4 instead of 1.2.0"), "{stderr}");
        assert!(stderr.contains("purge by tag or prefix"), "{stderr}");
        for form in ["plain", "browser", "gzip"] {
            assert!(claims(&done).contains(&format!("{form}: observed")), "{said:?} {form} {done:#}");
        }
        let both = [formed.varnish.production() + "/sale", formed.varnish.production() + "/sale?_rsc=1x"];
        let args = [both[0].as_str(), both[1].as_str(), "--probe", &both[0]];
        let (code, done, stderr) = formed.site.run(&args, &opened("1.2.0"));
        assert!(code == 0 && all_observed(&done), "{:?} {stderr}", claims(&done));
        // What the answers vary by is followed without a setting.
        let row = &done["steps"][0]["output"]["urls"][0];
        assert_eq!(row["varies_by"], serde_json::json!(["rsc", "accept-encoding"]), "{row:#}");
        assert!(claims(&done).contains(&"rsc: observed".to_owned()));
    }
}

/// The cache keeps every encoding below a key of its own, and a purge names one of them.
#[test]
fn a_purge_that_takes_the_plain_form_alone_is_found_out() {
    let formed = Formed::start(Forms::Keyed, (true, false));
    formed.proves("", true);
    formed.warm("/sale");
    formed.site.release("1.2.0");
    let stale = formed.fails("/sale", "1.2.0");
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    assert!(stale.2.contains("/sale (gzip) serves 1.1.4 instead of 1.2.0"), "{}", stale.2);
    let rows = &stale.1["steps"][0]["output"]["urls"];
    assert_eq!(rows[0]["after"]["build"], "1.2.0", "{rows:#}");
    // The plain form is right, but the purge has left copies, one of ours among them.
    assert_eq!(rows[0]["claim"], "unknown", "{rows:#}");
    assert!(claims(&stale.1).contains(&"gzip: unknown".to_owned()));
}

/// Nobody has a copy in a form that is asked for, but somebody may have one in another: the purge leaves what it does not name.
#[test]
fn a_copy_that_only_we_have_tells_of_all_the_others() {
    let formed = Formed::start(Forms::Keyed, (true, false));
    formed.proves("", true);
    formed.site.release("1.2.0");
    let (code, done, stderr) = formed.run("/sale", "1.2.0");
    let output = &done["steps"][0]["output"];
    assert_eq!((code, output["claim"].as_str()), (0, Some("unknown")), "{stderr}");
    assert_eq!(output["urls"][0]["not_looked_at"], serde_json::json!(["accept-encoding"]), "{output:#}");
    assert!(stderr.contains("other copies by accept-encoding were not seen to go"), "{stderr}");
    // Where the purge takes all of them, ours goes too.
    let formed = Formed::start(Forms::Varied, (true, false));
    formed.proves("", true);
    formed.site.release("1.2.0");
    let (code, done, stderr) = formed.run("/plain", "1.2.0");
    assert_eq!((code, done["steps"][0]["output"]["claim"].as_str()), (0, Some("observed")), "{stderr}");
}

/// Behind one address, `/blog/` has a cache of its own, whose purge leaves the copies of other languages.
#[test]
fn a_copy_of_one_page_says_nothing_of_another_page() {
    let site = Site::start();
    let kept = Mutex::new(std::collections::HashSet::new());
    let edge = Server::start(move |request| {
        let (blog, language) =
            (request.path.starts_with("/blog/"), request.header("accept-language").to_owned());
        let mut kept = kept.lock().expect("copies");
        if request.method == "PURGE" {
            kept.retain(|(target, language): &(String, String)| {
                *target != request.target || (blog && !language.is_empty())
            });
            return Reply::text(200, "text/plain", "Purged");
        }
        let word = if kept.insert((request.target.clone(), language)) { "MISS" } else { "HIT" };
        let reply = Reply::text(200, "text/html", "page").with("X-Release", "1.2.0");
        reply.with("X-Cache", word).with("Vary", "Accept-Language")
    });
    site.settings(&edge.url(), "driver = \"http\"\nassets = false");
    let pages = ["/sale", "/blog/a"].map(|path| edge.url() + path);
    let (code, done, stderr) = site.run(&[&pages[0], &pages[1]], &opened("1.2.0"));
    let rows = done["steps"][0]["output"]["urls"].as_array().expect("rows");
    let claims: Vec<&str> = rows.iter().filter_map(|row| row["claim"].as_str()).collect();
    assert_eq!((code, claims), (0, vec!["observed", "observed", "unknown", "unknown"]), "{stderr}");
    assert_eq!(rows[2]["not_looked_at"], serde_json::json!(["accept-language"]), "{stderr}");
}

/// nginx and Squid find the copies by a language through the page's own copy, which a purge takes: until somebody has asked for the page
/// again, the others seem to be gone.
#[test]
fn copies_that_a_purge_only_hides_are_not_taken_to_be_gone() {
    let site = Site::start();
    let release = Arc::clone(&site.release);
    let origin = Server::start(move |_| {
        let reply =
            Reply::text(200, "text/html", "page").with("X-Release", release.lock().expect("a release"));
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        reply.with("Date", date).with("Cache-Control", "s-maxage=3600").with("Vary", "Accept-Language")
    });
    let (nginx, squid) = (Nginx::start(origin.port()), Squid::start(origin.port()));
    let by_location = "method = \"GET\"\ntarget = \"/purge{path}\"";
    for (edge, more) in [(nginx.url(), by_location), (format!("http://127.0.0.1:{}", squid.port()), "")] {
        "1.1.4".clone_into(&mut site.release.lock().expect("a release"));
        let page = format!("{edge}/sale");
        let speaks = |language: &str| {
            let mut curl = Command::new("curl");
            curl.args(["-s", "-o", "/dev/null", "-w", "%header{x-release}", "-H"])
                .arg(format!("Accept-Language: {language}"));
            String::from_utf8(curl.arg(&page).output().expect("curl").stdout).expect("text")
        };
        assert_eq!([served(&page), speaks("id")], ["1.1.4", "1.1.4"]);
        site.release("1.2.0");
        let origin = origin.url();
        site.settings(
            &edge,
            &format!("driver = \"http\"\norigin = \"{origin}\"\nassets = false\nendpoint = \"{edge}\"\nexpect = [200, 404]\n{more}"),
        );
        let (code, done, stderr) = site.run(&[&page], &opened("1.2.0"));
        assert_eq!(speaks("id"), "1.1.4", "the purge has left it");
        assert_eq!((code, done["steps"][0]["output"]["claim"].as_str()), (0, Some("unknown")), "{stderr}");
    }
}

#[test]
fn packed_pages_are_unpacked_and_of_what_cannot_be_no_more_is_claimed_than_is_known() {
    // No header says the build and there is no validator.
    let formed = Formed::start(Forms::Varied, (false, false));
    formed.proves("", false);
    formed.warm("/sale");
    formed.site.release("1.2.0");
    let args = ["/sale", "/sale?_rsc=1x"].map(|path| formed.varnish.production() + path);
    let (code, done, stderr) = formed.site.run(&[&args[0], &args[1], "--probe", &args[0]], &opened("1.2.0"));
    assert!(code == 0 && all_observed(&done), "{:?} {stderr}", claims(&done));
    let site = Site::start();
    let edge = Server::start(|request| {
        let page = Reply::text(200, "text/html", "<html data-dpl-id=\"1.2.0\">").with("X-Cache", "HIT");
        if request.header("accept-encoding").is_empty() {
            page
        } else {
            page.with("Content-Encoding", "x-own")
        }
    });
    site.settings(&edge.url(), "driver = \"http\"\nassets = false");
    next(&site);
    let (code, done, stderr) = site.run(&[&format!("{}/sale", edge.url())], &opened("1.2.0"));
    assert_eq!(
        (code, claims(&done)),
        (0, vec!["plain: observed".into(), "browser: unknown".into()]),
        "{stderr}"
    );
    assert!(stderr.contains("1 of the 2 forms of pages asked do not say what they are"), "{stderr}");
    let row = &done["steps"][0]["output"]["urls"][1]["after"];
    assert!(row["problem"].as_str().is_some_and(|why| why.contains("compressed by x-own")), "{row}");
    assert_eq!(done["steps"][0]["output"]["claim"], "unknown");
}

/// The pages say their build as Next.js does.
fn next(site: &Site) {
    let file = site.folder.path().join("release.toml");
    let text = std::fs::read_to_string(&file).expect("there").replace("\"X-Release\"", "\"next\"");
    std::fs::write(&file, text).expect("written");
}

#[test]
fn forms_are_asked_for_because_vary_names_them_or_the_settings_do() {
    let site = Site::start();
    let vary = Arc::new(Mutex::new(""));
    let ours = Arc::clone(&vary);
    let edge = Server::start(move |_| {
        let reply = Reply::text(200, "text/html", "page").with("X-Release", "1.2.0").with("X-Cache", "HIT");
        match *ours.lock().expect("a header") {
            "" => reply,
            vary => reply.with("Vary", vary),
        }
    });
    let asked = |header: &'static str, settings: &str| {
        *vary.lock().expect("a header") = header;
        site.settings(&edge.url(), &format!("driver = \"http\"\nassets = false\nquiet = 2\n{settings}"));
        let (code, done, stderr) = site.run(&[&format!("{}/sale", edge.url())], &opened("1.2.0"));
        assert_eq!(code, 0, "{stderr}");
        claims(&done)
    };
    assert_eq!(asked("", ""), ["plain: observed", "browser: observed"]);
    assert_eq!(asked("", "variants = [\"gzip\", \"gzip\"]").len(), 3);
    let encodings = ["plain", "browser", "gzip, deflate, br", "gzip, deflate", "gzip", "br"];
    assert_eq!(asked("Accept-Encoding", ""), encodings.map(|form| format!("{form}: observed")));
    // Nobody knows which values matter: then copies by it were not looked at.
    assert_eq!(asked("X-Country", ""), ["plain: unknown", "browser: unknown"]);
    let listed = asked("X-Country", "vary.X-Country = [\"ID\", \"SG\"]");
    assert_eq!(listed[2..], ["x-country: ID: observed", "x-country: SG: observed"]);
    assert!(edge.log().iter().any(|request| request.header("x-country") == "SG"));
    assert_eq!(asked("Cookie", "")[0], "plain: unknown");
    for wrong in ["variants = \"snappy\"", "normalise = \"*\"", "nodes = \"edge\""] {
        site.settings(&edge.url(), &format!("driver = \"http\"\n{wrong}"));
        let wrong = site.fails(&[], &opened("1.2.0"));
        assert_eq!(reason(&wrong), (Exit::Config as i32, "setting", "no"), "{}", wrong.2);
    }
}

/// Each form is served old once more, and then new. Of those that nobody lists, each has that still before it.
#[test]
fn a_soft_purge_is_waited_for_in_every_form() {
    for said in [(true, true), (false, true)] {
        let formed = Formed::start(Forms::Varied, said);
        formed.proves("soft_headers.X-Soft = \"1\"", said.0);
        formed.warm("/sale");
        formed.site.release("1.2.0");
        let pages = ["/sale", "/sale?_rsc=1x"].map(|path| formed.varnish.production() + path);
        let (code, done, stderr) =
            formed.site.run(&["--soft", &pages[0], &pages[1], "--probe", &pages[0]], &opened("1.2.0"));
        let output = &done["steps"][0]["output"];
        assert_eq!((code, output["claim"].as_str()), (0, Some("unknown")), "{stderr}");
        assert_eq!(output["urls"][0]["not_looked_at"], serde_json::json!(["accept-encoding"]), "{output:#}");
        let rows = output["urls"].as_array().expect("rows");
        assert!(rows.iter().all(|row| row["after"]["build"] == "1.2.0"), "{output:#}");
        let purges = output["purges"].as_array().expect("purges");
        assert!(purges.iter().all(|purge| purge["mode"] == "soft"), "{stderr}");
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
        // Two looks after the purge; then in a form that nobody can read.
        let reply = Reply::text(200, "text/html", "<html data-dpl-id=\"1.2.0\">").with("X-Cache", "HIT");
        if gzip && *asked > 2 { reply.with("Content-Encoding", "x-own") } else { reply }
    });
    let settings = "driver = \"http\"\nassets = false\nquiet = 2\nvariants = \"gzip\"\nstable = \"1s\"";
    site.settings(&edge.url(), settings);
    next(&site);
    let (code, done, stderr) = site.run(&[&format!("{}/sale", edge.url())], &opened("1.2.0"));
    let wanted = ["plain: stable", "browser: stable", "gzip: unknown"].map(str::to_owned);
    assert_eq!((code, claims(&done)), (0, wanted.into()), "{stderr}");
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
        let mut command = site.command(&["--env", "production", &page, "--fresh"]);
        let settle = if endpoint == edge { "10s" } else { "600ms" };
        exchange(command.env("RILIS_CDN_PURGE_SETTLE", settle), None)
    };
    served(&page);
    site.release("1.2.0");
    let deaf = Server::start(|_| Reply::text(200, "text/plain", "Purged"));
    assert_eq!(reason(&run(&deaf.url())), (1, "edge-stale", "yes"));
    let done = run(&edge);
    assert_eq!((done.0, all_observed(&done.1)), (0, true), "{}", done.2);
}

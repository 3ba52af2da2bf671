//! The forms of a page that an edge keeps apart, compressed ones and React's wire format, in front of a real Varnish: a purge that
//! takes one with it and leaves another is found out, and of what cannot be read no more is claimed than is known.

mod site;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use site::{Site, opened, reason, served};
use testkit::exchange;
use testkit::http::{Reply, Request, Server};
use testkit::varnish::{Forms, Varnish};

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

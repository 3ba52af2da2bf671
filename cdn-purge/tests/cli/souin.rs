//! Souin, by a stand-in of its API with a real cache behind it: it answers 204 to every purge, so that only the edge tells.

use std::sync::Arc;

use serde_json::json;
use testkit::http::{Reply, Server};
use testkit::souin::{ADMIN, Souin};

use crate::site::{Site, opened, reason, served};

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
        let stale = site.fails(&[&sale], &opened("1.2.0"));
        assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{key}: {}", stale.2);
        let output = &stale.1["steps"][0]["output"];
        assert_eq!(output["purges"][0]["accepted"], 1, "it said yes to {key}");
    }
    site.settings(&edge, &right);
    let stale = site.fails(&["--tag", "nobody", "--probe", &sale], &opened("1.2.0"));
    assert_eq!(reason(&stale), (1, "edge-stale", "yes"), "{}", stale.2);
    assert!(souin.api().log().iter().all(|request| request.method == "PURGE"));
    // Caddy lets nobody in under the page's name.
    site.settings(&edge, &right.replace(&format!("headers.Host = \"{ADMIN}\"\n"), ""));
    let refused = site.fails(&[&sale], &opened("1.2.0"));
    assert_eq!(reason(&refused), (1, "purge-refused", "no"), "{}", refused.2);
    assert_eq!(served(&sale), "1.1.4");
}

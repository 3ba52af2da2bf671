//! The ways to an edge: a CA of one's own, a proxy, and none at all.

use std::process::Command;

use testkit::exchange;
use testkit::http::Reply;
use testkit::proxy::Proxy;
use testkit::tls::Tls;

use crate::site::{Site, opened, reason};

const PASSWORD: &str = "canary-proxy-Wd83kLq0";

fn edge() -> (Site, Tls) {
    let site = Site::start();
    let tls = Tls::start(|_| {
        Reply::text(200, "text/html", "page").with("X-Release", "1.2.0").with("X-Cache", "HIT")
    });
    site.settings(&tls.url(), "driver = \"http\"");
    (site, tls)
}

fn named(site: &Site, tls: &Tls) -> Command {
    site.command(&[&format!("{}/sale", tls.url()), "--timeout", "10s"])
}

#[test]
fn a_private_ca_is_trusted_when_it_is_named_and_only_then() {
    let (site, tls) = edge();
    let done = exchange(named(&site, &tls).env("SSL_CERT_FILE", tls.ca()), Some(&opened("1.2.0")));
    assert_eq!(done.0, 0, "{}", done.2);
    assert_eq!(tls.server.count("PURGE", "/sale"), 1);
    let unknown = exchange(named(&site, &tls).env_remove("SSL_CERT_FILE"), Some(&opened("1.2.0")));
    assert_eq!((unknown.0, tls.server.count("PURGE", "/sale")), (75, 1), "{}", unknown.2);
    assert!(unknown.2.contains("SSL_CERT_FILE") && !unknown.2.contains("not known"), "{}", unknown.2);
}

#[test]
fn a_proxy_is_used_its_password_is_never_shown_and_no_proxy_is_heard() {
    let (site, tls) = edge();
    let proxy = Proxy::start();
    let address = format!("http://release:{PASSWORD}@127.0.0.1:{}", proxy.port());
    let run = |address: &str, none: &str| {
        let mut command = named(&site, &tls);
        command.arg("-v").env("SSL_CERT_FILE", tls.ca()).env("HTTPS_PROXY", address).env("NO_PROXY", none);
        let done = exchange(&mut command, Some(&opened("1.2.0")));
        assert!(!format!("{}{}", done.1, done.2).contains(PASSWORD), "{}", done.2);
        done
    };
    let done = run(&address, "");
    assert_eq!(done.0, 0, "{}", done.2);
    // Where the proxy has gone nobody here knows.
    assert_eq!(done.1["steps"][0]["output"]["claim"], "unknown", "{}", done.2);
    let host = tls.url().replace("https://", "");
    let unknown = format!("the addresses of {host} are not known (a proxy is in front)");
    assert!(done.2.contains(&unknown), "{}", done.2);
    let seen = proxy.seen();
    assert!(!seen.is_empty() && seen.iter().all(|head| head.starts_with("CONNECT localhost:")), "{seen:?}");
    assert!(seen[0].to_ascii_lowercase().contains("proxy-authorization: basic "), "{seen:?}");
    assert_eq!(run(&address, "localhost").0, 0);
    assert_eq!(proxy.seen().len(), seen.len(), "past the proxy");
    let nobody = format!("http://release:{PASSWORD}@127.0.0.1:1");
    let failed = run(&nobody, "");
    assert_eq!(reason(&failed).0, 75, "{}", failed.2);
}

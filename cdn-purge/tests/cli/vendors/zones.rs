//! Whether the vendor's zone covers the pages, which `--check` and `--ready` find out without a purge.

use serde_json::{Value, json};
use testkit::http::{Fault, Reply, Request};

use super::{bunny, cloudfront, fastly, run};
use crate::site::{Site, TOKEN, opened, reason, served};

/// `--check` with the environment's pages on these hosts (`{host}/` each): its code, its JSON, and what it says.
fn checked(site: &Site, edge: &str, hosts: &[&str]) -> (i32, Value, String) {
    let file = site.folder.path().join("release.toml");
    let text = std::fs::read_to_string(&file).expect("there");
    let pages: Vec<String> = hosts.iter().map(|host| format!("\"{host}/\"")).collect();
    let old = format!("public_urls = [\"{edge}/\", \"{edge}/sale\"]");
    assert!(text.contains(&old), "{text}");
    std::fs::write(&file, text.replace(&old, &format!("public_urls = [{}]", pages.join(", "))))
        .expect("written");
    let mut command = site.command(&["--check", "--env", "production", "--json"]);
    command.env("BUNNY_API_KEY", TOKEN).env("FASTLY_API_TOKEN", TOKEN);
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", TOKEN);
    let out = command.output().expect("it runs");
    std::fs::write(&file, text).expect("written");
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!stderr.contains(TOKEN));
    (out.status.code().expect("a code"), serde_json::from_slice(&out.stdout).unwrap_or_default(), stderr)
}

/// The exit code for pages on each of these hosts.
fn codes<const N: usize>(site: &Site, edge: &str, hosts: [&str; N]) -> [i32; N] {
    hosts.map(|host| checked(site, edge, &[host]).0)
}

/// The pages' host is covered, another one is not and is named with the remedy, and nothing was sent that changes anything.
fn tells_covered_from_not(site: &Site, edge: &str, changes: &dyn Fn() -> usize) {
    let (code, told, stderr) = checked(site, edge, &[edge]);
    assert_eq!((code, &told["hosts"]), (0, &json!([{ "host": "127.0.0.1", "covered": true }])), "{stderr}");
    let (code, _, stderr) = checked(site, edge, &[edge, "https://other.example"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("https://other.example/ is not on a host of"), "{stderr}");
    assert!(stderr.contains("set the zone that covers other.example"), "{stderr}");
    assert_eq!(changes(), 0);
}

/// That it cannot be told is said, and is no error.
fn says_that_it_cannot_tell(site: &Site, edge: &str, why: &str) {
    let (code, told, stderr) = checked(site, edge, &[edge, "https://other.example"]);
    assert_eq!((code, &told["hosts"][0]["covered"]), (0, &Value::Null), "{stderr}");
    let (code, done, stderr) = run(site, &["--ready"], &opened("1.2.0"));
    let seen = done["facts"]["edge"]["seen"].as_str().unwrap_or_default();
    assert!(code == 0 && seen.contains("cannot be told: ") && seen.contains(why), "{seen} {stderr}");
}

#[test]
fn a_zone_that_does_not_cover_the_pages_is_found_out_at_cloudflare() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let edge = cloudflare.edge().url();
    tells_covered_from_not(&site, &edge, &|| cloudflare.api().changes());
    // A subdomain belongs to it, and a name that only ends like it does not.
    cloudflare.named(Some("shop.example"));
    assert_eq!(
        codes(
            &site,
            &edge,
            ["https://shop.example", "https://www.shop.example:8443", "https://myshop.example"]
        ),
        [0, 0, 1]
    );
    // A release is not certified with the wrong zone.
    let refused = run(&site, &["--ready"], &opened("1.2.0"));
    assert_eq!(reason(&refused), (1, "zone-mismatch", "no"), "{}", refused.2);
    cloudflare.custom_hostname("127.0.0.1");
    assert_eq!(run(&site, &["--ready"], &opened("1.2.0")).0, 0, "a customer's name that leads here");
    cloudflare.named(None);
    says_that_it_cannot_tell(&site, &edge, "Zone, Zone, Read");
    assert_eq!(cloudflare.api().changes(), 0);
}

#[test]
fn a_zone_that_does_not_cover_the_pages_is_found_out_at_bunny() {
    let site = Site::start();
    let bunny = bunny(&site);
    let edge = bunny.edge().url();
    tells_covered_from_not(&site, &edge, &|| bunny.api().changes());
    bunny.covers(&["*.shop.example"]);
    assert_eq!(
        codes(&site, &edge, ["https://www.shop.example", "https://shop.b-cdn.net", "https://shop.example"]),
        [0, 0, 1]
    );
    let bare = || Fault::Answer(Reply::json(200, json!({ "Id": 77, "Hostnames": null })));
    bunny.api().fault("GET", "/pullzone", 2, bare());
    says_that_it_cannot_tell(&site, &edge, "no Hostnames");
}

#[test]
fn a_zone_that_does_not_cover_the_pages_is_found_out_at_fastly() {
    let site = Site::start();
    let fastly = fastly(&site);
    let edge = fastly.edge().url();
    tells_covered_from_not(&site, &edge, &|| fastly.api().changes());
    fastly.covers(Some(&["old.example"]), &["www.shop.example"]);
    assert_eq!(
        codes(&site, &edge, ["https://www.shop.example", "https://old.example", "https://shop.example"]),
        [0, 0, 1]
    );
    fastly.covers(None, &[]);
    says_that_it_cannot_tell(&site, &edge, "global:read");
}

#[test]
fn a_zone_that_does_not_cover_the_pages_is_found_out_at_cloudfront() {
    let site = Site::start();
    let cloudfront = cloudfront(&site);
    let edge = cloudfront.edge().url();
    tells_covered_from_not(&site, &edge, &|| cloudfront.api().changes());
    cloudfront.covers(Some(&["*.shop.example"]));
    assert_eq!(
        codes(&site, &edge, ["https://a.b.shop.example", "https://d111111abcdef8.cloudfront.net"]),
        [0, 0]
    );
    assert_eq!(
        codes(&site, &edge, ["https://shop.example", "https://origin.example"]),
        [1, 1],
        "its origin is no host of its own"
    );
    cloudfront.covers(None);
    says_that_it_cannot_tell(&site, &edge, "cloudfront:GetDistribution");
}

#[test]
fn a_purge_asks_no_vendor_for_its_hosts() {
    let site = Site::start();
    let asked = |log: Vec<Request>| -> Vec<String> {
        let asks = |r: &Request| r.method == "GET" && !r.path.contains("/invalidation/");
        log.into_iter().filter(asks).map(|r| format!("{} {}", r.header("user-agent"), r.target)).collect()
    };
    let purge = |log: &dyn Fn() -> Vec<Request>, edge: &str| {
        site.release("1.1.4");
        served(&format!("{edge}/p/1"));
        site.release("1.2.0");
        let (code, _, stderr) = run(&site, &["--hard", &format!("{edge}/p/1")], &opened("1.2.0"));
        assert_eq!((code, asked(log())), (0, Vec::new()), "{stderr}");
    };
    let cloudflare = site.cloudflare();
    purge(&|| cloudflare.api().log(), &cloudflare.edge().url());
    let bunny = bunny(&site);
    purge(&|| bunny.api().log(), &bunny.edge().url());
    let fastly = fastly(&site);
    purge(&|| fastly.api().log(), &fastly.edge().url());
    let cloudfront = cloudfront(&site);
    purge(&|| cloudfront.api().log(), &cloudfront.edge().url());
}

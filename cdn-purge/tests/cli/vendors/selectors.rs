//! What each vendor takes: pages, prefixes, hosts, tags, everything; hard and soft.

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};

use super::{bunny, cloudfront, fastly, run};
use crate::site::{Site, ZONE, opened, reason, served};

/// Old pages, purged by one selector: those that are gone are new, the others are still old.
fn selects(site: &Site, edge: &str, args: &[&str], gone: &[&str], stay: &[&str]) -> Value {
    site.release("1.1.4");
    let all = [gone, stay].concat();
    let mut reset = opened("1.1.4");
    reset["procedure"] = json!("manual");
    run(site, &["--everything"], &reset);
    for path in &all {
        assert_eq!(served(&format!("{edge}{path}")), "1.1.4");
    }
    site.release("1.2.0");
    let probe = format!("{edge}{}", gone[0]);
    let args: Vec<&str> = args.iter().copied().chain(["--hard", "--probe", &probe]).collect();
    let (code, done, stderr) = run(site, &args, &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("changed")), "{args:?}: {stderr}");
    for path in gone {
        assert_eq!(served(&format!("{edge}{path}")), "1.2.0", "{args:?} {path}");
    }
    for path in stay {
        assert_eq!(served(&format!("{edge}{path}")), "1.1.4", "{args:?} {path}");
    }
    done["steps"][0]["output"].clone()
}

#[test]
fn cloudflare_takes_every_selector_hard_and_soft() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let edge = cloudflare.edge().url();
    let tuned = format!(
        "driver = \"cloudflare\"\nzone = \"{ZONE}\"\nplan = \"enterprise\"\nurl = \"{}\"",
        cloudflare.api().url()
    );
    site.settings(&edge, &tuned);
    let host = edge.trim_start_matches("http://");
    selects(&site, &edge, &[&format!("{edge}/p/1")], &["/p/1"], &["/p/2", "/sale"]);
    selects(&site, &edge, &["--prefix", &format!("{edge}/p/")], &["/p/1", "/p/2"], &["/sale"]);
    selects(&site, &edge, &["--tag", "p-2"], &["/p/2"], &["/p/1", "/sale"]);
    selects(&site, &edge, &["--host", host], &["/p/1", "/sale"], &[]);
    selects(&site, &edge, &["--everything"], &["/p/1", "/sale"], &[]);
    site.release("1.3.0");
    let (_, done, stderr) = run(&site, &[], &opened("1.3.0"));
    assert_eq!(done["steps"][0]["output"]["purges"][0]["mode"], "soft", "{stderr}");
    let last = cloudflare.api().log().pop().expect("a request");
    assert!(last.path.ends_with("/invalidate_cache"), "{}", last.path);
}

#[test]
fn bunny_takes_exact_pages_prefixes_tags_and_the_zone() {
    let site = Site::start();
    let bunny = bunny(&site);
    let edge = bunny.edge().url();
    // A page that ends in `/` is no prefix.
    let output = selects(&site, &edge, &[&format!("{edge}/p/")], &["/p/"], &["/p/1", "/sale"]);
    assert_eq!(output["purges"][0]["claim"], "completed");
    let exact = bunny.api().log().into_iter().rfind(|r| r.path == "/purge").expect("a purge");
    assert_eq!((exact.query["exactPath"].as_str(), exact.query["async"].as_str()), ("true", "false"));
    selects(&site, &edge, &["--prefix", &format!("{edge}/p/")], &["/p/1", "/p/2"], &["/sale"]);
    selects(&site, &edge, &["--tag", "p-2"], &["/p/2"], &["/p/1", "/sale"]);
    let zone = bunny.api().log();
    let tags = zone.iter().filter(|r| r.path.ends_with("/purgeCache") && !r.body.is_empty());
    assert!(
        tags.map(|r| r.json().expect("JSON")).all(|body| body["CacheTag"].is_string()),
        "null is the whole zone"
    );
}

#[test]
fn fastly_takes_pages_and_keys_and_says_what_it_cannot() {
    let site = Site::start();
    let fastly = fastly(&site);
    let edge = fastly.edge().url();
    selects(&site, &edge, &[&format!("{edge}/p/1")], &["/p/1"], &["/p/2", "/sale"]);
    selects(&site, &edge, &["--tag", "p-2"], &["/p/2"], &["/p/1", "/sale"]);
    let cannot =
        run(&site, &["--prefix", &format!("{edge}/p/"), "--probe", &format!("{edge}/p/1")], &opened("1.2.0"));
    assert_eq!(reason(&cannot), (1, "cannot-select", "no"));
    // 600 keys: 256, 256 and 88.
    let keys = site.folder.path().join("keys");
    std::fs::write(&keys, (0..600).map(|n| format!("tag key-{n}\n")).collect::<String>()).expect("written");
    let before = fastly.api().log().len();
    let (code, _, stderr) = run(&site, &["--urls-from", "keys"], &opened("1.2.0"));
    assert_eq!(code, 1, "the pages are old: none carried these keys: {stderr}");
    let mut sizes: Vec<usize> = fastly.api().log()[before..]
        .iter()
        .filter_map(|r| r.json()?["surrogate_keys"].as_array().map(Vec::len))
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [88, 256, 256]);
    // Softly the shield hands out its old copy: seen, and made hard.
    for page in ["/", "/sale"] {
        served(&format!("{edge}{page}"));
    }
    site.release("1.3.0");
    let (code, done, stderr) = run(&site, &[], &opened("1.3.0"));
    assert_eq!(code, 0, "{stderr}");
    let modes: Vec<&Value> =
        done["steps"][0]["output"]["purges"].as_array().expect("purges").iter().map(|p| &p["mode"]).collect();
    assert_eq!(modes, [&json!("soft"), &json!("hard")], "{stderr}");
}

#[test]
fn cloudfront_is_waited_for_and_never_asked_twice() {
    let site = Site::start();
    let cloudfront = cloudfront(&site);
    let edge = cloudfront.edge().url();
    let output = selects(&site, &edge, &["--prefix", &format!("{edge}/p/")], &["/p/1", "/p/2"], &["/sale"]);
    assert_eq!(output["purges"][0]["claim"], "completed");
    selects(&site, &edge, &["--tag", "p-2"], &["/p/2"], &["/p/1", "/sale"]);
    // The answer is lost after the invalidation was made: there is still one.
    let before = cloudfront.invalidations().len();
    site.release("1.3.0");
    cloudfront.api().fault("POST", "/2020-05-31", 1, Fault::DropAfter);
    let (code, _, stderr) = run(&site, &[&format!("{edge}/p/1?a=1&b=2")], &opened("1.3.0"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(cloudfront.invalidations()[before..], [["/p/1?a=1&b=2"]]);
    // Another run purges again.
    let mut second = opened("1.3.0");
    second["id"] = json!("shop-1.3.0-20261124T130000Z-aaaa");
    run(&site, &[&format!("{edge}/p/1?a=1&b=2")], &second);
    assert_eq!(cloudfront.invalidations().len(), before + 2);
    let busy = Reply::text(
        400,
        "text/xml",
        "<ErrorResponse><Error><Code>TooManyInvalidationsInProgress</Code></Error></ErrorResponse>",
    );
    cloudfront.api().fault("POST", "/2020-05-31", 1, Fault::Answer(busy));
    let (code, _, stderr) = run(&site, &[&format!("{edge}/p/2")], &opened("1.3.0"));
    assert_eq!(code, 0, "{stderr}");
}

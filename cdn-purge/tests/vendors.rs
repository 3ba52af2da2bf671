//! The real binary against the stand-ins of vendors, each with a real cache behind it: a page that was not purged goes on being the
//! old one, whatever the API has answered.

mod site;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use site::{Site, TOKEN, ZONE, opened, reason, served};
use testkit::http::{Fault, Reply, Request};
use testkit::{Bunny, CloudFront, Cloudflare, Fastly, exchange};

fn run(site: &Site, args: &[&str], document: &Value) -> (i32, Value, String) {
    let mut command = site.command(args);
    command.env("BUNNY_API_KEY", TOKEN).env("FASTLY_API_TOKEN", TOKEN);
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", TOKEN);
    let done = exchange(&mut command, Some(document));
    assert!(!format!("{}{}", done.1, done.2).contains(TOKEN), "{}", done.2);
    done
}

fn bunny(site: &Site) -> Bunny {
    let bunny = Bunny::start("77", TOKEN, &site.origin.url());
    site.settings(
        &bunny.edge().url(),
        &format!("driver = \"bunny\"\npull_zone = 77\nurl = \"{}\"", bunny.api().url()),
    );
    bunny
}

fn fastly(site: &Site) -> Fastly {
    let fastly = Fastly::start("SU1Z0isxPaozGVKXdv0eY", TOKEN, &site.origin.url());
    let driver = format!(
        "driver = \"fastly\"\nservice = \"SU1Z0isxPaozGVKXdv0eY\"\nurl = \"{}\"\ngap = \"50ms\"",
        fastly.api().url()
    );
    site.settings(&fastly.edge().url(), &driver);
    fastly
}

fn cloudfront(site: &Site) -> CloudFront {
    let cloudfront = CloudFront::start("EDFDVBD6EXAMPLE", "AKIDEXAMPLE", &site.origin.url());
    let driver = format!(
        "driver = \"cloudfront\"\ndistribution = \"EDFDVBD6EXAMPLE\"\nurl = \"{}\"",
        cloudfront.api().url()
    );
    site.settings(&cloudfront.edge().url(), &driver);
    cloudfront
}

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

#[test]
fn an_empty_list_never_means_everything() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    std::fs::write(site.folder.path().join("none"), "# nothing\n\n").expect("written");
    let mut empty = opened("1.2.0");
    empty["facts"]["urls"] = json!([]);
    let (bunny_api, fastly_api, cloudfront_api);
    let check = |changes: &dyn Fn() -> usize| {
        assert_eq!(reason(&run(&site, &["--urls-from", "none"], &opened("1.2.0"))), (2, "no-urls", "no"));
        assert_eq!(reason(&run(&site, &[], &empty)), (2, "no-urls", "no"));
        assert_eq!(run(&site, &["--everything", "--tag", "x"], &opened("1.2.0")).0, 2);
        assert_eq!(changes(), 0);
    };
    check(&|| cloudflare.api().changes());
    bunny_api = bunny(&site);
    check(&|| bunny_api.api().changes());
    fastly_api = fastly(&site);
    check(&|| fastly_api.api().changes());
    cloudfront_api = cloudfront(&site);
    check(&|| cloudfront_api.api().changes());
}

#[test]
fn absurd_plans_are_refused_with_a_better_one() {
    let site = Site::start();
    let list = |edge: &str| {
        let lines: String = (0..100_000).map(|n| format!("{edge}/p/{n}\n")).collect();
        std::fs::write(site.folder.path().join("list"), lines).expect("written");
    };
    let bunny = bunny(&site);
    list(&bunny.edge().url());
    let refused = run(&site, &["--urls-from", "list"], &opened("1.1.4"));
    assert_eq!(reason(&refused), (1, "too-slow", "no"), "{}", refused.2);
    let failure = &refused.1["failure"];
    assert!(failure["message"].as_str().is_some_and(|m| m.contains("5 h 33 min")), "{failure}");
    assert_eq!(failure["next"], format!("cdn-purge --env production --prefix {}/p/", bunny.edge().url()));
    let cloudfront = cloudfront(&site);
    list(&cloudfront.edge().url());
    let refused = run(&site, &["--urls-from", "list"], &opened("1.1.4"));
    assert_eq!(reason(&refused), (1, "too-slow", "no"), "{}", refused.2);
    assert!(
        refused.1["failure"]["message"].as_str().is_some_and(|m| m.contains("34 requests and about 34 min"))
    );
    assert_eq!(bunny.api().changes() + cloudfront.api().changes(), 0);
}

#[test]
fn a_plan_shows_the_requests_and_sends_none() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let (code, done, stderr) = run(&site, &["--plan", "--tag", "products"], &opened("1.2.0"));
    assert_eq!((code, done["steps"][0]["status"].as_str()), (0, Some("planned")), "{stderr}");
    let request = done["steps"][0]["output"]["requests"][0].as_str().expect("a request");
    assert!(request.contains("/purge_cache") && request.contains("Bearer [redacted]"), "{request}");
    assert!(request.ends_with("{\"tags\":[\"products\"]}"), "{request}");
    assert_eq!(done["steps"][0]["output"]["plan"][0]["requests"], 1);
    assert_eq!(cloudflare.api().changes(), 0);
}

#[test]
fn the_rate_is_kept_and_what_does_not_fit_is_said_at_once() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let edge = cloudflare.edge().url();
    std::fs::write(
        site.folder.path().join("tags"),
        (0..40).map(|n| format!("tag t-{n}\n")).collect::<String>(),
    )
    .expect("written");
    let tuned = |more: &str| {
        let api = cloudflare.api().url();
        site.settings(
            &edge,
            &format!("driver = \"cloudflare\"\nzone = \"{ZONE}\"\nurl = \"{api}\"\nbatch = 1\n{more}"),
        );
    };
    // The vendor's bucket is smaller than we think: one more refusal than it takes to learn that, each time.
    cloudflare.bucket(25, Duration::from_millis(50));
    tuned("burst = 1000\nrate = 1000");
    let (code, _, stderr) = run(&site, &["--urls-from", "tags"], &opened("1.1.4"));
    assert_eq!(code, 0, "{stderr}");
    let asked = cloudflare.api().count("POST", "/client/v4/zones");
    assert!((40..=41).contains(&asked), "{asked}");
    // Longer than there is time for.
    let late = Reply::json(429, json!({ "success": false, "errors": [] })).with("Retry-After", 600);
    cloudflare.api().fault("POST", "/client/v4/zones", 1, Fault::Answer(late));
    let failed = run(&site, &["--tag", "x", "--timeout", "60s"], &opened("1.1.4"));
    assert_eq!(reason(&failed), (75, "rate-limited", "no"), "{}", failed.2);
    assert!(
        failed.1["failure"]["message"].as_str().is_some_and(|m| m.contains("10 min") && m.contains("(at 20")),
        "{}",
        failed.2
    );
    // A date is a time too.
    let date =
        (jiff::Timestamp::now() + Duration::from_secs(2)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let dated = Reply::json(429, json!({ "success": false, "errors": [] })).with("Retry-After", date);
    cloudflare.api().fault("POST", "/client/v4/zones", 1, Fault::Answer(dated));
    let before = std::time::Instant::now();
    let (code, _, stderr) = run(&site, &["--tag", "x"], &opened("1.1.4"));
    assert_eq!(code, 0, "{stderr}");
    assert!(before.elapsed() >= Duration::from_secs(1), "{:?}", before.elapsed());
}

/// Ends a run by SIGTERM once it has sent three requests.
fn terminated(site: &Site, cloudflare: &Cloudflare) -> (i32, Value) {
    let mut command = site.command(&["--urls-from", "list", "--remaining", "rest", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let document = opened("1.1.4").to_string();
    child.stdin.take().expect("stdin").write_all(document.as_bytes()).expect("read");
    while cloudflare.api().count("POST", "/client/v4/zones") < 3 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    let out = child.wait_with_output().expect("it ends");
    let stopped = serde_json::from_slice(&out.stdout).expect("a document, in any case");
    (out.status.code().expect("a code"), stopped)
}

/// All pages of all requests.
fn sent(log: &[Request]) -> Vec<String> {
    let files = log.iter().filter_map(|r| r.json()?["files"].as_array().cloned()).flatten();
    files.filter_map(|f| f.as_str().map(str::to_owned)).collect()
}

#[test]
fn what_an_interrupted_run_leaves_is_read_back() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    let edge = cloudflare.edge().url();
    let pages: Vec<String> = (0..1000).map(|n| format!("{edge}/p/{n}")).collect();
    std::fs::write(site.folder.path().join("list"), pages.join("\r\n")).expect("written");
    let api = cloudflare.api().url();
    site.settings(
        &edge,
        &format!("driver = \"cloudflare\"\nzone = \"{ZONE}\"\nurl = \"{api}\"\nburst = 300\nrate = 20"),
    );
    let (code, stopped) = terminated(&site, &cloudflare);
    assert_eq!(reason(&(code, stopped.clone(), String::new())), (143, "interrupted", "yes"));
    let rest = std::fs::read_to_string(site.folder.path().join("rest")).expect("written");
    let output = &stopped["steps"][0]["output"];
    assert_eq!(output["remaining"], rest.lines().count());
    let mut all = sent(&cloudflare.api().log());
    all.extend(rest.lines().map(str::to_owned));
    all.sort();
    let mut wanted = pages.clone();
    wanted.sort();
    assert_eq!(all, wanted, "none is lost, and none was sent that remains");
    site.settings(&edge, &format!("driver = \"cloudflare\"\nzone = \"{ZONE}\"\nurl = \"{api}\""));
    let (code, _, stderr) = run(&site, &["--urls-from", "rest", "--remaining", "rest"], &opened("1.1.4"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        std::fs::read_to_string(site.folder.path().join("rest")).expect("there"),
        "",
        "nothing is left"
    );
    let mut all = sent(&cloudflare.api().log());
    all.sort();
    assert_eq!(all, wanted);
}

#[test]
fn limits_that_shrink_are_learned() {
    let site = Site::start();
    let cloudflare = site.cloudflare();
    cloudflare.limit(30);
    let edge = cloudflare.edge().url();
    let lines: String = (0..250).map(|n| format!("{edge}/p/{n}\n")).collect();
    std::fs::write(site.folder.path().join("list"), lines).expect("written");
    let (code, _, stderr) = run(&site, &["--urls-from", "list"], &opened("1.1.4"));
    assert_eq!(code, 0, "{stderr}");
    let log = cloudflare.api().log();
    let sizes: Vec<usize> = log.iter().filter_map(|r| r.json()?["files"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes.iter().filter(|n| **n <= 30).sum::<usize>(), 250, "{sizes:?}");
}

#[test]
fn sitemaps_are_read_from_files_and_from_the_origin() {
    let site = Site::start();
    let varnish = site.varnish();
    let edge = varnish.production();
    for n in 0..3 {
        served(&format!("{edge}/p/{n}?a=1&b=2"));
    }
    site.release("1.2.0");
    let (code, done, stderr) = run(&site, &["--sitemap", &format!("{edge}/sitemap.xml")], &opened("1.2.0"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(done["steps"][0]["output"]["plan"][0]["count"], 3);
    assert_eq!(served(&format!("{edge}/p/2?a=1&b=2")), "1.2.0");
    let index = format!("<sitemapindex><sitemap><loc>{edge}/sitemap.xml</loc></sitemap></sitemapindex>");
    let wrong = [
        ("bad.xml", "<html><p></p></html>", "<html> is no sitemap"),
        ("cut.xml", "<urlset><url><loc>", "ends in the middle"),
        (
            "other.xml",
            "<urlset><url><loc>https://other.example/</loc></url></urlset>",
            "another environment's",
        ),
        ("list", "\nhttps://other.example/\n", "list:2: https://other.example/ is not on a host"),
        ("bytes", "\u{1}", "bytes:1: "),
    ];
    for (name, text, said) in wrong {
        std::fs::write(site.folder.path().join(name), text).expect("written");
        let (code, _, stderr) = run(&site, &["--urls-from", name], &opened("1.2.0"));
        assert!((code == 1 || code == 2) && stderr.contains(said), "{name}: {code} {stderr}");
    }
    std::fs::write(site.folder.path().join("index.xml"), index).expect("written");
    let (code, done, stderr) = run(&site, &["--urls-from", "index.xml"], &opened("1.2.0"));
    assert_eq!((code, &done["steps"][0]["output"]["plan"][0]["count"]), (0, &json!(3)), "{stderr}");
    assert_eq!(reason(&run(&site, &["--urls-from", "missing"], &opened("1.2.0"))), (2, "list", "no"));
}

#[test]
fn every_vendor_is_checked_without_purging() {
    let site = Site::start();
    let check = |changes: &dyn Fn() -> usize| {
        let all = |token: &str| {
            let mut command = site.command(&["--check", "--env", "production"]);
            command
                .env("BUNNY_API_KEY", token)
                .env("FASTLY_API_TOKEN", token)
                .env("CLOUDFLARE_API_TOKEN", token);
            let key = if token == TOKEN { "AKIDEXAMPLE" } else { "AKIDOTHER" };
            command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", token);
            command.output().expect("it runs").status.code()
        };
        assert_eq!((all(TOKEN), all("some-other-token"), changes()), (Some(0), Some(78), 0));
    };
    let cloudflare = site.cloudflare();
    check(&|| cloudflare.api().changes());
    let bunny = bunny(&site);
    check(&|| bunny.api().changes());
    let fastly = fastly(&site);
    check(&|| fastly.api().changes());
    let cloudfront = cloudfront(&site);
    check(&|| cloudfront.api().changes());
}

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
    let asked = |log: Vec<Request>| {
        log.into_iter().filter(|r| r.method == "GET" && !r.path.contains("/invalidation/")).count()
    };
    let purge = |log: &dyn Fn() -> Vec<Request>, edge: &str| {
        site.release("1.1.4");
        served(&format!("{edge}/p/1"));
        site.release("1.2.0");
        let (code, _, stderr) = run(&site, &["--hard", &format!("{edge}/p/1")], &opened("1.2.0"));
        assert_eq!((code, asked(log())), (0, 0), "{stderr}");
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

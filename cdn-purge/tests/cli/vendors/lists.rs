//! Long lists: their rate, limits that shrink, a run that is interrupted, and sitemaps.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::Cloudflare;
use testkit::http::{Fault, Reply, Request};

use super::run;
use crate::site::{Site, ZONE, opened, reason, served};
use step::Exit;

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
    assert_eq!(reason(&failed), (Exit::Temporary as i32, "rate-limited", "no"), "{}", failed.2);
    assert!(
        failed.1["failure"]["message"]
            .as_str()
            .is_some_and(|m| m.contains("back in 10m") && m.contains("(at 20")),
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

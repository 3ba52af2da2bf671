//! What is not sent: an empty list, a plan that is too long, and what is only planned or checked.

use serde_json::json;

use super::{bunny, cloudfront, fastly, run};
use crate::site::{Site, TOKEN, opened, reason};
use step::Exit;

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
    assert!(failure["message"].as_str().is_some_and(|m| m.contains("5h 32m")), "{failure}");
    assert_eq!(failure["next"], format!("cdn-purge --env production --prefix {}/p/", bunny.edge().url()));
    let cloudfront = cloudfront(&site);
    list(&cloudfront.edge().url());
    let refused = run(&site, &["--urls-from", "list"], &opened("1.1.4"));
    assert_eq!(reason(&refused), (1, "too-slow", "no"), "{}", refused.2);
    assert!(
        refused.1["failure"]["message"].as_str().is_some_and(|m| m.contains("34 requests and about 34m"))
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
        assert_eq!((all(TOKEN), all("some-other-token"), changes()), (Some(0), Some(Exit::Config as i32), 0));
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

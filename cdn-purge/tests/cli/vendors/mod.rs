//! The real binary against the stand-ins of vendors, each with a real cache behind it: a page that was not purged goes on being the
//! old one, whatever the API has answered.

mod lists;
mod refusals;
mod selectors;
mod zones;

use serde_json::Value;
use testkit::{Bunny, CloudFront, Fastly, exchange};

use crate::site::{Site, TOKEN};

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

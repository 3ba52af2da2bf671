//! The settings.

use std::time::Duration;

use address::BaseUrl;
use step::{ADDRESS, Context, Failure, Setting, SettingKind as Type};
use url::Url;
use web_page::Marker;

use crate::drivers::{self, Driver};
use crate::page::form::Wanted;
use crate::page::node::Listed;
use crate::page::normal;
use crate::plan::Tuning;
use crate::proof::watch::Quiet;
use crate::select;

/// The settings of `[cdn-purge]`.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "driver",
        Type::Word(&["http", "cloudflare", "bunny", "fastly", "cloudfront"]),
        "who keeps the pages; http is Varnish, nginx, Squid, HAProxy, Souin",
    )
    .example("http")
    .required(),
    Setting::new("url", Type::Form(&ADDRESS), "the vendor's API")
        .otherwise("the vendor's own")
        .example("https://api.cloudflare.com"),
    Setting::new(address::CLEARTEXT, Type::Flag, "the token may go over plain HTTP to another machine")
        .default("false"),
    Setting::new(
        "token",
        Type::Secret(
            "CDN_PURGE_TOKEN, CLOUDFLARE_API_TOKEN, BUNNY_API_KEY or FASTLY_API_TOKEN, by the driver",
        ),
        "the token that may purge",
    ),
    Setting::new(
        "origin",
        Type::List(&Type::Form(&ADDRESS)),
        "where the origin answers past the edge; several are all asked",
    )
    .example("http://10.0.0.8:3000"),
    Setting::new(
        "successes",
        Type::Whole(1, 1_000_000),
        "how often each page of the origin must be right in a row",
    )
    .default("2"),
    Setting::new("bake", Type::Time, "for how long it must be right").default("3s"),
    Setting::new(
        "nodes",
        Type::List(&Type::Text),
        "the addresses of the edge, where they are not those of the pages' names",
    )
    .example("203.0.113.7"),
    Setting::new(
        "settle",
        Type::Time,
        "how long the origin and the edge get to show the build; pages are asked eight at a time",
    )
    .default("30s"),
    Setting::new(
        "quiet",
        Type::Whole(0, 1_000_000),
        "after so many right answers an old one that nothing announced is forgotten",
    )
    .default("16"),
    Setting::new("quiet_time", Type::Time, "and after so long a time").default("2s"),
    Setting::new("stable", Type::Time, "how long pages are watched once they are right").default("0s"),
    Setting::new(
        "variants",
        Type::List(&Type::Word(&["gzip", "br", "zstd", "deflate", "rsc"])),
        "forms of pages that no Vary names",
    )
    .example("gzip"),
    Setting::new("vary.*", Type::List(&Type::Text), "the values of a header that make forms of a page")
        .example("ID"),
    Setting::new(
        "normalise",
        Type::List(&Type::Text),
        "what of a page is another one each time; `*` is any text up to what follows",
    )
    .example("nonce=\"*\""),
    Setting::new("assets", Type::Flag, "ask for every file of /_next/static that a page names")
        .default("true"),
    Setting::new("shield", Type::Flag, "there is a second cache behind the edge: purge all twice")
        .default("false"),
    Setting::new("gap", Type::Time, "the time between the two")
        .otherwise("2s; 30s for everything")
        .example("5s"),
    Setting::new(
        "tags",
        Type::List(&Type::Text),
        "what a run purges in place of pages, when nobody names anything",
    )
    .example("products"),
    Setting::new("prefixes", Type::List(&Type::Text), "the same, by the beginnings of addresses")
        .example("https://shop.example/sale"),
    Setting::new("hosts", Type::List(&Type::Text), "the same, by hosts").example("shop.example"),
    Setting::new("batch", Type::Whole(1, 100_000), "how many pages a request names")
        .otherwise("what the vendor takes")
        .example("100"),
    Setting::new("rate", Type::Positive, "requests a second").otherwise("what the vendor takes").example("5"),
    Setting::new("burst", Type::Positive, "how many requests may go out at once")
        .otherwise("what the vendor takes")
        .example("25"),
    Setting::new("workers", Type::Whole(1, 1024), "how many requests are under way at once")
        .otherwise("8")
        .example("4"),
    Setting::new(
        "endpoint",
        Type::List(&Type::Form(&ADDRESS)),
        "http: where purges go, one or several, the shield first",
    )
    .otherwise("the page's own address")
    .example("http://10.0.0.7:6081"),
    Setting::new("method", Type::Text, "http: the method").default("PURGE"),
    Setting::new("target", Type::Text, "http: a template of what is asked for")
        .otherwise("the page")
        .example("/purge{path}"),
    Setting::new("headers.*", Type::Text, "http: a header, as a template").example("{path_regex}"),
    Setting::new("soft_headers.*", Type::Text, "http: a header that makes a purge a soft one").example("1"),
    Setting::new("expect", Type::List(&Type::Whole(100, 599)), "http: the answers that mean yes")
        .otherwise("200 and 204")
        .example("404"),
    Setting::new(
        "ban_header",
        Type::Text,
        "http: bans pages by this header, with the path as a regular expression",
    )
    .example("X-Ban-Url"),
    Setting::new(
        "count_header",
        Type::Text,
        "http: the header in which the cache says how much it has dropped",
    )
    .example("X-Purged"),
    Setting::new("token_header", Type::Text, "http: the header that carries the token").example("X-Token"),
    Setting::new("prefix.method", Type::Text, "http: what `method` is for pages, for prefixes")
        .otherwise("PURGE")
        .example("BAN"),
    Setting::new("prefix.target", Type::Text, "http: what `target` is for pages, for prefixes")
        .otherwise("/")
        .example("/ban"),
    Setting::new("prefix.headers.*", Type::Text, "http: what `headers.*` is for pages, for prefixes")
        .example("{path_regex}"),
    Setting::new(
        "prefix.soft_headers.*",
        Type::Text,
        "http: what `soft_headers.*` is for pages, for prefixes",
    )
    .example("1"),
    Setting::new("host.method", Type::Text, "http: what `method` is for pages, for hosts")
        .otherwise("PURGE")
        .example("BAN"),
    Setting::new("host.target", Type::Text, "http: what `target` is for pages, for hosts")
        .otherwise("/")
        .example("/ban"),
    Setting::new("host.headers.*", Type::Text, "http: what `headers.*` is for pages, for hosts")
        .example("{host}"),
    Setting::new("host.soft_headers.*", Type::Text, "http: what `soft_headers.*` is for pages, for hosts")
        .example("1"),
    Setting::new("tag.method", Type::Text, "http: what `method` is for pages, for tags")
        .otherwise("PURGE")
        .example("BAN"),
    Setting::new("tag.target", Type::Text, "http: what `target` is for pages, for tags")
        .otherwise("/")
        .example("/souin-api/souin"),
    Setting::new("tag.headers.*", Type::Text, "http: what `headers.*` is for pages, for tags")
        .example("{tag}"),
    Setting::new("tag.soft_headers.*", Type::Text, "http: what `soft_headers.*` is for pages, for tags")
        .example("1"),
    Setting::new("tag.join", Type::Text, "http: what stands between tags that go into one request")
        .otherwise("one tag a request")
        .example(" "),
    Setting::new("everything.method", Type::Text, "http: what `method` is for pages, for everything")
        .otherwise("PURGE")
        .example("BAN"),
    Setting::new("everything.target", Type::Text, "http: what `target` is for pages, for everything")
        .otherwise("/")
        .example("/souin-api/souin/flush"),
    Setting::new("everything.headers.*", Type::Text, "http: what `headers.*` is for pages, for everything")
        .example("."),
    Setting::new(
        "everything.soft_headers.*",
        Type::Text,
        "http: what `soft_headers.*` is for pages, for everything",
    )
    .example("1"),
    Setting::new("zone", Type::Text, "Cloudflare's zone").example("023e105f4ecef8ad9ca31a8372d0c353"),
    Setting::new(
        "plan",
        Type::Word(&["free", "pro", "business", "enterprise"]),
        "Cloudflare's plan, for its limits",
    )
    .default("free"),
    Setting::new("pull_zone", Type::Id, "Bunny's pull zone").example("123456"),
    Setting::new("service", Type::Text, "Fastly's service").example("SU1Z0isxPaozGVKXdv0eY"),
    Setting::new("distribution", Type::Text, "CloudFront's distribution").example("EDFDVBD6EXAMPLE"),
    Setting::new("access_key", Type::Text, "the id of AWS's key")
        .otherwise("AWS_ACCESS_KEY_ID, else a profile of ~/.aws/credentials")
        .example("AKIAIOSFODNN7EXAMPLE"),
    Setting::new("secret_key", Type::Secret("AWS_SECRET_ACCESS_KEY"), "AWS's secret key"),
    Setting::new("session_token", Type::Secret("AWS_SESSION_TOKEN"), "AWS's session token"),
];

/// The edge, and how to ask it.
pub struct Settings {
    pub driver: Box<dyn Driver>,
    /// The environment's pages: what may be purged lies on their hosts.
    pub public_urls: Vec<String>,
    /// What a run purges in place of pages, when nobody names anything.
    pub tags: Vec<String>,
    pub prefixes: Vec<String>,
    pub hosts: Vec<String>,
    /// How a page says its build.
    pub marker: Marker,
    /// Where the origin answers past the edge; several are all asked.
    pub origins: Vec<Url>,
    /// How often each page of the origin must be right in a row, and over which time, before anything is purged.
    pub successes: u32,
    pub bake: Duration,
    /// The addresses of the edge; else those that the pages' names have.
    pub nodes: Vec<Listed>,
    /// How long the origin and the edge get to show the build.
    pub settle: Duration,
    /// When nothing old is expected any more.
    pub quiet: Quiet,
    /// What of a page is another one each time.
    pub normalise: Vec<String>,
    /// How long pages are watched once they are right.
    pub stable: Duration,
    /// Whether the files that a page names are asked for.
    pub assets: bool,
    /// The forms in which pages are asked for.
    pub forms: Wanted,
    /// Whether there is a second cache behind the edge: then all is purged twice.
    pub shield: bool,
    /// The time between the two; by default 2 s, and 30 s for everything.
    pub gap: Option<Duration>,
    pub tuning: Tuning,
}

impl Settings {
    /// Reads the settings of the environment.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        context.environment()?;
        let settings = &context.settings;
        let missing = || {
            let message = "no marker: without the header (or html:attribute, or next) by which a page says its build, nothing can be proven; set marker in [environment.X]";
            Failure::config("missing-setting", message)
        };
        let public_urls = settings.shared_list("public_urls")?;
        let first = select::hosts(&public_urls).into_iter().next().unwrap_or_default();
        let origins: Vec<String> = settings.list("origin")?;
        let origin = |text: &String| url(settings, "origin", &BaseUrl::of(settings, "origin", text)?);
        let origins = origins.iter().map(origin).collect::<Result<_, Failure>>()?;
        Ok(Settings {
            driver: drivers::read(settings, &first)?,
            public_urls,
            tags: settings.list("tags")?,
            prefixes: settings.list("prefixes")?,
            hosts: settings.list("hosts")?,
            marker: Marker::of(settings)?.ok_or_else(missing)?,
            origins,
            successes: settings.value("successes")?,
            bake: settings.value("bake")?,
            nodes: Listed::read(settings)?,
            settle: settings.value("settle")?,
            quiet: Quiet { answers: settings.value("quiet")?, time: settings.value("quiet_time")? },
            normalise: patterns(settings)?,
            stable: settings.value("stable")?,
            assets: settings.value("assets")?,
            forms: Wanted::read(settings)?,
            shield: settings.value("shield")?,
            gap: settings.optional("gap")?,
            tuning: tuning(settings)?,
        })
    }
}

/// The setting `normalise`.
fn patterns(settings: &step::Settings) -> Result<Vec<String>, Failure> {
    let patterns: Vec<String> = settings.list("normalise")?;
    let wrong = patterns.iter().find_map(|pattern| normal::wrong(pattern).map(|why| (pattern, why)));
    match wrong {
        Some((pattern, why)) => Err(settings.wrong("normalise", &format!("`{pattern}`: {why}"))),
        None => Ok(patterns),
    }
}

fn tuning(settings: &step::Settings) -> Result<Tuning, Failure> {
    Ok(Tuning {
        batch: settings.optional("batch")?,
        rate: settings.optional("rate")?,
        burst: settings.optional("burst")?,
        workers: settings.optional("workers")?,
    })
}

/// An address of a setting, in parts.
pub fn url(settings: &step::Settings, key: &str, base: &BaseUrl) -> Result<Url, Failure> {
    Url::parse(base.as_str()).map_err(|e| settings.wrong(key, &e.to_string()))
}

//! The command line and the settings.

use std::time::Duration;

use clap::Parser;
use step::{Common, Context, Failure, Marker, Secret};
use url::Url;

/// The keys of `[cdn-purge]`.
pub const KEYS: &[&str] = &[
    "driver",
    "endpoint",
    "method",
    "expect",
    "ban_header",
    "headers.*",
    "zone",
    "token_file",
    "url",
    "origin",
    "settle",
];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Pages to purge, as people open them; else the document's, else the environment's public_urls
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    #[command(flatten)]
    pub common: Common,
}

/// The edge, and how to ask it.
#[derive(Debug)]
pub struct Settings {
    pub driver: Driver,
    /// The environment's pages: what may be purged lies on their hosts.
    pub public_urls: Vec<String>,
    /// How a page says its build.
    pub marker: Marker,
    /// Where the origin answers past the edge.
    pub origin: Option<Url>,
    /// How long the origin and the edge get to show the build.
    pub settle: Duration,
}

/// Whose edge it is.
#[derive(Debug)]
pub enum Driver {
    Http(Http),
    Cloudflare(Cloudflare),
}

/// A cache that takes a request a page: Varnish, nginx, Souin.
#[derive(Debug)]
pub struct Http {
    /// Where purges go; else to the page's own address.
    pub endpoint: Option<Url>,
    pub method: String,
    /// The statuses that mean accepted.
    pub expect: Vec<u16>,
    /// With it, the page's path goes into this header as a regular expression (a ban).
    pub ban_header: Option<String>,
    pub headers: Vec<(String, String)>,
}

/// Cloudflare.
#[derive(Debug)]
pub struct Cloudflare {
    pub api: String,
    pub zone: String,
    pub token: Secret,
}

impl Settings {
    /// Reads the settings of the environment.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        context.environment()?;
        let settings = &context.settings;
        let driver = match settings.need("driver")?.as_str() {
            "http" => Driver::Http(Http::read(settings)?),
            "cloudflare" => Driver::Cloudflare(Cloudflare::read(settings)?),
            other => {
                return Err(
                    settings.wrong("driver", &format!("`{other}` is not known; http and cloudflare are"))
                );
            }
        };
        let missing = || {
            let message = "no marker: without the header (or html:attribute) by which a page says its build, nothing can be proven; set marker in [environment.X]";
            Failure::config("missing-setting", message)
        };
        Ok(Settings {
            driver,
            public_urls: settings.shared_list("public_urls")?,
            marker: Marker::of(settings)?.ok_or_else(missing)?,
            origin: base(settings, "origin")?,
            settle: settings.duration("settle")?.unwrap_or(Duration::from_secs(30)),
        })
    }
}

impl Http {
    fn read(settings: &step::Settings) -> Result<Self, Failure> {
        let status = |text: String| {
            let wrong = |_| settings.wrong("expect", &format!("`{text}` is no HTTP status"));
            text.parse::<u16>().map_err(wrong)
        };
        let expect: Vec<u16> = settings.list("expect")?.into_iter().map(status).collect::<Result<_, _>>()?;
        let names = settings.names("headers").into_iter();
        let header = |name: String| Ok((name.clone(), settings.need(&format!("headers.{name}"))?));
        Ok(Http {
            endpoint: base(settings, "endpoint")?,
            method: settings.text("method")?.unwrap_or_else(|| "PURGE".to_owned()),
            expect: if expect.is_empty() { vec![200, 204] } else { expect },
            ban_header: settings.text("ban_header")?,
            headers: names.map(header).collect::<Result<_, Failure>>()?,
        })
    }
}

impl Cloudflare {
    fn read(settings: &step::Settings) -> Result<Self, Failure> {
        let api = settings.text("url")?.unwrap_or_else(|| "https://api.cloudflare.com".to_owned());
        Ok(Cloudflare {
            api: api.trim_end_matches('/').to_owned(),
            zone: settings.need("zone")?,
            token: settings.need_secret("token", "CLOUDFLARE_API_TOKEN")?,
        })
    }
}

fn base(settings: &step::Settings, key: &str) -> Result<Option<Url>, Failure> {
    let Some(text) = settings.text(key)? else { return Ok(None) };
    let url = Url::parse(&text).ok().filter(|url| url.has_host() && url.scheme().starts_with("http"));
    url.map(Some).ok_or_else(|| settings.wrong(key, &format!("`{text}` is no http address")))
}

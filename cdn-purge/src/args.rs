//! The command line and the settings.

use std::path::PathBuf;
use std::time::Duration;

use address::BaseUrl;
use clap::Parser;
use step::{Common, Context, Failure};
use url::Url;
use web_page::Marker;

use crate::drivers::{self, Driver, Mode};
use crate::page::form::Wanted;
use crate::page::node::Listed;
use crate::page::normal;
use crate::plan::Tuning;
use crate::proof::watch::Quiet;
use crate::select;

/// The keys of `[cdn-purge]`.
pub const KEYS: &[&str] = &[
    "driver",
    "url",
    address::CLEARTEXT,
    "origin",
    "settle",
    "stable",
    "assets",
    "variants",
    "vary.*",
    "normalise",
    "nodes",
    "successes",
    "bake",
    "quiet",
    "quiet_time",
    "shield",
    "gap",
    "batch",
    "rate",
    "burst",
    "workers",
    "tags",
    "prefixes",
    "hosts",
    "token_file",
    // http
    "endpoint",
    "method",
    "target",
    "expect",
    "ban_header",
    "headers.*",
    "soft_headers.*",
    "count_header",
    "token_header",
    "prefix.method",
    "prefix.target",
    "prefix.headers.*",
    "prefix.soft_headers.*",
    "host.method",
    "host.target",
    "host.headers.*",
    "host.soft_headers.*",
    "tag.method",
    "tag.target",
    "tag.headers.*",
    "tag.soft_headers.*",
    "tag.join",
    "everything.method",
    "everything.target",
    "everything.headers.*",
    "everything.soft_headers.*",
    // the vendors
    "zone",
    "plan",
    "pull_zone",
    "service",
    "distribution",
    "access_key",
    "secret_key_file",
    "session_token_file",
];

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// Pages to purge, as people open them; else what the settings say, the document's, or the environment's public_urls
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
    /// Purge all that begins with this address
    #[arg(long, value_name = "URL")]
    pub prefix: Vec<String>,
    /// Purge all of this host
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,
    /// Purge all that carries this tag (surrogate key)
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub tag: Vec<String>,
    /// Purge everything that the edge keeps of this zone
    #[arg(long, conflicts_with_all = ["urls", "prefix", "host", "tag", "urls_from", "sitemap"])]
    pub everything: bool,
    /// Purge what this file lists: one page a line (or `prefix URL`, `host HOST`, `tag TAG`), or a sitemap
    #[arg(long, value_name = "FILE")]
    pub urls_from: Vec<PathBuf>,
    /// Purge what this sitemap (or index of sitemaps) lists; the origin is asked for it, if it is known
    #[arg(long, value_name = "URL")]
    pub sitemap: Vec<String>,
    /// What was not purged when the run stops goes into this file, for --urls-from; it is empty when nothing is left
    #[arg(long, value_name = "FILE")]
    pub remaining: Option<PathBuf>,
    /// A page that must serve the build afterwards, where what is purged is no page
    #[arg(long, value_name = "URL")]
    pub probe: Vec<String>,
    /// Let the edge serve old copies once more while it asks (where it can)
    #[arg(long, conflicts_with = "hard")]
    pub soft: bool,
    /// Drop all copies at once
    #[arg(long)]
    pub hard: bool,
    /// Only ask the edge what can be told without a purge, for a release's certificate; nothing is purged
    #[arg(long, conflicts_with_all = ["urls", "prefix", "host", "tag", "urls_from", "sitemap", "everything", "remaining", "probe", "soft", "hard"])]
    pub ready: bool,
    #[command(flatten)]
    pub common: Common,
}

impl Args {
    /// Whether a person has named what is to be purged.
    pub fn named(&self) -> bool {
        let lists = [&self.urls, &self.prefix, &self.host, &self.tag, &self.sitemap];
        self.everything || !self.urls_from.is_empty() || lists.iter().any(|list| !list.is_empty())
    }

    /// What the person says about the manner.
    pub fn mode(&self) -> Option<Mode> {
        match (self.soft, self.hard) {
            (true, _) => Some(Mode::Soft),
            (_, true) => Some(Mode::Hard),
            _ => None,
        }
    }
}

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
        let duration = |key, default| Ok::<_, Failure>(settings.duration(key)?.unwrap_or(default));
        let origins = settings.list("origin")?;
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
            successes: settings.number("successes")?.unwrap_or(2).max(1),
            bake: duration("bake", Duration::from_secs(3))?,
            nodes: Listed::read(settings)?,
            settle: duration("settle", Duration::from_secs(30))?,
            quiet: Quiet {
                answers: settings.number("quiet")?.unwrap_or(16),
                time: duration("quiet_time", Duration::from_secs(2))?,
            },
            normalise: patterns(settings)?,
            stable: duration("stable", Duration::ZERO)?,
            assets: settings.flag("assets")?.unwrap_or(true),
            forms: Wanted::read(settings)?,
            shield: settings.flag("shield")?.unwrap_or(false),
            gap: settings.duration("gap")?,
            tuning: tuning(settings)?,
        })
    }
}

/// The setting `normalise`.
fn patterns(settings: &step::Settings) -> Result<Vec<String>, Failure> {
    let patterns = settings.list("normalise")?;
    let wrong = patterns.iter().find_map(|pattern| normal::wrong(pattern).map(|why| (pattern, why)));
    match wrong {
        Some((pattern, why)) => Err(settings.wrong("normalise", &format!("`{pattern}`: {why}"))),
        None => Ok(patterns),
    }
}

fn tuning(settings: &step::Settings) -> Result<Tuning, Failure> {
    let positive = |key: &str, number: Option<f64>| match number {
        Some(number) if number.is_nan() || number <= 0.0 => {
            Err(settings.wrong(key, "it must be more than 0"))
        }
        number => Ok(number),
    };
    let whole = |key: &str| match settings.number::<usize>(key)? {
        Some(0) => Err(settings.wrong(key, "it must be more than 0")),
        number => Ok(number),
    };
    Ok(Tuning {
        batch: whole("batch")?,
        rate: positive("rate", settings.number("rate")?)?,
        burst: positive("burst", settings.number("burst")?)?,
        workers: whole("workers")?,
    })
}

/// An address of a setting, in parts.
pub fn url(settings: &step::Settings, key: &str, base: &BaseUrl) -> Result<Url, Failure> {
    Url::parse(base.as_str()).map_err(|e| settings.wrong(key, &e.to_string()))
}

/// A tag; who writes a star means everything, and has to say so.
fn tag(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a tag has a name".into()),
        all if all.bytes().all(|b| b == b'*') => {
            Err("a tag is meant as it is written; --everything purges everything".into())
        }
        _ => Ok(text.to_owned()),
    }
}

//! The command line.

use std::path::PathBuf;

use clap::Parser;
use step::Common;

use crate::drivers::Mode;

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

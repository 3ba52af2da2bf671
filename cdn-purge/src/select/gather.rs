//! What a run is to purge, and the pages that must serve the build afterwards: from the command line, else the settings, else the
//! document, else the environment. A list that is named and empty is an error: it never means everything.

use http_client::Client;
use step::{Failure, Run};
use url::Url;

use crate::args::Args;
use crate::select::list::{List, Lists, SHOWN};
use crate::select::source::Source;
use crate::select::{self, Kind};
use crate::settings::Settings;

/// What a run is about.
pub struct Work {
    pub lists: Lists,
    pub probes: Vec<Url>,
}

/// Reads everything; nothing has been asked for yet but sitemaps.
pub fn gather(run: &Run, settings: &Settings, args: &Args, client: &Client) -> Result<Work, Failure> {
    let hosts = select::hosts(&settings.public_urls);
    if hosts.is_empty() {
        let message = "no page to purge: set public_urls in [environment.X]";
        return Err(Failure::config("missing-setting", message));
    }
    let fact: Option<Vec<String>> = run.fact("urls")?;
    let mut lists = Lists::new();
    if args.named() {
        named(args, settings, &hosts, client, &mut lists)?;
    } else {
        standing(settings, &hosts, fact.as_deref(), &mut lists)?;
    }
    lists.full_mut().for_each(List::seal);
    if lists.full().next().is_none() {
        return Err(Failure::usage(
            "no-urls",
            "the list of pages is empty, and an empty list never means everything",
        ));
    }
    let standing = fact.filter(|urls| !urls.is_empty()).unwrap_or_else(|| settings.public_urls.clone());
    let chosen = match (args.probe.is_empty(), lists.pages()) {
        (false, _) => args.probe.clone(),
        (true, Some(pages)) => pages.probes(),
        (true, None) => standing,
    };
    let mut probes: Vec<Url> = Vec::new();
    for text in &chosen {
        let page = select::url(text, &hosts)?;
        if !probes.contains(&page) {
            probes.push(page);
        }
    }
    probes.truncate(SHOWN);
    provable(&lists, &probes)?;
    Ok(Work { lists, probes })
}

fn named(
    args: &Args,
    settings: &Settings,
    hosts: &[String],
    client: &Client,
    lists: &mut Lists,
) -> Result<(), Failure> {
    let groups = [
        (Kind::Url, &args.urls),
        (Kind::Prefix, &args.prefix),
        (Kind::Host, &args.host),
        (Kind::Tag, &args.tag),
    ];
    for (kind, texts) in groups {
        add(lists, kind, texts, hosts)?;
    }
    if args.everything {
        lists.push(Kind::Everything, "everything")?;
    }
    let mut source = Source { client, hosts, origin: settings.origins.first(), lists };
    args.urls_from.iter().try_for_each(|path| source.file(path))?;
    args.sitemap.iter().try_for_each(|url| source.fetched(url, true))
}

/// What is purged when nobody names anything: all that the settings have, and always the pages. That one of them looks right already
/// says nothing of other nodes and other copies.
fn standing(
    settings: &Settings,
    hosts: &[String],
    fact: Option<&[String]>,
    lists: &mut Lists,
) -> Result<(), Failure> {
    let groups =
        [(Kind::Tag, &settings.tags), (Kind::Prefix, &settings.prefixes), (Kind::Host, &settings.hosts)];
    for (kind, texts) in groups {
        add(lists, kind, texts, hosts)?;
    }
    add(lists, Kind::Url, fact.unwrap_or(&settings.public_urls), hosts)
}

fn add(lists: &mut Lists, kind: Kind, texts: &[String], hosts: &[String]) -> Result<(), Failure> {
    texts.iter().try_for_each(|text| lists.push(kind, &select::read(kind, text, hosts)?))
}

/// A prefix or host of which no page is known cannot be proven.
fn provable(lists: &Lists, probes: &[Url]) -> Result<(), Failure> {
    for list in lists.full().filter(|list| matches!(list.kind, Kind::Prefix | Kind::Host)) {
        let bare = |item: &&String| !probes.iter().any(|page| select::covers(list.kind, item, page));
        if let Some(item) = list.first.iter().find(bare) {
            let message =
                format!("no page of {item} is known that could prove the purge: nothing was purged");
            return Err(Failure::refused("no-proof", message).next("name one with --probe URL"));
        }
    }
    Ok(())
}

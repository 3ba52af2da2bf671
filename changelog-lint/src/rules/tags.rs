//! Rules that compare headings with git tags.

use std::collections::BTreeSet;

use super::Ask;
use crate::changelog::Section;
use crate::hit::Hit;
use crate::version::{self, Order};

pub(super) fn missing(ask: &Ask) -> Vec<Hit> {
    let Some(tags) = &ask.options.tags else { return Vec::new() };
    let tagged: BTreeSet<Order> =
        tags.iter().filter_map(|tag| version::of_tag(tag)).filter_map(Order::of).collect();
    // The newest one may be about to be tagged.
    let newest = crate::notes::newest(ask.log).map(|section| section.heading);
    let untagged = ask.releases.iter().filter(|section| {
        let known = Order::of(section.name()).is_none_or(|order| tagged.contains(&order));
        !known && newest != Some(section.heading)
    });
    let hit = |section: &&Section| {
        Hit::new(ask.log.at(section), format!("{} has no git tag", section.name()))
            .help("tag it, or remove the section; a clone without tags needs `git fetch --tags`")
    };
    untagged.map(hit).collect()
}

pub(super) fn undocumented(ask: &Ask) -> Vec<Hit> {
    let Some(tags) = &ask.options.tags else { return Vec::new() };
    let names = ask
        .releases
        .iter()
        .filter_map(|section| section.version())
        .flat_map(|v| std::iter::once(&v.text).chain(&v.also));
    let known: BTreeSet<Order> = names.filter_map(|name| Order::of(name)).collect();
    let Some(oldest) = known.first() else { return Vec::new() };
    let is_lost = |tag: &&String| {
        let order = version::of_tag(tag).filter(|version| version::is_semver(version)).and_then(Order::of);
        order.is_some_and(|order| !order.is_before_release() && order > *oldest && !known.contains(&order))
    };
    let lost: Vec<&str> = tags.iter().filter(is_lost).map(String::as_str).collect();
    if lost.is_empty() {
        return Vec::new();
    }
    let more = if lost.len() > 10 { format!(" and {} more", lost.len() - 10) } else { String::new() };
    let message = format!("tags without a section: {}{more}", lost[..lost.len().min(10)].join(", "));
    vec![Hit::new(0..0, message).help("write what they brought")]
}

//! Copies that only we can have: before the purge a page is asked for with a value of a header that nobody else sends. An edge that
//! keeps copies apart by this header makes one for us alone; whether the purge has taken it says whether it takes all of them, also
//! those with values that nobody can list.

use std::time::Duration;

use step::Failure;
use url::Url;

use crate::page::edge::{Edge, Look};
use crate::page::form::{Form, Wanted};
use crate::page::node::Nodes;
use crate::page::verdict::Cached;

/// A copy of ours.
#[derive(Clone, Debug)]
pub struct Canary {
    /// The header by which it is kept apart.
    pub header: String,
    /// The page that it is a copy of: another one may be kept by another cache behind the same address.
    pub page: usize,
    pub node: usize,
    look: Look,
}

/// What has become of the copies of one page by one header, at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    pub header: String,
    pub page: usize,
    pub node: usize,
    /// Else it is still there.
    pub dropped: bool,
}

impl Canary {
    /// Whether it was still there.
    pub fn is_left(&self, fates: &[Fate]) -> bool {
        let ours =
            |fate: &&Fate| fate.page == self.page && fate.node == self.node && fate.header == self.header;
        fates.iter().find(ours).is_some_and(|fate| !fate.dropped)
    }
}

/// Makes one of each page for each header that its answers vary by, at each node; those that the edge has kept.
///
/// # Errors
/// When the step has to stop.
pub fn hatch(
    edge: &Edge,
    pages: &[(Url, Vec<String>)],
    nodes: &Nodes,
    wanted: &Wanted,
    unique: &str,
    within: Duration,
) -> Result<Vec<Canary>, Failure> {
    let mut made: Vec<Canary> = Vec::new();
    for (page, (url, vary)) in pages.iter().enumerate() {
        for header in vary.iter().filter(|header| is_of_use(header, wanted)) {
            for node in nodes.of_page(url) {
                let form = Form::own(header, unique);
                let node_at = nodes.all[node].address;
                let look =
                    Look { url: url.clone(), host: None, form, node: node_at, apart: Some(false), within };
                made.push(Canary { header: header.clone(), page, node, look });
            }
        }
    }
    let looks = || made.iter().map(|canary| canary.look.clone()).collect::<Vec<_>>();
    let (first, second) = (edge.all(&looks())?, edge.all(&looks())?);
    // One that was there at once is no copy of ours: the edge does not tell our value from another one.
    let ours = |n: usize| first[n].cached == Cached::Miss && second[n].cached == Cached::Hit;
    Ok(made.into_iter().enumerate().filter(|(n, _)| ours(*n)).map(|(_, canary)| canary).collect())
}

/// The values of `*` cannot be told, and a cookie of ours would only go past the cache.
fn is_of_use(header: &str, wanted: &Wanted) -> bool {
    let listed = header != "accept-encoding" && wanted.values_of(header).is_some();
    !listed && !["*", "cookie", "authorization"].contains(&header)
}

/// Asks for them after the purge.
///
/// # Errors
/// When the step has to stop.
pub fn look(edge: &Edge, canaries: &[Canary]) -> Result<Vec<Fate>, Failure> {
    let looks: Vec<Look> = canaries.iter().map(|canary| canary.look.clone()).collect();
    let seen = edge.all(&looks)?;
    let fate = |(canary, cached): (&Canary, Cached)| {
        match cached {
            Cached::Miss => Some(true),
            // What was purged softly is served once more to everybody who has a copy of his own.
            Cached::Hit | Cached::Stale => Some(false),
            Cached::Never | Cached::Unsaid => None,
        }
        .map(|dropped| Fate {
            header: canary.header.clone(),
            page: canary.page,
            node: canary.node,
            dropped,
        })
    };
    Ok(canaries.iter().zip(seen.into_iter().map(|seen| seen.cached)).filter_map(fate).collect())
}

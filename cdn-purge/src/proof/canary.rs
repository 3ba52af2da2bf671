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

/// So many answers reach every server behind an address, as when they are counted.
const ROUNDS: usize = 24;
/// More of them are not made where an address has several servers: each costs that many answers, twice.
const SPREAD: usize = 12;

/// A copy of ours, or one on each server behind an address.
#[derive(Clone, Debug)]
pub struct Canary {
    /// On how many servers it was made.
    pub copies: usize,
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
    /// On how many servers it was.
    pub copies: usize,
}

impl Canary {
    fn fate(&self, dropped: bool) -> Fate {
        let Canary { header, page, node, copies, .. } = self;
        Fate { header: header.clone(), page: *page, node: *node, dropped, copies: *copies }
    }

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
                made.push(Canary { copies: 0, header: header.clone(), page, node, look });
            }
        }
    }
    let (first, second) = (answers(edge, &made)?, answers(edge, &made)?);
    // One that was there at once is no copy of ours: the edge does not tell our value from another one.
    let fresh = |n: &usize| first[*n] == Cached::Miss;
    let of = |then: Cached| {
        let those = (0..made.len()).filter(fresh).filter(|n| second[*n] == then);
        those.map(|n| made[n].clone()).collect::<Vec<_>>()
    };
    let mut ours = of(Cached::Hit);
    ours.iter_mut().for_each(|canary| canary.copies = 1);
    ours.extend(spread(edge, of(Cached::Miss))?);
    Ok(ours)
}

/// Two misses: the answers came from two servers, or nothing is kept. Asked often enough each server has one, or none ever will.
fn spread(edge: &Edge, mut canaries: Vec<Canary>) -> Result<Vec<Canary>, Failure> {
    canaries.truncate(SPREAD);
    canaries.iter_mut().for_each(|canary| canary.copies = 2);
    let mut kept = vec![false; canaries.len()];
    for _ in 2..ROUNDS {
        let seen = answers(edge, &canaries)?;
        for ((canary, kept), cached) in canaries.iter_mut().zip(&mut kept).zip(seen) {
            canary.copies += usize::from(cached == Cached::Miss);
            *kept |= cached == Cached::Hit;
        }
    }
    Ok(canaries.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(canary, _)| canary).collect())
}

fn answers(edge: &Edge, canaries: &[Canary]) -> Result<Vec<Cached>, Failure> {
    let looks: Vec<Look> = canaries.iter().map(|canary| canary.look.clone()).collect();
    Ok(edge.all(&looks)?.into_iter().map(|seen| seen.cached).collect())
}

/// The values of `*` cannot be told, and a cookie of ours would only go past the cache.
fn is_of_use(header: &str, wanted: &Wanted) -> bool {
    let listed = header != "accept-encoding" && wanted.values_of(header).is_some();
    !listed && !["*", "cookie", "authorization"].contains(&header)
}

/// Asks, once, for those that were on several servers: each that has lost its copy has to fetch it again.
///
/// # Errors
/// When the step has to stop.
pub fn look_everywhere(edge: &Edge, canaries: &[Canary]) -> Result<Vec<Fate>, Failure> {
    let canaries: Vec<Canary> = canaries.iter().filter(|canary| canary.copies > 1).cloned().collect();
    let mut fetched = vec![0; canaries.len()];
    let mut stale = vec![false; canaries.len()];
    for _ in 0..if canaries.is_empty() { 0 } else { ROUNDS } {
        for (n, cached) in answers(edge, &canaries)?.into_iter().enumerate() {
            fetched[n] += usize::from(cached == Cached::Miss);
            stale[n] |= !matches!(cached, Cached::Miss | Cached::Hit);
        }
    }
    let fate = |(n, canary): (usize, &Canary)| canary.fate(fetched[n] >= canary.copies && !stale[n]);
    Ok(canaries.iter().enumerate().map(fate).collect())
}

/// Asks for those at one server after the purge.
///
/// # Errors
/// When the step has to stop.
pub fn look(edge: &Edge, canaries: &[Canary]) -> Result<Vec<Fate>, Failure> {
    let canaries: Vec<Canary> = canaries.iter().filter(|canary| canary.copies == 1).cloned().collect();
    let fate = |(canary, cached): (&Canary, Cached)| {
        match cached {
            Cached::Miss => Some(true),
            // What was purged softly is served once more to everybody who has a copy of his own.
            Cached::Hit | Cached::Stale => Some(false),
            Cached::Never | Cached::Unsaid => None,
        }
        .map(|dropped| canary.fate(dropped))
    };
    Ok(canaries.iter().zip(answers(edge, &canaries)?).filter_map(fate).collect())
}

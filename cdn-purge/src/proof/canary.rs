//! Copies that only we can have: before the purge a page is asked for with a value of a header that nobody else sends. An edge that
//! keeps copies apart by this header makes one for us alone; whether the purge has taken it says whether it takes all of them, also
//! those with values that nobody can list.

use std::time::{Duration, Instant};

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
/// So many answers of an address show a second server, if there is one.
const SAMPLES: usize = 6;
/// What was fetched each of so many times is not kept.
const NEVER: usize = 10;

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
                made.push(Canary { copies: 1, header: header.clone(), page, node, look });
            }
        }
    }
    let first = answers(edge, &made)?;
    // One that was there at once is no copy of ours: the edge does not tell our value from another one.
    let fresh = made.into_iter().zip(first).filter(|(_, cached)| *cached == Cached::Miss);
    let nests: Vec<Nest> = fresh.map(|(canary, _)| Nest { canary, asked: 1, kept: false }).collect();
    Brood { edge, end: Instant::now() + within, nests }.raised()
}

/// A canary while it is made.
struct Nest {
    canary: Canary,
    asked: usize,
    /// Whether an answer came from a cache.
    kept: bool,
}

/// All of them. One that had to be fetched twice, and is kept all the same, shows a second server behind the address: then all that are made
/// there are asked for until each server has one.
struct Brood<'a> {
    edge: &'a Edge<'a>,
    end: Instant,
    nests: Vec<Nest>,
}

impl Brood<'_> {
    fn raised(mut self) -> Result<Vec<Canary>, Failure> {
        let undecided = |nest: &Nest| !nest.kept && nest.asked < NEVER;
        while self.ask(|all, nest| undecided(nest) || (nest.kept && all.few_samples(nest.canary.node)))? {}
        let spread = self.spread();
        let unfinished = |nest: &Nest| nest.kept && nest.asked < ROUNDS;
        while self
            .ask(|_, nest| unfinished(nest) && spread.contains(&(nest.canary.page, nest.canary.node)))?
        {
        }
        let several: Vec<bool> = self.nests.iter().map(|nest| self.is_of_several(nest.canary.node)).collect();
        let known = self.nests.into_iter().zip(several);
        // Where the time was over, or there were too many, it is not known on how many servers they are.
        let known = known.filter(|(nest, several)| nest.kept && (!several || nest.asked >= ROUNDS));
        Ok(known.map(|(nest, _)| nest.canary).collect())
    }

    /// Asks for some of them once more; whether there were any, and time.
    fn ask(&mut self, which: impl Fn(&Self, &Nest) -> bool) -> Result<bool, Failure> {
        let chosen: Vec<usize> = (0..self.nests.len()).filter(|n| which(self, &self.nests[*n])).collect();
        if chosen.is_empty() || Instant::now() >= self.end {
            return Ok(false);
        }
        let canaries: Vec<Canary> = chosen.iter().map(|n| self.nests[*n].canary.clone()).collect();
        for (n, cached) in chosen.into_iter().zip(answers(self.edge, &canaries)?) {
            let nest = &mut self.nests[n];
            nest.asked += 1;
            nest.canary.copies += usize::from(cached == Cached::Miss);
            nest.kept |= cached == Cached::Hit;
        }
        Ok(true)
    }

    fn is_of_several(&self, node: usize) -> bool {
        self.nests.iter().any(|nest| nest.canary.node == node && nest.kept && nest.canary.copies > 1)
    }

    /// Whether so few answers of an address were seen that a second server may have been missed.
    fn few_samples(&self, node: usize) -> bool {
        let kept = self.nests.iter().filter(|nest| nest.kept && nest.canary.node == node);
        kept.map(|nest| nest.asked - 1).sum::<usize>() < SAMPLES && !self.is_of_several(node)
    }

    /// Those that are asked for until each server has one, by page and node.
    fn spread(&self) -> Vec<(usize, usize)> {
        let several = self.nests.iter().filter(|nest| nest.kept && self.is_of_several(nest.canary.node));
        several.map(|nest| (nest.canary.page, nest.canary.node)).take(SPREAD).collect()
    }
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
    // All rounds together take no longer than one look may; what was not reached by then is not known to be gone.
    let end = Instant::now() + canaries.iter().map(|canary| canary.look.within).max().unwrap_or_default();
    for _ in 0..ROUNDS {
        if Instant::now() >= end {
            break;
        }
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

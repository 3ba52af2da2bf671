//! The origin's gate: nothing is purged before every instance of the origin serves the wanted build, and goes on doing so for a while.
//! A cache that is emptied while one of two instances is still old fills itself with old pages again.

use std::time::{Duration, Instant};

use std::net::SocketAddr;

use facts::Build;
use step::{Context, Failure};
use url::Url;

use crate::page::edge::{self, Edge, Look};
use crate::page::form::Form;
use crate::page::seen::{Body, Seen, Twin};
use crate::settings::Settings;

/// So many answers in a row are asked for while it is watched: of three instances one that is old answers among them, all but certainly.
const ANSWERS: usize = 30;
/// Between two looks at what is not right yet.
const WAIT: Duration = Duration::from_millis(500);
/// The longest that the origin may take for a page.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the origin has shown.
#[derive(Debug, Default)]
pub struct Shown {
    pub wanted: Build,
    /// Each page as the origin serves it; none when nobody knows the origin.
    pub twins: Vec<Twin>,
    /// What each page's answers vary by.
    pub vary: Vec<Vec<String>>,
    /// Whether a page has orders for caches alone, which an edge takes off.
    pub apart: Vec<bool>,
}

pub struct Gate<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub edge: &'a Edge<'a>,
    pub pages: &'a [Url],
    /// Whether a person has named the pages: then their content counts, and one may be gone.
    pub by_hand: bool,
}

/// A page while the origin is watched.
#[derive(Debug)]
struct Watched {
    seen: Seen,
    row: u32,
    /// Whether its content was another one without being wrong.
    unsteady: bool,
}

impl Gate<'_> {
    /// Waits until the origin is steady.
    ///
    /// # Errors
    /// `refused`, `fact-missing`: nobody says which build. `temporary`, `origin-not-ready`: it does not serve it, or not always.
    pub fn pass(&self, wanted: Build) -> Result<Shown, Failure> {
        let unknown = wanted == Build::default();
        let doors = self.doors();
        if doors.is_empty() {
            let message =
                "which build must be live? give --release VERSION, or set origin so that it can be asked";
            let shown = Shown { wanted, ..Shown::default() };
            return if unknown { Err(Failure::refused("fact-missing", message)) } else { Ok(shown) };
        }
        let first = self.ask(&doors, &(0..self.pages.len()).collect::<Vec<_>>())?;
        let mut wanted = wanted;
        if unknown {
            let said =
                first.iter().find(|seen| says(seen)).or_else(|| first.iter().find(|s| s.build.is_some()));
            wanted.version = said.and_then(|seen| seen.build.clone());
        }
        let named = unknown || first.iter().any(says);
        let judge = Judge { wanted: &wanted, named, by_hand: self.by_hand };
        let watched = self.watch(&doors, &judge)?;
        let twins = watched.iter().map(|page| self.twin(page)).collect();
        let vary = watched.iter().map(|page| page.seen.vary.clone()).collect();
        let apart = watched.iter().map(|page| page.seen.apart).collect();
        Ok(Shown { wanted, twins, vary, apart })
    }

    /// Every address of every origin.
    fn doors(&self) -> Vec<(Url, Option<SocketAddr>)> {
        let each = |origin: &Url| {
            let places = self.edge.client.places(origin.as_str()).ok().flatten().unwrap_or_default().reached;
            let found: Vec<Option<SocketAddr>> = places.into_iter().map(Some).collect();
            if found.is_empty() { vec![None] } else { found }
        };
        let origins = self.settings.origins.iter();
        origins.flat_map(|origin| each(origin).into_iter().map(|at| (origin.clone(), at))).collect()
    }

    /// These pages at every door: door by door.
    fn ask(&self, doors: &[(Url, Option<SocketAddr>)], pages: &[usize]) -> Result<Vec<Seen>, Failure> {
        let within = self.settings.settle.clamp(Duration::from_secs(2), PATIENCE);
        let look = |(origin, at): &(Url, Option<SocketAddr>), page: &usize| -> Look {
            edge::at_origin(origin, *at, &self.pages[*page], &Form::plain(), within)
        };
        let looks: Vec<Look> =
            doors.iter().flat_map(|door| pages.iter().map(move |page| look(door, page))).collect();
        self.edge.all(&looks)
    }

    /// Asks page after page until every one was right often enough and long enough; whatever is wrong begins it anew.
    fn watch(&self, doors: &[(Url, Option<SocketAddr>)], judge: &Judge) -> Result<Vec<Watched>, Failure> {
        let (bake, pages) = (self.settings.bake, self.pages.len());
        let least = pages * self.settings.successes.max(1) as usize;
        let needed = if bake.is_zero() { least } else { least.max(ANSWERS) };
        let tick = bake / u32::try_from(needed).unwrap_or(u32::MAX);
        let end = Instant::now() + self.settings.settle;
        let mut watched: Vec<Option<Watched>> = self.pages.iter().map(|_| None).collect();
        let (mut row, mut since, mut turn) = (0, Instant::now(), 0);
        loop {
            let page = turn % pages;
            let seen = self.ask(doors, &[page])?;
            let wrong = seen.iter().position(|seen| !judge.is_right(seen, watched[page].as_ref()));
            match wrong {
                None => {
                    seen.into_iter().for_each(|seen| take(&mut watched[page], seen));
                    (row, turn) = (row + 1, turn + 1);
                }
                Some(n) if Instant::now() >= end => {
                    let flapped = watched[page].as_ref().is_some_and(|page| page.row > 0);
                    return Err(self.not_ready(&doors[n], page, &seen[n], flapped, judge.wanted));
                }
                Some(_) => {
                    watched.iter_mut().for_each(|page| *page = None);
                    (row, since) = (0, Instant::now());
                }
            }
            if row >= needed && since.elapsed() >= bake {
                self.context.voice.progress_done();
                return Ok(watched.into_iter().flatten().collect());
            }
            // Said once: where lines are kept, a counter would fill them.
            self.context
                .voice
                .progress(&format!("the origin must be right {needed} times in a row, for {bake:?}"));
            self.context.pause(if row == 0 { WAIT } else { tick })?;
        }
    }

    fn not_ready(
        &self,
        (origin, at): &(Url, Option<SocketAddr>),
        page: usize,
        seen: &Seen,
        flapped: bool,
        wanted: &Build,
    ) -> Failure {
        let address =
            at.filter(|_| origin.domain().is_some()).map(|at| format!(" at {at}")).unwrap_or_default();
        let name = wanted.name().unwrap_or("one build");
        let url = &self.pages[page];
        let not_always = if flapped { " (not each time: is it still being deployed?)" } else { "" };
        let message = format!(
            "the origin {origin}{address} {seen} for {url} instead of {name}{not_always}: nothing was purged"
        );
        Failure::temporary("origin-not-ready", message)
            .next("wait until every instance of the origin serves it, and run it again")
    }

    /// What the edge has to serve for a page.
    fn twin(&self, page: &Watched) -> Twin {
        let seen = &page.seen;
        let counts = self.by_hand || seen.build.is_none();
        let body = match counts {
            false => Body::Any,
            true if page.unsteady || seen.cut => Body::Unsteady,
            true => Body::Same(seen.digest),
        };
        Twin { status: seen.status.unwrap_or(200), location: seen.location.clone(), body }
    }

    /// The hash of a page's content at the origin right now, in some form; `None` when it does not say it clearly.
    pub fn content(&self, page: usize, form: &Form) -> Result<Option<u64>, Failure> {
        let Some((origin, at)) = self.doors().into_iter().next() else { return Ok(None) };
        let look = edge::at_origin(&origin, at, &self.pages[page], form, PATIENCE);
        let twice = self.edge.all(&[look.clone(), look])?;
        let same = twice[0].digest == twice[1].digest;
        let clear = twice.iter().all(|seen| seen.status == Some(200) && !seen.unreadable && !seen.cut);
        Ok(Some(twice[0].digest).filter(|_| same && clear))
    }
}

fn says(seen: &Seen) -> bool {
    seen.status == Some(200) && seen.build.is_some()
}

fn take(page: &mut Option<Watched>, seen: Seen) {
    match page {
        Some(known) => {
            known.unsteady |= known.seen.digest != seen.digest;
            known.row += 1;
            known.seen = seen;
        }
        None => *page = Some(Watched { seen, row: 1, unsteady: false }),
    }
}

/// What counts as right at the origin.
struct Judge<'a> {
    wanted: &'a Build,
    /// Whether any page has said a build, or nobody wants a certain one: then others may say none.
    named: bool,
    by_hand: bool,
}

impl Judge<'_> {
    fn is_right(&self, seen: &Seen, before: Option<&Watched>) -> bool {
        let same = before.is_none_or(|b| b.seen.status == seen.status && b.seen.location == seen.location);
        let build = seen.build.as_ref().map(|build| self.wanted.is(build));
        let fits = match seen.status {
            Some(200) if build.is_none() => {
                self.named && !seen.rsc && (seen.problem.is_none() || seen.unreadable)
            }
            Some(200) => build == Some(true) && !seen.rsc,
            Some(301 | 302 | 303 | 307 | 308) => seen.location.is_some() && build != Some(false),
            Some(404 | 410) => self.by_hand && build != Some(false),
            _ => false,
        };
        same && fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_at_the_origin_is_the_build_or_a_page_that_is_gone_by_wish() {
        let wanted = Build { version: Some("1.2.0".into()), ..Build::default() };
        let seen = |status, build: Option<&str>| Seen {
            status: Some(status),
            build: build.map(str::to_owned),
            location: (status == 307).then(|| "/b".to_owned()),
            ..Seen::default()
        };
        for (seen, named, by_hand, right) in [
            (seen(200, Some("1.2.0")), true, false, true),
            (seen(200, Some("1.1.4")), true, true, false),
            (seen(200, None), true, false, true),
            (seen(200, None), false, false, false),
            (seen(307, None), true, false, true),
            (seen(307, Some("1.1.4")), true, false, false),
            (seen(404, None), true, false, false),
            (seen(404, None), true, true, true),
            (seen(410, Some("1.2.0")), true, true, true),
            (seen(500, Some("1.2.0")), true, true, false),
            (seen(403, None), true, true, false),
            (Seen::silent("refused".into()), true, true, false),
        ] {
            let judge = Judge { wanted: &wanted, named, by_hand };
            assert_eq!(judge.is_right(&seen, None), right, "{seen:?} {named} {by_hand}");
        }
        let before = Watched { seen: seen(404, None), row: 1, unsteady: false };
        let judge = Judge { wanted: &wanted, named: true, by_hand: true };
        assert!(!judge.is_right(&seen(200, Some("1.2.0")), Some(&before)), "gone in one instance alone");
    }
}

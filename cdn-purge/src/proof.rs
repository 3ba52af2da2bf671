//! The proof: the origin must have the build before anything is purged, and then every page must serve it through the edge, twice
//! in a row, in a copy that is not older than the purge. One place asks: others may differ, and nothing here says otherwise.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Acted, Build, Context, Failure};
use url::Url;

use crate::args::Settings;
use crate::damage;
use crate::edge::Edge;
use crate::purge::hosts_of;
use crate::seen::{self, Cached, Claim, Evidence, Seen, Target};
use crate::variant::Variant;

/// The waits between two looks at what is not right yet; the last one is repeated.
const WAITS: [u64; 4] = [250, 500, 1000, 2000];
/// Between two looks at what is right and has to stay so.
const STAY: Duration = Duration::from_secs(1);
/// Files that are asked for, all pages together.
const ASSETS: usize = 200;

/// Pages to ask, and what they have to be.
pub struct Proof<'a> {
    context: &'a Context,
    settings: &'a Settings,
    edge: Edge<'a>,
    pages: Vec<Url>,
    /// What is asked of the edge: each page, and behind it its other forms.
    forms: Vec<Form>,
    wanted: Build,
    /// The pages at the origin that say no build: the edge must serve the same.
    twins: Vec<Option<u64>>,
    /// Copies must not be older than this.
    since: Option<Timestamp>,
    /// Whether the purge takes each page with it for certain: a tag may have nothing to do with a page.
    purged: Vec<bool>,
}

/// One form of a page, by the page's number; `None` is the plain one.
#[derive(Clone, Copy, Debug)]
struct Form {
    page: usize,
    variant: Option<Variant>,
}

/// A form of a page while it is watched.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    seen: Seen,
    /// Right answers in a row.
    row: u32,
    /// Answers in a row that say nothing.
    mute: u32,
    claim: Option<Claim>,
    at: Option<Timestamp>,
}

impl<'a> Proof<'a> {
    pub fn new(
        context: &'a Context,
        settings: &'a Settings,
        edge: Edge<'a>,
        (pages, purged): (Vec<Url>, Vec<bool>),
        wanted: Build,
        since: Option<Timestamp>,
    ) -> Self {
        let twins = vec![None; pages.len()];
        let plain = || [None].into_iter().chain(settings.variants.iter().copied().map(Some));
        let forms = (0..pages.len()).flat_map(|page| plain().map(move |variant| Form { page, variant }));
        let forms = forms.collect();
        Proof { context, settings, edge, pages, forms, wanted, twins, since, purged }
    }

    pub fn pages(&self) -> &[Url] {
        &self.pages
    }

    pub fn name(&self) -> &str {
        self.wanted.name().unwrap_or("what the origin serves")
    }

    pub fn hosts(&self) -> String {
        hosts_of(&self.pages)
    }

    /// What a page has to be.
    fn target(&self, page: usize, since: Option<Timestamp>) -> Target<'_> {
        Target { build: &self.wanted, twin: self.twins.get(page).copied().flatten(), etag: None, since }
    }

    /// Whether all that was seen is right, and surely not from before the data changed.
    pub fn is_right(&self, seen: &[Seen]) -> bool {
        self.forms.iter().zip(seen).all(|(form, sight)| {
            let target = self.target(form.page, self.since);
            let target = Target { etag: self.validator(form.page, seen.iter(), target), ..target };
            sight.proves(target) && sight.is_newer(self.since)
        })
    }

    /// The validator of a page's plain form among these sights of all forms, if that is right.
    fn validator<'s>(
        &self,
        page: usize,
        seen: impl Iterator<Item = &'s Seen>,
        target: Target,
    ) -> Option<&'s str> {
        let plain = |form: &Form| form.page == page && form.variant.is_none();
        let (_, seen) = self.forms.iter().zip(seen).find(|(form, _)| plain(form))?;
        seen.etag.as_deref().filter(|_| seen.proves(target))
    }

    /// A form's address, for people.
    fn named(&self, form: Form) -> String {
        let page = &self.pages[form.page];
        form.variant.map_or_else(|| page.to_string(), |variant| format!("{page} ({})", variant.word()))
    }

    /// The origin must serve the wanted build; when nobody has said which, what it serves is it. A page that says no build there
    /// is held against itself.
    pub fn gate(mut self) -> Result<Self, Failure> {
        let unknown = self.wanted == Build::default();
        let Some(origin) = &self.settings.origin else {
            let message =
                "which build shall be live? give --release VERSION, or set origin so that it can be asked";
            return if unknown { Err(Failure::refused("fact-missing", message)) } else { Ok(self) };
        };
        let ask = |n: usize| self.edge.origin(origin, &self.pages[n]);
        let says = |seen: &Seen| seen.status == Some(200) && seen.build.is_some();
        let mute = |seen: &Seen| {
            let plain = seen.problem.is_none() || seen.unreadable;
            seen.status == Some(200) && seen.build.is_none() && plain && !seen.rsc
        };
        let first: Vec<Seen> = (0..self.pages.len()).map(ask).collect::<Result<_, _>>()?;
        if unknown {
            let wanted = first.iter().find(|seen| says(seen)).and_then(|seen| seen.build.clone());
            self.wanted.version = wanted;
        }
        let named = self.wanted != Build::default() && first.iter().any(says);
        let right =
            |n: usize, seen: &Seen| seen.proves(self.target(n, None)) || (mute(seen) && (named || unknown));
        let seen = self.until(first, &ask, right)?;
        let wrong = seen.iter().enumerate().find(|(n, seen)| !right(*n, seen)).map(|(_, seen)| seen);
        if let Some(wrong) = wrong {
            let message =
                format!("the origin {origin} {wrong} instead of {}: nothing was purged", self.name());
            return Err(Failure::refused("origin-not-ready", message));
        }
        self.twins = seen.iter().map(|seen| mute(seen).then_some(seen.digest)).collect();
        Ok(self)
    }

    /// Every form of every page once.
    pub fn look(&self) -> Result<Vec<Seen>, Failure> {
        self.forms.iter().map(|form| self.edge.page(&self.pages[form.page], form.variant)).collect()
    }

    /// Asks what is not right until it is, or until the time to settle is over; the last sight of each.
    fn until(
        &self,
        mut seen: Vec<Seen>,
        ask: &dyn Fn(usize) -> Result<Seen, Failure>,
        right: impl Fn(usize, &Seen) -> bool,
    ) -> Result<Vec<Seen>, Failure> {
        let end = Instant::now() + self.settings.settle;
        let mut attempt = 0;
        while Instant::now() < end && seen.iter().enumerate().any(|(n, seen)| !right(n, seen)) {
            self.wait(attempt, end)?;
            attempt += 1;
            for (n, seen) in seen.iter_mut().enumerate().filter(|(n, seen)| !right(*n, seen)) {
                *seen = ask(n)?;
            }
        }
        self.context.voice.progress_done();
        Ok(seen)
    }

    fn wait(&self, attempt: usize, end: Instant) -> Result<(), Failure> {
        let wait = Duration::from_millis(WAITS[WAITS.len().min(attempt + 1) - 1]);
        self.context.voice.progress(&format!("waiting for {}", self.name()));
        self.context.pause(wait.min(end.saturating_duration_since(Instant::now())))
    }

    /// Watches every page until something can be claimed of it: right twice in a row, the second time from the copy that the
    /// first one has made.
    pub fn confirm(&self, purged_at: Timestamp, before: &[Seen]) -> Result<Vec<Watched>, Failure> {
        let end = Instant::now() + self.settings.settle;
        let mut watched = vec![Watched::default(); self.forms.len()];
        for attempt in 0.. {
            for n in 0..watched.len() {
                if watched[n].claim.is_none() {
                    self.watch(n, &mut watched, purged_at)?;
                    if watched[n].row == 1 || watched[n].mute == 1 {
                        self.watch(n, &mut watched, purged_at)?;
                    }
                }
            }
            if watched.iter().all(|page| page.claim.is_some()) || Instant::now() >= end {
                break;
            }
            self.wait(attempt, end)?;
        }
        self.context.voice.progress_done();
        // Right until the end, but never from a cache.
        for page in watched.iter_mut().filter(|page| page.claim.is_none() && page.row >= 2) {
            let unsaid = page.seen.cached == Cached::Unsaid;
            page.claim = Some(if unsaid { Claim::Unknown } else { Claim::NotCached });
        }
        self.judge(&watched, purged_at, before)?;
        self.stay(watched, purged_at, before)
    }

    /// What a page has to be after the purge.
    fn after(&self, page: usize, purged_at: Timestamp) -> Target<'_> {
        let purged = self.purged.get(page).is_some_and(|purged| *purged).then_some(purged_at);
        self.target(page, self.since.max(purged))
    }

    /// Looks at the n-th form once more.
    fn watch(&self, n: usize, watched: &mut [Watched], purged_at: Timestamp) -> Result<(), Failure> {
        let form = self.forms[n];
        let seen = self.edge.page(&self.pages[form.page], form.variant)?;
        let target = self.after(form.page, purged_at);
        let etag = self.validator(form.page, watched.iter().map(|page| &page.seen), target);
        let evidence = seen.evidence(Target { etag, ..target });
        let page = &mut watched[n];
        page.row = if evidence == Evidence::Right { page.row + 1 } else { 0 };
        page.mute = if evidence == Evidence::None { page.mute + 1 } else { 0 };
        // Once may have been the old copy of a soft purge, and as long as the edge says so it is.
        let mute = (page.mute >= 2 && seen.cached != Cached::Stale).then_some(Claim::Unknown);
        page.claim = seen::claim(page.row, seen.cached).or(mute);
        page.at = Some(Timestamp::now());
        page.seen = seen;
        Ok(())
    }

    /// Pages that are right have to stay so for a while, if that is asked for.
    fn stay(
        &self,
        mut watched: Vec<Watched>,
        purged_at: Timestamp,
        before: &[Seen],
    ) -> Result<Vec<Watched>, Failure> {
        if self.settings.stable.is_zero() {
            return Ok(watched);
        }
        let end = Instant::now() + self.settings.stable;
        while Instant::now() < end {
            self.context.voice.progress(&format!("watching that {} stays", self.name()));
            self.context.pause(STAY.min(end.saturating_duration_since(Instant::now())))?;
            for n in 0..watched.len() {
                let claimed = watched[n].claim;
                self.watch(n, &mut watched, purged_at)?;
                let page = &mut watched[n];
                let mute = (page.mute > 0).then_some(Claim::Unknown);
                page.claim = claimed.filter(|_| page.row > 0).or(mute);
            }
            self.judge(&watched, purged_at, before)?;
        }
        self.context.voice.progress_done();
        for page in watched.iter_mut().filter(|page| page.claim == Some(Claim::Observed)) {
            page.claim = Some(Claim::Stable);
        }
        Ok(watched)
    }

    fn judge(&self, watched: &[Watched], purged_at: Timestamp, before: &[Seen]) -> Result<(), Failure> {
        let said = |(n, page): (usize, &Watched)| {
            let (form, seen) = (self.forms[n], &page.seen);
            let (url, target) = (self.named(form), self.after(form.page, purged_at));
            match seen.evidence(Target { since: None, ..target }) {
                Evidence::Right => {
                    format!("{url} serves {} from a copy that is older than the purge", self.name())
                }
                Evidence::None => {
                    format!("{url} serves a copy that is older than the purge ({})", seen.why())
                }
                Evidence::Wrong => format!("{url} {seen} instead of {} although it was purged", self.name()),
            }
        };
        let wrong: Vec<(usize, &Watched)> =
            watched.iter().enumerate().filter(|(_, page)| page.claim.is_none()).collect();
        let Some(first) = wrong.first() else { return Ok(()) };
        let failure =
            Failure::failed(first.1.seen.reason(), said(*first)).output("urls", self.report(before, watched));
        let failure = match self.forms[first.0].variant {
            // Next.js sends browsers to `?_rsc=`, which caches keep apart from the page.
            Some(Variant::Rsc) => failure
                .next("purge by tag or prefix: the address of a page alone does not take its ?_rsc= with it"),
            _ => failure,
        };
        Err(wrong.into_iter().skip(1).map(said).fold(failure, Failure::cause))
    }

    /// The files that the pages name must be there: old HTML beside new files opens, and then breaks.
    pub fn whole(&self, watched: Vec<Watched>, before: &[Seen]) -> Result<Vec<Watched>, Failure> {
        if !self.settings.assets {
            return Ok(watched);
        }
        let mut asked: Vec<Url> = Vec::new();
        for page in &self.pages {
            let (_, html) = self.edge.document(page)?;
            for asset in damage::chunks(&html).into_iter().filter_map(|chunk| page.join(chunk).ok()) {
                if asked.len() >= ASSETS || asked.contains(&asset) {
                    continue;
                }
                let broken = match self.edge.asset(&asset)? {
                    Ok((status, kind)) => damage::broken(status, &kind),
                    Err(why) => Some(format!("does not answer: {why}")),
                };
                if let Some(broken) = broken {
                    let message =
                        format!("{page} names {asset}, which {broken}: the page opens and then breaks");
                    let failure = Failure::failed("chunk-missing", message).acted(Acted::Yes);
                    return Err(failure.output("urls", self.report(before, &watched)));
                }
                asked.push(asset);
            }
        }
        Ok(watched)
    }

    /// Pages of which no more is known than one look.
    pub fn as_seen(&self, before: &[Seen]) -> Vec<Watched> {
        let claim = |seen: &Seen| match seen.cached {
            Cached::Hit => Claim::Observed,
            Cached::Never => Claim::NotCached,
            _ => Claim::Unknown,
        };
        before
            .iter()
            .map(|seen| Watched { seen: seen.clone(), row: 1, mute: 0, claim: Some(claim(seen)), at: None })
            .collect()
    }

    /// One sentence that says no more than was seen.
    pub fn said(&self, watched: &[Watched]) -> String {
        let uncached = watched.iter().filter(|page| page.claim == Some(Claim::NotCached)).count();
        let mute = watched.iter().filter(|page| page.mute > 0).count();
        let (name, asked) = (self.name(), watched.len());
        let forms = if asked == self.pages.len() { "pages" } else { "forms of pages" };
        let said = match uncached {
            0 => format!("the edge serves {name}"),
            all if all == asked => format!("the edge serves {name}, and keeps no copy of what was asked"),
            some => {
                format!("the edge serves {name}, and keeps no copy of {some} of the {asked} {forms} asked")
            }
        };
        match mute {
            0 => said,
            mute => format!("{said}; {mute} of the {asked} {forms} asked do not say what they are"),
        }
    }

    /// What was observed here and now, and no more than that: other places of the edge and browsers may differ.
    pub fn report(&self, before: &[Seen], watched: &[Watched]) -> Value {
        let rows = self.forms.iter().zip(before).zip(watched);
        rows.map(|((form, before), page)| {
            let mut after = page.seen.to_value();
            after["count"] = json!(page.row);
            if let Some(at) = page.at {
                after["at"] = json!(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
            }
            let claim = page.claim.map_or("unknown", Claim::word);
            let url = self.pages[form.page].as_str();
            let mut row = json!({ "url": url, "before": before.to_value(), "after": after, "claim": claim });
            if let Some(variant) = form.variant {
                row["variant"] = json!(variant.word());
            }
            row
        })
        .collect()
    }
}

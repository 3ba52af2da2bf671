//! The step: nothing is purged before the origin serves the wanted build (the edge would fetch the old one again), and nothing is
//! believed before the edge has served it twice.

use std::time::{Duration, Instant};

use http_client::Client;
use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Acted, Build, Context, Failure, Loss, Outcome, Run};
use url::Url;

use crate::args::Settings;
use crate::drivers;
use crate::edge::Edge;
use crate::plan::{self, Seen};

/// The waits between two looks at what is not right yet; the last one is repeated.
const WAITS: [u64; 4] = [250, 500, 1000, 2000];

pub fn run(run: &mut Run, settings: &Settings, given: &[String]) -> Result<Outcome, Failure> {
    let pages = plan::pages(given, run.fact("urls")?, &settings.public_urls)?;
    let client = Client::new(&run.context, crate::NAME);
    let work = Work {
        context: &run.context,
        settings,
        edge: Edge { client: &client, marker: &settings.marker },
        pages: &pages,
        wanted: Build::of(run)?,
        since: data_changed(run)?,
    };
    // What is only planned cannot be asked for.
    let planned = run.is_planned("live");
    let work = if planned { work } else { work.gate()? };
    let before = work.look()?;
    let right = before.iter().all(|seen| seen.proves(&work.wanted, work.since));
    let names = format!("{} ({})", counted(pages.len(), "page"), hosts(&pages));
    // A page that a person names is purged whatever it says: not everything that changes is a build.
    if right && given.is_empty() && !planned {
        let outcome = Outcome::unchanged(format!("the edge serves {} already on {names}", work.name()));
        return Ok(outcome.output("urls", work.report(&before, &before)));
    }
    let Some(permit) = run.permit() else { return Ok(Outcome::planned(format!("would purge {names}"))) };
    let purged_at = Timestamp::now();
    drivers::of(&settings.driver, &client).purge(&permit, &pages)?;
    let yes = |failure: Failure| failure.acted(Acted::Yes);
    let after = work.confirm(purged_at).map_err(yes)?;
    let outcome = Outcome::changed(format!("purged {names}: the edge serves {}", work.name()));
    Ok(outcome.output("urls", work.report(&before, &after)))
}

/// A copy from before a database was restored shows data that is gone, though its build is right.
fn data_changed(run: &Run) -> Result<Option<Timestamp>, Failure> {
    let loss: Option<Loss> = run.fact("loss")?;
    Ok(loss.and_then(|loss| loss.to.parse().ok()))
}

struct Work<'a> {
    context: &'a Context,
    settings: &'a Settings,
    edge: Edge<'a>,
    pages: &'a [Url],
    wanted: Build,
    /// Copies must not be older than this.
    since: Option<Timestamp>,
}

impl Work<'_> {
    fn name(&self) -> &str {
        self.wanted.name().unwrap_or("the origin's build")
    }

    /// The origin must serve the wanted build; when nobody has said which, what it serves is it.
    fn gate(mut self) -> Result<Self, Failure> {
        let unknown = self.wanted == Build::default();
        let Some(origin) = &self.settings.origin else {
            let message =
                "which build shall be live? give --release VERSION, or set origin so that it can be asked";
            return if unknown { Err(Failure::refused("fact-missing", message)) } else { Ok(self) };
        };
        if unknown {
            let seen = self.edge.origin(origin, &self.pages[0])?;
            let build = seen.build.clone().filter(|_| seen.status == Some(200));
            let mute = || {
                Failure::refused(
                    "origin-not-ready",
                    format!("the origin {origin} {seen}: nothing was purged"),
                )
            };
            self.wanted.version = Some(build.ok_or_else(mute)?);
        }
        let ask = |page: &Url| self.edge.origin(origin, page);
        let seen = self.until(&ask, |seen| seen.proves(&self.wanted, None))?;
        let Some(wrong) = seen.iter().find(|seen| !seen.proves(&self.wanted, None)) else { return Ok(self) };
        let message = format!("the origin {origin} {wrong} instead of {}: nothing was purged", self.name());
        Err(Failure::refused("origin-not-ready", message))
    }

    fn look(&self) -> Result<Vec<Seen>, Failure> {
        self.pages.iter().map(|page| self.edge.page(page)).collect()
    }

    /// Every page twice in a row: the second time it comes from the copy that the first one has made.
    fn confirm(&self, purged_at: Timestamp) -> Result<Vec<Seen>, Failure> {
        let since = Some(self.since.map_or(purged_at, |since| since.max(purged_at)));
        let twice = |page: &Url| {
            let first = self.edge.page(page)?;
            if first.proves(&self.wanted, since) { self.edge.page(page) } else { Ok(first) }
        };
        let seen = self.until(&twice, |seen| seen.proves(&self.wanted, since))?;
        let wrong: Vec<_> =
            self.pages.iter().zip(&seen).filter(|(_, s)| !s.proves(&self.wanted, since)).collect();
        let Some((page, first)) = wrong.first() else { return Ok(seen) };
        let message = format!("{page} {first} instead of {} although it was purged", self.name());
        let failure =
            Failure::failed(plan::unproven(first), message).output("urls", self.report(&seen, &seen));
        Err(wrong.iter().map(|(page, seen)| format!("{page} {seen}")).fold(failure, Failure::cause))
    }

    /// Asks every page until it is right or the time to settle is over; the last sight of each.
    fn until(
        &self,
        ask: &dyn Fn(&Url) -> Result<Seen, Failure>,
        right: impl Fn(&Seen) -> bool,
    ) -> Result<Vec<Seen>, Failure> {
        let end = Instant::now() + self.settings.settle;
        let mut seen: Vec<Seen> = self.pages.iter().map(ask).collect::<Result<_, _>>()?;
        for attempt in 0.. {
            if seen.iter().all(&right) || Instant::now() >= end {
                break;
            }
            let wait = Duration::from_millis(WAITS[WAITS.len().min(attempt + 1) - 1]);
            self.context.voice.progress(&format!("waiting for {}", self.name()));
            self.context.pause(wait.min(end.saturating_duration_since(Instant::now())))?;
            for (page, seen) in self.pages.iter().zip(&mut seen).filter(|(_, seen)| !right(seen)) {
                *seen = ask(page)?;
            }
        }
        self.context.voice.progress_done();
        Ok(seen)
    }

    /// What was observed here and now, and no more than that: other places of the edge and browsers may differ.
    fn report(&self, before: &[Seen], after: &[Seen]) -> Value {
        let rows = self.pages.iter().zip(before.iter().zip(after));
        rows.map(|(page, (before, after))| {
            json!({ "url": page.as_str(), "before": before.to_value(), "after": after.to_value(), "claim": "observed" })
        })
        .collect()
    }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn hosts(pages: &[Url]) -> String {
    let mut hosts: Vec<String> = pages.iter().map(plan::host).collect();
    hosts.dedup();
    hosts.join(", ")
}

//! Whether what was deployed runs, and is healthy. The public pages decide; Coolify's own status is a second opinion, and the only one
//! for applications that no page speaks for. Of those, Coolify must also show which build it has deployed.

pub mod probe;
pub mod shown;
pub mod verdict;

use std::collections::HashMap;
use std::time::Instant;

use futures_util::future::join_all;
use step::{Acted, Failure};

use crate::api::{Application, Opinion};
use crate::look;
use crate::next::Next;
use crate::wait::within;
use crate::world::World;
use image::split;
use probe::{Seen, Text};
use verdict::{Evidence, Watch, round};

/// A build that was not proven.
#[derive(Debug)]
pub struct Unproven {
    pub failure: Failure,
    /// It is plainly sick, and it is what answers: only then may something be done about it.
    pub sick: bool,
    /// A page calls itself another build.
    pub other: bool,
}

impl From<Failure> for Unproven {
    fn from(failure: Failure) -> Self {
        Unproven { failure, sick: false, other: false }
    }
}

/// What one round has seen.
struct Look {
    pages: Vec<Seen>,
    evidence: Vec<Evidence>,
    silent: Vec<Application>,
}

/// Waits until the build is proven: a sentence that says by what.
pub async fn prove(world: &World<'_>, seen: &look::Seen) -> Result<String, Unproven> {
    let mut judge = Judge { world, seen, text: world.text(&seen.wanted)?, same: HashMap::new() };
    let proven = judge.wait().await;
    world.context.voice.progress_done();
    proven
}

struct Judge<'a> {
    world: &'a World<'a>,
    seen: &'a look::Seen,
    text: Option<Text>,
    /// Whether a build that a page names is the wanted one by its digest, as far as the registry has said.
    same: HashMap<String, bool>,
}

impl Judge<'_> {
    async fn wait(&mut self) -> Result<String, Unproven> {
        let settings = self.world.settings;
        let mut watch = Watch::new(settings.successes);
        let end = Instant::now() + settings.health_timeout;
        let mut right_since = Instant::now();
        loop {
            let look = self.look().await;
            let others = look.silent.iter().map(Application::opinion);
            if watch.take(round(look.evidence.iter().copied(), others)) {
                right_since = Instant::now();
            }
            self.world.context.voice.progress(&format!("health: {}", self.shown(&look).join(", ")));
            if watch.is_enough() && right_since.elapsed() >= settings.bake {
                self.second_opinion().await;
                return Ok(self.proof());
            }
            // Whoever is right now gets the time to stay so.
            if !watch.is_right() && Instant::now() >= end {
                return Err(self.verdict(&watch, &look).await);
            }
            self.world.pause(self.world.interval(look.silent.len())).await.map_err(|f| self.stopped(f))?;
        }
    }

    fn stopped(&self, failure: Failure) -> Failure {
        if failure.is_deadline() {
            self.unknown("the time of the step is over", &[])
        } else {
            failure.acted(Acted::Yes)
        }
    }

    async fn look(&mut self) -> Look {
        let pages = self.world.probe.all(&self.seen.pages, self.text.as_ref()).await;
        let mut evidence = Vec::with_capacity(pages.len());
        for page in &pages {
            evidence.push(self.evidence(page).await);
        }
        // What cannot be asked now is not known now.
        let silent = self.seen.targets.iter().filter(|t| !t.covered);
        let silent = silent.map(async |target| {
            let app = self.world.api.peek_application(&target.app.uuid).await;
            app.unwrap_or_else(|| Application::unheard(&target.app.name))
        });
        let silent = join_all(silent).await;
        Look { pages, evidence, silent }
    }

    /// What a page is worth. One that calls itself something else may be the same image by another name; while the registry cannot
    /// be asked, that is not known.
    async fn evidence(&mut self, page: &Seen) -> Evidence {
        let evidence = page.evidence(&self.seen.wanted.build);
        let Seen::Says(build) = page else { return evidence };
        let nameless = evidence == Evidence::Unclear && self.world.images().is_some();
        if evidence != Evidence::Wrong && !nameless {
            return evidence;
        }
        if let Some(same) = self.same.get(build) {
            return if *same { Evidence::Right } else { Evidence::Wrong };
        }
        let Some(same) = within(self.world.patience(), self.digests_agree(build)).await.flatten() else {
            return Evidence::Unclear;
        };
        self.same.insert(build.clone(), same);
        if same { Evidence::Right } else { Evidence::Wrong }
    }

    /// A candidate and its final are one image with two names: the registry knows, if there is one that can be asked.
    async fn digests_agree(&self, build: &str) -> Option<bool> {
        let (Some(images), Some((name, tag))) =
            (self.world.images(), self.seen.wanted.images.first().and_then(|i| split(i)))
        else {
            return Some(false);
        };
        let usable = |tag: &str| {
            !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let wanted = images.digest(name, &tag).await.ok()?.filter(|d| !d.is_empty());
        for other in [build.to_owned(), format!("v{build}")].iter().filter(|tag| usable(tag)) {
            let found = images.digest(name, other).await.ok()?;
            if found.is_some() && found == wanted {
                return Some(true);
            }
        }
        Some(false)
    }

    /// What Coolify says of some applications, as far as it says so soon: nothing hangs on it.
    async fn asked(&self, which: impl Fn(&look::Target) -> bool) -> Vec<Application> {
        let apps = self
            .seen
            .targets
            .iter()
            .filter(|t| which(t))
            .map(|t| self.world.api.peek_application(&t.app.uuid));
        let asked = within(self.world.patience(), join_all(apps)).await.unwrap_or_default();
        asked.into_iter().flatten().collect()
    }

    /// Coolify may see what the pages do not show yet; it may also be minutes behind.
    async fn second_opinion(&self) {
        for app in self.asked(|t| t.covered).await {
            if app.opinion() == Opinion::Down {
                let message = format!(
                    "the pages are right, but Coolify says that {} is {}; its word may be minutes old: look again soon",
                    app.name, app.status
                );
                self.world.context.voice.warn(&message);
            }
        }
    }

    async fn verdict(&self, watch: &Watch, look: &Look) -> Unproven {
        let shown = self.shown(look);
        let mut sick = watch.at_the_end() == Evidence::Wrong;
        let mut why = "the pages do not answer as they should".to_owned();
        if !sick && let Some(app) = self.asked(|_| true).await.into_iter().find(Application::is_gone) {
            why = format!("{} is {} as Coolify says, and nothing else speaks for it", app.name, app.status);
            sick = true;
        }
        if !sick {
            let failure = self.unknown("nobody has said how it is", &shown);
            return Unproven { failure, sick, other: false };
        }
        let name = self.seen.wanted.name();
        let failure =
            Failure::failed("not-live", format!("{name} was deployed, but {why}")).acted(Acted::Yes);
        // Where the previous build still answers, the new one has not replaced it.
        let other = look.pages.iter().any(|page| page.is_other(&self.seen.wanted.build));
        Unproven { failure: shown.into_iter().fold(failure, Failure::cause), sick: !other, other }
    }

    fn unknown(&self, why: &str, shown: &[String]) -> Failure {
        let name = self.seen.wanted.name();
        let message = format!("{name} was deployed, but it is not known whether it is healthy: {why}");
        let failure = Failure::temporary("health-unknown", message).acted(Acted::Yes);
        shown.iter().fold(failure, Failure::cause).next(Next::status(self.world))
    }

    fn shown(&self, look: &Look) -> Vec<String> {
        let pages = self.seen.pages.iter().zip(&look.pages).map(|(url, seen)| format!("{url} {seen}"));
        pages
            .chain(look.silent.iter().map(|app| format!("{} is {} in Coolify", app.name, app.status)))
            .collect()
    }

    fn proof(&self) -> String {
        let times = self.world.settings.successes;
        let pages = match self.seen.pages.len() {
            0 => return "by Coolify's word alone".to_owned(),
            1 => format!("1 page said so {times} times in a row"),
            pages => format!("{pages} pages said so {times} times in a row"),
        };
        pages + &at(self.world.net.addresses(&self.seen.pages))
    }
}

/// At how many addresses, and what was not looked at.
fn at((asked, unrouted): (usize, usize)) -> String {
    let asked = if asked > 1 { format!(" at each of {asked} addresses") } else { String::new() };
    match unrouted {
        0 => asked,
        1 => format!("{asked}; 1 address cannot be reached from this machine and was not asked"),
        many => format!("{asked}; {many} addresses cannot be reached from this machine and were not asked"),
    }
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn a_proof_says_how_many_addresses_it_rests_on() {
        assert_eq!(at((1, 0)), "");
        assert_eq!(at((3, 0)), " at each of 3 addresses");
        assert_eq!(
            at((2, 1)),
            " at each of 2 addresses; 1 address cannot be reached from this machine and was not asked"
        );
        assert_eq!(at((1, 2)), "; 2 addresses cannot be reached from this machine and were not asked");
    }
}

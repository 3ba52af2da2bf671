//! Which run a rollback goes back from: the one that brought what runs. What runs is Coolify's and the pages' word; a run's own word
//! only counts where that does not contradict it, for whoever may push can plant a run. Where two could be meant, a person is asked.
//! Pure.

use facts::{Deployment, Previous};
use serde::Deserialize;
use serde_json::{Map, Value};
use step::{Failure, Procedure};

use super::name;
use image::split;

/// A run that changed what customers see, as its keeper tells of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Told {
    pub run: String,
    /// The id of its documents.
    #[serde(default)]
    pub document: Option<String>,
    pub procedure: Procedure,
    /// `finished`, or how far it has come.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub facts: Map<String, Value>,
}

/// What is known of the outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outside<'a> {
    /// Coolify's name of the application.
    pub place: &'a str,
    /// What runs, with the deployment that brought it; nothing where that is not known.
    pub now: Option<&'a Previous>,
    /// What ran before it, where Coolify's history goes back so far.
    pub before: Option<&'a Previous>,
    /// What ran directly before it in time: what a rollback has left, or what a release of an older build has taken off.
    pub preceding: Option<&'a Previous>,
    /// What the last deployment that finished has brought.
    pub finished: Option<&'a Previous>,
}

/// Where a rollback starts.
#[derive(Debug, PartialEq)]
pub enum Choice<'a> {
    /// From this run, back to what ran before it.
    Run(&'a str, Previous),
    /// No run brought what runs: Coolify's history says what ran before.
    History,
}

impl Told {
    /// Whether its version is what people released; a candidate is called by its tag.
    pub fn is_a_release(&self) -> bool {
        self.procedure.is_release()
    }

    /// What its documents say.
    pub fn fact<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.facts.get(name)?.clone()).ok()
    }

    fn is_rollback(&self) -> bool {
        self.procedure == Procedure::Rollback
    }

    /// What ran before it.
    fn previous(&self) -> Option<Previous> {
        self.fact::<Previous>("previous").filter(|p| p.image.is_some() || p.commit.is_some())
    }

    /// Whether it is what brought a build.
    pub fn brought(&self, build: &Previous) -> bool {
        let deployments: Vec<Deployment> = self.fact("deployments").unwrap_or_default();
        let named =
            deployments.iter().any(|d| build.deployments.iter().any(|b| b.deployment == d.deployment));
        let own = Previous {
            version: self.fact("version"),
            commit: self.fact("commit"),
            image: self.fact("image"),
            ..Previous::default()
        };
        // A run that died before its deployment was whole knows what was tested, which is what it was about to bring.
        let tested: Option<facts::Candidate> = self.fact("candidate");
        let tested = tested.map(|c| Previous { version: c.version, commit: c.commit, ..Previous::default() });
        named || is_same(&own, build) || tested.is_some_and(|tested| is_same(&tested, build))
    }
}

impl Outside<'_> {
    /// Whether a build ran directly before what runs, by Coolify's history.
    fn precedes(&self, build: &Previous) -> bool {
        self.preceding.is_some_and(|preceding| is_same(preceding, build))
    }
}

/// Whether two are one build; what only one of them says decides nothing.
pub fn is_same(a: &Previous, b: &Previous) -> bool {
    let tag = |p: &Previous| p.image.as_deref().and_then(split).map(|(_, tag)| bare(&tag));
    let version = |p: &Previous| tag(p).or_else(|| p.version.as_deref().map(bare));
    match (tag(a).zip(tag(b)), a.commit.as_ref().zip(b.commit.as_ref()), version(a).zip(version(b))) {
        (Some((a, b)), _, _) => a == b,
        (None, Some((a, b)), _) => a == b,
        (None, None, Some((a, b))) => a == b,
        _ => false,
    }
}

fn bare(name: &str) -> String {
    name.strip_prefix('v').unwrap_or(name).to_owned()
}

/// Decides. `runs` are the newest first; `named` is the one that a person has named.
pub fn choose<'a>(outside: Outside, runs: &'a [Told], named: Option<&str>) -> Result<Choice<'a>, Failure> {
    if let Some(named) = named {
        let run = runs.iter().find(|run| run.run == named).ok_or_else(|| no_such(named, runs))?;
        let previous = run.previous().ok_or_else(|| no_previous(run))?;
        if outside.now.is_some_and(|now| is_same(now, &previous)) {
            return Err(already(run, &previous));
        }
        return Ok(Choice::Run(&run.run, previous));
    }
    let Some(now) = outside.now else { return without_now(outside, runs) };
    let brought = runs.iter().position(|run| run.brought(now));
    if let Some(attempt) = runs.first().filter(|run| !run.is_rollback() && brought != Some(0)) {
        // It has begun to change something, and what ran before it runs.
        if attempt.previous().is_some_and(|p| is_same(&p, now)) {
            let brought = brought.map(|at| &runs[at]).filter(|run| run.previous().is_some());
            return Err(untouched(attempt, now, brought));
        }
        if brought.is_none() && attempt.state != "finished" {
            return Err(foreign(outside.place, now, attempt));
        }
    }
    let Some(at) = brought else { return Ok(Choice::History) };
    if runs[at].is_rollback() {
        // From there it goes further back. Which of the runs that had brought it counts, they do not know: Coolify's history does.
        return Ok(Choice::History);
    }
    let run = &runs[at];
    match (run.previous().filter(|previous| !is_same(previous, now)), outside.before) {
        // It found its own build running already: what ran before that only Coolify knows.
        (None, _) => Ok(Choice::History),
        (Some(previous), Some(before)) if !is_same(&previous, before) && !outside.precedes(&previous) => {
            Err(differ(run, &previous, before))
        }
        (Some(previous), _) => Ok(Choice::Run(&run.run, previous)),
    }
}

/// What runs is not known, which is what a rollback may be for: then the last deployment that finished must be what the newest run says
/// ran before it, or what it brought.
fn without_now<'a>(outside: Outside, runs: &'a [Told]) -> Result<Choice<'a>, Failure> {
    let Some(run) = runs.first().filter(|run| !run.is_rollback()) else { return Ok(Choice::History) };
    let Some(previous) = run.previous() else { return Ok(Choice::History) };
    match (outside.finished, outside.before) {
        (Some(finished), _) if is_same(finished, &previous) => Ok(Choice::Run(&run.run, previous)),
        (Some(finished), Some(before)) if run.brought(finished) && is_same(before, &previous) => {
            Ok(Choice::Run(&run.run, previous))
        }
        (Some(finished), Some(before)) if run.brought(finished) => Err(differ(run, &previous, before)),
        (Some(finished), None) if run.brought(finished) => Ok(Choice::Run(&run.run, previous)),
        (Some(finished), _) => Err(differ(run, &previous, finished)),
        (None, _) => Ok(Choice::Run(&run.run, previous)),
    }
}

fn ask(message: String) -> Failure {
    Failure::refused("which-run", message)
}

fn untouched(attempt: &Told, now: &Previous, brought: Option<&Told>) -> Failure {
    let live = name(now);
    let from = match brought {
        Some(run) => format!("if {live} itself is to go, name the run that brought it: --of {}", run.run),
        None => format!(
            "if {live} itself is to go, name what is to run: deploy-coolify rollback --image (or --commit)"
        ),
    };
    let failure = ask(format!(
        "{live} runs, which is what ran before {}: that attempt has not replaced it, and there is nothing to go back from. If its migrations have run, the data alone can go back (db-restore restore); {from}",
        attempt.run
    ));
    match brought {
        Some(run) => failure.next(step::shell::command(["rilis-rollback", "--of", &run.run])),
        None => failure,
    }
}

fn already(run: &Told, live: &Previous) -> Failure {
    ask(format!(
        "{} runs already, which is what ran before {}: there is nothing to go back from; if the data is wrong, it goes back by itself (db-restore restore)",
        name(live),
        run.run
    ))
}

fn foreign(place: &str, now: &Previous, run: &Told) -> Failure {
    let message = format!(
        "{place} runs {}, which no run brought, and {} is not at its end: somebody has deployed in between; name what is to be left with \
         --of {}, or where to go with deploy-coolify rollback --image (or --commit)",
        now.version.clone().unwrap_or_else(|| name(now)),
        run.run,
        run.run
    );
    Failure::refused("plan-stale", message)
}

fn differ(run: &Told, says: &Previous, coolify: &Previous) -> Failure {
    ask(format!(
        "{} says that {} ran before it, and Coolify's history says {}: name what is right with --of {} or with deploy-coolify rollback --image \
         (or --commit)",
        run.run,
        name(says),
        name(coolify),
        run.run
    ))
}

fn no_such(named: &str, runs: &[Told]) -> Failure {
    let known: Vec<&str> = runs.iter().take(5).map(|run| run.run.as_str()).collect();
    let known = if known.is_empty() { "none is known".to_owned() } else { known.join(", ") };
    ask(format!("no run {named} has changed anything here; the last that did: {known}"))
}

fn no_previous(run: &Told) -> Failure {
    let message = format!(
        "{} does not say what ran before it: name the build with deploy-coolify rollback --image (or --commit)",
        run.run
    );
    Failure::refused("wrong-document", message)
}

#[cfg(test)]
mod tests;

//! The evidence that a candidate was tested: what runs where candidates are tested, and since when. Coolify and the pages there
//! are asked, never a file.

use std::time::Duration;

use facts::Candidate;
use jiff::{SignedDuration, Timestamp};
use step::{Failure, Outcome, Run};

use crate::api::{Net, is_commit};
use crate::next::Next;
use crate::previous::{Found, what_is_there};
use crate::registry::Images;
use crate::settings::Settings;
use crate::wanted::another;
use crate::world::World;
use image::{join, split};

/// What was seen there.
#[derive(Clone, Debug, Default)]
struct Evidence {
    /// The candidate by what Coolify and the pages call it, and its images.
    candidate: Candidate,
    /// Whether the pages name it, or Coolify shows it where there are none.
    runs: bool,
    /// When the last of its deployments finished.
    since: Option<Timestamp>,
}

/// Writes the fact `candidate`, or refuses.
pub fn tested(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    rebuilt: Option<&str>,
) -> Result<Outcome, Failure> {
    let nameless = || Failure::refused("fact-missing", "candidates of which version? give --release VERSION");
    let version: String = run.fact("version")?.ok_or_else(nameless)?;
    let there = Settings::at(&run.context, &settings.tested_in)?;
    let seen = {
        let world = World::new(&run.context, &there, net);
        net.block(look(&world, &settings.tested_in))?
    };
    let since = verdict(&seen, &version, settings.soak, Timestamp::now())?;
    // The place of tests may share production's registry and not say so.
    let registry = there.registry.as_ref().or(settings.registry.as_ref());
    let images = match registry.map(|registry| Images::new(&run.context, registry, net)) {
        Some(registry) => net.block(by_digest(run, &registry, &seen.candidate.images))?,
        None => seen.candidate.images,
    };
    let candidate = Candidate {
        images,
        since: since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        rebuilt: rebuilt.map(str::to_owned),
        ..seen.candidate
    };
    let message = sentence(&candidate, since);
    run.set("candidate", candidate)?;
    Ok(Outcome::unchanged(message))
}

fn sentence(candidate: &Candidate, since: Timestamp) -> String {
    let which = match (&candidate.rebuilt, candidate.images.is_empty()) {
        (Some(reason), _) => format!("another build is released all the same: {reason}"),
        (None, true) => "Coolify builds what is released anew".to_owned(),
        (None, false) => "the same image is released".to_owned(),
    };
    let age = spelled(Timestamp::now().duration_since(since));
    format!("{} has run in {} for {age}; {which}", name(candidate), candidate.environment)
}

async fn look(world: &World<'_>, environment: &str) -> Result<Evidence, Failure> {
    let there = what_is_there(world).await?;
    let since = there.found.iter().map(Found::finished).collect::<Option<Vec<_>>>();
    let runs = !there.found.is_empty() && there.found.iter().all(|found| found.runs);
    let images = there.found.iter().filter_map(|found| found.previous.image.clone()).collect();
    let says = there.says.clone();
    let all = there.build()?;
    let names = [all.version, all.commit, says];
    let (commits, versions): (Vec<String>, Vec<String>) =
        names.into_iter().flatten().partition(|name| is_commit(name));
    let candidate = Candidate {
        environment: environment.to_owned(),
        version: versions.into_iter().next(),
        commit: commits.into_iter().next(),
        images,
        ..Candidate::default()
    };
    Ok(Evidence { candidate, runs, since: since.and_then(|all| all.into_iter().max()) })
}

/// Decides; gives since when it has run there. Pure.
fn verdict(seen: &Evidence, version: &str, soak: Duration, now: Timestamp) -> Result<Timestamp, Failure> {
    let place = &seen.candidate.environment;
    let untested = |why: String| Err(Failure::refused("untested", why).next(Next::candidate(place, version)));
    if let Some(why) = another(&seen.candidate, version) {
        return untested(why);
    }
    let name = name(&seen.candidate);
    if !seen.runs {
        return untested(format!(
            "{name} was deployed to {place}, but nothing there says that it runs now: look at its pages"
        ));
    }
    let Some(since) = seen.since else {
        return untested(format!("Coolify does not say when {name} came to {place}"));
    };
    let age = now.duration_since(since);
    if age.is_negative() {
        return untested(format!(
            "{name} came to {place} at {since}, which is yet to come: are the clocks right?"
        ));
    }
    let soak = SignedDuration::try_from(soak).unwrap_or(SignedDuration::MAX);
    if age < soak {
        let message = format!(
            "{name} has run in {place} for {} only, and candidates have to run {}: try again in {}",
            spelled(age),
            spelled(soak),
            spelled(soak - age)
        );
        return Err(Failure::temporary("soak", message));
    }
    Ok(since)
}

/// What people call it.
fn name(candidate: &Candidate) -> String {
    let commit = || candidate.commit.as_ref().map(|commit| format!("commit {}", &commit[..12]));
    candidate.version.clone().or_else(commit).unwrap_or_else(|| "a build".to_owned())
}

fn spelled(length: SignedDuration) -> String {
    step::human(Duration::try_from(length).unwrap_or_default())
}

/// A tag may be moved, a digest cannot.
async fn by_digest(run: &Run, images: &Images<'_>, tagged: &[String]) -> Result<Vec<String>, Failure> {
    let mut exact = Vec::new();
    for image in tagged {
        let Some((name, tag)) = split(image) else { continue };
        exact.push(match images.digest(name, &tag).await? {
            Some(digest) if !digest.is_empty() => join(name, &digest.replacen(':', "-", 1)),
            Some(_) => {
                run.context
                    .voice
                    .warn(&format!("the registry does not tell the digest of {image}: its tag counts"));
                image.clone()
            }
            None => {
                let message = format!("the registry does not have {image}, which was tested");
                return Err(Failure::temporary("image-missing", message));
            }
        });
    }
    Ok(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(version: Option<&str>, commit: Option<&str>) -> Evidence {
        let candidate = Candidate {
            environment: "staging".into(),
            version: version.map(str::to_owned),
            commit: commit.map(str::to_owned),
            ..Candidate::default()
        };
        Evidence { candidate, runs: true, since: "2026-11-25T10:00:00Z".parse().ok() }
    }

    fn decided(seen: &Evidence, now: &str) -> Result<(), String> {
        let now = now.parse().expect("a time");
        verdict(seen, "1.2.0", Duration::from_secs(600), now).map(|_| ()).map_err(|f| f.reason.clone())
    }

    #[test]
    fn only_a_candidate_of_the_version_that_has_run_long_enough_was_tested() {
        let commit = "9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c";
        let later = "2026-11-25T10:10:00Z";
        let of = |version, commit| decided(&evidence(version, commit), later);
        let untested = || Err("untested".to_owned());
        assert_eq!(of(Some("1.2.0-rc2"), None), Ok(()));
        assert_eq!(of(Some("1.2.0-rc.2"), Some(commit)), Ok(()));
        // Its commit is held against the candidate's when the final is tagged.
        assert_eq!(of(None, Some(commit)), Ok(()));
        assert_eq!(of(Some("1.2.0"), Some(commit)), Ok(()));
        assert_eq!(of(Some("1.2.0"), None), untested());
        assert_eq!(of(Some("1.2.01-rc1"), None), untested());
        for other in
            ["1.2.0-rc1-dirty", "1.2.0-rc1+dirty", "1.2.0-rc", "1.2.0-rc1.2", "1.2.0-rcx", "1.2.0-beta1"]
        {
            assert_eq!(of(Some(other), None), untested(), "{other}");
        }
        assert_eq!(of(Some("1.3.0-rc1"), Some(commit)), untested());
        assert_eq!(of(None, None), untested());
        assert_eq!(decided(&evidence(Some("1.2.0-rc2"), None), "2026-11-25T10:09:59Z"), Err("soak".into()));
        assert_eq!(decided(&evidence(Some("1.2.0-rc2"), None), "2026-11-25T09:59:59Z"), untested());
        let silent = Evidence { runs: false, ..evidence(Some("1.2.0-rc2"), None) };
        assert_eq!(decided(&silent, later), untested());
        let ageless = Evidence { since: None, ..evidence(Some("1.2.0-rc2"), None) };
        assert_eq!(decided(&ageless, later), untested());
    }
}

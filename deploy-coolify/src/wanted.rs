//! Which build is to run: from the command line, the document and the settings.

use facts::{Build, Candidate, Previous};
use step::{Failure, Run};

use crate::args::Target;
use crate::plan::Wanted;
use crate::settings::{Settings, sentence};
use image::{Template, fill, join, split};

/// The build of a deployment.
pub fn of(run: &mut Run, settings: &Settings, target: &Target) -> Result<Wanted, Failure> {
    if let Some(commit) = &target.commit {
        run.set("commit", commit)?;
    }
    let build = Build::of(run)?;
    if !target.image.is_empty() {
        return Ok(Wanted::new(build, target.image.clone()));
    }
    if let Some(tested) = run.fact::<Candidate>("candidate")?.filter(ships) {
        if let (true, Some(version)) = (run.document.procedure().is_release(), &build.version) {
            is_of(&tested, version)?;
        }
        return Ok(Wanted::new(Build { also: tested.names(), ..build }, tested.images));
    }
    let mut images = Vec::new();
    let mut unfilled = None;
    for template in &settings.images {
        match fill(template, &build) {
            Ok(image) => images.push(image),
            Err(why @ Template::Unknown(_)) => {
                return Err(run.context.settings.wrong("image", &sentence(template, &why)));
            }
            Err(why) => unfilled = Some(sentence(template, &why)),
        }
    }
    Ok(Wanted { unfilled, ..Wanted::new(build, images) })
}

/// What was tested is what ships, unless somebody has said why not.
fn ships(tested: &Candidate) -> bool {
    tested.rebuilt.is_none() && !tested.images.is_empty()
}

/// A release ships a candidate of its own version: a document that was begun elsewhere may say anything. An image whose tag is no version
/// has no name to be held against it; what its pages say is proven after the deployment.
fn is_of(tested: &Candidate, version: &str) -> Result<(), Failure> {
    let strange = |image: &&String| split(image).is_some_and(|(_, tag)| is_another_version(&tag, version));
    let image = || {
        let image = tested.images.iter().find(strange)?;
        Some(format!("{image} was tested, which is not of {version}"))
    };
    let Some(why) = another(tested, version).or_else(image) else { return Ok(()) };
    let message =
        format!("{why}: nothing is deployed; close this run (rilis-abandon RUN REASON) and start over");
    Err(Failure::refused("wrong-build", message))
}

/// Whether a tag is a version, or begins as one, and not this one.
fn is_another_version(tag: &str, version: &str) -> bool {
    let bare = tag.strip_prefix('v').unwrap_or(tag);
    let mut parts = bare.splitn(3, '.');
    let numbers =
        |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let is_version = numbers(parts.next()) && numbers(parts.next()) && parts.next().is_some();
    let rest = bare.strip_prefix(version);
    is_version && rest.is_none_or(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Why what runs is no candidate of the version. One that only its commit names is held against the tags when the final is made.
pub fn another(candidate: &Candidate, version: &str) -> Option<String> {
    let place = &candidate.environment;
    let of_version = |name: &str| name.strip_prefix(version).is_some_and(is_candidate);
    match (candidate.version.as_deref(), &candidate.commit) {
        (Some(other), _) if !of_version(other) && other != version => Some(format!(
            "{place} runs {other}, which is no candidate of {version}: bring the candidate there and test it, \
             or say why not (--no-candidate REASON)"
        )),
        (Some(same), None) if same == version => {
            Some(format!("{place} runs {same}, and nothing says of which candidate"))
        }
        (None, None) => Some(format!("nothing says which build runs in {place}")),
        _ => None,
    }
}

/// `-rc2` or `-rc.2`, and nothing after it: `-rc2-dirty` is somebody's own build.
pub fn is_candidate(rest: &str) -> bool {
    let Some(number) = rest.strip_prefix("-rc") else { return false };
    let number = number.strip_prefix('.').unwrap_or(number);
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// A build that ran before: its image, and the same tag of every other repository.
pub fn of_previous(settings: &Settings, previous: &Previous) -> Wanted {
    let mut images: Vec<String> = previous.image.iter().cloned().collect();
    if let Some((first, tag)) = previous.image.as_deref().and_then(split) {
        let others =
            settings.images.iter().filter_map(|template| template.rsplit_once(':')).map(|(name, _)| name);
        images.extend(others.filter(|name| *name != first).map(|name| join(name, &tag)));
    }
    let build =
        Build { version: previous.version.clone(), commit: previous.commit.clone(), ..Build::default() };
    Wanted::new(build, images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_ships_a_candidate_of_its_own_version() {
        let of = |version: &str, image: &str| {
            let (version, images) = (Some(version.into()), vec![image.into()]);
            let commit = Some("9f2c41d07ab3".into());
            is_of(&Candidate { version, images, commit, ..Candidate::default() }, "1.3.0").is_ok()
        };
        for image in ["v1.3.0-rc1", "1.3.0", "prod-1.2.0", "9f2c41d07ab3", "build-4711", "1.3.0-rc1-alpine"] {
            assert!(of("1.3.0-rc1", &format!("r.example/shop:{image}")), "{image}");
        }
        assert!(of("1.3.0-rc.2", "r.example/shop@sha256:ab"));
        for image in ["1.1.4", "v1.2.0-rc1", "1.3.01", "11.3.0"] {
            assert!(!of("1.3.0-rc1", &format!("r.example/shop:{image}")), "{image}");
        }
        assert!(!of("1.2.0-rc1", "r.example/shop:1.3.0") && !of("1.3.01-rc1", "r.example/shop:1.3.0"));
    }
}

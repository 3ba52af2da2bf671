//! Which build is to run: from the command line, the document and the settings.

use facts::{Build, Candidate, Previous};
use step::{Failure, Run};

use crate::args::Target;
use crate::plan::Wanted;
use crate::settings::Settings;
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
            is_of(&tested, version, build.commit.as_deref())?;
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

/// A release ships a candidate of its own version: a document that was begun elsewhere may say anything.
fn is_of(tested: &Candidate, version: &str, commit: Option<&str>) -> Result<(), Failure> {
    let named = |name: &str| {
        let name = name.strip_prefix('v').unwrap_or(name);
        name.strip_prefix(version)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '+', '_']))
    };
    let other = |what: &str| {
        let message = format!(
            "{what} is not of {version}: nothing is deployed; close this run (rilis-abandon RUN REASON) and start over"
        );
        Err(Failure::refused("wrong-build", message))
    };
    if let Some(candidate) = tested.version.as_deref().filter(|candidate| !named(candidate)) {
        return other(&format!("the candidate {candidate}"));
    }
    // A digest has no name, and what its pages say is proven after the deployment.
    let strange = |tag: &str| {
        let of_commit = commit.is_some_and(|commit| commit.starts_with(tag) || tag.starts_with(commit));
        !tag.starts_with("sha256-") && !tag.contains(version) && !of_commit
    };
    let odd = tested.images.iter().find(|image| split(image).is_some_and(|(_, tag)| strange(&tag)));
    odd.map_or(Ok(()), |image| other(image))
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

/// Why a template cannot be filled.
pub fn sentence(template: &str, why: &Template) -> String {
    match why {
        Template::Unknown(name) => {
            format!("unknown placeholder {{{name}}}; it may have {{version}}, {{tag}} and {{commit}}")
        }
        Template::Missing("version") => format!("`{template}` needs the version: give --release VERSION"),
        Template::Missing(fact) => {
            format!("`{template}` needs the {fact}, which the document does not have (tag-rc writes it)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_ships_a_candidate_of_its_own_version() {
        let commit = "9f2c41d07ab39f2c41d07ab39f2c41d07ab39f2c";
        let of = |version: &str, image: &str| {
            let tested = Candidate {
                version: Some(version.into()),
                images: vec![image.into()],
                ..Candidate::default()
            };
            is_of(&tested, "1.3.0", Some(commit)).is_ok()
        };
        assert!(of("1.3.0-rc1", "r.example/shop:v1.3.0-rc1") && of("v1.3.0-rc.2", "r.example/shop:1.3.0"));
        assert!(
            of("1.3.0-rc1", "r.example/shop:prod-1.3.0-rc1-alpine")
                && of("1.3.0-rc1", "r.example/shop@sha256:ab")
        );
        assert!(of("1.3.0-rc1", "r.example/shop:9f2c41d07ab3"));
        assert!(!of("1.3.0-rc1", "r.example/shop:1.1.4") && !of("1.2.0-rc1", "r.example/shop:1.3.0"));
        assert!(!of("1.3.01-rc1", "r.example/shop:1.3.0"));
    }
}

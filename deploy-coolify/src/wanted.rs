//! Which build is to run: from the command line, the document and the settings.

use facts::{Build, Candidate, Previous};
use step::{Failure, Run};

use crate::args::Target;
use crate::plan::Wanted;
use crate::settings::Settings;
use crate::tested::another;
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

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

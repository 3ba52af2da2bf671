//! Whether the image that a way back needs is still there. Cleaners of registries and servers remove what is old, and the build
//! before is old.

use step::{Failure, Previous};

use crate::api::{Application, Kind};
use crate::plan::split;
use crate::world::{World, each};

/// Yes, no, or not known; each with a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Yes(String),
    No(String),
    Unknown(String),
}

/// Asks where the image would come from. A failure is an answer that did not come.
pub async fn kept(world: &World<'_>, build: &Previous) -> Result<Kept, Failure> {
    match (&build.image, &build.commit) {
        (Some(image), _) => in_registry(world, image).await,
        (None, Some(commit)) => on_servers(world, commit).await,
        (None, None) => Ok(Kept::Unknown("it is not known which build it is".into())),
    }
}

/// Coolify pulls an application's image anew for each deployment: only the registry's word counts.
async fn in_registry(world: &World<'_>, image: &str) -> Result<Kept, Failure> {
    let Some(images) = world.images() else {
        let why = "whether its image is kept is not known: no `registry` is set that could be asked";
        return Ok(Kept::Unknown(why.into()));
    };
    let Some((name, tag)) = split(image) else {
        return Ok(Kept::Unknown(format!("whether {image} is kept is not known: it has no tag")));
    };
    Ok(match images.digest(name, &tag).await? {
        Some(_) => Kept::Yes("the registry has its image".into()),
        None => Kept::No(format!("the registry does not have {image} any more")),
    })
}

/// What Coolify has built lies on its server. An empty list is what it answers when the server cannot be reached; and what is not
/// there is built again, from the commit: a way back, but a longer one, and not of the same image.
async fn on_servers(world: &World<'_>, commit: &str) -> Result<Kept, Failure> {
    let short = &commit[..commit.len().min(12)];
    if !world.api.version().await?.has_rollback() {
        return Ok(Kept::Unknown("whether its image is kept is not known: this Coolify does not say".into()));
    }
    let apps: Vec<Application> =
        world.applications().await?.into_iter().filter(|app| app.kind() == Kind::Git).collect();
    let lists = each(&apps, async |app: &Application| world.api.kept_images(&app.uuid).await).await?;
    for (app, tags) in apps.iter().zip(&lists) {
        if tags.is_empty() {
            let why = format!(
                "whether its image is kept is not known: Coolify lists none of {}, as when its server is away",
                app.name
            );
            return Ok(Kept::Unknown(why));
        }
        if !tags.iter().any(|tag| tag == commit) {
            let why =
                format!("{} has no image of commit {short} any more: Coolify would build it again", app.name);
            return Ok(Kept::Unknown(why));
        }
    }
    Ok(Kept::Yes("Coolify's server has its image".into()))
}

/// A rollback whose image is gone is refused before anything is changed.
pub fn gone(why: &str) -> Failure {
    let message = format!(
        "{why}: push it again, or go back to a build that is still there (deploy-coolify rollback --image, or --commit)"
    );
    Failure::refused("image-gone", message)
}

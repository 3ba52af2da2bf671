//! Whether the image that a way back needs is still there. Cleaners of registries and servers remove what is old, and the previous
//! build is old. Nothing hangs on the answer but a plain no: who does not answer soon is not waited for.

use facts::Previous;
use futures_util::future::join_all;
use step::Failure;

use crate::api::{Application, Kind};
use crate::wait::within;
use crate::world::World;
use image::{join, split};

/// Yes, no, or not known; each with a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Yes(String),
    No(String),
    Unknown(String),
    /// There is nobody who could be asked.
    Nobody(String),
}

/// Asks where the image would come from.
pub async fn kept(world: &World<'_>, apps: &[Application], build: &Previous) -> Kept {
    match (&build.image, &build.commit) {
        (Some(image), _) => in_registry(world, image).await,
        (None, Some(commit)) => on_servers(world, apps, commit).await,
        (None, None) => Kept::Unknown("it is not known which build it is".into()),
    }
}

fn unknown(why: &str) -> String {
    format!("whether its image is kept is not known: {why}")
}

/// Coolify pulls an application's image anew for each deployment: only the registry's word counts.
async fn in_registry(world: &World<'_>, image: &str) -> Kept {
    let Some(images) = world.images() else {
        return Kept::Nobody(unknown("no `registry` is set that could be asked"));
    };
    let Some((name, tag)) = split(image) else {
        return Kept::Unknown(unknown(&format!("{image} has no tag")));
    };
    // Whoever goes back at once does not ask again.
    world.net.asks(&join(name, &tag));
    match within(world.patience(), images.digest(name, &tag)).await {
        Some(Ok(Some(_))) => Kept::Yes("the registry has its image".into()),
        Some(Ok(None)) => Kept::No(format!("the registry does not have {image} any more")),
        Some(Err(failure)) => Kept::Unknown(unknown(&failure.message)),
        None => Kept::Unknown(unknown("the registry has not answered in time")),
    }
}

/// What Coolify has built lies on its server. An empty list is what it answers when the server cannot be reached, and it needs more than
/// a minute to find that out; and what is not there is built again, from the commit: a way back, but a longer one, and not of the same
/// image.
async fn on_servers(world: &World<'_>, apps: &[Application], commit: &str) -> Kept {
    let short = &commit[..commit.len().min(12)];
    let git: Vec<&Application> = apps.iter().filter(|app| app.kind() == Kind::Git).collect();
    world.context.voice.progress("asking Coolify whether the image is kept on its server");
    let lists = join_all(git.iter().map(|app| world.api.kept_images(&app.uuid)));
    let lists = within(world.patience(), lists).await;
    world.context.voice.progress_done();
    let Some(lists) = lists else {
        return Kept::Unknown(unknown("Coolify has not heard from its server in time"));
    };
    for (app, list) in git.iter().zip(lists) {
        let name = &app.name;
        let why = match list {
            Err(trouble) if trouble.is_no_route() => unknown("this Coolify does not say"),
            Err(trouble) => unknown(&trouble.failure.message),
            Ok(tags) if tags.is_empty() => {
                unknown(&format!("Coolify lists none of {name}, as when its server is away"))
            }
            Ok(tags) if !tags.iter().any(|tag| tag == commit) => {
                format!("{name} has no image of commit {short} any more: Coolify would build it again")
            }
            Ok(_) => continue,
        };
        return Kept::Unknown(why);
    }
    Kept::Yes("Coolify's server has its image".into())
}

/// A rollback whose image is gone is refused before anything is changed.
pub fn gone(why: &str) -> Failure {
    let message = format!(
        "{why}: push it again, or go back to a build that is still there (deploy-coolify rollback --image, or --commit)"
    );
    Failure::refused("image-gone", message)
}

//! Leaves an application configured as it was. A build that failed must not stay written in it: whoever restarts the application in
//! Coolify would bring it live.

use std::time::Duration;

use serde_json::{Map, Value};
use step::{Failure, Permit};

use crate::api::{Application, Kind, Sent};
use crate::look::Target;
use crate::wait::within;
use crate::world::World;

/// How long putting back may take while nobody wants us to stop.
const PATIENCE: Duration = Duration::from_secs(90);

/// What an application was configured with.
#[derive(Clone, Debug)]
pub struct Before {
    fields: Map<String, Value>,
    revision: String,
}

impl Before {
    /// What it is configured with now.
    pub fn of(app: &Application) -> Self {
        Before { fields: app.fields_now(), revision: app.configured() }
    }

    /// What runs there, where somebody has written the new tag before us.
    pub fn ran(app: &Application, revision: &str) -> Self {
        Before { fields: app.fields_for(revision), revision: revision.to_owned() }
    }

    fn shown(&self) -> &str {
        if self.revision.is_empty() { "nothing" } else { &self.revision }
    }
}

/// How a deployment stands when it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has failed, or was cancelled: the old build runs, or nothing does.
    Ended,
    /// It has brought its build.
    Finished,
    /// It goes on. Once a worker has begun, the tag was read.
    Open { begun: bool },
    /// Nobody can tell.
    Unknown,
}

/// What is to become of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It is put back.
    Put,
    /// It stays, and this is why.
    Keep(&'static str),
    /// It is right as it is.
    Right,
}

/// Decides. `back` says that the build is one to go back to; `others` that the application has more servers. Pure.
pub fn advice(kind: Kind, state: State, back: bool, others: bool) -> Advice {
    match state {
        // A pin holds for every later push.
        _ if kind != Kind::Image => Advice::Put,
        State::Finished => Advice::Right,
        _ if back => Advice::Keep("it is the build to go back to, and a restart in Coolify goes back too"),
        State::Open { begun: false } => {
            Advice::Keep("its deployment has not begun, and reads it when it does")
        }
        State::Open { .. } if others => Advice::Keep("the deployments on its other servers will read it"),
        State::Ended | State::Open { .. } | State::Unknown => Advice::Put,
    }
}

/// Whether it was put back.
#[derive(Debug)]
enum Back {
    /// It was read there afterwards.
    Yes,
    /// Somebody has configured another one meanwhile: that is left alone.
    Other(String),
    No(String),
}

/// Puts it back and tells that in the failure; whether it is as it was.
pub async fn put_back(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    before: &Before,
    failure: Failure,
) -> (bool, Failure) {
    let back = go_back(world, permit, target, before).await;
    (matches!(back, Back::Yes), told(target, before, &back, failure))
}

/// The same after a success: what cannot be put back is a sentence for people.
pub async fn take_back(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    before: &Before,
) -> Option<String> {
    match go_back(world, permit, target, before).await {
        Back::Yes => None,
        Back::Other(now) => Some(changed(target, &now)),
        Back::No(why) => Some(format!("{} ({why})", stays(target, before))),
    }
}

/// Tells that it stays, and why.
pub fn kept(target: &Target, before: &Before, why: &str, mut failure: Failure) -> Failure {
    let (name, old) = (&target.app.name, before.shown());
    let text = format!("{name} stays {} (it was {old}): {why}", configured(target, &target.revision));
    failure.message = format!("{}; {text}", failure.message);
    failure.cause(text)
}

async fn go_back(world: &World<'_>, permit: &Permit, target: &Target, before: &Before) -> Back {
    let work = async {
        let Some(now) = read(world, target).await else {
            return Back::No("Coolify did not say what it is configured with".into());
        };
        match now {
            now if now == before.revision => return Back::Yes,
            now if now != target.revision => return Back::Other(now),
            _ => {}
        }
        let sent = write(world, permit, target, before).await;
        // Whatever was answered: the application itself says what it has.
        match (read(world, target).await, sent) {
            (Some(now), _) if now == before.revision => Back::Yes,
            (_, Sent::Refused(failure)) => Back::No(failure.message.clone()),
            (Some(now), _) => Back::No(format!("Coolify took it, and it is {now} all the same")),
            (None, Sent::Unknown(why)) => Back::No(why),
            (None, Sent::Done(_)) => Back::No("it was written, and could not be read again".into()),
        }
    };
    within(PATIENCE, work).await.unwrap_or_else(|| Back::No("Coolify did not answer in time".into()))
}

/// What the application is configured with; asked patiently, unless we have to stop.
async fn read(world: &World<'_>, target: &Target) -> Option<String> {
    let uuid = &target.app.uuid;
    let app = match world.context.checkpoint() {
        Ok(()) => match world.api.application(uuid).await {
            Err(_) if world.context.checkpoint().is_err() => world.api.last_application(uuid).await,
            asked => asked.ok(),
        },
        Err(_) => world.api.last_application(uuid).await,
    };
    app.map(|app| app.configured())
}

async fn write(world: &World<'_>, permit: &Permit, target: &Target, before: &Before) -> Sent {
    let (uuid, fields) = (&target.app.uuid, before.fields.clone());
    match world.context.checkpoint() {
        Ok(()) => match world.api.set(permit, uuid, fields.clone()).await {
            Ok(sent) => sent,
            Err(_) => world.api.set_last(permit, uuid, fields).await,
        },
        Err(_) => world.api.set_last(permit, uuid, fields).await,
    }
}

fn told(target: &Target, before: &Before, back: &Back, mut failure: Failure) -> Failure {
    match back {
        Back::Yes => {
            let again = configured(target, before.shown());
            failure.cause(format!("{} is {again} again, as before", target.app.name))
        }
        Back::Other(now) => failure.cause(changed(target, now)),
        Back::No(why) => {
            let text = stays(target, before);
            failure.message = format!("{}; {text}", failure.message);
            failure.cause(format!("{text} ({why})"))
        }
    }
}

fn stays(target: &Target, before: &Before) -> String {
    let (name, old) = (&target.app.name, before.shown());
    let now = configured(target, &target.revision);
    match target.app.kind() {
        Kind::Image => format!(
            "{name} stays {now} (it was {old}): a restart in Coolify would bring it live; set the tag to {old} in Coolify"
        ),
        _ => format!(
            "{name} stays {now} (it was {old}): every push would deploy it; set git_commit_sha to {old} in Coolify"
        ),
    }
}

fn changed(target: &Target, now: &str) -> String {
    format!(
        "{} is {} by now: somebody has changed it, and it was left alone",
        target.app.name,
        configured(target, now)
    )
}

fn configured(target: &Target, revision: &str) -> String {
    let word = if target.app.kind() == Kind::Image { "configured with" } else { "pinned to" };
    format!("{word} {revision}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_does_not_run_does_not_stay_configured() {
        use Advice::{Put, Right};
        use State::{Ended, Finished, Unknown};
        let (begun, waiting) = (State::Open { begun: true }, State::Open { begun: false });
        let image = |state, back, others| advice(Kind::Image, state, back, others);
        for (state, back, others, expected) in [
            (Ended, false, false, Some(Put)),
            (Ended, false, true, Some(Put)),
            (Unknown, false, false, Some(Put)),
            (Finished, false, false, Some(Right)),
            (Finished, true, true, Some(Right)),
            // The worker has read the tag: what it does is no longer changed by it.
            (begun, false, false, Some(Put)),
            (begun, false, true, None),
            // It would deploy the old build instead.
            (waiting, false, false, None),
            (waiting, false, true, None),
            // The old build is the bad one.
            (Ended, true, false, None),
            (begun, true, false, None),
            (Unknown, true, true, None),
        ] {
            let advised = image(state, back, others);
            match expected {
                Some(expected) => assert_eq!(advised, expected, "{state:?} {back} {others}"),
                None => assert!(matches!(advised, Advice::Keep(_)), "{state:?} {back} {others}"),
            }
        }
        // A pin never stays.
        for state in [Ended, Finished, Unknown, begun, waiting] {
            for back in [true, false] {
                assert_eq!(advice(Kind::Git, state, back, true), Put);
            }
        }
    }
}

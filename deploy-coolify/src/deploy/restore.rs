//! Leaves an application configured as it was. A build that failed must not stay written in it: whoever restarts the application in
//! Coolify would bring it live.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use step::{Acted, Failure, Kind as FailureKind, Permit};

use crate::api::{Application, Kind, Sent};
use crate::look::Target;
use crate::wait::stopping;
use crate::world::World;

/// How long putting back may take while nobody wants us to stop: some of it may be a minute that Coolify wants to be left alone.
const PATIENCE: Duration = Duration::from_secs(90);
/// The same after a signal: whoever has sent it may send a harder one soon.
const HASTE: Duration = Duration::from_secs(8);
/// How often it is tried, with a longer pause each time.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// What an application was configured with.
#[derive(Clone, Debug)]
pub struct Before {
    fields: Map<String, Value>,
    revision: String,
    /// What Coolify has made of what we wrote, where that is something else.
    stored: Option<String>,
}

/// What is to become of an application's configuration if its build does not run.
#[derive(Clone, Debug)]
pub enum Old {
    /// It goes back to this.
    Known(Before),
    /// It is as it was, and nobody has written anything for this build.
    Same,
    /// The new tag was written before us, by a run that was killed or by a person, and nobody says what ran before.
    Unknown,
}

impl Old {
    /// What to go back to.
    pub fn before(&self) -> Option<&Before> {
        match self {
            Old::Known(before) => Some(before),
            Old::Same | Old::Unknown => None,
        }
    }
}

impl Before {
    /// What it is configured with now.
    pub fn of(app: &Application) -> Self {
        Before { fields: app.fields_now(), revision: app.configured(), stored: None }
    }

    /// What runs there, where somebody has written the new tag before us.
    pub fn ran(app: &Application, revision: &str) -> Self {
        Before { fields: app.fields_for(revision), revision: revision.to_owned(), stored: None }
    }

    /// Coolify has stored something else than was written: that is ours all the same.
    pub fn stored(self, other: String) -> Self {
        Before { stored: Some(other), ..self }
    }

    /// Whether this is what it was.
    pub fn is(&self, revision: &str) -> bool {
        self.revision == revision
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
    /// It has brought another build.
    Other,
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
        State::Ended | State::Other | State::Open { .. } | State::Unknown => Advice::Put,
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

/// Tells that a tag stays that nobody can put back.
pub fn unknown(target: &Target, mut failure: Failure) -> Failure {
    let text = format!(
        "{} stays {}, and what ran before is not known (the token lacks read:sensitive, and the document has no fact `previous`): a restart in \
         Coolify would bring it live; set the tag to what runs in Coolify",
        target.app.name,
        configured(target, &target.revision)
    );
    failure.message = format!("{}; {text}", failure.message);
    failure.cause(text)
}

/// Tells that the tag stays although another build answers.
pub fn still(target: &Target, old: &Old, mut failure: Failure) -> Failure {
    let was = old.before().map(|before| format!(" (it was {})", before.shown())).unwrap_or_default();
    let text = format!(
        "{} stays {}{was}: a restart in Coolify would bring it live",
        target.app.name,
        configured(target, &target.revision)
    );
    failure.message = format!("{}; {text}", failure.message);
    failure.cause(text)
}

/// Does what can be done for an application whose tag was written for a build that does not run, and tells it.
pub async fn taken_back(
    world: &World<'_>,
    permit: &Permit,
    target: &Target,
    old: &Old,
    failure: Failure,
) -> Failure {
    let before = match old {
        Old::Same => return failure,
        Old::Unknown => return unknown(target, failure),
        Old::Known(before) => before,
    };
    let started = failure.acted == Acted::Unknown;
    // Where somebody else had written it, putting it back is a change.
    let ours = target.app.configured() != target.revision;
    let (back, failure) = put_back(world, permit, target, before, failure).await;
    failure.acted(match (started, back && ours) {
        (true, _) => Acted::Unknown,
        (false, true) => Acted::No,
        (false, false) => Acted::Yes,
    })
}

async fn go_back(world: &World<'_>, permit: &Permit, target: &Target, before: &Before) -> Back {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        let (back, again) = try_back(world, permit, target, before).await;
        // Who wants to be left alone is left alone, and that is no try.
        let wait = world.net.closed().unwrap_or_else(|| {
            tries += 1;
            PAUSE * 2_u32.pow(tries)
        });
        if !again || tries >= TRIES || begun.elapsed() + wait > patience(world) {
            return back;
        }
        slept(world, wait).await;
    }
}

/// Waits, also after the end of the time; a signal that comes now ends it.
async fn slept(world: &World<'_>, wait: Duration) {
    let sleep = tokio::time::sleep(wait);
    match world.context.checkpoint() {
        Err(stopped) if stopped.is_interrupted() => sleep.await,
        // Whether it was a whole pause does not matter.
        _ => drop(stopping(world.context, Duration::ZERO, sleep).await),
    }
}

/// How long it may take altogether.
fn patience(world: &World<'_>) -> Duration {
    match world.context.checkpoint() {
        Err(stopped) if stopped.is_interrupted() => HASTE,
        _ => PATIENCE,
    }
}

/// Tries it once: how it stands, and whether trying again may help.
async fn try_back(world: &World<'_>, permit: &Permit, target: &Target, before: &Before) -> (Back, bool) {
    match read(world, target).await {
        Some(now) if before.is(&now) => return (Back::Yes, false),
        Some(now) if now != target.revision && before.stored.as_ref() != Some(&now) => {
            return (Back::Other(now), false);
        }
        // What cannot be read is what was read last, when we had written it.
        _ => {}
    }
    let sent = write(world, permit, target, before).await;
    // Whatever was answered: the application itself says what it has.
    let why = match (read(world, target).await, &sent) {
        (Some(now), _) if before.is(&now) => return (Back::Yes, false),
        (_, Sent::Refused(failure)) => failure.message.clone(),
        (Some(now), Sent::Done(_)) => format!("Coolify took it, and it is {now} all the same"),
        (Some(now), Sent::Unknown(why)) => format!("{why}, and it is {now}"),
        (None, Sent::Unknown(why)) => why.clone(),
        (None, Sent::Done(_)) => "it was written, and could not be read again".to_owned(),
    };
    let again = !matches!(&sent, Sent::Refused(failure) if failure.kind != FailureKind::Temporary);
    (Back::No(why), again)
}

/// What the application is configured with; asked patiently, unless we have to stop.
pub async fn read(world: &World<'_>, target: &Target) -> Option<String> {
    let uuid = &target.app.uuid;
    let app = match world.context.checkpoint() {
        Ok(()) if world.net.closed().is_none() => match world.api.application(uuid).await {
            Err(_) if world.context.checkpoint().is_err() => world.api.last_application(uuid).await,
            asked => asked.ok(),
        },
        _ => world.api.last_application(uuid).await,
    };
    app.map(|app| app.configured())
}

async fn write(world: &World<'_>, permit: &Permit, target: &Target, before: &Before) -> Sent {
    let (uuid, fields) = (&target.app.uuid, before.fields.clone());
    match world.context.checkpoint() {
        Ok(()) if world.net.closed().is_none() => match world.api.set(permit, uuid, fields.clone()).await {
            Ok(sent) => sent,
            Err(_) => world.api.set_last(permit, uuid, fields).await,
        },
        _ => world.api.set_last(permit, uuid, fields).await,
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
        use State::{Ended, Finished, Other, Unknown};
        let (begun, waiting) = (State::Open { begun: true }, State::Open { begun: false });
        let image = |state, back, others| advice(Kind::Image, state, back, others);
        for (state, back, others, expected) in [
            (Ended, false, false, Some(Put)),
            (Ended, false, true, Some(Put)),
            (Unknown, false, false, Some(Put)),
            // A restart would bring what was wanted and does not run.
            (Other, false, false, Some(Put)),
            (Other, true, false, None),
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
        for state in [Ended, Finished, Other, Unknown, begun, waiting] {
            for back in [true, false] {
                assert_eq!(advice(Kind::Git, state, back, true), Put);
            }
        }
    }
}

//! Starts what has to be started, once, and believes an id only when it can be read back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use step::{Acted, Failure, Permit};

use super::restore::{Before, Old, read, take_back, taken_back};
use crate::api::{Kind, Row, Sent, Trouble, is_id};
use crate::look::Target;
use crate::next::Next;
use crate::plan::{Act, Way};
use crate::wait::within;
use crate::world::World;
use image::{join, split};

/// The first pause while an id is read back, at most; each one is longer than the one before.
const SOON: Duration = Duration::from_millis(500);

/// A deployment that is there.
#[derive(Clone, Debug)]
pub struct Started {
    pub deployment: String,
    /// Whether this run has started it, by Coolify's own word.
    pub ours: bool,
    /// What the application was configured with before, if it is another one now.
    pub old: Old,
}

/// What the deployments are for.
#[derive(Clone, Debug, Default)]
pub struct Intent {
    /// The images that ran before, as far as they are known from elsewhere than Coolify.
    pub ran: Vec<String>,
    /// Whether a deployment that is only followed is one of ours.
    pub ours: bool,
    /// Whether the build is one to go back to.
    pub back: bool,
}

/// Starts every application's deployment; each has its own answer.
pub async fn start_all(
    world: &World<'_>,
    permit: &Permit,
    targets: &[Target],
    intent: &Intent,
) -> Vec<Result<Started, Failure>> {
    let many = targets.len();
    let each = targets.iter().map(|target| Starter { world, permit, target, many }.start(intent));
    join_all(each).await
}

/// What ran before a tag that somebody else has written: a run of ours that was killed, or a person.
pub fn ran_before(target: &Target, ran: &[String]) -> Old {
    if target.app.kind() != Kind::Image || target.app.tag() != target.revision {
        return Old::Same;
    }
    let known = target.running().map(str::to_owned);
    let told = || {
        let parts = ran.iter().filter_map(|image| split(image));
        parts.into_iter().find(|(name, _)| *name == target.app.image()).map(|(_, tag)| tag)
    };
    match known.or_else(told) {
        Some(tag) if tag == target.revision => Old::Same,
        Some(tag) => Old::Known(Before::ran(&target.app, &tag)),
        None => Old::Unknown,
    }
}

/// A deployment that Coolify shows, or has promised.
struct Found {
    uuid: String,
    ours: bool,
    revision: Option<String>,
}

/// Why a deployment was not found.
enum Lost {
    /// Coolify does not show it.
    Absent(Failure),
    /// It cannot be asked any longer.
    Stopped(Failure),
}

/// Starts the deployment of one application.
struct Starter<'a> {
    world: &'a World<'a>,
    permit: &'a Permit,
    target: &'a Target,
    /// How many are started at the same time.
    many: usize,
}

impl Starter<'_> {
    async fn start(self, intent: &Intent) -> Result<Started, Failure> {
        let target = self.target;
        self.tell_pin();
        let there = |deployment: &String, old| Started { deployment: deployment.clone(), ours: false, old };
        match &target.act {
            Act::Nothing(id) | Act::Configure(id) => Ok(there(id, Old::Same)),
            Act::Follow(id) if intent.ours => Ok(there(id, ran_before(target, &intent.ran))),
            Act::Follow(id) => Ok(there(id, Old::Same)),
            Act::Start(Way::Tag { set }) => self.tagged(*set, intent).await,
            Act::Wait => Err(Failure::bug("nothing was to be started")),
            Act::Start(Way::Exact) => {
                let sent =
                    self.world.api.deploy_commit(self.permit, &target.app.uuid, &target.revision).await?;
                let found = self.settle(sent, Acted::No, &self.known()).await?;
                Ok(Started { deployment: found.uuid, ours: found.ours, old: Old::Same })
            }
            Act::Start(Way::Pin { force, .. }) => self.pinned(*force).await,
        }
    }

    /// A pin to the wanted commit that was there before us: a person's, or one of a run that was killed.
    fn tell_pin(&self) {
        let app = &self.target.app;
        if app.kind() == Kind::Git && app.pin == self.target.revision {
            let message = format!(
                "{} stays pinned to {}: every push deploys it again until git_commit_sha is HEAD in Coolify",
                app.name, app.pin
            );
            self.world.context.voice.warn(&message);
        }
    }

    /// The deployments that were there when we looked.
    fn known(&self) -> HashSet<String> {
        self.target.rows.iter().map(|row| row.uuid.clone()).collect()
    }

    /// Those that are there right before ours is started: what somebody else has started since we looked is none of ours.
    async fn known_now(&self) -> HashSet<String> {
        let now = within(self.world.patience(), self.world.api.peek_history(&self.target.app, 5)).await;
        let rows = now.and_then(Result::ok).unwrap_or_default();
        self.known().into_iter().chain(rows.into_iter().map(|row| row.uuid)).collect()
    }

    /// Writes the tag and deploys it. A tag that was written and not deployed is taken back, whoever has written it: the next person to
    /// press a button would deploy it.
    async fn tagged(&self, set: bool, intent: &Intent) -> Result<Started, Failure> {
        let (world, target) = (self.world, self.target);
        let old = if set { Old::Known(Before::of(&target.app)) } else { ran_before(target, &intent.ran) };
        if set {
            written(world, self.permit, target).await?;
        }
        let touched = if set { Acted::Yes } else { Acted::No };
        let deployed = async {
            let known = self.known_now().await;
            // Forced, because Coolify takes another tag of the same image for a duplicate.
            let sent = world.api.deploy(self.permit, &target.app.uuid, true).await?;
            self.settle(sent, touched, &known).await
        };
        match deployed.await {
            Ok(found) => Ok(Started { deployment: found.uuid, ours: found.ours, old }),
            // It may be on its way, and is one to go back to.
            Err(failure) if intent.back && (!set || failure.acted == Acted::Unknown) => Err(failure),
            Err(failure) => Err(taken_back(world, self.permit, target, &old, failure).await),
        }
    }

    /// Pins the application to the commit and deploys it. A deployment keeps the commit with which it was queued, so that the pin goes
    /// back at once; but where there are more servers, or where that is not so, when it has ended.
    async fn pinned(&self, force: bool) -> Result<Started, Failure> {
        let (world, permit, target) = (self.world, self.permit, self.target);
        let old = if target.app.pin == target.revision {
            Old::Same
        } else {
            written(world, permit, target).await?;
            Old::Known(Before::of(&target.app))
        };
        let deployed = async {
            let known = self.known_now().await;
            let sent = world.api.deploy(permit, &target.app.uuid, force).await?;
            self.settle(sent, Acted::Yes, &known).await
        };
        let found = match deployed.await {
            Ok(found) => found,
            Err(failure) => return Err(taken_back(world, permit, target, &old, failure).await),
        };
        let fixed =
            !force && target.app.extra_servers() == 0 && found.revision.as_ref() == Some(&target.revision);
        let old = match old {
            Old::Known(before) if fixed => {
                let left = take_back(world, permit, target, &before).await;
                // What could not be put back now is tried again at the end.
                left.map_or(Old::Same, |_| Old::Known(before))
            }
            old => old,
        };
        Ok(Started { deployment: found.uuid, ours: found.ours, old })
    }

    /// From the answer to a deployment that can be read.
    async fn settle(&self, sent: Sent, touched: Acted, known: &HashSet<String>) -> Result<Found, Failure> {
        let name = &self.target.app.name;
        let promised = match sent {
            Sent::Refused(failure) => return Err(failure.acted(touched)),
            Sent::Unknown(why) => {
                let message = format!(
                    "the answer to the start of {name}'s deployment was lost ({why}); looking for it"
                );
                self.world.context.voice.warn(&message);
                None
            }
            Sent::Done(body) => queued(&body).map_err(|said| {
                let message = format!("Coolify did not queue the deployment of {name}: {said}");
                Failure::failed("not-queued", message).acted(touched)
            })?,
        };
        match (self.find(promised.as_deref(), known).await, promised) {
            (Ok(row), promised) => {
                let ours = promised.as_ref() == Some(&row.uuid);
                Ok(Found { uuid: row.uuid, ours, revision: row.revision })
            }
            // Coolify has promised it, and cannot be asked now: whoever follows it does, by its id.
            (Err(Lost::Stopped(_)), Some(uuid)) => Ok(Found { uuid, ours: true, revision: None }),
            (Err(Lost::Absent(failure)), Some(uuid)) => {
                let attach = self.attach(&uuid);
                Err(failure.cause(format!("Coolify called it {uuid}")).next(attach))
            }
            (Err(Lost::Stopped(failure) | Lost::Absent(failure)), None) => {
                Err(self.perhaps(failure, known).await)
            }
        }
    }

    /// The command that takes a deployment up. It names the build, because not every token may read which one that is.
    fn attach(&self, uuid: &str) -> String {
        let (app, revision) = (&self.target.app, &self.target.revision);
        let next = Next::attach(self.world).with("--deployment", uuid);
        match app.kind() {
            Kind::Image => next.with("--image", &join(app.image(), revision)).line(),
            Kind::Git | Kind::Inline => next.with("--commit", revision).line(),
        }
    }

    /// Names the deployment that has come meanwhile and may be ours. It may be somebody else's, and is not touched.
    async fn perhaps(&self, failure: Failure, known: &HashSet<String>) -> Failure {
        let rows = self.world.api.last_history(&self.target.app).await;
        let Some(row) = rows.iter().find(|row| may_be_ours(row, self.target, known)) else { return failure };
        let text = format!(
            "the deployment {} of {} has come meanwhile and may be ours, or somebody else's: it was left alone",
            row.uuid, self.target.app.name
        );
        failure.cause(text).next(self.attach(&row.uuid))
    }

    /// An id is believed only when it can be read back; else the deployment is looked for among those that are new, or on their way.
    async fn find(&self, promised: Option<&str>, known: &HashSet<String>) -> Result<Row, Lost> {
        let world = self.world;
        let unknown = |failure: Failure| failure.acted(Acted::Unknown);
        let mut end = Instant::now() + world.sight();
        let most = world.interval(self.many).max(SOON);
        let mut usual = world.settings.interval.min(SOON);
        let mut by_id = promised;
        loop {
            let mut wait = usual;
            match self.seen(by_id, promised, known).await {
                Ok(Some(row)) => return Ok(row),
                Ok(None) => {}
                // While Coolify is away nothing can be seen: that is no sign that it was not started.
                Err(trouble) if trouble.passes() => {
                    wait = trouble.wait().unwrap_or(usual).max(usual);
                    end = Instant::now() + wait + world.sight();
                }
                Err(trouble) => return Err(Lost::Stopped(unknown(trouble.failure))),
            }
            if Instant::now() >= end {
                let message = format!(
                    "it is not known whether the deployment of {} was started; Coolify does not show it",
                    self.target.app.name
                );
                let failure = Failure::temporary("deployment-lost", message);
                return Err(Lost::Absent(unknown(failure).next(Next::status(world))));
            }
            world.pause(wait).await.map_err(|failure| Lost::Stopped(unknown(failure)))?;
            usual = (usual * 2).min(most);
            by_id = promised.filter(|_| by_id.is_none());
        }
    }

    /// By its own name first, then among all; some versions know only one of the two.
    async fn seen(
        &self,
        by_id: Option<&str>,
        promised: Option<&str>,
        known: &HashSet<String>,
    ) -> Result<Option<Row>, Trouble> {
        let (api, app) = (&self.world.api, &self.target.app);
        if let Some(id) = by_id
            && let Some(row) = api.peek(app, id, false).await?
        {
            return Ok(Some(row));
        }
        let rows = api.peek_history(app, 10).await?;
        let listed = promised.and_then(|id| rows.iter().find(|r| r.uuid == id));
        Ok(listed.or_else(|| rows.iter().find(|row| may_be_ours(row, self.target, known))).cloned())
    }
}

/// New, on the first server, of no other build, and started by nobody else; or the one on its way that ours was called a duplicate of.
fn may_be_ours(row: &Row, target: &Target, known: &HashSet<String>) -> bool {
    let fits = row.revision.as_ref().is_none_or(|revision| *revision == target.revision);
    let new = !known.contains(&row.uuid) && !row.is_of_others();
    row.is_primary && fits && (new || (row.is_open() && row.revision.is_some()))
}

/// Writes the revision into the application and reads it back.
pub async fn written(world: &World<'_>, permit: &Permit, target: &Target) -> Result<(), Failure> {
    let app = &target.app;
    let before = Before::of(app);
    let sent = world.api.set(permit, &app.uuid, app.fields_for(&target.revision)).await?;
    if let Sent::Refused(failure) = sent {
        // What stands between may refuse what Coolify has done.
        return match read(world, target).await {
            Some(now) if before.is(&now) => Err(failure),
            _ => Err(taken_back(world, permit, target, &Old::Known(before), failure).await),
        };
    }
    // Whatever was answered: the application itself says what it has.
    let (before, failure) = match world.api.application(&app.uuid).await {
        Err(failure) => (before, failure),
        Ok(now) if now.configured() == target.revision && now.image() == app.image() => return Ok(()),
        Ok(now) => {
            let stored = now.configured();
            let message =
                format!("{} is configured with {stored}, although {} was written", app.name, target.revision);
            (before.stored(stored), Failure::failed("not-written", message))
        }
    };
    Err(taken_back(world, permit, target, &Old::Known(before), failure).await)
}

/// The id that Coolify promises, `None` when it calls the deployment a duplicate; an error is its refusal with status 200. The id decides,
/// not the words: they may be other ones in another version, and an id is read back before it is believed.
fn queued(body: &Value) -> Result<Option<String>, String> {
    let item = body.get("deployments").and_then(|d| d.get(0)).unwrap_or(body);
    let text = |key| item.get(key).and_then(Value::as_str);
    match (text("message"), text("deployment_uuid")) {
        // Here the id is one that Coolify has never stored.
        (Some(said), _) if said.contains("already queued") => Ok(None),
        (_, Some(id)) if is_id(id) => Ok(Some(id.to_owned())),
        (said, _) => Err(crate::api::sentence(said.unwrap_or("no reason given"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_queued_deployment_is_one() {
        let body = |message: &str| json!({ "deployments": [{ "message": message, "deployment_uuid": "d" }] });
        assert_eq!(queued(&body("Application web deployment queued.")), Ok(Some("d".into())));
        assert_eq!(queued(&body("Deployment already queued for this commit.")), Ok(None));
        // In other words, or in none, it is the id that counts.
        assert_eq!(queued(&body("Penerapan masuk antrean.")), Ok(Some("d".into())));
        assert_eq!(queued(&json!({ "deployment_uuid": "d" })), Ok(Some("d".into())));
        let refused = |message: &str| json!({ "deployments": [{ "message": message }] });
        assert!(queued(&refused("Unauthorized to deploy this application.")).is_err());
        assert!(queued(&refused("Service x started. It could take a while, be patient.")).is_err());
        assert!(queued(&json!({})).is_err());
        let rollback = |id| json!({ "message": "Rollback deployment queued.", "deployment_uuid": id });
        assert_eq!(queued(&rollback("d")), Ok(Some("d".into())));
        assert!(queued(&rollback("../applications/d")).is_err());
    }
}

//! How a deployment is left that has not brought its build: what is told of it, whether it is cancelled, and that its application is
//! configured as it was.

use step::{Acted, Failure, Permit};

use super::follow::Follower;
use super::restore::{Advice, Old, State, advice, kept, put_back, unknown};
use crate::api::{Kind, Row, Sent};
use crate::next::Next;

/// What Coolify calls a deployment that somebody has cancelled.
const CANCELLED: &str = "cancelled-by-user";

impl Follower<'_> {
    /// Whatever stops the waiting: the deployment goes on without us.
    pub(super) fn stopped(&self, failure: Failure) -> Failure {
        let failure = if failure.is_deadline() {
            let (id, name) = (&self.started.deployment, &self.target.app.name);
            let message =
                format!("the deployment {id} of {name} has not ended in time; it goes on in Coolify");
            Failure::temporary("deployment-timeout", message)
        } else {
            failure
        };
        self.blind(failure.acted(Acted::Unknown).next(self.attach_command()))
    }

    /// Whoever takes it up later with this token sees as little: that is said now.
    fn blind(&self, failure: Failure) -> Failure {
        if !self.told.mute || self.target.named || self.target.app.kind() != Kind::Image {
            return failure;
        }
        let text = format!(
            "neither this token (it lacks read:sensitive) nor a page shows which build {} runs: attach follows the deployment, and cannot prove it",
            self.target.app.name
        );
        failure.cause(text)
    }

    pub(super) fn stalled(&self) -> Failure {
        let message = format!(
            "the deployment {} of {} has shown no progress for {:?}",
            self.started.deployment, self.target.app.name, self.world.settings.stall
        );
        let failure = Failure::temporary("deployment-stalled", message).acted(Acted::Unknown);
        self.blind(failure.next(self.attach_command()))
    }

    pub(super) fn ended_badly(&self, row: &Row) -> Failure {
        let name = &self.target.app.name;
        let failure = if row.was_swept_away() && self.told.unreachable {
            let message = format!(
                "Coolify restarted while it deployed {name}, and gave the deployment {} up",
                row.uuid
            );
            Failure::temporary("interrupted-by-coolify", message).acted(Acted::Unknown)
        } else if row.status == "failed" {
            let message = format!("the deployment {} of {name} ended as failed", row.uuid);
            Failure::failed("deployment-failed", message).acted(Acted::Yes)
        } else {
            let message = format!("the deployment {} of {name} was cancelled in Coolify", row.uuid);
            Failure::failed("deployment-cancelled", message).acted(Acted::Unknown)
        };
        let failure = if self.target.app.keeps_old() {
            failure
        } else {
            failure.cause("the old container was stopped first: perhaps nothing runs now")
        };
        row.last_lines().iter().fold(failure.next(Next::status(self.world)), Failure::cause)
    }

    /// Cancels what this run has started and does not wait for any longer, if that is wanted. That Coolify says 500 is no proof: some
    /// versions say so and have cancelled it. What it says with 200 is believed, unless it shows another end.
    pub(super) async fn cancelled(&mut self, permit: &Permit, failure: Failure) -> Failure {
        let waits =
            matches!(failure.reason.as_str(), "deployment-timeout" | "deployment-stalled" | "interrupted");
        if !(waits && self.world.settings.cancel && self.started.ours) {
            return failure;
        }
        let id = &self.started.deployment;
        let sent = self.world.api.cancel(permit, id).await;
        let row = self.world.api.last_look(&self.target.app, id).await;
        let said = matches!(&sent, Sent::Done(body) if body.get("status").is_some_and(|s| s == CANCELLED));
        let state = row.as_ref().map(state_of);
        self.state = state;
        match (&row, state, sent) {
            (Some(row), _, _) if row.status == CANCELLED => self.was_cancelled(Some(row), failure),
            (_, None | Some(State::Open { .. }), _) if said => self.was_cancelled(row.as_ref(), failure),
            (_, Some(state @ (State::Finished | State::Ended)), _) => self.meanwhile(state, failure),
            (Some(row), _, _) => failure.cause(format!("{id} could not be cancelled: it is {}", row.status)),
            (None, _, Sent::Refused(why)) => {
                failure.cause(format!("{id} could not be cancelled: {}", why.message))
            }
            (None, _, _) => failure.cause(format!("it is not known whether {id} was cancelled")),
        }
    }

    /// It does not go on.
    fn was_cancelled(&mut self, row: Option<&Row>, failure: Failure) -> Failure {
        self.state = Some(State::Ended);
        let failure = self.reworded(failure, "was cancelled").acted(Acted::Yes);
        let failure = failure.cause(format!("{} was cancelled", self.started.deployment));
        // Coolify stops its worker, and leaves what it has started.
        let beside = row.is_some_and(|row| row.says("New container started"));
        let failure = match row.filter(|row| row.is_open()) {
            Some(row) => failure.cause(format!(
                "Coolify says that it has cancelled {}, and shows it as {} all the same: look again soon",
                row.uuid, row.status
            )),
            None => failure,
        };
        let failure = if beside {
            failure.cause(
                "its new container may still run beside the old one: look at the containers in Coolify",
            )
        } else {
            failure
        };
        failure.next(Next::status(self.world))
    }

    /// It may have ended between the last look and this one.
    fn meanwhile(&self, state: State, failure: Failure) -> Failure {
        match state {
            State::Finished => self.reworded(failure, "has finished meanwhile, and was not proven"),
            State::Ended => {
                self.reworded(failure, "has failed or was cancelled meanwhile").next(Next::status(self.world))
            }
            State::Other | State::Open { .. } | State::Unknown => failure,
        }
    }

    /// A message that is true of a deployment that does not go on.
    fn reworded(&self, mut failure: Failure, what: &str) -> Failure {
        let (id, name) = (&self.started.deployment, &self.target.app.name);
        failure.message = match failure.reason.as_str() {
            "deployment-timeout" => {
                format!("the deployment {id} of {name} had not ended in time, and {what}")
            }
            "interrupted" => format!("{}; the deployment {id} of {name} {what}", failure.message),
            _ => format!("{}, and {what}", failure.message),
        };
        failure
    }

    /// Sees to it that the application is not left with a build that does not run. What was seen last may be old by now: it is looked at
    /// once more.
    pub(super) async fn restored(&mut self, permit: &Permit, failure: Failure) -> Failure {
        if matches!(self.started.old, Old::Same) {
            return failure;
        }
        let state = match self.state {
            Some(state @ (State::Ended | State::Finished | State::Other)) => state,
            _ => {
                let row = self.world.api.last_look(&self.target.app, &self.started.deployment).await;
                row.as_ref().map_or(State::Unknown, state_of)
            }
        };
        let failure = if self.state.is_none() { self.meanwhile(state, failure) } else { failure };
        self.state = Some(state);
        let app = &self.target.app;
        let others = app.extra_servers() > 0;
        let failure = if others && app.kind() == Kind::Git && matches!(state, State::Open { .. }) {
            // A pin must not stay, and it is what they would be told when the first one has finished.
            let text = format!(
                "when the first server has finished, Coolify deploys the head of {} on the other servers of {}: deploy again then",
                app.branch, app.name
            );
            failure.cause(text)
        } else {
            failure
        };
        match (&self.started.old, advice(app.kind(), state, self.intent.back, others)) {
            (Old::Known(before), Advice::Put) => {
                put_back(self.world, permit, self.target, before, failure).await.1
            }
            (Old::Known(before), Advice::Keep(why)) => kept(self.target, before, why, failure),
            (Old::Unknown, Advice::Put) => unknown(self.target, failure),
            (Old::Same, _) | (_, Advice::Keep(_) | Advice::Right) => failure,
        }
    }

    fn attach_command(&self) -> String {
        Next::attach(self.world).with("--deployment", &self.started.deployment).line()
    }
}

/// How a deployment stands.
fn state_of(row: &Row) -> State {
    match () {
        () if row.is_finished() => State::Finished,
        () if row.is_open() => State::Open { begun: row.has_begun() },
        () => State::Ended,
    }
}

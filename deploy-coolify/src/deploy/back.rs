//! Going back by itself, once, if that is wanted and right; else the way back is named.

use std::collections::HashSet;
use std::time::Duration;

use facts::Previous;
use step::{Acted, Deadline, Failure, Permit, Procedure, Run};

use super::Purpose;
use super::begin::begin;
use super::finish::finish;
use super::start::Intent;
use crate::api::Net;
use crate::look::{Aim, look};
use crate::next::Next;
use crate::settings::Settings;
use crate::wanted;
use crate::world::World;

/// How long going back by itself may take.
const WAY_BACK: Duration = Duration::from_secs(10 * 60);

/// Goes back, if that is wanted and right; else names the way back.
pub(super) fn after_failure(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    permit: &Permit,
    purpose: Purpose,
    replaced: &HashSet<String>,
    failure: Failure,
) -> Failure {
    let wants = purpose == (Purpose::Deploy { auto_rollback: true });
    if !wants || replaced.is_empty() {
        return if failure.reason == "not-live" { with_way_back(run, settings, failure) } else { failure };
    }
    let previous: Option<Previous> = run.fact("previous").unwrap_or_default();
    let Some(previous) = previous else {
        return with_way_back(
            run,
            settings,
            failure.cause("not rolled back: the document does not say what ran before"),
        );
    };
    go_back(run, settings, net, permit, &previous, replaced, failure)
}

/// One way back, with a time of its own; it is never itself gone back from.
fn go_back(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    permit: &Permit,
    previous: &Previous,
    replaced: &HashSet<String>,
    failure: Failure,
) -> Failure {
    let before = wanted::of_previous(settings, previous);
    let name = before.name();
    run.context.voice.warn(&format!("{}; going back to {name}", failure.message));
    run.context.deadline = Deadline::after(WAY_BACK);
    let world = World::new(&run.context, settings, net);
    let back = net.block(async {
        let seen = look(&world, &before, Aim::Back).await?.only(replaced);
        let intent = Intent { back: true, ours: true, ..Intent::default() };
        let purpose = Purpose::Rollback { keep_auto_deploy: true };
        let begun = begin(&world, permit, purpose, &seen, &intent).await?;
        let done = finish(&world, permit, &seen, begun, &intent).await;
        done.result.map(|proof| (proof, done.reports))
    });
    match back {
        Ok((proof, reports)) => {
            let message = format!("{}; {name} runs again: {proof}", failure.message);
            with_way_back(run, settings, renamed(failure, "rolled-back", message).output("rollback", reports))
        }
        Err(second) => {
            let message = format!("{}; and going back to {name} failed: {}", failure.message, second.message);
            let both = renamed(failure, "rollback-failed", message);
            with_way_back(run, settings, second.causes.iter().fold(both, Failure::cause))
        }
    }
}

fn renamed(mut failure: Failure, reason: &str, message: String) -> Failure {
    reason.clone_into(&mut failure.reason);
    failure.message = message;
    failure.acted(Acted::Yes)
}

/// Names the way back, if there is one: in a run of a runbook that is the other runbook, because the data may have to go back too.
fn with_way_back(run: &Run, settings: &Settings, failure: Failure) -> Failure {
    let back = failure.reason == "rolled-back";
    let Ok(Some(previous)) = run.fact::<Previous>("previous") else { return failure };
    match run.document.procedure() {
        // It decides itself what becomes of the data.
        Procedure::Release | Procedure::Hotfix => failure.next(Next::runbook(&run.context)),
        Procedure::Manual if !back => failure.next(Next::rollback(&run.context, settings, &previous)),
        _ => failure,
    }
}

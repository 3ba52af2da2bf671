//! The end: what became of each application, whether the build is proven, and one failure for all of them where it is not.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use step::{Acted, Failure, Kind, Permit};

use super::begin::Begun;
use super::confirm::{confirm, shown};
use super::follow::{Ended, Unfinished, follow_all};
use super::restore::{Old, still};
use super::start::{Intent, Started};
use crate::api;
use crate::look::{Seen, Target};
use crate::next::Next;
use crate::proof::prove;
use crate::wait::within;
use crate::world::World;
use image::join;

/// What came of it.
pub(super) struct Done {
    pub(super) reports: Vec<Value>,
    pub(super) result: Result<String, Failure>,
    /// The applications in which the new build has really replaced the old one, if it is plainly sick.
    pub(super) replaced: HashSet<String>,
}

impl Done {
    fn failed(reports: Vec<Value>, failure: Failure, replaced: HashSet<String>) -> Self {
        Done { reports, result: Err(failure), replaced }
    }
}

pub(super) async fn finish(
    world: &World<'_>,
    permit: &Permit,
    seen: &Seen,
    begun: Begun,
    intent: &Intent,
) -> Done {
    let on_their_way: Vec<(&Target, &Started)> =
        seen.targets.iter().zip(&begun.0).filter_map(|(t, s)| Some((t, s.as_ref().ok()?))).collect();
    let mut ends = follow_all(world, permit, &on_their_way, intent).await.into_iter();
    let ended: Vec<Result<Ended, Unfinished>> = begun
        .0
        .iter()
        .map(|started| match started {
            Ok(_) => ends.next().unwrap_or_else(|| Err(Failure::bug("a deployment was not followed").into())),
            Err(failure) => Err(failure.clone().into()),
        })
        .collect();
    let mut reports: Vec<Value> = seen.targets.iter().zip(&ended).map(|(t, e)| report(world, t, e)).collect();
    let finished: HashSet<String> = seen
        .targets
        .iter()
        .zip(&ended)
        .filter(|(t, e)| e.is_ok() && !t.is_deployed())
        .map(|(t, _)| t.app.uuid.clone())
        .collect();
    if let Some(failure) = together(world, seen, &ended) {
        let failure = what_answers(world, seen, failure).await;
        // A deployment that plainly failed leaves the others on another build than this one.
        let plain = failure.kind == Kind::Failed && failure.acted == Acted::Yes;
        return Done::failed(reports, failure, if plain { finished } else { HashSet::new() });
    }
    let proof = match prove(world, seen).await {
        Ok(proof) => proof,
        Err(unproven) => {
            let replaced = if unproven.sick { finished } else { HashSet::new() };
            let failure = match unproven.other {
                true if !intent.back => still_written(&on_their_way, unproven.failure),
                _ => unproven.failure,
            };
            return Done::failed(reports, failure, replaced);
        }
    };
    let result = async {
        let how = shown(world, seen, &ended).await?;
        confirm(world, permit, seen, &ended, intent, &mut reports).await?;
        Ok(if how.is_empty() { proof } else { format!("{proof}: {}", how.join("; ")) })
    };
    let result = result.await;
    Done { reports, result, replaced: HashSet::new() }
}

/// Another build answers, and what is configured is ours: whoever restarts it brings that.
fn still_written(all: &[(&Target, &Started)], failure: Failure) -> Failure {
    let written = all.iter().filter(|(t, s)| t.app.kind() == api::Kind::Image && !matches!(s.old, Old::Same));
    written.fold(failure, |failure, (target, started)| still(target, &started.old, failure))
}

fn report(world: &World<'_>, target: &Target, ended: &Result<Ended, Unfinished>) -> Value {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let mut value =
        json!({ "application": target.app.uuid, "name": target.app.name, "wanted": target.revision });
    match ended {
        Ok(ended) => {
            value["deployment"] = json!(ended.row.uuid);
            value["status"] = json!(ended.row.status);
            value["queued_ms"] = json!(ms(ended.queued));
            value["run_ms"] = json!(ms(ended.ran));
            if let Some(revision) = &ended.row.revision {
                value["deployed"] = json!(revision);
            }
            if let Some(path) = ended.row.page() {
                value["url"] = json!(world.api.page(path));
            }
            if let Some(left) = &ended.left {
                value["left"] = json!(left);
            }
            if !ended.servers.is_empty() {
                value["servers"] = ended
                    .servers
                    .iter()
                    .map(|r| json!({ "server": r.server_name, "deployment": r.uuid, "status": r.status }))
                    .collect();
            }
        }
        Err(Unfinished { failure, .. }) => {
            value["status"] = json!(failure.reason);
            value["message"] = json!(failure.message);
        }
    }
    value
}

/// One failure for all: of several applications each is named, with what became of it.
fn together(world: &World<'_>, seen: &Seen, ended: &[Result<Ended, Unfinished>]) -> Option<Failure> {
    let unfinished: Vec<&Unfinished> = ended.iter().filter_map(|e| e.as_ref().err()).collect();
    let mut failure = unfinished.first()?.failure.clone();
    if unfinished.iter().any(|one| one.open.is_some()) {
        failure = failure.next(attach(world, seen, &unfinished));
    }
    if ended.len() == 1 {
        return Some(failure);
    }
    let (bad, all) = (unfinished.len(), ended.len());
    let touched = seen.targets.iter().zip(ended).any(|(t, e)| e.is_ok() && !t.is_deployed());
    let acted = all_acted(unfinished.iter().map(|one| one.failure.acted), touched);
    failure.message = format!("{bad} of {all} applications do not run the build: {}", failure.message);
    let lines = seen.targets.iter().zip(ended).map(|(target, end)| match end {
        Ok(_) => format!("{}: runs {}", target.app.name, target.revision),
        Err(one) => format!("{}: {}", target.app.name, one.failure.message),
    });
    Some(lines.fold(failure.acted(acted), Failure::cause))
}

/// Whether anything was changed, of several: what is not known of one is not known of all.
fn all_acted(each: impl Iterator<Item = Acted>, touched: bool) -> Acted {
    each.fold(if touched { Acted::Yes } else { Acted::No }, |all, one| match (all, one) {
        (Acted::Unknown, _) | (_, Acted::Unknown) => Acted::Unknown,
        (Acted::Yes, _) | (_, Acted::Yes) => Acted::Yes,
        (Acted::No, Acted::No) => Acted::No,
    })
}

/// The command that takes up what is still on its way. It names the build, because not every token may read which one that is.
fn attach(world: &World<'_>, seen: &Seen, unfinished: &[&Unfinished]) -> String {
    let mut next = Next::attach(world);
    if let Some(version) = &seen.wanted.build.version {
        next = next.with("--release", version);
    }
    for id in unfinished.iter().filter_map(|one| one.open.as_ref()) {
        next = next.with("--deployment", id);
    }
    let of = |kind| seen.targets.iter().filter(move |t| t.app.kind() == kind);
    let mut images: Vec<String> = of(api::Kind::Image).map(|t| join(t.app.image(), &t.revision)).collect();
    images.dedup();
    for image in &images {
        next = next.with("--image", image);
    }
    if let Some(target) = of(api::Kind::Git).next() {
        next = next.with("--commit", &target.revision);
    }
    next.line()
}

/// After a failed deployment the old build should still answer: whether it does is the first thing to know.
async fn what_answers(world: &World<'_>, seen: &Seen, failure: Failure) -> Failure {
    let nobody_asks = world.context.checkpoint().is_err();
    if failure.acted == Acted::No || nobody_asks || seen.pages.is_empty() {
        return failure;
    }
    let pages = within(world.patience(), world.probe.all(&seen.pages, None)).await.unwrap_or_default();
    seen.pages
        .iter()
        .zip(pages)
        .fold(failure, |failure, (url, seen)| failure.cause(format!("now {url} {seen}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_one_is_not_known_of_all() {
        use Acted::{No, Unknown, Yes};
        for (each, touched, all) in [
            (vec![No, No], false, No),
            (vec![No], true, Yes),
            (vec![No, Yes], false, Yes),
            (vec![Yes, Unknown], true, Unknown),
            (vec![Unknown, No], false, Unknown),
        ] {
            assert_eq!(all_acted(each.iter().copied(), touched), all, "{each:?}");
        }
    }
}

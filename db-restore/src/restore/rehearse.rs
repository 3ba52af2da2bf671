//! Restores the newest snapshot beside the live database before it is needed, verifies and times it, and keeps it: the restore is
//! proven, and a rollback is a rename away.

use facts::Rehearsal;
use step::{Failure, Outcome, Permit, Run};

use crate::copy::readers::Readers;
use crate::copy::side;
use crate::journal::{Beside, Keeper, Note};
use crate::operation::Operation;
use crate::plan::{self, Moment, Snapshot};
use crate::restore::preflight;
use crate::restore::stage::{self, Brought, Clock, Staging};
use crate::settings::{Kind, Settings};
use crate::sources;

/// The step.
pub fn run(run: &mut Run, settings: &Settings, wanted: Option<&str>) -> Result<Outcome, Failure> {
    let skipped = match settings.source {
        Kind::Archive => None,
        Kind::Database => Some("a clone is ready as it is: there is nothing to rehearse"),
        Kind::Supabase => {
            Some("a Supabase project can only be set back in place: there is nothing to rehearse on")
        }
    };
    let document: Option<facts::Snapshot> = run.fact("snapshot")?;
    if let Some(why) = skipped {
        if let Some(snapshot) = document.filter(|_| run.permit().is_some()) {
            run.set("rehearsal", proven(&snapshot, settings, None, Some(why.to_owned()))?)?;
        }
        return Ok(Outcome::skipped(why));
    }
    // What is only planned cannot be looked at.
    if run.is_planned("snapshot") && wanted.is_none() {
        return Ok(Outcome::planned("would restore the snapshot beside the live database and verify it"));
    }
    // The document's own snapshot is what its rollback will need.
    let wanted = wanted.map(str::to_owned).or(document.map(|s| s.id));
    let (fact, ms, outcome) = rehearse(run, settings, wanted.as_deref())?;
    if run.permit().is_some() {
        run.set("rehearsal", proven(&fact, settings, ms, None)?)?;
    }
    run.set("snapshot", fact)?;
    Ok(outcome)
}

/// The fact: until when this rehearsal speaks for the recovery point.
fn proven(
    snapshot: &facts::Snapshot,
    settings: &Settings,
    ms: Option<u64>,
    unproven: Option<String>,
) -> Result<Rehearsal, Failure> {
    let malformed =
        |e| Failure::refused("fact-malformed", format!("`{}` is no time: {e}", snapshot.taken_at));
    let taken_at: jiff::Timestamp = snapshot.taken_at.parse().map_err(malformed)?;
    Ok(Rehearsal {
        snapshot: snapshot.id.clone(),
        until: plan::instant(taken_at + settings.rpo),
        ms,
        unproven,
    })
}

fn rehearse(
    run: &Run,
    settings: &Settings,
    wanted: Option<&str>,
) -> Result<(facts::Snapshot, Option<u64>, Outcome), Failure> {
    let operation = Operation::new(&run.context, settings);
    let names = plan::names(&settings.database, run.document.id())?;
    let (live, mut keeper, renaming) = operation.live_and_lock(&preflight::questions(&names))?;
    let source = sources::of(&operation)?;
    operation.marker(&settings.database)?;
    let snapshots = source.list(&live, &Moment::Now)?;
    let chosen = match wanted {
        Some(id) => plan::named(&snapshots, id, &Moment::Now, live.now)?,
        None => plan::newest(&snapshots, &Moment::Now, live.now)?,
    };
    let way = Staging { operation, source: &*source, live: &live, names: &names, run: run.document.id() };
    let permit = run.permit();
    let readers = match &permit {
        Some(permit) => Some(Readers::make((operation.server, settings), permit, &mut keeper)?),
        None => None,
    };
    let held = match &permit {
        Some(permit) => way.still(&mut keeper, permit, chosen)?,
        None => stage::staged(&keeper.journal, &chosen.id),
    };
    if let Some((copy, staged)) = held {
        let at = plan::instant(staged.staged_at);
        let looked =
            if run.permit().is_some() { "as it was verified then" } else { "if nobody has changed it" };
        let text = format!("{} holds {} since {at}, {looked}", copy.name, chosen.id);
        return Ok((chosen.fact(), Some(staged.ms), Outcome::unchanged(text)));
    }
    way.preflight(&mut keeper, renaming, chosen, false)?;
    let clock = std::time::Instant::now();
    let outcome = match &permit {
        Some(permit) => stage(&way, permit, &mut keeper, chosen)?,
        None => Outcome::planned(format!("would restore {} into {} and verify it", chosen.id, names.side)),
    };
    readers.map_or(Ok(()), |readers| readers.end(&mut keeper))?;
    Ok((chosen.fact(), u64::try_from(clock.elapsed().as_millis()).ok(), outcome))
}

fn stage(way: &Staging, permit: &Permit, keeper: &mut Keeper, chosen: &Snapshot) -> Result<Outcome, Failure> {
    side::sweep(keeper, permit, &way.names.live)?;
    let mut clock = Clock::default();
    let Brought { copy, proof, .. } = way.bring(keeper, permit, chosen, false, &mut clock)?;
    drop_others(keeper, permit, chosen)?;
    let amcheck =
        proof.amcheck.map_or("without amcheck".to_owned(), |n| format!("{n} relations read by amcheck"));
    let without = match copy.left_out.is_empty() {
        true => String::new(),
        false => format!(", without the extensions {}", copy.left_out.join(", ")),
    };
    let message = format!(
        "{} is restored and verified in {}: {} rows, {amcheck}{without}",
        chosen.id, copy.name, proof.rows
    );
    let outcome = copy.told(Outcome::changed(message)).output("staged_in", copy.name);
    Ok(outcome.output("ms", clock.into_value()).output("proof", proof.to_value()))
}

/// One staged copy is enough: the newer one.
fn drop_others(keeper: &mut Keeper, permit: &Permit, chosen: &Snapshot) -> Result<(), Failure> {
    let other = |beside: &&Beside| matches!(&beside.remark, Some(Note::Staged(staged)) if staged.snapshot != chosen.id);
    let others: Vec<String> = keeper.journal.besides().filter(other).map(|b| b.name.clone()).collect();
    others.iter().try_for_each(|name| side::discard(keeper, permit, name))
}

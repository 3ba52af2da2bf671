//! Takes PostgreSQL snapshots, proves the recovery point, and brings the data back beside the live database.

mod applied;
mod args;
mod copy;
mod journal;
mod loss;
mod operation;
mod plan;
mod restore;
mod server;
mod settings;
mod snapshot;
mod sources;
mod tools;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command};
use operation::Operation;
use plan::{Moment, Snapshot};
use serde_json::json;
use settings::{Kind, Settings};
use step::{Answer, Ask, Common, Context, Failure, Outcome, Program, Run, Setting};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        db-restore --env production                        which snapshots there are, and whether one is young enough
        db-restore snapshot --env production               take one now
        db-restore rehearse --env production               restore the newest beside the live database, verify it, keep it ready
        db-restore restore --env production                bring the newest back; asks before it does
        db-restore undo --env production                   swap back what the last restore has put aside
        db-restore recovery-point --env production --incident-at 2026-11-24T09:00:00Z";
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(2 * 3600);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        Some(self.command().word())
    }

    fn ask(&self) -> Ask {
        if matches!(self.command(), Command::RecoveryPoint { .. }) { Ask::Question } else { Ask::Step }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = Settings::read(&run.context)?;
        match self.command() {
            Command::RecoveryPoint { .. } => Err(Failure::bug("recovery-point is a question")),
            Command::Applied { lenient } => applied::run(run, &settings, *lenient),
            Command::Snapshot => snapshot::run(run, &settings),
            Command::Rehearse { snapshot } => restore::rehearse::run(run, &settings, snapshot.as_deref()),
            Command::Restore(wish) => restore::run(run, &settings, wish),
            Command::Undo(sure) => restore::undo::run(run, &settings, sure),
            Command::Prune(sure) => snapshot::prune::run(run, &settings, sure),
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let incident = match self.command() {
            Command::RecoveryPoint { incident_at } => *incident_at,
            _ => None,
        };
        incident.map_or(Ok(()), |at| plan::has_been(at, jiff::Timestamp::now()))?;
        let moment = incident.map_or(Moment::Now, |at| Moment::Incident { at, run: None });
        let operation = Operation::new(context, &settings);
        let live = operation.look()?;
        let source = sources::of(&operation)?;
        let snapshots = source.list(&live, &moment)?;
        let verdict = plan::recovery_point(&snapshots, &moment, live.now, settings.rpo)
            .and_then(|chosen| source.prove(&live, chosen).map(|()| chosen));
        Ok(said(&snapshots, verdict, &moment, live.now, settings.rpo))
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let operation = Operation::new(context, &settings);
        let live = operation.look()?;
        sources::of(&operation)?.list(&live, &Moment::Now)?;
        if settings.source != Kind::Database {
            tools::find(&settings, "pg_dump", live.major())?;
            tools::find(&settings, "pg_restore", live.major())?;
        }
        if !live.may_restore && settings.source != Kind::Supabase {
            let message = restore::preflight::lacking_rights(&settings.place.user);
            return Err(Failure::config("rights", message));
        }
        if !live.has_app_role {
            return Err(Failure::config("app-role", restore::preflight::no_app_role(&settings)));
        }
        let missing = settings.source != Kind::Database && !settings.snapshots.exists();
        let text = format!(
            "{} on {} is PostgreSQL {}; snapshots go to {}{}",
            settings.database,
            settings.place.host,
            live.version,
            settings.snapshots.display(),
            if missing { " (not there yet: the first snapshot makes it)" } else { "" }
        );
        Ok(Answer::new(text, json!({ "version": live.version, "system_identifier": live.system_identifier })))
    }
}

/// The list and the verdict, for people and for programs.
fn said(
    snapshots: &[Snapshot],
    verdict: Result<&Snapshot, Failure>,
    moment: &Moment,
    now: jiff::Timestamp,
    rpo: Duration,
) -> Answer {
    let lines: String = snapshots.iter().map(|s| format!("{}\n", s.line(now))).collect();
    let list: Vec<_> = snapshots.iter().map(Snapshot::to_value).collect();
    match verdict {
        Ok(chosen) => {
            let text = format!("{lines}recovery point: {} ({})", chosen.id, plan::age(chosen, moment, now));
            let proof = json!({
                "snapshot_at": plan::instant(chosen.taken_at), "loss_s": plan::gap(chosen, moment, now).as_secs(),
                "uncertainty_s": chosen.uncertainty.as_secs(), "limit_s": rpo.as_secs(), "pass": true,
            });
            Answer::new(text, json!({ "recovery_point": chosen.id, "proof": proof, "snapshots": list }))
        }
        Err(failure) => {
            let text = format!("{lines}no recovery point: {}", failure.message);
            Answer::new(text, json!({ "recovery_point": false, "reason": failure.reason, "snapshots": list }))
                .but(failure)
        }
    }
}

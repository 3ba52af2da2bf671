//! Takes PostgreSQL snapshots, proves the recovery point, and brings the data back beside the live database.

mod archive;
mod args;
mod database;
mod plan;
mod restore;
mod side;
mod snapshot;
mod swap;
mod tools;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command, Settings};
use database::Server;
use plan::Moment;
use serde_json::json;
use step::{Answer, Common, Context, Failure, Outcome, Program, Run};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        db-restore --env production                        which snapshots there are, and whether one is young enough
        db-restore snapshot --env production               take one now
        db-restore restore --env production                bring the newest back; asks before it does
        db-restore recovery-point --env production --incident-at 2026-11-24T09:00:00Z";
    const KEYS: &'static [&'static str] = args::KEYS;
    const TIMEOUT: Duration = Duration::from_secs(2 * 3600);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        Some(self.command().word())
    }

    fn is_question(&self) -> bool {
        matches!(self.command(), Command::RecoveryPoint { .. })
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = Settings::read(&run.context)?;
        match self.command() {
            Command::RecoveryPoint { .. } => Err(Failure::bug("recovery-point is a question")),
            Command::Snapshot => snapshot::run(run, &settings),
            Command::Restore(wish) => restore::run(run, &settings, wish),
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let incident = match self.command() {
            Command::RecoveryPoint { incident_at } => *incident_at,
            _ => None,
        };
        let moment = incident.map_or(Moment::Now, |at| Moment::Incident { at, run: None });
        let server = Server::new(context, &settings);
        let live = server.identity(&settings.database)?;
        let snapshots = archive::list(&settings, context, &live.system_identifier)?;
        let verdict = plan::recovery_point(&snapshots, &moment, live.now, settings.rpo)
            .and_then(|chosen| archive::verify(&settings, chosen).map(|()| chosen));
        let lines: Vec<String> = snapshots.iter().map(|s| s.line(live.now)).collect();
        let list: Vec<_> = snapshots.iter().map(archive::Snapshot::to_value).collect();
        let text = |verdict: &str| {
            format!("{}{}{verdict}", lines.join("\n"), if lines.is_empty() { "" } else { "\n" })
        };
        match verdict {
            Ok(chosen) => {
                let verdict =
                    format!("recovery point: {} ({})", chosen.id, plan::age(chosen, &moment, live.now));
                Ok(Answer::new(text(&verdict), json!({ "recovery_point": chosen.id, "snapshots": list })))
            }
            Err(failure) => {
                let verdict = format!("no recovery point: {}", failure.message);
                Ok(Answer::new(text(&verdict), json!({ "recovery_point": false, "snapshots": list }))
                    .but(failure))
            }
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let live = Server::new(context, &settings).identity(&settings.database)?;
        tools::find(&settings, "pg_dump", live.major())?;
        tools::find(&settings, "pg_restore", live.major())?;
        if !live.may_restore {
            let message = format!(
                "{} may not create and rename databases; make it a superuser, or the owner with CREATEDB",
                settings.user
            );
            return Err(Failure::config("rights", message));
        }
        let text = format!(
            "{} on {} is PostgreSQL {}; snapshots go to {}",
            settings.database,
            settings.host,
            live.version,
            settings.snapshots.display()
        );
        Ok(Answer::new(text, json!({ "version": live.version, "system_identifier": live.system_identifier })))
    }
}

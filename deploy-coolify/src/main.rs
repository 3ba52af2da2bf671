//! Deploys an exact build with Coolify, waits, and proves that it runs; or goes back to the one before.

mod api;
mod args;
mod attach;
mod deploy;
mod look;
mod next;
mod plan;
mod previous;
mod proof;
mod registry;
mod settings;
mod show;
mod tested;
mod wait;
mod wanted;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use api::Net;
use args::{Args, Command, Target};
use deploy::{Purpose, bring};
use facts::Previous;
use plan::Wanted;
use previous::rollback::Start;
use settings::Settings;
use step::{Answer, Ask, Common, Context, Failure, Outcome, Procedure, Program, Run, Setting};
use world::World;

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        deploy-coolify --env production                                 what is configured, deployed and answering
        deploy-coolify deploy --env staging --release 1.2.0             deploy, wait, prove
        deploy-coolify tested --env production --release 1.2.0          has its candidate run in staging for long enough?
        deploy-coolify attach --env staging --commit SHA                wait for what a push has started
        deploy-coolify rollback --env production                        deploy the previous build
        deploy-coolify observe --rollback --of runs/.../05-deploy.json  open a rollback's document
        changelog-lint | tag-rc candidate | deploy-coolify deploy --env staging | notify";
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(15 * 60);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        Some(self.command().word())
    }

    fn ask(&self) -> Ask {
        if matches!(self.command(), Command::Status) { Ask::Question } else { Ask::Step }
    }

    fn opens(&self) -> Procedure {
        match self.command() {
            Command::Rollback { .. } | Command::Observe { rollback: true, .. } => Procedure::Rollback,
            _ => Procedure::Manual,
        }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = &Settings::read(&run.context, self)?;
        let net = &Net::new()?;
        match self.command() {
            Command::Status => Err(Failure::bug("status is a question")),
            Command::Observe { claimed: Some(file), .. } => previous::claimed::look(run, settings, net, file),
            Command::Observe { rollback: false, .. } => previous::observe(run, settings, net),
            Command::Tested { rebuilt } => tested::tested(run, settings, net, rebuilt.as_deref()),
            Command::Observe { of, history, run: named, incident_at, elsewhere, target, .. } => {
                net.hurry();
                let (of, history, named) = (of.as_deref(), history.as_deref(), named.as_deref());
                let from = Start { of, history, named, elsewhere: *elsewhere };
                previous::rollback::open(run, settings, net, from, incident_at.as_deref(), target)
            }
            Command::Deploy { no_previous, auto_rollback, target, .. } => {
                let reason = way_back(run, no_previous.as_deref())?;
                let wanted = wanted::of(run, settings, target)?;
                let purpose = Purpose::Deploy { auto_rollback: *auto_rollback || settings.auto_rollback };
                let outcome = bring(run, settings, net, &wanted, purpose)?;
                Ok(if let Some(reason) = reason { outcome.output("no_previous", reason) } else { outcome })
            }
            Command::Rollback { of, keep_auto_deploy, target, .. } => {
                net.hurry();
                let wanted = before(run, settings, net, of.as_deref(), target)?;
                let keep_auto_deploy = *keep_auto_deploy || settings.keep_auto_deploy;
                bring(run, settings, net, &wanted, Purpose::Rollback { keep_auto_deploy })
            }
            Command::Attach { deployment, window, or_start, target, .. } => {
                let window = window.unwrap_or(settings.attach_window).min(settings::LONGEST);
                let wanted = wanted::of(run, settings, target)?;
                let how = attach::Attach { deployments: deployment, window, or_start: *or_start };
                attach::attach(run, settings, net, wanted, &how)
            }
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context, self)?;
        let net = Net::new()?;
        let world = World::new(context, &settings, &net);
        net.block(show::status(&world))
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context, self)?;
        let net = Net::new()?;
        let world = World::new(context, &settings, &net);
        net.block(show::check(&world))
    }
}

/// Production is not touched unless it is known what ran before. Returns the reason for going without.
fn way_back(run: &Run, no_previous: Option<&str>) -> Result<Option<String>, Failure> {
    let known: Option<Previous> = run.fact("previous")?;
    let production = run.context.environment.as_deref() == Some("production");
    match (known, no_previous) {
        (None, Some(reason)) => Ok(Some(reason.to_owned())),
        (None, None) if production => {
            let message = "nothing says what runs in production now, so there would be no way back; \
                           run `deploy-coolify observe` first, or give --no-previous REASON";
            Err(Failure::refused("no-previous", message))
        }
        _ => Ok(None),
    }
}

/// The build that a rollback brings: from the document that `observe --rollback` opened, from what the command line names, else from
/// Coolify's history.
fn before(
    run: &mut Run,
    settings: &Settings,
    net: &Net,
    of: Option<&std::path::Path>,
    target: &Target,
) -> Result<Wanted, Failure> {
    let opened = run.document.facts().contains_key("replaces");
    if !opened {
        let from = Start { of, ..Start::default() };
        previous::rollback::open(run, settings, net, from, None, target)?;
    }
    let build = Previous {
        version: run.fact("version")?,
        commit: run.fact("commit")?,
        image: run.fact("image")?,
        ..Previous::default()
    };
    Ok(wanted::of_previous(settings, &build))
}

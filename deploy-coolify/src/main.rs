//! Deploys an exact build with Coolify, waits, and proves that it runs; or goes back to the one before.

mod api;
mod args;
mod deploy;
mod plan;
mod previous;
mod probe;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use api::Api;
use args::{Args, Command, Settings};
use probe::Probe;
use serde_json::json;
use step::{Answer, Build, Common, Context, Failure, Outcome, Program, Run};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        deploy-coolify --env production                                 what is configured, deployed and answering
        deploy-coolify deploy --env staging --release 1.2.0             deploy, wait, prove
        deploy-coolify rollback --env production                        deploy the build before
        deploy-coolify observe --rollback --of runs/.../05-deploy.json  open a rollback's document
        changelog-lint | tag-rc candidate | deploy-coolify deploy --env staging | notify";
    const KEYS: &'static [&'static str] = args::KEYS;
    const TIMEOUT: Duration = Duration::from_secs(15 * 60);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        Some(self.command().word())
    }

    fn is_question(&self) -> bool {
        matches!(self.command(), Command::Status)
    }

    fn opens(&self) -> &'static str {
        match self.command() {
            Command::Rollback | Command::Observe { rollback: true, .. } => "rollback",
            _ => "manual",
        }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = Settings::read(&run.context)?;
        match self.command() {
            Command::Status => Err(Failure::bug("status is a question")),
            Command::Observe { rollback: false, .. } => observe(run, &settings),
            Command::Observe { of, incident_at, .. } => {
                previous::open_rollback(run, &settings, of.as_deref(), incident_at.as_deref())
            }
            Command::Deploy { no_previous } => {
                let reason = deploy::way_back(run, no_previous.as_deref())?;
                let image = plan::image(&settings.image, &Build::of(run)?)
                    .map_err(|e| settings.wrong_image(run, &e))?;
                let outcome = deploy::bring(run, &settings, &image)?;
                Ok(if let Some(reason) = reason { outcome.output("no_previous", reason) } else { outcome })
            }
            Command::Rollback => {
                if run.fact::<String>("image")?.is_none() {
                    previous::open_rollback(run, &settings, None, None)?;
                }
                let image: String = run.need("image", "deploy-coolify observe --rollback writes it")?;
                deploy::bring(run, &settings, &image)
            }
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let api = Api::new(context, &settings)?;
        let probe = Probe::new(context, &settings)?;
        block_on(async {
            let mut lines = Vec::new();
            let mut values = Vec::new();
            for uuid in &settings.applications {
                let app = api.application(uuid).await?;
                let rows = api.history(uuid, 5).await?;
                lines.push(format!(
                    "{} ({uuid}): {}, configured {}:{}",
                    app.name, app.status, app.image, app.tag
                ));
                lines.extend(rows.iter().map(|r| {
                    format!(
                        "  {}  {}  {}  {}",
                        r.created_at,
                        r.status,
                        r.tag.as_deref().unwrap_or("?"),
                        r.uuid
                    )
                }));
                let rows: Vec<_> = rows.iter().map(api::Row::to_value).collect();
                values.push(json!({ "application": uuid, "name": app.name, "status": app.status, "image": app.image, "tag": app.tag, "deployments": rows }));
            }
            for url in &settings.probe_urls {
                let seen = probe.ask(url).await;
                lines.push(format!("{url}: {seen}"));
                values.push(json!({ "url": url, "says": seen.to_string() }));
            }
            Ok(Answer::new(lines.join("\n"), values))
        })
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let api = Api::new(context, &settings)?;
        block_on(async {
            let version = api.version().await?;
            let mut lines = vec![format!("Coolify {version} at {}", settings.url)];
            for uuid in &settings.applications {
                let app = api.application(uuid).await?;
                let logs = api.history(uuid, 1).await?.first().is_none_or(|row| row.tag.is_some());
                lines.push(format!("{} ({uuid}) can be read", app.name));
                if !logs {
                    lines.push("  but not its logs: without read:sensitive the build before cannot be told from history".into());
                }
            }
            lines.push(
                "deploying needs the abilities write and deploy, which cannot be proven without using them"
                    .into(),
            );
            Ok(Answer::new(
                lines.join("\n"),
                json!({ "version": version, "applications": settings.applications }),
            ))
        })
    }
}

/// Writes down what runs, before anything changes. Seen again later it would be the new build, so a document that has
/// it keeps it.
fn observe(run: &mut Run, settings: &Settings) -> Result<Outcome, Failure> {
    if let Some(known) = run.fact::<step::Previous>("previous")? {
        let image = known.image.unwrap_or_default();
        return Ok(Outcome::unchanged(format!("{image} was written down before as what ran")));
    }
    let previous = previous::what_runs(&run.context, settings)?;
    let image = previous.image.clone().unwrap_or_default();
    run.set("urls", &settings.public_urls)?;
    run.set("previous", previous)?;
    Ok(Outcome::unchanged(format!("{image} runs now; that is what a rollback goes back to")))
}

/// One thread is enough to wait for many deployments.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Failure::temporary("runtime", format!("no event loop: {e}")))?.block_on(work)
}

/// Waits without holding the thread, but not past a signal or the deadline.
async fn pause(context: &Context, wait: Duration) -> Result<(), Failure> {
    let end = tokio::time::Instant::now() + wait;
    loop {
        context.checkpoint()?;
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(Duration::from_millis(50))).await;
    }
}

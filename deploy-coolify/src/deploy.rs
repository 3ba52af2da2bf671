//! Brings a build into every application of the environment: starts what has to be started, once; follows all at the same
//! time; and proves by the pages themselves that it runs.

use futures_util::future::join_all;
use serde_json::Value;
use step::{Acted, Build, Context, Deployment, Failure, Outcome, Permit, Previous, Run};

use crate::api::{Api, Application, Row, SIGHT, Sent};
use crate::args::Settings;
use crate::plan::{self, Act};
use crate::probe::Probe;

/// Production is not touched unless it is known what ran before. Returns the reason for going without.
pub fn way_back(run: &Run, no_previous: Option<&str>) -> Result<Option<String>, Failure> {
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

/// One application on its way.
struct Target<'a> {
    uuid: &'a str,
    app: Application,
    act: Act,
    /// Deployments that were there before.
    known: Vec<String>,
}

/// Brings an image everywhere.
pub fn bring(run: &mut Run, settings: &Settings, image: &str) -> Result<Outcome, Failure> {
    let wanted = Build { image: Some(image.to_owned()), ..Build::of(run)? };
    let name = wanted.name().unwrap_or(image).to_owned();
    let targets = crate::block_on(look(&run.context, settings, image, &wanted))?;
    // From here on a failure's document says what was being brought.
    run.set("image", image)?;
    run.set("urls", &settings.public_urls)?;
    let permit = run.permit();
    let mut deployments = Vec::new();
    if let Some(permit) = &permit {
        deployments = crate::block_on(start_all(&run.context, settings, permit, &targets, image))?;
        run.set("deployments", &deployments)?;
    }
    let nothing = targets.iter().all(|t| matches!(t.act, Act::Nothing(_)));
    let many = if targets.len() == 1 { String::new() } else { format!(" in {} applications", targets.len()) };
    if permit.is_none() {
        run.set("live", wanted.version.as_deref().unwrap_or(&name))?;
        let verb = if nothing { "runs already" } else { "would be deployed" };
        return Ok(Outcome::planned(format!("{image} {verb}{many}")));
    }
    let followed = crate::block_on(follow_all(&run.context, settings, &targets, &deployments, &wanted));
    followed.map_err(
        |failure| if failure.reason == "not-live" { with_way_back(run, failure) } else { failure },
    )?;
    run.set("live", wanted.version.as_deref().unwrap_or(&name))?;
    let pages = settings.probe_urls.len();
    let proof = format!(
        "{pages} page{} said so {} times in a row",
        if pages == 1 { "" } else { "s" },
        settings.successes
    );
    Ok(if nothing {
        Outcome::unchanged(format!("{image} runs already{many}: {proof}"))
    } else {
        Outcome::changed(format!("{image} runs{many}: {proof}"))
    })
}

async fn look<'a>(
    context: &Context,
    settings: &'a Settings,
    image: &str,
    wanted: &Build,
) -> Result<Vec<Target<'a>>, Failure> {
    let api = Api::new(context, settings)?;
    let live = Probe::new(context, settings)?.all_are(wanted).await;
    let one = async |uuid: &'a String| {
        let app = api.application(uuid).await?;
        let rows = api.history(uuid, 10).await?;
        let act = plan::decide(&app, &rows, image, live)?;
        Ok(Target { uuid, app, act, known: rows.into_iter().map(|r| r.uuid).collect() })
    };
    join_all(settings.applications.iter().map(one)).await.into_iter().collect()
}

/// Starts what has to be started, one after the other: an application that cannot be started stops the rest.
async fn start_all(
    context: &Context,
    settings: &Settings,
    permit: &Permit,
    targets: &[Target<'_>],
    image: &str,
) -> Result<Vec<Deployment>, Failure> {
    let api = Api::new(context, settings)?;
    let tag = plan::split(image).map(|(_, tag)| tag).unwrap_or_default();
    let mut deployments: Vec<Deployment> = Vec::new();
    for target in targets {
        let deployment = match &target.act {
            Act::Nothing(id) | Act::Follow(id) => Ok(id.clone()),
            Act::Start { set_tag } => start(context, &api, permit, target, tag, *set_tag).await,
        };
        let deployment = deployment.map_err(|failure| match (deployments.is_empty(), failure.acted) {
            (false, Acted::No) => failure.acted(Acted::Yes),
            _ => failure,
        })?;
        deployments.push(Deployment { application: target.uuid.to_owned(), deployment });
    }
    Ok(deployments)
}

async fn start(
    context: &Context,
    api: &Api<'_>,
    permit: &Permit,
    target: &Target<'_>,
    tag: &str,
    set_tag: bool,
) -> Result<String, Failure> {
    if set_tag {
        if let Sent::Refused(failure) = api.set_tag(permit, target.uuid, tag).await? {
            return Err(failure);
        }
        // Whatever was answered: the application itself says which tag it has.
        let has = api.application(target.uuid).await.map_err(|f| f.acted(Acted::Unknown))?.tag;
        if has != tag {
            let message = format!("{} has the tag {has}, although {tag} was written", target.app.name);
            return Err(Failure::failed("tag-not-set", message).acted(Acted::Unknown));
        }
    }
    let touched = if set_tag { Acted::Yes } else { Acted::No };
    let promised = match api.deploy(permit, target.uuid).await.map_err(|f| f.acted(touched))? {
        Sent::Refused(failure) => return Err(failure.acted(touched)),
        Sent::Unknown(why) => {
            context
                .voice
                .warn(&format!("the answer to the deployment's start was lost ({why}); looking for it"));
            None
        }
        Sent::Done(body) => queued(&body).map_err(|said| not_queued(target, &said).acted(touched))?,
    };
    find(context, api, target, promised.as_deref()).await
}

fn not_queued(target: &Target, said: &str) -> Failure {
    Failure::failed(
        "not-queued",
        format!("Coolify did not queue the deployment of {}: {said}", target.app.name),
    )
}

/// The id that Coolify promises, `None` when it calls the deployment a duplicate; an error is its refusal with status 200.
fn queued(body: &Value) -> Result<Option<String>, String> {
    let item = body.get("deployments").and_then(|d| d.get(0));
    let text = |key| item.and_then(|i| i.get(key)).and_then(Value::as_str);
    match (text("message"), text("deployment_uuid")) {
        (Some(said), Some(id)) if said.ends_with("deployment queued.") => Ok(Some(id.to_owned())),
        (Some(said), _) if said.contains("already queued") => Ok(None),
        (said, _) => Err(said.unwrap_or("no reason given").to_owned()),
    }
}

/// An id is believed only when it can be read back; else the deployment is looked for among those that are new.
async fn find(
    context: &Context,
    api: &Api<'_>,
    target: &Target<'_>,
    promised: Option<&str>,
) -> Result<String, Failure> {
    let end = std::time::Instant::now() + SIGHT;
    loop {
        let unknown = |failure: Failure| failure.acted(Acted::Unknown);
        if let Some(id) = promised
            && api.deployment(id).await.map_err(unknown)?.is_some()
        {
            return Ok(id.to_owned());
        }
        let rows = api.history(target.uuid, 10).await.map_err(unknown)?;
        if let Some(row) = rows.into_iter().find(|r| !target.known.contains(&r.uuid)) {
            return Ok(row.uuid);
        }
        if std::time::Instant::now() >= end {
            let message = format!(
                "it is not known whether the deployment of {} was started; Coolify does not show it",
                target.app.name
            );
            return Err(unknown(Failure::temporary("deployment-lost", message)));
        }
        crate::pause(context, std::time::Duration::from_millis(500)).await.map_err(unknown)?;
    }
}

/// Follows every deployment to its end, then has the pages prove the build.
async fn follow_all(
    context: &Context,
    settings: &Settings,
    targets: &[Target<'_>],
    deployments: &[Deployment],
    wanted: &Build,
) -> Result<(), Failure> {
    let api = Api::new(context, settings)?;
    let each = targets
        .iter()
        .zip(deployments)
        .map(|(target, deployment)| follow(context, settings, &api, target, deployment));
    for result in join_all(each).await {
        result?;
    }
    context.voice.progress_done();
    prove(context, settings, wanted).await
}

async fn follow(
    context: &Context,
    settings: &Settings,
    api: &Api<'_>,
    target: &Target<'_>,
    deployment: &Deployment,
) -> Result<(), Failure> {
    if matches!(target.act, Act::Nothing(_)) {
        return Ok(());
    }
    let stopped = |failure: Failure| match failure.reason.as_str() {
        "deadline" => {
            let message = format!(
                "the deployment {} of {} has not ended in time",
                deployment.deployment, target.app.name
            );
            Failure::temporary("deployment-stalled", message)
                .acted(Acted::Unknown)
                .next(status_command(context))
        }
        _ => failure.acted(Acted::Unknown).next(status_command(context)),
    };
    loop {
        let row = match api.deployment(&deployment.deployment).await.map_err(stopped)? {
            Some(row) => Some(row),
            // Some versions do not find a deployment by its id.
            None => {
                let rows = api.history(target.uuid, 10).await.map_err(stopped)?;
                rows.into_iter().find(|r| r.uuid == deployment.deployment)
            }
        };
        let status = row.as_ref().map_or("unknown", |r| r.status.as_str());
        context.voice.progress(&format!("{}: deployment {status}", target.app.name));
        match row {
            Some(row) if row.is_finished() => return Ok(()),
            Some(row) if !row.is_open() => return Err(ended_badly(context, target, &row)),
            _ => crate::pause(context, settings.interval).await.map_err(stopped)?,
        }
    }
}

fn status_command(context: &Context) -> String {
    format!("deploy-coolify status --env {}", context.environment.as_deref().unwrap_or("production"))
}

/// Names the way back, if there is one: in a run of a runbook that is the other runbook, because the data may have to go back too.
fn with_way_back(run: &Run, failure: Failure) -> Failure {
    let environment = run.context.environment.as_deref().unwrap_or("production");
    let facts = run.document.facts();
    match run.document.procedure() {
        "release" | "hotfix" if facts.contains_key("previous") => {
            let database = if facts.contains_key("snapshot") { "restore" } else { "keep" };
            failure.next(format!("rilis-rollback --database {database} --env {environment}"))
        }
        "manual" if facts.contains_key("previous") => {
            failure.next(format!("deploy-coolify rollback --env {environment}"))
        }
        _ => failure,
    }
}

fn ended_badly(context: &Context, target: &Target, row: &Row) -> Failure {
    let message = format!("the deployment {} of {} ended as {}", row.uuid, target.app.name, row.status);
    let failure =
        Failure::failed("deployment-failed", message).acted(Acted::Yes).next(status_command(context));
    row.last_lines.iter().fold(failure, Failure::cause)
}

/// Every page must answer as the wanted build, several times in a row.
async fn prove(context: &Context, settings: &Settings, wanted: &Build) -> Result<(), Failure> {
    let name = wanted.name().unwrap_or_default();
    if settings.marker.is_none() || settings.probe_urls.is_empty() {
        let message = format!(
            "{name} was deployed, but nothing can prove that it runs: set marker and public_urls of the environment"
        );
        return Err(Failure::config("unproven", message).acted(Acted::Yes));
    }
    let probe = Probe::new(context, settings)?;
    let end = std::time::Instant::now() + settings.health_timeout;
    let mut right = 0;
    loop {
        let seen = join_all(settings.probe_urls.iter().map(|url| probe.ask(url))).await;
        right = if seen.iter().all(|s| s.is(wanted)) { right + 1 } else { 0 };
        if right >= settings.successes {
            return Ok(());
        }
        if std::time::Instant::now() >= end {
            let message = format!("{name} was deployed, but the pages do not answer as {name}");
            let failure = Failure::failed("not-live", message).acted(Acted::Yes);
            let lines = settings.probe_urls.iter().zip(&seen).map(|(url, seen)| format!("{url} {seen}"));
            return Err(lines.fold(failure, Failure::cause));
        }
        crate::pause(context, settings.interval).await.map_err(|f| f.acted(Acted::Yes))?;
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
        assert!(queued(&body("Unauthorized to deploy this application.")).is_err());
        assert!(queued(&json!({})).is_err());
    }
}

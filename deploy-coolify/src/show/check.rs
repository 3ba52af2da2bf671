//! Whether everything that a deployment needs is there. No request changes anything: what may be written is asked with a request that has
//! nothing in it.

use serde_json::{Value, json};
use step::{Answer, Failure};

use super::source;
use crate::api::{Ability, Application, Kind, Pins, Row, Version};
use crate::settings::Proof;
use crate::world::World;

/// What a token may do, and what follows from it.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    lacks: Vec<String>,
}

/// Settings, access and abilities.
pub async fn check(world: &World<'_>) -> Result<Answer, Failure> {
    let version = world.api.version().await?;
    let apps = world.applications().await?;
    let mut report = Report::default();
    report.lines.push(format!("Coolify {version} at {}", world.settings.url));
    let abilities = abilities(world, &apps, &version, &mut report).await;
    let mut logs = None;
    for app in &apps {
        report.lines.push(format!("{} ({}) can be read: {}", app.name, app.uuid, source(app)));
        report.lacks.extend(lacking(app, &version));
        let shown = world.api.history(app, 1).await?.first().map(Row::shows_logs);
        logs = logs.or(shown).map(|all| all && shown.unwrap_or(true));
    }
    if logs == Some(false) {
        report.lines.push(
            "it lacks read:sensitive: no logs are shown, and the tag of an image that ran before is not known from history".into(),
        );
    }
    report.lacks.extend(registry(world).await?);
    report.lacks.extend(pages(world, &apps, &mut report.lines).await);
    let mut value = json!({
        "version": version.to_string(), "applications": apps.iter().map(|a| &a.uuid).collect::<Vec<_>>(),
        "abilities": abilities, "lacks": report.lacks,
    });
    if let Some(logs) = logs {
        value["logs"] = json!(logs);
    }
    report.lines.extend(report.lacks.iter().cloned());
    let answer = Answer::new(report.lines.join("\n"), value);
    Ok(match report.lacks.first() {
        Some(first) => answer.but(Failure::config(
            "check",
            format!("{} of what is needed is not there: {first}", report.lacks.len()),
        )),
        None => answer,
    })
}

/// Asks for each ability that is needed, or that helps; what Coolify does not tell is in no value.
async fn abilities(world: &World<'_>, apps: &[Application], version: &Version, report: &mut Report) -> Value {
    let deploy = world.api.may_deploy().await;
    match &deploy {
        Ability::Yes => report.lines.push("the token has the abilities read and deploy".into()),
        Ability::No(why) => report.lacks.push(format!(
            "the token lacks the ability deploy: nothing can be deployed, rolled back or cancelled; {why}"
        )),
        Ability::Unknown => report
            .lines
            .push("the token has the ability read; whether it has deploy cannot be told from here".into()),
    }
    let write = match apps.first() {
        Some(app) => world.api.may_write(&app.uuid).await,
        None => Ability::Unknown,
    };
    let needed = apps
        .iter()
        .any(|app| app.kind() == Kind::Image || !version.has_rollback() || app.extra_servers() > 0);
    match (&write, needed) {
        (Ability::Yes, _) => report.lines.push("it has write".into()),
        (Ability::No(why), true) => report.lacks.push(format!(
            "the token lacks the ability write: the tag, or the commit, cannot be written into the application; {why}"
        )),
        (Ability::No(_), false) => {
            report.lines.push("it has no write: a rollback cannot switch auto-deploy off".into());
        }
        (Ability::Unknown, true) => report
            .lines
            .push("it needs write too (the tag, or the commit, is written into the application), and whether it has it cannot be told from here".into()),
        (Ability::Unknown, false) => {}
    }
    let mut value = json!({ "read": true, "read:sensitive": apps.iter().any(Application::shows_sensitive) });
    for (name, ability) in [("deploy", &deploy), ("write", &write)] {
        if let Some(known) = ability.known() {
            value[name] = json!(known);
        }
    }
    value
}

fn lacking(app: &Application, version: &Version) -> Option<String> {
    let name = &app.name;
    match app.kind() {
        Kind::Inline => {
            Some(format!("{name} is built from a Dockerfile that is kept in Coolify: it has no revisions"))
        }
        Kind::Git if version.pins() == Pins::Ignored => Some(format!(
            "{name} is built from a commit, and Coolify {version} deploys no exact commit: update to 4.2.0 or later"
        )),
        _ if app.server_status == Some(false) => Some(format!("Coolify cannot reach the server of {name}")),
        _ => None,
    }
}

async fn registry(world: &World<'_>) -> Result<Option<String>, Failure> {
    let Some(images) = world.images() else { return Ok(None) };
    let Some((name, _)) = world.settings.images.first().and_then(|image| image.rsplit_once(':')) else {
        return Ok(None);
    };
    // Whether this one is there does not matter: that we may ask does.
    match images.digest(name, "latest").await {
        Ok(_) => Ok(None),
        Err(failure) if failure.kind == step::Kind::Temporary => Err(failure),
        Err(failure) => Ok(Some(failure.message.clone())),
    }
}

async fn pages(world: &World<'_>, apps: &[Application], lines: &mut Vec<String>) -> Option<String> {
    let settings = world.settings;
    if settings.proof == Proof::Coolify {
        lines.push("a build is proven by Coolify's word alone (proof = \"coolify\")".into());
        return None;
    }
    let urls = world.pages(apps);
    let told = settings.marker.is_some() || settings.body.is_some();
    if urls.is_empty() || !told {
        return Some(
            "nothing could prove that a build runs: set public_urls and marker of the environment".into(),
        );
    }
    let seen = world.probe.all(&urls, None).await;
    lines.extend(urls.iter().zip(&seen).map(|(url, seen)| format!("{url}: {seen}")));
    None
}

//! The questions: where things stand, and whether everything that a deployment needs is there.

use serde_json::{Value, json};
use step::{Answer, Failure};

use crate::api::{Application, Kind, Pins, Version};
use crate::history::{current_and_before, stack};
use crate::settings::Proof;
use crate::world::{World, each};

/// What is configured, deployed and answering.
pub async fn status(world: &World<'_>) -> Result<Answer, Failure> {
    let version = world.api.version().await?;
    let apps = world.applications().await?;
    let mut lines = vec![format!("Coolify {version} at {}", world.settings.url)];
    let shown = each(&apps, |app| application(world, app)).await?;
    let (texts, values): (Vec<String>, Vec<Value>) = shown.into_iter().unzip();
    lines.extend(texts);
    let urls = world.pages(&apps);
    let seen = world.probe.all(&urls, None).await;
    lines.extend(urls.iter().zip(&seen).map(|(url, seen)| format!("{url}: {seen}")));
    let pages: Vec<Value> =
        urls.iter().zip(&seen).map(|(url, seen)| json!({ "url": url, "says": seen.to_string() })).collect();
    let value = json!({ "coolify": version.to_string(), "applications": values, "pages": pages });
    Ok(Answer::new(lines.join("\n"), value))
}

/// What an application is made from.
fn source(app: &Application) -> String {
    match app.kind() {
        Kind::Image => format!("configured {}", crate::plan::join(&app.image, &app.tag)),
        Kind::Git if app.pin.is_empty() || app.pin == "HEAD" => format!("built from {}", app.branch),
        Kind::Git => format!("built from {}, pinned to {}", app.branch, app.pin),
        Kind::Inline => "built from a Dockerfile in Coolify".to_owned(),
    }
}

async fn application(world: &World<'_>, app: &Application) -> Result<(String, Value), Failure> {
    let rows = world.api.history_until(app, |rows| stack(rows).len() > 1).await?;
    let mut lines = vec![format!("{} ({}): {}, {}", app.name, app.uuid, app.status, source(app))];
    if app.extra_servers() > 0 {
        lines.push(format!("  on {} more servers", app.extra_servers()));
    }
    for row in rows.iter().take(5) {
        let revision = row.revision.as_deref().unwrap_or("?");
        lines.push(format!("  {}  {}  {revision}  {}", row.created_at, row.status, row.uuid));
    }
    let back = current_and_before(&rows).map(|(_, before)| before.revision.clone().unwrap_or_default());
    lines.push(match &back {
        Ok(revision) => format!("  a rollback would go to {revision}"),
        Err(missing) => format!("  where a rollback would go is not known: {}", missing.sentence()),
    });
    if app.auto_deploys() == Some(true) {
        lines.push(format!("  a push to {} deploys it", app.branch));
    }
    let deployments: Vec<Value> = rows.iter().take(20).map(crate::api::Row::to_value).collect();
    let mut value = json!({
        "application": app.uuid, "name": app.name, "status": app.status, "build_pack": app.build_pack,
        "servers": 1 + app.extra_servers(), "deployments": deployments,
    });
    if app.kind() == Kind::Image {
        value["image"] = json!(app.image);
        value["tag"] = json!(app.tag);
    }
    if let Ok(revision) = back {
        value["rollback_to"] = json!(revision);
    }
    Ok((lines.join("\n"), value))
}

/// Settings, access and abilities. Every request is a read.
pub async fn check(world: &World<'_>) -> Result<Answer, Failure> {
    let version = world.api.version().await?;
    let apps = world.applications().await?;
    let mut lines = vec![format!("Coolify {version} at {}", world.settings.url)];
    let mut lacks: Vec<String> = Vec::new();
    let may_deploy = world.api.may_deploy().await;
    match may_deploy {
        Some(true) => lines.push("the token has the abilities read and deploy".into()),
        Some(false) => lacks.push(
            "the token lacks the ability deploy: nothing can be deployed, rolled back or cancelled".into(),
        ),
        None => lines
            .push("the token has the ability read; whether it has deploy cannot be told from here".into()),
    }
    let mut logs = true;
    for app in &apps {
        lines.push(format!("{} ({}) can be read: {}", app.name, app.uuid, source(app)));
        lacks.extend(lacking(app, &version));
        logs &= world.api.history(app, 1).await?.first().is_none_or(crate::api::Row::shows_logs);
    }
    lines.push(needs(&apps, &version).to_owned());
    if !logs {
        lines.push(
            "it lacks read:sensitive: no logs are shown, and the tag of an image that ran before is not known from history".into(),
        );
    }
    lacks.extend(registry(world).await?);
    lacks.extend(pages(world, &apps, &mut lines).await);
    let value = json!({
        "version": version.to_string(), "applications": apps.iter().map(|a| &a.uuid).collect::<Vec<_>>(),
        "abilities": { "read": true, "deploy": may_deploy, "read:sensitive": logs }, "lacks": lacks,
    });
    lines.extend(lacks.iter().cloned());
    let answer = Answer::new(lines.join("\n"), value);
    Ok(match lacks.first() {
        Some(first) => answer.but(Failure::config(
            "check",
            format!("{} of what is needed is not there: {first}", lacks.len()),
        )),
        None => answer,
    })
}

fn lacking(app: &Application, version: &Version) -> Option<String> {
    let name = &app.name;
    match app.kind() {
        Kind::Inline => {
            Some(format!("{name} is built from a Dockerfile that stands in Coolify: it has no revisions"))
        }
        Kind::Git if version.pins() == Pins::Ignored => Some(format!(
            "{name} is built from a commit, and Coolify {version} deploys no exact commit: update to 4.2.0 or later"
        )),
        _ if app.server_status == Some(false) => Some(format!("Coolify cannot reach the server of {name}")),
        _ => None,
    }
}

/// The ability that no read can prove.
fn needs(apps: &[Application], version: &Version) -> &'static str {
    let writes =
        |app: &Application| app.kind() == Kind::Image || !version.has_rollback() || app.extra_servers() > 0;
    if apps.iter().any(writes) {
        "it needs write too (the tag or the commit is written into the application), which cannot be proven without using it"
    } else {
        "it needs no write, but to switch auto-deploy off in a rollback"
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

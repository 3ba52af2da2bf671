//! The questions: where things stand, and whether everything that a deployment needs is there.

mod check;

use serde_json::{Value, json};
use step::{Answer, Failure};

use crate::api::{Application, Kind};
use crate::previous::history::{current_and_before, stack};
use crate::wait::each;
use crate::world::World;
pub use check::check;
use image::join;

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
        Kind::Image => format!("configured {}", join(app.image(), &app.tag())),
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
        value["image"] = json!(app.image());
        value["tag"] = json!(app.tag());
    }
    if let Ok(revision) = back {
        value["rollback_to"] = json!(revision);
    }
    Ok((lines.join("\n"), value))
}

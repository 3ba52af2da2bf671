//! What runs now, and where a rollback goes.

use std::path::Path;

use serde_json::{Map, Value};
use step::{Build, Context, Deployment, Failure, Outcome, Previous, Replaces, Run};

use crate::api::{Api, Application, Row};
use crate::args::Settings;
use crate::plan;
use crate::probe::Probe;

/// What runs now, by the deployment that brought it and by what the pages say; the two may not contradict each other.
pub fn what_runs(context: &Context, settings: &Settings) -> Result<Previous, Failure> {
    crate::block_on(async {
        let api = Api::new(context, settings)?;
        let says = Probe::new(context, settings)?.build().await;
        let mut found: Option<Previous> = None;
        for uuid in &settings.applications {
            let app = api.application(uuid).await?;
            let rows = api.history(uuid, 20).await?;
            let one = running(&app, uuid, &rows, says.as_deref())?;
            match &mut found {
                None => found = Some(one),
                Some(known) if known.image == one.image => known.deployments.extend(one.deployments),
                Some(known) => {
                    let shown = |p: &Previous| p.image.clone().unwrap_or_default();
                    let message = format!(
                        "the applications run different builds: {} and {}",
                        shown(known),
                        shown(&one)
                    );
                    return Err(Failure::refused("mixed-builds", message));
                }
            }
        }
        found.ok_or_else(|| context.settings.missing("applications"))
    })
}

fn running(app: &Application, uuid: &str, rows: &[Row], says: Option<&str>) -> Result<Previous, Failure> {
    let last = rows.iter().find(|r| r.is_finished());
    let by_log = last.and_then(|r| r.tag.clone());
    // Without the log the configured tag counts only if the pages say the same.
    let tag = by_log.clone().unwrap_or_else(|| app.tag.clone());
    let image = format!("{}:{tag}", app.image);
    let build = Build { image: Some(image.clone()), ..Build::default() };
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let named = says.filter(|text| !is_commit(text));
    match (by_log, named) {
        (_, Some(says)) if !build.is(says) => {
            let message = format!(
                "{} was deployed with {tag}, but its pages answer as {says}: what runs is not known",
                app.name
            );
            return Err(Failure::refused("previous-unclear", message));
        }
        (None, None) => {
            let message = format!(
                "it is not known what {} runs: its log cannot be read (the token lacks read:sensitive) and its pages do not say",
                app.name
            );
            return Err(Failure::refused("previous-unknown", message));
        }
        _ => {}
    }
    let deployment =
        last.map(|row| Deployment { application: uuid.to_owned(), deployment: row.uuid.clone() });
    Ok(Previous {
        version: Some(tag.strip_prefix('v').unwrap_or(&tag).to_owned()),
        commit: says.filter(|text| is_commit(text)).map(str::to_owned),
        image: Some(image),
        deployments: deployment.into_iter().collect(),
        observed_at: Some(now()),
    })
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes the facts of a rollback: what it goes back to, what it leaves, since when it went wrong.
pub fn open_rollback(
    run: &mut Run,
    settings: &Settings,
    of: Option<&Path>,
    incident_at: Option<&str>,
) -> Result<Outcome, Failure> {
    let (target, replaces) = match of {
        Some(file) => from_document(run, settings, file)?,
        None => from_history(&run.context, settings)?,
    };
    let image = target.image.clone().ok_or_else(|| {
        Failure::refused("no-target", "it is not known which image ran before; name the run with --of")
    })?;
    let known = [("version", &target.version), ("commit", &target.commit)];
    for (fact, value) in known {
        if let Some(value) = value {
            run.set(fact, value)?;
        }
    }
    run.set("image", &image)?;
    run.set("urls", &settings.public_urls)?;
    if let Some(at) = incident_at.or(replaces.deployed_at.as_deref()) {
        run.set("incident_at", at)?;
    }
    let left = replaces.image.clone().unwrap_or_else(|| "what runs".to_owned());
    run.set("replaces", replaces)?;
    Ok(Outcome::unchanged(format!("from {left} back to {image}")))
}

/// The document of the run that is rolled back knows what ran before it.
fn from_document(run: &Run, settings: &Settings, file: &Path) -> Result<(Previous, Replaces), Failure> {
    let at = file.display();
    let wrong = |why: String| Failure::refused("wrong-document", format!("{at}: {why}"));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|e| wrong(format!("it is not a document: {e}")))?;
    let facts =
        document.get("facts").and_then(Value::as_object).ok_or_else(|| wrong("it has no facts".into()))?;
    for (fact, ours) in
        [("product", run.fact::<String>("product")?), ("environment", run.context.environment.clone())]
    {
        let theirs = facts.get(fact).and_then(Value::as_str);
        if let Some((theirs, ours)) = theirs.zip(ours).filter(|(theirs, ours)| theirs != ours) {
            return Err(wrong(format!("it is a run of the {fact} {theirs}, and this is {ours}")));
        }
    }
    let previous = facts.get("previous").cloned();
    let previous =
        previous.ok_or_else(|| wrong("it does not say what ran before (no fact `previous`)".into()))?;
    let previous =
        serde_json::from_value(previous).map_err(|e| wrong(format!("its fact `previous`: {e}")))?;
    let text = |key: &str| facts.get(key).and_then(Value::as_str).map(str::to_owned);
    let replaces = Replaces {
        run: document.get("id").and_then(Value::as_str).map(str::to_owned),
        version: text("version"),
        commit: text("commit"),
        image: text("image"),
        deployed_at: deployed_at(&run.context, settings, facts)?,
    };
    Ok((previous, replaces))
}

/// When the deployment that is rolled back began: its own time, else that of the newest one with its tag.
fn deployed_at(
    context: &Context,
    settings: &Settings,
    facts: &Map<String, Value>,
) -> Result<Option<String>, Failure> {
    let deployments: Vec<Deployment> =
        facts.get("deployments").and_then(|d| serde_json::from_value(d.clone()).ok()).unwrap_or_default();
    let tag = facts.get("image").and_then(Value::as_str).and_then(plan::split).map(|(_, tag)| tag.to_owned());
    crate::block_on(async {
        let api = Api::new(context, settings)?;
        for deployment in &deployments {
            if let Some(row) = api.deployment(&deployment.deployment).await? {
                return Ok(instant(&row.created_at));
            }
        }
        for uuid in &settings.applications {
            let rows = api.history(uuid, 20).await?;
            if let Some(row) = rows.iter().find(|r| r.tag.is_some() && r.tag == tag) {
                return Ok(instant(&row.created_at));
            }
        }
        Ok(None)
    })
}

/// Coolify's history, read as a stack.
fn from_history(context: &Context, settings: &Settings) -> Result<(Previous, Replaces), Failure> {
    crate::block_on(async {
        let api = Api::new(context, settings)?;
        let Some(uuid) = settings.applications.first() else {
            return Err(context.settings.missing("applications"));
        };
        let app = api.application(uuid).await?;
        let rows = api.history(uuid, 20).await?;
        let stack = plan::stack(&rows);
        let [.., before, current] = stack[..] else {
            let message = format!(
                "Coolify's history does not say what {} ran before (with a token that may read logs, and two finished \
                 deployments, it does); name the run that is rolled back with --of",
                app.name
            );
            return Err(Failure::refused("no-target", message));
        };
        let build = |row: &Row| {
            let tag = row.tag.clone().unwrap_or_default();
            (tag.strip_prefix('v').unwrap_or(&tag).to_owned(), format!("{}:{tag}", app.image))
        };
        let ((old, old_image), (new, new_image)) = (build(before), build(current));
        let previous = Previous { version: Some(old), image: Some(old_image), ..Previous::default() };
        let deployed_at = instant(&current.created_at);
        Ok((
            previous,
            Replaces { version: Some(new), image: Some(new_image), deployed_at, ..Replaces::default() },
        ))
    })
}

/// Coolify's time as the document writes it.
fn instant(text: &str) -> Option<String> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

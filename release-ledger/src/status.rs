//! Where everything stands: locks and holds on the remote, and for each run its last step and the next command.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use step::{Answer, Document, Failure};

use crate::lock::Place;

/// One run, from its newest document.
#[derive(Debug, PartialEq, Eq)]
pub struct Standing {
    pub run: String,
    /// `finished`, `failed` or `open`.
    pub state: &'static str,
    /// One sentence.
    pub sentence: String,
    /// What to type next, if anything.
    pub next: Option<String>,
}

/// The runs of a folder, the newest first.
pub fn runs(folder: &Path) -> Vec<Standing> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        // Names begin with the time; other folders (plans) do not.
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    names.sort_by(|a, b| b.cmp(a));
    names.into_iter().filter_map(|name| standing(&folder.join(&name), name)).collect()
}

fn standing(folder: &Path, run: String) -> Option<Standing> {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()) && name.ends_with(".json"))
        .collect();
    // Whatever was done before: a failure is where it stands. There is one at most.
    files.sort_by_key(|name| (name.ends_with(".failed.json"), name.clone()));
    let bytes = std::fs::read(folder.join(files.last()?)).ok()?;
    let document = Document::parse(&bytes).ok()?;
    Some(judge(run, &document, folder.join("finished").exists()))
}

/// What a run's newest document says.
fn judge(run: String, document: &Document, finished: bool) -> Standing {
    let last = document.steps().last();
    let word = |key: &str| last.and_then(|r| r.get(key)).and_then(Value::as_str).unwrap_or("?");
    let name = |key: &str| document.facts().get(key).and_then(Value::as_str);
    let what = [name("product"), name("version")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let failed = document.failure();
    let said = |key: &str| failed.and_then(|f| f.get(key)).and_then(Value::as_str);
    if finished {
        let sentence = format!("{what}: finished; {}", word("summary"));
        return Standing { run, state: "finished", sentence, next: None };
    }
    let again = again(document, &run);
    match failed {
        Some(_) => {
            let acted = match said("acted") {
                Some("no") => "that step changed nothing",
                Some("yes") => "that step has changed something",
                _ => "whether that step changed something is not known",
            };
            let sentence = format!(
                "{what}: failed at {}: {} ({acted})",
                said("step").unwrap_or("?"),
                said("message").unwrap_or("?")
            );
            Standing { run, state: "failed", sentence, next: said("next").map(str::to_owned).or(again) }
        }
        None => {
            let sentence = format!("{what}: stopped after {}, not finished", word("name"));
            Standing { run, state: "open", sentence, next: again }
        }
    }
}

/// The command that goes on with a run.
fn again(document: &Document, run: &str) -> Option<String> {
    let version = document.facts().get("version").and_then(Value::as_str);
    match (document.procedure(), version) {
        (procedure @ ("candidate" | "release" | "hotfix"), Some(version)) => {
            Some(format!("rilis-{procedure} {version}"))
        }
        ("rehearsal", _) => Some("rilis-rehearse".to_owned()),
        ("rollback", _) => {
            let of = run.split_once("-of-").map(|(_, of)| format!(" --of runs/{of}"));
            Some(format!("rilis-rollback{}", of.unwrap_or_default()))
        }
        _ => None,
    }
}

/// The whole picture as text and as a value. `unseen` says why the remote could not be asked.
pub fn show(places: &[Place], standings: &[Standing], unseen: Option<&Failure>) -> Result<Answer, Failure> {
    let mut lines = Vec::new();
    let mut values = Vec::new();
    if let Some(failure) = unseen {
        lines
            .push(format!("the ledger was not seen: {}; what follows is from this machine", failure.message));
    }
    for place in places {
        let (line, value) = environment(place)?;
        lines.extend(line);
        values.push(value);
    }
    for standing in standings {
        lines.push(format!("{}\n  {}", standing.run, standing.sentence));
        lines.extend(standing.next.iter().map(|next| format!("  next: {next}")));
    }
    if standings.is_empty() {
        lines.push("no run yet".to_owned());
    }
    let runs: Vec<Value> = standings
        .iter()
        .map(|s| json!({ "run": s.run, "state": s.state, "sentence": s.sentence, "next": s.next }))
        .collect();
    Ok(Answer::new(lines.join("\n"), json!({ "environments": values, "runs": runs })))
}

fn environment(place: &Place) -> Result<(Vec<String>, Value), Failure> {
    let name = place.environment;
    let mut lines = Vec::new();
    let mut value = json!({ "environment": name });
    match place.lock()? {
        Some((_, lock)) if lock.held => {
            let over = if lock.expires < Timestamp::now() { " (its time is over)" } else { "" };
            lines.push(format!(
                "{name}: locked by {} for {} until {}{over}",
                lock.who, lock.run, lock.expires
            ));
            value["lock"] = json!({ "run": lock.run, "holder": lock.who.holder, "host": lock.who.host, "expires": lock.expires.to_string(), "generation": lock.generation });
        }
        _ => lines.push(format!("{name}: nobody is at work")),
    }
    if let Some((_, hold)) = place.hold()?.filter(|(_, h)| h.on) {
        lines.push(format!("{name}: on hold since {} by {}: {}", hold.since, hold.who, hold.reason));
        value["hold"] =
            json!({ "since": hold.since.to_string(), "by": hold.who.holder, "reason": hold.reason });
    }
    Ok((lines, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(procedure: &str, failure: Option<Value>) -> Document {
        let mut value = json!({ "schema": 1, "id": "i", "procedure": procedure, "mode": "apply", "opened": "2026-11-24T12:00:00Z",
            "facts": { "product": "shop", "version": "1.2.0" },
            "steps": [{ "name": "tag-rc", "status": "changed", "started": "2026-11-24T12:00:00.000Z", "ms": 1, "summary": "tagged" }] });
        if let Some(failure) = failure {
            value["failure"] = failure;
        }
        Document::parse(value.to_string().as_bytes()).expect("a document")
    }

    #[test]
    fn a_run_says_where_it_stands_and_what_is_next() {
        let open = judge("r".into(), &document("release", None), false);
        assert_eq!((open.state, open.next.as_deref()), ("open", Some("rilis-release 1.2.0")));
        assert_eq!(open.sentence, "shop 1.2.0: stopped after tag-rc, not finished");
        let failure =
            json!({ "step": "cdn-purge", "message": "old page", "acted": "yes", "next": "do this" });
        let failed = judge("r".into(), &document("release", Some(failure)), false);
        assert_eq!((failed.state, failed.next.as_deref()), ("failed", Some("do this")));
        assert_eq!(
            failed.sentence,
            "shop 1.2.0: failed at cdn-purge: old page (that step has changed something)"
        );
        let back = judge(
            "20261125T1-rollback-production-of-20261125T0-release".into(),
            &document("rollback", None),
            false,
        );
        assert_eq!(back.next.as_deref(), Some("rilis-rollback --of runs/20261125T0-release"));
        let done = judge("r".into(), &document("release", None), true);
        assert_eq!((done.state, done.next), ("finished", None));
    }
}

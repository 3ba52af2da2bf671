//! What a rehearsal has shown: how long the way back took, part by part.

use std::path::Path;

use serde_json::{Value, json};
use step::{Document, Failure, Outcome, Run};

/// The parts of a way back: the program, its action, and what people call it.
const PARTS: [(&str, &str, &str); 3] =
    [("db-restore", "restore", "data"), ("deploy-coolify", "rollback", "code"), ("cdn-purge", "", "edge")];

/// The step.
pub fn write(run: &mut Run, of: &Path, killed: Option<&str>) -> Result<Outcome, Failure> {
    let at = of.display();
    let wrong = |why: String| Failure::refused("wrong-document", format!("{at}: {why}"));
    // In a plan there is no way back yet whose time could be taken.
    if run.context.permit().is_none() {
        return Ok(Outcome::planned("would write down how long each part took"));
    }
    let bytes = std::fs::read(of).map_err(|e| wrong(e.to_string()))?;
    let back = Document::parse(&bytes).map_err(wrong)?;
    let shown = shown(&back).map_err(wrong)?;
    let killed_at =
        killed.map_or(String::new(), |step| format!("; {step} was killed on purpose and went on"));
    let message = format!("{}{killed_at}", shown.sentence());
    let mut fact = json!({ "from": shown.from, "to": shown.to, "ms": shown.total(), "parts": shown.value() });
    if let Some(step) = killed {
        fact["killed"] = json!(step);
    }
    run.set("rehearsed", fact)?;
    Ok(Outcome::unchanged(message))
}

#[derive(Debug, PartialEq, Eq)]
struct Shown {
    from: String,
    to: String,
    /// Each part with its milliseconds.
    parts: Vec<(&'static str, u64)>,
}

impl Shown {
    fn total(&self) -> u64 {
        self.parts.iter().map(|(_, ms)| ms).sum()
    }

    fn value(&self) -> Value {
        self.parts.iter().map(|(part, ms)| ((*part).to_owned(), json!(ms))).collect()
    }

    fn sentence(&self) -> String {
        let parts: Vec<String> =
            self.parts.iter().map(|(part, ms)| format!("{part} {}", seconds(*ms))).collect();
        format!("{} went back to {} in {}: {}", self.from, self.to, seconds(self.total()), parts.join(", "))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure with one decimal")]
fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

/// Reads the document of a way back that has come to its end. Pure.
fn shown(back: &Document) -> Result<Shown, String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    if let Some(failure) = back.failure() {
        return Err(format!("it failed: {}", text(failure.get("message")).unwrap_or_default()));
    }
    let facts = back.facts();
    let to = text(facts.get("live")).ok_or("it does not say that anything was brought back")?;
    let replaces = facts.get("replaces").ok_or("it is no way back (no fact `replaces`)")?;
    let from = ["version", "image", "commit"].iter().find_map(|key| text(replaces.get(*key)));
    let ms = |(name, action, part): (&str, &str, &'static str)| {
        let is = |record: &&Value| {
            let word = |key: &str| record.get(key).and_then(Value::as_str);
            word("name") == Some(name) && (action.is_empty() || word("action") == Some(action))
        };
        Some((part, back.steps().iter().find(is)?.get("ms")?.as_u64()?))
    };
    let parts: Vec<_> = PARTS.into_iter().filter_map(ms).collect();
    if !parts.iter().any(|(part, _)| *part == "edge") {
        return Err("it has not come to its end: nobody has proven it at the edge".to_owned());
    }
    Ok(Shown { from: from.unwrap_or_else(|| "what ran".to_owned()), to, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(steps: &[(&str, &str, u64)], facts: &Value) -> Result<String, String> {
        let steps: Vec<Value> = steps
            .iter()
            .map(|(name, action, ms)| {
                json!({ "name": name, "action": action, "status": "changed", "started": "2026-11-25T12:00:00Z", "ms": ms, "summary": "x" })
            })
            .collect();
        let document = json!({ "schema": 1, "id": "shop-1.1.4-20261125T120000Z-7f3a", "procedure": "rehearsal", "mode": "apply",
            "opened": "2026-11-25T12:00:00Z", "facts": facts, "steps": steps });
        shown(&Document::parse(document.to_string().as_bytes()).expect("a document")).map(|s| s.sentence())
    }

    #[test]
    fn the_time_of_a_way_back_is_that_of_its_parts() {
        let facts = json!({ "live": "1.1.4", "replaces": { "version": "1.2.0-rc1" } });
        let steps = [
            ("db-restore", "snapshot", 9000),
            ("db-restore", "restore", 5100),
            ("deploy-coolify", "rollback", 6000),
            ("cdn-purge", "", 1300),
        ];
        let said = "1.2.0-rc1 went back to 1.1.4 in 12.4 s: data 5.1 s, code 6.0 s, edge 1.3 s";
        assert_eq!(back(&steps, &facts), Ok(said.into()));
        assert!(back(&steps[..3], &facts).expect_err("not at its end").contains("edge"));
        assert!(back(&steps, &json!({ "live": "1.1.4" })).expect_err("no way back").contains("replaces"));
        assert!(back(&steps, &json!({})).expect_err("nothing").contains("brought back"));
    }
}

//! What a document tells, as templates see it: from facts, summaries and the failure alone. Pure; nothing here knows what a step
//! is for, and what is not known is `none`.

use facts::{GATES, Gate, Loss};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::{Document, Procedure};

use super::link::Link;
use super::markup::{cut, hashtag};

const CHANGES: usize = 5;
const ERROR_LINES: usize = 15;
const ERROR_LENGTH: usize = 1200;
const STEPS: usize = 30;

/// Everything that a template can say.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// `release_ok`, `rollback_failed`, ...: the template's name.
    pub event: String,
    pub procedure: Procedure,
    pub sign: &'static str,
    pub product: Option<String>,
    pub environment: Option<String>,
    /// The product with the version, or the candidate's tag.
    pub build: String,
    /// What a rollback leaves and where it goes.
    pub way: Vec<String>,
    pub failed: Option<FailedAt>,
    /// The exit code of a step that left no document.
    pub stopped: Option<u8>,
    /// Milliseconds.
    pub took: u64,
    pub ended: Option<String>,
    pub live: Option<Live>,
    pub error: Option<Problem>,
    pub next: Option<String>,
    pub loss: Option<Loss>,
    /// The restore of another run since the bad deployment, where this one has brought nothing back.
    pub brought_back: Option<BroughtBack>,
    /// A rollback that was done and has no `loss`.
    pub untouched_data: bool,
    /// What must be known besides.
    pub note: Option<String>,
    /// Since when customers cannot write, if they cannot.
    pub closed_since: Option<String>,
    /// The gates that did not say yes, and who went on all the same.
    pub waived: Vec<Waived>,
    /// The version before, and the snapshot: what a rollback would go back to.
    pub previous: Option<String>,
    pub snapshot: Option<String>,
    pub changes: Vec<String>,
    pub changes_more: usize,
    pub steps: Vec<Step>,
    pub urls: Vec<String>,
    pub hashtags: Vec<String>,
    /// Links that cannot be buttons.
    pub plain_links: Vec<Link>,
    /// How much may be said: 2 all, 1 no summaries, 0 neither changes nor steps.
    pub room: u8,
}

/// Where it failed; words of the catalogue with the step.
#[derive(Clone, Debug, Serialize)]
pub struct FailedAt {
    pub words: &'static str,
    pub rollback_words: &'static str,
    pub step: Option<String>,
}

/// What runs now.
#[derive(Clone, Debug, Serialize)]
pub struct Live {
    pub words: &'static str,
    pub version: Option<String>,
}

/// The failure.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    pub reason: String,
    pub acted: &'static str,
    pub lines: Vec<String>,
    pub more: usize,
    /// All of it, if that is more than the lines.
    #[serde(skip)]
    pub whole: Option<String>,
}

/// A gate that did not say yes.
#[derive(Clone, Debug, Serialize)]
pub struct Waived {
    pub gate: &'static str,
    pub verdict: String,
    pub by: String,
    pub reason: String,
}

/// The restore of another run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BroughtBack {
    pub taken_at: String,
    pub at: String,
    pub kept_in: String,
}

/// A step's record.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub sign: &'static str,
    pub name: String,
    pub status: String,
    pub ms: u64,
    pub summary: Option<String>,
}

impl Story {
    /// Tells a document. `stopped` is the exit code of a run that ended behind it without a document that says why.
    pub fn of(document: &Document, stopped: Option<u8>) -> Self {
        let procedure = document.procedure();
        let rollback = procedure == Procedure::Rollback;
        let failed = failed_at(document, stopped);
        let replaced = within(document, "replaces", "version");
        let before = within(document, "previous", "version");
        let product = short(document, "product", 60);
        let wanted = wanted(document);
        let loss: Option<Loss> = typed(document, "loss");
        let entries = entries(document);
        let good = failed.is_none() && !rollback;
        let ok = if failed.is_some() { "failed" } else { "ok" };
        let (took, ended) = times(document);
        Story {
            event: format!("{procedure}_{ok}"),
            sign: sign(rollback, failed.is_some()),
            environment: short(document, "environment", 40),
            build: [product.clone(), wanted.clone()].into_iter().flatten().collect::<Vec<_>>().join(" "),
            way: replaced.into_iter().chain(wanted.as_deref()).map(|v| cut(v, 1, 40)).collect(),
            stopped: stopped.filter(|_| document.failure().is_none()),
            live: live(document, failed.is_some(), if rollback { replaced } else { before }),
            error: problem(document),
            next: failure(document, "next").map(|next| cut(next, 6, 600)),
            untouched_data: rollback && failed.is_none() && loss.is_none(),
            brought_back: brought_back(document).filter(|_| rollback && failed.is_none() && loss.is_none()),
            closed_since: fact(document, "maintenance")
                .filter(|_| fact(document, "maintenance_over").is_none())
                .map(str::to_owned),
            waived: waived(document),
            previous: before.filter(|_| !rollback).map(|version| cut(version, 1, 40)),
            snapshot: within(document, "snapshot", "id").filter(|_| !rollback).map(|id| cut(id, 1, 80)),
            changes: entries.iter().take(CHANGES).filter(|_| good).map(|e| cut(e, 1, 180)).collect(),
            changes_more: if good { entries.len().saturating_sub(CHANGES) } else { 0 },
            steps: document.steps().iter().rev().take(STEPS).rev().map(Step::of).collect(),
            urls: typed(document, "urls").unwrap_or_default(),
            hashtags: hashtags(document, failed.is_some()),
            procedure,
            product,
            failed,
            took,
            ended,
            loss,
            plain_links: Vec::new(),
            note: None,
            room: 2,
        }
    }

    /// Whether the team must not miss it, and would rather hear it twice than not at all.
    pub fn urgent(&self) -> bool {
        self.failed.is_some() || self.procedure == Procedure::Rollback
    }
}

impl Step {
    fn of(record: &Value) -> Self {
        let status = record["status"].as_str().unwrap_or_default();
        Step {
            sign: match status {
                "changed" | "unchanged" => "✓",
                "failed" => "✗",
                _ => "–",
            },
            name: cut(&name(record), 1, 60),
            status: status.to_owned(),
            ms: record["ms"].as_u64().unwrap_or_default(),
            // What a failed step says stands above, as the error.
            summary: record["summary"].as_str().filter(|_| status != "failed").map(|s| cut(s, 1, 160)),
        }
    }
}

fn sign(rollback: bool, failed: bool) -> &'static str {
    match (rollback, failed) {
        (true, true) => "🚨",
        (true, false) => "↩️",
        (false, true) => "❌",
        (false, false) => "✅",
    }
}

/// What the document is about: a candidate by its tag, whatever the procedure is called.
fn wanted(document: &Document) -> Option<String> {
    candidate(document).or(fact(document, "version")).map(|w| cut(w, 1, 60))
}

/// The tag, if it says more than the version: `v1.2.0-rc1`.
fn candidate(document: &Document) -> Option<&str> {
    let (tag, version) = (fact(document, "tag")?, fact(document, "version").unwrap_or_default());
    (tag.trim_start_matches('v') != version).then_some(tag)
}

/// What somebody has put up with, in the order in which it was asked.
fn waived(document: &Document) -> Vec<Waived> {
    let one = |gate: &'static str| {
        let Gate { verdict, waived: Some(waiver), .. } = typed(document, gate)? else { return None };
        let by = cut(waiver.by.split(" <").next().unwrap_or_default(), 1, 60);
        Some(Waived { gate, verdict: cut(&verdict, 1, 20), by, reason: cut(&waiver.reason, 2, 200) })
    };
    GATES.into_iter().filter_map(one).collect()
}

/// One from before the bad deployment is of another story.
fn brought_back(document: &Document) -> Option<BroughtBack> {
    let found: BroughtBack = typed(document, "brought_back")?;
    let at: Timestamp = found.at.parse().ok()?;
    let since = within(document, "replaces", "deployed_at").and_then(|text| text.parse::<Timestamp>().ok());
    since.is_none_or(|since| at >= since).then_some(found)
}

fn live(document: &Document, failed: bool, before: Option<&str>) -> Option<Live> {
    let untouched = failure(document, "acted") == Some("no");
    let last = document.steps().last().and_then(|r| r.get("action")).and_then(|action| action.as_str());
    let unseen = failure(document, "step") == Some("deploy-coolify") && last == Some("observe");
    let (words, version) = match (fact(document, "live"), failed, before) {
        // A page of a candidate was held against its tag: the version alone would name the final one.
        (Some(live), ..) if Some(live) == fact(document, "version") => {
            ("live", Some(candidate(document).unwrap_or(live)))
        }
        (Some(live), ..) => ("live", Some(live)),
        (None, false, _) => return None,
        // What ran was to be looked at, and was not: the document only repeats what was believed.
        (None, true, _) if untouched && unseen => ("live_unknown", None),
        (None, true, Some(before)) if untouched => ("live_as_before", Some(before)),
        (None, true, _) if untouched => ("live_before", None),
        (None, true, Some(before)) => ("live_unknown_after", Some(before)),
        (None, true, None) => ("live_unknown", None),
    };
    Some(Live { words, version: version.map(|v| cut(v, 1, 60)) })
}

/// The step with its action, or behind which one it stopped.
fn failed_at(document: &Document, stopped: Option<u8>) -> Option<FailedAt> {
    let Some(step) = failure(document, "step") else {
        stopped?;
        let step = document.steps().last().map(|r| cut(&name(r), 1, 80));
        return Some(FailedAt { words: "failed_after", rollback_words: "rollback_failed_after", step });
    };
    let record = document.steps().iter().rev().find(|r| r["name"] == step && r["status"] == "failed");
    let step = cut(&record.map_or_else(|| step.to_owned(), name), 1, 80);
    Some(FailedAt { words: "failed_at", rollback_words: "rollback_failed_at", step: Some(step) })
}

fn problem(document: &Document) -> Option<Problem> {
    let record = document.failure()?;
    let causes =
        record.get("causes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let all: Vec<&str> =
        failure(document, "message").into_iter().chain(causes).flat_map(str::lines).collect();
    // The message says what failed; of what lies behind it the end says most.
    let tail = all.len().saturating_sub(ERROR_LINES - 1).max(1);
    let mut lines: Vec<String> =
        all.first().into_iter().chain(all.iter().skip(tail)).map(|l| cut(l, 1, 300)).collect();
    while lines.iter().map(|l| l.chars().count() + 1).sum::<usize>() > ERROR_LENGTH && lines.len() > 1 {
        lines.remove(1);
    }
    let whole = all.join("\n");
    let shown = lines.join("\n");
    Some(Problem {
        reason: cut(failure(document, "reason").unwrap_or("-"), 1, 80),
        acted: match failure(document, "acted") {
            Some("no") => "acted_no",
            Some("yes") => "acted_yes",
            _ => "acted_unknown",
        },
        more: all.len() - lines.len(),
        lines,
        whole: (shown != whole).then_some(whole),
    })
}

/// The changelog's entries.
fn entries(document: &Document) -> Vec<&str> {
    let notes = fact(document, "notes").unwrap_or_default();
    notes.lines().filter_map(|l| l.strip_prefix("- ").or_else(|| l.strip_prefix("* "))).collect()
}

/// How long it took, in milliseconds, and when the last step ended.
fn times(document: &Document) -> (u64, Option<String>) {
    let Ok(opened) = document.opened().parse::<Timestamp>() else { return (0, None) };
    let end = document.steps().last().and_then(|r| {
        let started: Timestamp = r["started"].as_str()?.parse().ok()?;
        Some(started + std::time::Duration::from_millis(r["ms"].as_u64()?))
    });
    let end = end.unwrap_or(opened);
    let took = std::time::Duration::try_from(end.duration_since(opened)).unwrap_or_default();
    (u64::try_from(took.as_millis()).unwrap_or_default(), Some(end.to_string()))
}

fn hashtags(document: &Document, failed: bool) -> Vec<String> {
    let procedure = document.procedure();
    let ended = if failed { format!("{procedure}_failed") } else { procedure.to_string() };
    let words = [fact(document, "product"), fact(document, "environment"), Some(ended.as_str())];
    words.into_iter().flatten().map(|word| hashtag(&cut(word, 1, 60))).collect()
}

fn fact<'a>(document: &'a Document, name: &str) -> Option<&'a str> {
    document.facts().get(name)?.as_str()
}

fn within<'a>(document: &'a Document, name: &str, key: &str) -> Option<&'a str> {
    document.facts().get(name)?.get(key)?.as_str()
}

fn short(document: &Document, name: &str, length: usize) -> Option<String> {
    fact(document, name).map(|text| cut(text, 1, length))
}

fn failure<'a>(document: &'a Document, key: &str) -> Option<&'a str> {
    document.failure()?.get(key)?.as_str()
}

/// A fact with a shape; a malformed one is left out, because an incident's message must not die of it.
fn typed<T: serde::de::DeserializeOwned>(document: &Document, name: &str) -> Option<T> {
    serde_json::from_value(document.facts().get(name)?.clone()).ok()
}

fn name(record: &Value) -> String {
    let words = [record["name"].as_str(), record["action"].as_str()];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waived_is_told_with_the_name_and_the_reason() {
        let gate = |verdict: &str, waived: Value| {
            let mut fact = serde_json::json!({ "verdict": verdict, "at": "2026-11-28T10:00:00Z", "from": "x", "least": "x", "seen": ["x"] });
            if !waived.is_null() {
                fact["waived"] = waived;
            }
            fact
        };
        let waiver = serde_json::json!({ "by": "Rina <rina@luxima.example>", "reason": "GitHub is down" });
        let document = serde_json::json!({ "schema": 1, "id": "shop-1.2.0-20261128T100000Z-7f3a", "procedure": "release", "mode": "apply",
            "opened": "2026-11-28T10:00:00Z", "steps": [],
            "facts": { "ci": gate("unknown", waiver), "tests": gate("yes", Value::Null), "window": "malformed" } });
        let document = Document::parse(document.to_string().as_bytes()).expect("a document");
        let story = Story::of(&document, None);
        let told: Vec<_> =
            story.waived.iter().map(|one| (one.gate, &*one.verdict, &*one.by, &*one.reason)).collect();
        assert_eq!(told, [("ci", "unknown", "Rina", "GitHub is down")]);
    }
}

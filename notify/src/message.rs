//! The message about a document: what happened, what is live, what is lost, what to do next. Pure, and from facts, records and
//! the failure alone: nothing here knows what a step is for.

use jiff::Timestamp;
use serde_json::Value;
use step::{Document, Failure, Loss, Previous, Replaces};

use crate::markup::{code, hashtag, length, plain, text};

/// Telegram's limit is 4096.
const LIMIT: usize = 4000;
const CHANGES: usize = 5;
const ERROR_LINES: usize = 15;
const ERROR_LENGTH: usize = 1200;

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about, within its run.
    pub event: String,
    pub html: String,
    /// Without a sound.
    pub silent: bool,
    /// Rather twice than not at all.
    pub urgent: bool,
}

impl Message {
    /// A message that somebody wrote.
    pub fn of_text(said: &str) -> Result<Self, Failure> {
        let html = text(said.trim());
        match length(&html) {
            0 => Err(Failure::usage("text", "there is nothing to say")),
            1..=LIMIT => Ok(Message { event: "text".to_owned(), html, silent: false, urgent: true }),
            n => Err(Failure::usage("text", format!("the text has {n} characters; Telegram takes {LIMIT}"))),
        }
    }

    /// Its first line for people.
    pub fn headline(&self) -> String {
        plain(self.html.lines().next().unwrap_or_default())
    }

    /// The same, said again.
    pub fn repeated(&self) -> String {
        format!("(repeat: it is not known whether this has arrived before)\n{}", self.html)
    }
}

/// The message about a document. `stopped` is the exit code of a run that ended behind it without a document that says why.
pub fn of(document: &Document, stopped: Option<u8>) -> Message {
    let story = Story { stopped, ..Story::of(document) };
    let sections = [
        Some(story.headline()),
        story.when(),
        story.live(),
        story.error(),
        story.next(),
        story.data(),
        story.way_back(),
        story.changes(),
        Some(story.steps()),
    ];
    let tags = story.hashtags();
    let mut sections: Vec<String> = sections.into_iter().flatten().filter(|s| !s.is_empty()).collect();
    // The last ones can best be done without.
    while length(&sections.join("\n")) + length(&tags) >= LIMIT && sections.len() > 1 {
        sections.pop();
    }
    sections.push(tags);
    let failed = story.failed_at().is_some();
    let rollback = story.procedure == "rollback";
    let event = match story.failure {
        Some(failure) => {
            let word = |key: &str| failure.get(key).and_then(Value::as_str).unwrap_or_default();
            format!("failed-{}-{}-{}", word("step"), word("reason"), word("acted"))
        }
        None => stopped
            .map_or_else(|| "ok".to_owned(), |code| format!("stopped-{code}-{}", document.steps().len())),
    };
    Message {
        event: format!("{}-{event}", story.procedure),
        html: sections.join("\n"),
        silent: !(failed || rollback),
        urgent: failed || rollback,
    }
}

/// What the document tells.
struct Story<'a> {
    document: &'a Document,
    procedure: &'a str,
    environment: Option<&'a str>,
    failure: Option<&'a serde_json::Map<String, Value>>,
    previous: Previous,
    replaces: Replaces,
    loss: Option<Loss>,
    stopped: Option<u8>,
}

impl<'a> Story<'a> {
    fn of(document: &'a Document) -> Self {
        Story {
            document,
            procedure: document.procedure(),
            environment: fact(document, "environment"),
            failure: document.failure(),
            previous: typed(document, "previous").unwrap_or_default(),
            replaces: typed(document, "replaces").unwrap_or_default(),
            loss: typed(document, "loss"),
            stopped: None,
        }
    }

    fn failed(&self, key: &str) -> Option<&'a str> {
        self.failure?.get(key)?.as_str()
    }

    /// Where it failed, if it did: the step with its action, or behind which one it stopped.
    fn failed_at(&self) -> Option<String> {
        let Some(step) = self.failed("step") else {
            let last = self.document.steps().last().map_or_else(|| "the beginning".to_owned(), name);
            return self.stopped.map(|_| format!("the step after {last}"));
        };
        let record =
            self.document.steps().iter().rev().find(|r| r["name"] == step && r["status"] == "failed");
        Some(record.map_or_else(|| step.to_owned(), name))
    }

    /// Alone on a locked screen it must say what, where, and how it ended.
    fn headline(&self) -> String {
        let product = fact(self.document, "product").unwrap_or("somebody's product");
        let version = fact(self.document, "version");
        let wanted = fact(self.document, "tag").filter(|_| self.procedure == "candidate").or(version);
        let what = [Some(product), wanted].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let to = self.environment.map(|e| format!(" → {e}")).unwrap_or_default();
        let place = self.environment.map(|e| format!(", {e}")).unwrap_or_default();
        let back =
            [self.replaces.version.as_deref(), version].into_iter().flatten().collect::<Vec<_>>().join(" → ");
        let line = match (self.procedure, self.failed_at()) {
            ("rollback", Some(at)) => format!("🚨 {product} {back} ROLLBACK FAILED at {at}{place}"),
            ("rollback", None) => format!("↩️ {product} {back} rolled back{place}"),
            (_, Some(at)) => format!("❌ {what}{to} FAILED at {at}"),
            ("manual", None) => format!("✅ {what}{place}: done by hand"),
            (_, None) => format!("✅ {what}{to}"),
        };
        let (sign, rest) = line.split_once(' ').unwrap_or_default();
        format!("{sign} <b>{}</b>", text(&cut(rest, 1, 250)))
    }

    fn when(&self) -> Option<String> {
        let opened: Timestamp = self.document.opened().parse().ok()?;
        let end = self.document.steps().last().and_then(|r| {
            let started: Timestamp = r["started"].as_str()?.parse().ok()?;
            Some(started + std::time::Duration::from_millis(r["ms"].as_u64()?))
        });
        let end = end.unwrap_or(opened);
        let took = std::time::Duration::try_from(end.duration_since(opened)).unwrap_or_default();
        Some(format!("{} · {}", duration(took.as_millis()), instant(end, "r")))
    }

    /// What runs now; only what is known.
    fn live(&self) -> Option<String> {
        let untouched = self.failed("acted") == Some("no");
        let before =
            if self.procedure == "rollback" { &self.replaces.version } else { &self.previous.version };
        let words = match (fact(self.document, "live"), self.failed_at().is_some(), before) {
            (Some(live), _, _) => format!("Live now: {live}"),
            (None, false, _) => return None,
            (None, true, Some(before)) if untouched => format!("Live now: {before}, as before"),
            (None, true, _) if untouched => "What was live before is live".to_owned(),
            (None, true, _) => "What is live now is not known".to_owned(),
        };
        Some(format!("<b>{}</b>", text(&words)))
    }

    fn error(&self) -> Option<String> {
        let died = |code: u8| {
            format!(
                "<b>Error</b> the step ended without a word, exit {code}: whether it changed something is not known"
            )
        };
        let Some(failure) = self.failure else { return self.stopped.map(died) };
        let reason = cut(self.failed("reason").unwrap_or("no reason"), 1, 80);
        let acted = match self.failed("acted") {
            Some("no") => "this step changed nothing",
            Some("yes") => "this step has changed something",
            _ => "whether this step changed something is not known",
        };
        let causes =
            failure.get("causes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let lines: Vec<&str> = self.failed("message").into_iter().chain(causes).collect();
        let said = cut(&lines.join("\n"), ERROR_LINES, ERROR_LENGTH);
        Some(format!("<b>Error</b> <code>{}</code>: {acted}\n<pre>{}</pre>", code(&reason), code(&said)))
    }

    fn next(&self) -> Option<String> {
        self.failed("next").map(|next| format!("<b>Next</b> <code>{}</code>", code(&cut(next, 6, 600))))
    }

    /// What a rollback has done to the data.
    fn data(&self) -> Option<String> {
        let Some(loss) = &self.loss else {
            let done = self.procedure == "rollback" && self.failed_at().is_none();
            return done.then(|| "<b>Data</b> untouched: only the code went back".to_owned());
        };
        let at = |time: &str| time.parse().map_or_else(|_| text(time), |at| instant(at, "t"));
        let rows = match loss.rows {
            Some(0) => ", no new rows".to_owned(),
            Some(1) => ", 1 new row".to_owned(),
            Some(rows) => format!(", {rows} new rows"),
            None => String::new(),
        };
        let kept = loss
            .kept_in
            .as_deref()
            .map(|name| format!("; kept in <code>{}</code>", code(name)))
            .unwrap_or_default();
        let span = duration(u128::from(loss.seconds) * 1000);
        Some(format!("<b>Data</b> as of {}: {span} of writes taken out{rows}{kept}", at(&loss.from)))
    }

    /// What a rollback would go back to.
    fn way_back(&self) -> Option<String> {
        if self.procedure == "rollback" || self.failed_at().is_some() {
            return None;
        }
        let version = self.previous.version.as_deref()?;
        let snapshot: Option<step::Snapshot> = typed(self.document, "snapshot");
        let data = snapshot.map(|s| format!(", data <code>{}</code>", code(&s.id))).unwrap_or_default();
        Some(format!("<b>Way back</b> {}{data}", text(version)))
    }

    fn changes(&self) -> Option<String> {
        let shown = self.failed_at().is_none() && self.procedure != "rollback";
        let notes = fact(self.document, "notes").filter(|_| shown)?;
        let entries: Vec<&str> =
            notes.lines().filter_map(|l| l.strip_prefix("- ").or_else(|| l.strip_prefix("* "))).collect();
        let more = entries.len().saturating_sub(CHANGES);
        let mut lines: Vec<String> =
            entries.iter().take(CHANGES).map(|e| format!("• {}", text(&cut(e, 1, 180)))).collect();
        if more > 0 {
            lines.push(format!("…and {more} more"));
        }
        (!lines.is_empty()).then(|| format!("<blockquote expandable>{}</blockquote>", lines.join("\n")))
    }

    fn steps(&self) -> String {
        let rows: Vec<(String, String, &str)> = self
            .document
            .steps()
            .iter()
            .map(|r| {
                (
                    name(r),
                    duration(u128::from(r["ms"].as_u64().unwrap_or_default())),
                    r["status"].as_str().unwrap_or(""),
                )
            })
            .collect();
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
        let names = width(&mut rows.iter().map(|r| r.0.chars().count()));
        let times = width(&mut rows.iter().map(|r| r.1.chars().count()));
        let line = |(name, time, status): &(String, String, &str)| {
            format!("{name:names$}  {time:>times$}  {status}")
        };
        let table = rows.iter().map(line).collect::<Vec<_>>().join("\n");
        if table.is_empty() { table } else { format!("<pre>{}</pre>", code(&cut(&table, 30, 800))) }
    }

    fn hashtags(&self) -> String {
        let ended = if self.failed_at().is_some() {
            format!("{}_failed", self.procedure)
        } else {
            self.procedure.to_owned()
        };
        let words = [fact(self.document, "product"), self.environment, Some(ended.as_str())];
        words.into_iter().flatten().map(|word| hashtag(&cut(word, 1, 60))).collect::<Vec<_>>().join(" ")
    }
}

fn fact<'a>(document: &'a Document, name: &str) -> Option<&'a str> {
    document.facts().get(name)?.as_str()
}

/// A fact with a shape; a malformed one is left out, because an incident's message must not die of it.
fn typed<T: serde::de::DeserializeOwned>(document: &Document, name: &str) -> Option<T> {
    serde_json::from_value(document.facts().get(name)?.clone()).ok()
}

fn name(record: &Value) -> String {
    let words = [record["name"].as_str(), record["action"].as_str()];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn duration(ms: u128) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..=59 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..=3599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// An instant that every reader sees in their own time zone. `format` is Telegram's: r relative, t time.
fn instant(at: Timestamp, format: &str) -> String {
    let shown = at.strftime("%-d %b %Y %H:%M UTC");
    format!("<tg-time unix=\"{}\" format=\"{format}\">{shown}</tg-time>", at.as_second())
}

/// At most so many lines and characters; what is left out is said.
fn cut(text: &str, lines: usize, length: usize) -> String {
    let total = text.lines().count();
    let mut kept: String = text.lines().take(lines).collect::<Vec<_>>().join("\n");
    if kept.chars().count() > length {
        kept = kept.chars().take(length - 1).collect::<String>() + "…";
    }
    if total > lines && lines > 1 {
        kept.push_str(&format!("\n({} more lines)", total - lines));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(procedure: &str, facts: &Value, steps: &Value, failure: Option<Value>) -> Document {
        let mut value = json!({ "schema": 1, "id": "aceh-commerce-1.2.0-20261124T120000Z-7f3a", "procedure": procedure, "mode": "apply",
                                "opened": "2026-11-24T12:00:00Z", "facts": facts, "steps": steps });
        if let Some(failure) = failure {
            value["failure"] = failure;
        }
        Document::parse(value.to_string().as_bytes()).expect("a document")
    }

    fn read(document: &Document) -> String {
        plain(&of(document, None).html)
    }

    #[test]
    fn a_release_says_what_is_live_and_the_way_back() {
        let facts = json!({ "product": "aceh-commerce", "environment": "production", "version": "1.2.0", "live": "1.2.0", "tag": "v1.2.0",
            "notes": "### Added\n- Pay with <QRIS> & @rina\n- A\n- B\n### Fixed\n- C\n- D\n- E\n- F\n", "previous": { "version": "1.1.4" },
            "snapshot": { "source": "archive", "id": "shop-20261124T120000Z-7f3a", "taken_at": "2026-11-24T12:00:01.000Z" } });
        let steps = json!([
            { "name": "changelog-lint", "status": "unchanged", "started": "2026-11-24T12:00:00.000Z", "ms": 12 },
            { "name": "deploy-coolify", "action": "deploy", "status": "changed", "started": "2026-11-24T12:00:01.000Z", "ms": 101_500 },
        ]);
        let release = document("release", &facts, &steps, None);
        let expected = "✅ aceh-commerce 1.2.0 → production
1m 42s · 24 Nov 2026 12:01 UTC
Live now: 1.2.0
Way back 1.1.4, data shop-20261124T120000Z-7f3a
• Pay with <QRIS> & @\u{2060}rina
• A
• B
• C
• D
…and 2 more
changelog-lint           0.0s  unchanged
deploy-coolify deploy  1m 41s  changed
#aceh_commerce #production #release";
        assert_eq!(read(&release), expected);
        assert!(of(&release, None).silent && !of(&release, None).urgent);
        let candidate = document(
            "candidate",
            &json!({ "product": "shop", "environment": "staging", "tag": "v1.2.0-rc2", "version": "1.2.0" }),
            &json!([]),
            None,
        );
        assert_eq!(of(&candidate, None).headline(), "✅ shop v1.2.0-rc2 → staging");
    }

    #[test]
    fn a_failure_says_where_what_is_live_and_what_next() {
        let facts = json!({ "product": "aceh-commerce", "environment": "production", "version": "1.3.0", "previous": { "version": "1.2.0" } });
        let steps = json!([{ "name": "deploy-coolify", "action": "deploy", "status": "failed", "started": "2026-11-24T12:00:00.000Z", "ms": 2000 }]);
        let failure = |acted: &str| {
            json!({ "step": "deploy-coolify", "kind": "failed", "reason": "not-live", "code": 1, "acted": acted,
            "message": "the pages answer with HTTP 500", "causes": ["relation \u{1b}[31m\"x\" does not exist"], "next": "rollback --database restore" })
        };
        let failed = document("release", &facts, &steps, Some(failure("yes")));
        let expected = "❌ aceh-commerce 1.3.0 → production FAILED at deploy-coolify deploy
2.0s · 24 Nov 2026 12:00 UTC
What is live now is not known
Error not-live: this step has changed something
the pages answer with HTTP 500
relation \"x\" does not exist
Next rollback --database restore
deploy-coolify deploy  2.0s  failed
#aceh_commerce #production #release_failed";
        assert_eq!(read(&failed), expected);
        assert!(!of(&failed, None).silent && of(&failed, None).urgent);
        let untouched = document("release", &facts, &steps, Some(failure("no")));
        assert!(read(&untouched).contains("\nLive now: 1.2.0, as before\n"), "{}", read(&untouched));
        assert_ne!(of(&failed, None).event, of(&untouched, None).event);
    }

    #[test]
    fn a_rollback_says_what_became_of_the_data() {
        let mut facts = json!({ "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0", "replaces": { "version": "1.3.0" },
            "loss": { "from": "2026-11-24T11:58:00.000Z", "to": "2026-11-24T12:00:03.500Z", "seconds": 123, "rows": 5, "kept_in": "shop__old_1" } });
        let back = read(&document("rollback", &facts, &json!([]), None));
        assert!(back.starts_with("↩️ shop 1.3.0 → 1.2.0 rolled back, production\n"), "{back}");
        assert!(back.contains("\nData as of 24 Nov 2026 11:58 UTC: 2m 03s of writes taken out, 5 new rows; kept in shop__old_1\n"), "{back}");
        facts.as_object_mut().expect("facts").remove("loss");
        let back = read(&document("rollback", &facts, &json!([]), None));
        assert!(back.contains("\nData untouched: only the code went back\n"), "{back}");
        let failure = json!({ "step": "db-restore", "kind": "refused", "reason": "no-snapshot", "code": 1, "acted": "no", "message": "none" });
        facts.as_object_mut().expect("facts").remove("live");
        let failed = read(&document("rollback", &facts, &json!([]), Some(failure)));
        assert!(
            failed.starts_with("🚨 shop 1.3.0 → 1.2.0 ROLLBACK FAILED at db-restore, production\n"),
            "{failed}"
        );
        assert!(failed.contains("\nLive now: 1.3.0, as before\n"), "{failed}");
    }

    #[test]
    fn a_step_that_died_is_no_success() {
        let facts = json!({ "product": "shop", "environment": "production", "version": "1.2.0", "previous": { "version": "1.1.4" } });
        let steps = json!([{ "name": "tag-rc", "action": "final", "status": "changed", "started": "2026-11-24T12:00:00.000Z", "ms": 20 }]);
        let died = of(&document("release", &facts, &steps, None), Some(137));
        assert_eq!(died.headline(), "❌ shop 1.2.0 → production FAILED at the step after tag-rc final");
        assert!(died.urgent && !died.silent);
        let said = plain(&died.html);
        assert!(
            said.contains("What is live now is not known")
                && said.contains("exit 137")
                && said.contains("#release_failed"),
            "{said}"
        );
    }

    #[test]
    fn the_longest_document_still_fits() {
        let long = "x<&>".repeat(3000);
        let steps: Vec<Value> = (0..200)
            .map(|n| json!({ "name": format!("step-{n}-{}", "y".repeat(60)), "status": "changed", "ms": 1 }))
            .collect();
        let causes: Vec<&str> = (0..20).map(|_| long.as_str()).collect();
        let failure = json!({ "step": long, "reason": long, "acted": "yes", "message": long, "causes": causes, "next": long });
        let facts = json!({ "product": "shop", "notes": format!("- {long}\n").repeat(50) });
        for failure in [None, Some(failure)] {
            let html = of(&document("release", &facts, &json!(steps), failure), None).html;
            assert!(length(&html) < 4096, "{}", length(&html));
        }
        let empty = read(&document("manual", &json!({}), &json!([]), None));
        assert!(!empty.contains("null") && !empty.contains("unknown"), "{empty}");
    }
}

//! The message about a document or about what somebody wrote, as every kind of channel needs it: HTML as Telegram knows it, what it is
//! about, how urgent it is, links, and the whole of a log that is too long for a message. Pure.

mod attachment;
pub mod html;
mod link;
pub mod markup;
pub mod samples;
pub mod story;
pub mod templates;
pub mod words;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use step::{Document, Failure, scrub, scrub_value};

pub use attachment::Attachment;
pub use link::Link;

use story::Story;
use templates::Layout;
use words::Words;

/// A message of this length is not divided by Telegram, whose limit is 4096: a mark has to fit too.
pub const LIMIT: usize = 3900;

/// A message, ready to be sent anywhere, now or later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The run that it is about.
    pub run: String,
    /// What it is about, within its run.
    pub event: String,
    /// `release_ok`, `rollback_failed`, `text`, ...
    pub kind: String,
    pub html: String,
    /// Without a sound.
    pub silent: bool,
    /// Rather twice than not at all.
    pub urgent: bool,
    pub failed: bool,
    #[serde(default)]
    pub links: Vec<Link>,
    /// Links whose host no chat can reach as a button; they stand in the text.
    #[serde(default)]
    pub plain_links: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Attachment>,
    /// The run whose message this one answers, if it is not the own one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// Why it says more than its own text; a line of HTML before it.
    #[serde(skip)]
    pub mark: Option<String>,
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What a webhook hands on.
    #[serde(default)]
    pub data: Value,
}

/// Why a message says more than its own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Repeat,
    /// By so many milliseconds.
    Delayed(u64),
    /// Of that channel.
    Instead(String),
    /// There was no place to write it down, so that nobody will know that it was sent.
    Unnoted,
}

/// What is told beside the document.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The exit code of a run that ended behind it without a document that says why.
    pub stopped: Option<u8>,
    /// A line that whoever reads it must know, such as that no hold is set.
    pub note: Option<String>,
}

impl Message {
    /// The message about a document.
    pub fn about(
        document: &Document,
        beside: &Beside,
        links: &[Link],
        layout: &Layout,
        warn: &mut dyn FnMut(String),
    ) -> Self {
        let mut data = document.to_value();
        scrub_value(&mut data);
        let document = &Document::parse(data.to_string().as_bytes()).unwrap_or_else(|_| document.clone());
        let mut story = Story::of(document, beside.stopped);
        story.note = beside.note.as_deref().map(|note| markup::cut(note, 2, 300));
        let links: Vec<Link> =
            links.iter().map(|link| link.filled(document)).chain(page(&story, layout)).collect();
        let (links, plain): (Vec<Link>, Vec<Link>) = links.into_iter().partition(Link::is_public);
        let plain_links = plain.iter().map(|link| link.label.clone()).collect();
        story.plain_links = plain;
        let mut html = layout.render(&story, warn);
        // One message is better than two: the last sections can best be done without.
        while html::length(&html) > LIMIT && story.room > 0 {
            story.room -= 1;
            html = layout.render(&story, &mut |_| {});
        }
        let document_text = story.error.as_ref().and_then(|e| e.whole.as_deref());
        Message {
            run: document.id().to_owned(),
            event: event(document, beside.stopped),
            kind: story.event.clone(),
            html,
            silent: !story.urgent(),
            urgent: story.urgent(),
            failed: story.failed.is_some(),
            links,
            plain_links,
            document: document_text
                .map(|text| Attachment { name: "failure.txt".to_owned(), text: markup::clean(text) }),
            answers: replaced_run(document),
            mark: None,
            at: story.ended.clone(),
            data,
        }
    }

    /// A message that somebody wrote, as text or as HTML.
    ///
    /// # Errors
    /// `usage`, `text` when there is nothing to say, or the HTML is none that Telegram takes.
    pub fn written(said: &str, as_html: bool, links: &[Link], run: String) -> Result<Self, Failure> {
        let said = scrub(said.trim());
        let mut html = if as_html { said } else { markup::text(&said) };
        if let Some((at, why)) = html::broken(&html).filter(|_| as_html) {
            return Err(Failure::usage("text", format!("--html: byte {at}: {why}")));
        }
        if html::plain(&html).trim().is_empty() {
            return Err(Failure::usage("text", "there is nothing to say"));
        }
        let (links, plain): (Vec<Link>, Vec<Link>) = links.iter().cloned().partition(Link::is_public);
        for link in &plain {
            html.push_str(&format!(
                "\n{} <code>{}</code>",
                markup::text(&link.label),
                markup::code(&link.url)
            ));
        }
        Ok(Message {
            run,
            event: "text".to_owned(),
            kind: "text".to_owned(),
            data: json!({ "text": html::plain(&html) }),
            html,
            silent: false,
            // Who sends by hand can look, and say it again.
            urgent: false,
            failed: false,
            links,
            plain_links: plain.into_iter().map(|l| l.label).collect(),
            document: None,
            answers: None,
            mark: None,
            at: None,
        })
    }

    /// Its first line for people.
    pub fn headline(&self) -> String {
        html::plain(self.html.lines().next().unwrap_or_default())
    }

    /// The first line as text, and the rest as HTML, for channels that show a title; all of it where an element goes over
    /// the line's end.
    pub fn headed(&self) -> (String, &str) {
        let (first, rest) = self.html.split_once('\n').unwrap_or((&self.html, ""));
        let torn = html::broken(first).is_some() || html::broken(rest).is_some();
        (markup::cut(&html::plain(first), 1, 300), if torn { &self.html } else { rest })
    }

    /// The same, with why it says more, a line for each reason.
    pub fn marked(&self, marks: &[Mark], words: &Words) -> Self {
        let line = |mark: &Mark| match mark {
            Mark::Repeat => words.word("repeat").to_owned(),
            Mark::Delayed(ms) => words.say("delayed", &[("span", &words.span(*ms))]),
            Mark::Instead(channel) => words.say("instead", &[("channel", channel)]),
            Mark::Unnoted => words.word("unnoted").to_owned(),
        };
        let lines: Vec<String> = marks.iter().map(|mark| markup::text(&line(mark))).collect();
        Message { mark: (!lines.is_empty()).then(|| lines.join("\n")), ..self.clone() }
    }
}

/// What it is about within its run: the same again is not said again.
fn event(document: &Document, stopped: Option<u8>) -> String {
    let what = match document.failure() {
        Some(failure) => {
            let word = |key: &str| failure.get(key).and_then(Value::as_str).unwrap_or_default();
            format!("failed-{}-{}-{}", word("step"), word("reason"), word("acted"))
        }
        None => stopped
            .map_or_else(|| "ok".to_owned(), |code| format!("stopped-{code}-{}", document.steps().len())),
    };
    format!("{}-{what}", document.procedure())
}

/// The first public page, for a good end.
fn page(story: &Story, layout: &Layout) -> Option<Link> {
    let url = story.urls.first().filter(|_| story.failed.is_none())?;
    Some(Link { label: layout.words().word("open").to_owned(), url: url.clone() })
}

/// A rollback answers the message about the release that it takes back.
fn replaced_run(document: &Document) -> Option<String> {
    Some(document.facts().get("replaces")?.get("run")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(procedure: &str, facts: &Value, steps: &Value, failure: Option<Value>) -> Document {
        let mut value = json!({ "schema": 1, "id": "aceh-commerce-1.2.0-20261124T120000Z-7f3a", "procedure": procedure, "mode": "apply",
                                "opened": "2026-11-24T12:00:00Z", "facts": facts, "steps": steps });
        if let Some(failure) = failure {
            value["failure"] = failure;
        }
        Document::parse(value.to_string().as_bytes()).expect("a document")
    }

    fn told(document: &Document, lang: &str, stopped: Option<u8>) -> Message {
        let quiet = &mut |why: String| panic!("{why}");
        let message = Message::about(
            document,
            &Beside { stopped, note: None },
            &[],
            &Layout::new(lang, None, quiet),
            quiet,
        );
        assert_eq!(html::broken(&message.html), None, "{}", message.html);
        assert!(!message.html.contains("null") && !message.html.contains("none"), "{}", message.html);
        message
    }

    fn read(document: &Document) -> String {
        html::plain(&told(document, "en", None).html)
    }

    fn release() -> (Value, Value) {
        let facts = json!({ "product": "aceh-commerce", "environment": "production", "version": "1.2.0", "live": "1.2.0", "tag": "v1.2.0",
            "notes": "### Added\n- Pay with <QRIS> & @rina\n- A\n- B\n### Fixed\n- C\n- D\n- E\n- F\n", "previous": { "version": "1.1.4" },
            "snapshot": { "source": "archive", "id": "shop-20261124T120000Z-7f3a", "taken_at": "2026-11-24T12:00:01.000Z" } });
        let steps = json!([
            { "name": "changelog-lint", "status": "unchanged", "started": "2026-11-24T12:00:00.000Z", "ms": 12, "summary": "7 entries" },
            { "name": "deploy-coolify", "action": "deploy", "status": "changed", "started": "2026-11-24T12:00:01.000Z", "ms": 101_500, "summary": "1.2.0 runs" },
        ]);
        (facts, steps)
    }

    fn failure(acted: &str) -> Value {
        json!({ "step": "deploy-coolify", "kind": "failed", "reason": "not-live", "code": 1, "acted": acted,
        "message": "the pages answer with HTTP 500", "causes": ["relation \u{1b}[31m\"x\" does not exist"], "next": "rollback --database restore" })
    }

    #[test]
    fn a_release_says_what_is_live_and_the_way_back() {
        let (facts, steps) = release();
        let release = document("release", &facts, &steps, None);
        let expected = "✅ aceh-commerce 1.2.0 → production
1m 42s · 24 Nov 2026 12:01 UTC
Live now: 1.2.0
Way back 1.1.4, data shop-20261124T120000Z-7f3a
Changes
• Pay with <QRIS> & @\u{2060}rina
• A
• B
• C
• D
…and 2 more
Steps
✓ changelog-lint · 0.0s · 7 entries
✓ deploy-coolify deploy · 1m 41s · 1.2.0 runs
#aceh_commerce #production #release";
        assert_eq!(read(&release), expected);
        let message = told(&release, "en", None);
        assert!(message.silent && !message.urgent && message.kind == "release_ok");
        let expected = "✅ aceh-commerce 1.2.0 → production
1 m 42 d · 24 Nov 2026 12:01 UTC
Sekarang aktif: 1.2.0
Jalan kembali 1.1.4, data shop-20261124T120000Z-7f3a
Perubahan
• Pay with <QRIS> & @\u{2060}rina";
        let indonesian = html::plain(&told(&release, "id", None).html);
        assert!(
            indonesian.starts_with(expected) && indonesian.contains("…dan 2 lagi\nTahap\n"),
            "{indonesian}"
        );
    }

    #[test]
    fn a_candidate_is_called_by_its_tag() {
        let facts = json!({ "product": "shop", "environment": "staging", "tag": "v1.2.0-rc2", "version": "1.2.0", "live": "1.2.0", "urls": ["https://s.example/"] });
        let candidate = read(&document("candidate", &facts, &json!([]), None));
        assert!(candidate.starts_with("✅ shop v1.2.0-rc2 → staging\n"), "{candidate}");
        assert!(
            candidate.contains("\nLive now: v1.2.0-rc2\nReady for QA https://s.example/\n"),
            "{candidate}"
        );
        let by_hand = read(&document("manual", &facts, &json!([]), None));
        assert!(by_hand.starts_with("✅ shop v1.2.0-rc2, staging: done by hand\n"), "{by_hand}");
        assert!(by_hand.contains("\nLive now: v1.2.0-rc2\n"), "{by_hand}");
        let failed = read(&document("candidate", &facts, &json!([]), Some(failure("yes"))));
        assert!(failed.starts_with("❌ shop v1.2.0-rc2 → staging FAILED at deploy-coolify\n"), "{failed}");
    }

    #[test]
    fn a_failure_says_where_what_is_live_and_what_next() {
        let facts = json!({ "product": "aceh-commerce", "environment": "production", "version": "1.3.0", "previous": { "version": "1.2.0" } });
        let steps = json!([{ "name": "deploy-coolify", "action": "deploy", "status": "failed", "started": "2026-11-24T12:00:00.000Z", "ms": 2000, "summary": "no" }]);
        let failed = document("release", &facts, &steps, Some(failure("yes")));
        let expected = "❌ aceh-commerce 1.3.0 → production FAILED at deploy-coolify deploy
2.0s · 24 Nov 2026 12:00 UTC
What is live now is not known; it was 1.2.0 before
Error not-live: this step has changed something
the pages answer with HTTP 500
relation \"x\" does not exist
Next rollback --database restore
Way back 1.2.0
Steps
✗ deploy-coolify deploy · 2.0s
#aceh_commerce #production #release_failed";
        assert_eq!(read(&failed), expected);
        let message = told(&failed, "en", None);
        assert!(!message.silent && message.urgent && message.document.is_none());
        let untouched = document("release", &facts, &steps, Some(failure("no")));
        assert!(read(&untouched).contains("\nLive now: 1.2.0, as before\n"), "{}", read(&untouched));
        assert_ne!(told(&failed, "en", None).event, told(&untouched, "en", None).event);
        let indonesian = html::plain(&told(&untouched, "id", None).html);
        assert!(
            indonesian.starts_with("❌ aceh-commerce 1.3.0 → production GAGAL di deploy-coolify deploy\n"),
            "{indonesian}"
        );
        assert!(indonesian.contains("\nGalat not-live: tahap ini tidak mengubah apa pun\n"), "{indonesian}");
    }

    #[test]
    fn a_rollback_says_what_became_of_the_data() {
        let mut facts = json!({ "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0",
            "replaces": { "version": "1.3.0", "run": "shop-1.3.0-20261124T110000Z-7f3a" },
            "loss": { "from": "2026-11-24T11:58:00.000Z", "to": "2026-11-24T12:00:03.500Z", "seconds": 123, "rows": 5, "kept_in": "shop__old_1" } });
        let back = document("rollback", &facts, &json!([]), None);
        assert_eq!(told(&back, "en", None).answers.as_deref(), Some("shop-1.3.0-20261124T110000Z-7f3a"));
        let back = read(&back);
        assert!(back.starts_with("↩️ shop 1.3.0 → 1.2.0 rolled back, production\n"), "{back}");
        let data = "\nData as of 24 Nov 2026 11:58 UTC: 2m 03s of writes taken out, up to 24 Nov 2026 12:00 UTC, 5 new rows; kept in shop__old_1\n";
        assert!(back.contains(data), "{back}");
        facts.as_object_mut().expect("facts").remove("loss");
        let back = read(&document("rollback", &facts, &json!([]), None));
        assert!(back.contains("\nData untouched: only the code went back\n"), "{back}");
        let failure = json!({ "step": "db-restore", "kind": "refused", "reason": "no-snapshot", "code": 1, "acted": "no", "message": "no snapshot" });
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
        let died = told(&document("release", &facts, &steps, None), "en", Some(137));
        assert_eq!(died.headline(), "❌ shop 1.2.0 → production FAILED at the step after tag-rc final");
        assert!(died.urgent && !died.silent);
        let said = html::plain(&died.html);
        assert!(
            said.contains("What is live now is not known")
                && said.contains("exit 137")
                && said.contains("#release_failed"),
            "{said}"
        );
    }

    #[test]
    fn the_longest_document_is_still_one_message() {
        let long = "x<&>".repeat(3000);
        let steps: Vec<Value> = (0..200)
            .map(|n| json!({ "name": format!("step-{n}-{}", "y".repeat(60)), "status": "changed", "ms": 1, "summary": long }))
            .collect();
        let causes: Vec<String> = (0..20).map(|n| format!("cause {n} {long}")).collect();
        let failure = json!({ "step": long, "reason": long, "acted": "yes", "message": long, "causes": causes, "next": long });
        let facts = json!({ "product": long, "environment": long, "version": long, "tag": long, "notes": format!("- {long}\n").repeat(200),
            "previous": { "version": long }, "live": long });
        for (procedure, failure) in
            [("release", None), ("release", Some(failure.clone())), ("rollback", Some(failure))]
        {
            let message = told(&document(procedure, &facts, &json!(steps), failure.clone()), "id", None);
            assert!(html::length(&message.html) <= LIMIT, "{}", html::length(&message.html));
            // What was left out of the error goes with it.
            let whole = message.document.map(|d| d.text);
            assert_eq!(whole.is_some(), failure.is_some());
            assert!(whole.is_none_or(|text| text.contains("cause 3 ") && text.lines().count() == 21));
        }
    }

    #[test]
    fn the_last_lines_of_an_error_are_kept() {
        let causes: Vec<String> = (0..20).map(|n| format!("cause {n}")).collect();
        let failure =
            json!({ "step": "a", "reason": "b", "acted": "no", "message": "it broke", "causes": causes });
        let said = read(&document("release", &json!({}), &json!([]), Some(failure)));
        assert!(said.contains("it broke\ncause 6\n") && said.contains("cause 19\n(6 more lines)"), "{said}");
    }

    #[test]
    fn links_that_no_chat_can_reach_are_text() {
        let link = |url: &str| Link { label: "Logs".into(), url: url.into() };
        let quiet = &mut |why: String| panic!("{why}");
        let links = [link("http://coolify:8000/{version}"), link("https://logs.example/{environment}")];
        let (facts, steps) = release();
        let message = Message::about(
            &document("release", &facts, &steps, None),
            &Beside::default(),
            &links,
            &Layout::new("en", None, quiet),
            quiet,
        );
        assert_eq!(message.links, [link("https://logs.example/production")]);
        assert!(
            message.html.contains("Logs <code>http://coolify:8000/1.2.0</code>")
                && message.plain_links == ["Logs"],
            "{}",
            message.html
        );
    }
}

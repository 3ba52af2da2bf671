//! What the chat would show, read by another parser than ours.

use super::*;

fn telegram() -> Telegram {
    let chat = Chat { id: "-1001234567890".into(), topic: None };
    Telegram { chat, token: Secret::new(""), url: String::new(), table: String::new(), main_chat: true }
}

/// What the chat would show; the stand-in's parser is another one than ours, and as strict as the real one.
fn shown(message: &Message) -> String {
    let payloads = telegram().payloads(message, &Earlier::default());
    let count = payloads.iter().filter(|p| p.call == "sendMessage").count();
    let part = |(i, payload): (usize, &Payload)| {
        let raw = payload.body["text"].as_str().expect("a text");
        let text = testkit::telegram_html::plain(raw).unwrap_or_else(|e| panic!("{e}: {raw}"));
        assert!((1..=4096).contains(&text.encode_utf16().count()) && raw.len() <= 32768, "{}", raw.len());
        if count == 1 {
            text
        } else {
            text.strip_prefix(&format!("({}/{count})\n", i + 1)).expect("a number").to_owned()
        }
    };
    let parts = payloads.iter().filter(|p| p.call == "sendMessage").enumerate().map(part);
    parts.collect::<Vec<_>>().join("")
}

/// Without what is not seen: the word joiners that keep people from being called, and line ends at seams.
fn seen(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\u{2060}').collect()
}

fn hostile() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        any::<String>(),
        proptest::collection::vec(any::<char>(), 0..40).prop_map(|chars| chars.into_iter().collect()),
        proptest::sample::select(vec![
            "<Vec<T>>",
            "a_b",
            "*x*",
            "`",
            "```",
            "&lt;",
            "&amp;amp;",
            "&#60;",
            "<b>",
            "</b>",
            "<a href=\"x",
            "\u{1b}[31mred\u{1b}[0m",
            "\u{1b}]0;title\u{7}",
            "\u{202e}gnp.exe",
            "\u{200f}",
            "🚨",
            "👩‍👩‍👧",
            "\r\n",
            "\n\n\n",
            "\t",
            "\0",
            "@channel",
            "@rina",
            "#tag",
            "null",
            "{{ x }}",
            "{% for %}",
            "https://a.example/?b=1&c=2",
            "\u{2028}",
            " ",
            "'\"",
            "ä",
            "漢字",
            "]]>",
            "<!--",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_somebody_writes_arrives(text in hostile(), times in 1..16_usize) {
        let text = text.repeat(times);
        let cleaned = crate::message::markup::clean(&step::scrub(&text));
        match Message::written(&text, false, &[], "r".into()) {
            Ok(message) => assert_eq!(seen(&shown(&message)), seen(&cleaned)),
            Err(failure) => assert!(failure.reason == "text" && seen(&cleaned).is_empty(), "{failure:?}: {text:?}"),
        }
    }

    #[test]
    fn whatever_stands_in_a_document_is_taken(text in hostile(), which in 0..6_usize, failed: bool, lang in proptest::sample::select(vec!["en", "id"])) {
        let procedure = ["candidate", "release", "hotfix", "rollback", "manual", text.as_str()][which];
        let mut value = serde_json::json!({ "schema": 1, "id": "x", "procedure": procedure, "mode": "apply", "opened": "2026-11-24T12:00:00Z",
            "facts": { "product": text, "version": text, "tag": text, "environment": text, "notes": format!("- {text}"), "live": text,
                "previous": { "version": text }, "replaces": { "version": text, "run": text }, "urls": [text],
                "snapshot": { "source": "x", "id": text, "taken_at": text },
                "loss": { "from": text, "to": text, "seconds": 7, "rows": 2, "kept_in": text } },
            "steps": [{ "name": text, "action": text, "status": text, "started": text, "ms": 1, "summary": text }] });
        if failed {
            value["failure"] = serde_json::json!({ "step": text, "reason": text, "acted": text, "message": text, "causes": [text, text], "next": text });
        }
        let document = step::Document::parse(value.to_string().as_bytes()).expect("a document");
        let quiet = &mut |why: String| panic!("{why}");
        let layout = crate::message::templates::Layout::new(lang, None, quiet);
        let message = Message::about(&document, &crate::message::Beside::default(), &[], &layout, quiet);
        let shown = shown(&message);
        if failed {
            let line = crate::message::markup::clean(&step::scrub(&text));
            let line = cut(line.lines().next().unwrap_or_default(), 1, 100);
            assert!(seen(&shown).contains(&seen(line.trim_end_matches('…'))), "{text:?}: {shown}");
        }
    }
}

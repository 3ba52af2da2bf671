//! What each channel is sent, whole, in both languages: a golden file for each channel. After a change that is meant,
//! `GOLDEN=write cargo test -p notify --test cli golden` writes them anew; the difference is what a team will see.

use std::path::Path;

use crate::support::Team;
use serde_json::{Map, Value, json};

const CHANNELS: &str = r#"
[notify.channels.telegram]
kind = "telegram"
chat_id = "-1001234567890:7"
[notify.channels.slack-api]
kind = "slack"
channel = "C012345"
[notify.channels.slack-webhook]
kind = "slack"
[notify.channels.discord]
kind = "discord"
[notify.channels.webhook]
kind = "webhook"
url = "https://hooks.example/rilis"
[notify.channels.ntfy]
kind = "ntfy"
topic = "luxima-alerts"
[notify.channels.apprise]
kind = "apprise"
url = "https://apprise.example"
tag = "ops"
[notify.links]
Logs = "https://logs.example/{version}"
Coolify = "http://coolify:8000"
"#;
const NAMES: [&str; 7] = ["telegram", "slack-api", "slack-webhook", "discord", "webhook", "ntfy", "apprise"];

/// A release with everything that a message can tell.
fn release() -> Value {
    json!({
        "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": "release", "mode": "apply", "opened": "2026-11-24T12:00:00Z",
        "facts": {
            "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0", "tag": "v1.2.0",
            "notes": "### Added\n- Pay with <QRIS> & @rina\n- `a_b` *c*\n- Gratis ongkir 🎉\n- D\n- E\n- F\n", "urls": ["https://shop.example/"],
            "previous": { "version": "1.1.4" },
            "snapshot": { "source": "archive", "id": "shop-20261124T115900Z-7f3a", "taken_at": "2026-11-24T11:59:01.000Z" },
        },
        "steps": [
            { "name": "changelog-lint", "status": "unchanged", "started": "2026-11-24T12:00:00.000Z", "ms": 12, "summary": "CHANGELOG.md describes 1.2.0" },
            { "name": "deploy-coolify", "action": "deploy", "status": "changed", "started": "2026-11-24T12:00:01.000Z", "ms": 101_500,
              "summary": "1.2.0 answers at <all> pages" },
        ],
    })
}

fn release_failed() -> Value {
    let mut document = release();
    document["facts"].as_object_mut().expect("facts").remove("live");
    document["steps"][1]["status"] = json!("failed");
    document["failure"] = json!({
        "step": "deploy-coolify", "kind": "failed", "reason": "not-live", "code": 1, "acted": "yes", "message": "the pages answer with HTTP 500",
        "causes": ["GET / 500", "relation \"orders_<x>\" does not exist"], "next": "rollback --database restore",
    });
    document
}

fn rollback() -> Value {
    let mut document = release();
    document["procedure"] = json!("rollback");
    document["facts"]["version"] = json!("1.1.4");
    document["facts"]["live"] = json!("1.1.4");
    document["facts"]["replaces"] = json!({ "version": "1.2.0", "run": "shop-1.2.0-20261124T120000Z-7f3a" });
    document["facts"]["loss"] = json!({ "from": "2026-11-24T11:58:00.000Z", "to": "2026-11-24T12:00:03.500Z", "seconds": 123, "rows": 5,
                                        "kept_in": "shop__old_1" });
    document
}

fn rollback_failed() -> Value {
    let mut document = rollback();
    document["facts"].as_object_mut().expect("facts").remove("live");
    document["failure"] = json!({
        "step": "cdn-purge", "kind": "temporary", "reason": "unreachable", "code": 75, "acted": "unknown",
        "message": "the edge cannot be reached", "next": "rilis-rollback --of shop-1.1.4-20261124T120000Z-7f3a",
    });
    document
}

/// What `notify preview` shows for one document, by the channel's name.
fn previewed(team: &Team, document: &Value, lang: &str) -> Map<String, Value> {
    team.file("document.json", &document.to_string());
    let (code, shown, stderr) = team.say(&["preview", "--of", "document.json", "--lang", lang, "--json"]);
    assert_eq!(stderr, "", "nothing is left out");
    assert_eq!(code, 0, "{stderr}");
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let of_channel = |c: &Value| (c["name"].as_str().expect("a name").to_owned(), c["payloads"].clone());
    shown["channels"].as_array().expect("channels").iter().map(of_channel).collect()
}

#[test]
fn every_channel_is_sent_exactly_this() {
    let team = Team::start();
    team.settings_with(&format!("channel = {NAMES:?}\n"), CHANNELS);
    let documents = [
        ("release_ok", release()),
        ("release_failed", release_failed()),
        ("rollback_ok", rollback()),
        ("rollback_failed", rollback_failed()),
    ];
    let mut all: Map<String, Value> = NAMES.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    for (event, document) in &documents {
        for lang in ["en", "id"] {
            for (channel, payloads) in previewed(&team, document, lang) {
                all[&channel][format!("{event} {lang}")] = payloads;
            }
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (channel, messages) in all {
        assert!(messages.as_object().is_some_and(|m| m.len() == 8), "{channel} is left out");
        let path = folder.join(format!("{channel}.json"));
        let now = format!("{messages:#}\n");
        assert!(!now.contains("null"), "{channel} says null: {now}");
        if std::env::var_os("GOLDEN").is_some_and(|word| word == "write") {
            std::fs::create_dir_all(&folder).expect("made");
            std::fs::write(&path, &now).expect("written");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let (line, was) = now
            .lines()
            .zip(golden.lines().chain(std::iter::repeat("")))
            .find(|(a, b)| a != b)
            .unwrap_or_default();
        assert!(now == golden, "{}: now {line:?}, it was {was:?}", path.display());
    }
}

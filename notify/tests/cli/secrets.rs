//! Secrets of others, in causes, logs and answers: masked in what is sent and in what is kept.

use crate::support::{Team, failed};
use serde_json::json;
use testkit::chats::Chat;
use testkit::http::{Fault, Reply};
use testkit::telegram::{refusal, too_many};

/// Each holds the word SECRET inside of what is secret in it. More, and what must stay, are in `step` (redact/shapes).
const PROBES: &[&str] = &[
    "postgres://shop:hun,terSECRET@db/x",
    "postgres://shop:p;(SECRET@db/x",
    "https://ghp_SECRETabcdefSECRET1234@github.com/x",
    "https://hooks.slack.com/services/T0/B0/SECRETSECRETSECRET",
    "Authorization: Bearer SECRETabcdefSECRET1234",
    "PASSWORD=SECRETSECRET",
    "PVEAPIToken=root@pam!ci=SECRET00-1111-2222-3333-444444444444",
    "//registry.npmjs.org/:_authToken=npm_SECRETabcdefSECRET1234",
    "{\"env\":\"{\\\"DB_PASSWORD\\\":\\\"SECRETSECRET\\\"}\"}",
];

#[test]
fn nothing_that_is_sent_or_kept_shows_them() {
    let team = Team::start();
    let mut document = failed();
    document["failure"]["causes"] = json!(PROBES);
    document["failure"]["message"] = json!(format!("it broke: {}", PROBES[0]));
    document["steps"] = json!([{ "name": "a", "status": "changed", "started": "2026-11-24T12:00:01.000Z", "ms": 1, "summary": PROBES[5] }]);
    let echo = |status, text: &str| Fault::Answer(refusal(status, &format!("Bad Request: {text}")));
    for (n, fault) in [
        Some(echo(400, PROBES[4])),
        Some(echo(403, PROBES[5])),
        Some(Fault::Answer(too_many(900))),
        Some(Fault::DropAfter),
        None,
    ]
    .into_iter()
    .enumerate()
    {
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-000{n}"));
        if let Some(fault) = fault {
            team.telegram.server().fault("POST", "/bot", 1, fault);
        }
        let (_, record, stderr) = team.tell(&document);
        assert!(
            !format!("{record}{stderr}{}", team.notes()).contains("SECRET"),
            "{n}: {record}{stderr}{}",
            team.notes()
        );
    }
    let sent = team.telegram.server().log();
    assert!(sent.len() >= 5 && sent.iter().all(|r| !String::from_utf8_lossy(&r.body).contains("SECRET")));
    assert!(team.texts()[0].contains("postgres://shop:[redacted]@db/x"), "{}", team.texts()[0]);
}

#[test]
fn a_webhook_hands_on_none_and_an_answer_echoes_none() {
    let chat = Chat::webhook();
    let team = Team::start();
    team.secret("whsec", "whsec_Y2FuYXJ5LW9sZC1zZWNyZXQtMTIzNA==");
    let table = format!(
        "[notify.channels.other]\nkind = \"webhook\"\nsecret_file = \"whsec\"\nurl = \"{}/hook\"\n",
        chat.server().url()
    );
    team.settings_with("channel = \"other\"\n", &table);
    let mut document = failed();
    document["failure"]["causes"] = json!(PROBES);
    chat.server().fault("POST", "/hook", 1, Fault::Answer(Reply::text(422, "text/plain", PROBES[4])));
    let (_, record, stderr) = team.tell(&document);
    assert!(!format!("{record}{stderr}{}", team.notes()).contains("SECRET"), "{record}{stderr}");
    chat.server().fault(
        "POST",
        "/hook",
        1,
        Fault::Answer(Reply::text(302, "text/plain", "").with("Location", PROBES[2])),
    );
    team.tell(&document);
    let (_, _, stderr) = team.say(&["flush", "--dead"]);
    assert!(!format!("{stderr}{}", team.notes()).contains("SECRET"), "{stderr}");
    assert!(!chat.taken().is_empty() && chat.taken().iter().all(|body| !body.to_string().contains("SECRET")));
}

#[test]
fn a_log_and_a_text_by_hand_show_none() {
    let team = Team::start();
    team.file("build.log", &PROBES.join("\n"));
    team.telegram.server().fault_after("POST", "/bot", 1, Fault::DropAfter);
    let (code, text, stderr) = team.say(&["send", &format!("see {}", PROBES[0]), "--file", "build.log"]);
    assert!(code == 0 && !format!("{text}{stderr}{}", team.notes()).contains("SECRET"), "{text}{stderr}");
    let sent = team.telegram.server().log();
    assert!(sent.iter().all(|r| !String::from_utf8_lossy(&r.body).contains("SECRET")));
}

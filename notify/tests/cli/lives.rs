//! The life of a message over several runs: what a refusal, a full channel, a kill and a fallback leave behind, and what the next notify
//! makes of it.

use std::time::Duration;

use crate::support::{Team, channel, failed, released, status};
use serde_json::{Value, json};
use step::Exit;
use testkit::chats::Chat;
use testkit::http::{Fault, Reply};
use testkit::telegram::{refusal, too_many};

fn not_found() -> Fault {
    Fault::Answer(refusal(400, "Bad Request: chat not found"))
}

#[test]
fn a_refusal_leaves_no_doubt() {
    for (document, refusals, sign) in [(released(), 1, "✅"), (failed(), 2, "❌")] {
        let team = Team::start();
        team.telegram.server().fault("POST", "/bot", refusals, not_found());
        for _ in 0..refusals {
            team.tell(&document);
        }
        assert_eq!((team.kept("dead").len(), team.kept("outbox").len()), (1, 0));
        // Tried again by hand while nobody is there, it waits, and the next one sends it as what it is.
        let (url, down) = (team.telegram.server().url(), "http://127.0.0.1:1");
        team.edit_settings(&url, down);
        let (code, _, stderr) = team.say(&["flush", "--dead", "--timeout", "1s"]);
        assert!(
            code == Exit::Temporary as i32 && stderr.contains("the message waits in the outbox"),
            "{stderr}"
        );
        team.edit_settings(down, &url);
        let (code, text, stderr) = team.say(&["flush"]);
        assert_eq!((code, text.as_str()), (0, "sent to luxima-alerts\n"), "{stderr}");
        let texts = team.texts();
        assert!(texts.len() == 1 && texts[0].starts_with(sign), "{texts:?}");
        assert_eq!((team.kept("dead").len(), team.kept("outbox").len()), (0, 0));
    }
}

#[test]
fn a_refusal_after_a_doubt_keeps_the_doubt() {
    let team = Team::start();
    // It arrives, the answer is lost, and the repeat is refused: whoever tries again says that it is a repeat.
    team.telegram.server().fault("POST", "/bot", 1, Fault::DropAfter);
    team.telegram.server().fault("POST", "/bot", 1, not_found());
    let (_, record, stderr) = team.tell(&failed());
    assert_eq!(channel(&record, "luxima-alerts")["status"], "refused", "{stderr}");
    let (_, text, _) = team.say(&["outbox"]);
    assert!(text.contains("given up") && text.contains("it may have arrived"), "{text}");
    assert_eq!(team.say(&["flush", "--dead"]).0, 0);
    let texts = team.texts();
    assert!(texts.len() == 2 && texts[1].starts_with("(repeat: "), "{texts:?}");
}

#[test]
fn what_may_have_arrived_is_a_dead_letter_and_no_secret() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::DropAfter);
    let (code, record, _) = team.tell(&released());
    assert_eq!((code, &channel(&record, "luxima-alerts")["status"]), (75, &json!("unknown")));
    // It is not sent again by itself, neither by the same news nor by a flush.
    assert_eq!(status(&team.tell(&released()).1), "skipped");
    assert_eq!(team.say(&["flush"]).1, "nothing was sent; 0 messages wait\n");
    assert_eq!(team.texts().len(), 1);
    let (_, text, _) = team.say(&["outbox"]);
    assert!(
        text.contains("given up") && text.contains("✅ shop 1.2.0") && text.contains("may have arrived"),
        "{text}"
    );
    assert_eq!(team.say(&["flush", "--dead"]).0, 0);
    let texts = team.texts();
    assert!(texts.len() == 2 && texts[1].starts_with("(repeat: "), "{texts:?}");
    assert_eq!(team.say(&["outbox"]).1, "nothing waits, and nothing was given up\n");
}

/// Twelve long steps and five long causes: a message of several parts for ntfy.
fn long() -> Value {
    let mut document = failed();
    let step = |n: usize| {
        json!({ "name": format!("s{n}"), "status": "unchanged", "started": "2026-11-24T12:00:01.000Z", "ms": 1,
                                  "summary": "漢字".repeat(70) })
    };
    document["steps"] = (0..12).map(step).collect();
    document["failure"]["causes"] = json!(vec!["漢".repeat(200); 5]);
    document
}

#[test]
fn a_fallback_goes_on_where_it_was() {
    let team = Team::start();
    let ntfy = Chat::ntfy("tk_canary-ntfy", "ops");
    team.secret("ntfy", "tk_canary-ntfy");
    let more = format!(
        "[notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\n",
        ntfy.server().url()
    );
    team.settings_with("channel = \"luxima-alerts\"\nfallback = \"ops\"\n", &more);
    team.telegram.server().fault("POST", "/bot", 9, not_found());
    let full = Reply::json(429, json!({ "code": 42908, "error": "limit reached" })).with("Retry-After", 3600);
    ntfy.server().fault_after("POST", "/", 1, Fault::Answer(full));
    let (_, record, stderr) = team.tell(&long());
    assert_eq!(channel(&record, "ops")["status"], "not-sent", "{stderr}");
    let parts = |chat: &Chat| -> Vec<String> {
        chat.taken().iter().map(|t| t["message"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(parts(&ntfy).len(), 1);
    // The hour is waited, whoever tells the same again.
    let requests = ntfy.server().log().len();
    let (_, record, _) = team.tell(&long());
    assert_eq!(
        (&channel(&record, "ops")["status"], ntfy.server().log().len()),
        (&json!("not-sent"), requests)
    );
    let (_, text, _) = team.say(&["outbox"]);
    assert!(text.contains("waits since") && text.contains("for ops:"), "{text}");
    // By hand it goes on with the second part.
    assert_eq!(team.say(&["flush"]).0, 0);
    let said = parts(&ntfy);
    assert!(
        said.len() >= 2 && said[0].starts_with("(here because luxima-alerts may not have got it)\n"),
        "{said:?}"
    );
    assert!(
        said[1..].iter().all(|part| !part.contains("(here because") && !part.contains("(repeat")),
        "{said:?}"
    );
    let titles: Vec<String> = ntfy.taken().iter().map(|t| t["title"].to_string()).collect();
    let numbered = |n: usize| format!("\"({}/{}) ", n + 1, titles.len());
    assert!(titles.iter().enumerate().all(|(n, title)| title.starts_with(&numbered(n))), "{titles:?}");
}

#[test]
fn urgent_news_goes_first() {
    let team = Team::start();
    let (url, down) = (team.telegram.server().url(), "http://127.0.0.1:1");
    team.edit_settings(&url, down);
    team.tell_with(&["--timeout", "1s"], &released());
    let mut back = released();
    back["procedure"] = json!("rollback");
    team.tell_with(&["--timeout", "1s"], &back);
    team.edit_settings(down, &url);
    // Two wait, and a failure is new: rollback and failure by their age, and then what is only good.
    let (_, record, stderr) = team.tell(&failed());
    assert_eq!(status(&record), "changed", "{stderr}");
    let signs: Vec<String> = team.texts().iter().map(|t| t.chars().take(1).collect()).collect();
    assert_eq!(signs, ["↩", "❌", "✅"]);
}

#[test]
fn whoever_is_killed_again_and_again_is_given_up_aloud() {
    let team = Team::start();
    let send = |n: usize| {
        team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(1)));
        let mut child = team
            .command(&[])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        let document = failed().to_string();
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), document.as_bytes())
            .expect("it reads");
        testkit::wait_for("the request", 20, || team.telegram.server().count("POST", "/bot") == n + 1);
        child.kill().expect("killed");
        child.wait().expect("it ended");
    };
    send(0);
    // A flush that is killed as well, and another.
    for n in 1..3 {
        team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(1)));
        let mut child = team.command(&["flush"]).spawn().expect("it starts");
        testkit::wait_for("the request", 20, || team.telegram.server().count("POST", "/bot") == n + 1);
        child.kill().expect("killed");
        child.wait().expect("it ended");
    }
    let texts = team.texts();
    assert_eq!(texts.iter().filter(|t| t.starts_with("(repeat: ")).count(), 2, "{texts:?}");
    let (_, text, stderr) = team.say(&["flush"]);
    assert!(
        text.starts_with("nothing was sent") && stderr.contains("given up: ❌ shop 1.2.0"),
        "{text}{stderr}"
    );
    assert_eq!((team.kept("dead").len(), team.texts().len()), (1, 3));
}

#[test]
fn good_news_that_a_kill_left_open_is_sent_by_hand_at_once() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(1)));
    let mut child = team.command(&[]).stdin(std::process::Stdio::piped()).spawn().expect("it starts");
    let document = released().to_string();
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), document.as_bytes())
        .expect("it reads");
    testkit::wait_for("the request", 20, || team.telegram.server().count("POST", "/bot") == 1);
    child.kill().expect("killed");
    child.wait().expect("it ended");
    let (code, text, stderr) = team.say(&["flush", "--dead"]);
    assert_eq!((code, text.as_str()), (0, "sent to luxima-alerts\n"), "{stderr}");
    let texts = team.texts();
    assert!(texts.len() == 2 && texts[1].starts_with("(repeat: "), "{texts:?}");
    assert_eq!((team.kept("outbox").len(), team.kept("dead").len()), (0, 0));
}

#[test]
fn a_document_that_could_not_go_along_is_not_said_to_wait() {
    let team = Team::start();
    let document = format!("/bot{}/sendDocument", crate::support::TOKEN);
    team.file("build.log", "a line\n");
    team.telegram.server().fault("POST", &document, 1, Fault::Answer(too_many(900)));
    let (code, text, stderr) = team.say(&["send", "it broke", "--file", "build.log", "--json"]);
    assert!(code == 0 && text.contains("\"document\""), "{text}{stderr}");
    assert!(
        stderr.contains("the message is there, its document is not: ") && !stderr.contains("waits"),
        "{stderr}"
    );
    assert_eq!((team.kept("outbox").len(), team.kept("dead").len()), (0, 0));
    // Where a channel takes none, it is said.
    let ntfy = Chat::ntfy("tk_canary-ntfy", "ops");
    team.secret("ntfy", "tk_canary-ntfy");
    let more = format!(
        "[notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\n",
        ntfy.server().url()
    );
    team.settings_with("channel = \"ops\"\n", &more);
    let (code, text, stderr) = team.say(&["send", "it broke", "--file", "build.log", "--json"]);
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &shown["channels"][0]["degraded"]), (0, &json!(["document"])), "{stderr}");
}

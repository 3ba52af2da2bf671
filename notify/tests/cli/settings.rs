//! Settings that are wrong: found by `--check` and at the start, and never in the way of urgent news.

use crate::support::{CHAT, Team, channel, failed, released, status};
use serde_json::json;
use step::Exit;
use testkit::chats::Chat;
use testkit::http::{Fault, Reply};

#[test]
fn a_pattern_that_can_match_nothing_is_an_error() {
    let team = Team::start();
    for (on, says) in [
        ("\"relase_failed\"", "`relase_failed` matches no message; did you mean `release_failed`?"),
        (
            "\"release_failed\", \"*rollback*\"",
            "`*rollback*`: one * may be at the beginning or at the end; write rollback_ok, rollback_failed",
        ),
        ("\"rolback_*\"", "did you mean `rollback_*`?"),
        ("\"production\"", "write a procedure (candidate, "),
    ] {
        team.settings(&format!("on = [{on}]\n"));
        let (code, text, stderr) = team.say(&["--check"]);
        assert!(
            code == Exit::Config as i32 && text.contains(says) && stderr.contains("release.toml:"),
            "{on}: {text}{stderr}"
        );
        assert!(text.contains("is the chat luxima alerts"), "the rest is checked as well: {text}");
        let requests = team.telegram.server().log().len();
        for args in [&[][..], &["--ready"]] {
            let (code, record, stderr) = team.tell_with(args, &released());
            assert!(
                code == Exit::Config as i32 && status(&record) == "failed" && stderr.contains(says),
                "{on}: {stderr}"
            );
        }
        assert_eq!(
            team.telegram.server().log().len(),
            requests,
            "nothing is sent before the settings are right"
        );
    }
    // Urgent news goes there rather than nowhere, and the error is said.
    team.settings("on = [\"relase_failed\"]\n");
    let (code, record, stderr) = team.tell(&failed());
    let fate = &channel(&record, "luxima-alerts")["status"];
    assert_eq!((code, status(&record), fate), (1, "failed", &json!("sent")), "{stderr}");
    assert!(
        stderr.contains("did you mean `release_failed`?") && stderr.contains("(told: luxima-alerts)"),
        "{stderr}"
    );
    // A hole in a link that is never filled.
    team.settings("[notify.links]\nLogs = \"https://logs.example/{verson}\"\n");
    let (code, text, _) = team.say(&["--check"]);
    assert!(
        code == Exit::Config as i32 && text.contains("`{verson}` is never filled; {version}, {tag}, "),
        "{text}"
    );
}

#[test]
fn a_channel_that_is_set_wrong_keeps_urgent_news_from_nobody_else() {
    let team = Team::start();
    let wrong =
        "[notify.channels.slack]\nkind = \"slack\"\nchannel = \"C012345\"\ntoken_file = \"nowhere\"\n";
    team.settings_with("channel = [\"slack\", \"luxima-alerts\", \"gone\"]\n", wrong);
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, team.texts().len()), (78, 0), "{stderr}");
    assert!(record.get("output").is_none_or(|o| o.get("channels").is_none()), "{record}");
    let (code, record, stderr) = team.tell(&failed());
    assert_eq!((code, team.texts().len()), (1, 1), "{stderr}");
    for (name, fate) in [("slack", "refused"), ("gone", "refused"), ("luxima-alerts", "sent")] {
        assert_eq!(channel(&record, name)["status"], fate, "{record}");
    }
    assert!(
        stderr.contains("token_file: there is no such file") && stderr.contains("no [notify.channels.gone]"),
        "{stderr}"
    );
}

#[test]
fn a_channel_that_is_named_twice_is_told_once() {
    let team = Team::start();
    team.settings_with(
        "channel = [\"luxima-alerts\", \"#luxima-alerts\"]\nfallback = \"luxima-alerts\"\n",
        "",
    );
    let (_, record, stderr) = team.tell(&released());
    assert_eq!((status(&record), team.texts().len()), ("changed", 1), "{stderr}");
}

fn away(status: u16) -> Fault {
    Fault::Answer(Reply::text(status, "text/html", "").with("Location", "https://login.example/?next=x"))
}

#[test]
fn a_redirect_is_refused_with_where_it_points() {
    for status in [301, 302, 303, 307, 308] {
        let team = Team::start();
        team.telegram.server().fault("POST", "/bot", 1, away(status));
        let (code, record, stderr) = team.tell(&failed());
        let told = channel(&record, "luxima-alerts");
        assert_eq!(
            (code, &told["status"], &told["reason"]),
            (1, &json!("refused"), &json!("channel")),
            "{stderr}"
        );
        assert!(
            stderr.contains(&format!("sends us to https://login.example/?next=x (HTTP {status})")),
            "{stderr}"
        );
        assert_eq!((team.telegram.server().log().len(), team.kept("dead").len()), (1, 1));
    }
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, away(301));
    let (code, text, _) = team.say(&["--check"]);
    assert!(code == Exit::Config as i32 && text.contains("sends us to https://login.example/"), "{text}");
}

#[test]
fn so_is_that_of_every_other_channel() {
    for (kind, chat, more) in [
        (
            "slack",
            Chat::slack_api("xoxb-canary-slack-token", "C1"),
            "channel = \"C1\"\ntoken_file = \"token\"\nurl = \"URL\"\n",
        ),
        ("ntfy", Chat::ntfy("tk_x", "ops"), "topic = \"ops\"\nurl = \"URL\"\n"),
        ("apprise", Chat::apprise("canary-key"), "key_file = \"token\"\nurl = \"URL\"\n"),
        ("discord", Chat::discord("/api/webhooks/1/x"), "webhook_file = \"hook\"\n"),
        ("webhook", Chat::webhook(), "url = \"URL/hook\"\nsecret_file = \"whsec\"\n"),
    ] {
        let team = Team::start();
        let url = chat.server().url();
        let table = format!("[notify.channels.other]\nkind = \"{kind}\"\n{}", more.replace("URL", &url));
        team.secret("token", "canary-key");
        team.secret("hook", &format!("{url}/api/webhooks/1/x"));
        team.secret("whsec", "whsec_Y2FuYXJ5LW9sZC1zZWNyZXQtMTIzNA==");
        team.settings_with("channel = \"other\"\n", &table);
        chat.server().fault("POST", "/", 1, away(302));
        let (code, record, stderr) = team.tell(&released());
        assert_eq!((code, &channel(&record, "other")["status"]), (78, &json!("refused")), "{kind}: {stderr}");
        assert!(stderr.contains("login.example"), "{kind}: {stderr}");
        ["GET", "POST"].iter().for_each(|method| chat.server().fault(method, "/", 1, away(302)));
        let (code, text, _) = team.say(&["--check"]);
        assert!(
            kind == "webhook" || (code == Exit::Config as i32 && text.contains("login.example")),
            "{kind}: {text}"
        );
    }
}

#[test]
fn a_file_that_is_named_is_what_is_complained_about() {
    let team = Team::start();
    for (text, says) in [
        ("", "is empty"),
        ("{\"schema\":1", "is "),
        ("[]", "is not a document"),
        ("{}", "it has no `schema`"),
    ] {
        team.file("document.json", text);
        let (code, _, stderr) = team.say(&["preview", "--of", "document.json"]);
        assert!(code == 2 && stderr.contains("document.json") && stderr.contains(says), "{stderr}");
        assert!(!stderr.contains("stdin"), "{stderr}");
    }
}

#[test]
fn what_waits_for_a_channel_that_is_gone_is_said() {
    let team = Team::start();
    let (url, down) = (team.telegram.server().url(), "http://127.0.0.1:1");
    team.edit_settings(&url, down);
    team.tell_with(&["--timeout", "1s"], &failed());
    let other = format!(
        "channel = \"new\"\n[notify.channels.new]\nkind = \"telegram\"\nchat_id = {CHAT}\nurl = \"{url}\"\n"
    );
    team.file("release.toml", &format!("[product]\nname = \"shop\"\n[notify]\nstate = \"state\"\n{other}"));
    let (code, text, stderr) = team.say(&["flush"]);
    assert_eq!((code, text.as_str()), (0, "nothing was sent; 1 message waits\n"), "{stderr}");
    assert!(
        stderr.contains("there is no [notify.channels.luxima-alerts] for what waits there: ❌ shop"),
        "{stderr}"
    );
}

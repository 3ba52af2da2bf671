//! Telegram's topics and rights: got round where the settings allow it, else a setting that is wrong.

use crate::support::{Team, channel, failed, released, status};
use serde_json::json;
use testkit::chats::Chat;
use testkit::http::Fault;
use testkit::telegram::refusal;

#[test]
fn a_topic_that_takes_no_messages_is_left_out() {
    for description in [
        "Bad Request: message thread not found",
        "Bad Request: TOPIC_CLOSED",
        "Bad Request: TOPIC_DELETED",
        "Bad Request: TOPIC_ID_INVALID",
        "Bad Request: CHAT_WRITE_FORBIDDEN",
        "Bad Request: have no rights to send a message",
        "Bad Request: not enough rights to send text messages to the chat",
    ] {
        let team = Team::start();
        team.telegram.topic(42);
        team.settings("topic = 42\n");
        team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(refusal(400, description)));
        let (code, record, stderr) = team.tell(&released());
        assert_eq!((code, status(&record)), (0, "changed"), "{description}: {stderr}");
        assert_eq!(channel(&record, "luxima-alerts")["degraded"], json!(["topic"]), "{description}");
        assert!(
            team.telegram.messages()[0].thread.is_none() && stderr.contains("the topic takes no messages"),
            "{stderr}"
        );
    }
}

#[test]
fn where_the_main_chat_is_not_for_it_the_fallback_is() {
    let team = Team::start();
    let ntfy = Chat::ntfy("tk_canary-ntfy", "ops");
    team.secret("ntfy", "tk_canary-ntfy");
    let more = format!(
        "topic = 42\nmain_chat = false\n[notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\n",
        ntfy.server().url()
    );
    team.settings_with("channel = \"luxima-alerts\"\nfallback = \"ops\"\n", &more);
    team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(refusal(400, "Bad Request: TOPIC_CLOSED")));
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, &channel(&record, "luxima-alerts")["reason"]), (78, &json!("chat")), "{stderr}");
    assert_eq!(channel(&record, "ops")["status"], "sent");
    assert!(
        stderr.contains("chat_id in [notify.channels.luxima-alerts]") && stderr.contains("(told: ops)"),
        "{stderr}"
    );
    assert_eq!((team.texts().len(), ntfy.taken().len()), (0, 1));
}

#[test]
fn a_chat_that_cannot_be_written_to_is_a_wrong_setting() {
    for (code, description) in [
        (400, "Bad Request: TOPIC_CLOSED"),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN"),
        (400, "Bad Request: CHAT_RESTRICTED"),
        (400, "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN"),
        (400, "Bad Request: CHAT_ADMIN_REQUIRED"),
        (400, "Bad Request: CHANNEL_PRIVATE"),
        (400, "Bad Request: PEER_ID_INVALID"),
        (400, "Bad Request: USER_BANNED_IN_CHANNEL"),
        (400, "Bad Request: group chat was deactivated"),
        (400, "Bad Request: group chat was upgraded to a supergroup chat"),
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: bot was kicked from the group chat"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (403, "Forbidden: user is deactivated"),
    ] {
        let team = Team::start();
        team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(refusal(code, description)));
        let (exit, record, stderr) = team.tell(&released());
        let reason = &channel(&record, "luxima-alerts")["reason"];
        assert_eq!((exit, reason), (78, &json!("chat")), "{description}: {stderr}");
        assert_eq!((team.telegram.server().log().len(), team.kept("dead").len()), (1, 1), "{description}");
    }
}

#[test]
fn a_thread_of_discord_that_is_gone_is_left_out() {
    let chat = Chat::discord("/api/webhooks/1/canary-discord");
    let team = Team::start();
    team.secret("hook", &format!("{}/api/webhooks/1/canary-discord", chat.server().url()));
    let table = "[notify.channels.other]\nkind = \"discord\"\ntopic = \"77\"\nwebhook_file = \"hook\"\n";
    team.settings_with("channel = \"other\"\n", table);
    let gone = testkit::http::Reply::json(404, json!({ "code": 10003, "message": "Unknown Channel" }));
    chat.server().fault("POST", "/api", 1, Fault::Answer(gone.clone()));
    let (_, record, stderr) = team.tell(&failed());
    assert_eq!(channel(&record, "other")["degraded"], json!(["topic"]), "{stderr}");
    let log = chat.server().log();
    assert!(
        log[0].target.contains("thread_id=77") && !log[1].target.contains("thread_id"),
        "{}",
        log[1].target
    );
    team.settings_with("channel = \"other\"\n", &format!("{table}main_chat = false\n"));
    chat.server().fault("POST", "/api", 1, Fault::Answer(gone));
    let (code, record, _) = team.tell(&released());
    assert_eq!((code, &channel(&record, "other")["status"]), (78, &json!("refused")));
}

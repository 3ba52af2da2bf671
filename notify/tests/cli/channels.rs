//! The real binary against each kind of channel: what it sends there, what it makes of each answer, and what `--check` proves.

use crate::support::{Team, channel, failed, released, status};
use serde_json::{Value, json};
use step::Exit;
use testkit::chats::Chat;
use testkit::http::{Fault, Reply, Request};
use testkit::slack;
use testkit::telegram::refusal;

/// A team that is told in one other channel.
fn one(kind: &str, chat: &Chat, more: &str) -> Team {
    let team = Team::start();
    let url = chat.server().url();
    let table = format!("[notify.channels.other]\nkind = \"{kind}\"\n{}", more.replace("URL", &url));
    team.settings_with("channel = \"other\"\n", &table);
    team
}

/// Status and reason for each answer of a channel to a first request.
fn answers(team: &Team, chat: &Chat, prefix: &str, table: &[(Reply, &str, &str)]) {
    for (n, (reply, fate, reason)) in table.iter().enumerate() {
        chat.server().fault("POST", prefix, 1, Fault::Answer(reply.clone()));
        let mut document = released();
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-{n:04}"));
        let (code, record, stderr) = team.tell(&document);
        let told = channel(&record, "other");
        assert_eq!(
            (&told["status"], &told["reason"]),
            (&json!(fate), &json!(reason)),
            "{n}: {reply:?} {stderr}"
        );
        assert_eq!(
            code,
            match *reason {
                "channel" => 78,
                "refused" => 1,
                _ => 75,
            },
            "{n}: {stderr}"
        );
    }
}

fn text(status: u16, body: &str) -> Reply {
    Reply::text(status, "text/plain", body)
}

fn sent(team: &Team, document: &Value) -> Value {
    let (_, record, stderr) = team.tell(document);
    assert_eq!(status(&record), "changed", "{stderr}");
    channel(&record, "other").clone()
}

#[test]
fn slack_by_its_web_api() {
    let chat = Chat::slack_api("xoxb-canary-slack-token", "C012345");
    let team = one(
        "slack",
        &chat,
        "channel = \"C012345\"\ntoken_file = \"slack\"\nurl = \"URL\"\n[notify.links]\nLogs = \"https://logs.example/?a=1&b\"\n",
    );
    team.secret("slack", "xoxb-canary-slack-token");
    let (code, says, stderr) = team.say(&["--check"]);
    assert_eq!((code, says.as_str()), (0, "other is #alerts of Luxima\n"), "{stderr}");
    assert_eq!(sent(&team, &failed())["messages"], json!(["1700000000.000000"]));
    sent(&team, &released());
    let taken = chat.taken();
    let said = slack::shown(&taken[0]).expect("it can be shown");
    assert!(
        said.starts_with("❌ shop 1.2.0 → production FAILED at cdn-purge\n")
            && said.contains("\nold <html>\n"),
        "{said}"
    );
    let last =
        &taken[0]["blocks"][0]["elements"].as_array().expect("elements").last().expect("one")["elements"];
    let link = last.as_array().expect("elements").last().expect("a link");
    assert_eq!(*link, json!({ "type": "link", "url": "https://logs.example/?a=1&b", "text": "Logs" }));
    // The second message about a run answers the first one, in its thread and in the channel.
    assert_eq!(
        (&taken[1]["thread_ts"], &taken[1]["reply_broadcast"]),
        (&json!("1700000000.000000"), &json!(true))
    );
}

#[test]
fn what_slack_says_no_with() {
    let chat = Chat::slack_api("xoxb-canary-slack-token", "C012345");
    let team = one("slack", &chat, "channel = \"C012345\"\ntoken_file = \"slack\"\nurl = \"URL\"\n");
    team.secret("slack", "xoxb-canary-slack-token");
    let error = |word: &str| Reply::json(200, json!({ "ok": false, "error": word }));
    answers(
        &team,
        &chat,
        "/",
        &[
            (error("not_in_channel"), "refused", "channel"),
            (error("channel_not_found"), "refused", "channel"),
            (error("is_archived"), "refused", "channel"),
            (error("invalid_auth"), "refused", "channel"),
            (error("token_revoked"), "refused", "channel"),
            (error("missing_scope"), "refused", "channel"),
            (error("msg_too_long"), "refused", "refused"),
            (error("internal_error"), "unknown", "delivery-unknown"),
            (error("fatal_error"), "unknown", "delivery-unknown"),
            (Reply::json(200, json!({ "ok": true })), "unknown", "delivery-unknown"),
            (text(200, ""), "unknown", "delivery-unknown"),
            (text(503, "<html>"), "unknown", "delivery-unknown"),
        ],
    );
    let limited = Reply::json(429, json!({ "ok": false, "error": "ratelimited" })).with("Retry-After", 900);
    answers(&team, &chat, "/", &[(limited, "not-sent", "rate")]);
    // A wrong token is found by the check.
    team.secret("slack", "xoxb-canary-other");
    assert_eq!(team.say(&["--check"]).0, 78);
}

#[test]
fn what_a_person_wrote_looks_in_slack_as_it_was_written() {
    let chat = Chat::slack_api("xoxb-canary-slack-token", "C012345");
    let team = one("slack", &chat, "channel = \"C012345\"\ntoken_file = \"slack\"\nurl = \"URL\"\n");
    team.secret("slack", "xoxb-canary-slack-token");
    let wrote =
        "accept *args* and _private_ names, ~old~ one, `x`, <!channel>, @here, <https://a.example|b>, :tada:";
    let mut document = released();
    document["facts"]["notes"] = json!(format!("- {wrote}"));
    sent(&team, &document);
    let (blocks, mut plain) = (chat.taken()[0].clone(), chat.taken()[0].clone());
    let seen = |body: &Value| slack::shown(body).expect("it can be shown").replace('\u{2060}', "");
    assert!(seen(&blocks).contains(&format!("\n• {wrote}")), "{}", seen(&blocks));
    let body = blocks.to_string();
    assert!(!body.contains("\"user\"") && !body.contains("broadcast") && !body.contains("emoji"), "{body}");
    // Where no blocks are shown it is the same, also to a server that knows no `mrkdwn: false`.
    let fields = plain.as_object_mut().expect("a body");
    fields.remove("blocks");
    fields.remove("mrkdwn");
    assert!(seen(&plain).contains(&format!("\n• {wrote}")), "{}", seen(&plain));

    // Blocks that are not taken are got round, and so are a thread and a message that are gone.
    let error = |word: &str| Fault::Answer(Reply::json(200, json!({ "ok": false, "error": word })));
    chat.server().fault("POST", "/chat", 1, error("invalid_blocks"));
    assert_eq!(sent(&team, &failed())["degraded"], json!(["layout"]));
    assert!(chat.taken()[1].get("blocks").is_none());
    let mut other = failed();
    other["failure"]["reason"] = json!("other");
    chat.server().fault("POST", "/chat", 1, error("thread_not_found"));
    assert_eq!(sent(&team, &other)["degraded"], json!(["reply"]));
    team.edit_settings("channel = \"C012345\"", "channel = \"C012345\"\nfollow_up = \"edit\"");
    document["procedure"] = json!("hotfix");
    chat.server().fault("POST", "/chat.update", 1, error("message_not_found"));
    assert_eq!(sent(&team, &document)["degraded"], json!(["edit"]));
    assert_eq!(chat.server().log().last().expect("a request").path, "/chat.postMessage");
}

#[test]
fn slack_by_a_webhook() {
    let chat = Chat::slack_webhook("/services/T/B/canary-hook");
    let team = one("slack", &chat, "webhook_file = \"hook\"\n");
    team.secret("hook", &format!("{}/services/T/B/canary-hook", chat.server().url()));
    let told = sent(&team, &released());
    assert!(
        told.get("messages").is_none()
            && slack::shown(&chat.taken()[0]).expect("it can be shown").starts_with("✅ shop"),
        "{told}"
    );
    answers(
        &team,
        &chat,
        "/",
        &[
            (text(400, "invalid_payload"), "refused", "refused"),
            (text(400, "no_text"), "refused", "refused"),
            (text(403, "action_prohibited"), "refused", "channel"),
            (text(403, "invalid_token"), "refused", "channel"),
            (text(404, "no_service"), "refused", "channel"),
            (text(404, "channel_not_found"), "refused", "channel"),
            (text(410, "channel_is_archived"), "refused", "channel"),
            (text(500, "rollup_error"), "unknown", "delivery-unknown"),
            (text(200, "<html>sign in</html>"), "unknown", "delivery-unknown"),
            (text(429, "").with("Retry-After", 900), "not-sent", "rate"),
        ],
    );
    let (code, says, _) = team.say(&["--check"]);
    assert!(code == 0 && says.contains("can only be proven by a message"), "{says}");
    // An address over plain HTTP would show the secret.
    team.secret("hook", "http://hooks.slack.example/services/T/B/canary-hook");
    assert!(team.tell(&failed()).2.contains("use https://"));
}

#[test]
fn discord() {
    let chat = Chat::discord("/api/webhooks/1/canary-discord");
    let team = one("discord", &chat, "webhook_file = \"hook\"\n");
    team.secret("hook", &format!("{}/api/webhooks/1/canary-discord", chat.server().url()));
    assert_eq!(team.say(&["--check"]).1, "other is the webhook luxima of Discord\n");
    let mut document = failed();
    document["failure"]["message"] = json!("@everyone look at a_b and *c*");
    assert_eq!(sent(&team, &document)["messages"], json!(["9000"]));
    let body = &chat.taken()[0];
    assert_eq!(body["content"], "❌ shop 1.2.0 → production FAILED at cdn-purge");
    assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
    let embed = body["embeds"][0]["description"].as_str().expect("text");
    assert!(
        embed.contains("```@everyone look at a_b and *c*```") && embed.contains("**Error** `edge-stale`"),
        "{embed}"
    );
    answers(
        &team,
        &chat,
        "/api",
        &[
            (Reply::json(404, json!({ "code": 10015, "message": "Unknown Webhook" })), "refused", "channel"),
            (
                Reply::json(401, json!({ "code": 50027, "message": "Invalid Webhook Token" })),
                "refused",
                "channel",
            ),
            (
                Reply::json(400, json!({ "code": 50035, "message": "Invalid Form Body" })),
                "refused",
                "refused",
            ),
            (text(204, ""), "unknown", "delivery-unknown"),
            (text(502, "<html>"), "unknown", "delivery-unknown"),
            (Reply::json(429, json!({ "retry_after": 900.5, "global": false })), "not-sent", "rate"),
        ],
    );
    // A limit of a moment is waited for.
    chat.server().fault("POST", "/api", 1, Fault::Answer(Reply::json(429, json!({ "retry_after": 0.3 }))));
    assert_eq!(sent(&team, &released())["attempts"], 2);
    // A text that is longer than Discord takes is divided.
    let (code, _, stderr) = team.say(&["send", &"a_b *c* ".repeat(900)]);
    assert_eq!(code, 0, "{stderr}");
}

/// The signature that the specification asks for; that our HMAC is the specification's is proven by its own example.
fn signature(secret: &str, request: &Request) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let body = String::from_utf8_lossy(&request.body);
    let signed = format!("{}.{}.{body}", request.header("webhook-id"), request.header("webhook-timestamp"));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &STANDARD.decode(secret).expect("base64"));
    format!("v1,{}", STANDARD.encode(ring::hmac::sign(&key, signed.as_bytes())))
}

#[test]
fn a_signed_webhook() {
    let (old, new) = ("Y2FuYXJ5LW9sZC1zZWNyZXQtMTIzNA==", "Y2FuYXJ5LW5ldy1zZWNyZXQtMTIzNA==");
    let chat = Chat::webhook();
    let team = one("webhook", &chat, "url = \"URL/hook\"\nsecret_file = \"secret\"\n");
    team.secret("secret", &format!("whsec_{new} whsec_{old}"));
    // It is known again by its id: what may have been carried out is sent again, signed anew.
    chat.server().fault("POST", "/hook", 1, Fault::DropAfter);
    let told = sent(&team, &failed());
    let log = chat.server().log();
    assert_eq!((log.len(), &told["attempts"]), (2, &json!(2)));
    assert_eq!(log[0].header("webhook-id"), log[1].header("webhook-id"));
    assert_eq!(told["messages"], json!([log[1].header("webhook-id")]));
    for request in &log {
        assert_eq!(
            request.header("webhook-signature"),
            format!("{} {}", signature(new, request), signature(old, request))
        );
    }
    let body = &chat.taken()[0];
    assert_eq!((&body["type"], &body["data"]["failure"]), (&json!("release.failed"), &failed()["failure"]));
    assert_eq!(body["data"]["facts"], failed()["facts"]);
    answers(
        &team,
        &chat,
        "/hook",
        &[
            (text(410, "gone"), "refused", "channel"),
            (text(401, "who?"), "refused", "channel"),
            (text(422, "what?"), "refused", "refused"),
            (text(429, "").with("Retry-After", 900), "not-sent", "rate"),
            (text(503, "").with("Retry-After", 900), "not-sent", "unreachable"),
        ],
    );
    team.secret("secret", "canary-no-secret");
    let (code, _, stderr) = team.say(&["--check"]);
    assert!(code == Exit::Config as i32 && stderr.contains("whsec_"), "{stderr}");
}

#[test]
fn ntfy() {
    let chat = Chat::ntfy("tk_canary-ntfy", "ops");
    let team = one(
        "ntfy",
        &chat,
        "topic = \"ops\"\ntoken_file = \"token\"\nurl = \"URL\"\n[notify.links]\nA = \"https://a.example/\"\nB = \"https://b.example/\"\nC = \"https://c.example/\"\nD = \"https://d.example/\"\n",
    );
    team.secret("token", "tk_canary-ntfy");
    assert!(team.say(&["--check"]).1.starts_with("other is the topic ops at http://127.0.0.1:"));
    assert_eq!(sent(&team, &released())["messages"], json!(["n0"]));
    let body = &chat.taken()[0];
    assert_eq!((&body["title"], &body["priority"]), (&json!("✅ shop 1.2.0 → production"), &json!(2)));
    assert!(body["message"].as_str().expect("text").contains("• a <b> & c"), "{body}");
    assert_eq!(body["actions"].as_array().map(Vec::len), Some(3));
    answers(
        &team,
        &chat,
        "/",
        &[
            (Reply::json(401, json!({ "code": 40101, "error": "unauthorized" })), "refused", "channel"),
            (Reply::json(403, json!({ "code": 40301, "error": "forbidden" })), "refused", "channel"),
            (Reply::json(400, json!({ "code": 40024, "error": "invalid request" })), "refused", "refused"),
            (
                Reply::json(413, json!({ "code": 41301, "error": "attachment too large" })),
                "refused",
                "refused",
            ),
            (Reply::json(200, json!({})), "unknown", "delivery-unknown"),
            (text(500, ""), "unknown", "delivery-unknown"),
            (
                Reply::json(429, json!({ "code": 42908, "error": "limit reached" })).with("Retry-After", 900),
                "not-sent",
                "rate",
            ),
        ],
    );
}

#[test]
fn ntfy_takes_4096_bytes_and_may_not_show_a_topic() {
    let chat = Chat::ntfy("tk_canary-ntfy", "ops");
    let team = one("ntfy", &chat, "topic = \"ops\"\ntoken_file = \"token\"\nurl = \"URL\"\n");
    team.secret("token", "tk_canary-ntfy");
    // 4,096 bytes are its limit: longer ones are divided, by bytes.
    let (code, _, stderr) = team.say(&["send", &"漢字🚨 ".repeat(900)]);
    assert_eq!(code, 0, "{stderr}");
    let parts = chat.taken();
    assert!(
        parts.len() > 2 && parts[0]["title"].as_str().expect("a title").starts_with("(1/"),
        "{}",
        parts[0]
    );
    chat.server().fault(
        "GET",
        "/ops/auth",
        1,
        Fault::Answer(Reply::json(403, json!({ "error": "forbidden" }))),
    );
    let (code, says, _) = team.say(&["--check"]);
    assert!(code == 0 && says.contains("may not read"), "{says}");
}

#[test]
fn apprise() {
    let chat = Chat::apprise("canary-key");
    let team = one("apprise", &chat, "key_file = \"key\"\nurl = \"URL\"\ntag = \"ops\"\n");
    team.secret("key", "canary-key");
    assert!(team.say(&["--check"]).1.starts_with("other is a configuration of Apprise at "));
    let told = sent(&team, &failed());
    assert!(told.get("messages").is_none(), "{told}");
    let body = &chat.taken()[0];
    assert_eq!(
        (&body["type"], &body["tag"], &body["format"]),
        (&json!("failure"), &json!("ops"), &json!("text"))
    );
    assert_eq!(body["title"], "❌ shop 1.2.0 → production FAILED at cdn-purge");
    assert!(body["body"].as_str().expect("text").contains("old <html>"), "{body}");
    answers(
        &team,
        &chat,
        "/notify",
        &[
            (text(204, ""), "refused", "channel"),
            (Reply::json(400, json!({ "error": "bad" })), "refused", "refused"),
            (Reply::json(424, json!({ "error": "some failed" })), "unknown", "delivery-unknown"),
            (text(500, ""), "unknown", "delivery-unknown"),
        ],
    );
    team.secret("key", "canary-other");
    assert_eq!(team.say(&["--check"]).0, 78);
}

/// Code, description, what becomes of the message, and why.
const TELEGRAM: &[(u16, &str, &str, &str)] = &[
    (401, "Unauthorized", "refused", "token"),
    (401, "Unauthorized: invalid token specified", "refused", "token"),
    (404, "Not Found", "refused", "token"),
    (421, "Misdirected Request: unallowed token specified", "refused", "token"),
    (400, "Bad Request: chat_id is empty", "refused", "chat"),
    (400, "Bad Request: chat not found", "refused", "chat"),
    (403, "Forbidden: bot was kicked from the supergroup chat", "refused", "chat"),
    (403, "Forbidden: bot is not a member of the channel chat", "refused", "chat"),
    (403, "Forbidden: bot was blocked by the user", "refused", "chat"),
    (403, "Forbidden: the group chat was deleted", "refused", "chat"),
    (400, "Bad Request: need administrator rights in the channel chat", "refused", "chat"),
    (400, "Bad Request: not enough rights to send text messages to the chat", "refused", "chat"),
    (400, "Bad Request: text must be non-empty", "refused", "refused"),
    (400, "Bad Request: message is too long", "refused", "refused"),
    (413, "Request Entity Too Large", "refused", "refused"),
    (502, "Bad Gateway", "unknown", "delivery-unknown"),
    (504, "Gateway Timeout", "unknown", "delivery-unknown"),
];

#[test]
fn telegrams_own_table_of_errors() {
    for (code, description, fate, reason) in TELEGRAM {
        let team = Team::start();
        team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(refusal(*code, description)));
        let (_, record, stderr) = team.tell(&released());
        let told = channel(&record, "luxima-alerts");
        assert_eq!(
            (&told["status"], &told["reason"]),
            (&json!(fate), &json!(reason)),
            "{description}: {stderr}"
        );
        assert_eq!(team.telegram.server().log().len(), 1, "{description}");
    }
}

#[test]
fn what_telegram_refuses_is_got_round_where_it_can_be() {
    // What can be got round is got round, each once, and said.
    for (description, given_up) in [
        (
            "Bad Request: inline keyboard button URL 'https://logs.example/' is invalid: Wrong HTTP URL",
            "buttons",
        ),
        ("Bad Request: BUTTON_URL_INVALID", "buttons"),
        ("Bad Request: reply markup is too long", "buttons"),
        ("Bad Request: can't parse entities: Unsupported start tag \"tg-time\" at byte offset 9", "layout"),
        ("Bad Request: ENTITIES_TOO_LONG", "layout"),
    ] {
        let team = Team::start();
        team.settings("[notify.links]\nLogs = \"https://logs.example/\"\n");
        team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(refusal(400, description)));
        let (_, record, stderr) = team.tell(&released());
        let told = channel(&record, "luxima-alerts");
        assert_eq!(
            (status(&record), &told["degraded"]),
            ("changed", &json!([given_up])),
            "{description}: {stderr}"
        );
        assert_eq!(team.telegram.messages()[0].buttons.is_empty(), given_up == "buttons");
    }
    // A server that restarts has done nothing: it is asked again.
    let team = Team::start();
    team.telegram.server().fault(
        "POST",
        "/bot",
        1,
        Fault::Answer(refusal(500, "Internal Server Error: restart")),
    );
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, &channel(&record, "luxima-alerts")["attempts"]), (0, &json!(2)), "{stderr}");
}

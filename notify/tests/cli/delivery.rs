//! What becomes of a message when something breaks on the way: nothing is lost, nothing is sent twice in silence, and nothing is called
//! sent that is not there.

use std::time::{Duration, Instant};

use crate::support::{CHAT, TOKEN, Team, channel, failed, released, status};
use serde_json::json;
use step::Exit;
use testkit::chats::Chat;
use testkit::http::{Fault, Reply};
use testkit::telegram::{refusal, too_many};

#[test]
fn nothing_is_called_sent_that_is_not_there() {
    let text = |status, kind: &str, body: &str| Fault::Answer(Reply::text(status, kind, body));
    for (n, fault) in [
        text(502, "text/html", "<html><h1>502 Bad Gateway</h1></html>"),
        text(504, "text/html", "<html>Gateway Time-out</html>"),
        text(200, "application/json", ""),
        text(200, "text/html", "<html>sign in</html>"),
        text(200, "application/json", "{\"ok\":true,\"result\":{}}"),
        Fault::Cut,
        Fault::DropBefore,
        Fault::DropAfter,
    ]
    .into_iter()
    .enumerate()
    {
        let team = Team::start();
        team.telegram.server().fault("POST", "/bot", 1, fault);
        let (code, record, stderr) = team.tell(&released());
        assert_eq!((code, status(&record)), (Exit::Temporary as i32, "failed"), "{n}: {stderr}");
        let chat = channel(&record, "luxima-alerts");
        assert_eq!(
            (&chat["status"], &chat["reason"]),
            (&json!("unknown"), &json!("delivery-unknown")),
            "{n}"
        );
        assert_eq!(team.telegram.server().log().len(), 1, "{n}: good news is not sent twice");
    }
    let team = Team::start();
    team.telegram.server().fault(
        "POST",
        "/bot",
        1,
        Fault::Answer(refusal(400, "Bad Request: something new")),
    );
    let (code, record, _) = team.tell(&released());
    assert_eq!((code, &channel(&record, "luxima-alerts")["status"]), (1, &json!("refused")));
}

#[test]
fn what_telegram_asks_to_wait_for_is_waited_for_if_there_is_time() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(too_many(2)));
    let clock = Instant::now();
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, status(&record)), (0, "changed"), "{stderr}");
    assert!(clock.elapsed() >= Duration::from_secs(2), "{:?}", clock.elapsed());
    assert_eq!(channel(&record, "luxima-alerts")["attempts"], 2);

    // Five minutes are not there: it waits in the outbox, and nobody is asked before the time.
    team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(too_many(300)));
    let (code, record, stderr) = team.tell(&failed());
    assert_eq!((code, &channel(&record, "luxima-alerts")["status"]), (1, &json!("not-sent")), "{stderr}");
    assert_eq!(channel(&record, "luxima-alerts")["reason"], "rate");
    assert!(team.notes().contains("not_before") && stderr.contains("waits in the outbox"), "{stderr}");
    let requests = team.telegram.server().log().len();
    assert_eq!(channel(&team.tell(&failed()).1, "luxima-alerts")["status"], "not-sent");
    assert_eq!(team.telegram.server().log().len(), requests);
    let (_, text, _) = team.say(&["outbox"]);
    assert!(text.contains("waits since") && text.contains("FAILED at cdn-purge"), "{text}");
    // By hand it goes at once.
    let (code, text, stderr) = team.say(&["flush"]);
    assert_eq!((code, text.as_str()), (0, "sent to luxima-alerts\n"), "{stderr}");
    assert_eq!((team.texts().len(), team.kept("outbox").len()), (2, 0));
}

#[test]
fn an_answer_that_does_not_come_is_an_outcome_of_its_own() {
    let team = Team::start();
    let hang = || team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(20)));
    hang();
    let (code, record, stderr) = team.tell_with(&["--timeout", "3s"], &released());
    assert_eq!((code, &channel(&record, "luxima-alerts")["status"]), (75, &json!("unknown")), "{stderr}");
    assert_eq!(team.texts().len(), 1);
    hang();
    let (code, record, stderr) = team.tell_with(&["--timeout", "3s"], &failed());
    assert_eq!((code, status(&record)), (1, "changed"), "{stderr}");
    assert_eq!(channel(&record, "luxima-alerts")["repeated"], true);
    let texts = team.texts();
    assert!(texts.len() == 3 && texts[2].starts_with("(repeat: ") && !texts[1].starts_with('('), "{texts:?}");
}

#[test]
fn whoever_is_not_trusted_got_nothing() {
    let team = Team::start();
    let tls = testkit::tls::Tls::start(|_| Reply::text(500, "text/plain", "never asked"));
    team.edit_settings(&team.telegram.server().url(), &tls.url());
    let (code, record, stderr) = team.tell(&released());
    let told = channel(&record, "luxima-alerts");
    assert_eq!((code, &told["status"]), (75, &json!("not-sent")), "{stderr}");
    assert!(stderr.contains("SSL_CERT_FILE"), "{stderr}");
    assert_eq!((tls.server.log().len(), team.kept("outbox").len()), (0, 1));
}

#[test]
fn an_outage_loses_nothing() {
    let team = Team::start();
    let url = team.telegram.server().url();
    let down = "http://127.0.0.1:1";
    team.edit_settings(&url, down);
    let clock = Instant::now();
    let (code, record, stderr) = team.tell_with(&["--timeout", "2s"], &failed());
    assert_eq!((code, &channel(&record, "luxima-alerts")["status"]), (1, &json!("not-sent")), "{stderr}");
    assert!(clock.elapsed() < Duration::from_secs(20), "it ends");
    let kept = team.kept("outbox");
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept[0].metadata().expect("there").permissions());
    assert_eq!((kept.len(), mode & 0o777), (1, 0o600));
    assert!(!team.notes().contains("canary"));
    // Fourteen minutes later another release is told; the failure goes first, and says how late it is.
    let note = std::fs::read_to_string(&kept[0]).expect("a note");
    let at =
        note.split_once("\"at\":\"").and_then(|(_, rest)| rest.split_once('"')).expect("a time").0.to_owned();
    let earlier = at.parse::<jiff::Timestamp>().expect("a time") - Duration::from_secs(14 * 60);
    std::fs::write(&kept[0], note.replacen(&at, &earlier.to_string(), 1)).expect("written");
    team.edit_settings(down, &url);
    let mut other = released();
    other["id"] = json!("shop-1.2.1-20261124T130000Z-7f3b");
    let (code, record, stderr) = team.tell(&other);
    assert_eq!((code, status(&record)), (0, "changed"), "{stderr}");
    let texts = team.texts();
    assert!(
        texts.len() == 2 && texts[0].starts_with("(delayed 14m ") && texts[0].contains("FAILED at cdn-purge"),
        "{texts:?}"
    );
    assert!(texts[1].starts_with("✅"), "{texts:?}");
    // It was told by then: the same document again is no news.
    assert_eq!(status(&team.tell(&failed()).1), "skipped");
    assert_eq!(team.kept("outbox").len(), 0);
}

#[test]
fn the_parts_that_have_arrived_are_not_sent_again() {
    let team = Team::start();
    let text = "word ".repeat(1700);
    let send = format!("/bot{TOKEN}/sendMessage");
    // The second part is turned away for longer than there is time.
    team.telegram.server().fault_after("POST", &send, 1, Fault::Answer(too_many(600)));
    let (code, _, stderr) = team.say(&["send", &text]);
    assert_eq!((code, team.texts().len()), (75, 1), "{stderr}");
    let (code, _, stderr) = team.say(&["flush"]);
    assert_eq!(code, 0, "{stderr}");
    let texts = team.texts();
    let beginnings: Vec<&str> = texts.iter().map(|t| &t[..5]).collect();
    assert_eq!(beginnings, ["(1/3)", "(2/3)", "(3/3)"]);
    assert_eq!(
        texts.iter().map(|t| t.matches("word").count()).sum::<usize>(),
        1700,
        "none twice and none lost"
    );
}

#[test]
fn what_is_refused_is_kept_and_can_be_tried_again() {
    let team = Team::start();
    team.telegram.server().fault(
        "POST",
        "/bot",
        1,
        Fault::Answer(refusal(403, "Forbidden: bot was kicked from the supergroup chat")),
    );
    let (code, record, stderr) = team.tell(&failed());
    assert_eq!((code, &channel(&record, "luxima-alerts")["status"]), (1, &json!("refused")), "{stderr}");
    assert!(stderr.contains("chat_id in [notify.channels.luxima-alerts]"), "{stderr}");
    assert_eq!((team.kept("dead").len(), team.kept("outbox").len()), (1, 0));
    let (_, text, _) = team.say(&["outbox"]);
    assert!(text.contains("given up") && text.contains("bot was kicked"), "{text}");
    assert_eq!(team.say(&["flush"]).1, "nothing was sent; 0 messages wait\n");
    let (code, text, stderr) = team.say(&["flush", "--dead"]);
    assert_eq!((code, text.as_str(), team.texts().len()), (0, "sent to luxima-alerts\n", 1), "{stderr}");
    assert_eq!(team.kept("dead").len(), 0);
}

#[test]
fn best_effort_makes_it_a_warning() {
    let team = Team::start();
    let kicked = || {
        team.telegram.server().fault(
            "POST",
            "/bot",
            1,
            Fault::Answer(refusal(403, "Forbidden: bot was kicked")),
        );
    };
    kicked();
    let (code, record, stderr) = team.tell_with(&["--best-effort"], &released());
    assert_eq!((code, status(&record)), (0, "skipped"), "{stderr}");
    assert!(stderr.contains("warning: ") && stderr.contains("bot was kicked"), "{stderr}");
    assert_eq!(channel(&record, "luxima-alerts")["status"], "refused");
    kicked();
    assert_eq!(team.tell_with(&["--best-effort"], &failed()).0, 1, "the run's own code stays");
    team.settings_with("channel = \"luxima-alerts\"\nbest_effort = true\n", "");
    kicked();
    assert_eq!(team.tell(&released()).0, 0);
}

#[test]
fn every_channel_is_told_at_once_and_none_waits_for_another() {
    let team = Team::start();
    let slack = Chat::slack_api("xoxb-canary-slack-token", "C012345");
    let discord = Chat::discord("/api/webhooks/1/canary-discord");
    let ntfy = Chat::ntfy("tk_canary-ntfy", "ops");
    let more = three(&team, &slack, &discord, &ntfy);
    team.settings_with("channel = [\"luxima-alerts\", \"slack\", \"discord\"]\nfallback = \"ops\"\n", &more);
    let broken = || refusal(500, "Internal Server Error: restart");
    team.telegram.server().fault("POST", "/bot", 20, Fault::Answer(broken()));
    slack.server().fault("POST", "/", 20, Fault::Hang(Duration::from_secs(60)));
    let clock = Instant::now();
    let (code, record, stderr) = team.tell_with(&["--timeout", "9s"], &released());
    assert!(clock.elapsed() < Duration::from_secs(40), "{:?}", clock.elapsed());
    assert_eq!((code, status(&record)), (Exit::Temporary as i32, "failed"), "{stderr}");
    let names: Vec<&str> = record["output"]["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|c| c["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["luxima-alerts", "slack", "discord", "ops"]);
    let fates: Vec<&str> =
        names.iter().map(|n| channel(&record, n)["status"].as_str().expect("a word")).collect();
    assert_eq!(fates, ["not-sent", "unknown", "sent", "sent"], "{stderr}");
    // Discord did not wait for the others: it has its message before Telegram was asked for the last time.
    assert_eq!(discord.taken().len(), 1);
    assert!(channel(&record, "discord")["ms"].as_u64() < channel(&record, "slack")["ms"].as_u64());
    let told = &ntfy.taken()[0];
    assert!(
        told["title"] == "✅ shop 1.2.0 → production"
            && told["message"]
                .as_str()
                .expect("text")
                .starts_with("(here because luxima-alerts, slack may not have got it)\n"),
        "{told}"
    );
    assert!(stderr.contains("(told: discord, ops)"), "{stderr}");
}

/// The settings of three more channels.
fn three(team: &Team, slack: &Chat, discord: &Chat, ntfy: &Chat) -> String {
    team.secret("slack", "xoxb-canary-slack-token");
    team.secret("discord", &format!("{}/api/webhooks/1/canary-discord", discord.server().url()));
    team.secret("ntfy", "tk_canary-ntfy");
    format!(
        "[notify.channels.slack]\nkind = \"slack\"\nchannel = \"C012345\"\ntoken_file = \"slack\"\nurl = \"{}\"\n\
         [notify.channels.discord]\nkind = \"discord\"\nwebhook_file = \"discord\"\nrequired = false\n\
         [notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\n",
        slack.server().url(),
        ntfy.server().url()
    )
}

#[test]
fn a_channel_that_nobody_requires_is_a_warning() {
    let team = Team::start();
    let slack = Chat::slack_api("xoxb-canary-slack-token", "C012345");
    let discord = Chat::discord("/api/webhooks/1/canary-discord");
    let more = three(&team, &slack, &discord, &Chat::ntfy("tk_canary-ntfy", "ops"));
    team.settings_with("channel = [\"discord\"]\n", &more);
    discord.server().fault(
        "POST",
        "/",
        1,
        Fault::Answer(Reply::text(
            404,
            "application/json",
            "{\"message\":\"Unknown Webhook\",\"code\":10015}",
        )),
    );
    let (code, record, stderr) = team.tell(&failed());
    assert_eq!((code, status(&record)), (1, "skipped"));
    assert!(stderr.contains("warning: discord: ") && stderr.contains("Unknown Webhook"), "{stderr}");
}

#[test]
fn each_channel_gets_what_it_wants_in_its_language() {
    let team = Team::start();
    let ntfy = Chat::ntfy("tk_canary-ntfy", "ops");
    team.secret("ntfy", "tk_canary-ntfy");
    let more = format!(
        "lang = \"id\"\n[notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\non = [\"release_failed\", \"rollback_*\"]\n",
        ntfy.server().url()
    );
    team.settings_with("channel = [\"luxima-alerts\", \"ops\"]\n", &more);
    let (_, record, stderr) = team.tell(&released());
    assert_eq!(status(&record), "changed", "{stderr}");
    assert_eq!(record["output"]["channels"].as_array().map(Vec::len), Some(1), "{record}");
    assert!(team.texts()[0].contains("Sekarang aktif: 1.2.0") && ntfy.taken().is_empty());
    team.tell(&failed());
    let told = &ntfy.taken()[0];
    assert!(
        team.texts()[1].contains("GAGAL di cdn-purge")
            && told["title"] == "❌ shop 1.2.0 → production FAILED at cdn-purge"
    );
    assert_eq!((&told["priority"], &told["tags"]), (&json!(5), &json!(["rotating_light"])));
    // A plan names those who would be told.
    let mut plan = released();
    plan["mode"] = json!("plan");
    assert_eq!(team.tell(&plan).1["summary"], "would tell luxima-alerts: ✅ shop 1.2.0 → production");
}

#[test]
fn a_signal_ends_it_and_the_message_waits() {
    let team = Team::start();
    team.telegram.server().fault(
        "POST",
        "/bot",
        20,
        Fault::Answer(refusal(500, "Internal Server Error: restart")),
    );
    let mut command = team.command(&[]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), released().to_string().as_bytes())
        .expect("it reads");
    let end = Instant::now() + Duration::from_secs(20);
    while team.telegram.server().log().is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(143));
    testkit::schema::validate(&serde_json::from_slice(&output.stdout).expect("a document"));
    assert_eq!(team.kept("outbox").len(), 1);
    // The next one, in a world that works, tells it.
    let team_again = Team::start();
    team.edit_settings(&team.telegram.server().url(), &team_again.telegram.server().url());
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, status(&record), team_again.texts().len()), (0, "changed", 1), "{stderr}");
}

#[test]
fn two_at_once_send_one_message() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_millis(700)));
    let statuses: Vec<String> = std::thread::scope(|scope| {
        let one = || scope.spawn(|| status(&team.tell(&released()).1).to_owned());
        let both = [one(), one()];
        both.into_iter().map(|t| t.join().expect("told")).collect()
    });
    assert_eq!(team.texts().len(), 1, "{statuses:?}");
    assert!(
        statuses.contains(&"changed".to_owned()) && statuses.contains(&"skipped".to_owned()),
        "{statuses:?}"
    );
}

#[test]
fn no_secret_is_in_anything_that_is_left() {
    let team = Team::start();
    let mut document = failed();
    document["failure"]["causes"] = json!([
        "connect postgres://shop:canary-database@db:5432/shop failed",
        "token ghp_canary0123456789abcdef",
        "jwt eyJhbGciOiJI.canaryeyJzdWIi.SflKxwRJSMeKKF2"
    ]);
    let echo = Reply::text(400, "text/html", format!("bad request /bot{TOKEN}/sendMessage"));
    let deny = refusal(400, &format!("Bad Request: {TOKEN} is odd"));
    for (n, fault) in [
        Fault::Answer(echo),
        Fault::Answer(deny),
        Fault::Hang(Duration::from_secs(9)),
        Fault::DropAfter,
        Fault::Answer(too_many(900)),
    ]
    .into_iter()
    .enumerate()
    {
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-000{n}"));
        team.telegram.server().fault("POST", "/bot", 1, fault);
        let (code, went, stderr) =
            testkit::exchange(&mut team.command(&["-v", "--timeout", "3s"]), Some(&document));
        assert_eq!(code, 1);
        let notify = &went["steps"][0];
        assert!(!format!("{notify}{stderr}{}", team.notes()).contains("canary"), "{n}: {stderr}");
    }
    assert!(
        team.texts()
            .iter()
            .all(|text| !text.contains("canary") && text.contains("postgres://shop:[redacted]@")),
        "{:?}",
        team.texts()
    );
    // A token is no argument, and the chat's number is no secret.
    let (code, _, stderr) = team.say(&["--token", "x"]);
    assert!(code == 2 && stderr.contains("unexpected argument"), "{stderr}");
    assert!(team.notes().contains("luxima-alerts") && !team.notes().contains(&format!("{CHAT}:")));
}

#[test]
fn what_may_have_arrived_before_is_never_said_again_as_new() {
    let team = Team::start();
    // It arrives, the answer is lost, and the second message is turned away for longer than there is time.
    team.telegram.server().fault("POST", "/bot", 1, Fault::DropAfter);
    team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(too_many(600)));
    let (_, record, stderr) = team.tell(&failed());
    assert_eq!(channel(&record, "luxima-alerts")["status"], "not-sent", "{stderr}");
    assert_eq!(team.texts().len(), 1);
    let (code, _, stderr) = team.say(&["flush"]);
    let texts = team.texts();
    assert_eq!((code, texts.len()), (0, 2), "{stderr}");
    assert!(texts[1].starts_with("(repeat: "), "{texts:?}");
}

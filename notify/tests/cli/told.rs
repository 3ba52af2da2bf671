//! The real binary against the stand-in Telegram.

use std::process::Command;
use std::time::Duration;

use crate::support::{CHAT, Team, channel, failed, released, status};
use serde_json::json;
use step::Exit;
use testkit::exchange;
use testkit::http::{Fault, Reply};
use testkit::telegram::{refusal, too_many};

#[test]
fn the_team_is_told_once() {
    let team = Team::start();
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, status(&record)), (0, "changed"), "{stderr}");
    let chat = channel(&record, "luxima-alerts");
    assert_eq!((&chat["status"], &chat["messages"]), (&json!("sent"), &json!(["100"])));
    assert_eq!(chat["url"], "https://t.me/c/1234567890/100");
    let messages = team.telegram.messages();
    assert!(messages[0].text.starts_with("✅ shop 1.2.0 → production\n"), "{}", messages[0].text);
    assert!(messages[0].silent && messages[0].text.contains("• a <b> & c"));

    let (code, record, _) = team.tell(&released());
    assert_eq!((code, status(&record)), (0, "skipped"));
    // A failure of the same run is other news, and exits as the run did.
    let (code, record, _) = team.tell(&failed());
    assert_eq!((code, status(&record)), (1, "changed"));
    let messages = team.telegram.messages();
    assert_eq!(messages.len(), 2);
    assert!(
        messages[1].text.starts_with("❌ shop 1.2.0 → production FAILED at cdn-purge\n")
            && !messages[1].silent
    );
}

#[test]
fn a_plan_is_told_to_nobody() {
    let team = Team::start();
    let mut planned = released();
    planned["mode"] = json!("plan");
    let (code, record, _) = team.tell(&planned);
    assert_eq!((code, status(&record)), (0, "planned"));
    assert_eq!(team.telegram.server().log().len(), 0);
    assert!(!team.folder.path().join("state").exists());
}

#[test]
fn a_lost_answer_is_never_followed_by_a_silent_second_message() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::DropAfter);
    let (code, record, stderr) = team.tell(&released());
    assert_eq!(
        (code, status(&record), team.texts().len()),
        (Exit::Temporary as i32, "failed", 1),
        "{stderr}"
    );
    let (code, record, _) = team.tell(&released());
    assert_eq!((code, status(&record), team.texts().len()), (0, "skipped", 1));
    assert!(record["summary"].as_str().expect("why").contains("whether it has arrived is not known"));

    // A failure is said again, and says that it is.
    team.telegram.server().fault("POST", "/bot", 1, Fault::DropAfter);
    let (code, record, _) = team.tell(&failed());
    assert_eq!((code, status(&record)), (1, "changed"));
    let texts = team.texts();
    assert_eq!(texts.len(), 3);
    assert!(texts[1].starts_with("❌") && texts[2].starts_with("(repeat: "), "{texts:?}");
    assert_eq!(status(&team.tell(&failed()).1), "skipped");
}

#[test]
fn a_killed_notify_is_known_by_its_note() {
    let team = Team::start();
    for (document, repeats) in [(released(), 0), (failed(), 1)] {
        let before = team.texts().len();
        team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(2)));
        let mut command = team.command(&[]);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), document.to_string().as_bytes())
            .expect("it reads");
        let end = std::time::Instant::now() + Duration::from_secs(10);
        let posts = team.telegram.server().count("POST", "/bot");
        while team.telegram.server().count("POST", "/bot") == posts && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().expect("killed");
        child.wait().expect("it ended");
        team.tell(&document);
        let after = team.texts();
        assert_eq!(after[before..].iter().filter(|t| t.starts_with("(repeat")).count(), repeats);
        std::thread::sleep(Duration::from_millis(2100));
    }
}

#[test]
fn what_was_surely_not_sent_is_sent_again() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(too_many(1)));
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, status(&record), team.texts().len()), (0, "changed", 1), "{stderr}");
    // A refusal leaves no note: after the remedy the message goes out.
    team.telegram.server().fault(
        "POST",
        "/bot",
        1,
        Fault::Answer(refusal(403, "Forbidden: bot was kicked from the supergroup chat")),
    );
    let (_, record, stderr) = team.tell(&failed());
    assert_eq!(status(&record), "failed");
    assert!(stderr.contains("bot was kicked"), "{stderr}");
    assert_eq!(status(&team.tell(&failed()).1), "changed");
    assert_eq!(team.texts().len(), 2);
}

#[test]
fn refusals_that_can_be_got_round_are() {
    let team = Team::start();
    team.settings("topic = 42\n");
    let (code, _, stderr) = team.tell(&released());
    assert!(code == 0 && stderr.contains("the topic takes no messages"), "{stderr}");
    assert_eq!(team.telegram.messages()[0].thread, None);

    team.telegram.topic(42);
    team.telegram.migrate(-1_009_999_999_999);
    let (_, record, stderr) = team.tell(&failed());
    assert_eq!(status(&record), "changed");
    assert!(stderr.contains("set chat_id = -1009999999999"), "{stderr}");
    assert_eq!(team.telegram.messages()[1].thread, Some(42));

    let mut candidate = released();
    candidate["procedure"] = json!("candidate");
    let complaint = "Bad Request: can't parse entities: Unsupported start tag \"tg-time\" at byte offset 9";
    team.telegram.server().fault("POST", "/bot", 1, Fault::Answer(refusal(400, complaint)));
    let (_, record, stderr) = team.tell(&candidate);
    assert_eq!(status(&record), "changed", "{stderr}");
    // The fault came before the group's new id did; the plain text goes there all the same.
    let text = team.texts().pop().expect("it is there");
    assert!(text.contains("• a <b> & c") && !text.contains("tg-time"), "{text}");
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    let team = Team::start();
    let reason = |mut command: Command| {
        let (code, went, stderr) = exchange(&mut command, Some(&released()));
        assert!(!stderr.contains("canary"), "{stderr}");
        (code, went["steps"][0]["reason"].as_str().unwrap_or_default().to_owned(), stderr)
    };
    let mut wrong = team.command(&[]);
    wrong.env("TELEGRAM_BOT_TOKEN", "123456789:some-other-canary-token-AAAAAAAAA");
    let (code, _, stderr) = reason(wrong);
    assert!(code == Exit::Config as i32 && stderr.contains("does not know the bot's token"), "{stderr}");
    let mut none = team.command(&[]);
    none.env_remove("TELEGRAM_BOT_TOKEN");
    let (code, _, stderr) = reason(none);
    assert!(code == Exit::Config as i32 && stderr.contains("TELEGRAM_BOT_TOKEN"), "{stderr}");
    let text = std::fs::read_to_string(team.folder.path().join("release.toml")).expect("there");
    std::fs::write(team.folder.path().join("release.toml"), text.replace("#luxima-alerts", "luxima"))
        .expect("written");
    let (code, _, stderr) = reason(team.command(&[]));
    assert!(code == Exit::Config as i32 && stderr.contains("there is luxima-alerts"), "{stderr}");
    std::fs::write(team.folder.path().join("release.toml"), text.replace(&CHAT.to_string(), "-7"))
        .expect("written");
    let (code, _, stderr) = reason(team.command(&[]));
    assert!(code == Exit::Config as i32 && stderr.contains("chat not found"), "{stderr}");
    let url = team.telegram.server().url();
    std::fs::write(team.folder.path().join("release.toml"), text.replace(&url, "http://127.0.0.1:1"))
        .expect("written");
    let (code, _, stderr) = reason({
        let mut command = team.command(&["--timeout", "1s"]);
        command.env("NO_PROXY", "*");
        command
    });
    assert!(code == Exit::Temporary as i32 && stderr.contains("cannot be reached"), "{stderr}");
}

#[test]
fn by_hand() {
    let team = Team::start();
    let say = |args: &[&str]| {
        let output = team.command(args).output().expect("it runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let sent = say(&["send", "the sale <starts> at nine"]);
    assert_eq!((sent.0, sent.1.as_str()), (Some(0), "sent to luxima-alerts\n"), "{}", sent.2);
    assert_eq!(team.texts(), ["the sale <starts> at nine"]);
    assert_eq!(say(&["send", " "]).0, Some(2));
    assert_eq!(say(&["send", "--plan", "x"]).0, Some(0));
    assert_eq!(team.texts().len(), 1);
    let file = team.folder.path().join("document.json");
    std::fs::write(&file, failed().to_string()).expect("written");
    let (code, text, _) = say(&["preview", "--of", "document.json"]);
    assert!(code == Some(0) && text.contains("FAILED at cdn-purge") && text.contains("old <html>"), "{text}");
    assert_eq!(say(&["preview", "--of", "nowhere.json"]).0, Some(2));
    let (code, text, stderr) = say(&["--check"]);
    assert!(code == Some(0) && text.contains("luxima alerts"), "{text}{stderr}");
    team.telegram.server().fault(
        "POST",
        "/bot",
        1,
        Fault::Answer(Reply::text(502, "text/html", "<html>Bad Gateway</html>")),
    );
    let lost = say(&["send", "x"]);
    assert!(lost.0 == Some(Exit::Temporary as i32) && lost.2.contains("look into the chat"), "{}", lost.2);
}

#[test]
fn long_texts_are_divided_and_logs_go_as_documents() {
    let team = Team::start();
    // 7,181 characters with 400 entities, of which Apprise makes seven messages.
    let lines: String = (1..=400).map(|n| format!("<b>line</b> {n} of these\n")).collect();
    let html = format!("{lines}{}", ".".repeat(89));
    assert_eq!(html.matches("<b>").count(), 400);
    assert_eq!(html.replace("<b>", "").replace("</b>", "").chars().count(), 7181);
    let (code, _, stderr) = team.say(&["send", "--html", &html]);
    assert_eq!(code, 0, "{stderr}");
    let messages = team.telegram.messages();
    assert_eq!(messages.len(), 2);
    assert!(
        messages[0].text.starts_with("(1/2)\nline 1 of these\n")
            && messages[1].text.ends_with(&format!("line 400 of these\n{}", ".".repeat(89)))
    );
    let lines: usize = messages.iter().map(|m| m.text.matches("line ").count()).sum();
    assert_eq!(lines, 400);

    // HTML that Telegram would refuse is refused before anything is sent.
    let requests = team.telegram.server().log().len();
    let (code, _, stderr) = team.say(&["send", "--html", "<b>x</i>"]);
    assert!(code == 2 && stderr.contains("</i> is where </b> should be"), "{stderr}");
    assert_eq!(team.telegram.server().log().len(), requests);

    team.file(
        "build.log",
        &format!(
            "start\n{}\u{1b}[31mthe end\u{1b}[0m\nat postgres://u:canary-pw@db/x\n",
            "x\n".repeat(40_000)
        ),
    );
    let (code, _, stderr) = team.say(&["send", "the build broke", "--file", "build.log"]);
    assert_eq!(code, 0, "{stderr}");
    let messages = team.telegram.messages();
    let (name, text) = messages[3].document.clone().expect("a document");
    assert!(name == "build.log" && text.contains("\nthe end\nat postgres://u:[redacted]@db/x"), "{name}");
    assert_eq!((messages[2].text.as_str(), messages.len()), ("the build broke", 4));
    assert_eq!(team.say(&["send", "--file", "nowhere.log"]).0, 2);
}

#[test]
fn an_error_that_is_too_long_for_a_message_goes_with_it() {
    let team = Team::start();
    let mut document = failed();
    let causes: Vec<String> = (0..20).map(|n| format!("cause {n} {}", "y".repeat(3000))).collect();
    document["failure"]["causes"] = json!(causes);
    document["facts"]["notes"] = json!("- feat: x\n".repeat(200));
    let (code, record, stderr) = team.tell(&document);
    assert_eq!((code, status(&record)), (1, "changed"), "{stderr}");
    let messages = team.telegram.messages();
    assert_eq!(messages.len(), 2, "one message and its document");
    assert!(messages[0].text.contains("old <html>") && messages[0].text.contains("cause 19 "));
    let (name, text) = messages[1].document.clone().expect("a document");
    assert_eq!((name.as_str(), text.lines().count()), ("failure.txt", 21));
    // Without the document the message is a message all the same.
    let mut other = document;
    other["id"] = json!("shop-1.2.0-20261124T120000Z-0001");
    team.telegram.server().fault(
        "POST",
        "/bot123456789:canary-telegram-AAH7dT2mXw9rB4/sendDocument",
        1,
        Fault::Answer(refusal(413, "Request Entity Too Large")),
    );
    let (_, record, stderr) = team.tell(&other);
    assert_eq!(status(&record), "changed", "{stderr}");
    assert_eq!(channel(&record, "luxima-alerts")["degraded"], json!(["document"]));
}

#[test]
fn a_preview_is_what_is_sent() {
    let team = Team::start();
    team.settings(
        "[notify.links]\nLogs = \"https://logs.example/{version}\"\nCoolify = \"http://coolify:8000\"\n",
    );
    let mut document = released();
    document["facts"]["urls"] = json!(["https://shop.example/"]);
    team.file("document.json", &document.to_string());
    // Neither a token nor a network is needed for it.
    let mut command = team.command(&["preview", "--of", "document.json", "--json"]);
    let output = command.env_remove("TELEGRAM_BOT_TOKEN").output().expect("it runs");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(team.telegram.server().log().len(), 0);
    let (_, record, stderr) = team.tell(&document);
    assert_eq!(status(&record), "changed", "{stderr}");
    let sent = team.telegram.server().log().pop().expect("a request").body;
    let payload = &shown["channels"][0]["payloads"][0];
    assert_eq!(payload["body"].to_string().as_bytes(), sent, "byte for byte");
    // A button that Telegram would refuse the message for stands in the text.
    let message = &team.telegram.messages()[0];
    let labels: Vec<&str> = message.buttons.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["Logs", "Open"]);
    assert!(message.text.contains("\nCoolify http://coolify:8000\n"), "{}", message.text);
    assert_eq!(channel(&record, "luxima-alerts")["degraded"], json!(["button Coolify"]));
    // Before there is any channel, the message can be looked at.
    team.edit_settings("channel = ", "fallback = ");
    let (code, text, stderr) = team.say(&["preview", "--of", "document.json", "--lang", "id"]);
    assert!(
        code == 0 && text.contains("Sekarang aktif: 1.2.0") && stderr.contains("no payload"),
        "{text}{stderr}"
    );
}

#[test]
fn a_second_message_about_a_run_answers_the_first_or_changes_it() {
    let team = Team::start();
    team.tell(&failed());
    team.tell(&released());
    let mut back = released();
    back["procedure"] = json!("rollback");
    back["id"] = json!("shop-1.1.4-20261124T130000Z-7f3b");
    back["facts"] = json!({ "product": "shop", "version": "1.1.4", "replaces": { "version": "1.2.0", "run": released()["id"] } });
    team.tell(&back);
    let replies: Vec<Option<i64>> = team.telegram.messages().iter().map(|m| m.reply_to).collect();
    assert_eq!(replies, [None, Some(100), Some(101)]);

    // Good news about another run changes what was said about it; an answer that is lost is asked for again: an edit can be.
    team.settings("follow_up = \"edit\"\n");
    let (mut bad, mut good) = (failed(), released());
    (bad["id"], good["id"]) =
        (json!("shop-1.2.0-20261124T140000Z-0001"), json!("shop-1.2.0-20261124T140000Z-0001"));
    team.tell(&bad);
    let edit = format!("/bot{}/editMessageText", crate::support::TOKEN);
    team.telegram.server().fault("POST", &edit, 1, Fault::DropAfter);
    let (code, record, stderr) = team.tell(&good);
    assert_eq!((code, status(&record)), (0, "changed"), "{stderr}");
    let messages = team.telegram.messages();
    assert_eq!((messages.len(), messages[3].edits, team.telegram.server().count("POST", &edit)), (4, 1, 2));
    assert!(messages[3].text.starts_with("✅"), "{}", messages[3].text);
    // What somebody has deleted cannot be changed: a new one is sent.
    (bad["id"], good["id"]) =
        (json!("shop-1.2.0-20261124T140000Z-0002"), json!("shop-1.2.0-20261124T140000Z-0002"));
    team.tell(&bad);
    team.telegram.delete(104);
    let (_, record, stderr) = team.tell(&good);
    assert_eq!(channel(&record, "luxima-alerts")["degraded"], json!(["edit"]), "{stderr}");
}

#[test]
fn where_the_chat_is_wrong_is_said_before_any_request() {
    let team = Team::start();
    let chat = format!("chat_id = {CHAT}");
    for (wrong, why) in [
        ("chat_id = \"@luxima-alerts\"", "@name of a public channel"),
        ("chat_id = \"#luxima-alerts\"", "what people call the chat"),
        ("chat_id = \"-1001234567890:1\"", "general topic"),
        ("chat_id = -1001234567890\ntopic = 1", "general topic"),
        ("chat_id = -1001234567890\non = [\"*_ok\"]\nfollow_up = \"shout\"", "reply and edit are"),
        ("chat_id = -1001234567890\nlang = \"fr\"", "en and id are"),
    ] {
        team.settings("");
        team.edit_settings(&chat, wrong);
        let (code, record, stderr) = team.tell(&released());
        assert!(
            code == Exit::Config as i32 && status(&record) == "failed" && stderr.contains(why),
            "{wrong}: {stderr}"
        );
        assert!(stderr.contains("release.toml:"), "{stderr}");
    }
    team.settings("");
    team.edit_settings("http://127.0.0.1", "http://telegram.example");
    assert!(team.tell(&released()).2.contains("use https://"));
    team.settings("");
    let (code, _, stderr) = team.say(&["send", "x", "--to", "nobody"]);
    assert!(code == Exit::Config as i32 && stderr.contains("there is luxima-alerts"), "{stderr}");
    let mut command = team.command(&["--check"]);
    let output = command.env("TELEGRAM_BOT_TOKEN", "0123:short").output().expect("it runs");
    assert!(
        output.status.code() == Some(Exit::Config as i32)
            && String::from_utf8_lossy(&output.stderr).contains("@BotFather")
    );
    assert_eq!(team.telegram.server().log().len(), 0);
    // A topic behind the number is a topic.
    team.telegram.topic(42);
    team.edit_settings(&chat, "chat_id = \"https://t.me/c/1234567890/42\"");
    let (_, record, stderr) = team.tell(&released());
    assert_eq!(team.telegram.messages()[0].thread, Some(42), "{stderr}");
    assert_eq!(channel(&record, "luxima-alerts")["url"], "https://t.me/c/1234567890/42/100");
}

#[test]
fn a_teams_own_templates_are_used_and_proven() {
    let team = Team::start();
    team.settings_with("channel = \"luxima-alerts\"\nlang = \"id\"\ntemplates = \"own\"\n", "");
    let (code, _, stderr) = team.say(&["templates"]);
    assert!(code == Exit::Config as i32 && stderr.contains("there is no folder"), "{stderr}");
    let (code, text, stderr) = team.say(&["templates", "--write", "own", "--config", "/dev/null"]);
    assert!(code == 0 && text.contains("15 files"), "{text}{stderr}");
    assert_eq!(
        team.say(&["templates", "--write", "own", "--config", "/dev/null"]).0,
        2,
        "nothing is written over"
    );
    assert_eq!(team.say(&["templates"]).0, 0);
    team.file("own/id.toml", "live = \"Yang jalan: {version}\"\n");
    team.file(
        "own/release_ok.html",
        "{% extends \"layout.html\" %}\n{% block headline %}Rilis {{ build }}{% endblock %}\n",
    );
    let (_, record, stderr) = team.tell(&released());
    assert_eq!(status(&record), "changed", "{stderr}");
    let text = team.texts().pop().expect("a message");
    assert!(text.starts_with("✅ Rilis shop 1.2.0\n") && text.contains("\nYang jalan: 1.2.0\n"), "{text}");
}

#[test]
fn a_broken_template_is_named_with_its_line_and_not_in_the_way() {
    let team = Team::start();
    team.settings_with("channel = \"luxima-alerts\"\ntemplates = \"own\"\n", "");
    for (n, (template, why)) in [
        ("a\nb\n{{ build ", "release_ok.html:3: "),
        ("a\n\n<b>{{ no_such_field }}</b>", "release_ok.html:3: undefined value"),
        ("a\nb <p>{{ build }}</p>", "release_ok.html:2: `<p>"),
        (
            "a\n{% for x in range(9000) %}{% for y in range(9000) %}.{% endfor %}{% endfor %}",
            "release_ok.html:2: ",
        ),
        ("{% include \"nothing.html\" %}", "release_ok.html:1: "),
        (" \n", "the message is empty"),
    ]
    .into_iter()
    .enumerate()
    {
        team.file("own/release_ok.html", template);
        let (code, text, _) = team.say(&["templates"]);
        assert!(code == Exit::Config as i32 && text.contains(why), "{template}: {text}");
        let mut document = released();
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-000{n}"));
        let (code, record, stderr) = team.tell(&document);
        assert_eq!((code, status(&record)), (0, "changed"), "{stderr}");
        assert!(stderr.contains(why) && stderr.contains("the built-in template is used"), "{stderr}");
        assert!(team.texts().pop().expect("a message").starts_with("✅ shop 1.2.0 → production\n"));
    }
}

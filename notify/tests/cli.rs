//! The real binary against the stand-in Telegram.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::http::{Fault, Reply};
use testkit::telegram::{refusal, too_many};
use testkit::{Telegram, exchange};

const TOKEN: &str = "123456789:canary-telegram-AAH7dT2mXw9rB4";
const CHAT: i64 = -1_001_234_567_890;

struct Team {
    telegram: Telegram,
    folder: tempfile::TempDir,
}

impl Team {
    fn start() -> Self {
        let team =
            Team { telegram: Telegram::start(TOKEN, CHAT), folder: tempfile::tempdir().expect("a folder") };
        team.settings("");
        team
    }

    fn settings(&self, more: &str) {
        let text = format!(
            "[product]\nname = \"shop\"\n[notify]\nchannel = \"#luxima-alerts\"\nstate = \"state\"\n\
             [notify.channels.luxima-alerts]\nkind = \"telegram\"\nchat_id = {CHAT}\nurl = \"{}\"\n{more}",
            self.telegram.server().url()
        );
        std::fs::write(self.folder.path().join("release.toml"), text).expect("written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notify"));
        command.args(args).current_dir(self.folder.path()).env_clear().env("TELEGRAM_BOT_TOKEN", TOKEN);
        command
    }

    /// Exit code, the record of notify, and stderr.
    fn tell(&self, document: &Value) -> (i32, Value, String) {
        let (code, went, stderr) = exchange(&mut self.command(&[]), Some(document));
        assert!(!format!("{went}{stderr}").contains("canary-telegram"), "{went}{stderr}");
        assert_eq!(went.get("failure"), document.get("failure"), "notify never touches the failure");
        (code, went["steps"].as_array().expect("records").last().expect("one").clone(), stderr)
    }

    fn texts(&self) -> Vec<String> {
        self.telegram.messages().into_iter().map(|m| m.text).collect()
    }
}

fn released() -> Value {
    json!({ "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": "release", "mode": "apply",
            "opened": "2026-11-24T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0", "notes": "- a <b> & c" } })
}

fn failed() -> Value {
    let mut document = released();
    document["failure"] = json!({ "step": "cdn-purge", "kind": "failed", "reason": "edge-stale", "code": 1, "acted": "yes", "message": "old <html>" });
    document
}

fn status(record: &Value) -> &str {
    record["status"].as_str().expect("a status")
}

#[test]
fn the_team_is_told_once() {
    let team = Team::start();
    let (code, record, stderr) = team.tell(&released());
    assert_eq!((code, status(&record)), (0, "changed"), "{stderr}");
    assert_eq!(record["output"]["message"], "100");
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
    assert_eq!((code, status(&record), team.texts().len()), (75, "failed", 1), "{stderr}");
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
    assert!(code == 0 && stderr.contains("no such topic"), "{stderr}");
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
    assert!(code == 78 && stderr.contains("does not know the bot's token"), "{stderr}");
    let mut none = team.command(&[]);
    none.env_remove("TELEGRAM_BOT_TOKEN");
    let (code, _, stderr) = reason(none);
    assert!(code == 78 && stderr.contains("TELEGRAM_BOT_TOKEN"), "{stderr}");
    let text = std::fs::read_to_string(team.folder.path().join("release.toml")).expect("there");
    std::fs::write(team.folder.path().join("release.toml"), text.replace("#luxima-alerts", "luxima"))
        .expect("written");
    let (code, _, stderr) = reason(team.command(&[]));
    assert!(code == 78 && stderr.contains("there is luxima-alerts"), "{stderr}");
    std::fs::write(team.folder.path().join("release.toml"), text.replace(&CHAT.to_string(), "-7"))
        .expect("written");
    let (code, _, stderr) = reason(team.command(&[]));
    assert!(code == 78 && stderr.contains("chat not found"), "{stderr}");
    let url = team.telegram.server().url();
    std::fs::write(team.folder.path().join("release.toml"), text.replace(&url, "http://127.0.0.1:1"))
        .expect("written");
    let (code, _, stderr) = reason({
        let mut command = team.command(&["--timeout", "1s"]);
        command.env("NO_PROXY", "*");
        command
    });
    assert!(code == 75 && stderr.contains("cannot be reached"), "{stderr}");
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
    assert!(lost.0 == Some(75) && lost.2.contains("look into the chat"), "{}", lost.2);
}

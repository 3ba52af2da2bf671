//! No place to write down: a full disk, a file in the way, somebody else's folder. And what lies about in the folder.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Team, channel, failed, released, status};
use serde_json::{Value, json};
use step::Exit;
use testkit::chats::Chat;
use testkit::exchange;
use testkit::http::Fault;

/// A team with a second channel and a fallback.
fn team_of_three() -> (Team, Chat, Chat) {
    let team = Team::start();
    let slack = Chat::slack_api("xoxb-canary-slack-token", "C012345");
    let ntfy = Chat::ntfy("tk_canary-ntfy", "ops");
    team.secret("slack", "xoxb-canary-slack-token");
    team.secret("ntfy", "tk_canary-ntfy");
    let more = format!(
        "[notify.channels.slack]\nkind = \"slack\"\nchannel = \"C012345\"\ntoken_file = \"slack\"\nurl = \"{}\"\n\
         [notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\n",
        slack.server().url(),
        ntfy.server().url()
    );
    team.settings_with("channel = [\"luxima-alerts\", \"slack\"]\nfallback = \"ops\"\n", &more);
    (team, slack, ntfy)
}

/// A disk without room for a single byte, for root too: whatever is written to a file fails.
fn full(team: &Team, args: &[&str]) -> Command {
    let ours = team.command(args);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(ours.get_program())
        .args(ours.get_args());
    command
        .current_dir(team.folder.path())
        .env_clear()
        .envs(ours.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command
}

fn told(command: &mut Command, document: &Value) -> (i32, Value, String) {
    let (code, went, stderr) = exchange(command, Some(document));
    (code, went["steps"].as_array().expect("records").last().expect("one").clone(), stderr)
}

const UNNOTED: &str = "(this could not be written down where it was sent from, and may come again)\n";

/// A failure is told in both channels, once, and says that it was not written down; good news is not, and says why.
fn is_told_without_a_note(team: &Team, slack: &Chat, ntfy: &Chat, command: impl Fn() -> Command) {
    let (code, record, stderr) = told(&mut command(), &failed());
    assert_eq!((code, status(&record)), (1, "changed"), "{stderr}");
    assert!(
        stderr.contains("cannot be used: ") && stderr.contains("the message is sent without a note"),
        "{stderr}"
    );
    let texts = team.texts();
    assert!(
        texts.len() == 1 && texts[0].starts_with(UNNOTED) && texts[0].contains("FAILED at cdn-purge"),
        "{texts:?}"
    );
    let seen = testkit::slack::shown(&slack.taken()[0]).expect("it can be shown");
    assert!(slack.taken().len() == 1 && seen.starts_with(UNNOTED), "{seen}");
    assert_eq!(ntfy.taken().len(), 0, "both were told");
    let (code, record, stderr) = told(&mut command(), &released());
    assert_eq!((code, &channel(&record, "slack")["reason"]), (78, &json!("state")), "{stderr}");
    assert!(stderr.contains("set state in [notify]"), "{stderr}");
    // What a person sends by hand can be sent again by hand.
    assert_eq!((team.texts().len(), slack.taken().len()), (1, 1));
}

#[test]
fn a_full_disk_keeps_no_failure_back() {
    let (team, slack, ntfy) = team_of_three();
    std::fs::create_dir_all(team.folder.path().join("state")).expect("made");
    is_told_without_a_note(&team, &slack, &ntfy, || full(&team, &[]));
    assert!(team.kept("outbox").is_empty(), "no half of a note: {:?}", team.kept("outbox"));
    // The fallback too, when a channel may not have got it; and what may have arrived is not sent again.
    let (team, slack, ntfy) = team_of_three();
    team.telegram.server().fault("POST", "/bot", 1, Fault::DropAfter);
    let (_, record, stderr) = told(&mut full(&team, &[]), &failed());
    assert_eq!(channel(&record, "luxima-alerts")["status"], "unknown", "{stderr}");
    assert_eq!((team.texts().len(), slack.taken().len(), ntfy.taken().len()), (1, 1, 1));
    let said = ntfy.taken()[0]["message"].as_str().expect("text").to_owned();
    assert!(
        said.starts_with(&format!("{UNNOTED}(here because luxima-alerts may not have got it)\n")),
        "{said}"
    );
}

#[test]
fn a_file_in_the_way_keeps_no_failure_back() {
    let (team, slack, ntfy) = team_of_three();
    team.file("state", "a file");
    is_told_without_a_note(&team, &slack, &ntfy, || team.command(&[]));
    assert_eq!(team.say(&["outbox"]).0, 78, "a folder that cannot be read is not an empty one");
    let (code, text, _) = team.say(&["--check"]);
    assert!(code == Exit::Config as i32 && text.contains("cannot be used: Not a directory"), "{text}");
}

/// Who is not root has no right to a folder without rights; root becomes somebody else.
#[test]
fn somebody_elses_folder_keeps_no_failure_back() {
    let (team, slack, ntfy) = team_of_three();
    let state = team.folder.path().join("state");
    std::fs::create_dir_all(&state).expect("made");
    let root = rustix::process::getuid().is_root();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(if root { 0o700 } else { 0 }))
        .expect("set");
    let program = team.folder.path().join("notify");
    std::fs::copy(env!("CARGO_BIN_EXE_notify"), &program).expect("copied");
    if root {
        std::fs::set_permissions(team.folder.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
        for secret in ["slack", "ntfy"] {
            let path = team.folder.path().join(secret);
            std::os::unix::fs::chown(path, Some(65534), Some(65534)).expect("given");
        }
    }
    is_told_without_a_note(&team, &slack, &ntfy, || {
        let ours = team.command(&[]);
        let mut command = Command::new(&program);
        command
            .current_dir(team.folder.path())
            .env_clear()
            .envs(ours.get_envs().filter_map(|(k, v)| Some((k, v?))));
        if root {
            command.uid(65534).gid(65534);
        }
        command
    });
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).expect("set");
}

#[test]
fn notes_that_cannot_be_read_are_told_and_moved_aside() {
    for (n, text) in
        [String::new(), "{\"channel\":\"luxi".to_owned(), "null".to_owned(), "\0\0\0\0".to_owned()]
            .into_iter()
            .enumerate()
    {
        let team = Team::start();
        let (url, down) = (team.telegram.server().url(), "http://127.0.0.1:1");
        team.edit_settings(&url, down);
        team.tell_with(&["--timeout", "1s"], &failed());
        team.edit_settings(down, &url);
        std::fs::write(&team.kept("outbox")[0], &text).expect("cut");
        // A half-written file of a process that is gone, and one of a process that is not.
        team.file("state/outbox/a.2147483646.tmp", "x");
        team.file(&format!("state/outbox/b.{}.tmp", std::process::id()), "x");
        let (_, said, stderr) = team.say(&["outbox"]);
        assert!(
            said.contains("cannot be read (it is ") && !said.contains("nothing waits"),
            "{n}: {said}{stderr}"
        );
        let (code, said, _) = team.say(&["outbox", "--json"]);
        let shown: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((code, shown["broken"].as_array().map(Vec::len)), (0, Some(1)), "{said}");
        let names: Vec<String> = team
            .kept("outbox")
            .iter()
            .map(|p| p.file_name().expect("a name").to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, [format!("b.{}.tmp", std::process::id())]);
        // Whoever tells the same again says that it may be there; then nothing is left to be told about.
        let (_, record, stderr) = team.tell(&failed());
        assert_eq!(status(&record), "changed", "{stderr}");
        assert!(team.texts()[0].starts_with("(repeat: "), "{:?}", team.texts());
        assert_eq!(team.say(&["outbox"]).1, "nothing waits, and nothing was given up\n");
    }
    // A flush that finds one fails; good news that is told again stays unknown, as a dead letter.
    let team = Team::start();
    let (url, down) = (team.telegram.server().url(), "http://127.0.0.1:1");
    team.edit_settings(&url, down);
    team.tell_with(&["--timeout", "1s"], &released());
    team.edit_settings(down, &url);
    std::fs::write(&team.kept("outbox")[0], "").expect("cut");
    let (code, _, stderr) = team.say(&["flush"]);
    assert!(code == 1 && stderr.contains("1 note cannot be read"), "{stderr}");
    assert_eq!(status(&team.tell(&released()).1), "skipped");
    assert_eq!((team.kept("broken").len(), team.kept("dead").len(), team.texts().len()), (0, 1, 0));
    assert_eq!(team.say(&["flush", "--dead"]).0, 0);
    assert!(team.texts()[0].starts_with("(repeat: "));
}

#[test]
fn a_kill_between_two_folders_leaves_nothing_to_be_sent_twice() {
    let team = Team::start();
    let (url, down) = (team.telegram.server().url(), "http://127.0.0.1:1");
    team.edit_settings(&url, down);
    team.tell_with(&["--timeout", "1s"], &failed());
    let waiting = team.kept("outbox").remove(0);
    let (name, note) =
        (waiting.file_name().expect("a name").to_owned(), std::fs::read(&waiting).expect("a note"));
    team.edit_settings(down, &url);
    // It is in the outbox and among the dead letters: it goes once.
    let dead = team.folder.path().join("state/dead");
    std::fs::create_dir_all(&dead).expect("made");
    let text = String::from_utf8_lossy(&note).replace("\"state\":\"waiting\"", "\"state\":\"dead\"");
    std::fs::write(dead.join(&name), text).expect("written");
    assert_eq!(team.say(&["flush", "--dead"]).0, 0);
    assert_eq!((team.texts().len(), team.kept("dead").len()), (1, 0));
    // It was sent, and still lies in the outbox: it is done.
    std::fs::write(&waiting, &note).expect("written");
    assert_eq!(team.say(&["flush", "--dead"]).1, "nothing was sent; 0 messages wait\n");
    assert_eq!((team.texts().len(), team.kept("outbox").len()), (1, 0));
}

#[test]
fn a_channel_that_hangs_holds_no_other() {
    let (team, slack, _ntfy) = team_of_three();
    team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(3)));
    let mut first = team
        .command(&[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    first.stdin.take().expect("a pipe").write_all(released().to_string().as_bytes()).expect("it reads");
    testkit::wait_for("the first one", 20, || {
        slack.taken().len() == 1 && team.telegram.server().log().len() == 1
    });
    // The second one tells Slack while the first still waits for Telegram.
    let mut second = team
        .command(&[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    second.stdin.take().expect("a pipe").write_all(failed().to_string().as_bytes()).expect("it reads");
    testkit::wait_for("the second one", 20, || slack.taken().len() == 2);
    assert!(first.try_wait().expect("asked").is_none(), "the first one is still at work");
    assert_eq!(team.telegram.server().log().len(), 1);
    assert!(first.wait().expect("it ended").success());
    assert_eq!(second.wait().expect("it ended").code(), Some(1));
    assert_eq!(team.texts().len(), 2, "and nothing is lost: {:?}", team.texts());
    assert_eq!((team.kept("outbox").len(), team.kept("dead").len()), (0, 0));
}

#[test]
fn whoever_holds_a_channel_sends_what_comes_in_the_meantime() {
    let team = Team::start();
    team.telegram.server().fault("POST", "/bot", 1, Fault::Hang(Duration::from_secs(2)));
    let mut first = team
        .command(&[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    first.stdin.take().expect("a pipe").write_all(released().to_string().as_bytes()).expect("it reads");
    testkit::wait_for("the request", 20, || team.telegram.server().log().len() == 1);
    // It cannot wait so long: its message is in the outbox, and the first one finds it there.
    let (_, record, stderr) = team.tell_with(&["--timeout", "500ms"], &failed());
    assert_eq!(channel(&record, "luxima-alerts")["reason"], "busy", "{stderr}");
    assert!(first.wait().expect("it ended").success());
    let texts = team.texts();
    assert!(texts.len() == 2 && texts[1].starts_with('❌'), "{texts:?}");
    assert_eq!(status(&team.tell(&failed()).1), "skipped");
}

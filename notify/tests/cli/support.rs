//! A team with a chat in the stand-in Telegram, and documents to tell it about.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Telegram, exchange};

pub const TOKEN: &str = "123456789:canary-telegram-AAH7dT2mXw9rB4";
pub const CHAT: i64 = -1_001_234_567_890;

pub struct Team {
    pub telegram: Telegram,
    pub folder: tempfile::TempDir,
}

impl Team {
    pub fn start() -> Self {
        let team =
            Team { telegram: Telegram::start(TOKEN, CHAT), folder: tempfile::tempdir().expect("a folder") };
        team.settings("");
        team
    }

    /// More keys of the chat, or more tables behind it.
    pub fn settings(&self, more: &str) {
        self.settings_with("channel = \"#luxima-alerts\"\n", more);
    }

    /// The head of `[notify]`, and what comes behind the chat.
    pub fn settings_with(&self, head: &str, more: &str) {
        let text = format!(
            "[product]\nname = \"shop\"\n[notify]\nstate = \"state\"\n{head}\
             [notify.channels.luxima-alerts]\nkind = \"telegram\"\nchat_id = {CHAT}\nurl = \"{}\"\n{more}",
            self.telegram.server().url()
        );
        std::fs::write(self.folder.path().join("release.toml"), text).expect("written");
    }

    pub fn edit_settings(&self, from: &str, to: &str) {
        let path = self.folder.path().join("release.toml");
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).expect("written");
    }

    /// A secret in a file of its own.
    pub fn secret(&self, name: &str, secret: &str) {
        testkit::write_private(&self.folder.path().join(name), &format!("{secret}\n"));
    }

    pub fn file(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notify"));
        command.args(args).current_dir(self.folder.path()).env_clear().env("TELEGRAM_BOT_TOKEN", TOKEN);
        command
    }

    /// Exit code, the record of notify, and stderr.
    pub fn tell(&self, document: &Value) -> (i32, Value, String) {
        self.tell_with(&[], document)
    }

    pub fn tell_with(&self, args: &[&str], document: &Value) -> (i32, Value, String) {
        let (code, went, stderr) = exchange(&mut self.command(args), Some(document));
        assert!(!format!("{went}{stderr}").contains("canary"), "{went}{stderr}");
        assert_eq!(went.get("failure"), document.get("failure"), "notify never touches the failure");
        assert_eq!(went["facts"].to_string(), document["facts"].to_string(), "nor the facts");
        (code, went["steps"].as_array().expect("records").last().expect("one").clone(), stderr)
    }

    /// Exit code, stdout, stderr.
    pub fn say(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(!format!("{stdout}{stderr}").contains("canary"), "{stdout}{stderr}");
        (output.status.code().expect("a code"), stdout, stderr)
    }

    pub fn texts(&self) -> Vec<String> {
        self.telegram.messages().into_iter().map(|m| m.text).collect()
    }

    /// The files below a folder of the state.
    pub fn kept(&self, folder: &str) -> Vec<PathBuf> {
        let files =
            std::fs::read_dir(self.folder.path().join("state").join(folder)).into_iter().flatten().flatten();
        files.map(|f| f.path()).collect()
    }

    /// Everything that lies in the state, as text.
    pub fn notes(&self) -> String {
        let all = ["outbox", "sent", "dead"].iter().flat_map(|folder| self.kept(folder));
        all.map(|path| std::fs::read_to_string(path).expect("a note")).collect()
    }
}

pub fn released() -> Value {
    json!({ "schema": 1, "id": "shop-1.2.0-20261124T120000Z-7f3a", "procedure": "release", "mode": "apply",
            "opened": "2026-11-24T12:00:00Z", "steps": [],
            "facts": { "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0", "notes": "- a <b> & c" } })
}

pub fn failed() -> Value {
    let mut document = released();
    document["failure"] = json!({ "step": "cdn-purge", "kind": "failed", "reason": "edge-stale", "code": 1, "acted": "yes", "message": "old <html>" });
    document
}

pub fn status(record: &Value) -> &str {
    record["status"].as_str().expect("a status")
}

/// How the message fared in a channel.
pub fn channel<'a>(record: &'a Value, name: &str) -> &'a Value {
    let channels = record["output"]["channels"].as_array().unwrap_or_else(|| panic!("{record}"));
    channels.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}: {record}"))
}

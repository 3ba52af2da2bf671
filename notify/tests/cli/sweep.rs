//! Faults and kills at random, and what must be true after each: nothing is said twice in silence, nothing is called sent that is
//! not there, and whatever has not arrived waits or is a dead letter, so that a flush in a world that works brings all of it.
//!
//! `cargo test` runs a few of each; `make sweep-notify` runs 280 faults and 140 kills (`NOTIFY_SWEEP=280`). A case is made from its
//! number alone: `NOTIFY_SWEEP_FROM=17 NOTIFY_SWEEP=1` runs one again.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Team, failed, released};
use serde_json::{Value, json};
use testkit::chats::Chat;
use testkit::http::{Fault, Reply, Server};
use testkit::telegram::{refusal, too_many};

/// So many cases in `cargo test`; half as many kills.
const SLICE: u64 = 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The numbers of the cases of this run.
fn cases(share: u64) -> std::ops::Range<u64> {
    let from = number("NOTIFY_SWEEP_FROM").unwrap_or_default();
    from..from + (number("NOTIFY_SWEEP").unwrap_or(SLICE) / share).max(1)
}

/// Splitmix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// A team that is told in Telegram, Slack and by a webhook, with ntfy as its fallback.
struct World {
    team: Team,
    slack: Chat,
    hook: Chat,
    ntfy: Chat,
    /// What was told, each by its first line.
    told: Vec<(Value, String)>,
}

impl World {
    fn new() -> Self {
        let team = Team::start();
        let (slack, hook, ntfy) = (
            Chat::slack_api("xoxb-canary-slack-token", "C012345"),
            Chat::webhook(),
            Chat::ntfy("tk_canary-ntfy", "ops"),
        );
        team.secret("slack", "xoxb-canary-slack-token");
        team.secret("ntfy", "tk_canary-ntfy");
        team.secret("whsec", "whsec_Y2FuYXJ5LW9sZC1zZWNyZXQtMTIzNA==");
        let more = format!(
            "[notify.channels.slack]\nkind = \"slack\"\nchannel = \"C012345\"\ntoken_file = \"slack\"\nurl = \"{}\"\n\
             [notify.channels.hook]\nkind = \"webhook\"\nsecret_file = \"whsec\"\nurl = \"{}/hook\"\n\
             [notify.channels.ops]\nkind = \"ntfy\"\ntopic = \"ops\"\ntoken_file = \"ntfy\"\nurl = \"{}\"\n",
            slack.server().url(),
            hook.server().url(),
            ntfy.server().url()
        );
        team.settings_with("channel = [\"luxima-alerts\", \"slack\", \"hook\"]\nfallback = \"ops\"\n", &more);
        World { team, slack, hook, ntfy, told: Vec::new() }
    }

    fn servers(&self) -> [&Server; 4] {
        [self.team.telegram.server(), self.slack.server(), self.hook.server(), self.ntfy.server()]
    }

    /// A document that is told once or again; each has a version of its own, by which its messages are known.
    fn document(&mut self, dice: &mut Dice, n: usize) -> Value {
        if !self.told.is_empty() && dice.roll(3) == 0 {
            let known = usize::try_from(dice.roll(self.told.len() as u64)).expect("small");
            return self.told[known].0.clone();
        }
        let mut document = if dice.roll(2) == 0 { released() } else { failed() };
        if dice.roll(4) == 0 {
            document["procedure"] = json!("rollback");
            document["facts"]["replaces"] = json!({ "version": "0.9.0" });
        }
        let version = format!("7.{n}.0");
        document["id"] = json!(format!("shop-{version}-20261124T120000Z-{n:04}"));
        document["facts"]["version"] = json!(version);
        self.told.push((document.clone(), version));
        document
    }

    fn fault(&self, dice: &mut Dice) {
        let servers = self.servers();
        let which = usize::try_from(dice.roll(4)).expect("small");
        let server = servers[which];
        let fault = match dice.roll(11) {
            0 => Fault::DropBefore,
            1 => Fault::DropAfter,
            2 => Fault::Cut,
            3 => Fault::Hang(Duration::from_millis(1200)),
            4 => Fault::Answer(too_many(3600).with("X-Fault", 1)),
            5 => Fault::Answer(refusal(400, "Bad Request: chat not found")),
            6 => Fault::Answer(refusal(500, "Internal Server Error: restart")),
            7 => Fault::Answer(Reply::text(502, "text/html", "<html>Bad Gateway</html>")),
            8 => Fault::Answer(Reply::text(302, "text/html", "").with("Location", "https://login.example/")),
            // Of a webhook every 2xx is a yes: the specification asks for no more.
            9 if which != 2 => Fault::Answer(Reply::text(200, "text/html", "<html>sign in</html>")),
            _ => Fault::Answer(refusal(403, "Forbidden: bot was kicked")),
        };
        server.fault("POST", "/", usize::try_from(1 + dice.roll(3)).expect("small"), fault);
    }

    /// What a channel has been sent about a version, in order.
    fn said(&self, channel: &str, version: &str) -> Vec<String> {
        let texts: Vec<String> = match channel {
            "luxima-alerts" => self.team.texts(),
            "slack" => self
                .slack
                .taken()
                .iter()
                .map(|t| testkit::slack::shown(t).expect("it can be shown"))
                .collect(),
            "hook" => self.hook.taken().iter().map(Value::to_string).collect(),
            _ => self
                .ntfy
                .taken()
                .iter()
                .map(|t| format!("{}\n{}", t["message"].as_str().unwrap_or_default(), t["title"]))
                .collect(),
        };
        texts.into_iter().filter(|t| t.contains(version)).collect()
    }

    /// After a run: what its record calls sent is there.
    fn holds(&self, case: &str, record: &Value, version: &str) {
        for told in
            record["output"]["channels"].as_array().into_iter().flatten().filter(|c| c["status"] == "sent")
        {
            let name = told["name"].as_str().expect("a name");
            assert!(!self.said(name, version).is_empty(), "{case}: {name} is called sent: {record}");
        }
    }

    /// At the end, in a world that works: all of it is there, and nothing came twice without saying so.
    fn ends_well(&self, case: &str) {
        self.servers().iter().for_each(|server| server.clear_faults());
        let (code, text, stderr) = self.team.say(&["flush", "--dead"]);
        assert_eq!(code, 0, "{case}: {text}{stderr}");
        let left: Vec<_> = ["outbox", "dead", "broken"].iter().flat_map(|f| self.team.kept(f)).collect();
        assert!(left.is_empty(), "{case}: {left:?}: {text}{stderr}{}", self.team.notes());
        let known = ["outbox", "sent", "dead", "broken"].iter().flat_map(|f| self.team.kept(f));
        let left: Vec<_> = known.filter(|p| p.extension().is_none_or(|e| e != "json")).collect();
        assert!(left.is_empty(), "{case}: {left:?}");
        for (document, version) in &self.told {
            for channel in ["luxima-alerts", "slack", "hook", "ops"] {
                let said = self.said(channel, version);
                assert!(
                    channel == "ops" || !said.is_empty(),
                    "{case}: {version} was never told in {channel}: {document}"
                );
                let unmarked = said.iter().skip(1).find(|t| !t.starts_with("(repeat: "));
                assert!(
                    channel == "hook" || unmarked.is_none(),
                    "{case}: {channel} was told twice in silence: {said:#?}"
                );
            }
        }
        self.webhook_is_known_again(case);
    }

    /// A webhook may be told twice, by the same id.
    fn webhook_is_known_again(&self, case: &str) {
        let mut ids: Vec<(String, String)> = Vec::new();
        for request in self.hook.server().log() {
            let body: Value = request.json().unwrap_or_default();
            let run = format!("{}{}", body["data"]["id"], body["type"]);
            let id = request.header("webhook-id").to_owned();
            match ids.iter().find(|(known, _)| *known == run) {
                Some((_, known)) => assert_eq!(*known, id, "{case}: {run}"),
                None => ids.push((run, id)),
            }
        }
    }
}

#[test]
fn faults() {
    for case in cases(1) {
        let (mut dice, mut world) = (Dice(case), World::new());
        let name = format!("fault {case}");
        for n in 0..2 + usize::try_from(dice.roll(2)).expect("small") {
            for _ in 0..dice.roll(4) {
                world.fault(&mut dice);
            }
            let document = world.document(&mut dice, n);
            let version = document["facts"]["version"].as_str().expect("a version").to_owned();
            let (_, record, _) = world.team.tell_with(&["--timeout", "2s"], &document);
            world.holds(&name, &record, &version);
        }
        world.ends_well(&name);
    }
}

#[test]
fn kills() {
    for case in cases(2) {
        let (mut dice, mut world) = (Dice(case ^ 0x6b69_6c6c), World::new());
        let name = format!("kill {case}");
        for n in 0..2 {
            if dice.roll(2) == 0 {
                world.fault(&mut dice);
            }
            let document = world.document(&mut dice, n);
            let mut child = world
                .team
                .command(&["--timeout", "2s"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            child.stdin.take().expect("a pipe").write_all(document.to_string().as_bytes()).expect("it reads");
            // From before the first note until after the last one; or at a request.
            match dice.roll(3) {
                0 => {
                    let seen: usize = world.servers().iter().map(|s| s.log().len()).sum();
                    let any = || world.servers().iter().map(|s| s.log().len()).sum::<usize>() > seen;
                    while !any() && child.try_wait().expect("asked").is_none() {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
                _ => std::thread::sleep(Duration::from_micros(dice.roll(60_000))),
            }
            let _ = child.kill(); // it may have ended by now
            child.wait().expect("it ended");
            // The same again, as a runbook does that is run again.
            let version = document["facts"]["version"].as_str().expect("a version").to_owned();
            let (_, record, _) = world.team.tell_with(&["--timeout", "2s"], &document);
            world.holds(&name, &record, &version);
        }
        world.ends_well(&name);
    }
}

//! Measures and prints Markdown: one message by notify and by curl to the same stand-in, one after the other in turns.
//! `scripts/bench-notify` writes it to docs/benchmarks-notify.md.
#![allow(clippy::print_stdout, reason = "a program of its own, outside of the shared main")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Telegram;
use testkit::http::{Reply, Server};
use wait4::Wait4;

const TOKEN: &str = "123456789:AAH7dT2mXw9rB4AAH7dT2mXw9rB4xxx";
const CHAT: i64 = -1_001_234_567_890;
const ROUNDS: usize = 60;
/// Of Apprise, which takes a second each time.
const PEER_ROUNDS: usize = 10;

/// What one run has cost.
struct Cost {
    wall: Duration,
    cpu: Duration,
    memory: u64,
}

fn main() {
    let telegram = Telegram::start(TOKEN, CHAT);
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path(), &telegram);
    let (mut sends, mut tells, mut curls) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        sends.push(run(notify(folder.path()).args(["send", &format!("message {round}")])));
        tells.push(tell(folder.path(), round));
        curls.push(run(&mut curl(&telegram, round)));
    }
    assert_eq!(telegram.messages().len(), 3 * ROUNDS, "every message has arrived");
    println!(
        "One message to the stand-in Telegram on this machine (HTTP), {ROUNDS} times each in turns: medians, and the greatest peak memory. \
         notify writes each message down before and after (fsync), curl does not; `notify` about a document reads a release's document with \
         six steps and renders its template.\n"
    );
    println!("| | wall | CPU | peak memory |\n|---|---:|---:|---:|");
    println!("{}", row("notify send", &mut sends));
    println!("{}", row("notify, about a document", &mut tells));
    println!("{}", row("curl --fail-with-body --retry 3", &mut curls));
    if let Some(mut costs) = apprise() {
        println!("{}", row(&format!("apprise json://, {PEER_ROUNDS} times"), &mut costs));
    }
    let size = std::fs::metadata(testkit::bin("notify")).expect("a file").len();
    println!("\nThe binary has {size} bytes.");
}

/// Apprise, where `scripts/peers` has installed it. Telegram's host is built into it, so it posts JSON instead.
fn apprise() -> Option<Vec<Cost>> {
    let program = testkit::bin_dir().join("../peers/python/bin/apprise");
    if !program.is_file() {
        return None;
    }
    let server = Server::start(|_| Reply::text(200, "text/plain", "ok"));
    let post = |n: usize| {
        let url = format!("json://127.0.0.1:{}/", server.port());
        run(Command::new(&program).args(["-b", &format!("message {n}"), &url]).stderr(Stdio::null()))
    };
    let costs = (0..PEER_ROUNDS).map(post).collect();
    assert_eq!(server.log().len(), PEER_ROUNDS, "every message has arrived");
    Some(costs)
}

fn prepare(folder: &Path, telegram: &Telegram) {
    let settings = format!(
        "[product]\nname = \"shop\"\n[notify]\nchannel = \"chat\"\nstate = \"state\"\n\
         [notify.channels.chat]\nkind = \"telegram\"\nchat_id = {CHAT}\nurl = \"{}\"\n",
        telegram.server().url()
    );
    std::fs::write(folder.join("release.toml"), settings).expect("written");
}

fn notify(folder: &Path) -> Command {
    let mut command = Command::new(testkit::bin("notify"));
    command.current_dir(folder).env_clear().env("TELEGRAM_BOT_TOKEN", TOKEN).stdin(Stdio::null());
    command
}

fn tell(folder: &Path, round: usize) -> Cost {
    let step = |n: usize| {
        serde_json::json!({ "name": format!("step-{n}"), "status": "changed", "started": "2026-11-24T12:00:00.000Z", "ms": 1200,
                            "summary": "what it did, in a sentence of the usual length" })
    };
    let document = serde_json::json!({
        "schema": 1, "id": format!("shop-1.2.0-20261124T120000Z-{round:04x}"), "procedure": "release", "mode": "apply",
        "opened": "2026-11-24T12:00:00Z", "steps": (0..6).map(step).collect::<Vec<_>>(),
        "facts": { "product": "shop", "environment": "production", "version": "1.2.0", "live": "1.2.0",
                   "notes": "### Added\n- a change that somebody has made\n".repeat(20), "previous": { "version": "1.1.4" } },
    });
    let path = folder.join("document.json");
    std::fs::write(&path, document.to_string()).expect("written");
    run(notify(folder).stdin(std::fs::File::open(path).expect("opened")))
}

fn curl(telegram: &Telegram, round: usize) -> Command {
    let url = format!("{}/bot{TOKEN}/sendMessage", telegram.server().url());
    let body = format!("{{\"chat_id\":{CHAT},\"text\":\"message {round}\",\"parse_mode\":\"HTML\"}}");
    let mut command = Command::new("curl");
    command.args([
        "-sS",
        "--fail-with-body",
        "--retry",
        "3",
        "-m",
        "20",
        "-H",
        "Content-Type: application/json",
        "-d",
        &body,
        &url,
    ]);
    command
}

fn run(command: &mut Command) -> Cost {
    let clock = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let used = child.wait4().expect("it ends");
    let wall = clock.elapsed();
    assert!(used.status.success(), "{command:?}");
    Cost { wall, cpu: used.rusage.utime + used.rusage.stime, memory: used.rusage.maxrss }
}

fn row(name: &str, costs: &mut [Cost]) -> String {
    let memory = costs.iter().map(|c| c.memory).max().unwrap_or_default();
    let median = |pick: fn(&Cost) -> Duration, costs: &mut [Cost]| {
        costs.sort_by_key(pick);
        pick(&costs[costs.len() / 2]).as_secs_f64() * 1000.0
    };
    let (wall, cpu) = (median(|c| c.wall, costs), median(|c| c.cpu, costs));
    let mebibytes = u32::try_from(memory / 1024).map_or(f64::NAN, |kib| f64::from(kib) / 1024.0);
    format!("| {name} | {wall:.1} ms | {cpu:.1} ms | {mebibytes:.1} MiB |")
}

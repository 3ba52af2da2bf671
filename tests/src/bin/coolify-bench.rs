//! Follows many deployments at once and measures what that costs: `coolify-bench PROGRAM [APPLICATIONS [SECONDS]]`. Writes a table in
//! Markdown.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, outside of the shared main"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::Coolify;
use testkit::http::{Reply, Server};

const IMAGE: &str = "registry.luxima.id/shop";
const TOKEN: &str = "17|bench-bench-bench";
/// Clock ticks a second, in which Linux counts CPU time for everybody.
const TICKS: f64 = 100.0;

/// What the process has used: CPU in seconds, and the most memory in MiB.
fn used(pid: u32) -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.split_whitespace().next()?.parse().ok()?;
    Some((ticks / TICKS, kib / 1024.0))
}

/// Many applications whose deployments take so long and write a line each second.
fn coolify(many: u64, seconds: u64) -> (Arc<Coolify>, Vec<String>) {
    let coolify = Arc::new(Coolify::start());
    coolify.server().keep_alive();
    coolify.pace(Duration::from_secs(1), Duration::from_secs(seconds));
    coolify.chatter(Duration::from_secs(1));
    coolify.queue_limit(1000);
    coolify.concurrent_builds(1000);
    // A build's log has some ten KiB.
    for n in 0..100 {
        coolify.log_line(
            &format!("step {n}: a line of a build's log that says what everybody knows by now"),
            true,
        );
    }
    coolify.token(TOKEN, &["root"]);
    let apps = (0..many).map(|n| coolify.application(&format!("app{n}"), IMAGE, "1.1.4")).collect();
    (coolify, apps)
}

fn deploy(program: &str, folder: &Path, coolify: &Coolify, page: &Server, apps: &[String]) -> Child {
    let settings = format!(
        "[product]\nname = \"shop\"\n[environment.staging]\npublic_urls = [\"{}/\"]\nmarker = \"X-Release\"\n[deploy-coolify]\nurl = \"{}\"\n\
         applications = {apps:?}\nmax_targets = 1000\nimage = \"{IMAGE}:{{version}}\"\nbake = \"0s\"\n",
        page.url(),
        coolify.server().url()
    );
    std::fs::write(folder.join("release.toml"), settings).expect("written");
    Command::new(std::fs::canonicalize(program).expect("the program"))
        .args(["deploy", "--quiet", "--env", "staging", "--release", "1.2.0"])
        .current_dir(folder)
        .env("COOLIFY_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: u64| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(usual);
    let (many, seconds) = (number(1, 50), number(2, 60));
    let (coolify, apps) = coolify(many, seconds);
    let (first, theirs) = (apps[0].clone(), Arc::clone(&coolify));
    let page = Server::start(move |_| {
        Reply::text(200, "text/html", "shop").with("X-Release", theirs.running(&first).unwrap_or_default())
    });
    let folder = tempfile::tempdir().expect("a folder");
    let program = words.first().expect("usage: coolify-bench PROGRAM [APPLICATIONS [SECONDS]]");
    let mut child = deploy(program, folder.path(), &coolify, &page, &apps);
    // Once all are started it only waits: that is what is measured.
    let begun = Instant::now();
    while coolify.server().count("POST", "/api/v1/deploy") < apps.len() {
        std::thread::sleep(Duration::from_millis(20));
        assert!(begun.elapsed() < Duration::from_secs(120), "the deployments do not start");
    }
    std::thread::sleep(Duration::from_secs(2));
    let (waiting, asked) = (Instant::now(), coolify.server().log().len());
    let start = used(child.id()).expect("it runs").0;
    std::thread::sleep(Duration::from_secs(seconds.saturating_sub(10)));
    let time = waiting.elapsed().as_secs_f64();
    let (cpu, _) = used(child.id()).expect("it still waits");
    let questions = u32::try_from(coolify.server().log().len() - asked).expect("small");
    let mut last = (cpu, 0.0);
    while child.try_wait().expect("asked").is_none() {
        last = used(child.id()).filter(|(_, peak)| *peak > 0.0).unwrap_or(last);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().expect("it ended").success(), "the deployment failed");
    println!("| | |\n|---|---:|");
    println!("| applications followed | {many} |");
    println!("| CPU while waiting, share of one core | {:.2} % |", (cpu - start) / time * 100.0);
    println!("| questions to Coolify while waiting, each second | {:.1} |", f64::from(questions) / time);
    println!("| most memory of the whole run | {:.1} MiB |", last.1);
    println!("| CPU of the whole run | {:.2} s |", last.0);
    println!("| connections to Coolify in the whole run | {} |", coolify.server().connections());
    println!("| requests to Coolify in the whole run | {} |", coolify.server().log().len());
}
